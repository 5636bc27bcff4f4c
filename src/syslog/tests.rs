//! A message made of fields, through the parser and the event's JSON: the same fields come out.

use super::normaliser::Normaliser;
use crate::batch::{Origin, Transport};
use crate::clock::UnixMicros;
use crate::settings;
use proptest::prelude::*;
use serde_json::Value;

/// 2026-11-22T03:00:00Z.
const RECEIVED: UnixMicros = UnixMicros(1_795_316_400_000_000);

fn event(raw: &str) -> Value {
    let origin = Origin {
        received: RECEIVED,
        source: "192.0.2.10:51400".parse().unwrap(),
        transport: Transport::Udp,
        cut: false,
    };
    let mut out = Vec::new();
    Normaliser::new(&settings::Normaliser::default(), "test").write_event(
        &mut out,
        1,
        &origin,
        raw.as_bytes(),
    );
    serde_json::from_slice(&out).unwrap()
}

/// PRINTUSASCII up to a length, or NILVALUE.
fn field(max: usize) -> impl Strategy<Value = String> {
    prop_oneof![1 => Just("-".to_owned()), 6 => proptest::string::string_regex(&format!("[!-~]{{1,{max}}}")).unwrap()]
}

fn sd_name() -> impl Strategy<Value = String> {
    // What is printable but for the equals sign, the quotation mark and the closing bracket; the opening one not first.
    r"[!#-<>-Z\\^-~][!#-<>-\\^-~]{0,31}"
}

/// PARAM-VALUE: any UTF-8, with the three signs escaped that have to be.
fn param_value() -> impl Strategy<Value = String> {
    r"(?s).{0,20}".prop_map(|text: String| {
        text.chars().fold(String::new(), |mut text, c| {
            if matches!(c, '"' | '\\' | ']') {
                text.push('\\');
            }
            text.push(c);
            text
        })
    })
}

fn structured_data() -> impl Strategy<Value = String> {
    let element =
        (sd_name(), prop::collection::vec((sd_name(), param_value()), 0..4)).prop_map(|(id, params)| {
            let params = params.iter().map(|(name, value)| format!(" {name}=\"{value}\""));
            format!("[{id}{}]", params.collect::<Vec<_>>().concat())
        });
    prop_oneof![
        1 => Just("-".to_owned()),
        3 => prop::collection::vec(element, 1..4).prop_map(|elements| elements.concat())
    ]
}

fn rfc3339() -> impl Strategy<Value = String> {
    let moment = (0..=9999, 1..=12, 1..=28, 0..24, 0..60, 0..60).prop_map(|(year, month, day, h, m, s)| {
        format!("{year:04}-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}")
    });
    let zone = prop_oneof![
        Just("Z".to_owned()),
        ("[+-]", 0..24, 0..60).prop_map(|(sign, h, m)| format!("{sign}{h:02}:{m:02}"))
    ];
    (moment, r"(\.[0-9]{1,9})?", zone)
        .prop_map(|(moment, fraction, zone)| format!("{moment}{fraction}{zone}"))
}

/// Whether a TAG is made of what an uptime is: `1w2d`.
fn is_uptime(tag: &str) -> bool {
    tag.starts_with(|c: char| c.is_ascii_digit())
        && tag.chars().all(|c| c.is_ascii_digit() || "ywdh".contains(c))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn the_fields_of_rfc_5424_come_out_as_they_went_in(
        priority in 0_u8..=191,
        timestamp in rfc3339(),
        host in field(255),
        app in field(48),
        proc_id in field(128),
        msg_id in field(32),
        data in structured_data(),
        mark in prop::option::of(Just("\u{feff}")),
        text in prop::option::of("(?s)[^\u{feff}].{0,60}"),
    ) {
        let header = format!("<{priority}>1 {timestamp} {host} {app} {proc_id} {msg_id} {data}");
        let raw = match &text {
            Some(text) => format!("{header} {}{text}", mark.unwrap_or_default()),
            None => header,
        };
        let event = event(&raw);
        prop_assert_eq!(&event["connector"]["parse"], "rfc5424", "{:?}", raw);
        prop_assert_eq!(&event["event_raw"], &raw);
        prop_assert_eq!(&event["priority"], &priority.to_string());
        prop_assert_eq!(&event["facility"], &(priority / 8).to_string());
        prop_assert_eq!(&event["severity"], &(priority % 8).to_string());
        prop_assert_eq!(&event["timestamp"], &timestamp);
        prop_assert_eq!(&event["hostName"], if host == "-" { "192.0.2.10" } else { host.as_str() });
        prop_assert_eq!(&event["appInst"], &app);
        prop_assert_eq!(&event["procId"], &proc_id);
        prop_assert_eq!(&event["structuredData"], &data);
        prop_assert_eq!(&event["body"], text.as_deref().unwrap_or_default());
    }

    #[test]
    fn the_fields_of_rfc_3164_come_out_as_they_went_in(
        priority in 0_u8..=191,
        (month, day, hour, minute, second) in (0_usize..12, 1..=28, 0..24, 0..60, 0..60),
        host in prop_oneof![
            "[a-z][a-z0-9-]{0,20}[a-z0-9]",
            any::<std::net::Ipv4Addr>().prop_map(|address| address.to_string()),
            any::<std::net::Ipv6Addr>().prop_map(|address| address.to_string()),
        ],
        tag in "[a-zA-Z0-9]{0,31}[a-z]".prop_filter("an uptime of Cisco's", |tag| !is_uptime(tag)),
        process in prop::option::of("[0-9]{1,10}"),
        text in "(?s)[a-z].{0,60}",
    ) {
        const MONTHS: [&str; 12] =
            ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        let process_part = process.as_ref().map(|process| format!("[{process}]")).unwrap_or_default();
        let raw = format!(
            "<{priority}>{} {day:>2} {hour:02}:{minute:02}:{second:02} {host} {tag}{process_part}: {text}",
            MONTHS[month]
        );
        let event = event(&raw);
        prop_assert_eq!(&event["connector"]["parse"], "rfc3164", "{:?}", raw);
        prop_assert_eq!(&event["event_raw"], &raw);
        prop_assert_eq!(&event["priority"], &priority.to_string());
        let timestamp = event["timestamp"].as_str().unwrap();
        prop_assert_eq!(
            &timestamp[4..],
            format!("-{:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z", month + 1)
        );
        prop_assert_eq!(&event["hostName"], &host);
        prop_assert_eq!(&event["appInst"], &tag);
        prop_assert_eq!(&event["procId"], process.as_deref().unwrap_or("-"));
        prop_assert_eq!(&event["syslogTag"], &format!("{tag}{process_part}"));
        prop_assert_eq!(&event["body"], &text);
    }
}
