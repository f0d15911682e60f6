//! The command `xdev-llm`: reads what was typed, runs the command, reports failures.
//!
//! Settings and the runtime are made by the commands that need them, so that `--version` and completions are quick.
//! Not here: the flags (`arguments`), the commands (`commands`), anything a server says (the library).

mod arguments;
mod columns;
mod commands;
mod compare;
mod completion;
mod connect;
#[cfg(test)]
mod docs;
mod output;
mod progress;
mod prompt;
mod render;
mod repl;
mod settings;
mod show;
mod turn;
mod words;

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind as UsageErrorKind;
use xdev_llm::{Error, ErrorKind};

use arguments::{Cli, Command, ConfigCommand, EngineCommand};
use output::{Failure, Outcome};

fn main() -> ExitCode {
    completion::answer_shell();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return report_usage(&error),
    };
    let as_json = wants_json(&cli.command);
    match run(cli.command) {
        Ok(code) => code,
        Err(Failure::OutputClosed) => ExitCode::SUCCESS,
        Err(Failure::Error(error)) => {
            output::report(&error, as_json);
            output::exit_code(error.kind())
        }
    }
}

fn run(command: Command) -> Outcome {
    match command {
        Command::Ask(arguments) => commands::ask::run(&arguments),
        Command::Chat(arguments) => commands::chat::run(&arguments),
        Command::Models(arguments) => commands::models::run(&arguments),
        Command::Ps(arguments) => commands::memory::ps::run(&arguments),
        Command::Load(arguments) => commands::memory::load::run(&arguments),
        Command::Unload(arguments) => commands::memory::unload::run(&arguments),
        Command::Switch(arguments) => commands::memory::switch::run(&arguments),
        Command::Pull(arguments) => commands::memory::pull::run(&arguments),
        Command::Servers(arguments) => commands::servers::run(&arguments),
        Command::Doctor(arguments) => commands::doctor::run(&arguments),
        Command::Presets(arguments) => commands::presets::run(&arguments),
        Command::Prompt(command) => commands::prompt::run(&command),
        Command::Config(command) => commands::config::run(&command),
        Command::Engine(command) => commands::engine::run(command),
        Command::Completions { shell } => commands::completions::run(shell),
        Command::Mock(arguments) => commands::mock::run(arguments),
    }
}

fn wants_json(command: &Command) -> bool {
    match command {
        Command::Ask(arguments) => arguments.turn.json,
        Command::Chat(arguments) => arguments.turn.json,
        Command::Models(arguments) => arguments.json,
        Command::Ps(arguments) => arguments.json,
        Command::Load(arguments) => arguments.target.json,
        Command::Unload(arguments) => arguments.json,
        Command::Switch(arguments) => arguments.target.json,
        Command::Pull(arguments) => arguments.json,
        Command::Servers(arguments) => arguments.json,
        Command::Doctor(arguments) => arguments.json,
        Command::Presets(arguments)
        | Command::Config(ConfigCommand::Show(arguments))
        | Command::Engine(EngineCommand::Status(arguments)) => arguments.json,
        Command::Prompt(command) => command.is_json(),
        Command::Config(_) | Command::Engine(_) | Command::Completions { .. } | Command::Mock(_) => false,
    }
}

/// Prints help, version or a usage error; with `--json` the error is an object like every other.
fn report_usage(error: &clap::Error) -> ExitCode {
    let is_error = error.use_stderr();
    if is_error && std::env::args_os().any(|argument| argument == "--json") {
        let text = error.render().to_string();
        let message = text.split("\n\n").next().unwrap_or_default().trim_start_matches("error: ");
        output::report(
            &Error::invalid_input(message).with_hint("`--help` shows every flag and its range."),
            true,
        );
    } else if error.print().is_err() && !is_error {
        // Nobody reads the help any more (`| head`).
        return ExitCode::SUCCESS;
    }
    match error.kind() {
        UsageErrorKind::DisplayHelp | UsageErrorKind::DisplayVersion => ExitCode::SUCCESS,
        _ => output::exit_code(ErrorKind::InvalidInput),
    }
}
