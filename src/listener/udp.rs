//! UDP input (RFC 5426): one datagram is one message.
//!
//! A datagram that finds the kernel's buffer full is lost, so each socket has a thread of its own, which copies what came
//! into batches and does nothing else: no work of the runtime keeps it from its turn.
//!
//! Waking up costs more than a datagram does. While datagrams come the thread therefore rests a moment after each batch,
//! and then takes all that came meanwhile; the first one after a silence is taken at once. It rests only while a small part
//! of the kernel's buffer would do for what comes in that time.

use super::datagrams::Datagrams;
use super::{BATCH_BYTES, BATCH_MESSAGES, Shared, stopped};
use crate::batch::{Batch, Origin, Transport};
use crate::clock::UnixMicros;
use crate::syslog::framing::{self, Frame};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use socket2::SockRef;
use std::io::{self, PipeReader};
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;
use tokio::sync::oneshot;

/// What every datagram takes of the kernel's buffer beside its bytes, at least (Linux: a `struct sk_buff`).
const MIN_OVERHEAD_BYTES: usize = 192;
/// The same at most, beside twice its bytes: the kernel takes memory for a datagram and its headers in powers of two.
const MAX_OVERHEAD_BYTES: usize = 1024;

/// Rest between two batches while datagrams come: what an event may be late, and what bounds the wake-ups of the intake.
const REST: Duration = Duration::from_millis(1);
/// The part of the kernel's buffer that may fill up in one rest. The others are for a burst, and for a thread that gets
/// no processor for so many rests.
const REST_SHARE: usize = 8;

/// Receives until told to stop, or until it fails.
pub(super) async fn receive(socket: UdpSocket, max_message_bytes: usize, shared: Shared) {
    let mut stop = shared.stop.clone();
    let (ended_sender, mut ended) = oneshot::channel::<()>();
    let spawned = io::pipe().and_then(|(stop_reader, stop_writer)| {
        let input = Input { socket, stop: stop_reader, max_message_bytes, shared };
        std::thread::Builder::new().name("udp".into()).spawn(move || {
            let _ended = ended_sender;
            input.run();
        })?;
        Ok(stop_writer)
    });
    // Closed, it tells the thread to stop, whatever ends this task.
    let stop_writer = match spawned {
        Ok(stop_writer) => stop_writer,
        Err(error) => {
            tracing::error!(%error, "UDP input cannot be started");
            return;
        }
    };
    tokio::select! {
        biased;
        _ = &mut ended => return,
        () = stopped(&mut stop) => {}
    }
    drop(stop_writer);
    // An error is the end as well: nothing is ever sent.
    let _ = ended.await;
}

/// The thread's part.
struct Input {
    socket: UdpSocket,
    /// Ready when it is to stop.
    stop: PipeReader,
    max_message_bytes: usize,
    shared: Shared,
}

/// Nobody takes batches any more.
struct Gone;

impl Input {
    fn run(self) {
        let buffer_bytes = SockRef::from(&self.socket).recv_buffer_size().unwrap_or(0);
        let Ok(address) = self.socket.local_addr() else { return };
        let mut datagrams = Datagrams::new(address);
        while let Ok(true) = self.wait() {
            // Until there is nothing for the time of a rest.
            loop {
                let Ok(taken) = self.drain(&mut datagrams, usize::MAX) else { return };
                if taken.datagrams == 0 || *self.shared.stop.borrow() {
                    break;
                }
                if taken.most_bytes <= buffer_bytes / REST_SHARE {
                    std::thread::sleep(REST);
                }
            }
        }
        // What the kernel has at this moment is taken in, and not much more: its buffer is full at so many bytes, and a
        // sender that never pauses would hold the stop back for ever.
        let mut left = buffer_bytes;
        while left > 0 {
            match self.drain(&mut datagrams, left) {
                Ok(Taken { datagrams: 1.., least_bytes, .. }) => left = left.saturating_sub(least_bytes),
                _ => break,
            }
        }
        // The kernel's count ends with the socket: what was dropped since the last look is noted now.
        self.shared.kernel.read();
    }

