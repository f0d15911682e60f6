//! `Client`: the settings, and the calls that begin chats and questions.
//!
//! Not here: what arguments mean (`arguments`, `check`), how a chat goes on (`answer`, `run`).

use std::sync::Arc;

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use xdev_llm::{Environment, Error, Overrides, Presets, Settings, Unload, normalise_url};

use crate::answer::{self, Listener};
use crate::arguments::Arguments;
use crate::compare::Comparing;
use crate::memory::{self, Wanted};
use crate::operation::{Lease, Operation, Queue, Value, start};
use crate::run::{Call, ChatRun};
use crate::values::ServerState;
use crate::{check, error, json, runtime};

/// A conversation: JSON text, or a list of dicts with role and content.
#[derive(FromPyObject)]
pub(crate) enum Messages<'py> {
    Text(String),
    List(Bound<'py, PyList>),
}

impl Messages<'_> {
    /// As JSON text.
    pub(crate) fn text(self) -> PyResult<String> {
        match self {
            Messages::Text(text) => Ok(text),
            Messages::List(list) => Ok(json::from_python(&list)?.to_string()),
        }
    }
}

/// Talks to model servers; reads the config when it is made and opens nothing.
///
/// What is given here beats the config, as the command's flags do. Servers and models are remembered for a minute.
#[pyclass(frozen, module = "xdev_llm")]
pub(crate) struct Client(pub(crate) xdev_llm::Client);

impl Drop for Client {
    fn drop(&mut self) {
        // A forked child has the parent's connections: to close them would take them from the parent's event queue.
        if !runtime::is_own_process() {
            std::mem::forget(self.0.clone());
        }
    }
}

impl Client {
    pub(crate) fn open(py: Python<'_>, overrides: &Overrides) -> PyResult<Client> {
        let open = || {
            let settings = Settings::load(overrides, &Environment::from_process()?)?;
            // A wrong preset in the config is said now and not in the middle of the work.
            Presets::from_settings(&settings)?;
            xdev_llm::Client::new(settings)
        };
        py.detach(open).map(Client).map_err(|error| error::plain(py, &error))
    }

    /// Asks for everything a server tells about itself.
    pub(crate) fn ask_server(
        &self,
        py: Python<'_>,
        server: Option<String>,
        fresh: bool,
    ) -> PyResult<Arc<Operation>> {
        let client = self.0.clone();
        start(py, async move {
            let info = choose(&client, server.as_deref(), fresh).await?.info().await?;
            Ok(Value::Server(Arc::new(info.into())))
        })
    }

    /// Asks which server and model a chat would take.
    fn ask_target(
        &self,
        py: Python<'_>,
        server: Option<String>,
        model: Option<String>,
        auto_detect_server: bool,
    ) -> PyResult<Arc<Operation>> {
        let client = self.0.clone();
        start(py, async move {
            let route = client.route(server.as_deref(), model.as_deref()).await?;
            let (chosen, model) = (route.server, route.model.as_deref());
            let resolved = chosen.resolve_model(model).await;
            let detects = auto_detect_server && route.alias.is_none();
            let (chosen, resolved) = match resolved {
                Err(error) if detects => match answer::stand_in(&client, &chosen, &error).await {
                    Some(other) => (other.clone(), other.resolve_model(model).await),
                    None => (chosen, Err(error)),
                },
                resolved => (chosen, resolved),
            };
            Ok(Value::Target { url: chosen.url().to_owned(), model: resolved? })
        })
    }

    /// Asks for the models of a server.
    pub(crate) fn ask_models(
        &self,
        py: Python<'_>,
        server: Option<String>,
        fresh: bool,
    ) -> PyResult<Arc<Operation>> {
        let client = self.0.clone();
        start(py, async move {
            let models = choose(&client, server.as_deref(), fresh).await?.models().await?;
            Ok(Value::Models(Arc::new(models)))
        })
    }

