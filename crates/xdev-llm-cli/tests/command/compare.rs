//! `ask` with several models: who is asked when, and what is printed of it. How it looks on a terminal is in `columns`.

use std::time::Duration;

use serde_json::{Value, json};
use xdev_llm_mock::{Fault, Mock, Personality, Request, Script};

use crate::sandbox::{Sandbox, closed_port};

fn models(mock: &Mock) -> Vec<Value> {
    mock.chats().iter().map(|chat| chat.json()["model"].clone()).collect()
}

/// A server with two models, another one behind the alias `other`, and nobody behind the alias `gone`.
fn servers() -> (Mock, Mock, Sandbox) {
    let (one, two, sandbox) =
        (Mock::start(Personality::LmStudio04), Mock::start(Personality::Ollama), Sandbox::new());
    one.set_script(Script::new().text("From one."));
    two.set_script(Script::new().text("From **two**."));
    sandbox.config(&format!(
        "server = \"{}\"\n[aliases.other]\nserver = \"{}\"\n[aliases.gone]\nserver = \"http://127.0.0.1:{}\"\n",
        one.url(),
        two.url(),
        closed_port()
    ));
    (one, two, sandbox)
}

#[test]
fn the_answers_stand_one_below_the_other_with_headings() {
    let (one, two, sandbox) = servers();
    let ended = sandbox.run(&["ask", "Hello", "--model", "qwen3-4b, other,google/gemma-3-12b"]).ok();
    let (answers, table) = ended.stdout.split_once("## Summary\n\n").unwrap();
    assert_eq!(
        answers,
        "## qwen3-4b\n\nFrom one.\n\n## other\n\nFrom **two**.\n\n## google/gemma-3-12b\n\nFrom one.\n\n"
    );
    let rows: Vec<&str> =
        table.lines().map(|row| row.split_whitespace().next().unwrap_or_default()).collect();
    assert_eq!(rows, ["MODEL", "qwen3-4b", "other", "google/gemma-3-12b"]);
    assert!(!ended.stdout.contains('\u{1b}') && ended.stderr.is_empty(), "{ended:?}");
    assert_eq!(models(&one), [json!("qwen3-4b"), json!("google/gemma-3-12b")], "in the order given");
    assert_eq!(two.chats()[0].json()["messages"], one.chats()[0].json()["messages"]);
}

#[test]
fn a_failure_hides_no_other_answer_and_gives_the_exit_code() {
    let (_one, _two, sandbox) = servers();
    for flags in [&["--parallel"][..], &[]] {
        let mut arguments = vec!["ask", "Hello", "--model", "gone,qwen3-4b,other"];
        arguments.extend(flags);
        let ended = sandbox.run(&arguments);
        assert_eq!(ended.code, Some(4), "{ended:?}");
        assert!(
            ended.stdout.contains("## gone\n\nerror: No route of the alias `gone` can be taken."),
            "{ended:?}"
        );
        assert!(ended.stdout.contains("hint: ") && ended.stdout.contains("unreachable"), "{ended:?}");
        assert!(ended.stdout.contains("From one.") && ended.stdout.contains("From **two**."), "{ended:?}");
    }
}

#[test]
fn json_has_every_answer_or_its_error_and_the_numbers() {
    let (one, two, sandbox) = servers();
    let ended = sandbox.run(&["ask", "Hello", "--model", "qwen3-4b,gone,other", "--json"]);
    assert_eq!(ended.code, Some(4));
    let told = ended.json();
    let answers = told["answers"].as_array().unwrap();
    assert_eq!((&answers[0]["model"], &answers[0]["response"]), (&json!("qwen3-4b"), &json!("From one.")));
    assert_eq!(answers[0]["server_info"]["url"], json!(one.url()));
    assert_eq!(answers[0]["generation_stats"]["model_requested"], json!("qwen3-4b"));
    assert!(answers[0]["reasoning"].is_string() && answers[0].get("error").is_none());
    let error = answers[1]["error"].as_object().unwrap();
    assert_eq!((&answers[1]["model"], &error["code"]), (&json!("gone"), &json!("unreachable")));
    assert!(error["hint"].is_string() && answers[1].get("response").is_none());
    assert_eq!(answers[2]["server_info"]["url"], json!(two.url()));
    assert_eq!(answers[2]["server_info"]["route"]["alias"], json!("other"));
    let summary = told["summary"].as_array().unwrap();
    assert_eq!(summary.iter().map(|row| row["answered"] == true).collect::<Vec<_>>(), [true, false, true]);
    assert!(summary[2]["time_to_first_token"].is_number() && summary[2]["output_tokens"].is_number());
}

