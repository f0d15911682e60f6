//! Styles and persons: nothing contradicts anything, a seed means the same for ever, and what is written is what is said.
#![cfg(feature = "prompt")]
#![allow(missing_docs, clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use xdev_llm::prompt::{
    BuildRequest, Built, Catalogue, Dialect, PERSON_CATEGORIES, Piece, Position, STYLE_CATEGORIES, Wording,
    build_person, build_style, effective_weights,
};

fn catalogue() -> &'static Catalogue {
    Catalogue::built_in()
}

fn choices<const N: usize>(pairs: [(&str, &str); N]) -> BTreeMap<String, String> {
    pairs.into_iter().map(|(category, entry)| (category.to_owned(), entry.to_owned())).collect()
}

fn chosen<const N: usize>(pairs: [(&str, &str); N]) -> BuildRequest {
    BuildRequest { choices: choices(pairs), ..BuildRequest::default() }
}

fn style(request: &BuildRequest) -> Built {
    build_style(catalogue(), request, 1.0).unwrap()
}

fn person(request: &BuildRequest) -> Built {
    build_person(catalogue(), request).unwrap()
}

/// The wording of a piece; terms of quality are in no category.
fn wording(piece: &Piece) -> Option<&'static Wording> {
    let entry = catalogue().entry(&piece.category, &piece.entry).ok()?;
    entry.wordings.iter().find(|wording| wording.text == piece.text)
}

fn contradictions<'a>(pieces: impl Iterator<Item = &'a Piece> + Clone) -> Vec<(String, String)> {
    let wordings: Vec<_> = pieces.filter_map(wording).collect();
    let pairs = wordings
        .iter()
        .enumerate()
        .flat_map(|(index, one)| wordings[..index].iter().map(move |other| (one, other)));
    pairs
        .filter(|(one, other)| one.contradicts(other))
        .map(|(one, other)| (one.text.clone(), other.text.clone()))
        .collect()
}

/// An entry, `auto`, `none` or nothing for every category.
fn any_choices(categories: &'static [&'static str]) -> impl Strategy<Value = BTreeMap<String, String>> {
    let one = |category: &'static str| {
        let names = catalogue().entries(category).iter().map(|entry| Some(entry.name.clone()));
        let names = names.chain([None, Some("auto".to_owned()), Some("none".to_owned())]);
        prop::sample::select(names.collect::<Vec<_>>()).prop_map(move |name| (category.to_owned(), name))
    };
    let all: Vec<_> = categories.iter().map(|category| one(category)).collect();
    all.prop_map(|all| all.into_iter().filter_map(|(category, name)| Some((category, name?))).collect())
}

fn any_request(categories: &'static [&'static str]) -> impl Strategy<Value = BuildRequest> {
    let flags = (any_choices(categories), any::<bool>(), any::<bool>(), any::<u64>());
    flags.prop_map(|(choices, randomize, quality, seed)| BuildRequest {
        choices,
        randomize,
        quality,
        seed,
        ..BuildRequest::default()
    })
}

