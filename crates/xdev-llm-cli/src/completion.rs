//! Live names for the shell: models, servers and presets.
//!
//! A completion never fails and never waits long: whatever goes wrong, there is simply nothing to offer. Not here: the
//! scripts the shells load (`commands::completions`).

use std::env;
use std::ffi::OsStr;
use std::time::Duration;

use clap::CommandFactory;
use clap_complete::{CompleteEnv, CompletionCandidate};
use xdev_llm::{Client, ModelInfo, Presets, Result, Server};

use crate::arguments::Cli;
use crate::{output, settings};

/// The variable by which a shell's script asks for completions.
pub(crate) const VARIABLE: &str = "XDEV_LLM_COMPLETE";

/// How long a server may take to list its models.
const LIMIT: Duration = Duration::from_millis(300);

/// Answers a shell's script and ends the process, where one asks; else does nothing.
pub(crate) fn answer_shell() {
    if env::var_os(VARIABLE).is_some() {
        CompleteEnv::with_factory(Cli::command).var(VARIABLE).complete();
    }
}

/// The aliases of the config, and the models of the server that the line names, or of the one in force.
pub(crate) fn models(current: &OsStr) -> Vec<CompletionCandidate> {
    let mut names = alias_names().unwrap_or_default();
    names.extend(model_names(|model| model.kind.can_chat()).unwrap_or_default());
    candidates(current, names)
}

/// The aliases, and all models of that server, whatever they are for.
pub(crate) fn installed_models(current: &OsStr) -> Vec<CompletionCandidate> {
    let mut names = alias_names().unwrap_or_default();
    names.extend(model_names(|_| true).unwrap_or_default());
    candidates(current, names)
}

/// What that server has in memory, every copy.
pub(crate) fn loaded_models(current: &OsStr) -> Vec<CompletionCandidate> {
    let copies = ask(async |server| server.loaded().await);
    let names = copies.unwrap_or_default().iter().map(|copy| copy.name().to_owned()).collect();
    candidates(current, names)
}

/// The servers of the config and those that run.
pub(crate) fn servers(current: &OsStr) -> Vec<CompletionCandidate> {
    candidates(current, server_names().unwrap_or_default())
}

/// The presets, built-in and the user's own.
pub(crate) fn presets(current: &OsStr) -> Vec<CompletionCandidate> {
    candidates(current, preset_names().unwrap_or_default())
}

fn candidates(current: &OsStr, names: Vec<String>) -> Vec<CompletionCandidate> {
    let Some(current) = current.to_str() else { return Vec::new() };
    names.into_iter().filter(|name| name.starts_with(current)).map(CompletionCandidate::new).collect()
}

fn alias_names() -> Result<Vec<String>> {
    Ok(settings::load(&settings::no_overrides())?.aliases.keys().cloned().collect())
}

fn model_names(wanted: impl Fn(&ModelInfo) -> bool) -> Result<Vec<String>> {
    let models = ask(async |server| server.models().await)?;
    Ok(models.into_iter().filter(wanted).map(|model| model.id).collect())
}

/// Asks the server that the line names, or the one in force; nothing where it takes too long.
fn ask<T>(question: impl AsyncFnOnce(Server) -> Result<Vec<T>>) -> Result<Vec<T>> {
    let mut words = env::args().skip_while(|word| word != "--server").skip(1);
    let client = Client::new(settings::load(&settings::server_overrides(words.next().as_deref()))?)?;
    let asked = async { question(client.server(None).await?).await };
    output::block_on(async { tokio::time::timeout(LIMIT, asked).await })?.unwrap_or(Ok(Vec::new()))
}

fn server_names() -> Result<Vec<String>> {
    let settings = settings::load(&settings::no_overrides())?;
    let mut names: Vec<String> =
        settings::configured_servers(&settings).into_iter().map(|(name, _)| name).collect();
    let client = Client::new(settings)?;
    let found = output::block_on(async { tokio::time::timeout(LIMIT, client.discover()).await })?;
    names.extend(found.unwrap_or_default().into_iter().map(|found| found.url));
    Ok(names)
}

fn preset_names() -> Result<Vec<String>> {
    let settings = settings::load(&settings::no_overrides())?;
    Ok(Presets::from_settings(&settings)?.iter().map(|preset| preset.name.clone()).collect())
}
