//! `llama-server` started without a model: it has several, starts a server of its own for each, and hands requests on.
//!
//! Bytes are as recorded from build 11434. A load and an unload are answered before they happen; only the list tells when
//! they have, and it says `loaded` of a model that is stopping.

use serde_json::{Value, json};

use super::{JSON, error, file_not_found, preflight, serve, unauthorized};
use crate::flow::{Flow, Step};
use crate::http::Reply;
use crate::memory::{Change, Download, DownloadState, Instance, InstanceState, Load, Memory, State};
use crate::model::{Model, ModelKind};
use crate::openai::CREATED;
use crate::servers::{Answer, Context, NotLoaded};

pub(crate) fn answer(context: &Context<'_>) -> Answer {
    let (method, path) = context.route();
    if method == "OPTIONS" {
        return preflight(context).into();
    }
    if !context.has_key() && !matches!(path, "/health" | "/v1/health" | "/") {
        return unauthorized().into();
    }
    let reply = match (method, path) {
        ("GET", "/health" | "/v1/health") => Reply::new(200, JSON, r#"{"status":"ok"}"#),
        ("GET", "/v1/models" | "/models") => models(context),
        ("GET", "/models/sse") => return changes(&context.shared.memory),
        ("POST", "/models/load") => load(context),
        ("POST", "/models/unload") => unload(context),
        ("POST", "/models") => download(context),
        ("DELETE", "/models") => delete(context),
        ("GET", "/props") if context.query("model").is_none() => props(context),
        ("GET", "/props" | "/slots" | "/metrics") => {
            return hand_on(context, &context.query("model").unwrap_or_default());
        }
        (
            "POST",
            "/v1/chat/completions" | "/chat/completions" | "/tokenize" | "/v1/embeddings" | "/embeddings",
        ) => return hand_on(context, context.wanted_model()),
        _ => file_not_found(),
    };
    reply.into()
}

fn invalid(message: &str) -> Reply {
    error(400, message, "invalid_request_error")
}

fn ok() -> Reply {
    Reply::new(200, JSON, r#"{"success":true}"#)
}

fn props(context: &Context<'_>) -> Reply {
    let state = context.shared.memory.state();
    let body = format!(
        r#"{{"role":"router","max_instances":{},"models_autoload":{},"model_alias":"llama-server","model_path":"none","default_generation_settings":{{"params":null,"n_ctx":0}},"ui_settings":{{}},"build_info":"b11434-unknown","cors_proxy_enabled":false}}"#,
        state.options.max_loaded.unwrap_or(0),
        state.options.just_in_time,
    );
    Reply::new(200, JSON, body)
}

/// Whether a server of its own runs for the model: it is loading, ready, asleep or stopping.
fn is_running(instance: &Instance) -> bool {
    instance.state != InstanceState::Failed
}

fn status_name(state: Option<InstanceState>) -> &'static str {
    match state {
        None | Some(InstanceState::Failed) => "unloaded",
        Some(InstanceState::Loading) => "loading",
        Some(InstanceState::Sleeping) => "sleeping",
        Some(InstanceState::Loaded | InstanceState::Unloading) => "loaded",
    }
}

fn models(context: &Context<'_>) -> Reply {
    let state = context.shared.memory.state();
    let mut data: Vec<Value> = state.models().iter().map(|model| entry(&state, model)).collect();
    let coming = |one: &&Download| {
        matches!(one.state, DownloadState::Running | DownloadState::Paused)
            && state.model(&one.model.id).is_none()
    };
    data.extend(state.downloads.iter().filter(coming).map(|one| {
        json!({"id": one.model.id, "aliases": [], "tags": [], "object": "model", "owned_by": "llamacpp",
            "created": CREATED, "status": {"value": "downloading", "args": []},
            "architecture": {"input_modalities": ["text"], "output_modalities": ["text"]}, "source": "cache",
            "can_remove": true})
    }));
    Reply::new(200, JSON, json!({"data": data, "object": "list"}).to_string())
}

fn entry(state: &State, model: &Model) -> Value {
    let instance = state.instances_of(&model.id).next();
    let id = &model.id;
    let context = instance.map_or_else(|| state.usual_context(model), |one| one.context_length).to_string();
    let file = format!("weights/router/{id}.gguf");
    let args = [
        "llama-server",
        "--host",
        "127.0.0.1",
        "--log-colors",
        "off",
        "--port",
        "0",
        "--alias",
        id,
        "--ctx-size",
        &context,
        "--model",
        &file,
        "--threads",
        "2",
    ];
    let preset = format!("[{id}]\nlog-colors = off\nctx-size = {context}\nmodel = {file}\nthreads = 2\n\n");
    let mut status =
        json!({"value": status_name(instance.map(|one| one.state)), "args": args, "preset": preset});
    if instance.is_some_and(|one| one.state == InstanceState::Failed) {
        status["exit_code"] = json!(1);
        status["failed"] = json!(true);
    }
    let input = if model.kind == ModelKind::Vision { json!(["text", "image"]) } else { json!(["text"]) };
    let cached = is_cached(state, id);
    let mut entry = json!({"id": id, "aliases": [], "tags": [], "object": "model", "owned_by": "llamacpp",
        "created": CREATED, "status": status,
        "architecture": {"input_modalities": input, "output_modalities": ["text"]},
        "source": if cached { "cache" } else { "models_dir" }, "can_remove": cached});
    if let Some(instance) = instance.filter(|one| one.is_listed()) {
        entry["meta"] = json!({"vocab_type": 2, "n_vocab": 49152, "n_ctx": instance.context_length,
            "n_ctx_train": model.context_length, "n_embd": model.shape.embedding_length,
            "n_params": 134_515_008, "size": model.size_bytes, "ftype": model.quantization});
    }
    entry
}

/// Whether a model was downloaded by the server, which alone can be removed.
fn is_cached(state: &State, id: &str) -> bool {
    state.downloads.iter().any(|one| one.model.id == id)
}

/// Hands a request on to the model it names, which is started for it where the server does that.
fn hand_on(context: &Context<'_>, name: &str) -> Answer {
    if name.is_empty() {
        return invalid("model name is missing from the request").into();
    }
    let Some(model) = context.model(name) else {
        return invalid(&format!("model '{name}' not found")).into();
    };
    let (autoload, running, load) = {
        let state = context.shared.memory.state();
        let autoload = context.query("autoload").filter(|told| !told.is_empty());
        let autoload =
            autoload.map_or(state.options.just_in_time, |told| matches!(told.as_str(), "true" | "1"));
        let running = state.instances_of(&model.id).any(is_running);
        (autoload, running, Load::new(&model.id, state.usual_context(&model)))
    };
    if !autoload && !running {
        return invalid("model is not loaded").into();
    }
    // A look does not wake a model that sleeps.
    let sleeps = super::sleeps(&context.shared.memory.state(), &model);
    if sleeps && context.request.method == "GET" {
        return serve(context, &model, None);
    }
    match context.ensure(&Load { just_in_time: true, ..load }, false) {
        Ok(lease) => serve(context, &model, Some(lease)),
        Err(NotLoaded::Gone) => Answer::Silence,
        Err(NotLoaded::Failed(_)) => {
            error(500, &format!("model name={} failed to load", model.id), "server_error").into()
        }
    }
}

fn load(context: &Context<'_>) -> Reply {
    let mut state = context.shared.memory.state();
    let Some(model) = state.model(context.wanted_model()).cloned() else {
        return error(404, "model is not found", "not_found_error");
    };
    if state.instances_of(&model.id).any(is_running) {
        return invalid("model is already running");
    }
    let length = state.usual_context(&model);
    state.begin_load(Load::new(&model.id, length));
    ok()
}

fn unload(context: &Context<'_>) -> Reply {
    let mut state = context.shared.memory.state();
    let wanted = context.wanted_model();
    let coming = |one: &&Download| one.model.id == wanted && one.state == DownloadState::Running;
    if let Some(id) = state.downloads.iter().find(coming).map(|one| one.id.clone()) {
        state.cancel_download(&id);
        return ok();
    }
    let Some(model) = state.model(wanted).cloned() else {
        return invalid("model is not found");
    };
    let Some(instance) = state.instances_of(&model.id).find(|one| is_running(one)).cloned() else {
        return invalid("model is not running");
    };
    if instance.state == InstanceState::Loading {
        // It is killed, and counts as one that failed.
        state.abort_load(&instance.id, "killed while it was loading");
    } else {
        state.unload(&instance.id);
    }
    ok()
}

fn download(context: &Context<'_>) -> Reply {
    let wanted = context.wanted_model();
    if wanted.is_empty() {
        return invalid("model must be a non-empty string");
    }
    let mut state = context.shared.memory.state();
    if state.model(wanted).is_some() {
        return invalid(&format!("model '{wanted}' already exists"));
    }
    let Some(model) = state.downloadable(wanted) else {
        return invalid("model validation failed, unable to download");
    };
    state.begin_download(model);
    ok()
}

fn delete(context: &Context<'_>) -> Reply {
    let Some(name) = context.query("model").filter(|name| !name.is_empty()) else {
        return invalid("model must be a non-empty string");
    };
    let mut state = context.shared.memory.state();
    if state.model(&name).is_none() {
        return error(500, &format!("model name={name} is not found"), "server_error");
    }
    if !is_cached(&state, &name) {
        let message = format!("model name={name} is not removable (not from cache)");
        return error(500, &message, "server_error");
    }
    state.remove_model(&name);
    ok()
}

/// `/models/sse`: what changes from now on, until the client goes.
fn changes(memory: &Memory) -> Answer {
    let memory = memory.clone();
    let mut seen = memory.state().changes.len();
    let mut bytes = std::collections::HashMap::new();
    let flow = Flow::new("text/event-stream", move || {
        let state = memory.state();
        if let Some(change) = state.changes.get(seen) {
            seen += 1;
            return describe(change).map_or_else(|| Step::Send(String::new()), |event| event_step(&event));
        }
        for one in &state.downloads {
            let told = bytes.insert(one.id.clone(), (one.bytes, one.state));
            if told != Some((one.bytes, one.state)) {
                return event_step(&download_event(one));
            }
        }
        Step::Wait
    });
    Answer::Flow(flow)
}

fn event_step(event: &Value) -> Step {
    Step::Send(format!("data: {event}\n\n"))
}

/// The event of a change; an instance that is stopping makes none.
fn describe(change: &Change) -> Option<Value> {
    let begins = change.state == Some(InstanceState::Loading);
    let mut data = json!({"status": status_name(change.state)});
    match change.state {
        Some(InstanceState::Unloading) => return None,
        Some(InstanceState::Failed) => data["exit_code"] = json!(1),
        None => data["exit_code"] = json!(0),
        _ => {}
    }
    let event = if begins { "model_status" } else { "status_change" };
    Some(json!({"model": change.model, "event": event, "data": data}))
}

fn download_event(one: &Download) -> Value {
    let event = match one.state {
        DownloadState::Completed => "download_finished",
        DownloadState::Failed => "download_failed",
        _ => "download_progress",
    };
    let mut body = json!({"model": one.model.id, "event": event});
    if event == "download_progress" {
        let url = format!("https://huggingface.co/{}/model.gguf", one.model.id);
        body["data"]["progress"][url] = json!({"done": one.bytes, "total": one.total()});
    }
    body
}
