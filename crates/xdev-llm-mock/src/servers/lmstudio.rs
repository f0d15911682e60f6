//! LM Studio 0.3 and 0.4: OpenAI routes, `/api/v0`, and from 0.4 on `/api/v1` with its named events.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Answer, Context, headers};
use crate::chat::{CallStyle, Chat, Encoder, Event, Limits, Piece, Plan, quote};
use crate::http::Reply;
use crate::model::{Model, ModelKind};
use crate::personality::Personality;

pub(super) fn answer(context: &Context<'_>) -> Answer {
    let (method, path) = context.route();
    let four = context.personality() == Personality::LmStudio04;
    if (method, path) == ("GET", "/lmstudio-greeting") {
        return Reply::json(200, r#"{"lmstudio":true}"#).into();
    }
    if four && !context.has_key() {
        return Reply::json(
            401,
            r#"{"error":{"type":"invalid_request","code":"invalid_api_key","message":"An LM Studio API token is required to make requests to this server."}}"#,
        )
        .into();
    }
    let reply = match (method, path) {
        ("GET", "/v1/models") => models(context),
        ("GET", "/api/v0/models") => models_zero(context),
        ("GET", path) if path.starts_with("/api/v0/models/") => {
            model_zero(context, &path["/api/v0/models/".len()..])
        }
        ("POST", "/v1/chat/completions" | "/api/v0/chat/completions") => return chat(context),
        ("GET", "/api/v1/models") if four => models_one(context),
        ("POST", "/api/v1/chat") if four => return chat_one(context),
        ("POST", "/api/v1/models/load") if four => load(context),
        ("POST", "/api/v1/models/unload") if four => unload(context),
        _ => Reply::json(
            200,
            json!({"error": format!("Unexpected endpoint or method. ({} {path})", context.request.method)})
                .to_string(),
        ),
    };
    reply.into()
}

fn models(context: &Context<'_>) -> Reply {
    let all = context.shared.options.just_in_time;
    let data: Vec<Value> = context
        .shared
        .models()
        .iter()
        .filter(|model| all || model.loaded)
        .map(|model| json!({"id": model.id, "object": "model", "owned_by": "organization_owner"}))
        .collect();
    Reply::json(200, json!({"object": "list", "data": data}).to_string())
}

fn zero(model: &Model) -> Value {
    let kind = match model.kind {
        ModelKind::Text => "llm",
        ModelKind::Vision => "vlm",
        ModelKind::Embedding => "embeddings",
    };
    let mut entry = json!({"id": model.id, "object": "model", "type": kind, "publisher": publisher(model),
        "arch": "qwen3", "compatibility_type": "gguf", "quantization": "Q4_K_M",
        "state": if model.loaded { "loaded" } else { "not-loaded" }, "max_context_length": model.context_length});
    if model.loaded {
        entry["loaded_context_length"] = json!(model.context_length.min(4096));
    }
    if model.tools && model.kind != ModelKind::Embedding {
        entry["capabilities"] = json!(["tool_use"]);
    }
    entry
}

fn publisher(model: &Model) -> &str {
    model.id.split_once('/').map_or("lmstudio-community", |(publisher, _)| publisher)
}

fn models_zero(context: &Context<'_>) -> Reply {
    let data: Vec<Value> = context.shared.models().iter().map(zero).collect();
    Reply::json(200, json!({"object": "list", "data": data}).to_string())
}

fn model_zero(context: &Context<'_>, id: &str) -> Reply {
    match context.model(&id.replace("%2F", "/").replace("%2f", "/")) {
        Some(model) => Reply::json(200, zero(&model).to_string()),
        None => Reply::json(404, json!({"error": format!("Model '{id}' not found")}).to_string()),
    }
}

fn models_one(context: &Context<'_>) -> Reply {
    let entry = |model: &Model| {
        let embedding = model.kind == ModelKind::Embedding;
        let instances = if model.loaded {
            json!([{"id": model.id, "config": {"context_length": model.context_length.min(4096), "parallel": 4,
                "flash_attention": true}}])
        } else {
            json!([])
        };
        let mut entry = json!({"type": if embedding { "embedding" } else { "llm" }, "publisher": publisher(model),
            "key": model.id, "display_name": model.id, "architecture": "qwen3",
            "quantization": {"name": "Q4_K_M", "bits_per_weight": 4}, "size_bytes": 2_500_000_000_u64,
            "params_string": "4B", "loaded_instances": instances, "max_context_length": model.context_length,
            "format": "gguf"});
        if !embedding {
            entry["capabilities"] =
                json!({"vision": model.kind == ModelKind::Vision, "trained_for_tool_use": model.tools});
        }
        if model.thinking {
            entry["capabilities"]["reasoning"] = json!({"allowed_options": ["off", "on"], "default": "on"});
        }
        entry
    };
    let models: Vec<Value> = context.shared.models().iter().map(entry).collect();
    Reply::json(200, json!({"models": models}).to_string())
}

fn load(context: &Context<'_>) -> Reply {
    let wanted = context.wanted_model();
    let found = context.shared.change_models(|models| {
        let model = models.iter_mut().find(|model| model.id == wanted)?;
        let again = std::mem::replace(&mut model.loaded, true);
        Some((if again { format!("{wanted}:2") } else { wanted.to_owned() }, model.kind))
    });
    let Some((instance, kind)) = found else {
        return one_error(404, "model_not_found", &format!("Model '{wanted}' not found"), "model");
    };
    let kind = if kind == ModelKind::Embedding { "embedding" } else { "llm" };
    let body = json!({"type": kind, "instance_id": instance, "load_time_seconds": 0.5, "status": "loaded"});
    Reply::json(200, body.to_string())
}

fn unload(context: &Context<'_>) -> Reply {
    let Some(instance) = context.body["instance_id"].as_str() else {
        return one_error(400, "invalid_request", "'instance_id' is required", "instance_id");
    };
    let id = instance.strip_suffix(":2").unwrap_or(instance);
    let found = context.shared.change_models(|models| {
        let model = models.iter_mut().find(|model| model.id == id && model.loaded);
        model.map(|model| model.loaded = false).is_some()
    });
    if found {
        Reply::json(200, json!({"instance_id": instance}).to_string())
    } else {
        let message = format!("No loaded model instance with id '{instance}'");
        one_error(404, "model_not_found", &message, "instance_id")
    }
}

fn one_error(status: u16, kind: &str, message: &str, parameter: &str) -> Reply {
    Reply::json(status, json!({"error": {"type": kind, "message": message, "param": parameter}}).to_string())
}

/// The id that answers, and whether this request loads it.
fn pick(context: &Context<'_>) -> Result<(String, bool), Reply> {
    let wanted = context.wanted_model();
    if let Some(model) = context.model(wanted.split_once('@').map_or(wanted, |(name, _)| name)) {
        if model.loaded {
            return Ok((model.id, false));
        }
        if context.shared.options.just_in_time {
            context.shared.change_models(|models| {
                for other in models {
                    other.loaded |= other.id == model.id;
                }
            });
            return Ok((model.id, true));
        }
    }
    // An unknown name is answered by whatever is loaded; only the answer's `model` shows it.
    context.loaded_model().map(|model| (model.id, false)).ok_or_else(|| {
        let message = "No models loaded. Please load a model in the developer page or use the 'lms load' command.";
        Reply::json(
            404,
            json!({"error": {"message": message, "type": "invalid_request_error", "param": "model", "code": null}})
                .to_string(),
        )
    })
}

fn string_error(message: &str) -> Answer {
    Reply::json(400, json!({"error": message}).to_string()).into()
}

/// Whether every image is a PNG or JPEG data URL.
fn images_are_data(messages: &Value) -> bool {
    let good = |part: &Value| {
        let url = part["image_url"]["url"].as_str().unwrap_or_default();
        part["type"] != "image_url"
            || ["data:image/png;base64,", "data:image/jpeg;base64,"]
                .iter()
                .any(|start| url.starts_with(start))
    };
    messages.as_array().is_none_or(|messages| {
        messages
            .iter()
            .all(|message| message["content"].as_array().is_none_or(|parts| parts.iter().all(good)))
    })
}

const OVERFLOW: &str = "The number of tokens to keep from the initial prompt is greater than the context length. Try to load the model with a larger context length, or provide a shorter input";

fn chat(context: &Context<'_>) -> Answer {
    let body = &context.body;
    if body.is_null() {
        return string_error("Invalid JSON in request body");
    }
    if !body["messages"].is_array() {
        return string_error("'messages' field is required");
    }
    if !matches!(body["response_format"]["type"].as_str(), None | Some("json_schema" | "text")) {
        return string_error("'response_format.type' must be 'json_schema' or 'text'");
    }
    if body["tool_choice"].is_object() {
        return string_error(
            "Invalid tool_choice type: 'object'. Supported string values: none, auto, required",
        );
    }
    if !images_are_data(&body["messages"]) {
        return string_error("'url' field must be a base64 encoded image");
    }
    let model = match pick(context) {
        Ok((model, _)) => model,
        Err(reply) => return reply.into(),
    };
    if context.overlong().is_some() {
        if body["stream"] == true {
            let text = json!({"error": {"message": OVERFLOW}, "message": OVERFLOW});
            return Reply::new(200, "text/event-stream", format!("event: error\ndata: {text}\n\n")).into();
        }
        return string_error(OVERFLOW);
    }
    context.openai_chat(&model, &Limits::openai(body, &["max_tokens", "max_completion_tokens"]))
}

/// Why the input of `/api/v1/chat` is refused.
fn refuse_input(input: &Value) -> Option<Reply> {
    let invalid = |message: &str| {
        let error =
            json!({"message": message, "type": "invalid_request", "code": "invalid_union", "param": "input"});
        Some(Reply::json(400, json!({"error": error}).to_string()))
    };
    for item in input.as_array().into_iter().flatten() {
        let (name, known) = match item["type"].as_str() {
            Some("text") => ("content", ["type", "content"]),
            Some("image") => ("data_url", ["type", "data_url"]),
            _ => return invalid("Invalid discriminator value. Expected 'text' | 'image'"),
        };
        let unknown =
            item.as_object().and_then(|fields| fields.keys().find(|key| !known.contains(&key.as_str())));
        let missing = !item[name].is_string();
        if missing || unknown.is_some() {
            let required = if missing { format!("'input.0.{name}' is required, ") } else { String::new() };
            let key =
                unknown.map_or_else(String::new, |key| format!("Unrecognized key(s) in object: '{key}'"));
            return invalid(&format!("{required}{key}"));
        }
    }
    if input.is_string() || input.is_array() { None } else { invalid("'input' is required") }
}

/// Answers `/api/v1/chat`.
fn chat_one(context: &Context<'_>) -> Answer {
    let body = &context.body;
    if let Some(reply) = refuse_input(&body["input"]) {
        return reply.into();
    }
    let Ok((model, loads)) = pick(context) else {
        return one_error(404, "model_not_found", "No models loaded", "model").into();
    };
    if body["reasoning"].is_string() && !context.model(&model).is_some_and(|model| model.thinking) {
        return one_error(
            400,
            "invalid_request",
            "Model does not support reasoning configuration",
            "reasoning",
        )
        .into();
    }
    if context.overlong().is_some() {
        return one_error(400, "invalid_request", OVERFLOW, "input").into();
    }
    let queued = context.shared.take_script();
    let limits = Limits {
        max_tokens: body["max_output_tokens"].as_u64().map(|limit| limit as usize),
        stop: Vec::new(),
        reasoning: body["reasoning"] != "off",
    };
    let plan = Arc::new(Plan::new(&queued.script, body, &limits, CallStyle::Whole));
    let loading = queued.load_left_since_chat();
    let encoder = NativeOne {
        plan: Arc::clone(&plan),
        model: queued.script.model.clone().unwrap_or(model),
        loads: loads || !loading.is_zero(),
        stores: body["store"] != false,
    };
    Answer::Chat(Box::new(Chat {
        script: queued.script,
        plan,
        encoder: Box::new(encoder),
        request: body.clone(),
        stream: body["stream"] == true,
        loading,
        headers: headers(context.personality(), context.request.keep_alive),
    }))
}

/// `NativeOne` writes a plan as `/api/v1/chat` does, with named events.
struct NativeOne {
    plan: Arc<Plan>,
    model: String,
    loads: bool,
    stores: bool,
}

/// An event whose JSON repeats its type, with further fields (`"a":1` text).
fn named(name: &'static str, fields: &str) -> Event {
    let comma = if fields.is_empty() { "" } else { "," };
    Event { name: Some(name), data: format!(r#"{{"type":"{name}"{comma}{fields}}}"#) }
}

impl NativeOne {
    fn result(&self) -> Value {
        let mut output = Vec::new();
        let (reasoning, text) = (self.plan.reasoning(), self.plan.text());
        if !reasoning.is_empty() {
            output.push(json!({"type": "reasoning", "content": reasoning}));
        }
        for call in &self.plan.calls {
            output.push(
                json!({"type": "tool_call", "tool": call.name, "arguments": arguments(&call.arguments),
                "output": "[]", "provider_info": provider()}),
            );
        }
        if !text.is_empty() {
            output.push(json!({"type": "message", "content": text}));
        }
        let mut result = json!({"model_instance_id": self.model, "output": output,
            "stats": {"input_tokens": self.plan.prompt_tokens, "total_output_tokens": self.plan.completion_tokens,
                "reasoning_output_tokens": self.plan.reasoning_tokens, "tokens_per_second": 100.0,
                "time_to_first_token_seconds": 0.05}});
        if self.loads {
            result["stats"]["model_load_time_seconds"] = json!(0.5);
        }
        if self.stores {
            result["response_id"] = json!("resp_mock");
        }
        result
    }
}

fn arguments(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| text.into())
}

fn provider() -> Value {
    json!({"type": "ephemeral_mcp", "server_label": "mock"})
}

impl Encoder for NativeOne {
    fn content_type(&self, stream: bool) -> &'static str {
        if stream { "text/event-stream" } else { "application/json" }
    }

    fn opening(&self) -> Vec<Event> {
        let instance = format!(r#""model_instance_id":{}"#, quote(&self.model));
        let mut events = vec![named("chat.start", &instance)];
        if self.loads {
            events.push(named("model_load.start", &instance));
            events.push(named("model_load.progress", &format!(r#"{instance},"progress":0.5"#)));
            events.push(named("model_load.end", &format!(r#"{instance},"load_time_seconds":0.5"#)));
        }
        events.push(named("prompt_processing.start", ""));
        events.push(named("prompt_processing.progress", r#""progress":0.5"#));
        events.push(named("prompt_processing.end", ""));
        events
    }

    fn between(&self, previous: Option<&Piece>, next: Option<&Piece>) -> Vec<Event> {
        let names = |piece: Option<&Piece>| match piece {
            Some(Piece::Reasoning(_)) => Some(("reasoning.start", "reasoning.end")),
            Some(Piece::Text(_)) => Some(("message.start", "message.end")),
            _ => None,
        };
        let mut events = Vec::new();
        if let Some(Piece::Call { call, .. }) = previous {
            let fields = format!(
                r#""tool":{},"arguments":{},"output":"[]","provider_info":{}"#,
                quote(&call.name),
                arguments(&call.arguments),
                provider()
            );
            events.push(named("tool_call.success", &fields));
        }
        let (before, after) = (names(previous), names(next));
        if before != after {
            events.extend(before.map(|(_, end)| named(end, "")));
            events.extend(after.map(|(start, _)| named(start, "")));
        }
        if let Some(Piece::Call { call, .. }) = next {
            let fields = format!(r#""tool":{},"provider_info":{}"#, quote(&call.name), provider());
            events.push(named("tool_call.start", &fields));
        }
        events
    }

    fn piece(&self, piece: &Piece, _finish: Option<&str>) -> Event {
        match piece {
            Piece::Reasoning(text) => named("reasoning.delta", &format!(r#""content":{}"#, quote(text))),
            Piece::Text(text) => named("message.delta", &format!(r#""content":{}"#, quote(text))),
            Piece::Call { call, .. } => named(
                "tool_call.arguments",
                &format!(
                    r#""tool":{},"arguments":{},"provider_info":{}"#,
                    quote(&call.name),
                    arguments(&call.arguments),
                    provider()
                ),
            ),
            Piece::Arguments { fragment, .. } => {
                named("tool_call.arguments", &format!(r#""arguments":{}"#, quote(fragment)))
            }
        }
    }

    fn finish(&self) -> Vec<Event> {
        vec![named("chat.end", &format!(r#""result":{}"#, self.result()))]
    }

    fn sends_done(&self) -> bool {
        false
    }

    fn error(&self, message: &str) -> String {
        json!({"type": "error", "error": {"type": "internal_error", "message": message}}).to_string()
    }

    fn whole(&self) -> String {
        self.result().to_string()
    }
}
