//! Real rsyslog and syslog-ng, asked what they read in one message after another.
//!
//! Each runs on a clock that libfaketime sets to the time of reception, for the year of a timestamp that names none comes
//! from the clock. A message goes to them as one datagram, so that any bytes can be in it, and a mark behind it: what
//! comes out before the mark is what became of the message, be it one event, several or none.

use crate::common::{PATIENCE, free_port};
use crate::reading::{Answer, When};
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use serde_json::Value;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The address that messages are sent from, so that it is seen where a peer takes it for the host.
const SENDER: &str = "127.0.0.77";

/// The program that marks are from.
const MARK: &str = "differentialmark";

/// Who reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    Rsyslog,
    SyslogNg,
}

impl Program {
    /// As the list of differences calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rsyslog => "rsyslog",
            Self::SyslogNg => "syslog-ng",
        }
    }
}

/// Where `benches/peers` put them.
fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench-peers")
}

/// The clock of both.
const FAKETIME: &str = "usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";

/// Whether both are there; says loudly when they are not. Under CI they are a must.
pub fn are_there() -> bool {
    let files = ["usr/sbin/rsyslogd", "usr/sbin/syslog-ng", FAKETIME];
    let Some(missing) = files.iter().find(|file| !directory().join(file).exists()) else { return true };
    let say =
        format!("no {missing} in {} (tests/run as root on Debian puts it there)", directory().display());
    assert!(
        std::env::var_os("CI").is_none(),
        "the comparison with rsyslog and syslog-ng is a must under CI: {say}"
    );
    eprintln!("SKIPPED the comparison with rsyslog and syslog-ng: {say}");
    false
}

/// A running peer; ended when dropped.
pub struct Peer {
    child: Child,
    events: BufReader<TcpStream>,
    socket: UdpSocket,
    /// For messages of RFC 3164 and all others, and for those of RFC 5424: syslog-ng is told by port which they are.
    ports: [u16; 2],
    received: DateTime<Utc>,
    marks: u32,
    _dir: tempfile::TempDir,
}

impl Peer {
    /// Starts it at the time of reception `received`, in `zone`, and waits until it answers.
    pub fn start(program: Program, received: &str, zone: Tz) -> Self {
        let received = DateTime::parse_from_rfc3339(received).unwrap().to_utc();
        let dir = tempfile::tempdir().unwrap();
        let sink = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let sink_port = sink.local_addr().unwrap().port();
        let ports = [free_port(), free_port()];
        let mut command = match program {
            Program::Rsyslog => rsyslog(dir.path(), ports, sink_port),
            Program::SyslogNg => syslog_ng(dir.path(), ports, sink_port),
        };
        let peers = directory();
        let library = |path: &str| peers.join(path).display().to_string();
        let libraries =
            ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu", "usr/lib/syslog-ng"].map(library).join(":");
        let output = fs::File::create(dir.path().join("output")).unwrap();
        let mut child = command
            .env("LD_LIBRARY_PATH", libraries)
            .env("LD_PRELOAD", library(FAKETIME))
            .env("FAKETIME", received.with_timezone(&zone).format("@%F %T").to_string())
            // Waits and timers stay real.
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .env("FAKETIME_DONT_RESET", "1")
            // With libfaketime the timers of this method of waiting are refused.
            .env("IV_EXCLUDE_POLL_METHOD", "epoll-timerfd")
            .env("TZ", zone.name())
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .unwrap();
        let socket = UdpSocket::bind((SENDER, 0)).unwrap();
        // Neither listens the moment it starts, and neither connects before it has something to say.
        sink.set_nonblocking(true).unwrap();
        let begin = Instant::now();
        let stream = loop {
            for port in ports {
                let _ = socket.send_to(b"<13>Nov 22 03:00:00 h begin: x", (Ipv4Addr::LOCALHOST, port));
            }
            if let Ok((stream, _)) = sink.accept() {
                break stream;
            }
            let said = || fs::read_to_string(dir.path().join("output")).unwrap_or_default();
            assert!(child.try_wait().unwrap().is_none(), "{} does not start:\n{}", program.name(), said());
            assert!(begin.elapsed() < PATIENCE, "{} says nothing:\n{}", program.name(), said());
            std::thread::sleep(Duration::from_millis(20));
        };
        stream.set_nonblocking(false).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut peer =
            Self { child, events: BufReader::new(stream), socket, ports, received, marks: 0, _dir: dir };
        for port in ports {
            peer.until_mark(port);
        }
        peer
    }

