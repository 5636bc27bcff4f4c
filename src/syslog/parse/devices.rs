//! What single systems put in front of a timestamp, or where others have host and TAG: `UniFi`'s descriptors, ONTAP's
//! events, Meraki's event types, Comware and VRP where spaces are missing.

use super::content::set_tag;
use super::level::{LEVELS, is_level_in_capitals};
use super::rfc3164::{Place, header};
use super::tag::Tag;
use super::{Parsed, host, payload, skip_spaces, tag, vendors, without_space, word};
use crate::syslog::time::scan::{self, Form, Scanned};
use crate::syslog::time::{Civil, Stamp, When, Zone};

/// What few products send without a timestamp: an endpoint manager's name behind its program's, telephones' hardware
/// addresses; `UniFi`'s descriptor and a TAG, with a host in front of them or without; or the descriptor of a switch,
/// `mac,model-version`, in front of a whole header; ONTAP's event; a name before VRP's mnemonic or a serial number.
pub fn undated(text: &[u8]) -> Option<Parsed<'_>> {
    let (name, behind) = word(text);
    // A switch puts address and model in front of a whole header.
    if let Some(comma) = memchr::memchr(b',', name)
        && is_mac(&name[..comma])
        && let Some(scanned) = scan::scan(skip_spaces(behind))
    {
        let inner = header(skip_spaces(behind), &scanned, Place::First)?;
        return Some(Parsed { rule: "unifi", ..inner });
    }
    if let Some((node, tag)) = ems(text) {
        let mut parsed = Parsed { host: Some(node), ..Parsed::new("netapp", text) };
        parsed.set_tag(tag);
        return Some(parsed);
    }
    if let Some(parsed) = vendors::protection_manager(text, "tag")
        .filter(|parsed| parsed.body.starts_with(b"Site: ") || parsed.host.is_some_and(host::is_no_word))
        .or_else(|| vendors::telephone_adapter(name, behind, "tag"))
        .or_else(|| voice_station(text))
    {
        return Some(parsed);
    }
    if let Some(address) = behind_clock(name, behind) {
        return Some(Parsed { host: Some(address), ..Parsed::new("tag", text) });
    }
    if let Some(parsed) = named(name, skip_spaces(behind)).or_else(|| behind_facility(name, behind)) {
        return Some(parsed);
    }
    let has_version = || name.windows(3).any(|part| matches!(part, [b'0'..=b'9', b'.', b'0'..=b'9']));
    let (host, rest) = match descriptor(text).filter(|(address, _)| address.is_some() && has_version()) {
        Some(own) => own,
        None => (Some(name), descriptor(skip_spaces(behind)).filter(|_| host::is_host(name))?.1),
    };
    let mut parsed = Parsed { host, ..Parsed::new("unifi", without_space(rest)) };
    set_tag(&mut parsed, rest);
    Some(parsed)
}

/// Phones of Polycom without a header: the hardware address, and ten digits for a time, `0004f2010203|1105080001|so |…`.
fn voice_station(text: &[u8]) -> Option<Parsed<'_>> {
    /// What the vendor's addresses begin with.
    const PREFIXES: [&[u8]; 3] = [b"0004f2", b"64167f", b"482567"];
    let (address, rest) = text.split_at_checked(12).filter(|(address, _)| is_mac(address))?;
    PREFIXES.iter().find(|prefix| address[..6].eq_ignore_ascii_case(prefix))?;
    let body = rest.strip_prefix(b"|").or_else(|| rest.strip_prefix(b" "))?;
    let when = payload::phone_time(body)?;
    Some(Parsed { host: Some(address), when, ..Parsed::new("tag", body) })
}

/// The device's address between colons, behind a time of day without a date and before a severity, as gateways of
/// `AudioCodes` write it, `16:22:05.118 : 192.0.2.7 : WARNING : text`; or its name, before their number of the message.
fn behind_clock<'a>(clock: &[u8], behind: &'a [u8]) -> Option<&'a [u8]> {
    let (address, rest) = word(behind.strip_prefix(b" : ")?);
    let (level, rest) = word(rest.strip_prefix(b" : ")?);
    let is_clock = matches!(clock, [b'0'..=b'9', _, b':', _, _, b':', ..]);
    let text = rest.strip_prefix(b" : ")?;
    // Loggers in programs write their own names so.
    let is_device = host::is_address(address) || host::is_host(address) && text.starts_with(b"[S=");
    (is_clock && is_device && is_level_in_capitals(level)).then_some(address)
}

