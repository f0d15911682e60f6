//! Any text is read or refused; what is read round-trips and can be trimmed to any budget.
//! The law is the one the property tests check. Not here: the law itself (`tests/laws/text.rs`).
#![no_main]

#[path = "../../crates/xdev-llm/tests/laws/text.rs"]
mod laws;

use libfuzzer_sys::fuzz_target;
use xdev_llm::history;

fuzz_target!(|input: (u16, &str)| {
    let (budget, text) = input;
    laws::check_history_text(text);
    if let Ok(messages) = history::parse(text) {
        laws::check_trim(&messages, usize::from(budget));
    }
});
