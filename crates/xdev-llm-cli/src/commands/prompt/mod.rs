//! `xdev-llm prompt`: the prompt toolkit for diffusion models, a file a subcommand.
//!
//! Each file has the arguments of its subcommand and a `run`. Not here: what is done with prompts (the library's `prompt`).

mod analyze;
mod convert;
mod parse;

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum, ValueHint};
use xdev_llm::Result;
use xdev_llm::prompt::Dialect;

use crate::output::Outcome;
use crate::prompt;

/// `PromptCommand` is the word after `prompt`.
#[derive(Debug, Subcommand)]
pub(crate) enum PromptCommand {
    /// Shows the weights that every piece of a prompt gets
    #[command(
        after_help = "Examples:\n  xdev-llm prompt parse --json \"a (red:1.2) cat\"\n  xdev-llm prompt parse --dialect a1111 -f prompt.txt"
    )]
    Parse(parse::Arguments),
    /// Writes a prompt so that the other dialect gives it the same weights
    #[command(
        after_help = "Example:\n  xdev-llm prompt convert --from a1111 --to comfyui \"((b:1.2):1.5) [c]\""
    )]
    Convert(convert::Arguments),
    /// Counts words and CLIP tokens, and says what is probably a mistake
    #[command(
        after_help = "Examples:\n  xdev-llm prompt analyze \"a (red:1.2) cat\"\n  xdev-llm prompt analyze --level comprehensive --limit 150 -f prompt.txt"
    )]
    Analyze(analyze::Arguments),
}

impl PromptCommand {
    /// Whether errors are JSON, too.
    pub(crate) fn is_json(&self) -> bool {
        match self {
            PromptCommand::Parse(arguments) => arguments.text.json || arguments.lines,
            PromptCommand::Convert(arguments) => arguments.text.json,
            PromptCommand::Analyze(arguments) => arguments.text.json,
        }
    }
}

/// Does what was typed.
pub(crate) fn run(command: &PromptCommand) -> Outcome {
    match command {
        PromptCommand::Parse(arguments) => parse::run(arguments),
        PromptCommand::Convert(arguments) => convert::run(arguments),
        PromptCommand::Analyze(arguments) => analyze::run(arguments),
    }
}

/// `TextArguments` say which text is worked on, and how the result is printed.
#[derive(Debug, Args)]
pub(crate) struct TextArguments {
    /// The prompt; its words are joined by spaces. Without one, or with `-`, standard input is read
    #[arg(value_name = "TEXT")]
    words: Vec<String>,
    /// Reads the prompt from a file; one line end at its end is dropped
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    file: Option<PathBuf>,
    /// Prints JSON
    #[arg(long)]
    pub(crate) json: bool,
}

impl TextArguments {
    /// The text.
    pub(crate) fn read(&self) -> Result<String> {
        prompt::text(&self.words, self.file.as_deref())
    }
}

/// `DialectName` is a dialect as it is typed.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum DialectName {
    /// ComfyUI: a weight that is written is absolute
    #[default]
    Comfyui,
    /// AUTOMATIC1111's web UI: brackets multiply
    A1111,
}

impl From<DialectName> for Dialect {
    fn from(name: DialectName) -> Dialect {
        match name {
            DialectName::Comfyui => Dialect::Comfyui,
            DialectName::A1111 => Dialect::A1111,
        }
    }
}
