//! What may be tried again, and when.
//!
//! Only before the first event of an answer, and only failures that pass: refused, reset, busy. A model that is loading
//! is waited for. A server that refuses a field, or to stream, is asked once more without it.
//! Not here: the clocks (`stream`).

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

use crate::error::{Error, ErrorKind};
use crate::wire::Call;

/// How long to wait between two looks at a model that is loading.
const LOADING_POLL: Duration = Duration::from_millis(500);
/// The longest wait a server may ask for.
const RETRY_AFTER_CAP: Duration = Duration::from_secs(30);

/// Words that say that a field is not known, rather than that its value is wrong.
const NOT_KNOWN: &[&str] = &[
    "unsupported",
    "not supported",
    "does not support",
    "unrecognized",
    "unknown",
    "unexpected",
    "not permitted",
    "not allowed",
    "extra field",
    "extra inputs",
    "additional propert",
];

/// `Retry` decides what happens after a failure.
#[derive(Debug)]
pub(super) struct Retry {
    delays: ExponentialBackoff,
}

/// `Adjustment` is what a request leaves out after the server refused it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Adjustment {
    pub(super) without: Vec<String>,
    pub(super) no_stream: bool,
}

impl Default for Retry {
    fn default() -> Self {
        let delays = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(250))
            .with_max_delay(Duration::from_secs(4))
            .with_max_times(2)
            .with_jitter()
            .build();
        Retry { delays }
    }
}

impl Retry {
    /// How long to wait before the next try; `None` gives up. Three tries in all, save for a model that is loading.
    pub(super) fn delay(&mut self, error: &Error) -> Option<Duration> {
        if error.kind() == ErrorKind::Loading {
            return Some(LOADING_POLL);
        }
        if !error.is_temporary() {
            return None;
        }
        let delay = self.delays.next()?;
        Some(error.retry_after().map_or(delay, |asked| asked.min(RETRY_AFTER_CAP)))
    }
}

impl Adjustment {
    /// Leaves out what the server said it does not take; whether there was something new to leave out.
    pub(super) fn learn(&mut self, error: &Error, call: &Call) -> bool {
        if !matches!(error.status(), Some(400 | 404 | 422 | 500 | 501))
            && error.kind() != ErrorKind::Unsupported
        {
            return false;
        }
        let said = error.said().unwrap_or_default().to_lowercase();
        if !NOT_KNOWN.iter().any(|words| said.contains(words)) {
            return false;
        }
        // What the caller cannot do without is never left out behind its back; and "model" stands in many a complaint.
        let needed = |name: &str| matches!(name, "model" | "tools" | "tool_choice" | "response_format");
        let refused = call
            .parameters
            .keys()
            .find(|name| !needed(name) && names_word(&said, name) && !self.without.contains(name));
        match refused.map(String::as_str) {
            None => false,
            Some("stream") => !std::mem::replace(&mut self.no_stream, true),
            Some(name) => {
                self.without.push(name.to_owned());
                true
            }
        }
    }

    /// Takes the refused fields out of a call.
    pub(super) fn apply(&self, call: &mut Call) {
        if self.without.is_empty() {
            return;
        }
        let Some(body) = &call.body else { return };
        let Ok(serde_json::Value::Object(mut fields)) = serde_json::from_slice(body) else { return };
        for name in &self.without {
            fields.remove(name);
            if call.parameters.remove(name).is_some() {
                call.not_sent.push(name.clone());
            }
        }
        call.body = serde_json::to_vec(&fields).ok();
    }
}

/// Whether `name` stands in `text` as a word of its own: `stream` is not in `stream_options`.
fn names_word(text: &str, name: &str) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.match_indices(name).any(|(start, _)| {
        let before = text[..start].chars().next_back();
        let after = text[start + name.len()..].chars().next();
        !before.is_some_and(is_word) && !after.is_some_and(is_word)
    })
}

/// The wait of a `Retry-After` header in seconds; dates are not looked at.
pub(super) fn retry_after(value: &str) -> Option<Duration> {
    value.trim().parse::<f64>().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn call() -> Call {
        let body = json!({"model": "m", "messages": [], "stream": true, "top_k": 40, "temperature": 0.5,
                          "stream_options": {"include_usage": true}});
        Call::post("x", body.as_object().unwrap().clone(), &["messages"], vec![])
    }

    fn refusal(said: &str) -> Error {
        Error::new(ErrorKind::Unsupported, "refused").with_status(400).with_said(said)
    }

    #[test]
    fn a_refused_field_is_left_out_once() {
        let (mut adjustment, mut call) = (Adjustment::default(), call());
        let refused = refusal("Unsupported parameter: 'top_k' is not supported with this model.");
        assert!(adjustment.learn(&refused, &call));
        adjustment.apply(&mut call);
        let body: serde_json::Value = serde_json::from_slice(call.body.as_ref().unwrap()).unwrap();
        assert_eq!((body.get("top_k"), call.not_sent), (None, vec!["top_k".to_owned()]));
        assert!(!adjustment.learn(&refused, &self::call()), "the same refusal again is final");
    }

    #[test]
    fn stream_is_not_stream_options() {
        let mut adjustment = Adjustment::default();
        assert!(adjustment.learn(&refusal("'stream_options' is not supported"), &call()));
        assert_eq!(adjustment, Adjustment { without: vec!["stream_options".into()], no_stream: false });
        assert!(adjustment.learn(&refusal("Unsupported: stream"), &call()));
        assert!(adjustment.no_stream);
    }

    #[test]
    fn a_wrong_value_is_not_a_refused_field() {
        let wrong = refusal("temperature must be non-negative, got -1.0");
        assert!(!Adjustment::default().learn(&wrong, &call()));
    }

    #[test]
    fn three_tries_and_the_servers_wish() {
        let mut retry = Retry::default();
        let busy = Error::new(ErrorKind::Busy, "busy").with_retry_after(Duration::from_secs(7));
        assert_eq!(retry.delay(&busy), Some(Duration::from_secs(7)));
        assert!(retry.delay(&busy).is_some());
        assert_eq!(retry.delay(&busy), None);
        assert_eq!(Retry::default().delay(&Error::new(ErrorKind::Server, "x")), None);
        let loading = Error::new(ErrorKind::Loading, "loading");
        assert!((0..50).all(|_| retry.delay(&loading).is_some()));
        assert_eq!(retry_after("1.5"), Some(Duration::from_millis(1500)));
        assert_eq!(retry_after("-1"), None);
    }
}
