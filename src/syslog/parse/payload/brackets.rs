//! Brackets at the beginning of a text that name a device.

use super::pairs::is_key_value;
use super::{Found, stamp};
use crate::syslog::parse::level::is_level_in_capitals;
use crate::syslog::parse::rfc3164::enclosed;
use crate::syslog::parse::{host, without_space, word};

/// A device that names itself in brackets: Radware's `[Device: name address]` before the text, a name before pairs, or
/// an address before a time.
pub(super) fn device(body: &[u8]) -> Found<'_> {
    named_pairs(body)
        .or_else(|| addressed_event(body))
        .unwrap_or_else(|| Found { host: radware(body), when: None })
}

/// Unified Communications Manager's `[NodeID=name]` among the `[Key=value]` in front of an alarm's text.
pub(super) fn node(body: &[u8]) -> Option<&[u8]> {
    const KEY: &[u8] = b"[NodeID=";
    let value = &body[memchr::memmem::find(body, KEY)? + KEY.len()..];
    let (name, _) = value.split_at(memchr::memchr(b']', value)?);
    Some(name).filter(|name| host::is_host(name))
}

/// Radware: `[Device: name address]` before the text.
fn radware(body: &[u8]) -> Option<&[u8]> {
    let (name, behind) = word(body.strip_prefix(b"[Device: ")?);
    let address = without_space(behind).split(|&byte| byte == b']').next()?;
    host::is_address(address).then_some(name)
}

/// SECUI: `[event] [address] time`, where the address is the device's. In front of other texts it may be anybody's.
fn addressed_event(body: &[u8]) -> Option<Found<'_>> {
    let (event, rest) = word(body);
    let (address, rest) = word(without_space(rest));
    enclosed(event)?;
    let host = enclosed(address).filter(|address| host::is_address(address))?;
    Some(Found { host: Some(host), when: Some(stamp(without_space(rest))?) })
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
