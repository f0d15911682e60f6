//! `Transport` sends one request to one server and gives back its answer.
//!
//! The trust rules of the network live here: a host that is not on this machine or its network is refused unless the
//! user's own config allows it, judged by the resolved address on every connect; local hosts never go through a
//! proxy; redirects are not followed; nothing is decompressed. Plain HTTP to local hosts takes the short way
//! (`http1`); TLS, and proxies for allowed remote hosts, are reqwest's work (feature `tls`).
//! Not here: retries, timeouts over a whole answer (`stream`), what is sent (`wire`).

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Mutex;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tokio::time::timeout;
use url::{Host, Position, Url};

use super::http1::{self, Connection, Head, request_head};
use crate::config::{host_allowed, is_local};
use crate::error::{Error, ErrorKind, Phase, Result};

/// How long a connection may take to be accepted.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// The largest body that is read whole: model lists, errors.
const BODY_CAP: usize = 8 << 20;
/// Idle connections kept for one server.
const KEPT: usize = 8;

/// `Request` is one HTTP request.
pub(super) struct Request<'a> {
    /// The whole URL.
    pub(super) url: &'a Url,
    /// The JSON body of a POST; `None` is a GET.
    pub(super) body: Option<&'a [u8]>,
    /// The key for this origin.
    pub(super) key: Option<&'a SecretString>,
    /// What is wanted back.
    pub(super) accept: &'static str,
}

/// `Response` is an answer whose body is still to be read. Dropping it closes the connection.
pub(super) struct Response {
    pub(super) head: Head,
    pub(super) body: Body,
}

/// `Body` is the body of an answer, from whichever way it came.
pub(super) enum Body {
    Plain(http1::Body),
    #[cfg(feature = "tls")]
    General(Box<reqwest::Response>),
}

impl Body {
    /// Replaces `bytes` by the next piece; `false` at the end. Cancel-safe.
    pub(super) async fn read(&mut self, bytes: &mut Vec<u8>) -> io::Result<bool> {
        match self {
            Body::Plain(body) => body.read(bytes).await,
            #[cfg(feature = "tls")]
            Body::General(response) => {
                bytes.clear();
                let piece = response.chunk().await.map_err(io::Error::other)?;
                Ok(piece.is_some_and(|piece| {
                    bytes.extend_from_slice(&piece);
                    true
                }))
            }
        }
    }
}

/// `Transport` keeps connections and sends requests.
pub(super) struct Transport {
    allow_hosts: Vec<String>,
    /// Idle connections by origin.
    idle: Mutex<HashMap<String, Vec<Connection>>>,
    #[cfg(feature = "tls")]
    general: tls::General,
}

impl Transport {
    pub(super) fn new(allow_hosts: Vec<String>) -> Self {
        Transport {
            #[cfg(feature = "tls")]
            general: tls::General::new(allow_hosts.clone()),
            allow_hosts,
            idle: Mutex::default(),
        }
    }

    /// Sends a request; gives the answer whatever its status.
    pub(super) async fn send(&self, request: &Request<'_>) -> Result<Response> {
        let is_plain = request.url.scheme() == "http";
        let addresses = self.addresses(request.url).await?;
        if is_plain && !addresses.is_empty() && addresses.iter().all(|address| is_local(address.ip())) {
            return self.send_plain(request, &addresses).await;
        }
        #[cfg(feature = "tls")]
        return self.general.send(request, &addresses).await;
        #[cfg(not(feature = "tls"))]
        Err(Error::new(ErrorKind::Unsupported, "This build speaks plain HTTP to local servers only.")
            .with_server(shown(request.url))
            .with_hint("Build with the feature `tls` for https and remote servers."))
    }

    /// Sends a request and reads the whole body of its answer.
    pub(super) async fn ask(&self, request: &Request<'_>) -> Result<(Head, Vec<u8>)> {
        let response = self.send(request).await?;
        let head = response.head;
        let bytes = self.read_all(request.url, response.body).await?;
        Ok((head, bytes))
    }

