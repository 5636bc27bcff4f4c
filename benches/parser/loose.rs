//! The same work done with `syslog_loose` and `serde_json`: the event's twelve fields and the connector's part.
//!
//! What `syslog_loose` gives as a slice is written as a slice; numbers and the timestamp are made into strings, because
//! the event's values are strings. Its structured data is written back with its own `Display`.

use serde::Serialize;
use std::fmt::Write as _;
use syslog_loose::{Message, ProcId, Variant};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Event<'a> {
    app_inst: &'a str,
    app_name: &'a str,
    body: &'a str,
    #[serde(rename = "event_raw")]
    raw: &'a str,
    facility: String,
    host_name: &'a str,
    priority: String,
    proc_id: String,
    severity: String,
    structured_data: String,
    syslog_tag: String,
    timestamp: String,
    connector: Connector,
}

#[derive(Serialize)]
struct Connector {
    id: &'static str,
    seq: u64,
    received: &'static str,
    source: &'static str,
    transport: &'static str,
    parse: &'static str,
}

/// Parses.
pub fn parse(raw: &str) -> Message<&str> {
    syslog_loose::parse_message(raw, Variant::Either)
}

/// Parses and appends the event as JSON.
pub fn write_event(out: &mut Vec<u8>, seq: u64, raw: &str) {
    let message = parse(raw);
    let facility = message.facility.map_or(1, |facility| facility as i32);
    let severity = message.severity.map_or(5, |severity| severity as i32);
    let app = message.appname.unwrap_or("-");
    let proc_id = match &message.procid {
        Some(ProcId::PID(number)) => number.to_string(),
        Some(ProcId::Name(name)) => (*name).to_owned(),
        None => "-".to_owned(),
    };
    let mut structured_data = String::new();
    for element in &message.structured_data {
        write!(structured_data, "{element}").expect("writing to memory cannot fail");
    }
    if structured_data.is_empty() {
        structured_data.push('-');
    }
    let event = Event {
        app_inst: app,
        app_name: app.split('/').next().unwrap_or(app),
        body: message.msg,
        raw,
        facility: facility.to_string(),
        host_name: message.hostname.unwrap_or("192.0.2.10"),
        priority: (facility * 8 + severity).to_string(),
        syslog_tag: if message.procid.is_some() { format!("{app}[{proc_id}]") } else { app.to_owned() },
        proc_id,
        severity: severity.to_string(),
        structured_data,
        timestamp: message.timestamp.map_or_else(|| "-".to_owned(), |time| time.to_rfc3339()),
        connector: Connector {
            id: "bench",
            seq,
            received: "2026-11-22T03:00:00.000001Z",
            source: "192.0.2.10:51400",
            transport: "tcp",
            parse: "rfc5424",
        },
    };
    serde_json::to_writer(out, &event).expect("writing to memory cannot fail");
}
