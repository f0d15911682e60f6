//! `Server`: one model server, its identity, models and health.
//!
//! What was found out is remembered for 60 seconds and shared by everybody who asks at once. Not here: the chat itself
//! (`stream`), looking for servers (`discover`).

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use secrecy::SecretString;
use serde::Serialize;
use serde_json::Value;
use url::Url;

use super::Inner;
use super::http::{Request, failed};
use super::stream::{ChatStream, Limits};
use crate::chat::ChatRequest;
use crate::error::{Error, ErrorKind, Phase, Result};
use crate::history::estimate_tokens;
use crate::model::{ModelInfo, is_same_model, nearest, pick};
use crate::wire::{
    Answer, Api, Call, Dialect, Health, Identity, Investigation, ServerKind, Verdict, dialect, read_failure,
};

/// How long what a server said about itself holds.
pub(super) const INFO_TTL: Duration = Duration::from_secs(60);
/// Prompts with fewer tokens than this fit into every context that a server gives.
const SURELY_FITS: usize = 2048;

/// `ServerSource` says why this server was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "by", content = "origin")]
pub enum ServerSource {
    /// The caller gave it.
    Given,
    /// The configuration names it; the text says where.
    Configured(String),
    /// None was given, and it was found on this machine.
    Discovered,
    /// It is the built-in engine.
    Engine,
}

/// `Server` is one model server. Cloning it is cheap.
#[derive(Clone)]
pub struct Server {
    pub(super) inner: Arc<Inner>,
    pub(super) place: Arc<Place>,
}

/// Where a server is and what was said about it beforehand.
#[derive(Debug)]
pub(super) struct Place {
    /// The URL without the API's path, ending in `/`.
    pub(super) root: Url,
    /// Where the API begins, when the given URL said so.
    pub(super) api_base: Option<Url>,
    /// The address for people.
    pub(super) shown: String,
    pub(super) source: ServerSource,
    /// The kind, where the configuration tells it: then nothing is asked.
    pub(super) kind: Option<ServerKind>,
    /// The API family, where the configuration tells it.
    pub(super) api: Option<Api>,
    pub(super) key: Option<SecretString>,
    /// The model the configuration names for this server.
    pub(super) model: Option<String>,
    pub(super) context_length: Option<u32>,
    pub(super) concurrency: Option<u32>,
    /// The dialect, once the server's kind is known.
    pub(super) dialect: Mutex<Option<Arc<dyn Dialect>>>,
}

/// `ServerInfo` is what a server tells about itself.
#[derive(Clone, Debug, Serialize)]
pub struct ServerInfo {
    /// Its address.
    pub url: String,
    /// What it is.
    pub kind: ServerKind,
    /// Its name for people.
    pub name: String,
    /// Its version, where it tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Why it was taken.
    pub source: ServerSource,
    /// Its state.
    pub health: Health,
    /// Its models.
    pub models: Vec<ModelInfo>,
    /// How long the health question took, in milliseconds.
    pub latency_ms: f64,
    /// What a person should know.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// `Preview` is the request that a chat would send.
#[derive(Clone, Debug, Serialize)]
pub struct Preview {
    /// The method, `POST`.
    pub method: &'static str,
    /// The whole URL.
    pub url: String,
    /// The headers; a key is shown as `***`.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Value,
    /// What was asked for and is not sent, because this server does not take it.
    pub not_sent: Vec<String>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server")
            .field("url", &self.place.shown)
            .field("source", &self.place.source)
            .finish_non_exhaustive()
    }
}

impl Server {
    /// Its address.
    pub fn url(&self) -> &str {
        &self.place.shown
    }

    /// Why it was taken.
    pub fn source(&self) -> &ServerSource {
        &self.place.source
    }

    /// What it is.
    pub async fn kind(&self) -> Result<ServerKind> {
        Ok(self.identity().await?.kind.clone())
    }

    /// Asks for one answer. Nothing is sent before [`ChatStream::next`] is called; dropping the stream cancels.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for values out of range and for a request without messages.
    pub fn chat(&self, request: ChatRequest, limits: Limits) -> Result<ChatStream> {
        request.sampling.validate(self.inner.max_tokens_limit())?;
        limits.validate()?;
        if request.messages.is_empty() {
            return Err(Error::invalid_input("There is nothing to ask: the conversation has no message."));
        }
        Ok(ChatStream::new(self.clone(), request, limits))
    }

