//! `check`: everything that is wrong with a chat's keywords, in words, without asking anybody.
//!
//! Types are told here, values in `arguments`. A text that looks like a key is refused too: whatever stands in a
//! workflow is saved, shared and echoed.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use serde_json::{Map, Value};
use xdev_llm::{Settings, looks_like_key};

use crate::arguments::Arguments;
use crate::client::Messages;
use crate::json;

/// Every keyword of a chat; `on_events` is a function and cannot be wrong before it is called.
const KEYWORDS: [&str; 26] = [
    "prompt",
    "messages",
    "system_prompt",
    "server",
    "model",
    "preset",
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "max_tokens",
    "seed",
    "stop",
    "presence_penalty",
    "frequency_penalty",
    "repeat_penalty",
    "reasoning",
    "response_format",
    "keep_alive",
    "context_length",
    "timeout",
    "deadline",
    "auto_detect_server",
    "extra",
    "on_events",
    "interval",
];

/// `Keywords` takes values out of a dict and writes down those of a wrong type.
struct Keywords<'a, 'py> {
    dict: &'a Bound<'py, PyDict>,
    problems: Vec<(String, String)>,
}

impl<'py> Keywords<'_, 'py> {
    fn any(&self, name: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
        Ok(self.dict.get_item(name)?.filter(|value| !value.is_none()))
    }

    /// The value of a keyword; `what` completes "temperature must be …".
    fn get<T: for<'a> FromPyObject<'a, 'py>>(&mut self, name: &str, what: &str) -> PyResult<Option<T>> {
        let Some(value) = self.any(name)? else { return Ok(None) };
        if let Ok(value) = value.extract() {
            return Ok(Some(value));
        }
        let kind = value.get_type().name()?;
        self.problems.push((name.to_owned(), format!("{name} is of type {kind}; it must be {what}.")));
        Ok(None)
    }

    fn text(&mut self, name: &str) -> PyResult<Option<String>> {
        self.get(name, "a text")
    }

    fn real(&mut self, name: &str) -> PyResult<Option<f64>> {
        self.get(name, "a number")
    }

    fn whole(&mut self, name: &str) -> PyResult<Option<i64>> {
        self.get(name, "a whole number")
    }

    /// Writes down what a conversion raised.
    fn converted<T>(&mut self, py: Python<'py>, name: &str, value: Option<PyResult<T>>) -> Option<T> {
        value?
            .map_err(|error| self.problems.push((name.to_owned(), format!("{name}: {}.", error.value(py)))))
            .ok()
    }

    /// Every keyword as an argument.
    fn arguments(&mut self) -> PyResult<Arguments> {
        let py = self.dict.py();
        let messages = self.get::<Messages<'_>>("messages", "JSON text or a list of messages")?;
        let format = self.any("response_format")?;
        let extra = self.get::<Bound<'_, PyDict>>("extra", "a dict")?;
        Ok(Arguments {
            prompt: self.text("prompt")?,
            messages: self.converted(py, "messages", messages.map(Messages::text)),
            system_prompt: self.text("system_prompt")?,
            server: self.text("server")?,
            model: self.text("model")?,
            preset: self.text("preset")?,
            temperature: self.real("temperature")?,
            top_p: self.real("top_p")?,
            top_k: self.whole("top_k")?,
            min_p: self.real("min_p")?,
            max_tokens: self.whole("max_tokens")?,
            seed: self.get("seed", "a whole number")?,
            stop: self.get("stop", "a list of texts")?,
            presence_penalty: self.real("presence_penalty")?,
            frequency_penalty: self.real("frequency_penalty")?,
            repeat_penalty: self.real("repeat_penalty")?,
            reasoning: self.text("reasoning")?,
            response_format: self.converted(py, "response_format", format.as_ref().map(json::from_python)),
            keep_alive: self.whole("keep_alive")?,
            context_length: self.whole("context_length")?,
            timeout: self.real("timeout")?,
            deadline: self.real("deadline")?,
            auto_detect_server: self.get("auto_detect_server", "True or False")?.unwrap_or_default(),
            extra: self.converted(py, "extra", extra.as_ref().map(fields)).unwrap_or_default(),
            interval: self.real("interval")?,
        })
    }
}

/// The arguments of a call that takes a chat's keywords in a dict.
pub(crate) fn arguments(call: &str, dict: &Bound<'_, PyDict>) -> PyResult<Arguments> {
    refuse_unknown(call, dict)?;
    let mut keywords = Keywords { dict, problems: Vec::new() };
    let arguments = keywords.arguments()?;
    match keywords.problems.into_iter().next() {
        Some((_, problem)) => Err(PyTypeError::new_err(problem)),
        None => Ok(arguments),
    }
}

fn refuse_unknown(call: &str, dict: &Bound<'_, PyDict>) -> PyResult<()> {
    for name in dict.keys() {
        let name = name.cast_into::<PyString>()?;
        if !KEYWORDS.contains(&name.to_str()?) {
            return Err(PyTypeError::new_err(format!(
                "{call}() got an unexpected keyword argument '{name}'"
            )));
        }
    }
    Ok(())
}

/// Checks the keywords in a dict.
pub(crate) fn check(settings: &Settings, dict: &Bound<'_, PyDict>) -> PyResult<Vec<(String, String)>> {
    refuse_unknown("check", dict)?;
    let mut keywords = Keywords { dict, problems: Vec::new() };
    let arguments = keywords.arguments()?;
    let mut problems = keywords.problems;
    // Whatever has the wrong type is missing from the arguments, which is no problem of its own.
    let is_known =
        |problems: &[(String, String)], field: &str| problems.iter().any(|(known, _)| known == field);
    for (field, error) in arguments.problems(settings) {
        if !is_known(&problems, field) {
            problems.push((field.to_owned(), in_words(&error)));
        }
    }
    for (field, text) in texts(&arguments) {
        if looks_like_key(text) && !is_known(&problems, field) {
            problems.push((field.to_owned(), key_found(field)));
        }
    }
    Ok(problems)
}

fn in_words(error: &xdev_llm::Error) -> String {
    if error.hint() == error.kind().hint() { error.to_string() } else { format!("{error} {}", error.hint()) }
}

/// Every text a person typed.
fn texts(arguments: &Arguments) -> Vec<(&'static str, &str)> {
    let fields = [
        ("prompt", &arguments.prompt),
        ("messages", &arguments.messages),
        ("system_prompt", &arguments.system_prompt),
        ("server", &arguments.server),
        ("model", &arguments.model),
        ("preset", &arguments.preset),
    ];
    let fields = fields.into_iter().filter_map(|(field, text)| Some((field, text.as_deref()?)));
    let stops = arguments.stop.iter().flatten().map(|stop| ("stop", stop.as_str()));
    fields.chain(stops).collect()
}

fn key_found(field: &str) -> String {
    format!(
        "{field} looks like a key. Whatever is typed here is saved with the workflow; give the server a name under \
         [servers] in your config, with `api_key_env` or `api_key_file`, and make a new key."
    )
}

/// A dict as JSON.
pub(crate) fn fields(dict: &Bound<'_, PyDict>) -> PyResult<Map<String, Value>> {
    match json::from_python(dict.as_any())? {
        Value::Object(fields) => Ok(fields),
        _ => Err(PyTypeError::new_err("it must be a dict")),
    }
}