    /// What it makes of one message.
    pub fn read(&mut self, raw: &[u8]) -> Vec<Answer> {
        let head = raw.strip_prefix(b"<").unwrap_or_default();
        let digits = head.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let port = self.ports[usize::from(head[digits..].starts_with(b">1 "))];
        self.socket.send_to(raw, (Ipv4Addr::LOCALHOST, port)).unwrap();
        self.until_mark(port).iter().map(|event| self.answer(event)).collect()
    }

    /// Sends a mark to `port` and returns the events that come before it.
    fn until_mark(&mut self, port: u16) -> Vec<Value> {
        self.marks += 1;
        let body = format!("mark {}", self.marks);
        let mark = if port == self.ports[1] {
            format!("<13>1 2026-11-22T03:00:00Z h {MARK} - - - {body}")
        } else {
            format!("<13>Nov 22 03:00:00 h {MARK}: {body}")
        };
        self.socket.send_to(mark.as_bytes(), (Ipv4Addr::LOCALHOST, port)).unwrap();
        let mut events = Vec::new();
        let mut line = Vec::new();
        loop {
            line.clear();
            self.events.read_until(b'\n', &mut line).unwrap();
            assert!(!line.is_empty(), "the peer closed its connection");
            let text = String::from_utf8_lossy(&line);
            let event: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
            if event["app"] == MARK {
                if event["text"].as_str().is_some_and(|text| text.trim() == body) {
                    return events;
                }
            } else if event["app"] != "begin" {
                events.push(event);
            }
        }
    }

    fn answer(&self, event: &Value) -> Answer {
        let field = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
        let none = |text: String| if text == "-" { String::new() } else { text };
        let host = field("host");
        Answer {
            host: if host == SENDER { None } else { Some(host) },
            when: When::new(&field("time"), self.received),
            app: none(field("app")),
            process: none(field("pid")),
            priority: field("pri"),
            text: field("text"),
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = self.events.read_to_end(&mut Vec::new());
    }
}

fn rsyslog(dir: &Path, ports: [u16; 2], sink: u16) -> Command {
    let [first, second] = ports;
    let file = dir.join("rsyslog.conf");
    // Control characters are escaped by default; how a text is written is not what is compared.
    let config = format!(
        r#"global(workDirectory="{dir}" maxMessageSize="64k" net.enableDNS="off"
    parser.escapeControlCharactersOnReceive="off")
module(load="imudp")
input(type="imudp" address="127.0.0.1" port="{first}")
input(type="imudp" address="127.0.0.1" port="{second}")
template(name="event" type="list" option.jsonf="on") {{
    property(outname="host" name="hostname" format="jsonf")
    property(outname="time" name="timereported" dateFormat="rfc3339" format="jsonf")
    property(outname="app" name="app-name" format="jsonf")
    property(outname="pid" name="procid" format="jsonf")
    property(outname="pri" name="pri" format="jsonf")
    property(outname="text" name="msg" format="jsonf")
}}
action(type="omfwd" target="127.0.0.1" port="{sink}" protocol="tcp" template="event"
    action.resumeRetryCount="-1" action.resumeInterval="1")
"#,
        dir = dir.display()
    );
    fs::write(&file, config).unwrap();
    let mut command = Command::new(directory().join("usr/sbin/rsyslogd"));
    command.args(["-n", "-C", "-f"]).arg(file).arg("-i").arg(dir.join("pid"));
    command.arg("-M").arg(directory().join("usr/lib/x86_64-linux-gnu/rsyslog"));
    command
}

fn syslog_ng(dir: &Path, ports: [u16; 2], sink: u16) -> Command {
    let [first, second] = ports;
    let file = dir.join("syslog-ng.conf");
    let config = format!(
        r#"@version: 3.38
options {{ stats-freq(0); keep-hostname(yes); use-dns(no); log-msg-size(65536); frac-digits(6); time-reopen(1); }};
source s_all {{
    network(ip("127.0.0.1") port({first}) transport("udp"));
    network(ip("127.0.0.1") port({second}) transport("udp") flags(syslog-protocol));
}};
destination d_sink {{
    network("127.0.0.1" port({sink}) transport("tcp")
        template("$(format-json host=$HOST time=$S_ISODATE app=$PROGRAM pid=$PID pri=$PRI text=$MESSAGE)\n"));
}};
log {{ source(s_all); destination(d_sink); flags(flow-control); }};
"#
    );
    fs::write(&file, config).unwrap();
    let mut command = Command::new(directory().join("usr/sbin/syslog-ng"));
    command.args(["-F", "--no-caps", "-f"]).arg(file);
    for (option, name) in [("-R", "persist"), ("-p", "pid"), ("-c", "control")] {
        command.arg(option).arg(dir.join(name));
    }
    command.arg("--module-path").arg(directory().join("usr/lib/syslog-ng/3.38"));
    command
}
