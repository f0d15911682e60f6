//! The phrases of a prompt, those in brackets too, and which of them say the same.
//!
//! Not here: what is left out of a prompt because of that (the cleaner).

use std::collections::HashMap;
use std::ops::Range;

use serde::Serialize;

use super::super::{Dialect, Kind, Phrase, Prompt};
use super::excerpt;

/// `Duplicate` is a phrase that stands there more than once, whatever its weights.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Duplicate {
    /// The phrase as it is written the first time.
    pub text: String,
    /// How often.
    pub count: usize,
}

/// Every phrase: one that is all in brackets is the phrases in them. Options of choices are part of theirs.
pub(super) fn all(prompt: &Prompt, dialect: Dialect) -> Vec<Phrase> {
    let mut phrases = Vec::new();
    let mut waiting: Vec<Phrase> = prompt.phrases();
    waiting.reverse();
    while let Some(phrase) = waiting.pop() {
        match bracket(prompt, &phrase, dialect) {
            Some(index) => waiting.extend(prompt.phrases_in(index).into_iter().rev()),
            None => phrases.push(phrase),
        }
    }
    phrases
}

/// The bracket that is all of a phrase.
fn bracket(prompt: &Prompt, phrase: &Phrase, dialect: Dialect) -> Option<usize> {
    let index = phrase.nodes.iter().copied().find(|index| prompt.node(*index).span == phrase.span)?;
    is_weight(&prompt.node(index).kind, dialect).then_some(index)
}

fn is_weight(kind: &Kind, dialect: Dialect) -> bool {
    matches!(kind, Kind::Round(_)) || (*kind == Kind::Square && dialect == Dialect::A1111)
}

/// The phrases that stand there more than once, in the order of their first places.
pub(super) fn duplicates(prompt: &Prompt, phrases: &[Phrase], dialect: Dialect) -> Vec<Duplicate> {
    let mut counts: HashMap<String, (usize, usize)> = HashMap::new();
    for (number, phrase) in phrases.iter().enumerate() {
        let said = said(prompt, phrase, dialect);
        if !said.is_empty() {
            counts.entry(said).or_insert((number, 0)).1 += 1;
        }
    }
    let mut repeated: Vec<_> = counts.into_values().filter(|(_, count)| *count > 1).collect();
    repeated.sort_unstable();
    repeated
        .into_iter()
        .map(|(first, count)| Duplicate {
            text: excerpt(&prompt.source()[phrases[first].span.clone()]),
            count,
        })
        .collect()
}

/// What a phrase says: without weights and escapes, in lower case, with single spaces. Names stay as they are.
fn said(prompt: &Prompt, phrase: &Phrase, dialect: Dialect) -> String {
    let mut text = String::new();
    for root in &phrase.nodes {
        let mut nodes = prompt.subtree(*root);
        while let Some(index) = nodes.next() {
            let node = prompt.node(index);
            match &node.kind {
                Kind::Text => text.push_str(&part(prompt, &node.span, &phrase.span).to_lowercase()),
                Kind::Escape => text.push_str(&prompt.text(index)[1..].to_lowercase()),
                kind if is_weight(kind, dialect) => {}
                _ => {
                    text.push_str(prompt.text(index));
                    nodes.start = prompt.subtree(index).end;
                }
            }
        }
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What of a node lies in a phrase: a text may reach over a line's end.
fn part<'a>(prompt: &'a Prompt, node: &Range<usize>, phrase: &Range<usize>) -> &'a str {
    &prompt.source()[node.start.max(phrase.start)..node.end.min(phrase.end)]
}
