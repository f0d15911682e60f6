//! The device that a server's models are in, where the server runs on this machine: measured, and forecast.

use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::time::{Instant, sleep};
use url::Host;

use super::super::server::Server;
use super::outcome::DeviceChange;
use crate::device::{Device, DeviceKind};
use crate::error::Result;
use crate::forecast::{CacheType, Forecast, LoadPlan, Shape, Verdict, forecast};
use crate::model::{LoadState, ModelInfo, is_same_model};
use crate::wire::manage::Launch;
use crate::wire::{Call, ServerKind};

/// The context that servers give when none is asked for: LM Studio and Ollama on small cards.
const USUAL_CONTEXT: u32 = 4096;
/// How long the driver may take to count memory as free that a server gave back.
const SETTLES_WITHIN: Duration = Duration::from_secs(5);
/// How long it is watched at least where nobody told how much is to come back.
const SETTLES_AFTER: Duration = Duration::from_millis(300);
/// The pause between two looks at the device.
const PAUSE: Duration = Duration::from_millis(50);
/// The part of what a server said it held that must be free again: it counts some of it twice, or leaves a little.
const SURELY_BACK: f64 = 0.75;

impl Server {
    /// Says whether a model would fit, before it is loaded: its size and the cache of that context, held against what is free
    /// on the device. Sends nothing that loads.
    ///
    /// Without a context, or where the server cannot be told, it is the one that the server gives by itself: llama.cpp's is
    /// told, Ollama's goes by the size of the GPU, and elsewhere it is taken for 4,096 tokens.
    pub async fn forecast(&self, model: &str, context_length: Option<u32>) -> Result<Forecast> {
        let (way, _) = self.way().await?;
        let (id, _) = self.spelled(model, way).await?;
        let models = self.models().await?;
        let found = models.iter().find(|known| known.id == id).cloned();
        let info = found.unwrap_or_else(|| ModelInfo::new(id.clone()));
        let launch = self.launch(&id).await;
        let shape = self.shape(&info, launch.as_ref()).await;
        let loaded = self.listing(way).await?.models;
        let others = loaded
            .iter()
            .filter(|other| !is_same_model(&id, &other.id))
            .map(|other| (other.name().to_owned(), other.vram_bytes.or(other.size_bytes).unwrap_or(0)));
        let limit = info.context_length.or(shape.context_length_max).unwrap_or(u32::MAX);
        let mut device = self.device().await;
        let usual = match &launch {
            Some(launch) => launch.context_length.unwrap_or(limit),
            None => self.usual_context(device.as_ref()).await,
        };
        let plan = LoadPlan {
            model: &id,
            shape: &shape,
            context_length: context_length
                .filter(|_| way.manners().takes_context)
                .unwrap_or(usual)
                .min(limit),
            cache_type: CacheType::F16,
        };
        // What the model itself holds comes free when it is loaded anew.
        if let Some(device) = &mut device {
            let own = loaded.iter().filter(|it| is_same_model(&id, &it.id) && it.state == LoadState::Loaded);
            let own: u64 = own.map(|it| it.vram_bytes.or(it.size_bytes).unwrap_or(0)).sum();
            device.free_bytes = device.free_bytes.saturating_add(own).min(device.total_bytes);
        }
        Ok(forecast(&plan, device.as_ref(), &others.collect::<Vec<_>>()))
    }

    /// The context that is given when none is asked for. docs.ollama.com/context-length.
    async fn usual_context(&self, device: Option<&Device>) -> u32 {
        let gpu =
            device.filter(|device| device.kind == DeviceKind::Gpu).map_or(0, |device| device.total_bytes);
        let is_ollama = self.kind().await.is_ok_and(|kind| kind == ServerKind::OLLAMA);
        match gpu >> 30 {
            48.. if is_ollama => 262_144,
            24.. if is_ollama => 32_768,
            _ => USUAL_CONTEXT,
        }
    }

    /// What decides the memory that a model takes, as far as the server tells it.
    async fn shape(&self, info: &ModelInfo, launch: Option<&Launch>) -> Shape {
        let size = info.size_bytes.unwrap_or(0);
        if let Some(metadata) = self.metadata(&info.id).await {
            return Shape::from_metadata(&metadata, size);
        }
        if let Some(file) = launch.and_then(|launch| launch.file.clone()).filter(|_| self.is_here()) {
            let read = tokio::task::spawn_blocking(move || Shape::from_gguf(&file).ok()).await;
            if let Ok(Some(shape)) = read {
                return shape;
            }
        }
        let mut shape = Shape::from_size(size, info.parameters, info.quantization.as_deref());
        shape.context_length_max = info.context_length;
        shape
    }

