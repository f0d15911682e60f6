//! Whatever is answered, an investigation ends; the input is a port and blocks of path, status, header and body.
//! The law is the one the property tests check. Not here: the law itself (`tests/laws/identify.rs`).
#![no_main]

#[path = "../../crates/xdev-llm/tests/laws/identify.rs"]
mod laws;

use laws::Reply;
use libfuzzer_sys::fuzz_target;

/// Names of headers that tell servers apart.
const NAMES: [&str; 4] = ["server", "location", "content-type", "x-litellm-version"];

/// Which path is answered, the status, one header and the body.
type Block = (u8, u16, Option<(u8, String)>, Vec<u8>);

fuzz_target!(|input: (u16, Vec<Block>)| {
    let (port, blocks) = input;
    let answers: Vec<(usize, Reply)> = blocks
        .into_iter()
        .map(|(path, status, header, body)| {
            let headers =
                header.map(|(name, value)| (NAMES[usize::from(name) % NAMES.len()].to_owned(), value));
            (usize::from(path), Reply { status, headers: headers.into_iter().collect(), body })
        })
        .collect();
    laws::check_total(port, &answers);
});
