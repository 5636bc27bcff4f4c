//! What the sockets take in, through the whole connector: every byte that a sender got rid of is an event, or a rule
//! that the documentation names says why not.

#![allow(clippy::unwrap_used, reason = "a test that panics has said enough")]

mod common;

use common::{Foreground, PATIENCE, Process, Rig, Soc, binary, free_port, send_tcp};
use serde_json::Value;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// An ordinary message.
fn message(body: &str) -> String {
    format!("<13>1 - host app - - - {body}")
}

/// The same, octet counted.
fn counted(body: &str) -> String {
    let message = message(body);
    format!("{} {message}", message.len())
}

fn raws(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["event_raw"].as_str().unwrap()).collect()
}

fn connect(port: u16) -> TcpStream {
    TcpStream::connect(("127.0.0.1", port)).unwrap()
}

/// Sends these datagrams, each arrived before the next: the kernel keeps the order of one socket's on loopback.
fn datagrams(port: u16, messages: &[&[u8]]) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    for message in messages {
        assert_eq!(socket.send_to(message, ("127.0.0.1", port)).unwrap(), message.len());
    }
}

/// Whether the other side has closed this connection, waiting for it.
fn is_closed(stream: &mut TcpStream) -> bool {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    match stream.read(&mut [0]) {
        Ok(length) => length == 0,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}

#[test]
fn a_sender_is_named_by_its_address_and_port_over_both_transports_and_families() {
    let mut rig = Rig::start();
    let mut families = vec!["127.0.0.1"];
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok() {
        families.push("::1");
    } else {
        eprintln!("SKIPPED IPv6: this machine has no ::1");
    }
    for family in families {
        let target = SocketAddr::new(family.parse().unwrap(), rig.port());
        let any = SocketAddr::new(family.parse().unwrap(), 0);

        let socket = UdpSocket::bind(any).unwrap();
        let body = format!("udp from {family}");
        socket.send_to(message(&body).as_bytes(), target).unwrap();
        let event = rig.view.wait_body(&body);
        // IPv4 on the socket of both families is written as IPv4, never as ::ffff:127.0.0.1.
        assert_eq!(event["connector"]["source"], socket.local_addr().unwrap().to_string());
        assert_eq!(event["connector"]["transport"], "udp");

        let mut stream = TcpStream::connect(target).unwrap();
        let body = format!("tcp from {family}");
        stream.write_all(format!("{}\n", message(&body)).as_bytes()).unwrap();
        let event = rig.view.wait_body(&body);
        assert_eq!(event["connector"]["source"], stream.local_addr().unwrap().to_string());
        assert_eq!(event["connector"]["transport"], "tcp");
    }
}

#[test]
fn framings_may_change_from_message_to_message_of_one_connection() {
    let mut rig = Rig::start();
    let bytes = [
        counted("counted"),
        format!("{}\n", message("line feed")),
        format!("{}\0", message("NUL")),
        format!("{}\r\n", message("carriage return and line feed")),
        "\n\r\n\0".to_owned(),
        format!("{}\n", counted("counted and a line feed")),
        format!("{}{}", counted("two at once, one"), counted("two at once, two")),
        format!("{}\n", message("2026 <1> is no count")),
        format!("{}\r", message("nothing but the end of the connection ends this")),
    ]
    .concat();
    send_tcp(rig.port(), bytes.as_bytes());
    let events = rig.view.take(9);
    let expected = [
        "counted",
        "line feed",
        "NUL",
        "carriage return and line feed",
        "counted and a line feed",
        "two at once, one",
        "two at once, two",
        "2026 <1> is no count",
        "nothing but the end of the connection ends this",
    ];
    assert_eq!(raws(&events), expected.map(message), "{events:#?}");
}

#[test]
fn the_same_comes_out_when_every_byte_is_a_packet_of_its_own() {
    let mut rig = Rig::start();
    let bytes = format!("{}{}\n{}", counted("one"), message("two"), counted("three"));
    let mut stream = connect(rig.port());
    stream.set_nodelay(true).unwrap();
    for byte in bytes.bytes() {
        stream.write_all(&[byte]).unwrap();
    }
    // The third is complete without the connection's end.
    assert_eq!(raws(&rig.view.take(3)), ["one", "two", "three"].map(message));
}

#[test]
fn a_broken_frame_costs_itself_alone() {
    let mut rig = Rig::start();
    let wrong = message("its count is too small for it");
    let bytes = [
        counted("before"),
        format!("{} {wrong}", wrong.len() - 9),
        counted("after a wrong count"),
        format!("99999999999999999999 {}", message("nobody means this count")),
        counted("after an absurd count"),
    ]
    .concat();
    send_tcp(rig.port(), bytes.as_bytes());
    for body in ["before", "after a wrong count", "after an absurd count"] {
        let event = rig.view.wait_body(body);
        assert_eq!(event["event_raw"], message(body));
    }
    // Nothing was dropped of the broken ones either.
    rig.view.wait("the counted part", |event| event["event_raw"] == wrong[..wrong.len() - 9]);
    rig.view.wait("the part beyond the count", |event| event["event_raw"] == wrong[wrong.len() - 9..]);
}

#[test]
fn what_is_too_long_is_cut_and_marked_and_its_rest_is_no_message() {
    const MAX: usize = 480;
    let mut rig = Rig::start_with(&[("listener.max_message_bytes", 480.into())]);
    let long = message(&"too long ".repeat(500));
    let (begin, fits) = (&long[..MAX], long[..MAX].trim_end());
    assert_eq!(begin, fits, "the cut is not at a space, which would hide an off-by-one");
    let ways = [
        ("line feed", format!("{long}\n{}\n", message("after line feed"))),
        ("counted", format!("{} {long}{}", long.len(), counted("after counted"))),
        ("exact", format!("{begin}\n{}\n", message("after exact"))),
    ];
    for (way, bytes) in ways {
        send_tcp(rig.port(), bytes.as_bytes());
        let events = rig.view.take(2);
        assert_eq!(raws(&events), [begin, &message(&format!("after {way}"))], "{way}");
        assert_eq!(events[0]["connector"].get("cut").is_some(), way != "exact", "{way}: {:#}", events[0]);
        assert_eq!(events[1]["connector"].get("cut"), None, "{way}");
    }
    datagrams(rig.port(), &[long.as_bytes(), message("after udp").as_bytes()]);
    let events = rig.view.take(2);
    assert_eq!(raws(&events), [begin, &message("after udp")]);
    assert_eq!(events[0]["connector"]["cut"], true);
    // Every number was given to one of these: no rest of a message had one.
    assert_eq!(events[1]["connector"]["seq"], 8);
    assert_eq!(rig.connector.report().listener.counters.cut, 3);
}

#[test]
fn three_thousand_connections_at_once_deliver_each() {
    const CONNECTIONS: usize = 3000;
    raise_files();
    let mut rig = Rig::start();
    let mut streams: Vec<TcpStream> = (0..CONNECTIONS).map(|_| connect(rig.port())).collect();
    let open = rig
        .connector
        .wait_until("all connected", |report| report.listener.counters.connections == CONNECTIONS as u64);
    assert_eq!(open.listener.counters.connections_refused, 0);
    for (number, stream) in streams.iter_mut().enumerate() {
        stream.write_all(format!("{}\n", message(&number.to_string())).as_bytes()).unwrap();
    }
    let mut numbers: Vec<usize> = rig
        .view
        .take(CONNECTIONS)
        .iter()
        .map(|event| event["body"].as_str().unwrap().parse().unwrap())
        .collect();
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(0..CONNECTIONS));
    drop(streams);
    rig.connector.wait_until("all disconnected", |report| report.listener.counters.connections == 0);
}

