//! Every fault at the byte level: what its documentation says, and nothing less.

use std::io::Write;
use std::time::Duration;

use serde_json::{Value, json};
use xdev_llm_mock::{FAULT_MESSAGE, FAULTS, Fault, Mock, Personality, Script};

use crate::client::{Answer, chat, chat_body, connect, exchange, get, post, read_all, request};

const TEXT: &str = "The sea is a vast quiet place.";

/// A chat with one fault, on an OpenAI server nobody knows.
fn with(fault: &str) -> Answer {
    with_personality(Personality::Generic, fault)
}

fn with_personality(personality: Personality, fault: &str) -> Answer {
    let mock = Mock::start(personality);
    mock.set_script(Script::new().fault(fault.parse().unwrap()));
    chat(&mock, json!({"model": ""}))
}

/// The body of a chat without faults.
fn clean() -> String {
    let mock = Mock::start(Personality::Generic);
    chat(&mock, json!({})).text()
}

fn finish_reasons(answer: &Answer) -> usize {
    answer.data().iter().filter(|chunk| chunk["choices"][0]["finish_reason"].is_string()).count()
}

#[test]
fn without_faults_the_stream_is_whole() {
    let mock = Mock::start(Personality::Generic);
    let answer = chat(&mock, json!({}));
    assert_eq!(answer.content(), TEXT);
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/event-stream")));
    assert!(answer.complete() && answer.text().ends_with("\n\ndata: [DONE]\n\n"));
    assert_eq!(finish_reasons(&answer), 1);
    // Role, eight tokens, finish, [DONE], and the chunk that ends the body.
    assert_eq!(answer.chunks.len(), 12);
}

#[test]
fn cut_mid_event_leaves_half_an_event() {
    let answer = with("cut-mid-event:3");
    assert!(!answer.complete() && !answer.reset);
    let text = answer.text();
    let (whole, half) = text.rsplit_once("\n\n").unwrap();
    assert_eq!(whole.matches("\n\n").count(), 3, "role and three tokens");
    assert!(half.starts_with("data: {") && serde_json::from_str::<Value>(&half[6..]).is_err(), "{half}");
}

#[test]
fn ends_are_left_out() {
    let no_done = with("no-done");
    assert!(no_done.complete() && !no_done.text().contains("[DONE]") && finish_reasons(&no_done) == 1);
    let no_finish = with("no-finish");
    assert!(no_finish.complete() && no_finish.text().contains("[DONE]") && finish_reasons(&no_finish) == 0);
    let neither = with("no-finish-no-done");
    assert!(neither.complete() && !neither.text().contains("[DONE]") && finish_reasons(&neither) == 0);
    assert_eq!(neither.content(), TEXT);
    // vLLM's finish reason rides on the last token, which still comes.
    let mock = Mock::start(Personality::Vllm);
    mock.set_script(Script::new().fault(Fault::NoFinish));
    let cut = chat(&mock, json!({"max_tokens": 2}));
    assert_eq!((cut.content().as_str(), finish_reasons(&cut)), ("The sea", 0));
}

#[test]
fn errors_come_in_every_envelope() {
    let event = with("error-event:2");
    assert_eq!(event.text().matches("data: {\"id\"").count(), 3);
    let tail = event.text().split_once("event: error\ndata: ").unwrap().1.to_owned();
    let error: Value = serde_json::from_str(tail.trim_end()).unwrap();
    assert_eq!(error["error"]["message"], FAULT_MESSAGE);
    assert!(event.complete() && !event.text().contains("[DONE]"));
    let lmstudio = with_personality(Personality::LmStudio04, "error-event:0");
    let expected = format!(
        "event: error\ndata: {{\"error\":{{\"message\":\"{FAULT_MESSAGE}\"}},\"message\":\"{FAULT_MESSAGE}\"}}\n\n"
    );
    assert_eq!(lmstudio.text(), expected);
    let field = with("error-field:1");
    assert!(field.text().contains("\n\nerror: {\"code\":500,") && field.text().ends_with("data: [DONE]\n\n"));
    let data = with_personality(Personality::LlamaCpp, "error-data:1");
    assert!(data.text().contains("\n\ndata: {\"error\":{\"code\":500,"), "{}", data.text());
    let unframed = with("unframed-error:1");
    assert!(unframed.text().ends_with("}\n") && unframed.text().contains("\n\n{\"error\":"));
    let body = with("error-body-200");
    assert_eq!((body.status, body.json()["error"]["message"].as_str()), (200, Some(FAULT_MESSAGE)));
}