    /// Reads a body to its end and keeps the connection.
    pub(super) async fn read_all(&self, url: &Url, mut body: Body) -> Result<Vec<u8>> {
        let mut whole = Vec::new();
        let mut piece = Vec::new();
        while body.read(&mut piece).await.map_err(|error| failed(url, error, "while it answered"))? {
            whole.extend_from_slice(&piece);
            if whole.len() > BODY_CAP {
                return Err(Error::new(
                    ErrorKind::Protocol,
                    format!("Unexpected response format: the answer is larger than {BODY_CAP} bytes."),
                )
                .with_server(shown(url)));
            }
        }
        self.keep(url, body);
        Ok(whole)
    }

    /// Takes back the connection of a body that was read to its end.
    pub(super) fn keep(&self, url: &Url, body: Body) {
        if let Body::Plain(body) = body
            && let Some(connection) = body.into_connection()
        {
            let mut idle = self.idle.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let kept = idle.entry(plain_origin(url).to_owned()).or_default();
            kept.retain(Connection::is_alive);
            if kept.len() < KEPT {
                kept.push(connection);
            }
        }
    }

    fn take_idle(&self, url: &Url) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let kept = idle.get_mut(plain_origin(url))?;
        while let Some(connection) = kept.pop() {
            if connection.is_alive() {
                return Some(connection);
            }
        }
        None
    }

    async fn send_plain(&self, request: &Request<'_>, addresses: &[SocketAddr]) -> Result<Response> {
        let url = request.url;
        let head = plain_head(request);
        let body = request.body.unwrap_or_default();
        if let Some(connection) = self.take_idle(url) {
            match connection.send(&head, body).await {
                Ok((head, body)) => return Ok(Response { head, body: Body::Plain(body) }),
                // The server closed the idle connection just now: once more on a new one.
                Err(failure) if failure.nothing_came => {}
                Err(failure) => return Err(failed(url, failure.error, "before it answered")),
            }
        }
        let connection = match timeout(CONNECT_TIMEOUT, Connection::open(addresses)).await {
            Ok(Ok(connection)) => connection,
            Ok(Err(error)) => return Err(failed(url, error, "on connecting")),
            Err(_) => return Err(connect_timeout(url)),
        };
        match connection.send(&head, body).await {
            Ok((head, body)) => Ok(Response { head, body: Body::Plain(body) }),
            Err(failure) => Err(failed(url, failure.error, "before it answered")),
        }
    }

    /// The addresses of a URL's host that may be connected to.
    async fn addresses(&self, url: &Url) -> Result<Vec<SocketAddr>> {
        let port = url.port_or_known_default().unwrap_or(80);
        let host = url.host_str().unwrap_or_default();
        let allowed = host_allowed(host, &self.allow_hosts);
        let all: Vec<SocketAddr> = match url.host() {
            Some(Host::Ipv4(ip)) => vec![SocketAddr::new(IpAddr::V4(ip), port)],
            Some(Host::Ipv6(ip)) => vec![SocketAddr::new(IpAddr::V6(ip), port)],
            Some(Host::Domain(name)) if name.eq_ignore_ascii_case("localhost") => loopback(port).to_vec(),
            // A proxy resolves an allowed remote host; this machine may not be able to.
            Some(Host::Domain(_)) if allowed => return Ok(resolve(host, port).await.unwrap_or_default()),
            Some(Host::Domain(_)) => resolve(host, port).await.map_err(|error| {
                Error::new(ErrorKind::Unreachable, format!("The name `{host}` could not be resolved."))
                    .with_server(shown(url))
                    .with_source(error)
            })?,
            None => Vec::new(),
        };
        let usable: Vec<_> = all.into_iter().filter(|address| allowed || is_local(address.ip())).collect();
        if usable.is_empty() {
            return Err(not_local(url));
        }
        Ok(usable)
    }
}

