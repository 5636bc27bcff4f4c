//! What follows HOSTNAME: the TAG and the text, another header behind a relay's, what a daemon says of itself; and whether
//! what follows a word makes a host of it.

use super::level::{self, LEVELS, is_facility_and_level, is_level_in_capitals, is_selector};
use super::rfc3164::Place;
use super::{
    Parsed, cisco, devices, host, leading_digits, payload, pri, relay, skip_spaces, tag, without_space, word,
    words,
};
use crate::syslog::time::scan::{self, Scanned};
use crate::syslog::time::{Stamp, When, Zone};

/// What follows HOSTNAME.
pub(super) fn behind_host<'a>(
    name: &'a [u8],
    behind: &'a [u8],
    rule: &'static str,
    place: Place,
) -> Parsed<'a> {
    let behind = behind.strip_prefix(b"\t").unwrap_or(behind);
    let (name, behind) = relay::original_address(skip_spaces(behind)).unwrap_or((name, behind));
    let name = host::of_origin(host::without_address(host::without_unit(name)));
    let mut parsed = Parsed { host: Some(name), ..Parsed::new(rule, without_space(behind)) };
    let mut text = skip_spaces(behind);
    if let Some(rest) = text.strip_prefix(b":") {
        // ASA puts a colon between host and mnemonic; elsewhere it is an empty TAG.
        if rest.is_empty() || rest[0] == b' ' {
            parsed.body = without_space(rest);
            text = skip_spaces(rest);
        }
    }
    // NX-OS names a virtual device context between two marks.
    let mnemonic = text
        .strip_prefix(b"%$ ")
        .and_then(|inner| {
            memchr::memmem::find(&inner[..inner.len().min(64)], b" %$ ").map(|end| &inner[end + 4..])
        })
        .unwrap_or(text);
    if let Some(tag) = tag::mnemonic(mnemonic) {
        parsed.rule = "cisco";
        parsed.set_tag(tag);
        return parsed;
    }
    // NetScaler's own time behind its daemon's, which has no year.
    if text.get(10) == Some(&b':')
        && let Some(scanned) = scan::scan(text)
        && is_packet_engine(word(skip_spaces(&text[scanned.len..])).0)
    {
        parsed.when = scanned.when;
        return parsed;
    }
    if host::is_address(name)
        && let Some((own, rest)) = own_name(text)
    {
        return behind_host(own, rest, rule, place);
    }
    if place != Place::Inner {
        let unwrapped = pri::take(text);
        let own = if text.starts_with(b"<") && unwrapped.sent { unwrapped.text } else { text };
        if let Some(inner) = cisco::relayed(&parsed, own) {
            return inner;
        }
        if let Some(inner) = relay::relayed(level::without_names(text), Some(name)) {
            return inner;
        }
        if let Some(inner) = relay::passed_on(text).or_else(|| relay::behind_client(text)) {
            return inner;
        }
        if let Some(inner) = relay::dated(text) {
            return Parsed { host: Some(name), ..inner };
        }
        if let Some(inner) = relay::payload(text, name) {
            return inner;
        }
        if let Some(inner) = relay::behind_fromhost(text) {
            return inner;
        }
    }
    if let Some(inner) = relay::forwarded(text) {
        return inner;
    }
    if is_own_word(text) {
        return parsed;
    }
    if let Some((_, rest)) = devices::descriptor(text) {
        parsed.rule = "unifi";
        parsed.body = without_space(rest);
        text = skip_spaces(rest);
    }
    if let Some((_, tag)) = devices::ems(text) {
        parsed.rule = "netapp";
        parsed.set_tag(tag);
    } else {
        set_tag(&mut parsed, text);
    }
    parsed
}

/// A device's name behind the address that a relay knows it by, with facility and severity between them in front of
/// Comware's mnemonic, or that SAOS puts in front of it with the hardware's; and what follows the name.
fn own_name(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let (first, behind) = word(text);
    if is_selector(first)
        && let (own, rest) = word(skip_spaces(behind))
        && host::is_host(own)
        && (own.iter().any(u8::is_ascii_alphabetic) && !is_selector(own) || host::is_address(own))
        && skip_spaces(rest).starts_with(b"%%10")
    {
        return Some((own, rest));
    }
    let behind = without_hardware_address(text);
    let (own, rest) = word(behind);
    let follows = skip_spaces(rest);
    let is_name = if behind.len() < text.len() {
        tag::is_bare_mnemonic(follows)
    } else {
        host::is_no_word(own) && !is_stepped_over(own) && is_mnemonic_or_process(follows)
    };
    (host::is_host(own) && is_name).then_some((own, rest))
}

