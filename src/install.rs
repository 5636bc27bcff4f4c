//! The installation directory: every path in it, its lock, and files written whole or not at all.
//!
//! Nothing else builds a path inside DIR. Directories are made with mode 0700 and files with 0600: keys, events and
//! state are the operator's alone.

use crate::error::{Code, Error, Result};
use crate::state::Mode;
use rustix::fs::FlockOperation;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// An installation directory (`$SOC_DIR` in the manual). The path is absolute.
#[derive(Debug, Clone)]
pub struct Install {
    dir: PathBuf,
}

impl Install {
    /// Opens an existing directory. E101 where it is none.
    pub fn open(dir: &Path) -> Result<Self> {
        let dir = fs::canonicalize(dir).map_err(|error| {
            Error::new(Code::DirUnusable, format!("{} cannot be opened", dir.display())).caused_by(error)
        })?;
        if !dir.is_dir() {
            return Err(Error::new(Code::DirUnusable, format!("{} is not a directory", dir.display())));
        }
        Ok(Self { dir })
    }

    /// DIR itself.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The container's name: derived from DIR, so that two installations on one host never meet.
    pub fn container_name(&self) -> String {
        let digest =
            aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, self.dir.as_os_str().as_encoded_bytes());
        let short = u32::from_be_bytes(digest.as_ref()[..4].try_into().expect("SHA-256 has 32 bytes"));
        format!("soc-connector-{short:08x}")
    }

    /// User and group of DIR: the operator's, whoever runs the command.
    pub fn owner(&self) -> Result<(u32, u32)> {
        let metadata = fs::metadata(&self.dir).map_err(|error| {
            Error::new(Code::DirUnusable, format!("{} cannot be read", self.dir.display())).caused_by(error)
        })?;
        Ok((metadata.uid(), metadata.gid()))
    }

    /// `conf/soc-connector.toml`.
    pub fn settings_file(&self) -> PathBuf {
        self.dir.join("conf/soc-connector.toml")
    }

    /// Where `reset` leaves the settings of before.
    pub fn old_settings_file(&self) -> PathBuf {
        self.dir.join("conf/soc-connector.toml.old")
    }

    /// `setup/conf/`: the settings as setup accepted them. These are in force, not the file that people edit, so that
    /// a production connector never restarts with a setting that was not tested.
    pub fn accepted_settings_dir(&self) -> PathBuf {
        self.dir.join("setup/conf")
    }

    /// `setup/conf/soc-connector.toml`.
    pub fn accepted_settings_file(&self) -> PathBuf {
        self.accepted_settings_dir().join("soc-connector.toml")
    }

    /// `setup/`: what setup found and did, and the running connector's socket.
    pub fn setup_dir(&self) -> PathBuf {
        self.dir.join("setup")
    }

    /// `setup/state.json`.
    pub fn state_file(&self) -> PathBuf {
        self.dir.join("setup/state.json")
    }

    /// `setup/images`: what images the engine was given; outlives the state, for `purge`.
    pub fn images_file(&self) -> PathBuf {
        self.dir.join("setup/images")
    }

    /// `setup/run/`: what the running connector shows of itself; the only part of setup/ that the container can write.
    pub fn run_dir(&self) -> PathBuf {
        self.dir.join("setup/run")
    }

    /// `logs/`.
    pub fn logs_dir(&self) -> PathBuf {
        self.dir.join("logs")
    }

    /// `spool/stage` or `spool/production`.
    pub fn spool_dir(&self, mode: Mode) -> PathBuf {
        self.dir.join("spool").join(mode.name())
    }

    /// Makes what a connector in the foreground writes to, where it is missing. In the container the engine's mounts are
    /// there already, and nothing else could be made.
    pub fn create_run_layout(&self, mode: Mode) -> Result<()> {
        create_private(&[self.run_dir(), self.logs_dir(), self.spool_dir(mode)])
    }

    /// Makes conf/, setup/ with its parts, logs/ and both spool directories where they are missing.
    pub fn create_layout(&self) -> Result<()> {
        create_private(&[
            self.dir.join("conf"),
            self.accepted_settings_dir(),
            self.run_dir(),
            self.logs_dir(),
            self.spool_dir(Mode::Stage),
            self.spool_dir(Mode::Production),
        ])
    }

    /// Takes the directory's lock for a command that changes something; E102 names the command that has it.
    ///
    /// The lock is the kernel's (`flock`): it is gone with the process, however that ends.
    pub fn lock(&self, command: &str) -> Result<Lock> {
        let path = self.dir.join(".soc-connector.lock");
        let unusable = |error: std::io::Error| {
            Error::new(Code::DirUnusable, format!("{} cannot be opened", path.display())).caused_by(error)
        };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(unusable)?;
        if let Err(error) = rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            if error != rustix::io::Errno::WOULDBLOCK {
                return Err(unusable(error.into()));
            }
            let mut holder = String::new();
            // What the holder wrote is for people only; an unreadable note still means that there is a holder.
            let _ = file.read_to_string(&mut holder);
            let holder = holder.trim();
            let holder = if holder.is_empty() { "another command" } else { holder };
            return Err(Error::new(
                Code::DirBusy,
                format!("{holder} is at work in {}; wait until it has ended", self.dir.display()),
            ));
        }
        file.set_len(0).map_err(unusable)?;
        file.rewind().map_err(unusable)?;
        write!(file, "`{command}` (process {})", std::process::id()).map_err(unusable)?;
        Ok(Lock { _file: file })
    }
}

/// Held while a command changes the installation.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

fn create_private(dirs: &[PathBuf]) -> Result<()> {
    for dir in dirs {
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|error| {
            Error::new(Code::WriteFailed, format!("{} cannot be created", dir.display())).caused_by(error)
        })?;
    }
    Ok(())
}

/// Writes a file so that after any crash there is the old content or the new one, never a part: temporary file in the
/// same directory, sync, rename, sync of the directory. Mode 0600.
pub fn write_atomically(path: &Path, content: &[u8]) -> Result<()> {
    let attempt = || -> std::io::Result<()> {
        // The parent of a bare name is the empty path, which means here.
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(format!(".{}.tmp", std::process::id()));
        let temporary = PathBuf::from(temporary);
        let written = (|| {
            let mut file =
                OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
            file.write_all(content)?;
            file.sync_all()?;
            fs::rename(&temporary, path)
        })();
        if written.is_err() {
            // The first error is the one that matters.
            let _ = fs::remove_file(&temporary);
        }
        written?;
        File::open(dir)?.sync_all()
    };
    attempt().map_err(|error| {
        Error::new(Code::WriteFailed, format!("{} cannot be written", path.display())).caused_by(error)
    })
}

/// The login name of a user, from /etc/passwd (passwd(5)); the number where it has no line there.
pub fn user_name(uid: u32) -> String {
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let mut lines = passwd.lines().map(|line| line.split(':'));
    let name = lines.find_map(|mut fields| {
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    });
    name.unwrap_or_else(|| uid.to_string())
}
