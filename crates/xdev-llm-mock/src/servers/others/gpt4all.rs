//! GPT4All, which refuses every field it does not know.

use serde_json::Value;

use crate::chat::quote;
use crate::http::Reply;

/// GPT4All's 400 for everything it does not know or want.
pub(super) fn refusal(body: &Value) -> Option<Reply> {
    const KNOWN: &[&str] = &[
        "model",
        "messages",
        "max_tokens",
        "n",
        "temperature",
        "top_p",
        "min_p",
        "user",
        "service_tier",
        "parallel_tool_calls",
        "frequency_penalty",
        "presence_penalty",
        "logprobs",
        "stream",
    ];
    let refuse = |message: String| {
        Some(Reply::json(
            400,
            format!(
                r#"{{"error":{{"message":{},"type":"invalid_request_error","param":null,"code":null}}}}"#,
                quote(&message)
            ),
        ))
    };
    if let Some(key) = body.as_object()?.keys().find(|key| !KNOWN.contains(&key.as_str())) {
        return refuse(format!("Unrecognized request argument supplied: {key}"));
    }
    for key in ["stream", "logprobs"] {
        if body[key] == true {
            return refuse(format!("'{key}' is not supported"));
        }
    }
    for key in ["frequency_penalty", "presence_penalty"] {
        if body[key].as_f64().is_some_and(|value| value != 0.0) {
            return refuse(format!("'{key}' is not supported"));
        }
    }
    if body["max_tokens"].as_i64().is_some_and(|limit| limit < 1) {
        return refuse("'max_tokens' must be at least 1".into());
    }
    for message in body["messages"].as_array()? {
        let unknown = message.as_object()?.keys().find(|key| !matches!(key.as_str(), "role" | "content"));
        if let Some(key) = unknown {
            return refuse(format!("Unrecognized request argument supplied: {key}"));
        }
        if !message["content"].is_string() {
            return refuse("'content' must be a string".into());
        }
        if !matches!(message["role"].as_str(), Some("system" | "user" | "assistant")) {
            return refuse(format!("Invalid 'role': {}", message["role"]));
        }
    }
    None
}
