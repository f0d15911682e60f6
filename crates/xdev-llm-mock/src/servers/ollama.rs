//! Ollama: the native API with JSON lines and nanoseconds, and the OpenAI routes beside it.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Answer, Context, headers};
use crate::chat::{CallStyle, Chat, Encoder, Event, Framing, Limits, Piece, Plan, quote, stop_strings};
use crate::http::Reply;
use crate::model::{Model, ModelKind};
use crate::script::ToolCall;

/// The paths that exist: with another method they answer 405.
const PATHS: &[&str] = &[
    "/",
    "/api/version",
    "/api/tags",
    "/api/ps",
    "/api/show",
    "/api/chat",
    "/api/generate",
    "/v1/models",
    "/v1/chat/completions",
];
const MOMENT: &str = "2026-11-23T05:15:01.000000000Z";

pub(super) fn answer(context: &Context<'_>) -> Answer {
    let (method, path) = context.route();
    // The guard against DNS rebinding: a host that is not local gets 403 and nothing else.
    if !host_is_local(context.request.header("host").unwrap_or_default()) {
        return Reply::empty(403).into();
    }
    let reply = match (method, path) {
        ("GET", "/") => Reply::text(200, "Ollama is running"),
        ("GET", "/api/version") => native(200, &json!({"version": "0.33.0"})),
        ("GET", "/api/tags") => tags(context),
        ("GET", "/api/ps") => loaded(context),
        ("POST", "/api/show") => show(context),
        ("POST", "/api/chat") => return chat(context),
        ("POST", "/api/generate") => return generate(context),
        ("GET", "/v1/models") => models(context),
        ("POST", "/v1/chat/completions") => return openai(context),
        (_, path) if PATHS.contains(&path) => Reply::text(405, "405 method not allowed"),
        _ => Reply::text(404, "404 page not found"),
    };
    reply.into()
}

fn host_is_local(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    let local = |ip: std::net::IpAddr| ip.is_loopback() || ip.is_unspecified();
    matches!(name, "" | "localhost") || name.ends_with(".localhost") || name.parse().is_ok_and(local)
}

fn native(status: u16, body: &Value) -> Reply {
    Reply::new(status, "application/json; charset=utf-8", body.to_string())
}

fn native_error(status: u16, message: &str) -> Reply {
    native(status, &json!({"error": message}))
}

fn digest(model: &Model) -> String {
    // Any stable 64 digits do; the id makes them differ.
    let number = model.id.bytes().fold(0_u128, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    format!("{number:032x}{number:032x}")
}

fn details(model: &Model) -> Value {
    json!({"parent_model": "", "format": "gguf", "family": family(model), "families": [family(model)],
        "parameter_size": "4.0B", "quantization_level": "Q4_K_M"})
}

fn family(model: &Model) -> &'static str {
    match model.kind {
        ModelKind::Embedding => "nomic-bert",
        _ => "qwen3",
    }
}

fn capabilities(model: &Model) -> Vec<&'static str> {
    if model.kind == ModelKind::Embedding {
        return vec!["embedding"];
    }
    let mut names = vec!["completion"];
    names.extend((model.kind == ModelKind::Vision).then_some("vision"));
    names.extend(model.tools.then_some("tools"));
    names.extend(model.thinking.then_some("thinking"));
    names
}

fn tags(context: &Context<'_>) -> Reply {
    let entry = |model: &Model| {
        json!({"name": model.id, "model": model.id, "modified_at": MOMENT, "size": 2_500_000_000_u64,
            "digest": digest(model), "details": details(model), "capabilities": capabilities(model)})
    };
    let models: Vec<Value> = context.shared.models().iter().map(entry).collect();
    native(200, &json!({"models": models}))
}

