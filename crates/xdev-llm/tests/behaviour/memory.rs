//! What every server must do with its memory: list, load, unload, switch and download, each seen at the server.
//!
//! The suite knows nothing of a server's kind; the table below says what each can do. What only one server does, and does
//! wrong, is in `memory_faults`.

use std::time::Duration;

use xdev_llm::{
    ErrorKind, KeepAlive, LoadRequest, LoadState, MemoryEvent, Server, Unload, Unloaded, is_same_model,
};
use xdev_llm_mock::{Instance, InstanceState, Mock, Model, Options, Personality, Script};

use super::host::{ask, chat, client};

/// What the suite may expect of a server.
#[derive(Clone, Copy)]
pub(crate) struct Traits {
    /// The two models that it is to load.
    models: [&'static str; 2],
    /// A part of the path, and of the body, of the request that loads.
    load: (&'static str, &'static str),
    /// The same of the one that unloads.
    unload: (&'static str, &'static str),
    /// What it downloads.
    pulls: Option<&'static str>,
    /// It holds one model, and a load replaces it.
    holds_one: bool,
}

const PLAIN: Traits =
    Traits { models: ["one", "two"], load: ("", ""), unload: ("", ""), pulls: None, holds_one: false };

fn traits(personality: Personality) -> Traits {
    match personality {
        Personality::LmStudio04 => Traits {
            load: ("/api/v1/models/load", "\"model\":\"two\""),
            unload: ("/api/v1/models/unload", "\"instance_id\":\"two\""),
            pulls: Some("qwen/qwen3-8b"),
            ..PLAIN
        },
        Personality::Ollama => Traits {
            models: ["one:latest", "two:latest"],
            load: ("/api/generate", "\"model\":\"two:latest\""),
            unload: ("/api/generate", "\"keep_alive\":0"),
            pulls: Some("gemma3:1b"),
            ..PLAIN
        },
        Personality::LlamaCppRouter => Traits {
            load: ("/models/load", "\"model\":\"two\""),
            unload: ("/models/unload", "\"model\":\"two\""),
            pulls: Some("ggml-org/gemma-3-1b-it-GGUF:Q4_K_M"),
            ..PLAIN
        },
        Personality::Vllm => Traits {
            models: ["one", "one"],
            load: ("/wake_up", ""),
            unload: ("/sleep", ""),
            holds_one: true,
            ..PLAIN
        },
        Personality::TextGenerationWebUi => Traits {
            load: ("/v1/internal/model/load", "\"model_name\":\"two\""),
            unload: ("/v1/internal/model/unload", ""),
            holds_one: true,
            ..PLAIN
        },
        Personality::TabbyApi => Traits {
            load: ("/v1/model/load", "\"model_name\":\"two\""),
            unload: ("/v1/model/unload", ""),
            holds_one: true,
            ..PLAIN
        },
        Personality::KoboldCpp => Traits {
            models: ["koboldcpp/one", "koboldcpp/two"],
            load: ("/api/admin/reload_config", "\"filename\":\"two"),
            unload: ("/api/admin/reload_config", "\"filename\":\"unload_model\""),
            holds_one: true,
            ..PLAIN
        },
        Personality::MistralRs => Traits {
            load: ("/v1/models/reload", "\"model_id\":\"two\""),
            unload: ("/v1/models/unload", "\"model_id\":\"two\""),
            ..PLAIN
        },
        Personality::LlamaSwap => {
            Traits { load: ("/upstream/two/health", ""), unload: ("/api/models/unload/two", ""), ..PLAIN }
        }
        Personality::Lemonade => Traits {
            load: ("/v1/load", "\"model_name\":\"two\""),
            unload: ("/v1/unload", "\"model_name\":\"two\""),
            pulls: Some("Qwen3-0.6B-GGUF"),
            ..PLAIN
        },
        _ => panic!("{personality} does not manage its memory"),
    }
}

const MANAGED: [Personality; 10] = [
    Personality::LmStudio04,
    Personality::Ollama,
    Personality::LlamaCppRouter,
    Personality::Vllm,
    Personality::TextGenerationWebUi,
    Personality::TabbyApi,
    Personality::KoboldCpp,
    Personality::MistralRs,
    Personality::LlamaSwap,
    Personality::Lemonade,
];

/// A server of that kind with two models, none of them loaded unless it cannot be otherwise.
pub(crate) async fn managed(personality: Personality, change: impl FnOnce(&mut Options)) -> (Mock, Server) {
    let mut options = Options::from(personality);
    let mut ids = traits(personality).models.to_vec();
    ids.dedup();
    options.models = ids.iter().map(|id| Model::new(id).unloaded()).collect();
    if personality == Personality::Vllm {
        // It has one model, which sleeps and wakes.
        options.models = vec![Model::new("one")];
    }
    options.admin = true;
    change(&mut options);
    let mock = Mock::start_with(options).unwrap();
    let server = client().server(Some(&mock.url())).await.unwrap();
    (mock, server)
}

pub(crate) fn of(model: &str) -> LoadRequest {
    LoadRequest { model: model.to_owned(), ..LoadRequest::default() }
}

/// How often a request went to a path with that text in its body.
pub(crate) fn times(mock: &Mock, (path, body): (&str, &str)) -> usize {
    let is = |request: &xdev_llm_mock::Request| {
        let sent = String::from_utf8_lossy(&request.body).replace(": ", ":");
        request.path.contains(path) && sent.contains(body)
    };
    mock.requests().iter().filter(|request| is(request)).count()
}

pub(crate) async fn loaded(server: &Server) -> Vec<String> {
    server.loaded().await.unwrap().into_iter().map(|model| model.id).collect()
}

pub(crate) async fn unload(server: &Server, model: &str) -> Unloaded {
    server.unload(Unload::Model(model.to_owned())).finish().await.unwrap()
}

/// The models in the mock's memory, as the mock itself knows it.
fn in_memory(mock: &Mock) -> Vec<String> {
    let is_there =
        |instance: &Instance| !matches!(instance.state, InstanceState::Failed | InstanceState::Sleeping);
    mock.instances().into_iter().filter(is_there).map(|instance| instance.model).collect()
}

async fn everything_out(mock: &Mock, server: &Server) {
    let gone = server.unload_within(Unload::All, Duration::from_secs(5)).finish().await;
    gone.unwrap_or_else(|error| panic!("{error}: {:?}", mock.requests()));
    assert!(loaded(server).await.is_empty());
    mock.clear();
}

async fn loads_once(personality: Personality, mock: &Mock, server: &Server) {
    let traits = traits(personality);
    let [_, two] = traits.models;
    let mut task = server.load(of(two));
    let mut events = Vec::new();
    while let Some(event) = task.next().await {
        events.push(event);
    }
    let first = task.finish().await.unwrap();
    assert!(is_same_model(two, &first.model.id) && !first.was_loaded, "{personality}: {first:?}");
    assert!(matches!(&events[0], MemoryEvent::Loading { .. }), "{personality}: {events:?}");
    assert_eq!(times(mock, traits.load), 1, "{personality}: {:?}", mock.requests());
    assert_eq!(loaded(server).await.len(), 1, "{personality}");
    let again = server.load(of(two)).finish().await.unwrap();
    assert!(again.was_loaded, "{personality}");
    assert_eq!(in_memory(mock).len(), 1, "{personality} has a second copy");
    let listed = server.models().await.unwrap();
    let state = listed.iter().find(|model| is_same_model(two, &model.id)).map(|model| model.state);
    assert_eq!(state, Some(LoadState::Loaded), "{personality}: {listed:?}");
    assert!(!chat(server, ask("Hello")).await.unwrap().text.is_empty());
}

async fn unloads_for_sure(personality: Personality, mock: &Mock, server: &Server) {
    let traits = traits(personality);
    let [_, two] = traits.models;
    let gone = unload(server, two).await;
    assert_eq!(gone.models.len(), 1, "{personality}: {gone:?}");
    assert!(times(mock, traits.unload) >= 1, "{personality}: {:?}", mock.requests());
    assert!(loaded(server).await.is_empty() && in_memory(mock).is_empty(), "{personality}");
    let listed = server.models().await.unwrap();
    assert!(
        !listed.iter().any(|model| is_same_model(two, &model.id) && model.state == LoadState::Loaded),
        "{personality}: {listed:?}"
    );
    let nothing = unload(server, two).await;
    assert!(nothing.models.is_empty(), "{personality}: {nothing:?}");
}

/// A chat after an unload is answered: the server loads by itself, or is told to.
async fn a_chat_brings_it_back(personality: Personality, mock: &Mock, server: &Server) {
    let [_, two] = traits(personality).models;
    mock.set_script(Script::new().text("I am back."));
    let reply =
        chat(server, xdev_llm::ChatRequest { model: Some(two.into()), ..ask("Hello") }).await.unwrap();
    assert_eq!(reply.text, "I am back.", "{personality}");
    everything_out(mock, server).await;
}

async fn switches(personality: Personality, mock: &Mock, server: &Server) {
    let traits = traits(personality);
    let [one, two] = traits.models;
    server.load(of(one)).finish().await.unwrap();
    let switched = server.switch(of(two)).finish().await.unwrap();
    assert!(is_same_model(two, &switched.loaded.model.id), "{personality}: {switched:?}");
    let left = loaded(server).await;
    assert!(left.len() == 1 && is_same_model(two, &left[0]), "{personality}: {left:?}");
    assert_eq!(switched.unloaded.is_some(), !traits.holds_one, "{personality}: {switched:?}");
    everything_out(mock, server).await;
}

async fn downloads(personality: Personality, mock: &Mock, server: &Server) {
    let Some(id) = traits(personality).pulls else {
        let error = server.pull("some/model").finish().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{personality}: {error}");
        return;
    };
    mock.change_options(|options| options.download_delay = Duration::from_millis(700));
    let mut task = server.pull(id);
    let mut told = Vec::new();
    while let Some(MemoryEvent::Pulling(pulling)) = task.next().await {
        told.push(pulling);
    }
    let pulled = task.finish().await.unwrap();
    assert!(is_same_model(id, &pulled.model), "{personality}: {pulled:?}");
    let is_part = |pulling: &&xdev_llm::wire::Pulling| {
        pulling.total_bytes.is_some_and(|total| total > 0 && pulling.completed_bytes < Some(total))
    };
    // The router tells only that it goes on.
    let is_silent = personality == Personality::LlamaCppRouter && !told.is_empty();
    assert!(
        is_silent || told.iter().any(|pulling| is_part(&pulling)),
        "{personality} tells nothing of the way: {told:?}"
    );
    assert!(server.models().await.unwrap().iter().any(|model| is_same_model(id, &model.id)), "{personality}");
}

#[tokio::test]
async fn every_server_lists_loads_unloads_and_switches() {
    for personality in MANAGED {
        let delays = |options: &mut Options| {
            options.load_delay = Duration::from_millis(60);
            options.unload_delay = Duration::from_millis(60);
        };
        let (mock, server) = managed(personality, delays).await;
        everything_out(&mock, &server).await;
        loads_once(personality, &mock, &server).await;
        unloads_for_sure(personality, &mock, &server).await;
        a_chat_brings_it_back(personality, &mock, &server).await;
        switches(personality, &mock, &server).await;
    }
}

#[tokio::test]
async fn every_server_downloads_or_says_that_it_does_not() {
    for personality in MANAGED {
        let (mock, server) = managed(personality, |_| {}).await;
        downloads(personality, &mock, &server).await;
    }
}

#[tokio::test]
async fn a_load_that_fails_quotes_the_server() {
    for personality in MANAGED {
        if personality == Personality::Vllm {
            // What sleeps is in main memory already.
            continue;
        }
        let fails = |options: &mut Options| options.load_failure = Some("CUDA out of memory (mock)".into());
        let (mock, server) = managed(personality, fails).await;
        let error = server.load(of(traits(personality).models[1])).finish().await.unwrap_err();
        let told = format!("{error} {:?} {}", error.said(), error.hint());
        // These keep the reason to their logs.
        let is_silent = matches!(
            personality,
            Personality::LlamaCppRouter | Personality::KoboldCpp | Personality::TextGenerationWebUi
        );
        assert!(told.contains("CUDA out of memory (mock)") || is_silent, "{personality}: {told}");
        assert!(in_memory(&mock).is_empty() || traits(personality).holds_one, "{personality}");
    }
}

#[tokio::test]
async fn a_model_that_stays_is_a_failure_that_names_it() {
    for personality in MANAGED {
        let (mock, server) = managed(personality, |_| {}).await;
        server.load(of(traits(personality).models[1])).finish().await.unwrap();
        mock.change_options(|options| options.unload_sticks = true);
        let patience = Duration::from_millis(300);
        let error = server.unload_within(Unload::All, patience).finish().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Server, "{personality}: {error}");
        let name = if personality == Personality::Vllm { "one" } else { "two" };
        assert!(error.message().contains(name), "{personality}: {error}");
    }
}