/// Mobility System Software names a facility in front of its time, and again in the TAG behind a severity:
/// `AAA Nov 05 08:00:01.123456 WARNING AAA-WARN: text`. A telephone system of innovaphone has its name there, two
/// blanks and no time.
fn behind_facility<'a>(name: &'a [u8], behind: &'a [u8]) -> Option<Parsed<'a>> {
    if let Some(text @ [b'A'..=b'Z' | b'a'..=b'z', ..]) = behind.strip_prefix(b"  ")
        && is_telephone_system(name)
        && scan::scan(text).is_none()
        && tag::scan(text).is_none_or(|tag| !text[tag.text.len()..].starts_with(b": "))
    {
        return Some(Parsed { host: Some(name), ..Parsed::new("tag", without_space(behind)) });
    }
    let is_facility = name.iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    let dated = behind.strip_prefix(b" ").filter(|_| is_facility)?;
    let scanned = scan::scan(dated)?;
    let rest = dated[scanned.len..].strip_prefix(b" ")?;
    let (level, text) = word(rest);
    let (mark, _) = word(without_space(text));
    let is_own = is_level_in_capitals(level)
        && matches!(scanned.when, When::Civil(Stamp { year: None, .. }))
        && mark.ends_with(b":")
        && mark.strip_prefix(name).is_some_and(|rest| matches!(rest, [b'-' | b'_', ..]));
    is_own.then(|| Parsed {
        when: scanned.when,
        app: Some(name),
        tag: Some(name),
        ..Parsed::new("rfc3164-no-host", rest)
    })
}

/// The firewall's name in front of the name of the log, where others have a TAG: Barracuda's `name/box_Firewall_Activity:`.
pub fn box_log(word: &[u8]) -> Option<&[u8]> {
    let (name, log) = word.split_at(memchr::memchr(b'/', word)?);
    let is_log = log.starts_with(b"/box_") || log.starts_with(b"/srv_");
    (is_log && log.ends_with(b":") && host::is_host(name)).then_some(name)
}

/// A name without a timestamp in front of it: of VRP, whose mnemonic a sign may stand before (`name %%: %%01MODULE/…`);
/// of a management controller, in front of its serial number, a colon and a timestamp; or of a console server, in front
/// of a port and a timestamp.
fn named<'a>(name: &'a [u8], text: &'a [u8]) -> Option<Parsed<'a>> {
    if !host::is_host(name) {
        return None;
    }
    // SmartNode sets name, time and level off with colons.
    if let Some(dated) = text.strip_prefix(b": ").filter(|_| host::is_no_word(name))
        && let Some(scanned) = scan::scan(dated).filter(|scanned| scanned.form != Form::Epoch)
        && let Some(rest) = dated[scanned.len..].strip_prefix(b" : ")
    {
        let parsed = Parsed { host: Some(name), when: scanned.when, ..Parsed::new("rfc3164-iso", rest) };
        return Some(parsed);
    }
    // JunosE has a level between name and time, and its date between slashes; loggers' names and threads' stand there too.
    let (level, dated) = word(text);
    if host::is_no_word(name)
        && level.iter().all(u8::is_ascii_uppercase)
        && is_level_in_capitals(level)
        && let Some(dated @ [_, _, b'/', _, _, b'/', ..]) = dated.strip_prefix(b" ")
        && let Some(scanned) = scan::scan(dated)
        && matches!(scanned.when, When::Civil(Stamp { zone: Zone::Name(_) | Zone::Offset(_), .. }))
    {
        let rest = &dated[scanned.len..];
        let mut parsed = Parsed {
            host: Some(name),
            when: scanned.when,
            ..Parsed::new("rfc3164-lenient", without_space(rest))
        };
        set_tag(&mut parsed, rest);
        return Some(parsed);
    }
    let unmarked = text.strip_prefix(b"%%:").map_or(text, skip_spaces);
    if unmarked.starts_with(b"%%")
        && let Some(tag) = tag::scan(unmarked).filter(|tag| tag.text.contains(&b'/'))
    {
        let mut parsed = Parsed { host: Some(name), ..Parsed::new("cisco", unmarked) };
        parsed.set_tag(tag);
        return Some(parsed);
    }
    let (unit, rest) = word(text);
    let is_serial = unit.len() >= 10
        && unit.iter().all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase())
        && unit.iter().any(u8::is_ascii_digit);
    let letters = unit.iter().take_while(|byte| byte.is_ascii_lowercase()).count();
    let is_port = (1..=8).contains(&letters)
        && matches!(unit.len() - letters, 1..=4)
        && unit[letters..].iter().all(u8::is_ascii_digit)
        && host::is_no_word(name);
    let rest = rest
        .strip_prefix(b" : ")
        .filter(|_| is_serial)
        .or_else(|| rest.strip_prefix(b" ").filter(|_| is_port))?;
    let scanned = scan::scan(rest).filter(|scanned| scanned.form != Form::Epoch)?;
    let mut parsed = Parsed {
        host: Some(name),
        when: scanned.when,
        ..Parsed::new("rfc3164-lenient", without_space(&rest[scanned.len..]))
    };
    set_tag(&mut parsed, &rest[scanned.len..]);
    Some(parsed)
}

