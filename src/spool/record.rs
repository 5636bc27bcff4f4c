//! One event on disk.
//!
//! Little-endian, 52 bytes of head and then the message as it was received:
//!
//! | at | bytes | content |
//! |---|---|---|
//! | 0 | 4 | `D5 45 56 1A`; where reading starts anew behind damage |
//! | 4 | 4 | CRC-32C of everything from byte 8 on, started from the spool's seed |
//! | 8 | 4 | length of the message |
//! | 12 | 8 | sequence number |
//! | 20 | 8 | time of reception, microseconds since 1970 |
//! | 28 | 1 | transport, [`Transport`] as a number |
//! | 29 | 1 | flags: bit 0 message was cut, bit 1 address is IPv6 |
//! | 30 | 2 | the sender's port |
//! | 32 | 16 | the sender's address; IPv4 in the first four bytes |
//! | 48 | 4 | IPv6 scope (interface of a link-local address), else 0 |
//! | 52 | | the message |
//!
//! The seed is drawn at random for each spool and never leaves the disk. A sender can put the bytes of a record into
//! a message, but not its checksum: behind damage no message can pass itself off as a record with a sender of its own.

use crate::batch::{Batch, Origin, Transport};
use crate::clock::UnixMicros;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::ops::Range;

/// First bytes of every record. No UTF-8 text contains them: `D5` would need a continuation byte behind it.
pub const MAGIC: [u8; 4] = [0xD5, b'E', b'V', 0x1A];

/// Bytes in front of the message.
pub const HEAD_BYTES: usize = 52;

/// Longest message. Far above what a listener lets in; a length beyond it is damage, and is not read for.
pub const MAX_MESSAGE_BYTES: usize = 16 << 20;

const CUT: u8 = 1;
const IPV6: u8 = 2;

/// Bytes that a batch takes on disk.
pub fn encoded_bytes(batch: &Batch) -> u64 {
    (batch.size_bytes() + batch.len() * HEAD_BYTES) as u64
}

/// Whether every message of a batch is within [`MAX_MESSAGE_BYTES`].
pub fn is_storable(batch: &Batch) -> bool {
    batch.size_bytes() <= MAX_MESSAGE_BYTES
        || batch.iter().all(|(_, message)| message.len() <= MAX_MESSAGE_BYTES)
}

/// Appends one record to `buffer`.
pub fn encode(buffer: &mut Vec<u8>, seed: u32, seq: u64, origin: &Origin, message: &[u8]) {
    let mut head = [0; HEAD_BYTES];
    let length = u32::try_from(message.len()).expect("a message is within MAX_MESSAGE_BYTES");
    let mut flags = u8::from(origin.cut) * CUT;
    match origin.source {
        SocketAddr::V4(source) => head[32..36].copy_from_slice(&source.ip().octets()),
        SocketAddr::V6(source) => {
            flags |= IPV6;
            head[32..48].copy_from_slice(&source.ip().octets());
            head[48..52].copy_from_slice(&source.scope_id().to_le_bytes());
        }
    }
    head[0..4].copy_from_slice(&MAGIC);
    head[8..12].copy_from_slice(&length.to_le_bytes());
    head[12..20].copy_from_slice(&seq.to_le_bytes());
    head[20..28].copy_from_slice(&origin.received.0.to_le_bytes());
    head[28] = origin.transport as u8;
    head[29] = flags;
    head[30..32].copy_from_slice(&origin.source.port().to_le_bytes());
    let start = buffer.len();
    buffer.extend_from_slice(&head);
    buffer.extend_from_slice(message);
    let record = &mut buffer[start..];
    let crc = crc32c::crc32c_append(seed, &record[8..]);
    record[4..8].copy_from_slice(&crc.to_le_bytes());
}

/// A record that was read and whose checksum is right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Sequence number.
    pub seq: u64,
    /// Where the event came from.
    pub origin: Origin,
    /// Where the message stands, counted from the record's first byte.
    pub message: Range<usize>,
}

impl Record {
    /// Bytes on disk.
    pub fn size_bytes(&self) -> usize {
        self.message.end
    }
}

/// What the bytes at one place are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decoded {
    /// A whole, right record.
    Record(Record),
    /// The beginning of one that needs so many bytes in all.
    Incomplete(usize),
    /// None.
    Bad,
}

/// Reads the record at the beginning of `bytes`.
pub fn decode(bytes: &[u8], seed: u32) -> Decoded {
    let Some(head) = bytes.first_chunk::<HEAD_BYTES>() else {
        let known = bytes.len().min(MAGIC.len());
        return if bytes[..known] == MAGIC[..known] { Decoded::Incomplete(HEAD_BYTES) } else { Decoded::Bad };
    };
    if head[0..4] != MAGIC {
        return Decoded::Bad;
    }
    let length = u32_at(head, 8) as usize;
    if length > MAX_MESSAGE_BYTES {
        return Decoded::Bad;
    }
    let total = HEAD_BYTES + length;
    if bytes.len() < total {
        return Decoded::Incomplete(total);
    }
    if crc32c::crc32c_append(seed, &bytes[8..total]) != u32_at(head, 4) {
        return Decoded::Bad;
    }
    let Some(transport) = Transport::from_u8(head[28]) else { return Decoded::Bad };
    let flags = head[29];
    let port = u16::from_le_bytes([head[30], head[31]]);
    let address: [u8; 16] = head[32..48].try_into().expect("sixteen bytes");
    let source = if flags & IPV6 == 0 {
        let octets: [u8; 4] = head[32..36].try_into().expect("four bytes");
        SocketAddr::new(IpAddr::V4(Ipv4Addr::from(octets)), port)
    } else {
        SocketAddr::V6(SocketAddrV6::new(Ipv6Addr::from(address), port, 0, u32_at(head, 48)))
    };
    Decoded::Record(Record {
        seq: u64_at(head, 12),
        origin: Origin {
            received: UnixMicros(u64_at(head, 20).cast_signed()),
            source,
            transport,
            cut: flags & CUT != 0,
        },
        message: HEAD_BYTES..total,
    })
}

/// The number of four bytes at `at`.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

/// The number of eight bytes at `at`.
pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}
