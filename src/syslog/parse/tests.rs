use super::*;
use crate::syslog::time::Resolver;
use proptest::prelude::*;
use syslog_loose::{ProcId, Variant};

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// A field of RFC 5424: printable ASCII, here without what `syslog_loose` reads otherwise than the RFC.
fn field(max: usize) -> impl Strategy<Value = String> {
    prop_oneof![1 => Just("-".to_owned()), 5 => proptest::string::string_regex(&format!("[a-z][a-z0-9._/-]{{0,{max}}}")).unwrap()]
}

fn structured_data() -> impl Strategy<Value = String> {
    let value = r#"([a-zA-Z0-9 .:=\[äž]|\\"|\\\]|\\\\){0,12}"#;
    let element = (r"[a-zA-Z]{1,8}(@[0-9]{1,5})?", prop::collection::vec(("[a-zA-Z]{1,8}", value), 0..4))
        .prop_map(|(id, params)| {
            let params = params.iter().map(|(name, value)| format!(" {name}=\"{value}\""));
            format!("[{id}{}]", params.collect::<Vec<_>>().concat())
        });
    prop_oneof![
        Just("-".to_owned()),
        prop::collection::vec(element, 1..4).prop_map(|elements| elements.concat())
    ]
}

fn timestamp() -> impl Strategy<Value = String> {
    let date =
        (1970..2100, 1..=12, 1..=28).prop_map(|(year, month, day)| format!("{year:04}-{month:02}-{day:02}"));
    let clock = (0..24, 0..60, 0..60).prop_map(|(h, m, s)| format!("{h:02}:{m:02}:{s:02}"));
    let zone = prop_oneof![
        Just("Z".to_owned()),
        ("[+-]", 0..14, 0..60).prop_map(|(sign, h, m)| format!("{sign}{h:02}:{m:02}"))
    ];
    (date, clock, r"(\.[0-9]{1,6})?", zone)
        .prop_map(|(date, clock, fraction, zone)| format!("{date}T{clock}{fraction}{zone}"))
}

fn written(when: &When<'_>) -> String {
    let mut out = Vec::new();
    Resolver::default().write(&mut out, when, crate::clock::UnixMicros(0), chrono_tz::UTC);
    String::from_utf8(out).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// A second parser, written by others, has to see the same in what follows the RFC.
    #[test]
    fn well_formed_rfc_5424_is_read_as_others_read_it(
        priority in 0_u8..=191,
        when in timestamp(),
        host in field(30),
        app in field(20),
        proc_id in field(10),
        msg_id in field(10),
        data in structured_data(),
        body in r"[a-zäž0-9]([a-zäž0-9 :\[\]-]{0,40}[a-zäž0-9])?",
    ) {
        let raw = format!("<{priority}>1 {when} {host} {app} {proc_id} {msg_id} {data} {body}");
        let parsed = parse(raw.as_bytes());
        prop_assert_eq!(parsed.rule, "rfc5424", "{}", raw);
        let theirs = syslog_loose::parse_message(&raw, Variant::RFC5424);
        prop_assert_eq!(theirs.severity.map(|severity| severity as u8), Some(parsed.priority % 8));
        prop_assert_eq!(theirs.facility.map(|facility| facility as u8), Some(parsed.priority / 8));
        prop_assert_eq!(parsed.priority, priority);
        prop_assert_eq!(
            theirs.timestamp,
            chrono::DateTime::parse_from_rfc3339(&written(&parsed.when)).ok()
        );
        prop_assert_eq!(written(&parsed.when), when);
        prop_assert_eq!(theirs.hostname, parsed.host.map(text));
        prop_assert_eq!(theirs.appname, parsed.app.map(text));
        let their_process = theirs.procid.map(|process| match process {
            ProcId::PID(number) => number.to_string(),
            ProcId::Name(name) => name.to_owned(),
        });
        prop_assert_eq!(their_process.as_deref(), parsed.proc_id.map(text));
        let their_data: String = theirs.structured_data.iter().map(ToString::to_string).collect();
        prop_assert_eq!(their_data.as_str(), parsed.structured_data.map_or("", text));
        prop_assert_eq!(theirs.msg, text(parsed.body));
    }

    /// What a header is made of, in any order: nothing panics, and the fields are parts of the message.
    #[test]
    fn anything_that_looks_like_syslog_is_read(parts in prop::collection::vec(part(), 0..14)) {
        let raw = parts.concat();
        let parsed = parse(raw.as_bytes());
        let fields = [Some(parsed.body), parsed.host, parsed.app, parsed.proc_id, parsed.tag, parsed.structured_data];
        for field in fields.into_iter().flatten() {
            prop_assert!(std::str::from_utf8(field).is_ok_and(|field| raw.contains(field)), "{:?} in {:?}", field, raw);
        }
        prop_assert!(raw.as_bytes().ends_with(parsed.body), "{:?} ends {:?}", parsed.body, raw);
        prop_assert!(chrono::DateTime::parse_from_rfc3339(&written(&parsed.when)).is_ok(), "{:?}", parsed.when);
    }

    /// No rule leads back to itself as often as a message likes: half the stack of a thread of tokio's is enough for the
    /// longest one.
    #[test]
    fn what_stands_behind_one_another_needs_little_stack(
        first in prop::collection::vec(part(), 0..3),
        parts in prop::collection::vec(part(), 1..5),
    ) {
        let repeated = parts.concat();
        let times = (64 << 10) / repeated.len().max(1);
        let raw = format!("<13>{}{}", first.concat(), repeated.repeat(times));
        let thread = std::thread::Builder::new().stack_size(1 << 20);
        let read = thread.spawn(move || parse(raw.as_bytes()).body.len() <= raw.len()).unwrap();
        prop_assert!(read.join().unwrap());
    }

    #[test]
    fn anything_at_all_is_read(raw in prop::collection::vec(any::<u8>(), 0..200)) {
        let parsed = parse(&raw);
        prop_assert!(raw.ends_with(parsed.body));
        prop_assert!(parsed.priority <= 191);
    }
}

