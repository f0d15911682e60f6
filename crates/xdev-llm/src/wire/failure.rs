//! Errors as servers send them: every envelope becomes one [`Error`] with the right kind and the server's own words.
//!
//! Servers agree neither on the envelope nor on the status (an error may come with 200), so the words decide first.
//! The phrases are data, with the servers they were seen at. Not here: failures of the transport (`client`).

use serde_json::Value;

use super::frame::decode;
use super::json::text;
use crate::error::{Error, ErrorKind};

/// Phrases, in lower case, that say what kind of failure it is whatever the status. The first that fits counts.
const PHRASES: &[(&str, ErrorKind)] = &[
    // Context overflow: LM Studio (two wordings), llama.cpp, vLLM, SGLang, Ollama, TabbyAPI, OpenAI, TGI.
    ("context the overflows", ErrorKind::ContextOverflow),
    ("greater than the context length", ErrorKind::ContextOverflow),
    ("exceed_context_size", ErrorKind::ContextOverflow),
    ("exceeds the available context size", ErrorKind::ContextOverflow),
    ("maximum context length", ErrorKind::ContextOverflow),
    ("context_length_exceeded", ErrorKind::ContextOverflow),
    ("context length exceeded", ErrorKind::ContextOverflow),
    ("longer than the model's context length", ErrorKind::ContextOverflow),
    ("exceeds the context window", ErrorKind::ContextOverflow),
    ("input length exceeds", ErrorKind::ContextOverflow),
    ("prompt is too long", ErrorKind::ContextOverflow),
    ("`inputs` must have less than", ErrorKind::ContextOverflow),
    // Loading: llama.cpp, SGLang, LocalAI.
    ("loading model", ErrorKind::Loading),
    ("model is loading", ErrorKind::Loading),
    ("model is currently loading", ErrorKind::Loading),
    // No model: LM Studio, Ollama, vLLM, llama.cpp's router, Jan, Docker Model Runner, text-generation-webui.
    ("no models loaded", ErrorKind::NoModel),
    ("no model loaded", ErrorKind::NoModel),
    ("no models are available", ErrorKind::NoModel),
    ("no running session found", ErrorKind::NoModel),
    ("model_not_found", ErrorKind::NoModel),
    ("model not found", ErrorKind::NoModel),
    ("try pulling it first", ErrorKind::NoModel),
    ("invalid model identifier", ErrorKind::NoModel),
    ("model name is missing", ErrorKind::NoModel),
    ("model is required", ErrorKind::NoModel),
    ("model is unloaded", ErrorKind::Server),
    ("model unloaded", ErrorKind::Server),
    // Crashes: LM Studio.
    ("the model has crashed", ErrorKind::Server),
    ("channel error", ErrorKind::Server),
    // Keys: OpenAI, LM Studio, llama.cpp, vLLM, Ollama's cloud.
    ("invalid_api_key", ErrorKind::Unauthorized),
    ("invalid api key", ErrorKind::Unauthorized),
    ("signin_url", ErrorKind::Unauthorized),
    // Load: Ollama, KoboldCpp.
    ("server busy", ErrorKind::Busy),
    ("server is busy", ErrorKind::Busy),
    ("maximum pending requests", ErrorKind::Busy),
    // What the model or server cannot do: Ollama, llama.cpp, vLLM, GPT4All, Lemonade.
    ("does not support", ErrorKind::Unsupported),
    ("is not supported", ErrorKind::Unsupported),
    ("not supported by", ErrorKind::Unsupported),
    ("not_supported_error", ErrorKind::Unsupported),
    ("unsupported parameter", ErrorKind::Unsupported),
    ("unrecognized request argument", ErrorKind::Unsupported),
    // A wrong address: LM Studio answers this with status 200.
    ("unexpected endpoint or method", ErrorKind::Protocol),
];

/// Reads a failure out of a whole answer; `None` where status and body show none.
pub fn read_failure(status: u16, body: &[u8]) -> Option<Error> {
    let document: Option<Value> = serde_json::from_slice(body).ok();
    let ok = (200..300).contains(&status);
    if ok {
        return document.as_ref().and_then(in_document);
    }
    let (said, envelope) = match &document {
        Some(value) => (words(value).unwrap_or_default(), value.to_string()),
        None => (plain(&decode(&body[..body.len().min(64 << 10)])), String::new()),
    };
    Some(judge(Some(status), said, &envelope))
}

/// Reads a failure out of one JSON document of a 200 answer; `None` where it has no error in any known envelope.
pub(super) fn in_document(value: &Value) -> Option<Error> {
    let has_error = match value.get("error") {
        Some(Value::Null | Value::Bool(false)) | None => {
            text(value, "object") == Some("error") || text(value, "type") == Some("error")
        }
        Some(_) => true,
    };
    let alone = value.get("choices").is_none() && value.get("message").is_none_or(Value::is_string);
    let has_detail = alone && value.get("detail").is_some();
    if !has_error && !has_detail {
        return None;
    }
    let status = code(value.get("error").unwrap_or(value)).or_else(|| code(value));
    Some(judge(status, words(value).unwrap_or_default(), &value.to_string()))
}

