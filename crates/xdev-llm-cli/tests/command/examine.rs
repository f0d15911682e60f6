//! `models`, `servers`, `doctor`, `completions`: what they say about servers and about what is none.

use serde_json::{Value, json};
use xdev_llm_mock::{Mock, Options, Personality};

use crate::sandbox::{Sandbox, closed_port};

#[test]
fn models_lists_what_the_server_has() {
    let (mock, sandbox) = (Mock::start(Personality::LmStudio04), Sandbox::new());
    let ended = sandbox.run(&["models", "--server", &mock.url()]).ok();
    assert!(ended.stdout.contains("qwen3-4b") && ended.stdout.contains("loaded"), "{}", ended.stdout);
    let list = sandbox.run(&["models", "--json", "--server", &mock.url()]).ok().json();
    assert_eq!(
        (&list[0]["id"], &list[0]["kind"], &list[0]["state"]),
        (&json!("qwen3-4b"), &json!("llm"), &json!("loaded"))
    );
}

#[test]
fn servers_prints_the_documented_object() {
    let (mock, sandbox) = (Mock::start(Personality::Ollama), Sandbox::new());
    sandbox.config(&format!("discovery_ports = [{}]\n", mock.port()));
    let list = sandbox.run(&["servers", "--json"]).ok().json();
    let port = mock.port().to_string();
    let found =
        list.as_array().unwrap().iter().find(|server| server["url"].as_str().unwrap().contains(&port));
    let found = found.unwrap_or_else(|| panic!("{list}"));
    let names: Vec<&String> = found.as_object().unwrap().keys().collect();
    assert_eq!(names, ["kind", "latency_ms", "models", "url", "version"]);
    assert_eq!(found["kind"], "ollama");
    assert!(found["models"][0].is_string() && found["latency_ms"].is_number(), "{found}");
    let shown = sandbox.run(&["servers"]).ok().stdout;
    assert!(shown.contains(&port) && shown.contains("ollama"), "{shown}");
}

#[test]
fn all_servers_of_the_config_are_listed_with_their_state() {
    let (mock, sandbox) = (Mock::start(Personality::Vllm), Sandbox::new());
    sandbox.config(&format!(
        "[servers.up]\nurl = \"{}\"\n[servers.down]\nurl = \"http://127.0.0.1:{}\"\n",
        mock.url(),
        closed_port()
    ));
    let list = sandbox.run(&["servers", "--all", "--json"]).ok().json();
    let named =
        |name: &str| list.as_array().unwrap().iter().find(|server| server["name"] == name).cloned().unwrap();
    assert_eq!(named("up")["kind"], "vllm");
    assert_eq!(named("down")["error"]["code"], "unreachable");
}

/// The status and message of a check.
fn check(report: &Value, name: &str) -> (String, String) {
    let check = report["checks"].as_array().unwrap().iter().find(|check| check["name"] == name);
    let check = check.unwrap_or_else(|| panic!("no {name} in {report}"));
    (check["status"].as_str().unwrap().to_owned(), check["message"].as_str().unwrap().to_owned())
}

#[test]
fn doctor_walks_to_the_answer() {
    let (mock, sandbox) = (Mock::start(Personality::LmStudio04), Sandbox::new());
    let url = format!("{}/v1", mock.url());
    let report = sandbox.run(&["doctor", "--json", "--server", &url]).ok().json();
    assert_eq!(report["works"], true);
    for name in ["proxy", "localhost", "config", "url", "server", "token", "model", "answer"] {
        assert_eq!(check(&report, name).0, "ok", "{name}: {report}");
    }
    assert_eq!(mock.chats()[0].json()["max_tokens"], 1);
    let shown = sandbox.run(&["doctor", "--server", &url]).ok().stdout;
    assert!(
        shown.contains("ok    model       qwen3-4b is loaded\n") && shown.ends_with("It works.\n"),
        "{shown}"
    );
}