/// Found by fuzzing: such a number was cut down to a day, or was too large for a sum.
#[test]
fn a_day_behind_a_weekday_has_two_digits_at_most() {
    for day in ["5", "05"] {
        let raw = format!("<6>Mon {day} Oct 2026 22:14:15 host app: m");
        assert_eq!(written(&parse(raw.as_bytes()).when), "2026-10-05T22:14:15Z", "{raw}");
    }
    for day in ["261", "12026019111111111111"] {
        let raw = format!("<6>Mon {day} Oct 2026 22:14:15 host app: m");
        assert_eq!(parse(raw.as_bytes()).when, When::Missing, "{raw}");
    }
}

/// Found by a property test: the number was too large for a sum.
#[test]
fn a_date_behind_a_time_of_day_has_four_digits_at_most() {
    let when = |raw: &str| written(&parse(raw.as_bytes()).when);
    assert_eq!(when("<6>08:00:01 05.11.2026 host app: m"), "2026-11-05T08:00:01Z");
    for date in ["12026019111111111111.11.2026", "05.11.12026019111111111111", "05.12026019111111111111.2026"]
    {
        let raw = format!("<6>08:00:01 {date} host app: m");
        assert_eq!(parse(raw.as_bytes()).when, When::Missing, "{raw}");
    }
}

