//! Aliases of the configuration: their routes, and which of them lead to a given server.
//!
//! Nobody is asked here. Not here: which route is taken (`client`), their form in a file (`file`).

use serde::{Deserialize, Serialize};

use super::address::ServerUrl;
use super::file::ConfigFile;
use super::settings::{ServerChoice, Settings};
use crate::error::{Error, ErrorKind, Result};

/// `RouteEntry` is one way of an alias under `[aliases]`: a server and a model of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct RouteEntry {
    /// A URL, or a name under `[servers]`; `None` is the server that is asked otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// The model's id on that server; `None` is as "auto".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The context length to load the model with, in tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context_length: Option<u32>,
    /// Seconds the model stays loaded after an answer; -1 for ever, 0 not at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_alive: Option<i64>,
}

impl Settings {
    /// Whether this is the name of an alias; it wins over a model of the same name.
    pub fn is_alias(&self, model: &str) -> bool {
        self.aliases.contains_key(model)
    }

    /// The routes of an alias with their numbers from 1, in the order in which they are tried; beside an explicit
    /// server only those that lead there. Empty for what is no alias.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] where none leads to the server.
    pub fn routes(&self, alias: &str, server: Option<&str>) -> Result<Vec<(usize, RouteEntry)>> {
        let Some(entries) = self.aliases.get(alias) else { return Ok(Vec::new()) };
        let all = entries.iter().cloned().enumerate().map(|(index, entry)| (index + 1, entry));
        let Some(server) = server else { return Ok(all.collect()) };
        let wanted = self.url_of(server)?;
        let mut routes = Vec::new();
        let mut others: Vec<String> = Vec::new();
        for (number, entry) in all {
            let other = match &entry.server {
                None => None,
                Some(other) => Some(other).filter(|_| {
                    let url = self.url_of(other).ok().flatten();
                    !matches!((url, &wanted), (Some(url), Some(wanted)) if url.is_same_server(wanted))
                }),
            };
            match other {
                None => routes.push((number, entry)),
                Some(other) if !others.contains(other) => others.push(other.clone()),
                Some(_) => {}
            }
        }
        if routes.is_empty() {
            return Err(Error::invalid_input(format!(
                "The alias `{alias}` has no route to the server {server}; it goes to {}.",
                others.join(", ")
            ))
            .with_hint(
                "Leave the server empty, so that the alias chooses it, or name a model of that server instead of the alias.",
            ));
        }
        Ok(routes)
    }

    fn url_of(&self, server: &str) -> Result<Option<ServerUrl>> {
        match self.find_server(server)? {
            ServerChoice::Given { url, .. } => Ok(Some(url)),
            ServerChoice::None => Ok(None),
        }
    }

    /// Refuses an alias that leads to no server; which names there are is known only when all files are read.
    pub(super) fn check_aliases(&self) -> Result<()> {
        for (name, routes) in &self.aliases {
            for (index, route) in routes.iter().enumerate() {
                let Some(server) = &route.server else { continue };
                self.find_server(server).map_err(|error| {
                    let place = ConfigFile::place_of_route(&routes.origin, name, index);
                    let message = format!("{place}: the server of `aliases.{name}`: {}", error.message());
                    Error::new(ErrorKind::Config, message)
                        .with_hint("Give the route a URL, or a server that has a name under [servers].")
                })?;
            }
        }
        Ok(())
    }
}
