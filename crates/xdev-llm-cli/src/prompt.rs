//! Where a prompt and a history come from: arguments, a file, standard input.
//!
//! Not here: what a history's JSON means (the library's `history`).

use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use xdev_llm::{Error, ErrorKind, Result};

use crate::arguments::AskArguments;
use crate::output::note;

/// How long standard input may take to end before that is said.
const STDIN_PATIENCE: Duration = Duration::from_secs(2);

/// The largest text that is read from a file or standard input, in bytes.
const TEXT_LIMIT: u64 = 64 << 20;

/// Gives the prompt of `ask`.
///
/// Standard input is read where it is named (`-`) or is no terminal, unless the history takes it. Beside words or a file
/// it is appended after a blank line.
pub(crate) fn ask_prompt(arguments: &AskArguments) -> Result<String> {
    let history_takes_input = arguments.turn.history.as_deref() == Some(Path::new("-"));
    let named =
        arguments.prompt.iter().any(|word| word == "-") || arguments.file.as_deref() == Some(Path::new("-"));
    if named && history_takes_input {
        return Err(Error::invalid_input(
            "Both the prompt and the history are to be read from standard input.",
        )
        .with_hint("Give one of them as a file: `xdev-llm ask -f prompt.txt --history -`."));
    }
    let words: Vec<&str> = arguments.prompt.iter().map(String::as_str).filter(|word| *word != "-").collect();
    let mut parts = vec![words.join(" ")];
    if let Some(file) = arguments.file.as_deref().filter(|file| *file != Path::new("-")) {
        parts.push(read_file(file)?);
    }
    if named || (!history_takes_input && !io::stdin().is_terminal()) {
        parts.push(read_standard_input()?);
    }
    join(&parts)
}

/// Gives a text of `xdev-llm prompt`: the words, else the file, else standard input. It may be empty.
pub(crate) fn text(words: &[String], file: Option<&Path>) -> Result<String> {
    let is_standard_input = |file: &Path| file == Path::new("-");
    match file {
        Some(file) if !words.is_empty() => Err(Error::invalid_input(format!(
            "There is a text on the command line and one in {}; give one of them.",
            file.display()
        ))),
        Some(file) if !is_standard_input(file) => read_file(file).map(without_last_line_end),
        None if !words.is_empty() && words != ["-"] => Ok(words.join(" ")),
        _ => read_standard_input().map(without_last_line_end),
    }
}

/// A file ends with a line end that belongs to no prompt.
fn without_last_line_end(mut text: String) -> String {
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    text
}

/// Reads a history given as a path or `-`.
pub(crate) fn read_history(path: &Path) -> Result<String> {
    if path == Path::new("-") { read_standard_input() } else { read_file(path) }
}

/// Joins what is there by blank lines.
fn join(parts: &[String]) -> Result<String> {
    let parts: Vec<&str> =
        parts.iter().map(|part| part.trim_end()).filter(|part| !part.trim().is_empty()).collect();
    if parts.is_empty() {
        return Err(Error::invalid_input("There is no prompt.").with_hint(
            "Type one: `xdev-llm ask \"Why is the sky blue?\"`, or send one in: `cat notes.md | xdev-llm ask \"Summarise this.\"`.",
        ));
    }
    Ok(parts.join("\n\n"))
}

fn read_file(path: &Path) -> Result<String> {
    let shown = path.display().to_string();
    let file = File::open(path).map_err(|error| unreadable(&shown, error))?;
    read_text(&shown, file)
}

fn read_standard_input() -> Result<String> {
    // An open pipe that nobody writes to looks like a program that hangs.
    let (ended, wait) = mpsc::channel::<()>();
    thread::spawn(move || {
        if wait.recv_timeout(STDIN_PATIENCE) == Err(mpsc::RecvTimeoutError::Timeout) {
            note("reading standard input until it ends (for none: </dev/null)");
        }
    });
    let text = read_text("standard input", io::stdin());
    drop(ended);
    text
}

fn read_text(shown: &str, source: impl Read) -> Result<String> {
    let mut bytes = Vec::new();
    source.take(TEXT_LIMIT + 1).read_to_end(&mut bytes).map_err(|error| unreadable(shown, error))?;
    if bytes.len() as u64 > TEXT_LIMIT {
        return Err(Error::invalid_input(format!("{shown} is longer than {} MiB.", TEXT_LIMIT >> 20)));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        Error::invalid_input(format!(
            "{shown} is not UTF-8 text (byte {}).",
            error.utf8_error().valid_up_to()
        ))
        .with_hint("Save it as UTF-8. Pictures and other binary files are no prompts.")
    })?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

fn unreadable(shown: &str, error: io::Error) -> Error {
    Error::new(ErrorKind::Store, format!("{shown} could not be read: {error}.")).with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_joined_by_a_blank_line() {
        let parts = ["Summarise this.".to_owned(), String::new(), "line 1\nline 2\n".to_owned()];
        assert_eq!(join(&parts).unwrap(), "Summarise this.\n\nline 1\nline 2");
    }

    #[test]
    fn no_prompt_shows_an_example() {
        let error = join(&["  \n".to_owned()]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.hint().contains("xdev-llm ask \""));
    }

    #[test]
    fn text_must_be_utf8_and_may_begin_with_a_byte_order_mark() {
        assert_eq!(read_text("f", &b"\xef\xbb\xbfhi"[..]).unwrap(), "hi");
        let error = read_text("f", &b"hi\xff"[..]).unwrap_err();
        assert_eq!(error.to_string(), "f is not UTF-8 text (byte 2).");
    }
}
