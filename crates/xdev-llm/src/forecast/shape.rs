//! `Shape`: what of a model decides how much memory it takes, read from what servers tell or guessed from its size.
//!
//! The names are those of GGUF's metadata, which Ollama repeats in `/api/show` as `model_info`.
//! Not here: the bytes that follow from it (`forecast`), and reading a GGUF file (`gguf`).

use serde::Serialize;
use serde_json::{Map, Value};

/// More layers than this are no model's: the largest have some 130.
const MOST_LAYERS: u64 = 10_000;

/// `Shape` is what of a model decides how much memory it takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Shape {
    /// What the weights take, in bytes: the size on disk. 0 is not told.
    pub weights_bytes: u64,
    /// The family in GGUF's words, such as `qwen3`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub architecture: Option<String>,
    /// How many parameters it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameters: Option<u64>,
    /// The longest context it was trained for, in tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context_length_max: Option<u32>,
    /// The length of the vector that goes from layer to layer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub embedding_length: Option<u32>,
    /// How many tokens its vocabulary has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vocabulary_size: Option<u32>,
    /// What its key-value cache grows by.
    pub cache: CacheShape,
}

/// `CacheShape` says by how many values, keys and values together, each token of context makes the cache grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct CacheShape {
    /// The layers that have a cache. 0 is not told.
    pub layers: u32,
    /// The values a token adds in layers that keep the whole context.
    pub values_per_token: u64,
    /// The values a token adds in layers that keep only the last `window` tokens.
    pub windowed_values_per_token: u64,
    /// How many tokens those layers keep.
    pub window: u32,
    /// Whether this is the usual cache of a model of this size, because its own was not told.
    pub is_estimate: bool,
}

/// The families that llama.cpp gives layers with a window also where the metadata does not say which: every n-th layer
/// keeps the whole context. Then the window of those that need not tell it, 0 where there is none.
///
/// Source: `load_swa_pattern` in the files of llama.cpp's `src/models`.
const WINDOWED: [(&str, u32, u32); 11] = [
    ("afmoe", 4, 0),
    ("cohere2", 4, 0),
    ("exaone4", 4, 0),
    ("gemma2", 2, 4096),
    ("gemma3", 6, 0),
    ("gemma3n", 5, 0),
    ("gpt-oss", 2, 0),
    ("gptoss", 2, 0),
    ("llama4", 4, 8192),
    ("olmo2", 4, 0),
    ("smallthinker", 4, 4096),
];

/// The families of which only every n-th layer has a cache, also where the metadata does not say so.
///
/// Source: `full_attention_interval` in the files of llama.cpp's `src/models`.
const HYBRID: [(&str, u32); 3] = [("qwen3next", 4), ("qwen35", 4), ("qwen35moe", 4)];

impl Shape {
    /// Reads the shape out of GGUF's metadata, such as `model_info` of Ollama's `/api/show`.
    ///
    /// `weights_bytes` is the size of the model's file, 0 where it is not known. What the metadata does not tell about
    /// the cache is taken from the usual model of its size, and marked as an estimate.
    ///
    /// ```
    /// use xdev_llm::Shape;
    ///
    /// let info = serde_json::json!({
    ///     "general.architecture": "llama",
    ///     "llama.block_count": 32,
    ///     "llama.embedding_length": 4096,
    ///     "llama.attention.head_count": 32,
    ///     "llama.attention.head_count_kv": 8,
    /// });
    /// let shape = Shape::from_metadata(info.as_object().unwrap(), 4_700_000_000);
    /// assert_eq!(shape.cache.values_per_token, 32 * 8 * 2 * 128);
    /// assert!(!shape.cache.is_estimate);
    /// ```
    pub fn from_metadata(metadata: &Map<String, Value>, weights_bytes: u64) -> Shape {
        let metadata = Metadata::new(metadata);
        let parameters = metadata.whole.get("general.parameter_count").and_then(number);
        let mut shape = Shape::from_size(weights_bytes, parameters, None);
        shape.parameters = parameters;
        shape.architecture = Some(metadata.architecture.to_owned()).filter(|name| !name.is_empty());
        shape.context_length_max = metadata.small("context_length");
        shape.embedding_length = metadata.small("embedding_length");
        let tokens = || metadata.whole.get("tokenizer.ggml.tokens")?.as_array().map(Vec::len);
        let counted = || tokens().filter(|count| *count > 0).and_then(|count| u32::try_from(count).ok());
        shape.vocabulary_size = metadata.small("vocab_size").or_else(counted);
        if let Some(cache) = metadata.cache() {
            shape.cache = cache;
        }
        shape
    }

