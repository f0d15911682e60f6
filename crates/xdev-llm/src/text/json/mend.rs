//! Turns nearly-JSON into JSON in one pass, without recursion.
//!
//! Not here: where in a text to begin.

use std::borrow::Cow;

/// The deepest nesting; `serde_json` reads no deeper.
pub(super) const MAX_DEPTH: usize = 127;

/// `Mended` is strict JSON.
#[derive(Debug)]
pub(super) struct Mended {
    pub(super) json: String,
    pub(super) changed: bool,
    pub(super) cut_off: bool,
}

/// Reads the object or array at the start of `text`. Returns how many bytes were read, and JSON where it was one; a
/// value that is cut off counts only if something of it is complete.
pub(super) fn mend(text: &str) -> (usize, Option<Mended>) {
    let mut mender = Mender {
        text,
        at: 0,
        json: String::new(),
        complete: 0,
        open: Vec::new(),
        after_comma: false,
        changed: false,
    };
    let end = mender.value_to_end();
    let Mender { at, mut json, complete, open, changed, .. } = mender;
    let result = match end {
        Ok(()) => Some(Mended { json, changed, cut_off: false }),
        Err(Stop::Cut) if complete > open.len() => {
            json.truncate(complete);
            json.extend(open.iter().rev().map(|bracket| char::from(closing(*bracket))));
            Some(Mended { json, changed, cut_off: true })
        }
        Err(_) => None,
    };
    (at, result)
}

/// Why reading stopped early.
enum Stop {
    /// The text ended.
    Cut,
    /// This is no JSON.
    Wrong,
}

/// What may come next.
#[derive(Clone, Copy)]
enum Next {
    /// A value, or in an array its end.
    Value,
    /// A key, or the object's end.
    Key,
    /// A comma or an end.
    Comma,
}

struct Mender<'a> {
    text: &'a str,
    at: usize,
    json: String,
    /// The length of `json` after the last complete value or opening bracket: what can be closed.
    complete: usize,
    /// The open brackets.
    open: Vec<u8>,
    /// Whether a comma was read that is not written yet, because it may be a trailing one.
    after_comma: bool,
    changed: bool,
}

impl<'a> Mender<'a> {
    fn value_to_end(&mut self) -> Result<(), Stop> {
        let mut next = Next::Value;
        loop {
            let byte = self.peek()?;
            next = match (next, byte) {
                (Next::Value, b'{' | b'[') => self.enter(byte)?,
                (Next::Value | Next::Comma, b']') | (Next::Key | Next::Comma, b'}') => {
                    self.leave(byte)?;
                    if self.open.is_empty() {
                        return Ok(());
                    }
                    Next::Comma
                }
                (Next::Comma, b',') => {
                    self.at += 1;
                    self.after_comma = true;
                    if self.open.last() == Some(&b'{') { Next::Key } else { Next::Value }
                }
                (Next::Comma, _) => return Err(Stop::Wrong),
                (Next::Value, _) => self.scalar(byte)?,
                (Next::Key, _) => self.member(byte)?,
            };
        }
    }