#[tokio::test]
async fn eight_loads_at_once_are_one() {
    for personality in [Personality::LmStudio04, Personality::LlamaCppRouter] {
        let (mock, server) =
            managed(personality, |options| options.load_delay = Duration::from_millis(80)).await;
        let tasks: Vec<_> = (0..8).map(|_| server.load(of("two"))).collect();
        for task in tasks {
            task.finish().await.unwrap();
        }
        assert_eq!(times(&mock, traits(personality).load), 1, "{personality}");
        assert_eq!(in_memory(&mock), ["two"], "{personality}");
    }
}

/// Cancelled at any moment, what was to be unloaded is not there in the end.
#[tokio::test]
async fn an_unload_after_a_cancelled_load_finds_the_model() {
    for personality in [Personality::LmStudio04, Personality::Ollama, Personality::LlamaCppRouter] {
        for cancel_after in [0, 5, 20, 60, 120] {
            let (mock, server) = managed(personality, |options| {
                options.load_delay = Duration::from_millis(80);
                options.unload_delay = Duration::from_millis(40);
            })
            .await;
            let task = server.load(of("two"));
            tokio::time::sleep(Duration::from_millis(cancel_after)).await;
            drop(task);
            // The second one is dropped, too, and goes on.
            drop(server.unload(Unload::Model("two".into())));
            server.unload(Unload::Model("two".into())).finish().await.unwrap();
            assert!(
                in_memory(&mock).is_empty(),
                "{personality} after {cancel_after} ms: {:?}",
                mock.requests()
            );
        }
    }
}

