//! `xdev-llm prompt matrix`: the combinations of the parts of a text.

use clap::{Args, ValueEnum};
use xdev_llm::prompt::{Matrix, MatrixMode, MatrixRequest};

use super::{TextArguments, listed};
use crate::output::{self, Outcome};

/// `Arguments` are the flags of `prompt matrix`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) text: TextArguments,
    /// Which combinations there are
    #[arg(long, value_enum, default_value_t)]
    mode: ModeName,
    /// How many are printed at most
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Stands before each combination as it is
    #[arg(long, value_name = "TEXT", default_value = "")]
    base: String,
    /// Stands between the parts
    #[arg(long, value_name = "TEXT", default_value = ", ")]
    separator: String,
    /// Takes them in random order
    #[arg(long)]
    shuffle: bool,
    /// Decides the random order
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
}

/// `ModeName` is a mode as it is typed.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum ModeName {
    /// Every set of parts but the empty one
    #[default]
    #[value(name = "all_combinations", alias = "all-combinations")]
    AllCombinations,
    /// The first part, the first two, the first three
    Incremental,
    /// Every two parts
    Pairwise,
    /// One part of each line
    Cartesian,
    /// The same in random order
    Random,
}

impl From<ModeName> for MatrixMode {
    fn from(name: ModeName) -> MatrixMode {
        match name {
            ModeName::AllCombinations => MatrixMode::AllCombinations,
            ModeName::Incremental => MatrixMode::Incremental,
            ModeName::Pairwise => MatrixMode::Pairwise,
            ModeName::Cartesian => MatrixMode::Cartesian,
            ModeName::Random => MatrixMode::Random,
        }
    }
}

/// Does what was typed.
pub(super) fn run(arguments: &Arguments) -> Outcome {
    let text = arguments.text.read()?;
    let matrix = Matrix::new(&MatrixRequest {
        text: &text,
        mode: arguments.mode.into(),
        base: &arguments.base,
        separator: &arguments.separator,
        limit: arguments.limit,
        shuffle: arguments.shuffle,
        seed: arguments.seed,
    })?;
    if matrix.wanted() < matrix.count() && !arguments.text.json {
        output::note(&format!("{} of {} combinations", matrix.wanted(), matrix.count()));
    }
    listed(matrix.prompts(), arguments.text.json)
}
