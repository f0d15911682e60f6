//! The tokio runtime of the process, made on first use, and what a fork and the interpreter's end mean for it.
//!
//! Not here: what runs on it (`operation`).

use std::process;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use tokio::runtime::{Builder, Runtime};

use crate::operation::Operation;

/// How long the end of the interpreter waits for operations to let go of it.
const FAREWELL: Duration = Duration::from_secs(1);

static RUNTIME: OnceLock<(u32, Runtime)> = OnceLock::new();
/// What may still run, so that the end of the interpreter can cancel it.
static OPERATIONS: Mutex<Vec<Weak<Operation>>> = Mutex::new(Vec::new());

/// The runtime of this process.
pub(crate) fn runtime(py: Python<'_>) -> PyResult<&'static Runtime> {
    if let Some((owner, runtime)) = RUNTIME.get() {
        return if *owner == process::id() { Ok(runtime) } else { Err(forked()) };
    }
    let mut is_first = false;
    let made = Builder::new_multi_thread().worker_threads(2).thread_name("xdev-llm").enable_all().build()?;
    let (owner, runtime) = RUNTIME.get_or_init(|| {
        is_first = true;
        (process::id(), made)
    });
    if *owner != process::id() {
        return Err(forked());
    }
    if is_first {
        let farewell = wrap_pyfunction!(farewell, py)?;
        py.import("atexit")?.call_method1("register", (farewell,))?;
    }
    Ok(runtime)
}

/// Whether this process made the runtime: in a forked child nothing of it may be touched.
pub(crate) fn is_own_process() -> bool {
    RUNTIME.get().is_none_or(|(owner, _)| *owner == process::id())
}

/// Remembers an operation for as long as it lives.
pub(crate) fn register(operation: &Arc<Operation>) {
    let mut operations = OPERATIONS.lock().unwrap_or_else(PoisonError::into_inner);
    operations.retain(|operation| operation.strong_count() > 0);
    operations.push(Arc::downgrade(operation));
}

fn forked() -> PyErr {
    PyRuntimeError::new_err(
        "xdev_llm was used before this process was forked, and its threads did not come along. Start processes with \
         multiprocessing's \"spawn\" method, or use xdev_llm only in the children.",
    )
}

/// Cancels everything that runs when the interpreter ends, so that no thread calls into it afterwards.
#[pyfunction]
fn farewell(py: Python<'_>) {
    if !is_own_process() {
        return;
    }
    py.detach(|| {
        let operations = std::mem::take(&mut *OPERATIONS.lock().unwrap_or_else(PoisonError::into_inner));
        let operations: Vec<_> = operations.iter().filter_map(Weak::upgrade).collect();
        for operation in &operations {
            operation.cancel();
        }
        let until = Instant::now() + FAREWELL;
        for operation in operations {
            while !operation.is_done() && Instant::now() < until {
                operation.wait(Duration::from_millis(10));
            }
        }
    });
}
