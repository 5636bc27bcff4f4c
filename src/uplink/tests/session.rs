//! One connection, over a pipe, with a paused clock.

use super::*;
use crate::settings::{Endpoint, StreamFormat};
use crate::uplink::lumberjack::{Decoder, Frame, Limits, ack};
use crate::uplink::session::{self, Ended, Lost};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// The receiver's end of a pipe, and the connection's end when it comes.
pub(super) struct Receiver {
    stream: DuplexStream,
    decoder: Decoder,
    stop: watch::Sender<Stop>,
    session: JoinHandle<(Ended, Link<PlainWriter>)>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Got {
    Window(u32),
    /// Number within the window, and `connector.seq`.
    Event(u32, u64),
}

impl Receiver {
    pub fn new(queue: &Arc<MemoryQueue>, settings: settings::Uplink) -> Self {
        Self::with(link(Arc::<MemoryQueue>::clone(queue), queue.durable(), settings))
    }

    /// The next connection.
    pub fn with(link: Link<PlainWriter>) -> Self {
        Self::with_pipe(link, 1 << 20)
    }

    /// A connection that holds so many bytes that are not read.
    fn with_pipe(mut link: Link<PlainWriter>, bytes: usize) -> Self {
        let (ours, theirs) = tokio::io::duplex(bytes);
        let (stop, stopped) = watch::channel(Stop::Running);
        link.stop = stopped;
        let session = tokio::spawn(async move {
            let ended = session::run(&mut link, &endpoint(), ours, watch::channel(false).1).await;
            (ended, link)
        });
        Self { stream: theirs, decoder: Decoder::new(Limits::RECEIVER), stop, session }
    }

    pub async fn frame(&mut self) -> Got {
        loop {
            if let Some(frame) = self.decoder.next().unwrap() {
                return match frame {
                    Frame::Window(count) => Got::Window(count),
                    Frame::Event { sequence, json } => {
                        let event: serde_json::Value = serde_json::from_slice(json).unwrap();
                        Got::Event(sequence, event["connector"]["seq"].as_u64().unwrap())
                    }
                    Frame::Ack(_) => panic!("a sender does not acknowledge"),
                };
            }
            let mut bytes = [0; 4096];
            let length = self.stream.read(&mut bytes).await.unwrap();
            assert_ne!(length, 0, "the sender has left");
            self.decoder.feed(&bytes[..length]);
        }
    }

    /// Takes a whole window; its events' sequence numbers.
    async fn window(&mut self) -> Vec<u64> {
        let Got::Window(count) = self.frame().await else { panic!("a window is due") };
        let mut seqs = Vec::new();
        for number in 1..=count {
            let Got::Event(sequence, seq) = self.frame().await else { panic!("an event is due") };
            assert_eq!(sequence, number);
            seqs.push(seq);
        }
        seqs
    }

    pub async fn ack(&mut self, sequence: u32) {
        self.stream.write_all(&ack(sequence)).await.unwrap();
    }

    /// Nothing comes for a long time.
    async fn assert_silence(&mut self, wait: Duration) {
        assert!(timeout(wait, self.frame()).await.is_err());
    }

    /// Closes its end, whatever it has read.
    pub async fn die(self) -> (Lost, Link<PlainWriter>) {
        let Self { stream, session, stop: _stop, .. } = self;
        drop(stream);
        ended(session.await.unwrap())
    }

