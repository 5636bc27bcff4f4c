//! Lumberjack v2 against an implementation that is not ours (the crate ferro-lumberjack), in both directions.
//!
//! That implementation speaks in the clear here; a bridge beside it does the TLS, so that the connector's side is the
//! one of production.

#![allow(clippy::unwrap_used)] // a test that panics has said enough

use ferro_lumberjack::client::ClientBuilder;
use ferro_lumberjack::server::Server;
use serde_json::Value;
use soc_connector::Result;
use soc_connector::batch::{Batch, Origin, Transport};
use soc_connector::clock::{Clock, SystemClock, UnixMicros};
use soc_connector::incubator::client::Confirmations;
use soc_connector::incubator::store::Bounds;
use soc_connector::incubator::{Config, Incubator};
use soc_connector::pki::{Pki, Validity};
use soc_connector::settings::{self, Endpoint};
use soc_connector::spool::{Chunk, Queue};
use soc_connector::tls::{self, Identity, Roots};
use soc_connector::uplink::{EventWriter, Network, Status, Stop, Uplink};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

const EVENTS: u64 = 1000;

struct Tls {
    _dir: TempDir,
    server: Arc<rustls::ServerConfig>,
    client: Arc<rustls::ClientConfig>,
}

fn tls() -> Tls {
    let dir = tempfile::tempdir().unwrap();
    let now = SystemClock.now();
    let pki = Pki::open_or_create(dir.path(), now).unwrap();
    let roots = Roots::from_file(&pki.ca()).unwrap();
    let server = pki.server("server", &["127.0.0.1".to_owned()], Validity::days(now, 1)).unwrap();
    let client = pki.client("client", Validity::days(now, 1)).unwrap();
    let load = |pair: &soc_connector::pki::Pair| Identity::load(&pair.certificate, &pair.key).unwrap();
    let server = tls::server_config(&load(&server), &roots).unwrap();
    let client = tls::client_config(&load(&client), &roots).unwrap();
    Tls { _dir: dir, server, client }
}

fn local() -> SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

fn endpoint(address: SocketAddr) -> Endpoint {
    Endpoint { host: address.ip().to_string(), port: address.port() }
}

/// Messages with the sequence numbers 1 to [`EVENTS`], of growing length.
#[derive(Default)]
struct Messages {
    acknowledged: AtomicU64,
}

impl Queue for Messages {
    fn id(&self) -> &'static str {
        "memory"
    }

    fn read_after(&self, seq: u64, max_events: usize, _max_bytes: usize) -> Result<Option<Chunk>> {
        let mut batch = Batch::default();
        for number in seq + 1..=EVENTS.min(seq + max_events as u64) {
            let origin =
                Origin { received: UnixMicros(0), source: local(), transport: Transport::Tcp, cut: false };
            batch.push(origin, message(number).as_bytes());
        }
        let range = 0..batch.len();
        Ok((!range.is_empty()).then(|| Chunk { first_seq: seq + 1, batch: Arc::new(batch), range }))
    }

    fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::SeqCst)
    }

    fn set_aside(&self, _seq: u64) -> Result<()> {
        unreachable!("nothing is refused here")
    }

    fn acknowledge(&self, seq: u64) -> Result<()> {
        self.acknowledged.fetch_max(seq, Ordering::SeqCst);
        Ok(())
    }
}

fn message(number: u64) -> String {
    format!("message {number} {}", "x".repeat(usize::try_from(number).unwrap()))
}

struct Writer;

