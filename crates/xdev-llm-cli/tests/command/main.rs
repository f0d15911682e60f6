//! The command as a person or a script meets it: a real process, a server that plays along or misbehaves.
//!
//! Every child has a home of its own and none of our environment, so that tests neither read nor write a user's files.
//! Not here: unit tests (at the foot of each file), the library's own behaviour suite.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod ask;
mod chat;
mod compare;
mod engine;
mod examine;
mod memory;
mod offline;
mod page;
mod routes;
mod sandbox;
