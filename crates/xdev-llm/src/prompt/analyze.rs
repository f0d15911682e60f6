//! What there is to say about a prompt: its words, weights, tags, tokens, and what is probably a mistake.
//!
//! Nothing is changed and nothing refused: what is wrong is listed with its place. Not here: how it is put into words
//! (`report`), the words that are known (`lexicon`), tokens (`clip`).

mod lexicon;
mod phrases;
mod problems;
mod prose;
mod report;
mod terms;
mod walk;

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use super::{
    ClipCount, Dialect, EmbeddingSizes, Kind, Prompt, Weighted, count_clip_chunks, effective_weights,
};
use lexicon::Lexicon;
use walk::Walk;

pub use phrases::Duplicate;
pub use problems::{Place, Problem};
pub use report::{Level, Report};
pub use terms::Conflict;

/// About how many characters of a place are shown.
const EXCERPT: usize = 80;
/// How many of the most frequent words are listed.
const MAX_FREQUENT: usize = 100;

/// `AnalysisOptions` say how a prompt is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnalysisOptions {
    /// What brackets mean.
    pub dialect: Dialect,
    /// How many tokens are wanted at most.
    pub limit: usize,
    /// How many tokens embeddings stand for.
    pub embeddings: EmbeddingSizes,
}

impl Default for AnalysisOptions {
    fn default() -> Self {
        AnalysisOptions {
            dialect: Dialect::default(),
            limit: super::CHUNK,
            embeddings: EmbeddingSizes::new(),
        }
    }
}

/// `Analysis` is what was found in a prompt.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Analysis {
    /// Words outside of tags, comments and names; those of every option count.
    pub words: usize,
    /// Different words.
    pub unique_words: usize,
    /// What stands between separators; a phrase in brackets counts for those inside.
    pub phrases: usize,
    /// Unicode characters of the whole text.
    pub characters: usize,
    /// The mean length of words, in characters.
    pub average_word_length: f64,
    /// The mean number of words of phrases.
    pub average_phrase_words: f64,
    /// How deep brackets nest.
    pub nesting: usize,
    /// From 0 to 10: `0.1 words + 0.3 phrases + 0.5 weighted pieces + 0.001 characters`, and no more.
    pub complexity: f64,
    /// The pieces whose weight is not 1.
    pub weights: WeightStatistics,
    /// `<lora:name:0.8>` and the like.
    pub loras: Vec<Lora>,
    /// The names of embeddings.
    pub embeddings: Vec<String>,
    /// The names of wildcards.
    pub wildcards: Vec<String>,
    /// The names of variables.
    pub variables: Vec<String>,
    /// `{a|b}`
    pub choices: Vec<ChoiceSummary>,
    /// `[from:to:when]`
    pub schedules: Vec<Schedule>,
    /// How many `[a|b]` there are.
    pub alternations: usize,
    /// How many comments.
    pub comments: usize,
    /// How many `BREAK`s.
    pub breaks: usize,
    /// How many `AND`s.
    pub ands: usize,
    /// Phrases that stand there more than once.
    pub duplicates: Vec<Duplicate>,
    /// Terms that do not go together.
    pub conflicts: Vec<Conflict>,
    /// What is probably a mistake, and where.
    pub problems: Vec<Problem>,
    /// Flesch's reading ease of prose.
    pub readability: Option<f64>,
    /// The most frequent words without function words, the most frequent first; 100 at most.
    pub frequency: Vec<(String, usize)>,
    /// Keywords that are known, by category.
    pub keywords: BTreeMap<String, Vec<String>>,
    /// The tokens of CLIP, chunk by chunk.
    pub clip: ClipCount,
    /// How many tokens are wanted at most.
    pub token_limit: usize,
    /// Whether there are no more.
    pub within_limit: bool,
}