/// Texts with brackets, balanced or not, but without weights that no encoder takes.
fn any_text() -> impl Strategy<Value = String> {
    let parts =
        ["(", ")", "[", "{", "a cat", " ", ",", "\\", "\\(", "(red:1.3)", "((", "))", ":", "\n", "é", "AND"];
    prop::collection::vec(prop::sample::select(parts.to_vec()), 0..12).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn nothing_in_a_person_and_its_style_contradicts(
        of_person in any_request(&PERSON_CATEGORIES),
        of_style in any_request(&STYLE_CATEGORIES),
        position in prop::sample::select(Position::ALL.to_vec()),
    ) {
        let person = person(&of_person);
        let style = style(&BuildRequest { prompt: person.prompt.clone(), position, ..of_style.clone() });
        let both = person.pieces.iter().chain(&style.pieces);
        // Two phrases of a person become one, and the other order of the nodes must do as well.
        let alone = |pieces: &[Piece]| contradictions(pieces.iter());
        prop_assert_eq!(alone(&person.pieces), vec![]);
        prop_assert_eq!(alone(&style.pieces), vec![]);
        let shown = both.filter(|piece| person.prompt.contains(&piece.text) && piece.text.contains(' ') || style.pieces.contains(piece));
        prop_assert_eq!(contradictions(shown), vec![], "{} / {}", person.prompt, style.prompt);
        for (built, request) in [(&person, &of_person), (&style, &of_style)] {
            for (category, name) in request.choices.iter().filter(|(_, name)| !["auto", "none"].contains(&name.as_str())) {
                let is_in = built.pieces.iter().any(|piece| piece.category == *category && piece.entry == *name);
                let is_told = built.left_out.iter().any(|left| left.category == *category && left.entry == *name);
                prop_assert!(is_in != is_told, "{category} {name}");
            }
        }
    }

    #[test]
    fn every_piece_has_the_weight_it_says(
        request in any_request(&STYLE_CATEGORIES),
        prompt in any_text(),
        custom in any_text(),
        weight in 0.1..2.0_f64,
        is_before in any::<bool>(),
    ) {
        let position = if is_before { Position::Before } else { Position::After };
        let request = BuildRequest { prompt, custom, position, ..request };
        let built = build_style(catalogue(), &request, weight).unwrap();
        let weights = effective_weights(&built.prompt, Dialect::Comfyui).unwrap();
        for piece in &built.pieces {
            let is_there = weights.iter().any(|(text, weight)| {
                text.contains(&piece.text) && (weight - piece.weight).abs() < 1e-9
            });
            prop_assert!(is_there, "{piece:?} in {}", built.prompt);
            if piece.category != "primary_style" {
                prop_assert!((piece.weight - 1.0).abs() < f64::EPSILON);
            }
        }
    }

    #[test]
    fn what_comes_later_never_changes_what_was_drawn(request in any_request(&STYLE_CATEGORIES)) {
        let mut request = BuildRequest { randomize: true, ..request };
        request.choices.insert("texture".to_owned(), "auto".to_owned());
        let with = style(&request);
        request.choices.insert("texture".to_owned(), "none".to_owned());
        let without = style(&request);
        let others = |built: &Built| -> Vec<Piece> {
            let is_other = |piece: &&Piece| !["texture", "quality"].contains(&piece.category.as_str());
            built.pieces.iter().filter(is_other).cloned().collect()
        };
        prop_assert_eq!(others(&with), others(&without));
    }

    #[test]
    fn a_seed_decides_everything(request in any_request(&PERSON_CATEGORIES)) {
        prop_assert_eq!(person(&request), person(&request));
    }
}

#[test]
fn seeds_mean_the_same_for_ever() {
    let drawn = |seed| BuildRequest { randomize: true, quality: true, seed, ..BuildRequest::default() };
    let styles: Vec<_> = (0..3).map(|seed| style(&drawn(seed)).prompt).collect();
    insta::assert_debug_snapshot!("styles_of_seeds", styles);
    let persons: Vec<_> = (0..3).map(|seed| person(&drawn(seed)).prompt).collect();
    insta::assert_debug_snapshot!("persons_of_seeds", persons);
}

#[test]
fn no_two_entries_that_are_chosen_contradict() {
    for categories in [STYLE_CATEGORIES.as_slice(), &PERSON_CATEGORIES] {
        let of_all = categories.iter().flat_map(|category| {
            catalogue().entries(category).iter().map(move |entry| (*category, entry.name.as_str()))
        });
        let all: Vec<_> = of_all.collect();
        for one in &all {
            for other in all.iter().filter(|other| other.0 != one.0) {
                for seed in 0..3 {
                    let request = BuildRequest { seed, ..chosen([*one, *other]) };
                    let built = if categories.len() == 6 { style(&request) } else { person(&request) };
                    assert_eq!(contradictions(built.pieces.iter()), vec![], "{one:?} {other:?}");
                }
            }
        }
    }
}

#[test]
fn black_and_white_has_no_word_of_color() {
    let colors =
        ["red", "blue", "green", "golden", "amber", "neon", "vivid", "vibrant", "teal", "colorful", "pink"];
    for (seed, palette) in (0..300).flat_map(|seed| [(seed, "monochrome"), (seed, "sepia")]) {
        let request =
            BuildRequest { randomize: true, quality: true, seed, ..chosen([("color_palette", palette)]) };
        let styled = style(&request).prompt;
        let prompt =
            person(&BuildRequest { randomize: true, seed, prompt: styled, ..BuildRequest::default() }).prompt;
        let words: Vec<_> = prompt.split(|c: char| !c.is_alphanumeric()).collect();
        for color in colors {
            assert!(!words.contains(&color), "{color}: {prompt}");
        }
    }
}

