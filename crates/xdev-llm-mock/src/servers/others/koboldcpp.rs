//! KoboldCpp, which also looks like Ollama and ComfyUI. It has one model, and changes it by starting itself anew.

use serde_json::{Value, json};

use super::{Answer, Context, ok};
use crate::http::Reply;
use crate::model::Model;

/// The name of the model in memory; `inactive` for none.
pub(super) fn model_name(context: &Context<'_>) -> String {
    context.loaded_model().map_or_else(|| "inactive".to_owned(), |model| model.id)
}

pub(super) fn answer(context: &Context<'_>, method: &str, path: &str) -> Option<Answer> {
    let reply = match (method, path) {
        ("GET", "/api/extra/version") => ok(&json!({"result": "KoboldCpp", "version": "1.121",
            "protected": context.shared.options.api_key.is_some(), "txt2img": false, "vision": false,
            "transcribe": false, "multiplayer": false, "websearch": false, "tts": false, "embeddings": false,
            "admin": admin_level(context)})
        .to_string()),
        ("GET", "/.well-known/serviceinfo") => {
            ok(r#"{"version":"0.2","software":{"name":"KoboldCpp","version":"1.121"},"api":{}}"#)
        }
        ("GET", "/api/v1/model") => ok(&json!({"result": model_name(context)}).to_string()),
        ("GET", "/api/extra/true_max_context_length") => {
            ok(&json!({"value": context.context_tokens()}).to_string())
        }
        ("GET", "/api/extra/perf") => ok(r#"{"last_process_time":0.1,"queue":0,"idle":1,"uptime":10}"#),
        ("GET", "/api/version") => ok(r#"{"version":"0.7.0"}"#),
        ("GET", "/api/tags" | "/api/ps") => ok(
            r#"{"models":[{"name":"koboldcpp","model":"koboldcpp:latest","digest":"b5dc5e784f2a3ee1582373093acf69a2f4e2ac1710b253a001712b86a61f88bb","details":{"format":"gguf"}}]}"#,
        ),
        ("GET", "/system_stats") => ok(
            r#"{"system":{"os":"posix","comfyui_version":"v0.3.4"},"devices":[{"name":"koboldcpp","type":"cuda","index":0}]}"#,
        ),
        ("GET", "/slots") => Reply::json(501, r#"{"error":{"code":501,"message":"not supported"}}"#),
        ("GET", "/") => Reply::html(200, "<!doctype html><title>KoboldAI Lite</title>"),
        ("GET", "/api/admin/list_options") => list_options(context),
        ("POST", "/api/admin/reload_config") => return Some(reload_config(context)),
        _ => return None,
    };
    Some(reply.into())
}

/// 0 without `--admin`, 2 with a password for it, 1 otherwise.
fn admin_level(context: &Context<'_>) -> u8 {
    match context.shared.memory.state().options.admin {
        false => 0,
        true if context.shared.options.admin_key.is_some() => 2,
        true => 1,
    }
}

fn may(context: &Context<'_>) -> bool {
    admin_level(context) > 0 && (context.shared.options.admin_key.is_none() || context.has_admin_key())
}

/// The file that starts the server with a model.
fn file_of(model: &Model) -> String {
    format!("{}.kcpps", model.id.rsplit('/').next().unwrap_or(&model.id))
}

/// The files it can be started with; none for who may not.
fn list_options(context: &Context<'_>) -> Reply {
    let mut files: Vec<String> = context.shared.models().iter().map(file_of).collect();
    files.push("unload_model".to_owned());
    ok(&if may(context) { json!(files) } else { Value::Array(Vec::new()) }.to_string())
}

/// Says yes, breaks all connections, and is not there until it has loaded what it was told.
fn reload_config(context: &Context<'_>) -> Answer {
    let told = context.body["filename"].as_str().unwrap_or_default();
    let model = context.shared.models().into_iter().find(|model| file_of(model) == told);
    if !may(context) || (model.is_none() && told != "unload_model") {
        return ok(r#"{"success": false}"#).into();
    }
    Answer::Restart(ok(r#"{"success": true}"#), model.map(|model| model.id))
}
