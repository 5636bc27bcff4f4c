//! How a running connector is: what `status` shows, what `--json` gives to programs, what the health check judges.

use crate::clock::UnixMicros;
use crate::listener;
use crate::spool::{self, DiskState};
use crate::state::Mode;
use crate::uplink;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// Everything the connector says of itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    /// The program's version.
    pub version: String,
    /// Stage or production.
    pub mode: Mode,
    /// `connector.id` of every event.
    pub connector_id: String,
    /// Start of the process, RFC 3339.
    pub started: String,
    /// What comes in.
    pub listener: Listener,
    /// What waits.
    pub spool: Spool,
    /// What goes out.
    pub uplink: uplink::Snapshot,
    /// Why the connector does not do its work; nothing where it does.
    pub unhealthy: Option<String>,
}

/// The listener's part.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Listener {
    /// Whether every input still runs.
    pub alive: bool,
    /// Addresses listened on, UDP and TCP alike.
    pub addresses: Vec<SocketAddr>,
    /// The receive buffer that the kernel granted each UDP socket, in bytes.
    pub udp_buffer_bytes: usize,
    /// What came in.
    #[serde(flatten)]
    pub counters: listener::Snapshot,
}

/// The spool's part.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Spool {
    /// Events that no receiver has acknowledged.
    pub events: u64,
    /// Bytes on disk.
    pub size_bytes: u64,
    /// The last sequence number given.
    pub last_seq: u64,
    /// All events up to this one are on the disk.
    pub durable_seq: u64,
    /// All events up to this one are acknowledged.
    pub acknowledged_seq: u64,
    /// When the oldest unacknowledged event was received, Unix time in seconds.
    pub oldest_received_s: Option<i64>,
    /// Dropped because the spool was full.
    pub dropped_full: u64,
    /// Lost to damaged records.
    pub lost_corrupt: u64,
    /// Lost with segments that are not there any more.
    pub lost_missing: u64,
    /// The spool is at its bound, or the file system at its reserve.
    pub full: bool,
    /// The last attempt to write failed with this.
    pub failing: Option<String>,
}

impl From<spool::Status> for Spool {
    fn from(status: spool::Status) -> Self {
        Self {
            events: status.events,
            size_bytes: status.size_bytes,
            last_seq: status.last_seq,
            durable_seq: status.durable_seq,
            acknowledged_seq: status.acknowledged_seq,
            oldest_received_s: status.oldest_received.filter(|_| status.events > 0).map(UnixMicros::seconds),
            dropped_full: status.dropped.full,
            lost_corrupt: status.dropped.corrupt,
            lost_missing: status.dropped.missing,
            full: status.disk == DiskState::Full,
            failing: match status.disk {
                DiskState::Failing(error) => Some(error),
                DiskState::Ok | DiskState::Full => None,
            },
        }
    }
}

/// Why the connector does not do its work, if so: the listener or the uplink has ended, the disk takes nothing, or the
/// uplink is without a receiver.
pub(super) fn unhealthy(
    listening: bool,
    streaming: bool,
    spool: &Spool,
    uplink: &uplink::Snapshot,
) -> Option<String> {
    if !listening {
        return Some("the listener, or one of its inputs, has ended".to_owned());
    }
    if !streaming {
        return Some("the uplink has ended".to_owned());
    }
    if let Some(error) = &spool.failing {
        return Some(format!("the spool cannot be written: {error}"));
    }
    if uplink.held_by_certificate || !uplink.healthy {
        let error = uplink.last_error.as_ref().map_or("none was reached yet", |last| last.error.as_str());
        return Some(format!("no receiver takes events: {error}"));
    }
    None
}
