//! The state file: what start-up must know and the segments' names do not say.
//!
//! Two slots of 256 bytes at 0 and 4096, in different pages, little-endian:
//!
//! | at | bytes | content |
//! |---|---|---|
//! | 0 | 8 | `SOCSPSTA` |
//! | 8 | 4 | version, 1 |
//! | 12 | 4 | seed of the records' checksums |
//! | 16 | 8 | generation; of two valid slots the higher one counts |
//! | 24 | 8 | the spool's id, eight hexadecimal digits |
//! | 32 | 8 | all events up to this one are acknowledged or dropped |
//! | 40 | 8 | all events up to this one were durable |
//! | 48 | 8 | number of the segment that was being written |
//! | 56 | 8 | so many bytes of it were durable |
//! | 64 | 8 | its last durable sequence number |
//! | 72 | 8 | number for the next segment |
//! | 80 | 8 | events dropped because the spool was full |
//! | 88 | 8 | events lost to damaged records |
//! | 96 | 8 | events lost with missing segments |
//! | 104 | 8 | damage up to this event is counted |
//! | 112 | 8 | reception of the oldest unacknowledged event, microseconds since 1970, 0 unknown |
//! | 120 | 8 | missing segments up to this event are counted |
//! | 128 | 124 | zero |
//! | 252 | 4 | CRC-32C of the bytes before |
//!
//! The file is written at every sync and acknowledgement, which costs a copy into the kernel's cache, and synced only
//! from time to time: what it says is true whenever it can be read, and being old only means to send again. Until it
//! is synced the same slot is overwritten; the other one is the last that was synced, and no crash can touch it. A new
//! process first writes the newest slot once more, the same bytes, and syncs it, because the old one may not have.

use super::fs::{File, FileSystem};
use super::record::{u32_at, u64_at};
use crate::clock::UnixMicros;
use crate::fault_point::{self, Place};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Name of the state file.
pub const NAME: &str = "state";
const MAGIC: &[u8; 8] = b"SOCSPSTA";
const VERSION: u32 = 1;
const SLOT_BYTES: usize = 256;
const SLOT_AT: [u64; 2] = [0, 4096];

/// Where the writer stood: a durable part of a segment that recovery need not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Mark {
    /// Number of the segment, 0 for none.
    pub segment: u64,
    /// So many of its bytes are durable.
    pub len: u64,
    /// The last sequence number in these.
    pub seq: u64,
}

/// What a slot says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct State {
    /// Seed of the records' checksums.
    pub seed: u32,
    /// The spool's id.
    pub id: [u8; 8],
    /// All events up to this one are acknowledged or dropped.
    pub acknowledged: u64,
    /// All events up to this one were durable.
    pub durable: u64,
    /// Where the writer stood.
    pub mark: Mark,
    /// Number for the next segment.
    pub next_number: u64,
    /// Events dropped because the spool was full.
    pub dropped_full: u64,
    /// Events lost to damaged records.
    pub corrupt: u64,
    /// Events lost with missing segments.
    pub missing: u64,
    /// Damage up to this event is counted.
    pub counted_through: u64,
    /// Missing segments up to this event are counted.
    pub missing_through: u64,
    /// Reception of the oldest unacknowledged event.
    pub oldest_received: Option<UnixMicros>,
}

impl State {
    fn encode(&self, generation: u64) -> [u8; SLOT_BYTES] {
        let mut bytes = [0; SLOT_BYTES];
        bytes[0..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.seed.to_le_bytes());
        bytes[16..24].copy_from_slice(&generation.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.id);
        let numbers = [
            self.acknowledged,
            self.durable,
            self.mark.segment,
            self.mark.len,
            self.mark.seq,
            self.next_number,
            self.dropped_full,
            self.corrupt,
            self.missing,
            self.counted_through,
            self.oldest_received.unwrap_or_default().0.cast_unsigned(),
            self.missing_through,
        ];
        for (place, number) in bytes[32..128].chunks_exact_mut(8).zip(numbers) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        let crc = crc32c::crc32c(&bytes[..SLOT_BYTES - 4]);
        bytes[SLOT_BYTES - 4..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<(u64, Self)> {
        let right = bytes.len() == SLOT_BYTES
            && bytes[0..8] == *MAGIC
            && u32_at(bytes, 8) == VERSION
            && u32_at(bytes, SLOT_BYTES - 4) == crc32c::crc32c(&bytes[..SLOT_BYTES - 4]);
        if !right {
            return None;
        }
        let received = UnixMicros(u64_at(bytes, 112).cast_signed());
        let state = Self {
            seed: u32_at(bytes, 12),
            id: bytes[24..32].try_into().ok()?,
            acknowledged: u64_at(bytes, 32),
            durable: u64_at(bytes, 40),
            mark: Mark { segment: u64_at(bytes, 48), len: u64_at(bytes, 56), seq: u64_at(bytes, 64) },
            next_number: u64_at(bytes, 72),
            dropped_full: u64_at(bytes, 80),
            corrupt: u64_at(bytes, 88),
            missing: u64_at(bytes, 96),
            counted_through: u64_at(bytes, 104),
            missing_through: u64_at(bytes, 120),
            oldest_received: (received != UnixMicros::default()).then_some(received),
        };
        Some((u64_at(bytes, 16), state))
    }
}

/// What was found of the state file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loaded {
    /// The newest valid slot.
    pub state: Option<State>,
    /// How many slots had something in them that was not valid.
    pub bad_slots: usize,
    /// Generation of the newest slot and its place.
    newest: Option<(u64, usize)>,
}

/// Reads both slots; a missing file is one with nothing in it.
pub fn load(fs: &dyn FileSystem, dir: &Path) -> io::Result<Loaded> {
    let mut loaded = Loaded { state: None, bad_slots: 0, newest: None };
    let file = match fs.open(&dir.join(NAME), false) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(loaded),
        Err(error) => return Err(error),
    };
    for (index, at) in SLOT_AT.into_iter().enumerate() {
        let mut bytes = [0; SLOT_BYTES];
        // A slot that the disk cannot read is a bad one; the other may be good.
        let count = file.read_at(&mut bytes, at).unwrap_or(SLOT_BYTES);
        match State::decode(&bytes[..count]) {
            Some((generation, _)) if loaded.newest.is_some_and(|(newest, _)| newest >= generation) => {}
            Some((generation, state)) => {
                loaded.newest = Some((generation, index));
                loaded.state = Some(state);
            }
            None if count > 0 && bytes[..count].iter().any(|&byte| byte != 0) => loaded.bad_slots += 1,
            None => {}
        }
    }
    Ok(loaded)
}

