//! What becomes of events when processes, receivers and certificates fail: nothing is lost, nothing changes its number,
//! and nothing reaches who must not see it.

#![allow(clippy::unwrap_used, reason = "a test that panics has said enough")]

mod common;

use common::{Foreground, Process, Rig, Soc, View, binary, free_port, incubator, run, send_tcp, set};
use rustls::StreamOwned;
use serde_json::Value;
use soc_connector::clock::{Clock, SystemClock};
use soc_connector::connector::report::Report;
use soc_connector::pki::{Pki, Validity};
use soc_connector::tls::{self, Identity, Roots};
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::ops::RangeInclusive;
use std::path::Path;
use std::process::Command;

/// The message whose sequence number is to be `number`, with the line feed that ends it.
fn line(number: u64) -> String {
    format!("<13>1 - host app - - - number {number}\n")
}

fn lines(numbers: RangeInclusive<u64>) -> String {
    numbers.map(line).collect()
}

/// Messages that say where they belong, and which of them they are.
fn marked(mark: &str, numbers: RangeInclusive<u64>) -> String {
    numbers.map(|number| line(number).replace("number", mark)).collect()
}

fn seq(event: &Value) -> u64 {
    event["connector"]["seq"].as_u64().unwrap()
}

/// Asserts that these are the events with these numbers, in order, each with its own message and of one connector;
/// returns that one's id.
#[track_caller]
fn assert_numbers(events: &[Value], numbers: RangeInclusive<u64>) -> String {
    assert!(events.iter().map(seq).eq(numbers.clone()), "{:?}", events.iter().map(seq).collect::<Vec<_>>());
    for event in events {
        assert_eq!(event["body"], format!("number {}", seq(event)));
        assert_eq!(event["connector"]["id"], events[0]["connector"]["id"]);
    }
    events[0]["connector"]["id"].as_str().unwrap().to_owned()
}

/// A receiver as a process that can be killed and started again on the same ports.
struct Receiver {
    process: Option<Process>,
    stream: SocketAddr,
    confirmations: SocketAddr,
}

impl Receiver {
    fn start(pki: &Path) -> Self {
        let address = || SocketAddr::from(([127, 0, 0, 1], free_port()));
        let mut receiver = Self { process: None, stream: address(), confirmations: address() };
        receiver.restart(pki);
        receiver
    }

    fn restart(&mut self, pki: &Path) {
        let (process, ..) = incubator(pki, &self.stream.to_string(), &self.confirmations.to_string());
        self.process = Some(process);
    }

    fn kill(&mut self) {
        self.process.take().unwrap().kill();
    }
}

/// A SOC whose incubator has fixed ports, and an installation that sends there.
struct Site {
    soc: Soc,
    receiver: Receiver,
    dir: tempfile::TempDir,
    port: u16,
}

impl Site {
    fn new() -> Self {
        let mut soc = Soc::start();
        let receiver = Receiver::start(soc.dir.path());
        (soc.stream, soc.confirmations) = (receiver.stream, receiver.confirmations);
        let port = free_port();
        let dir = soc.install("client", port, "");
        // The receivers here come back within a second.
        set(dir.path(), "uplink.max_backoff_s", 1);
        Self { soc, receiver, dir, port }
    }

    fn connector(&self) -> Foreground {
        Foreground::start(self.dir.path(), "stage", self.port)
    }

    fn view(&self) -> View {
        self.soc.view("client")
    }

    fn revive(&mut self) {
        self.receiver.restart(self.soc.dir.path());
    }
}

