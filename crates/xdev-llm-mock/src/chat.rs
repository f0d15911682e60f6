//! One chat as a plan: which pieces are sent, how they are counted, why it finishes.
//!
//! Pure: a script and a request's limits in, pieces out. `openai`, `servers::ollama` and `servers::lmstudio`
//! write pieces in their dialect; `emit` sends them.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::faults::Fault;
use crate::memory::Lease;
use crate::script::{ReasoningField, Script, ToolCall, split_tokens};

/// `Piece` is one step of an answer, a token or a part of a tool call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    Reasoning(String),
    Text(String),
    /// `arguments` is what comes with the name; `None` for a call without that key.
    Call {
        index: usize,
        call: ToolCall,
        arguments: Option<String>,
    },
    Arguments {
        index: usize,
        fragment: String,
    },
}

/// `Run` is the same piece several times, so that a long answer is written once and sent often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) piece: Piece,
    pub(crate) count: usize,
}

/// `CallStyle` says how a dialect cuts a tool call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallStyle {
    /// One piece with everything (Ollama).
    Whole,
    /// The arguments start with the name (llama.cpp).
    Started,
    /// Empty arguments with the name, then fragments (OpenAI, LM Studio).
    Empty,
    /// No arguments key with the name, then fragments (vLLM).
    Absent,
}

/// `Limits` is what a request says about the length of its answer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Limits {
    pub(crate) max_tokens: Option<usize>,
    pub(crate) stop: Vec<String>,
    /// Whether the request wants reasoning.
    pub(crate) reasoning: bool,
}

impl Limits {
    /// Reads the limits of an OpenAI request; a negative limit is none.
    pub(crate) fn openai(body: &Value, names: &[&str]) -> Limits {
        let limit = names.iter().find_map(|name| body[*name].as_i64());
        Limits {
            max_tokens: limit.and_then(|limit| usize::try_from(limit).ok()),
            stop: stop_strings(&body["stop"]),
            reasoning: body["reasoning_effort"] != "none"
                && body["chat_template_kwargs"]["enable_thinking"] != false
                && body["include_reasoning"] != false,
        }
    }
}

/// The stop strings of a request: one or a list.
pub(crate) fn stop_strings(value: &Value) -> Vec<String> {
    let texts = match value {
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
        other => other.as_str().into_iter().collect::<Vec<&str>>(),
    };
    texts.into_iter().filter(|text| !text.is_empty()).map(str::to_owned).collect()
}

/// `Plan` is an answer ready to be written in a dialect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) runs: Vec<Run>,
    pub(crate) calls: Vec<ToolCall>,
    pub(crate) finish_reason: String,
    pub(crate) prompt_tokens: usize,
    pub(crate) completion_tokens: usize,
    pub(crate) reasoning_tokens: usize,
}

impl Plan {
    pub(crate) fn new(script: &Script, body: &Value, limits: &Limits, style: CallStyle) -> Plan {
        let mut runs = reasoning_runs(script, limits);
        runs.extend(text_runs(script, body));
        if !limits.stop.is_empty() {
            runs = stop_runs(runs, &limits.stop);
        }
        let cut = limits.max_tokens.is_some_and(|limit| cut_runs(&mut runs, limit));
        let calls = if cut { Vec::new() } else { script.tool_calls.clone() };
        for (index, call) in calls.iter().enumerate() {
            runs.extend(call_pieces(index, call, style).into_iter().map(|piece| Run { piece, count: 1 }));
        }
        let natural = if calls.is_empty() { "stop" } else { "tool_calls" };
        let written = script.finish_reason.as_deref().unwrap_or(natural);
        Plan {
            completion_tokens: runs.iter().map(|run| run.count).sum(),
            reasoning_tokens: runs
                .iter()
                .filter(|run| matches!(run.piece, Piece::Reasoning(_)))
                .map(|run| run.count)
                .sum(),
            runs,
            calls,
            finish_reason: if cut { "length" } else { written }.to_owned(),
            prompt_tokens: tokens_of(prompt_characters(body)),
        }
    }

