//! Formats that a message's text can have, where they document a device and a time of their own.
//!
//! They are asked only for what the header does not say: the host and the timestamp.

mod brackets;
mod csv;
mod json;
mod key;
mod logs;
mod names;
mod pairs;
mod times;
mod windows;

use super::{Parsed, devices, host, level, rfc3164, tag, vendors};
use crate::syslog::time::When;
use crate::syslog::time::scan::{self, Form};
use csv::{
    alert, audit, dragon, numbered, palo_alto, ras_log, security_manager, server_audit, tipping_point,
};
pub use json::is_xdas;
use pairs::{appliance, begins_with_date, cef, key_value, leef};
pub use pairs::{is_device_pairs, is_key_value, is_quoted_pairs};
pub use times::of_rfc3339;
use times::{digits_without_year, first_time, in_column};

/// Bytes of a payload that are searched: its documented fields stand at its beginning.
const MAX_SEARCHED_BYTES: usize = 16 * 1024;

/// Reads a message that is nothing but a payload.
pub fn bare(text: &[u8]) -> Option<Parsed<'_>> {
    let rule = match text.first()? {
        b'C' if tag::is_payload(text) => "cef",
        b'L' if tag::is_payload(text) => "leef",
        b'{' if text.trim_ascii_end().ends_with(b"}") => "json",
        b'0'..=b'9' if palo_alto(text).is_some() => "palo-alto",
        b'<' if windows::is_event(text) => "windows-xml",
        _ if netscreen(text).is_some() => "netscreen",
        _ if is_key_value(text) => "key-value",
        _ if snare(text).is_some() => "snare",
        _ => return None,
    };
    Some(Parsed::new(rule, text))
}

/// The device and the time that a payload documents.
pub fn named(text: &[u8]) -> (Option<&[u8]>, Option<When<'_>>) {
    let found = documented(searched(text));
    (found.host.filter(|name| host::is_host(name)), found.when)
}

/// Adds host and timestamp from the payload where the header has none.
pub fn supplement(parsed: &mut Parsed<'_>) {
    let body = searched(parsed.body.trim_ascii_start());
    let found = documented(body);
    let found = if parsed.rule == super::RAW { in_text(body, found) } else { found };
    if parsed.host.is_none() {
        let named = found.host.or_else(|| ive(body)).or_else(|| appliance(parsed.app, body));
        let named = named.or_else(|| documented(behind_level(body)?).host);
        let named = named.or_else(|| documented(behind_line(body)?).host);
        let is_alarm = parsed.app.is_some_and(|app| app.starts_with(b"%CCM_") || app.starts_with(b"%UC_"));
        let named = named.or_else(|| brackets::last_node(body).filter(|_| is_alarm));
        let is_lone_tag = parsed.proc_id.is_none();
        let named = named.or_else(|| parsed.app.filter(|app| is_lone_tag && is_named_before(app, body)));
        parsed.host = named.filter(|name| host::is_host(name));
    }
    // A time without a host in front of a device's own is a relay's.
    let is_relay_time = parsed.rule == "rfc3164-no-host" && parsed.tag.is_none() && begins_with_date(body);
    if (parsed.when == When::Missing || is_relay_time)
        && let Some(when) = found.when.or_else(|| text_time(body).filter(|_| is_text(parsed.rule)))
    {
        parsed.when = when;
    }
}

/// The time of a text without a header.
fn text_time(body: &[u8]) -> Option<When<'_>> {
    first_time(body).or_else(|| in_column(body)).or_else(|| scanned_mail(body))
}

