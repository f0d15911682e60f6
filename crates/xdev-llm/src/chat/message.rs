//! `Message` and its parts, named as OpenAI's chat format names them.
//!
//! Not here: reading and printing conversations as JSON (`history`), and how each server wants them (`wire`).

use std::fmt;

/// `Role` says who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Instructions that set the model's behaviour.
    System,
    /// OpenAI's newer name for instructions; sent as `system` where a server does not know it.
    Developer,
    /// The person.
    User,
    /// The model.
    Assistant,
    /// The result of a tool call.
    Tool,
}

impl Role {
    /// Every role, in the order of the documentation.
    pub const ALL: [Role; 5] = [Role::System, Role::Developer, Role::User, Role::Assistant, Role::Tool];

    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::System => "system",
            Role::Developer => "developer",
            Role::User => "user",
            Role::Assistant => "assistant",
            Role::Tool => "tool",
        }
    }

    /// The role of that name on the wire.
    pub fn from_name(name: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|role| role.as_str() == name)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// `Part` is one piece of a message's content.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Part {
    /// Plain text.
    Text(String),
    /// A picture by URL; local servers want a `data:image/png;base64,…` or `data:image/jpeg;base64,…` URL.
    ImageUrl(String),
}

/// `ToolCall` is a call of a function that the model asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolCall {
    /// Identifies the call; the tool's answer repeats it.
    pub id: String,
    /// The function's name.
    pub name: String,
    /// The arguments as JSON text, exactly as the model wrote them.
    pub arguments: String,
}

/// `Message` is one turn of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said; empty means no content (`null`), which an assistant message with tool calls has.
    pub content: Vec<Part>,
    /// The calls an assistant message asks for.
    pub tool_calls: Vec<ToolCall>,
    /// The call a tool message answers.
    pub tool_call_id: Option<String>,
}

impl Message {
    /// Makes a message of one text.
    pub fn new(role: Role, text: impl Into<String>) -> Self {
        Message { role, content: vec![Part::Text(text.into())], tool_calls: Vec::new(), tool_call_id: None }
    }

    /// Makes a system message.
    pub fn system(text: impl Into<String>) -> Self {
        Message::new(Role::System, text)
    }

    /// Makes a user message.
    pub fn user(text: impl Into<String>) -> Self {
        Message::new(Role::User, text)
    }

    /// Makes an assistant message.
    pub fn assistant(text: impl Into<String>) -> Self {
        Message::new(Role::Assistant, text)
    }

    /// All text parts, joined.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for part in &self.content {
            if let Part::Text(piece) = part {
                text.push_str(piece);
            }
        }
        text
    }
}
