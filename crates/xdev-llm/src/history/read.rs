//! The walk over a conversation's JSON: typed, so that every error has a line and a column.
//!
//! Not here: what callers see (`history`), and printing.

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Unexpected,
    Visitor,
};
use serde_json::Value;

use super::{MAX_MESSAGES, TOO_MANY};
use crate::chat::{Message, Part, Role, ToolCall};
use crate::error::{Error, Result};

/// The longest text that is read, in bytes.
const MAX_BYTES: usize = 64 * 1024 * 1024;

/// Reads an array of messages, or an object that holds one under `messages`.
pub(super) fn messages(text: &str) -> Result<Vec<Message>> {
    walk(text, |at, deserializer| deserializer.deserialize_any(Conversation { at }))
}

/// Counts the messages of an array whose roles are known and whose other values are JSON.
pub(super) fn count(text: &str) -> Result<usize> {
    walk(text, |at, deserializer| Messages::<Checked>::new(at).deserialize(deserializer)).map(|all| all.len())
}

/// Runs one pass over `text`; the cell holds the index of the message that is being read.
fn walk<T>(
    text: &str,
    pass: impl FnOnce(
        &Cell<Option<usize>>,
        &mut serde_json::Deserializer<serde_json::de::StrRead<'_>>,
    ) -> serde_json::Result<T>,
) -> Result<T> {
    if text.len() > MAX_BYTES {
        return Err(Error::invalid_input(format!(
            "The conversation has {} bytes; it may have at most 64 MiB.",
            text.len()
        )));
    }
    let at = Cell::new(None);
    let mut deserializer = serde_json::Deserializer::from_str(text.strip_prefix('\u{feff}').unwrap_or(text));
    pass(&at, &mut deserializer)
        .and_then(|value| deserializer.end().map(|()| value))
        .map_err(|error| describe(&error, at.get()))
}

/// Says where and what is wrong without serde's quotation of the value it found.
fn describe(error: &serde_json::Error, message: Option<usize>) -> Error {
    let said = error.to_string();
    let what = said.rsplit_once(" at line ").map_or(said.as_str(), |(what, _)| what);
    let what = match what.rsplit_once(", expected ") {
        Some((_, expected)) => format!("expected {expected}"),
        None => what.to_owned(),
    };
    let place = message.map(|index| format!("messages[{index}]: ")).unwrap_or_default();
    Error::invalid_input(format!(
        "The conversation cannot be read: {place}{what} (line {}, column {}).",
        error.line(),
        error.column()
    ))
    .with_hint("It must be JSON like [{\"role\":\"user\",\"content\":\"Hello\"}].")
}

/// `Key` is any key this file reads.
#[derive(serde::Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Key {
    Messages,
    Role,
    Content,
    ToolCalls,
    ToolCallId,
    Type,
    Text,
    ImageUrl,
    Url,
    Id,
    Function,
    Name,
    Arguments,
    #[serde(other)]
    Other,
}

/// `Object` is read key by key. Serde's derive would also take an array for it.
trait Object: Default {
    const EXPECTED: &str;
    /// Reads the value of a known key and says `true`; leaves the value of any other.
    fn set<'de, A: MapAccess<'de>>(&mut self, key: &Key, map: &mut A) -> Result<bool, A::Error>;
}

/// `Fields` reads an [`Object`].
struct Fields<T>(PhantomData<T>);

impl<'de, T: Object> Visitor<'de> for Fields<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::EXPECTED)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<T, A::Error> {
        let mut object = T::default();
        while let Some(key) = map.next_key()? {
            if !object.set(&key, &mut map)? {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(object)
    }
}

fn object<'de, T: Object, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    deserializer.deserialize_map(Fields(PhantomData))
}

/// `Conversation` reads an array of messages, or an object that holds one.
struct Conversation<'a> {
    at: &'a Cell<Option<usize>>,
}

impl<'de> Visitor<'de> for Conversation<'_> {
    type Value = Vec<Message>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of messages")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
        Messages::new(self.at).visit_seq(seq)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut messages = None;
        while let Some(key) = map.next_key()? {
            if let Key::Messages = key {
                messages = Some(map.next_value_seed(Messages::new(self.at))?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        messages.ok_or_else(|| A::Error::custom("the object has no \"messages\""))
    }
}

/// `Messages` reads an array and counts along.
struct Messages<'a, T> {
    at: &'a Cell<Option<usize>>,
    kind: PhantomData<T>,
}

