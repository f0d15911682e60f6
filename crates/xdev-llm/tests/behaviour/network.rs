//! Reaching servers: discovery, proxies, hosts, keys, connections, turns.

use std::net::{Ipv4Addr, TcpListener};
use std::time::{Duration, Instant};

use xdev_llm::wire::{Health, ServerKind};
use xdev_llm::{ErrorKind, Outcome, ServerSource};
use xdev_llm_mock::{Fault, Mock, Options, Personality, Script};

use super::host::{ask, chat, client, client_with, limits, mock};

fn ports_config(ports: &[u16]) -> String {
    format!("discovery_ports = {ports:?}\n")
}

#[tokio::test]
async fn a_scan_tells_every_server_and_refuses_every_stranger() {
    let mocks: Vec<Mock> = Personality::ALL.iter().map(|personality| Mock::start(*personality)).collect();
    let ports: Vec<u16> = mocks.iter().map(Mock::port).collect();
    let (client, _folder) = client_with(&ports_config(&ports), &[]);
    let mut scan = client.scan();
    let mut found = Vec::new();
    while let Some(server) = scan.next().await {
        found.push(server);
    }
    for (personality, mock) in Personality::ALL.iter().zip(&mocks) {
        let hit = found.iter().find(|server| server.url.ends_with(&format!(":{}", mock.port())));
        assert_eq!(hit.is_some(), personality.is_model_server(), "{personality:?}: {hit:?}");
        assert!(mock.requests().iter().all(|request| request.method == "GET"), "{personality:?}: only GET");
        assert!(mock.requests().iter().all(|request| request.header("authorization").is_none()));
        if let Some(hit) = hit {
            let expected = match personality {
                Personality::LmStudio03 | Personality::LmStudio04 => "lmstudio",
                Personality::LlamaCppRouter => "llama.cpp",
                Personality::MlxLm => "mlx",
                other => other.name(),
            };
            assert_eq!(hit.kind.as_str(), expected, "{personality:?}");
            assert!(!hit.models.is_empty(), "{personality:?} has models");
        }
    }
}

#[tokio::test]
async fn found_servers_are_printed_as_promised() {
    let mock = Mock::start(Personality::Ollama);
    let (client, _folder) = client_with(&ports_config(&[mock.port()]), &[]);
    let all = client.discover().await;
    let found = all.iter().find(|server| server.url.ends_with(&format!(":{}", mock.port()))).unwrap();
    let printed = serde_json::to_value(found).unwrap();
    let mut names: Vec<_> = printed.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["kind", "latency_ms", "models", "url", "version"]);
    assert!(printed["models"][0].is_string() && printed["version"].is_string());
    let asked = mock.requests().len();
    client.discover().await;
    assert_eq!(mock.requests().len(), asked, "a scan is remembered");
}

#[tokio::test]
async fn a_scan_ends_whatever_hangs_and_the_first_server_is_reported_before() {
    let silent: Vec<TcpListener> =
        (0..3).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap()).collect();
    let mock = Mock::start(Personality::LmStudio04);
    let mut ports: Vec<u16> = silent.iter().map(|listener| listener.local_addr().unwrap().port()).collect();
    ports.push(mock.port());
    let (client, _folder) = client_with(&ports_config(&ports), &[]);
    let start = Instant::now();
    let mut scan = client.scan();
    let first = scan.next().await.unwrap();
    assert!(first.url.ends_with(&mock.port().to_string()));
    let to_first = start.elapsed();
    while scan.next().await.is_some() {}
    let to_end = start.elapsed();
    assert!(to_first < to_end && to_end < Duration::from_secs(2), "{to_first:?} {to_end:?}");
}

