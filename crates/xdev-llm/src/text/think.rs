//! `ThinkSplitter`: parts a model's inline thinking from its answer while both stream in.
//!
//! The tags are a table, taken from the parser tables of LocalAI and Ollama. Not here: servers that send thinking in
//! a field of its own (`wire`).

use std::mem;

use memchr::memchr2_iter;

/// `Piece` is the next bit of an answer, told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// More of the answer.
    Text(&'a str),
    /// More of the thinking.
    Reasoning(&'a str),
    /// All `Text` so far was thinking: a closing tag came whose opening tag the model's template had pre-filled.
    /// Comes at most once, before any `Reasoning`.
    Retract,
}

/// One family of tags that enclose thinking.
struct Family {
    open: &'static str,
    close: &'static str,
    /// Whether a closing tag alone means that the template pre-filled the opening one. `<|end|>` ends other things too.
    lone: bool,
}

const FAMILIES: [Family; 8] = [
    // DeepSeek R1 and V3, Qwen3, QwQ, GLM, LFM2, Nemotron, OLMo, Granite, EXAONE, Cogito, MiniMax.
    Family { open: "<think>", close: "</think>", lone: true },
    Family { open: "<thinking>", close: "</thinking>", lone: true },
    // Magistral and Ministral.
    Family { open: "[THINK]", close: "[/THINK]", lone: true },
    // Cohere Command.
    Family { open: "<|START_THINKING|>", close: "<|END_THINKING|>", lone: true },
    // Seed-OSS.
    Family { open: "<seed:think>", close: "</seed:think>", lone: true },
    // Gemma 4.
    Family { open: "<|channel>thought", close: "<channel|>", lone: true },
    // Solar Open.
    Family { open: "<|think|>", close: "<|end|>", lone: false },
    // gpt-oss (Harmony).
    Family { open: "<|channel|>analysis<|message|>", close: "<|end|>", lone: false },
];

/// Tags around a thinking block that belong to neither thinking nor answer.
const HEADERS: [&str; 3] =
    ["<|start|>assistant", "<|channel|>final<|message|>", "<|begin|>assistant<|content|>"];

/// A closing tag without an opening one counts only if it begins within this many bytes.
const LONE_LIMIT: usize = 64 * 1024;

/// More white space than this in front of an opening tag makes the tag text, so that little has to be held back.
const LEADING_LIMIT: usize = 256;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Nothing but white space and tags so far: an opening tag counts here and only here.
    #[default]
    Start,
    /// Inside a thinking block that ends with this tag.
    Thinking(&'static str),
    /// Inside the answer; a lone closing tag can still turn it into thinking.
    Open,
    /// Inside the answer, and nothing can change that.
    Text,
}

/// `ThinkSplitter` parts inline thinking from the answer, piece by piece.
///
/// - An opening tag counts at the start of the answer and right after a thinking block; elsewhere it is text.
/// - A closing tag without any opening tag before it, in the first 64 KiB, says that all before it was thinking
///   ([`Piece::Retract`]).
/// - Thinking that is never closed stays thinking.
/// - Tags, white space right after a tag, and white space in front of an opening tag are dropped; nothing else is.
///
/// What comes out, joined, does not depend on how the input is cut.
#[derive(Clone, Debug, Default)]
pub struct ThinkSplitter {
    state: State,
    /// The end of the input so far that may be the start of a tag, or white space that may precede one.
    held: String,
    /// Bytes read, without `held`.
    offset: usize,
    /// Whether a tag was read, so white space belongs to it.
    after_tag: bool,
    /// Whether any tag was read, so a closing tag is no longer alone.
    any_tag: bool,
}

impl ThinkSplitter {
    /// Makes a splitter for one answer.
    pub fn new() -> Self {
        ThinkSplitter::default()
    }

    /// Takes the next piece of the answer and gives what is certain to `out`.
    pub fn push(&mut self, piece: &str, out: &mut impl FnMut(Piece<'_>)) {
        if self.state == State::Text {
            if !piece.is_empty() {
                out(Piece::Text(piece));
            }
        } else if self.held.is_empty() {
            let read = self.read(piece, out);
            self.held.push_str(&piece[read..]);
        } else {
            let mut joined = mem::take(&mut self.held);
            joined.push_str(piece);
            let read = self.read(&joined, out);
            joined.drain(..read);
            self.held = joined;
        }
    }

    /// Ends the answer: what was held back is no tag.
    pub fn finish(&mut self, out: &mut impl FnMut(Piece<'_>)) {
        let held = mem::take(&mut self.held);
        if !held.is_empty() {
            out(match self.state {
                State::Thinking(_) => Piece::Reasoning(&held),
                State::Start | State::Open | State::Text => Piece::Text(&held),
            });
        }
    }

    /// Reads as much of `text` as is certain; returns how many bytes that was.
    fn read(&mut self, text: &str, out: &mut impl FnMut(Piece<'_>)) -> usize {
        let mut at = 0;
        while at < text.len() {
            let Some(step) = self.step(&text[at..], out) else { break };
            at += step;
            self.offset += step;
        }
        at
    }

    /// Reads up to the next change of state; `None` waits for more. `Some(0)` has changed the state.
    fn step(&mut self, text: &str, out: &mut impl FnMut(Piece<'_>)) -> Option<usize> {
        if self.after_tag {
            let space = leading_space(text);
            self.after_tag = space == text.len();
            if space > 0 {
                return Some(space);
            }
        }
        match self.state {
            State::Start => self.step_start(text),
            State::Thinking(close) => match find_tag(text, || std::iter::once(close)) {
                None => {
                    out(Piece::Reasoning(text));
                    Some(text.len())
                }
                Some((at, found)) => {
                    if at > 0 {
                        out(Piece::Reasoning(&text[..at]));
                        return Some(at);
                    }
                    let tag = found.tag()?;
                    self.enter(State::Start);
                    Some(tag.len())
                }
            },
            State::Open => self.step_open(text, out),
            State::Text => {
                out(Piece::Text(text));
                Some(text.len())
            }
        }
    }

    fn step_start(&mut self, text: &str) -> Option<usize> {
        let space = leading_space(text);
        if space <= LEADING_LIMIT {
            let tags = || FAMILIES.iter().map(|family| family.open).chain(HEADERS);
            // With nothing but white space so far, what follows may still be a tag: the empty text starts every tag.
            if let Some(found) = tag_at(&text[space..], tags()) {
                let tag = found.tag()?;
                let family = FAMILIES.iter().find(|family| family.open == tag);
                self.enter(family.map_or(State::Start, |family| State::Thinking(family.close)));
                return Some(space + tag.len());
            }
        }
        self.state = if self.any_tag { State::Text } else { State::Open };
        Some(0)
    }

    fn step_open(&mut self, text: &str, out: &mut impl FnMut(Piece<'_>)) -> Option<usize> {
        let tags = || {
            let lone = FAMILIES.iter().filter(|family| family.lone).map(|family| family.close);
            FAMILIES.iter().map(|family| family.open).chain(lone)
        };
        let found = find_tag(text, tags);
        let at = found.map_or(text.len(), |(at, _)| at);
        if self.offset + at >= LONE_LIMIT {
            self.state = State::Text;
            return Some(0);
        }
        if at > 0 {
            out(Piece::Text(&text[..at]));
            return Some(at);
        }
        let tag = found?.1.tag()?;
        if FAMILIES.iter().any(|family| family.open == tag) {
            // The answer talks about the tags, so a closing one says nothing either.
            self.state = State::Text;
            return Some(0);
        }
        out(Piece::Retract);
        self.enter(State::Start);
        Some(tag.len())
    }

    /// Takes note of a tag that leads to `state`.
    fn enter(&mut self, state: State) {
        self.state = state;
        self.after_tag = true;
        self.any_tag = true;
    }
}

/// The bytes of white space at the start.
fn leading_space(text: &str) -> usize {
    text.len() - text.trim_start().len()
}

/// What was found where a tag may stand.
#[derive(Clone, Copy)]
enum Found {
    Tag(&'static str),
    /// All that has arrived is the start of a tag.
    Start,
}

impl Found {
    /// The tag, where it is whole.
    fn tag(self) -> Option<&'static str> {
        match self {
            Found::Tag(tag) => Some(tag),
            Found::Start => None,
        }
    }
}

/// Whether `text` starts with one of `tags`, or may once more arrives.
fn tag_at(text: &str, mut tags: impl Iterator<Item = &'static str> + Clone) -> Option<Found> {
    match tags.clone().find(|tag| text.starts_with(tag)) {
        Some(tag) => Some(Found::Tag(tag)),
        None => tags.any(|tag| tag.starts_with(text)).then_some(Found::Start),
    }
}

/// The first place in `text` where one of `tags` stands, or may stand once more arrives.
fn find_tag<Tags: Iterator<Item = &'static str> + Clone>(
    text: &str,
    tags: impl Fn() -> Tags,
) -> Option<(usize, Found)> {
    memchr2_iter(b'<', b'[', text.as_bytes())
        .find_map(|at| tag_at(&text[at..], tags()).map(|found| (at, found)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text and the thinking of an answer that comes in these pieces.
    fn split<'a>(pieces: impl IntoIterator<Item = &'a str>) -> (String, String) {
        let (mut text, mut reasoning) = (String::new(), String::new());
        let mut out = |piece: Piece<'_>| match piece {
            Piece::Text(piece) => text.push_str(piece),
            Piece::Reasoning(piece) => reasoning.push_str(piece),
            Piece::Retract => {
                assert!(reasoning.is_empty());
                reasoning = mem::take(&mut text);
            }
        };
        let mut splitter = ThinkSplitter::new();
        for piece in pieces {
            splitter.push(piece, &mut out);
        }
        splitter.finish(&mut out);
        (text, reasoning)
    }

    /// Checks one input whole, and cut into characters.
    fn check(input: &str, text: &str, reasoning: &str) {
        assert_eq!(split([input]), (text.to_owned(), reasoning.to_owned()), "{input:?} whole");
        let characters = input.char_indices().map(|(at, c)| &input[at..at + c.len_utf8()]);
        assert_eq!(split(characters), (text.to_owned(), reasoning.to_owned()), "{input:?} in characters");
    }

    #[test]
    fn every_family_is_split() {
        for family in &FAMILIES {
            let (open, close) = (family.open, family.close);
            check(&format!("{open}\nSo.{close}\n\nYes."), "Yes.", "So.");
            check(&format!(" \n{open}So, {close} {open}so.{close}Yes."), "Yes.", "So, so.");
            check(
                &format!("{open}So. {}", &close[..close.len() - 1]),
                "",
                &format!("So. {}", &close[..close.len() - 1]),
            );
            check(&format!("{open}{close}"), "", "");
            if family.lone {
                check(&format!("\nSo.{close}\nYes. {close}"), &format!("Yes. {close}"), "\nSo.");
            } else {
                check(&format!("Yes.{close}"), &format!("Yes.{close}"), "");
            }
        }
    }

    #[test]
    fn headers_of_harmony_and_solar_are_dropped() {
        check(
            "<|channel|>analysis<|message|>So.<|end|><|start|>assistant<|channel|>final<|message|>Yes.",
            "Yes.",
            "So.",
        );
        check("<|start|>assistant<|channel|>final<|message|>Yes.", "Yes.", "");
        check("<|think|>So.<|end|><|begin|>assistant<|content|>Yes.", "Yes.", "So.");
        check("<|channel>thought\nSo.\n<channel|>Yes.", "Yes.", "So.\n");
    }

    #[test]
    fn tags_inside_an_answer_are_text() {
        for input in [
            "Use <think> and </think> in XML.",
            "<thinker>x</thinker> [THIN] a[0] < b",
            "\n\n  indented",
            "  ",
            "<thi",
            "Yes. </thin",
        ] {
            check(input, input, "");
        }
        check("<think>So.</think>Yes, </think> and <think>.", "Yes, </think> and <think>.", "So.");
    }

    #[test]
    fn a_lone_closing_tag_counts_only_near_the_start() {
        let far = format!("{}</think>Yes.", "x".repeat(LONE_LIMIT));
        check(&far, &far, "");
        let near = "x".repeat(LONE_LIMIT - 1);
        check(&format!("{near}</think>Yes."), "Yes.", &near);
    }

    #[test]
    fn endless_white_space_is_not_held_back() {
        let input = format!("{}<think>So.</think>", " ".repeat(LEADING_LIMIT + 1));
        check(&input, &input, "");
        let mut splitter = ThinkSplitter::new();
        for _ in 0..10_000 {
            splitter.push(" ", &mut |_| {});
            assert!(splitter.held.len() <= LEADING_LIMIT);
        }
    }

    #[test]
    fn the_table_suits_the_search() {
        let tags: Vec<_> =
            FAMILIES.iter().flat_map(|family| [family.open, family.close]).chain(HEADERS).collect();
        for tag in &tags {
            assert!(tag.starts_with(['<', '[']), "{tag} must start with a byte that is searched for");
            for other in &tags {
                assert!(tag == other || !tag.starts_with(other), "{other} hides {tag}");
            }
        }
    }
}
