//! Real engines: Podman rootless, Podman and Docker as root, both through sudo.
//!
//! Runs where `SOC_TEST_ENGINES=1` and as root on a machine that `tests/lib/engines.sh` has prepared. Each test runs this
//! same binary again as the operator ([`life_of_a_container`]), who makes an image of this same binary and runs it in a
//! container ([`inside`]), while a sender in a network namespace of its own talks to it. So nothing but the engine is
//! tested: no other part of the program has to work.

use rustix::process::{geteuid, getuid};
use soc_connector::Code;
use soc_connector::engine::container::{Credentials, DIR_INSIDE, LABEL_DIR, Wanted};
use soc_connector::engine::image::Image;
use soc_connector::engine::network::{self, Attachment, Facts};
use soc_connector::engine::{ContainerInfo, ContainerSpec, ContainerState, Engine, connect_through};
use soc_connector::install::Install;
use soc_connector::settings::{self, EngineKind, Limits, Network};
use soc_connector::state::Mode;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener, UdpSocket};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

const USER: &str = "soc";
const HELPER: &str = env!("CARGO_BIN_EXE_soc-connector");
/// How often and how long something is looked for that comes without an event.
const LOOKS: u32 = 300;
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// Says loudly that nothing was tested, past the test harness's capture.
fn engines_are_there() -> bool {
    if std::env::var("SOC_TEST_ENGINES").as_deref() == Ok("1") {
        assert!(geteuid().is_root(), "tests with real engines run as root");
        return true;
    }
    let _ = writeln!(std::io::stderr(), "SKIPPED, NOTHING TESTED: real engines need SOC_TEST_ENGINES=1");
    false
}

struct Variant {
    kind: &'static str,
    user: &'static str,
    sudo: bool,
    network: &'static str,
    privileged: bool,
    attachment: Attachment,
}

#[test]
fn rootless_podman() {
    run(&Variant {
        kind: "podman",
        user: USER,
        sudo: false,
        network: "auto",
        privileged: false,
        attachment: Attachment::Host,
    });
}

#[test]
fn rootless_podman_in_its_own_network() {
    run(&Variant {
        kind: "podman",
        user: USER,
        sudo: false,
        network: "slirp4netns",
        privileged: false,
        attachment: Attachment::Slirp4netns,
    });
}

#[test]
fn podman_through_sudo_on_a_privileged_port() {
    run(&Variant {
        kind: "podman",
        user: USER,
        sudo: true,
        network: "auto",
        privileged: true,
        attachment: Attachment::Host,
    });
}

#[test]
fn podman_as_root_on_its_bridge() {
    run(&Variant {
        kind: "podman",
        user: "root",
        sudo: false,
        network: "bridge",
        privileged: false,
        attachment: Attachment::Bridge,
    });
}

#[test]
fn docker_as_root() {
    run(&Variant {
        kind: "docker",
        user: "root",
        sudo: false,
        network: "auto",
        privileged: false,
        attachment: Attachment::Host,
    });
}

#[test]
fn docker_through_sudo_on_a_privileged_port() {
    run(&Variant {
        kind: "docker",
        user: USER,
        sudo: true,
        network: "auto",
        privileged: true,
        attachment: Attachment::Bridge,
    });
}

#[test]
fn docker_without_the_right_to_its_socket_is_refused() {
    refusal("docker", USER, false, Code::EngineDenied);
}

#[test]
fn sudo_without_the_right_to_it_is_refused() {
    refusal("podman", "nobody", true, Code::SudoRefused);
}

/// Lets a user try to reach an engine who must not.
fn refusal(kind: &str, user: &str, sudo: bool, wanted: Code) {
    if !engines_are_there() {
        return;
    }
    let stage = Stage::new(user);
    let mut command = stage.become_user(user, kind, sudo);
    command.arg("SOC_TEST_NETWORK=auto").arg(format!("SOC_TEST_WANTED={wanted}"));
    // Without a terminal: sudo must not wait for a password of whoever runs the tests.
    command.args(["setsid", "--wait"]).arg(&stage.program);
    command.args(["--exact", "an_attempt_to_connect", "--ignored", "--nocapture"]);
    succeed(command);
}

