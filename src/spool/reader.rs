//! Reads events back from segments, for an uplink that is behind what memory holds.
//!
//! The reader goes forward with the uplink and keeps the last batch it read, so that a window taken in parts reads the
//! disk once. A jump back (a new connection begins behind the last acknowledged event) starts at the segment's first
//! record.

use super::fs::FileSystem;
use super::queue::Chunk;
use super::recovery::Segment;
use super::segment::{FOOTER_BYTES, Footer, HEADER_BYTES, Header, Name, Scanner, Step};
use crate::batch::Batch;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// Messages' bytes read into one batch: a few windows of the uplink.
const BATCH_BYTES: usize = 1 << 20;
/// Events read into one batch, for senders of very short messages.
const BATCH_EVENTS: usize = 16 * 1024;
/// After so many failed reads of a segment in a row what cannot be read is passed by: an uplink must not wait for a
/// bad sector for ever, nor lose events to a disk that was only away for a moment.
const ATTEMPTS: u32 = 3;
/// Of one damaged place, so much is set aside.
const DAMAGED_BYTES: u64 = 1 << 20;

/// What one read brought.
#[derive(Debug, Default)]
pub struct Read {
    /// Events, the first of them behind every number in `lost`.
    pub chunk: Option<Chunk>,
    /// Numbers, first and last, that are not in the segment though they should be.
    pub lost: Vec<(u64, u64)>,
    /// The bytes in the place of what is lost: position and content.
    pub damaged: Vec<(Name, u64, Vec<u8>)>,
}

struct Position {
    number: u64,
    scanner: Scanner,
    /// The number that the next record should have.
    next: u64,
    /// Where the records end, in a complete segment.
    end: u64,
    /// Bytes in front of the next record that are none.
    damaged: Vec<(Name, u64, Vec<u8>)>,
}

/// Where the uplink reads.
#[derive(Default)]
pub struct Reader {
    position: Option<Position>,
    cached: Option<Chunk>,
    /// Segment whose reading failed, and how often in a row.
    failed: Option<(u64, u32)>,
}

impl Reader {
    /// Reads events of a segment from number `from` on, none above `limit`; both lie in the segment.
    pub fn read(
        &mut self,
        fs: &dyn FileSystem,
        dir: &Path,
        seed: u32,
        segment: &Segment,
        from: u64,
        limit: u64,
    ) -> io::Result<Read> {
        if let Some(chunk) = &self.cached
            && (chunk.first_seq..=chunk.last_seq().min(limit)).contains(&from)
        {
            return Ok(Read { chunk: Some(chunk.clone()), ..Read::default() });
        }
        let number = segment.name.number;
        let result = self.read_segment(fs, dir, seed, segment, from, limit);
        if let Ok(read) = &result {
            if self.failed.is_some_and(|(failed, times)| failed != number || times < ATTEMPTS) {
                self.failed = None;
            }
            self.cached.clone_from(&read.chunk);
        } else {
            self.position = None;
            let times = self.failed.filter(|(failed, _)| *failed == number).map_or(0, |(_, times)| times);
            self.failed = Some((number, times.saturating_add(1)));
        }
        result
    }

    /// Whether a segment cannot be read even when its unreadable places are passed by.
    pub fn has_given_up(&self, number: u64) -> bool {
        self.failed.is_some_and(|(failed, times)| failed == number && times > ATTEMPTS)
    }

    /// Whether a segment failed so often that its unreadable places are passed by.
    fn salvages(&self, number: u64) -> bool {
        self.failed.is_some_and(|(failed, times)| failed == number && times >= ATTEMPTS)
    }

    fn read_segment(
        &mut self,
        fs: &dyn FileSystem,
        dir: &Path,
        seed: u32,
        segment: &Segment,
        from: u64,
        limit: u64,
    ) -> io::Result<Read> {
        let number = segment.name.number;
        if self.position.as_ref().is_none_or(|position| position.number != number || position.next > from) {
            self.position = None;
            let file = fs.open(&dir.join(segment.name.to_string()), false)?;
            let salvage = self.salvages(number);
            let header = match Header::read(&*file) {
                Err(error) if !salvage => return Err(error),
                header => header.unwrap_or(None),
            };
            let size = file.size()?;
            let footer = Footer::read(&*file, size).unwrap_or(None);
            let end = if footer.is_some() { size - FOOTER_BYTES } else { size };
            let seed = header.map(|header| header.seed).or(footer.map(|footer| footer.seed)).unwrap_or(seed);
            let mut scanner = Scanner::new(file, seed, HEADER_BYTES);
            if salvage {
                scanner.set_salvage();
            }
            self.position =
                Some(Position { number, scanner, next: segment.name.first_seq, end, damaged: Vec::new() });
        }
        let position = self.position.as_mut().expect("set above");
        let end = if segment.end == u64::MAX { position.end } else { segment.end };
        let mut read = Read::default();
        let mut batch = Batch::with_capacity(0, BATCH_BYTES);
        let mut batch_seq = from;
        while position.next <= limit && batch.size_bytes() < BATCH_BYTES && batch.len() < BATCH_EVENTS {
            match position.scanner.step(end, &(position.next..segment.last_seq + 1))? {
                Step::Record(record) => {
                    if record.seq > position.next {
                        if !batch.is_empty() {
                            position.scanner.step_back(&record);
                            break;
                        }
                        read.lost.push((position.next, record.seq - 1));
                        read.damaged.append(&mut position.damaged);
                    }
                    position.damaged.clear();
                    position.next = record.seq + 1;
                    if record.seq > limit {
                        // Only behind damage: the numbers up to the limit are lost, this one is for later.
                        position.scanner.step_back(&record);
                        position.next = record.seq;
                        break;
                    }
                    if record.seq >= from {
                        if batch.is_empty() {
                            batch_seq = record.seq;
                        }
                        batch.push(record.origin, position.scanner.message(&record));
                    }
                }
                Step::Corrupt(range) => {
                    let kept = range.start..range.end.min(range.start + DAMAGED_BYTES);
                    position.damaged.push((segment.name, range.start, position.scanner.raw(kept)));
                }
                Step::End(_) if !batch.is_empty() => break,
                Step::End(torn) => {
                    if torn > 0 {
                        let start = position.scanner.offset();
                        let kept = start..(start + torn).min(start + DAMAGED_BYTES);
                        position.damaged.push((segment.name, start, position.scanner.raw(kept)));
                    }
                    read.lost.push((position.next, segment.last_seq));
                    read.damaged.append(&mut position.damaged);
                    position.next = segment.last_seq + 1;
                }
            }
        }
        if !batch.is_empty() {
            let range = 0..batch.len();
            read.chunk = Some(Chunk { first_seq: batch_seq, batch: Arc::new(batch), range });
        }
        Ok(read)
    }
}