    pub(crate) fn text(&self) -> String {
        self.joined(|piece| if let Piece::Text(text) = piece { Some(text) } else { None })
    }

    pub(crate) fn reasoning(&self) -> String {
        self.joined(|piece| if let Piece::Reasoning(text) = piece { Some(text) } else { None })
    }

    fn joined<'a>(&'a self, pick: impl Fn(&'a Piece) -> Option<&'a String>) -> String {
        self.runs.iter().filter_map(|run| Some(pick(&run.piece)?.repeat(run.count))).collect()
    }
}

/// Characters of everything a request says.
pub(crate) fn prompt_characters(body: &Value) -> usize {
    fn characters(value: &Value) -> usize {
        match value {
            Value::String(text) => text.chars().count(),
            Value::Array(items) => items.iter().map(characters).sum(),
            Value::Object(fields) => {
                ["content", "text"].iter().map(|name| fields.get(*name).map_or(0, characters)).sum()
            }
            _ => 0,
        }
    }
    ["messages", "input", "system_prompt", "prompt"].iter().map(|name| characters(&body[*name])).sum()
}

/// Tokens of so many characters, four characters a token, one at least.
pub(crate) fn tokens_of(characters: usize) -> usize {
    characters.div_ceil(4).max(1)
}

fn reasoning_runs(script: &Script, limits: &Limits) -> Vec<Run> {
    if script.reasoning.is_empty() || !limits.reasoning {
        return Vec::new();
    }
    let one = |piece| Run { piece, count: 1 };
    let inline =
        matches!(script.reasoning_field, ReasoningField::InlineThink | ReasoningField::InlineClosing);
    if !inline {
        return script.reasoning.iter().map(|token| one(Piece::Reasoning(token.clone()))).collect();
    }
    let open = (script.reasoning_field == ReasoningField::InlineThink).then(|| "<think>".to_owned());
    let tokens = open.into_iter().chain(script.reasoning.iter().cloned()).chain(["</think>".to_owned()]);
    tokens.map(|token| one(Piece::Text(token))).collect()
}

fn text_runs(script: &Script, body: &Value) -> Vec<Run> {
    let run = |text: &str, count| Run { piece: Piece::Text(text.to_owned()), count };
    let huge = script.faults.iter().find_map(|fault| match fault {
        Fault::HugeAnswer { bytes } => Some(*bytes),
        _ => None,
    });
    let mut runs: Vec<Run> = if let Some(bytes) = huge {
        const BLOCK: usize = 4096;
        let rest = bytes % BLOCK;
        let mut runs = vec![run(&"x".repeat(BLOCK), bytes / BLOCK)];
        runs.extend((rest > 0).then(|| run(&"x".repeat(rest), 1)));
        runs
    } else if script.echo {
        split_tokens(&body.to_string()).iter().map(|token| run(token, 1)).collect()
    } else if let Some(count) = script.repeat {
        vec![run("tok ", count)]
    } else {
        script.tokens.iter().map(|token| run(token, 1)).collect()
    };
    let spoiled = script.faults.iter().filter_map(spoiled_token).map(|token| run(token, 1));
    let after = runs.len().min(1);
    runs.splice(after..after, spoiled);
    runs.retain(|run| run.count > 0);
    runs
}

/// Stands for bytes that are not UTF-8 until the event is written.
pub(crate) const INVALID_UTF8: &str = "\u{f0001}";
/// Stands for half a surrogate pair until the event is written.
pub(crate) const LONE_SURROGATE: &str = "\u{f0002}";

fn spoiled_token(fault: &Fault) -> Option<&'static str> {
    match fault {
        Fault::InvalidUtf8 => Some(INVALID_UTF8),
        Fault::LoneSurrogate => Some(LONE_SURROGATE),
        Fault::Nul => Some("\0"),
        _ => None,
    }
}

