//! `xdev-llm unload`: memory given back, told when the server's own list no longer has the model.
//!
//! The built-in engine is stopped, which is its way. Not here: how it is verified (the library's `client::memory`).

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use serde_json::json;
use xdev_llm::engine::{running_background, stop_background};
use xdev_llm::{
    DeviceChange, DeviceKind, Error, LoadState, LoadedModel, Unload, Unloaded, bytes_in_words, is_same_model,
};

use super::{find, names, typed, watch};
use crate::arguments::UnloadArguments;
use crate::output::{self, Failure, Outcome};
use crate::render::plain;
use crate::turn::interrupted;
use crate::words;

/// Unloads and says what went.
pub(crate) fn run(arguments: &UnloadArguments) -> Outcome {
    output::block_on(unload(arguments))??;
    Ok(ExitCode::SUCCESS)
}

async fn unload(arguments: &UnloadArguments) -> Result<(), Failure> {
    let asked = arguments.model.as_deref().unwrap_or_default();
    let Some((route, connection)) = find(&arguments.server, asked).await? else {
        if arguments.json {
            return output::json(&json!({"models": [], "duration": 0.0}));
        }
        return output::line("No model server runs on this machine: nothing is loaded.");
    };
    let server = &connection.server;
    let unloaded = if let Some(state_dir) = connection.engine() {
        stop_engine(arguments, state_dir, server.url()).await?
    } else {
        let what = if arguments.all { Unload::All } else { Unload::Model(route.model.unwrap_or_default()) };
        watch(server.unload(what), async || on_its_way(arguments)).await?
    };
    if arguments.json {
        return output::json(&unloaded);
    }
    if !unloaded.models.is_empty() {
        output::line(&plain(&sentence(&unloaded)))?;
        warn_of_missing(&unloaded);
        return Ok(());
    }
    let left = if connection.engine().is_some() { Vec::new() } else { server.loaded().await? };
    output::line(&plain(&nothing(arguments, server.url(), &left)))
}

/// Stops the background engine, unless another model is meant.
async fn stop_engine(arguments: &UnloadArguments, state_dir: &Path, url: &str) -> Result<Unloaded, Failure> {
    let start = Instant::now();
    let path = running_background(state_dir).await.and_then(|running| running.model);
    let model = engine_model(path.as_deref());
    let is_meant = arguments.model.as_ref().is_none_or(|asked| is_same_model(asked, &model.id));
    let is_stopped = is_meant && stop_background(state_dir).await?;
    Ok(Unloaded {
        server: url.to_owned(),
        models: is_stopped.then_some(model).into_iter().collect(),
        duration: (start.elapsed().as_secs_f64() * 1e3).round() / 1e3,
        freed_bytes: None,
        device: None,
    })
}

/// The entry of the engine's model; a command of the user's own may bring one that is not known.
pub(super) fn engine_model(path: Option<&Path>) -> LoadedModel {
    let name = path.and_then(Path::file_stem).map(|stem| stem.to_string_lossy().into_owned());
    LoadedModel::new(name.unwrap_or_else(|| "the built-in engine's model".to_owned()), LoadState::Loaded)
}

/// Says what was unloaded, and what came free.
pub(super) fn sentence(unloaded: &Unloaded) -> String {
    let names = names(unloaded.models.iter().map(LoadedModel::name));
    let are = if unloaded.models.len() == 1 { "is" } else { "are" };
    let freed = match (&unloaded.device, unloaded.freed_bytes) {
        // Main memory that is less than before says only that other programs run.
        (Some(device), _)
            if device.kind != DeviceKind::System || device.free_bytes_after > device.free_bytes_before =>
        {
            format!(" {}", change(device))
        }
        (None, Some(bytes)) if bytes > 0 => {
            format!(" By the server's account it held {} of GPU memory.", bytes_in_words(bytes))
        }
        _ => String::new(),
    };
    format!("{names} {are} unloaded, after {}.{freed}", words::seconds(unloaded.duration))
}

/// Says what is free on the device before and after.
fn change(device: &DeviceChange) -> String {
    let [before, after, total] =
        [device.free_bytes_before, device.free_bytes_after, device.total_bytes].map(bytes_in_words);
    format!("Free {}: {before} before, {after} now, of {total}.", place(device.kind, &device.name))
}

fn place(kind: DeviceKind, name: &str) -> String {
    match kind {
        DeviceKind::System => format!("in {name}"),
        DeviceKind::Gpu | DeviceKind::Unified => format!("on {name}"),
    }
}

/// Warns where a GPU does not have back what the server said it held.
pub(super) fn warn_of_missing(unloaded: &Unloaded) {
    let Some(device) =
        unloaded.device.as_ref().filter(|it| it.kind == DeviceKind::Gpu && it.is_back == Some(false))
    else {
        return;
    };
    let held = unloaded.freed_bytes.map_or(String::new(), |bytes| format!(" ({})", bytes_in_words(bytes)));
    output::warn(&format!(
        "{} does not have back all that the model held{held}: another program may have taken it.",
        device.name
    ));
}

/// Says that there was nothing to unload, and what is there instead.
fn nothing(arguments: &UnloadArguments, url: &str, left: &[LoadedModel]) -> String {
    let there = names(left.iter().map(LoadedModel::name));
    match &arguments.model {
        Some(model) if left.is_empty() => format!("`{model}` is not loaded: {url} has nothing in memory."),
        Some(model) => format!("`{model}` is not loaded: {url} has {there} in memory."),
        None if left.is_empty() => format!("Nothing is loaded on {url}."),
        None => format!("No model that chats is loaded on {url}: it has {there} in memory."),
    }
}

fn on_its_way(arguments: &UnloadArguments) -> Error {
    interrupted().with_hint(format!(
        "The server may have been told already: {} shows what is in memory now.",
        typed("ps", &arguments.server)
    ))
}
