//! Messages inside messages: what a relay sends that put a header of its own, or a name or a number, in front of what it
//! received.
//!
//! The inner header is nearer to the event, and its host and time are taken, where it is complete: PRI or VERSION in front
//! of it, a TAG or a payload behind it, or a relay that names nothing but an address.

use super::content::{is_own_word, set_tag};
use super::level::{LEVELS, is_level_in_capitals};
use super::rfc3164::{self, Place, enclosed, header};
use super::{
    Parsed, cisco, devices, host, leading_digits, payload, pri, rfc5424, skip_spaces, tag, vendors,
    without_space, word,
};
use crate::syslog::time::scan::{self, Form};
use crate::syslog::time::{Stamp, When, Zone};

/// A second complete header, timestamp, host and TAG, behind a relay's, whose host is `relay`.
pub fn relayed<'a>(text: &'a [u8], relay: Option<&[u8]>) -> Option<Parsed<'a>> {
    // The relay took the message for text, PRI and all.
    let (text, has_pri) = match pri::take(text) {
        inner if text.starts_with(b"<") && inner.text.len() < text.len() => (inner.text, inner.sent),
        _ => (text, false),
    };
    // VERSION and a date leave no doubt even where the rest does not follow the grammar.
    let is_versioned = matches!(text, [b'1', b' ', a, b, c, d, b'-', ..] if [a, b, c, d].iter().all(|byte| byte.is_ascii_digit()));
    if let Some(inner) = rfc5424::parse(text).filter(|inner| inner.rule == "rfc5424" || is_versioned) {
        return Some(Parsed { rule: "relayed", ..inner });
    }
    // Meraki's VERSION has a time in seconds behind it.
    if let Some(rest) = text.strip_prefix(b"1 ")
        && let Some(scanned) = scan::scan(rest).filter(|scanned| scanned.form == Form::Epoch)
    {
        return devices::meraki(rest, &scanned);
    }
    let Some(scanned) = scan::scan(text) else {
        let alert =
            vendors::alert(text.strip_prefix(b"@")?).filter(|alert| vendors::has_state(alert.body))?;
        return Some(Parsed { rule: "relayed", ..alert });
    };
    let inner = header(text, &scanned, Place::Inner)?;
    // A relay that names an address puts it in front of all that comes, with or without a TAG. So do those that name
    // themselves as the origin does, or where the origin's time has its offset, or has PRI in front of it and an address
    // behind it, which texts do not begin with.
    let is_offset = matches!(scanned.when, When::Civil(Stamp { zone: Zone::Offset(_), .. }));
    let is_name = |name: &[u8]| {
        let is_address = relay.is_some_and(host::is_address);
        let form = matches!(scanned.form, Form::Bsd | Form::Rfc3339);
        let is_own = has_pri && host::is_address(name) && !inner.body.starts_with(b"->");
        relay == Some(name) || host::is_no_word(name) && (is_offset || form && (is_address || is_own))
    };
    let complete = inner
        .host
        .is_some_and(|name| inner.tag.is_some() || payload::is_payload(inner.body) || is_name(name));
    complete.then(|| Parsed { rule: if inner.rule == "cisco" { "cisco" } else { "relayed" }, ..inner })
}

/// Whether the text of a message can be another one ([`carried`]): it begins so, and no program has written it, or one with
/// NILVALUE for its process, as Logstash does (`LOGSTASH[-]: <13>…`). Other programs quote what they received.
pub fn may_carry(outer: &Parsed<'_>) -> bool {
    matches!(outer.body.first(), Some(b'<' | b'1'..=b'9'))
        && (outer.app.is_none() || outer.proc_id == Some(b"-"))
}

/// A whole message, PRI and all, as the text of another that has been read and [may carry](may_carry) one; also behind an
/// octet count (RFC 6587, section 3.4.1) that a receiver of lines took for text.
#[cold]
pub fn carried<'a>(outer: &Parsed<'a>) -> Option<Parsed<'a>> {
    let digits = leading_digits(outer.body);
    let text = if digits > 0 { outer.body[digits..].strip_prefix(b" ")? } else { outer.body };
    let message = pri::take(text);
    // Behind a TAG an impossible PRI is the program's own text.
    let is_one = message.sent && (outer.app.is_none() || message.text == message.remainder);
    if !text.starts_with(b"<") || !is_one {
        return None;
    }
    let inner = relayed(text, None)
        .or_else(|| cisco::relayed(outer, message.text).filter(|inner| inner.when != When::Missing))
        .or_else(|| dated(text).map(|inner| Parsed { host: outer.host, ..inner }))
        .or_else(|| payload(text, outer.host?))?;
    let when = if inner.when == When::Missing { outer.when } else { inner.when };
    Some(Parsed { when, ..inner })
}

