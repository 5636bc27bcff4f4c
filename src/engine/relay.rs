//! The helper behind the hidden command `engine-relay`: gives one command access to an engine, and ends with it.
//!
//! It listens on a socket that it gives to the operator alone, and passes bytes to and from the engine's own socket.
//! For Podman it starts `podman system service`, as whoever it is itself: root behind `sudo`, else the operator. On
//! standard output it says one word, [`READY`], or one line that [`failure`] turns back into an error. It ends when its
//! standard input ends, which the kernel sees to however the command ended, and takes Podman's service with it;
//! containers go on, their monitor processes are nobody's children.
//!
//! Interrupt and hang-up are left to the command: the terminal sends them to both, and the command may still need the
//! engine to put things in order.

use super::connect::{PrivateDir, on_path, runtime_dir, standing_podman_socket};
use crate::error::{Code, Error, Result};
use crate::settings::EngineKind;
use rustix::fs::{AtFlags, CWD, Gid, Uid};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Semaphore;

/// What the helper says when its socket answers.
pub const READY: &str = "ready";

/// How long `podman system service` may take until its socket answers.
const SERVICE_READY: Duration = Duration::from_secs(50);
/// Between two looks at whether it does: there is no event for a socket that begins to listen.
const SERVICE_POLL: Duration = Duration::from_millis(20);
/// How long it may take to end by itself.
const SERVICE_END: Duration = Duration::from_secs(5);
/// Connections at the same time. A command has one, rarely two.
const MAX_CONNECTIONS: usize = 16;
/// How much of what Podman says on standard error is kept for the message, in bytes from the end.
const MAX_WORDS: usize = 2048;

/// Arguments of `engine-relay`.
#[derive(Debug, Clone, clap::Args)]
pub struct RelayArgs {
    /// `podman` or `docker`.
    #[arg(long, value_parser = parse_kind)]
    pub kind: EngineKind,
    /// Where to listen.
    #[arg(long)]
    pub socket: PathBuf,
    /// UID:GID of the only user that may connect.
    #[arg(long, value_parser = parse_owner)]
    pub owner: (u32, u32),
    /// The engine's socket, for Docker.
    #[arg(long)]
    pub engine: Option<PathBuf>,
}

fn parse_kind(text: &str) -> Result<EngineKind, String> {
    match text {
        "podman" => Ok(EngineKind::Podman),
        "docker" => Ok(EngineKind::Docker),
        _ => Err("must be podman or docker".into()),
    }
}

fn parse_owner(text: &str) -> Result<(u32, u32), String> {
    text.split_once(':')
        .and_then(|(uid, gid)| Some((uid.parse().ok()?, gid.parse().ok()?)))
        .ok_or_else(|| "must be UID:GID in numbers".into())
}

/// Turns the helper's line back into its error.
pub fn failure(line: &str) -> Error {
    let (code, what) = line.split_once(' ').unwrap_or((line, ""));
    match Code::parse(code) {
        Some(code) => Error::new(code, what),
        None => Error::new(Code::HelperFailed, format!("the helper said {line:?}")),
    }
}

/// Runs until standard input ends. What goes wrong before it is ready is said on standard output, for the command to
/// show; the error that is returned has been said then.
pub async fn relay(args: RelayArgs) -> Result<()> {
    match Relay::start(&args).await {
        Ok(relay) => {
            say(READY);
            relay.serve(args.owner).await;
            Ok(())
        }
        Err(error) => {
            // One line is one error: an engine's own words may have more.
            say(&error.to_string().split_whitespace().collect::<Vec<_>>().join(" "));
            Err(error)
        }
    }
}

/// To the command. It may be gone already, and then there is nobody to tell.
fn say(line: &str) {
    use std::io::Write;
    let mut stdout = std::io::stdout().lock();
    let _ = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
}

struct Relay {
    listener: UnixListener,
    socket: PathBuf,
    engine: PathBuf,
    service: Option<Service>,
}

