//! Measures the prompt toolkit: prompts of a template in turn, by number and drawn, and the weights of a long prompt.
//!
//! Short by default; criterion's own options make it longer. Not here: other programs (`bench/prompt`).
#![allow(missing_docs, reason = "criterion's macros write functions without documentation")]

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use xdev_llm::prompt::{Dialect, Matrix, MatrixRequest, Prompts, Template, effective_weights};

const PROMPTS: u64 = 100_000;

/// Six choices of ten, as in `bench/prompt`.
fn template() -> Template {
    let choice = |place: u32| {
        let options: Vec<String> = (0..10).map(|option| format!("word {place} of {option}")).collect();
        format!("{{{}}}", options.join("|"))
    };
    let text: Vec<String> = (0..6).map(choice).collect();
    Template::parse(&text.join(", "), None).expect("it is a template")
}

fn expansion(criterion: &mut Criterion) {
    let template = template();
    let mut group = criterion.benchmark_group("expand");
    group.throughput(Throughput::Elements(PROMPTS));
    group.bench_function("in_turn", |bencher| {
        bencher.iter(|| {
            let mut prompts = Prompts::all(&template, 0);
            for _ in 0..PROMPTS {
                black_box(prompts.next_text());
            }
        });
    });
    group.bench_function("by_number", |bencher| {
        let mut text = String::new();
        bencher.iter(|| {
            for number in 0..PROMPTS {
                text.clear();
                black_box(template.write_nth(u128::from(number), &mut text));
            }
        });
    });
    group.bench_function("drawn", |bencher| {
        bencher.iter(|| {
            let mut prompts = Prompts::drawn(&template, PROMPTS as usize, 7);
            while let Some(text) = prompts.next_text() {
                black_box(text);
            }
        });
    });
    group.finish();
    let parts: Vec<String> = (0..40).map(|part| format!("part {part}")).collect();
    let text = parts.join("|");
    criterion.bench_function("matrix/10_of_2^40", |bencher| {
        bencher.iter(|| {
            let request =
                MatrixRequest { text: &text, limit: Some(10), shuffle: true, ..MatrixRequest::default() };
            let matrix = Matrix::new(&request).expect("it is a matrix");
            matrix.prompts().map(|prompt| prompt.len()).sum::<usize>()
        });
    });
}

fn weights(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("effective_weights");
    let phrases = "a (red:1.2) cat, ((tiny) hat), \\(plain\\) [street], ".repeat(20_000);
    group.throughput(Throughput::Bytes(phrases.len() as u64));
    for dialect in Dialect::ALL {
        group.bench_function(BenchmarkId::new("1_mb", dialect.as_str()), |bencher| {
            bencher.iter(|| effective_weights(&phrases, dialect).expect("all weights are finite").len());
        });
    }
    for depth in [1_000, 10_000, 100_000] {
        let nested = format!("{}a{}", "(".repeat(depth), ":1.1)".repeat(depth));
        group.throughput(Throughput::Elements(depth as u64));
        group.bench_function(BenchmarkId::new("depth", depth), |bencher| {
            bencher
                .iter(|| effective_weights(&nested, Dialect::Comfyui).expect("all weights are finite").len());
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    targets = expansion, weights
}
criterion_main!(benches);
