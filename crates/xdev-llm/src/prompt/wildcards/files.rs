//! The files of wildcards: which there are in a folder, and the lists that each holds.
//!
//! Only files in the folder are read: a link that leads out of it is left out. What cannot be read spoils no other
//! file; it is said. Not here: which list a name means (`wildcards`).

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use saphyr_parser::{Event, Parser, ScalarStyle};
use serde_json::Value;

/// The largest file, in bytes.
const MAX_FILE: u64 = 8 << 20;
/// How many bytes all files may have together.
const MAX_BYTES: u64 = 128 << 20;
/// How many files and folders are looked at.
const MAX_ENTRIES: usize = 20_000;

/// `Stamp` tells whether a file has changed: when it was written, and its size.
pub(super) type Stamp = (Option<SystemTime>, u64);

/// `File` is a file that holds wildcards.
#[derive(Debug)]
pub(super) struct File {
    pub(super) path: PathBuf,
    pub(super) stamp: Stamp,
    /// Its path in the folder, without the ending.
    name: String,
}

/// `Found` is what a file holds.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    pub(super) lists: Vec<List>,
    pub(super) problem: Option<String>,
}

/// `List` is a wildcard: the options of a name.
#[derive(Clone, Debug)]
pub(super) struct List {
    pub(super) name: String,
    /// The same with the name of the file before it.
    pub(super) longer: String,
    pub(super) options: Vec<String>,
}

/// The files of some folders; one that does not exist has none.
pub(super) fn list(folders: &[PathBuf], problems: &mut Vec<String>) -> Vec<File> {
    let mut files = Vec::new();
    let mut bytes = 0;
    let mut left = MAX_ENTRIES;
    for folder in folders {
        let root = match folder.canonicalize() {
            Ok(root) => root,
            Err(error) => {
                problems.push(match error.kind() {
                    io::ErrorKind::NotFound => format!("The folder {} does not exist.", folder.display()),
                    _ => format!("{} cannot be read: {error}.", folder.display()),
                });
                continue;
            }
        };
        let mut waiting = vec![(root.clone(), String::new())];
        while let Some((path, prefix)) = waiting.pop() {
            let entries = match fs::read_dir(&path) {
                Ok(entries) => entries,
                Err(error) => {
                    problems.push(format!("{} cannot be read: {error}.", path.display()));
                    continue;
                }
            };
            for entry in entries.flatten() {
                if left == 0 {
                    problems.push(format!(
                        "{} has more than {MAX_ENTRIES} files; the rest is left out.",
                        root.display()
                    ));
                    return files;
                }
                left -= 1;
                match look(&entry, &root, &prefix) {
                    Ok(Some(Entry::Folder(name))) => waiting.push((entry.path(), name)),
                    Ok(Some(Entry::File(file))) if bytes + file.stamp.1 > MAX_BYTES => problems
                        .push(format!("{} is left out: all files have over 128 MiB.", file.path.display())),
                    Ok(Some(Entry::File(file))) => {
                        bytes += file.stamp.1;
                        files.push(file);
                    }
                    Ok(None) => {}
                    Err(problem) => problems.push(format!("{} {problem}.", entry.path().display())),
                }
            }
        }
    }
    files
}

enum Entry {
    Folder(String),
    File(File),
}

/// What an entry of a folder is, where it matters.
fn look(entry: &fs::DirEntry, root: &Path, prefix: &str) -> Result<Option<Entry>, String> {
    let path = entry.path();
    let file_name = entry.file_name().to_string_lossy().into_owned();
    if file_name.starts_with('.') {
        return Ok(None);
    }
    let in_words = |error: io::Error| format!("cannot be read: {error}");
    let kind = entry.file_type().map_err(in_words)?;
    if kind.is_dir() {
        return Ok(Some(Entry::Folder(format!("{prefix}{file_name}/"))));
    }
    let ending = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    if !["txt", "json", "yaml", "yml"].contains(&ending.as_str()) {
        return Ok(None);
    }
    if kind.is_symlink() && !path.canonicalize().map_err(in_words)?.starts_with(root) {
        return Err("is a link that leads out of the folder; it is left out".to_owned());
    }
    let known = fs::metadata(&path).map_err(in_words)?;
    if !known.is_file() {
        return Ok(None);
    }
    if known.len() > MAX_FILE {
        return Err("has over 8 MiB; it is left out".to_owned());
    }
    let name = format!("{prefix}{}", file_name.strip_suffix(&format!(".{ending}")).unwrap_or(&file_name));
    Ok(Some(Entry::File(File { path, stamp: (known.modified().ok(), known.len()), name })))
}

