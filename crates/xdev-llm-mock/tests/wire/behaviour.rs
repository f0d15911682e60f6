//! What a server does besides being known: limits, models, reasoning, tools, time, connections.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use xdev_llm_mock::{Chunking, Mock, Model, Options, Personality, ReasoningField, Script};

use crate::client::{Answer, chat, chat_body, connect, exchange, get, post, read_all, request};

const SOON: Duration = Duration::from_secs(5);

fn ollama_chat(mock: &Mock, fields: Value) -> Answer {
    let mut body = json!({"model": "qwen3:4b", "messages": [{"role": "user", "content": "x"}]});
    for (name, value) in fields.as_object().unwrap() {
        body[name] = value.clone();
    }
    post(mock, "/api/chat", &body)
}

#[test]
fn answers_are_the_same_whatever_the_seed() {
    let mock = Mock::start(Personality::LlamaCpp);
    assert_eq!(chat(&mock, json!({"seed": 1})).raw, chat(&mock, json!({"seed": 2})).raw);
}

#[test]
fn limits_cut_in_every_dialect() {
    for personality in
        Personality::ALL.iter().filter(|one| one.is_model_server() && **one != Personality::Gpt4All)
    {
        let mock = Mock::start(*personality);
        let model = Model::defaults(*personality)[0].id.clone();
        let cut = chat(&mock, json!({"model": model, "max_tokens": 3}));
        assert_eq!(cut.content(), "The sea is", "{personality}: {}", cut.text());
        let last = cut
            .data()
            .iter()
            .rev()
            .find_map(|chunk| chunk["choices"][0]["finish_reason"].as_str().map(str::to_owned));
        assert_eq!(last.as_deref(), Some("length"), "{personality}");
        let stopped = chat(&mock, json!({"model": model, "stop": ["a v"], "stream": false})).json();
        assert_eq!(stopped["choices"][0]["message"]["content"], "The sea is ", "{personality}");
        assert_eq!(stopped["choices"][0]["finish_reason"], "stop", "{personality}");
    }
    let mock = Mock::start(Personality::Ollama);
    let native = ollama_chat(&mock, json!({"options": {"num_predict": 2}})).lines();
    assert_eq!((native.len(), &native[2]["done_reason"]), (3, &json!("length")));
    // Ollama drops max_completion_tokens without a word.
    let whole = chat(&mock, json!({"model": "qwen3:4b", "max_completion_tokens": 2}));
    assert_eq!(whole.content(), "The sea is a vast quiet place.");
}

#[test]
fn usage_comes_only_when_asked() {
    for personality in [Personality::LmStudio04, Personality::Ollama, Personality::Generic] {
        let mock = Mock::start(personality);
        let model = Model::defaults(personality)[0].id.clone();
        let plain = chat(&mock, json!({"model": model}));
        assert!(plain.data().iter().all(|chunk| chunk.get("usage").is_none()), "{personality}");
        let asked = chat(&mock, json!({"model": model, "stream_options": {"include_usage": true}}));
        let last = asked.data().pop().unwrap();
        assert_eq!(
            (&last["choices"], &last["usage"]["completion_tokens"]),
            (&json!([]), &json!(8)),
            "{personality}"
        );
    }
}

#[test]
fn lmstudio_repeats_the_role_and_ends_with_an_empty_delta() {
    let mock = Mock::start(Personality::LmStudio04);
    let chunks = chat(&mock, json!({})).data();
    assert_eq!(chunks[0]["choices"][0]["delta"], json!({"role": "assistant", "content": "The"}));
    assert_eq!(
        chunks[8]["choices"][0],
        json!({"index": 0, "delta": {}, "logprobs": null, "finish_reason": "stop"})
    );
    assert_eq!(chunks[0]["system_fingerprint"], chunks[0]["model"]);
}