#[tokio::test]
async fn a_load_that_nobody_waits_for_does_not_begin() {
    let (mock, server) = managed(Personality::LmStudio04, |options| {
        options.load_delay = Duration::from_millis(150);
    })
    .await;
    let first = server.load(of("one"));
    drop(server.load(of("two")));
    first.finish().await.unwrap();
    // Whatever comes in its turn after it is behind where it would have been.
    server.unload(Unload::Model("one".into())).finish().await.unwrap();
    assert_eq!(times(&mock, ("/api/v1/models/load", "two")), 0);
}

#[tokio::test]
async fn a_busy_model_goes_when_its_answer_is_done() {
    let (mock, server) = managed(Personality::Ollama, |_| {}).await;
    mock.set_script(Script::new().repeat(40).delay(Duration::from_millis(10)));
    let request = xdev_llm::ChatRequest { model: Some("two".into()), ..ask("Long.") };
    let mut stream = server.chat(request, super::host::limits()).unwrap();
    stream.next().await.unwrap().unwrap();
    let gone = server.unload(Unload::Model("two".into()));
    let reply = stream.finish().await.unwrap();
    assert!(!reply.text.is_empty());
    assert_eq!(gone.finish().await.unwrap().models.len(), 1);
    assert!(in_memory(&mock).is_empty());
}

