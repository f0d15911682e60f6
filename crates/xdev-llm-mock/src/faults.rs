//! Faults: what a server can do wrong, by name, with a line of explanation each.
//!
//! A fault is data. Those that replace the whole answer are turned into a reply here; those that
//! spoil a stream are carried out by `emit`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::http::Reply;

/// The message every injected error carries.
pub const FAULT_MESSAGE: &str = "The model has crashed without additional information. (Exit code: 139)";

/// `Fault` is one way to answer wrongly. Positions count tokens of the answer from 0 (reasoning first); a
/// position past the end acts at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Half an event is sent, then the connection closes without a chunk terminator.
    CutMidEvent {
        /// Whole tokens sent before.
        after_tokens: usize,
    },
    /// No `[DONE]`.
    NoDone,
    /// No event with a finish reason.
    NoFinish,
    /// Neither finish reason nor `[DONE]`; the body ends cleanly.
    NoFinishNoDone,
    /// Status 200 and a JSON error object instead of an answer.
    ErrorBody200,
    /// `event: error` in the stream, then its end (LM Studio).
    ErrorEvent {
        /// Tokens sent before.
        after_tokens: usize,
    },
    /// A field named `error` in the stream, then `[DONE]` (llama.cpp through 2025).
    ErrorField {
        /// Tokens sent before.
        after_tokens: usize,
    },
    /// `data: {"error":…}` in the stream, then its end (llama.cpp, vLLM).
    ErrorData {
        /// Tokens sent before.
        after_tokens: usize,
    },
    /// A bare JSON line in the event stream, then its end (Lemonade to 11.5).
    UnframedError {
        /// Tokens sent before.
        after_tokens: usize,
    },
    /// A byte-order mark before the first event.
    Bom,
    /// Lines end with CR LF.
    CrLf,
    /// Lines end with a lone CR.
    CrOnly,
    /// A comment before every event.
    Comments,
    /// Every event as three `data:` lines.
    MultiData,
    /// The last event has no line end at all.
    NoBlankLineAtEnd,
    /// One more text event after `[DONE]`.
    DataAfterDone,
    /// After the finish event nothing more is sent and the connection stays open.
    KeepOpenAfterFinish,
    /// Silence, connection open.
    Stall {
        /// Tokens sent before.
        after_tokens: usize,
    },
    /// The connection is reset (RST).
    Reset {
        /// Tokens sent before.
        after_tokens: usize,
    },
    /// The connection is reset before any byte of the answer.
    ResetBeforeHeaders,
    /// The connection closes before any byte of the answer.
    CloseBeforeHeaders,
    /// `Content-Length` is 100 bytes more than the body, then the connection closes.
    ContentLengthTooLong,
    /// The body is packed with gzip, asked for or not.
    Gzip,
    /// One event line that never ends.
    EndlessLine,
    /// A long answer in tokens of 4096 bytes.
    HugeAnswer {
        /// Bytes of text in all.
        bytes: usize,
    },
    /// Status 200 and a web page.
    HtmlPage,
    /// Status 502 and a proxy's web page.
    Html502,
    /// Any status, body and headers.
    Status {
        /// The status code.
        code: u16,
        /// The body, sent as JSON when it starts with `{` and as text otherwise.
        body: String,
        /// Further headers.
        headers: Vec<(String, String)>,
    },
    /// Status 429 with `Retry-After`.
    TooManyRequests {
        /// Value of `Retry-After`: seconds or an HTTP date; empty for none.
        retry_after: String,
    },
    /// Status 503 as llama.cpp answers while it loads.
    Loading503,
    /// Status 200 and no body.
    EmptyBody,
    /// An event stream without an event.
    EmptyStream,
    /// One JSON answer although a stream was asked for.
    WholeJson,
    /// One event that is not JSON, between good ones.
    NotJsonChunk {
        /// Tokens sent before.
        at: usize,
    },
    /// An event whose `choices` is null before the first token.
    NullChoices,
    /// A token with bytes that are not UTF-8, after the first.
    InvalidUtf8,
    /// A token with half a surrogate pair as a JSON escape, after the first.
    LoneSurrogate,
    /// A token with U+0000, after the first.
    Nul,
    /// `content` twice in one object, the last one right.
    DuplicateKeys,
    /// Every JSON number as a string.
    NumbersAsStrings,
    /// Running usage on every event.
    ContinuousUsage,
    /// Status 400 naming a parameter, as long as the request has it.
    RejectParam(String),
    /// Status 400 as long as the request asks for a stream.
    RejectStream,
    /// Status 307 to this address.
    Redirect(String),
    /// The server closes a connection after this idle time.
    CloseIdleAfter(Duration),
    /// No `Content-Type`.
    ContentTypeless,
    /// `Content-Type: text/plain`.
    TextPlain,
    /// Another `id` and `created` on every event, and fields nobody knows.
    ExtraFields,
}

