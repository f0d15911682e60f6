//! Streams that are no chat: how far a load or a download is.
//!
//! What they say is up to `servers`; here they are framed and paced.

use crate::connection::{Connection, End, Gone};
use crate::http;
use crate::server::WATCH;
use crate::servers;

/// `Step` is what comes next in a flow.
pub(crate) enum Step {
    Send(String),
    /// Nothing yet: ask again in a moment.
    Wait,
    End,
}

/// `Flow` is a body that is made while it is sent.
pub(crate) struct Flow {
    pub(crate) content_type: &'static str,
    pub(crate) next: Box<dyn FnMut() -> Step>,
}

impl Flow {
    /// A flow of JSON lines or of events, as `content_type` says.
    pub(crate) fn new(content_type: &'static str, next: impl FnMut() -> Step + 'static) -> Flow {
        Flow { content_type, next: Box::new(next) }
    }

    /// Sends the whole flow and says what becomes of the connection.
    pub(crate) fn send(
        mut self,
        connection: &Connection<'_>,
        keep_alive: bool,
        chunked: bool,
    ) -> Result<End, Gone> {
        let personality = connection.shared.options.personality;
        let mut headers = servers::headers(personality, keep_alive);
        headers.push(("Content-Type".into(), self.content_type.into()));
        if chunked {
            headers.push(("Transfer-Encoding".into(), "chunked".into()));
        }
        connection.note_status(200);
        connection.send(&http::head(200, &servers::spell(personality, headers)))?;
        loop {
            match (self.next)() {
                // A chunk of nothing would end the body.
                Step::Send(text) if text.is_empty() => {}
                Step::Send(text) if chunked => {
                    connection.send(format!("{:x}\r\n{text}\r\n", text.len()).as_bytes())?;
                }
                Step::Send(text) => connection.send(text.as_bytes())?,
                Step::Wait => connection.wait(WATCH)?,
                Step::End => break,
            }
        }
        if chunked {
            connection.send(b"0\r\n\r\n")?;
        }
        connection.finish();
        Ok(if keep_alive { End::KeepAlive } else { End::Close })
    }
}
