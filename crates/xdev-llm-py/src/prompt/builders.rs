//! Styles and persons out of categories, and the library of named styles.
//!
//! The user's own files are read at each call, so that a change counts at once. Not here: what goes with what (the
//! library's `prompt`).

use std::collections::BTreeMap;
use std::path::PathBuf;

use pyo3::prelude::*;
use pyo3::types::PyDict;
use xdev_llm::prompt::{
    BuildRequest, Catalogue, PERSON_CATEGORIES, Position, STYLE_CATEGORIES, StyleLibrary, build_person,
    build_style,
};
use xdev_llm::{Environment, Result};

use crate::{error, json};

type Choices = BTreeMap<String, String>;
type Names = BTreeMap<String, Vec<String>>;

/// A prompt in a style that is built of categories: entries, "auto" or "none" by category.
///
/// Gives prompt, added, pieces, left_out, notes and seed. data are TOML files of one's own, beside those in the folder
/// "prompt" of the user's config.
#[pyfunction]
#[pyo3(signature = (choices=None, *, prompt="", position="after", custom="", weight=1.0, quality=false, randomize=false,
    seed=0, data=None) -> "dict[str, typing.Any]")]
#[allow(clippy::too_many_arguments, reason = "they are keywords in Python")]
pub(crate) fn prompt_style<'py>(
    py: Python<'py>,
    choices: Option<Choices>,
    prompt: &str,
    position: &str,
    custom: &str,
    weight: f64,
    quality: bool,
    randomize: bool,
    seed: u64,
    data: Option<Vec<PathBuf>>,
) -> PyResult<Bound<'py, PyDict>> {
    let choices = choices.unwrap_or_default();
    let build = || {
        let request = request(choices, prompt, position, custom, quality, randomize, seed)?;
        build_style(&catalogue(data)?, &request, weight)
    };
    let built = py.detach(build).map_err(|failed| error::plain(py, &failed))?;
    json::dict_of(py, &built)
}

/// A prompt with a person that is built of categories: entries, "auto" or "none" by category.
///
/// Gives what prompt_style does.
#[pyfunction]
#[pyo3(signature = (choices=None, *, prompt="", position="after", custom="", quality=false, randomize=false, seed=0,
    data=None) -> "dict[str, typing.Any]")]
#[allow(clippy::too_many_arguments, reason = "they are keywords in Python")]
pub(crate) fn prompt_person<'py>(
    py: Python<'py>,
    choices: Option<Choices>,
    prompt: &str,
    position: &str,
    custom: &str,
    quality: bool,
    randomize: bool,
    seed: u64,
    data: Option<Vec<PathBuf>>,
) -> PyResult<Bound<'py, PyDict>> {
    let choices = choices.unwrap_or_default();
    let build = || {
        let request = request(choices, prompt, position, custom, quality, randomize, seed)?;
        build_person(&catalogue(data)?, &request)
    };
    let built = py.detach(build).map_err(|failed| error::plain(py, &failed))?;
    json::dict_of(py, &built)
}

/// The names that can be chosen in each category of a style.
#[pyfunction]
#[pyo3(signature = (*, data=None))]
pub(crate) fn prompt_style_categories(py: Python<'_>, data: Option<Vec<PathBuf>>) -> PyResult<Names> {
    names(py, &STYLE_CATEGORIES, data)
}

/// The names that can be chosen in each category of a person.
#[pyfunction]
#[pyo3(signature = (*, data=None))]
pub(crate) fn prompt_person_categories(py: Python<'_>, data: Option<Vec<PathBuf>>) -> PyResult<Names> {
    names(py, &PERSON_CATEGORIES, data)
}

/// The named styles that have all the words, the best first; each has name, prompt and negative_prompt.
///
/// library are JSON files or folders of one's own, beside the folder "prompt/library" of the user's config.
#[pyfunction]
#[pyo3(signature = (words="", *, library=None) -> "list[dict[str, str]]")]
pub(crate) fn prompt_search_styles<'py>(
    py: Python<'py>,
    words: &str,
    library: Option<Vec<PathBuf>>,
) -> PyResult<Vec<Bound<'py, PyDict>>> {
    let library = py.detach(|| style_library(library)).map_err(|failed| error::plain(py, &failed))?;
    library.search(words).into_iter().map(|style| json::dict_of(py, style)).collect()
}

/// A prompt in the named style: name, positive and negative.
#[pyfunction]
#[pyo3(signature = (name, prompt="", *, negative="", library=None) -> "dict[str, str]")]
pub(crate) fn prompt_apply_style<'py>(
    py: Python<'py>,
    name: &str,
    prompt: &str,
    negative: &str,
    library: Option<Vec<PathBuf>>,
) -> PyResult<Bound<'py, PyDict>> {
    let apply = || style_library(library)?.apply(name, prompt, negative);
    let styled = py.detach(apply).map_err(|failed| error::plain(py, &failed))?;
    json::dict_of(py, &styled)
}

/// What was wrong with files of the library of styles, a sentence each.
#[pyfunction]
#[pyo3(signature = (*, library=None))]
pub(crate) fn prompt_library_notes(py: Python<'_>, library: Option<Vec<PathBuf>>) -> PyResult<Vec<String>> {
    let library = py.detach(|| style_library(library)).map_err(|failed| error::plain(py, &failed))?;
    Ok(library.notes().to_vec())
}

fn request(
    choices: Choices,
    prompt: &str,
    position: &str,
    custom: &str,
    quality: bool,
    randomize: bool,
    seed: u64,
) -> Result<BuildRequest> {
    let position = Position::from_name(position)?;
    let (prompt, custom) = (prompt.to_owned(), custom.to_owned());
    Ok(BuildRequest { choices, custom, quality, randomize, seed, prompt, position })
}

fn catalogue(data: Option<Vec<PathBuf>>) -> Result<Catalogue> {
    Catalogue::read(Some(&Environment::from_process()?.prompt_dir()), &data.unwrap_or_default())
}

fn style_library(library: Option<Vec<PathBuf>>) -> Result<StyleLibrary> {
    let folder = Environment::from_process()?.prompt_dir().join("library");
    StyleLibrary::read(Some(&folder), &library.unwrap_or_default())
}

fn names(py: Python<'_>, categories: &[&str], data: Option<Vec<PathBuf>>) -> PyResult<Names> {
    let catalogue = py.detach(|| catalogue(data)).map_err(|failed| error::plain(py, &failed))?;
    let of = |category: &str| catalogue.entries(category).iter().map(|entry| entry.name.clone()).collect();
    Ok(categories.iter().map(|category| ((*category).to_owned(), of(category))).collect())
}
