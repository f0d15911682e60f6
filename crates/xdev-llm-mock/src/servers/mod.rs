//! What each server answers on each path. One file a family; `strangers` are no model servers.
//!
//! Shared here: the request as a personality sees it, headers, keys and error bodies.

mod llamacpp;
mod lmstudio;
mod ollama;
mod others;
mod strangers;
mod vllm;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::chat::{Chat, Framing, Limits, Plan, quote};
use crate::connection::Connection;
use crate::flow::Flow;
use crate::http::{Received, Reply};
use crate::memory::{Lease, Load, Progress};
use crate::model::{Model, ModelKind};
use crate::openai::{self, OpenAi};
use crate::personality::Personality;
use crate::server::{Shared, WATCH};

/// `Answer` is what a personality makes of a request.
pub(crate) enum Answer {
    Reply(Reply),
    Chat(Box<Chat>),
    Flow(Flow),
    /// The reply, then a server that closes everything, is not there for as long as a load takes, and comes back with that
    /// model, or with none. Until it closes, it has what it had.
    Restart(Reply, Option<String>),
    /// Never a byte.
    Silence,
}

/// `NotLoaded` says why there is no instance to work with.
pub(crate) enum NotLoaded {
    /// The client went while it waited.
    Gone,
    Failed(String),
}

impl From<Reply> for Answer {
    fn from(reply: Reply) -> Answer {
        Answer::Reply(reply)
    }
}

/// `Context` is a request as a personality sees it.
pub(crate) struct Context<'a> {
    pub(crate) shared: &'a Shared,
    connection: &'a Connection<'a>,
    pub(crate) request: Received,
    /// The body as JSON; null when it is none.
    pub(crate) body: Value,
}

