//! The running connector: joins listener, spool and uplink in one process, and answers on its own socket.
//!
//! Start is all or nothing: spool (with its lock, so that no two connectors share one), ports, socket, then the tasks.
//! Shutdown is a choreography: the listener is told to stop and finishes what the kernel had taken; its channel
//! closes; the intake thread writes and syncs what is left; the uplink delivers for a bounded time; what is not
//! acknowledged by then stays in the spool.

pub mod certificate;
pub mod control;
pub mod exporter;
mod intake;
pub mod metrics;
pub mod report;
pub mod self_report;
#[cfg(test)]
mod simulation;

use crate::batch::Batch;
use crate::clock::{Clock, SystemClock};
use crate::error::{Code, Error, Result};
use crate::listener::{self, Bound, Counters, Probes};
use crate::memory;
use crate::settings::{Receiver, Settings};
use crate::spool::{Chunk, DiskState, Queue, Spool};
use crate::state::Mode;
use crate::syslog::normaliser::Normaliser;
use crate::uplink::{self, Stop, TlsSource, Uplink};
use report::Report;
use self_report::last_run::LastRun;
use self_report::reporter::{Begin, Counts, Reporter};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};

/// How long a stopping connector tries to deliver what it has; the rest stays in the spool.
pub const DRAIN: Duration = Duration::from_secs(10);
/// Between two looks at whether every part still works.
const LOOK: Duration = Duration::from_secs(1);
/// Between two looks at the end of the certificate. It changes when somebody replaces the file.
const CERTIFICATE_LOOK: Duration = Duration::from_secs(60);
/// Between two looks at whether memory can be given back.
const MEMORY_LOOK: Duration = Duration::from_secs(2);
/// What came in and left since the last time may have left so much memory behind that it is worth it.
const BURST_BYTES: u64 = 16 << 20;
/// So much between two looks is no burst any more.
const CALM_BYTES: u64 = 1 << 20;
/// What an event that left counts for, whose length nobody remembers.
const EVENT_BYTES: u64 = 256;
/// How long a spool that has no room, or whose disk is in trouble, is waited for at the end, before it is to take in what
/// was read beyond its bound; one that has none when the stop begins is not waited for.
const ROOM_END: Duration = Duration::from_secs(5);
/// When what the spool had no room for is given up, from the beginning of the stop on: some of [`DRAIN`] is left then for the last
/// sync.
const INTAKE_END: Duration = Duration::from_secs(8);

/// Everything a connector needs to run.
pub struct Config {
    /// The settings in force.
    pub settings: Settings,
    /// Which of the two streams it serves.
    pub mode: Mode,
    /// The port to listen on; another than the published one behind a bridge, 0 for any.
    pub port: u16,
    /// This mode's spool.
    pub spool_dir: PathBuf,
    /// Where the control socket is made.
    pub run_dir: PathBuf,
    /// The client certificate's configuration.
    pub tls: TlsSource,
}

impl Config {
    /// The receivers of the mode, and no others.
    fn targets(&self) -> Vec<Receiver> {
        let uplink = &self.settings.uplink;
        match self.mode {
            Mode::Stage => vec![uplink.incubator_stream.clone().into()],
            Mode::Production => uplink.concentrators.clone(),
        }
    }
}

/// The spool as the uplink sees it; tells the intake when the uplink has read everything, and when acknowledgements made
/// room.
struct Outgoing {
    spool: Arc<Spool>,
    demand: Arc<intake::Demand>,
    space: Arc<Notify>,
}

impl Queue for Outgoing {
    fn id(&self) -> &str {
        self.spool.id()
    }

    fn read_after(&self, seq: u64, max_events: usize, max_bytes: usize) -> Result<Option<Chunk>> {
        let chunk = self.spool.read_after(seq, max_events, max_bytes)?;
        if chunk.is_none() {
            self.demand.raise();
        }
        Ok(chunk)
    }

    fn acknowledged(&self) -> u64 {
        self.spool.acknowledged()
    }

