//! RFC 3164 and everything that begins with a timestamp.
//!
//! Behind the timestamp stands HOSTNAME, unless the word there is a TAG, a mnemonic, or no name at all: then the
//! message has no host and the sender's address is used. A word of the text becomes a host only where nothing tells it
//! from one, in `Mmm dd hh:mm:ss word more words`, because RFC 3164 puts HOSTNAME there. In the lines of programs' own
//! logs, which have no PRI and a date of another form, or a date in brackets, nothing puts it there: a host then needs
//! a TAG behind it.
//!
//! | rule | shape |
//! |---|---|
//! | `rfc3164` | BSD timestamp, host |
//! | `rfc3164-iso` | RFC 3339 or nearly, host |
//! | `rfc3164-lenient` | another timestamp, host |
//! | `rfc3164-no-host` | a timestamp, no host |
//! | `aix` | `Message forwarded from host:` |
//! | `cisco` | a mnemonic behind the timestamp, or a device's own header behind a relay's |
//! | `meraki` | VERSION, a time in seconds, host, event type |
//! | `netapp` | `[node:event:severity]:` for TAG |
//! | `relayed` | a relay's header before the first one |
//! | `unifi` | a descriptor of model and MAC address between host and TAG |

use super::content::{
    behind_host, is_before_tag, is_mnemonic_or_process, is_of_text, is_own_tag, is_own_word,
    is_packet_engine, is_request, is_restart, is_type_of_record, set_tag,
};
use super::level::{
    behind_two_words, is_level, is_level_in_capitals, is_selector_of_any_case, without_level,
};
use super::tag::{self, Tag};
use super::untimed::is_coined;
use super::{
    Parsed, cisco, devices, host, leading_digits, payload, relay, skip_spaces, straight, vendors,
    without_space, word,
};
use crate::syslog::time::scan::{self, Form, Scanned};
use crate::syslog::time::{Stamp, When};

/// What is known of a header before its timestamp.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// It is a message's first, and may be a relay's.
    First,
    /// It is the beginning of a line of a program's own log, which names a host only where a TAG follows it.
    Line,
    /// It stands behind a relay's.
    Inner,
}

/// Reads a message from its timestamp on; a VERSION may stand before it.
pub fn parse(text: &[u8], has_pri: bool) -> Option<Parsed<'_>> {
    if let Some(scanned) = scan::scan(text) {
        if let Some(parsed) = straight::parse(text, &scanned) {
            return Some(parsed);
        }
        let place = match scanned.form {
            Form::IsoLike | Form::BsdLike | Form::Epoch if !has_pri => Place::Line,
            // In logs of programs too; a word without a digit or a sign is more often theirs than a host's.
            Form::Rfc3339 if !has_pri && begins_with_letters(&text[scanned.len..]) => Place::Line,
            _ => Place::First,
        };
        return header(text, &scanned, place);
    }
    // Clavister and others put the timestamp in brackets, AirTight in angle ones in front of CEF.
    if let [open @ (b'[' | b'(' | b'{' | b'<' | b'"' | b'\''), inner @ ..] = text
        && let Some(close) = memchr::memchr(closing(*open), &inner[..inner.len().min(MAX_TIME_BYTES)])
        && let Some(scanned) = scan::scan(&inner[..close])
        && scanned.len == close
        && (*open != b'<' || tag::is_payload(&inner[close + 1..]))
    {
        return bracketed(inner, &scanned);
    }
    // Comware begins with a sign.
    if let Some(rest) = text.strip_prefix(b"%")
        && let Some(scanned) = scan::scan(rest)
    {
        return header(rest, &scanned, Place::First);
    }
    // Checkmk's event console: seconds behind a sign.
    if let Some(rest) = text.strip_prefix(b"@")
        && let Some(parsed) = vendors::event_console(rest)
    {
        return Some(parsed);
    }
    // A severity's letter where others have PRI.
    if let [b'<', b'A'..=b'Z', b'>', rest @ ..] = text
        && let Some(scanned) = scan::scan(rest)
    {
        return header(rest, &scanned, Place::Line);
    }
    let digits = leading_digits(text);
    let rest = text[digits..].strip_prefix(b" ")?;
    if !(1..=3).contains(&digits) {
        return None;
    }
    let scanned = scan::scan(rest)?;
    if scanned.form == Form::Epoch
        && let Some(parsed) = devices::meraki(rest, &scanned)
    {
        return Some(parsed);
    }
    header(rest, &scanned, Place::First)
}

