//! What an operator sees of a running connector: its metrics, and what the kernel dropped.

#![allow(clippy::unwrap_used, reason = "a test that panics has said enough")]

mod common;

use common::{Foreground, Rig, Soc, binary, free_port, have, run, send_tcp, set};
use rustix::process::Signal;
use soc_connector::connector::exporter::TEXT_FORMAT;
use soc_connector::connector::metrics::METRICS;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The samples of a text in Prometheus' format 0.0.4, by name and labels as written. Panics at everything that the
/// format does not allow, and at what Prometheus would complain about: a family in two places, one without HELP and
/// TYPE before its samples, a sample that is there twice.
#[track_caller]
fn samples(text: &str) -> BTreeMap<String, i64> {
    let name_is_right = |name: &str| {
        !name.starts_with(|c: char| c.is_ascii_digit())
            && !name.is_empty()
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b':')
    };
    let mut samples = BTreeMap::new();
    let (mut families, mut family) = (Vec::new(), String::new());
    assert!(text.ends_with('\n'), "the last line ends too");
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, help) = help.split_once(' ').unwrap();
            assert!(name_is_right(name) && !help.is_empty(), "{line}");
            let kind = lines.next().unwrap().strip_prefix(&format!("# TYPE {name} ")).unwrap();
            assert!(["counter", "gauge"].contains(&kind), "{line}");
            name.clone_into(&mut family);
            assert!(!families.contains(&family), "{family} is in two places");
            families.push(family.clone());
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        assert_eq!(name, family, "a sample stands under its family");
        let mut rest = labels;
        while rest != "}" {
            let (label, value) = rest.split_once("=\"").unwrap();
            assert!(name_is_right(label), "{line}");
            let mut escaped = false;
            let end = value.find(|c| {
                assert!(!escaped || ['\\', '"', 'n'].contains(&c), "{line}");
                let ends = c == '"' && !escaped;
                escaped = c == '\\' && !escaped;
                ends
            });
            rest = &value[end.unwrap() + 1..];
            rest = rest.strip_prefix(',').unwrap_or(rest);
        }
        assert!(
            samples.insert(series.to_owned(), value.parse::<f64>().unwrap() as i64).is_none(),
            "twice: {series}"
        );
    }
    samples
}

/// Asks for the metrics as a scraper does; the head and the body of the answer.
fn scrape(port: u16) -> (String, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_lowercase(), body.to_owned())
}

fn command(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command.arg("--dir").arg(dir).args(arguments);
    command
}

#[test]
fn metrics_are_served_on_loopback_and_printed_by_a_command() {
    let port = free_port();
    let mut rig = Rig::start_with(&[("metrics.port", i64::from(port).into())]);
    send_tcp(rig.port(), b"<13>1 - host app - - - one\n<13>1 - host app - - - two\n");
    rig.view.take(2);
    rig.connector.wait_until("acknowledged", |report| report.spool.acknowledged_seq == 2);

    rig.connector.wait_until("looked at the certificate", |report| report.certificate.is_some());
    let (head, body) = scrape(port);
    assert!(head.starts_with("http/1.1 200 "), "{head}");
    assert!(head.contains(&format!("content-type: {TEXT_FORMAT}")), "{head}");
    let served = samples(&body);
    let stream = rig.soc.stream;
    for (series, value) in [
        ("soc_connector_healthy".to_owned(), 1),
        ("soc_connector_received_messages_total{transport=\"tcp\"}".to_owned(), 2),
        ("soc_connector_udp_kernel_drops_total".to_owned(), 0),
        ("soc_connector_spool_events".to_owned(), 0),
        ("soc_connector_spool_sequence_number{position=\"acknowledged\"}".to_owned(), 2),
        ("soc_connector_uplink_acknowledged_events_total".to_owned(), 2),
        ("soc_connector_uplink_retransmitted_events_total".to_owned(), 0),
        (format!("soc_connector_uplink_endpoint_state{{endpoint=\"{stream}\",state=\"connected\"}}"), 1),
    ] {
        assert_eq!(served.get(&series), Some(&value), "{series} in\n{body}");
    }
    assert!(served["soc_connector_certificate_not_after_seconds{subject=\"client\"}"] > 1_700_000_000);
    for metric in METRICS {
        assert!(served.keys().any(|series| series.split('{').next() == Some(metric.name)), "{}", metric.name);
    }

    let printed = run(&mut command(rig.dir.path(), &["metrics"])).ok();
    assert_eq!(samples(&printed.out).keys().collect::<Vec<_>>(), served.keys().collect::<Vec<_>>());
    assert_eq!(rig.connector.process.terminate(), Some(0));
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err(), "closed with the connector");
    let silent = run(&mut command(rig.dir.path(), &["metrics"]));
    assert_eq!(silent.code, Some(1), "{silent:?}");
    assert!(silent.err.contains("ERROR - E503 "), "{silent:?}");
}

