//! Conversations as JSON, OpenAI's `messages`: parse, print, append, and fit to a budget of tokens.
//!
//! Errors name the place and never quote the conversation. `read` walks the JSON, `trim` fits. Not here: sessions on disk (`store`), and how each server
//! wants its messages (`wire`).

mod read;
mod trim;

use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};

use crate::chat::{Message, Part, Role, ToolCall};
use crate::error::{Error, Result};

pub use trim::{Trimmed, estimate_tokens, trim};

/// The most messages in one conversation.
const MAX_MESSAGES: usize = 100_000;
const TOO_MANY: &str = "A conversation may have at most 100,000 messages.";
/// White space of JSON.
const SPACE: [char; 4] = [' ', '\n', '\r', '\t'];

/// Reads a conversation: an array of messages, or an object with such an array under `messages`.
///
/// `content` is a string, null, missing, or OpenAI's parts. Unknown keys are ignored, and blank text is an empty
/// conversation.
///
/// # Errors
/// [`InvalidInput`](crate::ErrorKind::InvalidInput) with message, line and column; also beyond 64 MiB, 100,000
/// messages, or 128 levels of nesting in what is read (what is ignored is skipped without recursion).
pub fn parse(text: &str) -> Result<Vec<Message>> {
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    read::messages(text)
}

/// Prints a conversation as compact JSON; [`parse`] reads it back the same.
pub fn print(messages: &[Message]) -> String {
    serde_json::to_string(messages).expect("strings and arrays always print as JSON")
}

/// Prints a conversation as indented JSON; [`parse`] reads it back the same.
pub fn print_pretty(messages: &[Message]) -> String {
    serde_json::to_string_pretty(messages).expect("strings and arrays always print as JSON")
}

/// Adds messages to the end of a conversation in JSON and keeps every byte of what was there.
///
/// `text` must be an array of objects with a known `role`; their content is checked to be JSON and not read. One pass
/// and one copy, for long conversations. Blank text is an empty conversation.
///
/// # Errors
/// As [`parse`].
pub fn append(text: &str, messages: &[Message]) -> Result<String> {
    if text.trim().is_empty() {
        return Ok(print(messages));
    }
    let count = read::count(text)?;
    if count + messages.len() > MAX_MESSAGES {
        return Err(Error::invalid_input(TOO_MANY));
    }
    if messages.is_empty() {
        return Ok(text.to_owned());
    }
    let closed = text.trim_end_matches(SPACE).len() - "]".len();
    let end = text[..closed].trim_end_matches(SPACE).len();
    let added = print(messages);
    let mut appended = String::with_capacity(text.len() + added.len());
    appended.push_str(&text[..end]);
    if count > 0 {
        appended.push(',');
    }
    appended.push_str(&added[1..added.len() - 1]);
    appended.push_str(&text[end..]);
    Ok(appended)
}

/// Whether a conversation begins with a system message.
pub fn has_system(messages: &[Message]) -> bool {
    messages.first().is_some_and(is_instruction)
}

/// Replaces, adds or removes the system message a conversation begins with; a blank one counts as none.
pub fn set_system(messages: &mut Vec<Message>, system: Option<&str>) {
    if has_system(messages) {
        messages.remove(0);
    }
    if let Some(system) = system.filter(|system| !system.trim().is_empty()) {
        messages.insert(0, Message::system(system));
    }
}

fn is_instruction(message: &Message) -> bool {
    matches!(message.role, Role::System | Role::Developer)
}

/// Serialises as OpenAI's chat format: content of one text as a string, none as null, else an array of parts.
impl Serialize for Message {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("role", self.role.as_str())?;
        match &self.content[..] {
            [] => map.serialize_entry("content", &())?,
            [Part::Text(text)] => map.serialize_entry("content", text)?,
            parts => map.serialize_entry("content", &Parts(parts))?,
        }
        if !self.tool_calls.is_empty() {
            map.serialize_entry("tool_calls", &Calls(&self.tool_calls))?;
        }
        if let Some(id) = &self.tool_call_id {
            map.serialize_entry("tool_call_id", id)?;
        }
        map.end()
    }
}

/// `Parts` prints the parts of one message.
struct Parts<'a>(&'a [Part]);

impl Serialize for Parts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut parts = serializer.serialize_seq(Some(self.0.len()))?;
        for part in self.0 {
            match part {
                Part::Text(text) => parts.serialize_element(&TextPart { kind: "text", text })?,
                Part::ImageUrl(url) => {
                    parts.serialize_element(&ImagePart { kind: "image_url", image_url: Url { url } })?;
                }
            }
        }
        parts.end()
    }
}

