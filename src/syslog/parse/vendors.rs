//! What single products put behind a timestamp in other places than HOSTNAME and TAG.
//!
//! Each asks for a shape or a word that others do not have: several brackets in a row, a serial number between
//! semicolons, a word of the product's own where HOSTNAME stands, a TAG of two words. The general rules of
//! [`super::rfc3164`] call them in their order.

use super::content::behind_host;
use super::level::{is_level, is_level_in_capitals};
use super::rfc3164::{Place, column, enclosed, header, rule_of};
use super::{Parsed, Tag, devices, host, leading_digits, payload, skip_spaces, tag, without_space, word};
use crate::syslog::block;
use crate::syslog::time::scan::{self, Form};

/// A hardware address before a bar, or brackets where HOSTNAME stands with a name or an address in them or behind them.
pub fn in_brackets(text: &[u8], form: Form, place: Place) -> Option<Parsed<'_>> {
    let (first, behind) = column(text);
    let rule = rule_of(form);
    // Voice over IP phones of Polycom set their MAC address off with a bar.
    if let [mac @ .., b'|'] = &first[..first.len().min(13)]
        && devices::is_mac(mac)
    {
        return Some(Parsed { host: Some(mac), ..Parsed::new(rule, &text[13..]) });
    }
    let name = enclosed(first)?;
    // A phone's hardware address; other words in brackets are a logger's thread more often than a host.
    if host::is_hardware_address(name) || devices::is_mac(name) {
        if tag::scan(skip_spaces(behind)).is_some() {
            return Some(behind_host(name, behind, rule, place));
        }
        if let Some(parsed) = threads(skip_spaces(behind)) {
            return Some(Parsed { rule, host: Some(name), ..parsed });
        }
    }
    let (second, rest) = word(skip_spaces(behind));
    // A context of letters alone, and the device's address.
    if name.iter().all(u8::is_ascii_lowercase)
        && let address = without_hardware_address(second)
        && host::is_address(address)
    {
        return Some(behind_host(address, rest, rule, place));
    }
    // SECUI puts an event and the device's address in brackets each. The time may stand right behind the second.
    let close = memchr::memchr(b']', second).map_or(0, |at| at + 1);
    let (bracket, glued) = second.split_at(close);
    let is_time = || {
        glued.first().is_some_and(u8::is_ascii_digit)
            && scan::scan(&behind[behind.len() - rest.len() - glued.len()..]).is_some()
    };
    if !host::is_address(name)
        && let Some(address) = enclosed(bracket).filter(|address| host::is_address(address))
        && (glued.is_empty() || is_time())
    {
        let body = without_space(&behind[behind.len() - rest.len() - glued.len()..]);
        let program = Tag { text: name, app: name, proc_id: None, body, colon: false };
        let mut parsed = Parsed { host: Some(address), ..Parsed::new(rule, text) };
        parsed.set_tag(program);
        return Some(parsed);
    }
    // Routers with TeamF1's software write their model or name, a process and a component in brackets each.
    if place != Place::Line
        && host::is_host(name)
        && !name.iter().any(u8::is_ascii_lowercase)
        && name.iter().any(u8::is_ascii_uppercase)
        && name.iter().any(u8::is_ascii_digit)
        && let (component, _) = word(skip_spaces(rest))
        && let Some(process) = enclosed(second).filter(|name| name.iter().all(u8::is_ascii_lowercase))
        && (is_gateway_model(name)
            || enclosed(component)
                .is_some_and(|name| name.iter().all(u8::is_ascii_uppercase) && !is_level_in_capitals(name)))
    {
        let program =
            Tag { text: process, app: process, proc_id: None, body: without_space(rest), colon: false };
        let mut parsed = Parsed { host: Some(name), ..Parsed::new(rule, text) };
        parsed.set_tag(program);
        return Some(parsed);
    }
    None
}

