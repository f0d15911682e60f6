//! From the library's `Error` to the exceptions of `xdev_llm.errors`, which is imported with the first one.
//!
//! Not here: the classes (`python/xdev_llm/errors.py`).

use std::sync::Arc;

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{IntoPyDict, PyDict};
use xdev_llm::Error;

use crate::operation::Facts;
use crate::values::{ChatReply, Reply};

/// The exception for an error of the library.
pub(crate) fn raise(py: Python<'_>, error: &Error, facts: &Facts) -> PyErr {
    let partial = error.partial().map(|reply| {
        let (server, notes) = (facts.server.clone(), facts.notes.clone());
        ChatReply(Arc::new(Reply { answer: reply.clone(), conversation: None, server, notes }))
    });
    let build = || -> PyResult<PyErr> {
        let details = PyDict::new(py);
        details.set_item("said", error.said())?;
        details.set_item("hint", error.hint())?;
        details.set_item("status", error.status())?;
        details.set_item("server", error.server())?;
        details.set_item("partial", partial)?;
        make(py, error.code(), error.message(), &details)
    };
    build().unwrap_or_else(|failed| failed)
}

/// The exception for an error that no server had part in.
pub(crate) fn plain(py: Python<'_>, error: &Error) -> PyErr {
    raise(py, error, &Facts::default())
}

/// The exception for a panic.
pub(crate) fn broken(py: Python<'_>) -> PyErr {
    let hint =
        "This is a fault in XDev LLM: please report it with what was printed to the standard error output.";
    let build =
        || make(py, "internal", "The operation ended unexpectedly.", &[("hint", hint)].into_py_dict(py)?);
    build().unwrap_or_else(|_: PyErr| PyRuntimeError::new_err(hint))
}

fn make(py: Python<'_>, code: &str, message: &str, details: &Bound<'_, PyDict>) -> PyResult<PyErr> {
    let class = py.import("xdev_llm.errors")?.getattr("CLASSES")?.get_item(code)?;
    Ok(PyErr::from_value(class.call((message,), Some(details))?))
}