/// The longest timestamp between brackets.
const MAX_TIME_BYTES: usize = 64;

/// `aa:bb:cc:dd:ee:ff`.
const HARDWARE_ADDRESS_BYTES: usize = 17;

/// What ends what the other begins.
fn closing(open: u8) -> u8 {
    match open {
        b'[' => b']',
        b'(' => b')',
        b'{' => b'}',
        b'<' => b'>',
        other => other,
    }
}

/// Whether the first word has nothing but letters.
fn begins_with_letters(text: &[u8]) -> bool {
    let (first, _) = word(skip_spaces(text));
    first.iter().all(u8::is_ascii_alphabetic)
}

/// Reads on behind a timestamp that a bracket closes; without a space behind the bracket there is no header, but text.
fn bracketed<'a>(text: &'a [u8], scanned: &Scanned<'a>) -> Option<Parsed<'a>> {
    let len = scanned.len + 1;
    if text.get(len) == Some(&b' ') {
        return header(text, &Scanned { len, ..*scanned }, Place::Line);
    }
    Some(Parsed { when: scanned.when, ..Parsed::new("rfc3164-no-host", &text[len..]) })
}

pub(super) fn header<'a>(text: &'a [u8], scanned: &Scanned<'a>, place: Place) -> Option<Parsed<'a>> {
    let rest = &text[scanned.len..];
    let rest = if rest.starts_with(b"[") { without_zone(rest) } else { rest };
    if let Some(b',' | b':') = rest.first()
        && let Some((when, host)) = payload::fabric(text)
    {
        return Some(Parsed { when, host, ..Parsed::new("rfc3164-no-host", text) });
    }
    // A text whose first line is the time: events of Windows, programs' own lines.
    if let Some(b'\r' | b'\n') = rest.first()
        && let Some(lines) = rest.strip_prefix(b"\r").unwrap_or(rest).strip_prefix(b"\n")
    {
        return Some(Parsed { when: scanned.when, ..Parsed::new("rfc3164-no-host", lines) });
    }
    if !matches!(rest.first(), None | Some(b' ' | b':' | b'\t')) {
        return devices::glued(rest).map(|parsed| Parsed { when: scanned.when, ..parsed });
    }
    // A relay's time in front of the origin's, both in full.
    if place != Place::Inner
        && scanned.form == Form::Rfc3339
        && let Some(inner) = rest.strip_prefix(b" ")
        && let Some(own) = scan::scan(inner).filter(|own| own.form == Form::Rfc3339)
        && inner.get(own.len) == Some(&b' ')
    {
        let parsed = header(inner, &own, Place::Inner)?;
        return relay::relayed(parsed.body, parsed.host).or(Some(parsed));
    }
    // A relay that has a time and no name puts it in front of a header, which RFC 3164's time and a process mark as
    // one, or a name that is no word and one of these, a mnemonic or a device's payload; in front of CEF or LEEF also a name
    // of letters with capitals among them. Other times behind the first are those that programs log.
    if place == Place::First
        && let own = skip_spaces(rest)
        && let Some(second) = scan::scan(own)
        && (matches!(second.form, Form::Bsd | Form::Rfc3339) || own.get(10) == Some(&b'T'))
        && let Some(inner) = relay::relayed(own, None)
        && let Some(name) = inner.host
        && (second.form == Form::Bsd && inner.proc_id.is_some()
            || tag::is_payload(inner.body) && (is_coined(name) || host::is_no_word(name))
            || host::is_no_word(name)
                && (second.form == Form::Bsd
                    || inner.rule == "cisco"
                    || inner.proc_id.is_some()
                    || payload::is_device_pairs(inner.body)))
    {
        return Some(inner);
    }
    // A comma before the milliseconds is that of loggers, whose own name and level follow where no host does.
    let is_thousandths =
        |at: usize| text[at + 1..].iter().take(3).filter(|byte| byte.is_ascii_digit()).count() == 3;
    let is_logged = memchr::memchr(b',', &text[..scanned.len]).is_some_and(is_thousandths);
    if is_logged && (is_logger(rest) || is_threads(rest)) {
        return Some(Parsed { when: scanned.when, ..Parsed::new("rfc3164-no-host", without_space(rest)) });
    }
    // OpenVPN writes its client's address and port behind the C library's time.
    if scanned.form == Form::BsdLike && is_peer(text, rest) {
        return Some(Parsed { when: scanned.when, ..Parsed::new("rfc3164-no-host", without_space(rest)) });
    }
    // A class of Java's, which its own logging writes behind AM or PM; a thread's number, which a name server of Windows
    // does, and the kind of record.
    let has_half = text[..scanned.len].ends_with(b"AM") || text[..scanned.len].ends_with(b"PM");
    if has_half && vendors::is_of_program(skip_spaces(rest)) {
        return Some(Parsed { when: scanned.when, ..Parsed::new("rfc3164-no-host", without_space(rest)) });
    }
    // A year and no fraction of a second, in front of it or behind.
    if place != Place::Line
        && !has_half
        && scanned.form == Form::BsdLike
        && let When::Civil(Stamp { year: Some(_), fraction: [], .. }) = scanned.when
        && let named = skip_spaces(rest.strip_prefix(b":").unwrap_or(rest))
        && named.starts_with(b"[")
        && let Some(parsed) = vendors::named_router(named, scanned.form)
    {
        return Some(Parsed { when: scanned.when, ..parsed });
    }
    let mut parsed = behind_timestamp(rest, scanned.form, place);
    if parsed.when == When::Missing || is_behind_unset_clock(rest, &parsed, scanned.when) {
        parsed.when = kiwi(text, rest, scanned);
    }
    Some(parsed)
}

