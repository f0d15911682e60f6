//! `Forecast`: whether a model fits into memory before it is loaded, in bytes and in words. Pure: no device is read.
//!
//! What a model needs is its weights, its key-value cache (which grows with the context) and the server's buffers.
//! [`Shape`] tells the first two, from the server or by the model's size; the buffers are those of llama.cpp, which
//! Ollama and LM Studio run, too. A forecast is a forecast: servers choose batch sizes and cache types themselves.
//! Not here: how much memory there is (`device`), and loading (`client`).

mod shape;
mod words;

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use crate::device::{Device, DeviceKind};
use words::{grouped, list};

pub use shape::{CacheShape, Shape, parse_parameters};
pub use words::bytes_in_words;

/// Contexts are offered in steps of this many tokens.
const STEP: u32 = 1024;
/// How many tokens of a prompt are computed at once (`--ubatch-size` of llama.cpp, whose default it is).
const BATCH: u64 = 512;
/// The vocabulary that is assumed where none is told; that of Qwen, of the large ones.
const USUAL_VOCABULARY: u64 = 152_000;
/// The vector that is assumed where none is told; that of models with 8 billion parameters.
const USUAL_EMBEDDING: u64 = 4096;
/// What a GPU's driver and kernels take beside the model, as Ollama also sets aside (457 MiB).
const GPU_RUNTIME: u64 = 457 << 20;
/// What the server's process takes beside the model in main memory; llama-server with a small model has some 50 MB.
const PROCESS_RUNTIME: u64 = 64 << 20;

/// `CacheType` is how the values of the key-value cache are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CacheType {
    /// 32 bits.
    F32,
    /// 16 bits: the default of every server.
    #[default]
    F16,
    /// 8 bits and a scale for each 32 values.
    Q8_0,
    /// 4 bits and a scale for each 32 values.
    Q4_0,
}

impl CacheType {
    /// The name that llama.cpp and Ollama take (`--cache-type-k`, `OLLAMA_KV_CACHE_TYPE`).
    pub fn as_str(self) -> &'static str {
        match self {
            CacheType::F32 => "f32",
            CacheType::F16 => "f16",
            CacheType::Q8_0 => "q8_0",
            CacheType::Q4_0 => "q4_0",
        }
    }

    /// The bytes that this many values take.
    pub fn bytes(self, values: u64) -> u64 {
        let for_32 = match self {
            CacheType::F32 => 128,
            CacheType::F16 => 64,
            CacheType::Q8_0 => 34,
            CacheType::Q4_0 => 18,
        };
        u64::try_from(u128::from(values) * for_32 / 32).unwrap_or(u64::MAX)
    }
}

impl FromStr for CacheType {
    type Err = crate::Error;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name.to_ascii_lowercase().as_str() {
            "f32" => Ok(CacheType::F32),
            "f16" | "bf16" => Ok(CacheType::F16),
            "q8_0" => Ok(CacheType::Q8_0),
            "q4_0" => Ok(CacheType::Q4_0),
            _ => Err(crate::Error::invalid_input(format!(
                "The cache type is \"{name}\": it is f32, f16, bf16, q8_0 or q4_0."
            ))),
        }
    }
}

impl Shape {
    /// The bytes of the key-value cache at a context of `context_length` tokens, all slots together.
    ///
    /// Layers with a window keep its tokens and one batch more, in steps of 256, as llama.cpp does.
    pub fn kv_bytes(&self, context_length: u32, cache_type: CacheType) -> u64 {
        let cache = &self.cache;
        let context = u64::from(context_length);
        let kept = context.min(u64::from(cache.window) + BATCH).next_multiple_of(256).min(context);
        let whole = cache.values_per_token.saturating_mul(context);
        let windowed = cache.windowed_values_per_token.saturating_mul(kept);
        cache_type.bytes(whole.saturating_add(windowed))
    }

    /// The bytes of the server's buffers: the logits and vectors of one batch, the mask of its attention (flash
    /// attention; without it more is needed), and what the driver or the process takes.
    ///
    /// Rather too much than too little: llama-server since 2026 keeps logits only of the tokens that are asked for.
    pub fn overhead_bytes(&self, context_length: u32, kind: DeviceKind) -> u64 {
        let vocabulary = self.vocabulary_size.map_or(USUAL_VOCABULARY, u64::from);
        let embedding = self.embedding_length.map_or(USUAL_EMBEDDING, u64::from);
        let context = u64::from(context_length);
        let buffers = BATCH.min(context) * (4 * vocabulary + 4 * embedding + 2 * context);
        let runtime = if kind == DeviceKind::System { PROCESS_RUNTIME } else { GPU_RUNTIME };
        buffers + runtime
    }
}

