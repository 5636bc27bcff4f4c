//! What may stand where a HOSTNAME stands.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// The longest DNS name; longer words are text.
const MAX_HOST_BYTES: usize = 255;

/// Whether `word` can be a HOSTNAME: a name or an address, also with the marks by which relays chain names
/// (`source@host`, `host/relay`).
pub fn is_host(word: &[u8]) -> bool {
    is_name(word) || is_ipv6(word)
}

fn is_name(word: &[u8]) -> bool {
    let first_is_one = word
        .first()
        .is_some_and(|&byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':' | 0x80..));
    first_is_one
        && word.len() <= MAX_HOST_BYTES
        && word.last() != Some(&b':')
        && word.iter().any(|&byte| byte.is_ascii_alphanumeric() || byte >= 0x80)
        && word.iter().all(|&byte| {
            byte.is_ascii_alphanumeric()
                || matches!(
                    byte,
                    b'.' | b'-' | b'_' | b':' | b'/' | b'@' | b'%' | b'+' | b'&' | b'#' | b'~' | 0x80..
                )
        })
}

/// Whether `word` can be a name where what follows it leaves no doubt that one stands there: Comware, VRP and others take
/// nearly every sign in a `sysname`. Those that begin a text's own structures are left out.
pub fn is_odd_name(word: &[u8]) -> bool {
    word.len() <= MAX_HOST_BYTES
        && word.first().is_some_and(|&byte| byte.is_ascii_alphanumeric() || byte >= 0x80)
        && word.last() != Some(&b':')
        && word.iter().all(|&byte| {
            (byte.is_ascii_graphic() || byte >= 0x80)
                && !matches!(byte, b'"' | b'=' | b'[' | b']' | b'{' | b'}' | b'<' | b'>' | b',' | b';' | b'|')
        })
}

/// Whether a name has a sign that words of a text seldom have, a digit, a point, a dash or an underscore, and is no number.
pub fn is_no_word(name: &[u8]) -> bool {
    !name.iter().all(u8::is_ascii_digit)
        && name.iter().any(|&byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'_'))
}

/// An IPv4 address without the number of a stack's unit that switches with FASTPATH put behind it, `192.0.2.1-1`, or
/// the length of its network's prefix, `192.0.2.1/24`; a name without the blade's that chassis of F5 put before it,
/// `slot1/name`; any other name as it is.
pub fn without_unit(name: &[u8]) -> &[u8] {
    match name {
        [b'0'..=b'9', .., b'-', b'0'..=b'9'] if is_ipv4(&name[..name.len() - 2]) => &name[..name.len() - 2],
        [b'0'..=b'9', ..]
            if let Some(slash) = memchr::memchr(b'/', name)
                && matches!(name.len() - slash, 2 | 3)
                && is_ipv4(&name[..slash])
                && name[slash + 1..].iter().all(u8::is_ascii_digit) =>
        {
            &name[..slash]
        }
        [b's', b'l', b'o', b't', b'0'..=b'9', b'/', name @ ..]
        | [b's', b'l', b'o', b't', b'0'..=b'9', b'0'..=b'9', b'/', name @ ..]
            if !name.is_empty() =>
        {
            name
        }
        _ => name,
    }
}

/// The name in `name/ADDRESS`, as Java writes a host that it has looked up; any other name as it is.
pub fn without_address(name: &[u8]) -> &[u8] {
    match memchr::memrchr(b'/', name) {
        Some(slash @ 1..) if is_address(&name[slash + 1..]) && !is_address(&name[..slash]) => &name[..slash],
        _ => name,
    }
}

/// The origin's name in a chain that relays have made, `source@name`, `name/relay`, `source@name/relay` (syslog-ng's
/// `chain-hostnames()`), and behind the name that a chassis of F5 gives its own log, `local/name`; any other name as it is.
pub fn of_origin(name: &[u8]) -> &[u8] {
    // CNOS puts its own context behind the name.
    let name = name.strip_suffix(b"(cnos:default)").filter(|own| is_name(own)).unwrap_or(name);
    let chain = match memchr::memchr(b'@', name) {
        Some(at) if is_name(&name[at + 1..]) && is_source(&name[..at], &name[at + 1..]) => &name[at + 1..],
        _ => name.strip_prefix(b"local/").filter(|own| is_name(own)).unwrap_or(name),
    };
    match memchr::memchr(b'/', chain) {
        Some(slash @ 1..) if is_no_number(&chain[slash + 1..]) => &chain[..slash],
        _ => chain,
    }
}

/// Whether what stands in front of an at-sign is a source of syslog-ng's: by the names that its documentation gives
/// them, or because a relay's name follows. Others are part of a device's name.
fn is_source(source: &[u8], name: &[u8]) -> bool {
    source.starts_with(b"s_")
        || source == b"src_dev_log"
        || matches!(source, b"src" | b"source" | b"local")
        || name.contains(&b'/')
}

