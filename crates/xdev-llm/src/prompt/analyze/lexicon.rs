//! The words that the analyzer knows, from `data/analysis.toml`.
//!
//! Not here: where they are looked for (`terms`, `analyze`).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::OnceLock;

use serde::Deserialize;

const FILE: &str = include_str!("../data/analysis.toml");

/// `Meaning` says what a term stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// A side of a group of opposed terms.
    Side { group: usize, side: usize },
    /// A category of keywords, by its place in the alphabet.
    Category(usize),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    stop_words: HashSet<String>,
    opposed: Vec<Vec<Vec<String>>>,
    keywords: BTreeMap<String, Vec<String>>,
    talk: Talk,
}

/// `Talk` is what language models say around a prompt.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Talk {
    pub(super) openings: Vec<String>,
    pub(super) anywhere: Vec<String>,
}

/// `Term` is one or several words with a meaning.
pub(super) struct Term {
    pub(super) text: String,
    pub(super) words: Vec<String>,
    pub(super) meaning: Meaning,
}

/// `Lexicon` is the file, ready to look words up.
pub(super) struct Lexicon {
    pub(super) stop_words: HashSet<String>,
    pub(super) categories: Vec<String>,
    pub(super) talk: Talk,
    pub(super) terms: Vec<Term>,
    /// The terms that begin with a word.
    by_first: HashMap<String, Vec<usize>>,
}

impl Lexicon {
    pub(super) fn get() -> &'static Lexicon {
        static LEXICON: OnceLock<Lexicon> = OnceLock::new();
        LEXICON.get_or_init(|| {
            Lexicon::of(toml::from_str(FILE).expect("the file is a part of the crate, and a test reads it"))
        })
    }

    fn of(file: File) -> Lexicon {
        let mut terms = Vec::new();
        let mut add = |text: String, meaning| {
            let words = text.split(' ').map(str::to_owned).collect();
            terms.push(Term { text, words, meaning });
        };
        for (group, sides) in file.opposed.into_iter().enumerate() {
            for (side, words) in sides.into_iter().enumerate() {
                for text in words {
                    add(text, Meaning::Side { group, side });
                }
            }
        }
        let categories = file.keywords.keys().cloned().collect();
        for (category, (_, words)) in file.keywords.into_iter().enumerate() {
            for text in words {
                add(text, Meaning::Category(category));
            }
        }
        let mut by_first: HashMap<String, Vec<usize>> = HashMap::new();
        for (number, term) in terms.iter().enumerate() {
            by_first.entry(term.words[0].clone()).or_default().push(number);
        }
        Lexicon { stop_words: file.stop_words, categories, talk: file.talk, terms, by_first }
    }

    /// The terms that begin with a word.
    pub(super) fn beginning_with(&self, word: &str) -> impl Iterator<Item = &Term> {
        self.by_first.get(word).into_iter().flatten().map(|number| &self.terms[*number])
    }
}

#[cfg(test)]
mod tests {
    use super::super::walk::words;
    use super::*;

    #[test]
    fn every_term_can_be_found_in_a_prompt() {
        for term in &Lexicon::get().terms {
            let read: Vec<_> = words(&term.text).map(|(_, word)| word).collect();
            assert_eq!(read, term.words, "{}", term.text);
            assert_eq!(term.text, term.text.to_lowercase());
        }
        let talk = &Lexicon::get().talk;
        assert!(talk.openings.iter().chain(&talk.anywhere).all(|said| *said == said.to_ascii_lowercase()));
    }

    #[test]
    fn opposed_terms_have_two_sides_at_least() {
        let file: File = toml::from_str(FILE).unwrap();
        assert!(
            file.opposed.iter().all(|sides| sides.len() > 1 && sides.iter().all(|side| !side.is_empty()))
        );
    }
}
