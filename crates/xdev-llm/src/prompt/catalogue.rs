//! The words that styles and persons are made of: categories, their entries, the wordings of each, and what excludes what.
//!
//! They come from TOML (`data/`, and a user's own files beside the config), so that people can add to them. Traits say
//! what a wording brings along ("colour"); a trait may list words, and every wording with such a word has it. Not here:
//! which wordings are taken (`build`), whole styles with a name (`library`).

mod heard;
mod source;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::LazyLock;

pub(super) use heard::Heard;
use source::Source;
pub(super) use source::read as read_text;

use crate::error::{Error, Result};
use crate::model::nearest;

/// The categories of a style, in the order they are written.
pub const STYLE_CATEGORIES: [&str; 6] =
    ["primary_style", "medium", "color_palette", "lighting", "composition", "texture"];
/// The categories of a person, in the order they are written.
pub const PERSON_CATEGORIES: [&str; 9] =
    ["age", "gender", "archetype", "expression", "hair_color", "hair_style", "eye_color", "clothing", "pose"];
/// The terms of quality of styles and of persons.
pub(super) const QUALITY: [&str; 2] = ["style_quality", "person_quality"];

const BUILT_IN: [(&str, &str); 2] =
    [("styles.toml", include_str!("data/styles.toml")), ("persons.toml", include_str!("data/persons.toml"))];

/// `Wording` is one way to say an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wording {
    /// The words.
    pub text: String,
    /// What it brings along.
    pub traits: BTreeSet<String>,
    /// The traits that nothing beside it may have.
    pub excludes: BTreeSet<String>,
    /// The traits that something before it must have.
    pub needs: BTreeSet<String>,
}

impl Wording {
    /// Whether the two contradict each other.
    pub fn contradicts(&self, other: &Wording) -> bool {
        !self.excludes.is_disjoint(&other.traits) || !other.excludes.is_disjoint(&self.traits)
    }
}

/// `Entry` is what a person chooses in a category.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name under which it is chosen.
    pub name: String,
    /// The ways to say it; at least one.
    pub wordings: Vec<Wording>,
    /// What goes well with it: an entry's name for a category.
    pub suits: BTreeMap<String, String>,
}

/// `Catalogue` is everything that styles and persons are made of.
#[derive(Clone, Debug)]
pub struct Catalogue {
    categories: BTreeMap<String, Vec<Entry>>,
    quality: BTreeMap<String, Vec<Wording>>,
    /// By their words in the form of [`heard::words`]: what a text says when they stand in it.
    known: HashMap<String, Wording>,
}

