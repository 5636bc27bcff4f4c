//! The real process among receivers, links and disks that fail: every event that was taken in arrives, in order, under one
//! number, and nobody has to restart anything.
//!
//! `SOC_TEST_CUT_S=180 cargo test --test faults link` cuts the link for minutes.

#![allow(clippy::unwrap_used, reason = "a test that panics has said enough")]

mod common;

use common::disk::SmallDisk;
use common::network::Host;
use common::receiver::{Manner, Receiver};
use common::{Foreground, Process, Soc, binary, free_port, root, run, send_tcp, set};
use serde_json::Value;
use soc_connector::clock::{Clock, SystemClock};
use soc_connector::pki::Validity;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::process::Command;
use std::time::Duration;

/// How long a link is cut in a normal run: longer than a receiver may be silent.
const CUT_S: u64 = 8;

/// Messages whose sequence numbers are to be these.
fn lines(numbers: RangeInclusive<u64>) -> String {
    numbers.map(|number| format!("<13>1 - host app - - - number {number}\n")).collect()
}

/// Asserts that these are the events 1 to `last` of one connector, each with its own text.
#[track_caller]
fn assert_all(events: &BTreeMap<(String, u64), String>, last: u64) {
    assert!(events.keys().map(|(_, seq)| *seq).eq(1..=last), "{:?}", events.keys().collect::<Vec<_>>());
    for ((_, seq), body) in events {
        assert_eq!(*body, format!("number {seq}"));
    }
}

/// A connector, and a receiver that behaves as the test says.
struct Site {
    soc: Soc,
    receiver: Receiver,
    connector: Foreground,
    dir: tempfile::TempDir,
}

impl Site {
    fn start(manner: Manner) -> Self {
        let soc = Soc::start();
        let receiver = Receiver::start(soc.server_config(), manner);
        let port = free_port();
        let dir = soc.install("client", port, "");
        set(dir.path(), "uplink.incubator_stream", receiver.address.to_string());
        set(dir.path(), "uplink.window_events", 64);
        set(dir.path(), "uplink.connect_timeout_s", 1);
        set(dir.path(), "uplink.ack_timeout_s", 5);
        set(dir.path(), "uplink.max_backoff_s", 1);
        let connector = Foreground::start(dir.path(), "stage", port);
        Self { soc, receiver, connector, dir }
    }

    fn send(&self, numbers: RangeInclusive<u64>) {
        send_tcp(self.connector.port, lines(numbers).as_bytes());
    }

    /// Everything up to `last` arrives, each event for the first time behind all before it, and leaves the spool.
    #[track_caller]
    fn delivered(&self, last: u64) {
        assert_all(&self.receiver.wait_distinct(usize::try_from(last).unwrap()), last);
        let mut through = 0;
        for got in self.receiver.stored() {
            assert!(got.seq <= through + 1, "event {} came behind {through}", got.seq);
            through = through.max(got.seq);
        }
        let report = self.connector.wait_until("acknowledged", |report| report.spool.events == 0);
        assert_eq!(report.spool.acknowledged_seq, last);
    }
}

/// A receiver that misbehaves until so many connections were tried; then a good one takes its place.
#[track_caller]
fn survives(manner: Manner, connections: usize, code: &str) {
    let site = Site::start(manner);
    site.send(1..=500);
    site.receiver.wait_connections(connections);
    let report = site.connector.wait_until("told", |report| report.uplink.last_error.is_some());
    let told = report.uplink.last_error.unwrap().error;
    assert!(told.contains(code), "{told}");
    site.send(501..=600);
    site.receiver.set(Manner::Good);
    site.delivered(600);
    assert_eq!(site.connector.report().unhealthy, None);
}

#[test]
fn a_receiver_that_falls_silent_in_the_middle_of_a_window_is_left_and_everything_is_sent_again() {
    survives(Manner::Silent, 2, "E703");
}

