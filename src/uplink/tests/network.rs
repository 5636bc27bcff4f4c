//! The whole uplink over real TLS on loopback: the incubator, and receivers that misbehave.

use super::*;
use crate::incubator::client::Confirmations;
use crate::incubator::store::Bounds;
use crate::incubator::{Config, Incubator};
use crate::pki::testing::{Ca, valid};
use crate::tls;
use crate::uplink::choice::Breaker;
use crate::uplink::lumberjack::{Decoder, Frame, Limits, ack};
use crate::uplink::status::EndpointState;
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

struct Running {
    queue: Arc<MemoryQueue>,
    status: Arc<Status>,
    stop: watch::Sender<Stop>,
    task: JoinHandle<()>,
}

impl Running {
    fn start(
        queue: &Arc<MemoryQueue>,
        targets: &[SocketAddr],
        id: &'static str,
        tls: TlsSource,
        settings: settings::Uplink,
    ) -> Self {
        let status = Arc::new(Status::default());
        let (stop, stopped) = watch::channel(Stop::Running);
        let uplink = Uplink {
            queue: Arc::<MemoryQueue>::clone(queue),
            durable: queue.durable(),
            writer: PlainWriter(id),
            targets: targets.iter().map(endpoint).collect(),
            tls,
            dial: Arc::new(Network),
            settings,
            status: Arc::clone(&status),
        };
        let task = tokio::spawn(uplink.run(stopped));
        Self { queue: Arc::clone(queue), status, stop, task }
    }

    /// Lets it finish; everything must be delivered by then.
    async fn drain(self) -> Snapshot {
        self.stop.send_replace(Stop::Drain { deadline: Instant::now() + Duration::from_secs(30) });
        self.task.await.unwrap();
        assert_eq!(self.queue.acknowledged(), *self.queue.durable().borrow());
        self.status.snapshot()
    }
}

fn endpoint(address: &SocketAddr) -> Receiver {
    address.to_string().parse().unwrap()
}

fn always(config: Arc<ClientConfig>) -> TlsSource {
    Arc::new(move || Ok(Arc::clone(&config)))
}

struct Stage {
    stream: SocketAddr,
    confirmations: SocketAddr,
    _end: oneshot::Sender<()>,
}

async fn incubator(ca: &Ca) -> Stage {
    let local = SocketAddr::from(([127, 0, 0, 1], 0));
    let config =
        Config { stream: local, confirmations: local, tls: ca.server_config(), bounds: Bounds::default() };
    let incubator = Incubator::bind(config).await.unwrap();
    let (stream, confirmations) = (incubator.stream_addr(), incubator.confirmations_addr());
    let (end, ended) = oneshot::channel::<()>();
    tokio::spawn(incubator.run(async {
        let _ = ended.await;
    }));
    Stage { stream, confirmations, _end: end }
}

/// All events behind a cursor, until there are `count`.
async fn confirmed(confirmations: &mut Confirmations, cursor: String, count: usize) -> Vec<Value> {
    let (mut cursor, mut events) = (cursor, Vec::new());
    while events.len() < count {
        let (next, more) = confirmations.next(&cursor, Duration::from_secs(20)).await.unwrap();
        assert!(!more.is_empty(), "{} of {count} came", events.len());
        cursor = next;
        events.extend(more);
    }
    events
}

fn seqs(events: &[Value]) -> Vec<u64> {
    events.iter().map(|event| event["connector"]["seq"].as_u64().unwrap()).collect()
}

/// A receiver that a test plays: hands over each connection that comes.
async fn receiver(ca: &Ca) -> (SocketAddr, mpsc::Receiver<TlsStream<TcpStream>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let acceptor = TlsAcceptor::from(ca.server_config());
    let (sender, connections) = mpsc::channel(1);
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            if let Ok(stream) = acceptor.accept(tcp).await {
                let _ = sender.send(stream).await;
            }
        }
    });
    (address, connections)
}

