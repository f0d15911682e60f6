//! `Quirks`: one row of data for each server: what it takes, what it is called, how its health is read.
//!
//! A new OpenAI-compatible server is a row here, or one in the user's config file under `[kinds.NAME]`. Facts and
//! sources: the vendors' documentation and source as named beside each row.
//! Not here: code (the dialects), telling servers apart (`identify`).

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{Management, ServerKind};
use crate::error::{Error, ErrorKind, Result};

/// `Api` is the API family a server is spoken to in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Api {
    /// OpenAI's chat completions.
    OpenAi,
    /// Ollama's own `/api/chat`.
    Ollama,
    /// LM Studio's own `/api/v1/chat`.
    LmStudio,
}

/// `Parameter` names what a request may carry beside model and messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Parameter {
    /// `temperature`.
    Temperature,
    /// `top_p`.
    TopP,
    /// `top_k`.
    TopK,
    /// `min_p`.
    MinP,
    /// `max_tokens`.
    MaxTokens,
    /// `seed`.
    Seed,
    /// `stop`.
    Stop,
    /// `presence_penalty`.
    PresencePenalty,
    /// `frequency_penalty`.
    FrequencyPenalty,
    /// `repeat_penalty`.
    RepeatPenalty,
    /// `keep_alive`.
    KeepAlive,
    /// `stream_options`.
    StreamOptions,
    /// `tools`.
    Tools,
    /// `response_format` of type `json_object`.
    JsonObject,
    /// `response_format` of type `json_schema`.
    JsonSchema,
}

/// `ReasoningSwitch` says how a server is told how much to think.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReasoningSwitch {
    /// It cannot be told.
    None,
    /// `reasoning_effort`: `none`, `low`, `medium`, `high`.
    ReasoningEffort,
    /// `chat_template_kwargs.enable_thinking`, and `reasoning_effort` for a level.
    ChatTemplateKwargs,
    /// `think`: `false` or a level.
    Think,
}

/// `ToolChoiceForm` says which forms of `tool_choice` a server takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolChoiceForm {
    /// None; the field is left out.
    None,
    /// The strings `auto`, `none` and `required`.
    Strings,
    /// Strings and the object that names a function.
    Objects,
}

/// `ImageForm` says which pictures a server takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImageForm {
    /// None.
    None,
    /// `data:` URLs of PNG and JPEG only.
    DataUrl,
}

/// `HealthRule` says how the answer to the health question is read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HealthRule {
    /// Status 200 is ready, 503 is loading.
    Status,
    /// The body is JSON and has this key.
    JsonKey(String),
    /// The body is this text.
    Text(String),
    /// The answer is a list of models; 401 and 403 mean "wants a key", an empty list "no model".
    Models,
}

/// `Health` is the state of a server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "state", content = "detail")]
pub enum Health {
    /// It can answer.
    Ready,
    /// It is loading a model.
    Loading,
    /// It wants a key.
    NeedsKey,
    /// It runs and has no model to answer with.
    NoModel,
    /// It answers, but not as this kind of server does; the text says how.
    Unwell(String),
}

/// `Quirks` is one server's row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quirks {
    /// The kind this row is for.
    pub kind: ServerKind,
    /// The name shown to people.
    pub name: String,
    /// The API family.
    pub api: Api,
    /// Where the OpenAI-compatible API begins when the URL names no path.
    pub api_base: String,
    /// What the server takes, with the name it has on the wire. What is not here is not sent.
    pub parameters: BTreeMap<Parameter, String>,
    /// Whether it can stream at all.
    pub stream: bool,
    /// How it is told how much to think.
    pub reasoning: ReasoningSwitch,
    /// Which `tool_choice` it takes.
    pub tool_choice: ToolChoiceForm,
    /// Which pictures it takes.
    pub image: ImageForm,
    /// Whether it knows the role `developer`.
    pub developer_role: bool,
    /// Fields every chat carries.
    pub body: Map<String, Value>,
    /// The path that tells its health.
    pub health_path: String,
    /// How that answer is read.
    pub health: HealthRule,
    /// How its models are loaded and unloaded.
    pub management: Management,
    /// Whether it downloads a model that it is asked for and does not have.
    pub downloads_unknown_models: bool,
    /// Whether it cuts a prompt that is longer than the context, without a word.
    pub cuts_prompts: bool,
}

