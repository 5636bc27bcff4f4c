//! `demo`: incubator and connector in this process, with a throw-away PKI. No engine, no root, no files to prepare.

use super::sample::{Waiting, print_event};
use super::{block_on, submit};
use crate::clock::{Clock, SystemClock};
use crate::connector::{Config, Connector};
use crate::console::Console;
use crate::error::{Code, Error, Result};
use crate::incubator::client::Confirmations;
use crate::incubator::{self, Incubator, store::Bounds};
use crate::pki::{Pki, Validity};
use crate::settings::{Endpoint, Settings};
use crate::state::Mode;
use crate::tls::{self, Identity, Roots};
use std::fs::DirBuilder;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

/// What can be asked for.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Port for syslog; where it is taken and none was asked for, any free one
    #[arg(long, value_name = "PORT")]
    pub syslog_port: Option<u16>,
    /// End after so many confirmed events, instead of at Ctrl-C
    #[arg(long, value_name = "EVENTS")]
    pub count: Option<u64>,
}

/// How long one question for confirmations waits; Ctrl-C does not wait for it.
const WAIT: Duration = Duration::from_secs(10);

/// Messages as different devices send them; `{…}` is filled in with the present time.
const MESSAGES: [(&str, &str); 6] = [
    (
        "a web server, RFC 5424",
        "<134>1 {5424} web01.example.org nginx 1873 access [req@32473 id=\"7f3a\"] GET /login 200",
    ),
    (
        "sshd through a classic syslogd, RFC 3164",
        "<38>{3164} gw-1 sshd[4711]: Failed password for root from 203.0.113.9 port 52144 ssh2",
    ),
    (
        "a Cisco ASA firewall",
        "<166>{cisco} fw-edge : %ASA-6-302013: Built outbound TCP connection 447235 for outside:198.51.100.7/443",
    ),
    (
        "a Cisco IOS switch, no host name",
        "<189>237: {3164}.123 UTC: %LINEPROTO-5-UPDOWN: Line protocol on Interface Gi1/0/7, changed state to up",
    ),
    (
        "a FortiGate, key=value",
        "<189>date={date} time={time} devname=\"fg-100\" devid=\"FG100E\" logid=\"0000000013\" type=\"traffic\" action=\"deny\"",
    ),
    (
        "a sensor that speaks CEF",
        "<132>CEF:0|Example|Sensor|1.0|100|Port scan detected|7|src=203.0.113.9 dvchost=sensor-3 msg=132 ports",
    ),
];

/// Runs the demo.
pub fn exec(console: Console, options: &Options) -> Result<()> {
    let dir = Scratch::new()?;
    block_on(run(console, options, &dir.0))?
}

