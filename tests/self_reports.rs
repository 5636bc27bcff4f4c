//! The connector's reports on itself, as the SOC receives them.

#![allow(clippy::unwrap_used, reason = "a test that panics has said enough")]

mod common;

use common::disk::SmallDisk;
use common::receiver::{Manner, Receiver};
use common::{Foreground, Rig, Soc, View, free_port, incubator, root, send_tcp, set};
use rustls::StreamOwned;
use serde_json::Value;
use soc_connector::clock::{Clock, SystemClock};
use soc_connector::connector::report::Report;
use soc_connector::pki::Validity;
use soc_connector::tls::{self, Identity, Roots};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;

const ON: (&str, bool) = ("connector.self_reports", true);

fn is_report(event: &Value, name: &str) -> bool {
    event["connector"]["transport"] == "own"
        && event["body"].as_str().unwrap().starts_with(&format!("{name}: "))
}

/// Waits for a report and takes it out of the view.
#[track_caller]
fn wait(view: &mut View, name: &str) -> Value {
    view.wait(name, |event| is_report(event, name))
}

fn made(report: &Report, name: &str) -> u64 {
    report.self_reports.by_name.get(name).copied().unwrap_or(0)
}

/// A fact of a report's body.
#[track_caller]
fn fact<'a>(event: &'a Value, name: &str) -> &'a str {
    let body = event["body"].as_str().unwrap();
    let (_, rest) = body.split_once(&format!(" {name}=\"")).unwrap_or_else(|| panic!("no {name} in {body}"));
    rest.split('"').next().unwrap()
}

#[test]
fn start_stop_and_a_crash_are_events_of_the_stream() {
    let mut rig = Rig::start_with(&[(ON.0, ON.1.into())]);
    let started = wait(&mut rig.view, "started");
    assert_eq!(started["connector"]["seq"], 1, "before any message");
    for (field, value) in [
        ("priority", "45"),
        ("facility", "5"),
        ("severity", "5"),
        ("appName", "soc-connector"),
        (
            "structuredData",
            concat!("[origin software=\"soc-connector\" swVersion=\"", env!("CARGO_PKG_VERSION"), "\"]"),
        ),
    ] {
        assert_eq!(started[field], value, "{started:#}");
    }
    assert_eq!(started["connector"]["parse"], "rfc5424");
    assert!(started["event_raw"].as_str().unwrap().contains(" soc-connector "), "{started:#}");
    assert_eq!((fact(&started, "mode"), fact(&started, "waiting")), ("stage", "0"));

    send_tcp(rig.port(), b"<13>1 - host app - - - in between\n");
    assert_eq!(rig.view.wait_body("in between")["connector"]["seq"], 2);
    assert_eq!(rig.connector.process.terminate(), Some(0));
    let stopped = wait(&mut rig.view, "stopped");
    assert_eq!(stopped["connector"]["seq"], 3, "behind everything that was taken in");

    let port = rig.port();
    rig.connector = Foreground::start(rig.dir.path(), "stage", port);
    assert_eq!(wait(&mut rig.view, "started")["connector"]["seq"], 4, "no word of a crash");
    rig.connector.process.kill();
    rig.connector = Foreground::start(rig.dir.path(), "stage", port);
    let crash = wait(&mut rig.view, "restarted-after-crash");
    assert_eq!(crash["severity"], "4");
    assert_eq!(crash["connector"]["id"], started["connector"]["id"]);
    let before = crash["connector"]["seq"].as_u64().unwrap();
    assert_eq!(wait(&mut rig.view, "started")["connector"]["seq"], before + 1);
}

/// Receives what is sent to this address as newline-delimited JSON, and hands on the connector's reports.
fn receive_reports(soc: &Soc, address: SocketAddr) -> mpsc::Receiver<Value> {
    let load = |name: &str| {
        Identity::load(&soc.path(&format!("{name}-cert.pem")), &soc.path(&format!("{name}-key.pem"))).unwrap()
    };
    let config = tls::server_config(&load("server"), &Roots::from_file(&soc.pki.ca()).unwrap()).unwrap();
    let listener = TcpListener::bind(address).unwrap();
    let (sender, reports) = mpsc::channel();
    std::thread::spawn(move || {
        let (tcp, _) = listener.accept().unwrap();
        let stream = StreamOwned::new(rustls::ServerConnection::new(config).unwrap(), tcp);
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            let event: Value = serde_json::from_str(&line).unwrap();
            if event["connector"]["transport"] == "own" && sender.send(event).is_err() {
                return;
            }
        }
    });
    reports
}

