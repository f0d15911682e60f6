//! Ollama: requests without a prompt load, and with `keep_alive: 0` unload.
//!
//! A request that wants another `num_ctx` than the loaded one reloads the model. A busy model goes when its answer is
//! done; `/api/ps` tells when. Sources: ollama/server/routes.go, docs/faq.mdx.

use std::ops::ControlFlow;

use serde_json::{Map, Value, json};

use super::super::Call;
use super::super::json::{count, list, text};
use super::{Listing, LoadTarget, Manage, Manners, Pulling, Step, post};
use crate::chat::KeepAlive;
use crate::error::Result;
use crate::model::{LoadState, LoadedModel, ModelKind};

/// `Ollama` is Ollama's way.
#[derive(Debug)]
pub(super) struct Ollama;

impl Manage for Ollama {
    fn list(&self) -> &'static [&'static str] {
        &["/api/ps"]
    }

    fn read_list(&self, _index: usize, _status: u16, body: &Value, listing: &mut Listing) -> ControlFlow<()> {
        if body.get("models").is_none() {
            return ControlFlow::Continue(());
        }
        listing.models = list(body, "models").iter().filter_map(read_loaded).collect();
        ControlFlow::Break(())
    }

    fn manners(&self) -> Manners {
        Manners {
            takes_context: true,
            // A copy belongs to the file of weights, which several names may have. ollama/server/sched.go.
            shares_copies: true,
            ..Manners::default()
        }
    }

    fn load(&self, target: &LoadTarget, _listing: &Listing) -> Result<Call> {
        let mut body = Map::new();
        body.insert("model".into(), json!(target.id));
        match target.keep_alive {
            Some(KeepAlive::Seconds(seconds)) => body.insert("keep_alive".into(), json!(seconds)),
            Some(KeepAlive::Forever) => body.insert("keep_alive".into(), json!(-1)),
            None => None,
        };
        if let Some(length) = target.context_length {
            body.insert("options".into(), json!({ "num_ctx": length }));
        }
        // `generate` refuses models that make vectors.
        let path = if target.kind == ModelKind::Embedding {
            body.insert("input".into(), json!(""));
            "/api/embed"
        } else {
            body.insert("stream".into(), json!(false));
            "/api/generate"
        };
        Ok(Call::post(path, body, &[], Vec::new()))
    }

    fn unload(&self, model: &LoadedModel) -> Result<Call> {
        let fields = [("model", json!(model.id)), ("keep_alive", json!(0)), ("stream", json!(false))];
        Ok(post("/api/generate", fields))
    }

    fn pull(&self, model: &str) -> Option<Call> {
        Some(post("/api/pull", [("model", json!(model)), ("stream", json!(true))]))
    }

    fn read(&self, _event: Option<&str>, document: &Value, steps: &mut Vec<Step>) -> Result<()> {
        let Some(status) = text(document, "status") else { return Ok(()) };
        if status == "success" {
            steps.push(Step::Done);
            return Ok(());
        }
        let total_bytes = count(document, "total");
        steps.push(Step::Pulling(Pulling {
            status: status.to_owned(),
            part: text(document, "digest").map(str::to_owned),
            // Left out while it is zero.
            completed_bytes: total_bytes.map(|_| count(document, "completed").unwrap_or(0)),
            total_bytes,
        }));
        Ok(())
    }
}

fn read_loaded(entry: &Value) -> Option<LoadedModel> {
    let id = text(entry, "name").or_else(|| text(entry, "model"))?;
    Some(LoadedModel {
        context_length: count(entry, "context_length").and_then(|length| u32::try_from(length).ok()),
        size_bytes: count(entry, "size"),
        vram_bytes: count(entry, "size_vram"),
        expires_at: text(entry, "expires_at").map(str::to_owned),
        ..LoadedModel::new(id, LoadState::Loaded)
    })
}
