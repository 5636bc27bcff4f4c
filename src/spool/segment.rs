//! A segment: one file of consecutive records between a header and, once it is complete, a footer.
//!
//! Little-endian, 64 bytes each:
//!
//! | header | bytes | content | footer | bytes | content |
//! |---|---|---|---|---|---|
//! | 0 | 8 | `SOCSPSEG` | 0 | 8 | `SOCSPEND` |
//! | 8 | 4 | version, 1 | 8 | 4 | version, 1 |
//! | 12 | 4 | seed of the records' checksums | 12 | 4 | the same seed |
//! | 16 | 8 | the spool's id, eight hexadecimal digits | 16 | 8 | first sequence number |
//! | 24 | 8 | the segment's number | 24 | 8 | last sequence number |
//! | 32 | 8 | first sequence number | 32 | 8 | how many records |
//! | 40 | 8 | when it was made, microseconds since 1970 | 40 | 8 | reception of the first record |
//! | 48 | 12 | zero | 48 | 8 | reception of the last record |
//! | | | | 56 | 4 | zero |
//! | 60 | 4 | CRC-32C of the bytes before | 60 | 4 | CRC-32C of the bytes before |
//!
//! A segment that is written to is `NUMBER-FIRST.open`, a complete one `NUMBER-FIRST-LAST.seg`, all decimal with
//! leading zeros, so that a listing of the directory says everything that start-up has to know about the backlog. The
//! name is given only after the content was synced. Numbers are never used twice; of two segments that hold the same
//! event the one with the higher number is right.

use super::fs::File;
use super::queue::Chunk;
use super::record::{self, Decoded, MAGIC, Record, u32_at, u64_at};
use crate::clock::UnixMicros;
use std::io;
use std::ops::Range;

/// Bytes before the first record.
pub const HEADER_BYTES: u64 = 64;
/// Bytes behind the last record of a complete segment.
pub const FOOTER_BYTES: u64 = 64;
const HEADER_MAGIC: [u8; 8] = *b"SOCSPSEG";
const FOOTER_MAGIC: [u8; 8] = *b"SOCSPEND";
const VERSION: u32 = 1;

/// Bytes asked of the disk at once: large enough for a disk's full speed, small beside the memory limit.
const READ_BYTES: usize = 1 << 20;

/// The unit in which an unreadable place is narrowed down: a page, which is what the kernel reads.
const SALVAGE_BYTES: usize = 4096;

/// What a segment's name says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Name {
    /// Number of the segment.
    pub number: u64,
    /// First sequence number.
    pub first_seq: u64,
    /// Last sequence number, of a complete segment.
    pub last_seq: Option<u64>,
}

impl Name {
    /// Reads a file name; nothing where it is not a segment's.
    pub fn parse(name: &str) -> Option<Self> {
        let (stem, complete) = match name.strip_suffix(".seg") {
            Some(stem) => (stem, true),
            None => (name.strip_suffix(".open")?, false),
        };
        let mut parts = stem.split('-').map(|part| {
            let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
            if digits { part.parse::<u64>().ok() } else { None }
        });
        let number = parts.next()??;
        let first_seq = parts.next()??;
        let last_seq = if complete { Some(parts.next()??) } else { None };
        let sane = number > 0 && first_seq > 0 && last_seq.is_none_or(|last| last >= first_seq);
        (sane && parts.next().is_none()).then_some(Self { number, first_seq, last_seq })
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:010}-{:020}", self.number, self.first_seq)?;
        match self.last_seq {
            Some(last) => write!(f, "-{last:020}.seg"),
            None => f.write_str(".open"),
        }
    }
}

/// A segment's first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Seed of its records' checksums.
    pub seed: u32,
    /// The spool that it belongs to.
    pub id: [u8; 8],
    /// Its number.
    pub number: u64,
    /// Its first sequence number.
    pub first_seq: u64,
    /// When it was made.
    pub created: UnixMicros,
}

impl Header {
    /// The bytes on disk.
    pub fn encode(&self) -> [u8; HEADER_BYTES as usize] {
        let mut bytes = [0; HEADER_BYTES as usize];
        bytes[0..8].copy_from_slice(&HEADER_MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.seed.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.id);
        bytes[24..32].copy_from_slice(&self.number.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.first_seq.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.created.0.to_le_bytes());
        seal(&mut bytes);
        bytes
    }