fn part() -> impl Strategy<Value = String> {
    let fixed = prop::sample::select(vec![
        " ",
        " ",
        " ",
        " ",
        ": ",
        ":",
        "  ",
        "<13>",
        "<165>1 ",
        "<999>",
        "-",
        "- ",
        "1 ",
        "[",
        "]",
        "[x a=\"b\"]",
        "\"",
        "=",
        "Oct 11 22:14:15",
        "Feb 29 12:00:00",
        "Mär  3 01:02:03",
        "2021-10-11T22:14:15.123+02:00",
        "2021-10-11 22:14:15,5",
        "2021 Oct 11 22:14:15",
        "1633990455.123",
        "20211011T221415Z",
        "10/11/2021:22:14:15",
        "Mon Oct 11 22:14:15 2021",
        "10:14:15 PM.123",
        "CEST",
        "UTC+2",
        "2021",
        "*",
        ".",
        "host",
        "10.1.2.3",
        "fe80::1",
        "[10.1.2.3]",
        "10.1.2.3:514",
        "žluť",
        "sshd[12]: ",
        "app:",
        "%ASA-6-302013: ",
        "%%10SHELL/5/X:",
        "29: ",
        "RP/0/RSP0/CPU0:",
        "1w2d: ",
        "firewall,info ",
        "Message forwarded from h: ",
        "last message repeated 3 times",
        "(\"U7PG2,788a20,v4\") ",
        "788a20aabbcc,U6-6.0: ",
        "CEF:0|a|b|c|d|e|5|dvchost=x rt=1633990455000",
        "LEEF:2.0|a|b|c|d|^|devTime=Oct 11 2021 22:14:15",
        "{\"a\":1}",
        "date=2021-10-11 time=22:14:15 tz=\"+0200\" devname=\"f\" ",
        "1,2021/10/11 22:14:15,0079,TRAFFIC,x,1,2021/10/11 22:14:15,",
        "\u{feff}",
        "\0",
        "\n",
        "\t",
        "104 ",
        "%$ VDC %$ ",
        "flows ",
        "info ",
        "80BE012345678 ",
        "05.11.2026 08:00:01",
        "2026-Nov-05 08:00:01",
        "20261105080001",
        "Sept 12 08:00:01",
        "(2026-11-05 08:00:01) ",
        "<4.6> ",
        "auth|security:info ",
        "node1(id1) ",
        "SymantecServer h: ",
        "@4000000050d506482dbdf024 ",
        "I1105 08:00:01.123456 ",
        "11-05 08:00:01.123 ",
        "11/05/26 08:00:01.123:CET",
        "Nov  5 08:00 ",
        "14Aug2026 16:38:54 ",
        "05-11-2026 08:00:01 ",
        "h\tMSWinEventLog\t1\tSecurity\t7\tThu Nov 05 08:00:01 2026\t4624",
        "{\"@timestamp\":\"2026-11-05T07:00:01Z\",\"host\":{\"name\":\"h\"}}",
        "node=h type=X msg=audit(1793862001.123:4): ",
        "time=1793862001|hostname=h|",
        "2026-1-5 08:00:01.270.1 ",
        "2026-11-05,08:00:01",
        "2026 11 05 08:00:01 +00:00 ",
        "nov/05/2026 08:00:01 ",
        "261105  8:00:01 ",
        "Thursday, 05-Nov-26 08:00:01 ",
        "Nov  5 08:00:01KST",
        " (UTC+01:00) ",
        "[GMT+01:00:00] ",
        "R&D-SW1 ",
        "[fw4_deny] [192.0.2.7] ",
        "942a6f40d752,ECS-3.0.2+821 ",
        "0004f2abcdef|",
        "h: NetScreen device_id=h ",
        "%STKUNIT0-M:CP ",
        "<Event xmlns='x'><System><TimeCreated SystemTime='2026-11-05T08:00:01Z'/><Computer>h</Computer>",
        "flowMonLog, applianceName=h, ",
        " - ive - [192.0.2.9] ",
        "{\"hostname\":\"h\",\"content\":{\"logtime\":\"2026-11-05 08:00:01\"},\"time\":",
        "{\"device\":{\"name\":\"192.0.2.7:514\"},\"url\":",
        "{epoch=1793862001;",
        "[{\"",
        "[ips-7] [Attack_Name=x], [Time=2026/11/05 08:00:01], [",
        "8,3,00000002-0002-0002-0002-000000028629,00000001-0001-0001-0001-000000028629,\"n\",7,\"tcp\",a,1,b,2,1,A,B,0,\"ips5\",7,1793862001018,",
        "192.0.2.7 <13>Nov  5 08:00:01 ",
        "log_type {",
        "|!2026-11-05 08:00:01|!192.0.2.7|!{\"",
        "发生时间:2026-11-05 08:00:01;",
        "MSWinEventLog\t1\tSecurity\t7\tThu Nov 05 08:00:01 2026\t4624\ts\tu\tt\te\tdc1\t",
        "Oracle Audit[7]: ",
        "%LINK-W-Down: ",
        "hostname=h deviceName=d eventTime=",
        "1 2026-11-05T08:00:01Z  app 7 - [x@1 a=\"\"] ",
        "1  h app 7 - [x@1 a=\"\"] ",
        "db-7,app,192.0.2.7,3,9,QUERY,shop,",
        "2026/11/05-08:00:01, [SEC-1203], 7, FID 128, INFO, h, ",
        "[fw4_deny] [192.0.2.7] 2026-11-05 08:00:01,2026-11-05 08:00:03,",
        "0,1793862001,",
        "DETECTION TIME : 2026-11-05 08:00:01, ",
        "edge app: [WARNING] ",
        "192.0.2.7: ",
        "1 2026-11-05T08:00:01Z h - - - - Nov  5 08:00:01 ",
        "192.0.2.7 00:00:5e:00:53:01 SW-1 ",
        "187 <134>1 ",
        "h LOGSTASH[-]: <13>Nov  5 08:00:01 ",
        "{\"name\":\"h\"} ",
        "h#011",
        "7: SLOT 3:",
        "<2026.11.05 08:00:01>",
    ]);
    prop_oneof![8 => fixed.prop_map(str::to_owned), 1 => "[a-zA-Z0-9:\\[\\]<> .,-]{0,8}", 1 => "\\PC{0,4}"]
}

