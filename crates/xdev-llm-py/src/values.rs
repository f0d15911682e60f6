//! What Python gets to see: events, replies, servers and models, all of them read-only.
//!
//! Not here: how they come to be (`answer`, `client`).

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use serde_json::{Value, json};
use xdev_llm::wire::Health;
use xdev_llm::{
    ChatEvent as Event, Found, GenerationStats, Message, Part, Progress, ServerInfo as Info, ServerSource,
    Taken, Timing, history, pick,
};

use crate::json;

/// `ServerFacts` is which server was taken, and why.
#[derive(Clone)]
pub(crate) struct ServerFacts {
    pub(crate) url: String,
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) source: ServerSource,
    /// Which route of an alias led there.
    pub(crate) route: Option<Taken>,
}

impl ServerFacts {
    /// For Python.
    pub(crate) fn to_json(&self) -> Value {
        let mut facts =
            json!({"url": self.url, "kind": self.kind, "name": self.name, "source": source(&self.source)});
        if let Some(route) = &self.route {
            facts["route"] = json!(route);
        }
        facts
    }
}

fn source(source: &ServerSource) -> &'static str {
    match source {
        ServerSource::Given => "given",
        ServerSource::Configured(_) => "configured",
        ServerSource::Discovered => "discovered",
        ServerSource::Engine => "engine",
    }
}

/// A thing that happened while an answer arrived.
///
/// `kind` is one of started, loading_model, reading_prompt, reasoning, text, text_was_reasoning, tool_call, usage,
/// timing, extra and finished; where several models are asked, also begun (its turn has come) and ended.
#[pyclass(frozen, get_all, module = "xdev_llm")]
pub(crate) struct ChatEvent {
    /// What happened.
    kind: &'static str,
    /// A piece of text, for text, reasoning, finished (the reason) and ended (the failure); empty for the others.
    text: String,
    /// The share that is done, 0 to 1, where the server tells it.
    progress: Option<f32>,
    /// The details, for the kinds that have some.
    data: Option<Py<PyDict>>,
}

#[pymethods]
impl ChatEvent {
    fn __repr__(&self) -> String {
        format!("ChatEvent(kind={:?}, text={:?})", self.kind, self.text)
    }
}

impl ChatEvent {
    /// An event that is no server's.
    pub(crate) fn own(kind: &'static str, text: &str) -> ChatEvent {
        ChatEvent { kind, text: text.to_owned(), progress: None, data: None }
    }

    /// The event as Python sees it.
    pub(crate) fn new(py: Python<'_>, event: &Event) -> PyResult<ChatEvent> {
        let (kind, text, progress, data) = match event {
            Event::Started { id, model } => ("started", "", None, Some(json!({"id": id, "model": model}))),
            Event::Progress(Progress::LoadingModel(done)) => ("loading_model", "", *done, None),
            Event::Progress(Progress::ReadingPrompt(done)) => ("reading_prompt", "", *done, None),
            Event::Reasoning(text) => ("reasoning", text.as_str(), None, None),
            Event::Text(text) => ("text", text.as_str(), None, None),
            Event::TextWasReasoning => ("text_was_reasoning", "", None, None),
            Event::ToolCall(piece) => {
                let data = json!({
                    "index": piece.index, "id": piece.id, "name": piece.name, "arguments": piece.arguments,
                });
                ("tool_call", "", None, Some(data))
            }
            Event::Usage(usage) => ("usage", "", None, Some(json!(usage))),
            Event::Timing(times) => ("timing", "", None, Some(timing(times))),
            Event::Extra(name, value) => ("extra", "", None, Some(json!({name: value}))),
            Event::Finished(reason) => ("finished", reason.as_str(), None, None),
            _ => ("extra", "", None, None),
        };
        let data = data.map(|data| json::dict_of(py, &data).map(Bound::unbind)).transpose()?;
        Ok(ChatEvent { kind, text: text.to_owned(), progress, data })
    }
}

