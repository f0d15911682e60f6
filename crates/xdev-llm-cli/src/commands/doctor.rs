//! `xdev-llm doctor`: walks every step between a person and an answer; each line is ok or says the cure.
//!
//! Not here: the walk itself (the library's `doctor`); this shows it, and brings the built-in engine.

use std::process::ExitCode;

use serde_json::json;
use xdev_llm::Client;
use xdev_llm::doctor::{self, Check, Report, Status};

use crate::arguments::DoctorArguments;
use crate::connect::Connector;
use crate::output::{self, FAIL, Failure, OK, Outcome, WARN};
use crate::render::plain;
use crate::settings;
use crate::show::Spinner;

/// Looks at everything and says whether an answer can be had.
pub(crate) fn run(arguments: &DoctorArguments) -> Outcome {
    let report = output::block_on(walk(arguments))??;
    if arguments.json {
        output::json(&json!(report))?;
    } else {
        output::line(&format!("\n{}", report.verdict()))?;
    }
    Ok(if report.works { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn walk(arguments: &DoctorArguments) -> Result<Report, Failure> {
    let overrides = settings::server_overrides(arguments.server.as_deref());
    let client = settings::load(&overrides).and_then(Client::new);
    // Keeps the built-in engine up until the walk is over.
    let mut kept = None;
    let connect = async |client: Client| {
        let spinner = Spinner::start("connecting");
        let mut connector = Connector::new(client.clone(), settings::state_dir(client.settings()).to_owned());
        let connected = connector.route(&client.settings().model, &spinner).await;
        spinner.clear();
        let (route, connection) = connected?;
        kept = Some((connection, connector));
        Ok(route)
    };
    let mut spinner: Option<Spinner> = None;
    let on_check = |check: &Check| {
        if let Some(spinner) = spinner.take() {
            spinner.clear();
        }
        if !arguments.json {
            print(check)?;
        }
        // What follows the model is the answer, which may take long.
        if check.name == "model" && check.status != Status::Fail {
            spinner = Some(Spinner::start("asking for one token"));
        }
        Ok(())
    };
    doctor::walk(client, connect, on_check).await
}

fn print(check: &Check) -> Result<(), Failure> {
    let style = match check.status {
        Status::Ok => OK,
        Status::Warn => WARN,
        Status::Fail => FAIL,
    };
    let status = format!("{:<4}", check.status);
    let shown = plain(&check.to_string());
    output::line(&shown.replacen(&status, &format!("{style}{status}{style:#}"), 1))
}