#[test]
fn lines_are_written_in_other_ways() {
    assert_eq!(with("bom").text(), format!("\u{feff}{}", clean()));
    assert_eq!(with("cr-lf").text(), clean().replace('\n', "\r\n"));
    assert_eq!(with("cr-only").text(), clean().replace('\n', "\r"));
    let comments = with("comments").text();
    assert_eq!(comments.replace(": keep-alive\n\n", ""), clean());
    assert_eq!(comments.matches(": keep-alive\n\n").count(), 10);
    let three = with("multi-data").text();
    let events: Vec<&str> = three.trim_end().split("\n\n").collect();
    for event in events.iter().filter(|event| !event.contains("[DONE]")) {
        let lines: Vec<&str> = event.lines().map(|line| line.strip_prefix("data: ").unwrap()).collect();
        assert_eq!(lines.len(), 3);
        assert!(serde_json::from_str::<Value>(&lines.join("\n")).is_ok());
    }
    assert_eq!(format!("{}\n\n", with("no-blank-line-at-end").text()), clean());
    let after = with("data-after-done").text();
    assert!(after.split_once("data: [DONE]\n\n").unwrap().1.contains(" after the end"));
}

#[test]
fn silence_keeps_the_connection_open() {
    let rows = [("stall:3", 3, 0), ("stall:0", 0, 0), ("keep-open-after-finish", 8, 1), ("stall:99", 8, 0)];
    for (fault, tokens, reasons) in rows {
        let mock = Mock::start(Personality::Generic);
        mock.set_script(Script::new().fault(fault.parse().unwrap()));
        let mut stream = connect(&mock);
        stream
            .write_all(&request("POST", "/v1/chat/completions", "", &chat_body(json!({})).to_string()))
            .unwrap();
        assert!(mock.wait_for(Duration::from_secs(5), |requests| {
            requests.iter().any(|one| one.tokens_sent == tokens)
        }));
        let answer = read_all(&mut stream, Duration::from_millis(200));
        assert_eq!(answer.data().len(), 1 + tokens + reasons, "{fault}");
        assert!(!answer.complete() && !answer.text().contains("[DONE]"), "{fault}");
        assert!(!mock.requests()[0].finished && mock.requests()[0].client_closed.is_none(), "{fault}");
    }
}

#[test]
fn a_reset_is_a_reset_and_a_close_is_a_close() {
    let reset = with("reset:3");
    assert!(reset.reset && reset.data().len() == 4);
    let before = with("reset-before-headers");
    assert!(before.reset && before.raw.is_empty());
    let close = with("close-before-headers");
    assert!(!close.reset && close.raw.is_empty());
}

