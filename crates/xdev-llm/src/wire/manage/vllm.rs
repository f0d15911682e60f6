//! vLLM's sleep mode: one model a process, whose weights leave the GPU and come back.
//!
//! Only with `VLLM_SERVER_DEV_MODE=1` and `--enable-sleep-mode`; else the paths are not there. Level 1 keeps the weights in
//! main memory. Source: docs.vllm.ai/en/stable/features/sleep_mode.

use std::ops::ControlFlow;

use serde_json::Value;

use super::super::{Call, openai};
use super::{Listing, LoadTarget, Manage, Manners, post, without};
use crate::error::Result;
use crate::model::{LoadState, LoadedModel};

/// `Vllm` is vLLM's way.
#[derive(Debug)]
pub(super) struct Vllm;

const NO_SLEEP: &str = "vLLM gives its memory back in sleep mode only: start it with `VLLM_SERVER_DEV_MODE=1 vllm serve … --enable-sleep-mode`, or stop it.";

impl Manage for Vllm {
    fn list(&self) -> &'static [&'static str] {
        &["/is_sleeping", "/server_info?config_format=json", "/v1/models"]
    }

    fn read_list(&self, index: usize, _status: u16, body: &Value, listing: &mut Listing) -> ControlFlow<()> {
        if index == 0 {
            match body.get("is_sleeping").and_then(Value::as_bool) {
                Some(true) => listing.asleep.push(String::new()),
                Some(false) => {}
                None => listing.fixed = Some(NO_SLEEP),
            }
            return ControlFlow::Continue(());
        }
        if index == 1 {
            // In development mode it says yes to sleep in any case; without sleep mode it only pauses, and gives nothing back.
            let config = body.pointer("/vllm_config/model_config/enable_sleep_mode");
            if config.and_then(Value::as_bool) == Some(false) {
                listing.fixed = Some(NO_SLEEP);
            }
            let is_asleep = !listing.asleep.is_empty() && listing.fixed.is_none();
            return if is_asleep { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
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

    fn manners(&self) -> Manners {
        Manners { holds_one: true, must_load_first: true, hides_states: true, ..Manners::default() }
    }

    fn load(&self, target: &LoadTarget, _listing: &Listing) -> Result<Call> {
        Ok(without(post("/wake_up", []), target, self.manners()))
    }

    fn unload(&self, _model: &LoadedModel) -> Result<Call> {
        // Left alone, it cuts the answers that it is giving.
        Ok(post("/sleep?level=1&mode=wait", []))
    }
}
