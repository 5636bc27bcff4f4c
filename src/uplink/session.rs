//! One connection: sends windows, reads acknowledgements, until it is lost or there is nothing more to do.
//!
//! Everything happens in one task, in one `select!`: a window is written while the next one is made ready, while
//! acknowledgements come in, and while the queue records earlier ones. Each of these is cancelled without loss.

use super::feeder::{EventWriter, Feeder, Prepared};
use super::flight::{Flight, Unacknowledged};
use super::lumberjack::{self, Decoder, Frame, Limits};
use super::suspicion::Plan;
use super::{Link, Stop, joined, over};
use crate::blocking;
use crate::error::{Code, Error, Result};
use crate::settings::{Endpoint, StreamFormat};
use crate::tls::Fault;
use std::future::pending;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};

/// Bound on saying goodbye; a receiver that does not listen any more is left without.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Wait before a queue that could not be read is asked again.
const QUEUE_RETRY: Duration = Duration::from_secs(5);

/// A receiver that is alive, takes nothing more in and acknowledges nothing is left after so many times `ack_timeout`:
/// another one may be better off, and where there is none, nothing is lost by asking anew.
const STUCK_TIMES: u32 = 5;

/// Acknowledgements are six bytes long; hundreds of them fit.
const READ_BYTES: usize = 4096;

/// How a connection ended.
pub(super) enum Ended {
    /// On purpose, and for good.
    Done,
    /// On purpose, for a better receiver; nothing was on its way.
    Left,
    /// The witness was acknowledged.
    Witnessed,
    /// By a failure.
    Lost(Lost),
}

/// Why a connection was lost.
pub(super) struct Lost {
    pub error: Error,
    /// The receiver refused us for who we are.
    pub refused: bool,
    /// It acknowledged something before.
    pub worked: bool,
    /// It closed the connection while nothing was on its way: many receivers do so after a time of silence.
    pub idle: bool,
    /// What was on its way, oldest window, where the receiver ended the connection for what it got or fell silent.
    pub blamed: Option<Unacknowledged>,
}

type Preparing<W> = JoinHandle<(Feeder<W>, Result<Option<Prepared>>)>;

/// A window on its way into the connection.
struct Outgoing {
    bytes: Vec<u8>,
    written: usize,
}

impl Outgoing {
    /// How many of its events the receiver can have.
    fn events_written(&self) -> u32 {
        lumberjack::events_within(&self.bytes[..self.written])
    }
}

/// Sends and reads until the connection ends. Once `leave` is true no window is begun any more, and the connection ends
/// when those on their way are acknowledged.
pub(super) async fn run<W, S>(
    link: &mut Link<W>,
    endpoint: &Endpoint,
    stream: S,
    leave: watch::Receiver<bool>,
) -> Ended
where
    W: EventWriter,
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut reader, mut writer) = tokio::io::split(stream);
    let mut background = Background { preparing: None, recording: None };
    let mut worked = false;
    let mut flight = Flight::default();
    let ended =
        exchange(link, &mut background, &mut worked, &mut flight, leave, &mut reader, &mut writer).await;
    background.settle(link).await;
    let ended = match ended {
        Ok(ended) => ended,
        Err(failure) => {
            let idle = matches!(failure, Failure::Closed { idle: true });
            let blamed = flight.oldest().filter(|_| failure.is_by_the_receiver());
            let (refused, error) = failure.tell(endpoint);
            link.cautious = matches!(error.code(), Code::ReceiverSilent);
            return Ended::Lost(Lost { error, refused, worked, idle, blamed });
        }
    };
    // The receiver learns that nothing was cut off. Everything is acknowledged or will be sent again.
    let _ = timeout(CLOSE_TIMEOUT, writer.shutdown()).await;
    ended
}

