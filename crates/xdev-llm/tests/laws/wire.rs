//! What must hold for every input of the wire layer. Plain functions, so that tests and fuzzing share them.
#![allow(dead_code, missing_docs, unreachable_pub, clippy::unwrap_used)]

use std::convert::Infallible;
use std::future::Future;
use std::task::{Context, Poll, Waker};

use proptest::prelude::*;
use serde_json::{Value, json};
use xdev_llm::wire::{Framer, Framing, Reader, Rows, ServerKind, dialect};
use xdev_llm::{
    ChatEvent, ChatRequest, Collector, KeepAlive, Message, Reasoning, ResponseFormat, Sampling, Tool,
    ToolChoice,
};

type Found = Vec<(Option<String>, String)>;

fn frames(framing: Framing, stream: &[u8], cuts: &[usize]) -> Result<Found, String> {
    let mut framer = Framer::with_cap(framing, 1 << 20);
    let mut found = Vec::new();
    let mut take = |frame: xdev_llm::wire::Frame<'_>| {
        found.push((frame.event.map(str::to_owned), frame.data.to_owned()));
        Ok(true)
    };
    let mut start = 0;
    for &end in cuts.iter().chain([&stream.len()]) {
        framer.push(&stream[start..end], &mut take).map_err(|error| error.to_string())?;
        start = end;
    }
    framer.finish(&mut take).map_err(|error| error.to_string())?;
    Ok(found)
}

/// The framer gives the same frames however the bytes are cut.
pub fn check_cuts(stream: &[u8], cuts: &[usize]) {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| (*cut).min(stream.len())).collect();
    cuts.sort_unstable();
    for framing in [Framing::Events, Framing::Lines, Framing::Whole, Framing::Sniff] {
        assert_eq!(frames(framing, stream, &[]), frames(framing, stream, &cuts), "{framing:?} {cuts:?}");
    }
}

/// On streams that follow the standard the framer gives what an independent reader gives.
pub fn check_oracle(stream: &str) {
    let ours: Vec<String> =
        frames(Framing::Events, stream.as_bytes(), &[]).unwrap().into_iter().map(|(_, data)| data).collect();
    let body = Body(Some(stream.as_bytes().to_vec()));
    let mut oracle = sse_stream::SseStream::new(body);
    let mut theirs = Vec::new();
    loop {
        let next = std::pin::pin!(sse_next(&mut oracle));
        let Poll::Ready(next) = next.poll(&mut Context::from_waker(Waker::noop())) else { panic!("pending") };
        match next {
            Some(Ok(event)) => theirs.extend(event.data.filter(|data| !data.is_empty())),
            Some(Err(error)) => panic!("the oracle failed: {error}"),
            None => break,
        }
    }
    assert_eq!(ours, theirs, "{stream:?}");
}