/// The same software's three brackets without spaces between them, with or without a colon behind the timestamp; a
/// name that the operator gave stands behind the model and a dash.
pub fn glued_brackets(text: &[u8], form: Form) -> Option<Parsed<'_>> {
    /// A model, a process and a component.
    const MAX_BYTES: usize = 96;
    let (brackets, rest) = word(&text[..text.len().min(MAX_BYTES)]);
    let mut names = brackets.strip_prefix(b"[")?.strip_suffix(b"]")?.split(|&byte| byte == b']');
    let is_named = |name: &[u8]| {
        let end = memchr::memchr(b'-', name).unwrap_or(name.len());
        is_gateway_model(&name[..end]) && end + 1 != name.len()
    };
    let model = names.next().filter(|name| is_named(name) && host::is_host(name))?;
    let mut inner = || {
        names
            .next()?
            .strip_prefix(b"[")
            .filter(|name| !name.is_empty() && name.iter().all(u8::is_ascii_alphabetic))
    };
    let process = inner()?;
    let component = inner()?;
    let is_component = component.iter().all(u8::is_ascii_uppercase) && !is_level_in_capitals(component);
    if rest.is_empty() || names.next().is_some() || !is_component {
        return None;
    }
    let body = without_space(&text[brackets.len()..]);
    let mut parsed = Parsed { host: Some(model), ..Parsed::new(rule_of(form), text) };
    parsed.set_tag(Tag { text: process, app: process, proc_id: None, body, colon: false });
    Some(parsed)
}

/// The same software under the name that the operator gave, behind a time with a year: `[name] [kernel] text`,
/// `[name][Kernel][KERNEL] text`. Threads of loggers stand in such brackets, too, so that the second has to be one of its
/// own programs or parts.
pub fn named_router(text: &[u8], form: Form) -> Option<Parsed<'_>> {
    const PROGRAMS: [&[u8]; 15] = [
        b"kernel", b"ntpdate", b"ntpd", b"racoon", b"pppd", b"pptpd", b"l2tpd", b"xl2tpd", b"dhcpd",
        b"dhcpc", b"udhcpd", b"udhcpc", b"sshd", b"httpd", b"IKE",
    ];
    const PARTS: [&[u8]; 7] =
        [b"Kernel", b"System", b"Network", b"Wireless", b"VPN", b"Security", b"Firewall"];
    /// A name, a part and a component.
    const MAX_BYTES: usize = 128;
    let start = &text[..text.len().min(MAX_BYTES)];
    let (name, rest) = start.strip_prefix(b"[")?.split_at(memchr::memchr(b']', start)? - 1);
    let is_sign = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let is_name = name.first().is_some_and(u8::is_ascii_alphabetic)
        && name.iter().all(is_sign)
        && host::is_no_word(name)
        && !name.rsplit(|&byte| byte == b'-').next().is_some_and(|last| last.iter().all(u8::is_ascii_digit));
    let second = rest.strip_prefix(b"] [").or_else(|| rest.strip_prefix(b"]["))?;
    let (program, rest) = second.split_at(memchr::memchr(b']', second)?);
    let is_glued = start[name.len() + 2..].starts_with(b"[");
    let known = if is_glued { PARTS.contains(&program) } else { PROGRAMS.contains(&program) };
    // In capitals, the component.
    let component = if is_glued { rest.strip_prefix(b"][")? } else { b"" };
    let len = memchr::memchr(b']', component).unwrap_or_default();
    let is_component = !is_glued
        || len > 0
            && component[..len].iter().all(u8::is_ascii_uppercase)
            && !is_level_in_capitals(&component[..len]);
    // Names of letters and dashes alone are pools of threads, too.
    let is_name = is_name
        && (program == b"IKE" || name.iter().any(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase()));
    if !is_name || !known || !is_component {
        return None;
    }
    let behind = if is_glued { &component[len..] } else { rest };
    let at = start.len() - behind.len() + 1;
    let mut parsed = Parsed { host: Some(name), ..Parsed::new(rule_of(form), text) };
    let body = without_space(&text[at..]);
    parsed.set_tag(Tag { text: program, app: program, proc_id: None, body, colon: false });
    Some(parsed)
}

