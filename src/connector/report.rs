//! How a running connector is: what `status` shows, what `--json` and [`super::metrics`] give to programs, what the
//! health check judges.

use super::certificate::Certificate;
use super::exporter::Exporter;
use super::self_report::Made;
use crate::clock::UnixMicros;
use crate::listener::{self, KernelSnapshot};
use crate::spool::{self, DiskState};
use crate::state::Mode;
use crate::uplink;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::time::Duration;

/// Everything the connector says of itself.
///
/// Fields that later versions added have a default: `status` understands the container of the version before.
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
    /// The client certificate in use; nothing where none can be used.
    #[serde(default)]
    pub certificate: Option<Certificate>,
    /// Where the metrics are.
    #[serde(default)]
    pub metrics: Exporter,
    /// The reports that the connector made on itself.
    #[serde(default)]
    pub self_reports: Made,
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
    /// The receive buffer that the kernel granted each UDP socket, in bytes. Linux doubles what was asked for, to have
    /// room for its own overhead (socket(7)); it grants twice `net.core.rmem_max` at most.
    pub udp_buffer_bytes: usize,
    /// The receive buffer that was asked for, in bytes.
    #[serde(default)]
    pub udp_buffer_asked_bytes: usize,
    /// What the kernel counts at the UDP sockets; nothing where it does not show it.
    #[serde(default)]
    pub udp_kernel: Option<KernelSnapshot>,
    /// What came in.
    #[serde(flatten)]
    pub counters: listener::Snapshot,
}

impl Listener {
    /// Whether the kernel granted a smaller buffer than was asked for.
    pub fn udp_buffer_is_short(&self) -> bool {
        self.udp_buffer_bytes / 2 < self.udp_buffer_asked_bytes
    }
}

/// The spool's part.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Spool {
    /// Events that no receiver has acknowledged.
    pub events: u64,
    /// Bytes on disk.
    pub size_bytes: u64,
    /// The bound of `size_bytes`, which a stop with a full spool may exceed.
    #[serde(default)]
    pub max_bytes: u64,
    /// The last sequence number given.
    pub last_seq: u64,
    /// All events up to this one are on the disk.
    pub durable_seq: u64,
    /// All events up to this one are acknowledged.
    pub acknowledged_seq: u64,
    /// When the oldest unacknowledged event was received, Unix time in seconds.
    pub oldest_received_s: Option<i64>,
    /// How long ago that is, in seconds; 0 where a clock was set back meanwhile.
    #[serde(default)]
    pub oldest_age_s: Option<u64>,
    /// Dropped because the spool was full.
    pub dropped_full: u64,
    /// Lost to damaged records.
    pub lost_corrupt: u64,
    /// Lost with segments that are not there any more.
    pub lost_missing: u64,
    /// Set aside because receivers refuse them, all that are still kept.
    #[serde(default)]
    pub refused: u64,
    /// The spool is at its bound, or the file system at its reserve.
    pub full: bool,
    /// The last attempt to write failed with this.
    pub failing: Option<String>,
    /// Syncs to the disk since the start.
    #[serde(default)]
    pub syncs: u64,
    /// What they took together, in microseconds.
    #[serde(default)]
    pub sync_us: u64,
    /// What the longest one took, in microseconds.
    #[serde(default)]
    pub longest_sync_us: u64,
}

impl Spool {
    /// The part for a spool that may take `max_bytes`.
    pub(super) fn new(status: spool::Status, max_bytes: u64, now: UnixMicros) -> Self {
        let oldest = status.oldest_received.filter(|_| status.events > 0);
        let age = |oldest: UnixMicros| u64::try_from((now.0 - oldest.0) / 1_000_000).unwrap_or(0);
        Self {
            events: status.events,
            size_bytes: status.size_bytes,
            max_bytes,
            last_seq: status.last_seq,
            durable_seq: status.durable_seq,
            acknowledged_seq: status.acknowledged_seq,
            oldest_received_s: oldest.map(UnixMicros::seconds),
            oldest_age_s: oldest.map(age),
            dropped_full: status.dropped.full,
            lost_corrupt: status.dropped.corrupt,
            lost_missing: status.dropped.missing,
            refused: status.refused.events,
            full: status.disk == DiskState::Full,
            failing: match status.disk {
                DiskState::Failing(error) => Some(error),
                DiskState::Ok | DiskState::Full => None,
            },
            syncs: status.syncs.count,
            sync_us: micros(status.syncs.total),
            longest_sync_us: micros(status.syncs.longest),
        }
    }