#[tokio::test]
async fn context_and_stay_are_asked_for_as_each_server_can() {
    let wish = |model: &str| LoadRequest {
        model: model.to_owned(),
        context_length: Some(2048),
        keep_alive: Some(KeepAlive::Seconds(90)),
        ..LoadRequest::default()
    };
    let (mock, server) = managed(Personality::Ollama, |_| {}).await;
    let there = server.load(wish("two")).finish().await.unwrap();
    assert_eq!((there.model.context_length, there.not_sent.len()), (Some(2048), 0));
    let sent = mock.requests().into_iter().find(|request| request.path == "/api/generate").unwrap().json();
    assert_eq!((&sent["options"]["num_ctx"], &sent["keep_alive"]), (&2048.into(), &90.into()));
    // A chat with this model keeps that context: another one, or none, would load it anew.
    chat(&server, xdev_llm::ChatRequest { model: Some("two:latest".into()), ..ask("Hi") }).await.unwrap();
    assert_eq!(mock.chats()[0].json()["options"]["num_ctx"], 2048);

    let (mock, server) = managed(Personality::LmStudio04, |_| {}).await;
    let there = server.load(wish("two")).finish().await.unwrap();
    assert_eq!(there.not_sent, ["keep_alive"], "its load takes no time to live");
    assert_eq!(there.model.context_length, Some(2048));
    let smaller = LoadRequest { context_length: Some(1024), ..of("two") };
    assert!(server.load(smaller).finish().await.unwrap().was_loaded);
    let larger = LoadRequest { context_length: Some(4096), ..of("two") };
    let there = server.load(larger).finish().await.unwrap();
    assert_eq!((there.was_loaded, there.model.context_length), (false, Some(4096)));
    assert_eq!(in_memory(&mock), ["two"], "the smaller copy has gone");
    let (mock, server) = managed(Personality::LmStudio04, |_| {}).await;
    let stay = LoadRequest { keep_alive: Some(KeepAlive::Seconds(90)), ..of("two") };
    assert!(server.load(stay).finish().await.unwrap().not_sent.is_empty());
    assert_eq!(mock.chats()[0].json()["ttl"], 90, "a request that loads takes one");

    let (_mock, server) = managed(Personality::LlamaCppRouter, |_| {}).await;
    let there = server.load(wish("two")).finish().await.unwrap();
    assert_eq!(there.not_sent, ["context_length", "keep_alive"]);

    for nonsense in [
        LoadRequest { keep_alive: Some(KeepAlive::Seconds(0)), ..of("two") },
        LoadRequest { context_length: Some(5), ..of("two") },
    ] {
        let error = server.load(nonsense).finish().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    }
}
