//! What came in, counted without a lock.

use crate::batch::{Batch, Transport};
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Counters since the start of the process.
#[derive(Debug, Default)]
pub struct Counters {
    udp_messages: AtomicU64,
    udp_bytes: AtomicU64,
    tcp_messages: AtomicU64,
    tcp_bytes: AtomicU64,
    cut: AtomicU64,
    pub(super) connections: AtomicU64,
    pub(super) connections_total: AtomicU64,
    pub(super) connections_refused: AtomicU64,
    pub(super) connections_idle_closed: AtomicU64,
    pub(super) connections_unfinished_closed: AtomicU64,
}

/// The counters at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Messages received over UDP.
    pub udp_messages: u64,
    /// Their bytes, without framing.
    pub udp_bytes: u64,
    /// Messages received over TCP.
    pub tcp_messages: u64,
    /// Their bytes, without framing.
    pub tcp_bytes: u64,
    /// Messages longer than the bound.
    pub cut: u64,
    /// TCP connections now.
    pub connections: u64,
    /// TCP connections accepted.
    pub connections_total: u64,
    /// TCP connections refused because there were too many.
    pub connections_refused: u64,
    /// TCP connections closed because they were silent for too long.
    pub connections_idle_closed: u64,
    /// TCP connections closed because unfinished messages took too much memory.
    pub connections_unfinished_closed: u64,
}

impl Counters {
    /// Counts a batch of one input, which is never empty.
    pub(super) fn count(&self, batch: &Batch) {
        let (mut cut, mut udp) = (0, false);
        for (origin, count) in batch.runs() {
            cut += if origin.cut { count as u64 } else { 0 };
            udp = origin.transport == Transport::Udp;
        }
        let (messages, bytes) =
            if udp { (&self.udp_messages, &self.udp_bytes) } else { (&self.tcp_messages, &self.tcp_bytes) };
        messages.fetch_add(batch.len() as u64, Relaxed);
        bytes.fetch_add(batch.size_bytes() as u64, Relaxed);
        if cut > 0 {
            self.cut.fetch_add(cut, Relaxed);
        }
    }

    /// Bytes of all messages, whatever they came through.
    pub fn bytes(&self) -> u64 {
        self.udp_bytes.load(Relaxed) + self.tcp_bytes.load(Relaxed)
    }

    /// Reads all of them; each is exact, together they are of nearly the same moment.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            udp_messages: self.udp_messages.load(Relaxed),
            udp_bytes: self.udp_bytes.load(Relaxed),
            tcp_messages: self.tcp_messages.load(Relaxed),
            tcp_bytes: self.tcp_bytes.load(Relaxed),
            cut: self.cut.load(Relaxed),
            connections: self.connections.load(Relaxed),
            connections_total: self.connections_total.load(Relaxed),
            connections_refused: self.connections_refused.load(Relaxed),
            connections_idle_closed: self.connections_idle_closed.load(Relaxed),
            connections_unfinished_closed: self.connections_unfinished_closed.load(Relaxed),
        }
    }
}