#[tokio::test]
async fn each_client_is_shown_its_own_events_and_all_of_them() {
    let ca = Ca::new();
    let stage = incubator(&ca).await;
    let mut tasks = Vec::new();
    for (name, count, compression) in [("one", 1234, 0), ("two", 567, 6)] {
        let tls = ca.client_config(name);
        let mut confirmations = Confirmations::new(endpoint(&stage.confirmations).endpoint, Arc::clone(&tls));
        let stream = stage.stream;
        tasks.push(tokio::spawn(async move {
            let cursor = confirmations.cursor_now().await.unwrap();
            let queue = MemoryQueue::new(count);
            let settings = settings::Uplink { compression, ..settings() };
            let running = Running::start(&queue, &[stream], name, always(tls), settings);
            let events = confirmed(&mut confirmations, cursor, count).await;
            assert_eq!(seqs(&events), (1..=count as u64).collect::<Vec<_>>());
            assert!(events.iter().all(|event| event["connector"]["id"] == name));
            assert_eq!(events[4]["body"], "message 5");
            let snapshot = running.drain().await;
            assert_eq!(snapshot.events_acknowledged, count as u64);
            assert_eq!((snapshot.events_retransmitted, snapshot.last_error), (0, None));
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
}

#[tokio::test]
async fn nothing_is_lost_where_a_receiver_dies_in_the_midst_of_a_window() {
    let ca = Ca::new();
    let (address, mut connections) = receiver(&ca).await;
    let queue = MemoryQueue::new(100);
    let tls = always(ca.client_config("client"));
    let running = Running::start(&queue, &[address], "c", tls, settings());
    let mut got: BTreeMap<u64, String> = BTreeMap::new();
    // Each connection is cut after some events, with a part of them acknowledged; the last one takes all.
    for (take, acknowledge) in [(15, 0), (25, 13), (12, 3), (usize::MAX, usize::MAX)] {
        let mut stream = connections.recv().await.unwrap();
        let mut decoder = Decoder::new(Limits::RECEIVER);
        let mut bytes = [0; 1000];
        let (mut taken, mut acknowledged, mut window) = (0, 0, 0);
        let first = queue.acknowledged() + 1;
        'connection: while taken < take && !got.contains_key(&100) {
            let length = stream.read(&mut bytes).await.unwrap();
            decoder.feed(&bytes[..length]);
            while let Some(frame) = decoder.next().unwrap() {
                match frame {
                    Frame::Window(count) => window = count,
                    Frame::Event { sequence, json } => {
                        let event: Value = serde_json::from_slice(json).unwrap();
                        let seq = event["connector"]["seq"].as_u64().unwrap();
                        assert_eq!(
                            seq,
                            first + taken as u64,
                            "in order, from the first that is not acknowledged"
                        );
                        let body = event["body"].as_str().unwrap().to_owned();
                        assert!(got.insert(seq, body.clone()).is_none_or(|before| before == body));
                        taken += 1;
                        if acknowledged < acknowledge && (sequence == window || taken == acknowledge) {
                            stream.write_all(&ack(sequence)).await.unwrap();
                            stream.flush().await.unwrap();
                            acknowledged = taken;
                            queue.until_acknowledged(seq).await;
                        }
                        if taken == take {
                            break 'connection;
                        }
                    }
                    Frame::Ack(_) => panic!("a sender does not acknowledge"),
                }
            }
        }
        if take == usize::MAX {
            // Open until the uplink has seen every acknowledgement.
            queue.until_acknowledged(100).await;
        }
    }
    assert_eq!(got.len(), 100);
    assert!(got.iter().all(|(seq, body)| *body == format!("message {seq}")));
    let snapshot = running.drain().await;
    assert_eq!(snapshot.events_acknowledged, 100);
    assert!(snapshot.events_retransmitted >= 15 + 12 + 9, "{snapshot:?}");
    assert!(snapshot.last_error.unwrap().error.starts_with("E702"));
}

#[tokio::test]
async fn a_refused_certificate_holds_events_until_it_is_replaced() {
    let (ca, other) = (Ca::new(), Ca::new());
    let stage = incubator(&ca).await;
    let foreign = tls::client_config(&other.client("client", valid()), &ca.roots()).unwrap();
    let (swap, current) = watch::channel(foreign);
    let queue = MemoryQueue::new(20);
    let source: TlsSource = Arc::new(move || Ok(Arc::clone(&current.borrow())));
    let running = Running::start(&queue, &[stage.stream], "c", source, settings());
    let snapshot = running.status.wait_for(|snapshot| snapshot.held_by_certificate).await;
    assert!(matches!(snapshot.endpoints[0].state, EndpointState::Refused { .. }), "{snapshot:?}");
    assert!(snapshot.last_error.unwrap().error.starts_with("E225"));
    assert_eq!((snapshot.events_sent, queue.acknowledged()), (0, 0), "held back");
    swap.send_replace(ca.client_config("client"));
    let snapshot = running.drain().await;
    assert!(!snapshot.held_by_certificate);
    assert_eq!(snapshot.events_acknowledged, 20);
}

#[tokio::test]
async fn an_unreadable_certificate_is_told_and_tried_again() {
    let ca = Ca::new();
    let stage = incubator(&ca).await;
    let config = ca.client_config("client");
    let (mend, mended) = watch::channel(false);
    let source: TlsSource = Arc::new(move || {
        if *mended.borrow() { Ok(Arc::clone(&config)) } else { Err(Error::new(Code::KeyMismatch, "no")) }
    });
    let queue = MemoryQueue::new(20);
    let running = Running::start(&queue, &[stage.stream], "c", source, settings());
    let snapshot = running.status.wait_for(|snapshot| snapshot.held_by_certificate).await;
    assert!(snapshot.last_error.unwrap().error.starts_with("E216"));
    mend.send_replace(true);
    queue.until_acknowledged(20).await;
    running.drain().await;
}

#[tokio::test]
async fn the_next_endpoint_is_tried_where_one_does_not_take_events() {
    let (ca, other) = (Ca::new(), Ca::new());
    // Nobody listens; a server of another CA; a web server behind the right certificate.
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let (foreign, _connections) = receiver(&other).await;
    let (web, mut visits) = receiver(&ca).await;
    tokio::spawn(async move {
        while let Some(mut stream) = visits.recv().await {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
            let _ = stream.flush().await;
        }
    });
    let stage = incubator(&ca).await;
    let queue = MemoryQueue::new(50);
    let tls = always(ca.client_config("client"));
    let running = Running::start(&queue, &[closed, foreign, web, stage.stream], "c", tls, settings());
    queue.until_acknowledged(50).await;
    let snapshot = running.status.snapshot();
    let errors: Vec<_> = snapshot.endpoints[..3]
        .iter()
        .map(|endpoint| match &endpoint.state {
            EndpointState::Failing { error, .. } => &error[..4],
            state => panic!("{state:?}"),
        })
        .collect();
    assert_eq!(errors, ["E701", "E221", "E704"]);
    assert_eq!(snapshot.in_use, Some(stage.stream.to_string()));
    assert!(matches!(snapshot.endpoints[3].state, EndpointState::Connected { .. }));
    assert!(snapshot.healthy && snapshot.connected_since_s.is_some());
    running.drain().await;
}

#[tokio::test]
async fn receivers_that_refuse_us_are_left_alone_and_others_are_not() {
    let (ca, other) = (Ca::new(), Ca::new());
    let (refusing, _connections) = receiver(&ca).await;
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let foreign = always(tls::client_config(&other.client("client", valid()), &ca.roots()).unwrap());
    for targets in [vec![refusing], vec![refusing, closed]] {
        let queue = MemoryQueue::new(1);
        let running = Running::start(&queue, &targets, "c", Arc::clone(&foreign), settings());
        let snapshot = running.status.wait_for(|snapshot| snapshot.held_by_certificate).await;
        assert!(matches!(snapshot.endpoints[0].state, EndpointState::Refused { .. }), "{snapshot:?}");
        if let Some(other) = snapshot.endpoints.get(1) {
            // It may take us as soon as it is there, so it is tried again and again.
            let EndpointState::Failing { .. } = other.state else { panic!("{other:?}") };
            running.status.wait_for(|snapshot| snapshot.endpoints[1].breaker == Breaker::HalfOpen).await;
        }
        assert_eq!(queue.acknowledged(), 0);
    }
}

#[tokio::test]
async fn stopping_does_not_wait_for_receivers_that_are_away() {
    let ca = Ca::new();
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let queue = MemoryQueue::new(1);
    let tls = always(ca.client_config("client"));
    let running = Running::start(&queue, &[closed], "c", tls, settings());
    running.status.wait_for(|snapshot| snapshot.last_error.is_some()).await;
    running.stop.send_replace(Stop::Now);
    running.task.await.unwrap();
    // With nothing to deliver, draining ends without a receiver too.
    let queue = MemoryQueue::new(0);
    let tls = always(ca.client_config("client"));
    Running::start(&queue, &[closed], "c", tls, settings()).drain().await;
}
