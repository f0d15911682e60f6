//! What is asked of a server's memory, and what came of it.

use serde::Serialize;

use crate::chat::KeepAlive;
use crate::device::DeviceKind;
use crate::model::LoadedModel;
use crate::wire::Pulling;

/// `LoadRequest` says what to load; `Default` is the model that "auto" means, as the server likes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadRequest {
    /// The model; empty or "auto" is the one a chat would ask.
    pub model: String,
    /// The context it must have at least, in tokens. A loaded one with less is loaded anew.
    pub context_length: Option<u32>,
    /// How long it stays when nobody uses it.
    pub keep_alive: Option<KeepAlive>,
    /// Refuse a model that this server could not unload again, before anything is asked of it.
    pub must_unload: bool,
}

/// `Unload` says what to unload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unload {
    /// Every copy of this model; empty or "auto" is the loaded one that chats.
    Model(String),
    /// Everything.
    All,
}

/// `DeviceChange` is the memory of the device before and after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeviceChange {
    /// What users know it by.
    pub name: String,
    /// What sort of memory it is. Main memory goes up and down with everything else that runs.
    pub kind: DeviceKind,
    /// All of it, in bytes.
    pub total_bytes: u64,
    /// What was free before, in bytes.
    pub free_bytes_before: u64,
    /// What is free now, in bytes.
    pub free_bytes_after: u64,
    /// Whether what the server said it held is free again, where it said so; the driver is given five seconds for that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_back: Option<bool>,
}

/// `Loaded` is a model that is in memory now, as the server's own list says.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Loaded {
    /// The server's address.
    pub server: String,
    /// The entry of the list.
    #[serde(flatten)]
    pub model: LoadedModel,
    /// Whether it was there before.
    pub was_loaded: bool,
    /// How long it took, in seconds.
    pub duration: f64,
    /// The device before and after, where the server runs on this machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceChange>,
    /// What the server unloaded for it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub evicted: Vec<String>,
    /// What was asked for and this server cannot be told.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_sent: Vec<String>,
}

/// `Unloaded` says what is no longer in memory, as the server's own list says.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Unloaded {
    /// The server's address.
    pub server: String,
    /// The copies that were there and are gone; none where nothing was loaded.
    pub models: Vec<LoadedModel>,
    /// How long it took until the list said so, in seconds.
    pub duration: f64,
    /// The GPU memory that they had held, where the server told it, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub freed_bytes: Option<u64>,
    /// The device before and after, where the server runs on this machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceChange>,
}

/// `Switched` is one model in the place of others.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Switched {
    /// What was unloaded; none where nothing else was there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unloaded: Option<Unloaded>,
    /// What is there now.
    pub loaded: Loaded,
    /// Whether both were in memory for a while, because they fit.
    pub side_by_side: bool,
}

/// `Pulled` is a model that was downloaded.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Pulled {
    /// The server's address.
    pub server: String,
    /// The model, in the server's own spelling.
    pub model: String,
    /// How long it took, in seconds.
    pub duration: f64,
    /// The bytes of its parts, where the server told them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_bytes: Option<u64>,
}

/// `MemoryEvent` is something that happens on the way.
#[derive(Clone, Debug, PartialEq)]
pub enum MemoryEvent {
    /// A model is being loaded; the share that is there, where the server tells.
    Loading {
        /// The model.
        model: String,
        /// 0 to 1.
        share: Option<f32>,
    },
    /// A model was told to go and is still in the list.
    Unloading {
        /// The copy.
        model: String,
    },
    /// A piece of a download.
    Pulling(Pulling),
}
