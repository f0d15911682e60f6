//! The built-in engine: a child process that serves llama.cpp's own HTTP API on a free loopback port.
//!
//! [`Engine`] starts, watches and stops it; [`find`] says which program that is, [`install`] puts one into
//! the data folder, [`KeptEngine`] keeps one for as long as it is used, and [`keep`] is a background process
//! around one. A process of its own, because llama.cpp aborts the whole process on some inputs.
//! Not here: talking to it. It is the same dialect as any llama.cpp server (`wire`, `client`).

mod background;
mod find;
mod install;
mod kept;
mod probe;
mod process;

use std::collections::VecDeque;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use secrecy::{ExposeSecret, SecretString};

pub use background::{
    Running, keep, running_background, start_background, stop_background, touch_background,
};
pub use find::{ModelFile, Status, find, status};
pub use install::{Checksum, Step, install};
pub use kept::{KeptEngine, Lease};
pub use process::{Exit, watch};

use crate::chat::Progress;
use crate::error::{Error, ErrorKind, Result};
use crate::gguf::check_gguf;
use process::Process;

/// How many ports are tried.
const PORT_TRIES: usize = 3;
/// How many restarts [`Engine::ensure`] makes in [`RESTART_WINDOW`].
const RESTARTS: usize = 3;
const RESTART_WINDOW: Duration = Duration::from_secs(60);

/// `EngineOptions` says what to run and how.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// A llama-server, as a path or a command line split like a shell does; `None` looks on `PATH`, then in
    /// `data_dir`.
    pub command: Option<String>,
    /// The GGUF file to run; `None` is the installed one.
    pub model: Option<PathBuf>,
    /// The context in tokens, shared by the slots; `None` is 8192.
    pub context_length: Option<u32>,
    /// The threads that compute; `None` is the machine's cores less one, at least 1.
    pub threads: Option<usize>,
    /// How many requests are answered at once; more wait their turn.
    pub slots: usize,
    /// The data folder of this program; the engine lives in `engine` inside it.
    pub data_dir: PathBuf,
    /// A command that runs [`watch`] on the arguments appended to it.
    ///
    /// Without it a llama-server outlives a parent that is killed with `kill -9`. The installed engine needs
    /// none.
    pub watch: Vec<OsString>,
    /// How long loading the model may take.
    pub start_timeout: Duration,
}

impl EngineOptions {
    /// The defaults: 8192 tokens of context, 4 slots, 60 s to start.
    pub fn new(data_dir: PathBuf) -> Self {
        EngineOptions {
            command: None,
            model: None,
            context_length: None,
            threads: None,
            slots: 4,
            data_dir,
            watch: Vec::new(),
            start_timeout: Duration::from_secs(60),
        }
    }
}

/// `Origin` says where a program was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// `XDEV_LLM_ENGINE` or the config file.
    Configured,
    /// `llama-server` on `PATH`.
    Path,
    /// The data folder, where [`install`] put it.
    Installed,
}

/// `Program` is what runs as the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Where it was found.
    pub origin: Origin,
    /// The program file.
    pub path: PathBuf,
    /// Its own arguments; `--host`, `--port`, `--poll` and `--model` are added after them.
    pub arguments: Vec<OsString>,
    /// The model file; `None` when the arguments bring one.
    pub model: Option<PathBuf>,
}

/// `Engine` is a running llama.cpp server; dropping it kills it.
#[derive(Debug)]
pub struct Engine {
    options: EngineOptions,
    program: Program,
    process: Process,
    port: u16,
    url: String,
    key: SecretString,
    restarts: VecDeque<Instant>,
}

impl Engine {
    /// Starts the engine and waits until its model is loaded.
    ///
    /// `on_progress` is called about 40 times a second while the model loads.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Engine`] when there is no program or model, when the child ends or is not ready in
    /// `start_timeout` (with its last lines), or when no port can be had.
    pub async fn start(options: &EngineOptions, on_progress: impl FnMut(Progress)) -> Result<Engine> {
        Engine::start_on(options, probe::free_port, on_progress).await
    }

