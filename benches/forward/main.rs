//! soc-connector, rsyslog and syslog-ng under the same load in the same run, with the physical limit beside them.
//!
//! `benches/run` builds and fetches everything and calls this; `benches/README.md` says what is measured and how.
//! Every measurement starts a forwarder as a process of its own. The rounds are interleaved: in each round every
//! forwarder has its turn in every scenario, so that what disturbs the machine for a while disturbs all of them.

mod forwarders;
mod limit;
mod load;
mod message;
mod process;
mod scenario;
mod sink;
mod table;

use clap::Parser;
use forwarders::{Kind, Place};
use message::Form;
use rustix::process::{Resource, getrlimit, setrlimit};
use scenario::{LENGTH, Lab, Scenario, Strain};
use soc_connector::tls::{self, Identity, Roots};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Duration;
use table::Table;

/// Compares soc-connector with rsyslog and syslog-ng.
#[derive(Debug, Parser)]
#[command(name = "benches/run")]
struct Options {
    /// Parts to run, all of them if none is named; after `tcp`, numbers choose the connections
    #[arg(value_name = "PART", value_parser = part)]
    parts: Vec<Part>,
    /// One short round of each part
    #[arg(long)]
    quick: bool,
    /// Rounds, of which the medians are shown [default: 3; 1 with --quick]
    #[arg(long)]
    rounds: Option<u32>,
    /// Length of each load in seconds [default: 2; 1 with --quick]
    #[arg(long)]
    seconds: Option<f64>,
    /// Forwarders to measure, all if none is named
    #[arg(long, value_delimiter = ',')]
    only: Vec<Kind>,
    /// The soc-connector to measure
    #[arg(long, value_name = "FILE")]
    binary: PathBuf,
    /// Directory with the other forwarders
    #[arg(long, value_name = "DIR", default_value = "target/bench-peers")]
    peers: PathBuf,
    /// Cargo says so to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

/// The limit as a process of its own.
#[derive(Debug, Parser)]
struct LimitOptions {
    #[arg(long)]
    pki: PathBuf,
    #[arg(long)]
    port: u16,
    #[arg(long)]
    sink: u16,
    #[arg(long)]
    message_bytes: u64,
    #[arg(long)]
    event_bytes: u64,
}

/// Messages a second over UDP: the last is more than two processors carry that the sender shares.
const UDP_RATES: [u64; 5] = [10_000, 50_000, 100_000, 200_000, 400_000];

/// A part of the benchmark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Tcp,
    /// TCP connections, after `tcp`.
    Number(usize),
    Sizes,
    Forms,
    Compression,
    Udp,
    Latency,
    Startup,
    Catchup,
    Connections,
    Senders,
    Memory,
}

const PARTS: [(&str, Part); 11] = [
    ("tcp", Part::Tcp),
    ("sizes", Part::Sizes),
    ("forms", Part::Forms),
    ("compression", Part::Compression),
    ("udp", Part::Udp),
    ("latency", Part::Latency),
    ("startup", Part::Startup),
    ("catchup", Part::Catchup),
    ("connections", Part::Connections),
    ("senders", Part::Senders),
    ("memory", Part::Memory),
];

fn part(text: &str) -> Result<Part, String> {
    if let Ok(number) = text.parse() {
        return Ok(Part::Number(number));
    }
    let names: Vec<_> = PARTS.iter().map(|(name, _)| *name).collect();
    let found = PARTS.iter().find(|(name, _)| *name == text);
    found.map(|(_, part)| *part).ok_or_else(|| format!("it is none of {}", names.join(", ")))
}

fn tcp(connections: usize, form: Form, length: usize, compression: u8) -> Scenario {
    Scenario::Tcp { connections, form, length, compression }
}

