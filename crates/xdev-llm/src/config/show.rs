//! What `config show` prints: each setting as text, with where it comes from.
//!
//! Keys are shown as their source and whether they are set. Not here: the layout on the terminal (the command).

use std::collections::BTreeMap;
use std::fmt::Display;

use super::alias::RouteEntry;
use super::settings::{Origin, ServerEntry, Setting, Settings};
use crate::chat::Reasoning;

/// `Shown` is one line of `config show`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The setting's name, such as `servers.work.url`.
    pub key: String,
    /// The value as text; empty where there is none.
    pub value: String,
    /// Where it comes from.
    pub origin: Origin,
}

/// The text of an optional value; empty where there is none.
fn text<T: Display>(value: Option<T>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

impl Settings {
    /// Every setting with its value and where it comes from; a key is never among them.
    pub fn show(&self) -> Vec<Shown> {
        let mut lines = Vec::new();
        let mut add = |key: &str, value: String, origin: &Origin| {
            lines.push(Shown { key: key.to_owned(), value, origin: origin.clone() });
        };
        add("server", text(self.server.as_ref()), &self.server.origin);
        add("model", self.model.value.clone(), &self.model.origin);
        add("preset", self.preset.value.clone(), &self.preset.origin);
        add("system", text(self.system.as_ref()), &self.system.origin);
        add("timeout", self.timeout.as_secs().to_string(), &self.timeout.origin);
        add(
            "deadline",
            self.deadline.map_or(0, |deadline| deadline.as_secs()).to_string(),
            &self.deadline.origin,
        );
        add("max_tokens_limit", self.max_tokens_limit.to_string(), &self.max_tokens_limit.origin);
        add("concurrency", self.concurrency.to_string(), &self.concurrency.origin);
        add("reasoning", reasoning_name(*self.reasoning).to_owned(), &self.reasoning.origin);
        add("allow_hosts", self.allow_hosts.join(", "), &self.allow_hosts.origin);
        let ports: Vec<String> = self.discovery_ports.iter().map(u16::to_string).collect();
        add("discovery_ports", ports.join(", "), &self.discovery_ports.origin);
        let engine = &self.engine;
        add("engine.command", text(engine.command.as_ref()), &engine.command.origin);
        add("engine.model", text(engine.model.as_ref().map(|path| path.display())), &engine.model.origin);
        add("engine.context_length", text(*engine.context_length), &engine.context_length.origin);
        add("engine.threads", text(*engine.threads), &engine.threads.origin);
        add("engine.idle", engine.idle.as_secs().to_string(), &engine.idle.origin);
        for (name, path) in
            [("user_file", &self.user_file), ("state_dir", &self.state_dir), ("data_dir", &self.data_dir)]
        {
            add(name, path.display().to_string(), &path.origin);
        }
        lines.extend(show_servers(&self.servers));
        lines.extend(show_aliases(&self.aliases));
        for key in &self.keys {
            lines.push(Shown { key: key.key.clone(), value: key.describe(), origin: key.origin.clone() });
        }
        for (kind, tables) in [("presets", &self.presets), ("kinds", &self.kinds)] {
            for (name, table) in tables {
                let value = toml::Value::Table(table.value.clone()).to_string();
                lines.push(Shown { key: format!("{kind}.{name}"), value, origin: table.origin.clone() });
            }
        }
        lines
    }
}

fn show_servers(servers: &BTreeMap<String, Setting<ServerEntry>>) -> Vec<Shown> {
    let mut lines = Vec::new();
    for (name, entry) in servers {
        let values = [
            ("url", Some(entry.url.clone())),
            ("kind", entry.kind.clone()),
            ("model", entry.model.clone()),
            ("concurrency", entry.concurrency.map(|number| number.to_string())),
            ("context_length", entry.context_length.map(|number| number.to_string())),
            ("api", entry.api.clone()),
        ];
        for (key, value) in values {
            if let Some(value) = value {
                lines.push(Shown {
                    key: format!("servers.{name}.{key}"),
                    value,
                    origin: entry.origin.clone(),
                });
            }
        }
    }
    lines
}

/// A line for each route, numbered in the order in which they are tried.
fn show_aliases(aliases: &BTreeMap<String, Setting<Vec<RouteEntry>>>) -> Vec<Shown> {
    let mut lines = Vec::new();
    for (name, routes) in aliases {
        for (index, route) in routes.iter().enumerate() {
            lines.push(Shown {
                key: format!("aliases.{name}[{}]", index + 1),
                value: toml::Value::try_from(route).map_or_else(|_| String::new(), |value| value.to_string()),
                origin: routes.origin.clone(),
            });
        }
    }
    lines
}

/// The name of a reasoning effort in the config.
fn reasoning_name(reasoning: Reasoning) -> &'static str {
    match reasoning {
        Reasoning::Default => "default",
        Reasoning::Off => "off",
        Reasoning::Low => "low",
        Reasoning::Medium => "medium",
        Reasoning::High => "high",
    }
}
