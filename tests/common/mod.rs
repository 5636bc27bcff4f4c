//! What the end-to-end tests share: a throw-away PKI, processes of the real binary, and ways to await what they do.
//! A mock stands nowhere here: the incubator is the project's own receiver, run as a process.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "a test that panics has said enough")]

pub mod disk;
pub mod network;
pub mod receiver;

use serde_json::Value;
use soc_connector::clock::{Clock, SystemClock};
use soc_connector::connector::control;
use soc_connector::connector::report::Report;
use soc_connector::incubator::client::Confirmations;
use soc_connector::pki::{Pki, Validity, default_server_names};
use soc_connector::settings::Endpoint;
use soc_connector::tls::{self, Identity, Roots};
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

/// Nothing here takes so long unless it is broken.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The binary under test: the one that `tests/run` built to be shipped, else cargo's.
pub fn binary() -> PathBuf {
    std::env::var_os("SOC_TEST_BINARY")
        .map_or_else(|| env!("CARGO_BIN_EXE_soc-connector").into(), PathBuf::from)
}

/// A process whose output is read line by line; killed when dropped.
pub struct Process {
    pub child: Child,
    lines: mpsc::Receiver<String>,
    seen: String,
    name: String,
}

impl Process {
    pub fn spawn(mut command: Command) -> Self {
        let name = format!("{command:?}");
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let (sender, lines) = mpsc::channel();
        let out = child.stdout.take().unwrap();
        let err = child.stderr.take().unwrap();
        for stream in [Box::new(out) as Box<dyn std::io::Read + Send>, Box::new(err)] {
            let sender = sender.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    if sender.send(line).is_err() {
                        break;
                    }
                }
            });
        }
        Self { child, lines, seen: String::new(), name }
    }

    /// Waits for a line that contains `text` and returns it with all before it.
    #[track_caller]
    pub fn wait_for(&mut self, text: &str) -> String {
        match self.wait_up_to(PATIENCE, text) {
            Some(seen) => seen,
            None => panic!("{}: never said {text:?}, but:\n{}", self.name, self.seen),
        }
    }

    /// The same for a time that may run out; what was read stays for the next call then.
    pub fn wait_up_to(&mut self, bound: Duration, text: &str) -> Option<String> {
        let until = Instant::now() + bound;
        while let Ok(line) = self.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
            self.seen.push_str(&line);
            self.seen.push('\n');
            if line.contains(text) {
                return Some(std::mem::take(&mut self.seen));
            }
        }
        None
    }

    /// What it said since the last line that was waited for, up to its end, which is awaited.
    pub fn rest(&mut self) -> String {
        self.wait_up_to(PATIENCE, "\0");
        std::mem::take(&mut self.seen)
    }

    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// SIGKILL: nothing is finished, nothing is flushed.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, and what the process exits with.
    pub fn terminate(&mut self) -> Option<i32> {
        self.signal(rustix::process::Signal::TERM);
        self.wait()
    }

    pub fn wait(&mut self) -> Option<i32> {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("{} does not end", self.name);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a command printed and how it ended.
#[derive(Debug)]
pub struct Done {
    pub out: String,
    pub err: String,
    pub code: Option<i32>,
}

pub fn run(command: &mut Command) -> Done {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    Done {
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
        code: output.status.code(),
    }
}

impl Done {
    /// Asserts success.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "stdout:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }
}

/// A port that nobody uses over UDP and TCP at this moment. It is below those that the kernel gives to outgoing
/// connections, and is given out once: a process that ended can be started again on its port.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    const PORTS: std::ops::Range<u16> = 12_000..32_000;
    let begin = u16::try_from(std::process::id() % 20_000).unwrap();
    for _ in PORTS {
        let number = (begin + NEXT.fetch_add(1, Ordering::Relaxed)) % (PORTS.end - PORTS.start);
        let port = PORTS.start + number;
        let tcp = TcpListener::bind(("::", port)).or_else(|_| TcpListener::bind(("0.0.0.0", port)));
        if tcp.is_ok() && UdpSocket::bind(("0.0.0.0", port)).is_ok() {
            return port;
        }
    }
    panic!("no free port");
}

/// A PKI, an incubator, and a client's view of it.
pub struct Soc {
    pub dir: tempfile::TempDir,
    pub pki: Pki,
    pub stream: SocketAddr,
    pub confirmations: SocketAddr,
    pub incubator: Process,
}

impl Soc {
    /// An incubator on loopback.
    pub fn start() -> Self {
        Self::start_on("127.0.0.1", &[])
    }