#[test]
fn connections_are_not_bounded_by_the_open_files_that_a_shell_begins_with() {
    const CONNECTIONS: usize = 300;
    let soc = Soc::start();
    let port = free_port();
    let dir = soc.install("client", port, "");
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -S -n 128; exec \"$@\"", "sh"]).arg(binary());
    command.arg("--dir").arg(dir.path()).args(["run", "--mode", "stage"]);
    let mut process = Process::spawn(command);
    process.wait_for("receiving");
    let connector = Foreground { process, port, dir: dir.path().to_owned() };
    let _streams: Vec<TcpStream> = (0..CONNECTIONS).map(|_| connect(port)).collect();
    connector
        .wait_until("all connected", |report| report.listener.counters.connections == CONNECTIONS as u64);
}

/// Open files are bounded to 1024 in many a shell; the connector's bound is its own affair.
fn raise_files() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|soft| soft < 8192) {
        limit.current = Some(limit.maximum.unwrap_or(8192).min(8192));
        setrlimit(Resource::Nofile, limit).unwrap();
    }
}

#[test]
fn unfinished_messages_cannot_take_all_memory() {
    // 80 senders that each begin a message of the longest kind and never end it: more than the 32 MiB for them all.
    let rig = Rig::start_with(&[("listener.max_message_bytes", (1 << 20).into())]);
    let begun = vec![b'x'; (1 << 20) - 1];
    let streams: Vec<TcpStream> = (0..80)
        .map(|_| {
            let mut stream = connect(rig.port());
            // One that is closed meanwhile takes no more, which is the point.
            let _ = stream.write_all(&begun);
            stream
        })
        .collect();
    let report = rig.connector.wait_until("closed what is too much", |report| {
        let listener = &report.listener.counters;
        listener.connections_unfinished_closed > 0
            && listener.connections + listener.connections_unfinished_closed == 80
    });
    assert!(report.listener.counters.connections >= 25, "only what is too much: {report:#?}");
    // Others are served all the same, while the rest is still open.
    let before = report.listener.counters.tcp_messages;
    send_tcp(rig.connector.port, message("from one who ends what he says").as_bytes());
    rig.connector.wait_until("served", |report| report.listener.counters.tcp_messages > before);
    drop(streams);
}

