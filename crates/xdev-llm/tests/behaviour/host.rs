//! Clients and servers for the tests.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use xdev_llm::{
    ChatReply, ChatRequest, Client, Environment, Error, Limits, Message, Overrides, Sampling, Server,
    Settings,
};
use xdev_llm_mock::{Mock, Personality};

/// A folder of the test's own, so that nobody's files are read.
pub(crate) fn environment() -> Environment {
    let nowhere = PathBuf::from("/nonexistent/xdev-llm-tests");
    Environment {
        variables: BTreeMap::new(),
        current_dir: nowhere.clone(),
        config_dir: nowhere.clone(),
        state_dir: nowhere.clone(),
        data_dir: nowhere,
    }
}

/// A client with the built-in settings.
pub(crate) fn client() -> Client {
    Client::new(Settings::load(&Overrides::default(), &environment()).unwrap()).unwrap()
}

/// A client whose user's config file holds `toml`.
pub(crate) fn client_with(toml: &str, variables: &[(&str, &str)]) -> (Client, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("own.toml");
    std::fs::write(&file, toml).unwrap();
    let mut environment = environment();
    environment.variables.insert("XDEV_LLM_CONFIG".into(), file.to_string_lossy().into());
    for (name, value) in variables {
        environment.variables.insert((*name).into(), (*value).into());
    }
    (Client::new(Settings::load(&Overrides::default(), &environment).unwrap()).unwrap(), folder)
}

/// A mock and the server it is to a fresh client.
pub(crate) async fn mock(personality: Personality) -> (Mock, Server) {
    let mock = Mock::start(personality);
    let server = client().server(Some(&mock.url())).await.unwrap();
    (mock, server)
}

pub(crate) fn limits() -> Limits {
    Limits { timeout: Duration::from_secs(20), deadline: None }
}

pub(crate) fn ask(text: &str) -> ChatRequest {
    ChatRequest {
        messages: vec![Message::user(text)],
        sampling: Sampling { max_tokens: Some(64), ..Sampling::default() },
        ..ChatRequest::default()
    }
}

/// Asks and reads to the end.
pub(crate) async fn chat(server: &Server, request: ChatRequest) -> Result<ChatReply, Error> {
    server.chat(request, limits())?.finish().await
}