/// Whether Cisco's device says that its clock is not set (`*`), and its time is of another day than the relay's in
/// front of it, which is nearer to the truth then.
fn is_behind_unset_clock(rest: &[u8], parsed: &Parsed<'_>, relay: When<'_>) -> bool {
    let (When::Civil(own), When::Civil(relay)) = (parsed.when, relay) else { return false };
    // The mark stands between both times.
    let between = &rest[..rest.len().saturating_sub(parsed.body.len())];
    parsed.rule == "cisco"
        && (own.month, own.day) != (relay.month, relay.day)
        && memchr::memchr(b'*', between).is_some()
}

/// Whether a module's name of letters, points and underscores stands here, and a level in capitals behind it, or a dash
/// and a payload.
fn is_logger(text: &[u8]) -> bool {
    let (name, behind) = word(skip_spaces(text));
    let is_of_module = |byte: &u8| byte.is_ascii_lowercase() || matches!(byte, b'.' | b'_');
    let is_module = name.iter().all(is_of_module) || is_thread(name);
    let (level, rest) = word(skip_spaces(behind));
    if level == b"-" && is_module && !name.contains(&b'.') && tag::is_payload(skip_spaces(rest)) {
        return true;
    }
    let is_level = level.iter().all(u8::is_ascii_uppercase) && is_level_in_capitals(level);
    is_module && !name.is_empty() && is_level && !is_mnemonic_or_process(skip_spaces(rest))
}

/// Whether a thread of one of Java's pools wrote the line, and no host of that name: neither a process nor a payload
/// follows it.
fn is_threads(text: &[u8]) -> bool {
    let (name, behind) = word(skip_spaces(text));
    let text = skip_spaces(behind);
    is_thread(name) && !is_mnemonic_or_process(text) && !payload::is_payload(text)
}

/// Whether this is a thread of one of Java's pools: `http-nio-8080-exec-14`, `pool-1-thread-2`.
pub(super) fn is_thread(name: &[u8]) -> bool {
    let Some(at) = memchr::memrchr(b'-', name) else { return false };
    let (pool, number) = (&name[..at], &name[at + 1..]);
    (pool.ends_with(b"-exec") || pool.ends_with(b"-thread"))
        && !number.is_empty()
        && number.iter().all(u8::is_ascii_digit)
        && memchr::memchr_iter(b'-', pool).count() >= 2
}

