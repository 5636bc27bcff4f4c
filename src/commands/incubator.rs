//! `incubator`: the SOC's stage receiver in the foreground.

use super::block_on;
use crate::console::Console;
use crate::error::{Code, Error, Result};
use crate::incubator::{Config, Incubator, store::Bounds};
use crate::tls::{self, Identity, Roots};
use serde_json::json;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// Where it listens and who it is.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Where events come in
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "[::]:5044")]
    pub stream: SocketAddr,
    /// Where confirmations are asked for
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "[::]:5443")]
    pub confirmations: SocketAddr,
    /// Server certificate (PEM, with its chain)
    #[arg(long, value_name = "FILE", required_unless_present = "pki")]
    pub cert: Option<PathBuf>,
    /// Its key (PEM)
    #[arg(long, value_name = "FILE", required_unless_present = "pki")]
    pub key: Option<PathBuf>,
    /// CA that must have issued the clients' certificates (PEM)
    #[arg(long, value_name = "FILE", required_unless_present = "pki")]
    pub client_ca: Option<PathBuf>,
    /// Directory made by `pki`, in place of the three above
    #[arg(long, value_name = "DIR", conflicts_with_all = ["cert", "key", "client_ca"])]
    pub pki: Option<PathBuf>,
    /// How long an event is kept
    #[arg(long, value_name = "SECONDS", default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub keep: u64,
    /// Memory for all clients' events, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 256, value_parser = memory_mib)]
    pub memory: usize,
}

fn memory_mib(text: &str) -> Result<usize, String> {
    let mib = text.parse().map_err(|_| "not a number".to_owned())?;
    if (1..=65_536).contains(&mib) { Ok(mib) } else { Err("1 to 65536 MiB".to_owned()) }
}

/// Runs until SIGTERM or SIGINT.
pub fn exec(console: Console, options: &Options) -> Result<()> {
    let file = |given: &Option<PathBuf>, name: &str| match (&options.pki, given) {
        (Some(dir), _) => dir.join(name),
        (None, Some(path)) => path.clone(),
        (None, None) => unreachable!("clap demands the files where no PKI directory is given"),
    };
    let identity =
        Identity::load(&file(&options.cert, "server-cert.pem"), &file(&options.key, "server-key.pem"))?;
    let clients = Roots::from_file(&file(&options.client_ca, "ca.pem"))?;
    let tls = tls::server_config(&identity, &clients)?;
    let total_bytes = options.memory << 20;
    let defaults = Bounds::default();
    let bounds = Bounds {
        keep: Duration::from_secs(options.keep),
        client_bytes: defaults.client_bytes.min(total_bytes),
        total_bytes,
        answer_bytes: defaults.answer_bytes,
    };
    let config = Config { stream: options.stream, confirmations: options.confirmations, tls, bounds };
    block_on(async {
        let signals = signal(SignalKind::terminate()).and_then(|t| Ok((t, signal(SignalKind::interrupt())?)));
        let (mut terminate, mut interrupt) = signals
            .map_err(|error| Error::new(Code::Internal, "signals cannot be received").caused_by(error))?;
        let incubator = Incubator::bind(config).await?;
        let (stream, confirmations) = (incubator.stream_addr(), incubator.confirmations_addr());
        if console.is_json() {
            console.value(&json!({ "stream": stream, "confirmations": confirmations }));
        } else {
            console.ok(format_args!("incubator: stream on {stream}, confirmations on {confirmations}"));
        }
        incubator
            .run(async {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
            })
            .await;
        Ok(())
    })?
}
