//! The other servers that manage their models.

use std::io::ErrorKind;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use xdev_llm_mock::{Fault, Mock, Model, Personality, Script};

use crate::client::{
    chat, chat_body, exchange, get, post, read_all, request, send, started, states, until, until_sent,
};

const SOON: Duration = Duration::from_secs(10);

/// Two models, the first of them loaded.
fn two() -> Vec<Model> {
    vec![Model::new("a"), Model::new("b").unloaded()]
}

fn with_two(personality: Personality) -> Mock {
    started(personality, |options| options.models = two())
}

#[test]
fn vllm_sleeps_in_developer_mode_only() {
    let mock = Mock::start(Personality::Vllm);
    for (method, path) in [("GET", "/is_sleeping"), ("POST", "/sleep"), ("POST", "/wake_up")] {
        let missing = exchange(&mock, &request(method, path, "", ""));
        assert_eq!((missing.status, missing.json()), (404, json!({"detail": "Not Found"})), "{path}");
    }
    let mock = started(Personality::Vllm, |options| options.admin = true);
    let sleeping = || get(&mock, "/is_sleeping").json()["is_sleeping"].clone();
    let tell = |path: &str| exchange(&mock, &request("POST", path, "", ""));
    assert_eq!(sleeping(), false);
    let told = get(&mock, "/server_info?config_format=json").json();
    assert_eq!(told["vllm_config"]["model_config"]["enable_sleep_mode"], true);
    let slept = tell("/sleep?level=1");
    assert_eq!((slept.status, slept.text().as_str(), sleeping()), (200, "", json!(true)));
    assert_eq!(states(&mock), ["smollm2 sleeping"]);
    assert_eq!(get(&mock, "/health").status, 200);
    assert_eq!(get(&mock, "/v1/models").json()["data"][0]["id"], "smollm2", "the list does not tell");
    let mut waiting = send(&mock, "/v1/chat/completions", &chat_body(json!({})));
    assert!(read_all(&mut waiting, Duration::from_millis(150)).raw.is_empty(), "nothing while it sleeps");
    tell("/wake_up?tags=weights");
    assert_eq!(sleeping(), true, "half awake is asleep");
    assert_eq!(tell("/wake_up?tags=kv_cache").status, 200);
    assert!(read_all(&mut waiting, SOON).text().contains("[DONE]"));
    assert_eq!((sleeping(), get(&mock, "/sleep").status), (json!(false), 405));
}

#[test]
fn vllm_cuts_what_runs_when_it_sleeps_or_waits_for_it() {
    let mock = started(Personality::Vllm, |options| options.admin = true);
    mock.push_script(Script::new().fault(Fault::Stall { after_tokens: 1 }));
    let mut cut = send(&mock, "/v1/chat/completions", &chat_body(json!({})));
    until_sent(&mock, 1);
    exchange(&mock, &request("POST", "/sleep", "", ""));
    assert!(!read_all(&mut cut, SOON).complete());
    exchange(&mock, &request("POST", "/wake_up", "", ""));
    mock.push_script(Script::new().delay(Duration::from_millis(30)));
    let mut whole = send(&mock, "/v1/chat/completions", &chat_body(json!({})));
    until_sent(&mock, 1);
    exchange(&mock, &request("POST", "/sleep?mode=wait", "", ""));
    assert!(read_all(&mut whole, SOON).text().contains("[DONE]"));
}

