//! The library of named styles: it reads what others wrote, finds, applies, and survives hostile files.
#![cfg(feature = "prompt")]
#![allow(missing_docs, clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use proptest::prelude::*;
use xdev_llm::ErrorKind;
use xdev_llm::prompt::{Dialect, StyleLibrary, effective_weights};

const NO_FILES: [&Path; 0] = [];

fn library(text: &str) -> StyleLibrary {
    let mut library = StyleLibrary::default();
    library.add("mine.json", text).unwrap();
    library
}

fn names(library: &StyleLibrary, words: &str) -> Vec<String> {
    library.search(words).into_iter().map(|style| style.name.clone()).collect()
}

#[test]
fn the_built_in_styles_are_whole() {
    let library = StyleLibrary::built_in();
    assert!(library.styles().len() >= 48);
    assert_eq!(library.notes(), [] as [String; 0]);
    let mut texts = BTreeSet::new();
    for style in library.styles() {
        assert_eq!(style.prompt.matches("{prompt}").count(), 1, "{}", style.name);
        assert!(!style.negative_prompt.is_empty(), "{}", style.name);
        assert!(texts.insert(&style.prompt), "{}", style.name);
        let applied = library.apply(&style.name, "a fox", "").unwrap();
        let weights = effective_weights(&applied.positive, Dialect::Comfyui).unwrap();
        assert!(weights.iter().all(|(_, weight)| (*weight - 1.0).abs() < f64::EPSILON), "{}", style.name);
    }
}

#[test]
fn a_style_takes_the_prompt_in() {
    let library = library(
        r#"[{"name":"a","prompt":"still of {prompt}, grain","negative_prompt":"blur"},
            {"name":"b","prompt":"grain","extra":[1]},
            {"name":"c","prompt":"{prompt}","negative_prompt":null}]"#,
    );
    let apply = |name: &str, prompt: &str, negative: &str| {
        let applied = library.apply(name, prompt, negative).unwrap();
        (applied.positive, applied.negative)
    };
    let pair = |positive: &str, negative: &str| (positive.to_owned(), negative.to_owned());
    assert_eq!(apply("a", " a {prompt} fox ", ""), pair("still of a {prompt} fox, grain", "blur"));
    assert_eq!(apply("a", "a fox", "text"), pair("still of a fox, grain", "text, blur"));
    assert_eq!(apply("a", "", ""), pair("still of, grain", "blur"));
    assert_eq!(apply("b", "a fox", ""), pair("a fox, grain", ""), "without a place the prompt goes before");
    assert_eq!(apply("c", "a fox", ""), pair("a fox", ""));
    assert_eq!(apply("a", "smile :(", "").0, "still of smile :\\(, grain");
}

#[test]
fn words_are_found_in_names_before_texts_and_whatever_their_case() {
    let library = library(
        r#"[{"name":"Dark Oil","prompt":"{prompt}"},{"name":"Noir","prompt":"{prompt}, oil lamps"},
            {"name":"Oil","prompt":"{prompt}"},{"name":"Oily Skin","prompt":"{prompt}"},
            {"name":"Recoil","prompt":"{prompt}, dark"}]"#,
    );
    assert_eq!(names(&library, "OIL"), ["Oil", "Oily Skin", "Dark Oil", "Recoil", "Noir"]);
    assert_eq!(names(&library, "oil dark"), ["Dark Oil", "Recoil"]);
    assert_eq!(names(&library, "  ").len(), 5);
    assert_eq!(names(&library, "kitchen"), [] as [String; 0]);
    assert_eq!(names(StyleLibrary::built_in(), "oil painting")[0], "Oil Painting");
}

