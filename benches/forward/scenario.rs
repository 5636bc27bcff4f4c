//! What is measured of a forwarder, and how. Each measurement starts a process of its own and a sink of its own.

use crate::forwarders::{Ask, Forwarder, Kind, Place, free_port};
use crate::load;
use crate::message::{Form, Messages, VARIETY, now_nanos};
use crate::process;
use crate::sink::{self, Sink};
use crate::table::Column;
use rustls::ServerConfig;
use soc_connector::batch::{Origin, Transport};
use soc_connector::clock::UnixMicros;
use soc_connector::settings;
use soc_connector::syslog::normaliser::Normaliser;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// What comes not within so long is lost.
const SILENCE: Duration = Duration::from_secs(3);

/// The same where a forwarder may first have to connect again.
const LONG_SILENCE: Duration = Duration::from_secs(15);

/// Length of a message where nothing else is said, in bytes.
pub const LENGTH: usize = 271;

/// TCP connections where nothing else is said.
const CONNECTIONS: usize = 4;

/// Messages a second where the latency, and what connections and senders cost, is measured.
const STEADY_RATE: u64 = 10_000;

/// Messages a second while an outage is filled.
const OUTAGE_RATE: u64 = 50_000;

/// UDP senders at the same time, at most.
const OPEN_SENDERS: usize = 10_000;

/// UDP sockets that send where nothing else is said.
const SENDERS: usize = 4;

/// A scenario of the benchmark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scenario {
    /// As fast as the forwarder takes it.
    Tcp { connections: usize, form: Form, length: usize, compression: u8 },
    /// The loss at a rate.
    Udp { rate: u64 },
    /// From the sender's write to the sink's read.
    Latency,
    /// Until it listens, and until the first event.
    StartUp,
    /// The sink is away, comes back, and new events keep coming.
    CatchUp,
    /// So many open TCP connections at a steady rate.
    Connections(usize),
    /// So many UDP senders at a steady rate.
    Senders(usize),
    /// What drives memory up.
    Memory(Strain),
}

/// What can take memory, each at the full rate where nothing else is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strain {
    /// 64 connections with messages of 8 KiB.
    LongMessages,
    /// 10,000 connections.
    Connections,
    /// 10,000 connections that begin a message of 60,000 bytes and never end it; then the load on 64 others.
    Unfinished,
    /// The sink reads slowly.
    SlowReceiver,
    /// There is no sink; then there is one, and the load goes on.
    Outage,
}

impl Strain {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::LongMessages, Self::Connections, Self::Unfinished, Self::SlowReceiver, Self::Outage];

    fn name(self) -> &'static str {
        match self {
            Self::LongMessages => "64 connections with messages of 8 KiB",
            Self::Connections => "10,000 connections",
            Self::Unfinished => "10,000 unfinished messages of 60,000 bytes, and 64 connections",
            Self::SlowReceiver => "a slow receiver, 4 connections",
            Self::Outage => "no receiver, then a backlog, 4 connections",
        }
    }
}

/// What every measurement needs.
pub struct Lab {
    /// Where everything is.
    pub place: Place,
    /// What the sink answers TLS with.
    pub tls: Arc<ServerConfig>,
    /// How long each load lasts.
    pub time: Duration,
}

const EVERYONE: &[Kind] = &[
    Kind::SocConnector,
    Kind::RsyslogMemory,
    Kind::RsyslogDisk,
    Kind::SyslogNgMemory,
    Kind::SyslogNgDisk,
    Kind::Limit,
];

impl Scenario {
    /// The title of its table.
    pub fn title(self) -> String {
        match self {
            Self::Tcp { connections, form, length, compression: 0 } => {
                format!("TCP, {connections} connections, {} of {length} bytes", form.name())
            }
            Self::Tcp { connections, form, length, compression } => format!(
                "TCP, {connections} connections, {} of {length} bytes, zlib level {compression}",
                form.name()
            ),
            Self::Udp { rate } => format!("UDP, {rate} messages a second of {LENGTH} bytes"),
            Self::Latency => format!("Latency at {STEADY_RATE} messages a second over TCP"),
            Self::StartUp => "Start-up".to_owned(),
            Self::CatchUp => {
                format!("Catch-up after an outage while {STEADY_RATE} messages a second keep coming")
            }
            Self::Connections(count) => {
                format!("{count} open TCP connections, {STEADY_RATE} messages a second")
            }
            Self::Senders(count) => format!("{count} UDP senders, {STEADY_RATE} messages a second"),
            Self::Memory(strain) => format!("Memory: {}", strain.name()),
        }
    }

