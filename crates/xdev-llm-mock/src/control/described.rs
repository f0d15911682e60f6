//! Models and options as the JSON of the control routes. Times are milliseconds, memory is bytes.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::memory::{Instance, State};
use crate::model::{Model, ModelKind};
use crate::options::Options;

/// Every model with what is done with it: its instances, and how often it was loaded, loaded anew and unloaded.
pub(super) fn models(state: &State) -> Value {
    state.models().iter().map(|model| describe(state, model)).collect()
}

fn describe(state: &State, model: &Model) -> Value {
    let counts = state.counts(&model.id);
    let instances: Value = state.instances_of(&model.id).map(|one| instance(state, one)).collect();
    json!({"id": model.id, "loaded": model.loaded, "kind": model.kind.name(), "thinking": model.thinking,
        "tools": model.tools, "context_length": model.context_length, "size_bytes": model.size_bytes,
        "vram_bytes": model.vram_bytes, "quantization": model.quantization, "loads": counts.loads,
        "reloads": counts.reloads, "unloads": counts.unloads, "instances": instances})
}

fn instance(state: &State, one: &Instance) -> Value {
    json!({"id": one.id, "state": one.state.name(), "context_length": one.context_length,
        "just_in_time": one.just_in_time, "keep_ms": one.keep.map(milliseconds), "running": one.running,
        "failure": one.failure, "vram_bytes": state.vram_of(one)})
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Takes models: an array stands in the place of all there are, an object is added or stands in the place of one.
pub(super) fn tell_models(state: &mut State, told: &Value) -> Result<(), String> {
    match told {
        Value::Array(list) => {
            let models = list.iter().map(|one| read(state, one)).collect::<Result<Vec<Model>, String>>()?;
            state.set_models(models);
        }
        one => {
            let model = read(state, one)?;
            state.add_model(model);
        }
    }
    Ok(())
}

/// Reads a model: a name, or an object with an `id` and what is not as usual, or as it was.
fn read(state: &State, told: &Value) -> Result<Model, String> {
    if let Some(id) = told.as_str() {
        return Ok(Model::new(id));
    }
    let fields = told.as_object().ok_or("a model is a name or an object with an `id`")?;
    let id = fields.get("id").and_then(Value::as_str).ok_or("a model needs an `id`")?;
    let known = state.models().into_iter().find(|model| model.id == id);
    let mut model = known.unwrap_or_else(|| Model::new(id));
    // The kind comes first: it says what is usual for the rest.
    if let Some(told) = fields.get("kind") {
        let kinds = [ModelKind::Text, ModelKind::Vision, ModelKind::Embedding];
        let kind = kinds.into_iter().find(|kind| told == kind.name());
        model = model.kind(kind.ok_or_else(|| format!("model field `kind` does not take {told}"))?);
    }
    for (name, value) in fields {
        let fail = || format!("model field `{name}` does not take {value}");
        match name.as_str() {
            "id" | "kind" => {}
            "loaded" => model.loaded = value.as_bool().ok_or_else(fail)?,
            "thinking" => model.thinking = value.as_bool().ok_or_else(fail)?,
            "tools" => model.tools = value.as_bool().ok_or_else(fail)?,
            "context_length" => model.context_length = value.as_u64().ok_or_else(fail)? as usize,
            "size_bytes" => model.size_bytes = value.as_u64().ok_or_else(fail)?,
            "vram_bytes" => model.vram_bytes = optional(value, Value::as_u64, fail)?,
            "quantization" => value.as_str().ok_or_else(fail)?.clone_into(&mut model.quantization),
            _ => return Err(format!("model field `{name}` is not known")),
        }
    }
    Ok(model)
}

/// A value that may be null.
fn optional<T>(
    value: &Value,
    read: impl Fn(&Value) -> Option<T>,
    fail: impl Fn() -> String,
) -> Result<Option<T>, String> {
    if value.is_null() { Ok(None) } else { read(value).map(Some).ok_or_else(fail) }
}

/// The options that may change while the server runs.
pub(super) fn options(options: &Options) -> Value {
    json!({"just_in_time": options.just_in_time, "auto_evict": options.auto_evict, "max_loaded": options.max_loaded,
        "vram_total_bytes": options.vram_total_bytes, "ram_total_bytes": options.ram_total_bytes,
        "load_delay_ms": milliseconds(options.load_delay), "unload_delay_ms": milliseconds(options.unload_delay),
        "sleep_after_ms": options.sleep_after.map(milliseconds), "load_failure": options.load_failure, "unload_sticks": options.unload_sticks,
        "download_delay_ms": milliseconds(options.download_delay), "download_failure": options.download_failure,
        "download_paused": options.download_paused, "admin": options.admin})
}

/// Changes the options that are named; nothing changes when one of them is wrong.
pub(super) fn tell_options(options: &mut Options, told: &Value) -> Result<(), String> {
    let fields: &Map<String, Value> = told.as_object().ok_or("the options are an object")?;
    let mut changed = options.clone();
    for (name, value) in fields {
        tell_option(&mut changed, name, value)?;
    }
    *options = changed;
    Ok(())
}

fn tell_option(options: &mut Options, name: &str, value: &Value) -> Result<(), String> {
    let fail = || format!("option `{name}` does not take {value}");
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let time = |value: &Value| {
        let time = value.as_f64().and_then(|time| Duration::try_from_secs_f64(time / 1e3).ok());
        time.ok_or_else(fail)
    };
    let flag = |value: &Value| value.as_bool().ok_or_else(fail);
    match name {
        "just_in_time" => options.just_in_time = flag(value)?,
        "auto_evict" => options.auto_evict = flag(value)?,
        "max_loaded" => {
            options.max_loaded = optional(value, Value::as_u64, fail)?.map(|limit| limit as usize);
        }
        "vram_total_bytes" => options.vram_total_bytes = optional(value, Value::as_u64, fail)?,
        "ram_total_bytes" => options.ram_total_bytes = optional(value, Value::as_u64, fail)?,
        "load_delay_ms" => options.load_delay = time(value)?,
        "unload_delay_ms" => options.unload_delay = time(value)?,
        "sleep_after_ms" => {
            let time = |value: &Value| Duration::try_from_secs_f64(value.as_f64()? / 1e3).ok();
            options.sleep_after = optional(value, time, fail)?;
        }
        "load_failure" => options.load_failure = optional(value, text, fail)?,
        "unload_sticks" => options.unload_sticks = flag(value)?,
        "download_delay_ms" => options.download_delay = time(value)?,
        "download_failure" => options.download_failure = optional(value, text, fail)?,
        "download_paused" => options.download_paused = flag(value)?,
        "admin" => options.admin = flag(value)?,
        _ => return Err(format!("option `{name}` is not known")),
    }
    Ok(())
}