fn timing(timing: &Timing) -> Value {
    let seconds = |time: Option<std::time::Duration>| time.map(|time| time.as_secs_f64());
    json!({
        "time_to_first_token": seconds(timing.time_to_first_token),
        "duration": seconds(timing.duration),
        "tokens_per_second": timing.tokens_per_second,
        "model_load": seconds(timing.model_load),
        "prompt_eval": seconds(timing.prompt_eval),
        "source": timing.source,
    })
}

/// `Conversation` is what was asked, so that the answer can be added.
pub(crate) struct Conversation {
    /// Every message that was sent.
    pub(crate) messages: Vec<Message>,
    /// The history as it was given, and how many of the messages it holds, where they begin with it unchanged.
    pub(crate) given: Option<(String, usize)>,
}

/// `Reply` is an answer with what Python is told beside it.
pub(crate) struct Reply {
    pub(crate) answer: xdev_llm::ChatReply,
    /// `None` for a partial answer, which continues nothing.
    pub(crate) conversation: Option<Conversation>,
    pub(crate) server: Option<ServerFacts>,
    pub(crate) notes: Vec<String>,
}

impl Reply {
    /// The conversation and the answer as JSON; every byte of a given history stays.
    fn print_conversation(&self) -> String {
        let answer = Message {
            content: if self.answer.text.is_empty() {
                Vec::new()
            } else {
                vec![Part::Text(self.answer.text.clone())]
            },
            tool_calls: self.answer.tool_calls.clone(),
            ..Message::assistant("")
        };
        let Some(conversation) = &self.conversation else { return history::print(&[answer]) };
        if let Some((given, count)) = &conversation.given {
            let mut new = conversation.messages[*count..].to_vec();
            new.push(answer.clone());
            // An object with `messages` cannot be added to; it is printed anew.
            if let Ok(text) = history::append(given, &new) {
                return text;
            }
        }
        let mut messages = conversation.messages.clone();
        messages.push(answer);
        history::print(&messages)
    }
}

/// A whole answer, or with an error what had arrived of one.
#[pyclass(frozen, module = "xdev_llm")]
pub(crate) struct ChatReply(pub(crate) Arc<Reply>);

#[pymethods]
impl ChatReply {
    /// The answer. The model's thinking is never in it.
    #[getter]
    fn text(&self) -> &str {
        &self.0.answer.text
    }

    /// The model's thinking.
    #[getter]
    fn reasoning(&self) -> &str {
        &self.0.answer.reasoning
    }

    /// The server's id of the answer.
    #[getter]
    fn id(&self) -> Option<&str> {
        self.0.answer.id.as_deref()
    }

    /// The model that answered, as the server names it.
    #[getter]
    fn model(&self) -> Option<&str> {
        self.0.answer.model.as_deref()
    }

