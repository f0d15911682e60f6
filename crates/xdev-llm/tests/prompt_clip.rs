//! The laws of token counting: CLIP's tokenizer as recorded, chunks as ComfyUI cuts them, and no input that takes long.
//!
//! Not here: what the analyzer says about a prompt (`prompt_analyze`).
#![cfg(feature = "prompt")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use proptest::prelude::*;
use xdev_llm::prompt::{
    CHUNK, ClipCount, Dialect, EmbeddingSizes, clip_tokens, count_clip_chunks, count_clip_tokens,
    effective_weights,
};

fn recorded() -> Vec<(String, Vec<u16>)> {
    let lines = include_str!("../../../fixtures/comfyui/clip_tokens.jsonl").lines();
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn tokens_are_those_of_the_tokenizer_that_comfyui_has() {
    let recorded = recorded();
    assert!(recorded.len() > 3000, "the table is short: {}", recorded.len());
    let wrong: Vec<_> = recorded.iter().filter(|(text, tokens)| clip_tokens(text) != *tokens).collect();
    let first: Vec<_> =
        wrong.iter().take(5).map(|(text, tokens)| (text, tokens, clip_tokens(text))).collect();
    assert!(wrong.is_empty(), "{} of {} differ: {first:?}", wrong.len(), recorded.len());
}

fn count_with(text: &str, dialect: Dialect, sizes: &EmbeddingSizes) -> ClipCount {
    count_clip_chunks(&effective_weights(text, dialect).unwrap(), dialect, sizes)
}

fn chunks(text: &str, dialect: Dialect) -> Vec<usize> {
    count_with(text, dialect, &EmbeddingSizes::new()).chunks.iter().map(|chunk| chunk.tokens).collect()
}

#[test]
fn chunks_are_those_of_comfyui() {
    let lines = include_str!("../../../fixtures/comfyui/clip_chunks.jsonl").lines();
    let recorded: Vec<(String, Vec<usize>)> = lines.map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(recorded.iter().filter(|(_, chunks)| chunks.len() > 1).count() > 100);
    let sizes = EmbeddingSizes::from([("nine".to_owned(), 9)]);
    for (text, expected) in recorded {
        let count = count_with(&text, Dialect::Comfyui, &sizes);
        let tokens: Vec<_> = count.chunks.iter().map(|chunk| chunk.tokens).collect();
        assert_eq!(tokens, expected, "{text:?}");
        assert_eq!(count.tokens, expected.iter().sum::<usize>());
    }
}

#[test]
fn a_long_piece_is_cut_where_the_chunk_is_full_and_a_short_one_is_not() {
    assert_eq!(chunks("", Dialect::Comfyui), [0]);
    assert_eq!(chunks(&"cat ".repeat(75), Dialect::Comfyui), [75]);
    assert_eq!(chunks(&"cat ".repeat(76), Dialect::Comfyui), [75, 1]);
    let short = format!("{}(red red red:1.2)", "cat ".repeat(74));
    assert_eq!(chunks(&short, Dialect::Comfyui), [74, 3]);
    let long = format!("{}({}:1.2)", "cat ".repeat(74), "red ".repeat(8));
    assert_eq!(chunks(&long, Dialect::Comfyui), [75, 7]);
}

#[test]
fn break_begins_a_chunk_only_where_it_is_a_word_of_the_dialect() {
    assert_eq!(chunks("a cat BREAK a dog", Dialect::A1111), [2, 2]);
    assert_eq!(chunks("a cat BREAK a dog", Dialect::Comfyui), [5]);
    assert_eq!(chunks("a (BREAK:-1) cat", Dialect::Comfyui), [3]);
}

#[test]
fn a_chunk_tells_where_it_begins_and_ends() {
    let text = format!("A RED (house:1.2){} the last, END {}one more", " x".repeat(68), "");
    let count = count_with(&text, Dialect::Comfyui, &EmbeddingSizes::new());
    let [first, second] = &count.chunks[..] else { panic!("{count:?}") };
    assert_eq!((first.tokens, second.tokens), (75, 2));
    assert!(first.begins.starts_with("a red house x x"), "{first:?}");
    assert!(first.ends.ends_with("x x the last, end"), "{first:?}");
    assert_eq!((second.begins.as_str(), second.ends.as_str()), ("one more", "one more"));
    assert!(first.begins.len() <= 40 && first.ends.len() <= 40);
}

#[test]
fn an_embedding_is_as_many_tokens_as_is_told() {
    let sizes = EmbeddingSizes::from([("style".to_owned(), 12), ("odd,".to_owned(), 3)]);
    let tokens = |text: &str| count_with(text, Dialect::Comfyui, &sizes).tokens;
    assert_eq!(tokens("embedding:other"), 1);
    assert_eq!(tokens("embedding:style, a cat"), 12 + 3);
    assert_eq!(tokens("a cat embedding:style"), 2 + 12);
    assert_eq!(tokens("embedding:odd, a cat"), 3 + 2);
    // As in ComfyUI: one begins a piece or stands after a space.
    assert_eq!(tokens("x,embedding:style"), clip_tokens("x,embedding:style").len());
    assert_eq!(tokens("embedding:"), clip_tokens("embedding:").len());
}

#[test]
fn long_texts_take_no_longer_than_their_length() {
    for unit in ["a", "ab", "世", "<|", "'s", "e\u{301}"] {
        let text = unit.repeat((1 << 17) / unit.len());
        let count = count_with(&text, Dialect::Comfyui, &EmbeddingSizes::new());
        assert_eq!(count.tokens, clip_tokens(&text).len());
        assert_eq!(count.chunks.len(), count.tokens.div_ceil(CHUNK));
    }
}

proptest! {
    #[test]
    fn any_text_has_tokens(text in any::<String>()) {
        let tokens = clip_tokens(&text);
        prop_assert_eq!(count_clip_tokens(&text), tokens.len());
        // More tokens than bytes would be possible only for what the clean-up makes longer.
        prop_assert!(tokens.iter().all(|token| *token < 49_408));
    }

    /// Words are read one by one, so what stands before and after changes nothing.
    #[test]
    fn tokens_of_words_add_up(words in proptest::collection::vec("[a-zA-Z]{1,12}", 1..12)) {
        let apart: Vec<u16> = words.iter().flat_map(|word| clip_tokens(word)).collect();
        prop_assert_eq!(clip_tokens(&words.join("  ")), apart);
    }

    #[test]
    fn chunks_hold_all_tokens(text in "([a-z]{1,8}[ ,.()]{1,3}){0,200}") {
        let Ok(pieces) = effective_weights(&text, Dialect::Comfyui) else { return Ok(()) };
        let count = count_clip_chunks(&pieces, Dialect::Comfyui, &EmbeddingSizes::new());
        let apart: usize = pieces.iter().map(|(piece, _)| count_clip_tokens(piece)).sum();
        prop_assert_eq!(count.tokens, apart);
        prop_assert!(count.chunks.iter().all(|chunk| chunk.tokens <= CHUNK));
    }
}
