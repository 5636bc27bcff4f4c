//! Fills windows from the queue: reads, normalises and encodes, off the async threads, since all three take a
//! thread's time.

use super::flight::Window;
use super::lumberjack::Encoder;
use crate::batch::Origin;
use crate::error::Result;
use crate::settings::{StreamFormat, Uplink as Settings};
use crate::spool::Queue;
use crate::syslog::normaliser::Normaliser;
use std::sync::Arc;

/// Bytes of raw messages read from the queue for one window at most (and at least one event).
const MAX_RAW_BYTES: usize = 1 << 20;

/// A window is closed when it has so many bytes before compression. Receivers bound what a compressed frame may unfold
/// to, and what is lost with a connection is sent again whole; an event of the longest message is far below it.
const MAX_WINDOW_BYTES: usize = 4 << 20;

/// Writes an event as JSON: what the uplink needs of the normaliser.
pub trait EventWriter: Send + 'static {
    /// Appends the event's JSON, one line without a line's end; returns the rule that read the message.
    fn write_event(&mut self, out: &mut Vec<u8>, seq: u64, origin: &Origin, raw: &[u8]) -> &'static str;

    /// Whether the timestamp of the event written last was far from its reception.
    fn clock_was_far_off(&self) -> bool {
        false
    }
}

impl EventWriter for Normaliser {
    fn write_event(&mut self, out: &mut Vec<u8>, seq: u64, origin: &Origin, raw: &[u8]) -> &'static str {
        Self::write_event(self, out, seq, origin, raw)
    }

    fn clock_was_far_off(&self) -> bool {
        Self::clock_was_far_off(self)
    }
}

/// A window ready to be sent.
pub(super) struct Prepared {
    pub window: Window,
    pub bytes: Vec<u8>,
    /// How many events each rule read, of those that were not prepared before.
    pub rules: Vec<(&'static str, u64)>,
    /// Of these, those whose timestamp is far from their reception.
    pub clocks_far_off: u64,
}

/// Fills one window after the other.
pub(super) struct Feeder<W> {
    queue: Arc<dyn Queue>,
    writer: W,
    format: Format,
    window_events: usize,
    /// Events up to this one are in the figures by rule.
    tallied: u64,
}

enum Format {
    Lumberjack(Encoder),
    Ndjson,
}

impl<W: EventWriter> Feeder<W> {
    pub fn new(queue: Arc<dyn Queue>, writer: W, settings: &Settings) -> Self {
        let format = match settings.format {
            StreamFormat::Lumberjack => Format::Lumberjack(Encoder::new(settings.compression)),
            StreamFormat::Ndjson => Format::Ndjson,
        };
        Self { queue, writer, format, window_events: settings.window_events.max(1), tallied: 0 }
    }

    /// A window of the events behind `seq`, at most `limit` of them where there is one, in `buffer`'s memory; nothing
    /// where there are none yet. Blocks.
    pub fn prepare(&mut self, seq: u64, limit: Option<u32>, buffer: Vec<u8>) -> Result<Option<Prepared>> {
        let window_events = limit.map_or(self.window_events, |limit| self.window_events.min(limit as usize));
        let mut filling = Filling::begin(&mut self.format, buffer);
        let mut window = Window::default();
        let mut rules: Vec<(&'static str, u64)> = Vec::new();
        let mut clocks_far_off = 0;
        let mut last = seq;
        let mut raw_bytes = 0;
        'window: loop {
            let room = window_events - window.len() as usize;
            if room == 0 || raw_bytes >= MAX_RAW_BYTES {
                break;
            }
            let Some(chunk) = self.queue.read_after(last, room, MAX_RAW_BYTES - raw_bytes)? else { break };
            for (seq, origin, raw) in chunk.iter() {
                let rule = filling.event(|out| self.writer.write_event(out, seq, origin, raw));
                if seq > self.tallied {
                    self.tallied = seq;
                    tally(&mut rules, rule);
                    clocks_far_off += u64::from(self.writer.clock_was_far_off());
                }
                window.push(seq, 1);
                last = seq;
                raw_bytes += raw.len();
                if filling.size_bytes() >= MAX_WINDOW_BYTES {
                    break 'window;
                }
            }
        }
        if window.is_empty() {
            return Ok(None);
        }
        Ok(Some(Prepared { window, bytes: filling.finish(), rules, clocks_far_off }))
    }
}

/// There are a dozen rules: a list is faster than a map.
fn tally(rules: &mut Vec<(&'static str, u64)>, rule: &'static str) {
    match rules.iter_mut().find(|(known, _)| *known == rule) {
        Some((_, count)) => *count += 1,
        None => rules.push((rule, 1)),
    }
}

enum Filling<'a> {
    Lumberjack(&'a mut Encoder),
    Ndjson(Vec<u8>),
}

impl<'a> Filling<'a> {
    fn begin(format: &'a mut Format, mut buffer: Vec<u8>) -> Self {
        match format {
            Format::Lumberjack(encoder) => {
                encoder.begin(buffer);
                Self::Lumberjack(encoder)
            }
            Format::Ndjson => {
                buffer.clear();
                Self::Ndjson(buffer)
            }
        }
    }

    fn event(&mut self, write: impl FnOnce(&mut Vec<u8>) -> &'static str) -> &'static str {
        match self {
            Self::Lumberjack(encoder) => {
                let mut rule = "";
                encoder.event(|out| rule = write(out));
                rule
            }
            Self::Ndjson(lines) => {
                let rule = write(lines);
                lines.push(b'\n');
                rule
            }
        }
    }

    fn size_bytes(&self) -> usize {
        match self {
            Self::Lumberjack(encoder) => encoder.size_bytes(),
            Self::Ndjson(lines) => lines.len(),
        }
    }

    fn finish(self) -> Vec<u8> {
        match self {
            Self::Lumberjack(encoder) => encoder.finish(),
            Self::Ndjson(lines) => lines,
        }
    }
}
