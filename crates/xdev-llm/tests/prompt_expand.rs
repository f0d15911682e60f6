//! Templates and wildcards: how many prompts there are, which is the n-th, and what a seed draws.
#![cfg(feature = "prompt")]
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "laws/prompt.rs"]
mod laws;

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use proptest::prelude::*;
use xdev_llm::prompt::{Matrix, MatrixMode, MatrixRequest, Template, Wildcards, sample};

fn all(text: &str) -> Vec<String> {
    Template::parse(text, None).unwrap().expansions().collect()
}

fn refused(text: &str) -> String {
    Template::parse(text, None).unwrap_err().to_string()
}

/// Templates whose variables all have values, with different words in every place, so that all prompts differ.
fn any_template() -> impl Strategy<Value = String> {
    let leaf =
        prop::sample::select(vec!["", "cat", "(a:1.2)", "a b", "[x]", "é", "${v:dog}", "\\{", "{}", "0.5::"]);
    let tree = leaf.prop_map(str::to_owned).prop_recursive(4, 24, 4, |inner| {
        let options = prop::collection::vec(inner.clone(), 1..4);
        let heads = prop::sample::select(vec!["", "1$$", "2$$ and $$", "0-2$$", "1-$$/$$", "-1$$"]);
        prop_oneof![
            (heads, options).prop_map(|(head, options)| {
                let numbered: Vec<_> =
                    options.iter().enumerate().map(|(at, option)| format!("{at}{option}")).collect();
                format!("{{{head}{}}}", numbered.join("|"))
            }),
            prop::collection::vec(inner.clone(), 0..3).prop_map(|parts| parts.join(" ")),
            inner.clone().prop_map(|value| format!("${{v=!{value}}}<${{v}}>")),
            inner.clone().prop_map(|value| format!("${{v={value}}}<${{v}}>")),
            inner.prop_map(|value| format!("({value}:1.1)")),
        ]
    });
    tree.prop_filter("few enough to look at", |text| Template::parse(text, None).unwrap().count() <= 3000)
}

#[test]
fn choices_turn_with_the_last_one_fastest() {
    assert_eq!(all("a {red|blue} {cat|dog}"), ["a red cat", "a red dog", "a blue cat", "a blue dog"]);
    assert_eq!(all("{a|{b|c}d|}"), ["a", "bd", "cd", ""]);
    assert_eq!(all("{(a|b:1.2)|[c|d]}"), ["(a|b:1.2)", "[c|d]"]);
    assert_eq!(all("{0.5::a|2::b|3:c}"), ["a", "b", "3:c"]);
    assert_eq!(all("plain, (text:1.2) __name__ {"), ["plain, (text:1.2) __name__ {"]);
    assert_eq!(all(""), [""]);
}

#[test]
fn several_options_are_taken_in_their_order() {
    assert_eq!(all("{2$$a|b|c}"), ["a, b", "a, c", "b, c"]);
    assert_eq!(all("{2$$ and $$a|{b|c}}"), ["a and b", "a and c"]);
    assert_eq!(all("{1-2$$$$a|b}!"), ["a!", "b!", "ab!"]);
    assert_eq!(all("{-1$$a|b}"), ["", "a", "b"]);
    assert_eq!(all("{2-$$+$$a|b|c}"), ["a+b", "a+c", "b+c", "a+b+c"]);
    assert_eq!(all("{9$$a|b}"), ["a, b"]);
    assert_eq!(all("{3-1$$/$$a|b}"), ["a", "b", "a/b"]);
    assert_eq!(all("{99999999999999999999$$a|b}"), ["a, b"]);
}

#[test]
fn variables_hold_until_their_option_ends() {
    assert_eq!(all("${x={a|b}}${x}${x}"), ["aa", "ab", "ba", "bb"]);
    assert_eq!(all("${x=!{a|b}}${x}${x}"), ["aa", "bb"]);
    assert_eq!(all("${x=red}${x} cat, ${x} dog"), ["red cat, red dog"]);
    assert_eq!(all("${x:none} ${x={a|b}}${x:none}"), ["none a", "none b"]);
    assert_eq!(all("{${x=!a}${x}|${x:b}}${x:c}"), ["ac", "bc"]);
    assert_eq!(all("${x=a}{${x=b}${x}}${x}"), ["ba"]);
    assert_eq!(all("${x=!{a|b}}${y=<${x}{1|2}>}${y}"), ["<a1>", "<a2>", "<b1>", "<b2>"]);
    assert_eq!(all("${x=!{a|b}}{${x}1|${x}2}"), ["a1", "a2", "b1", "b2"]);
    assert_eq!(all("${x=!a}\n# a comment\n${x}\n/* b */c"), ["a\nc"]);
    assert!(refused("a ${x}").contains("The variable x has no value"));
    assert!(refused("{${x=a}|b} ${x}").contains("The variable x has no value"));
}

