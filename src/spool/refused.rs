//! Events that receivers refuse for what they are: set aside for people, out of the way of those behind them.
//!
//! One file, `refused`, begun with the first such event and appended to: 12 bytes of head (`SOCRFSD` and a line feed,
//! then the seed of its checksums, little-endian), then records as in segments (`record`), in order of their sequence
//! numbers. An event is on the disk here before it counts as acknowledged in the queue, so a crash between the two finds
//! it in both places; known by its number and its bytes, it is then not written a second time. A torn record at the end,
//! or a damaged one, is passed by.
//!
//! The file has a bound, beyond which nothing more is set aside and the queue waits: then people have to look. They
//! read it with `spool export --refused` and may remove it while the connector is stopped.

use super::fs::{File, FileSystem};
use super::record::{self, Decoded, Record};
use crate::batch::Origin;
use memchr::memmem;
use std::io;
use std::path::Path;

/// Name of the file.
pub const NAME: &str = "refused";

/// Largest size of the file. Thousands of events that a receiver cannot take are a fault of its own, not theirs.
pub const MAX_BYTES: u64 = 16 << 20;

const MAGIC: &[u8; 8] = b"SOCRFSD\n";
const HEAD_BYTES: usize = 12;

/// What is set aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Refused {
    /// Events.
    pub events: u64,
    /// Bytes of the file.
    pub size_bytes: u64,
    /// The last one's sequence number; 0 where there is none.
    pub last_seq: u64,
}

/// What became of an event that was to be set aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetAside {
    /// It is on the disk, now or since before.
    Done,
    /// The file has its largest size.
    Full,
}

/// Counts what is set aside. A file that is not there holds nothing.
pub fn load(fs: &dyn FileSystem, dir: &Path) -> io::Result<Refused> {
    let Some(bytes) = contents(fs, dir)? else { return Ok(Refused::default()) };
    let mut refused = Refused { size_bytes: bytes.len() as u64, ..Refused::default() };
    each(&bytes, |seq, _, _| {
        refused.events += 1;
        refused.last_seq = refused.last_seq.max(seq);
        Ok(())
    })?;
    Ok(refused)
}

/// Hands every event that is set aside to `sink`, in the file's order; how many there were.
pub fn export(
    fs: &dyn FileSystem,
    dir: &Path,
    mut sink: impl FnMut(u64, Origin, &[u8]) -> io::Result<()>,
) -> io::Result<u64> {
    let mut count = 0;
    if let Some(bytes) = contents(fs, dir)? {
        each(&bytes, |seq, origin, message| {
            count += 1;
            sink(seq, origin, message)
        })?;
    }
    Ok(count)
}

impl Refused {
    /// Brings an event to the file and the disk.
    pub fn set_aside(
        &mut self,
        fs: &dyn FileSystem,
        dir: &Path,
        seed: u32,
        (seq, origin, message): (u64, &Origin, &[u8]),
    ) -> io::Result<SetAside> {
        // By its bytes: a spool that lost its state gives numbers again.
        if seq <= self.last_seq && holds(fs, dir, (seq, origin, message))? {
            return Ok(SetAside::Done);
        }
        let path = dir.join(NAME);
        let file: Box<dyn File> = match fs.open(&path, true) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => fs.create(&path)?,
            opened => opened?,
        };
        // What another seed's head, or none that can be read, stands in front of is for people alone; the records here
        // have this file's seed.
        let mut head = [0; HEAD_BYTES];
        let known = file.read_at(&mut head, 0)?;
        let (mut bytes, at, seed) = match seed_of(&head[..known]) {
            Some(seed) => (Vec::new(), file.size()?, seed),
            None => ([MAGIC.as_slice(), &seed.to_le_bytes()].concat(), 0, seed),
        };
        record::encode(&mut bytes, seed, seq, origin, message);
        let end = at + bytes.len() as u64;
        if end > MAX_BYTES {
            return Ok(SetAside::Full);
        }
        // The directory each time: it is seldom, and the try that made the file may have failed behind that.
        let written =
            file.write_all_at(&bytes, at).and_then(|()| file.sync_data()).and_then(|()| fs.sync_dir(dir));
        if let Err(error) = written {
            // The cache shows it as if it were there, and the next try would believe that, or write it once more.
            let _ = file.truncate(at);
            return Err(error);
        }
        *self = Self { events: self.events + 1, size_bytes: end, last_seq: self.last_seq.max(seq) };
        Ok(SetAside::Done)
    }
}

/// Whether the file has this very event.
fn holds(fs: &dyn FileSystem, dir: &Path, event: (u64, &Origin, &[u8])) -> io::Result<bool> {
    let mut is_there = false;
    export(fs, dir, |seq, origin, message| {
        is_there |= (seq, &origin, message) == event;
        Ok(())
    })?;
    Ok(is_there)
}

fn contents(fs: &dyn FileSystem, dir: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = match fs.open(&dir.join(NAME), false) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let mut bytes = vec![0; file.size()?.min(MAX_BYTES) as usize];
    let length = file.read_at(&mut bytes, 0)?;
    bytes.truncate(length);
    Ok(Some(bytes))
}

fn seed_of(bytes: &[u8]) -> Option<u32> {
    let seed = bytes.get(MAGIC.len()..HEAD_BYTES)?.try_into().expect("four bytes");
    bytes.starts_with(MAGIC).then(|| u32::from_le_bytes(seed))
}

/// Every whole record; what is none is passed by.
fn each(bytes: &[u8], mut sink: impl FnMut(u64, Origin, &[u8]) -> io::Result<()>) -> io::Result<()> {
    let Some(seed) = seed_of(bytes) else { return Ok(()) };
    let mut rest = &bytes[HEAD_BYTES..];
    while !rest.is_empty() {
        match record::decode(rest, seed) {
            Decoded::Record(Record { seq, origin, message }) => {
                sink(seq, origin, &rest[message.clone()])?;
                rest = &rest[message.end..];
            }
            Decoded::Incomplete(_) | Decoded::Bad => {
                let next = memmem::find(&rest[1..], &record::MAGIC).map_or(rest.len(), |at| at + 1);
                rest = &rest[next..];
            }
        }
    }
    Ok(())
}
