//! JSON out of prose: finds what a model wrote, mends it, and parses it.
//!
//! The mending itself is in `mend`. Not here: checking the value against a schema (`schema`).

mod mend;

use std::ops::Range;

use memchr::memchr2_iter;
use serde_json::Value;

use self::mend::{Mended, mend};
use crate::error::{Error, Result};

/// `Parsed` is the JSON value of an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Parsed {
    /// The value.
    pub value: Value,
    /// Whether the text was not strictly JSON and was mended.
    pub mended: bool,
    /// Whether the text ended before the value did; then `value` has all that was complete, and the start of a string.
    pub cut_off: bool,
}

/// Finds the JSON value in an answer, as it is written there: the whole answer where that is JSON, else the longest
/// object or array in a code block, else the longest in the text.
///
/// A `[` right after a letter, digit or bracket is an index such as `a[0]`, and no value.
pub fn find(text: &str) -> Option<&str> {
    locate(text).map(|(range, _)| &text[range])
}

/// Parses the JSON value that [`find`] finds, and mends it where it must: trailing commas, single quotes, unquoted
/// keys, comments, Python's `True`, `False` and `None`, raw line breaks and wrong escapes in strings, a missing end.
/// `NaN` and `undefined` become null.
///
/// # Errors
/// [`InvalidInput`](crate::ErrorKind::InvalidInput) where there is none; the text is not quoted.
pub fn parse(text: &str) -> Result<Parsed> {
    locate(text).map(|(_, parsed)| parsed).ok_or_else(|| {
        Error::invalid_input(format!(
            "There is no JSON in the answer of {} characters.",
            text.chars().count()
        ))
        .with_hint("Ask for JSON only, or give the server a `response_format`.")
    })
}

fn locate(text: &str) -> Option<(Range<usize>, Parsed)> {
    strict(text, 0..text.len())
        .or_else(|| {
            longest(
                fenced(text).filter_map(|range| strict(text, range.clone()).or_else(|| search(text, range))),
            )
        })
        .or_else(|| search(text, 0..text.len()))
}

/// The part without the white space around it, where that is JSON.
fn strict(text: &str, range: Range<usize>) -> Option<(Range<usize>, Parsed)> {
    let part = &text[range.clone()];
    let start = range.start + part.len() - part.trim_start().len();
    let part = part.trim();
    let value = serde_json::from_str(part).ok()?;
    Some((start..start + part.len(), Parsed { value, mended: false, cut_off: false }))
}

/// The insides of code blocks, without the language's name; the last may lack its end.
fn fenced(text: &str) -> impl Iterator<Item = Range<usize>> {
    let mut fences = text.split_inclusive('\n').scan(0, |at, line| {
        let start = *at;
        *at += line.len();
        let code = line.trim_start().strip_prefix("```");
        let after =
            code.map(|code| start + line.len() - code.trim_start_matches(char::is_alphanumeric).len());
        Some((start, after))
    });
    let length = text.len();
    let mut next = move || fences.find_map(|(start, after)| after.map(|after| (start, after)));
    std::iter::from_fn(move || {
        let (_, from) = next()?;
        let to = next().map_or(length, |(start, _)| start);
        Some(from..to)
    })
}

/// How many times the length of the text may be read in search of a value: brackets that lead nowhere are many in
/// some texts, and each is read only once in most.
const PASSES: usize = 8;

/// The longest object or array in a part of the text.
fn search(text: &str, range: Range<usize>) -> Option<(Range<usize>, Parsed)> {
    let part = &text[range.clone()];
    let mut budget = PASSES * part.len();
    let mut from = 0;
    let mut found: Option<(Range<usize>, Mended)> = None;
    for at in memchr2_iter(b'{', b'[', part.as_bytes()) {
        let index = part.as_bytes()[at] == b'['
            && part[..at].ends_with(|c: char| c.is_alphanumeric() || matches!(c, ')' | ']' | '_'));
        if at < from || index {
            continue;
        }
        let (read, mended) = mend(&part[at..]);
        if let Some(mended) = mended {
            from = at + read;
            if found.as_ref().is_none_or(|(longest, _)| longest.len() < read) {
                found = Some((range.start + at..range.start + from, mended));
            }
        }
        if budget < read {
            break;
        }
        budget -= read;
    }
    let (range, mended) = found?;
    let value = serde_json::from_str(&mended.json).ok()?;
    Some((range, Parsed { value, mended: mended.changed, cut_off: mended.cut_off }))
}

