//! Makes the pieces of a template from its syntax tree, and those of the wildcards that it names.
//!
//! One pass over the nodes with a stack of what is open. A wildcard that is named is a piece without options at first;
//! its options are read when the text that named it is done, so that wildcards may name each other.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use super::measure::measure;
use super::{Grammar, Pick, Piece, Template};
use crate::error::{Error, Result};
use crate::prompt::wildcards::{Choices, Wildcards};
use crate::prompt::{Dialect, Kind, Prompt, parse_number};

/// What stands between several options that are taken at once.
const SEPARATOR: &str = ", ";
/// The most options that all wildcards of a template may have together.
const MAX_OPTIONS: usize = 2_000_000;

/// `Compiler` collects the pieces of a template.
pub(in crate::prompt) struct Compiler<'a> {
    text: String,
    pieces: Vec<Piece>,
    slots: usize,
    wildcards: Option<&'a Wildcards>,
    /// The piece of each wildcard that was named.
    references: HashMap<String, usize>,
    names: HashMap<usize, String>,
    /// Wildcards whose options are not read yet.
    waiting: Vec<usize>,
    /// Picks of a single wildcard, which take several of its options.
    spreads: Vec<usize>,
    options: usize,
}

impl<'a> Compiler<'a> {
    pub(in crate::prompt) fn new(wildcards: Option<&'a Wildcards>) -> Self {
        Compiler {
            text: String::new(),
            pieces: Vec::new(),
            slots: 0,
            wildcards,
            references: HashMap::new(),
            names: HashMap::new(),
            waiting: Vec::new(),
            spreads: Vec::new(),
            options: 0,
        }
    }

    /// Adds the pieces of a text and gives the one that is all of it.
    pub(in crate::prompt) fn template(&mut self, text: &str) -> Result<usize> {
        let prompt = Prompt::parse(text, Dialect::Comfyui);
        Walk::new(self, &prompt).run()
    }

    /// The template of a piece, with the options of all wildcards in it.
    pub(in crate::prompt) fn finish(mut self, root: usize) -> Result<Template> {
        while let Some(piece) = self.waiting.pop() {
            self.fill(piece)?;
        }
        for piece in std::mem::take(&mut self.spreads) {
            let Piece::Pick(pick) = &self.pieces[piece] else { continue };
            let Piece::Choice { options, weights, .. } = self.pieces[pick.options[0]].clone() else {
                continue;
            };
            if let Piece::Pick(pick) = &mut self.pieces[piece] {
                (pick.options, pick.weights) = (options, weights);
            }
        }
        let measures = measure(&mut self.pieces, root, &self.names)?;
        let (text, pieces, slots) = (self.text, self.pieces, self.slots);
        Ok(Template { grammar: Arc::new(Grammar { text, pieces, measures, slots, root }) })
    }

    /// Reads the options of a wildcard.
    fn fill(&mut self, piece: usize) -> Result<()> {
        let Some(wildcards) = self.wildcards else { return Ok(()) };
        let choices: Vec<Choices> = wildcards.find(&self.names[&piece])?;
        let (mut options, mut weights) = (Vec::new(), Vec::new());
        for line in choices.iter().flat_map(|choices| choices.iter()) {
            let (text, weight) = weighted(line);
            options.push(if text.contains(['{', '_', '$', '\\', '#', '/']) {
                self.template(text)?
            } else {
                self.literal(text)
            });
            weights.push(weight);
        }
        self.options += options.len();
        if self.options > MAX_OPTIONS {
            return Err(Error::invalid_input(format!(
                "The wildcards of this template have more than {MAX_OPTIONS} options together. Name fewer of them."
            )));
        }
        self.pieces[piece] = choice(options, weights);
        Ok(())
    }

    /// The piece of a text that means itself.
    pub(in crate::prompt) fn literal(&mut self, text: &str) -> usize {
        let start = self.text.len();
        self.text.push_str(text);
        self.add(Piece::Text(start..self.text.len()))
    }

    /// The piece of others, one after another.
    pub(in crate::prompt) fn sequence(&mut self, parts: Vec<usize>) -> usize {
        self.add(Piece::Sequence(parts))
    }