#[test]
fn lmstudio_refuses_with_strings() {
    let mock = Mock::start(Personality::LmStudio04);
    let refused = |fields: Value, part: &str| {
        let answer = chat(&mock, fields);
        assert_eq!(answer.status, 400);
        assert!(answer.json()["error"].as_str().unwrap().contains(part), "{}", answer.text());
    };
    refused(json!({"response_format": {"type": "json_object"}}), "must be 'json_schema' or 'text'");
    refused(json!({"tool_choice": {"type": "function"}}), "none, auto, required");
    let picture = |url: &str| json!({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}]});
    refused(picture("http://h/a.png"), "base64 encoded image");
    refused(picture("data:image/webp;base64,AA"), "base64 encoded image");
    assert_eq!(chat(&mock, picture("data:image/png;base64,AA")).status, 200);
}

#[test]
fn lmstudio_answers_for_unknown_models_and_loads_known_ones() {
    let mock = Mock::start(Personality::LmStudio04);
    let model = |name: &str| chat(&mock, json!({"model": name, "stream": false})).json()["model"].clone();
    assert_eq!(model("nobody"), "qwen3-4b");
    assert_eq!(model("google/gemma-3-12b"), "google/gemma-3-12b");
    assert_eq!(get(&mock, "/api/v0/models").json()["data"][1]["state"], "loaded");
    let mut options = Options::from(Personality::LmStudio04);
    options.models.clear();
    let empty = chat(&Mock::start_with(options).unwrap(), json!({}));
    assert_eq!((empty.status, &empty.json()["error"]["param"]), (404, &json!("model")));
}

#[test]
fn lmstudio_native_chat_names_its_events() {
    let mock = Mock::start(Personality::LmStudio04);
    mock.set_script(Script::new().reasoning("hm so").text("Hi you").tool_call("1", "f", "{\"a\":1}"));
    let ask = |fields: Value| {
        let mut body = json!({"model": "google/gemma-3-12b", "input": "Hi", "stream": true});
        for (name, value) in fields.as_object().unwrap() {
            body[name] = value.clone();
        }
        post(&mock, "/api/v1/chat", &body)
    };
    let answer = ask(json!({}));
    let names: Vec<String> =
        answer.text().lines().filter_map(|line| line.strip_prefix("event: ").map(str::to_owned)).collect();
    let expected = "chat.start model_load.start model_load.progress model_load.end prompt_processing.start \
        prompt_processing.progress prompt_processing.end reasoning.start reasoning.delta reasoning.delta reasoning.end \
        message.start message.delta message.delta message.end tool_call.start tool_call.arguments tool_call.success \
        chat.end";
    assert_eq!(names.join(" "), expected.split_whitespace().collect::<Vec<_>>().join(" "));
    let data = answer.data();
    assert!(data.iter().zip(&names).all(|(data, name)| data["type"] == name.as_str()));
    let result = &data.last().unwrap()["result"];
    assert_eq!(result["stats"]["total_output_tokens"], 5);
    assert!(!answer.text().contains("[DONE]"));
    let again = ask(json!({"stream": false, "store": false})).json();
    assert!(again.get("response_id").is_none() && again["stats"].get("model_load_time_seconds").is_none());
    assert_eq!(again["output"][0], json!({"type": "reasoning", "content": "hm so"}));
    let item = |item: Value| ask(json!({"input": [item]}));
    let refused = item(json!({"type": "message", "content": "x"}));
    assert_eq!(refused.status, 400);
    assert_eq!(refused.json()["error"]["message"], "Invalid discriminator value. Expected 'text' | 'image'");
    assert_eq!(item(json!({"type": "text", "content": "x"})).status, 200);
    let key =
        item(json!({"type": "text", "text": "x"})).json()["error"]["message"].as_str().unwrap().to_owned();
    assert!(key.contains("'input.0.content' is required") && key.contains("'text'"));
    assert_eq!(ask(json!({"reasoning": "on"})).status, 400, "this model does not reason");
}