#[test]
fn a_backslash_protects_what_is_a_templates_own() {
    assert_eq!(all("\\{a\\|b\\} \\(c\\) \\__d__ \\${x\\}"), ["{a|b} \\(c\\) __d__ ${x}"]);
    assert_eq!(all("{a\\|b|c}"), ["a|b", "c"]);
}

#[test]
fn a_large_template_is_counted_and_not_made() {
    let template = Template::parse(&"{a|b}".repeat(40), None).unwrap();
    assert_eq!(template.count(), 1 << 40);
    assert_eq!(template.nth((1 << 40) - 1).unwrap(), "b".repeat(40));
    assert_eq!(template.nth(1 << 40), None);
    let mut expansions = template.expansions();
    expansions.seek((1 << 40) - 2);
    assert_eq!(expansions.collect::<Vec<_>>().len(), 2);
    let endless = Template::parse(&"{a|b|c}".repeat(1000), None).unwrap();
    assert_eq!(endless.count(), u128::MAX);
    assert_eq!(endless.nth(5).unwrap(), format!("{}bc", "a".repeat(998)));
    assert_eq!(endless.expansions().nth(5).unwrap(), endless.nth(5).unwrap());
    assert_eq!(endless.nth(u128::MAX - 1).unwrap().len(), 1000);
    let many = Template::parse(&format!("{{1-200$$x$$a{}}}", "|{b|c}".repeat(199)), None).unwrap();
    for index in [0, 1, u128::MAX / 2, many.count() - 1] {
        assert!(!many.nth(index).unwrap().is_empty());
    }
}

#[test]
fn what_multiplies_is_refused() {
    let double = |at: u32| format!("${{v{}=${{v{at}:x}}${{v{at}:x}}}}", at + 1);
    let doubling = (0..79).map(double).collect::<Vec<_>>().concat();
    assert!(refused(&format!("{doubling}${{v79}}")).contains("64 MiB"));
    assert!(refused(&format!("{}${{v79}}", doubling.replace('x', ""))).contains("64 MiB"));
    assert!(refused(&doubling.replace('=', "=!")).contains("64 MiB"));
    assert!(refused(&format!("{{1000-2000$${}}}", "a|".repeat(3000))).contains("Take fewer"));
}

#[test]
fn hostile_texts_take_no_time_and_no_stack() {
    for piece in ["{", "{2$$", "${x=", "${x:", "${x=!", "{a|", "(", "__a", "}", "0.5::", "{${x=a}${x}"] {
        let text = piece.repeat(100_000);
        let closed = format!("{text}a{}", "}".repeat(100_000));
        for text in [text, closed] {
            if let Ok(template) = Template::parse(&text, None) {
                assert!(template.count() > 0);
                let first = template.expansions().next().unwrap();
                assert_eq!(template.nth(0).unwrap(), first);
                template.draws(1).next().unwrap();
            }
        }
    }
}

#[test]
fn draws_never_change() {
    let template = Template::parse(
        "${w=!{sun|rain|snow}}{0.5::a|2::b|c} {2$$, $$red|green|blue} ${w} {1-3$$ $$x|y|z}",
        None,
    );
    let drawn: Vec<String> = template.unwrap().draws(42).take(4).collect();
    assert_eq!(drawn, PINNED);
}

const PINNED: [&str; 4] =
    ["b red, green snow x y z", "b green, blue rain x y", "a red, blue rain x y", "c green, blue sun x y z"];

#[test]
fn weights_decide_how_often() {
    let template = Template::parse("{0::a|1::b|3::c}", None).unwrap();
    let drawn: Vec<String> = template.draws(7).take(4000).collect();
    let times = |text: &str| drawn.iter().filter(|each| *each == text).count();
    assert_eq!(times("a"), 0);
    assert!((900..1100).contains(&times("b")), "{}", times("b"));
    let picked: HashSet<String> =
        Template::parse("{2$$a|0::b|c}", None).unwrap().draws(7).take(100).collect();
    assert_eq!(picked, HashSet::from(["a, c".to_owned()]));
}

