//! The arguments of a chat: what is wrong with them, field by field, and the request they make.
//!
//! The rules are the command's: an explicit value beats the preset, the preset the config; a system message of the
//! history stays unless another one is given. Not here: which argument Python calls what (`client`, `check`).

use std::time::Duration;

use serde_json::{Map, Value};
use xdev_llm::{
    ChatRequest, Client, Error, KeepAlive, Limits, Message, Preset, Presets, Reasoning, ResponseFormat,
    Sampling, Settings, history,
};

use crate::answer::Job;

/// The range of a context length, as in the config.
pub(crate) const CONTEXT_LENGTH: (i64, i64) = (256, 16_777_216);
/// The fields of the body that `extra` may not replace.
const OWN_FIELDS: [&str; 3] = ["model", "messages", "stream"];
/// The most seconds a listener's interval or a deadline may have: a day.
const MOST_SECONDS: f64 = 86_400.0;

/// `Arguments` are the arguments of a chat, not checked yet. Whole numbers are signed, so that a negative one is told
/// from a wrong type.
#[derive(Clone, Debug, Default)]
pub(crate) struct Arguments {
    pub(crate) prompt: Option<String>,
    /// The history as JSON text.
    pub(crate) messages: Option<String>,
    pub(crate) system_prompt: Option<String>,
    pub(crate) server: Option<String>,
    pub(crate) model: Option<String>,
    pub(crate) preset: Option<String>,
    pub(crate) temperature: Option<f64>,
    pub(crate) top_p: Option<f64>,
    pub(crate) top_k: Option<i64>,
    pub(crate) min_p: Option<f64>,
    pub(crate) max_tokens: Option<i64>,
    pub(crate) seed: Option<i128>,
    pub(crate) stop: Option<Vec<String>>,
    pub(crate) presence_penalty: Option<f64>,
    pub(crate) frequency_penalty: Option<f64>,
    pub(crate) repeat_penalty: Option<f64>,
    pub(crate) reasoning: Option<String>,
    pub(crate) response_format: Option<Value>,
    pub(crate) keep_alive: Option<i64>,
    pub(crate) context_length: Option<i64>,
    pub(crate) timeout: Option<f64>,
    pub(crate) deadline: Option<f64>,
    pub(crate) auto_detect_server: bool,
    pub(crate) extra: Map<String, Value>,
    pub(crate) interval: Option<f64>,
}

