//! What an operator can set: `conf/soc-connector.toml`, read once, checked whole, then only read.
//!
//! A value of these types is already right: everything that can be wrong about a setting is found while reading it,
//! and is named there with its line, its key and what is allowed. Defaults are the manual's.
//!
//! `keys` describes the file once; [`parse()`] reads it, [`render`] writes it the first time, and [`edit()`] changes
//! single values in it for setup's options.

mod accepted;
mod edit;
mod endpoint;
mod file;
mod keys;
mod parse;
mod schema;
mod source;
mod template;
#[cfg(test)]
mod tests;

pub use accepted::{load_accepted, load_in_force, load_old};
pub use edit::{Change, Changes, edit};
pub use file::{load, load_edited, prepare};
pub use parse::parse;
pub use template::{TEMPLATE, render};

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// All settings.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Settings {
    /// `[connector]`
    pub connector: Connector,
    /// `[engine]`
    pub engine: Engine,
    /// `[listener]`
    pub listener: Listener,
    /// `[normaliser]`
    pub normaliser: Normaliser,
    /// `[spool]`
    pub spool: Spool,
    /// `[uplink]`
    pub uplink: Uplink,
    /// `[metrics]`
    pub metrics: Metrics,
    /// `[tls]`
    pub tls: Tls,
    /// `[limits]`
    pub limits: Limits,
}

/// Who this installation is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connector {
    /// The installation's name, first part of every event's `connector.id`: 1 to 64 of `A-Z a-z 0-9 . _ -`. Setup
    /// writes a random one.
    pub id: String,
    /// Whether the connector sends reports on itself among the events.
    pub self_reports: bool,
}

impl Default for Connector {
    fn default() -> Self {
        Self { id: String::new(), self_reports: true }
    }
}

/// The container engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EngineKind {
    /// Podman, the manual's recommendation.
    #[default]
    Podman,
    /// Docker.
    Docker,
}

/// How the container reaches the network. `Auto` lets setup choose the mode that keeps senders' addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Network {
    /// Setup decides.
    #[default]
    Auto,
    /// The host's own network.
    Host,
    /// The engine's bridge with a published port.
    Bridge,
    /// Rootless Podman's user-mode network with the port handler that keeps source addresses.
    Slirp4netns,
}

/// Which engine and how it is used.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Engine {
    /// Podman or Docker.
    pub kind: EngineKind,
    /// Reach the engine through `sudo`.
    pub sudo: bool,
    /// The container's network.
    pub network: Network,
    /// An image to pull, in place of the one made from this binary.
    pub image: Option<String>,
}

/// Where syslog comes in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// The port that senders use, UDP and TCP.
    pub syslog_port: u16,
    /// Addresses to listen on; `::` means all of IPv6 and IPv4.
    pub addresses: Vec<IpAddr>,
    /// Longest message in bytes; a longer one is cut there and marked.
    pub max_message_bytes: usize,
    /// TCP connections at the same time; one more is refused.
    pub max_connections: usize,
    /// A TCP connection that is silent for so long is closed; zero means never.
    pub idle_timeout: Duration,
    /// Receive buffer asked of the kernel for each UDP socket, in bytes.
    pub udp_buffer_bytes: usize,
}

impl Default for Listener {
    fn default() -> Self {
        Self {
            syslog_port: 1514,
            addresses: vec![IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED)],
            max_message_bytes: 64 * 1024,
            max_connections: 8192,
            idle_timeout: Duration::from_secs(3600),
            udp_buffer_bytes: 16 * 1024 * 1024,
        }
    }
}

/// How messages are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Normaliser {
    /// Time zone of timestamps that name none, a name of the tz database.
    pub time_zone: chrono_tz::Tz,
    /// The charset of messages that are not UTF-8; UTF-8 itself where none is known.
    pub charset: Charset,
    /// Both for senders in a range of addresses; the longest prefix that says something of it wins.
    pub sources: Vec<Source>,
}

impl Default for Normaliser {
    fn default() -> Self {
        Self { time_zone: chrono_tz::UTC, charset: encoding_rs::UTF_8, sources: Vec::new() }
    }
}

/// A charset in which ASCII is ASCII.
pub type Charset = &'static encoding_rs::Encoding;

/// One row of the table of sources; it says one thing at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source {
    /// First address of the range.
    pub network: IpAddr,
    /// How many leading bits are fixed.
    pub prefix_bits: u8,
    /// The zone of its timestamps.
    pub time_zone: Option<chrono_tz::Tz>,
    /// The charset of its messages.
    pub charset: Option<Charset>,
}

/// What happens to new messages when the spool is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WhenFull {
    /// Take in no more: TCP senders wait, UDP is dropped and counted by the kernel.
    #[default]
    Block,
    /// Drop the oldest undelivered events, counted.
    DropOldest,
}

