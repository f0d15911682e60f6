//! Styles and persons out of chosen categories: which wordings are taken, and how they become one prompt.
//!
//! Nothing that is taken together contradicts anything else of it; a seed decides what is drawn, each category by
//! itself, so that changing one leaves the others. Not here: the words (`catalogue`), styles with a name (`library`).

mod choose;

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Serialize;

use self::choose::{Chooser, Taken};
use super::catalogue::{Catalogue, PERSON_CATEGORIES, QUALITY, STYLE_CATEGORIES};
use super::convert::escape;
use super::number::format_weight;
use super::{Dialect, parse_number};
use crate::error::{Error, Result};

/// What stands for the prompt in a custom text and in the styles of a library.
pub(super) const PLACEHOLDER: &str = "{prompt}";
/// How many terms of quality are added.
const QUALITY_TERMS: usize = 3;

/// `Position` says where what was built goes in a prompt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Position {
    /// After the prompt.
    #[default]
    After,
    /// Before the prompt.
    Before,
    /// Where the prompt says `{style}` or `{person}`.
    Placeholder,
}

impl Position {
    /// Every position.
    pub const ALL: [Position; 3] = [Position::After, Position::Before, Position::Placeholder];

    /// The position of a name.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for a name that is none.
    pub fn from_name(name: &str) -> Result<Position> {
        let found = Position::ALL.into_iter().find(|position| position.as_str() == name);
        found.ok_or_else(|| {
            let shown: String = name.chars().take(80).collect();
            Error::invalid_input(format!("\"{shown}\" is no position: after, before or placeholder."))
        })
    }

    /// The name under which it is chosen.
    pub fn as_str(self) -> &'static str {
        match self {
            Position::After => "after",
            Position::Before => "before",
            Position::Placeholder => "placeholder",
        }
    }
}

/// `BuildRequest` is what a person chose.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BuildRequest {
    /// The name of an entry for a category, `none`, or `auto`, which is also what a category has that is not named.
    pub choices: BTreeMap<String, String>,
    /// Words of one's own; those of a style may have a place `{prompt}` for the prompt.
    pub custom: String,
    /// Whether terms of quality are added.
    pub quality: bool,
    /// Whether `auto` draws an entry; else it takes what goes well with the entries that are chosen, or nothing.
    pub randomize: bool,
    /// What decides everything that is drawn.
    pub seed: u64,
    /// The prompt to which it is added; may be empty.
    pub prompt: String,
    /// Where in that prompt.
    pub position: Position,
}

/// `Piece` is a wording that was taken.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Piece {
    /// Its category; `quality` for a term of quality.
    pub category: String,
    /// The name of its entry; empty for a term of quality.
    pub entry: String,
    /// The words.
    pub text: String,
    /// Its weight in the prompt.
    pub weight: f64,
}

/// `LeftOut` is what was chosen and contradicts something that came first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// Its category.
    pub category: String,
    /// The name of its entry.
    pub entry: String,
    /// Why, in a sentence.
    pub because: String,
}

/// `Built` is a prompt with a style or a person in it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Built {
    /// All of it.
    pub prompt: String,
    /// What was built, without the prompt it was added to.
    pub added: String,
    /// The wordings in it.
    pub pieces: Vec<Piece>,
    /// What was chosen and is not in it.
    pub left_out: Vec<LeftOut>,
    /// What a person should know, one sentence each.
    pub notes: Vec<String>,
    /// The seed.
    pub seed: u64,
}