/// `LoadPlan` is a load that is thought of: which model, with which context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadPlan<'a> {
    /// The model's name, as the user knows it.
    pub model: &'a str,
    /// What of it decides its memory.
    pub shape: &'a Shape,
    /// The context in tokens, all slots together.
    pub context_length: u32,
    /// How the cache is stored.
    pub cache_type: CacheType,
}

/// `Need` is what a model takes of a memory, in bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Need {
    /// The weights.
    pub weights_bytes: u64,
    /// The key-value cache.
    pub kv_bytes: u64,
    /// The server's buffers.
    pub overhead_bytes: u64,
    /// All of it.
    pub total_bytes: u64,
    /// Whether the cache is guessed by the model's size, because its own shape was not told.
    pub is_estimate: bool,
    /// What it was reckoned from, in words.
    pub basis: String,
}

impl Need {
    /// Reckons what `plan` takes of a memory of this kind.
    pub fn of(plan: &LoadPlan<'_>, kind: DeviceKind) -> Need {
        let shape = plan.shape;
        let kv_bytes = shape.kv_bytes(plan.context_length, plan.cache_type);
        let overhead_bytes = shape.overhead_bytes(plan.context_length, kind);
        Need {
            weights_bytes: shape.weights_bytes,
            kv_bytes,
            overhead_bytes,
            total_bytes: total_bytes(plan, plan.context_length, kind),
            is_estimate: shape.cache.is_estimate,
            basis: basis(plan),
        }
    }
}

/// What `plan` would take at another context.
fn total_bytes(plan: &LoadPlan<'_>, context_length: u32, kind: DeviceKind) -> u64 {
    let kv_bytes = plan.shape.kv_bytes(context_length, plan.cache_type);
    let overhead_bytes = plan.shape.overhead_bytes(context_length, kind);
    plan.shape.weights_bytes.saturating_add(kv_bytes).saturating_add(overhead_bytes)
}

fn basis(plan: &LoadPlan<'_>) -> String {
    let cache = &plan.shape.cache;
    let stored = plan.cache_type.as_str();
    if cache.is_estimate {
        return format!("the usual {stored} cache of a model of this size");
    }
    let layers = match cache.layers {
        1 => "1 layer".to_owned(),
        layers => format!("{layers} layers"),
    };
    let each = cache.values_per_token.saturating_add(cache.windowed_values_per_token);
    let family = plan.shape.architecture.as_deref().unwrap_or("the model");
    let each = bytes_in_words(plan.cache_type.bytes(each));
    let window = match (cache.windowed_values_per_token, cache.window) {
        (1.., 1..) => format!(", some with a window of {} tokens", grouped(cache.window)),
        _ => String::new(),
    };
    format!("the metadata of {family}: {layers} with a cache of {each} ({stored}) for each token{window}")
}

/// `Verdict` says whether a model fits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// It fits into what is free.
    Fits,
    /// It fits once these loaded models have left, the first to go first.
    Evicts {
        /// Their names.
        models: Vec<String>,
    },
    /// It does not fit: of a GPU, the rest is computed slowly from main memory.
    Spills {
        /// What is missing, in bytes, once the models have left.
        by_bytes: u64,
        /// The loaded models that may leave: all of them, and it is not enough.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        models: Vec<String>,
    },
    /// It cannot be told.
    Unknown {
        /// Why not, in words.
        why: String,
    },
}

/// `Forecast` says whether a model fits into a memory, and what would. Printed, it is a sentence or two.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Forecast {
    /// The model.
    pub model: String,
    /// Whether it fits.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// What it needs; none where its size is not told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub need: Option<Need>,
    /// The memory it was held against; none where none is known, as on another machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<Device>,
    /// The context that was asked about, in tokens.
    pub context_length: u32,
    /// The largest context that fits once every loaded model has left, in tokens: a multiple of 1,024 or the model's
    /// own limit, and no more than that limit. Where no limit is told, no more than what was asked about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub largest_context_that_fits: Option<u32>,
}

