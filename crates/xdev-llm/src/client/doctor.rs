//! The doctor: walks every step between a person and an answer; each check is ok or says the cure.
//!
//! [`Client::doctor`] walks with a client that there is; [`walk`] also where the configuration may be wrong and where the
//! caller decides who answers, such as the command with its built-in engine. Not here: what the servers say (`discover`,
//! `server`), how a check looks on a terminal (the command).

use std::convert::Infallible;
use std::env;
use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Duration;

use serde::Serialize;
use tokio::task::JoinSet;

use super::{Client, Limits, Look, Outcome, Route, Server, ServerInfo, ServerSource};
use crate::chat::{ChatRequest, Message, Sampling};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{LoadState, is_same_model, nearest, pick};
use crate::wire::Health;

/// The variables that send requests through a proxy.
const PROXY_VARIABLES: [&str; 4] = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"];

/// `Status` says how a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// As it should be.
    Ok,
    /// An answer can be had all the same.
    Warn,
    /// No answer can be had.
    Fail,
}

impl Status {
    /// The name in JSON and on the terminal.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Ok => "ok",
            Status::Warn => "warn",
            Status::Fail => "fail",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// `Check` is one line of the report. It prints as that line, with the cure on a line of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// How it came out.
    pub status: Status,
    /// What was looked at: `proxy`, `localhost`, `config`, `port N`, `ports`, `route`, `url`, `server`, `token`, `health`,
    /// `model` or `answer`.
    pub name: String,
    /// What was seen, in the server's words where it said any.
    pub message: String,
    /// What to do; there unless the status is ok.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cure: Option<String>,
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<4}  {:<10}  {}", self.status, self.name, self.message)?;
        match &self.cure {
            Some(cure) => write!(f, "\n                  {cure}"),
            None => Ok(()),
        }
    }
}

/// `Report` is what the doctor found. It prints as plain text: a line a check, and whether it works.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Whether an answer can be had: no check failed.
    pub works: bool,
    /// The checks, in the order they were made; the walk ends with the first step that fails.
    pub checks: Vec<Check>,
}

impl Report {
    /// Whether it works, as a sentence.
    pub fn verdict(&self) -> &'static str {
        if self.works { "It works." } else { "It does not work yet: see the lines that say fail." }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for check in &self.checks {
            writeln!(f, "{check}")?;
        }
        write!(f, "\n{}", self.verdict())
    }
}

impl Client {
    /// Looks at everything between here and an answer of `server`, a URL or a name from the configuration, and asks it
    /// for one token of `model`. Without one it is the configured server or else the first found, and the configured
    /// model. Everything is asked anew. `on_check` sees each check as soon as it is made.
    pub async fn doctor(
        &self,
        server: Option<&str>,
        model: Option<&str>,
        mut on_check: impl FnMut(&Check),
    ) -> Report {
        let connect = async |client: Client| {
            // What is remembered may be older than the fault.
            client.inner.chosen.forget(&());
            let route = client.route(server, model).await?;
            route.server.forget();
            Ok(route)
        };
        let tell = |check: &Check| {
            on_check(check);
            Ok::<(), Infallible>(())
        };
        let Ok(report) = walk(Ok(self.clone()), connect, tell).await;
        report
    }
}

/// Walks every step to an answer: this machine, the configuration that `client` came of, the known ports, the server
/// that `connect` says will answer, one token of the model there.
///
/// `on_check` sees each check as soon as it is made, and its failure ends the walk. Dropping the future ends it too.
///
/// # Errors
/// Only what `on_check` gives; what the walk finds wrong is in the report.
pub async fn walk<E>(
    client: Result<Client>,
    connect: impl AsyncFnOnce(Client) -> Result<Route>,
    on_check: impl FnMut(&Check) -> std::result::Result<(), E>,
) -> std::result::Result<Report, E> {
    let mut walk = Walk { checks: Vec::new(), on_check };
    walk.proxies()?;
    walk.localhost()?;
    match client {
        Ok(client) => {
            let file = client.settings().user_file.display();
            walk.ok("config", format!("read; your file is {file}"))?;
            walk.ports(&client).await?;
            match connect(client.clone()).await {
                Ok(route) => {
                    if let Some(note) = route.note() {
                        walk.warn(
                            "route",
                            note,
                            "Start the servers of the routes before, or change the alias.",
                        )?;
                    }
                    walk.server(&route.server, route.model.as_deref().unwrap_or("auto")).await?;
                }
                Err(error) => walk.fail("server", &error)?,
            }
        }
        Err(error) => walk.fail("config", &error)?,
    }
    let works = walk.checks.iter().all(|check| check.status != Status::Fail);
    Ok(Report { works, checks: walk.checks })
}

/// What telling a check gives: the failure is the listener's.
type Told<E, T = ()> = std::result::Result<T, E>;