#[test]
fn lengths_and_encodings_lie() {
    let long = with("content-length-too-long");
    let promised: usize = long.header("content-length").unwrap().parse().unwrap();
    assert_eq!(promised, long.body.len() + 100);
    assert_eq!(long.text(), clean());
    let gzip = with("gzip");
    assert_eq!(gzip.header("content-encoding"), Some("gzip"));
    assert_eq!(gzip.body[..2], [0x1f, 0x8b]);
    assert!(String::from_utf8_lossy(&gzip.body).contains("[DONE]"), "stored blocks hold the text as it is");
    assert_eq!(with("content-typeless").header("content-type"), None);
    assert_eq!(with("text-plain").header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(with("text-plain").text(), clean());
}

#[test]
fn an_endless_line_has_no_end() {
    let mock = Mock::start(Personality::Generic);
    mock.set_script(Script::new().fault(Fault::EndlessLine));
    let mut stream = connect(&mock);
    stream
        .write_all(&request("POST", "/v1/chat/completions", "", &chat_body(json!({})).to_string()))
        .unwrap();
    let mut block = vec![0; 4 << 20];
    std::io::Read::read_exact(&mut stream, &mut block).unwrap();
    let text = Answer::parse(block, false).text();
    let line = text.split_once("data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"aaa").unwrap().1;
    assert!(line.len() > 3 << 20 && !line.contains('\n'));
    drop(stream);
    assert!(mock.wait_for(Duration::from_secs(5), |requests| requests[0].client_closed.is_some()));
}

#[test]
fn a_huge_answer_is_huge() {
    let answer = with("huge-answer:3000001");
    assert_eq!(answer.content().len(), 3_000_001);
    assert!(answer.complete());
}

#[test]
fn the_whole_answer_is_replaced() {
    let rows: &[(&str, u16, &str, &str)] = &[
        ("html-page", 200, "text/html; charset=utf-8", "<!doctype html>"),
        ("html-502", 502, "text/html; charset=utf-8", "502 Bad Gateway"),
        ("status:418:teapot", 418, "text/plain; charset=utf-8", "teapot"),
        ("status:500:{\"detail\":\"x\"}", 500, "application/json", "{\"detail\":\"x\"}"),
        ("too-many-requests:2", 429, "application/json", "rate_limit_exceeded"),
        ("loading-503", 503, "application/json; charset=utf-8", "Loading model"),
        ("empty-body", 200, "application/json", ""),
        ("empty-stream", 200, "text/event-stream", ""),
        ("reject-stream", 400, "application/json", "'stream'"),
    ];
    for (fault, status, content_type, body) in rows {
        let answer = with(fault);
        assert_eq!((answer.status, answer.header("content-type")), (*status, Some(*content_type)), "{fault}");
        assert!(answer.text().contains(body), "{fault}: {}", answer.text());
        assert!(!body.is_empty() || answer.body.is_empty(), "{fault}");
    }
    assert_eq!(with("too-many-requests:2").header("retry-after"), Some("2"));
    let redirect = with("redirect:http://127.0.0.1:1/x");
    assert_eq!((redirect.status, redirect.header("location")), (307, Some("http://127.0.0.1:1/x")));
    let whole = with("whole-json");
    assert_eq!(whole.header("content-type"), Some("application/json"));
    assert_eq!(whole.json()["choices"][0]["message"]["content"], TEXT);
}

#[test]
fn headers_of_a_status_are_sent() {
    let mock = Mock::start(Personality::Generic);
    let headers = vec![("X-Why".to_owned(), "because".to_owned())];
    mock.set_script(Script::new().fault(Fault::Status { code: 401, body: "no".into(), headers }));
    assert_eq!(chat(&mock, json!({})).header("x-why"), Some("because"));
}

#[test]
fn a_parameter_is_rejected_only_while_it_is_sent() {
    for (personality, place) in [
        (Personality::Generic, "/error/param"),
        (Personality::LmStudio04, "/error"),
        (Personality::LlamaCpp, "/error/message"),
    ] {
        let mock = Mock::start(personality);
        mock.set_script(Script::new().fault(Fault::RejectParam("top_k".into())));
        let refused = chat(&mock, json!({"top_k": 3}));
        assert_eq!(refused.status, 400);
        assert!(refused.json().pointer(place).unwrap().as_str().unwrap().contains("top_k"), "{personality}");
        assert_eq!(chat(&mock, json!({})).status, 200);
    }
    let mock = Mock::start(Personality::Generic);
    mock.set_script(Script::new().fault(Fault::RejectStream));
    assert_eq!(chat(&mock, json!({"stream": false})).status, 200);
}

#[test]
fn single_events_are_spoiled() {
    let broken = with("not-json-chunk:2").text();
    let bad: Vec<&str> = broken
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .filter(|data| *data != "[DONE]" && serde_json::from_str::<Value>(data).is_err())
        .collect();
    assert_eq!(bad.len(), 1);
    assert_eq!(broken.replace(&format!("data: {}\n\n", bad[0]), ""), clean());
    let null = with("null-choices");
    assert_eq!(null.data().iter().filter(|chunk| chunk["choices"].is_null()).count(), 1);
    assert_eq!(null.content(), TEXT);
    let invalid = with("invalid-utf8");
    assert!(std::str::from_utf8(&invalid.body).is_err());
    assert_eq!(invalid.content().replace('\u{fffd}', ""), TEXT.replacen("The", "The(", 1));
    assert!(with("lone-surrogate").text().contains(r#""content":"\ud83d""#));
    assert!(with("nul").text().contains(r#""content":"\u0000""#));
    assert_eq!(with("nul").content(), TEXT.replacen("The", "The\0", 1));
}

#[test]
fn json_is_odd_but_json() {
    let double = with("duplicate-keys");
    assert!(double.text().contains(r#"{"content":"wrong","content":"The"}"#), "{}", double.text());
    assert_eq!(double.content(), TEXT);
    let strings = with("numbers-as-strings");
    assert!(strings.data().iter().all(|chunk| chunk["created"].is_string()));
    let usage = with("continuous-usage");
    let counts: Vec<u64> =
        usage.data().iter().filter_map(|chunk| chunk["usage"]["completion_tokens"].as_u64()).collect();
    assert_eq!(counts, [0, 1, 2, 3, 4, 5, 6, 7, 8, 8]);
    let extra = with("extra-fields").data();
    assert!(
        extra
            .windows(2)
            .all(|pair| pair[0]["id"] != pair[1]["id"] && pair[0]["created"] != pair[1]["created"])
    );
    assert!(extra.iter().all(|chunk| chunk.get("x_unknown").is_some()));
}

#[test]
fn an_idle_connection_is_closed_when_asked() {
    let mock = Mock::start(Personality::Generic);
    mock.set_script(Script::new().fault(Fault::CloseIdleAfter(Duration::from_millis(50))));
    let mut stream = connect(&mock);
    let body = chat_body(json!({})).to_string();
    let keep = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(keep.as_bytes()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let mut all = Vec::new();
    std::io::Read::read_to_end(&mut stream, &mut all).expect("the server closes first");
    assert!(Answer::parse(all, false).complete());
}

#[test]
fn ollama_lines_fail_in_their_own_way() {
    let ask = |fault: &str| {
        let mock = Mock::start(Personality::Ollama);
        mock.set_script(Script::new().fault(fault.parse().unwrap()));
        let body = json!({"model": "qwen3:4b", "messages": [{"role": "user", "content": "x"}]});
        post(&mock, "/api/chat", &body)
    };
    let error = ask("error-data:2");
    assert_eq!(error.lines().len(), 3);
    assert_eq!(error.lines()[2], json!({"error": FAULT_MESSAGE}));
    assert!(!ask("no-finish").text().contains("\"done\":true"));
    assert!(!ask("no-blank-line-at-end").text().ends_with('\n'));
    assert!(ask("cr-lf").text().ends_with("}\r\n"));
    assert!(ask("cut-mid-event:1").text().lines().count() == 2);
    assert_eq!(ask("whole-json").json()["message"]["content"], TEXT);
}

#[test]
fn faults_between_tokens_have_a_meaning_in_one_body_too() {
    let mock = Mock::start(Personality::Generic);
    let ask = |fault: &str| {
        mock.push_script(Script::new().fault(fault.parse().unwrap()));
        chat(&mock, json!({"stream": false}))
    };
    let cut = ask("cut-mid-event:1");
    let promised: usize = cut.header("content-length").unwrap().parse().unwrap();
    assert!(cut.body.len() < promised && !cut.body.is_empty());
    assert!(ask("reset:1").reset);
    assert_eq!(ask("error-data:1").status, 500);
}

#[test]
fn every_listed_fault_changes_the_answer() {
    // Silent ones and those that need a further step have tests of their own.
    let own = ["stall", "keep-open", "endless-line", "close-idle-after", "reject-param"];
    let clean = {
        let mock = Mock::start(Personality::Generic);
        chat(&mock, json!({})).raw
    };
    for (spec, _) in FAULTS.iter().filter(|(spec, _)| !own.iter().any(|name| spec.starts_with(name))) {
        let fault = spec.replace("[:BODY]", "").replace("[:SECONDS]", "").replace("CODE", "500");
        let fault = fault.replace("BYTES", "9").replace("URL", "http://h/").replace(":N", ":1");
        assert_ne!(with(&fault).raw, clean, "{fault}");
    }
}

#[test]
fn a_raw_reply_is_sent_to_the_byte() {
    let mock = Mock::start(Personality::LlamaCpp);
    mock.push_script(Script::new().raw(
        207,
        &[("A", "b"), ("Transfer-Encoding", "chunked")],
        "2\r\nhi\r\n0\r\n\r\n",
    ));
    let answer = chat(&mock, json!({}));
    assert_eq!(
        answer.raw,
        b"HTTP/1.1 207 Status\r\nA: b\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"
    );
    mock.push_script(Script::new().raw(200, &[], "hi"));
    assert_eq!(chat(&mock, json!({})).raw, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
}

#[test]
fn control_over_http_sets_and_shows() {
    let mock = Mock::start(Personality::Silent);
    assert_eq!(post(&mock, "/mock/script", &json!({"txt": 1})).status, 400);
    assert_eq!(exchange(&mock, &request("POST", "/mock/script", "", "{")).status, 400);
    assert_eq!(get(&mock, "/mock/else").status, 404);
    let mock = Mock::start(Personality::Generic);
    assert_eq!(post(&mock, "/mock/script", &json!({"text": "set"})).status, 200);
    assert_eq!(
        post(&mock, "/mock/script?next=1", &json!({"text": "next", "faults": ["no-done"]})).status,
        200
    );
    assert_eq!(chat(&mock, json!({"seed": 7})).content(), "next");
    assert_eq!(chat(&mock, json!({})).content(), "set");
    let requests = get(&mock, "/mock/requests").json();
    assert_eq!(requests.as_array().unwrap().len(), 2);
    assert_eq!((&requests[0]["body"]["seed"], &requests[0]["finished"]), (&json!(7), &json!(true)));
    assert_eq!((&requests[0]["tokens_sent"], &requests[0]["status"]), (&json!(1), &json!(200)));
    post(&mock, "/mock/clear", &json!({}));
    assert_eq!(get(&mock, "/mock/requests").json(), json!([]));
}
