//! `LmStudio`: LM Studio's own `/api/v1/chat` (0.4.0 and later), and the model lists of all its APIs.
//!
//! The native chat tells more (load progress, prompt progress, thinking apart, clocks) and can less: one user message,
//! no tools, no structured output. So a row asks for it by name, and the compatible API stays the default.
//! Source: lmstudio.ai/docs/developer/rest. Not here: the compatible API (`openai`), loading and unloading.

use std::ops::ControlFlow;

use serde_json::{Value, json};

use super::body::{Fields, check_image};
use super::json::{count, duration, list, number, text};
use super::openai::{self, not_a_list, push_timing};
use super::quirks::Parameter;
use super::{Call, Dialect, Flow, Frame, Quirks, failure, read_documents};
use crate::chat::{ChatEvent, ChatRequest, FinishReason, Message, Part, Progress, Reasoning, Role, Usage};
use crate::error::{Error, ErrorKind, Result};
use crate::forecast::parse_parameters;
use crate::model::{LoadState, ModelInfo, ModelKind};

/// What the native API takes, with the names it has there. Unknown keys are refused there.
const PARAMETERS: &[(Parameter, &str)] = &[
    (Parameter::Temperature, "temperature"),
    (Parameter::TopP, "top_p"),
    (Parameter::TopK, "top_k"),
    (Parameter::MinP, "min_p"),
    (Parameter::RepeatPenalty, "repeat_penalty"),
    (Parameter::MaxTokens, "max_output_tokens"),
];

/// `LmStudio` speaks LM Studio's own API.
#[derive(Debug)]
pub struct LmStudio {
    quirks: Quirks,
}

impl LmStudio {
    /// Makes the dialect of a row, whose parameters are replaced by those of the native API.
    pub fn new(mut quirks: Quirks) -> Self {
        quirks.parameters =
            PARAMETERS.iter().map(|(parameter, name)| (*parameter, (*name).to_owned())).collect();
        LmStudio { quirks }
    }
}

impl Dialect for LmStudio {
    fn quirks(&self) -> &Quirks {
        &self.quirks
    }

    fn chat(&self, request: &ChatRequest, stream: bool) -> Result<Call> {
        if !request.tools.is_empty() {
            return Err(unsupported("takes no tools"));
        }
        if request.response_format.is_some() {
            return Err(unsupported("takes no response format"));
        }
        let (system, user) = split(&request.messages)?;
        let mut fields = Fields::new(&self.quirks);
        fields.body.clone_from(&self.quirks.body);
        if let Some(model) = &request.model {
            fields.body.insert("model".into(), json!(model));
        }
        if !system.is_empty() {
            fields.body.insert("system_prompt".into(), json!(system));
        }
        fields.body.insert("input".into(), input(&self.quirks, user)?);
        fields.sampling(&request.sampling);
        fields.keep_alive(request.keep_alive);
        let level = match request.reasoning {
            Reasoning::Default => None,
            Reasoning::Off => Some("off"),
            Reasoning::Low => Some("low"),
            Reasoning::Medium => Some("medium"),
            Reasoning::High => Some("high"),
        };
        if let Some(level) = level {
            fields.body.insert("reasoning".into(), json!(level));
        }
        if let Some(length) = request.context_length {
            fields.body.insert("context_length".into(), json!(length));
        }
        // Conversations are kept here and sent whole; what LM Studio would store is never asked for again.
        fields.body.insert("store".into(), json!(false));
        fields.body.insert("stream".into(), json!(stream && self.quirks.stream));
        if let Some(name) =
            ["input", "system_prompt"].into_iter().find(|name| request.extra.contains_key(*name))
        {
            return Err(Error::invalid_input(format!("`extra` may not set `{name}`.")));
        }
        fields.extra(&request.extra)?;
        Ok(Call::post("/api/v1/chat", fields.body, &["input", "system_prompt"], fields.not_sent))
    }

    fn read_chat(&self, frame: Frame<'_>, out: &mut Vec<ChatEvent>) -> Result<Flow> {
        read_documents(frame, |document| Ok(read_document(frame.event, document, out)))
    }

    fn models(&self) -> Vec<Call> {
        lmstudio_models()
    }

    fn read_models(
        &self,
        index: usize,
        body: &Value,
        models: &mut Vec<ModelInfo>,
    ) -> Result<ControlFlow<()>> {
        read_lmstudio_models(index, body, models)
    }
}

