//! One turn, for `ask` and `chat`: the request out of flags, preset and conversation; then preview it or run it.
//!
//! Not here: which server is asked (`connect`), how the answer looks (`show`), where the conversation is kept (`chat`).

use std::path::Path;
use std::pin::pin;

use serde::Serialize;
use serde_json::{Value, json};
use xdev_llm::wire::ServerKind;
use xdev_llm::{
    ChatReply, ChatRequest, Client, Error, ErrorKind, GenerationStats, Limits, Message, Presets, Server,
    ServerInfo, ServerSource, Store, history,
};

use crate::arguments::TurnArguments;
use crate::connect::Connector;
use crate::output::{self, Failure};
use crate::show::{self, Show};
use crate::{prompt, settings};

/// Where a preview goes when no server runs.
const DEFAULT_URL: &str = "http://localhost:1234";

/// `Turns` holds what stays the same from turn to turn.
pub(crate) struct Turns<'a> {
    arguments: &'a TurnArguments,
    connector: Connector,
    client: Client,
    /// Everything but the messages.
    request: ChatRequest,
    limits: Limits,
    system: Option<String>,
}

/// `Answer` is what `--json` prints: the node's four outputs under their names, and the thinking.
#[derive(Serialize)]
struct Answer<'a> {
    response: &'a str,
    reasoning: &'a str,
    full_conversation: Value,
    server_info: ServerInfo,
    generation_stats: GenerationStats,
}

/// `Ended` is how a turn ended without a failure.
pub(crate) enum Ended {
    /// With an answer.
    Answer(ChatReply),
    /// By Ctrl-C; this is what had arrived.
    Stopped(ChatReply),
    /// With a preview: nothing was asked.
    Previewed,
}

