//! How instances come and go: a load, what gives way for it, and the lease a generation has on an instance.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::{Instance, InstanceState, Memory, State};
use crate::model::Model;
use crate::personality::Personality;

/// `Load` says what is loaded, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Load {
    pub(crate) model: String,
    /// The id of the new instance.
    pub(crate) instance: String,
    pub(crate) context_length: usize,
    pub(crate) just_in_time: bool,
    /// How long it stays without work; `None` for ever.
    pub(crate) keep: Option<Duration>,
}

impl Load {
    pub(crate) fn new(model: &str, context_length: usize) -> Load {
        Load {
            model: model.to_owned(),
            instance: model.to_owned(),
            context_length,
            just_in_time: false,
            keep: None,
        }
    }
}

/// `Progress` is how far a load is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Progress<T> {
    Waiting,
    Done(T),
    Failed(String),
}

/// `Lease` holds an instance for one generation. Dropping it gives the instance back.
pub(crate) struct Lease {
    memory: Memory,
    serial: u64,
    pub(crate) instance: String,
    stopped: Arc<AtomicBool>,
}

impl Lease {
    /// Whether the instance was taken away under the generation.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut state = self.memory.state();
        if let Some(instance) = state.instances.iter_mut().find(|one| one.serial == self.serial) {
            instance.running = instance.running.saturating_sub(1);
            instance.used = Instant::now();
        }
    }
}

impl Memory {
    /// Takes a loaded instance for a generation: the one of that id, or the first of the model.
    pub(crate) fn lease(&self, id: &str) -> Option<Lease> {
        let mut state = self.state();
        let found = |one: &Instance| one.is_loaded() && one.id == id;
        let index = state
            .instances
            .iter()
            .position(found)
            .or_else(|| state.instances.iter().position(|one| one.is_loaded() && one.model == id))?;
        Some(self.take(&mut state, index))
    }

    fn take(&self, state: &mut State, index: usize) -> Lease {
        let instance = &mut state.instances[index];
        instance.running += 1;
        (instance.used, instance.fresh) = (Instant::now(), false);
        Lease {
            memory: self.clone(),
            serial: instance.serial,
            instance: instance.id.clone(),
            stopped: Arc::clone(&instance.stopped),
        }
    }

    /// Goes on with a chat's or a request's wish to have a model: loads it, waits for what is on its way, and loads it
    /// anew where `exact` and its context is another. `begun` is the caller's memory of the load it waits for.
    pub(crate) fn ensure(&self, load: &Load, exact: bool, begun: &mut Option<u64>) -> Progress<Lease> {
        let mut state = self.state();
        if state.model(&load.model).is_none() {
            return Progress::Failed(format!("model '{}' is not there any more", load.model));
        }
        let Some(index) = state.instances.iter().position(|one| one.model == load.model) else {
            if let Some(serial) = state.begin_load(load.clone()) {
                *begun = Some(serial);
            }
            return Progress::Waiting;
        };
        let instance = &state.instances[index];
        match instance.state {
            InstanceState::Loading => {
                begun.get_or_insert(instance.serial);
                Progress::Waiting
            }
            InstanceState::Unloading => Progress::Waiting,
            InstanceState::Failed if *begun == Some(instance.serial) => {
                Progress::Failed(instance.failure.clone().unwrap_or_default())
            }
            InstanceState::Failed => {
                state.instances.remove(index);
                Progress::Waiting
            }
            InstanceState::Sleeping => {
                state.wake(index);
                Progress::Waiting
            }
            InstanceState::Loaded if exact && instance.context_length != load.context_length => {
                if instance.running == 0 {
                    state.reload(index, load.context_length);
                }
                Progress::Waiting
            }
            InstanceState::Loaded => Progress::Done(self.take(&mut state, index)),
        }
    }
}

impl State {
    /// Whether a running generation is waited for before its model gives way.
    fn waits_for_generations(&self) -> bool {
        matches!(self.personality(), Personality::Ollama | Personality::LlamaSwap | Personality::Lemonade)
    }

