//! Where a message begins and ends.
//!
//! # TCP (RFC 6587)
//!
//! Octet counting (`MSG-LEN SP SYSLOG-MSG`, section 3.4.1) and non-transparent framing (section 3.4.2) are told apart
//! frame by frame, for relays mix them on one connection:
//!
//! - A frame is octet counted where a number without leading zero is followed by one space, `<` and a digit, that is,
//!   by the start of a PRI; both RFC 5424 and RFC 3164 begin every message with one. A line of text such as
//!   `2026 was a good year` is therefore a line.
//! - Anything else runs to the next LF or NUL, the two trailers that section 3.4.2 names; CR before the trailer is part
//!   of it.
//! - Between frames LF, CR and NUL are skipped, so that an empty frame is no message and a sender may count octets and
//!   end its messages with LF as well.
//!
//! A number below [`MIN_COUNT_OCTETS`] cannot hold a PRI and a number above [`MAX_COUNT_OCTETS`] (or above the bound
//! on messages, if that is larger) is no length that any sender means: neither is believed, the frame is read as a line.
//!
//! A wrong count leaves the reader in the middle of a message. So, once a connection has counted octets, a line that
//! does not begin with `<` also ends where the next `MSG-LEN SP <digit` stands: a broken frame costs that frame alone.
//! Within counted octets nothing is looked for: what a message quotes never becomes a message.
//!
//! A message longer than the bound is cut there and marked; its rest is skipped and never becomes a message. What is
//! kept between two reads is at most one message of that length.
//!
//! # UDP (RFC 5426)
//!
//! One datagram is one message; LF, CR and NUL at its end belong to no message.

/// The shortest octet count that is believed: `<0>` is the shortest message that has a PRI.
pub const MIN_COUNT_OCTETS: usize = 3;

/// The largest octet count that is believed, 16 MiB: a hundred times what senders accept themselves, and small enough
/// that a wrong count silences a connection for seconds, not for days.
pub const MAX_COUNT_OCTETS: usize = 16 << 20;

/// Digits of the longest octet count that is read; more of them are no count, whatever the bound.
const MAX_COUNT_DIGITS: usize = 12;

/// Memory that a connection keeps between messages: enough for almost every message, and little for thousands of
/// connections.
const IDLE_CAPACITY_BYTES: usize = 4096;

/// One message without its framing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The message's bytes; never empty.
    pub message: &'a [u8],
    /// The message was longer than the bound and was cut there.
    pub cut: bool,
}

/// The one message of a datagram, or nothing where the datagram holds nothing but trailers.
pub fn datagram(bytes: &[u8], max_message_bytes: usize) -> Option<Frame<'_>> {
    frame(trim_end(bytes, is_trailer), max_message_bytes)
}

fn frame(message: &[u8], max: usize) -> Option<Frame<'_>> {
    let cut = message.len() > max;
    let message = if cut { &message[..max] } else { message };
    (!message.is_empty()).then_some(Frame { message, cut })
}

fn trim_end(bytes: &[u8], trailer: impl Fn(u8) -> bool) -> &[u8] {
    let len = bytes.iter().rposition(|&byte| !trailer(byte)).map_or(0, |last| last + 1);
    &bytes[..len]
}

fn is_trailer(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r' | 0)
}

fn is_carriage_return(byte: u8) -> bool {
    byte == b'\r'
}

/// How a frame begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    /// Octet counted: so many octets of message, after so many of count and space.
    Counted { octets: usize, prefix: usize },
    /// A line.
    Line,
    /// A number that nobody can mean as a count, before what looks like a message.
    Unbelievable,
    /// What is there so far can become either.
    Undecided,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Between frames.
    Between,
    /// The bytes kept so far do not yet tell which framing it is.
    Undecided,
    /// In a line.
    Line,
    /// In a line that may end at an octet count as well.
    Lost(Seeker),
    /// In an octet-counted frame, of which so many octets are still to come.
    Counted { left: usize },
}

/// Cuts one connection's bytes into messages.
#[derive(Debug)]
pub struct Framer {
    max: usize,
    max_count: usize,
    state: State,
    /// The beginning of the message that the last read left unfinished, at most `max` bytes (at least a count).
    kept: Vec<u8>,
    /// The unfinished message was delivered, cut; the rest of it is skipped.
    delivered: bool,
    /// The connection has counted octets before.
    counts: bool,
}

impl Framer {
    /// A framer for one connection. `max_message_bytes` is at least 1; a longer message is cut there.
    pub fn new(max_message_bytes: usize) -> Self {
        let max = max_message_bytes.max(1);
        Self {
            max,
            max_count: max.max(MAX_COUNT_OCTETS),
            state: State::Between,
            kept: Vec::new(),
            delivered: false,
            counts: false,
        }
    }

