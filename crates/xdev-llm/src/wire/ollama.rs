//! `Ollama`: the server's own `/api/chat` and its JSON lines.
//!
//! Spoken to natively because the compatible API drops `top_k`, `min_p`, `repeat_penalty`, `keep_alive` and `num_ctx`
//! without a word, forces `temperature` and `top_p` to 1, and loses errors in mid-stream. Sources: ollama/api/types.go,
//! server/routes.go, openai/openai.go. Not here: the compatible API (`openai`), downloads.

use std::ops::ControlFlow;

use serde_json::{Map, Value, json};

use super::body::{Fields, check_image};
use super::json::{count, duration, list, number, text};
use super::openai::{not_a_list, push_timing, read_finish, read_tool_calls};
use super::quirks::Parameter;
use super::{Call, Dialect, Flow, Frame, Quirks, read_documents};
use crate::chat::{ChatEvent, ChatRequest, FinishReason, Message, Part, ResponseFormat, Role, Usage};
use crate::error::{Error, Result};
use crate::forecast::parse_parameters;
use crate::model::{LoadState, ModelInfo, ModelKind};

/// `Ollama` speaks Ollama's own API.
#[derive(Debug)]
pub struct Ollama {
    quirks: Quirks,
}

impl Ollama {
    /// Makes the dialect of a row.
    pub fn new(quirks: Quirks) -> Self {
        Ollama { quirks }
    }

    /// What stands under `options`: the row's own, the request's, and the caller's `extra.options`, which wins.
    fn options(&self, request: &ChatRequest, extra: Option<Value>) -> Result<Fields<'_>> {
        let mut options = Fields::new(&self.quirks);
        if let Some(Value::Object(fixed)) = self.quirks.body.get("options") {
            options.body.clone_from(fixed);
        }
        options.sampling(&request.sampling);
        if let Some(length) = request.context_length {
            options.body.insert("num_ctx".into(), json!(length));
        }
        match extra {
            None => {}
            Some(Value::Object(extra)) => options.body.extend(extra),
            Some(_) => {
                return Err(Error::invalid_input("`extra.options` must be an object of Ollama's options."));
            }
        }
        Ok(options)
    }
}

impl Dialect for Ollama {
    fn quirks(&self) -> &Quirks {
        &self.quirks
    }

    fn chat(&self, request: &ChatRequest, stream: bool) -> Result<Call> {
        let mut extra = request.extra.clone();
        let options = self.options(request, extra.remove("options"))?;
        let mut fields = Fields::new(&self.quirks);
        fields.not_sent = options.not_sent;
        fields.body.clone_from(&self.quirks.body);
        if let Some(model) = &request.model {
            fields.body.insert("model".into(), json!(model));
        }
        fields.body.insert("messages".into(), messages(&self.quirks, &request.messages)?);
        if !options.body.is_empty() {
            fields.body.insert("options".into(), Value::Object(options.body));
        }
        fields.keep_alive(request.keep_alive);
        fields.reasoning(request.reasoning);
        put_format(&mut fields, &self.quirks, request.response_format.as_ref());
        fields.tools(&request.tools, request.tool_choice.as_ref());
        // Left out, the server streams.
        fields.body.insert("stream".into(), json!(stream && self.quirks.stream));
        fields.extra(&extra)?;
        Ok(Call::post("/api/chat", fields.body, &["messages"], fields.not_sent))
    }

    fn read_chat(&self, frame: Frame<'_>, out: &mut Vec<ChatEvent>) -> Result<Flow> {
        read_documents(frame, |document| read_line(document, out))
    }

    fn models(&self) -> Vec<Call> {
        vec![Call::get("/api/tags"), Call::get("/api/ps")]
    }

    fn read_models(
        &self,
        index: usize,
        body: &Value,
        models: &mut Vec<ModelInfo>,
    ) -> Result<ControlFlow<()>> {
        if index == 0 {
            *models = read_tags(body).ok_or_else(not_a_list)?;
            return Ok(if models.is_empty() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) });
        }
        mark_loaded(body, models).ok_or_else(not_a_list)?;
        Ok(ControlFlow::Break(()))
    }
}

