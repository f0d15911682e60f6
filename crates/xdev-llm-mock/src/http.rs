//! HTTP/1.1 by hand: requests are read from a socket, heads are written as bytes.
//!
//! Written by hand because the mock must be able to break every rule of the protocol. What is
//! answered, and how it is broken, lives elsewhere.

use std::io::{self, Read, Write};
use std::net::TcpStream;

const MAX_HEAD: usize = 64 * 1024;
const MAX_BODY: usize = 256 * 1024 * 1024;

/// `Received` is one request as it came off the socket.
#[derive(Debug, Default)]
pub(crate) struct Received {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    /// Names in lower case, in order.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// False for HTTP/1.0, which knows no chunked bodies.
    pub(crate) chunks: bool,
    pub(crate) keep_alive: bool,
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

fn invalid(message: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}

/// Reads more bytes into `buffer`; false at the end of the stream.
fn fill(mut stream: &TcpStream, buffer: &mut Vec<u8>) -> io::Result<bool> {
    let mut block = [0; 16 * 1024];
    let count = stream.read(&mut block)?;
    buffer.extend_from_slice(&block[..count]);
    Ok(count > 0)
}

fn need(stream: &TcpStream, buffer: &mut Vec<u8>, length: usize) -> io::Result<()> {
    if length > MAX_BODY {
        return Err(invalid("the body is longer than this server reads"));
    }
    while buffer.len() < length {
        if !fill(stream, buffer)? {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(())
}

fn find(buffer: &[u8], needle: &[u8]) -> Option<usize> {
    buffer.windows(needle.len()).position(|window| window == needle)
}

/// Reads one request; `None` when the client closed between two requests. Bytes of a following
/// request stay in `buffer`.
pub(crate) fn read_request(mut stream: &TcpStream, buffer: &mut Vec<u8>) -> io::Result<Option<Received>> {
    let end = loop {
        if let Some(end) = find(buffer, b"\r\n\r\n") {
            break end;
        }
        if buffer.len() > MAX_HEAD {
            return Err(invalid("the request head is longer than this server reads"));
        }
        if !fill(stream, buffer)? {
            return if buffer.is_empty() { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
        }
    };
    let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
    buffer.drain(..end + 4);
    let mut request = parse_head(&head)?;
    if request.header("expect").is_some_and(|value| value.eq_ignore_ascii_case("100-continue")) {
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    let encoding = request.header("transfer-encoding").unwrap_or_default().to_ascii_lowercase();
    request.body = if encoding.contains("chunked") {
        read_chunks(stream, buffer)?
    } else {
        let length = match request.header("content-length") {
            Some(text) => text.trim().parse().map_err(|_| invalid("Content-Length is not a number"))?,
            None => 0,
        };
        need(stream, buffer, length)?;
        buffer.drain(..length).collect()
    };
    Ok(Some(request))
}

fn parse_head(head: &str) -> io::Result<Received> {
    let mut lines = head.split("\r\n");
    let mut first = lines.next().unwrap_or_default().split(' ');
    let (Some(method), Some(target), Some(version)) = (first.next(), first.next(), first.next()) else {
        return Err(invalid("the request line has not three parts"));
    };
    if !version.starts_with("HTTP/1.") {
        return Err(invalid("this server speaks HTTP/1.1 only"));
    }
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let mut request = Received {
        method: method.to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        headers,
        chunks: version != "HTTP/1.0",
        ..Received::default()
    };
    let connection = request.header("connection").unwrap_or_default().to_ascii_lowercase();
    request.keep_alive =
        if request.chunks { !connection.contains("close") } else { connection.contains("keep-alive") };
    Ok(request)
}

fn read_chunks(stream: &TcpStream, buffer: &mut Vec<u8>) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line_end = loop {
            match find(buffer, b"\r\n") {
                Some(end) => break end,
                None => need(stream, buffer, buffer.len() + 1)?,
            }
        };
        let line = String::from_utf8_lossy(&buffer[..line_end]).into_owned();
        let size = usize::from_str_radix(line.split(';').next().unwrap_or_default().trim(), 16)
            .map_err(|_| invalid("a chunk size is not a hexadecimal number"))?;
        buffer.drain(..line_end + 2);
        if size > MAX_BODY || body.len() + size > MAX_BODY {
            return Err(invalid("the body is longer than this server reads"));
        }
        need(stream, buffer, size + 2)?;
        body.extend(buffer.drain(..size));
        buffer.drain(..2);
        if size == 0 {
            return Ok(body);
        }
    }
}

/// `Reply` is a whole answer: status, headers and body.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Reply {
        let reply = Reply { status, headers: Vec::new(), body: body.into() };
        if content_type.is_empty() { reply } else { reply.with("Content-Type", content_type) }
    }

    pub(crate) fn json(status: u16, body: impl Into<Vec<u8>>) -> Reply {
        Reply::new(status, "application/json", body)
    }

    pub(crate) fn text(status: u16, body: &str) -> Reply {
        Reply::new(status, "text/plain; charset=utf-8", body)
    }

    pub(crate) fn html(status: u16, body: &str) -> Reply {
        Reply::new(status, "text/html; charset=utf-8", body)
    }

    pub(crate) fn empty(status: u16) -> Reply {
        Reply::new(status, "", "")
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Reply {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// Writes a head: status line, headers as given, blank line.
pub(crate) fn head(status: u16, headers: &[(String, String)]) -> Vec<u8> {
    let mut out = format!("HTTP/1.1 {status} {}\r\n", reason(status)).into_bytes();
    for (name, value) in headers {
        out.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    out.extend_from_slice(b"\r\n");
    out
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        302 => "Found",
        307 => "Temporary Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        411 => "Length Required",
        413 => "Payload Too Large",
        415 => "Unsupported Media Type",
        422 => "Unprocessable Entity",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Status",
    }
}

/// Writes a chunk size and its line end.
pub(crate) fn push_hex(out: &mut Vec<u8>, size: usize) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let count = (usize::BITS - size.leading_zeros()).div_ceil(4).max(1);
    for place in (0..count).rev() {
        out.push(DIGITS[(size >> (place * 4)) & 15]);
    }
    out.extend_from_slice(b"\r\n");
}

/// Packs bytes as a gzip file with stored (uncompressed) blocks, which every reader accepts.
pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    let mut blocks = bytes.chunks(0xffff).peekable();
    if blocks.peek().is_none() {
        out.extend_from_slice(&[1, 0, 0, 0xff, 0xff]);
    }
    while let Some(block) = blocks.next() {
        let length = block.len() as u16;
        out.push(u8::from(blocks.peek().is_none()));
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(&(!length).to_le_bytes());
        out.extend_from_slice(block);
    }
    out.extend_from_slice(&crc32(bytes).to_le_bytes());
    out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    out
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |mut crc, byte| {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
        }
        crc
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn read(bytes: &'static [u8]) -> io::Result<Option<Received>> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let client = std::thread::spawn(move || {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.write_all(bytes).unwrap();
        });
        let (stream, _) = listener.accept().unwrap();
        client.join().unwrap();
        read_request(&stream, &mut Vec::new())
    }

