//! Many datagrams with one system call: recvmmsg(2), where one for each datagram costs about twice as much.
//! The unsafe part is nix's.

use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrIn, SockaddrIn6, SockaddrLike, recvmmsg};
use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;

/// No UDP datagram is longer (RFC 768: 16 bits of length).
const MAX_DATAGRAM_BYTES: usize = 65_535;

/// Datagrams of one call. More of them would save little: the call itself is then a small part of what each costs.
const DATAGRAMS: usize = 64;

/// From one datagram's memory to the next one's. Not a power of two: the beginnings of all of them, which is what is used,
/// would share a few lines of the processor's cache. Of memory that was never used the kernel gives none.
const STRIDE_BYTES: usize = MAX_DATAGRAM_BYTES + 577;

/// Receives from one socket, whose addresses are all of one family.
pub(super) struct Datagrams {
    memory: Box<[u8]>,
    headers: Headers,
}

/// The kernel writes the addresses of a socket's family, whatever the sender's: IPv4 on an IPv6 socket is mapped.
enum Headers {
    V4(MultiHeaders<SockaddrIn>),
    V6(MultiHeaders<SockaddrIn6>),
}

impl Datagrams {
    /// For sockets of the family of `address`.
    pub(super) fn new(address: SocketAddr) -> Self {
        let headers = match address {
            SocketAddr::V4(_) => Headers::V4(MultiHeaders::preallocate(DATAGRAMS, None)),
            SocketAddr::V6(_) => Headers::V6(MultiHeaders::preallocate(DATAGRAMS, None)),
        };
        Self { memory: vec![0; DATAGRAMS * STRIDE_BYTES].into_boxed_slice(), headers }
    }

    /// Takes what waits in the kernel, in order, up to [`DATAGRAMS`] of it, without waiting; `WouldBlock` where there is
    /// nothing. Gives back how many it was.
    pub(super) fn receive(
        &mut self,
        socket: &UdpSocket,
        take: impl FnMut(&[u8], SocketAddr),
    ) -> io::Result<usize> {
        match &mut self.headers {
            Headers::V4(headers) => receive(socket, headers, &mut self.memory, take),
            Headers::V6(headers) => receive(socket, headers, &mut self.memory, take),
        }
    }
}

fn receive<S: SockaddrLike + Copy + Into<SocketAddr>>(
    socket: &UdpSocket,
    headers: &mut MultiHeaders<S>,
    memory: &mut [u8],
    mut take: impl FnMut(&[u8], SocketAddr),
) -> io::Result<usize> {
    let mut buffers: Vec<_> = memory
        .chunks_exact_mut(STRIDE_BYTES)
        .map(|chunk| [IoSliceMut::new(&mut chunk[..MAX_DATAGRAM_BYTES])])
        .collect();
    let received = recvmmsg(socket.as_raw_fd(), headers, buffers.iter_mut(), MsgFlags::MSG_DONTWAIT, None)?;
    let mut count = 0;
    for datagram in received {
        count += 1;
        // No part of the memory is filled by a datagram without bytes.
        let bytes = datagram.iovs().next().unwrap_or_default();
        if let Some(source) = datagram.address {
            take(bytes, source.into());
        }
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datagrams_of_every_length_come_in_order_with_their_senders() {
        for (address, target) in
            [("127.0.0.1:0", "127.0.0.1"), ("[::1]:0", "::1"), ("[::]:0", "127.0.0.1"), ("[::]:0", "::1")]
        {
            let Ok(receiver) = UdpSocket::bind(address) else { continue };
            let target = SocketAddr::new(target.parse().unwrap(), receiver.local_addr().unwrap().port());
            let any = SocketAddr::new(target.ip(), 0);
            let senders = [UdpSocket::bind(any).unwrap(), UdpSocket::bind(any).unwrap()];
            let mut datagrams = Datagrams::new(receiver.local_addr().unwrap());
            // The longest that IPv4 carries, and nothing at all; then the memory of a long one is used for a short one.
            for lengths in [vec![65_507, 0, 1, 300, 0, 9000], vec![3; DATAGRAMS], vec![7]] {
                let mut sent = Vec::new();
                for (number, &length) in lengths.iter().enumerate() {
                    let sender = &senders[number % senders.len()];
                    let bytes = vec![number as u8; length];
                    sender.send_to(&bytes, target).unwrap();
                    sent.push((bytes, sender.local_addr().unwrap()));
                }
                let mut came = Vec::new();
                let mut take = |bytes: &[u8], source: SocketAddr| {
                    came.push((bytes.to_vec(), SocketAddr::new(source.ip().to_canonical(), source.port())));
                };
                assert_eq!(datagrams.receive(&receiver, &mut take).unwrap(), lengths.len());
                assert_eq!(came, sent);
                let nothing = datagrams.receive(&receiver, |_, _| ()).unwrap_err();
                assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
            }
        }
    }
}
