//! `xdev-llm ps`: what is in memory on every server that runs here or stands in the config, asked all at once.
//!
//! Not here: how servers are found and how each tells it (the library).

use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;
use tokio::task::JoinSet;
use xdev_llm::engine::running_background;
use xdev_llm::wire::ServerKind;
use xdev_llm::{Client, Error, LoadedModel, Server, ServerSource, bytes_in_words};

use crate::arguments::PsArguments;
use crate::commands::memory::unload::engine_model;
use crate::connect::attach_engine;
use crate::output::{self, Described, Failure, List, Outcome};
use crate::render::plain;
use crate::show::Spinner;
use crate::{settings, words};

/// `Entry` is one server and what it has in memory.
#[derive(Serialize)]
struct Entry {
    server: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<ServerKind>,
    #[serde(flatten)]
    told: Told,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Told {
    Models(Vec<LoadedModel>),
    #[serde(serialize_with = "describe")]
    Error(Error),
}

fn describe<S: serde::Serializer>(error: &Error, serializer: S) -> Result<S::Ok, S::Error> {
    Described::from(error).serialize(serializer)
}

/// Asks everyone and prints what is in memory.
pub(crate) fn run(arguments: &PsArguments) -> Outcome {
    let spinner = Spinner::start("asking the servers");
    let entries = output::block_on(ask_all(arguments.server.as_deref()));
    spinner.clear();
    let entries = entries??;
    if arguments.json {
        output::json(&entries)?;
    } else {
        print(&entries)?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn ask_all(only: Option<&str>) -> Result<Vec<Entry>, Failure> {
    let client = Client::new(settings::load(&settings::server_overrides(only))?)?;
    if let Some(choice) = only {
        let name = client.settings().servers.contains_key(choice).then(|| choice.to_owned());
        let entry = ask(name, choice.to_owned(), client.server(None).await).await;
        return match entry.told {
            Told::Error(error) => Err(error.into()),
            Told::Models(_) => Ok(vec![entry]),
        };
    }
    let mut known: Vec<String> = Vec::new();
    let mut questions = JoinSet::new();
    for (order, (name, url, server)) in servers(&client).await.into_iter().enumerate() {
        let place = place(server.as_ref().map_or(&url, Server::url));
        if !known.contains(&place) {
            known.push(place);
            questions.spawn(async move { (order, ask(name, url, server).await) });
        }
    }
    let mut entries = questions.join_all().await;
    entries.sort_by_key(|(order, _)| *order);
    let mut entries: Vec<Entry> = entries.into_iter().map(|(_, entry)| entry).collect();
    entries.extend(engine(&client).await?);
    Ok(entries)
}

/// The servers of the config, then those that run on this machine.
async fn servers(client: &Client) -> Vec<(Option<String>, String, Result<Server, Error>)> {
    let settings = client.settings();
    let mut servers = Vec::new();
    for (name, url) in settings::configured_servers(settings) {
        let server = client.server(Some(&name)).await;
        servers.push((Some(name), url, server));
    }
    if let Some(choice) = settings.server.value.clone() {
        servers.push((None, choice, client.server(None).await));
    }
    for found in client.discover().await {
        let key = settings.key_for(&found.url);
        let attach = |key| client.attach(&found.url, found.kind.clone(), key, ServerSource::Discovered);
        let server = key.and_then(attach);
        servers.push((None, found.url, server));
    }
    servers
}

/// The background engine, where it runs: it has its model in memory as long as it does.
async fn engine(client: &Client) -> Result<Option<Entry>, Failure> {
    let Some(running) = running_background(settings::state_dir(client.settings())).await else {
        return Ok(None);
    };
    let model = engine_model(running.model.as_deref());
    Ok(Some(Entry {
        server: attach_engine(client, running)?.url().to_owned(),
        name: Some("built-in engine".to_owned()),
        kind: Some(ServerKind::LLAMA_CPP),
        told: Told::Models(vec![model]),
    }))
}

async fn ask(name: Option<String>, url: String, server: Result<Server, Error>) -> Entry {
    let server = match server {
        Ok(server) => server,
        Err(error) => return Entry { server: url, name, kind: None, told: Told::Error(error) },
    };
    let told = match server.loaded().await {
        Ok(models) => Told::Models(models),
        Err(error) => Told::Error(error),
    };
    // Remembered by now, where it could be found out.
    let kind = server.kind().await.ok();
    Entry { server: server.url().to_owned(), name, kind, told }
}

/// An address by which one server on this machine has one name.
fn place(url: &str) -> String {
    let url = url.trim_end_matches('/');
    ["127.0.0.1", "[::1]"]
        .iter()
        .fold(url.to_owned(), |url, host| url.replacen(&format!("//{host}"), "//localhost", 1))
}

fn print(entries: &[Entry]) -> Result<(), Failure> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs().cast_signed());
    let mut list = List::new([
        ("SERVER", 1),
        ("MODEL", 0),
        ("INSTANCE", 4),
        ("STATE", 5),
        ("CONTEXT", 6),
        ("SIZE", 3),
        ("VRAM", 2),
        ("UNTIL", 7),
    ]);
    let is_empty =
        entries.iter().all(|entry| !matches!(&entry.told, Told::Models(models) if !models.is_empty()));
    for entry in entries {
        let server = entry.name.as_deref().unwrap_or_else(|| entry.server.trim_start_matches("http://"));
        match &entry.told {
            Told::Models(models) => {
                for model in models {
                    list.row(false, cells(server, model, now));
                }
                if models.is_empty() && !is_empty {
                    output::note(&plain(&format!("{server}: nothing in memory")));
                }
            }
            Told::Error(error) => output::note(&plain(&format!("{server}: {error}"))),
        }
    }
    match (is_empty, entries.is_empty()) {
        (false, _) => list.print(),
        (true, false) => output::line("Nothing is loaded."),
        (true, true) => output::line("No model server runs on this machine."),
    }
}

fn cells(server: &str, model: &LoadedModel, now: i64) -> [Option<String>; 8] {
    [
        Some(server.to_owned()),
        Some(model.id.clone()),
        model.instance.clone().filter(|instance| *instance != model.id),
        Some(model.state.as_str().to_owned()),
        model.context_length.map(|length| length.to_string()),
        model.size_bytes.map(bytes_in_words),
        gpu_share(model),
        model.expires_at.as_deref().map(|moment| words::until(moment, now)),
    ]
}

/// What of a model is on the GPU, in bytes and as a share.
fn gpu_share(model: &LoadedModel) -> Option<String> {
    let on_gpu = model.vram_bytes?;
    let Some(size) = model.size_bytes.filter(|size| *size > 0) else { return Some(bytes_in_words(on_gpu)) };
    Some(match on_gpu {
        0 => "none, all in main memory".to_owned(),
        _ if on_gpu >= size => format!("{} (100 %)", bytes_in_words(on_gpu)),
        _ => {
            // What is not all of it is not called 100 %.
            let share = (on_gpu as f64 * 100.0 / size as f64).floor();
            format!("{} ({share:.0} %, the rest in main memory)", bytes_in_words(on_gpu))
        }
    })
}

#[cfg(test)]
mod tests {
    use xdev_llm::LoadState;

    use super::*;

    #[test]
    fn one_server_on_this_machine_has_one_place() {
        for url in ["http://127.0.0.1:1234", "http://[::1]:1234/", "http://localhost:1234"] {
            assert_eq!(place(url), "http://localhost:1234");
        }
        assert_ne!(place("http://10.127.0.0:1"), place("http://127.0.0.1:1"));
    }

    #[test]
    fn the_share_on_the_gpu_is_said() {
        let model = |size_bytes, vram_bytes| LoadedModel {
            size_bytes,
            vram_bytes,
            ..LoadedModel::new("a", LoadState::Loaded)
        };
        let gigabyte = 1 << 30;
        let table = [
            (Some(10 * gigabyte), Some(10 * gigabyte), Some("10 GB (100 %)")),
            (Some(10 * gigabyte), Some(10 * gigabyte - 1), Some("10 GB (99 %, the rest in main memory)")),
            (Some(10 * gigabyte), Some(0), Some("none, all in main memory")),
            (None, Some(gigabyte), Some("1 GB")),
            (Some(gigabyte), None, None),
        ];
        for (size, vram, words) in table {
            assert_eq!(gpu_share(&model(size, vram)).as_deref(), words);
        }
    }
}
