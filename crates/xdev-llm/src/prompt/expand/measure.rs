//! How many texts each piece of a template stands for, how long they get, and whether a wildcard leads to itself.

use std::collections::HashMap;

use super::{Pick, Piece};
use crate::error::{Error, Result};

/// The longest prompt, in bytes.
const MAX_LENGTH: u64 = 64 << 20;
/// The most pieces that one prompt goes through: variables in variables double with each.
const MAX_STEPS: u64 = 10_000_000;
/// The largest table of a choice that takes several: options times how many.
const MAX_WAYS: usize = 1_000_000;

/// `Measure` is what is known of a piece before any text is made.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Measure {
    pub(super) count: u128,
    /// The most bytes.
    pub(super) longest: u64,
    /// The most pieces that are gone through.
    steps: u64,
    /// Whether it sets or reads a variable, so that its text depends on more than its index.
    pub(super) has_variables: bool,
}

/// Measures every piece that the root needs, parts before what they are in; fills in `ends` and `ways`.
///
/// `names` are those of wildcards, for what is said of one that leads to itself.
pub(super) fn measure(
    pieces: &mut [Piece],
    root: usize,
    names: &HashMap<usize, String>,
) -> Result<Vec<Measure>> {
    let mut measures = vec![Measure::default(); pieces.len()];
    let mut slots: HashMap<usize, u64> = HashMap::new();
    let mut is_open = vec![false; pieces.len()];
    let mut open = vec![(root, 0)];
    is_open[root] = true;
    while let Some((piece, next)) = open.last_mut() {
        let piece = *piece;
        if let Some(part) = pieces[piece].parts().get(*next).copied() {
            *next += 1;
            if is_open[part] {
                return Err(circle(part, &open, names));
            }
            // Every piece stands for one text at least, so a count of 0 is one that was not measured.
            if measures[part].count == 0 {
                is_open[part] = true;
                open.push((part, 0));
            }
            continue;
        }
        measures[piece] = measured(&mut pieces[piece], &measures, &mut slots)?;
        is_open[piece] = false;
        open.pop();
    }
    let whole = &measures[root];
    if whole.longest > MAX_LENGTH || whole.steps > MAX_STEPS {
        return Err(Error::invalid_input(
            "A prompt of this template would be larger than 64 MiB: variables or wildcards in it multiply. Use fewer.",
        ));
    }
    Ok(measures)
}

fn circle(part: usize, open: &[(usize, usize)], names: &HashMap<usize, String>) -> Error {
    let around = open.iter().skip_while(|(piece, _)| *piece != part);
    let mut chain: Vec<String> =
        around.filter_map(|(piece, _)| names.get(piece)).map(|name| format!("__{name}__")).collect();
    chain.extend(chain.first().cloned());
    Error::invalid_input(format!("A wildcard leads to itself: {}. Break the circle.", chain.join(" -> ")))
}

fn measured(piece: &mut Piece, measures: &[Measure], slots: &mut HashMap<usize, u64>) -> Result<Measure> {
    let mut measure = Measure { count: 1, longest: 0, steps: 1, has_variables: false };
    let parts: Vec<Measure> = piece.parts().iter().map(|part| measures[*part]).collect();
    measure.has_variables = parts.iter().any(|part| part.has_variables);
    let widest = parts.iter().map(|part| part.longest).max().unwrap_or_default();
    let deepest = parts.iter().map(|part| part.steps).max().unwrap_or_default();
    match piece {
        Piece::Text(range) => measure.longest = range.len() as u64,
        Piece::Sequence(_) => {
            for part in parts {
                measure.count = measure.count.saturating_mul(part.count);
                measure.longest = measure.longest.saturating_add(part.longest);
                measure.steps = measure.steps.saturating_add(part.steps);
            }
        }
        Piece::Choice { ends, .. } => {
            measure.count = 0;
            *ends = parts
                .iter()
                .map(|part| {
                    measure.count = measure.count.saturating_add(part.count);
                    measure.count
                })
                .collect();
            (measure.longest, measure.steps) = (widest, deepest.saturating_add(1));
        }
        Piece::Pick(pick) => {
            measure.count = ways(pick, &parts)?;
            let most = pick.most as u64;
            measure.longest = widest.saturating_add(pick.separator.len() as u64).saturating_mul(most);
            measure.steps = deepest.saturating_mul(most).saturating_add(pick.options.len() as u64);
        }
        Piece::Set { slot, value } => {
            let value = measures[*value];
            slots.insert(*slot, value.longest);
            (measure.count, measure.steps) = (value.count, value.steps.saturating_add(1));
            // It is kept beside the text, and takes as much memory.
            measure.longest = value.longest;
            measure.has_variables = true;
        }
        Piece::Get(slot) => {
            // What is read was set before it in the text, and is measured by then.
            measure.longest = slots.get(slot).copied().unwrap_or_default();
            measure.has_variables = true;
        }
    }
    Ok(measure)
}

/// Counts the texts of a pick: those with `k` of the options from each one on, from the last to the first.
fn ways(pick: &mut Pick, parts: &[Measure]) -> Result<u128> {
    let options = parts.len();
    pick.most = pick.most.min(options);
    pick.least = pick.least.min(pick.most);
    let width = pick.most + 1;
    if options.saturating_mul(width) > MAX_WAYS {
        return Err(Error::invalid_input(format!(
            "{} of {options} options are more than can be counted. Take fewer with {{1-3$$…}}.",
            pick.most
        )));
    }
    let mut ways = vec![0_u128; (options + 1) * width];
    ways[options * width] = 1;
    for (at, part) in parts.iter().enumerate().rev() {
        ways[at * width] = 1;
        for taken in 1..width {
            let with = part.count.saturating_mul(ways[(at + 1) * width + taken - 1]);
            ways[at * width + taken] = with.saturating_add(ways[(at + 1) * width + taken]);
        }
    }
    let count = ways[pick.least..=pick.most].iter().fold(0, |sum: u128, each| sum.saturating_add(*each));
    pick.ways = ways;
    Ok(count)
}