fn loaded(context: &Context<'_>) -> Reply {
    let entry = |model: &Model| {
        json!({"name": model.id, "model": model.id, "size": 3_000_000_000_u64, "digest": digest(model),
            "details": details(model), "expires_at": "2026-11-23T05:20:01Z", "size_vram": 3_000_000_000_u64,
            "context_length": context.context_tokens()})
    };
    let models: Vec<Value> = context.shared.models().iter().filter(|model| model.loaded).map(entry).collect();
    native(200, &json!({"models": models}))
}

/// The model asked for; the tag `latest` may be left out.
fn find(context: &Context<'_>) -> Result<Model, Reply> {
    let wanted = context.wanted_model();
    if wanted.is_empty() {
        return Err(native_error(400, "model is required"));
    }
    context
        .model(wanted)
        .or_else(|| context.model(&format!("{wanted}:latest")))
        .ok_or_else(|| native_error(404, &format!("model '{wanted}' not found")))
}

fn show(context: &Context<'_>) -> Reply {
    let model = match find(context) {
        Ok(model) => model,
        Err(reply) => return reply,
    };
    let mut info =
        json!({"general.architecture": family(&model), "general.parameter_count": 4_022_468_096_u64});
    info[format!("{}.context_length", family(&model))] = json!(model.context_length);
    native(
        200,
        &json!({"modelfile": format!("FROM {}", model.id), "parameters": "temperature 0.6",
        "template": "{{ .Prompt }}", "details": details(&model), "model_info": info,
        "capabilities": capabilities(&model), "modified_at": MOMENT}),
    )
}

fn models(context: &Context<'_>) -> Reply {
    let entry = |model: &Model| json!({"id": model.id, "object": "model", "created": crate::openai::CREATED, "owned_by": "library"});
    let models: Vec<Value> = context.shared.models().iter().map(entry).collect();
    // Go writes an empty list it never made as null.
    let data = if models.is_empty() { Value::Null } else { models.into() };
    Reply::json(200, json!({"object": "list", "data": data}).to_string())
}

fn openai(context: &Context<'_>) -> Answer {
    let error = |status, message: &str, kind: &str| {
        let body = json!({"error": {"message": message, "type": kind, "param": null, "code": null}});
        Reply::json(status, body.to_string())
    };
    let model = match find(context) {
        Ok(model) => model,
        Err(reply) => {
            let body: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
            let kind = if reply.status == 404 { "not_found_error" } else { "invalid_request_error" };
            return error(reply.status, body["error"].as_str().unwrap_or_default(), kind).into();
        }
    };
    if context.body["messages"].as_array().is_none_or(Vec::is_empty) {
        return error(400, "[] is too short - 'messages'", "invalid_request_error").into();
    }
    if wants_tools(context) && !model.tools {
        let message = format!("\"{}\" does not support tools", model.id);
        return error(400, &message, "invalid_request_error").into();
    }
    keep(context, &model, true);
    // `max_completion_tokens` is dropped without a word.
    context.openai_chat(&model.id, &Limits::openai(&context.body, &["max_tokens"]))
}

fn wants_tools(context: &Context<'_>) -> bool {
    context.body["tools"].as_array().is_some_and(|tools| !tools.is_empty())
}

/// Notes that a model is in memory or not; true when that is news.
fn keep(context: &Context<'_>, model: &Model, loaded: bool) -> bool {
    context.shared.change_models(|models| {
        let known = models.iter_mut().find(|known| known.id == model.id);
        known.is_some_and(|known| std::mem::replace(&mut known.loaded, loaded) != loaded)
    })
}

/// Why a `keep_alive` is refused: a string needs a unit.
fn bad_keep_alive(value: &Value) -> Option<String> {
    let text = value.as_str()?;
    if text == "0" {
        return None;
    }
    let number = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    if number.len() == text.len() {
        return Some(format!("time: missing unit in duration \"{text}\""));
    }
    let parses = text
        .trim_start_matches('-')
        .split_inclusive(|letter: char| letter.is_ascii_alphabetic())
        .all(|part| part.starts_with(|letter: char| letter.is_ascii_alphanumeric() || letter == '.'));
    (!parses).then(|| format!("time: invalid duration \"{text}\""))
}

