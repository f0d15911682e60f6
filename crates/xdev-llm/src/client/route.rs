//! `Route`: from a server and a model, as a person names them, to the server that is asked and the model there.
//!
//! A model may be the name of an alias of the configuration; then its routes are looked at in order, and the first that
//! can answer is taken. What was tried before is told. Not here: what an alias may say (`config`), the chat (`stream`).

use std::collections::VecDeque;

use serde::Serialize;

use super::Client;
use super::server::{Server, ServerSource};
use super::stream::{ChatStream, Limits};
use crate::chat::{ChatEvent, ChatReply, ChatRequest, KeepAlive};
use crate::config::{Origin, RouteEntry, ServerChoice};
use crate::error::{Error, ErrorKind, Phase, Result};
use crate::model::{is_same_model, pick};

/// `Route` is the server that is to be asked and the model there.
#[derive(Clone, Debug)]
pub struct Route {
    /// The server.
    pub server: Server,
    /// The model to ask for there; `None` is as "auto".
    pub model: Option<String>,
    /// The alias it came of; `None` where none was asked for.
    pub alias: Option<String>,
    /// The routes before it that could not be taken.
    pub tried: Vec<Tried>,
    /// The context length the alias asks for, in tokens.
    pub context_length: Option<u32>,
    /// How long the alias keeps the model loaded.
    pub keep_alive: Option<KeepAlive>,
    walk: Option<Box<Walk>>,
}

/// `Tried` is a route that could not be taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tried {
    /// The server's address, or the words of the configuration where it was not found.
    pub server: String,
    /// The model it names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Why it could not be taken.
    pub why: String,
    #[serde(skip)]
    kind: ErrorKind,
    #[serde(skip)]
    number: usize,
}

/// `Taken` is which route of an alias was taken, for JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Taken {
    /// The alias.
    pub alias: String,
    /// The route's number in the configuration, from 1.
    pub taken: usize,
    /// The routes before it that could not be taken.
    pub tried: Vec<Tried>,
}

/// What is left of an alias to look at.
#[derive(Clone, Debug)]
struct Walk {
    client: Client,
    alias: String,
    origin: Origin,
    /// The one server that may be taken.
    only: Option<String>,
    /// The number of the route that is taken.
    number: usize,
    left: VecDeque<(usize, RouteEntry)>,
}

impl Client {
    /// The server and the model to ask: `server` is a URL or a name from the configuration, `model` a model or an
    /// alias. Without a server it is the configured one, else the first found; without a model the configured one.
    ///
    /// An alias wins over a model of the same name. Its routes are looked at in order, and the first whose server
    /// answers and has its model is taken. Beside an explicit server only the routes of that server count.
    ///
    /// # Errors
    /// As [`Client::server`]. With an alias: [`ErrorKind::InvalidInput`] where none of its routes goes to the server,
    /// and one error with the reason of every route where none can be taken.
    pub async fn route(&self, server: Option<&str>, model: Option<&str>) -> Result<Route> {
        let settings = self.settings();
        let server = server.filter(|server| !server.trim().is_empty());
        let model = model.map(str::trim).filter(|model| !model.is_empty()).unwrap_or(&settings.model);
        if !settings.is_alias(model) {
            return Ok(Route::new(self.server(server).await?, Some(model.to_owned())));
        }
        let only = match (server, &settings.server.origin) {
            (Some(server), _) => Some(server.to_owned()),
            (None, Origin::Flag(_)) => settings.server.value.clone(),
            (None, _) => None,
        };
        let left = settings.routes(model, only.as_deref())?.into();
        let origin = settings.aliases[model].origin.clone();
        let mut walk = Walk { client: self.clone(), alias: model.to_owned(), origin, only, number: 0, left };
        let mut tried = Vec::new();
        let (entry, server) = walk.next(&mut tried).await?;
        let mut route = Route { alias: Some(walk.alias.clone()), tried, ..Route::new(server.clone(), None) };
        route.walk = Some(Box::new(walk));
        route.take(entry, server);
        Ok(route)
    }
}

impl Route {
    /// The way to a server that was found otherwise, without an alias.
    pub fn new(server: Server, model: Option<String>) -> Route {
        Route {
            server,
            model,
            alias: None,
            tried: Vec::new(),
            context_length: None,
            keep_alive: None,
            walk: None,
        }
    }

