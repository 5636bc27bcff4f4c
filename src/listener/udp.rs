//! UDP input (RFC 5426): one datagram is one message.

use super::{BATCH_BYTES, BATCH_MESSAGES, Shared, stopped};
use crate::batch::{Batch, Origin, Transport};
use crate::syslog::framing::{self, Frame};
use std::io;
use std::net::SocketAddr;
use tokio::net::UdpSocket;

/// No UDP datagram is longer (RFC 768: 16 bits of length).
const MAX_DATAGRAM_BYTES: usize = 65_535;

pub(super) async fn receive(socket: UdpSocket, max_message_bytes: usize, shared: Shared) {
    let mut stop = shared.stop.clone();
    let mut buffer = vec![0; MAX_DATAGRAM_BYTES];
    loop {
        let stopping = tokio::select! {
            ready = socket.readable() => {
                if let Err(error) = ready {
                    tracing::error!(%error, "UDP input failed");
                    return;
                }
                false
            }
            () = stopped(&mut stop) => true,
        };
        // What the kernel has taken is finished, also after the stop.
        loop {
            let batch = drain(&socket, &mut buffer, max_message_bytes, &shared);
            let full = batch.len() == BATCH_MESSAGES || batch.size_bytes() >= BATCH_BYTES;
            if !shared.hand_on(batch).await {
                return;
            }
            if !full {
                break;
            }
        }
        if stopping {
            return;
        }
    }
}

/// Reads what waits in the kernel, up to one batch. Datagrams without a message, and errors, count as well: a flood of
/// them must not keep the messages between them here, nor the thread.
fn drain(socket: &UdpSocket, buffer: &mut [u8], max_message_bytes: usize, shared: &Shared) -> Batch {
    let mut batch = Batch::default();
    let received = shared.clock.now();
    for _ in 0..BATCH_MESSAGES {
        if batch.size_bytes() >= BATCH_BYTES {
            break;
        }
        match socket.try_recv_from(buffer) {
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
