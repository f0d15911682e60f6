//! What must hold for every input of the pure modules. Plain functions of plain data, so that tests and fuzzing share
//! them. Not here: the inputs (`properties_text.rs`, `fuzz/`).
#![allow(dead_code, missing_docs, unreachable_pub)]
#![allow(clippy::unwrap_used)] // A law that cannot be checked has failed.

use std::collections::{BTreeMap, BTreeSet};

use xdev_llm::text::{Piece, ThinkSplitter};
use xdev_llm::{Message, Preset, Presets, Role, Sampling, history};

/// The tags of the splitter's table, written once more so that a slip there shows here.
pub const TAGS: [&str; 18] = [
    "<think>",
    "</think>",
    "<thinking>",
    "</thinking>",
    "[THINK]",
    "[/THINK]",
    "<|START_THINKING|>",
    "<|END_THINKING|>",
    "<seed:think>",
    "</seed:think>",
    "<|channel>thought",
    "<channel|>",
    "<|think|>",
    "<|end|>",
    "<|channel|>analysis<|message|>",
    "<|start|>assistant",
    "<|channel|>final<|message|>",
    "<|begin|>assistant<|content|>",
];

/// Splits an answer that comes in these pieces: its text, its thinking, and all that came out in order.
fn split<'a>(pieces: impl IntoIterator<Item = &'a str>) -> (String, String, String) {
    let (mut text, mut reasoning, mut all) = (String::new(), String::new(), String::new());
    let mut out = |piece: Piece<'_>| match piece {
        Piece::Text(piece) => {
            text.push_str(piece);
            all.push_str(piece);
        }
        Piece::Reasoning(piece) => {
            reasoning.push_str(piece);
            all.push_str(piece);
        }
        Piece::Retract => {
            assert!(reasoning.is_empty(), "thinking cannot precede a lone closing tag");
            reasoning = std::mem::take(&mut text);
        }
    };
    let mut splitter = ThinkSplitter::new();
    for piece in pieces {
        splitter.push(piece, &mut out);
    }
    splitter.finish(&mut out);
    (text, reasoning, all)
}

/// However an answer is cut, the same text and thinking come out.
pub fn check_think_cuts(input: &str, cuts: &[usize]) {
    let mut pieces = Vec::new();
    let mut rest = input;
    for cut in cuts {
        let mut at = cut % (rest.len() + 1);
        while !rest.is_char_boundary(at) {
            at -= 1;
        }
        let (piece, after) = rest.split_at(at);
        pieces.push(piece);
        rest = after;
    }
    pieces.push(rest);
    let whole = split([input]);
    assert_eq!(split(pieces), whole);
    let characters = input.char_indices().map(|(at, c)| &input[at..at + c.len_utf8()]);
    assert_eq!(split(characters), whole);
}

/// What comes out is the input without some tags and white space, in order.
pub fn check_think_loses_nothing(input: &str) {
    let (text, reasoning, all) = split([input]);
    assert_eq!(text.len() + reasoning.len(), all.len());
    // `reached[i]` holds the lengths of output that the first i bytes of input can have made.
    let mut reached = vec![BTreeSet::new(); input.len() + 1];
    reached[0].insert(0);
    for (at, c) in input.char_indices() {
        let tag = TAGS.iter().find(|tag| input[at..].starts_with(**tag));
        for made in reached[at].clone() {
            if all[made..].starts_with(c) {
                reached[at + c.len_utf8()].insert(made + c.len_utf8());
            }
            if c.is_whitespace() {
                reached[at + c.len_utf8()].insert(made);
            }
            if let Some(tag) = tag {
                reached[at + tag.len()].insert(made);
            }
        }
    }
    assert!(reached[input.len()].contains(&all.len()), "{input:?} gave {all:?}");
}

/// What is printed reads back the same.
pub fn check_history_round_trip(messages: &[Message]) {
    assert_eq!(history::parse(&history::print(messages)).unwrap(), messages);
    assert_eq!(history::parse(&history::print_pretty(messages)).unwrap(), messages);
}

