//! LM Studio's models and memory, with every oddity its users met.

use std::time::Duration;

use serde_json::{Value, json};
use xdev_llm_mock::{Fault, Mock, Model, Personality, Script};

use crate::client::{chat, get, post, read_all, send, started, states, until, until_sent};

const LOAD: &str = "/api/v1/models/load";
const UNLOAD: &str = "/api/v1/models/unload";
const DOWNLOAD: &str = "/api/v1/models/download";
const SOON: Duration = Duration::from_secs(10);

/// The instances `/api/v1/models` tells of a model.
fn loaded(mock: &Mock, model: &str) -> Vec<Value> {
    let list = get(mock, "/api/v1/models").json();
    let entry = list["models"].as_array().unwrap().iter().find(|one| one["key"] == model).unwrap().clone();
    entry["loaded_instances"].as_array().unwrap().clone()
}

#[test]
fn every_load_makes_another_instance() {
    let mock = Mock::start(Personality::LmStudio04);
    let load = |body: Value| post(&mock, LOAD, &body);
    let first = load(json!({"model": "google/gemma-3-12b", "context_length": 2048, "flash_attention": false,
        "echo_load_config": true}))
    .json();
    assert_eq!((&first["instance_id"], &first["status"]), (&json!("google/gemma-3-12b"), &json!("loaded")));
    assert_eq!((&first["type"], first["load_time_seconds"].is_f64()), (&json!("llm"), true));
    assert_eq!(
        (&first["load_config"]["context_length"], &first["load_config"]["flash_attention"]),
        (&json!(2048), &json!(false))
    );
    let second = load(json!({"model": "google/gemma-3-12b"})).json();
    assert_eq!((&second["instance_id"], second.get("load_config")), (&json!("google/gemma-3-12b:2"), None));
    let there = loaded(&mock, "google/gemma-3-12b");
    assert_eq!(there[0]["config"]["context_length"], 2048);
    assert_eq!(
        (&there[1]["id"], &there[1]["config"]["context_length"]),
        (&json!("google/gemma-3-12b:2"), &json!(4096))
    );
    assert_eq!(get(&mock, "/api/v0/models").json()["data"][1]["loaded_context_length"], 2048);
    // A chat names an instance, and that one answers.
    let asked = chat(&mock, json!({"model": "google/gemma-3-12b:2", "stream": false})).json();
    assert_eq!(asked["model"], "google/gemma-3-12b:2");
    // The first goes; the second keeps its name, and the third takes the free one.
    assert_eq!(post(&mock, UNLOAD, &json!({"instance_id": "google/gemma-3-12b"})).status, 200);
    assert_eq!(loaded(&mock, "google/gemma-3-12b")[0]["id"], "google/gemma-3-12b:2");
    assert_eq!(post(&mock, UNLOAD, &json!({"instance_id": "google/gemma-3-12b"})).status, 404);
    assert_eq!(load(json!({"model": "google/gemma-3-12b"})).json()["instance_id"], "google/gemma-3-12b");
    assert_eq!(get(&mock, "/mock/models").json()[1]["loads"], 3);
}

#[test]
fn loads_and_unloads_are_strict_about_keys() {
    let mock = Mock::start(Personality::LmStudio04);
    let refused = |path: &str, body: Value, status: u16, part: &str| {
        let answer = post(&mock, path, &body);
        assert_eq!(answer.status, status, "{}", answer.text());
        assert!(answer.json()["error"]["message"].as_str().unwrap().contains(part), "{}", answer.text());
    };
    refused(LOAD, json!({}), 400, "'model' is required");
    refused(LOAD, json!({"model": "qwen3-4b", "ttl": 5}), 400, "Unrecognized key(s) in object: 'ttl'");
    refused(LOAD, json!({"model": "nothing"}), 404, "nothing");
    refused(UNLOAD, json!({"model": "qwen3-4b"}), 400, "'instance_id' is required");
    refused(UNLOAD, json!({"instance_id": "qwen3-4b", "model": "x"}), 400, "'model'");
    // The old address answers 200, and does nothing.
    let old = post(&mock, "/v1/models/unload", &json!({"instance_id": "qwen3-4b"}));
    assert_eq!(old.json(), json!({"error": "Unexpected endpoint or method. (POST /v1/models/unload)"}));
    assert_eq!((old.status, states(&mock)), (200, vec!["qwen3-4b loaded".to_owned()]));
}