#[test]
fn mistral_rs_answers_200_whatever_happens() {
    let mock = Mock::start(Personality::MistralRs);
    let real = "HuggingFaceTB/SmolLM2-135M-Instruct";
    let tell = |what: &str, model: &str| {
        let answer = post(&mock, &format!("/v1/models/{what}"), &json!({"model_id": model}));
        assert_eq!(answer.status, 200);
        answer.json()
    };
    let listed = || -> Vec<Value> {
        let list = get(&mock, "/v1/models").json();
        list["data"].as_array().unwrap().iter().map(|one| one["status"].clone()).collect()
    };
    assert_eq!(listed(), ["loaded", "loaded"], "`default` is the first of the others");
    assert_eq!(tell("unload", real), json!({"model_id": real, "status": "unloaded"}));
    assert_eq!(
        (listed(), tell("status", "default")["status"].clone()),
        (vec![json!("unloaded"); 2], json!("unloaded"))
    );
    let missing = tell("unload", "nothing");
    assert_eq!((&missing["status"], missing["error"].is_string()), (&json!("not_found"), true));
    mock.change_options(|options| options.load_failure = Some("no memory".into()));
    assert_eq!(
        tell("reload", real),
        json!({"model_id": real, "status": "internal_error", "error": "no memory"})
    );
    assert_eq!(chat(&mock, json!({"model": real})).status, 500);
    mock.change_options(|options| {
        (options.load_failure, options.load_delay) = (None, Duration::from_millis(200));
    });
    let mut waiting = send(&mock, "/v1/models/reload", &json!({"model_id": "default"}));
    until("it is on its way", || (listed() == ["reloading", "reloading"]).then_some(()));
    assert_eq!(read_all(&mut waiting, SOON).json(), json!({"model_id": "default", "status": "loaded"}));
    tell("unload", "default");
    assert_eq!(chat(&mock, json!({"model": "default"})).status, 200, "a chat loads it");
    assert_eq!(listed(), ["loaded", "loaded"]);
}

#[test]
fn text_generation_webui_asks_for_the_admin_key_and_hides_failures() {
    let mock = started(Personality::TextGenerationWebUi, |options| {
        (options.models, options.admin_key) = (two(), Some("admin".into()));
    });
    let name = || get(&mock, "/v1/internal/model/info").json()["model_name"].clone();
    let tell = |path: &str, key: &str, body: Value| {
        let headers = format!("Authorization: Bearer {key}\r\n");
        exchange(&mock, &request("POST", &format!("/v1/internal/model/{path}"), &headers, &body.to_string()))
    };
    let refused = tell("unload", "user", json!({}));
    assert_eq!(
        (refused.status, refused.json(), name()),
        (401, json!({"detail": "Unauthorized"}), json!("a"))
    );
    let loaded = tell("load", "admin", json!({"model_name": "b"}));
    assert_eq!((loaded.status, loaded.text().as_str(), name()), (200, "\"OK\"", json!("b")));
    assert_eq!(get(&mock, "/v1/models").json()["data"].as_array().unwrap().len(), 1);
    let failed = tell("load", "admin", json!({"model_name": "nothing"}));
    assert_eq!((failed.status, &failed.json()["detail"]), (200, &json!("Failed to load the model.")));
    assert_eq!(tell("unload", "admin", json!({})).text(), "\"OK\"");
    assert_eq!((name(), get(&mock, "/v1/models").json()["data"].clone()), (json!("None"), json!([])));
    assert_eq!(chat(&mock, json!({"model": "b"})).status, 503, "it loads nothing for a chat");
}

