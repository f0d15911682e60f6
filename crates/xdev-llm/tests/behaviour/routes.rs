//! Aliases: which route is taken, what is told of those that were not, and that nothing else is changed by them.

use std::net::{Ipv4Addr, TcpListener};

use serde_json::json;
use xdev_llm::{Client, ErrorKind, KeepAlive, Overrides, RoutedChat, ServerSource, Settings};
use xdev_llm_mock::{Fault, Mock, Options, Personality, Script};

use super::host::{ask, client_with, environment, limits};

/// An address where nobody listens.
fn closed() -> String {
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    format!("http://127.0.0.1:{port}")
}

fn route(server: &str, model: &str) -> String {
    format!("[[aliases.fast]]\nserver = \"{server}\"\nmodel = \"{model}\"\n")
}

async fn texts(chat: &mut RoutedChat) -> String {
    while let Some(event) = chat.next().await {
        event.unwrap();
    }
    chat.reply().text.clone()
}

#[tokio::test]
async fn the_first_route_that_can_answer_is_taken() {
    let (one, two) = (Mock::start(Personality::LmStudio04), Mock::start(Personality::Ollama));
    two.set_script(Script::new().text("From two."));
    let own = super::host::client().server(Some(&two.url())).await.unwrap();
    let two_model = own.models().await.unwrap()[0].id.clone();
    let gone = closed();
    let config = format!(
        "{}{}{}keep_alive = 60\ncontext_length = 2048\n",
        route(&gone, "any"),
        route(&one.url(), "not-there"),
        route(&two.url(), &two_model)
    );
    let (client, _folder) = client_with(&config, &[]);
    let route = client.route(None, Some("fast")).await.unwrap();
    assert_eq!((route.server.url(), route.model.as_deref()), (&*two.url(), Some(&*two_model)));
    assert_eq!((route.keep_alive, route.context_length), (Some(KeepAlive::Seconds(60)), Some(2048)));
    assert!(matches!(route.server.source(), ServerSource::Configured(_)), "{:?}", route.server.source());
    let taken = json!(route.taken());
    assert_eq!((&taken["alias"], &taken["taken"]), (&json!("fast"), &json!(3)));
    assert_eq!((&taken["tried"][0]["server"], &taken["tried"][0]["model"]), (&json!(gone), &json!("any")));
    assert!(taken["tried"][1]["why"].as_str().unwrap().contains("has no model `not-there`"), "{taken}");
    let note = route.note().unwrap();
    assert!(note.starts_with("fast: route 3 is taken, ") && note.contains(&gone), "{note}");
    let mut chat = route.chat(ask("x"), limits()).unwrap();
    assert_eq!(texts(&mut chat).await, "From two.");
    let sent = two.chats()[0].json();
    assert_eq!((&sent["model"], &sent["keep_alive"]), (&json!(two_model), &json!(60)), "{sent}");
    assert_eq!(sent["options"]["num_ctx"], json!(2048), "{sent}");
    assert!(one.chats().is_empty(), "a server that lacks the model is not asked for it");
}

#[tokio::test]
async fn the_first_route_needs_no_word() {
    let mock = Mock::start(Personality::LmStudio04);
    let (client, _folder) =
        client_with(&format!("{}{}", route(&mock.url(), "qwen3-4b"), route(&closed(), "x")), &[]);
    let route = client.route(None, Some("fast")).await.unwrap();
    assert_eq!(json!(route.taken()), json!({"alias": "fast", "taken": 1, "tried": []}));
    assert_eq!(route.note(), None);
    let plain = client.route(Some(&mock.url()), Some("qwen3-4b")).await.unwrap();
    assert_eq!((plain.taken(), plain.model.as_deref()), (None, Some("qwen3-4b")));
}

#[tokio::test]
async fn a_server_that_goes_away_before_it_spoke_is_left_for_the_next_route() {
    let (one, two) = (Mock::start(Personality::LmStudio04), Mock::start(Personality::LmStudio04));
    let config = route(&one.url(), "qwen3-4b") + &route(&closed(), "x") + &route(&two.url(), "qwen3-4b");
    let (client, _folder) = client_with(&config, &[]);
    let route = client.route(None, Some("fast")).await.unwrap();
    assert_eq!(route.server.url(), one.url());
    let one_url = one.url();
    drop(one);
    two.set_script(Script::new().text("From two."));
    let mut chat = route.chat(ask("x"), limits()).unwrap();
    assert_eq!(texts(&mut chat).await, "From two.");
    let taken = chat.route().taken().unwrap();
    assert_eq!((taken.taken, taken.tried.len(), &taken.tried[0].server), (3, 2, &one_url));
    assert_eq!(chat.finish().await.unwrap().text, "From two.");
}

