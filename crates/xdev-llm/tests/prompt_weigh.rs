//! The weighter: after each operation the encoder gets the weights that the operation says, and nothing else changes.
#![cfg(feature = "prompt")]
#![allow(missing_docs, clippy::unwrap_used)]

use proptest::prelude::*;
use xdev_llm::prompt::WeightOperation::{
    Deemphasize, Emphasize, Multiply, NormalizeMaximum, NormalizeMean, Remove,
};
use xdev_llm::prompt::{Dialect, WeightOperation, effective_weights, weigh};

const DIALECTS: [Dialect; 2] = Dialect::ALL;

fn weighed(text: &str, operation: WeightOperation, target: &str, dialect: Dialect) -> (String, usize) {
    let weighing = weigh(text, operation, Some(target), dialect).unwrap();
    (weighing.text, weighing.changed)
}

/// Every visible character with its weight.
fn characters(text: &str, dialect: Dialect) -> Vec<(char, f64)> {
    let pieces = effective_weights(text, dialect).unwrap();
    let each = pieces.iter().flat_map(|(piece, weight)| piece.chars().map(|character| (character, *weight)));
    each.filter(|(character, _)| !character.is_whitespace()).collect()
}

fn is_close(one: f64, other: f64) -> bool {
    (one - other).abs() <= 2e-3 * one.abs().max(1.0)
}

#[test]
fn all_of_a_prompt() {
    let cases = [
        ("a cat", Emphasize(1.2), "(a cat:1.2)", 1),
        (" a cat, ", Deemphasize(0.8), " (a cat,:0.8) ", 1),
        ("a cat", Deemphasize(1.25), "(a cat:0.8)", 1),
        ("a (red:1.5) cat", Emphasize(1.2), "(a (red:1.8) cat:1.2)", 2),
        ("a (red) cat", Emphasize(1.2), "(a (red) cat:1.2)", 1),
        ("(cat:1.5)", Emphasize(1.2), "(cat:1.8)", 1),
        ("a BREAK b", Emphasize(1.2), "(a:1.2) BREAK (b:1.2)", 2),
        ("# note\na", Emphasize(1.2), "# note\n(a:1.2)", 1),
        ("a (red: 1.5 ) (big) cat", Multiply(2.0), "a (red: 3 ) (big:2.2) cat", 2),
        ("((a) b:1.5)", Multiply(2.0), "((a) b:3)", 1),
        ("a cat", Multiply(2.0), "a cat", 0),
        ("a ((red:1.5) (big)) cat", Remove, "a red big cat", 3),
        ("(a:1) (b:x:1.1)", Remove, "a b:x", 2),
        ("(a:1.2), (b:1.6), c", NormalizeMean(1.0), "(a:0.8571), (b:1.1429), c", 2),
        ("(a:1.2), (b:1.6), c", NormalizeMaximum(1.2), "(a:0.9), (b:1.2), c", 2),
        ("a, b", NormalizeMean(1.3), "a, b", 0),
    ];
    for (text, operation, expected, changed) in cases {
        let (found, count) = weighed(text, operation, "", Dialect::Comfyui);
        assert_eq!((found.as_str(), count), (expected, changed), "{text} {operation:?}");
    }
}

#[test]
fn in_the_web_ui_brackets_multiply() {
    let cases = [
        ("a (red:1.5) cat", Emphasize(1.2), "", "(a (red:1.5) cat:1.2)"),
        ("[a] b", Multiply(1.1), "", "a b"),
        ("[a] b", Multiply(2.0), "", "(a:1.8182) b"),
        ("[a] (b:1.2)", Remove, "", "a b"),
        ("((b:1.2) c:1.5)", Emphasize(2.0), "b", "((b:2.4) c:1.5)"),
        ("a, (big hat, b:1.5)", Deemphasize(0.5), "hat", "a, (big (hat:0.5), b:1.5)"),
    ];
    for (text, operation, target, expected) in cases {
        assert_eq!(weighed(text, operation, target, Dialect::A1111).0, expected, "{text} {operation:?}");
    }
}

