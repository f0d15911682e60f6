//! Makes a prompt tidy and fit for an encoder, without deleting anything it does not understand.
//!
//! Each step is a function from a text to a text and a count (`clean/`); all are repeated until none finds anything, so
//! that a clean prompt stays as it is. Not here: weights (`weigh`).

mod case;
mod phrases;
mod safe;
mod talk;
mod tidy;

use serde::Serialize;

use super::Dialect;
use crate::error::{Error, Result};

pub(super) use phrases::remove_duplicates;

/// `Case` says how words are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Case {
    /// As they are.
    #[default]
    None,
    /// All small.
    Lower,
    /// Each word with a capital letter.
    Title,
    /// Each sentence with a capital letter.
    Sentence,
}

/// `EncoderSafe` says what becomes of parentheses that are no weights, which an encoder would take for weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EncoderSafe {
    /// Nothing.
    None,
    /// All without a number are escaped: the encoder sees them as characters.
    Escape,
    /// Pairs stay and emphasise; single ones are escaped where they would spoil the weights around them.
    #[default]
    Keep,
}

impl Case {
    /// Every case.
    pub const ALL: [Case; 4] = [Case::None, Case::Lower, Case::Title, Case::Sentence];

    /// The case of a name.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for a name that is none.
    pub fn from_name(name: &str) -> Result<Case> {
        let found = Case::ALL.into_iter().find(|case| case.as_str() == name);
        found.ok_or_else(|| {
            Error::invalid_input(format!("\"{name}\" is no case: none, lower, title or sentence."))
        })
    }

    /// The name under which it is chosen.
    pub fn as_str(self) -> &'static str {
        match self {
            Case::None => "none",
            Case::Lower => "lower",
            Case::Title => "title",
            Case::Sentence => "sentence",
        }
    }
}

impl EncoderSafe {
    /// Every choice.
    pub const ALL: [EncoderSafe; 3] = [EncoderSafe::None, EncoderSafe::Escape, EncoderSafe::Keep];

    /// The choice of a name.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for a name that is none.
    pub fn from_name(name: &str) -> Result<EncoderSafe> {
        let found = EncoderSafe::ALL.into_iter().find(|choice| choice.as_str() == name);
        found.ok_or_else(|| {
            Error::invalid_input(format!("\"{name}\" is no way to make a prompt safe: none, escape or keep."))
        })
    }

    /// The name under which it is chosen.
    pub fn as_str(self) -> &'static str {
        match self {
            EncoderSafe::None => "none",
            EncoderSafe::Escape => "escape",
            EncoderSafe::Keep => "keep",
        }
    }
}

/// `CleanOptions` say what is cleaned. By default that is all that changes no meaning.
#[derive(Clone, Debug, PartialEq)]
pub struct CleanOptions {
    /// What brackets mean.
    pub dialect: Dialect,
    /// Takes away what a language model writes around a prompt: "Here is a prompt:", fences, quotes, list marks, notes.
    pub strip_model_talk: bool,
    /// Drops phrases that are there already, whatever their case and weight; the strongest weight stays.
    pub remove_duplicates: bool,
    /// One blank between words, one after a comma, none before it.
    pub fix_spacing: bool,
    /// No commas without anything between them.
    pub fix_punctuation: bool,
    /// No weights of nothing, such as `()` and `(:1.2)`.
    pub remove_empty_weights: bool,
    /// How words are written.
    pub case: Case,
    /// Puts the phrases into alphabetical order.
    pub sort_alphabetically: bool,
    /// Leaves out the last phrases of a prompt that has more characters than this.
    pub max_length: Option<usize>,
    /// What becomes of parentheses that are no weights.
    pub encoder_safe: EncoderSafe,
}

impl Default for CleanOptions {
    fn default() -> Self {
        CleanOptions {
            dialect: Dialect::default(),
            strip_model_talk: true,
            remove_duplicates: true,
            fix_spacing: true,
            fix_punctuation: true,
            remove_empty_weights: true,
            case: Case::None,
            sort_alphabetically: false,
            max_length: None,
            encoder_safe: EncoderSafe::Keep,
        }
    }
}

/// `Cleaning` is a prompt that was cleaned.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cleaning {
    /// The prompt.
    pub text: String,
    /// How many changes there were.
    pub changed: usize,
    /// The changes of each kind, those that there were.
    pub changes: Vec<CleaningStep>,
}

/// `CleaningStep` is what one step of the cleaner did.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CleaningStep {
    /// What it is about, in words.
    pub what: &'static str,
    /// How many changes it made.
    pub count: usize,
}

/// How often the steps are repeated at most; more than three times only texts need that are made for it.
const MAX_ROUNDS: usize = 100;

type Step = fn(&str, &CleanOptions) -> Option<(String, usize)>;

/// The steps in their order; each gives nothing where it changes nothing or is not wanted.
const STEPS: [(&str, Step); 9] = [
    ("model talk", talk::strip),
    ("empty weights", tidy::remove_empty_weights),
    ("parentheses", safe::protect),
    ("duplicates", phrases::drop_duplicates),
    ("punctuation", tidy::fix_punctuation),
    ("spacing", tidy::fix_spacing),
    ("case", case::write),
    ("order", phrases::sort),
    ("length", phrases::shorten),
];

/// Cleans a prompt. Cleaning what is clean changes nothing.
pub fn clean(text: &str, options: &CleanOptions) -> Cleaning {
    let mut text = text.to_owned();
    let mut counts = [0; STEPS.len()];
    for _ in 0..MAX_ROUNDS {
        let mut is_changed = false;
        for ((_, step), total) in STEPS.iter().zip(&mut counts) {
            if let Some((changed, count)) = step(&text, options).filter(|(changed, _)| *changed != text) {
                text = changed;
                *total += count;
                is_changed = true;
            }
        }
        if !is_changed {
            break;
        }
    }
    let changes: Vec<CleaningStep> = STEPS
        .iter()
        .zip(counts)
        .filter(|(_, count)| *count > 0)
        .map(|((what, _), count)| CleaningStep { what, count })
        .collect();
    Cleaning { text, changed: changes.iter().map(|step| step.count).sum(), changes }
}
