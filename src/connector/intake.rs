//! From the listener's channel into the spool: one thread that appends what has come and syncs once for all of it.
//!
//! The thread owns the pace of syncs. The uplink sends only what is on the disk, so an event waits for a sync before it
//! leaves; and a sync costs about the same for one event as for ten thousand. So the uplink asks: as soon as it has read
//! all that is durable it raises the [`Demand`], and what has come by then, or the next batch that comes, is synced at
//! once. While the uplink has work, or is not connected, nobody asks, and the interval of the settings is the bound on
//! what a power cut costs. Syncs on demand leave the disk at least as much time as the last one took, so a slow disk is
//! used for half of the time at most, and what waits meanwhile is synced together.
//!
//! Waking up and writing cost the same for one event as for hundreds. So the thread takes all batches that wait and appends
//! them together, and while they come it rests a moment after each round, in which the next ones gather without waking it. The
//! first one after a silence is taken at once.
//!
//! Where the processors cannot do all of it, taking in comes to an end sooner than sending, for it is less work: the backlog
//! would grow although the receiver takes everything, out of memory and onto the disk, and reading it from there makes
//! sending slower still. So, when what is not acknowledged fills half of the spool's memory, TCP senders wait a moment for the
//! uplink now and then ([`HOLD`]). Only while it gets on: a receiver that takes nothing is no reason to let a sender wait.
//!
//! While the spool cannot take a batch (full, disk trouble) the thread keeps it and tries again, so the channel fills up
//! and TCP senders wait; nothing that was taken from the channel is dropped here. Where the process ends meanwhile, the
//! spool takes it in beyond its bound.

use crate::batch::{Batch, Transport};
use crate::error::Result;
use crate::listener::BATCH_MESSAGES;
use crate::spool::{Append, Queue as _, Spool};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::Instant;

/// Batches between listener and spool. With [`crate::listener::BATCH_BYTES`] each, 16 MiB at most.
pub(super) const CHANNEL_BATCHES: usize = 64;
/// Batches that wait are joined to one until it has so many bytes: one entry in the spool's memory for all of them. Beyond it
/// an entry costs what its bytes cost, and joining them would only be another copy.
const JOIN_BYTES: usize = 32 * 1024;
/// A round takes so many bytes at least, where so many wait: the spool writes them together.
const ROUND_BYTES: usize = 512 * 1024;
/// Rest between two rounds while batches come: what an event may be late.
const REST: Duration = Duration::from_millis(1);
/// Where a round found so many batches, the channel would fill up in a rest, and thousands of senders wait for each other.
const BUSY_BATCHES: usize = CHANNEL_BATCHES / 2;
/// What the spool takes in beyond its bound while the process ends: what the channel and the inputs hold, as it is on the
/// disk, and most of what the kernel took from a few senders that waited.
const OVERDRAFT_BYTES: u64 = 64 << 20;
/// The spool is tried again after so long even when no acknowledgement made room: the disk may have come back.
const RETRY: Duration = Duration::from_secs(1);
/// While nothing comes in, the spool's state is brought to the disk so often, where that was left.
const SETTLE: Duration = Duration::from_secs(1);

/// Between a sync and the next one on demand, at least: on a disk that syncs in no time this is what bounds the number of
/// syncs, to 250 a second, and with them the windows that are sent, which cost more than the events in them where these are
/// few. What it adds to an event's way is a part of what a receiver may expect (20 ms for 99 of 100).
const SYNC_PAUSE: Duration = Duration::from_millis(4);

/// So many bytes of messages are synced without waiting for the interval, like on demand: as long as they wait, what was
/// durable before is sent, and both must fit into what the spool keeps in memory, or the uplink has to read the disk.
const SYNC_BYTES: usize = 4 << 20;

/// How long the uplink may be waited for after each [`SYNC_BYTES`] from TCP senders, while it is behind and gets on. Behind a
/// link that is slow and not dead more than 150 MB a second are taken in all the same, and the datagrams of UDP that come
/// meanwhile find room in the channel.
const HOLD: Duration = Duration::from_millis(20);

/// What the uplink says to the thread: it has read everything that is durable.
#[derive(Debug, Default)]
pub(super) struct Demand {
    raised: AtomicBool,
    news: Notify,
}

