//! `xdev-llm ask`: one prompt in, one answer out.
//!
//! Not here: where the prompt comes from (`prompt`), the turn itself (`turn`).

use std::process::ExitCode;

use xdev_llm::Message;

use crate::arguments::AskArguments;
use crate::output::{self, Failure, Outcome};
use crate::prompt;
use crate::turn::{Ended, Turns, interrupted};

/// Asks and prints the answer.
pub(crate) fn run(arguments: &AskArguments) -> Outcome {
    let mut turns = Turns::new(&arguments.turn)?;
    let prompt = prompt::ask_prompt(arguments)?;
    let mut messages = turns.opening()?;
    messages.push(Message::user(prompt));
    match output::block_on(turns.run(&messages))?? {
        Ended::Answer(_) | Ended::Previewed => Ok(ExitCode::SUCCESS),
        Ended::Stopped(_) => Err(Failure::Error(interrupted())),
    }
}
