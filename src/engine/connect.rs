//! Reaching an engine's API: which socket, and the helper where there is none to use as it is.

use super::{Info, requests};
use crate::error::{Code, Error, Result};
use crate::install::Install;
use crate::settings::{self, EngineKind};
use std::fs::DirBuilder;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};

/// Docker's socket where `DOCKER_HOST` says nothing else.
pub const DOCKER_SOCKET: &str = "/run/docker.sock";
/// Podman's socket for root, where systemd offers it.
pub const PODMAN_ROOT_SOCKET: &str = "/run/podman/podman.sock";

/// How long the helper may take until it is ready where nobody has to type a password: starting Podman's service,
/// which on its first run sets up the user's storage.
const HELPER_READY: Duration = Duration::from_secs(60);
/// The same with sudo in front: a person types a password, three times if need be.
const SUDO_READY: Duration = Duration::from_secs(600);
/// How long a helper may take to end, which includes Podman's service ending.
const HELPER_END: Duration = Duration::from_secs(10);
/// The longest answer that the helper gives, in bytes.
const MAX_HELPER_WORD: u64 = 8 * 1024;
/// Longest path of a unix socket in bytes: `sun_path` is 108 with its final zero.
const MAX_SOCKET_PATH: usize = 107;
/// Name of the socket in its private directory.
const SOCKET_NAME: &str = "engine.sock";

/// Oldest versions that the manual names.
const OLDEST_PODMAN: (u32, u32) = (3, 0);
const OLDEST_DOCKER: (u32, u32) = (20, 10);

/// An engine that answers. Dropping it ends the helper; [`Connection::close`] also waits for that.
#[derive(Debug)]
pub struct Connection {
    socket: PathBuf,
    helper: Option<Helper>,
}

impl Connection {
    /// The socket that requests go to.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Ends the helper, if there is one, and waits until it has gone, for ten seconds at most.
    pub async fn close(self) {
        if let Some(helper) = self.helper {
            helper.close().await;
        }
    }
}

/// Reaches the engine that the settings name. E301 where it is not installed, E302 where it does not answer, E303 where
/// this user may not, E304 where sudo refuses, E305 where the helper fails, E441 where it is too old.
pub async fn connect(settings: &settings::Engine, install: &Install) -> Result<Connection> {
    let program = std::env::current_exe().map_err(|error| {
        Error::new(Code::HelperFailed, "this program's own path cannot be read").caused_by(error)
    })?;
    connect_through(settings, install, &program).await
}

/// [`connect`] with the soc-connector binary to use as helper.
pub async fn connect_through(
    settings: &settings::Engine,
    install: &Install,
    program: &Path,
) -> Result<Connection> {
    let uid = rustix::process::geteuid().as_raw();
    let gid = rustix::process::getegid().as_raw();
    // root needs no sudo to be root.
    let sudo = settings.sudo && uid != 0;
    let connection = match (settings.kind, sudo) {
        (EngineKind::Docker, false) => Connection { socket: docker_socket()?, helper: None },
        (EngineKind::Podman, false) => match standing_podman_socket(uid).await {
            Some(socket) => Connection { socket, helper: None },
            None => with_helper(program, None, settings.kind, (uid, gid), install).await?,
        },
        (kind, true) => with_helper(program, Some("sudo"), kind, (uid, gid), install).await?,
    };
    check(&connection.socket, settings.kind).await?;
    Ok(connection)
}

/// Docker's socket: `DOCKER_HOST`, else the usual place. E302 for a `DOCKER_HOST` that is no unix socket.
pub fn docker_socket() -> Result<PathBuf> {
    match std::env::var("DOCKER_HOST") {
        Ok(host) if !host.is_empty() => host.strip_prefix("unix://").map(PathBuf::from).ok_or_else(|| {
            Error::new(
                Code::EngineUnreachable,
                format!("DOCKER_HOST is {host:?}, and only unix:// sockets of this machine can be used"),
            )
        }),
        _ => Ok(PathBuf::from(DOCKER_SOCKET)),
    }
}

/// The runtime directory of a user: `$XDG_RUNTIME_DIR`, else `/run/user/UID`, which `su` and `sudo -u` leave unset.
/// None where it does not exist or is another user's.
pub fn runtime_dir(uid: u32) -> Option<PathBuf> {
    let named = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    named
        .into_iter()
        .chain(std::iter::once(PathBuf::from(format!("/run/user/{uid}"))))
        .find(|dir| dir.is_absolute() && dir.metadata().is_ok_and(|meta| meta.is_dir() && meta.uid() == uid))
}

/// Podman's socket where systemd or the user keeps one up.
pub(super) async fn standing_podman_socket(uid: u32) -> Option<PathBuf> {
    let socket = if uid == 0 {
        PathBuf::from(PODMAN_ROOT_SOCKET)
    } else {
        runtime_dir(uid)?.join("podman/podman.sock")
    };
    UnixStream::connect(&socket).await.is_ok().then_some(socket)
}