#[test]
fn tabbyapi_tells_how_far_a_load_is() {
    let mock = started(Personality::TabbyApi, |options| {
        (options.models, options.api_key, options.admin_key) =
            (two(), Some("user".into()), Some("admin".into()));
        options.load_delay = Duration::from_millis(200);
    });
    let ask = |method: &str, path: &str, key: &str, body: Value| {
        exchange(&mock, &request(method, path, &format!("x-admin-key: {key}\r\n"), &body.to_string()))
    };
    let load = |model: &str| ask("POST", "/v1/model/load", "admin", json!({"model_name": model}));
    assert_eq!(ask("GET", "/v1/model", "user", Value::Null).json()["id"], "a");
    assert_eq!(ask("GET", "/v1/models", "user", Value::Null).json()["data"].as_array().unwrap().len(), 1);
    assert_eq!(ask("GET", "/v1/models", "admin", Value::Null).json()["data"].as_array().unwrap().len(), 2);
    assert_eq!(ask("POST", "/v1/model/unload", "user", Value::Null).status, 401);
    let events = load("b");
    assert_eq!(events.header("content-type"), Some("text/event-stream"));
    let events = events.data();
    let modules: Vec<&Value> = events.iter().map(|event| &event["module"]).collect();
    assert_eq!(modules, [1, 2, 3, 4, 4]);
    assert_eq!((&events[0]["status"], &events[4]["status"]), (&json!("processing"), &json!("finished")));
    assert_eq!(ask("GET", "/v1/model", "user", Value::Null).json()["id"], "b");
    assert!(load("b").text().contains("already loaded"));
    let missing = load("nothing");
    assert_eq!((missing.status, missing.json()["detail"].is_string()), (400, true));
    assert_eq!(ask("POST", "/v1/model/unload", "admin", Value::Null).status, 200);
    let none = ask("GET", "/v1/model", "user", Value::Null);
    assert_eq!((none.status, none.json()), (400, json!({"detail": "No models are currently loaded."})));
    assert_eq!(ask("POST", "/v1/model/unload", "admin", Value::Null).status, 400);
    mock.change_options(|options| {
        (options.load_failure, options.load_delay) = (Some("no memory".into()), Duration::ZERO);
    });
    let failed = load("a").data();
    assert_eq!(failed.last().unwrap()["error"]["message"], "no memory");
}

#[test]
fn tabbyapi_gives_a_load_up_with_its_client() {
    let mock = started(Personality::TabbyApi, |options| {
        (options.models, options.load_delay) = (two(), Duration::from_secs(60));
    });
    let waiting = send(&mock, "/v1/model/load", &json!({"model_name": "b"}));
    until("it begins", || (states(&mock) == ["b loading"]).then_some(()));
    drop(waiting);
    until("it is given up", || states(&mock).is_empty().then_some(()));
}

#[test]
fn koboldcpp_starts_anew_to_change_its_model() {
    let mock = started(Personality::KoboldCpp, |options| {
        options.models = vec![Model::new("koboldcpp/a"), Model::new("koboldcpp/b").unloaded()];
        (options.admin, options.load_delay) = (true, Duration::from_millis(300));
    });
    let name = |mock: &Mock| get(mock, "/api/v1/model").json()["result"].clone();
    assert_eq!(get(&mock, "/api/extra/version").json()["admin"], 1);
    assert_eq!(get(&mock, "/api/admin/list_options").json(), json!(["a.kcpps", "b.kcpps", "unload_model"]));
    mock.set_script(Script::new().fault(Fault::Stall { after_tokens: 1 }));
    let mut cut = send(&mock, "/v1/chat/completions", &chat_body(json!({})));
    until_sent(&mock, 1);
    let reload = |file: &str| post(&mock, "/api/admin/reload_config", &json!({"filename": file}));
    assert_eq!(reload("nothing.kcpps").json(), json!({"success": false}));
    assert_eq!(reload("b.kcpps").json(), json!({"success": true}));
    assert!(!read_all(&mut cut, SOON).complete(), "connections break");
    until("it is away", || match TcpStream::connect(mock.address()) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Some(()),
        _ => None,
    });
    until("it is back", || TcpStream::connect(mock.address()).ok());
    assert_eq!(name(&mock), "koboldcpp/b");
    mock.change_options(|options| options.load_delay = Duration::ZERO);
    assert_eq!(reload("unload_model").json(), json!({"success": true}));
    until("it is back", || {
        let seen = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| name(&mock))).ok();
        (seen? == "inactive").then_some(())
    });
    assert_eq!(get(&mock, "/v1/models").json()["data"][0]["id"], "inactive");
}

#[test]
fn koboldcpp_without_admin_does_nothing() {
    let mock = Mock::start(Personality::KoboldCpp);
    assert_eq!(get(&mock, "/api/extra/version").json()["admin"], 0);
    assert_eq!(get(&mock, "/api/admin/list_options").json(), json!([]));
    let refused = post(&mock, "/api/admin/reload_config", &json!({"filename": "unload_model"}));
    assert_eq!((refused.status, refused.json()), (200, json!({"success": false})));
    let guarded = started(Personality::KoboldCpp, |options| {
        (options.admin, options.admin_key) = (true, Some("secret".into()));
    });
    assert_eq!(get(&guarded, "/api/extra/version").json()["admin"], 2);
    assert_eq!(get(&guarded, "/api/admin/list_options").json(), json!([]));
}

