//! The manual's four installations on the real engines, each through its whole life with the manual's own commands:
//! setup, start, test, sample, stop, deploy, production, reset, delete, purge; every command in every state; senders
//! on a host of their own; crashes in between.

#![allow(clippy::unwrap_used, reason = "a test's helpers may fail like the test itself")]

mod common;

use common::network::Host;
use common::{Done, Process, Soc, View, engines_wanted, run};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

/// Installations on privileged ports would meet on one machine, so one test runs at a time.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// One of the manual's ways to install (1.4).
struct Way {
    name: &'static str,
    number: u8,
    /// The ordinary user, or root.
    user: &'static str,
    setup: &'static [&'static str],
    engine: &'static [&'static str],
    port: u16,
    network: &'static str,
    /// Whether senders over IPv6 keep their address.
    ipv6: bool,
}

#[test]
fn rootless_podman_on_port_1514() {
    Way {
        name: "rootless Podman",
        number: 1,
        user: "soc",
        setup: &[],
        engine: &["podman"],
        port: 1514,
        network: "host",
        ipv6: true,
    }
    .live();
}

#[test]
fn podman_with_sudo_on_port_514() {
    Way {
        name: "Podman with sudo",
        number: 2,
        user: "soc",
        setup: &["--sudo", "--syslog-port", "514"],
        engine: &["sudo", "podman"],
        port: 514,
        network: "host",
        ipv6: true,
    }
    .live();
}

#[test]
fn docker_as_root() {
    Way {
        name: "Docker as root",
        number: 3,
        user: "root",
        setup: &["--docker"],
        engine: &["docker"],
        port: 1514,
        network: "host",
        ipv6: true,
    }
    .live();
}

#[test]
fn docker_with_sudo_on_port_514_and_on_1514() {
    Way {
        name: "Docker with sudo",
        number: 4,
        user: "soc",
        setup: &["--docker", "--sudo", "--syslog-port", "514"],
        engine: &["sudo", "docker"],
        port: 514,
        network: "bridge",
        ipv6: false,
    }
    .live();
    Way {
        name: "Docker with sudo on the default port",
        number: 5,
        user: "soc",
        setup: &["--docker", "--sudo"],
        engine: &["sudo", "docker"],
        port: 1514,
        network: "host",
        ipv6: true,
    }
    .live();
}

/// An installation with everything around it.
struct Installation {
    way: Way,
    dir: PathBuf,
    home: tempfile::TempDir,
    host: Host,
    soc: Soc,
    view: View,
}

const GUARDED: [&str; 9] =
    ["start", "stop", "test", "sample", "deploy", "update", "reset", "delete", "purge"];

impl Way {
    fn live(self) {
        if !engines_wanted(self.name) {
            return;
        }
        let _one = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut installation = Installation::new(self);
        installation.life();
    }
}

impl Installation {
    fn new(way: Way) -> Self {
        let host = Host::new(way.number);
        let soc = Soc::start_on(&host.gateway, &[]);
        // Below /home and not /tmp: some installations have /tmp in memory, and the manual says /home.
        let home = tempfile::Builder::new().prefix("soc-test-").tempdir_in("/home").unwrap();
        let dir = home.path().join("soc-connector");
        fs::create_dir(&dir).unwrap();
        soc.furnish(&dir, "client", way.port, "");
        // As in every installation; other tests leave them off, because they number their own messages.
        common::set(&dir, "connector.self_reports", true);
        // Port and engine come from setup's options here, as in the manual.
        let settings = fs::read_to_string(dir.join("conf/soc-connector.toml")).unwrap();
        let settings = settings.replace(&format!("syslog_port = {}\n", way.port), "");
        fs::write(dir.join("conf/soc-connector.toml"), settings).unwrap();
        let source = Path::new(env!("CARGO_MANIFEST_DIR"));
        fs::copy(source.join("soc-connector.sh"), dir.join("soc-connector.sh")).unwrap();
        fs::copy(common::binary(), dir.join("soc-connector")).unwrap();
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let view = soc.view("client");
        let this = Self { way, dir, home, host, soc, view };
        let (uid, gid) = this.owner();
        for path in walk(&this.dir) {
            chown(&path, Some(uid), Some(gid)).unwrap();
        }
        // What an earlier, broken run may have left under this name is not this test's matter: names are DIR's.
        this
    }

