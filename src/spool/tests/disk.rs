//! A file system at its worst: it forgets what was not synced, in any order and torn at any byte, and it fails when it
//! is told to. One directory, in memory.
//!
//! A failed sync behaves as Linux does: the pages are marked clean, so that reading shows the data, a later sync
//! succeeds, and a power cut still takes any part of it away.

use crate::spool::fs::{Entry, File, FileSystem, Held};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

/// How an operation fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Writes, syncs and changes of names answer EIO.
    Io,
    /// Only syncs do.
    Sync,
    /// Only syncs of files' data do, while new names reach the disk.
    Data,
    /// Writes and new files answer ENOSPC.
    Space,
    /// Everything that changes something answers EROFS.
    ReadOnly,
}

/// What was asked of the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Files opened or made.
    pub opens: u64,
    /// Reads and the bytes in them.
    pub reads: u64,
    pub bytes_read: u64,
    /// Files synced.
    pub syncs: u64,
    /// Writes.
    pub writes: u64,
}

#[derive(Debug, Clone)]
enum Change {
    Write { at: usize, bytes: Vec<u8> },
    Truncate(usize),
}

impl Change {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Self::Write { at, bytes } => {
                let end = at + bytes.len();
                content.resize(content.len().max(end), 0);
                content[*at..end].copy_from_slice(bytes);
            }
            Self::Truncate(len) => content.resize(*len, 0),
        }
    }
}

#[derive(Debug, Clone)]
enum Naming {
    Create(String, usize),
    Rename(String, String),
    Remove(String),
}

impl Naming {
    fn apply(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            Self::Create(name, inode) => {
                names.insert(name.clone(), *inode);
            }
            Self::Rename(from, to) => {
                if let Some(inode) = names.remove(from) {
                    names.insert(to.clone(), inode);
                }
            }
            Self::Remove(name) => {
                names.remove(name);
            }
        }
    }
}

#[derive(Debug, Default)]
struct Inode {
    now: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Change>,
    unreadable: Vec<std::ops::Range<u64>>,
}

#[derive(Debug, Default)]
struct Inner {
    inodes: Vec<Inode>,
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    namings: Vec<Naming>,
    free: Option<u64>,
    is_quota: bool,
    faults: Vec<(u64, u64, Fault)>,
    step: u64,
    random: u64,
    counters: Counters,
    locked: bool,
}

impl Inner {
    fn random(&mut self, below: usize) -> usize {
        // xorshift64*: the seed comes from the test case, so that a failing case can be repeated.
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        let mixed = self.random.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        if below == 0 { 0 } else { mixed as usize % below }
    }

    /// Counts one operation; the fault that hits it, where one does.
    fn fault(&mut self, hit_by: &[Fault]) -> io::Result<()> {
        self.step += 1;
        let step = self.step;
        let hit = self
            .faults
            .iter()
            .find(|(from, until, fault)| (*from..*until).contains(&step) && hit_by.contains(fault));
        match hit {
            None => Ok(()),
            Some((_, _, Fault::Io | Fault::Sync | Fault::Data)) => Err(io::Error::from_raw_os_error(5)),
            Some((_, _, Fault::Space)) => Err(io::Error::from_raw_os_error(28)),
            Some((_, _, Fault::ReadOnly)) => Err(io::Error::from_raw_os_error(30)),
        }
    }

    fn some_of(&mut self, inode: usize) {
        let pending = std::mem::take(&mut self.inodes[inode].pending);
        for change in pending {
            match self.random(4) {
                0 => {}
                1 => {
                    // Torn: some sectors reach the disk, and one of them perhaps not whole.
                    if let Change::Write { at, bytes } = &change {
                        for (index, sector) in bytes.chunks(64).enumerate() {
                            if self.random(3) > 0 {
                                let until = if self.random(4) == 0 {
                                    self.random(sector.len() + 1)
                                } else {
                                    sector.len()
                                };
                                let bytes = sector[..until].to_vec();
                                Change::Write { at: at + index * 64, bytes }
                                    .apply(&mut self.inodes[inode].durable);
                            }
                        }
                    }
                }
                _ => change.apply(&mut self.inodes[inode].durable),
            }
        }
    }
}