#[test]
fn a_spool_that_fills_up_drops_and_empties_tells_each_step() {
    const MESSAGE_BYTES: usize = 60_000;
    const SPOOL_BYTES: usize = 64 << 20;
    let soc = Soc::start();
    let port = free_port();
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let dir = soc.install("client", port, "");
    for (setting, value) in [
        (ON.0, toml_edit::Value::from(ON.1)),
        ("spool.max_mib", 64.into()),
        ("spool.reserve_mib", 16.into()),
        ("spool.when_full", "drop-oldest".into()),
        ("uplink.format", "ndjson".into()),
        ("uplink.incubator_stream", address.to_string().into()),
        ("uplink.max_backoff_s", 1.into()),
    ] {
        set(dir.path(), setting, value);
    }
    let mut connector = Foreground::start(dir.path(), "stage", port);
    // Nobody receives. Each step is awaited, so that no bound is jumped over.
    let mut sender = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let message = format!("<13>1 - host app - - - {}\n", "x".repeat(MESSAGE_BYTES));
    let mut sent = 0;
    for (percent, name) in
        [(55, "spool-over-50"), (85, "spool-over-80"), (97, "spool-over-95"), (130, "events-dropped")]
    {
        while sent * (MESSAGE_BYTES + 100) < SPOOL_BYTES * percent / 100 {
            sender.write_all(message.as_bytes()).unwrap();
            sent += 1;
        }
        connector.wait_until(name, |report| made(report, name) == 1);
    }
    // Nothing more is dropped once all that was sent is in the spool.
    let full = connector.wait_until("taken in", |report| {
        let own: u64 = report.self_reports.by_name.values().sum();
        report.listener.counters.tcp_messages == sent as u64 && report.spool.last_seq == sent as u64 + own
    });
    assert!(full.spool.dropped_full > 0, "{full:#?}");

    let reports = receive_reports(&soc, address);
    let mut names = Vec::new();
    let mut dropped = 0;
    while names.last().is_none_or(|name| name != "spool-below-50") {
        let event = reports.recv_timeout(common::PATIENCE).unwrap();
        let name = event["body"].as_str().unwrap().split(':').next().unwrap().to_owned();
        if name == "events-dropped" {
            dropped += fact(&event, "count").parse::<u64>().unwrap();
            assert_eq!(event["severity"], "3");
        }
        names.push(name);
    }
    // The oldest events were dropped, `started` among them; what was told of it later is there, in order.
    let at =
        |name: &str| names.iter().position(|one| one == name).unwrap_or_else(|| panic!("{name}: {names:?}"));
    assert!(
        at("spool-over-80") < at("spool-over-95") && at("spool-over-95") < at("events-dropped"),
        "{names:?}"
    );
    assert_eq!(connector.process.terminate(), Some(0));
    // What was dropped after the last report is told at the end.
    let rest = reports.iter().filter(|event| is_report(event, "events-dropped"));
    dropped += rest.map(|event| fact(&event, "count").parse::<u64>().unwrap()).sum::<u64>();
    assert_eq!(dropped, full.spool.dropped_full, "each dropped event is told of once");
}

#[test]
fn a_certificate_that_ends_soon_is_reported() {
    let soc = Soc::start();
    soc.pki.client("short", Validity::days(SystemClock.now(), 10)).unwrap();
    let port = free_port();
    let dir = soc.install("short", port, "");
    set(dir.path(), ON.0, ON.1);
    let _connector = Foreground::start(dir.path(), "stage", port);
    let report = wait(&mut soc.view("short"), "certificate-ends-in-14-days");
    assert_eq!(report["severity"], "4");
    assert_eq!(fact(&report, "subject"), "short");
}

