//! The vocabulary of a chat: messages, requests, events and replies.
//!
//! Pure data without IO. Not here: how a server spells any of it (`wire`), and the JSON of saved conversations
//! (`history`).

mod event;
mod message;
mod reply;
mod request;

pub use event::{ChatEvent, FinishReason, Progress, ToolCallDelta};
pub use message::{Message, Part, Role, ToolCall};
pub use reply::{ChatReply, Collector, Sent, Source, Timing, Usage};
pub use request::{ChatRequest, KeepAlive, Reasoning, ResponseFormat, Sampling, Tool, ToolChoice};
