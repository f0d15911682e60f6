//! `models`, `ps`, `load`, `unload`, `switch`, `pull` and `--keep-alive`: what is sent, what is printed where, and Ctrl-C.

use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use xdev_llm_mock::{InstanceState, Mock, Model, ModelKind, Options, Personality, Request};

use crate::examine::complete;
use crate::sandbox::{Ended, Sandbox, closed_port, wait};

/// A server that takes its time.
fn slow(personality: Personality) -> Mock {
    let delay = Duration::from_secs(30);
    let options = Options { load_delay: delay, download_delay: delay, ..Options::from(personality) };
    Mock::start_with(options).unwrap()
}

/// The bodies that were sent to a path.
fn sent(mock: &Mock, path: &str) -> Vec<Value> {
    mock.requests().iter().filter(|request| request.path == path).map(Request::json).collect()
}

/// The models that are in memory.
fn in_memory(mock: &Mock) -> Vec<String> {
    let is_loaded = |model: &Model| model.loaded.then(|| model.id.clone());
    mock.models().iter().filter_map(is_loaded).collect()
}

fn keys(object: &Value) -> Vec<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}

/// Presses Ctrl-C once the server has been asked for `path`.
#[cfg(unix)]
fn interrupt_after(mock: &Mock, path: &str, sandbox: &Sandbox, arguments: &[&str]) -> Ended {
    let mut child = sandbox.spawn(arguments);
    drop(child.stdin.take());
    let is_asked = |requests: &[Request]| requests.iter().any(|request| request.path == path);
    assert!(mock.wait_for(Duration::from_secs(20), is_asked), "{path} was not asked for");
    crate::sandbox::interrupt(&child);
    wait(child)
}

#[test]
fn models_lists_those_in_memory_first_and_marks_them() {
    let (mock, sandbox) = (Mock::start(Personality::LmStudio04), Sandbox::new());
    mock.set_models(vec![
        Model::new("small").unloaded(),
        Model::new("embed").kind(ModelKind::Embedding).unloaded(),
        Model::new("large").context(32_768).size(5 << 30),
    ]);
    let url = mock.url();
    let shown = sandbox.run(&["models", "--server", &url]).ok();
    let lines: Vec<&str> = shown.stdout.lines().collect();
    assert_eq!(
        lines[0].split_whitespace().collect::<Vec<_>>(),
        ["ID", "KIND", "STATE", "SIZE", "CONTEXT", "QUANTIZATION", "CAPABILITIES"],
        "what no server tells has no column: {shown:?}"
    );
    assert!(lines[1].starts_with("* large") && lines[1].contains("5 GB"), "{shown:?}");
    assert!(lines[1].contains("4096 / 32768") && lines[2].contains("- / 8192"), "{shown:?}");
    assert!(lines[2].starts_with("  small") && lines[3].starts_with("  embed"), "{shown:?}");
    let loaded = sandbox.run(&["models", "--loaded", "--json", "--server", &url]).ok().json();
    assert_eq!((loaded.as_array().unwrap().len(), &loaded[0]["id"]), (1, &json!("large")));
    mock.set_models(vec![Model::new("small").unloaded()]);
    let none = sandbox.run(&["models", "--loaded", "--server", &url]).ok();
    assert_eq!((none.stdout.as_str(), none.stderr.contains("Nothing is loaded.")), ("", true));
    let generic = Mock::start(Personality::Generic);
    let untold = sandbox.run(&["models", "--loaded", "--server", &generic.url()]).ok();
    assert!(untold.stderr.contains("does not tell what is loaded"), "{untold:?}");
}

