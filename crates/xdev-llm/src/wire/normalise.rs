//! `Normaliser` turns what a dialect read from single frames into one clean run of events.
//!
//! What needs memory across frames lives here once, for all dialects: `Started` comes once, thinking in tags is told
//! from text, tool calls get one index each, `Finished` comes once and last, and pieces that arrive together become
//! one event. Not here: reading frames (the dialects), judging the finished reply ([`conclude`] does, for all).

use serde_json::Value;

use crate::chat::{ChatEvent, ChatReply, FinishReason, Progress, ToolCallDelta, Usage};
use crate::error::{Error, ErrorKind, Result};
use crate::text::{Piece, ThinkSplitter};

/// `Normaliser` holds what one answer needs remembered across its frames.
#[derive(Debug, Default)]
pub(super) struct Normaliser {
    started: bool,
    think: ThinkSplitter,
    tool_calls: Vec<KnownCall>,
    finish: Option<FinishReason>,
    /// Pieces of text and thinking that arrived: an estimate of the tokens.
    pieces: u64,
    bytes: u64,
    output_tokens: Option<u64>,
}

/// A tool call that has been seen, with what the server calls it.
#[derive(Debug)]
struct KnownCall {
    server_index: usize,
    id: Option<String>,
}

impl Normaliser {
    /// Takes in one event from the dialect.
    pub(super) fn push(&mut self, event: ChatEvent, out: &mut Vec<ChatEvent>) {
        match event {
            ChatEvent::Started { id, model } => {
                if !self.started {
                    self.started = true;
                    out.push(ChatEvent::Started { id, model });
                }
            }
            ChatEvent::Text(piece) => self.text(&piece, out),
            ChatEvent::Reasoning(piece) => self.reasoning(&piece, out),
            ChatEvent::ToolCall(delta) => {
                self.start(out);
                self.tool_call(delta, out);
            }
            ChatEvent::Finished(reason) => self.finish = Some(reason),
            ChatEvent::Usage(usage) => {
                self.output_tokens = usage.output_tokens.or(self.output_tokens);
                out.push(ChatEvent::Usage(usage));
            }
            ChatEvent::Progress(progress) => {
                // llama.cpp reports the prompt as read once more after the first token.
                if self.pieces == 0 {
                    push_progress(progress, out);
                }
            }
            event => out.push(event),
        }
    }

    /// Takes in a piece of text, which may hold thinking in tags.
    pub(super) fn text(&mut self, piece: &str, out: &mut Vec<ChatEvent>) {
        self.start(out);
        self.count(piece);
        self.think.push(piece, &mut |piece| emit(piece, out));
    }

    /// Takes in a piece of thinking from a field of its own.
    pub(super) fn reasoning(&mut self, piece: &str, out: &mut Vec<ChatEvent>) {
        self.start(out);
        self.count(piece);
        emit(Piece::Reasoning(piece), out);
    }

    /// Whether a finish reason has come.
    pub(super) fn is_finished(&self) -> bool {
        self.finish.is_some()
    }

    /// Ends the answer: held-back text, estimated usage, and `Finished` as the last event.
    pub(super) fn finish(&mut self, out: &mut Vec<ChatEvent>) -> Result<()> {
        self.think.finish(&mut |piece| emit(piece, out));
        if self.output_tokens.unwrap_or(0) == 0 && self.pieces > 0 {
            // Servers that do not stream send everything as one piece; about four bytes make a token.
            let estimate = if self.pieces > 1 { self.pieces } else { self.bytes.div_ceil(4) };
            let usage = Usage { output_tokens: Some(estimate), estimated: true, ..Usage::default() };
            out.push(ChatEvent::Usage(usage));
        }
        match self.finish {
            Some(reason) => {
                let reason = match reason {
                    FinishReason::ToolCalls if self.tool_calls.is_empty() => FinishReason::Stop,
                    FinishReason::Stop if !self.tool_calls.is_empty() => FinishReason::ToolCalls,
                    reason => reason,
                };
                out.push(ChatEvent::Finished(reason));
                Ok(())
            }
            None => Err(Error::new(ErrorKind::CutOff, "The answer ended before its end.")),
        }
    }

    fn start(&mut self, out: &mut Vec<ChatEvent>) {
        if !self.started {
            self.started = true;
            out.push(ChatEvent::Started { id: None, model: None });
        }
    }

    fn count(&mut self, piece: &str) {
        self.pieces += 1;
        self.bytes += piece.len() as u64;
    }

