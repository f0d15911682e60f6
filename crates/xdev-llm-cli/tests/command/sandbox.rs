//! A place for child processes: empty folders, a clean environment, and ways to run the command in it.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// `Sandbox` is a home for child processes; it goes away with the test.
pub(crate) struct Sandbox {
    folder: TempDir,
}

/// `Ended` is what a child left.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    fn new(output: Output) -> Ended {
        Ended {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Standard output as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Fails unless the child ended well.
    pub(crate) fn ok(self) -> Ended {
        assert_eq!(self.code, Some(0), "{self:?}");
        self
    }
}

impl Sandbox {
    pub(crate) fn new() -> Sandbox {
        let sandbox = Sandbox { folder: TempDir::new().unwrap() };
        sandbox.config("");
        sandbox
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn state_dir(&self) -> PathBuf {
        self.path().join("state")
    }

    /// Writes the user's config file.
    pub(crate) fn config(&self, text: &str) {
        fs::write(self.path().join("config.toml"), text).unwrap();
    }

    /// Writes a file and gives its path.
    pub(crate) fn file(&self, name: &str, text: &str) -> String {
        let path = self.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xdev-llm"));
        command
            .args(arguments)
            .current_dir(self.path())
            .env_clear()
            .env("HOME", self.path())
            .env("XDEV_LLM_CONFIG", self.path().join("config.toml"))
            .env("XDEV_LLM_STATE_DIR", self.state_dir())
            .env("XDEV_LLM_DATA_DIR", self.path().join("data"));
        command
    }

    /// Runs the command with nothing on standard input.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        Ended::new(self.command(arguments).stdin(Stdio::null()).output().unwrap())
    }

    /// Runs the command with this on standard input.
    pub(crate) fn run_with(&self, arguments: &[&str], input: &str) -> Ended {
        let mut child = self.spawn(arguments);
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        Ended::new(child.wait_with_output().unwrap())
    }

    /// Starts the command with pipes on all sides.
    pub(crate) fn spawn(&self, arguments: &[&str]) -> Child {
        self.command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }
}

/// Waits for a child and gives what it left.
pub(crate) fn wait(child: Child) -> Ended {
    Ended::new(child.wait_with_output().unwrap())
}

/// Presses Ctrl-C for a child.
#[cfg(unix)]
pub(crate) fn interrupt(child: &Child) {
    let status = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(status.success());
}

/// A port on which nothing listens.
pub(crate) fn closed_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
