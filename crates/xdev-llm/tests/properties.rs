//! Laws of the wire layer, on inputs nobody thought of. `fuzz/` runs the same checks.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;
#[path = "laws/wire.rs"]
mod laws;

use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn frames_do_not_depend_on_the_cuts(
        stream in laws::event_stream(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..16),
    ) {
        laws::check_cuts(&stream, &cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect::<Vec<_>>());
    }

    #[test]
    fn frames_are_those_of_the_oracle(stream in laws::plain_event_stream()) {
        laws::check_oracle(&stream);
    }

    #[test]
    fn the_skeleton_gives_the_events_of_the_walk(frames in prop::collection::vec(laws::chunk(), 1..12)) {
        laws::check_skeleton(&frames);
    }

    #[test]
    fn siblings_never_change_the_text(text in "\\PC{1,12}", sibling in laws::sibling()) {
        laws::check_siblings(&text, &sibling);
    }

    #[test]
    fn reading_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        laws::check_no_panic(&bytes);
    }

    #[test]
    fn reading_json_never_panics(value in laws::any_json()) {
        laws::check_no_panic(format!("data: {value}\n\n").as_bytes());
    }

    #[test]
    fn requests_hold_only_what_the_row_allows(request in laws::request()) {
        laws::check_request(&request);
    }
}
