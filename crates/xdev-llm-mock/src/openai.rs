//! The OpenAI chat format as the different servers write it, field for field as recorded.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::chat::{CallStyle, Encoder, Event, Piece, Plan, quote};
use crate::personality::Personality;
use crate::script::ReasoningField;

/// All answers carry this moment: a mock is the same every day.
pub(crate) const CREATED: u64 = 1_795_416_619;

/// `OpenAi` writes a plan as `chat.completion` and `chat.completion.chunk`.
pub(crate) struct OpenAi {
    pub(crate) personality: Personality,
    pub(crate) plan: Arc<Plan>,
    pub(crate) id: String,
    pub(crate) model: String,
    pub(crate) reasoning_field: ReasoningField,
    /// Whether a stream ends with a usage chunk.
    pub(crate) include_usage: bool,
    /// llama.cpp: chunks that tell how far the prompt was read.
    pub(crate) return_progress: bool,
    /// llama.cpp: `timings` on every chunk.
    pub(crate) timings_per_token: bool,
    /// LM Studio's `/api/v0`: `stats`, `model_info` and `runtime` on a whole answer.
    pub(crate) version_zero: bool,
}

/// How a server cuts tool calls.
pub(crate) fn call_style(personality: Personality) -> CallStyle {
    match personality {
        personality if personality.is_llamacpp() => CallStyle::Started,
        Personality::Vllm => CallStyle::Absent,
        Personality::Ollama => CallStyle::Whole,
        _ => CallStyle::Empty,
    }
}

/// The field a server puts reasoning in.
pub(crate) fn native_reasoning(personality: Personality) -> ReasoningField {
    match personality {
        Personality::Ollama | Personality::Vllm | Personality::MlxLm => ReasoningField::Reasoning,
        _ => ReasoningField::ReasoningContent,
    }
}

impl OpenAi {
    fn role_on_every_delta(&self) -> bool {
        self.personality.is_lmstudio() || matches!(self.personality, Personality::Ollama | Personality::MlxLm)
    }

    /// A chunk around choices (JSON text) with further top-level fields (`,"a":1` text).
    fn chunk(&self, choices: &str, tail: &str) -> Event {
        let (id, model) = (quote(&self.id), quote(&self.model));
        Event::data(match self.personality {
            personality if personality.is_llamacpp() => format!(
                r#"{{"choices":[{choices}],"created":{CREATED},"id":{id},"model":{model},"system_fingerprint":"b11434-unknown","object":"chat.completion.chunk"{tail}}}"#
            ),
            Personality::Vllm => format!(
                r#"{{"id":{id},"object":"chat.completion.chunk","created":{CREATED},"model":{model},"choices":[{choices}]{tail}}}"#
            ),
            _ => {
                let fingerprint = quote(self.fingerprint());
                format!(
                    r#"{{"id":{id},"object":"chat.completion.chunk","created":{CREATED},"model":{model},"system_fingerprint":{fingerprint},"choices":[{choices}]{tail}}}"#
                )
            }
        })
    }

    fn fingerprint(&self) -> &str {
        match self.personality {
            Personality::Ollama => "fp_ollama",
            personality if personality.is_lmstudio() => &self.model,
            _ => "fp_mock",
        }
    }

