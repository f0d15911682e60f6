//! `Heard`: what one answer says by itself: a product, a stranger, a list of models, a wish for a key.
//!
//! The tables and shapes are those of the vendors' documentation and source, and of recorded answers.
//! Not here: what several answers say together, and what is asked next (the parent module).

use serde_json::Value;

use super::Answer;
use crate::wire::ServerKind;
use crate::wire::json::{list, text};

/// The largest part of a body that is read.
const BODY_CAP: usize = 64 << 10;

/// The path of the greeting that LM Studio's own tools ask for.
pub(super) const GREETING: &str = "/lmstudio-greeting";

/// The owners that name a product when every model of a list has them.
const OWNERS: &[(&str, ServerKind)] = &[
    ("llamacpp", ServerKind::LLAMA_CPP),
    ("vllm", ServerKind::VLLM),
    ("sglang", ServerKind::SGLANG),
    ("koboldcpp", ServerKind::KOBOLDCPP),
    ("humanity", ServerKind::GPT4ALL),
    ("tabbyAPI", ServerKind::TABBYAPI),
    ("docker", ServerKind::DOCKER_MODEL_RUNNER),
    ("lemonade", ServerKind::LEMONADE),
];

/// `Heard` is what is kept of one answer.
#[derive(Debug)]
pub(super) struct Heard {
    pub(super) path: String,
    /// 0 where no answer came.
    pub(super) status: u16,
    server: String,
    pub(super) location: String,
    /// The product and version that a header names, where it does.
    pub(super) product: Option<(ServerKind, Option<String>)>,
    pub(super) json: Value,
    /// The start of a body.
    pub(super) text: String,
    /// The title of a page of HTML, empty where it has none.
    pub(super) page: Option<String>,
}

impl Heard {
    pub(super) fn new(answer: &Answer<'_>) -> Heard {
        let header = |name: &str| {
            answer.headers.iter().find(|(header, _)| header == name).map_or("", |(_, value)| value.as_str())
        };
        let body = &answer.body[..answer.body.len().min(BODY_CAP)];
        let body_text = String::from_utf8_lossy(body);
        let body_text = body_text.trim();
        let is_page = body_text.starts_with('<') || header("content-type").starts_with("text/html");
        let server = header("server");
        let product = if server == "llama.cpp" {
            Some((ServerKind::LLAMA_CPP, None))
        } else if server.starts_with("llamafile") {
            Some((ServerKind::LLAMAFILE, server.split_once('/').map(|(_, version)| version.to_owned())))
        } else if !header("x-litellm-version").is_empty() {
            Some((ServerKind::LITELLM, Some(header("x-litellm-version").to_owned())))
        } else if header("www-authenticate").contains("realm=\"llama-swap\"") {
            Some((ServerKind::LLAMA_SWAP, None))
        } else {
            None
        };
        Heard {
            path: answer.path.to_owned(),
            status: answer.status,
            server: server.to_owned(),
            location: header("location").to_owned(),
            product,
            json: serde_json::from_slice(body).unwrap_or(Value::Null),
            text: body_text.chars().take(200).collect(),
            page: is_page.then(|| title(body_text)),
        }
    }

    pub(super) fn silence(path: &str) -> Heard {
        let nothing = Answer { path, status: 0, headers: &[], body: b"" };
        Heard::new(&nothing)
    }