/// Junos' services cards, behind the timestamp's colon: `host{service set}[service]: text`.
pub fn service_set(text: &[u8], form: Form) -> Option<Parsed<'_>> {
    let (first, rest) = word(text);
    let set = memchr::memchr(b'{', first)?;
    let service = set + memchr::memmem::find(&first[set..], b"}[")?;
    let program = first[service + 2..].strip_suffix(b"]:").filter(|name| host::is_host(name))?;
    let host = Some(&first[..set]).filter(|name| host::is_host(name) && host::is_no_word(name))?;
    let mut parsed = Parsed { host: Some(host), ..Parsed::new(rule_of(form), text) };
    let body = without_space(rest);
    parsed.set_tag(Tag { text: program, app: program, proc_id: None, body, colon: true });
    Some(parsed)
}

/// ESP32: the device and its milliseconds where others have TAG and process, then a level and the core, each in
/// brackets: `device[12345]: [info][Core0] text`.
pub fn microcontroller<'a>(first: &'a [u8], behind: &'a [u8], form: Form) -> Option<Parsed<'a>> {
    let (brackets, _) = word(behind.strip_prefix(b" [")?);
    let (level, core) = brackets.split_at(memchr::memchr(b']', brackets)?);
    let is_core = matches!(core, [b']', b'[', b'C', b'o', b'r', b'e', b'0'..=b'9', b']']);
    let (name, millis) = first.strip_suffix(b"]:")?.split_at(memchr::memchr(b'[', first)?);
    let is_one = is_core
        && (is_level(level) || is_level_in_capitals(level))
        && host::is_host(name)
        && name.iter().any(|byte| byte.is_ascii_digit() || *byte == b'-')
        && millis.len() > 1
        && millis[1..].iter().all(u8::is_ascii_digit);
    is_one.then(|| Parsed { host: Some(name), ..Parsed::new(rule_of(form), without_space(behind)) })
}

/// A model of Netgear's or D-Link's with that software: `FVS338`, `FVS336GV2`, `DSR500`.
pub fn is_gateway_model(name: &[u8]) -> bool {
    const SERIES: [&[u8]; 4] = [b"FVS", b"FVG", b"FVX", b"DSR"];
    (6..=10).contains(&name.len())
        && SERIES.contains(&&name[..3])
        && name[3..6].iter().all(u8::is_ascii_digit)
}

