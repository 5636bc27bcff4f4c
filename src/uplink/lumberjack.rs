//! Lumberjack v2, the protocol of Elastic's Beats, both sides: bytes in, frames out, and back. Knows no sockets.
//!
//! The format is that of `PROTOCOL.md` in logstash-plugins/logstash-input-beats. Every frame begins with the version
//! `2` and a type; numbers are big-endian and have 32 bits:
//!
//! ```text
//! 2 W count                      window: so many events follow, and one acknowledgement for them at the latest
//! 2 J sequence length payload    event: JSON
//! 2 C length payload             zlib stream (RFC 1950) that holds frames
//! 2 A sequence                   acknowledgement, from the receiver: cumulative within the oldest window that is not
//!                                wholly acknowledged; below its count it is partial, and `A 0` only says "I am alive"
//! ```
//!
//! The specification leaves the sequence numbers to the sender. What receivers do with them settles it: go-lumber
//! acknowledges by counting the events of a window, Logstash and Vector by echoing the number of its last event. Only
//! numbers that start at 1 in each window satisfy all of them, and so this encoder writes them.
//!
//! What the decoder holds is bounded by [`Limits`], whatever the other side sends: frames, windows, and what a
//! compressed frame unfolds to. Compressed frames within compressed frames are refused, which no sender makes.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use std::fmt;

/// The version byte of every frame.
const VERSION: u8 = b'2';

/// Length of a frame's version, type and first number.
const SHORT_HEADER: usize = 6;

/// Length of an event frame's header.
const EVENT_HEADER: usize = 10;

/// What a decoder accepts at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Events in a window.
    pub window_events: u32,
    /// Bytes of one event.
    pub event_bytes: usize,
    /// Bytes of a compressed frame.
    pub compressed_bytes: usize,
    /// Bytes that a compressed frame may unfold to.
    pub decompressed_bytes: usize,
}

impl Limits {
    /// For a receiver of events. The longest message that a connector can be set to take (1 MiB) becomes an event of at
    /// most 14 MiB, where each of its bytes is escaped in JSON and all are there in base64 again: a receiver that
    /// refused it would be sent it for ever. Beats send 2048 events in a window and some megabytes.
    pub const RECEIVER: Self = Self {
        window_events: 65_536,
        event_bytes: 16 << 20,
        compressed_bytes: 16 << 20,
        decompressed_bytes: 64 << 20,
    };

    /// For a sender, which is only ever sent acknowledgements: every frame with a payload is refused.
    pub const SENDER: Self =
        Self { window_events: 0, event_bytes: 0, compressed_bytes: 0, decompressed_bytes: 0 };
}

/// A decoded frame. Compressed frames are not seen: what they hold is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame<'a> {
    /// So many events follow.
    Window(u32),
    /// One event.
    Event {
        /// Its number within the window.
        sequence: u32,
        /// Its JSON, unchecked.
        json: &'a [u8],
    },
    /// All events of the window up to this one are taken over.
    Ack(u32),
}

/// Why bytes are no Lumberjack v2, or more of it than is accepted. The connection cannot be used any further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Garbage {
    /// A frame begins with another version byte.
    Version(u8),
    /// A frame of an unknown type, or of one that has no place there.
    Type(u8),
    /// A window of more events than the bound.
    WindowTooLarge(u32),
    /// An event or compressed frame longer than the bound, in bytes.
    FrameTooLong(u32),
    /// A compressed frame that unfolds to more bytes than the bound.
    UnfoldsTooFar,
    /// A compressed frame that is no zlib stream, or ends in the midst of a frame.
    Compressed,
}

impl fmt::Display for Garbage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version(byte) => write!(f, "a frame begins with byte {byte:#04x} in place of `2`"),
            Self::Type(byte) => write!(f, "a frame of type {byte:#04x} has no place here"),
            Self::WindowTooLarge(count) => write!(f, "a window of {count} events is too large"),
            Self::FrameTooLong(length) => write!(f, "a frame of {length} bytes is too long"),
            Self::UnfoldsTooFar => write!(f, "a compressed frame unfolds to too many bytes"),
            Self::Compressed => write!(f, "a compressed frame is damaged"),
        }
    }
}

impl std::error::Error for Garbage {}

/// An acknowledgement, as sent by a receiver.
pub fn ack(sequence: u32) -> [u8; SHORT_HEADER] {
    let mut frame = [VERSION, b'A', 0, 0, 0, 0];
    frame[2..].copy_from_slice(&sequence.to_be_bytes());
    frame
}

/// Writes one window after the other, each straight into a buffer of its own that is ready for the wire.
pub struct Encoder {
    compress: Option<Compress>,
    /// Event frames that wait for compression; kept for its memory.
    plain: Vec<u8>,
    window: Vec<u8>,
    count: u32,
}

