//! `xdev-llm doctor`: walks every step between a person and an answer; each line is ok or says the cure.
//!
//! Not here: what the servers say (the library); this only asks and reports.

use std::env;
use std::net::{SocketAddr, ToSocketAddrs};
use std::process::ExitCode;
use std::time::Duration;

use serde::Serialize;
use serde_json::json;
use xdev_llm::wire::Health;
use xdev_llm::{
    ChatRequest, Client, Error, ErrorKind, LoadState, Look, Message, Outcome as Seen, Sampling, Server,
    ServerInfo, ServerSource, Settings, is_same_model, nearest, pick,
};

use crate::arguments::DoctorArguments;
use crate::connect::{Connection, Connector};
use crate::output::{self, FAIL, Failure, OK, Outcome, WARN};
use crate::render::plain;
use crate::settings;
use crate::show::Spinner;

/// The variables that send requests through a proxy.
const PROXY_VARIABLES: [&str; 4] = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"];

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Ok,
    Warn,
    Fail,
}

/// `Check` is one line of the report.
#[derive(Debug, Serialize)]
struct Check {
    status: Status,
    name: String,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    cure: Option<String>,
}

/// `Report` prints checks as they are made and keeps them.
struct Report {
    as_json: bool,
    checks: Vec<Check>,
}

impl Report {
    fn add(
        &mut self,
        status: Status,
        name: &str,
        message: String,
        cure: Option<&str>,
    ) -> Result<(), Failure> {
        let check = Check { status, name: name.to_owned(), message, cure: cure.map(str::to_owned) };
        if !self.as_json {
            let (style, word) = match status {
                Status::Ok => (OK, "ok"),
                Status::Warn => (WARN, "warn"),
                Status::Fail => (FAIL, "fail"),
            };
            output::line(&format!(
                "{style}{word:<4}{style:#}  {:<10}  {}",
                check.name,
                plain(&check.message)
            ))?;
            if let Some(cure) = &check.cure {
                output::line(&format!("                  {}", plain(cure)))?;
            }
        }
        self.checks.push(check);
        Ok(())
    }

    fn ok(&mut self, name: &str, message: impl Into<String>) -> Result<(), Failure> {
        self.add(Status::Ok, name, message.into(), None)
    }

    fn warn(&mut self, name: &str, message: impl Into<String>, cure: &str) -> Result<(), Failure> {
        self.add(Status::Warn, name, message.into(), Some(cure))
    }

    fn fail(&mut self, name: &str, error: &Error) -> Result<(), Failure> {
        self.add(Status::Fail, name, error.to_string(), Some(error.hint()))
    }

    fn works(&self) -> bool {
        self.checks.iter().all(|check| check.status != Status::Fail)
    }
}

