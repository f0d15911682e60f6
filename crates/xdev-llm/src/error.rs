//! The one error of the library, its kinds, and the cure for each.
//!
//! A failure says what happened, where, and what to do, and quotes the server's own words. Prompts and keys never
//! enter an error. The table behind [`ErrorKind`] also renders `docs/errors.md`.
//! Not here: how an HTTP answer becomes an error (`wire`), exit codes printed by the command (they are read from here).

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use crate::chat::ChatReply;

/// The result of everything that can fail in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// `Phase` names the part of a request that a clock ran out on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// The TCP connection was not accepted in time.
    Connect,
    /// The server accepted the request and then sent nothing.
    FirstEvent,
    /// The server began to answer and then fell silent.
    Silence,
    /// The whole answer took longer than the deadline.
    Deadline,
}

/// `ErrorKind` says which family a failure belongs to; its [`code`](ErrorKind::code) is stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A value the caller gave is wrong: a range, a URL, history that is not JSON.
    InvalidInput,
    /// The configuration is wrong, or forbids what was asked.
    Config,
    /// Nothing answers at the address.
    Unreachable,
    /// A clock ran out.
    Timeout(Phase),
    /// The server wants a key, or refused the one it got.
    Unauthorized,
    /// The model is not there, or none is loaded.
    NoModel,
    /// The server is still loading its model.
    Loading,
    /// The prompt is longer than the model's context.
    ContextOverflow,
    /// The server or the model cannot do what was asked.
    Unsupported,
    /// The server has too much to do.
    Busy,
    /// The server failed.
    Server,
    /// What came back is not what the protocol promises.
    Protocol,
    /// The answer ended before its end; [`Error::partial`] holds what had arrived.
    CutOff,
    /// The answer has no text; the message says why.
    EmptyAnswer,
    /// The caller cancelled.
    Interrupted,
    /// A file could not be read or written.
    Store,
    /// The built-in engine could not be installed, started or kept alive.
    Engine,
}

/// One row of the table that documents the kinds.
struct Row {
    code: &'static str,
    exit_code: u8,
    meaning: &'static str,
    hint: &'static str,
}

impl ErrorKind {
    /// Every kind once, in the order of the documentation.
    pub const ALL: [ErrorKind; 20] = [
        ErrorKind::InvalidInput,
        ErrorKind::Config,
        ErrorKind::Unreachable,
        ErrorKind::Timeout(Phase::Connect),
        ErrorKind::Timeout(Phase::FirstEvent),
        ErrorKind::Timeout(Phase::Silence),
        ErrorKind::Timeout(Phase::Deadline),
        ErrorKind::Unauthorized,
        ErrorKind::NoModel,
        ErrorKind::Loading,
        ErrorKind::ContextOverflow,
        ErrorKind::Unsupported,
        ErrorKind::Busy,
        ErrorKind::Server,
        ErrorKind::Protocol,
        ErrorKind::CutOff,
        ErrorKind::EmptyAnswer,
        ErrorKind::Interrupted,
        ErrorKind::Store,
        ErrorKind::Engine,
    ];

