//! Every field of the event of every example in `tests/corpus/*.toml`, and of its beginnings and variants; and
//! docs/parsing.md, which is made from them.

#[path = "common/examples.rs"]
mod examples;

use examples::{Example, Family, families};
use soc_connector::syslog::framing;
use soc_connector::syslog::parse::{RAW, RULES};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::Path;

/// What is wrong with an example's event, line by line.
fn differences(example: &Example) -> String {
    let mut event = example.event();
    let fields = event.as_object_mut().expect("an event is an object");
    let connector = fields.remove("connector").expect("every event has it");
    let expected = example.expected();
    let mut found = String::new();
    for (key, expected) in expected.as_object().expect("an object") {
        let actual = fields.remove(key).unwrap_or_default();
        if actual != *expected {
            writeln!(found, "    {key}: {actual}, expected {expected}").expect("writing to memory");
        }
    }
    if !fields.is_empty() {
        writeln!(found, "    not in the contract: {fields:?}").expect("writing to memory");
    }
    if connector["parse"] != example.rule.as_str() {
        writeln!(found, "    parse: {}, expected {:?}", connector["parse"], example.rule)
            .expect("writing to memory");
    }
    found
}

#[test]
fn every_example_becomes_the_event_beside_it() {
    let mut report = String::new();
    for family in families() {
        for example in &family.example {
            let differences = differences(example);
            if !differences.is_empty() {
                writeln!(report, "{}: {:?}\n{differences}", family.name, example.raw)
                    .expect("writing to memory");
            }
        }
    }
    assert!(report.is_empty(), "\n{report}");
}

/// A message may end anywhere: a datagram too small, a connection that breaks.
#[test]
fn every_beginning_of_every_example_becomes_an_event() {
    for family in families() {
        for example in &family.example {
            let raw = example.raw.as_bytes();
            for end in 0..raw.len() {
                let event = example.event_of(&raw[..end]);
                let expected = String::from_utf8_lossy(&raw[..end]);
                assert_eq!(event["event_raw"], *expected);
                let body = event["body"].as_str().expect("a string");
                assert!(expected.ends_with(body), "{body:?} is the end of {expected:?}");
                let timestamp = event["timestamp"].as_str().expect("a string");
                assert!(
                    chrono::DateTime::parse_from_rfc3339(timestamp).is_ok(),
                    "{timestamp} in {expected:?}"
                );
            }
        }
    }
}

/// What must not matter: the number of PRI's digits, how a day is padded, what kind of name a host has, how a message ends.
#[test]
fn irrelevant_details_change_what_they_name_and_nothing_else() {
    let mut report = String::new();
    let mut tried = BTreeMap::<&str, usize>::new();
    for family in families() {
        for example in &family.example {
            let variants =
                [("pri", with_pri(example)), ("day", with_day(example)), ("host", with_host(example))];
            for (detail, variants) in variants {
                for variant in variants {
                    *tried.entry(detail).or_default() += 1;
                    let differences = differences(&variant);
                    if !differences.is_empty() {
                        writeln!(report, "{} ({detail}): {:?}\n{differences}", family.name, variant.raw)
                            .expect("writing to memory");
                    }
                }
            }
            for end in ["\n", "\r\n", "\0", "\n\0"] {
                *tried.entry("end").or_default() += 1;
                let datagram = [example.raw.as_bytes(), end.as_bytes()].concat();
                let message = framing::datagram(&datagram, 64 << 10).map_or(&[][..], |frame| frame.message);
                if message != example.raw.trim_end_matches(['\r', '\n', '\0']).as_bytes() {
                    writeln!(report, "{} (end): {:?}", family.name, example.raw).expect("writing to memory");
                }
            }
        }
    }
    assert!(report.is_empty(), "\n{report}");
    assert!(tried.values().all(|&count| count >= 500), "{tried:?}");
}