#[test]
fn what_was_taken_in_survives_stops_and_kills_without_a_receiver() {
    let mut site = Site::new();
    let mut connector = site.connector();
    let mut view = site.view();
    send_tcp(site.port, lines(1..=100).as_bytes());
    let id = assert_numbers(&view.take(100), 1..=100);
    connector.wait_until("acknowledged", |report| report.spool.acknowledged_seq == 100);
    site.receiver.kill();

    send_tcp(site.port, lines(101..=200).as_bytes());
    connector.wait_until("on disk", |report| report.spool.durable_seq == 200);
    assert_eq!(connector.process.terminate(), Some(0));

    connector = site.connector();
    assert_eq!(connector.report().spool.events, 100, "they wait");
    send_tcp(site.port, lines(201..=300).as_bytes());
    connector.wait_until("on disk", |report| report.spool.durable_seq == 300);
    connector.process.kill();

    connector = site.connector();
    send_tcp(site.port, lines(301..=400).as_bytes());
    connector.wait_until("on disk", |report| report.spool.durable_seq == 400);
    connector.process.kill();

    site.revive();
    connector = site.connector();
    // What the receiver had acknowledged it is not sent again; everything else once, with the number it always had.
    assert_eq!(assert_numbers(&site.view().take(300), 101..=400), id);
    let report = connector.wait_until("acknowledged", |report| report.spool.acknowledged_seq == 400);
    assert_eq!((report.spool.events, report.spool.lost_corrupt, report.spool.lost_missing), (0, 0, 0));
}

#[test]
fn a_kill_in_the_middle_costs_at_most_what_was_not_yet_on_disk_and_no_number_is_used_twice() {
    let site = Site::new();
    let mut connector = site.connector();
    let port = site.port;
    let mut first = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let sender = std::thread::spawn(move || {
        // No more than the incubator keeps for one client.
        for number in 1..=30_000 {
            if first.write_all(format!("<13>1 - host app - - - first {number}\n").as_bytes()).is_err() {
                break;
            }
        }
    });
    connector.wait_until("well under way", |report| report.spool.acknowledged_seq > 2000);
    connector.process.kill();
    sender.join().unwrap();
    connector = site.connector();
    send_tcp(port, b"<13>1 - host app - - - the last\n");
    let mut view = site.view();
    let last = view.wait_body("the last");
    connector.wait_until("all delivered", |report| report.spool.events == 0);
    view.fetch(std::time::Duration::ZERO);
    // The first run's messages are a gap-free beginning of what was sent, in order.
    let mut by_id: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for (number, event) in (1_u64..).zip(&view.events) {
        assert_eq!(event["body"], format!("first {number}"), "{:#}", event["connector"]);
        by_id.entry(event["connector"]["id"].as_str().unwrap().to_owned()).or_default().push(seq(event));
    }
    assert!(by_id.values().all(|numbers| numbers.iter().copied().eq(1..=numbers.len() as u64)), "{by_id:?}");
    let same = by_id.get(last["connector"]["id"].as_str().unwrap());
    assert_eq!(
        seq(&last),
        same.map_or(0, Vec::len) as u64 + 1,
        "the numbers go on, or begin anew under a new id"
    );
}

#[test]
fn a_receiver_that_is_killed_in_the_middle_loses_nothing_that_it_did_not_answer_for() {
    const EVENTS: u64 = 20_000;
    let mut site = Site::new();
    // Small windows, so that some are on their way at the kill.
    set(site.dir.path(), "uplink.window_events", 64);
    let connector = site.connector();
    let port = site.port;
    let sender = std::thread::spawn(move || send_tcp(port, lines(1..=EVENTS).as_bytes()));
    for after in [500, 5000] {
        connector.wait_until("under way", |report| report.spool.acknowledged_seq >= after);
        site.receiver.kill();
        let report = connector.wait_until("disconnected", |report| report.uplink.in_use.is_none());
        let answered_for = report.spool.acknowledged_seq;
        site.revive();
        let mut view = site.view();
        view.wait("the first", |event| seq(event) == answered_for + 1);
    }
    sender.join().unwrap();
    let end = connector.wait_until("delivered", |report| report.spool.acknowledged_seq == EVENTS);
    let mut view = site.view();
    view.wait("the last", |event| seq(event) == EVENTS);
    let first = seq(&view.events[0]);
    assert!(first > 5000, "the second kill came after {first}");
    assert_numbers(&view.events, first..=EVENTS - 1);
    assert_eq!(end.spool.events, 0);
}

