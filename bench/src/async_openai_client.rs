//! `async-openai`: the usual Rust client of OpenAI's API, on a runtime of one thread.
//!
//! A short answer is asked for as one body and a long one as a stream, as its users do. Not here: the other clients.

use std::time::Instant;

use anyhow::{Context, Result, bail};
use async_openai::Client;
use async_openai::config::OpenAIConfig;
use async_openai::types::chat::{
    ChatCompletionRequestUserMessageArgs, CreateChatCompletionRequest, CreateChatCompletionRequestArgs,
};
use futures_util::StreamExt;
use tokio::runtime::Builder;

use crate::job::{Done, Go, Job, MODEL, PROMPT};

/// One go at a job.
pub(crate) fn go(job: Job, target: &str) -> Result<Go> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let config = OpenAIConfig::new().with_api_base(format!("{target}/v1")).with_api_key("none");
    let mut kept = Some(Client::with_config(config.clone()));
    Ok(match job {
        Job::Call | Job::FirstCall => Box::new(move || {
            let begin = Instant::now();
            let client = match kept.take() {
                Some(client) if job == Job::Call => client,
                _ => Client::with_config(config.clone()),
            };
            let reply = runtime.block_on(client.chat().create(request()?))?;
            let text = reply.choices.first().and_then(|choice| choice.message.content.as_ref());
            let text = text.map_or(0, String::len);
            kept = Some(client);
            Ok(Done { time: begin.elapsed(), text: Some(text) })
        }),
        Job::Stream | Job::FirstToken => Box::new(move || {
            let begin = Instant::now();
            let client = kept.as_ref().context("a client")?;
            let (text, first) = runtime.block_on(async {
                let mut stream = client.chat().create_stream(request()?).await?;
                let (mut text, mut first) = (String::new(), None);
                while let Some(piece) = stream.next().await {
                    let piece = piece?;
                    let content = piece.choices.first().and_then(|choice| choice.delta.content.as_deref());
                    if let Some(content) = content.filter(|content| !content.is_empty()) {
                        first.get_or_insert_with(|| begin.elapsed());
                        text.push_str(content);
                    }
                }
                anyhow::Ok((text, first))
            })?;
            let time = if job == Job::FirstToken { first.context("no text came")? } else { begin.elapsed() };
            Ok(Done { time, text: Some(text.len()) })
        }),
        _ => bail!("`{}` is no job of this client", job.name()),
    })
}

fn request() -> Result<CreateChatCompletionRequest> {
    let message = ChatCompletionRequestUserMessageArgs::default().content(PROMPT).build()?;
    Ok(CreateChatCompletionRequestArgs::default().model(MODEL).messages([message.into()]).build()?)
}
