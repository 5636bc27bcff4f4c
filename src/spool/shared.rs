//! What appending, reading and acknowledging share: positions, counters and the tail, all in memory. Its lock is held
//! for moments only, never over a call to the disk.

use super::index::Index;
use super::queue::Chunk;
use super::refused::Refused;
use super::state::{Mark, State};
use super::tail::Tail;
use crate::clock::UnixMicros;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Places where chunks began that were handed to the uplink, for the age of the oldest unacknowledged event: more than
/// an uplink ever has in flight.
const MARKS: usize = 1024;

/// Ranges of lost numbers behind the acknowledged position; one more is not remembered, which only delays the removal
/// of its segment.
const GAPS: usize = 4096;

/// Events that never reach the receiver, by cause, over the spool's whole life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Dropped {
    /// Dropped because the spool was full (`drop-oldest`).
    pub full: u64,
    /// Lost to damaged records.
    pub corrupt: u64,
    /// Lost with segments that are not there any more.
    pub missing: u64,
}

/// How the disk does.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum DiskState {
    /// As it should.
    #[default]
    Ok,
    /// The queue has its largest size, or the file system has only its reserve left.
    Full,
    /// The last attempt to write failed with this.
    Failing(String),
}

/// Syncs of segments since the spool was opened. An event waits for one before it is sent, so a disk that others keep busy
/// shows here first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Syncs {
    /// How many.
    pub count: u64,
    /// What all of them took.
    pub total: Duration,
    /// What the longest one took.
    pub longest: Duration,
}

impl Syncs {
    /// One more.
    pub fn took(&mut self, time: Duration) {
        self.count += 1;
        self.total += time;
        self.longest = self.longest.max(time);
    }
}

/// Figures for `status`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The oldest event that is not acknowledged has this number, where there is one.
    pub first_seq: u64,
    /// The last sequence number given; 0 where none was.
    pub last_seq: u64,
    /// All events up to this one are on the disk.
    pub durable_seq: u64,
    /// All events up to this one are acknowledged.
    pub acknowledged_seq: u64,
    /// Events that are not acknowledged.
    pub events: u64,
    /// Bytes on disk.
    pub size_bytes: u64,
    /// Segments on disk.
    pub segments: usize,
    /// When the oldest unacknowledged event was received; exact to the batch it was sent in.
    pub oldest_received: Option<UnixMicros>,
    /// Events that never reach the receiver.
    pub dropped: Dropped,
    /// Set aside because receivers refuse them.
    pub refused: Refused,
    /// How the disk does.
    pub disk: DiskState,
    /// How long it takes.
    pub syncs: Syncs,
}

/// The shared part.
pub struct Shared {
    pub index: Index,
    pub tail: Tail,
    /// The number for the next event.
    pub next_seq: u64,
    pub acknowledged: u64,
    pub next_number: u64,
    pub mark: Mark,
    pub dropped: Dropped,
    pub counted_through: u64,
    pub missing_through: u64,
    pub refused: Refused,
    pub disk: DiskState,
    pub syncs: Syncs,
    /// Why the state file could not be written, where that was the last that was tried.
    pub state_trouble: Option<String>,
    /// When the oldest event that is not durable was appended.
    pub unsynced_since: Option<Instant>,
    /// Reception of the oldest unacknowledged event.
    pub oldest_received: Option<UnixMicros>,
    /// First numbers of chunks handed out and their reception.
    marks: VecDeque<(u64, UnixMicros)>,
    /// Lost numbers behind the acknowledged position, in order.
    gaps: VecDeque<(u64, u64)>,
    seed: u32,
    id: [u8; 8],
}

impl Shared {
    /// The shared part that goes on from a state.
    pub fn new(state: &State, index: Index, tail: Tail, next_seq: u64) -> Self {
        Self {
            index,
            tail,
            next_seq,
            acknowledged: state.acknowledged,
            next_number: state.next_number,
            mark: state.mark,
            dropped: Dropped { full: state.dropped_full, corrupt: state.corrupt, missing: state.missing },
            counted_through: state.counted_through,
            missing_through: state.missing_through,
            refused: Refused::default(),
            disk: DiskState::Ok,
            syncs: Syncs::default(),
            state_trouble: None,
            unsynced_since: None,
            oldest_received: state.oldest_received,
            marks: VecDeque::new(),
            gaps: VecDeque::new(),
            seed: state.seed,
            id: state.id,
        }
    }

