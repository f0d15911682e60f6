//! Unloading: told to go, and looked after until it is gone.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::super::server::Server;
use super::outcome::{MemoryEvent, Unload, Unloaded};
use super::task::Events;
use super::{LONGEST_PAUSE, SHORTEST_PAUSE, seconds_since};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{LoadState, LoadedModel, ModelInfo, ModelKind, is_same_model, pick};
use crate::wire::{LoadTarget, Manage};

/// How long a model may take to go. One that is answering goes when its answer is done.
const UNLOAD_PATIENCE: Duration = Duration::from_secs(60);

impl Server {
    pub(super) async fn unload_now(&self, what: &Unload, events: &Events) -> Result<Unloaded> {
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
        if let Some(why) = listing.fixed.filter(|_| !wanted.is_empty()) {
            return Err(self.cannot("unload", &wanted[0].id, why));
        }
        if listing.source > 0 && !wanted.is_empty() {
            // The list of an older version, which has no such call.
            way.unload(&wanted[0]).map_err(|error| error.with_server(self.url()))?;
        }
        self.unload_all(way, wanted, events).await
    }

    /// Unloads these copies and waits until none is listed.
    pub(super) async fn unload_all(
        &self,
        way: &dyn Manage,
        wanted: Vec<LoadedModel>,
        events: &Events,
    ) -> Result<Unloaded> {
        let start = Instant::now();
        let mut refusal = None;
        for model in &wanted {
            // One that is on its way in cannot be stopped: it goes as soon as it is there.
            if model.state == LoadState::Loading {
                let target = LoadTarget {
                    id: model.id.clone(),
                    kind: ModelKind::Llm,
                    context_length: None,
                    keep_alive: None,
                };
                // It may as well fail to load.
                let _ = self.wait_until_loaded(way, &target, events).await;
            }
            let _ = events.send(MemoryEvent::Unloading { model: model.name().to_owned() });
            if let Err(error) = self.send(way, &way.unload(model)?, UNLOAD_PATIENCE, |_| {}).await {
                // Whether it went all the same is told by the list.
                refusal = Some(error);
            }
            self.inner.note_context(self.url(), &model.id, None);
        }
        if !wanted.is_empty() {
            self.wait_until_gone(way, &wanted, refusal, events).await?;
        }
        self.forget_models();
        let told = wanted.iter().filter_map(|model| model.vram_bytes);
        Ok(Unloaded {
            server: self.url().to_owned(),
            duration: seconds_since(start),
            freed_bytes: wanted.iter().any(|model| model.vram_bytes.is_some()).then(|| told.sum()),
            models: wanted,
        })
    }

    /// Looks at the list until none of these copies is in it.
    async fn wait_until_gone(
        &self,
        way: &dyn Manage,
        wanted: &[LoadedModel],
        mut refusal: Option<Error>,
        events: &Events,
    ) -> Result<()> {
        let start = Instant::now();
        let mut pause = SHORTEST_PAUSE;
        loop {
            let listing = self.listing_again(way, start).await?;
            let still = listing.map(|listing| {
                let holds = |model: &LoadedModel| wanted.iter().any(|gone| gone.name() == model.name());
                listing.models.into_iter().filter(holds).collect::<Vec<_>>()
            });
            // What the server refused does not go by itself.
            if let Some(error) = refusal.take_if(|_| still.as_ref().is_some_and(|still| !still.is_empty())) {
                return Err(error);
            }
            match still {
                Some(still) if still.is_empty() => return Ok(()),
                Some(still) if start.elapsed() > UNLOAD_PATIENCE => return Err(self.still_there(&still)),
                _ => {}
            }
            for model in wanted {
                let _ = events.send(MemoryEvent::Unloading { model: model.name().to_owned() });
            }
            sleep(pause).await;
            pause = (pause * 3 / 2).min(LONGEST_PAUSE);
        }
    }

    fn still_there(&self, still: &[LoadedModel]) -> Error {
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
                "The server was told to unload, and {} s later it still lists {} as loaded.",
                UNLOAD_PATIENCE.as_secs(),
                names.join(", ")
            ),
        )
        .with_server(self.url())
        .with_hint("Another program may be using the model: a server keeps it until that answer is done, or loads it anew for the next one.")
    }
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
