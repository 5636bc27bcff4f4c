//! How senders reach the container, chosen so that their source addresses survive.
//!
//! | engine | port | plan |
//! |---|---|---|
//! | Podman, rootless | unprivileged | host network |
//! | Podman, rootless | privileged | none: needs `--sudo` (the kernel gives the port to root only) |
//! | Podman, root or `--sudo` | unprivileged | host network |
//! | Podman, root or `--sudo` | privileged | host network and `CAP_NET_BIND_SERVICE`, the only capability |
//! | Docker | unprivileged | host network |
//! | Docker | privileged | bridge, published on IPv4 to 1514 inside |
//! | Docker, rootless | any | none: its network is not the host's |
//!
//! "Privileged" is below the kernel's `net.ipv4.ip_unprivileged_port_start`, 1024 unless changed.
//!
//! # What the container sees of a sender
//!
//! Measured with a sender in a network namespace of its own, UDP and TCP (Podman 4.3.1, Docker 20.10.24):
//!
//! | network | remote sender | sender on this machine |
//! |---|---|---|
//! | host, every engine | its address | its address |
//! | bridge, Docker | its address | the bridge's, 172.17.0.1 |
//! | bridge, Podman as root | its address | the bridge's, 10.88.0.1 |
//! | slirp4netns with its own port handler, rootless Podman | its address | 10.0.2.2 |
//! | bridge, rootless Podman | the engine's, always | the engine's |
//!
//! Docker sets the kernel's forwarding policy to drop what is not for its own containers, so Podman's bridge is
//! unreachable from outside where Docker runs too. Docker publishes over IPv6 through a proxy process (no ip6tables by
//! default), which would hide senders; therefore IPv4 only. A container of Docker's that runs as an ordinary user has an
//! added capability in its bounding set only, and binding a privileged port fails with "permission denied".

use crate::error::{Code, Error, Result};
use crate::settings::{EngineKind, Network};
use std::net::{IpAddr, Ipv4Addr};

/// The port inside where it cannot be the one outside.
pub const PORT_INSIDE: u16 = 1514;

/// What the container's network is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attachment {
    /// The host's own network.
    Host,
    /// The engine's bridge.
    Bridge,
    /// Rootless Podman's user-mode network with the port handler that keeps source addresses.
    Slirp4netns,
}

impl Attachment {
    /// The word in settings and state.
    pub fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Bridge => "bridge",
            Self::Slirp4netns => "slirp4netns",
        }
    }
}

/// A port of the host that leads into the container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publish {
    /// `tcp` or `udp`.
    pub transport: &'static str,
    /// Address on the host.
    pub host_address: IpAddr,
    /// Port on the host.
    pub host_port: u16,
    /// Port inside.
    pub port_inside: u16,
}

impl Publish {
    /// `1514/udp`.
    pub(super) fn inside(&self) -> String {
        format!("{}/{}", self.port_inside, self.transport)
    }
}

/// How the container is attached. Where ports are published, the listener inside listens on all addresses and
/// [`Publish::host_address`] does what `listener.addresses` asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkPlan {
    /// The network.
    pub attachment: Attachment,
    /// The port that the listener binds inside.
    pub listen_port: u16,
    /// Published ports; none in the host's network.
    pub publish: Vec<Publish>,
    /// The container needs `CAP_NET_BIND_SERVICE`.
    pub bind_capability: bool,
    /// What the operator should know.
    pub remarks: Vec<String>,
}

/// What the choice depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts<'a> {
    /// The engine.
    pub kind: EngineKind,
    /// It runs as an ordinary user.
    pub rootless: bool,
    /// The port that senders use.
    pub port: u16,
    /// `listener.addresses`.
    pub addresses: &'a [IpAddr],
    /// The lowest port that needs no privilege.
    pub unprivileged_port_start: u16,
}

/// The kernel's `net.ipv4.ip_unprivileged_port_start`; 1024 where it cannot be read.
pub fn unprivileged_port_start() -> u16 {
    std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start")
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(1024)
}