    /// Gives every call one index: by the server's index, unless a new id shows that another call begins.
    fn tool_call(&mut self, mut delta: ToolCallDelta, out: &mut Vec<ChatEvent>) {
        let known = self.tool_calls.iter().rposition(|call| call.server_index == delta.index);
        let begins_another = |call: &KnownCall| {
            // A new id with a name is a new call; a new id alone is a proxy that numbers the pieces.
            delta.name.is_some() && delta.id.is_some() && call.id.is_some() && delta.id != call.id
        };
        let index = match known {
            Some(index) if !begins_another(&self.tool_calls[index]) => {
                // Ids and names count once; later empty or repeated ones are dropped.
                if self.tool_calls[index].id.is_some() {
                    delta.id = None;
                }
                index
            }
            _ => {
                self.tool_calls.push(KnownCall { server_index: delta.index, id: None });
                self.tool_calls.len() - 1
            }
        };
        if delta.id.is_some() {
            self.tool_calls[index].id.clone_from(&delta.id);
        }
        delta.index = index;
        out.push(ChatEvent::ToolCall(delta));
    }
}

/// Puts a piece behind the last one of its kind, so that pieces that arrive together are one event.
fn emit(piece: Piece<'_>, out: &mut Vec<ChatEvent>) {
    match (piece, out.last_mut()) {
        (Piece::Text("") | Piece::Reasoning(""), _) => {}
        (Piece::Text(piece), Some(ChatEvent::Text(text)))
        | (Piece::Reasoning(piece), Some(ChatEvent::Reasoning(text))) => text.push_str(piece),
        (Piece::Text(piece), _) => out.push(ChatEvent::Text(piece.to_owned())),
        (Piece::Reasoning(piece), _) => out.push(ChatEvent::Reasoning(piece.to_owned())),
        (Piece::Retract, _) => out.push(ChatEvent::TextWasReasoning),
    }
}

/// Keeps only the newest of several reports that arrive together.
fn push_progress(progress: Progress, out: &mut Vec<ChatEvent>) {
    match out.last_mut() {
        Some(ChatEvent::Progress(last)) => *last = progress,
        _ => out.push(ChatEvent::Progress(progress)),
    }
}

/// Judges a finished reply: an empty one is an error that says why, and what a person should know becomes a warning.
pub fn conclude(reply: &mut ChatReply) -> Result<()> {
    for (index, call) in reply.tool_calls.iter_mut().enumerate() {
        if call.id.is_empty() {
            call.id = format!("call_{index}");
        }
        if call.arguments.trim().is_empty() {
            "{}".clone_into(&mut call.arguments);
        }
        match serde_json::from_str::<Value>(&call.arguments) {
            Ok(Value::Object(_)) => {}
            Ok(_) => reply
                .warnings
                .push(format!("The arguments of the call of `{}` are not an object.", call.name)),
            Err(_) => reply.warnings.push(format!(
                "The arguments of the call of `{}` are not whole: the answer was cut.",
                call.name
            )),
        }
    }
    let was_cut = reply.finish_reason == Some(FinishReason::Length);
    if !reply.text.trim().is_empty() || !reply.tool_calls.is_empty() {
        if was_cut {
            let count = reply.usage.output_tokens.unwrap_or(0);
            reply
                .warnings
                .push(format!("The answer was cut at {count} tokens: max_tokens or the context is used up."));
        }
        return Ok(());
    }
    let thought = !reply.reasoning.trim().is_empty();
    let (message, hint) = match (was_cut, thought) {
        (true, true) => (
            "The answer is empty: the model used up max_tokens with thinking.",
            "Raise max_tokens, or turn reasoning off or down.",
        ),
        (true, false) => (
            "The answer is empty: max_tokens or the context was used up before the first text.",
            "Raise max_tokens, or shorten the prompt; the prompt may fill the whole context.",
        ),
        (false, true) => (
            "The answer is empty: the model thought and then said nothing.",
            "Ask again, turn reasoning off, or use another model.",
        ),
        (false, false) if reply.finish_reason == Some(FinishReason::ContentFilter) => (
            "The answer is empty: a filter of the server removed it.",
            "Change the prompt, or use another model.",
        ),
        (false, false) => (
            "The answer is empty: the model ended at once, without a single token of text.",
            "Check the prompt and the model's chat template; a base model or a wrong template often does this.",
        ),
    };
    Err(Error::new(ErrorKind::EmptyAnswer, message).with_hint(hint))
}
