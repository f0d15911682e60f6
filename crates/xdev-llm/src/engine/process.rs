//! `Process`: one child with its last lines of output, and the wrapper that ends a child with its parent.
//!
//! Everything that ends a child hangs on one pipe, the child's standard input: its other end closes when this
//! process stops the child, drops it, or dies, even of `kill -9`. The launcher of the installed engine reads
//! its own standard input; for any other program [`watch`] does.
//! Not here: what the child is asked over HTTP (`probe`).

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, ExitCode, ExitStatus, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How many lines of a child's output are kept.
const KEPT_LINES: usize = 20;
/// How long a child may take to end after it was asked to.
const GRACE: Duration = Duration::from_secs(2);
/// The same under [`watch`]: shorter, so that the wrapper ends its child before it is killed itself.
const WATCH_GRACE: Duration = Duration::from_millis(1500);
/// How often a child's end is looked for.
const TICK: Duration = Duration::from_millis(25);

/// `Exit` says how the engine's process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    /// The exit code, where it ended by itself.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// The last lines it wrote, at most 20.
    pub last_lines: Vec<String>,
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.code, self.signal) {
            (_, Some(signal)) => write!(f, "signal {signal}"),
            (Some(code), None) => write!(f, "exit {code}"),
            (None, None) => f.write_str("no exit code"),
        }
    }
}

/// The last lines a child wrote.
#[derive(Clone, Debug, Default)]
struct Tail(Arc<Mutex<VecDeque<String>>>);

impl Tail {
    fn push(&self, line: &[u8]) {
        let line = String::from_utf8_lossy(line).trim_end().chars().take(300).collect();
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == KEPT_LINES {
            lines.pop_front();
        }
        lines.push_back(line);
    }

    /// Reads `output` to its end on a thread, so that a full pipe never stops the child.
    fn follow(&self, output: impl Read + Send + 'static) -> io::Result<JoinHandle<()>> {
        let tail = self.clone();
        thread::Builder::new().name("engine output".into()).spawn(move || {
            let mut output = BufReader::new(output);
            let mut line = Vec::new();
            // The cap bounds a line without end; a read error means the pipe is gone, like its end.
            while let Ok(1..) = output.by_ref().take(16 * 1024).read_until(b'\n', &mut line) {
                tail.push(&line);
                line.clear();
            }
        })
    }
}

/// `Process` is a running child; dropping it kills it.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    stdin: Option<ChildStdin>,
    tail: Tail,
    readers: Vec<JoinHandle<()>>,
    ended: Option<ExitStatus>,
}

impl Process {
    /// Starts `command` in a process group of its own, so that the terminal's Ctrl-C does not reach it.
    pub(super) fn spawn(mut command: Command) -> io::Result<Process> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = command.spawn()?;
        let stdin = child.stdin.take();
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let mut process = Process { child, stdin, tail: Tail::default(), readers: Vec::new(), ended: None };
        if let Some(stdout) = stdout {
            process.readers.push(process.tail.follow(stdout)?);
        }
        if let Some(stderr) = stderr {
            process.readers.push(process.tail.follow(stderr)?);
        }
        Ok(process)
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// How the child ended, where it has.
    pub(super) fn try_exit(&mut self) -> io::Result<Option<Exit>> {
        if self.ended.is_none()
            && let Some(status) = self.child.try_wait()?
        {
            self.ended = Some(status);
            // A wrapper that was killed leaves its own child behind, in the same group.
            kill_group(self.child.id());
        }
        Ok(self.ended.map(|status| self.exit(status)))
    }

    /// Waits for the child's end.
    pub(super) async fn wait_exit(&mut self) -> io::Result<Exit> {
        loop {
            if let Some(exit) = self.try_exit()? {
                return Ok(exit);
            }
            tokio::time::sleep(TICK).await;
        }
    }

    /// Closes the child's standard input, waits the grace, then kills; no zombie is left.
    pub(super) async fn stop(&mut self) -> io::Result<()> {
        self.stdin = None;
        let deadline = Instant::now() + GRACE;
        while self.try_exit()?.is_none() {
            if Instant::now() >= deadline {
                self.kill()?;
                self.wait_exit().await?;
                break;
            }
            tokio::time::sleep(TICK).await;
        }
        Ok(())
    }

