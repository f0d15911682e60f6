//! Moments as servers write them: RFC 3339, in UTC, to the second.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Seconds from 1970 to the year 2318, where Go's clock ends: what Ollama says of a model it keeps for ever.
const FOR_EVER: u64 = 11_000_000_000;

/// The moment now.
pub(crate) fn now() -> String {
    rfc3339(since_epoch())
}

/// The moment after so much time from now; `None` for the end of time.
pub(crate) fn after(time: Option<Duration>) -> String {
    rfc3339(time.map_or(Duration::from_secs(FOR_EVER), |time| since_epoch() + time))
}

/// Seconds since 1970.
pub(crate) fn unix() -> u64 {
    since_epoch().as_secs()
}

fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn rfc3339(since_epoch: Duration) -> String {
    let seconds = since_epoch.as_secs();
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    let mut days = seconds / 86400;
    let mut year = 1970;
    let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    while days >= 365 + u64::from(leap(year)) {
        days -= 365 + u64::from(leap(year));
        year += 1;
    }
    let february = 28 + u64::from(leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    format!("{year:04}-{month:02}-{:02}T{hour:02}:{minute:02}:{second:02}Z", days + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_as_the_calendar_has_them() {
        let at = |seconds| rfc3339(Duration::from_secs(seconds));
        assert_eq!(at(0), "1970-01-01T00:00:00Z");
        assert_eq!(at(951_782_399), "2000-02-28T23:59:59Z");
        assert_eq!(at(951_868_799), "2000-02-29T23:59:59Z");
        assert_eq!(at(1_795_410_901), "2026-11-23T05:15:01Z");
        assert!(after(None).starts_with("2318-"));
    }
}