#[test]
fn ps_asks_every_server_once_and_says_what_each_has() {
    let sandbox = Sandbox::new();
    let (studio, ollama) = (Mock::start(Personality::LmStudio04), Mock::start(Personality::Ollama));
    sandbox.config(&format!(
        "discovery_ports = [{}, {}]\n[servers.studio]\nurl = \"http://localhost:{}\"\n[servers.down]\nurl = \"http://127.0.0.1:{}\"\n",
        studio.port(),
        ollama.port(),
        studio.port(),
        closed_port()
    ));
    let list = sandbox.run(&["ps", "--json"]).ok().json();
    let at = |port: u16| {
        let is_it = |entry: &&Value| entry["server"].as_str().unwrap().ends_with(&format!(":{port}"));
        list.as_array().unwrap().iter().filter(is_it).cloned().collect::<Vec<_>>()
    };
    let [named] = at(studio.port()).try_into().unwrap();
    assert_eq!(keys(&named), ["kind", "models", "name", "server"]);
    assert_eq!((&named["name"], &named["models"][0]["instance"]), (&json!("studio"), &json!("qwen3-4b")));
    let [found] = at(ollama.port()).try_into().unwrap();
    assert_eq!((&found["kind"], &found["models"][0]["id"]), (&json!("ollama"), &json!("qwen3:4b")));
    let down = list.as_array().unwrap().iter().find(|entry| entry["name"] == "down").unwrap();
    assert_eq!(down["error"]["code"], "unreachable");

    let shown = sandbox.run(&["ps"]).ok();
    assert!(shown.stdout.contains("studio") && shown.stdout.contains("in 5 minutes"), "{shown:?}");
    assert!(shown.stderr.contains("down: Nothing answers at"), "{shown:?}");
}

#[test]
fn ps_of_one_server_fails_with_it_and_says_what_is_on_the_gpu() {
    let (mock, sandbox) = (Mock::start(Personality::Ollama), Sandbox::new());
    mock.change_options(|options| options.vram_total_bytes = Some(2 << 30));
    mock.set_models(vec![Model::new("a").unloaded().vram(4 << 30), Model::new("b").unloaded()]);
    let url = mock.url();
    let none = sandbox.run(&["ps", "--server", &url]).ok();
    assert_eq!(none.stdout, "Nothing is loaded.\n");
    sandbox.run(&["load", "a", "--keep-alive", "forever", "--server", &url]).ok();
    let shown = sandbox.run(&["ps", "--server", &url]).ok().stdout;
    assert!(shown.contains("2 GB (50 %, the rest in main memory)  for ever"), "{shown}");
    let down = format!("http://127.0.0.1:{}", closed_port());
    let ended = sandbox.run(&["ps", "--json", "--server", &down]);
    assert_eq!((ended.code, &ended.json()["error"]["code"]), (Some(4), &json!("unreachable")));
}

#[test]
fn load_sends_its_flags_and_says_what_is_there() {
    let (mock, sandbox) = (Mock::start(Personality::LmStudio04), Sandbox::new());
    let url = mock.url();
    let shown =
        sandbox.run(&["load", "google/gemma-3-12b", "--context-length", "2048", "--server", &url]).ok();
    assert!(
        shown.stdout.starts_with("`google/gemma-3-12b` is loaded with a context of 2048 tokens, after "),
        "{shown:?}"
    );
    assert_eq!(
        sent(&mock, "/api/v1/models/load"),
        [json!({"model": "google/gemma-3-12b", "context_length": 2048})]
    );
    assert_eq!(in_memory(&mock), ["qwen3-4b", "google/gemma-3-12b"]);
    let again = sandbox.run(&["load", "google/gemma-3-12b", "--json", "--server", &url]).ok().json();
    assert_eq!((&again["was_loaded"], &again["context_length"]), (&json!(true), &json!(2048)));
    assert_eq!(sent(&mock, "/api/v1/models/load").len(), 1, "there is no second copy");
    let later = ["load", "google/gemma-3-12b", "--keep-alive", "60", "--json", "--server", &url];
    assert_eq!(sandbox.run(&later).ok().json()["not_sent"], json!(["keep_alive"]));
    let both = ["load", "qwen2.5-vl-7b", "--context-length", "2048", "--keep-alive", "60", "--server", &url];
    let both = sandbox.run(&both).ok();
    assert!(both.stderr.contains("warning: this server does not take: keep_alive"), "{both:?}");
}

