//! Work that blocks (on the disk, or by taking a thread's time), called from async code.

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::JoinHandle;

/// Runs the work on a thread where blocking hurts nobody.
///
/// A runtime of one thread, which the connector never has, gets it as a task in turn with all others: simulations need an
/// order of events that is the same each time, and threads would bring in the scheduler's.
pub fn spawn<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    match Handle::current().runtime_flavor() {
        RuntimeFlavor::CurrentThread => tokio::spawn(async move { work() }),
        _ => tokio::task::spawn_blocking(work),
    }
}
