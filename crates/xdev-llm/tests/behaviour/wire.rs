//! Every parameter as it stands on the wire, for every dialect, and what is said not to be sent.

use serde_json::{Value, json};
use xdev_llm::{
    ChatRequest, KeepAlive, Message, Part, Reasoning, ResponseFormat, Role, Sampling, Tool, ToolCall,
    ToolChoice,
};
use xdev_llm_mock::{Mock, Model, Options, Personality, Script};

use super::host::{ask, chat, client, client_with, mock};

fn everything() -> Sampling {
    Sampling {
        temperature: Some(0.2),
        top_p: Some(0.7),
        top_k: Some(40),
        min_p: Some(0.05),
        max_tokens: Some(1024),
        seed: Some(7),
        stop: Some(vec!["END".into()]),
        presence_penalty: Some(0.1),
        frequency_penalty: Some(0.3),
        repeat_penalty: Some(1.1),
    }
}

/// The body that a request becomes at a server, and what is not sent.
async fn sent(personality: Personality, request: ChatRequest) -> (Value, Vec<String>) {
    let (mock, server) = mock(personality).await;
    let preview = server.preview(&request).await.unwrap();
    assert!(mock.chats().is_empty(), "a preview sends no chat");
    // The answer may fail where the mock refuses what was asked; what was sent is what counts.
    let _ = chat(&server, request).await;
    let body = mock.chats()[0].json();
    assert_eq!(body, preview.body, "the preview is what is sent");
    (body, preview.not_sent)
}

#[tokio::test]
async fn sampling_under_every_servers_names() {
    let request = || ChatRequest { sampling: everything(), ..ask("x") };
    let common = json!({
        "temperature": 0.2, "top_p": 0.7, "max_tokens": 1024, "seed": 7, "stop": ["END"],
        "presence_penalty": 0.1, "frequency_penalty": 0.3,
    });
    for (personality, own, dropped) in [
        (Personality::LmStudio04, json!({ "top_k": 40, "repeat_penalty": 1.1 }), vec!["min_p"]),
        (
            Personality::LlamaCpp,
            json!({ "top_k": 40, "min_p": 0.05, "repeat_penalty": 1.1, "return_progress": true }),
            vec![],
        ),
        (Personality::Vllm, json!({ "top_k": 40, "min_p": 0.05, "repetition_penalty": 1.1 }), vec![]),
        (Personality::Generic, json!({}), vec!["top_k", "min_p", "repeat_penalty"]),
    ] {
        let (body, not_sent) = sent(personality, request()).await;
        let mut expected = common.as_object().unwrap().clone();
        expected.extend(own.as_object().unwrap().clone());
        expected.insert("stream".into(), json!(true));
        expected.insert("stream_options".into(), json!({ "include_usage": true }));
        let mut found = body.as_object().unwrap().clone();
        found.remove("messages");
        found.remove("model");
        assert_eq!(Value::Object(found), Value::Object(expected), "{personality:?}");
        assert_eq!(not_sent, dropped, "{personality:?}");
    }
    let (body, not_sent) = sent(Personality::Ollama, request()).await;
    assert_eq!(
        body["options"],
        json!({ "temperature": 0.2, "top_p": 0.7, "top_k": 40, "min_p": 0.05, "num_predict": 1024, "seed": 7,
                "stop": ["END"], "presence_penalty": 0.1, "frequency_penalty": 0.3, "repeat_penalty": 1.1 })
    );
    assert!(not_sent.is_empty(), "{not_sent:?}");
}

#[tokio::test]
async fn what_is_not_given_is_not_sent() {
    for personality in [Personality::LmStudio04, Personality::Ollama, Personality::Vllm, Personality::Generic]
    {
        let (body, not_sent) =
            sent(personality, ChatRequest { sampling: Sampling::default(), ..ask("x") }).await;
        let mut fields: Vec<_> = body.as_object().unwrap().keys().map(String::as_str).collect();
        fields.retain(|name| !matches!(*name, "model" | "messages" | "stream" | "stream_options"));
        assert!(fields.is_empty() && not_sent.is_empty(), "{personality:?} {fields:?} {not_sent:?}");
    }
}

