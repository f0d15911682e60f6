//! One file a command; each has a `run` that takes its arguments and gives the exit code.
//!
//! Not here: what is shared by `ask` and `chat` (`turn`, `connect`, `show`).

pub(crate) mod ask;
pub(crate) mod chat;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod doctor;
pub(crate) mod engine;
pub(crate) mod memory;
pub(crate) mod mock;
pub(crate) mod models;
pub(crate) mod presets;
pub(crate) mod prompt;
pub(crate) mod servers;
