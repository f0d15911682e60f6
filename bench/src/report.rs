//! The table: medians over rounds, ratios inside a round.
//!
//! Not here: the plot (`plot`).

use std::collections::BTreeSet;
use std::fmt::Write;

use crate::driver::{Outcome, Taken};
use crate::scenario::{Client, Measure, Row};

/// The median; of an even number, the mean of the middle two.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

/// What a client shows in a row, in the row's unit; `None` where it has no value.
pub(crate) fn value(outcome: &Outcome, row: &Row, client: Client) -> Option<f64> {
    let rounds = outcome.taken.get(&client)?;
    let unit = outcome.scenario.unit;
    let tokens = outcome.scenario.tokens as f64;
    let seconds = |taken: &Taken| taken.seconds;
    let values: Vec<f64> = match row.measure {
        Measure::Time => rounds.iter().flatten().map(|taken| unit.of_seconds(taken.seconds)).collect(),
        Measure::Cpu => rounds.iter().flatten().map(|taken| taken.cpu_seconds * 1e6 / tokens).collect(),
        Measure::Peak => vec![rounds.iter().flatten().map(|taken| taken.peak_kib).max()? as f64 / 1024.0],
        Measure::OverRaw if matches!(client, Client::Raw | Client::RawBody) => return None,
        Measure::OverRaw => {
            let raw = outcome.scenario.raw(client);
            pairs(outcome, client, raw, seconds).map(|(own, raw)| unit.of_seconds(own - raw)).collect()
        }
        Measure::Share(other) if other == client => return None,
        Measure::Share(other) => {
            pairs(outcome, client, other, seconds).map(|(own, other)| own / other).collect()
        }
    };
    (!values.is_empty()).then(|| median(values))
}

/// How many times our value a client's is, inside the rounds both took part in.
fn ratio(outcome: &Outcome, row: &Row, client: Client) -> Option<f64> {
    let of = |taken: &Taken| match row.measure {
        Measure::Time => Some(taken.seconds),
        Measure::Cpu => Some(taken.cpu_seconds),
        Measure::Peak => Some(taken.peak_kib as f64),
        Measure::OverRaw | Measure::Share(_) => None,
    };
    if client == Client::XdevLlm {
        return None;
    }
    let ratios: Vec<f64> =
        pairs(outcome, client, Client::XdevLlm, of).filter_map(|(other, own)| Some(other? / own?)).collect();
    (!ratios.is_empty()).then(|| median(ratios))
}

/// What two clients took in the rounds that both took part in.
fn pairs<'a, T: 'a>(
    outcome: &'a Outcome,
    one: Client,
    other: Client,
    of: impl Fn(&Taken) -> T + 'a,
) -> impl Iterator<Item = (T, T)> + 'a {
    let rounds = |client| outcome.taken.get(&client).map_or(&[][..], Vec::as_slice);
    rounds(one)
        .iter()
        .zip(rounds(other))
        .filter_map(move |(one, other)| Some((of(one.as_ref()?), of(other.as_ref()?))))
}

/// The table in Markdown: a peer's value, and in brackets how many times ours it is.
pub(crate) fn table(outcomes: &[Outcome]) -> String {
    let clients: BTreeSet<Client> =
        outcomes.iter().flat_map(|outcome| outcome.taken.keys().copied()).collect();
    let peers: Vec<Client> = clients.into_iter().filter(|client| *client != Client::XdevLlm).collect();
    let names: Vec<&str> = peers.iter().map(|client| client.name()).collect();
    let mut table = format!("| what | xdev-llm | goal | met | {} |\n|---|--:|--:|:-:|", names.join(" | "));
    table.push_str(&"--:|".repeat(peers.len()));
    table.push('\n');
    for outcome in outcomes {
        for row in outcome.scenario.rows {
            let own = value(outcome, row, Client::XdevLlm);
            let met = match (own, row.goal) {
                (Some(own), Some(goal)) if own <= goal => "yes",
                (Some(_), Some(_)) => "**no**",
                _ => "",
            };
            let goal = row.goal.map(show).unwrap_or_default();
            let name = name(outcome, row);
            let own = own.map_or("-".into(), show);
            let _ = write!(table, "| {name} | **{own}** | {goal} | {met} |");
            for &peer in &peers {
                let shown = value(outcome, row, peer).map(show).unwrap_or_default();
                let ratio = ratio(outcome, row, peer).map(|ratio| format!(" ({}x)", show(ratio)));
                let _ = write!(table, " {shown}{} |", ratio.unwrap_or_default());
            }
            table.push('\n');
        }
    }
    table
}

/// What a row is called, with its unit.
pub(crate) fn name(outcome: &Outcome, row: &Row) -> String {
    let (id, title) = (outcome.scenario.id, outcome.scenario.title);
    let unit = outcome.scenario.unit.name();
    match row.measure {
        Measure::Time => format!("{id}. {title}, {unit}"),
        Measure::OverRaw => format!("{id}. {title}, {unit} over raw"),
        Measure::Cpu => format!("{id}. {title}, CPU s per million tokens"),
        Measure::Peak => format!("{id}. {title}, peak memory in MiB"),
        Measure::Share(other) => format!("{id}. {title}, as a share of {}", other.name()),
    }
}

/// Three digits.
pub(crate) fn show(value: f64) -> String {
    let digits = match value.abs() {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        _ => 2,
    };
    format!("{value:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Unit;

    #[test]
    fn medians_are_the_middle() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]).to_bits(), 2.0_f64.to_bits());
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]).to_bits(), 2.5_f64.to_bits());
    }

    #[test]
    fn ratios_are_taken_inside_a_round() {
        let scenario = &crate::scenario::SCENARIOS[0];
        let taken = |seconds| Some(Taken { seconds, cpu_seconds: 0.0, peak_kib: 0 });
        // The second round was slow for all: the middle of the ratios does not see it.
        let rounds = |times: [Option<Taken>; 3]| times.to_vec();
        let outcome = Outcome {
            scenario,
            taken: [
                (Client::XdevLlm, rounds([taken(50e-6), taken(500e-6), taken(50e-6)])),
                (Client::Raw, rounds([taken(40e-6), taken(400e-6), None])),
            ]
            .into(),
        };
        let time = scenario.rows[0];
        assert_eq!(show(ratio(&outcome, &time, Client::Raw).unwrap()), "0.80");
        assert_eq!(show(value(&outcome, &scenario.rows[1], Client::XdevLlm).unwrap()), "55.0");
        assert_eq!(value(&outcome, &scenario.rows[1], Client::Raw), None);
        assert_eq!(scenario.unit, Unit::Microseconds);
    }
}
