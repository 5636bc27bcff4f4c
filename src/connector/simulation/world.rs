//! Six receivers and the network to them: latency, partitions, resets; receivers that acknowledge in part, are slow, fall
//! silent, speak garbage, and die before and after they have answered.

use super::chance::Chance;
use super::oracle::{Happened, Oracle};
use crate::tls::Fault;
use crate::tls::fault::Step;
use crate::uplink::lumberjack::{Decoder, Frame, Limits, ack};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, duplex, split};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, sleep_until};

pub const RECEIVERS: usize = 6;

/// Bytes that a wire holds in each direction: small, so that writing waits for reading.
const WIRE_BYTES: usize = 4096;

/// A time in which nothing gets through to these receivers.
#[derive(Debug, Clone, Copy)]
pub struct Partition {
    pub from: Duration,
    pub until: Duration,
    /// One bit for each receiver.
    pub receivers: u64,
    /// Connections do not survive it.
    pub resets: bool,
}

/// How a receiver treats one connection.
#[derive(Debug, Clone, Copy)]
enum Manner {
    /// Stores and acknowledges each window after so long.
    Whole(Duration),
    /// Acknowledges every so many events, with a keep-alive before each.
    Parts(u64),
    /// Reads so many frames, each slowly, and answers nothing.
    Silent(u64),
    /// Answers this many frames with garbage.
    Garbage(u64),
    /// Dies in the middle of a window.
    DiesAfter(u64),
    /// Dies right after its first acknowledgement.
    DiesAnswering,
}

pub struct World {
    pub oracle: Mutex<Oracle>,
    chance: Mutex<Chance>,
    partitions: Vec<Partition>,
    begun: Instant,
    receivers: Mutex<[Receiver; RECEIVERS]>,
    /// From now on every receiver is a good one.
    calm: Mutex<bool>,
}

#[derive(Default)]
struct Receiver {
    is_down: bool,
    connections: Vec<AbortHandle>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl World {
    pub fn new(seed: u64, partitions: Vec<Partition>) -> Self {
        Self {
            oracle: Mutex::default(),
            chance: Mutex::new(Chance::new(seed)),
            partitions,
            begun: Instant::now(),
            receivers: Mutex::default(),
            calm: Mutex::new(false),
        }
    }

    pub fn oracle(&self) -> MutexGuard<'_, Oracle> {
        lock(&self.oracle)
    }

    pub fn note(&self, happened: Happened) {
        let at = self.begun.elapsed().as_micros();
        self.oracle().trace.push((at, happened));
    }