/// The state file as it is written.
pub struct StateFile {
    path: PathBuf,
    /// Opened when it is first written, and anew after an error.
    file: Option<Box<dyn File>>,
    generation: u64,
    /// The slot that is overwritten until it has been synced.
    slot: usize,
    /// The newest slot as it was found. The process before may have left it unsynced, and what was done on the
    /// strength of it (segments removed) may be all there is: until the very same bytes are known to be on the disk,
    /// neither slot may be overwritten with anything else.
    unconfirmed: Option<State>,
    written: Option<State>,
    synced: Option<State>,
    synced_at: Instant,
}

impl StateFile {
    /// Goes on behind what was loaded.
    pub fn new(dir: &Path, loaded: &Loaded) -> Self {
        let (generation, slot) = loaded.newest.unwrap_or((0, 0));
        Self {
            path: dir.join(NAME),
            file: None,
            generation,
            slot,
            unconfirmed: loaded.state,
            written: None,
            synced: None,
            synced_at: Instant::now(),
        }
    }

    /// Hands the state to the kernel.
    pub fn write(&mut self, fs: &dyn FileSystem, state: State) -> io::Result<()> {
        if self.written == Some(state) {
            return Ok(());
        }
        fault_point::pass(Place::StateWrite, state.durable);
        let result = self.try_write(fs, &state);
        self.written = result.is_ok().then_some(state);
        if result.is_err() {
            self.file = None;
        }
        result
    }

    /// Hands the state to the kernel and returns when it is on the disk.
    pub fn write_and_sync(&mut self, fs: &dyn FileSystem, state: State) -> io::Result<()> {
        if self.synced == Some(state) {
            return Ok(());
        }
        self.write(fs, state)?;
        let file = self.file.as_ref().expect("a state that was written has an open file");
        fault_point::pass(Place::StateSync, state.durable);
        if let Err(error) = file.sync_data() {
            // What the kernel holds of the slot is worth nothing now: the next write goes to the same slot anew.
            self.written = None;
            self.file = None;
            return Err(error);
        }
        self.synced = Some(state);
        self.synced_at = Instant::now();
        self.slot = 1 - self.slot;
        Ok(())
    }

    /// Writes, and syncs where the last sync is longer ago than `interval`.
    pub fn write_and_sync_after(
        &mut self,
        fs: &dyn FileSystem,
        state: State,
        interval: Duration,
    ) -> io::Result<()> {
        if self.synced_at.elapsed() >= interval {
            self.write_and_sync(fs, state)
        } else {
            self.write(fs, state)
        }
    }

    /// Whether what was written is not on the disk although the last sync is longer ago than `interval`.
    pub fn is_overdue(&self, interval: Duration) -> bool {
        (self.written.is_none() || self.written != self.synced) && self.synced_at.elapsed() >= interval
    }

    /// Writes both slots, one after the other, where one was found damaged.
    pub fn write_both(&mut self, fs: &dyn FileSystem, state: State) -> io::Result<()> {
        self.write_and_sync(fs, state)?;
        (self.written, self.synced) = (None, None);
        self.write_and_sync(fs, state)
    }

    fn try_write(&mut self, fs: &dyn FileSystem, state: &State) -> io::Result<()> {
        if self.file.is_none() {
            self.file = Some(match fs.open(&self.path, true) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    let file = fs.create(&self.path)?;
                    fs.sync_dir(self.path.parent().expect("the state file is in the spool's directory"))?;
                    file
                }
                opened => opened?,
            });
        }
        let file = self.file.as_ref().expect("opened above");
        if let Some(found) = &self.unconfirmed {
            file.write_all_at(&found.encode(self.generation), SLOT_AT[self.slot])?;
            file.sync_data()?;
            self.unconfirmed = None;
            self.slot = 1 - self.slot;
        }
        self.generation += 1;
        file.write_all_at(&state.encode(self.generation), SLOT_AT[self.slot])
    }
}