    /// Looks for servers on this machine.
    pub(crate) fn ask_discover(&self, py: Python<'_>, fresh: bool) -> PyResult<Arc<Operation>> {
        let client = self.0.clone();
        start(py, async move {
            if fresh {
                client.forget_found();
            }
            let found = client.discover().await.into_iter().map(ServerState::from);
            Ok(Value::Servers(Arc::new(found.collect())))
        })
    }
}

/// Picks a server; an empty text is none. With `fresh`, nothing that is remembered about it counts.
pub(crate) async fn choose(
    client: &xdev_llm::Client,
    server: Option<&str>,
    fresh: bool,
) -> Result<xdev_llm::Server, Error> {
    let server = server.filter(|server| !server.trim().is_empty());
    let chosen = client.server(server).await?;
    if fresh {
        chosen.forget();
        return client.server(server).await;
    }
    Ok(chosen)
}

#[pymethods]
impl Client {
    /// Reads the config; raises ConfigError for what is wrong in it and InvalidInput for a wrong value given here.
    #[new]
    #[pyo3(signature = (*, server=None, model=None, preset=None, system=None, timeout=None, deadline=None,
                        concurrency=None, reasoning=None))]
    #[expect(clippy::too_many_arguments, reason = "they are Python's keywords")]
    fn new(
        py: Python<'_>,
        server: Option<String>,
        model: Option<String>,
        preset: Option<String>,
        system: Option<String>,
        timeout: Option<u32>,
        deadline: Option<u32>,
        concurrency: Option<u32>,
        reasoning: Option<String>,
    ) -> PyResult<Client> {
        let level = Arguments { reasoning, ..Arguments::default() };
        let reasoning = level.level().map_err(|error| error::plain(py, &error))?;
        let overrides = Overrides {
            server,
            model,
            preset,
            system,
            timeout,
            deadline,
            concurrency,
            reasoning,
            ..Overrides::default()
        };
        Client::open(py, &overrides)
    }

    /// Starts a chat at once and gives the run: wait for it, await it or iterate over it.
    ///
    /// server is a URL or a configured name; without one it is the config's, else the first found on this machine.
    /// model "auto" is the loaded one; an alias of the config wins over a model of its name, and auto_detect_server then
    /// does nothing, because its routes say where else to go. A value given here beats the preset's. system_prompt replaces a system message
    /// of messages; without it the history's own stays, else the preset's, else the config's. With auto_detect_server,
    /// and only when nothing answers at the server, the first one found on this machine is taken, and the notes say so.
    /// on_events is called from another thread every interval seconds with the events that arrived, and a last time with the
    /// rest; when it returns False or raises, the run ends with Interrupted.
    #[pyo3(signature = (prompt=None, *, messages: "str | list[dict] | None"=None, system_prompt=None, server=None, model=None, preset=None,
                        temperature=None, top_p=None, top_k=None, min_p=None, max_tokens=None, seed=None, stop: "list[str] | None"=None,
                        presence_penalty=None, frequency_penalty=None, repeat_penalty=None, reasoning=None,
                        response_format: "str | dict | None"=None, keep_alive=None, context_length=None, timeout=None, deadline=None,
                        auto_detect_server=false, extra=None, on_events=None, interval=0.05))]
    #[expect(clippy::too_many_arguments, reason = "they are Python's keywords")]
    fn chat(
        &self,
        py: Python<'_>,
        prompt: Option<String>,
        messages: Option<Messages<'_>>,
        system_prompt: Option<String>,
        server: Option<String>,
        model: Option<String>,
        preset: Option<String>,
        temperature: Option<f64>,
        top_p: Option<f64>,
        top_k: Option<i64>,
        min_p: Option<f64>,
        max_tokens: Option<i64>,
        seed: Option<i128>,
        stop: Option<Vec<String>>,
        presence_penalty: Option<f64>,
        frequency_penalty: Option<f64>,
        repeat_penalty: Option<f64>,
        reasoning: Option<String>,
        response_format: Option<&Bound<'_, PyAny>>,
        keep_alive: Option<i64>,
        context_length: Option<i64>,
        timeout: Option<f64>,
        deadline: Option<f64>,
        auto_detect_server: bool,
        extra: Option<&Bound<'_, PyDict>>,
        on_events: Option<Py<PyAny>>,
        interval: f64,
    ) -> PyResult<ChatRun> {
        let arguments = Arguments {
            prompt,
            messages: messages.map(Messages::text).transpose()?,
            system_prompt,
            server,
            model,
            preset,
            temperature,
            top_p,
            top_k,
            min_p,
            max_tokens,
            seed,
            stop,
            presence_penalty,
            frequency_penalty,
            repeat_penalty,
            reasoning,
            response_format: response_format.map(json::from_python).transpose()?,
            keep_alive,
            context_length,
            timeout,
            deadline,
            auto_detect_server,
            extra: extra.map(check::fields).transpose()?.unwrap_or_default(),
            interval: Some(interval),
        };
        self.start_chat(py, arguments, on_events)
    }

    /// Asks several models the same, one after another in this order or side by side with parallel, as a call that gives a
    /// list of dicts in the order of models: model as it was asked for, reply (a ChatReply, or None) and error (an Error,
    /// or None). A model that fails leaves the others alone. A model may be an alias; the keywords are those of chat.
    ///
    /// on_events is called as chat calls it, with pairs of a model's index and an event; events of kind begun and ended
    /// say when a model's turn comes and is over. auto_detect_server replaces the server for all models that are no alias.
    #[pyo3(signature = (prompt=None, *, models: "list[str]", parallel=false, on_events=None, interval=0.05, **keywords))]
    #[expect(clippy::too_many_arguments, reason = "they are Python's keywords")]
    fn compare(
        &self,
        py: Python<'_>,
        prompt: Option<String>,
        models: Vec<String>,
        parallel: bool,
        on_events: Option<Py<PyAny>>,
        interval: f64,
        keywords: Option<Bound<'_, PyDict>>,
    ) -> PyResult<Call> {
        let keywords = keywords.unwrap_or_else(|| PyDict::new(py));
        if keywords.contains("model")? {
            return Err(PyTypeError::new_err("compare() takes models, a list, and no model"));
        }
        let arguments =
            Arguments { prompt, interval: Some(interval), ..check::arguments("compare", &keywords)? };
        let job = py.detach(|| arguments.job(&self.0)).map_err(|error| error::plain(py, &error))?;
        let comparison = Comparing::new(models, parallel, job).map_err(|error| error::plain(py, &error))?;
        let runtime = runtime::runtime(py)?;
        let (operation, publisher) = Operation::begin();
        let listener = on_events.map(|function| Arc::new(Listener::new(function, interval)));
        let lease = Arc::new(Lease(Arc::clone(&operation)));
        runtime.spawn(comparison.drive(operation, self.0.clone(), listener.clone(), publisher));
        Ok(Call { lease, listener })
    }

    /// What a server tells about itself, as a call that gives a ServerInfo; fresh asks anew what is remembered.
    #[pyo3(signature = (server=None, *, fresh=false))]
    fn server(&self, py: Python<'_>, server: Option<String>, fresh: bool) -> PyResult<Call> {
        self.ask_server(py, server, fresh).map(Call::new)
    }

    /// Which server and model a chat with these would ask now, as a call that gives a dict of url and model; the list of
    /// models is asked anew. It tells whether "auto" means another one than last time.
    #[pyo3(signature = (server=None, model=None, *, auto_detect_server=false))]
    fn resolve(
        &self,
        py: Python<'_>,
        server: Option<String>,
        model: Option<String>,
        auto_detect_server: bool,
    ) -> PyResult<Call> {
        self.ask_target(py, server, model, auto_detect_server).map(Call::new)
    }

    /// The models of a server, as a call that gives a list of ModelInfo; fresh asks anew what is remembered.
    #[pyo3(signature = (server=None, *, fresh=false))]
    fn models(&self, py: Python<'_>, server: Option<String>, fresh: bool) -> PyResult<Call> {
        self.ask_models(py, server, fresh).map(Call::new)
    }

    /// The model servers on this machine, as a call that gives a list of ServerInfo; ends after 0.3 s at most. Fresh looks
    /// anew for what is remembered for five minutes.
    #[pyo3(signature = (*, fresh=false))]
    fn discover(&self, py: Python<'_>, fresh: bool) -> PyResult<Call> {
        self.ask_discover(py, fresh).map(Call::new)
    }

    /// What a server has in memory, asked now, as a call that gives a list of dicts: id, instance, state, context_length,
    /// size_bytes, vram_bytes, expires_at; what is not told is left out.
    #[pyo3(signature = (server=None))]
    fn loaded(&self, py: Python<'_>, server: Option<String>) -> PyResult<Call> {
        memory::loaded(py, self.0.clone(), server)
    }

    /// Loads a model unless it is there, as a call that gives a dict once the server's own list has it: server, id,
    /// was_loaded, duration, context_length, evicted, not_sent, …
    ///
    /// context_length is what it must have at least; keep_alive is in seconds, -1 for ever. A load that has begun goes on
    /// when the call is dropped: an unload that comes after it finds the model. must_unload refuses a model that this
    /// server could not unload again.
    #[pyo3(signature = (model=None, *, server=None, context_length=None, keep_alive=None, must_unload=false))]
    fn load(
        &self,
        py: Python<'_>,
        model: Option<String>,
        server: Option<String>,
        context_length: Option<i64>,
        keep_alive: Option<i64>,
        must_unload: bool,
    ) -> PyResult<Call> {
        let wanted = Wanted { model, server, context_length, keep_alive, must_unload };
        memory::load(py, self.0.clone(), wanted, false)
    }

    /// Puts a model in the place of all others, as a call that gives a dict: loaded, unloaded, side_by_side. Where both
    /// fit, the new one is loaded before the old ones go. What the arguments mean is told by load.
    #[pyo3(signature = (model, *, server=None, context_length=None, keep_alive=None))]
    fn switch(
        &self,
        py: Python<'_>,
        model: String,
        server: Option<String>,
        context_length: Option<i64>,
        keep_alive: Option<i64>,
    ) -> PyResult<Call> {
        let wanted = Wanted { model: Some(model), server, context_length, keep_alive, must_unload: false };
        memory::load(py, self.0.clone(), wanted, true)
    }

    /// Unloads every copy of a model, or with all everything, as a call that gives a dict once the server's own list has it
    /// no longer: server, models, duration, freed_bytes.
    ///
    /// Without a model it is the one that "auto" means. It goes on to its end when the call is dropped or cancelled.
    #[pyo3(signature = (model=None, *, server=None, all=false))]
    fn unload(
        &self,
        py: Python<'_>,
        model: Option<String>,
        server: Option<String>,
        all: bool,
    ) -> PyResult<Call> {
        let what = if all { Unload::All } else { Unload::Model(model.unwrap_or_default()) };
        memory::unload(py, self.0.clone(), what, server)
    }

    /// Says whether a model would fit, before it is loaded, as a call that gives a dict: verdict (fits, evicts, spills or
    /// unknown), sentence, need, device, context_length, largest_context_that_fits. Loads nothing.
    #[pyo3(signature = (model=None, *, server=None, context_length=None))]
    fn forecast(
        &self,
        py: Python<'_>,
        model: Option<String>,
        server: Option<String>,
        context_length: Option<i64>,
    ) -> PyResult<Call> {
        memory::forecast(
            py,
            self.0.clone(),
            Wanted { model, server, context_length, keep_alive: None, must_unload: false },
        )
    }

    /// Downloads a model to a server, as a call that gives a dict: server, model, duration, total_bytes. Dropping or
    /// cancelling it ends the download.
    #[pyo3(signature = (model, *, server=None))]
    fn pull(&self, py: Python<'_>, model: String, server: Option<String>) -> PyResult<Call> {
        memory::pull(py, self.0.clone(), model, server)
    }

    /// Looks at every step between this machine and an answer, as a call that gives a dict: works, and checks, each with
    /// status (ok, warn or fail), name, message and, where there is one, cure.
    #[pyo3(signature = (server=None, model=None))]
    fn doctor(&self, py: Python<'_>, server: Option<String>, model: Option<String>) -> PyResult<Call> {
        let client = self.0.clone();
        let examined = start(py, async move {
            let server = server.as_deref().filter(|server| !server.trim().is_empty());
            Ok(Value::Report(Arc::new(client.doctor(server, model.as_deref(), |_| {}).await)))
        })?;
        Ok(Call::new(examined))
    }

    /// Every bad one of chat's keywords, as (name, what is wrong); an empty list means that all are well.
    ///
    /// Asks nobody. It also refuses texts that look like a key, which have no place in a workflow.
    #[pyo3(signature = (prompt=None, **keywords))]
    fn check(
        &self,
        py: Python<'_>,
        prompt: Option<Bound<'_, PyAny>>,
        keywords: Option<Bound<'_, PyDict>>,
    ) -> PyResult<Vec<(String, String)>> {
        let keywords = keywords.unwrap_or_else(|| PyDict::new(py));
        keywords.set_item("prompt", prompt)?;
        check::check(self.0.settings(), &keywords)
    }

    /// Every preset by name, with the values it sets: the built-in ones and the user's.
    #[getter]
    fn presets<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let presets = Presets::from_settings(self.0.settings()).map_err(|error| error::plain(py, &error))?;
        preset_dict(py, &presets)
    }

    /// The aliases of the config by name: their routes in the order in which they are tried, each with what it sets of
    /// server, model, context_length and keep_alive.
    #[getter]
    fn aliases<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let aliases = PyDict::new(py);
        for (name, routes) in &self.0.settings().aliases {
            let routes: Vec<_> =
                routes.iter().map(|route| json::dict_of(py, route)).collect::<PyResult<_>>()?;
            aliases.set_item(name, routes)?;
        }
        Ok(aliases)
    }

    /// The configured servers: name and URL.
    #[getter]
    fn servers<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let servers = PyDict::new(py);
        for (name, entry) in &self.0.settings().servers {
            let url = normalise_url(&entry.url).map_err(|error| error::plain(py, &error))?;
            servers.set_item(name, url.shown)?;
        }
        Ok(servers)
    }
}

