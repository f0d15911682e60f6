//! Times in words, as tables and results of the memory commands show them.
//!
//! Not here: the sentences they stand in (`commands`), sizes (the library's `bytes_in_words`).

/// Twenty years: servers write a moment beyond it for "for ever".
const FOR_EVER: i64 = 20 * 365 * 24 * 3600;

/// Says a length of time in seconds: `420 ms`, `4.2 s`, `12 s`, `2 min 5 s`.
pub(crate) fn seconds(seconds: f64) -> String {
    match seconds {
        ..1.0 => format!("{:.0} ms", seconds * 1e3),
        1.0..10.0 => format!("{seconds:.1} s"),
        ..60.0 => format!("{seconds:.0} s"),
        _ => format!("{} min {} s", seconds as u64 / 60, seconds as u64 % 60),
    }
}

/// Says when a moment is, as seen from `now`, in seconds since 1970: `in 4 minutes`, `for ever`; the text itself where
/// it is no moment.
pub(crate) fn until(moment: &str, now: i64) -> String {
    let Some(left) = moment_seconds(moment).map(|at| at.saturating_sub(now)) else {
        return moment.to_owned();
    };
    let (number, unit) = match left {
        ..1 => return "now".to_owned(),
        1..90 => (left, "second"),
        90..5_400 => ((left + 30) / 60, "minute"),
        5_400..129_600 => ((left + 1_800) / 3_600, "hour"),
        129_600..FOR_EVER => ((left + 43_200) / 86_400, "day"),
        _ => return "for ever".to_owned(),
    };
    let plural = if number == 1 { "" } else { "s" };
    format!("in {number} {unit}{plural}")
}

/// Reads a moment such as `2026-11-23T17:00:00.5+01:00` (RFC 3339) as seconds since 1970.
fn moment_seconds(text: &str) -> Option<i64> {
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<u32>().ok().map(i64::from);
    let separators = [(4, b'-'), (7, b'-'), (13, b':'), (16, b':')];
    if !separators.iter().all(|(at, mark)| text.as_bytes().get(*at) == Some(mark)) {
        return None;
    }
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let zone = text.get(19..)?.trim_start_matches(|letter: char| letter == '.' || letter.is_ascii_digit());
    let offset = match zone.split_at_checked(1)? {
        ("Z" | "z", "") => 0,
        (sign @ ("+" | "-"), rest) => {
            let (hours, minutes) = rest.split_once(':')?;
            let (hours, minutes): (i64, i64) = (hours.parse().ok()?, minutes.parse().ok()?);
            if !(0..24).contains(&hours) || !(0..60).contains(&minutes) {
                return None;
            }
            (hours * 3600 + minutes * 60) * if sign == "-" { -1 } else { 1 }
        }
        _ => return None,
    };
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    Some(((days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second - offset)
}

/// The days from 1970 to a date. The year begins in March here, so that the odd day is its last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leaps = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leaps + (month * 153 + 2) / 5 + day - 719_469
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_read_as_people_say_them() {
        for (time, words) in [(0.42, "420 ms"), (4.25, "4.2 s"), (12.3, "12 s"), (125.0, "2 min 5 s")] {
            assert_eq!(seconds(time), words);
        }
    }

    #[test]
    fn a_moment_is_said_from_now() {
        let now = moment_seconds("2026-11-23T17:00:00Z").unwrap();
        assert_eq!(now, 1_795_453_200);
        let table = [
            ("2026-11-23T17:04:10.123456789Z", "in 4 minutes"),
            ("2026-11-23T18:00:01+01:00", "in 1 second"),
            ("2026-11-23T11:45:45-05:30", "in 16 minutes"),
            ("2026-11-23T20:10:00Z", "in 3 hours"),
            ("2026-12-03T17:00:00Z", "in 10 days"),
            ("2318-01-01T00:00:00Z", "for ever"),
            ("0001-01-01T00:00:00Z", "now"),
            ("2026-11-23T16:59:59Z", "now"),
            ("soon", "soon"),
            ("2026-13-23T17:04:10Z", "2026-13-23T17:04:10Z"),
        ];
        for (moment, words) in table {
            assert_eq!(until(moment, now), words, "{moment}");
        }
        assert_eq!(moment_seconds("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(moment_seconds("2000-03-01T00:00:00Z"), Some(951_868_800));
    }

    proptest! {
        #[test]
        fn no_text_ends_the_program(text in "\\PC{0,40}", now: i64) {
            let _ = until(&text, now);
        }

        #[test]
        fn nothing_that_looks_like_a_moment_ends_the_program(text in "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]{0,3})?(Z|[+-][0-9]{1,6}:[0-9]{1,6})", now: i64) {
            let _ = until(&text, now);
        }
    }
}
