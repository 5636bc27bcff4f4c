//! What the uplink sees of the spool, and nothing more: events to send, and a place to say which arrived.

use crate::batch::{Batch, Origin};
use crate::error::Result;
use std::ops::Range;
use std::sync::Arc;

/// Consecutive events: message `range.start + i` of `batch` has the sequence number `first_seq + i`.
#[derive(Debug, Clone)]
pub struct Chunk {
    /// Sequence number of the first event.
    pub first_seq: u64,
    /// Shared with the spool's memory, so that handing on copies nothing.
    pub batch: Arc<Batch>,
    /// Which messages of the batch are meant; never empty.
    pub range: Range<usize>,
}

impl Chunk {
    /// Sequence number of the last event.
    pub fn last_seq(&self) -> u64 {
        self.first_seq + self.range.len() as u64 - 1
    }

    /// The events in order.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &Origin, &[u8])> {
        (self.first_seq..)
            .zip(self.batch.range(self.range.clone()))
            .map(|(seq, (origin, raw))| (seq, origin, raw))
    }
}

/// One mode's events, in order of their sequence numbers. Calls may block on the disk.
pub trait Queue: Send + Sync + 'static {
    /// The queue's own name, drawn when it was made: second part of `connector.id`. With it, sequence numbers that
    /// start anew (another mode, a deleted spool) never name two events alike.
    fn id(&self) -> &str;

    /// The next durable events behind `seq`, at most so many and about so many bytes (at least one event), or nothing
    /// where there are none yet. Numbers are missing only where a record on disk was damaged, or where the oldest
    /// events were dropped because the spool was full and the operator wants that.
    fn read_after(&self, seq: u64, max_events: usize, max_bytes: usize) -> Result<Option<Chunk>>;

    /// All events up to this one have been acknowledged; 0 where none was.
    fn acknowledged(&self) -> u64;

    /// The receiver answers for all events up to `seq`: they leave the queue. A number at or below
    /// [`Queue::acknowledged`] changes nothing.
    fn acknowledge(&self, seq: u64) -> Result<()>;

    /// Receivers refuse the event of this number, the first that is not acknowledged, for what it is: it is kept in
    /// another place, and leaves the queue. E608 where that place is full.
    fn set_aside(&self, seq: u64) -> Result<()>;
}