/// The simulated disk; clones are the same disk.
#[derive(Debug, Clone, Default)]
pub struct Disk(Arc<Mutex<Inner>>);

impl Disk {
    /// An empty disk with this source of chance.
    pub fn new(seed: u64) -> Self {
        let disk = Self::default();
        disk.inner().random = seed | 1;
        disk
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap()
    }

    /// What was asked so far.
    pub fn counters(&self) -> Counters {
        self.inner().counters
    }

    /// From `after` operations on, `count` operations fail.
    pub fn fail(&self, after: u64, count: u64, fault: Fault) {
        let mut inner = self.inner();
        let from = inner.step + 1 + after;
        inner.faults.push((from, from + count, fault));
    }

    /// Nothing fails any more.
    pub fn heal(&self) {
        self.inner().faults.clear();
    }

    /// Whether a fault may still hit.
    pub fn is_sick(&self) -> bool {
        let inner = self.inner();
        inner.free.is_some() || inner.faults.iter().any(|(_, until, _)| *until > inner.step)
    }

    /// Bytes that are free from now on.
    pub fn set_free(&self, free: Option<u64>) {
        self.inner().free = free;
    }

    /// What is full is a quota.
    pub fn set_quota(&self) {
        self.inner().is_quota = true;
    }

    /// Power is cut: names and content go back to what was synced, and any part of the rest.
    pub fn power_cut(&self) {
        let mut inner = self.inner();
        for inode in 0..inner.inodes.len() {
            inner.some_of(inode);
            inner.inodes[inode].now = inner.inodes[inode].durable.clone();
        }
        let mut names = std::mem::take(&mut inner.durable_names);
        for naming in std::mem::take(&mut inner.namings) {
            if inner.random(3) > 0 {
                naming.apply(&mut names);
            }
        }
        inner.names = names.clone();
        inner.durable_names = names;
    }

    /// The names that there are.
    pub fn names(&self) -> Vec<String> {
        self.inner().names.keys().cloned().collect()
    }

    /// Changes a file's content on the disk itself.
    pub fn damage(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut inner = self.inner();
        let inode = inner.names[name];
        let inode = &mut inner.inodes[inode];
        change(&mut inode.now);
        inode.durable = inode.now.clone();
        inode.pending.clear();
    }

    /// A file's content.
    pub fn content(&self, name: &str) -> Vec<u8> {
        let inner = self.inner();
        inner.inodes[inner.names[name]].now.clone()
    }

    /// Reads that touch this range of a file fail from now on.
    pub fn make_unreadable(&self, name: &str, range: std::ops::Range<u64>) {
        let mut inner = self.inner();
        let inode = inner.names[name];
        inner.inodes[inode].unreadable.push(range);
    }

    /// A name is removed behind the spool's back.
    pub fn lose(&self, name: &str) {
        let mut inner = self.inner();
        inner.names.remove(name).unwrap();
        inner.durable_names.remove(name);
    }