#[test]
fn llama_swap_swaps_and_tells_what_runs() {
    let mock = started(Personality::LlamaSwap, |options| {
        options.models = two();
        (options.load_delay, options.unload_delay) = (Duration::from_millis(200), Duration::from_millis(200));
    });
    let running = || -> Vec<String> {
        let list = get(&mock, "/running").json();
        let entry =
            |one: &Value| format!("{} {}", one["model"].as_str().unwrap(), one["state"].as_str().unwrap());
        list["running"].as_array().unwrap().iter().map(entry).collect()
    };
    assert_eq!(running(), ["a ready"]);
    let mut waiting = send(&mock, "/v1/chat/completions", &chat_body(json!({"model": "b"})));
    until("the first one stops", || (running() == ["a stopping"]).then_some(()));
    until("then the other starts", || (running() == ["b starting"]).then_some(()));
    assert!(read_all(&mut waiting, SOON).text().contains("[DONE]"));
    assert_eq!(post(&mock, "/api/models/unload/b", &Value::Null).json(), json!({"msg": "ok"}));
    assert_eq!(running(), ["b stopping"]);
    until("it is gone", || running().is_empty().then_some(()));
    assert_eq!(post(&mock, "/api/models/unload/nothing", &Value::Null).status, 404);
    let health = get(&mock, "/upstream/a/health");
    assert_eq!((health.status, running()), (200, vec!["a ready".to_owned()]));
    assert_eq!(get(&mock, "/unload").text(), "OK");
    until("it is gone", || running().is_empty().then_some(()));
    let statuses: Value = get(&mock, "/v1/models").json()["data"][0]["status"].clone();
    assert_eq!(statuses, json!({"value": "unloaded"}));
    mock.change_options(|options| options.load_failure = Some("exit status 1".into()));
    let failed = get(&mock, "/upstream/a/health");
    assert_eq!((failed.status, failed.text().contains("exit status 1")), (502, true));
    assert_eq!(chat(&mock, json!({"model": "a"})).status, 502);
}

#[test]
fn llama_swap_waits_for_what_runs() {
    let mock = with_two(Personality::LlamaSwap);
    mock.push_script(Script::new().text("a b c").delay(Duration::from_millis(100)));
    let mut first = send(&mock, "/v1/chat/completions", &chat_body(json!({"model": "a"})));
    until_sent(&mock, 1);
    assert_eq!(chat(&mock, json!({"model": "b"})).status, 200);
    assert!(read_all(&mut first, SOON).complete(), "the swap waited");
}

