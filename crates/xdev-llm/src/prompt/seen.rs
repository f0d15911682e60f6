//! What an encoder sees of a prompt, character by character: its weight, where it stands, and whether it is a word's.
//!
//! The tree says where things stand, the state machines (`weights`) say what they weigh. `of_tree` asks the first,
//! `of_pieces` the second; where brackets cross or have no partner the two may differ, and then the second is right.
//! Not here: what is done about weights (`weigh`).

use std::ops::Range;

use memchr::memmem::Finder;

use super::convert::{escape, is_special};
use super::{Dialect, Kind, Prompt, effective_weights};
use crate::error::Result;

/// What brackets without a number multiply or divide by.
const EMPHASIS: f64 = 1.1;

/// `Seen` is a character that reaches the encoder.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) character: char,
    pub(super) weight: f64,
    /// Where it stands, with the backslash that protects it; without meaning in `of_pieces`.
    pub(super) span: Range<usize>,
    /// It belongs to plain text, and not to a name or to the syntax of a choice.
    pub(super) is_plain: bool,
    /// It belongs to `BREAK`, `AND` or a comment outside of brackets, which get no weight.
    pub(super) is_fixed: bool,
}

/// What the tree lets through.
pub(super) fn of_tree(prompt: &Prompt, dialect: Dialect) -> Vec<Seen> {
    let mut walk = Walk { prompt, dialect, seen: Vec::with_capacity(prompt.source().len()) };
    let mut open: Vec<(usize, f64, Range<usize>)> = Vec::new();
    for (index, node) in prompt.nodes().iter().enumerate() {
        while let Some((_, _, closing)) = open.pop_if(|(end, _, _)| *end <= index) {
            let around = open.last().map_or(1.0, |(_, weight, _)| *weight);
            walk.syntax(closing, around);
        }
        let around = open.last().map_or(1.0, |(_, weight, _)| *weight);
        let end = prompt.subtree(index).end;
        match weight_inside(&node.kind, around, dialect) {
            Some(weight) => open.push((end, weight, 0..0)),
            None if node.is_group() => {
                walk.syntax(node.span.start..node.inner.start, around);
                open.push((end, around, node.inner.end..node.span.end));
            }
            None => walk.leaf(index, around, open.is_empty()),
        }
    }
    while let Some((_, _, closing)) = open.pop() {
        let around = open.last().map_or(1.0, |(_, weight, _)| *weight);
        walk.syntax(closing, around);
    }
    walk.seen
}

/// The weight inside of a bracket that has one, as the tree reads it.
pub(super) fn weight_inside(kind: &Kind, around: f64, dialect: Dialect) -> Option<f64> {
    match (kind, dialect) {
        (Kind::Round(None), _) => Some(around * EMPHASIS),
        (Kind::Round(Some(weight)), Dialect::Comfyui) => Some(weight.value),
        (Kind::Round(Some(weight)), Dialect::A1111) => Some(around * weight.value),
        (Kind::Square, Dialect::A1111) => Some(around / EMPHASIS),
        _ => None,
    }
}

struct Walk<'a> {
    prompt: &'a Prompt,
    dialect: Dialect,
    seen: Vec<Seen>,
}

impl Walk<'_> {
    fn give(&mut self, span: Range<usize>, weight: f64, is_plain: bool) {
        let source = &self.prompt.source()[span.clone()];
        // A backslash that protects nothing is nothing in AUTOMATIC1111's web UI.
        let is_dropped = |character: char| character == '\\' && self.dialect == Dialect::A1111;
        let seen =
            source.char_indices().filter(|(_, character)| !is_dropped(*character)).map(|(at, character)| {
                let start = span.start + at;
                Seen {
                    character,
                    weight,
                    span: start..start + character.len_utf8(),
                    is_plain,
                    is_fixed: false,
                }
            });
        self.seen.extend(seen);
    }

    /// A delimiter that reaches the encoder.
    fn syntax(&mut self, span: Range<usize>, weight: f64) {
        self.give(span, weight, false);
    }

    fn leaf(&mut self, index: usize, weight: f64, is_root: bool) {
        let node = self.prompt.node(index);
        let span = node.span.clone();
        match node.kind {
            Kind::Escape => {
                let protected = self.prompt.text(index).chars().nth(1).unwrap_or('\\');
                if self.dialect == Dialect::Comfyui && !matches!(protected, '(' | ')') {
                    self.give(span, weight, true);
                } else {
                    self.seen.push(Seen {
                        character: protected,
                        weight,
                        span,
                        is_plain: true,
                        is_fixed: false,
                    });
                }
            }
            Kind::Break | Kind::And | Kind::Comment => {
                let has_none = node.kind == Kind::Break && self.dialect == Dialect::A1111;
                let from = self.seen.len();
                self.give(span, if has_none { -1.0 } else { weight }, false);
                if has_none || is_root {
                    self.seen[from..].iter_mut().for_each(|each| each.is_fixed = true);
                }
            }
            Kind::Text | Kind::Comma | Kind::Colon => self.give(span, weight, true),
            _ => self.give(span, weight, false),
        }
    }
}

