//! `Stats` over many replies, and `GenerationStats`, the numbers of one.
//!
//! Not here: measuring (`client`) and reading what servers tell (`wire`).

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::chat::{ChatReply, FinishReason, Source};
use crate::error::Error;

/// `Stats` gathers the numbers of many replies.
///
/// Percentiles are exact to 0.1 %, for times from a microsecond to a day.
#[derive(Clone, Debug)]
pub struct Stats {
    count: u64,
    failures: BTreeMap<&'static str, u64>,
    totals: Totals,
    time_to_first_token: Spread,
    duration: Spread,
    tokens_per_second: Spread,
}

impl Default for Stats {
    fn default() -> Self {
        Stats {
            count: 0,
            failures: BTreeMap::new(),
            totals: Totals::default(),
            time_to_first_token: Spread::new(MICROSECONDS),
            duration: Spread::new(MICROSECONDS),
            tokens_per_second: Spread::new(THOUSANDTHS),
        }
    }
}

impl Stats {
    /// Makes an empty one.
    pub fn new() -> Self {
        Stats::default()
    }

    /// Counts a reply.
    pub fn record(&mut self, reply: &ChatReply) {
        self.count += 1;
        self.totals.input_tokens += reply.usage.input_tokens.unwrap_or(0);
        self.totals.output_tokens += reply.usage.output_tokens.unwrap_or(0);
        self.totals.reasoning_tokens += reply.usage.reasoning_tokens.unwrap_or(0);
        self.totals.cached_tokens += reply.usage.cached_tokens.unwrap_or(0);
        self.time_to_first_token.record(reply.timing.time_to_first_token.map(|time| time.as_secs_f64()));
        self.duration.record(reply.timing.duration.map(|time| time.as_secs_f64()));
        self.tokens_per_second.record(reply.timing.tokens_per_second);
    }

    /// Counts a failure.
    pub fn record_failure(&mut self, error: &Error) {
        *self.failures.entry(error.code()).or_default() += 1;
    }

    /// The numbers so far.
    pub fn summary(&self) -> Summary {
        Summary {
            count: self.count,
            failures: self.failures.clone(),
            tokens: self.totals,
            time_to_first_token: self.time_to_first_token.percentiles(),
            duration: self.duration.percentiles(),
            tokens_per_second: self.tokens_per_second.percentiles(),
        }
    }
}

/// `Totals` sums tokens over replies; a reply that tells none adds none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Tokens of the prompts.
    pub input_tokens: u64,
    /// Tokens of the answers, thinking included.
    pub output_tokens: u64,
    /// Tokens of thinking.
    pub reasoning_tokens: u64,
    /// Tokens of the prompts that servers had in their cache.
    pub cached_tokens: u64,
}

/// `Summary` holds the numbers over many replies; `None` where no reply had that number.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// How many replies came.
    pub count: u64,
    /// How many requests failed, by error code.
    pub failures: BTreeMap<&'static str, u64>,
    /// Tokens of all replies.
    pub tokens: Totals,
    /// Time to the first token, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_to_first_token: Option<Percentiles>,
    /// Time to the end, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<Percentiles>,
    /// Tokens a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_per_second: Option<Percentiles>,
}

/// `Percentiles` says how a number spreads.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Percentiles {
    /// The least.
    pub min: f64,
    /// Half are at most this.
    pub p50: f64,
    /// Nine in ten are at most this.
    pub p90: f64,
    /// All but one in a hundred are at most this.
    pub p99: f64,
    /// The greatest.
    pub max: f64,
    /// The average.
    pub mean: f64,
}

/// How many of a histogram's units make one second.
const MICROSECONDS: f64 = 1e6;
/// How many of a histogram's units make one token a second.
const THOUSANDTHS: f64 = 1e3;
/// The greatest number of units that is told apart: a day in microseconds.
const HIGHEST: u64 = 86_400_000_000;

/// `Spread` is a histogram over numbers of one unit.
#[derive(Clone, Debug)]
struct Spread {
    histogram: Histogram<u64>,
    units: f64,
}

