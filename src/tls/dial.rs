//! Makes one mutual-TLS connection to an endpoint: resolves its name anew, tries every address, bounds every step in
//! time, and waits for the refusal that TLS 1.3 delivers late.
//!
//! In TLS 1.3 the client has finished its handshake before the server has looked at the client's certificate
//! (RFC 8446 section 2): a refusal is an alert at the first read afterwards. Whoever begins to send at once risks that
//! the reset of the closed connection overtakes the alert, and then sees a network failure where the truth is
//! "your certificate is not accepted". Therefore [`dial`] waits a moment for that alert, for about as long as an
//! answer takes on this path.

use super::fault::{Fault, Step};
use crate::settings::Endpoint;
use rustls::{ClientConfig, ProtocolVersion};
use rustls_pki_types::{CertificateDer, ServerName};
use socket2::{SockRef, TcpKeepalive};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncBufReadExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Addresses of one name that are tried; a name with more is a load balancer whose others look alike.
pub const MAX_ADDRESSES: usize = 16;

/// Least and longest wait for a late refusal. Between them it is three times what the handshake took: the alert comes
/// one round trip after the client's last message, and the handshake was one round trip and some arithmetic.
pub const REFUSAL_WAIT: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// A silent path is probed by the kernel after a minute, every 15 seconds, four times: an idle connection that a
/// firewall has forgotten is found within two minutes rather than with the next event.
const KEEPALIVE: (Duration, Duration, u32) = (Duration::from_secs(60), Duration::from_secs(15), 4);

/// Bytes that are encrypted at a time and handed to the kernel with one call: sixteen records. With rustls' 64 KiB each call ends a
/// little behind the largest packet that the kernel makes, and the rest goes out as a small one of its own.
const BUFFER_BYTES: usize = 256 << 10;

/// An established connection, both sides known to each other.
#[derive(Debug)]
pub struct Connection {
    /// The stream. What the server may have said already is still to be read from it.
    pub stream: TlsStream<TcpStream>,
    /// The address in use.
    pub peer: SocketAddr,
}

impl Connection {
    /// The server's own certificate.
    pub fn server_certificate(&self) -> Option<&CertificateDer<'static>> {
        self.stream.get_ref().1.peer_certificates().and_then(<[_]>::first)
    }

    /// The TLS version and cipher suite in use, for people.
    pub fn protocol(&self) -> String {
        let tls = self.stream.get_ref().1;
        let version = tls.protocol_version().and_then(|version| version.as_str()).unwrap_or("TLS");
        let suite = tls.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str()).unwrap_or("");
        format!("{version} {suite}")
    }
}

/// Connects to an endpoint. `bound` is on resolving, connecting and handshaking, each, the latter two for each address.
///
/// All addresses are tried in the resolver's order (RFC 6724); of several failures, that of the attempt that came
/// furthest is told.
pub async fn dial(
    endpoint: &Endpoint,
    config: Arc<ClientConfig>,
    bound: Duration,
) -> Result<Connection, Fault> {
    let name = ServerName::try_from(endpoint.host.clone())
        .map_err(|_| Fault::Name(format!("{} is no valid host name", endpoint.host)))?;
    let connector = TlsConnector::from(config);
    let mut told: Option<Fault> = None;
    for address in resolve(endpoint, bound).await? {
        match attempt(address, &name, &connector, bound).await {
            Ok(connection) => return Ok(connection),
            Err(fault) => {
                tracing::debug!(%endpoint, %address, %fault, "no connection to this address");
                if told.as_ref().is_none_or(|best| fault.progress() > best.progress()) {
                    told = Some(fault);
                }
            }
        }
    }
    Err(told.expect("a resolved name has at least one address"))
}

/// The endpoint's addresses, at least one and at most [`MAX_ADDRESSES`].
pub async fn resolve(endpoint: &Endpoint, bound: Duration) -> Result<Vec<SocketAddr>, Fault> {
    let lookup = tokio::net::lookup_host((endpoint.host.as_str(), endpoint.port));
    let addresses: Vec<SocketAddr> = timeout(bound, lookup)
        .await
        .map_err(|_| Fault::Timeout(Step::Resolve))?
        .map_err(|error| Fault::Name(error.to_string()))?
        .take(MAX_ADDRESSES)
        .collect();
    if addresses.is_empty() {
        return Err(Fault::Name("it has no address".to_owned()));
    }
    Ok(addresses)
}

async fn attempt(
    address: SocketAddr,
    name: &ServerName<'static>,
    connector: &TlsConnector,
    bound: Duration,
) -> Result<Connection, Fault> {
    let tcp = timeout(bound, TcpStream::connect(address))
        .await
        .map_err(|_| Fault::Timeout(Step::Connect))?
        .map_err(|error| Fault::Connect(error.to_string()))?;
    tune(&tcp).map_err(|error| Fault::Connect(error.to_string()))?;
    let begun = Instant::now();
    let mut stream = timeout(bound, connector.connect(name.clone(), tcp))
        .await
        .map_err(|_| Fault::Timeout(Step::Handshake))?
        .map_err(|error| Fault::from_io(&error))?;
    stream.get_mut().1.set_buffer_limit(Some(BUFFER_BYTES));
    await_refusal(&mut stream, begun.elapsed()).await?;
    Ok(Connection { stream, peer: address })
}

/// Sets what both of our protocols want of a connection.
pub(crate) fn tune(tcp: &TcpStream) -> io::Result<()> {
    tcp.set_nodelay(true)?;
    let (after, every, times) = KEEPALIVE;
    SockRef::from(tcp)
        .set_tcp_keepalive(&TcpKeepalive::new().with_time(after).with_interval(every).with_retries(times))
}

/// Waits for the alert by which a TLS 1.3 server refuses a client certificate. Reads nothing that is not an alert.
async fn await_refusal(stream: &mut TlsStream<TcpStream>, handshake: Duration) -> Result<(), Fault> {
    // In TLS 1.2 the server's Finished comes after it has checked the client's certificate.
    if stream.get_ref().1.protocol_version() == Some(ProtocolVersion::TLSv1_2) {
        return Ok(());
    }
    let (least, longest) = REFUSAL_WAIT;
    match timeout((handshake * 3).clamp(least, longest), stream.fill_buf()).await {
        Ok(Ok([])) => {
            Err(Fault::Closed("the server closed the connection right after the handshake".to_owned()))
        }
        Ok(Ok(_)) | Err(_) => Ok(()),
        Ok(Err(error)) => Err(Fault::from_io(&error)),
    }
}
