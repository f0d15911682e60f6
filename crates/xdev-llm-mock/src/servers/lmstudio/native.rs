//! LM Studio's own chat, `/api/v1/chat`: its input, its events by name, its result.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Answer, Context, NoPick, OVERFLOW, one_error, pick};
use crate::chat::{CallStyle, Chat, Encoder, Event, Limits, Piece, Plan, quote};
use crate::http::Reply;
use crate::servers::headers;

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
pub(super) fn chat(context: &Context<'_>) -> Answer {
    let body = &context.body;
    if let Some(reply) = refuse_input(&body["input"]) {
        return reply.into();
    }
    if context.overlong().is_some() {
        return one_error(400, "invalid_request", OVERFLOW, "input").into();
    }
    let picked = match pick(context) {
        Ok(picked) => picked,
        Err(NoPick::Gone) => return Answer::Silence,
        Err(NoPick::Refused(reply)) => {
            let told: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
            let message = told["error"]["message"].as_str().unwrap_or_default();
            return one_error(404, "model_not_found", message, "model").into();
        }
    };
    let model = picked.lease.instance.clone();
    let thinks = {
        let state = context.shared.memory.state();
        let instance = state.instances().iter().find(|one| one.id == model);
        instance.and_then(|one| state.model(&one.model)).is_some_and(|model| model.thinking)
    };
    if body["reasoning"].is_string() && !thinks {
        return one_error(
            400,
            "invalid_request",
            "Model does not support reasoning configuration",
            "reasoning",
        )
        .into();
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
        loads: picked.loads || !loading.is_zero(),
        stores: body["store"] != false,
    };
    Answer::Chat(Box::new(Chat {
        script: queued.script,
        plan,
        encoder: Box::new(encoder),
        request: body.clone(),
        stream: body["stream"] == true,
        loading,
        lease: Some(picked.lease),
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
