//! `start`: create and start the container, and return when it really receives.

use super::{Session, block_on, credentials};
use crate::batch::Transport;
use crate::connector::control::{Client, Watch};
use crate::console::Console;
use crate::engine::container::{ContainerSpec, Wanted};
use crate::engine::{self, ContainerState, Engine};
use crate::error::{Code, Error, Result};
use crate::listener::probe_message;
use crate::state::machine::Guarded;
use std::path::Path;
use std::time::Duration;
use tokio::time::Instant;

/// How long the connector may take until it answers on its socket: it opens its spool and its ports.
const COMES_UP: Duration = Duration::from_secs(30);
/// How long a probe may take from the published port to the listener.
const PROBE: Duration = Duration::from_secs(10);
/// UDP may drop a probe; it is sent again so often within [`PROBE`].
const PROBE_REPEAT: Duration = Duration::from_millis(500);
/// Pause between two looks at a container that is coming up.
const LOOK: Duration = Duration::from_millis(100);
/// What is shown of the container's log when it does not come up.
const LOG_LINES: usize = 20;

/// Starts the connector.
pub fn exec(dir: &Path, console: Console) -> Result<()> {
    block_on(async {
        let session = Session::exclusive(dir, console, "start").await?;
        session.allow(Guarded::Start)?;
        session.start_connector().await
    })?
}

impl<E: Engine> Session<E> {
    async fn start_connector(&self) -> Result<()> {
        let record = self.record.as_ref().expect("start is allowed only after setup");
        let name = self.container_name();
        if self.container.is_some() {
            self.console.info(format_args!("removing the leftover container {name}"));
            self.engine.remove(&name, true).await?;
        }
        if self.engine.image(&record.image).await?.is_none() {
            return Err(Error::new(
                Code::ImageMissing,
                format!("the engine no longer has the image {}", record.image),
            ));
        }
        if self.install.settings_file().exists() && self.settings_edited() {
            self.console
                .warn("conf/soc-connector.toml was edited since setup; `setup` makes the change effective");
        }
        let credentials = credentials(&self.install, &self.settings)?;
        let network = self.network_plan().await?;
        let mut args: Vec<String> =
            ["--dir", engine::container::DIR_INSIDE, "run", "--mode", record.mode.name()]
                .map(str::to_owned)
                .to_vec();
        if !network.publish.is_empty() {
            args.extend(["--listen-port".to_owned(), network.listen_port.to_string()]);
        }
        if credentials.ca.is_some() {
            args.extend(["--ca".to_owned(), engine::container::CA_INSIDE.to_owned()]);
        }
        let spec = ContainerSpec::new(Wanted {
            install: &self.install,
            mode: record.mode,
            name: &name,
            image: &record.image,
            user: self.install.owner()?,
            network: &network,
            limits: self.settings.limits,
            credentials: &credentials,
            args,
        })?;
        self.console.info(format_args!("starting SOC-Connector in {} mode ...", record.mode.name()));
        for remark in self.engine.create(&spec).await? {
            self.console.warn(remark);
        }
        let started = match self.engine.start(&name).await {
            Ok(()) => self.receives().await,
            Err(error) => Err(error),
        };
        if let Err(error) = started {
            for line in self.engine.logs(&name, LOG_LINES).await.unwrap_or_default() {
                self.console.info(format_args!("container: {line}"));
            }
            // A connector that does not receive must not look as if it did.
            if let Err(left) = self.engine.remove(&name, true).await {
                self.console.warn_error(&left);
            }
            return Err(error);
        }
        self.console.ok(format_args!(
            "SOC-Connector started: it receives on port {} over UDP and TCP",
            self.settings.listener.syslog_port
        ));
        Ok(())
    }

    /// Waits until the connector answers, then until a probe over UDP and one over TCP came out at its listener.
    async fn receives(&self) -> Result<()> {
        let client = Client::new(self.install.run_dir());
        let name = self.container_name();
        let token = format!("{:032x}", rand_token());
        let until = Instant::now() + COMES_UP;
        let watch = loop {
            match client.announce(&token).await {
                Ok(watch) => break watch,
                Err(error) if Instant::now() >= until => return Err(error),
                Err(_) => {}
            }
            match self.engine.inspect(&name).await?.map(|info| (info.state, info.restarts)) {
                Some((ContainerState::Running, 0)) => tokio::time::sleep(LOOK).await,
                other => {
                    return Err(Error::new(
                        Code::ContainerNotStarted,
                        format!("the container {name} ended right after its start ({other:?})"),
                    ));
                }
            }
        };
        let lost = |over: &str| {
            let port = self.settings.listener.syslog_port;
            Error::new(
                Code::ProbeLost,
                format!("a message to port {port} over {over} did not arrive within 10 s"),
            )
        };
        tokio::time::timeout(PROBE, self.probe(watch, &token)).await.map_err(|_| lost("UDP or TCP"))?
    }

    async fn probe(&self, mut watch: Watch, token: &str) -> Result<()> {
        let target = super::submit::local_target(&self.settings.listener);
        let message = probe_message(token);
        let (mut udp, mut tcp) = (false, false);
        while !(udp && tcp) {
            // Not yet reachable is not yet an error: an engine publishes a port a moment after the start.
            if !udp {
                drop(super::submit::udp(target, &message).await);
            }
            if !tcp {
                drop(super::submit::tcp(target, &message).await);
            }
            let again = tokio::time::sleep(PROBE_REPEAT);
            tokio::pin!(again);
            loop {
                tokio::select! {
                    () = &mut again => break,
                    seen = watch.seen() => match seen {
                        Ok(seen) if seen.transport == Transport::Udp => udp = true,
                        Ok(_) => tcp = true,
                        Err(error) => {
                            let what = "the connector ended while it was probed";
                            return Err(Error::new(Code::ConnectorSilent, what).caused_by(error));
                        }
                    },
                }
                if udp && tcp {
                    break;
                }
            }
        }
        Ok(())
    }
}

/// A number nobody else uses.
fn rand_token() -> u128 {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system's random source answers");
    u128::from_le_bytes(bytes)
}
