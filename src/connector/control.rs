//! The running connector's own socket, `setup/run/connector.sock`: `status`, `start` and the health check ask it.
//!
//! A request is one JSON object on a line; the answer is one or more such lines. Only the operator's user can connect
//! (the directory is 0700, the socket 0600).

use super::report::Report;
use crate::batch::Transport;
use crate::error::{Code, Error, Result};
use crate::listener::{Probes, Sighting};
use rustix::fs::{Mode, OFlags};
use serde::{Deserialize, Serialize};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// The socket's name in its directory.
const NAME: &str = "connector.sock";
/// Longest request; a token and some words fit many times.
const MAX_REQUEST_BYTES: u64 = 4096;
/// Conversations at the same time: a `status`, a health check and a `start`, with room.
const MAX_CONVERSATIONS: usize = 16;
/// A client that sends no request, or takes no answer, for so long is left.
const PATIENCE: Duration = Duration::from_secs(5);
/// A probe is waited for no longer than any caller waits.
const PROBE_PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "lowercase")]
enum Request {
    Status,
    Probe { token: String },
}

/// One line of the answer to a probe request.
#[derive(Debug, Serialize, Deserialize)]
struct Seen {
    transport: String,
    source: SocketAddr,
}

/// A directory held open, through which its socket is reached whatever the length of its path: a socket's address
/// has room for 107 bytes only (unix(7)), an installation directory may be deeper.
struct Dir(OwnedFd);

impl Dir {
    fn open(path: &Path) -> io::Result<Self> {
        Ok(Self(rustix::fs::open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?))
    }

    fn socket(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}/{NAME}", self.0.as_raw_fd()))
    }
}

/// The connector's side.
pub(super) struct Server {
    listener: UnixListener,
    path: PathBuf,
}

impl Server {
    /// Takes the socket's place in `run_dir`. One that an earlier run left behind is replaced; one that answers belongs
    /// to a connector of the other mode, which has another spool to lock, and is E102.
    pub(super) fn bind(run_dir: &Path) -> Result<Self> {
        let attempt = || {
            let dir = Dir::open(run_dir)?;
            let path = run_dir.join(NAME);
            if std::os::unix::net::UnixStream::connect(dir.socket()).is_ok() {
                return Err(io::ErrorKind::AddrInUse.into());
            }
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let listener = UnixListener::bind(dir.socket())?;
            std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
            Ok(Self { listener, path })
        };
        attempt().map_err(|error: io::Error| {
            if error.kind() == io::ErrorKind::AddrInUse {
                let what = format!("another connector answers in {}; stop that one first", run_dir.display());
                return Error::new(Code::DirBusy, what);
            }
            Error::new(Code::WriteFailed, format!("no socket can be made in {}", run_dir.display()))
                .caused_by(error)
        })
    }

    /// Answers until dropped.
    pub(super) async fn serve(self, probes: Arc<Probes>, report: Arc<dyn Fn() -> Report + Send + Sync>) {
        let places = Arc::new(Semaphore::new(MAX_CONVERSATIONS));
        let mut conversations = JoinSet::new();
        loop {
            let stream = tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => stream,
                    Err(error) => {
                        tracing::warn!(%error, "control socket: accept failed");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        continue;
                    }
                },
                Some(_) = conversations.join_next() => continue,
            };
            let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
            let (probes, report) = (Arc::clone(&probes), Arc::clone(&report));
            conversations.spawn(async move {
                if let Err(error) = converse(stream, &probes, &*report).await {
                    tracing::debug!(%error, "control socket");
                }
                drop(place);
            });
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A leftover would only be replaced by the next run.
        let _ = std::fs::remove_file(&self.path);
    }
}

async fn converse(
    stream: UnixStream,
    probes: &Probes,
    report: &(dyn Fn() -> Report + Send + Sync),
) -> io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut line = String::new();
    let mut read = BufReader::new(read.take(MAX_REQUEST_BYTES));
    tokio::time::timeout(PATIENCE, read.read_line(&mut line)).await??;
    match serde_json::from_str(&line)? {
        Request::Status => {
            let answer = serde_json::to_string(&report())?;
            send(&mut write, &answer).await
        }
        Request::Probe { token } => {
            let Some(mut sightings) = probes.announce(&token) else {
                return send(&mut write, r#"{"announced":false}"#).await;
            };
            send(&mut write, r#"{"announced":true}"#).await?;
            let mut rest = [0];
            loop {
                let Sighting { transport, source } = tokio::select! {
                    Some(sighting) = sightings.recv() => sighting,
                    // The caller has seen enough.
                    _ = read.read(&mut rest) => return Ok(()),
                    () = tokio::time::sleep(PROBE_PATIENCE) => return Ok(()),
                };
                let seen = Seen { transport: transport.name().to_owned(), source };
                send(&mut write, &serde_json::to_string(&seen)?).await?;
            }
        }
    }
}

async fn send(write: &mut (impl AsyncWriteExt + Unpin), line: &str) -> io::Result<()> {
    let line = format!("{line}\n");
    tokio::time::timeout(PATIENCE, write.write_all(line.as_bytes())).await?
}

/// The other side: asks the connector whose socket is in `run_dir`.
#[derive(Debug, Clone)]
pub struct Client {
    run_dir: PathBuf,
}

impl Client {
    /// A client; nothing is opened yet.
    pub fn new(run_dir: PathBuf) -> Self {
        Self { run_dir }
    }

    /// How the connector is. E503 where it does not answer within five seconds.
    pub async fn status(&self) -> Result<Report> {
        let ask = async {
            let mut answer = self.request(&Request::Status).await?;
            let line = next_line(&mut answer).await?;
            Ok(serde_json::from_str(&line)?)
        };
        within(PATIENCE, ask).await.map_err(|error| self.silent(error))
    }

    /// Announces a probe; [`Watch::seen`] then tells where it came out.
    pub async fn announce(&self, token: &str) -> Result<Watch> {
        let ask = async {
            let mut answer = self.request(&Request::Probe { token: token.to_owned() }).await?;
            let line = next_line(&mut answer).await?;
            if line.contains("true") {
                Ok(Watch { answer })
            } else {
                Err(io::Error::other("it watches for too many probes already"))
            }
        };
        within(PATIENCE, ask).await.map_err(|error| self.silent(error))
    }

    async fn request(&self, request: &Request) -> io::Result<BufReader<UnixStream>> {
        let dir = Dir::open(&self.run_dir)?;
        let mut stream = UnixStream::connect(dir.socket()).await?;
        send(&mut stream, &serde_json::to_string(request)?).await?;
        Ok(BufReader::new(stream))
    }

    fn silent(&self, error: io::Error) -> Error {
        Error::new(Code::ConnectorSilent, format!("no answer on {}", self.run_dir.join(NAME).display()))
            .caused_by(error)
    }
}

/// A running look-out for one probe.
#[derive(Debug)]
pub struct Watch {
    answer: BufReader<UnixStream>,
}

impl Watch {
    /// Waits for the probe to come out once more.
    pub async fn seen(&mut self) -> io::Result<Sighting> {
        let seen: Seen = serde_json::from_str(&next_line(&mut self.answer).await?)?;
        let transport = if seen.transport == Transport::Udp.name() { Transport::Udp } else { Transport::Tcp };
        Ok(Sighting { transport, source: seen.source })
    }
}

async fn next_line(answer: &mut BufReader<UnixStream>) -> io::Result<String> {
    let mut line = String::new();
    if answer.read_line(&mut line).await? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(line)
}

async fn within<T>(bound: Duration, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::time::timeout(bound, work).await?
}
