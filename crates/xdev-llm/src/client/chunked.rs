//! `Chunked` takes HTTP/1.1's chunk framing off a body, in place.
//!
//! One pass over what was read moves the data together, so that the framer sees one piece a read instead of one a
//! chunk; local servers send every token as a chunk of its own. Not here: sockets.

use std::io;

/// `Chunked` remembers where in the chunk framing a read ended.
#[derive(Debug, Default)]
pub(super) struct Chunked {
    state: State,
    /// Bytes left of the chunk at hand, or its size so far.
    left: u64,
    /// Length of the line at hand (size, extension or trailer), against endless ones.
    line: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Size,
    Extension,
    Data,
    /// The CR LF after the data.
    DataEnd,
    /// Lines after the last chunk; `left` counts the length of the line at hand.
    Trailer,
    Done,
}

/// The longest size line or trailer line that is taken.
const LINE_CAP: usize = 16 << 10;

impl Chunked {
    /// Moves the data of `bytes` to its front; how much there is.
    pub(super) fn decode(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let (mut from, mut to) = (0, 0);
        while from < bytes.len() {
            if self.state == State::Data {
                let length = (bytes.len() - from).min(usize::try_from(self.left).unwrap_or(usize::MAX));
                bytes.copy_within(from..from + length, to);
                from += length;
                to += length;
                self.left -= length as u64;
                if self.left == 0 {
                    self.state = State::DataEnd;
                }
                continue;
            }
            let byte = bytes[from];
            from += 1;
            self.framing_byte(byte)?;
            if self.state == State::Done {
                break;
            }
        }
        Ok(to)
    }

    /// Whether the last chunk and its trailer were read.
    pub(super) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    fn framing_byte(&mut self, byte: u8) -> io::Result<()> {
        self.line += 1;
        if self.line > LINE_CAP {
            return Err(broken("a chunk's size line is too long"));
        }
        match (self.state, byte) {
            (State::Size | State::Extension, b'\n') => {
                if self.line == 1 {
                    return Err(broken("a chunk has no size"));
                }
                self.line = 0;
                self.state = if self.left == 0 { State::Trailer } else { State::Data };
            }
            (State::Size, b'\r' | b' ' | b'\t' | b';') if self.line > 1 => self.state = State::Extension,
            (State::Size, byte) => {
                let digit =
                    (byte as char).to_digit(16).ok_or_else(|| broken("a chunk's size is not a number"))?;
                self.left = self
                    .left
                    .checked_mul(16)
                    .and_then(|size| size.checked_add(u64::from(digit)))
                    .ok_or_else(|| broken("a chunk's size is too large"))?;
            }
            (State::DataEnd, b'\n') => {
                self.line = 0;
                self.state = State::Size;
            }
            (State::DataEnd, b'\r') if self.line == 1 => {}
            (State::DataEnd, _) => return Err(broken("a chunk is longer than its size")),
            (State::Trailer, b'\n') => {
                if self.line == 1 || (self.line == 2 && self.left == 1) {
                    self.state = State::Done;
                }
                (self.line, self.left) = (0, 0);
            }
            (State::Trailer, b'\r') if self.line == 1 => self.left = 1,
            _ => {}
        }
        Ok(())
    }
}

fn broken(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the chunk framing is broken: {what}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decode(input: &[u8], cuts: &[usize]) -> io::Result<(Vec<u8>, bool)> {
        let mut chunked = Chunked::default();
        let mut data = Vec::new();
        let mut start = 0;
        for end in cuts.iter().copied().chain([input.len()]) {
            let mut piece = input[start..end].to_vec();
            let length = chunked.decode(&mut piece)?;
            data.extend_from_slice(&piece[..length]);
            start = end;
        }
        Ok((data, chunked.is_done()))
    }

    #[test]
    fn reads_sizes_extensions_and_trailers() {
        let input =
            b"5;name=\"x\"\r\nhello\r\n00001 \r\n!\r\nA\r\n0123456789\r\n0\r\nX-Trailer: 1\r\n\r\nHTTP/1.1";
        assert_eq!(decode(input, &[]).unwrap(), (b"hello!0123456789".to_vec(), true));
        assert_eq!(decode(b"3\nabc\n0\n\n", &[]).unwrap(), (b"abc".to_vec(), true));
    }

    #[test]
    fn says_what_is_broken_and_what_is_unfinished() {
        for input in [&b"zz\r\n"[..], b"\r\n", b"3\r\nabcd\r\n", b"fffffffffffffffff\r\n"] {
            assert!(decode(input, &[]).is_err(), "{input:?}");
        }
        assert!(!decode(b"5\r\nhel", &[]).unwrap().1);
        assert!(!decode(b"0\r\n", &[]).unwrap().1, "the blank line after the last chunk is part of it");
        assert!(decode(&[b"1;".to_vec(), vec![b'x'; LINE_CAP]].concat(), &[]).is_err());
    }

    proptest! {
        #[test]
        fn cuts_change_nothing(
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..8),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        ) {
            let mut input = Vec::new();
            for chunk in &chunks {
                input.extend(format!("{:x}\r\n", chunk.len()).bytes());
                input.extend(chunk);
                input.extend(b"\r\n");
            }
            input.extend(b"0\r\n\r\n");
            let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(input.len())).collect();
            cuts.sort_unstable();
            prop_assert_eq!(decode(&input, &cuts).unwrap(), (chunks.concat(), true));
        }

        #[test]
        fn never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&bytes, &[]);
        }
    }
}
