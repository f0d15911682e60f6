//! Ollama's models and memory.

use std::io::Read;
use std::time::Duration;

use serde_json::{Value, json};
use xdev_llm_mock::{Fault, Mock, Model, Personality, Script};

use crate::client::{chat, exchange, get, post, read_all, request, send, started, states, until, until_sent};

const SOON: Duration = Duration::from_secs(10);

fn ps(mock: &Mock) -> Vec<Value> {
    get(mock, "/api/ps").json()["models"].as_array().unwrap().clone()
}

fn names(mock: &Mock) -> Vec<String> {
    ps(mock).iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect()
}

fn generate(mock: &Mock, body: Value) -> Value {
    post(mock, "/api/generate", &body).json()
}

#[test]
fn ps_tells_size_memory_context_and_end() {
    let mock = Mock::start(Personality::Ollama);
    generate(&mock, json!({"model": "llama3.2", "options": {"num_ctx": 1000}}));
    let entry = ps(&mock)[1].clone();
    assert_eq!((&entry["name"], &entry["context_length"]), (&json!("llama3.2:latest"), &json!(1000)));
    assert_eq!(entry["size"], 2_500_000_000_u64 + 147_456 * 1000);
    assert_eq!(entry["size_vram"], entry["size"]);
    assert!(entry["expires_at"].as_str().unwrap().starts_with("20"));
    generate(&mock, json!({"model": "llama3.2", "options": {"num_ctx": 1000}, "keep_alive": -1}));
    assert!(ps(&mock)[1]["expires_at"].as_str().unwrap().starts_with("2318-"), "for ever");
}

#[test]
fn keep_alive_is_reset_by_every_request() {
    let mock = Mock::start(Personality::Ollama);
    let keep = || get(&mock, "/mock/models").json()[0]["instances"][0]["keep_ms"].clone();
    let load = |value: Value| generate(&mock, json!({"model": "qwen3:4b", "keep_alive": value}));
    assert_eq!(keep(), 300_000.0);
    assert_eq!(load(json!("1h30m"))["done_reason"], "load");
    assert_eq!(keep(), 5_400_000.0);
    load(json!(60));
    assert_eq!(keep(), 60_000.0);
    load(json!("-1m"));
    assert_eq!(keep(), Value::Null);
    // The OpenAI route knows no keep_alive, and sets the usual one.
    chat(&mock, json!({"model": "qwen3:4b"}));
    assert_eq!(keep(), 300_000.0);
    load(json!("1s"));
    until("it expires", || names(&mock).is_empty().then_some(()));
}

#[test]
fn an_unload_is_answered_at_once_and_ps_tells_when_it_is_done() {
    let mock = started(Personality::Ollama, |options| options.unload_delay = Duration::from_millis(300));
    let said = generate(&mock, json!({"model": "qwen3:4b", "keep_alive": 0}));
    assert_eq!(
        (&said["done"], &said["done_reason"], &said["response"]),
        (&json!(true), &json!("unload"), &json!(""))
    );
    assert_eq!(names(&mock), ["qwen3:4b"]);
    until("it is gone", || names(&mock).is_empty().then_some(()));
    // What is not there is unloaded all the same.
    assert_eq!(generate(&mock, json!({"model": "qwen3:4b", "keep_alive": 0}))["done_reason"], "unload");
    assert_eq!(get(&mock, "/mock/models").json()[0]["unloads"], 1);
}

#[test]
fn a_model_that_works_goes_when_it_has_ended() {
    let mock = Mock::start(Personality::Ollama);
    mock.push_script(Script::new().text("a b c").delay(Duration::from_millis(150)));
    let body = json!({"model": "qwen3:4b", "messages": [{"role": "user", "content": "x"}]});
    let mut working = send(&mock, "/api/chat", &body);
    until_sent(&mock, 1);
    let unload = json!({"model": "qwen3:4b", "messages": [], "keep_alive": 0});
    assert_eq!(post(&mock, "/api/chat", &unload).json()["done_reason"], "unload");
    assert_eq!(names(&mock), ["qwen3:4b"], "it still works");
    assert!(read_all(&mut working, SOON).text().contains("\"done\":true"), "and is not cut");
    until("then it goes", || names(&mock).is_empty().then_some(()));
}

#[test]
fn an_unload_that_sticks_stays_in_ps() {
    let mock = started(Personality::Ollama, |options| options.unload_sticks = true);
    assert_eq!(generate(&mock, json!({"model": "qwen3:4b", "keep_alive": 0}))["done_reason"], "unload");
    assert_eq!(names(&mock), ["qwen3:4b"]);
}

