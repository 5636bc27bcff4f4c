//! The spool itself: joins segments, state, tail and reader, and holds the locks.
//!
//! Locks are taken in this order, any of them may be left out: writer or reader, state, shared.

use super::fs::{FileSystem, Held, RealFileSystem};
use super::index::Index;
use super::queue::{Chunk, Queue};
use super::reader::Reader;
use super::recovery::{self, Fresh, Segment, Unfinished};
use super::segment::{self, FOOTER_BYTES, Footer, HEADER_BYTES, Header, Name};
use super::shared::{DiskState, Shared, Status};
use super::state::{Mark, StateFile};
use super::tail::{self, Tail};
use super::{Findings, Options, quarantine, record};
use crate::batch::Batch;
use crate::clock::{Clock, SystemClock, UnixMicros};
use crate::error::{Code, Error, Result};
use crate::settings::WhenFull;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Events in memory that are not on the disk; appending beyond it syncs first. Bounds what memory holds while the disk
/// is slow, and what a crash can lose.
const UNSYNCED_BYTES: usize = 16 << 20;

/// The file system is asked for its free space after so many written bytes, and each time while there is too little.
const FREE_CHECK_BYTES: u64 = 1 << 20;

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

struct WriteSide {
    current: Option<segment::Writer>,
    unfinished: Vec<Unfinished>,
    buffer: Vec<u8>,
    /// A write or sync failed: everything in memory that is not on the disk goes to a new segment first.
    rewrite_due: bool,
    /// Free bytes when last asked, less what was written since.
    free_bytes: u64,
    unchecked_bytes: u64,
}

/// A queue on disk. One process at a time has it open; its threads share it.
pub struct Spool {
    fs: Arc<dyn FileSystem>,
    dir: PathBuf,
    options: Options,
    id: String,
    id_bytes: [u8; 8],
    seed: u32,
    writer: Mutex<WriteSide>,
    reader: Mutex<Reader>,
    state: Mutex<StateFile>,
    shared: Mutex<Shared>,
    _lock: Box<dyn Held>,
}

