//! The plot: one bar a client and time, on a logarithmic scale, as SVG.
//!
//! Not here: the numbers (`report`).

use std::fmt::Write;

use crate::driver::Outcome;
use crate::report::{name, show, value};
use crate::scenario::{Client, Measure, Row};

const LEFT: f64 = 130.0;
const WIDTH: f64 = 560.0;
const BAR: f64 = 16.0;

/// Draws all rows but the differences and shares, one group of bars each; the goal is a line.
pub(crate) fn draw(outcomes: &[Outcome]) -> String {
    let mut marks = String::from(
        "<text x=\"10\" y=\"16\">Each group is logarithmic by itself. Dashed: the goal.</text>\n",
    );
    let mut y = 44.0;
    for outcome in outcomes {
        for row in outcome.scenario.rows {
            if !matches!(row.measure, Measure::OverRaw | Measure::Share(_)) {
                group(&mut marks, &mut y, outcome, row);
            }
        }
    }
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {:.0} {y:.0}" font-family="sans-serif" font-size="12">
<rect width="100%" height="100%" fill="#ffffff"/>
{marks}</svg>
"##,
        LEFT + WIDTH + 90.0
    )
}

fn group(marks: &mut String, y: &mut f64, outcome: &Outcome, row: &Row) {
    let bars: Vec<(Client, f64)> = outcome
        .taken
        .keys()
        .filter_map(|&client| Some((client, value(outcome, row, client)?)))
        .filter(|(_, value)| *value > 0.0)
        .collect();
    let all = bars.iter().map(|(_, value)| *value).chain(row.goal);
    let (low, high) =
        all.fold((f64::INFINITY, 0.0_f64), |(low, high), value| (low.min(value), high.max(value)));
    let (low, high) = (low.log10() - 0.3, high.log10());
    let place = |value: f64| WIDTH * (value.log10() - low) / (high - low).max(0.1);
    let _ = writeln!(marks, r#"<text x="10" y="{y:.0}" font-weight="bold">{}</text>"#, name(outcome, row));
    let top = *y + 6.0;
    *y = top;
    for (client, value) in bars {
        let fill = if client == Client::XdevLlm { "#1f6feb" } else { "#b8c0cc" };
        let (length, middle) = (place(value), *y + 11.0);
        let _ = writeln!(
            marks,
            r#"<text x="{:.0}" y="{middle:.0}" text-anchor="end">{}</text><rect x="{LEFT}" y="{y:.0}" width="{length:.1}" height="12" fill="{fill}"/><text x="{:.1}" y="{middle:.0}">{}</text>"#,
            LEFT - 6.0,
            client.name(),
            LEFT + length + 5.0,
            show(value)
        );
        *y += BAR;
    }
    if let Some(goal) = row.goal {
        let x = LEFT + place(goal);
        let _ = writeln!(
            marks,
            r##"<line x1="{x:.1}" y1="{top:.0}" x2="{x:.1}" y2="{:.0}" stroke="#d1242f" stroke-dasharray="4 3"><title>goal: {goal}</title></line>"##,
            *y - 4.0
        );
    }
    *y += 24.0;
}