#[test]
fn a_half_open_receiver_is_left_and_everything_is_sent_again() {
    survives(Manner::HalfOpen, 3, "E701");
}

#[test]
fn a_receiver_that_speaks_another_protocol_is_left_and_everything_is_sent_again() {
    survives(Manner::Garbage(b"HTTP/1.1 400 Bad Request\r\n\r\n"), 4, "E704");
}

#[test]
fn an_acknowledgement_of_more_than_was_sent_is_not_believed() {
    survives(Manner::Garbage(b"2A\x00\x01\x00\x00"), 4, "E704");
}

#[test]
fn a_receiver_that_hangs_up_within_a_window_gets_it_again() {
    survives(Manner::GoneAfter(30), 4, "E702");
}

#[test]
fn what_was_acknowledged_in_part_before_a_hang_up_is_not_sent_again() {
    let site = Site::start(Manner::HalfAndGone);
    site.send(1..=500);
    site.receiver.wait_connections(4);
    site.receiver.set(Manner::Good);
    site.delivered(500);
    let stored = site.receiver.stored();
    assert_eq!(stored.len(), 500, "each event was stored once: every acknowledgement was heard");
}

#[test]
fn an_event_that_a_receiver_refuses_is_set_aside_and_shown_and_blocks_no_other() {
    let soc = Soc::start();
    let receiver = Receiver::start(soc.server_config(), Manner::Refuses("number 77"));
    let port = free_port();
    let dir = soc.install("client", port, "");
    set(dir.path(), "uplink.incubator_stream", receiver.address.to_string());
    set(dir.path(), "uplink.max_backoff_s", 1);
    set(dir.path(), "uplink.refuse_after_s", 1);
    let mut connector = Foreground::start(dir.path(), "stage", port);
    send_tcp(port, lines(1..=200).as_bytes());
    let mut events = receiver.wait_distinct(199);
    let id = events.keys().next().unwrap().0.clone();
    events.insert((id, 77), "number 77".to_owned());
    assert_all(&events, 200);
    let report = connector.wait_until("acknowledged", |report| report.spool.events == 0);
    assert_eq!(report.spool.refused, 1);
    assert!(report.uplink.last_error.unwrap().error.starts_with("E705"));

    let spool = |arguments: &[&str]| {
        let mut command = Command::new(binary());
        run(command.arg("--dir").arg(dir.path()).arg("spool").args(arguments)).ok().out
    };
    let status = spool(&["status"]);
    assert!(status.contains("event 77 was set aside"), "{status}");
    let exported: Value = serde_json::from_str(&spool(&["export", "--refused"])).unwrap();
    assert_eq!((&exported["body"], &exported["connector"]["seq"]), (&"number 77".into(), &77.into()));
    // It stays there, and only there, whatever happens to the process.
    connector.process.kill();
    let connector = Foreground::start(dir.path(), "stage", port);
    assert_eq!(connector.report().spool.refused, 1);
    send_tcp(port, lines(201..=201).as_bytes());
    receiver.wait_distinct(200);
}

#[test]
fn a_slow_receiver_is_not_a_dead_one() {
    // Longer for each window than a receiver may be silent, but it gives signs of life.
    let site = Site::start(Manner::Slow(Duration::from_secs(7)));
    site.send(1..=128);
    site.delivered(128);
    assert_eq!(site.receiver.connections(), 1);
    assert_eq!(site.connector.report().uplink.events_retransmitted, 0);
}

#[test]
fn a_certificate_that_expires_holds_events_until_the_valid_one_is_back() {
    let site = Site::start(Manner::Good);
    site.send(1..=50);
    site.delivered(50);
    site.soc.pki.client("expired", Validity::expired(SystemClock.now())).unwrap();
    let put = |name: &str| site.soc.replace_certificate(site.dir.path(), name);
    put("expired");
    site.receiver.hang_up();
    site.send(51..=100);
    let report = site
        .connector
        .wait_until("held", |report| report.uplink.held_by_certificate && report.spool.durable_seq == 100);
    assert!(report.unhealthy.as_ref().unwrap().contains("E225"), "{report:#?}");
    assert_eq!(report.spool.events, 50, "held, not dropped");
    put("client");
    site.delivered(100);
    assert_eq!(site.connector.report().unhealthy, None);
}

