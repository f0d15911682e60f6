//! Loading: one copy, and only one that the server's own list has is loaded.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::super::server::Server;
use super::outcome::{LoadRequest, Loaded, MemoryEvent};
use super::task::Events;
use super::{LOAD_PATIENCE, LONGEST_PAUSE, SHORTEST_PAUSE, UNLOAD_PATIENCE, seconds_since};
use crate::chat::KeepAlive;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{LoadState, LoadedModel, ModelKind, is_same_model};
use crate::wire::manage::Step;
use crate::wire::{Call, Listing, LoadTarget, Manage};

/// How long a model that is said to be loaded may be missing in the list.
const LIST_PATIENCE: Duration = Duration::from_secs(5);
/// The contexts that can be asked for, in tokens.
const CONTEXT_LENGTH: (u32, u32) = (256, 16_777_216);

impl Server {
    /// The model that is meant, in the server's own spelling, and what it is for.
    pub(super) async fn spelled(&self, asked: &str, way: &dyn Manage) -> Result<(String, ModelKind)> {
        let asked = asked.trim();
        if matches!(asked, "" | "auto") {
            let id = self.known_model(None).await?;
            let kind = self.known_kind(&id).await;
            return Ok((id, kind));
        }
        let models = self.models().await?;
        let exact = models.iter().find(|model| model.id.eq_ignore_ascii_case(asked));
        if let Some(found) = exact.or_else(|| models.iter().find(|model| is_same_model(asked, &model.id))) {
            return Ok((found.id.clone(), found.kind));
        }
        // Such a server lists only what it has loaded.
        if way.manners().holds_one {
            return Ok((asked.to_owned(), ModelKind::guess(asked)));
        }
        let hint = self.model_hint(Some(asked)).await.unwrap_or_default();
        let pull =
            way.pull(asked).map_or(String::new(), |_| format!(" To download it: `xdev-llm pull {asked}`."));
        Err(Error::new(ErrorKind::NoModel, format!("The server has no model `{asked}`."))
            .with_server(self.url())
            .with_hint(format!("{hint}{pull}").trim().to_owned()))
    }

    async fn known_kind(&self, id: &str) -> ModelKind {
        let models = self.models().await.unwrap_or_default();
        let found = models.iter().find(|model| model.id == id);
        found.map_or_else(|| ModelKind::guess(id), |model| model.kind)
    }

    pub(super) async fn load_now(&self, request: &LoadRequest, events: &Events) -> Result<Loaded> {
        if request.keep_alive == Some(KeepAlive::Seconds(0)) {
            return Err(Error::invalid_input(
                "keep_alive 0 unloads at once; it must be at least 1 s to load.",
            ));
        }
        let (least, most) = CONTEXT_LENGTH;
        if let Some(length) = request.context_length.filter(|length| !(least..=most).contains(length)) {
            return Err(Error::invalid_input(format!(
                "context_length is {length}; it must be {least} to {most}."
            )));
        }
        let start = Instant::now();
        let (way, _) = self.way().await?;
        // What is remembered may be from before a download.
        self.inner.models.forget(&self.place.shown);
        let (id, kind) = self.spelled(&request.model, way).await?;
        let mut target = LoadTarget {
            id: id.clone(),
            kind,
            context_length: request.context_length,
            keep_alive: request.keep_alive,
        };
        let before = self.listing(way).await?;
        if request.must_unload {
            self.can_unload(way, &before, &LoadedModel::new(&id, LoadState::Loaded))?;
        }
        let there =
            before.find(&id).filter(|found| found.state == LoadState::Loaded && !before.is_asleep(&id));
        // A server that cannot be told has what it has.
        let wish = request.context_length.filter(|_| way.manners().takes_context);
        let was_loaded = there.is_some_and(|found| has_context(found, wish));
        if let Some(found) = there {
            if was_loaded && !way.manners().shares_copies {
                // How long it stays was settled when it came.
                let lasting = request.keep_alive.map(|_| "keep_alive".to_owned());
                let length = request.context_length.filter(|_| wish.is_none());
                let not_sent =
                    length.map(|_| "context_length".to_owned()).into_iter().chain(lasting).collect();
                return Ok(self.is_loaded(found.clone(), start, true, &before, &before, not_sent));
            }
            // Asked for again, it stays as long as is asked for now; with another context it would be loaded anew.
            if was_loaded {
                target.context_length = found.context_length.or(target.context_length);
            }
            // Elsewhere the load itself replaces the copy.
            if !was_loaded && found.instance.is_some() {
                self.unload_all(way, vec![found.clone()], UNLOAD_PATIENCE, events).await?;
            }
        }
        if let Some(why) = before.fixed.filter(|_| before.find(&id).is_none() && !before.is_asleep(&id)) {
            return Err(self.cannot("load", &id, why));
        }
        let mut not_sent = Vec::new();
        let device = self.device().await;
        if before.find(&id).is_none_or(|found| found.state != LoadState::Loading) {
            let call = way.load(&target, &before)?;
            self.ask_to_load(way, &call, &id, events).await?;
            not_sent = call.not_sent;
        }
        let after = self.wait_until_loaded(way, &id, &before, events).await?;
        let found = after.find(&id).cloned().unwrap_or_else(|| LoadedModel::new(&id, LoadState::Loaded));
        if let Some(length) = request.context_length {
            self.inner.note_context(self.url(), &id, Some(length));
        }
        let mut loaded = self.is_loaded(found, start, was_loaded, &before, &after, not_sent);
        loaded.device = self.change_since(device, None, false).await;
        Ok(loaded)
    }

