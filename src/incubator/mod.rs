//! The incubator: the SOC's stage receiver. It takes events over the same stream as a concentrator, keeps them for
//! some minutes in memory, and gives them back to the client that sent them, and to no other.
//!
//! Two endpoints, both with mutual TLS: the stream (Lumberjack v2, `stream`) and the confirmations (HTTP,
//! [`confirmations`]). Who a client is, is its certificate's SHA-256 and nothing that it says. [`store`] is all there
//! is to keep; nothing is written to disk, and no event is ever logged.
//!
//! Bounds: connections in all and for each client, a handshake's time, a window, a frame, a request's head, an answer,
//! and the store's bytes and time. A client that is above one is refused; the others do not notice.

pub mod client;
pub mod confirmations;
pub mod store;
mod stream;

use crate::error::{Code, Error, Result};
use crate::tls::{Fingerprint, dial::tune};
use rustls::ServerConfig;
use std::collections::HashMap;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use store::{After, Answer, Bounds, Event, NoCursor, Store};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// Connections at the same time, over both endpoints. One more waits in the kernel's queue.
const MAX_CONNECTIONS: usize = 1024;

/// Connections of one client at the same time: a connector has one stream; `test` and `sample` have one each, and some
/// linger after a network failure. What a stream may hold in memory counts as often.
const MAX_CONNECTIONS_OF_CLIENT: usize = 8;

/// Bound on a handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection to the confirmations ends after so long, whatever it does: one whose client asks and never reads would
/// stay for ever. Clients connect anew without losing anything, since they have their cursor.
const CONFIRMATIONS_LIFE: Duration = Duration::from_secs(3600);

/// After a shutdown was asked for, connections have so long to come to an end.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);

/// Wait after the system refused a connection, for want of files for instance.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// How an incubator is run.
pub struct Config {
    /// Where events come in; port 0 lets the system choose one.
    pub stream: SocketAddr,
    /// Where confirmations are asked for.
    pub confirmations: SocketAddr,
    /// Server certificate and the CA of the clients, see [`crate::tls::server_config`].
    pub tls: Arc<ServerConfig>,
    /// What is kept.
    pub bounds: Bounds,
}

/// An incubator that listens.
pub struct Incubator {
    stream: TcpListener,
    confirmations: TcpListener,
    tls: TlsAcceptor,
    shared: Arc<Shared>,
}

/// What all connections share.
struct Shared {
    store: Mutex<Store>,
    begun: Instant,
    /// Connections by client, and what wakes those that wait for an event.
    clients: Mutex<HashMap<Fingerprint, Presence>>,
}

/// A client that has connections.
#[derive(Default)]
struct Presence {
    connections: usize,
    /// Counts up whenever the client's own events come in.
    arrivals: watch::Sender<u64>,
}

impl Shared {
    fn new(epoch: String, bounds: Bounds) -> Self {
        Self {
            store: Mutex::new(Store::new(epoch, bounds)),
            begun: Instant::now(),
            clients: Mutex::default(),
        }
    }

    fn add(&self, client: Fingerprint, events: Vec<Event>) {
        if events.is_empty() {
            return;
        }
        let now = self.begun.elapsed();
        let mut store = lock(&self.store);
        for event in events {
            store.add(client, event, now);
        }
        drop(store);
        if let Some(presence) = lock(&self.clients).get(&client) {
            presence.arrivals.send_modify(|count| *count += 1);
        }
    }

    /// Tells when events of a connected client come in from now on.
    fn arrivals(&self, client: &Fingerprint) -> watch::Receiver<u64> {
        lock(&self.clients).get(client).expect("who asks is connected").arrivals.subscribe()
    }

