//! `Manage`: how a server is told to load, unload and download models, and how it tells which are in memory.
//!
//! Pure, like the dialects: requests out, answers in. What a server says is never trusted alone: whoever unloads asks
//! for [`list`](Manage::list) until the model is gone. One file a family below; the row of a server names its way.
//! Not here: sending, waiting and the order of things (`client::memory`), the list of installed models (the dialects).

mod llamacpp;
mod lmstudio;
mod ollama;
mod one;
mod several;
mod vllm;

use std::fmt::Debug;
use std::ops::ControlFlow;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Call, Frame, failure, json};
use crate::chat::KeepAlive;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{LoadState, LoadedModel, ModelInfo, ModelKind, is_same_model};

/// `Management` names the way in which a server's models are loaded and unloaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Management {
    /// Not at all over its API.
    None,
    /// LM Studio's `/api/v1/models/load`, by instance.
    #[serde(rename = "lmstudio")]
    LmStudio,
    /// Ollama's empty requests with `keep_alive`.
    Ollama,
    /// llama.cpp's router: `/models/load`.
    #[serde(rename = "llama.cpp")]
    LlamaCpp,
    /// vLLM's sleep mode.
    Vllm,
    /// text-generation-webui's `/v1/internal/model/load`: one model at a time.
    TextGenerationWebui,
    /// TabbyAPI's `/v1/model/load`: one model at a time.
    #[serde(rename = "tabbyapi")]
    TabbyApi,
    /// KoboldCpp's `/api/admin/reload_config`: one configuration at a time.
    #[serde(rename = "koboldcpp")]
    KoboldCpp,
    /// mistral.rs's `/v1/models/unload`.
    #[serde(rename = "mistral.rs")]
    MistralRs,
    /// llama-swap's `/running`.
    LlamaSwap,
    /// Lemonade's `/v1/load`.
    Lemonade,
}

impl Management {
    /// The way itself; `None` where the server's API has none.
    pub fn way(self) -> Option<&'static dyn Manage> {
        Some(match self {
            Management::None => return None,
            Management::LmStudio => &lmstudio::LmStudio,
            Management::Ollama => &ollama::Ollama,
            Management::LlamaCpp => &llamacpp::LlamaCpp,
            Management::Vllm => &vllm::Vllm,
            Management::TextGenerationWebui => &one::TextGenerationWebui,
            Management::TabbyApi => &one::TabbyApi,
            Management::KoboldCpp => &one::KoboldCpp,
            Management::MistralRs => &several::MistralRs,
            Management::LlamaSwap => &several::LlamaSwap,
            Management::Lemonade => &several::Lemonade,
        })
    }
}

/// `LoadTarget` is the model that is to be loaded, and how.
#[derive(Clone, Debug)]
pub struct LoadTarget {
    /// The name, in the server's own spelling.
    pub id: String,
    /// What it is for: some servers load models that make vectors in another way.
    pub kind: ModelKind,
    /// The context to load it with, in tokens.
    pub context_length: Option<u32>,
    /// How long it stays when nobody uses it.
    pub keep_alive: Option<KeepAlive>,
}

/// `Listing` is what a server tells about its memory.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Listing {
    /// What is in memory, on the way in, or on the way out.
    pub models: Vec<LoadedModel>,
    /// What could not be loaded, with the server's reason.
    pub failed: Vec<(String, String)>,
    /// What is asleep, and holds no GPU memory; an empty name is the whole server.
    pub asleep: Vec<String>,
    /// Which of the server's lists was understood: LM Studio 0.4's is 0, an older one's is 1.
    pub source: usize,
    /// Why this server, as it was started, cannot load or unload: what to do instead.
    pub fixed: Option<&'static str>,
}

impl Listing {
    /// Whether a model of that name stands in it.
    pub fn find(&self, id: &str) -> Option<&LoadedModel> {
        self.models.iter().find(|model| is_same_model(id, &model.id))
    }

    /// Whether a model of that name sleeps, or the whole server.
    pub fn is_asleep(&self, id: &str) -> bool {
        self.asleep.iter().any(|asleep| asleep.is_empty() || is_same_model(id, asleep))
    }
}

/// `Step` is one thing that the answer to a load, an unload or a download says.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// The share that is loaded, 0 to 1, or that it goes on.
    Loading(Option<f32>),
    /// A piece of a download.
    Pulling(Pulling),
    /// The download goes on at the server under this name, and is asked for with [`Manage::follow`].
    Job(String),
    /// Everything is there.
    Done,
}

/// `Pulling` says how far a download is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Pulling {
    /// The server's own words for what it does.
    pub status: String,
    /// The part that these bytes belong to; parts come interleaved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part: Option<String>,
    /// The bytes that are here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed_bytes: Option<u64>,
    /// The bytes there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_bytes: Option<u64>,
}

/// `Manners` are what sets one server's memory apart from another's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact about a server, and they are independent")]
pub struct Manners {
    /// It holds one model at a time, so that a load replaces what is there.
    pub holds_one: bool,
    /// A chat does not bring back what was unloaded, so that it must be loaded before.
    pub must_load_first: bool,
    /// It restarts to load and unload, and refuses connections meanwhile.
    pub restarts: bool,
    /// The list of installed models does not say which are in memory.
    pub hides_states: bool,
    /// A load can be told which context the model is to have.
    pub takes_context: bool,
    /// Several names share one copy, which is listed under the name that loaded it.
    pub shares_copies: bool,
}

