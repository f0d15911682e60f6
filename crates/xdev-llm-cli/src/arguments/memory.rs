//! The flags of `models`, `ps`, `load`, `unload`, `pull` and `switch`, and how a stay in memory is written.
//!
//! Not here: what the commands do (`commands::memory`).

use clap::Args;
use clap_complete::engine::ArgValueCompleter;
use xdev_llm::KeepAlive;

use crate::completion;

/// `ModelsArguments` are the flags of `models`.
#[derive(Debug, Args)]
pub(crate) struct ModelsArguments {
    #[command(flatten)]
    pub(crate) server: ServerArguments,
    /// Lists only those that are in memory or on their way
    #[arg(long)]
    pub(crate) loaded: bool,
    /// Prints JSON: [{"id","kind","state","context_length","loaded_context_length","quantization","size_bytes","vram_bytes","capabilities",…}]
    #[arg(long)]
    pub(crate) json: bool,
}

/// `PsArguments` are the flags of `ps`.
#[derive(Debug, Args)]
pub(crate) struct PsArguments {
    /// Only this server: a URL or a name from your config. Default: all that run here and all of your config
    #[arg(long, value_name = "URL|NAME", add = ArgValueCompleter::new(completion::servers))]
    pub(crate) server: Option<String>,
    /// Prints JSON: [{"server","name","kind","models":[{"id","instance","state","context_length","size_bytes","vram_bytes","expires_at"}]}]; or "error" in place of "models"
    #[arg(long)]
    pub(crate) json: bool,
}

/// `LoadArguments` are the flags of `load`.
#[derive(Debug, Args)]
pub(crate) struct LoadArguments {
    #[command(flatten)]
    pub(crate) target: TargetArguments,
    /// Loads nothing, and says whether it would fit into memory
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// `SwitchArguments` are the flags of `switch`.
#[derive(Debug, Args)]
pub(crate) struct SwitchArguments {
    #[command(flatten)]
    pub(crate) target: TargetArguments,
}

/// `TargetArguments` say what is loaded, and how: the flags that `load` and `switch` share.
#[derive(Debug, Args)]
pub(crate) struct TargetArguments {
    /// The model, as `xdev-llm models` lists it, or an alias of your config; auto is the one that a chat would ask
    #[arg(value_name = "MODEL", add = ArgValueCompleter::new(completion::installed_models))]
    pub(crate) model: String,
    #[command(flatten)]
    pub(crate) server: ServerArguments,
    /// The context it must have at least, in tokens; a loaded model with less is loaded anew. LM Studio, Ollama,
    /// text-generation-webui, TabbyAPI and Lemonade take it. Default: the server's
    #[arg(long, value_name = "TOKENS")]
    pub(crate) context_length: Option<u32>,
    /// How long it stays when nobody uses it: seconds, 5m, 1h30m or forever. Ollama takes it, and LM Studio where the
    /// load has no context length. Default: the server's
    #[arg(long, value_name = "TIME", value_parser = keep_alive)]
    pub(crate) keep_alive: Option<KeepAlive>,
    /// Prints one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// `UnloadArguments` are the flags of `unload`.
#[derive(Debug, Args)]
pub(crate) struct UnloadArguments {
    /// The model, with all its copies, or one copy as `xdev-llm ps` names it, or an alias of your config. Default: the loaded one that chats
    #[arg(value_name = "MODEL", conflicts_with = "all", add = ArgValueCompleter::new(completion::loaded_models))]
    pub(crate) model: Option<String>,
    /// Unloads everything that this server has in memory
    #[arg(long)]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) server: ServerArguments,
    /// Prints one JSON object: {"server","models":[…],"duration","freed_bytes","device"}
    #[arg(long)]
    pub(crate) json: bool,
}

/// `PullArguments` are the flags of `pull`.
#[derive(Debug, Args)]
pub(crate) struct PullArguments {
    /// The model, in the words of the server's own catalogue
    #[arg(value_name = "MODEL")]
    pub(crate) model: String,
    #[command(flatten)]
    pub(crate) server: ServerArguments,
    /// Prints one JSON object: {"server","model","duration","total_bytes"}
    #[arg(long)]
    pub(crate) json: bool,
}

/// `ServerArguments` is the flag that names the server.
#[derive(Debug, Args)]
pub(crate) struct ServerArguments {
    /// The server: a URL or a name from your config. Default: the config's, else the first that is found
    #[arg(id = "server", long = "server", value_name = "URL|NAME", add = ArgValueCompleter::new(completion::servers))]
    pub(crate) choice: Option<String>,
}

/// Reads how long a model stays: seconds, or numbers with `s`, `m`, `h` behind them, or `forever`.
pub(crate) fn keep_alive(text: &str) -> Result<KeepAlive, String> {
    let wrong = || "a time is seconds, such as 300, or 5m, 1h30m, or forever".to_owned();
    let text = text.trim();
    if text.eq_ignore_ascii_case("forever") {
        return Ok(KeepAlive::Forever);
    }
    if let Ok(seconds) = text.parse() {
        return Ok(KeepAlive::Seconds(seconds));
    }
    let (mut rest, mut seconds) = (text, 0_u32);
    while !rest.is_empty() {
        let end = rest.find(|letter: char| !letter.is_ascii_digit()).ok_or_else(wrong)?;
        let number: u32 = rest[..end].parse().map_err(|_| wrong())?;
        let unit = match rest[end..].chars().next() {
            Some('s') => 1,
            Some('m') => 60,
            Some('h') => 3600,
            _ => return Err(wrong()),
        };
        seconds = number.checked_mul(unit).and_then(|part| seconds.checked_add(part)).ok_or_else(wrong)?;
        rest = &rest[end + 1..];
    }
    if text.is_empty() { Err(wrong()) } else { Ok(KeepAlive::Seconds(seconds)) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_stay_is_written_as_people_write_it() {
        let seconds = [("0", 0), ("300", 300), ("5m", 300), ("90s", 90), ("1h30m", 5400), (" 2h ", 7200)];
        for (text, expected) in seconds {
            assert_eq!(keep_alive(text), Ok(KeepAlive::Seconds(expected)), "{text}");
        }
        assert_eq!(keep_alive("Forever"), Ok(KeepAlive::Forever));
        for wrong in ["", "-1", "5 m", "m", "5d", "1h30", "99999999h", "1.5h", "5mforever", "5ü"] {
            assert!(keep_alive(wrong).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn no_text_ends_the_program(text in "\\PC*") {
            let _ = keep_alive(&text);
        }
    }
}