impl Demand {
    /// Asks for a sync of what is not durable, or of the next batch where all is.
    pub(super) fn raise(&self) {
        if !self.raised.swap(true, Ordering::AcqRel) {
            self.news.notify_one();
        }
    }

    fn is_raised(&self) -> bool {
        self.raised.load(Ordering::Acquire)
    }

    fn clear(&self) {
        self.raised.store(false, Ordering::Release);
    }
}

/// What the thread needs.
pub(super) struct Intake {
    pub(super) spool: Arc<Spool>,
    pub(super) sync_interval: Duration,
    pub(super) batches: mpsc::Receiver<Batch>,
    /// Last durable sequence number, for the uplink.
    pub(super) durable: watch::Sender<u64>,
    /// Raised by the uplink.
    pub(super) demand: Arc<Demand>,
    /// Notified when acknowledgements made room.
    pub(super) space: Arc<Notify>,
    /// How long what has no room may wait.
    pub(super) patience: watch::Receiver<Patience>,
}

/// How long a batch that the spool does not take may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Patience {
    /// As long as it takes.
    Endless,
    /// The process ends: whoever sent it cannot know that it was not kept, so the spool takes it in beyond its bound.
    Ending,
    /// The time for that is over: what has no room is lost, and counted.
    Over,
}

