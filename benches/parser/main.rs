//! Nanoseconds and allocations per message, beside `syslog_loose` with `serde_json` in the same run.
//!
//! `cargo bench --bench parser` prints the table. `parser instructions WORK N` does one kind of work N times and prints
//! nothing: `benches/instructions` counts with callgrind what that takes.

mod allocations;
mod loose;
#[path = "../forward/message.rs"]
#[allow(dead_code, reason = "the load generator uses the rest")]
mod message;

use message::{Form, Messages, VARIETY};
use serde::Deserialize;
use soc_connector::batch::{Batch, Origin, Transport};
use soc_connector::clock::UnixMicros;
use soc_connector::settings;
use soc_connector::spool::{Options, Queue, Spool};
use soc_connector::syslog::json;
use soc_connector::syslog::normaliser::Normaliser;
use soc_connector::syslog::parse::parse;
use std::fs;
use std::hint::black_box;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: allocations::Counting = allocations::Counting;

/// Length of the generated messages in bytes.
const LENGTH: usize = 271;

/// Each kind of work is measured so often, in turn with the others of its row; the fastest counts, for what disturbs only
/// adds.
const ROUNDS: usize = 200;

/// About so long each: shorter than the time for which a busy system lets a thread run, so that some are not disturbed.
const ROUND: Duration = Duration::from_millis(1);

/// Messages of a batch that is appended to the spool, and events read from it at once: what a busy TCP connection
/// brings with one read of 64 KiB, and some.
const BATCH: usize = 256;

#[derive(Deserialize)]
struct Corpus {
    family: Vec<Family>,
}

#[derive(Deserialize)]
struct Family {
    example: Vec<Example>,
}

#[derive(Deserialize)]
struct Example {
    raw: String,
}

/// Messages that are measured together.
struct Set {
    name: String,
    messages: Vec<String>,
}

fn main() {
    // Cargo adds `--bench`.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["instructions", work, count] => instructions(work, count.parse().expect("N is a number")),
        [] => table(),
        _ => {
            eprintln!("usage: parser [instructions WORK N]");
            std::process::exit(2);
        }
    }
}

fn generated(form: Form) -> Vec<String> {
    let messages = Messages::new(form, LENGTH);
    (0..VARIETY).map(|number| String::from_utf8_lossy(messages.get(number)).into_owned()).collect()
}

