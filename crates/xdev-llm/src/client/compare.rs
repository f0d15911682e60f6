//! `Comparison`: one request to several models, one after another or side by side.
//!
//! Each question goes its own way, to a server or an alias of its own, and fails on its own. Dropping the comparison
//! cancels all of them. Not here: how answers are laid beside each other (the doors), one answer (`stream`).

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::route::{Route, RoutedChat};
use super::stream::Limits;
use super::{Client, ServerInfo};
use crate::chat::{ChatEvent, ChatReply, ChatRequest};
use crate::error::{Error, ErrorKind, Result};
use crate::stats::GenerationStats;

/// `Question` is a request to one model, which the request names; the model may be an alias.
#[derive(Clone, Debug)]
pub struct Question {
    /// A URL, or the name of a configured server; `None` is the one that is asked otherwise.
    pub server: Option<String>,
    /// What is asked of which model.
    pub request: ChatRequest,
    /// The clocks of this answer.
    pub limits: Limits,
}

/// `Answered` is the answer of one model.
#[derive(Clone, Debug)]
pub struct Answered {
    /// The answer.
    pub reply: ChatReply,
    /// Who gave it.
    pub route: Route,
}

impl Answered {
    /// The numbers of the answer.
    pub fn stats(&self) -> GenerationStats {
        GenerationStats::from(&self.reply)
    }

    /// What the server that answered tells about itself.
    ///
    /// # Errors
    /// As [`Server::info`](super::Server::info).
    pub async fn server_info(&self) -> Result<ServerInfo> {
        self.route.server.info().await
    }
}

/// `Compared` is something that happened to one of the questions.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "the large one comes once for each question")]
pub enum Compared {
    /// Its turn has come.
    Begun,
    /// Its server is known and gets the request.
    Asked(Route),
    /// Something arrived of its answer.
    Event(ChatEvent),
    /// It is over.
    Ended(Result<Answered>),
}

/// `Comparison` is several answers while they arrive. Dropping it cancels those that are not over.
pub struct Comparison {
    happened: UnboundedReceiver<(usize, Compared)>,
    count: usize,
    /// What still runs; driven by whoever asks what happened next.
    running: Vec<Running>,
}

type Running = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Client {
    /// Asks every question: at once with `parallel`, else one after another in this order. Nothing is sent before
    /// [`Comparison::next`] is called. A question that fails leaves the others alone.
    pub fn compare(&self, questions: Vec<Question>, parallel: bool) -> Comparison {
        let (tell, happened) = unbounded_channel();
        let count = questions.len();
        let client = self.clone();
        let asks = questions.into_iter().enumerate().map(move |(index, question)| {
            ask(client.clone(), question, Teller { index, tell: tell.clone() })
        });
        let running = if parallel {
            asks.map(|ask| Box::pin(ask) as Running).collect()
        } else {
            vec![Box::pin(async move {
                for ask in asks {
                    ask.await;
                }
            }) as Running]
        };
        Comparison { happened, count, running }
    }
}

impl Comparison {
    /// What happened next, and to which question; `None` when all are over. Cancel-safe.
    pub async fn next(&mut self) -> Option<(usize, Compared)> {
        poll_fn(|context| self.poll(context)).await
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<(usize, Compared)>> {
        if let Poll::Ready(Some(happened)) = self.happened.poll_recv(context) {
            return Poll::Ready(Some(happened));
        }
        self.running.retain_mut(|running| running.as_mut().poll(context).is_pending());
        self.happened.poll_recv(context)
    }

    /// Reads to the end and gives the answers in the order of the questions.
    pub async fn finish(mut self) -> Vec<Result<Answered>> {
        let mut answers: Vec<_> = (0..self.count).map(|_| Err(not_asked())).collect();
        while let Some((index, happened)) = self.next().await {
            if let Compared::Ended(answer) = happened {
                answers[index] = answer;
            }
        }
        answers
    }
}

/// `Teller` tells what happens to one question.
struct Teller {
    index: usize,
    tell: UnboundedSender<(usize, Compared)>,
}

impl Teller {
    fn tell(&self, happened: Compared) {
        // The one who listens is the one who drives this.
        let _ = self.tell.send((self.index, happened));
    }
}

async fn ask(client: Client, question: Question, teller: Teller) {
    teller.tell(Compared::Begun);
    let answered = answer(&client, question, &teller).await;
    teller.tell(Compared::Ended(answered));
}

async fn answer(client: &Client, question: Question, teller: &Teller) -> Result<Answered> {
    let Question { server, request, limits } = question;
    let route = client.route(server.as_deref(), request.model.as_deref()).await?;
    let mut chat: RoutedChat = route.clone().chat(request, limits)?;
    teller.tell(Compared::Asked(route));
    while let Some(event) = chat.next().await {
        teller.tell(Compared::Event(event?));
    }
    let route = chat.route().clone();
    Ok(Answered { reply: chat.finish().await?, route })
}

fn not_asked() -> Error {
    Error::new(ErrorKind::Interrupted, "It was not asked.")
}
