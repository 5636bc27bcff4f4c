//! What is measured: each forwarder with its configuration, as a process of its own on ports of loopback.

use crate::sink::Format;
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A forwarder that does not listen after this time does not start.
const START_WITHIN: Duration = Duration::from_secs(30);

/// A forwarder that has not ended this long after SIGTERM is killed.
const END_WITHIN: Duration = Duration::from_secs(5);

/// A forwarder with the queue that it is measured with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// soc-connector: every event on disk before it is sent, synced every 100 ms.
    SocConnector,
    /// rsyslog, queue in memory.
    RsyslogMemory,
    /// rsyslog, queue in memory that goes to disk when it fills up.
    RsyslogAssisted,
    /// rsyslog, queue on disk, not synced.
    RsyslogDisk,
    /// syslog-ng, queue in memory.
    SyslogNgMemory,
    /// syslog-ng, reliable disk buffer.
    SyslogNgDisk,
    /// The physical limit.
    Limit,
}

impl Kind {
    /// Its name in the tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::SocConnector => "soc-connector, spool on disk",
            Self::RsyslogMemory => "rsyslog, memory queue",
            Self::RsyslogAssisted => "rsyslog, disk-assisted queue",
            Self::RsyslogDisk => "rsyslog, disk queue",
            Self::SyslogNgMemory => "syslog-ng, memory queue",
            Self::SyslogNgDisk => "syslog-ng, reliable disk buffer",
            Self::Limit => "limit: bytes in, encrypted bytes out",
        }
    }

    /// What it sends; `event_bytes` is for the limit.
    pub fn format(self, event_bytes: u64) -> Format {
        match self {
            Self::SocConnector => Format::Lumberjack,
            Self::Limit => Format::Bytes(event_bytes),
            _ => Format::Lines,
        }
    }
}

/// Where everything is that forwarders are started with.
#[derive(Clone)]
pub struct Place {
    /// The soc-connector to measure.
    pub binary: PathBuf,
    /// Where `benches/peers` put Debian's packages.
    pub peers: PathBuf,
    /// Throw-away directory; each start has a directory of its own in it.
    pub work: PathBuf,
    /// CA, server's and client's certificates, made by `soc-connector pki`.
    pub pki: PathBuf,
}

/// What differs between two starts of the same forwarder.
#[derive(Debug, Clone, Copy)]
pub struct Ask {
    /// Port of the sink.
    pub sink: u16,
    /// TCP connections that are to come.
    pub connections: usize,
    /// Whether messages are in RFC 5424; syslog-ng must be told.
    pub rfc5424: bool,
    /// Bytes of a message on TCP and of an event inside TLS, for the limit.
    pub exchange: (u64, u64),
    /// zlib level of soc-connector's stream.
    pub compression: u8,
}

/// A running forwarder; ended when dropped.
pub struct Forwarder {
    child: Child,
    dir: PathBuf,
    /// Where it takes syslog, over TCP and UDP.
    pub address: SocketAddr,
    /// From its start until it took a connection.
    pub started_in: Duration,
}

