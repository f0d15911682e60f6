//! The only network code: which server, how to reach it, and one chat with it.
//!
//! [`Client`] holds the settings, the connections and what is remembered; [`Server`] is one server; [`ChatStream`] one
//! answer. Everything runs on the caller's tokio runtime and nothing is global. Not here: what goes over the wire
//! (`wire`), configuration files (`config`).

mod chunked;
mod compare;
mod discover;
pub mod doctor;
mod http;
mod http1;
mod memory;
mod retry;
mod route;
mod server;
mod stream;
mod ttl;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use secrecy::SecretString;
use tokio::sync::Semaphore;
use url::Url;

pub use compare::{Answered, Compared, Comparison, Question};
pub use discover::{Found, Look, Outcome, PORTS, Scan};
pub use memory::{
    DeviceChange, LoadRequest, Loaded, MemoryEvent, MemoryTask, Pulled, Switched, Unload, Unloaded,
};
pub use route::{Route, RoutedChat, Taken, Tried};
pub use server::{Preview, Server, ServerInfo, ServerSource};
pub use stream::{ChatStream, Limits};

use crate::config::{Origin, ServerChoice, ServerEntry, ServerUrl, Settings, normalise_url};
use crate::device::DeviceSource;
use crate::error::{Error, ErrorKind, Result};
use crate::model::ModelInfo;
use crate::wire::{Identity, Rows, ServerKind};
use http::Transport;
use retry::Adjustment;
use server::Place;
use ttl::Ttl;

/// How long a scan of this machine holds, and how long one that found nothing.
const SCAN_TTL: Duration = Duration::from_secs(300);
const EMPTY_SCAN_TTL: Duration = Duration::from_secs(5);
/// How long better-known servers are waited for after the first one answered, so that the choice does not change by
/// chance from run to run.
const CHOICE_GRACE: Duration = Duration::from_millis(25);
/// How long one question of the identification of a given server may take.
const IDENTIFY_TIMEOUT: Duration = Duration::from_millis(1500);
/// How long a question for health or models may take.
const ASK_TIMEOUT: Duration = Duration::from_secs(10);

/// `Client` talks to model servers. Cloning it is cheap and shares everything.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

/// What the servers of one client share.
pub(crate) struct Inner {
    settings: Settings,
    rows: Arc<Rows>,
    transport: Transport,
    identities: Ttl<String, Arc<Identity>>,
    models: Ttl<String, Arc<[ModelInfo]>>,
    infos: Ttl<String, ServerInfo>,
    scans: Ttl<(), Vec<Found>>,
    chosen: Ttl<(), Found>,
    permits: Mutex<HashMap<String, Arc<Semaphore>>>,
    adjustments: Mutex<HashMap<String, Adjustment>>,
    memory: Mutex<memory::Memory>,
    /// The memory of this machine; none where nobody can tell.
    devices: Option<DeviceSource>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

impl Client {
    /// Makes a client. Opens nothing and reads no file.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for a wrong row under `[kinds]`.
    pub fn new(settings: Settings) -> Result<Client> {
        #[cfg(feature = "device")]
        let devices = Some(DeviceSource::this_machine());
        #[cfg(not(feature = "device"))]
        let devices = None;
        Client::with_devices(settings, devices)
    }

    /// Makes a client that takes these devices for those of this machine.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for a wrong row under `[kinds]`.
    pub fn with_devices(settings: Settings, devices: Option<DeviceSource>) -> Result<Client> {
        let rows = Rows::default().with_kinds(&kinds(&settings)?)?;
        let inner = Inner {
            transport: Transport::new(settings.allow_hosts.to_vec()),
            rows: Arc::new(rows),
            settings,
            identities: Ttl::default(),
            models: Ttl::default(),
            infos: Ttl::default(),
            scans: Ttl::default(),
            chosen: Ttl::default(),
            permits: Mutex::default(),
            adjustments: Mutex::default(),
            memory: Mutex::default(),
            devices,
        };
        Ok(Client { inner: Arc::new(inner) })
    }

    /// The settings it was made with.
    pub fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    /// The row of every known kind of server.
    pub fn rows(&self) -> &Rows {
        &self.inner.rows
    }

