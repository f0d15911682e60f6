//! What the servers are known by that manage nothing: SGLang, Jan, LiteLLM.

use serde_json::json;

use super::{Context, ok};
use crate::http::Reply;

pub(super) fn sglang(context: &Context<'_>, method: &str, path: &str) -> Option<Reply> {
    let model = context.loaded_model().map(|model| model.id).unwrap_or_default();
    Some(match (method, path) {
        ("GET", "/get_model_info" | "/model_info") => {
            ok(&json!({"model_path": model, "tokenizer_path": model,
            "is_generation": true, "preferred_sampling_params": null, "weight_version": "default"})
            .to_string())
        }
        ("GET", "/get_server_info" | "/server_info") => {
            ok(&json!({"model_path": model, "version": "0.5.6", "internal_states": [{}]}).to_string())
        }
        ("GET", "/health" | "/health_generate") => Reply::empty(200),
        ("GET", "/api/tags") => ok(&json!({"models": [{"name": model, "model": model,
            "modified_at": "2026-11-23T05:15:01Z", "size": 0, "digest": "sha256:sglang000",
            "details": {"format": "sglang"}}]})
        .to_string()),
        _ => return None,
    })
}

pub(super) fn jan(context: &Context<'_>, method: &str, path: &str) -> Option<Reply> {
    match (method, path) {
        ("GET", "/") => Some(Reply::html(200, "<!doctype html><title>Swagger UI</title>")),
        (_, path) if path.starts_with("/v1") && !context.has_key() => {
            let missing = context.request.header("authorization").is_none();
            missing.then(|| Reply::text(401, "Missing authorization header"))
        }
        _ => None,
    }
}

pub(super) fn litellm(method: &str, path: &str) -> Option<Reply> {
    Some(match (method, path) {
        ("GET", "/health/liveliness" | "/health/liveness") => ok(r#""I'm alive!""#),
        ("GET", "/health/readiness") => {
            ok(r#"{"status":"healthy","db":"Not connected","litellm_version":"1.90.0"}"#)
        }
        _ => return None,
    })
}