    /// The stable name of the kind, for programs.
    pub fn code(self) -> &'static str {
        self.row().code
    }

    /// The exit code of the command for this kind.
    pub fn exit_code(self) -> u8 {
        self.row().exit_code
    }

    /// What the kind means, in one sentence.
    pub fn meaning(self) -> &'static str {
        self.row().meaning
    }

    /// What a person can do about it.
    pub fn hint(self) -> &'static str {
        self.row().hint
    }

    /// Whether the same request may succeed a little later.
    pub fn is_temporary(self) -> bool {
        matches!(
            self,
            ErrorKind::Unreachable
                | ErrorKind::Timeout(Phase::Connect)
                | ErrorKind::Loading
                | ErrorKind::Busy
        )
    }

    #[expect(clippy::too_many_lines, reason = "a table with a line or two for each kind")]
    fn row(self) -> Row {
        let (code, exit_code, meaning, hint) = match self {
            ErrorKind::InvalidInput => (
                "invalid_input",
                2,
                "A value you gave is wrong.",
                "Correct the value the message names; the help of each flag and the tooltip of each widget tell its range and form.",
            ),
            ErrorKind::Config => (
                "config",
                3,
                "The configuration is wrong, or forbids what was asked.",
                "`xdev-llm config show` prints every value and where it comes from; `xdev-llm config edit` opens your file.",
            ),
            ErrorKind::Unreachable => (
                "unreachable",
                4,
                "Nothing answers at the address.",
                "Start the server (LM Studio: Developer tab, Start server; Ollama: `ollama serve`) and check the port. The doctor (`xdev-llm doctor`, or the LLM Doctor node) looks at every step.",
            ),
            ErrorKind::Timeout(Phase::Connect) => (
                "timeout_connect",
                5,
                "The connection was not accepted in time.",
                "Check that the server runs on this address and that no firewall drops the packets.",
            ),
            ErrorKind::Timeout(Phase::FirstEvent) => (
                "timeout_first_event",
                5,
                "The server took the request and then sent nothing.",
                "The model may still be loading or reading a long prompt: raise the timeout (5-300 s), or load the model first.",
            ),
            ErrorKind::Timeout(Phase::Silence) => (
                "timeout_silence",
                5,
                "The server began to answer and then fell silent.",
                "Look at the server's log: it may have crashed or run out of memory. Raise the timeout if it is only slow.",
            ),
            ErrorKind::Timeout(Phase::Deadline) => (
                "timeout_deadline",
                5,
                "The whole answer took longer than the deadline.",
                "Raise the deadline, or ask for fewer tokens.",
            ),
            ErrorKind::Unauthorized => (
                "unauthorized",
                6,
                "The server wants a key, or refused the one it got.",
                "Give the server a name under [servers] in your config with `api_key_env` or `api_key_file`. Keys are never taken from a workflow.",
            ),
            ErrorKind::NoModel => (
                "no_model",
                7,
                "The model is not there, or none is loaded.",
                "`xdev-llm models` lists what the server has. Load or download a model there, or use the model \"auto\".",
            ),
            ErrorKind::Loading => (
                "loading",
                8,
                "The server is still loading its model.",
                "Wait a little and ask again, or raise the timeout.",
            ),
            ErrorKind::ContextOverflow => (
                "context_overflow",
                9,
                "The prompt is longer than the model's context.",
                "Shorten the prompt or the history, or load the model with a larger context length.",
            ),
            ErrorKind::Unsupported => (
                "unsupported",
                10,
                "The server or the model cannot do what was asked.",
                "Leave the named feature out, or use a model that has it.",
            ),
            ErrorKind::Busy => (
                "busy",
                11,
                "The server has too much to do.",
                "Wait and ask again, or lower the number of requests at once (`concurrency`).",
            ),
            ErrorKind::Server => (
                "server",
                12,
                "The server failed.",
                "The server's log tells more. A crashed model has to be loaded again.",
            ),
            ErrorKind::Protocol => (
                "protocol",
                13,
                "What came back is not what the protocol promises.",
                "Check that the address is a model server with an OpenAI-compatible API and that a model is loaded. The doctor (`xdev-llm doctor`, or the LLM Doctor node) shows what answers there.",
            ),
            ErrorKind::CutOff => (
                "cut_off",
                14,
                "The answer ended before its end; what had arrived is kept as partial.",
                "Ask again. If it happens every time, look at the server's log for a crash or an unloaded model.",
            ),
            ErrorKind::EmptyAnswer => (
                "empty_answer",
                15,
                "The answer has no text.",
                "Raise max_tokens, or turn reasoning off (`--reasoning off`), as the message says.",
            ),
            ErrorKind::Interrupted => ("interrupted", 130, "You cancelled.", "Ask again when you are ready."),
            ErrorKind::Store => (
                "store",
                16,
                "A file could not be read or written.",
                "Check the path, the free space and the permissions.",
            ),
            ErrorKind::Engine => (
                "engine",
                17,
                "The built-in engine could not be installed, started or kept alive.",
                "`xdev-llm engine status` shows what it found; `xdev-llm engine install` installs it.",
            ),
        };
        Row { code, exit_code, meaning, hint }
    }
}