impl Quirks {
    /// The name a parameter has on this server's wire; `None` where it is not taken.
    pub fn wire_name(&self, parameter: Parameter) -> Option<&str> {
        self.parameters.get(&parameter).map(String::as_str)
    }

    /// Reads the answer to the health question.
    pub fn read_health(&self, status: u16, body: &[u8]) -> Health {
        if matches!(status, 401 | 403) {
            return Health::NeedsKey;
        }
        if status == 503 {
            return Health::Loading;
        }
        let value: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
        let healthy = match &self.health {
            HealthRule::Status => status == 200,
            HealthRule::JsonKey(key) => status == 200 && value.get(key).is_some(),
            HealthRule::Text(text) => status == 200 && String::from_utf8_lossy(body).trim() == text,
            HealthRule::Models => match value.get("data") {
                Some(Value::Array(models)) if models.is_empty() => return Health::NoModel,
                Some(Value::Null) => return Health::NoModel,
                Some(Value::Array(_)) => status == 200,
                _ => false,
            },
        };
        if healthy {
            Health::Ready
        } else {
            Health::Unwell(format!(
                "{} answered {status}, which is not how {} does",
                self.health_path, self.name
            ))
        }
    }
}

/// `Rows` holds the row of every known kind: the built-in ones and the user's own.
#[derive(Clone, Debug)]
pub struct Rows(BTreeMap<ServerKind, Arc<Quirks>>);

/// Built once: that takes a quarter of a new client's first call.
static BUILT_IN: LazyLock<Rows> =
    LazyLock::new(|| Rows(built_in().into_iter().map(|row| (row.kind.clone(), Arc::new(row))).collect()));

impl Default for Rows {
    fn default() -> Self {
        BUILT_IN.clone()
    }
}

impl Rows {
    /// Adds rows from configuration: each is the row named by its `like` key (`generic` where absent) with the given
    /// fields laid over it. In `parameters`, `false` takes a parameter away.
    pub fn with_kinds(mut self, kinds: &BTreeMap<String, Map<String, Value>>) -> Result<Rows> {
        for (name, fields) in kinds {
            let wrong = |why: String| {
                Error::new(ErrorKind::Config, format!("[kinds.{name}] in your config is wrong: {why}"))
            };
            let mut fields = fields.clone();
            let like = match fields.remove("like") {
                None => ServerKind::GENERIC,
                Some(Value::String(like)) => ServerKind::new(like),
                Some(_) => return Err(wrong("`like` must be the name of a kind.".into())),
            };
            let base = self.0.get(&like).ok_or_else(|| wrong(format!("there is no kind `{like}`.")))?;
            let mut row = serde_json::to_value(&**base).map_err(|error| wrong(error.to_string()))?;
            row["kind"] = json!(name);
            row["name"] = json!(name);
            overlay(&mut row, fields);
            let row: Quirks = serde_json::from_value(row).map_err(|error| wrong(error.to_string()))?;
            self.0.insert(row.kind.clone(), Arc::new(row));
        }
        Ok(self)
    }

    /// The row of a kind.
    pub fn get(&self, kind: &ServerKind) -> Option<&Quirks> {
        self.0.get(kind).map(Arc::as_ref)
    }

    /// The row of a kind, or that of [`ServerKind::GENERIC`].
    pub fn row(&self, kind: &ServerKind) -> &Quirks {
        self.get(kind).unwrap_or_else(|| &self.0[&ServerKind::GENERIC])
    }

