//! Frames do not depend on the cuts; the first eight bytes of the input are the cuts.
//! The law is the one the property tests check. Not here: the law itself (`tests/laws/wire.rs`).
#![no_main]

#[path = "../../crates/xdev-llm/tests/laws/wire.rs"]
mod laws;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: ([u8; 8], &[u8])| {
    let (cuts, stream) = input;
    laws::check_cuts(stream, &cuts.map(usize::from));
});