impl EventWriter for Writer {
    fn write_event(&mut self, out: &mut Vec<u8>, seq: u64, _origin: &Origin, raw: &[u8]) -> &'static str {
        let raw = std::str::from_utf8(raw).unwrap();
        out.extend_from_slice(format!(r#"{{"body":"{raw}","connector":{{"seq":{seq}}}}}"#).as_bytes());
        "test"
    }
}

#[tokio::test]
async fn another_implementation_receives_what_the_uplink_sends() {
    for compression in [0, 1, 9] {
        let tls = tls();
        let receiver = Server::builder().bind(local()).await.unwrap();
        let plain = receiver.local_addr().unwrap();
        let listener = TcpListener::bind(local()).await.unwrap();
        let target = endpoint(listener.local_addr().unwrap());
        let acceptor = TlsAcceptor::from(Arc::clone(&tls.server));
        tokio::spawn(async move {
            let (tcp, _) = listener.accept().await.unwrap();
            let mut outside = acceptor.accept(tcp).await.unwrap();
            let mut inside = TcpStream::connect(plain).await.unwrap();
            let _ = copy_bidirectional(&mut outside, &mut inside).await;
        });
        let received = tokio::spawn(async move {
            let mut connection = receiver.accept().await.unwrap();
            let mut events = Vec::new();
            while let Some(window) = connection.read_window().await.unwrap() {
                events.extend(window.events.into_iter().map(|event| event.payload));
                connection.send_ack(window.last_seq).await.unwrap();
            }
            events
        });
        let queue = Arc::new(Messages::default());
        let (_durable, durable) = watch::channel(EVENTS);
        let (_stop, stop) =
            watch::channel(Stop::Drain { deadline: Instant::now() + Duration::from_secs(60) });
        let client = Arc::clone(&tls.client);
        let status = Arc::new(Status::default());
        let uplink = Uplink {
            queue: Arc::<Messages>::clone(&queue),
            durable,
            writer: Writer,
            targets: vec![target.into()],
            tls: Arc::new(move || Ok(Arc::clone(&client))),
            dial: Arc::new(Network),
            settings: settings::Uplink { compression, window_events: 64, ..settings::Uplink::default() },
            status: Arc::clone(&status),
        };
        uplink.run(stop).await;
        assert_eq!(queue.acknowledged(), EVENTS, "level {compression}");
        let events = received.await.unwrap();
        assert_eq!(events.len() as u64, EVENTS, "level {compression}");
        for (number, event) in (1..).zip(events) {
            let event: Value = serde_json::from_slice(&event).unwrap();
            assert_eq!(event["connector"]["seq"], number);
            assert_eq!(event["body"], message(number));
        }
        let snapshot = status.snapshot();
        assert_eq!((snapshot.events_retransmitted, snapshot.last_error), (0, None));
    }
}

#[tokio::test]
async fn the_incubator_receives_what_another_implementation_sends() {
    for compression in [0, 3] {
        let tls = tls();
        let config = Config {
            stream: local(),
            confirmations: local(),
            tls: Arc::clone(&tls.server),
            bounds: Bounds::default(),
        };
        let incubator = Incubator::bind(config).await.unwrap();
        let (stream, confirmations) = (incubator.stream_addr(), incubator.confirmations_addr());
        tokio::spawn(incubator.run(std::future::pending()));
        let mut confirmations = Confirmations::new(endpoint(confirmations), Arc::clone(&tls.client));
        let mut cursor = confirmations.cursor_now().await.unwrap();

        let listener = TcpListener::bind(local()).await.unwrap();
        let plain = listener.local_addr().unwrap();
        let client = Arc::clone(&tls.client);
        tokio::spawn(async move {
            let (mut inside, _) = listener.accept().await.unwrap();
            let mut outside =
                tls::dial(&endpoint(stream), client, Duration::from_secs(10)).await.unwrap().stream;
            let _ = copy_bidirectional(&mut inside, &mut outside).await;
        });
        let mut sender = ClientBuilder::new()
            .add_host(plain.to_string())
            .compression_level(compression)
            .connect()
            .await
            .unwrap();
        // This sender goes on counting from window to window.
        for window in [1..=3, 4..=5] {
            let events: Vec<_> = window.map(|n| format!(r#"{{"body":"{n}"}}"#).into_bytes()).collect();
            let count = u32::try_from(events.len()).unwrap();
            assert_eq!(sender.send_json(events).await.unwrap(), count);
        }
        let mut bodies = Vec::new();
        while bodies.len() < 5 {
            let (next, events) = confirmations.next(&cursor, Duration::from_secs(20)).await.unwrap();
            assert!(!events.is_empty());
            cursor = next;
            bodies.extend(events.iter().map(|event| event["body"].as_str().unwrap().to_owned()));
        }
        assert_eq!(bodies, ["1", "2", "3", "4", "5"], "level {compression}");
    }
}
