//! `Job`: what a client is asked to do, and the request all of them send.
//!
//! The names are those on a worker's command line; `clients/worker.py` knows the same ones. Not here: how a client
//! does it (`raw`, `xdev_llm_client`, `async_openai_client`).

use std::time::Duration;

use anyhow::{Result, bail};

/// The model the test server lists.
pub(crate) const MODEL: &str = "bench-model";
/// The question all clients ask.
pub(crate) const PROMPT: &str = "Tell me about the sea.";

/// `Job` is one thing that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Job {
    /// A short answer over a warm connection, as one body where the client has a way to ask for that.
    Call,
    /// A streamed answer over a warm connection, all of its text.
    Stream,
    /// The time to the first text of a streamed answer.
    FirstToken,
    /// A short answer through a client made for it, which is told what the server is.
    FirstCall,
    /// The same, without being told.
    FirstCallUntold,
    /// The first server found among many ports.
    Find,
    /// Looking at many ports where there is none.
    FindNone,
    /// A message added to a long conversation in JSON.
    Append,
    /// A program started and ended.
    Start,
}

impl Job {
    const NAMES: [(Job, &'static str); 9] = [
        (Job::Call, "call"),
        (Job::Stream, "stream"),
        (Job::FirstToken, "first-token"),
        (Job::FirstCall, "first-call"),
        (Job::FirstCallUntold, "first-call-untold"),
        (Job::Find, "find"),
        (Job::FindNone, "find-none"),
        (Job::Append, "append"),
        (Job::Start, "start"),
    ];

    pub(crate) fn name(self) -> &'static str {
        Job::NAMES.iter().find(|(job, _)| *job == self).map_or("", |(_, name)| name)
    }

    pub(crate) fn parse(name: &str) -> Result<Job> {
        match Job::NAMES.iter().find(|(_, known)| *known == name) {
            Some((job, _)) => Ok(*job),
            None => bail!("`{name}` is no job"),
        }
    }
}

/// `Done` is what one go at a job gave.
pub(crate) struct Done {
    pub(crate) time: Duration,
    /// Bytes of the answer's text, which the driver checks; `None` where the client does not look at the text.
    pub(crate) text: Option<usize>,
}

/// One go at a job.
pub(crate) type Go = Box<dyn FnMut() -> Result<Done>>;