    /// The row of a kind spoken to in another API family than its own.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] where that server does not speak it.
    pub fn row_in(&self, kind: &ServerKind, api: Api) -> Result<&Quirks> {
        let row = self.row(kind);
        if row.api == api {
            return Ok(row);
        }
        let other = if *kind == ServerKind::OLLAMA && api == Api::OpenAi {
            ServerKind::OLLAMA_OPENAI
        } else if *kind == ServerKind::LM_STUDIO && api == Api::LmStudio {
            ServerKind::LM_STUDIO_NATIVE
        } else {
            return Err(Error::new(
                ErrorKind::Config,
                format!("{} does not speak the API that your config names for it.", row.name),
            )
            .with_hint("Take `api` out of that server's entry: the right one is chosen by itself."));
        };
        Ok(self.row(&other))
    }

    /// Every row, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Quirks> {
        self.0.values().map(Arc::as_ref)
    }
}

/// Lays `fields` over a row; objects are merged, `false` and `null` inside them take a key away.
fn overlay(row: &mut Value, fields: Map<String, Value>) {
    for (key, value) in fields {
        match (row.get_mut(&key), value) {
            (Some(Value::Object(old)), Value::Object(new)) => {
                for (name, value) in new {
                    if matches!(value, Value::Bool(false) | Value::Null) {
                        old.remove(&name);
                    } else {
                        old.insert(name, value);
                    }
                }
            }
            (_, value) => row[key.as_str()] = value,
        }
    }
}

use Parameter::{
    FrequencyPenalty, JsonObject, JsonSchema, KeepAlive, MaxTokens, MinP, PresencePenalty, RepeatPenalty,
    Seed, Stop, StreamOptions, Temperature, Tools, TopK, TopP,
};

/// What OpenAI's own API names; nearly every server takes these.
const OPENAI: &[(Parameter, &str)] = &[
    (Temperature, "temperature"),
    (TopP, "top_p"),
    (MaxTokens, "max_tokens"),
    (Seed, "seed"),
    (Stop, "stop"),
    (PresencePenalty, "presence_penalty"),
    (FrequencyPenalty, "frequency_penalty"),
    (StreamOptions, "stream_options"),
    (Tools, "tools"),
    (JsonObject, "json_object"),
    (JsonSchema, "json_schema"),
];

/// What llama.cpp and its family take beyond that.
const LLAMA: &[(Parameter, &str)] = &[(TopK, "top_k"), (MinP, "min_p"), (RepeatPenalty, "repeat_penalty")];

/// The same for engines that write `repetition_penalty`.
const VLLM: &[(Parameter, &str)] = &[(TopK, "top_k"), (MinP, "min_p"), (RepeatPenalty, "repetition_penalty")];

/// Makes a row with OpenAI's parameters and `more`, and the commonest manners.
fn row(
    kind: ServerKind,
    name: &str,
    more: &[(Parameter, &str)],
    health_path: &str,
    health: HealthRule,
) -> Quirks {
    let parameters =
        OPENAI.iter().chain(more).map(|(parameter, name)| (*parameter, (*name).to_owned())).collect();
    Quirks {
        kind,
        name: name.to_owned(),
        api: Api::OpenAi,
        api_base: "/v1".to_owned(),
        parameters,
        stream: true,
        reasoning: ReasoningSwitch::None,
        tool_choice: ToolChoiceForm::Objects,
        image: ImageForm::DataUrl,
        developer_role: false,
        body: Map::new(),
        health_path: health_path.to_owned(),
        health,
        management: Management::None,
        downloads_unknown_models: false,
        cuts_prompts: false,
    }
}

/// Takes parameters away from a row.
fn without(mut row: Quirks, parameters: &[Parameter]) -> Quirks {
    for parameter in parameters {
        row.parameters.remove(parameter);
    }
    row
}

/// The rows of the servers this crate knows.
fn built_in() -> Vec<Quirks> {
    let mut rows = speaking();
    for row in &mut rows {
        row.management = managed(&row.kind);
    }
    rows
}

