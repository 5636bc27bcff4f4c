//! TCP input (RFC 6587): accepts, bounds and reads connections; the framing itself is [`Framer`]'s.

use super::bind::ACCEPT_BACKLOG;
use super::{Shared, stopped};
use crate::batch::{Batch, Origin, Transport};
use crate::settings;
use crate::syslog::framing::{Frame, Framer};
use socket2::{SockRef, TcpKeepalive};
use std::cell::RefCell;
use std::future::poll_fn;
use std::io::Read as _;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead as _, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// What one read takes at most. The buffer is the thread's, not the connection's: thousands of idle senders cost no
/// buffer each.
const READ_BYTES: usize = 64 * 1024;
/// A peer that vanished without a word is noticed after about this long.
const KEEPALIVE: Duration = Duration::from_secs(120);
/// Pause after an accept that failed for want of something (file descriptors, memory), so as not to spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Long unfinished messages of all connections together, in bytes. Many senders that each begin a long message and never end
/// it would else take more memory than the container has. The connection that goes over it is closed.
const MAX_UNFINISHED_BYTES: usize = 32 << 20;
/// An unfinished message up to this length is not counted: each connection may have one, so that what others hold never
/// closes a connection whose ordinary message came in two parts. With the default number of connections 32 MiB as well.
const SHORT_BYTES: usize = 4096;
/// What an attacker can cause many times is logged so often at most, with how often it happened.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

thread_local! {
    static READ_BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES]);
}

/// What all TCP connections share, whatever address they come to.
#[derive(Clone)]
pub(super) struct Bounds {
    places: Arc<Semaphore>,
    unfinished_bytes: Arc<AtomicUsize>,
    refusals: Arc<Occasional>,
    settings: Arc<settings::Listener>,
}

impl Bounds {
    pub(super) fn new(settings: &settings::Listener) -> Self {
        Self {
            places: Arc::new(Semaphore::new(settings.max_connections)),
            unfinished_bytes: Arc::default(),
            refusals: Arc::default(),
            settings: Arc::new(settings.clone()),
        }
    }
}

/// Something that is logged now and again, with a count.
#[derive(Default)]
struct Occasional(Mutex<(u64, Option<Instant>)>);

impl Occasional {
    /// Counts one, and says how many there were since the last time when it is time to log again.
    fn is_due(&self) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (count, last) = &mut *state;
        *count += 1;
        if last.is_some_and(|last| last.elapsed() < LOG_INTERVAL) {
            return None;
        }
        *last = Some(Instant::now());
        Some(std::mem::take(count))
    }
}

pub(super) async fn accept(listener: TcpListener, bounds: Bounds, shared: Shared) {
    let mut stop = shared.stop.clone();
    let mut connections = Connections { running: JoinSet::new(), bounds, shared };
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            // Reaps ended connections while no new one comes.
            Some(_) = connections.running.join_next() => continue,
            () = stopped(&mut stop) => break,
        };
        match accepted {
            Ok((stream, source)) => connections.add(stream, source),
            Err(error) => {
                tracing::warn!(%error, "accept failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    // Connections that the kernel has completed are taken in too: their senders know no better than that it has what
    // they wrote. They are as many as its queue holds; tokio is not asked, for it may not have heard of them yet.
    let socket = SockRef::from(&listener);
    for _ in 0..=ACCEPT_BACKLOG {
        let Ok((stream, address)) = socket.accept() else { break };
        let stream = stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream.into()));
        if let (Ok(stream), Some(source)) = (stream, address.as_socket()) {
            connections.add(stream, source);
        }
    }
    // Connections see the stop themselves and finish what was sent to them.
    while connections.running.join_next().await.is_some() {}
}

/// The connections of one listening socket.
struct Connections {
    running: JoinSet<()>,
    bounds: Bounds,
    shared: Shared,
}