    /// Who takes part.
    pub fn kinds(self) -> &'static [Kind] {
        match self {
            Self::Tcp { compression: 1.., .. } | Self::Memory(_) => &[Kind::SocConnector],
            Self::Tcp { connections: CONNECTIONS, form: Form::Rfc5424, length: LENGTH, .. } => EVERYONE,
            Self::Tcp { .. } | Self::Udp { .. } => &[
                Kind::SocConnector,
                Kind::RsyslogMemory,
                Kind::RsyslogDisk,
                Kind::SyslogNgMemory,
                Kind::Limit,
            ],
            Self::Latency | Self::StartUp => {
                &[Kind::SocConnector, Kind::RsyslogMemory, Kind::RsyslogDisk, Kind::SyslogNgMemory]
            }
            // A queue in memory holds no outage.
            Self::CatchUp => {
                &[Kind::SocConnector, Kind::RsyslogAssisted, Kind::RsyslogDisk, Kind::SyslogNgDisk]
            }
            Self::Connections(_) | Self::Senders(_) => &[Kind::SocConnector, Kind::RsyslogMemory],
        }
    }

    /// The columns of its table.
    pub fn columns(self) -> &'static [Column] {
        const RATE: Column = Column { name: "events/s", decimals: 0, ratio: true };
        const CPU: Column = Column { name: "CPU µs/event", decimals: 2, ratio: true };
        const LOST: Column = Column { name: "lost %", decimals: 3, ratio: false };
        const IDLE: Column = Column { name: "idle MiB", decimals: 1, ratio: false };
        const PEAK: Column = Column { name: "peak MiB", decimals: 1, ratio: false };
        match self {
            Self::Tcp { .. } => {
                const BYTES: Column = Column { name: "sent B/event", decimals: 0, ratio: false };
                &[RATE, CPU, LOST, IDLE, PEAK, BYTES]
            }
            Self::Udp { .. } => &[LOST, CPU, PEAK],
            Self::Latency => &[
                Column { name: "p50 ms", decimals: 2, ratio: true },
                Column { name: "p99 ms", decimals: 2, ratio: true },
                Column { name: "p99.9 ms", decimals: 2, ratio: false },
                Column { name: "max ms", decimals: 2, ratio: false },
                CPU,
                LOST,
            ],
            Self::StartUp => &[
                Column { name: "listens after ms", decimals: 0, ratio: true },
                Column { name: "first event after ms", decimals: 0, ratio: true },
            ],
            Self::CatchUp => &[
                Column { name: "backlog", decimals: 0, ratio: false },
                Column { name: "first event after s", decimals: 2, ratio: false },
                Column { name: "then events/s", decimals: 0, ratio: true },
                LOST,
                PEAK,
            ],
            Self::Connections(_) | Self::Senders(_) => &[CPU, LOST, IDLE, PEAK],
            Self::Memory(_) => &[
                IDLE,
                PEAK,
                Column { name: "5 s after MiB", decimals: 1, ratio: false },
                Column { name: "taken in", decimals: 0, ratio: false },
                LOST,
            ],
        }
    }

    /// One measurement: a value for each column.
    pub fn measure(self, lab: &Lab, kind: Kind) -> io::Result<Vec<f64>> {
        match self {
            Self::Tcp { connections, form, length, compression } => {
                let mut trial = Trial::start(lab, kind, connections, form, length, compression)?;
                let idle = process::resident_kib(trial.forwarder.pid());
                let streams = load::connect(trial.forwarder.address, connections)?;
                let (cpu, begin, bytes) = (trial.cpu(), now_nanos(), trial.sink.counts.bytes());
                let sent = load::blast(streams, &trial.messages, lab.time)?;
                let came = trial.wait(sent, SILENCE);
                let seconds = trial.sink.counts.last_nanos().saturating_sub(begin) as f64 / 1e9;
                let bytes = (trial.sink.counts.bytes() - bytes) as f64 / came as f64;
                let cpu = micros_each(trial.cpu().saturating_sub(cpu), came);
                let peak = process::peak_kib(trial.forwarder.pid());
                if kind == Kind::SocConnector && came != sent {
                    return Err(io::Error::other(format!("{sent} were sent, {came} came")));
                }
                Ok(vec![came as f64 / seconds, cpu, lost(sent, came), mib(idle), mib(peak), bytes])
            }
            Self::Udp { rate } => {
                let (sent, came, cpu, trial) = udp(lab, kind, SENDERS, rate)?;
                Ok(vec![lost(sent, came), cpu, mib(process::peak_kib(trial.forwarder.pid()))])
            }
            Self::Latency => latency(lab, kind),
            Self::StartUp => start_up(lab, kind),
            Self::CatchUp => catch_up(lab, kind),
            Self::Memory(strain) => memory(lab, kind, strain),
            Self::Connections(count) => {
                let mut trial = Trial::start(lab, kind, count, Form::Rfc5424, LENGTH, 0)?;
                let streams = load::connect(trial.forwarder.address, count)?;
                let progress = AtomicU64::new(0);
                // Every connection says something once, so that each has what a connection needs.
                let rate = STEADY_RATE;
                let warm = Duration::from_secs_f64(count as f64 / rate as f64);
                let sent = load::trickle(&streams, &mut trial.messages, rate, warm, &progress)?;
                trial.wait(sent, SILENCE);
                let idle = process::resident_kib(trial.forwarder.pid());
                let cpu = trial.cpu();
                let sent = load::trickle(&streams, &mut trial.messages, rate, lab.time, &progress)?;
                let came = trial.wait(sent, SILENCE);
                let cpu = micros_each(trial.cpu().saturating_sub(cpu), came);
                Ok(vec![cpu, lost(sent, came), mib(idle), mib(process::peak_kib(trial.forwarder.pid()))])
            }
            Self::Senders(count) => {
                // Each sender is heard once at least.
                let time = Duration::from_secs_f64(count as f64 / STEADY_RATE as f64).max(lab.time);
                let lab = Lab { place: lab.place.clone(), tls: Arc::clone(&lab.tls), time };
                let idle = {
                    let trial = Trial::start(&lab, kind, 1, Form::Rfc5424, LENGTH, 0)?;
                    process::resident_kib(trial.forwarder.pid())
                };
                let (sent, came, cpu, trial) = udp(&lab, kind, count, STEADY_RATE)?;
                Ok(vec![cpu, lost(sent, came), mib(idle), mib(process::peak_kib(trial.forwarder.pid()))])
            }
        }
    }
}

