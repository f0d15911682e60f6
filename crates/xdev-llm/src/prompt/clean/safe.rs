//! Protects parentheses that an encoder would take for weights.

use super::{CleanOptions, EncoderSafe};
use crate::prompt::convert::is_special;
use crate::prompt::seen::{agree, of_pieces, of_tree};
use crate::prompt::{Dialect, Edits, Kind, Prompt};

/// Puts backslashes before brackets.
///
/// A single one is left alone where the encoder reads everything as it stands anyway, as in `a cat :)`.
pub(super) fn protect(text: &str, options: &CleanOptions) -> Option<(String, usize)> {
    if options.encoder_safe == EncoderSafe::None {
        return None;
    }
    let dialect = options.dialect;
    let prompt = Prompt::parse(text, dialect);
    let mut edits = Edits::default();
    if options.encoder_safe == EncoderSafe::Escape {
        for node in prompt.nodes() {
            let is_without_number =
                node.kind == Kind::Round(None) || (node.kind == Kind::Square && dialect == Dialect::A1111);
            if is_without_number {
                edits.replace(node.span.start..node.span.start, "\\");
                edits.replace(node.inner.end..node.inner.end, "\\");
            }
        }
    }
    let is_spoilt = of_pieces(text, dialect).is_ok_and(|pieces| !agree(&of_tree(&prompt, dialect), &pieces));
    if is_spoilt {
        for node in prompt.nodes().iter().filter(|node| node.kind == Kind::Text) {
            for (at, character) in text[node.span.clone()].char_indices() {
                let place = node.span.start + at;
                if is_special(character, dialect)
                    && character != '\\'
                    && !is_protected(&text[..place], dialect)
                {
                    edits.replace(place..place, "\\");
                }
            }
        }
    }
    let count = edits.len();
    (count > 0).then(|| (edits.apply(text), count))
}

/// Whether a backslash protects what follows this text; a head of a choice that has no end is text with backslashes.
fn is_protected(before: &str, dialect: Dialect) -> bool {
    let backslashes = before.len() - before.trim_end_matches('\\').len();
    match dialect {
        Dialect::Comfyui => backslashes > 0,
        Dialect::A1111 => backslashes % 2 == 1,
    }
}