    fn acknowledge(&self, seq: u64) -> Result<()> {
        self.spool.acknowledge(seq)?;
        self.space.notify_one();
        Ok(())
    }

    fn set_aside(&self, seq: u64) -> Result<()> {
        self.spool.set_aside(seq)?;
        self.space.notify_one();
        Ok(())
    }
}

/// A connector at work.
pub struct Connector {
    port: u16,
    id: String,
    spool: Arc<Spool>,
    stop_listening: watch::Sender<bool>,
    stop_uplink: watch::Sender<Stop>,
    patience: watch::Sender<intake::Patience>,
    listening: JoinHandle<()>,
    /// The reports on the connector itself, where they are wanted, and how they learn of the end.
    reporting: Option<(JoinHandle<()>, watch::Sender<Option<self_report::Name>>)>,
    intake: std::thread::JoinHandle<()>,
    uplink: JoinHandle<()>,
    /// What the events do not depend on: control socket, metrics, the look at the certificate.
    beside: JoinSet<()>,
}

impl Connector {
    /// Starts everything; when this returns, the ports are open. Needs a multi-threaded tokio runtime.
    pub fn start(config: Config) -> Result<Self> {
        let targets = config.targets();
        let Config { settings, mode, port, spool_dir, run_dir, tls } = config;
        let (spool, findings) = Spool::open(&spool_dir, (&settings.spool).into())?;
        tracing::info!(dir = %spool_dir.display(), ?findings, "spool opened");
        let spool = Arc::new(spool);
        let bound = Bound::bind(&settings.listener, port)?;
        let control = control::Server::bind(&run_dir)?;
        let port = bound.port();
        let addresses = bound.addresses();
        let udp_buffer_bytes = bound.udp_buffer_bytes();
        let udp_buffer_asked_bytes = settings.listener.udp_buffer_bytes;
        let kernel = Arc::new(bound.kernel_queues());
        let max_bytes = settings.spool.max_bytes;

        let (sink, batches) = mpsc::channel::<Batch>(intake::CHANNEL_BATCHES);
        let (durable_sender, durable) = watch::channel(spool.status().durable_seq);
        let (stop_listening, stop) = watch::channel(false);
        let (stop_uplink, uplink_stop) = watch::channel(Stop::Running);
        let (patience, worn) = watch::channel(intake::Patience::Endless);
        let space = Arc::new(Notify::new());
        let demand = Arc::<intake::Demand>::default();
        let probes = Arc::new(Probes::default());
        let counters = Arc::new(Counters::default());
        let uplink_status = Arc::new(uplink::Status::default());
        let alive = Arc::new(AtomicBool::new(true));
        let id = format!("{}-{}", settings.connector.id, spool.id());

        let intake = intake::Intake {
            spool: Arc::clone(&spool),
            sync_interval: settings.spool.sync_interval,
            batches,
            durable: durable_sender,
            demand: Arc::clone(&demand),
            space: Arc::clone(&space),
            patience: worn,
        }
        .spawn()
        .map_err(|error| {
            Error::new(Code::Internal, "the spool's thread cannot be started").caused_by(error)
        })?;

        let started = chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
        let self_reports = Arc::new(Counts::default());
        let reporter = settings.connector.self_reports.then(|| {
            let begin = Begin {
                mode,
                started: &started,
                spool_id: spool.id(),
                spool: &report::Spool::new(spool.status(), max_bytes, SystemClock.now()),
                last_run: LastRun::of(&run_dir, mode),
            };
            Reporter::begin(begin, Arc::new(SystemClock), sink.clone(), Arc::clone(&self_reports))
        });

        let shared = listener::Shared {
            sink,
            probes: Arc::clone(&probes),
            counters: Arc::clone(&counters),
            kernel: Arc::clone(&kernel),
            clock: Arc::new(SystemClock),
            stop,
        };
        let listening = tokio::spawn({
            let (settings, alive) = (settings.listener.clone(), Arc::clone(&alive));
            async move { listener::run(bound, &settings, shared, &alive).await }
        });

        let certificate = Arc::new(certificate::Watch::default());
        let exported = Arc::new(exporter::State::default());
        let mut beside = JoinSet::new();
        beside.spawn(watch_certificate(Arc::clone(&certificate), Arc::clone(&tls)));

        beside.spawn(give_memory_back(Arc::clone(&counters), Arc::clone(&spool)));

        let uplink = Uplink {
            queue: Arc::new(Outgoing { spool: Arc::clone(&spool), demand, space }),
            durable,
            writer: Normaliser::new(&settings.normaliser, &id),
            targets,
            tls,
            dial: Arc::new(uplink::Network),
            settings: settings.uplink.clone(),
            status: Arc::clone(&uplink_status),
        };
        let uplink = tokio::spawn(uplink.run(uplink_stop));

        let report = {
            let (spool, id) = (Arc::clone(&spool), id.clone());
            let exported = Arc::clone(&exported);
            let (listener_task, uplink_task) = (listening.abort_handle(), uplink.abort_handle());
            move || {
                let listening = alive.load(Relaxed) && !listener_task.is_finished();
                let spool = report::Spool::new(spool.status(), max_bytes, SystemClock.now());
                let uplink = uplink_status.snapshot();
                let streaming = !uplink_task.is_finished();
                let unhealthy = report::unhealthy(listening, streaming, &spool, &uplink);
                Report {
                    version: env!("CARGO_PKG_VERSION").to_owned(),
                    mode,
                    connector_id: id.clone(),
                    started: started.clone(),
                    listener: report::Listener {
                        alive: listening,
                        addresses: addresses.clone(),
                        udp_buffer_bytes,
                        udp_buffer_asked_bytes,
                        udp_kernel: kernel.read(),
                        counters: counters.snapshot(),
                    },
                    spool,
                    uplink,
                    certificate: certificate.seen(),
                    metrics: exported.seen(),
                    self_reports: self_reports.made(),
                    unhealthy,
                }
            }
        };
        let report: Arc<dyn Fn() -> Report + Send + Sync> = Arc::new(report);
        let reporting = reporter.map(|reporter| {
            let (end, ended) = watch::channel(None);
            (tokio::spawn(reporter.run(Arc::clone(&report), ended)), end)
        });
        if settings.metrics.port != 0 {
            let (port, report) = (settings.metrics.port, Arc::clone(&report));
            let listener = exporter::bind(port, &exported);
            let text = Arc::new(move || metrics::render(&report()));
            beside.spawn(exporter::serve(port, listener, exported, text, exporter::PATIENCE));
        }
        beside.spawn(control.serve(probes, report));
        tracing::info!(mode = mode.name(), port, %id, "receiving");
        Ok(Self {
            port,
            id,
            spool,
            stop_listening,
            stop_uplink,
            patience,
            listening,
            reporting,
            intake,
            uplink,
            beside,
        })
    }

