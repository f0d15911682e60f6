//! Who answers: the server that was given, else one that runs, else the built-in engine.
//!
//! Nothing is downloaded here. Not here: how the engine works and how servers are found (the library).

use std::path::PathBuf;

use xdev_llm::engine::{KeptEngine, Lease, running_background, touch_background};
use xdev_llm::{Client, Error, ErrorKind, Result, Server, ServerKind, ServerSource};

use crate::output::{self, DIM};
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

    /// Finds who answers. The engine is used only where no server was given and none runs.
    pub(crate) async fn connect(&mut self, spinner: &Spinner) -> Result<Connection> {
        if self.kept.is_none() {
            let unreachable = match self.client.server(None).await {
                Ok(server) => return Ok(Connection { server, _lease: None, background: None }),
                Err(error) => error,
            };
            if unreachable.kind() != ErrorKind::Unreachable || self.client.settings().server.is_some() {
                return Err(unreachable);
            }
            if let Some(running) = running_background(&self.state_dir).await {
                touch_background(&self.state_dir)?;
                let server = self.attach(&running.url, running.key.clone())?;
                return Ok(Connection { server, _lease: None, background: Some(self.state_dir.clone()) });
            }
        }
        let kept = match &self.kept {
            Some(kept) => kept,
            None => {
                let options = settings::engine_options(self.client.settings())?;
                let program = xdev_llm::engine::find(&options).map_err(no_server)?;
                let model = program.model.as_deref().and_then(|path| path.file_stem()).unwrap_or_default();
                output::note(&format!(
                    "{DIM}no server runs: using the built-in engine ({}){DIM:#}",
                    model.to_string_lossy()
                ));
                self.kept.insert(KeptEngine::new(options, *self.client.settings().engine.idle))
            }
        };
        spinner.message("starting the built-in engine");
        let lease = kept.lease(|progress| spinner.progress(progress)).await?;
        if let Some(message) = lease.restarted() {
            output::warn(message);
        }
        let server = self.attach(lease.url(), lease.key().clone())?;
        Ok(Connection { server, _lease: Some(lease), background: None })
    }

    fn attach(&self, url: &str, key: xdev_llm::SecretString) -> Result<Server> {
        self.client.attach(url, ServerKind::LLAMA_CPP, Some(key), ServerSource::Engine)
    }
}

/// Says both cures when there is neither a server nor an engine.
fn no_server(engine: Error) -> Error {
    Error::new(ErrorKind::Unreachable, "No model server runs on this machine, and the built-in engine is not installed.")
        .with_hint(
            "Start one (LM Studio: Developer tab, Start server; Ollama: `ollama serve`), or install the built-in engine: `xdev-llm engine install`. `xdev-llm doctor` looks at every step.",
        )
        .with_source(engine)
}
