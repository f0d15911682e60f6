//! `xdev-llm load`: a model into memory, told when the server's own list has it.
//!
//! Not here: the wait and its progress (`memory`).

use std::process::ExitCode;

use serde::Serialize;
use xdev_llm::{Error, Forecast, LoadRequest, Loaded, LoadedModel, Server, Verdict, is_same_model};

use super::{aim, names, typed, warn_of_not_sent, watch};
use crate::arguments::{LoadArguments, TargetArguments};
use crate::output::{self, DIM, Failure, Outcome};
use crate::render::plain;
use crate::turn::interrupted;
use crate::words;

/// `Foreseen` is what a dry run prints as JSON.
#[derive(Serialize)]
struct Foreseen<'a> {
    sentence: String,
    #[serde(flatten)]
    forecast: &'a Forecast,
}

/// Loads and says what is there now.
pub(crate) fn run(arguments: &LoadArguments) -> Outcome {
    let target = &arguments.target;
    if arguments.dry_run {
        let forecast = output::block_on(foresee(target))??;
        if target.json {
            output::json(&Foreseen { sentence: forecast.to_string(), forecast: &forecast })?;
        } else {
            output::line(&plain(&forecast.to_string()))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let loaded = output::block_on(load(target))??;
    if target.json {
        output::json(&loaded)?;
        return Ok(ExitCode::SUCCESS);
    }
    output::line(&plain(&sentence(&loaded)))?;
    if !loaded.evicted.is_empty() {
        let gone = names(loaded.evicted.iter().map(String::as_str));
        output::line(&plain(&format!("The server unloaded {gone} for it.")))?;
    }
    warn_of_not_sent(&loaded.not_sent);
    Ok(ExitCode::SUCCESS)
}

async fn load(target: &TargetArguments) -> Result<Loaded, Failure> {
    let (request, connection) = aim(target).await?;
    if !target.json {
        announce(&connection.server, &request).await;
    }
    watch(connection.server.load(request), async || goes_on(target)).await
}

/// Says whether it fits, where that is known; the server may well load what does not.
async fn announce(server: &Server, request: &LoadRequest) {
    let is_there = |model: &LoadedModel| is_same_model(&request.model, &model.id);
    if server.loaded().await.is_ok_and(|models| models.iter().any(is_there)) {
        return;
    }
    // Why a load cannot be is told by the load.
    if let Ok(forecast) = server.forecast(&request.model, request.context_length).await
        && !matches!(forecast.verdict, Verdict::Unknown { .. })
    {
        output::note(&format!("{DIM}{}{DIM:#}", plain(&forecast.to_string())));
    }
}

async fn foresee(target: &TargetArguments) -> Result<Forecast, Failure> {
    let (request, connection) = aim(target).await?;
    Ok(connection.server.forecast(&request.model, request.context_length).await?)
}

/// What a load that nobody waits for any more leaves behind.
fn goes_on(target: &TargetArguments) -> Error {
    let model = &target.model;
    let (look, undo) = (typed("ps", &target.server), typed(&format!("unload {model}"), &target.server));
    interrupted().with_hint(format!(
        "The server may go on loading `{model}`. {look} shows when it is there, {undo} unloads it then."
    ))
}

/// Says what was loaded.
pub(super) fn sentence(loaded: &Loaded) -> String {
    let name = loaded.model.name();
    let context = loaded
        .model
        .context_length
        .map_or(String::new(), |length| format!(" with a context of {length} tokens"));
    if loaded.was_loaded {
        format!("`{name}` was loaded already{context}.")
    } else {
        format!("`{name}` is loaded{context}, after {}.", words::seconds(loaded.duration))
    }
}