/// `Error` is a failure with its place, the server's own words and the cure.
///
/// It is one pointer wide. [`Display`](fmt::Display) gives one line; [`hint`](Error::hint) gives the cure.
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: ErrorKind,
    message: String,
    server: Option<String>,
    said: Option<String>,
    status: Option<u16>,
    hint: Option<String>,
    retry_after: Option<Duration>,
    partial: Option<ChatReply>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// Makes an error of `kind` whose message says what happened and where.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Error(Box::new(Inner {
            kind,
            message: message.into(),
            server: None,
            said: None,
            status: None,
            hint: None,
            retry_after: None,
            partial: None,
            source: None,
        }))
    }

    /// Makes an [`ErrorKind::InvalidInput`].
    pub fn invalid_input(message: impl Into<String>) -> Self {
        Error::new(ErrorKind::InvalidInput, message)
    }

    /// Names the server, as it is shown to people (a URL without user name and password).
    pub fn with_server(mut self, server: impl Into<String>) -> Self {
        self.0.server.get_or_insert_with(|| server.into());
        self
    }

    /// Adds the server's own words, cut to 500 characters.
    pub fn with_said(mut self, said: impl Into<String>) -> Self {
        let said: String = said.into();
        let said = said.trim();
        if !said.is_empty() {
            self.0.said = Some(match said.char_indices().nth(500) {
                Some((end, _)) => format!("{}…", &said[..end]),
                None => said.to_owned(),
            });
        }
        self
    }

    /// Takes `text` out of the server's words: some servers repeat the prompt in what they complain about.
    pub fn without_text(mut self, text: &str) -> Self {
        if text.chars().count() >= 4
            && let Some(said) = &mut self.0.said
            && said.contains(text)
        {
            *said = said.replace(text, "[…]");
        }
        self
    }

    /// Adds the HTTP status.
    pub fn with_status(mut self, status: u16) -> Self {
        self.0.status = Some(status);
        self
    }

    /// Replaces the kind's general hint by one for this very failure.
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Adds the wait the server asked for.
    pub fn with_retry_after(mut self, wait: Duration) -> Self {
        self.0.retry_after = Some(wait);
        self
    }

    /// Adds what had arrived before the failure.
    pub fn with_partial(mut self, partial: ChatReply) -> Self {
        self.0.partial = Some(partial);
        self
    }

    /// Adds the cause.
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// The family of the failure.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The stable name of the kind, for programs.
    pub fn code(&self) -> &'static str {
        self.0.kind.code()
    }

    /// What happened, without the server's words.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The server it happened at.
    pub fn server(&self) -> Option<&str> {
        self.0.server.as_deref()
    }

    /// The server's own words.
    pub fn said(&self) -> Option<&str> {
        self.0.said.as_deref()
    }

    /// The HTTP status, where one came.
    pub fn status(&self) -> Option<u16> {
        self.0.status
    }

    /// What a person can do about it.
    pub fn hint(&self) -> &str {
        self.0.hint.as_deref().unwrap_or_else(|| self.0.kind.hint())
    }

    /// The wait the server asked for.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// What had arrived before the failure.
    pub fn partial(&self) -> Option<&ChatReply> {
        self.0.partial.as_ref()
    }

    /// Whether the same request may succeed a little later.
    pub fn is_temporary(&self) -> bool {
        self.0.kind.is_temporary()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        if let Some(server) = &self.0.server
            && !self.0.message.contains(server.as_str())
        {
            write!(f, " (at {server})")?;
        }
        if let Some(said) = &self.0.said {
            write!(f, " The server said: \"{said}\"")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {self}", self.code())?;
        if let Some(status) = self.0.status {
            write!(f, "\n  status: {status}")?;
        }
        if self.0.partial.is_some() {
            f.write_str("\n  partial: yes")?;
        }
        let mut source = self.source();
        while let Some(cause) = source {
            write!(f, "\n  caused by: {cause}")?;
            source = cause.source();
        }
        write!(f, "\n  hint: {}", self.hint())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_every_row_speaks() {
        let mut codes: Vec<_> = ErrorKind::ALL.iter().map(|kind| kind.code()).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), ErrorKind::ALL.len());
        for kind in ErrorKind::ALL {
            assert!(kind.meaning().ends_with('.') && kind.hint().ends_with(['.', '`', ')']), "{kind:?}");
            assert!(kind.exit_code() > 1, "{kind:?} must not share the exit code of a crash");
        }
    }

    #[test]
    fn display_quotes_the_server_once_and_cuts_long_words() {
        let error = Error::new(ErrorKind::Server, "The server failed.")
            .with_server("http://localhost:1234")
            .with_said("é".repeat(600));
        let shown = error.to_string();
        assert!(shown.starts_with("The server failed. (at http://localhost:1234) The server said: \"éé"));
        assert!(shown.ends_with("é…\""));
        assert_eq!(std::mem::size_of::<Error>(), std::mem::size_of::<usize>());
    }
}
