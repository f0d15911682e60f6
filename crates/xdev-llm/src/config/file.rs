//! One layer of settings: reads it, checks every name and value, and enforces what a project's file may not do.
//!
//! Files, environment variables and the caller's own values take the same path: a TOML table, checked row by row
//! against the table of settings. Not here: which layer wins (`settings`).

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind as IoErrorKind, Read};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::de::{DeTable, DeValue};

use super::alias::RouteEntry;
use super::environment::Environment;
use super::settings::{Origin, Overrides, ServerEntry};
use super::table::{Form, KEYS, Key};
use crate::chat::Reasoning;
use crate::error::{Error, ErrorKind, Result};
use crate::model::nearest;

/// The largest config file that is read, in bytes.
const FILE_LIMIT: u64 = 1024 * 1024;

/// `ConfigFile` is what one layer says; `None` means that it says nothing.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub(super) struct ConfigFile {
    pub(super) server: Option<String>,
    pub(super) model: Option<String>,
    pub(super) preset: Option<String>,
    pub(super) system: Option<String>,
    pub(super) timeout: Option<u32>,
    pub(super) deadline: Option<u32>,
    pub(super) max_tokens_limit: Option<u32>,
    pub(super) concurrency: Option<u32>,
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub(super) reasoning: Option<Reasoning>,
    pub(super) allow_hosts: Option<Vec<String>>,
    pub(super) discovery_ports: Option<Vec<u16>>,
    pub(super) engine: EngineTable,
    pub(super) servers: BTreeMap<String, ServerEntry>,
    /// Lists, once a table that stands alone was made one.
    pub(super) aliases: BTreeMap<String, Vec<RouteEntry>>,
    #[cfg_attr(test, schemars(with = "BTreeMap<String, serde_json::Map<String, serde_json::Value>>"))]
    pub(super) presets: BTreeMap<String, toml::Table>,
    #[cfg_attr(test, schemars(with = "BTreeMap<String, serde_json::Map<String, serde_json::Value>>"))]
    pub(super) kinds: BTreeMap<String, toml::Table>,
}

/// `EngineTable` is `[engine]` as one layer has it.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub(super) struct EngineTable {
    pub(super) command: Option<String>,
    pub(super) model: Option<PathBuf>,
    pub(super) context_length: Option<u32>,
    pub(super) threads: Option<u32>,
    pub(super) idle: Option<u32>,
}

/// `Problem` is what is wrong with one key of a layer.
struct Problem {
    path: Vec<String>,
    text: String,
    hint: Option<String>,
}

impl Problem {
    fn new(path: &[String], text: impl Into<String>) -> Self {
        Problem { path: path.to_vec(), text: text.into(), hint: None }
    }
}

impl ConfigFile {
    /// Reads a file; `None` where there is none. `user_file` is where a project's file is told to put what it may not
    /// say; it is `None` for the user's own file.
    pub(super) fn read(path: &Path, user_file: Option<&Path>) -> Result<Option<Self>> {
        let config = |message: String| Error::new(ErrorKind::Config, message);
        let shown = path.display();
        let unreadable = |error: std::io::Error| {
            config(format!("The config file {shown} cannot be read: {error}.")).with_source(error)
        };
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == IoErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unreadable(error)),
        };
        let mut bytes = Vec::new();
        file.take(FILE_LIMIT + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        if bytes.len() as u64 > FILE_LIMIT {
            return Err(config(format!("The config file {shown} is larger than 1 MiB.")));
        }
        let text = String::from_utf8(bytes)
            .map_err(|_| config(format!("The config file {shown} is not UTF-8 text.")))?;
        let text = text.trim_start_matches('\u{feff}');
        let at = |line: Option<usize>| match line {
            Some(line) => format!("{shown}, line {line}"),
            None => shown.to_string(),
        };
        let mut table: toml::Table = toml::from_str(text).map_err(|error| {
            let line = error.span().map(|span| line_at(text, span.start));
            config(format!("{}: this is not TOML: {}.", at(line), error.message().trim_end_matches('.')))
        })?;
        check_table(&mut table, &mut Vec::new(), user_file)
            .and_then(|()| from_table(table))
            .map(Some)
            .map_err(|problem| {
                let error = config(format!("{}: {}", at(line_of(text, &problem.path)), problem.text));
                match problem.hint {
                    Some(hint) => error.with_hint(hint),
                    None => error,
                }
            })
    }

    /// Where a route of an alias stands: the file, and the line where that can still be found.
    pub(super) fn place_of_route(origin: &Origin, alias: &str, index: usize) -> String {
        let (Origin::Project(path) | Origin::User(path)) = origin else { return origin.to_string() };
        let keys = ["aliases".to_owned(), alias.to_owned(), index.to_string(), "server".to_owned()];
        let line = std::fs::read_to_string(path).ok().and_then(|text| line_of(&text, &keys));
        match line {
            Some(line) => format!("{}, line {line}", path.display()),
            None => path.display().to_string(),
        }
    }

    /// Reads the `XDEV_LLM_*` variables.
    pub(super) fn from_environment(environment: &Environment) -> Result<Self> {
        let mut layer = toml::Table::new();
        for key in KEYS {
            let Some(variable) = key.variable else { continue };
            let Some(text) = environment.variable(variable) else { continue };
            let value = match key.form {
                Form::Integer(..) => text.trim().parse().map(toml::Value::Integer).map_err(|_| {
                    Error::new(
                        ErrorKind::Config,
                        format!("{variable} is no whole number; it must be {}.", key.form),
                    )
                })?,
                _ => toml::Value::String(text.to_owned()),
            };
            let table = nested([(key.name, Some(value))]);
            checked(table.clone())
                .map_err(|problem| Error::new(ErrorKind::Config, format!("{variable}: {}", problem.text)))?;
            merge(&mut layer, table);
        }
        checked(layer).map_err(|problem| Error::new(ErrorKind::Config, problem.text))
    }

    /// Takes the caller's own values.
    pub(super) fn from_overrides(overrides: &Overrides) -> Result<Self> {
        let text = |text: &Option<String>| text.clone().map(toml::Value::String);
        let number = |number: Option<u32>| number.map(|number| toml::Value::Integer(number.into()));
        let table = nested([
            ("server", text(&overrides.server)),
            ("model", text(&overrides.model)),
            ("preset", text(&overrides.preset)),
            ("system", text(&overrides.system)),
            ("timeout", number(overrides.timeout)),
            ("deadline", number(overrides.deadline)),
            ("concurrency", number(overrides.concurrency)),
            ("engine.model", text(&overrides.engine_model)),
        ]);
        let file = checked(table).map_err(|problem| Error::invalid_input(problem.text))?;
        Ok(ConfigFile { reasoning: overrides.reasoning, ..file })
    }
}