/// Builds a style. `weight` is that of the primary style, 0.1 to 2.
///
/// # Errors
/// [`InvalidInput`](crate::ErrorKind::InvalidInput) for a category or an entry that is not there, and for a weight out of range.
pub fn build_style(catalogue: &Catalogue, request: &BuildRequest, weight: f64) -> Result<Built> {
    if !(0.1..=2.0).contains(&weight) {
        return Err(Error::invalid_input(format!("style_weight: {weight} is not between 0.1 and 2.")));
    }
    let written = format_weight(weight);
    // The weight that stands in the prompt, which has four decimals.
    let weight = parse_number(&written).unwrap_or(weight);
    let mut chosen = choose(catalogue, request, &STYLE_CATEGORIES, QUALITY[0])?;
    let custom = request.custom.trim();
    let is_template = custom.contains(PLACEHOLDER);
    let mut phrases = Vec::new();
    let mut pieces = Vec::new();
    for taken in &chosen.taken {
        let text = escape(&taken.wording.text, Dialect::Comfyui);
        let is_primary = taken.category == STYLE_CATEGORIES[0];
        let is_weighted = is_primary && written != "1";
        phrases.push(if is_weighted { format!("({text}:{written})") } else { text });
        pieces.push(taken.piece(if is_primary { weight } else { 1.0 }));
    }
    if !custom.is_empty() && !is_template {
        // Words of one's own stand right behind the style they belong to.
        let primary =
            usize::from(chosen.taken.first().is_some_and(|taken| taken.category == STYLE_CATEGORIES[0]));
        phrases.insert(primary, chosen.close(custom));
    }
    let added = phrases.join(", ");
    let prompt =
        if is_template { custom.replace(PLACEHOLDER, request.prompt.trim()) } else { request.prompt.clone() };
    let prompt = chosen.attach(&prompt, &added, request.position, "{style}");
    Ok(chosen.built(prompt, added, pieces, request.seed))
}

/// Builds a person.
///
/// # Errors
/// [`InvalidInput`](crate::ErrorKind::InvalidInput) for a category or an entry that is not there.
pub fn build_person(catalogue: &Catalogue, request: &BuildRequest) -> Result<Built> {
    let mut chosen = choose(catalogue, request, &PERSON_CATEGORIES, QUALITY[1])?;
    let pieces: Vec<_> = chosen.taken.iter().map(|taken| taken.piece(1.0)).collect();
    let text = |category: &str| {
        let found = chosen.taken.iter().find(|taken| taken.category == category);
        found.map(|taken| taken.wording.text.as_str())
    };
    let mut phrases: Vec<String> = subject(text("age"), text("gender")).into_iter().collect();
    let hair = hair(text("hair_color"), text("hair_style"));
    for taken in &chosen.taken {
        match taken.category {
            "age" | "gender" => {}
            "hair_color" | "hair_style" if hair.is_some() => {
                if taken.category == "hair_style" {
                    phrases.extend(hair.clone());
                }
            }
            _ => phrases.push(taken.wording.text.clone()),
        }
    }
    let mut phrases: Vec<_> = phrases.iter().map(|phrase| escape(phrase, Dialect::Comfyui)).collect();
    let custom = request.custom.trim();
    if !custom.is_empty() {
        // Terms of quality stand at the end.
        let terms = pieces.iter().filter(|piece| piece.category == choose::QUALITY_CATEGORY).count();
        phrases.insert(phrases.len() - terms, chosen.close(custom));
    }
    let added = phrases.join(", ");
    let prompt = chosen.attach(&request.prompt, &added, request.position, "{person}");
    Ok(chosen.built(prompt, added, pieces, request.seed))
}

/// `Chosen` is what a chooser ended with, and what is said about it.
struct Chosen<'a> {
    taken: Vec<Taken<'a>>,
    left_out: Vec<LeftOut>,
    notes: Vec<String>,
}

impl Chosen<'_> {
    /// A text of a person, with its brackets closed, so that it takes nothing that follows into its own.
    fn close(&mut self, text: &str) -> String {
        let closed = closed(text);
        if matches!(closed, Cow::Owned(_)) {
            self.notes.push("A parenthesis without a partner was escaped.".to_owned());
        }
        closed.into_owned()
    }

    fn attach(&mut self, prompt: &str, added: &str, position: Position, place: &str) -> String {
        let prompt = self.close(prompt);
        if position == Position::Placeholder {
            if prompt.contains(place) {
                return prompt.replace(place, added);
            }
            self.notes.push(format!("The prompt has no {place}, so it was added at the end."));
        }
        if position == Position::Before { join(added, &prompt) } else { join(&prompt, added) }
    }

    fn built(self, prompt: String, added: String, pieces: Vec<Piece>, seed: u64) -> Built {
        Built { prompt, added, pieces, left_out: self.left_out, notes: self.notes, seed }
    }
}

