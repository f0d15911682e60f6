//! `Investigation` tells servers apart by what they answer to a few GETs.
//!
//! Every conclusion is drawn anew from all that was heard; the port only decides what is asked first. A status alone
//! proves nothing: LM Studio and single-page apps answer 200 to everything. The tables hold what is documented or was
//! recorded of each product.
//! Not here: sockets, time limits and the list of ports (`client`), how a known server is spoken to (the dialects).

mod heard;

use serde_json::Value;

use self::heard::{GREETING, Heard};
use super::json::text;
use super::{ServerKind, lmstudio, ollama, openai};
use crate::model::ModelInfo;

/// `Answer` is what came back for one GET.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// The path that was asked for.
    pub path: &'a str,
    /// The HTTP status.
    pub status: u16,
    /// The headers, with names in lower case.
    pub headers: &'a [(String, String)],
    /// The body; at most 64 KiB of it are read.
    pub body: &'a [u8],
}

/// `Identity` is what is known of a server that was recognised.
#[derive(Clone, Debug, PartialEq)]
pub struct Identity {
    /// The product.
    pub kind: ServerKind,
    /// Its version, as it tells it; for LM Studio `>=0.4.0` or `0.3`, by the API it has.
    pub version: Option<String>,
    /// Whether it answered 401 or 403 to a question without a key.
    pub needs_key: bool,
    /// Whether it is still loading its model.
    pub loading: bool,
    /// The models, where an answer listed them; whether they are loaded may be unknown.
    pub models: Option<Vec<ModelInfo>>,
}

/// `Verdict` says what answers at an address.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// A model server.
    Server(Identity),
    /// Something else; the text says what, for people.
    Stranger(String),
}

/// The most questions one server is asked.
const MAX_QUESTIONS: usize = 16;

/// What each usual port is asked first.
const FIRST: &[(u16, &[&str])] = &[
    (1234, &[GREETING]),
    (11434, &["/"]),
    (10000, &["/"]),
    (12434, &["/"]),
    (8080, &["/props"]),
    (9931, &["/props"]),
    (13305, &["/v1/health"]),
    (5000, &["/.well-known/serviceinfo"]),
    (5001, &["/api/extra/version"]),
    (4000, &["/health/liveliness"]),
    (3000, &["/api/config"]),
    (3001, &["/api/ping"]),
    (8188, &["/system_stats"]),
];

/// What everything is asked: the list of models says most, then the greeting and the root.
const TRUNK: &[&str] = &["/v1/models", GREETING, "/"];

/// What a model server is asked that nothing has named yet. SGLang's and LiteLLM's `/health` run models, so it is no
/// question here.
const TELL_TALES: &[&str] = &[
    "/.well-known/serviceinfo",
    "/.well-known/localai.json",
    "/api/version",
    "/running",
    "/v1/health",
    "/health/liveliness",
    "/get_model_info",
    "/api/extra/version",
    "/v1/internal/health",
];

/// What a web page is asked, to say by name which front end it is.
const FRONT_ENDS: &[&str] = &["/api/config", "/api/ping", "/system_stats"];

/// What something that says "Ollama is running" is asked when its models do not look like Ollama's.
const OLLAMA_FAKERS: &[&str] =
    &["/api/extra/version", "/get_model_info", "/.well-known/localai.json", "/v1/health"];

/// What a known server is still asked: its version, its models, whether it wants a key.
fn details(kind: &ServerKind) -> &'static [&'static str] {
    match kind.as_str() {
        "lmstudio" => &["/api/v1/models"],
        "ollama" => &[],
        "llama.cpp" => &["/props"],
        "vllm" => &["/v1/models", "/version"],
        "koboldcpp" => &["/v1/models", "/api/extra/version"],
        "lemonade" => &["/v1/models", "/v1/health"],
        "litellm" => &["/v1/models", "/health/readiness"],
        _ => &["/v1/models"],
    }
}

/// Where a version stands: the kind, the path and the place in the JSON.
const VERSIONS: &[(ServerKind, &str, &str)] = &[
    (ServerKind::OLLAMA, "/api/version", "/version"),
    (ServerKind::LLAMA_SWAP, "/api/version", "/version"),
    (ServerKind::LLAMA_CPP, "/props", "/build_info"),
    (ServerKind::VLLM, "/version", "/version"),
    (ServerKind::KOBOLDCPP, "/api/extra/version", "/version"),
    (ServerKind::KOBOLDCPP, "/.well-known/serviceinfo", "/software/version"),
    (ServerKind::TABBYAPI, "/.well-known/serviceinfo", "/software/version"),
    (ServerKind::LOCALAI, "/.well-known/localai.json", "/version"),
    (ServerKind::LEMONADE, "/v1/health", "/version"),
    (ServerKind::LITELLM, "/health/readiness", "/litellm_version"),
];