/// How the models of a kind of server are loaded and unloaded.
fn managed(kind: &ServerKind) -> Management {
    let ways = [
        (ServerKind::LM_STUDIO, Management::LmStudio),
        (ServerKind::LM_STUDIO_NATIVE, Management::LmStudio),
        (ServerKind::OLLAMA, Management::Ollama),
        (ServerKind::OLLAMA_OPENAI, Management::Ollama),
        (ServerKind::LLAMA_CPP, Management::LlamaCpp),
        (ServerKind::VLLM, Management::Vllm),
        (ServerKind::TEXT_GENERATION_WEBUI, Management::TextGenerationWebui),
        (ServerKind::TABBYAPI, Management::TabbyApi),
        (ServerKind::KOBOLDCPP, Management::KoboldCpp),
        (ServerKind::MISTRAL_RS, Management::MistralRs),
        (ServerKind::LLAMA_SWAP, Management::LlamaSwap),
        (ServerKind::LEMONADE, Management::Lemonade),
    ];
    ways.iter().find(|(known, _)| known == kind).map_or(Management::None, |(_, way)| *way)
}

/// Those rows, as far as chats are concerned.
fn speaking() -> Vec<Quirks> {
    let key = |key: &str| HealthRule::JsonKey(key.to_owned());
    let text = |text: &str| HealthRule::Text(text.to_owned());
    let effort = ReasoningSwitch::ReasoningEffort;
    let mut rows = Vec::new();

    // LM Studio answers 400 to `json_object` and to an object as `tool_choice`; `ttl` counts only when this request
    // loads the model. lmstudio.ai/docs/developer, lmstudio-bug-tracker 189, 670.
    let mut lmstudio = row(ServerKind::LM_STUDIO, "LM Studio", LLAMA, "/lmstudio-greeting", key("lmstudio"));
    lmstudio.parameters.remove(&JsonObject);
    lmstudio.parameters.remove(&MinP);
    lmstudio.parameters.insert(KeepAlive, "ttl".to_owned());
    lmstudio.reasoning = effort;
    lmstudio.tool_choice = ToolChoiceForm::Strings;
    rows.push(lmstudio);

    // Spoken to natively: the compatible API drops top_k, min_p, repeat_penalty, keep_alive and num_ctx without a
    // word and forces temperature and top_p to 1. ollama/openai/openai.go.
    let mut ollama = row(ServerKind::OLLAMA, "Ollama", LLAMA, "/api/version", key("version"));
    ollama.api = Api::Ollama;
    ollama.parameters.remove(&StreamOptions);
    ollama.parameters.insert(MaxTokens, "num_predict".to_owned());
    ollama.parameters.insert(KeepAlive, "keep_alive".to_owned());
    ollama.reasoning = ReasoningSwitch::Think;
    ollama.tool_choice = ToolChoiceForm::None;
    ollama.cuts_prompts = true;
    rows.push(ollama);

    // What the compatible API takes; the rest it drops without a word.
    let mut compatible = row(ServerKind::OLLAMA_OPENAI, "Ollama", &[], "/api/version", key("version"));
    compatible.reasoning = effort;
    compatible.tool_choice = ToolChoiceForm::None;
    compatible.cuts_prompts = true;
    rows.push(compatible);

    // LM Studio's own API shows loading and reading, and takes one question without a history.
    // lmstudio.ai/docs/developer/rest.
    let native = row(ServerKind::LM_STUDIO_NATIVE, "LM Studio", LLAMA, "/lmstudio-greeting", key("lmstudio"));
    let mut native = without(
        native,
        &[Seed, Stop, PresencePenalty, FrequencyPenalty, StreamOptions, Tools, JsonObject, JsonSchema],
    );
    native.api = Api::LmStudio;
    native.parameters.insert(MaxTokens, "max_output_tokens".to_owned());
    rows.push(native);

    // `return_progress` is llama.cpp's own field for prompt progress. tools/server/README.md.
    let mut llama_cpp = row(ServerKind::LLAMA_CPP, "llama.cpp", LLAMA, "/health", HealthRule::Status);
    llama_cpp.reasoning = ReasoningSwitch::ChatTemplateKwargs;
    llama_cpp.tool_choice = ToolChoiceForm::Strings;
    llama_cpp.body.insert("return_progress".to_owned(), json!(true));
    rows.push(llama_cpp);
    rows.push(row(ServerKind::LLAMAFILE, "llamafile", &[], "/v1/models", HealthRule::Models));

    let mut vllm = row(ServerKind::VLLM, "vLLM", VLLM, "/health", HealthRule::Status);
    vllm.reasoning = ReasoningSwitch::ChatTemplateKwargs;
    rows.push(vllm);
    // SGLang's /health generates a token; /get_model_info costs nothing. sglang http_server.py.
    let mut sglang = row(ServerKind::SGLANG, "SGLang", VLLM, "/get_model_info", key("model_path"));
    sglang.reasoning = ReasoningSwitch::ChatTemplateKwargs;
    rows.push(sglang);

    rows.push(row(ServerKind::KOBOLDCPP, "KoboldCpp", LLAMA, "/api/extra/version", key("result")));
    rows.push(row(ServerKind::TABBYAPI, "TabbyAPI", VLLM, "/health", HealthRule::Status));
    // mlx_lm: no grammar, and a crash on stream_options without include_usage (we always send it). mlx_lm/server.py.
    let mlx = row(ServerKind::MLX, "mlx_lm", VLLM, "/health", key("status"));
    let mut mlx = without(mlx, &[JsonObject, JsonSchema]);
    mlx.downloads_unknown_models = true;
    rows.push(mlx);
    rows.push(row(ServerKind::LOCALAI, "LocalAI", LLAMA, "/readyz", HealthRule::Status));
    rows.push(row(ServerKind::JAN, "Jan", LLAMA, "/v1/models", HealthRule::Models));
    let webui = "text-generation-webui";
    rows.push(row(ServerKind::TEXT_GENERATION_WEBUI, webui, VLLM, "/v1/internal/health", key("status")));
    rows.push(row(ServerKind::MISTRAL_RS, "mistral.rs", VLLM, "/health", text("OK")));
    rows.push(row(ServerKind::LEMONADE, "Lemonade", LLAMA, "/v1/health", key("status")));
    let mut runner =
        row(ServerKind::DOCKER_MODEL_RUNNER, "Docker Model Runner", LLAMA, "/", HealthRule::Status);
    "/engines/v1".clone_into(&mut runner.api_base);
    runner.health = text("Docker Model Runner is running");
    rows.push(runner);
    // LiteLLM's /health calls every model, for money. docs.litellm.ai/docs/proxy/health.
    rows.push(row(ServerKind::LITELLM, "LiteLLM", &[], "/health/liveliness", text("\"I'm alive!\"")));
    rows.push(row(ServerKind::LLAMA_SWAP, "llama-swap", LLAMA, "/health", text("OK")));

    // GPT4All refuses every field it does not know, and streaming. gpt4all-chat/src/server.cpp.
    let gpt4all = row(ServerKind::GPT4ALL, "GPT4All", &[(MinP, "min_p")], "/v1/models", HealthRule::Models);
    let mut gpt4all = without(
        gpt4all,
        &[Seed, Stop, PresencePenalty, FrequencyPenalty, StreamOptions, Tools, JsonObject, JsonSchema],
    );
    gpt4all.stream = false;
    gpt4all.tool_choice = ToolChoiceForm::None;
    gpt4all.image = ImageForm::None;
    rows.push(gpt4all);

    rows.push(row(ServerKind::GENERIC, "OpenAI-compatible server", &[], "/v1/models", HealthRule::Models));
    rows
}
