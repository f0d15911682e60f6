//! The shapes of llama.cpp and vLLM against recorded exchanges: the same keys, the same types.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use xdev_llm_mock::{Mock, Options, Personality, Script};

use crate::client::{Answer, chat, chat_body, exchange, get, post, request};

fn recorded(name: &str) -> Answer {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    Answer::parse(std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())), false)
}

/// Every path in a JSON value with the type found there; whole and broken numbers are one type.
fn shape(value: &Value) -> BTreeSet<String> {
    fn walk(value: &Value, path: &str, found: &mut BTreeSet<String>) {
        let kind = match value {
            Value::Null => "null",
            Value::Bool(_) => "bool",
            Value::Number(_) => "number",
            Value::String(_) => "string",
            Value::Array(items) => {
                for item in items {
                    walk(item, &format!("{path}[]"), found);
                }
                "array"
            }
            Value::Object(fields) => {
                for (name, field) in fields {
                    walk(field, &format!("{path}.{name}"), found);
                }
                "object"
            }
        };
        found.insert(format!("{path}: {kind}"));
    }
    let mut found = BTreeSet::new();
    walk(value, "", &mut found);
    found
}

/// The shapes of a stream in order of first appearance.
fn shapes(answer: &Answer) -> Vec<BTreeSet<String>> {
    let mut seen = Vec::new();
    for chunk in answer.data() {
        let shape = shape(&chunk);
        if !seen.contains(&shape) {
            seen.push(shape);
        }
    }
    seen
}

fn assert_same(mock: &Answer, name: &str) {
    let recorded = recorded(name);
    assert_eq!(mock.status, recorded.status, "{name}");
    assert_eq!(mock.header("content-type"), recorded.header("content-type"), "{name}");
    assert_eq!(mock.header("server"), recorded.header("server"), "{name}");
    let both = (serde_json::from_slice(&mock.body), serde_json::from_slice(&recorded.body));
    if let (Ok(mock), Ok(recorded)) = both {
        assert_eq!(shape(&mock), shape(&recorded), "{name}");
    } else {
        assert_eq!(mock.body, recorded.body, "{name}");
    }
}

fn assert_same_stream(mock: &Answer, name: &str) {
    let recorded = recorded(name);
    assert_eq!(mock.header("content-type"), recorded.header("content-type"), "{name}");
    assert_eq!(shapes(mock), shapes(&recorded), "{name}");
    assert!(
        mock.text().ends_with("data: [DONE]\n\n") && recorded.text().ends_with("data: [DONE]\n\n"),
        "{name}"
    );
}

fn ask(mock: &Mock, fields: Value) -> Answer {
    chat(mock, fields)
}

const CALL: (&str, &str, &str) = ("LpCG84", "get_weather", "{\n\n\"city\": \"Paris\"\n}");

#[test]
fn llamacpp_bodies_are_as_recorded() {
    let mock = Mock::start(Personality::LlamaCpp);
    assert_same(&get(&mock, "/v1/models"), "llama.cpp/get_models.resp");
    assert_same(&get(&mock, "/props"), "llama.cpp/get_props.resp");
    assert_same(&get(&mock, "/slots"), "llama.cpp/get_slots.resp");
    assert_same(&get(&mock, "/nothing"), "llama.cpp/get_404.resp");
    assert_same(&post(&mock, "/tokenize", &json!({"content": "Hello"})), "llama.cpp/tokenize.resp");
    assert_same(&ask(&mock, json!({"stream": false})), "llama.cpp/chat_basic.resp");
    assert_same(&post(&mock, "/v1/chat/completions", &json!({})), "llama.cpp/chat_no_messages.resp");
    mock.push_script(Script::new().tokens(Vec::<String>::new()).tool_call(CALL.0, CALL.1, CALL.2));
    assert_same(&ask(&mock, json!({"stream": false})), "llama.cpp/chat_tools_required.resp");
    mock.push_script(Script::new().tokens(Vec::<String>::new()).reasoning("Paris is"));
    assert_same(&ask(&mock, json!({"stream": false})), "llama.cpp/reasoning.resp");
}

/// An exchange with the router, from the project's own recordings.
fn router(name: &str) -> String {
    format!("../../../../fixtures/llama-server-b11434-router/{name}.resp")
}

