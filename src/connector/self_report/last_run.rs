//! What a run leaves for the next one, `setup/run/last-run-MODE.json`: whether it ended in order, and what it told.
//!
//! Written at the start (not ended), when something was told that must not be told twice, and at the end. A file that
//! cannot be read or written costs a report, or one too many, and nothing else.

use super::watch::Told;
use crate::install::write_atomically;
use crate::state::Mode;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// What the file says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Its start, RFC 3339.
    pub started: String,
    /// Whether it ended because it was told to, or in order after a part had failed.
    pub ended_in_order: bool,
    /// The spool's id; what was told is about this one.
    pub spool_id: String,
    /// What it told.
    pub told: Told,
}

/// The file.
#[derive(Debug, Clone)]
pub struct LastRun(PathBuf);

impl LastRun {
    /// The file of a mode.
    pub fn of(run_dir: &Path, mode: Mode) -> Self {
        Self(run_dir.join(format!("last-run-{}.json", mode.name())))
    }

    /// What the run before left; nothing where there was none.
    pub fn read(&self) -> Option<Run> {
        serde_json::from_slice(&std::fs::read(&self.0).ok()?).ok()
    }

    /// Leaves this for the next run. Blocks until it is on the disk: a crash of the host is a crash too.
    pub fn write(&self, run: &Run) {
        let text = serde_json::to_vec(run).expect("plain fields become JSON");
        if let Err(error) = write_atomically(&self.0, &text) {
            tracing::warn!(%error, "the next run will not know how this one ended");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_found_by_the_same_mode_and_a_damaged_file_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let run = Run {
            started: "2026-01-02T03:04:05Z".to_owned(),
            ended_in_order: false,
            spool_id: "0123abcd".to_owned(),
            told: Told { damaged: 3, endpoint: Some("a:443".to_owned()), ..Told::default() },
        };
        let file = LastRun::of(dir.path(), Mode::Stage);
        assert_eq!(file.read(), None);
        file.write(&run);
        assert_eq!(file.read(), Some(run));
        assert_eq!(LastRun::of(dir.path(), Mode::Production).read(), None);
        std::fs::write(&file.0, "{").unwrap();
        assert_eq!(file.read(), None);
    }
}
