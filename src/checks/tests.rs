//! The checks against a real directory, a throw-away PKI and real servers on loopback.

use super::*;
use crate::clock::{SystemClock, UnixMicros};
use crate::pki::{Pki, Validity};
use crate::settings::Endpoint;
use crate::tls::{Facts, server_config};
use rustls::ServerConfig;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket};
use tokio_rustls::TlsAcceptor;

/// Bound on each step; only the test of the silent server waits for it.
const BOUND: Duration = Duration::from_secs(10);

/// A PKI in one directory, an installation in another.
struct World {
    pki_dir: TempDir,
    pki: Pki,
    install: TempDir,
    settings: Settings,
}

impl World {
    fn new() -> Self {
        let (pki_dir, install) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let pki = Pki::open_or_create(pki_dir.path(), SystemClock.now()).unwrap();
        let mut settings = Settings::default();
        // Nothing listens there, and with sudo anyone may.
        settings.listener.syslog_port = 1;
        settings.engine.sudo = true;
        settings.listener.addresses = vec!["127.0.0.1".parse().unwrap()];
        settings.spool.max_bytes = 1 << 20;
        settings.spool.reserve_bytes = 1 << 20;
        settings.uplink.connect_timeout = BOUND;
        settings.tls.ca = Some(pki.ca());
        Self { pki_dir, pki, install, settings }
    }

    /// The same with a client's certificate in the installation directory.
    fn with_client() -> Self {
        let world = Self::new();
        world.hand_over(&world.pki.client("client", days(90)).unwrap());
        world
    }

    fn hand_over(&self, pair: &Pair) {
        fs::copy(&pair.certificate, self.path("client-cert.pem")).unwrap();
        fs::copy(&pair.key, self.path("client-key.pem")).unwrap();
        fs::set_permissions(self.path("client-key.pem"), fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.install.path().join(name)
    }

    fn context(&self) -> Context<'_> {
        Context {
            dir: self.install.path(),
            settings: &self.settings,
            mode: Mode::Stage,
            proc: Path::new("/proc"),
            clock: &SystemClock,
            uid: rustix::process::geteuid().as_raw(),
            own_port: None,
        }
    }

    /// What a server of this PKI needs.
    fn server(&self, name: &str, validity: Validity) -> Arc<ServerConfig> {
        let pair = self.pki.server("server", &[name.to_owned()], validity).unwrap();
        let identity = Identity::load(&pair.certificate, &pair.key).unwrap();
        server_config(&identity, &Roots::from_file(&self.pki.ca()).unwrap()).unwrap()
    }

    fn certificate_codes(&self) -> Vec<(&'static str, Option<Code>)> {
        let (_, _, outcomes) = certificate::checks(&self.context());
        outcomes.into_iter().map(|(check, outcome)| (check, Finding { check, outcome }.code())).collect()
    }
}

fn days(days: u32) -> Validity {
    Validity::days(SystemClock.now(), days)
}

/// Serves TLS on loopback; every request gets an answer with this date.
async fn serve(config: Arc<ServerConfig>, date: String) -> Endpoint {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let acceptor = TlsAcceptor::from(config);
        while let Ok((tcp, _)) = listener.accept().await {
            let (acceptor, date) = (acceptor.clone(), date.clone());
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(tcp).await else { return };
                if stream.read(&mut [0; 4096]).await.is_ok_and(|read| read > 0) {
                    let answer = format!("HTTP/1.1 200 OK\r\n{date}content-length: 0\r\n\r\n");
                    stream.write_all(answer.as_bytes()).await.unwrap();
                }
                let _ = stream.read(&mut [0; 1]).await;
            });
        }
    });
    Endpoint { host: "127.0.0.1".to_owned(), port }
}

fn date(seconds_from_now: i64) -> String {
    let time = chrono::DateTime::from_timestamp(SystemClock.now().seconds() + seconds_from_now, 0).unwrap();
    format!("date: {}\r\n", time.format("%a, %d %b %Y %H:%M:%S GMT"))
}

/// An endpoint at which nothing listens, as long as the socket that holds its port lives.
fn nobody() -> (Endpoint, TcpSocket) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let port = socket.local_addr().unwrap().port();
    (Endpoint { host: "127.0.0.1".to_owned(), port }, socket)
}

async fn run(context: &Context<'_>) -> (Report, Vec<String>) {
    let mut lines = Vec::new();
    let report = run_all(context, &mut |finding| lines.push(finding.to_string())).await;
    (report, lines)
}