#[test]
fn a_full_spool_makes_tcp_senders_wait_and_costs_nothing() {
    // Somewhat more than the smallest spool takes, the connector's own buffers and the kernel's.
    const EVENTS: u64 = 2000;
    let mut site = Site::new();
    set(site.dir.path(), "spool.max_mib", 64);
    site.receiver.kill();
    let connector = site.connector();
    let port = site.port;
    let sender = std::thread::spawn(move || {
        let rest = format!("{}\n", "x".repeat(60_000));
        let text = lines(1..=EVENTS).replace('\n', &rest);
        send_tcp(port, text.as_bytes());
    });
    connector.wait_until("full", |report| report.spool.full);
    let report = connector.report();
    assert!(report.spool.size_bytes <= 64 << 20, "{report:#?}");
    assert!(!sender.is_finished(), "the sender waits");
    site.revive();
    sender.join().unwrap();
    let report = connector.wait_until("delivered", |report| report.spool.acknowledged_seq == EVENTS);
    assert_eq!((report.spool.events, report.spool.dropped_full, report.spool.full), (0, 0, false));
    // The incubator keeps the last of them.
    let mut view = site.view();
    view.wait("the last", |event| seq(event) == EVENTS);
    assert!(view.events.iter().all(|event| {
        let body = event["body"].as_str().unwrap();
        body.len() > 60_000 && body.starts_with(&format!("number {}x", seq(event)))
    }));
}

#[test]
fn a_connector_that_is_stopped_while_its_spool_is_full_keeps_what_it_has_read() {
    const SENDERS: usize = 2;
    let mut site = Site::new();
    set(site.dir.path(), "spool.max_mib", 64);
    site.receiver.kill();
    let mut read = 0;
    // At each stop there is more room than the one before has taken.
    for _ in 0..2 {
        let mut connector = site.connector();
        let kept = connector.report().spool.last_seq;
        assert!(kept >= read, "{kept} of {read}");
        let port = site.port;
        let senders: Vec<_> = (0..SENDERS)
            .map(|_| {
                std::thread::spawn(move || {
                    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
                    let text = format!("{}\n", line(1).trim_end().replace("number", &"x".repeat(60_000)));
                    // Until the other side has gone.
                    while stream.write_all(text.as_bytes()).is_ok() {}
                })
            })
            .collect();
        let report = connector.wait_until("full, and more that was read", |report| {
            report.spool.full && kept + report.listener.counters.tcp_messages > report.spool.last_seq
        });
        read = kept + report.listener.counters.tcp_messages;
        assert_eq!(connector.process.terminate(), Some(0));
        for sender in senders {
            sender.join().unwrap();
        }
        let log = fs::read_to_string(site.dir.path().join("logs/connector.log")).unwrap();
        assert!(log.contains("beyond its bound") && !log.contains("ended with messages"), "{log}");
    }
    let connector = site.connector();
    let kept = connector.report().spool.last_seq;
    assert!(kept >= read, "{kept} of {read}");
    site.revive();
    let acknowledged = |report: &Report| report.spool.acknowledged_seq;
    connector.wait_while_it_gets_on("delivered", acknowledged, |report| acknowledged(report) == kept);
    assert_eq!(connector.report().spool.dropped_full, 0);
}

#[test]
fn the_other_site_takes_over_and_the_preferred_one_is_returned_to() {
    let soc = Soc::start();
    let pki = soc.dir.path();
    let mut receivers = [Receiver::start(pki), Receiver::start(pki)];
    let port = free_port();
    let dir = soc.install("client", port, "");
    let concentrators: toml_edit::Array = ["ber", "erl"]
        .iter()
        .zip(&receivers)
        .map(|(site, receiver)| format!("{site}/{}", receiver.stream))
        .collect();
    set(dir.path(), "uplink.concentrators", concentrators);
    set(dir.path(), "uplink.max_backoff_s", 1);
    set(dir.path(), "uplink.return_after_s", 1);
    let connector = Foreground::start(dir.path(), "production", port);

    send_tcp(port, line(1).as_bytes());
    assert_numbers(&soc.view_at("client", receivers[0].confirmations).take(1), 1..=1);
    connector.wait_until("acknowledged", |report| report.spool.events == 0);
    receivers[0].kill();
    send_tcp(port, line(2).as_bytes());
    assert_numbers(&soc.view_at("client", receivers[1].confirmations).take(1), 2..=2);
    connector.wait_until("acknowledged", |report| report.spool.events == 0);
    receivers[0].restart(pki);
    let preferred = receivers[0].stream.to_string();
    connector.wait_until("back", |report| report.uplink.in_use.as_ref() == Some(&preferred));
    send_tcp(port, line(3).as_bytes());
    assert_numbers(&soc.view_at("client", receivers[0].confirmations).take(1), 3..=3);
}