#[test]
fn another_context_loads_anew() {
    let mock = Mock::start(Personality::Ollama);
    let reloads = || get(&mock, "/mock/models").json()[0]["reloads"].clone();
    let ask = |options: Value| {
        let body = json!({"model": "qwen3:4b", "prompt": "x", "stream": false, "options": options});
        generate(&mock, body)
    };
    assert!(ask(json!({})).get("load_duration").is_none());
    assert!(ask(json!({"num_ctx": 2048}))["load_duration"].as_u64().unwrap() > 0);
    assert_eq!((reloads(), ps(&mock)[0]["context_length"].clone()), (json!(1), json!(2048)));
    assert!(ask(json!({"num_ctx": 2048, "temperature": 1})).get("load_duration").is_none());
    // A request that does not say falls back to the usual one, and loads again.
    chat(&mock, json!({"model": "qwen3:4b"}));
    assert_eq!((reloads(), ps(&mock)[0]["context_length"].clone()), (json!(2), json!(8192)));
}

#[test]
fn an_embedding_model_is_loaded_by_an_embedding_and_unloaded_like_all() {
    let mock = Mock::start(Personality::Ollama);
    let refused = post(&mock, "/api/generate", &json!({"model": "nomic-embed-text"}));
    assert_eq!(refused.json()["error"], "\"nomic-embed-text:latest\" does not support generate");
    let refused = post(&mock, "/api/chat", &json!({"model": "nomic-embed-text", "messages": []}));
    assert_eq!(
        (refused.status, &refused.json()["error"]),
        (400, &json!("\"nomic-embed-text:latest\" does not support chat"))
    );
    let made = post(&mock, "/api/embed", &json!({"model": "nomic-embed-text", "input": ["ab", "c"]})).json();
    assert_eq!(made["embeddings"].as_array().unwrap().len(), 2);
    assert_eq!(names(&mock), ["qwen3:4b", "nomic-embed-text:latest"]);
    let unloaded = generate(&mock, json!({"model": "nomic-embed-text", "keep_alive": 0}));
    assert_eq!((&unloaded["done_reason"], names(&mock)), (&json!("unload"), vec!["qwen3:4b".to_owned()]));
    assert_eq!(post(&mock, "/api/embed", &json!({"model": "nomic-embed-text", "input": {}})).status, 400);
}

#[test]
fn a_load_is_silent_listed_and_given_up_with_its_client() {
    let mock = started(Personality::Ollama, |options| options.load_delay = Duration::from_secs(60));
    let waiting = send(&mock, "/api/generate", &json!({"model": "llama3.2"}));
    until("the load begins", || (names(&mock).len() == 2).then_some(()));
    assert_eq!(states(&mock)[1], "llama3.2:latest loading");
    drop(waiting);
    until("it is given up", || (names(&mock).len() == 1).then_some(()));
    mock.change_options(|options| {
        options.load_delay = Duration::ZERO;
        options.load_failure = Some("llama runner process has terminated: exit status 2".into());
    });
    let failed = post(&mock, "/api/generate", &json!({"model": "llama3.2"}));
    assert_eq!((failed.status, names(&mock).len()), (500, 1));
    assert!(failed.json()["error"].as_str().unwrap().contains("has terminated"));
    assert_eq!(chat(&mock, json!({"model": "llama3.2"})).json()["error"]["type"], "api_error");
}

#[test]
fn the_one_used_longest_ago_gives_way_unless_it_works() {
    let models = |options: &mut xdev_llm_mock::Options| {
        options.models = ["a", "b", "c"].map(|id| Model::new(id).unloaded()).to_vec();
        options.max_loaded = Some(2);
    };
    let mock = started(Personality::Ollama, models);
    for id in ["a", "b", "a", "c"] {
        generate(&mock, json!({"model": id}));
    }
    assert_eq!(names(&mock), ["a", "c"]);

    let mock = started(Personality::Ollama, models);
    mock.push_script(Script::new().fault(Fault::Stall { after_tokens: 1 }));
    let body = json!({"model": "a", "prompt": "x"});
    let working = send(&mock, "/api/generate", &body);
    until_sent(&mock, 1);
    generate(&mock, json!({"model": "b"}));
    generate(&mock, json!({"model": "c"}));
    assert_eq!(names(&mock), ["a", "c"], "`a` works, so `b` goes");
    mock.push_script(Script::new().fault(Fault::Stall { after_tokens: 1 }));
    let second = send(&mock, "/api/generate", &json!({"model": "c", "prompt": "x"}));
    until_sent(&mock, 1);
    let mut third = send(&mock, "/api/generate", &json!({"model": "b"}));
    let silence = read_all(&mut third, Duration::from_millis(150));
    assert!(silence.raw.is_empty(), "both work, so it waits");
    drop(working);
    assert_eq!(read_all(&mut third, SOON).json()["done_reason"], "load");
    assert_eq!(names(&mock), ["c", "b"]);
    drop(second);
}