    /// Guesses the shape of a model of which only the size is told.
    ///
    /// `quantization` is how its weights are stored, such as `Q4_K_M`; it gives the number of parameters where that is
    /// not told. The cache is the usual one of models with grouped-query attention from 0.1 to 70 billion parameters:
    /// 30,000 values a token for a billion parameters, growing with their power of 0.41. Of twenty such models (Llama
    /// 3, Qwen 2.5 and 3, Mistral, Phi 4, SmolLM 2) it misses none by more than a factor of 4, and three in four by less
    /// than 2.
    pub fn from_size(weights_bytes: u64, parameters: Option<u64>, quantization: Option<&str>) -> Shape {
        let bits = quantization.map_or(USUAL_BITS, bits_per_weight);
        let counted = parameters.filter(|count| *count > 0);
        let billions = match counted {
            Some(count) => count as f64 / 1e9,
            None => weights_bytes as f64 * 8.0 / bits / 1e9,
        };
        let values = 30_000.0 * billions.clamp(0.05, 70.0).powf(0.41);
        Shape {
            weights_bytes,
            architecture: None,
            parameters,
            context_length_max: None,
            embedding_length: None,
            vocabulary_size: None,
            cache: CacheShape {
                layers: 0,
                values_per_token: values as u64,
                windowed_values_per_token: 0,
                window: 0,
                is_estimate: true,
            },
        }
    }
}

/// The bits of a weight of `Q4_K_M`, the usual download.
const USUAL_BITS: f64 = 4.85;

/// The bits that one weight takes, by the name of its storage; for names it does not know, those of the usual one.
fn bits_per_weight(quantization: &str) -> f64 {
    let name = quantization.to_ascii_lowercase();
    if name.contains("32") {
        return 32.0;
    }
    if name.contains("f16") {
        return 16.0;
    }
    // `Q4_K_M`, `IQ3_XS`, `4bit` and `MXFP4` name their bits; scales take about half a bit more.
    match name.chars().find_map(|letter| letter.to_digit(10)) {
        Some(bits @ 1..=8) => f64::from(bits) + 0.7,
        _ => USUAL_BITS,
    }
}

/// Reads a number of parameters as servers write it: `4B`, `134.52M`, `8x7B`.
pub fn parse_parameters(text: &str) -> Option<u64> {
    let text = text.trim().to_ascii_uppercase();
    let (number, unit) = match text.chars().last()? {
        'K' => (&text[..text.len() - 1], 1e3),
        'M' => (&text[..text.len() - 1], 1e6),
        'B' => (&text[..text.len() - 1], 1e9),
        'T' => (&text[..text.len() - 1], 1e12),
        _ => (text.as_str(), 1.0),
    };
    let (times, number) = match number.split_once('X') {
        Some((times, number)) => (times.parse::<u16>().ok()?, number),
        None => (1, number),
    };
    let count = f64::from(times) * number.trim().parse::<f64>().ok()? * unit;
    (1.0..1e18).contains(&count).then_some(count as u64)
}

/// `Metadata` looks up keys of one family: `block_count` is `qwen3.block_count`.
struct Metadata<'a> {
    whole: &'a Map<String, Value>,
    architecture: &'a str,
}

impl<'a> Metadata<'a> {
    fn new(whole: &'a Map<String, Value>) -> Self {
        let architecture = whole.get("general.architecture").and_then(Value::as_str).unwrap_or_default();
        Metadata { whole, architecture }
    }

