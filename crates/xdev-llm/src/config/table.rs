//! The tables of all settings and all environment variables, and what is made from them.
//!
//! `docs/config.md`, `docs/environment.md`, the schema's ranges and the user's first config file come from here.
//! Not here: reading files (`file`), which layer wins (`settings`).

use std::fmt;
use std::fmt::Write as _;

use super::address::{check_allowed_host, normalise_url};
use crate::model::nearest;

/// `Form` says which values a setting takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Any text; an empty one counts as not given.
    Text,
    /// The URL of a server.
    Url,
    /// A whole number in this range, both ends included.
    Integer(i64, i64),
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A list of host names, IP addresses and `*.suffix`.
    Hosts,
    /// A list of ports.
    Ports,
    /// A table that another part of the program reads.
    Table,
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Form::Text => f.write_str("a text"),
            Form::Url => f.write_str("a URL"),
            Form::Integer(low, high) => write!(f, "a whole number, {low} to {high}"),
            Form::Choice(words) => write!(f, "one of \"{}\"", words.join("\", \"")),
            Form::Hosts => f.write_str("a list of host names, IP addresses or \"*.suffix\""),
            Form::Ports => f.write_str("a list of whole numbers, 1 to 65535"),
            Form::Table => f.write_str("a table"),
        }
    }
}

impl Form {
    /// Checks a value; the error completes "`timeout` … ". Texts are not repeated in it: one may be a key.
    pub(super) fn check(self, value: &toml::Value) -> Result<(), String> {
        let wrong_type = || Err(format!("is of type {}; it must be {self}.", value.type_str()));
        match (self, value) {
            (Form::Text, toml::Value::String(_)) | (Form::Table, toml::Value::Table(_)) => Ok(()),
            (Form::Url, toml::Value::String(text)) => normalise_url(text)
                .map(drop)
                .map_err(|error| format!("is no URL of a server. {}", error.message())),
            (Form::Integer(low, high), toml::Value::Integer(number)) => {
                if (low..=high).contains(number) {
                    return Ok(());
                }
                Err(format!("is {number}; it must be {self}."))
            }
            (Form::Choice(words), toml::Value::String(word)) => {
                if words.contains(&word.as_str()) {
                    return Ok(());
                }
                let near = nearest(word, words.iter().copied());
                let advice = near.map_or_else(String::new, |near| format!(" Did you mean \"{near}\"?"));
                Err(format!("must be {self}.{advice}"))
            }
            (Form::Hosts, toml::Value::Array(hosts)) => hosts.iter().try_for_each(|host| match host {
                toml::Value::String(host) => {
                    check_allowed_host(host).map_err(|problem| format!("has an entry that {problem}."))
                }
                _ => Err(format!("must be {self}.")),
            }),
            (Form::Ports, toml::Value::Array(ports)) => {
                let is_port =
                    |port: &toml::Value| port.as_integer().is_some_and(|port| (1..=65535).contains(&port));
                if ports.iter().all(is_port) { Ok(()) } else { Err(format!("must be {self}.")) }
            }
            _ => wrong_type(),
        }
    }
}

/// `Key` is one row of the table of settings.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// The name in the file; `NAME` stands for any name, and `[]` after it says that several tables may have it.
    pub name: &'static str,
    /// The values it takes.
    pub form: Form,
    /// What it means.
    pub meaning: &'static str,
    /// A value to show, as it stands in the file.
    pub example: &'static str,
    /// The environment variable that sets it.
    pub variable: Option<&'static str>,
    /// Whether a project's file may set it; the others belong into the user's own file.
    pub in_project: bool,
}

impl Key {
    const fn new(name: &'static str, form: Form, example: &'static str, meaning: &'static str) -> Key {
        Key { name, form, meaning, example, variable: None, in_project: true }
    }

    const fn variable(mut self, variable: &'static str) -> Key {
        self.variable = Some(variable);
        self
    }

    const fn only_users_own(mut self) -> Key {
        self.in_project = false;
        self
    }
}

const REASONING: Form = Form::Choice(&["default", "off", "low", "medium", "high"]);
const API: Form = Form::Choice(&["auto", "openai", "ollama", "lmstudio"]);
const CONTEXT_LENGTH: Form = Form::Integer(256, 16_777_216);
const CONCURRENCY: Form = Form::Integer(1, 256);
const KEEP_ALIVE: Form = Form::Integer(-1, u32::MAX as i64);

