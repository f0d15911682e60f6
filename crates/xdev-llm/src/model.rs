//! `ModelInfo`: what a server tells about one of its models, the choice behind "auto", and the comparison of names.
//!
//! Not here: asking a server for its models (`client`) and reading its answer (`wire`).

use serde::Serialize;

use crate::error::{Error, ErrorKind, Result};

/// `ModelKind` says what a model is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ModelKind {
    /// It chats in text.
    Llm,
    /// It chats, and sees pictures.
    Vision,
    /// It turns text into vectors; it cannot chat.
    Embedding,
    /// It orders documents by a query; it cannot chat.
    Rerank,
    /// Something else, such as speech.
    Other,
}

/// Words in the names of models that order documents.
const RERANK_HINTS: [&str; 1] = ["rerank"];
/// Words in the names of models that make vectors.
const EMBEDDING_HINTS: [&str; 8] =
    ["text-embedding-", "embed", "bge-", "nomic", "e5-", "gte-", "minilm", "jina-"];
/// Words in the names of models that see pictures.
const VISION_HINTS: [&str; 9] =
    ["vision", "llava", "gemma-3", "gemma-4", "gemma3", "gemma4", "pixtral", "minicpm-v", "moondream"];

impl ModelKind {
    /// Guesses the kind from the model's name; for servers that tell none.
    ///
    /// Looks at the part after the last `/` only, because publishers are called "nomic-ai" too.
    pub fn guess(id: &str) -> ModelKind {
        let id = id.to_ascii_lowercase();
        let name = id.rsplit(['/', '\\']).next().unwrap_or(&id);
        let has = |hints: &[&str]| hints.iter().any(|hint| starts_a_word(name, hint));
        if has(&RERANK_HINTS) {
            ModelKind::Rerank
        } else if has(&EMBEDDING_HINTS) {
            ModelKind::Embedding
        } else if has(&VISION_HINTS)
            || name.split(|c: char| !c.is_alphabetic()).any(|word| word.ends_with("vl"))
        {
            ModelKind::Vision
        } else {
            ModelKind::Llm
        }
    }

    /// Whether a model of this kind can chat.
    pub fn can_chat(self) -> bool {
        matches!(self, ModelKind::Llm | ModelKind::Vision)
    }

    /// The name in JSON and on the terminal.
    pub fn as_str(self) -> &'static str {
        match self {
            ModelKind::Llm => "llm",
            ModelKind::Vision => "vision",
            ModelKind::Embedding => "embedding",
            ModelKind::Rerank => "rerank",
            ModelKind::Other => "other",
        }
    }
}

/// Whether `hint` stands in `name` where no letter precedes it: "e5-large" and "my-e5-x", not "phase5-x".
fn starts_a_word(name: &str, hint: &str) -> bool {
    name.match_indices(hint).any(|(at, _)| !name[..at].ends_with(char::is_alphabetic))
}

/// `LoadState` says whether a model is in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LoadState {
    /// It can answer at once.
    Loaded,
    /// It is being loaded.
    Loading,
    /// It is on disk only.
    NotLoaded,
    /// The server does not tell.
    #[default]
    Unknown,
}

impl LoadState {
    /// The name in JSON and on the terminal.
    pub fn as_str(self) -> &'static str {
        match self {
            LoadState::Loaded => "loaded",
            LoadState::Loading => "loading",
            LoadState::NotLoaded => "not_loaded",
            LoadState::Unknown => "unknown",
        }
    }
}

