//! Which settings are in force: those that setup accepted, not the file that people edit.

use super::{Settings, load, parse};
use crate::error::{Code, Error, Result};
use crate::install::Install;
use std::io::ErrorKind;

/// The settings as setup accepted them. E103 where the copy in setup/conf/ is not there or not readable.
pub fn load_accepted(install: &Install) -> Result<Settings> {
    let path = install.accepted_settings_file();
    let text = std::fs::read_to_string(&path).map_err(|error| {
        Error::new(Code::StateBroken, format!("{} cannot be read", path.display())).caused_by(error)
    })?;
    parse(&text, &path)
}

/// The settings that `reset` put aside; none where there are none that can be read.
pub fn load_old(install: &Install) -> Option<Settings> {
    let path = install.old_settings_file();
    parse(&std::fs::read_to_string(&path).ok()?, &path).ok()
}

/// The settings for `run`: the accepted ones; where there was no setup (a service without a container), the file that
/// people edit. In the container only the accepted ones are there, under the latter's name.
pub fn load_in_force(install: &Install) -> Result<Settings> {
    let accepted = install.accepted_settings_file();
    match std::fs::metadata(&accepted) {
        Err(error) if error.kind() == ErrorKind::NotFound => load(install),
        _ => load_accepted(install),
    }
}
