//! Takes away what a language model writes around a prompt: openings, labels, fences, quotes, list marks, notes, bold marks.
//!
//! It goes by structure: an opening ends with a colon or a line, a note is a paragraph of its own, quotes go around all of
//! it. What could be part of the prompt stays, and something always remains.

use std::ops::Range;

use super::CleanOptions;
use crate::prompt::{Edits, Kind, Prompt};

/// How far an opening may reach, in bytes.
const MAX_OPENING: usize = 300;
const INTERJECTIONS: [&str; 14] = [
    "sure thing",
    "sure",
    "certainly",
    "of course",
    "absolutely",
    "okay",
    "ok",
    "great",
    "got it",
    "no problem",
    "alright",
    "understood",
    "当然可以",
    "好的",
];
const INTRODUCTIONS: [&str; 18] = [
    "here is",
    "here you go",
    "here it is",
    "here we go",
    "here's",
    "here’s",
    "here are",
    "below is",
    "below are",
    "this is",
    "the following is",
    "i've created",
    "i have created",
    "i've written",
    "i've crafted",
    "以下是",
    "这是",
    "下面是",
];
/// What an introduction speaks of.
const SUBJECTS: [&str; 14] = [
    "prompt",
    "description",
    "caption",
    "version",
    "tags",
    "idea",
    "example",
    "suggestion",
    "rewrite",
    "answer",
    "result",
    "output",
    "提示词",
    "描述",
];
const LABELS: [&str; 10] = [
    "prompt",
    "prompts",
    "caption",
    "description",
    "tags",
    "output",
    "answer",
    "提示词",
    "正向提示词",
    "正面提示词",
];
const NOTES: [&str; 22] = [
    "negative prompt",
    "反向提示词",
    "note:",
    "note that",
    "notes:",
    "let me know",
    "just let me know",
    "feel free",
    "i hope",
    "hope this",
    "hope you",
    "this prompt",
    "would you like",
    "if you'd like",
    "if you would like",
    "if you want",
    "explanation:",
    "enjoy!",
    "you can adjust",
    "you can tweak",
    "注意：",
    "希望",
];
const QUOTES: [(char, char); 8] =
    [('"', '"'), ('“', '”'), ('\'', '\''), ('‘', '’'), ('«', '»'), ('「', '」'), ('『', '』'), ('`', '`')];

/// The text without what a model said around it, and how many things went.
pub(super) fn strip(text: &str, options: &CleanOptions) -> Option<(String, usize)> {
    if !options.strip_model_talk {
        return None;
    }
    let (mut count, unfenced) = match without_fences(text) {
        Some(inside) => (1, inside),
        None => (0, text.to_owned()),
    };
    let mut rest = unfenced.trim();
    let steps = [
        without_thinking,
        without_interjection,
        without_introduction,
        without_label,
        without_note,
        without_quotes,
    ];
    while let Some(shorter) = steps.iter().find_map(|step| step(rest)).map(str::trim) {
        if shorter.is_empty() {
            break;
        }
        rest = shorter;
        count += 1;
    }
    let (marks, unmarked) = without_list_marks(rest).unwrap_or_else(|| (0, rest.to_owned()));
    let (bold, plain) = without_bold(&unmarked, options).unwrap_or((0, unmarked));
    count += marks + bold;
    (count > 0 && !plain.trim().is_empty()).then_some((plain, count))
}

/// The begin of the text in small letters, as far as an opening may reach and on one line; bytes stay where they are.
fn opening(text: &str) -> String {
    let mut end = text.len().min(MAX_OPENING);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let line = text[..end].split('\n').next().unwrap_or_default();
    line.to_ascii_lowercase()
}

/// `<think> … </think>` before the answer.
fn without_thinking(text: &str) -> Option<&str> {
    text.strip_prefix("<think>")?.split_once("</think>").map(|(_, answer)| answer)
}

/// "Sure!"
fn without_interjection(text: &str) -> Option<&str> {
    let opening = opening(text);
    let word = INTERJECTIONS.iter().find(|word| opening.starts_with(**word))?;
    let rest = &text[word.len()..];
    let mark = rest.chars().next()?;
    let after = &rest[mark.len_utf8()..];
    let is_end = matches!(mark, '!' | '.' | '！' | '。') && !after.starts_with(['!', '.']);
    let is_before_more = matches!(mark, ',' | '，')
        && (without_introduction(after.trim_start()).is_some()
            || INTRODUCTIONS
                .iter()
                .any(|word| after.trim_start().starts_with(word) && after.contains(['：', ':'])));
    (is_end && (after.starts_with(char::is_whitespace) || !mark.is_ascii()) || is_before_more)
        .then_some(after)
}

/// "Here is a prompt for your picture:"
fn without_introduction(text: &str) -> Option<&str> {
    let start = text.len() - text.trim_start_matches('*').len();
    let opening = opening(&text[start..]);
    INTRODUCTIONS.iter().find(|word| opening.starts_with(**word))?;
    let speaks = |line: &str| {
        let is_all = matches!(line, "here you go" | "here it is" | "here we go");
        is_all || SUBJECTS.iter().any(|subject| line.contains(subject))
    };
    let after = &text[start..];
    if let Some((at, colon)) = opening.char_indices().find(|(_, each)| matches!(each, ':' | '：')) {
        let said = &opening[..at];
        return (speaks(said) && !said.contains(['(', '<', '{']))
            .then(|| after[at + colon.len_utf8()..].trim_start_matches('*'));
    }
    let is_alone =
        after[opening.len()..].starts_with("\n\n") || after[opening.len()..].starts_with("\r\n\r\n");
    (is_alone && speaks(&opening)).then(|| &after[opening.len()..])
}

