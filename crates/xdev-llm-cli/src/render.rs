//! The model's text for a terminal: Markdown becomes styles while it streams, control characters become visible.
//!
//! A [`Renderer`] is a state machine over characters, so the output does not depend on how the text was cut. It knows
//! headings, lists, quotes, fences, bold and inline code; everything else passes as it is. Whether to render at all is
//! not decided here.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};

const HEADING: Style = Style::new().bold().underline();
const BOLD: Style = Style::new().bold();
const CODE: Style = AnsiColor::Cyan.on_default();
const FENCE: Style = Style::new().dimmed();

/// The longest bold or code span that is held back until it closes, in characters.
const SPAN_LIMIT: usize = 240;

/// Makes one character of foreign text harmless: a terminal must not obey what a model writes.
///
/// Control characters become their Unicode pictures (escape is `␛`), text-direction overrides `�`; a carriage return is
/// dropped, tab and newline stay.
fn visible(character: char) -> Option<char> {
    match character {
        '\n' | '\t' => Some(character),
        '\r' => None,
        '\u{0}'..='\u{1f}' => char::from_u32(0x2400 + character as u32),
        '\u{7f}' => Some('␡'),
        '\u{80}'..='\u{9f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => Some('\u{fffd}'),
        _ => Some(character),
    }
}

/// Makes foreign text harmless for a terminal; see [`visible`].
pub(crate) fn plain(text: &str) -> String {
    text.chars().filter_map(visible).collect()
}

/// `Renderer` turns a stream of Markdown into styled text, line by line.
#[derive(Debug, Default)]
pub(crate) struct Renderer {
    place: Place,
    /// Characters whose meaning is not known yet.
    held: String,
    /// The run of backticks that opened the fence we are in.
    fence: Option<usize>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    /// At the beginning of a line, where `#`, `-`, `>` and fences mean something.
    #[default]
    LineStart,
    /// In a line, outside any span.
    Text,
    /// In a span that is held back until it closes.
    Span,
    /// In a heading.
    Heading,
    /// In a line of a fenced block.
    Code,
    /// In the line that opens a fence.
    FenceLine,
}

impl Renderer {
    /// Takes in a piece of text and appends what can be shown of it to `out`.
    pub(crate) fn push(&mut self, piece: &str, out: &mut String) {
        for character in piece.chars().filter_map(visible) {
            self.take(character, out);
        }
    }

    /// Shows what was held back; the text is over.
    pub(crate) fn finish(&mut self, out: &mut String) {
        self.end_line(out);
        *self = Renderer::default();
    }

    fn take(&mut self, character: char, out: &mut String) {
        if character == '\n' {
            self.end_line(out);
            out.push('\n');
            return;
        }
        match self.place {
            Place::LineStart => {
                self.held.push(character);
                self.begin_line(out);
            }
            Place::Text => self.text(character, out),
            Place::Span => {
                self.held.push(character);
                self.close_span(out);
            }
            Place::Heading | Place::Code | Place::FenceLine => out.push(character),
        }
    }

    /// Decides what kind of line this is, or waits for more of it.
    fn begin_line(&mut self, out: &mut String) {
        let held = std::mem::take(&mut self.held);
        let marks = held.trim_start_matches([' ', '\t']);
        let indent = &held[..held.len() - marks.len()];
        let ticks = marks.len() - marks.trim_start_matches('`').len();
        if let Some(open) = self.fence {
            // Only a run of backticks can end the fence; anything else is code.
            if marks.len() == ticks && ticks <= open {
                self.held = held;
            } else {
                let _ = write!(out, "{CODE}{held}");
                self.place = Place::Code;
            }
            return;
        }
        if matches!(marks, "" | "-" | "*" | "+" | ">") || ticks == marks.len() {
            self.held = held;
        } else if ticks >= 3 {
            let _ = write!(out, "{FENCE}{held}");
            self.fence = Some(ticks);
            self.place = Place::FenceLine;
        } else if marks.starts_with('#') {
            match marks.trim_start_matches('#') {
                "" if marks.len() <= 6 => self.held = held,
                " " => {
                    let _ = write!(out, "{HEADING}");
                    self.place = Place::Heading;
                }
                _ => self.text_from(&held, out),
            }
        } else if let "- " | "* " | "+ " = marks {
            let _ = write!(out, "{indent}• ");
            self.place = Place::Text;
        } else if marks == "> " {
            let _ = write!(out, "{indent}{FENCE}│{FENCE:#} ");
            self.place = Place::LineStart;
        } else {
            self.text_from(&held, out);
        }
    }

    /// The line is plain text; what was held is the beginning of it.
    fn text_from(&mut self, held: &str, out: &mut String) {
        self.place = Place::Text;
        for character in held.chars() {
            self.take(character, out);
        }
    }

    fn text(&mut self, character: char, out: &mut String) {
        match (self.held.as_str(), character) {
            (_, '`') => {
                out.push_str(&std::mem::take(&mut self.held));
                self.held.push('`');
                self.place = Place::Span;
            }
            ("", '*') => self.held.push('*'),
            ("*", '*') => {
                self.held.push('*');
                self.place = Place::Span;
            }
            (_, other) => {
                out.push_str(&std::mem::take(&mut self.held));
                out.push(other);
            }
        }
    }

