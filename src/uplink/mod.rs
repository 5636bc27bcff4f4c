//! Streams the queue's events to a receiver over mutual TLS, and takes them off the queue once the receiver answers
//! for them.
//!
//! # What is promised
//!
//! - An event leaves the queue only after a receiver acknowledged it, and in order. Whatever was sent and not
//!   acknowledged when a connection ends is sent again on the next one, under the same sequence number: at least once,
//!   and a receiver can drop what it has already by `connector.id` and `connector.seq`.
//! - Ndjson ([`StreamFormat::Ndjson`]) has no acknowledgements. There an event counts as delivered when it was written
//!   and flushed to the connection; what the network still held when it broke is lost.
//! - Every wait has a bound: resolving, connecting, handshaking (`connect_timeout` each), and a receiver that gives no
//!   sign of life while events are in flight (`ack_timeout`). A keep-alive (`A 0`) is a sign of life, and so is taking
//!   in what is being written.
//! - Memory: two encoded windows (one being written, one made ready), each at most a few megabytes. Windows in flight
//!   are kept as numbers only; they are read from the queue again where need be.
//!
//! # Endpoints
//!
//! They are tried in order, each name resolved anew and with all its addresses; the first that takes the connection is
//! used until it fails. After a connection that achieved something the search begins with the first endpoint again,
//! after one that achieved nothing it goes on with the next, so that a receiver that accepts connections but no events
//! does not hide the others. Between rounds the wait grows ([`backoff::Backoff`]). An installation that has left its
//! first endpoint stays where it is until that connection ends; going back earlier would be decided in `search`.
//!
//! # Certificates
//!
//! The configuration is asked for anew for each round, so that a replaced certificate is in use with the next
//! connection. Where all receivers refuse ours, events are held back, the log says so now and again, and the next try
//! comes when it was replaced, or after [`backoff::REFUSED_WAIT`].
//!
//! [`lumberjack`], [`flight`] and [`backoff`] know no sockets; `session` is one connection.
//!
//! Every `select!` here is biased: of several things that are ready the order is then the program's and no chance's, and a
//! simulation that goes wrong can be repeated from its seed.

pub mod backoff;
pub mod dial;
pub mod feeder;
pub mod flight;
pub mod lumberjack;
mod session;
pub mod status;

pub use dial::{Dial, Network};
pub use feeder::EventWriter;
pub use status::{Snapshot, Status};

use crate::blocking;
use crate::error::{Code, Error, Result};
use crate::settings::{self, Endpoint};
use crate::spool::Queue;
use crate::tls::Fault;
use backoff::{Backoff, Complaints, REFUSED_WAIT, REPLACED_LOOK};
use dial::Dialled;
use feeder::Feeder;
use rustls::ClientConfig;
use session::{Ended, Lost};
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until};

#[cfg(doc)]
use crate::settings::StreamFormat;

/// A connection that lasted so long was a good one: its end is a new event, not a part of earlier trouble.
const STABLE_AFTER: Duration = Duration::from_secs(30);

/// A receiver that closes an idle connection after so long does it for want of traffic (Logstash after a minute), which
/// is no failure; one that does it earlier does not want us.
const IDLE_AFTER: Duration = Duration::from_secs(5);

/// Makes the TLS configuration of the next connections: reads the certificate as it is now. May block. As long as
/// nothing has changed it gives the same `Arc`; by that a refused certificate is known to be replaced.
pub type TlsSource = Arc<dyn Fn() -> Result<Arc<ClientConfig>> + Send + Sync>;

/// Whether the uplink goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// It does.
    Running,
    /// It ends as soon as everything durable is acknowledged, or at this moment.
    Drain {
        /// The latest end.
        deadline: Instant,
    },
    /// It ends.
    Now,
}

/// Everything that the uplink works with.
pub struct Uplink<W> {
    /// The events.
    pub queue: Arc<dyn Queue>,
    /// The sequence number of the last durable event; a change says that there is something to send.
    pub durable: watch::Receiver<u64>,
    /// Writes events as JSON.
    pub writer: W,
    /// The receivers in order of preference, at least one.
    pub targets: Vec<Endpoint>,
    /// TLS, asked for anew for each connection.
    pub tls: TlsSource,
    /// Makes the connections.
    pub dial: Arc<dyn Dial>,
    /// `[uplink]`.
    pub settings: settings::Uplink,
    /// Shown to others.
    pub status: Arc<Status>,
}

