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
//! # Receivers
//!
//! [`choice`] says which one is used: sites in order of preference, a random order within a site, a circuit breaker for
//! each receiver. A name is resolved anew for each connection, and all its addresses are tried. Whoever had to leave a
//! site goes back when a receiver there was healthy for a while; that is found out by handshakes now and again, and the
//! change comes between two windows. A receiver that gives no sign of life while events wait is left; one that is alive
//! and acknowledges late is shown as slow, and kept.
//!
//! # Events that are refused
//!
//! [`suspicion`] tells an event that receivers cannot take from receivers that take none. The first is set aside in the
//! spool, counted and logged; for the second the queue waits.
//!
//! # Certificates
//!
//! The configuration is asked for anew for each connection, so that a replaced certificate is in use with the next one.
//! Where receivers refuse ours, events are held back, the log says so now and again, and the next try comes when it was
//! replaced, or after [`backoff::REFUSED_WAIT`].
//!
//! [`lumberjack`], [`flight`], [`choice`], [`suspicion`] and [`backoff`] know no sockets; `session` is one connection.
//!
//! Every `select!` here is biased: of several things that are ready the order is then the program's and no chance's, and a
//! simulation that goes wrong can be repeated from its seed.

pub mod backoff;
pub mod choice;
pub mod dial;
pub mod feeder;
pub mod flight;
pub mod lumberjack;
mod session;
pub mod status;
pub mod suspicion;

pub use dial::{Dial, Network};
pub use feeder::EventWriter;
pub use status::{Snapshot, Status};

use crate::blocking;
use crate::error::{Code, Error, Result};
use crate::settings::{self, Receiver};
use crate::spool::Queue;
use crate::tls::Fault;
use backoff::{Backoff, Complaints, REPLACED_LOOK};
use choice::{Choice, Next, PROBE_EVERY};
use dial::Dialled;
use feeder::Feeder;
use rustls::ClientConfig;
use session::{Ended, Lost};
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;
use suspicion::{Plan, Suspicion, Verdict};
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
    /// The receivers, sites in order of preference; at least one.
    pub targets: Vec<Receiver>,
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
            suspicion: Suspicion::new(settings.refuse_after),
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
    suspicion: Suspicion,
    /// The configuration that a receiver refused last.
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

/// Uses one receiver after the other until there is nothing more to do.
async fn search<W: EventWriter>(mut link: Link<W>, targets: &[Receiver], tls: &TlsSource) {
    let mut choice = Choice::new(targets, link.settings.max_backoff, link.settings.return_after);
    // Between looks at a certificate that cannot be used.
    let mut unusable = Backoff::new(link.settings.max_backoff);
    while !link.is_done() {
        let next = match link.suspicion.plan() {
            Plan::Retrial { receiver } => Next::Try(receiver),
            Plan::Plain | Plan::Narrow(_) | Plan::Witness { .. } => choice.next(Instant::now()),
        };
        link.status.breakers(&choice.breakers());
        let index = match next {
            Next::Try(index) => index,
            Next::Wait(until) => {
                link.status.held_by_certificate(choice.any_refused());
                match pause(&mut link, tls, until).await {
                    Pause::Over => {}
                    Pause::Replaced => {
                        tracing::info!("the refused certificate was replaced");
                        choice.certificate_replaced(Instant::now());
                    }
                    // A change of mind, to drain for instance, is worth a try at once.
                    Pause::Stop => choice.hurry(Instant::now()),
                    Pause::Abandoned => return,
                }
                continue;
            }
        };
        match configuration(tls).await {
            Ok(config) => {
                unusable.reset();
                let ended = connect(&mut link, &mut choice, targets, index, config, tls).await;
                if matches!(ended, Connected::Done) {
                    return;
                }
                let Connected::Idle = ended else { continue };
            }
            Err(error) => {
                link.status.error(&error);
                link.status.held_by_certificate(true);
                link.complain(&error);
            }
        }
        let until = Instant::now() + unusable.wait();
        if matches!(pause(&mut link, tls, until).await, Pause::Abandoned) {
            return;
        }
    }
}

enum Connected {
    /// There is nothing more to do.
    Done,
    /// Another connection is to be made.
    Ended,
    /// The receiver closed an idle connection: the same one again, in a moment.
    Idle,
}

