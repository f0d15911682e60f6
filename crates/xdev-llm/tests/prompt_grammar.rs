//! The grammar of prompts: the tree keeps every byte, the weights are ComfyUI's own, and no text takes long.
#![cfg(feature = "prompt")]
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "laws/prompt.rs"]
mod laws;

use proptest::prelude::*;
use serde_json::Value;
use xdev_llm::prompt::{Dialect, Kind, Prompt, convert, effective_weights, parse_number};

const RECORDED: &str = include_str!("../../../fixtures/comfyui/token_weights.jsonl");

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
        "a b",
        "1.2",
        ":1.2)",
        ":0.5]",
        "::",
        "$$",
        "2$$",
        "2$$, $$",
        "__",
        "_",
        "__a/*__",
        "${",
        "${x}",
        "${x=",
        "<lora:x:0.8>",
        "<lora:",
        "embedding:x",
        "BREAK",
        "AND",
        "#",
        "//",
        "/*",
        "*/",
        "é",
        "猫",
        "=",
    ]);
    prop::collection::vec(pieces, 0..24).prop_map(|pieces| pieces.concat())
}

/// The kinds of the outermost nodes.
fn kinds(text: &str) -> Vec<Kind> {
    let prompt = Prompt::parse(text, Dialect::Comfyui);
    prompt.roots().map(|index| prompt.node(index).kind.clone()).collect()
}

fn phrases(text: &str) -> Vec<String> {
    let prompt = Prompt::parse(text, Dialect::Comfyui);
    prompt.phrases().into_iter().map(|phrase| prompt.source()[phrase.span].to_owned()).collect()
}

#[test]
fn weights_are_those_that_comfyui_reads() {
    let mut refused = 0;
    for line in RECORDED.lines() {
        let (text, expected): (String, Value) = serde_json::from_str(line).unwrap();
        match effective_weights(&text, Dialect::Comfyui) {
            Ok(pieces) => assert_eq!(serde_json::to_value(&pieces).unwrap(), expected, "{text:?}"),
            Err(error) => {
                refused += 1;
                assert!(expected.is_null(), "{text:?}: {error}");
            }
        }
    }
    assert!(refused > 3, "weights that are not finite are in the table, too");
}

#[test]
fn the_web_ui_multiplies() {
    let expected: [(&str, &[(&str, f64)]); 13] = [
        ("normal text", &[("normal text", 1.0)]),
        ("an (important) word", &[("an ", 1.0), ("important", 1.1), (" word", 1.0)]),
        ("(unbalanced", &[("unbalanced", 1.1)]),
        ("\\(literal\\]", &[("(literal]", 1.0)]),
        ("(unnecessary)(parens)", &[("unnecessaryparens", 1.1)]),
        ("[weak] a", &[("weak", 1.0 / 1.1), (" a", 1.0)]),
        ("((b:1.2):1.5)", &[("b", 1.2 * 1.5)]),
        ("a (b [c:0.5) d]", &[("a ", 1.0), ("b ", 0.5), ("c", 0.5 / 1.1), (" d", 1.0 / 1.1)]),
        ("a BREAK b", &[("a", 1.0), ("BREAK", -1.0), ("b", 1.0)]),
        ("a:1.2) b", &[("a:1.2) b", 1.0)]),
        ("(a:1.2.3)", &[("a:1.2.3", 1.1)]),
        ("\\\\(a)", &[("\\", 1.0), ("a", 1.1)]),
        ("[day:(night):0.5] [a|b]", &[("[day:", 1.0), ("night", 1.1), (":0.5] [a|b]", 1.0)]),
    ];
    for (text, pieces) in expected {
        let found = effective_weights(text, Dialect::A1111).unwrap();
        assert_eq!(found.len(), pieces.len(), "{text}: {found:?}");
        for ((text, weight), (expected, number)) in found.iter().zip(pieces) {
            assert_eq!(text, expected);
            assert!((weight - number).abs() < 1e-12, "{text}: {weight} is not {number}");
        }
    }
}

#[test]
fn a_weight_that_is_not_finite_is_refused_and_named() {
    for dialect in Dialect::ALL {
        let deep = format!("{}a{}", "(".repeat(100_000), ")".repeat(100_000));
        assert!(effective_weights(&deep, dialect).unwrap_err().to_string().contains("finite"));
    }
    let error = effective_weights("a (b: nan)", Dialect::Comfyui).unwrap_err();
    assert!(error.to_string().contains("\"nan\""), "{error}");
}

#[test]
fn nodes_are_told_apart() {
    let weight = |text: &str| match &kinds(text)[0] {
        Kind::Round(weight) => weight.as_ref().map(|weight| weight.value),
        Kind::Schedule(weight) => Some(weight.value),
        kind => panic!("{text}: {kind:?}"),
    };
    assert_eq!(weight("(a)"), None);
    assert_eq!(weight("(a: 1.2 )"), Some(1.2));
    assert_eq!(weight("(a:b:1.2)"), Some(1.2));
    assert_eq!(weight("(a (b:1.2) c)"), None);
    assert_eq!(weight("(:1.2)"), None);
    assert_eq!(weight("[a:b:0.5]"), Some(0.5));
    assert_eq!(weight("[a:7]"), Some(7.0));
    for (text, kind) in [
        ("[a]", Kind::Square),
        ("[a|b]", Kind::Alternate),
        ("{a|b}", Kind::Choice),
        ("<lora:a b:0.8>", Kind::Lora),
        ("<lyco:a>", Kind::Lora),
        ("embedding:x-y", Kind::Embedding),
        ("BREAK", Kind::Break),
        ("AND", Kind::And),
        ("__a/b_*__", Kind::Wildcard),
        ("${x}", Kind::Variable),
        ("${x=a {b|c}}", Kind::Variable),
        ("/* a */", Kind::Comment),
        ("# a", Kind::Comment),
        ("// a", Kind::Comment),
        ("\\(", Kind::Escape),
    ] {
        assert_eq!(kinds(text), [kind], "{text}");
    }
    for text in [
        "(a",
        "a)",
        "[a",
        "{a",
        "<lora:a",
        "BREAKS",
        "LAND",
        "__a",
        "snake_case__x",
        "$x",
        "a/*b",
        "<b>",
        "5 > 4",
    ] {
        assert!(
            kinds(text).iter().all(|kind| matches!(kind, Kind::Text | Kind::Colon)),
            "{text}: {:?}",
            kinds(text)
        );
    }
    assert!(!kinds("http://a.b/c").contains(&Kind::Comment));
    assert!(!kinds("a #1 fan").contains(&Kind::Comment));
}