/// `ModelInfo` is what a server tells about one model; `None` is not told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ModelInfo {
    /// The name to ask for, in the server's own spelling.
    pub id: String,
    /// What it is for.
    pub kind: ModelKind,
    /// Whether it is in memory.
    pub state: LoadState,
    /// The longest context it can have, in tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context_length: Option<u32>,
    /// The context it is loaded with, in tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loaded_context_length: Option<u32>,
    /// How its weights are stored, such as `Q4_K_M`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantization: Option<String>,
    /// How many weights it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameters: Option<u64>,
    /// Its size on disk, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<u64>,
    /// The GPU memory it takes now, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vram_bytes: Option<u64>,
    /// What it can do beyond chat, in the server's words, such as `tool_use`.
    pub capabilities: Vec<String>,
    /// Who made it or owns it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owned_by: Option<String>,
}

impl ModelInfo {
    /// Makes the entry of a server that tells nothing but the name; the kind is guessed from it.
    pub fn new(id: impl Into<String>) -> Self {
        let id = id.into();
        ModelInfo {
            kind: ModelKind::guess(&id),
            id,
            state: LoadState::Unknown,
            context_length: None,
            loaded_context_length: None,
            quantization: None,
            parameters: None,
            size_bytes: None,
            vram_bytes: None,
            capabilities: Vec::new(),
            owned_by: None,
        }
    }

    /// The place in the order in which "auto" takes models; `None` is never taken.
    fn rank(&self) -> Option<u8> {
        match (self.kind, self.state) {
            (ModelKind::Llm | ModelKind::Vision, LoadState::Loaded) => Some(0),
            (ModelKind::Other, LoadState::Loaded) => Some(1),
            (ModelKind::Llm | ModelKind::Vision, LoadState::Unknown) => Some(2),
            (ModelKind::Llm | ModelKind::Vision, LoadState::Loading) => Some(3),
            (ModelKind::Llm | ModelKind::Vision, LoadState::NotLoaded) => Some(4),
            (ModelKind::Embedding | ModelKind::Rerank | ModelKind::Other, _) => None,
        }
    }
}

/// `LoadedModel` is one copy of a model in a server's memory; `None` is not told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LoadedModel {
    /// The model's name.
    pub id: String,
    /// What the server calls this copy, where it has a name of its own, such as LM Studio's `qwen3-4b:2`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// Whether it is there, or on its way.
    pub state: LoadState,
    /// The context it has, in tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context_length: Option<u32>,
    /// Its size: in memory where the server tells that, else on disk; in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<u64>,
    /// The part of it that is in GPU memory, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vram_bytes: Option<u64>,
    /// When it goes by itself, as the server writes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
}

impl LoadedModel {
    /// Makes the entry of a server that tells nothing but the name.
    pub fn new(id: impl Into<String>, state: LoadState) -> Self {
        LoadedModel {
            id: id.into(),
            instance: None,
            state,
            context_length: None,
            size_bytes: None,
            vram_bytes: None,
            expires_at: None,
        }
    }

    /// What the server knows this copy by.
    pub fn name(&self) -> &str {
        self.instance.as_deref().unwrap_or(&self.id)
    }
}

/// Picks the model that "auto" means: a loaded one that chats, then a loaded one of unknown use, then one that the
/// server may load. Among equals the server's first. Never an embedding or rerank model.
///
/// # Errors
/// [`ErrorKind::NoModel`] where none can chat; the message says what was there.
pub fn pick(models: &[ModelInfo]) -> Result<&ModelInfo> {
    let ranked = models.iter().filter_map(|model| Some((model.rank()?, model)));
    ranked.min_by_key(|(rank, _)| *rank).map(|(_, model)| model).ok_or_else(|| {
        let message = if models.is_empty() {
            "The server has no model.".to_owned()
        } else {
            let shown: Vec<_> = models
                .iter()
                .take(5)
                .map(|model| format!("{} ({})", model.id, model.kind.as_str()))
                .collect();
            let more = if models.len() > 5 { ", …" } else { "" };
            format!("None of the server's models can chat: {}{more}.", shown.join(", "))
        };
        Error::new(ErrorKind::NoModel, message)
    })
}

