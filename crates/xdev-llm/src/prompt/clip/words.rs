//! What CLIP takes for a word: the clean-up that comes before, and the pattern that cuts.
//!
//! Both are those of `CLIPTokenizer` in transformers 4 without ftfy. What is a letter, a sign or unassigned goes by the
//! Unicode version of the tables here. Not here: what becomes of a word (`clip`).

use std::borrow::Cow;
use std::ops::Range;

use icu_normalizer::ComposingNormalizerBorrowed;
use icu_properties::CodePointMapData;
use icu_properties::props::{GeneralCategory, GeneralCategoryGroup};

pub(super) const START: &str = "<|startoftext|>";
pub(super) const END: &str = "<|endoftext|>";

/// Whether a word is one of the two special tokens.
pub(super) fn is_special(word: &str) -> bool {
    word.starts_with('<') && (word == START || word == END)
}

/// `Words` is a text in CLIP's spelling, and where its words stand in it.
pub(super) struct Words<'a> {
    rest: &'a str,
}

impl<'a> Words<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        Words { rest: text }
    }

    /// Goes through the words.
    pub(super) fn for_each(self, mut visit: impl FnMut(&str)) {
        self.for_each_stretch(|text| {
            let mut at = 0;
            while let Some(span) = next_word(text, at) {
                visit(&text[span.clone()]);
                at = span.end;
            }
        });
    }

    /// Goes through the text as CLIP spells it: what stands between special tokens, and those.
    pub(super) fn for_each_stretch(mut self, mut visit: impl FnMut(&str)) {
        while !self.rest.is_empty() {
            let special = self.rest.match_indices("<|").find_map(|(at, _)| {
                let found = [START, END].into_iter().find(|special| self.rest[at..].starts_with(special));
                found.map(|special| (at, special))
            });
            let (before, after) = match special {
                Some((at, special)) => (&self.rest[..at], &self.rest[at + special.len()..]),
                None => (self.rest, ""),
            };
            visit(&spell(before));
            if let Some((_, special)) = special {
                visit(special);
            }
            self.rest = after;
        }
    }
}

/// Puts a text into the spelling that CLIP knows: without control characters, with every Chinese character by itself,
/// composed, in lower case.
fn spell(text: &str) -> Cow<'_, str> {
    let is_plain = |byte: u8| byte.is_ascii() && !byte.is_ascii_uppercase() && !byte.is_ascii_control();
    if text.bytes().all(is_plain) {
        return Cow::Borrowed(text);
    }
    if text.is_ascii() {
        let kept = text.chars().filter(|character| !is_dropped(*character));
        return Cow::Owned(kept.map(|character| character.to_ascii_lowercase()).collect());
    }
    let mut clean = String::with_capacity(text.len() + 16);
    for character in text.chars().filter(|character| !is_dropped(*character)) {
        if is_chinese(character) {
            clean.extend([' ', character, ' ']);
        } else {
            clean.push(character);
        }
    }
    let composed = ComposingNormalizerBorrowed::new_nfc().normalize(&clean);
    Cow::Owned(composed.to_lowercase())
}

/// Where the next word stands. The pattern is
/// `<|startoftext|>|<|endoftext|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+`.
pub(super) fn next_word(text: &str, from: usize) -> Option<Range<usize>> {
    let mut rest = &text[from..];
    let (first, class) = loop {
        let first = rest.chars().next()?;
        match class(first) {
            Class::Space => rest = &rest[first.len_utf8()..],
            class => break (first, class),
        }
    };
    let length = match class {
        Class::Number => first.len_utf8(),
        Class::Other => whole(rest).unwrap_or_else(|| run(rest, class)),
        _ => run(rest, class),
    };
    let start = text.len() - rest.len();
    Some(start..start + length)
}

/// The length of a special token or of what comes after an apostrophe, where the text begins with one.
fn whole(rest: &str) -> Option<usize> {
    match rest.as_bytes()[0] {
        b'<' => [START, END].into_iter().find(|special| rest.starts_with(special)).map(str::len),
        // The pattern ignores case, for which the long s is an s.
        b'\'' => ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d", "'ſ"]
            .into_iter()
            .find(|ending| rest.starts_with(ending))
            .map(str::len),
        _ => None,
    }
}

/// How far characters of one class go.
fn run(text: &str, of: Class) -> usize {
    let bytes = text.as_bytes();
    let ascii = bytes.iter().take_while(|byte| byte.is_ascii() && class_of_ascii(**byte) == of).count();
    if bytes.get(ascii).is_none_or(u8::is_ascii) {
        return ascii;
    }
    let rest = &text[ascii..];
    ascii + rest.find(|character| class(character) != of).unwrap_or(rest.len())
}

#[derive(Clone, Copy, PartialEq)]
enum Class {
    Space,
    Letter,
    Number,
    Other,
}

fn class(character: char) -> Class {
    if let Ok(byte) = u8::try_from(character)
        && byte.is_ascii()
    {
        return class_of_ascii(byte);
    }
    let category = category(character);
    if character.is_whitespace() {
        Class::Space
    } else if GeneralCategoryGroup::Letter.contains(category) {
        Class::Letter
    } else if GeneralCategoryGroup::Number.contains(category) {
        Class::Number
    } else {
        Class::Other
    }
}

fn class_of_ascii(byte: u8) -> Class {
    match byte {
        b'a'..=b'z' | b'A'..=b'Z' => Class::Letter,
        b'0'..=b'9' => Class::Number,
        b' ' | b'\t'..=b'\r' => Class::Space,
        _ => Class::Other,
    }
}

fn category(character: char) -> GeneralCategory {
    CodePointMapData::<GeneralCategory>::new().get(character)
}

/// Whether nothing is left of a character: control and format characters, private and unassigned ones.
fn is_dropped(character: char) -> bool {
    match character {
        '\t' | '\n' | '\r' | ' '..='~' => false,
        '\u{fffd}' => true,
        _ => GeneralCategoryGroup::Other.contains(category(character)),
    }
}

/// The blocks that BERT's clean-up takes for Chinese.
fn is_chinese(character: char) -> bool {
    matches!(u32::from(character),
        0x4e00..=0x9fff | 0x3400..=0x4dbf | 0x2_0000..=0x2_a6df | 0x2_a700..=0x2_b73f
        | 0x2_b740..=0x2_b81f | 0x2_b820..=0x2_ceaf | 0xf900..=0xfaff | 0x2_f800..=0x2_fa1f)
}
