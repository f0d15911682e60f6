//! Personalities: which server is played, by name, usual port and one line of explanation.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::faults::ParseError;

/// `Personality` is the server a mock plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Personality {
    /// LM Studio 0.3: OpenAI routes and `/api/v0`.
    LmStudio03,
    /// LM Studio 0.4: also `/api/v1` and API tokens.
    LmStudio04,
    /// Ollama: native API and OpenAI routes.
    Ollama,
    /// llama.cpp's `llama-server` with one model.
    LlamaCpp,
    /// llama.cpp's `llama-server` started without a model, which loads those it is asked for.
    LlamaCppRouter,
    /// vLLM.
    Vllm,
    /// An OpenAI-compatible server nobody knows.
    Generic,
    /// SGLang.
    SgLang,
    /// KoboldCpp.
    KoboldCpp,
    /// text-generation-webui.
    TextGenerationWebUi,
    /// TabbyAPI.
    TabbyApi,
    /// mlx_lm.server.
    MlxLm,
    /// mistral.rs.
    MistralRs,
    /// llama-swap.
    LlamaSwap,
    /// Lemonade.
    Lemonade,
    /// LocalAI.
    LocalAi,
    /// GPT4All, which refuses every field it does not know.
    Gpt4All,
    /// Jan.
    Jan,
    /// The LiteLLM proxy.
    LiteLlm,
    /// Docker Model Runner.
    DockerModelRunner,
    /// A web app: 200 and HTML for every path. Not a model server.
    Spa,
    /// macOS AirPlay Receiver: 403 for everything. Not a model server.
    AirPlay,
    /// ComfyUI: `/models` is an array of folder names. Not a model server.
    ComfyUi,
    /// Open WebUI, a front end. Not a model server.
    OpenWebUi,
    /// AnythingLLM, a front end. Not a model server.
    AnythingLlm,
    /// Prometheus. Not a model server.
    Prometheus,
    /// A Spring application's health page. Not a model server.
    SpringHealth,
    /// A Docker registry. Not a model server.
    DockerRegistry,
    /// A proxy that answers every path with a redirect to a login. Not a model server.
    ProxyRedirect,
    /// A port that speaks TLS only. Not a model server.
    HttpsOnly,
    /// A port that accepts and never says a word. Not a model server.
    Silent,
}

/// Name, usual port and explanation, in the order of [`Personality::ALL`].
const TABLE: &[(Personality, &str, u16, &str)] = &[
    (Personality::LmStudio03, "lmstudio-0.3", 1234, "LM Studio 0.3: OpenAI routes and /api/v0"),
    (Personality::LmStudio04, "lmstudio", 1234, "LM Studio 0.4: also /api/v1 and API tokens"),
    (Personality::Ollama, "ollama", 11434, "Ollama: native API and OpenAI routes"),
    (Personality::LlamaCpp, "llama.cpp", 8080, "llama.cpp's llama-server with one model"),
    (
        Personality::LlamaCppRouter,
        "llama.cpp-router",
        8080,
        "llama.cpp's llama-server without a model: loads and unloads several",
    ),
    (Personality::Vllm, "vllm", 8000, "vLLM"),
    (Personality::Generic, "generic", 8000, "an OpenAI-compatible server nobody knows"),
    (Personality::SgLang, "sglang", 30000, "SGLang"),
    (Personality::KoboldCpp, "koboldcpp", 5001, "KoboldCpp, which also looks like Ollama and ComfyUI"),
    (Personality::TextGenerationWebUi, "text-generation-webui", 5000, "text-generation-webui"),
    (Personality::TabbyApi, "tabbyapi", 5000, "TabbyAPI"),
    (Personality::MlxLm, "mlx-lm", 8080, "mlx_lm.server"),
    (Personality::MistralRs, "mistral.rs", 1234, "mistral.rs"),
    (Personality::LlamaSwap, "llama-swap", 8080, "llama-swap"),
    (Personality::Lemonade, "lemonade", 13305, "Lemonade"),
    (Personality::LocalAi, "localai", 8080, "LocalAI"),
    (Personality::Gpt4All, "gpt4all", 4891, "GPT4All, which refuses every field it does not know"),
    (Personality::Jan, "jan", 1337, "Jan"),
    (Personality::LiteLlm, "litellm", 4000, "the LiteLLM proxy"),
    (Personality::DockerModelRunner, "docker-model-runner", 12434, "Docker Model Runner"),
    (Personality::Spa, "spa", 3000, "not a model server: HTML for every path"),
    (Personality::AirPlay, "airplay", 5000, "not a model server: macOS AirPlay Receiver"),
    (Personality::ComfyUi, "comfyui", 8188, "not a model server: ComfyUI"),
    (Personality::OpenWebUi, "open-webui", 3000, "not a model server: Open WebUI"),
    (Personality::AnythingLlm, "anythingllm", 3001, "not a model server: AnythingLLM"),
    (Personality::Prometheus, "prometheus", 9090, "not a model server: Prometheus"),
    (Personality::SpringHealth, "spring-health", 8080, "not a model server: a Spring application"),
    (Personality::DockerRegistry, "docker-registry", 5000, "not a model server: a Docker registry"),
    (Personality::ProxyRedirect, "proxy-redirect", 8080, "not a model server: redirects to a login"),
    (Personality::HttpsOnly, "https-only", 8443, "not a model server: speaks TLS only"),
    (Personality::Silent, "silent", 8000, "not a model server: accepts and says nothing"),
];

