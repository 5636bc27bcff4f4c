//! The real process, killed a hundred times: at every fault point and at random moments under load.
//!
//! `SOC_TEST_KILLS=1000 cargo test --test kills -- --nocapture` kills more often. The seed is printed, and
//! `SOC_TEST_SEED` repeats the choices (not the kernel's scheduling).

#![allow(clippy::unwrap_used, reason = "a test that panics has said enough")]

mod common;

use common::receiver::{Manner, Receiver};
use common::{Foreground, PATIENCE, Process, Soc, binary, free_port, set};
use soc_connector::fault_point::Place;
use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Kills in a run under CI, and in one at a desk, where someone waits for it.
const KILLS: usize = 104;
const KILLS_AT_A_DESK: usize = 26;

/// What a process had taken over from the kernel and not yet appended is at most this: the channel between listener and
/// spool (64 batches of 256 KiB) and the batches in hand on its two sides.
const TAKEN_OVER_BYTES: u64 = 66 * 256 * 1024;

/// Messages that are sent at once, with a pause of a millisecond between: some ten thousands a second, so that kills come
/// among them and a fast binary does not deliver millions before.
const BURST: u64 = 50;
const PAUSE: Duration = Duration::from_millis(1);

/// A message's bytes: small ones for many steps, large ones to fill segments.
const SMALL: usize = 800;
const LARGE: usize = 60_000;

/// What the kernel keeps of one connection at most, on both sides.
fn socket_buffers() -> u64 {
    let largest = |name: &str| -> u64 {
        let text = std::fs::read_to_string(format!("/proc/sys/net/ipv4/{name}")).unwrap();
        text.split_whitespace().last().unwrap().parse().unwrap()
    };
    largest("tcp_rmem") + largest("tcp_wmem")
}

/// One life of the process and what was sent to it.
struct Round {
    what: String,
    /// Messages that the kernel took from the sender.
    sent: Arc<AtomicU64>,
    bytes: usize,
    /// Everything up to this sequence number has to be there.
    safe: u64,
}

/// Repeatable choices.
struct Choice(u64);

impl Choice {
    fn below(&mut self, bound: u64) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % bound
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap())
}

/// Sends numbered messages until the connection breaks.
fn send(port: u16, round: usize, bytes: usize, sent: Arc<AtomicU64>) -> std::thread::JoinHandle<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    std::thread::spawn(move || {
        for number in 1.. {
            let head = format!("<13>1 - host app - - - {round} {number} ");
            let line = format!("{head:x<bytes$}\n");
            // Counted before, since a part of it may arrive whole although the call fails.
            sent.store(number, Ordering::Relaxed);
            if stream.write_all(line.as_bytes()).is_err() {
                return;
            }
            if number % BURST == 0 {
                std::thread::sleep(PAUSE);
            }
        }
    })
}

fn spawn(binary: &Path, dir: &Path, kill_at: Option<&str>) -> Process {
    let mut command = Command::new(binary);
    command.arg("--dir").arg(dir).args(["run", "--mode", "stage"]);
    if let Some(kill_at) = kill_at {
        command.env("SOC_KILL_AT", kill_at);
    }
    Process::spawn(command)
}

#[test]
fn a_hundred_kills_at_fault_points_and_at_random_moments_cost_nothing_that_was_safe() {
    let usual = if std::env::var_os("CI").is_some() { KILLS } else { KILLS_AT_A_DESK };
    let kills = number("SOC_TEST_KILLS").map_or(usual, |kills| usize::try_from(kills).unwrap());
    let seed = number("SOC_TEST_SEED").unwrap_or_else(|| std::process::id().into());
    println!("SOC_TEST_SEED={seed}");
    let mut choice = Choice(seed);
    let soc = Soc::start();
    let receiver = Receiver::start(soc.server_config(), Manner::Good);
    let port = free_port();
    let dir = soc.install("client", port, "");
    set(dir.path(), "uplink.incubator_stream", receiver.address.to_string());
    set(dir.path(), "uplink.max_backoff_s", 1);
    set(dir.path(), "spool.max_mib", 64);
    // Many syncs, and some of them with several batches.
    set(dir.path(), "spool.sync_interval_ms", 3);
    // Draws the spool's name, which all that follows keep.
    Foreground::start(dir.path(), "stage", port).process.terminate();

    // The debug build has the fault points, whichever binary is under test.
    let debug = Path::new(env!("CARGO_BIN_EXE_soc-connector"));
    let mut rounds: Vec<Round> = Vec::new();
    for kill in 0..kills {
        let round = if kill % 2 == 0 && cfg!(debug_assertions) {
            let place = Place::ALL[kill / 2 % Place::ALL.len()];
            let times = 1 + choice.below(if rolls(place) { 2 } else { 9 });
            at_fault_point(debug, dir.path(), port, rounds.len(), place, times)
        } else {
            at_random(dir.path(), port, rounds.len(), Duration::from_micros(choice.below(80_000)))
        };
        rounds.push(round);
    }

    let mut connector = Foreground::start(dir.path(), "stage", port);
    let report = connector.wait_until("delivered", |report| report.spool.events == 0);
    assert_eq!((report.spool.lost_corrupt, report.spool.lost_missing), (0, 0));
    assert_eq!(connector.process.terminate(), Some(0));
    check(&rounds, &receiver);
}

