//! An analysis in words, for people: at three levels, one fact a line.
//!
//! Not here: the facts (`analyze`).

use std::fmt::Write;

use super::super::{CHUNK, Chunk, format_weight};
use super::{Analysis, Problem, excerpt};
use crate::error::{Error, Result};

/// How many entries of a list are shown.
const SHOWN: usize = 10;
/// How many words are shown as the most frequent.
const FREQUENT: usize = 5;
/// How wide a chunk's bar is.
const BAR: usize = 30;

/// `Level` says how much is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Level {
    /// Counts, tokens, problems.
    Basic,
    /// Also means, weights, tags, duplicates and conflicts.
    #[default]
    Detailed,
    /// Also the most frequent words, keywords by category and readability.
    Comprehensive,
}

impl Level {
    /// Every level.
    pub const ALL: [Level; 3] = [Level::Basic, Level::Detailed, Level::Comprehensive];

    /// The level of a name.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for a name that is none.
    pub fn from_name(name: &str) -> Result<Level> {
        let found = Level::ALL.into_iter().find(|level| level.as_str() == name);
        let wrong =
            || Error::invalid_input(format!("\"{name}\" is no level: basic, detailed or comprehensive."));
        found.ok_or_else(wrong)
    }

    /// The name under which it is chosen.
    pub fn as_str(self) -> &'static str {
        match self {
            Level::Basic => "basic",
            Level::Detailed => "detailed",
            Level::Comprehensive => "comprehensive",
        }
    }
}

/// `Report` says what is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// How much.
    pub level: Level,
    /// Whether weights are; never at the basic level.
    pub weights: bool,
    /// Whether the most frequent words are, at any level.
    pub frequency: bool,
    /// Whether problems are, at any level.
    pub problems: bool,
}

impl Report {
    /// What belongs to a level.
    pub fn at(level: Level) -> Report {
        Report { level, weights: true, frequency: level == Level::Comprehensive, problems: true }
    }
}

impl Analysis {
    /// The analysis in words, without a line end at its end.
    pub fn report(&self, wanted: &Report) -> String {
        let mut lines = vec![
            format!("Words: {} ({} different)", self.words, self.unique_words),
            format!("Phrases: {}", self.phrases),
            format!("Characters: {}", self.characters),
            format!("Complexity: {} of 10", self.complexity),
        ];
        self.tell_tokens(&mut lines);
        if wanted.level != Level::Basic {
            self.tell_details(&mut lines, wanted.weights);
        }
        if wanted.frequency {
            let frequent = self.frequency.iter().take(FREQUENT);
            list(&mut lines, "Frequent words", frequent.map(|(word, count)| format!("{word} ({count})")));
        }
        if wanted.level == Level::Comprehensive {
            self.tell_all(&mut lines);
        }
        if wanted.problems && !self.problems.is_empty() {
            lines.push("Problems:".to_owned());
            lines.extend(self.problems.iter().map(problem));
        }
        lines.join("\n")
    }

    fn tell_tokens(&self, lines: &mut Vec<String>) {
        let verdict = if self.within_limit { "within" } else { "over" };
        let chunks = &self.clip.chunks;
        let many = if chunks.len() == 1 { "chunk" } else { "chunks" };
        lines.push(format!(
            "CLIP tokens: {}, {verdict} the limit of {}, in {} {many}",
            self.clip.tokens,
            self.token_limit,
            chunks.len()
        ));
        lines.extend(chunks.iter().take(SHOWN).enumerate().map(|(number, chunk)| bar(number + 1, chunk)));
        rest_of(lines, chunks.len());
        for pair in chunks[..chunks.len().min(SHOWN)].windows(2) {
            lines.push(format!("  cut: …{} | {}…", pair[0].ends, pair[1].begins));
        }
    }

    fn tell_details(&self, lines: &mut Vec<String>, weights: bool) {
        lines.push(format!(
            "Averages: {} characters a word, {} words a phrase",
            self.average_word_length, self.average_phrase_words
        ));
        lines.push(format!("Nesting: {}", self.nesting));
        if weights {
            self.tell_weights(lines);
        }
        let loras = self.loras.iter().map(|lora| match lora.strength {
            Some(strength) => format!("{} {}", lora.name, format_weight(strength)),
            None => lora.name.clone(),
        });
        list(lines, "LoRAs", loras);
        list(lines, "Embeddings", self.embeddings.iter().cloned());
        list(lines, "Wildcards", self.wildcards.iter().cloned());
        list(lines, "Variables", self.variables.iter().cloned());
        list(
            lines,
            "Choices",
            self.choices.iter().map(|choice| format!("{} ({})", choice.text, choice.options)),
        );
        list(lines, "Schedules", self.schedules.iter().map(|schedule| schedule.text.clone()));
        let counts = [
            ("Alternations", self.alternations),
            ("BREAK", self.breaks),
            ("AND", self.ands),
            ("Comments", self.comments),
        ];
        lines.extend(
            counts.iter().filter(|(_, count)| *count > 0).map(|(name, count)| format!("{name}: {count}")),
        );
        let duplicates = self.duplicates.iter();
        list(lines, "Duplicates", duplicates.map(|twice| format!("{} ({} times)", twice.text, twice.count)));
        let conflicts = self.conflicts.iter();
        list(
            lines,
            "Conflicts",
            conflicts.map(|conflict| format!("{} and {}", conflict.first, conflict.second)),
        );
    }

    fn tell_weights(&self, lines: &mut Vec<String>) {
        let weights = &self.weights;
        if let (Some(min), Some(max), Some(mean)) = (weights.min, weights.max, weights.mean) {
            let (min, max, mean) = (format_weight(min), format_weight(max), format_weight(mean));
            lines.push(format!("Weights: {}, from {min} to {max}, mean {mean}", weights.count));
            let shown = weights.pieces.iter().take(SHOWN);
            lines.extend(shown.map(|(text, weight)| format!("  {} {text}", format_weight(*weight))));
            rest_of(lines, weights.pieces.len());
        }
    }

    fn tell_all(&self, lines: &mut Vec<String>) {
        for (category, words) in &self.keywords {
            list(lines, &format!("Keywords, {category}"), words.iter().cloned());
        }
        if let Some(ease) = self.readability {
            lines.push(format!("Reading ease: {ease} (Flesch; 60 to 70 is plain English)"));
        }
    }
}

fn list(lines: &mut Vec<String>, name: &str, entries: impl ExactSizeIterator<Item = String>) {
    let count = entries.len();
    if count == 0 {
        return;
    }
    let shown: Vec<_> = entries.take(SHOWN).map(|entry| excerpt(&entry)).collect();
    let mut line = format!("{name}: {}", shown.join(", "));
    if count > SHOWN {
        let _ = write!(line, ", and {} more", count - SHOWN);
    }
    lines.push(line);
}

/// Says how many of a list are not shown.
fn rest_of(lines: &mut Vec<String>, count: usize) {
    if count > SHOWN {
        lines.push(format!("  and {} more", count - SHOWN));
    }
}

fn bar(number: usize, chunk: &Chunk) -> String {
    let filled = (chunk.tokens * BAR).div_ceil(CHUNK);
    let bar = "#".repeat(filled) + &".".repeat(BAR - filled);
    format!("  {number} [{bar}] {} of {CHUNK}", chunk.tokens)
}

fn problem(problem: &Problem) -> String {
    let message = &problem.message;
    match problem.position {
        Some(at) => format!("  line {}, column {}: {message}", at.line, at.column),
        None => format!("  {message}"),
    }
}
