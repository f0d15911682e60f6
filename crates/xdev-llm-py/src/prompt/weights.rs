//! What brackets mean: effective weights, and the other dialect.

use pyo3::prelude::*;
use xdev_llm::prompt::{convert, effective_weights};

use super::dialect;
use crate::error;

/// The pieces of a prompt with the weights that an encoder gives them: a list of (text, weight).
#[pyfunction]
#[pyo3(signature = (text, *, dialect="comfyui"))]
pub(crate) fn prompt_parse(py: Python<'_>, text: &str, dialect: &str) -> PyResult<Vec<(String, f64)>> {
    let dialect = self::dialect(py, dialect)?;
    let pieces =
        py.detach(|| effective_weights(text, dialect)).map_err(|failed| error::plain(py, &failed))?;
    Ok(pieces.into_iter().map(|(piece, weight)| (piece.into_owned(), weight)).collect())
}

/// The prompt as the other dialect gives it the same weights, and what that dialect cannot say: (text, warnings).
#[pyfunction]
#[pyo3(signature = (text, *, source, target))]
pub(crate) fn prompt_convert(
    py: Python<'_>,
    text: &str,
    source: &str,
    target: &str,
) -> PyResult<(String, Vec<String>)> {
    let (source, target) = (dialect(py, source)?, dialect(py, target)?);
    let conversion =
        py.detach(|| convert(text, source, target)).map_err(|failed| error::plain(py, &failed))?;
    Ok((conversion.text, conversion.warnings))
}