impl Intake {
    /// Runs the thread; it ends when the listener has dropped its side of the channel and all is on disk.
    pub(super) fn spawn(self) -> std::io::Result<std::thread::JoinHandle<()>> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        std::thread::Builder::new().name("spool".into()).spawn(move || runtime.block_on(self.run()))
    }

    /// The thread's work.
    pub(super) async fn run(mut self) {
        let mut pace = Pace::new(self.sync_interval);
        let mut lead = Lead::default();
        let mut first = None;
        loop {
            let round = Instant::now();
            let received = match first.take() {
                Some(batch) => Ok(batch),
                None => self.batches.try_recv(),
            };
            let (came, busy) = match received {
                Ok(batch) => {
                    let (batches, busy) = self.take_waiting(batch);
                    let bytes = batches.iter().map(|batch| batch.size_bytes()).sum();
                    lead.came(&batches);
                    if !self.append(batches).await {
                        break;
                    }
                    pace.appended(bytes);
                    (true, busy)
                }
                Err(TryRecvError::Empty) => (false, false),
                Err(TryRecvError::Disconnected) => break,
            };
            if pace.due(self.demand.is_raised()).is_some_and(|due| due <= Instant::now()) {
                let begun = Instant::now();
                pace.synced(begun, self.sync());
            }
            if lead.is_long() && self.spool.is_behind() {
                lead.waits();
                self.hold(&mut lead, pace.due(self.demand.is_raised())).await;
            }
            if busy {
                continue;
            }
            let due = pace.due(self.demand.is_raised());
            if came {
                let rested = round + REST;
                tokio::time::sleep_until(due.map_or(rested, |due| due.min(rested))).await;
                continue;
            }
            tokio::select! {
                biased;
                () = until(due) => {}
                () = tokio::time::sleep(SETTLE) => self.spool.settle(),
                () = self.demand.news.notified() => {}
                batch = self.batches.recv() => match batch {
                    Some(batch) => first = Some(batch),
                    None => break,
                },
            }
        }
        while !self.sync() && *self.patience.borrow() < Patience::Over {
            tokio::time::sleep(RETRY).await;
        }
    }

    /// The batch and those that wait behind it, small ones joined, and whether there are so many that it is no time to rest.
    fn take_waiting(&mut self, first: Batch) -> (Vec<Arc<Batch>>, bool) {
        let mut taken = Vec::new();
        let (mut last, mut bytes, mut count) = (first, 0, 1);
        let more = loop {
            if bytes + last.size_bytes() >= ROUND_BYTES {
                break true;
            }
            let Ok(next) = self.batches.try_recv() else { break count >= BUSY_BATCHES };
            count += 1;
            if last.size_bytes() < JOIN_BYTES && last.len() < BATCH_MESSAGES {
                last.append(&next);
            } else {
                bytes += last.size_bytes();
                taken.push(Arc::new(std::mem::replace(&mut last, next)));
            }
        };
        taken.push(Arc::new(last));
        (taken, more)
    }

    /// Waits until the uplink is not behind any more, for a moment and no longer than until the next sync is due, unless nothing
    /// was acknowledged since the last time.
    async fn hold(&self, lead: &mut Lead, due: Option<Instant>) {
        let acknowledged = self.spool.acknowledged();
        if lead.acknowledged.replace(acknowledged) == Some(acknowledged) {
            return;
        }
        let until = Instant::now() + HOLD;
        let until = due.map_or(until, |due| due.min(until));
        while self.spool.is_behind() {
            tokio::select! {
                biased;
                () = tokio::time::sleep_until(until) => return,
                () = self.space.notified() => {}
            }
        }
    }

    /// Appends the batches, waiting as long as it takes; beyond the spool's bound when the process ends before there was room.
    /// False where it cannot take them even so; then the channel is closed, and what was in it has been counted.
    async fn append(&mut self, mut batches: Vec<Arc<Batch>>) -> bool {
        let (mut waited, mut is_ending, mut is_granted) = (false, false, false);
        while !batches.is_empty() {
            // On a slow disk, too, what goes beyond the bound ends with the time for it, but for one try.
            let is_over = *self.patience.borrow() == Patience::Over && self.spool.is_overdrawn();
            if is_over && !std::mem::take(&mut is_granted) {
                self.count_lost(&batches).await;
                return false;
            }
            let room = self.space.notified();
            let appended = self.spool.append_some(&batches);
            match &appended {
                Ok(Append::Stored { last_seq, first_seq }) => {
                    let mut stored = (last_seq + 1 - first_seq) as usize;
                    let whole = batches.iter().take_while(|batch| {
                        let is_stored = batch.len() <= stored;
                        stored = stored.saturating_sub(batch.len());
                        is_stored
                    });
                    batches.drain(..whole.count());
                    if waited {
                        tracing::info!("the spool takes events in again");
                        waited = false;
                    }
                    continue;
                }
                _ if waited => {}
                Ok(Append::Full) => tracing::error!("the spool is full; senders have to wait"),
                Err(error) => tracing::error!(%error, "the spool cannot be written; senders have to wait"),
            }
            waited = true;
            // What is durable already can leave meanwhile, and so make room.
            self.sync();
            let next = if is_ending { Patience::Over } else { Patience::Ending };
            tokio::select! {
                biased;
                () = room => {}
                () = tokio::time::sleep(RETRY) => {}
                () = worn(&mut self.patience, next) => {
                    if is_ending {
                        self.count_lost(&batches).await;
                        return false;
                    }
                    is_ending = true;
                    is_granted = matches!(appended, Ok(Append::Full)) && self.spool.overdraw(OVERDRAFT_BYTES);
                    if is_granted {
                        tracing::warn!("ending: the spool takes in what was read beyond its bound");
                    }
                }
            }
        }
        true
    }

    /// Says how many messages are lost, for which there was no room before the process had to end.
    async fn count_lost(&mut self, batches: &[Arc<Batch>]) {
        let mut messages: usize = batches.iter().map(|batch| batch.len()).sum();
        // Closed, so that the listener does not wait for room here.
        self.batches.close();
        while let Some(batch) = self.batches.recv().await {
            messages += batch.len();
        }
        tracing::error!(messages, "ended with messages that the spool had no room for");
    }

    fn sync(&self) -> bool {
        let synced: Result<u64> = self.spool.sync();
        match synced {
            Ok(durable) => {
                // Before the uplink hears of it: what it asks for from now on it asks for knowing this.
                self.demand.clear();
                self.durable.send_if_modified(|last| std::mem::replace(last, durable) != durable);
                true
            }
            Err(error) => {
                tracing::error!(%error, "the spool cannot be synced");
                false
            }
        }
    }
}

/// What TCP senders have sent since they last waited for the uplink.
#[derive(Default)]
struct Lead {
    bytes: usize,
    /// What was acknowledged when they did.
    acknowledged: Option<u64>,
}

impl Lead {
    /// A batch of several inputs counts as one of the first's: they come in turns.
    fn came(&mut self, batches: &[Arc<Batch>]) {
        for batch in batches {
            if batch.get(0).is_some_and(|(origin, _)| origin.transport == Transport::Tcp) {
                self.bytes = self.bytes.saturating_add(batch.size_bytes());
            }
        }
    }

