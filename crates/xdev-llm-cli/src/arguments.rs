//! What can be typed: every command and flag, for clap.
//!
//! `docs/cli.md` is generated from here. Ranges are named in the help and checked by the library, so that every door of
//! the project says the same. Not here: what the commands do (`commands`).

mod memory;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};
use clap_complete::engine::ArgValueCompleter;
use xdev_llm::{KeepAlive, Reasoning, Sampling};

use crate::commands::prompt::PromptCommand;
use crate::completion;
pub(crate) use memory::{
    LoadArguments, ModelsArguments, PsArguments, PullArguments, ServerArguments, SwitchArguments,
    TargetArguments, UnloadArguments,
};

/// Asks, chats with and examines language model servers on this machine.
#[derive(Debug, Parser)]
#[command(
    name = "xdev-llm",
    version,
    about = "Asks, chats with and examines language model servers on this machine.",
    long_about = "Asks, chats with and examines language model servers on this machine: LM Studio, Ollama, \
                  llama.cpp, vLLM and any OpenAI-compatible server. Where none runs, `ask` and `chat` use the \
                  built-in engine, once `xdev-llm engine install` has installed it.",
    after_help = "Examples:\n  xdev-llm ask \"Why is the sky blue?\"\n  git diff | xdev-llm ask \"Write a commit message.\"\n  xdev-llm doctor",
    disable_help_subcommand = true
)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// `Command` is the first word.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Asks one question and prints the answer as it arrives
    #[command(
        after_help = "Examples:\n  xdev-llm ask \"Name three colours.\"\n  xdev-llm ask -f prompt.txt --preset precise\n  cat notes.md | xdev-llm ask \"Summarise this.\"\n  xdev-llm ask --json \"Hello\" | jq -r .response\n  xdev-llm ask --model qwen3-4b,google/gemma-3-12b \"Which is it?\""
    )]
    Ask(AskArguments),
    /// Talks in turns; sessions are kept on disk
    #[command(
        after_help = "Inside: /help lists the commands. A line that ends in \\ goes on in the next one; \"\"\" begins and ends a block. Ctrl-C stops the answer, Ctrl-D leaves."
    )]
    Chat(ChatArguments),
    /// Lists the models of a server, those in memory first
    Models(ModelsArguments),
    /// Lists what is in memory, on every server
    Ps(PsArguments),
    /// Loads a model into memory, and waits until it is there
    #[command(
        after_help = "Examples:\n  xdev-llm load qwen3-4b\n  xdev-llm load qwen3-4b --context-length 8192\n  xdev-llm load llama3.2 --server http://localhost:11434 --keep-alive forever"
    )]
    Load(LoadArguments),
    /// Unloads a model, and waits until the server's own list has it no more
    #[command(
        after_help = "Examples:\n  xdev-llm unload\n  xdev-llm unload qwen3-4b\n  xdev-llm unload --all\n\nThe built-in engine is stopped, which is how it gives its memory back."
    )]
    Unload(UnloadArguments),
    /// Loads a model and unloads all others of that server
    Switch(SwitchArguments),
    /// Downloads a model to the server
    #[command(
        after_help = "LM Studio, Ollama, Lemonade and llama.cpp's router download.\n\nExamples:\n  xdev-llm pull qwen/qwen3-4b\n  xdev-llm pull llama3.2:1b --server http://localhost:11434"
    )]
    Pull(PullArguments),
    /// Finds the servers that run on this machine
    Servers(ServersArguments),
    /// Looks at every step between you and an answer, and says the cure
    Doctor(DoctorArguments),
    /// Lists the presets, built-in and your own
    Presets(JsonArguments),
    /// Works on prompts for diffusion models; asks nobody
    #[command(subcommand)]
    Prompt(PromptCommand),
    /// Shows and edits the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Installs, starts and stops the built-in engine
    #[command(subcommand)]
    Engine(EngineCommand),
    /// Prints the completion script of a shell, with live model, server and preset names
    #[command(
        after_help = "Examples:\n  bash:        source <(xdev-llm completions bash)\n  zsh:         source <(xdev-llm completions zsh)\n  fish:        xdev-llm completions fish | source\n  PowerShell:  xdev-llm completions powershell | Out-String | Invoke-Expression"
    )]
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Runs a test server that can misbehave on purpose
    Mock(xdev_llm_mock::cli::Args),
}

