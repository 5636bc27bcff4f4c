//! The spool itself: joins segments, state, tail and reader, and holds the locks.
//!
//! Locks are taken in this order, any of them may be left out: writer, reader, state, shared. Only the last is ever
//! waited for by who must not wait for the disk.

use super::fs::{FileSystem, Held, RealFileSystem};
use super::index::Index;
use super::queue::{Chunk, Queue};
use super::reader::Reader;
use super::recovery::{self, Fresh, Segment};
use super::refused::{self, Refused, SetAside};
use super::shared::{DiskState, Shared, Status};
use super::state::{State, StateFile};
use super::tail::Tail;
use super::write::WriteSide;
use super::{Findings, Options, quarantine, record};
use crate::batch::Batch;
use crate::error::{Code, Error, Result};
use crate::fault_point::{self, Place};
use crate::random;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Events in memory that are not on the disk; appending beyond it syncs first. Bounds what memory holds while the disk
/// is slow, and what a crash can lose.
const UNSYNCED_BYTES: usize = 16 << 20;

/// Batches that wait together are written with one call until they have so many bytes. The kernel keeps a file's pages in folios
/// that no write can make larger than itself, and each of them is found, charged, marked and written back for itself: appended
/// in writes of this size, a byte costs two thirds of what it does in writes of 64 KiB, and larger ones gain nothing.
const WRITE_BYTES: u64 = 512 << 10;

/// One read passes at most so many damaged or vanished places before it returns with nothing.
const PASSES: usize = 64;

/// What became of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Append {
    /// It has these sequence numbers, and is safe after the next [`Spool::sync`].
    Stored {
        /// Number of its first event.
        first_seq: u64,
        /// Number of its last event.
        last_seq: u64,
    },
    /// The spool is full and nothing of the batch was taken: wait until the receiver has acknowledged, and try again.
    Full,
}

/// A queue on disk. One process at a time has it open; its threads share it.
pub struct Spool {
    pub(super) fs: Arc<dyn FileSystem>,
    pub(super) dir: PathBuf,
    pub(super) options: Options,
    id: String,
    pub(super) id_bytes: [u8; 8],
    pub(super) seed: u32,
    writer: Mutex<WriteSide>,
    pub(super) reader: Mutex<Reader>,
    refused: Mutex<Refused>,
    state: Mutex<StateFile>,
    pub(super) shared: Mutex<Shared>,
    _lock: Box<dyn Held>,
}

/// Bytes that the batches take on disk.
fn encoded_bytes(batches: &[Arc<Batch>]) -> u64 {
    batches.iter().map(|batch| record::encoded_bytes(batch)).sum()
}

