//! The weights that a text really gets: the state machines of ComfyUI's and AUTOMATIC1111's own parsers.
//!
//! They are kept apart from the tree because their quirks with unbalanced brackets are the contract. Both take time
//! linear in the text, whatever is nested in it. Not here: the tree (`tree`), what is written as a number (`number`).

use std::borrow::Cow;
use std::ops::Range;

use super::number::parse_number;
use super::{Dialect, Kind, Node, Prompt};
use crate::error::{Error, Result};

/// `Weighted` is a piece of text, unescaped, and its weight.
pub type Weighted<'a> = (Cow<'a, str>, f64);

/// What ComfyUI multiplies for a bracket without a number.
const EMPHASIS: f64 = 1.1;

/// The pieces of a prompt and the weights with which an encoder gets them, in order.
///
/// In ComfyUI's dialect they equal what its own tokeniser reads, on any input. In AUTOMATIC1111's, `BREAK` is a
/// piece of its own with the weight -1, as there.
///
/// # Errors
/// [`InvalidInput`](crate::ErrorKind::InvalidInput) for a weight that is not finite: it makes pictures black.
pub fn effective_weights(text: &str, dialect: Dialect) -> Result<Vec<Weighted<'_>>> {
    match dialect {
        Dialect::Comfyui => Comfyui::new(text).pieces(),
        Dialect::A1111 => a1111(text),
    }
}

fn not_finite(number: &str) -> Error {
    let number: String = number.trim().chars().take(40).collect();
    Error::invalid_input(format!("The weight \"{number}\" is not a finite number."))
}

/// `Paren` is one that counts, because no backslash stands before it.
struct Paren {
    at: usize,
    /// For an opening one, the index of the one that closes it.
    partner: Option<usize>,
}

/// `Colon` is one that may stand before a weight.
struct Colon {
    at: usize,
    /// Where the next parenthesis is, escaped ones too: no number goes beyond it.
    paren: usize,
}

/// `Region` is a stretch of text that is taken apart at its outermost parentheses.
struct Region {
    /// From where on text was not given out yet.
    from: usize,
    /// How far it was looked at; the index of the next parenthesis.
    next: usize,
    end: usize,
    /// How deep below zero; ComfyUI begins no group there.
    below: usize,
    weight: f64,
}

/// `Comfyui` walks like ComfyUI's `token_weights`, without its recursion and without reading anything twice.
struct Comfyui<'a> {
    text: &'a str,
    parens: Vec<Paren>,
    colons: Vec<Colon>,
}

impl<'a> Comfyui<'a> {
    fn new(text: &'a str) -> Self {
        let bytes = text.as_bytes();
        let (mut parens, mut colons) = (Vec::<Paren>::new(), Vec::<Colon>::new());
        let (mut open, mut without_paren) = (Vec::new(), 0);
        for at in memchr::memchr3_iter(b'(', b')', b':', bytes) {
            if bytes[at] == b':' {
                colons.push(Colon { at, paren: bytes.len() });
                continue;
            }
            for colon in &mut colons[without_paren..] {
                colon.paren = at;
            }
            without_paren = colons.len();
            if at > 0 && bytes[at - 1] == b'\\' {
                continue;
            }
            if bytes[at] == b'(' {
                open.push(parens.len());
            } else if let Some(opener) = open.pop() {
                parens[opener].partner = Some(parens.len());
            }
            parens.push(Paren { at, partner: None });
        }
        Comfyui { text, parens, colons }
    }

