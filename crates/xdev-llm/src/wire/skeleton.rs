//! `Skeleton` reads an event that differs from an earlier one only in its text, without parsing it.
//!
//! It is an accelerator in front of the tolerant walk and gives the same events on every input: it remembers the bytes
//! around the text of one event that the walk decoded, and proves the place by decoding the event once more with
//! another text in it. While the next event has the same bytes around, only the string between is new. Where every
//! event carries other changing fields it steps aside. Not here: the walk itself (the dialects).

use std::borrow::Cow;

use memchr::memmem;

use super::{Dialect, Flow, Frame};
use crate::chat::ChatEvent;

/// The text that stands in for the real one while a place is proved.
const MARK: &str = "\u{2042}xdev\u{2042}";

/// How many learned skeletons may go unused before learning becomes rare.
const PATIENCE: u32 = 4;

/// `Skeleton` remembers the bytes around the text of an event.
#[derive(Debug, Default)]
pub(super) struct Skeleton {
    learned: Option<Learned>,
    /// How many learned skeletons in a row were never used.
    unused: u32,
    /// Events since the last try to learn.
    since: u32,
}

#[derive(Debug)]
struct Learned {
    prefix: String,
    suffix: String,
    event: Option<String>,
    is_reasoning: bool,
    used: bool,
}

/// A piece of text that was read without parsing.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Piece<'a> {
    pub(super) text: Cow<'a, str>,
    pub(super) is_reasoning: bool,
}

impl Skeleton {
    /// The text of a frame that equals the learned one but for it.
    pub(super) fn read<'a>(&mut self, frame: Frame<'a>) -> Option<Piece<'a>> {
        let learned = self.learned.as_mut()?;
        let inner =
            frame.data.strip_prefix(learned.prefix.as_str())?.strip_suffix(learned.suffix.as_str())?;
        if inner.is_empty() || frame.event != learned.event.as_deref() {
            return None;
        }
        // The prefix ends and the suffix begins with the string's quotes.
        let start = learned.prefix.len() - 1;
        let text = unescape(&frame.data[start..start + inner.len() + 2])?;
        learned.used = true;
        Some(Piece { text, is_reasoning: learned.is_reasoning })
    }

    /// Learns from a frame that the walk decoded into `events`.
    pub(super) fn learn(&mut self, frame: Frame<'_>, events: &[ChatEvent], dialect: &dyn Dialect) {
        self.since += 1;
        if self.unused >= PATIENCE && self.since < 256 {
            return;
        }
        let Some((text, is_reasoning)) = only_text(events) else { return };
        self.since = 0;
        if self.learned.take().is_some_and(|learned| !learned.used) {
            self.unused += 1;
        } else {
            self.unused = 0;
        }
        self.learned =
            places(frame.data, text).find(|place| proves(frame, place, events, dialect)).map(|place| {
                Learned {
                    prefix: frame.data[..place.start].to_owned(),
                    suffix: frame.data[place.end..].to_owned(),
                    event: frame.event.map(str::to_owned),
                    is_reasoning,
                    used: false,
                }
            });
    }
}

/// The one piece of text that the events hold beside the id and the model.
fn only_text(events: &[ChatEvent]) -> Option<(&str, bool)> {
    let mut found = None;
    for event in events {
        match event {
            ChatEvent::Started { .. } => {}
            ChatEvent::Text(text) if found.is_none() => found = Some((text.as_str(), false)),
            ChatEvent::Reasoning(text) if found.is_none() => found = Some((text.as_str(), true)),
            _ => return None,
        }
    }
    found
}

/// The places in `data` where `text` stands as the whole of a JSON string, last first: content follows the ids.
fn places<'a>(data: &'a str, text: &'a str) -> impl Iterator<Item = std::ops::Range<usize>> + 'a {
    let quoted = serde_json::to_string(text).unwrap_or_default();
    let found: Vec<_> = memmem::find_iter(data.as_bytes(), quoted.as_bytes()).take(8).collect();
    found.into_iter().rev().map(move |start| start + 1..start + quoted.len() - 1)
}

/// Whether the walk gives the same events with only the text changed when the bytes at `place` change.
fn proves(
    frame: Frame<'_>,
    place: &std::ops::Range<usize>,
    events: &[ChatEvent],
    dialect: &dyn Dialect,
) -> bool {
    let data = format!("{}{MARK}{}", &frame.data[..place.start], &frame.data[place.end..]);
    let mut marked = Vec::with_capacity(events.len());
    let flow = dialect.read_chat(Frame { event: frame.event, data: &data }, &mut marked);
    matches!(flow, Ok(Flow::Continue))
        && marked.len() == events.len()
        && marked.iter().zip(events).all(|(marked, event)| match (marked, event) {
            (ChatEvent::Text(new), ChatEvent::Text(_))
            | (ChatEvent::Reasoning(new), ChatEvent::Reasoning(_)) => new == MARK,
            (marked, event) => marked == event,
        })
}

/// The text that a JSON string with its quotes stands for; `None` where it is not exactly one valid string.
fn unescape(quoted: &str) -> Option<Cow<'_, str>> {
    let inner = &quoted[1..quoted.len() - 1];
    if inner.bytes().all(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\') {
        return Some(Cow::Borrowed(inner));
    }
    serde_json::from_str(quoted).ok().map(Cow::Owned)
}
