//! Every pitfall of reading a chat that was seen at a real server, as bytes and what must come of them.
//!
//! The numbers are those of the list of pitfalls the project was started from; the vendor's issue stands beside each.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::{events, read};
use xdev_llm::wire::ServerKind;
use xdev_llm::{ChatReply, Error, ErrorKind, FinishReason};

const SSE: &str = "text/event-stream";
const STOP: &str = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;

fn text(piece: &str) -> String {
    format!(
        r#"{{"id":"c","model":"m","choices":[{{"index":0,"delta":{{"content":{}}}}}]}}"#,
        serde_json::to_string(piece).unwrap()
    )
}

/// Reads whole, byte by byte, and without the accelerator: the three must agree.
fn read_bytes(kind: &ServerKind, content_type: &str, bytes: &[u8]) -> Result<ChatReply, Error> {
    let whole = read(kind, content_type, &[bytes], true);
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    for other in [read(kind, content_type, &single, true), read(kind, content_type, &single, false)] {
        match (&whole, &other) {
            (Ok(one), Ok(other)) => assert_eq!(one, other),
            (Err(one), Err(other)) => assert_eq!(one.to_string(), other.to_string()),
            _ => panic!("{whole:?} and {other:?} differ"),
        }
    }
    whole
}

fn read_events(documents: &[&str]) -> Result<ChatReply, Error> {
    read_bytes(&ServerKind::GENERIC, SSE, &events(documents))
}

fn ok(documents: &[&str]) -> ChatReply {
    read_events(documents).unwrap()
}

fn fails(content_type: &str, bytes: &[u8], kind: ErrorKind, said: &str) -> Error {
    let error = read_bytes(&ServerKind::GENERIC, content_type, bytes).unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(said), "{error} has not {said:?}");
    error
}

#[test]
fn p02_p47_an_error_string_at_200_is_an_error() {
    let body = br#"{"error":"Unexpected endpoint or method. (POST /chat/completions)"}"#;
    fails("application/json; charset=utf-8", body, ErrorKind::Protocol, "Unexpected endpoint or method");
}

#[test]
fn p47_an_error_event_inside_a_stream() {
    let stream = format!(
        "data: {}\n\nevent: error\ndata: {{\"error\":{{\"message\":\"Compute error.\"}},\"message\":\"Compute error.\"}}\n\n",
        text("Hel")
    );
    let error = fails(SSE, stream.as_bytes(), ErrorKind::Server, "Compute error.");
    assert_eq!(error.partial().unwrap().text, "Hel");
}

#[test]
fn p48_context_overflow_in_three_ways() {
    for words in [
        "Trying to keep the first 9000 tokens when context the overflows. However, the model is loaded with context length of only 4096 tokens, which is not enough.",
        "The number of tokens to keep from the initial prompt is greater than the context length.",
    ] {
        let stream = format!("event: error\ndata: {{\"error\":{{\"message\":\"{words}\"}}}}\n\n");
        fails(SSE, stream.as_bytes(), ErrorKind::ContextOverflow, words);
    }
    let error = fails(SSE, b"data: [DONE]\n\n", ErrorKind::Protocol, "without a single event");
    assert!(error.hint().contains("context"), "{}", error.hint());
    fails(SSE, b"", ErrorKind::Protocol, "without a single event");
}

#[test]
fn p49_a_field_named_error() {
    let stream = format!(
        "data: {}\n\nerror: {{\"code\":500,\"message\":\"slot failed\",\"type\":\"server_error\"}}\n\ndata: [DONE]\n\n",
        text("a")
    );
    fails(SSE, stream.as_bytes(), ErrorKind::Server, "slot failed");
    let stream = b"error: {\"code\":400,\"message\":\"the request exceeds the available context size. try increasing the context size\",\"type\":\"exceed_context_size_error\"}\n\n";
    fails(SSE, stream, ErrorKind::ContextOverflow, "exceeds the available");
}

#[test]
fn p50_p64_p77_an_end_without_a_finish_reason_is_a_cut_answer() {
    for end in
        ["", "data: [DONE]\n\n", "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\"}}]}\n\n"]
    {
        let stream = format!("data: {}\n\n{end}", text("partial"));
        let error = fails(SSE, stream.as_bytes(), ErrorKind::CutOff, "before its end");
        assert_eq!(error.partial().unwrap().text, "partial");
    }
}

