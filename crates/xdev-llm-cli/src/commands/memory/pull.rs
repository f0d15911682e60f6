//! `xdev-llm pull`: a model downloaded to the server, with a bar over all of its parts.
//!
//! Not here: the bar (`progress`).

use std::process::ExitCode;

use xdev_llm::wire::ServerKind;
use xdev_llm::{Error, Pulled, Server, bytes_in_words};

use super::{connect, typed, watch};
use crate::arguments::PullArguments;
use crate::output::{self, Failure, Outcome};
use crate::render::plain;
use crate::turn::interrupted;
use crate::words;

/// Downloads and says what is there now.
pub(crate) fn run(arguments: &PullArguments) -> Outcome {
    let pulled = output::block_on(pull(arguments))??;
    if arguments.json {
        output::json(&pulled)?;
        return Ok(ExitCode::SUCCESS);
    }
    let size = pulled.total_bytes.map_or(String::new(), |total| format!(" {} in", bytes_in_words(total)));
    let time = words::seconds(pulled.duration);
    output::line(&plain(&format!("`{}` is downloaded:{size} {time}.", pulled.model)))?;
    Ok(ExitCode::SUCCESS)
}

async fn pull(arguments: &PullArguments) -> Result<Pulled, Failure> {
    // What is downloaded has the server's own name.
    let (_, connection) = connect(&arguments.server, "").await?;
    let server = &connection.server;
    watch(server.pull(&arguments.model), async || ended(arguments, server).await).await
}

/// What a download that nobody waits for any more leaves behind: some servers have a list of downloads of their own.
async fn ended(arguments: &PullArguments, server: &Server) -> Error {
    let again = typed(&format!("pull {}", arguments.model), &arguments.server);
    let kind = server.kind().await.unwrap_or(ServerKind::GENERIC);
    let hint = if kind == ServerKind::OLLAMA {
        format!("The download has ended; {again} goes on where it stopped.")
    } else if [ServerKind::LM_STUDIO, ServerKind::LLAMA_CPP].contains(&kind) {
        format!("The server goes on downloading by itself; {again} shows how far it is.")
    } else {
        format!("The server may go on downloading by itself; {again} goes on with it.")
    };
    interrupted().with_hint(hint)
}