    /// Begins a load and gives its serial; `None` while there is no room and others are on their way out.
    pub(crate) fn begin_load(&mut self, load: Load) -> Option<u64> {
        let model = self.model(&load.model)?.clone();
        self.instances.retain(|one| one.id != load.instance || one.state != InstanceState::Failed);
        if load.just_in_time && self.options.auto_evict && self.personality().is_lmstudio() {
            self.evict_all(|one| one.just_in_time);
        }
        if !self.make_room(&model, load.context_length) {
            return None;
        }
        self.serial += 1;
        let serial = self.serial;
        let failure = self.options.load_failure.clone().or_else(|| self.lack_of_memory(&model, &load));
        let free = self.options.vram_total_bytes.map(|total| total.saturating_sub(self.vram_used()));
        let name = load.model.clone();
        let mut instance = Instance::loading(load, serial, Instant::now() + self.options.load_delay);
        instance.failure = failure;
        // Ollama puts what does not fit into the machine's memory; the others have failed by now.
        instance.vram_limit = free;
        self.instances.push(instance);
        self.count(&name, |counts| counts.loads += 1);
        self.note(&name, Some(InstanceState::Loading));
        self.settle(Instant::now());
        Some(serial)
    }

    /// Sends away what a load needs the place of; false while that is not gone yet.
    fn make_room(&mut self, model: &Model, context_length: usize) -> bool {
        let waits = self.waits_for_generations();
        loop {
            let leaving = |one: &Instance| one.state == InstanceState::Unloading;
            let stays = |one: &Instance| one.state != InstanceState::Failed && !leaving(one);
            let count = self.instances.iter().filter(|one| stays(one) || (waits && leaving(one))).count();
            let full = self.options.max_loaded.is_some_and(|limit| count >= limit.max(1));
            let need = self.vram_used() + model.memory_bytes(context_length);
            let short = self.personality() == Personality::Ollama
                && count > 0
                && self.options.vram_total_bytes.is_some_and(|total| need > total);
            if !full && !short {
                return true;
            }
            if waits && self.instances.iter().any(leaving) {
                return false;
            }
            let may_go = |one: &&Instance| stays(one) && (!waits || (one.running == 0 && one.is_loaded()));
            let oldest = self.instances.iter().filter(may_go).min_by_key(|one| (one.used, one.serial));
            let Some(serial) = oldest.map(|one| one.serial) else {
                return !waits;
            };
            self.evict_all(|one| one.serial == serial);
            self.settle(Instant::now());
        }
    }

    /// Why a model finds no place, in the server's words.
    fn lack_of_memory(&self, model: &Model, load: &Load) -> Option<String> {
        const GIB: f64 = 1_073_741_824.0;
        let free = self.options.vram_total_bytes?.saturating_sub(self.vram_used());
        let need = model.memory_bytes(load.context_length);
        let available = match self.personality() {
            Personality::Ollama => free.saturating_add(self.options.ram_total_bytes.unwrap_or(u64::MAX)),
            _ => free,
        };
        if need <= available {
            return None;
        }
        let (need, available) = (need as f64 / GIB, available as f64 / GIB);
        Some(match self.personality() {
            personality if personality.is_lmstudio() => format!(
                "Model loading was stopped due to insufficient system resources. Under the current settings, this \
                 model requires approximately {need:.2} GB of memory."
            ),
            Personality::Ollama => format!(
                "model requires more system memory ({need:.1} GiB) than is available ({available:.1} GiB)"
            ),
            _ => format!(
                "CUDA out of memory. Tried to allocate {need:.2} GiB. GPU 0 has {available:.2} GiB free."
            ),
        })
    }

    /// Unloads instances whatever the options say, and cuts what runs on them.
    fn evict_all(&mut self, which: impl Fn(&Instance) -> bool) {
        for index in 0..self.instances.len() {
            let instance = &self.instances[index];
            let leaves = matches!(instance.state, InstanceState::Unloading | InstanceState::Failed);
            if !leaves && which(instance) {
                self.begin_unload(index);
            }
        }
    }

    pub(super) fn begin_unload(&mut self, index: usize) {
        let delay = self.options.unload_delay;
        let instance = &mut self.instances[index];
        instance.stop();
        instance.state = InstanceState::Unloading;
        instance.changes_at = Instant::now() + delay;
        let model = instance.model.clone();
        self.note(&model, Some(InstanceState::Unloading));
    }