#[test]
fn a_sample_never_changes_and_never_repeats() {
    assert_eq!(sample(10, 4, 1), PINNED_SAMPLE);
    for (count, limit) in [(0, 3), (5, 5), (5, 100), (1000, 999), (1 << 40, 500), (u128::MAX, 50)] {
        let taken = sample(count, limit, 3);
        assert_eq!(taken.len() as u128, count.min(limit as u128));
        assert_eq!(taken.iter().collect::<HashSet<_>>().len(), taken.len());
        assert!(taken.iter().all(|number| *number < count));
    }
    assert_ne!(sample(10, 10, 1), sample(10, 10, 2));
}

const PINNED_SAMPLE: [u128; 4] = [3, 4, 8, 5];

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn the_nth_is_the_nth_of_all(text in any_template()) {
        let template = Template::parse(&text, None).unwrap();
        let prompts: Vec<String> = template.expansions().collect();
        prop_assert_eq!(prompts.len() as u128, template.count());
        for (index, prompt) in prompts.iter().enumerate() {
            let nth = template.nth(index as u128);
            prop_assert_eq!(nth.as_ref(), Some(prompt));
        }
        let mut expansions = template.expansions();
        expansions.seek(template.count() / 2);
        prop_assert_eq!(expansions.next(), template.nth(template.count() / 2));
    }

    #[test]
    fn the_count_is_the_product_of_the_choices(sizes in prop::collection::vec(1_usize..5, 0..6)) {
        let choice = |(place, size): (usize, &usize)| {
            let options: Vec<_> = (0..*size).map(|option| format!("w{place}_{option}")).collect();
            format!("{{{}}}", options.join("|"))
        };
        let text: Vec<_> = sizes.iter().enumerate().map(choice).collect();
        let template = Template::parse(&text.join(" "), None).unwrap();
        prop_assert_eq!(template.count(), sizes.iter().product::<usize>() as u128);
        let different: HashSet<String> = template.expansions().collect();
        prop_assert_eq!(different.len() as u128, template.count());
    }

    #[test]
    fn what_is_drawn_is_one_of_all(text in any_template(), seed: u64) {
        let template = Template::parse(&text, None).unwrap();
        let prompts: HashSet<String> = template.expansions().collect();
        let drawn: Vec<String> = template.draws(seed).take(5).collect();
        prop_assert!(drawn.iter().all(|prompt| prompts.contains(prompt)));
        prop_assert_eq!(drawn, template.draws(seed).take(5).collect::<Vec<_>>());
    }

    #[test]
    fn no_combination_of_a_matrix_comes_twice(
        parts in 1_usize..9,
        mode in prop::sample::select(MatrixMode::ALL.to_vec()),
        limit in prop::option::of(0_usize..300),
        shuffle: bool,
        seed: u64,
    ) {
        let text: Vec<String> = (0..parts).map(|part| format!("p{part}")).collect();
        let text = text.join("|");
        let request = MatrixRequest { text: &text, mode, limit, shuffle, seed, ..MatrixRequest::default() };
        let matrix = Matrix::new(&request).unwrap();
        let prompts: Vec<String> = matrix.prompts().collect();
        prop_assert_eq!(prompts.iter().collect::<HashSet<_>>().len(), prompts.len());
        prop_assert_eq!(prompts.len() as u128, matrix.wanted());
        let count = match mode {
            MatrixMode::AllCombinations | MatrixMode::Random => (1 << parts) - 1,
            MatrixMode::Pairwise => (parts * (parts - 1) / 2).max(1),
            MatrixMode::Incremental | MatrixMode::Cartesian => parts,
        };
        prop_assert_eq!(matrix.count(), count as u128);
    }

    #[test]
    fn no_text_panics(pieces in prop::collection::vec(prop::sample::select(vec![
        "{", "}", "|", "$$", "2$$", "1-$$,$$", "${", "x", "${x=", "${x=!", "${x:", "${x}", "0.5::", "::", "__a__",
        "__*__", "#", "\n", "/*", "*/", "\\", "(", ")", ":1.2", "é", " ", "<lora:x:1>",
    ]), 0..30)) {
        let text = pieces.concat();
        let wildcards = Wildcards::new(Vec::<String>::new());
        laws::check_template(&text);
        let _ = Template::parse(&text, Some(&wildcards));
        for mode in MatrixMode::ALL {
            let request = MatrixRequest { text: &text, mode, limit: Some(3), ..MatrixRequest::default() };
            if let Ok(matrix) = Matrix::new(&request) {
                prop_assert_eq!(matrix.prompts().count() as u128, matrix.wanted());
            }
        }
    }
}