/// A panic elsewhere leaves nothing half done that the next holder could not go on from: every step is recoverable
/// by design, because a crash could have come there as well.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Spool {
    /// Opens the spool in a directory, or begins one there.
    ///
    /// E601 where another process has it, E602 where the directory cannot be used. Nothing else keeps it from opening:
    /// what was damaged is in the findings.
    pub fn open(dir: &Path, options: Options) -> Result<(Self, Findings)> {
        Self::open_on(Arc::new(RealFileSystem), dir, options)
    }

    /// The same on a given file system.
    pub fn open_on(fs: Arc<dyn FileSystem>, dir: &Path, options: Options) -> Result<(Self, Findings)> {
        let unusable = |error: io::Error| {
            Error::new(Code::SpoolUnusable, format!("the spool {} cannot be used", dir.display()))
                .caused_by(error)
        };
        fs.create_dir(dir).map_err(unusable)?;
        let Some(held) = fs.lock(&dir.join("lock")).map_err(unusable)? else {
            return Err(Error::new(
                Code::SpoolBusy,
                format!("another process has the spool {} open", dir.display()),
            ));
        };
        let recovered = recovery::recover(&*fs, dir, &fresh()).map_err(unusable)?;
        let mut findings = recovered.findings;
        let state = recovered.state;
        let mut shared = Shared::new(
            &state,
            Index::new(recovered.segments),
            Tail::new(options.tail_bytes),
            recovered.next_seq,
        );
        for chunk in recovered.rewrite {
            shared.tail.push(chunk);
        }
        for &(first, last) in &findings.missing {
            shared.lost(first, last, true);
        }
        findings.damaged_places = recovered.damaged.len();
        if let Err(error) = quarantine::set_aside(&*fs, dir, &recovered.damaged) {
            findings.problems.push(format!("damaged bytes could not be set aside: {error}"));
        }
        // Counting alone fails here; what is set aside stays where it is.
        let refused = refused::load(&*fs, dir).unwrap_or_else(|error| {
            findings.problems.push(format!("what is set aside cannot be read: {error}"));
            Refused::default()
        });
        shared.refused = refused;
        let rewrite_due = shared.tail.unsynced().next().is_some();
        let spool = Self {
            state: Mutex::new(StateFile::new(dir, &recovered.loaded)),
            fs,
            dir: dir.to_owned(),
            options,
            id: String::from_utf8_lossy(&state.id).into_owned(),
            id_bytes: state.id,
            seed: state.seed,
            writer: Mutex::new(WriteSide::new(recovered.unfinished, rewrite_due)),
            reader: Mutex::new(Reader::default()),
            refused: Mutex::new(refused),
            shared: Mutex::new(shared),
            _lock: held,
        };
        // A process that was killed may have left names that changed and were not synced. What was not found now must not
        // come back after a power cut.
        if let Err(error) = spool.fs.sync_dir(dir) {
            findings.problems.push(format!("the names of the segments cannot be synced: {error}"));
        }
        // The id must be on the disk before any event goes out under it.
        if let Err(error) = spool.sync().and_then(|_| spool.flush_state()) {
            findings.problems.push(error.what());
        } else if recovered.loaded.bad_slots > 0 {
            let mut file = lock(&spool.state);
            let state = lock(&spool.shared).state();
            if let Err(error) = file.write_both(&*spool.fs, state) {
                findings.problems.push(format!("the damaged slot of the state file stays: {error}"));
            }
        }
        spool.remove_consumed();
        Ok((spool, findings))
    }

    /// Takes a batch in. It is written, and safe only after the next [`Spool::sync`].
    ///
    /// After an error (E603 file system full, E604 disk refuses) nothing of the batch was taken; the same batch can be
    /// offered again at any time. E606 where a message is longer than a record can be.
    pub fn append(&self, batch: Arc<Batch>) -> Result<Append> {
        self.append_some(&[batch])
    }

    /// Takes in the first of the batches and as many of those behind it as one write brings into the same segment; what
    /// [`Append::Stored`] has the numbers of. Everything else is as for [`Spool::append`]: the others are to be offered again.
    pub fn append_some(&self, batches: &[Arc<Batch>]) -> Result<Append> {
        let mut writer = lock(&self.writer);
        let first_seq = lock(&self.shared).next_seq;
        let nothing = Append::Stored { first_seq, last_seq: first_seq - 1 };
        let Some(first) = batches.first().filter(|first| !first.is_empty()) else { return Ok(nothing) };
        if !record::is_storable(first) {
            return Err(Error::new(
                Code::SpoolMessageTooLong,
                "a message is longer than the spool can keep".to_owned(),
            ));
        }
        if writer.is_rewrite_due() {
            self.sync_locked(&mut writer)?;
        }
        let mut taken = &batches[..self.write_together(&writer, batches)];
        let unsynced = lock(&self.shared).tail.unsynced_bytes();
        let cost: usize = taken.iter().map(|batch| batch.cost_bytes()).sum();
        if unsynced > 0 && unsynced + cost > UNSYNCED_BYTES {
            self.sync_locked(&mut writer)?;
        }
        if !self.make_room(&mut writer, encoded_bytes(taken))? {
            taken = &taken[..1];
            if !self.make_room(&mut writer, encoded_bytes(taken))? {
                lock(&self.shared).disk = DiskState::Full;
                return Ok(Append::Full);
            }
        }
        let mut chunks = Vec::with_capacity(taken.len());
        let mut next_seq = first_seq;
        for batch in taken {
            let chunk = Chunk { first_seq: next_seq, batch: Arc::clone(batch), range: 0..batch.len() };
            next_seq = chunk.last_seq() + 1;
            chunks.push(chunk);
        }
        self.write_chunks(&mut writer, &chunks)?;
        let mut shared = lock(&self.shared);
        shared.next_seq = next_seq;
        for chunk in chunks {
            shared.tail.push(chunk);
        }
        shared.unsynced_since.get_or_insert_with(Instant::now);
        shared.disk = DiskState::Ok;
        Ok(Append::Stored { first_seq, last_seq: next_seq - 1 })
    }

    /// The process ends, and what has been read and not appended would be lost with it: from now on `bytes` more than now, or
    /// than the bound, are taken in, and all of the reserve but 16 MiB. False where that was said before.
    pub fn overdraw(&self, bytes: u64) -> bool {
        let mut writer = lock(&self.writer);
        let used = lock(&self.shared).index.size_bytes();
        let bound = used.max(self.options.max_bytes).saturating_add(bytes);
        let is_first = writer.last_bound.is_none();
        writer.last_bound.get_or_insert(bound);
        is_first
    }

    /// Whether more is taken in than the bound has room for.
    pub fn is_overdrawn(&self) -> bool {
        lock(&self.writer).last_bound.is_some()
    }

    /// How many of the batches are written with one call: all of them in one segment, with no empty one among them and none that
    /// cannot be stored. The first has been looked at.
    fn write_together(&self, writer: &WriteSide, batches: &[Arc<Batch>]) -> usize {
        let first = encoded_bytes(&batches[..1]);
        let most = WRITE_BYTES.min(writer.room(&self.options, first));
        let mut size = first;
        let behind = batches[1..].iter().take_while(|batch| {
            size += record::encoded_bytes(batch);
            size <= most && !batch.is_empty() && record::is_storable(batch)
        });
        1 + behind.count()
    }

    /// Brings everything that was appended to the disk; the last sequence number that is safe now.
    ///
    /// After an error nothing that was appended since the last success counts as safe, and all of it is written anew
    /// from memory by the next call or the next append.
    pub fn sync(&self) -> Result<u64> {
        self.sync_locked(&mut lock(&self.writer))
    }

    /// When the oldest event that is not on the disk was appended; nothing where all are.
    pub fn unsynced_since(&self) -> Option<Instant> {
        lock(&self.shared).unsynced_since
    }

    /// Whether what is not acknowledged fills more than half of the memory for the newest events: an uplink that falls
    /// further behind will have to read the disk.
    pub fn is_behind(&self) -> bool {
        lock(&self.shared).tail.is_half_full()
    }

    /// Figures for `status`; never waits for the disk.
    pub fn status(&self) -> Status {
        lock(&self.shared).status()
    }

    /// Syncs everything and completes the segment, so that the next opening has nothing to read. The spool can be
    /// used on.
    pub fn close(&self) -> Result<()> {
        let mut writer = lock(&self.writer);
        self.sync_locked(&mut writer)?;
        self.rotate(&mut writer)?;
        self.finish(&mut writer);
        drop(writer);
        self.flush_state()?;
        self.remove_consumed();
        Ok(())
    }

    /// Brings names that changed to the disk. Opening copes with the old ones too, so a failure costs it some work at most.
    pub(super) fn sync_names(&self) {
        if let Err(error) = self.fs.sync_dir(&self.dir) {
            tracing::debug!(%error, dir = %self.dir.display(), "new names are perhaps not on the disk");
        }
    }

    /// Removes segments whose events are all acknowledged. First the state goes to the disk: a segment that is gone
    /// without its acknowledgement being recorded would look like a loss.
    pub(super) fn remove_consumed(&self) {
        let acknowledged = lock(&self.shared).acknowledged;
        let consumed = lock(&self.shared).index.consumed(acknowledged);
        if consumed.is_empty() {
            return;
        }
        if let Err(error) = self.flush_state() {
            tracing::warn!(%error, "delivered segments stay until the state can be written");
            return;
        }
        for name in consumed {
            fault_point::pass(Place::BeforeUnlink, acknowledged);
            match self.fs.remove(&self.dir.join(name.to_string())) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    tracing::warn!(%error, segment = %name, "a delivered segment could not be removed");
                }
                _ => {
                    fault_point::pass(Place::AfterUnlink, acknowledged);
                    let mut shared = lock(&self.shared);
                    shared.index.remove(name.number);
                    if shared.disk == DiskState::Full {
                        shared.disk = DiskState::Ok;
                    }
                }
            }
        }
        self.sync_names();
    }

    /// Hands the state to the kernel, and to the disk when that is due. A failure only means that more is sent again
    /// after a crash, and does not stop anything.
    pub(super) fn note_state(&self) {
        let interval = self.options.state_sync_interval;
        let _ = self.keep_state(|file, state| file.write_and_sync_after(&*self.fs, state, interval));
    }

    /// Brings the state to the disk.
    pub(super) fn flush_state(&self) -> Result<()> {
        let kept = self.keep_state(|file, state| file.write_and_sync(&*self.fs, state));
        kept.map_err(|error| self.error("the spool's state cannot be written", error))
    }

    fn keep_state(&self, keep: impl FnOnce(&mut StateFile, State) -> io::Result<()>) -> io::Result<()> {
        let mut file = lock(&self.state);
        let state = lock(&self.shared).state();
        let kept = keep(&mut file, state);
        let mut shared = lock(&self.shared);
        let trouble = kept.as_ref().err().map(ToString::to_string);
        if let (None, Some(error)) = (&shared.state_trouble, &trouble) {
            tracing::warn!(%error, dir = %self.dir.display(), "the spool's state cannot be written");
        }
        shared.state_trouble = trouble;
        kept
    }

    /// Brings the state to the disk where that is overdue: the last acknowledgement came soon after another one and none
    /// has come since, or the disk refused it. To be called once in a while; it may wait for the disk.
    pub fn settle(&self) {
        let overdue = lock(&self.state).is_overdue(self.options.state_sync_interval);
        if overdue {
            self.note_state();
        }
    }

    fn error(&self, what: &str, error: io::Error) -> Error {
        Error::new(refusal(&error), format!("{what} ({})", self.dir.display())).caused_by(error)
    }

    /// The disk refused to take events.
    pub(super) fn refused(&self, what: &str, error: io::Error) -> Error {
        lock(&self.shared).disk = match refusal(&error) {
            Code::SpoolDiskFull => DiskState::Full,
            _ => DiskState::Failing(error.to_string()),
        };
        self.error(what, error)
    }

    /// Reads from disk behind `from`; the number to go on with where there was nothing.
    fn read_disk(
        &self,
        from: u64,
        max_events: usize,
        max_bytes: usize,
    ) -> Result<std::result::Result<Chunk, u64>> {
        let mut reader = lock(&self.reader);
        let (segment, limit) = {
            let shared = lock(&self.shared);
            let durable = shared.durable();
            let Some(segment) = shared.index.find(from).copied() else { return Ok(Err(durable + 1)) };
            (segment, segment.last_seq.min(durable))
        };
        let from = from.max(segment.first_seq);
        if from > limit {
            return Ok(Err(limit + 1));
        }
        let read = match reader.read(&*self.fs, &self.dir, self.seed, &segment, from, limit) {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let (acknowledged, now) = {
                    let shared = lock(&self.shared);
                    (shared.acknowledged, shared.index.find(from).map(|segment| segment.name))
                };
                if acknowledged >= from || now != Some(segment.name) {
                    // Delivered and removed meanwhile, or given its final name.
                    return Ok(Err(from.max(acknowledged + 1)));
                }
                if reader.has_given_up(segment.name.number) {
                    tracing::error!(segment = %segment.name, "a segment is gone; its events are counted as missing");
                    lock(&self.shared).lost(from, segment.last_seq, true);
                    return Ok(Err(segment.last_seq + 1));
                }
                return Err(self.unreadable(&segment, error));
            }
            Err(error) if reader.has_given_up(segment.name.number) => {
                // Even passing by did not help: the file as a whole cannot be read.
                tracing::error!(%error, segment = %segment.name, "a segment cannot be read; its events are counted");
                lock(&self.shared).lost(from, limit, false);
                return Ok(Err(limit + 1));
            }
            Err(error) => return Err(self.unreadable(&segment, error)),
        };
        let counted_through = lock(&self.shared).counted_through;
        let is_new = read.lost.iter().any(|(_, last)| *last > counted_through);
        if is_new && let Err(error) = quarantine::set_aside(&*self.fs, &self.dir, &read.damaged) {
            tracing::warn!(%error, "damaged bytes could not be set aside");
        }
        let mut shared = lock(&self.shared);
        for (first, last) in read.lost {
            if last > counted_through {
                tracing::error!(segment = %segment.name, first, last, "events were damaged on the disk");
            }
            shared.lost(first, last.min(limit), false);
        }
        let Some(chunk) = read.chunk else { return Ok(Err(limit + 1)) };
        let chunk = limited(&chunk, from.max(chunk.first_seq), max_events, max_bytes);
        shared.handed_out(&chunk);
        Ok(Ok(chunk))
    }

    fn unreadable(&self, segment: &Segment, error: io::Error) -> Error {
        let path = self.dir.join(segment.name.to_string());
        Error::new(Code::SpoolReadFailed, format!("the segment {} cannot be read", path.display()))
            .caused_by(error)
    }
}