fn unsupported(what: &str) -> Error {
    Error::new(ErrorKind::Unsupported, format!("LM Studio's own chat API {what}."))
        .with_hint("Speak to LM Studio in its OpenAI-compatible API (`api = \"openai\"`, the default).")
}

/// Splits a conversation into the system text and the one user message the API takes.
fn split(messages: &[Message]) -> Result<(String, &Message)> {
    let is_system = |message: &&Message| matches!(message.role, Role::System | Role::Developer);
    let leading = messages.iter().take_while(is_system).count();
    let (system, rest) = messages.split_at(leading);
    match rest {
        [user] if user.role == Role::User => {
            let system: Vec<String> = system.iter().map(Message::text).collect();
            Ok((system.join("\n\n"), user))
        }
        _ => Err(unsupported("takes one user message after the system text, and no earlier turns")),
    }
}

/// Encodes the user message. Items are `text` and `image`; the `message` of the documentation is refused by the server.
fn input(quirks: &Quirks, user: &Message) -> Result<Value> {
    if user.content.iter().all(|part| matches!(part, Part::Text(_))) {
        return Ok(json!(user.text()));
    }
    let items = user.content.iter().map(|part| match part {
        Part::Text(text) => Ok(json!({ "type": "text", "content": text })),
        Part::ImageUrl(url) => {
            check_image(quirks, url)?;
            Ok(json!({ "type": "image", "data_url": url }))
        }
    });
    items.collect::<Result<_>>().map(Value::Array)
}

/// Reads one event, or the whole answer where nothing was streamed.
fn read_document(event: Option<&str>, document: &Value, out: &mut Vec<ChatEvent>) -> Flow {
    let Some(name) = text(document, "type").or(event) else {
        return read_whole(document, out);
    };
    let share = || number(document, "progress").map(|share| share.clamp(0.0, 1.0) as f32);
    let piece = || text(document, "content").map(str::to_owned);
    match name {
        "chat.start" => {
            out.push(ChatEvent::Started {
                id: None,
                model: text(document, "model_instance_id").map(str::to_owned),
            });
        }
        "model_load.start" | "model_load.progress" => {
            out.push(ChatEvent::Progress(Progress::LoadingModel(share())));
        }
        "model_load.end" => push_timing(None, None, duration(document, "load_time_seconds", 1.0), out),
        "prompt_processing.start" | "prompt_processing.progress" => {
            out.push(ChatEvent::Progress(Progress::ReadingPrompt(share())));
        }
        "prompt_processing.end" => out.push(ChatEvent::Progress(Progress::ReadingPrompt(Some(1.0)))),
        "reasoning.delta" => out.extend(piece().map(ChatEvent::Reasoning)),
        "message.delta" => out.extend(piece().map(ChatEvent::Text)),
        "reasoning.start" | "reasoning.end" | "message.start" | "message.end" => {}
        "chat.end" => {
            read_end(document.get("result").unwrap_or(&Value::Null), out);
            return Flow::Done;
        }
        // Tools that LM Studio itself runs (`tool_call.*`), and whatever a later version adds.
        _ => out.push(ChatEvent::Extra(name.to_owned(), document.clone())),
    }
    Flow::Continue
}

/// Reads the whole answer.
fn read_whole(result: &Value, out: &mut Vec<ChatEvent>) -> Flow {
    if !result.get("output").is_some_and(Value::is_array) {
        return Flow::Malformed;
    }
    let owned = |key| text(result, key).map(str::to_owned);
    out.push(ChatEvent::Started { id: owned("response_id"), model: owned("model_instance_id") });
    for item in list(result, "output") {
        let piece = text(item, "content").map(str::to_owned);
        match text(item, "type") {
            Some("reasoning") => out.extend(piece.map(ChatEvent::Reasoning)),
            Some("message") => out.extend(piece.map(ChatEvent::Text)),
            Some(name) => out.push(ChatEvent::Extra(name.to_owned(), item.clone())),
            None => {}
        }
    }
    read_end(result, out);
    Flow::Done
}

