//! The doctor: what it says at each step, in which order, and when it ends.

use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use xdev_llm::doctor::{self, Check, Report, Status};
use xdev_llm::{Client, Error, ErrorKind};
use xdev_llm_mock::{Mock, Options, Personality, Script};

use super::host::{client, client_with};

fn find<'a>(report: &'a Report, name: &str) -> &'a Check {
    let found = report.checks.iter().find(|check| check.name == name);
    found.unwrap_or_else(|| panic!("no {name} in\n{report}"))
}

/// The names of the checks, without those of the ports: other servers may run on this machine.
fn names(report: &Report) -> Vec<&str> {
    let names = report.checks.iter().map(|check| check.name.as_str());
    names.filter(|name| !name.starts_with("port ")).collect()
}

fn closed_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// On a task of its own, as a runtime with many threads wants it.
#[tokio::test]
async fn it_walks_to_the_answer_and_tells_each_check_as_it_is_made() {
    let mock = Mock::start(Personality::LmStudio04);
    let (client, url) = (client(), format!("{}/v1", mock.url()));
    let walk = tokio::spawn(async move {
        let mut told = Vec::new();
        let report = client.doctor(Some(&url), None, |check| told.push(check.clone())).await;
        (report, told)
    });
    let (report, told) = walk.await.unwrap();
    assert!(report.works, "{report}");
    assert_eq!(told, report.checks);
    assert_eq!(
        names(&report),
        ["proxy", "localhost", "config", "ports", "url", "server", "token", "model", "answer"]
    );
    assert_eq!(find(&report, "url").message, format!("{}/v1 (the /v1 may be left out)", mock.url()));
    let chats = mock.chats();
    assert_eq!((chats.len(), chats[0].json()["max_tokens"].as_u64()), (1, Some(1)));

    let text = report.to_string();
    assert!(text.contains("\nok    model       qwen3-4b is loaded\nok    answer      the first"), "{text}");
    assert!(text.ends_with(" s\n\nIt works."), "{text}");
    let printed = serde_json::to_value(&report).unwrap();
    assert_eq!(printed["works"], true);
    let model = serde_json::json!({"status": "ok", "name": "model", "message": "qwen3-4b is loaded"});
    assert!(printed["checks"].as_array().unwrap().contains(&model), "{printed}");
}

#[tokio::test]
async fn the_first_step_that_fails_ends_the_walk_with_its_cure() {
    let url = format!("http://127.0.0.1:{}", closed_port());
    let report = client().doctor(Some(&url), None, |_| {}).await;
    let last = report.checks.last().unwrap();
    assert_eq!((report.works, last.name.as_str(), last.status), (false, "server", Status::Fail), "{report}");
    let cure = last.cure.as_deref().unwrap();
    assert!(last.message.contains(&url) && cure.starts_with("Start the server"), "{report}");
    let end = format!(
        "\nfail  server      {}\n                  {cure}\n\nIt does not work yet: see the lines that say fail.",
        last.message
    );
    assert!(report.to_string().ends_with(&end), "{report}");
    assert_eq!(serde_json::to_value(last).unwrap()["cure"], cure);

    let report = client().doctor(Some("no such name"), None, |_| {}).await;
    assert_eq!(report.checks.last().unwrap().name, "server", "{report}");
    assert!(find(&report, "server").message.starts_with("Invalid server URL"), "{report}");
}

#[tokio::test]
async fn a_model_that_is_not_there_is_not_asked() {
    let mock = Mock::start(Personality::LmStudio04);
    let report = client().doctor(Some(&mock.url()), Some("qwen3-4c"), |_| {}).await;
    let model = find(&report, "model");
    assert_eq!((report.works, model.status), (false, Status::Fail), "{report}");
    assert!(model.message.contains("Did you mean \"qwen3-4b\"?") && model.cure.is_some(), "{report}");
    assert!(mock.chats().is_empty());
    // The given model goes before the config's.
    let (client, _folder) = client_with("model = \"nobody\"\n", &[]);
    assert!(!client.doctor(Some(&mock.url()), None, |_| {}).await.works);
    assert!(client.doctor(Some(&mock.url()), Some("qwen3-4b"), |_| {}).await.works);
    assert_eq!(mock.chats()[0].json()["model"], "qwen3-4b");
}

#[tokio::test]
async fn the_model_it_names_is_the_one_that_answers() {
    let mock = Mock::start(Personality::LmStudio04);
    let config = format!("[servers.own]\nurl = \"{}\"\nmodel = \"qwen2.5-vl-7b\"\n", mock.url());
    let (client, _folder) = client_with(&config, &[]);
    for model in [None, Some(""), Some("auto"), Some("qwen3-4b")] {
        let report = client.doctor(Some("own"), model, |_| {}).await;
        let asked = mock.chats().last().unwrap().json()["model"].as_str().unwrap().to_owned();
        assert!(find(&report, "model").message.starts_with(&asked), "{asked}: {report}");
    }
}

