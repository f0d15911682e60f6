//! `xdev-llm prompt weight`: other weights for a prompt or a phrase in it.

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use xdev_llm::prompt::{WeightOperation, weigh};

use super::{DialectName, TextArguments};
use crate::output::{self, Outcome};

/// `Arguments` are the flags of `prompt weight`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) text: TextArguments,
    /// What is done
    #[arg(short, long, value_enum, default_value_t)]
    operation: OperationName,
    /// The factor; for normalize_weights the weight that is wanted
    #[arg(short, long, value_name = "NUMBER", default_value_t = 1.1, allow_negative_numbers = true)]
    value: f64,
    /// What normalize_weights brings to the value
    #[arg(long, value_enum, default_value_t)]
    by: ByName,
    /// Only this phrase, wherever it stands as whole words; upper and lower case are the same
    #[arg(short, long, value_name = "PHRASE")]
    target: Option<String>,
    /// What brackets mean
    #[arg(long, value_enum, default_value_t)]
    dialect: DialectName,
}

/// `OperationName` is an operation as it is typed.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
#[value(rename_all = "snake_case")]
enum OperationName {
    /// Multiplies the weights, also those that are 1
    #[default]
    AddEmphasis,
    /// Multiplies by the value below 1, by its inverse above
    AddDeemphasis,
    /// Multiplies the weights that are there
    MultiplyExisting,
    /// Takes the weights away
    RemoveWeights,
    /// Multiplies the weights that are there so that their mean is the value
    NormalizeWeights,
}

/// `ByName` is what weights are normalised by, as it is typed.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum ByName {
    /// Their mean, word by word
    #[default]
    Mean,
    /// The largest
    Maximum,
}

/// Does what was typed.
pub(super) fn run(arguments: &Arguments) -> Outcome {
    let value = arguments.value;
    let operation = match (arguments.operation, arguments.by) {
        (OperationName::AddEmphasis, _) => WeightOperation::Emphasize(value),
        (OperationName::AddDeemphasis, _) => WeightOperation::Deemphasize(value),
        (OperationName::MultiplyExisting, _) => WeightOperation::Multiply(value),
        (OperationName::RemoveWeights, _) => WeightOperation::Remove,
        (OperationName::NormalizeWeights, ByName::Mean) => WeightOperation::NormalizeMean(value),
        (OperationName::NormalizeWeights, ByName::Maximum) => WeightOperation::NormalizeMaximum(value),
    };
    let text = arguments.text.read()?;
    let weighing = weigh(&text, operation, arguments.target.as_deref(), arguments.dialect.into())?;
    if arguments.text.json {
        output::json(&weighing)?;
        return Ok(ExitCode::SUCCESS);
    }
    if weighing.found == Some(0) {
        output::warn("The phrase is not in the prompt.");
    }
    output::line(&weighing.text)?;
    Ok(ExitCode::SUCCESS)
}