/// The queue on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spool {
    /// Largest size in bytes, of each mode's queue.
    pub max_bytes: u64,
    /// What must stay free on the file system, in bytes.
    pub reserve_bytes: u64,
    /// Longest time between two syncs while messages come in; zero syncs every batch.
    pub sync_interval: Duration,
    /// What to do when it is full.
    pub when_full: WhenFull,
}

impl Default for Spool {
    fn default() -> Self {
        Self {
            max_bytes: 8 << 30,
            reserve_bytes: 512 << 20,
            sync_interval: Duration::from_millis(100),
            when_full: WhenFull::Block,
        }
    }
}

/// `host:port`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// A DNS name or an address (IPv6 in brackets in the file, without them here).
    pub host: String,
    /// TCP port.
    pub port: u16,
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// A receiver of the SOC and the site that it stands at.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Receiver {
    /// The site's name; where there is none, the receiver is a site by itself.
    pub site: Option<String>,
    /// Where it listens.
    pub endpoint: Endpoint,
}

impl Receiver {
    /// What tells its site from the others.
    pub fn site(&self) -> String {
        self.site.clone().unwrap_or_else(|| self.endpoint.to_string())
    }
}

impl From<Endpoint> for Receiver {
    fn from(endpoint: Endpoint) -> Self {
        Self { site: None, endpoint }
    }
}

impl std::fmt::Display for Receiver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.site.iter().try_for_each(|site| write!(f, "{site}/"))?;
        self.endpoint.fmt(f)
    }
}

/// What is spoken inside TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StreamFormat {
    /// Lumberjack v2, with acknowledgements.
    #[default]
    Lumberjack,
    /// Newline-delimited JSON without acknowledgements: what is in flight when a connection breaks is lost.
    Ndjson,
}

/// Where events go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uplink {
    /// The incubator's stream (stage).
    pub incubator_stream: Endpoint,
    /// The incubator's confirmations (stage).
    pub incubator: Endpoint,
    /// The concentrators (production), sites in order of preference.
    pub concentrators: Vec<Receiver>,
    /// The stream's format.
    pub format: StreamFormat,
    /// zlib level of compressed frames, 1 to 9; 0 sends them plain.
    pub compression: u8,
    /// Events in one window.
    pub window_events: usize,
    /// Windows sent and not yet acknowledged.
    pub windows_in_flight: usize,
    /// Bound on resolving, connecting and handshaking, each.
    pub connect_timeout: Duration,
    /// A receiver that says nothing for so long while events are in flight is left.
    pub ack_timeout: Duration,
    /// Longest wait before a receiver is tried again; the first is a quarter of a second, each next one twice the last,
    /// jittered.
    pub max_backoff: Duration,
    /// A better site is gone back to when one of its receivers was healthy for so long.
    pub return_after: Duration,
    /// An event that receivers refuse is tried for so long before it is set aside.
    pub refuse_after: Duration,
}

impl Default for Uplink {
    fn default() -> Self {
        let endpoint = |host: &str| Endpoint { host: host.to_owned(), port: 443 };
        let concentrators = ["ber", "erl"]
            .iter()
            .flat_map(|site| (1..=3).map(move |n| (site, format!("concentrator-{site}-{n}.soc.dfn.de"))))
            .map(|(site, host)| Receiver { site: Some((*site).to_owned()), endpoint: endpoint(&host) })
            .collect();
        Self {
            incubator_stream: endpoint("incubator-stream.soc.dfn.de"),
            incubator: endpoint("incubator.soc.dfn.de"),
            concentrators,
            format: StreamFormat::Lumberjack,
            compression: 0,
            window_events: 2048,
            windows_in_flight: 4,
            connect_timeout: Duration::from_secs(10),
            ack_timeout: Duration::from_secs(60),
            max_backoff: Duration::from_secs(60),
            return_after: Duration::from_secs(300),
            refuse_after: Duration::from_secs(120),
        }
    }
}

/// Figures for a monitoring system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metrics {
    /// TCP port on the loopback address where they are served; 0 for none.
    pub port: u16,
}

impl Default for Metrics {
    fn default() -> Self {
        Self { port: 9514 }
    }
}

/// Certificates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// The CA certificates (PEM) that servers are checked against; the system's roots where none is given. As written
    /// in the file; [`Tls::ca_file`] is the path to open.
    pub ca: Option<PathBuf>,
    /// Common name of the CA that must have issued the client certificate.
    pub issuer: String,
}

impl Default for Tls {
    fn default() -> Self {
        Self { ca: None, issuer: "DFN.Security SOC Access CA".to_owned() }
    }
}

impl Tls {
    /// The CA file's path, relative ones taken from DIR.
    pub fn ca_file(&self, dir: &Path) -> Option<PathBuf> {
        self.ca.as_ref().map(|ca| dir.join(ca))
    }
}

/// What the container may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Memory in bytes.
    pub memory_bytes: u64,
    /// Processes and threads.
    pub pids: u32,
    /// Open files; every TCP sender is one.
    pub files: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { memory_bytes: 512 << 20, pids: 128, files: 16384 }
    }
}
