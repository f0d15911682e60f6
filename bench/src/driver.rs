//! The driver: lets all clients of a scenario take turns, round after round.
//!
//! In every round each client does its job for about the same time, in an order that moves on by one, so that whatever
//! else the machine does hits all of them. Ratios are taken inside a round (`report`). A client that used up its
//! patience in a scenario sits the later rounds out. Not here: what is measured (`scenario`).

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use serde_json::json;

use crate::job::{Job, MODEL};
use crate::process::{MockServer, Worker};
use crate::scenario::{Client, Neighbours, SCENARIOS, Scenario};
use crate::worker::Batch;
use crate::{plot, report};

/// Bytes of the long conversation.
const HISTORY_BYTES: usize = 10_000_000;
/// The ports every scan looks at; the library's own list.
const PORTS: [u16; 14] = xdev_llm::PORTS;

/// `Options` are the command line of `run`.
pub(crate) struct Options {
    mock: PathBuf,
    command: PathBuf,
    python: PathBuf,
    results: PathBuf,
    is_quick: bool,
    only: Vec<String>,
}

impl Options {
    pub(crate) fn parse(arguments: &[String]) -> Result<Options> {
        let mut values: BTreeMap<&str, &str> = BTreeMap::new();
        let (mut is_quick, mut only) = (false, Vec::new());
        let mut rest = arguments.iter();
        while let Some(name) = rest.next() {
            match name.as_str() {
                "--quick" => is_quick = true,
                "--only" => only.push(rest.next().context("--only ID")?.clone()),
                "--mock" | "--command" | "--python" | "--results" => {
                    values.insert(name, rest.next().with_context(|| format!("{name} PATH"))?);
                }
                _ => bail!("`{name}` is no option of run"),
            }
        }
        let path = |name: &str| {
            let value = values.get(name).with_context(|| format!("{name} is missing"))?;
            anyhow::Ok(PathBuf::from(value))
        };
        Ok(Options {
            mock: path("--mock")?,
            command: path("--command")?,
            python: path("--python")?,
            results: path("--results")?,
            is_quick,
            only,
        })
    }

    fn rounds(&self) -> usize {
        if self.is_quick { 5 } else { 21 }
    }

    /// How long one turn lasts, in seconds.
    fn turn(&self) -> f64 {
        if self.is_quick { 0.05 } else { 0.2 }
    }

    /// How long one client may work in one scenario, in seconds.
    fn patience(&self) -> f64 {
        if self.is_quick { 2.0 } else { 25.0 }
    }
}

/// `Taken` is what one client gave in one round.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taken {
    /// The median time of a go.
    pub(crate) seconds: f64,
    /// CPU time of a go.
    pub(crate) cpu_seconds: f64,
    pub(crate) peak_kib: u64,
}

impl Taken {
    fn new(batch: &Batch) -> Taken {
        Taken {
            seconds: report::median(batch.seconds.clone()),
            cpu_seconds: batch.cpu_seconds / batch.seconds.len() as f64,
            peak_kib: batch.peak_kib,
        }
    }
}

/// `Outcome` is what one scenario gave: for each client, round by round; `None` where it sat out.
pub(crate) struct Outcome {
    pub(crate) scenario: &'static Scenario,
    pub(crate) taken: BTreeMap<Client, Vec<Option<Taken>>>,
}

/// Runs all scenarios, prints the table and writes the results.
pub(crate) fn run(options: &Options) -> Result<()> {
    std::fs::create_dir_all(&options.results)?;
    let begin = Instant::now();
    let load_before = load()?;
    let mut outcomes = Vec::new();
    for scenario in SCENARIOS {
        if options.only.is_empty() || options.only.iter().any(|id| scenario.id.starts_with(id.as_str())) {
            eprintln!("{}: {}", scenario.id, scenario.title);
            outcomes.push(measure(scenario, options)?);
        }
    }
    let about = format!(
        "{} rounds, {} s; {} cores; load average {} before and {} after (the bench itself makes 1 to 2).",
        options.rounds(),
        begin.elapsed().as_secs(),
        std::thread::available_parallelism()?,
        load_before,
        load()?,
    );
    let table = format!("{about}\n\n{}", report::table(&outcomes));
    println!("{table}");
    std::fs::write(options.results.join("table.md"), &table)?;
    std::fs::write(options.results.join("plot.svg"), plot::draw(&outcomes))?;
    std::fs::write(options.results.join("rounds.json"), rounds_json(&outcomes).to_string())?;
    Ok(())
}

