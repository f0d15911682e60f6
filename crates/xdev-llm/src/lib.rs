//! Talks to local language model servers: LM Studio, Ollama, llama.cpp, vLLM and any OpenAI-compatible server.
//!
//! `Client` finds and holds servers, `Server` is one of them, `ChatStream` is one answer while it arrives: dropping it
//! stops the server. An answer is whole or an [`Error`]; text that is not an answer never comes out as one.
//!
//! Pure parts (history, presets, text tools, the wire formats) need no feature; the network code is behind `client`.
//! Not here: the command line (`xdev-llm-cli`), a server to test with (`xdev-llm-mock`).

mod chat;
mod config;
mod error;
pub mod history;
mod model;
mod preset;
#[cfg(feature = "prompt")]
pub mod prompt;
mod stats;
mod store;
pub mod text;
pub mod wire;

#[cfg(feature = "client")]
mod client;
#[cfg(feature = "engine")]
pub mod engine;

pub use chat::{
    ChatEvent, ChatReply, ChatRequest, Collector, FinishReason, KeepAlive, Message, Part, Progress,
    Reasoning, ResponseFormat, Role, Sampling, Sent, Source, Timing, Tool, ToolCall, ToolCallDelta,
    ToolChoice, Usage,
};
pub use config::{
    ENVIRONMENT, EngineSettings, Environment, Form, KEYS, Key, KeySource, Origin, Overrides, RouteEntry,
    ServerChoice, ServerEntry, ServerUrl, Setting, Settings, Shown, Variable, host_allowed, is_local,
    looks_like_key, normalise_url, user_template,
};
pub use error::{Error, ErrorKind, Phase, Result};
pub use model::{LoadState, ModelInfo, ModelKind, is_same_model, nearest, pick};
pub use preset::{Preset, Presets};
pub use stats::{GenerationStats, Percentiles, Stats, Summary, Totals, sparkline};
pub use store::{Access, Session, SessionSummary, Store, safe_name, write_atomic};

#[cfg(feature = "client")]
pub use client::{
    Answered, ChatStream, Client, Compared, Comparison, Found, Limits, Look, Outcome, PORTS, Preview,
    Question, Route, RoutedChat, Scan, Server, ServerInfo, ServerSource, Taken, Tried, doctor,
};

/// The README's example compiles.
#[cfg(all(doctest, feature = "client"))]
#[doc = include_str!("../../../README.md")]
struct Readme;
