//! `Chooser` takes one wording after another, none of which contradicts one before.
//!
//! What a text already says comes first, then what a person chose, then what is drawn. Not here: how the wordings become
//! a prompt (the parent).

use std::collections::BTreeMap;

use super::{LeftOut, Piece};
use crate::error::Result;
use crate::prompt::catalogue::{Catalogue, Entry, Heard, Wording};
use crate::prompt::rng::Random;

/// The category of terms of quality.
pub(super) const QUALITY_CATEGORY: &str = "quality";
const AUTO: &str = "auto";
const NONE: &str = "none";

/// `Taken` is a wording that was taken; a term of quality has no entry.
#[derive(Clone, Copy)]
pub(super) struct Taken<'a> {
    pub(super) category: &'static str,
    entry: Option<&'a Entry>,
    pub(super) wording: &'a Wording,
}

impl Taken<'_> {
    pub(super) fn piece(&self, weight: f64) -> Piece {
        Piece {
            category: self.category.to_owned(),
            entry: self.entry.map_or_else(String::new, |entry| entry.name.clone()),
            text: self.wording.text.clone(),
            weight,
        }
    }
}

pub(super) struct Chooser<'a> {
    catalogue: &'a Catalogue,
    heard: Heard<'a>,
    seed: u64,
    taken: Vec<Taken<'a>>,
    left_out: Vec<LeftOut>,
    notes: Vec<String>,
}

impl<'a> Chooser<'a> {
    pub(super) fn new(catalogue: &'a Catalogue, heard: Heard<'a>, seed: u64) -> Self {
        Chooser { catalogue, heard, seed, taken: Vec::new(), left_out: Vec::new(), notes: Vec::new() }
    }

