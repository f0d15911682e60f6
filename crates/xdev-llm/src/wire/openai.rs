//! `OpenAi`: the chat completions API, as every local server speaks it, each with its own accent.
//!
//! What is sent is decided by the server's row ([`Quirks`]). What comes back is walked without a schema: an odd field
//! never spoils its neighbours, and unknown ones are kept. Not here: state over several frames (`normalise`).

use std::ops::ControlFlow;
use std::time::Duration;

use serde_json::{Value, json};

use super::body::{self, Fields};
use super::json::{count, duration, list, number, text};
use super::lmstudio::{lmstudio_models, read_lmstudio_models};
use super::quirks::Parameter;
use super::{Call, Dialect, Flow, Frame, Quirks, ServerKind, read_documents};
use crate::chat::{ChatEvent, ChatRequest, FinishReason, Progress, Source, Timing, ToolCallDelta, Usage};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{LoadState, ModelInfo, ModelKind};

/// `OpenAi` speaks the chat completions API with the accent of one row.
#[derive(Debug)]
pub struct OpenAi {
    quirks: Quirks,
}

impl OpenAi {
    /// Makes the dialect of a row.
    pub fn new(quirks: Quirks) -> Self {
        OpenAi { quirks }
    }
}

impl Dialect for OpenAi {
    fn quirks(&self) -> &Quirks {
        &self.quirks
    }

    fn chat(&self, request: &ChatRequest, stream: bool) -> Result<Call> {
        let quirks = &self.quirks;
        let mut fields = Fields::new(quirks);
        fields.body.clone_from(&quirks.body);
        if let Some(model) = &request.model {
            fields.body.insert("model".into(), json!(model));
        }
        fields.body.insert("messages".into(), body::messages(quirks, &request.messages)?);
        fields.sampling(&request.sampling);
        fields.keep_alive(request.keep_alive);
        if request.context_length.is_some() {
            fields.not_sent.push("context_length".into());
        }
        fields.reasoning(request.reasoning);
        fields.response_format(request.response_format.as_ref());
        fields.tools(&request.tools, request.tool_choice.as_ref());
        let stream = stream && quirks.stream;
        fields.body.insert("stream".into(), json!(stream));
        if stream && quirks.wire_name(Parameter::StreamOptions).is_some() {
            fields.body.insert("stream_options".into(), json!({ "include_usage": true }));
        }
        if !stream {
            fields.body.remove("return_progress");
        }
        fields.extra(&request.extra)?;
        Ok(Call::post("chat/completions", fields.body, &["messages"], fields.not_sent))
    }

    fn read_chat(&self, frame: Frame<'_>, out: &mut Vec<ChatEvent>) -> Result<Flow> {
        if frame.data.trim() == "[DONE]" {
            return Ok(Flow::Done);
        }
        read_documents(frame, |document| read_document(document, out))
    }

    fn models(&self) -> Vec<Call> {
        if self.quirks.kind == ServerKind::LM_STUDIO {
            return lmstudio_models();
        }
        vec![Call::get("models")]
    }

    fn read_models(
        &self,
        index: usize,
        body: &Value,
        models: &mut Vec<ModelInfo>,
    ) -> Result<ControlFlow<()>> {
        if self.quirks.kind == ServerKind::LM_STUDIO {
            return read_lmstudio_models(index, body, models);
        }
        *models = read_models(body).ok_or_else(not_a_list)?;
        Ok(ControlFlow::Break(()))
    }
}

/// The error for an answer to the model list that is none.
pub(super) fn not_a_list() -> Error {
    Error::new(ErrorKind::Protocol, "Unexpected response format: the answer is not a list of models.")
}

/// Reads OpenAI's model list with what llama.cpp, vLLM, LM Studio (v0), mistral.rs and llama-swap add to it.
pub(super) fn read_models(body: &Value) -> Option<Vec<ModelInfo>> {
    let data = match body.get("data") {
        Some(Value::Array(data)) => data.as_slice(),
        // Ollama's compatible API says `null` when no model is installed.
        Some(Value::Null) if text(body, "object") == Some("list") => &[],
        _ => return None,
    };
    Some(data.iter().filter_map(read_model).collect())
}

