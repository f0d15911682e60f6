//! `StyleLibrary`: whole styles with a name, in the JSON shape of sdxl_prompt_styler, to search and to apply.
//!
//! A file is a list of `{"name", "prompt", "negative_prompt"}`; `{prompt}` in a style's prompt is the place of the user's.
//! Files come from strangers: what is wrong with one is named, and other styles still work. Not here: styles out of
//! categories (`build`).

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use serde::Serialize;
use serde_json::Value;

use super::build::{PLACEHOLDER, closed, join};
use super::catalogue::read_text;
use crate::error::{Error, ErrorKind, Result};
use crate::model::nearest;

/// The most styles there may be.
const STYLE_LIMIT: usize = 20_000;
/// The most files that are read of one folder.
const FILE_LIMIT: usize = 500;
/// The longest name, in characters.
const NAME_LIMIT: usize = 120;

const BUILT_IN: &str = include_str!("data/library.json");

/// `NamedStyle` is a style with a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NamedStyle {
    /// The name under which it is chosen.
    pub name: String,
    /// What is wanted; `{prompt}` is the place of the user's prompt.
    pub prompt: String,
    /// What is not wanted; may be empty.
    pub negative_prompt: String,
}

/// `StyledPrompt` is a prompt in a style.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StyledPrompt {
    /// The name of the style.
    pub name: String,
    /// What is wanted.
    pub positive: String,
    /// What is not wanted.
    pub negative: String,
}

/// `StyleLibrary` is a list of styles; each name is there once.
#[derive(Clone, Debug, Default)]
pub struct StyleLibrary {
    styles: Vec<NamedStyle>,
    places: HashMap<String, usize>,
    notes: Vec<String>,
}

impl StyleLibrary {
    /// The styles that are built in.
    pub fn built_in() -> &'static StyleLibrary {
        static LIBRARY: LazyLock<StyleLibrary> = LazyLock::new(|| {
            let mut library = StyleLibrary::default();
            library.add("library.json", BUILT_IN).expect("the tests read the file that is built in");
            library
        });
        &LIBRARY
    }

    /// The built-in styles, those of the `.json` files in a user's folder, and those of more files or folders.
    ///
    /// A file in the user's folder that cannot be read is left out and told in [`StyleLibrary::notes`].
    ///
    /// # Errors
    /// [`Store`](ErrorKind::Store) or [`InvalidInput`](ErrorKind::InvalidInput) for one of `paths` that cannot be read.
    pub fn read(folder: Option<&Path>, paths: &[impl AsRef<Path>]) -> Result<StyleLibrary> {
        let mut library = StyleLibrary::built_in().clone();
        for file in folder.filter(|folder| folder.is_dir()).map(files_in).transpose()?.unwrap_or_default() {
            if let Err(error) = library.add_file(&file) {
                library.notes.push(error.to_string());
            }
        }
        for path in paths.iter().map(AsRef::as_ref) {
            let files = if path.is_dir() { files_in(path)? } else { vec![path.to_owned()] };
            for file in files {
                library.add_file(&file)?;
            }
        }
        Ok(library)
    }

    /// Adds the styles of a text in JSON; `file` is what it is called.
    ///
    /// A style takes the place of one with its name from another file; two of one name in the same file are both kept.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) with the place where it is no list of styles.
    pub fn add(&mut self, file: &str, text: &str) -> Result<()> {
        let wrong = |problem: String| {
            Error::invalid_input(format!("{file}: {problem}")).with_hint(
                "A style file is a JSON list of objects with \"name\", \"prompt\" and \"negative_prompt\".",
            )
        };
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let value: Value =
            serde_json::from_str(text).map_err(|error| wrong(format!("this is no JSON: {error}.")))?;
        let Value::Array(entries) = value else {
            return Err(wrong("this is no list of styles.".to_owned()));
        };
        if self.styles.len() + entries.len() > STYLE_LIMIT {
            return Err(wrong(format!("with it there would be more than {STYLE_LIMIT} styles.")));
        }
        let first = self.notes.len();
        let mut of_this_file = HashMap::new();
        for (number, entry) in entries.iter().enumerate() {
            match style_of(entry) {
                Ok(style) => self.put(style, &mut of_this_file),
                Err(problem) => self.notes.push(format!("{file}: style {}: {problem}", number + 1)),
            }
        }
        if of_this_file.is_empty() && !entries.is_empty() {
            // A list of something else is no library.
            let problem = self.notes.drain(first..).next().unwrap_or_default();
            return Err(wrong(format!("there is no style in it. ({problem})")));
        }
        Ok(())
    }

    /// Puts a style in; `of_this_file` has the styles of the same file by the names they had there.
    fn put(&mut self, mut style: NamedStyle, of_this_file: &mut HashMap<String, usize>) {
        let asked = style.name.clone();
        if let Some(count) = of_this_file.get_mut(&asked) {
            if self.places.get(&asked).is_some_and(|place| self.styles[*place] == style) {
                return;
            }
            *count += 1;
            style.name = format!("{asked} ({count})");
            self.notes.push(format!("There are several styles \"{asked}\"; one is now \"{}\".", style.name));
        } else {
            of_this_file.insert(asked, 1);
        }
        if let Some(place) = self.places.get(&style.name) {
            self.styles[*place] = style;
        } else {
            self.places.insert(style.name.clone(), self.styles.len());
            self.styles.push(style);
        }
    }

    fn add_file(&mut self, path: &Path) -> Result<()> {
        self.add(&path.display().to_string(), &read_text(path)?)
    }

    /// Every style, built-in ones first.
    pub fn styles(&self) -> &[NamedStyle] {
        &self.styles
    }

    /// What was wrong with files and with styles that could not be read, one sentence each.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The style of a name.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) with the nearest name, and with what was wrong with the files.
    pub fn style(&self, name: &str) -> Result<&NamedStyle> {
        if let Some(place) = self.places.get(name) {
            return Ok(&self.styles[*place]);
        }
        let shown: String = name.chars().take(NAME_LIMIT).collect();
        let near = nearest(name, self.styles.iter().map(|style| style.name.as_str()));
        let near = near.map(|near| format!("Did you mean \"{near}\"?"));
        let missing = format!("There is no style \"{shown}\" in the library.");
        let sentences: Vec<_> = [missing].into_iter().chain(near).chain(self.notes.iter().cloned()).collect();
        Err(Error::invalid_input(sentences.join(" ")).with_hint(
            "`xdev-llm prompt style --search WORDS` finds styles; without words it lists them all.",
        ))
    }

    /// The styles that have all the words, the best ones first; without words all of them.
    ///
    /// Words in the name count most, whole ones more than beginnings, and case does not count.
    pub fn search(&self, words: &str) -> Vec<&NamedStyle> {
        let query = words.trim().to_lowercase();
        let wanted: Vec<&str> = query.split_whitespace().collect();
        let ranked = self.styles.iter().map(|style| (rank(style, &query, &wanted), style));
        let mut found: Vec<_> = ranked.filter_map(|(rank, style)| Some((rank?, style))).collect();
        found.sort_by_key(|(rank, _)| std::cmp::Reverse(*rank));
        found.into_iter().map(|(_, style)| style).collect()
    }

    /// A prompt in the style of a name; `negative` is what was not wanted anyway.
    ///
    /// # Errors
    /// As [`StyleLibrary::style`].
    pub fn apply(&self, name: &str, prompt: &str, negative: &str) -> Result<StyledPrompt> {
        let style = self.style(name)?;
        let prompt = closed(prompt.trim());
        let template = closed(&style.prompt);
        let positive = if !template.contains(PLACEHOLDER) {
            join(&prompt, &template)
        } else if prompt.is_empty() {
            without_place(&template)
        } else {
            template.replace(PLACEHOLDER, &prompt)
        };
        let negative = join(&closed(negative.trim()), &closed(&style.negative_prompt));
        Ok(StyledPrompt { name: style.name.clone(), positive, negative })
    }
}

