//! LM Studio's lists of models, and how they are loaded, unloaded and downloaded.
//!
//! What a chat loads on its own is in `lmstudio`.

use std::time::Instant;

use serde_json::{Value, json};

use super::{Answer, Context, one_error};
use crate::http::Reply;
use crate::memory::{Download, DownloadState, Instance, InstanceState, Load};
use crate::model::{Model, ModelKind};
use crate::moment;

/// What comes before a job's id.
pub(super) const DOWNLOAD_STATUS: &str = "/api/v1/models/download/status/";

/// `/v1/models`: everything that can be loaded, or what is loaded where chats load nothing.
pub(super) fn models(context: &Context<'_>) -> Reply {
    let state = context.shared.memory.state();
    let ids: Vec<String> = if state.options.just_in_time {
        state.models().into_iter().map(|model| model.id).collect()
    } else {
        state.instances().iter().filter(|one| one.is_listed()).map(|one| one.id.clone()).collect()
    };
    let entry = |id: &String| json!({"id": id, "object": "model", "owned_by": "organization_owner"});
    let data: Vec<Value> = ids.iter().map(entry).collect();
    Reply::json(200, json!({"object": "list", "data": data}).to_string())
}

fn zero(model: &Model, instance: Option<&Instance>) -> Value {
    let kind = match model.kind {
        ModelKind::Text => "llm",
        ModelKind::Vision => "vlm",
        ModelKind::Embedding => "embeddings",
    };
    let mut entry = json!({"id": model.id, "object": "model", "type": kind, "publisher": publisher(model),
        "arch": architecture(model), "compatibility_type": "gguf", "quantization": model.quantization,
        "state": if instance.is_some() { "loaded" } else { "not-loaded" },
        "max_context_length": model.context_length});
    if let Some(instance) = instance {
        entry["loaded_context_length"] = json!(instance.context_length);
    }
    if model.tools && model.kind != ModelKind::Embedding {
        entry["capabilities"] = json!(["tool_use"]);
    }
    entry
}

fn publisher(model: &Model) -> &str {
    model.id.split_once('/').map_or("lmstudio-community", |(publisher, _)| publisher)
}

fn architecture(model: &Model) -> &'static str {
    if model.kind == ModelKind::Embedding { "nomic-bert" } else { "qwen3" }
}

pub(super) fn models_zero(context: &Context<'_>) -> Reply {
    let state = context.shared.memory.state();
    let entry = |model: &Model| zero(model, state.instances_of(&model.id).find(|one| one.is_listed()));
    let data: Vec<Value> = state.models().iter().map(entry).collect();
    Reply::json(200, json!({"object": "list", "data": data}).to_string())
}

pub(super) fn model_zero(context: &Context<'_>, id: &str) -> Reply {
    let state = context.shared.memory.state();
    match state.model(&id.replace("%2F", "/").replace("%2f", "/")) {
        Some(model) => {
            let instance = state.instances_of(&model.id).find(|one| one.is_listed());
            Reply::json(200, zero(model, instance).to_string())
        }
        None => Reply::json(404, json!({"error": format!("Model '{id}' not found")}).to_string()),
    }
}

pub(super) fn models_one(context: &Context<'_>) -> Reply {
    let state = context.shared.memory.state();
    let instance = |one: &Instance| json!({"id": one.id, "config": config(one, &Value::Null)});
    let entry = |model: &Model| {
        let embedding = model.kind == ModelKind::Embedding;
        let instances: Vec<Value> =
            state.instances_of(&model.id).filter(|one| one.is_listed()).map(instance).collect();
        let mut entry = json!({"type": if embedding { "embedding" } else { "llm" }, "publisher": publisher(model),
            "key": model.id, "display_name": model.id, "architecture": architecture(model),
            "quantization": {"name": model.quantization, "bits_per_weight": 4}, "size_bytes": model.size_bytes,
            "params_string": "4B", "loaded_instances": instances, "max_context_length": model.context_length,
            "format": "gguf"});
        if !embedding {
            entry["capabilities"] =
                json!({"vision": model.kind == ModelKind::Vision, "trained_for_tool_use": model.tools});
        }
        if model.thinking {
            entry["capabilities"]["reasoning"] = json!({"allowed_options": ["off", "on"], "default": "on"});
        }
        entry
    };
    let models: Vec<Value> = state.models().iter().map(entry).collect();
    Reply::json(200, json!({"models": models}).to_string())
}

/// What an instance was loaded with, as far as the request said it.
fn config(instance: &Instance, request: &Value) -> Value {
    let told = |name: &str, usual: Value| match &request[name] {
        Value::Null => usual,
        told => told.clone(),
    };
    json!({"context_length": instance.context_length, "parallel": 4,
        "eval_batch_size": told("eval_batch_size", json!(512)),
        "flash_attention": told("flash_attention", json!(true)),
        "offload_kv_cache_to_gpu": told("offload_kv_cache_to_gpu", json!(true))})
}

/// The 400 for a key the route does not know, or for one it misses.
fn refuse_keys(body: &Value, required: &str, known: &[&str]) -> Option<Reply> {
    if !body[required].is_string() {
        let message = format!("'{required}' is required");
        return Some(one_error(400, "invalid_request", &message, required));
    }
    let unknown = body.as_object()?.keys().find(|key| !known.contains(&key.as_str()))?;
    let message = format!("Unrecognized key(s) in object: '{unknown}'");
    let error =
        json!({"type": "invalid_request", "message": message, "code": "unrecognized_keys", "param": unknown});
    Some(Reply::json(400, json!({"error": error}).to_string()))
}

