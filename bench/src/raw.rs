//! `raw`: a blocking socket that sends a request written beforehand and counts bytes.
//!
//! It is the least that any client must do, so the others are told by how much they take longer. It looks at nothing
//! but the end of the answer, and for the first token at the text. Not here: anything a real client needs.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use memchr::memmem;
use serde_json::json;

use crate::job::{Done, Go, Job, MODEL, PROMPT};

const READ: usize = 64 << 10;

/// One go at a job with a streamed answer.
pub(crate) fn go(job: Job, target: &str) -> Result<Go> {
    let address = target.strip_prefix("http://").context("an http:// URL")?.to_owned();
    let request = match job {
        Job::Find => format!("GET /v1/models HTTP/1.1\r\nHost: {address}\r\n\r\n").into_bytes(),
        _ => chat(&address, true),
    };
    Ok(exchange(job, address, request))
}

/// One go at a short answer that comes as one body.
pub(crate) fn go_body(target: &str) -> Result<Go> {
    let address = target.strip_prefix("http://").context("an http:// URL")?.to_owned();
    let request = chat(&address, false);
    Ok(exchange(Job::Call, address, request))
}

fn exchange(job: Job, address: String, request: Vec<u8>) -> Go {
    let is_cold = matches!(job, Job::FirstCall | Job::FirstCallUntold | Job::Find);
    let mut kept = None;
    let mut reading = Reading::new();
    Box::new(move || {
        let begin = Instant::now();
        let mut socket = if let Some(socket) = kept.take() {
            socket
        } else {
            let socket = TcpStream::connect(&address)?;
            socket.set_nodelay(true)?;
            socket
        };
        socket.write_all(&request)?;
        reading.reset();
        let mut first = None;
        if job == Job::FirstToken {
            reading.until(&mut socket, |bytes| memmem::find(bytes, b"\"tok ").is_some())?;
            first = Some(begin.elapsed());
        }
        reading.until(&mut socket, |bytes| bytes.ends_with(b"\r\n0\r\n\r\n"))?;
        let time = first.unwrap_or_else(|| begin.elapsed());
        kept = (!is_cold).then_some(socket);
        Ok(Done { time, text: None })
    })
}

fn chat(address: &str, stream: bool) -> Vec<u8> {
    let mut body =
        json!({"model": MODEL, "messages": [{"role": "user", "content": PROMPT}], "stream": stream});
    if stream {
        body["stream_options"] = json!({"include_usage": true});
    }
    let body = body.to_string();
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// An answer while it is read. Only what was read last is kept.
struct Reading {
    buffer: Vec<u8>,
    filled: usize,
    /// Bytes that are to come, where the head tells.
    left: Option<usize>,
    knows_head: bool,
}

impl Reading {
    /// How much of the last read is kept: what is looked for may lie across two.
    const KEPT: usize = 8;

    fn new() -> Self {
        Reading { buffer: vec![0; READ + Reading::KEPT], filled: 0, left: None, knows_head: false }
    }

    fn reset(&mut self) {
        (self.filled, self.left, self.knows_head) = (0, None, false);
    }

    /// Reads until `is_enough` says so of the last bytes, or the told length was read.
    fn until(&mut self, socket: &mut TcpStream, is_enough: impl Fn(&[u8]) -> bool) -> Result<()> {
        while self.left != Some(0) && !is_enough(&self.buffer[..self.filled]) {
            let kept = self.filled.min(Reading::KEPT);
            self.buffer.copy_within(self.filled - kept..self.filled, 0);
            let count = socket.read(&mut self.buffer[kept..])?;
            if count == 0 {
                bail!("the server closed the connection");
            }
            self.filled = kept + count;
            if !self.knows_head {
                self.read_head()?;
            }
            if let Some(left) = &mut self.left {
                *left = left.saturating_sub(count);
            }
        }
        Ok(())
    }

    fn read_head(&mut self) -> Result<()> {
        self.knows_head = true;
        let bytes = &self.buffer[..self.filled];
        let head = memmem::find(bytes, b"\r\n\r\n").context("the head came in pieces")? + 4;
        if let Some(at) = memmem::find(&bytes[..head], b"Content-Length: ") {
            let told = &bytes[at + 16..head];
            let end = memchr::memchr(b'\r', told).context("no line end")?;
            self.left = Some(std::str::from_utf8(&told[..end])?.parse::<usize>()? + head);
        }
        Ok(())
    }
}
