//! Servers with several models and an API of their own: mistral.rs, llama-swap, Lemonade.
//!
//! Sources: mistralrs-server-core/src/handlers.rs, llama-swap's README, lemonade's server specification.

use std::ops::ControlFlow;

use serde_json::{Value, json};

use super::super::json::{count, list, text};
use super::super::{Call, openai};
use super::{Listing, LoadTarget, Manage, Manners, Pulling, Step, post, refused, segment, without};
use crate::error::Result;
use crate::model::{LoadState, LoadedModel};

/// `MistralRs` is mistral.rs's way. It answers 200 to failures, too, and says so in `status`.
#[derive(Debug)]
pub(super) struct MistralRs;

impl Manage for MistralRs {
    fn list(&self) -> &'static [&'static str] {
        &["/v1/models"]
    }

    fn read_list(&self, _index: usize, _status: u16, body: &Value, listing: &mut Listing) -> ControlFlow<()> {
        let Some(models) = openai::read_models(body) else { return ControlFlow::Continue(()) };
        let others = models.iter().any(|model| model.id != "default");
        listing.models = models
            .into_iter()
            // `default` is another name of the first model.
            .filter(|model| model.state != LoadState::NotLoaded && !(others && model.id == "default"))
            .map(|model| LoadedModel {
                context_length: model.loaded_context_length,
                ..LoadedModel::new(model.id, model.state)
            })
            .collect();
        ControlFlow::Break(())
    }

    fn manners(&self) -> Manners {
        Manners { must_load_first: true, ..Manners::default() }
    }

    fn load(&self, target: &LoadTarget, _listing: &Listing) -> Result<Call> {
        Ok(without(post("/v1/models/reload", [("model_id", json!(target.id))]), target, self.manners()))
    }

    fn unload(&self, model: &LoadedModel) -> Result<Call> {
        Ok(post("/v1/models/unload", [("model_id", json!(model.id))]))
    }

    fn read(&self, _event: Option<&str>, document: &Value, _steps: &mut Vec<Step>) -> Result<()> {
        match text(document, "status") {
            Some(status @ ("not_found" | "no_loader_config" | "internal_error")) => {
                Err(refused("do it", text(document, "error").unwrap_or(status)))
            }
            _ => Ok(()),
        }
    }
}

/// `LlamaSwap` is llama-swap's way: any request to a model's upstream starts it.
#[derive(Debug)]
pub(super) struct LlamaSwap;

impl Manage for LlamaSwap {
    fn list(&self) -> &'static [&'static str] {
        &["/running"]
    }

    fn read_list(&self, _index: usize, _status: u16, body: &Value, listing: &mut Listing) -> ControlFlow<()> {
        if body.get("running").is_none() {
            return ControlFlow::Continue(());
        }
        let read = |entry: &Value| {
            let state = match text(entry, "state") {
                Some("stopped" | "shutdown") => return None,
                Some("starting") => LoadState::Loading,
                // One that is stopping still holds its memory.
                _ => LoadState::Loaded,
            };
            Some(LoadedModel::new(text(entry, "model")?, state))
        };
        listing.models = list(body, "running").iter().filter_map(read).collect();
        ControlFlow::Break(())
    }

    fn manners(&self) -> Manners {
        Manners { hides_states: true, ..Manners::default() }
    }

    fn load(&self, target: &LoadTarget, _listing: &Listing) -> Result<Call> {
        let call = Call::get(format!("/upstream/{}/health", segment(&target.id)));
        Ok(without(call, target, self.manners()))
    }

    fn unload(&self, model: &LoadedModel) -> Result<Call> {
        Ok(post(&format!("/api/models/unload/{}", segment(&model.id)), []))
    }
}

/// `Lemonade` is Lemonade's way.
#[derive(Debug)]
pub(super) struct Lemonade;

impl Manage for Lemonade {
    fn list(&self) -> &'static [&'static str] {
        &["/v1/health"]
    }

    fn read_list(&self, _index: usize, _status: u16, body: &Value, listing: &mut Listing) -> ControlFlow<()> {
        if body.get("all_models_loaded").is_none() && body.get("model_loaded").is_none() {
            return ControlFlow::Continue(());
        }
        let all = list(body, "all_models_loaded").iter().filter_map(|entry| text(entry, "model_name"));
        listing.models = all.map(|name| LoadedModel::new(name, LoadState::Loaded)).collect();
        if listing.models.is_empty() {
            listing.models = text(body, "model_loaded")
                .map(|name| LoadedModel::new(name, LoadState::Loaded))
                .into_iter()
                .collect();
        }
        ControlFlow::Break(())
    }

    fn manners(&self) -> Manners {
        Manners { hides_states: true, takes_context: true, ..Manners::default() }
    }

    fn load(&self, target: &LoadTarget, _listing: &Listing) -> Result<Call> {
        let model = ("model_name", json!(target.id));
        let call = match target.context_length {
            Some(length) => post("/v1/load", [model, ("ctx_size", json!(length))]),
            None => post("/v1/load", [model]),
        };
        Ok(without(call, target, self.manners()))
    }

    fn unload(&self, model: &LoadedModel) -> Result<Call> {
        Ok(post("/v1/unload", [("model_name", json!(model.id))]))
    }

    fn pull(&self, model: &str) -> Option<Call> {
        Some(post("/v1/pull", [("model_name", json!(model)), ("stream", json!(true))]))
    }

    fn read(&self, event: Option<&str>, document: &Value, steps: &mut Vec<Step>) -> Result<()> {
        if event == Some("complete") || text(document, "status") == Some("success") {
            steps.push(Step::Done);
        } else if event == Some("progress") {
            steps.push(Step::Pulling(Pulling {
                status: "downloading".to_owned(),
                part: text(document, "file").map(str::to_owned),
                completed_bytes: count(document, "bytes_downloaded"),
                total_bytes: count(document, "bytes_total"),
            }));
        }
        Ok(())
    }
}
