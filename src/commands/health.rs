//! `health`: the container's health check. Fails when the listener or the uplink is dead.

use super::block_on;
use crate::connector::control::Client;
use crate::error::{Code, Error, Result};
use crate::install::Install;
use std::path::Path;

/// Asks the running connector.
pub fn exec(dir: &Path) -> Result<()> {
    let install = Install::open(dir)?;
    let report = block_on(Client::new(install.run_dir()).status())??;
    match report.unhealthy {
        None => Ok(()),
        Some(why) => Err(Error::new(Code::Unhealthy, why)),
    }
}
