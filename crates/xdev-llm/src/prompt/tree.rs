//! The syntax tree of a prompt. It is lossless: every byte of the text belongs to exactly one place in it.
//!
//! What has no partner (a bracket that is never closed) is text, so that every text is a prompt. Nothing here calls
//! itself, however deep brackets nest: nodes lie in one list in the order of the text, each knowing where its children
//! end. Not here: what weights a text really gets (`weights`), what is done with it.

use std::ops::Range;

use super::Dialect;
use super::lex::{Bracket, EMBEDDING, Lexer, Token};
use super::number::parse_number;

/// `Weight` is a number that somebody wrote, and where.
#[derive(Clone, Debug, PartialEq)]
pub struct Weight {
    /// The number; it may be anything that can be written, also not finite.
    pub value: f64,
    /// Where it stands, without the colon and the white space around it.
    pub span: Range<usize>,
}

/// `Kind` says what a node is.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// Words and the white space around them.
    Text,
    /// A backslash and what it protects.
    Escape,
    /// `,`
    Comma,
    /// `|`
    Bar,
    /// `:`
    Colon,
    /// `( … )`, with the weight where one is written: `(a:1.2)`.
    Round(Option<Weight>),
    /// `[ … ]`: weaker in AUTOMATIC1111's dialect, plain text in ComfyUI's.
    Square,
    /// `[from:to:when]`, `[to:when]` or `[from::when]`: one text after another.
    Schedule(Weight),
    /// `[a|b]`: one text and another in turn.
    Alternate,
    /// `{a|b}`, with a head such as `2$$, $$` where there is one.
    Choice,
    /// `2$$`, `1-3$$ and $$`: how many of a choice, and what goes between them. Only the first child of a choice.
    ChoiceHead,
    /// `<lora:name:0.8>`, also `lyco` and `hypernet`.
    Lora,
    /// `embedding:name`
    Embedding,
    /// `BREAK`
    Break,
    /// `AND`
    And,
    /// `__name__`, with globs and folders.
    Wildcard,
    /// `${name}`, `${name=value}` or `${name:default}`; the value's nodes are its children.
    Variable,
    /// A line that begins with `#` or `//`, or `/* … */`; the end of the line is not part of it.
    Comment,
}

/// `Node` is a place in the text: what it is, and what lies inside.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// All of it.
    pub span: Range<usize>,
    /// What is between its delimiters; all of it where it has none. A weight is outside.
    pub inner: Range<usize>,
    /// The index after its last descendant.
    end: usize,
}

impl Node {
    /// Whether it has an inside of its own: brackets, choices, variables.
    pub fn is_group(&self) -> bool {
        matches!(
            self.kind,
            Kind::Round(_)
                | Kind::Square
                | Kind::Schedule(_)
                | Kind::Alternate
                | Kind::Choice
                | Kind::Variable
        )
    }
}

/// `Phrase` is what stands between two separators (commas, line ends, `BREAK`, `AND`), without white space around it.
#[derive(Clone, Debug, PartialEq)]
pub struct Phrase {
    /// Where it stands.
    pub span: Range<usize>,
    /// Its nodes, outermost only.
    pub nodes: Vec<usize>,
}

/// `Prompt` is a text and its syntax tree.
#[derive(Clone, Debug, PartialEq)]
pub struct Prompt {
    source: String,
    nodes: Vec<Node>,
}

impl Prompt {
    /// Reads a text. Every text is a prompt. Dialects differ in what a backslash protects.
    pub fn parse(text: impl Into<String>, dialect: Dialect) -> Prompt {
        let source = text.into();
        let nodes = Builder::default().build(&source, dialect);
        Prompt { source, nodes }
    }

    /// The text it was read from.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// All nodes in the order of the text, each before its children.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The node of an index.
    pub fn node(&self, index: usize) -> &Node {
        &self.nodes[index]
    }

    /// What a node covers.
    pub fn text(&self, index: usize) -> &str {
        &self.source[self.nodes[index].span.clone()]
    }

    /// What is between a node's delimiters.
    pub fn inner(&self, index: usize) -> &str {
        &self.source[self.nodes[index].inner.clone()]
    }

    /// The name of a variable, the path of a wildcard, or the name of an embedding.
    pub fn name(&self, index: usize) -> &str {
        let text = self.text(index);
        match self.nodes[index].kind {
            Kind::Variable => text[2..].split(['=', ':', '}']).next().unwrap_or_default(),
            Kind::Wildcard => &text[2..text.len() - 2],
            Kind::Embedding => &text[EMBEDDING.len()..],
            _ => text,
        }
    }

