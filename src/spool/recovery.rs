//! What opening finds: the index of segments, where everything stood, and what has to be written anew.
//!
//! Names and sizes of the complete segments, the state file, and the content of segments that were not completed are
//! all that is read. Of the segment that was being written last, only the part behind the state's mark is read: at
//! most what came in since the mark was written.
//!
//! What is found in an incomplete segment behind the mark was perhaps never synced, and the kernel's cache may show
//! bytes that a failed write-back never brought to the disk. So it is not believed: it goes to memory and is written
//! anew into a segment of its own, and is readable when that is synced. Of several files with the same event the
//! youngest is right.

use super::fs::{Entry, FileSystem};
use super::queue::Chunk;
use super::segment::{FOOTER_BYTES, Footer, HEADER_BYTES, Header, Name, Scanner, Step};
use super::state::{self, Mark, State};
use super::{Findings, StateFound};
use crate::batch::Batch;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// Messages' bytes of one recovered batch; a larger one would stay in memory whole for one event of it.
const BATCH_BYTES: usize = 1 << 20;

/// A segment in the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// Its name on disk.
    pub name: Name,
    /// First sequence number that is to be read from it.
    pub first_seq: u64,
    /// Last sequence number that is to be read from it; one less than the first where there is none yet.
    pub last_seq: u64,
    /// Where its records end, at the latest; unknown (the whole file) is `u64::MAX`.
    pub end: u64,
    /// Bytes on disk.
    pub size_bytes: u64,
}

/// An incomplete segment whose durable part has to be completed, or which has none and has to be removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unfinished {
    /// Its name on disk.
    pub name: Name,
    /// The durable part in bytes.
    pub durable_len: u64,
    /// The last sequence number in this part; one less than the first where there is none.
    pub durable_seq: u64,
    /// The last sequence number written to it, where this process wrote it and still has in memory what is not durable.
    pub copied_seq: Option<u64>,
}

impl Unfinished {
    /// Whether there is nothing in it but a copy of what is in memory, to be written anew.
    pub fn is_copy(&self) -> bool {
        self.copied_seq.is_some() && self.durable_seq < self.name.first_seq
    }
}

/// What opening found.
pub struct Recovered {
    /// The state to go on with.
    pub state: State,
    /// What was loaded of the state file.
    pub loaded: state::Loaded,
    /// Segments in order of sequence numbers.
    pub segments: Vec<Segment>,
    /// Events to be written anew, in order.
    pub rewrite: Vec<Chunk>,
    /// Incomplete segments, to be seen to once `rewrite` is on the disk.
    pub unfinished: Vec<Unfinished>,
    /// The number for the next event.
    pub next_seq: u64,
    /// What to tell.
    pub findings: Findings,
    /// Damaged bytes to set aside: segment, position, content.
    pub damaged: Vec<(Name, u64, Vec<u8>)>,
}

/// A seed and an id for a spool that has none yet.
pub struct Fresh {
    /// For the checksums.
    pub seed: u32,
    /// The spool's id.
    pub id: [u8; 8],
}

