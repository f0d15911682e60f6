//! Addresses of servers: URLs in one normal form, hosts, and which of them are local.
//!
//! Parsing is by hand and strict, because keys and the permission to connect hang on it: what this file does not
//! understand is refused. Not here: resolving names and connecting (`client`), which key goes where (`secret`).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::secret::looks_like_key;
use crate::error::{Error, Result};

/// The longest URL that is read, in bytes.
const URL_LIMIT: usize = 2048;
/// The port LM Studio listens on unless told otherwise.
pub(super) const LM_STUDIO_PORT: u16 = 1234;
/// The port Ollama listens on unless told otherwise.
pub(super) const OLLAMA_PORT: u16 = 11434;

/// `ServerUrl` is the address of a server in its normal form: lower-case host, no default port, no trailing slash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerUrl {
    /// The address without `/v1`, such as `http://localhost:1234`; servers' own APIs hang on it.
    pub root: String,
    /// The address that ends in `/v1`, where the given one did; otherwise the client finds it.
    pub api_base: Option<String>,
    /// The address for people: what was given, in its normal form.
    pub shown: String,
    origin: UrlOrigin,
}

impl ServerUrl {
    /// The host: a lower-case name or an IP address, IPv6 without brackets.
    pub fn host(&self) -> &str {
        &self.origin.host
    }

    /// The port, where none was given 80 for `http` and 443 for `https`.
    pub fn port(&self) -> u16 {
        self.origin.port
    }

    /// Whether the address begins with `https://`.
    pub fn is_https(&self) -> bool {
        self.origin.https
    }

    /// Whether both lead to one server; `localhost`, `127.0.0.1` and `[::1]` count as one host.
    pub fn is_same_server(&self, other: &ServerUrl) -> bool {
        let path = |url: &ServerUrl| url.root.strip_prefix(&url.origin.to_string()).map(str::to_owned);
        self.origin == other.origin && path(self) == path(other)
    }

    pub(super) fn origin(&self) -> &UrlOrigin {
        &self.origin
    }
}

/// `UrlOrigin` is what a key is bound to: scheme, host and port.
#[derive(Clone, Debug)]
pub(super) struct UrlOrigin {
    https: bool,
    host: String,
    port: u16,
}

impl UrlOrigin {
    /// The host, where the three usual names of this machine count as one.
    fn same_host(&self) -> &str {
        if matches!(self.host.as_str(), "127.0.0.1" | "::1") { "localhost" } else { &self.host }
    }
}

impl PartialEq for UrlOrigin {
    fn eq(&self, other: &Self) -> bool {
        (self.https, self.same_host(), self.port) == (other.https, other.same_host(), other.port)
    }
}

impl Eq for UrlOrigin {}

impl fmt::Display for UrlOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, default_port) = if self.https { ("https", 443) } else { ("http", 80) };
        if self.host.contains(':') {
            write!(f, "{scheme}://[{}]", self.host)?;
        } else {
            write!(f, "{scheme}://{}", self.host)?;
        }
        if self.port == default_port { Ok(()) } else { write!(f, ":{}", self.port) }
    }
}