    fn choice(&self, delta: &str, finish: Option<&str>) -> String {
        let reason = finish.map_or_else(|| "null".to_owned(), quote);
        match self.personality {
            personality if personality.is_llamacpp() => {
                format!(r#"{{"finish_reason":{reason},"index":0,"delta":{delta}}}"#)
            }
            Personality::Vllm => {
                let stop = if finish.is_some() { r#","stop_reason":null"# } else { "" };
                format!(
                    r#"{{"index":0,"delta":{delta},"logprobs":null,"finish_reason":{reason}{stop},"token_ids":null}}"#
                )
            }
            _ => format!(r#"{{"index":0,"delta":{delta},"logprobs":null,"finish_reason":{reason}}}"#),
        }
    }

    fn delta(&self, piece: &Piece) -> String {
        let role = if self.role_on_every_delta() { r#""role":"assistant","# } else { "" };
        match piece {
            Piece::Text(text) => format!(r#"{{{role}"content":{}}}"#, quote(text)),
            Piece::Reasoning(text) => {
                let text = quote(text);
                let fields: Vec<String> =
                    self.reasoning_names().iter().map(|name| format!(r#""{name}":{text}"#)).collect();
                format!("{{{role}{}}}", fields.join(","))
            }
            Piece::Call { index, call, arguments } => {
                let arguments = arguments
                    .as_ref()
                    .map(|text| format!(r#","arguments":{}"#, quote(text)))
                    .unwrap_or_default();
                format!(
                    r#"{{{role}"tool_calls":[{{"index":{index},"id":{},"type":"function","function":{{"name":{}{arguments}}}}}]}}"#,
                    quote(&call.id),
                    quote(&call.name)
                )
            }
            Piece::Arguments { index, fragment } => format!(
                r#"{{{role}"tool_calls":[{{"index":{index},"function":{{"arguments":{}}}}}]}}"#,
                quote(fragment)
            ),
        }
    }

    fn reasoning_names(&self) -> &'static [&'static str] {
        let field = match self.reasoning_field {
            ReasoningField::Native => native_reasoning(self.personality),
            field => field,
        };
        match field {
            ReasoningField::Reasoning => &["reasoning"],
            ReasoningField::Both => &["reasoning", "reasoning_content"],
            ReasoningField::Thinking => &["thinking"],
            _ => &["reasoning_content"],
        }
    }

    fn usage_json(&self, completion: usize) -> String {
        let prompt = self.plan.prompt_tokens;
        let total = prompt + completion;
        match self.personality {
            personality if personality.is_llamacpp() => format!(
                r#"{{"completion_tokens":{completion},"prompt_tokens":{prompt},"total_tokens":{total},"prompt_tokens_details":{{"cached_tokens":0}}}}"#
            ),
            Personality::Vllm => {
                format!(
                    r#"{{"prompt_tokens":{prompt},"total_tokens":{total},"completion_tokens":{completion}}}"#
                )
            }
            _ if self.plan.reasoning_tokens > 0 => format!(
                r#"{{"prompt_tokens":{prompt},"completion_tokens":{completion},"total_tokens":{total},"completion_tokens_details":{{"reasoning_tokens":{}}}}}"#,
                self.plan.reasoning_tokens
            ),
            _ => format!(
                r#"{{"prompt_tokens":{prompt},"completion_tokens":{completion},"total_tokens":{total}}}"#
            ),
        }
    }

    /// llama.cpp's `,"timings":{…}`, as if a prompt token took 5 ms and an answer token 10 ms.
    fn timings(&self, predicted: usize) -> String {
        let prompt = self.plan.prompt_tokens;
        let (prompt_ms, predicted_ms) = (prompt as f64 * 5.0, predicted as f64 * 10.0);
        format!(
            r#","timings":{{"cache_n":0,"prompt_n":{prompt},"prompt_ms":{prompt_ms:?},"prompt_per_token_ms":5.0,"prompt_per_second":200.0,"predicted_n":{predicted},"predicted_ms":{predicted_ms:?},"predicted_per_token_ms":10.0,"predicted_per_second":100.0}}"#
        )
    }

    /// What every chunk of a stream carries besides its choices.
    fn tail(&self) -> String {
        let each = self.personality.is_llamacpp() && self.timings_per_token;
        if each { self.timings(self.plan.completion_tokens) } else { String::new() }
    }

    /// What only the last chunk of a stream carries.
    fn last_tail(&self) -> String {
        match self.personality {
            personality if personality.is_llamacpp() => self.timings(self.plan.completion_tokens),
            Personality::Vllm => r#","system_fingerprint":"vllm-0.32.0-b7875730""#.to_owned(),
            _ => String::new(),
        }
    }

    /// What the chunk with the finish reason carries: it is the last one when no usage follows.
    fn finish_tail(&self) -> String {
        if self.include_usage { self.tail() } else { self.last_tail() }
    }

    fn message(&self) -> String {
        let mut fields = vec![r#""role":"assistant""#.to_owned()];
        let text = self.plan.text();
        let reasoning = self.plan.reasoning();
        let vllm = self.personality == Personality::Vllm;
        let content = if vllm && text.is_empty() && !self.plan.calls.is_empty() {
            "null".to_owned()
        } else {
            quote(&text)
        };
        fields.push(format!(r#""content":{content}"#));
        if vllm {
            fields.push(r#""refusal":null,"annotations":null,"audio":null,"function_call":null"#.to_owned());
        }
        if !reasoning.is_empty() {
            fields.extend(
                self.reasoning_names().iter().map(|name| format!(r#""{name}":{}"#, quote(&reasoning))),
            );
        } else if vllm {
            fields.push(r#""reasoning":null"#.to_owned());
        }
        let calls: Vec<String> = self.plan.calls.iter().map(|call| self.whole_call(call)).collect();
        if !calls.is_empty() || self.personality.is_lmstudio() {
            fields.push(format!(r#""tool_calls":[{}]"#, calls.join(",")));
        }
        format!("{{{}}}", fields.join(","))
    }

    fn whole_call(&self, call: &crate::script::ToolCall) -> String {
        let (id, name, arguments) = (quote(&call.id), quote(&call.name), quote(&call.arguments));
        if self.personality.is_llamacpp() {
            format!(r#"{{"type":"function","function":{{"name":{name},"arguments":{arguments}}},"id":{id}}}"#)
        } else {
            format!(r#"{{"id":{id},"type":"function","function":{{"name":{name},"arguments":{arguments}}}}}"#)
        }
    }

    /// What LM Studio adds to a whole answer.
    fn lmstudio_tail(&self) -> String {
        let plain = format!(r#","stats":{{}},"system_fingerprint":{}"#, quote(&self.model));
        if !self.version_zero {
            return plain;
        }
        let stop_reason = match self.plan.finish_reason.as_str() {
            "length" => "maxPredictedTokensReached",
            "tool_calls" => "toolCalls",
            _ => "eosFound",
        };
        let stats = json!({"tokens_per_second": 100.0, "time_to_first_token": 0.05,
            "generation_time": self.plan.completion_tokens as f64 / 100.0, "stop_reason": stop_reason});
        let info = json!({"arch": "qwen3", "quant": "Q4_K_M", "format": "gguf", "context_length": 8192});
        let runtime =
            json!({"name": "llama.cpp-linux-x86_64", "version": "1.50.0", "supported_formats": ["gguf"]});
        format!(r#","stats":{stats},"model_info":{info},"runtime":{runtime}"#)
    }
}

impl Encoder for OpenAi {
    fn content_type(&self, stream: bool) -> &'static str {
        match (self.personality, stream) {
            (Personality::Vllm, true) => "text/event-stream; charset=utf-8",
            (_, true) => "text/event-stream",
            (personality, false) if personality.is_llamacpp() => "application/json; charset=utf-8",
            _ => "application/json",
        }
    }

    fn opening(&self) -> Vec<Event> {
        match self.personality {
            personality if personality.is_llamacpp() => {
                let role = self.choice(r#"{"role":"assistant","content":null}"#, None);
                let total = self.plan.prompt_tokens;
                let progress = |processed: usize| {
                    let time_ms = processed * 5;
                    let tail = format!(
                        r#","prompt_progress":{{"total":{total},"cache":0,"processed":{processed},"time_ms":{time_ms}}}"#
                    );
                    self.chunk(&role, &tail)
                };
                let mut events = if self.return_progress { vec![progress(0), progress(total)] } else { Vec::new() };
                events.push(self.chunk(&role, &self.tail()));
                events
            }
            Personality::Vllm => vec![self.chunk(
                r#"{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}"#,
                r#","prompt_token_ids":null,"prompt_text":null"#,
            )],
            _ if self.role_on_every_delta() => Vec::new(),
            _ => vec![self.chunk(&self.choice(r#"{"role":"assistant","content":""}"#, None), "")],
        }
    }

    fn piece(&self, piece: &Piece, finish: Option<&str>) -> Event {
        let tail = if finish.is_some() { self.finish_tail() } else { self.tail() };
        self.chunk(&self.choice(&self.delta(piece), finish), &tail)
    }

    fn finish_rides(&self) -> bool {
        self.personality == Personality::Vllm && self.plan.finish_reason == "length"
    }

    fn finish(&self) -> Vec<Event> {
        let delta = if self.personality == Personality::Vllm { r#"{"content":""}"# } else { "{}" };
        vec![self.chunk(&self.choice(delta, Some(&self.plan.finish_reason)), &self.finish_tail())]
    }

    fn usage(&self) -> Vec<Event> {
        if !self.include_usage {
            return Vec::new();
        }
        let usage = self.usage_json(self.plan.completion_tokens);
        vec![self.chunk("", &format!(r#","usage":{usage}{}"#, self.last_tail()))]
    }

    fn running_usage(&self, completion_tokens: usize) -> Option<Value> {
        serde_json::from_str(&self.usage_json(completion_tokens)).ok()
    }

    fn error(&self, message: &str) -> String {
        let message = quote(message);
        match self.personality {
            personality if personality.is_llamacpp() => {
                format!(r#"{{"error":{{"code":500,"message":{message},"type":"server_error"}}}}"#)
            }
            Personality::Vllm => format!(
                r#"{{"error":{{"message":{message},"type":"InternalServerError","param":null,"code":500}}}}"#
            ),
            Personality::SgLang => format!(
                r#"{{"error":{{"object":"error","message":{message},"type":"InternalServerError","param":null,"code":500}}}}"#
            ),
            personality if personality.is_lmstudio() => {
                format!(r#"{{"error":{{"message":{message}}},"message":{message}}}"#)
            }
            _ => format!(
                r#"{{"error":{{"message":{message},"type":"server_error","param":null,"code":null}}}}"#
            ),
        }
    }

    fn whole(&self) -> String {
        let (id, model) = (quote(&self.id), quote(&self.model));
        let (message, reason) = (self.message(), quote(&self.plan.finish_reason));
        let completion = self.plan.completion_tokens;
        let usage = self.usage_json(completion);
        match self.personality {
            personality if personality.is_llamacpp() => {
                let timings = self.timings(completion);
                format!(
                    r#"{{"choices":[{{"finish_reason":{reason},"index":0,"message":{message}}}],"created":{CREATED},"model":{model},"system_fingerprint":"b11434-unknown","object":"chat.completion","usage":{usage},"id":{id}{timings}}}"#
                )
            }
            Personality::Vllm => {
                let usage = usage.trim_end_matches('}');
                format!(
                    r#"{{"id":{id},"object":"chat.completion","created":{CREATED},"model":{model},"choices":[{{"index":0,"message":{message},"logprobs":null,"finish_reason":{reason},"stop_reason":null,"token_ids":null,"routed_experts":null}}],"service_tier":null,"system_fingerprint":"vllm-0.32.0-b7875730","usage":{usage},"prompt_tokens_details":null,"completion_tokens_details":null}},"prompt_logprobs":null,"prompt_token_ids":null,"prompt_text":null,"kv_transfer_params":null,"ec_transfer_params":null,"metrics":null}}"#
                )
            }
            personality => {
                let tail = if personality.is_lmstudio() {
                    self.lmstudio_tail()
                } else {
                    format!(r#","system_fingerprint":{}"#, quote(self.fingerprint()))
                };
                format!(
                    r#"{{"id":{id},"object":"chat.completion","created":{CREATED},"model":{model},"choices":[{{"index":0,"message":{message},"logprobs":null,"finish_reason":{reason}}}],"usage":{usage}{tail}}}"#
                )
            }
        }
    }
}
