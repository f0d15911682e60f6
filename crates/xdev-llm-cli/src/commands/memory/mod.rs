//! The commands that look at or change what servers have in memory; here what they share: who is asked, and the wait.
//!
//! Not here: how servers are told and how it is verified (the library's `client::memory`), the bars (`progress`).

pub(crate) mod load;
pub(crate) mod ps;
pub(crate) mod pull;
pub(crate) mod switch;
pub(crate) mod unload;

use std::pin::pin;

use xdev_llm::{Client, Error, ErrorKind, KeepAlive, LoadRequest, MemoryTask, Route};

use crate::arguments::{ServerArguments, TargetArguments};
use crate::connect::{Connection, Connector};
use crate::output::{self, DIM, Failure};
use crate::progress::MemoryProgress;
use crate::render::plain;
use crate::settings;
use crate::show::Spinner;
use crate::turn::interrupted;

/// The server that was named, or that an alias leads to, else the one in force, else the background engine. None is
/// started.
async fn find(server: &ServerArguments, model: &str) -> Result<Option<(Route, Connection)>, Failure> {
    let settings = settings::load(&settings::server_overrides(server.choice.as_deref()))?;
    let state_dir = settings::state_dir(&settings).to_owned();
    let connector = Connector::new(Client::new(settings)?, state_dir);
    let spinner = Spinner::start("connecting");
    let found = tokio::select! {
        biased;
        _ = tokio::signal::ctrl_c() => Err(interrupted()),
        found = connector.running_route(model) => found,
    };
    spinner.clear();
    let found = found?;
    if let Some(note) = found.as_ref().and_then(|(route, _)| route.note()) {
        output::note(&format!("{DIM}{}{DIM:#}", plain(&note)));
    }
    Ok(found)
}

/// The same, where nothing can be done without one.
async fn connect(server: &ServerArguments, model: &str) -> Result<(Route, Connection), Failure> {
    Ok(find(server, model).await?.ok_or_else(nobody)?)
}

/// Finds where a model is to be loaded, and says what to ask there: what was typed beats what an alias says.
async fn aim(target: &TargetArguments) -> Result<(LoadRequest, Connection), Failure> {
    let (route, connection) = connect(&target.server, &target.model).await?;
    // An alias that lets its model go after each answer can be loaded all the same.
    let stay = route.keep_alive.filter(|stay| *stay != KeepAlive::Seconds(0));
    let request = LoadRequest {
        model: route.model.unwrap_or_default(),
        context_length: target.context_length.or(route.context_length),
        keep_alive: target.keep_alive.or(stay),
        ..LoadRequest::default()
    };
    Ok((request, connection))
}

/// Shows what happens until the end; `stopped` says what Ctrl-C leaves behind.
async fn watch<T: Send + 'static>(
    mut task: MemoryTask<T>,
    stopped: impl AsyncFnOnce() -> Error,
) -> Result<T, Failure> {
    let mut interrupt = pin!(tokio::signal::ctrl_c());
    let mut progress = MemoryProgress::start();
    loop {
        let event = tokio::select! {
            biased;
            _ = &mut interrupt => {
                progress.clear();
                drop(task);
                return Err(stopped().await.into());
            }
            event = task.next() => event,
        };
        let Some(event) = event else { break };
        progress.event(&event);
    }
    progress.clear();
    Ok(task.finish().await?)
}

fn nobody() -> Error {
    Error::new(ErrorKind::Unreachable, "No model server runs on this machine.").with_hint(
        "Start one (LM Studio: Developer tab, Start server; Ollama: `ollama serve`), or the built-in engine, which loads its own model: `xdev-llm engine start`.",
    )
}

/// A command for people to type, for the same server.
fn typed(command: &str, server: &ServerArguments) -> String {
    match &server.choice {
        Some(choice) => format!("`xdev-llm {command} --server {choice}`"),
        None => format!("`xdev-llm {command}`"),
    }
}

/// Says which of the wishes this server cannot be told.
fn warn_of_not_sent(not_sent: &[String]) {
    if !not_sent.is_empty() {
        output::warn(&format!("this server does not take: {}", not_sent.join(", ")));
    }
}

/// Names in a sentence: `a`, `b` and `c`.
fn names<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    match names.as_slice() {
        [] => String::new(),
        [name] => name.clone(),
        [front @ .., last] => format!("{} and {last}", front.join(", ")),
    }
}
