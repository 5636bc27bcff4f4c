//! A host and a TAG without a timestamp.
//!
//! Nothing tells a host from a text's first word there, so that what stands around it has to.

use super::level::{is_marked, is_selector};
use super::rfc3164::column;
use super::tag::{self, Tag};
use super::words::is_first_of_text;
use super::{Parsed, host, payload, word};

/// Host and TAG behind what stands in the timestamp's place where a device's clock is not set: NILVALUE, borrowed from
/// RFC 5424, or nothing, so that two blanks, or PRI and one, meet.
///
/// A dash begins the items of lists too, and a blank the words of a text: the host has to look like one, and the colon
/// to stand right behind the TAG's one word.
pub fn without_time(text: &[u8], place: Untimed) -> Option<Parsed<'_>> {
    let (name, behind) = word(text);
    let text = behind.strip_prefix(b" ")?;
    let is_name = host::is_host(name) && host::is_no_word(name);
    // Behind a blank names of interfaces and protocols begin texts: `eth0 link: up`, `802.1X port: failed`.
    let is_device = || name.contains(&b'-') && name.iter().any(u8::is_ascii_digit) || is_qualified(name);
    let is_name = host::is_address(name) || is_name && (place == Untimed::Nil || is_device());
    if place == Untimed::Nil && is_name && payload::is_payload(text) {
        return Some(Parsed { host: Some(name), ..payload::bare(text)? });
    }
    let tag = tag::scan(text).filter(|tag| is_name && !tag.text.contains(&b' '))?;
    if text.get(tag.text.len()) != Some(&b':') {
        return None;
    }
    Some(tagged(name, text, tag))
}

/// What stands where a timestamp should.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Untimed {
    /// NILVALUE.
    Nil,
    /// A blank.
    Blank,
}

/// An address and a TAG without a timestamp, or a name and a TAG between PRI and a text (`is_named`); any name before
/// CEF, LEEF, or a time in quotes and pairs, one that is no word before a record of Linux audit. Other words before a TAG
/// are text.
pub fn addressed(text: &[u8], has_pri: bool) -> Option<Parsed<'_>> {
    let (name, behind) = column(text);
    let body = behind.trim_ascii_start();
    if tag::is_payload(body) && host::is_host(name) {
        let rule = if body.starts_with(b"CEF") { "cef" } else { "leef" };
        return Some(Parsed { host: Some(name), ..Parsed::new(rule, body) });
    }
    if host::is_address(name) && payload::is_device_pairs(body)
        || host::is_host(name) && payload::is_timed_pairs(body)
        || host::is_host(name) && host::is_no_word(name) && payload::is_audit_record(body)
    {
        return Some(Parsed { host: Some(name), ..Parsed::new("key-value", body) });
    }
    // Behind a colon a mnemonic is Cisco's.
    let bare = || name.strip_suffix(b":").filter(|_| !body.starts_with(b"%"));
    let own = host::without_port(name).or_else(bare).filter(|own| host::is_address(own)).unwrap_or(name);
    // Switches of Avaya have a colon on both sides of the TAG.
    let body = body.strip_prefix(b":").filter(|_| host::is_address(own)).unwrap_or(body);
    let tag = tag::scan(body).filter(|tag| host::is_address(own) || has_pri && is_named(name, tag, text))?;
    Some(tagged(own, text, tag))
}

fn tagged<'a>(name: &'a [u8], text: &'a [u8], tag: Tag<'a>) -> Parsed<'a> {
    let mut parsed = Parsed { host: Some(name), ..Parsed::new("tag", text) };
    parsed.set_tag(tag);
    parsed
}

/// Whether the word in front of a TAG is a host's name: one that is no word before topics of `MikroTik`, before a
/// process, `gw-1 app[7]: text`, or before a TAG whose text is CEF, LEEF or a record of Linux audit, or begins with a
/// marked severity, `gw-1 app: [ALERT] text`, `gw-1 app: NOTICE: text`, or the kernel's time in brackets; one with a dash
/// or an underscore also before a TAG of a microcontroller's.
fn is_named(name: &[u8], tag: &Tag<'_>, text: &[u8]) -> bool {
    let is_number = |process: &[u8]| process.iter().all(u8::is_ascii_digit);
    let is_candidate =
        host::is_host(name) && name[0].is_ascii_alphanumeric() && !name.iter().all(u8::is_ascii_digit);
    if is_selector(name) {
        return false;
    }
    if !is_candidate || !tag.colon {
        return is_candidate && tag.is_topics() && host::is_no_word(name);
    }
    let is_name = || host::is_no_word(name) || is_coined(name) && tag::scan(text).is_none();
    if tag.proc_id.is_some() {
        tag.proc_id.is_some_and(is_number) && is_name()
    } else {
        // Access points of Cisco mark their clock in brackets.
        let is_kernel = tag.app == b"kernel"
            && matches!(tag.body, [b'[', b'*' | b' ' | b'0'..=b'9', ..])
            && name.iter().any(u8::is_ascii_alphabetic);
        let is_event = is_kernel
            || is_marked(tag.body)
            || tag::is_payload(tag.body)
            || payload::is_audit_record(tag.body);
        is_microcontroller(tag.app) || is_event && !is_first_of_text(tag.app) && is_name()
    }
}

/// Whether letters alone are written as no word is: several capitals among small letters.
pub(super) fn is_coined(name: &[u8]) -> bool {
    let capitals = name.iter().filter(|byte| byte.is_ascii_uppercase()).count();
    capitals >= 2 && name.iter().any(u8::is_ascii_lowercase)
}

/// Whether a TAG is that of a firmware for Espressif's microcontrollers, which write a name in front of it:
/// `lamp-2 ESP-MQT: text` (Tasmota), `Hall_3 EspEasy: text`.
fn is_microcontroller(tag: &[u8]) -> bool {
    tag.starts_with(b"ESP-") || tag == b"EspEasy"
}

/// Whether a name has a domain, which ends with letters.
fn is_qualified(name: &[u8]) -> bool {
    let last = memchr::memrchr(b'.', name).map_or(&name[..0], |at| &name[at + 1..]);
    last.len() >= 2 && last.iter().all(u8::is_ascii_alphabetic)
}