/// Whether an address with a port follows `Tue Nov 24 10:00:00 2026`, and no TAG with a process.
fn is_peer(text: &[u8], rest: &[u8]) -> bool {
    let is_ctime = matches!(text, [b'A'..=b'Z', b'a'..=b'z', b'a'..=b'z', b' ', b'A'..=b'Z', ..]);
    let (first, behind) = word(skip_spaces(rest));
    let has_port = !first.starts_with(b"[") && host::without_port(first).is_some_and(host::is_address);
    let text = skip_spaces(behind);
    let is_device =
        || is_mnemonic_or_process(text) || tag::is_payload(text) || payload::is_device_pairs(text);
    is_ctime && has_port && !is_device()
}

/// Without the zone's name that Java puts in brackets behind its offset: `[Europe/Prague]`.
fn without_zone(text: &[u8]) -> &[u8] {
    let inner = &text[1..text.len().min(MAX_TIME_BYTES)];
    let is_one = |byte: &u8| byte.is_ascii_alphabetic() || matches!(byte, b'/' | b'_');
    match memchr::memchr(b']', inner) {
        Some(close) if close > 0 && inner[..close].iter().all(is_one) => &text[close + 2..],
        _ => text,
    }
}

/// The timestamp, whose month stands first in files of Kiwi also between dashes: there a level with capitals follows.
fn kiwi<'a>(text: &[u8], rest: &[u8], scanned: &Scanned<'a>) -> When<'a> {
    if let [_, _, b'-', _, _, b'-', ..] = text
        && let When::Civil(stamp @ Stamp { month: day @ 1..=12, day: month @ 1..=12, .. }) = scanned.when
        && let first = column(rest.trim_ascii_start()).0
        && first.first().is_some_and(u8::is_ascii_uppercase)
        && is_selector_of_any_case(first)
    {
        return When::Civil(Stamp { month, day, either_order: false, ..stamp });
    }
    scanned.when
}

pub(super) fn rule_of(form: Form) -> &'static str {
    match form {
        Form::Bsd => "rfc3164",
        Form::Rfc3339 | Form::IsoLike => "rfc3164-iso",
        Form::BsdLike | Form::Epoch => "rfc3164-lenient",
    }
}

