//! What servers do wrong with models, each seen at a real one, and what comes of it here.
//!
//! The numbers are those of the list of pitfalls the project was started from; the vendor's issue stands beside each.

use std::time::Duration;

use xdev_llm::{ChatEvent, ChatRequest, ErrorKind, KeepAlive, LoadRequest, Unload};
use xdev_llm_mock::{InstanceState, Mock, Model, Options, Personality, Script};

use super::host::{ask, chat, client, limits, mock};
use super::memory::{loaded, managed, of, times, unload};

fn to(model: &str) -> ChatRequest {
    ChatRequest { model: Some(model.into()), ..ask("Hello") }
}

/// lmstudio-bug-tracker 619
#[tokio::test]
async fn p19_an_unknown_name_answered_by_the_loaded_model_is_told() {
    let (_mock, server) = mock(Personality::LmStudio04).await;
    let reply = chat(&server, to("never-heard-of")).await.unwrap();
    let told = reply.warnings.join(" ");
    assert!(told.contains("`never-heard-of` was asked for, and `qwen3-4b` answered"), "{told}");
    // A load is never sent for such a name.
    let error = server.load(of("never-heard-of")).finish().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoModel);
    assert!(error.hint().contains("xdev-llm pull"), "{}", error.hint());
    // Nor an unload, for which a download would be no cure.
    let unloading = || server.unload(Unload::Model("never-heard-of".into())).finish();
    let error = unloading().await.unwrap_err();
    assert_eq!((error.kind(), error.hint()), (ErrorKind::NoModel, "It has loaded: qwen3-4b."));
    server.unload(Unload::All).finish().await.unwrap();
    assert_eq!(unloading().await.unwrap_err().hint(), "It has none loaded.");
}

/// lmstudio-bug-tracker 1730, lms 107
#[tokio::test]
async fn p20_no_model_loaded_and_none_loads_by_itself() {
    let off = |options: &mut Options| options.just_in_time = false;
    let (_mock, server) = managed(Personality::LmStudio04, off).await;
    let error = chat(&server, to("two")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoModel, "{error}");
    // What JIT does not do, a load does.
    server.load(of("two")).finish().await.unwrap();
    assert!(!chat(&server, to("two")).await.unwrap().text.is_empty());
    // And a stay, which only a request that loads takes, fails in words rather than loading for ever.
    let stay = LoadRequest { keep_alive: Some(KeepAlive::Seconds(60)), ..of("one") };
    let error = server.load(stay).finish().await.unwrap_err();
    assert!(error.hint().contains("Just-in-Time"), "{error} {}", error.hint());
}

/// lmstudio-bug-tracker 168, 1582
#[tokio::test]
async fn p21_a_second_copy_is_never_made_and_both_are_unloaded() {
    let (mock, server) = managed(Personality::LmStudio04, |_| {}).await;
    for _ in 0..3 {
        server.load(of("two")).finish().await.unwrap();
    }
    assert_eq!(times(&mock, ("/api/v1/models/load", "two")), 1);
    // Somebody else makes one.
    let call = format!("{}/api/v1/models/load", mock.url());
    let body = r#"{"model":"two"}"#;
    post_past_the_client(&call, body).await;
    let copies = server.loaded().await.unwrap();
    assert_eq!(copies.iter().map(xdev_llm::LoadedModel::name).collect::<Vec<_>>(), ["two", "two:2"]);
    // One by its name, all by the model's.
    let gone = unload(&server, "two:2").await;
    assert_eq!(gone.models.len(), 1);
    assert_eq!(loaded(&server).await, ["two"]);
    post_past_the_client(&call, body).await;
    assert_eq!(unload(&server, "two").await.models.len(), 2);
    assert!(loaded(&server).await.is_empty());
}