/// Cuts text at the first stop string, wherever in the tokens it lies.
fn stop_runs(runs: Vec<Run>, stop: &[String]) -> Vec<Run> {
    let text: String = runs
        .iter()
        .filter_map(
            |run| if let Piece::Text(text) = &run.piece { Some(text.repeat(run.count)) } else { None },
        )
        .collect();
    let Some(mut left) = stop.iter().filter_map(|stop| text.find(stop.as_str())).min() else {
        return runs;
    };
    let mut kept = Vec::new();
    for run in runs {
        let Piece::Text(token) = &run.piece else {
            kept.push(run);
            continue;
        };
        let whole = run.count.min(left / token.len().max(1));
        let rest =
            if whole < run.count { token[..left - whole * token.len()].to_owned() } else { String::new() };
        left -= whole * token.len() + rest.len();
        kept.push(Run { piece: run.piece, count: whole });
        kept.push(Run { count: usize::from(!rest.is_empty()), piece: Piece::Text(rest) });
    }
    kept.retain(|run| run.count > 0);
    kept
}

/// Keeps the first `limit` tokens; true when some were cut.
fn cut_runs(runs: &mut Vec<Run>, limit: usize) -> bool {
    let mut left = limit;
    let mut cut = false;
    for run in runs.iter_mut() {
        cut |= run.count > left;
        run.count = run.count.min(left);
        left -= run.count;
    }
    runs.retain(|run| run.count > 0);
    cut
}

fn call_pieces(index: usize, call: &ToolCall, style: CallStyle) -> Vec<Piece> {
    const FRAGMENT: usize = 8;
    let letters: Vec<char> = call.arguments.chars().collect();
    let (first, rest) = match style {
        CallStyle::Whole => (Some(call.arguments.clone()), letters.len()),
        CallStyle::Started => (Some(letters.iter().take(1).collect()), letters.len().min(1)),
        CallStyle::Empty => (Some(String::new()), 0),
        CallStyle::Absent => (None, 0),
    };
    let fragments = letters[rest..].chunks(FRAGMENT);
    let mut pieces = vec![Piece::Call { index, call: call.clone(), arguments: first }];
    pieces.extend(fragments.map(|fragment| Piece::Arguments { index, fragment: fragment.iter().collect() }));
    pieces
}

/// `Event` is one message of a stream before framing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Event {
    /// The event's type, on streams that name it.
    pub(crate) name: Option<&'static str>,
    pub(crate) data: String,
}

impl Event {
    pub(crate) fn data(data: String) -> Event {
        Event { name: None, data }
    }
}

/// `Framing` says how events lie in the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// Server-sent events.
    Events,
    /// JSON lines.
    Lines,
}

/// `Encoder` writes a plan in a server's dialect.
pub(crate) trait Encoder: Send {
    fn framing(&self) -> Framing {
        Framing::Events
    }

    fn content_type(&self, stream: bool) -> &'static str;

    /// Events before the first token.
    fn opening(&self) -> Vec<Event> {
        Vec::new()
    }

    /// Events where the kind of piece changes, at both ends too.
    fn between(&self, _previous: Option<&Piece>, _next: Option<&Piece>) -> Vec<Event> {
        Vec::new()
    }

    /// The event of a piece; `finish` is given when the finish reason rides on it.
    fn piece(&self, piece: &Piece, finish: Option<&str>) -> Event;

    /// Whether the finish reason rides on the last token.
    fn finish_rides(&self) -> bool {
        false
    }

    /// Events with the finish reason.
    fn finish(&self) -> Vec<Event>;

    /// Events after it that report usage.
    fn usage(&self) -> Vec<Event> {
        Vec::new()
    }

    /// Usage after so many tokens; `None` for a dialect without running usage.
    fn running_usage(&self, _completion_tokens: usize) -> Option<Value> {
        None
    }

    /// Whether `[DONE]` ends the stream.
    fn sends_done(&self) -> bool {
        true
    }

    /// The data of an error in the stream.
    fn error(&self, message: &str) -> String;

    /// The answer as one body.
    fn whole(&self) -> String;
}

