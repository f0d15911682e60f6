//! The mock seen from a raw socket: identification, recorded shapes, faults byte by byte, behaviour.

// Helpers here are tests too, and take `json!` literals as they are written.
#![allow(clippy::unwrap_used, clippy::needless_pass_by_value)]

mod behaviour;
mod client;
mod control;
mod faults;
mod identify;
mod lmstudio;
mod managed;
mod ollama;
mod recorded;
mod router;
