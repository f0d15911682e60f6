//! The body of a request under construction, with the names and the limits of one server's row.
//!
//! All dialects build with it, so that what is left out is noted in one way. Not here: reading answers (the dialects).

use serde_json::{Map, Value, json};

use super::Quirks;
use super::quirks::{ImageForm, Parameter, ReasoningSwitch, ToolChoiceForm};
use crate::chat::{KeepAlive, Message, Part, Reasoning, ResponseFormat, Role, Sampling, Tool, ToolChoice};
use crate::error::{Error, ErrorKind, Result};

/// The body under construction, and what was left out of it.
pub(super) struct Fields<'a> {
    quirks: &'a Quirks,
    pub(super) body: Map<String, Value>,
    pub(super) not_sent: Vec<String>,
}

impl<'a> Fields<'a> {
    pub(super) fn new(quirks: &'a Quirks) -> Self {
        Fields { quirks, body: Map::new(), not_sent: Vec::new() }
    }

    /// Puts a value under the server's name for it, or notes that it is not sent.
    pub(super) fn put(&mut self, parameter: Parameter, name: &str, value: Option<Value>) {
        let Some(value) = value else { return };
        match self.quirks.wire_name(parameter) {
            Some(wire_name) => {
                self.body.insert(wire_name.to_owned(), value);
            }
            None => self.not_sent.push(name.to_owned()),
        }
    }

    pub(super) fn sampling(&mut self, sampling: &Sampling) {
        use Parameter as P;
        let number = |value: Option<f64>| value.map(|value| json!(value));
        self.put(P::Temperature, "temperature", number(sampling.temperature));
        self.put(P::TopP, "top_p", number(sampling.top_p));
        self.put(P::TopK, "top_k", sampling.top_k.map(|value| json!(value)));
        self.put(P::MinP, "min_p", number(sampling.min_p));
        self.put(P::MaxTokens, "max_tokens", sampling.max_tokens.map(|value| json!(value)));
        // Seeds of 64 bits occur in ComfyUI; servers read a signed number.
        self.put(P::Seed, "seed", sampling.seed.map(|value| json!(value & (u64::MAX >> 1))));
        let stop = sampling.stop.as_ref().filter(|stop| !stop.is_empty());
        self.put(P::Stop, "stop", stop.map(|value| json!(value)));
        self.put(P::PresencePenalty, "presence_penalty", number(sampling.presence_penalty));
        self.put(P::FrequencyPenalty, "frequency_penalty", number(sampling.frequency_penalty));
        self.put(P::RepeatPenalty, "repeat_penalty", number(sampling.repeat_penalty));
    }

    pub(super) fn keep_alive(&mut self, keep_alive: Option<KeepAlive>) {
        match keep_alive {
            // LM Studio's `ttl` is a positive number of seconds.
            Some(KeepAlive::Forever | KeepAlive::Seconds(0))
                if self.quirks.wire_name(Parameter::KeepAlive) == Some("ttl") =>
            {
                self.not_sent.push("keep_alive".into());
            }
            Some(KeepAlive::Forever) => self.put(Parameter::KeepAlive, "keep_alive", Some(json!(-1))),
            Some(KeepAlive::Seconds(seconds)) => {
                self.put(Parameter::KeepAlive, "keep_alive", Some(json!(seconds)));
            }
            None => {}
        }
    }

    pub(super) fn reasoning(&mut self, reasoning: Reasoning) {
        let level = match reasoning {
            Reasoning::Default => return,
            Reasoning::Off => "none",
            Reasoning::Low => "low",
            Reasoning::Medium => "medium",
            Reasoning::High => "high",
        };
        match self.quirks.reasoning {
            ReasoningSwitch::ReasoningEffort => {
                self.body.insert("reasoning_effort".into(), json!(level));
            }
            ReasoningSwitch::ChatTemplateKwargs => {
                let thinks = reasoning != Reasoning::Off;
                self.body.insert("chat_template_kwargs".into(), json!({ "enable_thinking": thinks }));
                if thinks {
                    self.body.insert("reasoning_effort".into(), json!(level));
                }
            }
            ReasoningSwitch::Think => {
                let think = if reasoning == Reasoning::Off { json!(false) } else { json!(level) };
                self.body.insert("think".into(), think);
            }
            ReasoningSwitch::None => self.not_sent.push("reasoning".into()),
        }
    }