/// `Investigation` finds out what answers at one address, one GET after the other.
///
/// Ask [`next`](Investigation::next), send that GET, tell the answer; at `None`, or whenever time is up, take the
/// [`verdict`](Investigation::verdict).
#[derive(Debug)]
pub struct Investigation {
    port: u16,
    heard: Vec<Heard>,
}

impl Investigation {
    /// Begins with nothing known. The port only decides what is asked first.
    pub fn new(port: u16) -> Self {
        Investigation { port, heard: Vec::new() }
    }

    /// The path to GET next; `None` when nothing more need be asked.
    pub fn next(&self) -> Option<&'static str> {
        let silences = self.heard.iter().filter(|heard| heard.status == 0).count();
        if self.heard.len() >= MAX_QUESTIONS || silences >= 2 || self.stranger().is_some() {
            return None;
        }
        if let Some(kind) = self.kind() {
            return self.unasked(details(&kind));
        }
        let first = FIRST.iter().find(|(port, _)| *port == self.port).map_or(&[][..], |(_, paths)| paths);
        let rest = if self.is_model_server() {
            TELL_TALES
        } else if self.heard.iter().any(|heard| heard.page.is_some()) {
            FRONT_ENDS
        } else {
            &[]
        };
        [self.suspicion(), first, TRUNK, rest].into_iter().find_map(|paths| self.unasked(paths))
    }

    /// Takes in the answer to the question that [`next`](Investigation::next) gave.
    pub fn observe(&mut self, answer: &Answer<'_>) {
        self.heard.push(Heard::new(answer));
    }

    /// Takes in that no answer came: reset, hung up, or not HTTP. After two of these nothing more is asked.
    pub fn no_answer(&mut self) {
        if let Some(path) = self.next() {
            self.heard.push(Heard::silence(path));
        }
    }

    /// What answers there, by all that was heard so far.
    pub fn verdict(self) -> Verdict {
        if let Some(what) = self.stranger() {
            return Verdict::Stranger(what.to_owned());
        }
        let kind = self.kind().or_else(|| self.is_model_server().then_some(ServerKind::GENERIC));
        let Some(kind) = kind else { return Verdict::Stranger(self.why_not()) };
        Verdict::Server(Identity {
            version: self.version(&kind),
            needs_key: self.heard.iter().any(|heard| heard.is_refusal() || heard.json["protected"] == true),
            loading: self.heard.last().is_some_and(Heard::is_loading),
            models: self.models(&kind),
            kind,
        })
    }

    fn unasked(&self, paths: &'static [&'static str]) -> Option<&'static str> {
        paths.iter().copied().find(|path| self.answer(path).is_none())
    }

    fn answer(&self, path: &str) -> Option<&Heard> {
        self.heard.iter().find(|heard| heard.path == path)
    }

    /// The JSON of an answer with status 200.
    fn json(&self, path: &str) -> Option<&Value> {
        self.answer(path).filter(|heard| heard.status == 200).map(|heard| &heard.json)
    }

    fn stranger(&self) -> Option<&'static str> {
        self.heard.iter().find_map(Heard::stranger)
    }

    fn is_model_server(&self) -> bool {
        self.heard.iter().any(|heard| heard.is_model_list() || heard.wants_key())
    }

    /// The product: what one answer gives away, or several together.
    fn kind(&self) -> Option<ServerKind> {
        self.heard.iter().find_map(Heard::kind).or_else(|| self.kind_by_several())
    }

    fn kind_by_several(&self) -> Option<ServerKind> {
        let models = self.answer("/v1/models");
        let owner = models.filter(|models| models.is_model_list()).and_then(Heard::owned_by);
        let status_ok = |path| self.json(path).is_some_and(|json| text(json, "status") == Some("ok"));
        let version = |path| self.json(path).is_some_and(|json| text(json, "version").is_some());
        if self.heard.iter().any(Heard::is_jan) {
            return Some(ServerKind::JAN);
        }
        if owner == Some("local") && self.says("OK") {
            return Some(ServerKind::MISTRAL_RS);
        }
        if self.is_model_server() && status_ok("/v1/internal/health") {
            return Some(ServerKind::TEXT_GENERATION_WEBUI);
        }
        if self.suspects_vllm() && version("/version") {
            return Some(ServerKind::VLLM);
        }
        if self.suspects_mlx() && status_ok("/health") {
            return Some(ServerKind::MLX);
        }
        ollama::read_tags(self.json("/api/tags")?)?;
        let genuine = self.answer("/api/tags").is_some_and(Heard::is_genuine_ollama)
            || self.unasked(OLLAMA_FAKERS).is_none();
        (self.says("Ollama is running") && version("/api/version") && genuine).then_some(ServerKind::OLLAMA)
    }

    /// The questions that what was heard makes urgent.
    fn suspicion(&self) -> &'static [&'static str] {
        if self.says("Ollama is running") {
            let talks =
                self.answer("/api/version").is_none_or(|heard| text(&heard.json, "version").is_some());
            if talks && self.unasked(&["/api/version", "/api/tags"]).is_some() {
                return &["/api/version", "/api/tags"];
            }
            if talks {
                return OLLAMA_FAKERS;
            }
        }
        if self.answer("/system_stats").is_some_and(Heard::is_kobold_device) {
            return &["/api/extra/version"];
        }
        if self.suspects_vllm() {
            return &["/version"];
        }
        if self.suspects_mlx() {
            return &["/health"];
        }
        match self.answer("/v1/models") {
            Some(models) if text(&models.json["error"], "type") == Some("auth_error") => {
                &["/health/liveliness"]
            }
            Some(models) if models.is_by_user() => &["/v1/internal/health"],
            _ => &[],
        }
    }

    /// Whether the root says just this.
    fn says(&self, what: &str) -> bool {
        self.answer("/").is_some_and(|root| root.status == 200 && root.text == what)
    }

    /// vLLM guards only `/v1`, and refuses with one word.
    fn suspects_vllm(&self) -> bool {
        self.answer("/v1/models")
            .is_some_and(|models| models.wants_key() && models.json["error"] == "Unauthorized")
    }

    /// mlx_lm lists models without an owner and answers plain text to what it does not know.
    fn suspects_mlx(&self) -> bool {
        self.answer("/v1/models").is_some_and(Heard::is_ownerless)
            && self.heard.iter().any(|heard| heard.status == 404 && heard.text == "Not Found")
    }

    fn version(&self, kind: &ServerKind) -> Option<String> {
        if *kind == ServerKind::LM_STUDIO {
            let models = self.answer("/api/v1/models")?;
            let newer = models.json.get("models").is_some() || models.is_refusal();
            let older = models.json.get("error").is_some();
            return newer.then_some(">=0.4.0").or(older.then_some("0.3")).map(str::to_owned);
        }
        let by_header = self.heard.iter().filter_map(|heard| heard.product.as_ref());
        let mut by_header =
            by_header.filter(|(product, _)| product == kind).filter_map(|(_, version)| version.clone());
        let by_body = || {
            let mut places = VERSIONS.iter().filter(|(of, _, _)| of == kind);
            places.find_map(|(_, path, place)| self.json(path)?.pointer(place)?.as_str())
        };
        by_header.next().or_else(|| by_body().map(str::to_owned))
    }

    fn models(&self, kind: &ServerKind) -> Option<Vec<ModelInfo>> {
        match kind.as_str() {
            "lmstudio" => lmstudio::read_native_models(self.json("/api/v1/models")?),
            "ollama" => ollama::read_tags(self.json("/api/tags")?),
            _ => openai::read_models(self.json("/v1/models")?),
        }
    }

    /// Why what was heard is not taken for a model server.
    fn why_not(&self) -> String {
        let Some(first) = self.heard.iter().find(|heard| heard.status != 0) else {
            return "something that hangs up without an HTTP answer".to_owned();
        };
        let page =
            self.heard.iter().filter_map(|heard| heard.page.as_deref()).max_by_key(|title| !title.is_empty());
        if let Some(title) = page {
            return if title.is_empty() {
                "a web page".to_owned()
            } else {
                format!("a web page titled \"{title}\"")
            };
        }
        if self.says("Ollama is running") {
            return "something that says \"Ollama is running\" and has none of Ollama's API".to_owned();
        }
        let heard = self.answer("/v1/models").filter(|heard| heard.status != 0).unwrap_or(first);
        let Heard { status, path, .. } = heard;
        match status {
            300..400 => format!("something that sends {path} elsewhere ({status} to \"{}\")", heard.location),
            407 => "a proxy that wants a login (407)".to_owned(),
            401 if heard.text.is_empty() => {
                "something that answers 401 without a word, as GPT4All does while its API server is off"
                    .to_owned()
            }
            403 if heard.text.is_empty() => {
                "something that answers 403 without a word, as Ollama does to a host name that is not local"
                    .to_owned()
            }
            400 | 403 if heard.text.contains("Invalid host header") => {
                "a server that refuses this host name (\"Invalid host header\")".to_owned()
            }
            _ => format!("not a model server as known here: GET {path} gave {status} and no list of models"),
        }
    }
}
