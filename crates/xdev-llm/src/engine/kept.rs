//! `KeptEngine`: an engine that starts when it is first used and stops when nobody uses it.
//!
//! Not here: starting and stopping themselves (`Engine`), and an engine that outlives its program
//! (`background`).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use secrecy::SecretString;
use tokio::time::Instant;

use super::{Engine, EngineOptions};
use crate::chat::Progress;
use crate::error::Result;

/// `KeptEngine` lends one engine to many users, and stops it after `idle` without any.
///
/// The stop needs a tokio runtime that is being driven. Dropping it kills the engine, leases or not.
#[derive(Debug)]
pub struct KeptEngine {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    options: EngineOptions,
    idle: Duration,
    engine: tokio::sync::Mutex<Option<Engine>>,
    usage: Arc<Mutex<Usage>>,
}

#[derive(Debug)]
struct Usage {
    leases: usize,
    last: Instant,
}

fn lock(usage: &Mutex<Usage>) -> MutexGuard<'_, Usage> {
    usage.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `Lease` keeps the engine up while it lives.
#[derive(Debug)]
pub struct Lease {
    url: String,
    key: SecretString,
    restarted: Option<String>,
    usage: Arc<Mutex<Usage>>,
}

impl Lease {
    /// The server's address, such as `http://127.0.0.1:34567`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The key the server asks for.
    pub fn key(&self) -> &SecretString {
        &self.key
    }

    /// What to tell the user when the engine had crashed since the last lease and was started again.
    pub fn restarted(&self) -> Option<&str> {
        self.restarted.as_deref()
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut usage = lock(&self.usage);
        usage.leases -= 1;
        usage.last = Instant::now();
    }
}

impl KeptEngine {
    /// Makes a keeper; nothing starts before the first lease.
    pub fn new(options: EngineOptions, idle: Duration) -> Self {
        let usage = Arc::new(Mutex::new(Usage { leases: 0, last: Instant::now() }));
        KeptEngine {
            shared: Arc::new(Shared { options, idle, engine: tokio::sync::Mutex::new(None), usage }),
        }
    }

    /// Lends the engine, starting it where it is not up.
    ///
    /// # Errors
    ///
    /// Those of [`Engine::start`] and [`Engine::ensure`].
    pub async fn lease(&self, on_progress: impl FnMut(Progress)) -> Result<Lease> {
        let mut slot = self.shared.engine.lock().await;
        let restarted = if let Some(engine) = slot.as_mut() {
            engine.ensure(on_progress).await?
        } else {
            *slot = Some(Engine::start(&self.shared.options, on_progress).await?);
            tokio::spawn(stop_when_idle(Arc::downgrade(&self.shared)));
            None
        };
        let engine = slot.as_ref().expect("both branches leave an engine in the slot");
        lock(&self.shared.usage).leases += 1;
        Ok(Lease {
            url: engine.url().to_owned(),
            key: engine.key().clone(),
            restarted,
            usage: self.shared.usage.clone(),
        })
    }

    /// Whether the engine is up.
    pub async fn is_up(&self) -> bool {
        self.shared.engine.lock().await.as_mut().is_some_and(Engine::is_alive)
    }

    /// Stops the engine, whoever uses it; the next lease starts it again.
    pub async fn stop(&self) -> Result<()> {
        match self.shared.engine.lock().await.take() {
            Some(engine) => engine.stop().await,
            None => Ok(()),
        }
    }
}

/// Stops the engine once it has been idle for long enough.
async fn stop_when_idle(shared: Weak<Shared>) {
    let mut due = match shared.upgrade() {
        Some(shared) => Instant::now() + shared.idle,
        None => return,
    };
    loop {
        tokio::time::sleep_until(due).await;
        let Some(shared) = shared.upgrade() else { return };
        let mut slot = shared.engine.lock().await;
        if slot.is_none() {
            return;
        }
        let (leases, last) = {
            let usage = lock(&shared.usage);
            (usage.leases, usage.last)
        };
        due = if leases == 0 { last } else { Instant::now() } + shared.idle;
        if due > Instant::now() {
            continue;
        }
        if let Some(engine) = slot.take()
            && let Err(error) = engine.stop().await
        {
            tracing::warn!(%error, "the idle engine could not be stopped");
        }
        return;
    }
}