fn scenarios(parts: &[Part]) -> Vec<Scenario> {
    let numbers: Vec<_> = parts
        .iter()
        .filter_map(|part| if let Part::Number(number) = part { Some(*number) } else { None })
        .collect();
    let connections = if numbers.is_empty() { vec![1, 4, 64] } else { numbers };
    let wanted = |part: &Part| parts.is_empty() || parts.contains(part);
    let of = |part: Part| -> Vec<Scenario> {
        match part {
            Part::Tcp => connections.iter().map(|&count| tcp(count, Form::Rfc5424, LENGTH, 0)).collect(),
            Part::Sizes => [100, 300, 1024, 8192].map(|length| tcp(4, Form::Rfc5424, length, 0)).to_vec(),
            Part::Forms => vec![tcp(4, Form::Rfc3164, LENGTH, 0)],
            Part::Compression => [1, 6].map(|level| tcp(4, Form::Rfc5424, LENGTH, level)).to_vec(),
            Part::Udp => UDP_RATES.map(|rate| Scenario::Udp { rate }).to_vec(),
            Part::Latency => vec![Scenario::Latency],
            Part::Startup => vec![Scenario::StartUp],
            Part::Catchup => vec![Scenario::CatchUp],
            Part::Connections => [4, 100, 1000, 10_000].map(Scenario::Connections).to_vec(),
            Part::Senders => [4, 1000, 100_000].map(Scenario::Senders).to_vec(),
            Part::Memory => Strain::ALL.map(Scenario::Memory).to_vec(),
            Part::Number(_) => Vec::new(),
        }
    };
    PARTS.iter().map(|(_, part)| part).filter(|part| wanted(part)).flat_map(|part| of(*part)).collect()
}

fn main() -> ExitCode {
    let done = if std::env::args().nth(1).as_deref() == Some("limit") {
        run_limit(&LimitOptions::parse_from(std::env::args().skip(1)))
    } else {
        run(&Options::parse())
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(what) => {
            eprintln!("{what}");
            ExitCode::FAILURE
        }
    }
}

fn run_limit(options: &LimitOptions) -> Result<(), String> {
    let pki = &options.pki;
    let config = Identity::load(&pki.join("client-cert.pem"), &pki.join("client-key.pem"))
        .and_then(|identity| tls::client_config(&identity, &Roots::from_file(&pki.join("ca.pem"))?))
        .map_err(|error| error.to_string())?;
    let sink = SocketAddr::from((Ipv4Addr::LOCALHOST, options.sink));
    let exchange = limit::Exchange { message_bytes: options.message_bytes, event_bytes: options.event_bytes };
    limit::run(options.port, sink, config, exchange).map_err(|error| error.to_string())
}

fn run(options: &Options) -> Result<(), String> {
    raise_open_files();
    let work = tempfile::tempdir().map_err(|error| error.to_string())?;
    let pki = work.path().join("pki");
    std::fs::create_dir(&pki).map_err(|error| error.to_string())?;
    let absolute =
        |path: &PathBuf| std::fs::canonicalize(path).map_err(|error| format!("{}: {error}", path.display()));
    let binary = absolute(&options.binary)?;
    let made = Command::new(&binary).arg("pki").arg(&pki).output().map_err(|error| error.to_string())?;
    if !made.status.success() {
        return Err(String::from_utf8_lossy(&made.stderr).into_owned());
    }
    let tls = Identity::load(&pki.join("server-cert.pem"), &pki.join("server-key.pem"))
        .and_then(|identity| tls::server_config(&identity, &Roots::from_file(&pki.join("ca.pem"))?))
        .map_err(|error| error.to_string())?;
    let (rounds, seconds) = if options.quick { (1, 1.0) } else { (3, 2.0) };
    let (rounds, seconds) = (options.rounds.unwrap_or(rounds), options.seconds.unwrap_or(seconds));
    let place = Place { binary, peers: options.peers.clone(), work: work.path().to_owned(), pki };
    let lab = Lab { place, tls, time: Duration::from_secs_f64(seconds) };
    let mut tables: Vec<_> =
        scenarios(&options.parts).into_iter().map(|scenario| (scenario, Table::new(scenario))).collect();
    let mut failed = 0;
    for round in 1..=rounds {
        for (scenario, table) in &mut tables {
            for &kind in scenario.kinds() {
                if !options.only.is_empty() && !options.only.contains(&kind) {
                    continue;
                }
                match scenario.measure(&lab, kind) {
                    Ok(values) => {
                        eprintln!("{round}/{rounds} {}: {}: {values:.2?}", scenario.title(), kind.name());
                        table.add(kind, values);
                    }
                    Err(error) => {
                        failed += 1;
                        eprintln!("{round}/{rounds} {}: {}: FAILED: {error}", scenario.title(), kind.name());
                    }
                }
            }
        }
    }
    println!("Medians of {rounds} rounds of {seconds} s; in brackets the ratio to soc-connector's value.\n");
    for (_, table) in &tables {
        println!("{}", table.markdown());
    }
    if failed > 0 { Err(format!("{failed} measurements failed")) } else { Ok(()) }
}

/// As many open files as are allowed: each connection and each sender is one.
fn raise_open_files() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        eprintln!("the bound on open files cannot be raised: {error}");
    }
}
