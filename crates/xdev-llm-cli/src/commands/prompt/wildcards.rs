//! `xdev-llm prompt wildcards`: the prompts that a template stands for.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueHint};
use xdev_llm::prompt::{Prompts, Template, Wildcards};

use super::{TextArguments, listed};
use crate::output::{self, Outcome};

/// `Arguments` are the flags of `prompt wildcards`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) text: TextArguments,
    /// A folder with wildcards: .txt, .json and .yaml files. May be given several times
    #[arg(long = "folder", value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    folders: Vec<PathBuf>,
    /// Decides what is drawn
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// How many prompts are drawn; with --all, how many of them are printed
    #[arg(long, value_name = "N")]
    count: Option<usize>,
    /// Prints all prompts in turn instead of drawing one
    #[arg(long)]
    all: bool,
    /// Prints the names of all wildcards instead
    #[arg(long, conflicts_with_all = ["words", "file", "all", "count"])]
    list: bool,
}

/// Does what was typed.
pub(super) fn run(arguments: &Arguments) -> Outcome {
    let wildcards = Wildcards::new(&arguments.folders);
    if arguments.list {
        return list(&wildcards, arguments.text.json);
    }
    // Without a folder there are no wildcards, and what looks like one is text.
    let known = (!arguments.folders.is_empty()).then_some(&wildcards);
    let template = Template::parse(&arguments.text.read()?, known)?;
    let prompts = if arguments.all {
        Prompts::all(&template, 0).first(arguments.count.unwrap_or(usize::MAX))
    } else {
        Prompts::drawn(&template, arguments.count.unwrap_or(1), arguments.seed)
    };
    listed(prompts, arguments.text.json)
}

fn list(wildcards: &Wildcards, is_json: bool) -> Outcome {
    let names = wildcards.names();
    for problem in wildcards.problems() {
        output::warn(&problem);
    }
    if is_json {
        output::json(&names)?;
        return Ok(ExitCode::SUCCESS);
    }
    for name in names {
        output::line(&name)?;
    }
    Ok(ExitCode::SUCCESS)
}