    /// Reads the bytes; nothing where they are damaged.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        sealed(bytes, HEADER_MAGIC)?;
        Some(Self {
            seed: u32_at(bytes, 12),
            id: bytes[16..24].try_into().ok()?,
            number: u64_at(bytes, 24),
            first_seq: u64_at(bytes, 32),
            created: UnixMicros(u64_at(bytes, 40).cast_signed()),
        })
    }

    /// Reads a file's header; nothing where it is damaged.
    pub fn read(file: &dyn File) -> io::Result<Option<Self>> {
        let mut bytes = [0; HEADER_BYTES as usize];
        let count = file.read_at(&mut bytes, 0)?;
        Ok(Self::decode(&bytes[..count]))
    }
}

/// A complete segment's last bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Footer {
    /// Seed of its records' checksums.
    pub seed: u32,
    /// First sequence number.
    pub first_seq: u64,
    /// Last sequence number.
    pub last_seq: u64,
    /// How many records were written.
    pub records: u64,
    /// Reception of the first record.
    pub first_received: UnixMicros,
    /// Reception of the last record.
    pub last_received: UnixMicros,
}

impl Footer {
    /// The bytes on disk.
    pub fn encode(&self) -> [u8; FOOTER_BYTES as usize] {
        let mut bytes = [0; FOOTER_BYTES as usize];
        bytes[0..8].copy_from_slice(&FOOTER_MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.seed.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.first_seq.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.last_seq.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.records.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.first_received.0.to_le_bytes());
        bytes[48..56].copy_from_slice(&self.last_received.0.to_le_bytes());
        seal(&mut bytes);
        bytes
    }

    /// Reads the bytes; nothing where they are damaged.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        sealed(bytes, FOOTER_MAGIC)?;
        Some(Self {
            seed: u32_at(bytes, 12),
            first_seq: u64_at(bytes, 16),
            last_seq: u64_at(bytes, 24),
            records: u64_at(bytes, 32),
            first_received: UnixMicros(u64_at(bytes, 40).cast_signed()),
            last_received: UnixMicros(u64_at(bytes, 48).cast_signed()),
        })
    }

    /// Reads a file's footer; nothing where it has none or a damaged one.
    pub fn read(file: &dyn File, file_bytes: u64) -> io::Result<Option<Self>> {
        if file_bytes < HEADER_BYTES + FOOTER_BYTES {
            return Ok(None);
        }
        let mut bytes = [0; FOOTER_BYTES as usize];
        let count = file.read_at(&mut bytes, file_bytes - FOOTER_BYTES)?;
        Ok(Self::decode(&bytes[..count]))
    }
}

fn seal(bytes: &mut [u8; 64]) {
    let crc = crc32c::crc32c(&bytes[..60]);
    bytes[60..].copy_from_slice(&crc.to_le_bytes());
}

fn sealed(bytes: &[u8], magic: [u8; 8]) -> Option<()> {
    let right = bytes.len() == 64
        && bytes[0..8] == magic
        && u32_at(bytes, 8) == VERSION
        && u32_at(bytes, 60) == crc32c::crc32c(&bytes[..60]);
    right.then_some(())
}

/// A segment that is written to.
pub struct Writer {
    file: Box<dyn File>,
    /// Its name as long as it is open.
    pub name: Name,
    /// Last sequence number written; one less than the first where there is none.
    pub last_seq: u64,
    /// Bytes of header and records.
    pub len: u64,
    /// The part of `len` that is on the disk.
    pub durable_len: u64,
    /// Last sequence number that is on the disk.
    pub durable_seq: u64,
    seed: u32,
    first_received: UnixMicros,
    last_received: UnixMicros,
}

