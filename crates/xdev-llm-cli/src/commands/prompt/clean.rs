//! `xdev-llm prompt clean`: a prompt made tidy and fit for an encoder.

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use xdev_llm::prompt::{Case, CleanOptions, EncoderSafe, clean};

use super::{DialectName, TextArguments};
use crate::output::{self, Outcome};

/// `Arguments` are the flags of `prompt clean`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) text: TextArguments,
    /// How words are written; never names, BREAK and AND
    #[arg(long, value_enum, default_value_t)]
    case: CaseName,
    /// Puts the phrases into alphabetical order
    #[arg(long)]
    sort: bool,
    /// Leaves out the last phrases of a prompt with more characters than this
    #[arg(long, value_name = "CHARACTERS")]
    max_length: Option<usize>,
    /// What becomes of parentheses that are no weights
    #[arg(long, value_enum, default_value_t)]
    encoder_safe: SafeName,
    /// Leaves a step out; may be given several times
    #[arg(long, value_enum, value_name = "STEP")]
    keep: Vec<StepName>,
    /// What brackets mean
    #[arg(long, value_enum, default_value_t)]
    dialect: DialectName,
}

/// `CaseName` is a case as it is typed.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum CaseName {
    /// As they are
    #[default]
    None,
    /// All small
    Lower,
    /// Each word with a capital letter
    Title,
    /// Each sentence with a capital letter
    Sentence,
}

/// `SafeName` is a way to treat parentheses as it is typed.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum SafeName {
    /// They stay as they are
    None,
    /// All without a number are escaped
    Escape,
    /// Pairs stay, single ones that spoil weights are escaped
    #[default]
    Keep,
}

/// `StepName` is a step that can be left out.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum StepName {
    /// What a language model writes around a prompt
    ModelTalk,
    /// Phrases that are there already
    Duplicates,
    /// White space
    Spacing,
    /// Commas
    Punctuation,
    /// Weights of nothing
    EmptyWeights,
}

impl Arguments {
    fn options(&self) -> CleanOptions {
        let is_done = |step| !self.keep.contains(&step);
        CleanOptions {
            dialect: self.dialect.into(),
            strip_model_talk: is_done(StepName::ModelTalk),
            remove_duplicates: is_done(StepName::Duplicates),
            fix_spacing: is_done(StepName::Spacing),
            fix_punctuation: is_done(StepName::Punctuation),
            remove_empty_weights: is_done(StepName::EmptyWeights),
            case: match self.case {
                CaseName::None => Case::None,
                CaseName::Lower => Case::Lower,
                CaseName::Title => Case::Title,
                CaseName::Sentence => Case::Sentence,
            },
            sort_alphabetically: self.sort,
            max_length: self.max_length,
            encoder_safe: match self.encoder_safe {
                SafeName::None => EncoderSafe::None,
                SafeName::Escape => EncoderSafe::Escape,
                SafeName::Keep => EncoderSafe::Keep,
            },
        }
    }
}

/// Does what was typed.
pub(super) fn run(arguments: &Arguments) -> Outcome {
    let cleaning = clean(&arguments.text.read()?, &arguments.options());
    if arguments.text.json {
        output::json(&cleaning)?;
    } else {
        output::line(&cleaning.text)?;
    }
    Ok(ExitCode::SUCCESS)
}
