//! A raw-socket client: sends bytes, reads all there is, and hides nothing.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use xdev_llm_mock::{Mock, Options, Personality};

/// An answer as read, up to the end of the connection.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    /// As on the wire.
    pub(crate) raw: Vec<u8>,
    /// Without chunk framing.
    pub(crate) body: Vec<u8>,
    /// Sizes of the HTTP chunks, the last one of 0 included.
    pub(crate) chunks: Vec<usize>,
    /// Whether the connection ended with a reset.
    pub(crate) reset: bool,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// Whether the chunked body was ended as the protocol asks.
    pub(crate) fn complete(&self) -> bool {
        self.chunks.last() == Some(&0)
    }

    /// The JSON of every `data:` line.
    pub(crate) fn data(&self) -> Vec<Value> {
        let text = self.text();
        let lines = text.split(['\n', '\r']).filter_map(|line| line.strip_prefix("data: "));
        lines.filter(|data| *data != "[DONE]").map(|data| serde_json::from_str(data).expect(data)).collect()
    }

    /// The JSON of every line.
    pub(crate) fn lines(&self) -> Vec<Value> {
        self.text().lines().map(|line| serde_json::from_str(line).expect(line)).collect()
    }

    /// The content of all chunks.
    pub(crate) fn content(&self) -> String {
        self.data().iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect()
    }

    pub(crate) fn parse(raw: Vec<u8>, reset: bool) -> Answer {
        let Some(end) = raw.windows(4).position(|window| window == b"\r\n\r\n") else {
            return Answer { raw, reset, ..Answer::default() };
        };
        let head = String::from_utf8(raw[..end].to_vec()).expect("a head is text");
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).expect("a status line");
        let status = status.parse().expect("a status");
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let rest = raw[end + 4..].to_vec();
        let mut answer = Answer { status, headers, raw, reset, ..Answer::default() };
        if answer.header("transfer-encoding") == Some("chunked") {
            (answer.body, answer.chunks) = dechunk(&rest);
        } else {
            answer.body = rest;
        }
        answer
    }
}

fn dechunk(mut rest: &[u8]) -> (Vec<u8>, Vec<usize>) {
    let (mut body, mut sizes) = (Vec::new(), Vec::new());
    while let Some(end) = rest.windows(2).position(|window| window == b"\r\n") {
        let text = std::str::from_utf8(&rest[..end]).expect("a chunk size is text");
        let size = usize::from_str_radix(text, 16).expect("a chunk size is hexadecimal");
        sizes.push(size);
        rest = &rest[end + 2..];
        let have = size.min(rest.len());
        body.extend_from_slice(&rest[..have]);
        rest = &rest[(size + 2).min(rest.len())..];
    }
    (body, sizes)
}

/// Reads until the end of the connection, or until nothing came for `patience`.
pub(crate) fn read_all(stream: &mut TcpStream, patience: Duration) -> Answer {
    stream.set_read_timeout(Some(patience)).unwrap();
    let mut raw = Vec::new();
    let mut block = [0; 16_384];
    loop {
        match stream.read(&mut block) {
            Ok(0) => return Answer::parse(raw, false),
            Ok(count) => raw.extend_from_slice(&block[..count]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return Answer::parse(raw, true),
            Err(_) => return Answer::parse(raw, false),
        }
    }
}

pub(crate) fn connect(mock: &Mock) -> TcpStream {
    TcpStream::connect(mock.address()).unwrap()
}

pub(crate) fn request(method: &str, path: &str, headers: &str, body: &str) -> Vec<u8> {
    format!(
        "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Sends one request on a connection of its own.
pub(crate) fn exchange(mock: &Mock, bytes: &[u8]) -> Answer {
    let mut stream = connect(mock);
    stream.write_all(bytes).unwrap();
    read_all(&mut stream, Duration::from_secs(10))
}

pub(crate) fn get(mock: &Mock, path: &str) -> Answer {
    exchange(mock, &request("GET", path, "", ""))
}

pub(crate) fn post(mock: &Mock, path: &str, body: &Value) -> Answer {
    exchange(mock, &request("POST", path, "Content-Type: application/json\r\n", &body.to_string()))
}

/// A chat with further fields.
pub(crate) fn chat_body(fields: Value) -> Value {
    let mut body =
        json!({"messages": [{"role": "user", "content": "Write one short sentence."}], "stream": true});
    for (name, value) in fields.as_object().expect("fields") {
        body[name] = value.clone();
    }
    body
}

pub(crate) fn chat(mock: &Mock, fields: Value) -> Answer {
    post(mock, "/v1/chat/completions", &chat_body(fields))
}

/// A mock of that personality, told more.
pub(crate) fn started(personality: Personality, change: impl FnOnce(&mut Options)) -> Mock {
    let mut options = Options::from(personality);
    change(&mut options);
    Mock::start_with(options).unwrap()
}

/// Asks again and again until something is there.
pub(crate) fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        if let Some(found) = ask() {
            return found;
        }
        assert!(Instant::now() < end, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Sends a request and does not read the answer.
pub(crate) fn send(mock: &Mock, path: &str, body: &Value) -> TcpStream {
    let mut stream = connect(mock);
    stream
        .write_all(&request("POST", path, "Content-Type: application/json\r\n", &body.to_string()))
        .unwrap();
    stream
}

/// The states of the instances there are, as `id state`.
pub(crate) fn states(mock: &Mock) -> Vec<String> {
    mock.instances().iter().map(|one| format!("{} {}", one.id, one.state.name())).collect()
}

/// Waits until the newest request has so many tokens of its answer.
pub(crate) fn until_sent(mock: &Mock, tokens: usize) {
    until("tokens are sent", || {
        mock.requests().last().is_some_and(|last| last.tokens_sent >= tokens).then_some(())
    });
}