    /// The nodes that lie in no other one.
    pub fn roots(&self) -> impl Iterator<Item = usize> + '_ {
        siblings(&self.nodes, 0, self.nodes.len())
    }

    /// The nodes that lie directly in this one.
    pub fn children(&self, index: usize) -> impl Iterator<Item = usize> + '_ {
        siblings(&self.nodes, index + 1, self.nodes[index].end)
    }

    /// This node and everything in it.
    pub fn subtree(&self, index: usize) -> Range<usize> {
        index..self.nodes[index].end
    }

    /// Writes the tree as text again: the same bytes that were read.
    pub fn print(&self) -> String {
        let mut text = String::with_capacity(self.source.len());
        // The ends of the groups that are open: after which node, and with what.
        let mut open: Vec<(usize, Range<usize>)> = Vec::new();
        for (index, node) in self.nodes.iter().enumerate() {
            while let Some((_, closing)) = open.pop_if(|(end, _)| *end <= index) {
                text.push_str(&self.source[closing]);
            }
            if node.is_group() {
                text.push_str(&self.source[node.span.start..node.inner.start]);
                open.push((node.end, node.inner.end..node.span.end));
            } else {
                text.push_str(&self.source[node.span.clone()]);
            }
        }
        while let Some((_, closing)) = open.pop() {
            text.push_str(&self.source[closing]);
        }
        text
    }

    /// The phrases of the prompt, in order; what lies inside brackets is part of the phrase that the bracket is in.
    pub fn phrases(&self) -> Vec<Phrase> {
        self.phrases_of(self.roots(), 0..self.source.len())
    }

    /// The phrases inside a group.
    pub fn phrases_in(&self, index: usize) -> Vec<Phrase> {
        self.phrases_of(self.children(index), self.nodes[index].inner.clone())
    }

    fn phrases_of(&self, nodes: impl Iterator<Item = usize>, span: Range<usize>) -> Vec<Phrase> {
        let mut phrases = Vec::new();
        let (mut from, mut members) = (span.start, Vec::new());
        for index in nodes {
            let node = &self.nodes[index];
            let text = &self.source[node.span.clone()];
            match node.kind {
                Kind::Comma | Kind::Break | Kind::And | Kind::Comment => {
                    self.end_phrase(from..node.span.start, &mut members, &mut phrases);
                    from = node.span.end;
                }
                Kind::Text if text.contains('\n') => {
                    for (at, _) in text.match_indices('\n') {
                        members.push(index);
                        self.end_phrase(from..node.span.start + at, &mut members, &mut phrases);
                        from = node.span.start + at + 1;
                    }
                    members.push(index);
                }
                _ => members.push(index),
            }
        }
        self.end_phrase(from..span.end, &mut members, &mut phrases);
        phrases
    }

    fn end_phrase(&self, span: Range<usize>, members: &mut Vec<usize>, phrases: &mut Vec<Phrase>) {
        let text = &self.source[span.clone()];
        let start = span.start + (text.len() - text.trim_start().len());
        let end = start + text.trim().len();
        let nodes: Vec<_> = members
            .drain(..)
            .filter(|index| self.nodes[*index].span.start < end && self.nodes[*index].span.end > start)
            .collect();
        if start < end {
            phrases.push(Phrase { span: start..end, nodes });
        }
    }
}

/// The indices of nodes that follow each other, without what is inside them.
fn siblings(nodes: &[Node], from: usize, end: usize) -> impl Iterator<Item = usize> + '_ {
    let mut next = from;
    std::iter::from_fn(move || {
        let index = next;
        next = nodes[..end].get(index)?.end;
        Some(index)
    })
}

/// `Builder` puts tokens into the list of nodes; what is open waits on a stack.
#[derive(Default)]
struct Builder {
    nodes: Vec<Node>,
    open: Vec<(usize, Bracket)>,
    waiting: [usize; 3],
}

impl Builder {
    fn build(mut self, source: &str, dialect: Dialect) -> Vec<Node> {
        let mut lexer = Lexer::new(source, dialect);
        while let Some((token, span)) = lexer.next_token() {
            match token {
                Token::Open(bracket) => self.open(bracket, span),
                Token::Close(bracket) => self.close(bracket, span, source),
                Token::Leaf(kind) => self.leaf(kind, span),
            }
        }
        self.leave_open(0);
        self.nodes
    }

