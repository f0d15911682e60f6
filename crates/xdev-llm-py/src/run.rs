//! `Call` and `ChatRun`: an operation as Python sees it, to wait for, await, iterate and cancel.
//!
//! Waiting lets go of the interpreter and looks for Ctrl-C 20 times a second. Not here: what runs (`operation`, `answer`).

use std::sync::{Arc, Mutex};
use std::time::Duration;

use pyo3::exceptions::{PyStopAsyncIteration, PyStopIteration};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::answer::Listener;
use crate::awaiting::awaiting;
use crate::compare::compared_list;
use crate::json;
use crate::operation::{Lease, Operation, Outcome, Step, Value, raise};
use crate::runtime::{self, Visit};
use crate::values::{ChatEvent, ChatReply, ServerInfo, model_list};

/// How long a wait may go on without a look for signals.
const SIGNALS: Duration = Duration::from_millis(50);

/// `Ended` becomes the result or the exception of an operation, once there is an interpreter.
struct Ended(Outcome);

impl<'py> IntoPyObject<'py> for Ended {
    type Target = PyAny;
    type Output = Bound<'py, PyAny>;
    type Error = PyErr;

    fn into_pyobject(self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match self.0 {
            Ok(Value::Reply(reply)) => Ok(Bound::new(py, ChatReply(reply))?.into_any()),
            Ok(Value::Server(server)) => Ok(Bound::new(py, ServerInfo(server))?.into_any()),
            Ok(Value::Servers(servers)) => {
                let servers = servers.iter().map(|server| Py::new(py, ServerInfo(Arc::new(server.clone()))));
                Ok(PyList::new(py, servers.collect::<PyResult<Vec<_>>>()?)?.into_any())
            }
            Ok(Value::Target { url, model }) => {
                Ok(json::dict_of(py, &serde_json::json!({"url": url, "model": model}))?.into_any())
            }
            Ok(Value::Report(report)) => Ok(json::dict_of(py, &*report)?.into_any()),
            Ok(Value::Models(models)) => Ok(model_list(py, &models)?.into_any()),
            Ok(Value::Compared(compared)) => Ok(compared_list(py, &compared)?.into_any()),
            Ok(Value::Json(value)) => json::to_python(py, &value),
            Err(failure) => Err(raise(py, &failure)),
        }
    }
}

/// `Next` becomes the next event of an iteration, its end or its exception.
struct Next(Step);

impl<'py> IntoPyObject<'py> for Next {
    type Target = ChatEvent;
    type Output = Bound<'py, ChatEvent>;
    type Error = PyErr;

    fn into_pyobject(self, py: Python<'py>) -> PyResult<Bound<'py, ChatEvent>> {
        match self.0 {
            Step::Event(event) => Bound::new(py, ChatEvent::new(py, &event)?),
            Step::Over(Ok(_)) => Err(PyStopAsyncIteration::new_err(())),
            Step::Over(Err(failure)) => Err(raise(py, &failure)),
        }
    }
}

/// Waits on this thread, which may be the one that gets the signals.
pub(crate) fn wait<'py>(py: Python<'py>, operation: &Arc<Operation>) -> PyResult<Bound<'py, PyAny>> {
    // A daemon thread that is here when the interpreter ends has to get out in time, its exception made.
    let _visit = Visit::begin();
    loop {
        if let Some(outcome) = operation.outcome() {
            return Ended(outcome).into_pyobject(py);
        }
        pause(py, operation, Operation::wait_for_end)?;
    }
}

/// Waits a moment without the interpreter, then raises what a signal's handler raises: whoever pressed Ctrl-C wants the
/// server to stop as well. In a forked child nothing will ever come.
fn pause(py: Python<'_>, operation: &Operation, wait: fn(&Operation, Duration)) -> PyResult<()> {
    runtime::runtime(py)?;
    py.detach(|| wait(operation, SIGNALS));
    py.check_signals().inspect_err(|_| operation.cancel())
}

/// The iterator of `await`.
fn await_end<'py>(py: Python<'py>, lease: &Arc<Lease>) -> PyResult<Bound<'py, PyAny>> {
    let operation = Arc::clone(&lease.0);
    let now = operation.outcome().map(Ended);
    awaiting(py, lease, now, async move { Ended(operation.end().await) })?.call_method0("__await__")
}