/// Every setting of the configuration, in the order of the documentation.
pub const KEYS: &[Key] = &[
    Key::new("server", Form::Text, "\"http://localhost:1234\"", "The server: a URL, or a name under [servers]. Without one, the servers on this machine are looked for.")
        .variable("XDEV_LLM_SERVER"),
    Key::new("model", Form::Text, "\"auto\"", "The model's id; \"auto\" takes the one that is loaded.").variable("XDEV_LLM_MODEL"),
    Key::new("preset", Form::Text, "\"balanced\"", "The preset whose values hold where you give none.").variable("XDEV_LLM_PRESET"),
    Key::new("system", Form::Text, "\"Answer in one sentence.\"", "The system message of every conversation.").variable("XDEV_LLM_SYSTEM"),
    Key::new("timeout", Form::Integer(5, 300), "120", "Seconds to wait for the first piece of an answer, and for each next one.")
        .variable("XDEV_LLM_TIMEOUT"),
    Key::new("deadline", Form::Integer(0, 86_400), "0", "Seconds a whole answer may take; 0 sets no limit.").variable("XDEV_LLM_DEADLINE"),
    Key::new("max_tokens_limit", Form::Integer(1, 16_777_216), "8192", "The largest `max_tokens` that may be asked for, in tokens."),
    Key::new("concurrency", CONCURRENCY, "4", "Requests sent to one server at a time.").variable("XDEV_LLM_CONCURRENCY"),
    Key::new("reasoning", REASONING, "\"default\"", "How much the model may think; \"default\" leaves it to the server.")
        .variable("XDEV_LLM_REASONING"),
    Key::new("allow_hosts", Form::Hosts, "[\"api.example.com\", \"*.corp.example\"]", "Hosts outside of your private network that may be connected to.")
        .only_users_own(),
    Key::new("discovery_ports", Form::Ports, "[5002]", "Further ports of this machine on which servers are looked for."),
    Key::new("engine.command", Form::Text, "\"/opt/llama.cpp/llama-server\"", "The built-in engine's program: a path or a command line.")
        .variable("XDEV_LLM_ENGINE")
        .only_users_own(),
    Key::new("engine.model", Form::Text, "\"models/model.gguf\"", "The built-in engine's model, a GGUF file; relative to the file that names it.")
        .variable("XDEV_LLM_ENGINE_MODEL")
        .only_users_own(),
    Key::new("engine.context_length", CONTEXT_LENGTH, "4096", "The built-in engine's context length, in tokens."),
    Key::new("engine.threads", Form::Integer(1, 1024), "4", "The built-in engine's threads; without it one fewer than there are cores."),
    Key::new("engine.idle", Form::Integer(1, 86_400), "300", "Seconds without a request after which the built-in engine stops."),
    Key::new("servers.NAME.url", Form::Url, "\"http://192.168.1.20:1234\"", "The server's address; every entry needs one."),
    Key::new("servers.NAME.kind", Form::Text, "\"lmstudio\"", "The server's kind, where it is not to be found out."),
    Key::new("servers.NAME.model", Form::Text, "\"qwen2.5-7b-instruct\"", "The model to use on this server."),
    Key::new("servers.NAME.api_key_env", Form::Text, "\"WORK_API_KEY\"", "The environment variable that holds the server's key.").only_users_own(),
    Key::new("servers.NAME.api_key_file", Form::Text, "\"work.key\"", "The file that holds the server's key, readable by you alone; relative to the file that names it.")
        .only_users_own(),
    Key::new("servers.NAME.concurrency", CONCURRENCY, "4", "Requests sent to this server at a time."),
    Key::new("servers.NAME.context_length", CONTEXT_LENGTH, "8192", "The context length to load models with, in tokens."),
    Key::new("servers.NAME.api", API, "\"auto\"", "The API to speak; \"auto\" takes the best the server has."),
    Key::new("aliases.NAME[].server", Form::Text, "\"http://192.168.1.20:1234\"", "Where this route of the alias goes: a URL, or a name under [servers]; without one, the server that is asked otherwise."),
    Key::new("aliases.NAME[].model", Form::Text, "\"qwen2.5-7b-instruct\"", "The model this route asks for, never another alias; without one, as \"auto\"."),
    Key::new("aliases.NAME[].context_length", CONTEXT_LENGTH, "8192", "The context length to load the model with on this route, in tokens."),
    Key::new("aliases.NAME[].keep_alive", KEEP_ALIVE, "600", "Seconds the model stays loaded after an answer on this route; -1 for ever, 0 not at all."),
    Key::new("presets.NAME", Form::Table, "{ temperature = 0.4, system = \"Answer with tags only.\" }", "A preset of your own: sampling values by their request names, and `system`."),
    Key::new("kinds.NAME", Form::Table, "{}", "What a server of an unknown kind can do."),
];

/// `Variable` is one row of the table of environment variables.
#[derive(Clone, Copy, Debug)]
pub struct Variable {
    /// The variable's name.
    pub name: &'static str,
    /// What it means.
    pub meaning: &'static str,
    /// A value to show.
    pub example: &'static str,
}