/// `Walk` tells checks as they are made and keeps them.
struct Walk<F> {
    checks: Vec<Check>,
    on_check: F,
}

impl<E, F: FnMut(&Check) -> Told<E>> Walk<F> {
    fn add(&mut self, status: Status, name: &str, message: String, cure: Option<&str>) -> Told<E> {
        let check = Check { status, name: name.to_owned(), message, cure: cure.map(str::to_owned) };
        (self.on_check)(&check)?;
        self.checks.push(check);
        Ok(())
    }

    fn ok(&mut self, name: &str, message: impl Into<String>) -> Told<E> {
        self.add(Status::Ok, name, message.into(), None)
    }

    fn warn(&mut self, name: &str, message: impl Into<String>, cure: &str) -> Told<E> {
        self.add(Status::Warn, name, message.into(), Some(cure))
    }

    fn fail(&mut self, name: &str, error: &Error) -> Told<E> {
        self.add(Status::Fail, name, error.to_string(), Some(error.hint()))
    }

    /// Says which proxies are set; their values may hold passwords and are not shown.
    fn proxies(&mut self) -> Told<E> {
        let is_set = |name: &&str| {
            env::var_os(name)
                .or_else(|| env::var_os(name.to_lowercase()))
                .is_some_and(|value| !value.is_empty())
        };
        let set: Vec<&str> = PROXY_VARIABLES.into_iter().filter(is_set).collect();
        if set.is_empty() {
            return self.ok("proxy", "no proxy variables are set");
        }
        self.ok(
            "proxy",
            format!("{} set; calls to this machine and your private network bypass them", set.join(", ")),
        )
    }

    fn localhost(&mut self) -> Told<E> {
        let addresses: Vec<SocketAddr> =
            ("localhost", 0).to_socket_addrs().map(Iterator::collect).unwrap_or_default();
        let v4 = addresses.iter().any(SocketAddr::is_ipv4);
        let v6 = addresses.iter().any(SocketAddr::is_ipv6);
        match (v4, v6) {
            (true, true) => self.ok("localhost", "is 127.0.0.1 and ::1"),
            (true, false) => self.ok("localhost", "is 127.0.0.1"),
            (false, true) => self.warn(
                "localhost",
                "is only ::1; most servers listen on 127.0.0.1",
                "Write 127.0.0.1 instead of localhost in server URLs.",
            ),
            (false, false) => self.warn(
                "localhost",
                "is no address of this machine",
                "Add the line `127.0.0.1 localhost` to your hosts file, or write 127.0.0.1 in server URLs.",
            ),
        }
    }

    /// Looks at every known port at once.
    async fn ports(&mut self, client: &Client) -> Told<E> {
        let mut looks = JoinSet::new();
        let ports = client.ports();
        for port in ports.clone() {
            let client = client.clone();
            looks.spawn(async move { (port, client.examine(port).await) });
        }
        let mut seen: Vec<(u16, Vec<Look>)> = Vec::new();
        while let Some(look) = looks.join_next().await {
            seen.extend(look.ok());
        }
        seen.sort_by_key(|(port, _)| ports.iter().position(|known| known == port));
        let mut closed = Vec::new();
        for (port, looks) in seen {
            let open: Vec<&Look> = looks.iter().filter(|look| look.outcome != Outcome::Closed).collect();
            if open.is_empty() {
                closed.push(port.to_string());
            }
            self.port(port, &open)?;
        }
        if closed.is_empty() {
            return Ok(());
        }
        self.ok("ports", format!("nothing listens on {}", closed.join(", ")))
    }

    fn port(&mut self, port: u16, looks: &[&Look]) -> Told<E> {
        let name = format!("port {port}");
        let mut said = Vec::new();
        for look in looks {
            // Most servers answer on both addresses; one line is enough.
            let message = describe(&look.outcome);
            if said.contains(&message) {
                continue;
            }
            said.push(message.clone());
            if look.outcome == Outcome::Silent {
                let cure = "If a model server should be here, look at its log or restart it.";
                self.warn(&name, message, cure)?;
            } else {
                self.ok(&name, message)?;
            }
        }
        Ok(())
    }

    /// Looks at the server that will answer, and asks it for one token.
    async fn server(&mut self, server: &Server, model: &str) -> Told<E> {
        self.url(server)?;
        let info = match server.info().await {
            Ok(info) => info,
            Err(error) if error.kind() == ErrorKind::Unauthorized => return self.fail("token", &error),
            Err(error) => return self.fail("server", &error),
        };
        let name = with_version(&info.name, info.version.as_deref());
        self.ok("server", format!("{name} answers in {:.1} ms", info.latency_ms))?;
        // "auto" is the model that the configuration names for this server, where it does.
        let model = match (model, &server.place.model) {
            ("" | "auto", Some(own)) => own,
            _ => model,
        };
        if !self.token_and_health(server, &info)? || !self.model(model, &info)? {
            return Ok(());
        }
        self.answer(server, model).await
    }