/// The failure that an error event or field with this data means; it is one whatever it holds.
pub(super) fn in_event(data: &str) -> Error {
    match serde_json::from_str::<Value>(data) {
        Ok(value) => in_document(&value)
            .unwrap_or_else(|| judge(code(&value), words(&value).unwrap_or_else(|| data.to_owned()), data)),
        Err(_) => judge(None, plain(data), ""),
    }
}

/// The server's words, in the order of places where servers put them.
fn words(value: &Value) -> Option<String> {
    let error = value.get("error");
    if let Some(error) = error {
        if let Some(message) = text(error, "message") {
            return Some(message.to_owned());
        }
        if let Some(message) = error.as_str().filter(|message| !message.is_empty()) {
            return Some(message.to_owned());
        }
    }
    match value.get("detail") {
        Some(Value::String(detail)) => return Some(detail.clone()),
        Some(Value::Array(items)) => {
            let items: Vec<_> = items.iter().filter_map(|item| text(item, "msg").or(item.as_str())).collect();
            return Some(items.join("; "));
        }
        Some(detail @ Value::Object(_)) => {
            return text(detail, "msg").or_else(|| text(detail, "error")).map(str::to_owned);
        }
        _ => {}
    }
    for key in ["message", "msg", "error_message"] {
        if let Some(message) = text(value, key) {
            return Some(message.to_owned());
        }
    }
    match error {
        Some(error @ Value::Object(_)) => Some(error.to_string()),
        _ => value.as_str().map(str::to_owned),
    }
}

/// The HTTP status that an envelope repeats as `code`.
fn code(value: &Value) -> Option<u16> {
    let code = value.get("code")?;
    let code = code.as_u64().or_else(|| code.as_str()?.parse().ok())?;
    u16::try_from(code).ok().filter(|code| (400..600).contains(code))
}

