//! Whether the receivers can be reached, and accept us: each is resolved, connected to, and brought through a TLS
//! handshake with our own certificate, all at the same time. What failed is told by its step.

use super::{Context, Outcome};
use crate::error::{Code, Error};
use crate::settings::Endpoint;
use crate::state::Mode;
use crate::tls::dial::resolve;
use crate::tls::fault::Step;
use crate::tls::{Connection, Facts, Fault, Identity, Roots, client_config, dial};
use futures_util::StreamExt;
use futures_util::stream::FuturesOrdered;
use rustls::ClientConfig;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Bound on one endpoint, in connect timeouts: resolving, and connecting and handshaking with one silent address
/// beside the one that answers.
pub const TOTAL_STEPS: u32 = 4;

/// What is needed for a handshake.
#[derive(Debug)]
pub struct Client(Option<Arc<ClientConfig>>);

impl Client {
    /// With a certificate and roots; where one is missing, endpoints are only connected to.
    pub fn new(identity: Option<&Identity>, roots: Option<&Roots>) -> Self {
        Self(identity.zip(roots).and_then(|(identity, roots)| client_config(identity, roots).ok()))
    }
}

/// One receiver and what depends on it.
struct Target<'a> {
    check: &'static str,
    endpoint: &'a Endpoint,
    purpose: &'static str,
    required: bool,
    /// Its connection is kept for the clock's check.
    confirmations: bool,
}

/// How far a check came.
enum Reached {
    Tls(Box<Connection>),
    /// There is no usable certificate, so only this far.
    Tcp(SocketAddr),
}

fn targets<'a>(context: &Context<'a>) -> Vec<Target<'a>> {
    let uplink = &context.settings.uplink;
    let stage = context.mode == Mode::Stage;
    let mut targets = vec![
        Target {
            check: "incubator",
            endpoint: &uplink.incubator_stream,
            purpose: "incubator, stream",
            required: stage,
            confirmations: false,
        },
        Target {
            check: "incubator",
            endpoint: &uplink.incubator,
            purpose: "incubator, confirmations",
            required: stage,
            confirmations: true,
        },
    ];
    targets.extend(uplink.concentrators.iter().map(|concentrator| Target {
        check: "concentrator",
        endpoint: &concentrator.endpoint,
        purpose: "concentrator",
        required: false,
        confirmations: false,
    }));
    targets
}

/// Checks all receivers at once and tells them in the settings' order. In stage mode both of the incubator's endpoints
/// are required; in production mode one concentrator is: the others are there because one can fail.
///
/// Gives back the connection to the incubator's confirmations, for the clock's check.
pub(super) async fn checks(
    context: &Context<'_>,
    client: &Client,
    told: &mut (dyn FnMut(&'static str, Outcome) + Send),
) -> Option<Connection> {
    let bound = context.settings.uplink.connect_timeout;
    let targets = targets(context);
    let mut running: FuturesOrdered<_> =
        targets.iter().map(|target| reach(target.endpoint, client, bound)).collect();
    let mut incubator = None;
    let mut concentrator_reached = false;
    let mut left = targets.len();
    for target in &targets {
        let reached = running.next().await.expect("there is one future for each target");
        left -= 1;
        let name = format!("{} ({})", target.endpoint, target.purpose);
        let outcome = match reached {
            Ok(Reached::Tls(connection)) => {
                let text = describe(&name, &connection);
                concentrator_reached |= target.check == "concentrator";
                if target.confirmations {
                    incubator = Some(*connection);
                }
                Outcome::Ok(text)
            }
            Ok(Reached::Tcp(peer)) => {
                concentrator_reached |= target.check == "concentrator";
                Outcome::Skipped(format!(
                    "{name} is reachable at {peer}; TLS was not tried, for want of a usable certificate"
                ))
            }
            Err(fault) => {
                let error = error(&fault, &name);
                // The last concentrator decides whether there is one at all.
                let none_left = context.mode == Mode::Production && left == 0 && !concentrator_reached;
                if target.required || none_left { Outcome::Failed(error) } else { Outcome::Warning(error) }
            }
        };
        told(target.check, outcome);
    }
    incubator
}

async fn reach(endpoint: &Endpoint, client: &Client, bound: Duration) -> Result<Reached, Fault> {
    let attempt = async {
        match &client.0 {
            Some(config) => {
                dial(endpoint, Arc::clone(config), bound).await.map(|c| Reached::Tls(Box::new(c)))
            }
            None => connect(endpoint, bound).await.map(Reached::Tcp),
        }
    };
    // Only a name with several silent addresses comes this far.
    timeout(bound * TOTAL_STEPS, attempt).await.unwrap_or(Err(Fault::Timeout(Step::Connect)))
}

/// A TCP connection to one of the endpoint's addresses.
async fn connect(endpoint: &Endpoint, bound: Duration) -> Result<SocketAddr, Fault> {
    let mut fault = Fault::Name("it has no address".to_owned());
    for address in resolve(endpoint, bound).await? {
        match timeout(bound, TcpStream::connect(address)).await {
            Ok(Ok(_)) => return Ok(address),
            Ok(Err(error)) => fault = Fault::Connect(error.to_string()),
            Err(_) => fault = Fault::Timeout(Step::Connect),
        }
    }
    Err(fault)
}

fn describe(name: &str, connection: &Connection) -> String {
    let issuer = connection
        .server_certificate()
        .and_then(|certificate| Facts::of(certificate).ok())
        .map(|facts| facts.issuer_cn.unwrap_or(facts.issuer))
        .map_or_else(String::new, |issuer| format!(", its certificate was issued by \"{issuer}\""));
    format!("{name} accepts us at {}, {}{issuer}.", connection.peer, connection.protocol())
}

/// The fault with the code of the step that failed.
fn error(fault: &Fault, name: &str) -> Error {
    let network = match fault {
        Fault::Name(_) | Fault::Timeout(Step::Resolve) => Code::NameUnresolved,
        Fault::Timeout(Step::Handshake) => Code::HandshakeSilent,
        Fault::Closed(_) => Code::HandshakeClosed,
        _ => Code::ConnectFailed,
    };
    fault.clone().into_error(name, network)
}