/// What a payload says by the format that it begins with.
fn documented(body: &[u8]) -> Found<'_> {
    match body.first() {
        Some(b'C') if tag::is_payload(body) => cef(body),
        Some(b'L') if tag::is_payload(body) => leef(body),
        Some(b'{') if is_key_value(&body[1..]) => key_value(&body[1..]),
        Some(b'{') => json::object(body),
        Some(b'[') if body.starts_with(b"[{") => json::object(&body[1..]),
        Some(b'0'..=b'9') => {
            let columns = palo_alto(body).or_else(|| tipping_point(body));
            let columns = columns.or_else(|| server_audit(body)).or_else(|| ras_log(body));
            let columns = columns.or_else(|| security_manager(body));
            let columns = columns.or_else(|| dragon(body)).or_else(|| brackets::event_reporter(body));
            let columns = columns.or_else(|| snare(body));
            let columns = columns.or_else(|| Some(Found { host: Some(securid(body)?), when: None }));
            let columns = columns.or_else(|| firewall_log(body));
            let columns = columns.or_else(|| logs::db2(body)).or_else(|| logs::hana_audit(body));
            columns.unwrap_or_else(|| first_field(body))
        }
        Some(b'<') if windows::is_event(body) => windows::event(body),
        Some(b'<') if body.starts_with(b"<?xml ") => alerts(body),
        Some(b'<') if let Some(found) = logs::element(body) => found,
        Some(b'<') => access_point(body),
        Some(b'[') => brackets::device(body),
        Some(b'%') if let Some(found) = logs::operator(body) => found,
        Some(b'%') if body.starts_with(b"%[") => Found { host: brackets::node(&body[1..]), when: None },
        Some(b'"') if let Some(found) = logs::policy_server(body) => found,
        Some(b'"') if is_timed_pairs(body) => Found { host: None, when: first_time(body) },
        Some(b'L') if windows::is_text(body) => windows::text(body),
        Some(_) if is_key_value(body) => key_value(body),
        Some(b'R') if let Some(found) = brackets::real_source(body) => found,
        Some(b'C') if let Some(found) = csv::hitachi_audit(body) => found,
        Some(b'I') if let Some(pairs @ [b'#', ..]) = body.strip_prefix(b"IBM2145 ") => {
            storwize(pairs).unwrap_or_default()
        }
        // Arkoon's name of the log in front of pairs.
        Some(b'A')
            if let Some(pairs) = body
                .strip_prefix(b"AKLOG")
                .map(super::skip_spaces)
                .and_then(|rest| rest.strip_prefix(b"-"))
                .map(super::skip_spaces)
                .filter(|pairs| is_key_value(pairs)) =>
        {
            key_value(pairs)
        }
        Some(b'A' | b'B' | b'P') if let Some(found) = audit(body).or_else(|| alert(body)) => found,
        Some(b'@') if let Some(object) = body.strip_prefix(b"@cee:") => {
            json::object(object.trim_ascii_start())
        }
        Some(b'#') => storwize(body).or_else(|| logs::web_logic(body)).unwrap_or_default(),
        Some(b',') => Found { host: firewall_manager(body), when: None },
        Some(b'|') if let Some(found) = barnyard(body) => found,
        Some(_) if let Some(found) = leveled_object(body) => found,
        Some(_) => {
            let columns = snare(body).or_else(|| netscreen(body)).or_else(|| server_audit(body));
            let columns = columns.or_else(|| csv::event_log(body)).or_else(|| logs::hardcopy(body));
            columns.or_else(|| json::xdas(body)).unwrap_or_default()
        }
        None => Found::default(),
    }
}

/// The time of a phone, ten digits before a bar.
pub fn phone_time(text: &[u8]) -> Option<When<'_>> {
    digits_without_year(text)
}

/// The computer that `EventReporter` in its older form names behind its TAG.
pub fn real_source(body: &[u8]) -> Option<&[u8]> {
    brackets::real_source(body)?.host.filter(|name| host::is_host(name))
}

/// `SiteMinder`'s access log: the event, the host, the time in brackets, a quote.
fn site_minder(body: &[u8]) -> Option<Found<'_>> {
    const EVENTS: [&[u8]; 10] = [
        b"AuthAccept",
        b"AuthReject",
        b"AuthAttempt",
        b"AuthChallenge",
        b"AuthLogout",
        b"AzAccept",
        b"AzReject",
        b"AzUnresolved",
        b"ValidateAccept",
        b"ValidateReject",
    ];
    let (event, rest) = super::word(body);
    let (name, rest) = super::word(rest.strip_prefix(b" ")?);
    let time = rest.strip_prefix(b" [")?;
    let found = scan::scan(time)?;
    let is_one = EVENTS.contains(&event) && time[found.len..].starts_with(b"] \"");
    is_one.then_some(Found { host: Some(name), when: Some(found.when) })
}

