//! Measures how fast tokens of CLIP are counted, without any IO.
//!
//! Prompts are made here: tags, prose, and scripts that the vocabulary has few words of. Not here: other tokenizers, beside
//! which `docs/performance.md` puts the figures.
#![allow(missing_docs, reason = "criterion's macros write functions without documentation")]

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use xdev_llm::prompt::{
    AnalysisOptions, Dialect, EmbeddingSizes, analyze, count_clip_chunks, count_clip_tokens,
    effective_weights,
};

const TAGS: &str = "masterpiece, best quality, (1girl:1.2), long_hair, blue eyes, looking at viewer, outdoors, neon lights, ";
const PROSE: &str =
    "A weathered lighthouse keeper stands on the rocky shore at dusk, lit by the sweeping beam. ";
const FOREIGN: &str = "一个女孩站在雨中的东京街头, Ночной город, 東京タワーの夜景, ";

/// Texts by name: a usual prompt, and a megabyte of each kind.
fn texts() -> Vec<(&'static str, String)> {
    let megabyte = |text: &str| text.repeat((1 << 20) / text.len());
    vec![
        ("prompt", TAGS.repeat(2)),
        ("tags, 1 MB", megabyte(TAGS)),
        ("prose, 1 MB", megabyte(PROSE)),
        ("foreign, 1 MB", megabyte(FOREIGN)),
        ("one word, 1 MB", megabyte("abcde")),
    ]
}

fn count(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("count_clip_tokens");
    for (name, text) in texts() {
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_with_input(BenchmarkId::from_parameter(name), &text, |bencher, text| {
            bencher.iter(|| count_clip_tokens(black_box(text)));
        });
    }
    group.finish();
}

/// A prompt with its weights into chunks, and all that the analyzer says about it.
fn look(criterion: &mut Criterion) {
    let text = TAGS.repeat((1 << 20) / TAGS.len());
    let mut group = criterion.benchmark_group("tags, 1 MB");
    group.throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function("count_clip_chunks", |bencher| {
        bencher.iter(|| {
            let pieces = effective_weights(black_box(&text), Dialect::Comfyui).unwrap_or_default();
            count_clip_chunks(&pieces, Dialect::Comfyui, &EmbeddingSizes::new())
        });
    });
    group.bench_function("analyze", |bencher| {
        bencher.iter(|| analyze(black_box(&text), &AnalysisOptions::default()));
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .sample_size(10);
    targets = count, look
}
criterion_main!(benches);
