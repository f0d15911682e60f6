//! What the analyzer says: each fact from a prompt that has it, and beside it one that has not.
//!
//! Not here: how tokens are counted (`prompt_clip`).
#![cfg(feature = "prompt")]

use proptest::prelude::*;
use xdev_llm::prompt::{Analysis, AnalysisOptions, Dialect, Level, Report, analyze};

fn look(text: &str) -> Analysis {
    analyze(text, &AnalysisOptions::default())
}

fn conflicts(text: &str) -> Vec<(String, String)> {
    look(text).conflicts.into_iter().map(|conflict| (conflict.first, conflict.second)).collect()
}

fn duplicates(text: &str) -> Vec<(String, usize)> {
    look(text).duplicates.into_iter().map(|duplicate| (duplicate.text, duplicate.count)).collect()
}

fn problems(text: &str) -> Vec<(&'static str, Option<usize>)> {
    let problems = look(text).problems.into_iter();
    problems.map(|problem| (problem.kind, problem.position.map(|position| position.character))).collect()
}

#[test]
fn counts_are_those_of_the_text() {
    let analysis =
        look("a (red, blue:1.2) cat's tail,\nlong_hair, <lora:Foo:0.8>, embedding:bad, don't-stop");
    // The LoRA and the embedding are phrases, but no words.
    assert_eq!((analysis.words, analysis.phrases, analysis.nesting), (9, 5, 1));
    assert_eq!(analysis.characters, 82);
    let empty = look("");
    assert_eq!((empty.words, empty.phrases, empty.characters, empty.nesting), (0, 0, 0, 0));
    assert!(empty.complexity.abs() < 1e-9 && empty.weights.mean.is_none() && empty.within_limit);
}

#[test]
fn a_phrase_in_brackets_counts_for_those_inside() {
    assert_eq!(look("(red, blue:1.2), ((green))").phrases, 3);
    assert_eq!(look("{red, blue|green}, cat").phrases, 2);
}

#[test]
fn complexity_is_the_formula_and_ten_at_most() {
    // 3 words, 2 phrases, 1 weighted piece, 16 characters.
    let close = |text: &str, number: f64| (look(text).complexity - number).abs() < 1e-9;
    assert!(close("a cat, (red:1.2)", 0.3 + 0.6 + 0.5 + 0.02));
    assert!(close(&"word, ".repeat(100), 10.0));
}

#[test]
fn weights_are_the_effective_ones() {
    let weights = look("a (b:1.5) ((c)) (d:0.5)").weights;
    assert_eq!(weights.count, 3);
    assert_eq!((weights.min, weights.max), (Some(0.5), Some(1.5)));
    assert!((weights.mean.unwrap() - (1.5 + 1.21 + 0.5) / 3.0).abs() < 1e-9);
    assert_eq!(weights.pieces[0], ("b".to_owned(), 1.5));
}

#[test]
fn tags_are_listed() {
    let text = "<lora:Foo Bar:0.8:0.5> <lyco:x> embedding:Bad.pt __a/b*__ ${v=1} {x|y|z} [a:b:0.5] [c|d] BREAK x AND y\n# no";
    let analysis = look(text);
    let loras: Vec<_> =
        analysis.loras.iter().map(|lora| (lora.kind.as_str(), lora.name.as_str(), lora.strength)).collect();
    assert_eq!(loras, [("lora", "Foo Bar", Some(0.8)), ("lyco", "x", None)]);
    assert_eq!(analysis.embeddings, ["Bad.pt"]);
    assert_eq!(analysis.wildcards, ["a/b*"]);
    assert_eq!(analysis.variables, ["v"]);
    assert_eq!((analysis.choices[0].options, analysis.choices[0].text.as_str()), (3, "{x|y|z}"));
    assert_eq!(analysis.schedules[0].when, Some(0.5));
    assert_eq!((analysis.alternations, analysis.breaks, analysis.ands, analysis.comments), (1, 1, 1, 1));
}

