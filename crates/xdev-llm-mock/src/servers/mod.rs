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
use crate::http::{Received, Reply};
use crate::model::{Model, ModelKind};
use crate::openai::{self, OpenAi};
use crate::personality::Personality;
use crate::server::Shared;

/// `Answer` is what a personality makes of a request.
pub(crate) enum Answer {
    Reply(Reply),
    Chat(Box<Chat>),
    /// Never a byte.
    Silence,
}

impl From<Reply> for Answer {
    fn from(reply: Reply) -> Answer {
        Answer::Reply(reply)
    }
}

/// `Context` is a request as a personality sees it.
pub(crate) struct Context<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) request: Received,
    /// The body as JSON; null when it is none.
    pub(crate) body: Value,
}

impl<'a> Context<'a> {
    pub(crate) fn new(shared: &'a Shared, request: Received) -> Context<'a> {
        let body = serde_json::from_slice(&request.body).unwrap_or_default();
        Context { shared, request, body }
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
        let Some(key) = &self.shared.options.api_key else {
            return true;
        };
        let bearer = self.request.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
        let names: &[&str] = match self.personality() {
            Personality::LlamaCpp | Personality::TabbyApi | Personality::LlamaSwap => {
                &["x-api-key", "x-admin-key"]
            }
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

    /// Makes the answer to an OpenAI chat request in the personality's shape.
    fn openai_chat(&self, answering: &str, limits: &Limits) -> Answer {
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
            Personality::LlamaCpp => Duration::ZERO,
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
        }))
    }
}

/// Answers one request.
pub(crate) fn answer(context: &Context<'_>) -> Answer {
    match context.personality() {
        Personality::LmStudio03 | Personality::LmStudio04 => lmstudio::answer(context),
        Personality::Ollama => ollama::answer(context),
        Personality::LlamaCpp => llamacpp::answer(context),
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
        Personality::LlamaCpp => &[("Server", "llama.cpp"), ("Access-Control-Allow-Origin", "")],
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
    if personality == Personality::LlamaCpp && stream {
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

/// The list entry most OpenAI servers give.
fn openai_models(models: &[Model], owned_by: &str, created: u64) -> Reply {
    let data: Vec<Value> = models
        .iter()
        .map(|model| json!({"id": model.id, "object": "model", "created": created, "owned_by": owned_by}))
        .collect();
    Reply::json(200, json!({"object": "list", "data": data}).to_string())
}