/// Answers, is of a supported version, and may be used.
async fn check(socket: &Path, kind: EngineKind) -> Result<()> {
    if let Err(error) = UnixStream::connect(socket).await {
        let name = kind_name(kind);
        let what = format!("{name}'s socket {} cannot be used", socket.display());
        let code = match error.kind() {
            std::io::ErrorKind::PermissionDenied => Code::EngineDenied,
            std::io::ErrorKind::NotFound if kind == EngineKind::Docker && !on_path("docker") => {
                Code::EngineMissing
            }
            _ => Code::EngineUnreachable,
        };
        return Err(Error::new(code, what).caused_by(error));
    }
    let info = requests::info(socket).await?;
    check_version(&info)
}

/// E441 for an engine that is older than what the manual names. A version that cannot be read passes.
fn check_version(info: &Info) -> Result<()> {
    let oldest = match info.kind {
        EngineKind::Podman => OLDEST_PODMAN,
        EngineKind::Docker => OLDEST_DOCKER,
    };
    let mut parts = info.version.split('.').map(str::parse::<u32>);
    let (Some(Ok(major)), Some(Ok(minor))) = (parts.next(), parts.next()) else { return Ok(()) };
    if (major, minor) < oldest {
        return Err(Error::new(
            Code::EngineTooOld,
            format!(
                "{} {} is installed, {}.{} is the oldest supported version",
                kind_name(info.kind),
                info.version,
                oldest.0,
                oldest.1
            ),
        ));
    }
    Ok(())
}

pub(super) fn kind_name(kind: EngineKind) -> &'static str {
    match kind {
        EngineKind::Podman => "Podman",
        EngineKind::Docker => "Docker",
    }
}

/// Whether a program is on the PATH, or where root's programs are.
pub(super) fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin", "/usr/local/bin", "/usr/bin"].map(PathBuf::from))
        .any(|dir| dir.join(program).is_file())
}

/// A directory that only its user can enter, removed with everything in it when dropped.
#[derive(Debug)]
pub(super) struct PrivateDir(PathBuf);

impl PrivateDir {
    /// Makes one below the first of `parents` where that can be done and the path of a socket fits.
    pub(super) fn create(parents: impl IntoIterator<Item = PathBuf>) -> Result<Self> {
        // Never the same name twice in one process: a helper that is still ending removes its own.
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let mut last = None;
        for parent in parents {
            for _ in 0..MAX_PRIVATE_DIRS {
                let number = NEXT.fetch_add(1, Ordering::Relaxed);
                let dir = parent.join(format!("{PRIVATE_DIR_PREFIX}{}-{number}", std::process::id()));
                if dir.join(SOCKET_NAME).as_os_str().len() > MAX_SOCKET_PATH {
                    break;
                }
                // `create` fails where something of that name exists, be it a link that another user planted.
                match DirBuilder::new().mode(0o700).create(&dir) {
                    Ok(()) => return Ok(Self(dir)),
                    Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => last = Some(error),
                    Err(error) => {
                        last = Some(error);
                        break;
                    }
                }
            }
        }
        let error = Error::new(
            Code::HelperFailed,
            "no directory for the helper's socket: $XDG_RUNTIME_DIR, setup/ and the temporary directory cannot be used",
        );
        Err(match last {
            Some(cause) => error.caused_by(cause),
            None => error,
        })
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.0.join(SOCKET_NAME)
    }

    /// Whether a directory is named as one of these.
    pub(super) fn is_name(dir: &Path) -> bool {
        dir.file_name()
            .and_then(|name| name.to_str())
            .is_some_and(|name| name.starts_with(PRIVATE_DIR_PREFIX))
    }
}

const PRIVATE_DIR_PREFIX: &str = "soc-connector-";

/// Names that are tried in one directory; a crash leaves one behind, and process ids come again.
const MAX_PRIVATE_DIRS: u32 = 64;