/// Brings the URL of a server into its normal form.
///
/// Spaces around it, trailing slashes and a trailing `/chat/completions` are dropped. A path that ends in `/v1` is the
/// API's base, and the root is the URL without it.
///
/// # Errors
/// `InvalidInput` for anything but `http://` and `https://`, for a user name or password in the URL, for `?` and `#`,
/// and for hosts and ports that are none.
pub fn normalise_url(text: &str) -> Result<ServerUrl> {
    let text = text.trim();
    let invalid =
        |problem: &str| Error::invalid_input(format!("Invalid server URL: {} {problem}", quoted(text)));
    if text.len() > URL_LIMIT {
        return Err(invalid("is longer than 2048 bytes."));
    }
    if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(invalid("has a space or a control character in it."));
    }
    let Some((scheme, rest)) = text.split_once("://") else {
        return Err(without_scheme(text, &[]));
    };
    let https = match scheme.to_ascii_lowercase().as_str() {
        "http" => false,
        "https" => true,
        _ => return Err(invalid("must begin with http:// or https://.")),
    };
    if rest.contains(['?', '#']) {
        return Err(invalid("has a `?` or `#`; give the address of the server alone."));
    }
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    if authority.contains('@') {
        return Err(invalid("has a user name or password in it.").with_hint(
            "Give the server a name under [servers] in your config, with `api_key_env` or `api_key_file`.",
        ));
    }
    let (host, port) =
        parse_authority(authority, if https { 443 } else { 80 }).map_err(|problem| invalid(&problem))?;
    let path = path.trim_end_matches('/');
    let path = path.strip_suffix("/chat/completions").unwrap_or(path).trim_end_matches('/');
    if !path.chars().all(|c| c.is_ascii_graphic() && !"\\\"<>^`{|}".contains(c)) {
        return Err(invalid("has a character in its path that a URL cannot have."));
    }
    if path.split('/').any(|segment| matches!(segment, "." | "..")) {
        return Err(invalid("has `.` or `..` as a part of its path."));
    }
    let origin = UrlOrigin { https, host, port };
    let shown = format!("{origin}{path}");
    let (root, api_base) = match shown.strip_suffix("/v1") {
        Some(root) => (root.trim_end_matches('/').to_owned(), Some(shown.clone())),
        None => (shown.clone(), None),
    };
    Ok(ServerUrl { root, api_base, shown, origin })
}

/// The error for a text that is neither a URL nor one of the configured `names`.
pub(super) fn without_scheme(text: &str, names: &[&str]) -> Error {
    let authority = text.split('/').next().unwrap_or(text);
    let is_host = text.is_ascii()
        && !quoted_is_hidden(text)
        && parse_authority(authority, 80)
            .is_ok_and(|(host, _)| authority.contains([':', '.']) || host == "localhost");
    let cure = match crate::model::nearest(text, names.iter().copied()) {
        Some(name) => format!("Did you mean the configured server \"{name}\"?"),
        None if is_host => format!("Did you mean \"http://{text}\"?"),
        None => "Write it like http://localhost:1234.".to_owned(),
    };
    Error::invalid_input(format!(
        "Invalid server URL: {} has no http:// in front and is not a server named in your config. {cure}",
        quoted(text)
    ))
}

/// The text in quotes, or words instead of it where it may hold a password or a key.
fn quoted(text: &str) -> String {
    if quoted_is_hidden(text) {
        return "the text given".to_owned();
    }
    let cut: String = text.chars().take(200).flat_map(char::escape_debug).collect();
    format!("\"{cut}\"")
}

fn quoted_is_hidden(text: &str) -> bool {
    text.contains(['@', '?', '#']) || text.split(['/', ':']).any(looks_like_key) || looks_like_key(text)
}

/// Reads `host`, `host:port`, `[v6]` or `[v6]:port`; the error completes "Invalid server URL: … ".
fn parse_authority(authority: &str, default_port: u16) -> Result<(String, u16), String> {
    let (host, port) = if let Some(rest) = authority.strip_prefix('[') {
        let (host, after) = rest.split_once(']').ok_or("has a `[` without its `]`.")?;
        let host: Ipv6Addr = host.parse().map_err(|_| "has no IPv6 address between its brackets.")?;
        let port = match after.strip_prefix(':') {
            Some(port) => Some(port),
            None if after.is_empty() => None,
            None => return Err("has something after the `]` that is no port.".to_owned()),
        };
        (host.to_string(), port)
    } else {
        let (host, port) = match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        };
        (parse_host(host)?, port)
    };
    let port = match port {
        None => default_port,
        Some(digits) => digits
            .parse::<u16>()
            .ok()
            .filter(|port| *port > 0 && digits.bytes().all(|b| b.is_ascii_digit()))
            .ok_or("has a port that is not a number from 1 to 65535.")?,
    };
    Ok((host, port))
}