/// A whole message, PRI and all, as the text of another.
pub fn wrapped(text: &[u8]) -> Option<Parsed<'_>> {
    if text.first() != Some(&b'<') || !text.get(1).is_some_and(u8::is_ascii_digit) {
        return None;
    }
    pri::take(text).sent.then(|| relayed(text, None)).flatten()
}

/// A whole message, PRI and all, behind the address that a relay received it from: `192.0.2.7 <13>…`, `[192.0.2.7] <13>…`,
/// `192.0.2.7: <13>…`.
pub fn passed_on(text: &[u8]) -> Option<Parsed<'_>> {
    // Most texts begin otherwise.
    if !text.first().is_some_and(|byte| byte.is_ascii_hexdigit() || matches!(byte, b'[' | b':')) {
        return None;
    }
    let (first, behind) = word(text);
    let message = skip_spaces(behind);
    if !matches!(message, [b'<', b'0'..=b'9', ..]) || !pri::take(message).sent {
        return None;
    }
    let address = enclosed(first).or_else(|| first.strip_suffix(b":")).unwrap_or(first);
    let address = host::without_port(address).unwrap_or(address);
    if !host::is_address(address) {
        return None;
    }
    let inner =
        relayed(message, Some(address)).or_else(|| dated(message)).or_else(|| payload(message, address))?;
    Some(Parsed { host: inner.host.or(Some(address)), ..inner })
}

/// A header without PRI behind the bare address that a relay received it from: an offset from UTC in its time, a name, and
/// another date right behind that, as `ProxySG`'s log begins with one. A client's address and the time of its request
/// stand so, too.
pub fn behind_client(text: &[u8]) -> Option<Parsed<'_>> {
    if !text.first().is_some_and(u8::is_ascii_digit) {
        return None;
    }
    let (address, behind) = word(text);
    let message = skip_spaces(behind);
    if !host::is_address(address) || !message.first().is_some_and(u8::is_ascii_digit) {
        return None;
    }
    let scanned = scan::scan(message).filter(|scanned| scanned.form == Form::Rfc3339)?;
    let inner = relayed(message, Some(address))?;
    inner.host?;
    let is_dated = scan::scan(inner.body).is_some_and(|found| found.form != Form::Epoch);
    (is_dated && !message[..scanned.len].ends_with(b"Z")).then_some(inner)
}

/// A header, its host and its TAG, behind the address in brackets that a relay received it from. A client's address
/// stands so too, in front of a time and a user's or a thread's name.
pub fn behind_fromhost(text: &[u8]) -> Option<Parsed<'_>> {
    if !text.starts_with(b"[") {
        return None;
    }
    let (first, behind) = word(text);
    let address = enclosed(first).filter(|address| host::is_address(address))?;
    let message = skip_spaces(behind);
    scan::scan(message).filter(|scanned| scanned.form == Form::Bsd)?;
    let inner = relayed(message, None)?;
    let name = inner.host?;
    let has_process = || inner.proc_id.is_some_and(|process| process.iter().all(u8::is_ascii_digit));
    let is_name = name == address || host::is_no_word(name) && !name.contains(&b'@') || has_process();
    (inner.tag.is_some() && is_name).then_some(inner)
}

/// A message with PRI that is nothing but CEF, LEEF or a device's own pairs, behind a relay's header: the device that it
/// names, or the host that the relay says; and the time of the pairs. Objects and other pairs may be of somebody else.
pub fn payload<'a>(text: &'a [u8], name: &'a [u8]) -> Option<Parsed<'a>> {
    if !text.starts_with(b"<") {
        return None;
    }
    let inner = pri::take(text);
    let is_pairs = payload::is_device_pairs(inner.text) || inner.text.starts_with(b"logver=");
    if !inner.sent || !(is_pairs || tag::is_payload(inner.text)) {
        return None;
    }
    let parsed = payload::bare(inner.text)?;
    let (host, when) = payload::named(inner.text);
    let host = host.filter(|host| *host != b"0.0.0.0" && !host.eq_ignore_ascii_case(b"unknown"));
    let when = when.filter(|_| is_pairs).unwrap_or(When::Missing);
    Some(Parsed { rule: "relayed", host: host.or(Some(name)), when, ..parsed })
}