impl Queue for Spool {
    fn id(&self) -> &str {
        &self.id
    }

    fn read_after(&self, seq: u64, max_events: usize, max_bytes: usize) -> Result<Option<Chunk>> {
        let mut from = seq.saturating_add(1);
        for _ in 0..PASSES {
            {
                let mut shared = lock(&self.shared);
                from = from.max(shared.acknowledged + 1);
                if from > shared.durable() {
                    return Ok(None);
                }
                if let Some(chunk) = shared.tail.find(from) {
                    let chunk = limited(chunk, from, max_events, max_bytes);
                    shared.handed_out(&chunk);
                    return Ok(Some(chunk));
                }
            }
            match self.read_disk(from, max_events, max_bytes)? {
                Ok(chunk) => return Ok(Some(chunk)),
                Err(next) => from = next,
            }
        }
        Ok(None)
    }

    fn acknowledged(&self) -> u64 {
        lock(&self.shared).acknowledged
    }

    fn acknowledge(&self, seq: u64) -> Result<()> {
        fault_point::pass(Place::BeforeAcknowledge, seq);
        if lock(&self.shared).acknowledge(seq) {
            self.note_state();
            fault_point::pass(Place::AfterAcknowledge, seq);
            self.remove_consumed();
        }
        Ok(())
    }

