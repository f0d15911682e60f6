//! `xdev-llm prompt analyze`: what there is to say about a prompt.

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use xdev_llm::prompt::{AnalysisOptions, Level, Report, analyze};

use super::{DialectName, TextArguments};
use crate::output::{self, Outcome};
use crate::render::plain;

/// `Arguments` are the flags of `prompt analyze`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) text: TextArguments,
    /// What brackets mean
    #[arg(long, value_enum, default_value_t)]
    dialect: DialectName,
    /// How much is told; JSON has everything
    #[arg(long, value_enum, default_value_t)]
    level: LevelName,
    /// How many CLIP tokens are wanted at most; a chunk holds 75
    #[arg(long, value_name = "TOKENS", default_value_t = xdev_llm::prompt::CHUNK)]
    limit: usize,
    /// How many tokens an embedding stands for, as NAME=TOKENS; 1 where it is not told
    #[arg(long = "embedding", value_name = "NAME=TOKENS", value_parser = embedding)]
    embeddings: Vec<(String, u16)>,
}

/// `LevelName` is a level as it is typed.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum LevelName {
    /// Counts, tokens and problems
    Basic,
    /// Also weights, tags, duplicates and conflicts
    #[default]
    Detailed,
    /// Also frequent words, keywords by category and how easy prose is to read
    Comprehensive,
}

impl From<LevelName> for Level {
    fn from(name: LevelName) -> Level {
        match name {
            LevelName::Basic => Level::Basic,
            LevelName::Detailed => Level::Detailed,
            LevelName::Comprehensive => Level::Comprehensive,
        }
    }
}

fn embedding(typed: &str) -> Result<(String, u16), String> {
    let wrong = || format!("\"{typed}\" is not NAME=TOKENS, with TOKENS from 1 to 65535");
    let (name, tokens) = typed.rsplit_once('=').ok_or_else(wrong)?;
    let tokens: u16 = tokens.parse().ok().filter(|tokens| *tokens > 0).ok_or_else(wrong)?;
    Ok((name.to_owned(), tokens))
}

/// Does what was typed.
pub(super) fn run(arguments: &Arguments) -> Outcome {
    let options = AnalysisOptions {
        dialect: arguments.dialect.into(),
        limit: arguments.limit,
        embeddings: arguments.embeddings.iter().cloned().collect(),
    };
    let analysis = analyze(&arguments.text.read()?, &options);
    if arguments.text.json {
        output::json(&analysis)?;
    } else {
        output::line(&plain(&analysis.report(&Report::at(arguments.level.into()))))?;
    }
    Ok(ExitCode::SUCCESS)
}