/// A forwarder that has delivered its first messages, and its sink.
struct Trial {
    // First the forwarder ends, then the sink: so none tries to connect again.
    forwarder: Forwarder,
    sink: Sink,
    messages: Messages,
    /// Events that were waited for so far.
    before: u64,
}

impl Trial {
    fn start(
        lab: &Lab,
        kind: Kind,
        connections: usize,
        form: Form,
        length: usize,
        compression: u8,
    ) -> io::Result<Self> {
        let messages = Messages::new(form, length);
        let event_bytes = event_bytes(&messages);
        let sink = Sink::start(0, kind.format(event_bytes), &lab.tls)?;
        let ask = Ask {
            sink: sink.port(),
            connections,
            rfc5424: form == Form::Rfc5424,
            exchange: (messages.wire_bytes() as u64, event_bytes),
            compression,
        };
        let forwarder = Forwarder::start(kind, &lab.place, &ask)?;
        let mut trial = Self { forwarder, sink, messages, before: 0 };
        trial.warm_up()?;
        Ok(trial)
    }

    /// Sends every message once and awaits it, so that what is measured begins with open connections.
    fn warm_up(&mut self) -> io::Result<()> {
        use std::io::Write as _;
        let mut streams = load::connect(self.forwarder.address, 1)?;
        streams[0].write_all(self.messages.lines(0, VARIETY).0)?;
        drop(streams);
        let came = self.wait(VARIETY as u64, LONG_SILENCE);
        if came == VARIETY as u64 {
            return Ok(());
        }
        Err(io::Error::other(format!(
            "{came} of the first {VARIETY} messages came; {}",
            self.forwarder.output()
        )))
    }

