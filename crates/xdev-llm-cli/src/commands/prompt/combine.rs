//! `xdev-llm prompt combine`: several prompts as one.

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use xdev_llm::Error;
use xdev_llm::prompt::{CombineMode, Part, Separator, combine};

use super::DialectName;
use crate::output::{self, Outcome};
use crate::prompt;

/// `Arguments` are the flags of `prompt combine`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The prompts, each an argument; empty ones are left out. Without any, standard input is read, a prompt a line
    #[arg(value_name = "TEXT")]
    texts: Vec<String>,
    /// The weight of a prompt: the first is that of the first prompt, and so on; 1 where there is none
    #[arg(short, long = "weight", value_name = "NUMBER", allow_negative_numbers = true)]
    weights: Vec<f64>,
    /// How they become one
    #[arg(short, long, value_enum, default_value_t)]
    mode: ModeName,
    /// What stands between them: comma, space, newline, pipe, semicolon, or any other text, as it is
    #[arg(short, long, default_value = "comma", allow_hyphen_values = true)]
    separator: String,
    /// What brackets mean
    #[arg(long, value_enum, default_value_t)]
    dialect: DialectName,
    /// Prints JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// `ModeName` is a mode as it is typed.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
#[value(rename_all = "snake_case")]
enum ModeName {
    /// One after another
    #[default]
    Concatenate,
    /// One after another, each with its weight
    WeightedMerge,
    /// The first phrase of each, the second of each, and so on
    Alternating,
    /// The highest weight first, each phrase once
    PriorityMerge,
}

impl From<ModeName> for CombineMode {
    fn from(name: ModeName) -> CombineMode {
        match name {
            ModeName::Concatenate => CombineMode::Concatenate,
            ModeName::WeightedMerge => CombineMode::WeightedMerge,
            ModeName::Alternating => CombineMode::Alternating,
            ModeName::PriorityMerge => CombineMode::PriorityMerge,
        }
    }
}

/// Does what was typed.
pub(super) fn run(arguments: &Arguments) -> Outcome {
    let texts = match &arguments.texts {
        texts if texts.is_empty() => prompt::text(&[], None)?.lines().map(str::to_owned).collect(),
        texts => texts.clone(),
    };
    if arguments.weights.len() > texts.len() {
        return Err(Error::invalid_input(format!(
            "There are {} weights and {} prompts.",
            arguments.weights.len(),
            texts.len()
        ))
        .into());
    }
    let weights = arguments.weights.iter().copied().chain(std::iter::repeat(1.0));
    let parts: Vec<Part> =
        texts.into_iter().zip(weights).map(|(text, weight)| Part { text, weight }).collect();
    let separator = Separator::from_name(&arguments.separator, "")
        .unwrap_or_else(|_| Separator::Custom(arguments.separator.clone()));
    let combination = combine(&parts, arguments.mode.into(), &separator, arguments.dialect.into())?;
    if arguments.json {
        output::json(&combination)?;
    } else {
        output::line(&combination.text)?;
    }
    Ok(ExitCode::SUCCESS)
}
