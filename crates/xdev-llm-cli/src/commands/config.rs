//! `xdev-llm config`: shows the settings and where they come from, and opens the user's file.
//!
//! Not here: what a setting means and which layer wins (the library's `config`).

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::{env, io};

use serde_json::{Value, json};
use xdev_llm::{Error, ErrorKind, user_template};

use crate::arguments::{ConfigCommand, JsonArguments};
use crate::output::{self, DIM, Failure, Outcome, STRONG};
use crate::render::plain;
use crate::settings;

/// Does what was typed.
pub(crate) fn run(command: &ConfigCommand) -> Outcome {
    match command {
        ConfigCommand::Show(arguments) => show(arguments)?,
        ConfigCommand::Path => {
            output::line(&settings::user_file()?.display().to_string())?;
        }
        ConfigCommand::Edit => edit()?,
    }
    Ok(ExitCode::SUCCESS)
}

fn show(arguments: &JsonArguments) -> Result<(), Failure> {
    let shown = settings::load(&settings::no_overrides())?.show();
    if arguments.json {
        let list: Vec<Value> = shown
            .iter()
            .map(|line| json!({"key": line.key, "value": line.value, "origin": line.origin.to_string()}))
            .collect();
        return output::json(&list);
    }
    let width = shown.iter().map(|line| line.key.len()).max().unwrap_or_default();
    for line in shown {
        let value = if line.value.is_empty() { "-" } else { &plain(&line.value) };
        output::line(&format!(
            "{STRONG}{:width$}{STRONG:#}  {value}  {DIM}({}){DIM:#}",
            line.key,
            plain(&line.origin.to_string())
        ))?;
    }
    Ok(())
}

/// Opens the file in the user's editor and checks it afterwards. A file that is wrong can be opened, too.
fn edit() -> Result<(), Failure> {
    let path = settings::user_file()?;
    let editor = ["VISUAL", "EDITOR"]
        .into_iter()
        .find_map(|name| env::var(name).ok().filter(|text| !text.trim().is_empty()));
    let Some(editor) = editor else {
        return Err(Error::new(ErrorKind::Config, "Neither VISUAL nor EDITOR names an editor.")
            .with_hint(format!(
                "Set one (`export EDITOR=nano`), or open the file yourself: {}",
                path.display()
            ))
            .into());
    };
    create(&path).map_err(|error| {
        Error::new(ErrorKind::Store, format!("{} could not be written: {error}.", path.display()))
            .with_source(error)
    })?;
    let mut words = editor.split_whitespace();
    let program = words.next().unwrap_or(&editor);
    let failed = |why: String| Error::new(ErrorKind::Config, format!("The editor `{editor}` {why}."));
    let status = Command::new(program)
        .args(words)
        .arg(&path)
        .status()
        .map_err(|error| failed(format!("could not be started: {error}")).with_source(error))?;
    if !status.success() {
        return Err(failed(format!("ended with {status}")).into());
    }
    settings::load(&settings::no_overrides())?;
    output::note(&format!("{} is right.", path.display()));
    Ok(())
}

/// Writes the commented template where there is no file yet.
fn create(path: &Path) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    match OpenOptions::new().write(true).create_new(true).open(path) {
        Ok(mut file) => file.write_all(user_template().as_bytes()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}
