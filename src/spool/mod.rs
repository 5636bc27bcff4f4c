//! The crash-safe queue on disk between listener and uplink.

mod findings;
pub mod fs;
mod index;
mod options;
mod quarantine;
pub mod queue;
mod reader;
mod record;
mod recovery;
mod segment;
mod shared;
#[allow(clippy::module_inception)] // The module is the noun, the type is what is opened.
mod spool;
mod state;
mod tail;
mod write;

pub use findings::{Findings, StateFound};
pub use options::Options;
pub use queue::{Chunk, Queue};
pub use shared::{DiskState, Dropped, Status};
pub use spool::{Append, Spool};

#[cfg(test)]
mod tests;