/// What a text that no rule reads says besides, behind its first words.
fn in_text<'a>(body: &'a [u8], found: Found<'a>) -> Found<'a> {
    /// A name and a number.
    const MAX_BYTES: usize = 64;
    if let Some(at) = memchr::memmem::find(&body[..body.len().min(MAX_BYTES)], b":node=") {
        return key_value(&body[at + 1..]);
    }
    let found = behind_word(body)
        .or_else(|| member(body))
        .or_else(|| spaced_snare(body))
        .or_else(|| site_minder(body))
        .or_else(|| snare_audit(body))
        .unwrap_or(found);
    if let Some(host) = found.host.or_else(|| securid(body)).or_else(|| zte(body)).or_else(|| phone(body)) {
        return Found { host: Some(host), ..found };
    }
    let Some(inner) = behind_words(body).map(documented) else { return found };
    Found { host: inner.host, when: found.when.or(inner.when) }
}

/// Whether a time follows a TAG that is the device's name: a telephone system's of innovaphone, or the model of a gateway of
/// Netgear, which stands in brackets once more: `FVS336Gv2: Tue Nov 24 09:31:07 2026(GMT-0500) [FVS336Gv2][System]`.
fn is_named_before(name: &[u8], body: &[u8]) -> bool {
    let is_gateway = vendors::is_gateway_model(name);
    if !is_gateway && !devices::is_telephone_system(name) {
        return false;
    }
    let Some(found) = scan::scan(body) else { return false };
    let again =
        super::skip_spaces(&body[found.len..]).strip_prefix(b"[").and_then(|inner| inner.strip_prefix(name));
    !is_gateway || again.is_some_and(|rest| rest.starts_with(b"]["))
}

/// `FireEye`'s alerts in XML: `<alerts … appliance="name">`, and the time that one `occurred`. Audit messages of DICOM
/// (part 15, A.5): `EventDateTime`, and the source's `AuditSourceID`.
fn alerts(body: &[u8]) -> Found<'_> {
    let behind = |text: &'_ [u8], mark: &[u8]| memchr::memmem::find(text, mark).map(|at| at + mark.len());
    if behind(body, b"<AuditMessage").is_some() {
        let attribute = |mark: &[u8]| body[behind(body, mark)?..].split(|&byte| byte == b'"').next();
        let host = attribute(b" AuditSourceID=\"").and_then(names::name_of);
        return Found { host, when: attribute(b" EventDateTime=\"").and_then(stamp) };
    }
    let Some(at) = behind(body, b"<alerts ") else { return Found::default() };
    let element = body[at..].split(|&byte| byte == b'>').next().unwrap_or_default();
    let host = behind(element, b"appliance=\"")
        .and_then(|at| names::name_of(element[at..].split(|&byte| byte == b'"').next()?));
    let when =
        behind(body, b"<occurred>").and_then(|at| stamp(body[at..].split(|&byte| byte == b'<').next()?));
    Found { host, when }
}

/// Pulse Secure: a time, the node between dashes, the user's address in brackets.
fn ive(body: &[u8]) -> Option<&[u8]> {
    let end = body.first().filter(|byte| byte.is_ascii_digit()).and_then(|_| scan::scan(body))?.len;
    let (node, rest) = super::word(body[end..].strip_prefix(b" - ")?);
    is_of_ive(rest).then_some(node)
}

/// Whether the user's address stands in brackets behind a dash, and user, realm and roles (`admin(Realm)[Role]`), as
/// they do behind the node of Pulse Secure.
pub fn is_of_ive(text: &[u8]) -> bool {
    /// The user with the realm.
    const MAX_BYTES: usize = 128;
    let Some((address, user)) = text.strip_prefix(b" - ").map(super::word) else { return false };
    rfc3164::enclosed(address).is_some_and(host::is_address)
        && memchr::memmem::find(&user[..user.len().min(MAX_BYTES)], b")[").is_some()
}