/// A word of the product's own, or a name with a sign of its own, where HOSTNAME stands.
pub fn behind_own_word(text: &[u8], form: Form, place: Place) -> Option<Parsed<'_>> {
    const TAGS: [&[u8]; 3] = [b"WAN Connection", b"NAC Policy Log", b"dhcp client"];
    /// What its texts begin with, and whether that is enough where the name has no digit.
    const FOUNDRY: [(&[u8], bool); 3] =
        [(b"System: ", true), (b"Security: ", true), (b"Interface ethernet ", false)];
    let (first, behind) = column(text);
    let rule = rule_of(form);
    if let Some(parsed) = protection_manager(text, rule) {
        return Some(parsed);
    }
    // Home gateways and CounterACT have a TAG of several words, and no host.
    if let Some(tag) = TAGS.into_iter().find(|&tag| text.starts_with(tag))
        && let Some(body) = text[tag.len()..].strip_prefix(b":")
    {
        let tag = &text[..tag.len()];
        let mut parsed = Parsed::new("rfc3164-no-host", text);
        parsed.set_tag(Tag { text: tag, app: tag, proc_id: None, body: without_space(body), colon: true });
        return Some(parsed);
    }
    // Vectra names the format of its payload, and puts an empty TAG behind it.
    if first.starts_with(b"vectra_")
        && let Some(payload) = behind.strip_prefix(b" -: ")
        && payload::is_payload(payload)
    {
        let mut parsed = Parsed::new("rfc3164-no-host", text);
        parsed.set_tag(Tag { text: first, app: first, proc_id: None, body: payload, colon: false });
        return Some(parsed);
    }
    // AOS of Alcatel-Lucent has its task's name there, the task's number and `info message:`.
    if form == Form::BsdLike
        && first.iter().all(|byte| byte.is_ascii_uppercase() || *byte == b'_')
        && !is_level_in_capitals(first)
        && let (number, rest) = word(skip_spaces(behind))
        && let [b'(', number @ .., b')'] = number
        && !number.is_empty()
        && leading_digits(number) == number.len()
        && let (level, rest) = word(skip_spaces(rest))
        && (is_level(level) || level == b"alarm" || level.starts_with(b"debug"))
        && rest.starts_with(b" message:")
    {
        let mut parsed = Parsed::new("rfc3164-no-host", text);
        let body = skip_spaces(behind);
        parsed.set_tag(Tag { text: first, app: first, proc_id: None, body, colon: false });
        return Some(parsed);
    }
    // Foundry has a comma behind the name.
    if form == Form::Bsd
        && place == Place::First
        && let Some(name) = first.strip_suffix(b",")
        && name.first().is_some_and(u8::is_ascii_alphanumeric)
        && name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
        && name.contains(&b'-')
        && FOUNDRY.iter().any(|(start, is_certain)| {
            skip_spaces(behind).starts_with(start) && (*is_certain || name.iter().any(u8::is_ascii_digit))
        })
    {
        return Some(behind_host(name, behind, rule, place));
    }
    if let Some(name) = check_point(text) {
        return Some(Parsed { host: Some(name), ..Parsed::new(rule, text) });
    }
    // Internet Information Services: the site, the computer, its address, the method.
    if let [b'W', b'3', b'S', b'V', b'C', b'0'..=b'9', ..] = first
        && let (name, rest) = word(skip_spaces(behind))
        && host::is_host(name)
        && let (address, rest) = word(skip_spaces(rest))
        && host::is_address(address)
        && let (method, _) = word(skip_spaces(rest))
        && method.len() >= 3
        && method.iter().all(u8::is_ascii_uppercase)
    {
        return Some(Parsed { host: Some(name), ..Parsed::new(rule, text) });
    }
    None
}

/// Endpoint Protection's manager has put its own name where the host stands, and the host where the TAG does:
/// `SymantecServer name: text`.
pub fn protection_manager<'a>(text: &'a [u8], rule: &'static str) -> Option<Parsed<'a>> {
    let program = &text[.."SymantecServer".len().min(text.len())];
    if program != b"SymantecServer" {
        return None;
    }
    let named = skip_spaces(text[program.len()..].strip_prefix(b" ")?);
    let (name, text) = named.split_at(block::find([b' ', b','], named));
    let name = name.strip_suffix(b":").filter(|name| host::is_host(name))?;
    let mut parsed = Parsed { host: Some(name), ..Parsed::new(rule, text) };
    let body = without_space(text);
    parsed.set_tag(Tag { text: program, app: program, proc_id: None, body, colon: false });
    Some(parsed)
}

/// Telephone adapters and phones of Grandstream: the model, the hardware address and the version,
/// `HT502 [address] [1.0.16.2] text`.
pub fn telephone_adapter<'a>(model: &[u8], behind: &'a [u8], rule: &'static str) -> Option<Parsed<'a>> {
    const SERIES: [&[u8]; 9] = [b"BT", b"DP", b"GRP", b"GXP", b"GXV", b"GXW", b"HT", b"UCM", b"WP"];
    let (address, rest) = word(behind.strip_prefix(b" ")?);
    let (version, _) = word(rest.strip_prefix(b" ")?);
    // A client's address may stand so, behind any name.
    let is_version = |version: &[u8]| {
        matches!(version, [b'1', b'.', .., b'0'..=b'9'])
            && version.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.')
    };
    let letters = model.iter().take_while(|byte| byte.is_ascii_uppercase()).count();
    let digits = leading_digits(&model[letters..]);
    let is_model = SERIES.contains(&&model[..letters])
        && (3..=4).contains(&digits)
        && model.len() - letters - digits <= 1;
    let address = enclosed(address).filter(|address| host::is_hardware_address(address))?;
    let is_one = is_model && enclosed(version).is_some_and(is_version);
    is_one.then(|| Parsed { host: Some(address), ..Parsed::new(rule, without_space(behind)) })
}