    /// An incubator on an address of this machine, with further names in its certificate.
    pub fn start_on(address: &str, names: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let now = SystemClock.now();
        let pki = Pki::open_or_create(dir.path(), now).unwrap();
        let mut all = default_server_names();
        all.push(address.to_owned());
        all.extend(names.iter().map(|&name| name.to_owned()));
        pki.server("server", &all, Validity::days(now, 365)).unwrap();
        pki.client("client", Validity::days(now, 365)).unwrap();
        let (incubator, stream, confirmations) =
            incubator(dir.path(), &format!("{address}:0"), &format!("{address}:0"));
        Self { dir, pki, stream, confirmations, incubator }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// What a receiver of this SOC answers TLS with.
    pub fn server_config(&self) -> Arc<rustls::ServerConfig> {
        let identity = Identity::load(&self.path("server-cert.pem"), &self.path("server-key.pem")).unwrap();
        tls::server_config(&identity, &Roots::from_file(&self.pki.ca()).unwrap()).unwrap()
    }

    /// Puts a client certificate and its key in the place of an installation's, as a renewal does.
    pub fn replace_certificate(&self, dir: &Path, client: &str) {
        for part in ["cert", "key"] {
            let new = dir.join("new.pem");
            fs::copy(self.path(&format!("{client}-{part}.pem")), &new).unwrap();
            fs::rename(new, dir.join(format!("client-{part}.pem"))).unwrap();
        }
    }

    /// What the SOC confirms to the holder of this client certificate.
    pub fn view(&self, client: &str) -> View {
        self.view_at(client, self.confirmations)
    }

    /// The same at another receiver with this PKI.
    pub fn view_at(&self, client: &str, confirmations: SocketAddr) -> View {
        let identity = Identity::load(
            &self.path(&format!("{client}-cert.pem")),
            &self.path(&format!("{client}-key.pem")),
        )
        .unwrap();
        let config = tls::client_config(&identity, &Roots::from_file(&self.pki.ca()).unwrap()).unwrap();
        let endpoint = Endpoint { host: confirmations.ip().to_string(), port: confirmations.port() };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        View { runtime, client: Confirmations::new(endpoint, config), cursor: None, events: Vec::new() }
    }

    /// An installation directory with this client's certificate and these settings (TOML) beside the SOC's own.
    pub fn install(&self, client: &str, port: u16, extra: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        self.furnish(dir.path(), client, port, extra);
        dir
    }

    pub fn furnish(&self, dir: &Path, client: &str, port: u16, extra: &str) {
        for part in ["cert", "key"] {
            let name = format!("{client}-{part}.pem");
            fs::copy(self.path(&name), dir.join(&name)).unwrap();
        }
        fs::copy(self.pki.ca(), dir.join("ca.pem")).unwrap();
        fs::create_dir_all(dir.join("conf")).unwrap();
        fs::write(dir.join("conf/soc-connector.toml"), self.settings(port, extra)).unwrap();
    }

    /// The settings that lead to this SOC.
    pub fn settings(&self, port: u16, extra: &str) -> String {
        let (stream, confirmations) = (self.stream, self.confirmations);
        format!(
            "[connector]\nid = \"test\"\nself_reports = false\n[listener]\nsyslog_port = {port}\n[metrics]\nport = 0\n[tls]\nca = \"ca.pem\"\n\
             [uplink]\nincubator_stream = \"{stream}\"\nincubator = \"{confirmations}\"\n\
             concentrators = [\"{stream}\"]\n{extra}\n"
        )
    }
}

/// Changes one setting, `section.key`, in an installation directory's file.
pub fn set(dir: &Path, setting: &str, value: impl Into<toml_edit::Value>) {
    let file = dir.join("conf/soc-connector.toml");
    let mut settings: toml_edit::DocumentMut = fs::read_to_string(&file).unwrap().parse().unwrap();
    let (section, key) = setting.split_once('.').unwrap();
    settings[section][key] = toml_edit::value(value);
    fs::write(file, settings.to_string()).unwrap();
}

/// Starts an incubator process and reads its addresses from what it says.
pub fn incubator(pki: &Path, stream: &str, confirmations: &str) -> (Process, SocketAddr, SocketAddr) {
    let mut command = Command::new(binary());
    command
        .args(["--json", "incubator", "--stream", stream, "--confirmations", confirmations, "--pki"])
        .arg(pki);
    let mut process = Process::spawn(command);
    let line = process.wait_for("\"stream\"");
    let ready: Value = serde_json::from_str(line.lines().last().unwrap()).unwrap();
    let address = |name: &str| ready[name].as_str().unwrap().parse().unwrap();
    (process, address("stream"), address("confirmations"))
}

/// One client's confirmed events.
pub struct View {
    runtime: tokio::runtime::Runtime,
    client: Confirmations,
    cursor: Option<String>,
    pub events: Vec<Value>,
}

impl View {
    /// Waits for a confirmed event that satisfies the condition; it leaves the view.
    #[track_caller]
    pub fn wait(&mut self, what: &str, condition: impl Fn(&Value) -> bool) -> Value {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(at) = self.events.iter().position(&condition) {
                return self.events.remove(at);
            }
            assert!(
                Instant::now() < until,
                "not confirmed: {what}; confirmed were {:#?}",
                self.events.iter().map(|event| &event["event_raw"]).collect::<Vec<_>>()
            );
            self.fetch(Duration::from_secs(5));
        }
    }

    /// Waits for the event with this body.
    #[track_caller]
    pub fn wait_body(&mut self, body: &str) -> Value {
        self.wait(body, |event| event["body"] == body)
    }

