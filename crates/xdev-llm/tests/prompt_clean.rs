//! The cleaner: what it takes away and what it leaves, and that a clean prompt stays as it is.
#![cfg(feature = "prompt")]
#![allow(missing_docs, clippy::unwrap_used)]

use proptest::prelude::*;
use xdev_llm::prompt::{Case, CleanOptions, Dialect, EncoderSafe, clean, effective_weights};

/// Nothing is cleaned.
fn nothing() -> CleanOptions {
    CleanOptions {
        strip_model_talk: false,
        remove_duplicates: false,
        fix_spacing: false,
        fix_punctuation: false,
        remove_empty_weights: false,
        encoder_safe: EncoderSafe::None,
        ..CleanOptions::default()
    }
}

fn cleaned(text: &str, options: &CleanOptions) -> String {
    let cleaning = clean(text, options);
    assert_eq!(cleaning.changed > 0, cleaning.text != text, "{text:?} -> {cleaning:?}");
    assert_eq!(clean(&cleaning.text, options).text, cleaning.text, "{text:?} is not clean at once");
    cleaning.text
}

fn check(options: &CleanOptions, cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        assert_eq!(cleaned(text, options), *expected, "{text:?}");
        let off = clean(text, &nothing());
        assert_eq!((off.text.as_str(), off.changed), (*text, 0));
    }
}

#[test]
fn what_it_does_not_understand_stays() {
    for text in [
        "a (red) cat",
        "snakebite \\(piercing\\)",
        "a cat :)",
        "a cat :( and :D",
        "<lora:My Model:0.8>, <lora:My Model:0.8>",
        "embedding:Bad-Hands, embedding:Bad-Hands",
        "{a|b}, {a|b}, __color__, __color__",
        "a, b BREAK a, b AND a",
        "1,000 cats, 16:9",
        "[day:night:0.5], [a|b]",
        "((masterpiece)), (a, b:1.2)",
        "she said \"hello\" to him",
        "\"a\" and \"b\"",
        "\"A cat,\" she said, \"is red\"",
        "portrait: a woman",
        "Okay Computer album cover",
        "great white shark. ocean",
        "# a note\na cat",
        "${x=A, B}, ${x}",
        "Note the red hat",
        "a cat - a dog",
        "1girl, 2 cats",
        "here is a house: red",
        "__a/**__, __b/**__",
        "C:\\path\\ , x",
    ] {
        assert_eq!(cleaned(text, &CleanOptions::default()), text);
    }
}

#[test]
fn duplicates_are_compared_by_what_they_say() {
    check(
        &CleanOptions { remove_duplicates: true, ..nothing() },
        &[
            ("a cat, A  Cat, dog", "a cat, dog"),
            ("a cat, dog, (a cat:1.3)", "(a cat:1.3), dog"),
            ("(a cat:1.3), dog, a cat", "(a cat:1.3), dog"),
            ("(a cat:0.9), a cat", "a cat"),
            ("(red hat, blue:1.2), red hat", "(red hat, blue:1.2)"),
            ("red hat, (red hat, blue:1.2)", "(red hat, blue:1.2)"),
            ("(red hat, blue:0.8), red hat", "(blue:0.8), red hat"),
            ("(x, x:0.9), x, y", "x, y"),
            ("a\nb\na", "a\nb"),
            ("a, b, a, b", "a, b"),
            ("a,, b, a", "a,, b"),
            ("a BREAK a, a", "a BREAK a"),
            ("a (red:1.2) cat, a red cat", "a (red:1.2) cat"),
        ],
    );
}

#[test]
fn spacing() {
    check(
        &CleanOptions { fix_spacing: true, ..nothing() },
        &[
            ("  a   cat ,dog,bird ", "a cat, dog, bird"),
            ("a\t\u{a0}cat", "a cat"),
            ("( a cat : 1.2 ), b", "(a cat:1.2), b"),
            ("a \n\n\n b\n c", "a\n\nb\nc"),
            ("{a,b| c}", "{a,b| c}"),
            ("a \\ , b", "a \\ , b"),
            ("# a\n , b", "# a\n, b"),
            ("(# a\n b \n// c\n)", "(# a\nb\n// c\n)"),
            ("\n# a\n\n", "# a"),
            ("a, # b\n, c", "a, # b, c"),
        ],
    );
}

