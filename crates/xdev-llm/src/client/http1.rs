//! HTTP/1.1 over plain TCP, for servers on this machine and its network.
//!
//! Why not the general client for these: it reads one frame a chunk (seven times the CPU time of everything else when
//! each token is a chunk), sends local addresses to proxies unless told otherwise, and resolves names by itself, so
//! that the address that was judged is not the one connected to. Bodies are read in big pieces into the caller's
//! buffer. Dropping anything here closes the socket: that is how a request is cancelled.
//! Not here: which hosts may be spoken to (`http`), TLS and proxies (`http`, through reqwest).

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::chunked::Chunked;

/// How much is read from the socket at once.
const READ: usize = 64 << 10;
/// The largest head of an answer.
const HEAD_CAP: usize = 64 << 10;
/// How long an address is tried alone before the next one is tried beside it.
const STAGGER: Duration = Duration::from_millis(50);
/// How long an idle connection is kept: LM Studio closes its end after five seconds.
const KEEP_IDLE: Duration = Duration::from_secs(4);

/// `Connection` is one TCP connection with nothing under way on it.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    /// Whether an exchange went over it before.
    pub(super) is_used: bool,
    idle_since: Instant,
    keep_idle: Duration,
}

/// `Head` is the beginning of an answer.
#[derive(Debug, Default)]
pub(super) struct Head {
    pub(super) status: u16,
    /// Names in lower case.
    pub(super) headers: Vec<(String, String)>,
}

impl Head {
    /// The value of a header, by its name in lower case.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// `SendError` is a failure before the head of an answer was read.
#[derive(Debug)]
pub(super) struct SendError {
    pub(super) error: io::Error,
    /// Whether not one byte of an answer had come: on a connection used before, the server had closed it.
    pub(super) nothing_came: bool,
}

/// `Body` is the rest of an answer; it holds the connection.
#[derive(Debug)]
pub(super) struct Body {
    connection: Option<Connection>,
    /// What was read together with the head.
    early: Vec<u8>,
    length: Length,
    can_keep: bool,
}

#[derive(Debug)]
enum Length {
    Known(u64),
    Chunked(Chunked),
    UntilClose,
}

impl Connection {
    /// Connects to the first of `addresses` that accepts; they are tried in order, a slow one beside the next.
    pub(super) async fn open(addresses: &[SocketAddr]) -> io::Result<Connection> {
        let stream = connect_first(addresses).await?;
        stream.set_nodelay(true)?;
        Ok(Connection { stream, is_used: false, idle_since: Instant::now(), keep_idle: KEEP_IDLE })
    }

    /// Whether the connection can be used again: young enough, and the server has neither closed it nor said anything.
    pub(super) fn is_alive(&self) -> bool {
        let waits =
            matches!(self.stream.try_read(&mut [0]), Err(error) if error.kind() == io::ErrorKind::WouldBlock);
        waits && self.idle_since.elapsed() < self.keep_idle
    }

    /// Sends a request and reads the head of its answer.
    pub(super) async fn send(mut self, head: &[u8], body: &[u8]) -> Result<(Head, Body), SendError> {
        let written = self.write(head, body).await;
        let mut early = Vec::with_capacity(READ);
        // A server may refuse a large body before it has read it all: look for its answer even then.
        match self.read_head(&mut early).await {
            Ok((head, length)) => Ok(self.into_body(head, early, length)),
            Err(error) => {
                let nothing_came = early.is_empty();
                Err(SendError { error: written.err().unwrap_or(error), nothing_came })
            }
        }
    }

    async fn write(&mut self, head: &[u8], body: &[u8]) -> io::Result<()> {
        if head.len() + body.len() <= READ {
            self.stream.write_all(&[head, body].concat()).await
        } else {
            self.stream.write_all(head).await?;
            self.stream.write_all(body).await
        }
    }

    /// Reads until the head is complete; what follows it stays in `early`.
    async fn read_head(&mut self, early: &mut Vec<u8>) -> io::Result<(Head, usize)> {
        loop {
            if let Some((head, length)) = parse_head(early)? {
                if (100..200).contains(&head.status) && head.status != 101 {
                    early.drain(..length);
                    continue;
                }
                return Ok((head, length));
            }
            if early.len() > HEAD_CAP {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "the answer's head is too large"));
            }
            if self.stream.read_buf(early).await? == 0 {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the connection was closed"));
            }
        }
    }

    fn into_body(mut self, head: Head, mut early: Vec<u8>, head_length: usize) -> (Head, Body) {
        early.drain(..head_length);
        let lists = |name: &str, word: &str| {
            head.header(name)
                .is_some_and(|value| value.split(',').any(|item| item.trim().eq_ignore_ascii_case(word)))
        };
        let length = if matches!(head.status, 204 | 304) {
            Length::Known(0)
        } else if lists("transfer-encoding", "chunked") {
            Length::Chunked(Chunked::default())
        } else {
            let told = head.header("content-length").and_then(|value| value.trim().parse().ok());
            told.map_or(Length::UntilClose, Length::Known)
        };
        if let Some(told) = head.header("keep-alive").and_then(keep_alive_timeout) {
            // One second less than told, so that we never write into a closing connection.
            self.keep_idle = KEEP_IDLE.min(told.saturating_sub(Duration::from_secs(1)));
        }
        let can_keep = !lists("connection", "close") && !matches!(length, Length::UntilClose);
        (head, Body { connection: Some(self), early, length, can_keep })
    }
}

