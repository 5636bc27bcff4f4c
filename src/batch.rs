//! Raw messages in bulk: what the listener hands to the spool and the spool to the uplink.
//!
//! A batch is one growing buffer with a table of ends beside it, so that a message costs a copy of its bytes, four more, and
//! no allocation of its own, and a channel hand-over is paid once for many messages. How they came in is kept once for all
//! that came together.

use crate::clock::UnixMicros;
use std::net::SocketAddr;
use std::ops::Range;

/// How a message came in; the contract's `connector.transport`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Transport {
    /// RFC 5426.
    Udp = 1,
    /// RFC 6587.
    Tcp = 2,
    /// RFC 5425.
    Tls = 3,
    /// The RELP protocol.
    Relp = 4,
    /// The connector's own reports.
    Own = 5,
}

impl Transport {
    /// The name used in the event.
    pub fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Relp => "relp",
            Self::Own => "own",
        }
    }

    /// The inverse of `self as u8`, for records on disk.
    pub fn from_u8(value: u8) -> Option<Self> {
        Some(match value {
            1 => Self::Udp,
            2 => Self::Tcp,
            3 => Self::Tls,
            4 => Self::Relp,
            5 => Self::Own,
            _ => return None,
        })
    }
}

/// How and when one message came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// When the listener read it.
    pub received: UnixMicros,
    /// The sender's address and port.
    pub source: SocketAddr,
    /// The input it came through.
    pub transport: Transport,
    /// The message was longer than the bound and was cut there.
    pub cut: bool,
}

/// Consecutive messages of one origin: those of one read from a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    /// Index of its first message.
    first: u32,
    origin: Origin,
}

/// Messages in order of reception, without their framing; below 4 GiB in all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    bytes: Vec<u8>,
    /// Where each message ends.
    ends: Vec<u32>,
    /// No two neighbours have the same origin.
    runs: Vec<Run>,
}

impl Batch {
    /// An empty batch with room for `messages` of `bytes` in all.
    pub fn with_capacity(messages: usize, bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), ends: Vec::with_capacity(messages), runs: Vec::new() }
    }

    /// Appends one message.
    #[inline]
    pub fn push(&mut self, origin: Origin, message: &[u8]) {
        if self.runs.last().is_none_or(|run| run.origin != origin) {
            self.runs.push(Run { first: self.ends.len() as u32, origin });
        }
        self.bytes.extend_from_slice(message);
        self.ends.push(u32::try_from(self.bytes.len()).expect("a batch is below 4 GiB"));
    }

    /// Appends all messages of another batch.
    pub fn append(&mut self, other: &Self) {
        let (messages, bytes) = (self.ends.len() as u32, self.bytes.len());
        let joins =
            self.runs.last().zip(other.runs.first()).is_some_and(|(last, first)| last.origin == first.origin);
        let runs = other.runs.iter().skip(usize::from(joins));
        self.runs.extend(runs.map(|run| Run { first: messages + run.first, ..*run }));
        self.bytes.extend_from_slice(&other.bytes);
        u32::try_from(self.bytes.len()).expect("a batch is below 4 GiB");
        self.ends.extend(other.ends.iter().map(|end| bytes as u32 + end));
    }

    /// How many messages.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is no message.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Bytes of all messages together.
    pub fn size_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Bytes of memory that the batch needs.
    pub fn cost_bytes(&self) -> usize {
        self.bytes.len() + self.ends.len() * size_of::<u32>() + self.runs.len() * size_of::<Run>()
    }

    /// The message at `index`, or nothing beyond the end.
    pub fn get(&self, index: usize) -> Option<(&Origin, &[u8])> {
        (index < self.len()).then(|| self.range(index..index + 1).next()).flatten()
    }

    /// Where the message before `index` ends.
    fn start(&self, index: usize) -> usize {
        index.checked_sub(1).map_or(0, |before| self.ends[before] as usize)
    }

    /// Bytes of the messages of a range, which lies within the batch.
    pub fn range_bytes(&self, range: Range<usize>) -> usize {
        self.start(range.end) - self.start(range.start)
    }

    /// All messages in order.
    pub fn iter(&self) -> impl Iterator<Item = (&Origin, &[u8])> {
        self.range(0..self.len())
    }

    /// The messages of a range, which lies within the batch, in order.
    pub fn range(&self, range: Range<usize>) -> impl Iterator<Item = (&Origin, &[u8])> {
        let mut start = self.start(range.start);
        // The run that each message is of, and where the next one begins.
        let mut run = self.runs.partition_point(|run| run.first as usize <= range.start).wrapping_sub(1);
        let mut next_run = self.next_run(run);
        let first = range.start;
        self.ends[range].iter().enumerate().map(move |(index, &end)| {
            if first + index >= next_run {
                run += 1;
                next_run = self.next_run(run);
            }
            let message = &self.bytes[start..end as usize];
            start = end as usize;
            (&self.runs[run].origin, message)
        })
    }

    /// Index of the first message behind a run.
    fn next_run(&self, run: usize) -> usize {
        self.runs.get(run.wrapping_add(1)).map_or(usize::MAX, |next| next.first as usize)
    }

    /// Messages of each origin, in order; one origin may come several times.
    pub fn runs(&self) -> impl Iterator<Item = (&Origin, usize)> {
        self.runs
            .iter()
            .enumerate()
            .map(|(index, run)| (&run.origin, self.next_run(index).min(self.len()) - run.first as usize))
    }

    /// Empties the batch, keeping its memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
        self.runs.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn origin(number: u8) -> Origin {
        let source = SocketAddr::from(([192, 0, 2, number], 514));
        Origin {
            received: UnixMicros(i64::from(number)),
            source,
            transport: Transport::Tcp,
            cut: number == 0,
        }
    }

    proptest! {
        #[test]
        fn what_was_pushed_and_appended_comes_out_in_order(
            parts in prop::collection::vec(prop::collection::vec((0..3_u8, prop::collection::vec(any::<u8>(), 0..4)), 0..6), 0..6),
            cut in (any::<prop::sample::Index>(), any::<prop::sample::Index>()),
        ) {
            let (mut appended, mut pushed) = (Batch::default(), Batch::default());
            for part in &parts {
                let mut batch = Batch::with_capacity(1, 1);
                for (number, message) in part {
                    batch.push(origin(*number), message);
                    pushed.push(origin(*number), message);
                }
                appended.append(&batch);
            }
            prop_assert_eq!(&appended, &pushed);
            let expected: Vec<_> = parts.concat().into_iter().map(|(number, message)| (origin(number), message)).collect();
            let of = |range: Range<usize>| pushed.range(range).map(|(origin, message)| (*origin, message.to_vec())).collect::<Vec<_>>();
            prop_assert_eq!(&of(0..pushed.len()), &expected);
            let (one, other) = (cut.0.index(expected.len() + 1), cut.1.index(expected.len() + 1));
            let range = one.min(other)..one.max(other);
            prop_assert_eq!(&of(range.clone()), &expected[range.clone()]);
            let bytes: usize = expected[range.clone()].iter().map(|(_, message)| message.len()).sum();
            prop_assert_eq!(pushed.range_bytes(range), bytes);
            for index in 0..=expected.len() {
                let got = pushed.get(index).map(|(origin, message)| (*origin, message.to_vec()));
                prop_assert_eq!(got.as_ref(), expected.get(index));
            }
            let runs: Vec<_> = pushed.runs().flat_map(|(origin, count)| vec![*origin; count]).collect();
            prop_assert_eq!(runs, expected.iter().map(|(origin, _)| *origin).collect::<Vec<_>>());
        }
    }
}
