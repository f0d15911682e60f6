//! Looking at the server's own list, and sending what changes it.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::time::timeout;

use super::super::http::{Request, failed};
use super::super::server::Server;
use super::super::stream::read_refusal;
use crate::error::{Error, ErrorKind, Phase, Result};
use crate::wire::manage::{Step, read_steps};
use crate::wire::{Call, Frame, Framer, Framing, Listing, Manage, read_failure};

/// How long a server that restarts may be away.
const RESTART_PATIENCE: Duration = Duration::from_secs(30);

impl Server {
    /// What is in memory, asked now.
    pub(super) async fn listing(&self, way: &dyn Manage) -> Result<Listing> {
        let dialect = self.dialect().await?;
        let mut listing = Listing::default();
        let mut failure = None;
        for (index, path) in way.list().iter().enumerate() {
            let (status, body) = self.ask(&Call::get(*path), &*dialect).await?;
            let error = read_failure(status, &body);
            let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
            if let ControlFlow::Break(()) = way.read_list(index, status, &body, &mut listing) {
                return Ok(listing);
            }
            failure = error.or(failure);
        }
        Err(failure
            .unwrap_or_else(|| {
                Error::new(
                    ErrorKind::Protocol,
                    "Unexpected response format: the server does not say which models are in memory.",
                )
            })
            .with_server(self.url()))
    }

    /// The list, asked again while something changes: a server that restarts may be away.
    pub(super) async fn listing_again(&self, way: &dyn Manage, since: Instant) -> Result<Option<Listing>> {
        match self.listing(way).await {
            Ok(listing) => Ok(Some(listing)),
            // Ollama may stumble over its own list in the moment of an unload.
            Err(error)
                if since.elapsed() < super::LONGEST_PAUSE * 4
                    && matches!(error.kind(), ErrorKind::CutOff | ErrorKind::Server) =>
            {
                Ok(None)
            }
            Err(error)
                if way.manners().restarts
                    && since.elapsed() < RESTART_PATIENCE
                    && matches!(
                        error.kind(),
                        ErrorKind::Unreachable
                            | ErrorKind::CutOff
                            | ErrorKind::Loading
                            | ErrorKind::Timeout(_)
                    ) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Sends one call and reads its answer to the end.
    pub(super) async fn send(
        &self,
        way: &dyn Manage,
        call: &Call,
        patience: Duration,
        mut take: impl FnMut(Step),
    ) -> Result<()> {
        let dialect = self.dialect().await?;
        let url = self.url_of(call, &*dialect);
        let request = Request {
            url: &url,
            body: call.body.as_deref(),
            key: self.place.key.as_ref(),
            accept: "application/json, application/x-ndjson, text/event-stream",
        };
        let silent = |_| {
            Error::new(
                ErrorKind::Timeout(Phase::Silence),
                format!("The server sent nothing for {} s.", patience.as_secs()),
            )
        };
        let mut response =
            match timeout(patience, self.inner.transport.send(&request)).await.map_err(silent)? {
                Ok(response) => response,
                // It is restarting already.
                Err(error) if way.manners().restarts && error.kind() != ErrorKind::Config => return Ok(()),
                Err(error) => return Err(error),
            };
        if !(200..300).contains(&response.head.status) {
            let error = read_refusal(response.head.status, None, &mut response.body).await;
            return Err(error.with_server(self.url()));
        }
        let content_type = response.head.header("content-type").unwrap_or_default().to_owned();
        let mut framer = Framer::new(Framing::from_content_type(&content_type));
        let (mut bytes, mut steps) = (Vec::new(), Vec::new());
        loop {
            let came = timeout(patience, response.body.read(&mut bytes)).await.map_err(silent)?;
            let more = match came {
                Ok(more) => more,
                Err(_) if way.manners().restarts => return Ok(()),
                Err(error) => return Err(failed(&url, error, "while it answered")),
            };
            let mut read = |frame: Frame<'_>| read_steps(way, frame, &mut steps).map(|()| true);
            let read = if more { framer.push(&bytes, &mut read) } else { framer.finish(&mut read) };
            read.map_err(|error| error.with_server(self.url()))?;
            steps.drain(..).for_each(&mut take);
            if !more {
                self.inner.transport.keep(&url, response.body);
                return Ok(());
            }
        }
    }
}