/// Looks at a directory; changes nothing.
pub fn recover(fs: &dyn FileSystem, dir: &Path, fresh: &Fresh) -> io::Result<Recovered> {
    let mut findings = Findings::default();
    let loaded = state::load(fs, dir)?;
    let mut names: Vec<(Name, Entry)> = Vec::new();
    for entry in fs.list(dir)? {
        if let Some(name) = Name::parse(&entry.name) {
            names.push((name, entry));
        }
    }
    names.sort_by_key(|(name, _)| name.number);
    let mut state = if let Some(state) = loaded.state {
        findings.state = if loaded.bad_slots == 0 { StateFound::Intact } else { StateFound::OneSlotDamaged };
        state
    } else {
        let nothing = loaded.bad_slots == 0 && names.is_empty();
        findings.state = if nothing { StateFound::Created } else { StateFound::Rebuilt };
        rebuilt(fs, dir, &names, fresh)
    };
    let rebuilt = loaded.state.is_none();

    let mut sealed: Vec<Segment> = Vec::new();
    let mut open: Vec<(Name, u64)> = Vec::new();
    for (name, entry) in &names {
        state.next_number = state.next_number.max(name.number + 1);
        match name.last_seq {
            Some(last_seq) => sealed.push(Segment {
                name: *name,
                first_seq: name.first_seq,
                last_seq,
                end: u64::MAX,
                size_bytes: entry.len,
            }),
            None => open.push((*name, entry.len)),
        }
    }
    state.next_number = state.next_number.max(state.mark.segment + 1).max(1);

    // Incomplete segments, oldest first; what a younger one holds replaces what an older one holds.
    let mut rewrite: Vec<Chunk> = Vec::new();
    let mut unfinished = Vec::new();
    let mut damaged = Vec::new();
    for (name, len) in open {
        let mark = (state.mark.segment == name.number && state.mark.len <= len).then_some(state.mark);
        let mark = mark.filter(|mark| mark.seq >= name.first_seq);
        let durable_len = mark.map_or(0, |mark| mark.len);
        let durable_seq = mark.map_or(name.first_seq - 1, |mark| mark.seq);
        if let Some(mark) = mark {
            sealed.push(Segment {
                name,
                first_seq: name.first_seq,
                last_seq: mark.seq,
                end: mark.len,
                size_bytes: mark.len,
            });
        }
        let from = durable_seq + 1;
        let found = scan(fs, dir, name, durable_len.max(HEADER_BYTES), len, from, &state)?;
        findings.bytes_scanned += found.bytes_read;
        findings.torn_bytes += found.torn_bytes;
        damaged.extend(found.damaged);
        for chunk in found.chunks {
            cut_out(&mut rewrite, chunk.first_seq, chunk.last_seq());
            rewrite.push(chunk);
        }
        // A younger complete segment has the last word too.
        for segment in sealed.iter().filter(|segment| segment.name.number > name.number) {
            cut_out(&mut rewrite, segment.first_seq, segment.last_seq);
        }
        unfinished.push(Unfinished { name, durable_len, durable_seq, copied_seq: None });
    }
    rewrite.sort_by_key(|chunk| chunk.first_seq);
    sealed.sort_by_key(|segment| (segment.first_seq, segment.name.number));
    for segment in &sealed {
        cut_out(&mut rewrite, segment.first_seq, segment.last_seq);
    }
    if rebuilt {
        if findings.torn_bytes > 0 || !damaged.is_empty() {
            // What is damaged may have been the last events, and may have been sent: their numbers will be given
            // again, and must not name two events under one id.
            state.id = fresh.id;
            findings.id_changed = true;
        }
        // Nothing says what was acknowledged: everything that is there is sent again.
        let firsts = sealed.first().map(|segment| segment.first_seq).into_iter();
        let first = firsts.chain(rewrite.first().map(|chunk| chunk.first_seq)).min();
        state.acknowledged = first.map_or(0, |first| first - 1);
        state.counted_through = state.acknowledged;
    }
    cut_out(&mut rewrite, 0, state.acknowledged);

    // Two complete segments never overlap by what this program writes; where copies of files make them, the first
    // that has an event is read.
    let mut read_through = 0;
    for segment in &mut sealed {
        segment.first_seq = segment.first_seq.max(read_through + 1);
        read_through = read_through.max(segment.last_seq);
    }

    let last_found = rewrite.last().map_or(0, Chunk::last_seq).max(read_through);
    let last = last_found.max(state.durable).max(state.acknowledged);
    findings.acknowledged = state.acknowledged;
    findings.last_seq = last;
    findings.segments = sealed.len();
    findings.rewritten_events = rewrite.iter().map(|chunk| chunk.range.len() as u64).sum();
    findings.missing = missing(&sealed, &rewrite, state.acknowledged, last);
    Ok(Recovered {
        state,
        loaded,
        segments: sealed,
        rewrite,
        unfinished,
        next_seq: last + 1,
        findings,
        damaged,
    })
}

/// A state from what the segments say, or a fresh one.
fn rebuilt(fs: &dyn FileSystem, dir: &Path, names: &[(Name, Entry)], fresh: &Fresh) -> State {
    let header = names.iter().rev().find_map(|(_, entry)| {
        let file = fs.open(&dir.join(&entry.name), false).ok()?;
        Header::read(&*file).ok()?
    });
    let (seed, id) = header.map_or((fresh.seed, fresh.id), |header| (header.seed, header.id));
    State { seed, id, mark: Mark::default(), ..State::default() }
}

