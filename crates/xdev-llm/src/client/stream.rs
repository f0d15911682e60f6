//! `ChatStream`: one answer while it arrives.
//!
//! It owns the whole life of a request: waiting for a turn, finding out what the server is, sending, retrying, reading,
//! the clocks, and the numbers. Dropping it closes the socket, and the server stops. `next` is cancel-safe.
//! Not here: how bytes become events (`wire`), what may be tried again (`retry`).

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{sleep, timeout};
use url::Url;

use super::http::{Body, Request, failed};
use super::retry::{Adjustment, Retry, retry_after};
use super::server::Server;
use crate::chat::{ChatEvent, ChatReply, ChatRequest, Collector, Progress, Sent, Source, ToolChoice};
use crate::config::Settings;
use crate::error::{Error, ErrorKind, Phase, Result};
use crate::history::estimate_tokens;
use crate::model::is_same_model;
use crate::wire::{Call, Framing, Reader, conclude, read_failure};

/// How long counts are waited for after the finish reason, when the server neither ends nor closes.
const GRACE: Duration = Duration::from_millis(1500);
/// How long the end of the body is waited for after `[DONE]`, so that the connection can be used again.
const LAST_BYTES: Duration = Duration::from_millis(5);
/// What models write around a tool call, seen in the text where the server does not parse it (LM Studio, llama.cpp).
const LEFT_IN_TEXT: [&str; 7] = [
    "<tool_call>",
    "<|tool_call",
    "<start_function_call>",
    "<function_calls>",
    "[TOOL_CALLS]",
    "[TOOL_REQUEST]",
    "<\u{ff5c}tool\u{2581}calls\u{2581}begin\u{ff5c}>",
];
/// The most text an answer may have, in bytes: two million tokens.
const LONGEST_ANSWER: usize = 8 << 20;
/// The largest error body that is read.
const ERROR_CAP: usize = 1 << 20;

/// `Limits` bounds the time of one answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long the first event, and each silence after it, may last: 5 to 300 seconds.
    pub timeout: Duration,
    /// How long the whole answer may take.
    pub deadline: Option<Duration>,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { timeout: Duration::from_secs(120), deadline: None }
    }
}

impl From<&Settings> for Limits {
    fn from(settings: &Settings) -> Self {
        Limits { timeout: *settings.timeout, deadline: *settings.deadline }
    }
}

impl Limits {
    /// Checks the ranges.
    pub fn validate(&self) -> Result<()> {
        let seconds = self.timeout.as_secs_f64();
        if (5.0..=300.0).contains(&seconds) {
            return Ok(());
        }
        Err(Error::invalid_input(format!("timeout is {seconds} s; it must be 5 to 300 s.")))
    }
}

/// `ChatStream` is one answer while it arrives. Dropping it cancels the request.
pub struct ChatStream {
    server: Server,
    request: Arc<ChatRequest>,
    limits: Limits,
    state: State,
    retry: Retry,
    adjustment: Adjustment,
    events: Vec<ChatEvent>,
    ready: VecDeque<ChatEvent>,
    collector: Collector,
    clock: Clock,
    /// The context that the prompt is cut to without a word, where it is longer.
    context: Option<u32>,
    /// The bytes of text that came so far.
    length: usize,
    /// The whole reply, once it was judged; the caller still has its last events to see.
    judged: Option<ChatReply>,
    /// What went wrong, once it did; the caller still has the events before it to see.
    failure: Option<Error>,
    /// Held until the stream ends: how many requests run at one server is limited.
    permit: Option<OwnedSemaphorePermit>,
}

type Opening = Pin<Box<dyn Future<Output = Result<Opened, Refused>> + Send>>;

enum State {
    Waiting,
    Opening(Opening),
    Reading(Box<Opened>),
    /// The answer is complete; the end of the body is still to be read.
    Draining(Box<Opened>),
    Over,
}

/// An answer whose head was read.
struct Opened {
    url: Url,
    body: Body,
    reader: Reader,
    bytes: Vec<u8>,
    sent: Sent,
    /// When the request was about to be sent.
    sent_at: Instant,
    /// The context that the prompt is cut to without a word, where it is longer.
    context: Option<u32>,
}

