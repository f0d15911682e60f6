//! Models on their way to the server's disk.

use std::time::{Duration, Instant};

use super::{Memory, State};
use crate::model::Model;
use crate::moment;

/// `DownloadState` says how a download is going.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DownloadState {
    Running,
    Paused,
    Completed,
    Failed,
}

/// `Download` is a model on its way.
#[derive(Debug, Clone)]
pub(crate) struct Download {
    pub(crate) id: String,
    pub(crate) model: Model,
    pub(crate) state: DownloadState,
    /// Bytes that have come.
    pub(crate) bytes: u64,
    /// When it began, as servers write moments.
    pub(crate) started_at: String,
    started: Instant,
    delay: Duration,
}

impl Download {
    /// The time all of it takes.
    pub(crate) fn delay(&self) -> Duration {
        self.delay
    }

    /// The time the rest of it takes.
    pub(crate) fn left(&self) -> Duration {
        self.delay.saturating_sub(self.started.elapsed())
    }

    pub(crate) fn total(&self) -> u64 {
        self.model.size_bytes
    }
}

/// `OwnDownload` is a download that ends with the answer it belongs to: a client that goes takes it along.
pub(crate) struct OwnDownload {
    memory: Memory,
    id: String,
}

impl OwnDownload {
    pub(crate) fn begin(memory: &Memory, model: Model) -> OwnDownload {
        let id = memory.state().begin_download(model);
        OwnDownload { memory: memory.clone(), id }
    }

    /// How it stands; `None` when somebody forgot it.
    pub(crate) fn look(&self) -> Option<Download> {
        self.memory.state().download(&self.id).cloned()
    }

    /// The text it fails with.
    pub(crate) fn failure(&self) -> String {
        self.memory.state().options.download_failure.clone().unwrap_or_default()
    }
}

impl Drop for OwnDownload {
    fn drop(&mut self) {
        self.memory.state().cancel_download(&self.id);
    }
}

impl State {
    /// The model of that name, if it can be had.
    pub(crate) fn downloadable(&self, id: &str) -> Option<Model> {
        self.options.catalog.iter().find(|model| model.id.eq_ignore_ascii_case(id)).cloned()
    }

    /// Begins a download, or goes on with the one there is; gives its id.
    pub(crate) fn begin_download(&mut self, model: Model) -> String {
        let going = |one: &&Download| {
            one.model.id == model.id && matches!(one.state, DownloadState::Running | DownloadState::Paused)
        };
        if let Some(download) = self.downloads.iter().find(going) {
            return download.id.clone();
        }
        self.serial += 1;
        let id = format!("job_{:08x}", self.serial);
        let (started, delay) = (Instant::now(), self.options.download_delay);
        let download = Download {
            id: id.clone(),
            model,
            state: DownloadState::Running,
            bytes: 0,
            started_at: moment::now(),
            started,
            delay,
        };
        self.downloads.push(download);
        self.settle_downloads(started);
        id
    }

    /// Forgets a download that has not ended.
    pub(crate) fn cancel_download(&mut self, id: &str) {
        let ended = |one: &Download| !matches!(one.state, DownloadState::Running | DownloadState::Paused);
        self.downloads.retain(|one| one.id != id || ended(one));
    }

    pub(crate) fn download(&self, id: &str) -> Option<&Download> {
        self.downloads.iter().find(|download| download.id == id)
    }

    /// Brings downloads to where they are at that moment: they end when their time is over, and stop half way where they
    /// are told to fail or to pause.
    pub(super) fn settle_downloads(&mut self, now: Instant) {
        let options = &self.options;
        let (fails, pauses) = (options.download_failure.is_some(), options.download_paused);
        let mut arrived = Vec::new();
        for download in &mut self.downloads {
            if !matches!(download.state, DownloadState::Running | DownloadState::Paused) {
                continue;
            }
            let elapsed = now.saturating_duration_since(download.started);
            let whole = download.delay.as_secs_f64();
            let part = if whole > 0.0 { (elapsed.as_secs_f64() / whole).min(1.0) } else { 1.0 };
            let stops = part >= 0.5 && (fails || pauses);
            let part = if stops { 0.5 } else { part };
            download.bytes = (download.total() as f64 * part) as u64;
            download.state = match () {
                () if stops && fails => DownloadState::Failed,
                () if stops => DownloadState::Paused,
                () if part >= 1.0 => DownloadState::Completed,
                () => DownloadState::Running,
            };
            if download.state == DownloadState::Completed {
                arrived.push(Model { loaded: false, ..download.model.clone() });
            }
        }
        for model in arrived {
            self.add_model(model);
        }
    }
}
