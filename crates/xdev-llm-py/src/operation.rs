//! `Operation`: something that runs on the runtime, with what arrived, how it ended, and a way to stop it.
//!
//! It knows nothing of Python but the cause of a failure; `run` shows it to Python, `answer` drives a chat.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};
use std::time::Duration;

use pyo3::PyErr;
use tokio::sync::Notify;
use xdev_llm::doctor::Report;
use xdev_llm::{ChatEvent, Error, ErrorKind, ModelInfo};

use crate::compare::Compared;
use crate::values::{Reply, ServerFacts, ServerState};
use crate::{error, runtime};

/// `Value` is what an operation gives.
#[derive(Clone)]
pub(crate) enum Value {
    /// Of a chat.
    Reply(Arc<Reply>),
    /// Of a look at one server.
    Server(Arc<ServerState>),
    /// Of a look for servers.
    Servers(Arc<Vec<ServerState>>),
    /// Of the question whom a chat would ask.
    Target { url: String, model: String },
    /// Of the doctor's walk.
    Report(Arc<Report>),
    /// Of the question for models.
    Models(Arc<Vec<ModelInfo>>),
    /// Of several models that were asked the same.
    Compared(Arc<Vec<Compared>>),
    /// Of what changes a server's memory, or tells of it.
    Json(Arc<serde_json::Value>),
}

/// `Failure` is how an operation failed.
pub(crate) struct Failure {
    /// The error; `None` after a panic, which is a fault of this library.
    pub(crate) error: Option<Error>,
    /// What was known of the server by then.
    pub(crate) facts: Facts,
    /// The exception that stopped it.
    pub(crate) cause: Option<PyErr>,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure { error: Some(error), facts: Facts::default(), cause: None }
    }
}

/// `Outcome` is how an operation ended.
pub(crate) type Outcome = Result<Value, Arc<Failure>>;

/// `Facts` are what is known of a chat's server while it runs.
#[derive(Clone, Default)]
pub(crate) struct Facts {
    /// The server that is asked.
    pub(crate) server: Option<ServerFacts>,
    /// What a person should know about the choice of the server.
    pub(crate) notes: Vec<String>,
}

/// `Queue` holds events in order; neighbouring pieces of text are one event.
#[derive(Default)]
pub(crate) struct Queue(VecDeque<ChatEvent>);

impl Queue {
    fn push(&mut self, event: &ChatEvent) {
        if !self.0.back_mut().is_some_and(|last| join(last, event)) {
            self.0.push_back(event.clone());
        }
    }

    /// Everything that arrived since the last call.
    pub(crate) fn take(&mut self) -> Vec<ChatEvent> {
        self.0.drain(..).collect()
    }
}

/// Adds a piece of text to the event before it; false where they are not pieces of one thing.
pub(crate) fn join(last: &mut ChatEvent, event: &ChatEvent) -> bool {
    match (last, event) {
        (ChatEvent::Text(text), ChatEvent::Text(piece))
        | (ChatEvent::Reasoning(text), ChatEvent::Reasoning(piece)) => {
            text.push_str(piece);
            true
        }
        _ => false,
    }
}

/// `State` is what changes while an operation runs.
#[derive(Default)]
pub(crate) struct State {
    /// For iteration.
    queue: Queue,
    /// For a listener; `None` where there is none.
    pub(crate) batch: Option<Queue>,
    /// The text of the answer so far.
    pub(crate) text: String,
    pub(crate) facts: Facts,
    /// How far it is, for a change of a server's memory.
    pub(crate) progress: Option<serde_json::Value>,
    is_cancelled: bool,
    outcome: Option<Outcome>,
}

/// `Step` is what an iteration finds.
pub(crate) enum Step {
    /// The next event.
    Event(ChatEvent),
    /// The end.
    Over(Outcome),
}

/// `Signal` wakes those who wait for one thing to happen; whoever waits for the end is not woken for each token.
#[derive(Default)]
struct Signal {
    threads: Condvar,
    tasks: Notify,
}

impl Signal {
    fn tell(&self) {
        self.threads.notify_all();
        self.tasks.notify_waiters();
    }

    /// Waits until `look` finds something; it looks again after every time the signal is told.
    async fn until<T>(&self, look: impl Fn() -> Option<T>) -> T {
        loop {
            let mut told = std::pin::pin!(self.tasks.notified());
            told.as_mut().enable();
            if let Some(found) = look() {
                return found;
            }
            told.await;
        }
    }
}

/// `Operation` runs once, and any number of threads and tasks may wait for it.
#[derive(Default)]
pub(crate) struct Operation {
    state: Mutex<State>,
    arrived: Signal,
    ended: Signal,
    cancelled: Signal,
}

impl Operation {
    /// Makes one that has begun; whoever gets the [`Publisher`] ends it.
    pub(crate) fn begin() -> (Arc<Operation>, Publisher) {
        let operation = Arc::new(Operation::default());
        runtime::register(&operation);
        (Arc::clone(&operation), Publisher(operation))
    }

