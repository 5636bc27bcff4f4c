//! Brackets at the beginning of a text that name a device.

use super::pairs::{is_key_value, key_value};
use super::{Found, logs, stamp};
use crate::syslog::parse::level::{is_level, is_level_in_capitals};
use crate::syslog::parse::rfc3164::{enclosed, is_thread};
use crate::syslog::parse::{host, leading_digits, without_space, word};
use crate::syslog::time::scan;

/// A device that names itself in brackets: Radware's `[Device: name address]` before the text, a name before pairs, or
/// an address before a time.
pub(super) fn device(body: &[u8]) -> Found<'_> {
    element(body)
        .or_else(|| named_pairs(body))
        .or_else(|| addressed_event(body))
        .or_else(|| event_reporter(body))
        .or_else(|| xapi(body))
        .or_else(|| fault_manager(body))
        .or_else(|| storage_event(body))
        .or_else(|| inspection(body))
        .or_else(|| ras_log(body))
        .or_else(|| adapter(body))
        .or_else(|| collected(body))
        .or_else(|| inter_scan(body))
        .or_else(|| logs::diagnostic(body))
        .unwrap_or_else(|| Found { host: radware(body), when: None })
}

/// Juniper's IDP has the SD-ELEMENT of RFC 5424 without its header, and its own address in front of those that it
/// reports of.
fn element(body: &[u8]) -> Option<Found<'_>> {
    const KEY: &[u8] = b" device_ip=\"";
    let pairs = body.strip_prefix(b"[syslog@juniper.net ")?;
    let found = key_value(pairs);
    let own = || {
        let value = &pairs[memchr::memmem::find(pairs, KEY)? + KEY.len()..];
        Some(&value[..memchr::memchr(b'"', value)?]).filter(|address| host::is_address(address))
    };
    Some(Found { host: found.host.or_else(own), ..found })
}

/// `XenServer`'s xapi: `[ info|host|412|task|module]`, between the level and the thread's number, in front of which the
/// time may stand.
fn xapi(body: &[u8]) -> Option<Found<'_>> {
    /// The level, the host and the thread.
    const MAX_BYTES: usize = 128;
    let start = &body[..body.len().min(MAX_BYTES)];
    let inner = start.strip_prefix(b"[")?;
    let mut columns = inner[..memchr::memchr(b']', inner)?].split(|&byte| byte == b'|');
    let mut first = columns.next()?;
    let when = stamp(first);
    if when.is_some() {
        first = columns.next()?;
    }
    Some(first).filter(|level| is_level(level.trim_ascii()))?;
    let name = columns.next()?;
    // Behind the thread's number the socket may stand that it serves.
    let (thread, socket) = word(columns.next()?.trim_ascii());
    let has_module = columns.next().is_some() && columns.next().is_some() && columns.next().is_none();
    let is_socket = socket.is_empty()
        || [&b" UNIX /"[..], b" INET ", b" inet"].iter().any(|kind| socket.starts_with(kind));
    let is_one = has_module && is_socket && !thread.is_empty() && leading_digits(thread) == thread.len();
    let is_name = host::is_host(name) && host::is_no_word(name) && !host::is_address(name);
    (is_one && is_name && !is_thread(name)).then_some(Found { host: Some(name), when })
}

/// Fault Management of Solaris: `[ID 377184 daemon.error] SUNW-MSG-ID: …, HOSTNAME: name`.
fn fault_manager(body: &[u8]) -> Option<Found<'_>> {
    const START: &[u8] = b" SUNW-MSG-ID: ";
    const NAME: &[u8] = b", HOSTNAME: ";
    let close = memchr::memchr(b']', body.strip_prefix(b"[ID ")?)? + b"[ID ]".len();
    let report = body[close..].strip_prefix(START)?;
    let name = word(&report[memchr::memmem::find(report, NAME)? + NAME.len()..]).0;
    // The report has several lines.
    let name = name.split(u8::is_ascii_control).next().unwrap_or(name);
    Some(Found { host: Some(name), when: None })
}

/// VNX and Symmetrix of EMC: `[fmt=evt] [evtid=1201] [date=2026-11-24T09:31:07Z] [symid=…]`.
fn storage_event(body: &[u8]) -> Option<Found<'_>> {
    const DATE: &[u8] = b"] [date=";
    /// The format's and the event's name.
    const MAX_BYTES: usize = 96;
    let pairs = body.strip_prefix(b"[fmt=")?;
    let at = memchr::memmem::find(&pairs[..pairs.len().min(MAX_BYTES)], DATE)? + DATE.len();
    Some(Found { host: None, when: Some(stamp(&pairs[at..])?) })
}

