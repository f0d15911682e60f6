//! Unloading: told to go, and looked after until it is gone.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::super::server::Server;
use super::outcome::{MemoryEvent, Unload, Unloaded};
use super::task::Events;
use super::{LONGEST_PAUSE, SHORTEST_PAUSE, UNLOAD_PATIENCE, seconds_since};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{LoadState, LoadedModel, ModelInfo, is_same_model, pick};
use crate::wire::{Listing, Manage};

/// How long a model may stay before its server is told again.
const TELL_AGAIN: Duration = Duration::from_secs(2);

impl Server {
    pub(super) async fn unload_now(
        &self,
        what: &Unload,
        patience: Duration,
        events: &Events,
    ) -> Result<Unloaded> {
        let (way, _) = self.way().await?;
        let listing = self.listing(way).await?;
        let wanted: Vec<LoadedModel> = match what {
            Unload::All => listing.models.clone(),
            Unload::Model(asked) if matches!(asked.trim(), "" | "auto") => {
                let first = first_that_chats(&listing.models);
                first.into_iter().cloned().collect()
            }
            Unload::Model(asked) => {
                // The name of one copy is meant as that, and a model's name as all its copies.
                let copy =
                    listing.models.iter().find(|model| model.name() == asked && model.name() != model.id);
                let all = || listing.models.iter().filter(|model| is_same_model(asked, &model.id));
                copy.map_or_else(|| all().cloned().collect(), |copy| vec![copy.clone()])
            }
        };
        if let Some(first) = wanted.first() {
            self.can_unload(way, &listing, first)?;
        }
        if let Unload::Model(asked) = what
            && wanted.is_empty()
        {
            // A name that the server does not know is a mistake, and not a model that is gone already.
            self.spelled(asked, way).await.map_err(|error| match error.kind() {
                ErrorKind::NoModel => error.with_hint(loaded_hint(&listing)),
                _ => error,
            })?;
        }
        if let Unload::Model(asked) = what
            && wanted.is_empty()
            && way.manners().shares_copies
            && !listing.models.is_empty()
            && !matches!(asked.trim(), "" | "auto")
        {
            return self.unload_shared(way, asked, &listing, events).await;
        }
        self.unload_all(way, wanted, patience, events).await
    }

    /// Says what stands in the way of unloading a model, before anything is done.
    pub(super) fn can_unload(&self, way: &dyn Manage, listing: &Listing, model: &LoadedModel) -> Result<()> {
        if let Some(why) = listing.fixed {
            return Err(self.cannot("unload", &model.id, why));
        }
        if listing.source > 0 {
            // The list of an older version, which has no such call.
            way.unload(model).map_err(|error| error.with_server(self.url()))?;
        }
        Ok(())
    }

    /// Unloads the copy that may be there under another name.
    async fn unload_shared(
        &self,
        way: &dyn Manage,
        asked: &str,
        before: &Listing,
        events: &Events,
    ) -> Result<Unloaded> {
        let (id, _) = self.spelled(asked, way).await?;
        let start = Instant::now();
        self.send(way, &way.unload(&LoadedModel::new(id, LoadState::Loaded))?, UNLOAD_PATIENCE, |_| {})
            .await?;
        // A copy of another model stays, and one of this is on its way out.
        sleep(LONGEST_PAUSE).await;
        let after = self.listing(way).await?;
        let gone =
            before.models.iter().filter(|model| !after.models.iter().any(|it| it.name() == model.name()));
        let gone: Vec<LoadedModel> = gone.cloned().collect();
        let mut unloaded = self.unload_all(way, Vec::new(), UNLOAD_PATIENCE, events).await?;
        unloaded.freed_bytes = freed(&gone);
        unloaded.models = gone;
        unloaded.duration = seconds_since(start);
        Ok(unloaded)
    }