impl<'a> Context<'a> {
    pub(crate) fn new(connection: &'a Connection<'a>, request: Received) -> Context<'a> {
        let body = serde_json::from_slice(&request.body).unwrap_or_default();
        Context { shared: connection.shared, connection, request, body }
    }

    /// Waits without a byte until something is there; `None` when the client went.
    fn wait_until<T>(&self, mut ready: impl FnMut() -> Option<T>) -> Option<T> {
        loop {
            if let Some(found) = ready() {
                return Some(found);
            }
            self.connection.wait(WATCH).ok()?;
        }
    }

    /// Takes an instance of a model, after the time it needs to come into memory. With `exact` the instance has the
    /// context asked for.
    fn ensure(&self, load: &Load, exact: bool) -> Result<Lease, NotLoaded> {
        let memory = &self.shared.memory;
        let mut begun = None;
        let waited = self.wait_until(|| match memory.ensure(load, exact, &mut begun) {
            Progress::Waiting => None,
            Progress::Done(lease) => Some(Ok(lease)),
            Progress::Failed(text) => Some(Err(NotLoaded::Failed(text))),
        });
        waited.unwrap_or_else(|| {
            // Ollama gives a load up when the one who asked for it goes; the others carry it to its end.
            if let Some(serial) = begun.filter(|_| self.personality() == Personality::Ollama) {
                memory.state().cancel_load(serial);
            }
            Err(NotLoaded::Gone)
        })
    }

    /// A value of the query, percent-decoded.
    fn query(&self, name: &str) -> Option<String> {
        let mut pairs = self.request.query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(key, _)| *key == name).map(|(_, value)| percent_decode(value))
    }

    pub(crate) fn personality(&self) -> Personality {
        self.shared.options.personality
    }

    fn route(&self) -> (&str, &str) {
        let method = match self.request.method.as_str() {
            "HEAD" => "GET",
            method => method,
        };
        (method, self.request.path.as_str())
    }

    /// Whether the request carries the key, or none is asked for.
    fn has_key(&self) -> bool {
        let options = &self.shared.options;
        options.api_key.as_ref().is_none_or(|key| self.carries(key))
            || options.admin_key.as_ref().is_some_and(|key| self.carries(key))
    }

    /// Whether the request carries the key that loading and unloading asks for, or none is asked for.
    fn has_admin_key(&self) -> bool {
        let options = &self.shared.options;
        options.admin_key.as_ref().or(options.api_key.as_ref()).is_none_or(|key| self.carries(key))
    }

    fn carries(&self, key: &str) -> bool {
        let bearer = self.request.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
        let names: &[&str] = match self.personality() {
            Personality::LlamaCpp
            | Personality::LlamaCppRouter
            | Personality::TabbyApi
            | Personality::LlamaSwap => &["x-api-key", "x-admin-key"],
            personality if personality.is_lmstudio() => &["x-api-key"],
            _ => &[],
        };
        let sent = names.iter().filter_map(|name| self.request.header(name)).chain(bearer);
        sent.into_iter().any(|sent| sent == key)
    }

    /// Tokens of context; 8192 where no limit was set.
    fn context_tokens(&self) -> usize {
        self.shared.options.context.map_or(8192, |characters| (characters / 4).max(1))
    }

    /// Tokens of the prompt when it is longer than the context.
    fn overlong(&self) -> Option<usize> {
        let characters = crate::chat::prompt_characters(&self.body);
        self.shared
            .options
            .context
            .is_some_and(|limit| characters > limit)
            .then(|| crate::chat::tokens_of(characters).max(self.context_tokens() + 1))
    }

    /// The model whose id is the requested one.
    fn model(&self, id: &str) -> Option<Model> {
        self.shared.models().into_iter().find(|model| model.id.eq_ignore_ascii_case(id))
    }

    /// The first model in memory that talks.
    fn loaded_model(&self) -> Option<Model> {
        self.shared.models().into_iter().find(|model| model.loaded && model.kind != ModelKind::Embedding)
    }

    fn wanted_model(&self) -> &str {
        self.body["model"].as_str().unwrap_or_default()
    }

    /// Makes the answer to an OpenAI chat request in the personality's shape, by an instance that is held meanwhile.
    fn openai_chat(&self, answering: &str, lease: Option<Lease>, limits: &Limits) -> Answer {
        let personality = self.personality();
        let queued = self.shared.take_script();
        let script = Arc::clone(&queued.script);
        let plan = Arc::new(Plan::new(&script, &self.body, limits, openai::call_style(personality)));
        let asked = self.body["stream_options"]["include_usage"] == true;
        let encoder = OpenAi {
            personality,
            plan: Arc::clone(&plan),
            id: "chatcmpl-mock".into(),
            model: script.model.clone().unwrap_or_else(|| answering.to_owned()),
            reasoning_field: script.reasoning_field,
            include_usage: script.usage.unwrap_or(asked),
            return_progress: self.body["return_progress"] == true,
            timings_per_token: self.body["timings_per_token"] == true,
            version_zero: self.request.path.starts_with("/api/v0/"),
        };
        let loading = match personality {
            personality if personality.is_llamacpp() => Duration::ZERO,
            _ => queued.load_left_since_chat(),
        };
        Answer::Chat(Box::new(Chat {
            stream: self.body["stream"] == true,
            headers: stream_headers(personality, self.request.keep_alive, self.body["stream"] == true),
            request: self.body.clone(),
            encoder: Box::new(encoder),
            script,
            plan,
            loading,
            lease,
        }))
    }
}