/// Whether a record of Linux audit begins here: `type=SYSCALL msg=audit(time:serial): …`.
pub fn is_audit_record(text: &[u8]) -> bool {
    /// The type has a name or a number.
    const MAX_BYTES: usize = 64;
    let start = &text[..text.len().min(MAX_BYTES)];
    start.starts_with(b"type=") && super::word(start).1.starts_with(b" msg=audit(")
}

/// RSA Authentication Manager: a time, the host and a logger of its own between commas.
fn securid(body: &[u8]) -> Option<&[u8]> {
    let end = scan::scan(body)?.len;
    let rest = body[end..].strip_prefix(b", ")?;
    let (name, rest) = rest.split_at(memchr::memchr(b',', rest)?);
    let logger = super::word(rest.strip_prefix(b", ")?).0;
    memchr::memmem::find(logger, b"com.rsa.").map(|_| name)
}

/// Check Point's log as it prints it: a time, what was done, the gateway, and the interface behind its direction.
fn firewall_log(body: &[u8]) -> Option<Found<'_>> {
    let found = scan::scan(body)?;
    let gateway = vendors::check_point(body[found.len..].strip_prefix(b" ")?)?;
    Some(Found { host: Some(gateway), when: Some(found.when) })
}

/// ZTE's alarms: `occurred at … sent by name board %MODULE% text`; without a name the board alone.
fn zte(body: &[u8]) -> Option<&[u8]> {
    /// Numbers, the time and the sender.
    const MAX_BYTES: usize = 192;
    const BEFORE: &[u8] = b" sent by ";
    const AT: &[u8] = b" occurred at ";
    let start = &body[..body.len().min(MAX_BYTES)];
    scan::scan(&body[memchr::memmem::find(start, AT)? + AT.len()..])?;
    let (name, rest) = super::word(&body[memchr::memmem::find(start, BEFORE)? + BEFORE.len()..]);
    let (board, rest) = super::word(super::without_space(rest));
    // A board may have a number behind its name; without one, a name is none of a board's.
    let unit = super::skip_spaces(rest);
    let unit = super::skip_spaces(&unit[super::leading_digits(unit)..]);
    let is_board = !board.is_empty() && !board.starts_with(b"%") && unit.starts_with(b"%");
    // `NPC-3`, `MPU-0/9/0`.
    let letters = name.iter().take_while(|byte| byte.is_ascii_uppercase()).count();
    let is_unit = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'-' | b'/');
    let is_slot = (2..=4).contains(&letters) && name[letters..].iter().all(is_unit);
    let is_name = || name.contains(&b'-') && host::is_no_word(name) && !is_slot || host::is_address(name);
    let is_alone = || board.starts_with(b"%") && is_name();
    (is_board || is_alone()).then_some(name)
}

/// Phones that say their address when they start.
fn phone(body: &[u8]) -> Option<&[u8]> {
    let address = body.strip_prefix(b"System started: ip@")?.split(|&byte| byte == b',').next()?;
    Some(address).filter(|address| host::is_address(address))
}

/// Storwize and SAN Volume Controller: `# Error ID = … # Cluster Name = name # …`, Spectrum Virtualize: `# Notification
/// Type = … # System Name = name # …`; older ones without the spaces, or with the time and the cluster first. A pair of
/// its own is among them, and another behind the name.
fn storwize(body: &[u8]) -> Option<Found<'_>> {
    const OWN: [&[u8]; 6] =
        [b"Error ID", b"ErrorID", b"Notification Type", b"NotificationType", b"Object Type", b"ObjectType"];
    const FIRST: [&[u8]; 3] = [b"Timestamp", b"Cluster Name", b"ClusterName"];
    let mut found = Found::default();
    let [mut cluster, mut system] = [None; 2];
    let mut is_own = false;
    let mut pairs = body.split(|&byte| byte == b'#').skip(1).enumerate().peekable();
    while let Some((at, pair)) = pairs.next() {
        let (key, value) = pair.split_at(memchr::memchr(b'=', pair).unwrap_or(pair.len()));
        let (key, value) = (key.trim_ascii(), value.get(1..).unwrap_or_default().trim_ascii());
        is_own |= OWN.contains(&key);
        if at == 0 && (key.starts_with(b"Object") || !is_own && !FIRST.contains(&key)) {
            return None;
        }
        // What ends the text may be cut.
        let whole = pairs.peek().map(|_| value);
        match key {
            b"Cluster Name" | b"ClusterName" => cluster = cluster.or(whole),
            b"System Name" => system = system.or(whole),
            b"Timestamp" => found.when = found.when.or_else(|| stamp(whole?)),
            _ => {}
        }
    }
    found.host = cluster.or(system);
    is_own.then_some(found)
}