/// `Chat` is an answer ready to be sent.
pub(crate) struct Chat {
    pub(crate) script: Arc<Script>,
    pub(crate) plan: Arc<Plan>,
    pub(crate) encoder: Box<dyn Encoder>,
    /// The request's body.
    pub(crate) request: Value,
    pub(crate) stream: bool,
    /// Silence while the model loads.
    pub(crate) loading: Duration,
    /// Headers before content type and length.
    pub(crate) headers: Vec<(String, String)>,
    /// The instance that answers, where the server has any; it is held until the answer ends.
    pub(crate) lease: Option<Lease>,
}

impl Chat {
    /// Whether the model was taken away under the answer.
    pub(crate) fn is_stopped(&self) -> bool {
        self.lease.as_ref().is_some_and(Lease::is_stopped)
    }
}

/// Writes a string as JSON.
pub(crate) fn quote(text: &str) -> String {
    Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn plan(script: &Script, limits: &Limits) -> Plan {
        Plan::new(script, &json!({"messages": [{"content": "12345678"}]}), limits, CallStyle::Empty)
    }

    #[test]
    fn max_tokens_cuts_reasoning_first_and_says_length() {
        let script = Script::new().reasoning("a b c").text("d e");
        let limits = |max| Limits { max_tokens: Some(max), reasoning: true, ..Limits::default() };
        let cut = plan(&script, &limits(2));
        assert_eq!(
            (cut.reasoning().as_str(), cut.text().as_str(), cut.finish_reason.as_str()),
            ("a b", "", "length")
        );
        let exact = plan(&script, &limits(5));
        assert_eq!((exact.text().as_str(), exact.finish_reason.as_str()), ("d e", "stop"));
        assert_eq!((exact.prompt_tokens, exact.completion_tokens, exact.reasoning_tokens), (2, 5, 3));
    }

    #[test]
    fn a_stop_string_across_tokens_is_cut_and_not_counted() {
        let stop = |text: &str| Limits { stop: vec![text.into()], ..Limits::default() };
        assert_eq!(plan(&Script::new().tokens(["ab", "cd", "ef"]), &stop("de")).text(), "abc");
        assert_eq!(plan(&Script::new().repeat(9), &stop("k tok t")).text(), "to");
        assert_eq!(plan(&Script::new().text("a b"), &stop("z")).text(), "a b");
        assert_eq!(plan(&Script::new().text("a b"), &stop("a")).runs, []);
    }

    #[test]
    fn calls_are_cut_by_style() {
        let call = ToolCall { id: "1".into(), name: "f".into(), arguments: "{\"city\":\"Bern\"}".into() };
        for style in [CallStyle::Whole, CallStyle::Started, CallStyle::Empty, CallStyle::Absent] {
            let mut arguments = String::new();
            for piece in call_pieces(0, &call, style) {
                match piece {
                    Piece::Call { arguments: first, .. } => arguments.push_str(&first.unwrap_or_default()),
                    Piece::Arguments { fragment, .. } => arguments.push_str(&fragment),
                    _ => unreachable!(),
                }
            }
            assert_eq!(arguments, call.arguments, "{style:?}");
        }
        assert_eq!(call_pieces(0, &call, CallStyle::Whole).len(), 1);
        let with_call =
            plan(&Script::new().tokens(Vec::<String>::new()).tool_call("1", "f", "{}"), &Limits::default());
        assert_eq!(with_call.finish_reason, "tool_calls");
    }

    #[test]
    fn inline_reasoning_is_text() {
        let script = Script::new().text("x").reasoning("a").reasoning_field(ReasoningField::InlineThink);
        let inline = plan(&script, &Limits { reasoning: true, ..Limits::default() });
        assert_eq!(inline.text(), "<think>a</think>x");
        assert_eq!(plan(&script, &Limits::default()).text(), "x");
    }

    #[test]
    fn a_huge_answer_has_the_bytes_asked_for() {
        assert_eq!(
            plan(&Script::new().fault(Fault::HugeAnswer { bytes: 9999 }), &Limits::default()).text().len(),
            9999
        );
    }
}
