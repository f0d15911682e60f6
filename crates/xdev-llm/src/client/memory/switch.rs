//! Switching: one model in the place of others, in the order that the memory allows.

use super::super::server::Server;
use super::UNLOAD_PATIENCE;
use super::outcome::{LoadRequest, Switched};
use super::task::Events;
use crate::error::Result;
use crate::model::{LoadedModel, is_same_model};

impl Server {
    pub(super) async fn switch_now(&self, request: &LoadRequest, events: &Events) -> Result<Switched> {
        let (way, _) = self.way().await?;
        let (id, _) = self.spelled(&request.model, way).await?;
        let before = self.listing(way).await?;
        let others: Vec<LoadedModel> =
            before.models.iter().filter(|model| !is_same_model(&id, &model.id)).cloned().collect();
        let request = LoadRequest { model: id, ..request.clone() };
        if others.is_empty() || way.manners().holds_one {
            // The load of a server that holds one model is the switch.
            let loaded = self.load_now(&request, events).await?;
            return Ok(Switched { unloaded: None, loaded, side_by_side: false });
        }
        let side_by_side = self.fits_beside(&request.model, request.context_length).await;
        if side_by_side {
            let loaded = self.load_now(&request, events).await?;
            // Some servers make room by themselves.
            let left = self.listing(way).await?;
            let others =
                others.into_iter().filter(|model| left.models.iter().any(|it| it.name() == model.name()));
            let unloaded = self.unload_all(way, others.collect(), UNLOAD_PATIENCE, events).await?;
            return Ok(Switched { unloaded: Some(unloaded), loaded, side_by_side });
        }
        let unloaded = self.unload_all(way, others.clone(), UNLOAD_PATIENCE, events).await?;
        match self.load_now(&request, events).await {
            Ok(loaded) => Ok(Switched { unloaded: Some(unloaded), loaded, side_by_side }),
            Err(error) => {
                // Better the old model than none.
                let mut back = Vec::new();
                for model in &others {
                    let request = LoadRequest {
                        model: model.id.clone(),
                        context_length: model.context_length,
                        keep_alive: None,
                        ..LoadRequest::default()
                    };
                    if self.load_now(&request, events).await.is_ok() {
                        back.push(model.id.as_str());
                    }
                }
                let hint = if back.is_empty() {
                    error.hint().to_owned()
                } else {
                    format!("{} Loaded again: {}.", error.hint(), back.join(", "))
                };
                Err(error.with_hint(hint))
            }
        }
    }
}
