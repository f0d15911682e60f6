//! Templates: texts with choices, variables and wildcards, and the prompts they stand for.
//!
//! A template is read once into a list of pieces (`compile`) that know how many texts they stand for (`measure`), so
//! that the n-th prompt is made without those before it. Nothing here calls itself, however deep choices nest. Not
//! here: going through all prompts in turn (`expansions`), which files wildcards come from (`wildcards`).

mod compile;
mod expansions;
mod measure;
mod prompts;

use std::ops::Range;
use std::sync::Arc;

pub use expansions::Expansions;
pub use prompts::{MAX_LISTED, Prompts, sample};

use super::rng::Random;
use super::wildcards::Wildcards;
use crate::error::Result;
pub(super) use compile::Compiler;
use measure::Measure;

/// `Piece` is a part of a template; others are named by their place in the list of all pieces.
#[derive(Clone, Debug)]
enum Piece {
    /// A part of the template's text.
    Text(Range<usize>),
    /// One after another.
    Sequence(Vec<usize>),
    /// One of several. Without weights all are alike; `ends` counts the texts up to and with each option.
    Choice { options: Vec<usize>, weights: Vec<f64>, ends: Vec<u128> },
    /// Several of several, in the order they are written in.
    Pick(Box<Pick>),
    /// Remembers the text of a value, and is itself no text.
    Set { slot: usize, value: usize },
    /// The text that was remembered.
    Get(usize),
}

impl Piece {
    fn parts(&self) -> &[usize] {
        match self {
            Piece::Text(_) | Piece::Get(_) => &[],
            Piece::Sequence(parts) => parts,
            Piece::Choice { options, .. } => options,
            Piece::Pick(pick) => &pick.options,
            Piece::Set { value, .. } => std::slice::from_ref(value),
        }
    }
}

/// `Pick` takes `least` to `most` of its options and puts a separator between them.
#[derive(Clone, Debug)]
struct Pick {
    options: Vec<usize>,
    weights: Vec<f64>,
    least: usize,
    most: usize,
    separator: Range<usize>,
    /// How many texts there are with `k` of the options from the `i`-th on, at `i * (most + 1) + k`.
    ways: Vec<u128>,
}

impl Pick {
    fn ways(&self, from: usize, taken: usize) -> u128 {
        self.ways[from * (self.most + 1) + taken]
    }

    /// The options of the `index`-th text, each with its own index.
    fn at(&self, mut index: u128) -> Vec<(usize, u128)> {
        let mut left = self.least;
        while left < self.most && index >= self.ways(0, left) {
            index -= self.ways(0, left);
            left += 1;
        }
        let mut taken = Vec::with_capacity(left);
        for (at, option) in self.options.iter().enumerate() {
            if left == 0 {
                break;
            }
            let without = self.ways(at + 1, left);
            let with = self.ways(at, left).saturating_sub(without);
            if index < with || self.options.len() - at == left {
                let rest = self.ways(at + 1, left - 1).max(1);
                taken.push((*option, index / rest));
                index %= rest;
                left -= 1;
            } else {
                index -= with;
            }
        }
        taken
    }

    /// A number of options, each number as likely as another, by their weights.
    fn draw(&self, random: &mut Random) -> Vec<(usize, u128)> {
        let number = self.least + random.index(self.most - self.least + 1);
        let mut places: Vec<usize> = (0..self.options.len()).collect();
        let mut weights = self.weights.clone();
        let mut taken: Vec<usize> = (0..number)
            .map(|_| {
                let at =
                    if weights.is_empty() { random.index(places.len()) } else { random.weighted(&weights) };
                if !weights.is_empty() {
                    weights.remove(at);
                }
                places.remove(at)
            })
            .collect();
        taken.sort_unstable();
        taken.into_iter().map(|at| (self.options[at], 0)).collect()
    }
}

/// `Grammar` is a template that was read: its pieces, and what is known of each.
#[derive(Debug)]
struct Grammar {
    text: String,
    pieces: Vec<Piece>,
    measures: Vec<Measure>,
    slots: usize,
    root: usize,
}

/// `Memory` is what is kept while a text is made; it is used again for the next.
#[derive(Clone, Debug)]
struct Memory {
    steps: Vec<Step>,
    slots: Vec<String>,
}

#[derive(Clone, Debug)]
enum Step {
    /// Writes the n-th text of a piece.
    Write(usize, u128),
    Separator(Range<usize>),
    /// Takes what was written since a place into a variable.
    Store {
        slot: usize,
        start: usize,
    },
}

impl Grammar {
    fn memory(&self) -> Memory {
        Memory { steps: Vec::new(), slots: vec![String::new(); self.slots] }
    }

    fn count(&self, piece: usize) -> u128 {
        self.measures[piece].count
    }

