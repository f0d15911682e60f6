//! `xdev-llm chat`: talks in turns, and keeps the conversation as a session on disk.
//!
//! A turn that failed leaves no trace in the conversation; one that was stopped keeps what had arrived, marked. Not
//! here: what is typed (`repl`), the turn itself (`turn`), files (the library's `store`).

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::Value;
use xdev_llm::{
    Access, ChatReply, Error, ErrorKind, Message, Percentiles, Role, Stats, Store, Totals, history,
    write_atomic,
};

use crate::arguments::ChatArguments;
use crate::output::{self, DIM, Failure, Outcome, STRONG};
use crate::render::plain;
use crate::repl::{Assembler, COMMANDS, Input, Line, Lines};
use crate::turn::{Ended, Turns};

/// What marks an answer that was stopped, for people and for the model.
const STOPPED: &str = " […]";
/// How many sessions `/sessions` lists.
const SESSIONS_SHOWN: usize = 20;

/// Talks until the input ends.
pub(crate) fn run(arguments: &ChatArguments) -> Outcome {
    let turns = Turns::new(&arguments.turn)?;
    let mut talk = Talk::new(turns)?;
    if let Some(id) = &arguments.session {
        talk.load(id)?;
    } else if arguments.continue_last {
        let newest = talk.store.sessions()?.into_iter().next();
        let Some(newest) = newest else {
            return Err(Error::invalid_input("There is no session to go on with.")
                .with_hint("`xdev-llm chat` begins one.")
                .into());
        };
        talk.load(&newest.id)?;
    }
    output::block_on(talk.run())?
}

/// `Talk` is one conversation and everything around it.
struct Talk<'a> {
    turns: Turns<'a>,
    store: Store,
    /// The session on disk; there is none before the first answer.
    session: Option<String>,
    /// What a new conversation begins with.
    opening: Vec<Message>,
    messages: Vec<Message>,
    stats: Stats,
}