/// A style without its place for the prompt, and without the comma that would be left.
fn without_place(template: &str) -> String {
    let bare = template.replace(PLACEHOLDER, "");
    let phrases = bare.split(',').map(|phrase| phrase.split_whitespace().collect::<Vec<_>>().join(" "));
    phrases.filter(|phrase| !phrase.is_empty()).collect::<Vec<_>>().join(", ")
}

/// How well a style fits; `None` where a word is not in it.
fn rank(style: &NamedStyle, query: &str, wanted: &[&str]) -> Option<u32> {
    let name = style.name.to_lowercase();
    let text = Cow::from(&style.prompt).to_lowercase();
    let words: Vec<&str> =
        name.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let mut rank = match () {
        () if name == query => 100,
        () if name.starts_with(query) => 50,
        () => 0,
    };
    for word in wanted {
        rank += match () {
            () if words.contains(word) => 10,
            () if words.iter().any(|known| known.starts_with(word)) => 6,
            () if name.contains(word) => 4,
            () if text.contains(word) => 1,
            () => return None,
        };
    }
    Some(rank)
}

/// The style in an entry of a file.
fn style_of(entry: &Value) -> std::result::Result<NamedStyle, String> {
    let field = |name: &str| match entry.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.trim().to_owned())),
        Some(_) => Err(format!("\"{name}\" is no text.")),
    };
    if !entry.is_object() {
        return Err("it is no object.".to_owned());
    }
    let name = field("name")?.unwrap_or_default();
    // Names stand in lists and in one line.
    let name: String = name.chars().filter(|c| !c.is_control()).take(NAME_LIMIT).collect();
    let prompt = field("prompt")?.unwrap_or_default();
    let negative_prompt = field("negative_prompt")?.unwrap_or_default();
    if name.is_empty() {
        return Err("it has no name.".to_owned());
    }
    if prompt.is_empty() && negative_prompt.is_empty() {
        return Err(format!("\"{name}\" has no prompt."));
    }
    Ok(NamedStyle { name, prompt, negative_prompt })
}

/// The `.json` files of a folder, by name.
fn files_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let failed = |problem: String| {
        Error::new(ErrorKind::Store, format!("The folder {} could not be read: {problem}.", folder.display()))
    };
    let unreadable = |error: std::io::Error| failed(error.to_string()).with_source(error);
    let mut files = Vec::new();
    for entry in folder.read_dir().map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let is_json = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
        if is_json && path.is_file() {
            files.push(path);
        }
        if files.len() > FILE_LIMIT {
            return Err(failed(format!("it has more than {FILE_LIMIT} style files")));
        }
    }
    files.sort();
    Ok(files)
}