fn behind_timestamp(rest: &[u8], form: Form, place: Place) -> Parsed<'_> {
    if let Some(tabbed) = rest.strip_prefix(b"\t") {
        return behind_tab(tabbed, form, place);
    }
    let spaced = skip_spaces(rest);
    let text = without_level(spaced);
    let text = behind_two_words(text).filter(|_| place != Place::Line).unwrap_or(text);
    // Collectors' files have a level in words there, and the host behind it.
    let place = if text.len() < spaced.len() && place == Place::Line { Place::First } else { place };
    let text = if form == Form::Bsd && place == Place::First { vendors::without_rank(text) } else { text };
    if let Some(rest) = text.strip_prefix(b":").filter(|rest| !rest.starts_with(b":")) {
        return vendors::glued_brackets(without_space(rest), form)
            .or_else(|| vendors::service_set(without_space(rest), form))
            .unwrap_or_else(|| cisco::behind_colon(without_space(rest)));
    }
    let (first, behind) = column(text);
    let without_host = |rule| {
        let mut parsed = Parsed::new(rule, without_space(rest));
        if let Some(tag) = tag::scan(text) {
            parsed.set_tag(tag);
        }
        parsed
    };
    if let Some(tag) = tag::mnemonic(text) {
        let mut parsed = Parsed::new("cisco", text);
        parsed.set_tag(tag);
        return parsed;
    }
    if let Some(parsed) = relay::forwarded(text) {
        return parsed;
    }
    if let Some((name, rest)) = relay::original_address(text) {
        return behind_host(name, rest, rule_of(form), place);
    }
    if is_own_word(text)
        || is_restart(text)
        || payload::is_snare(text)
        || text.starts_with(b"D-Link Systems ")
    {
        return Parsed::new("rfc3164-no-host", text);
    }
    if let Some((address, rest)) = devices::descriptor(text) {
        let mut parsed = Parsed { host: address, ..Parsed::new("unifi", without_space(rest)) };
        set_tag(&mut parsed, rest);
        return parsed;
    }
    if let Some((node, tag)) = devices::ems(text) {
        let mut parsed = Parsed { host: Some(node), ..Parsed::new("netapp", text) };
        parsed.set_tag(tag);
        return parsed;
    }
    if let Some(name) = devices::box_log(first) {
        return behind_host(name, &text[name.len() + 1..], rule_of(form), place);
    }
    if behind.starts_with(b" [")
        && let Some(parsed) = vendors::microcontroller(first, behind, form)
            .or_else(|| vendors::telephone_adapter(first, behind, rule_of(form)))
    {
        return parsed;
    }
    if let Some(name) = first.strip_suffix(b":")
        && !host::is_ipv6(first)
    {
        // Cisco's sequence number, which a relay took for a program.
        if let [b'0'..=b'9', .., b']'] = name
            && let Some(parsed) = cisco::prefixed(text)
        {
            return parsed;
        }
        let is_host = host::is_address(name)
            || host::without_port(name).is_some_and(host::is_address)
            || skip_spaces(behind).strip_prefix(name).is_some_and(|rest| rest.starts_with(b": "))
            || (host::is_host(name)
                && (cisco::follows(skip_spaces(behind))
                    || cisco::is_task(skip_spaces(behind))
                    || payload::is_of_screen_os(name, skip_spaces(behind))
                    || devices::is_ontap_audit(skip_spaces(behind))
                    || place == Place::First
                        && (devices::is_model(name) || devices::is_draytek(name, skip_spaces(behind)))
                    || tag::is_bare_mnemonic(skip_spaces(behind))
                    || is_own_tag(name, behind)));
        if !is_host || vendors::is_observation(behind) {
            return without_host("rfc3164-no-host");
        }
        let name = host::without_port(name).filter(|_| !host::is_address(name)).unwrap_or(name);
        // Cisco's sequence number, behind a relay's timestamp.
        if name.iter().all(u8::is_ascii_digit)
            && let Some(parsed) = cisco::prefixed(text)
        {
            return parsed;
        }
        return behind_host(name, behind, rule_of(form), place);
    }
    // An address that is set off by other signs than a space.
    let inner = match first {
        [b'(', inner @ .., b')'] | [b'<', inner @ .., b'>'] | [inner @ .., b','] => inner,
        _ => b"",
    };
    if host::is_address(inner) {
        return behind_host(inner, behind, rule_of(form), place);
    }
    if let Some(name) = host::of_object(first)
        && tag::scan(skip_spaces(behind)).is_some_and(|tag| tag.colon && !tag.text.contains(&b' '))
    {
        return behind_host(name, behind, rule_of(form), place);
    }
    // A whole message behind a relay's timestamp.
    if place != Place::Inner
        && let Some(inner) = relay::wrapped(text)
    {
        return inner;
    }
    if let Some(parsed) =
        vendors::in_brackets(text, form, place).or_else(|| vendors::glued_brackets(text, form))
    {
        return parsed;
    }
    // A relay that puts no host in front of a whole message of RFC 5424.
    if place != Place::Inner
        && first == b"1"
        && let Some(inner) = relay::relayed(text, None)
    {
        return inner;
    }
    // A comma sets the host off from a list of pairs.
    if let Some(comma) = memchr::memchr(b',', first)
        && host::is_host(&text[..comma])
        && payload::is_key_value(&text[comma + 1..])
    {
        return Parsed { host: Some(&text[..comma]), ..Parsed::new(rule_of(form), &text[comma + 1..]) };
    }
    if let Some(parsed) = vendors::before_serial_number(text, form) {
        return parsed;
    }
    // `NetScaler` without a name: a packet engine stands where the host does.
    if is_packet_engine(first) && behind.starts_with(b" : ") {
        return without_host("rfc3164-no-host");
    }
    // JunosE's category and where it happened, a router and an address.
    if place == Place::Line
        && form == Form::BsdLike
        && let Some(inner) = behind.strip_prefix(b" (")
        && first.iter().all(u8::is_ascii_alphabetic)
        && let Some(close) = memchr::memchr(b')', inner)
        && inner[close..].starts_with(b"): ")
        && let Some(comma) = memchr::memchr(b',', &inner[..close])
        && host::is_address(inner[comma + 1..close].trim_ascii())
    {
        return without_host("rfc3164-no-host");
    }
    // What Logback sends for a host that it does not know, and Logstash for one that its template has and the event has not.
    if first == b"-" || first == b"(none)" || first == b"UNKNOWN_LOCALHOST" || first == b"%{host}" {
        // Pulse Secure has its node between dashes, and the user's address behind it.
        if let (node, rest) = word(skip_spaces(behind))
            && payload::is_of_ive(rest)
            && host::is_host(node)
        {
            return Parsed { host: Some(node), ..Parsed::new(rule_of(form), &rest[b" - ".len()..]) };
        }
        // NILVALUE, borrowed from RFC 5424; before anything but a TAG it is text.
        let mut parsed = Parsed::new("rfc3164-no-host", text);
        if let Some(tag) = tag::scan(skip_spaces(behind)) {
            parsed.set_tag(tag);
        }
        return parsed;
    }
    if payload::is_xdas(behind) && !host::is_address(first) {
        return without_host("rfc3164-no-host");
    }
    if let Some(parsed) = vendors::behind_own_word(text, form, place) {
        return parsed;
    }
    if first == b"Oracle" && tag::is_oracle_audit(text) {
        return without_host("rfc3164-no-host");
    }
    // The type of the record behind it, where others have a TAG.
    if is_type_of_record(first, behind) {
        let record = Tag { text: first, app: first, proc_id: None, body: skip_spaces(behind), colon: false };
        let mut parsed = Parsed::new("rfc3164-no-host", text);
        parsed.set_tag(record);
        return parsed;
    }
    // A severity in front of the host, which a TAG with a process tells from a logging library's thread.
    if place != Place::Line
        && matches!(form, Form::Bsd | Form::Rfc3339)
        && (is_level_in_capitals(first) || is_level(first))
        && let (name, rest) = word(skip_spaces(behind))
        && host::is_host(name)
        && host::is_no_word(name)
        && is_mnemonic_or_process(skip_spaces(rest))
    {
        return behind_host(name, rest, rule_of(form), place);
    }
    // CloudStack has blanks around the severity and its name.
    if matches!(first, b"WARN" | b"WARNING")
        && let (name, rest) = word(skip_spaces(behind))
        && host::is_host(name)
        && skip_spaces(rest).starts_with(b"alertType:: ")
    {
        return Parsed { host: Some(name), ..Parsed::new(rule_of(form), skip_spaces(rest)) };
    }
    // A logging library's severity stands where it puts no host.
    if is_level_in_capitals(first) {
        return without_host("rfc3164-no-host");
    }
    if is_level(first) {
        let mut parsed = Parsed::new("rfc3164-no-host", text);
        if let Some(tag) = tag::scan(skip_spaces(behind)) {
            parsed.set_tag(tag);
        }
        return parsed;
    }
    if let Some(parsed) = vendors::threads(text) {
        return parsed;
    }
    if is_number_of_text(first, behind) {
        return without_host("rfc3164-no-host");
    }
    if is_repeated_number(first, behind) {
        return behind_host(first, behind, rule_of(form), place);
    }
    // An access log without a host before it begins with the client's address.
    let is_client = host::is_address(first) || host::without_port(first).is_some_and(host::is_address);
    if is_client && is_request(behind) {
        return without_host("rfc3164-no-host");
    }
    // Nagios' events have two words in capitals behind their seconds.
    let is_event = form == Form::Epoch && first.iter().all(u8::is_ascii_uppercase);
    if place == Place::Line && !host::is_address(first) && (is_event || !is_before_tag(first, behind)) {
        return without_host("rfc3164-no-host");
    }
    // A slot and a port, with which switches begin texts.
    if first.contains(&b'/') && first.iter().all(|byte| byte.is_ascii_digit() || *byte == b'/') {
        let mut parsed = Parsed::new("rfc3164-no-host", without_space(rest));
        set_tag(&mut parsed, behind);
        return parsed;
    }
    // A message of one word has no header: the word is the text, unless it is an address.
    let lone = skip_spaces(behind).is_empty();
    if host::is_address(first)
        || (!lone && host::is_host(first) && !first.contains(&b':') && !is_of_text(first, behind))
    {
        return behind_host(first, behind, rule_of(form), place);
    }
    if !lone
        && let Some(name) = host::without_port(first)
        && (host::is_address(name)
            || (first[0] != b'[' && !name.contains(&b'/') && tag::scan(skip_spaces(behind)).is_some()))
    {
        return behind_host(name, behind, rule_of(form), place);
    }
    if let Some(rest) = vendors::behind_zos(first, behind).filter(|rest| is_mnemonic_or_process(rest)) {
        return behind_host(first, rest, rule_of(form), place);
    }
    // A hardware address in place of a name.
    let has_words = memchr::memchr(b' ', skip_spaces(behind)).is_some();
    if has_words && place == Place::First && host::is_hardware_address(first) {
        return behind_host(first, behind, rule_of(form), place);
    }
    // A name with the hardware address behind a dash, and a TAG; a client's has a text behind it.
    if place == Place::First
        && tag::scan(skip_spaces(behind)).is_some()
        && let Some(at) = first.len().checked_sub(HARDWARE_ADDRESS_BYTES + 1)
        && first[at] == b'-'
        && host::is_hardware_address(&first[at + 1..])
        && host::is_host(&first[..at])
    {
        return behind_host(first, behind, rule_of(form), place);
    }
    if let Some(name) = virtual_system(first, behind) {
        return behind_host(name, &text[name.len()..], rule_of(form), place);
    }
    if let Some(name) =
        node_name(first).filter(|_| first.ends_with(b"(root)") || tag::scan(skip_spaces(behind)).is_some())
    {
        return behind_host(name, behind, rule_of(form), place);
    }
    if host::is_odd_name(first) && is_mnemonic_or_process(skip_spaces(behind)) {
        return behind_host(first, behind, rule_of(form), place);
    }
    without_host("rfc3164-no-host")
}