#[test]
fn another_receiver_is_reported_to_the_one_that_took_over() {
    let mut soc = Soc::start();
    let (mut second, second_stream, second_confirmations) =
        incubator(soc.dir.path(), "127.0.0.1:0", "127.0.0.1:0");
    let port = free_port();
    let dir = soc.install("client", port, "");
    set(dir.path(), ON.0, ON.1);
    set(dir.path(), "uplink.max_backoff_s", 1);
    let both: toml_edit::Array = [soc.stream, second_stream].iter().map(ToString::to_string).collect();
    set(dir.path(), "uplink.concentrators", both);
    let connector = Foreground::start(dir.path(), "production", port);
    let report = connector.wait_until("connected", |report| report.uplink.in_use.is_some());
    let first = report.uplink.in_use.unwrap();
    // The first receiver has to be seen before it ends; what was seen is left for a next run.
    connector.wait_until("seen", |_| {
        let left = fs::read_to_string(dir.path().join("setup/run/last-run-production.json"));
        left.is_ok_and(|left| left.contains(&first))
    });
    let (other, view) = if first == soc.stream.to_string() {
        soc.incubator.kill();
        (second_stream, second_confirmations)
    } else {
        second.kill();
        (soc.stream, soc.confirmations)
    };
    let report = wait(&mut soc.view_at("client", view), "endpoint-changed");
    assert_eq!((fact(&report, "endpoint"), fact(&report, "previous")), (&*other.to_string(), &*first));
}

/// A connector with its reports on, and a receiver that behaves as the test says.
struct Site {
    soc: Soc,
    receiver: Receiver,
    dir: tempfile::TempDir,
    port: u16,
}

impl Site {
    fn new(manner: Manner) -> Self {
        let soc = Soc::start();
        let receiver = Receiver::start(soc.server_config(), manner);
        let port = free_port();
        let dir = soc.install("client", port, "");
        for (setting, value) in [
            (ON.0, toml_edit::Value::from(ON.1)),
            ("uplink.incubator_stream", receiver.address.to_string().into()),
            ("uplink.max_backoff_s", 1.into()),
            ("uplink.refuse_after_s", 1.into()),
            ("spool.reserve_mib", 16.into()),
        ] {
            set(dir.path(), setting, value);
        }
        Self { soc, receiver, dir, port }
    }

    fn start(&self) -> Foreground {
        Foreground::start(self.dir.path(), "stage", self.port)
    }
}

#[test]
fn an_event_that_is_set_aside_is_reported_on_the_stream_that_refused_it() {
    let site = Site::new(Manner::Refuses("poison"));
    let _connector = site.start();
    send_tcp(site.port, b"<13>1 - host app - - - poison\n<13>1 - host app - - - behind\n");
    site.receiver.wait_body("behind");
    site.receiver.wait_body("events-refused: ");
}

#[test]
fn a_certificate_that_was_refused_is_reported_as_soon_as_events_flow_again() {
    let site = Site::new(Manner::Good);
    site.soc.pki.client("expired", Validity::expired(SystemClock.now())).unwrap();
    site.soc.replace_certificate(site.dir.path(), "expired");
    let connector = site.start();
    connector.wait_until("told", |report| made(report, "certificate-refused") == 1);
    site.soc.replace_certificate(site.dir.path(), "client");
    site.receiver.wait_body("certificate-refused: ");
}

#[test]
fn a_disk_without_room_is_reported_as_soon_as_it_has_room() {
    if !root("disk") {
        return;
    }
    let site = Site::new(Manner::Good);
    let disk = SmallDisk::mount(&site.dir.path().join("spool"), 40);
    let connector = site.start();
    site.receiver.wait_body("started: ");
    disk.fill();
    // More than the free space was when it was last looked at.
    let messages = format!("<13>1 - host app - - - into a full disk {}\n", "x".repeat(60_000)).repeat(40);
    send_tcp(site.port, messages.as_bytes());
    connector.wait_until("full", |report| report.spool.full);
    disk.free();
    site.receiver.wait_body("into a full disk");
    site.receiver.wait_body("spool-full: ");
}

#[test]
fn a_disk_that_refused_to_write_is_reported_as_soon_as_it_writes() {
    if !root("disk") {
        return;
    }
    let site = Site::new(Manner::Good);
    let disk = SmallDisk::mount(&site.dir.path().join("spool"), 40);
    site.start().process.kill();
    disk.remount("ro");
    let connector = site.start();
    connector.wait_until("failing", |report| report.spool.failing.is_some());
    disk.remount("rw");
    site.receiver.wait_body("disk-trouble-begins: ");
}
