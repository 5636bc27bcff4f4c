//! What came in, counted without a lock.

use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Counters since the start of the process.
#[derive(Debug, Default)]
pub struct Counters {
    pub(super) udp_messages: AtomicU64,
    pub(super) udp_bytes: AtomicU64,
    pub(super) tcp_messages: AtomicU64,
    pub(super) tcp_bytes: AtomicU64,
    pub(super) cut: AtomicU64,
    pub(super) connections: AtomicU64,
    pub(super) connections_total: AtomicU64,
    pub(super) connections_refused: AtomicU64,
    pub(super) connections_idle_closed: AtomicU64,
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
}

impl Counters {
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
        }
    }
}
