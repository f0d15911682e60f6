//! What is typed into `chat`: lines become inputs, inputs are things to say or commands.
//!
//! Pure but for [`Lines`], which reads a terminal or a pipe. Not here: what the commands do (`commands::chat`).

use std::io::{self, BufRead, IsTerminal};
use std::path::{Path, PathBuf};

use rustyline::DefaultEditor;
use rustyline::error::ReadlineError;
use xdev_llm::{Error, ErrorKind, Result, nearest};

/// The commands: how each is typed and what it does.
pub(crate) const COMMANDS: [(&str, &str); 13] = [
    ("/model [NAME]", "shows or changes the model"),
    ("/system [TEXT]", "shows or changes the system message; `/system -` removes it"),
    ("/save [FILE]", "writes the conversation as JSON"),
    ("/retry", "asks the last question again"),
    ("/undo", "takes back the last question and its answer"),
    ("/clear", "begins a new session"),
    ("/history", "prints the conversation"),
    ("/sessions", "lists the sessions on disk"),
    ("/load ID", "goes on with a session"),
    ("/stats", "shows the numbers of this session"),
    ("/help", "shows this list"),
    ("/exit", "leaves"),
    ("\"\"\"", "begins and ends a text of several lines; a line that ends in \\ goes on in the next one"),
];

/// `Input` is one thing a person wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// Says this to the model.
    Say(String),
    Model(Option<String>),
    System(Option<String>),
    Save(Option<PathBuf>),
    Retry,
    Undo,
    Clear,
    History,
    Sessions,
    Load(String),
    Stats,
    Help,
    Exit,
}

impl Input {
    /// Reads one input. A text that begins with `/` is a command; `//` says a text that begins with `/`.
    pub(crate) fn parse(text: &str) -> Result<Input> {
        let text = text.trim_end();
        let Some(command) = text.strip_prefix('/') else { return Ok(Input::Say(text.to_owned())) };
        if command.starts_with('/') {
            return Ok(Input::Say(command.to_owned()));
        }
        let (name, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
        let rest = Some(rest.trim()).filter(|rest| !rest.is_empty()).map(str::to_owned);
        match (name, rest) {
            ("model", name) => Ok(Input::Model(name)),
            ("system", text) => Ok(Input::System(text)),
            ("save", file) => Ok(Input::Save(file.map(PathBuf::from))),
            ("load", Some(id)) => Ok(Input::Load(id)),
            ("load", None) => {
                Err(Error::invalid_input("Which session?").with_hint("`/sessions` lists them."))
            }
            ("retry", None) => Ok(Input::Retry),
            ("undo", None) => Ok(Input::Undo),
            ("clear", None) => Ok(Input::Clear),
            ("history", None) => Ok(Input::History),
            ("sessions", None) => Ok(Input::Sessions),
            ("stats", None) => Ok(Input::Stats),
            ("help", None) => Ok(Input::Help),
            ("exit" | "quit", None) => Ok(Input::Exit),
            (name, _) => Err(unknown(name)),
        }
    }
}

fn unknown(name: &str) -> Error {
    let names = COMMANDS.iter().filter_map(|(typed, _)| typed.strip_prefix('/')?.split(' ').next());
    let error = match nearest(name, names) {
        Some(near) if near == name => Error::invalid_input(format!("/{name} takes nothing after it.")),
        Some(near) => Error::invalid_input(format!("There is no command /{name}. Did you mean /{near}?")),
        None => Error::invalid_input(format!("There is no command /{name}.")),
    };
    error.with_hint("`/help` lists the commands. To say a text that begins with /, begin it with //.")
}

/// `Assembler` puts the lines of a longer text together.
#[derive(Debug, Default)]
pub(crate) struct Assembler {
    text: String,
    in_block: bool,
    continues: bool,
}

impl Assembler {
    /// Takes in a line; gives the whole text once it is complete.
    pub(crate) fn push(&mut self, line: &str) -> Option<String> {
        if self.in_block {
            let Some(end) = line.trim_end().strip_suffix("\"\"\"") else {
                self.add_line(line);
                return None;
            };
            self.text.push_str(end);
            return self.finish();
        }
        if self.text.is_empty()
            && let Some(start) = line.trim_start().strip_prefix("\"\"\"")
        {
            if let Some(whole) = start.trim_end().strip_suffix("\"\"\"") {
                return Some(whole.to_owned());
            }
            self.in_block = true;
            if !start.trim().is_empty() {
                self.add_line(start);
            }
            return None;
        }
        if let Some(start) = line.strip_suffix('\\') {
            self.continues = true;
            self.add_line(start);
            return None;
        }
        self.text.push_str(line);
        self.finish()
    }

    /// Gives what there is: the input ended in the middle of a text.
    pub(crate) fn finish(&mut self) -> Option<String> {
        let text = std::mem::take(self).text;
        let text = text.trim_end_matches('\n');
        (!text.trim().is_empty()).then(|| text.to_owned())
    }