    /// The port listened on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `connector.id` of every event.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns when the listener or the uplink has ended although nobody stopped it. A process that does half of its work
    /// does none: it is to be stopped, and started anew by who watches over it.
    pub async fn broken(&self) {
        while !self.is_broken() {
            tokio::time::sleep(LOOK).await;
        }
    }

    fn is_broken(&self) -> bool {
        self.listening.is_finished() || self.uplink.is_finished()
    }

    /// Ends in order, within [`DRAIN`] and some seconds; returns how many events stay in the spool.
    pub async fn stop(mut self) -> Result<u64> {
        tracing::info!("stopping");
        let ending = if self.is_broken() { self_report::Name::Failed } else { self_report::Name::Stopped };
        self.stop_listening.send_replace(true);
        let deadline = tokio::time::Instant::now() + DRAIN;
        // A spool that cannot take the rest gets a bounded time to find room. While it has none, the listener cannot
        // hand on what it read.
        let is_full = self.spool.status().disk == DiskState::Full;
        let wearing = tokio::spawn(wear(self.patience, is_full));
        ended("listener", self.listening.await);
        if let Some((reporting, end)) = self.reporting {
            // Behind everything that was taken in.
            end.send_replace(Some(ending));
            ended("self-reports", reporting.await);
        }
        // The channel is closed now.
        let intake = self.intake;
        let joined = tokio::task::spawn_blocking(move || intake.join().is_ok()).await;
        wearing.abort();
        if !joined.unwrap_or(false) {
            tracing::error!("the spool's thread ended unexpectedly");
        }
        self.stop_uplink.send_replace(Stop::Drain { deadline });
        ended("uplink", self.uplink.await);
        self.beside.shutdown().await;
        self.spool.close()?;
        let left = self.spool.status().events;
        tracing::info!(left, "stopped");
        Ok(left)
    }
}

