//! `ChatRequest`: what a caller asks for, before any server's spelling.
//!
//! `None` always means "not sent", so the server's own default holds. Not here: presets (`preset`), which servers take
//! which field (`wire`).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::message::Message;
use crate::error::{Error, Result};

/// `ChatRequest` asks for one answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChatRequest {
    /// The model's id; `None`, `""` and `"auto"` mean the one that is loaded, else the first that can chat.
    pub model: Option<String>,
    /// The conversation, oldest first.
    pub messages: Vec<Message>,
    /// How tokens are drawn, and when to stop.
    pub sampling: Sampling,
    /// The form the answer must have.
    pub response_format: Option<ResponseFormat>,
    /// Functions the model may call.
    pub tools: Vec<Tool>,
    /// Whether it must, may or must not call one.
    pub tool_choice: Option<ToolChoice>,
    /// How much the model may think before it answers.
    pub reasoning: Reasoning,
    /// How long the server keeps the model in memory afterwards.
    pub keep_alive: Option<KeepAlive>,
    /// The context length to load the model with, in tokens (Ollama's `num_ctx`; a change reloads the model there).
    pub context_length: Option<u32>,
    /// Further fields of the body, sent as they are. They may not replace `model`, `messages` or `stream`.
    pub extra: Map<String, Value>,
}

/// `Sampling` says how tokens are drawn; `None` is not sent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sampling {
    /// Randomness, 0 (always the likeliest token) to 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// Nucleus sampling: keep the likeliest tokens that sum to this, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    /// Keep this many of the likeliest tokens; 0 turns it off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_k: Option<u32>,
    /// Drop tokens less likely than this share of the likeliest one, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_p: Option<f64>,
    /// The longest answer, in tokens, 1 to the limit of the configuration (8192).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    /// The seed; servers promise at most that two runs in a row are alike.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Texts that end the answer; they are not part of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop: Option<Vec<String>>,
    /// OpenAI's presence penalty, -2 to 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub presence_penalty: Option<f64>,
    /// OpenAI's frequency penalty, -2 to 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frequency_penalty: Option<f64>,
    /// llama.cpp's repeat penalty; 1 turns it off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeat_penalty: Option<f64>,
}

impl Sampling {
    /// Takes each value of `self`, or where it has none, that of `fallback`: an explicit value beats the preset.
    pub fn or(self, fallback: &Sampling) -> Sampling {
        Sampling {
            temperature: self.temperature.or(fallback.temperature),
            top_p: self.top_p.or(fallback.top_p),
            top_k: self.top_k.or(fallback.top_k),
            min_p: self.min_p.or(fallback.min_p),
            max_tokens: self.max_tokens.or(fallback.max_tokens),
            seed: self.seed.or(fallback.seed),
            stop: self.stop.or_else(|| fallback.stop.clone()),
            presence_penalty: self.presence_penalty.or(fallback.presence_penalty),
            frequency_penalty: self.frequency_penalty.or(fallback.frequency_penalty),
            repeat_penalty: self.repeat_penalty.or(fallback.repeat_penalty),
        }
    }

    /// Checks every range; the spec's are temperature 0-2, top_p 0-1 and max_tokens 1 to `max_tokens_limit`.
    pub fn validate(&self, max_tokens_limit: u32) -> Result<()> {
        let ranges = [
            ("temperature", self.temperature, 0.0, 2.0),
            ("top_p", self.top_p, 0.0, 1.0),
            ("min_p", self.min_p, 0.0, 1.0),
            ("presence_penalty", self.presence_penalty, -2.0, 2.0),
            ("frequency_penalty", self.frequency_penalty, -2.0, 2.0),
            ("repeat_penalty", self.repeat_penalty, 0.0, 2.0),
        ];
        for (name, value, low, high) in ranges {
            if let Some(value) = value
                && !(low..=high).contains(&value)
            {
                return Err(Error::invalid_input(format!("{name} is {value}; it must be {low} to {high}.")));
            }
        }
        if let Some(value) = self.max_tokens
            && !(1..=max_tokens_limit).contains(&value)
        {
            return Err(Error::invalid_input(format!(
                "max_tokens is {value}; it must be 1 to {max_tokens_limit}."
            ))
            .with_hint("Set `max_tokens_limit` in your config to allow longer answers."));
        }
        Ok(())
    }
}

/// `Reasoning` says how much the model may think before it answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reasoning {
    /// As the server and the model do by themselves; nothing is sent.
    #[default]
    Default,
    /// No thinking.
    Off,
    /// A little.
    Low,
    /// More.
    Medium,
    /// As much as it likes.
    High,
}

/// `ResponseFormat` is the form the answer must have.
#[derive(Clone, Debug, PartialEq)]
pub enum ResponseFormat {
    /// Any JSON object.
    JsonObject,
    /// JSON that matches a schema.
    JsonSchema {
        /// A short name for the schema.
        name: String,
        /// The JSON Schema.
        schema: Value,
    },
}

/// `Tool` describes a function the model may call.
#[derive(Clone, Debug, PartialEq)]
pub struct Tool {
    /// The function's name.
    pub name: String,
    /// What it does, for the model.
    pub description: String,
    /// A JSON Schema of type `object`.
    pub parameters: Value,
}

/// `ToolChoice` says whether a tool must, may or must not be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToolChoice {
    /// The model decides.
    Auto,
    /// No tool.
    None,
    /// Some tool.
    Required,
    /// This tool.
    Named(String),
}

/// `KeepAlive` says how long a model stays in memory after the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeepAlive {
    /// Seconds; 0 unloads at once.
    Seconds(u32),
    /// For ever.
    Forever,
}