    /// Unloads an instance and cuts what runs on it; false when there is none. Where unloads are told to stick, it says
    /// yes and does nothing.
    pub(crate) fn unload(&mut self, id: &str) -> bool {
        let present = |one: &Instance| {
            one.id == id && !matches!(one.state, InstanceState::Failed | InstanceState::Unloading)
        };
        let Some(index) = self.instances.iter().position(present) else {
            return false;
        };
        if !self.options.unload_sticks {
            self.begin_unload(index);
            self.settle(Instant::now());
        }
        true
    }

    /// Unloads every instance that is there; gives how many.
    pub(crate) fn unload_all(&mut self) -> usize {
        let ids: Vec<String> = self.instances.iter().map(|one| one.id.clone()).collect();
        ids.iter().filter(|id| self.unload(id)).count()
    }

    /// Drops everything at once and begins to load that model, as a process does that is started anew.
    pub(crate) fn restart(&mut self, model: Option<&str>) {
        if self.options.unload_sticks {
            return;
        }
        for index in 0..self.instances.len() {
            self.begin_unload(index);
            self.instances[index].changes_at = Instant::now();
        }
        self.settle(Instant::now());
        if let Some(model) = model.and_then(|model| self.model(model)).cloned() {
            let length = self.usual_context(&model);
            self.begin_load(Load::new(&model.id, length));
        }
    }

    /// Lets a model stay so long without work from now on; 0 sends it away once it is idle.
    pub(crate) fn keep(&mut self, model: &str, keep: Option<Duration>) {
        let now = Instant::now();
        for instance in self.instances.iter_mut().filter(|one| one.model == model) {
            (instance.keep, instance.used, instance.fresh) = (keep, now, false);
        }
        self.settle(now);
    }

    /// Gives a load up: it is as if it had never begun.
    pub(crate) fn cancel_load(&mut self, serial: u64) {
        let found = |one: &Instance| one.serial == serial && one.state == InstanceState::Loading;
        if let Some(index) = self.instances.iter().position(found) {
            self.begin_unload(index);
            self.settle(Instant::now());
        }
    }

    /// Ends a load before its time, as one that failed.
    pub(crate) fn abort_load(&mut self, id: &str, failure: &str) {
        let found = |one: &&mut Instance| one.id == id && one.state == InstanceState::Loading;
        if let Some(instance) = self.instances.iter_mut().find(found) {
            instance.failure = Some(failure.to_owned());
            instance.changes_at = Instant::now();
            self.settle(Instant::now());
        }
    }

    /// Takes the memory of all instances back until they are woken, and cuts what runs on them.
    pub(crate) fn put_to_sleep(&mut self) {
        for instance in self.instances.iter_mut().filter(|one| one.is_loaded()) {
            instance.stop();
            instance.stopped = Arc::default();
            instance.state = InstanceState::Sleeping;
        }
    }

    /// Wakes what sleeps; it takes as long as a load.
    pub(crate) fn wake_all(&mut self) {
        for index in 0..self.instances.len() {
            if self.instances[index].state == InstanceState::Sleeping {
                self.wake(index);
            }
        }
        self.settle(Instant::now());
    }

    fn wake(&mut self, index: usize) {
        let now = Instant::now();
        let instance = &mut self.instances[index];
        instance.state = InstanceState::Loading;
        instance.fresh = true;
        (instance.began, instance.changes_at) = (now, now + self.options.load_delay);
    }

    fn reload(&mut self, index: usize, context_length: usize) {
        let delay = self.options.unload_delay + self.options.load_delay;
        let failure = self.options.load_failure.clone();
        self.serial += 1;
        let serial = self.serial;
        let instance = &mut self.instances[index];
        instance.state = InstanceState::Loading;
        instance.context_length = context_length;
        instance.failure = failure;
        instance.serial = serial;
        instance.began = Instant::now();
        instance.changes_at = instance.began + delay;
        let model = instance.model.clone();
        self.count(&model, |counts| counts.reloads += 1);
        self.note(&model, Some(InstanceState::Loading));
        self.settle(Instant::now());
    }
}
