//! The suite: each case takes a server and knows nothing of its kind.

use std::time::{Duration, Instant};

use xdev_llm::{
    ChatEvent, ChatRequest, ErrorKind, FinishReason, Message, Reasoning, ResponseFormat, Sampling, Server,
};
use xdev_llm_mock::{Mock, Personality, Script};

use super::host::{ask, chat, limits, mock};

/// What the suite may expect of a server.
#[derive(Clone, Copy)]
struct Traits {
    /// It says that it does not have a model instead of answering with another.
    refuses_unknown_models: bool,
    /// Its context, in characters of prompt that are surely too long.
    overlong: Option<usize>,
    /// It is a mock whose requests can be looked at.
    is_mock: bool,
}

async fn answers(server: &Server) {
    let reply = chat(server, ask("Say a few words.")).await.unwrap();
    assert!(!reply.text.trim().is_empty());
    assert!(reply.finish_reason.is_some());
    assert!(reply.usage.output_tokens.unwrap() > 0 && reply.usage.input_tokens.unwrap() > 0);
    assert!(reply.timing.time_to_first_token.unwrap() <= reply.timing.duration.unwrap());
    assert_eq!(reply.sent.url, server.url());
    assert_eq!(reply.sent.parameters["stream"], true);
}

async fn streams(server: &Server) {
    let mut stream = server.chat(ask("Tell me a story."), limits()).unwrap();
    let mut events = Vec::new();
    while let Some(event) = stream.next().await {
        events.push(event.unwrap());
    }
    let started = events.iter().position(|event| matches!(event, ChatEvent::Started { .. })).unwrap();
    let first = events
        .iter()
        .position(|event| matches!(event, ChatEvent::Text(_) | ChatEvent::Reasoning(_)))
        .unwrap();
    assert!(started < first, "{events:?}");
    assert!(matches!(events.last(), Some(ChatEvent::Finished(_))), "{events:?}");
    assert_eq!(events.iter().filter(|event| matches!(event, ChatEvent::Finished(_))).count(), 1);
    let text: String = events
        .iter()
        .filter_map(|event| match event {
            ChatEvent::Text(piece) => Some(piece.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(stream.reply().text, text);
    assert!(stream.next().await.is_none(), "nothing comes after the end");
}

async fn takes_a_history(server: &Server) {
    let request = ChatRequest {
        messages: vec![
            Message::system("You are brief."),
            Message::user("My name is Ada."),
            Message::assistant("Hello Ada."),
            Message::user("What is my name?"),
        ],
        ..ask("")
    };
    assert!(!chat(server, request).await.unwrap().text.is_empty());
}

async fn repeats_itself_at_one_seed(server: &Server) {
    let request = ChatRequest {
        sampling: Sampling {
            seed: Some(7),
            temperature: Some(0.8),
            max_tokens: Some(12),
            ..Sampling::default()
        },
        ..ask("Name three colours.")
    };
    // The first answer fills the server's prompt cache, which changes the arithmetic; the next two share it.
    chat(server, request.clone()).await.unwrap();
    let (one, two) = (chat(server, request.clone()).await.unwrap(), chat(server, request).await.unwrap());
    assert_eq!(one.text, two.text);
}

async fn stops_at_max_tokens(server: &Server) {
    let request = ChatRequest {
        sampling: Sampling { max_tokens: Some(3), ..Sampling::default() },
        ..ask("Write a long story about the sea.")
    };
    let reply = chat(server, request).await.unwrap();
    assert_eq!(reply.finish_reason, Some(FinishReason::Length));
    assert_eq!(reply.usage.output_tokens, Some(3));
    assert!(reply.warnings.iter().any(|warning| warning.contains("cut")), "{:?}", reply.warnings);
}

async fn stops_at_a_stop_text(server: &Server) {
    let plain = ChatRequest {
        sampling: Sampling {
            temperature: Some(0.0),
            seed: Some(1),
            max_tokens: Some(24),
            ..Sampling::default()
        },
        ..ask("Count from one to ten.")
    };
    let whole = chat(server, plain.clone()).await.unwrap().text;
    // A word that does not stand in what comes before it, so that some text is left.
    let words: Vec<&str> = whole.split_whitespace().collect();
    let at = (1..words.len()).find(|&at| !words[..at].join(" ").contains(words[at])).expect("a second word");
    let stop = words[at].to_owned();
    let mut request = plain;
    request.sampling.stop = Some(vec![stop.clone()]);
    let cut = chat(server, request).await.unwrap();
    assert!(!cut.text.contains(&stop), "{:?} has {stop:?}", cut.text);
    assert_eq!(cut.finish_reason, Some(FinishReason::Stop));
}

async fn gives_json(server: &Server) {
    let request = ChatRequest {
        response_format: Some(ResponseFormat::JsonObject),
        sampling: Sampling { max_tokens: Some(200), temperature: Some(0.0), ..Sampling::default() },
        ..ask("Give a JSON object with a key city.")
    };
    let reply = chat(server, request).await.unwrap();
    let is_json = serde_json::from_str::<serde_json::Value>(&reply.text).is_ok_and(|value| value.is_object());
    let says_so =
        reply.warnings.iter().any(|warning| warning.contains("not JSON") || warning.contains("cut"));
    let not_sent = reply.sent.not_sent.iter().any(|name| name == "response_format");
    assert!(is_json || says_so || not_sent, "{reply:?}");
}

async fn many_at_once(server: &Server) {
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..8 {
        let server = server.clone();
        tasks.spawn(async move {
            let mut request = ask(&format!("Say the number {number}."));
            request.sampling.max_tokens = Some(8);
            chat(&server, request).await.map(|reply| reply.text)
        });
    }
    while let Some(result) = tasks.join_next().await {
        assert!(!result.unwrap().unwrap().is_empty());
    }
}

async fn an_unknown_model(server: &Server, traits: Traits) {
    let request = ChatRequest { model: Some("no-such-model".into()), ..ask("Hello") };
    match chat(server, request).await {
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::NoModel, "{error}");
            assert!(error.said().is_some());
        }
        Ok(reply) => {
            assert!(!traits.refuses_unknown_models);
            assert!(
                reply.warnings.iter().any(|warning| warning.contains("no-such-model")),
                "{:?}",
                reply.warnings
            );
        }
    }
}

async fn an_overlong_prompt(server: &Server, traits: Traits) {
    let Some(length) = traits.overlong else { return };
    let error = chat(server, ask(&"word ".repeat(length / 5))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ContextOverflow, "{error}");
    assert!(error.said().unwrap().len() < 600, "the prompt is not in the error");
}

async fn unicode_passes_both_ways(server: &Server) {
    let reply = chat(server, ask("Répète : 🎉 日本語 naïve 👩\u{200d}👩\u{200d}👧")).await.unwrap();
    assert!(!reply.text.contains('\u{fffd}'), "{:?}", reply.text);
}

async fn models_and_health(server: &Server) {
    let info = server.info().await.unwrap();
    assert_eq!(info.health, xdev_llm::wire::Health::Ready, "{info:?}");
    assert!(info.models.iter().any(|model| model.kind.can_chat()), "{info:?}");
}

/// Everything that both a mock and a real server must do.
async fn suite(server: &Server, traits: Traits) {
    answers(server).await;
    streams(server).await;
    takes_a_history(server).await;
    repeats_itself_at_one_seed(server).await;
    stops_at_max_tokens(server).await;
    stops_at_a_stop_text(server).await;
    gives_json(server).await;
    many_at_once(server).await;
    an_unknown_model(server, traits).await;
    an_overlong_prompt(server, traits).await;
    unicode_passes_both_ways(server).await;
    models_and_health(server).await;
    if traits.is_mock {
        return;
    }
    cancel_frees_the_server(server).await;
}

/// A cancelled request stops the server: another one that needs its slot begins at once.
async fn cancel_frees_the_server(server: &Server) {
    let mut streams = Vec::new();
    for _ in 0..4 {
        let mut request = ask("Write a very long story about the sea and its people.");
        request.sampling.max_tokens = Some(4000);
        let mut stream = server.chat(request, limits()).unwrap();
        while let Some(event) = stream.next().await {
            if matches!(event.unwrap(), ChatEvent::Text(_)) {
                break;
            }
        }
        streams.push(stream);
    }
    drop(streams);
    // The server notices within 0.2 s (measured); seconds here, so that a busy machine does not matter.
    let start = Instant::now();
    chat(server, ask("Hi")).await.unwrap();
    assert!(start.elapsed() < Duration::from_secs(15), "the slots were still taken");
}

fn traits(personality: Personality) -> Traits {
    Traits {
        // LM Studio and llama.cpp answer with what is loaded.
        refuses_unknown_models: !matches!(
            personality,
            Personality::LmStudio03 | Personality::LmStudio04 | Personality::LlamaCpp | Personality::Generic
        ),
        overlong: None,
        is_mock: true,
    }
}

macro_rules! dialects {
    ($($name:ident: $personality:expr;)*) => {$(
        #[tokio::test]
        async fn $name() {
            let (mock, server) = mock($personality).await;
            mock.set_script(Script::new().text("One two three, a story about the sea."));
            suite(&server, traits($personality)).await;
        }
    )*};
}

dialects! {
    lm_studio_03: Personality::LmStudio03;
    lm_studio_04: Personality::LmStudio04;
    ollama: Personality::Ollama;
    llama_cpp: Personality::LlamaCpp;
    vllm: Personality::Vllm;
    generic: Personality::Generic;
}

/// The same suite through Ollama's compatible API, as a user's config may ask for.
#[tokio::test]
async fn ollama_through_the_compatible_api() {
    let mock = Mock::start(Personality::Ollama);
    mock.set_script(Script::new().text("One two three, a story about the sea."));
    let config = format!("[servers.compat]\nurl = \"{}\"\napi = \"openai\"\n", mock.url());
    let (client, _folder) = super::host::client_with(&config, &[]);
    let server = client.server(Some("compat")).await.unwrap();
    suite(&server, traits(Personality::Ollama)).await;
    assert!(mock.chats().iter().all(|chat| chat.path == "/v1/chat/completions"));
}

/// LM Studio's own API: one question, with its loading and reading shown.
#[tokio::test]
async fn lm_studio_through_its_own_api() {
    let mock = Mock::start(Personality::LmStudio04);
    mock.set_script(Script::new().text("One two three.").reasoning("hm"));
    let config = format!("[servers.native]\nurl = \"{}\"\napi = \"lmstudio\"\n", mock.url());
    let (client, _folder) = super::host::client_with(&config, &[]);
    let server = client.server(Some("native")).await.unwrap();
    let reply = chat(&server, ask("Hello")).await.unwrap();
    assert_eq!((reply.text.as_str(), reply.reasoning.as_str()), ("One two three.", "hm"));
    assert_eq!(mock.chats()[0].path, "/api/v1/chat");
}

#[tokio::test]
async fn every_mock_sees_a_cancel_at_once() {
    for personality in [
        Personality::LmStudio04,
        Personality::Ollama,
        Personality::LlamaCpp,
        Personality::Vllm,
        Personality::Generic,
    ] {
        let (mock, server) = mock(personality).await;
        mock.set_script(Script::new().repeat(100_000).delay(Duration::from_millis(2)));
        let mut stream = server.chat(ask("Long."), limits()).unwrap();
        while let Some(event) = stream.next().await {
            if matches!(event.unwrap(), ChatEvent::Text(_)) {
                break;
            }
        }
        drop(stream);
        let closed = |requests: &[xdev_llm_mock::Request]| {
            requests.iter().any(|request| request.is_chat() && request.client_closed.is_some())
        };
        assert!(mock.wait_for(Duration::from_secs(5), closed), "{personality:?} did not see the close");
        assert!(!mock.chats()[0].finished);
    }
}

#[tokio::test]
async fn reasoning_is_told_apart_and_switched() {
    use xdev_llm_mock::ReasoningField as Field;
    for field in [Field::ReasoningContent, Field::Reasoning, Field::Both, Field::InlineThink] {
        let (mock, server) = mock(Personality::Generic).await;
        mock.set_script(Script::new().reasoning("I think so").reasoning_field(field).text("Yes."));
        let reply = chat(&server, ask("Well?")).await.unwrap();
        assert_eq!((reply.text.as_str(), reply.reasoning.as_str()), ("Yes.", "I think so"), "{field:?}");
    }
    for (personality, name, off) in [
        (Personality::LmStudio04, "reasoning_effort", serde_json::json!("none")),
        (Personality::Ollama, "think", serde_json::json!(false)),
        (Personality::LlamaCpp, "chat_template_kwargs", serde_json::json!({ "enable_thinking": false })),
        (Personality::Vllm, "chat_template_kwargs", serde_json::json!({ "enable_thinking": false })),
    ] {
        let (mock, server) = mock(personality).await;
        chat(&server, ChatRequest { reasoning: Reasoning::Off, ..ask("x") }).await.ok();
        assert_eq!(mock.chats()[0].json()[name], off, "{personality:?}");
    }
}

/// The real engine, where it is installed.
#[cfg(feature = "engine")]
mod real {
    use super::*;
    use xdev_llm::ServerSource;
    use xdev_llm::engine::{Engine, EngineOptions};
    use xdev_llm::wire::ServerKind;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn llama_cpp_itself() {
        let Some(data_dir) = std::env::var_os("XDEV_LLM_DATA_DIR")
            .filter(|folder| std::path::Path::new(folder).join("engine").is_dir())
        else {
            let required = std::env::var_os("XDEV_LLM_REQUIRE_ENGINE").is_some_and(|value| value == "1");
            assert!(!required, "the engine is not installed in the folder of XDEV_LLM_DATA_DIR");
            // Written past the test harness, which hides what a passing test prints.
            let skipped = b"SKIPPED (engine not installed): the behaviour suite against the real llama.cpp\n";
            std::io::Write::write_all(&mut std::io::stderr(), skipped).unwrap();
            return;
        };
        let options = EngineOptions { context_length: Some(2048), ..EngineOptions::new(data_dir.into()) };
        let engine = Engine::start(&options, |_| {}).await.unwrap();
        let server = super::super::host::client()
            .attach(engine.url(), ServerKind::LLAMA_CPP, Some(engine.key().clone()), ServerSource::Engine)
            .unwrap();
        let traits = Traits { refuses_unknown_models: false, overlong: Some(40_000), is_mock: false };
        suite(&server, traits).await;
        let reply = chat(&server, ask("Hello")).await.unwrap();
        assert_eq!(reply.timing.source, xdev_llm::Source::Server);
        engine.stop().await.unwrap();
    }
}