/// Puts another pair in the place of an installation's, one file after the other, each at once.
fn replace_pair(dir: &Path, pki: &Path, name: &str) {
    for part in ["cert", "key"] {
        let new = dir.join("new.pem");
        fs::copy(pki.join(format!("{name}-{part}.pem")), &new).unwrap();
        fs::rename(new, dir.join(format!("client-{part}.pem"))).unwrap();
    }
}

/// Events are held, the log and the health check say why, and after `mend` they are delivered.
#[track_caller]
fn held_until(code: &str, spoil: impl FnOnce(&Soc, &Path), mend: impl FnOnce(&Soc, &Path)) {
    let soc = Soc::start();
    let port = free_port();
    let dir = soc.install("client", port, "");
    set(dir.path(), "uplink.max_backoff_s", 1);
    spoil(&soc, dir.path());
    let mut command = Command::new(binary());
    command.arg("--dir").arg(dir.path()).args(["run", "--mode", "stage"]);
    let mut process = Process::spawn(command);
    // Both are said, in an order that is the connection's.
    process.wait_for("receiving");
    let connector = Foreground { process, port, dir: dir.path().to_owned() };
    send_tcp(port, lines(1..=50).as_bytes());
    let report = connector
        .wait_until("held", |report| report.uplink.held_by_certificate && report.spool.durable_seq == 50);
    assert_eq!((report.spool.events, report.spool.acknowledged_seq), (50, 0));
    assert!(report.unhealthy.as_ref().unwrap().contains(code), "{report:#?}");
    let log = fs::read_to_string(dir.path().join("logs/connector.log")).unwrap();
    let complaint = log
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .find(|line| line["message"] == "events are held back until this is mended")
        .unwrap_or_else(|| panic!("{log}"));
    assert_eq!((&complaint["code"], &complaint["level"]), (&code.into(), &"ERROR".into()), "{complaint:#}");
    let health = run(Command::new(binary()).arg("--dir").arg(dir.path()).arg("health"));
    assert_eq!(health.code, Some(1), "{health:?}");
    assert!(health.err.contains("E504") && health.err.contains(code), "{health:?}");

    mend(&soc, dir.path());
    assert_numbers(&soc.view("client").take(50), 1..=50);
    let report = connector.wait_until("well", |report| report.spool.events == 0);
    assert_eq!(report.unhealthy, None);
    run(Command::new(binary()).arg("--dir").arg(dir.path()).arg("health")).ok();
}

fn mended(soc: &Soc, dir: &Path) {
    replace_pair(dir, soc.dir.path(), "client");
}

#[test]
fn a_certificate_of_another_ca_holds_events_until_it_is_replaced() {
    let spoil = |_: &Soc, dir: &Path| {
        let other = tempfile::tempdir().unwrap();
        let now = SystemClock.now();
        Pki::open_or_create(other.path(), now).unwrap().client("stranger", Validity::days(now, 1)).unwrap();
        replace_pair(dir, other.path(), "stranger");
    };
    held_until("E225", spoil, mended);
}

#[test]
fn an_expired_certificate_holds_events_until_it_is_replaced() {
    let spoil = |soc: &Soc, dir: &Path| {
        soc.pki.client("expired", Validity::expired(SystemClock.now())).unwrap();
        replace_pair(dir, soc.dir.path(), "expired");
    };
    held_until("E225", spoil, mended);
}

#[test]
fn without_a_certificate_events_are_held_until_there_is_one() {
    let spoil = |_: &Soc, dir: &Path| fs::remove_file(dir.join("client-cert.pem")).unwrap();
    held_until("E232", spoil, mended);
}