impl Encoder {
    /// An encoder with this zlib level, 1 to 9; with 0 it writes plain frames.
    pub fn new(level: u8) -> Self {
        let compress = (level > 0).then(|| Compress::new(Compression::new(u32::from(level.min(9))), true));
        Self { compress, plain: Vec::new(), window: Vec::new(), count: 0 }
    }

    /// Begins a window in `buffer`, which is emptied and whose memory is used.
    pub fn begin(&mut self, mut buffer: Vec<u8>) {
        buffer.clear();
        buffer.extend_from_slice(&[VERSION, b'W', 0, 0, 0, 0]);
        self.window = buffer;
        self.plain.clear();
        self.count = 0;
    }

    /// Appends an event, whose JSON `write` appends to the buffer that it is given.
    pub fn event(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        self.count += 1;
        let out = if self.compress.is_some() { &mut self.plain } else { &mut self.window };
        let start = out.len();
        out.extend_from_slice(&[VERSION, b'J']);
        out.extend_from_slice(&self.count.to_be_bytes());
        out.extend_from_slice(&[0; 4]);
        write(out);
        let length = u32::try_from(out.len() - start - EVENT_HEADER).expect("an event is shorter than 4 GiB");
        out[start + SHORT_HEADER..start + EVENT_HEADER].copy_from_slice(&length.to_be_bytes());
    }

    /// How many events the window has so far.
    pub fn len(&self) -> u32 {
        self.count
    }

    /// Whether the window has no event yet.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes of the window so far, before compression.
    pub fn size_bytes(&self) -> usize {
        self.window.len() + self.plain.len()
    }

    /// The finished window.
    pub fn finish(&mut self) -> Vec<u8> {
        let mut window = std::mem::take(&mut self.window);
        window[2..SHORT_HEADER].copy_from_slice(&self.count.to_be_bytes());
        if let Some(compress) = &mut self.compress
            && !self.plain.is_empty()
        {
            let start = window.len();
            window.extend_from_slice(&[VERSION, b'C', 0, 0, 0, 0]);
            deflate(compress, &self.plain, &mut window);
            let length = u32::try_from(window.len() - start - SHORT_HEADER).expect("a window is below 4 GiB");
            window[start + 2..start + SHORT_HEADER].copy_from_slice(&length.to_be_bytes());
        }
        window
    }
}

fn deflate(compress: &mut Compress, plain: &[u8], out: &mut Vec<u8>) {
    compress.reset();
    loop {
        let taken = usize::try_from(compress.total_in()).expect("a window fits into memory");
        // Half is what JSON of log lines at least shrinks to; where not, the loop comes round again.
        out.reserve(((plain.len() - taken) / 2).max(1024));
        let status = compress
            .compress_vec(&plain[taken..], out, FlushCompress::Finish)
            .expect("a deflate stream that was just reset takes any input");
        if status == Status::StreamEnd {
            return;
        }
    }
}

/// How many events a receiver can have of a window that the [`Encoder`] wrote, once it has these first bytes of it.
pub fn events_within(window: &[u8]) -> u32 {
    let bounds = Limits {
        window_events: u32::MAX,
        event_bytes: usize::MAX,
        compressed_bytes: usize::MAX,
        decompressed_bytes: 0,
    };
    let (mut rest, mut announced, mut events) = (window, 0, 0);
    while let Ok(Some((parsed, length))) = parse(rest, &bounds) {
        match parsed {
            Parsed::Frame(Shape::Window(count)) => announced = count,
            Parsed::Frame(Shape::Event(number)) => events = number,
            Parsed::Frame(Shape::Ack(_)) => {}
            // It holds them all, and none can be read before it is complete.
            Parsed::Compressed => events = announced,
        }
        rest = &rest[length..];
    }
    events
}

/// Reads frames from bytes as they come, in whatever pieces.
///
/// Feed it what was read and then call [`Decoder::next`] until it has no more; so it never holds more than one frame,
/// one piece and one unfolded frame.
pub struct Decoder {
    limits: Limits,
    buffer: Vec<u8>,
    start: usize,
    unfolded: Vec<u8>,
    unfolded_start: usize,
}

impl Decoder {
    /// A decoder with these bounds.
    pub fn new(limits: Limits) -> Self {
        Self { limits, buffer: Vec::new(), start: 0, unfolded: Vec::new(), unfolded_start: 0 }
    }

    /// Takes in what was read.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.start);
        self.start = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// Whether nothing is left over: the other side may close here.
    pub fn is_empty(&self) -> bool {
        self.start == self.buffer.len() && self.unfolded_start == self.unfolded.len()
    }