#[test]
fn the_router_is_as_recorded() {
    let mock = Mock::start(Personality::LlamaCppRouter);
    for path in ["/models", "/v1/models"] {
        assert_same(&get(&mock, path), &router("get_models"));
    }
    assert_same(&get(&mock, "/props"), &router("get_props"));
    for path in ["/metrics", "/slots"] {
        assert_eq!(get(&mock, path).body, recorded(&router("chat_no_model")).body);
    }
    for path in ["/health", "/v1/health"] {
        assert_same(&get(&mock, path), &router("get_health"));
    }
    assert_same(&get(&mock, "/"), &router("get_root"));
    assert_same(&get(&mock, "/api/tags"), &router("get_404"));
    assert_eq!(ask(&mock, json!({})).body, recorded(&router("chat_no_model")).body);
    let unknown = ask(&mock, json!({"model": "no-such-model-xyz"}));
    assert_eq!(unknown.body, recorded(&router("chat_unknown_model")).body);
    let named = json!({"model": "SmolLM2-135M-Instruct.Q4_1", "stream": false});
    assert_same(&ask(&mock, named), &router("chat_basic"));
    let usage = json!({"model": "SmolLM2-135M-Instruct.Q4_1", "stream_options": {"include_usage": true}});
    assert_same_stream(&ask(&mock, usage), &router("chat_stream_usage"));
}

#[test]
fn llamacpp_streams_are_as_recorded() {
    let mock = Mock::start(Personality::LlamaCpp);
    assert_same_stream(&ask(&mock, json!({})), "llama.cpp/chat_stream.resp");
    let usage = json!({"stream_options": {"include_usage": true}});
    assert_same_stream(&ask(&mock, usage.clone()), "llama.cpp/chat_stream_usage.resp");
    assert_same_stream(&ask(&mock, json!({"return_progress": true})), "llama.cpp/chat_return_progress.resp");
    mock.push_script(Script::new().tokens(Vec::<String>::new()).tool_call(CALL.0, CALL.1, CALL.2));
    assert_same_stream(&ask(&mock, usage.clone()), "llama.cpp/chat_tools_required_stream.resp");
    mock.push_script(Script::new().tokens(Vec::<String>::new()).reasoning("Paris is"));
    assert_same_stream(&ask(&mock, usage), "llama.cpp/reasoning_stream.resp");
}

#[test]
fn llamacpp_refusals_are_as_recorded() {
    let mut options = Options::from(Personality::LlamaCpp);
    options.context = Some(20);
    let mock = Mock::start_with(options.clone()).unwrap();
    assert_same(&ask(&mock, json!({})), "llama.cpp/chat_overlong.resp");
    options.api_key = Some("secret".into());
    let mock = Mock::start_with(options.clone()).unwrap();
    assert_same(&ask(&mock, json!({})), "llama.cpp/wrong_key.resp");
    options.script = Script::new().loading(Duration::from_secs(60));
    let mock = Mock::start_with(options).unwrap();
    for path in ["/props", "/health", "/v1/models"] {
        assert_same(&get(&mock, path), "llama.cpp/loading.resp");
    }
}

#[test]
fn vllm_bodies_are_as_recorded() {
    let mock = Mock::start(Personality::Vllm);
    assert_same(&get(&mock, "/v1/models"), "vllm/get_models.resp");
    assert_same(&get(&mock, "/version"), "vllm/get_version.resp");
    assert_same(&get(&mock, "/health"), "vllm/get_health.resp");
    assert_same(&get(&mock, "/nothing"), "vllm/get_404.resp");
    assert_same(&get(&mock, "/v1/chat/completions"), "vllm/get_chat_wrong_method.resp");
    assert_same(&post(&mock, "/tokenize", &json!({"prompt": "Hello"})), "vllm/tokenize.resp");
    assert_same(&ask(&mock, json!({"stream": false})), "vllm/chat_basic.resp");
    assert_same(&ask(&mock, json!({"model": "no-such-model-xyz"})), "vllm/chat_unknown_model.resp");
    assert_same(&ask(&mock, json!({"max_tokens": -1})), "vllm/chat_max_neg.resp");
    assert_same(&ask(&mock, json!({"messages": []})), "vllm/chat_empty_messages.resp");
    let tools = json!({"tools": [{"type": "function", "function": {"name": "f"}}], "tool_choice": "auto"});
    assert_same(&ask(&mock, tools), "vllm/chat_tools_auto.resp");
    let mut options = Options::from(Personality::Vllm);
    options.context = Some(20);
    assert_same(&ask(&Mock::start_with(options).unwrap(), json!({})), "vllm/chat_overlong.resp");
    let mut options = Options::from(Personality::Vllm);
    options.api_key = Some("secret".into());
    let mock = Mock::start_with(options).unwrap();
    assert_same(&get(&mock, "/v1/models"), "vllm/wrong_key.resp");
    let body = chat_body(json!({"stream": false})).to_string();
    let with_key = request("POST", "/v1/chat/completions", "Authorization: Bearer secret\r\n", &body);
    assert_same(&exchange(&mock, &with_key), "vllm/chat_basic.resp");
}

#[test]
fn vllm_streams_are_as_recorded() {
    let mock = Mock::start(Personality::Vllm);
    let fields = json!({"max_tokens": 4});
    assert_same_stream(&ask(&mock, fields), "vllm/chat_stream.resp");
    let fields = json!({"max_tokens": 4, "stream_options": {"include_usage": true}});
    assert_same_stream(&ask(&mock, fields), "vllm/chat_stream_usage.resp");
}