/// What the encoder's own parser lets through, in order.
pub(super) fn of_pieces(text: &str, dialect: Dialect) -> Result<Vec<Seen>> {
    let mut seen = Vec::with_capacity(text.len());
    for (piece, weight) in effective_weights(text, dialect)? {
        let is_break = dialect == Dialect::A1111 && weight < 0.0 && piece == "BREAK";
        // Only to tell names and words apart: what the brackets were is decided.
        let escaped = escape(&piece, dialect);
        let kinds = kinds_of_bytes(&Prompt::parse(escaped.as_str(), dialect));
        let mut at = 0;
        for character in piece.chars() {
            at += usize::from(is_special(character, dialect));
            let (is_plain, is_fixed) = kinds[at];
            let is_fixed = is_break || (is_fixed && weight.to_bits() == 1.0_f64.to_bits());
            seen.push(Seen { character, weight, span: 0..0, is_plain, is_fixed });
            at += character.len_utf8();
        }
    }
    Ok(seen)
}

/// For each byte whether it is of plain text, and whether it is of something that gets no weight.
fn kinds_of_bytes(prompt: &Prompt) -> Vec<(bool, bool)> {
    let mut kinds = vec![(false, false); prompt.source().len()];
    for node in prompt.nodes() {
        let is_plain = matches!(node.kind, Kind::Text | Kind::Comma | Kind::Colon | Kind::Escape);
        let is_fixed = matches!(node.kind, Kind::Break | Kind::And | Kind::Comment);
        if !node.is_group() {
            kinds[node.span.clone()].fill((is_plain, is_fixed));
        }
    }
    kinds
}

/// Whether two give every character the same weight, to about three decimals. White space weighs nothing.
pub(super) fn agree(one: &[Seen], other: &[Seen]) -> bool {
    let words = |seen: &[Seen]| -> Vec<(char, f64)> {
        let visible = seen.iter().filter(|each| !each.character.is_whitespace());
        visible.map(|each| (each.character, each.weight)).collect()
    };
    let (one, other) = (words(one), words(other));
    one.len() == other.len()
        && one.iter().zip(&other).all(|((one, weight), (other, its))| one == other && is_close(*weight, *its))
}

/// Whether two weights are the same to about three decimals.
fn is_close(one: f64, other: f64) -> bool {
    (one - other).abs() <= 1e-3 * one.abs().max(1.0)
}

/// Where a phrase stands: its words in this order, whatever their case and the white space between them, and never inside
/// other words.
pub(super) fn find_phrase(seen: &[Seen], phrase: &str) -> Vec<Range<usize>> {
    let plain = |character| Seen { character, weight: 1.0, span: 0..0, is_plain: true, is_fixed: false };
    let wanted: Vec<Seen> = phrase.trim().chars().map(plain).collect();
    let (needle, _) = comparable(&wanted);
    let (haystack, places) = comparable(seen);
    let mut found = Vec::new();
    if needle.is_empty() {
        return found;
    }
    let finder = Finder::new(&needle);
    let mut from = 0;
    while let Some(at) = finder.find(&haystack.as_bytes()[from..]) {
        let (start, end) = (from + at, from + at + needle.len());
        // A needle begins with a whole character, so it is found at whole ones.
        if is_border(&haystack, start) && is_border(&haystack, end) {
            found.push(places[start]..places[end - 1] + 1);
            from = end;
        } else {
            from = start + haystack[start..].chars().next().map_or(1, char::len_utf8);
        }
    }
    found
}

/// Lower case and with one blank for all white space between words; for each byte, which character it is of.
fn comparable(seen: &[Seen]) -> (String, Vec<usize>) {
    let (mut text, mut places) = (String::with_capacity(seen.len()), Vec::with_capacity(seen.len()));
    for (index, each) in seen.iter().enumerate() {
        if !each.is_plain {
            text.push('\0');
        } else if !each.character.is_whitespace() {
            text.extend(each.character.to_lowercase());
        } else if !text.ends_with(' ') {
            text.push(' ');
        }
        places.resize(text.len(), index);
    }
    (text, places)
}

/// Whether no word goes on over this place.
fn is_border(text: &str, at: usize) -> bool {
    let mut before = text[..at].chars().rev();
    let mut after = text[at..].chars();
    let is_letter =
        |character: Option<char>| character.is_some_and(|each| each.is_alphanumeric() || each == '_');
    let is_joint = |character: Option<char>| character.is_some_and(|each| matches!(each, '-' | '\'' | '’'));
    let (last, first) = (before.next(), after.next());
    let goes_on = (is_letter(last) && is_letter(first))
        || (is_letter(last) && is_joint(first) && is_letter(after.next()))
        || (is_joint(last) && is_letter(first) && is_letter(before.next()));
    !goes_on
}