/// Reads a file.
pub(super) fn read(file: &File) -> Found {
    let in_words = |problem: String| format!("{}: {problem}.", file.path.display());
    let text = match text_of(&file.path) {
        Ok(text) => text,
        Err(error) => return Found { lists: Vec::new(), problem: Some(in_words(error.to_string())) },
    };
    let read = match file.path.extension().and_then(|ending| ending.to_str()) {
        Some(ending) if ending.eq_ignore_ascii_case("txt") => {
            Ok(vec![(String::new(), lines(&text).collect())])
        }
        Some(ending) if ending.eq_ignore_ascii_case("json") => from_json(&text),
        _ => from_yaml(&text),
    };
    match read {
        Ok(lists) => Found { lists: named(lists, &file.name), problem: None },
        Err(problem) => Found { lists: Vec::new(), problem: Some(in_words(problem)) },
    }
}

/// The text of a file, also where it grew since it was looked at; what is no UTF-8 is replaced.
fn text_of(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(MAX_FILE).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    Ok(text.strip_prefix('\u{feff}').unwrap_or(&text).to_owned())
}

/// A list without a name of its own has that of the file. One without options is none.
fn named(lists: Vec<(String, Vec<String>)>, file: &str) -> Vec<List> {
    let with_options = lists.into_iter().filter(|(_, options)| !options.is_empty());
    with_options
        .map(|(name, options)| {
            if name.is_empty() {
                List { name: file.to_owned(), longer: file.to_owned(), options }
            } else {
                List { longer: format!("{file}/{name}"), name, options }
            }
        })
        .collect()
}

/// The options of a text: its lines but for empty ones and comments.
fn lines(text: &str) -> impl Iterator<Item = String> + '_ {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned)
}

fn joined(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}/{key}") }
}

type Lists = Vec<(String, Vec<String>)>;

fn from_json(text: &str) -> Result<Lists, String> {
    let value: Value = serde_json::from_str(text).map_err(|error| format!("this is no JSON: {error}"))?;
    let mut lists = Vec::new();
    let mut waiting = vec![(String::new(), &value)];
    while let Some((path, value)) = waiting.pop() {
        match value {
            Value::Object(entries) => {
                waiting.extend(entries.iter().rev().map(|(key, value)| (joined(&path, key), value)));
            }
            Value::Array(items) => {
                let options: Result<Vec<String>, String> = items
                    .iter()
                    .map(|item| match item {
                        Value::String(text) => Ok(text.clone()),
                        Value::Number(_) | Value::Bool(_) => Ok(item.to_string()),
                        _ => Err(format!("an option of \"{path}\" is no text")),
                    })
                    .collect();
                lists.push((path, options?));
            }
            Value::String(text) => lists.push((path, lines(text).collect())),
            Value::Null => {}
            other => lists.push((path, vec![other.to_string()])),
        }
    }
    Ok(lists)
}

/// `Level` is a map or a list of a YAML file that is not at its end.
enum Level {
    /// With the path of the map itself, and the key whose value comes next.
    Map(String, Option<String>),
    /// With its path and its options.
    List(String, Vec<String>),
}

/// Goes by the parser's events, so that no nesting takes stack; anchors are not followed, so that none multiplies.
fn from_yaml(text: &str) -> Result<Lists, String> {
    let mut lists = Vec::new();
    let mut open: Vec<Level> = Vec::new();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| format!("this is no YAML: {error}"))?;
        let wrong = |problem: &str| Err(format!("line {}: {problem}", span.start.line()));
        match event {
            Event::Scalar(text, style, ..) => scalar(&text, style, &mut open, &mut lists),
            Event::SequenceStart(..) => match path(&open) {
                Some(path) => open.push(Level::List(path, Vec::new())),
                None => return wrong("a list stands where a text or a key is wanted"),
            },
            Event::MappingStart(..) => match path(&open) {
                Some(path) => open.push(Level::Map(path, None)),
                None => return wrong("an option with a colon and a blank in it wants quotes around it"),
            },
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(Level::List(path, options)) = open.pop() {
                    lists.push((path, options));
                }
                if let Some(Level::Map(_, key)) = open.last_mut() {
                    *key = None;
                }
            }
            Event::Alias(_) => return wrong("an alias; write the text itself"),
            _ => {}
        }
    }
    Ok(lists)
}

/// The path of what begins here; `None` where nothing but a text may stand.
fn path(open: &[Level]) -> Option<String> {
    match open.last() {
        None => Some(String::new()),
        Some(Level::Map(path, Some(key))) => Some(joined(path, key)),
        Some(Level::Map(_, None) | Level::List(..)) => None,
    }
}

fn scalar(text: &str, style: ScalarStyle, open: &mut [Level], lists: &mut Lists) {
    let is_null = style == ScalarStyle::Plain && ["", "~", "null"].contains(&text);
    match open.last_mut() {
        Some(Level::List(_, options)) if !is_null => options.push(text.to_owned()),
        Some(Level::Map(path, key)) => match key.take() {
            None => *key = Some(text.to_owned()),
            Some(key) if !is_null => lists.push((joined(path, &key), lines(text).collect())),
            Some(_) => {}
        },
        None if !is_null => lists.push((String::new(), lines(text).collect())),
        _ => {}
    }
}