#[test]
fn punctuation() {
    check(
        &CleanOptions { fix_punctuation: true, ..nothing() },
        &[
            (", a,, b, , c, ", " a, b, c "),
            ("(a,, b,:1.2)", "(a, b:1.2)"),
            ("a,\nb", "a,\nb"),
            ("红，蓝", "红,蓝"),
            ("a, BREAK, b", "a, BREAK, b"),
            ("{a,,b}", "{a,,b}"),
        ]
        .iter()
        .copied()
        .filter(|(text, expected)| text != expected)
        .collect::<Vec<_>>(),
    );
    let options = CleanOptions { fix_punctuation: true, ..nothing() };
    for text in ["a,\nb", "a, BREAK, b", "{a,,b}", "a..., b!!"] {
        assert_eq!(cleaned(text, &options), text);
    }
}

#[test]
fn empty_weights() {
    check(
        &CleanOptions { remove_empty_weights: true, ..nothing() },
        &[
            ("a, (), b", "a, b"),
            ("a, (:1.2), (( )), b, (,)", "a, b"),
            ("a () b", "a  b"),
            ("((:1.2):1.3)a", "a"),
        ],
    );
    let web_ui = CleanOptions { dialect: Dialect::A1111, remove_empty_weights: true, ..nothing() };
    assert_eq!(cleaned("a []", &web_ui), "a ");
    assert_eq!(cleaned("(a) \\(\\) (1.2) (:)", &web_ui), "(a) \\(\\) (1.2) (:)");
}

#[test]
fn case() {
    let text = "A Red CAT. it's <lora:MyCat:1> (BIG:1.2) BREAK embedding:Bad __Color__ ${Who} <LoRA:X:1>";
    for (case, expected) in [
        (
            Case::Lower,
            "a red cat. it's <lora:MyCat:1> (big:1.2) BREAK embedding:Bad __Color__ ${Who} <LoRA:X:1>",
        ),
        (
            Case::Title,
            "A Red Cat. It's <lora:MyCat:1> (Big:1.2) BREAK embedding:Bad __Color__ ${Who} <LoRA:X:1>",
        ),
        (
            Case::Sentence,
            "A red cat. It's <lora:MyCat:1> (big:1.2) BREAK embedding:Bad __Color__ ${Who} <LoRA:X:1>",
        ),
        (Case::None, text),
    ] {
        assert_eq!(cleaned(text, &CleanOptions { case, ..nothing() }), expected);
    }
}

#[test]
fn order_and_length() {
    let sorted = CleanOptions { sort_alphabetically: true, ..nothing() };
    assert_eq!(
        cleaned("zebra, (Cat:1.2), <lora:x:1>, ant\nBREAK b, a", &sorted),
        "ant, (Cat:1.2), <lora:x:1>, zebra\nBREAK a, b"
    );
    for (limit, expected) in [
        (100, "a big cat, (red, blue:1.2), dog"),
        (30, "a big cat, (red, blue:1.2)"),
        (20, "a big cat"),
        (9, "a big cat"),
        (8, "a big"),
        (1, "a"),
    ] {
        let options = CleanOptions { max_length: Some(limit), ..nothing() };
        assert_eq!(cleaned("a big cat, (red, blue:1.2), dog", &options), expected, "{limit}");
    }
    let short = CleanOptions { max_length: Some(10), ..nothing() };
    assert_eq!(cleaned("(a bracket is never cut:1.2)", &short), "(a bracket is never cut:1.2)");
    assert_eq!(cleaned("猫猫猫 猫猫猫 猫猫猫猫猫", &short), "猫猫猫 猫猫猫");
}