/// The outcomes of the endpoint's checks for one that is given for all.
async fn endpoint_lines(world: &mut World, endpoint: &Endpoint, mode: Mode) -> Vec<String> {
    let uplink = &mut world.settings.uplink;
    (uplink.incubator_stream, uplink.incubator) = (endpoint.clone(), endpoint.clone());
    uplink.concentrators = vec![endpoint.clone().into()];
    let context = Context { mode, ..world.context() };
    let (_, identity, _) = certificate::checks(&context);
    let roots = Roots::load(world.settings.tls.ca_file(context.dir).as_deref()).unwrap();
    let client = endpoint::Client::new(identity.as_ref(), Some(&roots));
    let mut lines = Vec::new();
    endpoint::checks(&context, &client, &mut |check, outcome| {
        lines.push(Finding { check, outcome }.to_string());
    })
    .await;
    lines
}

#[tokio::test]
async fn where_all_is_well_every_line_says_so() {
    let mut world = World::with_client();
    let endpoint = serve(world.server("127.0.0.1", days(1)), date(0)).await;
    let uplink = &mut world.settings.uplink;
    (uplink.incubator_stream, uplink.incubator) = (endpoint.clone(), endpoint.clone());
    uplink.concentrators = vec![endpoint.clone().into(); 6];

    let (report, lines) = run(&world.context()).await;
    assert!(lines.iter().all(|line| line.starts_with("OK - ") && line.ends_with('.')), "{lines:#?}");
    assert_eq!((report.failures(), report.warnings()), (0, 0));
    let checks: Vec<_> = report.findings.iter().map(|finding| finding.check).collect();
    let mut expected = vec![
        "directory",
        "directory owner",
        "disk space",
        "certificate files",
        "key protection",
        "certificate and key",
        "certificate validity",
        "certificate use",
        "certificate issuer",
        "port privilege",
        "UDP port",
        "TCP port",
        "server CAs",
        "incubator",
        "incubator",
    ];
    expected.extend(["concentrator"; 6]);
    expected.push("clock");
    assert_eq!(checks, expected);
    assert!(lines[13].contains("incubator, stream") && lines[13].contains("TLSv1_3"), "{}", lines[13]);
    assert!(report.identity.is_some());
    assert_eq!(report.files.unwrap().key, world.path("client-key.pem"));
}

#[tokio::test]
async fn a_failed_check_keeps_no_other_from_running() {
    let mut world = World::new();
    let (endpoint, _held) = nobody();
    world.settings.uplink.incubator_stream = endpoint.clone();
    world.settings.uplink.incubator = serve(world.server("127.0.0.1", days(1)), date(0)).await;
    world.settings.uplink.concentrators = vec![endpoint.into()];
    world.settings.tls.ca = Some("missing.pem".into());
    let busy = TcpListener::bind("127.0.0.1:0").await.unwrap();
    world.settings.listener.syslog_port = busy.local_addr().unwrap().port();

    let (report, lines) = run(&world.context()).await;
    let codes: Vec<_> = report.findings.iter().filter(|f| f.is_failure()).filter_map(Finding::code).collect();
    let expected =
        [Code::CertificateMissing, Code::PortBusy, Code::CertificateUnreadable, Code::ConnectFailed];
    assert_eq!(codes, expected, "{lines:#?}");
    // Without a certificate there is no handshake, but the firewall's part is seen.
    assert!(
        lines
            .iter()
            .any(|line| line.starts_with("INFO - incubator not checked") && line.contains("is reachable at"))
    );
    assert!(lines.iter().any(|line| line.starts_with("WARN - E402")), "the concentrator: {lines:#?}");
    assert!(lines.last().unwrap().starts_with("INFO - clock not checked"));
}

#[test]
fn exactly_one_pair_of_files_is_taken() {
    let world = World::new();
    let ca = world.pki.ca();
    let find = |ca: Option<&Path>| certificate::find(world.install.path(), ca);
    assert_eq!(find(None).unwrap_err().code(), Code::CertificateMissing);
    fs::write(world.path("a-cert.pem"), "").unwrap();
    let error = find(None).unwrap_err();
    assert_eq!(error.code(), Code::CertificateMissing);
    assert!(error.what().contains("*-key.pem"), "{error}");
    fs::write(world.path("a-key.pem"), "").unwrap();
    fs::create_dir(world.path("old-cert.pem")).unwrap();
    fs::write(world.path("other.pem"), "").unwrap();
    assert_eq!(find(Some(&ca)).unwrap().certificate, world.path("a-cert.pem"));

    // A CA's file may have a name of that kind, as long as the settings say what it is.
    let ca = world.path("root-cert.pem");
    fs::write(&ca, "").unwrap();
    assert!(find(Some(&ca)).is_ok());
    let error = find(None).unwrap_err();
    assert_eq!(error.code(), Code::CertificateAmbiguous);
    assert!(error.what().contains("a-cert.pem, root-cert.pem"), "{error}");
    fs::remove_file(&ca).unwrap();
    fs::write(world.path("b-key.pem"), "").unwrap();
    assert!(find(None).unwrap_err().what().contains("a-key.pem, b-key.pem"));

    let gone = world.path("gone");
    assert_eq!(certificate::find(&gone, None).unwrap_err().code(), Code::DirUnusable);
}

