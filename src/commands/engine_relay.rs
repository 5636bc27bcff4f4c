//! `engine-relay`: the privileged helper that a command with `--sudo` starts for its own duration.

use super::block_on;
use crate::engine;
use crate::error::Result;

pub use engine::RelayArgs as Options;

/// Relays until standard input ends.
pub fn exec(options: Options) -> Result<()> {
    block_on(engine::relay::relay(options))?
}