impl<'a, T> Messages<'a, T> {
    fn new(at: &'a Cell<Option<usize>>) -> Self {
        Messages { at, kind: PhantomData }
    }
}

impl<'de, T: Deserialize<'de>> DeserializeSeed<'de> for Messages<'_, T> {
    type Value = Vec<T>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<T>, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for Messages<'_, T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of messages")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<T>, A::Error> {
        let mut messages = Vec::new();
        loop {
            self.at.set(Some(messages.len()));
            match seq.next_element()? {
                Some(_) if messages.len() == MAX_MESSAGES => return Err(A::Error::custom(TOO_MANY)),
                Some(message) => messages.push(message),
                None => break,
            }
        }
        self.at.set(None);
        Ok(messages)
    }
}

const MESSAGE: &str = "an object with role and content";
const NO_ROLE: &str = "the message has no role";

/// `Name` is a role by its name.
struct Name(Role);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Names;
        impl Visitor<'_> for Names {
            type Value = Name;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a role: {}", Role::ALL.map(Role::as_str).join(", "))
            }

            fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Name, E> {
                let unknown = || E::invalid_value(Unexpected::Other("unknown role"), &self);
                Role::from_name(name).map(Name).ok_or_else(unknown)
            }
        }
        deserializer.deserialize_str(Names)
    }
}

/// `Checked` is a message whose role is known and whose other values are JSON.
#[derive(Default)]
struct Checked {
    has_role: bool,
}

impl Object for Checked {
    const EXPECTED: &str = MESSAGE;

    fn set<'de, A: MapAccess<'de>>(&mut self, key: &Key, map: &mut A) -> Result<bool, A::Error> {
        if let Key::Role = key {
            map.next_value::<Name>()?;
            self.has_role = true;
            return Ok(true);
        }
        Ok(false)
    }
}

impl<'de> Deserialize<'de> for Checked {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let checked: Checked = object(deserializer)?;
        if checked.has_role { Ok(checked) } else { Err(D::Error::custom(NO_ROLE)) }
    }
}

/// `Spoken` is a message as it is read.
#[derive(Default)]
struct Spoken {
    role: Option<Role>,
    content: Vec<Part>,
    tool_calls: Vec<ToolCall>,
    tool_call_id: Option<String>,
}

impl Object for Spoken {
    const EXPECTED: &str = MESSAGE;

