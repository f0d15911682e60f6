//! Any text is read or refused, and a printed object is found in prose.
//! The law is the one the property tests check. Not here: the law itself (`tests/laws/text.rs`).
#![no_main]

#[path = "../../crates/xdev-llm/tests/laws/text.rs"]
mod laws;

use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|text: &str| {
    laws::json::check_json_text(text);
    if let Ok(value @ Value::Object(_)) = serde_json::from_str(text) {
        laws::json::check_json_value(&value);
    }
});