#[test]
fn a_phrase_wherever_it_stands() {
    let cases = [
        ("a red hat, that hat", "hat", "a red (hat:1.2), that (hat:1.2)", 2),
        ("that hats top-hat hat's", "hat", "that hats top-hat hat's", 0),
        ("Red \n HAT", "red hat", "(Red \n HAT:1.2)", 1),
        ("(red hat:1.5), a", "red hat", "(red hat:1.8), a", 1),
        ("((red hat))", "red hat", "((red hat):1.32)", 1),
        ("(a red hat:1.5)", "red hat", "(a (red hat:1.8):1.5)", 1),
        ("a (red) hat", "a red hat", "(a (red) hat:1.2)", 1),
        ("(red) hat", "red hat", "((red) hat:1.2)", 1),
        ("a (big red:1.5) hat", "red hat", "a (big (red:1.8):1.5) (hat:1.2)", 2),
        (
            "<lora:hat:1> embedding:hat __hat__ ${hat} hat",
            "hat",
            "<lora:hat:1> embedding:hat __hat__ ${hat} (hat:1.2)",
            1,
        ),
        ("{hat|cap}", "hat", "{(hat:1.2)|cap}", 1),
        ("hat \\(straw\\)", "hat (straw)", "(hat \\(straw\\):1.2)", 1),
        ("猫, 狗", "猫", "(猫:1.2), 狗", 1),
    ];
    for (text, target, expected, changed) in cases {
        let (found, count) = weighed(text, Emphasize(1.2), target, Dialect::Comfyui);
        assert_eq!((found.as_str(), count), (expected, changed), "{text}");
    }
    assert_eq!(weigh("a cat", Emphasize(1.2), Some("dog"), Dialect::Comfyui).unwrap().found, Some(0));
    assert_eq!(weigh("a cat", Emphasize(1.2), None, Dialect::Comfyui).unwrap().found, None);
}

#[test]
fn brackets_without_partner_get_what_was_asked_too() {
    for text in ["a) (b:1.2)", "((a)", "(a", "a :)", "{a (b} c)"] {
        for dialect in DIALECTS {
            let weighing = weigh(text, Emphasize(1.5), None, dialect).unwrap();
            let (before, after) = (characters(text, dialect), characters(&weighing.text, dialect));
            assert_eq!(before.len(), after.len(), "{text} {}", weighing.text);
            for ((one, old), (other, new)) in before.iter().zip(&after) {
                assert_eq!(one, other);
                assert!(is_close(old * 1.5, *new), "{text} {}", weighing.text);
            }
        }
    }
}

#[test]
fn what_cannot_be_written_is_refused() {
    for operation in [Emphasize(f64::NAN), Multiply(f64::INFINITY), NormalizeMean(f64::NAN)] {
        let error = weigh("a (b:1.2)", operation, None, Dialect::Comfyui).unwrap_err();
        assert!(error.to_string().contains("finite"), "{error}");
    }
    assert!(weigh("(a:1e300)", Multiply(1e100), None, Dialect::Comfyui).is_err());
    assert!(weigh("(a:-1) b", NormalizeMaximum(1.0), None, Dialect::Comfyui).is_err());
    assert!(weigh("(a:nan)", Remove, None, Dialect::Comfyui).is_err());
}

#[test]
fn hostile_texts_take_no_time_and_no_stack() {
    let deep = format!("{}a{}", "(".repeat(100_000), ":1.2)".repeat(100_000));
    let removed = weigh(&deep, Remove, None, Dialect::Comfyui).unwrap();
    assert_eq!((removed.text.as_str(), removed.changed), ("a", 100_000));
    for text in [deep, "a ".repeat(300_000), format!("({}a)", " ".repeat(500_000)), ")(a".repeat(100_000)] {
        for (operation, target) in [(Emphasize(1.2), "a"), (Emphasize(1.2), ""), (Multiply(1.2), "a a")] {
            weigh(&text, operation, Some(target), Dialect::Comfyui).unwrap();
        }
    }
    let nested = format!("{}{}", "(hat ".repeat(100_000), ":1.2)".repeat(100_000));
    assert_eq!(weigh(&nested, Emphasize(1.5), Some("hat"), Dialect::Comfyui).unwrap().found, Some(100_000));
}

