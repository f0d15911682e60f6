//! mistral.rs: several models, the first of them also as `default`. Loads and unloads have status 200 whatever comes of
//! them; only `status` tells.

use serde_json::{Value, json};

use super::{Answer, Context, ok};
use crate::http::Reply;
use crate::memory::{InstanceState, Load};
use crate::model::Model;
use crate::servers::NotLoaded;

pub(super) fn answer(context: &Context<'_>, method: &str, path: &str) -> Option<Answer> {
    let reply = match (method, path) {
        ("GET", "/" | "/health") => Reply::text(200, "OK"),
        ("POST", "/v1/models/unload") if context.has_key() => unload(context),
        ("POST", "/v1/models/reload") if context.has_key() => return Some(reload(context)),
        ("POST", "/v1/models/status") if context.has_key() => match wanted(context) {
            Some(model) => outcome(context, status(context, &model.id), None),
            None => not_found(context),
        },
        _ => return None,
    };
    Some(reply.into())
}

/// The model a name means: `default` is the first that has a name of its own.
pub(super) fn resolve(context: &Context<'_>, name: &str) -> Option<Model> {
    if name != "default" {
        return context.model(name);
    }
    let mut models = context.shared.models();
    models.sort_by_key(|model| model.id == "default");
    models.into_iter().next()
}

/// How the list spells the state of a model.
pub(super) fn status(context: &Context<'_>, name: &str) -> &'static str {
    let Some(model) = resolve(context, name) else {
        return "not_found";
    };
    let state = context.shared.memory.state();
    let instance = state.instances_of(&model.id).next().map(|one| one.state);
    match instance {
        Some(InstanceState::Loaded | InstanceState::Unloading) => "loaded",
        Some(InstanceState::Loading) => "reloading",
        _ => "unloaded",
    }
}

fn name<'a>(context: &'a Context<'_>) -> &'a str {
    context.body["model_id"].as_str().unwrap_or_default()
}

fn wanted(context: &Context<'_>) -> Option<Model> {
    resolve(context, name(context))
}

fn outcome(context: &Context<'_>, status: &str, error: Option<&str>) -> Reply {
    let mut answer = json!({"model_id": name(context), "status": status});
    if let Some(error) = error {
        answer["error"] = Value::from(error);
    }
    ok(&answer.to_string())
}

fn not_found(context: &Context<'_>) -> Reply {
    outcome(context, "not_found", Some(&format!("Model `{}` not found", name(context))))
}

fn unload(context: &Context<'_>) -> Reply {
    match wanted(context) {
        Some(model) => {
            context.shared.memory.state().unload(&model.id);
            outcome(context, "unloaded", None)
        }
        None => not_found(context),
    }
}

fn reload(context: &Context<'_>) -> Answer {
    let Some(model) = wanted(context) else {
        return not_found(context).into();
    };
    let length = context.shared.memory.state().usual_context(&model);
    match context.ensure(&Load::new(&model.id, length), false) {
        Ok(_) => outcome(context, "loaded", None).into(),
        Err(NotLoaded::Gone) => Answer::Silence,
        Err(NotLoaded::Failed(text)) => outcome(context, "internal_error", Some(&text)).into(),
    }
}
