//! What is asked of the engine before any client exists: is it up, is it ours, does it work.
//!
//! One hand-written GET on the loopback address, with a hard time limit, so that starting and stopping never
//! hang on HTTP.
//! Not here: chat (`client`).

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::error::{Error, ErrorKind, Result};

/// How long one question may take.
const LIMIT: Duration = Duration::from_secs(2);
/// The most bytes read of one answer.
const CAP: u64 = 256 * 1024;

/// An answer: its status and its body as text.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: String,
}

/// Asks `path` at the port; `None` when nothing that speaks HTTP answers in 2 s.
pub(super) async fn get(port: u16, path: &str, key: Option<&SecretString>) -> Option<Answer> {
    let mut request = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n");
    if let Some(key) = key {
        request.push_str("Authorization: Bearer ");
        request.push_str(key.expose_secret());
        request.push_str("\r\n");
    }
    request.push_str("\r\n");
    let ask = async {
        let mut stream = TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await.ok()?;
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut bytes = Vec::new();
        stream.take(CAP).read_to_end(&mut bytes).await.ok()?;
        let text = String::from_utf8_lossy(&bytes);
        let (head, body) = text.split_once("\r\n\r\n")?;
        let status = head.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
        Some(Answer { status, body: body.to_owned() })
    };
    tokio::time::timeout(LIMIT, ask).await.ok().flatten()
}

/// Whether what listens at the port refuses callers without `key` and serves those with it.
///
/// A port can be taken by another server between the choice and the start, and that server may answer too.
/// The path is none that exists: the key is looked at first, and no path that exists is sure to answer in
/// time while a long prompt is read.
pub(super) async fn is_guarded_by(port: u16, key: &SecretString) -> bool {
    let refused = matches!(get(port, "/key", None).await, Some(answer) if answer.status == 401);
    refused && matches!(get(port, "/key", Some(key)).await, Some(answer) if answer.status != 401)
}

/// Whether anything listens at the port.
pub(super) async fn is_open(port: u16) -> bool {
    TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await.is_ok()
}

/// Whether an answer is being made; no answer in time counts as work, for a long prompt can hold the engine
/// that long.
pub(super) async fn is_processing(port: u16, key: &SecretString) -> bool {
    match get(port, "/slots", Some(key)).await {
        Some(answer) => answer.body.replace(' ', "").contains("\"is_processing\":true"),
        None => true,
    }
}

/// A port that was free a moment ago.
pub(super) fn free_port() -> Result<u16> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| Ok(listener.local_addr()?.port()))
        .map_err(|error| {
            Error::new(ErrorKind::Engine, format!("No port on 127.0.0.1 can be opened: {error}."))
                .with_source(error)
        })
}

/// A key of 128 random bits, as 32 hexadecimal digits.
pub(super) fn random_key() -> Result<SecretString> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).map_err(|error| {
        Error::new(
            ErrorKind::Engine,
            format!("The system gives no random bytes for the engine's key: {error}."),
        )
    })?;
    Ok(SecretString::from(format!("{:032x}", u128::from_le_bytes(bytes))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_long_and_differ() {
        let (one, two) = (random_key().unwrap(), random_key().unwrap());
        assert_eq!(one.expose_secret().len(), 32);
        assert_ne!(one.expose_secret(), two.expose_secret());
    }

    #[tokio::test]
    async fn nothing_at_the_port_is_no_answer() {
        let port = free_port().unwrap();
        assert!(get(port, "/health", None).await.is_none());
    }
}