/// Faults as they are written on a command line, with a line of explanation each.
pub const FAULTS: &[(&str, &str)] = &[
    ("cut-mid-event:N", "close in the middle of the event after N tokens"),
    ("no-done", "no [DONE]"),
    ("no-finish", "no finish reason"),
    ("no-finish-no-done", "neither finish reason nor [DONE]"),
    ("error-body-200", "200 and a JSON error object"),
    ("error-event:N", "event: error after N tokens"),
    ("error-field:N", "a field named error after N tokens"),
    ("error-data:N", "data: {\"error\":…} after N tokens"),
    ("unframed-error:N", "a bare JSON error line after N tokens"),
    ("bom", "byte-order mark first"),
    ("cr-lf", "lines end with CR LF"),
    ("cr-only", "lines end with CR"),
    ("comments", "a comment before every event"),
    ("multi-data", "three data: lines an event"),
    ("no-blank-line-at-end", "last event without line end"),
    ("data-after-done", "a text event after [DONE]"),
    ("keep-open-after-finish", "silence after the finish reason, connection open"),
    ("stall:N", "silence after N tokens, connection open"),
    ("reset:N", "TCP reset after N tokens"),
    ("reset-before-headers", "TCP reset before any byte"),
    ("close-before-headers", "close before any byte"),
    ("content-length-too-long", "Content-Length promises 100 bytes more"),
    ("gzip", "body packed with gzip"),
    ("endless-line", "a line that never ends"),
    ("huge-answer:BYTES", "an answer of that many bytes"),
    ("html-page", "200 and a web page"),
    ("html-502", "502 and a web page"),
    ("status:CODE[:BODY]", "that status and body"),
    ("too-many-requests[:SECONDS]", "429 with Retry-After"),
    ("loading-503", "503 Loading model"),
    ("empty-body", "200 and nothing"),
    ("empty-stream", "an event stream without an event"),
    ("whole-json", "one JSON answer although a stream was asked for"),
    ("not-json-chunk:N", "an event that is not JSON after N tokens"),
    ("null-choices", "an event whose choices is null"),
    ("invalid-utf8", "bytes that are not UTF-8 in a token"),
    ("lone-surrogate", "half a surrogate pair in a token"),
    ("nul", "U+0000 in a token"),
    ("duplicate-keys", "content twice in one object"),
    ("numbers-as-strings", "JSON numbers as strings"),
    ("continuous-usage", "usage on every event"),
    ("reject-param:NAME", "400 while the request has that parameter"),
    ("reject-stream", "400 while the request asks for a stream"),
    ("redirect:URL", "307 to that address"),
    ("close-idle-after:MS", "close idle connections after that time"),
    ("content-typeless", "no Content-Type"),
    ("text-plain", "Content-Type: text/plain"),
    ("extra-fields", "id and created change on every event, unknown fields"),
];

/// `ParseError` says which part of a written script, fault or personality is not understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError(pub(crate) String);

impl fmt::Display for ParseError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for ParseError {}

