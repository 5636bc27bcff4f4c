//! `metrics`: what the running connector serves over HTTP, through its own socket. So it can be had where the loopback
//! address inside a container cannot be reached, and where the port is switched off.

use super::block_on;
use crate::connector::control::Client;
use crate::connector::metrics;
use crate::error::Result;
use crate::install::Install;
use std::io::Write;
use std::path::Path;

/// Prints the metrics.
pub fn exec(dir: &Path) -> Result<()> {
    let install = Install::open(dir)?;
    let report = block_on(Client::new(install.run_dir()).status())??;
    // A reader that went away is not an error of ours.
    let _ = std::io::stdout().lock().write_all(metrics::render(&report).as_bytes());
    Ok(())
}