    /// Sends the load, and shows what the server says about it.
    async fn ask_to_load(&self, way: &dyn Manage, call: &Call, id: &str, events: &Events) -> Result<()> {
        let told = |share| MemoryEvent::Loading { model: id.to_owned(), share };
        // Nobody may listen.
        let _ = events.send(told(None));
        let sent = self.send(way, call, LOAD_PATIENCE, |step| {
            if let Step::Loading(share) = step {
                let _ = events.send(told(share));
            }
        });
        if let Err(error) = sent.await {
            // Somebody else may have been faster, which some servers refuse.
            let listing = self.listing(way).await?;
            if listing.find(id).is_none() {
                return Err(error);
            }
        }
        Ok(())
    }

    fn is_loaded(
        &self,
        model: LoadedModel,
        start: Instant,
        was_loaded: bool,
        before: &Listing,
        after: &Listing,
        not_sent: Vec<String>,
    ) -> Loaded {
        self.forget_models();
        let gone = before.models.iter().filter(|known| after.find(&known.id).is_none());
        Loaded {
            server: self.url().to_owned(),
            was_loaded,
            duration: seconds_since(start),
            evicted: gone.map(|known| known.name().to_owned()).collect(),
            not_sent,
            device: None,
            model,
        }
    }

    /// Looks at the list until the model is there.
    pub(super) async fn wait_until_loaded(
        &self,
        way: &dyn Manage,
        id: &str,
        before: &Listing,
        events: &Events,
    ) -> Result<Listing> {
        let start = Instant::now();
        let mut pause = SHORTEST_PAUSE;
        // A failure that stands there from before is none of this load.
        let mut is_new = !before.failed.iter().any(|(failed, _)| is_same_model(id, failed));
        loop {
            if let Some(listing) = self.listing_again(way, start).await? {
                match listing.find(id).map(|found| found.state) {
                    Some(LoadState::Loaded) => return Ok(listing),
                    Some(_) if start.elapsed() < LOAD_PATIENCE => {
                        is_new = true;
                        let _ = events.send(MemoryEvent::Loading { model: id.to_owned(), share: None });
                    }
                    // It may be there under another name.
                    None if way.manners().shares_copies && !listing.models.is_empty() => return Ok(listing),
                    _ => {
                        let failed = listing.failed.iter().find(|(failed, _)| is_same_model(id, failed));
                        let is_late = start.elapsed() > LIST_PATIENCE;
                        if let Some((_, why)) = failed.filter(|_| is_new || is_late) {
                            return Err(self.not_loaded(id, why));
                        }
                        if is_late {
                            return Err(self.not_listed(id, &listing));
                        }
                    }
                }
            }
            sleep(pause).await;
            pause = (pause * 3 / 2).min(LONGEST_PAUSE);
        }
    }

    fn not_loaded(&self, id: &str, why: &str) -> Error {
        Error::new(ErrorKind::Server, format!("`{id}` was not loaded: {why}."))
            .with_server(self.url())
            .with_hint(
                "The server's own log says why; most often the memory is too small, or the file is damaged.",
            )
    }

    fn not_listed(&self, id: &str, listing: &Listing) -> Error {
        let there: Vec<&str> = listing.models.iter().map(LoadedModel::name).collect();
        let there = if there.is_empty() { "nothing".to_owned() } else { there.join(", ") };
        Error::new(
            ErrorKind::Server,
            format!("The server took the request to load `{id}`, and does not list it as loaded: in memory is {there}."),
        )
        .with_server(self.url())
        .with_hint("Look at the server's own log. LM Studio loads on request only with \"Just-in-Time model loading\" on.")
    }
}

/// Whether a loaded copy has the context that is asked for; one whose context is not told has it.
fn has_context(found: &LoadedModel, asked: Option<u32>) -> bool {
    asked.zip(found.context_length).is_none_or(|(asked, has)| has >= asked)
}
