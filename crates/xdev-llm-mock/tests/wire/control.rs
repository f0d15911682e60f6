//! The control routes that tell and take models and options, and the limits that hold on every server.

use std::time::Duration;

use serde_json::{Value, json};
use xdev_llm_mock::{InstanceState, Mock, Model, ModelKind, Personality, Shape};

use crate::client::{chat, get, post, send, started, states, until};

#[test]
fn models_are_told_and_taken_as_json() {
    let mock = Mock::start(Personality::LmStudio04);
    let told = get(&mock, "/mock/models").json();
    assert_eq!(told[0]["id"], "qwen3-4b");
    let instance = &told[0]["instances"][0];
    assert_eq!((&instance["state"], &instance["running"]), (&json!("loaded"), &json!(0)));
    assert_eq!(instance["context_length"], 4096);
    let new = json!([{"id": "big", "size_bytes": 7, "vram_bytes": 9, "quantization": "Q8_0", "thinking": true},
        {"id": "e", "kind": "embedding", "loaded": false}]);
    assert_eq!(post(&mock, "/mock/models", &new).json(), json!({"ok": true}));
    let ids: Vec<Value> = get(&mock, "/api/v1/models").json()["models"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["key"].clone())
        .collect();
    assert_eq!(ids, ["big", "e"]);
    let models = mock.models();
    assert_eq!((models[0].size_bytes, models[0].vram_bytes, models[0].loaded), (7, Some(9), true));
    assert_eq!((models[1].kind, models[1].loaded, models[1].tools), (ModelKind::Embedding, false, false));
    // One more, and a change of one.
    post(&mock, "/mock/models", &json!("third"));
    post(&mock, "/mock/models", &json!({"id": "big", "size_bytes": 8}));
    let models = mock.models();
    assert_eq!((models.len(), models[0].size_bytes, models[0].vram_bytes), (3, 8, Some(9)));
    for bad in [json!(1), json!({}), json!({"id": "a", "colour": 1}), json!({"id": "a", "loaded": "yes"})] {
        let answer = post(&mock, "/mock/models", &bad);
        assert_eq!(answer.status, 400, "{bad}: {}", answer.text());
    }
    assert_eq!(mock.models().len(), 3, "nothing wrong is taken");
    assert!(mock.requests().iter().all(|request| !request.path.starts_with("/mock/")));
}

#[test]
fn options_change_while_the_server_runs() {
    let mock = Mock::start(Personality::LmStudio04);
    let told = get(&mock, "/mock/options").json();
    assert_eq!((&told["load_delay_ms"], &told["load_failure"]), (&json!(0.0), &Value::Null));
    let taken = post(&mock, "/mock/options", &json!({"load_failure": "no luck", "max_loaded": null}));
    assert_eq!(taken.json(), json!({"ok": true}));
    let failed = post(&mock, "/api/v1/models/load", &json!({"model": "google/gemma-3-12b"}));
    assert!(failed.text().contains("no luck"), "{}", failed.text());
    // All or nothing: what comes before the wrong one is not taken either.
    let wrong = post(&mock, "/mock/options", &json!({"load_failure": null, "unload_sticks": 3}));
    assert_eq!(wrong.status, 400);
    assert_eq!(get(&mock, "/mock/options").json()["load_failure"], "no luck");
    assert_eq!(post(&mock, "/mock/options", &json!({"colour": 3})).status, 400);
    mock.change_options(|options| options.load_failure = None);
    assert_eq!(post(&mock, "/api/v1/models/load", &json!({"model": "google/gemma-3-12b"})).status, 200);
}

#[test]
fn a_model_takes_its_file_and_its_context() {
    let model = Model::new("m").size(1000).shape(Shape {
        block_count: 1,
        head_count_kv: 2,
        key_length: 3,
        ..Shape::TEXT
    });
    assert_eq!(model.memory_bytes(10), 1000 + 4 * 2 * 3 * 10);
    assert_eq!(model.vram(5).memory_bytes(10), 5);
}

#[test]
fn a_load_beyond_the_gpu_fails_as_that_server_says() {
    let models =
        || vec![Model::new("small").vram(10).unloaded(), Model::new("large").vram(1 << 40).unloaded()];
    let mock = started(Personality::LmStudio04, |options| {
        options.models = models();
        options.vram_total_bytes = Some(1000);
    });
    assert_eq!(post(&mock, "/api/v1/models/load", &json!({"model": "small"})).status, 200);
    let refused = post(&mock, "/api/v1/models/load", &json!({"model": "large"}));
    assert_eq!(refused.status, 500);
    assert!(refused.text().contains("insufficient system resources"), "{}", refused.text());
    assert_eq!(states(&mock), ["small loaded", "large failed"]);

    let mock = started(Personality::Ollama, |options| {
        options.models = models();
        (options.vram_total_bytes, options.ram_total_bytes) = (Some(1000), Some(1000));
    });
    let refused = post(&mock, "/api/generate", &json!({"model": "large"}));
    assert_eq!(refused.status, 500);
    assert!(refused.text().contains("requires more system memory (1024.0 GiB)"), "{}", refused.text());
}

#[test]
fn a_model_that_comes_and_goes_is_said_to() {
    let mock = started(Personality::LlamaSwap, |options| {
        options.models = vec![Model::new("m").unloaded()];
        options.load_delay = Duration::from_secs(60);
    });
    let waiting = send(&mock, "/v1/chat/completions", &json!({"model": "m", "messages": [{"content": "x"}]}));
    until("the load begins", || (states(&mock) == ["m loading"]).then_some(()));
    assert!(!mock.models()[0].loaded);
    drop(waiting);
    until("it is seen to go", || mock.requests()[0].client_closed);
    assert_eq!(states(&mock), ["m loading"], "it goes on without the client");
    mock.set_models(vec![Model::new("m")]);
    assert_eq!(mock.instances()[0].state, InstanceState::Loaded);
    assert_eq!(chat(&mock, json!({"model": "m"})).status, 200);
}
