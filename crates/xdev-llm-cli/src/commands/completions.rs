//! `xdev-llm completions`: prints the script a shell loads; the script calls back for every completion.
//!
//! Not here: the live names (`completion`).

use std::io::Write;
use std::process::ExitCode;

use clap_complete::env::Shells;
use xdev_llm::Error;

use crate::arguments::Shell;
use crate::completion::VARIABLE;
use crate::output::Outcome;

/// Prints the completion script of `shell`.
pub(crate) fn run(shell: Shell) -> Outcome {
    let name = "xdev-llm";
    let shells = Shells::builtins();
    let completer = shells
        .completer(shell.name())
        .ok_or_else(|| Error::invalid_input(format!("There are no completions for {}.", shell.name())))?;
    let mut script = Vec::new();
    completer.write_registration(VARIABLE, name, name, name, &mut script)?;
    let mut out = std::io::stdout().lock();
    out.write_all(&script)?;
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}