/// `RASLog` of Network OS without RFC 5424's header: its SD-ELEMENTs, of which one names the switch, another has the time.
fn ras_log(body: &[u8]) -> Option<Found<'_>> {
    let value = |mark: &[u8]| {
        let value = &body[memchr::memmem::find(body, mark)? + mark.len()..];
        Some(&value[..memchr::memchr(b'"', value)?])
    };
    if !body.starts_with(b"[log@1588 ") {
        return None;
    }
    let when = value(b"[timestamp@1588 value=\"").and_then(stamp);
    Some(Found { host: value(b"[swname@1588 value=\""), when })
}

/// Telephone adapters and phones: `[hardware address][000][` of Grandstream, and the same before a module in capitals and a
/// level, `SUA <3+error >`, of Yealink. Clients' addresses stand behind a TAG, too.
fn adapter(body: &[u8]) -> Option<Found<'_>> {
    let inner = body.strip_prefix(b"[")?;
    let (address, rest) = inner.split_at(memchr::memchr(b']', &inner[..inner.len().min(18)])?);
    let is_numbered = || rest.starts_with(b"][000][");
    let is_rated = || {
        let (module, level) = word(without_space(&rest[1..]));
        let is_level = matches!(without_space(level), [b'<', b'0'..=b'9', b'+', ..]);
        !module.is_empty() && module.iter().all(u8::is_ascii_uppercase) && is_level
    };
    (host::is_hardware_address(address) && (is_numbered() || is_rated()))
        .then_some(Found { host: Some(address), when: None })
}

/// What RSA's collectors put in front of a message: three pairs of brackets, the third with the address that it came from,
/// the seconds in a fourth, a fifth.
fn collected(body: &[u8]) -> Option<Found<'_>> {
    let inner = body.strip_prefix(b"[][][")?;
    let (address, rest) = inner.split_at(memchr::memchr(b']', inner)?);
    let seconds = rest.strip_prefix(b"][")?;
    let found = scan::scan(seconds).filter(|found| seconds[found.len..].starts_with(b"]["))?;
    host::is_address(address).then_some(Found { host: Some(address), when: Some(found.when) })
}

/// `InterScan` Web Security: `[EVT_URL_BLOCKING|LOG_CRIT] …,tk_server=name,`.
fn inter_scan(body: &[u8]) -> Option<Found<'_>> {
    const KEY: &[u8] = b",tk_server=";
    body.strip_prefix(b"[EVT_")?;
    let value = &body[memchr::memmem::find(body, KEY)? + KEY.len()..];
    Some(Found { host: value.split(|&byte| byte == b',').next(), when: None })
}

/// Routers of Yamaha: `[INSPECT] LAN2[out][101100] TCP … (2026/11/24 09:31:07)`, where a connection began.
fn inspection(body: &[u8]) -> Option<Found<'_>> {
    let inner = body.strip_prefix(b"[INSPECT] ")?.trim_ascii_end().strip_suffix(b")")?;
    let (interface, _) = word(inner);
    memchr::memmem::find(interface, b"[in][").or_else(|| memchr::memmem::find(interface, b"[out]["))?;
    let time = &inner[memchr::memrchr(b'(', inner)? + 1..];
    let found = scan::scan(time).filter(|found| found.len == time.len())?;
    Some(Found { host: None, when: Some(found.when) })
}

/// Unified Communications Manager's `[NodeID=name]` or `[Node ID=name]` among the `[Key=value]` in front of an alarm's
/// text; some have a space before the sign.
pub(super) fn node(body: &[u8]) -> Option<&[u8]> {
    const KEYS: [&[u8]; 3] = [b"[NodeID=", b"[Node ID=", b"[Node ID ="];
    KEYS.iter().find_map(|key| {
        let value = &body[memchr::memmem::find(body, key)? + key.len()..];
        Some(&value[..memchr::memchr(b']', value)?]).filter(|name| host::is_host(name))
    })
}

/// The same manager's older alarms, which end with `Node ID:name`.
pub(super) fn last_node(body: &[u8]) -> Option<&[u8]> {
    const KEY: &[u8] = b" Node ID:";
    let name = body[memchr::memmem::rfind(body, KEY)? + KEY.len()..].trim_ascii();
    host::is_host(name).then_some(name)
}