    /// Which route of the alias was taken; `None` where none was asked for.
    pub fn taken(&self) -> Option<Taken> {
        let (alias, walk) = (self.alias.clone()?, self.walk.as_ref()?);
        Some(Taken { alias, taken: walk.number, tried: self.tried.clone() })
    }

    /// What a person should know of the choice: nothing where the first route was taken.
    pub fn note(&self) -> Option<String> {
        let taken = self.taken().filter(|taken| !taken.tried.is_empty())?;
        let tried: Vec<String> = self.tried.iter().map(Tried::in_words).collect();
        Some(format!(
            "{}: route {} is taken, {} at {}. {}",
            taken.alias,
            taken.taken,
            self.model.as_deref().unwrap_or("the loaded model"),
            self.server.url(),
            tried.join(" ")
        ))
    }

    /// The request with the route's model, and with the alias's values where the request says nothing.
    pub fn apply(&self, mut request: ChatRequest) -> ChatRequest {
        request.model.clone_from(&self.model);
        request.context_length = request.context_length.or(self.context_length);
        request.keep_alive = request.keep_alive.or(self.keep_alive);
        request
    }

    /// Asks for one answer, as [`Server::chat`] does. Where the server goes away before it said anything, the alias's
    /// next route is taken.
    ///
    /// # Errors
    /// As [`Server::chat`].
    pub fn chat(self, request: ChatRequest, limits: Limits) -> Result<RoutedChat> {
        let kept = self.walk.as_ref().filter(|walk| !walk.left.is_empty()).map(|_| request.clone());
        let stream = self.server.chat(self.apply(request), limits)?;
        Ok(RoutedChat { route: self, stream, kept, limits, is_moving: false })
    }

    fn take(&mut self, entry: RouteEntry, server: Server) {
        self.server = server;
        self.model = entry.model;
        self.context_length = entry.context_length;
        self.keep_alive = entry.keep_alive.map(|seconds| match u32::try_from(seconds) {
            Ok(seconds) => KeepAlive::Seconds(seconds),
            Err(_) => KeepAlive::Forever,
        });
    }
}

/// `RoutedChat` is one answer while it arrives, from the first route that gives one. Dropping it cancels the request.
pub struct RoutedChat {
    route: Route,
    stream: ChatStream,
    /// The request as it was given, while another route may be taken.
    kept: Option<ChatRequest>,
    limits: Limits,
    /// Whether the next route is being looked for.
    is_moving: bool,
}

impl RoutedChat {
    /// The next event, as [`ChatStream::next`]; cancel-safe.
    ///
    /// # Errors
    /// As [`ChatStream::next`]. Where no route of an alias is left, the error has the reason of every one.
    pub async fn next(&mut self) -> Option<Result<ChatEvent>> {
        loop {
            if self.is_moving {
                let moved = self.next_route().await;
                self.is_moving = false;
                if let Err(error) = moved {
                    self.kept = None;
                    return Some(Err(error));
                }
            }
            match self.stream.next().await {
                Some(Err(error)) if self.kept.is_some() && is_no_way(error.kind()) => self.leave(&error),
                event => {
                    self.kept = None;
                    return event;
                }
            }
        }
    }

    /// The route that is taken, as far as is known.
    pub fn route(&self) -> &Route {
        &self.route
    }

    /// The reply so far.
    pub fn reply(&self) -> &ChatReply {
        self.stream.reply()
    }

    /// Reads to the end and gives the whole reply.
    ///
    /// # Errors
    /// As [`RoutedChat::next`].
    pub async fn finish(mut self) -> Result<ChatReply> {
        while let Some(event) = self.next().await {
            event?;
        }
        self.stream.finish().await
    }

    /// Writes down why the route could not be taken after all.
    fn leave(&mut self, error: &Error) {
        let Route { walk, server, model, tried, .. } = &mut self.route;
        let number = walk.as_ref().map_or(0, |walk| walk.number);
        tried.push(Tried::new(number, server.url(), model.as_deref(), error));
        self.is_moving = true;
    }

    async fn next_route(&mut self) -> Result<()> {
        let Route { walk: Some(walk), tried, .. } = &mut self.route else { return Ok(()) };
        let (entry, server) = walk.next(tried).await?;
        let is_last = walk.left.is_empty();
        self.route.take(entry, server);
        let request = if is_last { self.kept.take() } else { self.kept.clone() };
        let request = request.unwrap_or_default();
        self.stream = self.route.server.chat(self.route.apply(request), self.limits)?;
        Ok(())
    }
}

