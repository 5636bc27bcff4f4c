//! Sending a message to the connector's own syslog port, as any sender would.

use crate::settings;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

/// The port is this host's own: who does not take a message within this time never will, a firewall swallows it.
const PATIENCE: Duration = Duration::from_secs(5);

/// The published port as seen from this host.
pub(super) fn local_target(listener: &settings::Listener) -> SocketAddr {
    let address = match listener.addresses.first() {
        // IPv4 also where the listener takes both: every network mode publishes it.
        None => IpAddr::V4(Ipv4Addr::LOCALHOST),
        Some(IpAddr::V6(v6)) if *v6 == Ipv6Addr::UNSPECIFIED => IpAddr::V4(Ipv4Addr::LOCALHOST),
        Some(IpAddr::V4(v4)) if v4.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        Some(&address) => address,
    };
    SocketAddr::new(address, listener.syslog_port)
}

/// Sends one datagram.
pub(super) async fn udp(target: SocketAddr, message: &str) -> io::Result<()> {
    let any = if target.is_ipv4() {
        SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))
    } else {
        SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0))
    };
    let socket = UdpSocket::bind(any).await?;
    socket.send_to(message.as_bytes(), target).await?;
    Ok(())
}

/// Sends one message with octet counting on a connection of its own.
pub(super) async fn tcp(target: SocketAddr, message: &str) -> io::Result<()> {
    let send = async {
        let mut stream = TcpStream::connect(target).await?;
        stream.write_all(format!("{} {message}", message.len()).as_bytes()).await?;
        stream.shutdown().await
    };
    timeout(PATIENCE, send).await?
}
