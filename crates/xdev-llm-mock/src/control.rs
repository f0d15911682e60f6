//! Control over HTTP, for tests in other languages: `/mock/requests`, `/mock/script`, `/mock/clear`.
//!
//! Requests to these paths are answered whatever the personality, and are not logged.

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
    Some(match (request.method.as_str(), request.path.as_str()) {
        ("GET", "/mock/requests") => {
            let requests: Vec<Value> = shared.requests().iter().map(describe).collect();
            Reply::json(200, Value::from(requests).to_string())
        }
        ("POST", "/mock/script") => match script(&request.body) {
            Ok(script) => {
                if request.query.split('&').any(|part| part == "next=1") {
                    shared.push_script(script);
                } else {
                    shared.replace_script(script);
                }
                Reply::json(200, r#"{"ok":true}"#)
            }
            Err(message) => Reply::json(400, json!({"error": message}).to_string()),
        },
        ("POST", "/mock/clear") => {
            shared.clear();
            Reply::json(200, r#"{"ok":true}"#)
        }
        _ => Reply::json(
            404,
            r#"{"error":"control routes are GET /mock/requests, POST /mock/script[?next=1], POST /mock/clear"}"#,
        ),
    })
}

fn script(body: &[u8]) -> Result<Script, String> {
    let value: Value =
        serde_json::from_slice(body).map_err(|error| format!("the script is not JSON: {error}"))?;
    Script::from_json(&value).map_err(|error| error.to_string())
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
