//! One turn, for `ask` and `chat`: the request out of flags, preset and conversation; then preview it or run it.
//!
//! Not here: which server is asked (`connect`), how the answer looks (`show`), where the conversation is kept (`chat`).

use std::path::Path;
use std::pin::pin;

use serde::Serialize;
use serde_json::{Value, json};
use xdev_llm::wire::ServerKind;
use xdev_llm::{
    Answered, ChatReply, ChatRequest, Client, Error, ErrorKind, GenerationStats, Limits, Message, Presets,
    Question, Route, ServerInfo, ServerSource, Store, Taken, history,
};

use crate::arguments::TurnArguments;
use crate::connect::Connector;
use crate::output::{self, DIM, Failure};
use crate::render::plain;
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
    server_info: ServerTaken,
    generation_stats: GenerationStats,
}

/// `ServerTaken` is a server's info, and the route of the alias that led there.
#[derive(Serialize)]
pub(crate) struct ServerTaken {
    #[serde(flatten)]
    info: ServerInfo,
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<Taken>,
}

impl ServerTaken {
    /// Of an answer that is there, which a question that fails shall not spoil.
    pub(crate) async fn of(answered: &Answered) -> Value {
        let route = &answered.route;
        ServerTaken::ask(route).await.map_or_else(
            |error| {
                let note = format!("The server's state could not be read: {error}");
                json!({"url": route.server.url(), "notes": [note], "route": route.taken()})
            },
            |taken| json!(taken),
        )
    }

    async fn ask(route: &Route) -> Result<ServerTaken, Error> {
        Ok(ServerTaken { info: route.server.info().await?, route: route.taken() })
    }
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

    /// Whom the turns ask.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// The conversation as a question to one of several models.
    pub(crate) fn question(&self, model: &str, messages: &[Message]) -> Question {
        let request = ChatRequest {
            model: Some(model.to_owned()),
            messages: messages.to_vec(),
            ..self.request.clone()
        };
        Question { server: None, request, limits: self.limits }
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
            let model = request.model.as_deref().unwrap_or("auto");
            let (route, connection) = self.connector.route(model, show.spinner()).await?;
            let info = if self.arguments.json { Some(ServerTaken::ask(&route).await?) } else { None };
            Ok::<_, Error>((route, connection, info))
        };
        let (route, _connection, info) = tokio::select! {
            biased;
            _ = &mut interrupt => return Ok(Ended::Stopped(ChatReply::default())),
            result = connect => result?,
        };
        show.spinner().message("waiting for the answer");
        let mut stream = route.chat(request, self.limits)?;
        let mut told = None;
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
                Some(Ok(event)) => {
                    if told != Some(stream.route().tried.len()) {
                        told = Some(stream.route().tried.len());
                        note_route(stream.route(), show);
                    }
                    show.event(&event, stream.reply())?;
                }
                Some(Err(error)) => {
                    show.finish(stream.reply())?;
                    return Err(error.into());
                }
                None => break,
            }
        }
        let route = stream.route().clone();
        let reply = stream.finish().await?;
        show.finish(&reply)?;
        if let Some(info) = info {
            // The server may have gone away meanwhile, and the next route was taken.
            let has_moved = info.route != route.taken();
            let info = if has_moved { ServerTaken::ask(&route).await? } else { info };
            print_json(&reply, messages, info)?;
        } else {
            show::summary(&reply);
        }
        self.record(&reply);
        Ok(Ended::Answer(reply))
    }

    /// Keeps the numbers of the answer on disk; that must not spoil the answer.
    pub(crate) fn record(&self, reply: &ChatReply) {
        if let Err(error) = self.store().append_stat(&json!(GenerationStats::from(reply))) {
            output::warn(&error.to_string());
        }
    }

    /// Prints the request that would be sent.
    async fn preview(&mut self, mut request: ChatRequest) -> Result<(), Failure> {
        let model = request.model.as_deref().unwrap_or("auto");
        let is_alias = self.client.settings().is_alias(model);
        let route = self.client.route(None, Some(model)).await;
        let preview = match &route {
            Ok(route) => route.server.preview(&route.apply(request.clone())).await,
            Err(error) => Err(Error::new(error.kind(), error.message()).with_hint(error.hint())),
        };
        let preview = match preview {
            Err(error) if error.kind() == ErrorKind::Unreachable && !is_alias => {
                let url = route.as_ref().map_or(DEFAULT_URL, |route| route.server.url());
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

/// Says which route of an alias was taken, where it was not the first.
fn note_route(route: &Route, show: &Show) {
    if let Some(note) = route.note() {
        show.spinner().note(&format!("{DIM}{}{DIM:#}", plain(&note)));
    }
}

/// Prints the node's four outputs and the thinking as one object.
fn print_json(reply: &ChatReply, messages: &[Message], info: ServerTaken) -> Result<(), Failure> {
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