pub(crate) fn percent_decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let code = (*first == b'%').then(|| after.get(..2)).flatten();
        let byte = code
            .and_then(|code| std::str::from_utf8(code).ok())
            .and_then(|code| u8::from_str_radix(code, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Answers one request.
pub(crate) fn answer(context: &Context<'_>) -> Answer {
    match context.personality() {
        Personality::LmStudio03 | Personality::LmStudio04 => lmstudio::answer(context),
        Personality::Ollama => ollama::answer(context),
        Personality::LlamaCpp => llamacpp::answer(context),
        Personality::LlamaCppRouter => llamacpp::router::answer(context),
        Personality::Vllm => vllm::answer(context),
        personality if personality.is_model_server() => others::answer(context),
        _ => strangers::answer(context),
    }
}

/// Headers every reply of a personality carries.
pub(crate) fn headers(personality: Personality, keep_alive: bool) -> Vec<(String, String)> {
    const DATE: &str = "Mon, 23 Nov 2026 05:15:01 GMT";
    let fixed: &[(&str, &str)] = match personality {
        Personality::LmStudio03 | Personality::LmStudio04 => &[("X-Powered-By", "Express"), ("Date", DATE)],
        personality if personality.is_llamacpp() => {
            &[("Server", "llama.cpp"), ("Access-Control-Allow-Origin", "")]
        }
        personality if uvicorn(personality) => &[("date", DATE), ("server", "uvicorn")],
        Personality::MlxLm => &[("Server", "BaseHTTP/0.6 Python/3.12.7"), ("Date", DATE)],
        Personality::ComfyUi => &[("Server", "Python/3.12 aiohttp/3.11.8"), ("Date", DATE)],
        Personality::AirPlay => &[("Server", "AirTunes/860.7.1")],
        Personality::DockerRegistry => &[("Docker-Distribution-Api-Version", "registry/2.0")],
        _ => &[],
    };
    let mut headers: Vec<(String, String)> =
        fixed.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    if !keep_alive {
        headers.push(("Connection".into(), "close".into()));
    } else if personality.is_lmstudio() {
        headers.push(("Connection".into(), "keep-alive".into()));
        headers.push(("Keep-Alive".into(), "timeout=5".into()));
    }
    headers
}

/// Headers of a chat answer.
fn stream_headers(personality: Personality, keep_alive: bool, stream: bool) -> Vec<(String, String)> {
    let mut headers = headers(personality, keep_alive);
    if personality.is_llamacpp() && stream {
        headers.push(("X-Accel-Buffering".into(), "no".into()));
    }
    headers
}

fn uvicorn(personality: Personality) -> bool {
    matches!(
        personality,
        Personality::Vllm
            | Personality::SgLang
            | Personality::TextGenerationWebUi
            | Personality::TabbyApi
            | Personality::LiteLlm
            | Personality::OpenWebUi
    )
}

/// Spells header names as the server does: uvicorn writes them in lower case.
pub(crate) fn spell(personality: Personality, mut headers: Vec<(String, String)>) -> Vec<(String, String)> {
    if uvicorn(personality) {
        for (name, _) in &mut headers {
            name.make_ascii_lowercase();
        }
    }
    headers
}

/// A personality's 400 that names a parameter.
pub(crate) fn refusal(personality: Personality, framing: Framing, message: &str, parameter: &str) -> Reply {
    let text = quote(message);
    match personality {
        Personality::LmStudio03 | Personality::LmStudio04 => {
            Reply::json(400, format!(r#"{{"error":{text}}}"#))
        }
        Personality::Ollama if framing == Framing::Lines => {
            Reply::json(400, format!(r#"{{"error":{text}}}"#))
        }
        personality => others::error(personality, 400, message, Some(parameter)),
    }
}

/// What a server says in an answer whose model was unloaded; `None` for one that breaks the connection.
pub(crate) fn unloaded(personality: Personality) -> Option<&'static str> {
    personality.is_lmstudio().then_some("Model is unloaded.")
}

/// The list entry most OpenAI servers give.
fn openai_models(models: &[Model], owned_by: &str, created: u64) -> Reply {
    let data: Vec<Value> = models
        .iter()
        .map(|model| json!({"id": model.id, "object": "model", "created": created, "owned_by": owned_by}))
        .collect();
    Reply::json(200, json!({"object": "list", "data": data}).to_string())
}