#[test]
fn ollama_speaks_lines_and_nanoseconds() {
    let mock = Mock::start(Personality::Ollama);
    mock.set_script(Script::new().reasoning("so").text("Hi you").tool_call("c", "f", "{\"a\":1}"));
    let answer = ollama_chat(&mock, json!({}));
    assert_eq!(answer.header("content-type"), Some("application/x-ndjson"));
    let lines = answer.lines();
    assert_eq!(lines[0]["message"], json!({"role": "assistant", "content": "", "thinking": "so"}));
    assert_eq!(lines[1]["message"]["content"], "Hi");
    assert_eq!(lines[3]["message"]["tool_calls"][0]["function"]["arguments"], json!({"a": 1}));
    let done = &lines[4];
    assert_eq!(
        (&done["done"], &done["done_reason"], &done["eval_count"]),
        (&json!(true), &json!("stop"), &json!(4))
    );
    assert_eq!(done["eval_duration"], 40_000_000);
    assert!(done.get("load_duration").is_none(), "the model was loaded, and Go leaves zeros out");
    assert!(
        ollama_chat(&mock, json!({"model": "llama3.2", "stream": false})).json()["load_duration"].is_u64()
    );
    assert!(!ollama_chat(&mock, json!({"think": false})).text().contains("thinking"));
    assert_eq!(ollama_chat(&mock, json!({"stream": false})).json()["message"]["thinking"], "so");
}

#[test]
fn ollama_loads_and_refuses() {
    let mock = Mock::start(Personality::Ollama);
    let load = |fields| ollama_chat(&mock, fields).json();
    assert_eq!(load(json!({"messages": []}))["done_reason"], "load");
    assert_eq!(load(json!({"messages": [], "keep_alive": 0}))["done_reason"], "unload");
    assert_eq!(get(&mock, "/api/ps").json(), json!({"models": []}));
    let refused = |fields: Value, status: u16, part: &str| {
        let answer = ollama_chat(&mock, fields);
        assert_eq!(answer.status, status);
        assert!(answer.json()["error"].as_str().unwrap().contains(part), "{}", answer.text());
    };
    refused(json!({"keep_alive": "300"}), 400, "missing unit");
    refused(
        json!({"model": "llama3.2", "think": true}),
        400,
        "\"llama3.2:latest\" does not support thinking",
    );
    refused(json!({"model": "nothing"}), 404, "model 'nothing' not found");
    let v1 = chat(&mock, json!({"model": "nothing"}));
    assert_eq!((v1.status, &v1.json()["error"]["type"]), (404, &json!("not_found_error")));
    let mut options = Options::from(Personality::Ollama);
    options.context = Some(40);
    let small = Mock::start_with(options).unwrap();
    let long = ollama_chat(&small, json!({"messages": [{"role": "user", "content": "x".repeat(400)}]}));
    assert_eq!(long.lines().last().unwrap()["prompt_eval_count"], 10, "cut without a word");
}

#[test]
fn reasoning_goes_where_it_is_told() {
    let mock = Mock::start(Personality::Generic);
    let ask = |field| {
        mock.push_script(Script::new().reasoning("so").text("Hi").reasoning_field(field));
        let answer = chat(&mock, json!({}));
        (answer.data()[1]["choices"][0]["delta"].clone(), answer.content())
    };
    assert_eq!(ask(ReasoningField::Native), (json!({"reasoning_content": "so"}), "Hi".into()));
    assert_eq!(ask(ReasoningField::Reasoning).0, json!({"reasoning": "so"}));
    assert_eq!(ask(ReasoningField::Both).0, json!({"reasoning": "so", "reasoning_content": "so"}));
    assert_eq!(ask(ReasoningField::Thinking).0, json!({"thinking": "so"}));
    assert_eq!(ask(ReasoningField::InlineThink).1, "<think>so</think>Hi");
    assert_eq!(ask(ReasoningField::InlineClosing).1, "so</think>Hi");
    mock.push_script(Script::new().reasoning("so").text("Hi"));
    assert!(!chat(&mock, json!({"reasoning_effort": "none"})).text().contains("reasoning"));
}