/// Ranges of numbers behind `acknowledged` that are nowhere.
fn missing(sealed: &[Segment], rewrite: &[Chunk], acknowledged: u64, last: u64) -> Vec<(u64, u64)> {
    let mut present: Vec<(u64, u64)> = sealed
        .iter()
        .map(|segment| (segment.first_seq, segment.last_seq))
        .chain(rewrite.iter().map(|chunk| (chunk.first_seq, chunk.last_seq())))
        .filter(|(first, last)| first <= last)
        .collect();
    present.sort_unstable();
    present.push((last + 1, last + 1));
    let mut gaps = Vec::new();
    let mut through = acknowledged;
    for (first, last) in present {
        if first > through + 1 {
            gaps.push((through + 1, first - 1));
        }
        through = through.max(last);
    }
    gaps
}

#[derive(Default)]
struct Scanned {
    chunks: Vec<Chunk>,
    torn_bytes: u64,
    bytes_read: u64,
    damaged: Vec<(Name, u64, Vec<u8>)>,
}

/// Reads an incomplete segment from `at` to `len`.
fn scan(
    fs: &dyn FileSystem,
    dir: &Path,
    name: Name,
    at: u64,
    len: u64,
    first_seq: u64,
    state: &State,
) -> io::Result<Scanned> {
    let mut scanned = Scanned::default();
    let file = fs.open(&dir.join(name.to_string()), false)?;
    let header = Header::read(&*file).unwrap_or(None);
    let seed = header.map_or(state.seed, |header| header.seed);
    // A footer without the name for it: the process ended between the two.
    let footer = Footer::read(&*file, len).unwrap_or(None);
    let len = if footer.is_some() { len - FOOTER_BYTES } else { len };
    let mut scanner = Scanner::new(file, seed, at);
    scanner.set_salvage();
    let mut next = first_seq;
    let mut batch = Batch::default();
    let mut batch_seq = next;
    loop {
        match scanner.step(len, &(next..u64::MAX))? {
            Step::Record(record) => {
                if record.seq != next || batch.size_bytes() >= BATCH_BYTES {
                    push(&mut scanned.chunks, batch_seq, &mut batch);
                    batch_seq = record.seq;
                }
                batch.push(record.origin, scanner.message(&record));
                next = record.seq + 1;
            }
            Step::Corrupt(range) => {
                let bytes = scanner.raw(range.clone());
                scanned.damaged.push((name, range.start, bytes));
            }
            Step::End(torn_bytes) => {
                scanned.torn_bytes = torn_bytes;
                break;
            }
        }
    }
    push(&mut scanned.chunks, batch_seq, &mut batch);
    scanned.bytes_read = len.saturating_sub(at);
    Ok(scanned)
}

fn push(chunks: &mut Vec<Chunk>, first_seq: u64, batch: &mut Batch) {
    if !batch.is_empty() {
        let batch = Arc::new(std::mem::take(batch));
        chunks.push(Chunk { first_seq, range: 0..batch.len(), batch });
    }
}

/// Removes the numbers `first..=last` from the chunks.
fn cut_out(chunks: &mut Vec<Chunk>, first: u64, last: u64) {
    let apart = |chunk: &Chunk| chunk.last_seq() < first || last < chunk.first_seq;
    if first > last || chunks.iter().all(apart) {
        return;
    }
    let mut kept = Vec::with_capacity(chunks.len() + 1);
    for chunk in chunks.drain(..) {
        let events = chunk.range.len() as u64;
        let below = first.saturating_sub(chunk.first_seq).min(events) as usize;
        let above = chunk.last_seq().saturating_sub(last).min(events) as usize;
        let Chunk { first_seq, batch, range } = chunk;
        if below > 0 {
            let batch = Arc::clone(&batch);
            kept.push(Chunk { first_seq, batch, range: range.start..range.start + below });
        }
        if above > 0 {
            let first_seq = first_seq + events - above as u64;
            kept.push(Chunk { first_seq, batch, range: range.end - above..range.end });
        }
    }
    *chunks = kept;
}
