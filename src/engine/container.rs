//! The connector's container: what it is given, decided without an engine at hand.
//!
//! It gets what the connector needs and nothing else: the operator's own user and group, a read-only root, no
//! capability (one where a privileged port demands it), no new privileges, the engine's default seccomp profile, bounds
//! on memory, processes, files and log, and of DIR only the settings, the credentials, the log directory, the run-time
//! directory and the spool of the present mode: in stage mode the production spool does not exist for it.
//!
//! | inside | of DIR | |
//! |---|---|---|
//! | `/soc/conf` | `setup/conf`, the settings as setup accepted them | read-only |
//! | `/soc/setup/run` | `setup/run` | writable |
//! | `/soc/logs` | `logs` | writable |
//! | `/soc/spool/MODE` | `spool/MODE` | writable |
//! | `/soc/NAME-cert.pem`, `/soc/NAME-key.pem` | the same files | read-only |
//! | `/soc/ca.pem` | the CA certificates, wherever they are | read-only |
//!
//! The restart policy is `always`: Docker's daemon and Podman's `podman-restart.service` bring the container back after
//! a reboot (Podman's knows no other policy), and `stop` deletes it, so nothing comes back that was stopped.

use super::Info;
use super::network::NetworkPlan;
use crate::error::{Code, Error, Result};
use crate::install::Install;
use crate::settings::{EngineKind, Limits};
use crate::state::Mode;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where DIR is inside.
pub const DIR_INSIDE: &str = "/soc";
/// Where the CA certificates are inside.
pub const CA_INSIDE: &str = "/soc/ca.pem";
/// Label with the absolute path of the DIR that a container belongs to.
pub const LABEL_DIR: &str = "soc-connector.dir";
/// Label with the mode that a container runs in.
pub const LABEL_MODE: &str = "soc-connector.mode";
/// Label with the version of the program that made the container.
pub const LABEL_VERSION: &str = "soc-connector.version";

/// The most that the engine keeps of the container's output, in bytes: the log files in DIR are the real ones.
pub const MAX_LOG_BYTES: u64 = 10 << 20;
/// Time that a container has after its stop signal, where `stop` gives no other: it drains within less.
pub const STOP_TIMEOUT: Duration = Duration::from_secs(30);

/// A health check as the engine makes it. Podman has no defaults of its own and takes a missing time for zero.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthCheck {
    /// What runs inside.
    pub command: Vec<String>,
    /// Time between two checks.
    pub interval: Duration,
    /// Longest time for one.
    pub timeout: Duration,
    /// Failures in a row that mean `unhealthy`.
    pub retries: u32,
    /// Time after the start in which failures do not count: a long spool takes a moment to open.
    pub start_period: Duration,
}

impl Default for HealthCheck {
    fn default() -> Self {
        Self {
            command: vec!["/soc-connector".into(), "health".into()],
            interval: Duration::from_secs(30),
            timeout: Duration::from_secs(5),
            retries: 3,
            start_period: Duration::from_secs(20),
        }
    }
}

/// A file or directory of the host inside the container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Absolute path on the host.
    pub source: PathBuf,
    /// Absolute path inside.
    pub target: String,
    /// The container may write.
    pub writable: bool,
    /// It is DIR's own, so it may be labelled for the container where SELinux asks for that.
    pub own: bool,
}

/// What a container is made of, in no engine's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerSpec {
    /// Unique on the host.
    pub name: String,
    /// The image's id.
    pub image: String,
    /// Arguments to the image's entry point.
    pub args: Vec<String>,
    /// User and group on the host: whom the process and all that it writes belong to.
    pub user: (u32, u32),
    /// What of the host it sees.
    pub mounts: Vec<Mount>,
    /// How it is reached.
    pub network: NetworkPlan,
    /// What it may use.
    pub limits: Limits,
    /// For recognising it.
    pub labels: BTreeMap<String, String>,
    /// How the engine checks it.
    pub health_check: HealthCheck,
    /// See [`STOP_TIMEOUT`].
    pub stop_timeout: Duration,
}

/// The files that prove who the connector is, and what it checks others against. Absolute paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The client certificate; keeps its file name inside.
    pub certificate: PathBuf,
    /// Its key; keeps its file name inside.
    pub key: PathBuf,
    /// The CA certificates for servers; none where the binary's own or no roots are wanted.
    pub ca: Option<PathBuf>,
}