#[test]
fn a_load_blocks_and_is_listed_when_it_is_done() {
    let mock = started(Personality::LmStudio04, |options| options.load_delay = Duration::from_millis(300));
    let mut waiting = send(&mock, LOAD, &json!({"model": "google/gemma-3-12b"}));
    until("the load begins", || (states(&mock).len() == 2).then_some(()));
    assert_eq!(states(&mock)[1], "google/gemma-3-12b loading");
    assert!(loaded(&mock, "google/gemma-3-12b").is_empty(), "not before it is there");
    assert_eq!(get(&mock, "/api/v0/models").json()["data"][1]["state"], "not-loaded");
    let answer = read_all(&mut waiting, SOON);
    assert!(answer.json()["load_time_seconds"].as_f64().unwrap() >= 0.25);
    assert_eq!(loaded(&mock, "google/gemma-3-12b").len(), 1);
}

#[test]
fn a_load_that_is_sent_away_before_it_is_there_fails() {
    let mock = started(Personality::LmStudio04, |options| options.load_delay = Duration::from_secs(60));
    let mut waiting = send(&mock, LOAD, &json!({"model": "google/gemma-3-12b"}));
    until("the load begins", || (states(&mock).len() == 2).then_some(()));
    assert_eq!(post(&mock, UNLOAD, &json!({"instance_id": "google/gemma-3-12b"})).status, 200);
    let answer = read_all(&mut waiting, SOON);
    assert_eq!((answer.status, answer.text().contains("canceled")), (500, true), "{}", answer.text());
}

#[test]
fn a_load_goes_on_when_its_client_goes() {
    let mock = started(Personality::LmStudio04, |options| options.load_delay = Duration::from_millis(200));
    drop(send(&mock, LOAD, &json!({"model": "google/gemma-3-12b"})));
    until("it is there", || (loaded(&mock, "google/gemma-3-12b").len() == 1).then_some(()));
}

#[test]
fn an_unload_takes_its_time_and_the_list_tells() {
    let mock = started(Personality::LmStudio04, |options| options.unload_delay = Duration::from_millis(300));
    assert_eq!(post(&mock, UNLOAD, &json!({"instance_id": "qwen3-4b"})).status, 200);
    assert_eq!((loaded(&mock, "qwen3-4b").len(), states(&mock)), (1, vec!["qwen3-4b unloading".to_owned()]));
    until("it is gone", || loaded(&mock, "qwen3-4b").is_empty().then_some(()));
    assert_eq!(get(&mock, "/mock/models").json()[0]["unloads"], 1);
}

#[test]
fn an_unload_that_sticks_says_yes_and_does_nothing() {
    let mock = started(Personality::LmStudio04, |options| options.unload_sticks = true);
    let said = post(&mock, UNLOAD, &json!({"instance_id": "qwen3-4b"}));
    assert_eq!((said.status, said.json()), (200, json!({"instance_id": "qwen3-4b"})));
    assert_eq!(loaded(&mock, "qwen3-4b").len(), 1);
}

#[test]
fn failed_loads_are_told_by_every_route() {
    let mock =
        started(Personality::LmStudio04, |options| options.load_failure = Some("no kernel image".into()));
    let native = post(&mock, LOAD, &json!({"model": "google/gemma-3-12b"}));
    assert_eq!((native.status, &native.json()["error"]["type"]), (500, &json!("internal_error")));
    assert!(native.text().contains("no kernel image"));
    let openai = chat(&mock, json!({"model": "google/gemma-3-12b"}));
    assert_eq!((openai.status, &openai.json()["error"]["code"]), (404, &json!("model_not_found")));
    assert!(openai.text().contains("Failed to load model") && openai.text().contains("no kernel image"));
    let own = post(&mock, "/api/v1/chat", &json!({"model": "google/gemma-3-12b", "input": "x"}));
    assert_eq!((own.status, &own.json()["error"]["type"]), (404, &json!("model_not_found")));
    assert!(loaded(&mock, "google/gemma-3-12b").is_empty());
}