impl Forwarder {
    /// Starts it and waits until it takes connections.
    pub fn start(kind: Kind, place: &Place, ask: &Ask) -> io::Result<Self> {
        let port = free_port()?;
        let dir = place.work.join(format!("{kind:?}-{port}"));
        fs::create_dir_all(&dir)?;
        let mut command = match kind {
            Kind::SocConnector => soc_connector(place, &dir, port, ask)?,
            Kind::RsyslogMemory | Kind::RsyslogAssisted | Kind::RsyslogDisk => {
                rsyslog(kind, place, &dir, port, ask)?
            }
            Kind::SyslogNgMemory | Kind::SyslogNgDisk => syslog_ng(kind, place, &dir, port, ask)?,
            Kind::Limit => limit(place, port, ask)?,
        };
        let log = fs::File::create(dir.join("output"))?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let begin = Instant::now();
        let child = command.spawn()?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut forwarder = Self { child, dir, address, started_in: Duration::ZERO };
        while TcpStream::connect(address).is_err() {
            if forwarder.child.try_wait()?.is_some() || begin.elapsed() > START_WITHIN {
                let output = fs::read_to_string(forwarder.dir.join("output"))?;
                return Err(io::Error::other(format!("{} does not start:\n{output}", kind.name())));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        forwarder.started_in = begin.elapsed();
        Ok(forwarder)
    }

    /// The end of what it printed.
    pub fn output(&self) -> String {
        fs::read_to_string(self.dir.join("output")).unwrap_or_default()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let begin = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) && begin.elapsed() < END_WITHIN {
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// A port that is free over TCP now.
pub fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

fn soc_connector(place: &Place, dir: &Path, port: u16, ask: &Ask) -> io::Result<Command> {
    for name in ["client-cert.pem", "client-key.pem", "ca.pem"] {
        fs::copy(place.pki.join(name), dir.join(name))?;
    }
    let Ask { sink, connections, compression, .. } = ask;
    let connections = connections + 16;
    let files = connections + 1024;
    fs::create_dir_all(dir.join("conf"))?;
    // Its reports on itself would be counted among the events that were sent to it.
    fs::write(
        dir.join("conf/soc-connector.toml"),
        format!(
            "[connector]\nid = \"bench\"\nself_reports = false\n\
             [listener]\nsyslog_port = {port}\naddresses = [\"127.0.0.1\"]\nmax_connections = {connections}\n\
             [metrics]\nport = 0\n\
             [tls]\nca = \"ca.pem\"\n\
             [limits]\nfiles = {files}\n\
             [uplink]\nconcentrators = [\"127.0.0.1:{sink}\"]\nmax_backoff_s = 1\ncompression = {compression}\n"
        ),
    )?;
    let mut command = Command::new(&place.binary);
    command.arg("--dir").arg(dir).args(["run", "--mode", "production"]);
    Ok(command)
}

/// A program out of `benches/peers`' directory, with its libraries.
fn peer(place: &Place, program: &str) -> Command {
    let lib = |dir: &str| place.peers.join(dir).display().to_string();
    let mut command = Command::new(place.peers.join("usr/sbin").join(program));
    let libraries =
        [lib("usr/lib/x86_64-linux-gnu"), lib("lib/x86_64-linux-gnu"), lib("usr/lib/syslog-ng")].join(":");
    command.env("LD_LIBRARY_PATH", libraries);
    command
}

/// Fills in a configuration's `names`, each between two of `sign`.
fn fill(text: &str, sign: char, names: &[(&str, String)]) -> String {
    names
        .iter()
        .fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{sign}{name}{sign}"), value))
}

fn certificates(place: &Place) -> [(&'static str, String); 3] {
    [("CA", "ca.pem"), ("CERT", "client-cert.pem"), ("KEY", "client-key.pem")]
        .map(|(name, file)| (name, place.pki.join(file).display().to_string()))
}

fn rsyslog(kind: Kind, place: &Place, dir: &Path, port: u16, ask: &Ask) -> io::Result<Command> {
    let queue = match kind {
        // The size counts messages on the disk as well; its default is 50,000.
        Kind::RsyslogDisk => {
            "queue.type=\"Disk\" queue.size=\"50000000\" queue.filename=\"main\" queue.maxDiskSpace=\"8g\""
        }
        Kind::RsyslogAssisted => {
            // The size bounds memory and disk together: with that of the queue in memory it would take no outage in.
            "queue.type=\"LinkedList\" queue.size=\"50000000\" queue.highWatermark=\"100000\" \
             queue.lowWatermark=\"20000\" queue.filename=\"main\" queue.maxDiskSpace=\"8g\""
        }
        _ => "queue.type=\"FixedArray\" queue.size=\"100000\"",
    };
    let mut names = certificates(place).to_vec();
    names.extend([
        ("DIR", dir.display().to_string()),
        ("PORT", port.to_string()),
        ("SINK_PORT", ask.sink.to_string()),
        ("QUEUE", queue.to_owned()),
        ("DRIVER", "ossl".to_owned()),
    ]);
    let file = dir.join("rsyslog.conf");
    fs::write(&file, fill(include_str!("../conf/rsyslog.conf"), '@', &names))?;
    let mut command = peer(place, "rsyslogd");
    command.args(["-n", "-C", "-f"]).arg(file).arg("-i").arg(dir.join("pid"));
    command.arg("-M").arg(place.peers.join("usr/lib/x86_64-linux-gnu/rsyslog"));
    Ok(command)
}

fn syslog_ng(kind: Kind, place: &Place, dir: &Path, port: u16, ask: &Ask) -> io::Result<Command> {
    let buffer = match kind {
        Kind::SyslogNgDisk => format!(
            "disk-buffer(reliable(yes) disk-buf-size(4294967296) mem-buf-size(67108864) dir(\"{}\"))",
            dir.display()
        ),
        _ => String::new(),
    };
    let connections = ask.connections + 16;
    // syslog-ng wants a window of a hundred messages for each connection, and a queue that holds all windows.
    let window = (connections * 100).max(20_000);
    let mut names = certificates(place).to_vec();
    names.extend([
        ("PORT", port.to_string()),
        ("SINK_PORT", ask.sink.to_string()),
        ("CONNECTIONS", connections.to_string()),
        ("WINDOW", window.to_string()),
        ("FIFO", (window * 2 + 100_000).to_string()),
        ("FLAGS", if ask.rfc5424 { "syslog-protocol, " } else { "" }.to_owned()),
        ("BUFFER", buffer),
    ]);
    let file = dir.join("syslog-ng.conf");
    fs::write(&file, fill(include_str!("../conf/syslog-ng.conf"), '%', &names))?;
    let mut command = peer(place, "syslog-ng");
    command.args(["-F", "--no-caps", "-f"]).arg(file);
    for (option, name) in [("-R", "persist"), ("-p", "pid"), ("-c", "control")] {
        command.arg(option).arg(dir.join(name));
    }
    command.arg("--module-path").arg(place.peers.join("usr/lib/syslog-ng/3.38"));
    Ok(command)
}

/// This program itself.
fn limit(place: &Place, port: u16, ask: &Ask) -> io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    let (message, event) = ask.exchange;
    command.arg("limit").arg("--pki").arg(&place.pki);
    for (option, value) in [
        ("--port", u64::from(port)),
        ("--sink", u64::from(ask.sink)),
        ("--message-bytes", message),
        ("--event-bytes", event),
    ] {
        command.arg(option).arg(value.to_string());
    }
    Ok(command)
}