#[test]
fn side_by_side_a_stuck_model_holds_up_no_other() {
    let (one, two, sandbox) = servers();
    one.set_script(Script::new().text("One two three.").fault(Fault::Stall { after_tokens: 1 }));
    let mut child = sandbox.spawn(&["ask", "Hello", "--model", "qwen3-4b,other", "--parallel", "--json"]);
    drop(child.stdin.take());
    let began =
        |requests: &[Request]| requests.iter().any(|request| request.is_chat() && request.tokens_sent > 0);
    assert!(one.wait_for(Duration::from_secs(20), began) && two.wait_for(Duration::from_secs(20), began));
    #[cfg(unix)]
    {
        crate::sandbox::interrupt(&child);
        let ended = crate::sandbox::wait(child);
        assert_eq!(ended.code, Some(130), "{ended:?}");
        let told = ended.json();
        assert_eq!(told["answers"][0]["error"]["code"], json!("interrupted"));
        let stopped = |requests: &[Request]| {
            requests.iter().any(|request| request.is_chat() && request.client_closed.is_some())
        };
        assert!(one.wait_for(Duration::from_secs(20), stopped), "the server is stopped");
    }
    #[cfg(not(unix))]
    drop(child);
}

#[test]
#[cfg(unix)]
fn ctrl_c_asks_no_other_and_shows_what_came() {
    let (one, two, sandbox) = servers();
    one.set_script(Script::new().text("One two three.").fault(Fault::Stall { after_tokens: 2 }));
    let mut child = sandbox.spawn(&["ask", "Hello", "--model", "qwen3-4b,other"]);
    drop(child.stdin.take());
    let began =
        |requests: &[Request]| requests.iter().any(|request| request.is_chat() && request.tokens_sent > 1);
    assert!(one.wait_for(Duration::from_secs(20), began));
    crate::sandbox::interrupt(&child);
    let ended = crate::sandbox::wait(child);
    assert_eq!(ended.code, Some(130), "{ended:?}");
    assert!(
        ended.stdout.contains("## qwen3-4b\n\n") && ended.stdout.contains("error: Interrupted."),
        "{ended:?}"
    );
    assert!(!ended.stdout.contains("## other") && two.chats().is_empty(), "{ended:?}");
}

#[test]
fn one_name_is_asked_as_ever_and_a_missing_one_is_refused() {
    let (one, _two, sandbox) = servers();
    assert_eq!(
        sandbox.run(&["ask", "Hello", "--model", "qwen3-4b", "--parallel"]).ok().stdout,
        "From one.\n"
    );
    let ended = sandbox.run(&["ask", "Hello", "--model", "qwen3-4b,,other"]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("One of the models of `--model` has no name."), "{ended:?}");
    let shown =
        sandbox.run(&["ask", "Hello", "--model", "qwen3-4b,google/gemma-3-12b", "--dry-run"]).ok().stdout;
    assert!(shown.matches("POST ").count() == 2 && shown.contains("google/gemma-3-12b"), "{shown}");
    assert_eq!(one.chats().len(), 1);
}

#[test]
fn the_numbers_of_every_answer_are_kept() {
    let (_one, _two, sandbox) = servers();
    sandbox.run(&["ask", "Hello", "--model", "qwen3-4b,other"]).ok();
    let kept = std::fs::read_dir(sandbox.state_dir()).unwrap().flatten();
    let lines: usize = kept
        .filter_map(|file| std::fs::read_to_string(file.path()).ok())
        .map(|text| text.lines().filter(|line| line.contains("model_requested")).count())
        .sum();
    assert_eq!(lines, 2);
}