    /// The request that [`chat`](Server::chat) would send. Asks the server what it is, and for its models where the
    /// model is "auto"; sends nothing that generates.
    pub async fn preview(&self, request: &ChatRequest) -> Result<Preview> {
        request.sampling.validate(self.inner.max_tokens_limit())?;
        let dialect = self.dialect().await?;
        let call = dialect.chat(&self.resolve(request).await?, true)?;
        let mut headers = vec![
            ("Accept".to_owned(), "text/event-stream, application/x-ndjson, application/json".to_owned()),
            ("Content-Type".to_owned(), "application/json".to_owned()),
        ];
        if self.place.key.is_some() {
            headers.push(("Authorization".to_owned(), "Bearer ***".to_owned()));
        }
        Ok(Preview {
            method: "POST",
            url: self.url_of(&call, &*dialect).to_string(),
            headers,
            body: serde_json::from_slice(call.body.as_deref().unwrap_or_default()).unwrap_or_default(),
            not_sent: call.not_sent,
        })
    }

    /// The models it has. Remembered for 60 seconds.
    pub async fn models(&self) -> Result<Vec<ModelInfo>> {
        Ok(self.known_models().await?.to_vec())
    }

    /// What to do about a model that the server does not have: the name that was probably meant, and those it has.
    pub(super) async fn model_hint(&self, asked: Option<&str>) -> Option<String> {
        let models = self.known_models().await.ok()?;
        let names: Vec<&str> =
            models.iter().filter(|model| model.kind.can_chat()).map(|model| model.id.as_str()).collect();
        let (first, more) = names.split_at(names.len().min(8));
        // Ollama's names end in a tag that people leave out.
        let untagged = |name: &&str| name.split(':').next().map(str::to_owned).unwrap_or_default();
        let meant = asked.and_then(|asked| {
            let near = |name: &&&str| nearest(asked, [**name, &untagged(name)]).is_some();
            names.iter().find(near)
        });
        let meant = meant.map_or(String::new(), |name| format!("Did you mean `{name}`? "));
        let more = if more.is_empty() { String::new() } else { format!(" and {} more", more.len()) };
        (!first.is_empty())
            .then(|| format!("{meant}It has {}{more}; \"auto\" takes the loaded one.", first.join(", ")))
    }

    /// The models, shared with everybody who asks.
    pub(super) async fn known_models(&self) -> Result<Arc<[ModelInfo]>> {
        let ask = || async { Ok((self.ask_models().await?.into(), INFO_TTL)) };
        self.inner.models.get(self.place.shown.clone(), Instant::now, ask).await
    }

    /// Its state, asked now.
    pub async fn health(&self) -> Result<Health> {
        let dialect = self.dialect().await?;
        let quirks = dialect.quirks();
        let (status, body) = self.ask(&Call::get(quirks.health_path.clone()), &*dialect).await?;
        Ok(quirks.read_health(status, &body))
    }

    /// Everything it tells about itself. Remembered for 60 seconds, while it is ready.
    pub async fn info(&self) -> Result<ServerInfo> {
        let ask = || async {
            let info = self.ask_info().await?;
            let holds = if info.health == Health::Ready { INFO_TTL } else { Duration::ZERO };
            Ok((info, holds))
        };
        self.inner.infos.get(self.place.shown.clone(), Instant::now, ask).await
    }

    async fn ask_info(&self) -> Result<ServerInfo> {
        let identity = self.identity().await?;
        let start = Instant::now();
        let mut health = self.health().await?;
        let latency_ms = (start.elapsed().as_secs_f64() * 1e6).round() / 1e3;
        let mut notes = Vec::new();
        let models = match self.models().await {
            Ok(models) => models,
            Err(error) => {
                if error.kind() == ErrorKind::Unauthorized {
                    health = Health::NeedsKey;
                }
                notes.push(format!("The models could not be read: {error}"));
                Vec::new()
            }
        };
        Ok(ServerInfo {
            url: self.place.shown.clone(),
            name: self.inner.rows.row(&identity.kind).name.clone(),
            kind: identity.kind.clone(),
            version: identity.version.clone(),
            source: self.place.source.clone(),
            health,
            models,
            latency_ms,
            notes,
        })
    }

    /// What it is. Asked once in 60 seconds, never where the configuration tells.
    pub(super) async fn identity(&self) -> Result<Arc<Identity>> {
        if let Some(kind) = &self.place.kind {
            return Ok(Arc::new(Identity {
                kind: kind.clone(),
                version: None,
                needs_key: false,
                loading: false,
                models: None,
            }));
        }
        let ask = || async {
            let identity = self.identify().await?;
            // A server that is loading, or wants a key, is about to change.
            let holds = if identity.loading { Duration::ZERO } else { INFO_TTL };
            Ok((Arc::new(identity), holds))
        };
        self.inner.identities.get(self.place.shown.clone(), Instant::now, ask).await
    }