#[tokio::test]
async fn a_given_server_is_never_replaced() {
    let mock = Mock::start(Personality::LmStudio04);
    let (client, _folder) = client_with(&ports_config(&[mock.port()]), &[]);
    let closed = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    let server = client.server(Some(&format!("http://127.0.0.1:{closed}"))).await.unwrap();
    let error = chat(&server, ask("x")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
    assert!(error.to_string().contains(&closed.to_string()));
    assert!(mock.requests().is_empty());
}

#[tokio::test]
async fn without_a_given_server_the_first_found_is_taken() {
    let mock = Mock::start(Personality::LmStudio04);
    let (client, _folder) = client_with(&ports_config(&[mock.port()]), &[]);
    let server = client.server(None).await.unwrap();
    assert_eq!(server.source(), &ServerSource::Discovered);
    chat(&server, ask("x")).await.unwrap();
    assert_eq!(mock.chats().len(), 1);
}

#[tokio::test]
async fn a_found_server_that_went_away_is_looked_for_again() {
    let first = Mock::start(Personality::LmStudio04);
    let second = Mock::start(Personality::Ollama);
    let (client, _folder) = client_with(&ports_config(&[first.port(), second.port()]), &[]);
    let server = client.server(None).await.unwrap();
    assert!(server.url().ends_with(&first.port().to_string()), "the first of the list is preferred");
    drop(first);
    assert_eq!(chat(&server, ask("x")).await.unwrap_err().kind(), ErrorKind::Unreachable);
    let server = client.server(None).await.unwrap();
    assert!(server.url().ends_with(&second.port().to_string()), "{}", server.url());
    chat(&server, ask("x")).await.unwrap();
}

#[tokio::test]
async fn a_server_that_can_be_used_as_it_is_comes_before_one_that_wants_a_key() {
    let locked = Options { api_key: Some("k".into()), ..Options::from(Personality::Vllm) };
    let (locked, open) = (Mock::start_with(locked).unwrap(), Mock::start(Personality::Ollama));
    let config = ports_config(&[locked.port(), open.port()]);
    let (client, _folder) = client_with(&config, &[]);
    assert!(client.server(None).await.unwrap().url().ends_with(&open.port().to_string()));
    // With its key the first of the list is as good, and comes first again.
    let config = format!("{config}[servers.mine]\nurl = \"{}\"\napi_key_env = \"K\"\n", locked.url());
    let (client, _folder) = client_with(&config, &[("K", "k")]);
    let server = client.server(None).await.unwrap();
    assert!(server.url().ends_with(&locked.port().to_string()), "{}", server.url());
    chat(&server, ask("x")).await.unwrap();
}

#[tokio::test]
async fn a_server_that_says_nothing_is_no_stranger() {
    let (_mock, server) = mock(Personality::Silent).await;
    let error = chat(&server, ask("x")).await.unwrap_err();
    assert_eq!(error.code(), "timeout_first_event", "{error}");
    assert!(error.hint().contains("busy"));
}

#[tokio::test]
async fn a_row_from_the_config_speaks_and_needs_no_identification() {
    let mock = Mock::start(Personality::Generic);
    let config = format!(
        "[servers.own]\nurl = \"{}\"\nkind = \"own\"\nmodel = \"smollm2\"\n\
         [kinds.own]\nlike = \"vllm\"\nbody = {{ extra_switch = true }}\n\
         parameters = {{ top_k = \"k\", seed = false }}\n",
        mock.url()
    );
    let (client, _folder) = client_with(&config, &[]);
    let mut request = ask("x");
    request.sampling.top_k = Some(5);
    request.sampling.seed = Some(1);
    let reply = chat(&client.server(Some("own")).await.unwrap(), request).await.unwrap();
    let body = mock.chats()[0].json();
    assert_eq!(
        (&body["k"], &body["extra_switch"], &body["model"]),
        (&5.into(), &true.into(), &"smollm2".into())
    );
    assert_eq!(reply.sent.not_sent, ["seed"]);
    // Not who it is, but whether it sleeps: it is like vLLM, which a chat does not wake.
    let asked: Vec<String> = mock.requests().into_iter().map(|request| request.path).collect();
    assert_eq!(asked, ["/is_sleeping", "/v1/chat/completions"]);
    assert_eq!(reply.sent.server_kind, "own");
}

#[test]
fn a_wrong_row_in_the_config_says_where() {
    for (row, words) in [
        ("like = \"nobody\"", "nobody"),
        ("colour = 1", "colour"),
        ("parameters = { top_q = \"q\" }", "top_q"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("own.toml");
        std::fs::write(&file, format!("[kinds.own]\n{row}\n")).unwrap();
        let mut environment = super::host::environment();
        environment.variables.insert("XDEV_LLM_CONFIG".into(), file.to_string_lossy().into());
        let settings = xdev_llm::Settings::load(&xdev_llm::Overrides::default(), &environment);
        let error = settings.and_then(xdev_llm::Client::new).map(|_| ()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("kinds.own") && error.to_string().contains(words), "{error}");
    }
}

#[tokio::test]
async fn the_first_token_is_a_real_one() {
    for personality in [Personality::Vllm, Personality::LlamaCpp, Personality::Ollama] {
        let (mock, server) = mock(personality).await;
        server.models().await.unwrap();
        mock.set_script(Script::new().text("a b c").first_token_delay(Duration::from_millis(300)));
        let timing = chat(&server, ask("x")).await.unwrap().timing;
        let first = timing.time_to_first_token.unwrap();
        assert!(
            first >= Duration::from_millis(290),
            "{personality:?}: the role counted as a token, {first:?}"
        );
        assert!(first <= timing.duration.unwrap());
    }
}

#[tokio::test]
async fn a_stranger_at_a_given_address_gets_no_prompt() {
    for personality in Personality::ALL.iter().filter(|personality| !personality.is_model_server()) {
        if *personality == Personality::Silent {
            continue;
        }
        let (mock, server) = mock(*personality).await;
        let error = chat(&server, ask("secret prompt")).await.unwrap_err();
        assert!(mock.requests().iter().all(|request| request.method == "GET"), "{personality:?}");
        assert!(
            matches!(error.kind(), ErrorKind::Protocol | ErrorKind::Unauthorized | ErrorKind::CutOff),
            "{personality:?}: {error}"
        );
    }
}

#[tokio::test]
async fn doctor_sees_what_is_there() {
    let (spa, ollama) = (Mock::start(Personality::Spa), Mock::start(Personality::Ollama));
    let closed = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    let client = client();
    assert!(
        matches!(&client.examine(spa.port()).await[0].outcome, Outcome::Stranger(why) if why.contains("page"))
    );
    assert!(
        matches!(&client.examine(ollama.port()).await[0].outcome, Outcome::Server(found) if found.kind == ServerKind::OLLAMA)
    );
    assert!(matches!(client.examine(closed).await[0].outcome, Outcome::Closed));
}

#[tokio::test]
async fn health_is_asked_as_each_server_wants() {
    for personality in Personality::ALL.iter().filter(|personality| personality.is_model_server()) {
        let (_mock, server) = mock(*personality).await;
        let health = server.health().await.unwrap();
        assert_eq!(health, Health::Ready, "{personality:?}");
    }
    let (mock, server) = mock(Personality::LlamaCpp).await;
    mock.set_script(Script::new().loading(Duration::from_secs(30)));
    assert_eq!(server.health().await.unwrap(), Health::Loading);
}

#[tokio::test]
async fn keys_go_to_their_origin_only() {
    let start = |personality| {
        Mock::start_with(Options { api_key: Some("right".into()), ..Options::from(personality) }).unwrap()
    };
    for personality in
        [Personality::LmStudio04, Personality::LlamaCpp, Personality::Vllm, Personality::TabbyApi]
    {
        let (mine, other) = (start(personality), Mock::start(Personality::Generic));
        let config = format!("[servers.mine]\nurl = \"{}\"\napi_key_env = \"MY_KEY\"\n", mine.url());
        let (client, _folder) = client_with(&config, &[("MY_KEY", "right")]);
        let server = client.server(Some("mine")).await.unwrap();
        chat(&server, ask("x")).await.unwrap_or_else(|error| panic!("{personality:?}: {error:?}"));
        assert_eq!(mine.chats()[0].header("authorization"), Some("Bearer right"));
        let preview = server.preview(&ask("x")).await.unwrap();
        assert!(!serde_json::to_string(&preview).unwrap().contains("right"), "{preview:?}");
        assert!(!format!("{server:?} {client:?}").contains("right"));

        let server = client.server(Some(&other.url())).await.unwrap();
        chat(&server, ask("x")).await.unwrap();
        assert!(other.requests().iter().all(|request| request.header("authorization").is_none()));

        let (client, _folder) = client_with(&config, &[("MY_KEY", "wrong-secret")]);
        let server = client.server(Some("mine")).await.unwrap();
        let error = chat(&server, ask("x")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unauthorized, "{personality:?}: {error}");
        assert!(!format!("{error:?}").contains("wrong-secret"));
    }
}

#[tokio::test]
async fn a_missing_key_says_so() {
    let options = Options { api_key: Some("k".into()), ..Options::from(Personality::LmStudio04) };
    let mock = Mock::start_with(options).unwrap();
    let server = client().server(Some(&mock.url())).await.unwrap();
    let error = chat(&server, ask("x")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized, "{error}");
    assert!(error.hint().contains("api_key_env"), "{}", error.hint());
    assert_eq!(server.info().await.unwrap().health, Health::NeedsKey);
}

#[tokio::test]
async fn remote_hosts_are_refused_unless_allowed() {
    for url in
        ["http://203.0.113.7:1234", "https://203.0.113.7", "http://[2001:db8::1]:1234", "http://8.8.8.8/v1"]
    {
        let server = client().server(Some(url)).await.unwrap();
        let error = chat(&server, ask("x")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{url}: {error}");
        assert!(error.hint().contains("allow_hosts"), "{}", error.hint());
    }
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let elsewhere = Mock::start(Personality::Generic);
    let (mock, server) = mock(Personality::Generic).await;
    mock.set_script(Script::new().fault(Fault::Redirect(elsewhere.url())));
    chat(&server, ask("x")).await.unwrap_err();
    assert!(elsewhere.requests().is_empty());
}

#[tokio::test]
async fn connections_are_used_again_and_outlive_a_servers_idle_close() {
    let (mock, server) = mock(Personality::Generic).await;
    chat(&server, ask("x")).await.unwrap();
    let before = mock.connections();
    for _ in 0..5 {
        chat(&server, ask("x")).await.unwrap();
    }
    assert_eq!(mock.connections(), before, "one connection serves them all");

    mock.set_script(Script::new().text("still here").fault(Fault::CloseIdleAfter(Duration::from_millis(50))));
    chat(&server, ask("x")).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(chat(&server, ask("x")).await.unwrap().text, "still here");
}

#[tokio::test]
async fn lm_studios_five_seconds_are_survived() {
    let (mock, server) = mock(Personality::LmStudio04).await;
    for pause in [0, 4600, 5200] {
        tokio::time::sleep(Duration::from_millis(pause)).await;
        chat(&server, ask("x")).await.unwrap();
    }
    assert_eq!(mock.chats().len(), 3, "no request was sent twice");
}

#[tokio::test]
async fn turns_at_one_server_are_limited() {
    let mock = Mock::start(Personality::Generic);
    mock.set_script(Script::new().repeat(10).delay(Duration::from_millis(20)));
    let config = format!("concurrency = 2\n[servers.one]\nurl = \"{}\"\nkind = \"generic\"\n", mock.url());
    let (client, _folder) = client_with(&config, &[]);
    let server = client.server(Some("one")).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let server = server.clone();
        tasks.spawn(async move { server.chat(ask("x"), limits()).unwrap().finish().await });
    }
    let mut most = 0;
    while !tasks.is_empty() {
        let under_way =
            mock.chats().iter().filter(|chat| !chat.finished && chat.client_closed.is_none()).count();
        most = most.max(under_way);
        if let Ok(Some(result)) = tokio::time::timeout(Duration::from_millis(5), tasks.join_next()).await {
            result.unwrap().unwrap();
        }
    }
    assert!(most == 2, "{most} at once");
}

#[tokio::test]
async fn info_and_models_are_remembered_and_shared() {
    let (mock, server) = mock(Personality::LmStudio04).await;
    let (one, two) = tokio::join!(server.models(), server.models());
    assert_eq!(one.unwrap(), two.unwrap());
    let lists = mock.requests().iter().filter(|request| request.path.ends_with("/models")).count();
    server.models().await.unwrap();
    let again = mock.requests().iter().filter(|request| request.path.ends_with("/models")).count();
    assert_eq!(lists, again);
}

#[tokio::test]
async fn an_error_does_not_repeat_the_prompt() {
    let (mock, server) = mock(Personality::Generic).await;
    let body = r#"{"error":{"message":"validation error: input 'my private prompt' is odd"}}"#;
    mock.set_script(Script::new().fault(Fault::Status { code: 422, body: body.into(), headers: vec![] }));
    let error = chat(&server, ask("my private prompt")).await.unwrap_err();
    assert!(!format!("{error:?}").contains("private"), "{error:?}");
}

/// `HTTP_PROXY` must not swallow local calls. The variable is the process's, so this runs in a process of its own.
#[test]
fn proxies_are_bypassed_for_local_servers() {
    const CHILD: &str = "XDEV_LLM_TEST_PROXY_CHILD";
    if let Ok(url) = std::env::var(CHILD) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            for url in [url.clone(), url.replace("127.0.0.1", "localhost")] {
                let server = client().server(Some(&url)).await.unwrap();
                chat(&server, ask("x")).await.unwrap();
            }
        });
        return;
    }
    let (mock, proxy) = (Mock::start(Personality::LmStudio04), Mock::start(Personality::ProxyRedirect));
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "network::proxies_are_bypassed_for_local_servers"])
        .env(CHILD, mock.url())
        .envs(
            ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"]
                .map(|name| (name, proxy.url())),
        )
        .env_remove("NO_PROXY")
        .env_remove("no_proxy")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!((mock.chats().len(), proxy.requests().len()), (2, 0));
}