    /// Shows the held span when its closing mark has come, or raw when it is none after all.
    fn close_span(&mut self, out: &mut String) {
        let mark = if self.held.starts_with('`') { '`' } else { '*' };
        let opening = self.held.len() - self.held.trim_start_matches(mark).len();
        let body = &self.held[opening..];
        let opens = mark == '`' || (opening == 2 && !body.starts_with([' ', '\t']));
        if body.is_empty() && opening < SPAN_LIMIT {
            return;
        }
        if !opens || self.held.chars().count() > SPAN_LIMIT {
            self.give_up_span(out);
            return;
        }
        let inner = body.trim_end_matches(mark);
        if body.len() - inner.len() == opening {
            let style = if mark == '`' { CODE } else { BOLD };
            let _ = write!(out, "{style}{inner}{style:#}");
            self.held.clear();
            self.place = Place::Text;
        }
    }

    fn give_up_span(&mut self, out: &mut String) {
        out.push_str(&std::mem::take(&mut self.held));
        self.place = Place::Text;
    }

    fn end_line(&mut self, out: &mut String) {
        match self.place {
            Place::LineStart => {
                let held = std::mem::take(&mut self.held);
                let ticks = held.trim().len();
                let is_fence = ticks >= 3 && held.trim().chars().all(|character| character == '`');
                match self.fence {
                    Some(open) if is_fence && ticks >= open => {
                        let _ = write!(out, "{FENCE}{held}{FENCE:#}");
                        self.fence = None;
                    }
                    None if is_fence => {
                        let _ = write!(out, "{FENCE}{held}{FENCE:#}");
                        self.fence = Some(ticks);
                    }
                    _ => out.push_str(&held),
                }
            }
            Place::Text | Place::Span => out.push_str(&std::mem::take(&mut self.held)),
            Place::Heading => {
                let _ = write!(out, "{HEADING:#}");
            }
            Place::Code => {
                let _ = write!(out, "{CODE:#}");
            }
            Place::FenceLine => {
                let _ = write!(out, "{FENCE:#}");
            }
        }
        self.place = Place::LineStart;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn render(pieces: &[&str]) -> String {
        let (mut renderer, mut out) = (Renderer::default(), String::new());
        for piece in pieces {
            renderer.push(piece, &mut out);
        }
        renderer.finish(&mut out);
        out
    }

    /// The rendered text without styles.
    fn bare(text: &str) -> String {
        anstream::adapter::strip_str(&render(&[text])).to_string()
    }

    #[test]
    fn marks_become_styles() {
        let shown = render(&["## Title\n- **bold** and `code`\n"]).replace('\u{1b}', "^");
        assert_eq!(shown, "^[1m^[4mTitle^[0m\n• ^[1mbold^[0m and ^[36mcode^[0m\n");
    }

    #[test]
    fn a_fence_is_code_until_it_closes() {
        let shown = render(&["```rust\n# not **a** heading\n``x\n```\n# H"]).replace('\u{1b}', "^");
        assert_eq!(
            shown,
            "^[2m```rust^[0m\n^[36m# not **a** heading^[0m\n^[36m``x^[0m\n^[2m```^[0m\n^[1m^[4mH^[0m"
        );
    }

    #[test]
    fn marks_that_are_none_stay() {
        for text in [
            "2 * 3 ** 4",
            "a*b*c",
            "#hashtag",
            "don`t",
            "**open",
            "--flag",
            "-1",
            "*",
            "``",
            "snake_case",
            "a ** b ** c",
            "1. one",
            "####### seven",
            "x **y\nz** w",
            "> ",
            "`````` ",
            "   indented",
        ] {
            let expected = if text == "> " { "│ " } else { text };
            assert_eq!(bare(text), expected, "{text:?}");
        }
    }

    #[test]
    fn quotes_may_hold_lists() {
        assert_eq!(bare("> - item `x`\n> text"), "│ • item x\n│ text");
    }

    #[test]
    fn a_long_open_span_is_not_held_for_ever() {
        let (mut renderer, mut out) = (Renderer::default(), String::new());
        renderer.push(&format!("`{}", "x".repeat(SPAN_LIMIT + 10)), &mut out);
        assert!(out.len() > SPAN_LIMIT, "{} characters were shown", out.len());
    }

    #[test]
    fn a_model_cannot_drive_the_terminal() {
        let hostile = "a\u{1b}[2Jb\u{9b}31mc\u{7}\u{1b}]0;title\u{7}d\re\u{202e}f\u{0}";
        let shown = render(&[hostile]);
        assert_eq!(shown, "a␛[2Jb\u{fffd}31mc␇␛]0;title␇de\u{fffd}f␀");
        assert_eq!(plain(hostile), shown);
    }

    proptest! {
        #[test]
        fn cuts_do_not_matter(
            pieces in prop::collection::vec("[-#*` >+\na-c\u{1b}é]{0,6}|```|\\*\\*|\n", 0..40),
        ) {
            let whole: String = pieces.concat();
            let cut: Vec<&str> = pieces.iter().map(String::as_str).collect();
            prop_assert_eq!(render(&cut), render(&[&whole]));
        }

        #[test]
        fn letters_and_lines_survive(text in "[-#*` >+\na-z0-9]{0,80}") {
            let kept = |text: &str| text.chars().filter(|c| c.is_alphanumeric() || *c == '\n').collect::<String>();
            prop_assert_eq!(kept(&bare(&text)), kept(&text));
        }
    }
}
