//! vLLM, as recorded from 0.32.0.

use std::time::Instant;

use serde_json::{Value, json};

use super::llamacpp::has_image;
use super::{Answer, Context};
use crate::chat::{Limits, tokens_of};
use crate::http::Reply;
use crate::memory::Instance;
use crate::model::ModelKind;
use crate::openai::CREATED;

pub(super) fn answer(context: &Context<'_>) -> Answer {
    let (method, path) = context.route();
    if path.starts_with("/v1") && !context.has_key() {
        return Reply::json(401, r#"{"error":"Unauthorized"}"#).into();
    }
    let not_allowed = |allowed| Reply::json(405, r#"{"detail":"Method Not Allowed"}"#).with("Allow", allowed);
    let reply = match (method, path) {
        ("GET", "/health" | "/ping" | "/version" | "/v1/models") if context.request.method == "HEAD" => {
            not_allowed("GET")
        }
        ("GET", "/health") | ("GET" | "POST", "/ping") => Reply::empty(200),
        ("GET", "/version") => Reply::json(200, r#"{"version":"0.32.0"}"#),
        ("GET", "/v1/models") => models(context),
        ("GET", "/metrics") => {
            Reply::new(200, "text/plain; version=0.0.4; charset=utf-8", "vllm:num_requests_running 0.0\n")
        }
        ("POST", "/tokenize") => tokenize(context),
        ("POST", "/v1/chat/completions") => return chat(context),
        ("GET", "/server_info") if context.shared.memory.state().options.admin => {
            // With `config_format=json`, as a part of what it tells.
            let model = json!({"enable_sleep_mode": true, "max_model_len": context.context_tokens()});
            Reply::json(200, json!({"vllm_config": {"model_config": model}}).to_string())
        }
        (method, "/sleep" | "/wake_up" | "/is_sleeping") if context.shared.memory.state().options.admin => {
            return match (method, path) {
                ("GET", "/is_sleeping") => is_sleeping(context).into(),
                ("POST", "/sleep") => sleep(context),
                ("POST", "/wake_up") => wake_up(context),
                (_, path) => not_allowed(if path == "/is_sleeping" { "GET" } else { "POST" }).into(),
            };
        }
        (_, "/v1/chat/completions" | "/tokenize") => not_allowed("POST"),
        (_, "/health" | "/version" | "/v1/models") => not_allowed("GET"),
        _ => Reply::json(404, r#"{"detail":"Not Found"}"#),
    };
    reply.into()
}

fn error(code: u16, kind: &str, message: &str, parameter: Option<&str>) -> Reply {
    Reply::json(
        code,
        json!({"error": {"message": message, "type": kind, "param": parameter, "code": code}}).to_string(),
    )
}

fn models(context: &Context<'_>) -> Reply {
    let length = context.context_tokens();
    let entry = |model: crate::model::Model| {
        json!({"id": model.id, "object": "model", "created": CREATED, "owned_by": "vllm", "root": model.id,
            "parent": null, "max_model_len": length,
            "permission": [{"id": "modelperm-mock", "object": "model_permission", "created": CREATED,
                "allow_create_engine": false, "allow_sampling": true, "allow_logprobs": true,
                "allow_search_indices": false, "allow_view": true, "allow_fine_tuning": false,
                "organization": "*", "group": null, "is_blocking": false}]})
    };
    let data: Vec<Value> = context.shared.models().into_iter().map(entry).collect();
    Reply::json(200, json!({"object": "list", "data": data}).to_string())
}

fn tokenize(context: &Context<'_>) -> Reply {
    let count = tokens_of(crate::chat::prompt_characters(&context.body));
    let tokens: Vec<usize> = (0..count).collect();
    let body = json!({"count": count, "max_model_len": context.context_tokens(), "tokens": tokens, "token_strs": null});
    Reply::json(200, body.to_string())
}

fn chat(context: &Context<'_>) -> Answer {
    if let Some(reply) = refuse(context) {
        return reply.into();
    }
    let models = context.shared.models();
    let wanted = context.wanted_model();
    let Some(model) = models.iter().find(|model| wanted.is_empty() || model.id == wanted) else {
        let names: Vec<&str> = models.iter().map(|model| model.id.as_str()).collect();
        let message = format!("The model `{wanted}` does not exist. Valid aliases: {}.", names.join(", "));
        return error(404, "NotFoundError", &message, Some("model")).into();
    };
    if model.kind != ModelKind::Vision && has_image(&context.body["messages"]) {
        let message = format!("{} is not a multimodal model", model.id);
        return error(400, "BadRequestError", &message, None).into();
    }
    let limits = Limits::openai(&context.body, &["max_completion_tokens", "max_tokens"]);
    // A server that sleeps takes the request and says nothing until somebody wakes it.
    match context.wait_until(|| context.shared.memory.lease(&model.id)) {
        Some(lease) => context.openai_chat(&model.id, Some(lease), &limits),
        None => Answer::Silence,
    }
}

fn is_sleeping(context: &Context<'_>) -> Reply {
    let state = context.shared.memory.state();
    let asleep = state.instances().iter().any(|one| !one.is_loaded());
    Reply::json(200, json!({"is_sleeping": asleep}).to_string())
}

/// `/sleep`: what runs is cut, or waited for with `mode=wait`. The level makes no difference here.
fn sleep(context: &Context<'_>) -> Answer {
    let memory = &context.shared.memory;
    let waits = context.query("mode").is_some_and(|mode| mode == "wait");
    let idle = || memory.state().instances().iter().all(|one| one.running == 0).then_some(());
    if waits && context.wait_until(idle).is_none() {
        return Answer::Silence;
    }
    let delay = memory.state().options.unload_delay;
    let until = Instant::now() + delay;
    if context.wait_until(|| (Instant::now() >= until).then_some(())).is_none() {
        return Answer::Silence;
    }
    let mut state = memory.state();
    if !state.options.unload_sticks {
        state.asleep = vec!["weights".to_owned(), "kv_cache".to_owned()];
        state.put_to_sleep();
    }
    Reply::empty(200).into()
}

/// `/wake_up`, or a part of it with `tags`; only what is wholly awake answers.
fn wake_up(context: &Context<'_>) -> Answer {
    let memory = &context.shared.memory;
    let tags: Vec<&str> =
        context.request.query.split('&').filter_map(|pair| pair.strip_prefix("tags=")).collect();
    {
        let mut state = memory.state();
        state.asleep.retain(|part| !tags.is_empty() && !tags.contains(&part.as_str()));
        if !state.asleep.is_empty() {
            return Reply::empty(200).into();
        }
        state.wake_all();
    }
    let awake = || memory.state().instances().iter().all(Instance::is_loaded).then_some(());
    context.wait_until(awake).map_or(Answer::Silence, |()| Reply::empty(200).into())
}

/// The 400 a request deserves, in the server's words.
fn refuse(context: &Context<'_>) -> Option<Reply> {
    let body = &context.body;
    let bad = |message: &str, parameter| Some(error(400, "BadRequestError", message, parameter));
    if body.is_null() {
        let message = "1 validation error:\n  {'type': 'json_invalid', 'loc': 'body.0', 'msg': 'JSON decode error', \
                       'input': '<dict of 0 items>', 'ctx': {'error': 'Expecting value'}}";
        return Some(error(400, "Bad Request", message, Some("body.0")));
    }
    let Some(messages) = body.get("messages") else {
        let message = "1 validation error:\n  {'type': 'missing', 'loc': 'body.messages', 'msg': 'Field required', \
                       'input': '<dict>'}";
        return Some(error(400, "Bad Request", message, Some("body.messages")));
    };
    if messages.as_array().is_some_and(Vec::is_empty) {
        return bad(
            "Cannot apply chat template to an empty conversation. Provide at least one message.",
            None,
        );
    }
    for name in ["max_tokens", "max_completion_tokens"] {
        if let Some(limit) = body[name].as_i64().filter(|limit| *limit < 1) {
            return bad(
                &format!("{name} must be at least 1, got {limit}. (parameter={name}, value={limit})"),
                Some(name),
            );
        }
    }
    if let Some(value) = body["temperature"].as_f64().filter(|value| !(0.0..=2.0).contains(value)) {
        let message =
            format!("temperature must be in [0, 2], got {value:?}. (parameter=temperature, value={value:?})");
        return bad(&message, Some("temperature"));
    }
    if let Some(value) = body["top_p"].as_f64().filter(|value| !(0.0..=1.0).contains(value)) {
        let message = format!("top_p must be in (0, 1], got {value:?}. (parameter=top_p, value={value:?})");
        return bad(&message, Some("top_p"));
    }
    if let Some(message) = refuse_tools(context) {
        return bad(message, None);
    }
    context.overlong().and_then(|tokens| {
        let limit = context.context_tokens();
        let message = format!(
            "This model's maximum context length is {limit} tokens. However, your prompt contains at least {tokens} \
             input tokens, which exceeds this limit even without any output tokens. Please reduce the length of the \
             input prompt. (parameter=input_tokens, value={tokens})"
        );
        bad(&message, Some("input_tokens"))
    })
}

/// A server started without a tool parser refuses tools; a script with calls stands for one that has a parser.
fn refuse_tools(context: &Context<'_>) -> Option<&'static str> {
    let choice = &context.body["tool_choice"];
    let asked = context.body["tools"].as_array().is_some_and(|tools| !tools.is_empty());
    if !asked || choice == "none" || !context.shared.next_script().tool_calls.is_empty() {
        return None;
    }
    Some(match choice.as_str() {
        Some("required") => r#"tool_choice="required" requires --tool-call-parser to be set"#,
        _ => r#""auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set"#,
    })
}