    fn is_long(&self) -> bool {
        self.bytes >= SYNC_BYTES
    }

    fn waits(&mut self) {
        self.bytes = 0;
    }
}

/// When the next sync is due.
struct Pace {
    interval: Duration,
    /// When the oldest batch was appended that is not durable.
    unsynced_since: Option<Instant>,
    /// No sync on demand comes before.
    rested: Instant,
    failed: bool,
    /// Bytes of the messages that are not durable.
    unsynced_bytes: usize,
}

impl Pace {
    fn new(interval: Duration) -> Self {
        Self { interval, unsynced_since: None, rested: Instant::now(), failed: false, unsynced_bytes: 0 }
    }

    fn appended(&mut self, bytes: usize) {
        self.unsynced_since.get_or_insert_with(Instant::now);
        self.unsynced_bytes += bytes;
    }

    /// When to sync; nothing where all is durable.
    fn due(&self, demanded: bool) -> Option<Instant> {
        let latest = self.unsynced_since? + self.interval;
        Some(match (self.failed, demanded || self.unsynced_bytes >= SYNC_BYTES) {
            // Not at once, however short the interval: a disk in trouble is not to be pressed, nor the log to be filled.
            (true, _) => latest.max(self.rested),
            (false, true) => latest.min(self.rested),
            (false, false) => latest,
        })
    }

    fn synced(&mut self, begun: Instant, success: bool) {
        self.failed = !success;
        let ended = Instant::now();
        self.rested = ended + if self.failed { RETRY } else { SYNC_PAUSE.max(ended - begun) };
        self.unsynced_since = self.failed.then_some(ended);
        self.unsynced_bytes = 0;
    }
}

async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