const fn variable(name: &'static str, meaning: &'static str, example: &'static str) -> Variable {
    Variable { name, meaning, example }
}

/// Every environment variable that is read, in the order of the documentation. An empty one counts as not set.
pub const ENVIRONMENT: &[Variable] = &[
    variable("XDEV_LLM_SERVER", "Sets `server`: a URL, or a name under [servers].", "http://localhost:1234"),
    variable("XDEV_LLM_MODEL", "Sets `model`.", "auto"),
    variable("XDEV_LLM_PRESET", "Sets `preset`.", "balanced"),
    variable("XDEV_LLM_SYSTEM", "Sets `system`, the system message.", "Answer in one sentence."),
    variable("XDEV_LLM_TIMEOUT", "Sets `timeout`, in seconds, 5 to 300.", "120"),
    variable("XDEV_LLM_DEADLINE", "Sets `deadline`, in seconds; 0 sets no limit.", "0"),
    variable("XDEV_LLM_CONCURRENCY", "Sets `concurrency`, the requests sent to one server at a time.", "4"),
    variable("XDEV_LLM_REASONING", "Sets `reasoning`.", "off"),
    variable(
        "XDEV_LLM_API_KEY",
        "The key for the server of XDEV_LLM_SERVER, else for `server` of your own file; sent to that scheme, host and port alone.",
        "sk-…",
    ),
    variable("XDEV_LLM_ENGINE", "Sets `engine.command`.", "/opt/llama.cpp/llama-server"),
    variable("XDEV_LLM_ENGINE_MODEL", "Sets `engine.model`.", "/models/model.gguf"),
    variable("XDEV_LLM_CONFIG", "The path of your own config file; it must exist.", "/etc/xdev-llm.toml"),
    variable("XDEV_LLM_STATE_DIR", "The folder for sessions and statistics.", "/var/lib/xdev-llm"),
    variable("XDEV_LLM_DATA_DIR", "The folder for the built-in engine.", "/opt/xdev-llm"),
    variable("OPENAI_BASE_URL", "The server, where nothing above names one.", "http://localhost:8000/v1"),
    variable(
        "OPENAI_API_KEY",
        "The key for OPENAI_BASE_URL; sent to that scheme, host and port alone.",
        "sk-…",
    ),
    variable(
        "OLLAMA_HOST",
        "Ollama's address, where nothing above names a server; `0.0.0.0`, `:port`, `host` and `host:port` are understood as Ollama understands them.",
        "0.0.0.0:11434",
    ),
    variable("LMS_SERVER_HOST", "LM Studio's address, where nothing above names a server.", "localhost:1234"),
    variable(
        "LM_API_TOKEN",
        "The key for LM Studio: for the address of LMS_SERVER_HOST, else for http://localhost:1234; sent to that scheme, host and port alone.",
        "sk-lm-…",
    ),
];

/// The row of a setting, by its name in the table.
pub(super) fn key(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// The config file that `config edit` writes where there is none: every setting, commented out.
pub fn user_template() -> String {
    let mut text = String::from(
        "# Settings of XDev LLM. Take the `#` away in front of a setting to make it hold.\n\
         # Keys never stand in this file: name a variable (`api_key_env`) or a private file (`api_key_file`).\n",
    );
    let mut table = String::new();
    for key in KEYS {
        let name = key.name.replace("NAME", "example");
        let (parent, leaf) = name.rsplit_once('.').unwrap_or(("", &name));
        if parent != table {
            parent.clone_into(&mut table);
            let _ = match table.strip_suffix("[]") {
                Some(list) => write!(text, "\n#[[{list}]]\n"),
                None => write!(text, "\n#[{table}]\n"),
            };
        }
        let _ = write!(text, "\n# {} It is {}.\n#{leaf} = {}\n", key.meaning, key.form, key.example);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_documented_and_its_example_holds() {
        for key in KEYS {
            assert!(key.meaning.ends_with('.'), "{}", key.name);
            let table: toml::Table = format!("value = {}", key.example).parse().unwrap();
            key.form.check(&table["value"]).unwrap();
            if let Some(variable) = key.variable {
                assert!(ENVIRONMENT.iter().any(|row| row.name == variable), "{variable}");
            }
        }
        for row in ENVIRONMENT {
            assert!(row.meaning.ends_with('.') && !row.example.is_empty(), "{}", row.name);
        }
    }

    #[test]
    fn the_nearest_word_is_near() {
        let words = ["timeout", "deadline", "model"];
        assert_eq!(nearest("timeuot", words), Some("timeout"));
        assert_eq!(nearest("modle", words), Some("model"));
        assert_eq!(nearest("dead_line", words), Some("deadline"));
        assert_eq!(nearest("colour", words), None);
        assert_eq!(nearest("", words), None);
    }
}
