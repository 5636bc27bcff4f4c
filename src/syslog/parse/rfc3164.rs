//! RFC 3164 and everything that begins with a timestamp.
//!
//! Behind the timestamp stands HOSTNAME, unless the word there is a TAG, a mnemonic, or no name at all: then the message
//! has no host and the sender's address is used. A word of the text becomes a host only where nothing tells it from
//! one, in `Mmm dd hh:mm:ss word more words`, because RFC 3164 puts HOSTNAME there. In the lines of programs' own logs, which
//! have no PRI and a date of another form, or a date in brackets, nothing puts it there: a host then needs a TAG behind it.
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

use super::tag::{self, Tag};
use super::{
    Parsed, cisco, devices, host, leading_digits, payload, pri, relay, skip_spaces, straight, without_space,
    word,
};
use crate::syslog::block;
use crate::syslog::time::scan::{self, Form, Scanned};
use crate::syslog::time::{Stamp, When};

/// The severities that F5 prints between host and TAG.
pub(super) const LEVELS: [&[u8]; 14] = [
    b"trace",
    b"fatal",
    b"emerg",
    b"panic",
    b"alert",
    b"crit",
    b"critical",
    b"err",
    b"error",
    b"warning",
    b"warn",
    b"notice",
    b"info",
    b"debug",
];