/// Chooses. E325 where the wish cannot be met.
pub fn choose(wish: Network, facts: Facts<'_>) -> Result<NetworkPlan> {
    use EngineKind::{Docker, Podman};
    let Facts { kind, rootless, port, addresses, unprivileged_port_start } = facts;
    let privileged = port < unprivileged_port_start;
    let refuse = |why: String| Err(Error::new(Code::NetworkImpossible, why));
    if rootless && privileged {
        return refuse(format!(
            "port {port} is below {unprivileged_port_start}, and an engine without root's rights cannot open it; \
             use `--sudo`, or a port from {unprivileged_port_start} on"
        ));
    }
    match (wish, kind, rootless) {
        (Network::Auto | Network::Host, Podman, _) => Ok(host(port, privileged)),
        (Network::Auto | Network::Host, Docker, false) if !privileged => Ok(host(port, false)),
        (Network::Auto | Network::Bridge, Docker, false) => docker_bridge(port, addresses),
        (Network::Host, Docker, false) => refuse(format!(
            "with Docker, a container in the host's network that runs as an ordinary user cannot open port {port}; \
             network \"auto\" or \"bridge\" publishes it"
        )),
        (Network::Bridge, Podman, false) => published(Attachment::Bridge, port, addresses, Vec::new()),
        (Network::Bridge, _, true) => published(Attachment::Bridge, port, addresses, vec![hidden_senders()]),
        (Network::Slirp4netns, Podman, true) => {
            published(Attachment::Slirp4netns, port, addresses, Vec::new())
        }
        (Network::Slirp4netns, _, _) => refuse(
            "network \"slirp4netns\" exists in rootless Podman only; \"auto\" chooses what fits".into(),
        ),
        (Network::Auto | Network::Host, Docker, true) => refuse(
            "rootless Docker's host network is not this machine's, so senders could not reach the port; use \
             rootless Podman, Docker as root, or network \"bridge\" if senders' addresses do not matter"
                .into(),
        ),
    }
}

fn host(port: u16, privileged: bool) -> NetworkPlan {
    NetworkPlan {
        attachment: Attachment::Host,
        listen_port: port,
        publish: Vec::new(),
        bind_capability: privileged,
        remarks: Vec::new(),
    }
}

fn docker_bridge(port: u16, addresses: &[IpAddr]) -> Result<NetworkPlan> {
    let remark = format!(
        "Docker publishes port {port} on IPv4 only, because over IPv6 its proxy would hide the senders' addresses; \
         programs on this machine itself appear with the address of Docker's bridge"
    );
    published(Attachment::Bridge, port, addresses, vec![remark])
}

fn hidden_senders() -> String {
    "the network mode \"bridge\" of a rootless engine hides the senders' addresses: every event will seem to come \
     from the engine itself"
        .into()
}

