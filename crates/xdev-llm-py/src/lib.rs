//! The native module of the Python package `xdev_llm`: the client of `xdev-llm` for Python and ComfyUI's nodes.
//!
//! One runtime with two threads serves the process; the interpreter is held only while Python's values are read or
//! made, and for the calls of `on_events`. `client` begins things, `operation` runs them, `run` shows them. Not here:
//! the exceptions (`python/xdev_llm/errors.py`) and the nodes (`python/xdev_llm/comfy`).

mod answer;
mod arguments;
mod awaiting;
mod check;
mod client;
mod compare;
mod error;
mod json;
mod memory;
mod operation;
mod prompt;
mod run;
mod runtime;
mod values;

use pyo3::prelude::*;

/// The native part of xdev_llm.
#[pymodule(gil_used = false)]
mod _native {
    use pyo3::prelude::*;
    use pyo3::types::{PyDict, PyList};
    use xdev_llm::{Message, Overrides, Presets, history};

    use super::{error, json, run};

    #[pymodule_export]
    use super::client::Client;
    #[pymodule_export]
    use super::prompt::analyze::{prompt_analyze, prompt_clip_tokens, prompt_count_clip_tokens};
    #[pymodule_export]
    use super::prompt::builders::{
        prompt_apply_style, prompt_library_notes, prompt_person, prompt_person_categories,
        prompt_search_styles, prompt_style, prompt_style_categories,
    };
    #[pymodule_export]
    use super::prompt::edit::{prompt_clean, prompt_combine, prompt_weight};
    #[pymodule_export]
    use super::prompt::expand::{
        PromptIterator, PromptWildcards, prompt_expand, prompt_iterate, prompt_matrix, prompt_matrix_size,
    };
    #[pymodule_export]
    use super::prompt::weights::{prompt_convert, prompt_parse};
    #[pymodule_export]
    use super::run::{Call, ChatRun};
    #[pymodule_export]
    use super::values::{ChatEvent, ChatReply, ModelInfo, ServerInfo};

    #[pymodule_export]
    #[allow(non_upper_case_globals, reason = "it is Python's name")]
    const __version__: &str = env!("CARGO_PKG_VERSION");

    /// The model servers on this machine.
    #[pyfunction]
    #[pyo3(signature = () -> "list[ServerInfo]")]
    fn discover(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
        let client = Client::open(py, &Overrides::default())?;
        run::wait(py, &client.ask_discover(py, false)?)
    }

    /// The models of a server: of the one given by URL or name, else of the config's, else of the first found.
    #[pyfunction]
    #[pyo3(signature = (server=None) -> "list[ModelInfo]")]
    fn models(py: Python<'_>, server: Option<String>) -> PyResult<Bound<'_, PyAny>> {
        let client = Client::open(py, &Overrides::default())?;
        run::wait(py, &client.ask_models(py, server, false)?)
    }

    /// Reads a conversation in JSON and gives its messages; raises InvalidInput with line and column.
    #[pyfunction]
    fn parse_history<'py>(py: Python<'py>, text: &str) -> PyResult<Vec<Bound<'py, PyDict>>> {
        let messages = py.detach(|| history::parse(text)).map_err(|failed| error::plain(py, &failed))?;
        messages.iter().map(|message| json::dict_of(py, message)).collect()
    }

    /// Adds messages to a conversation in JSON; what was there keeps every byte.
    #[pyfunction]
    fn append_history(py: Python<'_>, text: &str, messages: &Bound<'_, PyList>) -> PyResult<String> {
        let new = json::from_python(messages)?.to_string();
        let append = || history::append(text, &history::parse(&new)?);
        py.detach(append).map_err(|failed| error::plain(py, &failed))
    }

    /// Drops the oldest messages until the rest has at most max_tokens by estimate; the system message and the last
    /// question stay. Text that fits comes back as it was.
    #[pyfunction]
    fn trim_history(py: Python<'_>, text: &str, max_tokens: usize) -> PyResult<String> {
        let trim = || {
            let trimmed = history::trim(&history::parse(text)?, max_tokens, history::estimate_tokens);
            Ok(if trimmed.dropped == 0 { text.to_owned() } else { history::print(&trimmed.messages) })
        };
        py.detach(trim).map_err(|failed| error::plain(py, &failed))
    }

    /// Estimates the tokens of a conversation in JSON, or of any other text: tokenizers differ by a third.
    #[pyfunction]
    fn count_tokens(py: Python<'_>, text: &str) -> usize {
        py.detach(|| match history::parse(text) {
            Ok(messages) => messages.iter().map(history::estimate_tokens).sum(),
            // The marks around a message are not part of a plain text.
            Err(_) => {
                history::estimate_tokens(&Message::user(text)) - history::estimate_tokens(&Message::user(""))
            }
        })
    }

    /// Whether a text looks like an API key, so that a field that is saved with a workflow can refuse it.
    #[pyfunction]
    fn looks_like_key(text: &str) -> bool {
        xdev_llm::looks_like_key(text)
    }

    /// The built-in presets by name, with the values they set.
    #[pyfunction]
    fn builtin_presets(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
        super::client::preset_dict(py, &Presets::default())
    }
}