    /// The server to talk to: `choice` is a URL or a name from the configuration. Without one it is the configured
    /// server, and only where none is configured the first one found on this machine.
    ///
    /// # Errors
    /// [`ErrorKind::Unreachable`] when none was given and none was found; [`ErrorKind::InvalidInput`] for a text that is
    /// neither a URL nor a name; [`ErrorKind::Config`] for a key that cannot be read.
    pub async fn server(&self, choice: Option<&str>) -> Result<Server> {
        let settings = &self.inner.settings;
        let given = match choice {
            Some(choice) => settings.find_server(choice)?,
            None => settings.server_choice()?,
        };
        if let ServerChoice::Given { url, name, entry } = given {
            let source = match &name {
                Some(name) => ServerSource::Configured(settings.servers[name].origin.to_string()),
                None if choice.is_some() || matches!(settings.server.origin, Origin::Flag(_)) => {
                    ServerSource::Given
                }
                None => ServerSource::Configured(settings.server.origin.to_string()),
            };
            return self.configured(&url, entry.map(|entry| *entry), source);
        }
        self.first_server().await
    }

    /// The first model server found on this machine, whatever the configuration names. Remembered for 300 seconds, and
    /// looked for again where it went away or something else took its place.
    ///
    /// # Errors
    /// [`ErrorKind::Unreachable`] when none was found; [`ErrorKind::Config`] for a key that cannot be read.
    pub async fn first_server(&self) -> Result<Server> {
        loop {
            let is_new = AtomicBool::new(false);
            let ask = || async {
                is_new.store(true, Ordering::Relaxed);
                let found = self.first_found().await.ok_or_else(nothing_found)?;
                Ok((found, SCAN_TTL))
            };
            let found = self.inner.chosen.get((), Instant::now, ask).await?;
            let key = self.inner.settings.key_for(&found.url)?;
            let server = self.attach(&found.url, found.kind, key, ServerSource::Discovered)?;
            // A prompt goes only to what is known to be a model server now.
            if is_new.into_inner() || server.is_still_itself().await {
                return Ok(server);
            }
            server.forget();
        }
    }

    /// Forgets which servers were found on this machine, so that they are looked for again.
    pub fn forget_found(&self) {
        self.inner.chosen.forget(&());
        self.inner.scans.forget(&());
    }

    /// A server known otherwise, such as the built-in engine.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] when `url` is none.
    pub fn attach(
        &self,
        url: &str,
        kind: ServerKind,
        key: Option<SecretString>,
        source: ServerSource,
    ) -> Result<Server> {
        let place = place(&normalise_url(url)?, source)?;
        Ok(self.make(Place { kind: Some(kind), key, ..place }))
    }

    /// All model servers on this machine. Remembered for 300 seconds, an empty list for five.
    ///
    /// Remembered for 300 seconds where some were found; [`forget_found`](Client::forget_found) ends that.
    pub async fn discover(&self) -> Vec<Found> {
        let ask = || async {
            let (mut scan, mut all) = (self.scan(), Vec::new());
            while let Some(found) = scan.next().await {
                all.push(found);
            }
            let ports = self.ports();
            all.sort_by_key(|found| rank(&ports, found));
            let holds = if all.is_empty() { EMPTY_SCAN_TTL } else { SCAN_TTL };
            Ok((all, holds))
        };
        self.inner.scans.get((), Instant::now, ask).await.unwrap_or_default()
    }

    /// Looks for model servers now; they are reported as they answer, and everything ends after 300 ms.
    pub fn scan(&self) -> Scan {
        Scan::start(&self.ports(), &self.inner.rows)
    }

    /// What really is at a port of this machine, on both loopback addresses.
    pub async fn examine(&self, port: u16) -> Vec<Look> {
        let [v4, v6] = http::loopback(port);
        let rows = &self.inner.rows;
        let (first, second) = tokio::join!(discover::look(v4, rows), discover::look(v6, rows));
        vec![Look { address: v4, outcome: first }, Look { address: v6, outcome: second }]
    }

    /// The ports that are looked at, in the order of preference; the configuration's own come first.
    pub fn ports(&self) -> Vec<u16> {
        let mut ports = self.inner.settings.discovery_ports.to_vec();
        for port in PORTS {
            if !ports.contains(&port) {
                ports.push(port);
            }
        }
        ports
    }

    /// The first server that answers, unless a better one answers a moment later: one that can be used as it is, and
    /// then the one that stands first in the list of ports.
    async fn first_found(&self) -> Option<Found> {
        let mut scan = self.scan();
        let ports = self.ports();
        let order = |found: &Found| (self.obstacles(found), rank(&ports, found));
        let mut best = scan.next().await?;
        let until = tokio::time::Instant::now() + CHOICE_GRACE;
        while let Ok(Some(found)) = tokio::time::timeout_at(until, scan.next()).await {
            if order(&found) < order(&best) {
                best = found;
            }
        }
        Some(best)
    }