/// Facilities by name, as a selector of syslog.conf writes them before a severity (`local7.notice`).
const FACILITIES: [&[u8]; 21] = [
    b"kern",
    b"user",
    b"mail",
    b"daemon",
    b"auth",
    b"syslog",
    b"lpr",
    b"news",
    b"uucp",
    b"cron",
    b"authpriv",
    b"ftp",
    b"security",
    b"local0",
    b"local1",
    b"local2",
    b"local3",
    b"local4",
    b"local5",
    b"local6",
    b"local7",
];

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
    // Clavister and others put the timestamp in brackets.
    if let [open @ (b'[' | b'(' | b'{' | b'"'), inner @ ..] = text
        && let Some(close) = memchr::memchr(closing(*open), &inner[..inner.len().min(MAX_TIME_BYTES)])
        && let Some(scanned) = scan::scan(&inner[..close])
        && scanned.len == close
    {
        return bracketed(inner, &scanned);
    }
    // Comware begins with a sign.
    if let Some(rest) = text.strip_prefix(b"%")
        && let Some(scanned) = scan::scan(rest)
    {
        return header(rest, &scanned, Place::First);
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

/// What ends what the other begins.
fn closing(open: u8) -> u8 {
    match open {
        b'[' => b']',
        b'(' => b')',
        b'{' => b'}',
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
    let mut parsed = behind_timestamp(rest, scanned.form, place);
    if parsed.when == When::Missing {
        parsed.when = kiwi(text, rest, scanned);
    }
    Some(parsed)
}

/// The timestamp, whose month stands first in files of Kiwi also between dashes: there a level with capitals follows.
fn kiwi<'a>(text: &[u8], rest: &[u8], scanned: &Scanned<'a>) -> When<'a> {
    if let [_, _, b'-', _, _, b'-', ..] = text
        && let When::Civil(stamp @ Stamp { month: day @ 1..=12, day: month @ 1..=12, .. }) = scanned.when
        && let first = column(rest.trim_ascii_start()).0
        && first.first().is_some_and(u8::is_ascii_uppercase)
        && is_selector_of_any_case(first)
    {
        return When::Civil(Stamp { month, day, ..stamp });
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
    // Collectors' files have a level in words there, and the host behind it.
    let place = if text.len() < spaced.len() && place == Place::Line { Place::First } else { place };
    if let Some(rest) = text.strip_prefix(b":").filter(|rest| !rest.starts_with(b":")) {
        return cisco::behind_colon(without_space(rest));
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
    if is_own_word(text) {
        return Parsed::new("rfc3164-no-host", text);
    }
    if let Some(rest) = devices::descriptor(text) {
        let mut parsed = Parsed::new("unifi", without_space(rest));
        set_tag(&mut parsed, rest);
        return parsed;
    }
    if let Some((node, tag)) = devices::ems(text) {
        let mut parsed = Parsed { host: Some(node), ..Parsed::new("netapp", text) };
        parsed.set_tag(tag);
        return parsed;
    }
    if let Some(name) = first.strip_suffix(b":")
        && !host::is_ipv6(first)
    {
        let is_host = host::is_address(name)
            || host::without_port(name).is_some_and(host::is_address)
            || skip_spaces(behind).strip_prefix(name).is_some_and(|rest| rest.starts_with(b": "))
            || (host::is_host(name)
                && (cisco::follows(skip_spaces(behind))
                    || cisco::is_task(skip_spaces(behind))
                    || tag::is_bare_mnemonic(skip_spaces(behind))
                    || is_own_tag(name, behind)));
        if !is_host {
            return without_host("rfc3164-no-host");
        }
        let name = host::without_port(name).filter(|_| !host::is_address(name)).unwrap_or(name);
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
    // A whole message behind a relay's timestamp.
    if place != Place::Inner
        && let Some(inner) = relay::wrapped(text)
    {
        return inner;
    }
    // Voice over IP phones of Polycom set their MAC address off with a bar.
    if let [mac @ .., b'|'] = &first[..first.len().min(13)]
        && devices::is_mac(mac)
    {
        return Parsed { host: Some(mac), ..Parsed::new(rule_of(form), &text[13..]) };
    }
    // A context in brackets, of letters alone, and the device's address.
    if let Some(context) = enclosed(first)
        && context.iter().all(u8::is_ascii_lowercase)
        && let (address, rest) = word(skip_spaces(behind))
        && host::is_address(address)
    {
        return behind_host(address, rest, rule_of(form), place);
    }
    // SECUI puts an event and the device's address in brackets each.
    if let Some(event) = enclosed(first)
        && !host::is_address(event)
        && let (address, rest) = word(skip_spaces(behind))
        && let Some(address) = enclosed(address).filter(|address| host::is_address(address))
    {
        let program = Tag { text: event, app: event, proc_id: None, body: without_space(rest), colon: false };
        let mut parsed = Parsed { host: Some(address), ..Parsed::new(rule_of(form), text) };
        parsed.set_tag(program);
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
    // `NetScaler` without a name: a packet engine stands where the host does.
    if memchr::memmem::find(first, b"-PPE-").is_some() && behind.starts_with(b" : ") {
        return without_host("rfc3164-no-host");
    }
    if first == b"-" || first == b"(none)" {
        // NILVALUE, borrowed from RFC 5424; before anything but a TAG it is text.
        let mut parsed = Parsed::new("rfc3164-no-host", text);
        if let Some(tag) = tag::scan(skip_spaces(behind)) {
            parsed.set_tag(tag);
        }
        return parsed;
    }
    // Endpoint Protection has put its own name where the host stands, and the host where the TAG does.
    if first == b"SymantecServer"
        && let (name, text) = skip_spaces(behind).split_at(block::find([b' ', b','], skip_spaces(behind)))
        && let Some(name) = name.strip_suffix(b":").filter(|name| host::is_host(name))
    {
        let program = Tag { text: first, app: first, proc_id: None, body: without_space(text), colon: false };
        let mut parsed = Parsed { host: Some(name), ..Parsed::new(rule_of(form), text) };
        parsed.set_tag(program);
        return parsed;
    }
    // A logging library's severity stands where it puts no host.
    if is_level_in_capitals(first) {
        return without_host("rfc3164-no-host");
    }
    if is_level(first)
        && let Some(tag) = tag::scan(skip_spaces(behind)).filter(|tag| tag.proc_id.is_some())
    {
        let mut parsed = Parsed::new("rfc3164-no-host", text);
        parsed.set_tag(tag);
        return parsed;
    }
    // A number is a name where a TAG follows it, else the beginning of a text.
    if first.iter().all(u8::is_ascii_digit) && tag::scan(skip_spaces(behind)).is_none() {
        return without_host("rfc3164-no-host");
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
    // A message of one word has no header: the word is the text, unless it is an address.
    let lone = skip_spaces(behind).is_empty();
    if host::is_address(first) || (!lone && host::is_host(first) && !first.contains(&b':')) {
        return behind_host(first, behind, rule_of(form), place);
    }
    if !lone
        && let Some(name) = host::without_port(first)
        && (host::is_address(name)
            || (first[0] != b'[' && !name.contains(&b'/') && tag::scan(skip_spaces(behind)).is_some()))
    {
        return behind_host(name, behind, rule_of(form), place);
    }
    // A hardware address in place of a name.
    let is_pairs = first.len() == 17 && first.split(|&byte| byte == b':').all(is_hex_pair);
    if is_pairs && tag::scan(skip_spaces(behind)).is_some_and(|tag| tag.colon) {
        return behind_host(first, behind, rule_of(form), place);
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

/// Whether a TAG with a process and a colon follows the colon behind `name`: two TAGs in a row there are not, so that the
/// first colon is a host's, but for the kernel's, which names the process that it writes of.
fn is_own_tag(name: &[u8], behind: &[u8]) -> bool {
    let is_number = |process: &[u8]| process.iter().all(u8::is_ascii_digit);
    let tag = tag::scan(skip_spaces(behind));
    name != b"kernel" && tag.is_some_and(|tag| tag.colon && tag.proc_id.is_some_and(is_number))
}

/// Whether a mnemonic, Comware's `%%10…` or a TAG with a process begins here: each has a host in front of it.
fn is_mnemonic_or_process(text: &[u8]) -> bool {
    let numeric = |process: &[u8]| process.iter().all(u8::is_ascii_digit);
    tag::scan(text).is_some_and(|tag| {
        tag.text.starts_with(b"%%")
            || tag::mnemonic(text).is_some()
            || tag.colon && tag.proc_id.is_some_and(numeric)
    })
}

/// What stands between two brackets that hold the whole word.
pub(super) fn enclosed(word: &[u8]) -> Option<&[u8]> {
    word.strip_prefix(b"[")?.strip_suffix(b"]").filter(|inner| !inner.is_empty() && !inner.contains(&b'['))
}

/// One byte of a hardware address.
fn is_hex_pair(text: &[u8]) -> bool {
    text.len() == 2 && text.iter().all(u8::is_ascii_hexdigit)
}

/// Whether a TAG or a payload makes a host of the word before it. A sentence's first word, with a capital and without a digit
/// or a point, is none before a word with a colon, and a number never.
fn is_before_tag(word: &[u8], behind: &[u8]) -> bool {
    let text = skip_spaces(behind);
    let text = text.strip_prefix(b": ").map_or(text, skip_spaces);
    if word.iter().all(u8::is_ascii_digit) {
        return false;
    }
    let sentence = word[0].is_ascii_uppercase() && word[1..].iter().all(u8::is_ascii_lowercase);
    let (level, behind_level) = super::word(text);
    let is_level = !sentence
        && level.iter().all(u8::is_ascii_uppercase)
        && is_level_in_capitals(level)
        && behind_level.len() > 1;
    tag::scan(text).is_some_and(|tag| !sentence || tag.proc_id.is_some())
        || is_level
        || tag::is_payload(text)
        || payload::is_device_pairs(text)
        || is_kernel(text)
        || is_own_word(text)
}

/// The kernel's seconds since it started, without a colon before them.
fn is_kernel(text: &[u8]) -> bool {
    let inner = text.strip_prefix(b"kernel [").map(skip_spaces);
    inner.is_some_and(|inner| matches!(inner[leading_digits(inner)..], [b'.', b'0'..=b'9', ..]))
}

/// What follows the client in the logs of web servers and proxies: a time in brackets, at once or behind the two words of
/// the common log format. A word with a colon is a TAG, and what stands in front of it a host.
fn is_request(behind: &[u8]) -> bool {
    let is_time = |text: &[u8]| text.strip_prefix(b"[").is_some_and(|inner| scan::scan(inner).is_some());
    let text = without_space(behind);
    let (identity, rest) = word(text);
    let (user, rest) = word(without_space(rest));
    let is_word = |word: &[u8]| !word.is_empty() && !word.ends_with(b":");
    is_time(text) || (is_word(identity) && is_word(user) && is_time(without_space(rest)))
}

/// Fields between tabs: the host, where a TAG follows it. Other tables, Zeek's for one, have a time in their first column
/// and values of any kind in the next.
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
        Some(behind) if host::is_host(first) && tag::scan(behind).is_some() => {
            behind_host(first, behind, rule_of(form), place)
        }
        _ => Parsed::new("rfc3164-no-host", text),
    }
}

/// The first word, which a tab ends as well, and what follows it.
fn column(text: &[u8]) -> (&[u8], &[u8]) {
    let (first, behind) = word(text);
    match memchr::memchr(b'\t', first) {
        Some(at) if at > 0 => (&first[..at], &text[at..]),
        _ => (first, behind),
    }
}

/// Without the facility and level that stand behind the timestamp: `<4.6>` or `<auth.info>` of BSD's syslogd -v, PRI itself,
/// `local7.notice` of `AlliedWare`, `Local7.Notice` of Kiwi's files.
fn without_level(text: &[u8]) -> &[u8] {
    // The longest is `<security.emergency>`.
    const MAX_BYTES: usize = 24;
    let Some(inner) = text.strip_prefix(b"<") else {
        let (first, behind) = word(&text[..text.len().min(MAX_BYTES)]);
        return if is_selector_of_any_case(first) && !behind.is_empty() {
            skip_spaces(&text[first.len()..])
        } else {
            text
        };
    };
    let Some(end) = memchr::memchr(b'>', &inner[..inner.len().min(MAX_BYTES)]) else { return text };
    let level = &inner[..end];
    // PRI itself behind the timestamp, before a host.
    let is_pri = (1..=3).contains(&level.len()) && level.iter().all(u8::is_ascii_digit);
    let is_one = is_pri
        || level.contains(&b'.')
            && !host::is_ipv4(level)
            && level.iter().all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase() || *byte == b'.');
    if is_one && inner[end + 1..].starts_with(b" ") { skip_spaces(&inner[end + 1..]) } else { text }
}

/// A name with a node's number (`OneFS`), `name(id1)`, with its address, `name(10.0.0.5)`, or with the virtual system that each
/// device of Hillstone has, `serial(root)`.
fn node_name(word: &[u8]) -> Option<&[u8]> {
    let open = memchr::memchr(b'(', word)?;
    let inner = word[open + 1..].strip_suffix(b")")?;
    let is_number = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let is_one = inner.strip_prefix(b"id").is_some_and(is_number)
        || host::is_address(inner)
        || inner == b"root" && host::is_no_word(&word[..open]);
    (is_one && host::is_host(&word[..open])).then_some(&word[..open])
}

/// What follows HOSTNAME.
fn behind_host<'a>(name: &'a [u8], behind: &'a [u8], rule: &'static str, place: Place) -> Parsed<'a> {
    let behind = behind.strip_prefix(b"\t").unwrap_or(behind);
    let name = host::without_unit(name);
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
    // A device's name behind the address that a relay knows it by.
    if host::is_address(name)
        && let (own, rest) = word(text)
        && host::is_host(own)
        && host::is_no_word(own)
        && !is_stepped_over(own)
        && is_mnemonic_or_process(skip_spaces(rest))
    {
        return behind_host(own, rest, rule, place);
    }
    if place != Place::Inner {
        let unwrapped = pri::take(text);
        let own = if text.starts_with(b"<") && unwrapped.sent { unwrapped.text } else { text };
        if let Some(inner) = cisco::relayed(&parsed, own) {
            return inner;
        }
        if let Some(inner) = relay::relayed(text, Some(name)) {
            return inner;
        }
    }
    if let Some(inner) = relay::forwarded(text) {
        return inner;
    }
    if is_own_word(text) {
        return parsed;
    }
    if let Some(rest) = devices::descriptor(text) {
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

/// Takes the TAG at the start of `text`, also where a severity (F5), facility and severity (AIX), an address, the host once
/// more (`UniFi`), or a serial number (`WatchGuard`) stands before it.
pub(super) fn set_tag<'a>(parsed: &mut Parsed<'a>, text: &'a [u8]) {
    let text = skip_spaces(text);
    let (first, behind) = word(text);
    let behind = skip_spaces(behind);
    let behind = if is_serial_number(first) { without_parenthesis(behind) } else { behind };
    let is_stepped_over = is_stepped_over(first) || parsed.host.is_some_and(|host| is_same_host(host, first));
    if is_stepped_over && let Some(tag) = tag::scan(behind).filter(|tag| tag.colon) {
        parsed.set_tag(tag);
    } else if let Some(tag) = tag::scan(text) {
        parsed.set_tag(tag);
    }
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

/// A severity in small letters, or what vCenter has besides.
pub(super) fn is_level(word: &[u8]) -> bool {
    LEVELS.contains(&word) || word == b"verbose"
}

/// A severity as logging libraries write it, with capitals.
pub(super) fn is_level_in_capitals(word: &[u8]) -> bool {
    word.first().is_some_and(u8::is_ascii_uppercase)
        && LEVELS.iter().any(|level| level.eq_ignore_ascii_case(word))
}

/// `user.notice`: facility and severity as `BusyBox` and `AlliedWare` write them.
pub(super) fn is_selector(word: &[u8]) -> bool {
    let Some(point) = memchr::memchr(b'.', word) else { return false };
    FACILITIES.contains(&&word[..point]) && LEVELS.contains(&&word[point + 1..])
}

/// The same as Kiwi writes it, `Local7.Debug`.
fn is_selector_of_any_case(word: &[u8]) -> bool {
    let mut parts = word.splitn(2, |&byte| byte == b'.');
    let is_one = |part: Option<&[u8]>, names: &[&[u8]]| {
        part.is_some_and(|part| names.iter().any(|name| name.eq_ignore_ascii_case(part)))
    };
    is_one(parts.next(), &FACILITIES) && is_one(parts.next(), &LEVELS)
}

/// AIX: `auth|security:info` before the TAG.
fn is_facility_and_level(word: &[u8]) -> bool {
    let Some(colon) = memchr::memchr(b':', word) else { return false };
    LEVELS.contains(&&word[colon + 1..])
        && word[..colon]
            .iter()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'|')
}

/// `WatchGuard`: thirteen capital letters and digits.
fn is_serial_number(word: &[u8]) -> bool {
    word.len() == 13
        && word[0].is_ascii_digit()
        && word.iter().all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase())
}

/// Without the time in parentheses that `WatchGuard` puts behind its serial number.
fn without_parenthesis(text: &[u8]) -> &[u8] {
    let (first, behind) = word(text);
    if first.starts_with(b"(") && first.ends_with(b")") { skip_spaces(behind) } else { text }
}

/// What syslog daemons write for themselves, without a host before it: how it begins.
pub(super) const OWN_WORDS: [&[u8]; 8] = [
    b"last message repeated ",
    b"last message buffered ",
    b"message repeated ",
    b"message from ",
    b"Message from ",
    b"-- MARK --",
    b"syslogd started: BusyBox",
    b"syslogd exiting",
];

/// Whether a daemon speaks of itself.
pub fn is_own_word(text: &[u8]) -> bool {
    OWN_WORDS.iter().any(|start| text.starts_with(start))
}

/// An address and a TAG without a timestamp. Other words before a TAG are text, but for a name that is no word between PRI
/// and a TAG with a process, or topics of `MikroTik`, and for any name before CEF or LEEF.
pub fn addressed(text: &[u8], has_pri: bool) -> Option<Parsed<'_>> {
    let (name, behind) = word(text);
    let body = skip_spaces(behind);
    if tag::is_payload(body) && host::is_host(name) {
        let rule = if body.starts_with(b"CEF") { "cef" } else { "leef" };
        return Some(Parsed { host: Some(name), ..Parsed::new(rule, body) });
    }
    if host::is_address(name) && payload::is_device_pairs(body) {
        return Some(Parsed { host: Some(name), ..Parsed::new("key-value", body) });
    }
    let is_number = |process: &[u8]| process.iter().all(u8::is_ascii_digit);
    let tag = tag::scan(skip_spaces(behind)).filter(|tag| {
        host::is_address(name)
            || has_pri
                && host::is_host(name)
                && host::is_no_word(name)
                && name[0].is_ascii_alphanumeric()
                && (tag.colon && tag.proc_id.is_some_and(is_number) || tag.is_topics())
    })?;
    let mut parsed = Parsed { host: Some(name), ..Parsed::new("tag", text) };
    parsed.set_tag(tag);
    Some(parsed)
}