    /// The piece of one of several.
    pub(in crate::prompt) fn choice(&mut self, options: Vec<usize>) -> usize {
        self.add(choice(options, Vec::new()))
    }

    /// The piece of several of several, at least and at most so many; no weights where all are alike.
    pub(in crate::prompt) fn pick(
        &mut self,
        options: Vec<usize>,
        weights: Vec<f64>,
        (least, most): (usize, usize),
        separator: &str,
    ) -> usize {
        let start = self.text.len();
        self.text.push_str(separator);
        let separator = start..self.text.len();
        let pick = Pick { options, weights, least, most, separator, ways: Vec::new() };
        self.add(Piece::Pick(Box::new(pick)))
    }

    fn add(&mut self, piece: Piece) -> usize {
        self.pieces.push(piece);
        self.pieces.len() - 1
    }

    /// The piece of a wildcard.
    fn reference(&mut self, name: &str) -> usize {
        if let Some(piece) = self.references.get(name) {
            return *piece;
        }
        let piece = self.add(choice(Vec::new(), Vec::new()));
        self.references.insert(name.to_owned(), piece);
        self.names.insert(piece, name.to_owned());
        self.waiting.push(piece);
        piece
    }
}

/// A choice; weights that are all alike need not be kept.
fn choice(options: Vec<usize>, weights: Vec<f64>) -> Piece {
    Piece::Choice { options, weights: unlike(weights), ends: Vec::new() }
}

fn unlike(weights: Vec<f64>) -> Vec<f64> {
    let first = weights.first().copied().unwrap_or(1.0);
    let are_alike = weights.iter().all(|weight| weight.total_cmp(&first).is_eq());
    if are_alike { Vec::new() } else { weights }
}

/// `0.5::a`: what is left of a line, and its weight.
fn weighted(line: &str) -> (&str, f64) {
    let split = line.split_once("::").and_then(|(number, text)| Some((text, weight_of(number)?)));
    split.unwrap_or((line, 1.0))
}

fn weight_of(number: &str) -> Option<f64> {
    parse_number(number).filter(|weight| weight.is_finite() && *weight >= 0.0)
}

/// `2$$`, `1-3$$ and $$`, `-3$$`, `2-$$`: how many at least and at most, and the separator.
fn head(text: &str) -> (usize, usize, &str) {
    let (range, rest) = text.split_once("$$").unwrap_or((text, ""));
    let separator = if rest.is_empty() { SEPARATOR } else { rest.strip_suffix("$$").unwrap_or(rest) };
    // A number too large for a machine is as good as all.
    let number = |digits: &str| digits.parse().unwrap_or(usize::MAX);
    let (least, most) = match range.split_once('-') {
        None => (number(range), number(range)),
        Some(("", most)) => (0, number(most)),
        Some((least, "")) => (number(least), usize::MAX),
        Some((least, most)) => (number(least), number(most)),
    };
    (least.min(most), least.max(most), separator)
}

/// `Open` is a node whose inside is being read; `end` is the index after its last descendant.
struct Open {
    end: usize,
    /// Where its pieces begin on the stack.
    base: usize,
    /// How many variables were set before it.
    scope: usize,
    what: Inside,
}

enum Inside {
    /// Brackets that mean nothing to a template; their end is text.
    Brackets(Range<usize>),
    Choice {
        options: Vec<usize>,
        weights: Vec<f64>,
        weight: f64,
        head: Option<usize>,
    },
    /// `${name=value}`
    Value {
        name: String,
        is_at_once: bool,
        span: Range<usize>,
    },
    /// `${name:value}` of a variable that is not set.
    Default,
}

#[derive(Clone, Copy)]
enum Variable {
    /// Expanded anew at each use.
    Piece(usize),
    /// Expanded where it was set.
    Slot(usize),
}

/// `Walk` goes over the nodes of one text.
struct Walk<'w, 'a> {
    compiler: &'w mut Compiler<'a>,
    prompt: &'w Prompt,
    /// The pieces of what is open, the outermost first.
    stack: Vec<usize>,
    open: Vec<Open>,
    variables: HashMap<String, Vec<Variable>>,
    /// The names that were set, in order, so that they can be forgotten.
    set: Vec<String>,
    /// The piece on top of the stack is text that may grow.
    grows: bool,
    /// Up to here the source is dealt with already.
    done: usize,
}