#[test]
fn a_renewed_certificate_may_have_another_name() {
    let spoil = |soc: &Soc, dir: &Path| {
        soc.pki.client("expired", Validity::expired(SystemClock.now())).unwrap();
        replace_pair(dir, soc.dir.path(), "expired");
    };
    let mend = |soc: &Soc, dir: &Path| {
        for part in ["cert", "key"] {
            fs::copy(soc.path(&format!("client-{part}.pem")), dir.join(format!("renewed-{part}.pem")))
                .unwrap();
            fs::remove_file(dir.join(format!("client-{part}.pem"))).unwrap();
        }
    };
    held_until("E225", spoil, mend);
}

#[test]
fn a_half_copied_certificate_holds_events_until_it_is_whole() {
    let spoil = |_: &Soc, dir: &Path| {
        let certificate = dir.join("client-cert.pem");
        let text = fs::read(&certificate).unwrap();
        fs::write(&certificate, &text[..text.len() / 2]).unwrap();
    };
    held_until("E212", spoil, mended);
}

#[test]
fn a_key_of_another_certificate_holds_events_until_it_is_the_right_one() {
    let spoil = |soc: &Soc, dir: &Path| {
        soc.pki.client("other", Validity::days(SystemClock.now(), 1)).unwrap();
        fs::copy(soc.path("other-key.pem"), dir.join("client-key.pem")).unwrap();
    };
    held_until("E216", spoil, mended);
}

#[test]
fn a_second_connector_on_the_same_spool_is_refused_and_the_first_goes_on() {
    let mut rig = Rig::start();
    let mut command = Command::new(binary());
    let port = free_port().to_string();
    command.arg("--dir").arg(rig.dir.path()).args(["run", "--mode", "stage", "--listen-port", &port]);
    let second = run(&mut command);
    assert_eq!(second.code, Some(1), "{second:?}");
    assert!(second.err.contains("ERROR - E601 "), "{second:?}");
    send_tcp(rig.port(), line(1).as_bytes());
    assert_numbers(&rig.view.take(1), 1..=1);
    assert_eq!(rig.connector.report().unhealthy, None, "its socket is still there");
}

#[test]
fn stage_and_production_never_see_each_others_events() {
    let mut site = Site::new();
    let concentrator = Receiver::start(site.soc.dir.path());
    let concentrators: toml_edit::Array = [concentrator.stream.to_string()].into_iter().collect();
    set(site.dir.path(), "uplink.concentrators", concentrators);
    site.receiver.kill();
    let mut connector = site.connector();
    send_tcp(site.port, marked("stage", 1..=30).as_bytes());
    connector.wait_until("on disk", |report| report.spool.durable_seq == 30);
    connector.process.kill();

    let mut connector = Foreground::start(site.dir.path(), "production", site.port);
    assert_eq!(connector.report().spool.events, 0, "a spool of its own");
    send_tcp(site.port, marked("production", 1..=20).as_bytes());
    let production = site.soc.view_at("client", concentrator.confirmations).take(20);
    connector.wait_until("acknowledged", |report| report.spool.events == 0);
    // These stay behind when the mode changes, while both receivers are up.
    connector.process.signal(rustix::process::Signal::KILL);
    connector.process.wait();
    site.revive();

    let connector = site.connector();
    let mut incubator = site.view();
    let stage = incubator.take(30);
    connector.wait_until("acknowledged", |report| report.spool.events == 0);
    send_tcp(site.port, b"<13>1 - host app - - - stage 31\n");
    incubator.wait_body("stage 31");
    incubator.fetch(std::time::Duration::ZERO);
    assert_eq!(incubator.events, Vec::<Value>::new());
    let mut all = site.soc.view_at("client", concentrator.confirmations);
    all.fetch(std::time::Duration::ZERO);
    assert_eq!(all.events.len(), 20);
    for (mode, events) in [("stage", &stage), ("production", &production)] {
        for (number, event) in (1_u64..).zip(events) {
            assert_eq!((&event["body"], seq(event)), (&format!("{mode} {number}").into(), number));
        }
    }
    let id = |events: &[Value]| events[0]["connector"]["id"].as_str().unwrap().to_owned();
    assert_ne!(id(&stage), id(&production));
}