/// Looks at everything and says whether an answer can be had.
pub(crate) fn run(arguments: &DoctorArguments) -> Outcome {
    let mut report = Report { as_json: arguments.json, checks: Vec::new() };
    output::block_on(examine(arguments, &mut report))??;
    let works = report.works();
    if arguments.json {
        output::json(&json!({"works": works, "checks": report.checks}))?;
    } else {
        output::line(if works {
            "\nIt works."
        } else {
            "\nIt does not work yet: see the lines that say fail."
        })?;
    }
    Ok(if works { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn examine(arguments: &DoctorArguments, report: &mut Report) -> Result<(), Failure> {
    proxies(report)?;
    localhost(report)?;
    let settings = match settings::load(&settings::server_overrides(arguments.server.as_deref())) {
        Ok(settings) => settings,
        Err(error) => return report.fail("config", &error),
    };
    report.ok("config", format!("read; your file is {}", settings.user_file.display()))?;
    let client = match Client::new(settings) {
        Ok(client) => client,
        Err(error) => return report.fail("config", &error),
    };
    ports(&client, report).await?;
    server(&client, report).await
}

/// Says which proxies are set; their values may hold passwords and are not shown.
fn proxies(report: &mut Report) -> Result<(), Failure> {
    let is_set = |name: &&str| {
        env::var_os(name).or_else(|| env::var_os(name.to_lowercase())).is_some_and(|value| !value.is_empty())
    };
    let set: Vec<&str> = PROXY_VARIABLES.into_iter().filter(is_set).collect();
    if set.is_empty() {
        return report.ok("proxy", "no proxy variables are set");
    }
    report.ok(
        "proxy",
        format!("{} set; calls to this machine and your private network bypass them", set.join(", ")),
    )
}

fn localhost(report: &mut Report) -> Result<(), Failure> {
    let addresses: Vec<SocketAddr> =
        ("localhost", 0).to_socket_addrs().map(Iterator::collect).unwrap_or_default();
    let v4 = addresses.iter().any(SocketAddr::is_ipv4);
    let v6 = addresses.iter().any(SocketAddr::is_ipv6);
    match (v4, v6) {
        (true, true) => report.ok("localhost", "is 127.0.0.1 and ::1"),
        (true, false) => report.ok("localhost", "is 127.0.0.1"),
        (false, true) => report.warn(
            "localhost",
            "is only ::1; most servers listen on 127.0.0.1",
            "Write 127.0.0.1 instead of localhost in server URLs.",
        ),
        (false, false) => report.warn(
            "localhost",
            "is no address of this machine",
            "Add the line `127.0.0.1 localhost` to your hosts file, or write 127.0.0.1 in server URLs.",
        ),
    }
}

/// Looks at every known port at once.
async fn ports(client: &Client, report: &mut Report) -> Result<(), Failure> {
    let mut looks = tokio::task::JoinSet::new();
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
        let open: Vec<&Look> = looks.iter().filter(|look| look.outcome != Seen::Closed).collect();
        if open.is_empty() {
            closed.push(port.to_string());
        }
        let mut said = Vec::new();
        for look in open {
            // Most servers answer on both addresses; one line is enough.
            let (status, message) = describe(look);
            if said.contains(&message) {
                continue;
            }
            said.push(message.clone());
            let name = format!("port {port}");
            match status {
                Status::Ok => report.ok(&name, message)?,
                _ => report.warn(
                    &name,
                    message,
                    "If a model server should be here, look at its log or restart it.",
                )?,
            }
        }
    }
    if closed.is_empty() {
        return Ok(());
    }
    report.ok("ports", format!("nothing listens on {}", closed.join(", ")))
}

fn describe(look: &Look) -> (Status, String) {
    match &look.outcome {
        Seen::Closed => (Status::Ok, "nothing listens".to_owned()),
        Seen::Silent => (Status::Warn, "something listens and says nothing".to_owned()),
        Seen::Stranger(what) => (Status::Ok, format!("is no model server: {what}")),
        Seen::Server(found) => {
            let version = found.version.as_deref().map_or_else(String::new, |version| format!(" {version}"));
            let state = match (found.loading, found.needs_key) {
                (true, _) => "loading its model".to_owned(),
                (_, true) => "wants a key".to_owned(),
                _ => format!("{} models", found.models.len()),
            };
            (Status::Ok, format!("{}{version}, {state}", found.name))
        }
    }
}

/// Looks at the server that `ask` would use, and asks it for one token.
async fn server(client: &Client, report: &mut Report) -> Result<(), Failure> {
    let settings = client.settings();
    let spinner = Spinner::start("connecting");
    let mut connector = Connector::new(client.clone(), settings::state_dir(settings).to_owned());
    let connected = connector.connect(&spinner).await;
    spinner.clear();
    let connection: Connection = match connected {
        Ok(connection) => connection,
        Err(error) => return report.fail("server", &error),
    };
    let server = &connection.server;
    url(settings, server, report)?;
    let info = match server.info().await {
        Ok(info) => info,
        Err(error) if error.kind() == ErrorKind::Unauthorized => return report.fail("token", &error),
        Err(error) => return report.fail("server", &error),
    };
    let version = info.version.as_deref().map_or_else(String::new, |version| format!(" {version}"));
    report.ok("server", format!("{}{version} answers in {:.1} ms", info.name, info.latency_ms))?;
    if !token_and_health(settings, &info, report)? || !model(settings, &info, report)? {
        return Ok(());
    }
    one_token(settings, server, report).await
}

fn url(settings: &Settings, server: &Server, report: &mut Report) -> Result<(), Failure> {
    if *server.source() == ServerSource::Engine {
        return report.ok("url", format!("{}: no server runs, so the built-in engine answers", server.url()));
    }
    let given = settings.server.as_deref().unwrap_or_else(|| server.url());
    let base = given.trim_end_matches('/');
    if base.ends_with("/v1") {
        report.ok("url", format!("{given} (the /v1 may be left out)"))
    } else {
        report.ok("url", format!("{given} (with or without /v1 at its end)"))
    }
}

/// Says whether the server takes us; `false` ends the walk.
fn token_and_health(settings: &Settings, info: &ServerInfo, report: &mut Report) -> Result<bool, Failure> {
    let has_key = match settings.key_for(&info.url) {
        Ok(key) => key.is_some() || info.source == ServerSource::Engine,
        Err(error) => {
            report.fail("token", &error)?;
            return Ok(false);
        }
    };
    match &info.health {
        Health::NeedsKey => {
            let what = if has_key {
                "the server refuses the key it got"
            } else {
                "the server wants a key and has got none"
            };
            report.fail("token", &Error::new(ErrorKind::Unauthorized, what))?;
            return Ok(false);
        }
        Health::Unwell(how) => {
            report.warn(
                "health",
                format!("the server answers, but not as it should: {how}"),
                "Look at the server's log.",
            )?;
        }
        Health::Loading => report.warn("health", "the server is loading its model", "Wait a little.")?,
        Health::Ready | Health::NoModel => {}
    }
    report.ok("token", if has_key { "a key is set and taken" } else { "none is set and none is wanted" })?;
    Ok(true)
}

/// Says whether the model is there and loaded; `false` ends the walk.
fn model(settings: &Settings, info: &ServerInfo, report: &mut Report) -> Result<bool, Failure> {
    let wanted = settings.model.as_str();
    let found = if wanted == "auto" {
        match pick(&info.models) {
            Ok(model) => Some(model),
            Err(error) => {
                report.fail("model", &error)?;
                return Ok(false);
            }
        }
    } else {
        info.models.iter().find(|model| is_same_model(wanted, &model.id))
    };
    let Some(found) = found else {
        let near = nearest(wanted, info.models.iter().map(|model| model.id.as_str()));
        let near = near.map_or_else(String::new, |near| format!(" Did you mean \"{near}\"?"));
        report.fail(
            "model",
            &Error::new(ErrorKind::NoModel, format!("\"{wanted}\" is not on the server.{near}")),
        )?;
        return Ok(false);
    };
    match found.state {
        LoadState::Loaded => report.ok("model", format!("{} is loaded", found.id))?,
        LoadState::Unknown => report.ok("model", format!("{} is there", found.id))?,
        LoadState::Loading => report.warn("model", format!("{} is loading", found.id), "Wait a little.")?,
        LoadState::NotLoaded => report.warn(
            "model",
            format!("{} is there and not loaded", found.id),
            "The first answer loads it, which takes a while; load it in the server to have it ready.",
        )?,
    }
    Ok(true)
}

/// Asks for one token: the only proof that an answer can be had.
async fn one_token(settings: &Settings, server: &Server, report: &mut Report) -> Result<(), Failure> {
    let request = ChatRequest {
        model: Some(settings.model.value.clone()),
        messages: vec![Message::user("Say hi.")],
        sampling: Sampling { max_tokens: Some(1), ..Sampling::default() },
        ..ChatRequest::default()
    };
    let spinner = Spinner::start("asking for one token");
    let answered = match server.chat(request, settings::limits(settings)) {
        Ok(stream) => stream.finish().await,
        Err(error) => Err(error),
    };
    spinner.clear();
    match answered {
        Ok(reply) => {
            let first = reply.timing.time_to_first_token.or(reply.timing.duration).unwrap_or(Duration::ZERO);
            report.ok("answer", format!("the first token came after {:.2} s", first.as_secs_f64()))
        }
        // One token may be white space, or thinking: it does answer.
        Err(error) if error.kind() == ErrorKind::EmptyAnswer => {
            report.ok("answer", "the first token came, and is no text yet")
        }
        Err(error) => report.fail("answer", &error),
    }
}