/// Forecasts whether `plan` fits into `device`.
///
/// `loaded` names what may leave for it, the first to go first, with the bytes that come free: the models that this
/// server unloads by itself, or those that the caller means to unload.
///
/// ```
/// use xdev_llm::{CacheType, Device, DeviceKind, LoadPlan, Shape, Verdict, forecast};
///
/// let gpu = Device {
///     name: "NVIDIA GeForce RTX 3060".into(),
///     vendor: None,
///     total_bytes: 12 << 30,
///     free_bytes: 6 << 30,
///     kind: DeviceKind::Gpu,
///     index: 0,
/// };
/// let shape = Shape::from_size(5 << 30, Some(8_000_000_000), None);
/// let plan = LoadPlan { model: "llama3", shape: &shape, context_length: 32_768, cache_type: CacheType::F16 };
/// let forecast = forecast(&plan, Some(&gpu), &[]);
/// assert!(matches!(forecast.verdict, Verdict::Spills { .. }));
/// assert!(forecast.to_string().ends_with("It fits with a context of 1,024 tokens."), "{forecast}");
/// ```
pub fn forecast(plan: &LoadPlan<'_>, device: Option<&Device>, loaded: &[(String, u64)]) -> Forecast {
    let mut forecast = Forecast {
        model: plan.model.to_owned(),
        verdict: Verdict::Fits,
        need: None,
        device: device.cloned(),
        context_length: plan.context_length,
        largest_context_that_fits: None,
    };
    if plan.shape.weights_bytes == 0 {
        forecast.verdict = unknown("the server does not tell the size of the model");
        return forecast;
    }
    let kind = device.map_or(DeviceKind::Gpu, |device| device.kind);
    let need = Need::of(plan, kind);
    let total = need.total_bytes;
    forecast.need = Some(need);
    let Some(device) = device.filter(|device| device.total_bytes > 0) else {
        forecast.verdict = unknown("the memory of the server's machine is not known");
        return forecast;
    };
    let limit = device.total_bytes.max(device.free_bytes);
    let mut available = device.free_bytes;
    let mut models = Vec::new();
    for (name, bytes) in loaded.iter().filter(|(_, bytes)| *bytes > 0) {
        if total > available {
            models.push(name.clone());
        }
        // What need not leave counts, too, for the largest context.
        available = available.saturating_add(*bytes).min(limit);
    }
    forecast.verdict = match total.checked_sub(available) {
        None | Some(0) if models.is_empty() => Verdict::Fits,
        None | Some(0) => Verdict::Evicts { models },
        Some(by_bytes) => Verdict::Spills { by_bytes, models },
    };
    forecast.largest_context_that_fits = largest_context(plan, device.kind, available);
    forecast
}

fn unknown(why: &str) -> Verdict {
    Verdict::Unknown { why: why.to_owned() }
}

/// The largest context with which `plan` takes no more than `available`; see [`Forecast::largest_context_that_fits`].
fn largest_context(plan: &LoadPlan<'_>, kind: DeviceKind, available: u64) -> Option<u32> {
    let limit = plan.shape.context_length_max.unwrap_or(plan.context_length);
    let fits = |context| total_bytes(plan, context, kind) <= available;
    if limit > 0 && fits(limit) {
        return Some(limit);
    }
    // What is needed grows with the context, so that halving finds the last step that fits.
    let (mut fitting, mut beyond) = (0, limit / STEP + 1);
    while beyond - fitting > 1 {
        let middle = fitting + (beyond - fitting) / 2;
        if fits(middle * STEP) {
            fitting = middle;
        } else {
            beyond = middle;
        }
    }
    (fitting > 0).then_some(fitting * STEP)
}

impl Forecast {
    /// What it needs and what is free, up to the colon.
    fn premise(&self, need: &Need) -> String {
        let guess = if need.is_estimate { " (guessed by its size)" } else { "" };
        let context = grouped(self.context_length);
        let total = bytes_in_words(need.total_bytes);
        format!("{} with a context of {context} tokens needs about {total}{guess}", self.model)
    }

    fn conclusion(&self, need: &Need, device: &Device) -> String {
        match &self.verdict {
            Verdict::Fits => "it fits.".to_owned(),
            Verdict::Evicts { models } => {
                let are = if models.len() == 1 { "is" } else { "are" };
                format!("it fits once {} {are} unloaded.", list(models))
            }
            Verdict::Unknown { why } => format!("whether it fits is not known: {why}."),
            Verdict::Spills { by_bytes, models } => {
                let even =
                    if models.is_empty() { String::new() } else { format!("even without {} ", list(models)) };
                let missing = bytes_in_words(*by_bytes);
                let lost = match device.kind {
                    DeviceKind::Gpu => "would spill into main memory",
                    DeviceKind::Unified | DeviceKind::System => "would be missing",
                };
                let weights = bytes_in_words(need.weights_bytes);
                let remedy = self.largest_context_that_fits.map_or_else(
                    || format!("No context is small enough: the weights take {weights}."),
                    |context| format!("It fits with a context of {} tokens.", grouped(context)),
                );
                format!("{even}about {missing} {lost}. {remedy}")
            }
        }
    }
}

