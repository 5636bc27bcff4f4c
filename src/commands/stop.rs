//! `stop`: drain, stop, remove.

use super::{Session, block_on};
use crate::connector::DRAIN;
use crate::console::Console;
use crate::engine::Engine;
use crate::error::Result;
use crate::state::machine::Guarded;
use std::path::Path;
use std::time::Duration;

/// On top of the connector's own bound on draining: what it needs to end after that, before the engine kills it.
const MARGIN: Duration = Duration::from_secs(5);

/// Stops the connector.
pub fn exec(dir: &Path, console: Console) -> Result<()> {
    block_on(async {
        let session = Session::exclusive(dir, console, "stop").await?;
        session.allow(Guarded::Stop)?;
        session.stop_connector().await?;
        console.ok("SOC-Connector stopped");
        session.tell_backlog();
        Ok(())
    })?
}

impl<E: Engine> Session<E> {
    /// Lets the connector drain, then removes its container; also a leftover one that does not run.
    pub(super) async fn stop_connector(&self) -> Result<()> {
        let name = self.container_name();
        if self.running() {
            self.console.info("stopping SOC-Connector, events on their way are delivered first ...");
            self.engine.stop(&name, DRAIN + MARGIN).await?;
        }
        self.engine.remove(&name, true).await?;
        Ok(())
    }
}