/// `UniFi`: `("model,mac,version")`, `model,mac,version:` or `mac,model-version:` before the TAG; says the address, which
/// names the device where no host does, and what follows.
pub fn descriptor(text: &[u8]) -> Option<(Option<&[u8]>, &[u8])> {
    // Model, address and version have some tens of bytes.
    const MAX_BYTES: usize = 128;
    if let Some(inner) = text.strip_prefix(b"(\"") {
        let end = memchr::memchr(b')', &inner[..inner.len().min(MAX_BYTES)])?;
        let address = inner[..end].splitn(3, |&byte| byte == b',').nth(1).filter(|address| is_mac(address));
        return inner[..end].ends_with(b"\"").then(|| (address, &inner[end + 1..]));
    }
    let (first, behind) = word(text);
    let whole = first.strip_suffix(b":").unwrap_or(first);
    let mut parts = whole.splitn(3, |&byte| byte == b',');
    let ((address, _, None) | (_, address, Some(_))) = (parts.next()?, parts.next()?, parts.next());
    // Some releases leave out the colon in front of the TAG; the version is what tells them from a table then.
    let is_version = |version: &[u8]| matches!(version, [b'v', b'0'..=b'9', b'.', b'0'..=b'9', ..]);
    let is_set_off = || {
        let version = whole.rsplit(|&byte| byte == b',').next().unwrap_or_default();
        let tag = tag::scan(skip_spaces(behind));
        whole.len() < first.len() || is_version(version) && tag.is_some_and(|tag| tag.colon)
    };
    (first.len() <= MAX_BYTES && is_mac(address) && is_set_off()).then_some((Some(address), behind))
}

/// ONTAP: `[node:event:severity]:` in place of a TAG, also with spaces and a process's name before the event; says the node
/// and the rest as a TAG, the event being the program.
pub fn ems(text: &[u8]) -> Option<(&[u8], Tag<'_>)> {
    // Events have names of some tens of bytes.
    const MAX_BYTES: usize = 256;
    let inner = text.strip_prefix(b"[")?;
    let end = memchr::memchr(b']', &inner[..inner.len().min(MAX_BYTES)])?;
    let mut parts = inner[..end].splitn(4, |&byte| byte == b':');
    let (node, mut event, mut severity) =
        (parts.next()?, parts.next()?.trim_ascii(), parts.next()?.trim_ascii());
    if let Some(last) = parts.next() {
        (event, severity) = (severity, last);
    }
    // In capitals it may be that of a logger, whose names have no point.
    let is =
        |level: &[u8]| level == severity || event.contains(&b'.') && level.eq_ignore_ascii_case(severity);
    let is_severity = LEVELS.into_iter().any(is) || is(b"informational") || is(b"emergency");
    let body = inner[end + 1..].strip_prefix(b":")?;
    let text = &text[..end + 2];
    (is_severity && host::is_host(node) && !event.is_empty() && !event.contains(&b' '))
        .then(|| (node, Tag { text, app: event, proc_id: None, body: without_space(body), colon: true }))
}

/// Meraki: host and a bare event type behind a time in seconds.
pub fn meraki<'a>(text: &'a [u8], scanned: &Scanned<'a>) -> Option<Parsed<'a>> {
    let (name, behind) = word(text[scanned.len..].strip_prefix(b" ")?);
    let text = without_space(behind);
    if !host::is_host(name) || text.is_empty() {
        return None;
    }
    let mut parsed = Parsed { when: scanned.when, host: Some(name), ..Parsed::new("meraki", text) };
    let (kind, rest) = word(text);
    if let Some(tag) = tag::scan(text) {
        parsed.set_tag(tag);
    } else if kind.iter().all(|byte| byte.is_ascii_lowercase() || matches!(byte, b'_' | b'-')) {
        parsed.set_tag(Tag { text: kind, app: kind, proc_id: None, body: without_space(rest), colon: false });
    }
    Some(parsed)
}