impl<'w, 'a> Walk<'w, 'a> {
    fn new(compiler: &'w mut Compiler<'a>, prompt: &'w Prompt) -> Self {
        let (variables, stack, open, set) = Default::default();
        Walk { compiler, prompt, stack, open, variables, set, grows: false, done: 0 }
    }

    fn run(mut self) -> Result<usize> {
        let mut at = 0;
        loop {
            while let Some(open) = self.open.pop_if(|open| open.end <= at) {
                self.close(open);
            }
            if at >= self.prompt.nodes().len() {
                return Ok(self.sequence(0));
            }
            at = self.enter(at)?;
        }
    }

    /// Deals with a node and gives the next.
    fn enter(&mut self, at: usize) -> Result<usize> {
        let node = self.prompt.node(at);
        let is_option = matches!(self.open.last(), Some(Open { what: Inside::Choice { .. }, .. }));
        match node.kind {
            Kind::Comment => self.drop_line_end(node.span.clone()),
            Kind::Escape => self.escape(node.span.clone()),
            Kind::Bar if is_option => {
                self.end_option();
                return Ok(self.begin_option(at + 1));
            }
            Kind::Choice => return Ok(self.begin_choice(at)),
            Kind::Variable => return self.variable(at),
            Kind::Wildcard if self.compiler.wildcards.is_some() => {
                let piece = self.compiler.reference(self.prompt.name(at));
                self.push(piece);
            }
            Kind::Round(_) | Kind::Square | Kind::Schedule(_) | Kind::Alternate => {
                self.literal(node.span.start..node.inner.start);
                self.begin(at, Inside::Brackets(node.inner.end..node.span.end));
            }
            _ => self.literal(node.span.clone()),
        }
        Ok(at + 1)
    }

    fn begin(&mut self, at: usize, what: Inside) {
        let (base, scope) = (self.stack.len(), self.set.len());
        self.open.push(Open { end: self.prompt.subtree(at).end, base, scope, what });
    }

    fn close(&mut self, open: Open) {
        match open.what {
            Inside::Brackets(closing) => self.literal(closing),
            Inside::Choice { .. } => {
                self.open.push(open);
                self.end_option();
                self.end_choice();
            }
            Inside::Value { name, is_at_once, span } => {
                self.drop_line_end(span);
                let value = self.sequence(open.base);
                self.forget(open.scope);
                let variable = if is_at_once {
                    let slot = self.compiler.slots;
                    self.compiler.slots += 1;
                    let piece = self.compiler.add(Piece::Set { slot, value });
                    self.push(piece);
                    Variable::Slot(slot)
                } else {
                    Variable::Piece(value)
                };
                self.variables.entry(name.clone()).or_default().push(variable);
                self.set.push(name);
            }
            Inside::Default => {
                let value = self.sequence(open.base);
                self.forget(open.scope);
                self.push(value);
            }
        }
    }

    fn begin_choice(&mut self, at: usize) -> usize {
        let head = Some(at + 1).filter(|head| {
            *head < self.prompt.subtree(at).end && self.prompt.node(*head).kind == Kind::ChoiceHead
        });
        self.begin(at, Inside::Choice { options: Vec::new(), weights: Vec::new(), weight: 1.0, head });
        self.grows = false;
        self.begin_option(if head.is_some() { at + 2 } else { at + 1 })
    }

    /// Reads the weight of an option, where there is one, and gives the first node after it.
    fn begin_option(&mut self, at: usize) -> usize {
        let nodes = self.prompt.nodes();
        let written = nodes.get(at..at + 3).filter(|first| {
            first[0].kind == Kind::Text && first[1].kind == Kind::Colon && first[2].kind == Kind::Colon
        });
        let found = written.and_then(|_| weight_of(self.prompt.text(at)));
        if let Some(Open { what: Inside::Choice { weight, .. }, .. }) = self.open.last_mut() {
            *weight = found.unwrap_or(1.0);
        }
        if found.is_some() { at + 3 } else { at }
    }

