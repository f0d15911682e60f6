//! The command line of the test server, also embedded in the project's own command.

use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::sync::Mutex;
use std::time::Duration;

use serde_json::json;

use crate::faults::{FAULTS, Fault};
use crate::model::Model;
use crate::options::Options;
use crate::personality::Personality;
use crate::script::Script;
use crate::server::{Mock, Request};

/// `Args` are the options of the command.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The server to play; --list shows all.
    #[arg(long, default_value = "generic")]
    pub personality: Personality,
    /// The port; by default the personality's usual one, 0 for any free one.
    #[arg(long)]
    pub port: Option<u16>,
    /// The address to listen on.
    #[arg(long, default_value = "127.0.0.1")]
    pub address: IpAddr,
    /// The key to ask for.
    #[arg(long)]
    pub api_key: Option<String>,
    /// A model to list instead of the usual ones; may be repeated.
    #[arg(long = "model", value_name = "NAME")]
    pub models: Vec<String>,
    /// The text to answer with.
    #[arg(long, conflicts_with = "tokens")]
    pub text: Option<String>,
    /// The reasoning before it.
    #[arg(long)]
    pub reasoning: Option<String>,
    /// Answers with so many tokens.
    #[arg(long, value_name = "N")]
    pub tokens: Option<usize>,
    /// Silence before the first token, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 0)]
    pub first_token_delay: u64,
    /// Silence between tokens, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 0)]
    pub token_delay: u64,
    /// The time a model takes to come into memory, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 0)]
    pub load_delay: u64,
    /// The time a model takes to go out of memory, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 0)]
    pub unload_delay: u64,
    /// llama.cpp: a model that is idle for so long sleeps, in milliseconds.
    #[arg(long, value_name = "MS")]
    pub sleep_after: Option<u64>,
    /// Every load fails with this text.
    #[arg(long, value_name = "TEXT")]
    pub load_failure: Option<String>,
    /// Says yes to unloads and keeps the model.
    #[arg(long)]
    pub unload_sticks: bool,
    /// Chats load nothing: LM Studio without just-in-time loading, llama.cpp's router without autoload.
    #[arg(long)]
    pub no_just_in_time: bool,
    /// LM Studio: a load by a chat leaves what other chats loaded.
    #[arg(long)]
    pub no_auto_evict: bool,
    /// Models in memory at most.
    #[arg(long, value_name = "N")]
    pub max_loaded: Option<usize>,
    /// The GPU's memory in bytes; a load beyond it fails as the server says.
    #[arg(long, value_name = "BYTES")]
    pub vram_total: Option<u64>,
    /// The time a download takes, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 0)]
    pub download_delay: u64,
    /// Started so that it may be managed: vLLM's sleep, KoboldCpp's admin.
    #[arg(long)]
    pub admin: bool,
    /// The key for loads and unloads (text-generation-webui, TabbyAPI).
    #[arg(long)]
    pub admin_key: Option<String>,
    /// Something to do wrong; --list shows all. May be repeated.
    #[arg(long = "fault", value_name = "SPEC")]
    pub faults: Vec<Fault>,
    /// Lists personalities and faults.
    #[arg(long)]
    pub list: bool,
    /// Prints a JSON line for every request once its answer has ended.
    #[arg(long)]
    pub log: bool,
}

impl Args {
    fn options(self) -> Options {
        let mut options = Options::from(self.personality);
        options.address = SocketAddr::new(self.address, self.port.unwrap_or(self.personality.usual_port()));
        options.api_key = self.api_key;
        if !self.models.is_empty() {
            options.models = self.models.iter().map(|id| Model::new(id)).collect();
        }
        options.load_delay = Duration::from_millis(self.load_delay);
        options.unload_delay = Duration::from_millis(self.unload_delay);
        options.download_delay = Duration::from_millis(self.download_delay);
        options.sleep_after = self.sleep_after.map(Duration::from_millis);
        options.load_failure = self.load_failure;
        options.unload_sticks = self.unload_sticks;
        options.just_in_time = !self.no_just_in_time;
        options.auto_evict = !self.no_auto_evict;
        options.max_loaded = self.max_loaded.or(options.max_loaded);
        options.vram_total_bytes = self.vram_total;
        (options.admin, options.admin_key) = (self.admin, self.admin_key);
        let mut script = Script::new()
            .first_token_delay(Duration::from_millis(self.first_token_delay))
            .delay(Duration::from_millis(self.token_delay));
        if let Some(text) = self.text {
            script = script.text(&text);
        }
        if let Some(reasoning) = self.reasoning {
            script = script.reasoning(&reasoning);
        }
        script.repeat = self.tokens;
        script.faults = self.faults;
        options.script = script;
        options
    }
}

/// Runs the server until the process is ended; with `--list`, prints the list and returns.
///
/// # Errors
///
/// The address cannot be bound, or standard output is closed.
pub fn run(args: Args) -> io::Result<()> {
    let mut out = io::stdout();
    if args.list {
        return list(&mut out);
    }
    let log = args.log;
    let options = args.options();
    let address = options.address;
    let mock = Mock::start_with(options)
        .map_err(|error| io::Error::new(error.kind(), format!("cannot listen on {address}: {error}")))?;
    if log {
        let out = Mutex::new(io::stdout());
        mock.on_end(move |request| {
            if let Ok(mut out) = out.lock() {
                // A closed standard output is no reason to stop serving.
                drop(writeln!(out, "{}", log_line(request)));
            }
        });
    }
    writeln!(out, "listening on {}", mock.url())?;
    out.flush()?;
    loop {
        std::thread::park();
    }
}

fn log_line(request: &Request) -> String {
    json!({"method": request.method, "path": request.path, "status": request.status,
        "tokens_sent": request.tokens_sent,
        "client_closed_ms": request.client_closed.map(|time| time.as_secs_f64() * 1e3)})
    .to_string()
}

fn list(out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "Personalities:")?;
    for personality in Personality::ALL {
        let (name, port) = (personality.name(), personality.usual_port());
        writeln!(out, "  {name:<24} {port:>5}  {}", personality.about())?;
    }
    writeln!(out, "Faults:")?;
    for (spec, about) in FAULTS {
        writeln!(out, "  {spec:<30} {about}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        args: Args,
    }

    #[test]
    fn options_come_from_the_command_line() {
        let line = "mock --personality ollama --model a --model b --tokens 9 --fault stall:3 --fault no-done";
        let options = Command::parse_from(line.split(' ')).args.options();
        assert_eq!((options.personality, options.address.port()), (Personality::Ollama, 11434));
        assert_eq!(options.models.iter().map(|model| model.id.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(options.script.repeat, Some(9));
        assert_eq!(options.script.faults, [Fault::Stall { after_tokens: 3 }, Fault::NoDone]);
        assert!(Command::try_parse_from(["mock", "--fault", "nonsense"]).is_err());
        let line =
            "mock --personality llama-swap --load-delay 9 --unload-sticks --no-just-in-time --vram-total 7";
        let options = Command::parse_from(line.split(' ')).args.options();
        assert_eq!((options.load_delay, options.unload_sticks), (Duration::from_millis(9), true));
        assert_eq!((options.just_in_time, options.vram_total_bytes), (false, Some(7)));
        assert_eq!(options.max_loaded, Some(1), "as that server has it");
    }

    #[test]
    fn the_list_names_everything() {
        let mut out = Vec::new();
        list(&mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("lmstudio-0.3") && text.contains("stall:N") && text.contains("11434"));
    }
}