/// Checks a host name or IPv4 address and gives it in lower case.
fn parse_host(host: &str) -> Result<String, String> {
    if host.is_empty() {
        return Err("has no host.".to_owned());
    }
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    if host.len() > 253 || !host.split('.').all(is_label) {
        return Err(
            "has a host that is no name and no IP address (ASCII letters, digits, `-`, `_` and `.`)."
                .to_owned(),
        );
    }
    // Other programs read `127.1`, `0x7f.1` and `2130706433` as addresses too; only the usual form is taken.
    let last = host.rsplit('.').next().unwrap_or(host);
    let is_numeric = last.bytes().all(|b| b.is_ascii_digit()) || last.to_ascii_lowercase().starts_with("0x");
    if is_numeric && host.parse::<Ipv4Addr>().is_err() {
        return Err("has a host that is no IPv4 address of four numbers.".to_owned());
    }
    Ok(host.to_ascii_lowercase())
}

/// Reads `OLLAMA_HOST` and `LMS_SERVER_HOST`: a URL, `host`, `host:port` or `:port`.
///
/// A server that listens on every address (`0.0.0.0`, `::`) is reached on this machine. Without a scheme the port is
/// `default_port`; with one it is that of the scheme, as Ollama reads its variable.
pub(super) fn host_variable_url(text: &str, default_port: u16) -> Result<ServerUrl> {
    let text = text.trim().trim_matches(['"', '\'']);
    let invalid =
        |problem: &str| Error::invalid_input(format!("Invalid server URL: {} {problem}", quoted(text)));
    let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let authority = match authority.parse::<Ipv6Addr>() {
        Ok(address) => format!("[{address}]"),
        Err(_) if authority.is_empty() || authority.starts_with(':') => format!("127.0.0.1{authority}"),
        Err(_) => authority.to_owned(),
    };
    if authority.contains('@') {
        return Err(invalid("has a user name or password in it."));
    }
    let scheme_port = match scheme.to_ascii_lowercase().as_str() {
        "" => default_port,
        "https" => 443,
        _ => 80,
    };
    let (host, port) = parse_authority(&authority, scheme_port).map_err(|problem| invalid(&problem))?;
    let host = match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) if address.is_unspecified() => "127.0.0.1".to_owned(),
        Ok(IpAddr::V6(address)) if address.is_unspecified() => "[::1]".to_owned(),
        Ok(IpAddr::V6(address)) => format!("[{address}]"),
        _ => host,
    };
    normalise_url(&format!("{}://{host}:{port}{path}", if scheme.is_empty() { "http" } else { scheme }))
}

/// Whether an address is on this machine or in its private network.
///
/// Loopback, private (RFC 1918), link-local and unique-local (RFC 4193) addresses are, also when IPv4 comes mapped
/// into IPv6. The unspecified address is not, and neither are the addresses at which clouds give a machine its secrets.
pub fn is_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4 != METADATA_V4 && (v4.is_loopback() || v4.is_private() || v4.is_link_local()),
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => is_local(IpAddr::V4(v4)),
            None => {
                v6 != METADATA_V6 && (v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local())
            }
        },
    }
}

/// Where Amazon, Google, Microsoft and others answer a virtual machine's questions about itself.
const METADATA_V4: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);
/// The same at Amazon in IPv6.
const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

/// Whether `allow_hosts` names the host, by its name or address or by `*.suffix`, which means every name below it.
///
/// Upper and lower case are the same, and so are IPv6 addresses with and without brackets.
pub fn host_allowed<S: AsRef<str>>(host: &str, allow_hosts: &[S]) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
    allow_hosts.iter().any(|allowed| {
        let allowed = allowed.as_ref().to_ascii_lowercase();
        match allowed.strip_prefix('*') {
            Some(suffix) => host.len() > suffix.len() && host.ends_with(suffix),
            None => host == allowed.trim_start_matches('[').trim_end_matches(']'),
        }
    })
}