    fn cpu(&self) -> Duration {
        process::cpu(self.forwarder.pid())
    }

    /// Awaits so many more events; returns how many came.
    fn wait(&mut self, events: u64, silence: Duration) -> u64 {
        let all = sink::wait_for(&self.sink.counts, self.before + events, silence);
        let came = all - self.before;
        self.before = all;
        came
    }
}

/// Bytes that soc-connector sends inside TLS for a message, on average: the event and its Lumberjack frame.
fn event_bytes(messages: &Messages) -> u64 {
    const FRAME_HEADER: usize = 10;
    let mut out = Vec::new();
    let mut normaliser = Normaliser::new(&settings::Normaliser::default(), "bench");
    let origin = Origin {
        received: UnixMicros(1_795_316_400_000_001),
        source: SocketAddr::from(([127, 0, 0, 1], 40_000)),
        transport: Transport::Tcp,
        cut: false,
    };
    for number in 0..VARIETY {
        normaliser.write_event(&mut out, 1_000_000, &origin, messages.get(number));
    }
    (out.len() / VARIETY + FRAME_HEADER) as u64
}

fn udp(lab: &Lab, kind: Kind, senders: usize, rate: u64) -> io::Result<(u64, u64, f64, Trial)> {
    let mut trial = Trial::start(lab, kind, 1, Form::Rfc5424, LENGTH, 0)?;
    let cpu = trial.cpu();
    let mut sent = 0;
    // Each socket is an open file, of which there may not be enough for all senders at once: they come in turns.
    for first in (0..senders).step_by(OPEN_SENDERS) {
        let count = OPEN_SENDERS.min(senders - first);
        let sockets = load::senders(first, count)?;
        let time = lab.time.mul_f64(count as f64 / senders as f64);
        sent += load::datagrams(&sockets, trial.forwarder.address, &trial.messages, rate, time)?;
    }
    let came = trial.wait(sent, SILENCE);
    let cpu = micros_each(trial.cpu().saturating_sub(cpu), came);
    Ok((sent, came, cpu, trial))
}

fn latency(lab: &Lab, kind: Kind) -> io::Result<Vec<f64>> {
    let mut trial = Trial::start(lab, kind, CONNECTIONS, Form::Rfc5424, LENGTH, 0)?;
    let streams = load::connect(trial.forwarder.address, CONNECTIONS)?;
    trial.sink.counts.time();
    let cpu = trial.cpu();
    let sent = load::trickle(&streams, &mut trial.messages, STEADY_RATE, lab.time, &AtomicU64::new(0))?;
    let came = trial.wait(sent, SILENCE);
    let cpu = micros_each(trial.cpu().saturating_sub(cpu), came);
    let mut latencies = trial.sink.counts.take_latencies();
    latencies.sort_unstable();
    let at = |per_mille: usize| {
        let index = (latencies.len() * per_mille / 1000).min(latencies.len().saturating_sub(1));
        latencies.get(index).map_or(f64::NAN, |&micros| f64::from(micros) / 1000.0)
    };
    Ok(vec![at(500), at(990), at(999), at(1000), cpu, lost(sent, came)])
}

fn start_up(lab: &Lab, kind: Kind) -> io::Result<Vec<f64>> {
    let begin = now_nanos();
    // The warm-up's messages are sent as soon as it listens.
    let trial = Trial::start(lab, kind, CONNECTIONS, Form::Rfc5424, LENGTH, 0)?;
    let first = trial.sink.counts.first_nanos().saturating_sub(begin) as f64 / 1e6;
    Ok(vec![trial.forwarder.started_in.as_secs_f64() * 1000.0, first])
}