fn longest(all: impl Iterator<Item = (Range<usize>, Parsed)>) -> Option<(Range<usize>, Parsed)> {
    all.reduce(|longest, next| if next.0.len() > longest.0.len() { next } else { longest })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_found_in_prose() {
        let table = [
            (r#" {"a":1} "#, r#"{"a":1}"#),
            ("42", "42"),
            ("\"x\"", "\"x\""),
            (r#"Here is the JSON: {"a":"}"} Enjoy [it]!"#, r#"{"a":"}"}"#),
            ("Sure!\n```json\n{\"a\":1}\n```\nAs [1, 2, 3, 4] says.", r#"{"a":1}"#),
            ("```\n1\n```\n~ ```json\n{\"a\":1}\n```", "1"),
            ("```json {\"a\":[1]}```", r#"{"a":[1]}"#),
            ("  ```JSON\n  [1]\n  ```", "[1]"),
            ("As [1] says, a[0] = {\"a\": 1}.", r#"{"a": 1}"#),
            ("```python\nx = a[0]\n```\nThe result is {\"a\":1}.", r#"{"a":1}"#),
            ("[see {\"a\":1}]", r#"{"a":1}"#),
            ("{\"a\":\"```\"} x", r#"{"a":"```"}"#),
        ];
        for (text, expected) in table {
            assert_eq!(find(text), Some(expected), "{text}");
            let parsed = parse(text).unwrap();
            assert_eq!(parsed.value, serde_json::from_str::<Value>(expected).unwrap());
            assert!(!parsed.mended && !parsed.cut_off, "{text}");
        }
        for text in ["", "No.", "a[0] and f(x)[1]", "{not json}", "(see [", "{", "[interval 0, 1)"] {
            assert_eq!(find(text), None, "{text}");
        }
        let error = parse("sécret").unwrap_err();
        assert_eq!(error.message(), "There is no JSON in the answer of 6 characters.");
    }

    #[test]
    fn small_faults_are_mended() {
        let table = [
            ("{'a': 'x\"y', 'b': True, 'c': None,}", json!({"a": "x\"y", "b": true, "c": null})),
            ("{a: 1, $b_2: [1, 2,], c-d: {},}", json!({"a": 1, "$b_2": [1, 2], "c-d": {}})),
            ("{\"a\": 1, // one\n /* two */ \"b\": 2 # three\n}", json!({"a": 1, "b": 2})),
            ("{\"a\": \"x\ny\tz\"}", json!({"a": "x\ny\tz"})),
            (
                r#"{"a": "\d+ it\'s \u00zz \ud800 \ud83d\ude00"}"#,
                json!({"a": "\\d+ it's \\u00zz \u{fffd} 😀"}),
            ),
            ("[1,\u{b}\u{a0}2]", json!([1, 2])),
            ("[+1, .5, 2., -.5, NaN, undefined]", json!([1, 0.5, 2.0, -0.5, null, null])),
        ];
        for (text, expected) in table {
            let parsed = parse(&format!("So: {text} Done.")).unwrap();
            assert_eq!(parsed, Parsed { value: expected, mended: true, cut_off: false }, "{text}");
        }
        for text in ["{\"a\" 1}", "[1 2]", "{\"a\":1]", "[007]", "[1e999]", "[1,,2]", "{:1}"] {
            assert!(search(text, 0..text.len()).is_none(), "{text}");
        }
    }

    #[test]
    fn a_missing_end_is_added() {
        let table = [
            ("{\"a\": \"hel", json!({"a": "hel"})),
            ("{\"a\": [1, {\"b\": 2}, {\"c", json!({"a": [1, {"b": 2}, {}]})),
            ("{\"a\": 1, \"b\": 12", json!({"a": 1})),
            ("{\"a\": 1, \"b\": tru", json!({"a": 1})),
            ("{\"a\": 1, \"b\":", json!({"a": 1})),
            ("{\"a\": 1,", json!({"a": 1})),
            ("{\"a\": \"x\\", json!({"a": "x"})),
            ("{\"a\": \"x\\u00e", json!({"a": "x"})),
            ("{\"a\": \"x\\ud83d\\ud", json!({"a": "x"})),
            ("[1, 2 ", json!([1, 2])),
        ];
        for (text, expected) in table {
            let parsed = parse(text).unwrap();
            assert_eq!(parsed, Parsed { value: expected, mended: false, cut_off: true }, "{text}");
        }
        let parsed = parse("```json\n{\"a\": 1\n```\nDone {}").unwrap();
        assert_eq!((parsed.value, parsed.cut_off), (json!({"a": 1}), true));
    }

    #[test]
    fn depth_is_capped() {
        let nested = |depth: usize| format!("x {}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(parse(&nested(mend::MAX_DEPTH)).is_ok());
        assert_eq!(find(&nested(mend::MAX_DEPTH + 1)).unwrap().len(), 2 * mend::MAX_DEPTH);
    }

    #[test]
    fn hostile_texts_cost_a_few_passes() {
        for unit in ["[", "{", "[\"", "{\"a\":[", "[a ", "```\n[", "'", "[/*", "{'"] {
            let text = unit.repeat(100_000 / unit.len());
            let part = &text[..text.len() - 1];
            let _ = (find(&text), parse(part));
        }
    }
}