#[test]
fn p51_an_error_line_in_ollamas_stream() {
    let lines = b"{\"model\":\"m\",\"message\":{\"role\":\"assistant\",\"content\":\"a\"},\"done\":false}\n{\"error\":\"an error was encountered while running the model\"}\n";
    let error = read_bytes(&ServerKind::OLLAMA, "application/x-ndjson", lines).unwrap_err();
    assert_eq!((error.kind(), error.partial().unwrap().text.as_str()), (ErrorKind::Server, "a"));
    assert!(error.to_string().contains("an error was encountered"));
}

#[test]
fn p52_an_error_frame_at_200() {
    let stream = events(&[
        r#"{"error":{"object":"error","message":"The input (9000 tokens) is longer than the model's context length (4096 tokens).","type":"BadRequestError","param":null,"code":400}}"#,
        "[DONE]",
    ]);
    fails(SSE, &stream, ErrorKind::ContextOverflow, "9000 tokens");
}

#[test]
fn p53_an_unframed_error_in_an_event_stream() {
    fails(SSE, b"{\"error\":{\"message\":\"backend died\"}}\n", ErrorKind::Server, "backend died");
    fails(SSE, b"{\"error\":{\"message\":\"backend died\"}}", ErrorKind::Server, "backend died");
}

#[test]
fn p54_p56_usage_is_read_wherever_it_stands() {
    let usage = r#""usage":{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12,"prompt_tokens_details":{"cached_tokens":4},"completion_tokens_details":{"reasoning_tokens":2}}"#;
    let own = format!(r#"{{"choices":[],{usage}}}"#);
    let null = format!(r#"{{"choices":null,{usage}}}"#);
    let on_finish = format!(r#"{{"choices":[{{"delta":{{}},"finish_reason":"stop"}}],{usage}}}"#);
    let running =
        r#"{"choices":[{"delta":{"content":"a"}}],"usage":{"prompt_tokens":9,"completion_tokens":1}}"#;
    let hello = text("a");
    for documents in [
        vec![hello.as_str(), STOP, &own, "[DONE]"],
        vec![hello.as_str(), STOP, &null],
        vec![hello.as_str(), &on_finish, "[DONE]"],
        vec![running, STOP, &own, "[DONE]"],
    ] {
        let usage = ok(&documents).usage;
        let counts = (usage.input_tokens, usage.output_tokens, usage.reasoning_tokens, usage.cached_tokens);
        assert_eq!((counts, usage.estimated), ((Some(9), Some(3), Some(2), Some(4)), false), "{documents:?}");
    }
}

#[test]
fn p55_usage_that_is_missing_empty_or_zero_is_estimated_and_marked() {
    let (a, b) = (text("a"), text("b"));
    for usage in ["null", "{}", r#"{"prompt_tokens":0,"completion_tokens":0}"#] {
        let last = format!(r#"{{"choices":[],"usage":{usage}}}"#);
        let usage = ok(&[&a, &b, STOP, &last]).usage;
        assert_eq!((usage.output_tokens, usage.estimated), (Some(2), true));
    }
}

#[test]
fn p57_content_null_is_nothing() {
    let reply = ok(&[
        r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":null}}]}"#,
        r#"{"choices":[{"index":0,"delta":{"content":null,"reasoning_content":"hm"}}]}"#,
        &text("yes"),
        STOP,
    ]);
    assert_eq!((reply.text.as_str(), reply.reasoning.as_str()), ("yes", "hm"));
}

#[test]
fn p58_p75_reasoning_under_any_name_and_once() {
    for delta in [
        r#"{"reasoning_content":"hm","content":"yes"}"#,
        r#"{"reasoning":"hm","content":"yes"}"#,
        r#"{"thinking":"hm","content":"yes"}"#,
        r#"{"reasoning":"hm","reasoning_content":"hm","content":"yes"}"#,
        r#"{"content":"yes","reasoning_details":[{"type":"reasoning.text","text":"hm"}]}"#,
        r#"{"content":[{"type":"thinking","thinking":[{"type":"text","text":"hm"}]},{"type":"text","text":"yes"}]}"#,
    ] {
        let reply = ok(&[&format!(r#"{{"choices":[{{"delta":{delta}}}]}}"#), STOP]);
        assert_eq!((reply.text.as_str(), reply.reasoning.as_str()), ("yes", "hm"), "{delta}");
    }
}

#[test]
fn thinking_in_tags_never_reaches_the_text() {
    for (input, answer, thought) in [
        ("<think>hm</think>\n\nyes", "yes", "hm"),
        ("hm</think>yes", "yes", "hm"),
        ("[THINK]hm[/THINK]yes", "yes", "hm"),
        (
            "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>yes",
            "yes",
            "hm",
        ),
        ("yes <b>bold</b>", "yes <b>bold</b>", ""),
    ] {
        let pieces: Vec<String> = input.split_inclusive(['t', 'm', '>', '|']).map(text).collect();
        let mut documents: Vec<&str> = pieces.iter().map(String::as_str).collect();
        documents.push(STOP);
        let reply = ok(&documents);
        assert_eq!((reply.text.as_str(), reply.reasoning.as_str()), (answer, thought), "{input}");
    }
}

#[test]
fn p59_p60_p61_tool_calls_count_by_presence() {
    let call = r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"1","type":"function","function":{"name":"f","arguments":"{\"a\":"}}]}}]}"#;
    let more = r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"1}"}}]}}]}"#;
    let end = |reason: &str| format!(r#"{{"choices":[{{"delta":{{}},"finish_reason":"{reason}"}}]}}"#);
    let reply = ok(&[call, more, &end("stop")]);
    assert_eq!(reply.finish_reason, Some(FinishReason::ToolCalls));
    assert_eq!((reply.tool_calls[0].arguments.as_str(), reply.warnings.len()), (r#"{"a":1}"#, 0));
    let cut = ok(&[call, &end("tool_calls")]);
    assert!(cut.warnings[0].contains("not whole"), "{:?}", cut.warnings);
    let none = ok(&[&text("no call"), &end("tool_calls")]);
    assert_eq!(none.finish_reason, Some(FinishReason::Stop));
}

#[test]
fn p63_tool_ids_and_indices_of_every_kind() {
    let delta = |calls: &str| format!(r#"{{"choices":[{{"delta":{{"tool_calls":{calls}}}}}]}}"#);
    let names = |documents: &[String]| {
        let mut documents: Vec<&str> = documents.iter().map(String::as_str).collect();
        documents.push(STOP);
        let reply = ok(&documents);
        reply
            .tool_calls
            .iter()
            .map(|call| (call.name.clone(), call.arguments.clone(), call.id.clone()))
            .collect::<Vec<_>>()
    };
    // An empty id is made up; a number as text is kept.
    let found = names(&[delta(
        r#"[{"index":0,"id":"","function":{"name":"f","arguments":""}},{"index":1,"id":"365174485","function":{"name":"g","arguments":"{}"}}]"#,
    )]);
    assert_eq!(
        found,
        [("f".into(), "{}".into(), "call_0".into()), ("g".into(), "{}".into(), "365174485".into())]
    );
    // A new id in every piece is a proxy's doing: one call.
    let found = names(&[
        delta(r#"[{"index":0,"id":"a","function":{"name":"f","arguments":"{\"x\""}}]"#),
        delta(r#"[{"index":0,"id":"b","function":{"arguments":":1}"}}]"#),
    ]);
    assert_eq!(found, [("f".into(), r#"{"x":1}"#.into(), "a".into())]);
    // No index, whole calls one after another: two calls.
    let found = names(&[
        delta(r#"[{"id":"a","function":{"name":"f","arguments":{"x":1}}}]"#),
        delta(r#"[{"id":"b","function":{"name":"g","arguments":{}}}]"#),
    ]);
    assert_eq!(found, [("f".into(), r#"{"x":1}"#.into(), "a".into()), ("g".into(), "{}".into(), "b".into())]);
    // An empty name later does not replace the name.
    let found = names(&[
        delta(r#"[{"index":0,"id":"a","function":{"name":"f","arguments":"{"}}]"#),
        delta(r#"[{"index":0,"id":"","function":{"name":"","arguments":"}"}}]"#),
    ]);
    assert_eq!(found, [("f".into(), "{}".into(), "a".into())]);
}

#[test]
fn p65_an_empty_answer_says_why() {
    let thought = r#"{"choices":[{"delta":{"reasoning_content":"long thought"}}]}"#;
    let length = r#"{"choices":[{"delta":{},"finish_reason":"length"}]}"#;
    let filter = r#"{"choices":[{"delta":{},"finish_reason":"content_filter"}]}"#;
    for (documents, words) in [
        (vec![thought, length], "used up max_tokens with thinking"),
        (vec![length], "before the first text"),
        (vec![thought, STOP], "then said nothing"),
        (vec![STOP], "ended at once"),
        (vec![filter], "a filter"),
    ] {
        let error = fails(SSE, &events(&documents), ErrorKind::EmptyAnswer, words);
        assert!(!error.hint().is_empty());
    }
    fails(SSE, &events(&[&text(" \n"), STOP]), ErrorKind::EmptyAnswer, "ended at once");
}

#[test]
fn p69_comments_are_only_life() {
    let stream = format!(
        ": OPENROUTER PROCESSING\n\n:\n\n: keepalive 3/9\n\ndata: {}\n\n:\n\ndata: {STOP}\n\n",
        text("a")
    );
    assert_eq!(read_bytes(&ServerKind::MLX, SSE, stream.as_bytes()).unwrap().text, "a");
}

#[test]
fn p70_framing_of_every_kind() {
    let (a, b) = (text("é"), text("日本"));
    for stream in [
        format!("\u{feff}data: {a}\n\ndata: {b}\n\ndata: {STOP}\n\n"),
        format!("data: {a}\r\n\r\ndata: {b}\r\n\r\ndata: {STOP}\r\n\r\n"),
        format!("data: {a}\r\rdata: {b}\r\rdata: {STOP}\r\r"),
        format!("data:{a}\n\nid: 1\nretry: 5\ndata:{b}\n\ndata: {STOP}"),
        format!("data: {a}\ndata: {b}\ndata: {STOP}\n\n"),
        format!(
            "event: message\ndata: {a}\n\nevent: message\ndata: {b}\n\ndata:\n\ndata: {STOP}\n\ndata: [DONE]\n\ndata: {a}\n\n"
        ),
    ] {
        assert_eq!(
            read_bytes(&ServerKind::GENERIC, SSE, stream.as_bytes()).unwrap().text,
            "é日本",
            "{stream:?}"
        );
    }
}

#[test]
fn p73_done_without_a_line_end() {
    let stream = format!("data: {}\n\ndata: {STOP}\n\ndata: [DONE]", text("a"));
    assert_eq!(read_bytes(&ServerKind::LLAMA_CPP, SSE, stream.as_bytes()).unwrap().text, "a");
}

#[test]
fn p76_the_finish_reason_may_ride_on_the_last_token() {
    let last = r#"{"choices":[{"index":0,"delta":{"content":"b"},"finish_reason":"length"}]}"#;
    let reply = ok(&[&text("a"), last]);
    assert_eq!((reply.text.as_str(), reply.finish_reason), ("ab", Some(FinishReason::Length)));
    assert!(reply.warnings[0].contains("cut"), "{:?}", reply.warnings);
}

#[test]
fn finish_reasons_of_every_kind() {
    for (raw, reason) in [
        ("stop", FinishReason::Stop),
        ("eos", FinishReason::Stop),
        ("end_turn", FinishReason::Stop),
        ("max_tokens", FinishReason::Length),
        ("model_length", FinishReason::Length),
        ("content_filter", FinishReason::ContentFilter),
    ] {
        let end = format!(r#"{{"choices":[{{"delta":{{}},"finish_reason":"{raw}"}}]}}"#);
        let reply = ok(&[&text("a"), &end]);
        assert_eq!(reply.finish_reason, Some(reason), "{raw}");
        assert_eq!(reply.extra.contains_key("finish_reason"), raw != reason.as_str(), "{raw}");
    }
    for raw in ["error", "abort", "unload"] {
        let end = format!(r#"{{"choices":[{{"delta":{{}},"finish_reason":"{raw}"}}]}}"#);
        fails(SSE, &events(&[&text("a"), &end]), ErrorKind::CutOff, raw);
    }
}

#[test]
fn a_malformed_frame_is_skipped_and_counted() {
    let reply = ok(&[&text("a"), r#"{"choices":[{"delta":{"content":"lost"#, &text("b"), STOP]);
    assert_eq!(reply.text, "ab");
    assert_eq!(reply.extra["malformed_frames"], 1);
}

#[test]
fn odd_fields_do_not_spoil_their_neighbours() {
    for document in [
        r#"{"id":7,"created":"176","object":null,"model":null,"choices":[{"index":"0","delta":{"role":"assistant","content":"a","tool_calls":null}}],"usage":null}"#,
        r#"{"created":1.5,"choices":[{"delta":{"content":"a","function_call":null},"logprobs":null,"finish_reason":""}]}"#,
        r#"{"choices":[{"delta":{"content":"x","content":"a"}}],"choices_extra":[1]}"#,
        r#"{"choices":[{"delta":{"content":"a"}},{"index":1,"delta":{"content":"b"}}],"service_tier":"x"}"#,
        r#"{"choices":[{"text":"a","index":0}]}"#,
    ] {
        assert_eq!(ok(&[document, STOP]).text, "a", "{document}");
    }
}

#[test]
fn lone_surrogates_and_nul_do_not_end_the_answer() {
    let reply = ok(&[&text("a"), r#"{"choices":[{"delta":{"content":"\ud83d"}}]}"#, &text("\u{0}b"), STOP]);
    assert!(reply.text.starts_with('a') && reply.text.ends_with('b'), "{:?}", reply.text);
}

#[test]
fn whole_answers_although_a_stream_was_asked_for() {
    let body = br#"{"id":"c","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"whole","reasoning_content":"hm","tool_calls":[]},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":3},"stats":{}}"#;
    for content_type in ["application/json", "application/json; charset=utf-8", "", "text/plain"] {
        let reply = read_bytes(&ServerKind::LM_STUDIO, content_type, body).unwrap();
        assert_eq!((reply.text.as_str(), reply.reasoning.as_str()), ("whole", "hm"), "{content_type}");
    }
    let stream = events(&[&text("a"), STOP]);
    for content_type in ["", "text/plain", "application/octet-stream", "application/json"] {
        assert_eq!(
            read_bytes(&ServerKind::GENERIC, content_type, &stream).unwrap().text,
            "a",
            "{content_type}"
        );
    }
}

#[test]
fn a_web_page_is_not_an_answer() {
    let page = b"<!doctype html><html><body>Hello</body></html>";
    for content_type in ["text/html", SSE, ""] {
        let error = fails(content_type, page, ErrorKind::Protocol, "Unexpected response format");
        assert!(error.hint().contains("doctor"), "{}", error.hint());
    }
}

#[test]
fn numbers_of_servers_that_tell_them() {
    let timings = r#"{"choices":[{"delta":{},"finish_reason":"stop"}],"timings":{"cache_n":4,"prompt_n":5,"prompt_ms":120.5,"predicted_n":7,"predicted_per_second":80.5}}"#;
    let reply = ok(&[&text("a"), timings]);
    assert_eq!(
        (reply.usage.input_tokens, reply.usage.output_tokens, reply.usage.cached_tokens),
        (Some(9), Some(7), Some(4))
    );
    assert_eq!(reply.timing.prompt_eval.unwrap().as_micros(), 120_500);
    assert_eq!(reply.timing.tokens_per_second, Some(80.5));
}

#[test]
fn p78_errors_in_every_envelope_inside_a_stream() {
    for envelope in [
        r#"{"error":{"message":"boom","type":"t","param":null,"code":null}}"#,
        r#"{"error":{"message":"boom","code":500}}"#,
        r#"{"error":"boom"}"#,
        r#"{"error":{"message":"boom"},"choices":[]}"#,
        r#"{"object":"error","message":"boom","code":500}"#,
        r#"{"detail":"boom"}"#,
        r#"{"type":"error","error":{"type":"x","message":"boom"}}"#,
    ] {
        fails(SSE, &events(&[&text("a"), envelope]), ErrorKind::Server, "boom");
    }
}