    fn end_option(&mut self) {
        let Some((base, scope)) = self.open.last().map(|open| (open.base, open.scope)) else { return };
        let option = self.sequence(base);
        self.forget(scope);
        if let Some(Open { what: Inside::Choice { options, weights, weight, .. }, .. }) = self.open.last_mut()
        {
            options.push(option);
            weights.push(*weight);
        }
    }

    fn end_choice(&mut self) {
        let Some(Open { what: Inside::Choice { options, weights, head: at, .. }, .. }) = self.open.pop()
        else {
            return;
        };
        let Some(at) = at else {
            let piece = self.compiler.add(choice(options, weights));
            self.push(piece);
            return;
        };
        let (least, most, separator) = head(self.prompt.text(at));
        let is_wildcard = options.len() == 1 && self.compiler.names.contains_key(&options[0]);
        let piece = self.compiler.pick(options, unlike(weights), (least, most), separator);
        if is_wildcard {
            self.compiler.spreads.push(piece);
        }
        self.push(piece);
    }

    /// A variable that is set, or used.
    fn variable(&mut self, at: usize) -> Result<usize> {
        let (node, name) = (self.prompt.node(at), self.prompt.name(at));
        let mark = self.prompt.source().as_bytes()[node.span.start + 2 + name.len()];
        let next = self.prompt.subtree(at).end;
        if mark == b'=' {
            let is_at_once = self.prompt.inner(at).starts_with('!');
            if is_at_once {
                self.done = node.inner.start + 1;
            }
            let what = Inside::Value { name: name.to_owned(), is_at_once, span: node.span.clone() };
            self.begin(at, what);
            self.grows = false;
            return Ok(at + 1);
        }
        match self.variables.get(name).and_then(|set| set.last()).copied() {
            Some(Variable::Piece(piece)) => self.push(piece),
            Some(Variable::Slot(slot)) => {
                let piece = self.compiler.add(Piece::Get(slot));
                self.push(piece);
            }
            None if mark == b':' => {
                self.begin(at, Inside::Default);
                self.grows = false;
                return Ok(at + 1);
            }
            None => {
                return Err(Error::invalid_input(format!(
                    "The variable {name} has no value: set it before it is used, ${{{name}=…}}, or give one here, \
                     ${{{name}:…}}."
                )));
            }
        }
        Ok(next)
    }

    /// Forgets the variables that were set since.
    fn forget(&mut self, scope: usize) {
        for name in self.set.drain(scope..) {
            if let Some(values) = self.variables.get_mut(&name) {
                values.pop();
            }
        }
    }

    /// What is a line of its own and no text takes its line end along.
    fn drop_line_end(&mut self, span: Range<usize>) {
        let source = self.prompt.source();
        let is_line_start = span.start == 0 || source[..span.start].ends_with('\n');
        if is_line_start && source[span.end..].starts_with('\n') {
            self.done = span.end + 1;
        }
    }

    /// A template's own characters need no backslash any more; brackets keep theirs for the encoder.
    fn escape(&mut self, span: Range<usize>) {
        let is_own = self.prompt.source()[span.start + 1..].starts_with(['{', '}', '|', '$', '_', '#']);
        self.literal(if is_own { span.start + 1..span.end } else { span });
    }

    fn literal(&mut self, span: Range<usize>) {
        let text = &self.prompt.source()[span.start.max(self.done).min(span.end)..span.end];
        if text.is_empty() {
            return;
        }
        if self.grows
            && let Some(Piece::Text(range)) = self.stack.last().map(|top| &mut self.compiler.pieces[*top])
            && range.end == self.compiler.text.len()
        {
            range.end += text.len();
            self.compiler.text.push_str(text);
            return;
        }
        let piece = self.compiler.literal(text);
        self.stack.push(piece);
        self.grows = true;
    }

    fn push(&mut self, piece: usize) {
        self.stack.push(piece);
        self.grows = false;
    }

    /// Takes the pieces since `base` off the stack and makes one of them.
    fn sequence(&mut self, base: usize) -> usize {
        self.grows = false;
        let parts = self.stack.split_off(base);
        match parts[..] {
            [single] => single,
            _ => self.compiler.sequence(parts),
        }
    }
}
