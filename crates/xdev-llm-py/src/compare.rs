//! Several models asked the same: drives them, tells the listener, and gives a list of what came.
//!
//! Not here: asking them (the library's `Client::compare`), one chat (`answer`).

use std::sync::{Arc, Mutex, PoisonError};

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use xdev_llm::wire::ServerKind;
use xdev_llm::{Answered, ChatEvent as Event, Client, Error, Question};

use crate::answer::{Job, Listener, Tell, facts, listened, stand_in};
use crate::error;
use crate::operation::{Facts, Failure, Operation, Publisher, Value, interrupted, join};
use crate::values::{ChatEvent, ChatReply, Conversation, Reply};

/// `Comparing` is the models and what they are asked.
pub(crate) struct Comparing {
    models: Vec<String>,
    parallel: bool,
    job: Job,
}

/// `Compared` is what came of one model.
pub(crate) struct Compared {
    model: String,
    outcome: Result<Arc<Reply>, Error>,
}

/// `Told` is something that happened to the model of this index.
struct Told(usize, Happened);

enum Happened {
    Begun,
    Event(Event),
    /// With the failure, where it was one.
    Ended(String),
}

impl Tell for Told {
    fn to_python(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let event = match &self.1 {
            Happened::Begun => ChatEvent::own("begun", ""),
            Happened::Event(event) => ChatEvent::new(py, event)?,
            Happened::Ended(failure) => ChatEvent::own("ended", failure),
        };
        Ok((self.0, Py::new(py, event)?).into_pyobject(py)?.into_any().unbind())
    }
}

/// What the listener has not heard yet.
#[derive(Default)]
struct Batch(Mutex<Vec<Told>>);

impl Batch {
    fn take(&self) -> Vec<Told> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn push(&self, index: usize, happened: Happened) {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Some(Told(last, Happened::Event(before))), Happened::Event(event)) =
            (told.last_mut(), &happened)
            && *last == index
            && join(before, event)
        {
            return;
        }
        told.push(Told(index, happened));
    }
}

impl Comparing {
    /// Checks the names.
    pub(crate) fn new(models: Vec<String>, parallel: bool, job: Job) -> Result<Comparing, Error> {
        if models.is_empty() || models.iter().any(|model| model.trim().is_empty()) {
            return Err(Error::invalid_input("models must have at least one name, and none may be empty.")
                .with_hint("Give a list such as [\"qwen3-4b\", \"fast\"]; \"auto\" is the loaded model."));
        }
        Ok(Comparing { models, parallel, job })
    }

    /// Asks all of them; the listener has been called for the last time when the outcome is published.
    pub(crate) async fn drive(
        self,
        operation: Arc<Operation>,
        client: Client,
        listener: Option<Arc<Listener>>,
        publisher: Publisher,
    ) {
        let batch = Batch::default();
        let heard = listener.as_ref().map(|_| &batch);
        let work = operation.unless_cancelled(self.ask(&client, heard));
        let (outcome, stop) = listened(&operation, work, listener.as_ref(), || batch.take()).await;
        let outcome = match stop {
            Some(stop) => Err(Failure { cause: stop.0, ..Failure::from(interrupted()) }),
            None => outcome.and_then(|outcome| outcome).map_err(Failure::from),
        };
        publisher.publish(outcome.map(|compared| Value::Compared(Arc::new(compared))).map_err(Arc::new));
    }

    async fn ask(self, client: &Client, batch: Option<&Batch>) -> Result<Vec<Compared>, Error> {
        let Comparing { models, parallel, job } = self;
        let (server, note) = present_server(client, &job).await?;
        let question = |model: &String| Question {
            server: if client.settings().is_alias(model.trim()) {
                job.server.clone()
            } else {
                server.clone()
            },
            request: xdev_llm::ChatRequest { model: Some(model.clone()), ..job.request.clone() },
            limits: job.limits,
        };
        let mut comparison = client.compare(models.iter().map(question).collect(), parallel);
        let mut outcomes: Vec<_> = models.iter().map(|_| Err(interrupted())).collect();
        while let Some((index, happened)) = comparison.next().await {
            let happened = match happened {
                xdev_llm::Compared::Begun => Happened::Begun,
                xdev_llm::Compared::Asked(_) => continue,
                xdev_llm::Compared::Event(event) => Happened::Event(event),
                xdev_llm::Compared::Ended(answer) => {
                    let failure = answer.as_ref().err().map(ToString::to_string).unwrap_or_default();
                    outcomes[index] = answer.map(|answered| reply(client, answered, &job, note.as_ref()));
                    Happened::Ended(failure)
                }
            };
            if let Some(batch) = batch {
                batch.push(index, happened);
            }
        }
        let compared = models.into_iter().zip(outcomes);
        Ok(compared.map(|(model, outcome)| Compared { model, outcome }).collect())
    }
}

/// The server to ask: where nothing answers at the given one and that is allowed, the first one found on this machine,
/// with a word about it.
async fn present_server(client: &Client, job: &Job) -> Result<(Option<String>, Option<String>), Error> {
    if !job.auto_detect || job.server.is_none() {
        return Ok((job.server.clone(), None));
    }
    let server = client.server(job.server.as_deref()).await?;
    let Err(error) = server.kind().await else { return Ok((job.server.clone(), None)) };
    let Some(other) = stand_in(client, &server, &error).await else { return Ok((job.server.clone(), None)) };
    let note = format!(
        "Nothing answers at {}; {}, found on this machine, was asked instead.",
        server.url(),
        other.url()
    );
    Ok((Some(other.url().to_owned()), Some(note)))
}

fn reply(client: &Client, answered: Answered, job: &Job, note: Option<&String>) -> Arc<Reply> {
    let Answered { reply: answer, route } = answered;
    let facts = facts(client, &route, &ServerKind::new(answer.sent.server_kind.clone()));
    let note = note.filter(|_| route.alias.is_none()).cloned();
    let notes = note.into_iter().chain(route.note()).collect();
    let conversation = Conversation { messages: job.request.messages.clone(), given: job.given.clone() };
    Arc::new(Reply { answer, conversation: Some(conversation), server: Some(facts), notes })
}

/// As Python sees it: a dict for each model.
pub(crate) fn compared_list<'py>(py: Python<'py>, compared: &[Compared]) -> PyResult<Bound<'py, PyList>> {
    let list = PyList::empty(py);
    for Compared { model, outcome } in compared {
        let entry = PyDict::new(py);
        entry.set_item("model", model)?;
        match outcome {
            Ok(reply) => {
                entry.set_item("reply", Py::new(py, ChatReply(Arc::clone(reply)))?)?;
                entry.set_item("error", py.None())?;
            }
            Err(failed) => {
                entry.set_item("reply", py.None())?;
                entry.set_item("error", error::raise(py, failed, &Facts::default()).into_value(py))?;
            }
        }
        list.append(entry)?;
    }
    Ok(list)
}