/// What ends a connection.
enum Failure {
    /// TLS or the system says why.
    Broken(Fault),
    /// The receiver closed or reset it; `idle` where nothing was on its way.
    Closed { idle: bool },
    /// What came is not the protocol.
    Garbage(String),
    /// Nothing came although something was on its way.
    Silent(Duration),
    /// Signs of life came, and no acknowledgement.
    Stuck(Duration),
}

impl Failure {
    fn io(error: &io::Error, flight: &Flight) -> Self {
        match Fault::from_io(error) {
            Fault::Closed(_) => Self::Closed { idle: flight.is_empty() },
            fault => Self::Broken(fault),
        }
    }

    /// Whether the receiver may have done it for what it got, and not the network, or a receiver that is only slow.
    fn is_by_the_receiver(&self) -> bool {
        match self {
            Self::Closed { .. } | Self::Garbage(_) | Self::Silent(_) => true,
            Self::Broken(_) | Self::Stuck(_) => false,
        }
    }

    fn tell(self, endpoint: &Endpoint) -> (bool, Error) {
        match self {
            Self::Broken(fault) => (fault.is_refusal(), fault.into_error(endpoint, Code::ReceiverLost)),
            Self::Closed { .. } => {
                (false, Error::new(Code::ReceiverLost, format!("{endpoint} closed the connection")))
            }
            Self::Garbage(what) => (false, Error::new(Code::ReceiverGarbage, format!("{endpoint}: {what}"))),
            Self::Silent(wait) => {
                let what = format!("{endpoint} gave no sign of life for {} s", wait.as_secs());
                (false, Error::new(Code::ReceiverSilent, what))
            }
            Self::Stuck(wait) => {
                let what = format!("{endpoint} is alive, but acknowledged nothing for {} s", wait.as_secs());
                (false, Error::new(Code::ReceiverSilent, what))
            }
        }
    }
}

/// Work on blocking threads that belongs to a connection, and outlives it by as long as a disk takes.
struct Background<W> {
    preparing: Option<Preparing<W>>,
    recording: Option<JoinHandle<(u64, Result<()>)>>,
}

impl<W: EventWriter> Background<W> {
    fn prepare(&mut self, link: &mut Link<W>, after: u64, buffer: Vec<u8>) {
        let mut feeder = link.feeder.take().expect("there is one feeder, and it is at rest");
        let limit = link.suspicion.limit();
        self.preparing = Some(blocking::spawn(move || {
            let prepared = feeder.prepare(after, limit, buffer);
            (feeder, prepared)
        }));
    }

    /// Tells the queue what is acknowledged, unless that is under way or done.
    fn record(&mut self, link: &Link<W>) {
        if self.recording.is_none() && link.acknowledged > link.recorded {
            let (queue, seq) = (Arc::clone(&link.queue), link.acknowledged);
            self.recording = Some(blocking::spawn(move || (seq, queue.acknowledge(seq))));
        }
    }

    fn recorded(link: &mut Link<W>, seq: u64, result: Result<()>) {
        match result {
            Ok(()) => link.recorded = link.recorded.max(seq),
            // The next acknowledgement says this one too; until then a restart sends these events again.
            Err(error) => {
                link.status.error(&error);
                link.complain(&error);
            }
        }
    }

    /// Brings everything to an end, so that no acknowledgement that came in is forgotten.
    async fn settle(mut self, link: &mut Link<W>) {
        if let Some(mut preparing) = self.preparing.take() {
            let (feeder, _) = joined(&mut preparing).await;
            link.feeder = Some(feeder);
        }
        // One that was under way, and one for what came in meanwhile.
        for _ in 0..2 {
            self.record(link);
            if let Some(mut recording) = self.recording.take() {
                let (seq, result) = joined(&mut recording).await;
                Self::recorded(link, seq, result);
            }
        }
    }
}

