//! Changes the weights of a prompt, all of them or those of a phrase.
//!
//! An operation is defined by the weights that the encoder shall get. The tree finds the smallest change to the text that
//! gives them; where it does not (brackets that cross or have no partner), the pieces are written out one by one. Not
//! here: what is seen and what is found (`seen`).

use std::ops::Range;

use serde::Serialize;

use super::convert::write_piece;
use super::number::format_weight;
use super::seen::{Seen, agree, find_phrase, of_pieces, of_tree, weight_inside};
use super::{Dialect, Edits, Kind, Prompt};
use crate::error::{Error, Result};

/// `WeightOperation` says what becomes of weights.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum WeightOperation {
    /// Multiplies every weight: `cat` becomes `(cat:1.2)`, and `(cat:1.1)` becomes `(cat:1.32)`.
    Emphasize(f64),
    /// Multiplies by a number below 1; by its inverse where it is above, so that nothing gets stronger.
    Deemphasize(f64),
    /// Multiplies the weights that are there; text of weight 1 has none.
    Multiply(f64),
    /// Takes the weights away.
    Remove,
    /// Multiplies the weights that are there so that their mean, word by word, is this.
    NormalizeMean(f64),
    /// Multiplies the weights that are there so that the largest is this.
    NormalizeMaximum(f64),
}

/// `Weighing` is a prompt whose weights were changed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Weighing {
    /// The prompt.
    pub text: String,
    /// How many weights were written, changed or taken away.
    pub changed: usize,
    /// How often the phrase was found; absent where all of the prompt was meant.
    pub found: Option<usize>,
}

/// Changes the weights of a prompt, or of one phrase wherever it stands.
///
/// The phrase is compared word by word, without regard to case and to the kind of white space, and is never found inside of
/// words, names of LoRAs, embeddings, wildcards and variables. Weights are written with four decimals at most.
///
/// # Errors
/// [`InvalidInput`](crate::ErrorKind::InvalidInput) for a number or a weight that is not finite, and for
/// weights that no factor brings to the value asked for.
pub fn weigh(
    text: &str,
    operation: WeightOperation,
    target: Option<&str>,
    dialect: Dialect,
) -> Result<Weighing> {
    let target = target.filter(|target| !target.trim().is_empty());
    let prompt = Prompt::parse(text, dialect);
    let pieces = of_pieces(text, dialect)?;
    let tree = of_tree(&prompt, dialect);
    let is_tree_right = agree(&tree, &pieces);
    let mut seen = if is_tree_right { tree } else { pieces };
    let chosen: Vec<Range<usize>> = match target {
        Some(target) => find_phrase(&seen, target),
        None => std::iter::once(0..seen.len()).collect(),
    };
    let found = target.map(|_| chosen.len());
    let change = Change::new(operation, &seen, &chosen)?;
    let edit = is_tree_right.then(|| {
        let spans = target.map(|_| spans_of(&seen, &chosen));
        TreeEdit::new(&prompt, dialect, &change).run(spans.as_deref())
    });
    let before: Vec<f64> = seen.iter().map(|each| each.weight).collect();
    for range in chosen {
        for each in seen[range].iter_mut().filter(|each| !each.is_fixed) {
            each.weight = change.apply(each.weight)?;
        }
    }
    if let Some((edited, changed)) = edit
        && of_pieces(&edited, dialect).is_ok_and(|result| agree(&result, &seen))
    {
        return Ok(Weighing { text: edited, changed, found });
    }
    let changed = seen
        .iter()
        .zip(&before)
        .map(|(each, before)| (before.to_bits(), each.weight.to_bits()))
        .collect::<Vec<_>>()
        .chunk_by(|one, other| one == other)
        .filter(|run| run[0].0 != run[0].1)
        .count();
    if changed == 0 {
        return Ok(Weighing { text: text.to_owned(), changed, found });
    }
    Ok(Weighing { text: written_out(&seen, dialect), changed, found })
}

fn spans_of(seen: &[Seen], chosen: &[Range<usize>]) -> Vec<Range<usize>> {
    chosen.iter().map(|range| seen[range.start].span.start..seen[range.end - 1].span.end).collect()
}