// ---- wildcards

fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn with(folder: &Path, text: &str) -> Result<Vec<String>, String> {
    let wildcards = Wildcards::new([folder]);
    let template = Template::parse(text, Some(&wildcards)).map_err(|error| error.to_string())?;
    Ok(template.expansions().collect())
}

fn filled() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    write(at, "Colors.txt", "# colours\nred\n\n 2::blue \n{light|dark} green\n");
    write(at, "animals/cats.txt", "\u{feff}tabby\r\nlion\r\n");
    write(at, "animals/dogs.txt", "poodle");
    write(at, "animals/deep/wolves.txt", "grey wolf");
    write(at, "both.txt", "a __colors__ __animals/c*__");
    write(
        at,
        "clothes.yaml",
        "hats:\n  small: [cap, \"a, b\"]\n  large:\n  - 0.5::sombrero\n  - 7\nbare: |\n  none\n  # no\n  much\nnothing: ~\n",
    );
    write(at, "more.json", "{\"Art Styles\": {\"old\": [\"fresco\", 1]}, \"one\": \"\\ud83d\\ude00\"}");
    write(at, "list.yml", "- x\n- y\n");
    write(at, ".hidden.txt", "no");
    write(at, "picture.png", "no");
    folder
}

#[test]
fn wildcards_are_found_by_their_names() {
    let folder = filled();
    let all = |text: &str| with(folder.path(), text).unwrap();
    assert_eq!(all("__colors__"), ["red", "blue", "light green", "dark green"]);
    assert_eq!(all("__COLORS__, __animals/dogs__")[0], "red, poodle");
    assert_eq!(all("__both__").len(), 8);
    assert_eq!(all("__both__")[1], "a red lion");
    assert_eq!(all("__hats/small__"), ["cap", "a, b"]);
    assert_eq!(all("__clothes/hats/large__"), ["sombrero", "7"]);
    assert_eq!(all("__bare__"), ["none", "much"]);
    assert_eq!(all("__art-styles/old__"), ["fresco", "1"]);
    assert_eq!(all("__one__"), ["😀"]);
    assert_eq!(all("__list__"), ["x", "y"]);
    assert_eq!(all("{2$$ $$__animals/cats__}"), ["tabby lion"]);
    let wildcards = Wildcards::new([folder.path()]);
    assert_eq!(
        wildcards.names(),
        [
            "animals/cats",
            "animals/deep/wolves",
            "animals/dogs",
            "art-styles/old",
            "bare",
            "both",
            "colors",
            "hats/large",
            "hats/small",
            "list",
            "one"
        ]
    );
    assert_eq!(wildcards.problems(), Vec::<String>::new());
}

#[test]
fn patterns_take_every_list_they_fit() {
    let folder = filled();
    let all = |text: &str| with(folder.path(), text).unwrap();
    assert_eq!(all("__animals/*__"), ["tabby", "lion", "poodle"]);
    assert_eq!(all("__animals/**__"), ["tabby", "lion", "grey wolf", "poodle"]);
    assert_eq!(all("__animals/?ogs__"), ["poodle"]);
    assert_eq!(all("__*s/d*s__"), ["poodle"]);
    assert_eq!(all("__**/wolves__"), ["grey wolf"]);
    assert_eq!(all("__clothes/**__"), ["none", "much", "sombrero", "7", "cap", "a, b"]);
    assert!(with(folder.path(), "__animals/x*__").is_err());
}

#[test]
fn a_wildcard_knows_its_own_variables_only() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "w.txt", "${x:inner} ${y=!{a|b}}${y}");
    assert_eq!(with(folder.path(), "${x=outer}__w__ ${x}").unwrap(), ["inner a outer", "inner b outer"]);
    assert!(with(folder.path(), "__w__ ${y}").unwrap_err().contains("The variable y has no value"));
}

#[test]
fn weights_of_lines_count() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "w.txt", "0::never\n1::always");
    let wildcards = Wildcards::new([folder.path()]);
    let template = Template::parse("__w__", Some(&wildcards)).unwrap();
    assert!(template.draws(5).take(50).all(|prompt| prompt == "always"));
}

