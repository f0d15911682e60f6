//! `ChatEvent`: what happens while an answer arrives, in the order it happens.
//!
//! Not here: how frames become events (`wire`).

use serde_json::Value;

use super::reply::{Timing, Usage};

/// `ChatEvent` is one thing that happened while an answer arrived.
///
/// Neighbouring pieces of text that arrive in one read of the socket come as one event.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ChatEvent {
    /// The server began an answer; comes once, first of what the server sends.
    Started {
        /// The server's id of the answer, where it gave one.
        id: Option<String>,
        /// The model that answers, as the server names it.
        model: Option<String>,
    },
    /// The server works and has nothing to show yet.
    Progress(Progress),
    /// A piece of the model's thinking. It is never part of the text.
    Reasoning(String),
    /// A piece of the answer.
    Text(String),
    /// All text so far was thinking: a closing tag came without an opening one, because the server's template had
    /// written the opening tag itself. What was shown as text belongs to the reasoning.
    TextWasReasoning,
    /// A piece of a tool call.
    ToolCall(ToolCallDelta),
    /// Token counts so far; a later one replaces an earlier one.
    Usage(Usage),
    /// The server's own clock.
    Timing(Timing),
    /// A field this crate has no name for, kept as it came.
    Extra(String, Value),
    /// The answer is complete; always the last event.
    Finished(FinishReason),
}

/// `Progress` says what the server does before the first token.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Progress {
    /// It loads the model; the share done, 0 to 1, where the server tells.
    LoadingModel(Option<f32>),
    /// It reads the prompt; the share done, 0 to 1, where the server tells.
    ReadingPrompt(Option<f32>),
}

/// `ToolCallDelta` is a piece of a tool call; pieces with one index belong together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolCallDelta {
    /// Which call of the answer, from 0.
    pub index: usize,
    /// The call's id, on its first piece.
    pub id: Option<String>,
    /// The function's name, on its first piece.
    pub name: Option<String>,
    /// More of the arguments' JSON text.
    pub arguments: String,
}

/// `FinishReason` says why the answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FinishReason {
    /// The model was done, or a stop text came.
    Stop,
    /// `max_tokens` or the context was used up.
    Length,
    /// The model calls tools.
    ToolCalls,
    /// A filter cut the answer.
    ContentFilter,
}

impl FinishReason {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            FinishReason::Stop => "stop",
            FinishReason::Length => "length",
            FinishReason::ToolCalls => "tool_calls",
            FinishReason::ContentFilter => "content_filter",
        }
    }
}