/// "**Prompt:**", or a heading that says so.
fn without_label(text: &str) -> Option<&str> {
    let marks = |character: char| matches!(character, '#' | '*' | '_' | ' ');
    let start = text.len() - text.trim_start_matches(marks).len();
    let opening = opening(&text[start..]);
    let colon = opening.char_indices().find(|(_, each)| matches!(each, ':' | '：'));
    let label = &opening[..colon.map_or(opening.len(), |(at, _)| at)];
    let words: Vec<&str> = label.trim_end_matches(marks).split_whitespace().take(6).collect();
    let is_label = words.len() <= 5
        && words.last().is_some_and(|word| LABELS.contains(word))
        && words.iter().all(|word| word.chars().all(char::is_alphanumeric) && *word != "negative");
    if !is_label {
        return None;
    }
    match colon {
        Some((at, colon)) => Some(text[start + at + colon.len_utf8()..].trim_start_matches(['*', '_'])),
        None if text.starts_with('#') || text.starts_with("**") => {
            text[start + opening.len()..].starts_with('\n').then(|| &text[start + opening.len()..])
        }
        None => None,
    }
}

/// A last paragraph, or a last line, that speaks to the reader or is no part of this prompt.
fn without_note(text: &str) -> Option<&str> {
    let is_note = |start: usize| {
        let said = opening(
            text[start..].trim_start_matches(|each: char| each.is_whitespace() || "#*_-(".contains(each)),
        );
        NOTES.iter().any(|note| said.starts_with(note))
    };
    let starts = [text.rfind("\n\n"), text.rfind('\n')];
    starts.into_iter().flatten().find(|start| is_note(*start)).map(|start| &text[..start])
}

/// Quotation marks around all of it.
fn without_quotes(text: &str) -> Option<&str> {
    QUOTES.iter().find_map(|(open, close)| {
        let inside = text.strip_prefix(*open)?.strip_suffix(*close)?;
        (!inside.contains([*open, *close])).then_some(inside)
    })
}

/// What stands between fences; what introduced the first one goes, too.
fn without_fences(text: &str) -> Option<String> {
    const FENCE: &str = "```";
    let trimmed = text.trim();
    if !trimmed.contains(FENCE) {
        return None;
    }
    if let Some(inside) = trimmed.strip_prefix(FENCE).and_then(|rest| rest.strip_suffix(FENCE))
        && !inside.contains(['\n', '`'])
    {
        return Some(inside.to_owned());
    }
    let mut lines: Vec<&str> = Vec::new();
    let (mut fences, mut is_introduced) = (0, false);
    for line in trimmed.lines() {
        if line.trim_start().starts_with(FENCE) && !line.trim()[FENCE.len()..].contains(['`', ' ', ',']) {
            fences += 1;
            let before = lines.iter().rev().find(|line| !line.trim().is_empty());
            if fences == 1 && before.is_some_and(|line| line.trim_end().ends_with([':', '：'])) {
                is_introduced = true;
                lines.clear();
            }
            continue;
        }
        lines.push(line);
    }
    (fences > 0 && (is_introduced || !lines.is_empty())).then(|| lines.join("\n"))
}

/// "- ", "1. ": where every line has one.
fn without_list_marks(text: &str) -> Option<(usize, String)> {
    let mut lines = Vec::new();
    let (mut number, mut count) = (0, 0);
    for line in text.lines() {
        let line = line.trim();
        if line.is_empty() {
            lines.push(line);
            continue;
        }
        number += 1;
        let mut rest = line;
        while let Some(shorter) = without_mark(rest, number) {
            rest = shorter;
        }
        if rest.len() == line.len() || rest.is_empty() {
            return None;
        }
        count += 1;
        lines.push(rest);
    }
    (count > 0).then(|| (count, lines.join("\n")))
}

fn without_mark(line: &str, number: usize) -> Option<&str> {
    let rest = line
        .strip_prefix(['-', '*', '•', '–'])
        .or_else(|| line.strip_prefix(&number.to_string()).and_then(|rest| rest.strip_prefix(['.', ')'])))?;
    rest.starts_with(char::is_whitespace).then(|| rest.trim_start())
}

/// `**bold**`, but not the `**` of a wildcard.
fn without_bold(text: &str, options: &CleanOptions) -> Option<(usize, String)> {
    const BOLD: &str = "**";
    if !text.contains(BOLD) {
        return None;
    }
    let prompt = Prompt::parse(text, options.dialect);
    let is_text = |node: &&crate::prompt::Node| node.kind == Kind::Text;
    let mut edits = Edits::default();
    let mut open: Option<Range<usize>> = None;
    for node in prompt.nodes().iter().filter(is_text) {
        for (at, _) in text[node.span.clone()].match_indices(BOLD) {
            let mark = node.span.start + at..node.span.start + at + BOLD.len();
            let is_after_space = text[..mark.start].chars().next_back().is_none_or(char::is_whitespace);
            let is_before_space = text[mark.end..].chars().next().is_none_or(char::is_whitespace);
            match open.take() {
                Some(begin) if !is_after_space && !text[begin.end..mark.start].contains('\n') => {
                    edits.replace(begin, "");
                    edits.replace(mark, "");
                }
                _ => open = (!is_before_space).then_some(mark),
            }
        }
    }
    (!edits.is_empty()).then(|| (edits.len() / 2, edits.apply(text)))
}