/// Whether a number where HOSTNAME stands begins a text. It is a name, an asset's as a rule, where a TAG, a payload of
/// a device, or the same number and a colon follow it. glog has a thread's number before `file:line]`.
fn is_number_of_text(first: &[u8], behind: &[u8]) -> bool {
    let text = skip_spaces(behind);
    let is_line = || word(text).0.strip_suffix(b"]").is_some_and(|line| line.contains(&b':'));
    let is_name = || {
        tag::scan(text).is_some()
            || tag::is_payload(text)
            || payload::is_device_pairs(text)
            || payload::is_quoted_pairs(text)
            || is_repeated_number(first, behind)
    };
    first.iter().all(u8::is_ascii_digit) && (!is_name() || is_line())
}

/// Whether a number stands where HOSTNAME does and, with a colon, where the TAG does, which no text begins with.
fn is_repeated_number(first: &[u8], behind: &[u8]) -> bool {
    first.iter().all(u8::is_ascii_digit)
        && skip_spaces(behind).strip_prefix(first).is_some_and(|rest| rest.starts_with(b": "))
}

/// What stands between two brackets that hold the whole word.
pub(super) fn enclosed(word: &[u8]) -> Option<&[u8]> {
    word.strip_prefix(b"[")?.strip_suffix(b"]").filter(|inner| !inner.is_empty() && !inner.contains(&b'['))
}