    fn after(&self, client: &Fingerprint, after: &After) -> std::result::Result<Answer, NoCursor> {
        lock(&self.store).after(client, after, self.begun.elapsed())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // The store is consistent between any two of its calls, and no call panics half-way.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Incubator {
    /// Listens on both endpoints. E811 where an address cannot be had.
    pub async fn bind(config: Config) -> Result<Self> {
        let mut random = [0; 8];
        aws_lc_rs::rand::fill(&mut random)
            .map_err(|error| Error::new(Code::IncubatorBind, "no random numbers").caused_by(error))?;
        let epoch = format!("{:016x}", u64::from_be_bytes(random));
        Ok(Self {
            stream: listen(config.stream).await?,
            confirmations: listen(config.confirmations).await?,
            tls: TlsAcceptor::from(config.tls),
            shared: Arc::new(Shared::new(epoch, config.bounds)),
        })
    }

    /// Where events come in.
    pub fn stream_addr(&self) -> SocketAddr {
        self.stream.local_addr().expect("a bound socket has an address")
    }

    /// Where confirmations are asked for.
    pub fn confirmations_addr(&self) -> SocketAddr {
        self.confirmations.local_addr().expect("a bound socket has an address")
    }

    /// Serves until `shutdown` completes; then connections are ended.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let mut connections = JoinSet::new();
        let mut shutdown = std::pin::pin!(shutdown);
        let (ending, end) = watch::channel(false);
        loop {
            let slot = tokio::select! {
                () = &mut shutdown => break,
                slot = Arc::clone(&slots).acquire_owned() => slot.expect("the semaphore is never closed"),
                Some(_) = connections.join_next() => continue,
            };
            let (accepted, is_stream) = tokio::select! {
                () = &mut shutdown => break,
                accepted = self.stream.accept() => (accepted, true),
                accepted = self.confirmations.accept() => (accepted, false),
            };
            match accepted {
                Ok((tcp, peer)) => {
                    let (tls, shared, mut end) = (self.tls.clone(), Arc::clone(&self.shared), end.clone());
                    connections.spawn(async move {
                        tokio::select! {
                            () = connection(tls, shared, tcp, peer, is_stream, slot) => {}
                            _ = end.changed() => {}
                        }
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    sleep(ACCEPT_RETRY).await;
                }
            }
        }
        // The receiver's end is all that an error could say.
        let _ = ending.send(true);
        let _ = timeout(SHUTDOWN_TIMEOUT, async { while connections.join_next().await.is_some() {} }).await;
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        Error::new(Code::IncubatorBind, format!("cannot listen on {address}")).caused_by(error)
    })
}

async fn connection(
    tls: TlsAcceptor,
    shared: Arc<Shared>,
    tcp: TcpStream,
    peer: SocketAddr,
    is_stream: bool,
    _slot: OwnedSemaphorePermit,
) {
    if let Err(error) = tune(&tcp) {
        tracing::debug!(%peer, %error, "the connection was gone at once");
        return;
    }
    let stream = match timeout(HANDSHAKE_TIMEOUT, tls.accept(tcp)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            tracing::info!(%peer, %error, "a client was not let in");
            return;
        }
        Err(_) => {
            tracing::info!(%peer, "a client did not finish its handshake");
            return;
        }
    };
    let client = fingerprint(&stream);
    let Some(_guest) = Guest::enter(Arc::clone(&shared), client) else {
        tracing::warn!(%peer, %client, "a client has too many connections");
        return;
    };
    let endpoint = if is_stream { "stream" } else { "confirmations" };
    tracing::info!(%peer, %client, endpoint, "a client has connected");
    let ended = if is_stream {
        stream::serve(&shared, client, stream).await.map_err(|broken| broken.to_string())
    } else {
        match timeout(CONFIRMATIONS_LIFE, confirmations::serve(shared, client, stream)).await {
            Ok(ended) => ended.map_err(|error| error.to_string()),
            Err(_) => Ok(()),
        }
    };
    match ended {
        Ok(()) => tracing::info!(%peer, %client, endpoint, "a client has left"),
        Err(error) => tracing::info!(%peer, %client, endpoint, error, "a client's connection broke"),
    }
}

fn fingerprint(stream: &TlsStream<TcpStream>) -> Fingerprint {
    let certificates = stream.get_ref().1.peer_certificates();
    let own = certificates.and_then(<[_]>::first).expect("a client without a certificate is not let in");
    Fingerprint::of(own)
}

/// One connection of a client, counted while it lasts.
struct Guest {
    shared: Arc<Shared>,
    client: Fingerprint,
}

impl Guest {
    fn enter(shared: Arc<Shared>, client: Fingerprint) -> Option<Self> {
        let mut clients = lock(&shared.clients);
        let presence = clients.entry(client).or_default();
        if presence.connections >= MAX_CONNECTIONS_OF_CLIENT {
            return None;
        }
        presence.connections += 1;
        drop(clients);
        Some(Self { shared, client })
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut clients = lock(&self.shared.clients);
        if let Some(presence) = clients.get_mut(&self.client) {
            presence.connections -= 1;
            if presence.connections == 0 {
                clients.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests;
