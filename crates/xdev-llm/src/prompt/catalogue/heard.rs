//! What a text says, as far as the catalogue knows: its wordings and the words of its traits, found in one walk.
//!
//! Not here: what follows of it (`build`).

use std::collections::HashMap;
use std::ops::Range;

use super::Wording;

/// The most words of anything that is looked for.
pub(super) const LONGEST: usize = 8;
/// What stands for a border between phrases.
const BORDER: char = '|';

/// `Heard` is what was found in a text.
#[derive(Debug, Default)]
pub(crate) struct Heard<'a> {
    /// Whole wordings of several words: somebody chose them.
    pub(crate) wordings: Vec<&'a Wording>,
    /// Single words; they may mean something else.
    pub(crate) words: Vec<&'a Wording>,
}

/// A text in small letters with one space between words, and nothing else.
pub(super) fn words(text: &str) -> String {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect::<Vec<_>>()
        .join(" ")
}

/// Looks for everything known at every word; nothing goes beyond a border between phrases.
pub(super) fn hear<'a>(known: &'a HashMap<String, Wording>, text: &str) -> Heard<'a> {
    let (spaced, places) = spaced(text);
    let mut heard = Heard::default();
    for (first, place) in places.iter().enumerate() {
        // The longest one counts: "black and white" is no black.
        let mut ends = places[first..].iter().take(LONGEST).map(|last| last.end).rev();
        let found = ends.find_map(|end| known.get(&spaced[place.start..end]));
        let Some(found) = found else { continue };
        let list = if found.text.contains(' ') { &mut heard.wordings } else { &mut heard.words };
        if !list.iter().any(|other| std::ptr::eq(*other, found)) {
            list.push(found);
        }
    }
    heard
}

/// The words with single spaces between them, borders among them, and where each is.
fn spaced(text: &str) -> (String, Vec<Range<usize>>) {
    let (mut spaced, mut places) = (String::with_capacity(text.len()), Vec::new());
    let mut start = None;
    // A border at the end closes the last word.
    for character in text.chars().chain([BORDER]) {
        if character.is_alphanumeric() {
            start.get_or_insert(spaced.len());
            spaced.extend(character.to_lowercase());
            continue;
        }
        if let Some(from) = start.take() {
            places.push(from..spaced.len());
            spaced.push(' ');
        }
        if !matches!(character, ' ' | '\t' | '-' | '\'') && !spaced.ends_with("| ") {
            places.push(spaced.len()..spaced.len() + BORDER.len_utf8());
            spaced.push(BORDER);
            spaced.push(' ');
        }
    }
    (spaced, places)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prompt::Catalogue;

    fn heard(text: &str) -> (Vec<&'static str>, Vec<&'static str>) {
        let heard = Catalogue::built_in().hear(text);
        let texts = |list: Vec<&'static Wording>| list.into_iter().map(|found| found.text.as_str()).collect();
        (texts(heard.wordings), texts(heard.words))
    }

    #[test]
    fn wordings_are_found_whatever_their_case_and_hyphens() {
        assert_eq!(heard("a cat, (Black-and-White:1.2)").0, ["black and white"]);
    }

    #[test]
    fn nothing_is_found_across_a_border_or_inside_a_word() {
        let (wordings, words) = heard("black, and white; scarred, greenish");
        assert!(wordings.is_empty() && words.is_empty(), "{wordings:?} {words:?}");
    }

    #[test]
    fn a_word_of_a_trait_is_found_once() {
        assert_eq!(heard("red, red and RED").1, ["red"]);
    }
}
