//! The incubator's stream: takes windows of events from one client over Lumberjack v2.
//!
//! An event is acknowledged only after the store has it. While a window is incomplete and nothing comes, what is
//! stored is acknowledged in part, or a keep-alive says that the other side is not alone.

use super::Shared;
use super::store::Event;
use crate::tls::Fingerprint;
use crate::uplink::lumberjack::{self, Decoder, Frame, Garbage, Limits};
use std::fmt;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

/// A sign of life is given after so long in the midst of a window; senders wait for at least twice that.
const KEEPALIVE_EVERY: Duration = Duration::from_secs(10);

/// So many signs of life without a byte from the sender end the connection.
const MAX_KEEPALIVES: u32 = 12;

/// What is read at once.
const READ_BYTES: usize = 64 * 1024;

/// Why a stream ended, other than by the client's goodbye.
#[derive(Debug)]
pub(super) enum Broken {
    Io(io::Error),
    Garbage(Garbage),
    /// A frame where another one belongs.
    Order(&'static str),
    /// An event is not JSON.
    Event,
    Silent,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "{error}"),
            Self::Garbage(garbage) => write!(f, "{garbage}"),
            Self::Order(what) => f.write_str(what),
            Self::Event => f.write_str("an event is no JSON object in UTF-8"),
            Self::Silent => f.write_str("nothing came in the midst of a window"),
        }
    }
}

/// The window that is coming in.
#[derive(Default)]
struct Window {
    /// Events that are still to come.
    missing: u32,
    /// Sequence number of the last event that is stored.
    stored: u32,
    /// Sequence number of the last acknowledgement.
    acknowledged: u32,
}

/// Serves a stream until the client leaves.
pub(super) async fn serve(
    shared: &Shared,
    client: Fingerprint,
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
) -> Result<(), Broken> {
    let mut decoder = Decoder::new(Limits::RECEIVER);
    let mut input = vec![0; READ_BYTES];
    let mut window = Window::default();
    let mut keepalives = 0;
    let mut replies = Vec::new();
    loop {
        let read = if window.missing == 0 && decoder.is_empty() {
            // Between windows silence is nobody's fault; the kernel's probes find a dead path.
            stream.read(&mut input).await
        } else {
            match timeout(KEEPALIVE_EVERY, stream.read(&mut input)).await {
                Ok(read) => read,
                Err(_) if keepalives == MAX_KEEPALIVES => return Err(Broken::Silent),
                Err(_) => {
                    keepalives += 1;
                    let sequence = if window.stored > window.acknowledged { window.stored } else { 0 };
                    window.acknowledged = window.acknowledged.max(sequence);
                    reply(&mut stream, &lumberjack::ack(sequence)).await?;
                    continue;
                }
            }
        };
        let length = match read.map_err(Broken::Io)? {
            0 if window.missing == 0 && decoder.is_empty() => return Ok(()),
            0 => return Err(Broken::Order("the client left in the midst of a window")),
            length => length,
        };
        keepalives = 0;
        decoder.feed(&input[..length]);
        let mut events = Vec::new();
        let broken = take(&mut decoder, &mut window, &mut events, &mut replies);
        shared.add(client, events);
        if !replies.is_empty() {
            reply(&mut stream, &replies).await?;
            replies.clear();
        }
        broken?;
    }
}

/// Takes all complete frames; acknowledgements in `replies` are good once `events` are stored.
fn take(
    decoder: &mut Decoder,
    window: &mut Window,
    events: &mut Vec<Event>,
    replies: &mut Vec<u8>,
) -> Result<(), Broken> {
    while let Some(frame) = decoder.next().map_err(Broken::Garbage)? {
        match frame {
            Frame::Window(_) if window.missing > 0 => {
                return Err(Broken::Order("a window began in the midst of another one"));
            }
            Frame::Window(count) => *window = Window { missing: count, ..Window::default() },
            Frame::Event { .. } if window.missing == 0 => {
                return Err(Broken::Order("an event came outside of a window"));
            }
            Frame::Event { sequence, json } => {
                events.push(Event::parse(json).map_err(|_| Broken::Event)?);
                window.missing -= 1;
                window.stored = sequence;
                if window.missing == 0 {
                    replies.extend_from_slice(&lumberjack::ack(sequence));
                    window.acknowledged = sequence;
                }
            }
            Frame::Ack(_) => return Err(Broken::Order("a client does not acknowledge")),
        }
    }
    Ok(())
}

async fn reply(stream: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> Result<(), Broken> {
    let written = timeout(KEEPALIVE_EVERY, async {
        stream.write_all(bytes).await?;
        stream.flush().await
    });
    written.await.map_err(|_| Broken::Silent)?.map_err(Broken::Io)
}
