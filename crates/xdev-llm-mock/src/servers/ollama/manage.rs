//! Ollama's lists of models, and how they are loaded, kept, unloaded, pulled and deleted.
//!
//! There is no route to load or unload: a request without a prompt does it, by its `keep_alive`.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Answer, Context, MOMENT, find, native, native_error};
use crate::chat::tokens_of;
use crate::flow::{Flow, Step};
use crate::http::Reply;
use crate::memory::{DownloadState, Instance, InstanceState, Lease, Load, OLLAMA_KEEPS, OwnDownload};
use crate::model::{Model, ModelKind};
use crate::moment;
use crate::servers::NotLoaded;

fn digest(model: &Model) -> String {
    // Any stable 64 digits do; the id makes them differ.
    let number = model.id.bytes().fold(0_u128, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    format!("{number:032x}{number:032x}")
}

fn details(model: &Model) -> Value {
    json!({"parent_model": "", "format": "gguf", "family": family(model), "families": [family(model)],
        "parameter_size": "4.0B", "quantization_level": model.quantization})
}

fn family(model: &Model) -> &'static str {
    match model.kind {
        ModelKind::Embedding => "nomic-bert",
        _ => "qwen3",
    }
}

fn capabilities(model: &Model) -> Vec<&'static str> {
    if model.kind == ModelKind::Embedding {
        return vec!["embedding"];
    }
    let mut names = vec!["completion"];
    names.extend((model.kind == ModelKind::Vision).then_some("vision"));
    names.extend(model.tools.then_some("tools"));
    names.extend(model.thinking.then_some("thinking"));
    names
}

pub(super) fn tags(context: &Context<'_>) -> Reply {
    let entry = |model: &Model| {
        json!({"name": model.id, "model": model.id, "modified_at": MOMENT, "size": model.size_bytes,
            "digest": digest(model), "details": details(model), "capabilities": capabilities(model)})
    };
    let models: Vec<Value> = context.shared.models().iter().map(entry).collect();
    native(200, &json!({"models": models}))
}

/// `/api/ps` has a model from the moment its load begins until it is gone.
pub(super) fn loaded(context: &Context<'_>) -> Reply {
    let state = context.shared.memory.state();
    let entry = |instance: &Instance| {
        let model = state.model(&instance.model)?;
        Some(json!({"name": model.id, "model": model.id, "size": state.bytes_of(instance),
            "digest": digest(model), "details": details(model), "expires_at": moment::after(instance.expires_in()),
            "size_vram": state.vram_of(instance), "context_length": instance.context_length}))
    };
    let there = state.instances().iter().filter(|one| one.state != InstanceState::Failed);
    native(200, &json!({"models": there.filter_map(entry).collect::<Vec<Value>>()}))
}

pub(super) fn show(context: &Context<'_>) -> Reply {
    let model = match find(context) {
        Ok(model) => model,
        Err(reply) => return reply,
    };
    let (family, shape) = (family(&model), model.shape);
    let mut info = json!({"general.architecture": family, "general.parameter_count": 4_022_468_096_u64});
    let facts = [
        ("context_length", model.context_length as u64),
        ("block_count", shape.block_count),
        ("embedding_length", shape.embedding_length),
        ("attention.head_count", shape.head_count),
        ("attention.head_count_kv", shape.head_count_kv),
        ("attention.key_length", shape.key_length),
        ("attention.value_length", shape.key_length),
    ];
    for (name, value) in facts {
        info[format!("{family}.{name}")] = json!(value);
    }
    native(
        200,
        &json!({"modelfile": format!("FROM {}", model.id), "parameters": "temperature 0.6",
        "template": "{{ .Prompt }}", "details": details(&model), "model_info": info,
        "capabilities": capabilities(&model), "modified_at": MOMENT}),
    )
}

/// How long a `keep_alive` lets a model stay: `None` for ever. A string needs a unit; what is negative means for ever.
pub(super) fn keep_alive(value: &Value) -> Result<Option<Duration>, String> {
    match value {
        Value::Null => Ok(Some(OLLAMA_KEEPS)),
        Value::Number(number) => {
            let seconds = number.as_f64().unwrap_or_default();
            Ok((seconds >= 0.0).then(|| Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)))
        }
        Value::String(text) => duration(text),
        other => Err(format!("json: cannot unmarshal {other} into Go struct field .keep_alive")),
    }
}

/// Reads a duration as Go writes them: `1h30m`, `-1s`, `0`.
fn duration(text: &str) -> Result<Option<Duration>, String> {
    let invalid = || format!("time: invalid duration \"{text}\"");
    let (negative, mut rest) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    if rest == "0" {
        return Ok(Some(Duration::ZERO));
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let digits =
            rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(rest.len());
        let number: f64 = rest[..digits].parse().map_err(|_| invalid())?;
        rest = &rest[digits..];
        let letters =
            rest.find(|letter: char| letter.is_ascii_digit() || letter == '.').unwrap_or(rest.len());
        let unit = match &rest[..letters] {
            "" => return Err(format!("time: missing unit in duration \"{text}\"")),
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            unit => return Err(format!("time: unknown unit \"{unit}\" in duration \"{text}\"")),
        };
        seconds += number * unit;
        rest = &rest[letters..];
    }
    Ok((!negative).then(|| Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)))
}

