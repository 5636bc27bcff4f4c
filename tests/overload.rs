//! More comes in than can be taken in: TCP senders are slowed down, what is lost of UDP is counted, memory stays within its
//! bound, the stream to the receiver goes on, and nothing that was taken in is lost.

#![allow(clippy::unwrap_used, reason = "a test that panics has said enough")]

mod common;

use common::receiver::{Manner, Receiver};
use common::{Foreground, Soc, free_port, set};
use soc_connector::connector::report::Report;
use std::collections::BTreeMap;
use std::io::{ErrorKind, Write};
use std::net::{TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// TCP connections, each with a sender of its own.
const SENDERS: usize = 4;
/// How often each of them has to wait before it has seen enough.
const WAITS: usize = 8;
/// Messages of each sender at most: twice what the kernel's buffers hold between it and the connector. They are made
/// before the first is sent, for a sender that makes them on the way is no faster than who takes them in.
const MOST: usize = 100_000;
/// Messages of one write.
const AT_ONCE: usize = 200;
/// The most memory under any load, in KiB.
const MEMORY_KIB: u64 = 192 * 1024;

fn message(sender: &str, number: usize) -> String {
    format!("<13>1 - host app - - - {sender} {number} {}", "x".repeat(200))
}

/// Writes until it had to wait often enough; how many messages it got rid of.
fn overwhelm(port: u16, messages: &[String]) -> usize {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let (mut sent, mut waits) = (0, 0);
    for lines in messages {
        stream.set_nonblocking(true).unwrap();
        let mut written = 0;
        while written < lines.len() {
            match stream.write(&lines.as_bytes()[written..]) {
                Ok(length) => written += length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    waits += 1;
                    break;
                }
                Err(error) => panic!("{error}"),
            }
        }
        stream.set_nonblocking(false).unwrap();
        stream.write_all(&lines.as_bytes()[written..]).unwrap();
        sent += AT_ONCE;
        if waits == WAITS {
            break;
        }
    }
    assert!(waits > 0, "a sender that never had to wait");
    sent
}

/// Sends datagrams until it is told to end; how many.
fn flood(port: u16, end: &AtomicBool) -> u64 {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut sent = 0;
    while !end.load(Relaxed) {
        socket.send_to(message("udp", sent).as_bytes(), ("127.0.0.1", port)).unwrap();
        sent += 1;
    }
    sent as u64
}

#[test]
fn overload_slows_tcp_down_counts_what_udp_loses_and_costs_nothing_else() {
    let soc = Soc::start();
    let receiver = Receiver::start(soc.server_config(), Manner::Good);
    let port = free_port();
    let dir = soc.install("client", port, "");
    set(dir.path(), "uplink.incubator_stream", receiver.address.to_string());
    // A small buffer is full soon.
    set(dir.path(), "listener.udp_buffer_kib", 64);
    set(dir.path(), "connector.self_reports", false);
    let connector = Foreground::start(dir.path(), "stage", port);

    let messages: Vec<Vec<String>> = (0..SENDERS)
        .map(|sender| {
            let name = format!("tcp{sender}");
            let lines =
                |first| (first..first + AT_ONCE).map(|number| message(&name, number) + "\n").collect();
            (0..MOST).step_by(AT_ONCE).map(lines).collect()
        })
        .collect();
    let end = AtomicBool::new(false);
    let (sent_tcp, sent_udp) = std::thread::scope(|scope| {
        let flooder = scope.spawn(|| flood(port, &end));
        let senders: Vec<_> =
            messages.iter().map(|messages| scope.spawn(move || overwhelm(port, messages))).collect();
        let sent_tcp: Vec<usize> = senders.into_iter().map(|sender| sender.join().unwrap()).collect();
        let lost = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            connector.wait_until("a datagram lost", |report| {
                report.listener.udp_kernel.is_none_or(|kernel| kernel.dropped > 0)
            })
        }));
        end.store(true, Relaxed);
        assert!(lost.is_ok(), "no datagram was lost");
        (sent_tcp, flooder.join().unwrap())
    });
    let all_tcp: usize = sent_tcp.iter().sum();

    // Each datagram came in or is in the kernel's count, each TCP message came in, and all that came in is acknowledged.
    let acknowledged = |report: &Report| report.spool.acknowledged_seq;
    let report = connector.wait_while_it_gets_on("everything accounted for", acknowledged, |report| {
        let counters = &report.listener.counters;
        let lost =
            report.listener.udp_kernel.map_or(sent_udp - counters.udp_messages, |kernel| kernel.dropped);
        counters.udp_messages + lost == sent_udp
            && counters.tcp_messages == all_tcp as u64
            && report.spool.events == 0
    });
    assert_eq!(report.spool.acknowledged_seq, all_tcp as u64 + report.listener.counters.udp_messages);

    let mut arrived: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for body in receiver.distinct().into_values() {
        let mut words = body.split(' ');
        let (sender, number) = (words.next().unwrap(), words.next().unwrap());
        arrived.entry(sender.to_owned()).or_default().push(number.parse().unwrap());
    }
    for (sender, &sent) in sent_tcp.iter().enumerate() {
        assert!(arrived[&format!("tcp{sender}")].iter().copied().eq(0..sent), "sender {sender}");
    }
    let datagrams = &arrived["udp"];
    assert_eq!(datagrams.len() as u64, report.listener.counters.udp_messages);
    assert!(datagrams.is_sorted_by(|before, after| before < after));

    assert_eq!(receiver.connections(), 1, "the stream broke");
    let peak = peak_kib(connector.process.child.id());
    assert!(peak < MEMORY_KIB, "{peak} KiB");
}

/// The most memory that the process ever had.
fn peak_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_ascii_whitespace().nth(1).unwrap().parse().unwrap()
}