#[test]
fn undelivered_production_events_wait_for_production() {
    let mut site = Site::new();
    let mut concentrator = Receiver::start(site.soc.dir.path());
    let concentrators: toml_edit::Array = [concentrator.stream.to_string()].into_iter().collect();
    set(site.dir.path(), "uplink.concentrators", concentrators);
    concentrator.kill();
    let mut connector = Foreground::start(site.dir.path(), "production", site.port);
    send_tcp(site.port, lines(1..=10).as_bytes());
    connector.wait_until("on disk", |report| report.spool.durable_seq == 10);
    connector.process.kill();
    let mut connector = site.connector();
    send_tcp(site.port, line(1).as_bytes());
    let mut incubator = site.view();
    incubator.wait("the stage event", |event| seq(event) == 1);
    connector.wait_until("acknowledged", |report| report.spool.events == 0);
    assert_eq!(connector.process.terminate(), Some(0));
    incubator.fetch(std::time::Duration::ZERO);
    assert_eq!(incubator.events, Vec::<Value>::new(), "no production event came here");
    concentrator.restart(site.soc.dir.path());
    let _connector = Foreground::start(site.dir.path(), "production", site.port);
    assert_numbers(&site.soc.view_at("client", concentrator.confirmations).take(10), 1..=10);
    site.receiver.kill();
}

#[test]
fn two_clients_never_see_each_others_events() {
    let soc = Soc::start();
    soc.pki.client("other", Validity::days(SystemClock.now(), 1)).unwrap();
    let clients = ["client", "other"].map(|name| {
        let port = free_port();
        let dir = soc.install(name, port, "");
        let connector = Foreground::start(dir.path(), "stage", port);
        (name, dir, connector)
    });
    // The names and the numbers are the same; only the certificates differ.
    for (name, _, connector) in &clients {
        send_tcp(connector.port, marked(name, 1..=20).as_bytes());
    }
    for (_, _, connector) in &clients {
        connector.wait_until("acknowledged", |report| report.spool.acknowledged_seq == 20);
    }
    for (name, ..) in &clients {
        let mut view = soc.view(name);
        view.fetch(std::time::Duration::ZERO);
        assert_eq!(view.events.len(), 20, "{name}");
        assert!(view.events.iter().all(|event| event["body"].as_str().unwrap().starts_with(name)));
    }
}

#[test]
fn newline_delimited_json_reaches_a_plain_tls_receiver() {
    let soc = Soc::start();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let load = |name: &str| {
        Identity::load(&soc.path(&format!("{name}-cert.pem")), &soc.path(&format!("{name}-key.pem"))).unwrap()
    };
    let config = tls::server_config(&load("server"), &Roots::from_file(&soc.pki.ca()).unwrap()).unwrap();
    let port = free_port();
    let dir = soc.install("client", port, "");
    set(dir.path(), "uplink.format", "ndjson");
    set(dir.path(), "uplink.incubator_stream", listener.local_addr().unwrap().to_string());
    let receive = std::thread::spawn(move || {
        let (tcp, _) = listener.accept().unwrap();
        let stream = StreamOwned::new(rustls::ServerConnection::new(config).unwrap(), tcp);
        let lines = BufReader::new(stream).lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap());
        lines.take(3000).collect::<Vec<Value>>()
    });
    let connector = Foreground::start(dir.path(), "stage", port);
    send_tcp(port, lines(1..=3000).as_bytes());
    assert_numbers(&receive.join().unwrap(), 1..=3000);
    connector.wait_until("counted as delivered", |report| report.spool.acknowledged_seq == 3000);
}

#[test]
fn compression_saves_bytes_and_changes_nothing() {
    let mut sent = Vec::new();
    for level in [0, 6] {
        let mut rig = Rig::start_with(&[("uplink.compression", level.into())]);
        send_tcp(rig.port(), lines(1..=2000).as_bytes());
        assert_numbers(&rig.view.take(2000), 1..=2000);
        sent.push(rig.connector.wait_until("counted", |report| report.spool.events == 0).uplink.bytes_sent);
    }
    assert!(sent[1] * 4 < sent[0], "events are much alike: {sent:?}");
}