impl Client {
    fn start_chat(
        &self,
        py: Python<'_>,
        arguments: Arguments,
        on_events: Option<Py<PyAny>>,
    ) -> PyResult<ChatRun> {
        let interval = arguments.interval.unwrap_or_default();
        // Reading a long history takes a while.
        let job = py.detach(|| arguments.job(&self.0)).map_err(|error| error::plain(py, &error))?;
        let runtime = runtime::runtime(py)?;
        let (operation, publisher) = Operation::begin();
        let listener = on_events.map(|function| Arc::new(Listener::new(function, interval)));
        if listener.is_some() {
            operation.state().batch = Some(Queue::default());
        }
        let lease = Arc::new(Lease(Arc::clone(&operation)));
        runtime.spawn(answer::drive(operation, self.0.clone(), job, listener.clone(), publisher));
        Ok(ChatRun { lease, listener })
    }
}

/// Presets as a dict of dicts.
pub(crate) fn preset_dict<'py>(py: Python<'py>, presets: &Presets) -> PyResult<Bound<'py, PyDict>> {
    let all = PyDict::new(py);
    for preset in presets.iter() {
        let values = json::dict_of(py, &preset.sampling)?;
        if let Some(system) = &preset.system {
            values.set_item("system", system)?;
        }
        all.set_item(&preset.name, values)?;
    }
    Ok(all)
}
