//! Takes syslog in over UDP (RFC 5426) and TCP (RFC 6587) and hands it on in batches.
//!
//! Owns the sockets, the bounds on connections and idle time, and the counters of what came in. Knows neither what a
//! message says nor where batches go: its sink is a bounded channel, and when that is full a TCP sender is slowed
//! down by its own window while UDP waits in, and is dropped and counted at, the kernel's buffer. A batch is what one
//! wake-up of a socket brought: nothing that was read is held back to fill it.

mod bind;
mod counters;
mod datagrams;
mod kernel;
mod probe;
mod tcp;
mod udp;

pub use bind::Bound;
pub use counters::{Counters, Snapshot};
pub use kernel::{KernelQueues, KernelSnapshot};
pub use probe::{Probes, Sighting, probe_message};

use crate::batch::Batch;
use crate::clock::Clock;
use crate::settings;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

/// Largest batch in bytes; one read's worth for TCP, a burst's worth for UDP.
pub const BATCH_BYTES: usize = 256 * 1024;
/// Largest batch in messages, so that a flood of tiny ones is handed on too.
pub const BATCH_MESSAGES: usize = 4096;

/// What every input shares.
#[derive(Clone)]
pub struct Shared {
    /// Where batches go.
    pub sink: mpsc::Sender<Batch>,
    /// Probes to be recognised.
    pub probes: Arc<Probes>,
    /// What came in.
    pub counters: Arc<Counters>,
    /// What the kernel counts for the UDP sockets.
    pub kernel: Arc<KernelQueues>,
    /// The time of reception.
    pub clock: Arc<dyn Clock>,
    /// Becomes true when no more is to be taken in.
    pub stop: watch::Receiver<bool>,
}

impl Shared {
    /// Hands a batch on, less the probes in it. False when nobody takes batches any more.
    async fn hand_on(&self, batch: Batch) -> bool {
        let batch = self.receive(batch);
        batch.is_empty() || self.sink.send(batch).await.is_ok()
    }

    /// The same on a thread that may wait.
    fn hand_on_blocking(&self, batch: Batch) -> bool {
        let batch = self.receive(batch);
        batch.is_empty() || self.sink.blocking_send(batch).is_ok()
    }

    /// Waits for room in the sink. Who reads only then holds nothing while the sink is full, however many wait.
    async fn room(&self) -> Option<mpsc::Permit<'_, Batch>> {
        self.sink.reserve().await.ok()
    }

    /// Hands a batch on for which there is room.
    fn hand_on_at_once(&self, room: mpsc::Permit<'_, Batch>, batch: Batch) {
        let batch = self.receive(batch);
        if !batch.is_empty() {
            room.send(batch);
        }
    }

    /// Counts a batch, and takes the probes out of it.
    fn receive(&self, batch: Batch) -> Batch {
        let batch = if self.probes.armed() { self.probes.pick_out(batch) } else { batch };
        if !batch.is_empty() {
            self.counters.count(&batch);
        }
        batch
    }
}

/// Waits until no more is to be taken in; whoever could say so being gone means the same.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    // The guard that `wait_for` returns must not be held over an await.
    drop(stop.wait_for(|&stop| stop).await);
}

/// Receives until told to stop; then finishes what the kernel had already taken from senders, and returns. `alive`
/// becomes false as soon as one input has ended, whatever ended it: the others cannot stand in for it.
pub async fn run(bound: Bound, settings: &settings::Listener, shared: Shared, alive: &AtomicBool) {
    let mut inputs = JoinSet::new();
    let bounds = tcp::Bounds::new(settings);
    for socket in bound.udp {
        inputs.spawn(udp::receive(socket, settings.max_message_bytes, shared.clone()));
    }
    for socket in bound.tcp {
        inputs.spawn(tcp::accept(socket, bounds.clone(), shared.clone()));
    }
    drop(shared);
    while let Some(ended) = inputs.join_next().await {
        alive.store(false, Relaxed);
        if let Err(error) = ended {
            tracing::error!(%error, "an input ended unexpectedly");
        }
    }
}
