//! Whether the syslog port can be listened on.
//!
//! Nothing is bound to find out: an ordinary user could not bind a low port that the engine, through sudo, can. The
//! kernel's tables say who listens (`/proc/net/{tcp,tcp6,udp,udp6}`, see proc(5)), and the descriptors in
//! `/proc/PID/fd` whose it is.

use super::{Context, Outcome};
use crate::error::{Code, Error, Result};
use crate::settings::{Engine, EngineKind};
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

/// The kernel's own default of `net.ipv4.ip_unprivileged_port_start`.
const UNPRIVILEGED_FROM: u16 = 1024;

/// State LISTEN of a TCP socket in the kernel's tables.
const TCP_LISTEN: &str = "0A";

/// Processes whose descriptors are looked through; a host with more has its owner named by the command in the message.
const MAX_PROCESSES: usize = 32_768;

/// A socket that holds a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Socket {
    /// Where it listens.
    pub address: IpAddr,
    /// On which port.
    pub port: u16,
    /// The user who opened it.
    pub uid: u32,
    /// Its number, by which the process is found.
    pub inode: u64,
}

pub(super) fn checks(context: &Context<'_>) -> Vec<(&'static str, Outcome)> {
    let listener = &context.settings.listener;
    let port = listener.syslog_port;
    let mut outcomes = vec![("port privilege", privilege(context).into())];
    for (check, protocol) in [("UDP port", "udp"), ("TCP port", "tcp")] {
        let outcome = if context.own_port == Some(port) {
            Outcome::Skipped(format!("port {port} is this installation's own running connector's"))
        } else {
            free(context.proc, protocol, &listener.addresses, port).into()
        };
        outcomes.push((check, outcome));
    }
    outcomes
}

fn privilege(context: &Context<'_>) -> Result<String> {
    let from = fs::read_to_string(context.proc.join("sys/net/ipv4/ip_unprivileged_port_start"))
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(UNPRIVILEGED_FROM);
    may_open(context.settings.listener.syslog_port, from, context.uid, &context.settings.engine)
}

/// Whether the engine, as this user runs it, may open the port; below `unprivileged_from` only root may. Docker's
/// daemon is root whoever calls it.
pub fn may_open(port: u16, unprivileged_from: u16, uid: u32, engine: &Engine) -> Result<String> {
    if port >= unprivileged_from || uid == 0 || engine.sudo || engine.kind == EngineKind::Docker {
        return Ok(format!("Port {port} may be opened."));
    }
    Err(Error::new(
        Code::PortPrivileged,
        format!("port {port} is below {unprivileged_from}, and Podman runs as user {uid} without sudo"),
    ))
}

/// Whether nobody listens on the port at an address that is one of ours. `protocol` is `udp` or `tcp`.
pub fn free(proc: &Path, protocol: &'static str, ours: &[IpAddr], port: u16) -> Result<String> {
    let name = protocol.to_uppercase();
    for table in [protocol.to_owned(), format!("{protocol}6")] {
        // A kernel without IPv6 has no such table, and nobody who listens there.
        let Ok(text) = fs::read_to_string(proc.join("net").join(table)) else { continue };
        let taken = sockets(&text, protocol == "tcp")
            .find(|socket| socket.port == port && ours.iter().any(|own| overlap(*own, socket.address)));
        if let Some(socket) = taken {
            let flag = if protocol == "tcp" { 't' } else { 'u' };
            let whose = owner(proc, socket.inode).unwrap_or_else(|| {
                format!(
                    "a process of user {}; `sudo ss -ln{flag}p 'sport = :{port}'` shows which",
                    socket.uid
                )
            });
            return Err(Error::new(
                Code::PortBusy,
                format!("{name} port {port} is taken at {} by {whose}", socket.address),
            ));
        }
    }
    Ok(format!("{name} port {port} is free."))
}

/// Whether two sockets on the same port would collide. `::` takes IPv4 too, as both kernel and listener default to.
fn overlap(a: IpAddr, b: IpAddr) -> bool {
    let everything = |address: IpAddr| address == IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    let everything_of_its_kind = |address: IpAddr| address.is_unspecified();
    let (a, b) = (a.to_canonical(), b.to_canonical());
    a == b
        || everything(a)
        || everything(b)
        || (a.is_ipv4() == b.is_ipv4() && (everything_of_its_kind(a) || everything_of_its_kind(b)))
}

