//! Several prompts as one: each keeps its weight and its place.
#![cfg(feature = "prompt")]
#![allow(missing_docs, clippy::unwrap_used)]

use proptest::prelude::*;
use xdev_llm::prompt::CombineMode::{Alternating, Concatenate, PriorityMerge, WeightedMerge};
use xdev_llm::prompt::{CombineMode, Dialect, Part, Separator, combine, effective_weights};

fn parts(given: &[(&str, f64)]) -> Vec<Part> {
    given.iter().map(|(text, weight)| Part { text: (*text).to_owned(), weight: *weight }).collect()
}

fn combined(given: &[(&str, f64)], mode: CombineMode, separator: &Separator) -> String {
    combine(&parts(given), mode, separator, Dialect::Comfyui).unwrap().text
}

#[test]
fn every_separator() {
    let given = [("a", 1.0), ("", 2.0), (" b, ", 1.5), ("c", 1.0)];
    for (name, expected) in [
        ("comma", "a, b, c"),
        ("space", "a b, c"),
        ("newline", "a\nb,\nc"),
        ("pipe", "a | b, | c"),
        ("semicolon", "a; b,; c"),
        ("custom", "a <-> b, <-> c"),
    ] {
        let separator = Separator::from_name(name, " <-> ").unwrap();
        assert_eq!(combined(&given, Concatenate, &separator), expected);
    }
    assert!(Separator::from_name("dot", "").is_err());
}

#[test]
fn weights_belong_to_their_prompt() {
    let given = [("", 3.0), ("a cat", 1.2), ("a dog", 1.0), ("(b:1.5) c", 0.8)];
    let combination = combine(&parts(&given), WeightedMerge, &Separator::Comma, Dialect::Comfyui).unwrap();
    assert_eq!(combination.text, "(a cat:1.2), a dog, ((b:1.2) c:0.8)");
    assert_eq!((combination.prompts, combination.order), (3, vec![2, 3, 4]));
    let web_ui = combine(&parts(&given), WeightedMerge, &Separator::Comma, Dialect::A1111).unwrap();
    assert_eq!(web_ui.text, "(a cat:1.2), a dog, ((b:1.5) c:0.8)");
}

#[test]
fn phrases_alternate() {
    let given = [("a1, a2, (x, y:1.2)", 1.0), ("b1", 1.0), ("c1, c2", 1.0)];
    assert_eq!(combined(&given, Alternating, &Separator::Comma), "a1, b1, c1, a2, c2, (x, y:1.2)");
    let given = [("a1 BREAK a2, a3", 1.0), ("b1, b2 BREAK b3", 1.0)];
    assert_eq!(combined(&given, Alternating, &Separator::Comma), "a1, b1, b2 BREAK a2, b3, a3");
}

#[test]
fn priority_goes_by_weight() {
    let given = [("low, cat", 0.5), ("high, (cat:1.2)", 2.0), ("mid", 1.0), ("mid and long", 1.0)];
    let combination = combine(&parts(&given), PriorityMerge, &Separator::Comma, Dialect::Comfyui).unwrap();
    assert_eq!(combination.text, "high, (cat:1.2), mid and long, mid, low");
    assert_eq!((combination.order, combination.duplicates), (vec![2, 4, 3, 1], 1));
}

#[test]
fn a_prompt_does_not_reach_into_the_next() {
    let open = [("((a)", 1.0), ("b)", 1.0), ("# note", 1.0), ("c", 1.0)];
    let text = combined(&open, Concatenate, &Separator::Comma);
    assert_eq!(text, "(\\(a:1.1), b\\), # note\n, c");
    let weights = effective_weights(&text, Dialect::Comfyui).unwrap();
    assert!(weights.iter().filter(|(piece, _)| piece.contains(['b', 'c'])).all(|(_, weight)| *weight < 1.05));
}

#[test]
fn nothing_is_a_prompt_too() {
    assert_eq!(combined(&[], Concatenate, &Separator::Comma), "");
    assert_eq!(combined(&[("", 1.0), (" , ", 2.0)], Alternating, &Separator::Comma), "");
    let error =
        combine(&parts(&[("a", 1.0), ("b", f64::NAN)]), WeightedMerge, &Separator::Comma, Dialect::Comfyui);
    assert!(error.unwrap_err().to_string().contains("prompt 2"));
}

fn any_prompt() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "(",
        ")",
        ":1.2)",
        "cat",
        "dog",
        " ",
        ", ",
        "(big:1.3)",
        "((x))",
        "\\(",
        "[",
        "]",
        "\n",
        "é",
    ]);
    prop::collection::vec(pieces, 0..8).prop_map(|pieces| pieces.concat())
}

/// The letters of a text with their weights, to two decimals.
fn letters(text: &str, dialect: Dialect) -> Vec<(char, i64)> {
    let pieces = effective_weights(text, dialect).unwrap();
    let each = pieces.iter().flat_map(|(piece, weight)| {
        piece.chars().map(|character| (character, (*weight * 100.0).round() as i64)).collect::<Vec<_>>()
    });
    each.filter(|(character, _)| character.is_alphabetic()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn every_letter_keeps_its_weight(texts in prop::collection::vec(any_prompt(), 0..5)) {
        for dialect in Dialect::ALL {
            let given: Vec<Part> = texts.iter().map(|text| Part { text: text.clone(), weight: 1.0 }).collect();
            let combination = combine(&given, Concatenate, &Separator::Comma, dialect).unwrap();
            let expected: Vec<_> = texts
                .iter()
                .flat_map(|text| letters(text.trim_matches(|each: char| each.is_whitespace() || each == ','), dialect))
                .collect();
            let found = letters(&combination.text, dialect);
            prop_assert_eq!(expected.len(), found.len());
            for ((one, weight), (other, its)) in expected.into_iter().zip(found) {
                prop_assert_eq!(one, other);
                prop_assert!((weight - its).abs() <= 1, "{:?} -> {:?}", texts, combination.text);
            }
        }
    }
}