    fn leaf(&mut self, kind: Kind, span: Range<usize>) {
        // Text in pieces is one text, unless something was opened or closed between them.
        if kind == Kind::Text
            && let Some(last) = self.nodes.last_mut()
            && last.kind == Kind::Text
            && last.span.end == span.start
            && last.end != usize::MAX
        {
            last.span.end = span.end;
            last.inner.end = span.end;
            return;
        }
        let end = self.nodes.len() + 1;
        // A variable without a value has nothing inside.
        let inner = if kind == Kind::Variable { span.end..span.end } else { span.clone() };
        self.nodes.push(Node { kind, span, inner, end });
    }

    fn open(&mut self, bracket: Bracket, span: Range<usize>) {
        self.open.push((self.nodes.len(), bracket));
        self.waiting[bracket.slot()] += 1;
        // Text, until its end is found.
        self.nodes.push(Node { kind: Kind::Text, inner: span.clone(), span, end: usize::MAX });
    }

    fn close(&mut self, bracket: Bracket, span: Range<usize>, source: &str) {
        if self.waiting[bracket.slot()] == 0 {
            self.leaf(Kind::Text, span);
            return;
        }
        let partner = self.open.iter().rposition(|(_, open)| open.slot() == bracket.slot());
        let Some(partner) = partner else { return };
        self.leave_open(partner + 1);
        let Some((index, opened)) = self.open.pop() else { return };
        self.waiting[bracket.slot()] -= 1;
        let end = self.nodes.len();
        let node = &mut self.nodes[index];
        node.end = end;
        node.inner = node.span.end..span.start;
        node.span.end = span.end;
        let kind = match opened {
            Bracket::Round => self.round(index, source),
            Bracket::Square => self.square(index, source),
            Bracket::Curly => Kind::Choice,
            Bracket::Variable => Kind::Variable,
        };
        self.nodes[index].kind = kind;
    }

    /// Makes text of everything that was opened from here on and has no end: its children become its neighbours.
    fn leave_open(&mut self, from: usize) {
        for (index, bracket) in self.open.drain(from..) {
            self.waiting[bracket.slot()] -= 1;
            self.nodes[index].end = index + 1;
            if let Some(head) = self.nodes.get_mut(index + 1).filter(|head| head.kind == Kind::ChoiceHead) {
                head.kind = Kind::Text;
            }
        }
    }

    /// `(a:1.2)`: the weight is cut off the inside, and its nodes go.
    fn round(&mut self, index: usize, source: &str) -> Kind {
        match self.number_at_the_end(index, source) {
            Some((colon, weight)) if self.nodes[colon].span.start > self.nodes[index].inner.start => {
                self.cut(index, colon);
                Kind::Round(Some(weight))
            }
            _ => Kind::Round(None),
        }
    }

    fn square(&mut self, index: usize, source: &str) -> Kind {
        let has_bar = siblings(&self.nodes, index + 1, self.nodes[index].end)
            .any(|child| self.nodes[child].kind == Kind::Bar);
        if has_bar {
            return Kind::Alternate;
        }
        match self.number_at_the_end(index, source) {
            Some((colon, weight)) => {
                self.cut(index, colon);
                Kind::Schedule(weight)
            }
            None => Kind::Square,
        }
    }

    /// The last colon directly inside and the number after it, where nothing else follows.
    fn number_at_the_end(&self, index: usize, source: &str) -> Option<(usize, Weight)> {
        let node = &self.nodes[index];
        // The number is one text, so the colon is the last node or the one before. One that lies deeper has a closing
        // bracket behind it, which is in no number.
        let colon = (index + 1..node.end).rev().take(2).find(|at| self.nodes[*at].kind == Kind::Colon)?;
        let start = self.nodes[colon].span.end;
        let written = &source[start..node.inner.end];
        let value = parse_number(written)?;
        let from = start + (written.len() - written.trim_start().len());
        Some((colon, Weight { value, span: from..from + written.trim().len() }))
    }

    /// Takes a colon and what follows it out of a group.
    fn cut(&mut self, index: usize, colon: usize) {
        self.nodes[index].inner.end = self.nodes[colon].span.start;
        self.nodes.truncate(colon);
        self.nodes[index].end = colon;
    }
}