fn read_model(entry: &Value) -> Option<ModelInfo> {
    let id = text(entry, "id")?;
    let meta = entry.get("meta").unwrap_or(&Value::Null);
    let modalities = entry.get("architecture").map_or(&[][..], |value| list(value, "input_modalities"));
    let sees = modalities.iter().any(|modality| modality.as_str() == Some("image"));
    let kind = match text(entry, "type") {
        Some("llm") => ModelKind::Llm,
        Some("vlm") => ModelKind::Vision,
        Some("embeddings" | "embedding") => ModelKind::Embedding,
        _ if sees => ModelKind::Vision,
        _ => ModelKind::guess(id),
    };
    let status = entry.get("status").and_then(|status| status.as_str().or_else(|| text(status, "value")));
    let state = match text(entry, "state").or(status) {
        Some("loaded" | "ready" | "sleeping") => LoadState::Loaded,
        Some("loading" | "starting" | "reloading") => LoadState::Loading,
        Some("not-loaded" | "unloaded" | "stopped" | "downloading" | "stopping") => LoadState::NotLoaded,
        _ if meta.get("n_ctx").is_some() || entry.get("max_model_len").is_some() => LoadState::Loaded,
        _ => LoadState::Unknown,
    };
    let short = |value: Option<u64>| value.and_then(|value| u32::try_from(value).ok());
    Some(ModelInfo {
        id: id.to_owned(),
        kind,
        state,
        context_length: short(
            count(entry, "max_context_length")
                .or_else(|| count(entry, "max_model_len"))
                .or_else(|| count(meta, "n_ctx_train")),
        ),
        loaded_context_length: short(
            count(entry, "loaded_context_length")
                .or_else(|| count(meta, "n_ctx"))
                .or_else(|| count(entry, "max_model_len")),
        ),
        quantization: text(entry, "quantization").map(str::to_owned),
        parameters: count(meta, "n_params"),
        size_bytes: count(meta, "size"),
        vram_bytes: None,
        capabilities: list(entry, "capabilities")
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
        owned_by: text(entry, "owned_by").map(str::to_owned),
    })
}

/// Reads one document.
fn read_document(document: &Value, out: &mut Vec<ChatEvent>) -> Result<Flow> {
    let Some(fields) = document.as_object() else { return Ok(Flow::Malformed) };
    let choices = list(document, "choices");
    let mut known = fields.contains_key("choices");
    if known {
        let owned = |key| text(document, key).map(str::to_owned);
        out.push(ChatEvent::Started { id: owned("id"), model: owned("model") });
    }
    for (name, value) in fields {
        match name.as_str() {
            "id" | "object" | "created" | "model" | "choices" | "system_fingerprint" | "obfuscation"
            | "error" => {}
            "usage" => known |= read_usage(value, out),
            "timings" => known |= read_timings(value, out),
            "prompt_progress" => known |= read_progress(value, out),
            "metrics" | "stats" => {
                known |= read_stats(value, out);
                out.push(ChatEvent::Extra(name.clone(), value.clone()));
            }
            _ if value.is_null() => {}
            _ => out.push(ChatEvent::Extra(name.clone(), value.clone())),
        }
    }
    for choice in choices {
        if count(choice, "index").unwrap_or(0) == 0 {
            read_choice(choice, out)?;
        }
    }
    Ok(if known { Flow::Continue } else { Flow::Malformed })
}

fn read_choice(choice: &Value, out: &mut Vec<ChatEvent>) -> Result<()> {
    let delta = choice.get("delta").or_else(|| choice.get("message")).unwrap_or(&Value::Null);
    read_reasoning(delta, out);
    match delta.get("content") {
        Some(Value::String(piece)) if !piece.is_empty() => out.push(ChatEvent::Text(piece.clone())),
        Some(Value::Array(parts)) => parts.iter().for_each(|part| read_part(part, out)),
        _ => {
            if let Some(piece) = text(choice, "text") {
                out.push(ChatEvent::Text(piece.to_owned()));
            }
        }
    }
    if let Some(refusal) = text(delta, "refusal") {
        out.push(ChatEvent::Text(refusal.to_owned()));
        out.push(ChatEvent::Extra("refusal".into(), json!(true)));
    }
    read_tool_calls(delta, out);
    for name in ["stop_reason", "matched_stop"] {
        if let Some(value) = choice.get(name).filter(|value| !value.is_null()) {
            out.push(ChatEvent::Extra(name.into(), value.clone()));
        }
    }
    read_finish(text(choice, "finish_reason"), out)
}

/// Reads thinking out of whichever field has it; two fields hold the same text (vLLM 0.11.1 to 0.15).
fn read_reasoning(delta: &Value, out: &mut Vec<ChatEvent>) {
    let piece = ["reasoning_content", "reasoning", "thinking"].iter().find_map(|name| text(delta, name));
    if let Some(piece) = piece {
        out.push(ChatEvent::Reasoning(piece.to_owned()));
        return;
    }
    for detail in list(delta, "reasoning_details") {
        if let Some(piece) = text(detail, "text") {
            out.push(ChatEvent::Reasoning(piece.to_owned()));
        }
    }
}

fn read_part(part: &Value, out: &mut Vec<ChatEvent>) {
    if let Some(piece) = text(part, "text") {
        out.push(ChatEvent::Text(piece.to_owned()));
    }
    for thought in list(part, "thinking") {
        if let Some(piece) = text(thought, "text") {
            out.push(ChatEvent::Reasoning(piece.to_owned()));
        }
    }
}

