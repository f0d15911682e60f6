//! Reads recorded exchanges and answers for the tests.
#![allow(dead_code, missing_docs, unreachable_pub, clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use xdev_llm::wire::{Framing, Reader, Rows, ServerKind, conclude, dialect, read_failure};
use xdev_llm::{ChatReply, Collector, Error};

/// The folder of the recorded exchanges.
pub fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures")
}

/// A recorded answer: status, content type, body without its chunk framing, and whether that ended as it should.
pub struct Recorded {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub is_whole: bool,
}

impl Recorded {
    pub fn read(path: &Path) -> Recorded {
        Recorded::parse(&std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
    }

    /// A reader of its own, so that it cannot share a fault with the crate's.
    pub fn parse(raw: &[u8]) -> Recorded {
        let end = raw.windows(4).position(|window| window == b"\r\n\r\n").expect("a head");
        let head = String::from_utf8_lossy(&raw[..end]).into_owned();
        let mut lines = head.split("\r\n");
        let status =
            lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse().ok()).unwrap();
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let is_chunked =
            headers.iter().any(|(name, value)| name == "transfer-encoding" && value == "chunked");
        let raw = &raw[end + 4..];
        let (body, is_whole) = if is_chunked { dechunk(raw) } else { (raw.to_vec(), true) };
        Recorded { status, headers, body, is_whole }
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }
}

fn dechunk(mut raw: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    loop {
        let Some(end) = raw.windows(2).position(|window| window == b"\r\n") else { return (body, false) };
        let size = usize::from_str_radix(std::str::from_utf8(&raw[..end]).unwrap().trim(), 16).unwrap();
        if size == 0 {
            return (body, true);
        }
        raw = &raw[end + 2..];
        if raw.len() < size {
            body.extend_from_slice(raw);
            return (body, false);
        }
        body.extend_from_slice(&raw[..size]);
        raw = &raw[(size + 2).min(raw.len())..];
    }
}

/// Reads an answer as the client does, in the given pieces.
pub fn read(
    kind: &ServerKind,
    content_type: &str,
    pieces: &[&[u8]],
    skeleton: bool,
) -> Result<ChatReply, Error> {
    let dialect = dialect(Rows::default().row(kind).clone());
    let mut reader = Reader::new(dialect, Framing::from_content_type(content_type));
    if !skeleton {
        reader = reader.without_skeleton();
    }
    let mut collector = Collector::default();
    let mut events = Vec::new();
    let mut run = |collector: &mut Collector| {
        for piece in pieces {
            let pushed = reader.push(piece, &mut events);
            events.drain(..).for_each(|event| collector.push(event));
            pushed?;
        }
        let finished = reader.finish(&mut events);
        events.drain(..).for_each(|event| collector.push(event));
        finished
    };
    if let Err(error) = run(&mut collector) {
        let partial = collector.into_reply();
        let empty = partial.text.is_empty() && partial.reasoning.is_empty();
        return Err(if empty { error } else { error.with_partial(partial) });
    }
    let mut reply = collector.into_reply();
    conclude(&mut reply).map(|()| reply)
}

/// Reads a recorded answer as the client does.
pub fn read_recorded(kind: &ServerKind, recorded: &Recorded) -> Result<ChatReply, Error> {
    if recorded.status != 200 {
        return Err(read_failure(recorded.status, &recorded.body).expect("a failure"));
    }
    read(kind, recorded.header("content-type"), &[&recorded.body], true)
}

/// Server-sent events out of JSON documents.
pub fn events(documents: &[&str]) -> Vec<u8> {
    documents.iter().flat_map(|document| format!("data: {document}\n\n").into_bytes()).collect()
}