/// Says to the intake what is left of its patience while the process ends.
async fn wear(patience: watch::Sender<intake::Patience>, is_full: bool) {
    let begun = tokio::time::Instant::now();
    if !is_full {
        tokio::time::sleep_until(begun + ROOM_END).await;
    }
    patience.send_replace(intake::Patience::Ending);
    tokio::time::sleep_until(begun + INTAKE_END).await;
    patience.send_replace(intake::Patience::Over);
}

/// Looks at the certificate now and again, where files block nobody.
async fn watch_certificate(seen: Arc<certificate::Watch>, tls: TlsSource) {
    loop {
        let (look, source) = (Arc::clone(&seen), Arc::clone(&tls));
        // It cannot fail but with the runtime.
        let _ = tokio::task::spawn_blocking(move || look.look(&source)).await;
        tokio::time::sleep(CERTIFICATE_LOOK).await;
    }
}

/// Gives memory back when a burst is over, of what came in or of a backlog that left.
async fn give_memory_back(counters: Arc<Counters>, spool: Arc<Spool>) {
    let work = || counters.bytes() + spool.acknowledged() * EVENT_BYTES;
    let mut given_back = work();
    let mut last = given_back;
    loop {
        tokio::time::sleep(MEMORY_LOOK).await;
        let now = work();
        let calm = now - std::mem::replace(&mut last, now) < CALM_BYTES;
        if calm && now - given_back >= BURST_BYTES {
            given_back = now;
            // It cannot fail but with the runtime.
            let _ = tokio::task::spawn_blocking(memory::give_back).await;
        }
    }
}

fn ended(what: &str, result: Result<(), tokio::task::JoinError>) {
    if let Err(error) = result {
        tracing::error!(%error, what, "ended unexpectedly");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_part_that_panics_is_seen_by_the_health_check_and_by_who_runs_the_connector() {
        let dir = tempfile::tempdir().unwrap();
        let mut settings = Settings::default();
        settings.listener.addresses = vec!["127.0.0.1".parse().unwrap()];
        settings.spool.reserve_bytes = 0;
        settings.metrics.port = 0;
        let connector = Connector::start(Config {
            settings: settings.clone(),
            mode: Mode::Stage,
            port: 0,
            spool_dir: dir.path().join("spool"),
            run_dir: dir.path().to_owned(),
            tls: Arc::new(|| panic!("what nobody thought of")),
        })
        .unwrap();
        tokio::time::timeout(Duration::from_secs(30), connector.broken()).await.expect("it is noticed");
        let report = control::Client::new(dir.path().to_owned()).status().await.unwrap();
        assert_eq!(report.unhealthy.as_deref(), Some("the uplink has ended"));
        connector.stop().await.unwrap();
        // The next run tells the SOC.
        let (spool, _) = Spool::open(&dir.path().join("spool"), (&settings.spool).into()).unwrap();
        let kept = spool.read_after(0, 10, usize::MAX).unwrap().unwrap();
        let kept: Vec<_> = kept.iter().map(|(_, _, message)| String::from_utf8_lossy(message)).collect();
        assert!(kept.first().unwrap().contains("] started: "), "{kept:?}");
        assert!(kept.last().unwrap().contains("] failed: "), "{kept:?}");
    }
}
