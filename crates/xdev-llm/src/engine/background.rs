//! An engine in a process of its own, for commands that come and go: `engine start`, `stop` and `status`.
//!
//! Two files in the state folder are all that programs share: `engine.json` says where the engine is (and has
//! the key, so only its owner may read it); removing it stops the engine. The time of `engine.used` is the
//! last use.
//! Not here: the engine itself (`Engine`), and one that lives inside a program (`kept`).

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::{Engine, EngineOptions, probe};
use crate::error::{Error, ErrorKind, Result};

/// How often the background process looks at its files.
const TICK: Duration = Duration::from_millis(200);
/// How long it may take to stop.
const STOP_LIMIT: Duration = Duration::from_secs(8);

/// `Running` says where the background engine is.
#[derive(Clone, Debug)]
pub struct Running {
    /// The server's address.
    pub url: String,
    /// The key it asks for.
    pub key: SecretString,
    /// The process that keeps it.
    pub pid: u32,
    /// The model file; `None` when the configured command brings its own.
    pub model: Option<PathBuf>,
}

/// The content of `engine.json`.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Record {
    port: u16,
    key: String,
    pid: u32,
    model: Option<PathBuf>,
}

impl Record {
    fn of(engine: &Engine) -> Record {
        Record {
            port: engine.port,
            key: engine.key.expose_secret().to_owned(),
            pid: std::process::id(),
            model: engine.program.model.clone(),
        }
    }

    fn read(state_dir: &Path) -> Option<Record> {
        serde_json::from_slice(&fs::read(record_path(state_dir)).ok()?).ok()
    }

    /// Writes the file whole or not at all, for its owner's eyes only.
    fn write(&self, state_dir: &Path) -> Result<()> {
        let path = record_path(state_dir);
        let write = || {
            // A temporary file is made with mode 0600.
            let mut file = tempfile::NamedTempFile::new_in(state_dir)?;
            file.write_all(&serde_json::to_vec_pretty(self)?)?;
            file.persist(&path)?;
            io::Result::Ok(())
        };
        write().map_err(|error| stored(&path, error))
    }
}

fn record_path(state_dir: &Path) -> PathBuf {
    state_dir.join("engine.json")
}

fn used_path(state_dir: &Path) -> PathBuf {
    state_dir.join("engine.used")
}

fn log_path(state_dir: &Path) -> PathBuf {
    state_dir.join("engine.log")
}

/// Notes that the background engine is in use; call it at the start and at the end of each request.
pub fn touch_background(state_dir: &Path) -> Result<()> {
    let path = used_path(state_dir);
    let touch = || File::create(&path)?.set_modified(SystemTime::now());
    touch().map_err(|error| stored(&path, error))
}

/// Finds the background engine; `None` when none runs. Removes what a dead one left.
pub async fn running_background(state_dir: &Path) -> Option<Running> {
    let record = Record::read(state_dir)?;
    let key = SecretString::from(record.key.clone());
    if probe::is_guarded_by(record.port, &key).await {
        let url = format!("http://127.0.0.1:{}", record.port);
        return Some(Running { url, key, pid: record.pid, model: record.model });
    }
    // A live process may be restarting its engine; only what nobody keeps is removed.
    if !is_process(record.pid) && Record::read(state_dir).as_ref() == Some(&record) {
        remove(&record_path(state_dir));
    }
    None
}