    /// The last lines the child wrote.
    pub(super) fn last_lines(&self) -> Vec<String> {
        self.tail.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    fn kill(&mut self) -> io::Result<()> {
        kill_group(self.child.id());
        self.child.kill()
    }

    fn exit(&self, status: ExitStatus) -> Exit {
        // What the child wrote last may still be in the pipes.
        let deadline = Instant::now() + Duration::from_millis(200);
        while !self.readers.iter().all(JoinHandle::is_finished) && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(2));
        }
        let (code, signal) = (exit_code(status), exit_signal(status));
        Exit { code, signal, last_lines: self.last_lines() }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stdin = None;
        if self.ended.is_none() && matches!(self.child.try_wait(), Ok(None)) {
            // It fails only for a child that has just ended.
            let _ = self.kill();
            // A killed process still takes a moment to give its memory back.
            let _ = self.child.wait();
        }
    }
}

#[cfg(unix)]
fn exit_signal(status: ExitStatus) -> Option<i32> {
    // A wrapper reports its child's signal as the shells do.
    std::os::unix::process::ExitStatusExt::signal(&status)
        .or_else(|| status.code().and_then(|code| (129..=192).contains(&code).then_some(code - 128)))
}

#[cfg(not(unix))]
fn exit_signal(_status: ExitStatus) -> Option<i32> {
    None
}

fn exit_code(status: ExitStatus) -> Option<i32> {
    status.code().filter(|_| exit_signal(status).is_none())
}

/// Kills every process of the group that `leader` leads; a group that is gone is no fault.
#[cfg(unix)]
fn kill_group(leader: u32) {
    if let Some(group) = rustix::process::Pid::from_raw(leader.cast_signed()) {
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
}

/// Kills the process `leader` and its children; processes that are gone are no fault.
#[cfg(not(unix))]
fn kill_group(leader: u32) {
    let _ = Command::new("taskkill")
        .args(["/F", "/T", "/PID", &leader.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
}

/// Asks a child to end.
#[cfg(unix)]
fn terminate(child: &Child) {
    if let Some(pid) = rustix::process::Pid::from_raw(child.id().cast_signed()) {
        // It fails only for a child that has just ended.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
}

/// There is no polite way here; the kill after the grace ends the child.
#[cfg(not(unix))]
fn terminate(_child: &Child) {}

/// Runs the command `args`, and ends it when this process's own standard input closes.
///
/// It is the body of the hidden command that [`EngineOptions::watch`](super::EngineOptions::watch) names. The
/// child gets no standard input and shares the two outputs. When the input closes, the child is asked to end,
/// gets 1.5 s, and is killed. The exit code is the child's, or 128 + the signal that ended it; 127 when it
/// could not be started.
pub fn watch(args: impl Iterator<Item = OsString>) -> ExitCode {
    match run_watched(args) {
        Ok(status) => {
            let code = exit_signal(status).map(|signal| 128 + signal).or(status.code());
            ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
        }
        Err(error) => {
            // Where even standard error is closed there is nobody left to tell.
            let _ = writeln!(io::stderr(), "{error}");
            ExitCode::from(127)
        }
    }
}

fn run_watched(mut args: impl Iterator<Item = OsString>) -> io::Result<ExitStatus> {
    let program = args.next().ok_or_else(|| io::Error::other("no command to run"))?;
    let mut child = Command::new(&program).args(args).stdin(Stdio::null()).spawn().map_err(|error| {
        io::Error::new(error.kind(), format!("{} cannot be started: {error}", program.display()))
    })?;
    let (sender, closed) = channel::<()>();
    thread::spawn(move || {
        // The sender is dropped at the end of the input, whatever way it ends.
        let _sender = sender;
        io::copy(&mut io::stdin(), &mut io::sink())
    });
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if closed.recv_timeout(TICK) == Err(RecvTimeoutError::Disconnected) {
            break;
        }
    }
    terminate(&child);
    let deadline = Instant::now() + WATCH_GRACE;
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        thread::sleep(TICK);
    }
    child.kill()?;
    child.wait()
}
