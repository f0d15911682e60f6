//! `Framer` cuts the bytes of an answer into frames: server-sent events, JSON lines, or one whole body.
//!
//! The rules are those of the WHATWG's "server-sent events" with what model servers need on top: an event at the end
//! without its blank line is delivered, a field named `error` is an event (llama.cpp until 2025), and a bare line of
//! JSON is a frame (Lemonade until 11.5). The frames do not depend on how the bytes were cut, and memory stays under
//! the cap. Not here: what a frame means (the dialects).

use std::borrow::Cow;

use memchr::{memchr, memchr2};

use crate::error::{Error, ErrorKind, Result};

/// `Frame` is one unit of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The event's name, where it has one; `error` for the field of that name.
    pub event: Option<&'a str>,
    /// The event's data, the JSON line, or the whole body.
    pub data: &'a str,
}

/// `Framing` says how an answer is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// Server-sent events.
    Events,
    /// One JSON document a line.
    Lines,
    /// One document.
    Whole,
    /// Not told by the content type: the first bytes decide.
    Sniff,
}

impl Framing {
    /// The framing that a `Content-Type` promises.
    pub fn from_content_type(content_type: &str) -> Framing {
        let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match essence.as_str() {
            "text/event-stream" => Framing::Events,
            "application/x-ndjson" | "application/jsonl" | "application/x-jsonlines" => Framing::Lines,
            "text/html" => Framing::Whole,
            _ => Framing::Sniff,
        }
    }

    /// The framing that the first bytes show; `None` while they are not enough.
    fn sniff(start: &[u8]) -> Option<Framing> {
        let start = start.strip_prefix(BOM).unwrap_or(start);
        let first = start.iter().position(|byte| !byte.is_ascii_whitespace())?;
        match start[first] {
            b'{' | b'[' | b'"' | b'<' => Some(Framing::Whole),
            _ => Some(Framing::Events),
        }
    }
}

const BOM: &[u8] = b"\xEF\xBB\xBF";

/// `Framer` cuts bytes into frames.
#[derive(Debug)]
pub struct Framer {
    framing: Framing,
    cap: usize,
    /// The bytes of an unfinished line, or of the unfinished body.
    rest: Vec<u8>,
    /// The data lines of the unfinished event, joined.
    data: String,
    has_data: bool,
    event: Option<String>,
    /// Whether the last line ended in CR, so that a LF that follows belongs to it.
    after_cr: bool,
    started: bool,
}

impl Framer {
    /// The largest line, event or body that is taken by default: 8 MiB for a line or event, 64 MiB for a body.
    pub const CAP: usize = 8 << 20;

    /// Makes a framer with the default cap.
    pub fn new(framing: Framing) -> Self {
        Framer::with_cap(framing, Framer::CAP)
    }

    /// Makes a framer that takes lines and events of at most `cap` bytes, and bodies of eight times that.
    pub fn with_cap(framing: Framing, cap: usize) -> Self {
        Framer {
            framing,
            cap,
            rest: Vec::new(),
            data: String::new(),
            has_data: false,
            event: None,
            after_cr: false,
            started: false,
        }
    }