/// Builds a table from dotted names.
fn nested<const N: usize>(values: [(&str, Option<toml::Value>); N]) -> toml::Table {
    let mut table = toml::Table::new();
    for (name, value) in values {
        let Some(value) = value else { continue };
        let value = match name.split_once('.') {
            Some((_, leaf)) => toml::Table::from_iter([(leaf.to_owned(), value)]).into(),
            None => value,
        };
        merge(
            &mut table,
            toml::Table::from_iter([(name.split('.').next().unwrap_or(name).to_owned(), value)]),
        );
    }
    table
}

/// Puts every entry of `new` into `table`, and entries of tables into its tables.
fn merge(table: &mut toml::Table, new: toml::Table) {
    for (name, value) in new {
        match (table.get_mut(&name), value) {
            (Some(toml::Value::Table(old)), toml::Value::Table(new)) => merge(old, new),
            (_, value) => drop(table.insert(name, value)),
        }
    }
}

fn checked(mut table: toml::Table) -> Result<ConfigFile, Problem> {
    check_table(&mut table, &mut Vec::new(), None)?;
    from_table(table)
}

fn from_table(table: toml::Table) -> Result<ConfigFile, Problem> {
    for (name, server) in table.get("servers").and_then(toml::Value::as_table).into_iter().flatten() {
        let path = ["servers".to_owned(), name.clone()];
        if server.get("url").is_none() {
            return Err(Problem::new(&path, format!("`servers.{name}` has no `url`.")));
        }
        if server.get("api_key_env").is_some() && server.get("api_key_file").is_some() {
            return Err(Problem::new(
                &path,
                format!("`servers.{name}` has both `api_key_env` and `api_key_file`; leave one out."),
            ));
        }
    }
    table.try_into().map_err(|error: toml::de::Error| Problem::new(&[], error.message()))
}

/// Checks every name and value of a table, and takes empty texts out, which count as not given.
fn check_table(
    table: &mut toml::Table,
    path: &mut Vec<String>,
    user_file: Option<&Path>,
) -> Result<(), Problem> {
    let mut empty = Vec::new();
    for (name, value) in table.iter_mut() {
        path.push(name.clone());
        let dotted = path.join(".");
        match row(path) {
            Row::Leaf(key) => {
                if let Some(user_file) = user_file.filter(|_| !key.in_project) {
                    return Err(not_in_project(path, user_file));
                }
                if key.form == Form::Text && value.as_str().is_some_and(|text| text.trim().is_empty()) {
                    empty.push(name.clone());
                }
                key.form
                    .check(value)
                    .map_err(|problem| Problem::new(path, format!("`{dotted}` {problem}")))?;
            }
            Row::Branch { is_list } => {
                check_name(path)?;
                match value {
                    toml::Value::Table(inner) => check_table(inner, path, user_file)?,
                    toml::Value::Array(tables) if is_list => check_list(tables, path, user_file)?,
                    _ => {
                        return Err(Problem::new(
                            path,
                            format!("`{dotted}` is of type {}; it must be a table.", value.type_str()),
                        ));
                    }
                }
                if is_list && value.is_table() {
                    *value = vec![value.clone()].into();
                }
            }
            Row::Unknown(_) if name == "api_key" => return Err(key_in_file(path)),
            Row::Unknown(near) => {
                let advice = match near {
                    Some(near) => format!(" Did you mean `{near}`?"),
                    None => String::new(),
                };
                return Err(Problem::new(path, format!("unknown key `{dotted}`.{advice}")));
            }
        }
        path.pop();
    }
    for name in empty {
        table.remove(&name);
    }
    Ok(())
}