    /// Waits for datagrams; false where it is to stop.
    fn wait(&self) -> io::Result<bool> {
        loop {
            let mut waited =
                [PollFd::new(&self.socket, PollFlags::IN), PollFd::new(&self.stop, PollFlags::IN)];
            match poll(&mut waited, None) {
                Ok(_) => return Ok(waited[1].revents().is_empty()),
                Err(Errno::INTR) => {}
                Err(error) => {
                    tracing::error!(%error, "UDP input failed");
                    return Err(error.into());
                }
            }
        }
    }

    /// Takes what waits in the kernel, up to one batch and up to about `most` of its buffer.
    fn drain(&self, datagrams: &mut Datagrams, most: usize) -> Result<Taken, Gone> {
        let mut taken = Taken::default();
        let mut filling = Filling { batch: Batch::default(), received: self.shared.clock.now(), gone: false };
        while taken.datagrams < BATCH_MESSAGES
            && filling.batch.size_bytes() < BATCH_BYTES
            && taken.least_bytes < most
        {
            let received = datagrams.receive(&self.socket, |bytes, source| {
                taken.add(bytes.len());
                if let Some(frame) = framing::datagram(bytes, self.max_message_bytes) {
                    filling.push(frame, source, &self.shared);
                }
            });
            match received {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // An ICMP error of some other host's making; the socket goes on. A flood of them must not be read for ever.
                Err(error) => {
                    tracing::debug!(%error, "UDP receive");
                    taken.add(0);
                }
            }
        }
        filling.hand_on(&self.shared);
        if filling.gone { Err(Gone) } else { Ok(taken) }
    }
}

/// What was taken from the kernel, those datagrams among it that hold no message.
#[derive(Default)]
struct Taken {
    datagrams: usize,
    /// Of the kernel's buffer, at least.
    least_bytes: usize,
    /// The same at most.
    most_bytes: usize,
}

impl Taken {
    fn add(&mut self, length: usize) {
        self.datagrams += 1;
        self.least_bytes += length + MIN_OVERHEAD_BYTES;
        self.most_bytes += 2 * length + MAX_OVERHEAD_BYTES;
    }
}

/// A batch that is being filled.
struct Filling {
    batch: Batch,
    received: UnixMicros,
    gone: bool,
}

impl Filling {
    fn push(&mut self, frame: Frame<'_>, source: SocketAddr, shared: &Shared) {
        // One call can bring more bytes than a batch may have.
        if self.batch.size_bytes() >= BATCH_BYTES {
            self.hand_on(shared);
        }
        let source = SocketAddr::new(source.ip().to_canonical(), source.port());
        let Frame { message, cut } = frame;
        self.batch.push(Origin { received: self.received, source, transport: Transport::Udp, cut }, message);
    }

    fn hand_on(&mut self, shared: &Shared) {
        self.gone |= !shared.hand_on_blocking(std::mem::take(&mut self.batch));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::listener::{Counters, KernelQueues, Probes};
    use std::sync::Arc;
    use tokio::sync::{mpsc, watch};

    #[test]
    fn of_what_came_before_the_end_every_datagram_is_handed_on_or_counted_as_dropped() {
        const SENT: u64 = 500;
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        SockRef::from(&socket).set_recv_buffer_size(16 * 1024).unwrap();
        let address = socket.local_addr().unwrap();
        let kernel = Arc::new(KernelQueues::of([&socket]));
        let (sink, mut batches) = mpsc::channel(64);
        let (_, stop) = watch::channel(true);
        let shared = Shared {
            sink,
            probes: Arc::new(Probes::default()),
            counters: Arc::new(Counters::default()),
            kernel: Arc::clone(&kernel),
            clock: Arc::new(SystemClock),
            stop,
        };
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        for _ in 0..SENT {
            sender.send_to(&[b'x'; 1000], address).unwrap();
        }
        let (stop, _) = io::pipe().unwrap();
        Input { socket, stop, max_message_bytes: 8192, shared }.run();
        let mut handed_on = 0;
        while let Ok(batch) = batches.try_recv() {
            handed_on += batch.len() as u64;
        }
        let dropped = kernel.read().unwrap().dropped;
        assert!(handed_on > 0 && dropped > 0);
        assert_eq!(handed_on + dropped, SENT);
    }
}