/// Reads one of the kernel's tables: of TCP those that listen, of UDP all, since each of them holds its port.
/// What is not a line of the table is passed over.
pub fn sockets(table: &str, listening_only: bool) -> impl Iterator<Item = Socket> + '_ {
    table.lines().skip(1).filter_map(move |line| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        if listening_only && *fields.get(3)? != TCP_LISTEN {
            return None;
        }
        let (address, port) = fields.get(1)?.split_once(':')?;
        Some(Socket {
            address: parse_address(address)?,
            port: u16::from_str_radix(port, 16).ok()?,
            uid: fields.get(7)?.parse().ok()?,
            inode: fields.get(9)?.parse().ok()?,
        })
    })
}

/// An address in the tables is one or four 32-bit words, each printed as this machine reads it from memory.
fn parse_address(hex: &str) -> Option<IpAddr> {
    let word = |index: usize| {
        let digits = hex.get(index * 8..index * 8 + 8)?;
        u32::from_str_radix(digits, 16).ok().map(u32::to_ne_bytes)
    };
    match hex.len() {
        8 => Some(IpAddr::V4(Ipv4Addr::from(word(0)?))),
        32 => {
            let mut octets = [0; 16];
            for index in 0..4 {
                octets[index * 4..index * 4 + 4].copy_from_slice(&word(index)?);
            }
            Some(IpAddr::V6(Ipv6Addr::from(octets)))
        }
        _ => None,
    }
}

