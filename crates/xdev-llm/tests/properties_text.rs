//! Laws of the pure modules, on inputs nobody thought of. `fuzz/` runs the same checks.
#![allow(missing_docs)]

#[path = "laws/text.rs"]
mod laws;

use proptest::prelude::*;
use xdev_llm::{Message, Part, Role, Sampling, ToolCall, history, is_same_model};

fn answers() -> impl Strategy<Value = String> {
    let fragment = prop_oneof![
        4 => prop::sample::select(&laws::TAGS[..]).prop_map(str::to_owned),
        2 => "[ \n\t\u{a0}]{1,3}",
        3 => "[a-z<>|/\\[\\]é漢 ]{0,6}",
        1 => prop::sample::select(&laws::TAGS[..]).prop_map(|tag| tag[..tag.len() - 1].to_owned()),
    ];
    prop::collection::vec(fragment, 0..12).prop_map(|fragments| fragments.concat())
}

fn message() -> impl Strategy<Value = Message> {
    let part = prop_oneof![".{0,12}".prop_map(Part::Text), "data:[a-z]{0,4}".prop_map(Part::ImageUrl)];
    let call =
        ("[ab]?", "[a-z]{0,3}", ".{0,6}").prop_map(|(id, name, arguments)| ToolCall { id, name, arguments });
    (
        prop::sample::select(&Role::ALL[..]),
        prop::collection::vec(part, 0..3),
        prop::collection::vec(call, 0..3),
        prop::option::of("[ab]?"),
    )
        .prop_map(|(role, content, tool_calls, tool_call_id)| Message {
            role,
            content,
            tool_calls,
            tool_call_id,
        })
}

fn sampling() -> impl Strategy<Value = Sampling> {
    let number = || prop::option::of((0_i32..20).prop_map(f64::from));
    (
        (number(), number(), number(), number(), number(), number()),
        prop::option::of(0_u32..9),
        prop::option::of(0_u32..9),
        prop::option::of(0_u64..9),
        prop::option::of(prop::collection::vec("[a-z]", 0..2)),
    )
        .prop_map(|(numbers, top_k, max_tokens, seed, stop)| Sampling {
            temperature: numbers.0,
            top_p: numbers.1,
            top_k,
            min_p: numbers.2,
            max_tokens,
            seed,
            stop,
            presence_penalty: numbers.3,
            frequency_penalty: numbers.4,
            repeat_penalty: numbers.5,
        })
}

/// Texts near to a conversation's JSON.
fn conversation_text() -> impl Strategy<Value = String> {
    let message = "{\"role\":\"user\",\"content\":\"a\"}";
    let fragments = [
        "[",
        "]",
        "{",
        "}",
        ",",
        ":",
        " ",
        "\n",
        "\"role\"",
        "\"user\"",
        "\"tool\"",
        "\"content\"",
        "null",
        "1",
        "\"messages\"",
        message,
        message,
        "\"type\"",
        "\"text\"",
        "\\",
        "\"",
        "\u{feff}",
    ];
    prop::collection::vec(prop::sample::select(fragments.to_vec()), 0..14).prop_map(|all| all.concat())
}

proptest! {
    #[test]
    fn think_cuts(input in answers(), cuts in prop::collection::vec(any::<usize>(), 0..6)) {
        laws::check_think_cuts(&input, &cuts);
    }

    #[test]
    fn think_loses_nothing(input in answers()) {
        laws::check_think_loses_nothing(&input);
    }

    #[test]
    fn history_round_trip(messages in prop::collection::vec(message(), 0..6)) {
        laws::check_history_round_trip(&messages);
        laws::check_history_text(&history::print_pretty(&messages));
    }

    #[test]
    fn history_text(text in conversation_text(), any_text in any::<String>()) {
        laws::check_history_text(&text);
        laws::check_history_text(&any_text);
    }

    #[test]
    fn trim_laws(messages in prop::collection::vec(message(), 0..10), budget in 0_usize..120) {
        laws::check_trim(&messages, budget);
    }

    #[test]
    fn presets_yield(preset in sampling(), explicit in sampling()) {
        laws::check_preset(&preset, &explicit);
    }

    #[test]
    fn model_names_compare_both_ways(
        one in "[aA]?/?[ab:@/.2]{0,6}(latest|\\.gguf)?",
        other in "[ab:@/.2]{0,6}",
    ) {
        prop_assert!(is_same_model(&one, &one));
        prop_assert_eq!(is_same_model(&one, &other), is_same_model(&other, &one));
    }
}

#[cfg(feature = "json")]
proptest! {
    #[test]
    fn json_text(fragments in prop::collection::vec(prop::sample::select(vec![
        "{", "}", "[", "]", ",", ":", "\"", "'", "a", "1", "-", ".", "True", "null", " ", "\n", "```", "json",
        "\\", "\\u", "d83d", "//", "/*", "*/", "#", "é", "\"k\":",
    ]), 0..24)) {
        laws::json::check_json_text(&fragments.concat());
    }

    #[test]
    fn json_value(value in prop::collection::btree_map("[a-z\"\\\\é\n]{0,3}", prop_oneof![
        any::<i32>().prop_map(serde_json::Value::from),
        any::<bool>().prop_map(serde_json::Value::from),
        ".{0,6}".prop_map(serde_json::Value::from),
        prop::collection::vec("[a-z\\[\\]{}\n]{0,4}", 0..3).prop_map(serde_json::Value::from),
    ], 1..4)) {
        laws::json::check_json_value(&serde_json::to_value(value).unwrap());
    }
}
