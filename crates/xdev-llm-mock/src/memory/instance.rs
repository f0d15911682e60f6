//! One instance of a model: its state, what it was loaded with, and who works with it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::load::Load;

/// How long an instance that nobody has worked with yet stays at least.
const MOMENT: Duration = Duration::from_millis(200);

/// `InstanceState` says where an instance is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum InstanceState {
    /// On its way into memory.
    Loading,
    /// In memory, ready to answer.
    Loaded,
    /// Known to the server, its memory given back until it is asked again.
    Sleeping,
    /// On its way out of memory.
    Unloading,
    /// It could not be loaded; it takes no memory.
    Failed,
}

impl InstanceState {
    /// The name in the JSON of the control routes.
    pub fn name(self) -> &'static str {
        match self {
            InstanceState::Loading => "loading",
            InstanceState::Loaded => "loaded",
            InstanceState::Sleeping => "sleeping",
            InstanceState::Unloading => "unloading",
            InstanceState::Failed => "failed",
        }
    }
}

/// `Instance` is a model in memory, or on its way in or out.
#[derive(Debug, Clone)]
pub struct Instance {
    /// The id it is unloaded by: the model's, with `:2` and so on where a server holds several of one model.
    pub id: String,
    /// The id of its model.
    pub model: String,
    /// Where it is in its life.
    pub state: InstanceState,
    /// Tokens of context it was loaded with.
    pub context_length: usize,
    /// Whether a chat loaded it, and not a request to load.
    pub just_in_time: bool,
    /// How long it stays without work; `None` for ever.
    pub keep: Option<Duration>,
    /// Generations that run on it.
    pub running: usize,
    /// Why it failed.
    pub failure: Option<String>,
    pub(super) serial: u64,
    pub(super) vram_limit: Option<u64>,
    pub(super) used: Instant,
    /// Whether nobody has worked with it since its load: who waits for it is given a moment.
    pub(super) fresh: bool,
    /// When its load began.
    pub(super) began: Instant,
    /// When the state it is in ends: a load or an unload.
    pub(super) changes_at: Instant,
    pub(super) stopped: Arc<AtomicBool>,
}

impl Instance {
    pub(super) fn loading(load: Load, serial: u64, ready_at: Instant) -> Instance {
        Instance {
            id: load.instance,
            model: load.model,
            state: InstanceState::Loading,
            context_length: load.context_length,
            just_in_time: load.just_in_time,
            keep: load.keep,
            running: 0,
            failure: None,
            serial,
            vram_limit: None,
            used: Instant::now(),
            fresh: true,
            began: Instant::now(),
            changes_at: ready_at,
            stopped: Arc::default(),
        }
    }

    pub(super) fn loaded(load: Load, serial: u64) -> Instance {
        let mut instance = Instance::loading(load, serial, Instant::now());
        (instance.state, instance.fresh) = (InstanceState::Loaded, false);
        instance
    }

    /// Whether lists of what is loaded have it: from the moment it is ready until it is gone.
    pub(crate) fn is_listed(&self) -> bool {
        !matches!(self.state, InstanceState::Loading | InstanceState::Failed)
    }

    pub(crate) fn is_loaded(&self) -> bool {
        self.state == InstanceState::Loaded
    }

    /// How much of its load is done, from 0 to 1.
    pub(crate) fn progress(&self) -> f64 {
        let whole = self.changes_at.saturating_duration_since(self.began).as_secs_f64();
        let done = self.began.elapsed().as_secs_f64();
        if self.state == InstanceState::Loading && whole > 0.0 { (done / whole).min(1.0) } else { 1.0 }
    }

    pub(super) fn holds_memory(&self) -> bool {
        !matches!(self.state, InstanceState::Failed | InstanceState::Sleeping)
    }

    /// Cuts every generation that runs on it.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// When it would go, if nobody asks it anything; `None` for never.
    pub(crate) fn expires_in(&self) -> Option<Duration> {
        self.keep.map(|keep| keep.saturating_sub(self.used.elapsed()))
    }

    /// Ends a load whose time is over; gives the new state.
    pub(super) fn settle(&mut self, now: Instant) -> Option<InstanceState> {
        if self.state != InstanceState::Loading || now < self.changes_at {
            return None;
        }
        self.state = if self.failure.is_some() { InstanceState::Failed } else { InstanceState::Loaded };
        self.used = now;
        Some(self.state)
    }

    pub(super) fn is_gone(&self, now: Instant) -> bool {
        self.state == InstanceState::Unloading && now >= self.changes_at
    }

    /// Whether it was idle for as long as it may be.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.keep.is_some_and(|keep| self.is_idle(now, keep))
    }

    /// Whether it had no work for so long.
    pub(super) fn is_idle(&self, now: Instant, time: Duration) -> bool {
        let time = if self.fresh { time.max(MOMENT) } else { time };
        self.is_loaded() && self.running == 0 && now.saturating_duration_since(self.used) >= time
    }
}
