//! The uplink against receivers that the tests play themselves: `session` and `model` over a pipe with a paused clock,
//! `network` over real TLS on loopback; `refusal` and `sites` over pipes that a scripted network hands out; `feeder` without any.

mod feeder;
mod model;
mod network;
mod refusal;
mod scripted;
mod session;
mod sites;

use super::*;
use crate::batch::{Batch, Origin, Transport};
use crate::clock::UnixMicros;
use crate::spool::Chunk;
use std::sync::Mutex;

/// A queue in memory: message `n` has the sequence number `n`, from 1.
pub(super) struct MemoryQueue {
    messages: Mutex<Vec<Vec<u8>>>,
    acknowledged: watch::Sender<u64>,
    pub set_aside: Mutex<Vec<u64>>,
    /// Nothing more is set aside.
    pub is_full: Mutex<bool>,
    durable: watch::Sender<u64>,
    /// Events in one chunk at most, so that windows are made of several.
    chunk: usize,
}

impl MemoryQueue {
    pub fn new(count: usize) -> Arc<Self> {
        let queue = Arc::new(Self {
            messages: Mutex::default(),
            acknowledged: watch::Sender::new(0),
            set_aside: Mutex::default(),
            is_full: Mutex::default(),
            durable: watch::Sender::new(0),
            chunk: 7,
        });
        queue.push(count);
        queue
    }

    pub fn push(&self, count: usize) {
        let mut messages = self.messages.lock().unwrap();
        let first = messages.len() + 1;
        messages.extend((first..first + count).map(|n| format!("message {n}").into_bytes()));
        self.durable.send_replace(messages.len() as u64);
    }

    pub fn durable(&self) -> watch::Receiver<u64> {
        self.durable.subscribe()
    }

    /// Waits until everything up to `seq` is acknowledged.
    pub async fn until_acknowledged(&self, seq: u64) {
        self.acknowledged.subscribe().wait_for(|&acknowledged| acknowledged >= seq).await.unwrap();
    }
}

impl Queue for MemoryQueue {
    fn id(&self) -> &'static str {
        "memory"
    }

    fn read_after(&self, seq: u64, max_events: usize, _max_bytes: usize) -> Result<Option<Chunk>> {
        let messages = self.messages.lock().unwrap();
        let start = usize::try_from(seq).unwrap();
        let count = messages.len().saturating_sub(start).min(max_events).min(self.chunk);
        if count == 0 {
            return Ok(None);
        }
        let mut batch = Batch::default();
        for message in &messages[start..start + count] {
            batch.push(origin(), message);
        }
        Ok(Some(Chunk { first_seq: seq + 1, batch: Arc::new(batch), range: 0..count }))
    }

    fn acknowledged(&self) -> u64 {
        *self.acknowledged.borrow()
    }

    fn acknowledge(&self, seq: u64) -> Result<()> {
        self.acknowledged.send_if_modified(|acknowledged| {
            let rises = seq > *acknowledged;
            *acknowledged = seq.max(*acknowledged);
            rises
        });
        Ok(())
    }

    fn set_aside(&self, seq: u64) -> Result<()> {
        if *self.is_full.lock().unwrap() {
            return Err(Error::new(Code::SpoolRefusedFull, "no room"));
        }
        self.set_aside.lock().unwrap().push(seq);
        self.acknowledge(seq)
    }
}

/// What outlives a connection, at the start of an uplink to one endpoint.
pub(super) fn link(
    queue: Arc<dyn Queue>,
    durable: watch::Receiver<u64>,
    settings: settings::Uplink,
) -> Link<PlainWriter> {
    let acknowledged = queue.acknowledged();
    let status = Arc::new(Status::default());
    status.begin(&["receiver:443".parse().unwrap()]);
    Link {
        feeder: Some(Feeder::new(Arc::clone(&queue), PlainWriter("c"), &settings)),
        queue,
        durable,
        stop: watch::channel(Stop::Running).1,
        acknowledged,
        recorded: acknowledged,
        sent: acknowledged,
        cautious: false,
        dial: Arc::new(Network),
        suspicion: Suspicion::new(settings.refuse_after),
        settings,
        status,
        refused: None,
        complaints: Complaints::default(),
    }
}

pub(super) fn origin() -> Origin {
    Origin {
        received: UnixMicros(0),
        source: ([127, 0, 0, 1], 514).into(),
        transport: Transport::Udp,
        cut: false,
    }
}

/// Writes what the incubator looks at, and the message.
pub(super) struct PlainWriter(pub &'static str);

impl EventWriter for PlainWriter {
    fn write_event(&mut self, out: &mut Vec<u8>, seq: u64, _origin: &Origin, raw: &[u8]) -> &'static str {
        let raw = std::str::from_utf8(raw).unwrap();
        out.extend_from_slice(
            format!(r#"{{"body":"{raw}","connector":{{"id":"{}","seq":{seq}}}}}"#, self.0).as_bytes(),
        );
        "plain"
    }
}

pub(super) fn settings() -> settings::Uplink {
    settings::Uplink { window_events: 10, ..settings::Uplink::default() }
}