/// Both loopback addresses, IPv4 first.
pub(super) fn loopback(port: u16) -> [SocketAddr; 2] {
    [
        SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port),
        SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), port),
    ]
}

/// Host and port as they stand in an `http://` URL.
fn plain_origin(url: &Url) -> &str {
    &url[Position::BeforeHost..Position::BeforePath]
}

async fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let looked_up = timeout(CONNECT_TIMEOUT, tokio::net::lookup_host((host, port))).await;
    looked_up.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?.map(Iterator::collect)
}

/// The URL as it may be shown: without user name, password and query.
pub(super) fn shown(url: &Url) -> String {
    url.origin().ascii_serialization()
}

fn not_local(url: &Url) -> Error {
    let host = url.host_str().unwrap_or_default();
    Error::new(
        ErrorKind::Config,
        format!("`{host}` is not on this machine or its network, so nothing was sent to it."),
    )
    .with_hint(format!(
        "If you mean it, add `allow_hosts = [\"{host}\"]` to your own config file (`xdev-llm config edit`)."
    ))
}

fn connect_timeout(url: &Url) -> Error {
    let (server, seconds) = (shown(url), CONNECT_TIMEOUT.as_secs());
    let what = if url.scheme() == "https" { "set up a secure connection" } else { "accept the connection" };
    let error = Error::new(
        ErrorKind::Timeout(Phase::Connect),
        format!("Connection timeout: {server} did not {what} within {seconds} s."),
    );
    let error = if url.scheme() == "https" {
        error.with_hint("Most local servers speak plain HTTP: try `http://` in the address.")
    } else {
        error
    };
    error.with_server(server)
}

/// The error for a failure of the connection; `when` says at which point.
pub(super) fn failed(url: &Url, error: io::Error, when: &str) -> Error {
    let server = shown(url);
    let made = match error.kind() {
        io::ErrorKind::InvalidData => {
            Error::new(ErrorKind::Protocol, format!("Unexpected response format: {error}, at {server}."))
        }
        io::ErrorKind::ConnectionRefused => Error::new(
            ErrorKind::Unreachable,
            format!("Nothing answers at {server}: the connection was refused."),
        ),
        _ if when == "while it answered" => {
            Error::new(ErrorKind::CutOff, format!("The connection to {server} broke {when}: {error}."))
        }
        _ => {
            Error::new(ErrorKind::Unreachable, format!("The connection to {server} failed {when}: {error}."))
        }
    };
    made.with_server(server).with_source(error)
}

fn plain_head(request: &Request<'_>) -> Vec<u8> {
    let url = request.url;
    let host = match url.port() {
        Some(port) => format!("{}:{port}", url.host_str().unwrap_or_default()),
        None => url.host_str().unwrap_or_default().to_owned(),
    };
    let path = match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    };
    let key = request.key.map(|key| format!("Bearer {}", key.expose_secret()));
    let mut headers = vec![("Accept", request.accept), ("User-Agent", USER_AGENT)];
    if let Some(key) = &key {
        headers.push(("Authorization", key));
    }
    let method = if request.body.is_some() { "POST" } else { "GET" };
    request_head(method, &path, &host, &headers, request.body.map(<[u8]>::len))
}

/// What this crate calls itself.
pub(super) const USER_AGENT: &str = concat!("xdev-llm/", env!("CARGO_PKG_VERSION"));

#[cfg(feature = "tls")]
mod tls {
    //! The general way: TLS, and the system's proxies for allowed remote hosts, through reqwest.

    use std::net::SocketAddr;
    use std::sync::{Arc, OnceLock};

    use secrecy::ExposeSecret;

    use super::{
        Body, CONNECT_TIMEOUT, Request, Response, USER_AGENT, connect_timeout, host_allowed, is_local, shown,
    };
    use crate::client::http1::Head;
    use crate::error::{Error, ErrorKind, Result};