/// Barnyard2: `| [SNORTIDS[ALERT]: [sensor] ] || 2026-11-24 09:31:07.345+000 …`.
fn barnyard(body: &[u8]) -> Option<Found<'_>> {
    let log = body.strip_prefix(b"| [SNORTIDS[")?;
    let (_, rest) = super::word(log);
    let sensor = rest.strip_prefix(b" [")?;
    let (name, rest) = sensor.split_at(memchr::memchr(b']', sensor)?);
    let dated = rest.strip_prefix(b"] ] || ")?;
    // An interface may stand behind the sensor's name.
    let name = name.split(|&byte| byte == b':').next().unwrap_or(name);
    // What follows the milliseconds is no zone.
    let end = memchr::memchr2(b'+', b' ', dated.get(11..)?)? + 11;
    Some(Found { host: Some(name), when: stamp(&dated[..end]) })
}

/// BIG-IP AFM's columns in quotes behind the time: the address by which it is managed, its name, and a context in its
/// partition `Common`.
fn firewall_manager(body: &[u8]) -> Option<&[u8]> {
    /// The longest name with its quotes.
    const MAX_BYTES: usize = 300;
    let mut columns = body[..body.len().min(MAX_BYTES)].splitn(5, |&byte| byte == b',').skip(1);
    let mut column = || columns.next()?.strip_prefix(b"\"");
    column()?.strip_suffix(b"\"").filter(|address| host::is_address(address))?;
    let name = column()?.strip_suffix(b"\"")?;
    column()?.starts_with(b"/Common/").then_some(name).filter(|name| !name.contains(&b'@'))
}

/// Email Security Gateway of Barracuda: the client with its address in brackets, the message's id, begin and end in seconds,
/// and what was done in capitals.
fn scanned_mail(body: &[u8]) -> Option<When<'_>> {
    let mut words = body.splitn(6, |&byte| byte == b' ');
    let client = words.next()?.strip_suffix(b"]")?;
    let (_, address) = client.split_at(memchr::memchr(b'[', client)?);
    let mut epoch = || scan::scan(words.next()?).filter(|found| found.form == Form::Epoch);
    let _id = epoch();
    let begin = epoch()?;
    epoch()?;
    let is_done = matches!(words.next()?, b"RECV" | b"SCAN" | b"SEND");
    (is_done && host::is_address(&address[1..])).then_some(begin.when)
}

/// `EqualLogic`: two numbers, the member, a process and a time, each with a colon behind it.
fn member(body: &[u8]) -> Option<Found<'_>> {
    let is_number = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let mut columns = body.splitn(5, |&byte| byte == b':');
    let is_numbered = [(); 2].iter().all(|()| columns.next().is_some_and(is_number));
    let (name, _process, rest) = (columns.next()?, columns.next()?, columns.next()?);
    let when = stamp(super::without_space(rest)).filter(|_| is_numbered && host::is_host(name))?;
    // Servers of Sybase have numbers everywhere.
    Some(Found { host: Some(name).filter(|name| !is_number(name)), when: Some(when) })
}

