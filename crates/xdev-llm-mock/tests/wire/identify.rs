//! What each personality is known by.

use serde_json::json;
use xdev_llm_mock::{Mock, Model, ModelKind, Options, Personality};

use crate::client::{connect, exchange, get, post, read_all, request};

#[test]
fn lmstudio_greets_and_answers_200_to_everything() {
    for personality in [Personality::LmStudio03, Personality::LmStudio04] {
        let mock = Mock::start(personality);
        let greeting = get(&mock, "/lmstudio-greeting");
        assert_eq!(greeting.json(), json!({"lmstudio": true}));
        assert_eq!(greeting.header("x-powered-by"), Some("Express"));
        let unknown = get(&mock, "/health");
        assert_eq!(unknown.status, 200);
        assert_eq!(unknown.json(), json!({"error": "Unexpected endpoint or method. (GET /health)"}));
        let models = get(&mock, "/v1/models").json();
        assert_eq!(
            models["data"][0],
            json!({"id": "qwen3-4b", "object": "model", "owned_by": "organization_owner"})
        );
        let states: Vec<_> = get(&mock, "/api/v0/models").json()["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|model| format!("{} {}", model["type"].as_str().unwrap(), model["state"].as_str().unwrap()))
            .collect();
        assert_eq!(states, ["llm loaded", "llm not-loaded", "vlm not-loaded", "embeddings not-loaded"]);
        let one = get(&mock, "/api/v1/models").json();
        assert_eq!(one.get("models").is_some(), personality == Personality::LmStudio04);
        assert_eq!(one.get("error").is_some(), personality == Personality::LmStudio03);
    }
}

#[test]
fn lmstudio_without_just_in_time_lists_what_is_loaded() {
    let mut options = Options::from(Personality::LmStudio04);
    options.just_in_time = false;
    let mock = Mock::start_with(options).unwrap();
    assert_eq!(get(&mock, "/v1/models").json()["data"].as_array().unwrap().len(), 1);
    assert_eq!(get(&mock, "/api/v1/models").json()["models"].as_array().unwrap().len(), 4);
}

#[test]
fn lmstudio_loads_and_unloads_by_instance() {
    let mock = Mock::start(Personality::LmStudio04);
    let load = |model: &str| post(&mock, "/api/v1/models/load", &json!({"model": model})).json();
    assert_eq!(load("google/gemma-3-12b")["instance_id"], "google/gemma-3-12b");
    assert_eq!(load("google/gemma-3-12b")["instance_id"], "google/gemma-3-12b:2");
    assert_eq!(load("nothing")["error"]["type"], "model_not_found");
    let unload = post(&mock, "/api/v1/models/unload", &json!({"instance_id": "qwen3-4b"}));
    assert_eq!(unload.json(), json!({"instance_id": "qwen3-4b"}));
    assert_eq!(get(&mock, "/api/v0/models/google%2Fgemma-3-12b").json()["state"], "loaded");
}

#[test]
fn ollama_is_known_by_its_root() {
    let mock = Mock::start(Personality::Ollama);
    assert_eq!(get(&mock, "/").text(), "Ollama is running");
    assert_eq!(get(&mock, "/api/version").json(), json!({"version": "0.33.0"}));
    assert_eq!(get(&mock, "/api/tags").json()["models"][0]["name"], "qwen3:4b");
    assert_eq!(get(&mock, "/api/ps").json()["models"].as_array().unwrap().len(), 1);
    let missing = get(&mock, "/health");
    assert_eq!((missing.status, missing.text().as_str()), (404, "404 page not found"));
    assert_eq!(post(&mock, "/api/tags", &json!({})).status, 405);
    let show = post(&mock, "/api/show", &json!({"model": "llama3.2"})).json();
    assert_eq!(show["capabilities"], json!(["completion", "tools"]));
    let missing = post(&mock, "/api/show", &json!({"model": "x"}));
    assert_eq!((missing.status, missing.json()), (404, json!({"error": "model 'x' not found"})));
    let stranger =
        exchange(&mock, b"GET /api/tags HTTP/1.1\r\nHost: example.org\r\nConnection: close\r\n\r\n");
    assert_eq!((stranger.status, stranger.text().as_str()), (403, ""));
}

#[test]
fn ollama_without_models_lists_null() {
    let mut options = Options::from(Personality::Ollama);
    options.models.clear();
    let mock = Mock::start_with(options).unwrap();
    assert_eq!(get(&mock, "/v1/models").json(), json!({"object": "list", "data": null}));
    assert_eq!(get(&mock, "/api/tags").json(), json!({"models": []}));
}

#[test]
fn llamacpp_names_itself_on_every_answer() {
    let mock = Mock::start(Personality::LlamaCpp);
    for (path, status) in
        [("/health", 200), ("/v1/health", 200), ("/props", 200), ("/slots", 200), ("/x", 404), ("/", 415)]
    {
        let answer = get(&mock, path);
        assert_eq!((answer.status, answer.header("server")), (status, Some("llama.cpp")), "{path}");
    }
    let root = exchange(&mock, &request("GET", "/", "Accept-Encoding: gzip\r\n", ""));
    assert_eq!(root.status, 200);
}

#[test]
fn vllm_answers_health_with_nothing() {
    let mock = Mock::start(Personality::Vllm);
    let health = get(&mock, "/health");
    assert_eq!((health.status, health.text().as_str(), health.header("content-type")), (200, "", None));
    assert_eq!(health.header("server"), Some("uvicorn"));
    assert!(String::from_utf8_lossy(&health.raw).contains("\r\nserver: uvicorn\r\n"));
    assert_eq!(exchange(&mock, &request("HEAD", "/health", "", "")).status, 405);
}

#[test]
fn the_other_servers_show_their_signs() {
    let signs: &[(Personality, &str, &str)] = &[
        (Personality::SgLang, "/get_model_info", "\"model_path\""),
        (Personality::SgLang, "/v1/models", "\"sglang\""),
        (Personality::KoboldCpp, "/api/extra/version", "\"KoboldCpp\""),
        (Personality::KoboldCpp, "/api/version", "0.7.0"),
        (Personality::KoboldCpp, "/foo/v1/models", "\"koboldcpp\""),
        (Personality::TextGenerationWebUi, "/v1/internal/health", "\"ok\""),
        (Personality::TabbyApi, "/.well-known/serviceinfo", "\"TabbyAPI\""),
        (Personality::TabbyApi, "/health", "\"issues\":[]"),
        (Personality::MlxLm, "/health", "{\"status\":\"ok\"}"),
        (Personality::MistralRs, "/", "OK"),
        (Personality::MistralRs, "/v1/models", "\"local\""),
        (Personality::LlamaSwap, "/running", "\"running\":[{"),
        (Personality::LlamaSwap, "/api/version", "\"commit\""),
        (Personality::Lemonade, "/v1/health", "\"all_models_loaded\":[{"),
        (Personality::Lemonade, "/api/v0/models", "\"lemonade\""),
        (Personality::LocalAi, "/.well-known/localai.json", "\"endpoint_groups\""),
        (Personality::Gpt4All, "/v1/models", "\"humanity\""),
        (Personality::Jan, "/v1/models", "\"created\":1,"),
        (Personality::LiteLlm, "/health/liveliness", "\"I'm alive!\""),
        (Personality::DockerModelRunner, "/", "Docker Model Runner is running"),
        (Personality::DockerModelRunner, "/engines/v1/models", "\"docker\""),
    ];
    for (personality, path, sign) in signs {
        let answer = get(&Mock::start(*personality), path);
        assert_eq!(answer.status, 200, "{personality} {path}");
        assert!(answer.text().contains(sign), "{personality} {path}: {}", answer.text());
    }
    assert!(!get(&Mock::start(Personality::MlxLm), "/v1/models").text().contains("owned_by"));
}

#[test]
fn strangers_never_show_a_model_list() {
    for personality in Personality::ALL.iter().filter(|personality| !personality.is_model_server()) {
        let mock = Mock::start(*personality);
        if *personality == Personality::Silent {
            let mut stream = connect(&mock);
            std::io::Write::write_all(&mut stream, &request("GET", "/", "", "")).unwrap();
            let answer = read_all(&mut stream, std::time::Duration::from_millis(300));
            assert!(answer.raw.is_empty());
            continue;
        }
        for path in ["/v1/models", "/lmstudio-greeting", "/api/tags"] {
            let answer = get(&mock, path);
            let listed = serde_json::from_slice::<serde_json::Value>(&answer.body).is_ok_and(|body| {
                body.get("data").is_some() || body.get("models").is_some() || body.get("lmstudio").is_some()
            });
            assert!(!listed, "{personality} {path}: {}", answer.text());
        }
    }
    let signs: &[(Personality, &str, u16, &str)] = &[
        (Personality::Spa, "/v1/models", 200, "<!doctype html>"),
        (Personality::AirPlay, "/health", 403, ""),
        (Personality::ComfyUi, "/models", 200, "[\"checkpoints\""),
        (Personality::ComfyUi, "/api/system_stats", 200, "comfyui_version"),
        (Personality::OpenWebUi, "/api/config", 200, "Open WebUI"),
        (Personality::AnythingLlm, "/api/ping", 200, "{\"online\":true}"),
        (Personality::SpringHealth, "/health", 200, "{\"status\":\"UP\"}"),
        (Personality::DockerRegistry, "/v2/", 200, "{}"),
        (Personality::ProxyRedirect, "/x", 302, ""),
        (Personality::HttpsOnly, "/", 400, "HTTPS port"),
    ];
    for (personality, path, status, sign) in signs {
        let answer = get(&Mock::start(*personality), path);
        assert_eq!(answer.status, *status, "{personality} {path}");
        assert!(answer.text().contains(sign), "{personality} {path}: {}", answer.text());
    }
    assert_eq!(get(&Mock::start(Personality::AirPlay), "/").header("server"), Some("AirTunes/860.7.1"));
}

#[test]
fn keys_protect_what_each_server_protects() {
    // A path that needs the key, one that does not, and the body of the refusal.
    let rows: &[(Personality, &str, &str, &str)] = &[
        (Personality::LmStudio04, "/v1/models", "/lmstudio-greeting", "invalid_api_key"),
        (Personality::LlamaCpp, "/props", "/health", "\"type\":\"authentication_error\",\"code\":401"),
        (Personality::Vllm, "/v1/models", "/version", "{\"error\":\"Unauthorized\"}"),
        (Personality::Generic, "/v1/models", "", "invalid_api_key"),
        (Personality::LiteLlm, "/v1/models", "/health/liveliness", "\"code\":\"401\""),
        (Personality::TabbyApi, "/v1/models", "/health", "\"detail\""),
        (Personality::Jan, "/v1/models", "/", "Missing authorization header"),
        (Personality::Gpt4All, "/v1/models", "", ""),
    ];
    for (personality, closed, open, body) in rows {
        let mut options = Options::from(*personality);
        options.api_key = Some("secret".into());
        let mock = Mock::start_with(options).unwrap();
        let refused = get(&mock, closed);
        assert_eq!(refused.status, 401, "{personality}");
        assert!(refused.text().contains(body), "{personality}: {}", refused.text());
        let key = |key: &str| {
            exchange(&mock, &request("GET", closed, &format!("Authorization: Bearer {key}\r\n"), ""))
        };
        assert_eq!((key("secret").status, key("wrong").status), (200, 401), "{personality}");
        if !open.is_empty() {
            assert_eq!(get(&mock, open).status, 200, "{personality} {open}");
        }
    }
    for personality in [Personality::LmStudio03, Personality::Ollama] {
        let mut options = Options::from(personality);
        options.api_key = Some("secret".into());
        assert_eq!(get(&Mock::start_with(options).unwrap(), "/v1/models").status, 200);
    }
}

#[test]
fn a_vision_model_is_shown_as_one() {
    let mut options = Options::from(Personality::LlamaCpp);
    options.models = vec![Model::new("v.gguf").kind(ModelKind::Vision)];
    let mock = Mock::start_with(options).unwrap();
    assert_eq!(get(&mock, "/props").json()["modalities"]["vision"], true);
    assert_eq!(
        get(&mock, "/v1/models").json()["data"][0]["architecture"]["input_modalities"],
        json!(["text", "image"])
    );
}
