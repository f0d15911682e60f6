//! Measures XDev LLM beside other clients, end to end, on the test server.
//!
//! `run` is the driver: it starts servers and clients, lets the clients take turns, and prints the table. `worker` is
//! one client in a process of its own, so that its CPU time and memory are its own. Not here: the codecs alone
//! (`crates/xdev-llm/benches`).

mod async_openai_client;
mod driver;
mod job;
mod plot;
mod process;
mod raw;
mod report;
mod scenario;
mod worker;
mod xdev_llm_client;

use anyhow::{Result, bail};

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("run") => driver::run(&driver::Options::parse(&arguments[1..])?),
        Some("worker") => worker::run(&arguments[1..]),
        _ => bail!(
            "usage: xdev-llm-bench run --mock PROGRAM --command PROGRAM --python PROGRAM --results FOLDER [--quick] [--only ID]"
        ),
    }
}