async fn exchange<W: EventWriter>(
    link: &mut Link<W>,
    background: &mut Background<W>,
    worked: &mut bool,
    flight: &mut Flight,
    mut leave: watch::Receiver<bool>,
    reader: &mut (impl AsyncRead + Unpin),
    writer: &mut (impl AsyncWrite + Unpin),
) -> Result<Ended, Failure> {
    let acknowledges = link.settings.format == StreamFormat::Lumberjack;
    let witness = match link.suspicion.plan() {
        Plan::Witness { after } => Some(after),
        Plan::Plain | Plan::Narrow(_) | Plan::Retrial { .. } => None,
    };
    let mut stop = link.stop.clone();
    let mut stopped = std::pin::pin!(async move { over(&mut stop).await });
    let mut decoder = Decoder::new(Limits::SENDER);
    let mut input = [0; READ_BYTES];
    let mut outgoing: Option<Outgoing> = None;
    let mut prepared: Option<Prepared> = None;
    let mut spare = Vec::new();
    // Events up to this one are sent or prepared on this connection.
    let mut position = witness.unwrap_or(link.acknowledged);
    // The queue had nothing when it was asked last.
    let mut exhausted = false;
    // Nobody writes to the queue any more.
    let mut complete = false;
    let mut ask_again: Option<Instant> = None;
    let mut life = Instant::now();
    // The receiver acknowledged something, or took something in.
    let mut progress = life;
    let stuck_after = link.settings.ack_timeout * STUCK_TIMES;
    loop {
        let windows = match link.suspicion.limit() {
            None if !link.cautious => link.settings.windows_in_flight.max(1),
            _ => 1,
        };
        let leaving = *leave.borrow_and_update();
        if leaving && outgoing.is_none() && flight.is_empty() {
            return Ok(Ended::Left);
        }
        if outgoing.is_none()
            && flight.len() < windows
            && !leaving
            && let Some(Prepared { window, bytes, rules, clocks_far_off }) = prepared.take()
        {
            link.status.sent(u64::from(window.len()), window.count_up_to(link.sent), &rules);
            if clocks_far_off > 0 {
                link.status.clocks_far_off(clocks_far_off);
            }
            link.sent = link.sent.max(window.last_seq().expect("a prepared window has events"));
            if flight.is_empty() {
                life = Instant::now();
                progress = life;
            }
            flight.push(window);
            link.status.in_flight(flight.len());
            outgoing = Some(Outgoing { bytes, written: 0 });
        }
        // A stop is heard before the news of the queue: what became durable before it must not be passed by.
        if exhausted && link.durable.borrow().has_changed() {
            exhausted = false;
        }
        let asked = witness.is_some_and(|after| position > after);
        if prepared.is_none() && background.preparing.is_none() && !exhausted && !asked && ask_again.is_none()
        {
            // Seen before the queue is asked: what becomes durable meanwhile is a change.
            link.durable.mark_unchanged();
            background.prepare(link, position, std::mem::take(&mut spare));
        }
        background.record(link);
        let draining = matches!(*link.stop.borrow(), Stop::Drain { .. });
        if draining && exhausted && flight.is_empty() && background.recording.is_none() {
            return Ok(Ended::Done);
        }
        // In this order none can keep the others from their turn: what the program itself does (work in the background,
        // news of the queue and of a stop) ends by itself, writing ends when so many windows are in flight, and only then
        // comes what a receiver sends, which could go on for ever. Its timeout may wait behind it: it is alive.
        tokio::select! {
            biased;
            () = &mut stopped => return Ok(Ended::Done),
            changed = link.stop.changed() => {
                if changed.is_err() {
                    return Ok(Ended::Done);
                }
            }
            // Its sender lives as long as this connection.
            _ = leave.changed(), if !leaving => {}
            (seq, result) = handle(background.recording.as_mut()) => {
                background.recording = None;
                Background::recorded(link, seq, result);
            }
            (feeder, result) = handle(background.preparing.as_mut()) => {
                background.preparing = None;
                link.feeder = Some(feeder);
                match result {
                    Ok(Some(window)) => {
                        position = window.window.last_seq().expect("a prepared window has events");
                        prepared = Some(window);
                    }
                    Ok(None) => {
                        exhausted = true;
                        // What was sent before may have left the queue meanwhile.
                        link.status.in_flight(flight.len());
                    }
                    Err(error) => {
                        link.status.error(&error);
                        link.complain(&error);
                        ask_again = Some(Instant::now() + QUEUE_RETRY);
                    }
                }
            }
            changed = link.durable.changed(), if exhausted && !complete => match changed {
                Ok(()) => exhausted = false,
                Err(_) => complete = true,
            },
            step = advance(writer, outgoing.as_mut()), if outgoing.is_some() => {
                life = Instant::now();
                progress = life;
                if step.map_err(|error| Failure::io(&error, flight))? {
                    let bytes = outgoing.take().expect("it was advanced").bytes;
                    link.status.written(bytes.len());
                    spare = bytes;
                    if !acknowledges {
                        *worked |= delivered(link, flight);
                    }
                }
            }
            read = reader.read(&mut input) => {
                let bytes = match read.map_err(|error| Failure::io(&error, flight))? {
                    0 => return Err(Failure::Closed { idle: flight.is_empty() }),
                    length => &input[..length],
                };
                life = Instant::now();
                if acknowledges {
                    decoder.feed(bytes);
                    while let Some(frame) = decoder.next().map_err(|garbage| Failure::Garbage(garbage.to_string()))? {
                        let Frame::Ack(sequence) = frame else { continue };
                        // It speaks of the window that is still being written.
                        if flight.len() == 1
                            && let Some(outgoing) = &outgoing
                            && sequence > outgoing.events_written()
                        {
                            let why = "it acknowledges events that were not sent yet";
                            return Err(Failure::Garbage(why.to_owned()));
                        }
                        let news = flight.acknowledge(sequence).map_err(|error| Failure::Garbage(error.to_string()))?;
                        if witness.is_some() && news.is_some() {
                            return Ok(Ended::Witnessed);
                        }
                        if acknowledged(link, news) {
                            *worked = true;
                            progress = life;
                        }
                    }
                    link.status.in_flight(flight.len());
                }
            }
            () = sleep_until(life + link.settings.ack_timeout), if !flight.is_empty() || outgoing.is_some() => {
                return Err(Failure::Silent(link.settings.ack_timeout));
            }
            () = sleep_until(progress + stuck_after), if !flight.is_empty() => return Err(Failure::Stuck(stuck_after)),
            () = until(ask_again), if ask_again.is_some() => ask_again = None,
        }
    }
}

