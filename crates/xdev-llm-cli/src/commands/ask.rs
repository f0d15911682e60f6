//! `xdev-llm ask`: one prompt in, one answer out, or one of each of several models.
//!
//! Not here: where the prompt comes from (`prompt`), the turn itself (`turn`), several models (`compare`).

use std::process::ExitCode;

use xdev_llm::{Error, Message};

use crate::arguments::AskArguments;
use crate::output::{self, Failure, Outcome};
use crate::turn::{Ended, Turns, interrupted};
use crate::{compare, prompt};

/// Asks and prints the answer.
pub(crate) fn run(arguments: &AskArguments) -> Outcome {
    let models = models(arguments.turn.model.as_deref().unwrap_or_default())?;
    let mut turns = Turns::new(&arguments.turn)?;
    let prompt = prompt::ask_prompt(arguments)?;
    let mut messages = turns.opening()?;
    messages.push(Message::user(prompt));
    if let [_, _, ..] = &models[..] {
        if !arguments.turn.dry_run {
            return output::block_on(compare::run(&turns, arguments, &models, &messages))?;
        }
        for model in models {
            turns.request_mut().model = Some(model);
            output::block_on(turns.run(&messages))??;
        }
        return Ok(ExitCode::SUCCESS);
    }
    match output::block_on(turns.run(&messages))?? {
        Ended::Answer(_) | Ended::Previewed => Ok(ExitCode::SUCCESS),
        Ended::Stopped(_) => Err(Failure::Error(interrupted())),
    }
}

/// The names in `a,b,c`. No server known has a model with a comma in its name.
fn models(names: &str) -> Result<Vec<String>, Error> {
    let names: Vec<String> = names.split(',').map(|name| name.trim().to_owned()).collect();
    if names.len() > 1 && names.iter().any(String::is_empty) {
        return Err(Error::invalid_input("One of the models of `--model` has no name.")
            .with_hint("Write the names with one comma between two of them: `--model a,b,c`."));
    }
    Ok(names)
}
