//! How words are written: never in names, `BREAK` and `AND`, which mean something as they are.

use std::ops::Range;

use super::{Case, CleanOptions};
use crate::prompt::{Edits, Kind, Prompt};

/// Writes all words in the case that is wanted.
pub(super) fn write(text: &str, options: &CleanOptions) -> Option<(String, usize)> {
    if options.case == Case::None {
        return None;
    }
    let prompt = Prompt::parse(text, options.dialect);
    let names = names(text);
    let mut names = names.into_iter().peekable();
    let (mut edits, mut next) = (Edits::default(), 0);
    let mut before = Before { is_sentence_start: true, ..Before::default() };
    for (index, node) in prompt.nodes().iter().enumerate() {
        if index < next {
            continue;
        }
        if node.kind == Kind::Variable {
            next = prompt.subtree(index).end;
        }
        if node.kind != Kind::Text {
            if !node.is_group() {
                prompt.text(index).chars().for_each(|character| before.see(character));
            }
            continue;
        }
        let mut written = String::with_capacity(node.span.len());
        for (at, character) in prompt.text(index).char_indices() {
            let place = node.span.start + at;
            while names.next_if(|name| name.end <= place).is_some() {}
            let is_name = names.peek().is_some_and(|name| name.contains(&place));
            let is_large = match options.case {
                Case::Title => !before.is_in_word,
                Case::Sentence => before.is_sentence_start,
                Case::None | Case::Lower => false,
            };
            if is_name {
                written.push(character);
            } else if is_large {
                written.extend(character.to_uppercase());
            } else {
                written.extend(character.to_lowercase());
            }
            before.see(character);
        }
        if written != prompt.text(index) {
            edits.replace(node.span.clone(), written);
        }
    }
    let count = edits.len();
    (count > 0).then(|| (edits.apply(text), count))
}

/// `Before` is what was read so far.
#[derive(Default)]
struct Before {
    is_in_word: bool,
    is_sentence_start: bool,
    /// A full stop was read, which ends a sentence if white space follows.
    is_full_stop: bool,
}

impl Before {
    fn see(&mut self, character: char) {
        self.is_in_word = character.is_alphanumeric() || (self.is_in_word && matches!(character, '\'' | '’'));
        if character.is_whitespace() {
            self.is_sentence_start |= self.is_full_stop;
        } else if character.is_alphanumeric() {
            self.is_sentence_start = false;
        }
        self.is_full_stop =
            matches!(character, '.' | '!' | '?') || (self.is_full_stop && character.is_whitespace());
    }
}

/// What looks like a name though it is not quite written as one: `<LoRA:Name:1>`, `Embedding:Name`.
fn names(text: &str) -> Vec<Range<usize>> {
    const EMBEDDING: &str = "embedding:";
    let bytes = text.as_bytes();
    let (mut names, mut tag) = (Vec::new(), None);
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'<' => tag = Some(at),
            b'\n' => tag = None,
            b'>' => names.extend(tag.take().map(|start| start..at + 1)),
            b'e' | b'E' => {
                let is_embedding = bytes
                    .get(at..at + EMBEDDING.len())
                    .is_some_and(|word| word.eq_ignore_ascii_case(EMBEDDING.as_bytes()));
                if is_embedding && tag.is_none() {
                    let ends = |character: char| character.is_whitespace() || ",()".contains(character);
                    let rest = &text[at + EMBEDDING.len()..];
                    names.push(at..at + EMBEDDING.len() + rest.find(ends).unwrap_or(rest.len()));
                }
            }
            _ => {}
        }
    }
    names.sort_by_key(|name| name.start);
    names
}
