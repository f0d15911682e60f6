//! `xdev-llm models`: what a server has.
//!
//! Not here: how each server lists its models (the library's `wire`).

use std::process::ExitCode;

use xdev_llm::{Client, ModelInfo, Result};

use crate::arguments::ModelsArguments;
use crate::connect::Connector;
use crate::output::{self, DIM, Outcome};
use crate::settings;
use crate::show::Spinner;

/// Prints the models of the server.
pub(crate) fn run(arguments: &ModelsArguments) -> Outcome {
    let settings = settings::load(&settings::server_overrides(arguments.server.as_deref()))?;
    let (url, models) = output::block_on(models(settings))??;
    if arguments.json {
        output::json(&models)?;
        return Ok(ExitCode::SUCCESS);
    }
    output::note(&format!("{DIM}{url}{DIM:#}"));
    if models.is_empty() {
        output::note("The server has no models. Load or download one there.");
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = output::table(&["ID", "KIND", "STATE", "CONTEXT", "QUANTIZATION"]);
    for model in &models {
        let context = model.loaded_context_length.or(model.context_length);
        table.add_row([
            model.id.clone(),
            model.kind.as_str().to_owned(),
            model.state.as_str().to_owned(),
            context.map_or_else(|| "-".to_owned(), |context| context.to_string()),
            model.quantization.clone().unwrap_or_else(|| "-".to_owned()),
        ]);
    }
    output::print_table(&table)?;
    Ok(ExitCode::SUCCESS)
}

async fn models(settings: xdev_llm::Settings) -> Result<(String, Vec<ModelInfo>)> {
    let state_dir = settings::state_dir(&settings).to_owned();
    let client = Client::new(settings)?;
    let spinner = Spinner::start("connecting");
    let connected = Connector::new(client, state_dir).connect("auto", &spinner).await;
    spinner.clear();
    let connection = connected?;
    let server = &connection.route.server;
    Ok((server.url().to_owned(), server.models().await?))
}
