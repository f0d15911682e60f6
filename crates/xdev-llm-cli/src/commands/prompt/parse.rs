//! `xdev-llm prompt parse`: the effective weights of a prompt.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufWriter, Write};
use std::process::ExitCode;

use clap::Args;
use xdev_llm::prompt::{effective_weights, format_weight};
use xdev_llm::{Error, Result};

use super::{DialectName, TextArguments};
use crate::output::{self, Described, Outcome};
use crate::render::plain;

/// `Arguments` are the flags of `prompt parse`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) text: TextArguments,
    /// What brackets mean
    #[arg(long, value_enum, default_value_t)]
    dialect: DialectName,
    /// Reads one JSON string a line from standard input and prints one array a line; what fails is an object with `error`
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

/// One prompt after another, for programs. A line that fails is answered by an error, and the others go on.
fn lines(dialect: DialectName) -> Outcome {
    let mut out = BufWriter::new(io::stdout().lock());
    let mut code = ExitCode::SUCCESS;
    for line in io::stdin().lock().lines() {
        let answer = weights_of_line(&line?, dialect).or_else(|error| {
            code = output::exit_code(error.kind());
            serde_json::to_string(&BTreeMap::from([("error", Described::from(&error))]))
        });
        writeln!(out, "{}", answer.map_err(io::Error::from)?)?;
    }
    out.flush()?;
    Ok(code)
}

fn weights_of_line(line: &str, dialect: DialectName) -> Result<String> {
    let text: String = serde_json::from_str(line)
        .map_err(|error| Error::invalid_input(format!("This line is no JSON string: {error}.")))?;
    let pieces = effective_weights(&text, dialect.into())?;
    serde_json::to_string(&pieces).map_err(|error| Error::invalid_input(error.to_string()))
}
