//! llama.cpp's router: loads and unloads that are answered before they happen.

use std::io::Write;
use std::time::Duration;

use serde_json::{Value, json};
use xdev_llm_mock::{Fault, Mock, Options, Personality, Script};

use crate::client::{
    chat, connect, exchange, get, post, read_all, request, send, started, states, until, until_sent,
};

const SMOL: &str = "SmolLM2-135M-Instruct.Q4_1";
const GEMMA: &str = "gemma-3-270m-q4_k_m";
const SOON: Duration = Duration::from_secs(10);

fn router(change: impl FnOnce(&mut Options)) -> Mock {
    started(Personality::LlamaCppRouter, change)
}

fn status(mock: &Mock, model: &str) -> Value {
    let list = get(mock, "/models").json();
    list["data"].as_array().unwrap().iter().find(|one| one["id"] == model).unwrap()["status"].clone()
}

fn value(mock: &Mock, model: &str) -> String {
    status(mock, model)["value"].as_str().unwrap().to_owned()
}

fn load(mock: &Mock, model: &str) -> (u16, Value) {
    let answer = post(mock, "/models/load", &json!({"model": model}));
    (answer.status, answer.json())
}

fn unload(mock: &Mock, model: &str) -> (u16, Value) {
    let answer = post(mock, "/models/unload", &json!({"model": model}));
    (answer.status, answer.json())
}

fn message(answer: &(u16, Value)) -> (u16, &str) {
    (answer.0, answer.1["error"]["message"].as_str().unwrap())
}

#[test]
fn a_load_is_answered_before_it_happens() {
    let mock = router(|options| {
        (options.load_delay, options.unload_delay) = (Duration::from_millis(300), Duration::from_millis(300));
    });
    assert_eq!(value(&mock, SMOL), "unloaded");
    assert_eq!(load(&mock, SMOL), (200, json!({"success": true})));
    assert_eq!(value(&mock, SMOL), "loading");
    assert_eq!(message(&load(&mock, SMOL)), (400, "model is already running"));
    until("it is there", || (value(&mock, SMOL) == "loaded").then_some(()));
    assert_eq!(unload(&mock, SMOL), (200, json!({"success": true})));
    assert_eq!(value(&mock, SMOL), "loaded", "it is stopping, and the list does not say so");
    until("it is gone", || (value(&mock, SMOL) == "unloaded").then_some(()));
    assert!(status(&mock, SMOL).get("failed").is_none());
    assert_eq!(message(&unload(&mock, SMOL)), (400, "model is not running"));
    assert_eq!(message(&unload(&mock, "nothing")), (400, "model is not found"));
    assert_eq!(message(&load(&mock, "nothing")), (404, "model is not found"));
}

#[test]
fn a_load_that_fails_shows_in_the_list_only() {
    let mock = router(|options| options.load_failure = Some("out of memory".into()));
    assert_eq!(load(&mock, SMOL).0, 200);
    let failed = status(&mock, SMOL);
    assert_eq!(
        (&failed["value"], &failed["failed"], &failed["exit_code"]),
        (&json!("unloaded"), &json!(true), &json!(1))
    );
    let asked = chat(&mock, json!({"model": SMOL}));
    assert_eq!(asked.status, 500);
    assert_eq!(asked.json()["error"]["message"], format!("model name={SMOL} failed to load"));
    mock.change_options(|options| options.load_failure = None);
    assert_eq!(chat(&mock, json!({"model": SMOL})).status, 200);
    assert!(status(&mock, SMOL).get("failed").is_none());
}

#[test]
fn an_unload_of_what_is_loading_kills_it_and_it_counts_as_failed() {
    let mock = router(|options| options.load_delay = Duration::from_secs(60));
    load(&mock, SMOL);
    assert_eq!(unload(&mock, SMOL).0, 200);
    assert_eq!((value(&mock, SMOL).as_str(), &status(&mock, SMOL)["failed"]), ("unloaded", &json!(true)));
}

#[test]
fn an_unload_that_sticks_stays_loaded() {
    let mock = router(|options| options.unload_sticks = true);
    load(&mock, SMOL);
    assert_eq!((unload(&mock, SMOL).0, value(&mock, SMOL)), (200, "loaded".to_owned()));
}

#[test]
fn a_chat_loads_its_model_unless_it_is_told_not_to() {
    let mock = router(|options| options.load_delay = Duration::from_millis(100));
    let body = json!({"model": SMOL, "messages": [{"role": "user", "content": "x"}]});
    let refused = post(&mock, "/v1/chat/completions?autoload=false", &body);
    assert_eq!(
        (refused.status, refused.json()["error"]["message"].as_str().unwrap()),
        (400, "model is not loaded")
    );
    assert_eq!(chat(&mock, json!({"model": SMOL})).status, 200);
    assert_eq!(value(&mock, SMOL), "loaded");
    mock.change_options(|options| options.just_in_time = false);
    assert_eq!(chat(&mock, json!({"model": GEMMA})).status, 400);
    assert_eq!(get(&mock, "/props").json()["models_autoload"], false);
    assert_eq!(
        post(&mock, "/v1/chat/completions?autoload=1", &json!({"model": GEMMA, "messages": []})).status,
        200
    );
}

