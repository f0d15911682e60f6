//! What there is to say about a prompt, and its tokens.

use pyo3::prelude::*;
use pyo3::types::PyDict;
use xdev_llm::prompt::{self, AnalysisOptions, EmbeddingSizes, Level, Report};

use super::dialect;
use crate::{error, json};

/// What was found in a prompt: counts, weights, tags, tokens in chunks, duplicates, conflicts, problems; "report" has it in words.
///
/// `level` is basic, detailed or comprehensive; `weights`, `frequency` and `problems` say whether the report has these.
/// `limit` is how many CLIP tokens are wanted at most, `embeddings` how many an embedding stands for, by name (1 where it
/// is not told).
#[pyfunction]
#[pyo3(signature = (text, *, dialect="comfyui", level="detailed", limit=75, embeddings=None, weights=true, frequency=None, problems=true))]
#[expect(clippy::too_many_arguments, reason = "they are Python's keywords")]
pub(crate) fn prompt_analyze<'py>(
    py: Python<'py>,
    text: &str,
    dialect: &str,
    level: &str,
    limit: usize,
    embeddings: Option<EmbeddingSizes>,
    weights: bool,
    frequency: Option<bool>,
    problems: bool,
) -> PyResult<Bound<'py, PyDict>> {
    let dialect = self::dialect(py, dialect)?;
    let level = Level::from_name(level).map_err(|failed| error::plain(py, &failed))?;
    let own = Report::at(level);
    let wanted = Report { weights, problems, frequency: frequency.unwrap_or(own.frequency), ..own };
    let options = AnalysisOptions { dialect, limit, embeddings: embeddings.unwrap_or_default() };
    let (analysis, report) = py.detach(|| {
        let analysis = prompt::analyze(text, &options);
        let report = analysis.report(&wanted);
        (analysis, report)
    });
    let dict = json::dict_of(py, &analysis)?;
    dict.set_item("report", report)?;
    Ok(dict)
}

/// The numbers of a plain text's CLIP tokens, without begin and end; weights and brackets are text like other.
#[pyfunction]
pub(crate) fn prompt_clip_tokens(py: Python<'_>, text: &str) -> Vec<u16> {
    py.detach(|| prompt::clip_tokens(text))
}

/// How many CLIP tokens a plain text has, without begin and end; weights and brackets are text like other.
#[pyfunction]
pub(crate) fn prompt_count_clip_tokens(py: Python<'_>, text: &str) -> usize {
    py.detach(|| prompt::count_clip_tokens(text))
}
