//! `xdev-llm engine`: status, install, start and stop of the built-in engine, and the two hidden bodies it runs on.
//!
//! Not here: how the engine is found, run and watched (the library's `engine`).

use std::env;
use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use xdev_llm::engine::{
    Checksum, Origin, Program, Running, Status, Step, install, keep, running_background, start_background,
    status, stop_background, watch,
};
use xdev_llm::{Error, ErrorKind, Result, Settings};

use crate::arguments::{EngineCommand, JsonArguments};
use crate::output::{self, Failure, Outcome};
use crate::settings;
use crate::show::Spinner;

/// How long the background engine may take to load its model.
const START_LIMIT: Duration = Duration::from_secs(120);

/// Does what was typed.
pub(crate) fn run(command: EngineCommand) -> Outcome {
    let load = || settings::load(&settings::no_overrides());
    match command {
        EngineCommand::Watch { command } => return Ok(watch(command.into_iter())),
        EngineCommand::Status(arguments) => output::block_on(show_status(&arguments, &load()?))??,
        EngineCommand::Install => install_with_progress(&load()?)?,
        EngineCommand::Start => output::block_on(start(&load()?))??,
        EngineCommand::Stop => output::block_on(stop(&load()?))??,
        EngineCommand::Keep => {
            let settings = load()?;
            let options = settings::engine_options(&settings)?;
            let idle = *settings.engine.idle;
            output::block_on(keep(&options, idle, settings::state_dir(&settings)))??;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn show_status(arguments: &JsonArguments, settings: &Settings) -> Result<(), Failure> {
    let status = status(&settings::engine_options(settings)?);
    let running = running_background(settings::state_dir(settings)).await;
    if arguments.json {
        return output::json(&as_json(&status, running.as_ref()));
    }
    match &status.program {
        Ok(program) => output::line(&format!("program:  {} ({})", program.path.display(), origin(program)))?,
        Err(error) => {
            output::line("program:  none")?;
            output::note(&format!("{error}\n{}", error.hint()));
        }
    }
    if let Some(version) = &status.installed_server {
        output::line(&format!("server:   {version}"))?;
    }
    if let Some(model) = &status.model {
        output::line(&format!(
            "model:    {} ({:.1} MB{})",
            model.path.display(),
            model.size as f64 / 1e6,
            match model.checksum {
                Checksum::Matches => ", checksum right",
                Checksum::Differs => ", checksum WRONG: install it again",
                Checksum::Unknown => "",
            }
        ))?;
        if let Some(fault) = &model.fault {
            output::warn(&fault.to_string());
        }
    }
    match running {
        Some(running) => output::line(&format!("running:  {} (process {})", running.url, running.pid)),
        None => output::line("running:  no"),
    }
}

fn origin(program: &Program) -> &'static str {
    match program.origin {
        Origin::Configured => "configured",
        Origin::Path => "on PATH",
        Origin::Installed => "installed",
    }
}

fn as_json(status: &Status, running: Option<&Running>) -> Value {
    json!({
        "program": status.program.as_ref().ok().map(|program| json!({
            "path": program.path,
            "origin": origin(program),
        })),
        "server_version": status.installed_server,
        "model": status.model.as_ref().map(|model| json!({
            "path": model.path,
            "size_bytes": model.size,
            "checksum": match model.checksum {
                Checksum::Matches => "matches",
                Checksum::Differs => "differs",
                Checksum::Unknown => "unknown",
            },
            "fault": model.fault.as_ref().map(ToString::to_string),
        })),
        "running": running.map(|running| json!({"url": running.url, "pid": running.pid, "model": running.model})),
    })
}

/// Installs the engine; shows a bar on a terminal and a line a step elsewhere.
fn install_with_progress(settings: &Settings) -> Result<(), Failure> {
    let bar = ProgressBar::new(100);
    if let Ok(style) = ProgressStyle::with_template("{msg} {bar:30} {percent} %") {
        bar.set_style(style);
    }
    let (mut last, mut fetched) = (0, false);
    let mut report = |step: Step| {
        if step.number != last {
            last = step.number;
            fetched |= step.number < step.count;
            bar.suspend(|| output::note(&format!("[{}/{}] {}", step.number, step.count, step.text)));
        }
        if let Some(done) = step.done {
            bar.set_position((done * 100.0) as u64);
        }
    };
    let data_dir = settings::engine_options(settings)?.data_dir;
    let installed = install(&data_dir, &mut report);
    bar.finish_and_clear();
    installed?;
    output::line(&format!("The built-in engine is installed in {}.", data_dir.join("engine").display()))?;
    if fetched {
        output::note("Try it: xdev-llm ask \"Name three colours.\"");
    }
    Ok(())
}

async fn start(settings: &Settings) -> Result<(), Failure> {
    let program = env::current_exe().map_err(|error| {
        Error::new(ErrorKind::Engine, format!("This program cannot find itself: {error}.")).with_source(error)
    })?;
    // A missing program or model is said here rather than in a log.
    xdev_llm::engine::find(&settings::engine_options(settings)?)?;
    let command: Vec<OsString> = vec![program.into(), "engine".into(), "keep".into()];
    let spinner = Spinner::start("starting the built-in engine");
    let started = start_background(&command, settings::state_dir(settings), START_LIMIT).await;
    spinner.clear();
    let running = started?;
    output::line(&format!("The built-in engine runs at {} (process {}).", running.url, running.pid))?;
    output::note(&format!(
        "It stops after {} s without use; `xdev-llm engine stop` stops it now.",
        settings.engine.idle.as_secs()
    ));
    Ok(())
}

async fn stop(settings: &Settings) -> Result<(), Failure> {
    if stop_background(settings::state_dir(settings)).await? {
        output::line("The built-in engine has stopped.")
    } else {
        output::line("The built-in engine was not running.")
    }
}
