//! The load generator: as fast as the forwarder takes it, or at a rate.

use crate::message::{Messages, VARIETY};
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Threads that write to TCP connections, at most; more would only take turns on two processors.
const THREADS: usize = 4;

/// Messages of one write to a TCP connection where no rate is kept, bounded by [`WRITE_BYTES`].
const WRITE_MESSAGES: usize = VARIETY;

/// Bytes of one write to a TCP connection where no rate is kept, about.
const WRITE_BYTES: usize = 64 * 1024;

/// Beat of a paced sender. What is due is sent in one go, as a busy sender does.
const BEAT: Duration = Duration::from_millis(1);

/// As progress: send no more.
pub const STOP: u64 = u64::MAX;

/// A forwarder that takes nothing for so long takes nothing more: its queue is full.
const PATIENCE: Duration = Duration::from_secs(5);

/// A forwarder that has not taken all connections by then does not take so many.
const CONNECT_WITHIN: Duration = Duration::from_secs(30);

/// Opens so many connections; an error where that takes too long.
pub fn connect(to: SocketAddr, connections: usize) -> io::Result<Vec<TcpStream>> {
    let until = Instant::now() + CONNECT_WITHIN;
    (0..connections)
        .map(|number| {
            if Instant::now() >= until {
                return Err(io::Error::other(format!(
                    "{number} connections were taken in {CONNECT_WITHIN:?}"
                )));
            }
            let stream = TcpStream::connect_timeout(&to, PATIENCE)?;
            stream.set_nodelay(true)?;
            stream.set_write_timeout(Some(PATIENCE))?;
            Ok(stream)
        })
        .collect()
}

/// Writes to each connection the beginning of a message that never ends.
pub fn begin(streams: &[TcpStream], bytes: usize) -> io::Result<()> {
    let text = vec![b'x'; bytes];
    streams.iter().try_for_each(|mut stream| match stream.write_all(&text) {
        // That one more is too much is for the forwarder to say.
        Err(error) if matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset) => {
            Ok(())
        }
        written => written,
    })
}

/// Writes to all connections in turn for this time; returns how many messages were written. The connections are closed.
/// An error where the forwarder takes nothing more.
pub fn blast(streams: Vec<TcpStream>, messages: &Messages, time: Duration) -> io::Result<u64> {
    let threads = streams.len().min(THREADS);
    let mut shares: Vec<Vec<TcpStream>> = (0..threads).map(|_| Vec::new()).collect();
    for (index, stream) in streams.into_iter().enumerate() {
        shares[index % threads].push(stream);
    }
    let at_once = (WRITE_BYTES / messages.wire_bytes()).clamp(1, WRITE_MESSAGES);
    let until = Instant::now() + time;
    std::thread::scope(|scope| {
        let writers: Vec<_> = shares
            .into_iter()
            .map(|mut share| {
                scope.spawn(move || {
                    let mut sent = 0;
                    // The time is looked at before each write: a slow forwarder keeps each of many connections waiting.
                    for at in (0..share.len()).cycle() {
                        if Instant::now() >= until {
                            break;
                        }
                        let (bytes, count) = messages.lines(sent, at_once);
                        share[at].write_all(bytes)?;
                        sent += count;
                    }
                    Ok::<_, io::Error>(sent as u64)
                })
            })
            .collect();
        writers.into_iter().map(|writer| writer.join().expect("a writer does not panic")).sum()
    })
}

/// Calls `send` for each message that is due, with its number, at this rate for this time.
///
/// A sender that was held up sends what is due at once: the rate is kept over the whole time. `progress` is how many were
/// sent; where it is set to [`STOP`], or the forwarder takes nothing more, no more are.
fn paced(
    rate: u64,
    time: Duration,
    progress: &AtomicU64,
    mut send: impl FnMut(usize) -> io::Result<()>,
) -> io::Result<u64> {
    let begin = Instant::now();
    let due_after = |time: Duration| {
        u64::try_from(u128::from(rate) * time.as_nanos() / 1_000_000_000).expect("fewer than 2^64 messages")
    };
    let all = due_after(time);
    let mut sent = 0;
    while sent < all && progress.load(Relaxed) != STOP {
        let due = due_after(begin.elapsed()).min(all);
        while sent < due {
            match send(sent as usize) {
                Ok(()) => sent += 1,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(sent),
                Err(error) => return Err(error),
            }
        }
        // Unless it was told to stop in the meantime.
        let _ = progress.fetch_update(Relaxed, Relaxed, |now| (now != STOP).then_some(sent));
        std::thread::sleep(BEAT);
    }
    Ok(sent)
}

/// Sends over TCP at this rate, each message with its time of sending; returns how many.
pub fn trickle(
    streams: &[TcpStream],
    messages: &mut Messages,
    rate: u64,
    time: Duration,
    progress: &AtomicU64,
) -> io::Result<u64> {
    let count = streams.len();
    paced(rate, time, progress, |number| {
        messages.stamp(number);
        (&streams[number % count]).write_all(messages.lines(number, 1).0)
    })
}

/// Sends over UDP from these sockets in turn at this rate; returns how many datagrams the kernel took.
pub fn datagrams(
    sockets: &[UdpSocket],
    to: SocketAddr,
    messages: &Messages,
    rate: u64,
    time: Duration,
) -> io::Result<u64> {
    paced(rate, time, &AtomicU64::new(0), |number| {
        sockets[number % sockets.len()].send_to(messages.get(number), to).map(drop)
    })
}

/// So many UDP sockets, each with an address of its own in 127.0.0.0/8: what so many senders look like.
/// The first of them has the number `first`.
pub fn senders(first: usize, count: usize) -> io::Result<Vec<UdpSocket>> {
    (first..first + count)
        .map(|number| {
            let number = u32::try_from(number).expect("fewer senders than addresses");
            let address = Ipv4Addr::from(u32::from(Ipv4Addr::new(127, 1, 0, 0)) + number);
            UdpSocket::bind((address, 0))
        })
        .collect()
}
