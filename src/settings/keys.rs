//! Every section and key of `conf/soc-connector.toml`, in the file's order.

use super::schema::{Key, Kind, Section};
use super::{EngineKind, Network, Receiver, Settings, StreamFormat, WhenFull};
use std::time::Duration;

const MIB: u64 = 1 << 20;

/// A number is shown in the file in its key's unit; a part below one unit is not.
fn seconds(duration: Duration) -> u64 {
    duration.as_secs()
}

const RECEIVER: &str = "\"host:port\", with its site in front where it has one: \"site/host:port\"";
const ENDPOINT: &str =
    "\"host:port\", the host a DNS name or an IPv4 address, or \"[address]:port\" with an IPv6 address";

/// The whole file.
pub(super) const SECTIONS: &[Section] = &[
    Section {
        name: "connector",
        about: "Who this installation is.",
        keys: &[
            Key {
                name: "id",
                about: "The installation's name in every event. Events are told apart by it for ever:\n\
                    it must be unique, and stay the same as long as the spool does.",
                kind: Kind::Text {
                    allowed: "1 to 64 of the characters A-Z a-z 0-9 . _ -",
                    example: "faculty-of-physics",
                    unset: "none; setup writes a random one",
                    get: |s| Some(s.connector.id.clone()).filter(|id| !id.is_empty()),
                    set: |s, text| {
                        let fits = (1..=64).contains(&text.len())
                            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
                        text.clone_into(&mut s.connector.id);
                        if fits { Ok(()) } else { Err(String::new()) }
                    },
                },
            },
            Key {
                name: "self_reports",
                about: "Whether the connector's own state is reported to the SOC, as events among the others: start and stop,\n\
                    a spool that fills up, losses, a certificate that ends. docs/self-reports.md lists them.",
                kind: Kind::Flag {
                    get: |s| s.connector.self_reports,
                    set: |s, flag| s.connector.self_reports = flag,
                },
            },
        ],
    },
    Section {
        name: "engine",
        about: "The container engine.",
        keys: &[
            Key {
                name: "kind",
                about: "Which engine runs the container (`setup --podman`, `setup --docker`).",
                kind: Kind::OneOf {
                    words: &["podman", "docker"],
                    get: |s| s.engine.kind.name(),
                    set: |s, word| {
                        s.engine.kind =
                            if word == "docker" { EngineKind::Docker } else { EngineKind::Podman };
                    },
                },
            },
            Key {
                name: "sudo",
                about: "Whether the engine is reached through sudo (`setup --sudo`, `setup --no-sudo`).\n\
                        An ordinary user needs it for Docker and for ports below 1024.",
                kind: Kind::Flag { get: |s| s.engine.sudo, set: |s, flag| s.engine.sudo = flag },
            },
            Key {
                name: "network",
                about: "How the container reaches the network. `auto` lets setup choose the mode that keeps\n\
                        the senders' addresses; without them events cannot be traced to their hosts.",
                kind: Kind::OneOf {
                    words: &["auto", "host", "bridge", "slirp4netns"],
                    get: |s| s.engine.network.name(),
                    set: |s, word| {
                        s.engine.network = match word {
                            "host" => Network::Host,
                            "bridge" => Network::Bridge,
                            "slirp4netns" => Network::Slirp4netns,
                            _ => Network::Auto,
                        };
                    },
                },
            },
            Key {
                name: "image",
                about: "The image to pull, in place of the one made from this program (`setup --image`).",
                kind: Kind::Text {
                    allowed: "an image reference, [registry/]name[:tag][@digest], of at most 255 of the characters \
                              A-Z a-z 0-9 . _ - / : @, beginning with a letter or digit",
                    example: "registry.example.org/soc-connector:1.0",
                    unset: "none, the image is made from this program",
                    get: |s| s.engine.image.clone(),
                    set: |s, text| {
                        let fits = (1..=255).contains(&text.len())
                            && text.as_bytes()[0].is_ascii_alphanumeric()
                            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-/:@".contains(&b));
                        s.engine.image = Some(text.to_owned());
                        if fits { Ok(()) } else { Err(String::new()) }
                    },
                },
            },
        ],
    },
    Section {
        name: "listener",
        about: "Where syslog comes in.",
        keys: &[
            Key {
                name: "syslog_port",
                about: "The port that senders use, UDP and TCP (`setup --syslog-port`).",
                kind: Kind::Whole {
                    min: 1,
                    max: 65535,
                    zero: None,
                    because: "a port; below 1024 root or sudo is needed",
                    get: |s| s.listener.syslog_port.into(),
                    set: |s, n| s.listener.syslog_port = n as u16,
                },
            },
            Key {
                name: "addresses",
                about: "The addresses to listen on. \"::\" means every address of this host, IPv6 and IPv4.",
                kind: Kind::List {
                    allowed: "an IPv4 or IPv6 address without a port",
                    max: 16,
                    get: |s| s.listener.addresses.iter().map(ToString::to_string).collect(),
                    clear: |s| s.listener.addresses.clear(),
                    push: |s, text| {
                        s.listener.addresses.push(text.parse().map_err(|_| String::new())?);
                        Ok(())
                    },
                },
            },
            Key {
                name: "max_message_bytes",
                about: "The longest message, in bytes. A longer one is cut there and marked as cut.",
                kind: Kind::Whole {
                    min: 480,
                    max: MIB,
                    zero: None,
                    because: "bytes; RFC 5424 asks for 480 at least, and every open connection may hold one message",
                    get: |s| s.listener.max_message_bytes as u64,
                    set: |s, n| s.listener.max_message_bytes = n as usize,
                },
            },
            Key {
                name: "max_connections",
                about: "TCP connections at the same time; one more is refused.",
                kind: Kind::Whole {
                    min: 1,
                    max: 65536,
                    zero: None,
                    because: "connections; each is an open file, see limits.files",
                    get: |s| s.listener.max_connections as u64,
                    set: |s, n| s.listener.max_connections = n as usize,
                },
            },
            Key {
                name: "idle_timeout_s",
                about: "A TCP connection that is silent for so many seconds is closed.",
                kind: Kind::Whole {
                    min: 1,
                    max: 604_800,
                    zero: Some("never"),
                    because: "seconds; at most a week",
                    get: |s| seconds(s.listener.idle_timeout),
                    set: |s, n| s.listener.idle_timeout = Duration::from_secs(n),
                },
            },
            Key {
                name: "udp_buffer_kib",
                about: "The receive buffer to ask of the kernel for each UDP socket, in KiB. Messages that come in\n\
                        faster than they are read wait there. The kernel may grant less (net.core.rmem_max).",
                kind: Kind::Whole {
                    min: 64,
                    max: 256 * 1024,
                    zero: None,
                    because: "KiB; it must hold at least one datagram of the greatest size",
                    get: |s| s.listener.udp_buffer_bytes as u64 / 1024,
                    set: |s, n| s.listener.udp_buffer_bytes = n as usize * 1024,
                },
            },
        ],
    },
    Section {
        name: "normaliser",
        about: "How messages are read.",
        keys: &[
            Key {
                name: "time_zone",
                about: "The time zone of timestamps that name none.",
                kind: Kind::Text {
                    allowed: super::source::ZONE_ALLOWED,
                    example: "Europe/Berlin",
                    unset: "\"UTC\"",
                    get: |s| Some(s.normaliser.time_zone.name().to_owned()),
                    set: |s, text| {
                        s.normaliser.time_zone = super::source::parse_zone(text)?;
                        Ok(())
                    },
                },
            },
            Key {
                name: "charset",
                about: "The charset of messages that are not UTF-8. With \"utf-8\" each sequence of bytes that is none\n\
                        becomes U+FFFD. Either way the event keeps the bytes in raw_base64.",
                kind: Kind::Text {
                    allowed: super::source::CHARSET_ALLOWED,
                    example: "windows-1252",
                    unset: "\"utf-8\"",
                    get: |s| Some(s.normaliser.charset.name().to_ascii_lowercase()),
                    set: |s, text| {
                        s.normaliser.charset = super::source::parse_charset(text)?;
                        Ok(())
                    },
                },
            },
        ],
    },
    Section {
        name: "spool",
        about: "The crash-safe queue on disk, one for each mode, in spool/.",
        keys: &[
            Key {
                name: "max_mib",
                about: "The largest size of each queue, in MiB; each stop while it is full may add 64 MiB.",
                kind: Kind::Whole {
                    min: 64,
                    max: 16 * 1024 * 1024,
                    zero: None,
                    because: "MiB; less would not outlast a short fault of the network",
                    get: |s| s.spool.max_bytes / MIB,
                    set: |s, n| s.spool.max_bytes = n * MIB,
                },
            },
            Key {
                name: "reserve_mib",
                about: "What the queues leave free on the file system, in MiB; a stop while they are full leaves 16 MiB.",
                kind: Kind::Whole {
                    min: 16,
                    max: 1024 * 1024,
                    zero: None,
                    because: "MiB; state and logs need some room also when a queue is full",
                    get: |s| s.spool.reserve_bytes / MIB,
                    set: |s, n| s.spool.reserve_bytes = n * MIB,
                },
            },
            Key {
                name: "sync_interval_ms",
                about: "The longest time between two syncs to disk while messages come in, in milliseconds.\n\
                        A power failure costs what came in since the last one. Syncs are more frequent\n\
                        while the uplink keeps up: it sends only what is on the disk, and asks for it.",
                kind: Kind::Whole {
                    min: 1,
                    max: 10_000,
                    zero: Some("sync every batch"),
                    because: "milliseconds; more would lose too much at once",
                    get: |s| s.spool.sync_interval.as_millis() as u64,
                    set: |s, n| s.spool.sync_interval = Duration::from_millis(n),
                },
            },
            Key {
                name: "when_full",
                about: "What happens to new messages when the queue is full. `block`: no more are taken in, TCP\n\
                        senders wait, UDP is dropped and counted. `drop-oldest`: the oldest are dropped and counted.",
                kind: Kind::OneOf {
                    words: &["block", "drop-oldest"],
                    get: |s| s.spool.when_full.name(),
                    set: |s, word| {
                        s.spool.when_full =
                            if word == "drop-oldest" { WhenFull::DropOldest } else { WhenFull::Block };
                    },
                },
            },
        ],
    },
    Section {
        name: "uplink",
        about: "Where events go. No HTTPS proxy is used, whatever the environment says.",
        keys: &[
            Key {
                name: "incubator_stream",
                about: "The incubator's stream (stage mode).",
                kind: Kind::Text {
                    allowed: ENDPOINT,
                    example: "",
                    unset: "",
                    get: |s| Some(s.uplink.incubator_stream.to_string()),
                    set: |s, text| {
                        s.uplink.incubator_stream = text.parse()?;
                        Ok(())
                    },
                },
            },
            Key {
                name: "incubator",
                about: "The incubator's confirmations (stage mode).",
                kind: Kind::Text {
                    allowed: ENDPOINT,
                    example: "",
                    unset: "",
                    get: |s| Some(s.uplink.incubator.to_string()),
                    set: |s, text| {
                        s.uplink.incubator = text.parse()?;
                        Ok(())
                    },
                },
            },
            Key {
                name: "concentrators",
                about: "The concentrators (production mode), each with its site in front: \"site/host:port\". Sites are\n\
                        preferred in the order in which they appear here. Within a site each connector has a random\n\
                        order of its own, so that many connectors spread. Without a site, a concentrator is a site by\n\
                        itself: a list without sites is tried in its order.",
                kind: Kind::List {
                    allowed: RECEIVER,
                    max: 16,
                    get: |s| s.uplink.concentrators.iter().map(Receiver::to_string).collect(),
                    clear: |s| s.uplink.concentrators.clear(),
                    push: |s, text| {
                        let receiver: Receiver = text.parse()?;
                        if s.uplink.concentrators.iter().any(|known| known.endpoint == receiver.endpoint) {
                            return Err("it stands there twice".to_owned());
                        }
                        s.uplink.concentrators.push(receiver);
                        Ok(())
                    },
                },
            },
            Key {
                name: "format",
                about: "What is spoken inside TLS. `lumberjack`: Lumberjack v2 with acknowledgements. `ndjson`: one\n\
                        JSON object a line, for receivers that know nothing better. It has no acknowledgements:\n\
                        what is on its way when a connection breaks is lost.",
                kind: Kind::OneOf {
                    words: &["lumberjack", "ndjson"],
                    get: |s| s.uplink.format.name(),
                    set: |s, word| {
                        s.uplink.format =
                            if word == "ndjson" { StreamFormat::Ndjson } else { StreamFormat::Lumberjack };
                    },
                },
            },
            Key {
                name: "compression",
                about: "The zlib level of compressed frames: 1 is fast, 9 is small. Level 1 sends about\n\
                        a tenth of the bytes, at about twice the processor time for each event.",
                kind: Kind::Whole {
                    min: 1,
                    max: 9,
                    zero: Some("not compressed"),
                    because: "zlib's levels",
                    get: |s| s.uplink.compression.into(),
                    set: |s, n| s.uplink.compression = n as u8,
                },
            },
            Key {
                name: "window_events",
                about: "The most events that are sent and acknowledged as one window.",
                kind: Kind::Whole {
                    min: 1,
                    max: 65536,
                    zero: None,
                    because: "events; receivers keep a whole window in memory",
                    get: |s| s.uplink.window_events as u64,
                    set: |s, n| s.uplink.window_events = n as usize,
                },
            },
            Key {
                name: "windows_in_flight",
                about: "The most windows that are sent and not yet acknowledged.",
                kind: Kind::Whole {
                    min: 1,
                    max: 64,
                    zero: None,
                    because: "windows; all of them are sent again after a broken connection",
                    get: |s| s.uplink.windows_in_flight as u64,
                    set: |s, n| s.uplink.windows_in_flight = n as usize,
                },
            },
            Key {
                name: "connect_timeout_s",
                about: "The longest time for each of name resolution, connecting and TLS handshake, in seconds.",
                kind: Kind::Whole {
                    min: 1,
                    max: 120,
                    zero: None,
                    because: "seconds; the kernel itself gives a connection up after about two minutes",
                    get: |s| seconds(s.uplink.connect_timeout),
                    set: |s, n| s.uplink.connect_timeout = Duration::from_secs(n),
                },
            },
            Key {
                name: "ack_timeout_s",
                about: "A receiver that gives no sign of life for so many seconds while events wait for it is left, and\n\
                        one that acknowledges nothing and takes nothing in for five times as long.",
                kind: Kind::Whole {
                    min: 5,
                    max: 3600,
                    zero: None,
                    because: "seconds; a busy receiver needs some",
                    get: |s| seconds(s.uplink.ack_timeout),
                    set: |s, n| s.uplink.ack_timeout = Duration::from_secs(n),
                },
            },
            Key {
                name: "max_backoff_s",
                about: "The longest wait before a receiver that failed is tried again, in seconds. The first wait is a\n\
                        quarter of a second at most, each next one twice the last. One that refuses the certificate\n\
                        is tried after two minutes, or at once when the certificate was replaced.",
                kind: Kind::Whole {
                    min: 1,
                    max: 3600,
                    zero: None,
                    because: "seconds; after an hour without a try nobody would know that the receiver is back",
                    get: |s| seconds(s.uplink.max_backoff),
                    set: |s, n| s.uplink.max_backoff = Duration::from_secs(n),
                },
            },
            Key {
                name: "return_after_s",
                about: "A site that was left is gone back to when one of its receivers was healthy for so many seconds.",
                kind: Kind::Whole {
                    min: 1,
                    max: 86400,
                    zero: None,
                    because: "seconds; a site that comes and goes is not worth a change each time",
                    get: |s| seconds(s.uplink.return_after),
                    set: |s, n| s.uplink.return_after = Duration::from_secs(n),
                },
            },
            Key {
                name: "refuse_after_s",
                about: "An event that receivers do not take, while they take others, is set aside after so many seconds.",
                kind: Kind::Whole {
                    min: 1,
                    max: 86400,
                    zero: None,
                    because: "seconds; until then it blocks those behind it",
                    get: |s| seconds(s.uplink.refuse_after),
                    set: |s, n| s.uplink.refuse_after = Duration::from_secs(n),
                },
            },
        ],
    },
    Section {
        name: "metrics",
        about: "Figures for a monitoring system, in Prometheus' text format.",
        keys: &[Key {
            name: "port",
            about: "Where they are served: http://127.0.0.1:PORT/metrics, for this host alone. In a container whose\n\
                    network is not the host's they cannot be reached so; `soc-connector metrics` prints them anywhere.",
            kind: Kind::Whole {
                min: 1024,
                max: 65535,
                zero: Some("not served"),
                because: "a TCP port that needs no rights",
                get: |s| s.metrics.port.into(),
                set: |s, n| s.metrics.port = n as u16,
            },
        }],
    },
    Section {
        name: "tls",
        about: "Certificates. The client certificate and its key are *-cert.pem and *-key.pem in the installation\n\
                directory.",
        keys: &[
            Key {
                name: "ca",
                about: "A PEM file with the CA certificates that servers are checked against (`setup --ca`).",
                kind: Kind::Text {
                    allowed: "the path of a file, absolute or relative to the installation directory",
                    example: "receivers-ca.pem",
                    unset: "none, the system's own CA certificates are used",
                    get: |s| s.tls.ca.as_ref().map(|path| path.to_string_lossy().into_owned()),
                    set: |s, text| {
                        s.tls.ca = Some(text.into());
                        // Neither can be part of a path that a system call takes.
                        if text.is_empty() || text.contains('\0') { Err(String::new()) } else { Ok(()) }
                    },
                },
            },
            Key {
                name: "issuer",
                about: "The common name of the CA that must have issued the client certificate.",
                kind: Kind::Text {
                    allowed: "1 to 64 characters, no control characters (X.520 allows no longer common name)",
                    example: "",
                    unset: "",
                    get: |s| Some(s.tls.issuer.clone()),
                    set: |s, text| {
                        let fits =
                            (1..=64).contains(&text.chars().count()) && !text.chars().any(char::is_control);
                        text.clone_into(&mut s.tls.issuer);
                        if fits { Ok(()) } else { Err(String::new()) }
                    },
                },
            },
        ],
    },
    Section {
        name: "limits",
        about: "What the container may use.",
        keys: &[
            Key {
                name: "memory_mib",
                about: "Memory, in MiB.",
                kind: Kind::Whole {
                    min: 64,
                    max: 1024 * 1024,
                    zero: None,
                    because: "MiB; buffers and connections do not fit into less",
                    get: |s| s.limits.memory_bytes / MIB,
                    set: |s, n| s.limits.memory_bytes = n * MIB,
                },
            },
            Key {
                name: "pids",
                about: "Processes and threads.",
                kind: Kind::Whole {
                    min: 32,
                    max: 32768,
                    zero: None,
                    because: "threads; there are a few for each processor",
                    get: |s| s.limits.pids.into(),
                    set: |s, n| s.limits.pids = n as u32,
                },
            },
            Key {
                name: "files",
                about: "Open files. Every TCP connection of a sender is one.",
                kind: Kind::Whole {
                    min: 512,
                    max: 1024 * 1024,
                    zero: None,
                    because: "files; 256 more than listener.max_connections at least, for everything else",
                    get: |s| s.limits.files,
                    set: |s, n| s.limits.files = n,
                },
            },
        ],
    },
];

