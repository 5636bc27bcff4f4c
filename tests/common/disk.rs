//! A disk that can be full or read-only, for real.

use super::run;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file system of a few megabytes in memory.
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts it over a directory, which is made; it is gone with the value.
    pub fn mount(at: &Path, mib: u64) -> Self {
        fs::create_dir_all(at).unwrap();
        run(Command::new("mount").args(["-t", "tmpfs", "-o", &format!("size={mib}m"), "tmpfs"]).arg(at)).ok();
        Self(at.to_owned())
    }

    /// Takes all that is free.
    pub fn fill(&self) {
        let mut filler =
            fs::OpenOptions::new().create(true).append(true).open(self.0.join("filler")).unwrap();
        let mut size = 1 << 20;
        while size > 0 {
            // A part may be written before the error.
            if let Err(error) = filler.write_all(&vec![b'x'; size]) {
                assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
                size /= 2;
            }
        }
    }

    /// Gives back what [`Self::fill`] took.
    pub fn free(&self) {
        fs::remove_file(self.0.join("filler")).unwrap();
    }

    /// Changes the mount: `ro`, which nobody may be writing to at this moment, or `rw`.
    pub fn remount(&self, option: &str) {
        run(Command::new("mount").args(["-o", &format!("remount,{option}")]).arg(&self.0)).ok();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        run(Command::new("umount").arg("--lazy").arg(&self.0));
    }
}
