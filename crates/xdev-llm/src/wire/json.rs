//! Tolerant looks into JSON that a server sent: a wrong type is the same as an absent field.
//!
//! Not here: what the fields mean (the dialects).

use std::time::Duration;

use serde_json::Value;

/// The non-empty string under `key`.
pub(super) fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// The whole number under `key`; numbers written as strings or as floats count too.
pub(super) fn count(value: &Value, key: &str) -> Option<u64> {
    match value.get(key)? {
        Value::Number(number) => {
            number.as_u64().or_else(|| number.as_f64().filter(|n| *n >= 0.0).map(|n| n as u64))
        }
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

/// The number under `key`.
pub(super) fn number(value: &Value, key: &str) -> Option<f64> {
    match value.get(key)? {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

/// The time under `key`, counted in units of `unit` seconds.
pub(super) fn duration(value: &Value, key: &str, unit: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(number(value, key)? * unit).ok()
}

/// The array under `key`, or nothing where it is absent, `null` or something else.
pub(super) fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Parses every JSON document of a frame: the whole of it, or, where that fails, each line alone.
///
/// Some servers put several documents into one event.
pub(super) fn documents(data: &str) -> Option<Vec<Value>> {
    if let Ok(value) = serde_json::from_str(data) {
        return Some(vec![value]);
    }
    if !data.contains('\n') {
        return None;
    }
    data.lines().filter(|line| !line.trim().is_empty()).map(|line| serde_json::from_str(line).ok()).collect()
}
