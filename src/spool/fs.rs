//! The few things that the spool asks of a file system, as a trait, and the real one.
//!
//! Behind a trait because the spool's promises are about what a disk does at its worst: the tests put a file system
//! here that forgets what was not synced, tears writes and fails on demand. Blocking calls; positions are explicit, so
//! that readers and the writer share no file offset.

use rustix::fs::FlockOperation;
use rustix::io::Errno;
use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// Levels of directories that an installation makes for a spool, `spool/stage`: their names have to reach the disk too.
const NEW_LEVELS: usize = 2;

/// A file's name and size in bytes, as a directory lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Name within its directory.
    pub name: String,
    /// Size in bytes.
    pub len: u64,
}

/// An open file.
pub trait File: Send + Sync {
    /// Reads at `offset` until `buffer` is full or the file ends; how many bytes were read.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes all of `bytes` at `offset`. After an error any part of them may have been written.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Returns when content and size are on the disk. After an error nothing that was written since the last success
    /// may be relied on, even where a later call succeeds: the kernel reports a failed write-back once and forgets it.
    fn sync_data(&self) -> io::Result<()>;

    /// Cuts the file to `len` bytes.
    fn truncate(&self, len: u64) -> io::Result<()>;

    /// Size in bytes.
    fn size(&self) -> io::Result<u64>;
}

/// What holds a lock until it is dropped.
pub trait Held: Send + Sync {}

/// A file system.
pub trait FileSystem: Send + Sync + 'static {
    /// Makes a directory and its parents where they are missing, for this user alone (mode 0700); their names are on the
    /// disk when this returns.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;

    /// The plain files in a directory, in any order.
    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>>;

    /// Makes a new file (mode 0600), open for reading and writing; an existing one is an error.
    fn create(&self, path: &Path) -> io::Result<Box<dyn File>>;

    /// Opens an existing file, for reading alone or for both.
    fn open(&self, path: &Path, writable: bool) -> io::Result<Box<dyn File>>;

    /// Renames within a directory, replacing what has the new name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a name.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Returns when the names in a directory are on the disk.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Bytes that this user may still write on the directory's file system.
    fn free_bytes(&self, dir: &Path) -> io::Result<u64>;

    /// Takes the lock that a file stands for; nothing where another process has it.
    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Held>>>;
}

/// The operating system's.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealFileSystem;

struct RealFile(fs::File);

impl File for RealFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.0.read_at(&mut buffer[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }
}

struct RealLock {
    /// The lock is the kernel's and goes with the descriptor, however the process ends.
    _file: fs::File,
}

impl Held for RealLock {}

impl FileSystem for RealFileSystem {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        // One that was there already may have been made with other rights, or be someone else's: then reading decides.
        let _ = fs::set_permissions(dir, Permissions::from_mode(0o700));
        for parent in dir.ancestors().skip(1).take(NEW_LEVELS) {
            // In a container the parent may not be this user's to open; then it was not made here either.
            let _ = fs::File::open(parent).and_then(|parent| parent.sync_all());
        }
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let metadata = match entry.metadata() {
                Ok(metadata) => metadata,
                // Gone since the directory was read: a live connector removes what was delivered.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            // A name that is not UTF-8 is none of the spool's.
            if let (true, Ok(name)) = (metadata.is_file(), entry.file_name().into_string()) {
                entries.push(Entry { name, len: metadata.len() });
            }
        }
        Ok(entries)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn File>> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)?;
        Ok(Box::new(RealFile(file)))
    }

    fn open(&self, path: &Path, writable: bool) -> io::Result<Box<dyn File>> {
        Ok(Box::new(RealFile(OpenOptions::new().read(true).write(writable).open(path)?)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        fs::File::open(dir)?.sync_all()
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        let stat = rustix::fs::statvfs(dir)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Held>>> {
        let open =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
        let file = match open {
            Ok(file) => file,
            // A file system that went read-only can still be read and locked: the backlog can be delivered.
            Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => fs::File::open(path)?,
            Err(error) => return Err(error),
        };
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Box::new(RealLock { _file: file }))),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}