impl Walk {
    /// The next route whose server answers and has its model. Cancel-safe: a route that was not looked at to the end
    /// is looked at again.
    async fn next(&mut self, tried: &mut Vec<Tried>) -> Result<(RouteEntry, Server)> {
        while let Some((number, entry)) = self.left.front() {
            let server = self.server(entry).await;
            let looked = match &server {
                Ok(server) => look(server, entry.model.as_deref()).await,
                Err(_) => Ok(()),
            };
            let (number, shown) = (*number, entry.server.clone());
            let Some((_, entry)) = self.left.pop_front() else { break };
            match server.and_then(|server| looked.map(|()| server)) {
                Ok(server) => {
                    self.number = number;
                    return Ok((entry, server));
                }
                Err(error) => {
                    let shown = shown.unwrap_or_else(|| "this machine".to_owned());
                    tried.push(Tried::new(number, &shown, entry.model.as_deref(), &error));
                }
            }
        }
        Err(self.nothing_left(tried))
    }

    /// The server of a route; one without a server goes where a request without an alias would go.
    async fn server(&self, entry: &RouteEntry) -> Result<Server> {
        let Some(name) = &entry.server else { return self.client.server(self.only.as_deref()).await };
        match self.client.settings().find_server(name)? {
            ServerChoice::Given { url, entry, .. } => {
                let source = ServerSource::Configured(self.origin.to_string());
                self.client.configured(&url, entry.map(|entry| *entry), source)
            }
            ServerChoice::None => self.client.server(None).await,
        }
    }

    fn nothing_left(&self, tried: &[Tried]) -> Error {
        // A server that is there says more of what is wrong than one that is not.
        let kinds = tried.iter().map(|tried| tried.kind);
        let kind =
            kinds.clone().find(|kind| *kind != ErrorKind::Unreachable).unwrap_or(ErrorKind::Unreachable);
        let tried: Vec<String> = tried.iter().map(Tried::in_words).collect();
        let alias = &self.alias;
        Error::new(kind, format!("No route of the alias `{alias}` can be taken. {}", tried.join(" ")))
            .with_hint(format!("Start one of these servers, or change `aliases.{alias}` ({}).", self.origin))
    }
}

impl Tried {
    fn new(number: usize, server: &str, model: Option<&str>, error: &Error) -> Tried {
        Tried {
            server: server.to_owned(),
            model: model.map(str::to_owned),
            why: error.to_string(),
            kind: error.kind(),
            number,
        }
    }

    /// The reason names the server.
    fn in_words(&self) -> String {
        let model = self.model.as_ref().map_or_else(String::new, |model| format!(" ({model})"));
        format!("Route {}{model}: {}", self.number, self.why)
    }
}

/// Whether a server that failed like this cannot be asked at all.
fn is_no_way(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Unreachable | ErrorKind::Timeout(Phase::Connect) | ErrorKind::NoModel)
}

/// Looks whether a server is there and has the model, as far as it can be asked for its models.
async fn look(server: &Server, model: Option<&str>) -> Result<()> {
    if server.identity().await?.loading {
        return Ok(());
    }
    let configured = server.place.model.as_deref();
    let model = model.or(configured).filter(|model| !matches!(*model, "" | "auto"));
    let mut is_new = false;
    loop {
        let models = match server.known_models().await {
            Ok(models) => models,
            Err(error) if is_no_way(error.kind()) => return Err(error),
            Err(error) if matches!(error.kind(), ErrorKind::Unauthorized | ErrorKind::Config) => {
                return Err(error);
            }
            // It is there, and does not tell what it has.
            Err(_) => return Ok(()),
        };
        let found = match model {
            Some(model) if models.iter().any(|known| is_same_model(model, &known.id)) => Ok(()),
            Some(model) => {
                Err(Error::new(ErrorKind::NoModel, format!("{} has no model `{model}`.", server.url())))
            }
            None => pick(&models).map(drop).map_err(|error| error.with_server(server.url())),
        };
        if found.is_ok() || std::mem::replace(&mut is_new, true) {
            return found;
        }
        // What is remembered may be older than the model.
        server.forget_models();
    }
}