    /// Takes the bytes of one read and hands over every message that they complete, in order. A message that lies
    /// whole in `read` is handed over as a slice of it.
    pub fn push(&mut self, read: &[u8], mut each: impl FnMut(Frame<'_>)) {
        let mut rest = read;
        while !rest.is_empty() {
            rest = match self.state {
                State::Between => self.between(rest, &mut each),
                State::Undecided => self.undecided(rest),
                State::Line => self.line(rest, &mut each),
                State::Lost(seeker) => self.lost(seeker, rest, &mut each),
                State::Counted { left } => self.counted(left, rest, &mut each),
            };
        }
    }

    /// The stream has ended: hands over what stood unterminated at its end.
    pub fn finish(&mut self, mut each: impl FnMut(Frame<'_>)) {
        let trailer: fn(u8) -> bool = match self.state {
            State::Counted { .. } => is_trailer,
            _ => is_carriage_return,
        };
        self.deliver_kept(trailer, &mut each);
        self.counts = false;
    }

    /// Bytes kept for the message that is not complete yet.
    pub fn kept_bytes(&self) -> usize {
        self.kept.len()
    }

    fn between<'a>(&mut self, rest: &'a [u8], each: &mut impl FnMut(Frame<'_>)) -> &'a [u8] {
        let Some(start) = rest.iter().position(|&byte| !is_trailer(byte)) else { return &[] };
        let rest = &rest[start..];
        match self.classify(rest) {
            Start::Counted { octets, prefix } => {
                self.counts = true;
                let message = &rest[prefix..];
                if message.len() >= octets {
                    let trimmed = trim_end(&message[..octets], is_trailer);
                    if let Some(frame) = frame(trimmed, self.max) {
                        each(frame);
                    }
                    return &message[octets..];
                }
                self.state = State::Counted { left: octets };
                message
            }
            Start::Undecided => {
                self.kept.extend_from_slice(rest);
                self.state = State::Undecided;
                &[]
            }
            start => {
                if start == Start::Unbelievable || (self.counts && rest[0] != b'<') {
                    self.state = State::Lost(Seeker::default());
                    return rest;
                }
                let Some(end) = memchr::memchr2(b'\n', 0, rest) else {
                    self.state = State::Line;
                    return rest;
                };
                if let Some(frame) = frame(trim_end(&rest[..end], is_carriage_return), self.max) {
                    each(frame);
                }
                &rest[end + 1..]
            }
        }
    }

    /// Goes on byte by byte: the undecided part is a number of some digits at most.
    fn undecided<'a>(&mut self, rest: &'a [u8]) -> &'a [u8] {
        self.kept.push(rest[0]);
        match self.classify(&self.kept) {
            Start::Undecided => {}
            Start::Counted { octets, prefix } => {
                self.counts = true;
                self.kept.drain(..prefix);
                self.state = State::Counted { left: octets - self.kept.len() };
            }
            start => {
                // A line is judged by its own bytes again, so that it comes out the same however it was cut.
                let line = std::mem::take(&mut self.kept);
                if start == Start::Unbelievable || self.counts {
                    let mut seeker = Seeker::default();
                    for &byte in &line {
                        seeker.step(byte, self.kept.len(), self.max_count);
                        self.keep(&[byte]);
                    }
                    self.state = State::Lost(seeker);
                } else {
                    self.keep(&line);
                    self.state = State::Line;
                }
                if let Some(&last) = line.last()
                    && matches!(last, b'\n' | 0)
                {
                    // The trailer itself decided it; it has to be seen by the line.
                    self.kept.pop();
                    return rest;
                }
            }
        }
        &rest[1..]
    }

    fn line<'a>(&mut self, rest: &'a [u8], each: &mut impl FnMut(Frame<'_>)) -> &'a [u8] {
        let end = memchr::memchr2(b'\n', 0, rest);
        self.extend_kept(&rest[..end.unwrap_or(rest.len())], is_carriage_return, each);
        let Some(end) = end else { return &[] };
        self.deliver_kept(is_carriage_return, each);
        &rest[end + 1..]
    }

    fn counted<'a>(&mut self, left: usize, rest: &'a [u8], each: &mut impl FnMut(Frame<'_>)) -> &'a [u8] {
        let here = left.min(rest.len());
        self.extend_kept(&rest[..here], is_trailer, each);
        if here == left {
            self.deliver_kept(is_trailer, each);
        } else {
            self.state = State::Counted { left: left - here };
        }
        &rest[here..]
    }

    fn lost<'a>(&mut self, mut seeker: Seeker, rest: &'a [u8], each: &mut impl FnMut(Frame<'_>)) -> &'a [u8] {
        for (index, &byte) in rest.iter().enumerate() {
            if matches!(byte, b'\n' | 0) {
                self.deliver_kept(is_carriage_return, each);
                return &rest[index + 1..];
            }
            if let Some((octets, mark)) = seeker.step(byte, self.kept.len(), self.max_count) {
                self.kept.truncate(mark);
                self.deliver_kept(is_carriage_return, each);
                self.counts = true;
                self.kept.extend_from_slice(&[b'<', byte]);
                self.state = State::Counted { left: octets - 2 };
                return &rest[index + 1..];
            }
            self.extend_kept(&[byte], is_carriage_return, each);
        }
        self.state = State::Lost(seeker);
        &[]
    }

    /// Appends to the kept message; the first byte beyond the bound that is no trailer delivers it, cut.
    fn extend_kept(&mut self, more: &[u8], trailer: fn(u8) -> bool, each: &mut impl FnMut(Frame<'_>)) {
        if self.delivered {
            return;
        }
        let room = self.max.saturating_sub(self.kept.len()).min(more.len());
        self.kept.extend_from_slice(&more[..room]);
        if !more[room..].iter().all(|&byte| trailer(byte)) {
            each(Frame { message: &self.kept[..self.max], cut: true });
            // Not only cleared: what is kept is bounded by its length, and the rest of this message may never come.
            self.kept = Vec::new();
            self.delivered = true;
        }
    }

    fn keep(&mut self, more: &[u8]) {
        self.kept.extend_from_slice(more);
    }

    /// Hands over the kept message, unless it was before, and is between frames again.
    fn deliver_kept(&mut self, trailer: fn(u8) -> bool, each: &mut impl FnMut(Frame<'_>)) {
        if !self.delivered
            && let Some(frame) = frame(trim_end(&self.kept, trailer), self.max)
        {
            each(frame);
        }
        if self.kept.capacity() > IDLE_CAPACITY_BYTES {
            self.kept = Vec::new();
        }
        self.kept.clear();
        self.delivered = false;
        self.state = State::Between;
    }

    fn classify(&self, bytes: &[u8]) -> Start {
        if !matches!(bytes.first(), Some(b'1'..=b'9')) {
            return Start::Line;
        }
        let digits = bytes.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(bytes.len());
        if digits > MAX_COUNT_DIGITS {
            return Start::Unbelievable;
        }
        for (offset, expected) in [(0, b' '), (1, b'<')] {
            match bytes.get(digits + offset) {
                None => return Start::Undecided,
                Some(&byte) if byte == expected => {}
                Some(_) => return Start::Line,
            }
        }
        match bytes.get(digits + 2) {
            None => Start::Undecided,
            Some(byte) if byte.is_ascii_digit() => {
                let octets = bytes[..digits].iter().fold(0, |sum, byte| sum * 10 + usize::from(byte - b'0'));
                if (MIN_COUNT_OCTETS..=self.max_count).contains(&octets) {
                    Start::Counted { octets, prefix: digits + 1 }
                } else {
                    Start::Unbelievable
                }
            }
            Some(_) => Start::Line,
        }
    }
}

/// Looks for `MSG-LEN SP <digit` in the middle of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Seeker {
    stage: Stage,
    octets: usize,
    /// How many bytes were kept before the number.
    mark: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Stage {
    #[default]
    Text,
    Number,
    Space,
    Bracket,
}

impl Seeker {
    /// Takes the next byte, before which `kept` bytes were kept; says the count and where its number began when this
    /// byte is the first digit of the counted message's PRI.
    fn step(&mut self, byte: u8, kept: usize, max_count: usize) -> Option<(usize, usize)> {
        self.stage = match (self.stage, byte) {
            (Stage::Number, b'0'..=b'9') => {
                self.octets = self.octets.saturating_mul(10).saturating_add(usize::from(byte - b'0'));
                Stage::Number
            }
            (Stage::Number, b' ') => Stage::Space,
            (Stage::Space, b'<') => Stage::Bracket,
            (Stage::Bracket, b'0'..=b'9') if (MIN_COUNT_OCTETS..=max_count).contains(&self.octets) => {
                self.stage = Stage::Text;
                return Some((self.octets, self.mark));
            }
            (_, b'1'..=b'9') => {
                self.octets = usize::from(byte - b'0');
                self.mark = kept;
                Stage::Number
            }
            _ => Stage::Text,
        };
        None
    }
}

#[cfg(test)]
mod tests;
