//! The commands, one file each. A command opens what it needs (directory, lock, state, engine), checks that it is
//! allowed in the present state, does its work through [`crate::engine::Engine`], and says what it did.
//!
//! What is common to them is here: `Session` is a command that has the directory and knows the state.

pub mod delete;
pub mod demo;
pub mod deploy;
pub mod engine_relay;
pub mod explain;
pub mod health;
pub mod image;
pub mod incubator;
pub mod metrics;
pub mod parse;
pub mod pki;
pub mod purge;
pub mod reset;
pub mod run;
pub mod sample;
pub mod setup;
pub mod spool;
pub mod start;
pub mod status;
pub mod stop;
pub mod test;
pub mod update;

mod submit;

use crate::checks;
use crate::console::Console;
use crate::engine::container::Credentials;
use crate::engine::network::{self, NetworkPlan};
use crate::engine::{Connection, ContainerInfo, ContainerState, Engine};
use crate::error::{Code, Error, Result};
use crate::incubator::client::Confirmations;
use crate::install::{self, Install, Lock};
use crate::settings::{self, EngineKind, Settings};
use crate::state::machine::Guarded;
use crate::state::store::{self, Record};
use crate::state::{Connector, Mode, State};
use crate::tls::{self, Identity, Roots};
use std::path::Path;

/// Runs a command's async part on a small runtime.
fn block_on<T>(work: impl Future<Output = T>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Error::new(Code::Internal, "no runtime can be started").caused_by(error))?;
    let result = runtime.block_on(work);
    // A blocking call that hangs (a resolver, a full disk) must not hold the command back.
    runtime.shutdown_background();
    Ok(result)
}

/// A command at work in a directory, with the state it found.
struct Session<E = Connection> {
    install: Install,
    console: Console,
    /// Held by commands that change something.
    _lock: Option<Lock>,
    /// What setup left; none before it.
    record: Option<Record>,
    /// The settings in force; before the first setup those of the file, or the defaults.
    settings: Settings,
    engine: E,
    container: Option<ContainerInfo>,
}

impl Session {
    /// Opens a directory for a command that changes something there.
    async fn exclusive(dir: &Path, console: Console, command: &str) -> Result<Self> {
        let install = Install::open(dir)?;
        // What another user, root too, writes there its owner could not read.
        by_owner(&install)?;
        let lock = install.lock(command)?;
        Self::connect(install, console, Some(lock)).await
    }

    /// Opens a directory for a command that only looks.
    async fn shared(dir: &Path, console: Console) -> Result<Self> {
        Self::connect(Install::open(dir)?, console, None).await
    }

    async fn connect(install: Install, console: Console, lock: Option<Lock>) -> Result<Self> {
        let record = store::load(&install)?;
        let settings = match &record {
            Some(_) => settings::load_accepted(&install)?,
            None if install.settings_file().exists() => settings::load(&install)?,
            // After `reset`, `delete` and `purge` still have to find the engine that was used.
            None => settings::load_old(&install).unwrap_or_default(),
        };
        if settings.engine.kind == EngineKind::Podman && !settings.engine.sudo {
            // Each user's Podman has containers of its own; another one's would be asked for this one's.
            by_owner(&install)?;
        }
        let engine = crate::engine::connect(&settings.engine, &install).await?;
        Self::with_engine(install, console, lock, record, settings, engine).await
    }
}

impl<E: Engine> Session<E> {
    /// Asks an engine for the container.
    async fn with_engine(
        install: Install,
        console: Console,
        lock: Option<Lock>,
        record: Option<Record>,
        settings: Settings,
        engine: E,
    ) -> Result<Self> {
        let container = engine.inspect(&install.container_name()).await?;
        Ok(Self { install, console, _lock: lock, record, settings, engine, container })
    }

    fn container_name(&self) -> String {
        self.install.container_name()
    }