/// Text that is not JSON, without HTML tags and with white space folded.
fn plain(body: &str) -> String {
    let mut text = String::new();
    let mut in_tag = false;
    for piece in body.chars() {
        match piece {
            '<' => {
                in_tag = true;
                text.push(' ');
            }
            '>' if in_tag => in_tag = false,
            _ if in_tag => {}
            piece => text.push(piece),
        }
        if text.len() > 4000 {
            break;
        }
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Decides the kind by the words, then by the status.
fn judge(status: Option<u16>, said: String, envelope: &str) -> Error {
    let low = format!("{said} {envelope}").to_lowercase();
    let phrase = PHRASES.iter().find(|(phrase, _)| low.contains(phrase)).map(|(_, kind)| *kind);
    let misses = ["not found", "does not exist", "not exist"].iter().any(|words| low.contains(words));
    let kind = phrase.unwrap_or(match status {
        // llama.cpp's router says 400, vLLM and Ollama 404.
        Some(400 | 404) if low.contains("model") && misses => ErrorKind::NoModel,
        Some(401 | 403) => ErrorKind::Unauthorized,
        Some(400 | 413 | 422 | 501) => ErrorKind::Unsupported,
        Some(300..400 | 404 | 405 | 415) => ErrorKind::Protocol,
        Some(408 | 429 | 503) => ErrorKind::Busy,
        _ => ErrorKind::Server,
    });
    let message = match (kind, status) {
        (ErrorKind::ContextOverflow, _) => "The prompt is longer than the model's context.".to_owned(),
        (ErrorKind::Loading, _) => "The server is still loading its model.".to_owned(),
        (ErrorKind::NoModel, _) => "The server does not have the model that was asked for.".to_owned(),
        (ErrorKind::Unauthorized, Some(status)) => {
            format!("The server refused the key, or wants one ({status}).")
        }
        (ErrorKind::Unauthorized, None) => "The server refused the key, or wants one.".to_owned(),
        (ErrorKind::Unsupported, Some(status)) => format!("The server refused the request ({status})."),
        (ErrorKind::Unsupported, None) => "The server cannot do what was asked.".to_owned(),
        (ErrorKind::Busy, _) => "The server has too much to do.".to_owned(),
        (ErrorKind::Protocol, Some(status)) if status >= 300 => {
            format!("Unexpected response format: the server answered {status}.")
        }
        (ErrorKind::Protocol, _) => {
            "Unexpected response format: the server does not know this address.".to_owned()
        }
        (_, Some(status)) => format!("The server failed ({status})."),
        (_, None) => "The server failed.".to_owned(),
    };
    let error = Error::new(kind, message).with_said(said);
    match status {
        Some(status) => error.with_status(status),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(status: u16, body: &str) -> (ErrorKind, String) {
        let error = read_failure(status, body.as_bytes()).expect("a failure");
        (error.kind(), error.said().unwrap_or_default().to_owned())
    }

    #[test]
    fn every_known_envelope_gives_the_servers_words() {
        let table = [
            (400, r#"{"error":{"message":"m","type":"t","param":null,"code":null}}"#, "m"),
            (400, r#"{"error":{"message":"m","type":"t","code":400}}"#, "m"),
            (400, r#"{"error":"m"}"#, "m"),
            (200, r#"{"error":{"message":"m"},"message":"m"}"#, "m"),
            (400, r#"{"object":"error","message":"m","type":"t","param":null,"code":400}"#, "m"),
            (200, r#"{"object":"error","message":"m","code":400}"#, "m"),
            (422, r#"{"detail":"m"}"#, "m"),
            (422, r#"{"detail":[{"loc":["body"],"msg":"m","type":"t"},{"msg":"n"}]}"#, "m; n"),
            (500, r#"{"detail":{"msg":"m","type":"bad_input"}}"#, "m"),
            (401, r#"{"detail":{"error":"m"}}"#, "m"),
            (422, r#"{"error":"m","error_type":"validation"}"#, "m"),
            (400, r#"{"error_type":"x","error_message":"m"}"#, "m"),
            (400, r#"{"type":"error","error":{"type":"x","message":"m"}}"#, "m"),
            (400, r#"{"msg":"m"}"#, "m"),
            (500, "plain m", "plain m"),
            (
                502,
                "<html><head><title>502</title></head><body><h1>Bad  Gateway</h1></body></html>",
                "502 Bad Gateway",
            ),
            (500, r#"{"error":{"type":"odd"}}"#, r#"{"type":"odd"}"#),
            (403, "", ""),
        ];
        for (status, body, said) in table {
            assert_eq!(read(status, body).1, said, "{status} {body}");
        }
    }

    #[test]
    fn words_decide_the_kind_before_the_status() {
        let table = [
            (200, r#"{"error":"Unexpected endpoint or method. (POST /chat)"}"#, ErrorKind::Protocol),
            (
                400,
                r#"{"error":{"code":400,"message":"request (5002 tokens) exceeds the available context size (4096 tokens), try increasing it","type":"exceed_context_size_error","n_prompt_tokens":5002,"n_ctx":4096}}"#,
                ErrorKind::ContextOverflow,
            ),
            (
                400,
                r#"{"error":"Trying to keep the first 5000 tokens when context the overflows. However, the model is loaded with context length of only 4096 tokens"}"#,
                ErrorKind::ContextOverflow,
            ),
            (
                400,
                r#"{"error":"The number of tokens to keep from the initial prompt is greater than the context length."}"#,
                ErrorKind::ContextOverflow,
            ),
            (
                503,
                r#"{"error":{"message":"Loading model","type":"unavailable_error","code":503}}"#,
                ErrorKind::Loading,
            ),
            (
                404,
                r#"{"error":{"message":"No models loaded. Please load a model in the developer page or use the 'lms load' command.","type":"invalid_request_error","param":"model","code":null}}"#,
                ErrorKind::NoModel,
            ),
            (404, r#"{"error":"model \"x\" not found, try pulling it first"}"#, ErrorKind::NoModel),
            (
                404,
                r#"{"error":{"message":"The model `x` does not exist.","type":"NotFoundError","code":404}}"#,
                ErrorKind::NoModel,
            ),
            (
                400,
                r#"{"error":{"code":400,"message":"model 'x' not found","type":"invalid_request_error"}}"#,
                ErrorKind::NoModel,
            ),
            (401, r#"{"error":"Unauthorized"}"#, ErrorKind::Unauthorized),
            (401, "Missing authorization header", ErrorKind::Unauthorized),
            (401, r#"{"error":"unauthorized","signin_url":"https://x"}"#, ErrorKind::Unauthorized),
            (403, "", ErrorKind::Unauthorized),
            (
                503,
                r#"{"error":"server busy, please try again.  maximum pending requests exceeded"}"#,
                ErrorKind::Busy,
            ),
            (
                503,
                r#"{"detail":{"msg":"Server is busy; please try again later.","type":"service_unavailable"}}"#,
                ErrorKind::Busy,
            ),
            (429, "", ErrorKind::Busy),
            (400, r#"{"error":"\"m\" does not support thinking"}"#, ErrorKind::Unsupported),
            (
                500,
                r#"{"error":{"code":500,"message":"image input is not supported - hint: x","type":"server_error"}}"#,
                ErrorKind::Unsupported,
            ),
            (
                400,
                r#"{"error":"The model has crashed without additional information. (Exit code: 6)"}"#,
                ErrorKind::Server,
            ),
            (200, r#"{"error":{"object":"error","message":"too long","code":400}}"#, ErrorKind::Unsupported),
            (500, "", ErrorKind::Server),
            (302, "", ErrorKind::Protocol),
        ];
        for (status, body, kind) in table {
            assert_eq!(read(status, body).0, kind, "{status} {body}");
        }
    }

    #[test]
    fn an_answer_is_not_a_failure() {
        for body in [
            r#"{"choices":[{"message":{"content":"error"}}]}"#,
            r#"{"choices":[],"error":null}"#,
            r#"{"message":{"role":"assistant","content":"x"},"done":true}"#,
            r#"{"data":[]}"#,
            "",
        ] {
            assert!(read_failure(200, body.as_bytes()).is_none(), "{body}");
        }
    }
}
