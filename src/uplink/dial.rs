//! Where connections come from: the network, or what a simulation puts in its place.

use crate::settings::Endpoint;
use crate::tls::{self, Fault};
use futures_util::future::BoxFuture;
use rustls::ClientConfig;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};

/// What a session reads and writes.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A connection to a receiver, both sides known to each other.
pub struct Dialled {
    /// The stream inside TLS.
    pub stream: Box<dyn Stream>,
    /// The address behind the name.
    pub address: String,
    /// TLS version and cipher suite, for people.
    pub protocol: String,
}

/// Makes connections.
pub trait Dial: Send + Sync + 'static {
    /// Connects to an endpoint with our identity. `bound` is on each of resolving, connecting and handshaking.
    fn dial<'a>(
        &'a self,
        endpoint: &'a Endpoint,
        config: Arc<ClientConfig>,
        bound: Duration,
    ) -> BoxFuture<'a, Result<Dialled, Fault>>;
}

/// Mutual TLS over TCP: [`tls::dial()`].
#[derive(Debug, Clone, Copy, Default)]
pub struct Network;

impl Dial for Network {
    fn dial<'a>(
        &'a self,
        endpoint: &'a Endpoint,
        config: Arc<ClientConfig>,
        bound: Duration,
    ) -> BoxFuture<'a, Result<Dialled, Fault>> {
        Box::pin(async move {
            let connection = tls::dial(endpoint, config, bound).await?;
            let (address, protocol) = (connection.peer.to_string(), connection.protocol());
            Ok(Dialled { stream: Box::new(connection.stream), address, protocol })
        })
    }
}
