//! Both endpoints over real TLS, and the stream over a pipe with a paused clock.

use super::client::Confirmations;
use super::*;
use crate::clock::{Clock, SystemClock};
use crate::pki::testing::{Ca, valid};
use crate::settings::Endpoint;
use crate::tls;
use crate::uplink::lumberjack::{Decoder, Encoder, Frame, Limits, ack};
use rustls::ClientConfig;
use serde_json::Value;
use std::future::pending;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::task::JoinHandle;

fn shared() -> Arc<Shared> {
    Arc::new(Shared::new("e".to_owned(), Bounds::default()))
}

fn client(n: u8) -> Fingerprint {
    Fingerprint::of(&vec![n].into())
}

fn window(events: &[&str]) -> Vec<u8> {
    let mut encoder = Encoder::new(0);
    encoder.begin(Vec::new());
    for event in events {
        encoder.event(|out| out.extend_from_slice(event.as_bytes()));
    }
    encoder.finish()
}

/// A stream whose client the test plays.
struct Sender {
    stream: DuplexStream,
    shared: Arc<Shared>,
    task: JoinHandle<std::result::Result<(), stream::Broken>>,
}

impl Sender {
    fn new() -> Self {
        let (ours, theirs) = duplex(1 << 20);
        let shared = shared();
        let serving = Arc::clone(&shared);
        let task = tokio::spawn(async move { stream::serve(&serving, client(1), theirs).await });
        Self { stream: ours, shared, task }
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    async fn assert_reply(&mut self, reply: [u8; 6]) {
        let mut got = [0; 6];
        self.stream.read_exact(&mut got).await.unwrap();
        assert_eq!(got, reply, "{}", got.escape_ascii());
    }

    fn stored(&self) -> usize {
        self.shared.after(&client(1), &After::Beginning).unwrap().events.len()
    }
}

#[tokio::test(start_paused = true)]
async fn a_window_is_acknowledged_once_it_is_stored_and_not_before() {
    let mut sender = Sender::new();
    let bytes = window(&[r#"{"a":1}"#, r#"{"a":2}"#]);
    let (first, rest) = bytes.split_at(bytes.len() - 1);
    sender.send(first).await;
    let mut reply = [0; 6];
    assert!(timeout(Duration::from_secs(9), sender.stream.read(&mut reply)).await.is_err());
    sender.send(rest).await;
    sender.assert_reply(ack(2)).await;
    assert_eq!(sender.stored(), 2);
    sender.stream.shutdown().await.unwrap();
    assert!(sender.task.await.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn in_a_window_that_does_not_end_what_is_stored_is_acknowledged_and_then_life_is_shown() {
    let mut sender = Sender::new();
    let bytes = window(&["{}", "{}", "{}"]);
    sender.send(&bytes[..bytes.len() - 1]).await;
    let begun = Instant::now();
    sender.assert_reply(ack(2)).await;
    assert_eq!(begun.elapsed().as_secs(), 10);
    sender.assert_reply(ack(0)).await;
    assert_eq!(begun.elapsed().as_secs(), 20);
    let end = sender.task.await.unwrap();
    assert!(matches!(end, Err(stream::Broken::Silent)), "{end:?}");
    assert_eq!(begun.elapsed().as_secs(), 130);
}

#[tokio::test(start_paused = true)]
async fn between_windows_a_client_may_be_silent_for_days() {
    let mut sender = Sender::new();
    sender.send(&window(&["{}"])).await;
    sender.assert_reply(ack(1)).await;
    tokio::time::advance(Duration::from_secs(48 * 3600)).await;
    sender.send(&window(&["{}"])).await;
    sender.assert_reply(ack(1)).await;
}

#[tokio::test(start_paused = true)]
async fn what_a_client_must_not_send_ends_its_stream_without_an_acknowledgement() {
    let table = [
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        window(&["[]"]),
        window(&["{}", "no json"]),
        ack(1).to_vec(),
        // An event outside of a window, and a window within a window.
        window(&["{}"])[6..].to_vec(),
        [&b"2W\0\0\0\x02"[..], &window(&["{}"])].concat(),
    ];
    for bytes in table {
        let mut sender = Sender::new();
        sender.send(&bytes).await;
        let mut replies = Vec::new();
        sender.stream.read_to_end(&mut replies).await.unwrap();
        assert!(replies.is_empty(), "{}", bytes.escape_ascii());
        assert!(sender.task.await.unwrap().is_err());
    }
}

#[test]
fn a_client_has_only_so_many_connections_and_others_do_not_notice() {
    let shared = shared();
    let mut guests: Vec<_> = (0..MAX_CONNECTIONS_OF_CLIENT)
        .map(|_| Guest::enter(Arc::clone(&shared), client(1)).unwrap())
        .collect();
    assert!(Guest::enter(Arc::clone(&shared), client(1)).is_none());
    assert!(Guest::enter(Arc::clone(&shared), client(2)).is_some());
    guests.pop();
    assert!(Guest::enter(Arc::clone(&shared), client(1)).is_some());
    drop(guests);
    assert!(lock(&shared.clients).is_empty());
}

#[test]
fn only_a_clients_own_events_wake_it() {
    let shared = shared();
    let _guests = [1, 2].map(|n| Guest::enter(Arc::clone(&shared), client(n)).unwrap());
    let (mut one, two) = (shared.arrivals(&client(1)), shared.arrivals(&client(2)));
    shared.add(client(1), vec![Event::parse(b"{}").unwrap()]);
    assert!(one.has_changed().unwrap() && !two.has_changed().unwrap());
    one.mark_unchanged();
    shared.add(client(1), Vec::new());
    assert!(!one.has_changed().unwrap());
}

/// A running incubator, and the ways to its endpoints.
struct Running {
    stream: Endpoint,
    confirmations: Endpoint,
}

async fn run(ca: &Ca) -> Running {
    let local = SocketAddr::from(([127, 0, 0, 1], 0));
    let config =
        Config { stream: local, confirmations: local, tls: ca.server_config(), bounds: Bounds::default() };
    let incubator = Incubator::bind(config).await.unwrap();
    let endpoint = |address: SocketAddr| Endpoint { host: "127.0.0.1".to_owned(), port: address.port() };
    let running = Running {
        stream: endpoint(incubator.stream_addr()),
        confirmations: endpoint(incubator.confirmations_addr()),
    };
    tokio::spawn(incubator.run(pending()));
    running
}

/// Sends events over a stream of their own, until they are acknowledged.
async fn send(to: &Endpoint, tls: &Arc<ClientConfig>, events: &[&str]) {
    let mut stream = tls::dial(to, Arc::clone(tls), HANDSHAKE_TIMEOUT).await.unwrap().stream;
    stream.write_all(&window(events)).await.unwrap();
    stream.flush().await.unwrap();
    let mut decoder = Decoder::new(Limits::SENDER);
    let mut reply = [0; 6];
    stream.read_exact(&mut reply).await.unwrap();
    decoder.feed(&reply);
    assert_eq!(decoder.next(), Ok(Some(Frame::Ack(u32::try_from(events.len()).unwrap()))));
}

/// One request as a stranger's client would make it; status and body.
async fn request(to: &Endpoint, tls: &Arc<ClientConfig>, line: &str) -> (u16, Value) {
    let mut stream = tls::dial(to, Arc::clone(tls), HANDSHAKE_TIMEOUT).await.unwrap().stream;
    let request = format!("{line} HTTP/1.1\r\nHost: incubator\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap())
}

#[tokio::test]
async fn a_client_waits_for_its_own_event_and_is_not_shown_anothers() {
    let ca = Ca::new();
    let incubator = run(&ca).await;
    let (one, two) = (ca.client_config("one"), ca.client_config("two"));
    let mut confirmations = Confirmations::new(incubator.confirmations.clone(), Arc::clone(&one));
    let cursor = confirmations.cursor_now().await.unwrap();
    let waiting = tokio::spawn(async move { confirmations.next(&cursor, Duration::from_secs(60)).await });
    send(&incubator.stream, &two, &[r#"{"body":"two"}"#]).await;
    send(&incubator.stream, &one, &[r#"{"body":"one"}"#]).await;
    let (_, events) = waiting.await.unwrap().unwrap();
    assert_eq!(events, [serde_json::json!({ "body": "one" })]);
    // Whoever asks without a cursor gets what is kept, and only his own.
    let (status, answer) = request(&incubator.confirmations, &two, "GET /v1/confirmations").await;
    assert_eq!((status, &answer["events"]), (200, &serde_json::json!([{ "body": "two" }])));
}

#[tokio::test]
async fn a_wait_ends_without_events_and_keeps_the_cursor() {
    let ca = Ca::new();
    let incubator = run(&ca).await;
    let mut confirmations = Confirmations::new(incubator.confirmations, ca.client_config("one"));
    let cursor = confirmations.cursor_now().await.unwrap();
    let (next, events) = confirmations.next(&cursor, Duration::from_secs(1)).await.unwrap();
    assert_eq!((next, events), (cursor, Vec::new()));
}

#[tokio::test]
async fn everything_else_is_answered_with_a_reason() {
    let ca = Ca::new();
    let incubator = run(&ca).await;
    let tls = ca.client_config("one");
    let table = [
        ("GET /v1/health", 200),
        ("GET /", 404),
        ("GET /v1/confirmations/", 404),
        ("GET /v2/confirmations", 404),
        ("POST /v1/confirmations", 405),
        ("GET /v1/confirmations?after=x", 400),
        ("GET /v1/confirmations?wait=soon", 400),
        ("GET /v1/confirmations?client=two", 400),
    ];
    for (line, expected) in table {
        let (status, answer) = request(&incubator.confirmations, &tls, line).await;
        assert_eq!(status, expected, "{line}");
        assert_eq!(answer["error"].is_string(), expected != 200, "{line}: {answer}");
    }
}

#[tokio::test]
async fn the_answer_tells_the_time_by_which_setup_checks_the_clock() {
    let ca = Ca::new();
    let incubator = run(&ca).await;
    let mut confirmations = Confirmations::new(incubator.confirmations, ca.client_config("one"));
    let difference = confirmations.server_date().await.unwrap().seconds() - SystemClock.now().seconds();
    assert!(difference.abs() <= 60, "{difference}");
}

#[tokio::test]
async fn what_keeps_a_client_from_its_confirmations_has_a_code() {
    let (ca, other) = (Ca::new(), Ca::new());
    let incubator = run(&ca).await;
    // A certificate that is not let in.
    let foreign = tls::client_config(&other.client("client", valid()), &ca.roots()).unwrap();
    let error = Confirmations::new(incubator.confirmations.clone(), foreign).cursor_now().await.unwrap_err();
    assert_eq!(error.code(), Code::ClientRefused, "{error}");
    // Nobody there.
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let nobody = Endpoint { host: "127.0.0.1".to_owned(), port: closed.port() };
    let error = Confirmations::new(nobody, ca.client_config("c")).cursor_now().await.unwrap_err();
    assert_eq!(error.code(), Code::IncubatorUnreachable, "{error}");
    // The stream in place of the confirmations.
    let error = Confirmations::new(incubator.stream, ca.client_config("c")).cursor_now().await.unwrap_err();
    assert_eq!(error.code(), Code::IncubatorUnreachable, "{error}");
    // A cursor that was never given out.
    let mut confirmations = Confirmations::new(incubator.confirmations, ca.client_config("c"));
    let error = confirmations.next("x", Duration::ZERO).await.unwrap_err();
    assert_eq!(error.code(), Code::IncubatorAnswer, "{error}");
    assert!(confirmations.cursor_now().await.is_ok(), "the next question is asked on a new connection");
}

#[tokio::test]
async fn an_incubator_says_which_address_it_cannot_have_and_ends_when_it_is_told() {
    let ca = Ca::new();
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let local = SocketAddr::from(([127, 0, 0, 1], 0));
    let config =
        |stream| Config { stream, confirmations: local, tls: ca.server_config(), bounds: Bounds::default() };
    let error = Incubator::bind(config(taken.local_addr().unwrap())).await.err().unwrap();
    assert_eq!(error.code(), Code::IncubatorBind);
    let incubator = Incubator::bind(config(local)).await.unwrap();
    let stream = Endpoint { host: "127.0.0.1".to_owned(), port: incubator.stream_addr().port() };
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let task = tokio::spawn(incubator.run(async {
        let _ = ended.await;
    }));
    let mut open = tls::dial(&stream, ca.client_config("c"), HANDSHAKE_TIMEOUT).await.unwrap().stream;
    end.send(()).unwrap();
    task.await.unwrap();
    assert!(matches!(open.read(&mut [0; 1]).await, Ok(0) | Err(_)), "open connections are ended");
}