/// The same with a PRI of one, two and three digits, where there is one at the start.
fn with_pri(example: &Example) -> Vec<Example> {
    let head = format!("<{}>", example.priority);
    let Some(rest) = example.raw.strip_prefix(&head) else { return Vec::new() };
    [5, 46, 165]
        .map(|priority| Example { raw: format!("<{priority}>{rest}"), priority, ..example.clone() })
        .into()
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The same on the fifth, with its spellings, and on the 25th, where the timestamp is RFC 3164's.
fn with_day(example: &Example) -> Vec<Example> {
    let Some(timestamp) = &example.timestamp else { return Vec::new() };
    let found = MONTHS.iter().enumerate().find_map(|(index, month)| {
        let at = example.raw.find(month)?;
        let rest = &example.raw.as_bytes()[at..];
        let is_time = rest.len() > 9 && rest[3] == b' ' && rest[6] == b' ' && rest[9] == b':';
        is_time.then_some((index + 1, at))
    });
    let Some((month, at)) = found else { return Vec::new() };
    let day = &example.raw[at + 4..at + 6];
    let date = &timestamp[5..10];
    // Elsewhere the day of another month's length, of another offset or of another year would be meant.
    let plain = date == format!("{month:02}-{:0>2}", day.trim_start()) && timestamp.ends_with('Z');
    // And where a second time stands in the message, or this one in the body too, the change is no detail.
    let alone = example.raw.matches(MONTHS[month - 1]).count() == 1
        && !example.raw.contains(&timestamp[..10])
        && !example.body.contains(MONTHS[month - 1]);
    if !plain || !alone || example.zone.is_some() || example.raw[at + 4..at + 6].trim() == "29" {
        return Vec::new();
    }
    // Half a year from reception the nearest year changes with the day.
    if month == 5 {
        return Vec::new();
    }
    [(" 5", 5), ("05", 5), ("5", 5), ("25", 25)]
        .map(|(spelling, day)| Example {
            raw: format!("{}{spelling}{}", &example.raw[..at + 4], &example.raw[at + 6..]),
            timestamp: Some(format!("{}-{day:02}{}", &timestamp[..7], &timestamp[10..])),
            ..example.clone()
        })
        .into()
}

/// The same from a host with a short name, a full one, and an address of either family.
fn with_host(example: &Example) -> Vec<Example> {
    let Some(host) = &example.host else { return Vec::new() };
    let is_word = |at: usize| {
        let before = example.raw[..at].chars().next_back();
        let after = example.raw[at + host.len()..].chars().next();
        before.is_some_and(|c| c == ' ') && after.is_some_and(|c| c == ' ')
    };
    let mut places = example.raw.match_indices(host.as_str()).map(|(at, _)| at);
    let (Some(at), None) = (places.next(), places.next()) else { return Vec::new() };
    // SmartNode's name is told from a program's by its model.
    if !is_word(at) || host.starts_with("SN-") {
        return Vec::new();
    }
    // Where the grammar has no such host, that is what the example shows.
    if example.rule == "rfc5424-lenient" && (host.len() > 255 || !host.is_ascii()) {
        return Vec::new();
    }
    // In a line of a file and behind a relay's header a name of letters alone needs a TAG behind it, and without a time it is a
    // word.
    let bare = match example.rule.as_str() {
        "rfc3164-iso" => example.app.is_none() && !example.raw.starts_with('<'),
        "relayed" => example.app.is_none() || example.raw.contains("] "),
        "tag" => true,
        "json" => example.raw.contains(">- "),
        "key-value" => example.raw.contains(" msg=audit("),
        // Where ZTE's board would stand alone it is the board's.
        "raw" => example.raw.contains(&format!(" sent by {host} %")),
        _ => false,
    };
    let short = if bare { "gw-3" } else { "gw" };
    let hosts = [short, "gw-3.example.net", "198.51.100.7", "2001:db8::7"];
    // Without a TAG behind a relay's header a name may be a text's first word, an address not.
    let is_address = |host: &str| host.parse::<IpAddr>().is_ok();
    let addresses_alone = example.rule == "relayed" && example.app.is_none() && is_address(host);
    hosts
        .into_iter()
        .filter(|host| !addresses_alone || is_address(host))
        .map(|host| Example {
            raw: format!(
                "{}{host}{}",
                &example.raw[..at],
                &example.raw[at + example.host.as_ref().map_or(0, String::len)..]
            ),
            // Where the payload names it, it is a word of the body.
            body: example.body.replace(example.host.as_deref().unwrap_or_default(), host),
            host: Some(host.to_owned()),
            ..example.clone()
        })
        .collect()
}

#[test]
fn the_corpus_covers_what_it_claims() {
    let families = families();
    let examples: Vec<_> = families.iter().flat_map(|family| &family.example).collect();
    let names: BTreeSet<_> = families.iter().map(|family| &family.name).collect();
    let messages: BTreeSet<_> =
        examples.iter().map(|one| (&one.raw, &one.zone, &one.received, &one.sender)).collect();
    assert_eq!(names.len(), families.len(), "a family stands in one place");
    assert_eq!(messages.len(), examples.len(), "no example stands twice");
    assert!(families.iter().all(|family| !family.source.is_empty()), "every family names its source");
    let rules: BTreeSet<_> = examples.iter().map(|example| example.rule.as_str()).collect();
    let known: BTreeSet<_> = RULES.iter().map(|(name, _)| *name).chain([RAW]).collect();
    assert_eq!(rules, known, "every rule has examples");
    assert!(families.len() >= 170 && examples.len() >= 1000, "{} in {}", examples.len(), families.len());
}

const PARSING_PAGE: &str = "\
# Parsing

Made from `tests/corpus/*.toml`. What the connector reads of a message, shown by one example of each family of senders;
`soc-connector parse FILE` shows it of your own.

PRI comes first and is never lost. Then the rules are tried in the order of the table; each asks for a shape that those
behind it do not have, which a test holds against every example. What no rule reads has the rule `raw`: its text is all in
`body`. `src/syslog/parse/mod.rs` says how the shapes are told apart.

A field without a source in the message has the sender's address (`hostName`), the time of reception (`timestamp`) or `-`.

A timestamp without a year has the one that brings it nearest to its reception. A day and a month in numbers between slashes are
read month first, between dashes day first, unless the other order alone is of the day of reception (within 36 hours):
`02/11/2026` is 2 November to whom it reaches then. What is sent long afterwards, an archive, is better written with ISO 8601.
";

#[test]
fn the_page_on_parsing_is_the_corpus() {
    let mut page = PARSING_PAGE.to_owned();
    page.push_str("\n| rule | reads | examples |\n|---|---|--:|\n");
    let families = families();
    let examples = || families.iter().flat_map(|family| &family.example);
    for (rule, reads) in RULES.iter().copied().chain([(RAW, "everything else")]) {
        let count = examples().filter(|example| example.rule == rule).count();
        writeln!(page, "| `{rule}` | {reads} | {count} |").expect("writing to memory");
    }
    writeln!(page, "\n{} examples in {} families:", examples().count(), families.len())
        .expect("writing to memory");
    let mut sorted: Vec<&Family> = families.iter().collect();
    sorted.sort_by_key(|family| family.name.to_lowercase());
    for family in sorted {
        let example = &family.example[0];
        writeln!(page, "\n## {}\n\n{}\n", family.name, family.source).expect("writing to memory");
        // Control characters are shown, not sent to the reader's terminal.
        let raw: String = example
            .raw
            .chars()
            .flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] })
            .collect();
        writeln!(page, "    {raw}\n").expect("writing to memory");
        let or_dash =
            |field: &Option<String>| field.clone().map_or("-".to_owned(), |text| format!("`{text}`"));
        writeln!(
            page,
            "`{}`: host {}, time {}, program {}, process {}; {} examples",
            example.rule,
            or_dash(&example.host),
            or_dash(&example.timestamp),
            or_dash(&example.app),
            or_dash(&example.proc),
            family.example.len()
        )
        .expect("writing to memory");
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/parsing.md");
    if std::env::var_os("UPDATE_FILES").is_some() {
        std::fs::write(&path, &page).expect("writable");
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(there == page, "UPDATE_FILES=1 cargo test --test corpus writes {} anew", path.display());
}
