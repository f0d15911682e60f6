//! Several prompts as one.
//!
//! Each prompt keeps its own weights: where brackets without a partner would reach into a neighbour, the pieces are written
//! out. Not here: how a weight is written (`weigh`), what is the same phrase (`clean`).

use std::cmp::Reverse;

use serde::Serialize;

use super::clean::remove_duplicates;
use super::seen::{Seen, agree, of_pieces};
use super::weigh::{WeightOperation, weigh, written_out};
use super::{Dialect, Kind, Prompt};
use crate::error::{Error, Result};

/// `CombineMode` says how several prompts become one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CombineMode {
    /// One after another.
    #[default]
    Concatenate,
    /// One after another, each with its weight: `(a cat:1.2)`. Weights inside are multiplied, so that they keep their ratio.
    WeightedMerge,
    /// The first phrase of each, the second of each and so on. What stands between two `BREAK`s stays together.
    Alternating,
    /// The one with the highest weight first (of equals the longest), without phrases that are there already.
    PriorityMerge,
}

impl CombineMode {
    /// Every mode.
    pub const ALL: [CombineMode; 4] = [
        CombineMode::Concatenate,
        CombineMode::WeightedMerge,
        CombineMode::Alternating,
        CombineMode::PriorityMerge,
    ];

    /// The mode of a name.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for a name that is none.
    pub fn from_name(name: &str) -> Result<CombineMode> {
        let found = CombineMode::ALL.into_iter().find(|mode| mode.as_str() == name);
        found.ok_or_else(|| {
            Error::invalid_input(format!(
                "\"{name}\" is no mode: concatenate, weighted_merge, alternating or priority_merge."
            ))
        })
    }

    /// The name under which it is chosen.
    pub fn as_str(self) -> &'static str {
        match self {
            CombineMode::Concatenate => "concatenate",
            CombineMode::WeightedMerge => "weighted_merge",
            CombineMode::Alternating => "alternating",
            CombineMode::PriorityMerge => "priority_merge",
        }
    }
}

/// `Separator` is what stands between prompts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Separator {
    /// `, `
    #[default]
    Comma,
    /// A blank.
    Space,
    /// The end of a line.
    Newline,
    /// ` | `
    Pipe,
    /// `; `
    Semicolon,
    /// Any text, as it is.
    Custom(String),
}

impl Separator {
    /// The separator of a name; `custom` takes the text beside it.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for a name that is none.
    pub fn from_name(name: &str, custom: &str) -> Result<Separator> {
        Ok(match name {
            "comma" => Separator::Comma,
            "space" => Separator::Space,
            "newline" => Separator::Newline,
            "pipe" => Separator::Pipe,
            "semicolon" => Separator::Semicolon,
            "custom" => Separator::Custom(custom.to_owned()),
            _ => {
                return Err(Error::invalid_input(format!(
                    "\"{name}\" is no separator: comma, space, newline, pipe, semicolon or custom."
                )));
            }
        })
    }

    /// What is written.
    pub fn as_text(&self) -> &str {
        match self {
            Separator::Comma => ", ",
            Separator::Space => " ",
            Separator::Newline => "\n",
            Separator::Pipe => " | ",
            Separator::Semicolon => "; ",
            Separator::Custom(text) => text,
        }
    }
}

/// `Part` is one of the prompts, and its weight.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// The prompt; an empty one is left out, with its weight.
    pub text: String,
    /// Its weight.
    pub weight: f64,
}

/// `Combination` is several prompts as one.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Combination {
    /// The prompt.
    pub text: String,
    /// How many prompts are in it.
    pub prompts: usize,
    /// Which ones, counted from 1, in the order in which they were put together.
    pub order: Vec<usize>,
    /// How many phrases were left out because they were there already.
    pub duplicates: usize,
}

/// Makes one prompt of several.
///
/// # Errors
/// [`InvalidInput`](crate::ErrorKind::InvalidInput) for a weight that is not finite.
pub fn combine(
    parts: &[Part],
    mode: CombineMode,
    separator: &Separator,
    dialect: Dialect,
) -> Result<Combination> {
    let mut given: Vec<(usize, &str, f64)> = Vec::new();
    for (index, part) in parts.iter().enumerate() {
        if !part.weight.is_finite() {
            return Err(Error::invalid_input(format!(
                "The weight of prompt {} is not a finite number.",
                index + 1
            )));
        }
        let text = trimmed(&part.text, separator);
        if !text.is_empty() {
            given.push((index + 1, text, part.weight));
        }
    }
    if mode == CombineMode::PriorityMerge {
        given.sort_by(|one, other| {
            other.2.total_cmp(&one.2).then_with(|| Reverse(one.1.len()).cmp(&Reverse(other.1.len())))
        });
    }
    let order: Vec<usize> = given.iter().map(|(number, _, _)| *number).collect();
    let mut texts = Vec::with_capacity(given.len());
    for (_, text, weight) in given {
        texts.push(match mode {
            CombineMode::WeightedMerge => {
                weigh(text, WeightOperation::Emphasize(weight), None, dialect)?.text
            }
            _ => text.to_owned(),
        });
    }
    let texts = kept_apart(texts, separator, dialect);
    let (text, duplicates) = match mode {
        CombineMode::Alternating => (interleaved(&texts, separator, dialect), 0),
        CombineMode::PriorityMerge => {
            let joined = joined(&texts, separator, dialect);
            remove_duplicates(&joined, dialect).unwrap_or((joined, 0))
        }
        CombineMode::Concatenate | CombineMode::WeightedMerge => (joined(&texts, separator, dialect), 0),
    };
    Ok(Combination { text, prompts: order.len(), order, duplicates })
}

