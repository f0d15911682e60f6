//! Finds model servers on this machine: every known port, both loopback addresses, all at once.
//!
//! Only GETs, no credentials, and a hard stop after 300 ms whatever hangs. What answers is told apart by content
//! (`wire::identify`), so a web page on a well-known port is never taken for a server. Servers are reported as they
//! answer. Not here: what is remembered, and which server is taken (`mod`).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{timeout, timeout_at};

use super::http::{USER_AGENT, loopback};
use super::http1::{Connection, Head, request_head};
use crate::model::ModelInfo;
use crate::wire::{Answer, Identity, Investigation, Rows, ServerKind, Verdict, dialect};

/// The ports that are looked at, in the order of preference: the spec's, then those of further servers.
pub const PORTS: [u16; 14] =
    [1234, 8000, 8080, 11434, 5000, 3000, 9931, 5001, 1337, 30000, 4000, 4891, 12434, 13305];

/// Everything ends after this, whatever hangs.
const HARD_STOP: Duration = Duration::from_millis(300);
/// How long the IPv4 answer of a port is waited for when the IPv6 one came first: most servers give both.
const PREFER_IPV4: Duration = Duration::from_millis(5);
/// How much of a body is looked at.
const BODY_CAP: usize = 64 << 10;

/// `Found` is a model server that answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// Its address, such as `http://127.0.0.1:1234`.
    pub url: String,
    /// What it is.
    pub kind: ServerKind,
    /// Its name for people.
    pub name: String,
    /// Its version, where it tells.
    pub version: Option<String>,
    /// Its models; empty where they could not be read in time or without a key.
    pub models: Vec<ModelInfo>,
    /// Whether it wants a key.
    pub needs_key: bool,
    /// Whether it is still loading its model.
    pub loading: bool,
    /// How long it took to know what it is.
    pub latency: Duration,
}

impl Serialize for Found {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Found", 5)?;
        fields.serialize_field("url", &self.url)?;
        fields.serialize_field("kind", &self.kind)?;
        fields.serialize_field("version", &self.version)?;
        let models: Vec<_> = self.models.iter().map(|model| &model.id).collect();
        fields.serialize_field("models", &models)?;
        fields.serialize_field("latency_ms", &((self.latency.as_secs_f64() * 1e6).round() / 1e3))?;
        fields.end()
    }
}

/// `Look` says what is really at an address.
#[derive(Clone, Debug, PartialEq)]
pub struct Look {
    /// The address.
    pub address: SocketAddr,
    /// What is there.
    pub outcome: Outcome,
}

/// `Outcome` is what a look at an address found.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Nothing listens.
    Closed,
    /// Something listens and says nothing that can be read.
    Silent,
    /// Something that is no model server; the text says what.
    Stranger(String),
    /// A model server.
    Server(Found),
}

/// `Scan` reports model servers as they answer. Dropping it ends the scan.
#[derive(Debug)]
pub struct Scan {
    found: mpsc::UnboundedReceiver<Found>,
    _tasks: JoinSet<()>,
}

impl Scan {
    /// Starts looking at `ports`, on the runtime of the caller.
    pub(super) fn start(ports: &[u16], rows: &Arc<Rows>) -> Scan {
        let (report, found) = mpsc::unbounded_channel();
        let mut tasks = JoinSet::new();
        for &port in ports {
            let (report, rows) = (report.clone(), Arc::clone(rows));
            tasks.spawn(async move { look_at_port(port, &rows, &report).await });
        }
        Scan { found, _tasks: tasks }
    }

    /// The next server that answered; `None` when all have been looked at.
    pub async fn next(&mut self) -> Option<Found> {
        self.found.recv().await
    }
}

/// Looks at both addresses of a port and reports what is there once.
async fn look_at_port(port: u16, rows: &Rows, report: &mpsc::UnboundedSender<Found>) {
    let [v4, v6] = loopback(port);
    let (mut v4, mut v6) = (Box::pin(look(v4, rows)), Box::pin(look(v6, rows)));
    let send = |outcome| {
        if let Outcome::Server(found) = outcome {
            // Nobody listens any more when the scan was dropped.
            let _ = report.send(found);
        }
    };
    tokio::select! {
        first = &mut v4 => {
            let kind = server_kind(&first);
            send(first);
            let second = v6.await;
            if server_kind(&second) != kind {
                send(second);
            }
        }
        second = &mut v6 => {
            let kind = server_kind(&second);
            if kind.is_some() && let Ok(first) = timeout(PREFER_IPV4, &mut v4).await {
                if server_kind(&first) != kind {
                    send(second);
                }
                send(first);
                return;
            }
            send(second);
            let first = v4.await;
            if server_kind(&first) != kind {
                send(first);
            }
        }
    }
}

