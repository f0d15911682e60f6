//! Talks to local language model servers: LM Studio, Ollama, llama.cpp, vLLM and any OpenAI-compatible server.

mod chat;
mod config;
mod error;
mod history;
mod model;
mod preset;
mod stats;
mod store;
mod text;
pub mod wire;

#[cfg(feature = "client")]
mod client;
#[cfg(feature = "engine")]
mod engine;

pub use chat::{
    ChatEvent, ChatReply, ChatRequest, Collector, FinishReason, KeepAlive, Message, Part, Progress,
    Reasoning, ResponseFormat, Role, Sampling, Sent, Source, Timing, Tool, ToolCall, ToolCallDelta, ToolChoice,
    Usage,
};
pub use error::{Error, ErrorKind, Phase, Result};
