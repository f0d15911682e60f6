//! `xdev-llm prompt`: the prompt toolkit for diffusion models, a file a subcommand.
//!
//! Each file has the arguments of its subcommand and a `run`. Not here: what is done with prompts (the library's `prompt`).

mod analyze;
mod builder;
mod clean;
mod combine;
mod convert;
mod matrix;
mod parse;
mod person;
mod style;
mod weight;
mod wildcards;

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum, ValueHint};
use xdev_llm::Result;
use xdev_llm::prompt::{Dialect, Prompts};

use crate::output::Outcome;
use crate::prompt;
use crate::render::plain;

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
    /// Prints the combinations of the parts of a text: a | b | c
    #[command(
        after_help = "Examples:\n  xdev-llm prompt matrix \"a | b | c\"\n  xdev-llm prompt matrix --mode random --limit 10 --seed 7 --json -f parts.txt"
    )]
    Matrix(matrix::Arguments),
    /// Prints prompts that a template stands for: {red|blue} __animal__
    #[command(
        after_help = "Examples:\n  xdev-llm prompt wildcards \"a {red|blue} __animal__\" --folder wildcards --count 3\n  xdev-llm prompt wildcards --all --json \"{a|b} {c|d}\"\n  xdev-llm prompt wildcards --folder wildcards --list"
    )]
    Wildcards(wildcards::Arguments),
    /// Builds a style of movements, media, colors and light, or applies one of the library
    #[command(
        after_help = "Examples:\n  xdev-llm prompt style --primary-style impressionism --weight 1.2 \"a harbour\"\n  xdev-llm prompt style --random --seed 7 \"a harbour\"\n  xdev-llm prompt style --apply \"Loose Watercolor\" \"a harbour\""
    )]
    Style(style::Arguments),
    /// Builds a person of age, face, hair, clothes and pose
    #[command(
        after_help = "Examples:\n  xdev-llm prompt person --age elderly --gender female --archetype scholar\n  xdev-llm prompt person --random --seed 7"
    )]
    Person(person::Arguments),
    /// Makes one prompt of several
    #[command(
        after_help = "Examples:\n  xdev-llm prompt combine \"a cat\" \"in the snow\"\n  xdev-llm prompt combine -m weighted_merge -w 1.2 -w 0.8 \"a cat\" \"a dog\""
    )]
    Combine(combine::Arguments),
    /// Changes the weights of a prompt, or of a phrase in it
    #[command(
        after_help = "Examples:\n  xdev-llm prompt weight --target \"red hat\" --value 1.3 \"a man, red hat\"\n  xdev-llm prompt weight -o remove_weights \"(a:1.2) ((b))\""
    )]
    Weight(weight::Arguments),
    /// Makes a prompt tidy, and fit for an encoder
    #[command(
        after_help = "Example:\n  xdev-llm ask \"Write a prompt for a picture of a fox.\" | xdev-llm prompt clean"
    )]
    Clean(clean::Arguments),
}

impl PromptCommand {
    /// Whether errors are JSON, too.
    pub(crate) fn is_json(&self) -> bool {
        match self {
            PromptCommand::Parse(arguments) => arguments.text.json || arguments.lines,
            PromptCommand::Convert(arguments) => arguments.text.json,
            PromptCommand::Analyze(arguments) => arguments.text.json,
            PromptCommand::Matrix(arguments) => arguments.text.json,
            PromptCommand::Wildcards(arguments) => arguments.text.json,
            PromptCommand::Style(arguments) => arguments.is_json(),
            PromptCommand::Person(arguments) => arguments.is_json(),
            PromptCommand::Combine(arguments) => arguments.json,
            PromptCommand::Weight(arguments) => arguments.text.json,
            PromptCommand::Clean(arguments) => arguments.text.json,
        }
    }
}

/// Does what was typed.
pub(crate) fn run(command: &PromptCommand) -> Outcome {
    match command {
        PromptCommand::Parse(arguments) => parse::run(arguments),
        PromptCommand::Convert(arguments) => convert::run(arguments),
        PromptCommand::Analyze(arguments) => analyze::run(arguments),
        PromptCommand::Matrix(arguments) => matrix::run(arguments),
        PromptCommand::Wildcards(arguments) => wildcards::run(arguments),
        PromptCommand::Style(arguments) => style::run(arguments),
        PromptCommand::Person(arguments) => person::run(arguments),
        PromptCommand::Combine(arguments) => combine::run(arguments),
        PromptCommand::Weight(arguments) => weight::run(arguments),
        PromptCommand::Clean(arguments) => clean::run(arguments),
    }
}

/// Prints prompts one by one as they are made: a line each, or an array of strings.
fn listed(mut prompts: Prompts, is_json: bool) -> Outcome {
    let mut out = BufWriter::new(io::stdout().lock());
    let mut is_first = true;
    if is_json {
        out.write_all(b"[")?;
    }
    while let Some(text) = prompts.next_text() {
        if is_json {
            out.write_all(if is_first { b"" } else { b"," })?;
            serde_json::to_writer(&mut out, text).map_err(io::Error::from)?;
        } else {
            writeln!(out, "{}", plain(text))?;
        }
        is_first = false;
    }
    if is_json {
        out.write_all(b"]\n")?;
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
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
