//! Wildcards: named lists of options in the user's folders, looked at again when files change.
//!
//! `files` finds and reads the files; here are their names, which one is meant, and when to look again. A name is only
//! ever looked up among the files that were found, so that no name leads out of a folder. Not here: what is drawn from
//! them (`expand`).

mod files;

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::model::edits;
use files::{Found, Stamp};

/// `Choices` is the options of a wildcard, a text each, with a weight before it where one is written: `0.5::red`.
pub type Choices = Arc<Vec<String>>;

/// How long what was seen of the folders counts.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// How many names are named where one is missing.
const MAX_NEAR: usize = 3;
/// How many letters of a missing name are compared with others.
const MAX_COMPARED: usize = 80;

/// `Wildcards` is the named lists of some folders.
///
/// A text file is a list, a line an option; empty lines and those that begin with `#` do not count. Its name is its
/// path in the folder, without the ending: `animals/birds`. A JSON or YAML file holds lists by name in maps that may
/// nest: the keys make up the name, and it is also found with the file's own name before it. Lists of one name are
/// one. Letters may be small or capital, and blanks are hyphens.
#[derive(Debug)]
pub struct Wildcards {
    folders: Vec<PathBuf>,
    interval: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    looked: Option<Instant>,
    files: BTreeMap<PathBuf, (Stamp, Found)>,
    lists: BTreeMap<String, Choices>,
    /// Lists by the name of their file and their own.
    longer: BTreeMap<String, String>,
    problems: Vec<String>,
}

impl Wildcards {
    /// The wildcards of folders, which need not exist; they are read when they are used.
    pub fn new(folders: impl IntoIterator<Item = impl Into<PathBuf>>) -> Wildcards {
        let folders = folders.into_iter().map(Into::into).collect();
        Wildcards { folders, interval: LOOK_INTERVAL, state: Mutex::default() }
    }

    /// Looks at the folders at each use, and not once a second at most.
    pub fn always_looking(mut self) -> Wildcards {
        self.interval = Duration::ZERO;
        self
    }

    /// The names, in order.
    pub fn names(&self) -> Vec<String> {
        self.looked().lists.keys().cloned().collect()
    }

    /// What could not be read, and why.
    pub fn problems(&self) -> Vec<String> {
        self.looked().problems.clone()
    }

