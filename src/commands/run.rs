//! `run`: the connector in the foreground, in the container or under systemd.

use super::{by_owner, credentials};
use crate::connector::{Config, Connector};
use crate::error::{Code, Error, Result};
use crate::install::Install;
use crate::settings::{self, Settings};
use crate::state::{Mode, store};
use crate::tls::{self, Identity, Roots};
use crate::uplink::TlsSource;
use rustix::process::{Resource, getrlimit, setrlimit};
use rustls::ClientConfig;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::signal::unix::{SignalKind, signal};

/// One worker reads about a million events a second from its connections; what is behind them ends earlier.
const MAX_WORKERS: usize = 4;

/// What the container's command line says; each has a default that suits a service outside of a container.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// stage or production; where it is not given, as setup and deploy left it
    #[arg(long, value_enum)]
    pub mode: Option<Mode>,
    /// Port to listen on, where it differs from the published one
    #[arg(long)]
    pub listen_port: Option<u16>,
    /// CA certificates of the receivers, in place of `tls.ca`
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
}

/// Runs until SIGTERM or SIGINT.
pub fn exec(dir: &Path, options: &Options, verbose: u8) -> Result<()> {
    let install = Install::open(dir)?;
    if rustix::process::geteuid().is_root() {
        // In a container the program is the user whose directory it has; a unit without `User=` is not.
        by_owner(&install)?;
    }
    let mut settings = settings::load_in_force(&install)?;
    let mode = match options.mode {
        Some(mode) => mode,
        None => store::load(&install)?.map_or(Mode::Stage, |record| record.mode),
    };
    install.create_run_layout(mode)?;
    if options.listen_port.is_some() {
        // Behind a bridge the host's addresses are not there; the engine publishes on them.
        settings.listener.addresses = settings::Listener::default().addresses;
    }
    crate::logs::of_connector(&install.logs_dir(), verbose).map_err(|error| {
        Error::new(Code::WriteFailed, format!("no log can be written in {}", install.logs_dir().display()))
            .caused_by(error)
    })?;
    raise_open_files(settings.limits.files);
    let source = tls_source(install.clone(), settings.clone(), options.ca.clone());
    // A certificate that cannot be used is said now, not at the first connection. It is no reason to end: the events
    // are held back until it was replaced.
    if let Err(error) = source() {
        tracing::error!(code = %error.code(), error = error.what(), "the uplink cannot connect");
    }
    let config = Config {
        port: options.listen_port.unwrap_or(settings.listener.syslog_port),
        mode,
        spool_dir: install.spool_dir(mode),
        run_dir: install.run_dir(),
        tls: source,
        settings,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(worker_threads())
        .enable_all()
        .build()
        .map_err(|error| Error::new(Code::Internal, "no runtime can be started").caused_by(error))?;
    runtime.block_on(async {
        // Before anything is taken in, so that no moment is left in which a SIGTERM would lose something.
        let signals = signal(SignalKind::terminate()).and_then(|t| Ok((t, signal(SignalKind::interrupt())?)));
        let (mut terminate, mut interrupt) = signals
            .map_err(|error| Error::new(Code::Internal, "signals cannot be received").caused_by(error))?;
        let connector = Connector::start(config)?;
        let broken = tokio::select! {
            _ = terminate.recv() => false,
            _ = interrupt.recv() => false,
            () = connector.broken() => true,
        };
        connector.stop().await?;
        if broken {
            let what =
                "listener or uplink ended without being told to; logs/connector.log says which and why";
            return Err(Error::new(Code::Internal, what));
        }
        Ok(())
    })
}

/// How many threads the runtime has for connections from senders and to receivers. The spool, the UDP sockets and the
/// writing of events have threads of their own, which do more than half of the work; with a worker for each processor as
/// well, the workers wake each other up for what one of them does in the same time.
fn worker_threads() -> usize {
    std::thread::available_parallelism().map_or(1, |processors| processors.get() / 2).clamp(1, MAX_WORKERS)
}

/// The bytes of certificate, key and CA certificates, and what was made of them.
type Loaded = (Vec<Vec<u8>>, Arc<ClientConfig>);

/// Finds and reads the files for each connection anew, and gives the same configuration as long as their bytes are the
/// same. `ca` stands in for the setting.
fn tls_source(install: Install, settings: Settings, ca: Option<PathBuf>) -> TlsSource {
    let last: Mutex<Option<Loaded>> = Mutex::default();
    Arc::new(move || {
        let files = credentials(&install, &settings)?;
        let ca = ca.clone().or_else(|| settings.tls.ca_file(install.dir()));
        let authorities = ca.clone().or_else(tls::system_bundle);
        let bytes: Vec<_> = [Some(&files.certificate), Some(&files.key), authorities.as_ref()]
            .into_iter()
            .flatten()
            // What cannot be read is told by what follows.
            .map(|file| std::fs::read(file).unwrap_or_default())
            .collect();
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, config)) = last.as_ref().filter(|(before, _)| *before == bytes) {
            return Ok(Arc::clone(config));
        }
        let identity = Identity::load(&files.certificate, &files.key)?;
        let config = tls::client_config(&identity, &Roots::load(ca.as_deref())?)?;
        *last = Some((bytes, Arc::clone(&config)));
        Ok(config)
    })
}

/// Raises this process's own bound on open files, for each connection is one. Shells and systemd begin with 1024, so
/// that programs that use select(2) keep working; what they allow is more. In the container the engine has done it.
fn raise_open_files(files: u64) {
    let mut limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.map_or(files, |maximum| maximum.min(files));
    if limit.current.is_some_and(|current| current < wanted) {
        limit.current = Some(wanted);
        if let Err(error) = setrlimit(Resource::Nofile, limit) {
            tracing::warn!(%error, wanted, "the bound on open files cannot be raised");
        }
    }
    if wanted < files {
        tracing::warn!(
            allowed = wanted,
            wanted = files,
            "fewer open files are allowed than limits.files asks for"
        );
    }
}