#[test]
fn load_tells_ollama_how_long() {
    let (mock, sandbox) = (Mock::start(Personality::Ollama), Sandbox::new());
    let url = mock.url();
    let load = |time: &str| {
        sandbox.run(&["load", "llama3.2", "--keep-alive", time, "--context-length", "2048", "--server", &url])
    };
    for time in ["1h30m", "45", "forever"] {
        load(time).ok();
    }
    let stays: Vec<Value> =
        sent(&mock, "/api/generate").iter().map(|body| body["keep_alive"].clone()).collect();
    assert_eq!(stays, [json!(5400), json!(45), json!(-1)]);
    assert_eq!(sent(&mock, "/api/generate")[0]["options"], json!({"num_ctx": 2048}));
    assert_eq!(load("0").code, Some(2));
    let wrong = load("a while");
    assert!(wrong.code == Some(2) && wrong.stderr.contains("1h30m, or forever"), "{wrong:?}");
}

#[test]
fn a_dry_run_loads_nothing_and_says_whether_it_fits() {
    let (mock, sandbox) = (Mock::start(Personality::LmStudio04), Sandbox::new());
    let url = mock.url();
    let arguments = ["load", "google/gemma-3-12b", "--dry-run", "--server", &url];
    let shown = sandbox.run(&arguments).ok();
    assert!(shown.stdout.starts_with("google/gemma-3-12b with a context of 4,096 tokens needs"), "{shown:?}");
    let arguments = [&arguments[..], &["--context-length", "2048", "--json"]].concat();
    let forecast = sandbox.run(&arguments).ok().json();
    assert_eq!(
        (&forecast["context_length"], &forecast["model"]),
        (&json!(2048), &json!("google/gemma-3-12b"))
    );
    assert!(forecast["sentence"].as_str().unwrap().contains("2,048 tokens"), "{forecast}");
    assert!(forecast["verdict"].is_string() && forecast["need"]["total_bytes"].is_u64(), "{forecast}");
    assert!(mock.requests().iter().all(|request| request.method == "GET"), "{:?}", mock.requests());
}

#[test]
fn a_load_that_cannot_be_fails_with_a_cure() {
    let (mock, sandbox) = (Mock::start(Personality::Ollama), Sandbox::new());
    let url = mock.url();
    let unknown = sandbox.run(&["load", "lama3.2", "--server", &url]);
    assert!(unknown.code == Some(7) && unknown.stderr.contains("xdev-llm pull lama3.2"), "{unknown:?}");
    mock.change_options(|options| options.load_failure = Some("out of memory".into()));
    let failed = sandbox.run(&["load", "llama3.2", "--json", "--server", &url]);
    assert_ne!(failed.code, Some(0), "{failed:?}");
    assert!(failed.json()["error"]["message"].as_str().unwrap().contains("out of memory"), "{failed:?}");
    let generic = Mock::start(Personality::Generic);
    let cannot = sandbox.run(&["load", "smollm2", "--server", &generic.url()]);
    assert!(cannot.stderr.contains("does not load or unload models"), "{cannot:?}");
}

#[test]
fn unload_says_what_went_and_that_there_was_nothing() {
    let (mock, sandbox) = (Mock::start(Personality::LmStudio04), Sandbox::new());
    let url = mock.url();
    let unload = |arguments: &[&str]| sandbox.run(&[&["unload", "--server", &url], arguments].concat()).ok();
    sandbox.run(&["load", "google/gemma-3-12b", "--server", &url]).ok();
    let other = unload(&["qwen2.5-vl-7b"]);
    assert_eq!(
        other.stdout,
        format!("`qwen2.5-vl-7b` is not loaded: {url} has `qwen3-4b` and `google/gemma-3-12b` in memory.\n")
    );
    let one = unload(&["google/gemma-3-12b"]);
    assert!(one.stdout.starts_with("`google/gemma-3-12b` is unloaded, after "), "{one:?}");
    assert_eq!(sent(&mock, "/api/v1/models/unload"), [json!({"instance_id": "google/gemma-3-12b"})]);
    sandbox.run(&["load", "google/gemma-3-12b", "--server", &url]).ok();
    let all = unload(&["--all", "--json"]).json();
    assert_eq!(all["models"].as_array().unwrap().len(), 2, "{all}");
    assert!(all["duration"].is_f64() && all["server"] == json!(url), "{all}");
    assert_eq!(in_memory(&mock), [""; 0]);
    assert_eq!(unload(&[]).stdout, format!("Nothing is loaded on {url}.\n"));
    assert_eq!(unload(&["--json"]).json()["models"], json!([]));
    assert_eq!(sandbox.run(&["unload", "a", "--all", "--server", &url]).code, Some(2));
}

