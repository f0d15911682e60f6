//! `await` on an operation: a future of the loop that waits, settled from the runtime.
//!
//! Written here and not taken from pyo3-async-runtimes, which prints a traceback where the loop was closed meanwhile,
//! and panics where the interpreter ends meanwhile. Not here: what is waited for (`operation`).

use std::future::Future;
use std::sync::Arc;

use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::{PyCFunction, PyTuple};
use tokio::sync::oneshot;

use crate::operation::Lease;
use crate::runtime;

/// A future of the running loop that gets `now`, or else what comes `later`. Cancelling it cancels the operation.
pub(crate) fn awaiting<'py, T>(
    py: Python<'py>,
    lease: &Arc<Lease>,
    now: Option<T>,
    later: impl Future<Output = T> + Send + 'static,
) -> PyResult<Bound<'py, PyAny>>
where
    T: for<'a> IntoPyObject<'a, Error = PyErr> + Send + 'static,
{
    let event_loop = py.import("asyncio")?.call_method0("get_running_loop")?;
    let future = event_loop.call_method0("create_future")?;
    if let Some(found) = now {
        settle(&future, found.into_py_any(py))?;
        return Ok(future);
    }
    let runtime = runtime::runtime(py)?;
    let (waiting, abandoned) = oneshot::channel::<()>();
    let guard = Arc::clone(lease);
    // The future lets go of this when it is done, which ends the task below.
    let when_done = PyCFunction::new_closure(py, None, None, move |arguments: &Bound<'_, PyTuple>, _| {
        let _is_held = &waiting;
        if arguments.get_item(0)?.call_method0("cancelled")?.is_truthy()? {
            guard.0.cancel();
        }
        PyResult::Ok(())
    })?;
    future.call_method1("add_done_callback", (when_done,))?;
    let (of_loop, of_task) = (event_loop.unbind(), future.clone().unbind());
    runtime.spawn(async move {
        let found = tokio::select! {
            found = later => Some(found),
            _ = abandoned => None,
        };
        // The runtime must not wait for the interpreter, and objects are let go of where it is held.
        tokio::task::spawn_blocking(move || {
            runtime::visit(move |py| {
                let (event_loop, future) = (of_loop.into_bound(py), of_task.into_bound(py));
                if let Some(found) = found {
                    // A loop that was closed meanwhile wants nothing any more.
                    let _ = deliver(&event_loop, &future, found.into_py_any(py));
                }
            })
        });
    });
    Ok(future)
}

/// Has the loop settle the future, on the loop's own thread.
fn deliver(
    event_loop: &Bound<'_, PyAny>,
    future: &Bound<'_, PyAny>,
    found: PyResult<Py<PyAny>>,
) -> PyResult<()> {
    let future = future.clone().unbind();
    let in_loop =
        PyCFunction::new_closure(event_loop.py(), None, None, move |arguments: &Bound<'_, PyTuple>, _| {
            let py = arguments.py();
            let found = found.as_ref().map(|value| value.clone_ref(py)).map_err(|error| error.clone_ref(py));
            settle(future.bind(py), found)
        })?;
    event_loop.call_method1("call_soon_threadsafe", (in_loop,))?;
    Ok(())
}

/// Gives the future its result or its exception, unless it was cancelled.
fn settle(future: &Bound<'_, PyAny>, found: PyResult<Py<PyAny>>) -> PyResult<()> {
    if future.call_method0("done")?.is_truthy()? {
        return Ok(());
    }
    match found {
        Ok(value) => future.call_method1("set_result", (value,))?,
        Err(error) => future.call_method1("set_exception", (error,))?,
    };
    Ok(())
}
