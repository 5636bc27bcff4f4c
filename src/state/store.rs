//! What is kept between commands: `setup/state.json`.
//!
//! Written atomically by the command that holds the directory's lock; a file that cannot be read as what it should be
//! is E103, never a panic and never taken for "incomplete".

use super::{Connector, Mode, State};
use crate::error::{Code, Error, Result};
use crate::install::{self, Install};
use serde::{Deserialize, Serialize};
use std::io::ErrorKind;

/// What setup did and what came after it. Its absence means `Setup: incomplete`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Layout of this file.
    pub version: u32,
    /// Stage or production.
    pub mode: Mode,
    /// `test` has passed since the last setup.
    pub tested: bool,
    /// `update` brought a newer image: `start` has to wait for another `setup`.
    pub setup_due: bool,
    /// Engine's image id (`sha256:…`) that `start` uses.
    pub image: String,
    /// The image that an archive brought (`--image-file`), which setup uses until it is given another way to get one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loaded: Option<String>,
    /// The network mode that setup chose: `host`, `bridge` or `slirp4netns`.
    pub network: String,
    /// The container's name; derived from DIR, so that two installations on one host never meet.
    pub container: String,
    /// When setup was completed, RFC 3339.
    pub completed: String,
}

impl Record {
    /// The state that this record and the engine's word on the container add up to.
    pub fn state(&self, connector: Connector) -> State {
        match connector {
            Connector::Stopped if self.setup_due => State::Incomplete,
            connector => State::Complete(self.mode, connector),
        }
    }
}

/// Layout written by this program.
pub const VERSION: u32 = 1;

/// Reads the record; none where setup was not completed.
pub fn load(install: &Install) -> Result<Option<Record>> {
    let path = install.state_file();
    let broken = |what: String| Error::new(Code::StateBroken, format!("{}: {what}", path.display()));
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(broken("cannot be read".into()).caused_by(error)),
    };
    let record: Record = serde_json::from_slice(&text)
        .map_err(|error| broken("is not a state file".into()).caused_by(error))?;
    if record.version != VERSION {
        return Err(broken(format!("has layout {}, this program knows {VERSION}", record.version)));
    }
    Ok(Some(record))
}

/// Writes the record.
pub fn save(install: &Install, record: &Record) -> Result<()> {
    let mut text =
        serde_json::to_vec_pretty(record).expect("a record has only strings, numbers and booleans");
    text.push(b'\n');
    install::write_atomically(&install.state_file(), &text)
}

/// Forgets the record: back to `Setup: incomplete`.
pub fn clear(install: &Install) -> Result<()> {
    let path = install.state_file();
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(Error::new(Code::WriteFailed, format!("{} cannot be removed", path.display()))
                .caused_by(error))
        }
        _ => Ok(()),
    }
}