    fn set_aside(&self, seq: u64) -> Result<()> {
        let Some(chunk) =
            self.read_after(seq.saturating_sub(1), 1, 0)?.filter(|chunk| chunk.first_seq == seq)
        else {
            // It was dropped, or damaged on the disk: it blocks nobody any more.
            return Ok(());
        };
        let (origin, message) = chunk.batch.get(chunk.range.start).expect("a chunk has an event");
        let event = (seq, origin, message);
        let set_aside = {
            let mut refused = lock(&self.refused);
            let set_aside = refused.set_aside(&*self.fs, &self.dir, self.seed, event);
            lock(&self.shared).refused = *refused;
            set_aside
        };
        match set_aside.map_err(|error| self.refused("a refused event cannot be set aside", error))? {
            SetAside::Done => self.acknowledge(seq),
            SetAside::Full => Err(Error::new(
                Code::SpoolRefusedFull,
                format!("no room for event {seq} in {}", self.dir.join(refused::NAME).display()),
            )),
        }
    }
}

fn refusal(error: &io::Error) -> Code {
    if is_full(error) { Code::SpoolDiskFull } else { Code::SpoolWriteFailed }
}

/// Whether the file system, or what this user may take of it, is full.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// The part of a chunk from `from` on that is within the bounds; at least one event.
fn limited(chunk: &Chunk, from: u64, max_events: usize, max_bytes: usize) -> Chunk {
    let start = chunk.range.start + (from - chunk.first_seq) as usize;
    let most = chunk.range.end.min(start.saturating_add(max_events.max(1)));
    let end = if chunk.batch.range_bytes(start..most) <= max_bytes {
        most
    } else {
        let mut bytes = 0;
        let fitting = chunk.batch.range(start..most).take_while(|(_, message)| {
            bytes += message.len();
            bytes <= max_bytes
        });
        start + fitting.count().max(1)
    };
    Chunk { first_seq: from, batch: Arc::clone(&chunk.batch), range: start..end }
}

/// A seed and an id for a new spool.
fn fresh() -> Fresh {
    let mut random = [0; 8];
    random::fill(&mut random).expect("the operating system gives random bytes");
    let (seed, name) = (u64::from_le_bytes(random) >> 32, u64::from_le_bytes(random) & 0xFFFF_FFFF);
    let id = format!("{name:08x}").into_bytes().try_into().expect("eight digits");
    Fresh { seed: seed as u32, id }
}
