//! The protocol without IO: requests become bytes, bytes become events.
//!
//! [`Dialect`] is one API family; [`Quirks`] is one server's row of data on it; [`Framer`] cuts bytes into frames;
//! [`Reader`] puts them together and gives the same events however the bytes are cut. Nothing here touches a socket or
//! a clock. Public as a module for people who add a server. Not here: transport, retry, discovery (`client`).

mod body;
mod failure;
mod frame;
mod identify;
mod json;
mod lmstudio;
pub mod manage;
mod normalise;
mod ollama;
mod openai;
mod quirks;
mod reader;
mod skeleton;

use std::borrow::Cow;
use std::fmt;
use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use failure::read_failure;
pub use frame::{Frame, Framer, Framing};
pub use identify::{Answer, Identity, Investigation, Verdict};
pub use lmstudio::LmStudio;
pub use manage::{Listing, LoadTarget, Manage, Management, Pulling};
pub use ollama::Ollama;
pub use openai::OpenAi;
pub use quirks::{
    Api, Health, HealthRule, ImageForm, Parameter, Quirks, ReasoningSwitch, Rows, ToolChoiceForm,
};
pub use reader::Reader;

pub use normalise::conclude;

use crate::chat::{ChatEvent, ChatRequest};
use crate::error::Result;
use crate::model::ModelInfo;

/// `ServerKind` names a product, such as `lmstudio`; configuration may add names.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ServerKind(Cow<'static, str>);

impl ServerKind {
    /// LM Studio.
    pub const LM_STUDIO: ServerKind = ServerKind::constant("lmstudio");
    /// Ollama.
    pub const OLLAMA: ServerKind = ServerKind::constant("ollama");
    /// Ollama through its OpenAI-compatible API.
    pub const OLLAMA_OPENAI: ServerKind = ServerKind::constant("ollama-openai");
    /// LM Studio through its own API.
    pub const LM_STUDIO_NATIVE: ServerKind = ServerKind::constant("lmstudio-native");
    /// llama.cpp's `llama-server`.
    pub const LLAMA_CPP: ServerKind = ServerKind::constant("llama.cpp");
    /// llamafile's newer server.
    pub const LLAMAFILE: ServerKind = ServerKind::constant("llamafile");
    /// vLLM.
    pub const VLLM: ServerKind = ServerKind::constant("vllm");
    /// SGLang.
    pub const SGLANG: ServerKind = ServerKind::constant("sglang");
    /// KoboldCpp.
    pub const KOBOLDCPP: ServerKind = ServerKind::constant("koboldcpp");
    /// TabbyAPI.
    pub const TABBYAPI: ServerKind = ServerKind::constant("tabbyapi");
    /// mlx_lm.server.
    pub const MLX: ServerKind = ServerKind::constant("mlx");
    /// LocalAI.
    pub const LOCALAI: ServerKind = ServerKind::constant("localai");
    /// Jan.
    pub const JAN: ServerKind = ServerKind::constant("jan");
    /// text-generation-webui.
    pub const TEXT_GENERATION_WEBUI: ServerKind = ServerKind::constant("text-generation-webui");
    /// mistral.rs.
    pub const MISTRAL_RS: ServerKind = ServerKind::constant("mistral.rs");
    /// Lemonade.
    pub const LEMONADE: ServerKind = ServerKind::constant("lemonade");
    /// Docker Model Runner.
    pub const DOCKER_MODEL_RUNNER: ServerKind = ServerKind::constant("docker-model-runner");
    /// LiteLLM's proxy.
    pub const LITELLM: ServerKind = ServerKind::constant("litellm");
    /// llama-swap.
    pub const LLAMA_SWAP: ServerKind = ServerKind::constant("llama-swap");
    /// GPT4All.
    pub const GPT4ALL: ServerKind = ServerKind::constant("gpt4all");
    /// Any other server with an OpenAI-compatible API.
    pub const GENERIC: ServerKind = ServerKind::constant("generic");

