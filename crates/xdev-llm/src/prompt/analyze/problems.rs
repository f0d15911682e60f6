//! What is probably a mistake in a prompt, each with its place.
//!
//! Not here: terms that do not go together (`terms`), what an answer of a model is stripped of (the cleaner).

use serde::Serialize;

use super::super::{Kind, Prompt};
use super::walk::Walk;
use super::{excerpt, terms};
use crate::error::Error;

/// How many brackets are named; how many there are is said.
const MAX_BRACKETS: usize = 20;

/// `Place` is a place in a text as an editor names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    /// How many characters stand before it.
    pub character: usize,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
}

/// `Problem` is probably a mistake.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// `unbalanced`, `not_finite` or `talk`.
    pub kind: &'static str,
    /// What, and what to do.
    pub message: String,
    /// Where; none where it is about all of the text.
    pub position: Option<Place>,
}

/// All of them, in the order of the text for each kind.
pub(super) fn find(prompt: &Prompt, walk: &Walk, failed: Option<&Error>) -> Vec<Problem> {
    let source = prompt.source();
    let mut found: Vec<(usize, &'static str, String)> = Vec::new();
    for at in walk.unbalanced.iter().take(MAX_BRACKETS) {
        let bracket = &source[*at..=*at];
        found.push((*at, "unbalanced", format!("\"{bracket}\" has no partner, so it is text.")));
    }
    let written = prompt.nodes().iter().filter_map(|node| match &node.kind {
        Kind::Round(Some(weight)) | Kind::Schedule(weight) if !weight.value.is_finite() => Some(weight),
        _ => None,
    });
    found.extend(written.take(MAX_BRACKETS).map(|weight| {
        let number = excerpt(&source[weight.span.clone()]);
        (weight.span.start, "not_finite", format!("The weight \"{number}\" is not a finite number."))
    }));
    found.extend(terms::talk(source).into_iter().map(|(at, said)| {
        (at, "talk", format!("\"{said}\" looks like a language model talking, not like a prompt."))
    }));
    found.sort_by_key(|(at, _, _)| *at);
    let mut locator = Locator { source, at: 0, position: Place { character: 0, line: 1, column: 1 } };
    let located = found.into_iter().map(|(at, kind, message)| {
        let position = Some(locator.position_of(at));
        Problem { kind, message, position }
    });
    let mut problems: Vec<_> = located.collect();
    problems.extend(about_all(walk, failed, &problems));
    problems
}

/// Problems without a place.
fn about_all(walk: &Walk, failed: Option<&Error>, known: &[Problem]) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut add = |kind, message| problems.push(Problem { kind, message, position: None });
    if walk.unbalanced.len() > MAX_BRACKETS {
        let count = walk.unbalanced.len();
        add("unbalanced", format!("{count} brackets have no partner; the first {MAX_BRACKETS} are named."));
    }
    if let Some(failed) = failed
        && !known.iter().any(|problem| problem.kind == "not_finite")
    {
        add("not_finite", failed.message().to_owned());
    }
    problems
}

/// `Locator` names places in ascending order and reads the text once for it.
struct Locator<'a> {
    source: &'a str,
    at: usize,
    position: Place,
}

impl Locator<'_> {
    fn position_of(&mut self, at: usize) -> Place {
        for character in self.source[self.at..at].chars() {
            self.position.character += 1;
            self.position.column += 1;
            if character == '\n' {
                self.position.line += 1;
                self.position.column = 1;
            }
        }
        self.at = at;
        self.position
    }
}
