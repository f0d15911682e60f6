//! What changes a prompt: several as one, other weights, tidied.

use pyo3::prelude::*;
use pyo3::types::PyDict;
use xdev_llm::prompt::{
    Case, CleanOptions, CombineMode, EncoderSafe, Part, Separator, WeightOperation, clean, combine, weigh,
};
use xdev_llm::{Error, Result};

use super::dialect;
use crate::{error, json};

/// Several prompts as one: a dict with `text`, `prompts`, `order` and `duplicates`.
///
/// `weights` go with the prompts one by one, and are 1 where there are none. `separator` is comma, space, newline, pipe,
/// semicolon, or custom with `custom_separator`.
#[pyfunction]
#[pyo3(signature = (prompts, *, weights=None, mode="concatenate", separator="comma", custom_separator="", dialect="comfyui"))]
pub(crate) fn prompt_combine<'py>(
    py: Python<'py>,
    prompts: Vec<String>,
    weights: Option<Vec<f64>>,
    mode: &str,
    separator: &str,
    custom_separator: &str,
    dialect: &str,
) -> PyResult<Bound<'py, PyDict>> {
    let dialect = self::dialect(py, dialect)?;
    let weights = weights.unwrap_or_default();
    let work = || {
        if weights.len() > prompts.len() {
            let (weights, prompts) = (weights.len(), prompts.len());
            return Err(Error::invalid_input(format!("There are {weights} weights and {prompts} prompts.")));
        }
        let weights = weights.into_iter().chain(std::iter::repeat(1.0));
        let parts: Vec<Part> =
            prompts.into_iter().zip(weights).map(|(text, weight)| Part { text, weight }).collect();
        let separator = Separator::from_name(separator, custom_separator)?;
        combine(&parts, CombineMode::from_name(mode)?, &separator, dialect)
    };
    let combination = py.detach(work).map_err(|failed| error::plain(py, &failed))?;
    json::dict_of(py, &combination)
}

/// A prompt with other weights: a dict with `text`, `changed` and `found`.
///
/// `operation` is `add_emphasis`, `add_deemphasis`, `multiply_existing`, `remove_weights` or `normalize_weights`, of which the
/// last brings the mean (or with `by="maximum"` the largest) of the weights to `value`.
#[pyfunction]
#[pyo3(signature = (text, operation="add_emphasis", *, value=1.1, target="", by="mean", dialect="comfyui"))]
pub(crate) fn prompt_weight<'py>(
    py: Python<'py>,
    text: &str,
    operation: &str,
    value: f64,
    target: &str,
    by: &str,
    dialect: &str,
) -> PyResult<Bound<'py, PyDict>> {
    let dialect = self::dialect(py, dialect)?;
    let work = || weigh(text, self::operation(operation, value, by)?, Some(target), dialect);
    let weighing = py.detach(work).map_err(|failed| error::plain(py, &failed))?;
    json::dict_of(py, &weighing)
}

fn operation(name: &str, value: f64, by: &str) -> Result<WeightOperation> {
    Ok(match (name, by) {
        ("add_emphasis", _) => WeightOperation::Emphasize(value),
        ("add_deemphasis", _) => WeightOperation::Deemphasize(value),
        ("multiply_existing", _) => WeightOperation::Multiply(value),
        ("remove_weights", _) => WeightOperation::Remove,
        ("normalize_weights", "mean") => WeightOperation::NormalizeMean(value),
        ("normalize_weights", "maximum") => WeightOperation::NormalizeMaximum(value),
        ("normalize_weights", _) => {
            return Err(Error::invalid_input(format!(
                "Weights are normalised by mean or maximum, not by \"{by}\"."
            )));
        }
        _ => {
            return Err(Error::invalid_input(format!(
                "\"{name}\" is no operation: add_emphasis, add_deemphasis, multiply_existing, remove_weights or normalize_weights."
            )));
        }
    })
}

/// A prompt that is tidy and fit for an encoder: a dict with `text`, `changed` and `changes`.
///
/// `case` is none, lower, title or sentence; `max_length` is in characters; `encoder_safe` is none, escape or keep.
#[pyfunction]
#[pyo3(signature = (
    text, *, strip_model_talk=true, remove_duplicates=true, fix_spacing=true, fix_punctuation=true,
    remove_empty_weights=true, case="none", sort_alphabetically=false, max_length=None, encoder_safe="keep",
    dialect="comfyui"
))]
#[allow(clippy::too_many_arguments, clippy::fn_params_excessive_bools, reason = "they are Python's keywords")]
pub(crate) fn prompt_clean<'py>(
    py: Python<'py>,
    text: &str,
    strip_model_talk: bool,
    remove_duplicates: bool,
    fix_spacing: bool,
    fix_punctuation: bool,
    remove_empty_weights: bool,
    case: &str,
    sort_alphabetically: bool,
    max_length: Option<usize>,
    encoder_safe: &str,
    dialect: &str,
) -> PyResult<Bound<'py, PyDict>> {
    let plain = |failed| error::plain(py, &failed);
    let options = CleanOptions {
        dialect: self::dialect(py, dialect)?,
        strip_model_talk,
        remove_duplicates,
        fix_spacing,
        fix_punctuation,
        remove_empty_weights,
        case: Case::from_name(case).map_err(plain)?,
        sort_alphabetically,
        max_length,
        encoder_safe: EncoderSafe::from_name(encoder_safe).map_err(plain)?,
    };
    json::dict_of(py, &py.detach(|| clean(text, &options)))
}