#[test]
fn one_connection_too_many_is_refused_and_counted_and_hurts_no_other() {
    let mut rig = Rig::start_with(&[("listener.max_connections", 3.into())]);
    let mut streams: Vec<TcpStream> = (0..3).map(|_| connect(rig.port())).collect();
    rig.connector.wait_until("connected", |report| report.listener.counters.connections == 3);
    assert!(is_closed(&mut connect(rig.port())));
    assert_eq!(rig.connector.report().listener.counters.connections_refused, 1);
    for (number, stream) in streams.iter_mut().enumerate() {
        let body = format!("still here {number}");
        stream.write_all(format!("{}\n", message(&body)).as_bytes()).unwrap();
        rig.view.wait_body(&body);
    }
    streams.pop();
    rig.connector.wait_until("one less", |report| report.listener.counters.connections == 2);
    send_tcp(rig.port(), counted("there is room again").as_bytes());
    rig.view.wait_body("there is room again");
}

#[test]
fn a_silent_connection_is_closed_and_what_it_left_unfinished_is_an_event() {
    let mut rig = Rig::start_with(&[("listener.idle_timeout_s", 1.into())]);
    let mut stream = connect(rig.port());
    stream.write_all(message("unfinished").as_bytes()).unwrap();
    assert!(is_closed(&mut stream));
    rig.view.wait_body("unfinished");
    assert_eq!(rig.connector.report().listener.counters.connections_idle_closed, 1);
}