    #[test]
    fn a_body_with_a_length_is_read() {
        let request =
            read(b"POST /v1/x?a=b HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabcGET").unwrap().unwrap();
        assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/v1/x"));
        assert_eq!((request.query.as_str(), request.body.as_slice()), ("a=b", b"abc".as_slice()));
        assert!(request.keep_alive && request.chunks);
    }

    #[test]
    fn a_chunked_body_is_joined() {
        let request = read(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n2;x=1\r\nab\r\n1\r\nc\r\n0\r\n\r\n");
        let request = request.unwrap().unwrap();
        assert_eq!(request.body, b"abc");
        assert!(!request.keep_alive);
    }

    #[test]
    fn rubbish_is_an_error_and_nothing_is_none() {
        assert!(read(b"\x16\x03\x01\r\n\r\n").is_err());
        assert!(read(b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n").is_err());
        assert!(read(b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc").is_err());
        assert!(read(b"").unwrap().is_none());
    }

    #[test]
    fn gzip_has_the_known_checksum() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        let packed = gzip(b"hello");
        assert_eq!(packed[..3], [0x1f, 0x8b, 8]);
        assert_eq!(&packed[15..20], b"hello");
        assert_eq!(packed[packed.len() - 4..], 5u32.to_le_bytes());
    }

    #[test]
    fn chunk_sizes_are_hexadecimal() {
        for size in [0, 1, 15, 16, 255, 256, 65_536] {
            let mut out = Vec::new();
            push_hex(&mut out, size);
            assert_eq!(out, format!("{size:x}\r\n").into_bytes());
        }
    }
}
