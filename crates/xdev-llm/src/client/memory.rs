//! What a server has in memory: listed, loaded, unloaded, switched and downloaded, and never taken on trust.
//!
//! What changes a server's memory goes one after another, and goes on to its end when nobody waits for it any more: a
//! load that was cancelled would otherwise end after the unload that was to undo it. A load looks first, so there is
//! never a second copy; an unload asks for the server's own list until the model is gone.
//! Not here: how each server is told (`wire::manage`).

mod device;
mod load;
mod outcome;
mod pull;
mod switch;
mod task;
mod unload;
mod watch;

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

pub use outcome::{DeviceChange, LoadRequest, Loaded, MemoryEvent, Pulled, Switched, Unload, Unloaded};
pub use task::MemoryTask;

use super::server::Server;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{LoadedModel, ModelInfo};
use crate::wire::manage::mark_loaded;
use crate::wire::{Dialect, Listing, Manage};

/// How long a load may take, and a server be silent about it; Ollama itself gives up after five minutes.
const LOAD_PATIENCE: Duration = Duration::from_secs(600);
/// How long a model may take to go.
const UNLOAD_PATIENCE: Duration = Duration::from_secs(60);
/// The pauses between two looks at the list: short at first, because most models go at once.
const SHORTEST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

impl Server {
    /// What it has in memory, asked now.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] where the server does not tell.
    pub async fn loaded(&self) -> Result<Vec<LoadedModel>> {
        let (way, _) = self.way().await?;
        Ok(self.listing(way).await?.models)
    }

    /// Loads a model, unless it is there, and waits until the server's list has it.
    pub fn load(&self, request: LoadRequest) -> MemoryTask<Loaded> {
        let server = self.clone();
        MemoryTask::in_turn(
            self.turn(),
            false,
            |events| async move { server.load_now(&request, &events).await },
        )
    }

    /// Unloads, and waits a minute until the server's list has it no longer. A model that is answering goes when its
    /// answer is done.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] where the server cannot; [`ErrorKind::Server`] with what still holds the memory when it
    /// did not go.
    pub fn unload(&self, what: Unload) -> MemoryTask<Unloaded> {
        self.unload_within(what, UNLOAD_PATIENCE)
    }

    /// Unloads as [`unload`](Server::unload) does, and waits that long.
    pub fn unload_within(&self, what: Unload, patience: Duration) -> MemoryTask<Unloaded> {
        let server = self.clone();
        MemoryTask::in_turn(self.turn(), true, move |events| async move {
            server.unload_now(&what, patience, &events).await
        })
    }

    /// Loads a model and unloads all others: first the load where both fit, else first the unload.
    pub fn switch(&self, request: LoadRequest) -> MemoryTask<Switched> {
        let server = self.clone();
        MemoryTask::in_turn(
            self.turn(),
            false,
            |events| async move { server.switch_now(&request, &events).await },
        )
    }

    /// Downloads a model to the server.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] where the server does not download.
    pub fn pull(&self, model: &str) -> MemoryTask<Pulled> {
        let (server, model) = (self.clone(), model.to_owned());
        MemoryTask::at_once(|events| async move { server.pull_now(&model, &events).await })
    }

    /// Brings back what this server cannot bring back by itself when it is asked for an answer.
    pub(super) async fn wake(&self, model: Option<&str>) -> Result<bool> {
        let Ok((way, _)) = self.way().await else { return Ok(false) };
        if !way.manners().must_load_first || self.inner.is_unmanaged(self.url()) {
            return Ok(false);
        }
        let mut listing = Listing::default();
        // The first list says enough, and a chat waits for it.
        let flow = self.read_list(way, 0, &mut listing).await?.0;
        if listing.fixed.is_some() {
            self.inner.note_unmanaged(self.url());
        }
        let is_listed = flow.is_continue() || !listing.models.is_empty();
        if is_listed && !listing.is_asleep("") {
            return Ok(false);
        }
        let Some(model) = model else { return Ok(false) };
        self.load(LoadRequest { model: model.to_owned(), ..LoadRequest::default() }).finish().await?;
        Ok(true)
    }

    /// The way in which its models are managed.
    async fn way(&self) -> Result<(&'static dyn Manage, Arc<dyn Dialect>)> {
        let dialect = self.dialect().await?;
        if let Some(way) = dialect.quirks().management.way() {
            return Ok((way, dialect));
        }
        let name = &dialect.quirks().name;
        Err(Error::new(ErrorKind::Unsupported, format!("{name} does not load or unload models over its API."))
            .with_server(self.url())
            .with_hint(format!(
                "Load and unload in {name} itself. LM Studio 0.4, Ollama, llama.cpp's router, vLLM's sleep mode, llama-swap, Lemonade, TabbyAPI, text-generation-webui, KoboldCpp and mistral.rs can be told from here."
            )))
    }

    /// Marks what is in memory in the list of installed models, where that list does not say so itself.
    pub(super) async fn mark_states(&self, models: &mut Vec<ModelInfo>) {
        let Ok((way, _)) = self.way().await else { return };
        if !way.manners().hides_states {
            return;
        }
        // A server that keeps this to itself has told its models all the same.
        if let Ok(listing) = self.listing(way).await {
            mark_loaded(models, &listing);
        }
    }

    fn cannot(&self, what: &str, id: &str, why: &str) -> Error {
        Error::new(ErrorKind::Unsupported, format!("This server cannot {what} `{id}`."))
            .with_server(self.url())
            .with_hint(why)
    }

    /// The turn at its memory.
    fn turn(&self) -> Arc<tokio::sync::Mutex<()>> {
        let mut memory = self.inner.memory.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(memory.turns.entry(self.url().to_owned()).or_default())
    }

    pub(super) fn forget_models(&self) {
        self.inner.models.forget(&self.place.shown);
        self.inner.infos.forget(&self.place.shown);
    }
}

fn seconds_since(start: Instant) -> f64 {
    (start.elapsed().as_secs_f64() * 1e3).round() / 1e3
}

impl super::Inner {
    /// The context that a model was loaded with from here: Ollama loads it anew for a request that names another, or none.
    pub(super) fn loaded_context(&self, server: &str, model: &str) -> Option<u32> {
        let memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        memory.contexts.get(&(server.to_owned(), model.to_owned())).copied()
    }

    fn note_context(&self, server: &str, model: &str, length: Option<u32>) {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (server.to_owned(), model.to_owned());
        match length {
            Some(length) => memory.contexts.insert(key, length),
            None => memory.contexts.remove(&key),
        };
    }

    /// Whether a server is known to have no say over its memory.
    fn is_unmanaged(&self, server: &str) -> bool {
        let memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        memory.unmanaged.get(server).is_some_and(|since| since.elapsed() < super::server::INFO_TTL)
    }

    fn note_unmanaged(&self, server: &str) {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        memory.unmanaged.insert(server.to_owned(), Instant::now());
    }
}

/// `Memory` is what a client knows about the memory of its servers, by their addresses.
#[derive(Debug, Default)]
pub(super) struct Memory {
    turns: HashMap<String, Arc<tokio::sync::Mutex<()>>>,
    contexts: HashMap<(String, String), u32>,
    unmanaged: HashMap<String, Instant>,
}