    /// The next byte that is neither white space nor comment.
    fn peek(&mut self) -> Result<u8, Stop> {
        loop {
            let rest = &self.text[self.at..];
            let trimmed = rest.trim_start();
            let space = &rest[..rest.len() - trimmed.len()];
            // JSON knows fewer white spaces than Unicode.
            self.changed |= !space.bytes().all(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r'));
            self.at += space.len();
            let end = if trimmed.starts_with("//") || trimmed.starts_with('#') {
                trimmed.find('\n')
            } else if let Some(comment) = trimmed.strip_prefix("/*") {
                comment.find("*/").map(|at| at + 4)
            } else {
                return trimmed.bytes().next().ok_or(Stop::Cut);
            };
            self.changed = true;
            self.at += end.unwrap_or(trimmed.len());
        }
    }

    fn enter(&mut self, bracket: u8) -> Result<Next, Stop> {
        if self.open.len() == MAX_DEPTH {
            return Err(Stop::Wrong);
        }
        self.write_comma();
        self.at += 1;
        self.open.push(bracket);
        self.json.push(char::from(bracket));
        self.complete = self.json.len();
        Ok(if bracket == b'{' { Next::Key } else { Next::Value })
    }

    fn leave(&mut self, bracket: u8) -> Result<(), Stop> {
        if self.open.pop().map(closing) != Some(bracket) {
            return Err(Stop::Wrong);
        }
        self.changed |= self.after_comma;
        self.after_comma = false;
        self.at += 1;
        self.json.push(char::from(bracket));
        self.complete = self.json.len();
        Ok(())
    }

    fn write_comma(&mut self) {
        if self.after_comma {
            self.json.push(',');
            self.after_comma = false;
        }
    }

    /// Reads a string, a number or a word as a value.
    fn scalar(&mut self, byte: u8) -> Result<Next, Stop> {
        self.write_comma();
        if matches!(byte, b'"' | b'\'') {
            let read = self.string(byte);
            if let Err(Stop::Cut) = read {
                self.json.push('"');
            }
            self.complete = self.json.len();
            read?;
        } else {
            let word = self.word(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.' | '_'))?;
            let value = literal(word).ok_or(Stop::Wrong)?;
            self.changed |= value != word;
            self.json.push_str(&value);
            self.complete = self.json.len();
        }
        Ok(Next::Comma)
    }

    /// Reads a key and its colon.
    fn member(&mut self, byte: u8) -> Result<Next, Stop> {
        self.write_comma();
        if matches!(byte, b'"' | b'\'') {
            self.string(byte)?;
        } else {
            let word = self.word(|c| c.is_alphanumeric() || matches!(c, '_' | '$' | '-'))?;
            if word.is_empty() {
                return Err(Stop::Wrong);
            }
            self.changed = true;
            self.json.push('"');
            self.json.push_str(word);
            self.json.push('"');
        }
        if self.peek()? != b':' {
            return Err(Stop::Wrong);
        }
        self.at += 1;
        self.json.push(':');
        Ok(Next::Value)
    }

    /// Reads a run of characters; one that touches the end of the text may be incomplete.
    fn word(&mut self, belongs: impl Fn(char) -> bool) -> Result<&'a str, Stop> {
        let rest = &self.text[self.at..];
        let end = rest.find(|c| !belongs(c)).ok_or(Stop::Cut)?;
        self.at += end;
        Ok(&rest[..end])
    }

    /// Reads a string and writes it up to where it ends or is cut off, then without the closing quote.
    fn string(&mut self, quote: u8) -> Result<(), Stop> {
        self.changed |= quote == b'\'';
        self.at += 1;
        self.json.push('"');
        loop {
            let rest = &self.text[self.at..];
            let special = |byte: u8| matches!(byte, b'"' | b'\\' | 0..=0x1f) || byte == quote;
            let plain = rest.bytes().position(special).unwrap_or(rest.len());
            self.json.push_str(&rest[..plain]);
            self.at += plain;
            match rest.as_bytes().get(plain) {
                None => return Err(Stop::Cut),
                Some(byte) if *byte == quote => {
                    self.at += 1;
                    self.json.push('"');
                    return Ok(());
                }
                Some(b'\\') => self.escape()?,
                Some(byte) => {
                    // A quote of the other kind, or a raw control character.
                    self.at += 1;
                    self.changed = true;
                    match byte {
                        b'"' => self.json.push_str("\\\""),
                        b'\n' => self.json.push_str("\\n"),
                        b'\t' => self.json.push_str("\\t"),
                        byte => self.json.extend(['\\', 'u', '0', '0', hex(byte >> 4), hex(byte & 0xf)]),
                    }
                }
            }
        }
    }

    /// Reads an escape; a wrong one is taken as a backslash that was not doubled.
    fn escape(&mut self) -> Result<(), Stop> {
        let rest = &self.text[self.at..];
        match rest.as_bytes().get(1) {
            None => Err(Stop::Cut),
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.json.push_str(&rest[..2]);
                self.at += 2;
                Ok(())
            }
            Some(b'\'') => {
                self.changed = true;
                self.json.push('\'');
                self.at += 2;
                Ok(())
            }
            Some(b'u') => self.unicode_escape(),
            Some(_) => {
                self.changed = true;
                self.json.push_str("\\\\");
                self.at += 1;
                Ok(())
            }
        }
    }

    /// Reads `\u` with four digits, and the second of a surrogate pair. Half a pair becomes U+FFFD.
    fn unicode_escape(&mut self) -> Result<(), Stop> {
        let rest = &self.text[self.at..];
        let Some(unit) = code_unit(rest)? else {
            self.changed = true;
            self.json.push_str("\\\\u");
            self.at += 2;
            return Ok(());
        };
        let is_pair = match unit {
            0xd800..=0xdbff => matches!(code_unit(&rest[6..])?, Some(0xdc00..=0xdfff)),
            _ => false,
        };
        let length = if is_pair { 12 } else { 6 };
        if matches!(unit, 0xd800..=0xdfff) && !is_pair {
            self.changed = true;
            self.json.push('\u{fffd}');
        } else {
            self.json.push_str(&rest[..length]);
        }
        self.at += length;
        Ok(())
    }
}

/// The number of the escape `\uXXXX` at the start of `text`; `None` where there is none, and cut where there may be.
fn code_unit(text: &str) -> Result<Option<u16>, Stop> {
    let hex = |digit: &u8| digit.is_ascii_hexdigit();
    match text.as_bytes() {
        [b'\\', b'u', digits @ ..] if digits.len() >= 4 && digits[..4].iter().all(hex) => {
            Ok(u16::from_str_radix(&text[2..6], 16).ok())
        }
        [b'\\', b'u', digits @ ..] if digits.len() < 4 && digits.iter().all(hex) => Err(Stop::Cut),
        [] | [b'\\'] => Err(Stop::Cut),
        _ => Ok(None),
    }
}

/// The JSON of a word that is no string: a literal of JSON, Python or JavaScript, or a number.
fn literal(word: &str) -> Option<Cow<'_, str>> {
    let is_number = |word: &str| serde_json::from_str::<serde_json::Number>(word).is_ok();
    Some(match word {
        "true" | "false" | "null" => word.into(),
        "True" => "true".into(),
        "False" => "false".into(),
        "None" | "undefined" | "NaN" | "Infinity" | "-Infinity" => "null".into(),
        _ if is_number(word) => word.into(),
        _ => {
            let (sign, digits) = match word.strip_prefix('-') {
                Some(digits) => ("-", digits),
                None => ("", word.strip_prefix('+').unwrap_or(word)),
            };
            let front = if digits.starts_with('.') { "0" } else { "" };
            let back = if digits.ends_with('.') { "0" } else { "" };
            let number = format!("{sign}{front}{digits}{back}");
            is_number(&number).then_some(number)?.into()
        }
    })
}

fn hex(digit: u8) -> char {
    char::from_digit(u32::from(digit), 16).expect("four bits are a digit")
}

fn closing(bracket: u8) -> u8 {
    if bracket == b'{' { b'}' } else { b']' }
}