    /// The product this answer alone gives away.
    pub(super) fn kind(&self) -> Option<ServerKind> {
        if let Some((kind, _)) = &self.product {
            return Some(kind.clone());
        }
        let json = &self.json;
        let error = json.get("error").unwrap_or(&Value::Null);
        // LM Studio says this with status 200 to whatever it does not know.
        let unexpected =
            error.as_str().is_some_and(|error| error.starts_with("Unexpected endpoint or method."));
        let token = self.status == 401
            && text(error, "type") == Some("invalid_request")
            && text(error, "code") == Some("invalid_api_key");
        if unexpected || token {
            return Some(ServerKind::LM_STUDIO);
        }
        if self.is_loading() {
            return Some(ServerKind::LLAMA_CPP);
        }
        if self.status != 200 {
            return None;
        }
        let has = |key: &str| json.get(key).is_some();
        let software = json.pointer("/software/name").and_then(Value::as_str);
        match self.path.as_str() {
            GREETING if json.get("lmstudio") == Some(&Value::Bool(true)) => Some(ServerKind::LM_STUDIO),
            "/" if self.text == "Docker Model Runner is running" => Some(ServerKind::DOCKER_MODEL_RUNNER),
            "/api/version" if has("commit") && has("build_date") => Some(ServerKind::LLAMA_SWAP),
            "/api/extra/version" if text(json, "result") == Some("KoboldCpp") => Some(ServerKind::KOBOLDCPP),
            "/.well-known/serviceinfo" if software == Some("TabbyAPI") => Some(ServerKind::TABBYAPI),
            "/.well-known/serviceinfo" if software == Some("KoboldCpp") => Some(ServerKind::KOBOLDCPP),
            "/.well-known/localai.json" if has("version") && has("endpoints") => Some(ServerKind::LOCALAI),
            "/running" if json.get("running").is_some_and(Value::is_array) => Some(ServerKind::LLAMA_SWAP),
            "/v1/health" if has("all_models_loaded") => Some(ServerKind::LEMONADE),
            "/get_model_info" if text(json, "model_path").is_some() => Some(ServerKind::SGLANG),
            "/health/liveliness" if json.as_str() == Some("I'm alive!") => Some(ServerKind::LITELLM),
            "/v1/models" => self.owner(),
            _ => None,
        }
    }

    /// The product that owns every model of the list.
    fn owner(&self) -> Option<ServerKind> {
        let owner = self.owned_by()?;
        if let Some((_, kind)) = OWNERS.iter().find(|(name, _)| *name == owner) {
            return Some(kind.clone());
        }
        let jan = owner == "user" && list(&self.json, "data").iter().all(|entry| entry["created"] == 1);
        jan.then_some(ServerKind::JAN)
    }

    /// The owner that all models of the list have.
    pub(super) fn owned_by(&self) -> Option<&str> {
        let mut owners = list(&self.json, "data").iter().map(|entry| text(entry, "owned_by"));
        let owner = owners.next().flatten()?;
        owners.all(|other| other == Some(owner)).then_some(owner)
    }

    /// Whether this is a list of models as OpenAI's API gives it.
    pub(super) fn is_model_list(&self) -> bool {
        let is_list = text(&self.json, "object") == Some("list");
        self.path == "/v1/models"
            && self.status == 200
            && match self.json.get("data") {
                Some(Value::Array(models)) => {
                    (is_list || !models.is_empty()) && models.iter().all(|model| text(model, "id").is_some())
                }
                Some(Value::Null) => is_list,
                _ => false,
            }
    }

    /// Whether the models are the user's, or there are none, as with text-generation-webui.
    pub(super) fn is_by_user(&self) -> bool {
        self.is_model_list() && list(&self.json, "data").iter().all(|entry| entry["owned_by"] == "user")
    }

    /// Whether the models name no owner, as mlx_lm's; uvicorn is not what it runs on.
    pub(super) fn is_ownerless(&self) -> bool {
        self.is_model_list()
            && self.server != "uvicorn"
            && list(&self.json, "data").iter().all(|entry| entry.get("owned_by").is_none())
    }

    /// Whether the list of models is refused in the manner of a model server.
    pub(super) fn wants_key(&self) -> bool {
        let error = self.json.get("error").or_else(|| self.json.get("detail"));
        let envelope = error.is_some_and(|error| error.is_string() || error.is_object());
        // Spring answers like this to every path.
        let spring = self.json.get("timestamp").is_some();
        self.path == "/v1/models" && self.is_refusal() && (envelope && !spring || self.is_jan())
    }

    /// Whether this is Jan's plain text for a missing key.
    pub(super) fn is_jan(&self) -> bool {
        self.is_refusal()
            && matches!(
                self.text.as_str(),
                "Missing authorization header" | "Invalid or missing authorization token"
            )
    }

    pub(super) fn is_refusal(&self) -> bool {
        matches!(self.status, 401 | 403)
    }

    /// Whether this is llama.cpp's answer while it loads.
    pub(super) fn is_loading(&self) -> bool {
        let error = self.json.get("error").unwrap_or(&Value::Null);
        self.status == 503 && text(error, "message") == Some("Loading model")
    }

