//! Models a server claims to have, and what its lists tell about them.
//!
//! A model here is a file on a disk that is not there. What of it is in memory is in `memory`.

use crate::personality::Personality;

/// `ModelKind` says what a model is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ModelKind {
    /// Text in, text out.
    #[default]
    Text,
    /// Text and images in, text out.
    Vision,
    /// Text in, vectors out.
    Embedding,
}

impl ModelKind {
    /// The name in the JSON of the control routes.
    pub fn name(self) -> &'static str {
        match self {
            ModelKind::Text => "text",
            ModelKind::Vision => "vision",
            ModelKind::Embedding => "embedding",
        }
    }
}

/// `Shape` is what a model's file says of its layers, from which the memory of a context follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Layers.
    pub block_count: u64,
    /// Attention heads.
    pub head_count: u64,
    /// Heads that keep keys and values.
    pub head_count_kv: u64,
    /// Numbers in an embedding.
    pub embedding_length: u64,
    /// Numbers in a key, and in a value.
    pub key_length: u64,
}

impl Shape {
    /// The shape of a 4B text model.
    pub const TEXT: Shape =
        Shape { block_count: 36, head_count: 32, head_count_kv: 8, embedding_length: 2560, key_length: 128 };
    /// The shape of a small embedding model.
    pub const EMBEDDING: Shape =
        Shape { block_count: 12, head_count: 12, head_count_kv: 12, embedding_length: 768, key_length: 64 };

    /// Bytes that so many tokens of context take: a key and a value of 16 bits in each layer.
    pub fn context_bytes(&self, tokens: usize) -> u64 {
        4 * self.block_count * self.head_count_kv * self.key_length * tokens as u64
    }
}

/// `Model` is one model a server lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    /// The id as the server spells it.
    pub id: String,
    /// Whether it is in memory: from the start of the server, or, where a running server is asked, now.
    pub loaded: bool,
    /// What it is for.
    pub kind: ModelKind,
    /// Whether it reasons.
    pub thinking: bool,
    /// Whether it calls tools.
    pub tools: bool,
    /// The longest context in tokens.
    pub context_length: usize,
    /// Bytes of its file.
    pub size_bytes: u64,
    /// Bytes it takes in the GPU's memory; `None` for the file and its context.
    pub vram_bytes: Option<u64>,
    /// The quantisation as lists spell it.
    pub quantization: String,
    /// What its file says of its layers.
    pub shape: Shape,
}

impl Model {
    /// Makes a loaded text model of 2.5 GB that calls tools and does not reason, with a context of 8192 tokens.
    pub fn new(id: &str) -> Model {
        Model {
            id: id.to_owned(),
            loaded: true,
            kind: ModelKind::Text,
            thinking: false,
            tools: true,
            context_length: 8192,
            size_bytes: 2_500_000_000,
            vram_bytes: None,
            quantization: "Q4_K_M".to_owned(),
            shape: Shape::TEXT,
        }
    }

    /// Marks the model as not in memory.
    pub fn unloaded(mut self) -> Model {
        self.loaded = false;
        self
    }

    /// Sets what the model is for; an embedding model is small and calls no tools.
    pub fn kind(mut self, kind: ModelKind) -> Model {
        self.kind = kind;
        if kind == ModelKind::Embedding {
            (self.tools, self.size_bytes, self.shape) = (false, 274_000_000, Shape::EMBEDDING);
            "F16".clone_into(&mut self.quantization);
        }
        self
    }

    /// Sets the bytes of its file.
    pub fn size(mut self, bytes: u64) -> Model {
        self.size_bytes = bytes;
        self
    }

    /// Sets the bytes it takes in the GPU's memory, whatever its context.
    pub fn vram(mut self, bytes: u64) -> Model {
        self.vram_bytes = Some(bytes);
        self
    }

    /// Sets the quantisation.
    pub fn quantization(mut self, name: &str) -> Model {
        name.clone_into(&mut self.quantization);
        self
    }

    /// Sets the longest context.
    pub fn context(mut self, tokens: usize) -> Model {
        self.context_length = tokens;
        self
    }

    /// Sets what its file says of its layers.
    pub fn shape(mut self, shape: Shape) -> Model {
        self.shape = shape;
        self
    }

    /// Bytes it takes in the GPU's memory with a context of so many tokens.
    pub fn memory_bytes(&self, context_length: usize) -> u64 {
        self.vram_bytes.unwrap_or_else(|| self.size_bytes + self.shape.context_bytes(context_length))
    }

    /// Marks the model as reasoning.
    pub fn thinking(mut self) -> Model {
        self.thinking = true;
        self
    }

    /// The models a fresh mock of that personality has. LM Studio and Ollama have several, one of them loaded.
    pub fn defaults(personality: Personality) -> Vec<Model> {
        match personality {
            Personality::LmStudio03 | Personality::LmStudio04 => vec![
                Model::new("qwen3-4b").thinking(),
                Model::new("google/gemma-3-12b").unloaded(),
                Model::new("qwen2.5-vl-7b").kind(ModelKind::Vision).unloaded(),
                Model::new("text-embedding-nomic-embed-text-v1.5").kind(ModelKind::Embedding).unloaded(),
            ],
            Personality::Ollama => vec![
                Model::new("qwen3:4b").thinking(),
                Model::new("llama3.2:latest").unloaded(),
                Model::new("llava:7b").kind(ModelKind::Vision).unloaded(),
                Model::new("nomic-embed-text:latest").kind(ModelKind::Embedding).unloaded(),
            ],
            Personality::LlamaCpp => vec![Model::new("models/SmolLM2-135M-Instruct.Q4_1.gguf")],
            Personality::LlamaCppRouter => vec![
                Model::new("SmolLM2-135M-Instruct.Q4_1").unloaded(),
                Model::new("all-minilm-l6-v2-f16").kind(ModelKind::Embedding).unloaded(),
                Model::new("gemma-3-270m-q4_k_m").unloaded(),
            ],
            Personality::KoboldCpp => vec![Model::new("koboldcpp/SmolLM2-135M-Instruct")],
            Personality::MistralRs => {
                vec![Model::new("default").unloaded(), Model::new("HuggingFaceTB/SmolLM2-135M-Instruct")]
            }
            Personality::DockerModelRunner => vec![Model::new("ai/smollm2:latest")],
            Personality::Gpt4All => vec![Model::new("Llama 3.2 1B Instruct")],
            Personality::SgLang | Personality::MlxLm => {
                vec![Model::new("HuggingFaceTB/SmolLM2-135M-Instruct")]
            }
            Personality::Lemonade => vec![Model::new("SmolLM2-135M-GGUF")],
            _ => vec![Model::new("smollm2")],
        }
    }

    /// The models a fresh mock of that personality can download.
    pub fn downloadable(personality: Personality) -> Vec<Model> {
        let id = match personality {
            Personality::LmStudio03 | Personality::LmStudio04 => "qwen/qwen3-8b",
            Personality::LlamaCppRouter => "ggml-org/gemma-3-1b-it-GGUF:Q4_K_M",
            Personality::Ollama => "gemma3:1b",
            Personality::Lemonade => "Qwen3-0.6B-GGUF",
            _ => return Vec::new(),
        };
        vec![Model::new(id).unloaded().size(1_000_000_000)]
    }
}