/// A JSON object behind a logger's name and a level, as `OpenCanary` writes it.
fn leveled_object(body: &[u8]) -> Option<Found<'_>> {
    let (_, rest) = super::word(body);
    let (level, object) = super::word(super::without_space(rest));
    let object = object.strip_prefix(b" ").filter(|object| object.starts_with(b"{\""))?;
    if !level.iter().all(u8::is_ascii_uppercase) || !level::is_level_in_capitals(level) {
        return None;
    }
    let found = json::object(object);
    let has = |key| memchr::memmem::find(object, key).is_some();
    // Other loggers' objects are of what happened, which may be another system's.
    let host = found.host.filter(|_| has(b"\"logtype\"") && has(b"\"node_id\""));
    Some(Found { host, ..found })
}

/// A JSON object behind a program's name or a type's, a firewall's pairs behind a type's, or pairs in quotes behind two
/// words and a colon: `Genian NAC: DATETIME="…"`.
fn behind_word(body: &[u8]) -> Option<Found<'_>> {
    let (name, rest) = super::word(body);
    let rest = rest.strip_prefix(b" ").filter(|_| host::is_host(name))?;
    if rest.starts_with(b"{\"") {
        return Some(json::object(rest));
    }
    if rest.starts_with(b"id=firewall ") {
        return Some(key_value(rest));
    }
    let (second, pairs) = super::word(rest);
    let pairs = pairs.strip_prefix(b" ").filter(|pairs| second.ends_with(b":") && is_quoted_pairs(pairs))?;
    memchr::memmem::find(pairs, b" SENSORNAME=\"").map(|_| key_value(pairs))
}

/// CEF or LEEF behind a few words that no rule reads.
fn behind_words(body: &[u8]) -> Option<&[u8]> {
    /// A timestamp and two addresses.
    const MAX_BYTES: usize = 128;
    memchr::memmem::find_iter(&body[..body.len().min(MAX_BYTES)], b"EF:").find_map(|at| {
        let name = [&b" C"[..], b" LE"].iter().find(|start| body[..at].ends_with(start))?.len() - 1;
        Some(&body[at - name..]).filter(|payload| tag::is_payload(payload))
    })
}

/// What follows the TAG of BIG-IP's application security in the second line, where the first is a word, its name.
fn behind_line(body: &[u8]) -> Option<&[u8]> {
    /// A name.
    const MAX_BYTES: usize = 64;
    let end = memchr::memchr(b'\n', &body[..body.len().min(MAX_BYTES)])?;
    let tag = tag::scan(&body[end + 1..]).filter(|tag| tag.colon)?;
    (tag.app == b"ASM" && host::is_host(body[..end].trim_ascii_end())).then_some(tag.body)
}

/// CEF or LEEF behind a level with a colon: `Info: CEF:0|…`.
fn behind_level(body: &[u8]) -> Option<&[u8]> {
    let (level, payload) = super::word(body);
    let level = level.strip_suffix(b":")?;
    let is_level = level::is_level(level) || level::is_level_in_capitals(level);
    payload.strip_prefix(b" ").filter(|payload| is_level && tag::is_payload(payload))
}

/// Rules of a text without a header.
fn is_text(rule: &str) -> bool {
    rule == super::RAW || rule == "tag"
}

/// The part of a payload that is searched, which ends between two values.
fn searched(body: &[u8]) -> &[u8] {
    if body.len() <= MAX_SEARCHED_BYTES {
        return body;
    }
    let body = &body[..MAX_SEARCHED_BYTES];
    let end = body.iter().rposition(|byte| matches!(byte, b' ' | b',' | b'\t' | b'|' | b'^')).unwrap_or(0);
    &body[..end]
}

#[derive(Default)]
struct Found<'a> {
    host: Option<&'a [u8]>,
    when: Option<When<'a>>,
}

fn stamp(text: &[u8]) -> Option<When<'_>> {
    scan::scan(text).map(|scanned| scanned.when)
}

/// Whether a text is a payload that documents its device and time, or an object.
pub fn is_payload(text: &[u8]) -> bool {
    tag::is_payload(text) || text.starts_with(b"{") || is_key_value(text)
}