/// A host of its own: a network namespace with one veth pair to this one.
struct Sender {
    name: String,
    /// A running Docker forwards to nobody but its own containers, so Podman's bridge needs a rule beside it.
    past_docker: bool,
    here: Ipv4Addr,
    there: Ipv4Addr,
}

impl Sender {
    fn new(past_docker: bool) -> Self {
        static NEXT: AtomicU8 = AtomicU8::new(0);
        let index = NEXT.fetch_add(1, Ordering::Relaxed);
        let process = std::process::id();
        let name = format!("soce{process}-{index}");
        let network = [10, 64 + (process % 128) as u8, index];
        let [a, b, c] = network;
        let sender =
            Self { name, past_docker, here: Ipv4Addr::new(a, b, c, 1), there: Ipv4Addr::new(a, b, c, 2) };
        let Self { name, here, there, .. } = &sender;
        ip(&format!("netns add {name}"));
        ip(&format!("link add {name} type veth peer name eth0 netns {name}"));
        ip(&format!("addr add {here}/24 dev {name}"));
        ip(&format!("link set {name} up"));
        ip(&format!("-n {name} addr add {there}/24 dev eth0"));
        ip(&format!("-n {name} link set eth0 up"));
        if past_docker {
            iptables(&format!("-I FORWARD -i {name} -j ACCEPT"));
        }
        sender
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        if self.past_docker {
            iptables(&format!("-D FORWARD -i {} -j ACCEPT", self.name));
        }
        // The pair goes with its namespace.
        let _ = Command::new("ip").args(["netns", "del", &self.name]).status();
    }
}

fn ip(arguments: &str) {
    let status = Command::new("ip").args(arguments.split(' ')).status().expect("iproute2 is installed");
    assert!(status.success(), "ip {arguments}");
}

fn iptables(arguments: &str) {
    let status = Command::new("iptables").args(arguments.split(' ')).status();
    assert!(status.expect("iptables is installed").success(), "iptables {arguments}");
}

/// A port that nobody uses now.
fn free_port(privileged: bool) -> u16 {
    let from = if privileged { 600 } else { 21_000 };
    (from..from + 400)
        .map(|port| port + (std::process::id() % 100) as u16)
        .filter(|port| !privileged || *port < 1024)
        .find(|port| {
            let all = (Ipv6Addr::UNSPECIFIED, *port);
            TcpListener::bind(all).is_ok() && UdpSocket::bind(all).is_ok()
        })
        .expect("one of many is free")
}

/// Prepares everything that needs root, and becomes the operator.
fn run(variant: &Variant) {
    static PORTS: std::sync::Mutex<Vec<u16>> = std::sync::Mutex::new(Vec::new());
    if !engines_are_there() {
        return;
    }
    let stage = Stage::new(variant.user);
    let sender = Sender::new(variant.kind == "podman" && variant.attachment == Attachment::Bridge);
    let port = {
        let mut taken = PORTS.lock().expect("no test panics here");
        let mut port = free_port(variant.privileged);
        while taken.contains(&port) {
            port += 1;
        }
        taken.push(port);
        port
    };
    let mut command = stage.become_user(variant.user, variant.kind, variant.sudo);
    command.args([
        format!("SOC_TEST_NETWORK={}", variant.network),
        format!("SOC_TEST_ATTACHMENT={}", variant.attachment.name()),
        format!("SOC_TEST_PORT={port}"),
        format!("SOC_TEST_NETNS={}", sender.name),
        format!("SOC_TEST_HERE={}", sender.here),
        format!("SOC_TEST_THERE={}", sender.there),
    ]);
    command.arg(&stage.program).args(["--exact", "life_of_a_container", "--ignored", "--nocapture"]);
    succeed(command);
}