impl EngineKind {
    /// The word in the file and the engine's program.
    pub fn name(self) -> &'static str {
        match self {
            Self::Podman => "podman",
            Self::Docker => "docker",
        }
    }
}

impl Network {
    /// The word in the file and in the state.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Host => "host",
            Self::Bridge => "bridge",
            Self::Slirp4netns => "slirp4netns",
        }
    }
}

impl WhenFull {
    /// The word in the file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::DropOldest => "drop-oldest",
        }
    }
}

impl StreamFormat {
    /// The word in the file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Lumberjack => "lumberjack",
            Self::Ndjson => "ndjson",
        }
    }
}

/// Descriptors beside the senders' connections: listening sockets, spool segments, uplink, logs, the run-time socket.
pub(super) const FILES_BESIDE_CONNECTIONS: u64 = 256;

/// Rules between settings: section and key to blame, and what is wrong.
pub(super) fn contradictions(settings: &Settings) -> Vec<(&'static str, &'static str, String)> {
    let mut found = Vec::new();
    let connections = settings.listener.max_connections as u64;
    if settings.limits.files < connections + FILES_BESIDE_CONNECTIONS {
        found.push((
            "limits",
            "files",
            format!(
                "{} does not suffice for listener.max_connections = {connections}; \
                 allowed: {} or more, or fewer connections",
                settings.limits.files,
                connections + FILES_BESIDE_CONNECTIONS
            ),
        ));
    }
    found
}