/// Whether a time in quotes and pairs follow: an export of alarms and events, which names its server before them.
pub fn is_timed_pairs(text: &[u8]) -> bool {
    let time = || {
        let inner = text.strip_prefix(b"\"")?;
        let found = scan::scan(inner)?;
        inner[found.len..].strip_prefix(b"\"")
    };
    time().is_some_and(|behind| is_key_value(super::skip_spaces(behind)))
}

/// Whether `ScreenOS` says its name, or a serial number of digits, behind a name and a colon. The text may end in it.
pub fn is_of_screen_os(name: &[u8], text: &[u8]) -> bool {
    let Some(rest) = text.strip_prefix(b"NetScreen device_id=") else { return false };
    let (said, behind) = super::word(rest);
    let is_cut = || behind.is_empty() && name.starts_with(said);
    !said.is_empty() && (said == name || said.iter().all(u8::is_ascii_digit) || is_cut())
}

/// `ScreenOS` without a timestamp: `name: NetScreen device_id=name [Root]system-…`, or a serial number of digits for
/// the second name, at whose end the time may stand in parentheses.
fn netscreen(body: &[u8]) -> Option<Found<'_>> {
    let (name, behind) = super::word(&body[..body.len().min(300)]);
    let name = name.strip_suffix(b":")?;
    behind.strip_prefix(b" ").filter(|text| is_of_screen_os(name, text))?;
    let when = body
        .strip_suffix(b")")
        .and_then(|text| text.rsplitn(2, |&byte| byte == b'(').next())
        .and_then(|inner| scan::scan(inner).filter(|found| found.len == inner.len()))
        .map(|found| found.when);
    Some(Found { host: Some(name), when: when.or_else(|| session_start(body)) })
}

/// When a session began that `ScreenOS` reports the end of, where its message has no other time.
fn session_start(body: &[u8]) -> Option<When<'_>> {
    /// The names, the kind of message and the key.
    const MAX_BYTES: usize = 320;
    const KEY: &[u8] = b"(traffic): start_time=\"";
    let start = &body[..body.len().min(MAX_BYTES)];
    stamp(&body[memchr::memmem::find(start, KEY)? + KEY.len()..])
}

/// Fabric OS' `RASLog` without a TAG before it: its time and the switch's name.
pub fn fabric(text: &[u8]) -> Option<(When<'_>, Option<&[u8]>)> {
    let found = ras_log(text)?;
    Some((found.when?, found.host.filter(|name| host::is_host(name))))
}

/// Snare: host, `MSWinEventLog`, criticality, source, counter, time, number, source, user, kind of user, kind of event,
/// computer and more, between tabs; without a host in front the computer is it.
fn snare(body: &[u8]) -> Option<Found<'_>> {
    // Only the first two columns decide; a name of Windows has less than 64 bytes.
    let start = &body[..body.len().min(300)];
    let name = &body[..memchr::memchr(b'\t', start)?];
    let is_headless = is_snare(body);
    let mut columns = body.splitn(13, |&byte| byte == b'\t').skip(usize::from(!is_headless));
    if columns.next()? != SNARE || !host::is_host(name) {
        return None;
    }
    let when = columns.nth(3).and_then(stamp);
    Some(Found { host: if is_headless { columns.nth(5) } else { Some(name) }, when })
}

/// Snare's audit of Linux and Solaris: host, kind, criticality and event with the time behind its commas, between tabs.
fn snare_audit(body: &[u8]) -> Option<Found<'_>> {
    let mut columns = body.splitn(5, |&byte| byte == b'\t');
    let name = columns.next().filter(|name| host::is_host(name))?;
    let kind = columns.next()?;
    let level = columns.next()?;
    // Epilog forwards the logs of web servers and others.
    let is_log = matches!(kind, b"ApacheLog" | b"IISWebLog" | b"SquidProxyLog" | b"GenericLog");
    if is_log && matches!(level, [b'0'..=b'9']) {
        // These begin their lines so, Squid with seconds; those of other files are anybody's.
        let found = columns.next().and_then(scan::scan);
        let is_own = |form| kind == b"IISWebLog" || kind == b"SquidProxyLog" && form == Form::Epoch;
        let when = found.filter(|found| is_own(found.form)).map(|found| found.when);
        return Some(Found { host: Some(name), when });
    }
    if !matches!(kind, b"LinuxKAudit" | b"LinuxAudit" | b"SolarisBSM") {
        return None;
    }
    let event = columns.next()?;
    // praudit has length, version, event, modifier and host between the token's name and the time.
    let before = if event.starts_with(b"header,") { 6 } else { 2 };
    let when = event.splitn(before + 1, |&byte| byte == b',').nth(before).and_then(stamp);
    Some(Found { host: Some(name), when })
}