impl FromStr for Fault {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Fault, ParseError> {
        let (name, rest) = text.split_once(':').unwrap_or((text, ""));
        let number = || {
            rest.parse::<usize>().map_err(|_| {
                ParseError(format!("fault `{text}` needs a number after the colon, as in `{name}:3`"))
            })
        };
        let words = || match rest {
            "" => Err(ParseError(format!("fault `{text}` needs a value after the colon"))),
            rest => Ok(rest.to_owned()),
        };
        Ok(match name {
            "cut-mid-event" => Fault::CutMidEvent { after_tokens: number()? },
            "error-event" => Fault::ErrorEvent { after_tokens: number()? },
            "error-field" => Fault::ErrorField { after_tokens: number()? },
            "error-data" => Fault::ErrorData { after_tokens: number()? },
            "unframed-error" => Fault::UnframedError { after_tokens: number()? },
            "stall" => Fault::Stall { after_tokens: number()? },
            "reset" => Fault::Reset { after_tokens: number()? },
            "huge-answer" => Fault::HugeAnswer { bytes: number()? },
            "not-json-chunk" => Fault::NotJsonChunk { at: number()? },
            "close-idle-after" => Fault::CloseIdleAfter(Duration::from_millis(number()? as u64)),
            "too-many-requests" => Fault::TooManyRequests { retry_after: rest.to_owned() },
            "reject-param" => Fault::RejectParam(words()?),
            "redirect" => Fault::Redirect(words()?),
            "status" => parse_status(text, rest)?,
            _ if !rest.is_empty() => return Err(unknown(text)),
            _ => plain(name).ok_or_else(|| unknown(text))?,
        })
    }
}

fn unknown(text: &str) -> ParseError {
    ParseError(format!("fault `{text}` is not known; `--list` shows all of them"))
}

fn parse_status(text: &str, rest: &str) -> Result<Fault, ParseError> {
    let (code, body) = rest.split_once(':').unwrap_or((rest, ""));
    let code = code
        .parse()
        .map_err(|_| ParseError(format!("fault `{text}` needs a status code, as in `status:500:text`")))?;
    Ok(Fault::Status { code, body: body.to_owned(), headers: Vec::new() })
}

fn plain(name: &str) -> Option<Fault> {
    Some(match name {
        "no-done" => Fault::NoDone,
        "no-finish" => Fault::NoFinish,
        "no-finish-no-done" => Fault::NoFinishNoDone,
        "error-body-200" => Fault::ErrorBody200,
        "bom" => Fault::Bom,
        "cr-lf" => Fault::CrLf,
        "cr-only" => Fault::CrOnly,
        "comments" => Fault::Comments,
        "multi-data" => Fault::MultiData,
        "no-blank-line-at-end" => Fault::NoBlankLineAtEnd,
        "data-after-done" => Fault::DataAfterDone,
        "keep-open-after-finish" => Fault::KeepOpenAfterFinish,
        "reset-before-headers" => Fault::ResetBeforeHeaders,
        "close-before-headers" => Fault::CloseBeforeHeaders,
        "content-length-too-long" => Fault::ContentLengthTooLong,
        "gzip" => Fault::Gzip,
        "endless-line" => Fault::EndlessLine,
        "html-page" => Fault::HtmlPage,
        "html-502" => Fault::Html502,
        "loading-503" => Fault::Loading503,
        "empty-body" => Fault::EmptyBody,
        "empty-stream" => Fault::EmptyStream,
        "whole-json" => Fault::WholeJson,
        "null-choices" => Fault::NullChoices,
        "invalid-utf8" => Fault::InvalidUtf8,
        "lone-surrogate" => Fault::LoneSurrogate,
        "nul" => Fault::Nul,
        "duplicate-keys" => Fault::DuplicateKeys,
        "numbers-as-strings" => Fault::NumbersAsStrings,
        "continuous-usage" => Fault::ContinuousUsage,
        "reject-stream" => Fault::RejectStream,
        "content-typeless" => Fault::ContentTypeless,
        "text-plain" => Fault::TextPlain,
        "extra-fields" => Fault::ExtraFields,
        _ => return None,
    })
}