#[test]
fn what_the_kernel_took_before_a_stop_is_kept() {
    const CONNECTIONS: usize = 1000;
    raise_files();
    let mut rig = Rig::start();
    let mut early: Vec<TcpStream> = (0..CONNECTIONS).map(|_| connect(rig.port())).collect();
    rig.connector
        .wait_until("connected", |report| report.listener.counters.connections == CONNECTIONS as u64);
    // Frozen, the connector can read nothing: all that is sent now waits in the kernel until it is told to stop.
    rig.connector.process.signal(rustix::process::Signal::STOP);
    let mut expected = Vec::new();
    for (number, stream) in early.iter_mut().enumerate() {
        let body = format!("early {number}");
        stream.write_all(format!("{}\n", message(&body)).as_bytes()).unwrap();
        expected.push(message(&body));
    }
    // These are not even accepted; one half of them is closed already, the other stays open.
    let mut late = Vec::new();
    for number in 0..CONNECTIONS {
        let body = format!("late {number}");
        let mut stream = connect(rig.port());
        stream.write_all(counted(&body).as_bytes()).unwrap();
        if number % 2 == 0 {
            late.push(stream);
        }
        expected.push(message(&body));
    }
    let bodies: Vec<String> = (0..200).map(|number| message(&format!("datagram {number}"))).collect();
    datagrams(rig.port(), &bodies.iter().map(String::as_bytes).collect::<Vec<_>>());
    expected.extend(bodies);
    rig.connector.process.signal(rustix::process::Signal::TERM);
    rig.connector.process.signal(rustix::process::Signal::CONT);
    assert_eq!(rig.connector.process.wait(), Some(0));
    let events = rig.view.take(expected.len());
    let mut arrived = raws(&events);
    arrived.sort_unstable();
    expected.sort_unstable();
    assert_eq!(arrived, expected);
}

#[test]
fn a_sender_that_never_pauses_does_not_hold_a_stop_back() {
    let mut rig = Rig::start();
    let port = rig.port();
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut stream = connect(port);
            let lines = format!("{}\n", message("again")).repeat(100);
            // Ends with the connection, or with the test.
            while stream.write_all(lines.as_bytes()).is_ok() && !ended.load(Ordering::Relaxed) {}
        });
        scope.spawn(|| {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            while !ended.load(Ordering::Relaxed) {
                let _ = socket.send_to(message("again").as_bytes(), ("127.0.0.1", port));
            }
        });
        rig.view.wait_body("again");
        let begun = Instant::now();
        rig.connector.process.signal(rustix::process::Signal::TERM);
        let code = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| rig.connector.process.wait()));
        ended.store(true, Ordering::Relaxed);
        assert_eq!(code.ok().flatten(), Some(0), "still there after {:?}", begun.elapsed());
    });
}

#[test]
fn a_spool_without_room_makes_tcp_senders_wait_and_does_not_hold_a_stop_back() {
    // No file system of a test's machine has a tebibyte to spare.
    let mut rig = Rig::start_with(&[("spool.reserve_mib", (1 << 20).into())]);
    let mut stream = connect(rig.port());
    stream.set_nonblocking(true).unwrap();
    let lines = format!("{}\n", message(&"x".repeat(1000))).repeat(1000);
    let until = Instant::now() + PATIENCE;
    let mut waits = 0;
    // The connector reads some megabytes ahead; then the sender's own kernel takes no more.
    while waits < 20 {
        assert!(Instant::now() < until, "everything is taken in, though there is no room for it");
        match stream.write(lines.as_bytes()) {
            Ok(_) => waits = 0,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                waits += 1;
                std::thread::sleep(std::time::Duration::from_millis(50));
            }
            Err(error) => panic!("{error}"),
        }
    }
    let report = rig.connector.report();
    assert!(report.spool.full, "{report:#?}");
    rig.connector.process.signal(rustix::process::Signal::TERM);
    // Nobody has to wait for room then: what was read is taken in all the same.
    rig.connector.process.wait_for("takes in what was read beyond its bound");
    assert_eq!(rig.connector.process.wait(), Some(0));
}