/// Says whether the model that answered is the one asked for, however each server spells it.
///
/// Ignored: case, a `models/` prefix, `.gguf`, folders or publisher in front that only one of the two has, Ollama's
/// `:latest`, LM Studio's instance number (`name:2`), and a quantization (`name@q4_k_m`) that only one of the two has.
pub fn is_same_model(asked: &str, answered: &str) -> bool {
    let (asked, answered) = (Spelling::new(asked), Spelling::new(answered));
    if let (Some(one), Some(other)) = (&asked.quantization, &answered.quantization)
        && one != other
    {
        return false;
    }
    let (long, short) = if asked.path.len() >= answered.path.len() {
        (&asked.path, &answered.path)
    } else {
        (&answered.path, &asked.path)
    };
    match long.strip_suffix(short.as_str()) {
        Some(front) => front.is_empty() || (front.ends_with('/') && !short.is_empty()),
        None => false,
    }
}

/// `Spelling` is a model's name without what servers add to it.
struct Spelling {
    path: String,
    quantization: Option<String>,
}

impl Spelling {
    fn new(id: &str) -> Self {
        let id = id.trim().to_lowercase().replace('\\', "/");
        let id = id.strip_prefix("models/").unwrap_or(&id);
        let id = match id.rsplit_once(':') {
            Some((name, tag)) if tag == "latest" || is_instance(tag) => name,
            _ => id,
        };
        let (path, quantization) = match id.rsplit_once('@') {
            Some((path, quantization)) => (path, Some(quantization.to_owned())),
            None => (id, None),
        };
        Spelling { path: path.strip_suffix(".gguf").unwrap_or(path).to_owned(), quantization }
    }
}

fn is_instance(tag: &str) -> bool {
    !tag.is_empty() && tag.bytes().all(|byte| byte.is_ascii_digit())
}

/// Finds the candidate that was probably meant by a misspelt name: at most one edit for every three characters.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name: Vec<char> = name.trim().to_lowercase().chars().take(LONGEST_NAME).collect();
    let limit = (name.len() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (edits(&name, candidate), candidate))
        .filter(|(edits, _)| *edits <= limit)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

/// Names beyond this many characters are compared up to it, so that a foreign name cannot cost much time.
const LONGEST_NAME: usize = 256;

