//! CLIP's tokenizer: byte-level BPE with OpenAI's merges, which the crate carries along.
//!
//! The numbers equal those of `CLIPTokenizer` in transformers 4 without ftfy, which is what ComfyUI reads prompts with.
//! Where its tables come from: `data/README.md`. Not here: what a word is (`words`), how tokens fill chunks (`chunks`).

mod chunks;
mod words;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::OnceLock;

pub use chunks::{CHUNK, Chunk, ClipCount, EmbeddingSizes, count_clip_chunks};
use words::{START, Words, is_special};

static MERGES: &[u8] = include_bytes!("data/clip_merges.bin");

/// The numbers before the merges: each byte, and each byte at the end of a word.
const BYTES: u16 = 256;
const FIRST_MERGE: u16 = 512;
const START_NUMBER: u16 = 49_406;
const END_NUMBER: u16 = 49_407;
/// No token.
const NONE: u16 = u16::MAX;

/// The numbers of a text's tokens, without those that begin and end what an encoder gets.
///
/// The text is plain: brackets and weights are characters like others.
pub fn clip_tokens(text: &str) -> Vec<u16> {
    let mut tokens = Vec::new();
    let mut encoder = Encoder::default();
    Words::of(text).for_each(|word| {
        encoder.encode(word, &mut tokens);
    });
    tokens
}

/// How many tokens a plain text has, without those that begin and end what an encoder gets.
pub fn count_clip_tokens(text: &str) -> usize {
    let (mut count, mut tokens) = (0, Vec::new());
    let mut encoder = Encoder::default();
    Words::of(text).for_each(|word| {
        tokens.clear();
        encoder.encode(word, &mut tokens);
        count += tokens.len();
    });
    count
}

/// `Encoder` makes tokens of words, and keeps its lists from one to the next.
#[derive(Default)]
struct Encoder {
    symbols: Vec<u16>,
    /// The symbols before and after; those that were merged away are left out.
    before: Vec<usize>,
    after: Vec<usize>,
    /// Merges that may be made and where; the earliest one that was learned comes first.
    waiting: BinaryHeap<Reverse<(u16, usize)>>,
}

impl Encoder {
    /// Adds a word's tokens.
    fn encode(&mut self, word: &str, tokens: &mut Vec<u16>) {
        if is_special(word) {
            tokens.push(if word == START { START_NUMBER } else { END_NUMBER });
            return;
        }
        let vocabulary = Vocabulary::get();
        // Merging leads to every word of the vocabulary, so that most need none.
        match vocabulary.word(word.as_bytes()) {
            Some(token) => tokens.push(token),
            None => self.merge(word.as_bytes(), vocabulary, tokens),
        }
    }

    /// Byte-pair encoding in n log n. A merge is always learned after those that make its parts, so taking the earliest
    /// one from the heap is the same as making each merge everywhere before the next.
    fn merge(&mut self, word: &[u8], vocabulary: &Vocabulary, tokens: &mut Vec<u16>) {
        let length = word.len();
        self.symbols.clear();
        self.symbols.extend(word.iter().map(|byte| vocabulary.bytes[usize::from(*byte)]));
        if let Some(last) = self.symbols.last_mut() {
            *last += BYTES;
        }
        self.before.clear();
        self.before.extend((0..length).map(|at| at.wrapping_sub(1)));
        self.after.clear();
        self.after.extend(1..=length);
        for at in 0..length {
            self.wait_for(at, vocabulary);
        }
        while let Some(Reverse((merge, at))) = self.waiting.pop() {
            let next = self.after[at];
            // What waited may have been merged with something else meanwhile.
            if next >= length
                || vocabulary.merges[usize::from(merge)] != (self.symbols[at], self.symbols[next])
            {
                continue;
            }
            self.symbols[at] = FIRST_MERGE + merge;
            self.symbols[next] = NONE;
            self.after[at] = self.after[next];
            if let Some(before) = self.before.get_mut(self.after[at]) {
                *before = at;
            }
            self.wait_for(at, vocabulary);
            if at > 0 {
                self.wait_for(self.before[at], vocabulary);
            }
        }
        tokens.extend(self.symbols.iter().filter(|symbol| **symbol != NONE));
    }

    /// Puts down that the symbols here and after may be merged, where they may.
    fn wait_for(&mut self, at: usize, vocabulary: &Vocabulary) {
        if let Some(right) = self.after.get(at).and_then(|next| self.symbols.get(*next))
            && let Some(merge) = vocabulary.merge(self.symbols[at], *right)
        {
            self.waiting.push(Reverse((merge, at)));
        }
    }
}

/// `Vocabulary` is the tables that are made of the merges, once in a process.
struct Vocabulary {
    /// The number of each byte.
    bytes: [u16; 256],
    /// What each merge puts together.
    merges: Vec<(u16, u16)>,
    by_pair: Table,
    /// The bytes of all tokens behind each other, and where each begins.
    text: Vec<u8>,
    starts: Vec<u32>,
    by_word: Table,
}