    fn url(&mut self, server: &Server) -> Told<E> {
        let url = server.url();
        if *server.source() == ServerSource::Engine {
            return self.ok("url", format!("{url}: no server runs, so the built-in engine answers"));
        }
        if server.place.api_base.is_some() {
            self.ok("url", format!("{url} (the /v1 may be left out)"))
        } else {
            self.ok("url", format!("{url} (with or without /v1 at its end)"))
        }
    }

    /// Says whether the server takes us; `false` ends the walk.
    fn token_and_health(&mut self, server: &Server, info: &ServerInfo) -> Told<E, bool> {
        let has_key = server.place.key.is_some();
        match &info.health {
            Health::NeedsKey => {
                let what = if has_key {
                    "the server refuses the key it got"
                } else {
                    "the server wants a key and has got none"
                };
                self.fail("token", &Error::new(ErrorKind::Unauthorized, what))?;
                return Ok(false);
            }
            Health::Unwell(how) => self.warn(
                "health",
                format!("the server answers, but not as it should: {how}"),
                "Look at the server's log.",
            )?,
            Health::Loading => self.warn("health", "the server is loading its model", "Wait a little.")?,
            Health::Ready | Health::NoModel => {}
        }
        self.ok("token", if has_key { "a key is set and taken" } else { "none is set and none is wanted" })?;
        Ok(true)
    }

    /// Says whether the model is there and loaded; `false` ends the walk.
    fn model(&mut self, wanted: &str, info: &ServerInfo) -> Told<E, bool> {
        let found = if matches!(wanted, "" | "auto") {
            match pick(&info.models) {
                Ok(model) => Some(model),
                Err(error) => {
                    self.fail("model", &error)?;
                    return Ok(false);
                }
            }
        } else {
            info.models.iter().find(|model| is_same_model(wanted, &model.id))
        };
        let Some(found) = found else {
            let near = nearest(wanted, info.models.iter().map(|model| model.id.as_str()));
            let near = near.map_or_else(String::new, |near| format!(" Did you mean \"{near}\"?"));
            let message = format!("\"{wanted}\" is not on the server.{near}");
            self.fail("model", &Error::new(ErrorKind::NoModel, message))?;
            return Ok(false);
        };
        match found.state {
            LoadState::Loaded => self.ok("model", format!("{} is loaded", found.id))?,
            LoadState::Unknown => self.ok("model", format!("{} is there", found.id))?,
            LoadState::Loading => self.warn("model", format!("{} is loading", found.id), "Wait a little.")?,
            LoadState::NotLoaded => self.warn(
                "model",
                format!("{} is there and not loaded", found.id),
                "The first answer loads it, which takes a while; load it in the server to have it ready.",
            )?,
        }
        Ok(true)
    }

    /// Asks for one token: the only proof that an answer can be had.
    async fn answer(&mut self, server: &Server, model: &str) -> Told<E> {
        let request = ChatRequest {
            model: Some(model.to_owned()),
            messages: vec![Message::user("Say hi.")],
            sampling: Sampling { max_tokens: Some(1), ..Sampling::default() },
            ..ChatRequest::default()
        };
        let settings = &server.inner.settings;
        let limits = Limits { timeout: *settings.timeout, deadline: *settings.deadline };
        let answered = match server.chat(request, limits) {
            Ok(stream) => stream.finish().await,
            Err(error) => Err(error),
        };
        match answered {
            Ok(reply) => {
                let first =
                    reply.timing.time_to_first_token.or(reply.timing.duration).unwrap_or(Duration::ZERO);
                self.ok("answer", format!("the first token came after {:.2} s", first.as_secs_f64()))
            }
            // One token may be white space, or thinking: it does answer.
            Err(error) if error.kind() == ErrorKind::EmptyAnswer => {
                self.ok("answer", "the first token came, and is no text yet")
            }
            Err(error) => self.fail("answer", &error),
        }
    }
}

/// What a look found, in words.
fn describe(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Closed => "nothing listens".to_owned(),
        Outcome::Silent => "something listens and says nothing".to_owned(),
        Outcome::Stranger(what) => format!("is no model server: {what}"),
        Outcome::Server(found) => {
            let state = match (found.loading, found.needs_key) {
                (true, _) => "loading its model".to_owned(),
                (_, true) => "wants a key".to_owned(),
                _ => format!("{} models", found.models.len()),
            };
            format!("{}, {state}", with_version(&found.name, found.version.as_deref()))
        }
    }
}

/// A server's name for people, with its version where it tells.
fn with_version(name: &str, version: Option<&str>) -> String {
    version.map_or_else(|| name.to_owned(), |version| format!("{name} {version}"))
}
