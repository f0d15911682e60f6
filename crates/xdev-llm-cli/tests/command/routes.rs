//! Aliases through the command: who answers, what is said of it, and where they are offered.

use serde_json::{Value, json};
use xdev_llm_mock::{Mock, Personality, Script};

use crate::sandbox::{Sandbox, closed_port};

/// Two routes: to an address where nobody listens, and to the mock.
fn aliases(mock: &Mock) -> (String, String) {
    let gone = format!("http://127.0.0.1:{}", closed_port());
    let config = format!(
        "[[aliases.fast]]\nserver = \"{gone}\"\nmodel = \"big\"\n\
         [[aliases.fast]]\nserver = \"{}\"\nmodel = \"google/gemma-3-12b\"\n",
        mock.url()
    );
    (gone, config)
}

#[test]
fn an_alias_is_asked_and_the_route_is_told() {
    let (mock, sandbox) = (Mock::start(Personality::LmStudio04), Sandbox::new());
    mock.set_script(Script::new().text("Hello."));
    let (gone, config) = aliases(&mock);
    sandbox.config(&config);
    let ended = sandbox.run(&["ask", "x", "--model", "fast"]).ok();
    assert_eq!(ended.stdout, "Hello.\n");
    assert!(
        ended.stderr.contains("fast: route 2 is taken, google/gemma-3-12b at")
            && ended.stderr.contains(&gone),
        "{ended:?}"
    );
    assert_eq!(mock.chats()[0].json()["model"], json!("google/gemma-3-12b"));
    let told = sandbox.run(&["ask", "x", "--model", "fast", "--json"]).ok().json();
    let info = &told["server_info"];
    assert_eq!(info["url"], json!(mock.url()));
    assert_eq!((&info["route"]["alias"], &info["route"]["taken"]), (&json!("fast"), &json!(2)), "{info}");
    assert_eq!(
        (&info["route"]["tried"][0]["server"], &info["route"]["tried"][0]["model"]),
        (&json!(gone), &json!("big"))
    );
    let plain = sandbox.run(&["ask", "x", "--server", &mock.url(), "--json"]).ok().json();
    assert_eq!(plain["server_info"].get("route"), None, "nothing is said where no alias was asked for");
}

#[test]
fn an_alias_serves_chats_previews_and_the_doctor() {
    let (mock, sandbox) = (Mock::start(Personality::LmStudio04), Sandbox::new());
    let (_, config) = aliases(&mock);
    sandbox.config(&format!("model = \"fast\"\n{config}"));
    sandbox.run_with(&["chat"], "Hello.\n/model qwen3-4b\n/model fast\nAgain.\n").ok();
    let models: Vec<Value> = mock.chats().iter().map(|chat| chat.json()["model"].clone()).collect();
    assert_eq!(models, [json!("google/gemma-3-12b"), json!("google/gemma-3-12b")]);
    let preview = sandbox.run(&["ask", "x", "--dry-run", "--json"]).ok().json();
    assert_eq!(preview["body"]["model"], json!("google/gemma-3-12b"));
    assert!(preview["url"].as_str().unwrap().starts_with(&mock.url()));
    let report = sandbox.run(&["doctor", "--json"]).json();
    let check = |name: &str| {
        report["checks"].as_array().unwrap().iter().find(|check| check["name"] == name).unwrap().clone()
    };
    assert_eq!(check("route")["status"], json!("warn"));
    assert!(check("model")["message"].as_str().unwrap().contains("google/gemma-3-12b"), "{report}");
}

#[test]
fn failures_name_every_route_or_the_wrong_server() {
    let (mock, sandbox) = (Mock::start(Personality::LmStudio04), Sandbox::new());
    let (gone, config) = aliases(&mock);
    sandbox.config(&config);
    let ended = sandbox.run(&["ask", "x", "--model", "fast", "--server", "http://127.0.0.1:9"]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("The alias `fast` has no route to the server http://127.0.0.1:9"));
    let url = mock.url();
    drop(mock);
    let ended = sandbox.run(&["ask", "x", "--model", "fast"]);
    assert_eq!(ended.code, Some(4), "{ended:?}");
    assert!(
        ended.stderr.contains("Route 1 (big): ") && ended.stderr.contains("Route 2 (google/gemma-3-12b): ")
    );
    assert!(
        ended.stderr.contains(&gone) && ended.stderr.contains(&url) && ended.stderr.contains("aliases.fast")
    );
}

#[test]
fn aliases_are_shown_and_completed() {
    let (mock, sandbox) = (Mock::start(Personality::LmStudio04), Sandbox::new());
    let (gone, config) = aliases(&mock);
    sandbox.config(&config);
    let shown = sandbox.run(&["config", "show", "--json"]).ok().json();
    let line =
        shown.as_array().unwrap().iter().find(|line| line["key"] == "aliases.fast[1]").unwrap().clone();
    assert!(
        line["value"].as_str().unwrap().contains(&gone)
            && line["origin"].as_str().unwrap().contains("user file")
    );
    let mut command = sandbox.command(&["--", "xdev-llm", "ask", "--server", &mock.url(), "--model", ""]);
    command.env("XDEV_LLM_COMPLETE", "bash").env("_CLAP_COMPLETE_INDEX", "5").env("IFS", "\n");
    let offered = command.output().unwrap();
    let offered = String::from_utf8(offered.stdout).unwrap();
    let first = offered.lines().next().unwrap_or_default();
    assert_eq!(first, "fast", "{offered}");
    assert!(offered.lines().any(|line| line == "qwen3-4b"), "{offered}");
}
