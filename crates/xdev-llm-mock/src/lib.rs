//! A local model server for tests: deterministic, controllable, and wrong on purpose.
//!
//! [`Mock::start`] plays a [`Personality`] on a loopback port; a [`Script`] says what the next answers are, when their
//! bytes come and which [`Fault`]s spoil them; [`Mock::requests`] tells what the client sent and when it left. [`Options`] and
//! [`Model`]s say what is in memory, how long a load takes and how it fails; [`Mock::instances`] tells what is there now.
//! Standard library sockets and hand-written HTTP, so that any byte can be wrong. Nothing here uses
//! the client library, so that errors cannot cancel out.
//!
//! ```
//! use std::time::Duration;
//! use xdev_llm_mock::{Fault, Mock, Personality, Script};
//!
//! let mock = Mock::start(Personality::LlamaCpp);
//! mock.set_script(Script::new().text("Hello there").delay(Duration::from_millis(5)));
//! mock.push_script(Script::new().fault(Fault::Stall { after_tokens: 3 }));
//! assert!(mock.url().starts_with("http://127.0.0.1:"));
//! ```

mod chat;
#[cfg(feature = "cli")]
pub mod cli;
mod connection;
mod control;
mod dress;
mod emit;
mod faults;
mod flow;
mod http;
mod memory;
mod model;
mod moment;
mod openai;
mod options;
mod personality;
mod script;
mod server;
mod servers;

pub use faults::{FAULT_MESSAGE, FAULTS, Fault, ParseError};
pub use memory::{Instance, InstanceState};
pub use model::{Model, ModelKind, Shape};
pub use options::Options;
pub use personality::Personality;
pub use script::{Chunking, RawReply, ReasoningField, Script, ToolCall};
pub use server::{Mock, Request};