#[test]
fn what_does_not_fit_gives_way_and_then_spills() {
    let mock = started(Personality::Ollama, |options| {
        options.models = vec![
            Model::new("a").vram(600),
            Model::new("b").vram(700).unloaded(),
            Model::new("c").vram(1500).unloaded(),
        ];
        options.vram_total_bytes = Some(1000);
    });
    generate(&mock, json!({"model": "b"}));
    assert_eq!(names(&mock), ["b"], "both do not fit");
    generate(&mock, json!({"model": "c"}));
    let entry = ps(&mock)[0].clone();
    assert_eq!(
        (&entry["name"], &entry["size"], &entry["size_vram"]),
        (&json!("c"), &json!(1500), &json!(1000))
    );
}

#[test]
fn show_tells_what_a_context_takes() {
    let mock = Mock::start(Personality::Ollama);
    let info = post(&mock, "/api/show", &json!({"model": "qwen3:4b"})).json()["model_info"].clone();
    assert_eq!(info["general.architecture"], "qwen3");
    for (name, value) in [
        ("block_count", 36),
        ("attention.head_count", 32),
        ("attention.head_count_kv", 8),
        ("attention.key_length", 128),
        ("embedding_length", 2560),
        ("context_length", 8192),
    ] {
        assert_eq!(info[format!("qwen3.{name}")], value, "{name}");
    }
}

#[test]
fn a_pull_brings_two_layers_side_by_side() {
    let mock = started(Personality::Ollama, |options| options.download_delay = Duration::from_millis(100));
    let answer = post(&mock, "/api/pull", &json!({"model": "gemma3:1b"}));
    assert_eq!(answer.header("content-type"), Some("application/x-ndjson"));
    let lines = answer.lines();
    assert_eq!(lines[0], json!({"status": "pulling manifest"}));
    assert!(lines[1].get("completed").is_none() && lines[1]["total"].is_u64());
    assert_ne!(lines[1]["digest"], lines[2]["digest"]);
    let layers: Vec<&Value> = lines.iter().filter(|line| line["completed"].is_u64()).collect();
    assert!(layers.windows(2).all(|two| two[0]["digest"] != two[1]["digest"]), "one after the other in turn");
    assert!(layers[layers.len() - 2..].iter().all(|layer| layer["completed"] == layer["total"]));
    assert_eq!(lines.last().unwrap(), &json!({"status": "success"}));
    assert!(answer.complete());
    // Once here, it is told at once.
    let again = post(&mock, "/api/pull", &json!({"name": "gemma3:1b"})).lines();
    assert_eq!((again.len(), &again[1]["completed"]), (6, &again[1]["total"]));
    assert_eq!(
        post(&mock, "/api/pull", &json!({"model": "gemma3:1b", "stream": false})).json(),
        json!({"status": "success"})
    );
}

#[test]
fn a_failed_pull_is_a_line_with_status_200() {
    let mock =
        started(Personality::Ollama, |options| options.download_failure = Some("connection reset".into()));
    let unknown = post(&mock, "/api/pull", &json!({"model": "nothing"}));
    assert_eq!(unknown.status, 200);
    assert_eq!(unknown.lines()[1], json!({"error": "pull model manifest: file does not exist"}));
    let failed = post(&mock, "/api/pull", &json!({"model": "gemma3:1b"}));
    assert_eq!((failed.status, failed.lines().pop().unwrap()), (200, json!({"error": "connection reset"})));
    assert_eq!(post(&mock, "/api/pull", &json!({"model": "gemma3:1b", "stream": false})).status, 500);
    assert_eq!(mock.models().len(), 4);
}

#[test]
fn a_pull_ends_with_its_client() {
    let mock = started(Personality::Ollama, |options| options.download_delay = Duration::from_millis(300));
    let mut stream = send(&mock, "/api/pull", &json!({"model": "gemma3:1b"}));
    stream.read_exact(&mut [0; 400]).unwrap();
    drop(stream);
    until("it is seen to go", || mock.requests()[0].client_closed);
    std::thread::sleep(Duration::from_millis(350));
    assert_eq!(mock.models().len(), 4, "and nothing came");
}

#[test]
fn a_deleted_model_is_gone_from_disk_and_memory() {
    let mock = Mock::start(Personality::Ollama);
    let delete = |model: &str| {
        exchange(&mock, &request("DELETE", "/api/delete", "", &json!({"model": model}).to_string()))
    };
    let gone = delete("qwen3:4b");
    assert_eq!((gone.status, gone.text().as_str()), (200, ""));
    assert_eq!(
        (names(&mock).len(), get(&mock, "/api/tags").json()["models"].as_array().unwrap().len()),
        (0, 3)
    );
    assert_eq!(delete("qwen3:4b").json(), json!({"error": "model 'qwen3:4b' not found"}));
}