    /// Why it ended: stop, length, tool_calls or content_filter; None only in a partial answer.
    #[getter]
    fn finish_reason(&self) -> Option<&'static str> {
        self.0.answer.finish_reason.map(xdev_llm::FinishReason::as_str)
    }

    /// The calls the model asks for, each with id, name and arguments (JSON text).
    #[getter]
    fn tool_calls<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyDict>>> {
        let calls = self.0.answer.tool_calls.iter();
        calls
            .map(|call| {
                json::dict_of(py, &json!({"id": call.id, "name": call.name, "arguments": call.arguments}))
            })
            .collect()
    }

    /// Counts of tokens; None is not told.
    #[getter]
    fn usage<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        json::dict_of(py, &self.0.answer.usage)
    }

    /// Times in seconds; None is not known.
    #[getter]
    fn timing<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        json::dict_of(py, &timing(&self.0.answer.timing))
    }

    /// What was asked of which server: server_kind, url, model, parameters and not_sent.
    #[getter]
    fn sent<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let sent = &self.0.answer.sent;
        let sent = json!({
            "server_kind": sent.server_kind,
            "url": sent.url,
            "model": sent.model,
            "parameters": sent.parameters,
            "not_sent": sent.not_sent,
        });
        json::dict_of(py, &sent)
    }

    /// Things a person should know although the answer came.
    #[getter]
    fn warnings(&self) -> Vec<String> {
        self.0.answer.warnings.clone()
    }

    /// What a person should know about the choice of the server.
    #[getter]
    fn notes(&self) -> Vec<String> {
        self.0.notes.clone()
    }

    /// Fields of the answer that have no name here, as they came.
    #[getter]
    fn extra<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        json::to_dict(py, &self.0.answer.extra)
    }

    /// The numbers of this answer; what is not known is left out, times are seconds.
    #[getter]
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        json::dict_of(py, &GenerationStats::from(&self.0.answer))
    }

    /// The conversation as JSON: the history, the prompt and this answer, with the system message that was sent.
    #[getter]
    fn conversation(&self) -> String {
        self.0.print_conversation()
    }

    /// The server that answered: url, kind, name and source, and for an alias its route: alias, taken (from 1) and tried,
    /// each with server, model and why. None where none was reached.
    #[getter]
    fn server<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        self.0.server.as_ref().map(|server| json::dict_of(py, &server.to_json())).transpose()
    }

    fn __str__(&self) -> &str {
        &self.0.answer.text
    }

    fn __repr__(&self) -> String {
        let answer = &self.0.answer;
        format!(
            "ChatReply(text={:?}, model={:?}, finish_reason={:?})",
            answer.text,
            answer.model,
            self.finish_reason()
        )
    }
}

/// A model, as its server tells of it.
#[pyclass(frozen, module = "xdev_llm")]
pub(crate) struct ModelInfo(pub(crate) xdev_llm::ModelInfo);

#[pymethods]
impl ModelInfo {
    /// The name to ask for, in the server's own spelling.
    #[getter]
    fn id(&self) -> &str {
        &self.0.id
    }

    /// What it is for: llm, vision, embedding, rerank or other.
    #[getter]
    fn kind(&self) -> &'static str {
        self.0.kind.as_str()
    }

    /// Whether it is in memory: loaded, loading, not_loaded or unknown.
    #[getter]
    fn state(&self) -> &'static str {
        self.0.state.as_str()
    }

    /// The longest context it can have, in tokens.
    #[getter]
    fn context_length(&self) -> Option<u32> {
        self.0.context_length
    }

    /// The context it is loaded with, in tokens.
    #[getter]
    fn loaded_context_length(&self) -> Option<u32> {
        self.0.loaded_context_length
    }

    /// How its weights are stored, such as Q4_K_M.
    #[getter]
    fn quantization(&self) -> Option<&str> {
        self.0.quantization.as_deref()
    }

    /// How many weights it has.
    #[getter]
    fn parameters(&self) -> Option<u64> {
        self.0.parameters
    }

    /// Its size on disk, in bytes.
    #[getter]
    fn size_bytes(&self) -> Option<u64> {
        self.0.size_bytes
    }

    /// The GPU memory it takes now, in bytes.
    #[getter]
    fn vram_bytes(&self) -> Option<u64> {
        self.0.vram_bytes
    }

    /// What it can do beyond chat, in the server's words, such as tool_use.
    #[getter]
    fn capabilities(&self) -> Vec<String> {
        self.0.capabilities.clone()
    }

    /// Who made it or owns it.
    #[getter]
    fn owned_by(&self) -> Option<&str> {
        self.0.owned_by.as_deref()
    }

    /// Everything as a dict; what is not told is left out.
    fn as_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        json::dict_of(py, &self.0)
    }

    fn __repr__(&self) -> String {
        format!("ModelInfo(id={:?}, kind={:?}, state={:?})", self.0.id, self.kind(), self.state())
    }
}

/// `ServerState` is what is known of a server, asked or found.
#[derive(Clone)]
pub(crate) struct ServerState {
    pub(crate) facts: ServerFacts,
    pub(crate) version: Option<String>,
    pub(crate) health: Health,
    pub(crate) models: Vec<xdev_llm::ModelInfo>,
    pub(crate) latency_ms: f64,
    pub(crate) notes: Vec<String>,
}