#[test]
fn a_link_that_is_cut_costs_nothing_whichever_way_it_is_cut() {
    if !root("link") {
        return;
    }
    let cut = std::env::var("SOC_TEST_CUT_S").map_or(CUT_S, |text| text.parse().unwrap());
    let host = Host::new(47);
    let mut soc = Soc::start_on("127.0.0.1", &[&host.address]);
    let mut command = host.command(binary().to_str().unwrap());
    let addresses = [0, 1].map(|_| format!("{}:{}", host.address, free_port()));
    command.args([
        "--json",
        "incubator",
        "--stream",
        &addresses[0],
        "--confirmations",
        &addresses[1],
        "--pki",
    ]);
    command.arg(soc.dir.path());
    let mut incubator = Process::spawn(command);
    incubator.wait_for("\"stream\"");
    let [stream, confirmations] = addresses.map(|address| address.parse::<SocketAddr>().unwrap());
    (soc.stream, soc.confirmations) = (stream, confirmations);
    let port = free_port();
    let dir = soc.install("client", port, "");
    set(dir.path(), "uplink.ack_timeout_s", 5);
    set(dir.path(), "uplink.connect_timeout_s", 2);
    set(dir.path(), "uplink.max_backoff_s", 1);
    let connector = Foreground::start(dir.path(), "stage", port);
    send_tcp(port, lines(1..=100).as_bytes());
    connector.wait_until("delivered", |report| report.spool.acknowledged_seq == 100);

    let mut last = 100;
    for (what, cut_it, mend_it) in [
        ("unplugged", "ip link set {link} down", "ip link set {link} up"),
        ("dropping what is sent", "iptables -I INPUT -j DROP", "iptables -D INPUT -j DROP"),
        ("dropping what is answered", "iptables -I OUTPUT -j DROP", "iptables -D OUTPUT -j DROP"),
    ] {
        let inside = |line: &str| {
            let line = line.replace("{link}", &host.link());
            let mut words = line.split(' ');
            run(host.command(words.next().unwrap()).args(words)).ok();
        };
        inside(cut_it);
        let begun = std::time::Instant::now();
        while begun.elapsed() < Duration::from_secs(cut) {
            send_tcp(port, lines(last + 1..=last + 50).as_bytes());
            last += 50;
            connector.wait_until("on disk", |report| report.spool.durable_seq == last);
            std::thread::sleep(Duration::from_millis(500));
        }
        let report = connector.report();
        assert!(report.spool.events >= 50, "{what}: nothing was acknowledged meanwhile: {report:#?}");
        inside(mend_it);
        let report = connector.wait_until("delivered", |report| report.spool.acknowledged_seq == last);
        println!(
            "{what} for {cut} s: {last} events so far, {} sent again",
            report.uplink.events_retransmitted
        );
    }
    let mut view = soc.view("client");
    view.wait("the last", |event| event["connector"]["seq"] == last);
    let mut events = BTreeMap::new();
    for event in &view.events {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let seq = event["connector"]["seq"].as_u64().unwrap();
        events.insert((text(&event["connector"]["id"]), seq), text(&event["body"]));
    }
    // The incubator forgets what is older than ten minutes; a long run shows its end.
    let first = events.keys().next().unwrap().1;
    assert!(first == 1 || cut > 100, "{first} is the first");
    assert!(events.keys().map(|(_, seq)| *seq).eq(first..last));
    assert!(events.iter().all(|((_, seq), body)| *body == format!("number {seq}")));
}