/// Without white space around it, and without commas where commas come between.
fn trimmed<'a>(text: &'a str, separator: &Separator) -> &'a str {
    if *separator != Separator::Comma {
        return text.trim();
    }
    let is_outside = |character: char| character.is_whitespace() || character == ',';
    let inside = text.trim_start_matches(is_outside);
    let shorter = inside.trim_end_matches(is_outside);
    // A comma that a backslash protects is part of the text.
    if shorter.ends_with('\\') { inside.trim_end() } else { shorter }
}

/// Writes prompts out whose brackets would reach into their neighbours.
fn kept_apart(texts: Vec<String>, separator: &Separator, dialect: Dialect) -> Vec<String> {
    let mut alone: Vec<Vec<Seen>> = Vec::with_capacity(texts.len());
    for text in &texts {
        match of_pieces(text, dialect) {
            Ok(seen) => alone.push(seen),
            // What has no finite weight is said where the prompt is used.
            Err(_) => return texts,
        }
    }
    let between = of_pieces(separator.as_text(), dialect).unwrap_or_default();
    let expected = alone.join(&between[..]);
    let together = of_pieces(&joined(&texts, separator, dialect), dialect);
    if together.is_ok_and(|together| agree(&together, &expected)) {
        return texts;
    }
    let write = |(text, seen): (String, Vec<Seen>)| {
        let is_balanced =
            agree(&super::seen::of_tree(&Prompt::parse(text.as_str(), dialect), dialect), &seen)
                && !has_single_bracket(&text, dialect);
        if is_balanced { text } else { written_out(&seen, dialect).trim().to_owned() }
    };
    texts.into_iter().zip(alone).map(write).collect()
}

/// Whether a bracket has no partner.
fn has_single_bracket(text: &str, dialect: Dialect) -> bool {
    let prompt = Prompt::parse(text, dialect);
    let is_bracket: &[char] = if dialect == Dialect::A1111 { &['(', ')', '[', ']'] } else { &['(', ')'] };
    (0..prompt.nodes().len())
        .any(|index| prompt.node(index).kind == Kind::Text && prompt.text(index).contains(is_bracket))
}

fn joined(texts: &[String], separator: &Separator, dialect: Dialect) -> String {
    let mut all = String::new();
    for (index, text) in texts.iter().enumerate() {
        if index > 0 {
            all.push_str(after_comment(&texts[index - 1], dialect));
            all.push_str(separator.as_text());
        }
        all.push_str(text);
    }
    all
}

/// A comment that goes to the end of its line must not swallow what comes next.
fn after_comment(text: &str, dialect: Dialect) -> &'static str {
    if !text.contains(['#', '/']) {
        return "";
    }
    let prompt = Prompt::parse(text, dialect);
    let is_open =
        prompt.nodes().last().is_some_and(|node| node.kind == Kind::Comment && !text.ends_with("*/"));
    if is_open { "\n" } else { "" }
}

/// The first phrase of each, the second of each and so on, section by section. Comments have no place in it.
fn interleaved(texts: &[String], separator: &Separator, dialect: Dialect) -> String {
    let prompts: Vec<Prompt> = texts.iter().map(|text| Prompt::parse(text.as_str(), dialect)).collect();
    let sections: Vec<Vec<Section<'_>>> = prompts.iter().map(sections).collect();
    let mut all = String::new();
    for section in 0..sections.iter().map(Vec::len).max().unwrap_or_default() {
        let together: Vec<&Section<'_>> = sections.iter().filter_map(|each| each.get(section)).collect();
        if let Some(border) = together.iter().find_map(|section| section.border) {
            all.extend([" ", border, " "]);
        }
        let mut phrases: Vec<_> = together.iter().map(|section| section.phrases.iter()).collect();
        let mut is_first = true;
        while !phrases.is_empty() {
            phrases.retain_mut(|phrases| {
                let Some(phrase) = phrases.next() else { return false };
                if !std::mem::take(&mut is_first) {
                    all.push_str(separator.as_text());
                }
                all.push_str(phrase);
                true
            });
        }
    }
    all.trim().to_owned()
}

/// `Section` is what stands between two of `BREAK` and `AND`.
#[derive(Default)]
struct Section<'a> {
    /// The word before it.
    border: Option<&'a str>,
    phrases: Vec<&'a str>,
}

fn sections(prompt: &Prompt) -> Vec<Section<'_>> {
    let mut sections = vec![Section::default()];
    let mut borders =
        prompt.roots().filter(|index| matches!(prompt.node(*index).kind, Kind::Break | Kind::And)).peekable();
    for phrase in prompt.phrases() {
        while let Some(border) = borders.next_if(|border| prompt.node(*border).span.start < phrase.span.start)
        {
            sections.push(Section { border: Some(prompt.text(border)), phrases: Vec::new() });
        }
        if let Some(section) = sections.last_mut() {
            section.phrases.push(&prompt.source()[phrase.span]);
        }
    }
    sections.extend(borders.map(|border| Section { border: Some(prompt.text(border)), phrases: Vec::new() }));
    sections
}
