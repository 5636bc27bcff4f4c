//! The uplink against Python's timbersnake 0.1.0, a Lumberjack v2 receiver that this project did not write: over mutual
//! TLS as Python makes it, acknowledged event by event without compression and window by window with it.

#![allow(clippy::unwrap_used, reason = "a test that panics has said enough")]

mod common;

use common::{Foreground, Process, Soc, free_port, have, run, send_tcp, set};
use serde_json::Value;
use std::path::PathBuf;
use std::process::Command;

/// Where `tests/lib/senders.sh` installs it.
fn packages() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/python")
}

/// timbersnake keeps nothing of what it receives, and its handler of frames that are not compressed calls `json.parse`,
/// which Python does not have. So it gets a `json` whose two functions are what it means, and say what they read.
const RECEIVER: &str = r#"
import asyncio, json, ssl, sys
from timbersnake import server

class Json:
    @staticmethod
    def loads(data):
        event = json.loads(data)
        print("EVENT", json.dumps(event), flush=True)
        return event
    parse = loads

server.json = Json
port, ca, certificate, key = sys.argv[1:]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
context.load_verify_locations(ca)
context.verify_mode = ssl.CERT_REQUIRED
asyncio.run(server.Server("127.0.0.1", int(port), ssl=context).start_and_serve_forever())
"#;

fn timbersnake(soc: &Soc, port: u16) -> Process {
    let mut command = Command::new("python3");
    command.env("PYTHONPATH", packages()).args(["-c", RECEIVER, &port.to_string()]);
    command.arg(soc.pki.ca()).arg(soc.path("server-cert.pem")).arg(soc.path("server-key.pem"));
    Process::spawn(command)
}

#[test]
fn every_event_arrives_complete_compressed_or_not() {
    if !have("timbersnake", "python3") {
        return;
    }
    let import =
        run(Command::new("python3").env("PYTHONPATH", packages()).args(["-c", "import timbersnake"]));
    if import.code != Some(0) {
        assert!(
            std::env::var_os("CI").is_none(),
            "timbersnake: CI needs it; tests/run installs it: {import:?}"
        );
        eprintln!("SKIPPED timbersnake: it is not in {} (tests/run installs it)", packages().display());
        return;
    }
    let mut messages: Vec<String> =
        (1..=500).map(|n| format!("<13>1 - host app {n} - - number {n}")).collect();
    messages.push(format!("<13>1 - host app - - - long {}", "x".repeat(60_000)));
    messages.push(
        "<34>1 2003-10-11T22:14:15.003Z host su - ID47 [a@1 b=\"c\\\"d\"] \u{feff}grüße 🦀 \u{1}".to_owned(),
    );
    messages.push("Feb  5 17:32:18 10.0.0.99 no PRI, but a \"quote\"".to_owned());
    messages.push("the last".to_owned());
    for level in [0, 3] {
        let soc = Soc::start();
        let (port, receiver_port) = (free_port(), free_port());
        let dir = soc.install("client", port, "");
        set(dir.path(), "uplink.incubator_stream", format!("127.0.0.1:{receiver_port}"));
        set(dir.path(), "uplink.compression", level);
        set(dir.path(), "uplink.window_events", 100);
        set(dir.path(), "uplink.max_backoff_s", 1);
        let mut receiver = timbersnake(&soc, receiver_port);
        let connector = Foreground::start(dir.path(), "stage", port);
        send_tcp(port, (messages.join("\n") + "\n").as_bytes());
        let seen = receiver.wait_for("\"the last\"");
        let report = connector.wait_until("acknowledged", |report| report.spool.events == 0);
        assert_eq!(report.uplink.events_retransmitted, 0, "level {level}: {:?}", report.uplink.last_error);
        let events: Vec<Value> = seen
            .lines()
            .filter_map(|line| line.strip_prefix("EVENT "))
            .map(|json| serde_json::from_str(json).unwrap())
            .collect();
        assert_eq!(events.len(), messages.len(), "level {level}");
        for ((number, message), event) in (1..).zip(&messages).zip(&events) {
            assert_eq!(event["event_raw"], *message, "level {level}");
            assert_eq!(event["connector"]["seq"], number, "level {level}");
            let fields = event.as_object().unwrap();
            assert_eq!(fields.len(), 13, "level {level}: {event:#}");
            assert!(fields.iter().all(|(name, value)| name == "connector" || value.is_string()), "{event:#}");
        }
    }
}
