//! What `prompt style` and `prompt person` have in common: where the prompt comes from, the seed, the user's own words.
//!
//! Not here: what is built (the library's `prompt`).

use std::collections::BTreeMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::path::PathBuf;

use clap::{Args, ValueEnum, ValueHint};
use xdev_llm::prompt::{BuildRequest, Built, Catalogue, Position};
use xdev_llm::{Environment, Result};

use crate::output::{self, Outcome};
use crate::prompt;
use crate::render::plain;

/// `BuilderArguments` are the flags that both have.
#[derive(Debug, Args)]
pub(super) struct BuilderArguments {
    /// The prompt it is added to; its words are joined by spaces. With `-`, standard input is read
    #[arg(value_name = "TEXT")]
    words: Vec<String>,
    /// Reads the prompt from a file; one line end at its end is dropped
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    file: Option<PathBuf>,
    /// Where in the prompt
    #[arg(long, value_enum, default_value_t)]
    position: PositionName,
    /// Words of your own
    #[arg(long, value_name = "TEXT")]
    custom: Option<String>,
    /// Adds three terms of quality
    #[arg(long)]
    quality: bool,
    /// Draws what is "auto"; without it, "auto" is what goes well with what you chose
    #[arg(long)]
    random: bool,
    /// What decides the wordings and everything drawn; 0, and with --random a new one, which is told
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    /// Lays a TOML file of your own entries over the built-in ones; may be given several times
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    data: Vec<PathBuf>,
    /// Lists the categories and what can be chosen in each
    #[arg(long)]
    pub(super) list: bool,
    /// Prints JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// `PositionName` is a position as it is typed.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum PositionName {
    /// After the prompt
    #[default]
    After,
    /// Before the prompt
    Before,
    /// Where the prompt says {style} or {person}
    Placeholder,
}

impl BuilderArguments {
    /// The prompt; empty where none was given.
    pub(super) fn prompt(&self) -> Result<String> {
        if self.words.is_empty() && self.file.is_none() {
            return Ok(String::new());
        }
        prompt::text(&self.words, self.file.as_deref())
    }

    /// The words to build of: the built-in ones, the user's folder, the files given.
    pub(super) fn catalogue(&self) -> Result<Catalogue> {
        Catalogue::read(Some(&Environment::from_process()?.prompt_dir()), &self.data)
    }

    /// What is to be built.
    pub(super) fn request<const N: usize>(
        &self,
        choices: [(&str, &Option<String>); N],
        prompt: String,
    ) -> BuildRequest {
        let named =
            choices.into_iter().filter_map(|(category, name)| Some((category.to_owned(), name.clone()?)));
        BuildRequest {
            choices: named.collect(),
            custom: self.custom.clone().unwrap_or_default(),
            quality: self.quality,
            randomize: self.random,
            seed: self.seed.unwrap_or_else(|| if self.random { fresh_seed() } else { 0 }),
            prompt,
            position: match self.position {
                PositionName::After => Position::After,
                PositionName::Before => Position::Before,
                PositionName::Placeholder => Position::Placeholder,
            },
        }
    }

    /// Says beside the prompt what a person should know.
    pub(super) fn explain(&self, built: &Built) {
        if self.random && self.seed.is_none() {
            output::note(&format!("seed {}", built.seed));
        }
        for left in &built.left_out {
            output::warn(&format!("{} {} is left out: {}", left.category, left.entry, left.because));
        }
        for note in &built.notes {
            output::warn(note);
        }
    }
}

/// A seed that nobody has had; numbers up to here go through JSON unharmed.
fn fresh_seed() -> u64 {
    RandomState::new().hash_one(0) >> 11
}

/// Lists categories and their entries.
pub(super) fn list(catalogue: &Catalogue, categories: &[&str], as_json: bool) -> Outcome {
    let names = |category: &str| -> Vec<String> {
        catalogue.entries(category).iter().map(|entry| entry.name.clone()).collect()
    };
    if as_json {
        let all: BTreeMap<_, _> = categories.iter().map(|category| (*category, names(category))).collect();
        output::json(&all)?;
    } else {
        for category in categories {
            output::line(&plain(&format!("{category}: {}", names(category).join(", "))))?;
        }
    }
    Ok(std::process::ExitCode::SUCCESS)
}