#[test]
fn doctor_names_strangers_and_the_silent() {
    let sandbox = Sandbox::new();
    let (web, silent) = (Mock::start(Personality::Spa), Mock::start(Personality::Silent));
    sandbox.config(&format!("discovery_ports = [{}, {}]\n", web.port(), silent.port()));
    let nobody = format!("http://127.0.0.1:{}", closed_port());
    let ended = sandbox.run(&["doctor", "--json", "--server", &nobody]);
    let report = ended.json();
    assert_eq!((ended.code, &report["works"]), (Some(1), &json!(false)));
    let (status, message) = check(&report, &format!("port {}", web.port()));
    assert!(status == "ok" && message.starts_with("is no model server: "), "{message}");
    assert_eq!(check(&report, &format!("port {}", silent.port())).0, "warn");
    assert_eq!(check(&report, "server").0, "fail");
}

#[test]
fn doctor_says_what_is_wrong_with_a_server() {
    let sandbox = Sandbox::new();
    let locked =
        Mock::start_with(Options { api_key: Some("k".into()), ..Options::from(Personality::Vllm) }).unwrap();
    let ended = sandbox.run(&["doctor", "--json", "--server", &locked.url()]);
    assert_eq!((ended.code, check(&ended.json(), "token").0.as_str()), (Some(1), "fail"), "{ended:?}");

    let mock = Mock::start(Personality::LmStudio04);
    sandbox.config("model = \"qwen3-4c\"\n");
    let ended = sandbox.run(&["doctor", "--json", "--server", &mock.url()]);
    let (status, message) = check(&ended.json(), "model");
    assert_eq!((ended.code, status.as_str()), (Some(1), "fail"));
    assert!(message.contains("Did you mean \"qwen3-4b\"?"), "{message}");

    let stranger = Mock::start(Personality::ComfyUi);
    let ended = sandbox.run(&["doctor", "--json", "--server", &stranger.url()]);
    assert_eq!((ended.code, check(&ended.json(), "server").0.as_str()), (Some(1), "fail"));
}

#[test]
fn doctor_shows_proxies_without_their_passwords() {
    let (mock, sandbox) = (Mock::start(Personality::Generic), Sandbox::new());
    let output = sandbox
        .command(&["doctor", "--json", "--server", &mock.url()])
        .env("HTTP_PROXY", "http://me:hunter2@127.0.0.1:1")
        .env("ALL_PROXY", "http://127.0.0.1:1")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let report: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(report["works"], true, "local calls bypass the proxy: {text}");
    assert!(check(&report, "proxy").1.starts_with("HTTP_PROXY, ALL_PROXY set"), "{text}");
    assert!(!text.contains("hunter2"));
}

/// What the completion script of bash would offer for the last word.
pub(crate) fn complete(sandbox: &Sandbox, words: &[&str]) -> Vec<String> {
    let output = sandbox
        .command(&["--"])
        .args(words)
        .env("XDEV_LLM_COMPLETE", "bash")
        .env("_CLAP_COMPLETE_INDEX", (words.len() - 1).to_string())
        .env("_CLAP_IFS", "\n")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn completions_ask_the_server_and_stay_silent_when_it_does_not_answer() {
    let (mock, sandbox) = (Mock::start(Personality::LmStudio04), Sandbox::new());
    let models = complete(&sandbox, &["xdev-llm", "ask", "--server", &mock.url(), "--model", "qwen"]);
    assert_eq!(models, ["qwen3-4b", "qwen2.5-vl-7b"]);
    let silent = Mock::start(Personality::Silent);
    assert_eq!(complete(&sandbox, &["xdev-llm", "ask", "--server", &silent.url(), "--model", ""]), [""; 0]);
    let presets = complete(&sandbox, &["xdev-llm", "ask", "--preset", "c"]);
    assert_eq!(presets, ["creative", "custom"]);
}

#[test]
fn every_shell_has_a_script() {
    let sandbox = Sandbox::new();
    for shell in ["bash", "zsh", "fish", "powershell"] {
        let script = sandbox.run(&["completions", shell]).ok().stdout;
        assert!(script.contains("xdev-llm") && script.contains("XDEV_LLM_COMPLETE"), "{shell}: {script}");
    }
}
