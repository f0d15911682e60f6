//! Templates, the matrix and wildcards: many prompts out of one text.

use std::path::PathBuf;
use std::sync::Mutex;

use pyo3::prelude::*;
use pyo3::types::{PyList, PyString};
use xdev_llm::Error;
use xdev_llm::prompt::{Matrix, MatrixMode, MatrixRequest, Prompts, Template, Wildcards};

use crate::error;

/// What is made of a template where it names no wildcards.
fn template(py: Python<'_>, text: &str, wildcards: Option<&PromptWildcards>) -> PyResult<Template> {
    let known = wildcards.map(|wildcards| &wildcards.wildcards);
    py.detach(|| Template::parse(text, known)).map_err(|failed| error::plain(py, &failed))
}

/// The most bytes that the prompts of a list have together.
const MAX_LIST_BYTES: usize = 1 << 30;

/// `Listed` makes Python's strings of prompts, whose number is known before.
struct Listed<'py> {
    py: Python<'py>,
    prompts: Prompts,
    bytes: usize,
}

/// A string for a list, or why there is none.
struct Text<'py>(PyResult<Bound<'py, PyString>>);

impl<'py> IntoPyObject<'py> for Text<'py> {
    type Target = PyString;
    type Output = Bound<'py, PyString>;
    type Error = PyErr;

    fn into_pyobject(self, _: Python<'py>) -> PyResult<Bound<'py, PyString>> {
        self.0
    }
}

impl<'py> Iterator for Listed<'py> {
    type Item = Text<'py>;

    fn next(&mut self) -> Option<Text<'py>> {
        let text = self.prompts.next_text()?;
        self.bytes = self.bytes.saturating_add(text.len());
        if self.bytes > MAX_LIST_BYTES {
            let failed =
                Error::invalid_input("These prompts have over 1 GiB of text together: give a limit.");
            return Some(Text(Err(error::plain(self.py, &failed))));
        }
        Some(Text(Ok(PyString::new(self.py, text))))
    }
}

impl ExactSizeIterator for Listed<'_> {
    fn len(&self) -> usize {
        // A list has ten million at most.
        self.prompts.left() as usize
    }
}

/// The prompts as Python's strings, without one of ours for each.
fn list(py: Python<'_>, prompts: Prompts) -> PyResult<Bound<'_, PyList>> {
    prompts.check_listed().map_err(|failed| error::plain(py, &failed))?;
    PyList::new(py, Listed { py, prompts, bytes: 0 })
}

/// The prompts that a template stands for: all in turn, or with a seed as many as the limit says (one), drawn.
#[pyfunction]
#[pyo3(signature = (template, *, limit=None, seed=None, wildcards=None) -> "list[str]")]
pub(crate) fn prompt_expand<'py>(
    py: Python<'py>,
    template: &str,
    limit: Option<usize>,
    seed: Option<u64>,
    wildcards: Option<&PromptWildcards>,
) -> PyResult<Bound<'py, PyList>> {
    let template = self::template(py, template, wildcards)?;
    list(
        py,
        match seed {
            Some(seed) => Prompts::drawn(&template, limit.unwrap_or(1), seed),
            None => Prompts::all(&template, 0).first(limit.unwrap_or(usize::MAX)),
        },
    )
}

/// The same one after another, from a number on, in memory that does not grow.
#[pyfunction]
#[pyo3(signature = (template, *, start=0, wildcards=None))]
pub(crate) fn prompt_iterate(
    py: Python<'_>,
    template: &str,
    start: u128,
    wildcards: Option<&PromptWildcards>,
) -> PyResult<PromptIterator> {
    let template = self::template(py, template, wildcards)?;
    let prompts = py.detach(|| Prompts::all(&template, start));
    Ok(PromptIterator { prompts: Mutex::new(prompts) })
}

/// The combinations of the parts of a text, `a | b | c`, a line a group.
#[pyfunction]
#[pyo3(signature = (
    text, *, mode="all_combinations", base="", separator=", ", limit=None, shuffle=false, seed=0
) -> "list[str]")]
#[allow(clippy::too_many_arguments, reason = "they are Python's keywords")]
pub(crate) fn prompt_matrix<'py>(
    py: Python<'py>,
    text: &str,
    mode: &str,
    base: &str,
    separator: &str,
    limit: Option<usize>,
    shuffle: bool,
    seed: u64,
) -> PyResult<Bound<'py, PyList>> {
    let made = py.detach(|| {
        let mode = MatrixMode::from_name(mode)?;
        Matrix::new(&MatrixRequest { text, mode, base, separator, limit, shuffle, seed })
            .map(|matrix| matrix.prompts())
    });
    list(py, made.map_err(|failed| error::plain(py, &failed))?)
}

/// How many combinations the parts of a text have, and how many parts there are: (combinations, parts).
#[pyfunction]
#[pyo3(signature = (text, *, mode="all_combinations"))]
pub(crate) fn prompt_matrix_size(py: Python<'_>, text: &str, mode: &str) -> PyResult<(u128, usize)> {
    let counted = py.detach(|| {
        let mode = MatrixMode::from_name(mode)?;
        Matrix::new(&MatrixRequest { text, mode, limit: Some(0), ..MatrixRequest::default() })
    });
    let matrix = counted.map_err(|failed| error::plain(py, &failed))?;
    Ok((matrix.count(), matrix.parts()))
}

/// Prompts one after another.
#[pyclass(module = "xdev_llm.prompt", name = "PromptIterator", frozen)]
pub(crate) struct PromptIterator {
    prompts: Mutex<Prompts>,
}

impl PromptIterator {
    fn lock(&self) -> std::sync::MutexGuard<'_, Prompts> {
        // Nothing that holds it can stop half-way with a state that is not whole.
        self.prompts.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[pymethods]
impl PromptIterator {
    /// How many are still to come; 2^128 - 1 where there are more.
    #[getter]
    fn left(&self) -> u128 {
        self.lock().left()
    }

    fn __iter__(this: Py<Self>) -> Py<Self> {
        this
    }

    fn __next__<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyString>> {
        self.lock().next_text().map(|text| PyString::new(py, text))
    }
}

/// The wildcards of folders, which are looked at again when their files change, once a second at most.
#[pyclass(module = "xdev_llm.prompt", name = "Wildcards", frozen)]
pub(crate) struct PromptWildcards {
    wildcards: Wildcards,
}

#[pymethods]
impl PromptWildcards {
    #[new]
    fn new(folders: Vec<PathBuf>) -> PromptWildcards {
        PromptWildcards { wildcards: Wildcards::new(folders) }
    }

    /// Their names, in order.
    fn names(&self, py: Python<'_>) -> Vec<String> {
        py.detach(|| self.wildcards.names())
    }

    /// What could not be read, and why.
    fn problems(&self, py: Python<'_>) -> Vec<String> {
        py.detach(|| self.wildcards.problems())
    }

    /// A number that changes when a file does; it means something within one process only.
    fn fingerprint(&self, py: Python<'_>) -> u64 {
        py.detach(|| self.wildcards.fingerprint())
    }
}