/// The checks chat and generate share.
fn check(context: &Context<'_>) -> Result<Model, Reply> {
    if context.request.body.is_empty() {
        return Err(native_error(400, "missing request body"));
    }
    if context.body.is_null() {
        return Err(native_error(400, "invalid character in request body"));
    }
    if let Some(message) = bad_keep_alive(&context.body["keep_alive"]) {
        return Err(native_error(400, &message));
    }
    let model = find(context)?;
    let refuse = |what: &str| Err(native_error(400, &format!("\"{}\" does not support {what}", model.id)));
    let think = &context.body["think"];
    if !matches!(think, Value::Null | Value::Bool(false)) && !model.thinking {
        return refuse("thinking");
    }
    if model.kind == ModelKind::Embedding {
        return refuse("chat");
    }
    if wants_tools(context) && !model.tools {
        return refuse("tools");
    }
    Ok(model)
}

/// The answer to an empty request, which loads or unloads.
fn load_or_unload(context: &Context<'_>, model: &Model, text_field: &str) -> Reply {
    let now = &context.body["keep_alive"];
    let unload = now.as_f64() == Some(0.0) || now.as_str().is_some_and(|text| text.starts_with('0'));
    keep(context, model, !unload);
    let mut body = json!({"model": model.id, "created_at": MOMENT, "done": true,
        "done_reason": if unload { "unload" } else { "load" }});
    body[text_field] = match text_field {
        "message" => json!({"role": "assistant", "content": ""}),
        _ => json!(""),
    };
    native(200, &body)
}

fn chat(context: &Context<'_>) -> Answer {
    let model = match check(context) {
        Ok(model) => model,
        Err(reply) => return reply.into(),
    };
    if context.body["messages"].as_array().is_none_or(Vec::is_empty) {
        return load_or_unload(context, &model, "message").into();
    }
    produce(context, &model, false)
}

fn generate(context: &Context<'_>) -> Answer {
    let model = match check(context) {
        Ok(model) => model,
        Err(reply) => return reply.into(),
    };
    if context.body["prompt"].as_str().is_none_or(str::is_empty) {
        return load_or_unload(context, &model, "response").into();
    }
    produce(context, &model, true)
}

fn produce(context: &Context<'_>, model: &Model, plain: bool) -> Answer {
    let body = &context.body;
    let options = &body["options"];
    let loads = keep(context, model, true);
    let queued = context.shared.take_script();
    let limits = Limits {
        max_tokens: options["num_predict"].as_i64().and_then(|limit| usize::try_from(limit).ok()),
        stop: stop_strings(&options["stop"]),
        reasoning: body["think"] != false,
    };
    let mut plan = Plan::new(&queued.script, body, &limits, CallStyle::Whole);
    if context.overlong().is_some() {
        // Longer prompts are cut without a word; only the count shows it.
        plan.prompt_tokens = context.context_tokens();
    }
    let plan = Arc::new(plan);
    let loading = queued.load_left_since_chat();
    let encoder = Native {
        plan: Arc::clone(&plan),
        model: queued.script.model.clone().unwrap_or_else(|| model.id.clone()),
        load_duration: if loads { 500_000_000 } else { loading.as_nanos() as u64 },
        plain,
    };
    Answer::Chat(Box::new(Chat {
        script: queued.script,
        plan,
        encoder: Box::new(encoder),
        request: body.clone(),
        stream: body["stream"] != false,
        loading,
        headers: headers(context.personality(), context.request.keep_alive),
    }))
}

/// `Native` writes a plan as `/api/chat`, or `/api/generate` when `plain`.
struct Native {
    plan: Arc<Plan>,
    model: String,
    /// Nanoseconds; 0 is left out, as Go does.
    load_duration: u64,
    plain: bool,
}

