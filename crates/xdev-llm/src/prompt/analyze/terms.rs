//! What is found with the lexicon: conflicts, keywords, and what a language model said around the prompt.
//!
//! Not here: the words of a prompt (`walk`), the lexicon itself (`lexicon`).

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Serialize;

use super::lexicon::{Lexicon, Meaning, Term};
use super::walk::{Walk, Word};

/// How many places of one side are compared with the other's; more would say nothing new.
const MAX_PLACES: usize = 4;

/// `Conflict` is two terms that do not go together in one picture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Conflict {
    /// The term that comes first.
    pub first: String,
    /// The one that opposes it.
    pub second: String,
}

/// `Found` is a term at a place.
struct Found {
    term: &'static Term,
    branch: usize,
    at: usize,
}

/// Everything of the lexicon that stands in the prompt.
pub(super) fn find(walk: &Walk) -> (Vec<Conflict>, BTreeMap<String, Vec<String>>) {
    let lexicon = Lexicon::get();
    let mut sides: HashMap<usize, Vec<(usize, Vec<Found>)>> = HashMap::new();
    let mut keywords: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for (index, word) in walk.words.iter().enumerate() {
        for term in terms_at(lexicon, &walk.words[index..]) {
            match term.meaning {
                Meaning::Category(category) => {
                    keywords.entry(lexicon.categories[category].clone()).or_default().insert(&term.text);
                }
                Meaning::Side { group, side } => {
                    let found = Found { term, branch: word.branch, at: word.at };
                    put(sides.entry(group).or_default(), side, found);
                }
            }
        }
    }
    let mut conflicts: Vec<_> = sides.values().flat_map(|sides| conflicts_of(sides, walk)).collect();
    conflicts.sort_by_key(|(at, _)| *at);
    let keywords = keywords
        .into_iter()
        .map(|(category, words)| (category, words.into_iter().map(str::to_owned).collect()))
        .collect();
    (conflicts.into_iter().map(|(_, conflict)| conflict).collect(), keywords)
}

/// The terms that begin at a place and do not reach over a comma.
fn terms_at(lexicon: &'static Lexicon, words: &[Word]) -> Vec<&'static Term> {
    let fits = |term: &&Term| {
        let own = &words[..term.words.len().min(words.len())];
        own.len() == term.words.len()
            && own.iter().zip(&term.words).all(|(word, part)| word.text == *part && word.run == words[0].run)
    };
    lexicon.beginning_with(&words[0].text).filter(fits).collect()
}

fn put(sides: &mut Vec<(usize, Vec<Found>)>, side: usize, found: Found) {
    if !sides.iter().any(|(known, _)| *known == side) {
        sides.push((side, Vec::new()));
    }
    let Some((_, places)) = sides.iter_mut().find(|(known, _)| *known == side) else { return };
    if places.len() < MAX_PLACES && places.iter().all(|place| place.branch != found.branch) {
        places.push(found);
    }
}

/// One conflict for each two sides that come together somewhere.
fn conflicts_of(sides: &[(usize, Vec<Found>)], walk: &Walk) -> Vec<(usize, Conflict)> {
    let mut conflicts = Vec::new();
    for (number, (_, places)) in sides.iter().enumerate() {
        for (_, others) in &sides[number + 1..] {
            let mut pairs = places.iter().flat_map(|one| others.iter().map(move |other| (one, other)));
            if let Some((one, other)) =
                pairs.find(|(one, other)| walk.come_together(one.branch, other.branch))
            {
                let (first, second) = if one.at <= other.at { (one, other) } else { (other, one) };
                let conflict = Conflict { first: first.term.text.clone(), second: second.term.text.clone() };
                conflicts.push((first.at, conflict));
            }
        }
    }
    conflicts
}

/// What a language model said around the prompt and where, each phrase once.
pub(super) fn talk(text: &str) -> Vec<(usize, String)> {
    let talk = &Lexicon::get().talk;
    // Upper and lower case of ASCII have the same length, so that places stay.
    let lower = text.to_ascii_lowercase();
    let start = lower.len() - lower.trim_start().len();
    let ends_word = |rest: &str, opening: &str| {
        !opening.ends_with(char::is_alphanumeric)
            || !rest[opening.len()..].starts_with(|next: char| next.is_alphanumeric() || next == '_')
    };
    let opening = talk
        .openings
        .iter()
        .find(|opening| lower[start..].starts_with(opening.as_str()) && ends_word(&lower[start..], opening));
    let mut found: Vec<_> = opening.map(|opening| (start, opening.clone())).into_iter().collect();
    found.extend(
        talk.anywhere.iter().filter_map(|said| lower.find(said.as_str()).map(|at| (at, said.clone()))),
    );
    found.sort();
    found.dedup_by_key(|(at, _)| *at);
    found
}
