//! Who answers: the server that was given, else one that runs, else the built-in engine.
//!
//! Nothing is downloaded here. Not here: how the engine works and how servers are found (the library).

use std::path::{Path, PathBuf};

use xdev_llm::engine::{KeptEngine, Lease, Running, running_background, touch_background};
use xdev_llm::wire::ServerKind;
use xdev_llm::{Client, Error, ErrorKind, Result, Route, Server, ServerSource};

use crate::output::DIM;
use crate::settings;
use crate::show::Spinner;

/// `Connector` finds who answers, and keeps the engine it started.
pub(crate) struct Connector {
    client: Client,
    state_dir: PathBuf,
    kept: Option<KeptEngine>,
}

/// `Connection` is a server for one turn; what it holds keeps the engine up.
pub(crate) struct Connection {
    /// The server to ask.
    pub(crate) server: Server,
    _lease: Option<Lease>,
    /// The state folder, when the server is the background engine, which stops when nobody touches it.
    background: Option<PathBuf>,
}

impl Connection {
    /// The state folder of the background engine, where the server is that.
    pub(crate) fn engine(&self) -> Option<&Path> {
        self.background.as_deref()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(state_dir) = &self.background {
            // At worst the engine stops early and is started again.
            let _ = touch_background(state_dir);
        }
    }
}

impl Connector {
    /// Makes one for a client.
    pub(crate) fn new(client: Client, state_dir: PathBuf) -> Connector {
        Connector { client, state_dir, kept: None }
    }

    /// Finds who answers for a model or an alias. The engine is never used for an alias, whose routes say who answers.
    pub(crate) async fn route(&mut self, model: &str, spinner: &Spinner) -> Result<(Route, Connection)> {
        if let Some(found) = self.alias(model).await? {
            return Ok(found);
        }
        let connection = self.connect(spinner).await?;
        Ok((Route::new(connection.server.clone(), Some(model.to_owned())), connection))
    }

    /// The same, of those who run already: nothing is started.
    pub(crate) async fn running_route(&self, model: &str) -> Result<Option<(Route, Connection)>> {
        if let Some(found) = self.alias(model).await? {
            return Ok(Some(found));
        }
        let connection = self.running().await?;
        let route = |server: &Server| Route::new(server.clone(), Some(model.to_owned()));
        Ok(connection.map(|connection| (route(&connection.server), connection)))
    }

    async fn alias(&self, model: &str) -> Result<Option<(Route, Connection)>> {
        if !self.client.settings().is_alias(model) {
            return Ok(None);
        }
        let route = self.client.route(None, Some(model)).await?;
        let server = route.server.clone();
        Ok(Some((route, Connection { server, _lease: None, background: None })))
    }

    /// Finds who answers. The engine is used only where no server was given and none runs.
    pub(crate) async fn connect(&mut self, spinner: &Spinner) -> Result<Connection> {
        if self.kept.is_none()
            && let Some(connection) = self.running().await?
        {
            return Ok(connection);
        }
        let kept = match self.kept.take() {
            Some(kept) => self.kept.insert(kept),
            None => self.kept.insert(self.find_engine(spinner)?),
        };
        spinner.message("starting the built-in engine");
        let lease = kept.lease(|progress| spinner.progress(progress)).await?;
        if let Some(message) = lease.restarted() {
            spinner.note(message);
        }
        let server = self.client.attach(
            lease.url(),
            ServerKind::LLAMA_CPP,
            Some(lease.key().clone()),
            ServerSource::Engine,
        )?;
        Ok(Connection { server, _lease: Some(lease), background: None })
    }

    /// Finds who runs already: a server, else the background engine. Where a server is named it must be that one.
    async fn running(&self) -> Result<Option<Connection>> {
        let unreachable = match self.client.server(None).await {
            Ok(server) => return Ok(Some(Connection { server, _lease: None, background: None })),
            Err(error) => error,
        };
        if unreachable.kind() != ErrorKind::Unreachable || self.client.settings().server.is_some() {
            return Err(unreachable);
        }
        let Some(running) = running_background(&self.state_dir).await else { return Ok(None) };
        touch_background(&self.state_dir)?;
        let server = attach_engine(&self.client, running)?;
        Ok(Some(Connection { server, _lease: None, background: Some(self.state_dir.clone()) }))
    }

    /// Finds the built-in engine and says that it is used; it starts with the first turn.
    fn find_engine(&self, spinner: &Spinner) -> Result<KeptEngine> {
        let settings = self.client.settings();
        let options = settings::engine_options(settings)?;
        let program = xdev_llm::engine::find(&options).map_err(no_server)?;
        let model = program.model.as_deref().and_then(Path::file_stem).unwrap_or_default();
        let model = model.to_string_lossy();
        spinner.note(&format!("{DIM}no server runs: using the built-in engine ({model}){DIM:#}"));
        Ok(KeptEngine::new(options, *settings.engine.idle))
    }
}

/// The background engine as a server.
pub(crate) fn attach_engine(client: &Client, running: Running) -> Result<Server> {
    client.attach(&running.url, ServerKind::LLAMA_CPP, Some(running.key), ServerSource::Engine)
}

/// Says both cures when there is neither a server nor an engine.
fn no_server(engine: Error) -> Error {
    Error::new(ErrorKind::Unreachable, "No model server runs on this machine, and the built-in engine is not installed.")
        .with_hint(
            "Start one (LM Studio: Developer tab, Start server; Ollama: `ollama serve`), or install the built-in engine: `xdev-llm engine install`. `xdev-llm doctor` looks at every step.",
        )
        .with_source(engine)
}