    /// The next frame, or nothing until more bytes are fed.
    #[allow(clippy::should_implement_trait)] // a frame borrows from the decoder, which an iterator's item cannot
    pub fn next(&mut self) -> Result<Option<Frame<'_>>, Garbage> {
        loop {
            if self.unfolded_start < self.unfolded.len() {
                let bytes = &self.unfolded[self.unfolded_start..];
                return match parse(bytes, &self.limits)? {
                    Some((Parsed::Frame(shape), length)) => {
                        let start = self.unfolded_start;
                        self.unfolded_start += length;
                        Ok(Some(shape.frame(&self.unfolded[start..start + length])))
                    }
                    Some((Parsed::Compressed, _)) => Err(Garbage::Type(b'C')),
                    None => Err(Garbage::Compressed),
                };
            }
            let bytes = &self.buffer[self.start..];
            match parse(bytes, &self.limits)? {
                None => return Ok(None),
                Some((Parsed::Frame(shape), length)) => {
                    let start = self.start;
                    self.start += length;
                    return Ok(Some(shape.frame(&self.buffer[start..start + length])));
                }
                Some((Parsed::Compressed, length)) => {
                    self.unfolded_start = 0;
                    inflate(
                        &bytes[SHORT_HEADER..length],
                        &mut self.unfolded,
                        self.limits.decompressed_bytes,
                    )?;
                    self.start += length;
                }
            }
        }
    }
}

/// A frame without its payload.
enum Shape {
    Window(u32),
    Event(u32),
    Ack(u32),
}

impl Shape {
    fn frame(self, bytes: &[u8]) -> Frame<'_> {
        match self {
            Self::Window(count) => Frame::Window(count),
            Self::Event(sequence) => Frame::Event { sequence, json: &bytes[EVENT_HEADER..] },
            Self::Ack(sequence) => Frame::Ack(sequence),
        }
    }
}

enum Parsed {
    Frame(Shape),
    Compressed,
}

/// The first frame of `bytes` and its length, or nothing where it is not complete. Bounds are checked as soon as a
/// length is known, so that nobody waits for bytes that are not wanted.
fn parse(bytes: &[u8], limits: &Limits) -> Result<Option<(Parsed, usize)>, Garbage> {
    match bytes.first() {
        None => return Ok(None),
        Some(&VERSION) => {}
        Some(&other) => return Err(Garbage::Version(other)),
    }
    let Some(&kind) = bytes.get(1) else { return Ok(None) };
    if !matches!(kind, b'W' | b'J' | b'C' | b'A') {
        return Err(Garbage::Type(kind));
    }
    let Some(first) = number(bytes, 2) else { return Ok(None) };
    let (parsed, length) = match kind {
        b'W' if first > limits.window_events => return Err(Garbage::WindowTooLarge(first)),
        b'W' => (Parsed::Frame(Shape::Window(first)), SHORT_HEADER),
        b'A' => (Parsed::Frame(Shape::Ack(first)), SHORT_HEADER),
        b'C' => (Parsed::Compressed, SHORT_HEADER + bounded(first, limits.compressed_bytes)?),
        _ => {
            let Some(length) = number(bytes, SHORT_HEADER) else { return Ok(None) };
            (Parsed::Frame(Shape::Event(first)), EVENT_HEADER + bounded(length, limits.event_bytes)?)
        }
    };
    Ok((bytes.len() >= length).then_some((parsed, length)))
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().expect("a slice of four bytes")))
}

fn bounded(length: u32, bound: usize) -> Result<usize, Garbage> {
    usize::try_from(length).ok().filter(|&length| length <= bound).ok_or(Garbage::FrameTooLong(length))
}

/// Unfolds a whole zlib stream into `out`, at most `bound` bytes.
fn inflate(compressed: &[u8], out: &mut Vec<u8>, bound: usize) -> Result<(), Garbage> {
    /// Memory is taken in steps that double, so that a frame that unfolds far is not copied over and over, and one
    /// that only claims to costs little.
    const FIRST_STEP: usize = 256 * 1024;
    out.clear();
    let mut decompress = Decompress::new(true);
    loop {
        let taken = usize::try_from(decompress.total_in()).expect("a frame fits into memory");
        if out.len() == out.capacity() {
            // One byte beyond the bound shows that there is more.
            out.reserve_exact((bound + 1 - out.len()).min(out.len().max(FIRST_STEP)));
        }
        let before = (taken, out.len());
        let status = decompress
            .decompress_vec(&compressed[taken..], out, FlushDecompress::None)
            .map_err(|_| Garbage::Compressed)?;
        if out.len() > bound {
            return Err(Garbage::UnfoldsTooFar);
        }
        let taken = usize::try_from(decompress.total_in()).expect("a frame fits into memory");
        match status {
            Status::StreamEnd if taken == compressed.len() => return Ok(()),
            // Bytes behind the stream's end: nobody knows what they would mean.
            Status::StreamEnd => return Err(Garbage::Compressed),
            _ if (taken, out.len()) == before => return Err(Garbage::Compressed),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