/// Checks each table of a list, and that there is one.
fn check_list(
    tables: &mut [toml::Value],
    path: &mut Vec<String>,
    user_file: Option<&Path>,
) -> Result<(), Problem> {
    let dotted = path.join(".");
    if tables.is_empty() {
        return Err(Problem::new(path, format!("`{dotted}` is empty; it needs a table at least.")));
    }
    for (index, table) in tables.iter_mut().enumerate() {
        let depth = path.len();
        let checked = match table {
            toml::Value::Table(inner) => check_table(inner, path, user_file),
            other => Err(Problem::new(
                path,
                format!("`{dotted}` has an entry of type {}; each must be a table.", other.type_str()),
            )),
        };
        checked.map_err(|mut problem| {
            problem.path.insert(depth, index.to_string());
            problem
        })?;
    }
    Ok(())
}

/// `Row` is what the table of settings has at a path.
enum Row {
    Leaf(&'static Key),
    /// A table, or as a list several of them.
    Branch {
        is_list: bool,
    },
    /// Nothing; the nearest name that could stand there.
    Unknown(Option<&'static str>),
}

fn row(path: &[String]) -> Row {
    let fits = |part: &str, name: &String| part.trim_end_matches("[]") == "NAME" || part == name.as_str();
    let below_parent =
        KEYS.iter().map(|key| (key, key.name.split('.').collect::<Vec<_>>())).filter(|(_, parts)| {
            parts.len() >= path.len()
                && parts.iter().zip(&path[..path.len() - 1]).all(|(part, name)| fits(part, name))
        });
    let last = &path[path.len() - 1];
    let mut siblings = Vec::new();
    for (key, parts) in below_parent {
        let part = parts[path.len() - 1];
        if fits(part, last) {
            let is_list = part.ends_with("[]");
            return if parts.len() == path.len() { Row::Leaf(key) } else { Row::Branch { is_list } };
        }
        siblings.push(part);
    }
    Row::Unknown(nearest(last, siblings))
}

/// Names of servers and aliases are typed on command lines, in place of URLs and models, so they are plain.
fn check_name(path: &[String]) -> Result<(), Problem> {
    let [table, name] = path else { return Ok(()) };
    let what = if table == "aliases" { "an alias" } else { "a server" };
    if table == "aliases" && name == "auto" {
        return Err(Problem::new(
            path,
            "an alias cannot be called `auto`, which is the loaded model; give it another name.",
        ));
    }
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if !name.is_empty() && name.len() <= 64 && name.chars().all(is_plain) {
        return Ok(());
    }
    Err(Problem::new(
        path,
        format!(
            "the name of {what} must be 1 to 64 of the letters a to z and A to Z, digits, `-`, `_` and `.`."
        ),
    ))
}

fn not_in_project(path: &[String], user_file: &Path) -> Problem {
    let dotted = path.join(".");
    Problem {
        hint: Some(format!("Put `{dotted}` into {}.", user_file.display())),
        ..Problem::new(
            path,
            format!(
                "`{dotted}` may not stand in a project's file, because such files come with other people's folders. Put it into your own file, {}.",
                user_file.display()
            ),
        )
    }
}

fn key_in_file(path: &[String]) -> Problem {
    let dotted = path.join(".");
    Problem {
        hint: Some("Use `api_key_env` or `api_key_file` of the server, then make a new key: this one has been written down.".to_owned()),
        ..Problem::new(
            path,
            format!(
                "`{dotted}` puts a key straight into the file, from where it gets copied, shared and committed. Name a variable with `api_key_env` or a private file with `api_key_file` instead."
            ),
        )
    }
}

/// The line, from 1, on which the key at `path` stands; a number in it goes into a list, and is left out for a table
/// that stands alone.
fn line_of(text: &str, path: &[String]) -> Option<usize> {
    let parsed = DeTable::parse(text).ok()?;
    let mut table = parsed.get_ref();
    let (mut line, mut names) = (None, path.iter());
    while let Some(name) = names.next() {
        let Some((key, value)) = table.iter().find(|(key, _)| key.get_ref() == name) else {
            if line.is_some() && name.parse::<usize>().is_ok() {
                continue;
            }
            break;
        };
        line = Some(line_at(text, key.span().start));
        table = match value.get_ref() {
            DeValue::Table(inner) => inner,
            DeValue::Array(tables) => {
                let index = names.next().and_then(|index| index.parse::<usize>().ok());
                let Some(entry) = index.and_then(|index| tables.get(index)) else { break };
                line = Some(line_at(text, entry.span().start));
                match entry.get_ref() {
                    DeValue::Table(inner) => inner,
                    _ => break,
                }
            }
            _ => break,
        };
    }
    line
}

fn line_at(text: &str, offset: usize) -> usize {
    text.as_bytes().iter().take(offset).filter(|byte| **byte == b'\n').count() + 1
}