/// Starts the background engine, or finds the one that runs, and waits until it serves.
///
/// `command` is a command line that calls [`keep`]. It runs in a process group of its own and writes to
/// `engine.log` in `state_dir`.
///
/// # Errors
///
/// [`ErrorKind::Engine`] when the process ends before it serves (with its words), or takes longer than
/// `limit`.
pub async fn start_background(command: &[OsString], state_dir: &Path, limit: Duration) -> Result<Running> {
    if let Some(running) = running_background(state_dir).await {
        return Ok(running);
    }
    let (program, arguments) = command
        .split_first()
        .ok_or_else(|| Error::invalid_input("No command was given to start the engine with."))?;
    fs::create_dir_all(state_dir).map_err(|error| stored(state_dir, error))?;
    let path = log_path(state_dir);
    let open = || {
        let log = File::create(&path)?;
        Ok((log.try_clone()?, log))
    };
    let (output, errors) = open().map_err(|error| stored(&path, error))?;
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(output).stderr(errors);
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let failed = |error: io::Error| {
        let message = format!("The background engine cannot be started: {error}.");
        Error::new(ErrorKind::Engine, message).with_source(error)
    };
    let mut child = command.spawn().map_err(failed)?;
    let deadline = Instant::now() + limit;
    loop {
        if let Some(running) = running_background(state_dir).await {
            // Where this program outlives the engine, somebody has to collect its exit.
            std::thread::spawn(move || child.wait());
            return Ok(running);
        }
        let said = || fs::read_to_string(&path).unwrap_or_default().trim().to_owned();
        if let Some(status) = child.try_wait().map_err(failed)? {
            let message = format!("The background engine ended ({status}). It said:\n{}", said());
            return Err(Error::new(ErrorKind::Engine, message));
        }
        if Instant::now() >= deadline {
            // Its engine dies with it.
            child.kill().map_err(failed)?;
            child.wait().map_err(failed)?;
            let message =
                format!("The background engine was not ready after {} s.\n{}", limit.as_secs(), said());
            return Err(Error::new(ErrorKind::Engine, message));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Stops the background engine and waits until it serves no more; `false` when none ran.
///
/// # Errors
///
/// [`ErrorKind::Engine`] when it still serves after 8 s.
pub async fn stop_background(state_dir: &Path) -> Result<bool> {
    let running = running_background(state_dir).await;
    let record = Record::read(state_dir);
    // Without its record the process stops; one whose engine does not answer just now is told as well.
    remove(&record_path(state_dir));
    let (Some(running), Some(record)) = (running, record) else { return Ok(false) };
    let deadline = Instant::now() + STOP_LIMIT;
    while probe::is_open(record.port).await {
        if Instant::now() >= deadline {
            let message = format!("The background engine (process {}) did not stop.", running.pid);
            return Err(Error::new(ErrorKind::Engine, message)
                .with_hint(format!("`kill -9 {}` ends it.", running.pid)));
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    Ok(true)
}

/// Keeps an engine until it was not used for `idle`, was told to stop, or a signal came: the body of a
/// process.
///
/// An answer in the making counts as use. A crashed engine is restarted as [`Engine::ensure`] does.
///
/// # Errors
///
/// Those of [`Engine::start`] and [`Engine::ensure`]; [`ErrorKind::Store`] when `state_dir` cannot be
/// written.
pub async fn keep(options: &EngineOptions, idle: Duration, state_dir: &Path) -> Result<()> {
    fs::create_dir_all(state_dir).map_err(|error| stored(state_dir, error))?;
    let mut signal = std::pin::pin!(end_signal());
    let mut engine = tokio::select! {
        engine = Engine::start(options, |_| {}) => engine?,
        result = &mut signal => return result,
    };
    touch_background(state_dir)?;
    let mut record = Record::of(&engine);
    record.write(state_dir)?;
    let result = loop {
        tokio::select! {
            () = tokio::time::sleep(TICK) => {}
            result = &mut signal => break result,
        }
        if Record::read(state_dir).as_ref() != Some(&record) {
            // Removed to stop this engine, or overwritten by another one.
            break Ok(());
        }
        if is_unused(state_dir, idle) && !probe::is_processing(engine.port, &engine.key).await {
            break Ok(());
        }
        match engine.ensure(|_| {}).await {
            Ok(None) => {}
            Ok(Some(news)) => {
                // The process's standard error is its log.
                let _ = writeln!(io::stderr(), "{news}");
                record = Record::of(&engine);
                record.write(state_dir)?;
            }
            Err(error) => break Err(error),
        }
    };
    if Record::read(state_dir).as_ref() == Some(&record) {
        remove(&record_path(state_dir));
    }
    engine.stop().await?;
    result
}

/// Whether the last use is longer ago than `idle`; a file without a readable time counts as just used.
fn is_unused(state_dir: &Path, idle: Duration) -> bool {
    let modified = fs::metadata(used_path(state_dir)).and_then(|metadata| metadata.modified());
    // A clock that was set back makes the last use lie in the future: not idle.
    modified.is_ok_and(|modified| modified.elapsed().is_ok_and(|elapsed| elapsed >= idle))
}

/// Comes back when this process is asked to end.
#[cfg(unix)]
async fn end_signal() -> Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let listen = |kind| {
        signal(kind).map_err(|error| {
            Error::new(ErrorKind::Engine, format!("Signals cannot be awaited: {error}.")).with_source(error)
        })
    };
    let mut terminate = listen(SignalKind::terminate())?;
    let mut interrupt = listen(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

/// Comes back when this process is asked to end.
#[cfg(not(unix))]
async fn end_signal() -> Result<()> {
    tokio::signal::ctrl_c().await.map_err(|error| {
        Error::new(ErrorKind::Engine, format!("Signals cannot be awaited: {error}.")).with_source(error)
    })
}

#[cfg(unix)]
fn is_process(pid: u32) -> bool {
    use rustix::process::{Pid, test_kill_process};
    Pid::from_raw(pid.cast_signed())
        .is_some_and(|pid| !matches!(test_kill_process(pid), Err(rustix::io::Errno::SRCH)))
}

#[cfg(not(unix))]
fn is_process(pid: u32) -> bool {
    let listed = Command::new("tasklist").args(["/NH", "/FI", &format!("PID eq {pid}")]).output();
    listed.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains(&pid.to_string()))
}

/// Removes a file that may be gone already.
fn remove(path: &Path) {
    if let Err(error) = fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(path = %path.display(), %error, "the file cannot be removed");
    }
}

fn stored(path: &Path, error: io::Error) -> Error {
    Error::new(ErrorKind::Store, format!("{} cannot be written: {error}.", path.display())).with_source(error)
}