async fn sse_next(
    stream: &mut sse_stream::SseStream<Body>,
) -> Option<Result<sse_stream::Sse, sse_stream::Error>> {
    std::future::poll_fn(|cx| futures_poll(stream, cx)).await
}
fn futures_poll(
    stream: &mut sse_stream::SseStream<Body>,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<sse_stream::Sse, sse_stream::Error>>> {
    futures_util::Stream::poll_next(std::pin::Pin::new(stream), cx)
}
struct Body(Option<Vec<u8>>);
impl http_body::Body for Body {
    type Data = bytes::Bytes;
    type Error = Infallible;
    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<bytes::Bytes>, Infallible>>> {
        Poll::Ready(self.0.take().map(|bytes| Ok(http_body::Frame::data(bytes.into()))))
    }
}

fn events(frames: &[String], skeleton: bool) -> (Vec<ChatEvent>, Option<String>) {
    let mut reader = Reader::new(dialect(Rows::default().row(&ServerKind::GENERIC).clone()), Framing::Events);
    if !skeleton {
        reader = reader.without_skeleton();
    }
    let mut all = Vec::new();
    for frame in frames {
        let mut out = Vec::new();
        let pushed = reader.push(format!("data: {frame}\n\n").as_bytes(), &mut out);
        all.extend(out);
        if let Err(error) = pushed {
            return (all, Some(error.to_string()));
        }
    }
    let error = reader.finish(&mut all).err().map(|error| error.to_string());
    (all, error)
}

/// The accelerator gives the same events as the walk.
pub fn check_skeleton(frames: &[String]) {
    // Each frame twice: the second may meet the skeleton that was learned from the first.
    let twice: Vec<String> = frames.iter().flat_map(|frame| [frame.clone(), frame.clone()]).collect();
    for frames in [frames, &twice] {
        assert_eq!(events(frames, true), events(frames, false), "{frames:#?}");
    }
}

/// A field beside the text never changes the text.
pub fn check_siblings(text: &str, sibling: &(String, Value)) {
    let mut chunk = json!({ "choices": [{ "index": 0, "delta": { "content": text } }] });
    let read = |chunk: &Value| {
        let (events, _) = events(&[chunk.to_string()], true);
        let mut collector = Collector::default();
        for event in events {
            collector.push(event);
        }
        let reply = collector.into_reply();
        reply.text + &reply.reasoning
    };
    let alone = read(&chunk);
    chunk[sibling.0.as_str()] = sibling.1.clone();
    assert_eq!(read(&chunk), alone, "{chunk}");
}

/// Any bytes are read without a panic, by every dialect and framing.
pub fn check_no_panic(bytes: &[u8]) {
    for kind in [ServerKind::GENERIC, ServerKind::OLLAMA, ServerKind::LM_STUDIO_NATIVE] {
        for framing in [Framing::Events, Framing::Lines, Framing::Whole, Framing::Sniff] {
            let mut reader = Reader::new(dialect(Rows::default().row(&kind).clone()), framing);
            let mut out = Vec::new();
            let _ = reader.push(bytes, &mut out);
            let _ = reader.finish(&mut out);
        }
    }
    let _ = xdev_llm::wire::read_failure(500, bytes);
}

/// Every row sends only the fields it names, and no null.
pub fn check_request(request: &ChatRequest) {
    let rows = Rows::default();
    for row in rows.iter() {
        let Ok(call) = dialect(row.clone()).chat(request, true) else { continue };
        let body: Value = serde_json::from_slice(call.body.as_ref().unwrap()).unwrap();
        let mut allowed: Vec<&str> = row.parameters.values().map(String::as_str).collect();
        allowed.extend(row.body.keys().map(String::as_str));
        allowed.extend([
            "model",
            "messages",
            "stream",
            "options",
            "format",
            "think",
            "tool_choice",
            "reasoning_effort",
            "chat_template_kwargs",
            "response_format",
            "input",
            "system_prompt",
            "reasoning",
            "store",
            "context_length",
        ]);
        let fields = body.as_object().unwrap();
        for (name, value) in fields.iter().chain(body["options"].as_object().into_iter().flatten()) {
            let known = allowed.contains(&name.as_str()) || name == "num_ctx";
            assert!(known && !value.is_null(), "{}: {name} = {value}", row.kind);
        }
        for name in &call.not_sent {
            assert!(!fields.contains_key(name), "{}: {name} is said not to be sent", row.kind);
        }
    }
}

/// Pieces of event streams, valid and not.
pub fn event_stream() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"data: {\"a\":\"\xc3\xa9\"}".to_vec()),
        Just(b"data:".to_vec()),
        Just(b"event: error".to_vec()),
        Just(b"error: {}".to_vec()),
        Just(b"{\"error\":1}".to_vec()),
        Just(b"\xEF\xBB\xBF".to_vec()),
        Just(b": c".to_vec()),
        Just(b"\n".to_vec()),
        Just(b"\r".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b"\n\n".to_vec()),
        Just(b"data: [DONE]".to_vec()),
        prop::collection::vec(any::<u8>(), 0..4),
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

/// Streams as the standard has them, each event ended by a blank line.
pub fn plain_event_stream() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        "[a-z ]{0,8}".prop_map(|data| format!("data: {data}")),
        "[a-z]{0,8}".prop_map(|data| format!("data:{data}")),
        Just("event: note".to_owned()),
        Just(": comment".to_owned()),
        Just("id: 7".to_owned()),
    ];
    let event = prop::collection::vec(line, 1..4);
    (prop::collection::vec(event, 0..6), prop::sample::select(vec!["\n", "\r\n"])).prop_map(
        |(events, end)| {
            events.iter().flat_map(|lines| [lines.join(end), end.to_owned(), end.to_owned()]).collect()
        },
    )
}

