//! `xdev-llm switch`: one model in the place of all others.
//!
//! Not here: the order, and the way back when the load fails (the library's `client::memory`).

use std::process::ExitCode;

use xdev_llm::{Error, Switched};

use super::{aim, load, names, typed, unload, warn_of_not_sent, watch};
use crate::arguments::{SwitchArguments, TargetArguments};
use crate::output::{self, Failure, Outcome};
use crate::render::plain;
use crate::turn::interrupted;

/// Switches and says what went and what came.
pub(crate) fn run(arguments: &SwitchArguments) -> Outcome {
    let target = &arguments.target;
    let switched = output::block_on(switch(target))??;
    if target.json {
        output::json(&switched)?;
        return Ok(ExitCode::SUCCESS);
    }
    for sentence in sentences(&switched) {
        output::line(&plain(&sentence))?;
    }
    if let Some(unloaded) = &switched.unloaded {
        unload::warn_of_missing(unloaded);
    }
    warn_of_not_sent(&switched.loaded.not_sent);
    Ok(ExitCode::SUCCESS)
}

async fn switch(target: &TargetArguments) -> Result<Switched, Failure> {
    let (request, connection) = aim(target).await?;
    watch(connection.server.switch(request), async || half_way(target)).await
}

/// What went and what came, in the order in which it happened, and why in this order.
fn sentences(switched: &Switched) -> Vec<String> {
    let loaded = load::sentence(&switched.loaded);
    let went = switched.unloaded.as_ref().filter(|unloaded| !unloaded.models.is_empty());
    match went.map(unload::sentence) {
        Some(unloaded) if switched.side_by_side => {
            vec![loaded, unloaded, "Both were in memory for a moment: they fit side by side.".to_owned()]
        }
        Some(unloaded) => vec![
            unloaded,
            loaded,
            "One after the other: that both fit side by side is not certain.".to_owned(),
        ],
        None if !switched.loaded.evicted.is_empty() => {
            let gone = names(switched.loaded.evicted.iter().map(String::as_str));
            vec![format!("The server unloaded {gone} by itself."), loaded]
        }
        None => vec![loaded],
    }
}

fn half_way(target: &TargetArguments) -> Error {
    interrupted().with_hint(format!(
        "The server may be half-way: {} shows what is in memory now.",
        typed("ps", &target.server)
    ))
}