#[test]
fn what_is_missing_is_named_with_its_neighbours() {
    let folder = filled();
    let missing = with(folder.path(), "a __colours__").unwrap_err();
    assert!(missing.contains("There is no wildcard __colours__ in "), "{missing}");
    assert!(missing.contains("The nearest: __colors__,"), "{missing}");
    write(folder.path(), "bad.yaml", "a: [b");
    write(folder.path(), "worse.yaml", "a:\n- b: c\n");
    write(folder.path(), "bad.json", "{\"a\": 1,}");
    let missing = with(folder.path(), "a __bad__").unwrap_err();
    assert!(missing.contains("bad.yaml: this is no YAML"), "{missing}");
    let problems = Wildcards::new([folder.path()]).problems();
    assert_eq!(problems.len(), 3, "{problems:?}");
    assert!(problems[2].contains("line 2: an option with a colon"), "{problems:?}");
    assert!(with(folder.path(), "__colors__").is_ok());
    assert!(with(&folder.path().join("none"), "__a__").unwrap_err().contains("none does not exist."));
    let none = Wildcards::new(Vec::<String>::new());
    assert!(Template::parse("__a__", Some(&none)).unwrap_err().to_string().contains("no folder was given"));
}

#[test]
fn circles_are_named() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "a.txt", "x __b__");
    write(folder.path(), "b.txt", "y\n{z|__c__}");
    write(folder.path(), "c.txt", "__a__");
    let circle = with(folder.path(), "__b__").unwrap_err();
    assert!(circle.contains("A wildcard leads to itself: __b__ -> __c__ -> __a__ -> __b__."), "{circle}");
    write(folder.path(), "deep.txt", &"__deeper__".repeat(1000));
    write(folder.path(), "deeper.txt", &"__deepest__".repeat(1000));
    write(folder.path(), "deepest.txt", &"long ".repeat(1000));
    assert!(with(folder.path(), "__deep__").unwrap_err().contains("64 MiB"));
}

#[test]
fn a_thousand_wildcards_may_lead_to_each_other() {
    let folder = tempfile::tempdir().unwrap();
    for number in 0..1000 {
        write(folder.path(), &format!("w{number}.txt"), &format!("__w{}__", number + 1));
    }
    write(folder.path(), "w1000.txt", "end");
    assert_eq!(with(folder.path(), "__w0__").unwrap(), ["end"]);
}

#[test]
fn no_name_leads_out_of_a_folder() {
    let outside = tempfile::tempdir().unwrap();
    write(outside.path(), "secret.txt", "secret");
    write(outside.path(), "inside/a.txt", "a");
    let inside = outside.path().join("inside");
    for name in ["../secret", "./../secret", "..", "../*", "**/secret", "a/../../secret"] {
        let missing = with(&inside, &format!("__{name}__"));
        assert!(missing.is_err(), "{name}: {missing:?}");
    }
    let absolute = format!("__{}__", outside.path().join("secret").display());
    assert!(with(&inside, &absolute).map_or(true, |prompts| prompts == [absolute.clone()]));
}

#[cfg(unix)]
#[test]
fn no_link_leads_out_of_a_folder() {
    let outside = tempfile::tempdir().unwrap();
    write(outside.path(), "secret.txt", "secret");
    write(outside.path(), "inside/a.txt", "a");
    let inside = outside.path().join("inside");
    std::os::unix::fs::symlink(outside.path().join("secret.txt"), inside.join("link.txt")).unwrap();
    std::os::unix::fs::symlink(outside.path(), inside.join("folder")).unwrap();
    std::os::unix::fs::symlink(inside.join("a.txt"), inside.join("b.txt")).unwrap();
    let wildcards = Wildcards::new([&inside]);
    assert_eq!(wildcards.names(), ["a", "b"]);
    assert!(wildcards.problems()[0].contains("leads out of the folder"));
}

#[test]
fn changes_are_seen() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "a.txt", "one");
    let wildcards = Wildcards::new([folder.path()]).always_looking();
    let first = || Template::parse("__a__", Some(&wildcards)).unwrap().nth(0).unwrap();
    let before = wildcards.fingerprint();
    assert_eq!(first(), "one");
    assert_eq!(wildcards.fingerprint(), before);
    write(folder.path(), "a.txt", "another");
    assert_eq!(first(), "another");
    assert_ne!(wildcards.fingerprint(), before);
    write(folder.path(), "b.txt", "new");
    assert_eq!(wildcards.names(), ["a", "b"]);
    fs::remove_file(folder.path().join("b.txt")).unwrap();
    assert_eq!(wildcards.names(), ["a"]);
}