/// Check Point writes what it did, its name, the interface behind a sign for the direction, and pairs.
pub fn check_point(text: &[u8]) -> Option<&[u8]> {
    let (action, behind) = word(text);
    let (name, rest) = word(skip_spaces(behind));
    let (interface, rest) = word(skip_spaces(rest));
    let [b'<' | b'>', interface @ ..] = interface else { return None };
    let is_log = is_action(action)
        && host::is_host(name)
        && host::is_host(interface)
        && memchr::memmem::find(rest, b"; ").is_some();
    is_log.then_some(name)
}

/// Gateways that separate with semicolons: a name, which may have spaces, and behind a semicolon a number of ten
/// digits or more, or one of twenty hexadecimal digits or more, and another semicolon.
pub fn before_serial_number(text: &[u8], form: Form) -> Option<Parsed<'_>> {
    /// The longest name, with its spaces.
    const MAX_BYTES: usize = 64;
    let end = memchr::memchr(b';', &text[..text.len().min(MAX_BYTES)])?;
    // Flow probes of Ruijie have a record separator in front of each semicolon.
    let name = text[..end].strip_suffix(b"\x1e").unwrap_or(&text[..end]);
    let rest = without_space(&text[end + 1..]);
    let digits = leading_digits(rest);
    let is_sign = |byte: &u8| {
        matches!(byte, b'=' | b'"' | b'\'' | b'(' | b'[' | b'{' | b'|' | b',' | b':')
            || byte.is_ascii_control()
    };
    let is_name = !name.is_empty() && !name.iter().any(is_sign) && name[name.len() - 1] != b' ';
    let hexadecimal = rest.iter().take_while(|byte| matches!(byte, b'0'..=b'9' | b'A'..=b'F')).count();
    let is_serial =
        |len: usize, least: usize| len >= least && matches!(rest[len..], [b';', ..] | [b'\x1e', b';', ..]);
    // Without the separator a name of several words is a text.
    let is_probe = || is_serial(hexadecimal, 20) && (name.len() < end || !name.contains(&b' '));
    if !(is_name && (is_serial(digits, 10) || is_probe())) {
        return None;
    }
    // The probes' own name, where nobody gave them another.
    if name == b"RIIL" {
        let mut parsed = Parsed::new("rfc3164-no-host", text);
        parsed.set_tag(Tag { text: name, app: name, proc_id: None, body: rest, colon: false });
        return Some(parsed);
    }
    Some(Parsed { host: Some(name), ..Parsed::new(rule_of(form), rest) })
}

/// A space between a program and its brackets: `[process:thread]:` of Yealink's phones, or `[process]:` before a level
/// between `<` and `>`, in front of which the hardware address may stand; `EMS [process]:` of HP-UX.
pub fn threads(text: &[u8]) -> Option<Parsed<'_>> {
    /// Two numbers.
    const MAX_BYTES: usize = 24;
    let (program, behind) = column(text);
    if !program.iter().all(u8::is_ascii_alphabetic) {
        return None;
    }
    let inner = skip_spaces(behind).strip_prefix(b"[")?;
    let end = memchr::memchr(b']', &inner[..inner.len().min(MAX_BYTES)])?;
    let rest = inner[end + 1..].strip_prefix(b":")?;
    let mut numbers = inner[..end].splitn(2, |&byte| byte == b':');
    let is_number = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let process = numbers.next().filter(|process| is_number(process))?;
    let is_threads = numbers.next().map(is_number);
    // The name of a module stands before the level.
    let is_marked = || {
        let (first, behind) = word(without_space(rest));
        let is_address = enclosed(first).is_some_and(host::is_hardware_address);
        let module = if is_address { skip_spaces(behind) } else { without_space(rest) };
        matches!(module, [b'<', b'0'..=b'9', b'+', ..])
            || word(skip_spaces(word(module).1)).0.starts_with(b"<")
    };
    let is_small = || program.iter().all(u8::is_ascii_lowercase);
    let is_one = match is_threads {
        Some(is_threads) => is_threads && (is_small() || is_marked()),
        None => is_marked() || program == b"EMS",
    };
    if !is_one {
        return None;
    }
    let mut parsed = Parsed::new("rfc3164-no-host", text);
    let body = without_space(rest);
    parsed.set_tag(Tag { text: program, app: program, proc_id: Some(process), body, colon: true });
    Some(parsed)
}