    /// Takes what a person chose; what contradicts something before it is left out.
    pub(super) fn take_chosen(
        &mut self,
        categories: &'static [&'static str],
        choices: &BTreeMap<String, String>,
    ) -> Result<()> {
        let chosen = categories.iter().filter_map(|category| {
            let name = choices.get(*category).filter(|name| !matches!(name.as_str(), AUTO | NONE))?;
            Some(self.catalogue.entry(category, name).map(|entry| (*category, entry)))
        });
        let chosen = chosen.collect::<Result<Vec<_>>>()?;
        for (index, (category, entry)) in chosen.iter().copied().enumerate() {
            let candidates = self.wordings(category, entry);
            let later = &chosen[index + 1..];
            let possible: Vec<_> =
                candidates.iter().copied().filter(|wording| self.allows(wording)).collect();
            let leaves_room = possible.iter().copied().find(|wording| self.leaves_room(wording, later));
            match leaves_room.or(possible.first().copied()) {
                Some(wording) => {
                    self.warn_of_words(wording);
                    self.taken.push(Taken { category, entry: Some(entry), wording });
                }
                None => self.leave_out(category, entry),
            }
        }
        Ok(())
    }

    /// Takes something for each category that is left to us: a drawn entry, or what suits those that were chosen.
    pub(super) fn take_auto(
        &mut self,
        categories: &'static [&'static str],
        choices: &BTreeMap<String, String>,
        randomize: bool,
    ) {
        let chosen: Vec<&Entry> = self.taken.iter().filter_map(|taken| taken.entry).collect();
        for category in categories {
            if choices.get(*category).is_some_and(|name| name != AUTO) {
                continue;
            }
            let entries: Vec<&Entry> = if randomize {
                self.shuffled(&[category], self.catalogue.entries(category))
            } else {
                let suits = chosen.iter().find_map(|entry| entry.suits.get(*category));
                suits.and_then(|name| self.catalogue.entry(category, name).ok()).into_iter().collect()
            };
            let fits = entries.into_iter().find_map(|entry| {
                let wording =
                    self.wordings(category, entry).into_iter().find(|wording| self.allows_auto(wording))?;
                Some(Taken { category, entry: Some(entry), wording })
            });
            self.taken.extend(fits);
        }
    }

    /// Takes so many terms of quality.
    pub(super) fn take_quality(&mut self, kind: &str, count: usize) {
        let mut left = count;
        for wording in self.shuffled(&[kind], self.catalogue.quality(kind)) {
            if left > 0 && self.allows_auto(wording) {
                self.taken.push(Taken { category: QUALITY_CATEGORY, entry: None, wording });
                left -= 1;
            }
        }
    }

    /// What was taken in the order of the categories, what was not, and what is to be said.
    pub(super) fn end(mut self, categories: &[&str]) -> (Vec<Taken<'a>>, Vec<LeftOut>, Vec<String>) {
        let place = |taken: &Taken<'_>| categories.iter().position(|known| *known == taken.category);
        self.taken.sort_by_key(|taken| place(taken).unwrap_or(usize::MAX));
        (self.taken, self.left_out, self.notes)
    }

    /// The items in an order that the seed and the names of what they are decide, and nothing else.
    fn shuffled<T>(&self, names: &[&str], items: &'a [T]) -> Vec<&'a T> {
        // FNV-1a, so that each category and each entry draws by itself; the names end with a byte that no text has.
        let bytes = names.iter().flat_map(|name| name.bytes().chain([0xff]));
        let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let mut items: Vec<&T> = items.iter().collect();
        Random::new(self.seed ^ hash).shuffle(&mut items);
        items
    }

    /// The wordings of an entry, those first that repeat no longer word of what was taken.
    fn wordings(&self, category: &str, entry: &'a Entry) -> Vec<&'a Wording> {
        let mut wordings = self.shuffled(&[category, &entry.name], &entry.wordings);
        let is_taken = |word: &str| {
            self.taken.iter().any(|taken| taken.wording.text.split(' ').any(|known| known == word))
        };
        wordings.sort_by_key(|wording| wording.text.split(' ').any(|word| word.len() > 4 && is_taken(word)));
        wordings
    }

    /// Everything that counts as said: the wordings of the text, and what was taken.
    fn said(&self) -> impl Iterator<Item = &Wording> {
        self.heard.wordings.iter().copied().chain(self.taken.iter().map(|taken| taken.wording))
    }

    fn allows(&self, wording: &Wording) -> bool {
        let is_needed = |name: &String| self.said().any(|said| said.traits.contains(name));
        wording.needs.iter().all(is_needed) && !self.said().any(|said| said.contradicts(wording))
    }

    /// Nothing is drawn that a single word of the text contradicts.
    fn allows_auto(&self, wording: &Wording) -> bool {
        self.allows(wording) && !self.heard.words.iter().any(|word| word.contradicts(wording))
    }

    /// Whether each entry that was chosen for later still has a wording beside this one.
    fn leaves_room(&self, wording: &Wording, later: &[(&str, &Entry)]) -> bool {
        let fits =
            |other: &Wording| !other.contradicts(wording) && !self.said().any(|said| said.contradicts(other));
        later.iter().all(|(_, entry)| entry.wordings.iter().any(fits))
    }

    fn leave_out(&mut self, category: &str, entry: &Entry) {
        let contradiction = entry.wordings.iter().find_map(|wording| {
            let said = self.said().find(|said| said.contradicts(wording))?;
            Some(format!("\"{}\" and \"{}\" exclude each other.", said.text, wording.text))
        });
        self.left_out.push(LeftOut {
            category: category.to_owned(),
            entry: entry.name.clone(),
            because: contradiction
                .unwrap_or_else(|| "Every wording of it needs something that is not there.".to_owned()),
        });
    }

    /// A word may mean something else than it seems to: what was chosen is kept, and a person is told.
    fn warn_of_words(&mut self, wording: &Wording) {
        if let Some(word) = self.heard.words.iter().find(|word| word.contradicts(wording)) {
            self.notes.push(format!(
                "The text says \"{}\", which \"{}\" excludes; both are kept.",
                word.text, wording.text
            ));
        }
    }
}
