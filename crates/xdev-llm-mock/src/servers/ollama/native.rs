//! The lines of Ollama's own answers, with durations in nanoseconds.

use std::sync::Arc;

use serde_json::{Value, json};

use super::MOMENT;
use crate::chat::{Encoder, Event, Framing, Piece, Plan, quote};
use crate::script::ToolCall;

/// `Native` writes a plan as `/api/chat`, or `/api/generate` when `plain`.
pub(super) struct Native {
    pub(super) plan: Arc<Plan>,
    pub(super) model: String,
    /// Nanoseconds; 0 is left out, as Go does.
    pub(super) load_duration: u64,
    pub(super) plain: bool,
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