/// A name right behind the timestamp, and right before a TAG of Comware or VRP, whose signs set both off.
pub fn glued(text: &[u8]) -> Option<Parsed<'_>> {
    /// A sysname has 64 characters at most.
    const MAX_BYTES: usize = 64;
    let end = memchr::memmem::find(&text[..text.len().min(MAX_BYTES + 2)], b"%%")?;
    let (name, behind) = text.split_at(end);
    let tag = tag::scan(behind).filter(|_| host::is_host(name) && name[0].is_ascii_alphabetic())?;
    let mut parsed = Parsed { host: Some(name), ..Parsed::new("rfc3164-lenient", behind) };
    parsed.set_tag(tag);
    Some(parsed)
}

/// Whether a router of `DrayTek` wrote this behind its name and a colon, where programs write too: whom it let through
/// with its hardware address, what its filter did, or a tunnel with its profile; anything behind a name that has the
/// series' and a number in it; else, behind a name with a capital and a digit or the one that it is delivered with, whom
/// it let through, an interface's number and a colon, what a line's modem reports.
pub fn is_draytek(name: &[u8], text: &[u8]) -> bool {
    const STARTS: [&[u8]; 3] = [b"Local User: ", b"ADSL_Status:[", b"VDSL_Status:["];
    let is_name = || {
        matches!(name, b"DrayTek" | b"Vigor")
            || name.iter().any(u8::is_ascii_uppercase) && name.iter().any(u8::is_ascii_digit)
    };
    let is_vigor = memchr::memmem::find(name, b"Vigor").is_some_and(|at| {
        let digits = super::leading_digits(&name[at + b"Vigor".len()..]);
        at == 0 && digits > 0 || digits >= 3 && at > 0 && matches!(name[at - 1], b'-' | b'_')
    });
    let is_filter =
        || name != b"kernel" && (text.starts_with(b"[FILTER][Block]") || text.starts_with(b"[FILTER][Pass]"));
    // A tunnel between networks or to a host, and its profile.
    let is_tunnel = || {
        const KINDS: [&[u8]; 5] = [b"[L2L][", b"[H2L][", b"[L2TP][", b"[PPTP][", b"[IPSEC]["];
        // The profile stands in one of the brackets that follow without a space.
        let brackets = word(text).0;
        KINDS.iter().any(|kind| text.starts_with(kind)) && memchr::memmem::find(brackets, b"][@").is_some()
    };
    let is_text = || {
        STARTS.iter().any(|start| text.starts_with(start))
            || matches!(text, [b'W', b'A', b'N', b'0'..=b'9', b':', b' ', ..])
    };
    text.starts_with(b"Local User (MAC=") || is_vigor || is_filter() || is_tunnel() || is_name() && is_text()
}

/// Whether the audit log of ONTAP follows a name and a colon: two numbers of the log and a time.
pub fn is_ontap_audit(text: &[u8]) -> bool {
    let (record, rest) = word(text);
    let (number, rest) = word(skip_spaces(rest));
    let is_number = |number: &[u8]| {
        !number.is_empty() && number.iter().all(|byte| byte.is_ascii_hexdigit() || *byte == b'.')
    };
    record.len() == "0000001a.0012bc4f".len()
        && is_number(record)
        && record[8] == b'.'
        && is_number(number)
        && scan::scan(skip_spaces(rest)).is_some()
}

/// Whether a name is that of a telephone system of innovaphone: `IP`, the model's number, and the last three bytes of its
/// hardware address, each behind a dash.
pub fn is_telephone_system(name: &[u8]) -> bool {
    const BYTES: usize = 9;
    let is_byte =
        |part: &[u8]| matches!(part, [b'-', a, b] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit());
    let number = name.strip_prefix(b"IP").unwrap_or_default();
    let digits = super::leading_digits(number);
    digits > 0 && number.len() == digits + BYTES && number[digits..].chunks(3).all(is_byte)
}