#[test]
fn what_is_in_a_node_is_found() {
    let prompt = Prompt::parse("a ({2$$ and $$red|0.5::blue} cat:1.2), ${who=a __b__}", Dialect::Comfyui);
    let roots: Vec<_> = prompt.roots().collect();
    assert_eq!(prompt.inner(roots[1]), "{2$$ and $$red|0.5::blue} cat");
    let choice = prompt.children(roots[1]).next().unwrap();
    let inside: Vec<_> = prompt.children(choice).map(|index| prompt.text(index)).collect();
    assert_eq!(inside, ["2$$ and $$", "red", "|", "0.5", ":", ":", "blue"]);
    let variable = *roots.last().unwrap();
    assert_eq!((prompt.name(variable), prompt.inner(variable)), ("who", "a __b__"));
    assert_eq!(prompt.children(variable).map(|index| prompt.name(index)).last(), Some("b"));
}

#[test]
fn phrases_end_at_separators_outside_of_brackets() {
    assert_eq!(phrases("a cat, (b, c:1.2) d,, \n e BREAK f\ng"), ["a cat", "(b, c:1.2) d", "e", "f", "g"]);
    assert_eq!(phrases(" , "), Vec::<String>::new());
    let prompt = Prompt::parse("(b, c:1.2)", Dialect::Comfyui);
    let inside = prompt.phrases_in(0);
    assert_eq!(
        inside.iter().map(|phrase| &prompt.source()[phrase.span.clone()]).collect::<Vec<_>>(),
        ["b", "c"]
    );
}

#[test]
fn a_backslash_protects_what_the_dialect_says() {
    let round = |dialect| {
        let prompt = Prompt::parse("\\\\(a)", dialect);
        prompt.nodes().iter().any(|node| matches!(node.kind, Kind::Round(_)))
    };
    assert!(!round(Dialect::Comfyui));
    assert!(round(Dialect::A1111));
}

#[test]
fn hostile_texts_take_no_time_and_no_stack() {
    let brackets = [
        "(", "[", "{", "((:1.2", "([{", "{2$$", "(a:", "(:", "${x=", "<lora:", "__a", "/*", "\\", "a:", "]",
        ")(",
    ];
    for piece in brackets {
        let text = piece.repeat(100_000);
        let closed = format!("{text}a:1.2{}", ")]}".repeat(100_000));
        for text in [text, closed] {
            for dialect in Dialect::ALL {
                let prompt = Prompt::parse(text.as_str(), dialect);
                assert_eq!(prompt.print(), text);
                assert!(prompt.phrases().len() <= text.len());
                let _ = effective_weights(&text, dialect);
            }
        }
    }
}

#[test]
fn conversion_keeps_every_weight() {
    let converted = |text: &str| convert(text, Dialect::Comfyui, Dialect::A1111).unwrap().text;
    assert_eq!(converted("a (b:1.2), ((c))"), "a (b:1.2), ((c))");
    assert_eq!(converted("((b:1.2):1.5)"), "(b:1.2)");
    assert_eq!(converted("[a]"), "\\[a\\]");
    let back = |text: &str| convert(text, Dialect::A1111, Dialect::Comfyui).unwrap();
    assert_eq!(back("((b:1.2):1.5)").text, "(b:1.8)");
    assert_eq!(back("[a] \\(b\\)").text, "(a:0.9091) \\(b\\)");
    assert_eq!(back("a BREAK (b)").text, "a BREAK (b:1.1)");
    assert!(back("[a:b:0.5] cat").warnings[0].contains("schedules"));
}

#[test]
fn numbers_are_pythons() {
    for (text, number) in [
        ("1.2", Some(1.2)),
        (" 1_0.5\u{a0}", Some(10.5)),
        ("١.٥", Some(1.5)),
        ("1e-2", Some(0.01)),
        ("+.5", Some(0.5)),
        ("1.", Some(1.0)),
    ] {
        assert_eq!(parse_number(text), number, "{text}");
    }
    for text in ["", ".", "1__0", "_1", "1_", "1_.5", "0x10", "1 2", "1,5", "--1", "e5", "½"] {
        assert_eq!(parse_number(text), None, "{text}");
    }
    assert!(parse_number("-Infinity").unwrap().is_infinite() && parse_number("NaN").unwrap().is_nan());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn the_tree_keeps_every_byte(text in any_prompt()) {
        laws::check_tree(&text);
    }

    #[test]
    fn conversion_keeps_the_weights(text in any_prompt()) {
        laws::check_conversion(&text);
    }

    #[test]
    fn any_text_is_a_prompt(text in "\\PC{0,60}") {
        laws::check_tree(&text);
        laws::check_conversion(&text);
    }
}
