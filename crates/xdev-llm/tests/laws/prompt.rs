//! What must hold for every text that is taken for a prompt. Plain functions of plain data, so that tests and fuzzing
//! share them. Not here: the inputs (`prompt_grammar.rs`, `fuzz/`).
#![allow(dead_code, missing_docs, unreachable_pub)]
#![allow(clippy::unwrap_used)] // A law that cannot be checked has failed.

use xdev_llm::prompt::{
    AnalysisOptions, CHUNK, Dialect, Prompt, Template, Weighted, analyze, clip_tokens, convert,
    count_clip_tokens, effective_weights,
};

/// The tree gives back the text, and its nodes fill their parents without gaps.
pub fn check_tree(text: &str) {
    for dialect in Dialect::ALL {
        let prompt = Prompt::parse(text, dialect);
        assert_eq!(prompt.print(), text);
        let mut from = 0;
        for root in prompt.roots() {
            assert_eq!(prompt.node(root).span.start, from, "{text:?}");
            from = prompt.node(root).span.end;
        }
        assert_eq!(from, text.len());
        for index in 0..prompt.nodes().len() {
            check_children(&prompt, index);
        }
        let mut from = 0;
        for phrase in prompt.phrases() {
            assert!(phrase.span.start >= from && phrase.span.end > phrase.span.start, "{text:?}");
            from = phrase.span.end;
        }
    }
}

fn check_children(prompt: &Prompt, index: usize) {
    let node = prompt.node(index);
    let mut from = node.inner.start;
    for child in prompt.children(index) {
        assert_eq!(prompt.node(child).span.start, from, "{:?}", prompt.source());
        from = prompt.node(child).span.end;
    }
    if node.is_group() && prompt.children(index).next().is_some() {
        assert_eq!(from, node.inner.end, "{:?}", prompt.source());
    }
}

/// A prompt in the other dialect has the same weights.
pub fn check_conversion(text: &str) {
    for (from, to) in [(Dialect::Comfyui, Dialect::A1111), (Dialect::A1111, Dialect::Comfyui)] {
        let Ok(before) = effective_weights(text, from) else { continue };
        let converted = convert(text, from, to).unwrap().text;
        let after = effective_weights(&converted, to).unwrap();
        let (before, after) = (weighted_words(&before), weighted_words(&after));
        let is_same = |one: &(char, f64), other: &(char, f64)| {
            one.0 == other.0 && (one.1 - other.1).abs() <= 1e-4_f64.max(one.1.abs() * 1e-12)
        };
        let are_same =
            before.len() == after.len() && before.iter().zip(&after).all(|(one, other)| is_same(one, other));
        assert!(are_same, "{text:?} became {converted:?}");
    }
}

/// Whatever a text is, there is something to say about it: counts that agree, and places that are in it.
pub fn check_analysis(text: &str) {
    assert_eq!(clip_tokens(text).len(), count_clip_tokens(text));
    for dialect in Dialect::ALL {
        let analysis = analyze(text, &AnalysisOptions { dialect, ..AnalysisOptions::default() });
        let chunks = &analysis.clip.chunks;
        assert_eq!(chunks.iter().map(|chunk| chunk.tokens).sum::<usize>(), analysis.clip.tokens);
        assert!(!chunks.is_empty() && chunks.iter().all(|chunk| chunk.tokens <= CHUNK), "{text:?}");
        assert_eq!(analysis.characters, text.chars().count());
        assert!((0.0..=10.0).contains(&analysis.complexity) && analysis.unique_words <= analysis.words);
        for place in analysis.problems.iter().filter_map(|problem| problem.position) {
            let before: String = text.chars().take(place.character).collect();
            let line = before.rsplit('\n').next().unwrap();
            assert!(place.character < analysis.characters, "{text:?}");
            assert_eq!(place.line, before.matches('\n').count() + 1);
            assert_eq!(place.column, line.chars().count() + 1);
        }
    }
}

/// A template is refused in words, or has a first and a last prompt, and what a seed draws can be drawn again.
pub fn check_template(text: &str) {
    let Ok(template) = Template::parse(text, None) else { return };
    let mut expansions = template.expansions();
    assert_eq!(expansions.next(), template.nth(0), "{text:?}");
    let last = template.count() - 1;
    assert!(template.nth(last).is_some() && template.nth(template.count()).is_none(), "{text:?}");
    expansions.seek(last);
    assert_eq!(expansions.next(), template.nth(last), "{text:?}");
    assert_eq!(template.draws(7).next(), template.draws(7).next(), "{text:?}");
}

/// Every character but white space and NUL with its weight. `BREAK` is a word in one dialect only.
fn weighted_words(pieces: &[Weighted<'_>]) -> Vec<(char, f64)> {
    let pieces = pieces.iter().map(|(text, weight)| (text.replace("BREAK", ""), *weight));
    let words = pieces.flat_map(|(text, weight)| {
        let text: Vec<char> = text.chars().filter(|each| !each.is_whitespace() && *each != '\0').collect();
        text.into_iter().map(move |character| (character, weight))
    });
    words.collect()
}
