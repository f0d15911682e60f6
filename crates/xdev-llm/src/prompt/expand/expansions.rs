//! All prompts of a template in turn: an odometer over its outermost pieces, in memory that does not grow.
//!
//! Only what changed is written again: the last choice turns most often, and what stands before it stays in the text.
//! The texts of small choices are made once and kept. Not here: a prompt by its number (`Template::nth`).

use std::ops::Range;
use std::sync::Arc;

use super::{Grammar, Memory, Piece};

/// How many texts of a choice are kept, at most.
const MAX_KEPT: u128 = 1024;
/// How many bytes of texts are kept, at most.
const MAX_KEPT_BYTES: u64 = 1 << 20;
/// How many pieces the odometer looks at one by one.
const MAX_WHEELS: usize = 1 << 16;

/// `Wheel` is an outermost piece: what it shows, and how it turns.
#[derive(Clone, Debug)]
struct Wheel {
    what: Shows,
    count: u128,
    at: u128,
    /// Where its text begins.
    start: usize,
}

#[derive(Clone, Debug)]
enum Shows {
    Text(Range<usize>),
    /// Texts that were made before: where each lies among those that are kept.
    Kept(Vec<Range<usize>>),
    Piece(usize),
}

/// `Expansions` gives every prompt of a template, in order.
#[derive(Clone, Debug)]
pub struct Expansions {
    grammar: Arc<Grammar>,
    memory: Memory,
    wheels: Vec<Wheel>,
    /// The wheels that turn, in order.
    turning: Vec<usize>,
    kept: String,
    text: String,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Fresh,
    Running,
    Over,
}

impl Expansions {
    pub(super) fn new(grammar: Arc<Grammar>) -> Self {
        let memory = grammar.memory();
        let mut expansions = Expansions {
            grammar,
            memory,
            wheels: Vec::new(),
            turning: Vec::new(),
            kept: String::new(),
            text: String::new(),
            state: State::Fresh,
        };
        expansions.build();
        expansions
    }

    /// Takes sequences apart, so that each of their parts turns on its own.
    fn build(&mut self) {
        let grammar = self.grammar.clone();
        let mut left = vec![grammar.root];
        while let Some(piece) = left.pop() {
            match &grammar.pieces[piece] {
                Piece::Sequence(parts) if left.len() + self.wheels.len() + parts.len() < MAX_WHEELS => {
                    left.extend(parts.iter().rev());
                }
                Piece::Text(range) => self.wheel(Shows::Text(range.clone()), 1),
                _ => {
                    let count = grammar.count(piece);
                    let shows = self.keep(piece).unwrap_or(Shows::Piece(piece));
                    self.wheel(shows, count);
                }
            }
        }
        self.turning = (0..self.wheels.len()).filter(|wheel| self.wheels[*wheel].count > 1).collect();
    }

    fn wheel(&mut self, what: Shows, count: u128) {
        self.wheels.push(Wheel { what, count, at: 0, start: 0 });
    }

    /// Makes the texts of a small piece, unless they depend on a variable.
    fn keep(&mut self, piece: usize) -> Option<Shows> {
        let measure = &self.grammar.measures[piece];
        let size = measure.longest.saturating_mul(u64::try_from(measure.count).unwrap_or(u64::MAX));
        let is_small =
            measure.count <= MAX_KEPT && size.saturating_add(self.kept.len() as u64) <= MAX_KEPT_BYTES;
        if measure.has_variables || !is_small {
            return None;
        }
        let texts = (0..measure.count).map(|index| {
            let start = self.kept.len();
            self.grammar.write(piece, index, None, &mut self.memory, &mut self.kept);
            start..self.kept.len()
        });
        Some(Shows::Kept(texts.collect()))
    }

    /// How many prompts there are in all.
    pub fn total(&self) -> u128 {
        self.grammar.count(self.grammar.root)
    }

    /// The next prompt, in a buffer that the one after it uses again.
    pub fn next_text(&mut self) -> Option<&str> {
        match self.state {
            State::Fresh => {
                self.state = State::Running;
                self.write_from(0);
            }
            State::Running => {
                let Some(turned) = self.turn() else {
                    self.state = State::Over;
                    return None;
                };
                self.text.truncate(self.wheels[turned].start);
                self.write_from(turned);
            }
            State::Over => return None,
        }
        Some(&self.text)
    }

    /// Goes on at the prompt of an index; behind the last one it is over.
    pub fn seek(&mut self, index: u128) {
        if index >= self.total() {
            self.state = State::Over;
            return;
        }
        let mut left = index;
        for wheel in self.turning.iter().rev() {
            let wheel = &mut self.wheels[*wheel];
            (wheel.at, left) = (left % wheel.count, left / wheel.count);
        }
        self.text.clear();
        self.state = State::Fresh;
    }

    /// Turns the last wheel that can be turned and sets those behind it back; gives the first that changed.
    fn turn(&mut self) -> Option<usize> {
        for turning in self.turning.iter().rev() {
            let wheel = &mut self.wheels[*turning];
            wheel.at += 1;
            if wheel.at < wheel.count {
                return Some(*turning);
            }
            wheel.at = 0;
        }
        None
    }

    fn write_from(&mut self, first: usize) {
        for wheel in &mut self.wheels[first..] {
            wheel.start = self.text.len();
            match &wheel.what {
                Shows::Text(range) => self.text.push_str(&self.grammar.text[range.clone()]),
                Shows::Kept(texts) => self.text.push_str(&self.kept[texts[wheel.at as usize].clone()]),
                Shows::Piece(piece) => {
                    self.grammar.write(*piece, wheel.at, None, &mut self.memory, &mut self.text);
                }
            }
        }
    }
}

impl Iterator for Expansions {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        self.next_text().map(str::to_owned)
    }
}