/// Puts the wanted form under `format`: the word `json`, or the schema itself.
fn put_format(fields: &mut Fields<'_>, quirks: &Quirks, format: Option<&ResponseFormat>) {
    let (parameter, value) = match format {
        None => return,
        Some(ResponseFormat::JsonObject) => (Parameter::JsonObject, json!("json")),
        Some(ResponseFormat::JsonSchema { schema, .. }) => (Parameter::JsonSchema, schema.clone()),
    };
    if quirks.wire_name(parameter).is_some() {
        fields.body.insert("format".into(), value);
    } else {
        fields.not_sent.push("response_format".into());
    }
}

fn messages(quirks: &Quirks, messages: &[Message]) -> Result<Value> {
    let encoded = messages.iter().map(|message| encode_message(quirks, message, messages));
    encoded.collect::<Result<Vec<_>>>().map(Value::Array)
}

fn encode_message(quirks: &Quirks, message: &Message, conversation: &[Message]) -> Result<Value> {
    let role = match message.role {
        Role::Developer if !quirks.developer_role => Role::System,
        role => role,
    };
    let mut encoded = Map::new();
    encoded.insert("role".into(), json!(role.as_str()));
    encoded.insert("content".into(), json!(message.text()));
    let images = message.content.iter().filter_map(|part| match part {
        Part::ImageUrl(url) => Some(encode_image(quirks, url)),
        Part::Text(_) => None,
    });
    let images = images.collect::<Result<Vec<_>>>()?;
    if !images.is_empty() {
        encoded.insert("images".into(), json!(images));
    }
    if !message.tool_calls.is_empty() {
        let calls = message.tool_calls.iter().map(|call| {
            let arguments = object_of(&call.name, &call.arguments)?;
            Ok(json!({ "id": call.id, "function": { "name": call.name, "arguments": arguments } }))
        });
        encoded.insert("tool_calls".into(), Value::Array(calls.collect::<Result<_>>()?));
    }
    if let Some(id) = &message.tool_call_id {
        encoded.insert("tool_call_id".into(), json!(id));
        let calls = conversation.iter().flat_map(|message| &message.tool_calls);
        if let Some(call) = calls.into_iter().find(|call| call.id == *id) {
            encoded.insert("tool_name".into(), json!(call.name));
        }
    }
    Ok(Value::Object(encoded))
}

/// The bare base64 of a picture's data URL.
fn encode_image<'a>(quirks: &Quirks, url: &'a str) -> Result<&'a str> {
    check_image(quirks, url)?;
    Ok(url.split_once(',').map_or(url, |(_, base64)| base64))
}

/// A call's arguments as the object Ollama wants; it answers 400 to anything else.
fn object_of(name: &str, arguments: &str) -> Result<Map<String, Value>> {
    if arguments.trim().is_empty() {
        return Ok(Map::new());
    }
    serde_json::from_str(arguments).map_err(|error| {
        Error::invalid_input(format!(
            "The history has a call of `{name}` whose arguments are not a JSON object, which Ollama refuses: line {}, column {}.",
            error.line(),
            error.column()
        ))
        .with_hint("Take the call and its answer out of the history, or mend the arguments.")
    })
}

/// Reads one line of the answer.
fn read_line(line: &Value, out: &mut Vec<ChatEvent>) -> Result<Flow> {
    let Some(fields) = line.as_object() else { return Ok(Flow::Malformed) };
    let message = line.get("message").filter(|message| message.is_object());
    let done = line.get("done").and_then(Value::as_bool);
    if message.is_none() && done.is_none() {
        return Ok(Flow::Malformed);
    }
    out.push(ChatEvent::Started { id: None, model: text(line, "model").map(str::to_owned) });
    if let Some(message) = message {
        if let Some(piece) = text(message, "thinking") {
            out.push(ChatEvent::Reasoning(piece.to_owned()));
        }
        if let Some(piece) = text(message, "content") {
            out.push(ChatEvent::Text(piece.to_owned()));
        }
        read_calls(line, message, out);
    }
    for (name, value) in fields {
        let known = matches!(
            name.as_str(),
            "model"
                | "created_at"
                | "message"
                | "done"
                | "done_reason"
                | "total_duration"
                | "load_duration"
                | "prompt_eval_count"
                | "prompt_eval_duration"
                | "eval_count"
                | "eval_duration"
                | "error"
        );
        if !known && !value.is_null() {
            out.push(ChatEvent::Extra(name.clone(), value.clone()));
        }
    }
    if done != Some(true) {
        return Ok(Flow::Continue);
    }
    read_counts(line, out);
    match text(line, "done_reason") {
        // The messages were empty: the server only loaded or unloaded the model, as asked.
        Some(raw @ ("load" | "unload")) => {
            out.push(ChatEvent::Extra("finish_reason".into(), json!(raw)));
            out.push(ChatEvent::Finished(FinishReason::Stop));
        }
        // Older servers give no reason.
        raw => read_finish(raw.or(Some("stop")), out)?,
    }
    Ok(Flow::Done)
}

