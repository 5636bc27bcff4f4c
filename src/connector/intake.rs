//! From the listener's channel into the spool: one thread that appends what has come and syncs once for all of it.
//!
//! The thread owns the pace of syncs: one for everything that came within the interval. While the spool cannot take a
//! batch (full, disk trouble) the thread keeps it and tries again, so the channel fills up and TCP senders wait;
//! nothing that was taken from the channel is dropped here.

use crate::batch::Batch;
use crate::error::Result;
use crate::spool::{Append, Spool};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::Instant;

/// Batches between listener and spool. With [`crate::listener::BATCH_BYTES`] each, 16 MiB at most.
pub(super) const CHANNEL_BATCHES: usize = 64;
/// The spool is tried again after so long even when no acknowledgement made room: the disk may have come back.
const RETRY: Duration = Duration::from_secs(1);

/// What the thread needs.
pub(super) struct Intake {
    pub(super) spool: Arc<Spool>,
    pub(super) sync_interval: Duration,
    pub(super) batches: mpsc::Receiver<Batch>,
    /// Last durable sequence number, for the uplink.
    pub(super) durable: watch::Sender<u64>,
    /// Notified when acknowledgements made room.
    pub(super) space: Arc<Notify>,
    /// Becomes true when waiting for room has no more sense: the process ends.
    pub(super) give_up: watch::Receiver<bool>,
}

impl Intake {
    /// Runs the thread; it ends when the listener has dropped its side of the channel and all is on disk.
    pub(super) fn spawn(self) -> std::io::Result<std::thread::JoinHandle<()>> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        std::thread::Builder::new().name("spool".into()).spawn(move || runtime.block_on(self.run()))
    }

    /// The thread's work.
    pub(super) async fn run(mut self) {
        // When the next sync is due; nothing where nothing waits for one.
        let mut due: Option<Instant> = None;
        loop {
            let Ok(batch) = within(due, self.batches.recv()).await else {
                due = self.sync_or_postpone();
                continue;
            };
            let Some(batch) = batch else { break };
            let batch = Arc::new(batch);
            if !self.append(Arc::clone(&batch)).await {
                let mut messages = batch.len();
                // Closed, so that the listener does not wait for room here.
                self.batches.close();
                while let Some(batch) = self.batches.recv().await {
                    messages += batch.len();
                }
                tracing::error!(messages, "ended with messages that the spool had no room for");
                break;
            }
            let now = Instant::now();
            if *due.get_or_insert(now + self.sync_interval) <= now {
                due = self.sync_or_postpone();
            }
        }
        while !self.sync() && !*self.give_up.borrow() {
            tokio::time::sleep(RETRY).await;
        }
    }

    /// Appends one batch, waiting as long as it takes. False when the process ends before there was room.
    async fn append(&mut self, batch: Arc<Batch>) -> bool {
        let mut waited = false;
        loop {
            let room = self.space.notified();
            match self.spool.append(Arc::clone(&batch)) {
                Ok(Append::Stored { .. }) => {
                    if waited {
                        tracing::info!("the spool takes events in again");
                    }
                    return true;
                }
                _ if waited => {}
                Ok(Append::Full) => tracing::error!("the spool is full; senders have to wait"),
                Err(error) => tracing::error!(%error, "the spool cannot be written; senders have to wait"),
            }
            waited = true;
            // What is durable already can leave meanwhile, and so make room.
            self.sync();
            tokio::select! {
                biased;
                () = room => {}
                () = tokio::time::sleep(RETRY) => {}
                () = given_up(&mut self.give_up) => return false,
            }
        }
    }

    /// Syncs; returns when the next try is due where this one failed. Not at once, however short the interval: a disk in
    /// trouble is not to be pressed, nor the log to be filled.
    fn sync_or_postpone(&self) -> Option<Instant> {
        if self.sync() { None } else { Some(Instant::now() + self.sync_interval.max(RETRY)) }
    }

    fn sync(&self) -> bool {
        let synced: Result<u64> = self.spool.sync();
        match synced {
            Ok(durable) => {
                self.durable.send_if_modified(|last| std::mem::replace(last, durable) != durable);
                true
            }
            Err(error) => {
                tracing::error!(%error, "the spool cannot be synced");
                false
            }
        }
    }
}

/// The work's result, or an error at the moment when something else is due.
async fn within<T>(
    due: Option<Instant>,
    work: impl Future<Output = T>,
) -> Result<T, tokio::time::error::Elapsed> {
    match due {
        Some(due) => tokio::time::timeout_at(due, work).await,
        None => Ok(work.await),
    }
}

async fn given_up(give_up: &mut watch::Receiver<bool>) {
    // The guard that `wait_for` returns must not be held over an await.
    drop(give_up.wait_for(|&now| now).await);
}