fn succeed(mut command: Command) {
    let output = command.current_dir("/").output().expect("sudo is installed");
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

/// What the operator works with: copies of the programs, because the source tree may be closed to them, and DIR.
struct Stage {
    base: tempfile::TempDir,
    program: PathBuf,
}

impl Stage {
    fn new(user: &str) -> Self {
        let base =
            tempfile::Builder::new().prefix("soc-engine-").tempdir_in("/var/tmp").expect("/var/tmp exists");
        std::fs::set_permissions(base.path(), std::fs::Permissions::from_mode(0o755)).expect("own directory");
        let program = base.path().join("test");
        std::fs::copy(std::env::current_exe().expect("known"), &program).expect("space in /var/tmp");
        std::fs::copy(HELPER, base.path().join("soc-connector")).expect("space in /var/tmp");
        let dir = base.path().join("DIR");
        std::fs::create_dir(&dir).expect("new");
        let (uid, gid) = ids(user);
        chown(&dir, Some(uid), Some(gid)).expect("root may");
        Self { base, program }
    }

    /// `sudo -u` leaves `XDG_RUNTIME_DIR` unset, which is one of the cases that have to work.
    fn become_user(&self, user: &str, kind: &str, sudo: bool) -> Command {
        let mut command = Command::new("sudo");
        command.args(["-u", user, "-H", "--", "env"]);
        command.args([
            format!("SOC_TEST_KIND={kind}"),
            format!("SOC_TEST_SUDO={}", u8::from(sudo)),
            format!("SOC_TEST_DIR={}", self.base.path().join("DIR").display()),
            format!("SOC_TEST_HELPER={}", self.base.path().join("soc-connector").display()),
        ]);
        command
    }
}

fn ids(user: &str) -> (u32, u32) {
    let id = |flag: &str| {
        let output = Command::new("id").args([flag, user]).output().expect("coreutils");
        String::from_utf8_lossy(&output.stdout)
            .trim()
            .parse()
            .expect("tests/lib/engines.sh has made the user")
    };
    (id("-u"), id("-g"))
}

/// What the operator was given by [`run`].
struct Given {
    settings: settings::Engine,
    dir: PathBuf,
    helper: PathBuf,
}

fn value(name: &str) -> String {
    std::env::var(format!("SOC_TEST_{name}")).unwrap_or_else(|_| panic!("SOC_TEST_{name} was not given"))
}

impl Given {
    fn read() -> Option<Self> {
        let kind = std::env::var("SOC_TEST_KIND").ok()?;
        Some(Self {
            settings: settings::Engine {
                kind: if kind == "docker" { EngineKind::Docker } else { EngineKind::Podman },
                sudo: value("SUDO") == "1",
                network: match value("NETWORK").as_str() {
                    "auto" => Network::Auto,
                    "bridge" => Network::Bridge,
                    "slirp4netns" => Network::Slirp4netns,
                    other => panic!("network {other}"),
                },
                image: None,
            },
            dir: value("DIR").into(),
            helper: value("HELPER").into(),
        })
    }
}

#[tokio::test]
#[ignore = "the user's part of the refusals above, which run it"]
async fn an_attempt_to_connect() {
    let Some(given) = Given::read() else { return };
    let install = Install::open(&given.dir).expect("own directory");
    install.create_layout().expect("own directory");
    let connection = connect_through(&given.settings, &install, &given.helper).await;
    assert_eq!(code(connection).to_string(), value("WANTED"));
}

#[tokio::test]
#[ignore = "the operator's part of the tests above, which run it"]
async fn life_of_a_container() {
    let Some(given) = Given::read() else { return };
    let install = Install::open(&given.dir).expect("own directory");
    install.create_layout().expect("own directory");
    let connection =
        connect_through(&given.settings, &install, &given.helper).await.expect("the engine answers");
    let socket = connection.socket().to_owned();
    let binary = std::fs::read(std::env::current_exe().expect("known")).expect("readable");
    // An image of its own: other tests load the same binary at the same time.
    let name = format!("soc-engine-test-{}", std::process::id());
    let image = Image::of_binary(&binary, &name).expect("linked as the program is");
    let life = tokio::spawn({
        let (name, image) = (name.clone(), image.clone());
        async move {
            let result = live(&connection, &given, &install, &name, &image).await;
            (connection, result)
        }
    });
    // What a failed step left over is put away before the failure is told.
    match life.await {
        Ok((connection, ())) => {
            connection.close().await;
            let helped = socket.to_string_lossy().contains("soc-connector-");
            assert!(
                !helped || !socket.parent().expect("has one").exists(),
                "the helper's directory is left over"
            );
        }
        Err(panic) => {
            let given = Given::read().expect("as before");
            let install = Install::open(&given.dir).expect("own directory");
            let connection =
                connect_through(&given.settings, &install, &given.helper).await.expect("as before");
            println!("output: {:#?}", connection.logs(&name, 100).await);
            let _ = connection.remove(&name, true).await;
            let _ = connection.remove_image(&image.id).await;
            std::panic::resume_unwind(panic.into_panic());
        }
    }
}

async fn live(engine: &impl Engine, given: &Given, install: &Install, name: &str, image: &Image) {
    // What it says of itself.
    let info = engine.info().await.expect("it answers");
    assert_eq!(info.kind, given.settings.kind);
    assert!(info.version.starts_with(|c: char| c.is_ascii_digit()), "{info:?}");
    let uid = getuid().as_raw();
    assert_eq!(info.rootless, given.settings.kind == EngineKind::Podman && uid != 0 && !given.settings.sudo);

    // The image: not there, loaded under the id that was foretold, there.
    assert_eq!(engine.image(&image.reference).await.expect("an answer"), None);
    let mut last = None;
    let id = engine.load_image(image.archive.clone(), &mut |progress| last = Some(progress)).await;
    assert_eq!(id.expect("loaded"), image.id);
    let last = last.expect("progress was told");
    assert_eq!(Some(last.done_bytes), last.total_bytes);
    let found = engine.image(&image.id).await.expect("an answer").expect("loaded");
    assert_eq!((&found.id, &found.references[..]), (&image.id, &[image.reference.clone()][..]));

    // The container: created once, started, and running as the operator.
    let port = value("PORT").parse().expect("a port");
    let plan = network::choose(
        given.settings.network,
        Facts {
            kind: info.kind,
            rootless: info.rootless,
            port,
            addresses: &[IpAddr::V6(Ipv6Addr::UNSPECIFIED)],
            unprivileged_port_start: network::unprivileged_port_start(),
        },
    )
    .expect("possible");
    assert_eq!(plan.attachment.name(), value("ATTACHMENT"));
    let at = |name: &str| install.dir().join(name);
    std::fs::write(install.accepted_settings_dir().join("port"), plan.listen_port.to_string())
        .expect("own directory");
    for file in ["x-cert.pem", "x-key.pem"] {
        std::fs::write(at(file), "secret").expect("own directory");
        std::fs::set_permissions(at(file), std::fs::Permissions::from_mode(0o600)).expect("own file");
    }
    let spec = ContainerSpec::new(Wanted {
        install,
        mode: Mode::Stage,
        name,
        image: &image.id,
        user: (uid, rustix::process::getgid().as_raw()),
        network: &plan,
        limits: Limits::default(),
        credentials: &Credentials { certificate: at("x-cert.pem"), key: at("x-key.pem"), ca: None },
        args: ["--exact", "inside", "--ignored", "--nocapture"].map(Into::into).into(),
    })
    .expect("plain paths");
    assert_eq!(engine.inspect(name).await.expect("an answer"), None);
    // A file that is missing is missed, and nothing is made in its place.
    std::fs::rename(at("x-key.pem"), at("away")).expect("own directory");
    let early = async {
        engine.create(&spec).await?;
        engine.start(name).await
    };
    println!("{}", early.await.expect_err("no key"));
    assert!(!at("x-key.pem").exists());
    engine.remove(name, true).await.expect("an answer");
    std::fs::rename(at("away"), at("x-key.pem")).expect("own directory");
    let remarks = engine.create(&spec).await.expect("created");
    assert_eq!(remarks.iter().any(|remark| remark.contains("without a limit")), !info.memory_limit);
    assert_eq!(code(engine.create(&spec).await), Code::ContainerExists);
    let created = inspect(engine, name).await;
    assert_eq!((created.state, created.started_at, created.pid), (ContainerState::Created, None, None));
    engine.start(name).await.expect("started");
    engine.start(name).await.expect("nothing to do");
    let output = output_with(engine, name, "listening").await;
    let running = inspect(engine, name).await;
    assert_eq!((&running.state, &running.image_id), (&ContainerState::Running, &image.id));
    assert!(running.started_at.is_some());
    assert_eq!(running.labels.get(LABEL_DIR).map(Path::new), Some(install.dir()));
    let process = format!("/proc/{}", running.pid.expect("it runs"));
    assert_eq!(std::fs::metadata(&process).expect("it runs").uid(), uid, "the host's view of its user");

    // What it can and cannot do, in its own words.
    let privileged = plan.bind_capability;
    for line in [
        "NoNewPrivs:\t1".to_owned(),
        "Seccomp:\t2".to_owned(),
        format!("CapEff:\t{:016x}", if privileged { 1 << 10 } else { 0 }),
        format!("CapBnd:\t{:016x}", if privileged { 1 << 10 } else { 0 }),
        format!("user {}", if info.rootless && plan.attachment != Attachment::Host { 0 } else { uid }),
        "write / no".to_owned(),
        "write /soc/conf no".to_owned(),
        "write /soc/x-key.pem no".to_owned(),
        "write /soc/setup/run yes".to_owned(),
        "write /soc/logs yes".to_owned(),
        "write /soc/spool/stage yes".to_owned(),
        "write /soc/spool/production no".to_owned(),
        "read /soc/x-key.pem yes".to_owned(),
    ] {
        assert!(output.contains(&line), "{line:?} not in {output:#?}");
    }
    let written = at("spool/stage/written").metadata().expect("it wrote");
    assert_eq!(written.uid(), uid, "what it writes is the operator's");

    // Senders keep their addresses.
    for transport in ["udp", "tcp"] {
        let script = format!("echo hello >/dev/{transport}/{}/{port}", value("HERE"));
        let status = Command::new("sudo")
            .args(["ip", "netns", "exec", &value("NETNS"), "bash", "-c", &script])
            .status()
            .expect("iproute2 is installed");
        assert!(status.success(), "{transport}");
        output_with(engine, name, &format!("{transport} from {}", value("THERE"))).await;
    }

    // A crash, after which the engine starts it again.
    assert_eq!(code(engine.remove(name, false).await), Code::EngineRefused);
    let process = rustix::process::Pid::from_raw(running.pid.expect("it runs").cast_signed()).expect("not 0");
    rustix::process::kill_process(process, rustix::process::Signal::KILL).expect("the operator's own");
    let mut restarted = inspect(engine, name).await;
    for _ in 0..LOOKS {
        if restarted.state == ContainerState::Running && restarted.pid != running.pid {
            break;
        }
        tokio::time::sleep(BETWEEN_LOOKS).await;
        restarted = inspect(engine, name).await;
    }
    assert_eq!((restarted.state, restarted.restarts), (ContainerState::Running, 1));
    output_with_times(engine, name, "listening", 2).await;

    // An end in order, which the restart policy respects, and nothing left.
    engine.stop(name, Duration::from_secs(20)).await.expect("stopped");
    engine.stop(name, Duration::from_secs(20)).await.expect("nothing to do");
    let stopped = inspect(engine, name).await;
    assert_eq!((stopped.state, stopped.pid), (ContainerState::Exited(0), None));
    assert!(!stopped.oom_killed);
    let output = engine.logs(name, 1).await.expect("still there");
    assert_eq!(output, ["ended in order"]);
    assert_eq!(code(engine.remove_image(&image.reference).await), Code::ImageInUse);
    assert!(engine.remove(name, false).await.expect("an answer"));
    assert!(!engine.remove(name, true).await.expect("an answer"));
    assert_eq!(engine.inspect(name).await.expect("an answer"), None);
    assert_eq!(code(engine.start(name).await), Code::ContainerMissing);
    assert_eq!(code(engine.stop(name, Duration::from_secs(1)).await), Code::ContainerMissing);
    assert_eq!(code(engine.logs(name, 1).await), Code::ContainerMissing);

    // A container left over by a crash of this program is put away by force, and its name is free again.
    engine.create(&spec).await.expect("created");
    engine.start(name).await.expect("started");
    assert!(engine.remove(name, true).await.expect("an answer"));
    assert_eq!(engine.inspect(name).await.expect("an answer"), None);
    assert!(engine.remove_image(&image.reference).await.expect("an answer"));
    assert!(!engine.remove_image(&image.reference).await.expect("an answer"));

    // A registry that is not there, and an archive that is none.
    let nowhere = "127.0.0.1:9/soc-connector:1";
    assert_eq!(code(engine.pull_image(nowhere, &mut |_| {}).await), Code::ImagePullFailed);
    let nonsense = vec![b'x'; 4096].into();
    assert_eq!(code(engine.load_image(nonsense, &mut |_| {}).await), Code::ImageLoadFailed);
}

fn code<T: std::fmt::Debug>(result: soc_connector::Result<T>) -> Code {
    let error = result.expect_err("must fail");
    println!("{error}");
    error.code()
}

async fn inspect(engine: &impl Engine, name: &str) -> ContainerInfo {
    engine.inspect(name).await.expect("an answer").expect("it exists")
}

/// Waits until the container has said something; its output comes without an event.
async fn output_with(engine: &impl Engine, name: &str, text: &str) -> Vec<String> {
    output_with_times(engine, name, text, 1).await
}

async fn output_with_times(engine: &impl Engine, name: &str, text: &str, times: usize) -> Vec<String> {
    let mut output = Vec::new();
    for _ in 0..LOOKS {
        output = engine.logs(name, 1000).await.expect("readable");
        if output.iter().filter(|line| line.contains(text)).count() == times {
            return output;
        }
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
    panic!("{text:?} not in {output:#?}");
}

/// The process in the container.
#[tokio::test]
#[ignore = "the container's part of the tests above, which run it"]
async fn inside() {
    let Ok(port) = std::fs::read_to_string(format!("{DIR_INSIDE}/conf/port")) else { return };
    let port: u16 = port.parse().expect("written by the test");
    let mut terminate =
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).expect("signals");
    let say = |line: String| println!("{line}");
    let status = std::fs::read_to_string("/proc/self/status").expect("proc is mounted");
    status.lines().for_each(|line| say(line.to_owned()));
    say(format!("user {}", getuid().as_raw()));
    for dir in ["/", "/soc/conf", "/soc/setup/run", "/soc/logs", "/soc/spool/stage", "/soc/spool/production"]
    {
        let done = std::fs::write(Path::new(dir).join("written"), "x").is_ok();
        say(format!("write {dir} {}", if done { "yes" } else { "no" }));
    }
    let key = "/soc/x-key.pem";
    let done = std::fs::OpenOptions::new().append(true).open(key).is_ok();
    say(format!("write {key} {}", if done { "yes" } else { "no" }));
    say(format!("read {key} {}", if std::fs::read(key).is_ok() { "yes" } else { "no" }));
    let all = (Ipv6Addr::UNSPECIFIED, port);
    let (udp, tcp) = (UdpSocket::bind(all).expect("free"), TcpListener::bind(all).expect("free"));
    std::thread::spawn(move || {
        while let Ok((_, from)) = udp.recv_from(&mut [0; 64]) {
            println!("udp from {}", from.ip().to_canonical());
        }
    });
    std::thread::spawn(move || {
        while let Ok((mut stream, from)) = tcp.accept() {
            println!("tcp from {}", from.ip().to_canonical());
            let _ = stream.read(&mut [0; 64]);
        }
    });
    say("listening".to_owned());
    terminate.recv().await;
    // The last word: what the test harness would say after it comes in pieces.
    say("ended in order".to_owned());
    std::process::exit(0);
}