/// Whether a relay's name can be behind a slash: units and ports are numbers.
fn is_no_number(name: &[u8]) -> bool {
    name.first().is_some_and(u8::is_ascii_alphabetic) || is_address(name)
}

/// The name in the object that Logstash puts in the place of a host of the Elastic Common Schema: `{"name":"web-1"}`,
/// `{"name":"web-1","ip":["192.0.2.7"]}`, or as Java writes it `{name=web-1}`.
pub fn of_object(word: &[u8]) -> Option<&[u8]> {
    /// What the schema has of a host besides its name and its id.
    const MEMBERS: [&[u8]; 6] = [
        b"\"ip\":[",
        b"\"mac\":[",
        b"\"hostname\":",
        b"\"architecture\":",
        b"\"os\":{",
        b"\"containerized\":",
    ];
    /// What loggers have, whose objects begin with their own name.
    const OF_LOGGERS: [&[u8]; 2] = [b"\"pid\":", b"\"level\":"];
    if let Some(name) = word.strip_prefix(b"{name=").and_then(|rest| rest.strip_suffix(b"}")) {
        return Some(name).filter(|name| is_host(name));
    }
    let members = word.strip_prefix(br#"{"name":""#)?.strip_suffix(b"}")?;
    let (name, rest) = members.split_at(memchr::memchr(b'"', members)?);
    let has = |member: &&[u8]| memchr::memmem::find(rest, member).is_some();
    let is_hosts = rest == b"\"" || MEMBERS.iter().any(has) && !OF_LOGGERS.iter().any(has);
    (is_host(name) && is_hosts).then_some(name)
}

/// `aa:bb:cc:dd:ee:ff`.
pub fn is_hardware_address(word: &[u8]) -> bool {
    let is_pair = |pair: &[u8]| pair.len() == 2 && pair.iter().all(u8::is_ascii_hexdigit);
    word.len() == 17 && word.split(|&byte| byte == b':').all(is_pair)
}

/// An IPv4 or IPv6 address.
pub fn is_address(word: &[u8]) -> bool {
    is_ipv4(word) || is_ipv6(word)
}

/// An IPv4 address.
pub fn is_ipv4(word: &[u8]) -> bool {
    parse::<Ipv4Addr>(word)
}

/// An IPv6 address, with or without a scope.
pub fn is_ipv6(word: &[u8]) -> bool {
    let (address, scope) = word.split_at(memchr::memchr(b'%', word).unwrap_or(word.len()));
    address.contains(&b':') && !scope.ends_with(b":") && parse::<Ipv6Addr>(address)
}

fn parse<T: FromStr>(word: &[u8]) -> bool {
    // The longest address has 45 characters.
    word.len() <= 45 && std::str::from_utf8(word).is_ok_and(|text| T::from_str(text).is_ok())
}

/// `host:port`, `[address]:port`, `[address]` and Solaris' `[universal address]` without port and brackets; nothing where
/// the word has neither.
pub fn without_port(word: &[u8]) -> Option<&[u8]> {
    if let Some(inner) = word.strip_prefix(b"[") {
        let end = memchr::memchr(b']', inner)?;
        let port = &inner[end + 1..];
        let port_is_one = port.is_empty() || port.strip_prefix(b":").is_some_and(is_port);
        if let Some(address) = of_universal_address(inner.get(..end)?).filter(|_| port.is_empty()) {
            return Some(address);
        }
        return (port_is_one && is_host(&inner[..end])).then_some(&inner[..end]);
    }
    let colon = memchr::memchr(b':', word)?;
    let host = &word[..colon];
    (is_port(&word[colon + 1..]) && is_host(host)).then_some(host)
}

/// The IPv4 address in a universal address, `192.0.2.7.2.2` (RFC 5665 section 5.2.3.3), by which Solaris' syslogd names
/// a sender that it cannot look up: behind the address stand the two bytes of the port.
fn of_universal_address(word: &[u8]) -> Option<&[u8]> {
    // Syslog's own port or above; below are versions and object identifiers, as those below 1.3.6.1 are.
    const LEAST_HIGH_BYTE: u8 = 2;
    let byte = |digits: &[u8]| {
        let is_number = digits.iter().all(u8::is_ascii_digit);
        std::str::from_utf8(digits).ok().filter(|_| is_number)?.parse::<u8>().ok()
    };
    let at_low = memchr::memrchr(b'.', word)?;
    let at_high = memchr::memrchr(b'.', &word[..at_low])?;
    let address = &word[..at_high];
    byte(&word[at_low + 1..])?;
    let high = byte(&word[at_high + 1..at_low])?;
    (high >= LEAST_HIGH_BYTE && is_ipv4(address) && address != b"1.3.6.1").then_some(address)
}

fn is_port(text: &[u8]) -> bool {
    (1..=5).contains(&text.len()) && text.iter().all(u8::is_ascii_digit)
}