/// Reads the calls of a line. Each comes whole; one without an id gets one that no other line's calls have, or calls
/// of two lines would be taken for pieces of one.
fn read_calls(line: &Value, message: &Value, out: &mut Vec<ChatEvent>) {
    let first = out.len();
    read_tool_calls(message, out);
    for event in &mut out[first..] {
        if let ChatEvent::ToolCall(call) = event
            && call.id.is_none()
        {
            let time: String =
                text(line, "created_at").unwrap_or_default().chars().filter(char::is_ascii_digit).collect();
            call.id = Some(format!("call_{time}_{}", call.index));
        }
    }
}

/// Reads counts and clocks of the last line; times are nanoseconds, and zeros are left out by the server.
fn read_counts(line: &Value, out: &mut Vec<ChatEvent>) {
    let (input_tokens, output_tokens) = (count(line, "prompt_eval_count"), count(line, "eval_count"));
    if input_tokens.is_some() || output_tokens.is_some() {
        out.push(ChatEvent::Usage(Usage { input_tokens, output_tokens, ..Usage::default() }));
    }
    let rate = number(line, "eval_count")
        .zip(number(line, "eval_duration"))
        .map(|(tokens, time)| tokens / time * 1e9);
    push_timing(
        rate,
        duration(line, "prompt_eval_duration", 1e-9),
        duration(line, "load_duration", 1e-9),
        out,
    );
}

/// Reads `/api/tags`: the installed models. Which of them are loaded is told by `/api/ps`.
pub(super) fn read_tags(body: &Value) -> Option<Vec<ModelInfo>> {
    Some(entries(body)?.iter().filter_map(read_model).collect())
}

/// The entries of `models`, which is `null` where there are none.
fn entries(body: &Value) -> Option<&[Value]> {
    match body.get("models")? {
        Value::Array(entries) => Some(entries),
        Value::Null => Some(&[]),
        _ => None,
    }
}

fn read_model(entry: &Value) -> Option<ModelInfo> {
    let id = text(entry, "name").or_else(|| text(entry, "model"))?;
    let details = entry.get("details").unwrap_or(&Value::Null);
    let capabilities: Vec<String> =
        list(entry, "capabilities").iter().filter_map(Value::as_str).map(str::to_owned).collect();
    let can = |what: &str| capabilities.iter().any(|capability| capability == what);
    let kind = if can("vision") {
        ModelKind::Vision
    } else if can("completion") {
        ModelKind::Llm
    } else if can("embedding") {
        ModelKind::Embedding
    } else {
        ModelKind::guess(id)
    };
    Some(ModelInfo {
        id: id.to_owned(),
        kind,
        state: LoadState::Unknown,
        context_length: count(details, "context_length").and_then(|length| u32::try_from(length).ok()),
        loaded_context_length: None,
        quantization: text(details, "quantization_level").map(str::to_owned),
        parameters: text(details, "parameter_size").and_then(parse_parameters),
        size_bytes: count(entry, "size"),
        vram_bytes: None,
        capabilities,
        owned_by: None,
    })
}