/// A question to a server, while it is asked.
///
/// Dropping it cancels it; so does cancelling the task that awaits it.
#[pyclass(frozen, module = "xdev_llm")]
pub(crate) struct Call {
    pub(crate) lease: Arc<Lease>,
    /// As that of [`ChatRun`].
    pub(crate) listener: Option<Arc<Listener>>,
}

impl Call {
    pub(crate) fn new(operation: Arc<Operation>) -> Call {
        Call { lease: Arc::new(Lease(operation)), listener: None }
    }
}

#[pymethods]
impl Call {
    /// Waits for the result. Other threads go on, and Ctrl-C ends it.
    fn wait<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        wait(py, &self.lease.0)
    }

    fn __await__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        await_end(py, &self.lease)
    }

    /// Ends it with Interrupted, unless it has ended already.
    fn cancel(&self) {
        self.lease.0.cancel();
    }

    /// Whether it has ended.
    #[getter]
    fn done(&self) -> bool {
        self.lease.0.is_done()
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        traverse(self.listener.as_ref(), &visit)
    }

    fn __clear__(&self) {
        clear(&self.lease, self.listener.as_ref());
    }

    /// How far a load, an unload or a download is: a dict with the phase (loading_model, unloading_model or pulling_model) and
    /// what the server tells of it; None where nothing was told.
    #[getter]
    fn progress<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        let progress = self.lease.0.state().progress.clone();
        progress.map(|progress| json::dict_of(py, &progress)).transpose()
    }
}

/// A chat while it runs: wait for it, await it, iterate over its events, or cancel it.
///
/// Dropping it cancels it, and the server stops; so does cancelling the task that awaits it. The result may be asked
/// for several times; each event is iterated over once.
#[pyclass(frozen, module = "xdev_llm")]
pub(crate) struct ChatRun {
    pub(crate) lease: Arc<Lease>,
    /// The listener of `on_events`, shared with the run, so that the garbage collector sees the whole circle.
    pub(crate) listener: Option<Arc<Listener>>,
}

#[pymethods]
impl ChatRun {
    /// Waits for the whole answer. Other threads go on, and Ctrl-C cancels it.
    fn wait<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, ChatReply>> {
        Ok(wait(py, &self.lease.0)?.cast_into()?)
    }

    fn __await__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        await_end(py, &self.lease)
    }

    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, ChatEvent>> {
        let operation = &self.lease.0;
        let _visit = Visit::begin();
        loop {
            match operation.step() {
                Some(Step::Over(Ok(_))) => return Err(PyStopIteration::new_err(())),
                Some(step) => return Next(step).into_pyobject(py),
                None => pause(py, operation, Operation::wait)?,
            }
        }
    }

    fn __aiter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __anext__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let operation = Arc::clone(&self.lease.0);
        let now = operation.step().map(Next);
        awaiting(py, &self.lease, now, async move { Next(operation.next().await) })
    }

    /// Ends it with Interrupted, unless it has ended already; the error has what had arrived as `partial`.
    fn cancel(&self) {
        self.lease.0.cancel();
    }

    /// Whether it has ended.
    #[getter]
    fn done(&self) -> bool {
        self.lease.0.is_done()
    }

    /// The text of the answer so far.
    #[getter]
    fn text(&self) -> String {
        self.lease.0.state().text.clone()
    }

    /// The server that is asked, as soon as it is known: url, kind, name and source.
    #[getter]
    fn server<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        let server = self.lease.0.state().facts.server.clone();
        server.map(|server| json::dict_of(py, &server.to_json())).transpose()
    }

    /// What a person should know about the choice of the server, so far.
    #[getter]
    fn notes(&self) -> Vec<String> {
        self.lease.0.state().facts.notes.clone()
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        traverse(self.listener.as_ref(), &visit)
    }

    fn __clear__(&self) {
        clear(&self.lease, self.listener.as_ref());
    }
}

/// Shows the garbage collector a listener's function.
fn traverse(listener: Option<&Arc<Listener>>, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
    let Some(listener) = listener else { return Ok(()) };
    // A listener that is being called is in use, and its circle is no garbage.
    match listener.function.try_lock() {
        Ok(function) => function.as_ref().map_or(Ok(()), |function| visit.call(function)),
        Err(_) => Ok(()),
    }
}

/// Ends an operation that is part of garbage.
fn clear(lease: &Lease, listener: Option<&Arc<Listener>>) {
    lease.0.cancel();
    if let Some(listener) = listener {
        drop(listener.take());
    }
}

/// A function that Python gave and that can be taken away again.
pub(crate) type Function = Mutex<Option<Py<PyAny>>>;
