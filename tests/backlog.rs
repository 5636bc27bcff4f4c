//! Opening a spool takes as long for a long backlog as for a short one: what is opened and read is counted, on a real
//! file system. `docs/reliability.md` has the figures for 10 GB; this repeats them:
//!
//! `SPOOL_BACKLOG_MIB=10240 cargo test --release --test backlog -- --nocapture`

#![allow(clippy::unwrap_used, reason = "a test that panics has said enough")]

use soc_connector::batch::{Batch, Origin, Transport};
use soc_connector::clock::UnixMicros;
use soc_connector::settings::WhenFull;
use soc_connector::spool::fs::{Entry, File, FileSystem, Held, RealFileSystem};
use soc_connector::spool::{Append, Options, Queue, Spool};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// The long backlog in a normal run.
const BACKLOG_MIB: u64 = 192;
/// A typical message.
const MESSAGE_BYTES: usize = 300;
const BATCH_MESSAGES: usize = 800;
/// Batches between two syncs.
const SYNC_EVERY: u64 = 40;

/// What was asked of the file system.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Asked {
    opened: u64,
    reads: u64,
    bytes_read: u64,
}

/// The operating system's file system, counting.
#[derive(Default, Clone)]
struct Counting {
    asked: Arc<Mutex<Asked>>,
    /// Names in the last listing.
    listed: Arc<AtomicU64>,
}

struct CountingFile {
    file: Box<dyn File>,
    asked: Arc<Mutex<Asked>>,
}

impl File for CountingFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let count = self.file.read_at(buffer, offset)?;
        let mut asked = self.asked.lock().unwrap();
        asked.reads += 1;
        asked.bytes_read += count as u64;
        Ok(count)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.file.truncate(len)
    }

    fn size(&self) -> io::Result<u64> {
        self.file.size()
    }
}

impl FileSystem for Counting {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        RealFileSystem.create_dir(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        let entries = RealFileSystem.list(dir)?;
        self.listed.store(entries.len() as u64, Relaxed);
        Ok(entries)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn File>> {
        Ok(Box::new(CountingFile { file: RealFileSystem.create(path)?, asked: Arc::clone(&self.asked) }))
    }

    fn open(&self, path: &Path, writable: bool) -> io::Result<Box<dyn File>> {
        self.asked.lock().unwrap().opened += 1;
        let file = RealFileSystem.open(path, writable)?;
        Ok(Box::new(CountingFile { file, asked: Arc::clone(&self.asked) }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealFileSystem.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        RealFileSystem.remove(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        RealFileSystem.sync_dir(dir)
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        RealFileSystem.free_bytes(dir)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Held>>> {
        RealFileSystem.lock(path)
    }
}

fn options() -> Options {
    Options {
        max_bytes: u64::MAX / 2,
        reserve_bytes: 0,
        when_full: WhenFull::Block,
        segment_bytes: 64 << 20,
        tail_bytes: 32 << 20,
        state_sync_interval: Duration::from_secs(1),
    }
}

/// Writes a backlog of so many bytes; the process then ends as one that is killed does, or in order.
fn fill(dir: &Path, bytes: u64, in_order: bool) -> u64 {
    let (spool, _) = Spool::open(dir, options()).unwrap();
    let mut batch = Batch::default();
    let origin = Origin {
        received: UnixMicros(1_800_000_000_000_000),
        source: ([192, 0, 2, 1], 514).into(),
        transport: Transport::Tcp,
        cut: false,
    };
    for _ in 0..BATCH_MESSAGES {
        batch.push(origin, &[b'x'; MESSAGE_BYTES]);
    }
    let batch = Arc::new(batch);
    let mut batches = 0;
    while batches == 0 || spool.status().size_bytes < bytes {
        assert!(matches!(spool.append(Arc::clone(&batch)).unwrap(), Append::Stored { .. }));
        batches += 1;
        if batches % SYNC_EVERY == 0 {
            spool.sync().unwrap();
        }
    }
    spool.sync().unwrap();
    if in_order {
        spool.close().unwrap();
    }
    spool.status().events
}

/// Opens it and reads the first events, as a start does before it can send.
fn open(dir: &Path, events: u64) -> Asked {
    let fs = Counting::default();
    let begun = Instant::now();
    let (spool, findings) = Spool::open_on(Arc::new(fs.clone()), dir, options()).unwrap();
    let opened = begun.elapsed();
    let asked = fs.asked.lock().unwrap().clone();
    let names = fs.listed.load(Relaxed);
    assert_eq!(spool.status().events, events);
    assert_eq!(findings.missing_events(), 0);
    let begun = Instant::now();
    let first = spool.read_after(0, 2048, 1 << 20).unwrap().unwrap();
    assert_eq!(first.first_seq, 1);
    println!(
        "{:>6} MiB, {events} events, {names} names: opened in {:.2} ms ({} files opened, {} bytes read), first events {:.2} ms later",
        spool.status().size_bytes >> 20,
        opened.as_secs_f64() * 1000.0,
        asked.opened,
        asked.bytes_read,
        begun.elapsed().as_secs_f64() * 1000.0,
    );
    asked
}

#[test]
fn opening_reads_as_much_of_a_long_backlog_as_of_a_short_one() {
    let mib = std::env::var("SPOOL_BACKLOG_MIB").map_or(BACKLOG_MIB, |text| text.parse().unwrap());
    for in_order in [true, false] {
        println!("after {}", if in_order { "a stop in order" } else { "a kill" });
        // Where the tests' binaries are, there is room; a directory for temporary files may be in memory.
        let dir = || tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let (short, long) = (dir(), dir());
        let cost = |dir: &tempfile::TempDir, bytes| open(dir.path(), fill(dir.path(), bytes, in_order));
        assert_eq!(cost(&short, 1), cost(&long, mib << 20));
    }
}
