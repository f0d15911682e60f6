//! Downloading, as far as servers download.

use std::collections::BTreeMap;
use std::time::Instant;

use tokio::time::sleep;

use super::super::server::Server;
use super::outcome::{MemoryEvent, Pulled};
use super::task::Events;
use super::{LOAD_PATIENCE, LONGEST_PAUSE, seconds_since};
use crate::error::{Error, ErrorKind, Result};
use crate::model::is_same_model;
use crate::wire::manage::Step;

const TOO_OLD: &str =
    "LM Studio downloads over HTTP since 0.4.0: update it, or download there (`lms get NAME`).";

impl Server {
    pub(super) async fn pull_now(&self, model: &str, events: &Events) -> Result<Pulled> {
        let model = model.trim();
        if model.is_empty() {
            return Err(Error::invalid_input("Which model? Its name is empty."));
        }
        let start = Instant::now();
        let (way, dialect) = self.way().await?;
        let Some(call) = way.pull(model) else {
            let name = &dialect.quirks().name;
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("{name} does not download models over its API."),
            )
            .with_server(self.url())
            .with_hint(format!("Download it in {name} itself.")));
        };
        // What does not tell its list may download all the same.
        let listing = self.listing(way).await.unwrap_or_default();
        if let Some(why) = listing.fixed.or((listing.source > 0).then_some(TOO_OLD)) {
            return Err(self.cannot("download", model, why));
        }
        let mut progress = Progress::default();
        self.send(way, &call, LOAD_PATIENCE, |step| progress.take(step, events)).await.map_err(with_cure)?;
        while let Some(job) = progress.job.clone().filter(|_| !progress.is_done) {
            sleep(LONGEST_PAUSE).await;
            let Some(call) = way.follow(&job) else { break };
            progress.is_going = false;
            self.send(way, &call, LOAD_PATIENCE, |step| progress.take(step, events))
                .await
                .map_err(with_cure)?;
            // The router's list has no word for done: a download that is over is no longer in it.
            if job.is_empty() && !progress.is_going {
                progress.is_done = true;
            }
        }
        if !progress.is_done {
            return Err(Error::new(
                ErrorKind::CutOff,
                format!("The download of `{model}` ended before its end."),
            )
            .with_server(self.url())
            .with_hint("Start it again: servers go on where they stopped."));
        }
        self.forget_models();
        let models = self.models().await?;
        let found = models.iter().find(|known| is_same_model(model, &known.id));
        // The router has no word for a download that failed, either.
        if found.is_none() && progress.job.as_deref() == Some("") {
            return Err(Error::new(ErrorKind::Server, format!("`{model}` was not downloaded."))
                .with_server(self.url())
                .with_hint("The server's own log says why: the name may be wrong (USER/REPOSITORY[:QUANTIZATION] of Hugging Face), or the server has no way to the network."));
        }
        Ok(Pulled {
            server: self.url().to_owned(),
            model: found.map_or_else(|| model.to_owned(), |known| known.id.clone()),
            duration: seconds_since(start),
            total_bytes: progress.total(),
        })
    }
}

/// A download fails for reasons of its own: the cure of a chat's failure would lead astray.
fn with_cure(error: Error) -> Error {
    match error.kind() {
        ErrorKind::Server | ErrorKind::Unsupported | ErrorKind::NoModel | ErrorKind::InvalidInput => {
            error.with_hint(
                "Check the model's name as this server spells names, and that the server's machine reaches the network: the server downloads. Its own log or window says more.",
            )
        }
        _ => error,
    }
}

/// How far a download is.
#[derive(Default)]
struct Progress {
    job: Option<String>,
    is_done: bool,
    /// Whether the last answer said that it goes on.
    is_going: bool,
    parts: BTreeMap<String, u64>,
}

impl Progress {
    fn take(&mut self, step: Step, events: &Events) {
        match step {
            Step::Job(job) => self.job = Some(job),
            Step::Done => self.is_done = true,
            Step::Pulling(pulling) => {
                self.is_going = true;
                if let Some(total) = pulling.total_bytes {
                    self.parts.insert(pulling.part.clone().unwrap_or_default(), total);
                }
                let _ = events.send(MemoryEvent::Pulling(pulling));
            }
            Step::Loading(_) => {}
        }
    }

    fn total(&self) -> Option<u64> {
        (!self.parts.is_empty()).then(|| self.parts.values().sum())
    }
}
