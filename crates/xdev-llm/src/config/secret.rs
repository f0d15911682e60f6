//! Keys: where each comes from, and the one origin each may go to.
//!
//! A key is read when it is needed and never stored in a setting. Not here: sending keys (`client`), URL parsing
//! (`address`).

use std::fmt;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use secrecy::SecretString;

use super::address::{LM_STUDIO_PORT, UrlOrigin, host_variable_url, normalise_url};
use super::environment::Environment;
use super::file::ConfigFile;
use super::settings::{Origin, Settings};
use crate::error::{Error, ErrorKind, Result};

/// The largest key file that is read, in bytes.
const KEY_FILE_LIMIT: u64 = 16 * 1024;

/// `KeySource` says where a key is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// An environment variable of this name.
    Environment(String),
    /// A file that only its owner can read.
    File(PathBuf),
}

impl fmt::Display for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeySource::Environment(variable) => write!(f, "environment variable {variable}"),
            KeySource::File(path) => write!(f, "file {}", path.display()),
        }
    }
}

/// `BoundKey` is a key's source, the setting it belongs to, and the only origin it may go to.
#[derive(Clone, Debug)]
pub(super) struct BoundKey {
    /// The setting, such as `servers.work.api_key`.
    pub(super) key: String,
    pub(super) source: KeySource,
    /// The value, for a variable that is set; a file is read when the key is needed.
    pub(super) value: Option<SecretString>,
    /// `None`: the variable is set, but no server of the user's own says where it may go.
    pub(super) bound_to: Option<UrlOrigin>,
    /// The place that names the source.
    pub(super) origin: Origin,
}

impl BoundKey {
    pub(super) fn new(
        key: impl Into<String>,
        source: KeySource,
        environment: &Environment,
        bound_to: Option<UrlOrigin>,
        origin: Origin,
    ) -> Self {
        let value = match &source {
            KeySource::Environment(variable) => environment.variable(variable).map(SecretString::from),
            KeySource::File(_) => None,
        };
        BoundKey { key: key.into(), source, value, bound_to, origin }
    }

    /// What `config show` prints: where the key is, whether it is there, where it may go.
    pub(super) fn describe(&self) -> String {
        let is_set = match &self.source {
            KeySource::Environment(_) => self.value.is_some(),
            KeySource::File(path) => path.is_file(),
        };
        let state = if is_set { "set" } else { "not set" };
        match &self.bound_to {
            Some(origin) => format!("from {} ({state}), only for {origin}", self.source),
            None => format!(
                "from {} ({state}), sent to no server: set XDEV_LLM_SERVER, or `server` in your own file",
                self.source
            ),
        }
    }

    /// Reads the key and checks that it can stand in a header.
    pub(super) fn read(&self) -> Result<SecretString> {
        let text = match (&self.source, &self.value) {
            (KeySource::File(path), _) => read_key_file(path, &self.key)?,
            (KeySource::Environment(_), Some(value)) => return checked(value.clone(), &self.source),
            (KeySource::Environment(variable), None) => {
                return Err(config_error(format!(
                    "The key of `{}` is to come from the environment variable {variable}, which is not set.",
                    self.key
                ))
                .with_hint(format!("Set {variable} to the server's key before you start the program.")));
            }
        };
        checked(SecretString::from(text), &self.source)
    }
}

fn config_error(message: String) -> Error {
    Error::new(ErrorKind::Config, message)
}

/// Lets a key through that is visible ASCII; anything else would break the header it is sent in.
fn checked(key: SecretString, source: &KeySource) -> Result<SecretString> {
    use secrecy::ExposeSecret;
    if key.expose_secret().bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(key);
    }
    Err(config_error(format!(
        "The key from {source} has a space, a line break or a letter that is not ASCII in it."
    ))
    .with_hint("Store the key alone, without quotes, a name or \"Bearer\" in front of it."))
}

