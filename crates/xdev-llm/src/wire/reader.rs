//! `Reader` turns the bytes of one answer into events: framer, skeleton, dialect and normaliser in one.
//!
//! It does no IO and knows no clock, so the same function is tested, fuzzed and used. The joined text, thinking, tool
//! calls, counts and finish do not depend on how the bytes are cut. Not here: timeouts and cancelling (`client`).

use std::sync::Arc;

use serde_json::Value;

use super::normalise::Normaliser;
use super::skeleton::Skeleton;
use super::{Dialect, Flow, Frame, Framer, Framing};
use crate::chat::ChatEvent;
use crate::error::{Error, ErrorKind, Result};

/// `Reader` reads one answer.
#[derive(Debug)]
pub struct Reader {
    framer: Framer,
    state: State,
}

#[derive(Debug)]
struct State {
    dialect: Arc<dyn Dialect>,
    skeleton: Option<Skeleton>,
    normaliser: Normaliser,
    /// What the dialect read from the frame at hand.
    raw: Vec<ChatEvent>,
    done: bool,
    understood: u64,
    malformed: u64,
    /// The beginning of the first frame that was not understood.
    first_malformed: Option<String>,
}

impl Reader {
    /// Makes a reader of an answer framed as `framing`.
    pub fn new(dialect: Arc<dyn Dialect>, framing: Framing) -> Self {
        Reader {
            framer: Framer::new(framing),
            state: State {
                dialect,
                skeleton: Some(Skeleton::default()),
                normaliser: Normaliser::default(),
                raw: Vec::new(),
                done: false,
                understood: 0,
                malformed: 0,
                first_malformed: None,
            },
        }
    }

    /// Turns the accelerator off; the events are the same. For tests and benches.
    pub fn without_skeleton(mut self) -> Self {
        self.state.skeleton = None;
        self
    }

    /// Takes in bytes; what happened goes to `out`.
    ///
    /// # Errors
    /// What the server sent as an error, and [`ErrorKind::Protocol`] for a frame over the cap.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<ChatEvent>) -> Result<()> {
        let state = &mut self.state;
        if !state.done {
            self.framer.push(bytes, |frame| state.take(frame, out))?;
        }
        Ok(())
    }

    /// Whether the stream said that it is over; further bytes are ignored.
    pub fn is_done(&self) -> bool {
        self.state.done
    }

    /// Whether a finish reason has come; only counts and the end may follow.
    pub fn is_finished(&self) -> bool {
        self.state.normaliser.is_finished()
    }

    /// Ends the answer.
    ///
    /// # Errors
    /// [`ErrorKind::CutOff`] without a finish reason; [`ErrorKind::Protocol`] when nothing in the answer was understood.
    pub fn finish(&mut self, out: &mut Vec<ChatEvent>) -> Result<()> {
        let state = &mut self.state;
        if !state.done {
            self.framer.finish(|frame| state.take(frame, out))?;
        }
        if state.understood == 0 {
            return Err(state.nothing_understood());
        }
        if state.malformed > 0 {
            out.push(ChatEvent::Extra("malformed_frames".into(), Value::from(state.malformed)));
        }
        state.normaliser.finish(out)
    }
}

impl State {
    /// Takes in one frame; whether more may come.
    fn take(&mut self, frame: Frame<'_>, out: &mut Vec<ChatEvent>) -> Result<bool> {
        if let Some(skeleton) = &mut self.skeleton
            && let Some(piece) = skeleton.read(frame)
        {
            self.understood += 1;
            if piece.is_reasoning {
                self.normaliser.reasoning(&piece.text, out);
            } else {
                self.normaliser.text(&piece.text, out);
            }
            return Ok(true);
        }
        self.raw.clear();
        let flow = self.dialect.read_chat(frame, &mut self.raw)?;
        if let (Flow::Continue, Some(skeleton)) = (flow, &mut self.skeleton) {
            skeleton.learn(frame, &self.raw, &*self.dialect);
        }
        for event in self.raw.drain(..) {
            self.normaliser.push(event, out);
        }
        match flow {
            Flow::Continue => self.understood += 1,
            Flow::Done => {
                // `[DONE]` alone proves nothing, Ollama's last line is an answer.
                self.understood += u64::from(self.normaliser.is_finished());
                self.done = true;
            }
            Flow::Malformed => {
                self.malformed += 1;
                self.first_malformed.get_or_insert_with(|| frame.data.chars().take(200).collect());
            }
        }
        Ok(flow != Flow::Done)
    }

    fn nothing_understood(&self) -> Error {
        match &self.first_malformed {
            Some(start) if start.trim_start().starts_with('<') => {
                Error::new(ErrorKind::Protocol, "Unexpected response format: a web page came instead of an answer.")
            }
            Some(start) => {
                Error::new(ErrorKind::Protocol, "Unexpected response format: this is not an answer to a chat.")
                    .with_said(start.clone())
            }
            None => Error::new(
                ErrorKind::Protocol,
                "Unexpected response format: the server sent an empty answer without a single event.",
            )
            .with_hint(
                "The prompt may be longer than the model's context (some LM Studio builds answer like this), or the model crashed: look at the server's log.",
            ),
        }
    }
}
