//! `Settings`: merges the layers, remembers where each value comes from, and finds the server they name.
//!
//! Not here: reading one layer (`file`), keys (`secret`), printing settings (`show`).

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use super::address::{
    LM_STUDIO_PORT, OLLAMA_PORT, ServerUrl, host_variable_url, normalise_url, without_scheme,
};
use super::alias::RouteEntry;
use super::environment::Environment;
use super::file::ConfigFile;
use super::secret::{BoundKey, bind_keys, looks_like_key};
use super::table::key;
use crate::chat::Reasoning;
use crate::error::{Error, ErrorKind, Result};

/// The name of the file looked for in the current folder.
const PROJECT_FILE: &str = "xdev-llm.toml";

/// `Origin` says where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The caller: a flag, a widget or an argument of this name.
    Flag(&'static str),
    /// An `XDEV_LLM_*` variable.
    Environment(&'static str),
    /// The project's file, `xdev-llm.toml` in the current folder.
    Project(PathBuf),
    /// The user's own file.
    User(PathBuf),
    /// A variable that a server's own programs read.
    ServerVariable(&'static str),
    /// This program.
    BuiltIn,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Flag(name) => write!(f, "flag --{}", name.replace(['_', '.'], "-")),
            Origin::Environment(variable) | Origin::ServerVariable(variable) => {
                write!(f, "environment variable {variable}")
            }
            Origin::Project(path) => write!(f, "project file {}", path.display()),
            Origin::User(path) => write!(f, "user file {}", path.display()),
            Origin::BuiltIn => f.write_str("built-in"),
        }
    }
}

/// `Setting` is a value and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting<T> {
    /// The value.
    pub value: T,
    /// Where it comes from.
    pub origin: Origin,
}

impl<T> Setting<T> {
    fn map<U>(self, change: impl FnOnce(T) -> U) -> Setting<U> {
        Setting { value: change(self.value), origin: self.origin }
    }
}

impl<T> Setting<Option<T>> {
    fn or(self, built_in: T) -> Setting<T> {
        self.map(|value| value.unwrap_or(built_in))
    }
}

impl<T> Deref for Setting<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

/// `Overrides` are the caller's own values: flags, widgets, arguments. An empty text counts as not given.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// A URL, or the name of a configured server.
    pub server: Option<String>,
    /// The model's id.
    pub model: Option<String>,
    /// The preset's name.
    pub preset: Option<String>,
    /// The system message.
    pub system: Option<String>,
    /// Seconds, 5 to 300.
    pub timeout: Option<u32>,
    /// Seconds; 0 sets no limit.
    pub deadline: Option<u32>,
    /// Requests at a time, 1 to 256.
    pub concurrency: Option<u32>,
    /// How much the model may think.
    pub reasoning: Option<Reasoning>,
    /// The built-in engine's GGUF file.
    pub engine_model: Option<String>,
}

/// `ServerEntry` is a server that has a name under `[servers]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ServerEntry {
    /// The address as it stands in the file; [`normalise_url`] takes it.
    pub url: String,
    /// The server's kind, where it is not to be found out.
    pub kind: Option<String>,
    /// The model to use on this server.
    pub model: Option<String>,
    /// The environment variable that holds the key.
    pub api_key_env: Option<String>,
    /// The file that holds the key.
    pub api_key_file: Option<PathBuf>,
    /// Requests at a time, 1 to 256.
    pub concurrency: Option<u32>,
    /// The context length to load models with, in tokens.
    pub context_length: Option<u32>,
    /// The API to speak, by its name; `None` and `"auto"` take the best the server has.
    pub api: Option<String>,
}

/// `EngineSettings` are the settings of the built-in engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineSettings {
    /// The program: a path or a command line.
    pub command: Setting<Option<String>>,
    /// The model, a GGUF file, as an absolute path.
    pub model: Setting<Option<PathBuf>>,
    /// The context length, in tokens.
    pub context_length: Setting<Option<u32>>,
    /// The threads; `None` means one fewer than there are cores.
    pub threads: Setting<Option<u32>>,
    /// How long it waits for a request before it stops.
    pub idle: Setting<Duration>,
}

/// `ServerChoice` says which server the settings name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerChoice {
    /// This one.
    Given {
        /// Its address.
        url: ServerUrl,
        /// Its name under `[servers]`, where it was given by name.
        name: Option<String>,
        /// Its entry under `[servers]`, where it was given by name.
        entry: Option<Box<ServerEntry>>,
    },
    /// None; servers on this machine are to be looked for.
    None,
}

