//! Takes a prompt's text apart into tokens. Each byte is looked at a bounded number of times, whatever the text.
//!
//! Not here: which brackets belong together (`tree`).

use std::ops::Range;

use winnow::Parser;
use winnow::ascii::digit1;
use winnow::combinator::{alt, opt, peek, preceded, repeat};
use winnow::error::EmptyError;
use winnow::token::{one_of, take_till, take_while};

use super::Dialect;
use super::tree::Kind;

pub(super) const EMBEDDING: &str = "embedding:";
/// The longest name of a LoRA tag, wildcard or variable, in bytes.
const MAX_NAME: usize = 1024;

/// `Bracket` is what opens and closes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Bracket {
    Round,
    Square,
    Curly,
    /// `${name=`, which `}` closes.
    Variable,
}

impl Bracket {
    /// Curly ones and variables have the same end.
    pub(super) fn slot(self) -> usize {
        match self {
            Bracket::Round => 0,
            Bracket::Square => 1,
            Bracket::Curly | Bracket::Variable => 2,
        }
    }
}

/// `Token` is what stands at a place.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Open(Bracket),
    Close(Bracket),
    Leaf(Kind),
}

/// `Lexer` gives one token after another.
pub(super) struct Lexer<'a> {
    source: &'a str,
    dialect: Dialect,
    at: usize,
    /// Nothing but white space stands between here and the begin of the line.
    is_line_start: bool,
    /// A choice was opened just now, so that its head may follow.
    is_choice_start: bool,
    /// No `*/` follows: looked for once.
    is_without_comment_end: bool,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(source: &'a str, dialect: Dialect) -> Self {
        Lexer {
            source,
            dialect,
            at: 0,
            is_line_start: true,
            is_choice_start: false,
            is_without_comment_end: false,
        }
    }

    /// The next token and where it stands.
    pub(super) fn next_token(&mut self) -> Option<(Token, Range<usize>)> {
        let rest = &self.source[self.at..];
        if rest.is_empty() {
            return None;
        }
        let (token, length) = self.token(rest);
        let start = self.at;
        self.at += length;
        let taken = &self.source[start..self.at];
        self.is_choice_start = token == Token::Open(Bracket::Curly);
        self.is_line_start = match taken.rfind('\n') {
            Some(end) => taken[end..].trim().is_empty(),
            None => self.is_line_start && taken.trim().is_empty(),
        };
        Some((token, start..self.at))
    }

    fn token(&mut self, rest: &str) -> (Token, usize) {
        if self.is_choice_start
            && let Some(length) = matched(choice_head, rest)
        {
            return (Token::Leaf(Kind::ChoiceHead), length);
        }
        let first = rest.as_bytes()[0];
        let leaf = |kind, length| (Token::Leaf(kind), length);
        let special = match first {
            b'(' => Some((Token::Open(Bracket::Round), 1)),
            b')' => Some((Token::Close(Bracket::Round), 1)),
            b'[' => Some((Token::Open(Bracket::Square), 1)),
            b']' => Some((Token::Close(Bracket::Square), 1)),
            b'{' => Some((Token::Open(Bracket::Curly), 1)),
            b'}' => Some((Token::Close(Bracket::Curly), 1)),
            b',' => Some(leaf(Kind::Comma, 1)),
            b'|' => Some(leaf(Kind::Bar, 1)),
            b':' => Some(leaf(Kind::Colon, 1)),
            b'\\' => self.escape(rest).map(|length| leaf(Kind::Escape, length)),
            b'<' => matched(lora, rest).map(|length| leaf(Kind::Lora, length)),
            b'_' => matched(wildcard, rest).map(|length| leaf(Kind::Wildcard, length)),
            b'$' => matched(reference, rest).map(|length| leaf(Kind::Variable, length)).or_else(|| {
                matched(variable_start, rest).map(|length| (Token::Open(Bracket::Variable), length))
            }),
            b'#' | b'/' => self.comment(rest).map(|length| leaf(Kind::Comment, length)),
            b'e' | b'A' | b'B' => self.word(rest),
            _ => None,
        };
        special.unwrap_or_else(|| leaf(Kind::Text, text_length(rest)))
    }

    /// In ComfyUI a backslash protects no other backslash.
    fn escape(&self, rest: &str) -> Option<usize> {
        let protected = *rest.as_bytes().get(1)?;
        let is_protected =
            protected.is_ascii_punctuation() && (protected != b'\\' || self.dialect == Dialect::A1111);
        is_protected.then_some(2)
    }

    /// `BREAK`, `AND` and `embedding:name`, which are words of their own.
    fn word(&self, rest: &str) -> Option<(Token, usize)> {
        let is_word = |character: char| character.is_alphanumeric() || character == '_';
        if self.source[..self.at].ends_with(is_word) {
            return None;
        }
        if rest.starts_with(EMBEDDING) {
            return matched(embedding, rest).map(|length| (Token::Leaf(Kind::Embedding), length));
        }
        let (kind, word) =
            if rest.starts_with("BREAK") { (Kind::Break, "BREAK") } else { (Kind::And, "AND") };
        let after = rest.strip_prefix(word)?;
        (!after.starts_with(is_word)).then_some((Token::Leaf(kind), word.len()))
    }

    fn comment(&mut self, rest: &str) -> Option<usize> {
        if rest.starts_with("/*") && !self.is_without_comment_end {
            let end = rest[2..].find("*/");
            self.is_without_comment_end = end.is_none();
            return end.map(|end| end + 4);
        }
        let is_comment = self.is_line_start && (rest.starts_with('#') || rest.starts_with("//"));
        is_comment.then(|| rest.find('\n').unwrap_or(rest.len()))
    }
}

