//! The container engine: what the connector asks of Podman and Docker, through their API.
//!
//! # How the API is reached
//!
//! | installation | socket |
//! |---|---|
//! | Docker | `$DOCKER_HOST` where it is `unix://…`, else `/run/docker.sock` |
//! | Podman, ordinary user | `$XDG_RUNTIME_DIR/podman/podman.sock` where it answers, else a service of the command's own |
//! | Podman, root | `/run/podman/podman.sock` where it answers, else a service of the command's own |
//! | any, `--sudo` | a [`relay`] that `sudo` starts as root once per command; the command itself stays the operator's |
//!
//! A service of the command's own is `podman system service` on a socket in a directory that only its user can enter.
//! It is started by the same helper as the `--sudo` variants use, without `sudo`: the helper ends when the pipe from
//! the command closes, however the command ends, and takes the service with it. [`connect()`] does all this; every
//! request has a connection of its own, because Podman's service drops idle ones (seen as "broken pipe").
//!
//! Whoever may talk to an engine that runs as root is root in effect. `--sudo` neither hides nor widens that: it
//! demands of the operator exactly the right that `sudo docker` would.
//!
//! # What differs between the engines (Podman 4.3.1, Docker 20.10.24, both tried)
//!
//! - Podman's Docker-compatible `create` ignores `Ulimits`, so a Podman container is created through the endpoint of
//!   its own API.
//! - Rootless Podman with `keep-id` has the operator as user inside and outside. With a network of the container's own
//!   it hangs over restarting after a crash, and answers nobody any more; [`container`]'s translation avoids the pair.
//! - Podman knows states that Docker does not (`stopped`, `configured`, `initialized`), and bollard's enum refuses
//!   them; `inspect` therefore reads the plain JSON.
//! - Podman makes an added capability ambient for a user other than root; Docker does not, so there it is lost at
//!   `exec`. [`network`] builds on that.
//! - Rootless Podman on cgroup v1 can set no memory and pids limits; [`container`] leaves them out and says so.
//! - Podman runs health checks through systemd timers. Without systemd its containers stay `starting` for ever, so
//!   nothing may wait for `healthy`.

mod answers;
mod connect;
pub mod container;
mod docker;
mod http;
pub mod image;
pub mod network;
mod podman;
pub mod reboot;
pub mod relay;
mod requests;

pub use connect::{Connection, connect, connect_through};
pub use container::ContainerSpec;
pub use relay::RelayArgs;

use crate::error::Result;
use crate::settings::EngineKind;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

/// What an engine says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Info {
    /// What really answers; a `docker` socket may be Podman's.
    pub kind: EngineKind,
    /// The engine's version as it writes it: `4.3.1`, `20.10.24+dfsg1`.
    pub version: String,
    /// The version of its API: Podman's own (`4.3.1`), Docker's (`1.41`).
    pub api: String,
    /// It runs as an ordinary user.
    pub rootless: bool,
    /// 1 or 2.
    pub cgroup_version: u8,
    /// It can limit a container's memory.
    pub memory_limit: bool,
    /// It can limit a container's processes.
    pub pids_limit: bool,
    /// It confines containers through SELinux, so what is mounted needs a label.
    pub selinux: bool,
    /// The Docker daemon maps users (`userns-remap`).
    pub remaps_users: bool,
}

/// An image that the engine has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageInfo {
    /// `sha256:…` of its configuration; the same in every engine.
    pub id: String,
    /// Size in bytes as the engine reckons it.
    pub size_bytes: u64,
    /// The names it is known under.
    pub references: Vec<String>,
}

/// How far a long request has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// What the engine says it does; may be empty.
    pub step: String,
    /// Bytes done.
    pub done_bytes: u64,
    /// Bytes to do, where known.
    pub total_bytes: Option<u64>,
}

/// Told of progress, several times a second at most.
pub type OnProgress<'a> = &'a mut (dyn FnMut(Progress) + Send);

/// Where a container is in its life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContainerState {
    /// Made, never started.
    Created,
    /// Its process runs.
    Running,
    /// Its process has ended with this status.
    Exited(i64),
    /// Anything else, in the engine's own word: `paused`, `restarting`, `removing`, `stopping`, …
    Other(String),
}

/// What an engine says of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerInfo {
    /// Where it is in its life.
    pub state: ContainerState,
    /// `sha256:…` of its image.
    pub image_id: String,
    /// Last start, RFC 3339 as the engine writes it; none before the first.
    pub started_at: Option<String>,
    /// How often the engine restarted it.
    pub restarts: u64,
    /// `starting`, `healthy` or `unhealthy`; none where the engine makes no checks.
    pub health: Option<String>,
    /// Status of its last end; 0 before one.
    pub exit_code: i64,
    /// The kernel killed it for want of memory.
    pub oom_killed: bool,
    /// Its labels and its image's.
    pub labels: BTreeMap<String, String>,
    /// Its process on the host while it runs.
    pub pid: Option<u32>,
}

/// A container engine. Every request is bounded in time; E306 where the bound was met.
pub trait Engine: Send + Sync {
    /// What it says of itself.
    fn info(&self) -> impl Future<Output = Result<Info>> + Send;

    /// An image by name or id; none where the engine has none such.
    fn image(&self, reference: &str) -> impl Future<Output = Result<Option<ImageInfo>>> + Send;

    /// Loads an archive as `docker save`, `podman save` and [`image`] write it; returns the image's id.
    fn load_image(
        &self,
        archive: Bytes,
        progress: OnProgress<'_>,
    ) -> impl Future<Output = Result<String>> + Send;

    /// Pulls an image from its registry (tag `latest` where none is given); returns its id.
    fn pull_image(
        &self,
        reference: &str,
        progress: OnProgress<'_>,
    ) -> impl Future<Output = Result<String>> + Send;

    /// Removes an image with all its names; false where there was none. E317 while a container uses it.
    fn remove_image(&self, reference: &str) -> impl Future<Output = Result<bool>> + Send;

    /// Creates a container and returns what the operator should know about it: limits left out and the engine's
    /// warnings. E321 where the name is taken.
    fn create(&self, spec: &ContainerSpec) -> impl Future<Output = Result<Vec<String>>> + Send;

    /// Starts it; nothing happens where it runs already.
    fn start(&self, name: &str) -> impl Future<Output = Result<()>> + Send;

    /// What the engine says of it; none where there is none such.
    fn inspect(&self, name: &str) -> impl Future<Output = Result<Option<ContainerInfo>>> + Send;

    /// Sends it its stop signal and waits up to `timeout` (whole seconds) before the kernel ends it. Nothing happens
    /// where it does not run.
    fn stop(&self, name: &str, timeout: Duration) -> impl Future<Output = Result<()>> + Send;

    /// Removes it; false where there was none. `force` ends a running one first.
    fn remove(&self, name: &str, force: bool) -> impl Future<Output = Result<bool>> + Send;

    /// The last lines of its output, control characters replaced.
    fn logs(&self, name: &str, last_lines: usize) -> impl Future<Output = Result<Vec<String>>> + Send;
}