type Rule = fn(&[u8], bool) -> Option<Parsed<'_>>;

/// The rules in their order, as [`known`] tries them.
const ORDER: [(&str, Rule); 15] = [
    ("rfc5424", |text, has_pri| rfc5424::parse(text).and_then(|_| known(text, has_pri))),
    ("rfc3164", rfc3164::parse),
    ("cisco", |text, _| cisco::prefixed(text)),
    ("payload", |text, _| payload::bare(text)),
    ("undated", |text, _| devices::undated(text)),
    ("forwarded", |text, _| relay::forwarded(text)),
    ("preceded", |text, _| relay::preceded(text)),
    ("behind_address", |text, _| relay::behind_address(text)),
    ("noted", |text, _| relay::noted(text)),
    ("counted", relay::counted),
    ("without_time", without_time),
    ("addressed", untimed::addressed),
    ("tag", |text, _| tag_only(text)),
    ("wrapped", |text, _| relay::wrapped(text)),
    ("passed_on", |text, _| relay::passed_on(text)),
];

/// Which rules would accept the same message, and why the first of them is right. Whatever the corpus shows beyond these
/// is a rule that swallows another one's messages.
const BOTH: [(&str, &str, &str); 8] = [
    (
        "rfc5424",
        "rfc3164",
        "a version in front of the timestamp is read there too, where the fields behind it are too few",
    ),
    ("cisco", "tag", "a name with a colon is a TAG, unless a task, timestamp and mnemonic follow it"),
    ("rfc3164", "addressed", "a time in front of a name with a number in brackets is a time, and no name"),
    ("rfc3164", "preceded", "a time in front of another one is a relay's, and no name"),
    ("cisco", "counted", "a number in front of a timestamp is Cisco's where what follows it is"),
    ("undated", "tag", "a TAG may have a blank before its colon, but no time and another colon behind it"),
    ("payload", "tag", "a name with a colon is a TAG, unless ScreenOS says it once more as the device's"),
    (
        "undated",
        "preceded",
        "a facility in front of the time, which the TAG behind it names again, is no host",
    ),
];