/// Publishes on the IPv4 addresses among `addresses`; `::` counts as all of IPv4.
fn published(
    attachment: Attachment,
    port: u16,
    addresses: &[IpAddr],
    remarks: Vec<String>,
) -> Result<NetworkPlan> {
    let mut on = Vec::new();
    for address in addresses {
        on.push(match address {
            IpAddr::V4(address) => *address,
            IpAddr::V6(address) if address.is_unspecified() => Ipv4Addr::UNSPECIFIED,
            IpAddr::V6(address) => {
                return Err(Error::new(
                    Code::NetworkImpossible,
                    format!(
                        "`listener.addresses` has {address}, and network \"{}\" reaches the container over IPv4 only",
                        attachment.name()
                    ),
                ));
            }
        });
    }
    if on.is_empty() || on.contains(&Ipv4Addr::UNSPECIFIED) {
        on = vec![Ipv4Addr::UNSPECIFIED];
    }
    let publish = ["tcp", "udp"]
        .into_iter()
        .flat_map(|transport| {
            on.iter().map(move |address| Publish {
                transport,
                host_address: IpAddr::V4(*address),
                host_port: port,
                port_inside: PORT_INSIDE,
            })
        })
        .collect();
    Ok(NetworkPlan { attachment, listen_port: PORT_INSIDE, publish, bind_capability: false, remarks })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv6Addr;

    const ALL: &[IpAddr] = &[IpAddr::V6(Ipv6Addr::UNSPECIFIED)];

    fn facts(kind: EngineKind, rootless: bool, port: u16) -> Facts<'static> {
        Facts { kind, rootless, port, addresses: ALL, unprivileged_port_start: 1024 }
    }

    #[test]
    fn the_choice_is_the_documented_table() {
        use Attachment::{Bridge, Host, Slirp4netns};
        use EngineKind::{Docker, Podman};
        // Wish, engine, rootless, port; attachment and port inside, or nothing where it is refused.
        let table = [
            (Network::Auto, Podman, true, 1514, Some((Host, 1514))),
            (Network::Auto, Podman, true, 514, None),
            (Network::Auto, Podman, false, 1514, Some((Host, 1514))),
            (Network::Auto, Podman, false, 514, Some((Host, 514))),
            (Network::Auto, Docker, false, 1514, Some((Host, 1514))),
            (Network::Auto, Docker, false, 514, Some((Bridge, 1514))),
            (Network::Auto, Docker, true, 1514, None),
            (Network::Host, Podman, true, 6514, Some((Host, 6514))),
            (Network::Host, Podman, false, 514, Some((Host, 514))),
            (Network::Host, Docker, false, 1514, Some((Host, 1514))),
            (Network::Host, Docker, false, 514, None),
            (Network::Bridge, Podman, true, 2514, Some((Bridge, 1514))),
            (Network::Bridge, Podman, false, 514, Some((Bridge, 1514))),
            (Network::Bridge, Docker, false, 2514, Some((Bridge, 1514))),
            (Network::Slirp4netns, Podman, true, 2514, Some((Slirp4netns, 1514))),
            (Network::Slirp4netns, Podman, true, 514, None),
            (Network::Slirp4netns, Podman, false, 2514, None),
            (Network::Slirp4netns, Docker, false, 2514, None),
        ];
        for (wish, kind, rootless, port, wanted) in table {
            let case = format!("{wish:?} {kind:?} rootless={rootless} {port}");
            match (choose(wish, facts(kind, rootless, port)), wanted) {
                (Ok(plan), Some(wanted)) => {
                    assert_eq!((plan.attachment, plan.listen_port), wanted, "{case}");
                    let published = plan.attachment != Host;
                    assert_eq!(!plan.publish.is_empty(), published, "{case}");
                    assert!(plan.publish.iter().all(|publish| publish.host_port == port), "{case}");
                    // The one capability: only Podman hands it to a user other than root.
                    assert_eq!(plan.bind_capability, kind == Podman && plan.listen_port < 1024, "{case}");
                    let hides = plan.remarks.iter().any(|remark| remark.contains("hides"));
                    assert_eq!(hides, rootless && plan.attachment == Bridge, "{case}");
                }
                (Err(error), None) => assert_eq!(error.code(), Code::NetworkImpossible, "{case}"),
                (got, wanted) => panic!("{case}: {got:?}, not {wanted:?}"),
            }
        }
    }

    #[test]
    fn a_kernel_that_gives_low_ports_to_everyone_needs_no_privilege() {
        for kind in [EngineKind::Podman, EngineKind::Docker] {
            let facts = Facts { unprivileged_port_start: 514, ..facts(kind, false, 514) };
            let plan = choose(Network::Auto, facts).expect("possible");
            assert_eq!((plan.attachment, plan.bind_capability), (Attachment::Host, false));
        }
    }

    #[test]
    fn published_ports_are_on_the_addresses_that_were_set() {
        fn with(addresses: &[IpAddr]) -> Facts<'_> {
            Facts { addresses, ..facts(EngineKind::Docker, false, 514) }
        }
        let hosts = |addresses: &[IpAddr]| {
            let plan = choose(Network::Auto, with(addresses)).expect("possible");
            plan.publish.iter().map(|p| format!("{}/{}", p.host_address, p.transport)).collect::<Vec<_>>()
        };
        let one = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));
        let two = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 7));
        assert_eq!(hosts(ALL), ["0.0.0.0/tcp", "0.0.0.0/udp"]);
        assert_eq!(
            hosts(&[one, two]),
            ["192.0.2.7/tcp", "198.51.100.7/tcp", "192.0.2.7/udp", "198.51.100.7/udp"]
        );
        assert_eq!(hosts(&[one, ALL[0]]), ["0.0.0.0/tcp", "0.0.0.0/udp"]);
        let error = choose(Network::Auto, with(&[IpAddr::V6(Ipv6Addr::LOCALHOST)])).expect_err("IPv6 alone");
        assert_eq!(error.code(), Code::NetworkImpossible);
    }
}
