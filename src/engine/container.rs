//! The connector's container: what it is given, decided without an engine at hand.
//!
//! It gets what the connector needs and nothing else: the operator's own user and group, a read-only root, no
//! capability (one where a privileged port demands it), no new privileges, the engine's default seccomp profile, bounds
//! on memory, processes, files and log, and of DIR only the settings, the credentials, the log directory, the run-time
//! directory and the spool of the present mode: in stage mode the production spool does not exist for it.
//!
//! | inside | of DIR | |
//! |---|---|---|
//! | `/soc/conf` | `conf` | read-only |
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
    /// User and group, on the host and inside.
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
        let conf = install.dir().join("conf");
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