    fn set<'de, A: MapAccess<'de>>(&mut self, key: &Key, map: &mut A) -> Result<bool, A::Error> {
        match key {
            Key::Role => self.role = Some(map.next_value::<Name>()?.0),
            Key::Content => self.content = map.next_value::<Content>()?.0,
            Key::ToolCalls => {
                let calls: Option<Vec<Called>> = map.next_value()?;
                self.tool_calls = calls.unwrap_or_default().into_iter().map(|call| call.0).collect();
            }
            Key::ToolCallId => self.tool_call_id = map.next_value()?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// Reads OpenAI's chat format; see [`history::parse`](crate::history::parse) for errors that quote nothing.
impl<'de> Deserialize<'de> for Message {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Spoken { role, content, tool_calls, tool_call_id } = object(deserializer)?;
        let role = role.ok_or_else(|| D::Error::custom(NO_ROLE))?;
        Ok(Message { role, content, tool_calls, tool_call_id })
    }
}

/// `Content` is a string, null or an array of parts.
struct Content(Vec<Part>);

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Forms;
        impl<'de> Visitor<'de> for Forms {
            type Value = Content;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string, null or an array of parts")
            }

            fn visit_unit<E>(self) -> Result<Content, E> {
                Ok(Content(Vec::new()))
            }

            fn visit_str<E>(self, text: &str) -> Result<Content, E> {
                Ok(Content(vec![Part::Text(text.to_owned())]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Content, A::Error> {
                let mut parts = Vec::new();
                while let Some(Piece(part)) = seq.next_element()? {
                    parts.push(part);
                }
                Ok(Content(parts))
            }
        }
        deserializer.deserialize_any(Forms)
    }
}

/// `Piece` is one part of a content.
struct Piece(Part);

/// `Fragment` is a part as it is read: its type may come after its value.
#[derive(Default)]
struct Fragment {
    kind: Option<String>,
    text: Option<String>,
    url: Option<String>,
}

impl Object for Fragment {
    const EXPECTED: &str = "a part: an object with type and text or image_url";

    fn set<'de, A: MapAccess<'de>>(&mut self, key: &Key, map: &mut A) -> Result<bool, A::Error> {
        match key {
            Key::Type => self.kind = Some(map.next_value()?),
            Key::Text => self.text = map.next_value()?,
            Key::ImageUrl => self.url = map.next_value::<Url>()?.0,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

impl<'de> Deserialize<'de> for Piece {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Forms;
        impl<'de> Visitor<'de> for Forms {
            type Value = Piece;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(Fragment::EXPECTED)
            }

            fn visit_str<E>(self, text: &str) -> Result<Piece, E> {
                Ok(Piece(Part::Text(text.to_owned())))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Piece, A::Error> {
                let fragment = Fields::<Fragment>(PhantomData).visit_map(map)?;
                let part = match fragment.kind.as_deref() {
                    Some("text" | "input_text" | "output_text") => Part::Text(
                        fragment.text.ok_or_else(|| A::Error::custom("the text part has no text"))?,
                    ),
                    Some("image_url" | "input_image") => {
                        Part::ImageUrl(fragment.url.ok_or_else(|| A::Error::custom("the image has no url"))?)
                    }
                    _ => {
                        let told = "unknown type of part; the types are text and image_url";
                        return Err(A::Error::custom(told));
                    }
                };
                Ok(Piece(part))
            }
        }
        deserializer.deserialize_any(Forms)
    }
}

/// `Url` is an image's URL, as a string or in an object.
#[derive(Default)]
struct Url(Option<String>);

impl Object for Url {
    const EXPECTED: &str = "a URL or an object with url";

    fn set<'de, A: MapAccess<'de>>(&mut self, key: &Key, map: &mut A) -> Result<bool, A::Error> {
        if let Key::Url = key {
            self.0 = map.next_value()?;
            return Ok(true);
        }
        Ok(false)
    }
}

impl<'de> Deserialize<'de> for Url {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Forms;
        impl<'de> Visitor<'de> for Forms {
            type Value = Url;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(Url::EXPECTED)
            }

            fn visit_str<E>(self, url: &str) -> Result<Url, E> {
                Ok(Url(Some(url.to_owned())))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Url, A::Error> {
                Fields::<Url>(PhantomData).visit_map(map)
            }
        }
        deserializer.deserialize_any(Forms)
    }
}

/// `Called` is one tool call.
struct Called(ToolCall);

/// `Call` is a tool call as it is read.
#[derive(Default)]
struct Call {
    id: Option<String>,
    function: Function,
}

impl Object for Call {
    const EXPECTED: &str = "a tool call: an object with id and function";

    fn set<'de, A: MapAccess<'de>>(&mut self, key: &Key, map: &mut A) -> Result<bool, A::Error> {
        match key {
            Key::Id => self.id = map.next_value()?,
            Key::Function => self.function = map.next_value()?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

impl<'de> Deserialize<'de> for Called {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Call { id, function } = object(deserializer)?;
        let name = function.name.ok_or_else(|| D::Error::custom("the tool call has no function name"))?;
        Ok(Called(ToolCall { id: id.unwrap_or_default(), name, arguments: function.arguments }))
    }
}

/// `Function` is the function of a tool call.
#[derive(Default)]
struct Function {
    name: Option<String>,
    arguments: String,
}

impl Object for Function {
    const EXPECTED: &str = "an object with name and arguments";

    fn set<'de, A: MapAccess<'de>>(&mut self, key: &Key, map: &mut A) -> Result<bool, A::Error> {
        match key {
            Key::Name => self.name = map.next_value()?,
            Key::Arguments => {
                self.arguments = match map.next_value()? {
                    Value::String(text) => text,
                    Value::Null => String::new(),
                    value => value.to_string(),
                }
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

impl<'de> Deserialize<'de> for Function {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        object(deserializer)
    }
}
