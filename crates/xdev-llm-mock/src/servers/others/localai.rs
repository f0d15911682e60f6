//! LocalAI: every model has a backend that is started when it is asked, and shut down by name.

use serde_json::{Value, json};

use super::{Answer, Context, error, ok};
use crate::http::Reply;
use crate::memory::{Instance, Load};
use crate::servers::NotLoaded;

pub(super) fn answer(context: &Context<'_>, method: &str, path: &str) -> Option<Answer> {
    let reply = match (method, path) {
        ("GET", "/.well-known/localai.json") => ok(
            r#"{"version":"v4.9.0","endpoints":{"chat":"/v1/chat/completions","models":"/v1/models"},"endpoint_groups":{}}"#,
        ),
        ("GET", "/version") => ok(r#"{"version":"v4.9.0 (0123abc)"}"#),
        ("GET", "/healthz" | "/readyz") => Reply::empty(200),
        ("GET", "/") => Reply::html(200, "<!doctype html><title>LocalAI</title>"),
        ("GET", "/api/ps") => running(context),
        ("GET", "/system") => {
            let ids = listed(context, |one| Some(json!({"id": one.model})));
            ok(&json!({"backends": ["llama-cpp"], "loaded_models": ids}).to_string())
        }
        ("GET", "/backend/monitor") => monitor(context),
        ("POST", "/backend/load") => return Some(load(context)),
        ("POST", "/backend/shutdown") => shutdown(context),
        _ => return None,
    };
    Some(reply.into())
}

fn listed(context: &Context<'_>, entry: impl Fn(&Instance) -> Option<Value>) -> Vec<Value> {
    let state = context.shared.memory.state();
    state.instances().iter().filter(|one| one.is_listed()).filter_map(entry).collect()
}

fn running(context: &Context<'_>) -> Reply {
    let state = context.shared.memory.state();
    let entry = |one: &Instance| {
        json!({"name": one.model, "model": one.model, "size": state.bytes_of(one), "digest": "",
            "expires_at": "0001-01-01T00:00:00Z", "size_vram": state.vram_of(one)})
    };
    let models: Vec<Value> = state.instances().iter().filter(|one| one.is_listed()).map(entry).collect();
    ok(&json!({"models": models}).to_string())
}

fn missing(name: &str) -> Reply {
    error(crate::personality::Personality::LocalAi, 500, &format!("model {name} not found"), None)
}

fn monitor(context: &Context<'_>) -> Reply {
    let wanted = context.query("model").unwrap_or_default();
    let state = context.shared.memory.state();
    match state.instances_of(&wanted).find(|one| one.is_listed()) {
        // 2 is READY, 1 is BUSY.
        Some(one) => ok(&json!({"state": if one.running > 0 { 1 } else { 2 },
            "memory": {"total": state.bytes_of(one), "breakdown": null}})
        .to_string()),
        None => missing(&wanted),
    }
}

fn load(context: &Context<'_>) -> Answer {
    let Some(model) = context.model(context.wanted_model()) else {
        return missing(context.wanted_model()).into();
    };
    let length = context.shared.memory.state().usual_context(&model);
    match context.ensure(&Load::new(&model.id, length), false) {
        Ok(_) => ok("{}").into(),
        Err(NotLoaded::Gone) => Answer::Silence,
        Err(NotLoaded::Failed(text)) => error(context.personality(), 500, &text, None).into(),
    }
}

fn shutdown(context: &Context<'_>) -> Reply {
    let wanted = context.wanted_model();
    if context.shared.memory.state().unload(wanted) { Reply::empty(200) } else { missing(wanted) }
}
