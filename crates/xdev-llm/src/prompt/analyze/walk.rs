//! One walk over a prompt's tree: its words, and what else stands in it.
//!
//! Words know in which options of choices, schedules and alternations they lie, so that what never comes together is
//! known. Not here: what is said about them (`analyze`).

use std::ops::Range;

use super::super::{Kind, Prompt};

const APOSTROPHES: [char; 2] = ['\'', '’'];

/// `Word` is a word, in lower case and with the apostrophe of ASCII.
pub(super) struct Word {
    pub(super) text: String,
    pub(super) at: usize,
    /// Words of one run follow each other without a comma or the like.
    pub(super) run: usize,
    /// The option in which it stands: an index of [`Walk::branches`].
    pub(super) branch: usize,
}

/// `Branch` is an option of a choice, a schedule or an alternation; the first one is the prompt itself.
#[derive(Clone, Copy)]
struct Branch {
    group: usize,
    parent: usize,
    depth: usize,
}

/// `Walk` is what a walk over the tree found.
pub(super) struct Walk {
    pub(super) words: Vec<Word>,
    /// How deep brackets nest.
    pub(super) nesting: usize,
    /// Brackets without a partner.
    pub(super) unbalanced: Vec<usize>,
    branches: Vec<Branch>,
}

/// An open group: where it ends, and the branch around it where it has options of its own.
struct Open {
    index: usize,
    end: usize,
    around: Option<usize>,
}

impl Walk {
    pub(super) fn over(prompt: &Prompt) -> Walk {
        let mut walk = Walk {
            words: Vec::new(),
            nesting: 0,
            unbalanced: Vec::new(),
            branches: vec![Branch { group: usize::MAX, parent: 0, depth: 0 }],
        };
        let (mut open, mut branch, mut run): (Vec<Open>, usize, usize) = (Vec::new(), 0, 0);
        for (index, node) in prompt.nodes().iter().enumerate() {
            while let Some(closed) = open.pop_if(|group| group.end <= index) {
                if let Some(around) = closed.around {
                    (branch, run) = (around, run + 1);
                }
            }
            match node.kind {
                Kind::Text => walk.take_text(prompt, node.span.clone(), &mut run, branch),
                Kind::Escape | Kind::Round(_) | Kind::Square => {}
                _ => run += 1,
            }
            let is_border = matches!(node.kind, Kind::Bar | Kind::Colon);
            if is_border
                && let Some(Open { index: group, around: Some(around), .. }) = open.last()
                && (node.kind == Kind::Colon) == matches!(prompt.node(*group).kind, Kind::Schedule(_))
            {
                branch = walk.add_branch(*group, *around);
            }
            if node.is_group() {
                let has_options = matches!(node.kind, Kind::Choice | Kind::Schedule(_) | Kind::Alternate);
                let around = has_options.then_some(branch);
                if has_options {
                    branch = walk.add_branch(index, branch);
                }
                open.push(Open { index, end: prompt.subtree(index).end, around });
                walk.nesting = walk.nesting.max(open.len());
            }
        }
        walk
    }

    fn add_branch(&mut self, group: usize, parent: usize) -> usize {
        self.branches.push(Branch { group, parent, depth: self.branches[parent].depth + 1 });
        self.branches.len() - 1
    }

    fn take_text(&mut self, prompt: &Prompt, span: Range<usize>, run: &mut usize, branch: usize) {
        let text = &prompt.source()[span.clone()];
        let brackets = text.match_indices(['(', ')', '[', ']', '{', '}']);
        self.unbalanced.extend(brackets.map(|(at, _)| span.start + at));
        let mut start = span.start;
        for line in text.split_inclusive('\n') {
            let found = words(line);
            self.words.extend(found.map(|(at, word)| Word {
                text: word.to_lowercase().replace('’', "'"),
                at: start + at,
                run: *run,
                branch,
            }));
            start += line.len();
            *run += usize::from(line.ends_with('\n'));
        }
    }

    /// Whether what stands in two branches can come into one picture: not if they are options of one group.
    pub(super) fn come_together(&self, one: usize, other: usize) -> bool {
        let (mut one, mut other) = (one, other);
        let branches = &self.branches;
        while branches[one].depth > branches[other].depth {
            one = branches[one].parent;
        }
        while branches[other].depth > branches[one].depth {
            other = branches[other].parent;
        }
        while one != other && branches[one].parent != branches[other].parent {
            (one, other) = (branches[one].parent, branches[other].parent);
        }
        one == other || branches[one].group != branches[other].group
    }
}

/// The words of a text and where they begin: letters and digits, with apostrophes inside. Tags are written with hyphens,
/// underscores or spaces, so these are all the same.
pub(super) fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let is_part = |character: char| character.is_alphanumeric() || APOSTROPHES.contains(&character);
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + text[at..].find(char::is_alphanumeric)?;
        at = text[start..].find(|character| !is_part(character)).map_or(text.len(), |length| start + length);
        Some((start, text[start..at].trim_end_matches(APOSTROPHES)))
    })
}