#[test]
fn no_rule_swallows_the_messages_of_another() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut found = std::collections::BTreeMap::<(&str, &str), (usize, String)>::new();
    let mut messages = 0;
    for entry in folder.read_dir().unwrap() {
        let file: toml::Value =
            toml::from_str(&std::fs::read_to_string(entry.unwrap().path()).unwrap()).unwrap();
        for family in file["family"].as_array().unwrap() {
            for example in family["example"].as_array().unwrap() {
                let raw = example["raw"].as_str().unwrap();
                let pri = pri::take(raw.as_bytes());
                let text = pri.text.trim_ascii_start();
                let text = text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text);
                let mut accepting =
                    ORDER.iter().filter_map(|(name, rule)| Some((*name, rule(text, pri.sent)?)));
                let first = accepting.next();
                assert_eq!(known(text, pri.sent), first.as_ref().map(|(_, parsed)| *parsed), "{raw:?}");
                messages += 1;
                let Some((first, _)) = first else { continue };
                for (later, _) in accepting {
                    let (count, _) = found.entry((first, later)).or_insert_with(|| (0, raw.to_owned()));
                    *count += 1;
                }
            }
        }
    }
    assert!(messages >= 1000);
    let known: Vec<_> = BOTH.iter().map(|(first, later, _)| (*first, *later)).collect();
    let found: Vec<_> = found.into_iter().filter(|(pair, _)| !known.contains(pair)).collect();
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn an_address_in_front_of_a_text_is_taken_once_however_often_it_stands_there() {
    let text = format!("<13>Nov  5 08:00:01 relay {}text", "Original Address=::1 ".repeat(40_000));
    let parsed = parse(text.as_bytes());
    assert_eq!(parsed.host, Some(&b"::1"[..]));
    assert!(parsed.body.starts_with(b"Original Address=::1 "));
}

/// Loggers put a name of letters or a thread there, and no host.
#[test]
fn behind_thousandths_a_name_with_a_point_is_a_host_and_a_threads_is_none() {
    let host = |behind: &str| {
        parse(format!("<14>2026-11-05 08:00:01,921 {behind}").as_bytes()).host.map(text).map(str::to_owned)
    };
    assert_eq!(host("siem.example.net - CEF:0|V|P|1|21|text|1|suser=a").as_deref(), Some("siem.example.net"));
    assert_eq!(host("rd-exec-01 INFO Starting job").as_deref(), Some("rd-exec-01"));
    assert_eq!(host("sentinel - CEF:0|V|P|1|21|text|1|suser=a"), None);
    assert_eq!(host("http-nio-8080-exec-14 WARN anonymous"), None);
}

/// Behind a relay's name, PRI and a time the first word may be the text's.
#[test]
fn a_text_without_a_tag_behind_a_relays_name_leaves_the_host_to_the_relay() {
    for first in ["eth0 link down", "user1 logged in from 192.0.2.4", "192.0.2.4 -> 192.0.2.5 denied"] {
        let raw = format!("<134>Nov  5 08:00:02 gw-1 <13>Nov  5 08:00:01 {first}");
        assert_eq!(parse(raw.as_bytes()).host.map(text), Some("gw-1"), "{raw}");
    }
}

/// A rule that hands a text on without its place being told would be asked once for each header in a datagram of 64 KiB.
#[test]
fn headers_that_stand_behind_one_another_are_not_followed_for_ever() {
    const HEADERS: [&str; 13] = [
        "Nov  5 08:00:01 a-1, System: ",
        "Nov  5 08:00:01 a-1 ",
        "Nov  5 08:00:01 a-1 app: ",
        "<13>Nov  5 08:00:01 a-1 ",
        "2026-11-05T08:00:01Z a-1 ",
        "1 2026-11-05T08:00:01Z a-1 app 1 - - ",
        "@1793865601 a-1 ",
        "1: a-1: Nov  5 08:00:01: ",
        "[192.0.2.5] 192.0.2.6 ",
        "<13>Nov  5 08:00:01 a-1 LOGSTASH[-]: ",
        "87 <13>1 2026-11-05T08:00:01Z a-1 - - - - ",
        "[1793865601 ip=::] <>",
        "[2026-11-05 08:00:01 ip=::] <13>",
    ];
    for header in HEADERS {
        for first in ["<13>", "<13>Nov  5 08:00:01 ", "<13>Nov  5 08:00:01 relay "] {
            let message = format!("{first}{}text", header.repeat((64 << 10) / header.len()));
            let parsed = parse(message.as_bytes());
            assert!(parsed.body.len() < message.len(), "{header}");
        }
    }
}
