//! `ask`: prompts from everywhere, flags on the wire, output, errors and exit codes.

use std::io::{Read, Write};
use std::time::Duration;

use serde_json::{Value, json};
use xdev_llm_mock::{Fault, Mock, Options, Personality, Script};

use crate::sandbox::{Sandbox, closed_port, wait};

fn messages(mock: &Mock) -> Value {
    mock.chats()[0].json()["messages"].clone()
}

#[test]
fn the_answer_and_nothing_else_is_on_standard_output() {
    let (mock, sandbox) = (Mock::start(Personality::LmStudio04), Sandbox::new());
    mock.set_script(Script::new().text("# Blue\nBecause of **scattering**."));
    let ended = sandbox.run(&["ask", "Why is", "the sky blue?", "--server", &mock.url()]).ok();
    assert_eq!(ended.stdout, "# Blue\nBecause of **scattering**.\n");
    assert_eq!(messages(&mock), json!([{"role": "user", "content": "Why is the sky blue?"}]));
}

#[test]
fn every_flag_is_on_the_wire() {
    let (mock, sandbox) = (Mock::start(Personality::LlamaCpp), Sandbox::new());
    let history =
        sandbox.file("history.json", r#"[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]"#);
    let flags = [
        "ask",
        "c",
        "--server",
        &mock.url(),
        "--model",
        "some-model",
        "--system",
        "Be brief.",
        "--history",
        &history,
        "--temperature",
        "0.25",
        "--top-p",
        "0.5",
        "--top-k",
        "7",
        "--min-p",
        "0.125",
        "--max-tokens",
        "33",
        "--seed",
        "42",
        "--stop",
        "END",
        "--stop",
        "STOP",
    ];
    sandbox.run(&flags).ok();
    let sent = mock.chats()[0].json();
    for (name, value) in [
        ("model", json!("some-model")),
        ("temperature", json!(0.25)),
        ("top_p", json!(0.5)),
        ("top_k", json!(7)),
        ("min_p", json!(0.125)),
        ("max_tokens", json!(33)),
        ("seed", json!(42)),
        ("stop", json!(["END", "STOP"])),
        ("stream", json!(true)),
    ] {
        assert_eq!(sent[name], value, "{name} in {sent}");
    }
    assert_eq!(
        messages(&mock),
        json!([
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": "b"},
            {"role": "user", "content": "c"},
        ])
    );
}

#[test]
fn a_preset_fills_in_what_no_flag_gives() {
    let (mock, sandbox) = (Mock::start(Personality::Generic), Sandbox::new());
    sandbox.config("[presets.tags]\ntemperature = 0.4\nmax_tokens = 64\nsystem = \"Answer with tags.\"\n");
    let url = mock.url();
    sandbox.run(&["ask", "x", "--server", &url, "--preset", "precise", "--top-p", "0.9"]).ok();
    sandbox.run(&["ask", "x", "--server", &url, "--preset", "tags"]).ok();
    sandbox.run(&["ask", "x", "--server", &url, "--preset", "custom"]).ok();
    let sent: Vec<Value> = mock.chats().iter().map(xdev_llm_mock::Request::json).collect();
    assert_eq!(
        (&sent[0]["temperature"], &sent[0]["top_p"], &sent[0]["max_tokens"]),
        (&json!(0.1), &json!(0.9), &json!(256))
    );
    assert_eq!((&sent[1]["temperature"], &sent[1]["max_tokens"]), (&json!(0.4), &json!(64)));
    assert_eq!(sent[1]["messages"][0], json!({"role": "system", "content": "Answer with tags."}));
    assert_eq!((&sent[2]["temperature"], &sent[2]["max_tokens"]), (&Value::Null, &Value::Null));
}

#[test]
fn config_and_environment_show_on_the_wire() {
    let (mock, sandbox) = (Mock::start(Personality::LmStudio04), Sandbox::new());
    let own = format!(
        "server = \"{}\"\nmodel = \"google/gemma-3-12b\"\npreset = \"precise\"\nsystem = \"From the file.\"\nreasoning = \"low\"\n",
        mock.url()
    );
    sandbox.config(&own);
    sandbox.run(&["ask", "x"]).ok();
    let mut command = sandbox.command(&["ask", "x"]);
    command.envs([
        ("XDEV_LLM_MODEL", "qwen3-4b"),
        ("XDEV_LLM_PRESET", "focused"),
        ("XDEV_LLM_REASONING", "off"),
    ]);
    assert!(command.stdin(std::process::Stdio::null()).output().unwrap().status.success());
    let sent: Vec<Value> = mock.chats().iter().map(xdev_llm_mock::Request::json).collect();
    for (sent, model, max_tokens, effort) in
        [(&sent[0], "google/gemma-3-12b", 256, "low"), (&sent[1], "qwen3-4b", 512, "none")]
    {
        assert_eq!(
            (&sent["model"], &sent["max_tokens"], &sent["reasoning_effort"]),
            (&json!(model), &json!(max_tokens), &json!(effort))
        );
        assert_eq!(sent["messages"][0], json!({"role": "system", "content": "From the file."}));
    }
}

#[test]
fn the_prompt_comes_from_words_a_file_and_standard_input() {
    let (mock, sandbox) = (Mock::start(Personality::Generic), Sandbox::new());
    let (url, file) = (mock.url(), sandbox.file("prompt.txt", "\u{feff}from a file\n"));
    sandbox.run(&["ask", "-f", &file, "--server", &url]).ok();
    sandbox.run_with(&["ask", "--server", &url], "from input\n").ok();
    sandbox.run_with(&["ask", "-", "--server", &url], "named input").ok();
    sandbox.run_with(&["ask", "words", "--server", &url], "and input").ok();
    sandbox.run_with(&["ask", "words", "-f", &file, "--server", &url], "and input").ok();
    let history = r#"[{"role":"user","content":"earlier"},{"role":"assistant","content":"yes"}]"#;
    sandbox.run_with(&["ask", "now", "--history", "-", "--server", &url], history).ok();
    let prompts: Vec<String> = mock
        .chats()
        .iter()
        .map(|chat| {
            chat.json()["messages"].as_array().unwrap().last().unwrap()["content"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    assert_eq!(
        prompts,
        [
            "from a file",
            "from input",
            "named input",
            "words\n\nand input",
            "words\n\nfrom a file\n\nand input",
            "now"
        ]
    );
    assert_eq!(mock.chats()[5].json()["messages"].as_array().unwrap().len(), 3);
}

#[test]
fn json_is_one_object_with_the_nodes_four_outputs() {
    let (mock, sandbox) = (Mock::start(Personality::LmStudio04), Sandbox::new());
    mock.set_script(Script::new().text("Four.").reasoning("Two and two."));
    let ended = sandbox.run(&["ask", "2+2?", "--system", "Count.", "--json", "--server", &mock.url()]).ok();
    let object = ended.json();
    let names: Vec<&String> = object.as_object().unwrap().keys().collect();
    assert_eq!(names, ["full_conversation", "generation_stats", "reasoning", "response", "server_info"]);
    assert_eq!((&object["response"], &object["reasoning"]), (&json!("Four."), &json!("Two and two.")));
    assert_eq!(
        object["full_conversation"],
        json!([
            {"role": "system", "content": "Count."},
            {"role": "user", "content": "2+2?"},
            {"role": "assistant", "content": "Four."},
        ])
    );
    assert_eq!(object["server_info"]["kind"], "lmstudio");
    assert_eq!(object["generation_stats"]["finish_reason"], "stop");
    let stats = std::fs::read_to_string(sandbox.state_dir().join("stats.jsonl")).unwrap();
    assert!(stats.lines().count() == 1 && !stats.contains("Four"), "{stats}");
}

#[test]
fn thinking_is_shown_only_when_asked_and_never_on_standard_output() {
    let (mock, sandbox) = (Mock::start(Personality::LmStudio04), Sandbox::new());
    mock.set_script(Script::new().text("Four.").reasoning("Two and two."));
    let hidden = sandbox.run(&["ask", "x", "--server", &mock.url()]).ok();
    assert_eq!((hidden.stdout.as_str(), hidden.stderr.contains("Two")), ("Four.\n", false));
    let shown = sandbox.run(&["ask", "x", "--reasoning", "show", "--server", &mock.url()]).ok();
    assert_eq!((shown.stdout.as_str(), shown.stderr.contains("Two and two.")), ("Four.\n", true));
}

#[test]
fn no_stream_prints_the_same() {
    let (mock, sandbox) = (Mock::start(Personality::Generic), Sandbox::new());
    mock.set_script(Script::new().text("one two three"));
    assert_eq!(
        sandbox.run(&["ask", "x", "--no-stream", "--server", &mock.url()]).ok().stdout,
        "one two three\n"
    );
}

#[test]
fn failures_have_their_exit_code_and_a_hint() {
    let sandbox = Sandbox::new();
    let port = closed_port();
    let url = format!("http://127.0.0.1:{port}");
    let ended = sandbox.run(&["ask", "x", "--server", &url]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(4), ""));
    assert!(ended.stderr.starts_with("error: ") && ended.stderr.contains("\nhint: "), "{}", ended.stderr);
    let ended = sandbox.run(&["ask", "x", "--server", &url, "--json"]);
    let error = &ended.json()["error"];
    assert_eq!((ended.code, &error["code"]), (Some(4), &json!("unreachable")));
    assert!(error["message"].as_str().unwrap().contains(&port.to_string()), "{error}");
    assert!(!error["hint"].as_str().unwrap().is_empty());

    let locked =
        Mock::start_with(Options { api_key: Some("secret".into()), ..Options::from(Personality::Vllm) })
            .unwrap();
    let ended = sandbox.run(&["ask", "x", "--server", &locked.url()]);
    assert_eq!(ended.code, Some(6), "{ended:?}");

    let cut = Mock::start(Personality::Generic);
    cut.set_script(Script::new().text("one two three").fault(Fault::CutMidEvent { after_tokens: 2 }));
    let ended = sandbox.run(&["ask", "x", "--server", &cut.url()]);
    assert_eq!(ended.code, Some(14), "{ended:?}");
    assert_eq!(ended.stdout.trim_end(), "one two", "what had arrived stays: {ended:?}");
}

#[test]
fn a_key_of_the_config_is_sent_and_never_printed() {
    let sandbox = Sandbox::new();
    let mock =
        Mock::start_with(Options { api_key: Some("s3cret-key".into()), ..Options::from(Personality::Vllm) })
            .unwrap();
    sandbox.config(&format!("[servers.box]\nurl = \"{}\"\napi_key_env = \"BOX_KEY\"\n", mock.url()));
    for arguments in [
        &["ask", "x", "--server", "box"][..],
        &["ask", "x", "--server", "box", "--dry-run"],
        &["config", "show"],
    ] {
        let mut command = sandbox.command(arguments);
        let output =
            command.env("BOX_KEY", "s3cret-key").stdin(std::process::Stdio::null()).output().unwrap();
        let printed = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{printed}");
        assert!(!printed.contains("s3cret"), "{arguments:?}: {printed}");
    }
    assert_eq!(mock.chats().len(), 1);
}

#[test]
fn a_dry_run_sends_no_chat() {
    let (mock, sandbox) = (Mock::start(Personality::Ollama), Sandbox::new());
    let ended =
        sandbox.run(&["ask", "x", "--dry-run", "--json", "--max-tokens", "5", "--server", &mock.url()]).ok();
    let preview = ended.json();
    assert_eq!(
        (&preview["method"], &preview["body"]["messages"][0]["content"]),
        (&json!("POST"), &json!("x"))
    );
    assert!(preview["url"].as_str().unwrap().starts_with(&mock.url()), "{preview}");
    assert_eq!(mock.chats().len(), 0);
}

#[test]
#[cfg(unix)]
fn ctrl_c_cancels_and_what_arrived_stays() {
    let (mock, sandbox) = (Mock::start(Personality::Generic), Sandbox::new());
    mock.set_script(Script::new().repeat(10_000).delay(Duration::from_millis(20)));
    let mut child = sandbox.spawn(&["ask", "x", "--server", &mock.url()]);
    drop(child.stdin.take());
    let mut first = [0; 8];
    child.stdout.as_mut().unwrap().read_exact(&mut first).unwrap();
    crate::sandbox::interrupt(&child);
    let ended = wait(child);
    assert_eq!(ended.code, Some(130), "{ended:?}");
    assert!(ended.stdout.ends_with('\n'), "the line is ended: {:?}", ended.stdout);
    let noticed = mock.wait_for(Duration::from_secs(5), |requests| {
        requests.iter().any(|request| request.is_chat() && request.client_closed.is_some())
    });
    assert!(noticed, "the server was told");
}

#[test]
#[cfg(unix)]
fn ctrl_c_before_the_first_token_cancels_too() {
    let (mock, sandbox) = (Mock::start(Personality::Generic), Sandbox::new());
    mock.set_script(Script::new().text("late").first_token_delay(Duration::from_secs(60)));
    let mut child = sandbox.spawn(&["ask", "x", "--json", "--server", &mock.url()]);
    drop(child.stdin.take());
    assert!(
        mock.wait_for(Duration::from_secs(10), |requests| requests
            .iter()
            .any(xdev_llm_mock::Request::is_chat))
    );
    crate::sandbox::interrupt(&child);
    let ended = wait(child);
    assert_eq!((ended.code, &ended.json()["error"]["code"]), (Some(130), &json!("interrupted")));
}

#[test]
fn a_closed_output_ends_quietly() {
    let (mock, sandbox) = (Mock::start(Personality::Generic), Sandbox::new());
    mock.set_script(Script::new().repeat(100_000).delay(Duration::from_millis(1)));
    let mut child = sandbox.spawn(&["ask", "x", "--server", &mock.url()]);
    drop(child.stdin.take());
    let mut out = child.stdout.take().unwrap();
    out.read_exact(&mut [0; 8]).unwrap();
    drop(out);
    let ended = wait(child);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
}

#[test]
fn foreign_text_reaches_a_pipe_unchanged() {
    let (mock, sandbox) = (Mock::start(Personality::Generic), Sandbox::new());
    mock.set_script(Script::new().text("a\u{1b}[31mb\tü 🦀"));
    assert_eq!(sandbox.run(&["ask", "x", "--server", &mock.url()]).ok().stdout, "a\u{1b}[31mb\tü 🦀\n");
}

#[test]
fn both_prompt_and_history_from_standard_input_are_refused() {
    let sandbox = Sandbox::new();
    let mut child = sandbox.spawn(&["ask", "-", "--history", "-"]);
    // The child may be gone before it reads.
    let _ = child.stdin.take().unwrap().write_all(b"[]");
    let ended = wait(child);
    assert_eq!(ended.code, Some(2), "{ended:?}");
}
