//! Scripts: what the next answer is and how it is timed, cut and spoiled.
//!
//! A script is written with builder functions, as JSON (the control route) or as a short string
//! (the command line). How it becomes bytes is decided by `chat` and `emit`.

use std::str::FromStr;
use std::time::Duration;

use serde_json::Value;

use crate::faults::{Fault, ParseError};

/// `ReasoningField` says where an answer carries its reasoning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum ReasoningField {
    /// As the personality does.
    #[default]
    Native,
    /// `reasoning_content` (llama.cpp, LM Studio, SGLang, vLLM to 0.11.0).
    ReasoningContent,
    /// `reasoning` (vLLM from 0.16, Ollama's `/v1`, gpt-oss on LM Studio).
    Reasoning,
    /// Both names with the same text (vLLM 0.11.1 to 0.15).
    Both,
    /// `thinking`.
    Thinking,
    /// `<think>…</think>` in the text.
    InlineThink,
    /// Only `</think>` in the text, because the template opened it.
    InlineClosing,
}

/// `Chunking` says how the bytes of a stream are cut into HTTP chunks and TCP segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Chunking {
    /// One HTTP chunk an event; events without a delay between them share a write.
    #[default]
    EventPerChunk,
    /// Every so many bytes an HTTP chunk and a write of its own, wherever that cuts.
    Bytes(usize),
    /// As few chunks and writes as possible.
    Joined,
}

/// `ToolCall` is a call the model makes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ToolCall {
    /// The call's id; may be empty, as LM Studio's sometimes is.
    pub id: String,
    /// The function's name.
    pub name: String,
    /// The arguments as JSON text.
    pub arguments: String,
}

/// `RawReply` is an answer sent exactly as given. `Content-Length` is added when neither it nor
/// `Transfer-Encoding` is among the headers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RawReply {
    /// The status code.
    pub status: u16,
    /// Headers in order.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// `Script` is one answer: what is said, when, and what goes wrong.
#[derive(Debug, Clone, PartialEq)]
pub struct Script {
    /// The text, a token each.
    pub tokens: Vec<String>,
    /// The reasoning before it, a token each.
    pub reasoning: Vec<String>,
    /// Where the reasoning is put.
    pub reasoning_field: ReasoningField,
    /// Calls after the text.
    pub tool_calls: Vec<ToolCall>,
    /// The finish reason; `None` for `tool_calls` with calls and `stop` without. `length` where `max_tokens`
    /// cut the answer, whatever is written here.
    pub finish_reason: Option<String>,
    /// Silence before the head of the answer.
    pub headers_delay: Duration,
    /// Silence between the head and the first token.
    pub first_token_delay: Duration,
    /// Silence between tokens.
    pub token_delay: Duration,
    /// The model loads for so long, in the personality's own way: llama.cpp answers 503 on every path, counted from
    /// when the script was set; the others are silent, counted from the first chat.
    pub loading: Option<Duration>,
    /// Whether a stream reports usage; `None` as the personality does.
    pub usage: Option<bool>,
    /// The model said to answer; `None` as the personality does.
    pub model: Option<String>,
    /// The text is the received request body as JSON.
    pub echo: bool,
    /// The text is `tok ` so many times.
    pub repeat: Option<usize>,
    /// How bytes are cut.
    pub chunking: Chunking,
    /// What goes wrong.
    pub faults: Vec<Fault>,
    /// An answer sent exactly so, instead of everything above but `headers_delay`.
    pub raw: Option<RawReply>,
}

impl Default for Script {
    fn default() -> Script {
        Script {
            tokens: split_tokens("The sea is a vast quiet place."),
            reasoning: Vec::new(),
            reasoning_field: ReasoningField::Native,
            tool_calls: Vec::new(),
            finish_reason: None,
            headers_delay: Duration::ZERO,
            first_token_delay: Duration::ZERO,
            token_delay: Duration::ZERO,
            loading: None,
            usage: None,
            model: None,
            echo: false,
            repeat: None,
            chunking: Chunking::EventPerChunk,
            faults: Vec::new(),
            raw: None,
        }
    }
}

/// Splits text into tokens: a word with the space before it, or a mark. The tokens join to the text.
pub(crate) fn split_tokens(text: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let mut previous = ' ';
    for letter in text.chars() {
        let joins = letter.is_alphanumeric() && (previous.is_alphanumeric() || previous == ' ');
        match tokens.last_mut() {
            Some(token) if joins => token.push(letter),
            _ => tokens.push(letter.to_string()),
        }
        previous = letter;
    }
    tokens
}

impl Script {
    /// Makes the default script: eight tokens, no delay, finish reason `stop`.
    pub fn new() -> Script {
        Script::default()
    }

    /// Sets the text, split into words.
    pub fn text(mut self, text: &str) -> Script {
        self.tokens = split_tokens(text);
        self
    }