#[test]
fn a_disk_that_is_filled_and_freed_again_costs_nothing_and_needs_no_restart() {
    if !root("disk") {
        return;
    }
    let soc = Soc::start();
    let receiver = Receiver::start(soc.server_config(), Manner::Good);
    let port = free_port();
    let dir = soc.install("client", port, "");
    set(dir.path(), "uplink.incubator_stream", receiver.address.to_string());
    set(dir.path(), "uplink.max_backoff_s", 1);
    set(dir.path(), "spool.reserve_mib", 16);
    let disk = SmallDisk::mount(&dir.path().join("spool"), 40);
    let mut connector = Foreground::start(dir.path(), "stage", port);
    let mut last = 0;
    let mut send = |count: u64| {
        let text = lines(last + 1..=last + count);
        last += count;
        (last, std::thread::spawn(move || send_tcp(port, text.as_bytes())))
    };
    for round in 0..3 {
        let (through, sender) = send(300);
        sender.join().unwrap();
        connector.wait_until("delivered", |report| report.spool.acknowledged_seq == through);
        disk.fill();
        // More than the kernel and the channel keep is not needed: the alarm comes with the first batch that is refused.
        let (through, sender) = send(20_000);
        let report =
            connector.wait_until("full", |report| report.spool.full || report.spool.failing.is_some());
        assert!(report.spool.last_seq < through, "{report:#?}");
        if round == 2 {
            // The connector always starts, also on a full disk, and what was on it is still there.
            sender.join().unwrap();
            let before = connector.report().spool;
            connector.process.kill();
            connector = Foreground::start(dir.path(), "stage", port);
            let report = connector.report().spool;
            assert!(report.last_seq >= before.durable_seq, "{before:#?} {report:#?}");
            disk.free();
            break;
        }
        disk.free();
        sender.join().unwrap();
        let report = connector.wait_until("delivered", |report| report.spool.acknowledged_seq == through);
        assert_eq!((report.spool.full, report.spool.failing, report.unhealthy), (false, None, None));
        assert_all(&receiver.wait_distinct(usize::try_from(through).unwrap()), through);
    }
    let report = connector.wait_until("delivered", |report| report.spool.events == 0);
    assert_eq!((report.spool.dropped_full, report.spool.lost_corrupt, report.spool.lost_missing), (0, 0, 0));
    assert_all(&receiver.distinct(), report.spool.last_seq);
}

#[test]
fn a_read_only_file_system_delivers_what_is_on_it_and_takes_events_again_without_a_restart() {
    if !root("read-only") {
        return;
    }
    let soc = Soc::start();
    let receiver = Receiver::start(soc.server_config(), Manner::HalfOpen);
    let port = free_port();
    let dir = soc.install("client", port, "");
    for (setting, value) in [
        ("uplink.incubator_stream", toml_edit::Value::from(receiver.address.to_string())),
        ("uplink.connect_timeout_s", 1.into()),
        ("uplink.max_backoff_s", 1.into()),
        ("spool.reserve_mib", 16.into()),
    ] {
        set(dir.path(), setting, value);
    }
    let disk = SmallDisk::mount(&dir.path().join("spool"), 40);
    let mut connector = Foreground::start(dir.path(), "stage", port);
    send_tcp(port, lines(1..=100).as_bytes());
    connector.wait_until("on disk", |report| report.spool.durable_seq == 100);
    connector.process.kill();

    disk.remount("ro");
    let connector = Foreground::start(dir.path(), "stage", port);
    receiver.set(Manner::Good);
    receiver.wait_distinct(100);
    send_tcp(port, lines(101..=150).as_bytes());
    let report = connector.wait_until("told", |report| report.spool.failing.is_some());
    assert_eq!(report.spool.last_seq, 100, "nothing can be taken in: {report:#?}");
    assert!(report.unhealthy.is_some());

    disk.remount("rw");
    assert_all(&receiver.wait_distinct(150), 150);
    let report = connector.wait_until("acknowledged", |report| report.spool.events == 0);
    assert_eq!((report.spool.failing, report.unhealthy), (None, None));
}