#[test]
fn phrases_that_say_the_same_are_duplicates_whatever_they_weigh() {
    assert_eq!(duplicates("a cat, (A  Cat:1.3), dog, ((a cat))"), [("a cat".to_owned(), 3)]);
    assert_eq!(duplicates(r"cat \(toy\), (cat \(toy\))"), [(r"cat \(toy\)".to_owned(), 2)]);
    assert!(duplicates("a cat, a cat toy, <lora:A:1>, <lora:a:1>").is_empty());
    // In ComfyUI square brackets are text.
    assert!(duplicates("cat, [cat]").is_empty());
    let options = AnalysisOptions { dialect: Dialect::A1111, ..AnalysisOptions::default() };
    assert_eq!(analyze("cat, [cat]", &options).duplicates.len(), 1);
}

#[test]
fn opposed_terms_conflict_unless_they_never_come_together() {
    let day_and_night = [("day".to_owned(), "night".to_owned())];
    assert_eq!(conflicts("day, street, (night:1.2)"), day_and_night);
    assert_eq!(conflicts("{day|dusk}, night"), day_and_night);
    assert_eq!(conflicts("{day|noon} {night|x}"), day_and_night);
    assert_eq!(conflicts("long_hair, a bald man"), [("long hair".to_owned(), "bald".to_owned())]);
    let views = [("close up".to_owned(), "wide shot".to_owned())];
    assert_eq!(conflicts("close-up of a cat, WIDE SHOT"), views);
    assert_eq!(conflicts("bird’s eye view, from below").len(), 1);
    for well in [
        "{day|night}",
        "[day:night:0.5]",
        "[day|night]",
        "{a {day|x}|b night}",
        "birthday, knight",
        "long, hair, bald",
    ] {
        assert_eq!(conflicts(well), [], "{well}");
    }
}

#[test]
fn problems_have_places() {
    assert_eq!(problems("é (a [b)"), [("unbalanced", Some(5))]);
    assert_eq!(problems(r"a \( b) :)"), [("unbalanced", Some(6)), ("unbalanced", Some(9))]);
    assert_eq!(problems("(a: nan)"), [("not_finite", Some(4))]);
    assert_eq!(problems("Sure! Here is a prompt: a cat"), [("talk", Some(0)), ("talk", Some(6))]);
    assert!(problems("a (fine:1.2) prompt, surely \\(well\\)").is_empty());
    let problem = &look("a\nbé)").problems[0];
    let position = problem.position.unwrap();
    assert_eq!((position.line, position.column), (2, 3));
}

#[test]
fn a_weight_that_is_not_finite_does_not_hide_the_rest() {
    let analysis = look("(a: nan), day, night");
    assert_eq!(analysis.conflicts.len(), 1);
    assert!(analysis.clip.tokens > 4 && analysis.weights.count == 0);
}

#[test]
fn prose_has_a_reading_ease_and_a_list_has_none() {
    let easy = look("The cat sat on the mat. The dog ran to the big red house.").readability.unwrap();
    let hard =
        look("Extraordinary architectural configurations demonstrate incomprehensible sophistication.");
    assert!(easy > 90.0 && hard.readability.unwrap() < 0.0);
    // 6 and 8 words, 14 syllables: 206.835 - 1.015 * 7 - 84.6 * 14 / 14 = 115.1.
    assert!((easy - 115.1).abs() < 0.01, "{easy}");
    for list in ["a cat, best quality, masterpiece", "cat. dog.", "", "Это кошка сидит на столе дома."]
    {
        assert_eq!(look(list).readability, None, "{list}");
    }
}

#[test]
fn frequent_words_are_those_that_tell_something() {
    let frequency = look("the cat and the dog and the Cat, x, x").frequency;
    assert_eq!(frequency, [("cat".to_owned(), 2), ("dog".to_owned(), 1)]);
}

#[test]
fn keywords_are_sorted_by_category() {
    let keywords = look("best quality, neon lighting, oil_painting, qualities").keywords;
    assert_eq!(keywords["quality"], ["best quality"]);
    assert_eq!(keywords["lighting"], ["lighting", "neon"]);
    assert_eq!(keywords["style"], ["oil painting"]);
    assert_eq!(keywords.len(), 3);
}