    /// Whether more lines are expected.
    pub(crate) fn is_open(&self) -> bool {
        self.in_block || self.continues
    }

    fn add_line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }
}

/// `Line` is what reading gave.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// A line without its end.
    Text(String),
    /// Ctrl-C at the prompt.
    Cleared,
    /// Ctrl-D, or the end of the pipe.
    End,
}

/// `Lines` reads lines from a terminal with editing and history, or from a pipe.
pub(crate) enum Lines {
    Terminal { editor: Box<DefaultEditor>, history: PathBuf },
    Pipe,
}

impl Lines {
    /// Opens standard input; typed lines are remembered in `history`.
    pub(crate) fn open(history: &Path) -> Result<Lines> {
        if !io::stdin().is_terminal() {
            return Ok(Lines::Pipe);
        }
        let mut editor = DefaultEditor::new().map_err(|error| unreadable(&error))?;
        // The first time there is no such file.
        let _ = editor.load_history(history);
        Ok(Lines::Terminal { editor: Box::new(editor), history: history.to_owned() })
    }

    /// Whether a person types.
    pub(crate) fn is_terminal(&self) -> bool {
        matches!(self, Lines::Terminal { .. })
    }

    /// Reads a line; blocks.
    pub(crate) fn read(&mut self, prompt: &str) -> Result<Line> {
        match self {
            Lines::Terminal { editor, history } => match editor.readline(prompt) {
                Ok(line) => {
                    if !line.trim().is_empty() {
                        // That a line is not remembered must not spoil the talk.
                        let _ = editor.add_history_entry(&line);
                        let _ = editor.save_history(history);
                    }
                    Ok(Line::Text(line))
                }
                Err(ReadlineError::Interrupted) => Ok(Line::Cleared),
                Err(ReadlineError::Eof) => Ok(Line::End),
                Err(error) => Err(unreadable(&error)),
            },
            Lines::Pipe => {
                let mut line = String::new();
                match io::stdin().lock().read_line(&mut line) {
                    Ok(0) => Ok(Line::End),
                    Ok(_) => Ok(Line::Text(line.trim_end_matches(['\n', '\r']).to_owned())),
                    Err(error) => Err(unreadable(&error)),
                }
            }
        }
    }
}

fn unreadable(error: &dyn std::error::Error) -> Error {
    Error::new(ErrorKind::Store, format!("Standard input could not be read: {error}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listed_command_is_understood() {
        for (typed, _) in COMMANDS.iter().filter(|(typed, _)| typed.starts_with('/')) {
            let typed = typed.replace("ID", "x").replace(['[', ']'], "");
            assert!(!matches!(Input::parse(&typed).unwrap(), Input::Say(_)), "{typed}");
        }
        assert_eq!(Input::parse("/model").unwrap(), Input::Model(None));
        assert_eq!(Input::parse("/system  Be brief. ").unwrap(), Input::System(Some("Be brief.".into())));
        assert_eq!(Input::parse("//etc is a folder").unwrap(), Input::Say("/etc is a folder".into()));
    }

    #[test]
    fn a_mistyped_command_is_not_said_to_the_model() {
        let error = Input::parse("/rety").unwrap_err();
        assert_eq!(error.message(), "There is no command /rety. Did you mean /retry?");
        assert_eq!(Input::parse("/undo 3").unwrap_err().message(), "/undo takes nothing after it.");
    }

    fn assemble(lines: &[&str]) -> Vec<String> {
        let mut assembler = Assembler::default();
        let mut whole: Vec<String> = lines.iter().filter_map(|line| assembler.push(line)).collect();
        whole.extend(assembler.finish());
        whole
    }

    #[test]
    fn lines_are_put_together() {
        assert_eq!(assemble(&["one", "", "two"]), ["one", "two"]);
        assert_eq!(assemble(&["a\\", "b\\", "c", "d"]), ["a\nb\nc", "d"]);
        assert_eq!(assemble(&["\"\"\"", "a", "", "b\"\"\"", "c"]), ["a\n\nb", "c"]);
        assert_eq!(assemble(&["\"\"\"a", "b", "\"\"\""]), ["a\nb"]);
        assert_eq!(assemble(&["\"\"\"one\"\"\""]), ["one"]);
        assert_eq!(assemble(&["\"\"\"", "cut off"]), ["cut off"]);
    }

    #[test]
    fn an_open_text_asks_for_more() {
        let mut assembler = Assembler::default();
        assert!(!assembler.is_open());
        assert_eq!(assembler.push("a\\"), None);
        assert!(assembler.is_open());
        assert_eq!(assembler.push("b"), Some("a\nb".to_owned()));
        assert!(!assembler.is_open());
    }
}
