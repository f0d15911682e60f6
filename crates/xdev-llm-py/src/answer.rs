//! Drives one chat: picks the server, reads the answer, and calls the listener.
//!
//! Not here: the request out of the caller's arguments (`arguments`), the wire (the library).

use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::{PyBool, PyList};
use tokio::time::sleep;
use xdev_llm::wire::ServerKind;
use xdev_llm::{ChatEvent as Event, ChatRequest, Client, Error, ErrorKind, Limits, Route, Server};

use crate::operation::{Facts, Failure, Operation, Outcome, Publisher, Queue, Value, interrupted};
use crate::run::Function;
use crate::runtime;
use crate::values::{ChatEvent, Conversation, Reply, ServerFacts};

/// `Job` is a chat to do.
pub(crate) struct Job {
    /// A URL or a configured name.
    pub(crate) server: Option<String>,
    /// Whether another server may be taken where that one is not there.
    pub(crate) auto_detect: bool,
    pub(crate) request: ChatRequest,
    pub(crate) limits: Limits,
    /// The history as it was given, and how many messages it holds, where the request begins with it unchanged.
    pub(crate) given: Option<(String, usize)>,
}

/// `Listener` is called with the events that arrived, on a thread of its own for each call.
pub(crate) struct Listener {
    /// `None` once the garbage collector took it away.
    pub(crate) function: Function,
    pub(crate) interval: Duration,
}

/// `Stop` is a listener's wish that the run ends, with the exception it raised.
pub(crate) struct Stop(pub(crate) Option<PyErr>);

/// `Tell` is what a listener can be told.
pub(crate) trait Tell: Send + 'static {
    /// As Python sees it.
    fn to_python(&self, py: Python<'_>) -> PyResult<Py<PyAny>>;
}

impl Tell for Event {
    fn to_python(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        Ok(Py::new(py, ChatEvent::new(py, self)?)?.into_any())
    }
}

/// Does the job; the listener has been called for the last time when the outcome is published.
pub(crate) async fn drive(
    operation: Arc<Operation>,
    client: Client,
    job: Job,
    listener: Option<Arc<Listener>>,
    publisher: Publisher,
) {
    let take = || operation.state().batch.as_mut().map(Queue::take).unwrap_or_default();
    let work = Box::pin(answer(&operation, &client, job));
    let (outcome, stop) = listened(&operation, work, listener.as_ref(), take).await;
    let outcome = match stop {
        // The answer was complete before it was unwanted.
        Some(stop) => {
            let outcome = outcome.and_then(|reply| Err(interrupted().with_partial(reply.answer)));
            with_facts(&operation, outcome, stop.0)
        }
        None => with_facts(&operation, outcome, None),
    };
    publisher.publish(outcome);
}

/// What `work` gives, while the listener is told what `take` finds; and whether the listener ended it.
pub(crate) async fn listened<W, T: Tell>(
    operation: &Operation,
    work: impl Future<Output = W>,
    listener: Option<&Arc<Listener>>,
    take: impl Fn() -> Vec<T>,
) -> (W, Option<Stop>) {
    let mut work = pin!(work);
    let Some(listener) = listener else { return (work.await, None) };
    let over = tokio::sync::Notify::new();
    let mut listening = pin!(listener.listen(take, &over));
    tokio::select! {
        outcome = &mut work => {
            over.notify_one();
            (outcome, listening.await.err())
        }
        stop = &mut listening => {
            operation.cancel();
            (work.await, stop.err())
        }
    }
}

fn with_facts(operation: &Operation, outcome: Result<Reply, Error>, cause: Option<PyErr>) -> Outcome {
    match outcome {
        Ok(reply) => Ok(Value::Reply(Arc::new(reply))),
        Err(error) => {
            let facts = operation.state().facts.clone();
            Err(Arc::new(Failure { facts, cause, ..Failure::from(error) }))
        }
    }
}

/// Finds the server and asks it; where it is not there and that is allowed, the first one found on this machine. An
/// alias says by itself where else to go.
async fn answer(operation: &Operation, client: &Client, job: Job) -> Result<Reply, Error> {
    let model = job.request.model.as_deref();
    let route = operation.unless_cancelled(client.route(job.server.as_deref(), model)).await??;
    let server = route.server.clone();
    let detects = job.auto_detect && route.alias.is_none();
    let mut result = ask(operation, client, route, &job, detects).await;
    if let Err(error) = &result
        && detects
        && let Some(other) = operation.unless_cancelled(stand_in(client, &server, error)).await?
    {
        let route = Route::new(other.clone(), job.request.model.clone());
        let facts = facts(client, &route, &operation.unless_cancelled(other.kind()).await??);
        let name = &facts.name;
        let note = format!(
            "Nothing answers at {}; {name} at {}, found on this machine, was asked instead.",
            server.url(),
            other.url()
        );
        operation.state().facts = Facts { server: Some(facts), notes: vec![note] };
        result = ask(operation, client, route, &job, detects).await;
    }
    let answer = result?;
    let Facts { server, notes } = operation.state().facts.clone();
    let conversation = Conversation { messages: job.request.messages, given: job.given };
    Ok(Reply { answer, conversation: Some(conversation), server, notes })
}