/// How many letters must be put in, taken out, replaced or swapped with their neighbour to make one of the other.
pub(crate) fn edits(name: &[char], candidate: &str) -> usize {
    let other: Vec<char> = candidate.to_lowercase().chars().take(LONGEST_NAME).collect();
    let mut cells = vec![vec![0; other.len() + 1]; name.len() + 1];
    for i in 0..=name.len() {
        for j in 0..=other.len() {
            cells[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let replaced = cells[i - 1][j - 1] + usize::from(name[i - 1] != other[j - 1]);
                let changed = replaced.min(cells[i - 1][j] + 1).min(cells[i][j - 1] + 1);
                let is_swap = i > 1 && j > 1 && name[i - 1] == other[j - 2] && name[i - 2] == other[j - 1];
                if is_swap { changed.min(cells[i - 2][j - 2] + 1) } else { changed }
            };
        }
    }
    cells[name.len()][other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_guessed_from_names_as_servers_spell_them() {
        let table = [
            ("text-embedding-nomic-embed-text-v1.5", ModelKind::Embedding),
            ("nomic-ai/nomic-embed-text-v1.5", ModelKind::Embedding),
            ("nomic-ai/gpt4all-13b-snoozy", ModelKind::Llm),
            ("BAAI/bge-m3", ModelKind::Embedding),
            ("BAAI/bge-reranker-v2-m3", ModelKind::Rerank),
            ("jinaai/jina-reranker-v2", ModelKind::Rerank),
            ("intfloat/e5-large", ModelKind::Embedding),
            ("acme/phase5-7b", ModelKind::Llm),
            ("sentence-transformers/all-MiniLM-L6-v2", ModelKind::Embedding),
            ("qwen/qwen2.5-vl-7b", ModelKind::Vision),
            ("qwen3vl:4b", ModelKind::Vision),
            ("OpenGVLab/InternVL3-8B", ModelKind::Vision),
            ("my-vllm-model", ModelKind::Llm),
            ("google/gemma-3-12b", ModelKind::Vision),
            ("gemma3:4b", ModelKind::Vision),
            ("llama3.2-vision:11b", ModelKind::Vision),
            ("C:\\models\\llava-v1.6.gguf", ModelKind::Vision),
            ("qwen/qwen3-4b", ModelKind::Llm),
            ("", ModelKind::Llm),
        ];
        for (id, kind) in table {
            assert_eq!(ModelKind::guess(id), kind, "{id}");
        }
    }

    fn model(id: &str, state: LoadState) -> ModelInfo {
        ModelInfo { state, ..ModelInfo::new(id) }
    }

    #[test]
    fn auto_takes_loaded_chat_models_first_and_never_an_embedding() {
        let mut models = vec![
            model("text-embedding-nomic", LoadState::Loaded),
            model("a", LoadState::NotLoaded),
            model("b", LoadState::Loading),
            model("c", LoadState::Unknown),
            ModelInfo { kind: ModelKind::Other, ..model("d", LoadState::Loaded) },
            model("e", LoadState::Loaded),
            model("f-vl", LoadState::Loaded),
        ];
        for expected in ["e", "f-vl", "d", "c", "b", "a"] {
            let picked = pick(&models).unwrap().id.clone();
            assert_eq!(picked, expected);
            models.retain(|model| model.id != picked);
        }
        let error = pick(&models).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NoModel);
        assert_eq!(
            error.message(),
            "None of the server's models can chat: text-embedding-nomic (embedding)."
        );
        assert_eq!(pick(&[]).unwrap_err().message(), "The server has no model.");
    }

    #[test]
    fn one_model_has_many_spellings() {
        let same = [
            ("qwen/qwen3-4b", "Qwen/Qwen3-4B"),
            ("llama3", "llama3:latest"),
            ("hf.co/user/repo:Q4_K_M", "user/repo:q4_k_m"),
            ("qwen/qwen3-4b@q4_k_m", "qwen/qwen3-4b"),
            ("qwen3-4b", "qwen/qwen3-4b:2"),
            ("smollm2.gguf", "/data/models/smollm2.gguf"),
            ("smollm2", "C:\\models\\SmolLM2.gguf"),
            ("models/gemma-3", "gemma-3"),
        ];
        let different = [
            ("llama3", "llama3:8b"),
            ("qwen3-4b", "qwen3-4b-thinking"),
            ("a@q4", "a@q8"),
            ("wen3", "qwen3"),
            ("a/x", "b/x"),
            ("", "x"),
        ];
        for (asked, answered) in same {
            assert!(is_same_model(asked, answered) && is_same_model(answered, asked), "{asked} {answered}");
        }
        for (asked, answered) in different {
            assert!(!is_same_model(asked, answered) && !is_same_model(answered, asked), "{asked} {answered}");
        }
    }

    #[test]
    fn nearest_suggests_only_what_is_near() {
        let names = ["creative", "balanced", "focused", "precise", "custom"];
        assert_eq!(nearest("Creatve", names), Some("creative"));
        assert_eq!(nearest("balance", names), Some("balanced"));
        assert_eq!(nearest("wild", names), None);
        assert_eq!(nearest("", names), None);
        assert_eq!(edits(&['k', 'i', 't', 't', 'e', 'n'], "sitting"), 3);
    }

    #[test]
    fn json_names_are_snake_case_and_skip_what_is_not_told() {
        let json = serde_json::to_string(&model("a", LoadState::NotLoaded)).unwrap();
        assert_eq!(json, r#"{"id":"a","kind":"llm","state":"not_loaded","capabilities":[]}"#);
    }
}