/// Without a hardware address and the spaces behind it.
fn without_hardware_address(text: &[u8]) -> &[u8] {
    let (first, behind) = word(text);
    if host::is_hardware_address(first) { skip_spaces(behind) } else { text }
}

/// Takes the TAG at the start of `text`, also where a severity (F5), facility and severity (AIX), an address, the host once
/// more (`UniFi`), or a serial number (`WatchGuard`) stands before it, and the time behind that number.
pub(super) fn set_tag<'a>(parsed: &mut Parsed<'a>, text: &'a [u8]) {
    let text = skip_spaces(text);
    let (first, behind) = word(text);
    let behind = skip_spaces(behind);
    let (when, behind) = if is_serial_number(first) { universal(behind) } else { (None, behind) };
    parsed.when = when.unwrap_or(parsed.when);
    let is_stepped_over = is_stepped_over(first) || parsed.host.is_some_and(|host| is_same_host(host, first));
    if is_stepped_over && let Some(tag) = tag::scan(behind).filter(|tag| tag.colon) {
        parsed.set_tag(tag);
    } else if let Some(tag) = tag::scan(text) {
        parsed.set_tag(tag);
    }
}

/// Whether a TAG or a payload makes a host of the word before it. A sentence's first word, with a capital and without a
/// digit or a point, is none before a word with a colon, and a number never.
pub(super) fn is_before_tag(word: &[u8], behind: &[u8]) -> bool {
    let text = skip_spaces(behind);
    let text = text.strip_prefix(b": ").map_or(text, skip_spaces);
    if word.iter().all(u8::is_ascii_digit) {
        return false;
    }
    let sentence = word[0].is_ascii_uppercase() && word[1..].iter().all(u8::is_ascii_lowercase);
    let (severity, behind_severity) = super::word(text);
    let is_level = !sentence
        && severity.iter().all(u8::is_ascii_uppercase)
        && is_level_in_capitals(severity)
        && behind_severity.len() > 1;
    tag::scan(text).is_some_and(|tag| !sentence || tag.proc_id.is_some())
        || is_level
        || level::without_names(text).len() < text.len()
        || tag::is_payload(text)
        || payload::is_device_pairs(text)
        || payload::is_timed_pairs(text)
        || is_kernel(text)
        || is_own_word(text)
}

/// Whether the word where HOSTNAME stands is the type of the log, and what follows it its record: letters with an
/// underscore before an object. Names of hosts have no underscore, by RFC 952, and those that do have a number or a
/// dash besides.
pub(super) fn is_type_of_record(first: &[u8], behind: &[u8]) -> bool {
    let is_word = |byte: &u8| byte.is_ascii_alphabetic() || *byte == b'_';
    skip_spaces(behind).starts_with(b"{") && first.contains(&b'_') && first.iter().all(is_word)
}

/// Whether a TAG with a process and a colon follows the colon behind `name`: two TAGs in a row there are not, so that the
/// first colon is a host's, but for the kernel's, which names the process that it writes of.
pub(super) fn is_own_tag(name: &[u8], behind: &[u8]) -> bool {
    let is_number = |process: &[u8]| process.iter().all(u8::is_ascii_digit);
    let tag = tag::scan(skip_spaces(behind));
    name != b"kernel" && tag.is_some_and(|tag| tag.colon && tag.proc_id.is_some_and(is_number))
}

/// `NetScaler`'s packet engine, with the number of its node in front or without: `0-PPE-1`, `PPE-0`.
pub(super) fn is_packet_engine(word: &[u8]) -> bool {
    let is_number = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let engine = word[leading_digits(word)..].strip_prefix(b"-").unwrap_or(word);
    engine.strip_prefix(b"PPE-").is_some_and(is_number)
}

/// Whether a mnemonic, Comware's `%%10…` or a TAG with a process begins here: each has a host in front of it.
pub(super) fn is_mnemonic_or_process(text: &[u8]) -> bool {
    let numeric = |process: &[u8]| process.iter().all(u8::is_ascii_digit);
    tag::scan(text).is_some_and(|tag| {
        tag.text.starts_with(b"%%")
            || tag::mnemonic(text).is_some()
            || tag.colon && tag.proc_id.is_some_and(numeric)
    })
}

