//! Headers of Cisco's systems, where things stand in front of the timestamp.
//!
//! `[SD-ELEMENT:] sequence: host: sequence: *task: mark timestamp zone: %MNEMONIC: text`, every part optional, as IOS,
//! IOS XE, IOS XR (`node:timestamp`), NX-OS (`: timestamp:`), ASA's EMBLEM (`:timestamp:`), wireless controllers
//! (`host: *task: timestamp:`) and Unified CM put them. The rule needs a timestamp, an uptime or a mnemonic at its end; a
//! number or a name with a colon alone is an ordinary TAG.
//!
//! An uptime (`00:00:46`, `1w2d`) says nothing about the time of day: the time of reception is used.

use super::{Parsed, content, host, leading_digits, payload, skip_spaces, tag, without_space, word};
use crate::syslog::time::When;
use crate::syslog::time::scan::{self, Scanned};

/// Parts before the timestamp; none of the systems sends more.
const MAX_PARTS: usize = 6;

/// Digits of the longest sequence number.
const MAX_SEQUENCE_DIGITS: usize = 12;

/// The longest SD-ELEMENT in front of a timestamp: two short parameters.
const MAX_ELEMENT_BYTES: usize = 256;

/// The longest name of a task, with its signs.
const MAX_TASK_BYTES: usize = 64;

/// What stands in front of the timestamp.
#[derive(Default)]
struct Prefix<'a> {
    host: Option<&'a [u8]>,
    task: Option<&'a [u8]>,
    structured_data: Option<&'a [u8]>,
    /// There was something that only these systems send; a name with a colon is not.
    certain: bool,
    parts: usize,
}

/// Where a header stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Behind PRI.
    First,
    /// Behind a relay's timestamp and host.
    BehindHost,
    /// Behind another of these headers and a name; no third one is looked for.
    BehindHeader,
}

/// Reads a message that has something in front of its timestamp.
pub fn prefixed(text: &[u8]) -> Option<Parsed<'_>> {
    header(text, Place::First).or_else(|| taken_for_program(text, Place::First))
}

/// Reads a device's own header behind the timestamp and host of a relay. The device's name and time are nearer to the
/// event.
pub fn relayed<'a>(outer: &Parsed<'a>, text: &'a [u8]) -> Option<Parsed<'a>> {
    let inner = header(text, Place::BehindHost).or_else(|| taken_for_program(text, Place::BehindHost))?;
    // EOS names the agent before the sequence number; a device's own name stands behind a relay's address.
    let is_agent = |name: &[u8]| name[0].is_ascii_uppercase() && name.iter().all(u8::is_ascii_alphabetic);
    let own =
        inner.host.filter(|name| outer.host.is_none_or(|outer| host::is_address(outer) || !is_agent(name)));
    Some(Parsed { host: own.or(outer.host), ..inner })
}

fn header(text: &[u8], place: Place) -> Option<Parsed<'_>> {
    header_behind(Prefix::default(), text, place)
}

/// A header behind a sequence number that a relay took for a program and put a process behind, `30128311[4]: `. Programs
/// may be called by numbers too; a clock with its mark, in front of which the device's name may stand, or a mnemonic makes it
/// Cisco's, behind a name alone only a device's.
fn taken_for_program(text: &[u8], place: Place) -> Option<Parsed<'_>> {
    let rest = skip_spaces(behind_process(text)?);
    let (first, behind) = word(rest);
    let clock = if first.ends_with(b":") { skip_spaces(behind) } else { rest };
    let is_marked = [rest, clock]
        .iter()
        .any(|clock| matches!(clock, [b'*' | b'.', time @ ..] if scan::scan(time).is_some()));
    let is_mnemonic = |text: &[u8]| matches!(text, [b'%' | b'#', b'A'..=b'Z', ..]);
    header_behind(Prefix { certain: true, parts: 1, ..Prefix::default() }, rest, place).filter(|inner| {
        let is_named = inner.when != When::Missing || inner.host.is_none_or(is_device);
        is_marked || is_named && (is_mnemonic(skip_spaces(inner.body)) || inner.tag.is_some_and(is_mnemonic))
    })
}