    pub fn chance(&self) -> MutexGuard<'_, Chance> {
        lock(&self.chance)
    }

    pub fn calm_down(&self) {
        *lock(&self.calm) = true;
    }

    /// A receiver's process dies: its connections break, and for a time nobody listens there.
    pub async fn crash(&self, receiver: usize, down: Duration) {
        self.note(Happened::Crashed { receiver });
        {
            let mut receivers = lock(&self.receivers);
            receivers[receiver].is_down = true;
            for connection in receivers[receiver].connections.drain(..) {
                connection.abort();
            }
        }
        sleep(down).await;
        lock(&self.receivers)[receiver].is_down = false;
    }

    /// The partition that keeps a receiver apart at this moment.
    fn partition(&self, receiver: usize) -> Option<Partition> {
        let now = self.begun.elapsed();
        let apart = |partition: &&Partition| {
            partition.from <= now && now < partition.until && partition.receivers >> receiver & 1 == 1
        };
        self.partitions.iter().find(apart).copied()
    }

    /// Connects to a receiver.
    pub async fn dial(self: &Arc<Self>, receiver: usize, bound: Duration) -> Result<DuplexStream, Fault> {
        let latency = self.chance().millis(0, 30);
        if self.partition(receiver).is_some() {
            sleep(bound).await;
            return Err(Fault::Timeout(Step::Connect));
        }
        sleep(latency).await;
        if lock(&self.receivers)[receiver].is_down {
            self.note(Happened::Refused { receiver });
            return Err(Fault::Connect("connection refused".to_owned()));
        }
        let manner = self.manner();
        self.note(Happened::Connected { receiver, manner: format!("{manner:?}") });
        let (ours, near) = duplex(WIRE_BYTES);
        let (far, theirs) = duplex(WIRE_BYTES);
        let serving = tokio::spawn({
            let world = Arc::clone(self);
            async move { world.serve(receiver, manner, theirs).await }
        });
        lock(&self.receivers)[receiver].connections.push(serving.abort_handle());
        tokio::spawn({
            let world = Arc::clone(self);
            async move { world.carry_both(receiver, latency, near, far).await }
        });
        Ok(ours)
    }

    fn manner(&self) -> Manner {
        let mut chance = self.chance();
        if *lock(&self.calm) {
            return Manner::Whole(Duration::from_millis(1));
        }
        match chance.within(0, 11) {
            0..=4 => Manner::Whole(chance.millis(0, 400)),
            5 | 6 => Manner::Parts(chance.within(1, 9)),
            7 => Manner::Silent(chance.within(0, 40)),
            8 => Manner::Garbage(chance.within(1, 40)),
            9 | 10 => Manner::DiesAfter(chance.within(1, 60)),
            _ => Manner::DiesAnswering,
        }
    }

    /// Carries bytes both ways until one side has gone or the connection is reset.
    async fn carry_both(
        self: Arc<Self>,
        receiver: usize,
        latency: Duration,
        near: DuplexStream,
        far: DuplexStream,
    ) {
        let (near_read, near_write) = split(near);
        let (far_read, far_write) = split(far);
        tokio::select! {
            biased;
            // What the sender left on the wire still arrives after it has gone.
            () = self.carry(receiver, latency, near_read, far_write) => {}
            () = self.carry(receiver, latency, far_read, near_write) => {}
        }
        self.note(Happened::Reset { receiver });
    }

    async fn carry(
        &self,
        receiver: usize,
        latency: Duration,
        mut from: impl AsyncRead + Unpin,
        mut to: impl AsyncWrite + Unpin,
    ) {
        let mut bytes = vec![0; WIRE_BYTES];
        loop {
            let most = self.chance().within(1, WIRE_BYTES as u64) as usize;
            let Ok(length @ 1..) = from.read(&mut bytes[..most]).await else { return };
            sleep(latency).await;
            while let Some(partition) = self.partition(receiver) {
                sleep_until(self.begun + partition.until).await;
                if partition.resets {
                    return;
                }
            }
            if to.write_all(&bytes[..length]).await.is_err() {
                return;
            }
        }
    }

    /// A receiver serves one connection.
    async fn serve(self: Arc<Self>, receiver: usize, manner: Manner, mut stream: DuplexStream) {
        let mut decoder = Decoder::new(Limits::RECEIVER);
        // The window that is coming in: its length, how many came, and what came and is not stored yet.
        let (mut length, mut came) = (0, 0);
        let mut open: Vec<(u64, u64)> = Vec::new();
        let mut frames = 0;
        let mut bytes = [0; 1024];
        loop {
            let Ok(count @ 1..) = stream.read(&mut bytes).await else { return };
            decoder.feed(&bytes[..count]);
            let mut answer = Vec::new();
            let mut last = false;
            loop {
                match decoder.next() {
                    Ok(None) => break,
                    Ok(Some(Frame::Window(count))) => (length, came) = (count, 0),
                    Ok(Some(Frame::Event { sequence, json })) => {
                        let (id, seq, event) = read_event(json);
                        came += 1;
                        open.push((seq, event));
                        self.note(Happened::Arrived { receiver, seq });
                        let mut oracle = self.oracle();
                        oracle.check(sequence == came, || {
                            format!("event {came} of a window has number {sequence}")
                        });
                        oracle.arrived(&id, seq, event);
                    }
                    Ok(Some(Frame::Ack(_))) => {
                        self.oracle().check(false, || "the sender acknowledges".to_owned());
                    }
                    Err(garbage) => {
                        self.oracle().check(false, || format!("the sender speaks garbage: {garbage}"));
                        return;
                    }
                }
                frames += 1;
                let whole = length > 0 && came == length;
                match manner {
                    Manner::Silent(after) if frames >= after => {
                        self.read_on(&mut stream).await;
                        return;
                    }
                    Manner::Garbage(after) if frames >= after => {
                        answer.extend_from_slice(b"HTTP/1.1 400 Bad Request\r\n\r\n");
                        last = true;
                        break;
                    }
                    Manner::DiesAfter(after) if frames >= after => return,
                    Manner::Parts(every) if came > 0 && (whole || u64::from(came) % every == 0) => {
                        answer.extend_from_slice(&ack(0));
                        self.store(receiver, &mut open);
                        answer.extend_from_slice(&ack(came));
                    }
                    Manner::Whole(wait) if whole => {
                        sleep(wait).await;
                        self.store(receiver, &mut open);
                        answer.extend_from_slice(&ack(came));
                    }
                    Manner::DiesAfter(_) | Manner::DiesAnswering if whole => {
                        self.store(receiver, &mut open);
                        answer.extend_from_slice(&ack(came));
                        last = matches!(manner, Manner::DiesAnswering);
                    }
                    _ => {}
                }
                if whole {
                    (length, came) = (0, 0);
                }
                if last {
                    break;
                }
            }
            if stream.write_all(&answer).await.is_err() || last {
                return;
            }
        }
    }

    fn store(&self, receiver: usize, open: &mut Vec<(u64, u64)>) {
        let Some(&(through, _)) = open.last() else { return };
        self.note(Happened::Stored { receiver, through });
        let mut oracle = self.oracle();
        for (seq, event) in open.drain(..) {
            oracle.stored(seq, event);
        }
    }

    /// Takes what comes, says nothing.
    async fn read_on(&self, stream: &mut DuplexStream) {
        let mut bytes = [0; 512];
        while let Ok(1..) = stream.read(&mut bytes).await {
            let wait = self.chance().millis(0, 50);
            sleep(wait).await;
        }
    }
}

/// `connector.id`, `connector.seq`, and the number in the text, found without a JSON parser, which thousands of runs
/// would mostly spend their time in; the tests of the event's JSON are elsewhere.
fn read_event(json: &[u8]) -> (String, u64, u64) {
    let json = std::str::from_utf8(json).expect("JSON is UTF-8");
    let behind = |key: &str, end: char| {
        let start = json.find(key).unwrap_or_else(|| panic!("no {key} in {json}")) + key.len();
        json[start..].split(end).next().unwrap_or_default()
    };
    let digits = |text: &str| -> u64 {
        let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        text[..end].parse().expect("a number")
    };
    (
        behind("\"id\":\"", '"').to_owned(),
        digits(behind("\"seq\":", '}')),
        digits(behind("\"body\":\"number ", '"')),
    )
}