/// Whether the word where HOSTNAME stands is of the text, though it has a name's signs: a full stop ends it, it has no
/// letter, it is an interface's or a path's, the noun of a number (`Port 1/0/3`), or one of those that begin texts. A
/// TAG, a payload or another header behind it makes a host of any but those that say something of a word with a colon.
pub(super) fn is_of_text(first: &[u8], behind: &[u8]) -> bool {
    let text = skip_spaces(behind);
    let text = text.strip_prefix(b": ").map_or(text, skip_spaces);
    let (next, _) = word(text);
    let is_number = |text: &[u8]| {
        let digits = text.strip_suffix(b":").filter(|text| text.contains(&b'/')).unwrap_or(text);
        digits[0].is_ascii_digit() && digits.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'/' | b','))
    };
    let is_letters = first.iter().all(u8::is_ascii_alphabetic);
    let is_candidate = if is_letters {
        words::is_first_of_text(first)
            || words::begins_sentence(first, skip_spaces(behind))
            || is_before_colon(first, text)
            || is_task(first, text)
            || first[1..].iter().all(u8::is_ascii_lowercase)
                && first[0].is_ascii_uppercase()
                && !next.is_empty()
                && is_number(next)
    } else {
        let is_sign = |byte: &u8| matches!(byte, b'/' | b'@');
        match first {
            [name @ .., b'.'] => !name.contains(&b'.'),
            [b'0', b'x', ..] => true,
            // AOS names an event and an interface.
            _ if next.first().is_some_and(u8::is_ascii_digit) && is_event_of_interface(first) => true,
            _ if first.split(is_sign).any(host::is_address) || is_dashed_address(first) => false,
            _ => {
                first.contains(&b'/') || !first.iter().any(|byte| byte.is_ascii_alphabetic() || *byte >= 0x80)
            }
        }
    };
    let is_header = || {
        tag::is_payload(text)
            || text.starts_with(b"{")
            || payload::is_device_pairs(text)
            || first.iter().all(u8::is_ascii_digit) && payload::is_quoted_pairs(text)
            || scan::scan(text.strip_prefix(b"1 ").unwrap_or(text)).is_some()
            || relay::forwarded(text).is_some()
    };
    is_candidate && (!has_tag(text) || is_letters && is_before_colon(first, text)) && !is_header()
}

/// Whether the word with a colon at the beginning of `text` is the second of a sentence, rather than a TAG.
fn is_before_colon(first: &[u8], text: &[u8]) -> bool {
    tag::scan(text)
        .is_some_and(|tag| tag.colon && tag.text == tag.app && words::is_before_colon(first, tag.app))
}

/// A task of `VxWorks`, with which Contivity begins its texts: `tEvtLgMgr 0 : text`.
fn is_task(first: &[u8], text: &[u8]) -> bool {
    let Some(text) = text.strip_prefix(b"0 : ") else { return false };
    matches!(first, [b't', b'A'..=b'Z', ..]) && !is_mnemonic_or_process(text)
}

/// `192-0-2-1`, as providers name hosts.
fn is_dashed_address(word: &[u8]) -> bool {
    // Shelves, slots and ports are written so too, with fewer digits.
    const LEAST_DIGITS: usize = 8;
    let part = |part: &[u8]| std::str::from_utf8(part).ok()?.parse::<u8>().ok();
    let mut parts = word.split(|&byte| byte == b'-').map(part);
    let is_one = [(); 4].iter().all(|()| parts.next().flatten().is_some()) && parts.next().is_none();
    is_one && word.len() - 3 >= LEAST_DIGITS
}

/// Whether this is an event in capitals with an underscore, and an interface's name behind a point: names of hosts have
/// no underscore before one.
fn is_event_of_interface(word: &[u8]) -> bool {
    let (event, interface) = word.split_at(memchr::memchr(b'.', word).unwrap_or(word.len()));
    event.contains(&b'_')
        && event.iter().all(|byte| byte.is_ascii_uppercase() || *byte == b'_')
        && interface.len() > 1
        && interface[1..].iter().all(|byte| byte.is_ascii_lowercase() || *byte == b'-')
}