    pub(super) fn response_format(&mut self, format: Option<&ResponseFormat>) {
        let (parameter, value) = match format {
            None => return,
            Some(ResponseFormat::JsonObject) => (Parameter::JsonObject, json!({ "type": "json_object" })),
            Some(ResponseFormat::JsonSchema { name, schema }) => (
                Parameter::JsonSchema,
                json!({ "type": "json_schema",
                        "json_schema": { "name": name, "strict": true, "schema": schema } }),
            ),
        };
        if self.quirks.wire_name(parameter).is_some() {
            self.body.insert("response_format".into(), value);
        } else if parameter == Parameter::JsonObject && self.quirks.wire_name(Parameter::JsonSchema).is_some()
        {
            // LM Studio refuses `json_object`; a schema that any object matches asks for the same.
            let schema = json!({ "name": "object", "schema": { "type": "object" } });
            let value = json!({ "type": "json_schema", "json_schema": schema });
            self.body.insert("response_format".into(), value);
        } else {
            self.not_sent.push("response_format".into());
        }
    }

    pub(super) fn tools(&mut self, tools: &[Tool], choice: Option<&ToolChoice>) {
        if tools.is_empty() {
            return;
        }
        let described: Vec<Value> = tools.iter().map(describe_tool).collect();
        self.put(Parameter::Tools, "tools", Some(Value::Array(described)));
        let value = match choice {
            None => return,
            Some(ToolChoice::Auto) => json!("auto"),
            Some(ToolChoice::None) => json!("none"),
            Some(ToolChoice::Required) => json!("required"),
            Some(ToolChoice::Named(name)) => json!({ "type": "function", "function": { "name": name } }),
        };
        let taken = match self.quirks.tool_choice {
            ToolChoiceForm::None => false,
            ToolChoiceForm::Strings => value.is_string(),
            ToolChoiceForm::Objects => true,
        };
        if taken {
            self.body.insert("tool_choice".into(), value);
        } else {
            self.not_sent.push("tool_choice".into());
        }
    }

    pub(super) fn extra(&mut self, extra: &Map<String, Value>) -> Result<()> {
        for (name, value) in extra {
            if matches!(name.as_str(), "model" | "messages" | "stream") {
                return Err(Error::invalid_input(format!("`extra` may not set `{name}`.")));
            }
            self.body.insert(name.clone(), value.clone());
        }
        Ok(())
    }
}

fn describe_tool(tool: &Tool) -> Value {
    // LM Studio refuses parameters that are not of type `object`.
    let mut parameters = tool.parameters.clone();
    if let Some(parameters) = parameters.as_object_mut() {
        parameters.entry("type").or_insert_with(|| json!("object"));
    } else {
        parameters = json!({ "type": "object", "properties": {} });
    }
    json!({ "type": "function",
            "function": { "name": tool.name, "description": tool.description, "parameters": parameters } })
}

pub(super) fn messages(quirks: &Quirks, messages: &[Message]) -> Result<Value> {
    messages
        .iter()
        .map(|message| encode_message(quirks, message))
        .collect::<Result<Vec<_>>>()
        .map(Value::Array)
}

fn encode_message(quirks: &Quirks, message: &Message) -> Result<Value> {
    let role = match message.role {
        Role::Developer if !quirks.developer_role => Role::System,
        role => role,
    };
    let only_text = message.content.iter().all(|part| matches!(part, Part::Text(_)));
    // Text goes as one string: several servers and templates take no parts. An empty one is "", never null.
    let content = if only_text {
        Value::String(message.text())
    } else {
        let parts = message.content.iter().map(|part| match part {
            Part::Text(text) => Ok(json!({ "type": "text", "text": text })),
            Part::ImageUrl(url) => {
                check_image(quirks, url)?;
                Ok(json!({ "type": "image_url", "image_url": { "url": url } }))
            }
        });
        Value::Array(parts.collect::<Result<_>>()?)
    };
    let mut encoded = Map::new();
    encoded.insert("role".into(), json!(role.as_str()));
    encoded.insert("content".into(), content);
    if !message.tool_calls.is_empty() {
        let calls = message.tool_calls.iter().map(|call| {
            json!({ "id": call.id, "type": "function",
                    "function": { "name": call.name, "arguments": call.arguments } })
        });
        encoded.insert("tool_calls".into(), Value::Array(calls.collect()));
    }
    if let Some(id) = &message.tool_call_id {
        encoded.insert("tool_call_id".into(), json!(id));
    }
    Ok(Value::Object(encoded))
}

/// Refuses pictures that the server would refuse, or would fetch from elsewhere by itself.
pub(super) fn check_image(quirks: &Quirks, url: &str) -> Result<()> {
    if quirks.image == ImageForm::None {
        return Err(Error::new(ErrorKind::Unsupported, format!("{} takes no pictures.", quirks.name)));
    }
    if ["data:image/png;base64,", "data:image/jpeg;base64,"].iter().any(|prefix| url.starts_with(prefix)) {
        return Ok(());
    }
    Err(Error::invalid_input("A picture must be a data URL of PNG or JPEG."))
}