/// Fields between tabs: the host, where a TAG follows it, or an address behind RFC 3164's own timestamp. Other tables,
/// Zeek's for one, have a time in their first column and values of any kind in the next.
fn behind_tab(text: &[u8], form: Form, place: Place) -> Parsed<'_> {
    let (first, behind) = column(text);
    match behind.strip_prefix(b"\t") {
        // Kiwi's files have the priority in words before the host.
        Some(behind) if is_selector_of_any_case(first) => {
            let (name, rest) = column(behind);
            let text = rest.strip_prefix(b"\t").unwrap_or(rest);
            match Some(name).filter(|name| host::is_host(name)) {
                Some(name) => behind_host(name, text, rule_of(form), place),
                None => Parsed::new("rfc3164-no-host", behind),
            }
        }
        Some(behind)
            if host::is_host(first) && tag::scan(behind).is_some()
                || host::is_address(first) && form == Form::Bsd && place == Place::First =>
        {
            behind_host(first, behind, rule_of(form), place)
        }
        _ => Parsed::new("rfc3164-no-host", text),
    }
}

/// The first word, which a tab ends as well, and what follows it. rsyslog escapes tabs, `#011`; a name may have these
/// signs too, with other signs around them.
pub(super) fn column(text: &[u8]) -> (&[u8], &[u8]) {
    let (first, behind) = word(text);
    match memchr::memchr2(b'\t', b'#', first) {
        Some(at) if at > 0 => short_column(text, first, behind),
        _ => (first, behind),
    }
}