/// The load average over the last minute.
fn load() -> Result<String> {
    let text = std::fs::read_to_string("/proc/loadavg")?;
    Ok(text.split(' ').next().unwrap_or_default().to_owned())
}

/// What stands around the clients of one scenario.
struct Stage {
    _servers: Vec<MockServer>,
    target: String,
    more: Vec<String>,
}

fn measure(scenario: &'static Scenario, options: &Options) -> Result<Outcome> {
    let stage = set_up(scenario, options)?;
    let mut workers = BTreeMap::new();
    for &client in scenario.clients {
        match command(client, scenario, &stage, options) {
            Some(mut command) => drop(workers.insert(client, (Worker::start(&mut command)?, 0, 0.0))),
            None => eprintln!("  {}: not built, left out", client.name()),
        }
    }
    let mut taken: BTreeMap<Client, Vec<Option<Taken>>> = BTreeMap::new();
    // The first go warms up, the second tells how many make a turn.
    for (client, (worker, count, used)) in &mut workers {
        let begin = Instant::now();
        let batch = worker.turn(1)?;
        check(scenario, *client, &batch)?;
        *used = begin.elapsed().as_secs_f64();
        if *used > options.patience() {
            // One go is all it gets, so that one counts.
            taken.insert(*client, vec![Some(Taken::new(&batch))]);
            continue;
        }
        *count = (options.turn() / worker.turn(1)?.seconds[0]).clamp(1.0, 1000.0) as usize;
    }
    let order: Vec<Client> = workers.keys().copied().collect();
    for round in 0..options.rounds() {
        for place in 0..order.len() {
            let client = order[(round + place) % order.len()];
            let Some((worker, count, used)) = workers.get_mut(&client) else { continue };
            let rounds = taken.entry(client).or_default();
            if *used > options.patience() {
                if rounds.len() == round {
                    rounds.push(None);
                }
                continue;
            }
            let begin = Instant::now();
            let batch = worker.turn(*count)?;
            *used += begin.elapsed().as_secs_f64();
            check(scenario, client, &batch)?;
            rounds.push(Some(Taken::new(&batch)));
        }
    }
    Ok(Outcome { scenario, taken })
}

/// A client that lost text would be a fast one.
fn check(scenario: &Scenario, client: Client, batch: &Batch) -> Result<()> {
    let expected = scenario.tokens * "tok ".len();
    ensure!(
        batch.text.is_none_or(|text| text == expected),
        "{} read {:?} bytes of text, not {expected}",
        client.name(),
        batch.text
    );
    Ok(())
}

fn set_up(scenario: &Scenario, options: &Options) -> Result<Stage> {
    let mut servers = Vec::new();
    let (mut target, mut more) = (String::new(), Vec::new());
    if let Some(personality) = scenario.server {
        let arguments = [
            ("--personality", personality.to_owned()),
            ("--model", MODEL.to_owned()),
            ("--tokens", scenario.tokens.to_string()),
            ("--first-token-delay", scenario.delay.to_string()),
        ];
        let arguments: Vec<String> =
            arguments.into_iter().flat_map(|(name, value)| [name.to_owned(), value]).collect();
        let server = MockServer::start(&options.mock, &arguments)?;
        target.clone_from(&server.url);
        servers.push(server);
    }
    match scenario.job {
        Job::Find | Job::FindNone => {
            if scenario.neighbours == Neighbours::Silent {
                for _ in 0..2 {
                    let silent = ["--personality".to_owned(), "silent".to_owned()];
                    servers.insert(0, MockServer::start(&options.mock, &silent)?);
                }
            }
            more.extend(servers.iter().map(|server| server.port().to_owned()));
            if servers.is_empty() {
                target.push_str("none");
                more.push(closed_port()?);
            }
        }
        Job::Append => target = history(scenario.id == "g2", &options.results)?,
        _ => {}
    }
    Ok(Stage { _servers: servers, target, more })
}

