//! The crash-safe queue on disk between listener and uplink.

pub mod queue;

pub use queue::{Chunk, Queue};