/// Texts of the pieces that prompts are made of, balanced or not.
fn any_prompt() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "|",
        ":",
        ",",
        " ",
        "\n",
        "\\",
        "\\(",
        "\\)",
        "cat",
        "red hat",
        "hat",
        "1.2",
        ":1.2)",
        ":0.5)",
        ":1)",
        ":0.5]",
        "(cat:1.3)",
        "((hat))",
        "<lora:x:0.8>",
        "embedding:x",
        "BREAK",
        "AND",
        "#",
        "/*",
        "*/",
        "é",
        "猫",
        "${x=",
        "__a__",
    ]);
    prop::collection::vec(pieces, 0..20).prop_map(|pieces| pieces.concat())
}

/// Texts without brackets that count.
fn plain_prompt() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "cat",
        "red hat",
        ", ",
        " ",
        "\n",
        "\\(",
        "\\)",
        "é",
        "BREAK ",
        ":",
        "<lora:x:0.8>",
        "__a__",
    ]);
    prop::collection::vec(pieces, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn weights_become_what_the_operation_says(text in any_prompt(), value in 0.2..3.0_f64, kind in 0..4) {
        let value = (value * 100.0).round() / 100.0;
        for dialect in DIALECTS {
            if effective_weights(&text, dialect).is_err() {
                continue;
            }
            let operation = [Emphasize(value), Deemphasize(value), Multiply(value), Remove][kind as usize];
            let result = weigh(&text, operation, None, dialect).unwrap();
            let (before, after) = (characters(&text, dialect), characters(&result.text, dialect));
            prop_assert_eq!(before.len(), after.len(), "{:?} -> {:?}", text, result.text);
            for ((one, old), (other, new)) in before.into_iter().zip(after) {
                prop_assert_eq!(one, other);
                let expected = match operation {
                    Emphasize(value) => old * value,
                    Deemphasize(value) => old * value.min(value.recip()),
                    Multiply(value) if !is_close(old, 1.0) => old * value,
                    Multiply(_) => old,
                    _ => 1.0,
                };
                // BREAK, AND and comments get no weight.
                let is_kept = (new - old).abs() < 1e-9 && ["BREAK", "AND", "#", "/*"].iter().any(|word| text.contains(word));
                let is_break = dialect == Dialect::A1111 && old.to_bits() == (-1.0_f64).to_bits();
                prop_assert!(is_close(expected, new) || is_kept || is_break, "{:?} -> {:?}: {} {}", text, result.text, expected, new);
            }
        }
    }

    #[test]
    fn a_phrase_alone_changes(text in any_prompt(), value in 1.2..3.0_f64) {
        for dialect in DIALECTS {
            if effective_weights(&text, dialect).is_err() {
                continue;
            }
            let result = weigh(&text, Emphasize(value), Some("red hat"), dialect).unwrap();
            let (before, after) = (characters(&text, dialect), characters(&result.text, dialect));
            prop_assert_eq!(before.len(), after.len());
            let changed: String =
                before.iter().zip(&after).filter(|(old, new)| !is_close(old.1, new.1)).map(|(_, new)| new.0).collect();
            prop_assert_eq!(changed, "redhat".repeat(result.found.unwrap()), "{:?} -> {:?}", text, result.text);
        }
    }

    #[test]
    fn removing_takes_back_what_was_added(text in plain_prompt(), value in 1.1..3.0_f64) {
        for dialect in DIALECTS {
            for target in ["", "hat"] {
                let added = weigh(&text, Emphasize(value), Some(target), dialect).unwrap();
                prop_assert_eq!(weigh(&added.text, Remove, None, dialect).unwrap().text, text.as_str());
            }
        }
    }

    #[test]
    fn normalising_reaches_the_maximum(text in any_prompt(), value in 0.5..2.0_f64) {
        let Ok(result) = weigh(&text, NormalizeMaximum(value), None, Dialect::Comfyui) else { return Ok(()) };
        if result.changed > 0 {
            let weights = characters(&result.text, Dialect::Comfyui);
            let letters = weights.iter().filter(|(character, weight)| character.is_alphanumeric() && !is_close(*weight, 1.0));
            let largest = letters.map(|(_, weight)| *weight).fold(f64::MIN, f64::max);
            prop_assert!(largest.to_bits() == f64::MIN.to_bits() || largest <= value + 2e-3, "{:?} -> {:?}", text, result.text);
        }
    }
}