#[test]
fn lemonade_loads_unloads_and_pulls() {
    let mock = started(Personality::Lemonade, |options| {
        (options.models, options.download_delay) = (two(), Duration::from_millis(100));
    });
    let loaded = || -> Vec<Value> {
        let health = get(&mock, "/v1/health").json();
        health["all_models_loaded"].as_array().unwrap().iter().map(|one| one["model_name"].clone()).collect()
    };
    let tell = |what: &str, body: Value| post(&mock, &format!("/api/v1/{what}"), &body);
    assert_eq!(loaded(), ["a"]);
    let said = tell("load", json!({"model_name": "b", "ctx_size": 1024}));
    assert_eq!(
        (said.status, said.json()["message"].as_str().unwrap(), loaded()),
        (200, "Loaded model: b", vec![json!("b")])
    );
    let health = get(&mock, "/v1/health").json();
    assert_eq!(health["all_models_loaded"][0]["recipe_options"]["ctx_size"], 1024);
    let missing = tell("unload", json!({"model_name": "a"}));
    assert_eq!(missing.json(), json!({"status": "error", "message": "Model not found: a"}));
    assert_eq!(tell("unload", json!({"model_name": "b"})).json()["status"], "success");
    assert!(loaded().is_empty() && get(&mock, "/v1/health").json()["model_loaded"].is_null());
    assert_eq!(chat(&mock, json!({"model": "a"})).status, 200, "a chat loads it");
    assert_eq!((tell("unload", Value::Null).status, loaded().len()), (200, 0));
    assert_eq!(get(&mock, "/v1/load").status, 405);
    mock.change_options(|options| options.load_failure = Some("no memory".into()));
    assert_eq!(
        tell("load", json!({"model_name": "a"})).json(),
        json!({"status": "error", "message": "no memory"})
    );

    let pulled = tell("pull", json!({"model_name": "Qwen3-0.6B-GGUF", "stream": true}));
    let names: Vec<String> =
        pulled.text().lines().filter_map(|line| line.strip_prefix("event: ").map(str::to_owned)).collect();
    assert!(names.len() > 2 && names[0] == "progress" && names.last().unwrap() == "complete", "{names:?}");
    assert_eq!(pulled.data()[names.len() - 2]["percent"], 100);
    assert_eq!(mock.models().len(), 3);
    assert_eq!(tell("pull", json!({"model_name": "Qwen3-0.6B-GGUF"})).json()["status"], "success");
    assert_eq!(tell("pull", json!({"model_name": "nothing"})).status, 404);
    assert_eq!(tell("delete", json!({"model_name": "Qwen3-0.6B-GGUF"})).json()["status"], "success");
    mock.change_options(|options| options.download_failure = Some("disk full".into()));
    let failed = tell("pull", json!({"model_name": "Qwen3-0.6B-GGUF", "stream": true}));
    assert!(
        failed.text().ends_with("event: error\ndata: {\"error\":\"disk full\"}\n\n"),
        "{}",
        failed.text()
    );
}

#[test]
fn localai_shuts_backends_down_by_name() {
    let mock = with_two(Personality::LocalAi);
    let loaded = || get(&mock, "/api/ps").json()["models"].as_array().unwrap().len();
    assert_eq!((loaded(), get(&mock, "/backend/monitor?model=a").json()["state"].clone()), (1, json!(2)));
    assert_eq!(get(&mock, "/backend/monitor?model=b").status, 500);
    assert_eq!(post(&mock, "/backend/load", &json!({"model": "b"})).status, 200);
    assert_eq!(get(&mock, "/system").json()["loaded_models"], json!([{"id": "a"}, {"id": "b"}]));
    for model in ["a", "b"] {
        assert_eq!(post(&mock, "/backend/shutdown", &json!({"model": model})).status, 200);
    }
    let missing = post(&mock, "/backend/shutdown", &json!({"model": "b"}));
    assert_eq!((missing.status, &missing.json()["error"]["code"], loaded()), (500, &json!(500), 0));
    assert_eq!((chat(&mock, json!({"model": "a"})).status, loaded()), (200, 1));
}

#[test]
fn docker_model_runner_counts_what_it_unloads() {
    let mock = with_two(Personality::DockerModelRunner);
    let running = || -> Vec<Value> {
        get(&mock, "/engines/ps")
            .json()
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["model_name"].clone())
            .collect()
    };
    chat(&mock, json!({"model": "b"}));
    assert_eq!(running(), ["a", "b"]);
    let unload = |body: Value| post(&mock, "/engines/unload", &body).json()["unloaded_runners"].clone();
    assert_eq!((unload(json!({"models": ["b", "nothing"]})), running()), (json!(1), vec![json!("a")]));
    assert_eq!(
        (unload(json!({"all": true})), unload(json!({"all": true})), running().len()),
        (json!(1), json!(0), 0)
    );
}

#[test]
fn a_restart_does_not_outlive_the_mock() {
    let mock = started(Personality::KoboldCpp, |options| {
        (options.admin, options.load_delay) = (true, Duration::from_secs(60));
    });
    post(&mock, "/api/admin/reload_config", &json!({"filename": "unload_model"}));
    let (address, begun) = (mock.address(), Instant::now());
    drop(mock);
    assert!(begun.elapsed() < Duration::from_secs(20));
    assert!(TcpStream::connect(address).is_err());
}