#[tokio::test]
async fn keep_alive_and_context_length() {
    let request =
        |keep_alive| ChatRequest { keep_alive: Some(keep_alive), context_length: Some(4096), ..ask("x") };
    let (body, _) = sent(Personality::Ollama, request(KeepAlive::Seconds(300))).await;
    assert_eq!((&body["keep_alive"], &body["options"]["num_ctx"]), (&json!(300), &json!(4096)));
    let (body, _) = sent(Personality::Ollama, request(KeepAlive::Forever)).await;
    assert_eq!(body["keep_alive"], json!(-1));
    let (body, not_sent) = sent(Personality::LmStudio04, request(KeepAlive::Seconds(300))).await;
    assert_eq!((&body["ttl"], not_sent), (&json!(300), vec!["context_length".to_owned()]));
    let (body, not_sent) = sent(Personality::LmStudio04, request(KeepAlive::Forever)).await;
    assert_eq!(body.get("ttl"), None, "LM Studio takes no endless ttl");
    assert!(not_sent.contains(&"keep_alive".to_owned()));
    let (_, not_sent) = sent(Personality::Generic, request(KeepAlive::Seconds(1))).await;
    assert!(not_sent.contains(&"keep_alive".to_owned()) && not_sent.contains(&"context_length".to_owned()));
}

#[tokio::test]
async fn reasoning_levels() {
    for (personality, level, field, value) in [
        (Personality::LmStudio04, Reasoning::High, "reasoning_effort", json!("high")),
        (Personality::Ollama, Reasoning::Low, "think", json!("low")),
        (
            Personality::LlamaCpp,
            Reasoning::Medium,
            "chat_template_kwargs",
            json!({ "enable_thinking": true }),
        ),
        (Personality::Vllm, Reasoning::Medium, "reasoning_effort", json!("medium")),
    ] {
        let (body, _) = sent(personality, ChatRequest { reasoning: level, ..ask("x") }).await;
        assert_eq!(body[field], value, "{personality:?}");
    }
    let (_, not_sent) =
        sent(Personality::Generic, ChatRequest { reasoning: Reasoning::Off, ..ask("x") }).await;
    assert_eq!(not_sent, ["reasoning"]);
}

#[tokio::test]
async fn response_formats() {
    let schema = json!({ "type": "object", "properties": { "a": { "type": "integer" } } });
    let object = || ChatRequest { response_format: Some(ResponseFormat::JsonObject), ..ask("x") };
    let with_schema = || ChatRequest {
        response_format: Some(ResponseFormat::JsonSchema { name: "n".into(), schema: schema.clone() }),
        ..ask("x")
    };
    let (body, _) = sent(Personality::LmStudio04, object()).await;
    assert_eq!(body["response_format"]["type"], "json_schema", "LM Studio refuses json_object");
    let (body, _) = sent(Personality::Vllm, object()).await;
    assert_eq!(body["response_format"], json!({ "type": "json_object" }));
    let (body, _) = sent(Personality::Generic, with_schema()).await;
    assert_eq!(body["response_format"]["json_schema"]["schema"], schema);
    let (body, _) = sent(Personality::Ollama, with_schema()).await;
    assert_eq!(body["format"], schema);
    let (body, _) = sent(Personality::Ollama, object()).await;
    assert_eq!(body["format"], "json");
}

#[tokio::test]
async fn tools_and_their_choice() {
    let tool =
        Tool { name: "weather".into(), description: "d".into(), parameters: json!({ "properties": {} }) };
    let request = |choice| ChatRequest { tools: vec![tool.clone()], tool_choice: Some(choice), ..ask("x") };
    let named = || ToolChoice::Named("weather".into());
    let (body, not_sent) = sent(Personality::LmStudio04, request(named())).await;
    assert_eq!(body["tools"][0]["function"]["parameters"]["type"], "object", "LM Studio demands it");
    assert_eq!((body.get("tool_choice"), not_sent), (None, vec!["tool_choice".to_owned()]));
    let (body, _) = sent(Personality::LmStudio04, request(ToolChoice::Required)).await;
    assert_eq!(body["tool_choice"], "required");
    let (body, _) = sent(Personality::Generic, request(named())).await;
    assert_eq!(body["tool_choice"]["function"]["name"], "weather");
    let (body, not_sent) = sent(Personality::Ollama, request(ToolChoice::Auto)).await;
    assert_eq!((body.get("tool_choice"), not_sent), (None, vec!["tool_choice".to_owned()]));
    assert_eq!(body["tools"][0]["function"]["name"], "weather");
}

