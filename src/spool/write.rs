//! The write path: what happens under the writer's lock.
//!
//! Every failure ends in one of two ways. A write or a sync that failed abandons its segment: the part that was synced
//! before stays, and everything in memory behind it is written to a new segment by the next call; of segments that hold
//! nothing but such copies one stays beside it at most ([`Spool::sync`]). A failure to tidy up
//! (names, footers, removal) changes nothing that counts, and is tried again.

use super::Options;
use super::queue::Chunk;
use super::record;
use super::recovery::{Segment, Unfinished};
use super::segment::{self, FOOTER_BYTES, Footer, HEADER_BYTES, Header, Name};
use super::shared::DiskState;
use super::spool::{Spool, is_full, lock};
use super::state::Mark;
use crate::clock::{Clock, SystemClock, UnixMicros};
use crate::error::Result;
use crate::fault_point::{self, Place};
use crate::settings::WhenFull;
use std::io;
use std::time::Instant;

/// The file system is asked for its free space after so many written bytes, and each time while there is too little.
const FREE_CHECK_BYTES: u64 = 1 << 20;

/// What stays free while the process ends: its last notes and the log need some room. The settings' least reserve.
const LAST_RESERVE_BYTES: u64 = 16 << 20;

/// What the writer's lock guards.
pub struct WriteSide {
    current: Option<segment::Writer>,
    unfinished: Vec<Unfinished>,
    buffer: Vec<u8>,
    /// A write or sync failed: everything in memory that is not on the disk goes to a new segment first.
    rewrite_due: bool,
    /// A write or a sync failed because the file system, or a quota, is full: the copies on it go before the next try.
    is_out_of_space: bool,
    /// Free bytes when last asked, less what was written since.
    free_bytes: u64,
    unchecked_bytes: u64,
    /// The bound in the place of the settings' while the process ends.
    pub(super) last_bound: Option<u64>,
}

/// Which copies of what is in memory stay on the disk.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keep {
    /// The one that has most of it.
    Best,
    Nothing,
}

impl WriteSide {
    /// A writer that has not begun a segment yet.
    pub fn new(unfinished: Vec<Unfinished>, rewrite_due: bool) -> Self {
        Self {
            current: None,
            unfinished,
            buffer: Vec::new(),
            rewrite_due,
            is_out_of_space: false,
            free_bytes: 0,
            unchecked_bytes: FREE_CHECK_BYTES,
            last_bound: None,
        }
    }

    /// Bytes that the segment has room for which a write of `size` goes to.
    pub fn room(&self, options: &Options, size: u64) -> u64 {
        let len = self.current.as_ref().map_or(HEADER_BYTES, |current| current.len);
        let left = options.segment_bytes.saturating_sub(len);
        if left < size { options.segment_bytes.saturating_sub(HEADER_BYTES) } else { left }
    }

    /// Whether something in memory has to be written anew before anything else.
    pub fn is_rewrite_due(&self) -> bool {
        self.rewrite_due
    }
}

impl Spool {
    /// [`Spool::sync`] under the lock.
    pub(super) fn sync_locked(&self, writer: &mut WriteSide) -> Result<u64> {
        if writer.rewrite_due {
            let is_out_of_space = std::mem::take(&mut writer.is_out_of_space);
            self.remove_copies(writer, if is_out_of_space { Keep::Nothing } else { Keep::Best });
            let chunks: Vec<Chunk> = lock(&self.shared).tail.unsynced().cloned().collect();
            for chunk in chunks {
                self.write_chunks(writer, &[chunk])?;
            }
            writer.rewrite_due = false;
        }
        if let Some(current) = writer.current.as_mut().filter(|current| current.is_dirty()) {
            fault_point::pass(Place::BeforeSync, current.last_seq);
            if let Err(error) = self.timed(|| current.sync()) {
                // Delayed allocation, NFS and thin pools say so here.
                writer.is_out_of_space |= is_full(&error);
                self.abandon(writer);
                return Err(self.refused("the spool cannot be synced", error));
            }
            fault_point::pass(Place::AfterSync, current.durable_seq);
            let mark =
                Mark { segment: current.name.number, len: current.durable_len, seq: current.durable_seq };
            let mut shared = lock(&self.shared);
            shared.mark = mark;
            shared.durable_through(mark.seq);
            shared.disk = DiskState::Ok;
        }
        if !writer.unfinished.is_empty() {
            self.finish(writer);
            self.remove_consumed();
        }
        self.note_state();
        Ok(lock(&self.shared).durable())
    }

    /// Does what syncs a segment, and notes how long the disk took.
    fn timed<T>(&self, sync: impl FnOnce() -> T) -> T {
        let begun = Instant::now();
        let done = sync();
        lock(&self.shared).syncs.took(begun.elapsed());
        done
    }

