//! `xdev-llm`: this project's library through its public API, on a runtime of one thread.
//!
//! Not here: the other clients, and what is counted (`worker`).

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use tokio::runtime::{Builder, Runtime};
use xdev_llm::wire::ServerKind;
use xdev_llm::{
    ChatEvent, ChatRequest, Client, Environment, Limits, Message, Overrides, Server, ServerSource, Settings,
    history,
};

use crate::job::{Done, Go, Job, MODEL, PROMPT};

/// One go at a job.
pub(crate) fn go(job: Job, target: &str, more: &[String]) -> Result<Go> {
    if job == Job::Append {
        return append(target);
    }
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let mut settings = settings()?;
    let target = target.to_owned();
    Ok(match job {
        Job::Call | Job::Stream | Job::FirstToken => {
            let client = Client::new(settings)?;
            let server = runtime.block_on(client.server(Some(&target)))?;
            warm(runtime, server, job)
        }
        Job::FirstCall | Job::FirstCallUntold => Box::new(move || {
            let begin = Instant::now();
            let client = Client::new(settings.clone())?;
            let text = runtime.block_on(async {
                let server = if job == Job::FirstCall {
                    client.attach(&target, ServerKind::GENERIC, None, ServerSource::Given)?
                } else {
                    client.server(Some(&target)).await?
                };
                anyhow::Ok(server.chat(request(), Limits::default())?.finish().await?.text.len())
            })?;
            Ok(Done { time: begin.elapsed(), text: Some(text) })
        }),
        Job::Find | Job::FindNone => {
            settings.discovery_ports.value =
                more.iter().map(|port| port.parse()).collect::<Result<_, _>>()?;
            Box::new(move || {
                let client = Client::new(settings.clone())?;
                let begin = Instant::now();
                let (found, time) = runtime.block_on(async {
                    let mut scan = client.scan();
                    let found = scan.next().await;
                    (found, begin.elapsed())
                });
                let found = found.map(|found| found.url);
                let expected = (job == Job::Find).then(|| target.clone());
                ensure!(found == expected, "the scan found {found:?}, not {expected:?}");
                Ok(Done { time, text: None })
            })
        }
        Job::Append | Job::Start => bail!("`{}` is no job of this client", job.name()),
    })
}

/// The built-in settings, with nobody's files.
fn settings() -> Result<Settings> {
    let nowhere = Path::new("/nonexistent/xdev-llm-bench").to_path_buf();
    let environment = Environment {
        variables: BTreeMap::new(),
        current_dir: nowhere.clone(),
        config_dir: nowhere.clone(),
        state_dir: nowhere.clone(),
        data_dir: nowhere,
    };
    Ok(Settings::load(&Overrides::default(), &environment)?)
}

fn request() -> ChatRequest {
    ChatRequest { model: Some(MODEL.into()), messages: vec![Message::user(PROMPT)], ..ChatRequest::default() }
}

fn warm(runtime: Runtime, server: Server, job: Job) -> Go {
    Box::new(move || {
        let begin = Instant::now();
        runtime.block_on(async {
            let mut stream = server.chat(request(), Limits::default())?;
            if job == Job::Call {
                let text = stream.finish().await?.text.len();
                return Ok(Done { time: begin.elapsed(), text: Some(text) });
            }
            let (mut text, mut first) = (0, None);
            while let Some(event) = stream.next().await {
                if let ChatEvent::Text(piece) = event? {
                    first.get_or_insert_with(|| begin.elapsed());
                    text += piece.len();
                }
            }
            ensure!(stream.reply().text.len() == text, "the reply lacks text");
            let time = if job == Job::FirstToken { first.context("no text came")? } else { begin.elapsed() };
            Ok(Done { time, text: Some(text) })
        })
    })
}

fn append(file: &str) -> Result<Go> {
    let text = std::fs::read_to_string(file)?;
    Ok(Box::new(move || {
        let begin = Instant::now();
        let appended = history::append(&text, &[Message::user(PROMPT)])?;
        let time = begin.elapsed();
        ensure!(appended.len() > text.len(), "nothing was appended");
        Ok(Done { time, text: None })
    }))
}