fn server_kind(outcome: &Outcome) -> Option<ServerKind> {
    match outcome {
        Outcome::Server(found) => Some(found.kind.clone()),
        _ => None,
    }
}

/// Looks at one address, for at most [`HARD_STOP`].
pub(super) async fn look(address: SocketAddr, rows: &Rows) -> Outcome {
    let start = Instant::now();
    let stop = tokio::time::Instant::now() + HARD_STOP;
    let mut line = Line { address, host: address.to_string(), connection: None };
    match timeout_at(stop, Connection::open(&[address])).await {
        Ok(Ok(connection)) => line.connection = Some(connection),
        Ok(Err(_)) => return Outcome::Closed,
        Err(_) => return Outcome::Silent,
    }
    let mut investigation = Investigation::new(address.port());
    let asked = timeout_at(stop, async {
        while let Some(path) = investigation.next() {
            match line.get(path).await {
                Some((head, body)) => investigation.observe(&Answer {
                    path,
                    status: head.status,
                    headers: &head.headers,
                    body: &body,
                }),
                None => investigation.no_answer(),
            }
        }
    })
    .await;
    if asked.is_err() {
        return Outcome::Silent;
    }
    let identity = match investigation.verdict() {
        Verdict::Stranger(why) => return Outcome::Stranger(why),
        Verdict::Server(identity) => identity,
    };
    let latency = start.elapsed();
    let mut models = identity.models.clone();
    if models.is_none() && !identity.needs_key && !identity.loading {
        models = timeout_at(stop, line.models(rows, &identity)).await.ok();
    }
    Outcome::Server(Found {
        url: format!("http://{}", line.host),
        name: rows.row(&identity.kind).name.clone(),
        kind: identity.kind,
        version: identity.version,
        models: models.unwrap_or_default(),
        needs_key: identity.needs_key,
        loading: identity.loading,
        latency,
    })
}

/// A connection to one address that is opened again when the server closes it.
struct Line {
    address: SocketAddr,
    host: String,
    connection: Option<Connection>,
}

impl Line {
    /// Sends a GET; `None` when no readable answer came.
    async fn get(&mut self, path: &str) -> Option<(Head, Vec<u8>)> {
        let headers = [("Accept", "application/json"), ("User-Agent", USER_AGENT)];
        let request = request_head("GET", path, &self.host, &headers, None);
        loop {
            let connection = match self.connection.take().filter(Connection::is_alive) {
                Some(connection) => connection,
                None => Connection::open(&[self.address]).await.ok()?,
            };
            let was_used = connection.is_used;
            match connection.send(&request, &[]).await {
                Ok((head, mut body)) => {
                    let (mut whole, mut piece) = (Vec::new(), Vec::new());
                    while body.read(&mut piece).await.ok()? {
                        whole.extend_from_slice(&piece);
                        if whole.len() >= BODY_CAP {
                            whole.truncate(BODY_CAP);
                            return Some((head, whole));
                        }
                    }
                    self.connection = body.into_connection();
                    return Some((head, whole));
                }
                Err(failure) if was_used && failure.nothing_came => {}
                Err(_) => return None,
            }
        }
    }

    /// Asks for the models as this kind of server wants to be asked.
    async fn models(&mut self, rows: &Rows, identity: &Identity) -> Vec<ModelInfo> {
        let row = rows.row(&identity.kind).clone();
        let base = row.api_base.clone();
        let dialect = dialect(row);
        let mut models = Vec::new();
        for (index, call) in dialect.models().iter().enumerate() {
            let path =
                if call.path.starts_with('/') { call.path.clone() } else { format!("{base}/{}", call.path) };
            let Some((head, body)) = self.get(&path).await else { continue };
            let Ok(body) = serde_json::from_slice(&body) else { continue };
            if head.status == 200
                && dialect.read_models(index, &body, &mut models).is_ok_and(|flow| flow.is_break())
            {
                break;
            }
        }
        models
    }
}