    /// What the state file should say now.
    pub fn state(&self) -> State {
        State {
            seed: self.seed,
            id: self.id,
            acknowledged: self.acknowledged,
            durable: self.durable(),
            mark: self.mark,
            next_number: self.next_number,
            dropped_full: self.dropped.full,
            corrupt: self.dropped.corrupt,
            missing: self.dropped.missing,
            counted_through: self.counted_through,
            missing_through: self.missing_through,
            oldest_received: self.oldest_received,
        }
    }

    /// All events up to this one are on the disk.
    pub fn durable(&self) -> u64 {
        self.tail.unsynced().next().map_or(self.next_seq, |chunk| chunk.first_seq) - 1
    }

    /// Everything up to `seq` has reached the disk.
    pub fn durable_through(&mut self, seq: u64) {
        self.tail.durable_through(seq);
        if self.tail.unsynced().next().is_none() {
            self.unsynced_since = None;
        }
        self.tail.release(self.acknowledged);
        if self.oldest_received.is_none() {
            self.update_oldest();
        }
    }

    /// Notes what is handed out.
    pub fn handed_out(&mut self, chunk: &Chunk) {
        let Some((origin, _)) = chunk.batch.get(chunk.range.start) else { return };
        if chunk.first_seq == self.acknowledged + 1 {
            self.oldest_received = Some(origin.received);
        }
        if self.marks.back().is_some_and(|(seq, _)| *seq >= chunk.first_seq) {
            // A new connection begins anew behind the acknowledged position.
            self.marks.retain(|(seq, _)| *seq < chunk.first_seq);
        }
        if self.marks.len() < MARKS {
            self.marks.push_back((chunk.first_seq, origin.received));
        }
    }

    /// Moves the acknowledged position; whether it moved.
    pub fn acknowledge(&mut self, seq: u64) -> bool {
        let seq = seq.min(self.durable());
        if seq <= self.acknowledged {
            return false;
        }
        self.acknowledged = seq;
        self.pass_gaps();
        self.tail.release(self.acknowledged);
        self.update_oldest();
        true
    }

    /// Counts numbers that are nowhere; an uplink that has acknowledged all before them need not wait for them.
    pub fn lost(&mut self, first: u64, last: u64, missing: bool) {
        let (counter, through) = if missing {
            (&mut self.dropped.missing, &mut self.missing_through)
        } else {
            (&mut self.dropped.corrupt, &mut self.counted_through)
        };
        *counter += (last + 1).saturating_sub(first.max(*through + 1));
        *through = last.max(*through);
        if self.gaps.len() < GAPS && !self.gaps.iter().any(|gap| gap.0 <= first && last <= gap.1) {
            let at = self.gaps.partition_point(|gap| gap.0 < first);
            self.gaps.insert(at, (first, last));
        }
        if self.pass_gaps() {
            self.update_oldest();
        }
    }

    fn pass_gaps(&mut self) -> bool {
        let before = self.acknowledged;
        while let Some(&(first, last)) = self.gaps.front().filter(|gap| gap.0 <= self.acknowledged + 1) {
            self.acknowledged = self.acknowledged.max(last);
            self.gaps.pop_front();
            debug_assert!(first <= last);
        }
        self.acknowledged != before
    }

    fn update_oldest(&mut self) {
        let next = self.acknowledged + 1;
        if let Some(chunk) = self.tail.find(next) {
            let index = chunk.range.start + (next - chunk.first_seq) as usize;
            self.oldest_received = chunk.batch.get(index).map(|(origin, _)| origin.received);
            return;
        }
        while self.marks.get(1).is_some_and(|(seq, _)| *seq <= next) {
            self.marks.pop_front();
        }
        let mark = self.marks.front().filter(|(seq, _)| *seq <= next).map(|(_, received)| *received);
        self.oldest_received = if next >= self.next_seq { None } else { mark.or(self.oldest_received) };
    }

    /// The figures.
    pub fn status(&self) -> Status {
        Status {
            first_seq: self.acknowledged + 1,
            last_seq: self.next_seq - 1,
            durable_seq: self.durable(),
            acknowledged_seq: self.acknowledged,
            events: self.next_seq - 1 - self.acknowledged,
            size_bytes: self.index.size_bytes(),
            segments: self.index.len(),
            oldest_received: self.oldest_received,
            refused: self.refused,
            dropped: self.dropped,
            disk: match (&self.disk, &self.state_trouble) {
                (DiskState::Ok, Some(trouble)) => DiskState::Failing(trouble.clone()),
                (disk, _) => disk.clone(),
            },
            syncs: self.syncs,
        }
    }
}