/// Posts without the client under test.
async fn post_past_the_client(url: &str, body: &str) {
    let (url, body) = (url.to_owned(), body.to_owned());
    let post = move || {
        use std::io::{Read, Write};
        let (host, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
        let mut stream = std::net::TcpStream::connect(host).unwrap();
        let length = body.len();
        write!(
            stream,
            "POST /{path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        )
        .unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    };
    tokio::task::spawn_blocking(post).await.unwrap();
}

/// lmstudio-bug-tracker 671
#[tokio::test]
async fn p22_an_answer_cut_by_somebody_elses_load_is_a_failure_with_its_part() {
    let (mock, server) = managed(Personality::LmStudio04, |_| {}).await;
    mock.push_script(Script::new().repeat(10_000).delay(Duration::from_millis(2)));
    let mut stream = server.chat(to("one"), limits()).unwrap();
    while let Some(event) = stream.next().await {
        if matches!(event.unwrap(), ChatEvent::Text(_)) {
            break;
        }
    }
    chat(&client().server(Some(&mock.url())).await.unwrap(), to("two")).await.unwrap();
    let error = stream.finish().await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Server | ErrorKind::CutOff | ErrorKind::NoModel), "{error}");
    assert!(!error.partial().unwrap().text.is_empty());
}

/// lmstudio.ai/docs/developer/core/ttl-and-auto-evict
#[tokio::test]
async fn p23_a_stay_is_asked_for_with_the_request_that_loads() {
    let (mock, server) = managed(Personality::LmStudio04, |_| {}).await;
    let stay = LoadRequest { keep_alive: Some(KeepAlive::Seconds(77)), ..of("two") };
    server.load(stay).finish().await.unwrap();
    let instance = mock.instances().remove(0);
    assert_eq!((instance.keep, instance.just_in_time), (Some(Duration::from_secs(77)), true));
}

/// lmstudio.ai/docs/developer/rest/unload, lmstudio-bug-tracker 1680
#[tokio::test]
async fn p24_an_old_lm_studio_cannot_unload_and_says_what_to_do() {
    let mock = Mock::start(Personality::LmStudio03);
    let server = client().server(Some(&mock.url())).await.unwrap();
    assert_eq!(loaded(&server).await, ["qwen3-4b"]);
    let error = server.unload(Unload::All).finish().await.unwrap_err();
    assert!(
        error.hint().contains("0.4.0") && error.hint().contains("lms unload"),
        "{error} {}",
        error.hint()
    );
    // It loads with a request.
    server.load(of("google/gemma-3-12b")).finish().await.unwrap();
    assert!(loaded(&server).await.contains(&"google/gemma-3-12b".to_owned()));
    assert!(!mock.requests().iter().any(|request| request.path.contains("models/load")));
}

/// ollama/api/types.go
#[tokio::test]
async fn p25_a_stay_is_a_number() {
    let (mock, server) = managed(Personality::Ollama, |_| {}).await;
    for (stay, sent) in [(KeepAlive::Seconds(300), 300), (KeepAlive::Forever, -1)] {
        server.load(LoadRequest { keep_alive: Some(stay), ..of("two") }).finish().await.unwrap();
        let last = mock.requests().into_iter().rfind(|request| request.path == "/api/generate").unwrap();
        assert_eq!((last.json()["keep_alive"].as_i64(), last.status), (Some(sent), 200));
    }
    assert_eq!(loaded(&server).await, ["two:latest"], "asked for again, it is not loaded anew");
}

/// docs.ollama.com/context-length
#[tokio::test]
async fn p26_a_prompt_that_was_cut_without_a_word_is_told() {
    let (_mock, server) = managed(Personality::Ollama, |_| {}).await;
    server.load(LoadRequest { context_length: Some(2048), ..of("two") }).finish().await.unwrap();
    let long = ChatRequest { model: Some("two:latest".into()), ..ask(&"word and word ".repeat(2000)) };
    let reply = chat(&server, long).await.unwrap();
    assert!(reply.warnings.iter().any(|warning| warning.contains("2048")), "{:?}", reply.warnings);
    let reply = chat(&server, to("two:latest")).await.unwrap();
    assert!(reply.warnings.is_empty(), "{:?}", reply.warnings);
}

/// ollama/docs/faq.mdx
#[tokio::test]
async fn p27_a_chat_does_not_load_the_model_anew_for_another_context() {
    let (mock, server) = managed(Personality::Ollama, |_| {}).await;
    server.load(LoadRequest { context_length: Some(2048), ..of("two") }).finish().await.unwrap();
    let began = mock.requests().len();
    chat(&server, to("two:latest")).await.unwrap();
    let instance = mock.instances().remove(0);
    assert_eq!((instance.context_length, mock.instances().len()), (2048, 1));
    assert_eq!(mock.chats()[0].json()["options"]["num_ctx"], 2048, "{:?}", &mock.requests()[began..]);
    // Gone, and loaded without a wish, it has the server's own context again.
    unload(&server, "two").await;
    chat(&server, to("two:latest")).await.unwrap();
    assert!(mock.chats()[1].json()["options"].get("num_ctx").is_none());
}

