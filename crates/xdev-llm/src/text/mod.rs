//! Work on what models write and on what is written for them: thinking, JSON, schemas, templates.
//!
//! Pure functions over text. Not here: how text arrives (`wire`).

#[cfg(feature = "json")]
pub mod json;
#[cfg(feature = "schema")]
pub mod schema;
#[cfg(feature = "template")]
pub mod template;
mod think;

pub use think::{Piece, ThinkSplitter};