/// Whether a TAG stands here, or behind what may stand before one. A number is none of these, so that `00076 ports:`
/// has one.
fn has_tag(text: &[u8]) -> bool {
    let (first, behind) = word(text);
    let text = if first.iter().all(u8::is_ascii_digit) { skip_spaces(behind) } else { text };
    let mut parsed = Parsed::new("", text);
    set_tag(&mut parsed, text);
    parsed.tag.is_some() || is_kernel(text) || is_own_word(text)
}

/// The kernel's seconds since it started, without a colon before them.
fn is_kernel(text: &[u8]) -> bool {
    let inner = text.strip_prefix(b"kernel [").map(skip_spaces);
    inner.is_some_and(|inner| matches!(inner[leading_digits(inner)..], [b'.', b'0'..=b'9', ..]))
}

/// What follows the client in the logs of web servers and proxies: a time in brackets, at once or behind the two words of
/// the common log format. A word with a colon is a TAG, and what stands in front of it a host. Times of other forms
/// in brackets are a kernel's or a logger's.
pub(super) fn is_request(behind: &[u8]) -> bool {
    let is_time = |text: &[u8]| {
        matches!(text, [b'[', b'0'..=b'9', b'0'..=b'9', b'/', rest @ ..] if rest.first().is_some_and(u8::is_ascii_uppercase))
            && scan::scan(&text[1..]).is_some()
    };
    let text = without_space(behind);
    let (identity, rest) = word(text);
    let (user, rest) = word(without_space(rest));
    let is_word = |word: &[u8]| !word.is_empty() && !word.ends_with(b":");
    is_time(text) || (is_word(identity) && is_word(user) && is_time(without_space(rest)))
}

/// What may stand between a host and its TAG.
fn is_stepped_over(word: &[u8]) -> bool {
    LEVELS.contains(&word)
        || is_level_in_capitals(word) && word.iter().all(u8::is_ascii_uppercase)
        || host::is_address(word)
        || is_facility_and_level(word)
        || is_selector(word)
        || is_serial_number(word)
}

/// The host once more, or its name in full.
fn is_same_host(host: &[u8], word: &[u8]) -> bool {
    word.strip_prefix(host).is_some_and(|rest| rest.is_empty() || rest[0] == b'.')
}

/// `WatchGuard`: thirteen capital letters and digits, of the latter three at least.
fn is_serial_number(word: &[u8]) -> bool {
    word.len() == 13
        && word.iter().all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase())
        && word.iter().filter(|byte| byte.is_ascii_digit()).count() >= 3
}

/// The time in parentheses that `WatchGuard` puts behind its serial number, in UTC and with its year, while that of the
/// header is local and has neither; and what follows it.
fn universal(text: &[u8]) -> (Option<When<'_>>, &[u8]) {
    let (first, behind) = word(text);
    let Some(time) = first.strip_prefix(b"(").and_then(|inner| inner.strip_suffix(b")")) else {
        return (None, text);
    };
    let when = match scan::scan(time) {
        Some(Scanned { when: When::Civil(stamp), len, .. }) if len == time.len() => {
            let zone = if stamp.zone == Zone::Unnamed { Zone::Offset(0) } else { stamp.zone };
            Some(When::Civil(Stamp { zone, ..stamp }))
        }
        _ => None,
    };
    (when, skip_spaces(behind))
}

/// What syslog daemons write for themselves, without a host before it: how it begins.
pub(super) const OWN_WORDS: [&[u8]; 10] = [
    b"last message repeated ",
    b"last message buffered ",
    b"message repeated ",
    b"message from ",
    b"Message from ",
    b"-- MARK --",
    b"syslogd started: BusyBox",
    b"syslogd exiting",
    b"exiting on signal ",
    b"above message repeats ",
];

/// Whether sysklogd's daemons say that they begin or end, with their version, where HOSTNAME stands.
pub(super) fn is_restart(text: &[u8]) -> bool {
    let version = text.strip_prefix(b"syslogd ").or_else(|| text.strip_prefix(b"klogd "));
    matches!(version, Some([b'1' | b'2', b'.', b'0'..=b'9', ..]))
}

/// Whether a daemon speaks of itself.
pub fn is_own_word(text: &[u8]) -> bool {
    OWN_WORDS.iter().any(|start| text.starts_with(start))
}