impl Fault {
    /// The token count at which this fault acts; `None` when it acts elsewhere.
    pub(crate) fn position(&self) -> Option<usize> {
        match self {
            Fault::CutMidEvent { after_tokens }
            | Fault::ErrorEvent { after_tokens }
            | Fault::ErrorField { after_tokens }
            | Fault::ErrorData { after_tokens }
            | Fault::UnframedError { after_tokens }
            | Fault::Stall { after_tokens }
            | Fault::Reset { after_tokens }
            | Fault::NotJsonChunk { at: after_tokens } => Some(*after_tokens),
            Fault::EndlessLine => Some(0),
            _ => None,
        }
    }

    /// The reply that stands in for the whole answer; `None` when this fault does not replace it.
    /// `refuse` makes the personality's own 400 from a message and a parameter's name.
    pub(crate) fn reply(
        &self,
        body: &serde_json::Value,
        refuse: impl Fn(&str, &str) -> Reply,
    ) -> Option<Reply> {
        Some(match self {
            Fault::ErrorBody200 => Reply::json(
                200,
                format!(r#"{{"error":{{"message":"{FAULT_MESSAGE}","type":"server_error","param":null,"code":null}}}}"#),
            ),
            Fault::HtmlPage => Reply::html(200, "<!doctype html><html><head><title>App</title></head><body>App</body></html>"),
            Fault::Html502 => Reply::html(
                502,
                "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n</body>\r\n</html>\r\n",
            )
            .with("Server", "nginx"),
            Fault::Status { code, body, headers } => {
                let reply = if body.starts_with('{') {
                    Reply::json(*code, body.as_str())
                } else {
                    Reply::text(*code, body)
                };
                headers.iter().fold(reply, |reply, (name, value)| reply.with(name, value))
            }
            Fault::TooManyRequests { retry_after } => {
                let reply = Reply::json(
                    429,
                    r#"{"error":{"message":"Rate limit reached","type":"rate_limit_error","param":null,"code":"rate_limit_exceeded"}}"#,
                );
                if retry_after.is_empty() { reply } else { reply.with("Retry-After", retry_after) }
            }
            Fault::Loading503 => loading_503(),
            Fault::EmptyBody => Reply::json(200, ""),
            Fault::RejectParam(name) if body.get(name).is_some() => {
                refuse(&format!("Unsupported parameter: '{name}' is not supported with this model."), name)
            }
            Fault::RejectStream if body["stream"] == true => {
                refuse("Unsupported value: 'stream' does not support true with this model.", "stream")
            }
            Fault::Redirect(address) => Reply::empty(307).with("Location", address),
            _ => return None,
        })
    }
}

/// llama.cpp's answer while the model loads.
pub(crate) fn loading_503() -> Reply {
    Reply::new(
        503,
        "application/json; charset=utf-8",
        r#"{"error":{"message":"Loading model","type":"unavailable_error","code":503}}"#,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listed_fault_parses() {
        for (spec, _) in FAULTS {
            let example = spec
                .replace("[:BODY]", "")
                .replace("[:SECONDS]", "")
                .replace("CODE", "500")
                .replace("BYTES", "9")
                .replace("MS", "9")
                .replace("NAME", "top_k")
                .replace("URL", "http://h/");
            let example = example.strip_suffix(":N").map_or(example.clone(), |name| format!("{name}:3"));
            assert!(example.parse::<Fault>().is_ok(), "{example}");
        }
    }

    #[test]
    fn values_are_read_and_errors_say_what_is_missing() {
        assert_eq!("stall:3".parse(), Ok(Fault::Stall { after_tokens: 3 }));
        assert_eq!(
            "status:418:a:b".parse(),
            Ok(Fault::Status { code: 418, body: "a:b".into(), headers: vec![] })
        );
        assert_eq!("redirect:http://a/b".parse(), Ok(Fault::Redirect("http://a/b".into())));
        assert!("stall".parse::<Fault>().unwrap_err().to_string().contains("needs a number"));
        assert!("nonsense".parse::<Fault>().unwrap_err().to_string().contains("not known"));
        assert!("no-done:3".parse::<Fault>().is_err());
    }
}