    fn used(inner: &Inner) -> u64 {
        inner.names.values().map(|inode| inner.inodes[*inode].now.len() as u64).sum()
    }
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

struct DiskFile {
    disk: Disk,
    inode: usize,
    writable: bool,
}

impl File for DiskFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut inner = self.disk.inner();
        let inode = &inner.inodes[self.inode];
        let from = (offset as usize).min(inode.now.len());
        let count = buffer.len().min(inode.now.len() - from);
        let touched = offset..offset + count as u64;
        if inode.unreadable.iter().any(|bad| bad.start < touched.end && touched.start < bad.end) {
            return Err(io::Error::from_raw_os_error(5));
        }
        buffer[..count].copy_from_slice(&inode.now[from..from + count]);
        inner.counters.reads += 1;
        inner.counters.bytes_read += count as u64;
        Ok(count)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        assert!(self.writable, "written through a file opened for reading");
        let mut inner = self.disk.inner();
        inner.counters.writes += 1;
        let mut result = inner.fault(&[Fault::Io, Fault::Space, Fault::ReadOnly]);
        let grows = (offset + bytes.len() as u64).saturating_sub(inner.inodes[self.inode].now.len() as u64);
        if result.is_ok() && inner.free.is_some_and(|free| Disk::used(&inner) + grows > free) {
            result = Err(io::Error::from_raw_os_error(if inner.is_quota { 122 } else { 28 }));
        }
        let written = if result.is_ok() { bytes.len() } else { inner.random(bytes.len()) };
        let change = Change::Write { at: offset as usize, bytes: bytes[..written].to_vec() };
        let inode = &mut inner.inodes[self.inode];
        change.apply(&mut inode.now);
        inode.pending.push(change);
        result
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut inner = self.disk.inner();
        inner.counters.syncs += 1;
        if let Err(error) = inner.fault(&[Fault::Io, Fault::Sync, Fault::Data, Fault::ReadOnly]) {
            inner.some_of(self.inode);
            return Err(error);
        }
        let inode = &mut inner.inodes[self.inode];
        for change in std::mem::take(&mut inode.pending) {
            change.apply(&mut inode.durable);
        }
        Ok(())
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        let mut inner = self.disk.inner();
        inner.fault(&[Fault::Io, Fault::ReadOnly])?;
        let inode = &mut inner.inodes[self.inode];
        let change = Change::Truncate(len as usize);
        change.apply(&mut inode.now);
        inode.pending.push(change);
        Ok(())
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.disk.inner().inodes[self.inode].now.len() as u64)
    }
}

struct DiskLock(Disk);

impl Held for DiskLock {}

impl Drop for DiskLock {
    fn drop(&mut self) {
        self.0.inner().locked = false;
    }
}

impl FileSystem for Disk {
    fn create_dir(&self, _dir: &Path) -> io::Result<()> {
        Ok(())
    }

    fn list(&self, _dir: &Path) -> io::Result<Vec<Entry>> {
        let inner = self.inner();
        let entry = |(name, inode): (&String, &usize)| Entry {
            name: name.clone(),
            len: inner.inodes[*inode].now.len() as u64,
        };
        Ok(inner.names.iter().map(entry).collect())
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn File>> {
        let mut inner = self.inner();
        inner.counters.opens += 1;
        inner.fault(&[Fault::Io, Fault::Space, Fault::ReadOnly])?;
        let name = name(path);
        if inner.names.contains_key(&name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let inode = inner.inodes.len();
        inner.inodes.push(Inode::default());
        inner.names.insert(name.clone(), inode);
        inner.namings.push(Naming::Create(name, inode));
        Ok(Box::new(DiskFile { disk: self.clone(), inode, writable: true }))
    }

    fn open(&self, path: &Path, writable: bool) -> io::Result<Box<dyn File>> {
        let mut inner = self.inner();
        inner.counters.opens += 1;
        if writable {
            inner.fault(&[Fault::ReadOnly])?;
        }
        let inode = *inner.names.get(&name(path)).ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(DiskFile { disk: self.clone(), inode, writable }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut inner = self.inner();
        inner.fault(&[Fault::Io, Fault::ReadOnly])?;
        if !inner.names.contains_key(&name(from)) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let naming = Naming::Rename(name(from), name(to));
        naming.apply(&mut inner.names);
        inner.namings.push(naming);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut inner = self.inner();
        inner.fault(&[Fault::Io, Fault::ReadOnly])?;
        if !inner.names.contains_key(&name(path)) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let naming = Naming::Remove(name(path));
        naming.apply(&mut inner.names);
        inner.namings.push(naming);
        Ok(())
    }

    fn sync_dir(&self, _dir: &Path) -> io::Result<()> {
        let mut inner = self.inner();
        inner.fault(&[Fault::Io, Fault::Sync, Fault::ReadOnly])?;
        inner.namings.clear();
        inner.durable_names = inner.names.clone();
        Ok(())
    }

    fn free_bytes(&self, _dir: &Path) -> io::Result<u64> {
        let inner = self.inner();
        Ok(inner.free.map_or(u64::MAX, |free| free.saturating_sub(Disk::used(&inner))))
    }

    fn lock(&self, _path: &Path) -> io::Result<Option<Box<dyn Held>>> {
        let mut inner = self.inner();
        if inner.locked {
            return Ok(None);
        }
        inner.locked = true;
        Ok(Some(Box::new(DiskLock(self.clone()))))
    }
}
