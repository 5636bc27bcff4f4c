//! The corpus as others read it: real rsyslog and syslog-ng out of Debian's packages, and the crate `syslog_loose`.
//!
//! Every difference from the corpus is in `differences.txt`, which is compared with what the three say now, and falls
//! under a decision of `decisions.toml`; docs/differences.md sums both up. `UPDATE_FILES=1 cargo test --test differential`
//! writes the two anew. rsyslog and syslog-ng are those of `benches/peers target/bench-peers`, which tests/run calls.
#![allow(clippy::unwrap_used, reason = "a test that panics has said enough")]

#[path = "../common/mod.rs"]
mod common;
mod decisions;
#[path = "../common/examples.rs"]
mod examples;
mod loose;
mod peers;
mod reading;

use decisions::{Decision, Right};
use examples::{Example, families};
use peers::{Peer, Program};
use reading::{Answer, Difference, differences};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

const READERS: [&str; 3] = ["rsyslog", "syslog-ng", "syslog_loose"];

/// What is known of one reader.
#[derive(Default, Clone)]
struct Count {
    /// Messages with a difference, by field.
    fields: BTreeMap<&'static str, usize>,
}

#[test]
fn every_difference_from_other_readers_is_listed_and_decided() {
    if !peers::are_there() {
        return;
    }
    let decisions = decisions::all();
    let mut list = String::from(LIST_HEAD);
    let mut undecided = String::new();
    let mut counts = vec![Count::default(); READERS.len()];
    let mut uses = vec![Use::default(); decisions.len()];
    let mut running = BTreeMap::new();
    let mut messages = 0;
    for family in families() {
        let mut of_family = String::new();
        for example in &family.example {
            messages += 1;
            let ours = Answer::expected(example);
            let mut of_message = String::new();
            for (reader, answers) in read(&mut running, example).iter().enumerate() {
                for difference in differences(&ours, answers) {
                    *counts[reader].fields.entry(difference.field).or_default() += 1;
                    let found = decisions::of(&decisions, READERS[reader], &example.rule, &difference);
                    let Difference { field, kind, theirs } = &difference;
                    let line = format!("{} {field}: {kind}: {theirs:?}", READERS[reader]);
                    let Some(place) = found else {
                        writeln!(undecided, "{line} in {:?} ({})", example.raw, example.rule).unwrap();
                        continue;
                    };
                    uses[place].count(reader, &example.raw);
                    writeln!(of_message, "    {line} ({})", place + 1).unwrap();
                }
            }
            if !of_message.is_empty() {
                writeln!(of_family, "  {:?}\n{of_message}", example.raw).unwrap();
            }
        }
        if !of_family.is_empty() {
            writeln!(list, "\n{}\n\n{}", family.name, of_family.trim_end()).unwrap();
        }
    }
    assert!(undecided.is_empty(), "without a decision in decisions.toml:\n{undecided}");
    for (decision, count) in decisions.iter().zip(&uses) {
        assert!(count.example.is_some(), "no difference falls under the decision {:?}", decision.name);
    }
    let page = page(messages, &counts, &decisions, &uses);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (name, made) in [("tests/differential/differences.txt", list), ("docs/differences.md", page)] {
        let path = folder.join(name);
        if std::env::var_os("UPDATE_FILES").is_some() {
            std::fs::write(&path, &made).unwrap();
        }
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        let changed: Vec<_> =
            made.lines().filter(|line| !kept.lines().any(|kept| kept == *line)).take(20).collect();
        assert!(
            made == kept,
            "the readers say something new; UPDATE_FILES=1 cargo test --test differential writes {name} anew: \
             {changed:#?}"
        );
    }
}

/// What the three make of a message. A peer runs for each time of reception and zone of the corpus.
fn read(running: &mut BTreeMap<String, [Peer; 2]>, example: &Example) -> [Vec<Answer>; 3] {
    let (received, zone) = (example.received(), example.zone());
    let peers = running
        .entry(format!("{received} {zone}"))
        .or_insert_with(|| [Program::Rsyslog, Program::SyslogNg].map(|one| Peer::start(one, received, zone)));
    let [rsyslog, syslog_ng] = peers.each_mut().map(|peer| peer.read(example.raw.as_bytes()));
    [rsyslog, syslog_ng, vec![loose::read(example)]]
}

