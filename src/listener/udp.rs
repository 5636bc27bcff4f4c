//! UDP input (RFC 5426): one datagram is one message.

use super::{BATCH_BYTES, BATCH_MESSAGES, Shared, stopped};
use crate::batch::{Batch, Origin, Transport};
use crate::syslog::framing::{self, Frame};
use rustix::net::{RecvFlags, SocketAddrAny, recvfrom};
use socket2::SockRef;
use std::io;
use std::net::SocketAddr;
use tokio::net::UdpSocket;

/// No UDP datagram is longer (RFC 768: 16 bits of length).
const MAX_DATAGRAM_BYTES: usize = 65_535;
/// What every datagram takes of the kernel's buffer beside its bytes, at least (Linux: a `struct sk_buff`).
const DATAGRAM_OVERHEAD_BYTES: usize = 192;

pub(super) async fn receive(socket: UdpSocket, max_message_bytes: usize, shared: Shared) {
    let mut stop = shared.stop.clone();
    let mut buffer = vec![0; MAX_DATAGRAM_BYTES];
    loop {
        tokio::select! {
            ready = socket.readable() => {
                if let Err(error) = ready {
                    tracing::error!(%error, "UDP input failed");
                    return;
                }
            }
            () = stopped(&mut stop) => break,
        }
        loop {
            let batch = drain(&mut buffer, max_message_bytes, &shared, |buffer| socket.try_recv_from(buffer));
            let full = batch.len() == BATCH_MESSAGES || batch.size_bytes() >= BATCH_BYTES;
            if !shared.hand_on(batch).await {
                return;
            }
            if !full || *stop.borrow() {
                break;
            }
        }
    }
    // What the kernel has at this moment is taken in, and not much more: its buffer is full at so many bytes, and a
    // sender that never pauses would hold the stop back for ever.
    let mut left = SockRef::from(&socket).recv_buffer_size().unwrap_or(0);
    loop {
        let batch = drain(&mut buffer, max_message_bytes, &shared, |buffer| {
            if left == 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            let received = receive_now(&socket, buffer);
            left = match &received {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
                // An error must not be read for ever either.
                Err(_) => left.saturating_sub(DATAGRAM_OVERHEAD_BYTES),
                Ok((length, _)) => left.saturating_sub(length + DATAGRAM_OVERHEAD_BYTES),
            };
            received
        });
        if !shared.hand_on(batch).await || left == 0 {
            return;
        }
    }
}

/// Receives past tokio, which says that nothing is there where it has not yet heard of it.
fn receive_now(socket: &UdpSocket, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
    let (length, _, source) = recvfrom(socket, buffer, RecvFlags::DONTWAIT)?;
    let source = source.map(SocketAddrAny::try_into).transpose()?;
    source.map(|source| (length, source)).ok_or_else(|| io::Error::other("a datagram from nobody"))
}

/// Reads what waits in the kernel, up to one batch. Datagrams without a message, and errors, count as well: a flood of
/// them must not keep the messages between them here, nor the thread.
fn drain(
    buffer: &mut [u8],
    max_message_bytes: usize,
    shared: &Shared,
    mut receive: impl FnMut(&mut [u8]) -> io::Result<(usize, SocketAddr)>,
) -> Batch {
    let mut batch = Batch::default();
    let received = shared.clock.now();
    for _ in 0..BATCH_MESSAGES {
        if batch.size_bytes() >= BATCH_BYTES {
            break;
        }
        match receive(buffer) {
            Ok((length, source)) => {
                let Some(Frame { message, cut }) = framing::datagram(&buffer[..length], max_message_bytes)
                else {
                    continue;
                };
                let source = SocketAddr::new(source.ip().to_canonical(), source.port());
                batch.push(Origin { received, source, transport: Transport::Udp, cut }, message);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            // An ICMP error of some other host's making; the socket goes on.
            Err(error) => tracing::debug!(%error, "UDP receive"),
        }
    }
    batch
}
