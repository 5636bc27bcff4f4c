//! Raw messages in bulk: what the listener hands to the spool and the spool to the uplink.
//!
//! A batch is one growing buffer with a table of slots beside it, so that a message costs a copy of its bytes and
//! no allocation of its own, and a channel hand-over is paid once for many messages.

use crate::clock::UnixMicros;
use std::net::SocketAddr;

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

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Slot {
    end: usize,
    origin: Origin,
}

/// Messages in order of reception, without their framing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    bytes: Vec<u8>,
    slots: Vec<Slot>,
}

impl Batch {
    /// An empty batch with room for `messages` of `bytes` in all.
    pub fn with_capacity(messages: usize, bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), slots: Vec::with_capacity(messages) }
    }

    /// Appends one message.
    pub fn push(&mut self, origin: Origin, message: &[u8]) {
        self.bytes.extend_from_slice(message);
        self.slots.push(Slot { end: self.bytes.len(), origin });
    }

    /// How many messages.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there is no message.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Bytes of all messages together.
    pub fn size_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The message at `index`, or nothing beyond the end.
    pub fn get(&self, index: usize) -> Option<(Origin, &[u8])> {
        let slot = self.slots.get(index)?;
        let start = if index == 0 { 0 } else { self.slots[index - 1].end };
        Some((slot.origin, &self.bytes[start..slot.end]))
    }

    /// All messages in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (Origin, &[u8])> {
        let mut start = 0;
        self.slots.iter().map(move |slot| {
            let message = &self.bytes[start..slot.end];
            start = slot.end;
            (slot.origin, message)
        })
    }

    /// Empties the batch, keeping its memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.slots.clear();
    }
}