impl<'a> Talk<'a> {
    fn new(turns: Turns<'a>) -> Result<Talk<'a>, Failure> {
        let opening = turns.opening()?;
        let store = turns.store();
        Ok(Talk { store, session: None, messages: opening.clone(), opening, stats: Stats::default(), turns })
    }

    /// Reads and answers until the input ends. The exit code is that of the first failed turn of a pipe.
    async fn run(&mut self) -> Outcome {
        let mut lines = Lines::open(&self.turns.state_dir().join("prompt_history"))?;
        let typed = lines.is_terminal();
        if typed {
            output::note(&format!("{DIM}/help lists the commands, Ctrl-D leaves.{DIM:#}"));
        }
        let mut assembler = Assembler::default();
        let mut code = ExitCode::SUCCESS;
        let mut has_failed = false;
        loop {
            let prompt = if assembler.is_open() { "… " } else { "> " };
            // The runtime goes on meanwhile: the engine stops when it is idle.
            let (read, returned) = tokio::task::spawn_blocking(move || {
                let read = lines.read(prompt);
                (read, lines)
            })
            .await
            .map_err(|error| Error::new(ErrorKind::Store, format!("Reading the input failed: {error}.")))?;
            lines = returned;
            let (text, is_end) = match read? {
                Line::Text(line) => (assembler.push(&line), false),
                Line::Cleared => {
                    assembler = Assembler::default();
                    continue;
                }
                Line::End => (assembler.finish(), true),
            };
            if let Some(text) = text {
                match self.take(&text).await {
                    Ok(true) => {}
                    Ok(false) => return Ok(code),
                    Err(Failure::OutputClosed) => return Err(Failure::OutputClosed),
                    Err(Failure::Error(error)) => {
                        self.turns.report(&error);
                        if !typed && !has_failed {
                            code = output::exit_code(error.kind());
                            has_failed = true;
                        }
                    }
                }
            }
            if is_end {
                return Ok(code);
            }
        }
    }

    /// Does what one input says; `false` leaves.
    async fn take(&mut self, text: &str) -> Result<bool, Failure> {
        match Input::parse(text)? {
            Input::Say(text) => {
                let mut messages = self.messages.clone();
                messages.push(Message::user(text));
                self.ask(messages).await?;
            }
            Input::Retry => self.retry().await?,
            Input::Undo => self.undo()?,
            Input::Model(name) => self.model(name),
            Input::System(text) => self.system(text.as_deref()),
            Input::Save(file) => self.save(file.as_deref())?,
            Input::Clear => {
                self.session = None;
                self.messages.clone_from(&self.opening);
                output::note("A new session begins with the next answer.");
            }
            Input::History => self.print_history()?,
            Input::Sessions => self.print_sessions()?,
            Input::Load(id) => self.load(&id)?,
            Input::Stats => self.print_stats()?,
            Input::Help => {
                for (typed, meaning) in COMMANDS {
                    output::line(&format!("{STRONG}{typed:<15}{STRONG:#} {meaning}"))?;
                }
            }
            Input::Exit => return Ok(false),
        }
        Ok(true)
    }

    /// Asks with this conversation, and keeps it when an answer came.
    async fn ask(&mut self, mut messages: Vec<Message>) -> Result<(), Failure> {
        let ended = self.turns.run(&messages).await;
        if let Err(Failure::Error(error)) = &ended {
            self.stats.record_failure(error);
        }
        let answer = match ended? {
            Ended::Previewed => return Ok(()),
            Ended::Answer(reply) => {
                self.stats.record(&reply);
                reply.text
            }
            Ended::Stopped(partial) => {
                let Some(text) = stopped(partial) else {
                    output::note("Stopped before anything came; the question is not kept.");
                    return Ok(());
                };
                text
            }
        };
        messages.push(Message::assistant(answer));
        self.messages = messages;
        self.keep()
    }

    async fn retry(&mut self) -> Result<(), Failure> {
        let mut messages = self.messages.clone();
        while messages.last().is_some_and(|message| message.role != Role::User) {
            messages.pop();
        }
        if messages.is_empty() {
            return Err(Error::invalid_input("There is no question to ask again.").into());
        }
        self.ask(messages).await
    }

    fn undo(&mut self) -> Result<(), Failure> {
        let Some(last) = self.messages.iter().rposition(|message| message.role == Role::User) else {
            return Err(Error::invalid_input("There is no question to take back.").into());
        };
        self.messages.truncate(last);
        output::note("The last question and its answer are taken back.");
        self.keep()
    }

    fn model(&mut self, name: Option<String>) {
        if let Some(name) = name {
            self.turns.request_mut().model = Some(name);
        }
        let model = self.turns.request_mut().model.clone();
        output::note(&format!("model: {}", plain(model.as_deref().unwrap_or("auto"))));
    }

    fn system(&mut self, text: Option<&str>) {
        if let Some(text) = text {
            let text = (text != "-").then_some(text);
            history::set_system(&mut self.messages, text);
            history::set_system(&mut self.opening, text);
        }
        let system =
            self.messages.first().filter(|message| matches!(message.role, Role::System | Role::Developer));
        let shown = system.map_or_else(|| "none".to_owned(), Message::text);
        output::note(&format!("system: {}", plain(&shown)));
    }

    fn save(&self, file: Option<&Path>) -> Result<(), Failure> {
        let path = match file {
            Some(file) => file.to_owned(),
            None => PathBuf::from(format!("{}.json", self.session.as_deref().unwrap_or("conversation"))),
        };
        write_atomic(&path, history::print_pretty(&self.messages).as_bytes(), Access::Shared)?;
        output::note(&format!("Saved {} messages to {}.", self.messages.len(), path.display()));
        Ok(())
    }

    fn print_stats(&self) -> Result<(), Failure> {
        let summary = self.stats.summary();
        if self.turns.wants_json() {
            return output::json(&summary);
        }
        let failures: u64 = summary.failures.values().sum();
        let Totals { input_tokens, output_tokens, .. } = summary.tokens;
        output::line(&format!("answers: {}, failures: {failures}", summary.count))?;
        output::line(&format!("tokens: {input_tokens} read, {output_tokens} written"))?;
        for (what, numbers, unit) in [
            ("first token", summary.time_to_first_token, "s"),
            ("whole answer", summary.duration, "s"),
            ("speed", summary.tokens_per_second, "tokens/s"),
        ] {
            if let Some(Percentiles { p50, min, max, .. }) = numbers {
                output::line(&format!("{what}: {p50:.2} {unit} ({min:.2} to {max:.2})"))?;
            }
        }
        Ok(())
    }

    fn print_history(&self) -> Result<(), Failure> {
        if self.turns.wants_json() {
            return output::json(&self.as_values());
        }
        for message in &self.messages {
            output::line(&format!("{STRONG}{}:{STRONG:#} {}", message.role, plain(&message.text())))?;
        }
        Ok(())
    }

    fn print_sessions(&self) -> Result<(), Failure> {
        let mut table = output::table(&["ID", "MESSAGES", "FIRST QUESTION"]);
        for summary in self.store.sessions()?.iter().take(SESSIONS_SHOWN) {
            let session = self.store.read_session(&summary.id)?;
            let question = session.messages.iter().find(|message| message["role"] == "user");
            let question = question.and_then(|message| message["content"].as_str()).unwrap_or_default();
            let line: String = question.lines().next().unwrap_or_default().chars().take(60).collect();
            table.add_row([summary.id.clone(), session.messages.len().to_string(), line]);
        }
        output::print_table(&table)
    }

    fn load(&mut self, id: &str) -> Result<(), Failure> {
        let session = self.store.read_session(id)?;
        for warning in &session.warnings {
            output::warn(warning);
        }
        self.messages = history::parse(&Value::Array(session.messages).to_string())?;
        self.session = Some(session.id);
        output::note(&format!("{DIM}session {id}: {} messages{DIM:#}", self.messages.len()));
        Ok(())
    }

    /// The messages as JSON values.
    fn as_values(&self) -> Vec<Value> {
        serde_json::from_str(&history::print(&self.messages)).expect("a history is printed as a JSON array")
    }

    /// Writes the conversation to its session, which begins with the first answer.
    fn keep(&mut self) -> Result<(), Failure> {
        let lines = self.as_values();
        let id = match &self.session {
            Some(id) => id,
            None => self.session.insert(self.store.create_session(None)?),
        };
        Ok(self.store.write_session(id, &lines)?)
    }
}

/// What is kept of an answer that was stopped; nothing where nothing had come.
fn stopped(partial: ChatReply) -> Option<String> {
    let text = partial.text;
    (!text.trim().is_empty()).then(|| text + STOPPED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_stopped_answer_with_text_is_kept() {
        let reply = |text: &str| ChatReply { text: text.to_owned(), ..ChatReply::default() };
        assert_eq!(stopped(reply("The sky")), Some("The sky […]".to_owned()));
        assert_eq!(stopped(reply(" \n")), None);
    }
}
