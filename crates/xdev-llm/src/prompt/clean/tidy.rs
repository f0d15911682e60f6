//! Spacing, commas, and weights of nothing.
//!
//! White space after a backslash is never taken away whole: the backslash would protect what follows.

use std::ops::Range;

use super::CleanOptions;
use crate::prompt::seen::weight_inside;
use crate::prompt::{Dialect, Edits, Kind, Prompt, parse_number};

fn applied(edits: Edits, text: &str) -> Option<(String, usize)> {
    let count = edits.len();
    (count > 0).then(|| (edits.apply(text), count))
}

/// Takes away brackets that weigh nothing.
pub(super) fn remove_empty_weights(text: &str, options: &CleanOptions) -> Option<(String, usize)> {
    if !options.remove_empty_weights {
        return None;
    }
    let prompt = Prompt::parse(text, options.dialect);
    let count = prompt.nodes().len();
    let mut is_empty = vec![false; count];
    for index in (0..count).rev() {
        let node = prompt.node(index);
        is_empty[index] = weight_inside(&node.kind, 1.0, options.dialect).is_some()
            && (is_bare_number(&prompt, index)
                || prompt.children(index).all(|child| is_empty[child] || is_nothing(&prompt, child)));
    }
    let (mut edits, mut next) = (Edits::default(), 0);
    for (index, is_empty) in is_empty.into_iter().enumerate() {
        if index >= next && is_empty {
            next = prompt.subtree(index).end;
            edits.replace(without_comma(&prompt, index), "");
        }
    }
    applied(edits, text)
}

/// White space or a comma.
fn is_nothing(prompt: &Prompt, index: usize) -> bool {
    match prompt.node(index).kind {
        Kind::Comma => true,
        Kind::Text => prompt.text(index).trim().is_empty(),
        _ => false,
    }
}

/// `(:1.2)`
fn is_bare_number(prompt: &Prompt, index: usize) -> bool {
    // A colon, a number and perhaps a blank: so few that nothing is read twice.
    let is_small = prompt.subtree(index).len() <= 4;
    is_small
        && prompt.inner(index).trim().strip_prefix(':').is_some_and(|number| parse_number(number).is_some())
}

/// The node, and the comma before it where one stands on both sides.
fn without_comma(prompt: &Prompt, index: usize) -> Range<usize> {
    let (source, span) = (prompt.source(), prompt.node(index).span.clone());
    let is_blank = |character: char| character == ' ' || character == '\t';
    let after = source[span.end..].trim_start_matches(is_blank);
    let before = source[..span.start].trim_end_matches(is_blank);
    let is_comma = before.ends_with(',') && (after.is_empty() || after.starts_with([',', '\n']));
    let is_escape = before.trim_end_matches(',').ends_with('\\');
    if is_comma && !is_escape { before.len() - 1..span.end } else { span }
}

/// Takes away commas that part nothing, and makes commas of full-width ones.
pub(super) fn fix_punctuation(text: &str, options: &CleanOptions) -> Option<(String, usize)> {
    if !options.fix_punctuation {
        return None;
    }
    let prompt = Prompt::parse(text, options.dialect);
    let mut commas = Commas { source: text, levels: vec![Level::new(usize::MAX)], edits: Edits::default() };
    let mut next = 0;
    for (index, node) in prompt.nodes().iter().enumerate() {
        if index < next {
            continue;
        }
        commas.leave(index);
        match node.kind {
            Kind::Comma => commas.comma(node.span.clone()),
            Kind::Comment => {}
            Kind::Round(_) => {
                commas.content();
                commas.levels.push(Level::new(prompt.subtree(index).end));
            }
            Kind::Text => {
                for (at, wide) in prompt.text(index).match_indices('，') {
                    commas.edits.replace(node.span.start + at..node.span.start + at + wide.len(), ",");
                }
                if !prompt.text(index).trim().is_empty() {
                    commas.content();
                }
            }
            _ => {
                commas.content();
                next = prompt.subtree(index).end;
            }
        }
    }
    commas.leave(usize::MAX);
    applied(commas.edits, text)
}

/// `Level` is the prompt or a bracket in it.
struct Level {
    end: usize,
    has_content: bool,
    /// The last comma, while nothing followed it.
    waiting: Option<Range<usize>>,
}

impl Level {
    fn new(end: usize) -> Level {
        Level { end, has_content: false, waiting: None }
    }
}

struct Commas<'a> {
    source: &'a str,
    levels: Vec<Level>,
    edits: Edits,
}