/// Notes what an acknowledgement covers; whether it covers anything.
fn acknowledged<W>(link: &mut Link<W>, news: Option<(u64, u64)>) -> bool {
    let Some((events, seq)) = news else { return false };
    link.acknowledged = seq;
    link.suspicion.passed(seq);
    link.status.acknowledged(events, seq);
    true
}

/// Without acknowledgements, what was written and flushed counts as delivered.
fn delivered<W>(link: &mut Link<W>, flight: &mut Flight) -> bool {
    let news = flight.acknowledge_oldest();
    link.status.in_flight(flight.len());
    acknowledged(link, news)
}

/// Writes a part of a window, then flushes; whether both are done. Cancelled without loss at any point.
async fn advance(
    writer: &mut (impl AsyncWrite + Unpin),
    outgoing: Option<&mut Outgoing>,
) -> io::Result<bool> {
    let Some(Outgoing { bytes, written }) = outgoing else { return pending().await };
    if *written < bytes.len() {
        match writer.write(&bytes[*written..]).await? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            length => *written += length,
        }
        return Ok(false);
    }
    writer.flush().await?;
    Ok(true)
}

/// The result of a blocking task, where there is one.
async fn handle<T>(task: Option<&mut JoinHandle<T>>) -> T {
    match task {
        Some(task) => joined(task).await,
        None => pending().await,
    }
}

async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => pending().await,
    }
}