    fn pieces(&self) -> Result<Vec<Weighted<'a>>> {
        let mut pieces = Vec::new();
        let mut regions = vec![Region { from: 0, next: 0, end: self.text.len(), below: 0, weight: 1.0 }];
        while let Some(region) = regions.last_mut() {
            if let Some(group) = self.step(region, &mut pieces)? {
                regions.push(group);
            } else {
                regions.pop();
            }
        }
        Ok(pieces)
    }

    /// Goes on to the next group of the region, or to its end.
    fn step(&self, region: &mut Region, pieces: &mut Vec<Weighted<'a>>) -> Result<Option<Region>> {
        while let Some(paren) = self.parens.get(region.next).filter(|paren| paren.at < region.end) {
            let is_opening = self.text.as_bytes()[paren.at] == b'(';
            if !is_opening || region.below > 0 {
                region.below = if is_opening { region.below - 1 } else { region.below + 1 };
                region.next += 1;
                continue;
            }
            let partner = paren.partner.filter(|partner| self.parens[*partner].at < region.end);
            // A group that is not closed goes to the end, and counts as one where that happens to be a parenthesis.
            let end = partner.map_or(region.end, |partner| self.parens[partner].at + 1);
            let is_group = end - paren.at >= 2 && self.ends_with_paren(end);
            self.give(region.from, paren.at, region.weight, pieces);
            region.from = end;
            if !is_group {
                self.give(paren.at, end, region.weight, pieces);
                return Ok(None);
            }
            let group = self.group(region.next, end, region.weight)?;
            // Nothing is left of the region behind one that is not closed.
            region.next = partner.map_or(self.parens.len(), |partner| partner + 1);
            return Ok(Some(group));
        }
        self.give(region.from, region.end, region.weight, pieces);
        region.from = region.end;
        Ok(None)
    }

    fn ends_with_paren(&self, end: usize) -> bool {
        let bytes = self.text.as_bytes();
        bytes[end - 1] == b')' && (end < 2 || bytes[end - 2] != b'\\')
    }

    /// The inside of a group, with the weight that it has.
    fn group(&self, opener: usize, end: usize, around: f64) -> Result<Region> {
        let (start, mut end) = (self.parens[opener].at + 1, end - 1);
        let mut weight = around * EMPHASIS;
        let before = self.colons.partition_point(|colon| colon.at < end);
        if let Some(colon) = self.colons[..before].last()
            && colon.at > start
            && colon.paren >= end
            && let Some(number) = parse_number(&self.text[colon.at + 1..end])
        {
            if !number.is_finite() {
                return Err(not_finite(&self.text[colon.at + 1..end]));
            }
            weight = number;
            end = colon.at;
        }
        if !weight.is_finite() {
            return Err(not_finite("1.1 * 1.1 * ..."));
        }
        Ok(Region { from: start, next: opener + 1, end, below: 0, weight })
    }

    fn give(&self, from: usize, end: usize, weight: f64, pieces: &mut Vec<Weighted<'a>>) {
        if from < end {
            pieces.push((unescape(&self.text[from..end]), weight));
        }
    }
}

/// Takes the backslashes off parentheses. ComfyUI puts two control characters in their place meanwhile, and so reads
/// those two in a text as a parenthesis as well.
fn unescape(text: &str) -> Cow<'_, str> {
    let is_special = |byte: u8| byte == b'\\' || byte == 0;
    if !text.bytes().any(is_special) {
        return Cow::Borrowed(text);
    }
    let text = text.replace("\\)", "\0\u{1}").replace("\\(", "\0\u{2}");
    Cow::Owned(text.replace("\0\u{1}", ")").replace("\0\u{2}", "("))
}

/// Reads as AUTOMATIC1111's `parse_prompt_attention` does, with schedules and alternation as they stand: the web UI
/// resolves those before it looks at weights, so their brackets make nothing weaker.
fn a1111(text: &str) -> Result<Vec<Weighted<'_>>> {
    let mut reader = A1111::default();
    let mut plain = plain_brackets(text).into_iter().peekable();
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let rest = &text[at..];
        if let Some(bracket) = plain.next_if(|bracket| bracket.start == at) {
            reader.take(&rest[..bracket.len()]);
            at = bracket.end;
            continue;
        }
        let taken = match bytes[at] {
            b'\\' => Some(reader.escape(rest)),
            b'(' => Some(reader.open_round()),
            b'[' => Some(reader.open_square()),
            b')' => reader.close_round(EMPHASIS),
            b']' => reader.close_square(),
            b':' => match weight_and_end(rest).filter(|_| !reader.round.is_empty()) {
                Some((number, taken)) => {
                    let weight = number.parse::<f64>().map_err(|_| not_finite(number))?;
                    reader.close_round(weight);
                    Some(taken)
                }
                None => None,
            },
            _ => None,
        };
        at += taken.unwrap_or_else(|| {
            let special = |byte: &u8| matches!(byte, b'\\' | b'(' | b')' | b'[' | b']' | b':');
            let length = bytes[at + 1..].iter().position(special).map_or(rest.len(), |length| length + 1);
            reader.take(&rest[..length]);
            length
        });
    }
    reader.finish()
}

/// The brackets of schedules and alternation with the numbers in them, in order.
fn plain_brackets(text: &str) -> Vec<Range<usize>> {
    if !text.contains('[') {
        return Vec::new();
    }
    let prompt = Prompt::parse(text, Dialect::A1111);
    let nodes = prompt.nodes().iter();
    let is_plain = |node: &&Node| matches!(node.kind, Kind::Schedule(_) | Kind::Alternate);
    let mut brackets: Vec<_> = nodes
        .filter(is_plain)
        .flat_map(|node| [node.span.start..node.inner.start, node.inner.end..node.span.end])
        .collect();
    brackets.sort_by_key(|bracket| bracket.start);
    brackets
}

