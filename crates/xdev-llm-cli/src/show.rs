//! Shows one answer while it arrives: progress, thinking, text, and at the end warnings and a line of numbers.
//!
//! Text goes to standard output, everything else to standard error; thinking goes to standard output only on a terminal.
//! Not here: what Markdown looks like (`render`), the request (`turn`).

use std::ffi::OsStr;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use xdev_llm::{ChatEvent, ChatReply, Progress};

use crate::arguments::{ReasoningArgument, TurnArguments};
use crate::output::{self, DIM, Failure};
use crate::render::{Renderer, plain};

/// The steps of a bar, so that it also moves slowly.
const BAR_STEPS: u64 = 1000;

/// `Spinner` is the line of progress on standard error; it is nothing where that is no terminal.
pub(crate) struct Spinner(ProgressBar);

impl Spinner {
    /// Shows a first message.
    pub(crate) fn start(message: &'static str) -> Spinner {
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed:.dim}") {
            bar.set_style(style);
        }
        bar.set_message(message);
        bar.enable_steady_tick(Duration::from_millis(100));
        Spinner(bar)
    }

    /// Shows what a server or the engine does.
    pub(crate) fn progress(&self, progress: Progress) {
        self.0.set_message(progress_words(progress));
    }

    /// Shows a bar, of which `share` (0 to 1) is full, with a message; without a share, the message alone.
    pub(crate) fn bar(&self, share: Option<f64>, message: impl Into<String>) {
        let template = match share {
            Some(_) => "{bar:20} {percent:>3} % {elapsed:.dim} {wide_msg}",
            None => "{spinner} {msg} {elapsed:.dim}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.0.set_style(style);
        }
        if let Some(share) = share {
            self.0.set_length(BAR_STEPS);
            self.0.set_position((share * BAR_STEPS as f64) as u64);
        }
        self.0.set_message(message.into());
    }

    /// Shows another message.
    pub(crate) fn message(&self, message: impl Into<String>) {
        self.0.set_message(message.into());
    }

    /// Prints a line to standard error above this one.
    pub(crate) fn note(&self, text: &str) {
        self.0.suspend(|| output::note(text));
    }

    /// Takes the line away.
    pub(crate) fn clear(&self) {
        self.0.finish_and_clear();
    }
}

/// What a server or the engine does, for people.
pub(crate) fn progress_words(progress: Progress) -> String {
    let (what, share) = match progress {
        Progress::LoadingModel(share) => ("loading the model", share),
        Progress::ReadingPrompt(share) => ("reading the prompt", share),
    };
    match share {
        Some(share) => format!("{what} {:.0} %", share * 100.0),
        None => what.to_owned(),
    }
}

/// When and how the text is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// As it arrives.
    Stream,
    /// When it is complete.
    AtEnd,
    /// Not at all: the caller prints JSON.
    Silent,
}

/// `Show` prints one answer.
pub(crate) struct Show {
    mode: Mode,
    /// Standard output is a terminal.
    terminal: bool,
    /// Renders Markdown; `None` shows the text as it is.
    renderer: Option<Renderer>,
    reasoning: bool,
    spinner: Spinner,
    first_text: Option<Instant>,
    /// Whether the last thing printed ended its line.
    line_ended: bool,
    thinking_shown: bool,
}

impl Show {
    /// Makes one as the flags say and shows that we connect.
    pub(crate) fn new(arguments: &TurnArguments) -> Show {
        let terminal = output::is_terminal();
        let mode = match (arguments.json, arguments.no_stream) {
            (true, _) => Mode::Silent,
            (false, true) => Mode::AtEnd,
            (false, false) => Mode::Stream,
        };
        Show {
            mode,
            terminal,
            renderer: (terminal && !arguments.raw).then(Renderer::default),
            reasoning: arguments.reasoning == Some(ReasoningArgument::Show) && mode != Mode::Silent,
            spinner: Spinner::start("connecting"),
            first_text: None,
            line_ended: true,
            thinking_shown: false,
        }
    }

    /// The line of progress.
    pub(crate) fn spinner(&self) -> &Spinner {
        &self.spinner
    }

    /// Shows one event; `reply` is what has arrived, this event included.
    pub(crate) fn event(&mut self, event: &ChatEvent, reply: &ChatReply) -> Result<(), Failure> {
        match event {
            ChatEvent::Progress(progress) => self.spinner.progress(*progress),
            ChatEvent::Reasoning(piece) if self.reasoning => self.thinking(piece)?,
            ChatEvent::Reasoning(_) => self.spinner.message("thinking"),
            ChatEvent::Text(piece) => {
                let first = *self.first_text.get_or_insert_with(Instant::now);
                if self.mode == Mode::Stream {
                    self.text(piece)?;
                }
                self.spinner.message(speed(reply, first));
            }
            ChatEvent::TextWasReasoning if self.mode == Mode::Stream => {
                self.end_line()?;
                output::warn("the text above was the model's thinking; the answer begins here.");
            }
            _ => {}
        }
        Ok(())
    }

    /// The answer is over: prints what is left of it.
    pub(crate) fn finish(&mut self, reply: &ChatReply) -> Result<(), Failure> {
        self.spinner.clear();
        if self.mode == Mode::AtEnd {
            self.text(&reply.text)?;
        }
        self.end_line()
    }