/// A model in its place.
pub(super) struct Placed {
    pub(super) lease: Lease,
    /// Nanoseconds the load took; 0 when the model was there.
    pub(super) loaded_in: u64,
}

/// Has a model in memory with the context the request asks for. A context other than the loaded one loads it anew. Fails
/// with why it cannot be loaded, or with nothing when the client went.
pub(super) fn place(context: &Context<'_>, model: &Model) -> Result<Placed, Option<String>> {
    let memory = &context.shared.memory;
    let keep = keep_alive(&context.body["keep_alive"]).unwrap_or(Some(OLLAMA_KEEPS));
    let length = context.body["options"]["num_ctx"].as_u64().map(|length| length as usize);
    let (load, was_there) = {
        let state = memory.state();
        let length = length.unwrap_or_else(|| state.usual_context(model));
        let fits = |one: &Instance| one.is_loaded() && one.context_length == length;
        // What it may stay without work is said below: a load with nothing to do yet is not over before it began.
        (Load::new(&model.id, length), state.instances_of(&model.id).any(fits))
    };
    let started = Instant::now();
    match context.ensure(&load, true) {
        Ok(lease) => {
            memory.state().keep(&model.id, keep);
            let loaded_in = if was_there { 0 } else { (started.elapsed().as_nanos() as u64).max(1) };
            Ok(Placed { lease, loaded_in })
        }
        Err(NotLoaded::Gone) => Err(None),
        Err(NotLoaded::Failed(text)) => Err(Some(text)),
    }
}

/// The answer to a request without a prompt, which loads, or unloads with a `keep_alive` of 0. An unload is answered at
/// once; a model that works goes when it has ended.
pub(super) fn load_or_unload(context: &Context<'_>, model: &Model, text_field: &str) -> Answer {
    let unload = keep_alive(&context.body["keep_alive"]).is_ok_and(|keep| keep == Some(Duration::ZERO));
    if unload {
        context.shared.memory.state().keep(&model.id, Some(Duration::ZERO));
    } else {
        match place(context, model) {
            Ok(_) => {}
            Err(Some(text)) => return native_error(500, &text).into(),
            Err(None) => return Answer::Silence,
        }
    }
    let mut body = json!({"model": model.id, "created_at": MOMENT, "done": true,
        "done_reason": if unload { "unload" } else { "load" }});
    body[text_field] = match text_field {
        "message" => json!({"role": "assistant", "content": ""}),
        _ => json!(""),
    };
    native(200, &body).into()
}

pub(super) fn embed(context: &Context<'_>) -> Answer {
    let model = match find(context) {
        Ok(model) => model,
        Err(reply) => return reply.into(),
    };
    if let Err(message) = keep_alive(&context.body["keep_alive"]) {
        return native_error(400, &message).into();
    }
    let texts: Vec<&str> = match &context.body["input"] {
        Value::Null => Vec::new(),
        Value::String(text) => vec![text],
        Value::Array(texts) => texts.iter().filter_map(Value::as_str).collect(),
        _ => return native_error(400, "invalid input type").into(),
    };
    let placed = match place(context, &model) {
        Ok(placed) => placed,
        Err(Some(text)) => return native_error(500, &text).into(),
        Err(None) => return Answer::Silence,
    };
    let vectors: Vec<Value> = texts.iter().map(|text| json!([text.len() as f64, 0.5, -0.5])).collect();
    let count: usize = texts.iter().map(|text| tokens_of(text.chars().count())).sum();
    let answer = json!({"model": model.id, "embeddings": vectors, "total_duration": placed.loaded_in + 1_000_000,
        "load_duration": placed.loaded_in, "prompt_eval_count": count});
    native(200, &answer).into()
}

pub(super) fn delete(context: &Context<'_>) -> Reply {
    match find(context) {
        Ok(model) => {
            context.shared.memory.state().remove_model(&model.id);
            Reply::empty(200)
        }
        Err(reply) => reply,
    }
}

/// The lines of a pull, one by one.
enum Stage {
    Manifest,
    /// The layers begin: their lines do not say yet how much has come.
    Layers,
    Bytes,
    /// What is left to say.
    End(Vec<Value>),
}