pub(super) fn read_tool_calls(delta: &Value, out: &mut Vec<ChatEvent>) {
    let legacy = delta.get("function_call").filter(|call| call.is_object());
    if let Some(call) = legacy {
        out.push(ChatEvent::ToolCall(ToolCallDelta {
            index: 0,
            id: None,
            name: text(call, "name").map(str::to_owned),
            arguments: arguments(call),
        }));
    }
    for (position, call) in list(delta, "tool_calls").iter().enumerate() {
        let function = call.get("function").unwrap_or(call);
        // A call of a thousand others is a fault, and would reserve memory.
        let index =
            count(call, "index").or_else(|| count(function, "index")).map_or(position, |n| n as usize);
        out.push(ChatEvent::ToolCall(ToolCallDelta {
            index: index.min(999),
            id: text(call, "id").map(str::to_owned),
            name: text(function, "name").map(str::to_owned),
            arguments: arguments(function),
        }));
    }
}

/// The arguments as JSON text; some servers send an object.
fn arguments(function: &Value) -> String {
    match function.get("arguments") {
        Some(Value::String(arguments)) => arguments.clone(),
        Some(Value::Null) | None => String::new(),
        Some(arguments) => arguments.to_string(),
    }
}

/// Reads a finish reason under any of the names servers give it.
pub(super) fn read_finish(raw: Option<&str>, out: &mut Vec<ChatEvent>) -> Result<()> {
    let Some(raw) = raw else { return Ok(()) };
    let reason = match raw {
        "length" | "max_tokens" | "model_length" | "max_output_tokens" => FinishReason::Length,
        "tool_calls" | "function_call" | "tool_use" | "tool_call" => FinishReason::ToolCalls,
        "content_filter" => FinishReason::ContentFilter,
        "error" | "abort" | "aborted" | "failed" | "cancelled" | "unload" => {
            return Err(
                Error::new(ErrorKind::CutOff, "The server ended the answer before its end.").with_said(raw)
            );
        }
        _ => FinishReason::Stop,
    };
    if raw != reason.as_str() {
        out.push(ChatEvent::Extra("finish_reason".into(), json!(raw)));
    }
    out.push(ChatEvent::Finished(reason));
    Ok(())
}

fn read_usage(usage: &Value, out: &mut Vec<ChatEvent>) -> bool {
    if !usage.is_object() {
        return false;
    }
    let details = |name: &str, key: &str| usage.get(name).and_then(|details| count(details, key));
    out.push(ChatEvent::Usage(Usage {
        input_tokens: count(usage, "prompt_tokens"),
        output_tokens: count(usage, "completion_tokens"),
        reasoning_tokens: details("completion_tokens_details", "reasoning_tokens")
            .or_else(|| count(usage, "reasoning_tokens")),
        cached_tokens: details("prompt_tokens_details", "cached_tokens"),
        estimated: false,
    }));
    // TabbyAPI (seconds) and mistral.rs put their clocks into the usage.
    let rate = number(usage, "completion_tokens_per_sec").or_else(|| number(usage, "avg_compl_tok_per_sec"));
    let prompt =
        duration(usage, "prompt_time", 1.0).or_else(|| duration(usage, "total_prompt_time_sec", 1.0));
    push_timing(rate, prompt, None, out);
    true
}

/// llama.cpp's clocks, in milliseconds.
fn read_timings(timings: &Value, out: &mut Vec<ChatEvent>) -> bool {
    let (cached, read) = (count(timings, "cache_n"), count(timings, "prompt_n"));
    out.push(ChatEvent::Usage(Usage {
        input_tokens: read.map(|read| read + cached.unwrap_or(0)),
        output_tokens: count(timings, "predicted_n"),
        reasoning_tokens: None,
        cached_tokens: cached,
        estimated: false,
    }));
    push_timing(number(timings, "predicted_per_second"), duration(timings, "prompt_ms", 1e-3), None, out);
    true
}

/// vLLM's `metrics` (milliseconds) and LM Studio's `stats` (seconds).
fn read_stats(stats: &Value, out: &mut Vec<ChatEvent>) -> bool {
    let prompt = duration(stats, "time_to_first_token_ms", 1e-3)
        .or_else(|| duration(stats, "time_to_first_token", 1.0));
    let load = duration(stats, "model_load_time_seconds", 1.0);
    push_timing(number(stats, "tokens_per_second"), prompt, load, out);
    stats.as_object().is_some_and(|stats| !stats.is_empty())
}

pub(super) fn push_timing(
    rate: Option<f64>,
    prompt_eval: Option<Duration>,
    model_load: Option<Duration>,
    out: &mut Vec<ChatEvent>,
) {
    if rate.is_some() || prompt_eval.is_some() || model_load.is_some() {
        let tokens_per_second = rate.filter(|rate| rate.is_finite() && *rate > 0.0);
        out.push(ChatEvent::Timing(Timing {
            tokens_per_second,
            prompt_eval,
            model_load,
            source: Source::Server,
            ..Timing::default()
        }));
    }
}

/// llama.cpp's prompt progress.
fn read_progress(progress: &Value, out: &mut Vec<ChatEvent>) -> bool {
    let (Some(total), Some(done)) = (number(progress, "total"), number(progress, "processed")) else {
        return false;
    };
    let share = if total > 0.0 { (done / total).clamp(0.0, 1.0) } else { 1.0 };
    out.push(ChatEvent::Progress(Progress::ReadingPrompt(Some(share as f32))));
    true
}
