//! Opening the listening sockets.

use super::KernelQueues;
use crate::error::{Code, Error, Result};
use crate::settings;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use tokio::net::TcpListener;

/// Connections that the kernel completes before they are accepted; a burst of senders after a restart fits in.
pub(super) const ACCEPT_BACKLOG: i32 = 4096;

/// Where any port will do: how often another one is tried that TCP gave and UDP, or another address, has taken.
const FREE_PORT_RETRIES: u32 = 8;

/// Open sockets, before anything is received.
#[derive(Debug)]
pub struct Bound {
    pub(super) udp: Vec<UdpSocket>,
    pub(super) tcp: Vec<TcpListener>,
    port: u16,
    udp_buffer_bytes: usize,
}

impl Bound {
    /// Binds UDP and TCP on every address, `port` 0 meaning one that is free in both. Needs a tokio runtime.
    ///
    /// `::` takes IPv4 in too; on a host without IPv6 it means `0.0.0.0`.
    pub fn bind(settings: &settings::Listener, port: u16) -> Result<Self> {
        let retries = if port == 0 { FREE_PORT_RETRIES } else { 0 };
        for _ in 0..retries {
            if let Ok(bound) = Self::attempt(settings, port) {
                return Ok(bound);
            }
        }
        Self::attempt(settings, port)
    }

    fn attempt(settings: &settings::Listener, port: u16) -> Result<Self> {
        let mut bound = Self { udp: Vec::new(), tcp: Vec::new(), port, udp_buffer_bytes: 0 };
        for &address in &settings.addresses {
            bound.add(address, settings.udp_buffer_bytes).or_else(|error| {
                if address.is_ipv6() && address.is_unspecified() && no_ipv6(&error) {
                    bound.add(IpAddr::V4(Ipv4Addr::UNSPECIFIED), settings.udp_buffer_bytes)
                } else {
                    Err(error)
                }
                .map_err(|error| {
                    Error::new(
                        Code::PortUnavailable,
                        format!("cannot listen on {}", SocketAddr::new(address, port)),
                    )
                    .caused_by(error)
                })
            })?;
        }
        Ok(bound)
    }

    fn add(&mut self, address: IpAddr, udp_buffer_bytes: usize) -> io::Result<()> {
        // TCP first: where any port will do, it chooses.
        let tcp = open(SocketAddr::new(address, self.port), Type::STREAM, Protocol::TCP)?;
        tcp.listen(ACCEPT_BACKLOG)?;
        let tcp = TcpListener::from_std(tcp.into())?;
        let port = tcp.local_addr()?.port();
        let udp = open(SocketAddr::new(address, port), Type::DGRAM, Protocol::UDP)?;
        // The kernel grants what net.core.rmem_max allows; what it granted is shown, not demanded.
        udp.set_recv_buffer_size(udp_buffer_bytes)?;
        self.udp_buffer_bytes = udp.recv_buffer_size()?;
        self.port = port;
        self.tcp.push(tcp);
        self.udp.push(udp.into());
        Ok(())
    }

    /// The port that was bound.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The receive buffer that the kernel granted each UDP socket, in bytes (Linux counts its own overhead in).
    pub fn udp_buffer_bytes(&self) -> usize {
        self.udp_buffer_bytes
    }

    /// The kernel's counters of the UDP sockets, to be read at any time.
    pub fn kernel_queues(&self) -> KernelQueues {
        KernelQueues::of(&self.udp)
    }

    /// The addresses listened on.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.tcp.iter().filter_map(|socket| socket.local_addr().ok()).collect()
    }
}

fn open(address: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    if let IpAddr::V6(v6) = address.ip() {
        socket.set_only_v6(!v6.is_unspecified())?;
    }
    if kind == Type::STREAM {
        // A restart must not wait for connections of the last run to leave TIME_WAIT. Not for UDP: there the option
        // would let a second process steal the port.
        socket.set_reuse_address(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

fn no_ipv6(error: &io::Error) -> bool {
    let code = error.raw_os_error();
    code == Some(rustix::io::Errno::AFNOSUPPORT.raw_os_error())
        || code == Some(rustix::io::Errno::ADDRNOTAVAIL.raw_os_error())
}