/// Whether a segment has to be filled for it.
fn rolls(place: Place) -> bool {
    matches!(place, Place::SegmentComplete | Place::SegmentRename)
}

/// Under load until the process kills itself at a place.
fn at_fault_point(binary: &Path, dir: &Path, port: u16, round: usize, place: Place, times: u64) -> Round {
    let what = format!("{}:{times}", place.name());
    let bytes = if rolls(place) { LARGE } else { SMALL };
    let sent = Arc::new(AtomicU64::new(0));
    let mut process = spawn(binary, dir, Some(&what));
    let mut output = String::new();
    // Some places are passed while the spool is opened.
    if let Some(said) = process.wait_up_to(PATIENCE, "receiving") {
        output = said;
        let sender = send(port, round, bytes, Arc::clone(&sent));
        assert_eq!(process.wait(), None, "killed by a signal at {what}");
        sender.join().unwrap();
    }
    output.push_str(&process.rest());
    let (_, safe) = output
        .split_once(&format!("killed at {}: ", place.name()))
        .unwrap_or_else(|| panic!("{what}: {output}"));
    Round { what, sent, bytes, safe: safe.lines().next().unwrap().parse().unwrap() }
}

/// Under load until a moment after the first message.
fn at_random(dir: &Path, port: u16, round: usize, after: Duration) -> Round {
    let sent = Arc::new(AtomicU64::new(0));
    let mut process = spawn(&binary(), dir, None);
    process.wait_for("receiving");
    let mut connector = Foreground { process, port, dir: dir.to_owned() };
    let sender = send(port, round, SMALL, Arc::clone(&sent));
    std::thread::sleep(after);
    let safe = connector.report().spool.durable_seq;
    connector.process.kill();
    sender.join().unwrap();
    Round { what: format!("{} µs", after.as_micros()), sent, bytes: SMALL, safe }
}

/// Everything that was safe arrived, in order, each event under one number; what is missing of a round is its end, and
/// no more than process and kernel can have held.
fn check(rounds: &[Round], receiver: &Receiver) {
    let events = receiver.distinct();
    let mut names = events.keys().map(|(id, _)| id.clone()).collect::<Vec<_>>();
    names.dedup();
    assert_eq!(names.len(), 1, "one spool, one name: {names:?}");
    let mut arrived = vec![0_u64; rounds.len()];
    let mut last_of = vec![0_u64; rounds.len()];
    let mut current = 0;
    for (expected, ((_, seq), body)) in (1..).zip(&events) {
        assert_eq!(*seq, expected, "no number is left out");
        let mut words = body.split(' ');
        let round: usize = words.next().unwrap().parse().unwrap();
        let number: u64 = words.next().unwrap().parse().unwrap();
        assert!(round >= current, "round {round} behind {current}");
        current = round;
        arrived[round] += 1;
        assert_eq!(number, arrived[round], "in round {round} ({})", rounds[round].what);
        last_of[round] = *seq;
    }
    let bound = TAKEN_OVER_BYTES + socket_buffers();
    let (mut last, mut missing, mut most) = (0, 0, 0);
    for (index, round) in rounds.iter().enumerate() {
        last = last.max(last_of[index]);
        assert!(
            round.safe <= last,
            "round {index} ({}): {} was safe, {last} is there",
            round.what,
            round.safe
        );
        let lost = round.sent.load(Ordering::Relaxed) - arrived[index];
        assert!(
            lost * round.bytes as u64 <= bound,
            "round {index} ({}): {lost} messages missing",
            round.what
        );
        (missing, most) = (missing + lost, most.max(lost * round.bytes as u64));
    }
    println!(
        "{} kills, {last} events arrived, none that was safe is missing; {missing} had not reached the spool, \
         at most {most} bytes in one kill (bound: {bound})",
        rounds.len()
    );
}

#[test]
fn the_binary_that_is_shipped_has_no_fault_points() {
    let has = |binary: &Path| memchr::memmem::find(&std::fs::read(binary).unwrap(), b"SOC_KILL_AT").is_some();
    if cfg!(debug_assertions) {
        assert!(has(Path::new(env!("CARGO_BIN_EXE_soc-connector"))), "what is looked for can be found");
    }
    match std::env::var_os("SOC_TEST_BINARY") {
        Some(shipped) => assert!(!has(Path::new(&shipped))),
        None => eprintln!("SKIPPED: tests/run builds the binary that is shipped"),
    }
}
