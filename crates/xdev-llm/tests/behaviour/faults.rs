//! What the client makes of every fault of the test server, on the OpenAI API and, where it has a meaning, on Ollama's.

use std::time::{Duration, Instant};

use xdev_llm::{ChatEvent, ChatRequest, ErrorKind, Limits, Phase, Sampling};
use xdev_llm_mock::{FAULT_MESSAGE, Fault, Personality, Script};

use super::host::{ask, chat, limits, mock};

const TEXT: &str = "one two three four";

/// The answer arrives whole in spite of the fault.
async fn survives(personality: Personality, fault: Fault) {
    let (mock, server) = mock(personality).await;
    mock.set_script(Script::new().text(TEXT).fault(fault.clone()));
    let reply =
        chat(&server, ask("x")).await.unwrap_or_else(|error| panic!("{personality:?} {fault:?}: {error:?}"));
    assert_eq!(reply.text, TEXT, "{personality:?} {fault:?}");
}

/// The answer fails as this kind, with these words, and what came is kept.
async fn fails(personality: Personality, fault: Fault, kind: ErrorKind, words: &str, partial: &str) {
    let (mock, server) = mock(personality).await;
    mock.set_script(Script::new().text(TEXT).fault(fault.clone()));
    let error = chat(&server, ask("x")).await.expect_err(&format!("{personality:?} {fault:?}"));
    assert_eq!(error.kind(), kind, "{personality:?} {fault:?}: {error}");
    assert!(error.to_string().contains(words), "{personality:?} {fault:?}: {error} has not {words:?}");
    let kept = error.partial().map_or("", |partial| partial.text.as_str());
    assert_eq!(kept.trim(), partial, "{personality:?} {fault:?}");
    assert!(error.to_string().contains(&mock.url()), "{error} does not name the server");
}

#[tokio::test]
async fn harmless_faults() {
    for fault in [
        Fault::NoDone,
        Fault::Bom,
        Fault::CrLf,
        Fault::CrOnly,
        Fault::Comments,
        Fault::MultiData,
        Fault::NoBlankLineAtEnd,
        Fault::DataAfterDone,
        Fault::KeepOpenAfterFinish,
        Fault::WholeJson,
        Fault::NotJsonChunk { at: 1 },
        Fault::NullChoices,
        Fault::DuplicateKeys,
        Fault::NumbersAsStrings,
        Fault::ContinuousUsage,
        Fault::ContentTypeless,
        Fault::TextPlain,
        Fault::ExtraFields,
        Fault::RejectStream,
        Fault::RejectParam("max_tokens".into()),
    ] {
        survives(Personality::Generic, fault).await;
    }
    for fault in [
        Fault::NoBlankLineAtEnd,
        Fault::KeepOpenAfterFinish,
        Fault::ContentTypeless,
        Fault::TextPlain,
        Fault::NotJsonChunk { at: 1 },
    ] {
        survives(Personality::Ollama, fault).await;
    }
}

#[tokio::test]
async fn bytes_that_are_not_text_leave_the_rest() {
    for fault in [Fault::InvalidUtf8, Fault::LoneSurrogate, Fault::Nul] {
        let (mock, server) = mock(Personality::Generic).await;
        mock.set_script(Script::new().text(TEXT).fault(fault.clone()));
        let reply = chat(&server, ask("x")).await.unwrap();
        assert!(reply.text.starts_with("one") && reply.text.ends_with("four"), "{fault:?}: {:?}", reply.text);
    }
}

#[tokio::test]
async fn cut_answers_keep_what_came() {
    use ErrorKind::CutOff;
    for (fault, words) in [
        (Fault::CutMidEvent { after_tokens: 2 }, "closed before the end"),
        (Fault::Reset { after_tokens: 2 }, "broke while it answered"),
    ] {
        fails(Personality::Generic, fault.clone(), CutOff, words, "one two").await;
        fails(Personality::Ollama, fault, CutOff, words, "one two").await;
    }
    for fault in [Fault::NoFinish, Fault::NoFinishNoDone] {
        fails(Personality::Generic, fault, CutOff, "before its end", TEXT).await;
    }
    fails(Personality::Ollama, Fault::NoFinishNoDone, CutOff, "before its end", TEXT).await;
}

#[tokio::test]
async fn errors_inside_an_answer() {
    for fault in [
        Fault::ErrorEvent { after_tokens: 2 },
        Fault::ErrorField { after_tokens: 2 },
        Fault::ErrorData { after_tokens: 2 },
        Fault::UnframedError { after_tokens: 2 },
    ] {
        fails(Personality::Generic, fault, ErrorKind::Server, FAULT_MESSAGE, "one two").await;
    }
    fails(
        Personality::Ollama,
        Fault::ErrorData { after_tokens: 2 },
        ErrorKind::Server,
        FAULT_MESSAGE,
        "one two",
    )
    .await;
    fails(Personality::Generic, Fault::ErrorBody200, ErrorKind::Server, FAULT_MESSAGE, "").await;
}

