//! A sender's host of its own: a network namespace joined to this machine by a veth pair, with addresses from the
//! documentation ranges (RFC 5737, RFC 3849), so that no real host is ever meant.

use super::run;
use std::process::Command;

/// A namespace that is removed when dropped.
pub struct Host {
    name: String,
    /// This machine's address as the namespace sees it.
    pub gateway: String,
    /// The same for IPv6.
    pub gateway6: String,
    /// The namespace's own address.
    pub address: String,
    /// The same for IPv6.
    pub address6: String,
}

impl Host {
    /// `number` (0 to 60) tells the hosts of one machine apart.
    pub fn new(number: u8) -> Self {
        let name = format!("soctest{number}");
        let host = Self {
            gateway: format!("192.0.2.{}", number * 4 + 1),
            address: format!("192.0.2.{}", number * 4 + 2),
            gateway6: format!("2001:db8:{number:x}::1"),
            address6: format!("2001:db8:{number:x}::2"),
            name,
        };
        host.remove();
        let (ns, outer, inner) = (&host.name, format!("{}o", host.name), format!("{}i", host.name));
        for line in [
            format!("netns add {ns}"),
            format!("link add {outer} type veth peer name {inner} netns {ns}"),
            format!("address add {}/30 dev {outer}", host.gateway),
            format!("address add {}/64 dev {outer} nodad", host.gateway6),
            format!("link set {outer} up"),
            format!("-n {ns} address add {}/30 dev {inner}", host.address),
            format!("-n {ns} address add {}/64 dev {inner} nodad", host.address6),
            format!("-n {ns} link set {inner} up"),
            format!("-n {ns} link set lo up"),
            format!("-n {ns} route add default via {}", host.gateway),
        ] {
            run(Command::new("ip").args(line.split(' '))).ok();
        }
        host
    }

    /// A command that runs in the namespace.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, program]);
        command
    }

    /// The name of the namespace's end of the pair.
    pub fn link(&self) -> String {
        format!("{}i", self.name)
    }

    fn remove(&self) {
        // The pair goes with the namespace; neither need be there.
        run(Command::new("ip").args(["netns", "delete", &self.name]));
        run(Command::new("ip").args(["link", "delete", &format!("{}o", self.name)]));
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.remove();
    }
}