    /// What Ollama tells of a model's inside.
    async fn metadata(&self, id: &str) -> Option<Map<String, Value>> {
        let kind = self.kind().await.ok()?;
        if kind != ServerKind::OLLAMA {
            return None;
        }
        let body = [("model".to_owned(), json!(id))].into_iter().collect();
        let dialect = self.dialect().await.ok()?;
        let call = Call::post("/api/show", body, &[], Vec::new());
        let (_, body) = self.ask(&call, &*dialect).await.ok()?;
        let mut body: Value = serde_json::from_slice(&body).ok()?;
        match body.get_mut("model_info").map(Value::take) {
            Some(Value::Object(metadata)) => Some(metadata),
            _ => None,
        }
    }

    /// How llama.cpp starts a model.
    async fn launch(&self, id: &str) -> Option<Launch> {
        if self.kind().await.ok()? != ServerKind::LLAMA_CPP {
            return None;
        }
        let dialect = self.dialect().await.ok()?;
        let (_, body) = self.ask(&Call::get("/models"), &*dialect).await.ok()?;
        Launch::read(&serde_json::from_slice(&body).ok()?, id)
    }

    /// Whether it runs on this machine.
    fn is_here(&self) -> bool {
        match self.place.root.host() {
            Some(Host::Ipv4(ip)) => ip.is_loopback(),
            Some(Host::Ipv6(ip)) => ip.is_loopback(),
            Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
            None => false,
        }
    }

    /// The memory of this machine that its models are in; none where it runs elsewhere.
    pub(super) async fn device(&self) -> Option<Device> {
        let source = self.inner.devices.clone().filter(|_| self.is_here())?;
        // Opening the driver's library takes tens of milliseconds.
        let visible = std::env::var("CUDA_VISIBLE_DEVICES").ok();
        tokio::task::spawn_blocking(move || source.memory(visible.as_deref())).await.ok()?
    }

    /// What became of the device's memory. After an unload (`rises`) the driver may take a moment to count it as free.
    pub(super) async fn change_since(
        &self,
        before: Option<Device>,
        given_back: Option<u64>,
        rises: bool,
    ) -> Option<DeviceChange> {
        let before = before?;
        let start = Instant::now();
        let mut last = None;
        loop {
            let now = self.device().await.filter(|now| now.name == before.name)?;
            let rose = now.free_bytes.saturating_sub(before.free_bytes) as f64;
            let is_back = given_back.map(|bytes| rose >= SURELY_BACK * bytes as f64);
            // Where nothing was told, it has come back when it rises no more.
            let is_still = start.elapsed() > SETTLES_AFTER && last == Some(now.free_bytes);
            let is_settled = is_back.unwrap_or(is_still) || start.elapsed() > SETTLES_WITHIN;
            // Main memory goes up and down with everything else that runs.
            if !rises || now.kind != DeviceKind::Gpu || is_settled {
                return Some(DeviceChange {
                    name: now.name,
                    kind: now.kind,
                    total_bytes: now.total_bytes,
                    free_bytes_before: before.free_bytes,
                    free_bytes_after: now.free_bytes,
                    is_back: is_back.filter(|_| rises),
                });
            }
            last = Some(now.free_bytes);
            sleep(PAUSE).await;
        }
    }

    /// Whether a model fits beside those that are loaded. Where that is not known, it does not.
    pub(super) async fn fits_beside(&self, id: &str, context_length: Option<u32>) -> bool {
        let forecast = self.forecast(id, context_length).await;
        forecast.is_ok_and(|forecast| forecast.verdict == Verdict::Fits)
    }

    /// Which processes hold memory of the device, in words; empty where that is not told.
    pub(super) async fn holders(&self) -> String {
        let Some(device) = self.device().await else { return String::new() };
        holders_in_words(&device)
    }
}

#[cfg(feature = "device")]
fn holders_in_words(device: &Device) -> String {
    let held = crate::device::holders(device);
    let words = held.iter().take(4).map(|holder| {
        let name = holder.name.as_deref().unwrap_or("a process");
        let bytes = holder.used_bytes.map(crate::forecast::bytes_in_words);
        match bytes {
            Some(bytes) => format!("{name} (process {}) holds {bytes}", holder.pid),
            None => format!("{name} (process {})", holder.pid),
        }
    });
    let words: Vec<String> = words.collect();
    if words.is_empty() { String::new() } else { format!(" On {}: {}.", device.name, words.join(", ")) }
}

#[cfg(not(feature = "device"))]
fn holders_in_words(_device: &Device) -> String {
    String::new()
}