#[test]
fn what_is_wrong_with_certificate_or_key_has_its_own_code() {
    let find_code = |world: &World| {
        world
            .certificate_codes()
            .into_iter()
            .filter_map(|(check, code)| Some((check, code?)))
            .collect::<Vec<_>>()
    };
    let now = SystemClock.now();
    let hour = 3_600_000_000;
    let not_yet =
        Validity { not_before: UnixMicros(now.0 + hour), not_after: UnixMicros(now.0 + 999 * hour) };
    let cases = [
        (days(90), None),
        (days(31), None),
        (days(29), Some(Code::CertificateEndsSoon)),
        (Validity::expired(now), Some(Code::CertificateExpired)),
        (not_yet, Some(Code::CertificateNotYetValid)),
    ];
    for (validity, code) in cases {
        let world = World::new();
        world.hand_over(&world.pki.client("client", validity).unwrap());
        let expected: Vec<_> = code.map(|code| ("certificate validity", code)).into_iter().collect();
        assert_eq!(find_code(&world), expected);
    }

    let world = World::new();
    world.hand_over(&world.pki.server("server", &["a".to_owned()], days(90)).unwrap());
    assert_eq!(find_code(&world), [("certificate use", Code::CertificateNotForClients)]);

    let world = World::new();
    let ca_key = world.pki_dir.path().join("ca-key.pem");
    world.hand_over(&Pair { certificate: world.pki.ca(), key: ca_key });
    assert_eq!(find_code(&world), [("certificate use", Code::CertificateNotForClients)]);

    let mut world = World::with_client();
    world.settings.tls.issuer = "Another CA".to_owned();
    assert_eq!(find_code(&world), [("certificate issuer", Code::CertificateWrongIssuer)]);

    let world = World::with_client();
    let other = world.pki.client("other", days(90)).unwrap();
    fs::copy(other.key, world.path("client-key.pem")).unwrap();
    assert_eq!(find_code(&world), [("certificate and key", Code::KeyMismatch)]);

    fs::write(world.path("client-cert.pem"), "no PEM").unwrap();
    assert_eq!(find_code(&world), [("certificate and key", Code::CertificateInvalid)]);
}

#[test]
fn a_key_that_others_can_read_is_refused_with_the_command_to_run() {
    let world = World::with_client();
    let key = world.path("client-key.pem");
    for mode in [0o640, 0o604, 0o610, 0o602, 0o644] {
        fs::set_permissions(&key, fs::Permissions::from_mode(mode)).unwrap();
        let error = certificate::protection(&key).unwrap_err();
        assert_eq!(error.code(), Code::KeyExposed);
        assert!(
            error.what().contains(&format!("mode 0{mode:o}; run `chmod 600 {}`", key.display())),
            "{error}"
        );
    }
    for mode in [0o600, 0o400] {
        fs::set_permissions(&key, fs::Permissions::from_mode(mode)).unwrap();
        assert!(certificate::protection(&key).is_ok());
    }
    assert_eq!(certificate::protection(&world.path("none")).unwrap_err().code(), Code::KeyUnreadable);
}

#[test]
fn a_certificate_is_valid_from_its_first_to_its_last_moment() {
    let world = World::with_client();
    let identity = Identity::load(&world.path("client-cert.pem"), &world.path("client-key.pem")).unwrap();
    let facts: Facts = identity.facts().unwrap();
    let (first, last) = (facts.not_before.0, facts.not_after.0);
    let thirty_days = 30 * 24 * 3600 * 1_000_000;
    for (now, code) in [
        (first - 1, Some(Code::CertificateNotYetValid)),
        (first, None),
        (last - thirty_days, None),
        (last - thirty_days + 1, Some(Code::CertificateEndsSoon)),
        (last, Some(Code::CertificateEndsSoon)),
        (last + 1, Some(Code::CertificateExpired)),
    ] {
        let outcome = certificate::validity(&facts, UnixMicros(now));
        assert_eq!(Finding { check: "", outcome }.code(), code, "{}", now - last);
    }
}