/// Whether a text may stand in `allow_hosts`; the error completes "`allow_hosts` has an entry that … ".
pub(super) fn check_allowed_host(text: &str) -> Result<(), String> {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    if bare.parse::<IpAddr>().is_ok() {
        return Ok(());
    }
    parse_host(text.strip_prefix("*.").unwrap_or(text))
        .map(drop)
        .map_err(|_| "is no host name, no IP address and no `*.suffix` (without http:// and port)".to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn urls_reach_their_normal_form() {
        for (text, root, api_base) in [
            ("http://localhost:1234", "http://localhost:1234", None),
            ("  HTTP://LocalHost:1234/  ", "http://localhost:1234", None),
            ("http://localhost:1234/v1", "http://localhost:1234", Some("http://localhost:1234/v1")),
            ("http://localhost:1234/v1//", "http://localhost:1234", Some("http://localhost:1234/v1")),
            ("http://h/v1/chat/completions/", "http://h", Some("http://h/v1")),
            ("http://h/chat/completions", "http://h", None),
            ("http://h:80/", "http://h", None),
            ("https://h:443/api/v1", "https://h/api", Some("https://h/api/v1")),
            ("https://h:80/engines/v1", "https://h:80/engines", Some("https://h:80/engines/v1")),
            ("http://[::1]:8080/v1", "http://[::1]:8080", Some("http://[::1]:8080/v1")),
            ("http://[0:0:0:0:0:0:0:1]", "http://[::1]", None),
            ("http://10.0.0.7:8000/v10", "http://10.0.0.7:8000/v10", None),
            ("http://my_server.local", "http://my_server.local", None),
        ] {
            let url = normalise_url(text).unwrap();
            assert_eq!((url.root.as_str(), url.api_base.as_deref()), (root, api_base), "{text}");
            assert_eq!(
                normalise_url(&url.shown).unwrap(),
                url,
                "the normal form of {text} is its own normal form"
            );
        }
    }

    #[test]
    fn texts_that_are_no_server_url_are_refused() {
        for (text, reason) in [
            ("", "has no http:// in front"),
            ("ftp://h", "must begin with http:// or https://"),
            ("file:///etc/passwd", "must begin with http:// or https://"),
            ("http://", "has no host"),
            ("http://:80", "has no host"),
            ("http://h:0", "port"),
            ("http://h:65536", "port"),
            ("http://h:+80", "port"),
            ("http://h:", "port"),
            ("http://a b", "space"),
            ("http://a\u{0}b", "control"),
            ("http://h/\r\nX: y", "control"),
            ("http://h?key=1", "`?`"),
            ("http://h#x", "`#`"),
            ("http://h\\@evil", "user name"),
            ("http://h\\evil", "no name"),
            ("http://h/a\\b", "character in its path"),
            ("http://h/a/../v1", "`..`"),
            ("http://127.1", "IPv4"),
            ("http://0x7f.1", "IPv4"),
            ("http://2130706433", "IPv4"),
            ("http://127.0.0.01", "IPv4"),
            ("http://[::1", "`]`"),
            ("http://[::1]x", "`]`"),
            ("http://[fe80::1%25eth0]", "IPv6"),
            ("http://h.", "no name"),
            ("http://exämple.com", "no name"),
        ] {
            let error = normalise_url(text).unwrap_err();
            assert!(error.message().starts_with("Invalid server URL: "), "{error}");
            assert!(error.message().contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn errors_never_repeat_a_password_or_key() {
        for text in [
            "http://user:hunter2hunter2@h",
            "http://h?api_key=hunter2hunter2",
            "https://h#hunter2hunter2",
            "ftp://user:hunter2hunter2@h",
            "sk-hunter2hunter2",
            "http://sk-hunter2hunter2:99999",
            "user:hunter2hunter2@h",
        ] {
            for error in [
                normalise_url(text).unwrap_err(),
                host_variable_url(text, 1).err().unwrap_or_else(|| Error::invalid_input("")),
            ] {
                assert!(
                    !format!("{error} {error:?} {}", error.hint()).contains("hunter2"),
                    "{text}: {error:?}"
                );
            }
        }
    }

    #[test]
    fn a_host_without_scheme_gets_a_suggestion() {
        for text in ["localhost:1234", "localhost", "10.0.0.7:8000/v1", "box.local"] {
            let error = normalise_url(text).unwrap_err();
            assert!(error.message().contains(&format!("Did you mean \"http://{text}\"?")), "{error}");
        }
        assert!(normalise_url("lmstudio").unwrap_err().message().contains("http://localhost:1234"));
        assert!(without_scheme("lmstudoi", &["lmstudio", "work"]).message().contains("\"lmstudio\"?"));
    }

    #[test]
    fn host_variables_take_every_form() {
        for (text, url) in [
            ("0.0.0.0", "http://127.0.0.1:11434"),
            ("0.0.0.0:8080", "http://127.0.0.1:8080"),
            (":8080", "http://127.0.0.1:8080"),
            ("", "http://127.0.0.1:11434"),
            ("box", "http://box:11434"),
            ("box:8080", "http://box:8080"),
            ("http://box", "http://box"),
            ("http://box:8080/", "http://box:8080"),
            ("https://box", "https://box"),
            ("https://box/ollama", "https://box/ollama"),
            ("http://0.0.0.0:11434", "http://127.0.0.1:11434"),
            ("[::]:11434", "http://[::1]:11434"),
            ("::", "http://[::1]:11434"),
            ("::1", "http://[::1]:11434"),
            ("[::1]", "http://[::1]:11434"),
            ("\"box\"", "http://box:11434"),
        ] {
            assert_eq!(host_variable_url(text, 11434).unwrap().shown, url, "{text}");
        }
        for text in ["box:port", "ftp://box", "box:99999", "a b"] {
            assert!(host_variable_url(text, 11434).is_err(), "{text}");
        }
    }

    #[test]
    fn this_machine_has_one_origin() {
        let origin = |text: &str| normalise_url(text).unwrap().origin().clone();
        assert_eq!(origin("http://localhost:1234"), origin("http://127.0.0.1:1234/v1"));
        assert_eq!(origin("http://localhost:1234"), origin("http://[::1]:1234"));
        for other in [
            "https://localhost:1234",
            "http://localhost:1235",
            "http://127.0.0.2:1234",
            "http://localhost.evil.com:1234",
        ] {
            assert_ne!(origin("http://localhost:1234"), origin(other), "{other}");
        }
    }

    #[test]
    fn local_addresses() {
        for (address, local) in [
            ("127.0.0.1", true),
            ("127.255.0.1", true),
            ("10.1.2.3", true),
            ("172.16.0.1", true),
            ("172.31.255.255", true),
            ("172.32.0.1", false),
            ("192.168.1.1", true),
            ("169.254.1.1", true),
            ("169.254.169.254", false),
            ("::ffff:169.254.169.254", false),
            ("fd00:ec2::254", false),
            ("0.0.0.0", false),
            ("8.8.8.8", false),
            ("100.64.0.1", false),
            ("224.0.0.1", false),
            ("255.255.255.255", false),
            ("::1", true),
            ("::", false),
            ("fe80::1", true),
            ("fc00::1", true),
            ("fd12::1", true),
            ("2001:db8::1", false),
            ("::ffff:192.168.1.1", true),
            ("::ffff:8.8.8.8", false),
            ("::ffff:0.0.0.0", false),
            ("64:ff9b::7f00:1", false),
        ] {
            assert_eq!(is_local(address.parse().unwrap()), local, "{address}");
        }
    }

    #[test]
    fn allowed_hosts() {
        let allow = ["api.example.com", "*.corp.net", "203.0.113.9", "[2001:db8::1]"];
        for (host, allowed) in [
            ("api.example.com", true),
            ("API.Example.com", true),
            ("x.api.example.com", false),
            ("example.com", false),
            ("a.corp.net", true),
            ("a.b.corp.net", true),
            ("corp.net", false),
            ("evilcorp.net", false),
            (".corp.net", false),
            ("203.0.113.9", true),
            ("203.0.113.90", false),
            ("2001:db8::1", true),
        ] {
            assert_eq!(host_allowed(host, &allow), allowed, "{host}");
        }
        for entry in ["*", "*.", "http://h", "h:80", "a b", "*x.com", ""] {
            assert!(check_allowed_host(entry).is_err(), "{entry}");
        }
        for entry in allow {
            check_allowed_host(entry).unwrap();
        }
    }

    proptest! {
        #[test]
        fn what_is_taken_is_its_own_normal_form(text in "https?://[a-zA-Z0-9.\\[\\]:@-]{0,12}(/[a-z0-9/.\\\\]{0,8})?") {
            if let Ok(url) = normalise_url(&text) {
                prop_assert_eq!(normalise_url(&url.shown).unwrap(), url.clone());
                prop_assert!(!url.shown.contains('@') && !url.root.ends_with('/'));
            }
        }
    }
}