fn catch_up(lab: &Lab, kind: Kind) -> io::Result<Vec<f64>> {
    // Who has not caught up by then is shown with the rate that it had.
    const CATCH_UP_WITHIN: Duration = Duration::from_secs(60);
    // So many times the load time is missed.
    const OUTAGE: u32 = 2;
    let mut messages = Messages::new(Form::Rfc5424, LENGTH);
    let port = free_port()?;
    let ask = Ask { sink: port, connections: CONNECTIONS, rfc5424: true, exchange: (0, 0), compression: 0 };
    let forwarder = Forwarder::start(kind, &lab.place, &ask)?;
    let streams = load::connect(forwarder.address, CONNECTIONS)?;
    let backlog = load::trickle(&streams, &mut messages, OUTAGE_RATE, lab.time * OUTAGE, &AtomicU64::new(0))?;
    let progress = AtomicU64::new(0);
    let back = Instant::now();
    let sink = Sink::start(port, kind.format(0), &lab.tls)?;
    let counts = &sink.counts;
    let (first, rate, sent) = std::thread::scope(|scope| {
        let sender =
            scope.spawn(|| load::trickle(&streams, &mut messages, STEADY_RATE, CATCH_UP_WITHIN, &progress));
        sink::wait_for(counts, 1, LONG_SILENCE);
        let (first, before) = (back.elapsed(), counts.events());
        // Caught up: what is missing came within the last tenth of a second.
        while counts.events() < (backlog + progress.load(Relaxed)).saturating_sub(STEADY_RATE / 10)
            && !sender.is_finished()
        {
            std::thread::sleep(Duration::from_millis(1));
        }
        let rate = (counts.events() - before) as f64 / back.elapsed().saturating_sub(first).as_secs_f64();
        progress.store(load::STOP, Relaxed);
        (first, rate, sender.join().expect("a sender does not panic"))
    });
    let sent = backlog + sent?;
    let came = sink::wait_for(counts, sent, LONG_SILENCE);
    let peak = process::peak_kib(forwarder.pid());
    drop(forwarder);
    Ok(vec![backlog as f64, first.as_secs_f64(), rate, lost(sent, came), mib(peak)])
}

fn memory(lab: &Lab, kind: Kind, strain: Strain) -> io::Result<Vec<f64>> {
    const MANY: usize = 10_000;
    const UNFINISHED_BYTES: usize = 60_000;
    // With what the sink reads at once, some tens of megabytes a second.
    const SLOW: Duration = Duration::from_millis(5);
    // So many times the load time: a backlog of gigabytes where the load is long.
    const OUTAGE: u32 = 4;
    let length = if strain == Strain::LongMessages { 8192 } else { LENGTH };
    let connections = match strain {
        Strain::LongMessages | Strain::Unfinished => 64,
        Strain::Connections => MANY,
        Strain::SlowReceiver | Strain::Outage => CONNECTIONS,
    };
    let asked = if strain == Strain::Unfinished { MANY + connections } else { connections };
    let mut trial = Trial::start(lab, kind, asked, Form::Rfc5424, length, 0)?;
    let pid = trial.forwarder.pid();
    let idle = process::resident_kib(pid);
    let streams = load::connect(trial.forwarder.address, connections)?;
    let unfinished = if strain == Strain::Unfinished {
        let streams = load::connect(trial.forwarder.address, MANY)?;
        load::begin(&streams, UNFINISHED_BYTES)?;
        streams
    } else {
        Vec::new()
    };
    let mut sent = 0;
    match strain {
        Strain::SlowReceiver => trial.sink.counts.slow_down(SLOW),
        Strain::Outage => {
            trial.sink.close();
            let streams = load::connect(trial.forwarder.address, connections)?;
            sent += load::blast(streams, &trial.messages, lab.time * OUTAGE)?;
            trial.sink.open(kind.format(0), &lab.tls)?;
        }
        _ => {}
    }
    sent += load::blast(streams, &trial.messages, lab.time)?;
    trial.sink.counts.slow_down(Duration::ZERO);
    let came = trial.wait(sent, LONG_SILENCE);
    let peak = process::peak_kib(pid);
    drop(unfinished);
    std::thread::sleep(Duration::from_secs(5));
    Ok(vec![mib(idle), mib(peak), mib(process::resident_kib(pid)), sent as f64, lost(sent, came)])
}

fn micros_each(cpu: Duration, events: u64) -> f64 {
    cpu.as_secs_f64() * 1e6 / events as f64
}

/// In percent; below zero where events came twice.
fn lost(sent: u64, came: u64) -> f64 {
    (sent as f64 - came as f64) * 100.0 / sent as f64
}

fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}