#[test]
fn the_one_used_longest_ago_gives_way() {
    let mock = router(|options| options.max_loaded = Some(1));
    assert_eq!(get(&mock, "/props").json()["max_instances"], 1);
    mock.push_script(Script::new().fault(Fault::Stall { after_tokens: 2 }));
    let body = json!({"model": SMOL, "stream": true, "messages": [{"role": "user", "content": "x"}]});
    let mut cut = send(&mock, "/v1/chat/completions", &body);
    until_sent(&mock, 2);
    assert_eq!(load(&mock, GEMMA).0, 200);
    assert_eq!(states(&mock), [format!("{GEMMA} loaded")]);
    let cut = read_all(&mut cut, SOON);
    assert!(!cut.complete() && !cut.text().contains("[DONE]"), "its server was stopped under it");
}

#[test]
fn a_model_has_properties_of_its_own() {
    let mock = router(|options| options.load_delay = Duration::from_millis(50));
    let own = get(&mock, &format!("/props?model={SMOL}")).json();
    assert_eq!(
        (&own["model_alias"], &own["default_generation_settings"]["n_ctx"]),
        (&json!(SMOL), &json!(8192))
    );
    assert_eq!(value(&mock, SMOL), "loaded", "the question loaded it");
    assert_eq!(get(&mock, &format!("/props?model={GEMMA}&autoload=false")).status, 400);
    assert_eq!(get(&mock, &format!("/slots?model={SMOL}")).json().as_array().unwrap().len(), 4);
}

#[test]
fn a_download_is_listed_until_it_is_a_model() {
    const NEW: &str = "ggml-org/gemma-3-1b-it-GGUF:Q4_K_M";
    let mock = router(|options| options.download_delay = Duration::from_millis(300));
    let begin = |model: &str| post(&mock, "/models", &json!({"model": model}));
    assert_eq!(begin(NEW).json(), json!({"success": true}));
    assert_eq!(value(&mock, NEW), "downloading");
    until("it is here", || (value(&mock, NEW) == "unloaded").then_some(()));
    assert_eq!(begin(NEW).json()["error"]["message"], format!("model '{NEW}' already exists"));
    assert_eq!(begin("nothing").status, 400);
    let delete = |model: &str| exchange(&mock, &request("DELETE", &format!("/models?model={model}"), "", ""));
    assert_eq!(delete(SMOL).status, 500, "it was not downloaded");
    assert_eq!(delete("ggml-org%2Fgemma-3-1b-it-GGUF%3AQ4_K_M").json(), json!({"success": true}));
    assert_eq!(mock.models().len(), 3);
}

#[test]
fn changes_are_told_as_they_come() {
    let mock = router(|options| {
        (options.load_delay, options.unload_delay) = (Duration::from_millis(50), Duration::from_millis(50));
    });
    load(&mock, GEMMA);
    let mut listening = connect(&mock);
    listening.write_all(&request("GET", "/models/sse", "", "")).unwrap();
    assert!(mock.wait_for(SOON, |requests| {
        requests.last().is_some_and(|one| one.status == 200 && one.path.ends_with("sse"))
    }));
    load(&mock, SMOL);
    until("it is there", || (value(&mock, SMOL) == "loaded").then_some(()));
    unload(&mock, SMOL);
    until("it is gone", || (value(&mock, SMOL) == "unloaded").then_some(()));
    let told = read_all(&mut listening, Duration::from_millis(200)).data();
    let smol: Vec<&Value> = told.iter().filter(|one| one["model"] == SMOL).collect();
    let values: Vec<&Value> = smol.iter().map(|one| &one["data"]["status"]).collect();
    assert_eq!(values, ["loading", "loaded", "unloaded"], "{told:?}");
    assert_eq!((&smol[0]["event"], &smol[2]["data"]["exit_code"]), (&json!("model_status"), &json!(0)));
}

#[test]
fn an_idle_model_sleeps_until_it_is_asked_for_an_answer() {
    let mock = router(|options| options.sleep_after = Some(Duration::from_millis(100)));
    load(&mock, SMOL);
    until("it sleeps", || (value(&mock, SMOL) == "sleeping").then_some(()));
    let own = get(&mock, &format!("/props?model={SMOL}")).json();
    assert_eq!(
        (&own["is_sleeping"], value(&mock, SMOL)),
        (&json!(true), "sleeping".to_owned()),
        "a look wakes nobody"
    );
    assert_eq!(message(&load(&mock, SMOL)), (400, "model is already running"));
    assert_eq!(chat(&mock, json!({"model": SMOL})).status, 200);
    until("it sleeps again", || (value(&mock, SMOL) == "sleeping").then_some(()));
    assert_eq!(unload(&mock, SMOL).0, 200);
    assert_eq!(value(&mock, SMOL), "unloaded");
    // A server with one model sleeps as well.
    let one = started(Personality::LlamaCpp, |options| options.sleep_after = Some(Duration::ZERO));
    assert_eq!(get(&one, "/props").json()["is_sleeping"], true);
    assert_eq!(chat(&one, json!({})).status, 200);
}
