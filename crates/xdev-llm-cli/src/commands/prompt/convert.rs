//! `xdev-llm prompt convert`: a prompt in the other dialect.

use std::process::ExitCode;

use clap::Args;
use xdev_llm::prompt::convert;

use super::{DialectName, TextArguments};
use crate::output::{self, Outcome};

/// `Arguments` are the flags of `prompt convert`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) text: TextArguments,
    /// The dialect it is written in
    #[arg(long, value_enum)]
    from: DialectName,
    /// The dialect it is wanted in
    #[arg(long, value_enum)]
    to: DialectName,
}

/// Does what was typed.
pub(super) fn run(arguments: &Arguments) -> Outcome {
    let conversion = convert(&arguments.text.read()?, arguments.from.into(), arguments.to.into())?;
    if arguments.text.json {
        output::json(&conversion)?;
        return Ok(ExitCode::SUCCESS);
    }
    for warning in &conversion.warnings {
        output::warn(warning);
    }
    output::line(&conversion.text)?;
    Ok(ExitCode::SUCCESS)
}