impl fmt::Display for Forecast {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.need, &self.device, &self.verdict) {
            (Some(need), Some(device), _) => {
                let place = match device.kind {
                    DeviceKind::System => format!("in {}", device.name),
                    DeviceKind::Gpu | DeviceKind::Unified => format!("on {}", device.name),
                };
                let (free, total) = (bytes_in_words(device.free_bytes), bytes_in_words(device.total_bytes));
                let conclusion = self.conclusion(need, device);
                write!(formatter, "{}; {free} of {total} are free {place}: {conclusion}", self.premise(need))
            }
            (Some(need), None, Verdict::Unknown { why }) => {
                write!(formatter, "{}; whether it fits is not known: {why}.", self.premise(need))
            }
            (_, _, Verdict::Unknown { why }) => {
                write!(formatter, "Whether {} fits is not known: {why}.", self.model)
            }
            // `forecast` makes no other; whoever else does gets the model's name.
            _ => formatter.write_str(&self.model),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn qwen() -> Shape {
        let metadata = serde_json::json!({
            "general.architecture": "qwen3",
            "qwen3.block_count": 36,
            "qwen3.context_length": 40960,
            "qwen3.embedding_length": 2560,
            "qwen3.vocab_size": 151_936,
            "qwen3.attention.head_count": 32,
            "qwen3.attention.head_count_kv": 8,
            "qwen3.attention.key_length": 128,
            "qwen3.attention.value_length": 128,
        });
        Shape::from_metadata(metadata.as_object().unwrap(), 2_497_280_000)
    }

    fn cache(values_per_token: u64, windowed_values_per_token: u64, window: u32) -> Shape {
        let cache =
            CacheShape { layers: 1, values_per_token, windowed_values_per_token, window, is_estimate: false };
        Shape { cache, ..Shape::from_size(1, None, None) }
    }

    /// A device with so many tenths of a gigabyte free of 12 GB.
    fn device(kind: DeviceKind, tenths: u64) -> Device {
        let name = if kind == DeviceKind::System { "main memory" } else { "NVIDIA RTX 3060" };
        Device {
            name: name.to_owned(),
            vendor: None,
            total_bytes: 12 << 30,
            free_bytes: tenths * (1 << 30) / 10,
            kind,
            index: 0,
        }
    }