    /// A number that changes when a file does; it means something within one process only.
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        for (path, (stamp, _)) in &self.looked().files {
            (path, stamp).hash(&mut hasher);
        }
        hasher.finish()
    }

    /// The lists of a name, or of all names that a pattern fits: `*` is any text without `/`, `**` any, `?` a letter.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) where there is none; it names those that are nearest.
    pub fn find(&self, name: &str) -> Result<Vec<Choices>> {
        let state = self.looked();
        let wanted = normalise(name);
        let found: Vec<Choices> = if wanted.contains(['*', '?']) {
            let fitting = |known: &&String| fits(&wanted, known);
            let mut names: BTreeSet<&String> = state.lists.keys().filter(fitting).collect();
            if names.is_empty() {
                names =
                    state.longer.iter().filter(|(longer, _)| fitting(longer)).map(|(_, own)| own).collect();
            }
            names.into_iter().filter_map(|name| state.lists.get(name)).cloned().collect()
        } else {
            let own = || state.lists.get(state.longer.get(&wanted)?);
            state.lists.get(&wanted).or_else(own).cloned().into_iter().collect()
        };
        if found.is_empty() {
            return Err(self.missing(name, &wanted, &state));
        }
        Ok(found)
    }

    fn missing(&self, name: &str, wanted: &str, state: &State) -> Error {
        let folders: Vec<_> = self.folders.iter().map(|folder| folder.display().to_string()).collect();
        let place = if folders.is_empty() {
            ": no folder was given".to_owned()
        } else {
            format!(" in {}", folders.join(", "))
        };
        let mut sentences = vec![format!("There is no wildcard __{name}__{place}.")];
        // A name as long as a text resembles none, and would take long to compare.
        let wanted: Vec<char> = wanted.chars().take(MAX_COMPARED).collect();
        let mut near: Vec<(usize, &String)> =
            state.lists.keys().map(|known| (edits(&wanted, known), known)).collect();
        near.sort();
        let near: Vec<_> = near.iter().take(MAX_NEAR).map(|(_, known)| format!("__{known}__")).collect();
        if !near.is_empty() {
            sentences.push(format!("The nearest: {}.", near.join(", ")));
        }
        sentences.extend(state.problems.iter().take(MAX_NEAR).cloned());
        Error::invalid_input(sentences.join(" "))
    }

    /// What the folders hold now, or held a moment ago.
    fn looked(&self) -> MutexGuard<'_, State> {
        // A thread that died in between left a state that is whole: it is only ever replaced.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.looked.is_none_or(|looked| looked.elapsed() >= self.interval) {
            self.look(&mut state);
            state.looked = Some(Instant::now());
        }
        state
    }

    /// Reads what is new or has changed.
    fn look(&self, state: &mut State) {
        let mut problems = Vec::new();
        let listed = files::list(&self.folders, &mut problems);
        let mut known = std::mem::take(&mut state.files);
        let mut changed = listed.len() != known.len();
        for file in listed {
            let kept = known.remove(&file.path).filter(|(stamp, _)| *stamp == file.stamp);
            changed |= kept.is_none();
            let found = kept.map_or_else(|| files::read(&file), |(_, found)| found);
            state.files.insert(file.path, (file.stamp, found));
        }
        for (_, found) in state.files.values() {
            problems.extend(found.problem.clone());
        }
        state.problems = problems;
        if changed {
            state.index();
        }
    }
}

impl State {
    fn index(&mut self) {
        let mut lists: BTreeMap<String, Vec<String>> = BTreeMap::new();
        self.longer.clear();
        for (_, found) in self.files.values() {
            for list in &found.lists {
                let own = normalise(&list.name);
                self.longer.insert(normalise(&list.longer), own.clone());
                lists.entry(own).or_default().extend(list.options.iter().cloned());
            }
        }
        self.lists = lists.into_iter().map(|(name, options)| (name, Arc::new(options))).collect();
    }
}

/// Names as they are compared.
fn normalise(name: &str) -> String {
    let hyphened = |character: char| if character.is_whitespace() { '-' } else { character };
    name.trim().replace('\\', "/").chars().map(hyphened).collect::<String>().to_lowercase()
}

/// Whether a pattern fits a name. It goes back to the last star only, so that no pattern takes long.
fn fits(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut at, mut seen) = (0, 0);
    // Where to go on when the star before takes one character more; one star of a pair takes folders, too.
    let (mut star, mut stars) = (None::<(usize, usize)>, None::<(usize, usize)>);
    loop {
        match pattern.get(at) {
            Some('*') if pattern.get(at + 1) == Some(&'*') => {
                at += 2;
                (star, stars) = (None, Some((at, seen)));
                continue;
            }
            Some('*') => {
                at += 1;
                star = Some((at, seen));
                continue;
            }
            None if seen == name.len() => return true,
            Some(wanted)
                if name.get(seen).is_some_and(|each| each == wanted || *wanted == '?' && *each != '/') =>
            {
                at += 1;
                seen += 1;
                continue;
            }
            _ => {}
        }
        if let Some((after, from)) = star.filter(|(_, from)| name.get(*from).is_some_and(|each| *each != '/'))
        {
            star = Some((after, from + 1));
            (at, seen) = (after, from + 1);
        } else if let Some((after, from)) = stars.filter(|(_, from)| *from < name.len()) {
            star = None;
            stars = Some((after, from + 1));
            (at, seen) = (after, from + 1);
        } else {
            return false;
        }
    }
}