    async fn start_on(
        options: &EngineOptions,
        mut choose_port: impl FnMut() -> Result<u16>,
        mut on_progress: impl FnMut(Progress),
    ) -> Result<Engine> {
        let program = find(options)?;
        if let Some(model) = &program.model {
            check_gguf(model)?;
        }
        let key = probe::random_key()?;
        let mut taken = Vec::new();
        while taken.len() < PORT_TRIES {
            let port = choose_port()?;
            let mut process = Process::spawn(command(options, &program, port, &key)).map_err(|error| {
                Error::new(
                    ErrorKind::Engine,
                    format!("{} cannot be started: {error}.", program.path.display()),
                )
                .with_source(error)
            })?;
            if wait_ready(&mut process, port, &key, options.start_timeout, &mut on_progress).await? {
                let url = format!("http://127.0.0.1:{port}");
                let (options, restarts) = (options.clone(), VecDeque::new());
                return Ok(Engine { options, program, process, port, url, key, restarts });
            }
            tracing::debug!(port, "the port was taken before the engine had it");
            taken.push(port.to_string());
        }
        let message = format!(
            "The engine got no port: on 127.0.0.1, {} were taken, or it serves them without the key it was given.",
            taken.join(", ")
        );
        Err(Error::new(ErrorKind::Engine, message).with_hint(
            "Try again. A configured engine must take the key from LLAMA_API_KEY and the flag --port.",
        ))
    }

    /// The server's address, such as `http://127.0.0.1:34567`; another one after a restart.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The key the server asks for; another one after a restart.
    pub fn key(&self) -> &SecretString {
        &self.key
    }

    /// The child's process id.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// What runs.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// Whether the child still runs.
    pub fn is_alive(&mut self) -> bool {
        matches!(self.process.try_exit(), Ok(None))
    }

    /// Waits until the child ends, for whatever reason.
    pub async fn wait_exit(&mut self) -> Result<Exit> {
        self.process.wait_exit().await.map_err(|error| {
            Error::new(ErrorKind::Engine, format!("The engine's end cannot be awaited: {error}."))
                .with_source(error)
        })
    }

    /// Stops the engine: asks, waits 2 s, kills.
    pub async fn stop(mut self) -> Result<()> {
        self.process.stop().await.map_err(|error| {
            Error::new(ErrorKind::Engine, format!("The engine cannot be stopped: {error}."))
                .with_source(error)
        })
    }

    /// Restarts the engine where it has crashed, and says so; `None` when it runs.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Engine`] when it crashed for the fourth time in a minute, with its last lines, or does
    /// not start.
    pub async fn ensure(&mut self, on_progress: impl FnMut(Progress)) -> Result<Option<String>> {
        if self.is_alive() {
            return Ok(None);
        }
        let exit = self.wait_exit().await?;
        let now = Instant::now();
        self.restarts.retain(|restart| now.duration_since(*restart) < RESTART_WINDOW);
        if self.restarts.len() == RESTARTS {
            let message =
                format!("The engine crashed ({exit}) for the fourth time in a minute; it stays down.");
            return Err(with_last_lines(&message, &exit.last_lines));
        }
        self.restarts.push_back(now);
        let mut fresh = Engine::start(&self.options, on_progress).await?;
        fresh.restarts = std::mem::take(&mut self.restarts);
        *self = fresh;
        Ok(Some(format!("the engine crashed ({exit}); restarted")))
    }
}

/// The command line and the environment of the child.
fn command(options: &EngineOptions, program: &Program, port: u16, key: &SecretString) -> Command {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = options.threads.unwrap_or(cores - 1).max(1).to_string();
    let mut line = match program.origin {
        Origin::Installed => Vec::new(),
        Origin::Configured | Origin::Path => options.watch.clone(),
    };
    line.push(program.path.clone().into());
    line.extend_from_slice(&program.arguments);
    line.extend(["--host", "127.0.0.1", "--port", &port.to_string()].map(OsString::from));
    // Threads that wait busily fight each other and everything else on the machine.
    line.extend(["--poll", "0"].map(OsString::from));
    if let Some(model) = &program.model {
        line.extend(["--model".into(), model.clone().into()]);
    }
    let mut command = Command::new(&line[0]);
    command.args(&line[1..]);
    // Without a name the server calls the model by its path, which would show the user's folders in every answer.
    if let Some(name) = program.model.as_deref().and_then(Path::file_stem) {
        command.env("LLAMA_ARG_ALIAS", name);
    }
    // The key must not be seen in the list of processes. What is set by a variable here, a configured command
    // can set by a flag, and a llama-server that is too old for it ignores it.
    command.env("LLAMA_API_KEY", key.expose_secret());
    command.env("LLAMA_ARG_CTX_SIZE", options.context_length.unwrap_or(8192).to_string());
    command.env("LLAMA_ARG_N_PARALLEL", options.slots.to_string());
    command.env("LLAMA_ARG_THREADS", &threads);
    command.envs([("LLAMA_ARG_KV_UNIFIED", "1"), ("LLAMA_ARG_CACHE_RAM", "1024"), ("LLAMA_ARG_UI", "0")]);
    command.envs([("OMP_WAIT_POLICY", "passive"), ("GOMP_SPINCOUNT", "0"), ("KMP_BLOCKTIME", "0")]);
    command.env("OMP_NUM_THREADS", &threads);
    command
}