fn read_key_file(path: &Path, key: &str) -> Result<String> {
    let shown = path.display();
    let unreadable = |error: std::io::Error| {
        config_error(format!("The key file {shown} of `{key}` cannot be read: {error}.")).with_source(error)
    };
    let no_file = || config_error(format!("The key file {shown} of `{key}` is not a regular file."));
    // Asked before opening, because opening a pipe waits for a writer; and again on what was opened.
    if !fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(no_file());
    }
    let file = File::open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(no_file());
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = metadata.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(config_error(format!(
                "The key file {shown} of `{key}` can be read by others (mode {mode:04o}). Run: chmod 600 {shown}"
            ))
            .with_hint(format!("chmod 600 {shown}")));
        }
    }
    let mut bytes = Vec::new();
    file.take(KEY_FILE_LIMIT + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > KEY_FILE_LIMIT {
        return Err(config_error(format!(
            "The key file {shown} of `{key}` is larger than 16 KiB; it must hold a key alone."
        )));
    }
    let text = String::from_utf8(bytes).map_err(|_| {
        config_error(format!("The key file {shown} of `{key}` is not text; it must hold a key alone."))
    })?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.trim().is_empty() {
        return Err(config_error(format!("The key file {shown} of `{key}` is empty; it must hold a key.")));
    }
    Ok(text.to_owned())
}

impl Settings {
    /// Reads the key that may go to this URL: the one that is bound to its scheme, host and port, or none.
    ///
    /// # Errors
    /// `InvalidInput` for a URL that is none; `Config` where the key's variable is not set, its file cannot be read
    /// or can be read by others, or two servers have different keys for the same scheme, host and port.
    pub fn key_for(&self, url: &str) -> Result<Option<SecretString>> {
        let url = normalise_url(url)?;
        let mut bound = self.keys.iter().filter(|key| key.bound_to.as_ref() == Some(url.origin()));
        let Some(first) = bound.next() else { return Ok(None) };
        // Keys stand in the order of the layers, so only entries of the same file can be in each other's way.
        let is_entry = |key: &BoundKey| key.key.starts_with("servers.");
        if is_entry(first)
            && let Some(second) = bound.find(|key| is_entry(key) && key.source != first.source)
        {
            return Err(config_error(format!(
                "`{}` and `{}` are different keys for the same address, {}.",
                first.key,
                second.key,
                url.origin()
            ))
            .with_hint("Leave one of the two servers out, or give both the same key."));
        }
        first.read().map(Some)
    }
}

/// Binds every key to the one origin it may go to, in the order of the layers.
pub(super) fn bind_keys(
    user: &ConfigFile,
    user_file: &Path,
    variables: &ConfigFile,
    environment: &Environment,
) -> Result<Vec<BoundKey>> {
    let bind = |variable: &'static str,
                key: &str,
                bound_to: Option<UrlOrigin>,
                origin: fn(&'static str) -> Origin| {
        let source = KeySource::Environment(variable.to_owned());
        BoundKey::new(key, source, environment, bound_to, origin(variable))
    };
    let mut keys = Vec::new();
    if environment.variable("XDEV_LLM_API_KEY").is_some() {
        let own = variables.server.as_ref().or(user.server.as_ref());
        // A name means the user's own entry here, whatever a project's file says of it.
        let url = own.map(|own| user.servers.get(own).map_or(own, |entry| &entry.url));
        keys.push(bind(
            "XDEV_LLM_API_KEY",
            "api_key",
            url.and_then(|url| origin_of(url)),
            Origin::Environment,
        ));
    }
    for (name, entry) in &user.servers {
        let source = match (&entry.api_key_env, &entry.api_key_file) {
            (Some(variable), _) => KeySource::Environment(variable.clone()),
            (None, Some(path)) => KeySource::File(path.clone()),
            (None, None) => continue,
        };
        let bound_to = normalise_url(&entry.url)?.origin().clone();
        let key = format!("servers.{name}.api_key");
        keys.push(BoundKey::new(
            key,
            source,
            environment,
            Some(bound_to),
            Origin::User(user_file.to_owned()),
        ));
    }
    if environment.variable("OPENAI_API_KEY").is_some()
        && let Some(url) = environment.variable("OPENAI_BASE_URL")
    {
        keys.push(bind("OPENAI_API_KEY", "OPENAI_API_KEY", origin_of(url), Origin::ServerVariable));
    }
    if environment.variable("LM_API_TOKEN").is_some() {
        let host = environment.variable("LMS_SERVER_HOST").unwrap_or("localhost");
        let bound_to = host_variable_url(host, LM_STUDIO_PORT).ok().map(|url| url.origin().clone());
        keys.push(bind("LM_API_TOKEN", "LM_API_TOKEN", bound_to, Origin::ServerVariable));
    }
    Ok(keys)
}