    fn owner(&self) -> (u32, u32) {
        let id =
            |flag: &str| run(Command::new("id").args([flag, self.way.user])).ok().out.trim().parse().unwrap();
        (id("-u"), id("-g"))
    }

    /// The manual's `./soc-connector.sh COMMAND`, as the manual's user.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("setpriv");
        let (uid, gid) = self.owner();
        command
            .args(["--reuid", &uid.to_string(), "--regid", &gid.to_string(), "--init-groups", "--"])
            .arg("./soc-connector.sh")
            .args(arguments)
            .current_dir(&self.dir)
            .env("HOME", if uid == 0 { "/root".into() } else { format!("/home/{}", self.way.user) })
            .env("USER", self.way.user)
            .env_remove("XDG_RUNTIME_DIR")
            .env_remove("SOC_DIR");
        command
    }

    fn sh(&self, arguments: &[&str]) -> Done {
        let done = run(&mut self.command(arguments));
        println!("$ ./soc-connector.sh {}\n{}{}", arguments.join(" "), done.out, done.err);
        done
    }

    /// The engine's own command line, as an operator would look.
    fn engine(&self, arguments: &[&str]) -> Done {
        let (uid, gid) = self.owner();
        let run_dir = format!("/run/user/{uid}");
        let done = run(Command::new("setpriv")
            .args(["--reuid", &uid.to_string(), "--regid", &gid.to_string(), "--init-groups", "--"])
            .args(self.way.engine)
            .args(arguments)
            .current_dir("/")
            .env("HOME", if uid == 0 { "/root".into() } else { format!("/home/{}", self.way.user) })
            .env("XDG_RUNTIME_DIR", run_dir));
        println!("$ {} {}\n{}{}", self.way.engine.join(" "), arguments.join(" "), done.out, done.err);
        done
    }

    #[track_caller]
    fn assert_state(&self, expected: &str) {
        let status = self.sh(&["status"]).ok();
        assert_eq!(status.out.lines().next().unwrap(), format!("INFO - {expected}"));
    }

    /// Every command that is not in `allowed` is refused, with the state found and a way out.
    #[track_caller]
    fn assert_refused_but(&self, state: &str, allowed: &[&str]) {
        for command in GUARDED.iter().filter(|command| !allowed.contains(command)) {
            let refused = self.sh(&[command]);
            assert_eq!(refused.code, Some(1), "{command} in state {state}");
            assert!(refused.err.starts_with("ERROR - E104 "), "{}", refused.err);
            assert!(refused.err.contains(&format!("found \"{state}\"")), "{}", refused.err);
        }
        self.assert_state(state);
    }

    fn container(&self) -> String {
        let record: Value =
            serde_json::from_slice(&fs::read(self.dir.join("setup/state.json")).unwrap()).unwrap();
        record["container"].as_str().unwrap().to_owned()
    }

    fn inspect(&self) -> Value {
        let out = self.engine(&["inspect", &self.container()]).ok().out;
        serde_json::from_str::<Value>(&out).unwrap()[0].clone()
    }

    fn life(&mut self) {
        self.before_setup();
        self.setup();
        self.start();
        self.test_and_sample();
        self.addresses_survive();
        self.crash();
        self.killed_by_the_engine();
        self.reboot();
        self.stop_and_start();
        self.production();
        self.end();
    }

    fn before_setup(&self) {
        let state = "Setup: incomplete Mode: - Connector: -";
        self.assert_refused_but(state, &["reset", "delete", "purge"]);
    }

    fn setup(&self) {
        let mut arguments = vec!["setup"];
        arguments.extend(self.way.setup);
        let setup = self.sh(&arguments).ok();
        assert_eq!(setup.out.lines().last().unwrap(), "OK - SOC-Connector setup completed!");
        let state = "Setup: complete Mode: stage Connector: stopped";
        // `deploy` is refused too: no test has passed yet.
        self.assert_refused_but(state, &["start", "update", "reset", "delete", "purge"]);
        let status = self.sh(&["status"]).ok().out;
        assert!(status.contains(&format!("network {}", self.way.network)), "{status}");
    }

    fn start(&mut self) {
        self.sh(&["start"]).ok();
        let state = "Setup: complete Mode: stage Connector: running";
        self.assert_refused_but(state, &["stop", "test", "sample", "update"]);
        let container = self.inspect();
        let (uid, gid) = self.owner();
        assert_eq!(container["Config"]["User"], format!("{uid}:{gid}"), "{:#}", container["Config"]);
        let host = &container["HostConfig"];
        assert_eq!(host["ReadonlyRootfs"], true);
        assert_eq!(host["Privileged"], false);
        assert_eq!(host["RestartPolicy"]["Name"], "always");
        assert!(host["SecurityOpt"].to_string().contains("no-new-privileges"), "{host:#}");
        assert!(!host["SecurityOpt"].to_string().contains("unconfined"), "{host:#}");
        // The kernel's word on the process itself.
        let pid = container["State"]["Pid"].as_u64().unwrap();
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let field = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_once(':').unwrap().1.trim().to_owned()
        };
        assert_eq!(
            field("Uid").split_whitespace().next().unwrap(),
            uid.to_string(),
            "host uid of the process"
        );
        assert_eq!(field("NoNewPrivs"), "1");
        assert_eq!(field("Seccomp"), "2", "a seccomp filter");
        let bind = u64::from(self.way.port < 1024 && self.way.network == "host") << 10;
        for set in ["CapEff", "CapPrm", "CapBnd"] {
            assert_eq!(u64::from_str_radix(&field(set), 16).unwrap(), bind, "{set}");
        }
        // What the kernel counts is seen also by a process that is locked in like this.
        let status: Value = serde_json::from_str(&self.sh(&["--json", "status"]).ok().out).unwrap();
        assert_eq!(status["running"]["listener"]["udp_kernel"]["dropped"], 0, "{status:#}");
        let metrics = self.sh(&["metrics"]).ok().out;
        assert!(metrics.contains("\nsoc_connector_udp_kernel_drops_total 0\n"), "{metrics}");
        let started = self.view.wait("started", |event| event["connector"]["transport"] == "own");
        assert_eq!(started["connector"]["seq"], 1, "{started:#}");
        // The health check as the engine runs it.
        self.engine(&["exec", &self.container(), "/soc-connector", "--dir", "/soc", "health"]).ok();
        let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
        let files = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
        let files: u64 = files.split_whitespace().nth(1).unwrap().parse().expect("a bound, not unlimited");
        assert!(files <= 16_384, "{limits}");
        // Rootless Podman on cgroup v1 can set neither; `start` says so.
        if self.way.engine != ["podman"] {
            assert_eq!(host["Memory"], 512 << 20, "{host:#}");
            assert_eq!(host["PidsLimit"], 128, "{host:#}");
        }
        let mounts = fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap();
        for file in ["client-cert.pem", "client-key.pem", "ca.pem", "conf"] {
            let mount = mounts.lines().find(|line| line.contains(&format!(" /soc/{file} "))).unwrap();
            assert!(mount.split_whitespace().nth(5).unwrap().starts_with("ro"), "{mount}");
        }
        assert!(!mounts.contains("/spool/production"), "stage does not see production's spool:\n{mounts}");
    }

    fn test_and_sample(&mut self) {
        let test = self.sh(&["test"]).ok();
        let lines: Vec<&str> = test.out.lines().collect();
        assert_eq!(lines.len(), 6, "{}", test.out);
        for (number, pair) in lines.chunks(2).enumerate() {
            let text = pair[0]
                .strip_prefix(&format!("INFO - submitting log message #{}/3 : ", number + 1))
                .unwrap_or_else(|| panic!("{}", pair[0]));
            let second = text.strip_prefix("SOC-Connector/Incubator test message ").unwrap();
            assert!(second.parse::<u64>().unwrap() > 1_700_000_000);
            assert_eq!(pair[1], format!("INFO - SOC System confirmed log message : {text}"));
        }
        // Two commands at once in one directory: the second one is told to wait.
        let mut first = Process::spawn(self.command(&["test"]));
        first.wait_for("submitting log message #1/3");
        let second = self.sh(&["stop"]);
        assert_eq!(second.code, Some(1));
        assert!(second.err.starts_with("ERROR - E102 `test` (process "), "{}", second.err);
        assert!(second.err.contains("wait until it has ended"), "{}", second.err);
        assert_eq!(first.wait(), Some(0));
        let mut sample = Process::spawn(self.command(&["sample"]));
        // The first line has no end yet, so its coming cannot be awaited; the cursor is taken before it is printed.
        let body = format!("This is my very important log message! ({})", self.way.name);
        let port = self.way.port.to_string();
        let shown = loop {
            run(self.host.command("logger").args([
                "--port",
                &port,
                "--server",
                &self.host.gateway,
                "--tcp",
                "-t",
                "myapp",
                &body,
            ]))
            .ok();
            if let Some(shown) = sample.wait_up_to(std::time::Duration::from_secs(2), "  }") {
                break shown;
            }
        };
        assert!(shown.contains("waiting for confirmation ..."), "{shown}");
        assert!(shown.contains("INFO - SOC System confirmed log message : {\n"), "{shown}");
        assert!(shown.contains(&format!("  \"body\": \"{body}\",\n")), "{shown}");
        assert!(shown.contains("  \"appName\": \"myapp\",\n"), "{shown}");
        sample.signal(rustix::process::Signal::INT);
        assert_eq!(sample.wait(), Some(0), "Ctrl-C ends sample cleanly");
    }

    fn addresses_survive(&mut self) {
        let port = self.way.port.to_string();
        let mut from = vec![(self.host.gateway.clone(), self.host.address.clone())];
        if self.way.ipv6 {
            from.push((self.host.gateway6.clone(), self.host.address6.clone()));
        }
        for (gateway, address) in from {
            for transport in ["--udp", "--tcp"] {
                let body = format!("sent from {address} {transport}");
                run(self
                    .host
                    .command("logger")
                    .args(["--server", &gateway, "--port", &port, transport, &body]))
                .ok();
                let source = self.view.wait_body(&body)["connector"]["source"].as_str().unwrap().to_owned();
                let (seen, _) = source.rsplit_once(':').unwrap();
                assert_eq!(seen.trim_matches(['[', ']']), address, "over {transport}");
            }
        }
    }

    /// The process is killed the hard way: the engine restarts it, and no event that was taken in is missing.
    fn crash(&mut self) {
        let before = self.inspect()["State"]["Pid"].as_u64().unwrap();
        self.receives("taken in right before the crash");
        run(Command::new("kill").args(["-9", &before.to_string()])).ok();
        self.await_new_process(before);
        let event = self.receives("taken in after the crash");
        self.view.wait("the crash", |event| {
            event["body"].as_str().unwrap().starts_with("restarted-after-crash: ")
        });
        let seq = |event: &Value| event["connector"]["seq"].as_u64().unwrap();
        assert!(seq(&event) > 1, "numbers go on after a crash");
    }

    /// The engine kills the container while no receiver is there: every event that was safe is delivered by the next one,
    /// in order, under its number.
    fn killed_by_the_engine(&mut self) {
        const EVENTS: u64 = 300;
        let safe = |this: &Self| {
            let status: Value = serde_json::from_str(&this.sh(&["--json", "status"]).ok().out).unwrap();
            status["running"]["spool"]["durable_seq"].as_u64().unwrap()
        };
        self.soc.incubator.kill();
        let before = safe(self);
        let file = self.home.path().join("messages");
        let body = |number: u64| format!("before the engine kills {number}");
        fs::write(&file, (1..=EVENTS).map(|number| body(number) + "\n").collect::<String>()).unwrap();
        let (port, file) = (self.way.port.to_string(), file.to_str().unwrap());
        let to = ["--server", &self.host.gateway, "--port", &port, "--tcp", "--octet-count", "--file", file];
        run(self.host.command("logger").args(to)).ok();
        let until = std::time::Instant::now() + common::PATIENCE;
        while safe(self) < before + EVENTS {
            assert!(std::time::Instant::now() < until, "not all of them reach the disk");
        }
        let old = self.inspect()["State"]["Pid"].as_u64().unwrap();
        self.engine(&["kill", &self.container()]).ok();
        // Whether the engine starts it again is the engine's way: killed on demand counts as stopped for some.
        let state = self.inspect()["State"].clone();
        if state["Running"] == true && state["Pid"] != old {
            self.await_new_process(old);
        } else {
            self.sh(&["start"]).ok();
        }
        let (stream, confirmations) = (self.soc.stream.to_string(), self.soc.confirmations.to_string());
        (self.soc.incubator, ..) = common::incubator(self.soc.dir.path(), &stream, &confirmations);
        self.view = self.soc.view("client");
        self.view.wait("the last of them", |event| event["body"] == body(EVENTS));
        let mut seqs = Vec::new();
        for (number, event) in (1..).zip(
            self.view
                .events
                .iter()
                .filter(|event| event["body"].as_str().unwrap().starts_with("before the engine kills ")),
        ) {
            assert_eq!(event["body"], body(number));
            seqs.push(event["connector"]["seq"].as_u64().unwrap());
        }
        assert_eq!(seqs.len() as u64, EVENTS - 1, "the last one was taken out of the view");
        assert!(seqs[0] > before && seqs.windows(2).all(|pair| pair[0] < pair[1]), "{seqs:?}");
        self.receives("taken in after the engine's kill");
    }

    /// Waits until the engine has the container running again, as another process.
    fn await_new_process(&self, old: u64) {
        let until = std::time::Instant::now() + common::PATIENCE;
        loop {
            let state = &self.inspect()["State"];
            let pid = state["Pid"].as_u64().unwrap();
            if state["Running"] == true && pid != 0 && pid != old {
                return;
            }
            assert!(std::time::Instant::now() < until, "not restarted: {state:#}");
            std::thread::sleep(std::time::Duration::from_millis(200));
        }
    }

    /// Waits until the port answers, and until what is sent there was confirmed.
    fn receives(&mut self, body: &str) -> Value {
        let port = self.way.port.to_string();
        let until = std::time::Instant::now() + common::PATIENCE;
        let send = || {
            run(self.host.command("logger").args([
                "--server",
                &self.host.gateway,
                "--port",
                &port,
                "--tcp",
                body,
            ]))
        };
        while send().code != Some(0) {
            assert!(std::time::Instant::now() < until, "the port does not come back");
            std::thread::sleep(std::time::Duration::from_millis(200));
        }
        self.view.wait_body(body)
    }

    /// What a reboot leaves is a container without a process. Docker's daemon starts it by itself; for Podman there is
    /// podman-restart.service, whose one command is given here. The machine itself stays up.
    fn reboot(&mut self) {
        let container = self.inspect();
        let pid = container["State"]["Pid"].as_u64().unwrap();
        if self.way.engine.contains(&"docker") {
            // The daemon first, so that it does not see the container die.
            run(Command::new("pkill").args(["-9", "-x", "dockerd"])).ok();
            run(Command::new("pkill").args(["-9", "-f", "containerd-shim-runc"]));
            run(Command::new("kill").args(["-9", &pid.to_string()]));
            run(Command::new("bash").arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lib/engines.sh")))
                .ok();
        } else {
            run(Command::new("pkill").args(["-9", "-f", &format!("conmon .*-n {} ", self.container())])).ok();
            run(Command::new("kill").args(["-9", &pid.to_string()]));
            // Podman knows a reboot by what is gone from /run, where mounts and states of containers are kept too.
            let (uid, _) = self.owner();
            let run_dir =
                if self.way.engine == ["podman"] { format!("/run/user/{uid}") } else { "/run".to_owned() };
            if let Ok(pause) = fs::read_to_string(format!("{run_dir}/libpod/tmp/pause.pid")) {
                run(Command::new("kill").args(["-9", pause.trim()]));
            }
            let merged = container["GraphDriver"]["Data"]["MergedDir"].as_str().unwrap_or_default();
            run(Command::new("umount").args(["--lazy", merged]));
            for part in ["libpod", "containers", "runc"] {
                run(Command::new("rm").args(["-rf", &format!("{run_dir}/{part}")]));
            }
            self.engine(&["start", "--all", "--filter", "restart-policy=always"]).ok();
        }
        self.await_new_process(pid);
        self.receives("taken in after a reboot");
    }

    fn stop_and_start(&mut self) {
        self.sh(&["stop"]).ok();
        assert_ne!(
            self.engine(&["inspect", &self.container()]).code,
            Some(0),
            "the container is deleted at stop"
        );
        // Tested now, so `deploy` would be allowed; it is for later.
        let state = "Setup: complete Mode: stage Connector: stopped";
        self.assert_refused_but(state, &["start", "deploy", "update", "reset", "delete", "purge"]);
        // A container of that name from elsewhere is dealt with.
        let image: Value =
            serde_json::from_slice(&fs::read(self.dir.join("setup/state.json")).unwrap()).unwrap();
        self.engine(&["create", "--name", &self.container(), image["image"].as_str().unwrap()]).ok();
        self.sh(&["start"]).ok();
        self.assert_state("Setup: complete Mode: stage Connector: running");
        self.sh(&["stop"]).ok();
        self.failing_start();
        self.sh(&["start"]).ok();
        // A newer program brings a newer image: after `update`, setup is due before the next start.
        let old = fs::read(self.dir.join("soc-connector")).unwrap();
        let mut new = old.clone();
        new.extend_from_slice(b"newer");
        self.replace_program(&new);
        let update = self.sh(&["update"]).ok();
        assert!(update.out.contains("OK - a newer image is there: sha256:"), "{}", update.out);
        self.assert_state("Setup: complete Mode: stage Connector: running");
        self.sh(&["stop"]).ok();
        self.assert_state("Setup: incomplete Mode: - Connector: -");
        let start = self.sh(&["start"]);
        assert!(start.err.starts_with("ERROR - E104 "), "{}", start.err);
        assert!(start.err.contains("run `setup` first"), "{}", start.err);
        self.replace_program(&old);
        self.sh(&["setup"]).ok();
    }

    /// A connector that cannot come up is said to be none, with its own last words, and leaves no container behind.
    fn failing_start(&self) {
        let run_dir = self.dir.join("setup/run");
        fs::set_permissions(&run_dir, fs::Permissions::from_mode(0o500)).unwrap();
        let start = self.sh(&["start"]);
        fs::set_permissions(&run_dir, fs::Permissions::from_mode(0o700)).unwrap();
        assert_eq!(start.code, Some(1));
        assert!(start.err.starts_with("ERROR - E323 "), "{}", start.err);
        assert!(start.out.contains("INFO - container: ERROR - E105 "), "{}", start.out);
        self.assert_state("Setup: complete Mode: stage Connector: stopped");
        assert_ne!(self.engine(&["inspect", &self.container()]).code, Some(0), "no container is left");
    }

    /// Puts another binary beside the script. A running one cannot be written to, so it is removed first.
    fn replace_program(&self, bytes: &[u8]) {
        let program = self.dir.join("soc-connector");
        fs::remove_file(&program).unwrap();
        fs::write(&program, bytes).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let (uid, gid) = self.owner();
        chown(&program, Some(uid), Some(gid)).unwrap();
    }

    fn production(&mut self) {
        // A receiver of its own stands for the concentrators.
        let (_concentrator, stream, confirmations) = common::incubator(
            self.soc.dir.path(),
            &format!("{}:0", self.host.gateway),
            &format!("{}:0", self.host.gateway),
        );
        let file = self.dir.join("conf/soc-connector.toml");
        let settings = fs::read_to_string(&file).unwrap();
        let old = format!("concentrators = [\"{}\"]", self.soc.stream);
        assert!(settings.contains(&old), "{settings}");
        fs::write(&file, settings.replace(&old, &format!("concentrators = [\"{stream}\"]"))).unwrap();
        // Changed settings need setup, and then tests, again. This one takes the image from a file, as on a host that
        // has none; it is the same image, so `update` has nothing to do behind it.
        self.sh(&["image", "save", "image.tar"]).ok();
        self.sh(&["purge"]).ok();
        self.assert_state("Setup: incomplete Mode: - Connector: -");
        self.sh(&["setup", "--image-file", "image.tar"]).ok();
        let update = self.sh(&["update", "--image-file", "image.tar"]).ok().out;
        assert_eq!(update.lines().last().unwrap(), "OK - the image is up to date");
        let update = self.sh(&["update"]).ok().out;
        assert!(update.contains("OK - the image came from an archive"), "{update}");
        let setup = self.sh(&["setup"]).ok().out;
        assert!(setup.contains(", which an archive brought; "), "{setup}");
        assert!(self.sh(&["deploy"]).err.starts_with("ERROR - E104 "), "deploy needs a passed test");
        self.sh(&["start"]).ok();
        self.sh(&["test"]).ok();
        self.sh(&["stop"]).ok();
        self.sh(&["deploy"]).ok();
        let state = "Setup: complete Mode: production Connector: stopped";
        self.assert_refused_but(state, &["start", "update", "reset", "delete", "purge"]);
        self.sh(&["start"]).ok();
        let state = "Setup: complete Mode: production Connector: running";
        self.assert_refused_but(state, &["stop", "update"]);
        let body = format!("a production event by {}", self.way.name);
        let port = self.way.port.to_string();
        run(self.host.command("logger").args([
            "--server",
            &self.host.gateway,
            "--port",
            &port,
            "--tcp",
            &body,
        ]))
        .ok();
        let mut production = self.soc.view_at("client", confirmations);
        production.wait_body(&body);
        self.view.fetch(std::time::Duration::from_secs(0));
        assert!(
            !self.view.events.iter().any(|event| event["body"] == *body),
            "no production event at the incubator"
        );
        assert!(
            !production.events.iter().any(|event| event["body"].as_str().unwrap().contains("Incubator test")),
            "no stage event at the concentrator"
        );
        // Without setup's record what runs can only be stopped.
        let record = self.dir.join("setup/state.json");
        let aside = self.dir.join("setup/state.aside");
        fs::rename(&record, &aside).unwrap();
        for command in ["reset", "delete", "purge"] {
            let refused = self.sh(&[command]);
            assert!(
                refused.err.starts_with("ERROR - E104 ") && refused.err.contains("`stop`"),
                "{refused:?}"
            );
        }
        fs::rename(&aside, &record).unwrap();
        // Setup leads back to stage, whatever runs.
        self.sh(&["setup"]).ok();
        self.assert_state("Setup: complete Mode: stage Connector: stopped");
    }

    fn end(&self) {
        let (uid, _) = self.owner();
        for path in walk(&self.dir) {
            let meta = fs::symlink_metadata(&path).unwrap();
            assert_eq!(meta.uid(), uid, "{} belongs to another", path.display());
            let private = path.starts_with(self.dir.join("spool")) || path.ends_with("client-key.pem");
            if private && path != self.dir.join("spool") {
                assert_eq!(meta.mode() & 0o077, 0, "{} is open to others", path.display());
            }
        }
        if uid != 0 {
            // What root writes into the operator's directory the operator could not read.
            for command in ["start", "setup", "run"] {
                let root = run(Command::new("./soc-connector.sh").arg(command).current_dir(&self.dir));
                assert_eq!(root.code, Some(1), "{root:?}");
                assert!(root.err.starts_with("ERROR - E432 "), "{root:?}");
            }
            for path in walk(&self.dir) {
                assert_eq!(fs::symlink_metadata(&path).unwrap().uid(), uid, "{} is root's", path.display());
            }
        }
        let record: Value =
            serde_json::from_slice(&fs::read(self.dir.join("setup/state.json")).unwrap()).unwrap();
        let image = record["image"].as_str().unwrap();
        self.engine(&["image", "inspect", image]).ok();
        if self.way.engine == ["podman"] {
            // Another engine takes over from one that runs.
            self.sh(&["start"]).ok();
            let name = self.container();
            self.sh(&["setup", "--docker", "--sudo"]).ok();
            assert_ne!(
                self.engine(&["inspect", &name]).code,
                Some(0),
                "Podman's container is stopped and gone"
            );
            self.assert_state("Setup: complete Mode: stage Connector: stopped");
            self.sh(&["setup", "--podman", "--no-sudo"]).ok();
        }
        self.sh(&["reset"]).ok();
        self.assert_state("Setup: incomplete Mode: - Connector: -");
        self.sh(&["delete"]).ok();
        self.sh(&["purge"]).ok();
        assert_ne!(self.engine(&["image", "inspect", image]).code, Some(0), "purge removes the image");
    }
}

impl Drop for Installation {
    fn drop(&mut self) {
        if std::thread::panicking() && self.dir.join("setup/state.json").exists() {
            let name = self.container();
            self.engine(&["logs", "--tail", "30", &name]);
            self.engine(&["rm", "-f", &name]);
        }
        let _ = &self.home;
    }
}

/// Everything below a directory, and itself.
fn walk(dir: &Path) -> Vec<PathBuf> {
    let mut found = vec![dir.to_owned()];
    let mut at = 0;
    while at < found.len() {
        if found[at].is_dir() && !found[at].is_symlink() {
            found.extend(fs::read_dir(&found[at]).unwrap().map(|entry| entry.unwrap().path()));
        }
        at += 1;
    }
    found
}
