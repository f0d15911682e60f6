//! The binary `xdev-llm-mock`: the command line of the test server and nothing else.

use clap::Parser;
use xdev_llm_mock::cli;

/// A local model server for tests: deterministic, controllable, and wrong on purpose.
#[derive(Debug, Parser)]
#[command(name = "xdev-llm-mock", version)]
struct Command {
    #[command(flatten)]
    args: cli::Args,
}

fn main() -> std::io::Result<()> {
    cli::run(Command::parse().args)
}