#[derive(serde::Serialize)]
struct TextPart<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    text: &'a str,
}

#[derive(serde::Serialize)]
struct ImagePart<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    image_url: Url<'a>,
}

#[derive(serde::Serialize)]
struct Url<'a> {
    url: &'a str,
}

/// `Calls` prints the tool calls of one message.
struct Calls<'a>(&'a [ToolCall]);

impl Serialize for Calls<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|call| Call {
            id: &call.id,
            kind: "function",
            function: Function { name: &call.name, arguments: &call.arguments },
        }))
    }
}

#[derive(serde::Serialize)]
struct Call<'a> {
    id: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    function: Function<'a>,
}

#[derive(serde::Serialize)]
struct Function<'a> {
    name: &'a str,
    arguments: &'a str,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn the_system_message_is_replaced_not_added() {
        let mut messages = vec![Message::system("old"), Message::user("hi")];
        set_system(&mut messages, Some("new"));
        assert_eq!(messages, [Message::system("new"), Message::user("hi")]);
        set_system(&mut messages, Some(" "));
        assert_eq!(messages, [Message::user("hi")]);
    }

    #[test]
    fn every_form_of_content_is_read() {
        let messages = parse(
            r#"[
            {"role":"system","content":"S","name":"x","cache":{"a":[1,2.5,null,true]}},
            {"content":null,"role":"developer"},
            {"role":"user"},
            {"role":"user","content":[
                {"type":"text","text":"a\u00e9\n"},
                {"type":"input_text","text":"b"},
                "c",
                {"image_url":{"url":"data:1","detail":"low"},"type":"image_url"},
                {"type":"input_image","image_url":"data:2"}
            ]},
            {"role":"assistant","content":"","tool_calls":[
                {"id":"1","type":"function","function":{"name":"f","arguments":"{ }"}},
                {"function":{"arguments":{"x":1},"name":"g"}}
            ]},
            {"role":"tool","tool_call_id":"1","content":"ok"}
        ]"#,
        )
        .unwrap();
        let text = |text: &str| Part::Text(text.to_owned());
        let image = |url: &str| Part::ImageUrl(url.to_owned());
        assert_eq!(messages[0], Message::system("S"));
        assert_eq!((messages[1].role, messages[1].content.len()), (Role::Developer, 0));
        assert_eq!(messages[2].content, []);
        let parts = [text("aé\n"), text("b"), text("c"), image("data:1"), image("data:2")];
        assert_eq!(messages[3].content, parts);
        assert_eq!(messages[4].content, [text("")]);
        let calls: Vec<_> = messages[4]
            .tool_calls
            .iter()
            .map(|call| (call.id.as_str(), call.name.as_str(), call.arguments.as_str()))
            .collect();
        assert_eq!(calls, [("1", "f", "{ }"), ("", "g", r#"{"x":1}"#)]);
        assert_eq!(messages[5].tool_call_id.as_deref(), Some("1"));
        assert_eq!(parse(&print(&messages)).unwrap(), messages);
        assert_eq!(parse(&print_pretty(&messages)).unwrap(), messages);
    }

    #[test]
    fn blank_text_and_wrapped_arrays_are_conversations() {
        assert_eq!(parse(" \n").unwrap(), []);
        assert_eq!(parse("[]").unwrap(), []);
        let wrapped = r#"{"model":"m","messages":[{"role":"user","content":"Hi"}],"stream":true}"#;
        assert_eq!(parse(wrapped).unwrap(), [Message::user("Hi")]);
        assert_eq!(parse("\u{feff}[]").unwrap(), []);
    }

    #[test]
    fn printed_json_is_compact_and_plain() {
        let call = ToolCall { id: "1".into(), name: "f".into(), arguments: "{}".into() };
        let messages = [
            Message::user("Hi \"you\""),
            Message { content: Vec::new(), tool_calls: vec![call], ..Message::assistant("") },
            Message { tool_call_id: Some("1".into()), ..Message::new(Role::Tool, "ok") },
        ];
        assert_eq!(
            print(&messages),
            concat!(
                r#"[{"role":"user","content":"Hi \"you\""},"#,
                r#"{"role":"assistant","content":null,"tool_calls":[{"id":"1","type":"function","#,
                r#""function":{"name":"f","arguments":"{}"}}]},"#,
                r#"{"role":"tool","content":"ok","tool_call_id":"1"}]"#
            )
        );
    }

    /// The message of the error that parsing gives.
    fn complaint(text: &str) -> String {
        let error = parse(text).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        error.message().replace("The conversation cannot be read: ", "")
    }

    #[test]
    fn errors_name_message_line_and_column_and_quote_nothing() {
        let roles = "expected a role: system, developer, user, assistant, tool";
        let table = [
            (
                "[\n{\"role\":\"usr\",\"content\":\"x\"}]",
                format!("messages[0]: {roles} (line 2, column 13)."),
            ),
            ("[{\"role\":5}]", format!("messages[0]: {roles} (line 1, column 10).")),
            (
                r#"[{"role":"user"},{"content":"x"}]"#,
                "messages[1]: the message has no role (line 1, column 33).".into(),
            ),
            (
                r#"[{"role":"user"},"secret, expected nothing"]"#,
                "messages[1]: expected an object with role and content (line 1, column 43).".into(),
            ),
            (
                r#"[{"role":"user","content":5}]"#,
                "messages[0]: expected a string, null or an array of parts (line 1, column 27).".into(),
            ),
            (
                r#"[{"role":"user","content":[{"type":"secret"}]}]"#,
                "messages[0]: unknown type of part; the types are text and image_url (line 1, column 44)."
                    .into(),
            ),
            (
                r#"[{"role":"user","content":[{"type":"text"}]}]"#,
                "messages[0]: the text part has no text (line 1, column 42).".into(),
            ),
            (
                r#"[{"role":"user","content":[{"type":"image_url","image_url":{}}]}]"#,
                "messages[0]: the image has no url (line 1, column 62).".into(),
            ),
            (
                r#"[{"role":"assistant","tool_calls":[{"id":"1"}]}]"#,
                "messages[0]: the tool call has no function name (line 1, column 46).".into(),
            ),
            ("secret", "expected value (line 1, column 1).".into()),
            ("\"secret\"", "expected an array of messages (line 1, column 8).".into()),
            ("{}", "the object has no \"messages\" (line 1, column 2).".into()),
            ("[] secret", "trailing characters (line 1, column 4).".into()),
            (
                r#"[{"role":"user","content":"sec"#,
                "messages[0]: EOF while parsing a string (line 1, column 30).".into(),
            ),
        ];
        for (text, expected) in table {
            assert_eq!(complaint(text), expected, "{text}");
        }
    }

    #[test]
    fn sizes_are_capped_without_a_crash() {
        let deep = format!("{}{}", "[".repeat(1_000_000), "]".repeat(1_000_000));
        let message = |rest: &str| format!("[{{\"role\":\"user\",{rest}}}]");
        assert!(complaint(&deep).contains("expected an object"));
        assert!(complaint(&message(&format!("\"content\":{deep}"))).contains("expected a part"));
        let arguments = message(&format!("\"tool_calls\":[{{\"function\":{{\"arguments\":{deep}}}}}]"));
        assert!(complaint(&arguments).contains("recursion limit"));
        let ignored = message(&format!("\"other\":{deep}"));
        assert_eq!(parse(&ignored).unwrap().len(), 1);
        assert_eq!(append(&ignored, &[]).unwrap(), ignored);
        let many = format!("[{}{{\"role\":\"user\"}}]", "{\"role\":\"user\"},".repeat(MAX_MESSAGES));
        assert!(complaint(&many).contains("at most 100,000 messages"));
        assert!(append(&many, &[]).is_err());
        let full = format!("[{}{{\"role\":\"user\"}}]", "{\"role\":\"user\"},".repeat(MAX_MESSAGES - 1));
        assert_eq!(append(&full, &[Message::user("")]).unwrap_err().message(), TOO_MANY);
        assert!(complaint(&" [".repeat(40 << 20)).contains("at most 64 MiB"));
    }

    #[test]
    fn append_keeps_every_byte() {
        let added = [Message::user("Hi"), Message::assistant("Yes")];
        let inner = r#"{"role":"user","content":"Hi"},{"role":"assistant","content":"Yes"}"#;
        let table = [
            ("", format!("[{inner}]")),
            ("[ ]\n", format!("[{inner} ]\n")),
            (
                "[\n  {\"role\": \"system\", \"content\": \"\\u0041]\", \"x\": [1.50]}\n]\n",
                format!(
                    "[\n  {{\"role\": \"system\", \"content\": \"\\u0041]\", \"x\": [1.50]}},{inner}\n]\n"
                ),
            ),
        ];
        for (text, expected) in table {
            assert_eq!(append(text, &added).unwrap(), expected);
        }
        assert_eq!(append(" [] ", &[]).unwrap(), " [] ");
        for wrong in ["{}", "[5]", "[{}]", r#"[{"role":"x"}]"#, "[", r#"{"messages":[]}"#] {
            assert_eq!(append(wrong, &added).unwrap_err().kind(), ErrorKind::InvalidInput, "{wrong}");
        }
    }
}