#[test]
fn unload_without_a_model_takes_the_one_that_chats() {
    let (mock, sandbox) = (Mock::start(Personality::Ollama), Sandbox::new());
    mock.set_models(vec![Model::new("nomic-embed-text").kind(ModelKind::Embedding), Model::new("qwen3")]);
    let url = mock.url();
    let shown = sandbox.run(&["unload", "--server", &url]).ok();
    assert!(shown.stdout.starts_with("`qwen3"), "{shown:?}");
    assert_eq!(in_memory(&mock), ["nomic-embed-text"]);
    let none = sandbox.run(&["unload", "--server", &url]).ok();
    assert!(none.stdout.starts_with("No model that chats is loaded"), "{none:?}");
}

#[test]
fn without_any_server_there_is_nothing_to_unload_and_nobody_to_load() {
    let sandbox = Sandbox::new();
    // Real servers may run on this machine: one that is named and does not answer is none of them.
    sandbox.config(&format!("[servers.box]\nurl = \"http://127.0.0.1:{}\"\n", closed_port()));
    for command in [&["unload", "--all"][..], &["load", "a"], &["switch", "a"], &["pull", "a"]] {
        let ended = sandbox.run(&[command, &["--json", "--server", "box"]].concat());
        assert_eq!((ended.code, &ended.json()["error"]["code"]), (Some(4), &json!("unreachable")));
    }
}

#[test]
fn switch_says_what_went_and_what_came() {
    let (mock, sandbox) = (Mock::start(Personality::LmStudio04), Sandbox::new());
    mock.set_models(vec![
        Model::new("a"),
        Model::new("b").unloaded(),
        // Larger than any machine that runs this test.
        Model::new("huge").unloaded().size(1 << 50),
    ]);
    let url = mock.url();
    let shown = sandbox.run(&["switch", "b", "--context-length", "1024", "--server", &url]).ok().stdout;
    assert!(shown.contains("`a` is unloaded, after ") && shown.contains("`b` is loaded with"), "{shown}");
    assert_eq!(in_memory(&mock), ["b"]);
    assert_eq!(sent(&mock, "/api/v1/models/load"), [json!({"model": "b", "context_length": 1024})]);
    let shown = sandbox.run(&["switch", "huge", "--server", &url]).ok().stdout;
    let lines: Vec<&str> = shown.lines().collect();
    assert!(lines[0].starts_with("`b` is unloaded") && lines[1].starts_with("`huge` is loaded"), "{shown}");
    assert!(lines[2].starts_with("One after the other"), "{shown}");
    let object = sandbox.run(&["switch", "a", "--json", "--server", &url]).ok().json();
    assert_eq!(keys(&object), ["loaded", "side_by_side", "unloaded"]);
    assert_eq!(
        (&object["loaded"]["id"], &object["unloaded"]["models"][0]["id"]),
        (&json!("a"), &json!("huge"))
    );
}

#[test]
fn an_alias_leads_to_its_server_and_says_how_it_is_loaded() {
    let (mock, sandbox) = (Mock::start(Personality::Ollama), Sandbox::new());
    sandbox.config(&format!(
        "[aliases.fast]\nserver = \"{}\"\nmodel = \"llama3.2:latest\"\ncontext_length = 2048\nkeep_alive = 0\n",
        mock.url()
    ));
    let loaded = sandbox.run(&["load", "fast", "--json"]).ok().json();
    assert_eq!((&loaded["id"], &loaded["context_length"]), (&json!("llama3.2:latest"), &json!(2048)));
    sandbox.run(&["switch", "fast", "--keep-alive", "60", "--context-length", "1024"]).ok();
    assert_eq!(in_memory(&mock), ["llama3.2:latest"]);
    let sent = sent(&mock, "/api/generate");
    assert_eq!((&sent[0]["keep_alive"], &sent[0]["options"]), (&Value::Null, &json!({"num_ctx": 2048})));
    assert!(sent.iter().any(|body| body["keep_alive"] == json!(60)), "{sent:?}");
    let gone = sandbox.run(&["unload", "fast"]).ok();
    assert!(gone.stdout.starts_with("`llama3.2:latest` is unloaded"), "{gone:?}");
}