impl<W: EventWriter> Uplink<W> {
    /// Streams until it is stopped. What fails is told through [`Status`] and the log, and tried again.
    pub async fn run(self, stop: watch::Receiver<Stop>) {
        let Self { queue, durable, writer, targets, tls, dial, settings, status } = self;
        assert!(!targets.is_empty(), "settings name at least one receiver");
        status.begin(&targets);
        let acknowledged = queue.acknowledged();
        let feeder = Feeder::new(Arc::clone(&queue), writer, &settings);
        let link = Link {
            queue,
            durable,
            stop,
            feeder: Some(feeder),
            acknowledged,
            recorded: acknowledged,
            sent: acknowledged,
            cautious: false,
            dial,
            settings,
            status,
            refused: None,
            complaints: Complaints::default(),
        };
        search(link, &targets, &tls).await;
    }
}

/// What outlives a connection.
struct Link<W> {
    queue: Arc<dyn Queue>,
    durable: watch::Receiver<u64>,
    stop: watch::Receiver<Stop>,
    /// Away while it works on a blocking thread.
    feeder: Option<Feeder<W>>,
    /// Receivers have acknowledged all events up to this one.
    acknowledged: u64,
    /// The queue knows that up to this one.
    recorded: u64,
    /// Events up to this one were sent at least once.
    sent: u64,
    /// The last receiver fell silent: only one window at a time is sent on the next connection. There are receivers
    /// that answer two windows which they read together with one acknowledgement; with one in flight they cannot.
    cautious: bool,
    dial: Arc<dyn Dial>,
    /// The configuration that all receivers refused in the last round.
    refused: Option<Arc<ClientConfig>>,
    settings: settings::Uplink,
    status: Arc<Status>,
    complaints: Complaints,
}

impl<W> Link<W> {
    /// Whether nothing is left to wait for.
    fn is_done(&mut self) -> bool {
        match *self.stop.borrow_and_update() {
            Stop::Running => false,
            Stop::Drain { deadline } => {
                Instant::now() >= deadline || *self.durable.borrow() <= self.acknowledged
            }
            Stop::Now => true,
        }
    }

    /// Logs why events stay in the queue. A certificate waits for people, and is shouted about; most other things
    /// mend themselves.
    fn complain(&mut self, error: &Error) {
        let Some(repeated) = self.complaints.is_due(&error.to_string()) else { return };
        let code = tracing::field::display(error.code());
        let (what, remedy) = (error.what(), error.code().remedy());
        if matches!(error.code().number(), 200..300) {
            tracing::error!(code, what, remedy, repeated, "events are held back until this is mended");
        } else {
            tracing::warn!(code, what, remedy, repeated, "events are held back");
        }
    }
}