/// Radware: `[Device: name address]`, `[Device: name IP: address …]` before the text.
fn radware(body: &[u8]) -> Option<&[u8]> {
    /// The name, the address and a port.
    const MAX_BYTES: usize = 160;
    const ADDRESS: &[u8] = b" IP: ";
    let inner = body.strip_prefix(b"[Device: ")?;
    let inner = &inner[..memchr::memchr(b']', &inner[..inner.len().min(MAX_BYTES)])?];
    let (name, behind) = word(inner);
    // Vision has a name of several words there, and the address behind its label.
    if let Some(at) = memchr::memmem::find(inner, ADDRESS) {
        let address = word(&inner[at + ADDRESS.len()..]).0;
        return host::is_address(address).then_some(if at == name.len() { name } else { address });
    }
    host::is_address(without_space(behind)).then_some(name)
}

/// SECUI: `[event] [address] time` or `[event] [name] time,`, where it is the device's. In front of other texts an
/// address may be anybody's.
fn addressed_event(body: &[u8]) -> Option<Found<'_>> {
    let (event, rest) = word(body);
    let (address, rest) = word(without_space(rest));
    let event = enclosed(event)?;
    let name = enclosed(address)?;
    let time = scan::scan(without_space(rest))?;
    // A name stands there in its audit, where columns follow the time; it may be a thread's elsewhere.
    let is_audit = || event == b"audit" && without_space(rest).get(time.len) == Some(&b',');
    if !(host::is_address(name) || host::is_no_word(name) && is_audit()) {
        return None;
    }
    let host = Some(name).filter(|_| !is_level_in_capitals(event));
    Some(Found { host, when: Some(time.when) })
}

/// `EventReporter`: a number and a colon, which its TAG may stand for, a level in brackets, the time, a colon, the
/// computer, the source and the event's number, `6839: [INF] time: name/Source (7036) - text`.
pub(super) fn event_reporter(body: &[u8]) -> Option<Found<'_>> {
    /// The computer's and the source's name.
    const MAX_BYTES: usize = 160;
    let digits = leading_digits(body);
    let (level, rest) =
        word(if digits == 0 { body } else { without_space(body[digits..].strip_prefix(b":")?) });
    enclosed(level).filter(|level| level.len() == 3 && level.iter().all(u8::is_ascii_uppercase))?;
    let text = without_space(rest);
    let found = scan::scan(text)?;
    let event = text[found.len..].strip_prefix(b": ")?;
    let event = &event[..event.len().min(MAX_BYTES)];
    let (name, source) = event.split_at(memchr::memchr(b'/', event)?);
    let number = &source[memchr::memmem::find(source, b" (")? + 2..];
    let digits = leading_digits(number);
    let is_event = host::is_host(name) && digits > 0 && number[digits..].starts_with(b") - ");
    is_event.then_some(Found { host: Some(name), when: Some(found.when) })
}

/// `EventReporter` in its older form, behind its TAG: `RealSource:"name" [AUS] time: …`.
pub(super) fn real_source(body: &[u8]) -> Option<Found<'_>> {
    let rest = body.strip_prefix(b"RealSource:\"")?;
    let (name, rest) = rest.split_at(memchr::memchr(b'"', rest)?);
    let (level, rest) = word(rest.strip_prefix(b"\" ")?);
    enclosed(level)?;
    Some(Found { host: Some(name), when: Some(stamp(without_space(rest))?) })
}

/// `SNIPER`: `[name] [Key=value], [Key=value]`, two pairs at least, one of which is `Time`. A level in front of pairs is a
/// logger's.
fn named_pairs(body: &[u8]) -> Option<Found<'_>> {
    /// The longest name.
    const MAX_BYTES: usize = 64;
    const TIME: &[u8] = b" [Time=";
    let inner = body.strip_prefix(b"[")?;
    let (name, rest) = inner.split_at(memchr::memchr(b']', &inner[..inner.len().min(MAX_BYTES)])?);
    let pairs = rest.strip_prefix(b"] [").filter(|pairs| is_key_value(pairs))?;
    let next = &pairs[memchr::memmem::find(pairs, b"], [")? + b"], [".len()..];
    let is_device = is_key_value(next) && host::is_host(name) && !is_level_in_capitals(name);
    let when = stamp(&rest[memchr::memmem::find(rest, TIME)? + TIME.len()..]);
    is_device.then_some(Found { host: Some(name), when })
}