/// `/api/pull`: two layers that come at the same time. Failures are a line, with status 200.
pub(super) fn pull(context: &Context<'_>) -> Answer {
    let body = &context.body;
    let wanted = body["model"].as_str().or(body["name"].as_str()).unwrap_or_default();
    if wanted.is_empty() {
        return native_error(400, "model is required").into();
    }
    let memory = &context.shared.memory;
    let known = |name: &str| {
        let state = memory.state();
        state
            .model(name)
            .cloned()
            .map(|model| (model, true))
            .or_else(|| Some((state.downloadable(name)?, false)))
    };
    let found = known(wanted).or_else(|| known(&format!("{wanted}:latest")));
    let Some((model, present)) = found else {
        let error = json!({"error": "pull model manifest: file does not exist"});
        return lines(context, vec![json!({"status": "pulling manifest"}), error]);
    };
    let [first, second] = layers(&model);
    if present {
        let mut told = vec![json!({"status": "pulling manifest"})];
        told.extend([first, second].map(|layer| layer.line(Some(layer.total))));
        told.extend(success());
        return lines(context, told);
    }
    let download = OwnDownload::begin(memory, model);
    if body["stream"] == false {
        return whole(context, &download);
    }
    let (mut stage, mut told, mut pending) = (Stage::Manifest, u64::MAX, Vec::<Value>::new());
    let flow = Flow::new("application/x-ndjson", move || {
        if let Some(line) = pending.pop() {
            return Step::Send(format!("{line}\n"));
        }
        match &mut stage {
            Stage::Manifest => {
                pending.push(json!({"status": "pulling manifest"}));
                stage = Stage::Layers;
            }
            Stage::Layers => {
                pending.extend([second.line(None), first.line(None)]);
                stage = Stage::Bytes;
            }
            Stage::Bytes => {
                let Some(now) = download.look() else {
                    return Step::End;
                };
                if now.bytes != told {
                    told = now.bytes;
                    let part = told as f64 / now.total().max(1) as f64;
                    pending
                        .extend([second.line(Some(second.part(part))), first.line(Some(first.part(part)))]);
                }
                match now.state {
                    DownloadState::Completed => stage = Stage::End(success()),
                    DownloadState::Failed => {
                        stage = Stage::End(vec![json!({"error": download.failure()})]);
                    }
                    _ if pending.is_empty() => return Step::Wait,
                    _ => {}
                }
            }
            Stage::End(left) if left.is_empty() => return Step::End,
            Stage::End(left) => pending.push(left.remove(0)),
        }
        Step::Send(String::new())
    });
    Answer::Flow(flow)
}

/// The one answer of a pull that is not streamed.
fn whole(context: &Context<'_>, download: &OwnDownload) -> Answer {
    let ended = context.wait_until(|| match download.look().map(|now| now.state) {
        Some(DownloadState::Running | DownloadState::Paused) => None,
        state => Some(state == Some(DownloadState::Completed)),
    });
    match ended {
        Some(true) => native(200, &json!({"status": "success"})).into(),
        Some(false) => native_error(500, &download.failure()).into(),
        None => Answer::Silence,
    }
}

/// Lines that are all known; of a request that wants no stream, the last one only.
fn lines(context: &Context<'_>, lines: Vec<Value>) -> Answer {
    if context.body["stream"] == false {
        let last = lines.last().cloned().unwrap_or_default();
        let status = if last["error"].is_string() { 500 } else { 200 };
        return native(status, &last).into();
    }
    let mut left = lines.into_iter();
    Answer::Flow(Flow::new("application/x-ndjson", move || {
        left.next().map_or(Step::End, |line| Step::Send(format!("{line}\n")))
    }))
}

fn success() -> Vec<Value> {
    ["verifying sha256 digest", "writing manifest", "success"]
        .map(|status| json!({"status": status}))
        .to_vec()
}

/// `Layer` is a part of a model that comes on its own.
struct Layer {
    digest: String,
    total: u64,
}

impl Layer {
    fn line(&self, completed: Option<u64>) -> Value {
        let mut line = json!({"status": format!("pulling {}", &self.digest[..12]),
            "digest": format!("sha256:{}", self.digest), "total": self.total});
        if let Some(completed) = completed {
            line["completed"] = json!(completed);
        }
        line
    }

    fn part(&self, part: f64) -> u64 {
        (self.total as f64 * part) as u64
    }
}

/// The weights and, beside them, everything else.
fn layers(model: &Model) -> [Layer; 2] {
    let weights = model.size_bytes / 20 * 19;
    let whole = digest(model);
    let other: String = whole.chars().rev().collect();
    [Layer { digest: whole, total: weights }, Layer { digest: other, total: model.size_bytes - weights }]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keep_alive_is_read_as_go_reads_it() {
        let read = |value: Value| keep_alive(&value);
        let seconds = |seconds| Ok(Some(Duration::from_secs(seconds)));
        assert_eq!(read(json!("1h30m")), seconds(5400));
        assert_eq!(read(json!(300)), seconds(300));
        assert_eq!(read(json!("0")), seconds(0));
        assert_eq!(read(json!("0s")), seconds(0));
        assert_eq!(read(json!("1.5s")), Ok(Some(Duration::from_millis(1500))));
        for forever in [json!(-1), json!("-1s"), json!(-0.5)] {
            assert_eq!(read(forever), Ok(None));
        }
        assert_eq!(read(Value::Null), Ok(Some(OLLAMA_KEEPS)));
        assert!(read(json!("300")).is_err_and(|message| message.contains("missing unit")));
        for bad in [json!("abc"), json!(""), json!("5x"), json!(true)] {
            assert!(read(bad.clone()).is_err(), "{bad}");
        }
    }
}