    fn plan(shape: &Shape, context_length: u32) -> LoadPlan<'_> {
        LoadPlan { model: "qwen3-4b", shape, context_length, cache_type: CacheType::F16 }
    }

    #[test]
    fn caches_take_the_bytes_that_llama_cpp_logs() {
        let mib =
            |shape: &Shape, context, stored| shape.kv_bytes(context, stored) as f64 / f64::from(1 << 20);
        // SmolLM2-135M, Llama 3 8B (128 KiB a token), Qwen3 4B (144 KiB), Qwen2.5 7B (56 KiB).
        let table = [
            (11_520, 8192, 180.0),
            (65_536, 8192, 1024.0),
            (73_728, 32_768, 4608.0),
            (28_672, 32_768, 1792.0),
        ];
        for (values, context, expected) in table {
            assert!((mib(&cache(values, 0, 0), context, CacheType::F16) - expected).abs() < 1e-9);
        }
        // Windows: gpt-oss-20b keeps 768 cells (24 + 18 MiB at 1,024 tokens), Gemma 3 4B 1,536 (160 + 174 at 8,192).
        assert!((mib(&cache(12_288, 12_288, 128), 1024, CacheType::F16) - 42.0).abs() < 1e-9);
        assert!((mib(&cache(10_240, 59_392, 1024), 8192, CacheType::F16) - 334.0).abs() < 1e-9);
        let small = cache(11_520, 0, 0);
        let stored = [CacheType::F32, CacheType::F16, CacheType::Q8_0, CacheType::Q4_0];
        // llama-server logs 180 MiB for f16 at 8,192 tokens, and 47.81 MiB for q8_0 at half of them.
        let kib = stored.map(|stored| small.kv_bytes(8192, stored) >> 10);
        assert_eq!(kib, [368_640, 184_320, 97_920, 51_840]);
        for stored in stored {
            assert_eq!(stored.as_str().parse::<CacheType>().unwrap(), stored);
        }
        assert_eq!("BF16".parse::<CacheType>().unwrap(), CacheType::F16);
        assert!("q9".parse::<CacheType>().unwrap_err().message().contains("\"q9\""));
    }

    #[test]
    fn sentences_say_what_is_needed_free_and_to_do() {
        let (shape, unsized_shape) = (qwen(), Shape { weights_bytes: 0, ..qwen() });
        let guessed = Shape::from_size(20 << 30, None, Some("Q4_K_M"));
        let loaded = [("a".to_owned(), 1 << 30), ("quiet".to_owned(), 0), ("b".to_owned(), 1 << 30)];
        let gpu = |tenths| Some(device(DeviceKind::Gpu, tenths));
        let needs = "qwen3-4b with a context of 32,768 tokens needs about 7.6 GB";
        let table = [
            (
                &shape,
                gpu(90),
                &loaded[..],
                format!("{needs}; 9 GB of 12 GB are free on NVIDIA RTX 3060: it fits."),
            ),
            (
                &shape,
                gpu(70),
                &loaded[..],
                format!("{needs}; 7 GB of 12 GB are free on NVIDIA RTX 3060: it fits once a is unloaded."),
            ),
            (
                &shape,
                gpu(60),
                &loaded[..],
                format!(
                    "{needs}; 6 GB of 12 GB are free on NVIDIA RTX 3060: it fits once a and b are unloaded."
                ),
            ),
            (
                &shape,
                gpu(52),
                &[],
                format!(
                    "{needs}; 5.2 GB of 12 GB are free on NVIDIA RTX 3060: about 2.4 GB would spill into \
                     main memory. It fits with a context of 15,360 tokens."
                ),
            ),
            (
                &shape,
                Some(device(DeviceKind::System, 10)),
                &loaded[2..],
                "qwen3-4b with a context of 32,768 tokens needs about 7.2 GB; 1 GB of 12 GB are free in \
                 main memory: even without b about 5.2 GB would be missing. No context is small enough: the \
                 weights take 2.3 GB."
                    .to_owned(),
            ),
            (
                &shape,
                None,
                &[],
                format!(
                    "{needs}; whether it fits is not known: the memory of the server's machine is not \
                     known."
                ),
            ),
            (
                &guessed,
                Some(device(DeviceKind::Unified, 120)),
                &[],
                "qwen3-4b with a context of 32,768 tokens needs about 28.8 GB (guessed by its size); 12 GB \
                 of 12 GB are free on NVIDIA RTX 3060: about 16.8 GB would be missing. No context is small \
                 enough: the weights take 20 GB."
                    .to_owned(),
            ),
            (
                &unsized_shape,
                gpu(90),
                &[],
                "Whether qwen3-4b fits is not known: the server does not tell the size of the model."
                    .to_owned(),
            ),
        ];
        for (shape, device, loaded, expected) in table {
            assert_eq!(forecast(&plan(shape, 32_768), device.as_ref(), loaded).to_string(), expected);
        }
    }

    #[test]
    fn what_was_reckoned_from_is_said() {
        let basis = |shape: &Shape| Need::of(&plan(shape, 4096), DeviceKind::Gpu).basis;
        assert_eq!(
            basis(&qwen()),
            "the metadata of qwen3: 36 layers with a cache of 144 KB (f16) for each token"
        );
        assert_eq!(
            basis(&cache(512, 512, 1024)),
            "the metadata of the model: 1 layer with a cache of 2 KB (f16) for each token, some with a \
             window of 1,024 tokens"
        );
        assert_eq!(basis(&Shape::from_size(1, None, None)), "the usual f16 cache of a model of this size");
    }

    #[test]
    fn json_names_the_verdict_beside_its_numbers() {
        let gpu = device(DeviceKind::Gpu, 52);
        let spills = serde_json::to_value(forecast(&plan(&qwen(), 32_768), Some(&gpu), &[])).unwrap();
        assert_eq!(spills["verdict"], "spills");
        assert!(spills["by_bytes"].as_u64().unwrap() > 0 && spills.get("models").is_none());
        assert_eq!(spills["largest_context_that_fits"], 15_360);
        assert_eq!(spills["need"]["kv_bytes"], 4_831_838_208_u64);
        assert_eq!(spills["device"]["kind"], "gpu");
        let unknown = serde_json::to_value(forecast(&plan(&qwen(), 4096), None, &[])).unwrap();
        assert_eq!(unknown["verdict"], "unknown");
        assert_eq!(unknown["why"], "the memory of the server's machine is not known");
        assert!(unknown.get("device").is_none());
    }
}
