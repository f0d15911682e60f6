//! However an answer is cut, the same text and thinking come out, and nothing is lost.
//! The law is the one the property tests check. Not here: the law itself (`tests/laws/text.rs`).
#![no_main]

#[path = "../../crates/xdev-llm/tests/laws/text.rs"]
mod laws;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: ([u16; 4], &str)| {
    let (cuts, answer) = input;
    laws::check_think_cuts(answer, &cuts.map(usize::from));
    laws::check_think_loses_nothing(answer);
});