/// How much of the text belongs to nothing else. It ends before every byte that may begin something.
fn text_length(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    let may_begin = |at: usize| match bytes[at] {
        b'(' | b')' | b'[' | b']' | b'{' | b'}' | b',' | b'|' | b':' | b'\\' | b'<' | b'$' | b'#' | b'/' => {
            true
        }
        // Only what begins a word.
        b'e' | b'A' | b'B' => !bytes[at - 1].is_ascii_alphanumeric(),
        // Underscores are one token, so that a name begins at the last two of them at most.
        b'_' => bytes[at - 1] != b'_',
        _ => false,
    };
    (1..bytes.len()).find(|at| may_begin(*at)).unwrap_or(bytes.len())
}

/// How much of the text a parser takes.
fn matched<'a>(parser: fn(&mut &'a str) -> Result<(), EmptyError>, text: &'a str) -> Option<usize> {
    let mut rest = text;
    parser(&mut rest).ok().map(|()| text.len() - rest.len())
}

/// `<lora:name:0.8>`
fn lora(input: &mut &str) -> Result<(), EmptyError> {
    let kind = alt(("lora:", "lyco:", "hypernet:"));
    let name = take_till(1..=MAX_NAME, ['<', '>', '\n']);
    ('<', kind, name, '>').void().parse_next(input)
}

/// `embedding:name`
fn embedding(input: &mut &str) -> Result<(), EmptyError> {
    let ends = |character: char| character.is_whitespace() || ",:()[]{}|<>\\".contains(character);
    (EMBEDDING, take_till(1.., ends)).void().parse_next(input)
}

/// `__name__`, where the name is a path that may have globs.
fn wildcard(input: &mut &str) -> Result<(), EmptyError> {
    let begins = |character: char| character.is_alphanumeric() || "*?.".contains(character);
    let goes_on = |character: char| begins(character) || "-+/".contains(character);
    let pieces = repeat(1.., (opt('_'), take_while(1.., goes_on))).fold(|| (), |(), _| ());
    ("__", peek(one_of(begins)), pieces, "__").void().parse_next(input)
}

/// The name of a variable.
fn variable_name<'a>(input: &mut &'a str) -> Result<&'a str, EmptyError> {
    let begins = |character: char| character.is_alphabetic() || character == '_';
    let goes_on = |character: char| character.is_alphanumeric() || character == '_' || character == '-';
    preceded(peek(one_of(begins)), take_while(1..=MAX_NAME, goes_on)).parse_next(input)
}

/// `${name}`
fn reference(input: &mut &str) -> Result<(), EmptyError> {
    ("${", variable_name, '}').void().parse_next(input)
}

/// `${name=` or `${name:`
fn variable_start(input: &mut &str) -> Result<(), EmptyError> {
    ("${", variable_name, one_of(['=', ':'])).void().parse_next(input)
}

/// `2$$`, `1-3$$`, `-3$$` or `2-$$`, and after it a separator and `$$` where there is one.
fn choice_head(input: &mut &str) -> Result<(), EmptyError> {
    let range = alt(((digit1, opt(('-', opt(digit1)))).void(), ('-', digit1).void()));
    let separator = (take_till(0..=MAX_NAME, ['$', '{', '}', '|', '\n']), "$$");
    (range, "$$", opt(separator)).void().parse_next(input)
}