/// The reading side that most installations have.
#[test]
fn prometheus_own_parser_reads_every_metric() {
    let packages = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/python");
    if !have("prometheus_client", "python3") {
        return;
    }
    let python = |script: &str| {
        let mut command = Command::new("python3");
        command.env("PYTHONPATH", &packages).args(["-c", script]);
        command
    };
    if run(&mut python("import prometheus_client")).code != Some(0) {
        assert!(std::env::var_os("CI").is_none(), "CI needs prometheus_client; tests/run installs it");
        eprintln!("SKIPPED prometheus_client: it is not in {} (tests/run installs it)", packages.display());
        return;
    }
    let mut rig = Rig::start();
    send_tcp(rig.port(), b"<13>1 - host app - - - one\n");
    rig.view.take(1);
    rig.connector.wait_until("acknowledged", |report| report.spool.acknowledged_seq == 1);
    rig.connector.wait_until("looked at the certificate", |report| report.certificate.is_some());
    let text = run(&mut command(rig.dir.path(), &["metrics"])).ok().out;
    let mut parser = python(
        "import sys\nfrom prometheus_client.parser import text_string_to_metric_families as read\n\
         for f in read(sys.stdin.read()):\n    for s in f.samples: print(s.name, f.type, *sorted(s.labels))",
    );
    let mut parser = parser.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    parser.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = parser.wait_with_output().unwrap();
    assert!(output.status.success());
    let read = String::from_utf8(output.stdout).unwrap();
    for metric in METRICS {
        let mut labels = metric.labels.to_vec();
        labels.sort_unstable();
        let line = [&[metric.name, metric.kind.name()], labels.as_slice()].concat().join(" ");
        assert!(read.lines().any(|one| one == line), "{line} in\n{read}");
    }
    assert_eq!(read.lines().count(), samples(&text).len());
}

#[test]
fn a_taken_port_of_the_metrics_keeps_no_connector_from_its_work() {
    let taken = TcpListener::bind(("127.0.0.1", free_port())).unwrap();
    let port = taken.local_addr().unwrap().port();
    let soc = Soc::start();
    let dir = soc.install("client", free_port(), "");
    set(dir.path(), "metrics.port", i64::from(port));
    let mut process = Foreground::spawn(dir.path(), "stage");
    let said = process.wait_for("receiving");
    assert!(said.contains("E506") && said.contains(&port.to_string()), "{said}");
    let printed = run(&mut command(dir.path(), &["metrics"])).ok();
    assert_eq!(samples(&printed.out)["soc_connector_healthy"], 1);
    assert_eq!(process.terminate(), Some(0));
}

#[test]
fn what_the_kernel_drops_is_counted_to_the_last_datagram() {
    const SENT: u64 = 20_000;
    let rig = Rig::start_with(&[("listener.udp_buffer_kib", 64.into())]);
    // A connector that does not read: the kernel's buffer fills up, and what has no room is gone.
    rig.connector.process.signal(Signal::STOP);
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    for number in 0..SENT {
        let message = format!("<13>1 - host app - - - number {number}");
        sender.send_to(message.as_bytes(), ("127.0.0.1", rig.port())).unwrap();
    }
    rig.connector.process.signal(Signal::CONT);
    let report = rig.connector.wait_until("received or dropped every datagram", |report| {
        report.listener.counters.udp_messages + report.listener.udp_kernel.unwrap().dropped == SENT
    });
    let dropped = report.listener.udp_kernel.unwrap().dropped;
    assert!(dropped > 0, "{report:#?}");
    let printed = samples(&run(&mut command(rig.dir.path(), &["metrics"])).ok().out);
    assert_eq!(printed["soc_connector_udp_kernel_drops_total"], dropped.cast_signed());
    assert_eq!(printed["soc_connector_udp_buffer_asked_bytes"], 64 * 1024);
}