#[test]
fn what_is_no_library_is_refused_and_what_is_half_of_one_is_told() {
    for (text, part) in [
        ("", "no JSON"),
        ("{", "no JSON"),
        ("{}", "no list"),
        ("[1, 2]", "no object"),
        (r#"[{"prompt":"x"}]"#, "no name"),
        (r#"[{"name":"x"}]"#, "no prompt"),
        (r#"[{"name":"x","prompt":3}]"#, "no text"),
        (&"[".repeat(100_000), "no JSON"),
    ] {
        let error = StyleLibrary::default().add("mine.json", text).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().starts_with("mine.json: ") && error.to_string().contains(part), "{error}");
    }
    let half = library(r#"[{"name":"x"}, {"name":"y\u0000\n","prompt":"{prompt}"}]"#);
    assert_eq!(half.styles()[0].name, "y");
    assert_eq!(half.notes(), ["mine.json: style 1: \"x\" has no prompt."]);
    let many = format!("[{}]", vec![r#"{"name":"x","prompt":"y"}"#; 20_001].join(","));
    assert!(StyleLibrary::default().add("mine.json", &many).unwrap_err().to_string().contains("20000"));
    assert!(library("[]").styles().is_empty());
}

#[test]
fn names_are_there_once() {
    let mut library = library(
        r#"[{"name":"x","prompt":"1"},{"name":"x","prompt":"1"},{"name":"x","prompt":"2"},{"name":"x","prompt":"3"}]"#,
    );
    assert_eq!(names(&library, ""), ["x", "x (2)", "x (3)"]);
    assert_eq!(library.notes().len(), 2);
    library.add("other.json", r#"[{"name":"x","prompt":"4"}]"#).unwrap();
    assert_eq!(library.style("x").unwrap().prompt, "4", "a later file takes the place");
    assert_eq!(library.styles().len(), 3);
}

#[test]
fn a_name_that_is_not_there_has_a_neighbour() {
    let error = StyleLibrary::built_in().style("Oil Paintin").unwrap_err();
    assert!(error.to_string().contains("Did you mean \"Oil Painting\"?"), "{error}");
}

#[test]
fn files_and_folders_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    file("good.json", "\u{feff}[{\"name\":\"mine\",\"prompt\":\"{prompt}, mine\"}]");
    file("notes.txt", "no style");
    let read = StyleLibrary::read(Some(folder.path()), &NO_FILES).unwrap();
    assert_eq!(read.apply("mine", "fox", "").unwrap().positive, "fox, mine");
    assert_eq!(read.notes(), [] as [String; 0]);

    let broken = file("broken.json", "[{");
    let read = StyleLibrary::read(Some(folder.path()), &NO_FILES).unwrap();
    assert!(read.style("mine").is_ok() && read.notes()[0].contains("broken.json"), "{:?}", read.notes());
    assert!(read.style("gone").unwrap_err().to_string().contains("broken.json"));
    for asked in [&broken, folder.path()] {
        let error = StyleLibrary::read(None, &[asked]).unwrap_err();
        assert!(error.to_string().contains("broken.json"), "{error}");
    }
    let huge = file("huge.json", &" ".repeat((4 << 20) + 1));
    assert!(StyleLibrary::read(None, &[huge]).unwrap_err().to_string().contains("4 MiB"));
    let gone = folder.path().join("gone");
    assert!(StyleLibrary::read(Some(&gone), &NO_FILES).is_ok(), "nobody need have a folder of styles");
    assert_eq!(StyleLibrary::read(None, &[gone]).unwrap_err().kind(), ErrorKind::Store);
}

proptest! {
    #[test]
    fn whatever_a_file_says_it_is_read_or_refused(
        entries in prop::collection::vec((".{0,8}", ".{0,12}", ".{0,6}"), 0..5),
        prompt in ".{0,12}",
        words in ".{0,6}",
    ) {
        let styles: Vec<_> = entries
            .into_iter()
            .map(|(name, prompt, negative)| serde_json::json!({"name": name, "prompt": prompt, "negative_prompt": negative}))
            .collect();
        let mut library = StyleLibrary::default();
        if library.add("mine.json", &serde_json::to_string(&styles).unwrap()).is_ok() {
            let names: BTreeSet<_> = library.styles().iter().map(|style| &style.name).collect();
            prop_assert_eq!(names.len(), library.styles().len());
            for style in library.styles() {
                library.apply(&style.name, &prompt, "").unwrap();
            }
            prop_assert!(library.search(&words).len() <= library.styles().len());
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        let _ = StyleLibrary::default().add("mine.json", &text);
    }
}