/// Snare's columns where something on the way has put a blank for each tab.
fn spaced_snare(body: &[u8]) -> Option<Found<'_>> {
    let (name, rest) = super::word(body);
    let mut rest = rest.strip_prefix(b" ")?.strip_prefix(SNARE)?.strip_prefix(b" ")?;
    let is_number = |text: &[u8]| text.iter().all(u8::is_ascii_digit);
    for is_column in [true, false, true] {
        let (column, behind) = super::word(rest);
        rest = behind.strip_prefix(b" ").filter(|_| !is_column || is_number(column))?;
    }
    host::is_host(name).then(|| Some(Found { host: Some(name), when: Some(stamp(rest)?) })).flatten()
}

const SNARE: &[u8] = b"MSWinEventLog";

/// Whether Snare's columns begin here, without a host.
pub fn is_snare(text: &[u8]) -> bool {
    text.strip_prefix(SNARE).is_some_and(|rest| rest.starts_with(b"\t"))
}

/// Aruba: numbers and a severity in angle brackets, then the access point's `<address MAC>`, with its name before it.
fn access_point(body: &[u8]) -> Found<'_> {
    // A message number, a process, a severity and the name; behind them begins the text.
    const MAX_PARTS: usize = 4;
    let is_mac = |text: &[u8]| {
        text.len() == 17
            && text
                .split(|&byte| byte == b':')
                .all(|part| part.len() == 2 && part.iter().all(u8::is_ascii_hexdigit))
    };
    let mut rest = body;
    for _ in 0..=MAX_PARTS {
        let (part, behind) = super::word(rest);
        if let Some(address) = part.strip_prefix(b"<")
            && let (mac, _) = super::word(super::without_space(behind))
            && mac.strip_suffix(b">").is_some_and(is_mac)
            && host::is_address(address)
        {
            return Found { host: Some(address), when: None };
        }
        if !part.ends_with(b">") && !part.starts_with(b"AP:") {
            break;
        }
        rest = super::without_space(behind);
    }
    Found::default()
}

/// A table's row or a list whose first field is a timestamp. Meru's controllers write the letter behind their seconds
/// by which C knows a long number.
fn first_field(body: &[u8]) -> Found<'_> {
    if let [seconds @ .., b'l', b' ', b'|'] = &body[..body.len().min(13)] {
        return Found { host: None, when: stamp(seconds) };
    }
    if let Some(when) = digits_without_year(body).or_else(|| numbered(body)) {
        return Found { host: None, when: Some(when) };
    }
    let first =
        scan::scan(body).filter(|found| matches!(body.get(found.len), Some(b'|' | b',' | b';' | b'\t')));
    let host = first.and_then(|found| before_object(&body[found.len..]));
    Found { host, when: first.map(|found| found.when) }
}

/// The address of a platform in the column between a type and an object, behind a time: `|!type|!192.0.2.7|!{"…":…}`;
/// with these signs also in front of the type.
fn before_object(columns: &[u8]) -> Option<&[u8]> {
    /// A type and an address.
    const MAX_BYTES: usize = 96;
    let end = memchr::memmem::find(&columns[..columns.len().min(MAX_BYTES)], b"{\"")?;
    let mut columns = columns[..end].rsplit(|&byte| byte == b'|');
    let is_last = matches!(columns.next()?, b"" | b"!");
    let last = columns.next()?;
    let before = columns.next().and_then(|column| column.strip_prefix(b"!"));
    [Some(last.strip_prefix(b"!").unwrap_or(last)), before]
        .into_iter()
        .flatten()
        .find(|column| is_last && host::is_address(column))
}