/// `Change` is an operation for one prompt: what a weight becomes.
struct Change {
    factor: f64,
    /// Text of weight 1 stays.
    is_for_weighted: bool,
    is_removal: bool,
}

impl Change {
    fn new(operation: WeightOperation, seen: &[Seen], chosen: &[Range<usize>]) -> Result<Change> {
        let (factor, is_for_weighted) = match operation {
            WeightOperation::Deemphasize(value) if value > 1.0 && value.is_finite() => (value.recip(), false),
            WeightOperation::Emphasize(value) | WeightOperation::Deemphasize(value) => (value, false),
            WeightOperation::Multiply(value) => (value, true),
            WeightOperation::Remove => (1.0, true),
            WeightOperation::NormalizeMean(value) => (factor_for(value, mean(seen, chosen))?, true),
            WeightOperation::NormalizeMaximum(value) => (factor_for(value, maximum(seen, chosen))?, true),
        };
        if !factor.is_finite() {
            return Err(Error::invalid_input(format!("{factor} is not a finite number.")));
        }
        Ok(Change { factor, is_for_weighted, is_removal: operation == WeightOperation::Remove })
    }

    fn of(&self, weight: f64) -> f64 {
        if self.is_removal {
            1.0
        } else if self.is_for_weighted && is_same(weight, 1.0) {
            weight
        } else {
            weight * self.factor
        }
    }

    fn apply(&self, weight: f64) -> Result<f64> {
        let changed = self.of(weight);
        if format_weight(changed).parse::<f64>().is_ok_and(f64::is_finite) {
            return Ok(changed);
        }
        Err(Error::invalid_input(format!("The weight {weight} times {} is too large.", self.factor)))
    }
}

/// Whether two weights are written alike.
fn is_same(one: f64, other: f64) -> bool {
    (one - other).abs() < 5e-5
}

/// What brings `from` to `to`; nothing, where there are no weights.
fn factor_for(to: f64, from: Option<f64>) -> Result<f64> {
    let Some(from) = from else { return Ok(if to.is_finite() { 1.0 } else { to }) };
    if from > 0.0 {
        return Ok(to / from);
    }
    Err(Error::invalid_input(format!("The weights cannot be scaled: the value to scale by is {from}.")))
}

/// The weights that are there with the words that have them.
fn weighted_words(seen: &[Seen], chosen: &[Range<usize>]) -> Vec<f64> {
    let mut weights = Vec::new();
    for range in chosen {
        let mut in_word = None;
        for each in &seen[range.clone()] {
            let is_letter = !each.is_fixed && each.character.is_alphanumeric();
            if is_letter && in_word != Some(each.weight.to_bits()) && !is_same(each.weight, 1.0) {
                weights.push(each.weight);
            }
            let goes_on = is_letter || !(each.character.is_whitespace() || each.character == ',');
            in_word = if is_letter { Some(each.weight.to_bits()) } else { in_word.filter(|_| goes_on) };
        }
    }
    weights
}

fn mean(seen: &[Seen], chosen: &[Range<usize>]) -> Option<f64> {
    let weights = weighted_words(seen, chosen);
    (!weights.is_empty()).then(|| weights.iter().sum::<f64>() / weights.len() as f64)
}

fn maximum(seen: &[Seen], chosen: &[Range<usize>]) -> Option<f64> {
    weighted_words(seen, chosen).into_iter().reduce(f64::max)
}

/// Every piece with a bracket of its own.
pub(super) fn written_out(seen: &[Seen], dialect: Dialect) -> String {
    let mut text = String::new();
    for run in seen.chunk_by(|one, other| {
        one.weight.to_bits() == other.weight.to_bits() && one.is_fixed == other.is_fixed
    }) {
        if run[0].weight < 0.0 && run[0].is_fixed {
            // Each of them, where several follow each other.
            text.push_str(&" BREAK ".repeat(run.len() / "BREAK".len()));
            continue;
        }
        let piece: String = run.iter().map(|each| each.character).collect();
        write_piece(&piece, run[0].weight, dialect, &mut text);
    }
    text
}