fn header_behind<'a>(mut prefix: Prefix<'a>, text: &'a [u8], place: Place) -> Option<Parsed<'a>> {
    let mut rest = text;
    while prefix.parts <= MAX_PARTS {
        rest = skip_spaces(rest);
        if let Some((when, behind)) = moment(rest, &mut prefix) {
            // A timestamp without anything in front of it belongs to other rules, unless a colon follows it.
            let own = prefix.parts > 0 || (place != Place::First && skip_spaces(behind).starts_with(b":"));
            return own.then(|| finish(&prefix, when, behind, place)).flatten();
        }
        if let Some(found) = tag::mnemonic(rest) {
            if prefix.host.is_some_and(|name| !prefix.certain && !is_device(name)) {
                // A name alone before a mnemonic is a process, a TAG, unless it is an address or has a number.
                return None;
            }
            let mut parsed = Parsed::new("cisco", rest);
            parsed.set_tag(found);
            return Some(Parsed { host: prefix.host, structured_data: prefix.structured_data, ..parsed });
        }
        rest = part(rest, &mut prefix)?;
        prefix.parts += 1;
    }
    None
}

/// Whether a mnemonic or one of these headers begins here.
pub fn follows(text: &[u8]) -> bool {
    tag::mnemonic(tag::without_unit(text)).is_some()
        || header(text, Place::BehindHost).is_some()
        || taken_for_program(text, Place::BehindHost).is_some()
}

/// Whether a wireless controller's task begins here: `*name: `.
pub fn is_task(text: &[u8]) -> bool {
    let (first, _) = word(text);
    matches!(first, [b'*', b'A'..=b'Z' | b'a'..=b'z', .., b':'])
}

/// What follows `timestamp:`: a TAG or a mnemonic, or `host : %MNEMONIC`, `host: %MNEMONIC` or `host %MNEMONIC`. Other
/// systems put a colon there as well, before a payload too; only a mnemonic makes it Cisco's.
pub fn behind_colon(text: &[u8]) -> Parsed<'_> {
    let mut parsed = Parsed::new("rfc3164-no-host", text);
    let trimmed = skip_spaces(text);
    let (name, behind) = word(trimmed);
    // SmartNode sets name, component and text off in the same way.
    if let [b'S', b'N', b'-' | b'0'..=b'9', ..] = name
        && let Some(columns) = behind.strip_prefix(b" : ").filter(|_| host::is_host(name))
        && memchr::memmem::find(&columns[..columns.len().min(MAX_TASK_BYTES)], b" : ").is_some()
    {
        return Parsed { host: Some(name), ..Parsed::new("rfc3164-iso", columns) };
    }
    let behind = skip_spaces(behind.strip_prefix(b" :").unwrap_or(behind));
    let is_bare = !name.ends_with(b":");
    let name = name.strip_suffix(b":").unwrap_or(name);
    let behind = tag::without_unit(behind);
    // A TAG with a process, or an address in front of any, is none of Cisco's texts.
    let own = tag::scan(behind).filter(|tag| {
        is_bare && tag.colon && (tag.proc_id.is_some() && host::is_host(name) || host::is_address(name))
    });
    if let Some(mnemonic) = tag::mnemonic(behind).filter(|_| host::is_host(name)) {
        parsed.host = Some(name);
        parsed.set_tag(mnemonic);
    } else if let Some(found) = own {
        parsed.rule = "rfc3164";
        parsed.host = Some(name);
        parsed.set_tag(found);
    } else if is_bare && is_before_payload(name, behind) {
        parsed = Parsed { host: Some(name), ..Parsed::new("rfc3164", behind) };
    } else if let Some(found) = tag::scan(trimmed) {
        parsed.set_tag(found);
    }
    if parsed.body.starts_with(b"%") || parsed.tag.is_some_and(|tag| tag.starts_with(b"%")) {
        parsed.rule = "cisco";
    }
    parsed
}

