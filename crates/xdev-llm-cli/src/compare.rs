//! `ask` with several models: what each is at while they run, then the answers beside each other and a table.
//!
//! Not here: asking them (the library's `Client::compare`), columns of text (`columns`).

use std::pin::pin;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use console::{Term, truncate_str};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use xdev_llm::{Answered, ChatEvent, ChatReply, Collector, Compared, Error, Message};

use crate::arguments::{AskArguments, ReasoningArgument};
use crate::columns;
use crate::output::{self, DIM, Described, FAIL, Failure, OK, Outcome, STRONG, WARN};
use crate::render::{Renderer, plain};
use crate::show::{progress_words, short_name};
use crate::turn::{ServerTaken, Turns, interrupted};

/// The least width of a column; a narrower terminal shows the answers one below the other.
const LEAST_COLUMN: usize = 60;
/// The width of the longest bar.
const BAR: usize = 20;
/// The longest name of a model in the lines of progress.
const LONGEST_NAME: usize = 40;
/// How wide a terminal is that does not tell.
const USUAL_WIDTH: usize = 80;

/// `Asked` is one of the models, what came of it so far, and its line of progress.
struct Asked {
    model: String,
    line: ProgressBar,
    collector: Collector,
    /// When the first text came.
    first: Option<Instant>,
    answer: Option<Result<Answered, Error>>,
}

/// Asks every model and shows what came. The exit code is that of the first failure.
pub(crate) async fn run(
    turns: &Turns<'_>,
    arguments: &AskArguments,
    models: &[String],
    messages: &[Message],
) -> Outcome {
    let questions = models.iter().map(|model| turns.question(model, messages)).collect();
    let mut comparison = turns.client().compare(questions, arguments.parallel);
    let lines = MultiProgress::new();
    let mut asked: Vec<Asked> = models.iter().map(|model| Asked::new(model, models, &lines)).collect();
    let mut interrupt = pin!(tokio::signal::ctrl_c());
    let is_interrupted = loop {
        tokio::select! {
            biased;
            _ = &mut interrupt => break true,
            happened = comparison.next() => match happened {
                Some((index, happened)) => asked[index].take(happened),
                None => break false,
            },
        }
    };
    drop(comparison);
    for asked in &asked {
        asked.line.finish_and_clear();
    }
    // That no progress is shown any more is no failure.
    let _ = lines.clear();
    for answered in asked.iter().filter_map(Asked::answered) {
        turns.record(&answered.reply);
    }
    if arguments.turn.json {
        output::json(&as_json(&asked).await)?;
    } else {
        print(&asked, arguments)?;
    }
    if is_interrupted {
        return Ok(output::exit_code(interrupted().kind()));
    }
    let failed = asked.iter().find_map(|asked| asked.answer.as_ref()?.as_ref().err());
    Ok(failed.map_or(ExitCode::SUCCESS, |error| output::exit_code(error.kind())))
}

impl Asked {
    fn new(model: &str, models: &[String], lines: &MultiProgress) -> Asked {
        let line = lines.add(ProgressBar::new_spinner());
        let name = |model: &str| truncate_str(&plain(short_name(model)), LONGEST_NAME, "…").into_owned();
        let widest = models.iter().map(|model| console::measure_text_width(&name(model))).max();
        line.set_prefix(columns::pad(&name(model), widest.unwrap_or_default()));
        line.set_style(style("  {prefix:.bold}  {wide_msg:.dim}"));
        line.set_message("waits for its turn");
        Asked { model: model.to_owned(), line, collector: Collector::default(), first: None, answer: None }
    }

    /// Takes in what happened, and shows it in the line of progress.
    fn take(&mut self, happened: Compared) {
        match happened {
            Compared::Begun => {
                self.line.set_style(style("{spinner} {prefix:.bold}  {elapsed:>4.dim}  {wide_msg}"));
                self.line.reset_elapsed();
                self.line.enable_steady_tick(Duration::from_millis(100));
                self.line.set_message("connecting");
            }
            Compared::Asked(_) => self.line.set_message("waiting for the answer"),
            Compared::Event(event) => {
                self.collector.push(event.clone());
                if let Some(words) = self.doing(&event) {
                    self.line.set_message(words);
                }
            }
            Compared::Ended(answer) => {
                let (mark, words) = match &answer {
                    Ok(answered) => (format!("{OK}✓{OK:#}"), numbers(&answered.reply)),
                    Err(error) => (format!("{FAIL}✗{FAIL:#}"), error.to_string()),
                };
                self.line.disable_steady_tick();
                self.line
                    .set_style(style(&format!("{mark} {{prefix:.bold}}  {{elapsed:>4.dim}}  {{wide_msg}}")));
                self.line.set_message(plain(&words).replace('\n', " "));
                self.line.abandon();
                self.answer = Some(answer);
            }
        }
    }

