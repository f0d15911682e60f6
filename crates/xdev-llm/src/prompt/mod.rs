//! The prompt toolkit for diffusion models: one lossless syntax tree, the weights that come of a text, and what is done with them.
//!
//! Everything here is a pure function of its arguments: no clock, no global randomness, and no files but those it is given.
//! Not here: how a language model is asked (`chat`, `client`).

mod analyze;
mod build;
mod catalogue;
mod clean;
mod clip;
mod combine;
mod convert;
mod edit;
mod expand;
mod lex;
mod library;
mod matrix;
mod number;
pub mod rng;
mod seen;
mod tree;
mod weigh;
mod weights;
mod wildcards;

pub use analyze::{
    Analysis, AnalysisOptions, ChoiceSummary, Conflict, Duplicate, Level, Lora, Place, Problem, Report,
    Schedule, WeightStatistics, analyze,
};
pub use build::{BuildRequest, Built, LeftOut, Piece, Position, build_person, build_style};
pub use catalogue::{Catalogue, Entry, PERSON_CATEGORIES, STYLE_CATEGORIES, Wording};
pub use clean::{Case, CleanOptions, Cleaning, CleaningStep, EncoderSafe, clean};
pub use clip::{CHUNK, Chunk, ClipCount, EmbeddingSizes, clip_tokens, count_clip_chunks, count_clip_tokens};
pub use combine::{Combination, CombineMode, Part, Separator, combine};
pub use convert::{Conversion, convert};
pub use edit::Edits;
pub use expand::{Draws, Expansions, MAX_LISTED, Prompts, Template, sample};
pub use library::{NamedStyle, StyleLibrary, StyledPrompt};
pub use matrix::{Matrix, MatrixMode, MatrixRequest};
pub use number::{format_weight, parse_number};
pub use tree::{Kind, Node, Phrase, Prompt, Weight};
pub use weigh::{Weighing, WeightOperation, weigh};
pub use weights::{Weighted, effective_weights};
pub use wildcards::{Choices, Wildcards};

use crate::error::{Error, Result};

/// `Dialect` says what brackets mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// ComfyUI: `(a)` is 1.1 and nests, a weight that is written is absolute, `[a]` is plain text.
    #[default]
    Comfyui,
    /// AUTOMATIC1111's web UI: every bracket multiplies what is around it, and `[a]` divides by 1.1.
    A1111,
}

impl Dialect {
    /// Every dialect.
    pub const ALL: [Dialect; 2] = [Dialect::Comfyui, Dialect::A1111];

    /// The dialect of a name.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for a name that is none.
    pub fn from_name(name: &str) -> Result<Dialect> {
        let found = Dialect::ALL.into_iter().find(|dialect| dialect.as_str() == name);
        found.ok_or_else(|| Error::invalid_input(format!("\"{name}\" is no dialect: comfyui or a1111.")))
    }

    /// The name under which it is chosen.
    pub fn as_str(self) -> &'static str {
        match self {
            Dialect::Comfyui => "comfyui",
            Dialect::A1111 => "a1111",
        }
    }
}