#[test]
fn pull_prints_its_result_and_nothing_else() {
    let (mock, sandbox) = (Mock::start(Personality::Ollama), Sandbox::new());
    mock.change_options(|options| options.download_delay = Duration::from_millis(300));
    let url = mock.url();
    let shown = sandbox.run(&["pull", "gemma3:1b", "--server", &url]).ok();
    assert!(shown.stdout.starts_with("`gemma3:1b` is downloaded: 954 MB in "), "{shown:?}");
    assert_eq!(shown.stderr, "");
    assert_eq!(sent(&mock, "/api/pull"), [json!({"model": "gemma3:1b", "stream": true})]);
    let object = sandbox.run(&["pull", "gemma3:1b", "--json", "--server", &url]).ok().json();
    assert_eq!(keys(&object), ["duration", "model", "server", "total_bytes"]);
    let unknown = sandbox.run(&["pull", "nobody/knows", "--server", &url]);
    assert!(unknown.code != Some(0) && unknown.stderr.contains("\nhint: "), "{unknown:?}");
    let cannot = [
        (Personality::Vllm, "Download it in vLLM itself."),
        (Personality::LlamaCpp, "Start it without a model"),
        (Personality::LmStudio03, "since 0.4.0"),
    ];
    for (personality, cure) in cannot {
        let mock = Mock::start(personality);
        let ended = sandbox.run(&["pull", "a", "--json", "--server", &mock.url()]);
        let error = ended.json()["error"].clone();
        assert_eq!(error["code"], "unsupported", "{error}");
        assert!(error["hint"].as_str().unwrap().contains(cure), "{error}");
    }
    let router = Mock::start(Personality::LlamaCppRouter);
    router.set_models(Vec::new());
    let model = "ggml-org/gemma-3-1b-it-GGUF:Q4_K_M";
    sandbox.run(&["pull", model, "--server", &router.url()]).ok();
}

#[test]
#[cfg(unix)]
fn ctrl_c_during_a_load_says_how_to_undo_it() {
    let (mock, sandbox) = (slow(Personality::LmStudio04), Sandbox::new());
    let url = mock.url();
    let arguments = ["load", "google/gemma-3-12b", "--server", &url];
    let ended = interrupt_after(&mock, "/api/v1/models/load", &sandbox, &arguments);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(130), ""));
    let undo = format!("`xdev-llm unload google/gemma-3-12b --server {url}`");
    assert!(ended.stderr.contains("may go on loading") && ended.stderr.contains(&undo), "{ended:?}");
    assert!(mock.instances().iter().any(|it| it.state == InstanceState::Loading), "it does go on");
}

#[test]
#[cfg(unix)]
fn ctrl_c_during_a_download_says_whether_it_goes_on() {
    let (ollama, studio, sandbox) =
        (slow(Personality::Ollama), slow(Personality::LmStudio04), Sandbox::new());
    let arguments = ["pull", "gemma3:1b", "--json", "--server", &ollama.url()];
    let ended = interrupt_after(&ollama, "/api/pull", &sandbox, &arguments);
    let error = ended.json()["error"].clone();
    assert_eq!((ended.code, &error["code"]), (Some(130), &json!("interrupted")));
    assert!(error["hint"].as_str().unwrap().contains("goes on where it stopped"), "{error}");
    let is_told = |requests: &[Request]| requests.iter().any(|it| it.client_closed.is_some());
    assert!(ollama.wait_for(Duration::from_secs(10), is_told), "the server was told");

    let arguments = ["pull", "qwen/qwen3-8b", "--server", &studio.url()];
    let ended = interrupt_after(&studio, "/api/v1/models/download", &sandbox, &arguments);
    assert_eq!(ended.code, Some(130));
    assert!(ended.stderr.contains("goes on downloading by itself"), "{ended:?}");
}