/// A colon, a number and a closing bracket: the number, and how long all of it is.
fn weight_and_end(rest: &str) -> Option<(&str, usize)> {
    let after = rest[1..].trim_start();
    let number_at = rest.len() - after.len();
    let signs = usize::from(after.starts_with(['+', '-']));
    let length = after[signs..].bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
    let number = &rest[number_at..number_at + signs + length];
    let end = after[signs + length..].trim_start();
    // The web UI fails on `1.2.3`; here that is text.
    let is_number = length > 0 && number.parse::<f64>().is_ok();
    (is_number && end.starts_with(')')).then(|| (number, rest.len() - end.len() + 1))
}

/// `A1111` holds the pieces so far, and how far the factors reach that were found.
#[derive(Default)]
struct A1111<'a> {
    pieces: Vec<(Cow<'a, str>, bool)>,
    /// The first piece inside each bracket that waits for its end.
    round: Vec<usize>,
    square: Vec<usize>,
    /// Factor, first piece, piece after the last; for round and square brackets, each in the order of their ends.
    round_factors: Vec<(f64, usize, usize)>,
    square_factors: Vec<(f64, usize, usize)>,
}

impl<'a> A1111<'a> {
    fn open_round(&mut self) -> usize {
        self.round.push(self.pieces.len());
        1
    }

    fn open_square(&mut self) -> usize {
        self.square.push(self.pieces.len());
        1
    }

    fn close_round(&mut self, factor: f64) -> Option<usize> {
        let first = self.round.pop()?;
        self.round_factors.push((factor, first, self.pieces.len()));
        Some(1)
    }

    fn close_square(&mut self) -> Option<usize> {
        let first = self.square.pop()?;
        self.square_factors.push((1.0 / EMPHASIS, first, self.pieces.len()));
        Some(1)
    }

    /// A backslash alone is nothing.
    fn escape(&mut self, rest: &'a str) -> usize {
        let is_special = |byte: &u8| matches!(byte, b'(' | b')' | b'[' | b']' | b'\\');
        let length = if rest.as_bytes().get(1).is_some_and(is_special) { 2 } else { 1 };
        self.pieces.push((Cow::Borrowed(&rest[1..length]), false));
        length
    }

    /// Takes text, in which `BREAK` is a piece of its own.
    fn take(&mut self, text: &'a str) {
        let is_word = |character: char| character.is_alphanumeric() || character == '_';
        let mut from = 0;
        for (at, found) in text.match_indices("BREAK") {
            let (before, after) = (&text[..at], &text[at + found.len()..]);
            if before.ends_with(is_word) || after.starts_with(is_word) {
                continue;
            }
            self.pieces.push((Cow::Borrowed(text[from.min(at)..at].trim_end()), false));
            self.pieces.push((Cow::Borrowed("BREAK"), true));
            from = text.len() - after.trim_start().len();
        }
        self.pieces.push((Cow::Borrowed(&text[from..]), false));
    }

    fn finish(mut self) -> Result<Vec<Weighted<'a>>> {
        // What was never closed reaches to the end.
        let end = self.pieces.len();
        let open = self.round.drain(..).rev().map(|first| (EMPHASIS, first, end));
        self.round_factors.extend(open);
        let open = self.square.drain(..).rev().map(|first| (1.0 / EMPHASIS, first, end));
        self.square_factors.extend(open);
        let round = products(&mut self.round_factors, end);
        let square = products(&mut self.square_factors, end);
        let mut merged: Vec<Weighted<'a>> = Vec::new();
        for (((text, is_break), round), square) in self.pieces.into_iter().zip(round).zip(square) {
            let weight = if is_break { -1.0 } else { round * square };
            if !weight.is_finite() {
                return Err(not_finite(&weight.to_string()));
            }
            match merged.last_mut() {
                Some((last, its)) if its.to_bits() == weight.to_bits() => last.to_mut().push_str(&text),
                _ => merged.push((text, weight)),
            }
        }
        merged.retain(|(text, _)| !text.is_empty());
        Ok(merged)
    }
}

/// For each piece, the product of the factors whose stretch holds it. Stretches of one kind of bracket nest.
fn products(factors: &mut [(f64, usize, usize)], pieces: usize) -> Vec<f64> {
    // Outer ones first: of two that begin together, the one that ends later. They were found inner ones first.
    factors.reverse();
    factors.sort_by_key(|(_, start, _)| *start);
    let mut open: Vec<(f64, usize)> = Vec::new();
    let mut factors = factors.iter().peekable();
    (0..pieces)
        .map(|piece| {
            while open.last().is_some_and(|(_, end)| *end <= piece) {
                open.pop();
            }
            while let Some((factor, _, end)) = factors.next_if(|(_, start, _)| *start <= piece) {
                let around = open.last().map_or(1.0, |(product, _)| *product);
                if *end > piece {
                    open.push((around * factor, *end));
                }
            }
            open.last().map_or(1.0, |(product, _)| *product)
        })
        .collect()
}
