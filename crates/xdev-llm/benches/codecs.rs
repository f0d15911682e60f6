//! Measures what turns bytes into events and requests into bytes, without any IO.
//!
//! Inputs are made here and look like what llama.cpp and vLLM send: 190 bytes a token, a quarter of the tokens with an
//! escape. Short by default; criterion's own options make it longer. Not here: clients and servers (`bench/`).
#![allow(missing_docs, reason = "criterion's macros write functions without documentation")]

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use serde_json::json;
use xdev_llm::text::{Piece, ThinkSplitter};
use xdev_llm::wire::{
    Answer, Dialect, Framer, Framing, Investigation, Reader, Rows, ServerKind, Verdict, dialect,
};
use xdev_llm::{ChatRequest, Message, Role, Sampling, history};

/// Private to the crate; the file needs nothing but `std`.
#[path = "../src/client/chunked.rs"]
#[cfg_attr(test, allow(dead_code, reason = "its unit tests run in the crate, not here"))]
mod chunked;

const EVENTS: usize = 50_000;
const HISTORY_BYTES: usize = 10_000_000;

/// A streamed answer, event by event.
fn events() -> Vec<Vec<u8>> {
    let event = |delta: serde_json::Value, finish: Option<&str>| {
        let chunk = json!({
            "id": "chatcmpl-8f14e45fceea167a5a36dedd4bea2543", "object": "chat.completion.chunk",
            "created": 1_760_000_000, "model": "qwen3-8b",
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
        });
        format!("data: {chunk}\n\n").into_bytes()
    };
    let tokens = [" the", " sea", ".\n", " is"];
    let text = (0..EVENTS).map(|index| event(json!({"content": tokens[index % tokens.len()]}), None));
    let ends = [event(json!({}), Some("stop")), b"data: [DONE]\n\n".to_vec()];
    text.chain(ends).collect()
}

fn openai() -> std::sync::Arc<dyn Dialect> {
    dialect(Rows::default().row(&ServerKind::GENERIC).clone())
}

/// The ways the bytes of a stream are cut.
fn cuts(events: &[Vec<u8>]) -> [(&'static str, Vec<Vec<u8>>); 3] {
    let whole = events.concat();
    let cut = |size: usize| whole.chunks(size).map(<[u8]>::to_vec).collect();
    [("64 KiB", cut(64 << 10)), ("1,460 bytes", cut(1460)), ("event", events.to_vec())]
}

fn frames(criterion: &mut Criterion) {
    let events = events();
    let mut group = criterion.benchmark_group("framer");
    group.throughput(Throughput::Elements(EVENTS as u64));
    for (name, pieces) in cuts(&events) {
        group.bench_with_input(BenchmarkId::from_parameter(name), &pieces, |bencher, pieces| {
            bencher.iter(|| {
                let (mut framer, mut count) = (Framer::new(Framing::Events), 0);
                for piece in pieces {
                    framer.push(piece, |frame| Ok(counts(&mut count, frame.data))).expect("frames");
                }
                assert_eq!(count, EVENTS + 2);
            });
        });
    }
}

fn counts(count: &mut usize, data: &str) -> bool {
    black_box(data);
    *count += 1;
    true
}

fn reader(criterion: &mut Criterion) {
    let (dialect, events) = (openai(), events());
    for has_skeleton in [true, false] {
        let mut group = criterion.benchmark_group(if has_skeleton { "reader" } else { "reader, walk only" });
        group.throughput(Throughput::Elements(EVENTS as u64));
        for (name, pieces) in cuts(&events) {
            group.bench_with_input(BenchmarkId::from_parameter(name), &pieces, |bencher, pieces| {
                bencher.iter(|| {
                    let mut reader = Reader::new(dialect.clone(), Framing::Events);
                    if !has_skeleton {
                        reader = reader.without_skeleton();
                    }
                    let mut happened = Vec::new();
                    for piece in pieces {
                        reader.push(piece, &mut happened).expect("events");
                        black_box(&happened);
                        happened.clear();
                    }
                    assert!(reader.is_done() && reader.is_finished());
                });
            });
        }
    }
}

/// The dialect alone, on frames that are cut already.
fn walk(criterion: &mut Criterion) {
    let (dialect, all) = (openai(), events());
    let data: Vec<_> = all.iter().map(|event| String::from_utf8_lossy(&event[6..event.len() - 2])).collect();
    let mut group = criterion.benchmark_group("walk");
    group.throughput(Throughput::Elements(EVENTS as u64));
    group.bench_function("openai", |bencher| {
        let mut happened = Vec::new();
        bencher.iter(|| {
            for data in &data {
                happened.clear();
                let frame = xdev_llm::wire::Frame { event: None, data };
                black_box(dialect.read_chat(frame, &mut happened).expect("a frame"));
            }
        });
    });
}

fn chunks(criterion: &mut Criterion) {
    let framed: Vec<u8> = events()
        .iter()
        .flat_map(|event| [format!("{:x}\r\n", event.len()).into_bytes(), event.clone(), b"\r\n".to_vec()])
        .flatten()
        .chain(*b"0\r\n\r\n")
        .collect();
    let mut group = criterion.benchmark_group("chunks");
    group.throughput(Throughput::Elements(EVENTS as u64));
    group.bench_function("64 KiB", |bencher| {
        let mut buffer = Vec::new();
        bencher.iter(|| {
            let mut decoder = chunked::Chunked::default();
            for piece in framed.chunks(64 << 10) {
                buffer.clear();
                buffer.extend_from_slice(piece);
                black_box(decoder.decode(&mut buffer).expect("chunks"));
            }
            assert!(decoder.is_done());
        });
    });
}

fn think(criterion: &mut Criterion) {
    let thought = "So the user asks about the sea, a < b holds. ".repeat(4000);
    let answer = "The sea is wide & deep; it has <b>no</b> end. ".repeat(16_000);
    let text = format!("<think>\n{thought}</think>\n\n{answer}");
    let pieces: Vec<&str> = (0..text.len()).step_by(4).map(|at| &text[at..text.len().min(at + 4)]).collect();
    let mut group = criterion.benchmark_group("think splitter");
    group.throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function("4-byte pieces", |bencher| {
        bencher.iter(|| {
            let (mut splitter, mut reasoning) = (ThinkSplitter::new(), 0);
            let mut take = |piece: Piece<'_>| {
                if let Piece::Reasoning(piece) = piece {
                    reasoning += piece.len();
                }
            };
            for piece in &pieces {
                splitter.push(piece, &mut take);
            }
            splitter.finish(&mut take);
            assert_eq!(reasoning, thought.len());
        });
    });
}

