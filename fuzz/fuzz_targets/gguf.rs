//! Whatever is in a file, reading it as a GGUF ends; the input is what follows the format's first four bytes.
//! The law is the one the property tests check. Not here: the law itself (`tests/laws/forecast.rs`).
#![no_main]

#[path = "../../crates/xdev-llm/tests/laws/forecast.rs"]
#[allow(dead_code)]
mod laws;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    laws::check_any_gguf(&[b"GGUF", input].concat());
});