    fn get(&self, key: &str) -> Option<&'a Value> {
        self.whole.get(&format!("{}.{key}", self.architecture))
    }

    /// A number; of a list, the first that is not 0.
    fn number(&self, key: &str) -> Option<u64> {
        match self.get(key)? {
            Value::Array(list) => list.iter().filter_map(number).find(|number| *number > 0),
            value => number(value),
        }
    }

    fn small(&self, key: &str) -> Option<u32> {
        self.number(key).and_then(|number| u32::try_from(number).ok()).filter(|number| *number > 0)
    }

    /// What the metadata tells of the cache; `None` where that is not enough.
    fn cache(&self) -> Option<CacheShape> {
        let layers = self.number("block_count").filter(|layers| (1..=MOST_LAYERS).contains(layers))? as u32;
        let lengths = self.lengths()?;
        let windows = self.windows();
        let mut cache = CacheShape {
            layers: 0,
            values_per_token: 0,
            windowed_values_per_token: 0,
            window: windows.as_ref().map_or(0, |windows| windows.size),
            is_estimate: false,
        };
        // The last layers of some families read the cache of those before.
        let own = layers.saturating_sub(self.small("attention.shared_kv_layers").unwrap_or(0));
        for layer in 0..own {
            let heads = if self.is_recurrent(layer) { 0 } else { self.kv_heads(layer)? };
            if heads == 0 {
                continue;
            }
            cache.layers += 1;
            let (sum, length) = if windows.as_ref().is_some_and(|windows| windows.covers(layer)) {
                (&mut cache.windowed_values_per_token, lengths.windowed)
            } else {
                (&mut cache.values_per_token, lengths.whole)
            };
            *sum = sum.saturating_add(heads.saturating_mul(length));
        }
        Some(cache)
    }

    /// The heads that have keys and values of their own in `layer`. `None` where the metadata hides them: Ollama
    /// empties lists of more than five numbers.
    fn kv_heads(&self, layer: u32) -> Option<u64> {
        match self.get("attention.head_count_kv").or_else(|| self.get("attention.head_count"))? {
            Value::Array(list) => list.get(layer as usize).and_then(number),
            value => number(value),
        }
    }

    /// How many values one head keeps for a token, key and value together.
    fn lengths(&self) -> Option<Lengths> {
        let divided = || {
            // Families without attention have no heads.
            let heads = self.number("attention.head_count")?;
            Some(self.number("embedding_length")?.checked_div(heads).unwrap_or(0))
        };
        let key = self.number("attention.key_length").or_else(divided)?;
        // With multi-head latent attention the values are read out of the keys' cache.
        let value = match self.get("attention.key_length_mla") {
            Some(_) => 0,
            None => self.number("attention.value_length").or_else(divided).unwrap_or(key),
        };
        let windowed = |name: &str, whole| self.number(name).unwrap_or(whole);
        let windowed_key = windowed("attention.key_length_swa", key);
        let windowed_value = windowed("attention.value_length_swa", value);
        Some(Lengths {
            whole: key.saturating_add(value),
            windowed: windowed_key.saturating_add(windowed_value),
        })
    }

    /// Which layers keep only a window; `None` where all keep everything, also where a window is told without a family
    /// that uses it: most that name one, such as `llama` and `phi3`, do not.
    fn windows(&self) -> Option<Windows<'a>> {
        let known = WINDOWED.iter().find(|(name, ..)| *name == self.architecture);
        let size = match self.get("attention.sliding_window") {
            Some(told) => number(told).filter(|size| *size > 0)?,
            None => known.map(|(.., size)| u64::from(*size)).filter(|size| *size > 0)?,
        };
        let size = u32::try_from(size).unwrap_or(u32::MAX);
        let period = match self.get("attention.sliding_window_pattern") {
            Some(Value::Array(list)) if !list.is_empty() => {
                return Some(Windows { size, layers: Layers::Told(list) });
            }
            Some(told) => number(told).or(known.map(|(_, period, _)| u64::from(*period)))?,
            None => u64::from(known?.1),
        };
        Some(Windows { size, layers: Layers::Period(period) })
    }

    /// Whether `layer` keeps a state of fixed size in place of a cache.
    fn is_recurrent(&self, layer: u32) -> bool {
        if let Some(Value::Array(list)) = self.get("attention.recurrent_layers")
            && let Some(told) = list.get(layer as usize)
        {
            return is_set(told);
        }
        let known = HYBRID.iter().find(|(name, _)| *name == self.architecture);
        let interval = self.small("full_attention_interval").or(known.map(|(_, interval)| *interval));
        interval.is_some_and(|interval| !(layer + 1).is_multiple_of(interval))
    }
}