fn append(criterion: &mut Criterion) {
    let line = "Der große Bär über dem Süden — « où est la mer ? » 海はどこですか。 A \"quoted\" word.\n";
    let message = json!({"role": "user", "content": line.repeat(20)}).to_string();
    let escaped: String = message
        .chars()
        .map(
            |letter| {
                if letter.is_ascii() { letter.to_string() } else { format!("\\u{:04x}", u32::from(letter)) }
            },
        )
        .collect();
    let mut group = criterion.benchmark_group("history append, 10 MB");
    for (name, message) in [("letters", message), ("escapes", escaped)] {
        let text = format!("[{}]", vec![&message[..]; HISTORY_BYTES / message.len()].join(", "));
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| history::append(&text, &[Message::user("And then?")]).expect("a history"));
        });
    }
}

fn request(criterion: &mut Criterion) {
    let dialect = openai();
    let mut group = criterion.benchmark_group("request");
    for (name, count, size) in [("1 message", 1, 200), ("1 MB in 1,000 messages", 1000, 1000)] {
        let role = |index| if index % 2 == 0 { Role::User } else { Role::Assistant };
        let request = ChatRequest {
            model: Some("qwen3-8b".into()),
            messages: (0..count).map(|index| Message::new(role(index), "word ".repeat(size / 5))).collect(),
            sampling: Sampling {
                temperature: Some(0.7),
                top_p: Some(0.9),
                max_tokens: Some(512),
                ..Sampling::default()
            },
            ..ChatRequest::default()
        };
        group.bench_function(name, |bencher| {
            bencher.iter(|| dialect.chat(&request, true).expect("a request"));
        });
    }
}

fn identify(criterion: &mut Criterion) {
    let models = json!({"object": "list", "data": [{"id": "qwen3-8b", "object": "model", "owned_by": "vllm",
        "created": 1_760_000_000, "root": "qwen3-8b", "max_model_len": 32_768}]})
    .to_string();
    let answer = |path| match path {
        "/v1/models" => (200, models.as_str()),
        "/version" => (200, r#"{"version":"0.16.0"}"#),
        _ => (404, r#"{"detail":"Not Found"}"#),
    };
    let headers = [("server", "uvicorn"), ("content-type", "application/json")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    criterion.benchmark_group("identify").bench_function("vLLM", |bencher| {
        bencher.iter(|| {
            let mut investigation = Investigation::new(8000);
            while let Some(path) = investigation.next() {
                let (status, body) = answer(path);
                investigation.observe(&Answer { path, status, headers: &headers, body: body.as_bytes() });
            }
            let verdict = investigation.verdict();
            assert!(
                matches!(&verdict, Verdict::Server(identity) if identity.kind == ServerKind::VLLM),
                "{verdict:?}"
            );
        });
    });
}

fn short() -> Criterion {
    Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(1200))
        .configure_from_args()
}

criterion_group! {
    name = codecs;
    config = short();
    targets = frames, reader, walk, chunks, think, append, request, identify
}
criterion_main!(codecs);
