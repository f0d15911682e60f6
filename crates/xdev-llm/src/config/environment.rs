//! `Environment`: what the settings are read from, as a value that tests can make up.
//!
//! Only [`Environment::from_process`] looks at the process. Not here: which variable sets what (`table`).

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use etcetera::BaseStrategy;

use crate::error::{Error, ErrorKind, Result};

/// The name of this program's folder below the user's folders.
const FOLDER: &str = "xdev-llm";

/// `Environment` is what settings are read from: variables and folders.
///
/// Its `Debug` shows the variables' names, never their values.
#[derive(Clone, Default)]
pub struct Environment {
    /// The environment variables.
    pub variables: BTreeMap<String, String>,
    /// The folder the program was started in; `xdev-llm.toml` is looked for there.
    pub current_dir: PathBuf,
    /// The user's folder for this program's configuration.
    pub config_dir: PathBuf,
    /// The user's folder for sessions and statistics.
    pub state_dir: PathBuf,
    /// The user's folder for the built-in engine.
    pub data_dir: PathBuf,
}

impl Environment {
    /// Looks at the process: its variables, its current folder and the user's folders.
    ///
    /// The folders are those of the XDG Base Directory Specification on Linux and macOS, and `AppData` on Windows.
    ///
    /// # Errors
    /// `Config` where the user has no home folder, the current folder is gone, or an `XDEV_LLM_*` variable is not
    /// UTF-8.
    pub fn from_process() -> Result<Self> {
        let config = |message: String| Error::new(ErrorKind::Config, message);
        let mut variables = BTreeMap::new();
        for (name, value) in std::env::vars_os() {
            let Ok(name) = name.into_string() else { continue };
            match value.into_string() {
                Ok(value) => drop(variables.insert(name, value)),
                Err(_) if name.starts_with("XDEV_LLM_") => {
                    return Err(config(format!("The environment variable {name} is not UTF-8 text.")));
                }
                Err(_) => {}
            }
        }
        let current_dir = std::env::current_dir().map_err(|error| {
            config(format!("The current folder cannot be read: {error}.")).with_source(error)
        })?;
        let strategy = etcetera::choose_base_strategy().map_err(|error| {
            config(format!("The user's home folder cannot be found: {error}. Set HOME to a folder."))
                .with_source(error)
        })?;
        Ok(Environment {
            variables,
            current_dir,
            config_dir: strategy.config_dir().join(FOLDER),
            state_dir: strategy.state_dir().unwrap_or_else(|| strategy.data_dir()).join(FOLDER),
            data_dir: strategy.data_dir().join(FOLDER),
        })
    }

    /// The user's own file: what `XDEV_LLM_CONFIG` names, else `config.toml` in the config folder. It need not exist.
    pub fn user_file(&self) -> PathBuf {
        match self.variable("XDEV_LLM_CONFIG") {
            Some(path) => self.current_dir.join(path),
            None => self.config_dir.join("config.toml"),
        }
    }

    /// The folder of what the user added to the prompt toolkit: `prompt` beside the user's own file. It need not exist.
    pub fn prompt_dir(&self) -> PathBuf {
        self.user_file().with_file_name("prompt")
    }

    /// The value of a variable; one that is empty counts as not set.
    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.trim().is_empty())
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment")
            .field("variables", &self.variables.keys())
            .field("current_dir", &self.current_dir)
            .field("config_dir", &self.config_dir)
            .field("state_dir", &self.state_dir)
            .field("data_dir", &self.data_dir)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_of_prompts_is_beside_the_file_wherever_that_is() {
        let mut environment = Environment { config_dir: "/c".into(), ..Environment::default() };
        assert_eq!(environment.prompt_dir(), PathBuf::from("/c/prompt"));
        environment.variables.insert("XDEV_LLM_CONFIG".to_owned(), "/d/my.toml".to_owned());
        assert_eq!(environment.prompt_dir(), PathBuf::from("/d/prompt"));
    }

    #[test]
    fn debug_shows_names_and_no_values() {
        let mut environment = Environment::default();
        environment.variables.insert("OPENAI_API_KEY".to_owned(), "hunter2".to_owned());
        let shown = format!("{environment:?}");
        assert!(shown.contains("OPENAI_API_KEY") && !shown.contains("hunter2"), "{shown}");
    }
}
