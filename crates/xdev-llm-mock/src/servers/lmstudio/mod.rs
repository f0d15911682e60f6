//! LM Studio 0.3 and 0.4: OpenAI routes, `/api/v0`, and from 0.4 on `/api/v1`.
//!
//! Here are the OpenAI chat and what answers it; `manage` has the lists, loads and downloads, `native` the chat of
//! `/api/v1` with its named events.

mod manage;
mod native;

use std::time::Duration;

use serde_json::{Value, json};

use super::{Answer, Context, NotLoaded};
use crate::chat::Limits;
use crate::http::Reply;
use crate::memory::{Lease, Load};
use crate::model::Model;
use crate::personality::Personality;

pub(super) fn answer(context: &Context<'_>) -> Answer {
    let (method, path) = context.route();
    let four = context.personality() == Personality::LmStudio04;
    if (method, path) == ("GET", "/lmstudio-greeting") {
        return Reply::json(200, r#"{"lmstudio":true}"#).into();
    }
    if four && !context.has_key() {
        return Reply::json(
            401,
            r#"{"error":{"type":"invalid_request","code":"invalid_api_key","message":"An LM Studio API token is required to make requests to this server."}}"#,
        )
        .into();
    }
    let reply = match (method, path) {
        ("GET", "/v1/models") => manage::models(context),
        ("GET", "/api/v0/models") => manage::models_zero(context),
        ("GET", path) if path.starts_with("/api/v0/models/") => {
            manage::model_zero(context, &path["/api/v0/models/".len()..])
        }
        ("POST", "/v1/chat/completions" | "/api/v0/chat/completions") => return chat(context),
        ("POST", "/v1/embeddings" | "/api/v0/embeddings") => return embeddings(context),
        ("GET", "/api/v1/models") if four => manage::models_one(context),
        ("POST", "/api/v1/chat") if four => return native::chat(context),
        ("POST", "/api/v1/models/load") if four => return manage::load(context),
        ("POST", "/api/v1/models/unload") if four => manage::unload(context),
        ("POST", "/api/v1/models/download") if four => manage::download(context),
        ("GET", path) if four && path.starts_with(manage::DOWNLOAD_STATUS) => {
            manage::download_status(context, &path[manage::DOWNLOAD_STATUS.len()..])
        }
        _ => Reply::json(
            200,
            json!({"error": format!("Unexpected endpoint or method. ({} {path})", context.request.method)})
                .to_string(),
        ),
    };
    reply.into()
}

/// What answers a chat: an instance, and whether this very request loaded it.
struct Pick {
    lease: Lease,
    loads: bool,
}

/// Why nothing answers.
enum NoPick {
    Refused(Reply),
    Gone,
}

impl From<NoPick> for Answer {
    fn from(no: NoPick) -> Answer {
        match no {
            NoPick::Refused(reply) => reply.into(),
            NoPick::Gone => Answer::Silence,
        }
    }
}

/// Finds what answers a chat, and loads it where that is allowed. An unknown name is answered by whatever is loaded; only
/// the answer's `model` shows it.
fn pick(context: &Context<'_>) -> Result<Pick, NoPick> {
    let memory = &context.shared.memory;
    let wanted = context.wanted_model();
    if let Some(lease) = memory.lease(wanted) {
        return Ok(Pick { lease, loads: false });
    }
    if let Some(model) = context.model(wanted.split_once('@').map_or(wanted, |(name, _)| name)) {
        if let Some(lease) = memory.lease(&model.id) {
            return Ok(Pick { lease, loads: false });
        }
        if memory.state().options.just_in_time {
            return just_in_time(context, &model);
        }
    }
    let other = context.loaded_model().and_then(|model| memory.lease(&model.id));
    other.map(|lease| Pick { lease, loads: false }).ok_or_else(|| {
        let message =
            "No models loaded. Please load a model in the developer page or use the 'lms load' command.";
        NoPick::Refused(model_error(message, &Value::Null))
    })
}

/// Loads a model because a chat asks for it. `ttl` counts for this request only: that of a later one does nothing.
fn just_in_time(context: &Context<'_>, model: &Model) -> Result<Pick, NoPick> {
    const IDLE: u64 = 3600;
    let body = &context.body;
    let usual = context.shared.memory.state().usual_context(model);
    let native = context.request.path == "/api/v1/chat";
    let length = body["context_length"].as_u64().filter(|_| native);
    let ttl = body["ttl"].as_u64().filter(|_| !native);
    let load = Load {
        just_in_time: true,
        keep: Some(Duration::from_secs(ttl.unwrap_or(IDLE))),
        ..Load::new(&model.id, length.map_or(usual, |length| length as usize))
    };
    match context.ensure(&load, false) {
        Ok(lease) => Ok(Pick { lease, loads: true }),
        Err(NotLoaded::Gone) => Err(NoPick::Gone),
        Err(NotLoaded::Failed(text)) => {
            let message = format!("Failed to load model \"{}\". Error: {text}", model.id);
            Err(NoPick::Refused(model_error(&message, &json!("model_not_found"))))
        }
    }
}

fn model_error(message: &str, code: &Value) -> Reply {
    let error = json!({"message": message, "type": "invalid_request_error", "param": "model", "code": code});
    Reply::json(404, json!({"error": error}).to_string())
}

/// An error of `/api/v1`.
fn one_error(status: u16, kind: &str, message: &str, parameter: &str) -> Reply {
    Reply::json(status, json!({"error": {"type": kind, "message": message, "param": parameter}}).to_string())
}

fn string_error(message: &str) -> Answer {
    Reply::json(400, json!({"error": message}).to_string()).into()
}

/// Whether every image is a PNG or JPEG data URL.
fn images_are_data(messages: &Value) -> bool {
    let good = |part: &Value| {
        let url = part["image_url"]["url"].as_str().unwrap_or_default();
        part["type"] != "image_url"
            || ["data:image/png;base64,", "data:image/jpeg;base64,"]
                .iter()
                .any(|start| url.starts_with(start))
    };
    messages.as_array().is_none_or(|messages| {
        messages
            .iter()
            .all(|message| message["content"].as_array().is_none_or(|parts| parts.iter().all(good)))
    })
}

/// Vectors: a model for them is loaded like any other.
fn embeddings(context: &Context<'_>) -> Answer {
    let count = match &context.body["input"] {
        Value::String(_) => 1,
        Value::Array(texts) => texts.len(),
        _ => return string_error("'input' field must be a string or an array of strings"),
    };
    let picked = match pick(context) {
        Ok(picked) => picked,
        Err(no) => return no.into(),
    };
    let vector = |index| json!({"object": "embedding", "embedding": [0.5, -0.5, 0.25], "index": index});
    let data: Vec<Value> = (0..count).map(vector).collect();
    // As told of it: the usage is all 0.
    let answer = json!({"object": "list", "data": data, "model": picked.lease.instance,
        "usage": {"prompt_tokens": 0, "total_tokens": 0}});
    Reply::json(200, answer.to_string()).into()
}

const OVERFLOW: &str = "The number of tokens to keep from the initial prompt is greater than the context length. Try to load the model with a larger context length, or provide a shorter input";

fn chat(context: &Context<'_>) -> Answer {
    let body = &context.body;
    if body.is_null() {
        return string_error("Invalid JSON in request body");
    }
    if !body["messages"].is_array() {
        return string_error("'messages' field is required");
    }
    if !matches!(body["response_format"]["type"].as_str(), None | Some("json_schema" | "text")) {
        return string_error("'response_format.type' must be 'json_schema' or 'text'");
    }
    if body["tool_choice"].is_object() {
        return string_error(
            "Invalid tool_choice type: 'object'. Supported string values: none, auto, required",
        );
    }
    if !images_are_data(&body["messages"]) {
        return string_error("'url' field must be a base64 encoded image");
    }
    if context.overlong().is_some() {
        if body["stream"] == true {
            let text = json!({"error": {"message": OVERFLOW}, "message": OVERFLOW});
            return Reply::new(200, "text/event-stream", format!("event: error\ndata: {text}\n\n")).into();
        }
        return string_error(OVERFLOW);
    }
    let picked = match pick(context) {
        Ok(picked) => picked,
        Err(no) => return no.into(),
    };
    let limits = Limits::openai(body, &["max_tokens", "max_completion_tokens"]);
    let instance = picked.lease.instance.clone();
    context.openai_chat(&instance, Some(picked.lease), &limits)
}
