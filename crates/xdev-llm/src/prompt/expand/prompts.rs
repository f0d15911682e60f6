//! A number of a template's prompts: all in turn, some by their numbers, or drawn.
//!
//! One way to go through them for whoever asks: the command, Python, the nodes. Not here: how each is made.

use std::collections::HashSet;
use std::vec::IntoIter;

use super::{Draws, Expansions, Template};
use crate::error::{Error, Result};
use crate::prompt::rng::Random;

/// The most prompts that are made into a list.
pub const MAX_LISTED: usize = 10_000_000;

/// `Prompts` goes through prompts of a template, one at a time, in memory that does not grow.
#[derive(Clone, Debug)]
pub struct Prompts {
    source: Source,
    left: u128,
    text: String,
}

#[derive(Clone, Debug)]
enum Source {
    All(Box<Expansions>),
    Numbers(Template, IntoIter<u128>),
    Draws(Draws),
}

impl Prompts {
    /// All in turn, from a number on.
    pub fn all(template: &Template, start: u128) -> Prompts {
        let mut expansions = template.expansions();
        expansions.seek(start);
        let left = template.count().saturating_sub(start);
        Prompts { source: Source::All(Box::new(expansions)), left, text: String::new() }
    }

    /// Different ones in random order, at most `limit` of them; options count alike, whatever their weights.
    pub fn sampled(template: &Template, limit: usize, seed: u64) -> Prompts {
        let numbers = sample(template.count(), limit, seed);
        let left = numbers.len() as u128;
        Prompts { source: Source::Numbers(template.clone(), numbers.into_iter()), left, text: String::new() }
    }

    /// As many as are wanted by the weights of the options, also several that are alike.
    pub fn drawn(template: &Template, number: usize, seed: u64) -> Prompts {
        Prompts { source: Source::Draws(template.draws(seed)), left: number as u128, text: String::new() }
    }

    /// The same without those after the first `limit`.
    pub fn first(mut self, limit: usize) -> Prompts {
        self.left = self.left.min(limit as u128);
        self
    }

    /// How many are still to come.
    pub fn left(&self) -> u128 {
        self.left
    }

    /// The next one, in a buffer that the one after it uses again.
    pub fn next_text(&mut self) -> Option<&str> {
        self.left = self.left.checked_sub(1)?;
        match &mut self.source {
            Source::All(expansions) => expansions.next_text(),
            Source::Numbers(template, numbers) => {
                self.text.clear();
                template.write_nth(numbers.next()?, &mut self.text).then_some(self.text.as_str())
            }
            Source::Draws(draws) => {
                self.text.clear();
                draws.write(&mut self.text);
                Some(&self.text)
            }
        }
    }

    /// Refuses prompts that are too many for a list.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) where there are over ten million.
    pub fn check_listed(&self) -> Result<()> {
        if self.left <= MAX_LISTED as u128 {
            return Ok(());
        }
        Err(Error::invalid_input(format!(
            "These are {} prompts, too many for a list: give a limit of at most {MAX_LISTED}, or take one after another.",
            self.left
        )))
    }
}

impl Iterator for Prompts {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        self.next_text().map(str::to_owned)
    }
}

/// Different numbers under `count` in random order, at most `limit` of them.
pub fn sample(count: u128, limit: usize, seed: u64) -> Vec<u128> {
    let mut random = Random::new(seed);
    let limit = u128::min(limit as u128, count);
    // Floyd's way: one draw a number, whatever the count. Its order is not random, so that comes after.
    let mut seen = HashSet::new();
    let mut taken = Vec::new();
    for last in count - limit..count {
        let drawn = random.below_wide(last + 1);
        let number = if seen.contains(&drawn) { last } else { drawn };
        seen.insert(number);
        taken.push(number);
    }
    random.shuffle(&mut taken);
    taken
}
