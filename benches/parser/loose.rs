//! The same work done with `syslog_loose` and `serde_json`: from what a listener has, the bytes of a message and its
//! origin, to the event with its twelve fields and the connector's part.
//!
//! It is written as a program would be that uses both: the event is a struct, what `syslog_loose` gives as a slice stays
//! one, an address is written by its own `Serialize`, numbers and times become strings, because the event's values are
//! strings. Structured data comes in parts and is put together again with its own `Display`. As on the other side bytes
//! that are not UTF-8 are replaced, a year left out is taken from the time of reception, a zone left out is UTC, and a
//! clock that is far off is told.

use chrono::{DateTime, Datelike, SecondsFormat, Utc};
use serde::Serialize;
use soc_connector::batch::Origin;
use std::fmt::Write as _;
use std::net::SocketAddr;
use syslog_loose::{IncompleteDate, Message, ProcId, Protocol, Variant};

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
    received: String,
    source: SocketAddr,
    transport: &'static str,
    parse: &'static str,
}

/// Parses a message that was received at that time.
pub fn parse(raw: &str, received: DateTime<Utc>) -> Message<&str> {
    let year = |(month, ..): IncompleteDate| match (received.month(), month) {
        (1, 12) => received.year() - 1,
        (12, 1) => received.year() + 1,
        _ => received.year(),
    };
    syslog_loose::parse_message_with_year_tz(raw, year, Some(Utc), Variant::Either)
}

/// Parses and appends the event as JSON; says whether the sender's clock is far off.
pub fn write_event(out: &mut Vec<u8>, seq: u64, origin: &Origin, raw: &[u8]) -> bool {
    let raw = String::from_utf8_lossy(raw);
    let received = received(origin);
    let message = parse(&raw, received);
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
    let sender;
    let host_name = if let Some(host) = message.hostname {
        host
    } else {
        sender = origin.source.ip().to_string();
        &sender
    };
    let time = message.timestamp.unwrap_or_else(|| received.fixed_offset());
    let event = Event {
        app_inst: app,
        app_name: app.split('/').next().unwrap_or(app),
        body: message.msg,
        raw: &raw,
        facility: facility.to_string(),
        host_name,
        priority: (facility * 8 + severity).to_string(),
        syslog_tag: if message.procid.is_some() { format!("{app}[{proc_id}]") } else { app.to_owned() },
        proc_id,
        severity: severity.to_string(),
        structured_data,
        timestamp: time.to_rfc3339(),
        connector: Connector {
            id: "bench",
            seq,
            received: received.to_rfc3339_opts(SecondsFormat::Micros, true),
            source: origin.source,
            transport: origin.transport.name(),
            parse: match message.protocol {
                Protocol::RFC5424(_) => "rfc5424",
                Protocol::RFC3164 => "rfc3164",
            },
        },
    };
    serde_json::to_writer(out, &event).expect("writing to memory cannot fail");
    (time.timestamp() - received.timestamp()).abs() > 86_400
}

/// When a message was received.
pub fn received(origin: &Origin) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(origin.received.0).expect("a time near the present")
}
