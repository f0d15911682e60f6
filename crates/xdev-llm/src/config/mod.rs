//! The configuration: every setting with its value and where it comes from, and the trust rules of its layers.
//!
//! Strongest first: the caller's own values, `XDEV_LLM_*`, the project's file, the user's file, the servers' own
//! variables, built-in. `settings` merges them, `file` reads one, `table` names them all, `address` knows URLs and
//! hosts, `secret` keys, `show` what `config show` prints. Not here: what a preset or a server kind means (`preset`,
//! `wire`), connecting (`client`).

mod address;
mod alias;
mod environment;
mod file;
mod secret;
mod settings;
mod show;
mod table;

pub use address::{ServerUrl, host_allowed, is_local, normalise_url};
pub use alias::RouteEntry;
pub use environment::Environment;
pub use secret::{KeySource, looks_like_key};
pub use settings::{EngineSettings, Origin, Overrides, ServerChoice, ServerEntry, Setting, Settings};
pub use show::Shown;
pub use table::{ENVIRONMENT, Form, KEYS, Key, Variable, user_template};

#[cfg(test)]
mod tests;