/// `Stretch` is text whose weights change: neighbours in one group.
#[derive(Clone, Debug)]
struct Stretch {
    parent: Option<usize>,
    span: Range<usize>,
    /// The first node of it.
    first: usize,
    /// It belongs to this place of the phrase.
    place: usize,
}

/// `TreeEdit` finds the changes to the text.
struct TreeEdit<'a> {
    prompt: &'a Prompt,
    dialect: Dialect,
    change: &'a Change,
    parents: Vec<Option<usize>>,
    edits: Edits,
    changed: usize,
}

/// `Context` is what holds inside of a group: the weight it had and the weight it gets.
#[derive(Clone, Copy)]
struct Context {
    end: usize,
    old: f64,
    new: f64,
    is_chosen: bool,
}

impl<'a> TreeEdit<'a> {
    fn new(prompt: &'a Prompt, dialect: Dialect, change: &'a Change) -> Self {
        let mut parents: Vec<Option<usize>> = vec![None; prompt.nodes().len()];
        let mut open: Vec<usize> = Vec::new();
        for (index, parent) in parents.iter_mut().enumerate() {
            while open.pop_if(|group| prompt.subtree(*group).end <= index).is_some() {}
            *parent = open.last().copied();
            if prompt.node(index).is_group() {
                open.push(index);
            }
        }
        TreeEdit { prompt, dialect, change, parents, edits: Edits::default(), changed: 0 }
    }

    /// The text with all changes, and how many weights they are.
    fn run(mut self, spans: Option<&[Range<usize>]>) -> (String, usize) {
        let stretches = match spans {
            Some(spans) => self.stretches(spans),
            None => self.all(),
        };
        let mut stretches = stretches.into_iter().peekable();
        let mut open: Vec<Context> = Vec::new();
        let top = Context { end: usize::MAX, old: 1.0, new: 1.0, is_chosen: false };
        for index in 0..self.prompt.nodes().len() {
            while open.pop_if(|context| context.end <= index).is_some() {}
            let around = open.last().copied().unwrap_or(top);
            // Several places of a phrase may lie in one text.
            while let Some(stretch) = stretches.next_if(|stretch| stretch.first == index) {
                let context = self.begin(&stretch, around);
                open.push(context);
            }
            let inner = open.last().copied().unwrap_or(top);
            if let Some(context) = self.group(index, inner) {
                open.push(context);
            }
        }
        (self.edits.apply(self.prompt.source()), self.changed)
    }

    /// All of the prompt, without what has no weight or must stay outside of brackets.
    fn all(&self) -> Vec<Stretch> {
        let mut stretches: Vec<Stretch> = Vec::new();
        let mut is_new = true;
        for index in self.prompt.roots() {
            let node = self.prompt.node(index);
            if matches!(node.kind, Kind::Break | Kind::And | Kind::Comment) {
                is_new = true;
                continue;
            }
            if is_new {
                stretches.push(Stretch { parent: None, span: node.span.clone(), first: index, place: 0 });
                is_new = false;
            } else if let Some(last) = stretches.last_mut() {
                last.span.end = node.span.end;
            }
        }
        stretches
    }

    /// The text at these places, in pieces that lie in one group each and are as large as they can be.
    fn stretches(&self, spans: &[Range<usize>]) -> Vec<Stretch> {
        let mut stretches: Vec<Stretch> = Vec::new();
        let (mut place, mut covered) = (0, 0);
        for (index, node) in self.prompt.nodes().iter().enumerate() {
            while spans.get(place).is_some_and(|span| span.end <= node.span.start) {
                place += 1;
            }
            if index < covered {
                continue;
            }
            // What covers a group holds its begin.
            let is_covered = spans
                .get(place)
                .is_some_and(|span| span.start <= node.span.start && node.span.end <= span.end);
            if node.is_group() && !is_covered {
                continue;
            }
            covered = self.prompt.subtree(index).end;
            for (place, span) in spans.iter().enumerate().skip(place) {
                if span.start >= node.span.end {
                    break;
                }
                let common = span.start.max(node.span.start)..span.end.min(node.span.end);
                stretches.push(Stretch { parent: self.parents[index], span: common, first: index, place });
                self.grow(&mut stretches);
            }
        }
        stretches
    }

