//! TabbyAPI: one model, changed by whoever has the admin key; a load tells how far it is.

use serde_json::{Value, json};

use super::{Answer, Context, ok};
use crate::flow::{Flow, Step};
use crate::http::Reply;
use crate::memory::{Instance, InstanceState, Load, Memory};
use crate::model::Model;
use crate::openai::CREATED;

/// Modules a model is told to have: each makes an event.
const MODULES: u64 = 4;

pub(super) fn answer(context: &Context<'_>, method: &str, path: &str) -> Option<Answer> {
    let guarded = matches!(path, "/v1/model/load" | "/v1/model/unload");
    if guarded && !context.has_admin_key() {
        return Some(Reply::json(401, r#"{"detail":"Invalid admin key"}"#).into());
    }
    let reply = match (method, path) {
        ("GET", "/health") => ok(r#"{"status":"healthy","issues":[]}"#),
        ("GET", "/.well-known/serviceinfo") => ok(
            r#"{"version":0.1,"software":{"name":"TabbyAPI","repository":"github.com/theroyallab/tabbyAPI"},"api":{}}"#,
        ),
        ("GET", "/v1/model") if context.has_key() => match context.loaded_model() {
            Some(model) => {
                ok(&json!({"id": model.id, "object": "model", "created": CREATED, "owned_by": "tabbyAPI",
                "parameters": {"max_seq_len": context.context_tokens()}})
                .to_string())
            }
            None => nothing_loaded(),
        },
        ("POST", "/v1/model/load") => return Some(load(context)),
        ("POST", "/v1/model/unload") => {
            let mut state = context.shared.memory.state();
            if state.instances().iter().any(Instance::is_loaded) {
                state.unload_all();
                ok("null")
            } else {
                nothing_loaded()
            }
        }
        _ => return None,
    };
    Some(reply.into())
}

pub(super) fn nothing_loaded() -> Reply {
    Reply::json(400, r#"{"detail":"No models are currently loaded."}"#)
}

/// The models the list shows: all for the admin, the loaded one for everybody else.
pub(super) fn listed(context: &Context<'_>) -> Vec<Model> {
    let mut models = context.shared.models();
    models.retain(|model| model.loaded || context.has_admin_key());
    models
}

/// `Loading` is a load that ends when nobody listens to it any more.
struct Loading {
    memory: Memory,
    serial: u64,
}

impl Drop for Loading {
    fn drop(&mut self) {
        self.memory.state().cancel_load(self.serial);
    }
}

fn load(context: &Context<'_>) -> Answer {
    let Some(model) = context.model(context.body["model_name"].as_str().unwrap_or_default()) else {
        let detail = "Could not find the model path for load. Check model name or config.yml?";
        return Reply::json(400, json!({"detail": detail}).to_string()).into();
    };
    let memory = context.shared.memory.clone();
    let mut state = memory.state();
    if state.instances_of(&model.id).any(|one| one.state != InstanceState::Failed) {
        return told(format!("Model \"{}\" is already loaded! Aborting.", model.id));
    }
    let length = context.body["max_seq_len"].as_u64().map(|length| length as usize);
    let length = length.unwrap_or_else(|| state.usual_context(&model));
    let serial = state.begin_load(Load::new(&model.id, length)).unwrap_or_default();
    drop(state);
    let loading = Loading { memory, serial };
    let (mut module, mut ended) = (0, false);
    Answer::Flow(Flow::new("text/event-stream", move || {
        let state = loading.memory.state();
        let Some(instance) = state.by_serial(loading.serial).filter(|_| !ended) else {
            return Step::End;
        };
        if let Some(failure) = instance.failure.as_ref().filter(|_| instance.state == InstanceState::Failed) {
            ended = true;
            return event(&error(failure));
        }
        if module < MODULES && (instance.progress() * MODULES as f64) as u64 > module {
            module += 1;
            return event(&progress(module, "processing"));
        }
        if instance.is_loaded() {
            ended = true;
            return event(&progress(MODULES, "finished"));
        }
        Step::Wait
    }))
}

fn progress(module: u64, status: &str) -> Value {
    json!({"model_type": "model", "module": module, "modules": MODULES, "status": status})
}

fn error(message: &str) -> Value {
    json!({"error": {"message": message, "trace": null}})
}

/// An error that is the only event of its stream.
fn told(message: String) -> Answer {
    let mut left = Some(message);
    Answer::Flow(Flow::new("text/event-stream", move || {
        left.take().map_or(Step::End, |message| event(&error(&message)))
    }))
}

fn event(data: &Value) -> Step {
    Step::Send(format!("data: {data}\r\n\r\n"))
}