    /// Whether what answers is of the known kind. Silence counts as yes: it may be busy with an answer.
    pub(super) async fn is_still_itself(&self) -> bool {
        match self.identify().await {
            Ok(identity) => self.place.kind.as_ref() == Some(&identity.kind),
            Err(error) => !matches!(error.kind(), ErrorKind::Unreachable | ErrorKind::Protocol),
        }
    }

    async fn identify(&self) -> Result<Identity> {
        let mut investigation = Investigation::new(self.place.root.port_or_known_default().unwrap_or(80));
        let mut heard_anything = false;
        while let Some(path) = investigation.next() {
            let url = join(&self.place.root, path);
            let path_asked = match (&self.place.api_base, path) {
                (Some(base), "/v1/models") => join(base, "models"),
                _ => url,
            };
            let asked = tokio::time::timeout(super::IDENTIFY_TIMEOUT, self.get_url(&path_asked)).await;
            match asked {
                Ok(Ok((head, body))) => {
                    heard_anything = true;
                    investigation.observe(&Answer {
                        path,
                        status: head.status,
                        headers: &head.headers,
                        body: &body[..body.len().min(64 << 10)],
                    });
                }
                Ok(Err(error)) if error.kind() == ErrorKind::CutOff => investigation.no_answer(),
                Ok(Err(error)) => return Err(error),
                Err(_) => investigation.no_answer(),
            }
        }
        if !heard_anything {
            return Err(Error::new(
                ErrorKind::Timeout(Phase::FirstEvent),
                format!("{} accepts connections and answers nothing.", self.url()),
            )
            .with_server(self.url())
            .with_hint(
                "It may be too busy to answer: try again later. A server that answers one request at a time can be named under [servers] in your config with its `kind`; then it is not asked what it is.",
            ));
        }
        match investigation.verdict() {
            Verdict::Server(identity) => Ok(identity),
            Verdict::Stranger(why) => Err(Error::new(
                ErrorKind::Protocol,
                format!("Unexpected response format: what answers at {} is {why}, not a model server.", self.url()),
            )
            .with_server(self.url())
            .with_hint(
                "Check the port. If it is a model server all the same, name it under [servers] in your config with `kind = \"generic\"`.",
            )),
        }
    }

    /// The dialect this server is spoken to in.
    pub(super) async fn dialect(&self) -> Result<Arc<dyn Dialect>> {
        let identity = self.identity().await?;
        let rows = &self.inner.rows;
        let row = match self.place.api {
            Some(api) => rows.row_in(&identity.kind, api)?,
            None => rows.row(&identity.kind),
        };
        let mut known = self.place.dialect.lock().unwrap_or_else(PoisonError::into_inner);
        match &*known {
            Some(known) if known.quirks().kind == row.kind => Ok(Arc::clone(known)),
            _ => Ok(Arc::clone(known.insert(dialect(row.clone())))),
        }
    }

    /// The model that a chat would ask now for `asked`: `None`, `""` and `"auto"` mean the configured one of this
    /// server, else the one that is loaded, else the first that can chat. Servers are asked only then, and anew.
    pub async fn resolve_model(&self, asked: Option<&str>) -> Result<String> {
        self.inner.models.forget(&self.place.shown);
        self.known_model(asked).await
    }

    pub(super) async fn known_model(&self, asked: Option<&str>) -> Result<String> {
        let is_named = |model: &&str| !matches!(*model, "" | "auto");
        if let Some(model) = asked.filter(is_named).or(self.place.model.as_deref().filter(is_named)) {
            return Ok(model.to_owned());
        }
        let models = self.known_models().await?;
        Ok(pick(&models).map_err(|error| error.with_server(self.url()))?.id.clone())
    }

    /// The request with the model and what the configuration says about this server filled in.
    pub(super) async fn resolve(&self, request: &ChatRequest) -> Result<ChatRequest> {
        let mut request = request.clone();
        request.model = Some(self.known_model(request.model.as_deref()).await?);
        let loaded = || self.inner.loaded_context(self.url(), request.model.as_deref().unwrap_or_default());
        request.context_length = request.context_length.or_else(loaded).or(self.place.context_length);
        Ok(request)
    }