fn choose<'a>(
    catalogue: &'a Catalogue,
    request: &BuildRequest,
    categories: &'static [&'static str],
    quality: &str,
) -> Result<Chosen<'a>> {
    for category in request.choices.keys() {
        if !categories.contains(&category.as_str()) {
            let shown: String = category.chars().take(80).collect();
            let known = categories.join(", ");
            return Err(Error::invalid_input(format!("\"{shown}\" is no category: {known}.")));
        }
    }
    let heard = catalogue.hear(&format!("{}\n{}", request.prompt, request.custom));
    let mut chooser = Chooser::new(catalogue, heard, request.seed);
    chooser.take_chosen(categories, &request.choices)?;
    chooser.take_auto(categories, &request.choices, request.randomize);
    if request.quality {
        chooser.take_quality(quality, QUALITY_TERMS);
    }
    let (taken, left_out, notes) = chooser.end(categories);
    Ok(Chosen { taken, left_out, notes })
}

/// Age and gender as one phrase.
fn subject(age: Option<&str>, gender: Option<&str>) -> Option<String> {
    let words = match (age, gender) {
        (Some(age), gender) => format!("{age} {}", gender.unwrap_or("person")),
        (None, Some(gender)) => gender.to_owned(),
        (None, None) => return None,
    };
    let article = if words.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    Some(format!("{article} {words}"))
}

/// Colour and style of hair as one phrase, where both speak of hair: "long flowing auburn hair".
fn hair(color: Option<&str>, style: Option<&str>) -> Option<String> {
    let (color, style) = (color?, style?);
    let at = style.split(' ').position(|word| word == "hair")?;
    color.ends_with(" hair").then(|| {
        let words = style.split(' ').enumerate();
        words.map(|(index, word)| if index == at { color } else { word }).collect::<Vec<_>>().join(" ")
    })
}

/// Two texts with a comma between them, where both say something.
pub(super) fn join(first: &str, second: &str) -> String {
    let (before, after) = (first.trim_end(), second.trim_start());
    if before.is_empty() || after.is_empty() {
        return format!("{before}{after}");
    }
    format!("{}, {after}", before.trim_end_matches([',', ' ']))
}

/// The text with a backslash before each parenthesis that has no partner: else it would take what stands beside it.
pub(super) fn closed(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let (mut open, mut alone) = (Vec::new(), Vec::new());
    for at in memchr::memchr2_iter(b'(', b')', bytes) {
        if at > 0 && bytes[at - 1] == b'\\' {
            continue;
        }
        if bytes[at] == b'(' {
            open.push(at);
        } else if open.pop().is_none() {
            alone.push(at);
        }
    }
    alone.extend(open);
    if alone.is_empty() {
        return Cow::Borrowed(text);
    }
    alone.sort_unstable();
    let mut closed = String::with_capacity(text.len() + alone.len());
    let mut from = 0;
    for at in alone {
        closed.push_str(&text[from..at]);
        closed.push('\\');
        from = at;
    }
    closed.push_str(&text[from..]);
    Cow::Owned(closed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_is_named_with_the_right_article() {
        assert_eq!(subject(Some("elderly"), Some("woman")).unwrap(), "an elderly woman");
        assert_eq!(subject(Some("young"), None).unwrap(), "a young person");
        assert_eq!(subject(None, None), None);
    }

    #[test]
    fn hair_is_one_phrase_where_both_speak_of_it() {
        assert_eq!(
            hair(Some("auburn hair"), Some("long hair tied back")).unwrap(),
            "long auburn hair tied back"
        );
        assert_eq!(hair(Some("auburn hair"), Some("loose waves")), None);
        assert_eq!(hair(None, Some("long hair")), None);
    }

    #[test]
    fn only_parentheses_without_a_partner_are_escaped() {
        assert_eq!(closed(r"(a:1.2) \( b)"), r"(a:1.2) \( b\)");
        assert_eq!(closed("((a)"), r"\((a)");
        assert!(matches!(closed("(a) (b)"), Cow::Borrowed(_)));
    }

    #[test]
    fn a_comma_stands_between_two_texts_and_only_there() {
        assert_eq!(join("a cat, ", "ink"), "a cat, ink");
        assert_eq!(join("", "ink"), "ink");
        assert_eq!(join("a cat\n", ""), "a cat");
    }
}