/// `Manage` is one server's way to manage its models.
pub trait Manage: Debug + Sync {
    /// The paths that tell what is in memory, to be asked in this order until one is understood.
    fn list(&self) -> &'static [&'static str];

    /// Reads the answer to path number `index` of [`list`](Manage::list) into `listing`; `Continue` asks the next one.
    fn read_list(&self, index: usize, status: u16, body: &Value, listing: &mut Listing) -> ControlFlow<()>;

    /// Builds the call that loads a model.
    fn load(&self, target: &LoadTarget, listing: &Listing) -> Result<Call>;

    /// Builds the call that unloads one.
    fn unload(&self, model: &LoadedModel) -> Result<Call>;

    /// What sets it apart.
    fn manners(&self) -> Manners {
        Manners::default()
    }

    /// Builds the call that downloads one; `None` where the server does not download.
    fn pull(&self, _model: &str) -> Option<Call> {
        None
    }

    /// Builds the call that asks how far a [`Step::Job`] is.
    fn follow(&self, _job: &str) -> Option<Call> {
        None
    }

    /// Reads one document of the answer to a load, an unload or a download. An error in it is an `Err`.
    fn read(&self, _event: Option<&str>, _document: &Value, _steps: &mut Vec<Step>) -> Result<()> {
        Ok(())
    }
}

/// Reads one frame of the answer to a load, an unload or a download with `way`. An error in any known envelope is an `Err`.
pub fn read_steps(way: &dyn Manage, frame: Frame<'_>, steps: &mut Vec<Step>) -> Result<()> {
    if frame.event == Some("error") {
        return Err(failure::in_event(frame.data));
    }
    for document in json::documents(frame.data.trim()).unwrap_or_default() {
        if let Some(error) = failure::in_document(&document) {
            return Err(error);
        }
        way.read(frame.event, &document, steps)?;
    }
    Ok(())
}

/// Marks which of the installed models are in memory, and adds those that only the listing knows.
pub fn mark_loaded(models: &mut Vec<ModelInfo>, listing: &Listing) {
    for model in models.iter_mut() {
        let found = listing.find(&model.id);
        model.state = found.map_or(LoadState::NotLoaded, |found| found.state);
        if let Some(found) = found {
            model.loaded_context_length = found.context_length.or(model.loaded_context_length);
            model.vram_bytes = found.vram_bytes;
        }
    }
    for loaded in &listing.models {
        if !models.iter().any(|model| is_same_model(&model.id, &loaded.id)) {
            models.push(ModelInfo {
                state: loaded.state,
                loaded_context_length: loaded.context_length,
                vram_bytes: loaded.vram_bytes,
                ..ModelInfo::new(loaded.id.clone())
            });
        }
    }
}

/// `Launch` is how llama.cpp starts a model, as its list of models tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Launch {
    /// The file; none where it is told relative to the server's folder, which is not told.
    pub file: Option<PathBuf>,
    /// The context; none where the model's own is taken.
    pub context_length: Option<u32>,
}

impl Launch {
    /// Reads the flags of the router's child, or the name of the one model.
    pub fn read(body: &Value, id: &str) -> Option<Launch> {
        let entry = json::list(body, "data").iter().find(|entry| json::text(entry, "id") == Some(id))?;
        let flags = entry.get("status").map_or(&[][..], |status| json::list(status, "args"));
        let after = |names: [&str; 2]| {
            let at = flags.iter().position(|flag| flag.as_str().is_some_and(|flag| names.contains(&flag)))?;
            flags.get(at + 1)?.as_str()
        };
        let file = PathBuf::from(after(["--model", "-m"]).unwrap_or(id));
        let loaded = entry.get("meta").and_then(|meta| json::count(meta, "n_ctx"));
        let length = loaded.or_else(|| after(["--ctx-size", "-c"])?.parse().ok());
        Some(Launch {
            file: file.is_absolute().then_some(file),
            // 0 is the model's own.
            context_length: length.and_then(|length| u32::try_from(length).ok()).filter(|length| *length > 0),
        })
    }
}

/// Makes a POST of a few fields.
fn post<const N: usize>(path: &str, fields: [(&str, Value); N]) -> Call {
    let body: Map<String, Value> = fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Call::post(path, body, &[], Vec::new())
}

/// Names what was asked for and a server with these manners, which settles by itself how long a model stays, is not told.
fn without(mut call: Call, target: &LoadTarget, manners: Manners) -> Call {
    if target.context_length.is_some() && !manners.takes_context {
        call.not_sent.push("context_length".into());
    }
    if target.keep_alive.is_some() {
        call.not_sent.push("keep_alive".into());
    }
    call
}

/// A model's name as one segment of a path.
fn segment(id: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~');
    id.bytes()
        .map(|byte| if plain(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

/// The failure of a server that answers 200 and says in the body that it failed.
fn refused(what: &str, said: &str) -> Error {
    Error::new(ErrorKind::Server, format!("The server did not {what}.")).with_said(said)
}