/// Whether a name that a colon follows is a device's, which has its model in it, and no program's: a capital first,
/// three to five digits, and behind them some capitals, a dash and a name, or an underscore and a number; or that of a
/// telephone system, or `apc` and a hardware address' last bytes, of a Network Management Card. A message's number in
/// IBM's manner, `ABC1234I`, is none.
pub fn is_model(name: &[u8]) -> bool {
    let is_card = |bytes: &[u8]| {
        bytes.len() == 6
            && bytes.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'A'..=b'F'))
            && bytes.iter().any(u8::is_ascii_uppercase)
    };
    if is_telephone_system(name) || name.strip_prefix(b"apc").is_some_and(is_card) {
        return true;
    }
    let letters = name.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
    let digits = name[letters..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let is_in_capitals = || letters >= 2 && name[..letters].iter().all(u8::is_ascii_uppercase);
    let is_message = || is_in_capitals() && matches!(name[letters + digits..], [b'A'..=b'Z']);
    let is_model = match &name[letters + digits..] {
        // Names of ciphers and standards have a dash there too.
        [b'-', next, ..] => {
            (next.is_ascii_uppercase() || next.is_ascii_digit()) && !(letters >= 3 && is_in_capitals())
        }
        [b'_', number @ ..] => !number.is_empty() && number.iter().all(u8::is_ascii_digit),
        behind => {
            (1..=4).contains(&behind.len())
                && behind.iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
        }
    };
    (1..=10).contains(&letters)
        && (3..=5).contains(&digits)
        && name[0].is_ascii_uppercase()
        && is_model
        && !is_message()
}

/// A header's time without a zone, or that of the device's own clock, which the text begins with and which shows the same
/// but for a lag, and its year and its zone: ONTAP's audit, Hitachi's behind two columns.
#[cold]
pub fn by_own_clock<'a>(when: When<'a>, text: &'a [u8]) -> When<'a> {
    /// What the log daemon may lag behind; the zones in use are a quarter of an hour apart at least.
    const MAX_LAG_SECONDS: i64 = 300;
    let When::Civil(read @ Stamp { zone: Zone::Unnamed, .. }) = when else { return when };
    let column = if let Some(columns) = text.strip_prefix(b"CELFSS,") {
        columns.splitn(3, |&byte| byte == b',').nth(2)
    } else {
        let behind_word = |text: &'a [u8]| skip_spaces(word(text).1);
        is_ontap_audit(text).then(|| behind_word(behind_word(text)))
    };
    let Some(own) = column.and_then(scan::scan).map(|found| found.when) else { return when };
    let stamp = match own {
        When::Civil(stamp) => Some(stamp),
        When::Rfc3339(text) => payload::of_rfc3339(text),
        _ => None,
    };
    let Some(stamp @ Stamp { year: Some(own_year), .. }) = stamp.filter(Stamp::is_valid) else { return when };
    let seconds = |stamp: &Stamp<'_>, year: i32| {
        let Stamp { month, day, hour, minute, second, .. } = *stamp;
        let moment = Civil { year, month, day, hour, minute, second };
        moment.is_valid().then(|| moment.seconds())
    };
    let is_near = |year: i32| {
        let lag = seconds(&read, year).zip(seconds(&stamp, own_year)).map(|(read, own)| (read - own).abs());
        read.year.is_none_or(|read| read == year) && lag.is_some_and(|lag| lag <= MAX_LAG_SECONDS)
    };
    // At New Year one of them may show the other one.
    if [own_year, own_year - 1, own_year + 1].into_iter().any(is_near) { own } else { when }
}

/// A time without a year and a zone, with both from the text: phones of Avaya write offset, year, milliseconds and more
/// behind the TAG, `+02:00 2026 795 1 .TEL | text`.
#[cold]
pub fn with_zone_behind<'a>(when: When<'a>, text: &'a [u8]) -> When<'a> {
    let (offset, rest) = word(text);
    let (year, rest) = word(without_space(rest));
    let (thousandths, rest) = word(without_space(rest));
    let is_number =
        |text: &[u8], len: usize| (1..=len).contains(&text.len()) && text.iter().all(u8::is_ascii_digit);
    let is_header = offset.len() == 6
        && offset[3] == b':'
        && year.starts_with(b"20")
        && year.len() == 4
        && year.iter().all(u8::is_ascii_digit)
        && is_number(thousandths, 3)
        && rest.len() > 1
        && rest[1].is_ascii_digit();
    match (when, scan::zone(offset)) {
        (When::Civil(stamp @ Stamp { year: None, zone: Zone::Unnamed, .. }), zone @ Zone::Offset(_))
            if is_header =>
        {
            let year = year.iter().fold(0, |sum, digit| sum * 10 + i32::from(digit - b'0'));
            // A number of fewer digits has its zeros left out, and says less than it seems to.
            let fraction = if thousandths.len() == 3 { thousandths } else { stamp.fraction };
            let stamp = Stamp { year: Some(year), zone, fraction, ..stamp };
            if stamp.is_valid() { When::Civil(stamp) } else { when }
        }
        _ => when,
    }
}

/// Twelve hexadecimal digits.
pub fn is_mac(text: &[u8]) -> bool {
    text.len() == 12 && text.iter().all(u8::is_ascii_hexdigit)
}