/// The bytes of text that an event brings.
fn text_length(event: &ChatEvent) -> usize {
    match event {
        ChatEvent::Text(piece) | ChatEvent::Reasoning(piece) => piece.len(),
        ChatEvent::ToolCall(piece) => piece.arguments.len(),
        _ => 0,
    }
}

fn too_long() -> Error {
    Error::new(ErrorKind::Protocol, "The answer is longer than 8 MiB.").with_hint(
        "The model goes round in circles, or what answers is no model: set max_tokens, or a repeat_penalty of 1.1.",
    )
}

/// A failure before the answer began, with what had been asked.
struct Refused {
    error: Error,
    call: Option<Call>,
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Refused { error, call: None }
    }
}

/// The times that are measured here, all stamped at a read of the socket.
struct Clock {
    /// When the caller first asked for an event.
    asked: Option<Instant>,
    sent: Option<Instant>,
    first: Option<Instant>,
    last: Option<Instant>,
    heard: Instant,
}

impl ChatStream {
    pub(super) fn new(server: Server, request: ChatRequest, limits: Limits) -> Self {
        let adjustment = server.inner.adjustment(server.url());
        ChatStream {
            server,
            request: Arc::new(request),
            limits,
            state: State::Waiting,
            retry: Retry::default(),
            adjustment,
            events: Vec::new(),
            ready: VecDeque::new(),
            collector: Collector::default(),
            clock: Clock { asked: None, sent: None, first: None, last: None, heard: Instant::now() },
            context: None,
            length: 0,
            judged: None,
            failure: None,
            permit: None,
        }
    }