/// Everything that decides a connector's container.
#[derive(Debug, Clone)]
pub struct Wanted<'a> {
    /// The installation.
    pub install: &'a Install,
    /// Stage or production.
    pub mode: Mode,
    /// The container's name.
    pub name: &'a str,
    /// The image's id.
    pub image: &'a str,
    /// The operator's user and group: those of DIR's files.
    pub user: (u32, u32),
    /// What [`super::network::choose`] said.
    pub network: &'a NetworkPlan,
    /// `[limits]`.
    pub limits: Limits,
    /// Certificate, key, CA.
    pub credentials: &'a Credentials,
    /// Arguments to the entry point: `run` and what belongs to it.
    pub args: Vec<String>,
}

impl ContainerSpec {
    /// Decides. E326 where a path cannot be a mount: the engines split a mount's text at its colons.
    pub fn new(wanted: Wanted<'_>) -> Result<Self> {
        let Wanted { install, mode, credentials, .. } = wanted;
        let inside = |rest: &str| format!("{DIR_INSIDE}/{rest}");
        let own = |source: PathBuf, target: String, writable| Mount { source, target, writable, own: true };
        let named = |path: &Path| -> Result<Mount> {
            let name = path.file_name().and_then(|name| name.to_str()).ok_or_else(|| {
                Error::new(Code::MountImpossible, format!("{} has no readable file name", path.display()))
            })?;
            let ours = path.starts_with(install.dir());
            Ok(Mount { source: path.to_owned(), target: inside(name), writable: false, own: ours })
        };
        let conf = install.accepted_settings_dir();
        let mut mounts = vec![
            own(conf, inside("conf"), false),
            own(install.run_dir(), inside("setup/run"), true),
            own(install.logs_dir(), inside("logs"), true),
            own(install.spool_dir(mode), inside(&format!("spool/{}", mode.name())), true),
            named(&credentials.certificate)?,
            named(&credentials.key)?,
        ];
        if let Some(ca) = &credentials.ca {
            let own = ca.starts_with(install.dir());
            mounts.push(Mount { source: ca.clone(), target: CA_INSIDE.into(), writable: false, own });
        }
        for mount in &mounts {
            let text = mount.source.to_str();
            if text.is_none_or(|text| text.contains(':')) {
                return Err(Error::new(
                    Code::MountImpossible,
                    format!(
                        "{} cannot be given to a container: its path has a colon or is not UTF-8; move the \
                         installation to another directory",
                        mount.source.display()
                    ),
                ));
            }
        }
        let labels = BTreeMap::from([
            (LABEL_DIR.to_owned(), install.dir().display().to_string()),
            (LABEL_MODE.to_owned(), mode.name().to_owned()),
            (LABEL_VERSION.to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
        ]);
        Ok(Self {
            name: wanted.name.to_owned(),
            image: wanted.image.to_owned(),
            args: wanted.args,
            user: wanted.user,
            mounts,
            network: wanted.network.clone(),
            limits: wanted.limits,
            labels,
            health_check: HealthCheck::default(),
            stop_timeout: STOP_TIMEOUT,
        })
    }

    /// `UID:GID`.
    pub(super) fn user_text(&self) -> String {
        format!("{}:{}", self.user.0, self.user.1)
    }

    /// The limits that this engine can set on this machine, and what the operator should know where it is less than
    /// was asked for.
    pub fn limits_for(&self, info: &Info, host: HostLimits) -> (EngineLimits, Vec<String>) {
        let mut remarks = Vec::new();
        if !info.memory_limit || !info.pids_limit {
            let missing = match (info.memory_limit, info.pids_limit) {
                (false, false) => "memory and processes",
                (false, true) => "memory",
                _ => "processes",
            };
            remarks.push(format!(
                "the container runs without a limit on {missing}: the engine cannot set it here (cgroup v{}, {})",
                info.cgroup_version,
                if info.rootless { "rootless" } else { "as root" }
            ));
        }
        // Docker's daemon raises limits itself; Podman hands on at most what its caller has.
        let files = match info.kind {
            EngineKind::Docker => self.limits.files,
            EngineKind::Podman => self.limits.files.min(host.files),
        };
        if files < self.limits.files {
            remarks.push(format!(
                "the container may open {files} files, not {}: that is this user's own limit (`ulimit -Hn`)",
                self.limits.files
            ));
        }
        let limits = EngineLimits {
            memory_bytes: info.memory_limit.then_some(self.limits.memory_bytes),
            pids: info.pids_limit.then_some(self.limits.pids),
            files,
            user_processes: (info.kind == EngineKind::Podman).then_some(host.user_processes),
        };
        (limits, remarks)
    }
}

/// What this process itself may use; a container that it makes through Podman cannot get more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostLimits {
    /// Open files, hard limit.
    pub files: u64,
    /// Processes of one user, hard limit.
    pub user_processes: u64,
}

