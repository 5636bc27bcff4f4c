//! `reset`: back to zero (manual 3.2). Undelivered production events are never deleted unasked.

use super::{Session, block_on};
use crate::console::Console;
use crate::engine::Engine;
use crate::error::{Code, Error, Result};
use crate::spool::Spool;
use crate::state::machine::Guarded;
use crate::state::{Mode, store};
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

/// What can be asked for.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Also delete the events that wait in spool/, production events too
    #[arg(long)]
    pub delete_events: bool,
}

/// Forgets the configuration.
pub fn exec(dir: &Path, console: Console, options: &Options) -> Result<()> {
    block_on(async {
        let session = Session::exclusive(dir, console, "reset").await?;
        session.allow(Guarded::Reset)?;
        session.engine.remove(&session.container_name(), true).await?;
        let install = &session.install;
        if options.delete_events {
            for mode in [Mode::Stage, Mode::Production] {
                session.delete_spool(mode)?;
            }
        } else {
            session.tell_backlog();
        }
        // The file that people edited is kept beside, out of the way of the next setup.
        let settings = install.settings_file();
        let kept = install.old_settings_file();
        match fs::rename(&settings, &kept) {
            Ok(()) => console.info(format_args!("your settings are kept in {}", kept.display())),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(failed(&settings, error)),
        }
        remove(&install.accepted_settings_dir())?;
        store::clear(install)?;
        console.ok("SOC-Connector reset; run `setup` to begin anew");
        Ok(())
    })?
}

impl<E> Session<E> {
    /// E601 where a connector that no container holds (`run` under systemd) has it open.
    fn delete_spool(&self, mode: Mode) -> Result<()> {
        let dir = self.install.spool_dir(mode);
        // Whatever else is wrong with it, it can be deleted. Its lock is held until it is gone.
        let opened = dir.exists().then(|| Spool::open(&dir, (&self.settings.spool).into()));
        if let Some(Err(error)) = opened
            && error.code() == Code::SpoolBusy
        {
            return Err(error);
        }
        remove(&dir)
    }
}

fn remove(dir: &Path) -> Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(failed(dir, error)),
        _ => Ok(()),
    }
}

fn failed(path: &Path, error: std::io::Error) -> Error {
    Error::new(Code::WriteFailed, format!("{} cannot be moved or removed", path.display())).caused_by(error)
}