#[tokio::test]
async fn keys_are_told_apart_and_never_shown() {
    let options = Options { api_key: Some("right".into()), ..Options::from(Personality::Vllm) };
    let mock = Mock::start_with(options).unwrap();
    let report = client().doctor(Some(&mock.url()), None, |_| {}).await;
    assert_eq!(find(&report, "token").message, "the server wants a key and has got none", "{report}");
    let config = format!("[servers.mine]\nurl = \"{}\"\napi_key_env = \"MY_KEY\"\n", mock.url());
    for (key, works, message) in [
        ("right", true, "a key is set and taken"),
        ("wrong-secret", false, "the server refuses the key it got"),
    ] {
        let (client, _folder) = client_with(&config, &[("MY_KEY", key)]);
        let report = client.doctor(Some("mine"), None, |_| {}).await;
        assert_eq!((report.works, find(&report, "token").message.as_str()), (works, message), "{report}");
        assert_eq!(
            find(&report, "url").message,
            format!("{} (with or without /v1 at its end)", mock.url()),
            "a name says where it leads"
        );
        assert!(!report.to_string().contains("wrong-secret"), "{report}");
    }
}

#[tokio::test]
async fn ports_are_named_for_what_is_there() {
    let (web, silent) = (Mock::start(Personality::Spa), Mock::start(Personality::Silent));
    let ollama = Mock::start(Personality::Ollama);
    let ports = [web.port(), silent.port(), ollama.port(), closed_port()];
    let (client, _folder) = client_with(&format!("discovery_ports = {ports:?}\n"), &[]);
    let report = client.doctor(Some(&ollama.url()), None, |_| {}).await;
    let port = |mock: &Mock| find(&report, &format!("port {}", mock.port()));
    assert!(port(&web).message.starts_with("is no model server: "), "{report}");
    assert_eq!((port(&silent).status, port(&silent).cure.is_some()), (Status::Warn, true), "{report}");
    assert!(port(&ollama).message.starts_with("Ollama "), "{report}");
    assert!(find(&report, "ports").message.contains(&ports[3].to_string()), "{report}");
    let order: Vec<_> = report.checks.iter().filter(|check| check.name.starts_with("port ")).collect();
    assert_eq!(order[0], port(&web), "the config's ports come first, in its order");
    assert!(report.works, "a stranger elsewhere is no fault: {report}");
}

#[tokio::test]
async fn a_server_that_loads_is_a_warning() {
    let mock = Mock::start(Personality::LlamaCpp);
    mock.set_script(Script::new().loading(Duration::from_millis(500)));
    let report = client().doctor(Some(&mock.url()), None, |_| {}).await;
    assert_eq!(find(&report, "health").status, Status::Warn, "{report}");
    assert!(find(&report, "health").message.contains("loading"), "{report}");
}

#[tokio::test]
async fn what_was_remembered_is_asked_anew() {
    let (first, second) = (Mock::start(Personality::LmStudio04), Mock::start(Personality::Ollama));
    let config = format!("discovery_ports = {:?}\n", [first.port(), second.port()]);
    let (client, _folder) = client_with(&config, &[]);
    let lists = || first.requests().iter().filter(|request| request.path == "/api/v1/models").count();
    client.doctor(Some(&first.url()), None, |_| {}).await;
    let once = lists();
    client.doctor(Some(&first.url()), None, |_| {}).await;
    assert!(once > 0 && lists() == 2 * once, "every walk reads the list: {once}, {}", lists());

    // The choice of a server that was found is remembered, and it goes away.
    assert!(client.server(None).await.unwrap().url().contains(&first.port().to_string()));
    drop(first);
    let report = client.doctor(None, None, |_| {}).await;
    assert!(report.works, "{report}");
    assert!(find(&report, "url").message.contains(&second.port().to_string()), "{report}");
}

#[tokio::test]
async fn a_wrong_configuration_is_a_check_too() {
    let error = Error::new(ErrorKind::Config, "line 3 is wrong");
    let nobody = async |_| panic!("without a configuration nobody is asked");
    let report = doctor::walk(Err(error), nobody, |_| Ok::<(), ()>(())).await.unwrap();
    assert_eq!((report.works, names(&report)), (false, vec!["proxy", "localhost", "config"]));
    let config = find(&report, "config");
    assert_eq!((config.status, config.message.as_str()), (Status::Fail, "line 3 is wrong"));
}

#[tokio::test]
async fn who_listens_can_end_the_walk() {
    let mock = Mock::start(Personality::Generic);
    let url = mock.url();
    let connect = async |client: Client| client.route(Some(&url), None).await;
    let stop = |check: &Check| if check.name == "model" { Err("enough") } else { Ok(()) };
    let ended = doctor::walk(Ok(client()), connect, stop).await;
    assert_eq!((ended, mock.chats().len()), (Err("enough"), 0));
}