    /// How full the spool is, in percent of its bound.
    pub fn filled_percent(&self) -> u64 {
        (self.size_bytes * 100).checked_div(self.max_bytes).unwrap_or(0)
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
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

#[cfg(test)]
impl Report {
    /// A connector to which nothing has happened yet, of which tests change what they are about.
    pub fn quiet() -> Self {
        let status = spool::Status {
            first_seq: 1,
            last_seq: 0,
            durable_seq: 0,
            acknowledged_seq: 0,
            events: 0,
            size_bytes: 0,
            segments: 0,
            oldest_received: None,
            refused: spool::Refused::default(),
            dropped: spool::Dropped::default(),
            disk: DiskState::Ok,
            syncs: spool::Syncs::default(),
        };
        Self {
            version: "1.2.3".to_owned(),
            mode: Mode::Stage,
            connector_id: "test-0123".to_owned(),
            started: "2026-01-02T03:04:05Z".to_owned(),
            listener: Listener {
                alive: true,
                addresses: vec!["[::]:1514".parse().expect("an address")],
                udp_buffer_bytes: 2 << 20,
                udp_buffer_asked_bytes: 1 << 20,
                udp_kernel: Some(KernelSnapshot::default()),
                counters: listener::Snapshot::default(),
            },
            spool: Spool::new(status, 1 << 30, UnixMicros(0)),
            uplink: uplink::Snapshot { healthy: true, ..uplink::Snapshot::default() },
            certificate: None,
            metrics: Exporter::default(),
            self_reports: Made::default(),
            unhealthy: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_events_age_counts_from_its_reception() {
        let status = spool::Status {
            first_seq: 8,
            last_seq: 9,
            durable_seq: 9,
            acknowledged_seq: 7,
            events: 2,
            size_bytes: 512,
            segments: 1,
            oldest_received: Some(UnixMicros(10_000_000)),
            refused: spool::Refused::default(),
            dropped: spool::Dropped::default(),
            disk: DiskState::Ok,
            syncs: spool::Syncs::default(),
        };
        let at = |seconds: i64| Spool::new(status.clone(), 1024, UnixMicros(seconds * 1_000_000));
        assert_eq!((at(130).oldest_received_s, at(130).oldest_age_s), (Some(10), Some(120)));
        assert_eq!(at(5).oldest_age_s, Some(0), "the clock was set back");
        let empty = Spool::new(spool::Status { events: 0, ..status.clone() }, 1024, UnixMicros(0));
        assert_eq!((empty.oldest_received_s, empty.oldest_age_s), (None, None));
        assert_eq!(at(0).filled_percent(), 50);
    }

    #[test]
    fn a_report_of_the_version_before_is_understood() {
        let mut report = serde_json::to_value(Report::quiet()).unwrap();
        for (part, field) in [("", "certificate"), ("", "metrics"), ("spool", "max_bytes")] {
            let part = if part.is_empty() { &mut report } else { &mut report[part] };
            part.as_object_mut().unwrap().remove(field).expect("it is there");
        }
        for field in ["udp_buffer_asked_bytes", "udp_kernel"] {
            report["listener"].as_object_mut().unwrap().remove(field).expect("it is there");
        }
        let report: Report = serde_json::from_value(report).unwrap();
        assert_eq!(report.spool.filled_percent(), 0);
        assert!(!report.listener.udp_buffer_is_short());
    }
}