    fn thinking(&mut self, piece: &str) -> Result<(), Failure> {
        self.spinner.clear();
        self.thinking_shown = true;
        let shown = plain(piece);
        self.line_ended = shown.ends_with('\n');
        if self.terminal {
            let mut out = anstream::stdout().lock();
            write!(out, "{DIM}{shown}{DIM:#}")?;
            out.flush()?;
        } else {
            let _ = write!(anstream::stderr().lock(), "{DIM}{shown}{DIM:#}");
        }
        Ok(())
    }

    fn text(&mut self, piece: &str) -> Result<(), Failure> {
        if std::mem::take(&mut self.thinking_shown) {
            let separator = if self.line_ended { "\n" } else { "\n\n" };
            if self.terminal {
                write!(io::stdout(), "{separator}")?;
            } else {
                let _ = write!(io::stderr(), "{separator}");
            }
            self.line_ended = true;
        }
        if self.terminal {
            self.spinner.clear();
        }
        if !piece.is_empty() {
            self.line_ended = piece.ends_with('\n');
        }
        match &mut self.renderer {
            Some(renderer) => {
                let mut shown = String::new();
                renderer.push(piece, &mut shown);
                write(&mut anstream::stdout().lock(), &shown)
            }
            None if self.terminal => write(&mut io::stdout().lock(), &plain(piece)),
            None => write(&mut io::stdout().lock(), piece),
        }
    }

    /// Shows what the renderer held back and ends the line.
    fn end_line(&mut self) -> Result<(), Failure> {
        if let Some(renderer) = &mut self.renderer {
            let mut shown = String::new();
            renderer.finish(&mut shown);
            write(&mut anstream::stdout().lock(), &shown)?;
        }
        if !std::mem::replace(&mut self.line_ended, true) {
            write(&mut io::stdout().lock(), "\n")?;
        }
        Ok(())
    }
}

fn write(out: &mut impl Write, text: &str) -> Result<(), Failure> {
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

/// The tokens a second so far, for the line of progress.
fn speed(reply: &ChatReply, first: Instant) -> String {
    let seconds = first.elapsed().as_secs_f64();
    // A token of running text is about four bytes; the exact count comes with the end of the answer.
    let tokens = reply.usage.output_tokens.unwrap_or((reply.text.len() / 4) as u64);
    if seconds < 0.2 {
        return "answering".to_owned();
    }
    format!("answering, about {:.0} tokens/s", tokens as f64 / seconds)
}

/// Prints the warnings of an answer and, on a terminal, its numbers.
pub(crate) fn summary(reply: &ChatReply) {
    for warning in &reply.warnings {
        output::warn(warning);
    }
    if io::stderr().is_terminal() {
        output::note(&format!("{DIM}{}{DIM:#}", plain(&numbers(reply))));
    }
}

/// The numbers of an answer in one line.
fn numbers(reply: &ChatReply) -> String {
    let mut parts = Vec::new();
    let model = reply.model.as_deref().or(reply.sent.model.as_deref());
    parts.extend(model.map(|model| short_name(model).to_owned()));
    if let Some(tokens) = reply.usage.output_tokens {
        let about = if reply.usage.estimated { "about " } else { "" };
        parts.push(format!("{about}{tokens} tokens"));
    }
    if let Some(time) = reply.timing.time_to_first_token {
        parts.push(format!("first after {:.2} s", time.as_secs_f64()));
    }
    if let Some(rate) = reply.timing.tokens_per_second {
        parts.push(format!("{rate:.1} tokens/s"));
    }
    let place = reply.sent.url.trim_start_matches("http://");
    parts.push(format!("{} {place}", reply.sent.server_kind));
    parts.join(" · ")
}

/// A model's name for people: llama.cpp calls a model by the path of its file.
pub(crate) fn short_name(model: &str) -> &str {
    let path = Path::new(model);
    let stem = if path.is_absolute() { path.file_stem() } else { None };
    stem.and_then(OsStr::to_str).unwrap_or(model)
}

#[cfg(test)]
mod tests {
    use xdev_llm::{Sent, Timing, Usage};

    use super::*;

    #[test]
    fn only_a_path_is_shortened() {
        assert_eq!(short_name("google/gemma-3-12b"), "google/gemma-3-12b");
        assert_eq!(short_name("/models/SmolLM2.Q4_1.gguf"), "SmolLM2.Q4_1");
    }

    #[test]
    fn numbers_leave_out_what_is_not_known() {
        let mut reply = ChatReply {
            sent: Sent {
                server_kind: "ollama".into(),
                url: "http://localhost:11434".into(),
                ..Sent::default()
            },
            ..ChatReply::default()
        };
        assert_eq!(numbers(&reply), "ollama localhost:11434");
        reply.model = Some("qwen3:4b".into());
        reply.usage = Usage { output_tokens: Some(12), estimated: true, ..Usage::default() };
        reply.timing = Timing {
            time_to_first_token: Some(Duration::from_millis(1234)),
            tokens_per_second: Some(45.67),
            ..Timing::default()
        };
        assert_eq!(
            numbers(&reply),
            "qwen3:4b · about 12 tokens · first after 1.23 s · 45.7 tokens/s · ollama localhost:11434"
        );
    }
}
