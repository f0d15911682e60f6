//! Several models for one question: order, failures that stay alone, and that dropping stops all.

use std::time::Duration;

use xdev_llm::{ChatEvent, ChatRequest, Compared, ErrorKind, Question};
use xdev_llm_mock::{Fault, Mock, Personality, Script};

use super::host::{ask, client, client_with, limits};

fn question(server: &Mock, model: &str) -> Question {
    let request = ChatRequest { model: Some(model.to_owned()), ..ask("Hello") };
    Question { server: Some(server.url()), request, limits: limits() }
}

#[tokio::test]
async fn one_after_another_goes_in_the_order_given() {
    let mock = Mock::start(Personality::LmStudio04);
    let models = ["qwen3-4b", "google/gemma-3-12b", "qwen3-4b"];
    let mut comparison = client().compare(models.iter().map(|model| question(&mock, model)).collect(), false);
    let (mut ended, mut last) = (Vec::new(), 0);
    while let Some((index, happened)) = comparison.next().await {
        assert!(index >= last, "nothing of a question comes after the next one has begun");
        last = index;
        match happened {
            Compared::Begun => assert_eq!(ended.len(), index, "the one before is over"),
            Compared::Asked(route) => assert_eq!(route.model.as_deref(), Some(models[index])),
            Compared::Event(_) => {}
            Compared::Ended(answer) => ended.push(answer.unwrap().reply.sent.model),
        }
    }
    assert_eq!(ended, models.map(|model| Some(model.to_owned())));
    let asked: Vec<_> = mock.chats().iter().map(|chat| chat.json()["model"].clone()).collect();
    assert_eq!(asked, models);
}

#[tokio::test]
async fn side_by_side_none_waits_for_another() {
    let (stuck, quick) = (Mock::start(Personality::LmStudio04), Mock::start(Personality::LmStudio04));
    stuck.set_script(Script::new().text("One two three.").fault(Fault::Stall { after_tokens: 1 }));
    quick.set_script(Script::new().text("Quick."));
    let questions = vec![question(&stuck, "qwen3-4b"), question(&quick, "qwen3-4b")];
    let mut comparison = client().compare(questions, true);
    let mut first_word = false;
    let answer = loop {
        match comparison.next().await.unwrap() {
            (0, Compared::Event(ChatEvent::Text(_))) => first_word = true,
            (1, Compared::Ended(answer)) if first_word => break answer,
            // The second may be over before the first has said a word.
            (1, Compared::Ended(answer)) => {
                while !matches!(comparison.next().await.unwrap(), (0, Compared::Event(ChatEvent::Text(_)))) {}
                break answer;
            }
            _ => {}
        }
    };
    assert_eq!(answer.unwrap().reply.text, "Quick.");
    drop(comparison);
    let closed = |requests: &[xdev_llm_mock::Request]| {
        requests.iter().any(|request| request.is_chat() && request.client_closed.is_some())
    };
    assert!(stuck.wait_for(Duration::from_secs(10), closed), "dropping it stops the server");
}

#[tokio::test]
async fn dropping_it_asks_nobody_any_more() {
    let (stuck, next) = (Mock::start(Personality::LmStudio04), Mock::start(Personality::LmStudio04));
    stuck.set_script(Script::new().text("One two.").fault(Fault::Stall { after_tokens: 1 }));
    let questions = vec![question(&stuck, "qwen3-4b"), question(&next, "qwen3-4b")];
    let mut comparison = client().compare(questions, false);
    while !matches!(comparison.next().await.unwrap(), (0, Compared::Event(ChatEvent::Text(_)))) {}
    drop(comparison);
    let closed = |requests: &[xdev_llm_mock::Request]| {
        requests.iter().any(|request| request.is_chat() && request.client_closed.is_some())
    };
    assert!(stuck.wait_for(Duration::from_secs(10), closed));
    assert!(next.chats().is_empty());
}

#[tokio::test]
async fn a_failure_leaves_the_others_alone_and_aliases_go_their_ways() {
    let (one, two) = (Mock::start(Personality::LmStudio04), Mock::start(Personality::Ollama));
    one.push_script(Script::new().fault(Fault::Status { code: 500, body: "{}".into(), headers: Vec::new() }));
    let config = format!("[aliases.other]\nserver = \"{}\"\n", two.url());
    let (client, _folder) = client_with(&config, &[]);
    for parallel in [false, true] {
        one.set_script(Script::new().fault(Fault::Status {
            code: 500,
            body: "{}".into(),
            headers: Vec::new(),
        }));
        let alias = Question { server: None, ..question(&two, "other") };
        let answers = client.compare(vec![question(&one, "qwen3-4b"), alias], parallel).finish().await;
        let [failed, answered] = answers.try_into().unwrap();
        assert_eq!(failed.unwrap_err().kind(), ErrorKind::Server);
        let answered = answered.unwrap();
        assert_eq!(answered.route.taken().unwrap().alias, "other");
        assert_eq!(answered.server_info().await.unwrap().url, two.url());
        assert!(answered.stats().output_tokens.is_some() && !answered.reply.text.is_empty());
    }
    assert!(client.compare(Vec::new(), true).finish().await.is_empty());
}