/// What falls under a decision.
#[derive(Default, Clone)]
struct Use {
    /// Differences, by reader.
    readers: [usize; 3],
    example: Option<String>,
}

impl Use {
    fn count(&mut self, reader: usize, raw: &str) {
        self.readers[reader] += 1;
        // A short message shows the same as a long one.
        if self.example.as_ref().is_none_or(|example| raw.len() < example.len()) {
            self.example = Some(raw.to_owned());
        }
    }
}

const LIST_HEAD: &str = "\
Made by tests/differential: each message of the corpus that another reader reads otherwise, with what it says of each
field that differs and, in parentheses, the number of the decision in docs/differences.md. An empty text means that the
reader finds nothing, `sender` the sender's address, `reception` the time of reception.
";

const PAGE_HEAD: &str = "\
# Differences from other readers

Made by `tests/differential`, which gives every message of `tests/corpus` to rsyslog 8.2302.0 and syslog-ng 3.38.1 of
Debian 12 and to the crate syslog_loose 0.23, and compares what they find with what the corpus says. All of its messages
are read here as the corpus says: that is what `tests/corpus.rs` tests, so the table compares the others with the corpus'
decisions, among which are many hard cases. It is no measure of messages that nobody has seen.

Each message is one UDP datagram. rsyslog has its default parsers, DNS off and control characters kept; syslog-ng has
keep-hostname(yes), DNS off, and a port with flags(syslog-protocol) for what begins with VERSION 1. Both run on a clock set to
the time of reception in the sender's zone (libfaketime). syslog_loose is given the year of reception and the zone's offset.

";

fn page(messages: usize, counts: &[Count], decisions: &[Decision], uses: &[Use]) -> String {
    let mut page = PAGE_HEAD.to_owned();
    let mut row = |cells: [String; 4]| writeln!(page, "| {} |", cells.join(" | ")).unwrap();
    row([format!("right, of {messages}"), READERS[0].into(), READERS[1].into(), READERS[2].into()]);
    row(["---", "--:", "--:", "--:"].map(str::to_owned));
    for field in ["host", "time", "priority", "program", "process", "text"] {
        let right = |reader: usize| {
            let wrong = |field| counts[reader].fields.get(field).copied().unwrap_or_default();
            let right = messages - wrong(field) - wrong("event");
            let tenths = (right * 1000 + messages / 2) / messages;
            format!("{right} ({}.{} %)", tenths / 10, tenths % 10)
        };
        row([field.to_owned(), right(0), right(1), right(2)]);
    }
    page.push_str(
        "\nWhite space at the ends of a text does not count. `tests/differential/differences.txt` lists every difference \
         with the\nnumber of its decision:\n\n| | decision | right | rsyslog | syslog-ng | syslog_loose |\n\
         |--:|---|---|--:|--:|--:|\n",
    );
    for (place, (decision, count)) in decisions.iter().zip(uses).enumerate() {
        let right = if decision.right == Right::Corpus { "corpus" } else { "both" };
        let [rsyslog, syslog_ng, loose] = count.readers;
        let field = match decision.field.as_str() {
            "behind" => "program, process, text",
            field => field,
        };
        let place = place + 1;
        writeln!(
            page,
            "| {place} | {field}: {} | {right} | {rsyslog} | {syslog_ng} | {loose} |",
            decision.name
        )
        .unwrap();
    }
    for (place, (decision, count)) in decisions.iter().zip(uses).enumerate() {
        let example: String = count.example.as_deref().unwrap_or_default().escape_debug().collect();
        writeln!(page, "\n## {}. {}\n\n{}\n\n    {example}", place + 1, decision.name, decision.why).unwrap();
    }
    page
}