impl Spread {
    fn new(units: f64) -> Self {
        let histogram =
            Histogram::new_with_bounds(1, HIGHEST, 3).expect("1 to a day in three digits is allowed");
        Spread { histogram, units }
    }

    fn record(&mut self, value: Option<f64>) {
        if let Some(value) = value {
            self.histogram.saturating_record((value * self.units).round() as u64);
        }
    }

    fn percentiles(&self) -> Option<Percentiles> {
        let number = |units: f64| round(units / self.units);
        let at = |quantile: f64| number(self.histogram.value_at_quantile(quantile) as f64);
        (!self.histogram.is_empty()).then(|| Percentiles {
            min: number(self.histogram.min() as f64),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            max: number(self.histogram.max() as f64),
            mean: number(self.histogram.mean()),
        })
    }
}

/// Rounds to a millionth: more is noise in JSON.
fn round(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}

/// Draws numbers as a line of eight heights, from the least to the greatest; what is not a number is a space.
pub fn sparkline(values: &[f64]) -> String {
    const HEIGHTS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let finite = || values.iter().copied().filter(|value| value.is_finite());
    let (low, high) = (finite().fold(f64::INFINITY, f64::min), finite().fold(f64::NEG_INFINITY, f64::max));
    let height = |value: f64| match value {
        value if !value.is_finite() => ' ',
        _ if high <= low => HEIGHTS[0],
        // Halves, because the difference of two great numbers may be no number.
        value => HEIGHTS[((value / 2.0 - low / 2.0) / (high / 2.0 - low / 2.0) * 7.0).round() as usize],
    };
    values.iter().copied().map(height).collect()
}

/// `GenerationStats` holds the numbers of one reply, for people and for the node's `generation_stats`.
///
/// What is not known is left out. Times are seconds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GenerationStats {
    /// The server's kind, such as `lmstudio`.
    pub server_kind: String,
    /// The model asked for, after "auto" was resolved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_requested: Option<String>,
    /// The model that answered, as the server names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_answered: Option<String>,
    /// Why the answer ended: `stop`, `length`, `tool_calls` or `content_filter`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finish_reason: Option<&'static str>,
    /// Tokens of the prompt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_tokens: Option<u64>,
    /// Tokens of the answer, thinking included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_tokens: Option<u64>,
    /// Tokens of thinking.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_tokens: Option<u64>,
    /// Tokens of the prompt the server had in its cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cached_tokens: Option<u64>,
    /// Whether `output_tokens` is an estimate because the server told none.
    pub tokens_estimated: bool,
    /// From sending to the first piece of text or thinking.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_to_first_token: Option<f64>,
    /// From sending to the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<f64>,
    /// Tokens of the answer a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_per_second: Option<f64>,
    /// Who measured `tokens_per_second`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_per_second_source: Option<Source>,
    /// How long the server loaded the model for this request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_load: Option<f64>,
    /// How long the server read the prompt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt_eval: Option<f64>,
    /// Every parameter that was sent but the messages.
    pub parameters: Map<String, Value>,
    /// Parameters that were asked for and not sent, because the server does not take them.
    pub not_sent: Vec<String>,
    /// Things a person should know although the answer came.
    pub warnings: Vec<String>,
}