async fn worn(patience: &mut watch::Receiver<Patience>, to: Patience) {
    // The guard that `wait_for` returns must not be held over an await.
    drop(patience.wait_for(|&now| now >= to).await);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::Origin;
    use crate::clock::UnixMicros;
    use crate::settings;

    const PATIENCE: Duration = Duration::from_secs(30);
    const NEVER: Duration = Duration::from_secs(24 * 3600);

    struct Bench {
        _dir: tempfile::TempDir,
        sink: mpsc::Sender<Batch>,
        durable: watch::Receiver<u64>,
        demand: Arc<Demand>,
        spool: Arc<Spool>,
        _patience: watch::Sender<Patience>,
    }

    fn intake(sync_interval: Duration) -> Bench {
        intake_with(sync_interval, Vec::new())
    }

    /// The same with batches that wait already when the thread begins.
    fn intake_with(sync_interval: Duration, waiting: Vec<Batch>) -> Bench {
        let dir = tempfile::tempdir().unwrap();
        let options = settings::Spool { reserve_bytes: 0, ..settings::Spool::default() };
        let spool = Arc::new(Spool::open(dir.path(), (&options).into()).unwrap().0);
        let (sink, batches) = mpsc::channel(CHANNEL_BATCHES);
        for batch in waiting {
            sink.try_send(batch).unwrap();
        }
        let (durable_sender, durable) = watch::channel(0);
        let (patience, worn) = watch::channel(Patience::Endless);
        let demand = Arc::<Demand>::default();
        Intake {
            spool: Arc::clone(&spool),
            sync_interval,
            batches,
            durable: durable_sender,
            demand: Arc::clone(&demand),
            space: Arc::default(),
            patience: worn,
        }
        .spawn()
        .unwrap();
        Bench { _dir: dir, sink, durable, demand, spool, _patience: patience }
    }

    fn batch() -> Batch {
        batch_of(b"<13>x")
    }

    fn batch_of(message: &[u8]) -> Batch {
        let mut batch = Batch::default();
        let origin = Origin {
            received: UnixMicros(1),
            source: "127.0.0.1:1".parse().unwrap(),
            transport: Transport::Tcp,
            cut: false,
        };
        batch.push(origin, message);
        batch
    }

    async fn is_durable(bench: &mut Bench, seq: u64) {
        tokio::time::timeout(PATIENCE, bench.durable.wait_for(|&durable| durable == seq))
            .await
            .unwrap()
            .unwrap();
    }

    #[tokio::test]
    async fn an_uplink_that_has_read_everything_does_not_wait_for_the_interval() {
        let mut bench = intake(NEVER);
        bench.sink.send(batch()).await.unwrap();
        while bench.spool.status().last_seq == 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(bench.spool.status().durable_seq, 0, "nobody asked");
        bench.demand.raise();
        is_durable(&mut bench, 1).await;
        // Asked before there is anything: the next batch is meant.
        bench.demand.raise();
        bench.sink.send(batch()).await.unwrap();
        is_durable(&mut bench, 2).await;
    }

    #[tokio::test]
    async fn small_batches_that_wait_become_one_and_large_ones_stay() {
        let large = vec![b'x'; JOIN_BYTES];
        let texts: Vec<Vec<u8>> = (0..30u8).map(|number| vec![number; 10]).collect();
        let mut waiting: Vec<Batch> = texts.iter().map(|text| batch_of(text)).collect();
        waiting.extend([batch_of(&large), batch_of(&large)]);
        let mut bench = intake_with(Duration::ZERO, waiting);
        is_durable(&mut bench, 32).await;
        let chunks = [0, 31].map(|seq| bench.spool.read_after(seq, usize::MAX, usize::MAX).unwrap().unwrap());
        // The first large one came while there was still room, the second one did not.
        assert_eq!(chunks.clone().map(|chunk| (chunk.first_seq, chunk.range.len())), [(1, 31), (32, 1)]);
        let mut joined = chunks[0].iter().map(|(_, _, message)| message);
        assert!(joined.by_ref().take(30).eq(texts.iter().map(Vec::as_slice)));
        assert!(joined.eq([large.as_slice()]));
    }

    #[tokio::test]
    async fn what_has_no_room_when_the_process_ends_is_taken_in_all_the_same_and_then_counted() {
        let dir = tempfile::tempdir().unwrap();
        let settings = settings::Spool { reserve_bytes: 0, max_bytes: 4 << 20, ..settings::Spool::default() };
        // Few segments, and so few syncs.
        let options = crate::spool::Options { segment_bytes: OVERDRAFT_BYTES, ..(&settings).into() };
        let spool = Arc::new(Spool::open(dir.path(), options).unwrap().0);
        let (sink, batches) = mpsc::channel(CHANNEL_BATCHES);
        let (patience, worn) = watch::channel(Patience::Endless);
        let thread = Intake {
            spool: Arc::clone(&spool),
            sync_interval: NEVER,
            batches,
            durable: watch::channel(0).0,
            demand: Arc::default(),
            space: Arc::default(),
            patience: worn,
        }
        .spawn()
        .unwrap();
        let until = async |is_so: &dyn Fn(crate::spool::Status) -> bool| {
            let seen = async {
                while !is_so(spool.status()) {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            };
            tokio::time::timeout(PATIENCE, seen).await.unwrap();
        };
        // Some more than the bound and what goes beyond it.
        let sender = tokio::spawn(async move {
            for _ in 0..(80 << 20) / JOIN_BYTES {
                if sink.send(batch_of(&vec![b'x'; JOIN_BYTES])).await.is_err() {
                    return false;
                }
            }
            true
        });
        until(&|status| status.disk == crate::spool::DiskState::Full).await;
        assert!(spool.status().size_bytes <= 4 << 20);
        patience.send_replace(Patience::Ending);
        until(&|status| status.size_bytes > OVERDRAFT_BYTES && status.disk == crate::spool::DiskState::Full)
            .await;
        assert!(!thread.is_finished(), "there may be room yet");
        patience.send_replace(Patience::Over);
        assert!(!sender.await.unwrap(), "nobody takes the rest");
        tokio::task::spawn_blocking(|| thread.join().unwrap()).await.unwrap();
        let status = spool.status();
        assert_eq!(status.durable_seq, status.last_seq);
        assert!(status.size_bytes <= OVERDRAFT_BYTES + (4 << 20));
    }

    #[tokio::test]
    async fn without_an_uplink_the_interval_counts() {
        let mut bench = intake(Duration::from_millis(1));
        bench.sink.send(batch()).await.unwrap();
        is_durable(&mut bench, 1).await;
        let mut bench = intake(Duration::ZERO);
        bench.sink.send(batch()).await.unwrap();
        is_durable(&mut bench, 1).await;
    }

    #[tokio::test(start_paused = true)]
    async fn tcp_senders_wait_a_moment_for_an_uplink_that_is_behind_and_gets_on() {
        let dir = tempfile::tempdir().unwrap();
        let settings = settings::Spool { reserve_bytes: 0, ..settings::Spool::default() };
        let options = crate::spool::Options { tail_bytes: 1000, ..(&settings).into() };
        let spool = Arc::new(Spool::open(dir.path(), options).unwrap().0);
        let intake = Intake {
            spool: Arc::clone(&spool),
            sync_interval: NEVER,
            batches: mpsc::channel(1).1,
            durable: watch::channel(0).0,
            demand: Arc::default(),
            space: Arc::default(),
            patience: watch::channel(Patience::Endless).1,
        };
        let mut lead = Lead::default();
        let mut waited = async |due: Option<Duration>, meanwhile: &dyn Fn()| {
            let begun = Instant::now();
            let hold = intake.hold(&mut lead, due.map(|due| begun + due));
            let acknowledge = async {
                tokio::time::sleep(HOLD / 4).await;
                meanwhile();
                intake.space.notify_one();
            };
            tokio::select! {
                biased;
                () = hold => {}
                () = async { acknowledge.await; std::future::pending().await } => {}
            }
            begun.elapsed()
        };
        let nothing = || ();
        assert_eq!(waited(None, &nothing).await, Duration::ZERO, "nothing is there");
        for _ in 0..9 {
            spool.append(Arc::new(batch_of(&[b'x'; 60]))).unwrap();
        }
        spool.sync().unwrap();
        assert_eq!(
            waited(None, &nothing).await,
            Duration::ZERO,
            "nothing was acknowledged since the last time"
        );
        spool.acknowledge(1).unwrap();
        assert_eq!(waited(None, &nothing).await, HOLD, "it gets on, and does not catch up");
        assert_eq!(waited(None, &nothing).await, Duration::ZERO, "it does not get on");
        spool.acknowledge(2).unwrap();
        assert_eq!(waited(Some(HOLD / 2), &nothing).await, HOLD / 2, "a sync is due before");
        spool.acknowledge(3).unwrap();
        assert_eq!(waited(None, &|| spool.acknowledge(8).unwrap()).await, HOLD / 4, "it has caught up");

        let datagram = Origin { transport: Transport::Udp, ..*batch().get(0).unwrap().0 };
        let (mut udp, mut lead) = (Batch::default(), Lead::default());
        udp.push(datagram, &vec![b'x'; SYNC_BYTES]);
        lead.came(&[Arc::new(udp)]);
        assert!(!lead.is_long(), "a datagram cannot wait");
        lead.came(&[Arc::new(batch_of(&vec![b'x'; SYNC_BYTES]))]);
        assert!(lead.is_long());
    }

    #[tokio::test(start_paused = true)]
    async fn a_disk_is_left_as_much_time_as_it_took_and_one_in_trouble_more() {
        let took = Duration::from_millis(30);
        let mut pace = Pace::new(Duration::from_millis(100));
        assert_eq!(pace.due(true), None);
        pace.appended(0);
        let begun = Instant::now();
        assert_eq!(pace.due(true), Some(begun));
        assert_eq!(pace.due(false), Some(begun + pace.interval));
        pace.synced(begun, true);
        pace.appended(0);
        assert_eq!(pace.due(true), Some(begun + SYNC_PAUSE));
        tokio::time::advance(took).await;
        pace.synced(begun, true);
        pace.appended(0);
        assert_eq!(pace.due(true), Some(Instant::now() + took));
        pace.synced(Instant::now(), false);
        assert_eq!(pace.due(true), Some(Instant::now() + RETRY));
        let mut pace = Pace::new(Duration::from_secs(1));
        pace.appended(SYNC_BYTES - 1);
        assert_eq!(pace.due(false), Some(Instant::now() + pace.interval));
        pace.appended(1);
        assert_eq!(pace.due(false), pace.due(true));
        let mut pace = Pace::new(Duration::ZERO);
        pace.appended(0);
        pace.synced(Instant::now(), false);
        assert_eq!(pace.due(false), Some(Instant::now() + RETRY));
    }
}