    /// The two clients, made on first use: setting up TLS takes milliseconds.
    pub(super) struct General {
        allow_hosts: Arc<[String]>,
        local: OnceLock<reqwest::Client>,
        remote: OnceLock<reqwest::Client>,
    }

    impl General {
        pub(super) fn new(allow_hosts: Vec<String>) -> Self {
            General { allow_hosts: allow_hosts.into(), local: OnceLock::new(), remote: OnceLock::new() }
        }

        pub(super) async fn send(&self, request: &Request<'_>, addresses: &[SocketAddr]) -> Result<Response> {
            let local = !addresses.is_empty() && addresses.iter().all(|address| is_local(address.ip()));
            let cell = if local { &self.local } else { &self.remote };
            let client = if let Some(client) = cell.get() {
                client
            } else {
                let made = self.make(!local)?;
                cell.get_or_init(|| made)
            };
            let url = request.url.clone();
            let mut builder = match request.body {
                Some(body) => client.post(url).header("content-type", "application/json").body(body.to_vec()),
                None => client.get(url),
            };
            builder = builder.header("accept", request.accept).header("accept-encoding", "identity");
            if let Some(key) = request.key {
                builder = builder.bearer_auth(key.expose_secret());
            }
            let response = builder.send().await.map_err(|error| failed(request, error))?;
            let head = Head {
                status: response.status().as_u16(),
                headers: response
                    .headers()
                    .iter()
                    .map(|(name, value)| {
                        (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into())
                    })
                    .collect(),
            };
            Ok(Response { head, body: Body::General(Box::new(response)) })
        }

        fn make(&self, with_proxies: bool) -> Result<reqwest::Client> {
            // A second installation fails because the first one holds; both are the same provider.
            let _ = rustls::crypto::ring::default_provider().install_default();
            let mut builder = reqwest::Client::builder()
                .user_agent(USER_AGENT)
                .redirect(reqwest::redirect::Policy::none())
                .connect_timeout(CONNECT_TIMEOUT)
                .pool_idle_timeout(std::time::Duration::from_secs(4))
                .tcp_nodelay(true)
                .dns_resolver(Arc::new(Resolver(Arc::clone(&self.allow_hosts))));
            if !with_proxies {
                builder = builder.no_proxy();
            }
            builder
                .build()
                .map_err(|error| Error::new(ErrorKind::Config, "TLS could not be set up.").with_source(error))
        }
    }

    fn failed(request: &Request<'_>, error: reqwest::Error) -> Error {
        let server = shown(request.url);
        let error = error.without_url();
        if error.is_connect() && error.is_timeout() {
            return connect_timeout(request.url);
        }
        // reqwest's own words say little; the innermost cause says "connection refused" or "invalid certificate".
        let mut cause: &dyn std::error::Error = &error;
        while let Some(source) = cause.source() {
            cause = source;
        }
        let message = format!("The connection to {server} failed: {cause}.");
        Error::new(ErrorKind::Unreachable, message).with_server(server).with_source(error)
    }

    /// Resolves names, and gives only addresses that may be connected to.
    struct Resolver(Arc<[String]>);

    impl reqwest::dns::Resolve for Resolver {
        fn resolve(&self, name: reqwest::dns::Name) -> reqwest::dns::Resolving {
            let allow_hosts = Arc::clone(&self.0);
            Box::pin(async move {
                let host = name.as_str();
                let allowed = host_allowed(host, &allow_hosts);
                let all = tokio::net::lookup_host((host, 0)).await?;
                let usable: Vec<SocketAddr> =
                    all.filter(|address| allowed || is_local(address.ip())).collect();
                if usable.is_empty() {
                    return Err("the name leads away from this machine and its network".into());
                }
                let usable: reqwest::dns::Addrs = Box::new(usable.into_iter());
                Ok(usable)
            })
        }
    }
}