/// A panic elsewhere leaves nothing half done that the next holder could not go on from: every step is recoverable
/// by design, because a crash could have come there as well.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
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
        let rewrite_due = shared.tail.unsynced().next().is_some();
        let spool = Self {
            state: Mutex::new(StateFile::new(dir, &recovered.loaded)),
            fs,
            dir: dir.to_owned(),
            options,
            id: String::from_utf8_lossy(&state.id).into_owned(),
            id_bytes: state.id,
            seed: state.seed,
            writer: Mutex::new(WriteSide {
                current: None,
                unfinished: recovered.unfinished,
                buffer: Vec::new(),
                rewrite_due,
                free_bytes: 0,
                unchecked_bytes: FREE_CHECK_BYTES,
            }),
            reader: Mutex::new(Reader::default()),
            shared: Mutex::new(shared),
            _lock: held,
        };
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
        let mut writer = lock(&self.writer);
        let first_seq = lock(&self.shared).next_seq;
        if batch.is_empty() {
            return Ok(Append::Stored { first_seq, last_seq: first_seq - 1 });
        }
        if batch.size_bytes() > record::MAX_MESSAGE_BYTES
            && batch.iter().any(|(_, message)| message.len() > record::MAX_MESSAGE_BYTES)
        {
            return Err(Error::new(
                Code::SpoolMessageTooLong,
                "a message is longer than the spool can keep".to_owned(),
            ));
        }
        if writer.rewrite_due {
            self.sync_locked(&mut writer)?;
        }
        let range = 0..batch.len();
        let unsynced = lock(&self.shared).tail.unsynced_bytes();
        if unsynced > 0 && unsynced + tail::cost_bytes(&batch, &range) > UNSYNCED_BYTES {
            self.sync_locked(&mut writer)?;
        }
        if !self.make_room(&mut writer, record::encoded_bytes(&batch))? {
            lock(&self.shared).disk = DiskState::Full;
            return Ok(Append::Full);
        }
        let chunk = Chunk { first_seq, batch, range };
        self.write_chunk(&mut writer, &chunk)?;
        let last_seq = chunk.last_seq();
        let mut shared = lock(&self.shared);
        shared.next_seq = last_seq + 1;
        shared.tail.push(chunk);
        shared.unsynced_since.get_or_insert_with(Instant::now);
        shared.disk = DiskState::Ok;
        Ok(Append::Stored { first_seq, last_seq })
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

    fn sync_locked(&self, writer: &mut WriteSide) -> Result<u64> {
        if writer.rewrite_due {
            let chunks: Vec<Chunk> = lock(&self.shared).tail.unsynced().cloned().collect();
            for chunk in chunks {
                self.write_chunk(writer, &chunk)?;
            }
            writer.rewrite_due = false;
        }
        if let Some(current) = writer.current.as_mut().filter(|current| current.is_dirty()) {
            if let Err(error) = current.sync() {
                self.abandon(writer);
                return Err(self.refused("the spool cannot be synced", error));
            }
            let mark =
                Mark { segment: current.name.number, len: current.durable_len, seq: current.durable_seq };
            let mut shared = lock(&self.shared);
            shared.mark = mark;
            shared.durable_through(mark.seq);
        }
        if !writer.unfinished.is_empty() {
            self.finish(writer);
            self.remove_consumed();
        }
        self.note_state();
        let mut shared = lock(&self.shared);
        if matches!(shared.disk, DiskState::Failing(_)) {
            shared.disk = DiskState::Ok;
        }
        Ok(shared.durable())
    }

    /// Writes one chunk to the current segment, or to a new one.
    fn write_chunk(&self, writer: &mut WriteSide, chunk: &Chunk) -> Result<()> {
        let size = record::encoded_bytes(&chunk.batch);
        if let Some(current) = &writer.current {
            let follows = current.last_seq + 1 == chunk.first_seq;
            let full = !current.is_empty() && current.len + size > self.options.segment_bytes;
            if !follows || full {
                self.rotate(writer)?;
            }
        }
        if writer.current.is_none() {
            writer.current = Some(self.begin(chunk.first_seq)?);
            writer.free_bytes = writer.free_bytes.saturating_sub(HEADER_BYTES + FOOTER_BYTES);
        }
        let current = writer.current.as_mut().expect("there is a segment now");
        if let Err(error) = current.append(&mut writer.buffer, &chunk.batch, chunk.range.clone()) {
            self.abandon(writer);
            return Err(self.refused("the spool cannot be written", error));
        }
        let (number, last_seq, len) = (current.name.number, current.last_seq, current.len);
        writer.unchecked_bytes += writer.buffer.len() as u64;
        writer.free_bytes = writer.free_bytes.saturating_sub(writer.buffer.len() as u64);
        lock(&self.shared).index.update(number, |segment| {
            segment.last_seq = last_seq;
            segment.end = len;
            segment.size_bytes = len;
        });
        Ok(())
    }

    /// Makes a new segment; its name is on the disk when this returns.
    fn begin(&self, first_seq: u64) -> Result<segment::Writer> {
        let number = {
            let mut shared = lock(&self.shared);
            let number = shared.next_number;
            shared.next_number += 1;
            number
        };
        let name = Name { number, first_seq, last_seq: None };
        let path = self.dir.join(name.to_string());
        let header =
            Header { seed: self.seed, id: self.id_bytes, number, first_seq, created: SystemClock.now() };
        let begun = self.fs.create(&path).and_then(|file| {
            let writer = segment::Writer::begin(file, &header)?;
            self.fs.sync_dir(&self.dir)?;
            Ok(writer)
        });
        match begun {
            Ok(writer) => {
                lock(&self.shared).index.insert(Segment {
                    name,
                    first_seq,
                    last_seq: first_seq - 1,
                    end: HEADER_BYTES,
                    size_bytes: HEADER_BYTES,
                });
                Ok(writer)
            }
            Err(error) => {
                // An empty file of this number means nothing, should it stay.
                let _ = self.fs.remove(&path);
                Err(self.refused("a new segment cannot be made", error))
            }
        }
    }

    /// Completes the current segment; everything in it is on the disk afterwards.
    fn rotate(&self, writer: &mut WriteSide) -> Result<()> {
        let Some(current) = writer.current.as_mut() else { return Ok(()) };
        if current.is_empty() {
            self.abandon(writer);
            return Ok(());
        }
        let complete = match current.complete() {
            Ok(name) => name,
            Err(error) => {
                self.abandon(writer);
                return Err(self.refused("a segment cannot be completed", error));
            }
        };
        let current = writer.current.take().expect("it was just completed");
        let mark = Mark { segment: current.name.number, len: current.durable_len, seq: current.durable_seq };
        {
            let mut shared = lock(&self.shared);
            shared.mark = mark;
            shared.durable_through(mark.seq);
        }
        // Before the new name: a process that ends between the two is to find the mark.
        self.note_state();
        let (old, new) = (self.dir.join(current.name.to_string()), self.dir.join(complete.to_string()));
        if let Err(error) = self.fs.rename(&old, &new) {
            tracing::warn!(%error, segment = %current.name, "a complete segment could not be renamed");
            writer.unfinished.push(Unfinished {
                name: current.name,
                durable_len: current.durable_len,
                durable_seq: current.durable_seq,
            });
            return Ok(());
        }
        lock(&self.shared).index.update(complete.number, |segment| {
            segment.name = complete;
            segment.size_bytes += FOOTER_BYTES;
        });
        Ok(())
    }

    /// Leaves the current segment as it is on the disk: what was not synced in it is not believed any more.
    fn abandon(&self, writer: &mut WriteSide) {
        let Some(current) = writer.current.take() else { return };
        let (number, first_seq) = (current.name.number, current.name.first_seq);
        let mut shared = lock(&self.shared);
        if current.durable_seq < first_seq {
            shared.index.remove(number);
        } else {
            shared.index.update(number, |segment| {
                segment.last_seq = current.durable_seq;
                segment.end = current.durable_len;
                segment.size_bytes = current.durable_len;
            });
        }
        writer.rewrite_due = shared.tail.unsynced().next().is_some();
        writer.unfinished.push(Unfinished {
            name: current.name,
            durable_len: current.durable_len,
            durable_seq: current.durable_seq,
        });
    }

    /// Completes or removes what was left incomplete, as far as the disk lets it. Only when everything in memory is on
    /// the disk: until then the incomplete segment may hold the only copy.
    fn finish(&self, writer: &mut WriteSide) {
        if writer.rewrite_due || lock(&self.shared).tail.unsynced().next().is_some() {
            return;
        }
        writer.unfinished.retain(|unfinished| match self.finish_one(unfinished) {
            Ok(()) => false,
            Err(error) => {
                tracing::debug!(%error, segment = %unfinished.name, "an incomplete segment stays for later");
                true
            }
        });
    }

    fn finish_one(&self, unfinished: &Unfinished) -> io::Result<()> {
        let old = self.dir.join(unfinished.name.to_string());
        let first_seq = unfinished.name.first_seq;
        if unfinished.durable_seq < first_seq {
            return match self.fs.remove(&old) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            };
        }
        let file = match self.fs.open(&old, true) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            opened => opened?,
        };
        let seed = Header::read(&*file)?.map_or(self.seed, |header| header.seed);
        let footer = Footer {
            seed,
            first_seq,
            last_seq: unfinished.durable_seq,
            records: unfinished.durable_seq + 1 - first_seq,
            first_received: UnixMicros::default(),
            last_received: UnixMicros::default(),
        };
        file.truncate(unfinished.durable_len)?;
        file.write_all_at(&footer.encode(), unfinished.durable_len)?;
        file.sync_data()?;
        let complete = Name { last_seq: Some(unfinished.durable_seq), ..unfinished.name };
        self.fs.rename(&old, &self.dir.join(complete.to_string()))?;
        lock(&self.shared).index.update(complete.number, |segment| {
            segment.name = complete;
            segment.end = unfinished.durable_len;
            segment.size_bytes = unfinished.durable_len + FOOTER_BYTES;
        });
        self.fs.sync_dir(&self.dir)
    }

    /// Whether there is room for so many bytes, made by dropping where that is wanted.
    fn make_room(&self, writer: &mut WriteSide, size: u64) -> Result<bool> {
        let size = size + HEADER_BYTES + FOOTER_BYTES;
        loop {
            let (used, empty) = {
                let shared = lock(&self.shared);
                (shared.index.size_bytes(), shared.acknowledged + 1 == shared.next_seq)
            };
            let fits = used + size <= self.options.max_bytes;
            let free = self.is_free(writer, size);
            if fits && free {
                return Ok(true);
            }
            if empty {
                if writer.current.as_ref().is_some_and(|current| !current.is_empty()) {
                    // What fills the disk was all delivered; completed, it can be removed.
                    self.rotate(writer)?;
                    self.remove_consumed();
                    continue;
                }
                // A batch larger than the whole spool may be would otherwise wait for ever.
                return Ok(free);
            }
            if self.options.when_full == WhenFull::Block || !self.drop_oldest(writer)? {
                return Ok(false);
            }
        }
    }

    fn is_free(&self, writer: &mut WriteSide, size: u64) -> bool {
        let needed = self.options.reserve_bytes.saturating_add(size);
        if writer.unchecked_bytes >= FREE_CHECK_BYTES || writer.free_bytes < needed {
            // Where the figure cannot be had, the write itself will tell.
            writer.free_bytes = self.fs.free_bytes(&self.dir).unwrap_or(u64::MAX);
            writer.unchecked_bytes = 0;
        }
        writer.free_bytes >= needed
    }

    /// Drops the oldest segment with undelivered events; whether there was one and it is gone.
    fn drop_oldest(&self, writer: &mut WriteSide) -> Result<bool> {
        let only = {
            let shared = lock(&self.shared);
            shared.index.first().map(|segment| segment.name.number)
                == writer.current.as_ref().map(|current| current.name.number)
        };
        if only {
            self.rotate(writer)?;
        }
        let before = {
            let mut shared = lock(&self.shared);
            let Some(oldest) =
                shared.index.first().filter(|segment| segment.name.last_seq.is_some()).copied()
            else {
                return Ok(false);
            };
            let from = shared.acknowledged.max(oldest.first_seq - 1);
            let dropped = oldest.last_seq.saturating_sub(from);
            shared.acknowledge(oldest.last_seq);
            shared.dropped.full += dropped;
            shared.index.len()
        };
        self.remove_consumed();
        Ok(lock(&self.shared).index.len() < before)
    }

    /// Removes segments whose events are all acknowledged. First the state goes to the disk: a segment that is gone
    /// without its acknowledgement being recorded would look like a loss.
    fn remove_consumed(&self) {
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
            match self.fs.remove(&self.dir.join(name.to_string())) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    tracing::warn!(%error, segment = %name, "a delivered segment could not be removed");
                }
                _ => lock(&self.shared).index.remove(name.number),
            }
        }
    }

    /// Hands the state to the kernel, and to the disk when that is due. A failure only means that more is sent again
    /// after a crash, and does not stop anything.
    fn note_state(&self) {
        let mut file = lock(&self.state);
        let state = lock(&self.shared).state();
        if let Err(error) = file.write_and_sync_after(&*self.fs, state, self.options.state_sync_interval) {
            lock(&self.shared).disk = DiskState::Failing(error.to_string());
        }
    }

    /// Brings the state to the disk.
    fn flush_state(&self) -> Result<()> {
        let mut file = lock(&self.state);
        let state = lock(&self.shared).state();
        file.write_and_sync(&*self.fs, state)
            .map_err(|error| self.refused("the spool's state cannot be written", error))
    }

    fn refused(&self, what: &str, error: io::Error) -> Error {
        let code = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Code::SpoolDiskFull,
            _ => Code::SpoolWriteFailed,
        };
        lock(&self.shared).disk = DiskState::Failing(error.to_string());
        Error::new(code, format!("{what} ({})", self.dir.display())).caused_by(error)
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
                let now = lock(&self.shared).index.find(from).map(|segment| segment.name);
                if now != Some(segment.name) {
                    // Renamed or removed meanwhile.
                    return Ok(Err(from));
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
        if let Err(error) = quarantine::set_aside(&*self.fs, &self.dir, &read.damaged) {
            tracing::warn!(%error, "damaged bytes could not be set aside");
        }
        let mut shared = lock(&self.shared);
        for (first, last) in read.lost {
            tracing::error!(segment = %segment.name, first, last, "events were damaged on the disk");
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
        if lock(&self.shared).acknowledge(seq) {
            self.note_state();
            self.remove_consumed();
        }
        Ok(())
    }
}

/// The part of a chunk from `from` on that is within the bounds; at least one event.
fn limited(chunk: &Chunk, from: u64, max_events: usize, max_bytes: usize) -> Chunk {
    let start = chunk.range.start + (from - chunk.first_seq) as usize;
    let most = chunk.range.end.min(start.saturating_add(max_events.max(1)));
    let mut bytes = 0;
    let mut end = start;
    while end < most {
        bytes += chunk.batch.get(end).map_or(0, |(_, message)| message.len());
        if bytes > max_bytes && end > start {
            break;
        }
        end += 1;
    }
    Chunk { first_seq: from, batch: Arc::clone(&chunk.batch), range: start..end }
}

/// A seed and an id for a new spool.
fn fresh() -> Fresh {
    let mut random = [0; 8];
    aws_lc_rs::rand::fill(&mut random).expect("the operating system gives random bytes");
    let (seed, name) = (u64::from_le_bytes(random) >> 32, u64::from_le_bytes(random) & 0xFFFF_FFFF);
    let id = format!("{name:08x}").into_bytes().try_into().expect("eight digits");
    Fresh { seed: seed as u32, id }
}
