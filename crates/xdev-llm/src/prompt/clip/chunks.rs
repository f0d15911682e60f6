//! How tokens fill the chunks that an encoder gets: 75 at a time, cut where ComfyUI cuts.
//!
//! Not here: what the tokens are (`clip`), what weights pieces have (`weights`).

use std::collections::BTreeMap;
use std::ops::Range;

use serde::Serialize;

use super::super::{Dialect, Weighted};
use super::words::{Words, next_word};
use super::{Encoder, is_special};

/// The tokens of a chunk, without the two that begin and end it.
pub const CHUNK: usize = 75;
/// A piece with fewer tokens stays in one chunk.
const MAX_WORD: usize = 8;
/// About how many bytes of a chunk's begin and end are told.
const SHOWN: usize = 40;
const EMBEDDING: &str = "embedding:";

/// `EmbeddingSizes` says how many tokens an embedding stands for, by name; one that is not named counts as 1.
pub type EmbeddingSizes = BTreeMap<String, u16>;

/// `Chunk` is what an encoder gets at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Chunk {
    /// How many tokens it has, 75 at most.
    pub tokens: usize,
    /// Its first words, in the spelling that CLIP reads.
    pub begins: String,
    /// Its last words.
    pub ends: String,
}

/// `ClipCount` is a prompt in tokens of CLIP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClipCount {
    /// All of them, without those that begin, end and fill chunks.
    pub tokens: usize,
    /// There is always one.
    pub chunks: Vec<Chunk>,
}