/// A message with PRI, timestamp and TAG, and without a host, behind a relay's header: its own time, and the host that
/// the relay says.
pub fn dated(text: &[u8]) -> Option<Parsed<'_>> {
    let inner = pri::take(text);
    if !text.starts_with(b"<") || !inner.sent {
        return None;
    }
    let scanned = scan::scan(inner.text)?;
    let inner = header(inner.text, &scanned, Place::Inner)?;
    (inner.host.is_none() && inner.tag.is_some()).then_some(Parsed { rule: "relayed", ..inner })
}

/// A header of RFC 3164 as the text of a relay's message that names no program. Texts do not begin with its timestamp,
/// a host and a TAG.
pub fn unread(text: &[u8]) -> Option<Parsed<'_>> {
    scan::scan(text).filter(|scanned| scanned.form == Form::Bsd)?;
    relayed(text, None)
}

/// A name in front of the timestamp, as some relays' templates put it: an address, also in brackets or with a colon, or
/// a name that is no word.
pub fn preceded(text: &[u8]) -> Option<Parsed<'_>> {
    // A level may stand in brackets before all of it.
    let text = match text
        .strip_prefix(b"[")
        .and_then(|inner| Some((inner, memchr::memchr(b']', &inner[..inner.len().min(16)])?)))
    {
        Some((inner, end)) if inner[..end].iter().all(u8::is_ascii_uppercase) => {
            inner[end + 1..].strip_prefix(b" ")?
        }
        _ => text,
    };
    let (first, behind) = word(text);
    let marked = enclosed(first).or_else(|| first.strip_suffix(b":")).filter(|inner| host::is_address(inner));
    let name = marked.unwrap_or(first);
    if !host::is_host(name) || !host::is_no_word(name) {
        return None;
    }
    let text = behind.strip_prefix(b" ")?;
    let scanned = scan::scan(text).filter(|scanned| scanned.form != Form::Epoch)?;
    let inner = header(text, &scanned, Place::Line)?;
    // Words with a dash alone are compounds of a text, those with a digit, a point or capitals besides are names.
    let is_name = name.iter().any(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase() || *byte == b'.');
    // Behind a colon a timestamp that another colon follows is Cisco's, as one in front of a mnemonic is.
    let is_ciscos = || inner.rule == "cisco" || skip_spaces(&text[scanned.len..]).starts_with(b":");
    let is_own = marked.is_none() || !is_ciscos();
    (is_own && (inner.tag.is_some() || inner.host.is_some() || is_name))
        .then(|| Parsed { host: inner.host.or(Some(name)), ..inner })
}

/// A name or an address in front of a timestamp behind a VERSION that is not RFC 5424's; or an address in front of a
/// timestamp in brackets, with the facility in capitals in another pair of them, or behind a processor's name. With other
/// words behind its brackets a line is a request's, whose client the address is.
pub fn behind_address(text: &[u8]) -> Option<Parsed<'_>> {
    /// The longest timestamp between brackets.
    const MAX_TIME_BYTES: usize = 64;
    let versioned = text.strip_prefix(b"1 ");
    let (address, behind) = word(versioned.unwrap_or(text));
    if !(host::is_address(address) || versioned.is_some() && host::is_host(address)) {
        return None;
    }
    let behind = skip_spaces(behind);
    if versioned.is_some() {
        let scanned = scan::scan(behind).filter(|scanned| scanned.form != Form::Epoch)?;
        let inner = header(behind, &scanned, Place::Line)?;
        return Some(Parsed { host: Some(address), ..inner });
    }
    // Contivity of Nortel names a processor in front of its time.
    let (behind, is_processor) = match word(behind) {
        ([b'C', b'P', b'U', b'0'..=b'9'], [b' ', b'[', _, _, b'/', b'0'..=b'9', ..]) => {
            (&word(behind).1[1..], true)
        }
        _ => (behind, false),
    };
    let inner = behind.strip_prefix(b"[")?;
    let close = memchr::memchr(b']', &inner[..inner.len().min(MAX_TIME_BYTES)])?;
    let scanned = scan::scan(inner).filter(|scanned| scanned.len == close)?;
    let (facility, rest) = word(inner[close + 1..].strip_prefix(b" ")?);
    let is_facility =
        |name: &[u8]| name.iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    enclosed(facility).or(Some(facility).filter(|_| is_processor)).filter(|name| is_facility(name))?;
    let mut parsed =
        Parsed { host: Some(address), when: scanned.when, ..Parsed::new("relayed", without_space(rest)) };
    set_tag(&mut parsed, rest);
    Some(parsed)
}

