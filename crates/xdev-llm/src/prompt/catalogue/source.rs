//! The TOML of a catalogue: what may stand in it, and what is checked before it counts.
//!
//! Not here: which files there are (the parent).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::Deserialize;

use super::heard::{LONGEST, words};
use super::{Catalogue, Entry, PERSON_CATEGORIES, QUALITY, STYLE_CATEGORIES, Wording};
use crate::error::{Error, ErrorKind, Result};

/// The largest file that is read, in bytes.
const FILE_LIMIT: u64 = 4 << 20;
/// The longest wording, in bytes.
const WORDING_LIMIT: usize = 200;

/// `Source` is what the files say, later ones laid over earlier ones.
#[derive(Default)]
pub(super) struct Source {
    traits: BTreeMap<String, BTreeSet<String>>,
    categories: BTreeMap<String, Vec<(String, EntrySource)>>,
    quality: BTreeMap<String, Vec<(String, WordingSource)>>,
}

#[derive(Deserialize)]
struct FileSource {
    #[serde(default)]
    traits: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    style_quality: Vec<WordingSource>,
    #[serde(default)]
    person_quality: Vec<WordingSource>,
    #[serde(flatten)]
    categories: BTreeMap<String, Vec<EntrySource>>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct EntrySource {
    name: String,
    wordings: Vec<WordingSource>,
    #[serde(default)]
    is: BTreeSet<String>,
    #[serde(default)]
    excludes: BTreeSet<String>,
    #[serde(default)]
    suits: BTreeMap<String, String>,
}

#[derive(Clone, Deserialize)]
#[serde(untagged, expecting = "a wording is a text, or a table with text and is, excludes or needs")]
enum WordingSource {
    Text(String),
    Full(FullWording),
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct FullWording {
    text: String,
    #[serde(default)]
    is: BTreeSet<String>,
    #[serde(default)]
    excludes: BTreeSet<String>,
    #[serde(default)]
    needs: BTreeSet<String>,
}

impl WordingSource {
    fn full(self) -> FullWording {
        match self {
            WordingSource::Full(full) => full,
            WordingSource::Text(text) => {
                let (is, excludes, needs) = Default::default();
                FullWording { text, is, excludes, needs }
            }
        }
    }
}

impl Source {
    /// Lays a file over what is there.
    pub(super) fn add(&mut self, file: &str, text: &str) -> Result<()> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let read: FileSource =
            toml::from_str(text).map_err(|error| wrong(file, error.to_string().trim_end()))?;
        for (name, words) in read.traits {
            self.traits.entry(name).or_default().extend(words.iter().map(|word| self::words(word)));
        }
        for (kind, terms) in QUALITY.into_iter().zip([read.style_quality, read.person_quality]) {
            let list = self.quality.entry(kind.to_owned()).or_default();
            list.extend(terms.into_iter().map(|term| (file.to_owned(), term)));
        }
        for (category, entries) in read.categories {
            if !STYLE_CATEGORIES.iter().chain(&PERSON_CATEGORIES).any(|known| *known == category) {
                let known = [STYLE_CATEGORIES.as_slice(), &PERSON_CATEGORIES].concat().join(", ");
                return Err(wrong(file, &format!("\"{category}\" is no category: {known}.")));
            }
            let list = self.categories.entry(category).or_default();
            for entry in entries {
                check_entry(file, &entry)?;
                match list.iter_mut().find(|(_, known)| known.name == entry.name) {
                    Some(place) => *place = (file.to_owned(), entry),
                    None => list.push((file.to_owned(), entry)),
                }
            }
        }
        Ok(())
    }

    /// Puts the catalogue together.
    pub(super) fn catalogue(self) -> Result<Catalogue> {
        let mut by_word: HashMap<String, Wording> = HashMap::new();
        for (name, words) in &self.traits {
            for word in words {
                let known = by_word.entry(word.clone()).or_insert_with(|| bare(word));
                known.traits.insert(name.clone());
            }
        }
        let mut categories = BTreeMap::new();
        for (category, entries) in &self.categories {
            let mut made = Vec::with_capacity(entries.len());
            for (file, entry) in entries {
                self.check_suits(file, entry)?;
                let wordings = entry.wordings.iter().cloned();
                let wordings = wordings.map(|wording| wording_of(file, wording, Some(entry), &by_word));
                made.push(Entry {
                    name: entry.name.clone(),
                    wordings: wordings.collect::<Result<_>>()?,
                    suits: entry.suits.clone(),
                });
            }
            categories.insert(category.clone(), made);
        }
        let mut quality = BTreeMap::new();
        for (kind, terms) in self.quality {
            let terms = terms.into_iter().map(|(file, term)| wording_of(&file, term, None, &by_word));
            quality.insert(kind, terms.collect::<Result<Vec<_>>>()?);
        }
        let mut known = by_word;
        for wording in categories.values().flatten().flat_map(|entry: &Entry| &entry.wordings) {
            // Two entries may say the same words: what both bring along counts.
            let known = known.entry(words(&wording.text)).or_insert_with(|| wording.clone());
            known.traits.extend(wording.traits.iter().cloned());
            known.excludes.extend(wording.excludes.iter().cloned());
        }
        Ok(Catalogue { categories, quality, known })
    }