impl HostLimits {
    /// Of this process. Podman lowers its own number of processes to the kernel's `pid_max`, so that bounds it too.
    pub fn read() -> Self {
        use rustix::process::{Resource, getrlimit};
        let hard = |resource| getrlimit(resource).maximum.unwrap_or(u64::MAX);
        let pid_max = std::fs::read_to_string("/proc/sys/kernel/pid_max")
            .ok()
            .and_then(|text| text.trim().parse().ok())
            .unwrap_or(DEFAULT_PID_MAX);
        Self { files: hard(Resource::Nofile), user_processes: hard(Resource::Nproc).min(pid_max) }
    }
}

/// The kernel's smallest default of `pid_max`.
const DEFAULT_PID_MAX: u64 = 32768;

/// Limits as they go to an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EngineLimits {
    /// Memory in bytes; swap does not come on top.
    pub memory_bytes: Option<u64>,
    /// Processes and threads of the container.
    pub pids: Option<u32>,
    /// Open files.
    pub files: u64,
    /// `RLIMIT_NPROC`, which counts all processes of the user. Given only so that Podman does not try to raise it,
    /// which fails where the machine withholds `CAP_SYS_RESOURCE`.
    pub user_processes: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::super::{docker, network, podman};
    use super::*;
    use crate::settings::Network;
    use std::net::{IpAddr, Ipv6Addr};

    const HOST: HostLimits = HostLimits { files: 1 << 20, user_processes: 30000 };

    fn info(kind: EngineKind, rootless: bool) -> Info {
        Info {
            kind,
            version: "4.3.1".into(),
            api: "4.3.1".into(),
            rootless,
            cgroup_version: 2,
            memory_limit: true,
            pids_limit: true,
            selinux: false,
            remaps_users: false,
        }
    }

    fn spec(dir: &Path, info: &Info, mode: Mode, port: u16) -> ContainerSpec {
        let install = Install::open(dir).expect("exists");
        let facts = network::Facts {
            kind: info.kind,
            rootless: info.rootless,
            port,
            addresses: &[IpAddr::V6(Ipv6Addr::UNSPECIFIED)],
            unprivileged_port_start: 1024,
        };
        let plan = network::choose(Network::Auto, facts).expect("possible");
        let credentials = Credentials {
            certificate: install.dir().join("site-cert.pem"),
            key: install.dir().join("site-key.pem"),
            ca: Some("/etc/ssl/certs/ca-certificates.crt".into()),
        };
        ContainerSpec::new(Wanted {
            install: &install,
            mode,
            name: "soc-connector-x",
            image: "sha256:abc",
            user: (1001, 1002),
            network: &plan,
            limits: Limits::default(),
            credentials: &credentials,
            args: vec!["run".into()],
        })
        .expect("a plain path")
    }

    /// Both engines' bodies, brought to the same shape: what a container may do must not depend on the engine.
    fn rights(info: &Info, dir: &Path, mode: Mode, port: u16) -> (Vec<String>, serde_json::Value) {
        let spec = spec(dir, info, mode, port);
        let (limits, remarks) = spec.limits_for(info, HOST);
        assert!(remarks.is_empty(), "{remarks:?}");
        if info.kind == EngineKind::Docker {
            let body = serde_json::to_value(docker::create_body(&spec, limits, info)).expect("JSON");
            let host = &body["HostConfig"];
            let mounts = if info.selinux {
                let binds = host["Binds"].as_array().expect("mounts").iter();
                binds.map(|bind| bind.as_str().expect("text").to_owned()).collect()
            } else {
                let mounts = host["Mounts"].as_array().expect("mounts").iter();
                let text =
                    |mount: &serde_json::Value, key: &str| mount[key].as_str().expect("text").to_owned();
                mounts
                    .map(|mount| {
                        let access = if mount["ReadOnly"] == true { "ro" } else { "rw" };
                        format!("{}:{}:{access}", text(mount, "Source"), text(mount, "Target"))
                    })
                    .collect()
            };
            let rights = serde_json::json!({
                "user": body["User"], "read_only": host["ReadonlyRootfs"], "drop": host["CapDrop"],
                "add": host["CapAdd"], "no_new": host["SecurityOpt"] == serde_json::json!(["no-new-privileges"]),
                "restart": host["RestartPolicy"]["Name"], "memory": host["Memory"], "pids": host["PidsLimit"],
                "files": host["Ulimits"][0]["Hard"], "tty": body["Tty"], "stop": body["StopTimeout"],
                "check": body["Healthcheck"]["Timeout"],
            });
            (mounts, rights)
        } else {
            let body = podman::create_body(&spec, limits, info);
            let mounts = body["mounts"].as_array().expect("mounts").iter().map(|mount| {
                let text = |key: &str| mount[key].as_str().expect("text").to_owned();
                format!(
                    "{}:{}:{}",
                    text("source"),
                    text("destination"),
                    mount["options"][0].as_str().expect("text")
                )
            });
            let rights = serde_json::json!({
                "user": body["user"], "read_only": body["read_only_filesystem"], "drop": body["cap_drop"],
                "add": body["cap_add"], "no_new": body["no_new_privileges"],
                "restart": body["restart_policy"], "memory": body["resource_limits"]["memory"]["limit"],
                "pids": body["resource_limits"]["pids"]["limit"], "files": body["r_limits"][0]["hard"],
                "tty": body["terminal"], "stop": body["stop_timeout"], "check": body["healthconfig"]["Timeout"],
            });
            (mounts.collect(), rights)
        }
    }

    #[test]
    fn a_container_gets_the_least_in_every_engine() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let at = dir.path().canonicalize().expect("exists");
        let at = at.display();
        let wanted_rights = serde_json::json!({
            "user": "1001:1002", "read_only": true, "drop": ["ALL"], "add": null, "no_new": true, "restart": "always",
            "memory": 512 << 20, "pids": 128, "files": 16384, "tty": false, "stop": 30, "check": 5_000_000_000_u64,
        });
        let wanted_mounts = [
            format!("{at}/setup/conf:/soc/conf:ro"),
            format!("{at}/setup/run:/soc/setup/run:rw"),
            format!("{at}/logs:/soc/logs:rw"),
            format!("{at}/spool/stage:/soc/spool/stage:rw"),
            format!("{at}/site-cert.pem:/soc/site-cert.pem:ro"),
            format!("{at}/site-key.pem:/soc/site-key.pem:ro"),
            "/etc/ssl/certs/ca-certificates.crt:/soc/ca.pem:ro".to_owned(),
        ];
        for info in
            [info(EngineKind::Podman, true), info(EngineKind::Podman, false), info(EngineKind::Docker, false)]
        {
            let (mounts, rights) = rights(&info, dir.path(), Mode::Stage, 1514);
            assert_eq!(mounts, wanted_mounts, "{info:?}");
            assert_eq!(rights, wanted_rights, "{info:?}");
        }
    }

    #[test]
    fn each_mode_sees_its_own_spool_only() {
        let dir = tempfile::tempdir().expect("temporary directory");
        for (mode, other) in [(Mode::Stage, "spool/production"), (Mode::Production, "spool/stage")] {
            let (mounts, _) = rights(&info(EngineKind::Podman, true), dir.path(), mode, 1514);
            assert_eq!(mounts.iter().filter(|mount| mount.contains("/spool/")).count(), 1);
            assert!(!mounts.iter().any(|mount| mount.contains(other)), "{mounts:?}");
        }
    }

    #[test]
    fn one_capability_where_the_port_asks_for_it() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let podman = info(EngineKind::Podman, false);
        let (_, given) = rights(&podman, dir.path(), Mode::Stage, 514);
        assert_eq!(given["add"], serde_json::json!(["NET_BIND_SERVICE"]));
        // Docker publishes the port instead.
        let docker = info(EngineKind::Docker, false);
        let (_, given) = rights(&docker, dir.path(), Mode::Stage, 514);
        assert_eq!(given["add"], serde_json::Value::Null);
        let spec = spec(dir.path(), &docker, Mode::Stage, 514);
        let (limits, _) = spec.limits_for(&docker, HOST);
        let body = serde_json::to_value(docker::create_body(&spec, limits, &docker)).expect("JSON");
        assert_eq!(
            body["HostConfig"]["PortBindings"]["1514/udp"],
            serde_json::json!([{"HostIp": "0.0.0.0", "HostPort": "514"}])
        );
        assert_eq!(body["HostConfig"]["NetworkMode"], "bridge");
    }

    #[test]
    fn what_an_engine_cannot_limit_is_left_out_and_said() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let old = Info {
            cgroup_version: 1,
            memory_limit: false,
            pids_limit: false,
            ..info(EngineKind::Podman, true)
        };
        let spec = spec(dir.path(), &old, Mode::Stage, 1514);
        let (limits, remarks) = spec.limits_for(&old, HostLimits { files: 1024, user_processes: 500 });
        assert_eq!((limits.memory_bytes, limits.pids, limits.files), (None, None, 1024));
        assert_eq!(remarks.len(), 2, "{remarks:?}");
        assert!(
            remarks[0].contains("memory and processes") && remarks[0].contains("cgroup v1"),
            "{remarks:?}"
        );
        assert!(remarks[1].contains("1024 files"), "{remarks:?}");
        let body = podman::create_body(&spec, limits, &old);
        assert_eq!(body.get("resource_limits"), None);
        assert_eq!(body["userns"]["nsmode"], "keep-id");
    }

    #[test]
    fn the_process_is_the_operators_in_every_network_of_podman() {
        use network::Attachment::{Bridge, Host, Slirp4netns};
        let dir = tempfile::tempdir().expect("temporary directory");
        let of = |rootless, attachment| {
            let info = info(EngineKind::Podman, rootless);
            let mut spec = spec(dir.path(), &info, Mode::Stage, 1514);
            spec.network.attachment = attachment;
            let (limits, _) = spec.limits_for(&info, HOST);
            let body = podman::create_body(&spec, limits, &info);
            (body["user"].as_str().expect("text").to_owned(), body.get("userns").cloned())
        };
        let keep_id = Some(serde_json::json!({"nsmode": "keep-id"}));
        assert_eq!(of(true, Host), ("1001:1002".to_owned(), keep_id));
        // Root inside is the operator outside; `keep-id` here is what Podman deadlocks over.
        assert_eq!(of(true, Slirp4netns), ("0:0".to_owned(), None));
        assert_eq!(of(true, Bridge), ("0:0".to_owned(), None));
        for attachment in [Host, Bridge] {
            assert_eq!(of(false, attachment), ("1001:1002".to_owned(), None));
        }
    }

    #[test]
    fn selinux_labels_are_for_the_installations_own_files() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let info = Info { selinux: true, ..info(EngineKind::Docker, false) };
        let (mounts, _) = rights(&info, dir.path(), Mode::Stage, 1514);
        let (own, system): (Vec<_>, Vec<_>) = mounts.iter().partition(|mount| !mount.starts_with("/etc/"));
        assert!(own.iter().all(|mount| mount.ends_with(",Z")), "{own:?}");
        assert_eq!(system, ["/etc/ssl/certs/ca-certificates.crt:/soc/ca.pem:ro"]);
    }

    #[test]
    fn a_path_with_a_colon_is_refused_before_an_engine_misreads_it() {
        let base = tempfile::tempdir().expect("temporary directory");
        let dir = base.path().join("soc:ro");
        std::fs::create_dir(&dir).expect("directory");
        let install = Install::open(&dir).expect("exists");
        let plan = NetworkPlan {
            attachment: network::Attachment::Host,
            listen_port: 1514,
            publish: Vec::new(),
            bind_capability: false,
            remarks: Vec::new(),
        };
        let credentials = Credentials { certificate: dir.join("c"), key: dir.join("k"), ca: None };
        let error = ContainerSpec::new(Wanted {
            install: &install,
            mode: Mode::Stage,
            name: "x",
            image: "x",
            user: (1, 1),
            network: &plan,
            limits: Limits::default(),
            credentials: &credentials,
            args: Vec::new(),
        })
        .expect_err("a colon");
        assert_eq!(error.code(), Code::MountImpossible);
    }
}