#[tokio::test]
async fn a_history_with_tools_and_a_picture() {
    let picture = "data:image/png;base64,iVBORw0KGgo=";
    let messages = vec![
        Message::new(Role::Developer, "Be brief."),
        Message {
            content: vec![Part::Text("Look".into()), Part::ImageUrl(picture.into())],
            ..Message::user("")
        },
        Message {
            content: vec![],
            tool_calls: vec![ToolCall { id: "1".into(), name: "f".into(), arguments: r#"{"a":1}"#.into() }],
            ..Message::assistant("")
        },
        Message { tool_call_id: Some("1".into()), ..Message::new(Role::Tool, "42") },
    ];
    let request = || ChatRequest { messages: messages.clone(), ..ask("") };
    let (body, _) = sent(Personality::Generic, request()).await;
    assert_eq!(
        body["messages"],
        json!([
            { "role": "system", "content": "Be brief." },
            { "role": "user", "content": [{ "type": "text", "text": "Look" },
                                          { "type": "image_url", "image_url": { "url": picture } }] },
            { "role": "assistant", "content": "", "tool_calls": [
                { "id": "1", "type": "function", "function": { "name": "f", "arguments": "{\"a\":1}" } }] },
            { "role": "tool", "content": "42", "tool_call_id": "1" },
        ])
    );
    let (body, _) = sent(Personality::Ollama, request()).await;
    assert_eq!(body["messages"][1]["images"], json!(["iVBORw0KGgo="]));
    assert_eq!(body["messages"][2]["tool_calls"][0]["function"]["arguments"], json!({ "a": 1 }));
    assert_eq!(body["messages"][3]["tool_name"], "f");
}

#[tokio::test]
async fn pictures_that_a_server_would_refuse_or_fetch_are_refused() {
    let (mock, server) = mock(Personality::LmStudio04).await;
    for url in ["http://example.org/cat.png", "file:///etc/passwd", "data:image/webp;base64,AAAA"] {
        let message = Message { content: vec![Part::ImageUrl(url.into())], ..Message::user("") };
        let error = chat(&server, ChatRequest { messages: vec![message], ..ask("") }).await.unwrap_err();
        assert_eq!(error.code(), "invalid_input", "{url}");
    }
    assert!(mock.chats().is_empty());
}

#[tokio::test]
async fn extra_fields_pass_and_may_not_replace_ours() {
    let extra = |name: &str| [(name.to_owned(), json!("x"))].into_iter().collect();
    let (body, _) = sent(Personality::Generic, ChatRequest { extra: extra("grammar"), ..ask("x") }).await;
    assert_eq!(body["grammar"], "x");
    let (mock, server) = mock(Personality::Generic).await;
    for name in ["model", "messages", "stream"] {
        let error = chat(&server, ChatRequest { extra: extra(name), ..ask("x") }).await.unwrap_err();
        assert!(error.to_string().contains(name), "{error}");
    }
    assert!(mock.chats().is_empty());
}

#[tokio::test]
async fn gpt4all_gets_nothing_it_refuses() {
    let (mock, server) = mock(Personality::Gpt4All).await;
    let reply = chat(&server, ChatRequest { sampling: everything(), ..ask("x") }).await.unwrap();
    assert!(!reply.text.is_empty());
    let body = mock.chats()[0].json();
    assert_eq!(body["stream"], false);
    for name in ["seed", "stop", "stream_options", "presence_penalty", "top_k"] {
        assert!(body.get(name).is_none(), "{name}");
    }
    assert!(reply.sent.not_sent.contains(&"seed".to_owned()));
}

#[tokio::test]
async fn urls_with_and_without_the_path_of_the_api() {
    let mock = Mock::start(Personality::Generic);
    for suffix in ["", "/", "/v1", "/v1/", "/v1/chat/completions"] {
        let server = client().server(Some(&format!("{}{suffix}", mock.url()))).await.unwrap();
        chat(&server, ask("x")).await.unwrap_or_else(|error| panic!("{suffix}: {error:?}"));
    }
    assert!(mock.chats().iter().all(|chat| chat.path == "/v1/chat/completions"), "{:?}", mock.chats());
}

#[tokio::test]
async fn auto_takes_the_loaded_model_and_another_answer_is_said() {
    let (mock, server) = mock(Personality::LmStudio04).await;
    let reply = chat(&server, ask("x")).await.unwrap();
    let loaded =
        server.models().await.unwrap().into_iter().find(|m| m.state == xdev_llm::LoadState::Loaded).unwrap();
    assert_eq!(mock.chats()[0].json()["model"], json!(loaded.id));
    assert!(reply.warnings.is_empty(), "{:?}", reply.warnings);
    let other = chat(&server, ChatRequest { model: Some("another/model".into()), ..ask("x") }).await.unwrap();
    assert!(other.warnings[0].contains("another/model"), "{:?}", other.warnings);
}

#[tokio::test]
async fn auto_takes_the_loaded_model_of_ollama_too() {
    let models = vec![Model::new("first:latest").unloaded(), Model::new("second:latest")];
    let mock = Mock::start_with(Options { models, ..Options::from(Personality::Ollama) }).unwrap();
    let server = client().server(Some(&mock.url())).await.unwrap();
    chat(&server, ask("x")).await.unwrap();
    assert_eq!(mock.chats()[0].json()["model"], "second:latest");
}

#[tokio::test]
async fn a_missing_model_is_told_with_those_that_are_there() {
    let (_mock, server) = mock(Personality::Ollama).await;
    let request = ChatRequest { model: Some("lama3.2".into()), ..ask("x") };
    let error = chat(&server, request).await.unwrap_err();
    assert_eq!(error.code(), "no_model", "{error}");
    assert!(error.hint().contains("Did you mean `llama3.2:latest`?"), "{}", error.hint());
    assert!(error.hint().contains("qwen3:4b") && !error.hint().contains("nomic"), "{}", error.hint());
}

#[tokio::test]
async fn a_tool_call_left_in_the_text_is_said() {
    let (mock, server) = mock(Personality::LmStudio04).await;
    mock.set_script(Script::new().text("[TOOL_REQUEST]{\"name\": \"f\"}[END_TOOL_REQUEST]"));
    let tool = Tool { name: "f".into(), description: "d".into(), parameters: json!({}) };
    let reply = chat(&server, ChatRequest { tools: vec![tool], ..ask("x") }).await.unwrap();
    assert!(
        reply.warnings.iter().any(|warning| warning.contains("stands in the text")),
        "{:?}",
        reply.warnings
    );
    let plain = chat(&server, ask("x")).await.unwrap();
    assert!(plain.warnings.is_empty(), "without tools it is only text: {:?}", plain.warnings);
}

#[tokio::test]
async fn thinking_that_a_model_cannot_do_is_refused_in_ollamas_words() {
    let models = vec![Model::new("plain:latest")];
    let mock = Mock::start_with(Options { models, ..Options::from(Personality::Ollama) }).unwrap();
    let server = client().server(Some(&mock.url())).await.unwrap();
    let error = chat(&server, ChatRequest { reasoning: Reasoning::High, ..ask("x") }).await.unwrap_err();
    assert_eq!(error.code(), "unsupported", "{error}");
    assert!(error.said().unwrap().contains("does not support thinking"), "{error}");
}

#[tokio::test]
async fn what_the_config_says_about_a_server_is_sent() {
    let locked = Options { api_key: Some("from-a-file".into()), ..Options::from(Personality::LmStudio04) };
    let (studio, ollama) = (Mock::start_with(locked).unwrap(), Mock::start(Personality::Ollama));
    let config = format!(
        "max_tokens_limit = 20000\n[servers.studio]\nurl = \"{}\"\napi_key_file = \"key\"\n\
         [servers.ollama]\nurl = \"{}\"\ncontext_length = 6000\nmodel = \"llava:7b\"\n",
        studio.url(),
        ollama.url()
    );
    let (client, folder) = client_with(&config, &[]);
    xdev_llm::write_atomic(&folder.path().join("key"), b"from-a-file\n", xdev_llm::Access::OwnerOnly)
        .unwrap();
    let mut request = ask("x");
    request.sampling.max_tokens = Some(10_000);
    chat(&client.server(Some("studio")).await.unwrap(), request.clone()).await.unwrap();
    assert_eq!(studio.chats()[0].json()["max_tokens"], 10_000);
    assert_eq!(studio.chats()[0].header("authorization"), Some("Bearer from-a-file"));
    chat(&client.server(Some("ollama")).await.unwrap(), request).await.unwrap();
    let body = ollama.chats()[0].json();
    assert_eq!((&body["options"]["num_ctx"], &body["model"]), (&json!(6000), &json!("llava:7b")));
}

#[tokio::test]
async fn ranges_are_refused_before_anything_is_sent() {
    let (mock, server) = mock(Personality::Generic).await;
    for (sampling, words) in [
        (Sampling { temperature: Some(2.1), ..Sampling::default() }, "0 to 2"),
        (Sampling { top_p: Some(-0.1), ..Sampling::default() }, "0 to 1"),
        (Sampling { max_tokens: Some(0), ..Sampling::default() }, "1 to 8192"),
        (Sampling { max_tokens: Some(8193), ..Sampling::default() }, "1 to 8192"),
        (Sampling { temperature: Some(f64::NAN), ..Sampling::default() }, "0 to 2"),
    ] {
        let error = chat(&server, ChatRequest { sampling, ..ask("x") }).await.unwrap_err();
        assert!(error.code() == "invalid_input" && error.to_string().contains(words), "{error}");
    }
    for seconds in [4, 301] {
        let limits = xdev_llm::Limits { timeout: std::time::Duration::from_secs(seconds), deadline: None };
        assert!(server.chat(ask("x"), limits).err().unwrap().to_string().contains("5 to 300"));
    }
    assert!(mock.requests().is_empty());
}