    fn running(&self) -> bool {
        self.container.as_ref().is_some_and(|container| container.state == ContainerState::Running)
    }

    fn state(&self) -> State {
        let connector = if self.running() { Connector::Running } else { Connector::Stopped };
        self.record.as_ref().map_or(State::Incomplete, |record| record.state(connector))
    }

    /// Refuses what is not allowed in the present state, and gives the record where setup is complete.
    fn allow(&self, command: Guarded) -> Result<Option<&Record>> {
        let leftover = command.check_leftover().filter(|_| self.record.is_none() && self.running());
        let tested = self.record.as_ref().is_some_and(|record| record.tested);
        leftover.unwrap_or_else(|| command.check(self.state(), tested))?;
        Ok(self.record.as_ref())
    }

    /// How the container is attached to the network with these settings and this engine.
    async fn network_plan(&self) -> Result<NetworkPlan> {
        let info = self.engine.info().await?;
        network::choose(
            self.settings.engine.network,
            network::Facts {
                kind: info.kind,
                rootless: info.rootless,
                port: self.settings.listener.syslog_port,
                addresses: &self.settings.listener.addresses,
                unprivileged_port_start: network::unprivileged_port_start(),
            },
        )
    }

    /// Events that wait in a mode's spool; 0 where it was never used or cannot be read, which `spool status` explains.
    fn backlog(&self, mode: Mode) -> u64 {
        let overview =
            spool::inspector(&self.install, mode).and_then(|found| found.map(|i| i.overview()).transpose());
        match overview {
            Ok(overview) => overview.map_or(0, |overview| overview.events()),
            Err(error) => {
                tracing::warn!(%error, mode = mode.name(), "the spool cannot be looked into");
                0
            }
        }
    }

    /// Says how many events wait in the spools of a stopped connector.
    fn tell_backlog(&self) {
        for mode in [Mode::Stage, Mode::Production] {
            let events = self.backlog(mode);
            if events > 0 {
                let mode = mode.name();
                self.console
                    .info(format_args!("{events} {mode} events wait in spool/{mode} for the next start"));
            }
        }
    }
}

/// E432 where DIR is another user's.
fn by_owner(install: &Install) -> Result<()> {
    let (owner, _) = install.owner()?;
    let uid = rustix::process::geteuid().as_raw();
    if uid == owner {
        return Ok(());
    }
    let (dir, owner) = (install.dir().display(), install::user_name(owner));
    let what =
        format!("{dir} belongs to {owner}, and this is {}; run it as {owner}", install::user_name(uid));
    Err(Error::new(Code::DirExposed, what))
}

/// The files that prove who this installation is, and what servers are checked against.
fn credentials(install: &Install, settings: &Settings) -> Result<Credentials> {
    let ca = settings.tls.ca_file(install.dir());
    let pair = checks::certificate::find(install.dir(), ca.as_deref())?;
    Ok(Credentials { certificate: pair.certificate, key: pair.key, ca: ca.or_else(tls::system_bundle) })
}

/// The incubator's confirmations, asked with this installation's certificate.
fn confirmations(install: &Install, settings: &Settings) -> Result<Confirmations> {
    let files = credentials(install, settings)?;
    let identity = Identity::load(&files.certificate, &files.key)?;
    let roots = Roots::load(settings.tls.ca_file(install.dir()).as_deref())?;
    let config = tls::client_config(&identity, &roots)?;
    Ok(Confirmations::new(settings.uplink.incubator.clone(), config))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_of_another_user_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let install = Install::open(dir.path()).unwrap();
        by_owner(&install).expect("its owner may");
        // Only root can give a directory away.
        if std::os::unix::fs::chown(dir.path(), Some(1), None).is_ok() {
            let error = by_owner(&install).unwrap_err();
            assert_eq!(error.code(), Code::DirExposed);
            assert!(error.what().contains(&format!("run it as {}", install::user_name(1))), "{error}");
        }
    }
}