    /// Unloads these copies and waits until none is listed.
    pub(super) async fn unload_all(
        &self,
        way: &dyn Manage,
        wanted: Vec<LoadedModel>,
        patience: Duration,
        events: &Events,
    ) -> Result<Unloaded> {
        let start = Instant::now();
        let device = if wanted.is_empty() { None } else { self.device().await };
        let mut refusal = None;
        for model in &wanted {
            let _ = events.send(MemoryEvent::Unloading { model: model.name().to_owned() });
            // Whether it went all the same is told by the list.
            refusal = self.send(way, &way.unload(model)?, UNLOAD_PATIENCE, |_| {}).await.err().or(refusal);
            self.inner.note_context(self.url(), &model.id, None);
        }
        if !wanted.is_empty() {
            self.wait_until_gone(way, &wanted, refusal, patience, events).await?;
        }
        self.forget_models();
        let duration = seconds_since(start);
        let freed_bytes = freed(&wanted);
        Ok(Unloaded {
            server: self.url().to_owned(),
            duration,
            device: self.change_since(device, freed_bytes, true).await,
            freed_bytes,
            models: wanted,
        })
    }

    /// Looks at the list until none of these copies is in it.
    async fn wait_until_gone(
        &self,
        way: &dyn Manage,
        wanted: &[LoadedModel],
        mut refusal: Option<Error>,
        patience: Duration,
        events: &Events,
    ) -> Result<()> {
        let start = Instant::now();
        let (mut pause, mut told) = (SHORTEST_PAUSE, start);
        loop {
            let listing = self.listing_again(way, start).await?;
            let still = listing.map(|listing| {
                let holds = |model: &LoadedModel| wanted.iter().any(|gone| gone.name() == model.name());
                listing.models.into_iter().filter(holds).collect::<Vec<_>>()
            });
            let is_coming =
                |still: &[LoadedModel]| still.iter().any(|model| model.state == LoadState::Loading);
            // What the server refused does not go by itself, unless it was only too early.
            if let Some(error) = refusal
                .take_if(|_| still.as_deref().is_some_and(|still| !still.is_empty() && !is_coming(still)))
            {
                return Err(error);
            }
            match still {
                Some(still) if still.is_empty() => return Ok(()),
                Some(still) if start.elapsed() > patience => {
                    return Err(self.still_there(&still, patience).await);
                }
                _ => {}
            }
            for model in wanted {
                let _ = events.send(MemoryEvent::Unloading { model: model.name().to_owned() });
            }
            sleep(pause).await;
            pause = (pause * 3 / 2).min(LONGEST_PAUSE);
            if told.elapsed() > TELL_AGAIN {
                // Ollama overlooks an unload at the very beginning of a load.
                for model in wanted {
                    let _ = self.send(way, &way.unload(model)?, UNLOAD_PATIENCE, |_| {}).await;
                }
                told = Instant::now();
            }
        }
    }

    async fn still_there(&self, still: &[LoadedModel], patience: Duration) -> Error {
        let names: Vec<String> = still
            .iter()
            .map(|model| match &model.expires_at {
                Some(at) => format!("`{}` (until {at})", model.name()),
                None => format!("`{}`", model.name()),
            })
            .collect();
        Error::new(
            ErrorKind::Server,
            format!(
                "The server was told to unload, and {} s later it still lists {} as loaded.{}",
                patience.as_secs_f64(),
                names.join(", "),
                self.holders().await
            ),
        )
        .with_server(self.url())
        .with_hint("Another program may be using the model: a server keeps it until that answer is done, or loads it anew for the next one.")
    }
}

/// The GPU memory that these copies held, where the server told it.
fn freed(models: &[LoadedModel]) -> Option<u64> {
    let told: Vec<u64> = models.iter().filter_map(|model| model.vram_bytes).collect();
    (!told.is_empty()).then(|| told.iter().sum())
}

/// The copy that "auto" means.
fn first_that_chats(models: &[LoadedModel]) -> Option<&LoadedModel> {
    let infos: Vec<ModelInfo> = models
        .iter()
        .map(|model| ModelInfo { state: model.state, ..ModelInfo::new(model.id.clone()) })
        .collect();
    let picked = pick(&infos).ok()?;
    models.iter().find(|model| model.id == picked.id)
}

/// What could be unloaded instead.
fn loaded_hint(listing: &Listing) -> String {
    let names: Vec<&str> = listing.models.iter().map(LoadedModel::name).collect();
    if names.is_empty() {
        "It has none loaded.".to_owned()
    } else {
        format!("It has loaded: {}.", names.join(", "))
    }
}
