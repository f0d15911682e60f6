//! Any bytes are read without a panic, by every dialect and framing.
//! The law is the one the property tests check. Not here: the law itself (`tests/laws/wire.rs`).
#![no_main]

#[path = "../../crates/xdev-llm/tests/laws/wire.rs"]
mod laws;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| laws::check_no_panic(bytes));
