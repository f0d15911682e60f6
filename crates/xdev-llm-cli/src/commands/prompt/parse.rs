//! `xdev-llm prompt parse`: the effective weights of a prompt.

use std::io::{self, BufRead, BufWriter, Write};
use std::process::ExitCode;

use clap::Args;
use xdev_llm::Error;
use xdev_llm::prompt::{effective_weights, format_weight};

use super::{DialectName, TextArguments};
use crate::output::{self, Outcome};
use crate::render::plain;

/// `Arguments` are the flags of `prompt parse`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) text: TextArguments,
    /// What brackets mean
    #[arg(long, value_enum, default_value_t)]
    dialect: DialectName,
    /// Reads one JSON string a line from standard input and prints one array a line
    #[arg(long, conflicts_with_all = ["words", "file"])]
    pub(crate) lines: bool,
}

/// Does what was typed.
pub(super) fn run(arguments: &Arguments) -> Outcome {
    if arguments.lines {
        return lines(arguments.dialect);
    }
    let text = arguments.text.read()?;
    let pieces = effective_weights(&text, arguments.dialect.into())?;
    if arguments.text.json {
        output::json(&pieces)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = output::table(&["weight", "text"]);
    for (piece, weight) in pieces {
        table.add_row([format_weight(weight), plain(&format!("{piece:?}"))]);
    }
    output::print_table(&table)?;
    Ok(ExitCode::SUCCESS)
}

/// One prompt after another, for programs; a line that fails ends it and is named.
fn lines(dialect: DialectName) -> Outcome {
    let mut out = BufWriter::new(io::stdout().lock());
    for (number, line) in io::stdin().lock().lines().enumerate() {
        let wrong = |problem: String| Error::invalid_input(format!("Line {}: {problem}", number + 1));
        let text: String = serde_json::from_str(&line?)
            .map_err(|error| wrong(format!("this is no JSON string: {error}.")))?;
        match effective_weights(&text, dialect.into()) {
            Ok(pieces) => serde_json::to_writer(&mut out, &pieces).map_err(io::Error::from)?,
            Err(error) => {
                out.flush()?;
                return Err(wrong(error.to_string()).into());
            }
        }
        out.write_all(b"\n")?;
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}
