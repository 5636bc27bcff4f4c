//! `delete`: removes a leftover container (manual 3.3).

use super::{Session, block_on};
use crate::console::Console;
use crate::engine::Engine;
use crate::error::Result;
use crate::state::machine::Guarded;
use std::path::Path;

/// Removes the container, if there is one.
pub fn exec(dir: &Path, console: Console) -> Result<()> {
    block_on(async {
        let session = Session::exclusive(dir, console, "delete").await?;
        session.allow(Guarded::Delete)?;
        let name = session.container_name();
        if session.engine.remove(&name, true).await? {
            console.ok(format_args!("container {name} deleted"));
        } else {
            console.ok(format_args!("there is no container {name}"));
        }
        Ok(())
    })?
}
