//! The crash-safe queue on disk between listener and uplink.
//!
//! # What it is for
//!
//! A link that is down, a receiver that is slow, a process or host that dies: none of them may lose an event that was
//! safe, and no event may be sent under a number that another one had. In the normal state nothing of it may be felt:
//! an event goes from listener to uplink through memory, and the disk only listens in.
//!
//! # Constraints
//!
//! - Only what is on the disk is handed out. So an event that was sent keeps its number whatever crashes, and
//!   (`id`, `seq`) names one event for ever.
//! - Only what is acknowledged leaves.
//! - Opening always succeeds, says what it found, and takes as long for 10 GB as for nothing. There is no state in which
//!   an operator has to delete a spool.
//! - A disk that is full or failing is a state to wait in, never a reason to end.
//! - Everything is bounded: size on disk (a process that ends while it is full goes beyond, by a bound of its own), memory for events that are not safe yet and for those that are, what is set
//!   aside, what opening reads.
//! - 300-byte events by the hundred thousand a second: one write for a batch, one sync for many batches, no allocation
//!   for an event.
//!
//! # On disk
//!
//! A directory of mode 0700 for each queue, its files of mode 0600:
//!
//! | file | content | laid out in |
//! |---|---|---|
//! | `lock` | nothing; the kernel's lock on it says that a process has the spool open | `fs` |
//! | `state` | two slots: id, seed, acknowledged position, where the writer stood, counters | `state` |
//! | `0000000007-00000000000000120001.open` | the segment that is written: header and records | `segment`, `record` |
//! | `0000000006-…0100001-…0120000.seg` | a complete segment: header, records, footer | the same |
//! | `quarantine` | damaged bytes, set aside | `quarantine` |
//! | `refused` | events that receivers refuse for what they are, set aside | `refused` |
//!
//! Sequence numbers start with 1. A segment is begun with the next number, is synced and completed when it has its
//! size (64 MiB, or an eighth of a small spool), and is removed when all in it is acknowledged. Numbers in the names make
//! a listing of the directory the index: opening reads the state, the names, and the bytes behind the state's mark in
//! the segment that was being written.
//!
//! # How it works
//!
//! [`Spool::append`] encodes a batch into one buffer, hands it to the kernel with one write, and keeps the batch in
//! memory. [`Spool::sync`] makes one `fdatasync` for all of them; the caller chooses when, and so how much a power cut
//! can cost and how long an event waits before it may be sent (`connector::intake`). What was synced can be read; the memory of it is kept up to a bound for the reader, which goes to the disk
//! only when it is further behind.
//!
//! A write or sync that fails proves nothing about what is on the disk: after a failed write-back Linux marks the pages
//! clean, reading still shows the data, and the next `fdatasync` answers that all is well. So a failure *abandons* the
//! segment. What was synced in it before stays; everything behind it is written from memory to a new segment, and is
//! safe when that one is synced. Until then memory is the copy that counts, which is why it is bounded and why appending
//! stops at the bound.
//!
//! A process that was killed leaves bytes that were perhaps never synced, and the same doubt applies to them: what
//! lies behind the mark is read, kept in memory, written to a new segment, synced, and readable only then. Its
//! names are in doubt too: opening syncs the directory first, so that a file that is gone does not come back with the
//! power and with it events that nobody saw any more.
//!
//! Acknowledgements go to the state file at once, without a sync; the sync comes within a second
//! or two, with the next removal of a segment, or when the spool is closed. An acknowledgement that is forgotten costs sending again, and the
//! receiver can tell by (`id`, `seq`). Before a segment is removed its acknowledgement is on the disk.
//!
//! A record whose checksum is wrong is passed by: the next place with a record's first bytes, a right checksum and a
//! possible number is where reading goes on. What was in between is counted and set aside. A place that the disk cannot
//! read is tried again first, then passed by page by page. Numbers that are nowhere count as acknowledged once all
//! before them are, because nobody could ever acknowledge them.
//!
//! # What happens, and what can be lost
//!
//! | event | what is lost | what is sent twice |
//! |---|---|---|
//! | the process is killed | nothing that was appended | nothing that it had noted as acknowledged |
//! | power cut, kernel crash | what was appended since the last sync; a part of it that is found is kept, numbers missing before it are counted | what was acknowledged in the last second |
//! | the link is down for an hour | nothing, up to the spool's size | what was in flight |
//! | a receiver cannot take one event | nothing: it is set aside, counted, and for people to read | nothing |
//! | the receiver dies after acknowledging | what it answered for and lost: it has left the spool | nothing |
//! | spool or file system full, `block` | nothing from the spool; senders wait, UDP is lost in the kernel's buffer | nothing |
//! | the process ends in order while the spool is full | nothing that it had read, up to 64 MiB more at each stop | nothing |
//! | spool or file system full, `drop-oldest` | the oldest segment's events, counted | nothing |
//! | writing or syncing fails | nothing while the process lives; if it dies, what it could not sync | nothing |
//! | the file system turns read-only | the same; what is on the disk is still delivered | after a restart, what was acknowledged since |
//! | a record is damaged | that record, counted and set aside | nothing |
//! | a segment is missing | its events, counted | nothing |
//! | one slot of the state is damaged | nothing | what was acknowledged since the other was written |
//! | both are damaged | nothing; the counters start anew | everything that is on the disk |
//! | the clock jumps | nothing: no decision depends on the time of day | nothing |
//!
//! Two limits, for completeness. Where the state's newest slot and the end of the last segment are damaged together,
//! beyond what a crash can do, nothing is left that knows the last numbers, and they can be given again; where the whole
//! state is lost and the last segment is damaged, the spool goes on under a new id, so that no two events are named
//! alike. And while the disk refuses every write, events found behind the mark at opening wait in memory, unread, until
//! it takes them.
//!
//! # Tests
//!
//! `tests::disk` is a disk at its worst; `tests::model` runs random schedules on it against a model of maps, and
//! `SPOOL_SCHEDULES=100000` runs it for longer; schedules that failed once are kept in `proptest-regressions`;
//! `tests::failures` goes through the kinds of failure one by one;
//! `tests::damage` changes random bytes.

mod findings;
pub mod fs;
mod index;
mod options;
mod quarantine;
pub mod queue;
mod reader;
mod record;
mod recovery;
pub mod refused;
mod segment;
mod shared;
#[allow(clippy::module_inception)] // The module is the noun, the type is what is opened.
mod spool;
mod state;
mod tail;
pub mod tool;
mod write;

pub use findings::{Findings, StateFound};
pub use options::Options;
pub use queue::{Chunk, Queue};
pub use refused::Refused;
pub use shared::{DiskState, Dropped, Status, Syncs};
pub use spool::{Append, Spool};

#[cfg(test)]
pub(crate) mod tests;
