//! `xdev-llm servers`: the model servers that run on this machine, printed as they answer.
//!
//! Not here: where they are looked for and how they are told apart (the library's `client`).

use std::process::ExitCode;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};
use xdev_llm::{Client, Found};

use crate::arguments::ServersArguments;
use crate::output::{self, DIM, Described, Failure, Outcome, STRONG};
use crate::render::plain;
use crate::settings;

/// Looks for servers and prints them.
pub(crate) fn run(arguments: &ServersArguments) -> Outcome {
    let settings = settings::load(&settings::no_overrides())?;
    output::block_on(look(arguments, settings))?
}

/// `Entry` is one element of what `--json` prints; a found server keeps the order of its fields.
#[derive(Serialize)]
#[serde(untagged)]
enum Entry {
    Found(Found),
    Configured(Value),
}

async fn look(arguments: &ServersArguments, settings: xdev_llm::Settings) -> Outcome {
    let configured = if arguments.all { settings::configured_servers(&settings) } else { Vec::new() };
    let client = Client::new(settings)?;
    let mut scan = client.scan();
    let mut list = Vec::new();
    let mut count = 0;
    while let Some(found) = scan.next().await {
        count += 1;
        if arguments.json {
            list.push(Entry::Found(found));
        } else {
            print(&found)?;
        }
    }
    for (name, url) in configured {
        count += 1;
        let entry = ask_configured(&client, &name, &url).await;
        if arguments.json {
            list.push(Entry::Configured(entry));
        } else {
            print_configured(&name, &entry)?;
        }
    }
    if arguments.json {
        output::json(&list)?;
    } else if count == 0 {
        output::note(
            "No model server runs on this machine. Start one (LM Studio: Developer tab, Start server; Ollama: `ollama serve`).",
        );
        output::note("`xdev-llm doctor` shows what answers on each port.");
    }
    Ok(ExitCode::SUCCESS)
}

fn print(found: &Found) -> Result<(), Failure> {
    let version = found.version.as_deref().unwrap_or_default();
    let state = match (found.loading, found.needs_key) {
        (true, _) => "loading its model".to_owned(),
        (_, true) => "wants a key".to_owned(),
        _ => count_models(found.models.len()),
    };
    let row = format!("{:<28} {:<14} {:<12} {state}", found.url, found.kind.as_str(), version);
    let (url, rest) = row.split_at(found.url.len());
    output::line(&format!(
        "{STRONG}{url}{STRONG:#}{} {DIM}{}{DIM:#}",
        plain(rest).trim_end(),
        milliseconds(found.latency)
    ))
}

/// Asks a server of the config; the entry says why when it does not answer.
async fn ask_configured(client: &Client, name: &str, url: &str) -> Value {
    let info = match client.server(Some(name)).await {
        Ok(server) => server.info().await,
        Err(error) => Err(error),
    };
    match info {
        Ok(info) => json!({
            "name": name,
            "url": info.url,
            "kind": info.kind,
            "version": info.version,
            "models": info.models.iter().map(|model| &model.id).collect::<Vec<_>>(),
            "latency_ms": info.latency_ms,
        }),
        Err(error) => json!({
            "name": name,
            "url": url,
            "error": Described::from(&error),
        }),
    }
}

fn print_configured(name: &str, entry: &Value) -> Result<(), Failure> {
    let url = entry["url"].as_str().unwrap_or_default();
    let what = match (&entry["error"]["message"], &entry["models"]) {
        (Value::String(message), _) => plain(message),
        (_, Value::Array(models)) => {
            format!("{:<14} {}", entry["kind"].as_str().unwrap_or_default(), count_models(models.len()))
        }
        _ => String::new(),
    };
    output::line(&format!("{STRONG}{name}{STRONG:#} {url} {what}"))
}

fn count_models(count: usize) -> String {
    match count {
        1 => "1 model".to_owned(),
        count => format!("{count} models"),
    }
}

fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}