/// Whether a payload makes a host of the name before it. Words of a text stand before pairs and objects, too.
fn is_before_payload(name: &[u8], text: &[u8]) -> bool {
    let is_text = |rule: &str| matches!(rule, "key-value" | "json");
    host::is_host(name) && payload::bare(text).is_some_and(|payload| !is_text(payload.rule))
}

/// One part in front of the timestamp; says what follows it.
fn part<'a>(text: &'a [u8], prefix: &mut Prefix<'a>) -> Option<&'a [u8]> {
    if let Some(rest) = sequence(text) {
        prefix.certain = true;
        return Some(rest);
    }
    match text.first()? {
        b':' => {
            prefix.certain = true;
            Some(&text[1..])
        }
        b'[' if text.starts_with(b"[syslog@") => {
            let end = memchr::memchr(b']', &text[..text.len().min(MAX_ELEMENT_BYTES)])?;
            prefix.structured_data = Some(&text[..=end]);
            prefix.host = prefix.host.or_else(|| session(&text[..end]));
            prefix.certain = true;
            text[end + 1..].strip_prefix(b":")
        }
        b'*' => {
            let end = memchr::memchr(b':', &text[..text.len().min(MAX_TASK_BYTES)]).filter(|&end| end > 1)?;
            let (task, rest) = (&text[..end], &text[end + 1..]);
            // Some tasks have two words.
            let is_task = |byte: &u8| byte.is_ascii_graphic() || *byte == b' ';
            if !rest.starts_with(b" ") || text[1] == b' ' || !task.iter().all(is_task) {
                return None;
            }
            prefix.task = Some(task);
            prefix.certain = true;
            Some(rest)
        }
        _ => {
            // A node of IOS XR has its colon right before the timestamp.
            if let Some(len) = node(text) {
                prefix.certain = true;
                return Some(&text[len..]);
            }
            let (name, rest) = word(text);
            // A line card and its slot: `CLC 6/0:`, `SLOT 3:` glued to what follows.
            if prefix.certain && !name.is_empty() && name.iter().all(u8::is_ascii_uppercase) {
                let slot = without_space(rest);
                let len = slot.iter().take_while(|byte| byte.is_ascii_digit() || **byte == b'/').count();
                if let Some(rest) = slot[len..].strip_prefix(b":")
                    && (slot[..len].contains(&b'/') && rest.starts_with(b" ")
                        || len > 0 && tag::mnemonic(skip_spaces(rest)).is_some()
                        || len > 0 && moment(skip_spaces(rest), &mut Prefix::default()).is_some())
                {
                    return Some(rest);
                }
            }
            // What an empty or broken identifier leaves behind the sequence number.
            if prefix.certain && name.ends_with(b":") && !name.iter().any(u8::is_ascii_alphanumeric) {
                return Some(rest);
            }
            // The prefix that IOS XR can be told to send is a bare name before the node.
            let name = match name.strip_suffix(b":") {
                Some(name) => name,
                None if node(skip_spaces(rest)).is_some() || sequence(skip_spaces(rest)).is_some() => name,
                // A name without a colon behind a sequence number, before the timestamp.
                None if prefix.certain && moment(skip_spaces(rest), &mut Prefix::default()).is_some() => name,
                // Or before a mnemonic, without a timestamp.
                None if prefix.certain && tag::mnemonic(skip_spaces(rest)).is_some() => name,
                // Without either the name has to be a device's.
                None if prefix.parts == 0
                    && is_device(name)
                    && tag::mnemonic(skip_spaces(rest)).is_some() =>
                {
                    name
                }
                // ASA sets its name off with a space on both sides of the colon.
                None if rest.starts_with(b" : %") => {
                    prefix.certain = true;
                    prefix.host = Some(name).filter(|name| host::is_host(name));
                    return prefix.host.map(|_| &rest[2..]);
                }
                None => return None,
            };
            (prefix.host.is_none() && host::is_host(name) && rest.len() > 1).then(|| {
                // Access points have their hardware address for a name.
                prefix.host = Some(name.strip_prefix(b"AP:").unwrap_or(name));
                rest
            })
        }
    }
}