/// Checkmk's event console, behind its sign: a space and a header behind the seconds, or [`alert`].
pub fn event_console(text: &[u8]) -> Option<Parsed<'_>> {
    let end = block::find([b' ', b';'], text);
    if text.get(end) == Some(&b';') {
        return alert(text);
    }
    let scanned = scan::scan(&text[..end]).filter(|found| found.form == Form::Epoch && found.len == end)?;
    header(text, &scanned, Place::First)
}

/// What the same console makes of a monitor's alert: a semicolon behind the seconds, a level, another, a contact, a third,
/// and the host with its service.
pub fn alert(text: &[u8]) -> Option<Parsed<'_>> {
    /// The contact's name or address.
    const MAX_BYTES: usize = 128;
    let scanned =
        scan::scan(&text[..memchr::memchr(b';', text)?]).filter(|found| found.form == Form::Epoch)?;
    let columns = text[scanned.len..].strip_prefix(b";")?;
    let level = leading_digits(columns);
    let contact = columns[level..].strip_prefix(b";").filter(|_| (1..=3).contains(&level))?;
    let end = memchr::memchr(b';', &contact[..contact.len().min(MAX_BYTES)])?;
    let (name, behind) = word(skip_spaces(&contact[end + 1..]));
    let host = Some(name).filter(|name| host::is_host(name))?;
    Some(Parsed {
        host: Some(host),
        when: scanned.when,
        ..Parsed::new("rfc3164-lenient", without_space(behind))
    })
}

/// Whether a service and its state follow, or a host's own state: `Disk /: CRIT - text`.
pub fn has_state(text: &[u8]) -> bool {
    /// The service's name.
    const MAX_BYTES: usize = 160;
    const STATES: [&[u8]; 13] = [
        b"OK",
        b"UP",
        b"DOWN",
        b"WARN",
        b"WARNING",
        b"CRIT",
        b"CRITICAL",
        b"UNKN",
        b"UNKNOWN",
        b"UNRE",
        b"UNREACH",
        b"UNREACHABLE",
        b"PEND",
    ];
    let start = &text[..text.len().min(MAX_BYTES)];
    memchr::memmem::find_iter(start, b": ").any(|at| {
        let (state, rest) = word(&text[at + 2..]);
        STATES.contains(&state) && rest.starts_with(b" - ")
    })
}

/// z/OS: the system and the stack that sent the message, which a slash separates, and a user; says what follows them,
/// which is a job with a process.
pub fn behind_zos<'a>(first: &[u8], behind: &'a [u8]) -> Option<&'a [u8]> {
    let slash = memchr::memchr(b'/', first)?;
    let (system, stack) = (&first[..slash], &first[slash + 1..]);
    let (user, rest) = word(skip_spaces(behind));
    let is_one = is_of_zos(system) && is_of_zos(stack) && is_of_zos(user) && !is_level_in_capitals(system);
    is_one.then(|| skip_spaces(rest))
}

