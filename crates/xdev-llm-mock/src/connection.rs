//! One connection: reads requests, sends bytes, watches whether the client is still there.
//!
//! The log it writes to and the accept loop are in `server`.

use std::io::{self, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use socket2::SockRef;

use crate::emit;
use crate::faults::Fault;
use crate::http::{self, Received, Reply};
use crate::personality::Personality;
use crate::server::{Request, Shared, WATCH, lock};
use crate::servers::{self, Answer, Context};

/// Serves one connection until it ends.
pub(crate) fn converse(shared: &Arc<Shared>, id: u64, stream: &TcpStream) {
    drop(stream.set_nodelay(true));
    let personality = shared.options.personality;
    let mut idle = personality.idle_timeout();
    let mut buffer = Vec::new();
    loop {
        drop(stream.set_read_timeout(idle));
        let received = match http::read_request(stream, &mut buffer) {
            Ok(Some(received)) => received,
            Ok(None) => return,
            Err(error) => {
                if error.kind() == io::ErrorKind::InvalidData {
                    let reply = Reply::text(400, &error.to_string());
                    drop((&*stream).write_all(&finish_reply(personality, reply, false, true)));
                }
                return;
            }
        };
        let connection = Connection::new(shared, id, stream, &received);
        let end = connection.answer(received, &mut idle);
        connection.ended();
        match end {
            Ok(End::KeepAlive) => {}
            Ok(End::Close) | Err(Gone) => {
                drop(stream.shutdown(Shutdown::Both));
                return;
            }
            Ok(End::Reset) => {
                drop(SockRef::from(stream).set_linger(Some(Duration::ZERO)));
                return;
            }
        }
    }
}

/// `End` says what becomes of the connection after an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    KeepAlive,
    Close,
    Reset,
}

/// `Gone` means the client closed, or the server stops: nothing more can be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gone;

/// `Connection` is one request's way back to the client.
pub(crate) struct Connection<'a> {
    pub(crate) shared: &'a Shared,
    stream: &'a TcpStream,
    entry: Arc<Mutex<Request>>,
    tokens: AtomicUsize,
}

impl<'a> Connection<'a> {
    fn new(shared: &'a Shared, id: u64, stream: &'a TcpStream, received: &Received) -> Connection<'a> {
        let entry = shared.log(id, received);
        Connection { shared, stream, entry, tokens: AtomicUsize::new(0) }
    }

    fn answer(&self, received: Received, idle: &mut Option<Duration>) -> Result<End, Gone> {
        let keep_alive = received.keep_alive;
        let chunks = received.chunks;
        let head_only = received.method == "HEAD";
        if let Some(reply) = crate::control::answer(self.shared, &received) {
            return self.reply(reply, keep_alive, head_only);
        }
        match servers::answer(&Context::new(self, received)) {
            Answer::Reply(reply) => self.reply(reply, keep_alive, head_only),
            Answer::Flow(flow) => flow.send(self, keep_alive && chunks, chunks),
            Answer::Restart(reply, model) => {
                self.reply(reply, false, head_only)?;
                self.shared.restart(self.stream.local_addr().ok(), model);
                Ok(End::Close)
            }
            Answer::Silence => {
                self.wait_until_closed();
                Err(Gone)
            }
            Answer::Chat(chat) => {
                let closes = |fault: &Fault| match fault {
                    Fault::CloseIdleAfter(time) => Some(*time),
                    _ => None,
                };
                *idle = chat.script.faults.iter().find_map(closes).or(*idle);
                emit::send(self, &chat, keep_alive && chunks, chunks)
            }
        }
    }

    /// Sends a whole reply.
    pub(crate) fn reply(&self, reply: Reply, keep_alive: bool, head_only: bool) -> Result<End, Gone> {
        self.note_status(reply.status);
        self.send(&finish_reply(self.shared.options.personality, reply, keep_alive, !head_only))?;
        self.finish();
        Ok(if keep_alive { End::KeepAlive } else { End::Close })
    }

    /// Sends bytes as one write, where the system allows it.
    pub(crate) fn send(&self, bytes: &[u8]) -> Result<(), Gone> {
        let mut stream = self.stream;
        stream.write_all(bytes).map_err(|_| self.note_closed())
    }

    /// Waits, watching the client: an end of its side is noted within a few milliseconds.
    pub(crate) fn wait(&self, time: Duration) -> Result<(), Gone> {
        let until = Instant::now() + time;
        loop {
            if self.client_gone() {
                return Err(self.note_closed());
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            thread::sleep(left.min(WATCH));
        }
    }

    /// Sends nothing until the client closes or the server stops.
    pub(crate) fn wait_until_closed(&self) {
        while self.wait(Duration::from_secs(60)).is_ok() {}
    }

    fn client_gone(&self) -> bool {
        if self.shared.stopped() || self.stream.set_nonblocking(true).is_err() {
            return true;
        }
        let seen = self.stream.peek(&mut [0]);
        let restored = self.stream.set_nonblocking(false);
        match seen {
            Ok(0) => true,
            Ok(_) => restored.is_err(),
            Err(error) => error.kind() != io::ErrorKind::WouldBlock || restored.is_err(),
        }
    }

    fn note_closed(&self) -> Gone {
        let mut entry = lock(&self.entry);
        if !entry.finished && entry.client_closed.is_none() {
            entry.client_closed = Some(self.shared.elapsed());
        }
        drop(entry);
        self.shared.notify();
        Gone
    }

    pub(crate) fn note_status(&self, status: u16) {
        lock(&self.entry).status = status;
    }

    pub(crate) fn note_tokens(&self, tokens: usize) {
        if self.tokens.swap(tokens, Ordering::Relaxed) != tokens {
            lock(&self.entry).tokens_sent = tokens;
            self.shared.notify();
        }
    }

    /// Notes that the answer was sent as intended.
    pub(crate) fn finish(&self) {
        lock(&self.entry).finished = true;
        self.shared.notify();
    }

    fn ended(&self) {
        let request = lock(&self.entry).clone();
        self.shared.observe_end(&request);
    }
}

/// The bytes of a whole reply, with the personality's headers.
fn finish_reply(personality: Personality, reply: Reply, keep_alive: bool, with_body: bool) -> Vec<u8> {
    let mut headers = servers::headers(personality, keep_alive);
    headers.extend(reply.headers);
    headers.push(("Content-Length".into(), reply.body.len().to_string()));
    let mut bytes = http::head(reply.status, &servers::spell(personality, headers));
    if with_body {
        bytes.extend_from_slice(&reply.body);
    }
    bytes
}
