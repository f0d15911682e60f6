//! One prompt in the other dialect: the same text with the same weights.
//!
//! Not here: the weights themselves (`weights`).

use serde::Serialize;

use super::number::format_weight;
use super::{Dialect, Kind, Prompt, effective_weights};
use crate::error::Result;

/// `Conversion` is a prompt in another dialect.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Conversion {
    /// The prompt.
    pub text: String,
    /// What the other dialect cannot say, one sentence each.
    pub warnings: Vec<String>,
}

/// Writes a prompt so that the other dialect gives every piece the weight that it has in its own, to four decimals.
///
/// Where both read the text alike it stays byte for byte; else each piece with a weight of its own gets one bracket.
/// Schedules and alternation are kept as they are, with a warning: ComfyUI itself does not run them.
///
/// # Errors
/// [`InvalidInput`](crate::ErrorKind::InvalidInput) for a weight that is not finite.
pub fn convert(text: &str, from: Dialect, to: Dialect) -> Result<Conversion> {
    let pieces = effective_weights(text, from)?;
    let warnings = if from == to { Vec::new() } else { lost(text, from, to) };
    let is_alike = effective_weights(text, to).is_ok_and(|other| other == pieces);
    if from == to || is_alike {
        return Ok(Conversion { text: text.to_owned(), warnings });
    }
    let mut converted = String::with_capacity(text.len());
    for (piece, weight) in pieces {
        if weight < 0.0 && piece == "BREAK" {
            converted.push_str(" BREAK ");
        } else {
            write_piece(&piece, weight, to, &mut converted);
        }
    }
    Ok(Conversion { text: converted, warnings })
}

/// Writes a piece with one bracket around it where it has a weight.
pub(super) fn write_piece(piece: &str, weight: f64, dialect: Dialect, converted: &mut String) {
    let written = format_weight(weight);
    let mut escaped = escape(piece, dialect);
    if dialect == Dialect::Comfyui {
        // With one of two other control characters ComfyUI takes it for a parenthesis, and words have none.
        escaped.retain(|character| character != '\0');
    }
    if written == "1" {
        converted.push_str(&escaped);
        return;
    }
    // White space stays outside, where a person would leave it.
    let inside = escaped.trim();
    let start = escaped.len() - escaped.trim_start().len();
    let (before, after) = (&escaped[..start], &escaped[start + inside.len()..]);
    if inside.is_empty() {
        converted.push_str(&escaped);
        return;
    }
    if dialect == Dialect::Comfyui && before.is_empty() && converted.ends_with('\\') {
        // ComfyUI knows no backslash that protects nothing, so something has to stand between.
        converted.push(' ');
    }
    converted.extend([before, "(", inside, ":", &written, ")", after]);
}

/// The text with a backslash before everything that the dialect would take for its own.
pub(super) fn escape(text: &str, dialect: Dialect) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if is_special(character, dialect) {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

/// Whether the dialect takes a character for its own.
pub(super) fn is_special(character: char, dialect: Dialect) -> bool {
    match dialect {
        Dialect::Comfyui => matches!(character, '(' | ')'),
        Dialect::A1111 => matches!(character, '(' | ')' | '[' | ']' | '\\'),
    }
}

/// What one dialect says and the other does not.
fn lost(text: &str, from: Dialect, to: Dialect) -> Vec<String> {
    let prompt = Prompt::parse(text, from);
    let has = |wanted: fn(&Kind) -> bool| prompt.nodes().iter().any(|node| wanted(&node.kind));
    let mut warnings = Vec::new();
    if to == Dialect::Comfyui {
        if has(|kind| matches!(kind, Kind::Schedule(_))) {
            warnings.push(
                "ComfyUI does not run schedules ([from:to:when]); the text is kept as it is.".to_owned(),
            );
        }
        if has(|kind| matches!(kind, Kind::Alternate)) {
            warnings.push("ComfyUI does not alternate ([a|b]); the text is kept as it is.".to_owned());
        }
        if has(|kind| matches!(kind, Kind::Lora)) {
            warnings.push("ComfyUI takes LoRA tags for words; load them with a node.".to_owned());
        }
        if has(|kind| matches!(kind, Kind::And)) {
            warnings.push("ComfyUI takes AND for a word.".to_owned());
        }
    } else if has(|kind| matches!(kind, Kind::Embedding)) {
        warnings.push("AUTOMATIC1111's web UI names an embedding without \"embedding:\".".to_owned());
    }
    warnings
}