/// Waits until the child serves; `false` when it did not get its port.
async fn wait_ready(
    process: &mut Process,
    port: u16,
    key: &SecretString,
    limit: Duration,
    on_progress: &mut impl FnMut(Progress),
) -> Result<bool> {
    let deadline = Instant::now() + limit;
    loop {
        on_progress(Progress::LoadingModel(None));
        let exit = process.try_exit().map_err(|error| {
            Error::new(ErrorKind::Engine, format!("The engine cannot be watched: {error}."))
                .with_source(error)
        })?;
        if let Some(exit) = exit {
            if exit.last_lines.iter().any(|line| is_bind_failure(line)) {
                return Ok(false);
            }
            return Err(with_last_lines(
                &format!("The engine ended while starting ({exit})."),
                &exit.last_lines,
            ));
        }
        if matches!(probe::get(port, "/health", None).await, Some(answer) if answer.status == 200) {
            return Ok(probe::is_guarded_by(port, key).await);
        }
        if Instant::now() >= deadline {
            let message = format!("The engine was not ready after {} s.", limit.as_secs_f32());
            return Err(with_last_lines(&message, &process.last_lines()));
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
}

/// Whether a line says that the port was taken, in the words of llama.cpp's versions and of the system.
fn is_bind_failure(line: &str) -> bool {
    let line = line.to_lowercase();
    ["couldn't bind", "failed to bind", "address already in use"].iter().any(|words| line.contains(words))
}

fn with_last_lines(message: &str, lines: &[String]) -> Error {
    let error = if lines.is_empty() {
        Error::new(ErrorKind::Engine, format!("{message} It wrote nothing."))
    } else {
        Error::new(ErrorKind::Engine, format!("{message} Its last lines:\n{}", lines.join("\n")))
    };
    error.with_hint("`xdev-llm engine status` shows what runs; a smaller model or context needs less memory.")
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{Ipv4Addr, TcpListener};

    use super::*;

    #[cfg(unix)]
    #[tokio::test]
    async fn a_taken_port_is_left_for_another() {
        // It answers like a healthy server that asks for no key.
        let stranger = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let taken = stranger.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for mut stream in stranger.incoming().flatten() {
                let _ = stream.read(&mut [0; 1024]);
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
            }
        });
        let fake = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fake_llama_server.py");
        let mut options = EngineOptions::new(PathBuf::from("/nonexistent"));
        options.command = Some(format!("python3 {fake} --model none"));
        let mut free = 0;
        let mut ports = 0;
        let choose = || {
            ports += 1;
            if ports < 3 {
                return Ok(taken);
            }
            free = probe::free_port()?;
            Ok(free)
        };
        let engine = Engine::start_on(&options, choose, |_| {}).await.unwrap();
        assert_eq!((ports, engine.url()), (3, format!("http://127.0.0.1:{free}").as_str()));
        drop(engine);

        let error = Engine::start_on(&options, || Ok(taken), |_| {}).await.unwrap_err();
        assert!(
            error.message().contains(&format!("on 127.0.0.1, {taken}, {taken}, {taken} were taken")),
            "{error}"
        );
    }

    #[test]
    fn bind_failures_are_known_by_their_words() {
        assert!(is_bind_failure(
            "E srv start: couldn't bind HTTP server socket, hostname: 127.0.0.1, port: 9777"
        ));
        assert!(is_bind_failure("OSError: [Errno 98] Address already in use"));
        assert!(!is_bind_failure("error loading model: invalid magic characters"));
    }
}
