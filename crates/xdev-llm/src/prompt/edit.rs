//! Changes to a text at the places that a tree names; what is not changed stays byte for byte.

use std::ops::Range;

/// `Edits` collects changes to a text and makes them all at once.
#[derive(Clone, Debug, Default)]
pub struct Edits {
    changes: Vec<(Range<usize>, String)>,
}

impl Edits {
    /// Puts `text` in the place of a span; an empty span is an insertion, an empty text takes the span away.
    ///
    /// Several at one place are made in the order they came in. Spans must not overlap.
    pub fn replace(&mut self, span: Range<usize>, text: impl Into<String>) {
        self.changes.push((span, text.into()));
    }

    /// How many changes there are.
    pub fn len(&self) -> usize {
        self.changes.len()
    }

    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// The text with all changes made.
    pub fn apply(mut self, source: &str) -> String {
        self.changes.sort_by_key(|(span, _)| (span.start, span.end));
        let mut edited = String::with_capacity(source.len());
        let mut from = 0;
        for (span, text) in self.changes {
            edited.push_str(&source[from..span.start]);
            edited.push_str(&text);
            from = span.end;
        }
        edited.push_str(&source[from..]);
        edited
    }
}
