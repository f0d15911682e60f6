//! Sends a chat: timing, framing, cutting into chunks, and the faults of a stream.
//!
//! Events are written once and sent often, from large buffers, so that a fast client measures itself
//! and not this server.

use std::time::{Duration, Instant};

use crate::chat::{Chat, Event, Framing, Piece, quote};
use crate::connection::{Connection, End, Gone};
use crate::dress::{self, Dress};
use crate::faults::{FAULT_MESSAGE, Fault};
use crate::http::{self, Reply};
use crate::script::Chunking;
use crate::server::WATCH;
use crate::servers;

/// Bytes gathered before a write where nothing asks for an earlier one.
const BUFFER: usize = 64 * 1024;

/// Sends the answer and says what becomes of the connection.
pub(crate) fn send(
    connection: &Connection<'_>,
    chat: &Chat,
    keep_alive: bool,
    chunks: bool,
) -> Result<End, Gone> {
    let script = &*chat.script;
    if pause(connection, chat, chat.loading + script.headers_delay)? {
        return stopped(connection, keep_alive);
    }
    if script.has(&Fault::ResetBeforeHeaders) {
        return Ok(End::Reset);
    }
    if script.has(&Fault::CloseBeforeHeaders) {
        return Ok(End::Close);
    }
    if let Some(raw) = &script.raw {
        let framed = |name: &str| raw.headers.iter().any(|(key, _)| key.eq_ignore_ascii_case(name));
        let mut headers = raw.headers.clone();
        if !framed("content-length") && !framed("transfer-encoding") {
            headers.push(("Content-Length".into(), raw.body.len().to_string()));
        }
        let mut bytes = http::head(raw.status, &headers);
        bytes.extend_from_slice(&raw.body);
        return send_bytes(connection, raw.status, &bytes, keep_alive && !framed("connection"));
    }
    let refuse = |message: &str, name: &str| {
        servers::refusal(connection.shared.options.personality, chat.encoder.framing(), message, name)
    };
    if let Some(reply) = script.faults.iter().find_map(|fault| fault.reply(&chat.request, refuse)) {
        return connection.reply(reply, keep_alive, false);
    }
    if chat.stream && !script.has(&Fault::WholeJson) {
        Stream::new(connection, chat, keep_alive, chunks).send()
    } else {
        send_whole(connection, chat, keep_alive)
    }
}

/// Waits, watching the client and the model; true when the model was taken away.
fn pause(connection: &Connection<'_>, chat: &Chat, time: Duration) -> Result<bool, Gone> {
    if time.is_zero() {
        return Ok(chat.is_stopped());
    }
    let until = Instant::now() + time;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        connection.wait(left.min(WATCH))?;
        if chat.is_stopped() || left.is_zero() {
            return Ok(chat.is_stopped());
        }
    }
}