/// Whether a name is a device's more likely than an agent's: those have no numbers.
fn is_device(name: &[u8]) -> bool {
    host::is_address(name) || host::is_no_word(name) && name.iter().any(u8::is_ascii_digit)
}

/// The device's own name in `s_id="name:port"`, which `logging host` is told to send.
fn session(element: &[u8]) -> Option<&[u8]> {
    let at = memchr::memmem::find(element, b" s_id=\"")? + 7;
    let value = element[at..].split(|&byte| byte == b'"').next()?;
    host::without_port(value)
}

/// A sequence number and its colon, with a space or a timestamp's first letter or mark behind it; says what follows.
fn sequence(text: &[u8]) -> Option<&[u8]> {
    let digits = leading_digits(text);
    let rest = text[digits..].strip_prefix(b":").filter(|rest| match rest.first() {
        Some(b' ') => true,
        Some(b'*' | b'.' | b'A'..=b'Z') => moment(rest, &mut Prefix::default()).is_some(),
        _ => false,
    })?;
    (1..=MAX_SEQUENCE_DIGITS).contains(&digits).then_some(rest)
}

/// What follows a number and another one in brackets: `30128311[4]:`.
fn behind_process(text: &[u8]) -> Option<&[u8]> {
    let digits = leading_digits(text);
    let process = text[digits..].strip_prefix(b"[")?;
    let len = leading_digits(process);
    let rest = process[len..].strip_prefix(b"]:")?;
    (len > 0 && (1..=MAX_SEQUENCE_DIGITS).contains(&digits)).then_some(rest)
}

/// `RP/0/RSP0/CPU0:`, or `0/RP0/ADMIN0:` of the system administration, before a timestamp: the length with the colon.
fn node(text: &[u8]) -> Option<usize> {
    let (first, _) = word(&text[..text.len().min(64)]);
    let end = |mark: &[u8]| memchr::memmem::find(first, mark).map(|at| at + mark.len());
    let unit = end(b"/CPU").or_else(|| end(b"/ADMIN").filter(|_| first[0].is_ascii_digit()))?;
    let digits = leading_digits(&first[unit..]);
    let colon = unit + digits;
    (digits > 0 && first.get(colon) == Some(&b':')).then_some(colon + 1)
}

/// A timestamp with its mark, or an uptime, before a colon.
fn moment<'a>(text: &'a [u8], prefix: &mut Prefix<'a>) -> Option<(When<'a>, &'a [u8])> {
    let unmarked = match text {
        [b'*' | b'.' | b'%', rest @ ..] if !rest.starts_with(b" ") => rest,
        _ => text,
    };
    // None of the systems sends a time of digits alone; before a colon it is a number.
    if let Some(Scanned { when, len, .. }) = scan::scan(unmarked).filter(|_| leading_digits(unmarked) < 8) {
        prefix.parts += usize::from(unmarked.len() != text.len());
        return Some((when, without_names(&unmarked[len..])));
    }
    let len = uptime(unmarked)?;
    Some((When::Missing, &unmarked[len..]))
}

/// Without both names of a zone that has two, `GMT/BST`, which say nothing about the season.
fn without_names(text: &[u8]) -> &[u8] {
    let Some(word) = text.strip_prefix(b" ") else { return text };
    let len = word.iter().take(12).take_while(|byte| byte.is_ascii_uppercase() || **byte == b'/').count();
    if word[..len].contains(&b'/') && word[len..].starts_with(b":") { &word[len..] } else { text }
}