#[test]
fn who_is_bald_has_no_color_of_hair_and_children_are_children() {
    for seed in 0..300 {
        let bald = person(&BuildRequest { randomize: true, seed, ..chosen([("hair_style", "bald")]) });
        assert!(!bald.pieces.iter().any(|piece| piece.category == "hair_color"), "{}", bald.prompt);
        let child = person(&BuildRequest {
            randomize: true,
            seed,
            ..chosen([("age", "child"), ("gender", "female")])
        });
        assert!(child.prompt.contains(" girl"), "{}", child.prompt);
        for word in ["woman", "suit", "gown", "gray hair", "bald", "business"] {
            assert!(!child.prompt.contains(word), "{word}: {}", child.prompt);
        }
    }
    let both = person(&chosen([("hair_color", "red"), ("hair_style", "bald")]));
    assert_eq!(both.left_out.len(), 1);
    assert_eq!(both.left_out[0].entry, "bald");
    assert!(both.left_out[0].because.contains("exclude each other"), "{}", both.left_out[0].because);
}

#[test]
fn a_wording_is_taken_that_leaves_room_for_what_was_chosen_too() {
    for seed in 0..100 {
        let built =
            person(&BuildRequest { seed, ..chosen([("expression", "serene"), ("eye_color", "blue")]) });
        assert_eq!(built.left_out, vec![], "{}", built.prompt);
        assert!(!built.prompt.contains("closed"), "{}", built.prompt);
    }
}

#[test]
fn what_suits_an_entry_can_be_taken_with_it() {
    for (category, entry) in
        [("primary_style", STYLE_CATEGORIES.as_slice()), ("archetype", &PERSON_CATEGORIES)]
    {
        for entry_of in catalogue().entries(category) {
            for seed in 0..40 {
                let request = BuildRequest { seed, ..chosen([(category, entry_of.name.as_str())]) };
                let built = if entry.len() == 6 { style(&request) } else { person(&request) };
                let taken: BTreeMap<_, _> =
                    built.pieces.iter().map(|piece| (&piece.category, &piece.entry)).collect();
                for (suited, name) in &entry_of.suits {
                    assert_eq!(taken.get(suited), Some(&name), "{} {suited}", entry_of.name);
                }
                assert_eq!(built.pieces.len(), entry_of.suits.len() + 1);
            }
        }
    }
}

#[test]
fn every_wording_is_drawn_sooner_or_later() {
    for category in STYLE_CATEGORIES.iter().chain(&PERSON_CATEGORIES) {
        for entry in catalogue().entries(category) {
            let mut seen = BTreeSet::new();
            for seed in 0..60 {
                for age in ["none", "child", "teenager", "elderly"] {
                    let mut request = BuildRequest { seed, ..chosen([(*category, entry.name.as_str())]) };
                    let built = if STYLE_CATEGORIES.contains(category) {
                        style(&request)
                    } else {
                        if *category != "age" {
                            request.choices.insert("age".to_owned(), age.to_owned());
                        }
                        person(&request)
                    };
                    let of_it = built.pieces.into_iter().filter(|piece| piece.category == *category);
                    seen.extend(of_it.map(|piece| piece.text));
                }
            }
            let all: BTreeSet<_> = entry.wordings.iter().map(|wording| wording.text.clone()).collect();
            assert_eq!(seen, all, "{category} {}", entry.name);
        }
    }
}

#[test]
fn chance_is_fair_between_entries_and_between_their_wordings() {
    let mut drawn = BTreeMap::<_, BTreeMap<String, u32>>::new();
    for seed in 0..7000 {
        let built = person(&BuildRequest { randomize: true, seed, ..BuildRequest::default() });
        let color = built.pieces.into_iter().find(|piece| piece.category == "eye_color");
        if let Some(piece) = color {
            *drawn.entry(piece.entry).or_default().entry(piece.text).or_default() += 1;
        }
    }
    let counts: Vec<u32> = drawn.values().flat_map(|texts| texts.values().copied()).collect();
    assert_eq!(
        counts.len(),
        catalogue().entries("eye_color").iter().map(|entry| entry.wordings.len()).sum::<usize>()
    );
    let mean = counts.iter().sum::<u32>() / counts.len() as u32;
    assert!(counts.iter().all(|count| (mean * 3 / 4..mean * 5 / 4).contains(count)), "{drawn:?}");
}

#[test]
fn the_vocabulary_is_rich_and_clean() {
    let least = [
        ("primary_style", 18),
        ("medium", 8),
        ("color_palette", 8),
        ("lighting", 8),
        ("composition", 8),
        ("texture", 8),
        ("age", 5),
        ("gender", 3),
        ("expression", 5),
        ("hair_color", 6),
        ("hair_style", 6),
        ("eye_color", 5),
        ("pose", 5),
        ("clothing", 6),
        ("archetype", 6),
    ];
    for (category, count) in least {
        let entries = catalogue().entries(category);
        assert!(entries.len() >= count, "{category}");
        let mut texts = BTreeSet::new();
        for entry in entries {
            assert!(entry.wordings.len() >= 2, "{category} {}", entry.name);
            for wording in &entry.wordings {
                assert!(wording.text.is_ascii(), "{}", wording.text);
                let is_new = texts.insert(wording.text.to_lowercase());
                assert!(is_new || category == "age", "{category} says {} twice", wording.text);
            }
        }
    }
}