    /// Checks that what suits an entry exists.
    fn check_suits(&self, file: &str, entry: &EntrySource) -> Result<()> {
        for (category, name) in &entry.suits {
            let entries = self.categories.get(category).map_or(&[][..], Vec::as_slice);
            if !entries.iter().any(|(_, known)| known.name == *name) {
                let problem = format!("\"{}\" suits {category} \"{name}\", which is not there.", entry.name);
                return Err(wrong(file, &problem));
            }
        }
        Ok(())
    }
}

/// A wording with all that its entry and its words bring along.
fn wording_of(
    file: &str,
    wording: WordingSource,
    entry: Option<&EntrySource>,
    by_word: &HashMap<String, Wording>,
) -> Result<Wording> {
    let FullWording { text, mut is, mut excludes, needs } = wording.full();
    check_text(file, &text)?;
    if let Some(entry) = entry {
        is.extend(entry.is.iter().cloned());
        excludes.extend(entry.excludes.iter().cloned());
    }
    let spaced = words(&text);
    let all: Vec<&str> = spaced.split(' ').collect();
    for (first, _) in all.iter().enumerate() {
        for count in 1..=LONGEST.min(all.len() - first) {
            let found = by_word.get(&all[first..first + count].join(" "));
            is.extend(found.iter().flat_map(|found| found.traits.iter().cloned()));
        }
    }
    if let Some(both) = is.intersection(&excludes).next() {
        return Err(wrong(file, &format!("\"{text}\" excludes itself: it is \"{both}\".")));
    }
    Ok(Wording { text, traits: is, excludes, needs })
}

fn check_entry(file: &str, entry: &EntrySource) -> Result<()> {
    let name = &entry.name;
    let is_plain = name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | ' '));
    if name.is_empty() || !is_plain || matches!(name.as_str(), "auto" | "none") {
        let problem = "names have letters, digits, _, - and spaces, and are not \"auto\" or \"none\".";
        return Err(wrong(file, &format!("\"{name}\" cannot be an entry's name: {problem}")));
    }
    if entry.wordings.is_empty() {
        return Err(wrong(file, &format!("\"{name}\" has no wording.")));
    }
    Ok(())
}

/// Checks that a wording is one phrase and has none of the grammar's signs.
fn check_text(file: &str, text: &str) -> Result<()> {
    let shown: String = text.chars().take(80).flat_map(char::escape_debug).collect();
    let problem = if text.trim().is_empty() || text.trim() != text {
        "is empty or has spaces around it"
    } else if text.len() > WORDING_LIMIT || words(text).split(' ').count() > LONGEST {
        "is longer than 8 words or 200 bytes"
    } else if text.contains([',', '\\', '{', '}', '|', ':', '[', ']', '(', ')', '<', '>'])
        || text.contains(char::is_control)
    {
        "has a comma or a sign that prompts have for weights, choices and LoRAs"
    } else {
        return Ok(());
    };
    Err(wrong(file, &format!("The wording \"{shown}\" {problem}.")))
}

fn bare(word: &str) -> Wording {
    let (traits, excludes, needs) = Default::default();
    Wording { text: word.to_owned(), traits, excludes, needs }
}

fn wrong(file: &str, problem: &str) -> Error {
    Error::new(ErrorKind::Config, format!("{file}: {problem}")).with_hint(
        "Correct the file. docs/styles.md shows what stands in files of your own styles and persons.",
    )
}

/// The text of a file, if it is one and not too long.
pub(in crate::prompt) fn read(path: &Path) -> Result<String> {
    let failed = |problem: String| {
        Error::new(ErrorKind::Store, format!("{} could not be read: {problem}.", path.display()))
    };
    let unreadable = |error: std::io::Error| failed(error.to_string()).with_source(error);
    let file = File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    file.take(FILE_LIMIT + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > FILE_LIMIT {
        return Err(failed(format!("it is longer than {} MiB", FILE_LIMIT >> 20)));
    }
    String::from_utf8(bytes).map_err(|_| failed("it is not UTF-8 text".to_owned()))
}
