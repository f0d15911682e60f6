//! text-generation-webui: one model, changed by whoever has the admin key.

use serde_json::json;

use super::{Answer, Context, ok, unauthorized};
use crate::http::Reply;
use crate::memory::Load;
use crate::servers::NotLoaded;

pub(super) fn answer(context: &Context<'_>, method: &str, path: &str) -> Option<Answer> {
    if path.starts_with("/v1/internal/model/")
        && path != "/v1/internal/model/info"
        && !context.has_admin_key()
    {
        return Some(unauthorized(context.personality()).into());
    }
    let reply = match (method, path) {
        ("GET", "/v1/internal/health") => ok(r#"{"status":"ok"}"#),
        ("GET", "/v1/internal/model/info") => {
            let model = context.loaded_model().map_or_else(|| "None".to_owned(), |model| model.id);
            ok(&json!({"model_name": model, "lora_names": [], "loader": "llama.cpp"}).to_string())
        }
        ("GET", "/v1/internal/model/list") => {
            let names: Vec<String> = context.shared.models().into_iter().map(|model| model.id).collect();
            ok(&json!({"model_names": names}).to_string())
        }
        ("POST", "/v1/internal/model/load") => return Some(load(context)),
        ("POST", "/v1/internal/model/unload") => {
            context.shared.memory.state().unload_all();
            ok(r#""OK""#)
        }
        _ => return None,
    };
    Some(reply.into())
}

/// Blocks until the model is there. It hands the exception of a failure back instead of raising it, so that a failed
/// load has status 200 too.
fn load(context: &Context<'_>) -> Answer {
    let failed =
        || Reply::json(200, r#"{"status_code":400,"detail":"Failed to load the model.","headers":null}"#);
    let Some(model) = context.model(context.body["model_name"].as_str().unwrap_or_default()) else {
        return failed().into();
    };
    let length = context.body["args"]["ctx_size"].as_u64().map(|length| length as usize);
    let length = length.unwrap_or_else(|| context.shared.memory.state().usual_context(&model));
    match context.ensure(&Load::new(&model.id, length), true) {
        Ok(_) => ok(r#""OK""#).into(),
        Err(NotLoaded::Gone) => Answer::Silence,
        Err(NotLoaded::Failed(_)) => failed().into(),
    }
}
