//! llama.cpp's router: a `llama-server` that was started without a model.
//!
//! A load is answered before it is done, so the state is looked at until it has changed. A sleeping model holds no
//! memory. A server with one model has no states. Source: llama.cpp tools/server/README.md.

use std::ops::ControlFlow;

use serde_json::{Value, json};

use super::super::Call;
use super::super::json::{count, list, number, text};
use super::{Listing, LoadTarget, Manage, Pulling, Step, post, refused, without};
use crate::error::Result;
use crate::model::{LoadState, LoadedModel};

/// `LlamaCpp` is the router's way.
#[derive(Debug)]
pub(super) struct LlamaCpp;

const ONE_MODEL: &str = "This llama-server was started with one model, which stays as long as it runs. Start it without a model (`llama-server --models-dir FOLDER`), or with `--sleep-idle-seconds 60`, or stop it.";

impl Manage for LlamaCpp {
    fn list(&self) -> &'static [&'static str] {
        &["/models"]
    }

    fn read_list(&self, _index: usize, _status: u16, body: &Value, listing: &mut Listing) -> ControlFlow<()> {
        if body.get("data").is_none() {
            return ControlFlow::Continue(());
        }
        let entries = list(body, "data");
        // A router without a model lists none; a server with one model lists that.
        if !entries.is_empty() && !entries.iter().any(|entry| entry.get("status").is_some()) {
            listing.fixed = Some(ONE_MODEL);
        }
        for entry in entries {
            read_entry(entry, listing);
        }
        ControlFlow::Break(())
    }

    fn load(&self, target: &LoadTarget, listing: &Listing) -> Result<Call> {
        // The router takes one that sleeps for running; a request for an answer wakes it.
        let call = if listing.is_asleep(&target.id) {
            let messages = json!([{ "role": "user", "content": "." }]);
            let fields = [("model", json!(target.id)), ("messages", messages), ("max_tokens", json!(1))];
            post("chat/completions", fields)
        } else {
            post("/models/load", [("model", json!(target.id))])
        };
        Ok(without(call, target, self.manners()))
    }

    fn unload(&self, model: &LoadedModel) -> Result<Call> {
        Ok(post("/models/unload", [("model", json!(model.id))]))
    }

    fn pull(&self, model: &str) -> Option<Call> {
        Some(post("/models", [("model", json!(model))]))
    }

    fn follow(&self, _job: &str) -> Option<Call> {
        Some(Call::get("/models"))
    }

    fn read(&self, _event: Option<&str>, document: &Value, steps: &mut Vec<Step>) -> Result<()> {
        match document.get("success").and_then(Value::as_bool) {
            Some(false) => Err(refused("do it", text(document, "message").unwrap_or("success: false"))),
            // What goes on after this answer is told by the list.
            Some(true) => {
                steps.push(Step::Job(String::new()));
                Ok(())
            }
            None => {
                steps.extend(list(document, "data").iter().filter_map(read_download));
                Ok(())
            }
        }
    }
}

fn read_entry(entry: &Value, listing: &mut Listing) {
    let Some(id) = text(entry, "id") else { return };
    let status = entry.get("status").unwrap_or(&Value::Null);
    let state = match text(status, "value") {
        Some("loaded") | None => LoadState::Loaded,
        Some("loading") => LoadState::Loading,
        Some("sleeping") => {
            listing.asleep.push(id.to_owned());
            return;
        }
        _ => {
            if status.get("failed").and_then(Value::as_bool) == Some(true) {
                let code =
                    number(status, "exit_code").map_or(String::new(), |code| format!(" (exit code {code})"));
                listing.failed.push((id.to_owned(), format!("it could not be loaded{code}")));
            }
            return;
        }
    };
    let meta = entry.get("meta").unwrap_or(&Value::Null);
    listing.models.push(LoadedModel {
        context_length: count(meta, "n_ctx").and_then(|length| u32::try_from(length).ok()),
        size_bytes: count(meta, "size"),
        ..LoadedModel::new(id, state)
    });
}

/// How far a model is that is being downloaded.
fn read_download(entry: &Value) -> Option<Step> {
    let status = entry.get("status")?;
    if text(status, "value") != Some("downloading") {
        return None;
    }
    let progress = status.get("progress").unwrap_or(&Value::Null);
    Some(Step::Pulling(Pulling {
        status: "downloading".to_owned(),
        part: text(entry, "id").map(str::to_owned),
        completed_bytes: count(progress, "done").or_else(|| count(progress, "downloaded")),
        total_bytes: count(progress, "total"),
    }))
}