/// Any text is read or refused; what is read round-trips, and appending agrees with it.
pub fn check_history_text(text: &str) {
    let added = [Message::user("x")];
    let appended = history::append(text, &added);
    if let Ok(messages) = history::parse(text) {
        check_history_round_trip(&messages);
        if !text.trim_start_matches('\u{feff}').trim_start().starts_with('{') {
            let both: Vec<_> = messages.iter().chain(&added).cloned().collect();
            assert_eq!(history::parse(&appended.unwrap()).unwrap(), both);
        }
    }
}

/// Trimming keeps what must stay, keeps order, and parts no call from its results.
pub fn check_trim(messages: &[Message], budget: usize) {
    let trimmed = history::trim(messages, budget, history::estimate_tokens);
    let kept = &trimmed.messages;
    assert_eq!(kept.len() + trimmed.dropped, messages.len());
    assert_eq!(trimmed.tokens, kept.iter().map(history::estimate_tokens).sum::<usize>());
    let mut all = messages.iter();
    assert!(kept.iter().all(|message| all.any(|known| known == message)), "order is kept");
    let instruction = |message: &&Message| matches!(message.role, Role::System | Role::Developer);
    let head = messages.iter().take_while(instruction).count();
    assert!(kept.starts_with(&messages[..head]));
    if let Some(last) = messages.iter().rposition(|message| message.role == Role::User) {
        let spoken = |message: &&Message| message.role != Role::Tool;
        let tail: Vec<_> = messages[last..].iter().filter(spoken).collect();
        let kept: Vec<_> = kept.iter().filter(spoken).collect();
        assert!(kept.ends_with(&tail));
    }
    for (index, message) in kept.iter().enumerate() {
        if let (Role::Tool, Some(id)) =
            (message.role, message.tool_call_id.as_deref().filter(|id| !id.is_empty()))
        {
            let calls = |message: &Message| {
                message.role != Role::Tool && message.tool_calls.iter().any(|call| call.id == id)
            };
            assert!(kept[..index].iter().any(calls), "a result is left without its call");
        }
    }
    let unlimited = history::trim(messages, usize::MAX, history::estimate_tokens);
    assert!(trimmed.tokens <= unlimited.tokens);
    if unlimited.tokens <= budget {
        assert_eq!(*kept, unlimited.messages);
    }
}

/// An explicit value always beats the preset, and the preset fills the rest.
pub fn check_preset(preset: &Sampling, explicit: &Sampling) {
    let mine = Preset { sampling: preset.clone(), ..Preset::default() };
    let presets = Presets::new(BTreeMap::from([("mine".to_owned(), mine)]));
    let applied = presets.get("mine").unwrap().apply(explicit.clone());
    let table = |sampling: &Sampling| match serde_json::to_value(sampling).unwrap() {
        serde_json::Value::Object(table) => table,
        other => panic!("{other}"),
    };
    let mut expected = table(preset);
    expected.extend(table(explicit));
    assert_eq!(table(&applied), expected);
}

#[cfg(feature = "json")]
pub mod json {
    use serde_json::Value;
    use xdev_llm::text::json;

    /// Any text is read or refused; what is found lies in the text and parses to the same.
    pub fn check_json_text(text: &str) {
        match (json::find(text), json::parse(text)) {
            (Some(found), Ok(parsed)) => {
                assert!(text.contains(found));
                if !parsed.mended && !parsed.cut_off {
                    assert_eq!(serde_json::from_str::<Value>(found).unwrap(), parsed.value);
                }
            }
            (found, parsed) => assert!(found.is_none() && parsed.is_err()),
        }
    }

    /// A printed object is found in prose unmended, and each of its beginnings is cut off.
    pub fn check_json_value(value: &Value) {
        for printed in [value.to_string(), serde_json::to_string_pretty(value).unwrap()] {
            let parsed = json::parse(&format!("Here it is:\n{printed}\nThat is all.")).unwrap();
            assert_eq!((&parsed.value, parsed.mended, parsed.cut_off), (value, false, false));
            for at in 1..printed.len() {
                if printed.is_char_boundary(at)
                    && let Ok(parsed) = json::parse(&printed[..at])
                {
                    assert!(parsed.cut_off && !parsed.mended, "{}", &printed[..at]);
                }
            }
        }
    }
}