/// `AskArguments` are the prompt and the flags of `ask`.
#[derive(Debug, Args)]
pub(crate) struct AskArguments {
    /// The prompt; its words are joined by spaces. `-` reads standard input, which is also read where it is no
    /// terminal: alone it is the prompt, beside a prompt it is appended after a blank line
    #[arg(value_name = "PROMPT")]
    pub(crate) prompt: Vec<String>,
    /// Reads the prompt from a file
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) file: Option<PathBuf>,
    /// Asks the models of `--model a,b,c` at once, and not one after another
    #[arg(long, requires = "model")]
    pub(crate) parallel: bool,
    #[command(flatten)]
    pub(crate) turn: TurnArguments,
}

/// `ChatArguments` are the flags of `chat`.
#[derive(Debug, Args)]
pub(crate) struct ChatArguments {
    /// Goes on with this session (see /sessions)
    #[arg(long, value_name = "ID", conflicts_with = "continue_last")]
    pub(crate) session: Option<String>,
    /// Goes on with the newest session
    #[arg(long = "continue")]
    pub(crate) continue_last: bool,
    #[command(flatten)]
    pub(crate) turn: TurnArguments,
}

/// `TurnArguments` are the flags that `ask` and `chat` share: what is sent to whom, and how the answer is shown.
#[derive(Debug, Args)]
pub(crate) struct TurnArguments {
    /// The server: a URL or a name from your config. Default: the config's, else the first that is found
    #[arg(long, value_name = "URL|NAME", add = ArgValueCompleter::new(completion::servers))]
    pub(crate) server: Option<String>,
    /// The model, or an alias of your config. `ask` also takes several, parted by commas, which no server has in its names,
    /// and shows their answers beside each other. Default: the config's, else auto, the one that is loaded
    #[arg(long, value_name = "MODEL", add = ArgValueCompleter::new(completion::models))]
    pub(crate) model: Option<String>,
    /// The preset: creative, balanced, focused, precise, custom or one of your own. Default: the config's, else balanced
    #[arg(long, value_name = "NAME", add = ArgValueCompleter::new(completion::presets))]
    pub(crate) preset: Option<String>,
    /// The system message. Default: the preset's, else the config's
    #[arg(long, value_name = "TEXT")]
    pub(crate) system: Option<String>,
    /// An earlier conversation as JSON, [{"role","content"}, …]; `-` reads standard input
    #[arg(long, value_name = "FILE|-", value_hint = ValueHint::FilePath)]
    pub(crate) history: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) sampling: SamplingArguments,
    /// Prints the answer when it is complete
    #[arg(long)]
    pub(crate) no_stream: bool,
    /// Prints the model's text as it is, without rendering Markdown
    #[arg(long)]
    pub(crate) raw: bool,
    /// Seconds to wait for the first sign of the answer, and for each one after it: 5 to 300. Default: the config's, else 120
    #[arg(long, value_name = "SECONDS")]
    pub(crate) timeout: Option<u32>,
    /// Seconds the whole answer may take: 0 to 86400; 0 is no limit. Default: the config's, else 0
    #[arg(long, value_name = "SECONDS")]
    pub(crate) deadline: Option<u32>,
    /// How much the model thinks before it answers; `show` also prints it. Default: the config's, else default
    #[arg(long, value_name = "LEVEL")]
    pub(crate) reasoning: Option<ReasoningArgument>,
    /// How long the model stays in memory afterwards: seconds, 5m, 1h30m or forever; 0 unloads it at once. Ollama takes
    /// it, and LM Studio where this request loads the model (no 0, no forever). Default: the server's
    #[arg(long, value_name = "TIME", value_parser = memory::keep_alive)]
    pub(crate) keep_alive: Option<KeepAlive>,
    /// Prints the exact request and does not send it
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Prints one JSON object: response, reasoning, full_conversation, server_info, generation_stats; or error. For several
    /// models: answers and summary
    #[arg(long)]
    pub(crate) json: bool,
}

/// `SamplingArguments` beat the preset's values.
#[derive(Debug, Args)]
pub(crate) struct SamplingArguments {
    /// Randomness: 0 (always the likeliest token) to 2. Default: the preset's
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    pub(crate) temperature: Option<f64>,
    /// Keeps the likeliest tokens that sum to this: 0 to 1. Default: the preset's
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    pub(crate) top_p: Option<f64>,
    /// Keeps this many of the likeliest tokens; 0 turns it off. Default: the server's
    #[arg(long, value_name = "COUNT")]
    pub(crate) top_k: Option<u32>,
    /// Drops tokens less likely than this share of the likeliest: 0 to 1. Default: the server's
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    pub(crate) min_p: Option<f64>,
    /// The longest answer in tokens: 1 to 8192, or the config's max_tokens_limit. Default: the preset's
    #[arg(long, value_name = "COUNT")]
    pub(crate) max_tokens: Option<u32>,
    /// The seed; servers promise at most that two runs in a row are alike. Default: none
    #[arg(long, value_name = "NUMBER")]
    pub(crate) seed: Option<u64>,
    /// A text that ends the answer; may be given more than once. Default: none
    #[arg(long, value_name = "TEXT")]
    pub(crate) stop: Vec<String>,
}

