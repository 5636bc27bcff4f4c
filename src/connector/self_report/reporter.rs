//! Brings the reports into the listener's channel, behind everybody who waits there already.

use super::last_run::{LastRun, Run};
use super::watch::{Told, Watcher};
use super::{Made, Name, SelfReport, Sender};
use crate::batch::{Batch, Origin, Transport};
use crate::clock::{Clock, UnixMicros};
use crate::connector::report::{self, Report};
use crate::state::Mode;
use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

/// Between two looks.
const LOOK: Duration = Duration::from_secs(1);
/// Reports that wait for a place in the channel, each below a KiB; of one more the oldest is dropped and counted.
pub const MAX_PENDING: usize = 64;
/// The last reports of a run wait no longer for a place: a full spool must not hold a stop back.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// How many were made; shared with who reports it.
#[derive(Debug, Default)]
pub struct Counts(Mutex<Made>);

impl Counts {
    /// The counts at this moment.
    pub fn made(&self) -> Made {
        self.change(|made| made.clone())
    }

    fn change<T>(&self, change: impl FnOnce(&mut Made) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Makes the report that is looked at.
pub type Look = Arc<dyn Fn() -> Report + Send + Sync>;

/// The reporter.
pub struct Reporter {
    watcher: Watcher,
    sender: Sender,
    clock: Arc<dyn Clock>,
    sink: mpsc::Sender<Batch>,
    pending: VecDeque<(UnixMicros, String)>,
    counts: Arc<Counts>,
    last_run: LastRun,
    run: Run,
}

/// What a run begins with.
pub struct Begin<'a> {
    /// Stage or production.
    pub mode: Mode,
    /// Its start, RFC 3339.
    pub started: &'a str,
    /// The spool's id.
    pub spool_id: &'a str,
    /// The spool as it was opened.
    pub spool: &'a report::Spool,
    /// Where the run before left what it told.
    pub last_run: LastRun,
}

impl Reporter {
    /// Tells the start, and how the run before ended. While the sink is empty these come before any message. Blocks
    /// until the disk knows that this run has begun.
    pub fn begin(
        begin: Begin<'_>,
        clock: Arc<dyn Clock>,
        sink: mpsc::Sender<Batch>,
        counts: Arc<Counts>,
    ) -> Self {
        let Begin { mode, started, spool_id, spool, last_run } = begin;
        let before = last_run.read();
        let told = match &before {
            Some(before) if before.spool_id == spool_id => before.told.clone(),
            _ => Told::everything(spool),
        };
        let run = Run {
            started: started.to_owned(),
            ended_in_order: false,
            spool_id: spool_id.to_owned(),
            told: told.clone(),
        };
        last_run.write(&run);
        let mut reporter = Self {
            watcher: Watcher::new(told),
            sender: Sender::this(),
            clock,
            sink,
            pending: VecDeque::new(),
            counts,
            last_run,
            run,
        };
        if let Some(before) = before.filter(|before| !before.ended_in_order) {
            reporter.tell(&SelfReport { name: Name::RestartedAfterCrash, facts: vec![before.started] });
        }
        let facts =
            vec![env!("CARGO_PKG_VERSION").to_owned(), mode.name().to_owned(), spool.events.to_string()];
        reporter.tell(&SelfReport { name: Name::Started, facts });
        if let Ok(room) = reporter.sink.clone().try_reserve() {
            room.send(reporter.batch());
        }
        reporter
    }

    /// Looks and tells until it is told how the run ends.
    pub async fn run(mut self, look: Look, mut end: watch::Receiver<Option<Name>>) {
        let began = Instant::now();
        let mut ticks = interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let sink = self.sink.clone();
        let ending = loop {
            tokio::select! {
                ending = ended(&mut end) => break ending,
                _ = ticks.tick() => {
                    let report = look();
                    let now_s = self.clock.now().seconds();
                    for report in self.watcher.look(began.elapsed(), now_s, &report) {
                        self.tell(&report);
                    }
                    self.remember(false).await;
                }
                // Where the intake has ended there is nobody to tell, and the run is about to end.
                Ok(room) = sink.reserve(), if !self.pending.is_empty() => room.send(self.batch()),
            }
        };
        let report = look();
        for report in self.watcher.last_look(began.elapsed(), self.clock.now().seconds(), &report) {
            self.tell(&report);
        }
        self.tell(&SelfReport { name: ending, facts: vec![report.spool.events.to_string()] });
        if let Ok(Ok(room)) = timeout(LAST_WORDS, sink.reserve()).await {
            room.send(self.batch());
        } else {
            tracing::warn!(reports = self.pending.len(), "the spool has no room for the last reports");
        }
        self.remember(true).await;
    }

    /// Leaves for the next run what changed.
    async fn remember(&mut self, ended_in_order: bool) {
        let run = Run { ended_in_order, told: self.watcher.told().clone(), ..self.run.clone() };
        if run == self.run {
            return;
        }
        self.run = run.clone();
        let file = self.last_run.clone();
        // It cannot fail but with the runtime.
        let _ = tokio::task::spawn_blocking(move || file.write(&run)).await;
    }

    fn tell(&mut self, report: &SelfReport) {
        let now = self.clock.now();
        self.pending.push_back((now, self.sender.message(report, now)));
        let dropped = self.pending.len() > MAX_PENDING;
        if dropped {
            self.pending.pop_front();
        }
        self.counts.change(|made| {
            *made.by_name.entry(report.name.as_str().to_owned()).or_default() += 1;
            made.dropped += u64::from(dropped);
        });
    }