/// `Lengths` are the values a head keeps for a token, in layers that keep all and in layers with a window.
struct Lengths {
    whole: u64,
    windowed: u64,
}

/// `Windows` says which layers keep only the last tokens, and how many.
struct Windows<'a> {
    size: u32,
    layers: Layers<'a>,
}

/// The layers with a window: told one by one, or all but every n-th.
enum Layers<'a> {
    Told(&'a [Value]),
    Period(u64),
}

impl Windows<'_> {
    fn covers(&self, layer: u32) -> bool {
        match self.layers {
            // A list that is shorter than the model begins again.
            Layers::Told(list) => list.get(layer as usize % list.len().max(1)).is_some_and(is_set),
            Layers::Period(0) => true,
            Layers::Period(period) => !(u64::from(layer) + 1).is_multiple_of(period),
        }
    }
}

fn is_set(value: &Value) -> bool {
    value.as_bool().unwrap_or_else(|| number(value).is_some_and(|number| number > 0))
}

/// A whole number that is not negative, also where it is written as `32.0`.
fn number(value: &Value) -> Option<u64> {
    let fraction =
        || value.as_f64().filter(|number| (0.0..1e18).contains(number)).map(|number| number as u64);
    value.as_u64().or_else(fraction)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shape(metadata: &Value) -> Shape {
        Shape::from_metadata(metadata.as_object().unwrap(), 1 << 30)
    }

    /// Metadata of a family, with its name before each key.
    fn family(name: &str, keys: &Value) -> Value {
        let mut metadata = json!({ "general.architecture": name });
        for (key, value) in keys.as_object().unwrap() {
            metadata[format!("{name}.{key}")] = value.clone();
        }
        metadata
    }

    #[test]
    fn metadata_of_ollama_is_read() {
        let read = shape(&json!({
            "general.architecture": "qwen3",
            "general.parameter_count": 4_022_468_096_u64,
            "qwen3.block_count": 36,
            "qwen3.context_length": 40960,
            "qwen3.embedding_length": 2560,
            "qwen3.attention.head_count": 32,
            "qwen3.attention.head_count_kv": 8,
            "qwen3.attention.key_length": 128,
            "qwen3.attention.value_length": 128,
            "tokenizer.ggml.tokens": ["a", "b", "c"],
        }));
        let expected = Shape {
            weights_bytes: 1 << 30,
            architecture: Some("qwen3".to_owned()),
            parameters: Some(4_022_468_096),
            context_length_max: Some(40960),
            embedding_length: Some(2560),
            vocabulary_size: Some(3),
            cache: CacheShape {
                layers: 36,
                values_per_token: 73_728,
                windowed_values_per_token: 0,
                window: 0,
                is_estimate: false,
            },
        };
        assert_eq!(read, expected);
    }

    /// Layers with a cache, values a token in layers that keep all and in those with a window, and the window.
    type Cache = (u32, u64, u64, u32);

    #[test]
    fn caches_are_those_of_llama_cpp() {
        let heads = |layers: u32, heads: u32, length: u32| {
            json!({
                "block_count": layers, "attention.head_count": heads * 2, "attention.head_count_kv": heads,
                "attention.key_length": length, "attention.value_length": length,
            })
        };
        let with = |mut keys: Value, more: Value| {
            keys.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            keys
        };
        let table: Vec<(&str, Value, Cache)> = vec![
            ("llama", heads(32, 8, 128), (32, 65_536, 0, 0)),
            // No key-value heads told: as many as heads.
            (
                "llama",
                json!({ "block_count": 32, "embedding_length": 4096, "attention.head_count": 32 }),
                (32, 262_144, 0, 0),
            ),
            // A window that the family does not use.
            (
                "phi3",
                with(heads(32, 32, 96), json!({ "attention.sliding_window": 2047 })),
                (32, 196_608, 0, 0),
            ),
            (
                "gemma3",
                with(heads(34, 4, 256), json!({ "attention.sliding_window": 1024 })),
                (34, 10_240, 59_392, 1024),
            ),
            (
                "gpt-oss",
                with(heads(24, 8, 64), json!({ "attention.sliding_window": 128 })),
                (24, 12_288, 12_288, 128),
            ),
            ("gemma2", heads(42, 8, 256), (42, 86_016, 86_016, 4096)),
            ("exaone4", heads(30, 8, 64), (30, 30_720, 0, 0)),
            // Lists: layers with a window and heads of their own, and layers that read the cache of others.
            (
                "gemma4",
                with(
                    heads(4, 1, 512),
                    json!({
                        "attention.sliding_window": 512, "attention.sliding_window_pattern": [true, false],
                        "attention.key_length_swa": 256, "attention.value_length_swa": 256,
                        "attention.head_count_kv": [2, 1, 2, 1], "attention.shared_kv_layers": 1,
                    }),
                ),
                (3, 1024, 2048, 512),
            ),
            // Ollama hides a list of patterns: the family's own is taken.
            (
                "gemma3n",
                with(
                    heads(30, 2, 256),
                    json!({
                        "attention.sliding_window": 512, "attention.sliding_window_pattern": [],
                        "attention.shared_kv_layers": 10,
                    }),
                ),
                (20, 4096, 16_384, 512),
            ),
            // Layers with a state of fixed size.
            ("qwen3next", heads(48, 2, 256), (12, 12_288, 0, 0)),
            ("qwen35", with(heads(24, 2, 256), json!({ "full_attention_interval": 6 })), (4, 4096, 0, 0)),
            (
                "granitehybrid",
                with(heads(4, 4, 64), json!({ "attention.recurrent_layers": [1, 1, 0, 1] })),
                (1, 512, 0, 0),
            ),
            (
                "lfm2",
                with(heads(4, 8, 64), json!({ "attention.head_count_kv": [0, 0, 8, 0] })),
                (1, 1024, 0, 0),
            ),
            (
                "mamba",
                json!({ "block_count": 48, "attention.head_count": 0, "embedding_length": 1536 }),
                (0, 0, 0, 0),
            ),
            // Multi-head latent attention keeps no values.
            (
                "deepseek2",
                with(
                    heads(61, 1, 576),
                    json!({ "attention.value_length": 512, "attention.key_length_mla": 192 }),
                ),
                (61, 35_136, 0, 0),
            ),
        ];
        for (name, keys, expected) in table {
            let cache = shape(&family(name, &keys)).cache;
            let read = (cache.layers, cache.values_per_token, cache.windowed_values_per_token, cache.window);
            assert_eq!(read, expected, "{name} {keys}");
            assert!(!cache.is_estimate, "{name}");
        }
    }

    #[test]
    fn what_is_hidden_or_absurd_is_estimated() {
        let told = json!({ "block_count": 32, "attention.head_count": 32, "embedding_length": 4096 });
        let mut table = vec![json!({}), json!({ "general.architecture": 3 }), family("llama", &json!({}))];
        for (key, value) in [
            ("attention.head_count_kv", json!([])),
            ("attention.head_count_kv", json!(null)),
            ("attention.head_count_kv", json!([8, 8])),
            ("block_count", json!(4_000_000_000_u64)),
            ("block_count", json!("32")),
            ("block_count", json!(-1)),
            ("attention.head_count", json!(null)),
        ] {
            let mut keys = told.clone();
            keys[key] = value;
            table.push(family("llama", &keys));
        }
        for metadata in table {
            let cache = shape(&metadata).cache;
            assert!(cache.is_estimate && cache.values_per_token > 0, "{metadata}");
        }
    }

    #[test]
    fn usual_models_are_estimated_within_a_factor_of_four() {
        // Parameters in millions, layers, key-value heads, length of a head: from the models' cards.
        let models: [(u64, u64, u64, u64); 20] = [
            (135, 30, 3, 64),      // SmolLM2
            (360, 32, 5, 64),      // SmolLM2
            (494, 24, 2, 64),      // Qwen 2.5
            (596, 28, 8, 128),     // Qwen 3
            (1_236, 16, 8, 64),    // Llama 3.2
            (1_544, 28, 2, 128),   // Qwen 2.5
            (1_720, 28, 8, 128),   // Qwen 3
            (3_086, 36, 2, 128),   // Qwen 2.5
            (3_213, 28, 8, 128),   // Llama 3.2
            (4_022, 36, 8, 128),   // Qwen 3
            (7_248, 32, 8, 128),   // Mistral
            (7_616, 28, 4, 128),   // Qwen 2.5
            (8_030, 32, 8, 128),   // Llama 3
            (8_191, 36, 8, 128),   // Qwen 3
            (12_248, 40, 8, 128),  // Mistral Nemo
            (14_660, 40, 10, 128), // Phi 4
            (14_770, 48, 8, 128),  // Qwen 2.5
            (23_572, 40, 8, 128),  // Mistral Small
            (32_762, 64, 8, 128),  // Qwen 3
            (70_554, 80, 8, 128),  // Llama 3
        ];
        for (millions, layers, heads, length) in models {
            let truth = (layers * heads * length * 2) as f64;
            let guess = Shape::from_size(0, Some(millions * 1_000_000), None).cache.values_per_token as f64;
            let factor = (guess / truth).max(truth / guess);
            assert!(factor < 4.0, "{millions} million parameters: {guess} for {truth}");
        }
    }

    #[test]
    fn parameters_come_of_the_size_and_its_storage() {
        let values = |bytes, quantization| Shape::from_size(bytes, None, quantization).cache.values_per_token;
        let eight_billion = Shape::from_size(0, Some(8_000_000_000), None).cache.values_per_token as f64;
        let table = [
            (4_850_000_000, None),
            (4_920_000_000, Some("Q4_K_M")),
            (8_540_000_000, Some("Q8_0")),
            (16_070_000_000, Some("BF16")),
            (3_180_000_000, Some("IQ2_M")),
            (4_500_000_000, Some("4bit")),
            (4_500_000_000, Some("MXFP4")),
            (4_850_000_000, Some("")),
            (32_000_000_000, Some("F32")),
        ];
        for (bytes, quantization) in table {
            let guess = values(bytes, quantization) as f64;
            assert!((guess / eight_billion - 1.0).abs() < 0.1, "{bytes} {quantization:?}: {guess}");
        }
        assert_eq!(
            values(u64::MAX, None),
            Shape::from_size(0, Some(70_000_000_000), None).cache.values_per_token
        );
    }

    #[test]
    fn parameters_are_read_as_servers_write_them() {
        let table = [
            ("4B", Some(4_000_000_000)),
            ("134.52M", Some(134_520_000)),
            ("8x7B", Some(56_000_000_000)),
            (" 270m ", Some(270_000_000)),
            ("1T", Some(1_000_000_000_000)),
            ("3200000", Some(3_200_000)),
            ("", None),
            ("B", None),
            ("-4B", None),
            ("infB", None),
            ("nan", None),
            ("x7B", None),
            ("4Б", None),
        ];
        for (text, expected) in table {
            assert_eq!(parse_parameters(text), expected, "{text}");
        }
    }
}