impl Relay {
    async fn start(args: &RelayArgs) -> Result<Self> {
        let uid = rustix::process::geteuid().as_raw();
        let (engine, service) = match args.kind {
            EngineKind::Docker => {
                let engine = args.engine.clone().unwrap_or_else(|| super::connect::DOCKER_SOCKET.into());
                UnixStream::connect(&engine).await.map_err(|error| {
                    let missing = error.kind() == std::io::ErrorKind::NotFound && !on_path("docker");
                    let code = if missing { Code::EngineMissing } else { Code::EngineUnreachable };
                    Error::new(code, format!("Docker's socket {} cannot be used", engine.display()))
                        .caused_by(error)
                })?;
                (engine, None)
            }
            EngineKind::Podman => {
                if let Some(engine) = standing_podman_socket(uid).await {
                    (engine, None)
                } else {
                    let service = Service::start(uid).await?;
                    (service.socket(), Some(service))
                }
            }
        };
        let unusable = |error: std::io::Error| {
            Error::new(Code::HelperFailed, format!("{} cannot be listened on", args.socket.display()))
                .caused_by(error)
        };
        let listener = UnixListener::bind(&args.socket).map_err(unusable)?;
        give_to(&args.socket, args.owner).map_err(unusable)?;
        Ok(Self { listener, socket: args.socket.clone(), engine, service })
    }

    async fn serve(mut self, owner: (u32, u32)) {
        let mut interrupts = ignored(SignalKind::interrupt());
        let mut hangups = ignored(SignalKind::hangup());
        let mut terminate = ignored(SignalKind::terminate());
        let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let parent = end_of(std::io::stdin());
        tokio::pin!(parent);
        loop {
            tokio::select! {
                () = &mut parent => break,
                Some(()) = next(&mut terminate) => break,
                Some(()) = next(&mut interrupts) => {}
                Some(()) = next(&mut hangups) => {}
                () = ended(&mut self.service) => break,
                accepted = self.listener.accept() => {
                    let Ok((command, _)) = accepted else { continue };
                    // The socket's mode says the same; this also holds where a file system ignores modes.
                    let user = command.peer_cred().map(|peer| peer.uid());
                    if !user.is_ok_and(|uid| uid == owner.0 || uid == 0) {
                        continue;
                    }
                    let Ok(permit) = Arc::clone(&room).try_acquire_owned() else { continue };
                    let engine = self.engine.clone();
                    tokio::spawn(async move {
                        let _permit = permit;
                        // A connection that breaks is the command's to notice.
                        let _ = pass(command, &engine).await;
                    });
                }
            }
        }
        drop(self.listener);
        // The command removes its directory too and may have been first; one that was killed leaves it to the helper.
        let _ = std::fs::remove_file(&self.socket);
        if let Some(dir) = self.socket.parent().filter(|dir| PrivateDir::is_name(dir)) {
            let _ = std::fs::remove_dir(dir);
        }
        if let Some(service) = self.service.take() {
            service.stop().await;
        }
    }
}

async fn pass(mut command: UnixStream, engine: &Path) -> std::io::Result<()> {
    let mut engine = UnixStream::connect(engine).await?;
    tokio::io::copy_bidirectional(&mut command, &mut engine).await?;
    Ok(())
}

/// Mode 0600, and the operator's. The last part of the path is not followed if it is a link.
fn give_to(socket: &Path, (uid, gid): (u32, u32)) -> std::io::Result<()> {
    std::fs::set_permissions(socket, std::fs::Permissions::from_mode(0o600))?;
    rustix::fs::chownat(
        CWD,
        socket,
        Some(Uid::from_raw(uid)),
        Some(Gid::from_raw(gid)),
        AtFlags::SYMLINK_NOFOLLOW,
    )?;
    Ok(())
}

fn ignored(kind: SignalKind) -> Option<tokio::signal::unix::Signal> {
    signal(kind).ok()
}

async fn next(signals: &mut Option<tokio::signal::unix::Signal>) -> Option<()> {
    match signals {
        Some(signals) => signals.recv().await,
        None => std::future::pending().await,
    }
}

/// Until a pipe ends. What comes through it means nothing. A thread of its own, because a read that waits would hold up
/// the runtime's end; the process's end takes the thread with it.
async fn end_of(mut input: impl std::io::Read + Send + 'static) {
    let (ended, end) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let mut buffer = [0; 64];
        while input.read(&mut buffer).is_ok_and(|read| read > 0) {}
        // Nobody waits any more where the helper ends for another reason.
        let _ = ended.send(());
    });
    let _ = end.await;
}

async fn ended(service: &mut Option<Service>) {
    match service {
        Some(service) => {
            let _ = service.child.wait().await;
        }
        None => std::future::pending().await,
    }
}

/// `podman system service` on a socket of its own.
struct Service {
    child: Child,
    dir: PrivateDir,
}

