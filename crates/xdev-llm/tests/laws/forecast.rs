//! Laws of memory forecasts, on models and machines nobody thought of. Not here: what single models need, which is
//! tested beside the code (`forecast`).

use std::io::Cursor;

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use xdev_llm::{
    CacheShape, CacheType, Device, DeviceKind, Forecast, LoadPlan, Need, Shape, Verdict, forecast,
};

/// Keys that a shape is read from, without the family in front.
const KEYS: [&str; 17] = [
    "block_count",
    "context_length",
    "embedding_length",
    "vocab_size",
    "full_attention_interval",
    "attention.head_count",
    "attention.head_count_kv",
    "attention.key_length",
    "attention.value_length",
    "attention.key_length_mla",
    "attention.key_length_swa",
    "attention.value_length_swa",
    "attention.sliding_window",
    "attention.sliding_window_pattern",
    "attention.shared_kv_layers",
    "attention.recurrent_layers",
    "nothing",
];

/// One number of each size that bytes, tokens and heads can have.
fn number() -> impl Strategy<Value = u64> {
    (0_u32..65, any::<u64>()).prop_map(|(bits, number)| number.checked_shr(64 - bits).unwrap_or(0))
}

fn value() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        6 => number().prop_map(Value::from),
        1 => any::<f64>().prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        1 => any::<bool>().prop_map(Value::from),
        1 => Just(Value::Null),
        1 => "\\PC{0,4}".prop_map(Value::from),
    ];
    prop_oneof![4 => scalar.clone(), 1 => prop::collection::vec(scalar, 0..40).prop_map(Value::from)]
}

/// Metadata as a hostile server might send it.
pub(crate) fn metadata() -> impl Strategy<Value = Map<String, Value>> {
    let family = prop::sample::select(vec!["llama", "gemma2", "gemma3", "qwen35", "llama4", ""]);
    let keys = prop::collection::vec((prop::sample::select(KEYS.to_vec()), value()), 0..20);
    (family, keys, value(), value()).prop_map(|(family, keys, parameters, tokens)| {
        let mut metadata = Map::new();
        metadata.insert("general.architecture".to_owned(), json!(family));
        metadata.insert("general.parameter_count".to_owned(), parameters);
        metadata.insert("tokenizer.ggml.tokens".to_owned(), tokens);
        metadata.extend(keys.into_iter().map(|(key, value)| (format!("{family}.{key}"), value)));
        metadata
    })
}

/// `Case` is one question: a model, a context, a memory, and what may leave it.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    shape: Shape,
    context_length: u32,
    cache_type: CacheType,
    device: Device,
    loaded: Vec<(String, u64)>,
}

impl Case {
    fn plan(&self, context_length: u32) -> LoadPlan<'_> {
        LoadPlan { model: "m", shape: &self.shape, context_length, cache_type: self.cache_type }
    }

    fn forecast(&self) -> Forecast {
        forecast(&self.plan(self.context_length), Some(&self.device), &self.loaded)
    }

    /// Whether it fits into `available` bytes where nothing may leave.
    fn fits(&self, context_length: u32, available: u64) -> bool {
        let device = Device { total_bytes: available, free_bytes: available, ..self.device.clone() };
        forecast(&self.plan(context_length), Some(&device), &[]).verdict == Verdict::Fits
    }
}

fn shape() -> impl Strategy<Value = Shape> {
    let weights = prop_oneof![3 => 1_u64..200 << 30, 1 => number().prop_map(|bytes| bytes.max(1))];
    let values = prop_oneof![3 => 0_u64..400_000, 1 => number()];
    let window = prop_oneof![Just(0_u32), 1_u32..10_000, any::<u32>()];
    let tokens = || prop::option::of(prop_oneof![3 => 0_u32..300_000, 1 => any::<u32>()]);
    let read = (weights, values.clone(), values, window, tokens(), tokens(), tokens());
    read.prop_map(|(weights_bytes, whole, windowed, window, limit, vocabulary_size, embedding_length)| {
        Shape {
            context_length_max: limit,
            vocabulary_size,
            embedding_length,
            cache: CacheShape {
                layers: 1,
                values_per_token: whole,
                windowed_values_per_token: windowed,
                window,
                is_estimate: false,
            },
            ..Shape::from_size(weights_bytes, None, None)
        }
    })
}

/// Any question whose model has a size and whose memory is known.
pub(crate) fn case() -> impl Strategy<Value = Case> {
    let kind = prop::sample::select(vec![DeviceKind::Gpu, DeviceKind::Unified, DeviceKind::System]);
    let stored = vec![CacheType::F32, CacheType::F16, CacheType::Q8_0, CacheType::Q4_0];
    let bytes = || prop_oneof![3 => 0_u64..300 << 30, 1 => number()];
    let loaded = prop::collection::vec(("[a-c]", bytes()), 0..4);
    let context = prop_oneof![3 => 0_u32..300_000, 1 => any::<u32>()];
    let cache_type = prop::sample::select(stored);
    (shape(), context, cache_type, kind, bytes(), bytes(), loaded).prop_map(
        |(shape, context_length, cache_type, kind, total_bytes, free_bytes, loaded)| {
            let name = "d".to_owned();
            let total_bytes = total_bytes.max(1);
            let device = Device { name, vendor: None, total_bytes, free_bytes, kind, index: 0 };
            Case { shape, context_length, cache_type, device, loaded }
        },
    )
}

