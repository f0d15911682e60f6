//! `xdev-llm mock`: the test server, run from the command.
//!
//! Not here: the server itself (crate `xdev-llm-mock`).

use std::process::ExitCode;

use crate::output::Outcome;

/// Runs the test server until it is stopped.
pub(crate) fn run(arguments: xdev_llm_mock::cli::Args) -> Outcome {
    xdev_llm_mock::cli::run(arguments)?;
    Ok(ExitCode::SUCCESS)
}