    async fn lost(self) -> (Lost, Link<PlainWriter>) {
        ended(self.session.await.unwrap())
    }
}

fn endpoint() -> Endpoint {
    Endpoint { host: "receiver".to_owned(), port: 443 }
}

fn ended(session: (Ended, Link<PlainWriter>)) -> (Lost, Link<PlainWriter>) {
    match session {
        (Ended::Lost(lost), link) => (lost, link),
        _ => panic!("the connection ended without an error"),
    }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[tokio::test(start_paused = true)]
async fn windows_go_out_until_so_many_are_in_flight_and_acknowledgements_make_room() {
    let queue = MemoryQueue::new(100);
    let mut receiver = Receiver::new(&queue, settings::Uplink { windows_in_flight: 2, ..settings() });
    assert_eq!(receiver.window().await, (1..=10).collect::<Vec<_>>(), "made of two chunks");
    assert_eq!(receiver.window().await, (11..=20).collect::<Vec<_>>());
    receiver.assert_silence(seconds(30)).await;
    receiver.ack(10).await;
    assert_eq!(receiver.window().await[0], 21);
    receiver.assert_silence(seconds(30)).await;
    queue.until_acknowledged(10).await;
    // Two windows at once.
    receiver.stream.write_all(&[ack(10), ack(10)].concat()).await.unwrap();
    queue.until_acknowledged(30).await;
    assert_eq!(receiver.window().await[0], 31);
}

#[tokio::test(start_paused = true)]
async fn what_becomes_durable_later_is_sent_at_once() {
    let queue = MemoryQueue::new(0);
    let mut receiver = Receiver::new(&queue, settings());
    receiver.assert_silence(seconds(3600)).await;
    queue.push(1);
    assert_eq!(receiver.window().await, [1]);
    receiver.ack(1).await;
    queue.until_acknowledged(1).await;
    queue.push(2);
    assert_eq!(receiver.window().await, [2, 3]);
}

#[tokio::test(start_paused = true)]
async fn a_partial_acknowledgement_counts_although_the_connection_is_lost_then() {
    let queue = MemoryQueue::new(10);
    let mut receiver = Receiver::new(&queue, settings());
    receiver.window().await;
    receiver.ack(4).await;
    queue.until_acknowledged(4).await;
    receiver.ack(6).await;
    receiver.stream.shutdown().await.unwrap();
    let (lost, link) = receiver.lost().await;
    assert!(lost.worked && !lost.idle && !lost.refused);
    assert_eq!(lost.error.code(), Code::ReceiverLost);
    assert_eq!(queue.acknowledged(), 6, "told before the connection's end was seen");
    let snapshot = link.status.snapshot();
    assert_eq!((snapshot.events_sent, snapshot.events_acknowledged), (10, 6));
    assert_eq!(snapshot.events_by_rule["plain"], 10);
}

#[tokio::test(start_paused = true)]
async fn a_keep_alive_is_a_sign_of_life_and_silence_is_not() {
    let queue = MemoryQueue::new(10);
    let mut receiver = Receiver::new(&queue, settings::Uplink { ack_timeout: seconds(60), ..settings() });
    receiver.window().await;
    for _ in 0..4 {
        receiver.assert_silence(seconds(50)).await;
        receiver.ack(0).await;
    }
    assert!(!receiver.session.is_finished(), "alive for three minutes");
    let silent_since = Instant::now();
    let (lost, link) = receiver.lost().await;
    assert_eq!(silent_since.elapsed().as_secs(), 60);
    assert_eq!(lost.error.code(), Code::ReceiverSilent);
    assert!(!lost.worked && link.cautious);
    assert_eq!(queue.acknowledged(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_stops_reading_is_left() {
    let queue = MemoryQueue::new(1_000_000);
    let settings = settings::Uplink { window_events: 50_000, ack_timeout: seconds(60), ..settings() };
    let receiver = Receiver::new(&queue, settings);
    // Its end stays open, but nobody reads.
    let Receiver { stream: _open, session, .. } = receiver;
    let (Ended::Lost(lost), _) = session.await.unwrap() else {
        panic!("the connection ended without an error")
    };
    assert_eq!(lost.error.code(), Code::ReceiverSilent);
}

#[tokio::test(start_paused = true)]
async fn silence_while_nothing_is_in_flight_is_nobodys_fault() {
    let queue = MemoryQueue::new(1);
    let mut receiver = Receiver::new(&queue, settings());
    receiver.window().await;
    receiver.ack(1).await;
    receiver.assert_silence(seconds(24 * 3600)).await;
    receiver.stream.shutdown().await.unwrap();
    let (lost, _) = receiver.lost().await;
    assert!(lost.idle);
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_fell_silent_gets_one_window_at_a_time_on_the_next_connection() {
    let queue = MemoryQueue::new(100);
    let mut receiver = Receiver::new(&queue, settings());
    for _ in 0..4 {
        receiver.window().await;
    }
    let (_, link) = receiver.lost().await;
    assert!(link.cautious);
    let status = Arc::clone(&link.status);
    let mut receiver = Receiver::with(link);
    assert_eq!(receiver.window().await[0], 1, "sent again, from the first that was not acknowledged");
    receiver.assert_silence(seconds(30)).await;
    assert_eq!(status.snapshot().events_retransmitted, 10);
    receiver.ack(10).await;
    assert_eq!(receiver.window().await[0], 11);
}

#[tokio::test(start_paused = true)]
async fn what_is_no_acknowledgement_ends_the_connection() {
    for garbage in
        [&b"HTTP/1.1 400 Bad Request\r\n"[..], b"2W\0\0\0\x01", &ack(11), b"2J\0\0\0\x01\0\0\0\x01"]
    {
        let queue = MemoryQueue::new(10);
        let mut receiver = Receiver::new(&queue, settings());
        receiver.window().await;
        receiver.stream.write_all(garbage).await.unwrap();
        let (lost, _) = receiver.lost().await;
        assert_eq!(lost.error.code(), Code::ReceiverGarbage, "{}", garbage.escape_ascii());
        assert_eq!(queue.acknowledged(), 0);
    }
}

/// One large window through a narrow pipe, most of which cannot have arrived when its first frame is read.
async fn half_written(compression: u8) -> (Arc<MemoryQueue>, Receiver, u32) {
    const EVENTS: usize = 50_000;
    let queue = MemoryQueue::new(EVENTS);
    let settings = settings::Uplink { window_events: EVENTS, compression, ..settings() };
    let link = link(Arc::<MemoryQueue>::clone(&queue), queue.durable(), settings);
    let mut receiver = Receiver::with_pipe(link, 8 * 1024);
    let Got::Window(count) = receiver.frame().await else { panic!("a window is due") };
    (queue, receiver, count)
}

#[tokio::test(start_paused = true)]
async fn an_acknowledgement_of_what_was_not_sent_is_not_believed() {
    // The whole window; a part, as where a receiver repeats what it said of a window before; of a compressed one any.
    for (compression, all_but) in [(0, 0), (0, 1), (9, 49_999)] {
        let (queue, mut receiver, count) = half_written(compression).await;
        receiver.ack(count.saturating_sub(all_but).max(1)).await;
        let Receiver { stream: _open, session, .. } = receiver;
        let (lost, link) = ended(session.await.unwrap());
        assert_eq!(lost.error.code(), Code::ReceiverGarbage, "{compression}, {all_but}");
        assert_eq!((queue.acknowledged(), link.acknowledged), (0, 0), "{compression}, {all_but}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_has_arrived_of_a_window_may_be_acknowledged_while_the_rest_is_written() {
    let (queue, mut receiver, count) = half_written(0).await;
    for number in 1..=count {
        assert_eq!(receiver.frame().await, Got::Event(number, number.into()));
        if number <= 3 {
            receiver.ack(number).await;
            queue.until_acknowledged(number.into()).await;
        }
    }
    receiver.ack(count).await;
    queue.until_acknowledged(count.into()).await;
}

#[tokio::test(start_paused = true)]
async fn draining_ends_with_the_last_acknowledgement_or_at_its_deadline() {
    for answers in [true, false] {
        let queue = MemoryQueue::new(15);
        let mut receiver = Receiver::new(&queue, settings());
        receiver.window().await;
        receiver.window().await;
        let begun = Instant::now();
        receiver.stop.send_replace(Stop::Drain { deadline: begun + seconds(20) });
        if answers {
            receiver.stream.write_all(&[ack(10), ack(5)].concat()).await.unwrap();
        }
        let (ended, _) = receiver.session.await.unwrap();
        assert!(matches!(ended, Ended::Done));
        assert_eq!(queue.acknowledged(), if answers { 15 } else { 0 });
        assert_eq!(begun.elapsed().as_secs(), if answers { 0 } else { 20 });
        // The receiver sees an orderly end.
        assert_eq!(receiver.stream.read(&mut [0; 1]).await.unwrap(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn what_became_durable_right_before_the_stop_is_delivered() {
    for news_first in [true, false] {
        let queue = MemoryQueue::new(1);
        let mut receiver = Receiver::new(&queue, settings());
        receiver.window().await;
        receiver.ack(1).await;
        queue.until_acknowledged(1).await;
        // Idle now. The connection hears of both at once.
        let drain = Stop::Drain { deadline: Instant::now() + seconds(20) };
        if news_first {
            queue.push(1);
            receiver.stop.send_replace(drain);
        } else {
            receiver.stop.send_replace(drain);
            queue.push(1);
        }
        assert_eq!(receiver.window().await, [2]);
        receiver.ack(1).await;
        let (ended, _) = receiver.session.await.unwrap();
        assert!(matches!(ended, Ended::Done));
        assert_eq!(queue.acknowledged(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn ndjson_takes_what_is_written_for_delivered() {
    let queue = MemoryQueue::new(25);
    let mut receiver = Receiver::new(&queue, settings::Uplink { format: StreamFormat::Ndjson, ..settings() });
    queue.until_acknowledged(25).await;
    // What the receiver says means nothing.
    receiver.stream.write_all(b"hello").await.unwrap();
    receiver.stop.send_replace(Stop::Drain { deadline: Instant::now() + seconds(20) });
    let mut text = String::new();
    receiver.stream.read_to_string(&mut text).await.unwrap();
    let seqs: Vec<u64> = text
        .lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["connector"]["seq"].as_u64().unwrap()
        })
        .collect();
    assert_eq!(seqs, (1..=25).collect::<Vec<_>>());
    assert!(text.ends_with('\n'));
}

/// A queue whose disk takes its time: acknowledgements are recorded when the test lets them.
struct SlowQueue {
    memory: Arc<MemoryQueue>,
    permits: Mutex<std::sync::mpsc::Receiver<()>>,
}

impl Queue for SlowQueue {
    fn id(&self) -> &'static str {
        "slow"
    }

    fn read_after(&self, seq: u64, max_events: usize, max_bytes: usize) -> Result<Option<Chunk>> {
        self.memory.read_after(seq, max_events, max_bytes)
    }

    fn acknowledged(&self) -> u64 {
        self.memory.acknowledged()
    }

    fn set_aside(&self, _seq: u64) -> Result<()> {
        unreachable!("nothing is refused here")
    }

    fn acknowledge(&self, seq: u64) -> Result<()> {
        self.permits.lock().unwrap().recv().unwrap();
        self.memory.acknowledge(seq)
    }
}

#[tokio::test(start_paused = true)]
async fn acknowledgements_that_came_while_the_disk_was_busy_are_recorded_although_the_connection_is_lost() {
    let (permit, permits) = std::sync::mpsc::channel();
    let memory = MemoryQueue::new(10);
    let queue = Arc::new(SlowQueue { memory: Arc::clone(&memory), permits: Mutex::new(permits) });
    let mut receiver = Receiver::with(link(queue, memory.durable(), settings()));
    receiver.window().await;
    receiver.ack(3).await;
    permit.send(()).unwrap();
    memory.until_acknowledged(3).await;
    // The next is under way on the disk while two more come in and the connection ends.
    for sequence in [4, 5, 6] {
        receiver.ack(sequence).await;
    }
    receiver.stream.shutdown().await.unwrap();
    for _ in 0..2 {
        permit.send(()).unwrap();
    }
    let (_, link) = receiver.lost().await;
    assert_eq!((memory.acknowledged(), link.recorded), (6, 6));
}