/// The generated messages, and those of each file of the corpus.
fn sets() -> Vec<Set> {
    let mut sets: Vec<_> = [Form::Rfc5424, Form::Rfc3164]
        .map(|form| Set { name: format!("{}, {LENGTH} bytes", form.name()), messages: generated(form) })
        .into();
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut files: Vec<_> = fs::read_dir(directory)
        .expect("the corpus is in the tree")
        .map(|entry| entry.expect("the corpus can be listed").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    files.sort();
    for file in files {
        let text = fs::read_to_string(&file).expect("the corpus can be read");
        let corpus: Corpus = toml::from_str(&text).expect("the corpus is TOML");
        let examples = corpus.family.into_iter().flat_map(|family| family.example);
        let stem = file.file_stem().expect("a file has a name").to_string_lossy().into_owned();
        sets.push(Set {
            name: format!("corpus: {stem}"),
            messages: examples.map(|example| example.raw).collect(),
        });
    }
    sets
}

fn origin() -> Origin {
    Origin {
        received: UnixMicros(1_795_316_400_000_001),
        source: SocketAddr::from(([192, 0, 2, 10], 51_400)),
        transport: Transport::Tcp,
        cut: false,
    }
}

fn table() {
    println!(
        "| messages | parse: ns | syslog_loose: ns | parse and JSON: ns | syslog_loose, serde_json: ns \
         | allocations | theirs |"
    );
    println!("|---|--:|--:|--:|--:|--:|--:|");
    for Set { name, messages } in sets() {
        let mut normaliser = Normaliser::new(&settings::Normaliser::default(), "bench");
        let origin = origin();
        let received = loose::received(&origin);
        let [mut out, mut their_out] = [(); 2].map(|()| Vec::with_capacity(1 << 20));
        let [ours, theirs, ours_json, their_json] = measure(
            &messages,
            [
                &mut |raw| {
                    black_box(parse(raw.as_bytes()));
                },
                &mut |raw| {
                    black_box(loose::parse(raw, received));
                },
                &mut |raw| {
                    out.clear();
                    normaliser.write_event(&mut out, 1_000_000, &origin, raw.as_bytes());
                    black_box((&out, normaliser.clock_was_far_off()));
                },
                &mut |raw| {
                    their_out.clear();
                    black_box(loose::write_event(&mut their_out, 1_000_000, &origin, raw.as_bytes()));
                    black_box(&their_out);
                },
            ],
        );
        println!(
            "| {name} | {:.0} | {:.0} (×{:.1}) | {:.0} | {:.0} (×{:.1}) | {:.2} | {:.2} |",
            ours.nanos,
            theirs.nanos,
            theirs.nanos / ours.nanos,
            ours_json.nanos,
            their_json.nanos,
            their_json.nanos / ours_json.nanos,
            ours_json.allocations,
            their_json.allocations
        );
    }
}

/// Per message.
struct Cost {
    nanos: f64,
    allocations: f64,
}

type Work<'a> = &'a mut dyn FnMut(&str);

fn measure<const N: usize>(messages: &[String], mut works: [Work<'_>; N]) -> [Cost; N] {
    let each = messages.len() as f64;
    let turn = |work: &mut Work<'_>| {
        for raw in messages {
            work(raw);
        }
    };
    let turns = works.each_mut().map(|work| {
        turn(work);
        let (before, begin) = (allocations::count(), Instant::now());
        turn(work);
        let turns = ROUND.as_nanos() / begin.elapsed().as_nanos().max(1);
        (turns.clamp(1, 1 << 20), (allocations::count() - before) as f64 / each)
    });
    let mut costs = turns.map(|(_, allocations)| Cost { nanos: f64::INFINITY, allocations });
    for _ in 0..ROUNDS {
        for ((work, (turns, _)), cost) in works.iter_mut().zip(turns).zip(&mut costs) {
            let begin = Instant::now();
            (0..turns).for_each(|_| turn(work));
            cost.nanos = cost.nanos.min(begin.elapsed().as_nanos() as f64 / (turns as f64 * each));
        }
    }
    costs
}

/// Does one kind of work so many times.
fn instructions(work: &str, count: usize) {
    let messages = generated(form_of(work));
    let raw = messages.iter().cycle().take(count);
    let mut out = Vec::with_capacity(1 << 20);
    match work {
        "parse-5424" | "parse-3164" => {
            for raw in raw {
                black_box(parse(raw.as_bytes()));
            }
        }
        "event-5424" | "event-3164" => {
            let mut normaliser = Normaliser::new(&settings::Normaliser::default(), "bench");
            for raw in raw {
                out.clear();
                normaliser.write_event(&mut out, 1_000_000, &origin(), raw.as_bytes());
                black_box(&out);
            }
        }
        "json-string" => {
            for raw in raw {
                out.clear();
                json::escape_utf8(&mut out, raw.as_bytes());
                black_box(&out);
            }
        }
        "spool-append" => drop(filled_spool(count)),
        "spool-append-read" => {
            let (_dir, spool) = filled_spool(count);
            let mut seq = 0;
            while let Some(chunk) = spool.read_after(seq, BATCH, 1 << 20).expect("the disk reads") {
                black_box(chunk.iter().map(|(_, _, message)| message.len()).sum::<usize>());
                seq = chunk.last_seq();
            }
            assert_eq!(seq, count as u64, "every event is read");
        }
        _ => {
            eprintln!("no such work: {work}");
            std::process::exit(2);
        }
    }
}

fn form_of(work: &str) -> Form {
    if work.ends_with("3164") { Form::Rfc3164 } else { Form::Rfc5424 }
}

/// A spool with so many events on the disk and none in memory, so that they are read from the disk.
fn filled_spool(count: usize) -> (tempfile::TempDir, Spool) {
    let dir = tempfile::tempdir().expect("a directory for the spool");
    let mut options = Options::from(&settings::Spool::default());
    options.tail_bytes = 0;
    let (spool, _) = Spool::open(dir.path(), options).expect("a new spool opens");
    let messages = Messages::new(Form::Rfc5424, LENGTH);
    for first in (0..count).step_by(BATCH) {
        let mut batch = Batch::with_capacity(BATCH, BATCH * LENGTH);
        for number in first..count.min(first + BATCH) {
            batch.push(origin(), messages.get(number));
        }
        spool.append(Arc::new(batch)).expect("the disk takes it");
    }
    spool.sync().expect("the disk takes it");
    (dir, spool)
}