/// Reads counts and clocks of a result. It has no finish reason; only some builds tell one among the clocks.
fn read_end(result: &Value, out: &mut Vec<ChatEvent>) {
    let stats = result.get("stats").unwrap_or(&Value::Null);
    let usage = Usage {
        input_tokens: count(stats, "input_tokens"),
        output_tokens: count(stats, "total_output_tokens"),
        reasoning_tokens: count(stats, "reasoning_output_tokens"),
        ..Usage::default()
    };
    if usage != Usage::default() {
        out.push(ChatEvent::Usage(usage));
    }
    push_timing(
        number(stats, "tokens_per_second"),
        duration(stats, "time_to_first_token_seconds", 1.0),
        duration(stats, "model_load_time_seconds", 1.0),
        out,
    );
    let reason = match text(stats, "stop_reason") {
        Some("maxPredictedTokensReached" | "contextLengthReached") => FinishReason::Length,
        _ => FinishReason::Stop,
    };
    out.push(ChatEvent::Finished(reason));
}

/// The calls that list LM Studio's models, the most telling first: 0.4.0 and later, 0.3.6 and later, any.
pub(super) fn lmstudio_models() -> Vec<Call> {
    vec![Call::get("/api/v1/models"), Call::get("/api/v0/models"), Call::get("models")]
}

/// Reads the answer to call number `index` of [`lmstudio_models`].
///
/// A version that does not know the path answers 200 with an error text, so the next call is asked unless there is a list.
pub(super) fn read_lmstudio_models(
    index: usize,
    body: &Value,
    models: &mut Vec<ModelInfo>,
) -> Result<ControlFlow<()>> {
    let read = if index == 0 { read_native_models(body) } else { openai::read_models(body) };
    match read {
        Some(read) => {
            *models = read;
            Ok(ControlFlow::Break(()))
        }
        None if index + 1 < lmstudio_models().len() => Ok(ControlFlow::Continue(())),
        None => Err(failure::in_document(body).unwrap_or_else(not_a_list)),
    }
}

/// Reads `/api/v1/models`, whose list is `models` and not `data`.
pub(super) fn read_native_models(body: &Value) -> Option<Vec<ModelInfo>> {
    let models = body.get("models")?.as_array()?;
    Some(models.iter().filter_map(read_model).collect())
}