#[test]
fn elsewhere_than_on_a_terminal_there_are_no_control_characters() {
    let (mock, sandbox) = (Mock::start(Personality::Ollama), Sandbox::new());
    mock.change_options(|options| {
        options.load_delay = Duration::from_millis(400);
        options.unload_delay = Duration::from_millis(400);
        options.download_delay = Duration::from_millis(400);
    });
    let url = mock.url();
    for command in [
        &["load", "llama3.2"][..],
        &["switch", "llava:7b"],
        &["pull", "gemma3:1b"],
        &["unload", "--all"],
        &["ps"],
    ] {
        let ended = sandbox.run(&[command, &["--server", &url]].concat()).ok();
        let printed = format!("{}{}", ended.stdout, ended.stderr);
        assert!(!printed.contains(|letter: char| letter.is_control() && letter != '\n'), "{printed:?}");
    }
}

#[test]
fn models_complete_from_those_that_can_be_meant() {
    let (mock, sandbox) = (Mock::start(Personality::LmStudio04), Sandbox::new());
    let url = mock.url();
    let words = |command| complete(&sandbox, &["xdev-llm", command, "--server", &url, ""]);
    let models =
        |words: Vec<String>| words.into_iter().filter(|word| !word.starts_with('-')).collect::<Vec<_>>();
    let installed: Vec<String> = mock.models().into_iter().map(|model| model.id).collect();
    assert_eq!(models(words("load")), installed);
    assert_eq!(models(words("switch")), installed);
    assert_eq!(models(words("unload")), ["qwen3-4b"]);
}

#[test]
fn ask_says_how_long_the_model_stays() {
    let sandbox = Sandbox::new();
    let (ollama, studio) = (Mock::start(Personality::Ollama), Mock::start(Personality::LmStudio04));
    for (mock, time) in [(&ollama, "5m"), (&ollama, "forever"), (&ollama, "0"), (&studio, "90")] {
        sandbox.run(&["ask", "x", "--keep-alive", time, "--server", &mock.url()]).ok();
    }
    let stays: Vec<Value> = ollama.chats().iter().map(|chat| chat.json()["keep_alive"].clone()).collect();
    assert_eq!(stays, [json!(300), json!(-1), json!(0)]);
    assert_eq!(studio.chats()[0].json()["ttl"], 90);
    for time in ["0", "forever"] {
        let arguments = ["ask", "x", "--keep-alive", time, "--dry-run", "--json", "--server", &studio.url()];
        let preview = sandbox.run(&arguments).ok().json();
        assert_eq!(preview["not_sent"], json!(["keep_alive"]), "LM Studio takes a number above 0: {preview}");
    }
}

#[test]
fn unload_stops_the_built_in_engine() {
    let Some(data_dir) = std::env::var_os("XDEV_LLM_DATA_DIR") else {
        println!("SKIPPED (engine not installed): XDEV_LLM_DATA_DIR is not set");
        return;
    };
    let sandbox = Sandbox::new();
    let run = |arguments: &[&str]| {
        let mut command = sandbox.command(arguments);
        let output = command.env("XDEV_LLM_DATA_DIR", &data_dir).stdin(Stdio::null()).output().unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stdout).unwrap(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    let (code, _, said) = run(&["engine", "start"]);
    if said.contains("engine install") {
        println!("SKIPPED (engine not installed): {said}");
        return;
    }
    assert_eq!(code, Some(0), "{said}");
    let (_, listed, _) = run(&["ps", "--json"]);
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let engine = listed.as_array().unwrap().iter().find(|entry| entry["name"] == "built-in engine").unwrap();
    assert!(engine["models"][0]["id"].as_str().unwrap().contains("SmolLM2"), "{listed}");
    // Where a server runs on this machine, that one is meant.
    let (_, shown, said) = run(&["unload", "another-model"]);
    let is_engine = shown.contains(engine["server"].as_str().unwrap());
    if is_engine {
        assert!(shown.contains("is not loaded"), "{shown}{said}");
        let (code, shown, said) = run(&["unload"]);
        assert_eq!(code, Some(0), "{shown}{said}");
        assert!(shown.contains("SmolLM2") && shown.contains("is unloaded"), "{shown}{said}");
    } else {
        run(&["engine", "stop"]);
    }
    assert!(run(&["engine", "status"]).1.contains("running:  no\n"));
}
