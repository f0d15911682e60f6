//! What a server has in memory, for Python: listed, loaded, unloaded, switched, downloaded.
//!
//! Each is a `Call` that gives a dict; its `progress` tells how far it is. Not here: what is asked of a server (the library).

use std::sync::Arc;

use pyo3::prelude::*;
use serde::Serialize;
use serde_json::json;
use xdev_llm::{Error, KeepAlive, LoadRequest, MemoryEvent, MemoryTask, Unload};

use crate::arguments::{self, CONTEXT_LENGTH};
use crate::client::choose;
use crate::operation::{Operation, Value, interrupted, start_followed};
use crate::run::Call;
use crate::{error, runtime};

/// The number of a stay: seconds, or -1 for ever.
fn keep_alive(seconds: Option<i64>) -> Result<Option<KeepAlive>, Error> {
    arguments::whole("keep_alive", seconds, -1, u32::MAX.into())?;
    Ok(seconds.map(arguments::stay))
}

fn request(
    model: Option<String>,
    context_length: Option<i64>,
    seconds: Option<i64>,
    must_unload: bool,
) -> Result<LoadRequest, Error> {
    arguments::whole("context_length", context_length, CONTEXT_LENGTH.0, CONTEXT_LENGTH.1)?;
    Ok(LoadRequest {
        model: model.unwrap_or_default(),
        context_length: context_length.map(|length| length as u32),
        keep_alive: keep_alive(seconds)?,
        must_unload,
    })
}

/// What the call's `progress` shows of an event.
fn told(event: MemoryEvent) -> serde_json::Value {
    match event {
        MemoryEvent::Loading { model, share } => {
            json!({"phase": "loading_model", "model": model, "value": share})
        }
        MemoryEvent::Unloading { model } => json!({"phase": "unloading_model", "model": model}),
        MemoryEvent::Pulling(pulling) => {
            let mut told = serde_json::to_value(pulling).unwrap_or_default();
            told["phase"] = json!("pulling_model");
            told
        }
    }
}

/// Shows what happens and gives what comes of it.
async fn follow<T: Serialize + Send + 'static>(
    operation: &Operation,
    mut task: MemoryTask<T>,
) -> Result<Value, Error> {
    while let Some(event) = task.next().await {
        operation.state().progress = Some(told(event));
    }
    let outcome = task.finish().await?;
    Ok(Value::Json(Arc::new(serde_json::to_value(outcome).unwrap_or_default())))
}

/// Lists what is in memory.
pub(crate) fn loaded(py: Python<'_>, client: xdev_llm::Client, server: Option<String>) -> PyResult<Call> {
    let asked = start_followed(py, move |_| async move {
        let loaded = choose(&client, server.as_deref(), false).await?.loaded().await?;
        Ok(Value::Json(Arc::new(serde_json::to_value(loaded).unwrap_or_default())))
    })?;
    Ok(Call::new(asked))
}

/// `Wanted` is a model to load, as Python asks for it.
pub(crate) struct Wanted {
    pub(crate) model: Option<String>,
    pub(crate) server: Option<String>,
    pub(crate) context_length: Option<i64>,
    pub(crate) keep_alive: Option<i64>,
    pub(crate) must_unload: bool,
}

/// Loads, or with `instead` puts it in the place of all others.
pub(crate) fn load(
    py: Python<'_>,
    client: xdev_llm::Client,
    wanted: Wanted,
    instead: bool,
) -> PyResult<Call> {
    let Wanted { model, server, context_length, keep_alive, must_unload } = wanted;
    let request =
        request(model, context_length, keep_alive, must_unload).map_err(|wrong| error::plain(py, &wrong))?;
    let loading = start_followed(py, move |operation| async move {
        let server = choose(&client, server.as_deref(), false).await?;
        if instead {
            return follow(&operation, server.switch(request)).await;
        }
        follow(&operation, server.load(request)).await
    })?;
    Ok(Call::new(loading))
}

/// Unloads; nothing ends that once it was asked for.
pub(crate) fn unload(
    py: Python<'_>,
    client: xdev_llm::Client,
    what: Unload,
    server: Option<String>,
) -> PyResult<Call> {
    let runtime = runtime::runtime(py)?;
    let unloading = start_followed(py, move |operation| async move {
        let whole = async move {
            let server = choose(&client, server.as_deref(), false).await?;
            follow(&operation, server.unload(what)).await
        };
        runtime.spawn(whole).await.unwrap_or_else(|_| Err(interrupted()))
    })?;
    Ok(Call::new(unloading))
}

/// Forecasts.
pub(crate) fn forecast(py: Python<'_>, client: xdev_llm::Client, wanted: Wanted) -> PyResult<Call> {
    let Wanted { model, server, context_length, .. } = wanted;
    let request = request(model, context_length, None, false).map_err(|wrong| error::plain(py, &wrong))?;
    let asked = start_followed(py, move |_| async move {
        let server = choose(&client, server.as_deref(), false).await?;
        let forecast = server.forecast(&request.model, request.context_length).await?;
        let mut told = serde_json::to_value(&forecast).unwrap_or_default();
        told["sentence"] = json!(forecast.to_string());
        Ok(Value::Json(Arc::new(told)))
    })?;
    Ok(Call::new(asked))
}

/// Downloads.
pub(crate) fn pull(
    py: Python<'_>,
    client: xdev_llm::Client,
    model: String,
    server: Option<String>,
) -> PyResult<Call> {
    let pulling = start_followed(py, move |operation| async move {
        let server = choose(&client, server.as_deref(), false).await?;
        follow(&operation, server.pull(&model)).await
    })?;
    Ok(Call::new(pulling))
}