#[test]
fn tool_calls_are_cut_as_each_server_cuts_them() {
    let first = |personality: Personality| {
        let mock = Mock::start(personality);
        mock.set_script(Script::new().tokens(Vec::<String>::new()).tool_call(
            "1",
            "f",
            "{\"city\":\"Bern\"}",
        ));
        let model = Model::defaults(personality)[0].id.clone();
        let chunks = chat(&mock, json!({"model": model, "tools": [{"type": "function"}]})).data();
        let calls: Vec<Value> =
            chunks.iter().map(|chunk| chunk["choices"][0]["delta"]["tool_calls"][0].clone()).collect();
        let calls: Vec<Value> = calls.into_iter().filter(|call| !call.is_null()).collect();
        let joined: String = calls.iter().filter_map(|call| call["function"]["arguments"].as_str()).collect();
        assert_eq!(joined, "{\"city\":\"Bern\"}", "{personality}");
        calls[0]["function"].get("arguments").cloned()
    };
    assert_eq!(first(Personality::LlamaCpp), Some(json!("{")));
    assert_eq!(first(Personality::Vllm), None);
    assert_eq!(first(Personality::LmStudio04), Some(json!("")));
    assert_eq!(first(Personality::Ollama), Some(json!("{\"city\":\"Bern\"}")));
}

#[test]
fn gpt4all_is_strict() {
    let mock = Mock::start(Personality::Gpt4All);
    let good = json!({"stream": false, "max_tokens": 5});
    assert_eq!(chat(&mock, good).json()["choices"][0]["message"]["content"], "The sea is a vast");
    for fields in [json!({"seed": 1}), json!({"stream": true}), json!({"top_k": 1}), json!({"stop": "x"})] {
        let mut body = json!({"stream": false});
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        assert_eq!(chat(&mock, body).status, 400, "{fields}");
    }
    mock.set_script(Script::new().repeat(99));
    let short = chat(&mock, json!({"stream": false})).json();
    assert_eq!(
        (&short["usage"]["completion_tokens"], &short["choices"][0]["finish_reason"]),
        (&json!(16), &json!("length"))
    );
}

#[test]
fn other_servers_refuse_in_their_own_words() {
    let jan = chat(&Mock::start(Personality::Jan), json!({"model": "x"}));
    assert_eq!((jan.status, jan.text().as_str()), (404, "No running session found for model 'x'"));
    let sglang = chat(&Mock::start(Personality::SgLang), json!({"messages": []}));
    assert_eq!((sglang.status, &sglang.json()["object"]), (400, &json!("error")));
    let swap = Mock::start(Personality::LlamaSwap);
    let ask = |accept: &str| {
        let body = chat_body(json!({"model": "x"})).to_string();
        exchange(&swap, &request("POST", "/v1/chat/completions", &format!("Accept: {accept}\r\n"), &body))
            .text()
    };
    assert!(ask("application/json").starts_with("{\"error\":{"));
    assert!(ask("*/*").starts_with("llama-swap: "));
    let mlx = Mock::start(Personality::MlxLm);
    let chunked = b"POST /v1/chat/completions HTTP/1.1\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n";
    assert_eq!(exchange(&mlx, chunked).status, 411);
}

#[test]
fn an_echo_is_what_was_sent() {
    let mock = Mock::start(Personality::Generic);
    mock.set_script(Script::new().echo());
    let fields = json!({"temperature": 0.5, "x": "é \" \n"});
    let echoed: Value = serde_json::from_str(&chat(&mock, fields.clone()).content()).unwrap();
    assert_eq!(echoed, chat_body(fields));
}

#[test]
fn bytes_are_cut_as_asked() {
    let mock = Mock::start(Personality::Generic);
    let whole = chat(&mock, json!({}));
    mock.set_script(Script::new().chunking(Chunking::Bytes(7)));
    let cut = chat(&mock, json!({}));
    assert_eq!(cut.body, whole.body);
    let (last, rest) = cut.chunks[..cut.chunks.len() - 1].split_last().unwrap();
    assert!(rest.iter().all(|size| *size == 7) && *last <= 7);
    mock.set_script(Script::new().chunking(Chunking::Joined));
    let joined = chat(&mock, json!({}));
    assert_eq!((joined.body, joined.chunks.len()), (whole.body, 2));
}

