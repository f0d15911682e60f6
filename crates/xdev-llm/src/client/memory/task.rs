//! `MemoryTask`: a change of a server's memory while it goes on, in its turn.

use std::sync::Arc;

use tokio::sync::{Mutex, mpsc, oneshot};

use super::outcome::MemoryEvent;
use crate::error::{Error, ErrorKind, Result};

/// Where the work says what happens.
pub(super) type Events = mpsc::UnboundedSender<MemoryEvent>;

/// `MemoryTask` is a change of a server's memory while it goes on.
///
/// Dropping it ends a download. It ends a load or a switch that waits for its turn; one that has begun goes on to its
/// end, and so does an unload in any case: an unload that comes after a load then finds what it is to undo.
#[derive(Debug)]
pub struct MemoryTask<T> {
    events: mpsc::UnboundedReceiver<MemoryEvent>,
    outcome: oneshot::Receiver<Result<T>>,
    abort: Option<tokio::task::AbortHandle>,
}

impl<T> Drop for MemoryTask<T> {
    fn drop(&mut self) {
        if let Some(abort) = &self.abort {
            abort.abort();
        }
    }
}

impl<T: Send + 'static> MemoryTask<T> {
    /// Starts work that waits for its turn; whether it still begins when nobody wants it any more is told by `insists`.
    pub(super) fn in_turn<W>(turn: Arc<Mutex<()>>, insists: bool, work: impl FnOnce(Events) -> W) -> Self
    where
        W: Future<Output = Result<T>> + Send + 'static,
    {
        let (sender, events) = mpsc::unbounded_channel();
        let (mut told, outcome) = oneshot::channel();
        let work = work(sender);
        tokio::spawn(async move {
            let _turn = if insists {
                turn.lock().await
            } else {
                tokio::select! {
                    biased;
                    () = told.closed() => return,
                    turn = turn.lock() => turn,
                }
            };
            // Nobody may wait for it any more.
            let _ = told.send(work.await);
        });
        MemoryTask { events, outcome, abort: None }
    }

    /// Starts work that needs no turn and ends with the task.
    pub(super) fn at_once<W>(work: impl FnOnce(Events) -> W) -> Self
    where
        W: Future<Output = Result<T>> + Send + 'static,
    {
        let (sender, events) = mpsc::unbounded_channel();
        let (told, outcome) = oneshot::channel();
        let work = work(sender);
        let task = tokio::spawn(async move {
            let _ = told.send(work.await);
        });
        MemoryTask { events, outcome, abort: Some(task.abort_handle()) }
    }

    /// The next thing that happens; `None` when there is nothing more to come. Cancel-safe.
    pub async fn next(&mut self) -> Option<MemoryEvent> {
        self.events.recv().await
    }

    /// Waits for the end.
    pub async fn finish(mut self) -> Result<T> {
        let closed = |_| Err(Error::new(ErrorKind::Interrupted, "The client was closed."));
        (&mut self.outcome).await.unwrap_or_else(closed)
    }
}