    /// Adds the `index`-th text of a piece to `written`, or one that is drawn.
    fn write(
        &self,
        piece: usize,
        index: u128,
        mut random: Option<&mut Random>,
        memory: &mut Memory,
        written: &mut String,
    ) {
        memory.steps.push(Step::Write(piece, index));
        while let Some(step) = memory.steps.pop() {
            let (piece, index) = match step {
                Step::Write(piece, index) => (&self.pieces[piece], index),
                Step::Separator(range) => {
                    written.push_str(&self.text[range]);
                    continue;
                }
                Step::Store { slot, start } => {
                    memory.slots[slot].clear();
                    memory.slots[slot].push_str(&written[start..]);
                    written.truncate(start);
                    continue;
                }
            };
            match piece {
                Piece::Text(range) => written.push_str(&self.text[range.clone()]),
                Piece::Get(slot) => written.push_str(&memory.slots[*slot]),
                Piece::Set { slot, value } => {
                    memory.steps.push(Step::Store { slot: *slot, start: written.len() });
                    memory.steps.push(Step::Write(*value, index));
                }
                Piece::Sequence(parts) => self.push_sequence(parts, index, memory),
                Piece::Choice { options, weights, ends } => {
                    memory.steps.push(match &mut random {
                        Some(random) if weights.is_empty() => {
                            Step::Write(options[random.index(options.len())], 0)
                        }
                        Some(random) => Step::Write(options[random.weighted(weights)], 0),
                        None => {
                            // Counts that are not exact any more may lead past the last one.
                            let option = ends.partition_point(|end| *end <= index).min(options.len() - 1);
                            let before = option.checked_sub(1).map_or(0, |before| ends[before]);
                            Step::Write(options[option], index - before)
                        }
                    });
                }
                Piece::Pick(pick) => {
                    let taken = match &mut random {
                        Some(random) => pick.draw(random),
                        None => pick.at(index),
                    };
                    for (place, (option, index)) in taken.into_iter().enumerate().rev() {
                        memory.steps.push(Step::Write(option, index));
                        if place > 0 {
                            memory.steps.push(Step::Separator(pick.separator.clone()));
                        }
                    }
                }
            }
        }
    }

    /// What is pushed last is written first, and the last part changes fastest.
    fn push_sequence(&self, parts: &[usize], index: u128, memory: &mut Memory) {
        let mut left = index;
        for part in parts.iter().rev() {
            let count = self.count(*part);
            let digit = if left == 0 || count == 1 { 0 } else { left % count };
            if left != 0 && count != 1 {
                left /= count;
            }
            memory.steps.push(Step::Write(*part, digit));
        }
    }
}

/// `Template` is a text that stands for many: `a {red|blue} cat`.
///
/// - `{a|b}` is one of its options, `{0.5::a|2::b}` with weights, `{2$$, $$a|b|c}` two of them with `, ` between,
///   `{1-3$$a|b|c}` one to three.
/// - `${name=value}` sets a variable until the end of the option it stands in and is no text itself; `${name}` is its
///   value, expanded anew at each use. `${name=!value}` is expanded once, where it is set. `${name:value}` is a value
///   for a variable that is not set.
/// - `__name__` is an option of a wildcard, which knows no variables but its own; without wildcards it stays as it is.
/// - Comments go, and so does the backslash of `\{`, `\}`, `\|`, `\$`, `\_` and `\#`.
#[derive(Clone, Debug)]
pub struct Template {
    grammar: Arc<Grammar>,
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for a variable without a value, for a wildcard that does not
    /// exist or leads to itself, and for what would become larger than 64 MiB.
    pub fn parse(text: &str, wildcards: Option<&Wildcards>) -> Result<Template> {
        let mut compiler = Compiler::new(wildcards);
        let root = compiler.template(text)?;
        compiler.finish(root)
    }

    /// How many prompts it stands for, also where several are alike; `u128::MAX` where there are more.
    pub fn count(&self) -> u128 {
        self.grammar.count(self.grammar.root)
    }

    /// The prompt of an index, in the order of [`expansions`](Template::expansions).
    pub fn nth(&self, index: u128) -> Option<String> {
        let mut text = String::new();
        self.write_nth(index, &mut text).then_some(text)
    }

    /// Adds the prompt of an index to a text; says whether there is one.
    pub fn write_nth(&self, index: u128, text: &mut String) -> bool {
        let is_there = index < self.count();
        if is_there {
            self.grammar.write(self.grammar.root, index, None, &mut self.grammar.memory(), text);
        }
        is_there
    }

    /// All prompts in turn; what is written last changes fastest.
    pub fn expansions(&self) -> Expansions {
        Expansions::new(self.grammar.clone())
    }

    /// Prompts that a seed draws, without end; options count by their weights.
    pub fn draws(&self, seed: u64) -> Draws {
        Draws { memory: self.grammar.memory(), grammar: self.grammar.clone(), random: Random::new(seed) }
    }
}

/// `Draws` gives random prompts of a template, without end.
#[derive(Clone, Debug)]
pub struct Draws {
    grammar: Arc<Grammar>,
    memory: Memory,
    random: Random,
}

impl Draws {
    /// Adds the next prompt to a text.
    fn write(&mut self, text: &mut String) {
        self.grammar.write(self.grammar.root, 0, Some(&mut self.random), &mut self.memory, text);
    }
}

impl Iterator for Draws {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        let mut text = String::new();
        self.write(&mut text);
        Some(text)
    }
}