/// `Settings` is every setting, each with where it comes from.
#[derive(Clone, Debug)]
pub struct Settings {
    /// A URL, or a name under `[servers]`; `None` means that servers are looked for.
    pub server: Setting<Option<String>>,
    /// The model's id, or "auto".
    pub model: Setting<String>,
    /// The preset's name.
    pub preset: Setting<String>,
    /// The system message.
    pub system: Setting<Option<String>>,
    /// The longest wait for a piece of an answer, 5 to 300 s.
    pub timeout: Setting<Duration>,
    /// The longest time for a whole answer.
    pub deadline: Setting<Option<Duration>>,
    /// The largest `max_tokens`.
    pub max_tokens_limit: Setting<u32>,
    /// Requests sent to one server at a time.
    pub concurrency: Setting<u32>,
    /// How much the model may think.
    pub reasoning: Setting<Reasoning>,
    /// Remote hosts the user allows; [`host_allowed`](super::host_allowed) reads them.
    pub allow_hosts: Setting<Vec<String>>,
    /// Further ports on which servers are looked for.
    pub discovery_ports: Setting<Vec<u16>>,
    /// The servers that have a name.
    pub servers: BTreeMap<String, Setting<ServerEntry>>,
    /// Names that stand for a server and a model, each with its routes in the order in which they are tried.
    pub aliases: BTreeMap<String, Setting<Vec<RouteEntry>>>,
    /// The user's own presets as they stand in the files; `preset` reads them.
    pub presets: BTreeMap<String, Setting<toml::Table>>,
    /// Rows for servers of unknown kinds as they stand in the files; `wire` reads them.
    pub kinds: BTreeMap<String, Setting<toml::Table>>,
    /// The built-in engine.
    pub engine: EngineSettings,
    /// The user's own config file, whether or not it exists.
    pub user_file: Setting<PathBuf>,
    /// The folder for sessions and statistics.
    pub state_dir: Setting<PathBuf>,
    /// The folder for the built-in engine.
    pub data_dir: Setting<PathBuf>,
    pub(super) keys: Vec<BoundKey>,
}

/// `Layer` is what one place says, and which place it is.
struct Layer {
    values: ConfigFile,
    /// The place, for a setting of this name.
    origin: Box<dyn Fn(&'static str) -> Origin>,
}

/// Finds a setting in the first layer that has it.
fn pick<T>(
    layers: &[Layer],
    name: &'static str,
    get: impl Fn(&ConfigFile) -> Option<T>,
) -> Setting<Option<T>> {
    let found = layers.iter().find_map(|layer| get(&layer.values).map(|value| (value, (layer.origin)(name))));
    match found {
        Some((value, origin)) => Setting { value: Some(value), origin },
        None => Setting { value: None, origin: Origin::BuiltIn },
    }
}

/// Collects named tables; the first layer that has a name wins it as a whole.
fn collect<T: Clone>(
    layers: &[Layer],
    name: &'static str,
    get: impl Fn(&ConfigFile) -> &BTreeMap<String, T>,
) -> BTreeMap<String, Setting<T>> {
    let mut all = BTreeMap::new();
    for layer in layers {
        for (entry, value) in get(&layer.values) {
            all.entry(entry.clone())
                .or_insert_with(|| Setting { value: value.clone(), origin: (layer.origin)(name) });
        }
    }
    all
}

impl Settings {
    /// Reads every layer and merges them.
    ///
    /// # Errors
    /// `InvalidInput` for a value of `overrides` that is out of range; `Config` for anything wrong in a file or
    /// variable, with the file, the line and the key, and for what a project's file may not say.
    pub fn load(overrides: &Overrides, environment: &Environment) -> Result<Self> {
        let user_file = user_file(environment);
        let project_path = environment.current_dir.join(PROJECT_FILE);
        let user = ConfigFile::read(&user_file, None)?;
        if user.is_none() && user_file.origin != Origin::BuiltIn {
            return Err(config_error(format!(
                "XDEV_LLM_CONFIG names {}, which does not exist.",
                user_file.display()
            )));
        }
        let mut user = user.unwrap_or_default();
        resolve_key_files(&mut user, &user_file);
        let project = if is_same_file(&project_path, &user_file) {
            ConfigFile::default()
        } else {
            ConfigFile::read(&project_path, Some(&user_file))?.unwrap_or_default()
        };
        refuse_redirects(&project, &project_path, &user, &user_file)?;
        let flags = ConfigFile::from_overrides(overrides)?;
        let variables = ConfigFile::from_environment(environment)?;
        let keys = bind_keys(&user, &user_file, &variables, environment)?;
        let user_origin = user_file.value.clone();
        let layers = [
            Layer { values: flags, origin: Box::new(Origin::Flag) },
            Layer { values: variables, origin: Box::new(variable_origin) },
            Layer { values: project, origin: Box::new(move |_| Origin::Project(project_path.clone())) },
            Layer { values: user, origin: Box::new(move |_| Origin::User(user_origin.clone())) },
        ];
        let mut settings = Settings::merge(&layers, environment, user_file);
        settings.keys = keys;
        if settings.server.is_none()
            && let Some((variable, url)) = server_variable(environment)?
        {
            settings.server = Setting { value: Some(url.shown), origin: Origin::ServerVariable(variable) };
        }
        settings.check_server()?;
        settings.check_aliases()?;
        Ok(settings)
    }