#[tokio::test]
async fn a_server_that_spoke_is_not_left() {
    let (one, two) = (Mock::start(Personality::LmStudio04), Mock::start(Personality::LmStudio04));
    let (client, _folder) =
        client_with(&(route(&one.url(), "qwen3-4b") + &route(&two.url(), "qwen3-4b")), &[]);
    one.set_script(Script::new().text("One two three four five.").fault(Fault::Reset { after_tokens: 2 }));
    let chat = client.route(None, Some("fast")).await.unwrap().chat(ask("x"), limits()).unwrap();
    let error = chat.finish().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CutOff, "{error}");
    assert!(two.chats().is_empty());
}

#[tokio::test]
async fn a_server_that_refuses_is_not_left_either() {
    let (one, two) = (Mock::start(Personality::LmStudio04), Mock::start(Personality::LmStudio04));
    let (client, _folder) =
        client_with(&(route(&one.url(), "qwen3-4b") + &route(&two.url(), "qwen3-4b")), &[]);
    one.set_script(Script::new().fault(Fault::Status { code: 500, body: "{}".into(), headers: Vec::new() }));
    let chat = client.route(None, Some("fast")).await.unwrap().chat(ask("x"), limits()).unwrap();
    assert_eq!(chat.finish().await.unwrap_err().kind(), ErrorKind::Server);
    assert!(two.chats().is_empty());
}

#[tokio::test]
async fn where_no_route_can_be_taken_every_reason_is_told() {
    let mock = Mock::start(Personality::LmStudio04);
    let locked =
        Mock::start_with(Options { api_key: Some("k".into()), ..Options::from(Personality::Vllm) }).unwrap();
    let web = Mock::start(Personality::Spa);
    let gone = closed();
    let config = route(&gone, "a")
        + &route(&mock.url(), "b")
        + &route(&locked.url(), "c")
        + &route(&web.url(), "d")
        + "[[aliases.fast]]\nserver = \"http://8.8.8.8:1\"\nmodel = \"e\"\n";
    let (client, _folder) = client_with(&config, &[]);
    let error = client.route(None, Some("fast")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoModel, "a server that is there says more: {error}");
    let told = error.to_string();
    for words in [
        "No route of the alias `fast` can be taken.",
        &format!("Route 1 (a): Nothing answers at {gone}"),
        &format!("Route 2 (b): {} has no model `b`.", mock.url()),
        "Route 3 (c): The server refused the key",
        "Route 4 (d): Unexpected response format",
        "Route 5 (e): `8.8.8.8` is not on this machine",
    ] {
        assert!(told.contains(words), "{words}: {told}");
    }
    assert!(error.hint().contains("`aliases.fast` (user file "), "{}", error.hint());
    let (client, _folder) = client_with(&(route(&gone, "a") + &route(&closed(), "b")), &[]);
    assert_eq!(client.route(None, Some("fast")).await.unwrap_err().kind(), ErrorKind::Unreachable);
}

#[tokio::test]
async fn the_last_route_that_fails_in_the_chat_tells_of_all() {
    let (one, two) = (Mock::start(Personality::LmStudio04), Mock::start(Personality::LmStudio04));
    let (client, _folder) =
        client_with(&(route(&one.url(), "qwen3-4b") + &route(&two.url(), "qwen3-4b")), &[]);
    let chat = client.route(None, Some("fast")).await.unwrap().chat(ask("x"), limits()).unwrap();
    let urls = [one.url(), two.url()];
    drop((one, two));
    let error = chat.finish().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    assert!(urls.iter().all(|url| error.to_string().contains(url.as_str())), "{error}");
}