impl Writer {
    /// Begins a segment in a new, empty file.
    pub fn begin(file: Box<dyn File>, header: &Header) -> io::Result<Self> {
        file.write_all_at(&header.encode(), 0)?;
        let name = Name { number: header.number, first_seq: header.first_seq, last_seq: None };
        Ok(Self {
            file,
            name,
            last_seq: header.first_seq - 1,
            len: HEADER_BYTES,
            durable_len: 0,
            durable_seq: header.first_seq - 1,
            seed: header.seed,
            first_received: UnixMicros::default(),
            last_received: UnixMicros::default(),
        })
    }

    /// Writes consecutive events with one write. `buffer` is working memory. After an error the segment must not be used
    /// any more.
    pub fn append(&mut self, buffer: &mut Vec<u8>, chunks: &[Chunk]) -> io::Result<()> {
        buffer.clear();
        let bytes = |chunk: &Chunk| {
            chunk.batch.range_bytes(chunk.range.clone()) + chunk.range.len() * record::HEAD_BYTES
        };
        buffer.reserve(chunks.iter().map(bytes).sum());
        let mut seq = self.last_seq;
        let mut received = None;
        for chunk in chunks {
            for (origin, message) in chunk.batch.range(chunk.range.clone()) {
                seq += 1;
                record::encode(buffer, self.seed, seq, origin, message);
                received.get_or_insert(origin.received);
                self.last_received = origin.received;
            }
        }
        if let (true, Some(received)) = (self.is_empty(), received) {
            self.first_received = received;
        }
        self.file.write_all_at(buffer, self.len)?;
        self.len += buffer.len() as u64;
        self.last_seq = seq;
        Ok(())
    }

    /// Whether no event was written.
    pub fn is_empty(&self) -> bool {
        self.last_seq < self.name.first_seq
    }

    /// Whether something was written since the last sync.
    pub fn is_dirty(&self) -> bool {
        self.durable_len < self.len
    }

    /// Returns when everything written is on the disk. After an error the segment must not be written any more.
    pub fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()?;
        self.durable_len = self.len;
        self.durable_seq = self.last_seq;
        Ok(())
    }

    /// Writes the footer and syncs; the name that the file should now be given. The segment must hold an event.
    pub fn complete(&mut self) -> io::Result<Name> {
        let footer = Footer {
            seed: self.seed,
            first_seq: self.name.first_seq,
            last_seq: self.last_seq,
            records: self.last_seq + 1 - self.name.first_seq,
            first_received: self.first_received,
            last_received: self.last_received,
        };
        self.file.write_all_at(&footer.encode(), self.len)?;
        self.sync()?;
        Ok(Name { last_seq: Some(self.last_seq), ..self.name })
    }
}

/// What [`Scanner::step`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A record; [`Scanner::message`] has its bytes until the next step.
    Record(Record),
    /// Bytes of the file that are no record, with a record or the segment's end behind them.
    Corrupt(Range<u64>),
    /// The end of the readable part. So many bytes before it are no record: torn, where the segment is incomplete.
    End(u64),
}

/// Reads a segment's records in order and finds its way past damage.
pub struct Scanner {
    file: Box<dyn File>,
    seed: u32,
    /// Where the next step reads.
    offset: u64,
    /// Its first `filled` bytes are those of the file from `buffer_at` on.
    buffer: Vec<u8>,
    filled: usize,
    buffer_at: u64,
    /// Where the last record's first byte stands in the buffer.
    record_at: usize,
    salvage: bool,
}

impl Scanner {
    /// Reads from `offset` on, which is a record's first byte.
    pub fn new(file: Box<dyn File>, seed: u32, offset: u64) -> Self {
        Self {
            file,
            seed,
            offset,
            buffer: Vec::new(),
            filled: 0,
            buffer_at: offset,
            record_at: 0,
            salvage: false,
        }
    }

    /// Where the next step reads.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// From now on a place that the disk cannot read counts as damaged and is passed by.
    pub fn set_salvage(&mut self) {
        self.salvage = true;
    }

    /// The last record's message.
    pub fn message(&self, record: &Record) -> &[u8] {
        &self.buffer[self.record_at..][record.message.clone()]
    }