#[test]
fn a_prompt_gets_the_style_where_it_is_wanted() {
    let request = BuildRequest {
        prompt: "a fox, ".to_owned(),
        ..chosen([
            ("primary_style", "cubism"),
            ("medium", "none"),
            ("color_palette", "none"),
            ("composition", "none"),
            ("texture", "none"),
        ])
    };
    let at = |position, prompt: &str| {
        style(&BuildRequest { position, prompt: prompt.to_owned(), ..request.clone() })
    };
    let added = style(&request).added;
    assert_eq!(at(Position::After, "a fox, ").prompt, format!("a fox, {added}"));
    assert_eq!(at(Position::Before, "a fox").prompt, format!("{added}, a fox"));
    assert_eq!(at(Position::Placeholder, "a {style} fox").prompt, format!("a {added} fox"));
    let missing = at(Position::Placeholder, "a fox");
    assert_eq!(missing.prompt, format!("a fox, {added}"));
    assert!(missing.notes[0].contains("{style}"), "{:?}", missing.notes);
}

#[test]
fn words_of_ones_own_follow_the_style_or_take_the_prompt_in() {
    let none = [
        ("medium", "none"),
        ("color_palette", "none"),
        ("lighting", "none"),
        ("composition", "none"),
        ("texture", "none"),
    ];
    let mut request = chosen(none);
    request.choices.insert("primary_style".to_owned(), "cubism".to_owned());
    request.custom = "blue period".to_owned();
    let built = style(&request);
    assert_eq!(built.prompt, format!("{}, blue period", built.pieces[0].text));
    request.custom = "a stage with {prompt} on it".to_owned();
    request.prompt = "a fox".to_owned();
    let built = style(&request);
    assert_eq!(built.prompt, format!("a stage with a fox on it, {}", built.pieces[0].text));
}

#[test]
fn a_word_of_the_prompt_keeps_what_is_drawn_away_and_warns_of_what_was_chosen() {
    for seed in 0..200 {
        let request = BuildRequest {
            randomize: true,
            seed,
            prompt: "a red balloon".to_owned(),
            ..BuildRequest::default()
        };
        let built = style(&request);
        let palette = built.pieces.iter().find(|piece| piece.category == "color_palette");
        assert!(
            !palette.is_some_and(|piece| ["monochrome", "sepia"].contains(&piece.entry.as_str())),
            "{}",
            built.prompt
        );
    }
    let built = style(&BuildRequest {
        prompt: "a red balloon".to_owned(),
        ..chosen([("color_palette", "monochrome")])
    });
    assert_eq!((built.pieces.len(), built.left_out.len(), built.notes.len()), (1, 0, 1));
    assert!(built.notes[0].contains("\"red\""), "{:?}", built.notes);
}

#[test]
fn what_is_not_there_is_named() {
    let error =
        |pairs: [(&str, &str); 1]| build_style(catalogue(), &chosen(pairs), 1.0).unwrap_err().to_string();
    assert!(error([("primary_style", "cubismus")]).contains("Did you mean \"cubism\"?"));
    assert!(error([("medium", "x")]).contains("watercolor"));
    assert!(error([("age", "child")]).contains("\"age\" is no category"));
    for weight in [0.0, 2.1, f64::NAN, f64::INFINITY] {
        assert!(build_style(catalogue(), &BuildRequest::default(), weight).is_err(), "{weight}");
    }
}

#[test]
fn nothing_chosen_leaves_the_prompt() {
    let request = BuildRequest { prompt: "a (red:1.2) fox".to_owned(), ..BuildRequest::default() };
    assert_eq!(style(&request).prompt, request.prompt);
    assert_eq!(person(&BuildRequest::default()).prompt, "");
}

#[test]
fn a_huge_prompt_is_read() {
    for prompt in ["(".repeat(1 << 20), "red ".repeat(1 << 18), "black and white, ".repeat(1 << 16)] {
        let built = style(&BuildRequest { prompt, ..chosen([("lighting", "neon")]) });
        assert!(built.prompt.len() >= 1 << 20);
    }
}
