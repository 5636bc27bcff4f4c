//! The demo as a visitor runs it: no engine, no preparation, and nothing left behind.

#![allow(clippy::unwrap_used, reason = "a test that panics has said enough")]

mod common;

use common::{Process, binary, free_port, run, send_tcp};
use serde_json::Value;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

/// The demo with these options, whose temporary files are in `temporary`.
fn demo(temporary: &Path, options: &[&str]) -> Command {
    let mut command = Command::new(binary());
    // Not a place that it could write to by chance.
    command.args(options).env("TMPDIR", temporary).current_dir("/").env_remove("SOC_DIR");
    command
}

#[track_caller]
fn assert_empty(dir: &Path) {
    let left: Vec<_> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(left.is_empty(), "left behind: {left:?}");
}

#[test]
fn its_six_messages_are_confirmed_and_nothing_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let port = free_port();
    let options = ["--json", "demo", "--count", "6", "--syslog-port", &port.to_string()];
    let done = run(&mut demo(dir.path(), &options)).ok();
    let lines: Vec<Value> = done.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let events: Vec<&Value> = lines.iter().filter(|line| line.get("event_raw").is_some()).collect();
    assert_eq!(events.len(), 6, "{lines:#?}");
    // Each is read by the rule that it shows; none by the one for everything else.
    for event in &events {
        assert_ne!(event["connector"]["parse"], "raw", "{event:#}");
        assert!(event["connector"]["id"].as_str().unwrap().starts_with("demo-"), "{event:#}");
    }
    // Each came over a connection of its own, so their order is nobody's promise.
    let mut names: Vec<&str> = events.iter().map(|event| event["hostName"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        ["127.0.0.1", "fg-100", "fw-edge", "gw-1", "sensor-3", "web01.example.org"],
        "{events:#?}"
    );
    let last = lines.last().unwrap();
    assert_eq!(last["level"], "OK");
    assert!(last["message"].as_str().unwrap().contains("6 events confirmed"), "{last}");
    assert!(
        lines
            .iter()
            .any(|line| line["message"].as_str().is_some_and(|text| text.contains(&port.to_string())))
    );
    assert!(done.err.is_empty(), "{done:?}");
    assert_empty(dir.path());
}

#[test]
fn it_shows_what_a_visitor_sends_until_it_is_interrupted() {
    for signal in [rustix::process::Signal::INT, rustix::process::Signal::TERM] {
        let dir = tempfile::tempdir().unwrap();
        let port = free_port();
        let mut process = Process::spawn(demo(dir.path(), &["demo", "--syslog-port", &port.to_string()]));
        let said = process.wait_for("Ctrl-C ends the demo");
        assert!(said.contains(&format!("logger --port {port} --server localhost --tcp")), "{said}");
        send_tcp(port, b"<165>1 - host myapp - - - This is my very important log message!\n");
        let said = process.wait_for("\"body\": \"This is my very important log message!\"");
        assert!(said.contains("INFO - SOC System confirmed log message : {"), "{said}");
        process.signal(signal);
        let said = process.wait_for("OK - demo ended: 7 events confirmed");
        assert!(!said.contains("ERROR"), "{said}");
        assert_eq!(process.wait(), Some(0));
        assert_empty(dir.path());
    }
}

#[test]
fn a_port_that_was_asked_for_and_is_taken_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind(("127.0.0.1", free_port())).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let done = run(&mut demo(dir.path(), &["demo", "--count", "6", "--syslog-port", &port]));
    assert_eq!(done.code, Some(1), "{done:?}");
    assert!(done.err.contains("ERROR - E501 ") && done.err.contains(&port), "{done:?}");
    assert_empty(dir.path());
}

#[test]
fn where_the_usual_port_is_taken_any_other_is_used() {
    let dir = tempfile::tempdir().unwrap();
    // Where this fails, somebody else has taken it already.
    let taken = TcpListener::bind(("127.0.0.1", 1514));
    let done = run(&mut demo(dir.path(), &["demo", "--count", "6"])).ok();
    drop(taken);
    assert!(done.out.contains("WARN - port 1514 is taken, so any free one is used"), "{done:?}");
    assert!(done.out.contains("OK - demo ended: 6 events confirmed"), "{done:?}");
    assert_empty(dir.path());
}
