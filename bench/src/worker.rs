//! The worker: one client, one job, in a process of its own.
//!
//! It reads a count a line, does the job so often, and prints one JSON line with the times, its CPU time and its
//! memory. `clients/worker.py` does the same for the Python clients. Not here: whose turn it is (`driver`).

use std::io::{self, BufRead, Write};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

use crate::job::{Done, Go, Job};
use crate::{async_openai_client, raw, xdev_llm_client};

/// `Batch` is what a worker reports after each turn.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Batch {
    /// The time of each go.
    pub(crate) seconds: Vec<f64>,
    /// CPU time of the process over all of them.
    pub(crate) cpu_seconds: f64,
    /// The most memory the process has had, so far.
    pub(crate) peak_kib: u64,
    /// Bytes of text in each answer; `None` where the client does not look at it.
    pub(crate) text: Option<usize>,
}

/// Runs `worker CLIENT JOB TARGET [MORE…]`.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let [client, job, target, more @ ..] = arguments else { bail!("worker CLIENT JOB TARGET [MORE…]") };
    let job = Job::parse(job)?;
    let mut go: Go = match (client.as_str(), job) {
        (_, Job::Start) => start(target, more),
        ("raw", _) => raw::go(job, target)?,
        ("raw-body", _) => raw::go_body(target)?,
        ("xdev-llm", _) => xdev_llm_client::go(job, target, more)?,
        ("async-openai", _) => async_openai_client::go(job, target)?,
        _ => bail!("`{client}` is no client"),
    };
    let mut out = io::stdout();
    for line in io::stdin().lock().lines() {
        let count: usize = line?.trim().parse().context("a count")?;
        let batch = measure(&mut go, count)?;
        writeln!(out, "{}", serde_json::to_string(&batch)?)?;
        out.flush()?;
    }
    Ok(())
}

fn measure(go: &mut Go, count: usize) -> Result<Batch> {
    let mut seconds = Vec::with_capacity(count);
    let mut text = None;
    let before = cpu_seconds();
    for _ in 0..count {
        let done = go()?;
        seconds.push(done.time.as_secs_f64());
        text = done.text;
    }
    Ok(Batch { seconds, cpu_seconds: cpu_seconds() - before, peak_kib: peak_kib()?, text })
}

/// CPU time of this process, all threads.
fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

/// The most memory this process has had.
fn peak_kib() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

/// Starts a program and waits for its end.
fn start(program: &str, arguments: &[String]) -> Go {
    let (program, arguments) = (program.to_owned(), arguments.to_vec());
    Box::new(move || {
        let begin = Instant::now();
        let output = std::process::Command::new(&program)
            .args(&arguments)
            .output()
            .with_context(|| format!("{program} cannot be started"))?;
        let time = begin.elapsed();
        if !output.status.success() {
            bail!("{program} failed: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(Done { time, text: None })
    })
}