impl SamplingArguments {
    /// The values that were given.
    pub(crate) fn sampling(&self) -> Sampling {
        Sampling {
            temperature: self.temperature,
            top_p: self.top_p,
            top_k: self.top_k,
            min_p: self.min_p,
            max_tokens: self.max_tokens,
            seed: self.seed,
            stop: (!self.stop.is_empty()).then(|| self.stop.clone()),
            ..Sampling::default()
        }
    }
}

/// `ReasoningArgument` is a level of thinking, or that it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReasoningArgument {
    /// As the server and the model do by themselves
    Default,
    /// No thinking
    Off,
    /// A little
    Low,
    /// More
    Medium,
    /// As much as it likes
    High,
    /// As they do by themselves, and printed dimmed
    Show,
}

impl ReasoningArgument {
    /// The level that is asked of the server.
    pub(crate) fn level(self) -> Reasoning {
        match self {
            ReasoningArgument::Default | ReasoningArgument::Show => Reasoning::Default,
            ReasoningArgument::Off => Reasoning::Off,
            ReasoningArgument::Low => Reasoning::Low,
            ReasoningArgument::Medium => Reasoning::Medium,
            ReasoningArgument::High => Reasoning::High,
        }
    }
}

/// `ServersArguments` are the flags of `servers`.
#[derive(Debug, Args)]
pub(crate) struct ServersArguments {
    /// Also lists the servers of your config, whether they answer or not
    #[arg(long)]
    pub(crate) all: bool,
    /// Prints JSON: [{"url","kind","version","models":[…],"latency_ms"}]
    #[arg(long)]
    pub(crate) json: bool,
}

/// `DoctorArguments` are the flags of `doctor`.
#[derive(Debug, Args)]
pub(crate) struct DoctorArguments {
    /// The server to examine: a URL or a name from your config. Default: the config's, else the first that is found
    #[arg(long, value_name = "URL|NAME", add = ArgValueCompleter::new(completion::servers))]
    pub(crate) server: Option<String>,
    /// Prints JSON: {"works", "checks": [{"status","name","message","cure"}]}
    #[arg(long)]
    pub(crate) json: bool,
}

/// `JsonArguments` is the one flag of commands that only print.
#[derive(Debug, Args)]
pub(crate) struct JsonArguments {
    /// Prints JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// `ConfigCommand` is what to do with the configuration.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Prints every value and where it comes from; keys only as "set" or "not set"
    Show(JsonArguments),
    /// Prints the path of your config file
    Path,
    /// Opens your config file in $VISUAL or $EDITOR, and checks it afterwards
    Edit,
}

/// `EngineCommand` is what to do with the built-in engine.
#[derive(Debug, Subcommand)]
pub(crate) enum EngineCommand {
    /// Says what is installed and whether it runs
    Status(JsonArguments),
    /// Downloads a llama.cpp server (33 MB) and a small model (93 MB) into your data folder
    Install,
    /// Starts the engine in the background; it stops when nobody used it for a while
    Start,
    /// Stops the background engine
    Stop,
    /// Runs a command and ends it when standard input closes
    #[command(hide = true)]
    Watch {
        /// The command and its arguments
        #[arg(last = true, required = true)]
        command: Vec<OsString>,
    },
    /// Is the background engine
    #[command(hide = true)]
    Keep,
}

/// `Shell` is a shell that has completions.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Shell {
    /// Bash
    Bash,
    /// Zsh
    Zsh,
    /// fish
    Fish,
    /// PowerShell
    Powershell,
}

impl Shell {
    /// The name clap_complete knows it by.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Shell::Bash => "bash",
            Shell::Zsh => "zsh",
            Shell::Fish => "fish",
            Shell::Powershell => "powershell",
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn sampling_takes_over_only_what_was_given() {
        let cli =
            Cli::parse_from(["xdev-llm", "ask", "hi", "--temperature", "-1", "--stop", "a", "--stop", "b"]);
        let Command::Ask(ask) = cli.command else { panic!("ask was typed") };
        let sampling = ask.turn.sampling.sampling();
        assert_eq!(sampling.temperature, Some(-1.0));
        assert_eq!(sampling.stop, Some(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(sampling.top_p, None);
    }
}
