//! Ollama: the native API with JSON lines and nanoseconds, and the OpenAI routes beside it.
//!
//! Here are the chats; `manage` has the lists, loads and pulls, `native` the lines of an answer.

mod manage;
mod native;

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Answer, Context, headers};
use crate::chat::{CallStyle, Chat, Limits, Plan, stop_strings};
use crate::http::Reply;
use crate::memory::Lease;
use crate::model::{Model, ModelKind};
use manage::{keep_alive, load_or_unload, place};
use native::Native;

/// The paths that exist: with another method they answer 405.
const PATHS: &[&str] = &[
    "/",
    "/api/version",
    "/api/tags",
    "/api/ps",
    "/api/show",
    "/api/chat",
    "/api/generate",
    "/api/embed",
    "/api/pull",
    "/api/delete",
    "/v1/models",
    "/v1/chat/completions",
];
const MOMENT: &str = "2026-11-23T05:15:01.000000000Z";

pub(super) fn answer(context: &Context<'_>) -> Answer {
    let (method, path) = context.route();
    // The guard against DNS rebinding: a host that is not local gets 403 and nothing else.
    if !host_is_local(context.request.header("host").unwrap_or_default()) {
        return Reply::empty(403).into();
    }
    let reply = match (method, path) {
        ("GET", "/") => Reply::text(200, "Ollama is running"),
        ("GET", "/api/version") => native(200, &json!({"version": "0.33.0"})),
        ("GET", "/api/tags") => manage::tags(context),
        ("GET", "/api/ps") => manage::loaded(context),
        ("POST", "/api/show") => manage::show(context),
        ("POST", "/api/pull") => return manage::pull(context),
        ("DELETE", "/api/delete") => manage::delete(context),
        ("POST", "/api/embed") => return manage::embed(context),
        ("POST", "/api/chat") => return chat(context),
        ("POST", "/api/generate") => return generate(context),
        ("GET", "/v1/models") => models(context),
        ("POST", "/v1/chat/completions") => return openai(context),
        (_, path) if PATHS.contains(&path) => Reply::text(405, "405 method not allowed"),
        _ => Reply::text(404, "404 page not found"),
    };
    reply.into()
}

fn host_is_local(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    let local = |ip: std::net::IpAddr| ip.is_loopback() || ip.is_unspecified();
    matches!(name, "" | "localhost") || name.ends_with(".localhost") || name.parse().is_ok_and(local)
}

fn native(status: u16, body: &Value) -> Reply {
    Reply::new(status, "application/json; charset=utf-8", body.to_string())
}

fn native_error(status: u16, message: &str) -> Reply {
    native(status, &json!({"error": message}))
}

/// The model asked for; the tag `latest` may be left out.
fn find(context: &Context<'_>) -> Result<Model, Reply> {
    let name = context.body["name"].as_str();
    let wanted = context.body["model"].as_str().or(name).unwrap_or_default();
    if wanted.is_empty() {
        return Err(native_error(400, "model is required"));
    }
    context
        .model(wanted)
        .or_else(|| context.model(&format!("{wanted}:latest")))
        .ok_or_else(|| native_error(404, &format!("model '{wanted}' not found")))
}

fn models(context: &Context<'_>) -> Reply {
    let entry = |model: &Model| json!({"id": model.id, "object": "model", "created": crate::openai::CREATED, "owned_by": "library"});
    let models: Vec<Value> = context.shared.models().iter().map(entry).collect();
    // Go writes an empty list it never made as null.
    let data = if models.is_empty() { Value::Null } else { models.into() };
    Reply::json(200, json!({"object": "list", "data": data}).to_string())
}

fn openai(context: &Context<'_>) -> Answer {
    let error = |status, message: &str, kind: &str| {
        let body = json!({"error": {"message": message, "type": kind, "param": null, "code": null}});
        Reply::json(status, body.to_string())
    };
    let model = match find(context) {
        Ok(model) => model,
        Err(reply) => {
            let body: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
            let kind = if reply.status == 404 { "not_found_error" } else { "invalid_request_error" };
            return error(reply.status, body["error"].as_str().unwrap_or_default(), kind).into();
        }
    };
    if context.body["messages"].as_array().is_none_or(Vec::is_empty) {
        return error(400, "[] is too short - 'messages'", "invalid_request_error").into();
    }
    if wants_tools(context) && !model.tools {
        let message = format!("\"{}\" does not support tools", model.id);
        return error(400, &message, "invalid_request_error").into();
    }
    // `max_completion_tokens` is dropped without a word, and so is every wish about the context.
    match place(context, &model) {
        Ok(placed) => {
            let limits = Limits::openai(&context.body, &["max_tokens"]);
            context.openai_chat(&model.id, Some(placed.lease), &limits)
        }
        Err(Some(text)) => error(500, &text, "api_error").into(),
        Err(None) => Answer::Silence,
    }
}

