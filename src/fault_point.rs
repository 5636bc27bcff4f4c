//! Places at which a test has the process killed: between two steps whose order is a promise.
//!
//! `SOC_KILL_AT=after-sync:3` ends the process with SIGKILL when it comes by `after-sync` for the third time. Before it
//! dies it says on standard error `killed at after-sync: 1234`, where 1234 is the last sequence number that has to be
//! there afterwards (an event that the kernel was given survives the process). Only a build with debug assertions has
//! this; in the binary that is shipped [`pass`] is nothing, and a test looks for the variable's name in it.

/// The variable that names the place and the time.
#[cfg(debug_assertions)]
const VARIABLE: &str = "SOC_KILL_AT";

/// One place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A batch is about to be given to the kernel.
    BeforeAppend,
    /// The kernel has it.
    AfterAppend,
    /// What the kernel has is about to be synced.
    BeforeSync,
    /// It is on the disk; nobody has been told.
    AfterSync,
    /// The state file is about to be written.
    StateWrite,
    /// It was written and is about to be synced.
    StateSync,
    /// A new segment has its file and header; its name is not synced.
    SegmentCreate,
    /// A complete segment has its footer and not yet its name.
    SegmentComplete,
    /// It has its name, which is not synced.
    SegmentRename,
    /// A delivered segment is about to be removed.
    BeforeUnlink,
    /// It is removed, which is not synced.
    AfterUnlink,
    /// The receiver has acknowledged; the spool does not know yet.
    BeforeAcknowledge,
    /// The spool has noted it.
    AfterAcknowledge,
}

impl Place {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::BeforeAppend,
        Self::AfterAppend,
        Self::BeforeSync,
        Self::AfterSync,
        Self::StateWrite,
        Self::StateSync,
        Self::SegmentCreate,
        Self::SegmentComplete,
        Self::SegmentRename,
        Self::BeforeUnlink,
        Self::AfterUnlink,
        Self::BeforeAcknowledge,
        Self::AfterAcknowledge,
    ];

    /// The name that the variable uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::BeforeAppend => "before-append",
            Self::AfterAppend => "after-append",
            Self::BeforeSync => "before-sync",
            Self::AfterSync => "after-sync",
            Self::StateWrite => "state-write",
            Self::StateSync => "state-sync",
            Self::SegmentCreate => "segment-create",
            Self::SegmentComplete => "segment-complete",
            Self::SegmentRename => "segment-rename",
            Self::BeforeUnlink => "before-unlink",
            Self::AfterUnlink => "after-unlink",
            Self::BeforeAcknowledge => "before-acknowledge",
            Self::AfterAcknowledge => "after-acknowledge",
        }
    }
}

/// Comes by a place. Everything up to `seq` has to be there after a kill here.
#[cfg(not(debug_assertions))]
#[inline]
pub fn pass(_place: Place, _seq: u64) {}

/// Comes by a place. Everything up to `seq` has to be there after a kill here.
#[cfg(debug_assertions)]
pub fn pass(place: Place, seq: u64) {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    static PLAN: OnceLock<Option<(Place, AtomicU64)>> = OnceLock::new();
    let plan = PLAN.get_or_init(|| {
        let text = std::env::var(VARIABLE).ok()?;
        let (name, times) = text.split_once(':').expect("SOC_KILL_AT is PLACE:TIMES");
        let place =
            Place::ALL.into_iter().find(|place| place.name() == name).expect("SOC_KILL_AT names a place");
        Some((place, AtomicU64::new(times.parse().expect("SOC_KILL_AT counts the times"))))
    });
    if let Some((planned, times)) = plan
        && *planned == place
        && times.fetch_sub(1, Relaxed) == 1
    {
        eprintln!("killed at {}: {seq}", place.name());
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        // The signal is on its way; no step may follow.
        loop {
            std::thread::park();
        }
    }
}
