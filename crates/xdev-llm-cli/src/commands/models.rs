//! `xdev-llm models`: what a server has, those in memory first.
//!
//! Not here: how each server lists its models (the library's `wire`), what all servers have in memory (`memory::ps`).

use std::process::ExitCode;

use xdev_llm::{Client, LoadState, ModelInfo, Result, Server, bytes_in_words};

use crate::arguments::ModelsArguments;
use crate::connect::Connector;
use crate::output::{self, DIM, List, Outcome};
use crate::settings;
use crate::show::Spinner;

/// Prints the models of the server.
pub(crate) fn run(arguments: &ModelsArguments) -> Outcome {
    let settings = settings::load(&settings::server_overrides(arguments.server.choice.as_deref()))?;
    let (url, mut models) = output::block_on(models(settings))??;
    models.sort_by_key(rank);
    let is_told = models.is_empty() || models.iter().any(|model| model.state != LoadState::Unknown);
    if arguments.loaded {
        models.retain(|model| rank(model) < 2);
    }
    if arguments.json {
        output::json(&models)?;
        return Ok(ExitCode::SUCCESS);
    }
    output::note(&format!("{DIM}{url}{DIM:#}"));
    if models.is_empty() {
        output::note(match (arguments.loaded, is_told) {
            (true, true) => "Nothing is loaded.",
            (true, false) => "The server does not tell what is loaded.",
            (false, _) => "The server has no models. Load or download one there.",
        });
        return Ok(ExitCode::SUCCESS);
    }
    let mut list = List::new([
        ("ID", 0),
        ("KIND", 4),
        ("STATE", 1),
        ("SIZE", 3),
        ("CONTEXT", 5),
        ("QUANTIZATION", 6),
        ("CAPABILITIES", 7),
        ("VRAM", 2),
    ]);
    for model in &models {
        list.row(model.state == LoadState::Loaded, cells(model));
    }
    list.print()?;
    Ok(ExitCode::SUCCESS)
}

/// The place in the list; among equals the server's own order stays.
fn rank(model: &ModelInfo) -> u8 {
    match model.state {
        LoadState::Loaded => 0,
        LoadState::Loading => 1,
        LoadState::Unknown | LoadState::NotLoaded => 2,
    }
}

fn cells(model: &ModelInfo) -> [Option<String>; 8] {
    [
        Some(model.id.clone()),
        Some(model.kind.as_str().to_owned()),
        Some(model.state.as_str().to_owned()),
        model.size_bytes.map(bytes_in_words),
        context(model),
        model.quantization.clone(),
        (!model.capabilities.is_empty()).then(|| model.capabilities.join(", ")),
        model.vram_bytes.map(bytes_in_words),
    ]
}

/// The context it is loaded with, and the longest it can have.
fn context(model: &ModelInfo) -> Option<String> {
    let shown = |length: Option<u32>| length.map_or("-".to_owned(), |length| length.to_string());
    let (loaded, longest) = (model.loaded_context_length, model.context_length);
    (loaded.is_some() || longest.is_some()).then(|| format!("{} / {}", shown(loaded), shown(longest)))
}

async fn models(settings: xdev_llm::Settings) -> Result<(String, Vec<ModelInfo>)> {
    let state_dir = settings::state_dir(&settings).to_owned();
    let client = Client::new(settings)?;
    let spinner = Spinner::start("connecting");
    let connected = Connector::new(client, state_dir).connect(&spinner).await;
    spinner.clear();
    let connection = connected?;
    let server: &Server = &connection.server;
    Ok((server.url().to_owned(), server.models().await?))
}