/// The answer of which no byte was sent when its model was taken away.
fn stopped(connection: &Connection<'_>, keep_alive: bool) -> Result<End, Gone> {
    match servers::unloaded(connection.shared.options.personality) {
        Some(message) => {
            let reply = Reply::json(400, format!(r#"{{"error":{}}}"#, quote(message)));
            connection.reply(reply, keep_alive, false)
        }
        None => Ok(End::Close),
    }
}

fn send_bytes(connection: &Connection<'_>, status: u16, bytes: &[u8], keep_alive: bool) -> Result<End, Gone> {
    connection.note_status(status);
    connection.send(bytes)?;
    connection.finish();
    Ok(if keep_alive { End::KeepAlive } else { End::Close })
}

/// The headers of an answer, with the faults that touch them.
fn headers(chat: &Chat, stream: bool) -> Vec<(String, String)> {
    let script = &chat.script;
    let mut headers = chat.headers.clone();
    if script.has(&Fault::TextPlain) {
        headers.push(("Content-Type".into(), "text/plain; charset=utf-8".into()));
    } else if !script.has(&Fault::ContentTypeless) {
        headers.push(("Content-Type".into(), chat.encoder.content_type(stream).into()));
    }
    headers
}

/// Sends a body whose length is told first.
fn send_with_length(
    connection: &Connection<'_>,
    chat: &Chat,
    stream: bool,
    body: Vec<u8>,
    keep_alive: bool,
) -> Result<End, Gone> {
    let personality = connection.shared.options.personality;
    let too_long = chat.script.has(&Fault::ContentLengthTooLong);
    let mut headers = headers(chat, stream);
    let body = if chat.script.has(&Fault::Gzip) {
        headers.push(("Content-Encoding".into(), "gzip".into()));
        http::gzip(&body)
    } else {
        body
    };
    let length = body.len() + if too_long { 100 } else { 0 };
    headers.push(("Content-Length".into(), length.to_string()));
    let mut bytes = http::head(200, &servers::spell(personality, headers));
    bytes.extend_from_slice(&body);
    connection.note_tokens(chat.plan.completion_tokens);
    send_bytes(connection, 200, &bytes, keep_alive && !too_long)
}

/// Sends the answer as one body, after the time all its tokens take.
fn send_whole(connection: &Connection<'_>, chat: &Chat, keep_alive: bool) -> Result<End, Gone> {
    let script = &chat.script;
    let tokens = u32::try_from(chat.plan.completion_tokens).unwrap_or(u32::MAX);
    let time = script.first_token_delay + script.token_delay * tokens.saturating_sub(1);
    if pause(connection, chat, time)? {
        return stopped(connection, keep_alive);
    }
    let dress = Dress::new(chat);
    let body = dress.bytes(&dress.json(&chat.encoder.whole(), chat.plan.completion_tokens));
    let Some(fault) = script.faults.iter().find(|fault| fault.position().is_some()) else {
        return send_with_length(connection, chat, false, body, keep_alive);
    };
    // Faults between tokens have no place in one body: the silent ones stay silent, the cutting ones cut it in half.
    match fault {
        Fault::Stall { .. } | Fault::EndlessLine => {
            connection.wait_until_closed();
            Err(Gone)
        }
        Fault::Reset { .. } | Fault::CutMidEvent { .. } | Fault::NotJsonChunk { .. } => {
            let mut headers = headers(chat, false);
            headers.push(("Content-Length".into(), body.len().to_string()));
            let mut bytes = http::head(200, &servers::spell(connection.shared.options.personality, headers));
            bytes.extend_from_slice(&body[..body.len() / 2]);
            connection.note_status(200);
            connection.send(&bytes)?;
            Ok(if matches!(fault, Fault::Reset { .. }) { End::Reset } else { End::Close })
        }
        _ => connection.reply(Reply::json(500, chat.encoder.error(FAULT_MESSAGE)), keep_alive, false),
    }
}

/// `Stream` is a streamed answer on its way.
struct Stream<'a> {
    connection: &'a Connection<'a>,
    chat: &'a Chat,
    dress: Dress<'a>,
    keep_alive: bool,
    chunked: bool,
    /// The body is gathered whole, because it is packed or its length is told.
    gathered: bool,
    buffer: Vec<u8>,
    sent: usize,
    /// The position at which the next fault acts; `usize::MAX` for none.
    trigger: usize,
}

/// `Stop` says why a stream ends before its plan does.
enum Stop {
    Gone,
    End(End),
    /// The body ends cleanly here.
    Body,
}

impl From<Gone> for Stop {
    fn from(_: Gone) -> Stop {
        Stop::Gone
    }
}

impl<'a> Stream<'a> {
    fn new(connection: &'a Connection<'a>, chat: &'a Chat, keep_alive: bool, chunked: bool) -> Stream<'a> {
        let gathered = chat.script.has(&Fault::Gzip) || chat.script.has(&Fault::ContentLengthTooLong);
        let total = chat.plan.completion_tokens;
        let positions = chat.script.faults.iter().filter_map(Fault::position);
        Stream {
            connection,
            chat,
            dress: Dress::new(chat),
            keep_alive,
            chunked: chunked && !gathered,
            gathered,
            buffer: Vec::with_capacity(BUFFER + 4096),
            sent: 0,
            trigger: positions.min().map_or(usize::MAX, |position| position.min(total)),
        }
    }

    fn send(mut self) -> Result<End, Gone> {
        if !self.gathered {
            let mut headers = headers(self.chat, true);
            if self.chunked {
                headers.push(("Transfer-Encoding".into(), "chunked".into()));
            }
            let personality = self.connection.shared.options.personality;
            self.buffer = http::head(200, &servers::spell(personality, headers));
            self.connection.note_status(200);
            // The head goes out with the first events unless bytes are cut, which the head must not be part of.
            if self.chat.script.chunking != Chunking::EventPerChunk {
                self.connection.send(&self.buffer)?;
                self.buffer.clear();
            }
        }
        match self.body() {
            Ok(()) | Err(Stop::Body) => self.end(),
            Err(Stop::Gone) => Err(Gone),
            Err(Stop::End(end)) => {
                self.flush()?;
                Ok(end)
            }
        }
    }

    fn end(mut self) -> Result<End, Gone> {
        if self.gathered {
            let body = std::mem::take(&mut self.buffer);
            return send_with_length(self.connection, self.chat, true, body, self.keep_alive);
        }
        self.flush()?;
        if self.chunked {
            self.connection.send(b"0\r\n\r\n")?;
        }
        self.connection.finish();
        Ok(if self.keep_alive { End::KeepAlive } else { End::Close })
    }

    fn body(&mut self) -> Result<(), Stop> {
        let chat = self.chat;
        let script = &chat.script;
        if script.has(&Fault::EmptyStream) {
            return Ok(());
        }
        if script.has(&Fault::Bom) {
            self.push("\u{feff}".as_bytes())?;
        }
        self.events(&chat.encoder.opening())?;
        if script.has(&Fault::NullChoices) {
            self.events(&[dress::null_choices()])?;
        }
        self.pause(script.first_token_delay)?;
        let mut previous = None;
        for run in &chat.plan.runs {
            self.events(&chat.encoder.between(previous, Some(&run.piece)))?;
            self.run(&run.piece, run.count)?;
            previous = Some(&run.piece);
        }
        self.events(&chat.encoder.between(previous, None))?;
        self.act(chat.encoder.finish().first())?;
        self.closing()
    }

    /// Sends a piece so many times.
    fn run(&mut self, piece: &Piece, count: usize) -> Result<(), Stop> {
        let plan = &self.chat.plan;
        let encoder = &self.chat.encoder;
        let rides = encoder.finish_rides() && !self.drops_finish();
        let event = encoder.piece(piece, None);
        let mut frame = self.dress.frame(&event, self.sent + 1);
        let delay = self.chat.script.token_delay;
        for _ in 0..count {
            if self.sent > 0 {
                self.pause(delay)?;
            }
            if self.chat.is_stopped() {
                return Err(self.unloaded());
            }
            if self.sent == self.trigger {
                self.act(Some(&event))?;
            }
            if rides && self.sent + 1 == plan.completion_tokens {
                frame = self.dress.frame(&encoder.piece(piece, Some(&plan.finish_reason)), self.sent + 1);
            } else if self.dress.varies() {
                frame = self.dress.frame(&event, self.sent + 1);
            }
            self.push(&frame)?;
            self.sent += 1;
        }
        Ok(())
    }

    fn drops_finish(&self) -> bool {
        self.chat.script.has(&Fault::NoFinish) || self.chat.script.has(&Fault::NoFinishNoDone)
    }

    fn closing(&mut self) -> Result<(), Stop> {
        let chat = self.chat;
        let script = &chat.script;
        if !self.drops_finish() && !chat.encoder.finish_rides() {
            self.last_events(&chat.encoder.finish())?;
        }
        if script.has(&Fault::KeepOpenAfterFinish) {
            self.stay_silent()?;
        }
        self.last_events(&chat.encoder.usage())?;
        let ends_done = chat.encoder.sends_done();
        if ends_done && !script.has(&Fault::NoDone) && !script.has(&Fault::NoFinishNoDone) {
            self.done()?;
        }
        if script.has(&Fault::DataAfterDone) {
            self.events(&[chat.encoder.piece(&Piece::Text(" after the end".into()), None)])?;
        }
        Ok(())
    }

    /// Sends events that may be the last of the body.
    fn last_events(&mut self, events: &[Event]) -> Result<(), Stop> {
        if self.chat.encoder.sends_done() {
            return self.events(events);
        }
        for event in events {
            let mut frame = self.dress.frame(event, self.sent);
            if self.chat.script.has(&Fault::NoBlankLineAtEnd) {
                trim_end(&mut frame);
            }
            self.push(&frame)?;
        }
        Ok(())
    }

    fn done(&mut self) -> Result<(), Stop> {
        let end = self.dress.line_end;
        let mut frame = format!("data: [DONE]{end}{end}").into_bytes();
        if self.chat.script.has(&Fault::NoBlankLineAtEnd) {
            trim_end(&mut frame);
        }
        Ok(self.push(&frame)?)
    }

    fn events(&mut self, events: &[Event]) -> Result<(), Stop> {
        for event in events {
            let frame = self.dress.frame(event, self.sent);
            self.push(&frame)?;
        }
        Ok(())
    }

    /// Carries out the faults whose position is reached; `next` is the event that would follow.
    fn act(&mut self, next: Option<&Event>) -> Result<(), Stop> {
        if self.sent < self.trigger {
            return Ok(());
        }
        let total = self.chat.plan.completion_tokens;
        let sent = self.sent;
        let here = |fault: &&Fault| fault.position().is_some_and(|position| position.min(total) == sent);
        let faults: Vec<&'a Fault> = self.chat.script.faults.iter().filter(here).collect();
        for fault in faults {
            self.act_on(fault, next)?;
        }
        let positions = self.chat.script.faults.iter().filter_map(Fault::position);
        let left = positions.map(|position| position.min(total)).filter(|position| *position > sent);
        self.trigger = left.min().unwrap_or(usize::MAX);
        Ok(())
    }

    fn act_on(&mut self, fault: &Fault, next: Option<&Event>) -> Result<(), Stop> {
        let end = self.dress.line_end;
        let error = self.chat.encoder.error(FAULT_MESSAGE);
        let lines = self.dress.framing == Framing::Lines;
        let text = match fault {
            Fault::CutMidEvent { .. } => {
                let frame = next.map(|event| self.dress.frame(event, self.sent)).unwrap_or_default();
                self.push(&frame[..frame.len() / 2])?;
                return Err(Stop::End(End::Close));
            }
            Fault::Stall { .. } => return self.stay_silent(),
            Fault::Reset { .. } => return Err(Stop::End(End::Reset)),
            Fault::EndlessLine => return self.endless_line(),
            Fault::NotJsonChunk { .. } if lines => {
                return Ok(self.push(format!("{{\"message\":{{\"content\":{end}").as_bytes())?);
            }
            Fault::NotJsonChunk { .. } => {
                return Ok(self.push(format!("data: {{\"choices\":[{{\"delta\":{end}{end}").as_bytes())?);
            }
            Fault::UnframedError { .. } => format!("{error}{end}"),
            _ if lines => format!("{error}{end}"),
            Fault::ErrorEvent { .. } => format!("event: error{end}data: {error}{end}{end}"),
            Fault::ErrorField { .. } => {
                let message = quote(FAULT_MESSAGE);
                format!(
                    "error: {{\"code\":500,\"message\":{message},\"type\":\"server_error\"}}{end}{end}data: [DONE]{end}{end}"
                )
            }
            _ => format!("data: {error}{end}{end}"),
        };
        self.push(text.as_bytes())?;
        Err(Stop::Body)
    }

    fn stay_silent(&mut self) -> Result<(), Stop> {
        loop {
            self.pause(Duration::from_secs(60))?;
        }
    }

    /// Says that the model was taken away, or breaks off where the server says nothing.
    fn unloaded(&mut self) -> Stop {
        let Some(message) = servers::unloaded(self.connection.shared.options.personality) else {
            return Stop::End(End::Close);
        };
        let end = self.dress.line_end;
        let text = format!("event: error{end}data: {}{end}{end}", self.chat.encoder.error(message));
        match self.push(text.as_bytes()) {
            Ok(()) => Stop::Body,
            Err(gone) => gone.into(),
        }
    }

    fn endless_line(&mut self) -> Result<(), Stop> {
        let start = match self.dress.framing {
            Framing::Events => r#"data: {"choices":[{"index":0,"delta":{"content":""#,
            Framing::Lines => r#"{"message":{"role":"assistant","content":""#,
        };
        self.push(start.as_bytes())?;
        let block = [b'a'; 16 * 1024];
        loop {
            self.push(&block)?;
        }
    }

    /// Sends what is gathered and waits.
    fn pause(&mut self, time: Duration) -> Result<(), Stop> {
        if time.is_zero() {
            return Ok(());
        }
        self.flush()?;
        if pause(self.connection, self.chat, time)? { Err(self.unloaded()) } else { Ok(()) }
    }

    fn push(&mut self, frame: &[u8]) -> Result<(), Gone> {
        if frame.is_empty() {
            return Ok(());
        }
        let chunk = self.chunked && self.chat.script.chunking == Chunking::EventPerChunk;
        if chunk {
            http::push_hex(&mut self.buffer, frame.len());
            self.buffer.extend_from_slice(frame);
            self.buffer.extend_from_slice(b"\r\n");
        } else {
            self.buffer.extend_from_slice(frame);
        }
        if self.buffer.len() >= BUFFER { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), Gone> {
        if self.buffer.is_empty() || self.gathered {
            return Ok(());
        }
        match self.chat.script.chunking {
            Chunking::EventPerChunk => self.connection.send(&self.buffer)?,
            Chunking::Joined => self.write(&self.buffer)?,
            Chunking::Bytes(count) => {
                for piece in self.buffer.chunks(count.max(1)) {
                    self.write(piece)?;
                }
            }
        }
        self.buffer.clear();
        self.connection.note_tokens(self.sent);
        Ok(())
    }

    /// Writes bytes as one HTTP chunk.
    fn write(&self, bytes: &[u8]) -> Result<(), Gone> {
        if !self.chunked {
            return self.connection.send(bytes);
        }
        let mut chunk = Vec::with_capacity(bytes.len() + 16);
        http::push_hex(&mut chunk, bytes.len());
        chunk.extend_from_slice(bytes);
        chunk.extend_from_slice(b"\r\n");
        self.connection.send(&chunk)
    }
}

fn trim_end(frame: &mut Vec<u8>) {
    while frame.last().is_some_and(|byte| matches!(byte, b'\r' | b'\n')) {
        frame.pop();
    }
}
