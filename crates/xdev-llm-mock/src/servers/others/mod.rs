//! The other model servers: what they are known by, their errors, and a plain OpenAI chat.

use serde_json::{Value, json};

use super::{Answer, Context, openai_models};
use crate::chat::{Limits, quote};
use crate::http::Reply;
use crate::openai::CREATED;
use crate::personality::Personality;

pub(super) fn answer(context: &Context<'_>) -> Answer {
    let personality = context.personality();
    let (method, path) = context.route();
    let identity = match personality {
        Personality::SgLang => sglang(context, method, path),
        Personality::KoboldCpp => koboldcpp(context, method, path),
        Personality::TextGenerationWebUi => text_generation_webui(context, method, path),
        Personality::TabbyApi => tabbyapi(context, method, path),
        Personality::MistralRs => mistral_rs(method, path),
        Personality::LlamaSwap => llama_swap(context, method, path),
        Personality::Lemonade => lemonade(context, method, path),
        Personality::LocalAi => localai(method, path),
        Personality::Jan => jan(context, method, path),
        Personality::LiteLlm => litellm(method, path),
        Personality::DockerModelRunner => docker_model_runner(method, path),
        Personality::MlxLm if (method, path) == ("GET", "/health") => Some(ok(r#"{"status":"ok"}"#)),
        _ => None,
    };
    if let Some(reply) = identity {
        return reply.into();
    }
    let Some(rest) = openai_path(personality, path) else {
        return not_found(context).into();
    };
    if !context.has_key() {
        return unauthorized(personality).into();
    }
    match (method, rest) {
        ("GET", "/models") => models(context).into(),
        ("POST", "/chat/completions") => chat(context),
        _ => not_found(context).into(),
    }
}

fn ok(body: &str) -> Reply {
    Reply::json(200, body)
}

/// What follows the base path of the OpenAI routes.
fn openai_path(personality: Personality, path: &str) -> Option<&str> {
    let bases: &[&str] = match personality {
        Personality::Lemonade => &["/v1", "/api/v1", "/v0", "/api/v0"],
        Personality::DockerModelRunner => &["/v1", "/engines/v1", "/engines/llama.cpp/v1"],
        // Paths are matched by their end.
        Personality::KoboldCpp => return path.find("/v1/").map(|start| &path[start + 3..]),
        Personality::MlxLm => &["/v1", ""],
        _ => &["/v1"],
    };
    bases.iter().find_map(|base| path.strip_prefix(base))
}

/// A personality's error body.
pub(super) fn error(personality: Personality, status: u16, message: &str, parameter: Option<&str>) -> Reply {
    let kind = match status {
        404 => "not_found_error",
        500.. => "server_error",
        _ => "invalid_request_error",
    };
    let body = match personality {
        Personality::Jan | Personality::DockerModelRunner => return Reply::text(status, message),
        personality if personality.is_llamacpp() => {
            json!({"error": {"code": status, "message": message, "type": kind}})
        }
        Personality::Vllm => {
            json!({"error": {"message": message, "type": "BadRequestError", "param": parameter, "code": status}})
        }
        Personality::SgLang => {
            json!({"object": "error", "message": message, "type": "BadRequestError", "param": null, "code": status})
        }
        Personality::KoboldCpp => json!({"detail": {"msg": message, "type": "bad_input"}}),
        Personality::TabbyApi => json!({"detail": message}),
        Personality::MlxLm => json!({"error": message}),
        Personality::LocalAi => {
            json!({"error": {"code": status, "message": message, "param": null, "type": ""}})
        }
        Personality::LiteLlm => {
            json!({"error": {"message": message, "type": kind, "param": parameter, "code": status.to_string()}})
        }
        _ => json!({"error": {"message": message, "type": kind, "param": parameter, "code": null}}),
    };
    Reply::json(status, body.to_string())
}

fn unauthorized(personality: Personality) -> Reply {
    match personality {
        Personality::SgLang => Reply::json(401, r#"{"error":"Unauthorized"}"#),
        Personality::TextGenerationWebUi => Reply::json(401, r#"{"detail":"Unauthorized"}"#),
        Personality::TabbyApi => Reply::json(401, r#"{"detail":"Please provide an API key"}"#),
        Personality::KoboldCpp => Reply::json(
            401,
            r#"{"detail":{"error":"Unauthorized","msg":"Authentication key is missing or invalid.","type":"unauthorized"}}"#,
        ),
        Personality::Jan => Reply::text(401, "Invalid or missing authorization token"),
        Personality::Gpt4All => Reply::empty(401),
        Personality::LlamaSwap => {
            Reply::text(401, "unauthorized").with("WWW-Authenticate", r#"Basic realm="llama-swap""#)
        }
        Personality::LiteLlm => Reply::json(
            401,
            r#"{"error":{"message":"Authentication Error, No api key passed in.","type":"auth_error","param":"None","code":"401"}}"#,
        ),
        _ => Reply::json(
            401,
            r#"{"error":{"message":"Incorrect API key provided.","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}"#,
        ),
    }
}

fn not_found(context: &Context<'_>) -> Reply {
    match context.personality() {
        Personality::SgLang
        | Personality::TextGenerationWebUi
        | Personality::TabbyApi
        | Personality::LiteLlm => Reply::json(404, r#"{"detail":"Not Found"}"#),
        Personality::KoboldCpp => Reply::text(
            404,
            "Error: KoboldCpp HTTP Server is running, but this endpoint does not exist. Please check the URL.",
        ),
        Personality::Generic => error(Personality::Generic, 404, "Invalid URL", None),
        Personality::LlamaSwap => swap_error(context, 404, "not found"),
        _ => Reply::text(404, "Not Found"),
    }
}

fn models(context: &Context<'_>) -> Reply {
    let models = context.shared.models();
    let plain = |owned_by, created| openai_models(&models, owned_by, created);
    match context.personality() {
        Personality::SgLang => listed(context, |entry| {
            entry["owned_by"] = json!("sglang");
            entry["root"] = entry["id"].clone();
            entry["max_model_len"] = json!(context.context_tokens());
        }),
        Personality::MistralRs => listed(context, |entry| {
            entry["owned_by"] = json!("local");
            entry["status"] = json!("loaded");
        }),
        Personality::MlxLm => listed(context, |_| {}),
        Personality::LlamaSwap => listed(context, |entry| {
            entry["owned_by"] = json!("llama-swap");
            entry["status"] = json!({"value": "loaded"});
        }),
        Personality::KoboldCpp => plain("koboldcpp", CREATED),
        Personality::TextGenerationWebUi => plain("user", 0),
        Personality::TabbyApi => plain("tabbyAPI", CREATED),
        Personality::Lemonade => plain("lemonade", CREATED),
        Personality::Gpt4All => plain("humanity", 0),
        Personality::Jan => plain("user", 1),
        Personality::LiteLlm => plain("openai", CREATED),
        Personality::DockerModelRunner => plain("docker", CREATED),
        _ => plain("organization", CREATED),
    }
}

/// A model list with entries of a server's own.
fn listed(context: &Context<'_>, complete: impl Fn(&mut Value)) -> Reply {
    let entry = |model: &crate::model::Model| {
        let mut entry = json!({"id": model.id, "object": "model", "created": CREATED});
        complete(&mut entry);
        entry
    };
    let data: Vec<Value> = context.shared.models().iter().map(entry).collect();
    ok(&json!({"object": "list", "data": data}).to_string())
}

fn chat(context: &Context<'_>) -> Answer {
    let personality = context.personality();
    let body = &context.body;
    let bad = |message: &str, parameter| error(personality, 400, message, parameter).into();
    if personality == Personality::MlxLm && context.request.header("content-length").is_none() {
        return error(personality, 411, "Content-Length header is required", None).into();
    }
    if body.is_null() {
        return bad("The request body is not valid JSON", None);
    }
    if body["messages"].as_array().is_none_or(Vec::is_empty) {
        return bad("'messages' must be a list with at least one message", Some("messages"));
    }
    if personality == Personality::Gpt4All
        && let Some(reply) = gpt4all_refusal(body)
    {
        return reply.into();
    }
    if body["max_tokens"].as_i64().is_some_and(|limit| limit < 1) && personality == Personality::SgLang {
        return bad("max_tokens must be positive", Some("max_tokens"));
    }
    if context.overlong().is_some() {
        let message = format!("This model's maximum context length is {} tokens.", context.context_tokens());
        return bad(&message, Some("messages"));
    }
    let model = match model_or_refusal(context) {
        Ok(model) => model,
        Err(reply) => return reply.into(),
    };
    let mut limits = Limits::openai(body, &["max_tokens", "max_completion_tokens"]);
    let default = match personality {
        Personality::Gpt4All => Some(16),
        Personality::MlxLm => Some(512),
        _ => None,
    };
    limits.max_tokens = limits.max_tokens.or(default);
    let lease = context.shared.memory.lease(&model);
    context.openai_chat(&model, lease, &limits)
}

/// The model that answers, or the server's own way to say that it does not know the name.
fn model_or_refusal(context: &Context<'_>) -> Result<String, Reply> {
    let wanted = context.wanted_model();
    if let Some(model) = context.model(wanted) {
        return Ok(model.id);
    }
    let personality = context.personality();
    let first = context.shared.models().into_iter().next().map(|model| model.id);
    match personality {
        Personality::Jan if first.is_none() => Err(Reply::text(503, "No models are available")),
        Personality::Jan => Err(Reply::text(404, &format!("No running session found for model '{wanted}'"))),
        Personality::DockerModelRunner => Err(Reply::text(404, &format!("model not found: {wanted}"))),
        Personality::LlamaSwap => {
            Err(swap_error(context, 404, &format!("could not find real modelID for {wanted}")))
        }
        Personality::LiteLlm => {
            Err(error(personality, 400, &format!("Invalid model name passed in model={wanted}"), None))
        }
        Personality::Lemonade | Personality::MlxLm | Personality::Generic if !wanted.is_empty() => {
            Err(error(personality, 404, &format!("The model `{wanted}` does not exist"), Some("model")))
        }
        _ => first.ok_or_else(|| error(personality, 404, "No model is loaded", Some("model"))),
    }
}

/// llama-swap writes errors as the `Accept` header asks.
fn swap_error(context: &Context<'_>, status: u16, message: &str) -> Reply {
    let accept = context.request.header("accept").unwrap_or_default();
    if accept.contains("json") || accept.contains("event-stream") {
        error(Personality::Generic, status, message, None)
    } else if accept.contains("html") {
        Reply::html(status, &format!("<html><body>llama-swap: {message}</body></html>"))
    } else {
        Reply::text(status, &format!("llama-swap: {message}"))
    }
}

/// GPT4All's 400 for everything it does not know or want.
fn gpt4all_refusal(body: &Value) -> Option<Reply> {
    const KNOWN: &[&str] = &[
        "model",
        "messages",
        "max_tokens",
        "n",
        "temperature",
        "top_p",
        "min_p",
        "user",
        "service_tier",
        "parallel_tool_calls",
        "frequency_penalty",
        "presence_penalty",
        "logprobs",
        "stream",
    ];
    let refuse = |message: String| {
        Some(Reply::json(
            400,
            format!(
                r#"{{"error":{{"message":{},"type":"invalid_request_error","param":null,"code":null}}}}"#,
                quote(&message)
            ),
        ))
    };
    if let Some(key) = body.as_object()?.keys().find(|key| !KNOWN.contains(&key.as_str())) {
        return refuse(format!("Unrecognized request argument supplied: {key}"));
    }
    for key in ["stream", "logprobs"] {
        if body[key] == true {
            return refuse(format!("'{key}' is not supported"));
        }
    }
    for key in ["frequency_penalty", "presence_penalty"] {
        if body[key].as_f64().is_some_and(|value| value != 0.0) {
            return refuse(format!("'{key}' is not supported"));
        }
    }
    if body["max_tokens"].as_i64().is_some_and(|limit| limit < 1) {
        return refuse("'max_tokens' must be at least 1".into());
    }
    for message in body["messages"].as_array()? {
        let unknown = message.as_object()?.keys().find(|key| !matches!(key.as_str(), "role" | "content"));
        if let Some(key) = unknown {
            return refuse(format!("Unrecognized request argument supplied: {key}"));
        }
        if !message["content"].is_string() {
            return refuse("'content' must be a string".into());
        }
        if !matches!(message["role"].as_str(), Some("system" | "user" | "assistant")) {
            return refuse(format!("Invalid 'role': {}", message["role"]));
        }
    }
    None
}

fn sglang(context: &Context<'_>, method: &str, path: &str) -> Option<Reply> {
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

fn koboldcpp(context: &Context<'_>, method: &str, path: &str) -> Option<Reply> {
    let model = context.loaded_model().map_or_else(|| "inactive".to_owned(), |model| model.id);
    Some(match (method, path) {
        ("GET", "/api/extra/version") => ok(&json!({"result": "KoboldCpp", "version": "1.121",
            "protected": context.shared.options.api_key.is_some(), "txt2img": false, "vision": false,
            "transcribe": false, "multiplayer": false, "websearch": false, "tts": false, "embeddings": false,
            "admin": 0})
        .to_string()),
        ("GET", "/.well-known/serviceinfo") => {
            ok(r#"{"version":"0.2","software":{"name":"KoboldCpp","version":"1.121"},"api":{}}"#)
        }
        ("GET", "/api/v1/model") => ok(&json!({"result": model}).to_string()),
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
        _ => return None,
    })
}

fn text_generation_webui(context: &Context<'_>, method: &str, path: &str) -> Option<Reply> {
    let model = context.loaded_model().map_or_else(|| "None".to_owned(), |model| model.id);
    Some(match (method, path) {
        ("GET", "/v1/internal/health") => ok(r#"{"status":"ok"}"#),
        ("GET", "/v1/internal/model/info") => {
            ok(&json!({"model_name": model, "lora_names": [], "loader": "llama.cpp"}).to_string())
        }
        _ => return None,
    })
}

fn tabbyapi(context: &Context<'_>, method: &str, path: &str) -> Option<Reply> {
    Some(match (method, path) {
        ("GET", "/health") => ok(r#"{"status":"healthy","issues":[]}"#),
        ("GET", "/.well-known/serviceinfo") => ok(
            r#"{"version":0.1,"software":{"name":"TabbyAPI","repository":"github.com/theroyallab/tabbyAPI"},"api":{}}"#,
        ),
        ("GET", "/v1/model") if context.has_key() => {
            let model = context.loaded_model()?;
            ok(&json!({"id": model.id, "object": "model", "created": CREATED, "owned_by": "tabbyAPI",
                "parameters": {"max_seq_len": context.context_tokens()}})
            .to_string())
        }
        _ => return None,
    })
}

fn mistral_rs(method: &str, path: &str) -> Option<Reply> {
    matches!((method, path), ("GET", "/" | "/health")).then(|| Reply::text(200, "OK"))
}

fn llama_swap(context: &Context<'_>, method: &str, path: &str) -> Option<Reply> {
    Some(match (method, path) {
        ("GET", "/running") => {
            let entry = |model: crate::model::Model| {
                json!({"model": model.id, "state": "ready", "cmd": "llama-server", "proxy": "http://127.0.0.1:5800",
                    "ttl": 0, "name": "", "description": ""})
            };
            let running: Vec<Value> = context.loaded_model().into_iter().map(entry).collect();
            ok(&json!({"running": running}).to_string())
        }
        ("GET", "/api/version") => {
            ok(r#"{"version":"250","commit":"0123abc","build_date":"2026-10-01T00:00:00Z"}"#)
        }
        ("GET", "/health" | "/unload") => Reply::text(200, "OK"),
        ("GET", "/") => Reply::empty(302).with("Location", "/ui"),
        _ => return None,
    })
}

fn lemonade(context: &Context<'_>, method: &str, path: &str) -> Option<Reply> {
    Some(match (method, path) {
        ("GET", "/live") => ok(r#"{"status":"ok"}"#),
        ("GET", "/v1/health" | "/api/v1/health" | "/v0/health" | "/api/v0/health") => {
            let model = context.loaded_model().map(|model| model.id);
            let loaded: Vec<Value> = model
                .iter()
                .map(|id| {
                    json!({"model_name": id, "checkpoint": id, "type": "llm", "device": "cpu",
                    "backend_url": "http://127.0.0.1:8001/v1", "last_use": CREATED})
                })
                .collect();
            ok(&json!({"status": "ok", "version": "11.7.0", "websocket_port": 9000, "model_loaded": model,
                "all_models_loaded": loaded})
            .to_string())
        }
        ("GET", "/v1/chat/completions" | "/api/v1/chat/completions") => {
            Reply::json(405, r#"{"error":"Method Not Allowed. This endpoint takes POST."}"#)
        }
        _ => return None,
    })
}

fn localai(method: &str, path: &str) -> Option<Reply> {
    Some(match (method, path) {
        ("GET", "/.well-known/localai.json") => ok(
            r#"{"version":"v4.9.0","endpoints":{"chat":"/v1/chat/completions","models":"/v1/models"},"endpoint_groups":{}}"#,
        ),
        ("GET", "/version") => ok(r#"{"version":"v4.9.0 (0123abc)"}"#),
        ("GET", "/healthz" | "/readyz") => Reply::empty(200),
        ("GET", "/") => Reply::html(200, "<!doctype html><title>LocalAI</title>"),
        _ => return None,
    })
}

fn jan(context: &Context<'_>, method: &str, path: &str) -> Option<Reply> {
    match (method, path) {
        ("GET", "/") => Some(Reply::html(200, "<!doctype html><title>Swagger UI</title>")),
        (_, path) if path.starts_with("/v1") && !context.has_key() => {
            let missing = context.request.header("authorization").is_none();
            missing.then(|| Reply::text(401, "Missing authorization header"))
        }
        _ => None,
    }
}

fn litellm(method: &str, path: &str) -> Option<Reply> {
    Some(match (method, path) {
        ("GET", "/health/liveliness" | "/health/liveness") => ok(r#""I'm alive!""#),
        ("GET", "/health/readiness") => {
            ok(r#"{"status":"healthy","db":"Not connected","litellm_version":"1.90.0"}"#)
        }
        _ => return None,
    })
}

fn docker_model_runner(method: &str, path: &str) -> Option<Reply> {
    Some(match (method, path) {
        ("GET", "/") => Reply::text(200, "Docker Model Runner is running"),
        ("GET", "/version") => ok(r#"{"version":"v1.2.0"}"#),
        ("GET", "/engines/status") => ok(r#"{"llama.cpp":"Running"}"#),
        ("GET", "/engines/ps") => ok("[]"),
        _ => return None,
    })
}
