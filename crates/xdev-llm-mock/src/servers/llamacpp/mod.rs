//! llama.cpp's `llama-server` with one model, as recorded from build 11434; `router` is the same without a model.

pub(super) mod router;

use serde_json::{Value, json};

use super::{Answer, Context, NotLoaded};
use crate::chat::{Limits, quote, tokens_of};
use crate::faults::loading_503;
use crate::http::Reply;
use crate::memory::{InstanceState, Lease, Load, State};
use crate::model::{Model, ModelKind};
use crate::openai::CREATED;

const JSON: &str = "application/json; charset=utf-8";

pub(super) fn answer(context: &Context<'_>) -> Answer {
    let (method, path) = context.route();
    // The recorded build answers 404 on `/` even while it loads; every other path says 503.
    if !context.shared.set_script().load_left_since_set().is_zero() && path != "/" {
        return loading_503().into();
    }
    if method == "OPTIONS" {
        return preflight(context).into();
    }
    // As recorded: the build asks for the key on the model list too, which older ones left open.
    if !context.has_key() && !matches!(path, "/health" | "/v1/health" | "/") {
        return unauthorized().into();
    }
    let reply = match (method, path) {
        ("GET", "/health" | "/v1/health") => Reply::new(200, JSON, r#"{"status":"ok"}"#),
        ("GET", "/") => root(context),
        ("GET", "/v1/models" | "/models") => models(context),
        _ => {
            let model = first_model(context);
            return match wake(context, &model) {
                Ok(lease) => serve(context, &model, lease),
                Err(_) => Answer::Silence,
            };
        }
    };
    reply.into()
}

/// Takes the model for an answer. A model that sleeps is woken by that, and by nothing else.
fn wake(context: &Context<'_>, model: &Model) -> Result<Option<Lease>, NotLoaded> {
    let (length, sleeps) = {
        let state = context.shared.memory.state();
        (state.usual_context(model), sleeps(&state, model))
    };
    if sleeps && context.request.method == "POST" {
        return context.ensure(&Load::new(&model.id, length), false).map(Some);
    }
    Ok(context.shared.memory.lease(&model.id))
}

fn sleeps(state: &State, model: &Model) -> bool {
    state.instances_of(&model.id).any(|one| one.state == InstanceState::Sleeping)
}

/// What a server answers for the one model it has.
fn serve(context: &Context<'_>, model: &Model, lease: Option<Lease>) -> Answer {
    let reply = match context.route() {
        ("GET", "/props") => props(context, model),
        ("GET", "/slots") => slots(context),
        ("GET", "/metrics") => Reply::new(
            200,
            "text/plain; version=0.0.4",
            "# HELP llamacpp:prompt_tokens_total Number of prompt tokens processed, excluding cached tokens\n\
             # TYPE llamacpp:prompt_tokens_total counter\nllamacpp:prompt_tokens_total 0\n",
        ),
        ("POST", "/tokenize") => tokenize(context),
        ("POST", "/v1/embeddings" | "/embedding" | "/embeddings") => error(
            501,
            "This server does not support embeddings. Start it with `--embeddings`",
            "not_supported_error",
        ),
        ("POST", "/v1/chat/completions" | "/chat/completions") => return chat(context, model, lease),
        _ => file_not_found(),
    };
    reply.into()
}

fn unauthorized() -> Reply {
    Reply::new(
        401,
        JSON,
        r#"{"error":{"message":"Invalid API Key","type":"authentication_error","code":401}}"#,
    )
}

fn file_not_found() -> Reply {
    Reply::new(404, JSON, r#"{"error":{"message":"File Not Found","type":"not_found_error","code":404}}"#)
}

fn error(code: u16, message: &str, kind: &str) -> Reply {
    Reply::new(
        code,
        JSON,
        format!(r#"{{"error":{{"code":{code},"message":{},"type":"{kind}"}}}}"#, quote(message)),
    )
}

fn preflight(context: &Context<'_>) -> Reply {
    Reply::new(200, "text/html", "")
        .with("Access-Control-Allow-Origin", context.request.header("origin").unwrap_or_default())
        .with("Access-Control-Allow-Credentials", "true")
        .with("Access-Control-Allow-Methods", "GET, POST, DELETE, OPTIONS")
        .with("Access-Control-Allow-Headers", "*")
}

fn root(context: &Context<'_>) -> Reply {
    if context.request.header("accept-encoding").is_some_and(|value| value.contains("gzip")) {
        Reply::html(200, "<!doctype html><title>llama.cpp</title>")
    } else {
        Reply::text(415, "Error: gzip is not supported by this browser")
    }
}

fn first_model(context: &Context<'_>) -> Model {
    context.shared.models().into_iter().next().unwrap_or_else(|| Model::new("model.gguf"))
}

fn models(context: &Context<'_>) -> Reply {
    let n_ctx = context.context_tokens();
    let model = first_model(context);
    let id = &model.id;
    let input = if model.kind == ModelKind::Vision { json!(["text", "image"]) } else { json!(["text"]) };
    let body = json!({
        "models": [{"name": id, "model": id, "modified_at": "", "size": "", "digest": "", "type": "model",
            "description": "", "tags": [""], "capabilities": ["completion"], "parameters": "",
            "details": {"parent_model": "", "format": "gguf", "family": "", "families": [""],
                "parameter_size": "", "quantization_level": ""}}],
        "object": "list",
        "data": [{"id": id, "aliases": [id], "tags": [], "object": "model",
            "architecture": {"input_modalities": input, "output_modalities": ["text"]},
            "created": CREATED, "owned_by": "llamacpp",
            "meta": {"vocab_type": 2, "n_vocab": 49152, "n_ctx": n_ctx, "n_ctx_train": 8192, "n_embd": 576,
                "n_params": 134_515_008, "size": 96_576_768, "ftype": "Q4_1"}}],
    });
    Reply::new(200, JSON, body.to_string())
}

/// The sampling defaults as recorded.
const DEFAULT_PARAMS: &str = r#"{"seed":4294967295,"temperature":0.800000011920929,"dynatemp_range":0.0,
"dynatemp_exponent":1.0,"top_k":40,"top_p":0.949999988079071,"min_p":0.05000000074505806,"top_n_sigma":-1.0,
"xtc_probability":0.0,"xtc_threshold":0.10000000149011612,"typical_p":1.0,"repeat_last_n":64,"repeat_penalty":1.0,
"presence_penalty":0.0,"frequency_penalty":0.0,"dry_multiplier":0.0,"dry_base":1.75,"dry_allowed_length":2,
"dry_penalty_last_n":64,"mirostat":0,"mirostat_tau":5.0,"mirostat_eta":0.10000000149011612,"adaptive_target":-1.0,
"adaptive_decay":0.8999999761581421,"max_tokens":-1,"n_predict":-1,"n_keep":0,"n_discard":0,"ignore_eos":false,
"stream":false,"n_probs":0,"min_keep":0,"chat_format":"Content-only","reasoning_format":"none",
"reasoning_in_content":false,"generation_prompt":"","samplers":["penalties","dry","top_n_sigma","top_k","typ_p",
"top_p","min_p","xtc","temperature"],"speculative.types":"none","timings_per_token":false,
"post_sampling_probs":false,"backend_sampling":false,"lora":[]}"#;

fn props(context: &Context<'_>, model: &Model) -> Reply {
    let vision = model.kind == ModelKind::Vision;
    let params: Value = serde_json::from_str(DEFAULT_PARAMS).expect("the constant is JSON, as a test holds");
    let body = json!({
        "default_generation_settings": {"params": params, "n_ctx": context.context_tokens()},
        "total_slots": 4, "model_alias": model.id, "model_ftype": "Q4_1", "model_path": model.id,
        "modalities": {"vision": vision, "video": false, "audio": false},
        "media_marker": "<__media_mock__>", "endpoint_slots": true, "endpoint_props": false,
        "endpoint_metrics": true, "ui": true, "ui_settings": {},
        "chat_template": "{% for message in messages %}{{ message['content'] }}{% endfor %}",
        "chat_template_caps": {"supports_object_arguments": false, "supports_parallel_tool_calls": false,
            "supports_preserve_reasoning": false, "supports_reasoning_effort": false,
            "supports_string_content": true, "supports_system_role": true, "supports_tool_calls": model.tools,
            "supports_tools": model.tools, "supports_typed_content": false},
        "bos_token": "<|im_start|>", "eos_token": "<|im_end|>", "build_info": "b11434-unknown",
        "is_sleeping": sleeps(&context.shared.memory.state(), model), "cors_proxy_enabled": false,
    });
    Reply::new(200, JSON, body.to_string())
}

fn slots(context: &Context<'_>) -> Reply {
    let n_ctx = context.context_tokens();
    let slot = |id| json!({"id": id, "n_ctx": n_ctx, "speculative": false, "is_processing": false});
    Reply::new(200, JSON, (0..4).map(slot).collect::<Value>().to_string())
}

fn tokenize(context: &Context<'_>) -> Reply {
    let characters = context.body["content"].as_str().unwrap_or_default().chars().count();
    let tokens: Vec<usize> = (0..if characters == 0 { 0 } else { tokens_of(characters) }).collect();
    Reply::new(200, JSON, json!({"tokens": tokens}).to_string())
}

fn chat(context: &Context<'_>, model: &Model, lease: Option<Lease>) -> Answer {
    let invalid = |message: &str| error(400, message, "invalid_request_error").into();
    if context.body.is_null() {
        return invalid(
            "[json.exception.parse_error.101] parse error at line 1, column 1: syntax error while parsing value - \
             unexpected end of input; expected '[', '{', or a literal",
        );
    }
    let Some(messages) = context.body.get("messages") else {
        return invalid("'messages' is required");
    };
    if !messages.is_array() {
        return invalid("'messages' must be an array");
    }
    if model.kind != ModelKind::Vision && has_image(messages) {
        let message =
            "image input is not supported - hint: if this is unexpected, you may need to provide the mmproj";
        return error(500, message, "server_error").into();
    }
    if let Some(tokens) = context.overlong() {
        let n_ctx = context.context_tokens();
        let message = format!(
            "request ({tokens} tokens) exceeds the available context size ({n_ctx} tokens), try increasing it"
        );
        return Reply::new(400, JSON, format!(
            r#"{{"error":{{"code":400,"message":{},"type":"exceed_context_size_error","n_prompt_tokens":{tokens},"n_ctx":{n_ctx}}}}}"#,
            quote(&message)
        ))
        .into();
    }
    let mut limits = Limits::openai(&context.body, &["max_tokens", "max_completion_tokens", "n_predict"]);
    // Measured: a limit of 0 gives one token.
    limits.max_tokens = limits.max_tokens.map(|limit| limit.max(1));
    context.openai_chat(&model.id, lease, &limits)
}

/// Whether a message has an image part.
pub(super) fn has_image(messages: &Value) -> bool {
    let part = |part: &Value| part["type"] == "image_url";
    let message = |message: &Value| message["content"].as_array().is_some_and(|parts| parts.iter().any(part));
    messages.as_array().is_some_and(|messages| messages.iter().any(message))
}
