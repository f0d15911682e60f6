//! `chat` through a pipe: turns, commands, sessions on disk.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::time::Duration;

use serde_json::{Value, json};
use xdev_llm_mock::{Fault, Mock, Personality, Script};

use crate::sandbox::{Sandbox, wait};

/// The texts of the messages of chat number `index`.
fn sent(mock: &Mock, index: usize) -> Vec<String> {
    let body = mock.chats()[index].json();
    let messages = body["messages"].as_array().unwrap().clone();
    messages.iter().map(|message| message["content"].as_str().unwrap().to_owned()).collect()
}

/// The lines of the only session.
fn session(sandbox: &Sandbox) -> Vec<Value> {
    let files: Vec<_> =
        fs::read_dir(sandbox.state_dir().join("sessions")).unwrap().map(Result::unwrap).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    let text = fs::read_to_string(files[0].path()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn turns_build_on_each_other_and_are_kept() {
    let (mock, sandbox) = (Mock::start(Personality::Generic), Sandbox::new());
    mock.push_script(Script::new().text("one"));
    mock.push_script(Script::new().text("two"));
    let ended = sandbox.run_with(&["chat", "--system", "S", "--server", &mock.url()], "a\nb\\\nc\n").ok();
    assert_eq!(ended.stdout, "one\ntwo\n");
    assert_eq!(sent(&mock, 1), ["S", "a", "one", "b\nc"]);
    assert_eq!(session(&sandbox).len(), 5);
    assert_eq!(session(&sandbox)[4], json!({"role": "assistant", "content": "two"}));

    mock.push_script(Script::new().text("three"));
    sandbox.run_with(&["chat", "--continue", "--server", &mock.url()], "d\n").ok();
    assert_eq!(sent(&mock, 2), ["S", "a", "one", "b\nc", "two", "d"]);
    assert_eq!(session(&sandbox).len(), 7);
}

#[test]
fn commands_change_the_conversation() {
    let (mock, sandbox) = (Mock::start(Personality::LlamaCpp), Sandbox::new());
    mock.set_script(Script::new().text("answer"));
    let input = "\"\"\"\nfirst\nline\n\"\"\"\n/retry\nsecond\n/undo\n/model other\n/system Be brief.\nthird\n/save out.json\n/history\n";
    let ended = sandbox.run_with(&["chat", "--server", &mock.url()], input).ok();
    assert_eq!(sent(&mock, 0), ["first\nline"]);
    assert_eq!(sent(&mock, 1), ["first\nline"], "/retry asks the same");
    assert_eq!(sent(&mock, 2), ["first\nline", "answer", "second"]);
    assert_eq!(sent(&mock, 3), ["Be brief.", "first\nline", "answer", "third"], "/undo took the second back");
    assert_eq!(mock.chats()[3].json()["model"], "other");
    let saved: Value =
        serde_json::from_str(&fs::read_to_string(sandbox.path().join("out.json")).unwrap()).unwrap();
    assert_eq!(saved.as_array().unwrap().len(), 5);
    assert!(
        ended.stdout.contains("system: Be brief.\n") && ended.stdout.contains("user: third\n"),
        "{ended:?}"
    );
}

#[test]
fn a_failed_turn_leaves_no_trace() {
    let (mock, sandbox) = (Mock::start(Personality::Generic), Sandbox::new());
    mock.push_script(Script::new().text("one"));
    mock.push_script(Script::new().fault(Fault::Status {
        code: 500,
        body: "broken".into(),
        headers: Vec::new(),
    }));
    mock.push_script(Script::new().text("three"));
    let ended = sandbox.run_with(&["chat", "--server", &mock.url()], "a\nb\nc\n");
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(12), "one\nthree\n"), "{ended:?}");
    assert_eq!(sent(&mock, mock.chats().len() - 1), ["a", "one", "c"]);
    assert_eq!(session(&sandbox).len(), 4);
}

#[test]
fn clear_and_load_change_the_session() {
    let (mock, sandbox) = (Mock::start(Personality::Generic), Sandbox::new());
    mock.set_script(Script::new().text("answer"));
    sandbox.run_with(&["chat", "--server", &mock.url()], "first\n/clear\nsecond\n").ok();
    assert_eq!(sent(&mock, 1), ["second"]);
    let listed = sandbox.run_with(&["chat", "--server", &mock.url()], "/sessions\n").ok().stdout;
    let row = listed.lines().find(|line| line.contains("first")).unwrap_or_else(|| panic!("{listed}"));
    let id = row.split_whitespace().next().unwrap();
    sandbox.run_with(&["chat", "--server", &mock.url()], &format!("/load {id}\nthird\n")).ok();
    assert_eq!(sent(&mock, 2), ["first", "answer", "third"]);
    sandbox.run_with(&["chat", "--session", id, "--server", &mock.url()], "fourth\n").ok();
    assert_eq!(sent(&mock, 3).len(), 5);
    assert_eq!(sandbox.run_with(&["chat", "--session", "../../etc/passwd"], "").code, Some(2));
}

#[test]
#[cfg(unix)]
fn ctrl_c_stops_the_answer_and_not_the_program() {
    let (mock, sandbox) = (Mock::start(Personality::Generic), Sandbox::new());
    mock.push_script(Script::new().repeat(10_000).delay(Duration::from_millis(20)));
    mock.push_script(Script::new().text("second answer"));
    let mut child = sandbox.spawn(&["chat", "--server", &mock.url()]);
    let mut input = child.stdin.take().unwrap();
    writeln!(input, "first").unwrap();
    let streaming = mock.wait_for(Duration::from_secs(10), |requests| {
        requests.iter().any(|request| request.is_chat() && request.tokens_sent > 3)
    });
    assert!(streaming);
    crate::sandbox::interrupt(&child);
    assert!(mock.wait_for(Duration::from_secs(5), |requests| {
        requests.iter().any(|request| request.client_closed.is_some())
    }));
    writeln!(input, "second").unwrap();
    drop(input);
    let ended = wait(child);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.ends_with("second answer\n"), "{ended:?}");
    let kept = &sent(&mock, 1)[1];
    assert!(kept.starts_with("tok") && kept.ends_with(" […]"), "{kept:?}");
}

#[test]
fn json_gives_an_object_a_line() {
    let (mock, sandbox) = (Mock::start(Personality::Generic), Sandbox::new());
    mock.push_script(Script::new().text("one"));
    mock.push_script(Script::new().text("two"));
    let mut child = sandbox.spawn(&["chat", "--json", "--server", &mock.url()]);
    child.stdin.take().unwrap().write_all(b"a\n/nope\nb\n").unwrap();
    let lines: Vec<Value> = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map(|line| serde_json::from_str(&line.unwrap()).unwrap())
        .collect();
    assert_eq!(wait(child).code, Some(2));
    assert_eq!((&lines[0]["response"], &lines[2]["response"]), (&json!("one"), &json!("two")));
    assert_eq!(lines[1]["error"]["code"], "invalid_input");
}