    /// Reads the next record below `end`, a position in the file. Records with numbers outside of `seqs` are none.
    pub fn step(&mut self, end: u64, seqs: &Range<u64>) -> io::Result<Step> {
        let start = self.offset;
        if start >= end {
            return Ok(Step::End(0));
        }
        if let Some(record) = self.record_at(start, end, seqs)? {
            self.offset = start + record.size_bytes() as u64;
            return Ok(Step::Record(record));
        }
        // Damage: look for the next place where a record is whole.
        let mut at = start + 1;
        loop {
            let available = self.fill(at, MAGIC.len(), end)?;
            if available.len() < MAGIC.len() {
                return Ok(Step::End(end - start));
            }
            let Some(found) = memchr::memmem::find(available, &MAGIC) else {
                // The last bytes may be the beginning of a magic number.
                at += (available.len() - (MAGIC.len() - 1)) as u64;
                continue;
            };
            at += found as u64;
            if self.record_at(at, end, seqs)?.is_some() {
                self.offset = at;
                return Ok(Step::Corrupt(start..at));
            }
            at += 1;
        }
    }

    /// Goes back to the record that the last step returned.
    pub fn step_back(&mut self, record: &Record) {
        self.offset -= record.size_bytes() as u64;
    }

    /// The bytes of a range, as far as they can be read, for setting aside.
    pub fn raw(&self, range: Range<u64>) -> Vec<u8> {
        let mut bytes = vec![0; (range.end - range.start) as usize];
        let count = self.read(&mut bytes, range.start, true).unwrap_or(0);
        bytes.truncate(count);
        bytes
    }

    fn record_at(&mut self, at: u64, end: u64, seqs: &Range<u64>) -> io::Result<Option<Record>> {
        let mut need = record::HEAD_BYTES;
        loop {
            let seed = self.seed;
            let available = self.fill(at, need, end)?;
            match record::decode(available, seed) {
                Decoded::Record(record) => {
                    self.record_at = (at - self.buffer_at) as usize;
                    return Ok(seqs.contains(&record.seq).then_some(record));
                }
                Decoded::Incomplete(total) if at + total as u64 <= end && total > available.len() => {
                    let had = available.len();
                    need = total;
                    if had >= total {
                        return Ok(None);
                    }
                    if self.fill(at, need, end)?.len() < total {
                        return Ok(None);
                    }
                }
                Decoded::Incomplete(_) | Decoded::Bad => return Ok(None),
            }
        }
    }

    /// The bytes from `at` on: `need` of them or more, fewer only before `end` and the end of the file.
    fn fill(&mut self, at: u64, need: usize, end: u64) -> io::Result<&[u8]> {
        let buffered = self.buffer_at..self.buffer_at + self.filled as u64;
        let wanted = at + (need as u64).min(end.saturating_sub(at));
        if !(buffered.start <= at && wanted <= buffered.end) {
            let passed = if buffered.contains(&at) { (at - buffered.start) as usize } else { self.filled };
            self.buffer.copy_within(passed..self.filled, 0);
            self.buffer_at = at;
            self.filled -= passed;
            let had = self.filled;
            let more = ((need.max(READ_BYTES) as u64).min(end.saturating_sub(at)) as usize).max(had);
            let mut buffer = std::mem::take(&mut self.buffer);
            if buffer.len() < more {
                buffer.resize(more, 0);
            }
            let read = self.read(&mut buffer[had..more], at + had as u64, self.salvage);
            self.buffer = buffer;
            self.filled += read?;
        }
        let from = (at - self.buffer_at) as usize;
        let until = (self.filled as u64).min(end.saturating_sub(self.buffer_at)) as usize;
        Ok(&self.buffer[from.min(until)..until])
    }

    fn read(&self, buffer: &mut [u8], offset: u64, salvage: bool) -> io::Result<usize> {
        let whole = self.file.read_at(buffer, offset);
        if whole.is_ok() || !salvage {
            return whole;
        }
        let size = self.file.size()?;
        let mut at = 0;
        for page in buffer.chunks_mut(SALVAGE_BYTES) {
            let left = size.saturating_sub(offset + at as u64).min(page.len() as u64) as usize;
            if self.file.read_at(page, offset + at as u64).is_err() {
                page.fill(0);
            }
            at += left;
            if left < page.len() {
                break;
            }
        }
        Ok(at)
    }
}