    /// Waits until so many events are in the view, and takes them all out of it.
    #[track_caller]
    pub fn take(&mut self, events: usize) -> Vec<Value> {
        let until = Instant::now() + PATIENCE;
        while self.events.len() < events {
            assert!(Instant::now() < until, "{} events are confirmed, not {events}", self.events.len());
            self.fetch(Duration::from_secs(5));
        }
        std::mem::take(&mut self.events)
    }

    /// Takes over what was confirmed since the last look.
    pub fn fetch(&mut self, wait: Duration) {
        let ask = async {
            match &self.cursor {
                Some(cursor) => self.client.next(cursor, wait).await,
                None => self.client.kept().await,
            }
        };
        let (cursor, events) = self.runtime.block_on(ask).expect("confirmations");
        self.cursor = Some(cursor);
        self.events.extend(events);
    }
}

/// Whether a program is there; `tests/run` installs them, so under CI a missing one is a failure.
pub fn have(test: &str, program: &str) -> bool {
    if run(Command::new("sh").args(["-c", &format!("command -v {program}")])).code == Some(0) {
        return true;
    }
    assert!(std::env::var_os("CI").is_none(), "{test}: CI needs {program}; tests/run installs it");
    eprintln!("SKIPPED {test}: no {program} on this machine (tests/run installs it)");
    false
}

/// Whether the tests with real engines are wanted; says loudly when they are not. Under CI they are a must.
pub fn engines_wanted(test: &str) -> bool {
    if std::env::var_os("SOC_TEST_ENGINES").is_some() {
        return true;
    }
    assert!(std::env::var_os("CI").is_none(), "{test}: CI needs real engines; tests/run prepares them");
    eprintln!("SKIPPED {test}: no container engines here (tests/run as root on Debian prepares them)");
    false
}

/// Whether this can be tested here; under CI it must.
pub fn root(test: &str) -> bool {
    if rustix::process::geteuid().is_root() {
        return true;
    }
    assert!(std::env::var_os("CI").is_none(), "{test}: CI needs root");
    eprintln!("SKIPPED {test}: it needs root");
    false
}

/// A connector in the foreground, as under systemd: no engine.
pub struct Foreground {
    pub process: Process,
    pub port: u16,
    pub dir: PathBuf,
}

impl Foreground {
    /// Starts it and waits until its ports are open.
    pub fn start(dir: &Path, mode: &str, port: u16) -> Self {
        let mut process = Self::spawn(dir, mode);
        process.wait_for("receiving");
        Self { process, port, dir: dir.to_owned() }
    }

    /// Starts it, whatever comes of it.
    pub fn spawn(dir: &Path, mode: &str) -> Process {
        let mut command = Command::new(binary());
        command.arg("--dir").arg(dir).args(["run", "--mode", mode]);
        Process::spawn(command)
    }

    /// What it says of itself.
    pub fn report(&self) -> Report {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(control::Client::new(self.dir.join("setup/run")).status()).unwrap()
    }

    /// Waits until what it says of itself is so.
    #[track_caller]
    pub fn wait_until(&self, what: &str, condition: impl Fn(&Report) -> bool) -> Report {
        self.wait_while_it_gets_on(what, |_| 0, condition)
    }

    /// Waits until what it says of itself is so, with new patience whenever `progress` has changed: how long so many events
    /// take is the machine's affair. Its counters tell no one when they change: it is asked again and again.
    #[track_caller]
    pub fn wait_while_it_gets_on(
        &self,
        what: &str,
        progress: impl Fn(&Report) -> u64,
        condition: impl Fn(&Report) -> bool,
    ) -> Report {
        let (mut until, mut reached) = (Instant::now() + PATIENCE, None);
        loop {
            let report = self.report();
            if condition(&report) {
                return report;
            }
            let now = Some(progress(&report));
            if reached != now {
                (until, reached) = (Instant::now() + PATIENCE, now);
            }
            assert!(Instant::now() < until, "never {what}: {report:#?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// A SOC, and a connector in stage mode that sends to it.
pub struct Rig {
    pub soc: Soc,
    pub connector: Foreground,
    pub view: View,
    pub dir: tempfile::TempDir,
}

impl Rig {
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same with these settings changed.
    pub fn start_with(settings: &[(&str, toml_edit::Value)]) -> Self {
        let soc = Soc::start();
        let port = free_port();
        let dir = soc.install("client", port, "");
        for (setting, value) in settings {
            set(dir.path(), setting, value.clone());
        }
        let connector = Foreground::start(dir.path(), "stage", port);
        let view = soc.view("client");
        Self { soc, connector, view, dir }
    }

    pub fn port(&self) -> u16 {
        self.connector.port
    }
}

/// Sends one datagram to a port of this host.
pub fn send_udp(port: u16, message: &str) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.send_to(message.as_bytes(), ("127.0.0.1", port)).unwrap();
}

/// Sends bytes over one TCP connection to a port of this host.
pub fn send_tcp(port: u16, bytes: &[u8]) {
    use std::io::Write;
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(bytes).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
}
