//! How easy prose is to read. A list of tags is no prose and has no such number.
//!
//! Not here: the words of a prompt (`walk`).

use super::to_float;
use super::walk::words;

/// A text whose phrases are shorter on average is a list.
const MIN_PHRASE: f64 = 4.0;

/// Flesch's reading ease: `206.835 - 1.015 words/sentences - 84.6 syllables/words`; 60 to 70 is plain English. None for a
/// text without sentences, for a list, and for one that is not in Latin letters.
pub(super) fn reading_ease(text: &str, phrases: usize) -> Option<f64> {
    let is_latin =
        |word: &str| word.chars().all(|letter| u32::from(letter) < 0x250 || !letter.is_alphabetic());
    let sentences = sentences(text);
    let (mut count, mut syllables) = (0_u32, 0_u32);
    for (_, word) in words(text) {
        if !is_latin(word) {
            return None;
        }
        count = count.saturating_add(1);
        syllables = syllables.saturating_add(syllables_of(word));
    }
    let (count, syllables) = (f64::from(count), f64::from(syllables));
    if sentences == 0 || count / to_float(phrases.max(1)) < MIN_PHRASE {
        return None;
    }
    let ease = 206.835 - 1.015 * count / to_float(sentences) - 84.6 * syllables / count;
    Some((ease * 10.0).round() / 10.0)
}

/// How many marks end a sentence: those before white space or the end.
fn sentences(text: &str) -> usize {
    let marks = text.match_indices(['.', '!', '?']);
    marks.filter(|(at, _)| text[at + 1..].chars().next().is_none_or(char::is_whitespace)).count()
}

/// Groups of vowels; an "e" at the end is silent, but not after a consonant and "l".
fn syllables_of(word: &str) -> u32 {
    let is_vowel = |character: char| "aeiouyäöüàâéèêëîïôùûáíóú".contains(character);
    let word = word.to_lowercase();
    let (mut count, mut was_vowel) = (0, false);
    for character in word.chars() {
        let vowel = is_vowel(character);
        count += u32::from(vowel && !was_vowel);
        was_vowel = vowel;
    }
    let is_silent = word.ends_with('e') && !word.ends_with("le") && !word.ends_with("ee");
    if count > 1 && is_silent { count - 1 } else { count.max(1) }
}