/// What a receiver notes in brackets in front of a whole message, PRI and all: a time, `ip=ADDRESS`, what else it
/// knows. The address is the sender's, which names the host where the message does not.
pub fn noted(text: &[u8]) -> Option<Parsed<'_>> {
    /// A name, a time, an address of IPv6 and a number.
    const MAX_BYTES: usize = 160;
    let start = &text[..text.len().min(MAX_BYTES)];
    let open = memchr::memchr(b'[', start)?;
    let close = open + memchr::memchr(b']', &start[open..])?;
    let (note, message) = (&text[open + 1..close], text[close + 1..].strip_prefix(b" ")?);
    let scanned = scan::scan(note)?;
    let address = word(note[scanned.len..].strip_prefix(b" ip=")?).0;
    let inner = pri::take(message);
    if !host::is_address(address) || !message.starts_with(b"<") || !inner.sent {
        return None;
    }
    // Not by the rule that leads here, which another note would lead here again.
    let parsed = rfc5424::parse(inner.text)
        .or_else(|| rfc3164::parse(inner.text, true))
        .or_else(|| cisco::prefixed(inner.text))
        .or_else(|| payload::bare(inner.text))
        .or_else(|| super::tag_only(inner.text))
        .unwrap_or_else(|| Parsed::new("relayed", inner.text));
    let when = if parsed.when == When::Missing { scanned.when } else { parsed.when };
    Some(Parsed { priority: inner.priority, host: parsed.host.or(Some(address)), when, ..parsed })
}

/// AIX, and FreeBSD in fewer words, with a TAG behind them: a relay that names the origin in the text.
pub fn forwarded(text: &[u8]) -> Option<Parsed<'_>> {
    let rest =
        text.strip_prefix(b"Message forwarded from ").or_else(|| text.strip_prefix(b"Forwarded from "))?;
    let (name, behind) = word(rest);
    let name = name.strip_suffix(b":")?;
    let is_short = text.starts_with(b"F");
    if !host::is_host(name) || is_short && tag::scan(skip_spaces(behind)).is_none() {
        return None;
    }
    let mut parsed = Parsed { host: Some(name), ..Parsed::new("aix", without_space(behind)) };
    if !is_own_word(parsed.body) {
        set_tag(&mut parsed, behind);
    }
    Some(parsed)
}

/// Kiwi: the address that it received a message from, in front of what follows HOSTNAME in its own header, and that rest.
pub fn original_address(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let (address, rest) = word(text.strip_prefix(b"Original Address=")?);
    host::is_address(address).then_some((address, rest))
}

/// A counter, a sign or a level between PRI and a timestamp: `[1234] `, `#1234 `, `1234: `, `- `, `info `.
pub fn counted(text: &[u8], has_pri: bool) -> Option<Parsed<'_>> {
    /// Digits of the longest counter.
    const MAX_DIGITS: usize = 12;
    let (first, behind) = word(text);
    let mark = first.strip_suffix(b":").unwrap_or(first);
    let number = enclosed(mark).or_else(|| mark.strip_prefix(b"#")).unwrap_or(mark);
    // A bare number of few digits is a VERSION, and one may begin the timestamp itself.
    let is_counter = number.len() <= MAX_DIGITS
        && number.iter().all(u8::is_ascii_digit)
        && (number.len() > 3 || number.len() < first.len());
    let is_level = LEVELS.contains(&mark) || is_level_in_capitals(mark);
    if !has_pri || first.is_empty() || scan::scan(text).is_some() || !(is_counter || mark == b"-" || is_level)
    {
        return None;
    }
    let text = skip_spaces(behind);
    let scanned = scan::scan(text).filter(|scanned| scanned.form != Form::Epoch)?;
    // Programs write a level in front of their own lines too.
    let place = if is_level { Place::Line } else { Place::First };
    header(text, &scanned, place)
}
