//! llama-swap: starts the server of the model a request names, and stops the one before it.

use serde_json::{Value, json};

use super::{Answer, Context, error, ok};
use crate::http::Reply;
use crate::memory::{Instance, InstanceState, Load};
use crate::personality::Personality;
use crate::servers::{NotLoaded, percent_decode};

pub(super) fn answer(context: &Context<'_>, method: &str, path: &str) -> Option<Answer> {
    let reply = match (method, path) {
        ("GET", "/running") => running(context),
        ("GET", "/api/version") => {
            ok(r#"{"version":"250","commit":"0123abc","build_date":"2026-10-01T00:00:00Z"}"#)
        }
        ("GET", "/health") => Reply::text(200, "OK"),
        ("GET", "/unload") => {
            context.shared.memory.state().unload_all();
            Reply::text(200, "OK")
        }
        ("POST", "/api/models/unload") => {
            context.shared.memory.state().unload_all();
            ok(r#"{"msg":"ok"}"#)
        }
        ("POST", path) => match path.strip_prefix("/api/models/unload/") {
            Some(model) => unload(context, &percent_decode(model)),
            None => return None,
        },
        ("GET", "/") => Reply::empty(302).with("Location", "/ui"),
        ("GET", path) => {
            let model = path.strip_prefix("/upstream/").and_then(|rest| rest.strip_suffix("/health"))?;
            return Some(upstream(context, &percent_decode(model)));
        }
        _ => return None,
    };
    Some(reply.into())
}

fn running(context: &Context<'_>) -> Reply {
    let entry = |instance: &Instance| {
        let state = match instance.state {
            InstanceState::Loading => "starting",
            InstanceState::Unloading => "stopping",
            InstanceState::Failed => return None,
            _ => "ready",
        };
        Some(
            json!({"model": instance.model, "state": state, "cmd": "llama-server", "proxy": "http://127.0.0.1:5800",
            "ttl": instance.keep.map_or(0, |keep| keep.as_secs()), "name": "", "description": ""}),
        )
    };
    let state = context.shared.memory.state();
    let running: Vec<Value> = state.instances().iter().filter_map(entry).collect();
    ok(&json!({"running": running}).to_string())
}

fn unload(context: &Context<'_>, name: &str) -> Reply {
    match context.model(name) {
        Some(model) => {
            context.shared.memory.state().unload(&model.id);
            ok(r#"{"msg":"ok"}"#)
        }
        None => refusal(context, 404, "Model not found"),
    }
}

/// A look at the model's own server, which is started for it.
fn upstream(context: &Context<'_>, name: &str) -> Answer {
    let Some(model) = context.model(name) else {
        return refusal(context, 404, &format!("could not find real modelID for {name}")).into();
    };
    let length = context.shared.memory.state().usual_context(&model);
    match context.ensure(&Load::new(&model.id, length), false) {
        Ok(_) => ok(r#"{"status":"ok"}"#).into(),
        Err(NotLoaded::Gone) => Answer::Silence,
        Err(NotLoaded::Failed(text)) => {
            refusal(context, 502, &format!("unable to start process: {text}")).into()
        }
    }
}

/// An error as the `Accept` header asks for it.
pub(super) fn refusal(context: &Context<'_>, status: u16, message: &str) -> Reply {
    let accept = context.request.header("accept").unwrap_or_default();
    if accept.contains("json") || accept.contains("event-stream") {
        error(Personality::Generic, status, message, None)
    } else if accept.contains("html") {
        Reply::html(status, &format!("<html><body>llama-swap: {message}</body></html>"))
    } else {
        Reply::text(status, &format!("llama-swap: {message}"))
    }
}