#[test]
fn a_client_that_leaves_is_seen_at_once() {
    let scripts = [
        Script::new().headers_delay(Duration::from_secs(60)),
        Script::new().first_token_delay(Duration::from_secs(60)),
        Script::new().delay(Duration::from_secs(60)),
        "fault=stall:2".parse().unwrap(),
        Script::new().loading(Duration::from_secs(60)),
        Script::new().repeat(100_000_000),
    ];
    for stream_it in [true, false] {
        for script in &scripts {
            if !stream_it && script.repeat.is_some() {
                continue; // One body of a hundred million tokens is no test of this.
            }
            let mock = Mock::start(Personality::Generic);
            mock.set_script(script.clone());
            let mut stream = connect(&mock);
            let body = chat_body(json!({"stream": stream_it})).to_string();
            stream.write_all(&request("POST", "/v1/chat/completions", "", &body)).unwrap();
            assert!(mock.wait_for(SOON, |requests| requests.len() == 1));
            std::thread::sleep(Duration::from_millis(20));
            assert_eq!(mock.requests()[0].client_closed, None);
            let left = Instant::now();
            drop(stream);
            assert!(mock.wait_for(SOON, |requests| requests[0].client_closed.is_some()), "{script:?}");
            assert!(left.elapsed() < Duration::from_secs(1), "{:?} for {script:?}", left.elapsed());
            assert!(!mock.requests()[0].finished);
        }
    }
}

#[test]
fn a_client_that_stays_is_not_said_to_leave() {
    let mock = Mock::start(Personality::Generic);
    assert!(chat(&mock, json!({})).complete());
    assert!(mock.wait_for(SOON, |requests| requests[0].finished));
    assert_eq!((mock.requests()[0].client_closed, mock.requests()[0].tokens_sent), (None, 8));
}

#[test]
fn delays_are_waited() {
    let mock = Mock::start(Personality::Generic);
    mock.set_script(
        Script::new()
            .headers_delay(Duration::from_millis(60))
            .first_token_delay(Duration::from_millis(60))
            .delay(Duration::from_millis(20)),
    );
    for fields in [json!({}), json!({"stream": false})] {
        let start = Instant::now();
        assert_eq!(chat(&mock, fields).status, 200);
        assert!(start.elapsed() >= Duration::from_millis(60 + 60 + 7 * 20));
    }
}

#[test]
fn loading_is_waited_once_and_llamacpp_answers_503() {
    let load = Duration::from_millis(200);
    let mock = Mock::start(Personality::LmStudio04);
    mock.set_script(Script::new().loading(load));
    let start = Instant::now();
    assert_eq!(chat(&mock, json!({})).status, 200);
    assert!(start.elapsed() >= load);
    let llama = Mock::start(Personality::LlamaCpp);
    llama.set_script(Script::new().loading(Duration::from_secs(1)));
    assert_eq!((get(&llama, "/health").status, chat(&llama, json!({})).status), (503, 503));
    let ready = Instant::now() + SOON;
    while get(&llama, "/health").status != 200 {
        assert!(Instant::now() < ready, "the load ends");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(chat(&llama, json!({})).status, 200);
}

#[test]
fn connections_are_kept_and_counted() {
    let mock = Mock::start(Personality::LmStudio04);
    let mut stream = connect(&mock);
    for path in ["/lmstudio-greeting", "/v1/models"] {
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes()).unwrap();
        let answer = read_all(&mut stream, Duration::from_millis(200));
        assert_eq!((answer.status, answer.header("keep-alive")), (200, Some("timeout=5")));
    }
    assert_eq!((mock.connections(), mock.requests().len()), (1, 2));
    assert_eq!(mock.requests()[0].connection, mock.requests()[1].connection);
    assert_eq!(mock.requests()[0].header("host"), Some("h"));
    // Express closes an idle connection after five seconds.
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let start = Instant::now();
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    assert!(start.elapsed() >= Duration::from_secs(3));
}