impl Catalogue {
    /// The built-in one.
    pub fn built_in() -> &'static Catalogue {
        static CATALOGUE: LazyLock<Catalogue> =
            LazyLock::new(|| Catalogue::with(&[]).expect("the tests read the files that are built in"));
        &CATALOGUE
    }

    /// The built-in one with what a user added: files by name and text, laid over it in their order.
    ///
    /// An entry takes the place of the one with its name; traits and terms of quality are added.
    ///
    /// # Errors
    /// [`Config`](crate::ErrorKind::Config) with the file and the place where one cannot be read.
    pub fn with(files: &[(String, String)]) -> Result<Catalogue> {
        let mut source = Source::default();
        for (name, text) in BUILT_IN {
            source.add(name, text)?;
        }
        for (name, text) in files {
            source.add(name, text)?;
        }
        source.catalogue()
    }

    /// The built-in one with the `styles.toml` and `persons.toml` of a folder, where they are, and then these files.
    ///
    /// # Errors
    /// [`Store`](crate::ErrorKind::Store) for a file that cannot be read; as [`Catalogue::with`].
    pub fn read(folder: Option<&Path>, files: &[impl AsRef<Path>]) -> Result<Catalogue> {
        let own = folder.map(|folder| BUILT_IN.map(|(name, _)| folder.join(name)));
        let own = own.into_iter().flatten().filter(|path| path.is_file());
        let paths = own.chain(files.iter().map(|path| path.as_ref().to_owned()));
        let texts = paths.map(|path| Ok((path.display().to_string(), read_text(&path)?)));
        Catalogue::with(&texts.collect::<Result<Vec<_>>>()?)
    }

    /// The entries of a category; none for a name that is no category.
    pub fn entries(&self, category: &str) -> &[Entry] {
        self.categories.get(category).map_or(&[], Vec::as_slice)
    }

    /// The entry of a name.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) with the names there are.
    pub fn entry(&self, category: &str, name: &str) -> Result<&Entry> {
        let entries = self.entries(category);
        entries.iter().find(|entry| entry.name == name).ok_or_else(|| {
            let names: Vec<_> = entries.iter().map(|entry| entry.name.as_str()).collect();
            let cure = match nearest(name, names.iter().copied()) {
                Some(near) => format!("Did you mean \"{near}\"?"),
                None => format!("There are: auto, none, {}.", names.join(", ")),
            };
            let shown: String = name.chars().take(80).collect();
            Error::invalid_input(format!("{category}: there is no \"{shown}\". {cure}"))
        })
    }

    /// The terms of quality of `style_quality` or `person_quality`.
    pub(super) fn quality(&self, kind: &str) -> &[Wording] {
        self.quality.get(kind).map_or(&[], Vec::as_slice)
    }

    /// What a text says, as far as it is known.
    pub(super) fn hear(&self, text: &str) -> Heard<'_> {
        heard::hear(&self.known, text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(text: &str) -> Result<Catalogue> {
        Catalogue::with(&[("mine.toml".to_owned(), text.to_owned())])
    }

    #[test]
    fn an_entry_is_added_or_takes_the_place_of_its_namesake() {
        let added = "[[medium]]\nname = \"fresco\"\nwordings = [\"fresco on plaster\"]\n";
        let replaced = "[[medium]]\nname = \"ink\"\nwordings = [\"walnut ink\"]\n";
        let built_in = Catalogue::built_in().entries("medium").len();
        let catalogue = with(&format!("{added}{replaced}")).unwrap();
        assert_eq!(catalogue.entries("medium").len(), built_in + 1);
        assert_eq!(catalogue.entry("medium", "fresco").unwrap().wordings[0].text, "fresco on plaster");
        let ink = catalogue.entry("medium", "ink").unwrap();
        assert_eq!(ink.wordings.len(), 1);
        assert_eq!(ink.wordings[0].text, "walnut ink");
    }

    #[test]
    fn words_of_a_trait_give_it_to_every_wording_that_has_them() {
        let text =
            "[traits]\ncolour = [\"puce\"]\n[[medium]]\nname = \"x\"\nwordings = [\"Puce-coloured wash\"]\n";
        let catalogue = with(text).unwrap();
        assert!(catalogue.entry("medium", "x").unwrap().wordings[0].traits.contains("colour"));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_file() {
        let entry = |fields: &str| format!("[[medium]]\nname = \"x\"\n{fields}\n");
        for (text, part) in [
            ("medium = 3", "mine.toml"),
            ("[[mediums]]\nname = \"x\"\nwordings = [\"y\"]", "mediums"),
            (&entry("wordings = []"), "has no wording"),
            (&entry("wordings = [\"\"]"), "is empty"),
            (&entry("wordings = [\"a \\\\ b\"]"), "a \\\\ b"),
            (&entry("wordings = [\"a, b\"]"), "comma"),
            (&entry("wordings = [\"y\"]\nis = [\"a\"]\nexcludes = [\"a\"]"), "excludes itself"),
            (&entry("wordings = [\"y\"]\nsuits = { lighting = \"dusk\" }"), "dusk"),
            (&entry("wordings = [\"y\"]\nexclude = [\"a\"]"), "exclude"),
            ("[[medium]]\nname = \"auto\"\nwordings = [\"y\"]", "auto"),
        ] {
            let error = with(text).unwrap_err();
            assert_eq!(error.kind(), crate::ErrorKind::Config, "{text}");
            assert!(error.to_string().contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn a_folder_without_files_gives_the_built_in_one_and_a_missing_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let nothing: [&Path; 0] = [];
        assert!(Catalogue::read(Some(folder.path()), &nothing).is_ok());
        let missing = folder.path().join("gone.toml");
        let error = Catalogue::read(None, &[missing]).unwrap_err();
        assert!(error.to_string().contains("gone.toml"), "{error}");
    }
}