/// The process that has this socket open, as far as this user may see it.
fn owner(proc: &Path, inode: u64) -> Option<String> {
    let socket = format!("socket:[{inode}]");
    let processes = fs::read_dir(proc).ok()?.filter_map(std::result::Result::ok);
    let numbered = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    for pid in numbered.take(MAX_PROCESSES) {
        let dir = proc.join(pid.to_string());
        let Ok(descriptors) = fs::read_dir(dir.join("fd")) else { continue };
        let has_it = descriptors
            .filter_map(std::result::Result::ok)
            .filter_map(|entry| fs::read_link(entry.path()).ok())
            .any(|target| target.as_os_str() == socket.as_str());
        if has_it {
            let name = fs::read_to_string(dir.join("comm")).unwrap_or_default();
            // A process names itself: nothing of it may steer the terminal.
            let name: String = name.trim().chars().filter(|c| !c.is_control()).collect();
            return Some(format!("{name} (process {pid})"));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, UdpSocket};

    const PROC: &str = "/proc";

    fn anywhere() -> Vec<IpAddr> {
        vec!["::".parse().unwrap()]
    }

    #[test]
    fn a_taken_port_names_the_process_that_has_it() {
        // An address of loopback that nothing else uses, so that the ports are free again afterwards.
        let tcp = TcpListener::bind("127.0.0.77:0").unwrap();
        let udp = UdpSocket::bind("127.0.0.77:0").unwrap();
        let ports = [("tcp", tcp.local_addr().unwrap().port()), ("udp", udp.local_addr().unwrap().port())];
        for (protocol, port) in ports {
            let error = free(Path::new(PROC), protocol, &anywhere(), port).unwrap_err();
            assert_eq!(error.code(), Code::PortBusy);
            let what = error.what();
            assert!(what.contains(&format!("(process {})", std::process::id())), "{what}");
            assert!(what.contains(&format!("port {port} is taken at 127.0.0.77 by ")), "{what}");
            let elsewhere = ["127.0.0.2".parse().unwrap(), "::1".parse().unwrap()];
            assert!(
                free(Path::new(PROC), protocol, &elsewhere, port).is_ok(),
                "another address does not collide"
            );
        }
        drop((tcp, udp));
        for (protocol, port) in ports {
            assert!(
                free(Path::new(PROC), protocol, &anywhere(), port).is_ok(),
                "{protocol} {port} is free again"
            );
        }
    }

    #[test]
    fn what_listens_on_ipv6_collides_too() {
        let Ok(listener) = TcpListener::bind("[::1]:0") else { return };
        let port = listener.local_addr().unwrap().port();
        let check = |own: &str| free(Path::new(PROC), "tcp", &[own.parse().unwrap()], port);
        assert_eq!(check("::").unwrap_err().code(), Code::PortBusy);
        assert!(check("::1").unwrap_err().what().contains("taken at ::1 by"));
        assert!(check("127.0.0.1").is_ok());
    }

    #[test]
    fn a_connection_on_the_port_is_no_listener() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let port = client.local_addr().unwrap().port();
        assert!(free(Path::new(PROC), "tcp", &anywhere(), port).is_ok());
    }

    /// Lines as the kernel of a little-endian machine prints them; the words are of the machine's own byte order.
    const TABLE: &str = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:0202 00000000:0000 0A 00000000:00000000 00:00000000 00000000   104        0 550 1 0000000009056976
   1: 00000000:05EA 00000000:0000 01 00000000:00000000 00:00000000 00000000  1001        0 39303 1 000000000f6a272f
   2: 00000000000000000000000001000000:05EA 00000000000000000000000000000000:0000 0A 0:0 00:0 0 7 0 8 1 0
   3: nonsense
";

    #[test]
    #[cfg(target_endian = "little")]
    fn the_kernels_tables_are_read() {
        let socket =
            |address: &str, port, uid, inode| Socket { address: address.parse().unwrap(), port, uid, inode };
        let listening: Vec<_> = sockets(TABLE, true).collect();
        assert_eq!(listening, [socket("127.0.0.1", 514, 104, 550), socket("::1", 1514, 7, 8)]);
        let all: Vec<_> = sockets(TABLE, false).collect();
        assert_eq!(all.len(), 3);
        assert_eq!(all[1], socket("0.0.0.0", 1514, 1001, 39303));
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn where_the_owner_cannot_be_seen_a_command_that_shows_it_is_named() {
        let proc = tempfile::tempdir().unwrap();
        fs::create_dir(proc.path().join("net")).unwrap();
        fs::write(proc.path().join("net/tcp"), TABLE).unwrap();
        let error = free(proc.path(), "tcp", &anywhere(), 514).unwrap_err();
        assert!(error.what().contains("a process of user 104"), "{error}");
        assert!(error.what().contains("ss -lntp 'sport = :514'"), "{error}");
        assert!(free(proc.path(), "udp", &anywhere(), 514).is_ok(), "tables that are missing hold nothing");
    }

    #[test]
    fn addresses_collide_as_the_kernel_has_it() {
        for (a, b, collide) in [
            ("::", "127.0.0.1", true),
            ("::", "::1", true),
            ("0.0.0.0", "127.0.0.1", true),
            ("0.0.0.0", "::1", false),
            ("127.0.0.1", "127.0.0.1", true),
            ("127.0.0.1", "127.0.0.2", false),
            ("::ffff:127.0.0.1", "127.0.0.1", true),
            ("::1", "127.0.0.1", false),
        ] {
            let (x, y) = (a.parse().unwrap(), b.parse().unwrap());
            assert_eq!((overlap(x, y), overlap(y, x)), (collide, collide), "{a} {b}");
        }
    }

    #[test]
    fn low_ports_need_root_sudo_or_docker() {
        let podman = Engine::default();
        let sudo = Engine { sudo: true, ..Engine::default() };
        let docker = Engine { kind: EngineKind::Docker, ..Engine::default() };
        for (port, from, uid, engine, allowed) in [
            (1514, 1024, 1000, &podman, true),
            (1024, 1024, 1000, &podman, true),
            (514, 1024, 1000, &podman, false),
            (514, 500, 1000, &podman, true),
            (1514, 2000, 1000, &podman, false),
            (514, 1024, 0, &podman, true),
            (514, 1024, 1000, &sudo, true),
            (514, 1024, 1000, &docker, true),
        ] {
            let result = may_open(port, from, uid, engine);
            assert_eq!(result.is_ok(), allowed, "{port} {from} {uid}");
            assert!(result.err().is_none_or(|error| error.code() == Code::PortPrivileged));
        }
    }
}