/// A port on which nothing listens.
fn closed_port() -> Result<String> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port().to_string())
}

/// Writes a long conversation, with its letters as they are or as JSON escapes; the path of the file.
fn history(is_escaped: bool, folder: &Path) -> Result<String> {
    let line = "Der große Bär über dem Süden — « où est la mer ? » 海はどこですか。 A \"quoted\" word.\n";
    let mut text = String::from("[");
    for index in 0.. {
        let role = if index % 2 == 0 { "user" } else { "assistant" };
        let mut message = json!({"role": role, "content": line.repeat(20)}).to_string();
        if is_escaped {
            message = escape(&message);
        }
        text.push_str(&message);
        if text.len() >= HISTORY_BYTES {
            break;
        }
        text.push_str(", ");
    }
    text.push(']');
    let name = if is_escaped { "history-escaped.json" } else { "history.json" };
    let path = folder.join(name);
    std::fs::write(&path, text)?;
    Ok(path.display().to_string())
}

/// Writes what is not ASCII as JSON escapes, as Python's `json` does by default.
fn escape(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len() * 2);
    let mut units = [0; 2];
    for letter in json.chars() {
        if letter.is_ascii() {
            escaped.push(letter);
        } else {
            for unit in letter.encode_utf16(&mut units) {
                // Writing to a string cannot fail.
                let _ = write!(escaped, "\\u{unit:04x}");
            }
        }
    }
    escaped
}

/// How a client is started; `None` where it is not on this machine.
fn command(client: Client, scenario: &Scenario, stage: &Stage, options: &Options) -> Option<Command> {
    let mut command = if client.is_python() {
        let mut command = Command::new(&options.python);
        command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/clients/worker.py"));
        command
    } else {
        let mut command = Command::new(std::env::current_exe().ok()?);
        command.arg("worker");
        command
    };
    command.args([client.name(), scenario.job.name()]);
    if scenario.job == Job::Start {
        let (program, arguments): (&Path, &[&str]) = match client {
            Client::XdevLlm => (&options.command, &["--version"]),
            Client::Curl => (Path::new("curl"), &["--version"]),
            Client::Python => (&options.python, &["-c", "pass"]),
            _ => (Path::new("true"), &[]),
        };
        command.arg(program).args(arguments);
        return (client != Client::XdevLlm || program.exists()).then_some(command);
    }
    command.arg(&stage.target);
    if matches!(scenario.job, Job::Find | Job::FindNone) {
        // The library looks at its own list besides; the others are given it.
        command.args(&stage.more);
        if client.is_python() {
            command.args(PORTS.map(|port| port.to_string()));
        }
    }
    Some(command)
}

/// All rounds, for whoever wants to look closer.
fn rounds_json(outcomes: &[Outcome]) -> serde_json::Value {
    let scenarios = outcomes.iter().map(|outcome| {
        let clients: serde_json::Map<_, _> = outcome
            .taken
            .iter()
            .map(|(client, rounds)| {
                let rounds: Vec<_> = rounds
                    .iter()
                    .map(|taken| taken.map(|taken| json!([taken.seconds, taken.cpu_seconds, taken.peak_kib])))
                    .collect();
                (client.name().to_owned(), json!(rounds))
            })
            .collect();
        json!({"id": outcome.scenario.id, "title": outcome.scenario.title,
            "columns": ["seconds", "cpu_seconds", "peak_kib"], "clients": clients})
    });
    scenarios.collect()
}