    fn merge(layers: &[Layer], environment: &Environment, user_file: Setting<PathBuf>) -> Self {
        let seconds = |value: u32| Duration::from_secs(value.into());
        let folder = |variable: &'static str, built_in: &Path| match environment.variable(variable) {
            Some(path) => {
                Setting { value: environment.current_dir.join(path), origin: Origin::Environment(variable) }
            }
            None => Setting { value: built_in.to_owned(), origin: Origin::BuiltIn },
        };
        let mut engine_model = pick(layers, "engine.model", |file| file.engine.model.clone());
        let base = match &engine_model.origin {
            Origin::Project(file) | Origin::User(file) => file.parent().unwrap_or(file),
            _ => &environment.current_dir,
        };
        engine_model.value = engine_model.value.map(|path| base.join(path));
        Settings {
            server: pick(layers, "server", |file| file.server.clone()),
            model: pick(layers, "model", |file| file.model.clone()).or("auto".to_owned()),
            preset: pick(layers, "preset", |file| file.preset.clone()).or("balanced".to_owned()),
            system: pick(layers, "system", |file| file.system.clone()),
            timeout: pick(layers, "timeout", |file| file.timeout).or(120).map(seconds),
            deadline: pick(layers, "deadline", |file| file.deadline)
                .map(|value| value.filter(|value| *value > 0).map(seconds)),
            max_tokens_limit: pick(layers, "max_tokens_limit", |file| file.max_tokens_limit).or(8192),
            concurrency: pick(layers, "concurrency", |file| file.concurrency).or(4),
            reasoning: pick(layers, "reasoning", |file| file.reasoning).or(Reasoning::Default),
            allow_hosts: pick(layers, "allow_hosts", |file| file.allow_hosts.clone()).or(Vec::new()),
            discovery_ports: pick(layers, "discovery_ports", |file| file.discovery_ports.clone())
                .or(Vec::new()),
            servers: collect(layers, "servers", |file| &file.servers),
            aliases: collect(layers, "aliases", |file| &file.aliases),
            presets: collect(layers, "presets", |file| &file.presets),
            kinds: collect(layers, "kinds", |file| &file.kinds),
            engine: EngineSettings {
                command: pick(layers, "engine.command", |file| file.engine.command.clone()),
                model: engine_model,
                context_length: pick(layers, "engine.context_length", |file| file.engine.context_length),
                threads: pick(layers, "engine.threads", |file| file.engine.threads),
                idle: pick(layers, "engine.idle", |file| file.engine.idle).or(300).map(seconds),
            },
            user_file,
            state_dir: folder("XDEV_LLM_STATE_DIR", &environment.state_dir),
            data_dir: folder("XDEV_LLM_DATA_DIR", &environment.data_dir),
            keys: Vec::new(),
        }
    }

    /// Refuses a server that must never be shown: one with a password in it, and a key in the wrong field.
    fn check_server(&self) -> Result<()> {
        let Some(server) = &self.server.value else { return Ok(()) };
        if server.contains("://") {
            return normalise_url(server).map(drop).map_err(|error| at_origin(&error, &self.server.origin));
        }
        if looks_like_key(server) || server.contains('@') {
            return Err(Error::invalid_input(format!(
                "`server` (from {}) looks like a key or a password; it must be a URL or the name of a server.",
                self.server.origin
            ))
            .with_hint("Keys go into an environment variable or a private file that `api_key_env` or `api_key_file` names."));
        }
        Ok(())
    }