impl Commas<'_> {
    /// Ends the brackets that end before this node.
    fn leave(&mut self, index: usize) {
        while let Some(level) = self.levels.pop_if(|level| level.end <= index) {
            if let Some(comma) = level.waiting {
                self.take(comma);
            }
        }
    }

    fn content(&mut self) {
        if let Some(level) = self.levels.last_mut() {
            level.has_content = true;
            level.waiting = None;
        }
    }

    fn comma(&mut self, span: Range<usize>) {
        let Some(level) = self.levels.last_mut() else { return };
        if level.has_content {
            level.has_content = false;
            level.waiting = Some(span);
        } else {
            self.take(span);
        }
    }

    /// Takes a comma away, and the blanks before it.
    fn take(&mut self, comma: Range<usize>) {
        let before = self.source[..comma.start].trim_end_matches([' ', '\t']);
        let start = if before.ends_with('\\') { comma.start } else { before.len() };
        self.edits.replace(start..comma.end, "");
    }
}

/// Makes white space what a careful writer leaves.
pub(super) fn fix_spacing(text: &str, options: &CleanOptions) -> Option<(String, usize)> {
    if !options.fix_spacing {
        return None;
    }
    let prompt = Prompt::parse(text, options.dialect);
    let mut edits = Edits::default();
    let mut open: Vec<usize> = Vec::new();
    for (index, node) in prompt.nodes().iter().enumerate() {
        while open.pop_if(|group| prompt.subtree(*group).end <= index).is_some() {}
        let parent = open.last().copied();
        if node.is_group() {
            open.push(index);
        }
        match &node.kind {
            Kind::Text => space_text(&prompt, index, parent, options.dialect, &mut edits),
            Kind::Comma => {
                let end = node.span.end;
                let is_end = parent.is_some_and(|parent| prompt.node(parent).inner.end == end);
                if !is_end && is_joined(text, end) && !is_syntax(&prompt, parent, options.dialect) {
                    edits.replace(end..end, " ");
                }
            }
            Kind::Round(Some(weight)) => {
                for span in [node.inner.end + 1..weight.span.start, weight.span.end..node.span.end - 1] {
                    if !span.is_empty() {
                        edits.replace(span, "");
                    }
                }
            }
            _ => {}
        }
    }
    applied(edits, text)
}

/// Whether the comma that ends here stands right before a word; in `1,000` it is part of a number, and a quotation may end
/// with it.
fn is_joined(text: &str, end: usize) -> bool {
    let digit = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_digit);
    let bytes = text.as_bytes();
    let is_number = end >= 2 && digit(bytes.get(end - 2)) && digit(bytes.get(end));
    let next = text[end..].chars().next();
    !is_number && next.is_some_and(|next| !next.is_whitespace() && !",\"'”’".contains(next))
}

/// Whether white space there may be part of what the group says.
fn is_syntax(prompt: &Prompt, parent: Option<usize>, dialect: Dialect) -> bool {
    parent.is_some_and(|parent| weight_inside(&prompt.node(parent).kind, 1.0, dialect).is_none())
}

/// Whether the node before or after this one is a comment.
fn is_beside_comment(prompt: &Prompt, index: usize) -> bool {
    let is_comment = |at: Option<usize>| {
        at.and_then(|at| prompt.nodes().get(at)).is_some_and(|node| node.kind == Kind::Comment)
    };
    is_comment(index.checked_sub(1)) || is_comment(index.checked_add(1))
}

fn space_text(prompt: &Prompt, index: usize, parent: Option<usize>, dialect: Dialect, edits: &mut Edits) {
    let (source, span) = (prompt.source(), prompt.node(index).span.clone());
    let mut at = span.start;
    while let Some(offset) = source[at..span.end].find(char::is_whitespace) {
        let start = at + offset;
        let run = &source[start..span.end];
        let end = span.end - run.trim_start().len();
        at = end;
        let is_inner_border = !is_syntax(prompt, parent, dialect)
            && parent.is_some_and(|parent| {
                let inner = &prompt.node(parent).inner;
                (start == inner.start) != (end == inner.end)
            });
        let is_before_comma = source[end..].starts_with(',');
        let is_border = start == 0 || end == source.len();
        let lines = source[start..end].matches('\n').count();
        // A comment ends with its line, and begins with one.
        let ends_line = lines > 0
            && !is_border
            && (start == span.start || end == span.end)
            && is_beside_comment(prompt, index);
        let is_protected = ends_line || (source[..start].ends_with('\\') && end < source.len());
        let wanted = match lines {
            _ if (is_border || is_inner_border || is_before_comma) && !is_protected => "",
            0 => " ",
            1 => "\n",
            _ => "\n\n",
        };
        if &source[start..end] != wanted {
            edits.replace(start..end, wanted);
        }
    }
}