/// The seconds in `Keep-Alive: timeout=5, max=100`.
fn keep_alive_timeout(value: &str) -> Option<Duration> {
    let seconds = value.split(',').find_map(|item| item.trim().strip_prefix("timeout="))?;
    seconds.trim().parse().ok().map(Duration::from_secs)
}

fn parse_head(bytes: &[u8]) -> io::Result<Option<(Head, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; 100];
    let mut response = httparse::Response::new(&mut headers);
    let config = {
        let mut config = httparse::ParserConfig::default();
        config.allow_spaces_after_header_name_in_responses(true);
        config.ignore_invalid_headers_in_responses(true);
        config
    };
    match config.parse_response(&mut response, bytes) {
        Ok(httparse::Status::Partial) => Ok(None),
        Ok(httparse::Status::Complete(length)) => {
            let headers = response.headers.iter().map(|header| {
                (header.name.to_ascii_lowercase(), String::from_utf8_lossy(header.value).into_owned())
            });
            Ok(Some((Head { status: response.code.unwrap_or(0), headers: headers.collect() }, length)))
        }
        Err(error) => Err(io::Error::new(io::ErrorKind::InvalidData, format!("this is not HTTP ({error})"))),
    }
}

impl Body {
    /// Replaces `bytes` by the next piece of the body; `false` at its end. Cancel-safe.
    ///
    /// An answer that is shorter than its head promised is an [`io::ErrorKind::UnexpectedEof`].
    pub(super) async fn read(&mut self, bytes: &mut Vec<u8>) -> io::Result<bool> {
        loop {
            if self.is_done() && self.early.is_empty() {
                bytes.clear();
                return Ok(false);
            }
            let Some(connection) = &mut self.connection else {
                bytes.clear();
                return Ok(false);
            };
            if self.early.is_empty() {
                bytes.clear();
                bytes.reserve(READ);
                if connection.stream.read_buf(bytes).await? == 0 {
                    self.connection = None;
                    return match self.length {
                        Length::UntilClose => Ok(false),
                        _ => Err(io::Error::new(
                            io::ErrorKind::UnexpectedEof,
                            "the connection was closed before the end of the answer",
                        )),
                    };
                }
            } else {
                *bytes = std::mem::take(&mut self.early);
            }
            let length = match &mut self.length {
                Length::UntilClose => bytes.len(),
                Length::Known(left) => {
                    let length = bytes.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                    *left -= length as u64;
                    length
                }
                Length::Chunked(chunked) => chunked.decode(bytes)?,
            };
            bytes.truncate(length);
            if length > 0 {
                return Ok(true);
            }
        }
    }

    fn is_done(&self) -> bool {
        match &self.length {
            Length::Known(left) => *left == 0,
            Length::Chunked(chunked) => chunked.is_done(),
            Length::UntilClose => false,
        }
    }

    /// The connection, for another request, where the body was read to its end and the server keeps it open.
    pub(super) fn into_connection(self) -> Option<Connection> {
        if !self.can_keep || !self.is_done() || !self.early.is_empty() {
            return None;
        }
        let mut connection = self.connection?;
        connection.is_used = true;
        connection.idle_since = Instant::now();
        Some(connection)
    }
}

type Connecting<'a> = Pin<Box<dyn Future<Output = io::Result<TcpStream>> + Send + 'a>>;

/// Connects to the first address that accepts. A refused one is left at once, a slow one is kept beside the next:
/// on Windows a refused local address takes two seconds, and `localhost` may be one family only.
fn connect_first(addresses: &[SocketAddr]) -> Connecting<'_> {
    Box::pin(async move {
        let [first, rest @ ..] = addresses else {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
        };
        let mut first = pin!(TcpStream::connect(*first));
        if rest.is_empty() {
            return first.await;
        }
        match timeout(STAGGER, &mut first).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => return connect_first(rest).await.map_err(|_| error),
            Err(_) => {}
        }
        let mut rest = connect_first(rest);
        tokio::select! {
            biased;
            result = &mut first => match result {
                Ok(stream) => Ok(stream),
                Err(error) => rest.await.map_err(|_| error),
            },
            result = &mut rest => match result {
                Ok(stream) => Ok(stream),
                Err(_) => first.await,
            },
        }
    })
}

/// Writes the head of a request. `host` is as in the URL, `headers` are further ones without line ends in them.
pub(super) fn request_head(
    method: &str,
    path: &str,
    host: &str,
    headers: &[(&str, &str)],
    body_length: Option<usize>,
) -> Vec<u8> {
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nAccept-Encoding: identity\r\n");
    for (name, value) in headers {
        head.push_str(name);
        head.push_str(": ");
        head.extend(value.chars().filter(|c| !matches!(c, '\r' | '\n' | '\0')));
        head.push_str("\r\n");
    }
    if let Some(length) = body_length {
        head.push_str("Content-Type: application/json\r\nContent-Length: ");
        head.push_str(&length.to_string());
        head.push_str("\r\n");
    }
    head.push_str("\r\n");
    head.into_bytes()
}