    /// Refuses a model that it does not have: it would fetch it from the network.
    pub(super) async fn insist_on(&self, model: Option<&str>) -> Result<()> {
        let Some(model) = model.filter(|model| *model != "default_model") else { return Ok(()) };
        if self.known_models().await?.iter().any(|known| is_same_model(model, &known.id)) {
            return Ok(());
        }
        let hint = self.model_hint(Some(model)).await.unwrap_or_default();
        Err(Error::new(
            ErrorKind::NoModel,
            format!("The server has no model `{model}`, and would download it; it was not asked to."),
        )
        .with_server(self.url())
        .with_hint(format!("{hint} To have it, download it there yourself.").trim().to_owned()))
    }

    /// The context that a request is cut to without a word, because its prompt is surely longer.
    pub(super) async fn cutting_context(&self, request: &ChatRequest) -> Option<u32> {
        let estimate: usize = request.messages.iter().map(estimate_tokens).sum();
        // Shorter ones fit everywhere; looking the context up costs a question a minute.
        if estimate < SURELY_FITS || !self.dialect().await.ok()?.quirks().cuts_prompts {
            return None;
        }
        let models = self.known_models().await.ok()?;
        let id = request.model.as_deref()?;
        let loaded = models.iter().find(|model| is_same_model(id, &model.id));
        let context = request.context_length.or(loaded.and_then(|model| model.loaded_context_length))?;
        // An estimate may be off by a quarter.
        (estimate > context as usize / 4 * 5).then_some(context)
    }

    async fn ask_models(&self) -> Result<Vec<ModelInfo>> {
        let dialect = self.dialect().await?;
        let mut models = Vec::new();
        let mut failure = None;
        for (index, call) in dialect.models().iter().enumerate() {
            let (status, body) = self.ask(call, &*dialect).await?;
            if let Some(error) = read_failure(status, &body) {
                failure = Some(error.with_server(self.url()));
                continue;
            }
            let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
            match dialect.read_models(index, &body, &mut models) {
                Ok(flow) => {
                    failure = None;
                    if flow.is_break() {
                        break;
                    }
                }
                Err(error) => failure = Some(error.with_server(self.url())),
            }
        }
        if let Some(error) = failure {
            return Err(error);
        }
        self.mark_states(&mut models).await;
        Ok(models)
    }

    /// Asks a short question and reads the whole answer.
    pub(super) async fn ask(&self, call: &Call, dialect: &dyn Dialect) -> Result<(u16, Vec<u8>)> {
        let url = self.url_of(call, dialect);
        let request = Request {
            url: &url,
            body: call.body.as_deref(),
            key: self.place.key.as_ref(),
            accept: "application/json",
        };
        let asked = tokio::time::timeout(super::ASK_TIMEOUT, self.inner.transport.ask(&request)).await;
        let (head, body) = asked.unwrap_or_else(|_| {
            let error = std::io::Error::from(std::io::ErrorKind::TimedOut);
            Err(failed(&url, error, "before it answered"))
        })?;
        Ok((head.status, body))
    }

    async fn get_url(&self, url: &Url) -> Result<(super::http1::Head, Vec<u8>)> {
        let request = Request { url, body: None, key: self.place.key.as_ref(), accept: "application/json" };
        self.inner.transport.ask(&request).await
    }

    /// The URL of a call.
    pub(super) fn url_of(&self, call: &Call, dialect: &dyn Dialect) -> Url {
        if call.path.starts_with('/') {
            return join(&self.place.root, &call.path);
        }
        match &self.place.api_base {
            Some(base) => join(base, &call.path),
            None => join(&self.place.root, &format!("{}/{}", dialect.quirks().api_base, call.path)),
        }
    }

    /// Forgets what the server said about itself, and that it was found: for when it went away, and for who wants
    /// to hear it anew. A server that was found has to be looked for again.
    pub fn forget(&self) {
        if self.place.source == ServerSource::Discovered {
            self.inner.chosen.forget(&());
            self.inner.scans.forget(&());
        }
        self.inner.identities.forget(&self.place.shown);
        self.inner.models.forget(&self.place.shown);
        self.inner.infos.forget(&self.place.shown);
    }
}

/// Puts a path, which may have a query, below `base`. The host is not parsed again: that takes longer than all else.
fn join(base: &Url, path: &str) -> Url {
    let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
    let mut url = base.clone();
    url.set_path(&format!("{}/{}", base.path().trim_end_matches('/'), path.trim_start_matches('/')));
    url.set_query(query);
    url
}
