//! What is done with whole phrases: each once, in order, and not more than there is room for.
//!
//! `BREAK` and `AND` are borders that no phrase crosses. Phrases with a name or something that is chosen anew each time
//! (LoRA, embedding, wildcard, choice, variable) are never taken for the same.

use std::collections::HashMap;
use std::ops::Range;

use super::CleanOptions;
use crate::prompt::seen::weight_inside;
use crate::prompt::{Dialect, Edits, Kind, Phrase, Prompt};

/// Drops phrases that are there already.
pub(super) fn drop_duplicates(text: &str, options: &CleanOptions) -> Option<(String, usize)> {
    if options.remove_duplicates { remove_duplicates(text, options.dialect) } else { None }
}

/// `Atom` is a phrase that is compared: one of a prompt, or one of a weighted list `(a, b:1.2)`.
struct Atom {
    level: usize,
    place: usize,
    weight: f64,
}

/// The phrases that can be compared, by section and what they say.
type Atoms = HashMap<(usize, String), Vec<Atom>>;

/// `Level` is a list of phrases: the prompt's, or that in a bracket.
struct Level {
    phrases: Vec<Range<usize>>,
    is_dropped: Vec<bool>,
    parent: Option<(usize, usize)>,
}

/// The text without repeated phrases, and how many went; nothing where there are none.
pub(crate) fn remove_duplicates(text: &str, dialect: Dialect) -> Option<(String, usize)> {
    let prompt = Prompt::parse(text, dialect);
    let (mut levels, atoms) = atoms(&prompt, dialect);
    let (mut edits, mut count) = (Edits::default(), 0);
    for same in atoms.into_values().filter(|same| same.len() > 1) {
        let mut strongest = 0;
        for (index, atom) in same.iter().enumerate() {
            if atom.weight > same[strongest].weight {
                strongest = index;
            }
        }
        // The first place is the one with the most effect. Between brackets a text cannot move, its weight would change.
        let mut kept = strongest;
        if strongest > 0 && same[0].level == 0 && same[strongest].level == 0 {
            let span = levels[0].phrases[same[strongest].place].clone();
            edits.replace(levels[0].phrases[same[0].place].clone(), &text[span]);
            kept = 0;
        }
        for (_, atom) in same.iter().enumerate().filter(|(index, _)| *index != kept) {
            levels[atom.level].is_dropped[atom.place] = true;
            count += 1;
        }
    }
    for index in (1..levels.len()).rev() {
        if levels[index].is_dropped.iter().all(|is_dropped| *is_dropped)
            && let Some((level, place)) = levels[index].parent
        {
            levels[level].is_dropped[place] = true;
        }
    }
    for level in levels.iter().filter(|level| !level.is_dropped.iter().all(|is_dropped| *is_dropped)) {
        drop_from(level, text, &mut edits);
    }
    (count > 0).then(|| (edits.apply(text), count))
}

/// Takes phrases out of a list, each with one of the separators beside it.
fn drop_from(level: &Level, text: &str, edits: &mut Edits) {
    let is_gap = |gap: &str| gap.chars().all(|character| character == ',' || character.is_whitespace());
    let mut is_one_kept = false;
    for (place, span) in level.phrases.iter().enumerate() {
        if !level.is_dropped[place] {
            is_one_kept = true;
            continue;
        }
        let mut whole = span.clone();
        if is_one_kept {
            let before = level.phrases[place - 1].end;
            if is_gap(&text[before..span.start]) {
                whole.start = before;
            }
        } else if let Some(next) = level.phrases.get(place + 1)
            && is_gap(&text[span.end..next.start])
        {
            whole.end = next.start;
        }
        edits.replace(whole, "");
    }
}

/// All lists of phrases, and what is in them.
fn atoms(prompt: &Prompt, dialect: Dialect) -> (Vec<Level>, Atoms) {
    let mut levels = vec![level_of(prompt.phrases(), None)];
    let mut found = Atoms::new();
    let mut borders = borders(prompt).into_iter().peekable();
    let mut section = 0;
    for (place, phrase) in prompt.phrases().into_iter().enumerate() {
        while borders.next_if(|border| *border < phrase.span.start).is_some() {
            section += 1;
        }
        // Lists in lists, the last one on top: in the order of the text.
        let mut waiting = vec![(0, place, phrase, 1.0)];
        while let Some((level, place, phrase, weight)) = waiting.pop() {
            match list_in(prompt, &phrase, weight, dialect) {
                Some((inner, weight)) if inner.len() == 1 => {
                    waiting.extend(inner.into_iter().map(|phrase| (level, place, phrase, weight)));
                }
                Some((inner, weight)) if !inner.is_empty() => {
                    let index = levels.len();
                    levels.push(level_of(inner.clone(), Some((level, place))));
                    let inner = inner.into_iter().enumerate().rev();
                    waiting.extend(inner.map(|(place, phrase)| (index, place, phrase, weight)));
                }
                _ => {
                    if let Some((key, weight)) = key(prompt, &phrase, weight, dialect) {
                        found.entry((section, key)).or_default().push(Atom { level, place, weight });
                    }
                }
            }
        }
    }
    (levels, found)
}

fn level_of(phrases: Vec<Phrase>, parent: Option<(usize, usize)>) -> Level {
    let is_dropped = vec![false; phrases.len()];
    Level { phrases: phrases.into_iter().map(|phrase| phrase.span).collect(), is_dropped, parent }
}