fn wants_tools(context: &Context<'_>) -> bool {
    context.body["tools"].as_array().is_some_and(|tools| !tools.is_empty())
}

/// The checks chat and generate share.
fn check(context: &Context<'_>, what: &str, text_field: &str) -> Result<Model, Answer> {
    if context.request.body.is_empty() {
        return Err(native_error(400, "missing request body").into());
    }
    if context.body.is_null() {
        return Err(native_error(400, "invalid character in request body").into());
    }
    let keep = keep_alive(&context.body["keep_alive"]).map_err(|message| native_error(400, &message))?;
    let model = find(context)?;
    // Before anything is asked of the model: what cannot chat can be unloaded all the same.
    let list = &context.body["messages"];
    let empty = match text_field {
        "message" => list.as_array().is_none_or(Vec::is_empty),
        _ => context.body["prompt"].as_str().is_none_or(str::is_empty),
    };
    if empty && keep.is_some_and(|keep| keep.is_zero()) {
        return Err(load_or_unload(context, &model, text_field));
    }
    let refuse =
        |what: &str| Err(native_error(400, &format!("\"{}\" does not support {what}", model.id)).into());
    let think = &context.body["think"];
    if !matches!(think, Value::Null | Value::Bool(false)) && !model.thinking {
        return refuse("thinking");
    }
    if model.kind == ModelKind::Embedding {
        return refuse(what);
    }
    if wants_tools(context) && !model.tools {
        return refuse("tools");
    }
    if empty { Err(load_or_unload(context, &model, text_field)) } else { Ok(model) }
}

fn chat(context: &Context<'_>) -> Answer {
    check(context, "chat", "message").map_or_else(|answer| answer, |model| produce(context, &model, false))
}

fn generate(context: &Context<'_>) -> Answer {
    check(context, "generate", "response")
        .map_or_else(|answer| answer, |model| produce(context, &model, true))
}

fn produce(context: &Context<'_>, model: &Model, plain: bool) -> Answer {
    match place(context, model) {
        Ok(placed) => write(context, model, plain, placed.lease, placed.loaded_in),
        Err(Some(text)) => native_error(500, &text).into(),
        Err(None) => Answer::Silence,
    }
}

fn write(context: &Context<'_>, model: &Model, plain: bool, lease: Lease, loaded_in: u64) -> Answer {
    let body = &context.body;
    let options = &body["options"];
    let queued = context.shared.take_script();
    let limits = Limits {
        max_tokens: options["num_predict"].as_i64().and_then(|limit| usize::try_from(limit).ok()),
        stop: stop_strings(&options["stop"]),
        reasoning: body["think"] != false,
    };
    let mut plan = Plan::new(&queued.script, body, &limits, CallStyle::Whole);
    if context.overlong().is_some() {
        // Longer prompts are cut without a word; only the count shows it.
        plan.prompt_tokens = context.context_tokens();
    }
    let plan = Arc::new(plan);
    let loading = queued.load_left_since_chat();
    let encoder = Native {
        plan: Arc::clone(&plan),
        model: queued.script.model.clone().unwrap_or_else(|| model.id.clone()),
        load_duration: if loaded_in > 0 { loaded_in } else { loading.as_nanos() as u64 },
        plain,
    };
    Answer::Chat(Box::new(Chat {
        script: queued.script,
        plan,
        encoder: Box::new(encoder),
        request: body.clone(),
        stream: body["stream"] != false,
        loading,
        headers: headers(context.personality(), context.request.keep_alive),
        lease: Some(lease),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_local_hosts_pass_the_guard() {
        for host in ["127.0.0.1:11434", "localhost", "[::1]:11434", "a.localhost:1"] {
            assert!(host_is_local(host), "{host}");
        }
        for host in ["example.org", "192.168.1.2:11434", "[fe80::1]:1"] {
            assert!(!host_is_local(host), "{host}");
        }
    }
}