/// `WeightStatistics` are about the pieces whose weight is not 1.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct WeightStatistics {
    /// How many there are.
    pub count: usize,
    /// The smallest; none where there is no piece.
    pub min: Option<f64>,
    /// The greatest.
    pub max: Option<f64>,
    /// The mean.
    pub mean: Option<f64>,
    /// Each piece, shortened, and its weight.
    pub pieces: Vec<(String, f64)>,
}

/// `Lora` is a tag that loads a network.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Lora {
    /// `lora`, `lyco` or `hypernet`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// The first number behind the name.
    pub strength: Option<f64>,
}

/// `ChoiceSummary` is a `{a|b}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChoiceSummary {
    /// As it is written, shortened.
    pub text: String,
    /// How many options it has.
    pub options: usize,
}

/// `Schedule` is a `[from:to:when]`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Schedule {
    /// As it is written, shortened.
    pub text: String,
    /// The step or the fraction of the steps; none where the number is not finite.
    pub when: Option<f64>,
}

/// Looks at a prompt. It takes time linear in the text, whatever is nested in it.
pub fn analyze(text: &str, options: &AnalysisOptions) -> Analysis {
    let prompt = Prompt::parse(text, options.dialect);
    let walk = Walk::over(&prompt);
    let phrases = phrases::all(&prompt, options.dialect);
    let weighted = effective_weights(text, options.dialect);
    // Where a weight cannot be, the tokens are those of the text as it stands.
    let plain = || vec![(text.into(), 1.0)];
    let clip = match &weighted {
        Ok(pieces) => count_clip_chunks(pieces, options.dialect, &options.embeddings),
        Err(_) => count_clip_chunks(&plain(), options.dialect, &options.embeddings),
    };
    let weights = weighted.as_deref().map(weight_statistics).unwrap_or_default();
    let (conflicts, keywords) = terms::find(&walk);
    let characters = text.chars().count();
    let letters: usize = walk.words.iter().map(|word| word.text.chars().count()).sum();
    let counted = count_words(&walk);
    let mut analysis = Analysis {
        words: walk.words.len(),
        unique_words: counted.len(),
        phrases: phrases.len(),
        characters,
        average_word_length: mean(letters, walk.words.len()),
        average_phrase_words: mean(walk.words.len(), phrases.len()),
        nesting: walk.nesting,
        complexity: complexity(walk.words.len(), phrases.len(), weights.count, characters),
        weights,
        loras: Vec::new(),
        embeddings: Vec::new(),
        wildcards: Vec::new(),
        variables: Vec::new(),
        choices: Vec::new(),
        schedules: Vec::new(),
        alternations: 0,
        comments: 0,
        breaks: 0,
        ands: 0,
        duplicates: phrases::duplicates(&prompt, &phrases, options.dialect),
        conflicts,
        problems: problems::find(&prompt, &walk, weighted.err().as_ref()),
        readability: prose::reading_ease(text, phrases.len()),
        frequency: frequency(counted),
        keywords,
        within_limit: clip.tokens <= options.limit,
        clip,
        token_limit: options.limit,
    };
    analysis.take_tags(&prompt);
    analysis
}

impl Analysis {
    /// Puts down every node that is more than text.
    fn take_tags(&mut self, prompt: &Prompt) {
        for (index, node) in prompt.nodes().iter().enumerate() {
            match &node.kind {
                Kind::Lora => self.loras.push(lora(prompt.text(index))),
                Kind::Embedding => self.embeddings.push(prompt.name(index).to_owned()),
                Kind::Wildcard => self.wildcards.push(prompt.name(index).to_owned()),
                Kind::Variable => self.variables.push(prompt.name(index).to_owned()),
                Kind::Choice => {
                    let bars = prompt.children(index).filter(|child| prompt.node(*child).kind == Kind::Bar);
                    let options = bars.count() + 1;
                    self.choices.push(ChoiceSummary { text: excerpt(prompt.text(index)), options });
                }
                Kind::Schedule(when) => self.schedules.push(Schedule {
                    text: excerpt(prompt.text(index)),
                    when: Some(when.value).filter(|when| when.is_finite()),
                }),
                Kind::Alternate => self.alternations += 1,
                Kind::Comment => self.comments += 1,
                Kind::Break => self.breaks += 1,
                Kind::And => self.ands += 1,
                _ => {}
            }
        }
    }
}