    /// The next event; `None` after the last one or after an error. Cancel-safe.
    ///
    /// # Errors
    /// Any failure, with what had arrived as [`Error::partial`]. An answer without text is
    /// [`ErrorKind::EmptyAnswer`].
    pub async fn next(&mut self) -> Option<Result<ChatEvent>> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                self.collector.push(event.clone());
                if self.ready.is_empty()
                    && let Some(reply) = self.judged.take()
                {
                    *self.collector.reply_mut() = reply;
                }
                return Some(Ok(event));
            }
            if let Some(error) = self.failure.take() {
                return Some(Err(self.with_partial(error)));
            }
            if matches!(self.state, State::Over) {
                return None;
            }
            if let Err(error) = self.advance().await {
                // What came before the error is shown first.
                self.failure = Some(error);
                self.state = State::Over;
                self.permit = None;
            }
        }
    }

    /// The reply so far.
    pub fn reply(&self) -> &ChatReply {
        self.collector.reply()
    }

    /// Reads to the end and gives the whole reply.
    pub async fn finish(mut self) -> Result<ChatReply> {
        while let Some(event) = self.next().await {
            event?;
        }
        Ok(self.collector.into_reply())
    }

    /// Does one step: waits for a turn, opens, or reads once.
    async fn advance(&mut self) -> Result<()> {
        self.clock.asked.get_or_insert_with(Instant::now);
        match &mut self.state {
            State::Waiting => {
                let permit = self.server.inner.permit(&self.server.place);
                self.permit = Some(
                    permit
                        .acquire_owned()
                        .await
                        .map_err(|_| Error::new(ErrorKind::Interrupted, "The client was closed."))?,
                );
                self.clock.heard = Instant::now();
                self.open(Duration::ZERO);
                Ok(())
            }
            State::Opening(opening) => {
                let (wait, phase) = clock_left(self.limits, &self.clock, Phase::FirstEvent);
                match timeout(wait, opening).await {
                    Ok(Ok(mut opened)) => {
                        self.clock.sent = Some(opened.sent_at);
                        self.context = opened.context;
                        self.collector.reply_mut().sent = std::mem::take(&mut opened.sent);
                        self.state = State::Reading(Box::new(opened));
                        Ok(())
                    }
                    Ok(Err(refused)) => self.recover(refused),
                    Err(_) => Err(self.ran_out(phase)),
                }
            }
            State::Reading(_) => self.read().await,
            State::Draining(_) => {
                self.drain().await;
                Ok(())
            }
            State::Over => Ok(()),
        }
    }

    /// Begins a try, after a pause.
    fn open(&mut self, pause: Duration) {
        let (server, request) = (self.server.clone(), Arc::clone(&self.request));
        let adjustment = self.adjustment.clone();
        self.state = State::Opening(Box::pin(async move {
            if !pause.is_zero() {
                sleep(pause).await;
            }
            open(server, &request, &adjustment).await
        }));
    }

    /// Tries again where that can help and nothing has been shown yet; gives the error back otherwise.
    fn recover(&mut self, refused: Refused) -> Result<()> {
        let Refused { error, call } = refused;
        if self.clock.first.is_some() || !self.ready.is_empty() {
            return Err(error);
        }
        if let Some(call) = call
            && self.adjustment.learn(&error, &call)
        {
            self.server.inner.remember_adjustment(self.server.url(), &self.adjustment);
            self.open(Duration::ZERO);
            return Ok(());
        }
        if error.kind() == ErrorKind::Unreachable {
            self.server.forget();
        }
        let Some(pause) = self.retry.delay(&error) else { return Err(error) };
        if error.kind() == ErrorKind::Loading {
            let (left, _) = clock_left(self.limits, &self.clock, Phase::FirstEvent);
            if left <= pause {
                return Err(error);
            }
            self.ready.push_back(ChatEvent::Progress(Progress::LoadingModel(None)));
        }
        tracing::debug!(server = self.server.url(), code = error.code(), ?pause, "trying again");
        self.open(pause);
        Ok(())
    }

    /// Reads the socket once and turns what came into events. The caller sees them before the answer is ended.
    async fn read(&mut self) -> Result<()> {
        let State::Reading(opened) = &mut self.state else { return Ok(()) };
        if opened.reader.is_done() {
            return self.end();
        }
        let phase = if self.clock.first.is_some() { Phase::Silence } else { Phase::FirstEvent };
        let (mut wait, phase) = clock_left(self.limits, &self.clock, phase);
        let is_finished = opened.reader.is_finished();
        if is_finished {
            wait = wait.min(GRACE);
        }
        let came = match timeout(wait, opened.body.read(&mut opened.bytes)).await {
            Ok(Ok(came)) => came,
            // Everything that matters has come: a server that keeps the line open, or drops it, does no harm.
            _ if is_finished => false,
            Ok(Err(error)) => {
                let error = failed(&opened.url, error, "while it answered");
                if self.clock.first.is_none() && error.kind() == ErrorKind::CutOff {
                    let mut events = Vec::new();
                    // What was read may hold the server's own words about it.
                    if let Err(said) = opened.reader.finish(&mut events)
                        && !matches!(said.kind(), ErrorKind::CutOff | ErrorKind::Protocol)
                    {
                        return Err(said.with_server(self.server.url()));
                    }
                }
                return Err(error);
            }
            Err(_) => return Err(self.ran_out(phase)),
        };
        self.clock.heard = Instant::now();
        let read = if came { opened.reader.push(&opened.bytes, &mut self.events) } else { Ok(()) };
        self.clock.stamp(&self.events);
        self.length += self.events.iter().map(text_length).sum::<usize>();
        self.ready.extend(self.events.drain(..));
        if self.length > LONGEST_ANSWER {
            return Err(too_long().with_server(self.server.url()));
        }
        match read {
            Ok(()) if came => Ok(()),
            Ok(()) => self.end(),
            Err(error) => self.recover(Refused { error: error.with_server(self.server.url()), call: None }),
        }
    }

    /// Ends the answer: the last events, the numbers, the judgement.
    fn end(&mut self) -> Result<()> {
        let State::Reading(mut opened) = std::mem::replace(&mut self.state, State::Over) else {
            return Ok(());
        };
        let ended = opened.reader.finish(&mut self.events);
        self.clock.stamp(&self.events);
        self.state = State::Draining(opened);
        self.permit = None;
        let mut judged = self.collector.clone();
        for event in self.ready.iter().chain(&self.events) {
            judged.push(event.clone());
        }
        self.ready.extend(self.events.drain(..));
        ended.map_err(|error| error.with_server(self.server.url()))?;
        let mut reply = judged.into_reply();
        self.complete(&mut reply);
        let finished = self.ready.pop_back();
        conclude(&mut reply).map_err(|error| error.with_server(self.server.url()))?;
        self.ready.push_back(ChatEvent::Usage(reply.usage));
        self.ready.push_back(ChatEvent::Timing(reply.timing));
        self.ready.extend(finished);
        self.judged = Some(reply);
        Ok(())
    }

    /// Reads what is left after `[DONE]`, so that the connection can serve another request.
    async fn drain(&mut self) {
        if let State::Draining(opened) = &mut self.state {
            let rest = async { while matches!(opened.body.read(&mut opened.bytes).await, Ok(true)) {} };
            // A server that keeps the line open is left.
            let _ = timeout(LAST_BYTES, rest).await;
        }
        if let State::Draining(opened) = std::mem::replace(&mut self.state, State::Over) {
            self.server.inner.transport.keep(&opened.url, opened.body);
        }
    }

    /// Fills in what only the client knows.
    fn complete(&self, reply: &mut ChatReply) {
        let clock = &self.clock;
        let (sent, end) = (clock.sent.unwrap_or(clock.heard), clock.last.unwrap_or(clock.heard));
        let timing = &mut reply.timing;
        timing.time_to_first_token = clock.first.map(|first| first.saturating_duration_since(sent));
        timing.duration = Some(end.saturating_duration_since(sent));
        if timing.tokens_per_second.is_none()
            && let (Some(first), Some(last), Some(tokens)) =
                (clock.first, clock.last, reply.usage.output_tokens)
        {
            let seconds = last.saturating_duration_since(first).as_secs_f64();
            // A rate of pieces that came in one read would be that of this machine's memory.
            if tokens > 1 && seconds > 0.001 {
                timing.tokens_per_second = Some((tokens - 1) as f64 / seconds);
                timing.source = Source::Client;
            }
        }
        if reply.usage.input_tokens.unwrap_or(0) == 0 {
            let estimate: usize = self.request.messages.iter().map(estimate_tokens).sum();
            reply.usage.input_tokens = Some(estimate as u64);
            reply.usage.estimated = true;
        }
        if let Some(context) = self.context {
            let estimate: usize = self.request.messages.iter().map(estimate_tokens).sum();
            reply.warnings.push(format!(
                "The prompt has about {estimate} tokens and the model's context {context}: the server leaves out what does not fit, without a word. Load the model with a longer context."
            ));
        }
        let must_call = matches!(self.request.tool_choice, Some(ToolChoice::Required | ToolChoice::Named(_)));
        if must_call && reply.tool_calls.is_empty() {
            reply.warnings.push(
                "A tool call was required and none came: the server or the model ignores tools.".into(),
            );
        }
        let left_in_text = LEFT_IN_TEXT.iter().any(|marker| reply.text.contains(marker));
        if !self.request.tools.is_empty() && reply.tool_calls.is_empty() && left_in_text {
            reply.warnings.push(
                "A tool call stands in the text: the server has no parser for this model's calls.".into(),
            );
        }
        let is_json = || serde_json::from_str::<serde::de::IgnoredAny>(reply.text.trim()).is_ok();
        if self.request.response_format.is_some() && reply.tool_calls.is_empty() && !is_json() {
            reply.warnings.push("JSON was asked for, and the answer is not JSON.".into());
        }
        if let (Some(asked), Some(answered)) = (&reply.sent.model, &reply.model)
            && !is_same_model(asked, answered)
        {
            reply.warnings.push(format!("`{asked}` was asked for, and `{answered}` answered."));
        }
    }

    fn with_partial(&mut self, error: Error) -> Error {
        let error =
            self.request.messages.iter().fold(error, |error, message| error.without_text(&message.text()));
        let reply = self.collector.reply();
        let has_something =
            !reply.text.is_empty() || !reply.reasoning.is_empty() || !reply.tool_calls.is_empty();
        if !has_something {
            return error.with_server(self.server.url());
        }
        let mut partial = reply.clone();
        self.complete(&mut partial);
        error.with_server(self.server.url()).with_partial(partial)
    }

    fn ran_out(&self, phase: Phase) -> Error {
        let seconds = self.limits.timeout.as_secs();
        let message = match phase {
            Phase::Deadline => {
                let deadline = self.limits.deadline.unwrap_or_default().as_secs();
                format!("The answer was not complete after {deadline} s.")
            }
            Phase::Silence => format!("The server fell silent for {seconds} s in the middle of its answer."),
            Phase::FirstEvent | Phase::Connect => format!("The server sent nothing for {seconds} s."),
        };
        Error::new(ErrorKind::Timeout(phase), message)
    }
}