    /// Sets the tokens of the text.
    pub fn tokens<T: Into<String>>(mut self, tokens: impl IntoIterator<Item = T>) -> Script {
        self.tokens = tokens.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the reasoning, split into words.
    pub fn reasoning(mut self, text: &str) -> Script {
        self.reasoning = split_tokens(text);
        self
    }

    /// Sets where the reasoning is put.
    pub fn reasoning_field(mut self, field: ReasoningField) -> Script {
        self.reasoning_field = field;
        self
    }

    /// Adds a tool call; `arguments` is JSON text.
    pub fn tool_call(mut self, id: &str, name: &str, arguments: &str) -> Script {
        self.tool_calls.push(ToolCall { id: id.into(), name: name.into(), arguments: arguments.into() });
        self
    }

    /// Sets the finish reason.
    pub fn finish_reason(mut self, reason: &str) -> Script {
        self.finish_reason = Some(reason.into());
        self
    }

    /// Sets the silence before the head.
    pub fn headers_delay(mut self, delay: Duration) -> Script {
        self.headers_delay = delay;
        self
    }

    /// Sets the silence before the first token.
    pub fn first_token_delay(mut self, delay: Duration) -> Script {
        self.first_token_delay = delay;
        self
    }

    /// Sets the silence between tokens.
    pub fn delay(mut self, delay: Duration) -> Script {
        self.token_delay = delay;
        self
    }

    /// Sets how long the model loads.
    pub fn loading(mut self, time: Duration) -> Script {
        self.loading = Some(time);
        self
    }

    /// Sets whether a stream reports usage.
    pub fn usage(mut self, usage: bool) -> Script {
        self.usage = Some(usage);
        self
    }

    /// Sets the model said to answer.
    pub fn model(mut self, model: &str) -> Script {
        self.model = Some(model.into());
        self
    }

    /// Answers with the received request body.
    pub fn echo(mut self) -> Script {
        self.echo = true;
        self
    }

    /// Answers with `tok ` so many times.
    pub fn repeat(mut self, count: usize) -> Script {
        self.repeat = Some(count);
        self
    }

    /// Sets how bytes are cut.
    pub fn chunking(mut self, chunking: Chunking) -> Script {
        self.chunking = chunking;
        self
    }

    /// Adds a fault.
    pub fn fault(mut self, fault: Fault) -> Script {
        self.faults.push(fault);
        self
    }

    /// Sends exactly this.
    pub fn raw(mut self, status: u16, headers: &[(&str, &str)], body: impl Into<Vec<u8>>) -> Script {
        let headers = headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        self.raw = Some(RawReply { status, headers, body: body.into() });
        self
    }

    pub(crate) fn has(&self, fault: &Fault) -> bool {
        self.faults.contains(fault)
    }

    /// Reads a script from JSON: an object with the fields' names. Times are milliseconds with `_ms` at the end
    /// of the name, `text` stands for `tokens`, `faults` and `chunking` are short strings.
    ///
    /// # Errors
    ///
    /// `ParseError` names the key that is unknown or has a wrong value.
    pub fn from_json(value: &Value) -> Result<Script, ParseError> {
        let Value::Object(fields) = value else {
            return Err(ParseError("a script is a JSON object".into()));
        };
        let mut script = Script::default();
        for (key, value) in fields {
            script.set(key, value)?;
        }
        Ok(script)
    }

    fn set(&mut self, key: &str, value: &Value) -> Result<(), ParseError> {
        let wrong = |what: &str| ParseError(format!("script key `{key}` needs {what}, not {value}"));
        let text = || value.as_str().ok_or_else(|| wrong("a string"));
        let number = || {
            value
                .as_u64()
                .or_else(|| value.as_str().and_then(|text| text.parse().ok()))
                .ok_or_else(|| wrong("a whole number"))
        };
        let flag = || {
            value
                .as_bool()
                .or_else(|| value.as_str().and_then(|text| text.parse().ok()))
                .ok_or_else(|| wrong("true or false"))
        };
        let list = || match value {
            Value::String(text) => Ok(split_tokens(text)),
            Value::Array(items) => items
                .iter()
                .map(|item| item.as_str().map(str::to_owned).ok_or_else(|| wrong("a list of strings")))
                .collect(),
            _ => Err(wrong("a string or a list of strings")),
        };
        match key {
            "text" => self.tokens = split_tokens(text()?),
            "tokens" => self.tokens = list()?,
            "reasoning" => self.reasoning = list()?,
            "reasoning_field" => self.reasoning_field = text()?.parse()?,
            "tool_calls" => {
                self.tool_calls = tool_calls(value).ok_or_else(|| wrong("a list of id, name, arguments"))?;
            }
            "finish_reason" => self.finish_reason = Some(text()?.to_owned()),
            "headers_delay_ms" => self.headers_delay = Duration::from_millis(number()?),
            "first_token_delay_ms" => self.first_token_delay = Duration::from_millis(number()?),
            "token_delay_ms" => self.token_delay = Duration::from_millis(number()?),
            "loading_ms" => self.loading = Some(Duration::from_millis(number()?)),
            "usage" => self.usage = Some(flag()?),
            "model" => self.model = Some(text()?.to_owned()),
            "echo" => self.echo = flag()?,
            "repeat" => self.repeat = Some(number()? as usize),
            "chunking" => self.chunking = text()?.parse()?,
            "fault" => self.faults.push(text()?.parse()?),
            "faults" => {
                let items = value.as_array().ok_or_else(|| wrong("a list of strings"))?;
                for item in items {
                    self.faults.push(item.as_str().ok_or_else(|| wrong("a list of strings"))?.parse()?);
                }
            }
            "raw" => self.raw = Some(raw_reply(value).ok_or_else(|| wrong("status, headers and body"))?),
            _ => return Err(ParseError(format!("script key `{key}` is not known"))),
        }
        Ok(())
    }
}

fn tool_calls(value: &Value) -> Option<Vec<ToolCall>> {
    let call = |item: &Value| {
        Some(ToolCall {
            id: item["id"].as_str().unwrap_or_default().to_owned(),
            name: item["name"].as_str()?.to_owned(),
            arguments: item["arguments"].as_str()?.to_owned(),
        })
    };
    value.as_array()?.iter().map(call).collect()
}

fn raw_reply(value: &Value) -> Option<RawReply> {
    let header = |(name, value): (&String, &Value)| Some((name.clone(), value.as_str()?.to_owned()));
    let headers = match value.get("headers") {
        Some(headers) => headers.as_object()?.iter().map(header).collect::<Option<_>>()?,
        None => Vec::new(),
    };
    Some(RawReply {
        status: u16::try_from(value["status"].as_u64()?).ok()?,
        headers,
        body: value["body"].as_str().unwrap_or_default().as_bytes().to_vec(),
    })
}

/// Reads `key=value` parts with `;` between them, keys as in JSON: `text=Hello there;token_delay_ms=5;fault=stall:3`.
impl FromStr for Script {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Script, ParseError> {
        let mut script = Script::default();
        for part in text.split(';').filter(|part| !part.trim().is_empty()) {
            let (key, value) = part
                .split_once('=')
                .ok_or_else(|| ParseError(format!("`{part}` in a script needs the form key=value")))?;
            script.set(key.trim(), &Value::from(value))?;
        }
        Ok(script)
    }
}

impl FromStr for ReasoningField {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<ReasoningField, ParseError> {
        Ok(match text {
            "native" => ReasoningField::Native,
            "reasoning_content" => ReasoningField::ReasoningContent,
            "reasoning" => ReasoningField::Reasoning,
            "both" => ReasoningField::Both,
            "thinking" => ReasoningField::Thinking,
            "inline-think" => ReasoningField::InlineThink,
            "inline-closing" => ReasoningField::InlineClosing,
            _ => return Err(ParseError(format!("reasoning field `{text}` is not known"))),
        })
    }
}

impl FromStr for Chunking {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Chunking, ParseError> {
        let bytes = || text.strip_prefix("bytes:")?.parse().ok().filter(|count| *count > 0);
        match text {
            "event-per-chunk" => Ok(Chunking::EventPerChunk),
            "joined" => Ok(Chunking::Joined),
            _ => bytes().map(Chunking::Bytes).ok_or_else(|| {
                ParseError(format!(
                    "chunking `{text}` is not known; it is event-per-chunk, bytes:N or joined"
                ))
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_default_has_eight_tokens() {
        assert_eq!(Script::default().tokens.len(), 8, "{:?}", Script::default().tokens);
    }

    #[test]
    fn tokens_join_to_the_text() {
        for text in ["Hello there,  you!\n  x", "", "{\"a\":1}", "é日本 語"] {
            assert_eq!(split_tokens(text).concat(), text);
        }
        assert_eq!(split_tokens("a b"), ["a", " b"]);
    }

    #[test]
    fn a_script_reads_from_json_and_from_a_string() {
        let from_json =
            Script::from_json(&json!({"text": "a b", "token_delay_ms": 5, "faults": ["stall:3"]}));
        assert_eq!(from_json, "text=a b; token_delay_ms=5; fault=stall:3".parse());
        let expected =
            Script::new().text("a b").delay(Duration::from_millis(5)).fault(Fault::Stall { after_tokens: 3 });
        assert_eq!(from_json.unwrap(), expected);
    }

    #[test]
    fn a_wrong_key_or_value_is_named() {
        let error = |value: Value| Script::from_json(&value).unwrap_err().to_string();
        assert!(error(json!({"txt": "a"})).contains("`txt`"));
        assert!(error(json!({"repeat": "many"})).contains("`repeat` needs a whole number"));
        assert!(error(json!({"chunking": "bytes:0"})).contains("bytes:0"));
        assert!("text".parse::<Script>().is_err());
    }
}