    const fn constant(name: &'static str) -> ServerKind {
        ServerKind(Cow::Borrowed(name))
    }

    /// Makes the kind of that name.
    pub fn new(name: impl Into<Cow<'static, str>>) -> ServerKind {
        ServerKind(name.into())
    }

    /// The name, as it stands in configuration and JSON.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ServerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `Call` is one HTTP request, ready to be sent to a server.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Call {
    /// The path and query. One that begins with `/` is taken from the server's root, another from its API base.
    pub path: String,
    /// The JSON body of a POST; `None` is a GET.
    pub body: Option<Vec<u8>>,
    /// The fields of the body but the messages, under the names that are sent.
    pub parameters: Map<String, Value>,
    /// Parameters that were asked for and are not sent, because this server does not take them.
    pub not_sent: Vec<String>,
}

impl Call {
    /// Makes a GET of a path.
    pub fn get(path: impl Into<String>) -> Call {
        Call { path: path.into(), ..Call::default() }
    }

    /// Makes a POST whose body is `body`; everything in it but `bulk` (messages, input) is listed as a parameter.
    pub fn post(
        path: impl Into<String>,
        body: Map<String, Value>,
        bulk: &[&str],
        not_sent: Vec<String>,
    ) -> Call {
        let bytes = serde_json::to_vec(&body).unwrap_or_default();
        let mut parameters = body;
        for name in bulk {
            parameters.remove(*name);
        }
        Call { path: path.into(), body: Some(bytes), parameters, not_sent }
    }
}

/// `Flow` says how reading goes on after a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// More frames may come.
    Continue,
    /// The stream said it is over.
    Done,
    /// The frame was not understood; it is counted and skipped.
    Malformed,
}

/// `Dialect` is one API family: it builds calls and reads frames, and never touches a socket.
pub trait Dialect: fmt::Debug + Send + Sync {
    /// The row of data this dialect was made from.
    fn quirks(&self) -> &Quirks;

    /// Builds the call that asks for an answer. `stream: false` only where the server refused to stream.
    fn chat(&self, request: &ChatRequest, stream: bool) -> Result<Call>;

    /// Reads one frame of the answer; what it says goes to `out`. An error frame is an `Err`.
    fn read_chat(&self, frame: Frame<'_>, out: &mut Vec<ChatEvent>) -> Result<Flow>;

    /// Builds the calls that list the models, to be asked in this order.
    fn models(&self) -> Vec<Call>;

    /// Reads the answer to call number `index` of [`models`](Dialect::models); `Break` when nothing more need be asked.
    fn read_models(&self, index: usize, body: &Value, models: &mut Vec<ModelInfo>)
    -> Result<ControlFlow<()>>;
}

/// Reads every document of a frame with `read`. An error in any known envelope is an `Err`.
fn read_documents(frame: Frame<'_>, mut read: impl FnMut(&Value) -> Result<Flow>) -> Result<Flow> {
    if frame.event == Some("error") {
        return Err(failure::in_event(frame.data));
    }
    let mut flow = Flow::Malformed;
    for document in json::documents(frame.data.trim()).unwrap_or_default() {
        if let Some(error) = failure::in_document(&document) {
            return Err(error);
        }
        match read(&document)? {
            Flow::Malformed => {}
            Flow::Continue => flow = Flow::Continue,
            Flow::Done => return Ok(Flow::Done),
        }
    }
    Ok(flow)
}

/// Makes the dialect of a row.
pub fn dialect(quirks: Quirks) -> std::sync::Arc<dyn Dialect> {
    match quirks.api {
        Api::OpenAi => std::sync::Arc::new(OpenAi::new(quirks)),
        Api::Ollama => std::sync::Arc::new(Ollama::new(quirks)),
        Api::LmStudio => std::sync::Arc::new(LmStudio::new(quirks)),
    }
}