    /// What stands between a found server and an answer: 0 nothing, 1 no model that chats, 2 a key that is not there.
    fn obstacles(&self, found: &Found) -> u8 {
        if found.needs_key {
            return if matches!(self.inner.settings.key_for(&found.url), Ok(Some(_))) { 0 } else { 2 };
        }
        u8::from(!found.loading && !found.models.iter().any(|model| model.kind.can_chat()))
    }

    fn configured(
        &self,
        url: &ServerUrl,
        entry: Option<ServerEntry>,
        source: ServerSource,
    ) -> Result<Server> {
        let key = self.inner.settings.key_for(&url.shown)?;
        let place = Place { key, ..place(url, source)? };
        let Some(entry) = entry else { return Ok(self.make(place)) };
        let api = match entry.api.as_deref() {
            None | Some("auto") => None,
            Some(name) => Some(serde_json::from_value(name.into()).map_err(|_| {
                Error::new(
                    ErrorKind::Config,
                    format!("`api = \"{name}\"` is none of auto, openai, ollama, lmstudio."),
                )
            })?),
        };
        Ok(self.make(Place {
            kind: entry.kind.map(ServerKind::new),
            api,
            model: entry.model,
            context_length: entry.context_length,
            concurrency: entry.concurrency,
            ..place
        }))
    }

    fn make(&self, place: Place) -> Server {
        Server { inner: Arc::clone(&self.inner), place: Arc::new(place) }
    }
}

impl Inner {
    /// The largest `max_tokens` that may be asked for.
    pub(crate) fn max_tokens_limit(&self) -> u32 {
        *self.settings.max_tokens_limit
    }

    /// The turns at one server.
    fn permit(&self, place: &Place) -> Arc<Semaphore> {
        let mut permits = self.permits.lock().unwrap_or_else(PoisonError::into_inner);
        let count = place.concurrency.unwrap_or(*self.settings.concurrency) as usize;
        Arc::clone(
            permits.entry(place.shown.clone()).or_insert_with(|| Arc::new(Semaphore::new(count.max(1)))),
        )
    }

    /// What one server is known to refuse.
    fn adjustment(&self, server: &str) -> Adjustment {
        self.adjustments
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(server)
            .cloned()
            .unwrap_or_default()
    }

    fn remember_adjustment(&self, server: &str, adjustment: &Adjustment) {
        let mut adjustments = self.adjustments.lock().unwrap_or_else(PoisonError::into_inner);
        adjustments.insert(server.to_owned(), adjustment.clone());
    }
}

/// The rows of the configuration, as JSON.
fn kinds(
    settings: &Settings,
) -> Result<std::collections::BTreeMap<String, serde_json::Map<String, serde_json::Value>>> {
    let rows = settings.kinds.iter().map(|(name, table)| match serde_json::to_value(&table.value) {
        Ok(serde_json::Value::Object(fields)) => Ok((name.clone(), fields)),
        _ => Err(Error::new(ErrorKind::Config, format!("[kinds.{name}] in your config is not a table."))),
    });
    rows.collect()
}

/// Where a URL is, with nothing else known about it.
fn place(url: &ServerUrl, source: ServerSource) -> Result<Place> {
    let parse = |text: &str| {
        Url::parse(text)
            .map_err(|error| Error::invalid_input(format!("Invalid server URL: {text} ({error}).")))
    };
    Ok(Place {
        root: parse(&url.root)?,
        api_base: url.api_base.as_deref().map(parse).transpose()?,
        shown: url.shown.clone(),
        source,
        kind: None,
        api: None,
        key: None,
        model: None,
        context_length: None,
        concurrency: None,
        dialect: Mutex::default(),
    })
}

/// How far down the list of ports a server stands.
fn rank(ports: &[u16], found: &Found) -> usize {
    let port = Url::parse(&found.url).ok().and_then(|url| url.port());
    ports.iter().position(|known| Some(*known) == port).unwrap_or(ports.len())
}

fn nothing_found() -> Error {
    Error::new(ErrorKind::Unreachable, "No model server was found on this machine.").with_hint(
        "Start one (LM Studio: Developer tab, Start server; Ollama: `ollama serve`), name another, or install the built-in engine: `xdev-llm engine install`.",
    )
}
