//! What is no model server: a scan that takes one of these for one is wrong.

use serde_json::json;

use super::{Answer, Context};
use crate::http::Reply;
use crate::personality::Personality;

const PAGE: &str =
    "<!doctype html><html><head><title>App</title></head><body><div id=\"root\"></div></body></html>";

pub(super) fn answer(context: &Context<'_>) -> Answer {
    let (method, path) = context.route();
    let reply = match context.personality() {
        Personality::Silent => return Answer::Silence,
        Personality::AirPlay => Reply::empty(403),
        Personality::ComfyUi => comfyui(method, path),
        Personality::OpenWebUi => open_webui(method, path),
        Personality::AnythingLlm => anythingllm(method, path),
        Personality::Prometheus => prometheus(method, path),
        Personality::SpringHealth => spring(context.request.method.as_str(), path),
        Personality::DockerRegistry => registry(method, path),
        Personality::ProxyRedirect => Reply::html(302, "<html><body>Found</body></html>")
            .with("Location", "https://login.invalid/sign-in"),
        Personality::HttpsOnly => Reply::html(
            400,
            "<html>\r\n<head><title>400 The plain HTTP request was sent to HTTPS port</title></head>\r\n</html>\r\n",
        ),
        _ => Reply::html(200, PAGE),
    };
    reply.into()
}

fn comfyui(method: &str, path: &str) -> Reply {
    // Every route is doubled under `/api`.
    match (method, path.strip_prefix("/api").unwrap_or(path)) {
        ("GET", "/models") => Reply::json(200, r#"["checkpoints","loras","vae","text_encoders"]"#),
        ("GET", "/embeddings") => Reply::json(200, r#"["EasyNegative"]"#),
        ("GET", "/system_stats") => Reply::json(
            200,
            r#"{"system":{"os":"posix","comfyui_version":"0.3.75","python_version":"3.12.7"},"devices":[{"name":"cuda:0","type":"cuda","index":0}]}"#,
        ),
        ("GET", "/") => Reply::html(200, "<!doctype html><title>ComfyUI</title>"),
        _ => Reply::text(404, "404: Not Found"),
    }
}

fn open_webui(method: &str, path: &str) -> Reply {
    match (method, path) {
        ("GET", "/api/config") => Reply::json(
            200,
            r#"{"status":true,"name":"Open WebUI","version":"0.12.0","default_locale":"","oauth":{"providers":{}},"features":{"auth":true}}"#,
        ),
        ("GET", "/api/version") => Reply::json(200, r#"{"version":"0.12.0","deployment_id":""}"#),
        ("GET", "/health") => Reply::json(200, r#"{"status":true}"#),
        ("GET", "/api/models") | ("POST", "/api/chat/completions") => {
            Reply::json(401, r#"{"detail":"Not authenticated"}"#)
        }
        ("POST", _) => Reply::json(405, r#"{"detail":"Method Not Allowed"}"#),
        _ => Reply::html(200, PAGE),
    }
}

fn anythingllm(method: &str, path: &str) -> Reply {
    match (method, path) {
        ("GET", "/api/ping") => Reply::json(200, r#"{"online":true}"#),
        (_, path) if path.starts_with("/api/v1/") => {
            Reply::json(403, r#"{"error":"No valid api key found."}"#)
        }
        _ => Reply::html(200, PAGE),
    }
}

fn prometheus(method: &str, path: &str) -> Reply {
    match (method, path) {
        ("GET", "/-/healthy") => Reply::text(200, "Prometheus Server is Healthy.\n"),
        ("GET", "/metrics") => Reply::new(200, "text/plain; version=0.0.4", "go_goroutines 42\n"),
        ("GET", "/") => Reply::empty(302).with("Location", "/query"),
        _ => Reply::text(404, "404 page not found\n"),
    }
}

fn spring(method: &str, path: &str) -> Reply {
    match (method, path) {
        ("GET", "/health" | "/actuator/health") => {
            Reply::new(200, "application/vnd.spring-boot.actuator.v3+json", r#"{"status":"UP"}"#)
        }
        _ => Reply::json(
            404,
            json!({"timestamp": "2026-11-23T05:15:01.000+00:00", "status": 404, "error": "Not Found", "path": path})
                .to_string(),
        ),
    }
}

fn registry(method: &str, path: &str) -> Reply {
    match (method, path) {
        ("GET", "/v2/") => Reply::json(200, "{}"),
        ("GET", "/v2/_catalog") => Reply::json(200, r#"{"repositories":[]}"#),
        ("GET", "/") => Reply::empty(200),
        _ => Reply::text(404, "404 page not found\n"),
    }
}