/// llama.cpp tools/server/README.md
#[tokio::test]
async fn p29_a_load_that_is_answered_before_it_is_done_is_waited_for() {
    let slow = |options: &mut Options| options.load_delay = Duration::from_millis(250);
    let (mock, server) = managed(Personality::LlamaCppRouter, slow).await;
    server.load(of("two")).finish().await.unwrap();
    assert!(mock.instances().iter().all(|instance| instance.state == InstanceState::Loaded));
    assert_eq!(mock.instances().len(), 1);
}

/// A single llama-server keeps its model; it says so before anything is asked of it.
#[tokio::test]
async fn a_server_that_was_started_with_one_model_says_what_to_do() {
    let (mock, server) = mock(Personality::LlamaCpp).await;
    let error = server.unload(Unload::All).finish().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.hint().contains("--models-dir"), "{}", error.hint());
    assert!(!mock.requests().iter().any(|request| request.method == "POST"));
    let awake = Mock::start(Personality::Vllm);
    let server = client().server(Some(&awake.url())).await.unwrap();
    let error = server.unload(Unload::All).finish().await.unwrap_err();
    assert!(error.hint().contains("--enable-sleep-mode"), "{}", error.hint());
    for personality in [Personality::Generic, Personality::SgLang, Personality::Gpt4All, Personality::Jan] {
        let (mock, server) = super::host::mock(personality).await;
        let error = server.unload(Unload::All).finish().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{personality}: {error}");
        assert!(!mock.requests().iter().any(|request| request.method == "POST"), "{personality}");
    }
}

/// mistralrs-server-core/src/handlers.rs
#[tokio::test]
async fn p30_a_failure_at_200_is_one() {
    let fails = |options: &mut Options| options.load_failure = Some("no such file (mock)".into());
    let (_mock, server) = managed(Personality::MistralRs, fails).await;
    let error = server.load(of("two")).finish().await.unwrap_err();
    assert!(error.said().unwrap_or_default().contains("no such file (mock)"), "{error}");
}

/// lmstudio-bug-tracker 1143
#[tokio::test]
async fn p31_silence_while_a_model_loads_is_waited_for() {
    for personality in [Personality::LmStudio04, Personality::Ollama, Personality::LlamaSwap] {
        let slow = |options: &mut Options| options.load_delay = Duration::from_millis(400);
        let (_mock, server) = managed(personality, slow).await;
        assert!(!chat(&server, to("two")).await.unwrap().text.is_empty(), "{personality}");
    }
}

/// mlx_lm/server.py
#[tokio::test]
async fn p32_a_model_that_would_be_downloaded_is_not_asked_for() {
    let mut options = Options::from(Personality::MlxLm);
    options.models = vec![Model::new("mlx-community/here")];
    let mock = Mock::start_with(options).unwrap();
    let server = client().server(Some(&mock.url())).await.unwrap();
    let error = chat(&server, to("somebody/elsewhere")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoModel, "{error}");
    assert!(mock.chats().is_empty(), "the name went over the wire");
    assert!(!chat(&server, to("mlx-community/here")).await.unwrap().text.is_empty());
    assert!(!chat(&server, ask("Hello")).await.unwrap().text.is_empty());
}

/// A failure that stands in the list from before is none of this load; llama.cpp's router leaves one after an unload.
#[tokio::test]
async fn an_old_failure_is_not_taken_for_a_new_one() {
    let (mock, server) = managed(Personality::LlamaCppRouter, |options| {
        options.load_failure = Some("out of memory".into());
    })
    .await;
    server.load(of("two")).finish().await.unwrap_err();
    mock.change_options(|options| {
        options.load_failure = None;
        options.load_delay = Duration::from_millis(100);
    });
    assert!(!server.load(of("two")).finish().await.unwrap().was_loaded);
}
