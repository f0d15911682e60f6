//! Numbers as weights are written: what Python's `float()` takes, because ComfyUI reads them with it.
//!
//! Not here: which text is a weight (`tree`, `weights`).

/// The zeros of the decimal digits that Python's `float()` reads besides ASCII's (Unicode 15).
const ZEROS: [u32; 67] = [
    0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66, 0xde6, 0xe50, 0xed0,
    0xf20, 0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90, 0x1b50, 0x1bb0, 0x1c40, 0x1c50,
    0xa620, 0xa8d0, 0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0, 0xff10, 0x104a0, 0x10d30, 0x11066, 0x110f0,
    0x11136, 0x111d0, 0x112f0, 0x11450, 0x114d0, 0x11650, 0x116c0, 0x11730, 0x118e0, 0x11950, 0x11c50,
    0x11d50, 0x11da0, 0x11f50, 0x16a60, 0x16ac0, 0x16b50, 0x1d7ce, 0x1d7d8, 0x1d7e2, 0x1d7ec, 0x1d7f6,
    0x1e140, 0x1e2f0, 0x1e4f0, 0x1e950, 0x1fbf0,
];

/// Reads a number as Python's `float()` does: with white space around it, `_` between digits, exponents, and also `inf` and `nan`.
pub fn parse_number(text: &str) -> Option<f64> {
    if text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.')) {
        return text.parse().ok();
    }
    let ascii: String = text.chars().map(to_ascii).collect::<Option<_>>()?;
    let number = ascii.trim_matches(' ');
    if !number.contains('_') {
        return number.parse().ok();
    }
    let bytes = number.as_bytes();
    let is_digit = |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_digit);
    let is_between = |at: usize| bytes[at] != b'_' || (is_digit(at.checked_sub(1)) && is_digit(Some(at + 1)));
    (0..bytes.len()).all(is_between).then(|| number.replace('_', "").parse().ok()).flatten()
}

/// The ASCII character that Python reads in its place; `None` where no number has such a character.
fn to_ascii(character: char) -> Option<char> {
    // Anything else ends the search at once: a bracket is asked about all that follows its last colon.
    if character.is_ascii_alphanumeric() || "+-._".contains(character) {
        return Some(character);
    }
    // Python takes these four for white space, too.
    if character.is_whitespace() || matches!(character, '\x1c'..='\x1f') {
        return Some(' ');
    }
    let code = u32::from(character);
    let zero = ZEROS[..ZEROS.partition_point(|zero| *zero <= code)].last()?;
    char::from_digit(code - zero, 10)
}

/// A weight as people write it: at most four decimals, none that say nothing.
pub fn format_weight(weight: f64) -> String {
    // The largest numbers have no decimals.
    let scaled = weight * 10_000.0;
    let rounded = if scaled.is_finite() { scaled.round() / 10_000.0 } else { weight };
    format!("{rounded}")
}