#[tokio::test]
async fn answers_that_are_none() {
    use ErrorKind::{Protocol, Server};
    for (fault, kind, words) in [
        (Fault::EmptyStream, Protocol, "without a single event"),
        (Fault::EmptyBody, Protocol, "without a single event"),
        (Fault::HtmlPage, Protocol, "web page"),
        (Fault::Html502, Server, "502"),
        (Fault::Redirect("http://127.0.0.1:9/elsewhere".into()), Protocol, "307"),
        (Fault::Gzip, Protocol, "compressed"),
        (Fault::EndlessLine, Protocol, "larger than"),
    ] {
        fails(Personality::Generic, fault, kind, words, "").await;
    }
}

#[tokio::test]
async fn a_short_body_is_a_cut_answer() {
    let (mock, server) = mock(Personality::Generic).await;
    mock.set_script(Script::new().text(TEXT).fault(Fault::WholeJson).fault(Fault::ContentLengthTooLong));
    let error = chat(&server, ask("x")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CutOff, "{error}");
}

#[tokio::test]
async fn statuses_become_kinds() {
    for (code, body, kind) in [
        (400, r#"{"error":"bad"}"#, ErrorKind::Unsupported),
        (401, "Missing authorization header", ErrorKind::Unauthorized),
        (403, "", ErrorKind::Unauthorized),
        (404, r#"{"error":{"message":"No models loaded. Please load a model"}}"#, ErrorKind::NoModel),
        (413, "too large", ErrorKind::Unsupported),
        (500, r#"{"error":"CUDA out of memory"}"#, ErrorKind::Server),
    ] {
        let fault = Fault::Status { code, body: body.into(), headers: vec![] };
        let (mock, server) = mock(Personality::Generic).await;
        mock.set_script(Script::new().fault(fault));
        let error = chat(&server, ask("x")).await.unwrap_err();
        assert_eq!((error.kind(), error.status()), (kind, Some(code)), "{error}");
        assert_eq!(mock.chats().len(), 1, "{code} is not tried again");
    }
}

#[tokio::test]
async fn busy_servers_are_asked_again() {
    let (mock, server) = mock(Personality::Generic).await;
    mock.set_script(Script::new().text(TEXT));
    mock.push_script(Script::new().fault(Fault::TooManyRequests { retry_after: "0.05".into() }));
    mock.push_script(Script::new().fault(Fault::TooManyRequests { retry_after: "0.05".into() }));
    assert_eq!(chat(&server, ask("x")).await.unwrap().text, TEXT);
    assert_eq!(mock.chats().len(), 3);
    mock.set_script(Script::new().fault(Fault::TooManyRequests { retry_after: "0.01".into() }));
    mock.clear();
    let error = chat(&server, ask("x")).await.unwrap_err();
    assert_eq!((error.kind(), mock.chats().len()), (ErrorKind::Busy, 3), "three tries in all");
}

#[tokio::test]
async fn retry_after_is_honoured() {
    let (mock, server) = mock(Personality::Generic).await;
    mock.set_script(Script::new().text(TEXT));
    mock.push_script(Script::new().fault(Fault::TooManyRequests { retry_after: "2".into() }));
    let start = Instant::now();
    chat(&server, ask("x")).await.unwrap();
    assert!(start.elapsed() >= Duration::from_secs(2));
}

#[tokio::test]
async fn a_connection_lost_before_the_answer_is_tried_again() {
    for fault in [Fault::ResetBeforeHeaders, Fault::CloseBeforeHeaders] {
        let (mock, server) = mock(Personality::Generic).await;
        chat(&server, ask("warm")).await.unwrap();
        mock.set_script(Script::new().text(TEXT));
        mock.push_script(Script::new().fault(fault));
        assert_eq!(chat(&server, ask("x")).await.unwrap().text, TEXT);
    }
}

#[tokio::test]
async fn nothing_is_tried_again_after_the_first_event() {
    let (mock, server) = mock(Personality::Generic).await;
    mock.set_script(Script::new().text(TEXT).fault(Fault::Reset { after_tokens: 1 }));
    chat(&server, ask("x")).await.unwrap_err();
    assert_eq!(mock.chats().len(), 1);
}

#[tokio::test]
async fn a_loading_model_is_waited_for() {
    let (mock, server) = mock(Personality::LlamaCpp).await;
    mock.set_script(Script::new().text(TEXT).loading(Duration::from_millis(1200)));
    let mut stream = server.chat(ask("x"), limits()).unwrap();
    let mut loading = 0;
    while let Some(event) = stream.next().await {
        if matches!(event.unwrap(), ChatEvent::Progress(xdev_llm::Progress::LoadingModel(_))) {
            loading += 1;
        }
    }
    assert_eq!(stream.reply().text, TEXT);
    assert!(loading >= 1, "the waiting was shown");
}

#[tokio::test]
async fn a_refused_field_is_left_out_and_named() {
    let (mock, server) = mock(Personality::Generic).await;
    mock.set_script(Script::new().text(TEXT).fault(Fault::RejectParam("seed".into())));
    let mut request = ask("x");
    request.sampling.seed = Some(3);
    let reply = chat(&server, request.clone()).await.unwrap();
    assert_eq!(reply.sent.not_sent, ["seed"]);
    assert!(!reply.sent.parameters.contains_key("seed"));
    mock.clear();
    chat(&server, request).await.unwrap();
    assert_eq!(mock.chats().len(), 1, "the refusal is remembered");
}

#[tokio::test]
async fn silence_before_and_inside_an_answer() {
    // The shortest timeout the spec allows is five seconds; the two run side by side.
    let short = Limits { timeout: Duration::from_secs(5), deadline: None };
    let case = |after_tokens: usize, phase: Phase| async move {
        let (mock, server) = mock(Personality::Generic).await;
        mock.set_script(Script::new().text(TEXT).fault(Fault::Stall { after_tokens }));
        let start = Instant::now();
        let error = server.chat(ask("x"), short).unwrap().finish().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout(phase), "{error}");
        assert!(start.elapsed() >= Duration::from_secs(5));
        let closed = |requests: &[xdev_llm_mock::Request]| requests.iter().any(|r| r.client_closed.is_some());
        assert!(mock.wait_for(Duration::from_secs(5), closed), "the connection was closed");
        error
    };
    let (first, later) = tokio::join!(case(0, Phase::FirstEvent), case(2, Phase::Silence));
    assert!(first.partial().is_none());
    assert_eq!(later.partial().unwrap().text.trim(), "one two");
}

#[tokio::test]
async fn comments_and_progress_count_as_life() {
    let (mock, server) = mock(Personality::Generic).await;
    // Slower than the timeout in all, never silent for long.
    mock.set_script(Script::new().repeat(8).delay(Duration::from_millis(900)).fault(Fault::Comments));
    let short = Limits { timeout: Duration::from_secs(5), deadline: None };
    let start = Instant::now();
    server.chat(ask("x"), short).unwrap().finish().await.unwrap();
    assert!(start.elapsed() > Duration::from_secs(5), "the timeout does not bound the whole answer");
}

#[tokio::test]
async fn the_deadline_bounds_the_whole_answer() {
    let (mock, server) = mock(Personality::Generic).await;
    mock.set_script(Script::new().repeat(100_000).delay(Duration::from_millis(5)));
    let bounded = Limits { timeout: Duration::from_secs(20), deadline: Some(Duration::from_millis(600)) };
    let endless = ChatRequest { sampling: Sampling::default(), ..ask("x") };
    let error = server.chat(endless, bounded).unwrap().finish().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout(Phase::Deadline), "{error}");
    assert!(error.partial().unwrap().text.len() > 10);
}

#[tokio::test]
async fn an_answer_may_be_long_and_not_endless() {
    let (mock, server) = mock(Personality::Generic).await;
    let endless = ChatRequest { sampling: Sampling::default(), ..ask("x") };
    mock.set_script(Script::new().fault(Fault::HugeAnswer { bytes: 7 << 20 }));
    assert!(chat(&server, endless.clone()).await.unwrap().text.len() >= 7 << 20);
    mock.set_script(Script::new().fault(Fault::HugeAnswer { bytes: 64 << 20 }));
    let error = chat(&server, endless).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
    assert!(error.message().contains("longer than 8 MiB"), "{error}");
    assert!(error.partial().unwrap().text.len() < 9 << 20, "what came before is kept, and no more is read");
}

#[tokio::test]
async fn waiting_for_an_event_may_be_given_up_at_any_moment() {
    let (mock, server) = mock(Personality::LmStudio04).await;
    mock.set_script(Script::new().text(TEXT).delay(Duration::from_millis(3)));
    for _ in 0..10 {
        let mut stream = server.chat(ask("x"), limits()).unwrap();
        let (mut text, mut finished) = (String::new(), 0);
        loop {
            let patience = Duration::from_micros(fastrand::u64(0..4000));
            match tokio::time::timeout(patience, stream.next()).await {
                Err(_) => {}
                Ok(None) => break,
                Ok(Some(event)) => match event.unwrap() {
                    ChatEvent::Text(piece) => text.push_str(&piece),
                    ChatEvent::Finished(_) => finished += 1,
                    _ => {}
                },
            }
        }
        assert_eq!((text.as_str(), finished, stream.reply().text.as_str()), (TEXT, 1, TEXT));
    }
    assert_eq!(mock.chats().len(), 10, "nothing was sent twice");
}
