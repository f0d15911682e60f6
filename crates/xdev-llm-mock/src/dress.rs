//! Turns events into bytes: lines, and the faults of JSON and of lines.
//!
//! What is sent when, and faults that end or stop a stream, live in `emit`.

use serde_json::{Value, json};

use crate::chat::{Chat, Event, Framing, INVALID_UTF8, LONE_SURROGATE};
use crate::faults::Fault;
use crate::openai::CREATED;

/// `Dress` turns events into bytes: faults of the JSON, then of the lines.
pub(crate) struct Dress<'a> {
    chat: &'a Chat,
    pub(crate) framing: Framing,
    pub(crate) line_end: &'static str,
    lines_three: bool,
    comments: bool,
    numbers: bool,
    running_usage: bool,
    extra: bool,
    duplicate: bool,
    spoiled: bool,
    /// Events written so far, for fields that differ on each.
    written: u64,
}

impl<'a> Dress<'a> {
    pub(crate) fn new(chat: &'a Chat) -> Dress<'a> {
        let has = |fault| chat.script.has(&fault);
        let framing = chat.encoder.framing();
        let line_end = match framing {
            _ if has(Fault::CrLf) => "\r\n",
            Framing::Events if has(Fault::CrOnly) => "\r",
            _ => "\n",
        };
        let events = framing == Framing::Events;
        Dress {
            chat,
            framing,
            line_end,
            lines_three: events && has(Fault::MultiData),
            comments: events && has(Fault::Comments),
            numbers: has(Fault::NumbersAsStrings),
            running_usage: has(Fault::ContinuousUsage),
            extra: has(Fault::ExtraFields),
            duplicate: has(Fault::DuplicateKeys),
            spoiled: has(Fault::InvalidUtf8) || has(Fault::LoneSurrogate),
            written: 0,
        }
    }

    /// Whether two events with the same piece differ.
    pub(crate) fn varies(&self) -> bool {
        self.running_usage || self.extra
    }

    pub(crate) fn json(&self, data: &str, tokens: usize) -> String {
        if !(self.numbers || self.varies()) {
            return self.doubled(data.to_owned());
        }
        // What is not JSON (a fault of its own) stays as it is.
        let Ok(mut value) = serde_json::from_str::<Value>(data) else {
            return data.to_owned();
        };
        if self.running_usage
            && let Some(usage) = self.chat.encoder.running_usage(tokens)
        {
            value["usage"] = usage;
        }
        if self.extra {
            value["id"] = json!(format!("chatcmpl-{}", self.written));
            value["created"] = json!(CREATED + self.written);
            value["x_unknown"] = json!({"nested": [1, null, {"deep": true}]});
        }
        if self.numbers {
            numbers_to_strings(&mut value);
        }
        self.doubled(value.to_string())
    }

    fn doubled(&self, data: String) -> String {
        if self.duplicate {
            data.replacen(r#""content":"#, r#""content":"wrong","content":"#, 1)
        } else {
            data
        }
    }

    /// The bytes of JSON text, with what no JSON writer would write put in.
    pub(crate) fn bytes(&self, text: &str) -> Vec<u8> {
        if !self.spoiled {
            return text.as_bytes().to_vec();
        }
        let text = text.replace(LONE_SURROGATE, r"\ud83d");
        let mut parts = text.split(INVALID_UTF8);
        let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
        for part in parts {
            bytes.extend_from_slice(b"\xff\xc3\x28");
            bytes.extend_from_slice(part.as_bytes());
        }
        bytes
    }

    pub(crate) fn frame(&mut self, event: &Event, tokens: usize) -> Vec<u8> {
        let data = self.json(&event.data, tokens);
        self.written += 1;
        let end = self.line_end;
        if self.framing == Framing::Lines {
            return self.bytes(&format!("{data}{end}"));
        }
        let mut text = String::new();
        if self.comments {
            text.push_str(&[": keep-alive", end, end].concat());
        }
        if let Some(name) = event.name {
            text.push_str(&["event: ", name, end].concat());
        }
        let lines = if self.lines_three { three_lines(&data) } else { vec![data.as_str()] };
        for line in lines {
            text.push_str(&["data: ", line, end].concat());
        }
        text.push_str(end);
        self.bytes(&text)
    }
}

fn numbers_to_strings(value: &mut Value) {
    match value {
        Value::Number(number) => *value = Value::String(number.to_string()),
        Value::Array(items) => items.iter_mut().for_each(numbers_to_strings),
        Value::Object(fields) => fields.values_mut().for_each(numbers_to_strings),
        _ => {}
    }
}

/// Cuts JSON text into three after its first two commas outside strings, where a line break means nothing.
fn three_lines(data: &str) -> Vec<&str> {
    let (mut inside, mut escaped) = (false, false);
    let mut cuts = Vec::new();
    for (index, byte) in data.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if inside => escaped = true,
            b'"' => inside = !inside,
            b',' if !inside && cuts.len() < 2 => cuts.push(index + 1),
            _ => {}
        }
    }
    let mut lines = Vec::new();
    let mut rest = data;
    for cut in cuts.iter().rev() {
        let (before, after) = rest.split_at(*cut);
        lines.insert(0, after);
        rest = before;
    }
    lines.insert(0, rest);
    lines
}

/// A chunk without choices.
pub(crate) fn null_choices() -> Event {
    Event::data(format!(
        r#"{{"id":"chatcmpl-mock","object":"chat.completion.chunk","created":{CREATED},"choices":null}}"#
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_lines_join_to_the_same_json() {
        let data = r#"{"a":"x,\",y","b":[1,2],"c":3}"#;
        let lines = three_lines(data);
        assert_eq!(lines, [r#"{"a":"x,\",y","#, r#""b":[1,"#, r#"2],"c":3}"#]);
        assert_eq!(three_lines("{}"), ["{}"]);
    }
}