impl Service {
    async fn start(uid: u32) -> Result<Self> {
        if !on_path("podman") {
            return Err(Error::new(Code::EngineMissing, "the program `podman` is not installed"));
        }
        let runtime = if uid == 0 { Some(PathBuf::from("/run")) } else { runtime_dir(uid) };
        let dir = PrivateDir::create(runtime.clone().into_iter().chain([std::env::temp_dir()]))?;
        let mut command = Command::new("podman");
        // Time 0: no end for want of requests. A process group of its own: an interrupt at the terminal is not for it.
        command.args(["system", "service", "--time=0"]).arg(format!("unix://{}", dir.socket().display()));
        if uid != 0
            && let Some(runtime) = runtime
        {
            command.env("XDG_RUNTIME_DIR", runtime);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command.process_group(0).kill_on_drop(true).current_dir("/");
        let mut child = command.spawn().map_err(|error| {
            Error::new(Code::HelperFailed, "`podman system service` could not be started").caused_by(error)
        })?;
        let words = Arc::new(Mutex::new(Vec::new()));
        let stderr = child.stderr.take().expect("standard error was asked for as a pipe");
        let listening = tokio::spawn(keep_end(stderr, Arc::clone(&words)));
        let mut service = Self { child, dir };
        let failed = |what: &str| {
            let words = words.lock().unwrap_or_else(PoisonError::into_inner);
            let words = String::from_utf8_lossy(&words).trim().to_owned();
            Error::new(Code::HelperFailed, format!("`podman system service` {what}: {words}"))
        };
        let ready = async {
            let socket = service.dir.socket();
            while UnixStream::connect(&socket).await.is_err() {
                tokio::time::sleep(SERVICE_POLL).await;
            }
        };
        tokio::select! {
            () = ready => {}
            status = service.child.wait() => {
                // What it said last may still be in the pipe.
                let _ = tokio::time::timeout(SERVICE_END, listening).await;
                let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
                return Err(failed(&format!("ended ({status})")));
            }
            () = tokio::time::sleep(SERVICE_READY) => {
                return Err(failed(&format!("did not answer within {} s", SERVICE_READY.as_secs())));
            }
        }
        Ok(service)
    }

    fn socket(&self) -> PathBuf {
        self.dir.socket()
    }

    async fn stop(mut self) {
        if let Some(pid) = self.child.id().and_then(|pid| rustix::process::Pid::from_raw(pid.cast_signed())) {
            // Already gone is as good.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        if tokio::time::timeout(SERVICE_END, self.child.wait()).await.is_err() {
            let _ = self.child.kill().await;
        }
    }
}

/// Reads to the end and keeps the last bytes: a service that talks must never wait for a reader.
async fn keep_end(mut stderr: impl AsyncRead + Unpin, words: Arc<Mutex<Vec<u8>>>) {
    let mut buffer = [0; 1024];
    while let Ok(read @ 1..) = stderr.read(&mut buffer).await {
        let mut words = words.lock().unwrap_or_else(PoisonError::into_inner);
        words.extend_from_slice(&buffer[..read]);
        let surplus = words.len().saturating_sub(MAX_WORDS);
        words.drain(..surplus);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_comes_back_as_the_error_that_it_was() {
        let error = Error::new(Code::EngineMissing, "the program `podman` is not installed");
        let back = failure(&error.to_string());
        assert_eq!(back.code(), Code::EngineMissing);
        assert_eq!(back.what(), error.what());
        assert_eq!(failure("Sorry, try again.").code(), Code::HelperFailed);
    }

    #[test]
    fn an_owner_is_two_numbers() {
        assert_eq!(parse_owner("1001:100"), Ok((1001, 100)));
        for wrong in ["1001", "soc:soc", "1001:", ":", "-1:0", "1:2:3"] {
            assert!(parse_owner(wrong).is_err(), "{wrong}");
        }
    }

    #[tokio::test]
    async fn only_the_end_of_long_words_is_kept() {
        let words = Arc::new(Mutex::new(Vec::new()));
        let mut text = vec![b'x'; 3 * MAX_WORDS];
        text.extend_from_slice(b"the reason");
        keep_end(text.as_slice(), Arc::clone(&words)).await;
        let words = words.lock().expect("no panic");
        assert_eq!(words.len(), MAX_WORDS);
        assert!(words.ends_with(b"the reason"));
    }
}