/// Tries the endpoints in rounds until there is nothing more to do.
async fn search<W: EventWriter>(mut link: Link<W>, targets: &[Endpoint], tls: &TlsSource) {
    let mut backoff = Backoff::new(link.settings.max_backoff);
    while !link.is_done() {
        let round = round(&mut link, targets, tls).await;
        if let Round::Worked { stable: true } = round {
            link.complaints.reset();
        }
        let Some(wait) = round.wait(&mut backoff) else { return };
        let refused = link.refused.take();
        tokio::select! {
            biased;
            // A change of mind, to drain for instance, is worth a try at once.
            _ = link.stop.changed() => {}
            () = replaced(tls, refused) => tracing::info!("the refused certificate was replaced"),
            () = sleep(wait) => {}
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Round {
    /// There is nothing more to do.
    Over,
    /// A connection achieved something before it was lost.
    Worked {
        /// It lasted for [`STABLE_AFTER`].
        stable: bool,
    },
    /// No endpoint took events.
    Failed,
    /// All endpoints refuse our certificate, that of [`Link::refused`].
    Refused,
}

impl Round {
    /// How long to wait before the next one, if there is to be one.
    fn wait(&self, backoff: &mut Backoff) -> Option<Duration> {
        match self {
            Self::Over => return None,
            Self::Refused => return Some(REFUSED_WAIT),
            Self::Worked { stable: true } => backoff.reset(),
            Self::Worked { stable: false } | Self::Failed => {}
        }
        Some(backoff.wait())
    }
}

async fn round<W: EventWriter>(link: &mut Link<W>, targets: &[Endpoint], tls: &TlsSource) -> Round {
    let config = match configuration(tls).await {
        Ok(config) => config,
        Err(error) => {
            link.status.error(&error);
            link.status.held_by_certificate(true);
            link.complain(&error);
            return Round::Failed;
        }
    };
    let mut refusals = 0;
    for (index, endpoint) in targets.iter().enumerate() {
        if link.is_done() {
            return Round::Over;
        }
        let (mut stop, dial) = (link.stop.clone(), Arc::clone(&link.dial));
        let dialled = tokio::select! {
            biased;
            () = over(&mut stop) => return Round::Over,
            dialled = dial.dial(endpoint, Arc::clone(&config), link.settings.connect_timeout) => dialled,
        };
        let begun = Instant::now();
        let lost = match dialled {
            Ok(dialled) => match serve(link, index, endpoint, dialled).await {
                Ended::Done => return Round::Over,
                Ended::Lost(lost) => lost,
            },
            Err(fault) => Lost {
                refused: fault.is_refusal(),
                worked: false,
                idle: false,
                error: {
                    let reached = matches!(fault, Fault::Closed(_));
                    let code = if reached { Code::ReceiverLost } else { Code::ReceiverUnreachable };
                    fault.into_error(endpoint, code)
                },
            },
        };
        let lasted = begun.elapsed();
        if lost.idle && lasted >= IDLE_AFTER {
            tracing::info!(%endpoint, lasted_s = lasted.as_secs(), "the receiver closed the idle connection");
            return Round::Worked { stable: true };
        }
        link.status.failed(index, &lost.error, lost.refused);
        link.complain(&lost.error);
        if lost.worked {
            return Round::Worked { stable: lasted >= STABLE_AFTER };
        }
        refusals += usize::from(lost.refused);
    }
    link.status.held_by_certificate(refusals > 0);
    if refusals < targets.len() {
        return Round::Failed;
    }
    link.refused = Some(config);
    Round::Refused
}

async fn serve<W: EventWriter>(
    link: &mut Link<W>,
    index: usize,
    endpoint: &Endpoint,
    dialled: Dialled,
) -> Ended {
    let Dialled { stream, address, protocol } = dialled;
    tracing::info!(%endpoint, address, protocol, "connected to the receiver");
    link.status.connected(index, address);
    let ended = session::run(link, endpoint, stream).await;
    link.status.disconnected(index);
    ended
}

/// Returns when there is another configuration than the refused one. One that cannot be read is none: files are replaced
/// one after the other.
async fn replaced(tls: &TlsSource, refused: Option<Arc<ClientConfig>>) {
    let Some(refused) = refused else { return pending().await };
    loop {
        sleep(REPLACED_LOOK).await;
        if configuration(tls).await.is_ok_and(|config| !Arc::ptr_eq(&config, &refused)) {
            return;
        }
    }
}

/// Asks for the configuration where reading files blocks nobody.
async fn configuration(tls: &TlsSource) -> Result<Arc<ClientConfig>> {
    let tls = Arc::clone(tls);
    joined(&mut blocking::spawn(move || tls())).await
}

/// The result of a blocking task. Its panic is ours; that it was never run means that the runtime ends, and we with it.
async fn joined<T>(task: &mut JoinHandle<T>) -> T {
    match task.await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => pending().await,
        },
    }
}

/// Returns when the uplink must end, done or not.
async fn over(stop: &mut watch::Receiver<Stop>) {
    loop {
        let now = *stop.borrow_and_update();
        match now {
            Stop::Now => return,
            Stop::Running => {
                // Without anyone to stop it, the uplink has nobody to work for.
                if stop.changed().await.is_err() {
                    return;
                }
            }
            Stop::Drain { deadline } => tokio::select! {
                biased;
                () = sleep_until(deadline) => return,
                changed = stop.changed() => if changed.is_err() {
                    sleep_until(deadline).await;
                    return;
                },
            },
        }
    }
}

#[cfg(test)]
mod tests;