    /// What this answer alone shows to be no model server.
    pub(super) fn stranger(&self) -> Option<&'static str> {
        let json = &self.json;
        if self.server.starts_with("AirTunes") {
            return Some("AirPlay, a part of macOS (Control Center)");
        }
        if self.status == 400 && self.text.to_ascii_uppercase().contains("HTTPS") {
            return Some("an https:// server; it refuses plain http://");
        }
        let ok = self.status == 200;
        match self.path.as_str() {
            "/api/config" if ok && json.pointer("/features/auth").is_some() && json.get("name").is_some() => {
                Some("Open WebUI, a front end without models of its own")
            }
            "/api/version" if ok && json.get("deployment_id").is_some() => {
                Some("Open WebUI, a front end without models of its own")
            }
            "/api/ping" if ok && json.get("online") == Some(&Value::Bool(true)) => {
                Some("AnythingLLM, a front end without models of its own")
            }
            "/system_stats"
                if ok && json.pointer("/system/comfyui_version").is_some() && !self.is_kobold_device() =>
            {
                Some("ComfyUI")
            }
            _ => None,
        }
    }

    /// Whether this is KoboldCpp's imitation of ComfyUI.
    pub(super) fn is_kobold_device(&self) -> bool {
        self.json.pointer("/devices/0/name").and_then(Value::as_str) == Some("koboldcpp")
    }

    /// Whether these are models as Ollama lists them: bare SHA-256 digests, and no `Server` header.
    pub(super) fn is_genuine_ollama(&self) -> bool {
        let is_sha256 =
            |digest: &str| digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
        let models = list(&self.json, "models");
        self.server.is_empty()
            && !models.is_empty()
            && models.iter().all(|model| text(model, "digest").is_some_and(is_sha256))
    }
}

/// The title of a page, cut to 80 characters.
fn title(page: &str) -> String {
    let low = page.to_ascii_lowercase();
    let title = low.find("<title").and_then(|start| {
        let start = start + low[start..].find('>')? + 1;
        Some(&page[start..start + low[start..].find("</title")?])
    });
    title.unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ").chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(path: &str, body: &[u8]) -> Heard {
        Heard::new(&Answer { path, status: 200, headers: &[], body })
    }

    #[test]
    fn no_more_than_64_kib_of_a_body_is_read() {
        let mut list = br#"{"object":"list","data":[{"id":"m","owned_by":"vllm"}]}"#.to_vec();
        assert_eq!(heard("/v1/models", &list).kind(), Some(ServerKind::VLLM));
        list.resize(BODY_CAP, b' ');
        assert_eq!(heard("/v1/models", &list).kind(), Some(ServerKind::VLLM));
        list.push(b'x');
        assert_eq!(
            heard("/v1/models", &list).kind(),
            Some(ServerKind::VLLM),
            "what is over the cap is not read"
        );
        list[BODY_CAP - 1] = b'x';
        assert_eq!(heard("/v1/models", &list).kind(), None, "a body that does not parse proves nothing");
    }

    #[test]
    fn a_page_gives_its_title() {
        let titles = [
            ("<!doctype html><TITLE lang=\"en\">\n Open  WebUI </TITLE>", Some("Open WebUI")),
            ("<html><body>no title</body></html>", Some("")),
            ("<title>never closed", Some("")),
            ("plain <title>text</title>", None),
        ];
        for (body, title) in titles {
            assert_eq!(heard("/", body.as_bytes()).page.as_deref(), title, "{body}");
        }
        let long = format!("<title>{}</title>", "é".repeat(200));
        assert_eq!(heard("/", long.as_bytes()).page, Some("é".repeat(80)));
    }

    #[test]
    fn an_owner_counts_only_when_all_models_have_it() {
        let owner =
            |entries: &str| heard("/v1/models", format!(r#"{{"data":[{entries}]}}"#).as_bytes()).kind();
        assert_eq!(
            owner(r#"{"id":"a","owned_by":"vllm"},{"id":"b","owned_by":"vllm"}"#),
            Some(ServerKind::VLLM)
        );
        assert_eq!(owner(r#"{"id":"a","owned_by":"vllm"},{"id":"b","owned_by":"sglang"}"#), None);
        assert_eq!(owner(r#"{"id":"a","owned_by":"vllm"},{"id":"b"}"#), None);
        assert_eq!(owner(""), None);
    }

    #[test]
    fn ollamas_digests_are_bare_sha256() {
        let tags = |digest: &str| {
            heard("/api/tags", format!(r#"{{"models":[{{"digest":"{digest}"}}]}}"#).as_bytes())
        };
        assert!(tags(&"0f".repeat(32)).is_genuine_ollama());
        for digest in ["", "sha256:sglang000000", &"xy".repeat(32), &format!("sha256:{}", "0f".repeat(32))] {
            assert!(!tags(digest).is_genuine_ollama(), "{digest}");
        }
    }
}