async fn connect<W: EventWriter>(
    link: &mut Link<W>,
    choice: &mut Choice,
    targets: &[Receiver],
    index: usize,
    config: Arc<ClientConfig>,
    tls: &TlsSource,
) -> Connected {
    let endpoint = &targets[index].endpoint;
    let (mut stop, dial) = (link.stop.clone(), Arc::clone(&link.dial));
    let dialled = tokio::select! {
        biased;
        () = over(&mut stop) => return Connected::Done,
        dialled = dial.dial(endpoint, Arc::clone(&config), link.settings.connect_timeout) => dialled,
    };
    let begun = Instant::now();
    let lost = match dialled {
        Ok(dialled) => match serve(link, choice, targets, index, dialled, tls).await {
            Ended::Done => return Connected::Done,
            Ended::Left => {
                tracing::info!(%endpoint, "left for a receiver of a better site");
                return Connected::Ended;
            }
            Ended::Witnessed => {
                choice.succeeded(index);
                link.suspicion.witnessed(index);
                return Connected::Ended;
            }
            Ended::Lost(lost) => lost,
        },
        Err(fault) => Lost {
            refused: fault.is_refusal(),
            worked: false,
            idle: false,
            blamed: None,
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
        choice.succeeded(index);
        choice.lasted(index);
        link.complaints.reset();
        return Connected::Idle;
    }
    link.status.failed(index, &lost.error, lost.refused);
    link.complain(&lost.error);
    if lost.worked && lasted >= STABLE_AFTER {
        choice.lasted(index);
        link.complaints.reset();
    }
    if lost.refused {
        choice.refused(index, Instant::now());
        link.refused = Some(config);
    } else {
        choice.failed(index, Instant::now());
    }
    judge(link, lost.blamed).await;
    Connected::Ended
}

/// What a lost connection says about the events that were on their way.
async fn judge<W: EventWriter>(link: &mut Link<W>, blamed: Option<flight::Unacknowledged>) {
    let Some(blamed) = blamed else { return link.suspicion.inconclusive() };
    let durable = *link.durable.borrow();
    match link.suspicion.failed(blamed, durable, Instant::now()) {
        Verdict::Open => {}
        Verdict::ReceiverBroken => link.complain(&Error::new(
            Code::ReceiversRefuseEvents,
            format!("neither event {} nor one behind it is acknowledged", link.acknowledged + 1),
        )),
        Verdict::Guilty(seq) => {
            let queue = Arc::clone(&link.queue);
            match joined(&mut blocking::spawn(move || queue.set_aside(seq))).await {
                Ok(()) => {
                    link.acknowledged = link.acknowledged.max(seq);
                    link.recorded = link.recorded.max(seq);
                    link.suspicion.passed(seq);
                    let error = Error::new(Code::EventRefused, format!("event {seq} was set aside"));
                    link.status.error(&error);
                    link.complain(&error);
                }
                Err(error) => {
                    // The next try waits for a receiver like any other, and asks the witness again.
                    link.suspicion.inconclusive();
                    link.status.error(&error);
                    link.complain(&error);
                }
            }
        }
    }
}

/// One connection, and probes of better sites beside it.
async fn serve<W: EventWriter>(
    link: &mut Link<W>,
    choice: &mut Choice,
    targets: &[Receiver],
    index: usize,
    dialled: Dialled,
    tls: &TlsSource,
) -> Ended {
    let Dialled { stream, address, protocol } = dialled;
    let endpoint = &targets[index].endpoint;
    tracing::info!(%endpoint, address, protocol, "connected to the receiver");
    link.status.connected(index, address);
    choice.begin(index);
    let before = link.acknowledged;
    let (leave, left) = watch::channel(false);
    let probing = Probing {
        dial: Arc::clone(&link.dial),
        bound: link.settings.connect_timeout,
        every: PROBE_EVERY.min(link.settings.return_after / 2),
    };
    let ended = tokio::select! {
        biased;
        ended = session::run(link, endpoint, stream, left) => ended,
        () = probing.run(choice, targets, index, tls, &leave) => unreachable!("probing never ends"),
    };
    link.status.disconnected(index);
    if link.acknowledged > before {
        choice.succeeded(index);
    }
    ended
}

/// Looks whether a better site is well again.
struct Probing {
    dial: Arc<dyn Dial>,
    bound: Duration,
    every: Duration,
}

impl Probing {
    /// Probes until dropped; says so once to `leave` where a better receiver was healthy for long enough.
    async fn run(
        self,
        choice: &mut Choice,
        targets: &[Receiver],
        index: usize,
        tls: &TlsSource,
        leave: &watch::Sender<bool>,
    ) {
        while let Some(candidate) = choice.to_probe(index) {
            sleep(self.every).await;
            let endpoint = &targets[candidate].endpoint;
            let healthy = match configuration(tls).await {
                Ok(config) => self.dial.dial(endpoint, config, self.bound).await.is_ok(),
                Err(_) => false,
            };
            tracing::debug!(%endpoint, healthy, "probed");
            if choice.probed(candidate, healthy, Instant::now()) {
                leave.send_replace(true);
                break;
            }
        }
        pending::<()>().await;
    }
}

/// Why a pause ended.
enum Pause {
    /// Its time is over.
    Over,
    /// The refused certificate was replaced.
    Replaced,
    /// The uplink is to stop, or to drain.
    Stop,
    /// Nobody is there any more for whom to work.
    Abandoned,
}

async fn pause<W>(link: &mut Link<W>, tls: &TlsSource, until: Instant) -> Pause {
    let until = match *link.stop.borrow() {
        // The connector ends then, however long a receiver is to be left alone.
        Stop::Drain { deadline } => until.min(deadline),
        Stop::Running | Stop::Now => until,
    };
    let refused = link.refused.take();
    let pause = tokio::select! {
        biased;
        changed = link.stop.changed() => if changed.is_ok() { Pause::Stop } else { Pause::Abandoned },
        () = replaced(tls, refused.clone()) => return Pause::Replaced,
        () = sleep_until(until) => Pause::Over,
    };
    link.refused = refused;
    pause
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
