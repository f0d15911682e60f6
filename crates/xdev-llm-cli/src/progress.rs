//! What a load, an unload or a download looks like while it goes on: a bar where a share is told, else a spinner.
//!
//! Everything is on standard error, and nothing where that is no terminal. Not here: what came of it (`commands::memory`).

use std::collections::BTreeMap;
use std::time::Instant;

use xdev_llm::wire::Pulling;
use xdev_llm::{MemoryEvent, bytes_in_words};

use crate::render::plain;
use crate::show::Spinner;
use crate::words;

/// `MemoryProgress` shows the events of one change of a server's memory.
pub(crate) struct MemoryProgress {
    spinner: Spinner,
    download: Download,
    begun: Option<Instant>,
}

impl MemoryProgress {
    /// Shows that the server is looked at.
    pub(crate) fn start() -> MemoryProgress {
        let spinner = Spinner::start("asking the server");
        MemoryProgress { spinner, download: Download::default(), begun: None }
    }

    /// Takes the line away.
    pub(crate) fn clear(&self) {
        self.spinner.clear();
    }

    /// Shows one event.
    pub(crate) fn event(&mut self, event: &MemoryEvent) {
        match event {
            MemoryEvent::Loading { model, share } => {
                self.spinner.bar(share.map(f64::from), format!("loading {}", plain(model)));
            }
            MemoryEvent::Unloading { model } => {
                self.spinner.bar(None, format!("unloading {}", plain(model)));
            }
            MemoryEvent::Pulling(pulling) => {
                let begun = self.begun.get_or_insert_with(Instant::now);
                self.download.take(pulling);
                let elapsed = begun.elapsed().as_secs_f64();
                self.spinner.bar(self.download.share(), plain(&self.download.words(elapsed)));
            }
        }
    }
}

/// `Download` sums up the parts of a download, which come interleaved.
#[derive(Debug, Default)]
struct Download {
    parts: BTreeMap<String, Part>,
    status: String,
}

/// The bytes of one part: those that were here when it was first heard of, those that are here, and all.
#[derive(Clone, Copy, Debug, Default)]
struct Part {
    first: u64,
    completed: u64,
    total: u64,
}

impl Download {
    fn take(&mut self, pulling: &Pulling) {
        self.status.clone_from(&pulling.status);
        if let Some(total) = pulling.total_bytes {
            let completed = pulling.completed_bytes.unwrap_or(0).min(total);
            let part = self.parts.entry(pulling.part.clone().unwrap_or_default());
            let part = part.or_insert(Part { first: completed, ..Part::default() });
            (part.completed, part.total) = (completed, total);
        }
    }

    fn sum(&self, of: impl Fn(&Part) -> u64) -> u64 {
        self.parts.values().map(of).fold(0, u64::saturating_add)
    }

    /// The share that is here, of the parts that were heard of; `None` before the first.
    fn share(&self) -> Option<f64> {
        let total = self.sum(|part| part.total);
        (total > 0).then(|| self.sum(|part| part.completed) as f64 / total as f64)
    }

    /// What there is to say `elapsed` seconds after the first event.
    fn words(&self, elapsed: f64) -> String {
        let (completed, total) = (self.sum(|part| part.completed), self.sum(|part| part.total));
        if total == 0 || completed == total {
            return self.status.clone();
        }
        let mut words = format!("{} of {}", bytes_in_words(completed), bytes_in_words(total));
        // What was here before came at no cost of time.
        let fetched = self.sum(|part| part.completed.saturating_sub(part.first));
        if fetched > 0 && elapsed >= 1.0 {
            let speed = fetched as f64 / elapsed;
            let left = words::seconds((total - completed) as f64 / speed);
            words = format!("{words}, {}/s, {left} left", bytes_in_words(speed as u64));
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn piece(part: &str, completed: u64, total: u64) -> Pulling {
        Pulling {
            status: format!("pulling {part}"),
            part: Some(part.to_owned()),
            completed_bytes: Some(completed),
            total_bytes: Some(total),
        }
    }

    #[test]
    fn parts_are_summed_however_they_come() {
        let mut download = Download::default();
        download.take(&Pulling { status: "pulling manifest".into(), ..Pulling::default() });
        assert_eq!((download.share(), download.words(0.0)), (None, "pulling manifest".to_owned()));
        download.take(&piece("a", 0, 3 << 20));
        download.take(&piece("b", 1 << 20, 1 << 20));
        download.take(&piece("a", 1 << 20, 3 << 20));
        assert_eq!(download.share(), Some(0.5));
        // The megabyte of b was here before.
        assert_eq!(download.words(2.0), "2 MB of 4 MB, 512 KB/s, 4.0 s left");
        download.take(&piece("a", 3 << 20, 3 << 20));
        download.take(&Pulling { status: "verifying sha256 digest".into(), ..Pulling::default() });
        assert_eq!(
            (download.share(), download.words(9.0)),
            (Some(1.0), "verifying sha256 digest".to_owned())
        );
    }

    proptest! {
        #[test]
        fn whatever_a_server_says_the_share_is_a_share(
            pieces in prop::collection::vec(("[ab]?", any::<Option<u64>>(), any::<Option<u64>>()), 0..20),
            elapsed in 0.0..1e9_f64,
        ) {
            let mut download = Download::default();
            for (part, completed_bytes, total_bytes) in pieces {
                let part = (!part.is_empty()).then_some(part);
                download.take(&Pulling { status: String::new(), part, completed_bytes, total_bytes });
                prop_assert!(download.share().is_none_or(|share| (0.0..=1.0).contains(&share)));
                let _ = download.words(elapsed);
            }
        }
    }
}
