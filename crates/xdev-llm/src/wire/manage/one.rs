//! Servers that hold one model at a time: text-generation-webui, TabbyAPI, KoboldCpp.
//!
//! All three want an admin's key for this where they have keys. Sources: text-generation-webui modules/api, tabbyAPI
//! endpoints/core, koboldcpp.py.

use std::ops::ControlFlow;

use serde_json::{Value, json};

use super::super::Call;
use super::super::json::{number, text};
use super::{Listing, LoadTarget, Manage, Manners, Step, post, refused, without};
use crate::error::Result;
use crate::model::{LoadState, LoadedModel};

/// What they have in common.
const ONE_AT_A_TIME: Manners = Manners {
    holds_one: true,
    must_load_first: true,
    restarts: false,
    hides_states: true,
    takes_context: false,
    shares_copies: false,
};

/// Puts the one model into the listing, unless the name says that there is none.
fn only(name: Option<&str>, none: &str, listing: &mut Listing) -> ControlFlow<()> {
    let name = name.filter(|name| !name.eq_ignore_ascii_case(none));
    listing.models = name.map(|name| LoadedModel::new(name, LoadState::Loaded)).into_iter().collect();
    ControlFlow::Break(())
}

/// `TextGenerationWebui` is text-generation-webui's way.
#[derive(Debug)]
pub(super) struct TextGenerationWebui;

impl Manage for TextGenerationWebui {
    fn list(&self) -> &'static [&'static str] {
        &["/v1/internal/model/info"]
    }

    fn read_list(&self, _index: usize, _status: u16, body: &Value, listing: &mut Listing) -> ControlFlow<()> {
        if body.get("model_name").is_none() {
            return ControlFlow::Continue(());
        }
        only(text(body, "model_name"), "None", listing)
    }

    fn manners(&self) -> Manners {
        Manners { takes_context: true, ..ONE_AT_A_TIME }
    }

    fn load(&self, target: &LoadTarget, _listing: &Listing) -> Result<Call> {
        let model = ("model_name", json!(target.id));
        let call = match target.context_length {
            Some(length) => post("/v1/internal/model/load", [model, ("args", json!({ "ctx_size": length }))]),
            None => post("/v1/internal/model/load", [model]),
        };
        Ok(without(call, target, self.manners()))
    }

    fn unload(&self, _model: &LoadedModel) -> Result<Call> {
        Ok(post("/v1/internal/model/unload", []))
    }
}

/// `TabbyApi` is TabbyAPI's way; a load is told as it goes on.
#[derive(Debug)]
pub(super) struct TabbyApi;

impl Manage for TabbyApi {
    fn list(&self) -> &'static [&'static str] {
        &["/v1/model"]
    }

    fn read_list(&self, _index: usize, status: u16, body: &Value, listing: &mut Listing) -> ControlFlow<()> {
        // Without a model it answers with an error, as well; these two are about the key.
        if matches!(status, 401 | 403) {
            return ControlFlow::Continue(());
        }
        only(text(body, "id"), "", listing)
    }

    fn manners(&self) -> Manners {
        Manners { takes_context: true, ..ONE_AT_A_TIME }
    }

    fn load(&self, target: &LoadTarget, _listing: &Listing) -> Result<Call> {
        let model = ("model_name", json!(target.id));
        let call = match target.context_length {
            Some(length) => post("/v1/model/load", [model, ("max_seq_len", json!(length))]),
            None => post("/v1/model/load", [model]),
        };
        Ok(without(call, target, self.manners()))
    }

    fn unload(&self, _model: &LoadedModel) -> Result<Call> {
        Ok(post("/v1/model/unload", []))
    }

    fn read(&self, _event: Option<&str>, document: &Value, steps: &mut Vec<Step>) -> Result<()> {
        if let Some((module, modules)) = number(document, "module").zip(number(document, "modules")) {
            steps.push(Step::Loading((modules > 0.0).then(|| (module / modules).clamp(0.0, 1.0) as f32)));
        }
        Ok(())
    }
}

/// `KoboldCpp` is KoboldCpp's way: it restarts with another configuration, or with none.
#[derive(Debug)]
pub(super) struct KoboldCpp;

impl Manage for KoboldCpp {
    fn list(&self) -> &'static [&'static str] {
        &["/api/v1/model"]
    }

    fn read_list(&self, _index: usize, _status: u16, body: &Value, listing: &mut Listing) -> ControlFlow<()> {
        if body.get("result").is_none() {
            return ControlFlow::Continue(());
        }
        let name = text(body, "result");
        only(name.filter(|name| *name != "koboldcpp/inactive"), "inactive", listing)
    }

    fn manners(&self) -> Manners {
        Manners { restarts: true, ..ONE_AT_A_TIME }
    }

    fn load(&self, target: &LoadTarget, _listing: &Listing) -> Result<Call> {
        let id = target.id.strip_prefix("koboldcpp/").unwrap_or(&target.id);
        let known = [".kcpps", ".kcppt", ".gguf"].iter().any(|ending| id.ends_with(ending));
        let file = if known { id.to_owned() } else { format!("{id}.kcpps") };
        Ok(without(post("/api/admin/reload_config", [("filename", json!(file))]), target, self.manners()))
    }

    fn unload(&self, _model: &LoadedModel) -> Result<Call> {
        Ok(post("/api/admin/reload_config", [("filename", json!("unload_model"))]))
    }

    fn read(&self, _event: Option<&str>, document: &Value, _steps: &mut Vec<Step>) -> Result<()> {
        match document.get("success").and_then(Value::as_bool) {
            Some(false) => Err(refused("do it", "success: false").with_hint(
                "KoboldCpp does this only when it was started with `--admin --admindir FOLDER`, for a file of that folder, and with the admin's password as the key.",
            )),
            _ => Ok(()),
        }
    }
}