    /// What changes.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in an event.
    pub(crate) fn push(&self, event: &ChatEvent) {
        let mut state = self.state();
        match event {
            ChatEvent::Text(piece) => state.text.push_str(piece),
            ChatEvent::TextWasReasoning => state.text.clear(),
            _ => {}
        }
        state.queue.push(event);
        if let Some(batch) = &mut state.batch {
            batch.push(event);
        }
        drop(state);
        self.arrived.tell();
    }

    /// Asks it to end; it then ends as interrupted.
    pub(crate) fn cancel(&self) {
        self.state().is_cancelled = true;
        self.cancelled.tell();
    }

    /// Whether it has ended.
    pub(crate) fn is_done(&self) -> bool {
        self.state().outcome.is_some()
    }

    /// How it ended.
    pub(crate) fn outcome(&self) -> Option<Outcome> {
        self.state().outcome.clone()
    }

    /// The next event that arrived, or the end.
    pub(crate) fn step(&self) -> Option<Step> {
        let mut state = self.state();
        match state.queue.0.pop_front() {
            Some(event) => Some(Step::Event(event)),
            None => state.outcome.clone().map(Step::Over),
        }
    }

    /// Blocks until something changes, at most for this time.
    pub(crate) fn wait(&self, patience: Duration) {
        let state = self.state();
        if state.outcome.is_none() && state.queue.0.is_empty() {
            drop(self.arrived.threads.wait_timeout(state, patience));
        }
    }

    /// Blocks until it ends, at most for this time.
    pub(crate) fn wait_for_end(&self, patience: Duration) {
        let waited =
            self.ended.threads.wait_timeout_while(self.state(), patience, |state| state.outcome.is_none());
        drop(waited);
    }

    /// Waits for the end.
    pub(crate) async fn end(&self) -> Outcome {
        self.ended.until(|| self.outcome()).await
    }

    /// Waits for the next event or the end.
    pub(crate) async fn next(&self) -> Step {
        self.arrived.until(|| self.step()).await
    }

    /// What `work` gives, or [`ErrorKind::Interrupted`] as soon as somebody cancels.
    pub(crate) async fn unless_cancelled<T>(&self, work: impl Future<Output = T>) -> Result<T, Error> {
        tokio::select! {
            biased;
            () = self.cancelled.until(|| self.state().is_cancelled.then_some(())) => Err(interrupted()),
            value = work => Ok(value),
        }
    }
}

/// The error of an operation that was cancelled.
pub(crate) fn interrupted() -> Error {
    Error::new(ErrorKind::Interrupted, "Interrupted.")
}

/// `Publisher` ends an operation once; where it is dropped before, something panicked, and the operation says so.
pub(crate) struct Publisher(Arc<Operation>);

impl Publisher {
    /// Ends the operation.
    pub(crate) fn publish(self, outcome: Outcome) {
        self.end(outcome);
    }

    fn end(&self, outcome: Outcome) {
        let mut state = self.0.state();
        if state.outcome.is_none() {
            state.outcome = Some(outcome);
            drop(state);
            self.0.arrived.tell();
            self.0.ended.tell();
        }
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.end(Err(Arc::new(Failure { error: None, facts: Facts::default(), cause: None })));
    }
}

/// `Lease` cancels its operation when the last one who wants the result is gone.
pub(crate) struct Lease(pub(crate) Arc<Operation>);

impl Drop for Lease {
    fn drop(&mut self) {
        // In a forked child the locks of the runtime may be held by threads that do not exist there.
        if runtime::is_own_process() {
            self.0.cancel();
        }
    }
}

/// Starts an operation that is one question. What is remembered is there at once, without another thread.
pub(crate) fn start(
    py: pyo3::Python<'_>,
    work: impl Future<Output = Result<Value, Error>> + Send + 'static,
) -> pyo3::PyResult<Arc<Operation>> {
    start_followed(py, |_| work)
}

/// The same for one that says how far it is.
pub(crate) fn start_followed<W>(
    py: pyo3::Python<'_>,
    work: impl FnOnce(Arc<Operation>) -> W,
) -> pyo3::PyResult<Arc<Operation>>
where
    W: Future<Output = Result<Value, Error>> + Send + 'static,
{
    let runtime = runtime::runtime(py)?;
    let (operation, publisher) = Operation::begin();
    let work = work(Arc::clone(&operation));
    let watched = Arc::clone(&operation);
    let mut work = Box::pin(async move {
        let outcome = watched.unless_cancelled(work).await.and_then(|outcome| outcome);
        publisher.publish(outcome.map_err(|error| Arc::new(error.into())));
    });
    py.detach(|| {
        let _within = runtime.enter();
        if work.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {
            runtime.spawn(work);
        }
    });
    Ok(operation)
}

/// The exception for a failure.
pub(crate) fn raise(py: pyo3::Python<'_>, failure: &Failure) -> PyErr {
    let raised = match &failure.error {
        Some(error) => error::raise(py, error, &failure.facts),
        None => error::broken(py),
    };
    if let Some(cause) = &failure.cause {
        raised.set_cause(py, Some(cause.clone_ref(py)));
    }
    raised
}