/// Counts a prompt's tokens as ComfyUI's `SDTokenizer` puts them into chunks.
///
/// `pieces` are the prompt's [`effective_weights`](super::super::effective_weights). Every embedding counts as one that
/// exists. In AUTOMATIC1111's dialect, the piece `BREAK` with the weight -1 begins a chunk.
pub fn count_clip_chunks(pieces: &[Weighted<'_>], dialect: Dialect, sizes: &EmbeddingSizes) -> ClipCount {
    let mut filler = Filler { chunks: vec![Filled::default()], ..Filler::default() };
    for (text, weight) in pieces {
        let is_break =
            dialect == Dialect::A1111 && text == "BREAK" && weight.to_bits() == (-1.0_f64).to_bits();
        if is_break {
            filler.begin_chunk();
        } else {
            filler.take_piece(text, sizes);
        }
    }
    ClipCount {
        tokens: filler.chunks.iter().map(|chunk| chunk.tokens).sum(),
        chunks: filler.chunks.iter().map(|chunk| chunk.shown(&filler.text, &filler.words)).collect(),
    }
}

/// `Filled` is a chunk while it fills: how many tokens, and which words.
#[derive(Default)]
struct Filled {
    tokens: usize,
    words: Range<usize>,
}

impl Filled {
    fn shown(&self, text: &str, words: &[Range<usize>]) -> Chunk {
        let words = &words[self.words.clone()];
        let (Some(first), Some(last)) = (words.first(), words.last()) else {
            return Chunk { tokens: self.tokens, begins: String::new(), ends: String::new() };
        };
        let begin = words.iter().take_while(|word| word.end <= first.start + SHOWN).last().unwrap_or(first);
        let end = words.iter().rev().take_while(|word| word.start + SHOWN >= last.end).last().unwrap_or(last);
        Chunk {
            tokens: self.tokens,
            begins: shown(&text[first.start..begin.end], false),
            ends: shown(&text[end.start..last.end], true),
        }
    }
}

/// The first characters of a text, or its last ones: a word may be longer than what is shown.
fn shown(text: &str, is_end: bool) -> String {
    let border = if is_end {
        text.char_indices().rev().nth(SHOWN - 1).map_or(0, |(at, _)| at)
    } else {
        text.char_indices().nth(SHOWN).map_or(text.len(), |(at, _)| at)
    };
    let kept = if is_end { &text[border..] } else { &text[..border] };
    kept.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// `Filler` puts one group of tokens after another into chunks.
#[derive(Default)]
struct Filler {
    encoder: Encoder,
    /// The text so far, in CLIP's spelling, and where its words stand.
    text: String,
    words: Vec<Range<usize>>,
    chunks: Vec<Filled>,
    /// The words of the group that is read and how many tokens each has.
    group: Vec<(usize, usize)>,
    tokens: Vec<u16>,
}

impl Filler {
    fn begin_chunk(&mut self) {
        let at = self.words.len();
        self.chunks.push(Filled { tokens: 0, words: at..at });
    }

    /// A piece of one weight: what stands between embeddings is a group, and so is each embedding.
    fn take_piece(&mut self, piece: &str, sizes: &EmbeddingSizes) {
        let mut from = 0;
        let borders = piece.match_indices(EMBEDDING).map(|(at, _)| at);
        for at in borders.filter(|at| *at > 0 && matches!(piece.as_bytes()[at - 1], b' ' | b'\n')) {
            self.take_words(&piece[from..at - 1], sizes);
            from = at;
        }
        self.take_words(&piece[from..], sizes);
    }

    fn take_words(&mut self, text: &str, sizes: &EmbeddingSizes) {
        match embedding(text, sizes) {
            Some((name, after)) => {
                let start = self.text.len();
                self.text.push_str(EMBEDDING);
                self.text.push_str(name);
                self.group.push((self.words.len(), sizes.get(name).map_or(1, |size| usize::from(*size))));
                self.words.push(start..self.text.len());
                self.fill();
                self.read(after);
                self.text.push(' ');
            }
            None => self.read(text),
        }
        self.fill();
    }

    /// Reads text into the group.
    fn read(&mut self, text: &str) {
        Words::of(text).for_each_stretch(|stretch| {
            let start = self.text.len();
            self.text.push_str(stretch);
            let mut at = 0;
            while let Some(span) = if is_special(stretch) {
                (at == 0).then_some(0..stretch.len())
            } else {
                next_word(stretch, at)
            } {
                at = span.end;
                self.tokens.clear();
                self.encoder.encode(&stretch[span.clone()], &mut self.tokens);
                self.group.push((self.words.len(), self.tokens.len()));
                self.words.push(start + span.start..start + span.end);
            }
        });
    }

    /// Puts the group into chunks, as `tokenize_with_weights` does: a short one is not cut, a long one where the chunk is full.
    fn fill(&mut self) {
        let group = std::mem::take(&mut self.group);
        let all: usize = group.iter().map(|(_, tokens)| tokens).sum();
        let used = self.chunks.last().map_or(0, |chunk| chunk.tokens);
        if all < MAX_WORD && used + all > CHUNK {
            self.begin_chunk_at(group[0].0);
        }
        for (word, tokens) in &group {
            let mut left = *tokens;
            while left > 0 {
                let Some(chunk) = self.chunks.last_mut() else { return };
                let taken = left.min(CHUNK - chunk.tokens);
                if taken == 0 {
                    self.begin_chunk_at(*word);
                    continue;
                }
                chunk.tokens += taken;
                chunk.words.end = word + 1;
                left -= taken;
            }
        }
        self.group = group;
        self.group.clear();
    }

    fn begin_chunk_at(&mut self, word: usize) {
        self.chunks.push(Filled { tokens: 0, words: word..word });
    }
}

/// The name of the embedding that a text begins with, and what comes after. Commas at its end are no part of it, unless
/// an embedding is known by that name.
fn embedding<'a>(text: &'a str, sizes: &EmbeddingSizes) -> Option<(&'a str, &'a str)> {
    let rest = text.strip_prefix(EMBEDDING)?.trim_start();
    // ComfyUI fails where no name follows; here that is text.
    let written = rest.split_whitespace().next()?;
    let name = if sizes.contains_key(written) { written } else { written.trim_end_matches(',') };
    (!name.is_empty()).then(|| (name, &rest[name.len()..]))
}