/// Loads a model, always as an instance of its own, and answers when it is there.
pub(super) fn load(context: &Context<'_>) -> Answer {
    const KNOWN: &[&str] = &[
        "model",
        "context_length",
        "eval_batch_size",
        "flash_attention",
        "num_experts",
        "offload_kv_cache_to_gpu",
        "echo_load_config",
    ];
    let (body, started) = (&context.body, Instant::now());
    if let Some(reply) = refuse_keys(body, "model", KNOWN) {
        return reply.into();
    }
    let wanted = context.wanted_model();
    let Some(model) = context.model(wanted) else {
        return one_error(404, "model_not_found", &format!("Model '{wanted}' not found"), "model").into();
    };
    let begun = {
        let mut state = context.shared.memory.state();
        let taken =
            |id: &str| state.instances().iter().any(|one| one.id == id && one.state != InstanceState::Failed);
        let names = (1..).map(|number| match number {
            1 => model.id.clone(),
            number => format!("{}:{number}", model.id),
        });
        let instance = names.into_iter().find(|name| !taken(name)).unwrap_or_default();
        let length = body["context_length"].as_u64().map(|length| length as usize);
        let length = length.unwrap_or_else(|| state.usual_context(&model));
        state.begin_load(Load { instance, ..Load::new(&model.id, length) })
    };
    let serial = begun.unwrap_or_default();
    let ended = context.wait_until(|| {
        let state = context.shared.memory.state();
        match state.by_serial(serial) {
            Some(one) if one.state == InstanceState::Loading => None,
            found => Some(found.cloned()),
        }
    });
    let failed = |text: &str| {
        let message = format!("Failed to load model \"{wanted}\". Error: {text}");
        one_error(500, "internal_error", &message, "model").into()
    };
    match ended {
        None => Answer::Silence,
        Some(Some(Instance { failure: Some(text), .. })) => failed(&text),
        Some(Some(instance)) if instance.is_loaded() => {
            let kind = if model.kind == ModelKind::Embedding { "embedding" } else { "llm" };
            let mut answer = json!({"type": kind, "instance_id": instance.id, "status": "loaded",
                "load_time_seconds": started.elapsed().as_secs_f64()});
            if body["echo_load_config"] == true {
                answer["load_config"] = config(&instance, body);
            }
            Reply::json(200, answer.to_string()).into()
        }
        // Somebody sent it away before it was there.
        Some(_) => failed("Operation canceled."),
    }
}

/// Unloads by instance: the model's name will not do where the instance has another.
pub(super) fn unload(context: &Context<'_>) -> Reply {
    if let Some(reply) = refuse_keys(&context.body, "instance_id", &["instance_id"]) {
        return reply;
    }
    let instance = context.body["instance_id"].as_str().unwrap_or_default();
    if context.shared.memory.state().unload(instance) {
        Reply::json(200, json!({"instance_id": instance}).to_string())
    } else {
        let message = format!("No loaded model instance with id '{instance}'");
        one_error(404, "model_not_found", &message, "instance_id")
    }
}

pub(super) fn download(context: &Context<'_>) -> Reply {
    if let Some(reply) = refuse_keys(&context.body, "model", &["model", "quantization"]) {
        return reply;
    }
    let wanted = context.wanted_model().trim_start_matches("https://huggingface.co/");
    let mut state = context.shared.memory.state();
    if state.model(wanted).is_some() {
        return Reply::json(200, r#"{"status":"already_downloaded"}"#);
    }
    let Some(model) = state.downloadable(wanted) else {
        return one_error(404, "model_not_found", &format!("Model '{wanted}' not found"), "model");
    };
    let id = state.begin_download(model);
    match state.download(&id) {
        Some(download) => {
            let mut answer = json!({"job_id": id, "status": name(download.state),
                "total_size_bytes": download.total(), "started_at": download.started_at});
            if download.state == DownloadState::Completed {
                answer["completed_at"] = json!(moment::now());
            }
            Reply::json(200, answer.to_string())
        }
        None => no_job(&id),
    }
}

pub(super) fn download_status(context: &Context<'_>, id: &str) -> Reply {
    let state = context.shared.memory.state();
    let Some(download) = state.download(id) else {
        return no_job(id);
    };
    let mut answer = json!({"job_id": id, "status": name(download.state), "total_size_bytes": download.total(),
        "downloaded_bytes": download.bytes, "started_at": download.started_at});
    match download.state {
        DownloadState::Running => {
            answer["bytes_per_second"] = json!(speed(download));
            answer["estimated_completion"] = json!(moment::after(Some(download.left())));
        }
        DownloadState::Completed => answer["completed_at"] = json!(moment::now()),
        _ => {}
    }
    Reply::json(200, answer.to_string())
}

fn speed(download: &Download) -> u64 {
    (download.total() as f64 / download.delay().as_secs_f64().max(0.001)) as u64
}

fn no_job(id: &str) -> Reply {
    one_error(404, "job_not_found", &format!("Download job '{id}' not found"), "job_id")
}

fn name(state: DownloadState) -> &'static str {
    match state {
        DownloadState::Running => "downloading",
        DownloadState::Paused => "paused",
        DownloadState::Completed => "completed",
        DownloadState::Failed => "failed",
    }
}