impl Clock {
    /// Notes when the first and the last token came; a role or a count is none.
    fn stamp(&mut self, events: &[ChatEvent]) {
        let is_token = |event: &ChatEvent| {
            matches!(event, ChatEvent::Text(_) | ChatEvent::Reasoning(_) | ChatEvent::ToolCall(_))
        };
        if events.iter().any(is_token) {
            self.first.get_or_insert(self.heard);
            self.last = Some(self.heard);
        }
    }
}

/// How long may be waited now, and which clock that is.
fn clock_left(limits: Limits, clock: &Clock, phase: Phase) -> (Duration, Phase) {
    let left = limits.timeout.saturating_sub(clock.heard.elapsed());
    let asked = clock.asked.unwrap_or(clock.heard);
    match limits.deadline.map(|deadline| deadline.saturating_sub(asked.elapsed())) {
        Some(until_deadline) if until_deadline < left => (until_deadline, Phase::Deadline),
        _ => (left, phase),
    }
}

/// Finds out what the server is, sends the request, and reads the head of the answer.
async fn open(server: Server, request: &ChatRequest, adjustment: &Adjustment) -> Result<Opened, Refused> {
    let dialect = server.dialect().await?;
    let request = server.resolve(request).await?;
    server.wake(request.model.as_deref()).await?;
    if dialect.quirks().downloads_unknown_models {
        server.insist_on(request.model.as_deref()).await?;
    }
    let context = server.cutting_context(&request).await;
    let mut call = dialect.chat(&request, !adjustment.no_stream)?;
    adjustment.apply(&mut call);
    let url = server.url_of(&call, &*dialect);
    let sent_at = Instant::now();
    let http = Request {
        url: &url,
        body: call.body.as_deref(),
        key: server.place.key.as_ref(),
        accept: "text/event-stream, application/x-ndjson, application/json",
    };
    let mut response = server.inner.transport.send(&http).await?;
    let head = &response.head;
    if head.status != 200 {
        let mut error = read_refusal(head.status, head.header("retry-after"), &mut response.body).await;
        if error.kind() == ErrorKind::NoModel
            && let Some(hint) = server.model_hint(request.model.as_deref()).await
        {
            error = error.with_hint(hint);
        }
        return Err(Refused { error: error.with_server(server.url()), call: Some(call) });
    }
    if head.header("content-encoding").is_some_and(|coding| coding != "identity") {
        let message = "Unexpected response format: the answer is compressed although that was not asked for.";
        return Err(Error::new(ErrorKind::Protocol, message).with_server(server.url()).into());
    }
    let framing = Framing::from_content_type(head.header("content-type").unwrap_or_default());
    let reader = Reader::new(dialect.clone(), framing);
    let sent = Sent {
        server_kind: dialect.quirks().kind.to_string(),
        url: server.url().to_owned(),
        model: request.model,
        parameters: call.parameters,
        not_sent: call.not_sent,
    };
    Ok(Opened { url, body: response.body, reader, bytes: Vec::new(), sent, sent_at, context })
}

/// Reads the body of an answer with an error status, as far as it comes, and makes the error.
pub(super) async fn read_refusal(status: u16, wait: Option<&str>, body: &mut Body) -> Error {
    let (mut whole, mut piece) = (Vec::new(), Vec::new());
    while whole.len() < ERROR_CAP && matches!(body.read(&mut piece).await, Ok(true)) {
        whole.extend_from_slice(&piece);
    }
    let error = read_failure(status, &whole)
        .unwrap_or_else(|| Error::new(ErrorKind::Protocol, format!("The server answered {status}.")));
    match wait.and_then(retry_after) {
        Some(wait) => error.with_retry_after(wait),
        None => error,
    }
}
