//! `docs/cli.md` and `docs/errors.md`, generated from the code, and the tests that they have not drifted.
//!
//! `UPDATE_DOCS=1 cargo test -p xdev-llm-cli docs` rewrites them.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::{env, fs};

use clap::{Arg, ArgAction, Command, CommandFactory};
use xdev_llm::ErrorKind;

use crate::arguments::Cli;

/// Compares a committed page with the generated one, or rewrites it.
fn check(name: &str, generated: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name);
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, generated).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == generated,
        "docs/{name} is not what the code says; run the tests with UPDATE_DOCS=1"
    );
}

/// Makes text safe for a cell of a Markdown table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "&lt;").replace('\n', " ")
}

fn argument_rows(page: &mut String, title: &str, arguments: &[&Arg]) {
    if arguments.is_empty() {
        return;
    }
    let _ = writeln!(page, "| {title} | Meaning |\n|---|---|");
    for argument in arguments {
        let mut name = match (argument.get_short(), argument.get_long()) {
            (Some(short), Some(long)) => format!("-{short}, --{long}"),
            (None, Some(long)) => format!("--{long}"),
            (Some(short), None) => format!("-{short}"),
            (None, None) => String::new(),
        };
        if matches!(argument.get_action(), ArgAction::Set | ArgAction::Append) {
            let value = argument.get_value_names().unwrap_or_default().join(" ");
            name = format!("{name} {value}").trim().to_owned();
        }
        let help =
            argument.get_long_help().or(argument.get_help()).map(ToString::to_string).unwrap_or_default();
        let mut meaning = help.trim_end_matches('.').to_owned();
        let values = argument.get_possible_values();
        if !values.is_empty() && argument.get_action().takes_values() {
            let list: Vec<String> = values
                .iter()
                .map(|value| match value.get_help() {
                    Some(help) => format!("`{}` ({help})", value.get_name()),
                    None => format!("`{}`", value.get_name()),
                })
                .collect();
            let _ = write!(meaning, ". One of: {}", list.join(", "));
        }
        let defaults: Vec<_> =
            argument.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
        if !defaults.is_empty() && argument.get_action().takes_values() {
            let _ = write!(meaning, ". Default: {}", defaults.join(", "));
        }
        let _ = writeln!(page, "| `{}` | {}. |", name.replace('|', "\\|"), cell(&meaning));
    }
    page.push('\n');
}

fn command_section(page: &mut String, command: &Command, path: &str, level: usize) {
    let _ = writeln!(page, "{} `{path}`\n", "#".repeat(level));
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let _ = writeln!(page, "{}.\n", about.trim_end_matches('.'));
    let is_shown = |argument: &&Arg| {
        !argument.is_hide_set() && !["help", "version"].contains(&argument.get_id().as_str())
    };
    let arguments: Vec<&Arg> = command.get_positionals().filter(is_shown).collect();
    argument_rows(page, "Argument", &arguments);
    let flags: Vec<&Arg> =
        command.get_arguments().filter(|argument| !argument.is_positional()).filter(is_shown).collect();
    argument_rows(page, "Flag", &flags);
    if let Some(after) = command.get_after_help() {
        let _ = writeln!(page, "```text\n{after}\n```\n");
    }
    for inner in command.get_subcommands().filter(|inner| !inner.is_hide_set()) {
        command_section(page, inner, &format!("{path} {}", inner.get_name()), level + 1);
    }
}

fn cli_page() -> String {
    let mut command = Cli::command();
    command.build();
    let mut page = String::from(
        "# The command\n\nThis page is generated from the code (`UPDATE_DOCS=1 cargo test -p xdev-llm-cli docs`).\n\n\
         Results go to standard output, everything else (progress, warnings, statistics) to standard error. Exit codes \
         are listed in [errors.md](errors.md); 0 is success.\n\n",
    );
    command_section(&mut page, &command, "xdev-llm", 2);
    page.truncate(page.trim_end().len());
    page.push('\n');
    page
}

fn errors_page() -> String {
    let mut page = String::from(
        "# Errors\n\nThis page is generated from the code (`UPDATE_DOCS=1 cargo test -p xdev-llm-cli docs`).\n\n\
         Every failure has a stable code, an exit code of the command, and a hint. With `--json` the command prints \
         `{\"error\": {\"code\", \"message\", \"hint\"}}` on standard output.\n\n\
         | Code | Exit code | Meaning | What to do |\n|---|---|---|---|\n",
    );
    for kind in ErrorKind::ALL {
        let _ = writeln!(
            page,
            "| `{}` | {} | {} | {} |",
            kind.code(),
            kind.exit_code(),
            cell(kind.meaning()),
            cell(kind.hint())
        );
    }
    page.push_str(
        "\nThe command's exit code is 0 on success, 2 also for a flag that does not exist, 1 when `doctor` finds that an \
         answer cannot be had, and 101 if the program itself crashes (please report that).\n",
    );
    page
}

#[test]
fn cli_page_is_what_the_code_says() {
    check("cli.md", &cli_page());
}

#[test]
fn errors_page_is_what_the_code_says() {
    check("errors.md", &errors_page());
}
