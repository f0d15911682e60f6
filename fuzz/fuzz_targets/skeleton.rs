//! The skeleton gives the events of the walk; each line of the input is a frame.
//! The law is the one the property tests check. Not here: the law itself (`tests/laws/wire.rs`).
#![no_main]

#[path = "../../crates/xdev-llm/tests/laws/wire.rs"]
mod laws;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let frames: Vec<String> = text.lines().map(str::to_owned).collect();
    laws::check_skeleton(&frames);
});