/// `Problem` is a field and what is wrong with it.
pub(crate) type Problem = (&'static str, Error);

impl Arguments {
    /// Everything that is wrong, without a question to anybody.
    pub(crate) fn problems(&self, settings: &Settings) -> Vec<Problem> {
        let limit = i64::from(*settings.max_tokens_limit);
        let checks: [(&'static str, Result<(), Error>); 18] = [
            ("prompt", self.check_prompt()),
            ("messages", self.history().map(drop)),
            ("server", self.check_server(settings)),
            ("model", self.check_model(settings)),
            ("preset", self.find_preset(settings).map(drop)),
            ("temperature", real(&Sampling { temperature: self.temperature, ..Sampling::default() })),
            ("top_p", real(&Sampling { top_p: self.top_p, ..Sampling::default() })),
            ("top_k", whole("top_k", self.top_k, 0, u32::MAX.into())),
            ("min_p", real(&Sampling { min_p: self.min_p, ..Sampling::default() })),
            ("max_tokens", whole("max_tokens", self.max_tokens, 1, limit)),
            ("seed", self.check_seed()),
            (
                "presence_penalty",
                real(&Sampling { presence_penalty: self.presence_penalty, ..Sampling::default() }),
            ),
            (
                "frequency_penalty",
                real(&Sampling { frequency_penalty: self.frequency_penalty, ..Sampling::default() }),
            ),
            (
                "repeat_penalty",
                real(&Sampling { repeat_penalty: self.repeat_penalty, ..Sampling::default() }),
            ),
            ("reasoning", self.level().map(drop)),
            ("response_format", self.format().map(drop)),
            ("keep_alive", whole("keep_alive", self.keep_alive, -1, u32::MAX.into())),
            (
                "context_length",
                whole("context_length", self.context_length, CONTEXT_LENGTH.0, CONTEXT_LENGTH.1),
            ),
        ];
        let times = [
            ("timeout", self.check_timeout()),
            ("deadline", seconds("deadline", self.deadline, 0.0)),
            ("interval", seconds("interval", self.interval, 0.001)),
            ("extra", self.check_extra()),
        ];
        checks.into_iter().chain(times).filter_map(|(field, check)| Some((field, check.err()?))).collect()
    }

    /// The chat they ask for.
    ///
    /// # Errors
    /// The first problem, or the config's.
    pub(crate) fn job(self, client: &Client) -> Result<Job, Error> {
        let settings = client.settings();
        if let Some((_, error)) = self.problems(settings).into_iter().next() {
            return Err(error);
        }
        let preset = self.find_preset(settings)?;
        let request = ChatRequest {
            model: Some(given(self.model.as_ref()).unwrap_or(&settings.model).clone()),
            sampling: preset.apply(self.sampling()),
            response_format: self.format()?,
            reasoning: self.level()?.unwrap_or(*settings.reasoning),
            keep_alive: self.keep_alive.map(stay),
            context_length: self.context_length.map(|length| length as u32),
            ..ChatRequest::default()
        };
        // Of the preset too: a wrong one in the config is found here.
        request.sampling.validate(*settings.max_tokens_limit)?;
        let configured = Limits::from(settings);
        let limits = Limits {
            timeout: self.timeout.map_or(configured.timeout, Duration::from_secs_f64),
            deadline: match self.deadline {
                None => configured.deadline,
                Some(seconds) => Some(Duration::from_secs_f64(seconds)).filter(|time| !time.is_zero()),
            },
        };
        let (messages, kept) = self.conversation(preset.system.as_deref().or(settings.system.as_deref()))?;
        Ok(Job {
            server: given(self.server.as_ref()).cloned(),
            auto_detect: self.auto_detect_server,
            request: ChatRequest { messages, extra: self.extra, ..request },
            limits,
            given: kept.and_then(|count| Some((self.messages?, count))),
        })
    }

    /// The messages to send, and how many of the history they begin with, where it is unchanged.
    fn conversation(&self, system: Option<&str>) -> Result<(Vec<Message>, Option<usize>), Error> {
        let mut messages = self.history()?;
        let mut kept = Some(messages.len()).filter(|count| *count > 0);
        let explicit = given(self.system_prompt.as_ref()).map(String::as_str);
        let system = if history::has_system(&messages) { explicit } else { explicit.or(system) };
        if system.is_some() {
            history::set_system(&mut messages, system);
            kept = None;
        }
        if let Some(prompt) = &self.prompt {
            messages.push(Message::user(prompt));
        }
        Ok((messages, kept))
    }

    fn history(&self) -> Result<Vec<Message>, Error> {
        self.messages.as_deref().map_or(Ok(Vec::new()), history::parse)
    }

    fn sampling(&self) -> Sampling {
        Sampling {
            temperature: self.temperature,
            top_p: self.top_p,
            top_k: self.top_k.map(|value| value as u32),
            min_p: self.min_p,
            max_tokens: self.max_tokens.map(|value| value as u32),
            seed: self.seed.map(|value| value as u64),
            stop: self.stop.clone(),
            presence_penalty: self.presence_penalty,
            frequency_penalty: self.frequency_penalty,
            repeat_penalty: self.repeat_penalty,
        }
    }

    fn find_preset(&self, settings: &Settings) -> Result<Preset, Error> {
        let name = given(self.preset.as_ref()).unwrap_or(&settings.preset);
        Presets::from_settings(settings)?.get(name).cloned()
    }

    fn check_prompt(&self) -> Result<(), Error> {
        match &self.prompt {
            Some(prompt) if prompt.trim().is_empty() => {
                Err(Error::invalid_input("The prompt is empty.")
                    .with_hint("Write what the model is to answer."))
            }
            None if self.messages.as_ref().is_none_or(|messages| messages.trim().is_empty()) => Err(
                Error::invalid_input("There is nothing to ask: neither a prompt nor messages were given."),
            ),
            _ => Ok(()),
        }
    }

    fn check_server(&self, settings: &Settings) -> Result<(), Error> {
        given(self.server.as_ref()).map_or(Ok(()), |server| settings.find_server(server).map(drop))
    }

    /// An alias has to have a route to the server that is given beside it.
    fn check_model(&self, settings: &Settings) -> Result<(), Error> {
        let (server, model) = (given(self.server.as_ref()), given(self.model.as_ref()));
        match (server, model) {
            (Some(server), Some(model)) if settings.find_server(server).is_ok() => {
                settings.routes(model.trim(), Some(server)).map(drop)
            }
            _ => Ok(()),
        }
    }

    fn check_seed(&self) -> Result<(), Error> {
        match self.seed {
            Some(seed) if u64::try_from(seed).is_err() => {
                Err(Error::invalid_input(format!("seed is {seed}; it must be 0 to {}.", u64::MAX)))
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn level(&self) -> Result<Option<Reasoning>, Error> {
        let Some(level) = given(self.reasoning.as_ref()) else { return Ok(None) };
        serde_json::from_value(level.as_str().into()).map(Some).map_err(|_| {
            Error::invalid_input(format!(
                "reasoning is {level:?}; it must be default, off, low, medium or high."
            ))
        })
    }

    /// A word (`json`, `text`), OpenAI's object, or a bare JSON Schema; an object also as text.
    fn format(&self) -> Result<Option<ResponseFormat>, Error> {
        let parsed;
        let format = match &self.response_format {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::String(text)) => match text.trim() {
                "" | "text" => return Ok(None),
                "json" | "json_object" => return Ok(Some(ResponseFormat::JsonObject)),
                text => {
                    parsed = serde_json::from_str(text).map_err(|error| wrong_format(&error.to_string()))?;
                    &parsed
                }
            },
            Some(value) => value,
        };
        let Value::Object(format) = format else { return Err(wrong_format("it is no JSON object")) };
        match format.get("type").and_then(Value::as_str) {
            Some("text") => Ok(None),
            Some("json_object") => Ok(Some(ResponseFormat::JsonObject)),
            Some("json_schema") => {
                let inner = format.get("json_schema").unwrap_or(&Value::Null);
                let schema = inner.get("schema").or(format.get("schema"));
                let schema = schema.ok_or_else(|| wrong_format("it has no `schema`"))?.clone();
                let name = inner.get("name").and_then(Value::as_str).unwrap_or("answer").to_owned();
                Ok(Some(ResponseFormat::JsonSchema { name, schema }))
            }
            _ => {
                let name = format.get("title").and_then(Value::as_str).unwrap_or("answer").to_owned();
                Ok(Some(ResponseFormat::JsonSchema { name, schema: Value::Object(format.clone()) }))
            }
        }
    }

    fn check_timeout(&self) -> Result<(), Error> {
        seconds("timeout", self.timeout, 0.0)?;
        let timeout = self.timeout.map(Duration::from_secs_f64);
        timeout.map_or(Ok(()), |timeout| Limits { timeout, deadline: None }.validate())
    }

    fn check_extra(&self) -> Result<(), Error> {
        match OWN_FIELDS.iter().find(|name| self.extra.contains_key(**name)) {
            Some(name) => Err(Error::invalid_input(format!("`extra` may not set `{name}`."))),
            None => Ok(()),
        }
    }
}

/// A text that is not blank: an empty one counts as not given.
fn given(text: Option<&String>) -> Option<&String> {
    text.filter(|text| !text.trim().is_empty())
}

fn real(sampling: &Sampling) -> Result<(), Error> {
    sampling.validate(u32::MAX)
}

/// The stay that a number of seconds means; a negative one is for ever.
pub(crate) fn stay(seconds: i64) -> KeepAlive {
    u32::try_from(seconds).map_or(KeepAlive::Forever, KeepAlive::Seconds)
}

/// Checks the range of a whole number.
pub(crate) fn whole(name: &str, value: Option<i64>, low: i64, high: i64) -> Result<(), Error> {
    match value {
        Some(value) if !(low..=high).contains(&value) => {
            Err(Error::invalid_input(format!("{name} is {value}; it must be {low} to {high}.")))
        }
        _ => Ok(()),
    }
}

fn seconds(name: &str, value: Option<f64>, low: f64) -> Result<(), Error> {
    match value {
        Some(value) if !(low..=MOST_SECONDS).contains(&value) => {
            Err(Error::invalid_input(format!("{name} is {value} s; it must be {low} to {MOST_SECONDS} s.")))
        }
        _ => Ok(()),
    }
}

fn wrong_format(why: &str) -> Error {
    Error::invalid_input(format!("response_format cannot be read: {why}."))
        .with_hint("Give \"json\", a JSON Schema, or OpenAI's object with `type` and `json_schema`.")
}