/// The first server found on this machine, where nothing at all answers at `server`.
pub(crate) async fn stand_in(client: &Client, server: &Server, error: &Error) -> Option<Server> {
    if error.kind() != ErrorKind::Unreachable {
        return None;
    }
    // A server that is there and breaks off chats is not to be replaced: it gets a question that costs it nothing.
    if !matches!(server.health().await, Err(error) if error.kind() == ErrorKind::Unreachable) {
        return None;
    }
    client.first_server().await.ok().filter(|other| other.url() != server.url())
}

/// Asks one server, or one after another of an alias, and passes every event on.
async fn ask(
    operation: &Operation,
    client: &Client,
    route: Route,
    job: &Job,
    detects: bool,
) -> Result<xdev_llm::ChatReply, Error> {
    if detects {
        // A chat tries several times to reach a server; where there may be another one, once is enough.
        operation.unless_cancelled(route.server.kind()).await??;
    }
    let mut stream = route.chat(job.request.clone(), job.limits)?;
    loop {
        let event = match operation.unless_cancelled(stream.next()).await {
            Ok(Some(event)) => event?,
            Ok(None) => return stream.finish().await,
            Err(interrupted) => return Err(interrupted.with_partial(stream.reply().clone())),
        };
        if matches!(event, Event::Started { .. }) {
            let kind = ServerKind::new(stream.reply().sent.server_kind.clone());
            let facts = facts(client, stream.route(), &kind);
            let mut state = operation.state();
            state.facts.server = Some(facts);
            state.facts.notes.extend(stream.route().note());
        }
        operation.push(&event);
    }
}

pub(crate) fn facts(client: &Client, route: &Route, kind: &ServerKind) -> ServerFacts {
    ServerFacts {
        url: route.server.url().to_owned(),
        name: client.rows().row(kind).name.clone(),
        kind: kind.as_str().to_owned(),
        source: route.server.source().clone(),
        route: route.taken(),
    }
}

impl Listener {
    /// Calls this function every so many seconds.
    pub(crate) fn new(function: Py<PyAny>, interval: f64) -> Listener {
        Listener { function: Mutex::new(Some(function)), interval: Duration::from_secs_f64(interval) }
    }

    /// Calls the function after every interval, and once more when it is over.
    async fn listen<T: Tell>(
        self: &Arc<Self>,
        take: impl Fn() -> Vec<T>,
        over: &tokio::sync::Notify,
    ) -> Result<(), Stop> {
        loop {
            let is_last = tokio::select! {
                () = over.notified() => true,
                () = sleep(self.interval) => false,
            };
            self.call(take(), is_last).await?;
            if is_last {
                return Ok(());
            }
        }
    }

    /// Calls the function on a thread of its own, so that the runtime never waits for the interpreter.
    async fn call<T: Tell>(self: &Arc<Self>, batch: Vec<T>, is_last: bool) -> Result<(), Stop> {
        let listener = Arc::clone(self);
        let called = tokio::task::spawn_blocking(move || {
            runtime::visit(|py| {
                let called = listener.call_now(py, &batch);
                if is_last || !matches!(called, Ok(true)) {
                    // Let go here, with the interpreter: elsewhere it would wait for the next call into it.
                    drop(listener.take());
                }
                called
            })
        });
        match called.await {
            Ok(Some(Ok(true))) => Ok(()),
            Ok(Some(Err(raised))) => Err(Stop(Some(raised))),
            // It wants no more, the interpreter ends, or the call panicked.
            Ok(Some(Ok(false)) | None) | Err(_) => Err(Stop(None)),
        }
    }

    /// Takes the function away.
    pub(crate) fn take(&self) -> Option<Py<PyAny>> {
        self.function.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Calls the function; false where the run is to end.
    fn call_now<T: Tell>(&self, py: Python<'_>, batch: &[T]) -> PyResult<bool> {
        let function = self.function.lock().unwrap_or_else(PoisonError::into_inner);
        let function = function.as_ref().map(|function| function.clone_ref(py));
        let Some(function) = function else { return Ok(false) };
        let events = batch.iter().map(|event| event.to_python(py));
        let events = PyList::new(py, events.collect::<PyResult<Vec<_>>>()?)?;
        let wish = function.call1(py, (events,))?;
        Ok(!wish.bind(py).is(PyBool::new(py, false)))
    }
}