/// The origin of a URL; a text that is no URL has none, so that no key goes there. The error is raised where the
/// text is used as a server.
fn origin_of(url: &str) -> Option<UrlOrigin> {
    normalise_url(url).ok().map(|url| url.origin().clone())
}

/// How known services begin their keys, and how many characters follow at least.
const KEY_PREFIXES: [(&str, usize); 8] = [
    ("sk-", 8),
    ("hf_", 24),
    ("gsk_", 24),
    ("AIza", 24),
    ("xai-", 24),
    ("ghp_", 24),
    ("nvapi-", 24),
    ("github_pat_", 24),
];

/// Whether a text looks like an API key, so that a field that is saved with a workflow can refuse it.
///
/// Known beginnings (`sk-…`, `sk-lm-…`, `hf_…`, `gsk_…`, `AIza…`), `Bearer …`, JSON web tokens, and long random runs
/// of letters and digits do. URLs, paths, model names and words do not.
pub fn looks_like_key(text: &str) -> bool {
    let text = text.trim();
    let (text, is_bearer) = match text.split_at_checked(7) {
        Some((bearer, rest)) if bearer.eq_ignore_ascii_case("bearer ") => (rest.trim_start(), true),
        _ => (text, false),
    };
    if text.chars().any(char::is_whitespace) || text.contains("://") {
        return false;
    }
    if is_bearer {
        return text.len() >= 8 && text.bytes().any(|byte| byte.is_ascii_digit());
    }
    let in_alphabet = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b':');
    for (prefix, least) in KEY_PREFIXES {
        if let Some(rest) = text.strip_prefix(prefix) {
            return rest.len() >= least && rest.bytes().all(in_alphabet);
        }
    }
    if text.starts_with("eyJ") && text.len() >= 40 && text.split('.').count() == 3 {
        return true;
    }
    text.split(|c: char| !c.is_ascii_alphanumeric()).any(is_random)
}