    /// What the model is at, where an event tells.
    fn doing(&mut self, event: &ChatEvent) -> Option<String> {
        match event {
            ChatEvent::Progress(progress) => Some(progress_words(*progress)),
            ChatEvent::Reasoning(_) => Some(format!("thinking, about {} tokens", self.tokens())),
            ChatEvent::Text(_) => {
                let seconds = self.first.get_or_insert_with(Instant::now).elapsed().as_secs_f64();
                let tokens = self.tokens();
                let speed = if seconds < 0.2 {
                    String::new()
                } else {
                    format!(", {:.0} tokens/s", tokens as f64 / seconds)
                };
                Some(format!("writing, about {tokens} tokens{speed}"))
            }
            _ => None,
        }
    }

    /// The tokens so far: the exact count comes with the end. One of running text is about four bytes.
    fn tokens(&self) -> u64 {
        let reply = self.collector.reply();
        reply.usage.output_tokens.unwrap_or(((reply.text.len() + reply.reasoning.len()) / 4) as u64)
    }

    fn answered(&self) -> Option<&Answered> {
        self.answer.as_ref()?.as_ref().ok()
    }

    /// What came of the answer, whether it was completed or not.
    fn reply(&self) -> &ChatReply {
        self.answered().map_or_else(|| self.collector.reply(), |answered| &answered.reply)
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}

/// The numbers of an answer; what is not known is left out.
fn numbers(reply: &ChatReply) -> String {
    let seconds = |time: Duration| format!("{:.2} s", time.as_secs_f64());
    let about = if reply.usage.estimated { "about " } else { "" };
    let parts = [
        reply.timing.time_to_first_token.map(|time| format!("first token {}", seconds(time))),
        reply.timing.tokens_per_second.map(|rate| format!("{rate:.1} tokens/s")),
        reply.usage.output_tokens.map(|tokens| format!("{about}{tokens} tokens")),
        reply.timing.duration.map(seconds),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" · ")
}

/// Everything for programs.
async fn as_json(asked: &[Asked]) -> Value {
    let mut answers = Vec::new();
    for asked in asked {
        let answer = match asked.answer.as_ref() {
            Some(Ok(answered)) => json!({
                "model": asked.model,
                "server_info": ServerTaken::of(answered).await,
                "response": answered.reply.text,
                "reasoning": answered.reply.reasoning,
                "generation_stats": answered.stats(),
            }),
            Some(Err(error)) => json!({"model": asked.model, "error": Described::from(error)}),
            None => json!({"model": asked.model, "error": Described::from(&interrupted())}),
        };
        answers.push(answer);
    }
    let summary: Vec<Value> = asked.iter().map(summary).collect();
    json!({"answers": answers, "summary": summary})
}

/// One row of the summary, for programs.
fn summary(asked: &Asked) -> Value {
    let Some(answered) = asked.answered() else { return json!({"model": asked.model, "answered": false}) };
    let stats = answered.stats();
    json!({
        "model": asked.model,
        "answered": true,
        "time_to_first_token": stats.time_to_first_token,
        "tokens_per_second": stats.tokens_per_second,
        "output_tokens": stats.output_tokens,
        "duration": stats.duration,
    })
}

/// Prints the answers, and the table of their numbers. Of what was interrupted before anything came only the table tells.
fn print(all: &[Asked], arguments: &AskArguments) -> Result<(), Failure> {
    let is_terminal = output::is_terminal();
    let asked: Vec<&Asked> =
        all.iter().filter(|asked| asked.answer.is_some() || !asked.reply().text.is_empty()).collect();
    let terminal = Term::stdout().size_checked().map_or(USUAL_WIDTH, |(_, width)| width.into());
    let width = column_width(is_terminal, terminal, asked.len());
    if let Some(width) = width {
        let columns: Vec<Vec<String>> = asked
            .iter()
            .map(|asked| {
                let head = format!("{STRONG}{}{STRONG:#}\n{}", plain(&asked.model), head(asked));
                columns::wrap(&format!("{head}\n\n{}", body(asked, arguments, true)), width)
            })
            .collect();
        for row in columns::beside(&columns, width) {
            output::line(&row)?;
        }
    } else {
        for asked in &asked {
            if is_terminal {
                let rule = "─".repeat(terminal.saturating_sub(console::measure_text_width(&asked.model) + 4));
                output::line(&format!(
                    "{DIM}──{DIM:#} {STRONG}{}{STRONG:#} {DIM}{rule}{DIM:#}",
                    plain(&asked.model)
                ))?;
                let shown = format!("{}\n\n{}\n", head(asked), body(asked, arguments, true));
                for row in columns::wrap(&shown, terminal) {
                    output::line(&row)?;
                }
            } else {
                output::line(&format!("## {}\n\n{}\n", asked.model, body(asked, arguments, false)))?;
            }
        }
    }
    output::line(if is_terminal { "" } else { "## Summary\n" })?;
    print_table(all, is_terminal)
}

fn column_width(is_terminal: bool, terminal: usize, count: usize) -> Option<usize> {
    columns::column_width(terminal, count, LEAST_COLUMN).filter(|_| is_terminal)
}

/// What stands below a model's name on a terminal: the numbers, and the route where an alias did not take its first.
fn head(asked: &Asked) -> String {
    let Some(answered) = asked.answered() else { return format!("{DIM}no answer{DIM:#}") };
    let lines = [Some(numbers(&answered.reply)), answered.route.note()];
    let lines: Vec<String> =
        lines.iter().flatten().map(|line| format!("{DIM}{}{DIM:#}", plain(line))).collect();
    lines.join("\n")
}

/// The answer itself, or what came of it and why it failed.
fn body(asked: &Asked, arguments: &AskArguments, is_terminal: bool) -> String {
    let reply = asked.reply();
    let mut parts = Vec::new();
    if arguments.turn.reasoning == Some(ReasoningArgument::Show) && is_terminal && !reply.reasoning.is_empty()
    {
        parts.push(format!("{DIM}{}{DIM:#}", plain(reply.reasoning.trim())));
    }
    let text = reply.text.trim_end();
    if !text.is_empty() {
        parts.push(match (is_terminal, arguments.turn.raw) {
            (false, _) => text.to_owned(),
            (true, true) => plain(text),
            (true, false) => {
                let (mut renderer, mut shown) = (Renderer::default(), String::new());
                renderer.push(text, &mut shown);
                renderer.finish(&mut shown);
                shown
            }
        });
    }
    for warning in &reply.warnings {
        parts.push(format!("{WARN}warning:{WARN:#} {}", plain(warning)));
    }
    let stopped = interrupted();
    let error = match &asked.answer {
        Some(Ok(_)) => None,
        Some(Err(error)) => Some(error),
        None => Some(&stopped),
    };
    if let Some(error) = error {
        parts.push(format!(
            "{FAIL}error:{FAIL:#} {}\n{STRONG}hint:{STRONG:#} {}",
            plain(&error.to_string()),
            plain(error.hint())
        ));
    }
    parts.join("\n\n")
}

/// Prints a row for each model; on a terminal with a bar, whose length is the speed.
fn print_table(asked: &[Asked], is_terminal: bool) -> Result<(), Failure> {
    let speed = |asked: &Asked| asked.answered().and_then(|answered| answered.reply.timing.tokens_per_second);
    let fastest = asked.iter().filter_map(speed).fold(0.0, f64::max);
    let mut table = output::table(&["MODEL", "FIRST TOKEN", "TOKENS/S", "TOKENS", "TIME", ""]);
    for asked in asked {
        let reply = asked.answered().map(|answered| &answered.reply);
        let seconds = |time: Option<Duration>| {
            time.map_or_else(|| "-".to_owned(), |time| format!("{:.2} s", time.as_secs_f64()))
        };
        let last = match (&asked.answer, speed(asked)) {
            (Some(Ok(_)), Some(rate)) if is_terminal && fastest > 0.0 => columns::bar(rate / fastest, BAR),
            (Some(Ok(_)), _) => String::new(),
            (Some(Err(error)), _) => error.code().to_owned(),
            (None, _) => interrupted().code().to_owned(),
        };
        table.add_row([
            asked.model.clone(),
            seconds(reply.and_then(|reply| reply.timing.time_to_first_token)),
            speed(asked).map_or_else(|| "-".to_owned(), |rate| format!("{rate:.1}")),
            reply
                .and_then(|reply| reply.usage.output_tokens)
                .map_or_else(|| "-".to_owned(), |tokens| tokens.to_string()),
            seconds(reply.and_then(|reply| reply.timing.duration)),
            last,
        ]);
    }
    output::print_table(&table)
}