#[test]
fn whatever_bytes_come_they_come_out_again() {
    let mut rig = Rig::start();
    let every_byte: Vec<u8> = (0..=255).rev().collect();
    let messages: Vec<Vec<u8>> = vec![
        every_byte,
        b"<13>gr\xFC\xDFe aus Bayern".to_vec(),
        b"\xFF\xFE<\x001\x003\x00>".to_vec(),
        b"<34>1 2003-10-11T22:14:15.003Z host su - ID47 - \xEF\xBB\xBFbroken \xC3(".to_vec(),
        b"<13>surrogate \xED\xA0\x80 overlong \xC0\xAF".to_vec(),
    ];
    datagrams(rig.port(), &messages.iter().map(Vec::as_slice).collect::<Vec<_>>());
    let events = rig.view.take(messages.len());
    for (message, event) in messages.iter().zip(&events) {
        // NUL at the end belongs to no message.
        let message = message.strip_suffix(b"\0").unwrap_or(message);
        let base64 = event["connector"]["raw_base64"].as_str().unwrap_or_else(|| panic!("{event:#}"));
        assert_eq!(from_base64(base64), message, "{event:#}");
        assert_eq!(event["event_raw"], *String::from_utf8_lossy(message));
    }

    // What is UTF-8 needs no second copy, however odd.
    let texts = [
        "\u{1}\u{7f}\t\u{1b}[2J",
        "\"quoted\\\" {\"json\": 1}",
        "grüße 🦀",
        "\u{feff}<13>x",
        " ",
        "<",
        "<999>x",
    ];
    datagrams(rig.port(), &texts.map(str::as_bytes));
    let events = rig.view.take(texts.len());
    assert_eq!(raws(&events), texts);
    assert!(events.iter().all(|event| event["connector"].get("raw_base64").is_none()), "{events:#?}");
}

#[test]
fn the_longest_message_of_the_worst_bytes_is_delivered_and_holds_up_no_other() {
    const MAX: usize = 1 << 20;
    // Every control character is six bytes in JSON, twice in the event; one byte that is no UTF-8 adds base64.
    let mut worst = b"<13>".to_vec();
    worst.resize(MAX - 1, 1);
    worst.push(0xFF);
    for level in [0, 6] {
        let longest = i64::try_from(MAX).unwrap();
        let mut rig = Rig::start_with(&[
            ("listener.max_message_bytes", longest.into()),
            ("uplink.compression", level.into()),
        ]);
        send_tcp(rig.port(), &[&worst[..], b"\n", message("after it").as_bytes(), b"\n"].concat());
        let events = rig.view.take(2);
        assert!(from_base64(events[0]["connector"]["raw_base64"].as_str().unwrap()) == worst);
        assert!(events[0]["event_raw"] == *String::from_utf8_lossy(&worst));
        assert_eq!(events[1]["body"], "after it");
    }
}

/// Standard base64 (RFC 4648 section 4), read without the code that wrote it.
fn from_base64(text: &str) -> Vec<u8> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    assert_eq!(text.len() % 4, 0, "{text}");
    let (mut bytes, mut bits, mut count) = (Vec::new(), 0_u32, 0);
    for digit in text.trim_end_matches('=').bytes() {
        let value = DIGITS.iter().position(|&known| known == digit).unwrap();
        bits = bits << 6 | u32::try_from(value).unwrap();
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count & 0xFF) as u8);
        }
    }
    bytes
}

#[test]
fn nothing_is_no_event() {
    let mut rig = Rig::start();
    datagrams(rig.port(), &[b"", b"\n", b"\0", b"\r\n\0", message("a datagram").as_bytes()]);
    rig.view.wait_body("a datagram");
    // A connection that brings nothing, one that brings empty lines, one that ends inside a count.
    drop(connect(rig.port()));
    let mut stream = connect(rig.port());
    stream.write_all(b"\n\n\0\r\n").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    assert!(is_closed(&mut stream));
    send_tcp(rig.port(), format!("{}\n", message("a line")).as_bytes());
    let event = rig.view.wait_body("a line");
    assert_eq!(event["connector"]["seq"], 2, "{event:#}");
}

#[test]
fn a_taken_port_is_said_and_ends_the_connector() {
    let rig = Rig::start();
    let dir = rig.soc.install("client", rig.port(), "");
    let mut second = Foreground::spawn(dir.path(), "stage");
    second.wait_for("E501");
    assert_eq!(second.wait(), Some(1));
}
