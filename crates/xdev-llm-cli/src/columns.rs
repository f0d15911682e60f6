//! Texts beside each other: styled text is broken into lines of a width and laid out in columns.
//!
//! Escape sequences of styles take no room, and a style that goes over a break is taken up again in the next line. Not
//! here: what stands in the columns (`compare`), Markdown (`render`).

use console::measure_text_width;

use crate::output::DIM;

/// What stands between two columns.
const SEPARATOR: &str = " │ ";
/// A bar's eighths.
const EIGHTHS: [char; 8] = [' ', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];

/// `Cell` is a character and the style it has, as the escape sequences that begin it.
#[derive(Clone, Debug)]
struct Cell {
    character: char,
    width: usize,
    style: usize,
}

/// The width of each of `count` columns on a terminal, and none where that is too little for them.
pub(crate) fn column_width(terminal: usize, count: usize, least: usize) -> Option<usize> {
    let share = terminal.checked_div(count)?;
    let gaps = measure_text_width(SEPARATOR) * count.saturating_sub(1);
    (share >= least).then(|| (terminal - gaps) / count)
}

/// Breaks a styled text into lines of at most this width, between words where it can.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut styles = vec![String::new()];
    let mut lines = Vec::new();
    let mut line = Vec::new();
    let mut rest = text.chars().peekable();
    while let Some(character) = rest.next() {
        match character {
            '\n' => break_line(&std::mem::take(&mut line), width, &styles, &mut lines),
            '\t' => line.extend((0..4).map(|_| Cell { character: ' ', width: 1, style: styles.len() - 1 })),
            '\u{1b}' => {
                let mut sequence = String::from(character);
                for part in rest.by_ref() {
                    sequence.push(part);
                    if part.is_ascii_alphabetic() {
                        break;
                    }
                }
                let is_reset = sequence == "\u{1b}[0m";
                let before = if is_reset { "" } else { styles[styles.len() - 1].as_str() };
                let after = if is_reset { "" } else { &sequence };
                styles.push(format!("{before}{after}"));
            }
            _ => {
                let width = measure_text_width(character.encode_utf8(&mut [0; 4]));
                line.push(Cell { character, width, style: styles.len() - 1 });
            }
        }
    }
    break_line(&line, width, &styles, &mut lines);
    lines
}

/// Breaks one line of the source.
fn break_line(mut cells: &[Cell], width: usize, styles: &[String], lines: &mut Vec<String>) {
    loop {
        let mut used = 0;
        let too_much = cells.iter().position(|cell| {
            used += cell.width;
            used > width
        });
        let Some(too_much) = too_much else {
            lines.push(paint(cells, styles));
            return;
        };
        // A character that is wider than the line stands alone.
        let most = too_much.max(1);
        let is_space = |cell: &Cell| cell.character == ' ';
        let space = cells[..=too_much].iter().rposition(is_space);
        // Spaces at the end of a line take no room; an indent alone is no line.
        let word_end = space
            .and_then(|at| cells[..at].iter().rposition(|cell| !is_space(cell)))
            .map(|last_of_word| last_of_word + 1);
        let end = word_end.unwrap_or(most);
        lines.push(paint(&cells[..end], styles));
        cells = &cells[end..];
        let spaces = cells.iter().take_while(|cell| is_space(cell)).count();
        cells = &cells[spaces..];
        if cells.is_empty() {
            return;
        }
    }
}

fn paint(cells: &[Cell], styles: &[String]) -> String {
    let mut line = String::new();
    let mut current = "";
    for cell in cells {
        let style = styles[cell.style].as_str();
        if style != current {
            if !current.is_empty() {
                line.push_str("\u{1b}[0m");
            }
            line.push_str(style);
            current = style;
        }
        line.push(cell.character);
    }
    if !current.is_empty() {
        line.push_str("\u{1b}[0m");
    }
    line
}

/// Lays columns of lines beside each other.
pub(crate) fn beside(columns: &[Vec<String>], width: usize) -> Vec<String> {
    let height = columns.iter().map(Vec::len).max().unwrap_or_default();
    (0..height)
        .map(|row| {
            let cells = columns.iter().map(|column| pad(column.get(row).map_or("", String::as_str), width));
            let separator = format!("{DIM}{SEPARATOR}{DIM:#}");
            cells.collect::<Vec<_>>().join(&separator)
        })
        .collect()
}

/// Fills a text up with spaces.
pub(crate) fn pad(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(measure_text_width(text))))
}

/// Draws a share, 0 to 1, as a bar.
pub(crate) fn bar(share: f64, width: usize) -> String {
    let eighths = (share.clamp(0.0, 1.0) * (width * 8) as f64).round() as usize;
    let mut bar = "█".repeat(eighths / 8);
    if !eighths.is_multiple_of(8) {
        bar.push(EIGHTHS[eighths % 8]);
    }
    bar
}

#[cfg(test)]
mod tests {
    use console::strip_ansi_codes;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_break_between_words_and_long_words_anywhere() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("one two  three", 8), ["one two", "three"]);
        assert_eq!(wrap("abcdefgh ij", 3), ["abc", "def", "gh", "ij"]);
        assert_eq!(wrap("  abcdef", 4), ["  ab", "cdef"]);
        assert_eq!(wrap("a\n\n  b", 9), ["a", "", "  b"]);
        assert_eq!(wrap("漢字漢字", 5), ["漢字", "漢字"]);
        assert_eq!(wrap("", 5), [""]);
    }

    #[test]
    fn a_style_goes_on_in_the_next_line() {
        assert_eq!(
            wrap("\u{1b}[1mone two\u{1b}[0m x", 5),
            ["\u{1b}[1mone\u{1b}[0m", "\u{1b}[1mtwo\u{1b}[0m x"]
        );
    }

    #[test]
    fn columns_stand_beside_each_other_where_there_is_room() {
        assert_eq!((column_width(120, 2, 60), column_width(119, 2, 60)), (Some(58), None));
        assert_eq!(column_width(200, 3, 60), Some(64));
        assert_eq!(column_width(80, 0, 60), None);
        let rows = beside(&[vec!["a".into(), "bb".into()], vec!["c".into()]], 3);
        let rows: Vec<_> = rows.iter().map(|row| strip_ansi_codes(row).into_owned()).collect();
        assert_eq!(rows, ["a   │ c  ", "bb  │    "]);
    }

    #[test]
    fn bars_have_eighths() {
        assert_eq!((bar(1.0, 4).as_str(), bar(0.5, 4).as_str(), bar(0.0, 4).as_str()), ("████", "██", ""));
        assert_eq!((bar(0.03125, 4).as_str(), bar(f64::NAN, 4).as_str()), ("▏", ""));
    }

    proptest! {
        #[test]
        fn no_line_is_too_wide_and_no_word_is_lost(text in "[a-zé漢🙂 \\n]{0,80}", width in 2..20_usize) {
            let lines = wrap(&text, width);
            for line in &lines {
                prop_assert!(measure_text_width(line) <= width, "{line:?}");
            }
            let visible = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
            prop_assert_eq!(visible(&lines.concat()), visible(&text));
        }
    }
}
