//! Control over HTTP, for tests in other languages: `/mock/requests`, `/mock/script`, `/mock/models`, `/mock/options`.
//!
//! Requests to these paths are answered whatever the personality, and are not logged. How models and options are written
//! as JSON is in `described`.

mod described;

use serde_json::{Value, json};

use crate::http::{Received, Reply};
use crate::script::Script;
use crate::server::{Request, Shared};

/// Whether a path belongs to the control routes.
pub(crate) fn is_control(path: &str) -> bool {
    path.starts_with("/mock/")
}

/// Answers a control request; `None` for every other.
pub(crate) fn answer(shared: &Shared, request: &Received) -> Option<Reply> {
    if !is_control(&request.path) {
        return None;
    }
    let done = |outcome: Result<(), String>| match outcome {
        Ok(()) => Reply::json(200, r#"{"ok":true}"#),
        Err(message) => Reply::json(400, json!({"error": message}).to_string()),
    };
    let memory = &shared.memory;
    Some(match (request.method.as_str(), request.path.as_str()) {
        ("GET", "/mock/requests") => {
            let requests: Vec<Value> = shared.requests().iter().map(describe).collect();
            Reply::json(200, Value::from(requests).to_string())
        }
        ("POST", "/mock/script") => done(script(&request.body).map(|script| {
            if request.query.split('&').any(|part| part == "next=1") {
                shared.push_script(script);
            } else {
                shared.replace_script(script);
            }
        })),
        ("POST", "/mock/clear") => {
            shared.clear();
            done(Ok(()))
        }
        ("GET", "/mock/models") => Reply::json(200, described::models(&memory.state()).to_string()),
        ("POST", "/mock/models") => done(
            value(&request.body, "the models are")
                .and_then(|told| described::tell_models(&mut memory.state(), &told)),
        ),
        ("GET", "/mock/options") => Reply::json(200, described::options(&memory.state().options).to_string()),
        ("POST", "/mock/options") => done(
            value(&request.body, "the options are")
                .and_then(|told| described::tell_options(&mut memory.state().options, &told)),
        ),
        _ => Reply::json(
            404,
            r#"{"error":"control routes are GET /mock/requests, POST /mock/script[?next=1], POST /mock/clear, GET and POST /mock/models, GET and POST /mock/options"}"#,
        ),
    })
}

fn value(body: &[u8], what: &str) -> Result<Value, String> {
    serde_json::from_slice(body).map_err(|error| format!("{what} not JSON: {error}"))
}

fn script(body: &[u8]) -> Result<Script, String> {
    Script::from_json(&value(body, "the script is")?).map_err(|error| error.to_string())
}

/// A logged request as JSON; a body that is JSON is given as such, any other as text. Times are milliseconds.
fn describe(request: &Request) -> Value {
    let headers: serde_json::Map<String, Value> =
        request.headers.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
    let body = serde_json::from_slice(&request.body)
        .unwrap_or_else(|_| Value::from(String::from_utf8_lossy(&request.body).into_owned()));
    json!({"method": request.method, "path": request.path, "query": request.query, "headers": headers, "body": body,
        "connection": request.connection, "at_ms": request.at.as_secs_f64() * 1e3, "status": request.status,
        "tokens_sent": request.tokens_sent, "finished": request.finished,
        "client_closed_ms": request.client_closed.map(|time| time.as_secs_f64() * 1e3)})
}
