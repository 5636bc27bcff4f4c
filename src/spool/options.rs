//! What a spool is opened with.

use crate::settings::{self, WhenFull};
use std::time::Duration;

/// Size at which a segment is completed: large enough that a 10 GB backlog is 160 names to list, small enough that
/// delivered events soon give their space back.
const SEGMENT_BYTES: u64 = 64 << 20;

/// A queue has at least so many segments when it is full, so that space is given back in steps of an eighth.
const SEGMENTS_WHEN_FULL: u64 = 8;

/// Durable events kept in memory for an uplink that keeps up: several windows of the largest size in flight, and a
/// small part of the container's memory limit.
const TAIL_BYTES: usize = 32 << 20;

/// Longest time that the state file on the disk is behind: what a host's power cut makes the uplink send again.
const STATE_SYNC_INTERVAL: Duration = Duration::from_secs(1);

/// What a spool is opened with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Largest size of all segments, in bytes, but for what [`super::Spool::overdraw`] adds.
    pub max_bytes: u64,
    /// What must stay free on the file system, in bytes, until [`super::Spool::overdraw`].
    pub reserve_bytes: u64,
    /// What to do when it is full.
    pub when_full: WhenFull,
    /// Size at which a segment is completed, in bytes; it may be exceeded by one batch.
    pub segment_bytes: u64,
    /// Durable events kept in memory, in bytes.
    pub tail_bytes: usize,
    /// Longest time between syncs of the state file while something changes.
    pub state_sync_interval: Duration,
}

impl From<&settings::Spool> for Options {
    fn from(settings: &settings::Spool) -> Self {
        Self {
            max_bytes: settings.max_bytes,
            reserve_bytes: settings.reserve_bytes,
            when_full: settings.when_full,
            segment_bytes: SEGMENT_BYTES.min(settings.max_bytes / SEGMENTS_WHEN_FULL),
            tail_bytes: TAIL_BYTES,
            state_sync_interval: STATE_SYNC_INTERVAL,
        }
    }
}
