//! Laws of memory forecasts, on inputs nobody thought of. `fuzz/` reads hostile files, too.
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "laws/forecast.rs"]
mod laws;

use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn need_grows_with_the_context(case in laws::case(), other in any::<u32>()) {
        laws::check_growth(&case, other);
    }

    #[test]
    fn more_free_memory_never_makes_it_worse(case in laws::case(), more in any::<u64>(), shift in 0_u32..64) {
        laws::check_monotone(&case, more >> shift);
    }

    #[test]
    fn verdicts_are_true(case in laws::case()) {
        laws::check_verdict(&case);
    }

    #[test]
    fn the_largest_context_fits_and_the_next_does_not(case in laws::case()) {
        laws::check_largest(&case);
    }

    #[test]
    fn any_metadata_gives_a_forecast(metadata in laws::metadata(), bytes in any::<u64>(), context in any::<u32>()) {
        laws::check_any_metadata(&metadata, bytes, context);
    }

    #[test]
    fn any_file_is_read_to_an_end(bytes in laws::gguf()) {
        laws::check_any_gguf(&bytes);
    }
}
