//! The newest events in memory: those that are not yet on the disk, because only memory can write them anew, and as
//! many behind them as the bound allows, so that an uplink that keeps up never reads the disk.

use super::queue::Chunk;
use crate::batch::Batch;
use std::collections::VecDeque;
use std::ops::Range;

/// What a batch costs in memory.
pub fn cost_bytes(batch: &Batch, range: &Range<usize>) -> usize {
    // A part of a batch keeps the whole alive; parts are rare, and the sum over all parts is the whole again.
    batch.cost_bytes() * range.len() / batch.len().max(1)
}

/// Batches in order of their sequence numbers; those that are not durable are the last ones.
#[derive(Debug)]
pub struct Tail {
    chunks: VecDeque<Chunk>,
    /// How many of the chunks, counted from the front, are on the disk.
    durable: usize,
    bytes: usize,
    unsynced_bytes: usize,
    max_bytes: usize,
}

impl Tail {
    /// An empty tail that keeps so many bytes of durable events.
    pub fn new(max_bytes: usize) -> Self {
        Self { chunks: VecDeque::new(), durable: 0, bytes: 0, unsynced_bytes: 0, max_bytes }
    }

    /// Adds events that are not durable yet.
    pub fn push(&mut self, chunk: Chunk) {
        debug_assert!(self.chunks.back().is_none_or(|last| last.last_seq() < chunk.first_seq));
        let cost = cost_bytes(&chunk.batch, &chunk.range);
        self.bytes += cost;
        self.unsynced_bytes += cost;
        self.chunks.push_back(chunk);
        self.evict();
    }

    /// Everything up to `seq` is on the disk now.
    pub fn durable_through(&mut self, seq: u64) {
        while let Some(chunk) = self.chunks.get(self.durable).filter(|chunk| chunk.last_seq() <= seq) {
            self.unsynced_bytes -= cost_bytes(&chunk.batch, &chunk.range);
            self.durable += 1;
        }
        self.evict();
    }

    /// What is not on the disk yet, in order.
    pub fn unsynced(&self) -> impl Iterator<Item = &Chunk> {
        self.chunks.range(self.durable..)
    }

    /// Cost of what is not on the disk yet.
    pub fn unsynced_bytes(&self) -> usize {
        self.unsynced_bytes
    }

    /// Whether more than half of the bound is used.
    pub fn is_half_full(&self) -> bool {
        self.bytes > self.max_bytes / 2
    }

    /// The durable chunk that holds `seq`.
    pub fn find(&self, seq: u64) -> Option<&Chunk> {
        let index = self.chunks.partition_point(|chunk| chunk.last_seq() < seq);
        let chunk = self.chunks.get(index).filter(|chunk| chunk.first_seq <= seq)?;
        (index < self.durable).then_some(chunk)
    }

    /// Forgets durable events up to `seq`.
    pub fn release(&mut self, seq: u64) {
        while self.durable > 0 && self.chunks.front().is_some_and(|chunk| chunk.last_seq() <= seq) {
            self.pop();
        }
    }

    fn evict(&mut self) {
        while self.durable > 0 && self.bytes > self.max_bytes {
            self.pop();
        }
    }

    fn pop(&mut self) {
        if let Some(chunk) = self.chunks.pop_front() {
            self.bytes -= cost_bytes(&chunk.batch, &chunk.range);
            self.durable -= 1;
        }
    }
}
