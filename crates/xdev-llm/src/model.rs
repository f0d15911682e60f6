//! To be written.
/// A model (being written elsewhere).
#[derive(Clone, Debug, Default)]
pub struct ModelInfo;
