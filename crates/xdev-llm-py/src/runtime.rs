//! The tokio runtime of the process, made on first use, and what a fork and the interpreter's end mean for it.
//!
//! Not here: what runs on it (`operation`).

use std::process;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use tokio::runtime::{Builder, Runtime};

use crate::operation::Operation;

/// How long the end of the interpreter waits for operations to let go of it.
const FAREWELL: Duration = Duration::from_secs(5);

static RUNTIME: OnceLock<(u32, Runtime)> = OnceLock::new();
/// What may still run, so that the end of the interpreter can cancel it.
static OPERATIONS: Mutex<Vec<Weak<Operation>>> = Mutex::new(Vec::new());

/// The threads that are in the interpreter, or on their way into it; see [`visit`].
static VISITORS: Mutex<Visitors> = Mutex::new(Visitors { count: 0, is_closed: false });
static VISITOR_LEFT: Condvar = Condvar::new();

struct Visitors {
    count: usize,
    is_closed: bool,
}

fn visitors() -> MutexGuard<'static, Visitors> {
    VISITORS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `Visit` lasts as long as the end of the interpreter waits for a thread.
pub(crate) struct Visit(());

impl Visit {
    /// Begins one; `None` when the interpreter ends.
    pub(crate) fn begin() -> Option<Visit> {
        let mut visitors = visitors();
        (!visitors.is_closed).then(|| {
            visitors.count += 1;
            Visit(())
        })
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        visitors().count -= 1;
        VISITOR_LEFT.notify_all();
    }
}

/// Calls into the interpreter from a thread of the runtime; `None` when it ends.
///
/// A thread that waits for the interpreter while that is taken apart is ended by it in the middle of its work, which
/// ends the process. So the end waits for those that are inside, and lets no more in.
pub(crate) fn visit<T>(call: impl FnOnce(Python<'_>) -> T) -> Option<T> {
    let _visit = Visit::begin()?;
    Python::try_attach(call)
}

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
            operation.wait_for_end(until.saturating_duration_since(Instant::now()));
        }
        let mut visitors = visitors();
        visitors.is_closed = true;
        let left = until.saturating_duration_since(Instant::now());
        drop(VISITOR_LEFT.wait_timeout_while(visitors, left, |visitors| visitors.count > 0));
    });
}