/// `hh:mm:ss`, `hh:mm:ss.fff`, `1w2d`, `2d03h`, `1y5w`, and two bare numbers, before a colon: the length.
fn uptime(text: &[u8]) -> Option<usize> {
    let digits = leading_digits(text);
    if (1..=4).contains(&digits)
        && let Some(rest) = text[digits..].strip_prefix(b" ")
        && let more @ 1..=2 = leading_digits(rest)
        && rest[more..].starts_with(b": %")
    {
        return Some(digits + 1 + more);
    }
    let mut at = 0;
    let mut groups = 0;
    let mut unit = 0;
    while groups < 4 {
        let digits = leading_digits(&text[at..]);
        if !(1..=3).contains(&digits) {
            return None;
        }
        at += digits;
        groups += 1;
        match *text.get(at)? {
            // A hardware address begins in the same way and goes on, as does ESX's uptime, which is behind the TAG.
            b':' if groups >= 3 && unit == b':' => {
                let goes_on = matches!(text[at..], [_, a, b, b':' | b'.', ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit());
                return (!goes_on).then_some(at);
            }
            b'.' if groups == 3 && unit == b':' => at += 1,
            b':' if groups < 3 && (groups == 1 || unit == b':') => {
                unit = b':';
                at += 1;
            }
            // The units become smaller: a TAG may be made of the same letters.
            next @ (b'y' | b'w' | b'd' | b'h') if unit != b':' => {
                const UNITS: &[u8] = b"ywdh";
                if memchr::memchr(next, UNITS) <= memchr::memchr(unit, UNITS) {
                    return None;
                }
                unit = next;
                at += 1;
                if groups >= 2 && text.get(at) == Some(&b':') {
                    return Some(at);
                }
            }
            _ => return None,
        }
    }
    None
}

/// What follows the timestamp.
fn finish<'a>(prefix: &Prefix<'a>, when: When<'a>, behind: &'a [u8], place: Place) -> Option<Parsed<'a>> {
    let spaced = skip_spaces(behind);
    let mut parsed = if let Some(rest) = spaced.strip_prefix(b":") {
        Parsed { rule: "cisco", ..behind_colon(without_space(rest)) }
    } else {
        // Without the colon a mnemonic has to follow, with or without a name before it, or a name and another header.
        let (name, rest) = word(spaced);
        if host::is_host(name)
            && prefix.host.is_none()
            && place != Place::BehindHeader
            && let Some(inner) = header(skip_spaces(rest), Place::BehindHeader)
        {
            let when = if inner.when == When::Missing { when } else { inner.when };
            return Some(Parsed { host: inner.host.or(Some(name)), when, ..inner });
        }
        let (own_host, text) = if tag::mnemonic(spaced).is_some() {
            (None, spaced)
        } else {
            // EMBLEM's name has a colon of its own. Behind a device's name it is a zone that was given a name of its own.
            let bare = name.strip_suffix(b":").filter(|name| !name.is_empty());
            let is_zone = bare.is_some() && prefix.host.is_some();
            let name = bare.unwrap_or(name);
            (Some(name).filter(|name| !is_zone && host::is_host(name)), skip_spaces(rest))
        };
        let text = text.strip_prefix(b": ").map_or(text, skip_spaces);
        let mut parsed = Parsed { host: own_host, ..Parsed::new("cisco", text) };
        parsed.set_tag(tag::mnemonic(text)?);
        parsed
    };
    // A name and a time with colons are not enough: other programs log so too, but not what devices say of themselves.
    let by_name_alone = !prefix.certain && prefix.host.is_some_and(|name| !host::is_address(name));
    if by_name_alone
        && !parsed.tag.is_some_and(|tag| tag.starts_with(b"%"))
        && !content::is_own_word(skip_spaces(parsed.body))
    {
        return None;
    }
    parsed.host = parsed.host.or(prefix.host);
    parsed.when = when;
    parsed.structured_data = prefix.structured_data;
    if let Some(task) = prefix.task {
        // The task is the process; the mnemonic stays with the text, as it does on IOS XR.
        parsed.app = Some(task.strip_prefix(b"*").unwrap_or(task));
        parsed.tag = Some(task);
        parsed.proc_id = None;
        parsed.body = spaced.strip_prefix(b":").map_or(spaced, without_space);
    }
    Some(parsed)
}
