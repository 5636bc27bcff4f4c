//! The installation's state: the manual's five rows (section 1.5), and which command is allowed in which.
//!
//! Pure: [`machine`] knows no files, no engine and no clock. What is kept between commands is [`store::Record`];
//! whether a container runs is never kept but asked of the engine.

pub mod images;
pub mod machine;
pub mod store;

pub use machine::{Connector, Mode, State};