    /// Takes the last stretch together with the one before, or with the whole group that it fills, as often as it can.
    fn grow(&self, stretches: &mut Vec<Stretch>) {
        while let Some(mut last) = stretches.pop() {
            if let Some(before) = stretches.pop_if(|before| {
                before.parent == last.parent
                    && before.place == last.place
                    && before.span.end == last.span.start
            }) {
                last.span.start = before.span.start;
                last.first = before.first;
                stretches.push(last);
                continue;
            }
            let filled = last.parent.filter(|group| {
                let node = self.prompt.node(*group);
                let before = &self.prompt.source()[node.inner.start..last.span.start];
                let after = &self.prompt.source()[last.span.end..node.inner.end];
                weight_inside(&node.kind, 1.0, self.dialect).is_some()
                    && before.chars().rev().all(char::is_whitespace)
                    && after.chars().all(char::is_whitespace)
            });
            let Some(group) = filled else {
                stretches.push(last);
                return;
            };
            stretches.push(Stretch {
                parent: self.parents[group],
                span: self.prompt.node(group).span.clone(),
                first: group,
                place: last.place,
            });
        }
    }

    /// Puts a bracket around a stretch where its own text needs another weight.
    fn begin(&mut self, stretch: &Stretch, around: Context) -> Context {
        let text = &self.prompt.source()[stretch.span.clone()];
        let start = stretch.span.start + (text.len() - text.trim_start().len());
        let end = stretch.span.start + text.trim_end().len();
        let node = self.prompt.node(stretch.first);
        let is_one_weight = weight_inside(&node.kind, 1.0, self.dialect).is_some()
            && (node.span.start, node.span.end) == (start, end);
        // A text that goes on after the stretch is not in it; another may begin there.
        let nodes = self.prompt.nodes();
        let mut last = nodes.partition_point(|node| node.span.start < stretch.span.end);
        if nodes[last - 1].span.end > stretch.span.end {
            last -= 1;
        }
        let mut context = Context { end: last, is_chosen: true, ..around };
        let wanted = self.change.of(around.old);
        if start < end && !is_one_weight && !is_same(wanted, around.new) {
            self.edits.replace(start..start, "(");
            self.edits.replace(end..end, format!(":{})", self.number(wanted, around.new)));
            self.changed += 1;
            context.new = wanted;
        }
        context
    }

    fn number(&self, wanted: f64, around: f64) -> String {
        format_weight(match self.dialect {
            Dialect::Comfyui => wanted,
            Dialect::A1111 => wanted / around,
        })
    }

    /// Writes the weight of a bracket anew where it is not what comes of the rest.
    fn group(&mut self, index: usize, around: Context) -> Option<Context> {
        let node = self.prompt.node(index);
        let old = weight_inside(&node.kind, around.old, self.dialect)?;
        let new = if around.is_chosen { self.change.of(old) } else { old };
        let natural = weight_inside(&node.kind, around.new, self.dialect)?;
        let is_needless = is_same(new, around.new);
        if is_needless && (self.change.is_removal && around.is_chosen || !is_same(natural, new)) {
            self.edits.replace(node.span.start..node.inner.start, "");
            self.edits.replace(node.inner.end..node.span.end, "");
            self.changed += 1;
        } else if !is_same(natural, new) {
            let number = self.number(new, around.new);
            match &node.kind {
                Kind::Round(Some(weight)) => self.edits.replace(weight.span.clone(), number),
                Kind::Round(None) => self.edits.replace(node.inner.end..node.inner.end, format!(":{number}")),
                _ => {
                    self.edits.replace(node.span.start..node.inner.start, "(");
                    self.edits.replace(node.inner.end..node.span.end, format!(":{number})"));
                }
            }
            self.changed += 1;
        }
        node.is_group().then_some(Context { end: self.prompt.subtree(index).end, old, new, ..around })
    }
}
