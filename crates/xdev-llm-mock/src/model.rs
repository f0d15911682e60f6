//! Models a server claims to have.

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

/// `Model` is one model a server lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    /// The id as the server spells it.
    pub id: String,
    /// Whether it is in memory.
    pub loaded: bool,
    /// What it is for.
    pub kind: ModelKind,
    /// Whether it reasons.
    pub thinking: bool,
    /// Whether it calls tools.
    pub tools: bool,
    /// The longest context in tokens.
    pub context_length: usize,
}

impl Model {
    /// Makes a loaded text model that calls tools and does not reason, with a context of 8192 tokens.
    pub fn new(id: &str) -> Model {
        Model {
            id: id.to_owned(),
            loaded: true,
            kind: ModelKind::Text,
            thinking: false,
            tools: true,
            context_length: 8192,
        }
    }

    /// Marks the model as not in memory.
    pub fn unloaded(mut self) -> Model {
        self.loaded = false;
        self
    }

    /// Sets what the model is for.
    pub fn kind(mut self, kind: ModelKind) -> Model {
        self.kind = kind;
        self
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
            Personality::KoboldCpp => vec![Model::new("koboldcpp/SmolLM2-135M-Instruct")],
            Personality::MistralRs => {
                vec![Model::new("default"), Model::new("HuggingFaceTB/SmolLM2-135M-Instruct")]
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
}