/// What a gateway of Check Point does with a connection.
fn is_action(word: &[u8]) -> bool {
    const ACTIONS: [&[u8]; 17] = [
        b"accept",
        b"allow",
        b"authcrypt",
        b"authorize",
        b"block",
        b"bypass",
        b"ctl",
        b"deauthorize",
        b"decrypt",
        b"detect",
        b"drop",
        b"encrypt",
        b"keyinst",
        b"monitor",
        b"prevent",
        b"redirect",
        b"reject",
    ];
    ACTIONS.contains(&word)
}

/// Whether the whole name of a class of Java (two names in small letters at least, and one with a capital) and a method's
/// are the rest of the line, or a thread's hexadecimal number, a kind and an address of a name server's record.
pub fn is_of_program(text: &[u8]) -> bool {
    let (name, behind) = word(text);
    let mut parts = name.rsplit(|&byte| byte == b'.');
    let class = parts.next().unwrap_or_default();
    let is_package = |part: &[u8]| {
        part.first().is_some_and(u8::is_ascii_lowercase)
            && part.iter().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'_')
    };
    let is_class = class.first().is_some_and(u8::is_ascii_uppercase)
        && class.iter().any(u8::is_ascii_lowercase)
        && parts.clone().count() >= 2
        && parts.all(is_package)
        && is_method(behind);
    let is_hexadecimal = |word: &[u8]| word.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'A'..=b'F'));
    let is_address = |word: &[u8]| word.len() >= 8 && is_hexadecimal(word);
    let is_record = (3..=5).contains(&name.len())
        && is_hexadecimal(name)
        && behind.strip_prefix(b" PACKET ").is_some_and(|rest| is_address(word(skip_spaces(rest)).0));
    is_class || is_record
}

/// Whether a method's name ends the line: `clearReferences`, `<init>`.
fn is_method(text: &[u8]) -> bool {
    let line = text.split(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default();
    let is_sign = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$' | b'<' | b'>');
    line.strip_prefix(b" ").is_some_and(|name| !name.is_empty() && name.iter().all(is_sign))
}

/// Whether ESX' observations follow their daemon's name, a time, the microseconds since it started and an event in
/// brackets: `vobd: Nov 24 09:31:07.118: 3720113472913us: [esx.problem…`.
pub fn is_observation(behind: &[u8]) -> bool {
    let time = skip_spaces(behind);
    let Some(found) = scan::scan(time) else { return false };
    let Some(micros) = time[found.len..].strip_prefix(b": ") else { return false };
    let digits = leading_digits(micros);
    digits > 0 && micros[digits..].starts_with(b"us: [")
}

/// Without what IRIX puts in front of the host, a digit for the severity, a letter for the facility and a colon, where the
/// kernel's TAG or one with a process follows: `4A:name unix: text`.
pub fn without_rank(text: &[u8]) -> &[u8] {
    let [b'0'..=b'7', b'A'..=b'Z', b':', rest @ ..] = text else { return text };
    let (name, behind) = word(rest);
    let is_address = || host::is_address(word(text).0) || host::is_hardware_address(word(text).0);
    let is_number = |process: &[u8]| process.iter().all(u8::is_ascii_digit);
    let is_program = |tag: Tag<'_>| tag.colon && (tag.app == b"unix" || tag.proc_id.is_some_and(is_number));
    let is_one = host::is_host(name)
        && !name.iter().all(u8::is_ascii_digit)
        && !is_level_in_capitals(name)
        && tag::scan(skip_spaces(behind)).is_some_and(is_program)
        && !is_address();
    if is_one { rest } else { text }
}

/// Whether this is a name of z/OS: up to eight capital letters and digits.
fn is_of_zos(name: &[u8]) -> bool {
    (1..=8).contains(&name.len())
        && name[0].is_ascii_uppercase()
        && name.iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

/// An address without the device's hardware address, which SAOS puts behind it: `192.0.2.1-00:02:a1:0b:0c:0d`.
fn without_hardware_address(word: &[u8]) -> &[u8] {
    match memchr::memchr(b'-', word) {
        Some(at) if host::is_hardware_address(&word[at + 1..]) => &word[..at],
        _ => word,
    }
}