impl From<Info> for ServerState {
    fn from(info: Info) -> Self {
        ServerState {
            facts: ServerFacts {
                url: info.url,
                kind: info.kind.as_str().to_owned(),
                name: info.name,
                source: info.source,
                route: None,
            },
            version: info.version,
            health: info.health,
            models: info.models,
            latency_ms: info.latency_ms,
            notes: info.notes,
        }
    }
}

impl From<Found> for ServerState {
    fn from(found: Found) -> Self {
        let health = match &found {
            Found { needs_key: true, .. } => Health::NeedsKey,
            Found { loading: true, .. } => Health::Loading,
            Found { models, .. } if models.is_empty() => Health::NoModel,
            _ => Health::Ready,
        };
        ServerState {
            facts: ServerFacts {
                url: found.url,
                kind: found.kind.as_str().to_owned(),
                name: found.name,
                source: ServerSource::Discovered,
                route: None,
            },
            version: found.version,
            health,
            models: found.models,
            latency_ms: (found.latency.as_secs_f64() * 1e6).round() / 1e3,
            notes: Vec::new(),
        }
    }
}

/// What a server tells about itself.
#[pyclass(frozen, module = "xdev_llm")]
pub(crate) struct ServerInfo(pub(crate) Arc<ServerState>);

#[pymethods]
impl ServerInfo {
    /// Its address.
    #[getter]
    fn url(&self) -> &str {
        &self.0.facts.url
    }

    /// What it is, such as lmstudio, ollama or llama.cpp.
    #[getter]
    fn kind(&self) -> &str {
        &self.0.facts.kind
    }

    /// Its name for people.
    #[getter]
    fn name(&self) -> &str {
        &self.0.facts.name
    }

    /// Its version, where it tells.
    #[getter]
    fn version(&self) -> Option<&str> {
        self.0.version.as_deref()
    }

    /// Why it was taken: given, configured, discovered or engine.
    #[getter]
    fn source(&self) -> &'static str {
        source(&self.0.facts.source)
    }

    /// Its state: ready, loading, needs_key, no_model or unwell (`notes` say how).
    #[getter]
    fn health(&self) -> &'static str {
        match self.0.health {
            Health::Ready => "ready",
            Health::Loading => "loading",
            Health::NeedsKey => "needs_key",
            Health::NoModel => "no_model",
            Health::Unwell(_) => "unwell",
        }
    }

    /// Its models.
    #[getter]
    fn models<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        model_list(py, &self.0.models)
    }

    /// How long the question for its health took, in milliseconds.
    #[getter]
    fn latency_ms(&self) -> f64 {
        self.0.latency_ms
    }

    /// What a person should know.
    #[getter]
    fn notes(&self) -> Vec<String> {
        let mut notes = self.0.notes.clone();
        if let Health::Unwell(how) = &self.0.health {
            notes.insert(0, how.clone());
        }
        notes
    }

    /// The model that "auto" takes; None where none can chat.
    #[getter]
    fn auto(&self) -> Option<&str> {
        pick(&self.0.models).ok().map(|model| model.id.as_str())
    }

    /// Everything as a dict, ready for JSON.
    fn as_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let value = json!({
            "url": self.url(),
            "kind": self.kind(),
            "name": self.name(),
            "version": self.version(),
            "source": self.source(),
            "health": self.health(),
            "models": self.0.models,
            "latency_ms": self.latency_ms(),
            "notes": self.notes(),
            "auto": self.auto(),
        });
        json::dict_of(py, &value)
    }

    fn __repr__(&self) -> String {
        format!("ServerInfo(url={:?}, kind={:?}, health={:?})", self.url(), self.kind(), self.health())
    }
}

/// Models as a list.
pub(crate) fn model_list<'py>(
    py: Python<'py>,
    models: &[xdev_llm::ModelInfo],
) -> PyResult<Bound<'py, PyList>> {
    PyList::new(
        py,
        models.iter().map(|model| Py::new(py, ModelInfo(model.clone()))).collect::<PyResult<Vec<_>>>()?,
    )
}
