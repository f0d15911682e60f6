//! Settings for the commands: flags become overrides, settings become what the library's parts take.
//!
//! Not here: the layers and their rules (the library's `config`).

use std::env;
use std::path::{Path, PathBuf};

use xdev_llm::engine::EngineOptions;
use xdev_llm::{Environment, Error, ErrorKind, Limits, Overrides, Result, Settings};

use crate::arguments::{ReasoningArgument, TurnArguments};

/// Reads every layer of the settings.
pub(crate) fn load(overrides: &Overrides) -> Result<Settings> {
    Settings::load(overrides, &Environment::from_process()?)
}

/// For commands that take nothing over from flags.
pub(crate) fn no_overrides() -> Overrides {
    Overrides::default()
}

/// For commands that only take `--server`.
pub(crate) fn server_overrides(server: Option<&str>) -> Overrides {
    Overrides { server: server.map(str::to_owned), ..Overrides::default() }
}

/// For `ask` and `chat`. `show` is no level of thinking, so the config's level stays with it.
pub(crate) fn turn_overrides(arguments: &TurnArguments) -> Overrides {
    let reasoning = arguments.reasoning.filter(|reasoning| *reasoning != ReasoningArgument::Show);
    Overrides {
        server: arguments.server.clone(),
        model: arguments.model.clone(),
        preset: arguments.preset.clone(),
        system: arguments.system.clone(),
        timeout: arguments.timeout,
        deadline: arguments.deadline,
        reasoning: reasoning.map(ReasoningArgument::level),
        ..Overrides::default()
    }
}

/// The clocks of a turn.
pub(crate) fn limits(settings: &Settings) -> Limits {
    Limits::from(settings)
}

/// The servers of the config: name and URL.
pub(crate) fn configured_servers(settings: &Settings) -> Vec<(String, String)> {
    settings.servers.iter().map(|(name, entry)| (name.clone(), entry.url.clone())).collect()
}

/// How the built-in engine runs: it is watched by this very program, so that it dies with it.
pub(crate) fn engine_options(settings: &Settings) -> Result<EngineOptions> {
    let program = env::current_exe().map_err(|error| {
        Error::new(ErrorKind::Engine, format!("This program cannot find itself: {error}.")).with_source(error)
    })?;
    Ok(EngineOptions {
        command: settings.engine.command.value.clone(),
        model: settings.engine.model.value.clone(),
        context_length: *settings.engine.context_length,
        threads: settings.engine.threads.map(|threads| threads as usize),
        watch: vec![program.into(), "engine".into(), "watch".into(), "--".into()],
        ..EngineOptions::new(settings.data_dir.to_path_buf())
    })
}

/// The folder for sessions and statistics.
pub(crate) fn state_dir(settings: &Settings) -> &Path {
    &settings.state_dir
}

/// The user's own file, found without reading it: it may be wrong or not exist.
pub(crate) fn user_file() -> Result<PathBuf> {
    Ok(Environment::from_process()?.user_file())
}