/// Where `BREAK` and `AND` stand.
fn borders(prompt: &Prompt) -> Vec<usize> {
    let is_border = |index: &usize| matches!(prompt.node(*index).kind, Kind::Break | Kind::And);
    prompt.roots().filter(is_border).map(|index| prompt.node(index).span.start).collect()
}

/// The phrases of a weighted list, where the phrase is nothing else, and the weight in it.
fn list_in(prompt: &Prompt, phrase: &Phrase, around: f64, dialect: Dialect) -> Option<(Vec<Phrase>, f64)> {
    let [index] = phrase.nodes[..] else { return None };
    let node = prompt.node(index);
    let weight = weight_inside(&node.kind, around, dialect)?;
    let has_border =
        prompt.children(index).any(|child| matches!(prompt.node(child).kind, Kind::Break | Kind::And));
    (node.span == phrase.span && !has_border).then(|| (prompt.phrases_in(index), weight))
}

/// What a phrase says, without case, white space and weights, and its strongest weight; nothing for phrases that stay.
fn key(prompt: &Prompt, phrase: &Phrase, around: f64, dialect: Dialect) -> Option<(String, f64)> {
    let (first, last) = (*phrase.nodes.first()?, *phrase.nodes.last()?);
    let mut said = String::with_capacity(phrase.span.len());
    let mut open: Vec<(usize, f64)> = Vec::new();
    let mut strongest = f64::MIN;
    for index in first..prompt.subtree(last).end {
        while open.pop_if(|(end, _)| *end <= index).is_some() {}
        let weight = open.last().map_or(around, |(_, weight)| *weight);
        let node = prompt.node(index);
        if let Some(weight) = weight_inside(&node.kind, weight, dialect) {
            open.push((prompt.subtree(index).end, weight));
            continue;
        }
        let is_comparable = matches!(node.kind, Kind::Text | Kind::Escape | Kind::Comma | Kind::Colon);
        let common = node.span.start.max(phrase.span.start)..node.span.end.min(phrase.span.end);
        let text = prompt.source().get(common)?;
        if !is_comparable || (node.kind == Kind::Text && text.contains(['(', ')', '[', ']', '{', '}', '<'])) {
            return None;
        }
        if !text.trim().is_empty() {
            strongest = strongest.max(weight);
        }
        said.push_str(text);
    }
    let key = said.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
    (!key.is_empty()).then_some((key, strongest))
}

/// Puts the phrases into alphabetical order, without regard to case and weight. What stands between them stays.
///
/// What has a name and what would mean something else in another place keeps its own.
pub(super) fn sort(text: &str, options: &CleanOptions) -> Option<(String, usize)> {
    if !options.sort_alphabetically {
        return None;
    }
    let prompt = Prompt::parse(text, options.dialect);
    let mut borders = borders(&prompt).into_iter().peekable();
    let mut section = 0;
    let mut sections: Vec<Vec<(String, Range<usize>)>> = vec![Vec::new()];
    for phrase in prompt.phrases() {
        while borders.next_if(|border| *border < phrase.span.start).is_some() {
            section += 1;
        }
        sections.resize_with(section + 1, Vec::new);
        let is_bound =
            text[phrase.span.clone()].starts_with(['#', '/']) || text[..phrase.span.end].ends_with('\\');
        if let Some((key, _)) = key(&prompt, &phrase, 1.0, options.dialect).filter(|_| !is_bound) {
            sections[section].push((key, phrase.span));
        }
    }
    let mut edits = Edits::default();
    for places in sections {
        let mut sorted = places.clone();
        sorted.sort_by(|(one, _), (other, _)| one.cmp(other));
        for ((_, place), (_, span)) in places.into_iter().zip(sorted) {
            if place != span {
                edits.replace(place, &text[span]);
            }
        }
    }
    let count = edits.len();
    (count > 0).then(|| (edits.apply(text), count))
}

/// Leaves out the last phrases, or of a first phrase that is too long the last words, never the half of a bracket.
pub(super) fn shorten(text: &str, options: &CleanOptions) -> Option<(String, usize)> {
    let limit = text.char_indices().nth(options.max_length?)?.0;
    let prompt = Prompt::parse(text, options.dialect);
    let phrases = prompt.phrases();
    let fitting = phrases.iter().take_while(|phrase| phrase.span.end <= limit).count();
    let left_out = phrases.len() - fitting;
    if let Some(last) = fitting.checked_sub(1) {
        return Some((text[..phrases[last].span.end].to_owned(), left_out.max(1)));
    }
    let first = phrases.first()?;
    let mut end = None;
    for index in &first.nodes {
        let node = prompt.node(*index);
        let from = node.span.start.max(first.span.start);
        if from > limit {
            break;
        }
        if from > first.span.start && !matches!(node.kind, Kind::Text | Kind::Colon | Kind::Escape) {
            let before = text[..from].trim_end();
            end = (before.len() < from).then_some(before.len()).or(end);
        }
        if node.kind == Kind::Text {
            let to = node.span.end.min(limit);
            let words = text.get(from..to)?;
            if let Some(at) = words.rfind(char::is_whitespace) {
                let before = text[..from + at].trim_end();
                end = (before.len() > first.span.start).then_some(before.len()).or(end);
            } else if node.span.end > limit && text[limit..].starts_with(char::is_whitespace) {
                end = Some(limit);
            }
        }
    }
    Some((text[..end?].to_owned(), left_out))
}
