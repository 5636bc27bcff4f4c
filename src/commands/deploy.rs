//! `deploy`: from stage to production mode (manual 2.1.1).

use super::setup::show;
use super::{Session, block_on};
use crate::checks;
use crate::clock::SystemClock;
use crate::console::Console;
use crate::error::{Code, Error, Result};
use crate::state::machine::Guarded;
use crate::state::{Connector, Mode, store};
use std::path::Path;

/// Switches to production mode, when at least one concentrator takes this certificate.
pub fn exec(dir: &Path, console: Console) -> Result<()> {
    block_on(async {
        let session = Session::exclusive(dir, console, "deploy").await?;
        let record = session.allow(Guarded::Deploy)?.expect("deploy is allowed only after setup");
        let mut record = record.clone();
        let context = checks::Context {
            dir: session.install.dir(),
            settings: &session.settings,
            mode: Mode::Production,
            proc: Path::new("/proc"),
            clock: &SystemClock,
            uid: rustix::process::geteuid().as_raw(),
            own_port: None,
        };
        let report = checks::run_all(&context, &mut |finding| {
            show(console, finding);
        })
        .await;
        if report.failures() > 0 {
            let what = format!("still in stage mode: {} checks failed", report.failures());
            return Err(Error::new(Code::ChecksFailed, what));
        }
        record.mode = Mode::Production;
        store::save(&session.install, &record)?;
        console.ok("SOC-Connector is in production mode");
        console.info(record.state(Connector::Stopped));
        Ok(())
    })?
}