impl Native {
    fn line(&self, text: &str, thinking: &str, calls: &str, tail: &str) -> String {
        let model = quote(&self.model);
        let thinking =
            if thinking.is_empty() { String::new() } else { format!(r#","thinking":{}"#, quote(thinking)) };
        let text = quote(text);
        let answer = if self.plain {
            format!(r#""response":{text}{thinking}"#)
        } else {
            let calls = if calls.is_empty() { String::new() } else { format!(r#","tool_calls":[{calls}]"#) };
            format!(r#""message":{{"role":"assistant","content":{text}{thinking}{calls}}}"#)
        };
        format!(r#"{{"model":{model},"created_at":"{MOMENT}",{answer},{tail}}}"#)
    }

    fn call(index: usize, call: &ToolCall) -> String {
        let arguments: Value = serde_json::from_str(&call.arguments).unwrap_or_else(|_| json!({}));
        json!({"id": call.id, "function": {"index": index, "name": call.name, "arguments": arguments}})
            .to_string()
    }

    fn done(&self) -> String {
        // Ollama has no reason of its own for tool calls.
        let reason = match self.plan.finish_reason.as_str() {
            "tool_calls" => "stop",
            reason => reason,
        };
        let (prompt, count) = (self.plan.prompt_tokens as u64, self.plan.completion_tokens as u64);
        let (prompt_time, time) = (prompt * 5_000_000, count * 10_000_000);
        let total = self.load_duration + prompt_time + time;
        let mut text = format!(r#""done":true,"done_reason":{},"total_duration":{total}"#, quote(reason));
        let fields = [
            ("load_duration", self.load_duration),
            ("prompt_eval_count", prompt),
            ("prompt_eval_duration", prompt_time),
            ("eval_count", count),
            ("eval_duration", time),
        ];
        for (name, value) in fields.iter().filter(|(_, value)| *value > 0) {
            text.push_str(&[",\"", name, "\":", &value.to_string()].concat());
        }
        text
    }
}

impl Encoder for Native {
    fn framing(&self) -> Framing {
        Framing::Lines
    }

    fn content_type(&self, stream: bool) -> &'static str {
        if stream { "application/x-ndjson" } else { "application/json; charset=utf-8" }
    }

    fn piece(&self, piece: &Piece, _finish: Option<&str>) -> Event {
        let going = r#""done":false"#;
        Event::data(match piece {
            Piece::Text(text) => self.line(text, "", "", going),
            Piece::Reasoning(text) => self.line("", text, "", going),
            Piece::Call { index, call, .. } => self.line("", "", &Native::call(*index, call), going),
            // Calls are whole in this dialect, so there is never a fragment.
            Piece::Arguments { .. } => self.line("", "", "", going),
        })
    }

    fn finish(&self) -> Vec<Event> {
        vec![Event::data(self.line("", "", "", &self.done()))]
    }

    fn sends_done(&self) -> bool {
        false
    }

    fn error(&self, message: &str) -> String {
        format!(r#"{{"error":{}}}"#, quote(message))
    }

    fn whole(&self) -> String {
        let calls = self.plan.calls.iter().enumerate().map(|(index, call)| Native::call(index, call));
        let calls: Vec<String> = calls.collect();
        self.line(&self.plan.text(), &self.plan.reasoning(), &calls.join(","), &self.done())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_local_hosts_pass_the_guard() {
        for host in ["127.0.0.1:11434", "localhost", "[::1]:11434", "a.localhost:1"] {
            assert!(host_is_local(host), "{host}");
        }
        for host in ["example.org", "192.168.1.2:11434", "[fe80::1]:1"] {
            assert!(!host_is_local(host), "{host}");
        }
    }

    #[test]
    fn keep_alive_strings_need_a_unit() {
        assert!(bad_keep_alive(&json!("300")).is_some_and(|message| message.contains("missing unit")));
        for good in [json!("5m"), json!("1h30m"), json!("-1s"), json!(300), json!(-1), Value::Null] {
            assert_eq!(bad_keep_alive(&good), None, "{good}");
        }
        assert!(bad_keep_alive(&json!("abc")).is_none_or(|message| message.contains("invalid")));
    }
}