/// Whether a run of letters and digits is long and mixed enough to be no word.
fn is_random(run: &str) -> bool {
    let digits = run.bytes().filter(u8::is_ascii_digit).count();
    let mut seen = [0_u32; 128];
    run.bytes().for_each(|byte| seen[usize::from(byte & 127)] += 1);
    let length = run.len() as f64;
    let entropy: f64 = seen
        .iter()
        .filter(|count| **count > 0)
        .map(|count| f64::from(*count) / length)
        .map(|share| -share * share.log2())
        .sum();
    run.len() >= 28 && digits >= 3 && digits + 3 <= run.len() && entropy >= 3.2
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn bound(source: KeySource, environment: &Environment) -> BoundKey {
        let bound_to = normalise_url("http://h").unwrap().origin().clone();
        BoundKey::new("servers.work.api_key", source, environment, Some(bound_to), Origin::BuiltIn)
    }

    #[test]
    fn keys_are_told_from_names() {
        for key in [
            "sk-proj-abcdEFGH1234",
            "sk-lm-AbCd1234:AbCdEfGhIjKlMnOpQrSt",
            "  sk-12345678  ",
            "hf_AbCdEfGhIjKlMnOpQrStUvWxYz12345678",
            "gsk_abcdefghijklmnopqrstuvwxyz0123456789",
            "AIzaSyA1234567890abcdefghijklmnopqrstuv",
            "Bearer abcd1234efgh",
            "bearer sk-12345678",
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NSJ9.c2lnbmF0dXJl",
            "9f86d081884c7d659a2feaa0c55ad015",
            "A8f3kQ92mZx71LpWv5Tn0RbYc4Hd6Jg2",
        ] {
            assert!(looks_like_key(key), "{key}");
        }
        for text in [
            "",
            "auto",
            "qwen2.5-7b-instruct",
            "lmstudio-community/Qwen2.5-Coder-32B-Instruct-GGUF",
            "deepseek-r1-distill-qwen-32b-instruct-q4_k_m.gguf",
            "hf.co/bartowski/Llama-3.2-3B-Instruct-GGUF:Q4_K_M",
            "hf_mistral-7b",
            "http://localhost:1234/v1",
            "https://h/9f86d081884c7d659a2feaa0c55ad015",
            "a photo of a cat, 8k, highly detailed",
            "Bearer of bad news",
            "Bearer mascots",
            "sk-short",
            "supercalifragilisticexpialidocious",
            "11111111111111111111111111111111",
            "550e8400-e29b-41d4-a716-446655440000",
        ] {
            assert!(!looks_like_key(text), "{text}");
        }
    }

    #[test]
    fn a_variable_that_is_not_set_is_named() {
        let key = bound(KeySource::Environment("WORK_KEY".to_owned()), &Environment::default());
        let error = key.read().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.message().contains("WORK_KEY") && error.message().contains("not set"), "{error}");
        assert!(key.describe().contains("(not set), only for http://h"), "{}", key.describe());
    }

    #[test]
    fn a_key_that_would_break_a_header_is_refused_unseen() {
        for value in ["abc def", "abc\r\nX-Evil: 1", "schlüssel"] {
            let mut environment = Environment::default();
            environment.variables.insert("WORK_KEY".to_owned(), value.to_owned());
            let key = bound(KeySource::Environment("WORK_KEY".to_owned()), &environment);
            let error = key.read().unwrap_err();
            assert!(!format!("{error:?}{key:?}{}", key.describe()).contains(value), "{error:?}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_key_file_must_be_private_small_and_filled() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let read = |bytes: &[u8], mode: u32| {
            fs::write(&path, bytes).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            bound(KeySource::File(path.clone()), &Environment::default()).read()
        };
        for mode in [0o644, 0o640, 0o604, 0o620, 0o611] {
            let error = read(b"abc", mode).unwrap_err();
            assert!(error.message().contains("chmod 600"), "{mode:o}: {error}");
        }
        assert_eq!(read(b"abc\n", 0o600).unwrap().expose_secret(), "abc");
        assert_eq!(read(b"abc\r\n", 0o400).unwrap().expose_secret(), "abc");
        assert_eq!(read(&[b'a'; 16 * 1024], 0o600).unwrap().expose_secret().len(), 16 * 1024);
        for (bytes, reason) in [
            (&b"\n"[..], "empty"),
            (b"", "empty"),
            (b"a b", "space"),
            (b"\xff\xfe", "not text"),
            (&vec![b'a'; 16 * 1024 + 1], "16 KiB"),
        ] {
            let error = read(bytes, 0o600).unwrap_err();
            assert!(error.message().contains(reason) && error.kind() == ErrorKind::Config, "{error}");
        }
        let other = |path: PathBuf| bound(KeySource::File(path), &Environment::default()).read().unwrap_err();
        assert!(other(folder.path().to_owned()).message().contains("not a regular file"));
        assert!(other(folder.path().join("missing")).message().contains("cannot be read"));
    }
}
