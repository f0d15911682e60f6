//! vLLM's sleep mode: one model a process, whose weights leave the GPU and come back.
//!
//! Only with `VLLM_SERVER_DEV_MODE=1` and `--enable-sleep-mode`; else the paths are not there. Level 1 keeps the weights in
//! main memory. Source: docs.vllm.ai/en/stable/features/sleep_mode.

use std::ops::ControlFlow;

use serde_json::Value;

use super::super::{Call, openai};
use super::{Listing, LoadTarget, Manage, post, without};
use crate::error::Result;
use crate::model::{LoadState, LoadedModel};

/// `Vllm` is vLLM's way.
#[derive(Debug)]
pub(super) struct Vllm;

const NO_SLEEP: &str = "vLLM gives its memory back in sleep mode only: start it with `VLLM_SERVER_DEV_MODE=1 vllm serve … --enable-sleep-mode`, or stop it.";

impl Manage for Vllm {
    fn list(&self) -> &'static [&'static str] {
        &["/is_sleeping", "/v1/models"]
    }

    fn read_list(&self, index: usize, _status: u16, body: &Value, listing: &mut Listing) -> ControlFlow<()> {
        if index == 0 {
            match body.get("is_sleeping").and_then(Value::as_bool) {
                Some(true) => return ControlFlow::Break(()),
                Some(false) => {}
                None => listing.fixed = Some(NO_SLEEP),
            }
            return ControlFlow::Continue(());
        }
        let models = openai::read_models(body).unwrap_or_default();
        listing.models = models
            .into_iter()
            .map(|model| LoadedModel {
                context_length: model.context_length,
                ..LoadedModel::new(model.id, LoadState::Loaded)
            })
            .collect();
        ControlFlow::Break(())
    }

    fn load(&self, target: &LoadTarget, _listing: &Listing) -> Result<Call> {
        Ok(without(post("/wake_up", []), target, true, true))
    }

    fn unload(&self, _model: &LoadedModel) -> Result<Call> {
        Ok(post("/sleep?level=1", []))
    }

    fn holds_one(&self) -> bool {
        true
    }

    fn must_load_first(&self) -> bool {
        true
    }

    fn lists_states(&self) -> bool {
        false
    }
}
