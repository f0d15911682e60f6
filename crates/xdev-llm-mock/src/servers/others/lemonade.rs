//! Lemonade: a model at a time unless it is started otherwise; loads block, pulls tell how far they are.

use serde_json::{Value, json};

use super::{Answer, Context, ok, openai_path};
use crate::flow::{Flow, Step};
use crate::http::Reply;
use crate::memory::{DownloadState, Instance, Load, OwnDownload};
use crate::model::{Model, ModelKind};
use crate::moment;
use crate::openai::CREATED;
use crate::servers::NotLoaded;

pub(super) fn answer(context: &Context<'_>, method: &str, path: &str) -> Option<Answer> {
    if (method, path) == ("GET", "/live") {
        return Some(ok(r#"{"status":"ok"}"#).into());
    }
    let rest = openai_path(context.personality(), path)?;
    if !context.has_key() {
        return None;
    }
    let reply = match (method, rest) {
        ("GET", "/health") => health(context),
        ("GET", "/chat/completions" | "/load" | "/unload" | "/pull" | "/delete") => {
            Reply::json(405, r#"{"error":"Method Not Allowed. This endpoint takes POST."}"#)
        }
        ("POST", "/load") => return Some(load(context)),
        ("POST", "/unload") => unload(context),
        ("POST", "/pull") => return Some(pull(context)),
        ("POST", "/delete") => delete(context),
        _ => return None,
    };
    Some(reply.into())
}

fn success(message: &str) -> Reply {
    ok(&json!({"status": "success", "message": message}).to_string())
}

fn failure(status: u16, message: &str) -> Reply {
    Reply::json(status, json!({"status": "error", "message": message}).to_string())
}

fn not_found(name: &str) -> Reply {
    failure(404, &format!("Model not found: {name}"))
}

fn health(context: &Context<'_>) -> Reply {
    let state = context.shared.memory.state();
    let entry = |instance: &Instance| {
        let model = state.model(&instance.model)?;
        let kind = if model.kind == ModelKind::Embedding { "embedding" } else { "llm" };
        Some(
            json!({"model_name": instance.model, "checkpoint": instance.model, "type": kind, "device": "gpu",
            "recipe": "llamacpp", "recipe_options": {"ctx_size": instance.context_length},
            "backend_url": "http://127.0.0.1:8001/v1", "last_use": moment::unix()}),
        )
    };
    let there: Vec<&Instance> = state.instances().iter().filter(|one| one.is_listed()).collect();
    let loaded: Vec<Value> = there.iter().copied().filter_map(entry).collect();
    let last = there.last().map(|one| one.model.clone());
    ok(&json!({"status": "ok", "version": "11.7.0", "websocket_port": 9000, "model_loaded": last,
        "all_models_loaded": loaded, "max_models": {"llm": state.options.max_loaded.unwrap_or(1)}})
    .to_string())
}

/// The entry of a model in `/v1/models`.
pub(super) fn complete(model: &Model, entry: &mut Value) {
    entry["owned_by"] = json!("lemonade");
    entry["created"] = json!(CREATED);
    entry["checkpoint"] = json!(model.id);
    entry["recipe"] = json!("llamacpp");
    entry["size"] = json!(model.size_bytes as f64 / 1e9);
    entry["downloaded"] = json!(true);
}

fn name<'a>(context: &'a Context<'_>) -> &'a str {
    context.body["model_name"].as_str().unwrap_or_default()
}

fn load(context: &Context<'_>) -> Answer {
    let Some(model) = context.model(name(context)) else {
        return not_found(name(context)).into();
    };
    let length = context.body["ctx_size"].as_u64().map(|length| length as usize);
    let usual = context.shared.memory.state().usual_context(&model);
    let load = Load::new(&model.id, length.unwrap_or(usual));
    match context.ensure(&load, length.is_some()) {
        Ok(_) => success(&format!("Loaded model: {}", model.id)).into(),
        Err(NotLoaded::Gone) => Answer::Silence,
        Err(NotLoaded::Failed(text)) => failure(500, &text).into(),
    }
}

/// Unloads a model, or all where none is named.
fn unload(context: &Context<'_>) -> Reply {
    let mut state = context.shared.memory.state();
    let wanted = name(context);
    if wanted.is_empty() {
        state.unload_all();
        return success("All models unloaded successfully");
    }
    if state.unload(wanted) { success("Model unloaded successfully") } else { not_found(wanted) }
}

fn delete(context: &Context<'_>) -> Reply {
    let wanted = name(context);
    if context.shared.memory.state().remove_model(wanted) {
        success(&format!("Deleted model: {wanted}"))
    } else {
        not_found(wanted)
    }
}

fn pull(context: &Context<'_>) -> Answer {
    let wanted = name(context);
    let found = context.shared.memory.state().downloadable(wanted);
    let present = context.model(wanted).is_some();
    if present {
        return success(&format!("Installed model: {wanted}")).into();
    }
    let Some(model) = found else {
        return not_found(wanted).into();
    };
    let (file, total) = (format!("{wanted}.gguf"), model.size_bytes);
    let download = OwnDownload::begin(&context.shared.memory, model);
    if context.body["stream"] != true {
        return whole(context, wanted, &download);
    }
    let (mut told, mut ended) = (u64::MAX, false);
    Answer::Flow(Flow::new("text/event-stream", move || {
        let Some(now) = download.look().filter(|_| !ended) else {
            return Step::End;
        };
        if now.bytes != told {
            told = now.bytes;
            return event(
                "progress",
                &json!({"file": file, "file_index": 1, "total_files": 1, "bytes_downloaded": told,
                    "bytes_total": total, "percent": told * 100 / total.max(1)}),
            );
        }
        match now.state {
            DownloadState::Running | DownloadState::Paused => Step::Wait,
            DownloadState::Completed => {
                ended = true;
                event("complete", &json!({"file_index": 1, "total_files": 1, "percent": 100}))
            }
            DownloadState::Failed => {
                ended = true;
                event("error", &json!({"error": download.failure()}))
            }
        }
    }))
}

fn event(name: &str, data: &Value) -> Step {
    Step::Send(format!("event: {name}\ndata: {data}\n\n"))
}

/// The one answer of a pull that is not streamed.
fn whole(context: &Context<'_>, wanted: &str, download: &OwnDownload) -> Answer {
    let ended = context.wait_until(|| match download.look().map(|now| now.state) {
        Some(DownloadState::Running | DownloadState::Paused) => None,
        state => Some(state == Some(DownloadState::Completed)),
    });
    match ended {
        Some(true) => success(&format!("Installed model: {wanted}")).into(),
        Some(false) => failure(500, &download.failure()).into(),
        None => Answer::Silence,
    }
}