#[cold]
fn short_column<'a>(text: &'a [u8], first: &'a [u8], behind: &'a [u8]) -> (&'a [u8], &'a [u8]) {
    let end = memchr::memchr(b'\t', first).filter(|&at| at > 0);
    let first = end.map_or(first, |at| &first[..at]);
    let escaped = memchr::memmem::find(first, b"#011").filter(|&at| {
        first.get(at + 4).is_some_and(u8::is_ascii_alphabetic)
            && (host::is_address(&first[..at]) || host::is_no_word(&first[..at]))
    });
    match (escaped, end) {
        (Some(at), _) => (&first[..at], &text[at + 4..]),
        (None, Some(at)) => (first, &text[at..]),
        (None, None) => (first, behind),
    }
}

/// The name of a device of Hillstone in front of its virtual system, the number of the message and its type:
/// `name(vsys) 42445600 Event@MGMT: `. A number there is the serial one, which names no host.
fn virtual_system<'a>(first: &'a [u8], behind: &[u8]) -> Option<&'a [u8]> {
    let (name, system) = first.split_at(memchr::memchr(b'(', first)?);
    let (number, rest) = word(skip_spaces(behind));
    let (kind, _) = word(skip_spaces(rest));
    let (event, module) = kind.strip_suffix(b":")?.split_at(memchr::memchr(b'@', kind)?);
    let is_message = number.len() >= 6
        && number.iter().all(u8::is_ascii_hexdigit)
        && number.iter().any(u8::is_ascii_digit)
        && event.first().is_some_and(u8::is_ascii_uppercase)
        && module[1..].iter().all(u8::is_ascii_uppercase);
    let is_name = host::is_host(name) && !name.iter().all(u8::is_ascii_digit) && !is_gateways_number(name);
    let system = system[1..].strip_suffix(b")")?;
    // The one that each device has says nothing.
    let is_system = system != b"root" && !system.iter().any(|byte| matches!(byte, b'(' | b')'));
    (is_message && is_name && is_system).then_some(name)
}

/// A name with a node's number (`OneFS`), `name(id1)`, with its address, `name(10.0.0.5)`, or with the virtual system
/// that each device of Hillstone has, `name(root)`, where a number is the serial one, which names no host.
fn node_name(word: &[u8]) -> Option<&[u8]> {
    let open = memchr::memchr(b'(', word)?;
    let inner = word[open + 1..].strip_suffix(b")")?;
    let is_number = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let is_one = inner.strip_prefix(b"id").is_some_and(is_number)
        || host::is_address(inner)
        || inner == b"root" && host::is_no_word(&word[..open]) && !is_gateways_number(&word[..open]);
    (is_one && host::is_host(&word[..open])).then_some(&word[..open])
}

/// Whether Hillstone's serial number stands in the place of a name: digits and capitals, three quarters of
/// them or more digits, the first and the last among them, `261107KSA0000042`.
fn is_gateways_number(word: &[u8]) -> bool {
    /// They have 16; room for shorter ones, which names that people give do not look like either.
    const MIN_BYTES: usize = 13;
    let digits = word.iter().filter(|byte| byte.is_ascii_digit()).count();
    word.len() >= MIN_BYTES
        && digits * 4 >= word.len() * 3
        && matches!(word, [b'0'..=b'9', .., b'0'..=b'9'])
        && word.iter().all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase())
}
