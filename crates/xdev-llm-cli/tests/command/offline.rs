//! What needs no server: the transcripts in `tests/cli`, and the time `--version` takes.

use xdev_llm::ENVIRONMENT;

use serde_json::{Value, json};

use crate::sandbox::Sandbox;

#[test]
fn transcripts() {
    let sandbox = Sandbox::new();
    let cases = trycmd::TestCases::new();
    cases.register_bin("xdev-llm", trycmd::schema::Bin::Path(env!("CARGO_BIN_EXE_xdev-llm").into()));
    for variable in ENVIRONMENT {
        // An empty variable counts as not set.
        cases.env(variable.name, "");
    }
    let path = |name: &str| sandbox.path().join(name).to_str().unwrap().to_owned();
    cases.env("HOME", path("")).env("XDEV_LLM_CONFIG", path("config.toml"));
    cases
        .env("XDEV_LLM_STATE_DIR", path("state"))
        .env("XDEV_LLM_DATA_DIR", path("data"))
        .env("COLUMNS", "100");
    cases.env("PATH", "");
    cases.insert_var("[HOME]", path("").trim_end_matches('/').to_owned()).unwrap();
    cases.case("tests/cli/*.trycmd").case("../../docs/prompts.md");
}

#[test]
fn version_needs_no_settings() {
    let sandbox = Sandbox::new();
    sandbox.config("this is not TOML");
    let ended = sandbox.run(&["--version"]).ok();
    assert_eq!(ended.stdout, format!("xdev-llm {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn the_editor_gets_a_template_and_the_file_is_checked() {
    let sandbox = Sandbox::new();
    let file = sandbox.path().join("own.toml");
    let edit = |editor: &str| {
        sandbox
            .command(&["config", "edit"])
            .env("XDEV_LLM_CONFIG", &file)
            .env("EDITOR", editor)
            .env("PATH", "/usr/bin:/bin")
            .output()
            .unwrap()
    };
    let output = edit("grep -q server");
    assert!(output.status.success(), "the template is there: {output:?}");
    std::fs::write(&file, "timeout = 3\n").unwrap();
    let output = edit("true");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("line 1") && said.contains("5 to 300"), "{said}");
}

#[test]
fn a_prompt_a_line_that_fails_does_not_stop_the_others() {
    let lines = "\"a (red:1.2) cat\"\n\"(a:nan)\"\n42\n\"last\"\n";
    let ended = Sandbox::new().run_with(&["prompt", "parse", "--lines"], lines);
    assert_eq!(ended.code, Some(2));
    let answers: Vec<Value> = ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(answers[0], json!([["a ", 1.0], ["red", 1.2], [" cat", 1.0]]));
    assert!(answers[1]["error"]["message"].as_str().unwrap().contains("nan"), "{}", answers[1]);
    assert_eq!(answers[2]["error"]["code"], "invalid_input");
    assert_eq!(answers[3..], [json!([["last", 1.0]])]);
}

#[test]
fn a_prompt_comes_from_words_a_file_or_standard_input() {
    let sandbox = Sandbox::new();
    let file = sandbox.file("prompt.txt", "(a:1.2)\n");
    let weights = json!([["a", 1.2]]);
    assert_eq!(sandbox.run(&["prompt", "parse", "--json", "(a:1.2)"]).ok().json(), weights);
    assert_eq!(sandbox.run(&["prompt", "parse", "--json", "-f", &file]).ok().json(), weights);
    assert_eq!(sandbox.run_with(&["prompt", "parse", "--json"], "(a:1.2)\r\n").ok().json(), weights);
    let both = sandbox.run(&["prompt", "parse", "--json", "-f", &file, "b"]);
    assert_eq!((both.code, &both.json()["error"]["code"]), (Some(2), &json!("invalid_input")));
}
