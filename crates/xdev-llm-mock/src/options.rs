//! What a mock is started with. What of it may change later is told by the control routes, and by `Mock::change_options`.

use std::net::SocketAddr;
use std::time::Duration;

use crate::model::Model;
use crate::personality::Personality;
use crate::script::Script;

/// `Options` says which server is played and with what.
#[derive(Debug, Clone)]
pub struct Options {
    /// The server to be.
    pub personality: Personality,
    /// Where to listen; port 0 for any free one.
    pub address: SocketAddr,
    /// The key asked for, on the paths that server protects. LM Studio 0.3 and Ollama know none.
    pub api_key: Option<String>,
    /// The models installed.
    pub models: Vec<Model>,
    /// The longest prompt in characters; `None` for no limit. A token is counted as four characters.
    pub context: Option<usize>,
    /// Whether a chat loads its model: LM Studio's just-in-time loading, which also lists every model, and autoload of
    /// llama.cpp's router. The others that can always do.
    pub just_in_time: bool,
    /// LM Studio: a load by a chat unloads what other chats loaded, and cuts the generations that run on it.
    pub auto_evict: bool,
    /// How many models are in memory at most; the one used longest ago gives way. `None` for no limit.
    pub max_loaded: Option<usize>,
    /// The GPU's memory; `None` for no limit. A load beyond it fails, except on Ollama, which takes the machine's.
    pub vram_total_bytes: Option<u64>,
    /// The machine's memory, which Ollama takes for what the GPU has no room for; `None` for no limit.
    pub ram_total_bytes: Option<u64>,
    /// The time a model takes to come into memory.
    pub load_delay: Duration,
    /// The time a model takes to go out of memory; lists have it meanwhile, where that server's lists do.
    pub unload_delay: Duration,
    /// llama.cpp's `--sleep-idle-seconds`: a model that was idle for so long gives its memory back until it is asked for an
    /// answer; `None` for never.
    pub sleep_after: Option<Duration>,
    /// Every load fails with this text, once its time is over.
    pub load_failure: Option<String>,
    /// Unloads are answered with yes, and the model stays.
    pub unload_sticks: bool,
    /// The models that can be downloaded.
    pub catalog: Vec<Model>,
    /// The time a download takes.
    pub download_delay: Duration,
    /// Every download fails with this text when half of it has come.
    pub download_failure: Option<String>,
    /// Downloads stop half way and wait.
    pub download_paused: bool,
    /// Whether the server was started with what lets it be managed: vLLM's `VLLM_SERVER_DEV_MODE=1` and
    /// `--enable-sleep-mode`, KoboldCpp's `--admin`. The others need nothing.
    pub admin: bool,
    /// The key text-generation-webui and TabbyAPI ask for before they load or unload; `None` for the plain one.
    pub admin_key: Option<String>,
    /// The script of every chat.
    pub script: Script,
}

impl From<Personality> for Options {
    fn from(personality: Personality) -> Options {
        Options {
            personality,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            api_key: None,
            models: Model::defaults(personality),
            context: None,
            just_in_time: true,
            auto_evict: true,
            max_loaded: personality.max_loaded(),
            vram_total_bytes: None,
            ram_total_bytes: None,
            load_delay: Duration::ZERO,
            unload_delay: Duration::ZERO,
            sleep_after: None,
            load_failure: None,
            unload_sticks: false,
            catalog: Model::downloadable(personality),
            download_delay: Duration::ZERO,
            download_failure: None,
            download_paused: false,
            admin: false,
            admin_key: None,
            script: Script::default(),
        }
    }
}

impl Default for Options {
    fn default() -> Options {
        Options::from(Personality::Generic)
    }
}