    /// Takes in bytes; every frame that became complete goes to `take`, which may end the reading with `false`.
    pub fn push(&mut self, bytes: &[u8], mut take: impl FnMut(Frame<'_>) -> Result<bool>) -> Result<bool> {
        let mut bytes = bytes;
        let joined: Vec<u8>;
        if !self.started {
            // A BOM may be cut, and the first byte that is no white space decides the framing.
            self.rest.extend_from_slice(bytes);
            if self.rest.len() < BOM.len() && BOM.starts_with(&self.rest) {
                return Ok(true);
            }
            if self.framing == Framing::Sniff {
                match Framing::sniff(&self.rest) {
                    Some(framing) => self.framing = framing,
                    None => return check(self.rest.len(), self.cap).map(|()| true),
                }
            }
            self.started = true;
            joined = std::mem::take(&mut self.rest);
            bytes = joined.strip_prefix(BOM).unwrap_or(&joined);
        }
        match self.framing {
            Framing::Whole | Framing::Sniff => {
                check(self.rest.len() + bytes.len(), self.cap.saturating_mul(8))?;
                self.rest.extend_from_slice(bytes);
                Ok(true)
            }
            Framing::Lines | Framing::Events => self.push_lines(bytes, &mut take),
        }
    }

    /// Ends the input: what is unfinished and makes a frame goes to `take`.
    pub fn finish(&mut self, mut take: impl FnMut(Frame<'_>) -> Result<bool>) -> Result<bool> {
        let rest = std::mem::take(&mut self.rest);
        let rest = if self.started { &rest[..] } else { rest.strip_prefix(BOM).unwrap_or(&rest) };
        match self.framing {
            Framing::Whole | Framing::Sniff => {
                let body = decode(rest);
                if body.trim().is_empty() { Ok(true) } else { take(Frame { event: None, data: &body }) }
            }
            Framing::Lines | Framing::Events => {
                if !rest.is_empty() && !self.line(rest, &mut take)? {
                    return Ok(false);
                }
                self.dispatch(&mut take)
            }
        }
    }

    fn push_lines(
        &mut self,
        mut bytes: &[u8],
        take: &mut impl FnMut(Frame<'_>) -> Result<bool>,
    ) -> Result<bool> {
        if self.after_cr && !bytes.is_empty() {
            self.after_cr = false;
            bytes = bytes.strip_prefix(b"\n").unwrap_or(bytes);
        }
        while let Some(end) = self.line_end(bytes) {
            let (line, after) = (&bytes[..end], &bytes[end + 1..]);
            let is_cr = bytes[end] == b'\r';
            check(self.rest.len() + line.len(), self.cap)?;
            let go_on = if self.rest.is_empty() {
                self.line(line, take)?
            } else {
                let mut whole = std::mem::take(&mut self.rest);
                whole.extend_from_slice(line);
                let go_on = self.line(&whole, take)?;
                whole.clear();
                self.rest = whole;
                go_on
            };
            bytes = after;
            if is_cr {
                if bytes.is_empty() {
                    self.after_cr = true;
                }
                bytes = bytes.strip_prefix(b"\n").unwrap_or(bytes);
            }
            if !go_on {
                return Ok(false);
            }
        }
        check(self.rest.len() + bytes.len(), self.cap)?;
        self.rest.extend_from_slice(bytes);
        Ok(true)
    }

    /// Where the first line ends. A CR ends a line only in server-sent events.
    fn line_end(&self, bytes: &[u8]) -> Option<usize> {
        if self.framing == Framing::Lines { memchr(b'\n', bytes) } else { memchr2(b'\n', b'\r', bytes) }
    }

    fn line(&mut self, line: &[u8], take: &mut impl FnMut(Frame<'_>) -> Result<bool>) -> Result<bool> {
        let line = decode(line);
        if self.framing == Framing::Lines {
            // Servers that fake the format label events as lines; a line of JSON never begins with `data:`.
            let line = line.trim();
            let line = line.strip_prefix("data:").map_or(line, str::trim_start);
            return if line.is_empty() { Ok(true) } else { take(Frame { event: None, data: line }) };
        }
        if line.is_empty() {
            return self.dispatch(take);
        }
        // No field begins like this: it is a document without framing, or a web page under a wrong name.
        if line.starts_with(['{', '<']) {
            return take(Frame { event: None, data: &line });
        }
        let (field, value) = match memchr(b':', line.as_bytes()) {
            Some(0) => return Ok(true),
            Some(colon) => {
                (&line[..colon], line[colon + 1..].strip_prefix(' ').unwrap_or(&line[colon + 1..]))
            }
            None => (&*line, ""),
        };
        match field {
            "data" => self.add_data(value)?,
            "event" => self.event = (!value.is_empty()).then(|| value.to_owned()),
            "error" => return take(Frame { event: Some("error"), data: value }),
            _ => {}
        }
        Ok(true)
    }

    fn add_data(&mut self, value: &str) -> Result<()> {
        if self.has_data {
            check(self.data.len() + value.len(), self.cap)?;
            self.data.push('\n');
        }
        self.data.push_str(value);
        self.has_data = true;
        Ok(())
    }

    fn dispatch(&mut self, take: &mut impl FnMut(Frame<'_>) -> Result<bool>) -> Result<bool> {
        let event = self.event.take();
        if !self.has_data || self.data.is_empty() {
            self.has_data = false;
            return Ok(true);
        }
        let go_on = take(Frame { event: event.as_deref(), data: &self.data });
        self.data.clear();
        self.has_data = false;
        go_on
    }
}

/// Refuses what is over the cap.
fn check(length: usize, cap: usize) -> Result<()> {
    if length <= cap {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Protocol,
        format!("Unexpected response format: one line or body of the answer is larger than {cap} bytes."),
    ))
}

/// Gives bytes as text, with U+FFFD for what is no UTF-8. Checking the whole first takes a tenth of the time that the
/// replacing walk takes, and nearly every line passes.
pub(super) fn decode(bytes: &[u8]) -> Cow<'_, str> {
    std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(framing: Framing, pieces: &[&[u8]]) -> Vec<(Option<String>, String)> {
        let mut framer = Framer::with_cap(framing, 1 << 16);
        let mut found = Vec::new();
        let mut take = |frame: Frame<'_>| {
            found.push((frame.event.map(str::to_owned), frame.data.to_owned()));
            Ok(true)
        };
        for piece in pieces {
            framer.push(piece, &mut take).unwrap();
        }
        framer.finish(&mut take).unwrap();
        found
    }

    fn data(framing: Framing, input: &[u8]) -> Vec<String> {
        frames(framing, &[input]).into_iter().map(|(_, data)| data).collect()
    }

    #[test]
    fn events_follow_the_standard() {
        let input = "\u{feff}: comment\ndata: one\r\n\r\nevent: note\rdata:two\rdata: three\r\rdata\n\nid: 7\nretry: 1\n\ndata:  four\n\n";
        assert_eq!(
            frames(Framing::Events, &[input.as_bytes()]),
            [(None, "one".into()), (Some("note".into()), "two\nthree".into()), (None, " four".into()),]
        );
    }

    #[test]
    fn the_last_event_needs_no_blank_line_and_no_newline() {
        assert_eq!(data(Framing::Events, b"data: a\n\ndata: [DONE]"), ["a", "[DONE]"]);
    }

    #[test]
    fn a_field_named_error_and_a_bare_json_line_are_frames() {
        let input = b"data: a\n\nerror: {\"code\":500}\n\n{\"error\":\"x\"}\n\n";
        assert_eq!(
            frames(Framing::Events, &[input]),
            [
                (None, "a".into()),
                (Some("error".into()), "{\"code\":500}".into()),
                (None, "{\"error\":\"x\"}".into()),
            ]
        );
    }

    #[test]
    fn a_cr_at_the_end_of_a_piece_swallows_the_lf_of_the_next() {
        assert_eq!(frames(Framing::Events, &[b"data: a\r", b"\n\r", b"\ndata: b\r", b"\r"]).len(), 2);
    }

    #[test]
    fn invalid_utf8_is_replaced_and_the_rest_goes_on() {
        assert_eq!(data(Framing::Events, b"data: a\xFFb\n\ndata: c\n\n"), ["a\u{fffd}b", "c"]);
    }

    #[test]
    fn lines_and_bodies_and_sniffing() {
        assert_eq!(data(Framing::Lines, b"{\"a\":1}\n\n{\"b\":2}"), ["{\"a\":1}", "{\"b\":2}"]);
        assert_eq!(data(Framing::Whole, b" {\"a\":\n1}\n"), [" {\"a\":\n1}\n"]);
        assert_eq!(data(Framing::Sniff, b"\n data: x\n\n").len(), 0, "a leading space makes another field");
        assert_eq!(data(Framing::Sniff, b"\ndata: x\n\n"), ["x"]);
        assert_eq!(data(Framing::Sniff, b"{\"error\":\"x\"}"), ["{\"error\":\"x\"}"]);
        assert!(data(Framing::Whole, b"  \n").is_empty());
        assert_eq!(Framing::from_content_type("Text/Event-Stream; charset=utf-8"), Framing::Events);
        assert_eq!(Framing::from_content_type("text/plain"), Framing::Sniff);
    }

    #[test]
    fn nothing_grows_over_the_cap() {
        for framing in [Framing::Events, Framing::Lines, Framing::Whole] {
            let mut framer = Framer::with_cap(framing, 1000);
            let mut pushed = 0;
            let error = loop {
                match framer.push(&[b'x'; 100], |_| Ok(true)) {
                    Ok(_) => pushed += 100,
                    Err(error) => break error,
                }
                assert!(pushed <= 8000);
            };
            assert_eq!(error.kind(), ErrorKind::Protocol);
        }
        let mut framer = Framer::with_cap(Framing::Events, 1000);
        let result = (0..).find_map(|_| framer.push(b"data: 0123456789\n", |_| Ok(true)).err());
        assert!(result.is_some(), "an event of endless data lines is capped too");
    }
}
