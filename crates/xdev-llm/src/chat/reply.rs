//! `ChatReply`, its numbers, and the `Collector` that gathers one from events.
//!
//! Not here: statistics over many replies (`stats`).

use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value};

use super::event::{ChatEvent, FinishReason};
use super::message::ToolCall;

/// `ChatReply` is one whole answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChatReply {
    /// The server's id of the answer.
    pub id: Option<String>,
    /// The model that answered, as the server names it.
    pub model: Option<String>,
    /// The answer. Thinking is never in it.
    pub text: String,
    /// The model's thinking.
    pub reasoning: String,
    /// The calls the model asks for.
    pub tool_calls: Vec<ToolCall>,
    /// Why it ended; `None` only in a partial reply.
    pub finish_reason: Option<FinishReason>,
    /// Token counts.
    pub usage: Usage,
    /// Times.
    pub timing: Timing,
    /// What was asked of which server.
    pub sent: Sent,
    /// Things a person should know although the answer came: another model answered, the answer was cut by length, …
    pub warnings: Vec<String>,
    /// Fields this crate has no name for, kept as they came.
    pub extra: Map<String, Value>,
}

/// `Usage` counts tokens; absent is not zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// Tokens of the prompt.
    pub input_tokens: Option<u64>,
    /// Tokens of the answer, thinking included.
    pub output_tokens: Option<u64>,
    /// Tokens of thinking.
    pub reasoning_tokens: Option<u64>,
    /// Tokens of the prompt the server had in its cache.
    pub cached_tokens: Option<u64>,
    /// Whether `output_tokens` was counted from the pieces that arrived because the server told none.
    pub estimated: bool,
}

impl Usage {
    /// Takes over every count that `newer` has.
    pub fn update(&mut self, newer: Usage) {
        self.input_tokens = newer.input_tokens.or(self.input_tokens);
        self.output_tokens = newer.output_tokens.or(self.output_tokens);
        self.reasoning_tokens = newer.reasoning_tokens.or(self.reasoning_tokens);
        self.cached_tokens = newer.cached_tokens.or(self.cached_tokens);
        self.estimated = newer.estimated;
    }
}

/// `Source` says whose clock a number comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// Measured here.
    #[default]
    Client,
    /// Told by the server.
    Server,
}

/// `Timing` holds the times of one answer.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Timing {
    /// From sending the request to the first piece of text or thinking, by our clock. A role or an empty piece is none.
    pub time_to_first_token: Option<Duration>,
    /// From sending the request to the end of the answer, by our clock.
    pub duration: Option<Duration>,
    /// Tokens of the answer a second, from the first to the last.
    pub tokens_per_second: Option<f64>,
    /// How long the server loaded the model for this request.
    pub model_load: Option<Duration>,
    /// How long the server read the prompt.
    pub prompt_eval: Option<Duration>,
    /// Whose number `tokens_per_second` is.
    pub source: Source,
}

impl Timing {
    /// Takes over every time that `newer` has.
    pub fn update(&mut self, newer: Timing) {
        if newer.tokens_per_second.is_some() {
            self.source = newer.source;
        }
        self.time_to_first_token = newer.time_to_first_token.or(self.time_to_first_token);
        self.duration = newer.duration.or(self.duration);
        self.tokens_per_second = newer.tokens_per_second.or(self.tokens_per_second);
        self.model_load = newer.model_load.or(self.model_load);
        self.prompt_eval = newer.prompt_eval.or(self.prompt_eval);
    }
}

/// `Sent` says what was asked of which server.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sent {
    /// The server's kind, such as `lmstudio`.
    pub server_kind: String,
    /// The server's address.
    pub url: String,
    /// The model asked for, after "auto" was resolved.
    pub model: Option<String>,
    /// Every parameter of the request's body but the messages, under the names that were sent.
    pub parameters: Map<String, Value>,
    /// Parameters that were asked for and not sent, because this server does not take them.
    pub not_sent: Vec<String>,
}

/// `Collector` gathers the events of one answer into a [`ChatReply`].
#[derive(Clone, Debug, Default)]
pub struct Collector {
    reply: ChatReply,
}

impl Collector {
    /// Takes in one event.
    pub fn push(&mut self, event: ChatEvent) {
        let reply = &mut self.reply;
        match event {
            ChatEvent::Started { id, model } => {
                reply.id = id;
                reply.model = model;
            }
            ChatEvent::Progress(_) => {}
            ChatEvent::Reasoning(piece) => append(&mut reply.reasoning, piece),
            ChatEvent::Text(piece) => append(&mut reply.text, piece),
            ChatEvent::TextWasReasoning => {
                let text = std::mem::take(&mut reply.text);
                append(&mut reply.reasoning, text);
            }
            ChatEvent::ToolCall(delta) => {
                if reply.tool_calls.len() <= delta.index {
                    reply.tool_calls.resize_with(delta.index + 1, ToolCall::default);
                }
                let call = &mut reply.tool_calls[delta.index];
                if let Some(id) = delta.id {
                    call.id = id;
                }
                if let Some(name) = delta.name {
                    call.name = name;
                }
                call.arguments.push_str(&delta.arguments);
            }
            ChatEvent::Usage(usage) => reply.usage.update(usage),
            ChatEvent::Timing(timing) => reply.timing.update(timing),
            ChatEvent::Extra(name, value) => {
                reply.extra.insert(name, value);
            }
            ChatEvent::Finished(reason) => reply.finish_reason = Some(reason),
        }
    }

    /// The reply so far.
    pub fn reply(&self) -> &ChatReply {
        &self.reply
    }

    /// The reply so far, to add to.
    pub fn reply_mut(&mut self) -> &mut ChatReply {
        &mut self.reply
    }

    /// Gives the reply away.
    pub fn into_reply(self) -> ChatReply {
        self.reply
    }
}

/// Appends without a copy where there is nothing yet.
fn append(text: &mut String, piece: String) {
    if text.is_empty() {
        *text = piece;
    } else {
        text.push_str(&piece);
    }
}