impl From<&ChatReply> for GenerationStats {
    fn from(reply: &ChatReply) -> Self {
        let seconds = |time: Option<Duration>| time.map(|time| round(time.as_secs_f64()));
        let (usage, timing, sent) = (&reply.usage, &reply.timing, &reply.sent);
        GenerationStats {
            server_kind: sent.server_kind.clone(),
            model_requested: sent.model.clone(),
            model_answered: reply.model.clone(),
            finish_reason: reply.finish_reason.map(FinishReason::as_str),
            input_tokens: usage.input_tokens,
            output_tokens: usage.output_tokens,
            reasoning_tokens: usage.reasoning_tokens,
            cached_tokens: usage.cached_tokens,
            tokens_estimated: usage.estimated,
            time_to_first_token: seconds(timing.time_to_first_token),
            duration: seconds(timing.duration),
            tokens_per_second: timing.tokens_per_second.map(round),
            tokens_per_second_source: timing.tokens_per_second.map(|_| timing.source),
            model_load: seconds(timing.model_load),
            prompt_eval: seconds(timing.prompt_eval),
            parameters: sent.parameters.clone(),
            not_sent: sent.not_sent.clone(),
            warnings: reply.warnings.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::{Sent, Timing, Usage};
    use crate::error::ErrorKind;

    fn reply(milliseconds: u64) -> ChatReply {
        ChatReply {
            usage: Usage { input_tokens: Some(10), output_tokens: Some(5), ..Usage::default() },
            timing: Timing {
                time_to_first_token: Some(Duration::from_millis(milliseconds)),
                tokens_per_second: Some(milliseconds as f64 / 10.0),
                ..Timing::default()
            },
            ..ChatReply::default()
        }
    }

    #[test]
    fn percentiles_are_exact_to_a_thousandth() {
        let mut stats = Stats::new();
        for milliseconds in (1..=1000).rev() {
            stats.record(&reply(milliseconds));
        }
        stats.record_failure(&Error::new(ErrorKind::Busy, "busy"));
        stats.record_failure(&Error::new(ErrorKind::Busy, "busy"));
        let summary = stats.summary();
        assert_eq!((summary.count, summary.failures["busy"]), (1000, 2));
        assert_eq!((summary.tokens.input_tokens, summary.tokens.output_tokens), (10_000, 5_000));
        assert_eq!(summary.duration, None);
        let time = summary.time_to_first_token.unwrap();
        let rate = summary.tokens_per_second.unwrap();
        for (told, expected) in [
            (time.min, 0.001),
            (time.p50, 0.5),
            (time.p90, 0.9),
            (time.p99, 0.99),
            (time.max, 1.0),
            (time.mean, 0.5005),
            (rate.p50, 50.0),
        ] {
            assert!((told / expected - 1.0).abs() <= 0.001, "{told} is not {expected}");
        }
    }

    #[test]
    fn odd_numbers_do_not_break_the_histogram() {
        let mut spread = Spread::new(MICROSECONDS);
        for value in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e-9] {
            spread.record(Some(value));
        }
        let percentiles = spread.percentiles().unwrap();
        assert!(percentiles.min < 1e-5 && percentiles.max >= 86_000.0, "{percentiles:?}");
    }

    #[test]
    fn sparklines_span_least_to_greatest() {
        assert_eq!(sparkline(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]), "▁▂▃▄▅▆▇█");
        assert_eq!(sparkline(&[5.0, f64::NAN, 5.0]), "▁ ▁");
        assert_eq!(sparkline(&[f64::MIN, f64::MAX, f64::INFINITY]), "▁█ ");
        assert_eq!(sparkline(&[]), "");
    }

    #[test]
    fn generation_stats_leave_out_what_is_unknown() {
        let empty = serde_json::to_string(&GenerationStats::from(&ChatReply::default())).unwrap();
        assert_eq!(
            empty,
            r#"{"server_kind":"","tokens_estimated":false,"parameters":{},"not_sent":[],"warnings":[]}"#
        );
        let mut full = reply(1);
        full.model = Some("b".to_owned());
        full.finish_reason = Some(FinishReason::Length);
        full.usage.estimated = true;
        full.timing.model_load = Some(Duration::from_nanos(1_234_567_891));
        full.timing.source = Source::Server;
        full.sent = Sent { server_kind: "ollama".to_owned(), model: Some("a".to_owned()), ..Sent::default() };
        full.sent.not_sent.push("min_p".to_owned());
        full.warnings.push("Another model answered.".to_owned());
        assert_eq!(
            serde_json::to_string(&GenerationStats::from(&full)).unwrap(),
            concat!(
                r#"{"server_kind":"ollama","model_requested":"a","model_answered":"b","finish_reason":"length","#,
                r#""input_tokens":10,"output_tokens":5,"tokens_estimated":true,"time_to_first_token":0.001,"#,
                r#""tokens_per_second":0.1,"tokens_per_second_source":"server","model_load":1.234568,"#,
                r#""parameters":{},"not_sent":["min_p"],"warnings":["Another model answered."]}"#
            )
        );
    }
}