fn read_model(entry: &Value) -> Option<ModelInfo> {
    let id = text(entry, "key")?;
    let capabilities = entry.get("capabilities").and_then(Value::as_object);
    let can = |name: &str| {
        capabilities
            .and_then(|can| can.get(name))
            .is_some_and(|can| !matches!(can, Value::Bool(false) | Value::Null))
    };
    let kind = match text(entry, "type") {
        Some("llm") if can("vision") => ModelKind::Vision,
        Some("llm") => ModelKind::Llm,
        Some("embedding") => ModelKind::Embedding,
        _ => ModelKind::guess(id),
    };
    let names = [("vision", "vision"), ("trained_for_tool_use", "tool_use"), ("reasoning", "reasoning")];
    let loaded = list(entry, "loaded_instances").first();
    let config = loaded.and_then(|instance| instance.get("config")).unwrap_or(&Value::Null);
    let length = |value: &Value, key| count(value, key).and_then(|length| u32::try_from(length).ok());
    Some(ModelInfo {
        id: id.to_owned(),
        kind,
        state: if loaded.is_some() { LoadState::Loaded } else { LoadState::NotLoaded },
        context_length: length(entry, "max_context_length"),
        loaded_context_length: length(config, "context_length"),
        quantization: entry.get("quantization").and_then(|value| text(value, "name")).map(str::to_owned),
        parameters: text(entry, "params_string").and_then(parse_parameters),
        size_bytes: count(entry, "size_bytes"),
        vram_bytes: None,
        capabilities: names.iter().filter(|(key, _)| can(key)).map(|(_, name)| (*name).to_owned()).collect(),
        owned_by: None,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::chat::{KeepAlive, ResponseFormat, Sampling, Source, Timing, Tool};
    use crate::wire::{Api, OpenAi, Rows, ServerKind};

    fn row() -> Quirks {
        Quirks { api: Api::LmStudio, ..Rows::default().row(&ServerKind::LM_STUDIO).clone() }
    }

    fn dialect() -> LmStudio {
        LmStudio::new(row())
    }

    fn body(call: &Call) -> Value {
        serde_json::from_slice(call.body.as_deref().expect("a body")).expect("JSON")
    }

    fn read(event: Option<&str>, data: &str) -> (Result<Flow>, Vec<ChatEvent>) {
        let mut out = Vec::new();
        let flow = dialect().read_chat(Frame { event, data }, &mut out);
        (flow, out)
    }

    #[test]
    fn one_turn_is_sent_under_the_native_names() {
        let request = ChatRequest {
            model: Some("qwen3-4b".into()),
            messages: vec![Message::system("Be brief."), Message::user("Hi")],
            sampling: Sampling {
                temperature: Some(0.5),
                top_p: Some(0.9),
                top_k: Some(40),
                min_p: Some(0.25),
                max_tokens: Some(64),
                seed: Some(1),
                stop: Some(vec!["x".into()]),
                presence_penalty: Some(1.0),
                frequency_penalty: Some(1.0),
                repeat_penalty: Some(1.5),
            },
            reasoning: Reasoning::Off,
            context_length: Some(4096),
            keep_alive: Some(KeepAlive::Seconds(60)),
            ..ChatRequest::default()
        };
        let call = dialect().chat(&request, true).expect("a call");
        assert_eq!(call.path, "/api/v1/chat");
        assert_eq!(
            body(&call),
            json!({"model": "qwen3-4b", "system_prompt": "Be brief.", "input": "Hi", "stream": true, "store": false,
                   "temperature": 0.5, "top_p": 0.9, "top_k": 40, "min_p": 0.25, "repeat_penalty": 1.5,
                   "max_output_tokens": 64, "reasoning": "off", "context_length": 4096})
        );
        assert_eq!(call.not_sent, ["seed", "stop", "presence_penalty", "frequency_penalty", "keep_alive"]);
        assert!(!call.parameters.contains_key("input") && !call.parameters.contains_key("system_prompt"));
    }

    #[test]
    fn a_picture_makes_the_input_a_list() {
        let url = "data:image/png;base64,QUJD";
        let user = Message {
            content: vec![Part::Text("see".into()), Part::ImageUrl(url.into())],
            ..Message::user("")
        };
        let request = ChatRequest { messages: vec![user], ..ChatRequest::default() };
        let sent = body(&dialect().chat(&request, false).expect("a call"));
        assert_eq!(
            sent,
            json!({"input": [{"type": "text", "content": "see"}, {"type": "image", "data_url": url}],
                   "stream": false, "store": false})
        );
    }

    #[test]
    fn what_the_api_cannot_do_is_refused_with_the_way_out() {
        let one = vec![Message::user("Hi")];
        let two = vec![Message::user("Hi"), Message::assistant("Hello"), Message::user("And?")];
        let tool = Tool { name: "f".into(), description: String::new(), parameters: json!({}) };
        let requests = [
            ChatRequest { messages: two, ..ChatRequest::default() },
            ChatRequest { messages: vec![Message::system("s")], ..ChatRequest::default() },
            ChatRequest { messages: vec![Message::assistant("s")], ..ChatRequest::default() },
            ChatRequest { messages: one.clone(), tools: vec![tool], ..ChatRequest::default() },
            ChatRequest {
                messages: one.clone(),
                response_format: Some(ResponseFormat::JsonObject),
                ..ChatRequest::default()
            },
        ];
        for request in requests {
            let error = dialect().chat(&request, true).expect_err("cannot");
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
            assert!(error.hint().contains("OpenAI-compatible"), "{}", error.hint());
        }
        for name in ["input", "system_prompt", "model", "stream"] {
            let extra = [(name.to_owned(), json!("x"))].into_iter().collect();
            let request = ChatRequest { messages: one.clone(), extra, ..ChatRequest::default() };
            assert_eq!(
                dialect().chat(&request, true).expect_err("taken").kind(),
                ErrorKind::InvalidInput,
                "{name}"
            );
        }
    }

    #[test]
    fn every_event_is_read() {
        use ChatEvent as E;
        let extra = |data: &str| {
            let value: Value = serde_json::from_str(data).expect("JSON");
            vec![E::Extra(value["type"].as_str().expect("a type").to_owned(), value.clone())]
        };
        let load = Timing {
            model_load: Some(Duration::from_millis(4200)),
            source: Source::Server,
            ..Timing::default()
        };
        let argued =
            r#"{"type":"tool_call.arguments","tool":"search","arguments":{"q":"x"},"provider_info":{}}"#;
        let started = r#"{"type":"tool_call.start","tool":"search","provider_info":{}}"#;
        let success = r#"{"type":"tool_call.success","tool":"search","arguments":{"q":"x"},"output":"[]","provider_info":{}}"#;
        let failed = r#"{"type":"tool_call.failure","reason":"no such tool","metadata":{"type":"invalid_name","tool_name":"y"}}"#;
        let table = [
            (
                r#"{"type":"chat.start","model_instance_id":"qwen3-4b"}"#,
                vec![E::Started { id: None, model: Some("qwen3-4b".into()) }],
            ),
            (
                r#"{"type":"model_load.start","model_instance_id":"qwen3-4b"}"#,
                vec![E::Progress(Progress::LoadingModel(None))],
            ),
            (
                r#"{"type":"model_load.progress","model_instance_id":"qwen3-4b","progress":0.5}"#,
                vec![E::Progress(Progress::LoadingModel(Some(0.5)))],
            ),
            (
                r#"{"type":"model_load.end","model_instance_id":"qwen3-4b","load_time_seconds":4.2}"#,
                vec![E::Timing(load)],
            ),
            (r#"{"type":"prompt_processing.start"}"#, vec![E::Progress(Progress::ReadingPrompt(None))]),
            (
                r#"{"type":"prompt_processing.progress","progress":0.25}"#,
                vec![E::Progress(Progress::ReadingPrompt(Some(0.25)))],
            ),
            (r#"{"type":"prompt_processing.end"}"#, vec![E::Progress(Progress::ReadingPrompt(Some(1.0)))]),
            (r#"{"type":"reasoning.start"}"#, vec![]),
            (r#"{"type":"reasoning.delta","content":"Hm"}"#, vec![E::Reasoning("Hm".into())]),
            (r#"{"type":"reasoning.end"}"#, vec![]),
            (started, extra(started)),
            (argued, extra(argued)),
            (success, extra(success)),
            (failed, extra(failed)),
            (r#"{"type":"message.start"}"#, vec![]),
            (r#"{"type":"message.delta","content":"Hi"}"#, vec![E::Text("Hi".into())]),
            (r#"{"type":"message.end"}"#, vec![]),
        ];
        for (data, events) in table {
            let name = serde_json::from_str::<Value>(data).expect("JSON")["type"].as_str().map(str::to_owned);
            for event in [name.as_deref(), None] {
                let (flow, out) = read(event, data);
                assert_eq!((flow.expect("no error"), out), (Flow::Continue, events.clone()), "{data}");
            }
        }
        let (flow, out) = read(Some("message.delta"), r#"{"content":"Hi"}"#);
        assert_eq!((flow.expect("no error"), out), (Flow::Continue, vec![E::Text("Hi".into())]));
    }

    const RESULT: &str = r#"{"model_instance_id":"qwen3-4b","output":[{"type":"reasoning","content":"Hm"},
        {"type":"tool_call","tool":"search","arguments":{"q":"x"},"output":"[]","provider_info":{}},
        {"type":"message","content":"Hi"}],
        "stats":{"input_tokens":9,"total_output_tokens":3,"reasoning_output_tokens":1,"tokens_per_second":51.5,
        "time_to_first_token_seconds":0.25,"model_load_time_seconds":4.5},"response_id":"resp_0123"}"#;

    fn ending(reason: FinishReason) -> Vec<ChatEvent> {
        let usage = Usage {
            input_tokens: Some(9),
            output_tokens: Some(3),
            reasoning_tokens: Some(1),
            ..Usage::default()
        };
        let timing = Timing {
            tokens_per_second: Some(51.5),
            prompt_eval: Some(Duration::from_millis(250)),
            model_load: Some(Duration::from_millis(4500)),
            source: Source::Server,
            ..Timing::default()
        };
        vec![ChatEvent::Usage(usage), ChatEvent::Timing(timing), ChatEvent::Finished(reason)]
    }

    #[test]
    fn the_end_of_a_stream_gives_numbers_and_not_the_text_again() {
        let (flow, out) = read(Some("chat.end"), &format!(r#"{{"type":"chat.end","result":{RESULT}}}"#));
        assert_eq!((flow.expect("no error"), out), (Flow::Done, ending(FinishReason::Stop)));
        let told = RESULT
            .replace("\"input_tokens\"", "\"stop_reason\":\"maxPredictedTokensReached\",\"input_tokens\"");
        let (_, out) = read(Some("chat.end"), &format!(r#"{{"type":"chat.end","result":{told}}}"#));
        assert_eq!(out, ending(FinishReason::Length));
    }

    #[test]
    fn a_whole_answer_is_read() {
        let (flow, out) = read(None, RESULT);
        assert_eq!(flow.expect("no error"), Flow::Done);
        assert_eq!(
            out[0],
            ChatEvent::Started { id: Some("resp_0123".into()), model: Some("qwen3-4b".into()) }
        );
        assert_eq!(out[1], ChatEvent::Reasoning("Hm".into()));
        assert!(matches!(&out[2], ChatEvent::Extra(name, _) if name == "tool_call"));
        assert_eq!(out[3], ChatEvent::Text("Hi".into()));
        assert_eq!(out[4..], ending(FinishReason::Stop));
    }

    #[test]
    fn errors_are_errors_wherever_they_stand() {
        let table = [
            (
                Some("error"),
                r#"{"type":"error","error":{"type":"model_not_found","message":"m"}}"#,
                ErrorKind::NoModel,
            ),
            (None, r#"{"type":"error","error":{"type":"internal_error","message":"m"}}"#, ErrorKind::Server),
            (
                None,
                r#"{"error":{"message":"m","type":"invalid_request","code":"invalid_union","param":"input"}}"#,
                ErrorKind::Server,
            ),
            (None, r#"{"error":"Unexpected endpoint or method. (POST /api/v1/chat)"}"#, ErrorKind::Protocol),
        ];
        for (event, data, kind) in table {
            assert_eq!(read(event, data).0.expect_err("an error").kind(), kind, "{data}");
        }
        for noise in ["", "{", "[]", "{}", "7"] {
            let (flow, out) = read(None, noise);
            assert_eq!((flow.expect("no error"), out.len()), (Flow::Malformed, 0), "{noise}");
        }
    }

    #[test]
    fn models_come_from_the_first_api_the_version_has() {
        let openai = OpenAi::new(Rows::default().row(&ServerKind::LM_STUDIO).clone());
        let paths: Vec<_> = openai.models().into_iter().map(|call| call.path).collect();
        assert_eq!(paths, ["/api/v1/models", "/api/v0/models", "models"]);
        let native = json!({"models": [
            {"type": "llm", "publisher": "qwen", "key": "qwen/qwen3-4b", "display_name": "Qwen3 4B",
             "quantization": {"name": "Q4_K_M", "bits_per_weight": 4}, "size_bytes": 2_500_000_000_u64, "params_string": "4B",
             "loaded_instances": [{"id": "qwen3-4b", "config": {"context_length": 8192}}],
             "max_context_length": 40_960, "format": "gguf",
             "capabilities": {"vision": true, "trained_for_tool_use": true}},
            {"type": "llm", "key": "plain", "quantization": null, "loaded_instances": [],
             "capabilities": {"vision": false, "trained_for_tool_use": false}},
            {"type": "embedding", "key": "text-embedding-x", "loaded_instances": []},
        ]});
        let mut models = Vec::new();
        assert!(openai.read_models(0, &native, &mut models).expect("a list").is_break());
        assert_eq!(
            models[0],
            ModelInfo {
                id: "qwen/qwen3-4b".into(),
                kind: ModelKind::Vision,
                state: LoadState::Loaded,
                context_length: Some(40_960),
                loaded_context_length: Some(8192),
                quantization: Some("Q4_K_M".into()),
                parameters: Some(4_000_000_000),
                size_bytes: Some(2_500_000_000),
                vram_bytes: None,
                capabilities: vec!["vision".into(), "tool_use".into()],
                owned_by: None,
            }
        );
        assert_eq!((models[1].kind, models[1].state), (ModelKind::Llm, LoadState::NotLoaded));
        assert_eq!(models[2].kind, ModelKind::Embedding);

        let unknown = json!({"error": "Unexpected endpoint or method. (GET /api/v1/models)"});
        assert!(openai.read_models(0, &unknown, &mut models).expect("go on").is_continue());
        assert!(openai.read_models(1, &unknown, &mut models).expect("go on").is_continue());
        assert_eq!(
            openai.read_models(2, &unknown, &mut models).expect_err("the end").kind(),
            ErrorKind::Protocol
        );
        let v0 = json!({"object": "list", "data": [{"id": "m", "object": "model", "type": "vlm", "state": "not-loaded",
            "quantization": "Q4_0", "max_context_length": 4096, "capabilities": ["tool_use"]}]});
        assert!(dialect().read_models(1, &v0, &mut models).expect("a list").is_break());
        assert_eq!((models[0].kind, models[0].state), (ModelKind::Vision, LoadState::NotLoaded));
        let v1 = json!({"object": "list", "data": [{"id": "m", "object": "model", "owned_by": "organization_owner"}]});
        assert!(dialect().read_models(2, &v1, &mut models).expect("a list").is_break());
        assert_eq!(models[0].owned_by.as_deref(), Some("organization_owner"));
    }
}
