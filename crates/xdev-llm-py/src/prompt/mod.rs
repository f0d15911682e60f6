//! The prompt toolkit for Python: what `xdev_llm.prompt` gives out, a file a family of functions.
//!
//! The functions are exported with `prompt_` before their names. Not here: what is done with prompts (the library's `prompt`).

pub(crate) mod analyze;
pub(crate) mod builders;
pub(crate) mod edit;
pub(crate) mod expand;
pub(crate) mod weights;

use pyo3::prelude::*;
use xdev_llm::prompt::Dialect;

use crate::error;

/// The dialect of a name.
fn dialect(py: Python<'_>, name: &str) -> PyResult<Dialect> {
    Dialect::from_name(name).map_err(|failed| error::plain(py, &failed))
}