    /// Finds the server that `server` names.
    ///
    /// # Errors
    /// `InvalidInput` ("Invalid server URL: …") for a text that is neither a URL nor a configured name.
    pub fn server_choice(&self) -> Result<ServerChoice> {
        match &self.server.value {
            Some(server) => self.find_server(server).map_err(|error| at_origin(&error, &self.server.origin)),
            None => Ok(ServerChoice::None),
        }
    }

    /// Finds a server by its URL or its name under `[servers]`.
    ///
    /// # Errors
    /// As [`Settings::server_choice`].
    pub fn find_server(&self, server: &str) -> Result<ServerChoice> {
        let server = server.trim();
        if let Some(entry) = self.servers.get(server) {
            let url = normalise_url(&entry.url)?;
            let entry = Some(Box::new(entry.value.clone()));
            return Ok(ServerChoice::Given { url, name: Some(server.to_owned()), entry });
        }
        if !server.contains("://") {
            let names: Vec<&str> = self.servers.keys().map(String::as_str).collect();
            return Err(without_scheme(server, &names));
        }
        Ok(ServerChoice::Given { url: normalise_url(server)?, name: None, entry: None })
    }
}

fn config_error(message: String) -> Error {
    Error::new(ErrorKind::Config, message)
}

/// Says in an error about `server` where the value comes from.
fn at_origin(error: &Error, origin: &Origin) -> Error {
    Error::new(error.kind(), format!("{} (`server` from {origin})", error.message())).with_hint(error.hint())
}

fn variable_origin(name: &'static str) -> Origin {
    match key(name).and_then(|key| key.variable) {
        Some(variable) => Origin::Environment(variable),
        None => Origin::BuiltIn,
    }
}

fn user_file(environment: &Environment) -> Setting<PathBuf> {
    let origin = match environment.variable("XDEV_LLM_CONFIG") {
        Some(_) => Origin::Environment("XDEV_LLM_CONFIG"),
        None => Origin::BuiltIn,
    };
    Setting { value: environment.user_file(), origin }
}

/// Whether both paths are one file: the user may name the file in the current folder as the own one.
fn is_same_file(one: &Path, other: &Path) -> bool {
    matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}

fn resolve_key_files(user: &mut ConfigFile, user_file: &Path) {
    let folder = user_file.parent().unwrap_or(user_file);
    for entry in user.servers.values_mut() {
        entry.api_key_file = entry.api_key_file.take().map(|path| folder.join(path));
    }
}

/// Refuses a project's file that gives another meaning to a name that has a key in the user's file, and to the user's
/// aliases: whoever types one means those servers and no others.
fn refuse_redirects(
    project: &ConfigFile,
    project_path: &Path,
    user: &ConfigFile,
    user_file: &Path,
) -> Result<()> {
    let has_key = |name: &&String| {
        user.servers
            .get(*name)
            .is_some_and(|entry| entry.api_key_env.is_some() || entry.api_key_file.is_some())
    };
    let (project_path, user_file) = (project_path.display(), user_file.display());
    if let Some(name) = project.servers.keys().find(has_key) {
        return Err(config_error(format!(
            "{project_path}: `servers.{name}` may not replace the server of that name in {user_file}, because that one has a key."
        ))
        .with_hint(format!("Give the server in {project_path} another name.")));
    }
    if let Some(name) = project.aliases.keys().find(|name| user.aliases.contains_key(*name)) {
        return Err(config_error(format!(
            "{project_path}: `aliases.{name}` may not replace the alias of that name in {user_file}."
        ))
        .with_hint(format!("Give the alias in {project_path} another name.")));
    }
    Ok(())
}

/// The server that the servers' own variables name.
fn server_variable(environment: &Environment) -> Result<Option<(&'static str, ServerUrl)>> {
    type Reader = fn(&str) -> Result<ServerUrl>;
    let readers: [(&'static str, Reader); 3] = [
        ("OPENAI_BASE_URL", normalise_url),
        ("OLLAMA_HOST", |text| host_variable_url(text, OLLAMA_PORT)),
        ("LMS_SERVER_HOST", |text| host_variable_url(text, LM_STUDIO_PORT)),
    ];
    let Some((variable, text, read)) = readers
        .into_iter()
        .find_map(|(variable, read)| Some((variable, environment.variable(variable)?, read)))
    else {
        return Ok(None);
    };
    let url = read(text).map_err(|error| config_error(format!("{variable}: {}", error.message())))?;
    Ok(Some((variable, url)))
}