impl<'a> Turns<'a> {
    /// Reads the settings and puts flags, preset and config together.
    pub(crate) fn new(arguments: &'a TurnArguments) -> Result<Turns<'a>, Failure> {
        let settings = settings::load(&settings::turn_overrides(arguments))?;
        let presets = Presets::from_settings(&settings)?;
        let preset = presets.get(&settings.preset)?;
        let request = ChatRequest {
            model: Some(settings.model.value.clone()),
            sampling: preset.apply(arguments.sampling.sampling()),
            reasoning: *settings.reasoning,
            keep_alive: arguments.keep_alive,
            ..ChatRequest::default()
        };
        request.sampling.validate(*settings.max_tokens_limit)?;
        // A preset is chosen for this task, a system message in the config for all.
        let system = arguments.system.clone().or(preset.system.clone()).or(settings.system.value.clone());
        let limits = settings::limits(&settings);
        let state_dir = settings::state_dir(&settings).to_owned();
        let client = Client::new(settings)?;
        Ok(Turns {
            arguments,
            connector: Connector::new(client.clone(), state_dir),
            client,
            request,
            limits,
            system,
        })
    }

    /// The files on disk.
    pub(crate) fn store(&self) -> Store {
        Store::new(self.state_dir())
    }

    /// The folder of those files.
    pub(crate) fn state_dir(&self) -> &Path {
        settings::state_dir(self.client.settings())
    }

    /// Whether results are printed as JSON.
    pub(crate) fn wants_json(&self) -> bool {
        self.arguments.json
    }

    /// Reports a failed turn as the flags say.
    pub(crate) fn report(&self, error: &Error) {
        output::report(error, self.arguments.json);
    }

    /// The request without messages: model and sampling, to look at or change.
    pub(crate) fn request_mut(&mut self) -> &mut ChatRequest {
        &mut self.request
    }

    /// The system message and the history, which begin a conversation.
    ///
    /// A system message of the history stays unless `--system` gives another one.
    pub(crate) fn opening(&self) -> Result<Vec<Message>, Failure> {
        let mut messages = match &self.arguments.history {
            Some(path) => history::parse(&prompt::read_history(path)?)?,
            None => Vec::new(),
        };
        if let Some(system) = &self.system
            && (!history::has_system(&messages) || self.arguments.system.is_some())
        {
            history::set_system(&mut messages, Some(system));
        }
        Ok(messages)
    }

    /// Sends the conversation and shows the answer, or previews the request with `--dry-run`.
    pub(crate) async fn run(&mut self, messages: &[Message]) -> Result<Ended, Failure> {
        let mut request = self.request.clone();
        request.messages = messages.to_vec();
        if self.arguments.dry_run {
            self.preview(request).await?;
            return Ok(Ended::Previewed);
        }
        let mut show = Show::new(self.arguments);
        let ended = self.answer(request, messages, &mut show).await;
        show.spinner().clear();
        ended
    }

    async fn answer(
        &mut self,
        request: ChatRequest,
        messages: &[Message],
        show: &mut Show,
    ) -> Result<Ended, Failure> {
        let mut interrupt = pin!(tokio::signal::ctrl_c());
        let connect = async {
            let connection = self.connector.connect(show.spinner()).await?;
            let info = if self.arguments.json { Some(connection.server.info().await?) } else { None };
            Ok::<_, Error>((connection, info))
        };
        let (connection, info) = tokio::select! {
            biased;
            _ = &mut interrupt => return Ok(Ended::Stopped(ChatReply::default())),
            result = connect => result?,
        };
        show.spinner().message("waiting for the answer");
        let mut stream = connection.server.chat(request, self.limits)?;
        loop {
            let event = tokio::select! {
                biased;
                _ = &mut interrupt => {
                    let partial = stream.reply().clone();
                    show.finish(&partial)?;
                    return Ok(Ended::Stopped(partial));
                }
                event = stream.next() => event,
            };
            match event {
                Some(Ok(event)) => show.event(&event, stream.reply())?,
                Some(Err(error)) => {
                    show.finish(stream.reply())?;
                    return Err(error.into());
                }
                None => break,
            }
        }
        let reply = stream.finish().await?;
        show.finish(&reply)?;
        if let Some(info) = info {
            print_json(&reply, messages, info)?;
        } else {
            show::summary(&reply);
        }
        self.record(&reply);
        Ok(Ended::Answer(reply))
    }

    /// Keeps the numbers of the answer on disk; that must not spoil the answer.
    fn record(&self, reply: &ChatReply) {
        if let Err(error) = self.store().append_stat(&json!(GenerationStats::from(reply))) {
            output::warn(&error.to_string());
        }
    }

    /// Prints the request that would be sent.
    async fn preview(&mut self, mut request: ChatRequest) -> Result<(), Failure> {
        let server = self.client.server(None).await;
        let preview = match &server {
            Ok(server) => server.preview(&request).await,
            Err(error) => Err(Error::new(error.kind(), error.message())),
        };
        let preview = match preview {
            Err(error) if error.kind() == ErrorKind::Unreachable => {
                let url = server.as_ref().map_or(DEFAULT_URL, Server::url);
                output::note(&format!(
                    "no server answers: this is the request for a generic server at {url}"
                ));
                request.model =
                    request.model.filter(|model| model != "auto").or(Some("(the loaded model)".to_owned()));
                self.client
                    .attach(url, ServerKind::GENERIC, None, ServerSource::Given)?
                    .preview(&request)
                    .await
            }
            other => other,
        }?;
        if self.arguments.json {
            return output::json(&preview);
        }
        output::line(&format!("{} {}", preview.method, preview.url))?;
        for (name, value) in &preview.headers {
            output::line(&format!("{name}: {value}"))?;
        }
        output::line(&format!("\n{:#}", preview.body))?;
        if !preview.not_sent.is_empty() {
            output::warn(&format!("this server does not take: {}", preview.not_sent.join(", ")));
        }
        Ok(())
    }
}

/// Prints the node's four outputs and the thinking as one object.
fn print_json(reply: &ChatReply, messages: &[Message], info: ServerInfo) -> Result<(), Failure> {
    let mut conversation = messages.to_vec();
    conversation.push(Message::assistant(&reply.text));
    let conversation: Value =
        serde_json::from_str(&history::print(&conversation)).expect("a history is printed as JSON");
    output::json(&Answer {
        response: &reply.text,
        reasoning: &reply.reasoning,
        full_conversation: conversation,
        server_info: info,
        generation_stats: GenerationStats::from(reply),
    })
}

/// What a person reads when Ctrl-C ended a command.
pub(crate) fn interrupted() -> Error {
    Error::new(ErrorKind::Interrupted, "Interrupted.")
}
