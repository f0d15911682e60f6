//! LM Studio: `/api/v1/models/…` since 0.4.0; before that, models come with a request and go by themselves.
//!
//! A load always makes a new instance (`name:2`), so whoever loads looks at the list first; an unload wants the
//! instance, not the model. Sources: lmstudio.ai/docs/developer/rest, lmstudio-bug-tracker 168, 1582, 1680.

use std::ops::ControlFlow;

use serde_json::{Value, json};

use super::super::json::{count, list, text};
use super::super::{Call, lmstudio, openai};
use super::{Listing, LoadTarget, Manage, Manners, Pulling, Step, post, refused, segment};
use crate::chat::KeepAlive;
use crate::error::Result;
use crate::model::{LoadState, LoadedModel, ModelKind};

/// `LmStudio` is LM Studio's way.
#[derive(Debug)]
pub(super) struct LmStudio;

const TOO_OLD: &str =
    "LM Studio unloads over HTTP since 0.4.0: update it, or unload there (`lms unload --all`).";

impl Manage for LmStudio {
    fn list(&self) -> &'static [&'static str] {
        &["/api/v1/models", "/api/v0/models"]
    }

    fn read_list(&self, index: usize, _status: u16, body: &Value, listing: &mut Listing) -> ControlFlow<()> {
        // An older version answers 200 with an error text to a path that it does not know.
        if index == 0 && lmstudio::read_native_models(body).is_none() {
            return ControlFlow::Continue(());
        }
        if index == 0 {
            listing.models = list(body, "models").iter().flat_map(read_instances).collect();
            return ControlFlow::Break(());
        }
        let Some(models) = openai::read_models(body) else { return ControlFlow::Continue(()) };
        let loaded = models.into_iter().filter(|model| model.state != LoadState::NotLoaded);
        listing.models = loaded
            .map(|model| LoadedModel {
                context_length: model.loaded_context_length,
                ..LoadedModel::new(model.id, model.state)
            })
            .collect();
        listing.source = 1;
        ControlFlow::Break(())
    }

    fn manners(&self) -> Manners {
        Manners { takes_context: true, ..Manners::default() }
    }

    fn load(&self, target: &LoadTarget, listing: &Listing) -> Result<Call> {
        let model = ("model", json!(target.id));
        // A time to live is taken only from a request that itself loads the model.
        if listing.source == 1 || (target.keep_alive_seconds().is_some() && target.context_length.is_none()) {
            return Ok(just_in_time(target, listing));
        }
        let mut call = match target.context_length {
            Some(length) => post("/api/v1/models/load", [model, ("context_length", json!(length))]),
            None => post("/api/v1/models/load", [model]),
        };
        if target.keep_alive_seconds().is_some() {
            call.not_sent.push("keep_alive".into());
        }
        Ok(call)
    }

    fn unload(&self, model: &LoadedModel) -> Result<Call> {
        match &model.instance {
            Some(instance) => Ok(post("/api/v1/models/unload", [("instance_id", json!(instance))])),
            None => Err(refused("unload the model", "it is a version that cannot").with_hint(TOO_OLD)),
        }
    }

    fn pull(&self, model: &str) -> Option<Call> {
        // A quantization is a field of its own, for Hugging Face addresses.
        Some(match model.rsplit_once('@').filter(|(name, _)| name.contains("huggingface.co/")) {
            Some((name, quantization)) => post(
                "/api/v1/models/download",
                [("model", json!(name)), ("quantization", json!(quantization))],
            ),
            None => post("/api/v1/models/download", [("model", json!(model))]),
        })
    }

    fn follow(&self, job: &str) -> Option<Call> {
        Some(Call::get(format!("/api/v1/models/download/status/{}", segment(job))))
    }

    fn read(&self, _event: Option<&str>, document: &Value, steps: &mut Vec<Step>) -> Result<()> {
        // The answer to a download, and to the question how far it is.
        let Some(status) = text(document, "status") else { return Ok(()) };
        let pulling = Pulling {
            status: status.to_owned(),
            part: None,
            completed_bytes: count(document, "downloaded_bytes"),
            total_bytes: count(document, "total_size_bytes"),
        };
        match status {
            "failed" => {
                return Err(refused("download the model", "the download failed")
                    .with_hint("LM Studio's own window says why: open Downloads there."));
            }
            "completed" | "already_downloaded" => {
                steps.push(Step::Pulling(pulling));
                steps.push(Step::Done);
            }
            "downloading" | "paused" => {
                steps.extend(text(document, "job_id").map(|job| Step::Job(job.to_owned())));
                steps.push(Step::Pulling(pulling));
            }
            _ => {}
        }
        Ok(())
    }
}

impl LoadTarget {
    /// The seconds of a limited stay.
    fn keep_alive_seconds(&self) -> Option<u32> {
        match self.keep_alive {
            Some(KeepAlive::Seconds(seconds)) => Some(seconds),
            _ => None,
        }
    }
}

/// A request that makes LM Studio load the model by itself, and asks for as little as it can.
fn just_in_time(target: &LoadTarget, listing: &Listing) -> Call {
    let (path, mut call) = if target.kind == ModelKind::Embedding {
        ("embeddings", post("embeddings", [("model", json!(target.id)), ("input", json!("."))]))
    } else {
        let messages = json!([{ "role": "user", "content": "." }]);
        let fields = [("model", json!(target.id)), ("messages", messages), ("max_tokens", json!(1))];
        ("chat/completions", post("chat/completions", fields))
    };
    if let Some(seconds) = target.keep_alive_seconds() {
        let mut body = call.parameters.clone();
        body.insert("ttl".into(), json!(seconds));
        call = Call::post(path, body, &[], Vec::new());
    }
    if target.context_length.is_some() {
        call.not_sent.push("context_length".into());
    }
    if target.keep_alive == Some(KeepAlive::Forever) && listing.source == 1 {
        call.not_sent.push("keep_alive".into());
    }
    call
}

fn read_instances(entry: &Value) -> Vec<LoadedModel> {
    let Some(id) = text(entry, "key") else { return Vec::new() };
    let instances = list(entry, "loaded_instances").iter();
    instances
        .map(|instance| LoadedModel {
            instance: text(instance, "id").map(str::to_owned),
            context_length: instance
                .get("config")
                .and_then(|config| count(config, "context_length"))
                .and_then(|length| u32::try_from(length).ok()),
            size_bytes: count(entry, "size_bytes"),
            ..LoadedModel::new(id, LoadState::Loaded)
        })
        .collect()
}
