//! What the kernel counts for our UDP sockets: datagrams that it dropped, and what waits to be read.
//!
//! Source: `/proc/net/udp` and `/proc/net/udp6` (proc(5)). A socket's line is the one with its inode number; the last
//! column is the kernel's `sk_drops`, the number that the socket options `SO_RXQ_OVFL` and `SO_MEMINFO` give as well.
//! No crate wraps these options safely, and reading a file when somebody asks leaves the receive path alone.
//!
//! Counted there: datagrams for which the receive buffer had no room, and those with a wrong checksum. What an
//! interface, a firewall or the way dropped before reached no socket and is counted elsewhere (`ip -s link`).

use rustix::fs::fstat;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::fd::AsFd;
use std::sync::{Mutex, PoisonError};

/// The tables of this process's network namespace. IPv6 first: a socket on `::` takes IPv4 in too and stands there.
const TABLES: [&str; 2] = ["/proc/net/udp6", "/proc/net/udp"];

/// The UDP sockets whose counters are read.
#[derive(Debug)]
pub struct KernelQueues(Mutex<Vec<Socket>>);

#[derive(Debug)]
struct Socket {
    inode: u64,
    /// The kernel's counter when it was last read; it has 32 bits and wraps around.
    seen: u32,
    dropped: u64,
    waiting_bytes: u64,
    found: bool,
}

/// All sockets together at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KernelSnapshot {
    /// Datagrams that the kernel dropped at the sockets since they were opened.
    pub dropped: u64,
    /// Memory that waiting datagrams take of the receive buffers, in bytes, with the kernel's own overhead.
    pub waiting_bytes: u64,
}

impl KernelQueues {
    /// Takes note of the sockets; they stay their owners'. One that the kernel does not know is left out.
    pub fn of<S: AsFd>(sockets: impl IntoIterator<Item = S>) -> Self {
        let inodes = sockets.into_iter().filter_map(|socket| fstat(socket).ok()).map(|stat| stat.st_ino);
        let sockets =
            inodes.map(|inode| Socket { inode, seen: 0, dropped: 0, waiting_bytes: 0, found: false });
        Self(Mutex::new(sockets.collect()))
    }

    /// Reads the counters; nothing where the kernel does not show them. A socket that was closed meanwhile counts with
    /// what was last read of it.
    pub fn read(&self) -> Option<KernelSnapshot> {
        let mut sockets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut left = sockets.len();
        for table in TABLES {
            // A kernel without IPv6 has no table of it.
            let Ok(file) = File::open(table) else { continue };
            for line in BufReader::new(file).lines().map_while(Result::ok) {
                if left == 0 {
                    break;
                }
                let Some(row) = Row::parse(&line) else { continue };
                let Some(socket) = sockets.iter_mut().find(|socket| socket.inode == row.inode) else {
                    continue;
                };
                socket.take(&row);
                left -= 1;
            }
        }
        let found = || sockets.iter().filter(|socket| socket.found);
        found().next()?;
        Some(KernelSnapshot {
            dropped: found().map(|socket| socket.dropped).sum(),
            waiting_bytes: found().map(|socket| socket.waiting_bytes).sum(),
        })
    }
}

impl Socket {
    fn take(&mut self, row: &Row) {
        self.dropped += u64::from(row.drops.wrapping_sub(self.seen));
        self.seen = row.drops;
        self.waiting_bytes = row.waiting_bytes;
        self.found = true;
    }
}

/// What is used of a line.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    inode: u64,
    waiting_bytes: u64,
    drops: u32,
}

impl Row {
    /// Reads a line; nothing of the heading, nor of a line of another form.
    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.split_ascii_whitespace();
        // sl local_address rem_address st tx_queue:rx_queue tr:tm->when retrnsmt uid timeout inode ref pointer drops
        let (_, waiting) = fields.nth(4)?.split_once(':')?;
        let inode = fields.nth(4)?.parse().ok()?;
        let drops = fields.nth(2)?.parse().ok()?;
        Some(Self { inode, waiting_bytes: u64::from_str_radix(waiting, 16).ok()?, drops })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use socket2::SockRef;
    use std::net::UdpSocket;

    #[test]
    fn a_line_is_read_and_the_heading_is_not() {
        let line = " 1234: 00000000:05EA 00000000:0000 07 00000000:00034B00 00:00000000 00000000  1001        0 4026531 2 0000000000000000 17";
        assert_eq!(Row::parse(line), Some(Row { inode: 4_026_531, waiting_bytes: 0x34B00, drops: 17 }));
        let v6 = "  77: 00000000000000000000000000000000:05EA 00000000000000000000000000000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 99 2 00000000abcdef01 4294967295";
        assert_eq!(Row::parse(v6), Some(Row { inode: 99, waiting_bytes: 0, drops: u32::MAX }));
        let heading = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops ";
        assert_eq!(Row::parse(heading), None);
        assert_eq!(Row::parse(""), None);
    }

    #[test]
    fn the_kernels_counter_may_wrap_around() {
        let mut socket = Socket { inode: 1, seen: 0, dropped: 0, waiting_bytes: 0, found: false };
        for (drops, total) in [(5, 5), (u32::MAX, u64::from(u32::MAX)), (2, u64::from(u32::MAX) + 3)] {
            socket.take(&Row { inode: 1, waiting_bytes: 0, drops });
            assert_eq!(socket.dropped, total);
        }
    }

    #[test]
    fn every_datagram_is_read_or_counted_by_the_kernel() {
        const SENT: u64 = 500;
        for (address, sender) in [("127.0.0.1:0", "127.0.0.1:0"), ("[::]:0", "127.0.0.1:0")] {
            let Ok(receiver) = UdpSocket::bind(address) else { continue };
            SockRef::from(&receiver).set_recv_buffer_size(16 * 1024).unwrap();
            let queues = KernelQueues::of([&receiver]);
            assert_eq!(queues.read(), Some(KernelSnapshot::default()));
            let port = receiver.local_addr().unwrap().port();
            let sender = UdpSocket::bind(sender).unwrap();
            for _ in 0..SENT {
                sender.send_to(&[b'x'; 1000], ("127.0.0.1", port)).unwrap();
            }
            let full = queues.read().unwrap();
            assert!(full.dropped > 0 && full.waiting_bytes > 1000, "{full:?}");
            receiver.set_nonblocking(true).unwrap();
            let mut read = 0;
            while receiver.recv(&mut [0; 2000]).is_ok() {
                read += 1;
            }
            assert_eq!(read + full.dropped, SENT);
            assert_eq!(queues.read(), Some(KernelSnapshot { waiting_bytes: 0, ..full }));
            drop(receiver);
            assert_eq!(queues.read().unwrap().dropped, full.dropped, "a closed socket keeps what it lost");
        }
    }

    #[test]
    fn what_the_kernel_does_not_show_is_not_taken_for_nothing() {
        let (file, _) = std::os::unix::net::UnixStream::pair().unwrap();
        assert_eq!(KernelQueues::of([&file]).read(), None);
    }
}