#[test]
fn an_observer_sees_every_end_and_may_ask_for_the_log() {
    let mock = std::sync::Arc::new(Mock::start(Personality::Generic));
    let (sender, receiver) = std::sync::mpsc::channel();
    let weak = std::sync::Arc::downgrade(&mock);
    mock.on_end(move |request| {
        let logged = weak.upgrade().map_or(0, |mock| mock.requests().len());
        sender.send((request.path.clone(), request.tokens_sent, logged)).unwrap();
    });
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        // Someone who always asks for the log must not stand in the way of those who write it.
        scope.spawn(|| {
            while !done.load(std::sync::atomic::Ordering::SeqCst) {
                mock.requests();
            }
        });
        for count in 1..=100 {
            assert!(chat(&mock, json!({})).complete());
            let seen = receiver.recv_timeout(SOON).unwrap();
            assert_eq!(seen, ("/v1/chat/completions".to_owned(), 8, count));
        }
        done.store(true, std::sync::atomic::Ordering::SeqCst);
    });
}

#[test]
fn http_1_0_gets_no_chunks() {
    let mock = Mock::start(Personality::Generic);
    let body = chat_body(json!({})).to_string();
    let old = format!("POST /v1/chat/completions HTTP/1.0\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let answer = exchange(&mock, old.as_bytes());
    assert_eq!(answer.header("transfer-encoding"), None);
    assert!(answer.text().ends_with("data: [DONE]\n\n"));
}

#[test]
fn dropping_the_mock_closes_everything() {
    let mock = Mock::start(Personality::Generic);
    mock.set_script("fault=stall:1".parse().unwrap());
    let mut idle = connect(&mock);
    let mut stalled = connect(&mock);
    stalled
        .write_all(&request("POST", "/v1/chat/completions", "", &chat_body(json!({})).to_string()))
        .unwrap();
    assert!(mock.wait_for(SOON, |requests| requests.iter().any(|one| one.tokens_sent == 1)));
    let address = mock.address();
    drop(mock);
    for stream in [&mut idle, &mut stalled] {
        stream.set_read_timeout(Some(SOON)).unwrap();
        let mut rest = Vec::new();
        assert!(stream.read_to_end(&mut rest).is_ok(), "closed, not hanging");
    }
    assert!(std::net::TcpStream::connect(address).is_err());
}

#[test]
fn pushed_scripts_are_used_once_and_in_order() {
    let mock = Mock::start(Personality::Ollama);
    mock.set_script(Script::new().text("set"));
    mock.push_script(Script::new().text("one").model("other"));
    mock.push_script(Script::new().text("two"));
    let ask = || ollama_chat(&mock, json!({"stream": false})).json();
    assert_eq!(
        ollama_chat(&mock, json!({"messages": []})).json()["done_reason"],
        "load",
        "a load is no chat"
    );
    let first = ask();
    assert_eq!((&first["message"]["content"], &first["model"]), (&json!("one"), &json!("other")));
    assert_eq!([ask()["message"]["content"].clone(), ask()["message"]["content"].clone()], ["two", "set"]);
    assert_eq!(mock.chats().len(), 4);
    mock.clear();
    assert!(mock.requests().is_empty());
}

/// Prints events a second: `cargo test --release --test wire -- --ignored --nocapture events`.
#[test]
#[ignore = "measures, and says something only in a release build on a quiet machine"]
fn events_a_second() {
    const EVENTS: usize = 5_000_000;
    for personality in [Personality::Generic, Personality::LlamaCpp, Personality::LmStudio04] {
        for chunking in [Chunking::EventPerChunk, Chunking::Joined] {
            let mock = Mock::start(personality);
            mock.set_script(Script::new().repeat(EVENTS).chunking(chunking));
            let mut stream = connect(&mock);
            let start = Instant::now();
            let body = chat_body(json!({})).to_string();
            stream.write_all(&request("POST", "/v1/chat/completions", "", &body)).unwrap();
            let mut block = vec![0; 1 << 20];
            let mut bytes = 0;
            loop {
                match stream.read(&mut block).unwrap() {
                    0 => break,
                    count => bytes += count,
                }
            }
            let seconds = start.elapsed().as_secs_f64();
            let rate = EVENTS as f64 / seconds / 1e6;
            println!(
                "{personality} {chunking:?}: {rate:.2} million events/s, {:.0} MB/s",
                bytes as f64 / seconds / 1e6
            );
        }
    }
}
