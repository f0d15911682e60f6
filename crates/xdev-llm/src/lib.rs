//! Talks to local language model servers: LM Studio, Ollama, llama.cpp, vLLM and any OpenAI-compatible server.
//!
//! `Client` finds and holds servers, `Server` is one of them, `ChatStream` is one answer while it arrives: dropping it
//! stops the server. An answer is whole or an [`Error`]; text that is not an answer never comes out as one.
//!
//! Pure parts (history, presets, text tools, the wire formats) need no feature; the network code is behind `client`.
//! Not here: the command line (`xdev-llm-cli`), a server to test with (`xdev-llm-mock`).

mod chat;
mod config;
mod device;
mod error;
mod forecast;
mod gguf;
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
pub use device::{Device, DeviceKind, DeviceSource, Holder, Vendor, choose_gpu};
#[cfg(feature = "device")]
pub use device::{devices, gpu, holders};
pub use error::{Error, ErrorKind, Phase, Result};
pub use forecast::{
    CacheShape, CacheType, Forecast, LoadPlan, Need, Shape, Verdict, bytes_in_words, forecast,
    parse_parameters,
};
pub use gguf::{GgufInfo, check_gguf};
pub use model::{LoadState, LoadedModel, ModelInfo, ModelKind, is_same_model, nearest, pick};
pub use preset::{Preset, Presets};
pub use stats::{GenerationStats, Percentiles, Stats, Summary, Totals, sparkline};
pub use store::{Access, Session, SessionSummary, Store, safe_name, write_atomic};

#[cfg(feature = "client")]
pub use client::{
    Answered, ChatStream, Client, Compared, Comparison, DeviceChange, Found, Limits, LoadRequest, Loaded,
    Look, MemoryEvent, MemoryTask, Outcome, PORTS, Preview, Pulled, Question, Route, RoutedChat, Scan,
    Server, ServerInfo, ServerSource, Switched, Taken, Tried, Unload, Unloaded, doctor,
};

/// The README's example compiles.
#[cfg(all(doctest, feature = "client"))]
#[doc = include_str!("../../../README.md")]
struct Readme;