impl Connections {
    fn add(&mut self, stream: TcpStream, source: SocketAddr) {
        let bounds = &self.bounds;
        let Ok(place) = Arc::clone(&bounds.places).try_acquire_owned() else {
            self.shared.counters.connections_refused.fetch_add(1, Relaxed);
            if let Some(refused) = bounds.refusals.is_due() {
                let max_connections = bounds.settings.max_connections;
                tracing::warn!(%source, max_connections, refused, "connections refused: too many");
            }
            return;
        };
        let connection = Connection {
            stream,
            source: SocketAddr::new(source.ip().to_canonical(), source.port()),
            framer: Framer::new(bounds.settings.max_message_bytes),
            last: (0, 1),
            unfinished: Unfinished { own: 0, all: Arc::clone(&bounds.unfinished_bytes) },
            shared: self.shared.clone(),
        };
        let idle_timeout = bounds.settings.idle_timeout;
        self.running.spawn(async move {
            connection.run(idle_timeout).await;
            drop(place);
        });
    }
}

/// The bytes of one connection's unfinished message, where it is long, as part of all connections'.
struct Unfinished {
    own: usize,
    all: Arc<AtomicUsize>,
}

impl Unfinished {
    /// Takes note of what the connection keeps now; false where it keeps something and all together are too much.
    fn fits(&mut self, bytes: usize) -> bool {
        let bytes = if bytes > SHORT_BYTES { bytes } else { 0 };
        let before = std::mem::replace(&mut self.own, bytes);
        // Wrapping: what is taken away was added before.
        let all =
            self.all.fetch_add(bytes.wrapping_sub(before), Relaxed).wrapping_add(bytes.wrapping_sub(before));
        bytes == 0 || all <= MAX_UNFINISHED_BYTES
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        self.all.fetch_sub(self.own, Relaxed);
    }
}

struct Connection {
    stream: TcpStream,
    source: SocketAddr,
    framer: Framer,
    /// Messages of the last batch and their bytes: about what the next one will need.
    last: (usize, usize),
    unfinished: Unfinished,
    shared: Shared,
}

/// What one read brought.
enum Read {
    Messages(Batch),
    Nothing,
    End(Batch),
}