#[test]
fn a_chat_loads_and_ttl_counts_for_that_chat_only() {
    let mock = Mock::start(Personality::LmStudio04);
    let keep = |mock: &Mock| get(mock, "/mock/models").json()[1]["instances"][0]["keep_ms"].clone();
    assert_eq!(chat(&mock, json!({"model": "google/gemma-3-12b", "ttl": 600})).status, 200);
    assert_eq!(keep(&mock), 600_000.0);
    chat(&mock, json!({"model": "google/gemma-3-12b", "ttl": 5}));
    assert_eq!(keep(&mock), 600_000.0, "the model was there already");
    let told = get(&mock, "/mock/models").json();
    assert_eq!(told[1]["instances"][0]["just_in_time"], true);
    assert_eq!(told[0]["instances"][0]["keep_ms"], Value::Null, "what was loaded by hand stays");
    let usual = Mock::start(Personality::LmStudio03);
    chat(&usual, json!({"model": "google/gemma-3-12b"}));
    assert_eq!(keep(&usual), 3_600_000.0);
}

#[test]
fn an_idle_model_goes_after_its_ttl() {
    let mock = Mock::start(Personality::LmStudio04);
    chat(&mock, json!({"model": "google/gemma-3-12b", "ttl": 1}));
    assert_eq!(loaded(&mock, "google/gemma-3-12b").len(), 1);
    assert_eq!(
        chat(&mock, json!({"model": "qwen2.5-vl-7b", "ttl": 0})).status,
        200,
        "it is there for its own chat"
    );
    until("it goes", || loaded(&mock, "google/gemma-3-12b").is_empty().then_some(()));
}

#[test]
fn without_just_in_time_an_unknown_name_is_answered_by_another() {
    let mock = started(Personality::LmStudio04, |options| options.just_in_time = false);
    let ids = |mock: &Mock| get(mock, "/v1/models").json()["data"].clone();
    assert_eq!(ids(&mock)[0]["id"], "qwen3-4b");
    let answer = chat(&mock, json!({"model": "google/gemma-3-12b", "stream": false})).json();
    assert_eq!(answer["model"], "qwen3-4b", "only the answer's model shows it");
    assert_eq!(states(&mock), ["qwen3-4b loaded"]);
    post(&mock, UNLOAD, &json!({"instance_id": "qwen3-4b"}));
    assert_eq!(ids(&mock), json!([]));
    let nothing = chat(&mock, json!({"model": "qwen3-4b"}));
    assert_eq!(nothing.status, 404);
    let error = nothing.json()["error"].clone();
    assert!(error["message"].as_str().unwrap().starts_with("No models loaded."), "{error}");
    assert_eq!((&error["code"], &error["param"]), (&Value::Null, &json!("model")));
}

#[test]
fn a_chats_load_sends_away_what_other_chats_loaded_and_cuts_them() {
    let mock = Mock::start(Personality::LmStudio04);
    mock.push_script(Script::new().fault(Fault::Stall { after_tokens: 2 }));
    let body = json!({"model": "google/gemma-3-12b", "stream": true, "messages": [{"role": "user", "content": "x"}]});
    let mut cut = send(&mock, "/v1/chat/completions", &body);
    until_sent(&mock, 2);
    assert_eq!(mock.instances()[1].running, 1);
    assert_eq!(chat(&mock, json!({"model": "qwen2.5-vl-7b"})).status, 200);
    assert_eq!(states(&mock), ["qwen3-4b loaded", "qwen2.5-vl-7b loaded"], "what was loaded by hand stays");
    let text = read_all(&mut cut, SOON).text();
    assert!(text.contains("event: error\ndata: {\"error\":{\"message\":\"Model is unloaded.\"}"), "{text}");
    assert!(!text.contains("[DONE]"));
}

#[test]
fn without_auto_evict_everything_stays() {
    let mock = started(Personality::LmStudio04, |options| options.auto_evict = false);
    chat(&mock, json!({"model": "google/gemma-3-12b"}));
    chat(&mock, json!({"model": "qwen2.5-vl-7b"}));
    assert_eq!(states(&mock).len(), 3);
}

#[test]
fn an_unload_cuts_the_generation_that_runs() {
    let mock = Mock::start(Personality::LmStudio04);
    mock.set_script(Script::new().first_token_delay(Duration::from_secs(60)));
    for stream in [true, false] {
        mock.set_models(vec![Model::new("m")]);
        let body = json!({"model": "m", "stream": stream, "messages": [{"role": "user", "content": "x"}]});
        let mut cut = send(&mock, "/v1/chat/completions", &body);
        until("it runs", || mock.instances().iter().any(|one| one.running == 1).then_some(()));
        assert_eq!(post(&mock, UNLOAD, &json!({"instance_id": "m"})).status, 200);
        let answer = read_all(&mut cut, SOON);
        assert!(answer.text().contains("Model is unloaded."), "{}", answer.text());
        assert_eq!(answer.status, if stream { 200 } else { 400 });
    }
}