impl Personality {
    /// Every personality.
    pub const ALL: &[Personality] = &{
        let mut all = [Personality::Generic; TABLE.len()];
        let mut index = 0;
        while index < TABLE.len() {
            all[index] = TABLE[index].0;
            index += 1;
        }
        all
    };

    fn row(self) -> &'static (Personality, &'static str, u16, &'static str) {
        TABLE.iter().find(|row| row.0 == self).expect("a test holds that the table has every personality")
    }

    /// The name on a command line.
    pub fn name(self) -> &'static str {
        self.row().1
    }

    /// The port that server usually listens on.
    pub fn usual_port(self) -> u16 {
        self.row().2
    }

    /// One line that says what it is.
    pub fn about(self) -> &'static str {
        self.row().3
    }

    /// Whether a client may take this for a model server.
    pub fn is_model_server(self) -> bool {
        !self.about().starts_with("not a model server")
    }

    pub(crate) fn is_lmstudio(self) -> bool {
        matches!(self, Personality::LmStudio03 | Personality::LmStudio04)
    }

    pub(crate) fn is_llamacpp(self) -> bool {
        matches!(self, Personality::LlamaCpp | Personality::LlamaCppRouter)
    }

    /// How many models the server has in memory unless it is started otherwise.
    pub(crate) fn max_loaded(self) -> Option<usize> {
        match self {
            Personality::LlamaCppRouter => Some(4),
            Personality::LlamaSwap
            | Personality::Lemonade
            | Personality::KoboldCpp
            | Personality::TextGenerationWebUi
            | Personality::TabbyApi => Some(1),
            _ => None,
        }
    }

    /// LM Studio's Express closes a connection that is idle for five seconds.
    pub(crate) fn idle_timeout(self) -> Option<Duration> {
        self.is_lmstudio().then_some(Duration::from_secs(5))
    }
}

impl fmt::Display for Personality {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for Personality {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Personality, ParseError> {
        Personality::ALL.iter().copied().find(|personality| personality.name() == text).ok_or_else(|| {
            let names: Vec<&str> = Personality::ALL.iter().map(|personality| personality.name()).collect();
            ParseError(format!("personality `{text}` is not known; it is one of {}", names.join(", ")))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_parse_back() {
        for personality in Personality::ALL {
            assert_eq!(personality.name().parse(), Ok(*personality));
        }
        assert!("lm-studio".parse::<Personality>().unwrap_err().to_string().contains("lmstudio-0.3"));
    }

    #[test]
    fn the_table_ends_with_the_last_personality() {
        assert_eq!(Personality::ALL.len(), Personality::Silent as usize + 1);
        for (index, personality) in Personality::ALL.iter().enumerate() {
            assert_eq!(*personality as usize, index);
        }
    }
}