#[cfg(feature = "tls")]
#[tokio::test]
async fn https_to_a_server_without_it_says_what_failed() {
    let mock = Mock::start(Personality::Generic);
    let url = mock.url().replace("http://", "https://");
    let config = format!("[servers.secure]\nurl = \"{url}\"\nkind = \"generic\"\nmodel = \"m\"\n");
    let (client, _folder) = client_with(&config, &[]);
    let error = chat(&client.server(Some("secure")).await.unwrap(), ask("x")).await.unwrap_err();
    assert_eq!(error.code(), "timeout_connect", "{error}");
    assert!(error.to_string().contains(&url) && mock.chats().is_empty(), "{error}");
    assert!(error.hint().contains("http://"), "{}", error.hint());
}

/// A remote host that the user allows is reached through the system's proxy, with its key, and its answer is read.
/// The variable is the process's, so this runs in a process of its own.
#[cfg(feature = "tls")]
#[test]
fn allowed_remote_hosts_go_through_the_proxy() {
    use std::io::{Read, Write};
    const CHILD: &str = "XDEV_LLM_TEST_REMOTE_CHILD";
    if std::env::var_os(CHILD).is_some() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let config = "allow_hosts = [\"llm.invalid\"]\n[servers.remote]\nurl = \"http://llm.invalid\"\n\
                      kind = \"generic\"\nmodel = \"m\"\napi_key_env = \"REMOTE_KEY\"\n";
        let (client, _folder) = client_with(config, &[("REMOTE_KEY", "right")]);
        runtime.block_on(async {
            let reply = chat(&client.server(Some("remote")).await.unwrap(), ask("x")).await.unwrap();
            assert_eq!(reply.text, "from afar");
        });
        return;
    }
    let proxy = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = format!("http://{}", proxy.local_addr().unwrap());
    let seen = std::thread::spawn(move || {
        let (mut stream, _) = proxy.accept().unwrap();
        let (mut request, mut piece) = (Vec::new(), [0; 4096]);
        while !request.ends_with(b"}") {
            let length = stream.read(&mut piece).unwrap();
            request.extend_from_slice(&piece[..length]);
        }
        let body = r#"{"model":"m","choices":[{"message":{"content":"from afar"},"finish_reason":"stop"}]}"#;
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all((head + body).as_bytes()).unwrap();
        String::from_utf8(request).unwrap().to_lowercase()
    });
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "network::allowed_remote_hosts_go_through_the_proxy"])
        .env(CHILD, "1")
        .envs(["HTTP_PROXY", "http_proxy"].map(|name| (name, &address)))
        .env_remove("NO_PROXY")
        .env_remove("no_proxy")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let request = seen.join().unwrap();
    assert!(request.starts_with("post http://llm.invalid/v1/chat/completions http/1.1\r\n"), "{request}");
    assert!(request.contains("\r\nauthorization: bearer right\r\n"), "{request}");
}