    /// All that wait.
    fn batch(&mut self) -> Batch {
        let mut batch = Batch::default();
        let source = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        for (received, message) in self.pending.drain(..) {
            let origin = Origin { received, source, transport: Transport::Own, cut: false };
            batch.push(origin, message.as_bytes());
        }
        batch
    }
}

/// How the run ends, as soon as it does; nobody being left to say so means the usual way.
async fn ended(end: &mut watch::Receiver<Option<Name>>) -> Name {
    // The guard that `wait_for` returns must not be held over an await.
    drop(end.wait_for(Option::is_some).await);
    end.borrow().unwrap_or(Name::Stopped)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::connector::certificate::Certificate;

    fn messages(batch: &Batch) -> Vec<String> {
        batch.iter().map(|(_, message)| String::from_utf8(message.to_vec()).unwrap()).collect()
    }

    /// The names in a batch, in order.
    fn names(batch: &Batch) -> Vec<String> {
        messages(batch).iter().map(|message| message.split(' ').nth(5).unwrap().to_owned()).collect()
    }

    struct Bench {
        dir: tempfile::TempDir,
        counts: Arc<Counts>,
    }

    impl Bench {
        fn new() -> Self {
            Self { dir: tempfile::tempdir().unwrap(), counts: Arc::default() }
        }

        fn begin(&self, places: usize) -> (Reporter, mpsc::Receiver<Batch>) {
            let (sink, batches) = mpsc::channel(places);
            let begin = Begin {
                mode: Mode::Stage,
                started: "2026-01-02T03:04:05Z",
                spool_id: "0123abcd",
                spool: &Report::quiet().spool,
                last_run: LastRun::of(self.dir.path(), Mode::Stage),
            };
            let counts = Arc::clone(&self.counts);
            (Reporter::begin(begin, Arc::new(SystemClock), sink, counts), batches)
        }
    }

    #[tokio::test]
    async fn a_run_that_did_not_end_in_order_is_told_by_the_next_one() {
        let bench = Bench::new();
        let (killed, mut batches) = bench.begin(4);
        assert_eq!(names(&batches.recv().await.unwrap()), ["started"]);
        drop(killed);
        let (reporter, mut batches) = bench.begin(4);
        let first = batches.recv().await.unwrap();
        assert_eq!(names(&first), ["restarted-after-crash", "started"]);
        assert!(messages(&first)[0].ends_with(" previousStart=\"2026-01-02T03:04:05Z\""), "{first:?}");
        let (end, ended) = watch::channel(None);
        end.send_replace(Some(Name::Stopped));
        reporter.run(Arc::new(Report::quiet), ended).await;
        assert_eq!(names(&batches.recv().await.unwrap()), ["stopped"]);
        assert!(batches.recv().await.is_none(), "its side of the channel is closed");
        let (_, mut batches) = bench.begin(4);
        assert_eq!(names(&batches.recv().await.unwrap()), ["started"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_channel_without_room_keeps_neither_the_looks_nor_the_end_waiting() {
        let bench = Bench::new();
        // One place, and `started` takes it: the intake takes nothing.
        let (reporter, mut batches) = bench.begin(1);
        let (end, ended) = watch::channel(None);
        let looks = Arc::new(Mutex::new(0_i64));
        let look = {
            let looks = Arc::clone(&looks);
            // Another certificate with each look: more than can wait, one a minute.
            move || {
                let mut looks = looks.lock().unwrap();
                *looks += 1;
                let mut report = Report::quiet();
                let not_after_s = i64::MAX / 2 + *looks;
                report.certificate = Some(Certificate { subject: "uni".to_owned(), not_after_s });
                report
            }
        };
        let running = tokio::spawn(reporter.run(Arc::new(look), ended));
        tokio::time::sleep(Duration::from_secs(60 * 80)).await;
        assert!(*looks.lock().unwrap() > 60 * 70);
        let made = bench.counts.made();
        let replaced = made.by_name[Name::CertificateReplaced.as_str()];
        assert!(replaced > MAX_PENDING as u64, "{made:?}");
        assert_eq!(made.dropped, replaced - MAX_PENDING as u64);
        end.send_replace(Some(Name::Stopped));
        timeout(LAST_WORDS * 2, running).await.expect("it ends").unwrap();
        assert_eq!(names(&batches.recv().await.unwrap()), ["started"]);
        assert!(batches.recv().await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn reports_go_out_together_when_there_is_room_again() {
        let bench = Bench::new();
        let (reporter, mut batches) = bench.begin(1);
        let (end, ended) = watch::channel(None);
        let look = || {
            let mut report = Report::quiet();
            report.spool.full = true;
            report.spool.size_bytes = report.spool.max_bytes;
            report
        };
        let running = tokio::spawn(reporter.run(Arc::new(look), ended));
        tokio::time::sleep(LOOK * 3).await;
        assert_eq!(names(&batches.recv().await.unwrap()), ["started"]);
        let batch = batches.recv().await.unwrap();
        assert_eq!(names(&batch), ["spool-over-95", "spool-full"]);
        let (origin, _) = batch.get(0).unwrap();
        assert_eq!((origin.transport, origin.cut), (Transport::Own, false));
        end.send_replace(Some(Name::Failed));
        assert_eq!(names(&batches.recv().await.unwrap()), ["failed"]);
        running.await.unwrap();
    }
}