#[test]
fn a_download_tells_how_far_it_is() {
    let mock =
        started(Personality::LmStudio04, |options| options.download_delay = Duration::from_millis(400));
    let begun = post(&mock, DOWNLOAD, &json!({"model": "qwen/qwen3-8b"})).json();
    assert_eq!(
        (&begun["status"], &begun["total_size_bytes"]),
        (&json!("downloading"), &json!(1_000_000_000))
    );
    let job = begun["job_id"].as_str().unwrap().to_owned();
    let status = || get(&mock, &format!("{DOWNLOAD}/status/{job}")).json();
    let half = until("some of it is here", || {
        let now = status();
        (now["downloaded_bytes"].as_u64()? > 0 && now["status"] == "downloading").then_some(now)
    });
    assert!(half["bytes_per_second"].as_u64().unwrap() > 0 && half["estimated_completion"].is_string());
    let done = until("it is here", || Some(status()).filter(|now| now["status"] == "completed"));
    assert_eq!((&done["downloaded_bytes"], done["completed_at"].is_string()), (&json!(1_000_000_000), true));
    assert!(loaded(&mock, "qwen/qwen3-8b").is_empty(), "here, and not loaded");
    let again = post(&mock, DOWNLOAD, &json!({"model": "https://huggingface.co/qwen/qwen3-8b"})).json();
    assert_eq!(again, json!({"status": "already_downloaded"}));
    assert_eq!(post(&mock, DOWNLOAD, &json!({"model": "nobody/nothing"})).status, 404);
    let missing = get(&mock, &format!("{DOWNLOAD}/status/job_none"));
    assert_eq!((missing.status, &missing.json()["error"]["type"]), (404, &json!("job_not_found")));
}

#[test]
fn a_download_fails_or_pauses() {
    for (failure, paused, expected) in
        [(Some("disk full".to_owned()), false, "failed"), (None, true, "paused")]
    {
        let mock = started(Personality::LmStudio04, |options| {
            (options.download_failure, options.download_paused) = (failure, paused);
        });
        let begun = post(&mock, DOWNLOAD, &json!({"model": "qwen/qwen3-8b"})).json();
        assert_eq!(begun["status"], expected);
        let told = get(&mock, &format!("{DOWNLOAD}/status/{}", begun["job_id"].as_str().unwrap())).json();
        assert_eq!((&told["status"], &told["downloaded_bytes"]), (&json!(expected), &json!(500_000_000)));
        assert_eq!(mock.models().len(), 4);
    }
}

#[test]
fn the_old_one_has_no_routes_to_manage() {
    let mock = Mock::start(Personality::LmStudio03);
    for path in [LOAD, UNLOAD, DOWNLOAD] {
        let answer = post(&mock, path, &json!({"model": "qwen3-4b", "instance_id": "qwen3-4b"}));
        assert!(answer.json()["error"].as_str().unwrap().starts_with("Unexpected endpoint"), "{path}");
    }
    assert_eq!(chat(&mock, json!({"model": "google/gemma-3-12b"})).status, 200);
    assert_eq!(get(&mock, "/api/v0/models").json()["data"][1]["state"], "loaded");
}

#[test]
fn an_embedding_model_is_loaded_by_an_embedding() {
    let mock = Mock::start(Personality::LmStudio04);
    let body = json!({"model": "text-embedding-nomic-embed-text-v1.5", "input": ["a", "b"], "ttl": 60});
    let made = post(&mock, "/v1/embeddings", &body).json();
    assert_eq!(made["data"].as_array().unwrap().len(), 2);
    assert_eq!(states(&mock)[1], "text-embedding-nomic-embed-text-v1.5 loaded");
    assert_eq!(get(&mock, "/mock/models").json()[3]["instances"][0]["keep_ms"], 60_000.0);
    assert_eq!(post(&mock, "/v1/embeddings", &json!({"model": "x"})).status, 400);
}