impl Drop for PrivateDir {
    fn drop(&mut self) {
        // What cannot be removed is an empty directory in a runtime directory.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The helper process. It ends when the pipe to its standard input closes, so it cannot outlive this process.
#[derive(Debug)]
struct Helper {
    child: Child,
    _dir: PrivateDir,
}

impl Helper {
    async fn close(mut self) {
        drop(self.child.stdin.take());
        // It cannot be killed by an ordinary user where it is root's; closing the pipe is the whole signal.
        let _ = tokio::time::timeout(HELPER_END, self.child.wait()).await;
    }
}

/// Starts the helper, as root where `sudo` is named, and waits until it is ready.
async fn with_helper(
    program: &Path,
    sudo: Option<&str>,
    kind: EngineKind,
    (uid, gid): (u32, u32),
    install: &Install,
) -> Result<Connection> {
    if kind == EngineKind::Podman && !on_path("podman") {
        return Err(Error::new(Code::EngineMissing, "the program `podman` is not installed"));
    }
    let parents = runtime_dir(uid).into_iter().chain([install.setup_dir(), std::env::temp_dir()]);
    let dir = PrivateDir::create(parents)?;
    let socket = dir.socket();
    let mut command = match sudo {
        Some(sudo) => {
            let mut command = Command::new(sudo);
            command.arg("--").arg(program);
            command
        }
        None => Command::new(program),
    };
    command.args(["engine-relay", "--kind", kind_name(kind).to_lowercase().as_str()]);
    command.arg("--socket").arg(&socket).arg("--owner").arg(format!("{uid}:{gid}"));
    if kind == EngineKind::Docker {
        command.arg("--engine").arg(docker_socket()?);
    }
    // sudo asks for the password on the terminal itself and speaks through standard error.
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit()).current_dir("/");
    let mut child = command.spawn().map_err(|error| match sudo {
        Some(sudo) => {
            Error::new(Code::SudoRefused, format!("`{sudo}` could not be started")).caused_by(error)
        }
        None => Error::new(Code::HelperFailed, format!("{} could not be started", program.display()))
            .caused_by(error),
    })?;
    let bound = if sudo.is_some() { SUDO_READY } else { HELPER_READY };
    let stdout = child.stdout.take().expect("standard output was asked for as a pipe");
    let mut helper = Helper { child, _dir: dir };
    let mut word = String::new();
    let heard = tokio::time::timeout(bound, async {
        BufReader::new(stdout.take(MAX_HELPER_WORD)).read_line(&mut word).await
    })
    .await;
    match (heard, word.trim()) {
        (Ok(Ok(_)), super::relay::READY) => Ok(Connection { socket, helper: Some(helper) }),
        (Ok(Ok(read)), word) if read > 0 => Err(super::relay::failure(word)),
        (Ok(_), _) => {
            let status = tokio::time::timeout(HELPER_END, helper.child.wait()).await;
            let status = status.ok().and_then(Result::ok).map_or_else(String::new, |s| format!(" ({s})"));
            Err(match sudo {
                Some(_) => Error::new(
                    Code::SudoRefused,
                    format!("sudo did not start {} as root{status}", program.display()),
                ),
                None => Error::new(Code::HelperFailed, format!("the helper ended at once{status}")),
            })
        }
        (Err(_), _) => Err(Error::new(
            Code::HelperFailed,
            format!("the helper was not ready within {} s", bound.as_secs()),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(kind: EngineKind, version: &str) -> Info {
        Info {
            kind,
            version: version.into(),
            api: String::new(),
            rootless: false,
            cgroup_version: 2,
            memory_limit: true,
            pids_limit: true,
            selinux: false,
            remaps_users: false,
        }
    }

    #[test]
    fn only_what_is_older_than_the_manuals_oldest_is_refused() {
        for (kind, text, fine) in [
            (EngineKind::Podman, "2.2.1", false),
            (EngineKind::Podman, "3.0.1", true),
            (EngineKind::Podman, "4.3.1", true),
            (EngineKind::Podman, "6.0.0-dev", true),
            (EngineKind::Docker, "19.03.15", false),
            (EngineKind::Docker, "20.10.24+dfsg1", true),
            (EngineKind::Docker, "29.0.0", true),
            (EngineKind::Docker, "library-import", true),
        ] {
            let checked = check_version(&version(kind, text));
            assert_eq!(checked.is_ok(), fine, "{kind:?} {text}");
            if let Err(error) = checked {
                assert_eq!(error.code(), Code::EngineTooOld);
            }
        }
    }

    #[test]
    fn a_private_directory_is_private_short_enough_and_gone_afterwards() {
        use std::os::unix::fs::PermissionsExt;
        let base = tempfile::tempdir().expect("temporary directory");
        let deep = base.path().join("x".repeat(MAX_SOCKET_PATH));
        std::fs::create_dir(&deep).expect("directory");
        let parents = || [deep.clone(), base.path().join("missing"), base.path().to_owned()];
        let first = PrivateDir::create(parents()).expect("the last parent fits");
        let second = PrivateDir::create(parents()).expect("a second connection");
        assert_ne!(first.socket(), second.socket());
        let dir = first.socket().parent().expect("has a parent").to_owned();
        assert!(PrivateDir::is_name(&dir));
        assert_eq!(dir.parent(), Some(base.path()));
        assert_eq!(dir.metadata().expect("exists").permissions().mode() & 0o777, 0o700);
        drop(first);
        assert!(!dir.exists());
        let none = PrivateDir::create([deep]).expect_err("too long");
        assert_eq!(none.code(), Code::HelperFailed);
    }
}