#[test]
fn model_talk() {
    check(
        &CleanOptions { strip_model_talk: true, ..nothing() },
        &[
            ("Here is a prompt: a cat", "a cat"),
            (
                "Sure! Here's an enhanced prompt:\n\n\"A red cat, sitting.\"\n\nLet me know if you want changes!",
                "A red cat, sitting.",
            ),
            ("Certainly, here is the prompt you asked for:\na cat", "a cat"),
            ("```\na cat\n```", "a cat"),
            ("<think>A cat, then.</think>\n\nSure thing! Here you go:\na cat", "a cat"),
            ("Here you go, a prompt:\n```text\na cat, (b:1.2)\n```", "a cat, (b:1.2)"),
            ("```a cat```", "a cat"),
            ("**Prompt:** a cat", "a cat"),
            ("**Prompt**: a cat", "a cat"),
            ("### Image Prompt\n\na cat", "a cat"),
            ("Positive prompt: a cat", "a cat"),
            ("- a cat\n- a dog", "a cat\na dog"),
            ("1. a cat\n2. a dog\n3) b", "a cat\na dog\nb"),
            ("a **red** cat, **big eyes**", "a red cat, big eyes"),
            ("“a cat”", "a cat"),
            ("a cat\n\nNote: this is for SDXL.\nIt is good.", "a cat"),
            ("当然可以！以下是提示词：一只猫", "一只猫"),
            ("\"'a cat'\"", "a cat"),
            ("**Positive Prompt:** a cat\n\n**Negative Prompt:** blurry", "a cat"),
        ],
    );
    let options = CleanOptions { strip_model_talk: true, ..nothing() };
    for text in [
        "Negative prompt: a cat",
        "2. a cat",
        "Sure!",
        "Here is a prompt:",
        "This is Sparta: the movie",
        "'80s style, rock 'n' roll",
        "a cat\nb, this prompt",
        "sure footed goat",
        "- a\nb",
    ] {
        assert_eq!(cleaned(text, &options), text);
    }
}

#[test]
fn parentheses_that_are_no_weights() {
    let safe = |encoder_safe, dialect| CleanOptions { encoder_safe, dialect, ..nothing() };
    let escape = safe(EncoderSafe::Escape, Dialect::Comfyui);
    assert_eq!(cleaned("a (red) cat (b:1.2) :)", &escape), "a \\(red\\) cat (b:1.2) :)");
    assert_eq!(cleaned("snakebite \\(piercing\\) [x]", &escape), "snakebite \\(piercing\\) [x]");
    let web_ui = safe(EncoderSafe::Escape, Dialect::A1111);
    assert_eq!(cleaned("(a) [x] (b", &web_ui), "\\(a\\) \\[x\\] \\(b");
    let keep = safe(EncoderSafe::Keep, Dialect::Comfyui);
    assert_eq!(cleaned("a :) (b:1.2) (c)", &keep), "a :\\) (b:1.2) (c)");
    assert!((effective_weights("a :\\) (b:1.2)", Dialect::Comfyui).unwrap()[1].1 - 1.2).abs() < 1e-9);
    assert_eq!(cleaned("a :) b (c)", &safe(EncoderSafe::None, Dialect::Comfyui)), "a :) b (c)");
}

#[test]
fn an_answer_of_a_model_becomes_a_prompt() {
    let answer = "Sure! Here is a detailed prompt for Stable Diffusion:\n\n```\nA red fox ,  in the snow, (golden hour:1.2),, a red fox, ()\n```\n\nFeel free to change it!";
    let cleaning = clean(answer, &CleanOptions::default());
    assert_eq!(cleaning.text, "A red fox, in the snow, (golden hour:1.2)");
    let said: Vec<_> = cleaning.changes.iter().map(|change| change.what).collect();
    assert_eq!(said, ["model talk", "empty weights", "duplicates", "spacing"]);
}

#[test]
fn what_is_protected_is_not_protected_again() {
    let options = CleanOptions {
        dialect: Dialect::A1111,
        encoder_safe: EncoderSafe::Escape,
        ..CleanOptions::default()
    };
    let text = clean("{2$$(:\\\\2$$", &options).text;
    assert_eq!(text, "{2$$\\(:\\\\2$$");
    assert_eq!(clean(&text, &options).text, text);
}

#[test]
fn hostile_texts_take_no_time_and_no_stack() {
    let all = CleanOptions {
        case: Case::Title,
        sort_alphabetically: true,
        max_length: Some(30_000),
        encoder_safe: EncoderSafe::Escape,
        ..CleanOptions::default()
    };
    for piece in [
        "(",
        "()",
        "(a",
        "a, ",
        ",",
        "Sure! ",
        "- ",
        "\"",
        "**",
        "```\n",
        "\\ ",
        "(:",
        "[",
        "{a|",
        " (",
        "1. ",
        "Note: a\n\n",
        "a\n",
    ] {
        let text = piece.repeat(20_000);
        for text in [format!("{text}{}", ")".repeat(20_000)), text] {
            let cleaning = clean(&text, &all);
            assert_eq!(clean(&cleaning.text, &all).text, cleaning.text, "{piece}");
        }
    }
}