/// A chunk that is alike from one to the next, with traps: the text repeated in other fields, escapes, tags, changes.
pub fn chunk() -> impl Strategy<Value = String> {
    let text = prop_oneof![
        4 => prop::sample::select(vec!["a", "b"]).prop_map(str::to_owned),
        1 => Just(String::new()),
        1 => Just("\"".to_owned()),
        1 => Just("<think>".to_owned()),
        1 => Just("</think>".to_owned()),
        1 => Just("\n\u{1}é日".to_owned()),
        1 => "[a-c]{1,3}",
    ];
    (text.clone(), text, 0..12_u8).prop_map(|(text, other, shape)| {
        let quoted = Value::String(text.clone()).to_string();
        let other = Value::String(other).to_string();
        match shape {
            0..=3 => format!(r#"{{"id":"c","choices":[{{"index":0,"delta":{{"content":{quoted}}}}}]}}"#),
            4 => format!(r#"{{"id":"c","choices":[{{"index":0,"delta":{{"reasoning_content":{quoted}}}}}]}}"#),
            5 => format!(r#"{{"id":{other},"choices":[{{"index":0,"delta":{{"content":{quoted}}}}}]}}"#),
            // The last place where the text stands is not the text: a field nobody reads.
            6 => format!(r#"{{"choices":[{{"delta":{{"content":{quoted}}}}}],"system_fingerprint":{other}}}"#),
            7 => format!(r#"{{"choices":[{{"delta":{{"content":"x","content":{quoted}}}}}]}}"#),
            8 => format!(r#"{{"choices":[{{"delta":{{"content":{quoted}}},"finish_reason":"stop"}}]}}"#),
            9 => format!(r#"{{"id":"c","choices":[{{"index":0,"delta":{{"content":"{text}"}}}}]}}"#),
            10 => r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"1","function":{"name":"f","arguments":"{}"}}]}}]}"#.to_owned(),
            _ => format!(r#"{{"choices":[{{"delta":{{"content":{quoted}}}}}],"usage":{{"completion_tokens":1}}}}"#),
        }
    })
}

/// A field that a server may put beside the choices.
pub fn sibling() -> impl Strategy<Value = (String, Value)> {
    let name = prop::sample::select(vec![
        "usage",
        "timings",
        "stats",
        "model",
        "id",
        "created",
        "prompt_progress",
        "metrics",
        "system_fingerprint",
        "x",
    ]);
    (name, any_json()).prop_map(|(name, value)| (name.to_owned(), value))
}

/// Any JSON, often with names the dialects look for.
pub fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,6}".prop_map(Value::from),
    ];
    let name = prop::sample::select(vec![
        "choices",
        "delta",
        "message",
        "content",
        "tool_calls",
        "function",
        "arguments",
        "index",
        "usage",
        "error",
        "timings",
        "prompt_ms",
        "finish_reason",
        "done",
        "done_reason",
        "load_duration",
        "type",
        "result",
        "stats",
        "output",
        "prompt_progress",
        "total",
        "processed",
        "x",
    ]);
    leaf.prop_recursive(5, 40, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((name.clone(), inner), 0..5).prop_map(|fields| fields
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect()),
        ]
    })
}

/// A request with any of its fields set.
pub fn request() -> impl Strategy<Value = ChatRequest> {
    let float = || prop::option::of(0.0..1.0_f64);
    let sampling = (
        float(),
        float(),
        prop::option::of(0..100_u32),
        float(),
        prop::option::of(1..9000_u32),
        any::<Option<u64>>(),
        float(),
    )
        .prop_map(|(temperature, top_p, top_k, min_p, max_tokens, seed, repeat_penalty)| Sampling {
            temperature,
            top_p,
            top_k,
            min_p,
            max_tokens,
            seed,
            stop: seed.map(|_| vec!["x".to_owned()]),
            presence_penalty: top_p,
            frequency_penalty: min_p,
            repeat_penalty,
        });
    let reasoning =
        prop::sample::select(vec![Reasoning::Default, Reasoning::Off, Reasoning::Low, Reasoning::High]);
    (sampling, reasoning, 0..4_u8, any::<bool>()).prop_map(|(sampling, reasoning, format, tools)| {
        ChatRequest {
            model: Some("m".to_owned()),
            messages: vec![Message::system("s"), Message::user("u")],
            sampling,
            response_format: match format {
                0 => Some(ResponseFormat::JsonObject),
                1 => {
                    Some(ResponseFormat::JsonSchema { name: "n".into(), schema: json!({ "type": "object" }) })
                }
                _ => None,
            },
            tools: if tools {
                vec![Tool { name: "f".into(), description: "d".into(), parameters: json!({}) }]
            } else {
                vec![]
            },
            tool_choice: tools.then_some(ToolChoice::Required),
            reasoning,
            keep_alive: (format == 2).then_some(KeepAlive::Forever),
            context_length: (format == 3).then_some(4096),
            ..ChatRequest::default()
        }
    })
}