#[tokio::test]
async fn beside_an_explicit_server_only_its_routes_count() {
    let (one, two) = (Mock::start(Personality::LmStudio04), Mock::start(Personality::LmStudio04));
    let config = route(&one.url(), "qwen3-4b") + &route(&two.url(), "qwen3-4b");
    let (client, folder) = client_with(&config, &[]);
    let by_name = two.url().replace("127.0.0.1", "localhost") + "/v1";
    let route = client.route(Some(&by_name), Some("fast")).await.unwrap();
    assert_eq!((route.server.url(), route.taken().unwrap().taken), (&*two.url(), 2));
    let error = client.route(Some(&closed()), Some("fast")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(
        error.message().contains("it goes to") && error.hint().contains("Leave the server empty"),
        "{error}"
    );
    // A server that was given on the command line or to the client is as explicit; one of the config is not.
    let with = |server: String, user: String| {
        let mut environment = environment();
        let file = folder.path().join("own.toml");
        std::fs::write(&file, user).unwrap();
        environment.variables.insert("XDEV_LLM_CONFIG".into(), file.to_string_lossy().into());
        let overrides = Overrides { server: Some(server), ..Overrides::default() };
        Client::new(Settings::load(&overrides, &environment).unwrap()).unwrap()
    };
    let flagged = with(two.url(), config.clone()).route(None, Some("fast")).await.unwrap();
    assert_eq!(flagged.server.url(), two.url());
    let configured = with(String::new(), format!("server = \"{}\"\n{config}", two.url()));
    assert_eq!(configured.route(None, Some("fast")).await.unwrap().server.url(), one.url());
}

#[tokio::test]
async fn a_route_without_a_server_goes_where_a_request_would_go() {
    let mock = Mock::start(Personality::LmStudio04);
    let config = format!("server = \"{}\"\n[aliases.big]\nmodel = \"qwen3-4b\"\n[aliases.any]\n", mock.url());
    let (client, _folder) = client_with(&config, &[]);
    let route = client.route(None, Some("big")).await.unwrap();
    assert_eq!((route.server.url(), route.model.as_deref()), (&*mock.url(), Some("qwen3-4b")));
    let route = client.route(None, Some("any")).await.unwrap();
    assert_eq!(route.model, None, "it is as auto");
    route.chat(ask("x"), limits()).unwrap().finish().await.unwrap();
    assert_eq!(mock.chats()[0].json()["model"], json!("qwen3-4b"));
}

#[tokio::test]
async fn an_alias_wins_over_a_model_of_its_name_and_leads_to_no_other_alias() {
    let mock = Mock::start(Personality::LmStudio04);
    let config = format!(
        "model = \"other\"\n[aliases.other]\nserver = \"{0}\"\nmodel = \"qwen3-4b\"\n\
         [aliases.qwen3-4b]\nserver = \"{0}\"\nmodel = \"google/gemma-3-12b\"\n",
        mock.url()
    );
    let (client, _folder) = client_with(&config, &[]);
    let model = async |asked| client.route(None, asked).await.unwrap().model;
    assert_eq!(model(Some("qwen3-4b")).await.as_deref(), Some("google/gemma-3-12b"));
    assert_eq!(model(None).await.as_deref(), Some("qwen3-4b"), "the configured model may be an alias");
}

#[tokio::test]
async fn a_key_of_a_route_goes_to_its_own_server() {
    let locked =
        Mock::start_with(Options { api_key: Some("k".into()), ..Options::from(Personality::Vllm) }).unwrap();
    let open = Mock::start(Personality::LmStudio04);
    let config = format!(
        "[servers.mine]\nurl = \"{}\"\napi_key_env = \"K\"\n[[aliases.fast]]\nserver = \"{}\"\nmodel = \"no\"\n\
         [[aliases.fast]]\nserver = \"mine\"\n",
        locked.url(),
        open.url()
    );
    let (client, _folder) = client_with(&config, &[("K", "k")]);
    let chat = client.route(None, Some("fast")).await.unwrap().chat(ask("x"), limits()).unwrap();
    chat.finish().await.unwrap();
    assert!(open.requests().iter().all(|request| request.header("authorization").is_none()));
    assert_eq!(locked.chats()[0].header("authorization"), Some("Bearer k"));
}

#[tokio::test]
async fn a_model_that_came_a_moment_ago_is_found() {
    let mock = Mock::start(Personality::LmStudio04);
    let (client, _folder) = client_with(&route(&mock.url(), "qwen3-4b"), &[]);
    client.route(None, Some("fast")).await.unwrap();
    let asked = mock.requests().len();
    client.route(None, Some("fast")).await.unwrap();
    assert_eq!(mock.requests().len(), asked, "a look that is remembered costs nothing");
}
