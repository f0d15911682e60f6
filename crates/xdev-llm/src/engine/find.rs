//! Which program and which model file the engine would use, and what is installed.
//!
//! Looks at files only: nothing is started and nothing is downloaded.
//! Not here: putting things there (`install`).

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::install::{self, Checksum};
use super::{EngineOptions, Origin, Program};
use crate::error::{Error, ErrorKind, Result};
use crate::gguf::check_gguf;

/// Flags by which a configured command brings its own model.
const MODEL_FLAGS: [&str; 8] =
    ["-m", "--model", "-mu", "--model-url", "-hf", "-hfr", "--hf-repo", "--models-dir"];

/// Names the program and the model that [`Engine::start`](super::Engine::start) would run.
///
/// In this order: the configured command, `llama-server` on `PATH`, the installed engine.
///
/// # Errors
///
/// [`ErrorKind::Engine`] when there is no such program or no model for it, with how to install them.
pub fn find(options: &EngineOptions) -> Result<Program> {
    let model = match &options.model {
        Some(model) => Some(model.clone()),
        None => Some(install::model_path(&options.data_dir)).filter(|model| model.is_file()),
    };
    let program = match &options.command {
        Some(command) => {
            let (path, arguments) = split(command)?;
            Program { origin: Origin::Configured, path: locate(&path)?, arguments, model }
        }
        None => match on_path("llama-server") {
            Some(path) => Program { origin: Origin::Path, path, arguments: Vec::new(), model },
            None => installed(options, model)?,
        },
    };
    let brings_model =
        program.arguments.iter().any(|argument| MODEL_FLAGS.iter().any(|flag| argument == flag));
    if brings_model && options.model.is_none() {
        return Ok(Program { model: None, ..program });
    }
    if program.model.is_none() {
        let message = format!("The engine {} has no model to run.", program.path.display());
        return Err(Error::new(ErrorKind::Engine, message)
            .with_hint("Name a GGUF file, or run `xdev-llm engine install` for the small built-in model."));
    }
    Ok(program)
}

fn installed(options: &EngineOptions, model: Option<PathBuf>) -> Result<Program> {
    if install::installed_server(&options.data_dir).is_none() {
        let message = "There is no engine: no command is configured, `llama-server` is not on PATH, and none is installed.";
        return Err(Error::new(ErrorKind::Engine, message).with_hint(
            "Run `xdev-llm engine install` (downloads 126 MB), or point XDEV_LLM_ENGINE at a llama-server.",
        ));
    }
    let arguments = vec!["-I".into(), "-c".into(), include_str!("launcher.py").into()];
    Ok(Program { origin: Origin::Installed, path: install::python_path(&options.data_dir), arguments, model })
}

/// Splits a configured command as a shell would; a whole that is the path of a file stays whole.
fn split(command: &str) -> Result<(String, Vec<OsString>)> {
    if Path::new(command).is_file() {
        return Ok((command.to_owned(), Vec::new()));
    }
    let mut words = shlex::split(command).unwrap_or_default().into_iter();
    match words.next() {
        Some(program) => Ok((program, words.map(OsString::from).collect())),
        None => {
            Err(Error::new(ErrorKind::Engine, format!("The engine's command \"{command}\" cannot be read."))
                .with_hint("Give the path of a llama-server, or a command line with balanced quotes."))
        }
    }
}

fn locate(program: &str) -> Result<PathBuf> {
    let path = Path::new(program);
    let found = if path.components().count() > 1 {
        path.is_file().then(|| path.to_owned())
    } else {
        on_path(program)
    };
    found.ok_or_else(|| {
        Error::new(ErrorKind::Engine, format!("The configured engine \"{program}\" is not there."))
            .with_hint("Correct XDEV_LLM_ENGINE or `engine.command` in your config.")
    })
}

/// The first program of this name in the folders of `PATH`.
pub(super) fn on_path(name: &str) -> Option<PathBuf> {
    let file = format!("{name}{}", env::consts::EXE_SUFFIX);
    env::split_paths(&env::var_os("PATH")?).map(|folder| folder.join(&file)).find(|path| path.is_file())
}

/// `Status` is what `engine status` shows.
#[derive(Debug)]
pub struct Status {
    /// What would run, or why nothing can.
    pub program: Result<Program>,
    /// The version of the installed llama.cpp server.
    pub installed_server: Option<String>,
    /// The model file that would be used.
    pub model: Option<ModelFile>,
}

/// `ModelFile` is a model on disk.
#[derive(Debug)]
pub struct ModelFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its size in bytes.
    pub size: u64,
    /// Whether it is the file that was published; only the built-in model has a known checksum.
    pub checksum: Checksum,
    /// What is wrong with it.
    pub fault: Option<Error>,
}

/// Reports what is installed and what would run; reads the whole built-in model for its checksum.
pub fn status(options: &EngineOptions) -> Status {
    let program = find(options);
    let path = match &program {
        Ok(program) => program.model.clone(),
        Err(_) => Some(install::model_path(&options.data_dir)).filter(|path| path.is_file()),
    };
    let model = path.map(|path| {
        let checksum = if path == install::model_path(&options.data_dir) {
            install::checksum(&path)
        } else {
            Checksum::Unknown
        };
        let size = path.metadata().map_or(0, |metadata| metadata.len());
        ModelFile { fault: check_gguf(&path).err(), path, size, checksum }
    });
    Status { program, installed_server: install::installed_server(&options.data_dir), model }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(command: &str) -> EngineOptions {
        EngineOptions {
            command: Some(command.to_owned()),
            ..EngineOptions::new(PathBuf::from("/nonexistent/data"))
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_configured_command_is_split_like_a_shell_does() {
        let mut options = options("sh -c 'echo a  b' --flag");
        options.model = Some("m.gguf".into());
        let program = find(&options).unwrap();
        assert!(program.path.ends_with("sh") && program.path.is_absolute());
        assert_eq!(program.arguments, ["-c", "echo a  b", "--flag"]);
        assert_eq!((program.origin, program.model), (Origin::Configured, Some("m.gguf".into())));
    }

    #[cfg(unix)]
    #[test]
    fn a_path_with_spaces_needs_no_quotes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("my llama-server");
        std::fs::write(&path, "").unwrap();
        let program =
            find(&options(&format!("{} -hf a/b", shlex::try_quote(path.to_str().unwrap()).unwrap())));
        assert_eq!(program.unwrap().model, None, "the command brings its own model");
        let error = find(&options(path.to_str().unwrap())).unwrap_err();
        assert!(error.to_string().ends_with("has no model to run."), "{error}");
    }

    #[test]
    fn what_is_not_there_is_named() {
        let error = find(&options("/nonexistent/llama-server -v")).unwrap_err();
        assert_eq!(error.to_string(), "The configured engine \"/nonexistent/llama-server\" is not there.");
        let error = find(&options("llama-server 'open quote")).unwrap_err();
        assert!(error.to_string().contains("cannot be read"), "{error}");
    }
}