impl Connection {
    async fn run(mut self, idle_timeout: Duration) {
        let counters = Arc::clone(&self.shared.counters);
        counters.connections.fetch_add(1, Relaxed);
        counters.connections_total.fetch_add(1, Relaxed);
        let keepalive = TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE / 4);
        if let Err(error) = SockRef::from(&self.stream).set_tcp_keepalive(&keepalive) {
            tracing::debug!(%error, "keep-alive not set");
        }
        self.receive(idle_timeout).await;
        counters.connections.fetch_sub(1, Relaxed);
    }

    async fn receive(&mut self, idle_timeout: Duration) {
        // Apart from `self`, which reading needs as a whole.
        let shared = self.shared.clone();
        let mut stop = shared.stop.clone();
        // Both outlive a read: to ask to be woken anew for each costs as much as a short message.
        let mut stopped = pin!(stopped(&mut stop));
        let mut idle = pin!(tokio::time::sleep(idle_timeout));
        let mut heard = tokio::time::Instant::now();
        loop {
            tokio::select! {
                ready = self.stream.readable() => {
                    if ready.is_err() {
                        return;
                    }
                }
                () = idle.as_mut(), if !idle_timeout.is_zero() => {
                    let due = heard + idle_timeout;
                    if due > tokio::time::Instant::now() {
                        idle.as_mut().reset(due);
                        continue;
                    }
                    self.shared.counters.connections_idle_closed.fetch_add(1, Relaxed);
                    tracing::info!(source = %self.source, "connection closed: silent for too long");
                    let rest = self.finish();
                    self.shared.hand_on(rest).await;
                    return;
                }
                () = stopped.as_mut() => return self.receive_last().await,
            }
            // Room first, bytes second: while the sink is full they stay in the kernel, whose window slows the sender.
            let Some(room) = shared.room().await else { return };
            heard = tokio::time::Instant::now();
            let (mut batch, ended) = match poll_fn(|context| Poll::Ready(self.read(context))).await {
                Read::Messages(batch) => (batch, false),
                Read::Nothing => (Batch::default(), false),
                Read::End(batch) => (batch, true),
            };
            let fits = ended || self.unfinished.fits(self.framer.kept_bytes());
            if !fits {
                shared.counters.connections_unfinished_closed.fetch_add(1, Relaxed);
                tracing::debug!(source = %self.source, "connection closed: unfinished messages take too much memory");
                // Into the same place: thousands that waited for one each would hold what the bound is there for.
                batch.append(&self.finish());
            }
            shared.hand_on_at_once(room, batch);
            if ended || !fits {
                return;
            }
        }
    }

    /// Takes in what the kernel has of this connection at this moment, and no more: a sender that never pauses would
    /// hold the stop back for ever.
    async fn receive_last(&mut self) {
        let shared = self.shared.clone();
        let mut left = rustix::io::ioctl_fionread(&self.stream).unwrap_or(0);
        while left > 0 {
            // Who waits for room leaves to the kernel what would be lost where none comes.
            let Some(room) = shared.room().await else { return };
            let read = READ_BUFFER.with_borrow_mut(|buffer| {
                let most = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                // Past tokio, which says that nothing is there where it has not yet heard of it.
                let length = (&*SockRef::from(&self.stream)).read(&mut buffer[..most]).unwrap_or(0);
                left = if length == 0 { 0 } else { left - length as u64 };
                self.frame(Some(&buffer[..length]))
            });
            shared.hand_on_at_once(room, read);
        }
        let rest = self.finish();
        self.shared.hand_on(rest).await;
    }

    /// Reads once what is there. Polled and not tried, because tokio then takes a buffer that was not filled for the end of
    /// what is there, and spares asking again.
    fn read(&mut self, context: &mut Context<'_>) -> Read {
        READ_BUFFER.with_borrow_mut(|buffer| {
            let mut buffer = ReadBuf::new(buffer);
            match Pin::new(&mut self.stream).poll_read(context, &mut buffer) {
                Poll::Pending => Read::Nothing,
                Poll::Ready(Ok(())) if buffer.filled().is_empty() => Read::End(self.finish()),
                Poll::Ready(Ok(())) => Read::Messages(self.frame(Some(buffer.filled()))),
                Poll::Ready(Err(error)) => {
                    tracing::debug!(source = %self.source, %error, "connection lost");
                    Read::End(self.finish())
                }
            }
        })
    }

    /// What is left when no more will come: an unterminated last message.
    fn finish(&mut self) -> Batch {
        self.frame(None)
    }

    fn frame(&mut self, data: Option<&[u8]>) -> Batch {
        let bytes = data.map_or(0, <[u8]>::len) + self.framer.kept_bytes();
        // A batch stays in memory until it is delivered: it is made as large as it has to be, and no larger.
        let mut batch = Batch::with_capacity(bytes * self.last.0 / self.last.1 + 1, bytes);
        let received = self.shared.clock.now();
        let source = self.source;
        let mut sink = |Frame { message, cut }: Frame<'_>| {
            batch.push(Origin { received, source, transport: Transport::Tcp, cut }, message);
        };
        match data {
            Some(data) => self.framer.push(data, &mut sink),
            None => self.framer.finish(&mut sink),
        }
        if !batch.is_empty() {
            self.last = (batch.len(), batch.size_bytes().max(1));
        }
        if batch.size_bytes() < bytes / 2 {
            // The rest of a message that is too long, or one that is not whole yet.
            let mut small = Batch::with_capacity(batch.len(), batch.size_bytes());
            small.append(&batch);
            batch = small;
        }
        batch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unfinished_messages_of_all_connections_have_one_bound() {
        let all = Arc::new(AtomicUsize::new(0));
        let keeper = || Unfinished { own: 0, all: Arc::clone(&all) };
        let (mut one, mut two) = (keeper(), keeper());
        assert!(one.fits(MAX_UNFINISHED_BYTES - 10_000));
        assert!(two.fits(10_000));
        assert!(!two.fits(10_001));
        // Who keeps little is never in the way, nor closed for what others keep.
        assert!(two.fits(0));
        assert!(one.fits(MAX_UNFINISHED_BYTES));
        assert!(two.fits(SHORT_BYTES));
        assert!(!two.fits(SHORT_BYTES + 1));
        drop(one);
        assert!(two.fits(SHORT_BYTES + 1));
        drop(two);
        assert_eq!(all.load(Relaxed), 0);
    }
}
