//! Docker Model Runner: a runner a model, started when it is asked.

use serde_json::{Value, json};

use super::{Answer, Context, ok};
use crate::http::Reply;
use crate::memory::Instance;
use crate::moment;

pub(super) fn answer(context: &Context<'_>, method: &str, path: &str) -> Option<Answer> {
    let reply = match (method, path) {
        ("GET", "/") => Reply::text(200, "Docker Model Runner is running"),
        ("GET", "/version") => ok(r#"{"version":"v1.2.0"}"#),
        ("GET", "/engines/status") => ok(r#"{"llama.cpp":"Running"}"#),
        ("GET", "/engines/ps") => {
            let entry = |one: &Instance| {
                json!({"backend_name": "llama.cpp", "model_name": one.model, "mode": "completion",
                    "last_used": moment::now()})
            };
            let state = context.shared.memory.state();
            let runners: Vec<Value> =
                state.instances().iter().filter(|one| one.is_listed()).map(entry).collect();
            ok(&json!(runners).to_string())
        }
        ("POST", "/engines/unload") => unload(context),
        _ => return None,
    };
    Some(reply.into())
}

/// Unloads what is named, or everything; it says how many runners that were.
fn unload(context: &Context<'_>) -> Reply {
    let mut state = context.shared.memory.state();
    let names = context.body["models"].as_array().cloned().unwrap_or_default();
    let count = if context.body["all"] == true {
        state.unload_all()
    } else {
        names.iter().filter_map(Value::as_str).filter(|name| state.unload(name)).count()
    };
    ok(&json!({"unloaded_runners": count}).to_string())
}
