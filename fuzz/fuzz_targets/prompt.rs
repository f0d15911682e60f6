//! Whatever text is taken for a prompt, its tree keeps every byte, the other dialect keeps its weights, and as a
//! template it is refused or expands.
//! The laws are those the property tests check. Not here: the laws themselves (`tests/laws/prompt.rs`).
#![no_main]

#[path = "../../crates/xdev-llm/tests/laws/prompt.rs"]
mod laws;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    laws::check_tree(text);
    laws::check_conversion(text);
    laws::check_template(text);
});
