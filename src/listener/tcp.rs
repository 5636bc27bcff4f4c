//! TCP input (RFC 6587): accepts, bounds and reads connections; the framing itself is [`Framer`]'s.

use super::bind::ACCEPT_BACKLOG;
use super::{Shared, stopped};
use crate::batch::{Batch, Origin, Transport};
use crate::settings;
use crate::syslog::framing::{Frame, Framer};
use socket2::{SockRef, TcpKeepalive};
use std::cell::RefCell;
use std::io::{self, Read as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
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

thread_local! {
    static READ_BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES]);
}

pub(super) async fn accept(listener: TcpListener, settings: settings::Listener, shared: Shared) {
    let mut stop = shared.stop.clone();
    let mut connections = Connections {
        places: Arc::new(Semaphore::new(settings.max_connections)),
        running: JoinSet::new(),
        settings,
        shared,
    };
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
    places: Arc<Semaphore>,
    running: JoinSet<()>,
    settings: settings::Listener,
    shared: Shared,
}

impl Connections {
    fn add(&mut self, stream: TcpStream, source: SocketAddr) {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            self.shared.counters.connections_refused.fetch_add(1, Relaxed);
            let max_connections = self.settings.max_connections;
            tracing::warn!(%source, max_connections, "connection refused: too many");
            return;
        };
        let connection = Connection {
            stream,
            source: SocketAddr::new(source.ip().to_canonical(), source.port()),
            framer: Framer::new(self.settings.max_message_bytes),
            shared: self.shared.clone(),
        };
        let idle_timeout = self.settings.idle_timeout;
        self.running.spawn(async move {
            connection.run(idle_timeout).await;
            drop(place);
        });
    }
}

struct Connection {
    stream: TcpStream,
    source: SocketAddr,
    framer: Framer,
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
        let mut stop = self.shared.stop.clone();
        loop {
            let idle = async {
                if idle_timeout.is_zero() {
                    std::future::pending::<()>().await;
                }
                tokio::time::sleep(idle_timeout).await;
            };
            tokio::select! {
                ready = self.stream.readable() => {
                    if ready.is_err() {
                        return;
                    }
                }
                () = idle => {
                    self.shared.counters.connections_idle_closed.fetch_add(1, Relaxed);
                    tracing::info!(source = %self.source, "connection closed: silent for too long");
                    let rest = self.finish();
                    self.shared.hand_on(rest).await;
                    return;
                }
                () = stopped(&mut stop) => return self.receive_last().await,
            }
            match self.read() {
                Read::Messages(batch) => {
                    if !self.shared.hand_on(batch).await {
                        return;
                    }
                }
                Read::Nothing => {}
                Read::End(batch) => {
                    self.shared.hand_on(batch).await;
                    return;
                }
            }
        }
    }

    /// Takes in what the kernel has of this connection at this moment, and no more: a sender that never pauses would
    /// hold the stop back for ever.
    async fn receive_last(&mut self) {
        let mut left = rustix::io::ioctl_fionread(&self.stream).unwrap_or(0);
        while left > 0 {
            let read = READ_BUFFER.with_borrow_mut(|buffer| {
                let most = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                // Past tokio, which says that nothing is there where it has not yet heard of it.
                let length = (&*SockRef::from(&self.stream)).read(&mut buffer[..most]).unwrap_or(0);
                left = if length == 0 { 0 } else { left - length as u64 };
                self.frame(Some(&buffer[..length]))
            });
            if !self.shared.hand_on(read).await {
                return;
            }
        }
        let rest = self.finish();
        self.shared.hand_on(rest).await;
    }

    fn read(&mut self) -> Read {
        READ_BUFFER.with_borrow_mut(|buffer| match self.stream.try_read(buffer) {
            Ok(0) => Read::End(self.finish()),
            Ok(length) => Read::Messages(self.frame(Some(&buffer[..length]))),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Read::Nothing,
            Err(error) => {
                tracing::debug!(source = %self.source, %error, "connection lost");
                Read::End(self.finish())
            }
        })
    }

    /// What is left when no more will come: an unterminated last message.
    fn finish(&mut self) -> Batch {
        self.frame(None)
    }

    fn frame(&mut self, data: Option<&[u8]>) -> Batch {
        let mut batch = Batch::default();
        let received = self.shared.clock.now();
        let source = self.source;
        let mut sink = |Frame { message, cut }: Frame<'_>| {
            batch.push(Origin { received, source, transport: Transport::Tcp, cut }, message);
        };
        match data {
            Some(data) => self.framer.push(data, &mut sink),
            None => self.framer.finish(&mut sink),
        }
        batch
    }
}