/// What is needed is the sum of its parts and grows with the context.
pub(crate) fn check_growth(case: &Case, other: u32) {
    let need = |context| Need::of(&case.plan(context), case.device.kind);
    let (less, more) = (need(case.context_length.min(other)), need(case.context_length.max(other)));
    assert!(
        less.kv_bytes <= more.kv_bytes && less.overhead_bytes <= more.overhead_bytes,
        "{less:?} {more:?}"
    );
    let sum = u128::from(more.weights_bytes) + u128::from(more.kv_bytes) + u128::from(more.overhead_bytes);
    assert_eq!(u128::from(more.total_bytes), sum.min(u128::from(u64::MAX)));
}

/// More free memory never makes a verdict worse.
pub(crate) fn check_monotone(case: &Case, more_bytes: u64) {
    let rank = |verdict: &Verdict| match verdict {
        Verdict::Fits => 0,
        Verdict::Evicts { models } => models.len() as u64,
        Verdict::Spills { by_bytes, .. } => u64::from(u32::MAX).saturating_add(*by_bytes),
        Verdict::Unknown { .. } => unreachable!("all is known here"),
    };
    let before = case.forecast();
    let mut more = case.clone();
    more.device.free_bytes = more.device.free_bytes.saturating_add(more_bytes);
    let after = more.forecast();
    assert!(rank(&after.verdict) <= rank(&before.verdict), "{before:?} {after:?}");
    assert!(after.largest_context_that_fits >= before.largest_context_that_fits, "{before:?} {after:?}");
}

/// What a verdict says is so: what fits fits, what is to leave is needed and enough, what is missing is missing.
pub(crate) fn check_verdict(case: &Case) {
    let limit = case.device.total_bytes.max(case.device.free_bytes);
    let mut available = case.device.free_bytes;
    let mut steps = vec![available];
    let mut names = Vec::new();
    for (name, bytes) in case.loaded.iter().filter(|(_, bytes)| *bytes > 0) {
        available = available.saturating_add(*bytes).min(limit);
        steps.push(available);
        names.push(name.clone());
    }
    let fits = |available| case.fits(case.context_length, available);
    let forecast = case.forecast();
    match &forecast.verdict {
        Verdict::Fits => assert!(case.device.free_bytes == 0 || fits(case.device.free_bytes)),
        Verdict::Evicts { models } => {
            assert_eq!(models[..], names[..models.len()]);
            assert!(fits(steps[models.len()]));
            assert!(steps[models.len() - 1] == 0 || !fits(steps[models.len() - 1]));
        }
        Verdict::Spills { by_bytes, models } => {
            assert_eq!(*models, names);
            let total = forecast.need.as_ref().unwrap().total_bytes;
            assert_eq!(total - by_bytes, available);
            assert!(available == 0 || !fits(available));
        }
        Verdict::Unknown { why } => panic!("{why}"),
    }
    assert!(forecast.to_string().ends_with('.'), "{forecast}");
    assert!(serde_json::to_string(&forecast).unwrap().contains("\"verdict\":"));
}

/// The largest context that fits does, and the next step does not.
pub(crate) fn check_largest(case: &Case) {
    let gone: u64 = case.loaded.iter().fold(0, |sum, (_, bytes)| sum.saturating_add(*bytes));
    let limit = case.device.total_bytes.max(case.device.free_bytes);
    let available = case.device.free_bytes.saturating_add(gone).min(limit).max(1);
    let longest = case.shape.context_length_max.unwrap_or(case.context_length);
    let largest = case.forecast().largest_context_that_fits;
    if let Some(context) = largest {
        assert!(context > 0 && context <= longest && case.fits(context, available), "{context}");
        assert!(context == longest || context % 1024 == 0, "{context}");
    }
    let next = largest.unwrap_or(0).saturating_add(1024);
    let next = next - next % 1024;
    assert!(next > longest || !case.fits(next, available), "{largest:?} and {next}");
}

/// Whatever a server sends as metadata, there is a shape, and a forecast in words.
pub(crate) fn check_any_metadata(metadata: &Map<String, Value>, weights_bytes: u64, context_length: u32) {
    let shape = Shape::from_metadata(metadata, weights_bytes);
    let plan = LoadPlan { model: "m", shape: &shape, context_length, cache_type: CacheType::F16 };
    let need = Need::of(&plan, DeviceKind::Gpu);
    assert!(need.total_bytes >= weights_bytes && !need.basis.is_empty());
    assert!(!forecast(&plan, None, &[]).to_string().is_empty());
}

/// The bytes of a GGUF header that is right in front and anything behind.
pub(crate) fn gguf() -> impl Strategy<Value = Vec<u8>> {
    let pair = (prop::sample::select(KEYS.to_vec()), 0_u32..14, prop::collection::vec(any::<u8>(), 0..40));
    let pairs = prop::collection::vec(pair, 0..12);
    (1_u32..5, number(), 0_u64..14, pairs, any::<prop::sample::Index>()).prop_map(
        |(version, tensors, count, pairs, cut)| {
            let mut out = b"GGUF".to_vec();
            out.extend(version.to_le_bytes());
            out.extend(tensors.to_le_bytes());
            out.extend(count.to_le_bytes());
            for (key, tag, value) in pairs {
                let key = format!("llama.{key}");
                out.extend((key.len() as u64).to_le_bytes());
                out.extend(key.as_bytes());
                out.extend(tag.to_le_bytes());
                out.extend(value);
            }
            out.truncate(cut.index(out.len() * 2));
            out
        },
    )
}

/// Whatever is in a file, reading it as a GGUF ends, with a shape of its size or with an error.
pub(crate) fn check_any_gguf(bytes: &[u8]) {
    match Shape::read_gguf(Cursor::new(bytes)) {
        Ok(shape) => assert_eq!(shape.weights_bytes, bytes.len() as u64),
        Err(error) => assert!(!error.hint().is_empty(), "{error}"),
    }
}