impl Vocabulary {
    fn get() -> &'static Vocabulary {
        static VOCABULARY: OnceLock<Vocabulary> = OnceLock::new();
        VOCABULARY.get_or_init(Vocabulary::new)
    }

    fn new() -> Vocabulary {
        let order: Vec<u8> = byte_order().collect();
        let mut bytes = [0; 256];
        for (number, byte) in (0..).zip(&order) {
            bytes[usize::from(*byte)] = number;
        }
        let merges: Vec<_> = MERGES
            .chunks_exact(4)
            .map(|pair| (u16::from_le_bytes([pair[0], pair[1]]), u16::from_le_bytes([pair[2], pair[3]])))
            .collect();
        let mut vocabulary = Vocabulary {
            bytes,
            by_pair: Table::new(),
            by_word: Table::new(),
            text: [order.as_slice(), order.as_slice()].concat(),
            starts: (0..=u32::from(FIRST_MERGE)).collect(),
            merges,
        };
        vocabulary.fill();
        vocabulary
    }

    fn fill(&mut self) {
        let mut ends_word: Vec<bool> = (0..FIRST_MERGE).map(|token| token >= BYTES).collect();
        for (merge, (left, right)) in (0..).zip(&self.merges) {
            self.by_pair.put(hash_pair(*left, *right), merge);
            for part in [left, right] {
                let span = span(&self.starts, *part);
                self.text.extend_from_within(span);
            }
            self.starts.push(u32::try_from(self.text.len()).unwrap_or(u32::MAX));
            ends_word.push(ends_word[usize::from(*right)]);
        }
        for (token, _) in (0..).zip(&ends_word).filter(|(_, ends_word)| **ends_word) {
            let word = &self.text[span(&self.starts, token)];
            self.by_word.put(hash_bytes(word), token);
        }
    }

    /// The merge of two tokens.
    fn merge(&self, left: u16, right: u16) -> Option<u16> {
        self.by_pair.find(hash_pair(left, right), |merge| self.merges[usize::from(merge)] == (left, right))
    }

    /// The token that is a whole word.
    fn word(&self, word: &[u8]) -> Option<u16> {
        self.by_word.find(hash_bytes(word), |token| &self.text[span(&self.starts, token)] == word)
    }
}

/// Where a token's bytes stand.
fn span(starts: &[u32], token: u16) -> std::ops::Range<usize> {
    let token = usize::from(token);
    starts[token] as usize..starts[token + 1] as usize
}

/// The bytes in the order of their tokens: those that can be seen in Latin-1, then the others.
fn byte_order() -> impl Iterator<Item = u8> {
    let is_visible = |byte: &u8| matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    let hidden = (0..=u8::MAX).filter(move |byte| !is_visible(byte));
    (0..=u8::MAX).filter(is_visible).chain(hidden)
}

/// The bits of a table's size: three quarters of the places stay empty.
const TABLE_BITS: u32 = 17;

/// `Table` finds 16-bit numbers by hashes; what they are numbers of, it does not keep.
struct Table {
    places: Vec<u16>,
}

impl Table {
    fn new() -> Table {
        Table { places: vec![NONE; 1 << TABLE_BITS] }
    }

    fn put(&mut self, hash: u64, number: u16) {
        let mut at = place(hash);
        while self.places[at] != NONE {
            at = next_place(at);
        }
        self.places[at] = number;
    }

    fn find(&self, hash: u64, is_it: impl Fn(u16) -> bool) -> Option<u16> {
        let mut at = place(hash);
        while self.places[at] != NONE {
            if is_it(self.places[at]) {
                return Some(self.places[at]);
            }
            at = next_place(at);
        }
        None
    }
}

fn place(hash: u64) -> usize {
    (hash >> (u64::BITS - TABLE_BITS)) as usize
}

fn next_place(at: usize) -> usize {
    (at + 1) & ((1 << TABLE_BITS) - 1)
}

/// The golden ratio's bits, which spread what is multiplied by them over the upper bits.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

fn hash_pair(left: u16, right: u16) -> u64 {
    (u64::from(left) << 16 | u64::from(right)).wrapping_mul(SPREAD)
}

fn hash_bytes(bytes: &[u8]) -> u64 {
    let step = |hash: u64, part: u64| (hash.rotate_left(23) ^ part).wrapping_mul(SPREAD);
    let (words, rest) = bytes.as_chunks::<8>();
    let hash = words.iter().fold(bytes.len() as u64, |hash, word| step(hash, u64::from_le_bytes(*word)));
    let rest = rest.iter().fold(0, |rest, byte| rest << 8 | u64::from(*byte));
    step(hash, rest)
}