/// Reads `/api/ps` into the list of installed models.
fn mark_loaded(body: &Value, models: &mut [ModelInfo]) -> Option<()> {
    let loaded = entries(body)?;
    for model in models {
        let entry = loaded
            .iter()
            .find(|entry| [text(entry, "name"), text(entry, "model")].contains(&Some(model.id.as_str())));
        model.state = if entry.is_some() { LoadState::Loaded } else { LoadState::NotLoaded };
        model.vram_bytes = entry.and_then(|entry| count(entry, "size_vram"));
        model.loaded_context_length = entry
            .and_then(|entry| count(entry, "context_length"))
            .and_then(|length| u32::try_from(length).ok());
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::chat::{KeepAlive, Reasoning, Sampling, Timing, Tool, ToolCall, ToolChoice};
    use crate::error::ErrorKind;
    use crate::wire::{Rows, ServerKind};

    fn dialect() -> Ollama {
        Ollama::new(Rows::default().row(&ServerKind::OLLAMA).clone())
    }

    fn body(request: &ChatRequest) -> (Value, Call) {
        let call = dialect().chat(request, true).expect("a call");
        (serde_json::from_slice(call.body.as_deref().expect("a body")).expect("JSON"), call)
    }

    fn read(data: &str) -> (Result<Flow>, Vec<ChatEvent>) {
        let mut out = Vec::new();
        let flow = dialect().read_chat(Frame { event: None, data }, &mut out);
        (flow, out)
    }

    #[test]
    fn every_parameter_has_ollamas_place_and_name() {
        let request = ChatRequest {
            model: Some("m".into()),
            messages: vec![Message::user("hi")],
            sampling: Sampling {
                temperature: Some(0.5),
                top_p: Some(0.9),
                top_k: Some(40),
                min_p: Some(0.25),
                max_tokens: Some(64),
                seed: Some(7),
                stop: Some(vec!["x".into()]),
                presence_penalty: Some(0.5),
                frequency_penalty: Some(0.25),
                repeat_penalty: Some(1.5),
            },
            keep_alive: Some(KeepAlive::Seconds(300)),
            context_length: Some(8192),
            tools: vec![Tool { name: "f".into(), description: "d".into(), parameters: json!({}) }],
            tool_choice: Some(ToolChoice::Required),
            response_format: Some(ResponseFormat::JsonSchema {
                name: "n".into(),
                schema: json!({"type": "object"}),
            }),
            reasoning: Reasoning::High,
            ..ChatRequest::default()
        };
        let (sent, call) = body(&request);
        assert_eq!(call.path, "/api/chat");
        assert_eq!(
            sent,
            json!({
                "model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": true, "think": "high",
                "keep_alive": 300, "format": {"type": "object"},
                "options": {"temperature": 0.5, "top_p": 0.9, "top_k": 40, "min_p": 0.25, "num_predict": 64, "seed": 7,
                            "stop": ["x"], "presence_penalty": 0.5, "frequency_penalty": 0.25, "repeat_penalty": 1.5,
                            "num_ctx": 8192},
                "tools": [{"type": "function",
                           "function": {"name": "f", "description": "d", "parameters": {"type": "object"}}}],
            })
        );
        assert_eq!(call.not_sent, ["tool_choice"]);
        assert_eq!(call.parameters["options"]["num_ctx"], 8192);
        assert!(!call.parameters.contains_key("messages"));
    }

    #[test]
    fn nothing_is_sent_that_was_not_asked_for() {
        let (sent, call) =
            body(&ChatRequest { messages: vec![Message::user("hi")], ..ChatRequest::default() });
        assert_eq!(sent, json!({"messages": [{"role": "user", "content": "hi"}], "stream": true}));
        assert!(call.not_sent.is_empty());
    }

    #[test]
    fn switches_are_spelt_as_ollama_reads_them() {
        let request = |keep_alive, reasoning| ChatRequest {
            keep_alive: Some(keep_alive),
            reasoning,
            response_format: Some(ResponseFormat::JsonObject),
            ..ChatRequest::default()
        };
        let (sent, _) = body(&request(KeepAlive::Forever, Reasoning::Off));
        assert_eq!(
            (&sent["keep_alive"], &sent["think"], &sent["format"]),
            (&json!(-1), &json!(false), &json!("json"))
        );
        let (sent, _) = body(&request(KeepAlive::Seconds(0), Reasoning::Low));
        assert_eq!((&sent["keep_alive"], &sent["think"]), (&json!(0), &json!("low")));
    }

    #[test]
    fn extra_options_are_merged_and_win() {
        let extra = |options: Value| ChatRequest {
            sampling: Sampling { seed: Some(1), top_k: Some(2), ..Sampling::default() },
            extra: [("options".to_owned(), options), ("truncate".to_owned(), json!(false))]
                .into_iter()
                .collect(),
            ..ChatRequest::default()
        };
        let (sent, _) = body(&extra(json!({"seed": 5, "num_gpu": 0})));
        assert_eq!(sent["options"], json!({"seed": 5, "top_k": 2, "num_gpu": 0}));
        assert_eq!(sent["truncate"], false);
        let error = dialect().chat(&extra(json!([])), true).expect_err("not an object");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        let stolen = ChatRequest {
            extra: [("messages".to_owned(), json!([]))].into_iter().collect(),
            ..ChatRequest::default()
        };
        assert_eq!(dialect().chat(&stolen, true).expect_err("taken").kind(), ErrorKind::InvalidInput);
    }

    #[test]
    fn a_conversation_with_pictures_and_tools_is_encoded() {
        let call =
            |arguments: &str| ToolCall { id: "c1".into(), name: "add".into(), arguments: arguments.into() };
        let asks = |arguments: &str| Message {
            role: Role::Assistant,
            content: vec![],
            tool_calls: vec![call(arguments)],
            tool_call_id: None,
        };
        let picture = Message {
            content: vec![Part::Text("see".into()), Part::ImageUrl("data:image/png;base64,QUJD".into())],
            ..Message::user("")
        };
        let answer = Message { tool_call_id: Some("c1".into()), ..Message::new(Role::Tool, "3") };
        let (sent, _) = body(&ChatRequest {
            messages: vec![Message::new(Role::Developer, "rules"), picture, asks(r#"{"a":1}"#), answer],
            ..ChatRequest::default()
        });
        assert_eq!(
            sent["messages"],
            json!([
                {"role": "system", "content": "rules"},
                {"role": "user", "content": "see", "images": ["QUJD"]},
                {"role": "assistant", "content": "",
                 "tool_calls": [{"id": "c1", "function": {"name": "add", "arguments": {"a": 1}}}]},
                {"role": "tool", "content": "3", "tool_call_id": "c1", "tool_name": "add"},
            ])
        );
        let (sent, _) = body(&ChatRequest { messages: vec![asks("")], ..ChatRequest::default() });
        assert_eq!(sent["messages"][0]["tool_calls"][0]["function"]["arguments"], json!({}));
        for arguments in ["[1]", "{", "\"x\""] {
            let request = ChatRequest { messages: vec![asks(arguments)], ..ChatRequest::default() };
            let error = dialect().chat(&request, true).expect_err("not an object");
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{arguments}");
        }
        let remote = Message { content: vec![Part::ImageUrl("https://x/y.png".into())], ..Message::user("") };
        let request = ChatRequest { messages: vec![remote], ..ChatRequest::default() };
        assert_eq!(dialect().chat(&request, true).expect_err("not data").kind(), ErrorKind::InvalidInput);
    }

    #[test]
    fn pieces_become_events() {
        let (flow, out) = read(
            r#"{"model":"m","created_at":"2026-11-23T05:14:16.5Z","message":{"role":"assistant","content":"Hi","thinking":"Hm"},"done":false}"#,
        );
        assert_eq!(flow.expect("no error"), Flow::Continue);
        assert_eq!(
            out,
            [
                ChatEvent::Started { id: None, model: Some("m".into()) },
                ChatEvent::Reasoning("Hm".into()),
                ChatEvent::Text("Hi".into()),
            ]
        );
    }

    #[test]
    fn the_last_line_gives_counts_clocks_and_the_reason() {
        let (flow, out) = read(
            r#"{"model":"m","created_at":"t","message":{"role":"assistant","content":""},"done":true,"done_reason":"length","total_duration":3000000000,"load_duration":1000000000,"prompt_eval_count":11,"prompt_eval_duration":500000000,"eval_count":20,"eval_duration":2000000000}"#,
        );
        assert_eq!(flow.expect("no error"), Flow::Done);
        let timing = Timing {
            tokens_per_second: Some(10.0),
            model_load: Some(Duration::from_secs(1)),
            prompt_eval: Some(Duration::from_millis(500)),
            source: crate::chat::Source::Server,
            ..Timing::default()
        };
        let usage = Usage { input_tokens: Some(11), output_tokens: Some(20), ..Usage::default() };
        assert_eq!(
            out[1..],
            [ChatEvent::Usage(usage), ChatEvent::Timing(timing), ChatEvent::Finished(FinishReason::Length)]
        );
    }

    #[test]
    fn reasons_to_end_are_read() {
        let finished = |line: &str| read(line).1.pop();
        assert_eq!(finished(r#"{"done":true}"#), Some(ChatEvent::Finished(FinishReason::Stop)));
        assert_eq!(
            finished(r#"{"done":true,"done_reason":"stop"}"#),
            Some(ChatEvent::Finished(FinishReason::Stop))
        );
        for raw in ["load", "unload"] {
            let (flow, out) = read(&format!(
                r#"{{"model":"m","message":{{"role":"assistant","content":""}},"done":true,"done_reason":"{raw}"}}"#
            ));
            assert_eq!(flow.expect("no error"), Flow::Done);
            assert_eq!(
                out[1..],
                [
                    ChatEvent::Extra("finish_reason".into(), json!(raw)),
                    ChatEvent::Finished(FinishReason::Stop)
                ]
            );
        }
    }

    #[test]
    fn calls_of_two_lines_do_not_merge() {
        let line = |time: &str, name: &str| {
            format!(
                r#"{{"created_at":"{time}","message":{{"tool_calls":[{{"function":{{"name":"{name}","arguments":{{"a":1}}}}}}]}},"done":false}}"#
            )
        };
        let call = |line: &str| match read(line).1.pop() {
            Some(ChatEvent::ToolCall(call)) => call,
            other => panic!("{other:?}"),
        };
        let (first, second) =
            (call(&line("2026-11-23T05:14:16.1Z", "f")), call(&line("2026-11-23T05:14:16.2Z", "g")));
        assert_eq!((first.name.as_deref(), first.arguments.as_str()), (Some("f"), r#"{"a":1}"#));
        assert_ne!(first.id, second.id);
        let named = call(
            r#"{"message":{"tool_calls":[{"id":"call_9","function":{"index":2,"name":"f","arguments":{}}}]},"done":false}"#,
        );
        assert_eq!((named.id.as_deref(), named.index), (Some("call_9"), 2));
    }

    #[test]
    fn an_error_line_is_an_error_and_noise_is_not() {
        let error = read(r#"{"error":"llama runner process has terminated"}"#).0.expect_err("an error");
        assert_eq!(error.said(), Some("llama runner process has terminated"));
        for noise in ["", "{", "[]", "{}", "3", r#"{"status":"pulling"}"#] {
            let (flow, out) = read(noise);
            assert_eq!((flow.expect("no error"), out.len()), (Flow::Malformed, 0), "{noise}");
        }
    }

    #[test]
    fn several_lines_in_one_frame_are_read_to_the_end() {
        let (flow, out) = read(
            "{\"message\":{\"content\":\"a\"},\"done\":false}\n{\"done\":true}\n{\"message\":{\"content\":\"b\"}}",
        );
        assert_eq!(flow.expect("no error"), Flow::Done);
        assert!(out.contains(&ChatEvent::Text("a".into())) && !out.contains(&ChatEvent::Text("b".into())));
    }

    #[test]
    fn models_are_listed_with_what_is_loaded() {
        let tags = json!({"models": [
            {"name": "qwen3:4b", "model": "qwen3:4b", "size": 2_500_000_000_u64,
             "digest": "359d7dd4bcdab3d86b87d73ac27966f4dbb9f5efdfcc75d34a8764a09474fae7",
             "details": {"format": "gguf", "quantization_level": "Q4_K_M", "context_length": 262_144},
             "capabilities": ["completion", "tools"]},
            {"name": "llava:7b", "model": "llava:7b", "size": 1, "details": {}, "capabilities": ["completion", "vision"]},
            {"name": "all-minilm:latest", "model": "all-minilm:latest", "size": 1, "capabilities": ["embedding"]},
            {"name": "nomic-embed-text:latest", "model": "nomic-embed-text:latest", "size": 1},
        ]});
        let mut models = Vec::new();
        assert!(dialect().read_models(0, &tags, &mut models).expect("a list").is_continue());
        let kinds: Vec<_> = models.iter().map(|model| model.kind).collect();
        assert_eq!(kinds, [ModelKind::Llm, ModelKind::Vision, ModelKind::Embedding, ModelKind::Embedding]);
        assert_eq!(
            (models[0].quantization.as_deref(), models[0].context_length),
            (Some("Q4_K_M"), Some(262_144))
        );
        assert_eq!((models[0].size_bytes, models[0].state), (Some(2_500_000_000), LoadState::Unknown));
        let ps = json!({"models": [{"name": "qwen3:4b", "model": "qwen3:4b", "context_length": 4096}]});
        assert!(dialect().read_models(1, &ps, &mut models).expect("a list").is_break());
        assert_eq!((models[0].state, models[0].loaded_context_length), (LoadState::Loaded, Some(4096)));
        assert_eq!(models[1].state, LoadState::NotLoaded);
        for body in [json!({"error": "x"}), json!([]), json!({"models": 3})] {
            assert_eq!(
                dialect().read_models(0, &body, &mut models).expect_err("no list").kind(),
                ErrorKind::Protocol
            );
        }
        assert!(dialect().read_models(0, &json!({"models": null}), &mut models).expect("empty").is_break());
    }
}