fn any_options() -> impl Strategy<Value = CleanOptions> {
    let switches = prop::array::uniform6(any::<bool>());
    let choices = (
        prop::sample::select(Dialect::ALL.to_vec()),
        prop::sample::select(Case::ALL.to_vec()),
        prop::sample::select(EncoderSafe::ALL.to_vec()),
        prop::option::of(1..60_usize),
    );
    (switches, choices).prop_map(|(on, (dialect, case, encoder_safe, max_length))| CleanOptions {
        dialect,
        strip_model_talk: on[0],
        remove_duplicates: on[1],
        fix_spacing: on[2],
        fix_punctuation: on[3],
        remove_empty_weights: on[4],
        sort_alphabetically: on[5],
        case,
        max_length,
        encoder_safe,
    })
}

fn any_text() -> impl Strategy<Value = String> {
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
        ", ",
        " ",
        "  ",
        "\n",
        "\\",
        "\\(",
        "cat",
        "Cat",
        "a b",
        "1.2",
        ":1.2)",
        "()",
        "(:1.2)",
        ":0.5]",
        "::",
        "2$$",
        "__",
        "_",
        "__A/**__",
        "${x}",
        "${x=",
        "<lora:X:0.8>",
        "<lora:",
        "embedding:X",
        "Embedding:X",
        "BREAK",
        "AND",
        "break",
        "#",
        "//",
        "/*",
        "*/",
        "é",
        "ß",
        "İ",
        "Σ",
        "猫",
        "，",
        "Sure! ",
        "Here is a prompt: ",
        "Prompt:",
        "```",
        "\n```\n",
        "\"",
        "'",
        "“",
        "”",
        "- ",
        "1. ",
        "**",
        "Note: ",
        "\n\n",
        "Let me know",
        ".",
        "!",
    ]);
    let structured = prop::collection::vec(pieces, 0..24).prop_map(|pieces| pieces.concat());
    prop_oneof![9 => structured, 1 => "\\PC{0,40}"]
}

/// Every visible character of a text with its weight.
fn characters(text: &str, dialect: Dialect) -> Option<Vec<(char, i64)>> {
    let pieces = effective_weights(text, dialect).ok()?;
    let each = pieces.iter().flat_map(|(piece, weight)| {
        piece.chars().map(|character| (character, (*weight * 1000.0).round() as i64)).collect::<Vec<_>>()
    });
    Some(each.filter(|(character, _)| !character.is_whitespace()).collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, ..ProptestConfig::default() })]

    #[test]
    fn cleaning_what_is_clean_changes_nothing(text in any_text(), options in any_options()) {
        let once = clean(&text, &options);
        let twice = clean(&once.text, &options);
        prop_assert_eq!(&twice.text, &once.text, "{:?}", text);
        prop_assert_eq!(twice.changed, 0);
    }

    #[test]
    fn spacing_changes_no_word_and_no_weight(text in any_text()) {
        let options = CleanOptions { fix_spacing: true, ..nothing() };
        // To ComfyUI white space at the end says whether a bracket that is never closed counts.
        let text = format!("{text}.");
        for dialect in Dialect::ALL {
            let options = CleanOptions { dialect, ..options.clone() };
            let spaced = clean(&text, &options).text;
            let compact = |text: &str| text.split_whitespace().collect::<String>();
            prop_assert_eq!(compact(&text), compact(&spaced));
            if let (Some(before), Some(after)) = (characters(&text, dialect), characters(&spaced, dialect)) {
                prop_assert_eq!(before, after, "{:?} -> {:?}", text, spaced);
            }
        }
    }

    #[test]
    fn what_was_made_safe_is_read_as_it_stands(text in any_text()) {
        for dialect in Dialect::ALL {
            let options = CleanOptions { encoder_safe: EncoderSafe::Keep, dialect, ..nothing() };
            let safe = clean(&text, &options).text;
            let plain = |text: &str| text.chars().filter(|each| *each != '\\').collect::<String>();
            prop_assert_eq!(plain(&text), plain(&safe));
        }
    }

    #[test]
    fn the_length_is_kept_where_there_is_a_border(words in prop::collection::vec("[a-z]{1,6}", 1..20), limit in 6..60_usize) {
        let text = words.join(" ");
        let options = CleanOptions { max_length: Some(limit), ..nothing() };
        let short = clean(&text, &options).text;
        prop_assert!(short.chars().count() <= limit);
        prop_assert!(text.starts_with(&short));
        let next = text[short.len()..].chars().next();
        prop_assert!(next.is_none_or(char::is_whitespace));
    }
}