/// `<lora:name:0.8>`, `<lora:name:0.8:0.6>` or `<lora:name>`.
fn lora(tag: &str) -> Lora {
    let inside = tag.trim_start_matches('<').trim_end_matches('>');
    let (kind, rest) = inside.split_once(':').unwrap_or((inside, ""));
    let (name, numbers) = rest.split_once(':').unwrap_or((rest, ""));
    let strength =
        numbers.split(':').next().and_then(super::parse_number).filter(|number| number.is_finite());
    Lora { kind: kind.to_owned(), name: name.to_owned(), strength }
}

fn weight_statistics(pieces: &[Weighted<'_>]) -> WeightStatistics {
    let is_plain = |weight: f64| (weight - 1.0).abs() < f64::EPSILON;
    // AUTOMATIC1111's `BREAK` has the weight -1 and is no piece of the picture.
    let weighted = pieces.iter().filter(|(text, weight)| !is_plain(*weight) && text != "BREAK");
    let pieces: Vec<_> = weighted
        .filter(|(text, _)| !text.trim().is_empty())
        .map(|(text, weight)| (excerpt(text.trim()), *weight))
        .collect();
    let weights = pieces.iter().map(|(_, weight)| *weight);
    let count = to_float(pieces.len());
    WeightStatistics {
        count: pieces.len(),
        min: weights.clone().reduce(f64::min),
        max: weights.clone().reduce(f64::max),
        mean: (count > 0.0).then(|| weights.map(|weight| weight / count).sum()),
        pieces,
    }
}

fn complexity(words: usize, phrases: usize, weights: usize, characters: usize) -> f64 {
    let parts = [(0.1, words), (0.3, phrases), (0.5, weights), (0.001, characters)];
    let sum: f64 = parts.iter().map(|(factor, count)| factor * to_float(*count)).sum();
    round(sum.min(10.0))
}

fn count_words(walk: &Walk) -> HashMap<&str, (usize, usize)> {
    let mut counts = HashMap::new();
    for (number, word) in walk.words.iter().enumerate() {
        counts.entry(word.text.as_str()).or_insert((0, number)).0 += 1;
    }
    counts
}

/// The most frequent words first; of those that are as frequent, the one that came first.
fn frequency(counts: HashMap<&str, (usize, usize)>) -> Vec<(String, usize)> {
    let stop_words = &Lexicon::get().stop_words;
    let is_telling = |word: &str| word.chars().nth(1).is_some() && !stop_words.contains(word);
    let mut counts: Vec<_> = counts.into_iter().filter(|(word, _)| is_telling(word)).collect();
    counts.sort_unstable_by_key(|(_, (count, first))| (std::cmp::Reverse(*count), *first));
    counts.truncate(MAX_FREQUENT);
    counts.into_iter().map(|(word, (count, _))| (word.to_owned(), count)).collect()
}

fn mean(sum: usize, count: usize) -> f64 {
    if count == 0 { 0.0 } else { round(to_float(sum) / to_float(count)) }
}

fn round(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}

#[expect(clippy::cast_precision_loss, reason = "no text has so many words")]
fn to_float(count: usize) -> f64 {
    count as f64
}

/// The first characters of a text, in one line.
fn excerpt(text: &str) -> String {
    let end = text.char_indices().nth(EXCERPT).map(|(at, _)| at);
    let kept = text[..end.unwrap_or(text.len())].split_whitespace().collect::<Vec<_>>().join(" ");
    if end.is_some() { kept + "…" } else { kept }
}