async fn run(console: Console, options: &Options, dir: &Path) -> Result<()> {
    let mut interrupt =
        signal(SignalKind::interrupt()).map_err(|e| internal("signals cannot be received", e))?;
    let mut terminate =
        signal(SignalKind::terminate()).map_err(|e| internal("signals cannot be received", e))?;
    let now = SystemClock.now();
    let pki = Pki::open_or_create(dir, now)?;
    let validity = Validity::days(now, 1);
    let server = pki.server("server", &["localhost".to_owned(), "127.0.0.1".to_owned()], validity)?;
    let client = pki.client("demo", validity)?;
    console.info("made a throw-away CA and certificates for both sides");

    let roots = Roots::from_file(&pki.ca())?;
    let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
    let incubator = Incubator::bind(incubator::Config {
        stream: loopback,
        confirmations: loopback,
        tls: tls::server_config(&Identity::load(&server.certificate, &server.key)?, &roots)?,
        bounds: Bounds::default(),
    })
    .await?;
    let endpoint = |address: SocketAddr| Endpoint { host: "localhost".to_owned(), port: address.port() };
    let (stream, confirmations) = (incubator.stream_addr(), incubator.confirmations_addr());
    let (end_incubator, ended) = oneshot::channel::<()>();
    let incubator = tokio::spawn(incubator.run(async {
        // A dropped sender ends it too.
        let _ = ended.await;
    }));
    console.info(format_args!(
        "SOC (an incubator of our own): stream on {stream}, confirmations on {confirmations}"
    ));

    let client_config = tls::client_config(&Identity::load(&client.certificate, &client.key)?, &roots)?;
    let mut settings = Settings::default();
    "demo".clone_into(&mut settings.connector.id);
    settings.uplink.incubator_stream = endpoint(stream);
    settings.spool.reserve_bytes = 0;
    // The port is an installation's on the same host.
    settings.metrics.port = 0;
    // A visitor sees what was sent, and nothing else.
    settings.connector.self_reports = false;
    let start = |port: u16| {
        let client_config = Arc::clone(&client_config);
        let mut settings = settings.clone();
        settings.listener.syslog_port = port;
        Connector::start(Config {
            settings,
            mode: Mode::Stage,
            port,
            spool_dir: dir.join("spool"),
            run_dir: dir.to_owned(),
            tls: Arc::new(move || Ok(Arc::clone(&client_config))),
        })
    };
    let connector = match options.syslog_port {
        Some(port) => start(port)?,
        None => start(settings.listener.syslog_port).or_else(|error| {
            if error.code() != Code::PortUnavailable {
                return Err(error);
            }
            console.warn(format_args!(
                "port {} is taken, so any free one is used",
                settings.listener.syslog_port
            ));
            start(0)
        })?,
    };
    let port = connector.port();
    console.info(format_args!("connector: syslog on port {port}, UDP and TCP"));

    let mut view = Confirmations::new(endpoint(confirmations), client_config);
    let mut cursor = view.cursor_now().await?;
    for (what, message) in MESSAGES {
        console.info(format_args!("sending what {what} would send"));
        let target = SocketAddr::from(([127, 0, 0, 1], port));
        submit::tcp(target, &filled_in(message)).await.map_err(|e| internal("no message can be sent", e))?;
    }
    console.info(format_args!(
        "your turn, from another terminal: logger --port {port} --server localhost --tcp \"This is my very important log message!\""
    ));
    console.info("every event that the SOC confirms appears below; Ctrl-C ends the demo");

    let mut confirmed = 0;
    let mut line = Waiting::begin(console);
    while options.count.is_none_or(|count| confirmed < count) {
        let (next, events) = tokio::select! {
            answer = view.next(&cursor, WAIT) => answer?,
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
        };
        cursor = next;
        if events.is_empty() {
            line.dot();
            continue;
        }
        line.end();
        for event in &events {
            print_event(console, event);
        }
        confirmed += events.len() as u64;
        line = Waiting::begin(console);
    }
    line.end();
    connector.stop().await?;
    drop(end_incubator);
    drop(incubator.await);
    console
        .ok(format_args!("demo ended: {confirmed} events confirmed; nothing of it is left on this machine"));
    Ok(())
}

fn filled_in(message: &str) -> String {
    let now = chrono::Utc::now();
    message
        .replace("{5424}", &now.to_rfc3339_opts(chrono::SecondsFormat::Micros, true))
        .replace("{3164}", &now.format("%b %e %H:%M:%S").to_string())
        .replace("{cisco}", &now.format("%b %d %Y %H:%M:%S").to_string())
        .replace("{date}", &now.format("%Y-%m-%d").to_string())
        .replace("{time}", &now.format("%H:%M:%S").to_string())
}

fn internal(what: &str, error: std::io::Error) -> Error {
    Error::new(Code::Internal, what).caused_by(error)
}

/// A directory of the demo's own that goes with it.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self> {
        let mut random = [0; 8];
        aws_lc_rs::rand::fill(&mut random).expect("the kernel's random numbers are always there");
        let name = format!("soc-connector-demo-{:016x}", u64::from_le_bytes(random));
        let path = std::env::temp_dir().join(name);
        DirBuilder::new().mode(0o700).create(&path).map_err(|error| {
            Error::new(Code::WriteFailed, format!("{} cannot be created", path.display())).caused_by(error)
        })?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed is in the temporary directory, and holds nothing of worth.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