#[tokio::test]
async fn a_failed_handshake_says_whose_certificate_it_is() {
    let other = World::with_client();
    let expired = Validity::expired(SystemClock.now());
    // The client's world, the server's configuration, the code.
    let trusted = World::with_client();
    let server = trusted.server("127.0.0.1", days(1));
    let cases = [
        (trusted, server, "OK - "),
        (World::with_client(), other.server("127.0.0.1", days(1)), "ERROR - E221"),
        {
            let world = World::with_client();
            let server = world.server("other.example", days(1));
            (world, server, "ERROR - E222")
        },
        {
            let world = World::with_client();
            let server = world.server("127.0.0.1", expired);
            (world, server, "ERROR - E223")
        },
        {
            // Trusts the other's server, but shows a certificate that this one does not accept.
            let mut world = World::with_client();
            world.settings.tls.ca = Some(other.pki.ca());
            (world, other.server("127.0.0.1", days(1)), "ERROR - E225")
        },
    ];
    for (mut world, server, begins) in cases {
        let endpoint = serve(server, String::new()).await;
        let lines = endpoint_lines(&mut world, &endpoint, Mode::Stage).await;
        for line in &lines[..2] {
            assert!(line.starts_with(begins) && line.contains(&endpoint.to_string()), "{begins}: {line}");
        }
        assert!(
            lines[2].starts_with(&begins.replace("ERROR", "WARN")),
            "concentrator, in stage mode: {}",
            lines[2]
        );
    }
}

#[tokio::test]
async fn a_failed_connection_says_at_which_step() {
    let mut world = World::with_client();
    let (endpoint, _held) = nobody();
    let lines = endpoint_lines(&mut world, &endpoint, Mode::Stage).await;
    assert!(lines[0].starts_with("ERROR - E402") && lines[0].contains("refused"), "{}", lines[0]);

    let no_name = Endpoint { host: "no name".to_owned(), port: 443 };
    let lines = endpoint_lines(&mut world, &no_name, Mode::Stage).await;
    assert!(lines[0].starts_with("ERROR - E401"), "{}", lines[0]);

    // Takes connections and closes them.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closing = Endpoint { host: "127.0.0.1".to_owned(), port: listener.local_addr().unwrap().port() };
    let task = tokio::spawn(async move {
        while let Ok((mut tcp, _)) = listener.accept().await {
            let _ = tcp.read(&mut [0; 4096]).await;
        }
    });
    let lines = endpoint_lines(&mut world, &closing, Mode::Stage).await;
    assert!(lines[0].starts_with("ERROR - E404"), "{}", lines[0]);
    task.abort();

    // Takes connections (the kernel does) and never says a word.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = Endpoint { host: "127.0.0.1".to_owned(), port: silent.local_addr().unwrap().port() };
    world.settings.uplink.connect_timeout = Duration::from_millis(50);
    let lines = endpoint_lines(&mut world, &endpoint, Mode::Stage).await;
    assert!(lines[0].starts_with("ERROR - E403") && lines[0].contains("took too long"), "{}", lines[0]);
}

#[tokio::test]
async fn in_production_one_concentrator_must_answer() {
    let mut world = World::with_client();
    let (endpoint, _held) = nobody();
    let lines = endpoint_lines(&mut world, &endpoint, Mode::Production).await;
    let begins: Vec<_> = lines.iter().map(|line| line.split_once(' ').unwrap().0).collect();
    assert_eq!(begins, ["WARN", "WARN", "ERROR"], "{lines:#?}");

    let good = serve(world.server("127.0.0.1", days(1)), String::new()).await;
    world.settings.uplink.concentrators = vec![good.into(), endpoint.clone().into()];
    let context = Context { mode: Mode::Production, ..world.context() };
    let (report, lines) = run(&context).await;
    assert_eq!(report.failures(), 0, "{lines:#?}");
    assert_eq!(report.warnings(), 3, "{lines:#?}");
}

#[tokio::test]
async fn the_clock_is_compared_with_the_incubators() {
    for (header, begins, says) in [
        (date(2), "OK - ", "agrees"),
        (date(60), "WARN - E421", "behind"),
        (date(-60), "WARN - E421", "ahead of"),
        (date(3600), "ERROR - E421", "behind"),
        (String::new(), "WARN - E422", "has no date"),
        ("date: yesterday\r\n".to_owned(), "WARN - E422", "yesterday"),
    ] {
        let mut world = World::with_client();
        let good = serve(world.server("127.0.0.1", days(1)), header).await;
        let uplink = &mut world.settings.uplink;
        (uplink.incubator_stream, uplink.incubator) = (good.clone(), good.clone());
        uplink.concentrators = vec![good.into()];
        let (_, lines) = run(&world.context()).await;
        let line = lines.last().unwrap();
        assert!(line.starts_with(begins) && line.contains(says), "{line}");
    }
}

#[test]
fn our_own_running_connector_does_not_count_as_taking_the_port() {
    let mut world = World::new();
    let busy = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = busy.local_addr().unwrap().port();
    world.settings.listener.syslog_port = port;
    let failures = |own_port| {
        let outcomes = port::checks(&Context { own_port, ..world.context() });
        outcomes.iter().filter(|(_, outcome)| matches!(outcome, Outcome::Failed(_))).count()
    };
    assert_eq!(failures(None), 1);
    assert_eq!(failures(Some(port)), 0);
    assert_eq!(failures(Some(port.wrapping_add(1))), 1, "it runs on another port");
}
