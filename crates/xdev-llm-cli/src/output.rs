//! What is printed where: results to standard output, everything else to standard error.
//!
//! Colours appear only on a terminal. With `--json` an error is an object on standard output and nothing else is there.
//! Not here: the model's text (`render`, `show`).

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use comfy_table::{Table, presets};
use serde::Serialize;
use xdev_llm::{Error, ErrorKind, Result};

use crate::render::plain;

/// Bold red, for what failed.
pub(crate) const FAIL: Style = AnsiColor::Red.on_default().bold();
/// Yellow, for what a person should know.
pub(crate) const WARN: Style = AnsiColor::Yellow.on_default();
/// Green, for what works.
pub(crate) const OK: Style = AnsiColor::Green.on_default();
/// Dim, for what is secondary.
pub(crate) const DIM: Style = Style::new().dimmed();
/// Bold, for names.
pub(crate) const STRONG: Style = Style::new().bold();

/// `Failure` is why a command ends early.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Something went wrong.
    Error(Error),
    /// Nobody reads our output any more (`| head`): there is nobody to tell.
    OutputClosed,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Error(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Failure::OutputClosed;
        }
        Failure::Error(
            Error::new(ErrorKind::Store, format!("The output could not be written: {error}."))
                .with_source(error),
        )
    }
}

/// What a command gives back.
pub(crate) type Outcome = std::result::Result<ExitCode, Failure>;

/// Prints a line of text to standard output.
pub(crate) fn line(text: &str) -> std::result::Result<(), Failure> {
    let mut out = anstream::stdout().lock();
    writeln!(out, "{text}")?;
    Ok(out.flush()?)
}

/// Prints a value as JSON to standard output: indented on a terminal, in one line elsewhere.
pub(crate) fn json(value: &impl Serialize) -> std::result::Result<(), Failure> {
    let text = if is_terminal() { serde_json::to_string_pretty(value) } else { serde_json::to_string(value) };
    let text = text.map_err(|error| {
        Error::new(ErrorKind::Protocol, format!("The result cannot be written as JSON: {error}."))
            .with_source(error)
    })?;
    line(&text)
}

/// Prints a line to standard error. That nobody may read it is no failure.
pub(crate) fn note(text: &str) {
    let _ = writeln!(anstream::stderr().lock(), "{text}");
}

/// Prints a warning to standard error.
pub(crate) fn warn(text: &str) {
    note(&format!("{WARN}warning:{WARN:#} {}", plain(text)));
}

/// `Described` is an error as JSON.
#[derive(Serialize)]
pub(crate) struct Described<'a> {
    code: &'a str,
    message: String,
    hint: &'a str,
}

impl<'a> From<&'a Error> for Described<'a> {
    fn from(error: &'a Error) -> Described<'a> {
        Described { code: error.code(), message: error.to_string(), hint: error.hint() }
    }
}

/// Prints an error and its cure: an object on standard output with `--json`, else lines on standard error.
pub(crate) fn report(error: &Error, as_json: bool) {
    if as_json {
        let object = BTreeMap::from([("error", Described::from(error))]);
        // A closed output leaves nobody to tell.
        let _ = json(&object);
        return;
    }
    note(&format!("{FAIL}error:{FAIL:#} {}", plain(&error.to_string())));
    note(&format!("{STRONG}hint:{STRONG:#} {}", plain(error.hint())));
}

/// The exit code of an error's kind.
pub(crate) fn exit_code(kind: ErrorKind) -> ExitCode {
    ExitCode::from(kind.exit_code())
}

/// Makes an empty table.
pub(crate) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header);
    table
}

/// Prints a table to standard output.
pub(crate) fn print_table(table: &Table) -> std::result::Result<(), Failure> {
    for row in table.lines() {
        let row = plain(&row);
        line(row.strip_prefix(' ').unwrap_or(&row).trim_end())?;
    }
    Ok(())
}

/// `Column` is one column of a [`List`].
pub(crate) struct Column {
    /// Its header.
    pub(crate) header: &'static str,
    /// Which columns go first where the terminal is narrow: the highest number. 0 always stays.
    pub(crate) expendable: u8,
}