    /// Writes consecutive chunks with one call to the current segment, or to a new one.
    pub(super) fn write_chunks(&self, writer: &mut WriteSide, chunks: &[Chunk]) -> Result<()> {
        let first_seq = chunks[0].first_seq;
        let size = chunks.iter().map(|chunk| record::encoded_bytes(&chunk.batch)).sum::<u64>();
        if let Some(current) = &writer.current {
            let follows = current.last_seq + 1 == first_seq;
            let full = !current.is_empty() && current.len + size > self.options.segment_bytes;
            if !follows || full {
                self.rotate(writer)?;
            }
        }
        if writer.current.is_none() {
            writer.current = Some(self.begin(writer, first_seq)?);
            writer.free_bytes = writer.free_bytes.saturating_sub(HEADER_BYTES + FOOTER_BYTES);
        }
        let current = writer.current.as_mut().expect("there is a segment now");
        fault_point::pass(Place::BeforeAppend, current.last_seq);
        if let Err(error) = current.append(&mut writer.buffer, chunks) {
            writer.is_out_of_space |= is_full(&error);
            self.abandon(writer);
            return Err(self.refused("the spool cannot be written", error));
        }
        let (number, last_seq, len) = (current.name.number, current.last_seq, current.len);
        fault_point::pass(Place::AfterAppend, last_seq);
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
    fn begin(&self, writer: &mut WriteSide, first_seq: u64) -> Result<segment::Writer> {
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
            let segment = segment::Writer::begin(file, &header)?;
            fault_point::pass(Place::SegmentCreate, first_seq - 1);
            self.fs.sync_dir(&self.dir)?;
            Ok(segment)
        });
        match begun {
            Ok(segment) => {
                lock(&self.shared).index.insert(Segment {
                    name,
                    first_seq,
                    last_seq: first_seq - 1,
                    end: HEADER_BYTES,
                    size_bytes: HEADER_BYTES,
                });
                Ok(segment)
            }
            Err(error) => {
                writer.is_out_of_space |= is_full(&error);
                // An empty file of this number means nothing, but it should not stay for ever.
                if self.fs.remove(&path).is_err_and(|error| error.kind() != io::ErrorKind::NotFound) {
                    writer.unfinished.push(Unfinished {
                        name,
                        durable_len: 0,
                        durable_seq: first_seq - 1,
                        copied_seq: Some(first_seq - 1),
                    });
                }
                Err(self.refused("a new segment cannot be made", error))
            }
        }
    }

    /// Completes the current segment; everything in it is on the disk afterwards.
    pub(super) fn rotate(&self, writer: &mut WriteSide) -> Result<()> {
        let Some(current) = writer.current.as_mut() else { return Ok(()) };
        if current.is_empty() {
            self.abandon(writer);
            return Ok(());
        }
        let complete = match self.timed(|| current.complete()) {
            Ok(name) => name,
            Err(error) => {
                writer.is_out_of_space |= is_full(&error);
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
        // A reader must not look for the one name when there is only the other.
        let reader = lock(&self.reader);
        fault_point::pass(Place::SegmentComplete, mark.seq);
        if let Err(error) = self.fs.rename(&old, &new) {
            tracing::warn!(%error, segment = %current.name, "a complete segment could not be renamed");
            writer.unfinished.push(Unfinished {
                name: current.name,
                durable_len: current.durable_len,
                durable_seq: current.durable_seq,
                copied_seq: None,
            });
            return Ok(());
        }
        fault_point::pass(Place::SegmentRename, mark.seq);
        lock(&self.shared).index.update(complete.number, |segment| {
            segment.name = complete;
            segment.size_bytes += FOOTER_BYTES;
        });
        drop(reader);
        self.sync_names();
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
            copied_seq: Some(current.last_seq),
        });
    }

    /// Removes abandoned segments that are nothing but copies of what is in memory, which is written anew next: without
    /// that a disk that fails to sync would be filled with them. The best one stays, so that a process that is killed
    /// meanwhile loses nothing, unless it stands in the way of the new one.
    fn remove_copies(&self, writer: &mut WriteSide, keep: Keep) {
        let copies = writer.unfinished.iter().filter(|unfinished| unfinished.is_copy());
        let best = copies.max_by_key(|copy| (copy.copied_seq, copy.name.number)).map(|copy| copy.name.number);
        let kept = best.filter(|_| keep == Keep::Best);
        writer.unfinished.retain(|unfinished| {
            let stays = !unfinished.is_copy() || Some(unfinished.name.number) == kept;
            stays || self.finish_one(unfinished).is_err()
        });
    }

    /// Completes or removes what was left incomplete, as far as the disk lets it. Only when everything in memory is on
    /// the disk: until then the incomplete segment may hold the only copy.
    pub(super) fn finish(&self, writer: &mut WriteSide) {
        debug_assert!(lock(&self.shared).tail.unsynced().next().is_none());
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
                // A failed append may have left whole records: they must not come back with the power once the next
                // process has not seen them.
                _ => self.fs.sync_dir(&self.dir),
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
        let reader = lock(&self.reader);
        self.fs.rename(&old, &self.dir.join(complete.to_string()))?;
        lock(&self.shared).index.update(complete.number, |segment| {
            segment.name = complete;
            segment.end = unfinished.durable_len;
            segment.size_bytes = unfinished.durable_len + FOOTER_BYTES;
        });
        drop(reader);
        self.fs.sync_dir(&self.dir)
    }

    /// Whether there is room for so many bytes, made by dropping where that is wanted.
    pub(super) fn make_room(&self, writer: &mut WriteSide, size: u64) -> Result<bool> {
        let size = size + HEADER_BYTES + FOOTER_BYTES;
        loop {
            let (used, empty) = {
                let shared = lock(&self.shared);
                (shared.index.size_bytes(), shared.acknowledged + 1 == shared.next_seq)
            };
            let fits = used + size <= writer.last_bound.unwrap_or(self.options.max_bytes);
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
        let reserve = self.options.reserve_bytes;
        let reserve = if writer.last_bound.is_some() { reserve.min(LAST_RESERVE_BYTES) } else { reserve };
        let needed = reserve.saturating_add(size);
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
}