#[test]
fn the_limit_is_the_one_that_is_wanted() {
    let options = AnalysisOptions { limit: 2, ..AnalysisOptions::default() };
    assert!(analyze("a cat", &options).within_limit);
    assert!(!analyze("a red cat", &options).within_limit);
}

#[test]
fn each_level_tells_more() {
    let analysis = look("a cat, day, night, (red:1.2)");
    let told = |level: Level, what: &str| {
        analysis.report(&Report::at(level)).lines().any(|line| line.starts_with(what))
    };
    for level in Level::ALL {
        assert!(
            told(level, "Words: 5") && told(level, "CLIP tokens: 8"),
            "{}",
            analysis.report(&Report::at(level))
        );
        assert_eq!(told(level, "Conflicts: day and night"), level != Level::Basic);
        assert_eq!(told(level, "Weights: 1, from 1.2"), level != Level::Basic);
        assert_eq!(told(level, "Frequent words: cat (1)"), level == Level::Comprehensive);
    }
}

#[test]
fn a_report_leaves_out_what_is_not_wanted() {
    let analysis = look("a cat (red:1.2) :)");
    let wanted = Report { frequency: true, ..Report::at(Level::Detailed) };
    let told = analysis.report(&wanted);
    assert!(told.contains("Weights:") && told.contains("Frequent words:") && told.contains("Problems:"));
    let told = analysis.report(&Report { weights: false, problems: false, frequency: false, ..wanted });
    assert!(!told.contains("Weights:") && !told.contains("Frequent words:") && !told.contains("Problems:"));
}

#[test]
fn deep_and_long_prompts_are_looked_at() {
    let deep = 100_000;
    for text in [
        "(".repeat(deep) + &")".repeat(deep),
        "{a|".repeat(deep) + &"}".repeat(deep),
        "[day:".repeat(20_000) + &":1]".repeat(20_000),
        "{day|night ".repeat(20_000) + &"}".repeat(20_000),
        "(".repeat(deep),
        "day, night, ".repeat(20_000),
    ] {
        let analysis = look(&text);
        assert_eq!(analysis.characters, text.len());
        assert!(!analysis.report(&Report::at(Level::Comprehensive)).is_empty());
    }
}

proptest! {
    #[test]
    fn any_text_is_looked_at(text in any::<String>(), dialect in prop_oneof![Just(Dialect::Comfyui), Just(Dialect::A1111)]) {
        let analysis = analyze(&text, &AnalysisOptions { dialect, ..AnalysisOptions::default() });
        prop_assert_eq!(analysis.characters, text.chars().count());
        prop_assert!((0.0..=10.0).contains(&analysis.complexity));
    }

    #[test]
    fn prompts_are_looked_at(text in "([(){}\\[\\]|:,.\\\\]|day|night|BREAK|__x__|<lora:a:1>|1\\.2|a b |\n){0,60}") {
        let analysis = look(&text);
        let told = analysis.report(&Report::at(Level::Comprehensive));
        prop_assert!(!told.ends_with('\n'));
        for problem in &analysis.problems {
            if let (Some(position), "unbalanced") = (problem.position, problem.kind) {
                let bracket = text.chars().nth(position.character).unwrap();
                let is_bracket = matches!(bracket, '(' | ')' | '[' | ']' | '{' | '}');
                prop_assert!(is_bracket, "{}", bracket);
            }
        }
    }

    /// The order of phrases changes neither counts nor what is found.
    #[test]
    fn order_changes_nothing(mut phrases in proptest::collection::vec("(day|night|cat|dog|long hair|bald|\\(red:1\\.2\\))", 1..8)) {
        let forward = look(&phrases.join(", "));
        phrases.reverse();
        let backward = look(&phrases.join(", "));
        prop_assert_eq!(forward.words, backward.words);
        prop_assert_eq!(forward.clip.tokens, backward.clip.tokens);
        prop_assert_eq!(forward.conflicts.len(), backward.conflicts.len());
        prop_assert_eq!(forward.duplicates.len(), backward.duplicates.len());
        prop_assert_eq!(forward.keywords, backward.keywords);
    }
}
