//! What a server has in memory: instances of models that come, work and go, each in its time.
//!
//! Kept apart from any protocol: how a load is asked for and how lists spell a state is for `servers`. Time is read when
//! somebody looks, so nothing runs in the background. `instance` has the life of one, `load` how they come and what gives
//! way for them, `download` the models on their way here.

mod download;
mod instance;
mod load;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::model::Model;
use crate::options::Options;
use crate::personality::Personality;

pub(crate) use download::{Download, DownloadState, OwnDownload};
pub use instance::{Instance, InstanceState};
pub(crate) use load::{Lease, Load, Progress};

/// How long Ollama keeps a model without work unless a request says otherwise.
pub(crate) const OLLAMA_KEEPS: Duration = Duration::from_secs(300);

/// `Memory` is the one memory all connections of a server see.
#[derive(Clone)]
pub(crate) struct Memory(Arc<Mutex<State>>);

/// `Counts` says how often something was done with a model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) loads: usize,
    /// Loads that put an instance in the place of one with other settings.
    pub(crate) reloads: usize,
    pub(crate) unloads: usize,
}

/// `Change` is a new state of a model, in the order they came about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) model: String,
    /// `None` when the instance is gone.
    pub(crate) state: Option<InstanceState>,
}

/// `State` is what is behind the lock, brought up to date.
pub(crate) struct State {
    /// As the server was started, or told since.
    pub(crate) options: Options,
    models: Vec<Model>,
    instances: Vec<Instance>,
    counts: HashMap<String, Counts>,
    pub(crate) downloads: Vec<Download>,
    pub(crate) changes: Vec<Change>,
    /// What of vLLM sleeps: `weights` and `kv_cache`, or nothing.
    pub(crate) asleep: Vec<String>,
    /// Counts what was begun; the highest is the newest.
    serial: u64,
}

impl Memory {
    pub(crate) fn new(options: &Options) -> Memory {
        let mut state = State {
            options: options.clone(),
            models: Vec::new(),
            instances: Vec::new(),
            counts: HashMap::new(),
            downloads: Vec::new(),
            changes: Vec::new(),
            asleep: Vec::new(),
            serial: 0,
        };
        state.set_models(options.models.clone());
        Memory(Arc::new(Mutex::new(state)))
    }

    /// The state as it is now.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.settle(Instant::now());
        state
    }
}

impl State {
    /// Puts other models in the place of those there are; those marked as loaded are in memory at once.
    pub(crate) fn set_models(&mut self, models: Vec<Model>) {
        for instance in &self.instances {
            instance.stop();
        }
        self.instances.clear();
        self.models.clear();
        for model in models {
            self.add_model(model);
        }
    }

    /// Adds a model, or puts it in the place of the one with its id.
    pub(crate) fn add_model(&mut self, model: Model) {
        let known = self.instances.iter().any(|instance| instance.model == model.id);
        if model.loaded && !known {
            let mut load = Load::new(&model.id, self.usual_context(&model));
            load.keep = (self.personality() == Personality::Ollama).then_some(OLLAMA_KEEPS);
            self.serial += 1;
            self.instances.push(Instance::loaded(load, self.serial));
        }
        match self.models.iter_mut().find(|other| other.id == model.id) {
            Some(other) => *other = model,
            None => self.models.push(model),
        }
    }

    /// Takes a model away with all its instances; false when there is none.
    pub(crate) fn remove_model(&mut self, id: &str) -> bool {
        let before = self.models.len();
        self.models.retain(|model| model.id != id);
        for instance in self.instances.iter().filter(|instance| instance.model == id) {
            instance.stop();
        }
        self.instances.retain(|instance| instance.model != id);
        self.models.len() < before
    }

    /// The models, with `loaded` as it is now.
    pub(crate) fn models(&self) -> Vec<Model> {
        let now = |model: &Model| {
            let loaded = self.instances.iter().any(|one| one.model == model.id && one.is_listed());
            Model { loaded, ..model.clone() }
        };
        self.models.iter().map(now).collect()
    }

    /// The model with that id, in whatever case it is written.
    pub(crate) fn model(&self, id: &str) -> Option<&Model> {
        self.models.iter().find(|model| model.id.eq_ignore_ascii_case(id))
    }

    /// Every instance, also those that come, go or failed.
    pub(crate) fn instances(&self) -> &[Instance] {
        &self.instances
    }

    /// The instances of a model.
    pub(crate) fn instances_of<'a>(&'a self, model: &'a str) -> impl Iterator<Item = &'a Instance> {
        self.instances.iter().filter(move |instance| instance.model == model)
    }

    /// The instance of a load, by what `begin_load` gave.
    pub(crate) fn by_serial(&self, serial: u64) -> Option<&Instance> {
        self.instances.iter().find(|instance| instance.serial == serial)
    }

    pub(crate) fn counts(&self, model: &str) -> Counts {
        self.counts.get(model).copied().unwrap_or_default()
    }

    fn count(&mut self, model: &str, change: impl FnOnce(&mut Counts)) {
        change(self.counts.entry(model.to_owned()).or_default());
    }

    fn note(&mut self, model: &str, state: Option<InstanceState>) {
        self.changes.push(Change { model: model.to_owned(), state });
    }

    /// Tokens of context a model gets when nobody asks for another number.
    pub(crate) fn usual_context(&self, model: &Model) -> usize {
        let limit = self.options.context.map_or(8192, |characters| (characters / 4).max(1));
        match self.options.personality {
            personality if personality.is_lmstudio() => model.context_length.min(4096),
            _ => limit,
        }
    }

    /// Bytes of the GPU's memory an instance takes, at most what it was given.
    pub(crate) fn vram_of(&self, instance: &Instance) -> u64 {
        let whole = self.bytes_of(instance);
        instance.vram_limit.map_or(whole, |limit| limit.min(whole))
    }

    /// Bytes an instance takes, wherever they are.
    pub(crate) fn bytes_of(&self, instance: &Instance) -> u64 {
        self.model(&instance.model).map_or(0, |model| model.memory_bytes(instance.context_length))
    }

    /// Bytes of the GPU's memory that are taken.
    pub(crate) fn vram_used(&self) -> u64 {
        self.instances.iter().filter(|one| one.holds_memory()).map(|one| self.vram_of(one)).sum()
    }

    /// Brings everything to the state it has at that moment.
    fn settle(&mut self, now: Instant) {
        self.settle_downloads(now);
        let mut index = 0;
        while index < self.instances.len() {
            if let Some(state) = self.instances[index].settle(now) {
                let model = self.instances[index].model.clone();
                self.note(&model, Some(state));
            }
            if self.instances[index].is_gone(now) {
                let gone = self.instances.remove(index);
                self.count(&gone.model, |counts| counts.unloads += 1);
                self.note(&gone.model, None);
                continue;
            }
            if self.instances[index].is_due(now) && !self.options.unload_sticks {
                self.begin_unload(index);
                continue;
            }
            if self.options.sleep_after.is_some_and(|time| self.instances[index].is_idle(now, time)) {
                self.instances[index].state = InstanceState::Sleeping;
                let model = self.instances[index].model.clone();
                self.note(&model, Some(InstanceState::Sleeping));
            }
            index += 1;
        }
    }

    fn personality(&self) -> Personality {
        self.options.personality
    }
}