/// `List` is a table for terminals of any width: rows can be marked, and columns that say nothing are left out.
pub(crate) struct List {
    columns: Vec<Column>,
    rows: Vec<(bool, Vec<Option<String>>)>,
}

impl List {
    /// Makes an empty one. `columns` are headers and how expendable each is.
    pub(crate) fn new<const N: usize>(columns: [(&'static str, u8); N]) -> List {
        let column = |(header, expendable)| Column { header, expendable };
        List { columns: columns.map(column).into(), rows: Vec::new() }
    }

    /// Adds a row, with a cell for each column; `None` is not told.
    pub(crate) fn row<const N: usize>(&mut self, marked: bool, cells: [Option<String>; N]) {
        self.rows.push((marked, cells.into()));
    }

    /// Prints it to standard output; a marked row has a star, and is bold.
    pub(crate) fn print(&self) -> std::result::Result<(), Failure> {
        let width = terminal_size::terminal_size_of(io::stdout()).map(|(width, _)| width.0.into());
        let lines = self.lines(width);
        let margin = if self.rows.iter().any(|(marked, _)| *marked) { "  " } else { "" };
        line(&format!("{margin}{DIM}{}{DIM:#}", lines[0]))?;
        for (text, (marked, _)) in lines[1..].iter().zip(&self.rows) {
            if *marked {
                line(&format!("{STRONG}* {text}{STRONG:#}"))?;
            } else {
                line(&format!("{margin}{text}"))?;
            }
        }
        Ok(())
    }

    /// The header and the rows, without marks, in lines that have room for them within `width`.
    fn lines(&self, width: Option<usize>) -> Vec<String> {
        let says = |column: &usize| self.rows.iter().any(|(_, cells)| cells[*column].is_some());
        let mut shown: Vec<usize> = (0..self.columns.len()).filter(says).collect();
        loop {
            let lines = self.lines_of(&shown);
            let widest = lines.iter().map(|line| line.chars().count() + 2).max().unwrap_or(0);
            let most = shown.iter().copied().max_by_key(|column| self.columns[*column].expendable);
            match most.filter(|column| self.columns[*column].expendable > 0) {
                Some(column) if width.is_some_and(|width| widest > width) => shown.retain(|it| *it != column),
                _ => return lines,
            }
        }
    }

    fn lines_of(&self, shown: &[usize]) -> Vec<String> {
        let headers: Vec<&str> = shown.iter().map(|column| self.columns[*column].header).collect();
        let mut table = table(&headers);
        for (_, cells) in &self.rows {
            table.add_row(shown.iter().map(|column| cells[*column].as_deref().map_or("-".to_owned(), plain)));
        }
        let trimmed = |row: String| row.strip_prefix(' ').unwrap_or(&row).trim_end().to_owned();
        table.lines().map(trimmed).collect()
    }
}

/// Whether standard output is a terminal.
pub(crate) fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Runs `future` to its end on a runtime of this thread.
pub(crate) fn block_on<F: Future>(future: F) -> Result<F::Output> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::new(ErrorKind::Store, format!("The runtime could not start: {error}.")))?;
    Ok(runtime.block_on(future))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_narrow_terminal_loses_what_matters_least_and_nobody_what_is_told() {
        let mut list = List::new([("ID", 0), ("STATE", 1), ("SIZE", 2), ("VRAM", 3)]);
        let told = |text: &str| Some(text.to_owned());
        list.row(true, [told("qwen3-4b"), told("loaded"), told("2.3 GB"), None]);
        list.row(false, [told("b"), None, None, None]);
        assert_eq!(
            list.lines(None),
            ["ID        STATE   SIZE", "qwen3-4b  loaded  2.3 GB", "b         -       -"]
        );
        assert_eq!(list.lines(Some(26)), list.lines(None));
        assert_eq!(list.lines(Some(25)), ["ID        STATE", "qwen3-4b  loaded", "b         -"]);
        assert_eq!(list.lines(Some(3)), ["ID", "qwen3-4b", "b"]);
    }
}
