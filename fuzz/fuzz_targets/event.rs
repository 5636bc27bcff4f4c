//! The event of every input is JSON that reads back to the same strings: each field is the slice that the parser found,
//! with U+FFFD for what is not UTF-8, and the message itself stands in `event_raw`, or byte for byte in `raw_base64`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use soc_connector_fuzz::batch::{Origin, Transport};
use soc_connector_fuzz::clock::UnixMicros;
use soc_connector_fuzz::settings;
use soc_connector_fuzz::syslog::normaliser::Normaliser;
use soc_connector_fuzz::syslog::parse::{self, tag};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

fn base64(text: &str) -> Vec<u8> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bytes = Vec::new();
    for group in text.as_bytes().chunks(4) {
        let digits = group.iter().take_while(|byte| **byte != b'=');
        let values: Vec<_> =
            digits.map(|digit| ALPHABET.iter().position(|byte| byte == digit).expect("Base64")).collect();
        let bits = values.iter().enumerate().fold(0, |bits, (at, value)| bits | value << (18 - 6 * at));
        bytes.extend(&[(bits >> 16) as u8, (bits >> 8) as u8, bits as u8][..values.len() - 1]);
    }
    bytes
}

fuzz_target!(|input: &[u8]| {
    // One byte chooses the moment of reception, in steps of 12 days from 2024 on; the rest is the message.
    let [moment, raw @ ..] = input else { return };
    let received = UnixMicros((1_704_067_200 + i64::from(*moment) * 12 * 86_400) * 1_000_000 + 7);
    let source = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, *moment)), 514);
    let origin = Origin { received, source, transport: Transport::Udp, cut: false };
    let settings = settings::Normaliser {
        time_zone: chrono_tz::Europe::Berlin,
        charset: encoding_rs::UTF_8,
        sources: Vec::new(),
    };
    let mut out = Vec::new();
    let rule = Normaliser::new(&settings, "fuzz").write_event(&mut out, 1, &origin, raw);
    let event: serde_json::Value = serde_json::from_slice(&out).expect("an event is JSON");

    let parsed = parse::parse(raw);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let or_dash = |field: Option<&[u8]>| field.map_or("-".to_owned(), text);
    let app = or_dash(parsed.app);
    let tag = match (parsed.tag, parsed.proc_id) {
        (Some(tag), _) => text(tag),
        (None, Some(proc_id)) => format!("{app}[{}]", text(proc_id)),
        (None, None) => app.clone(),
    };
    for (field, expected) in [
        ("event_raw", text(raw)),
        ("priority", parsed.priority.to_string()),
        ("facility", (parsed.priority / 8).to_string()),
        ("severity", (parsed.priority % 8).to_string()),
        ("hostName", parsed.host.map_or(source.ip().to_string(), text)),
        ("appName", text(tag::static_part(parsed.app.unwrap_or(b"-")))),
        ("appInst", app),
        ("procId", or_dash(parsed.proc_id)),
        ("syslogTag", tag),
        ("structuredData", or_dash(parsed.structured_data)),
        ("body", text(parsed.body)),
    ] {
        assert_eq!(event[field], expected, "{field}");
    }
    let timestamp = event["timestamp"].as_str().expect("a string");
    assert!(chrono::DateTime::parse_from_rfc3339(timestamp).is_ok(), "{timestamp}");
    assert_eq!(event.as_object().expect("an object").len(), 13);
    assert_eq!((&event["connector"]["parse"], rule), (&rule.into(), parsed.rule));
    match event["connector"].get("raw_base64") {
        Some(coded) => assert_eq!(base64(coded.as_str().expect("a string")), raw),
        None => assert!(std::str::from_utf8(raw).is_ok()),
    }
});
