//! Fields between commas, whose places a manual documents.

use super::{Found, searched, stamp};
use crate::syslog::parse::rfc3164::enclosed;
use crate::syslog::parse::{host, leading_digits};
use crate::syslog::time::When;
use crate::syslog::time::scan::{self, Form};

/// Palo Alto's CSV: a field for future use, time of reception, serial number, type; then, by type, the device's name.
pub(super) fn palo_alto(body: &[u8]) -> Option<Found<'_>> {
    let mut fields = Columns::new(searched(body), b',');
    let future_use = fields.next()?;
    let received = fields.next()?;
    if future_use.is_empty() || future_use.len() > 2 || !future_use.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let received = scan::scan(received).filter(|scanned| scanned.len == received.len())?;
    let serial_number = fields.next()?;
    let kind = fields.next()?;
    if !serial_number.iter().all(u8::is_ascii_alphanumeric)
        || kind.is_empty()
        || !kind.iter().all(|byte| byte.is_ascii_uppercase() || *byte == b'-')
    {
        return None;
    }
    // Positions as documented for each type, less the four fields that are read already.
    let device_name = match kind {
        b"TRAFFIC" => Some(48),
        b"THREAT" => Some(55),
        b"SYSTEM" => Some(18),
        b"CONFIG" => Some(17),
        b"CORRELATION" => Some(13),
        b"HIPMATCH" => Some(20),
        b"USERID" => Some(21),
        b"IPTAG" => Some(19),
        b"AUTHENTICATION" => Some(25),
        _ => None,
    };
    let generated = fields.nth(2).and_then(stamp);
    // Releases differ in the fields before it; a number is another field than the name.
    let host = device_name.and_then(|position| fields.nth(position - 3)).filter(|name| !is_number(name));
    Some(Found { host, when: generated.or(Some(received.when)) })
}

/// `TippingPoint`'s security management system: action, severity, the policy's and the signature's UUID, name and
/// number of the signature, protocol, addresses and ports, hits, what it came through, the device's name, the
/// taxonomy's number and the time in milliseconds, between commas or tabs. Between the hits and the device's name
/// columns differ by version.
pub(super) fn tipping_point(body: &[u8]) -> Option<Found<'_>> {
    /// Columns before those that differ, and columns until the time.
    const ADDRESSES: usize = 8;
    const MAX_COLUMNS: usize = 16;
    let body = searched(body);
    let separator = *body.iter().find(|byte| !byte.is_ascii_digit())?;
    if !matches!(separator, b',' | b'\t') {
        return None;
    }
    let mut columns = Columns::new(body, separator);
    let is_event = [(); 2].iter().all(|()| columns.next().is_some_and(is_number))
        && [(); 2].iter().all(|()| columns.next().is_some_and(is_uuid));
    let [mut name, mut number] = [None; 2];
    for column in columns.skip(ADDRESSES).take(MAX_COLUMNS).filter(|_| is_event) {
        if column.len() == 13 && is_number(column) {
            return Some(Found { host: name, when: stamp(column) });
        }
        name = number.replace(column);
    }
    is_event.then(Found::default)
}

/// `MariaDB`'s audit plugin: a time in its own files, `server_audit_syslog_info` and a blank in messages; the server's
/// host, the user, the client, the numbers of the connection and the query, the operation, the database, the object,
/// the code of return.
pub(super) fn server_audit(body: &[u8]) -> Option<Found<'_>> {
    /// Names and numbers up to the operation.
    const MAX_BYTES: usize = 512;
    const OPERATIONS: [&[u8]; 11] = [
        b"CONNECT",
        b"DISCONNECT",
        b"FAILED_CONNECT",
        b"CHANGEUSER",
        b"QUERY",
        b"READ",
        b"WRITE",
        b"CREATE",
        b"ALTER",
        b"RENAME",
        b"DROP",
    ];
    let mut columns = Columns::new(&body[..body.len().min(MAX_BYTES)], b',');
    let mut first = columns.next()?;
    let when = scan::scan(first).filter(|found| found.len == first.len()).map(|found| found.when);
    if when.is_some() {
        first = columns.next()?;
    }
    let is_event = columns.by_ref().skip(2).take(2).all(is_number) && OPERATIONS.contains(&columns.next()?);
    let host = first.rsplit(|&byte| byte == b' ').next();
    is_event.then_some(Found { host, when })
}

/// Seconds since 1970 in the column behind a number of one or two digits.
pub(super) fn numbered(body: &[u8]) -> Option<When<'_>> {
    let digits = leading_digits(body);
    let column = body[digits..].strip_prefix(b",").filter(|_| digits <= 2)?;
    let found = scan::scan(column).filter(|found| found.form == Form::Epoch)?;
    (column.get(found.len) == Some(&b',')).then_some(found.when)
}

/// Fabric OS' `RASLog`: time, message in brackets, sequence number, flags and slot, severity, the switch's name, text,
/// each behind a comma and a space.
pub(super) fn ras_log(body: &[u8]) -> Option<Found<'_>> {
    /// Until the switch's name.
    const MAX_BYTES: usize = 256;
    const SEVERITIES: [&[u8]; 4] = [b"INFO", b"WARNING", b"ERROR", b"CRITICAL"];
    let mut columns = Columns::new(&body[..body.len().min(MAX_BYTES)], b',').map(<[u8]>::trim_ascii_start);
    let when = columns.next().and_then(stamp)?;
    columns.next().and_then(enclosed).filter(|message| is_message(message))?;
    let number = columns.next()?;
    let first = columns.next()?;
    let is_rated = SEVERITIES.contains(&first) || SEVERITIES.contains(&columns.next()?);
    // Behind a slash directors count those of a part, which they name in the flags.
    let is_part =
        [&b"CHASSIS"[..], b"FID ", b"SLOT "].iter().any(|part| memchr::memmem::find(first, part).is_some());
    let is_numbered = is_number(number) || is_part && number.splitn(2, |&byte| byte == b'/').all(is_number);
    (is_numbered && is_rated).then(|| Found { host: columns.next(), when: Some(when) })
}

/// Windows' events as RSA's collectors forward them: the log, `rn=` with the record's number, the time, the
/// event's number, the source, the user, the type, the computer, between commas.
pub(super) fn event_log(body: &[u8]) -> Option<Found<'_>> {
    /// Until the computer.
    const MAX_BYTES: usize = 512;
    const TYPES: [&[u8]; 7] = [
        b"Audit Failure",
        b"Audit Success",
        b"Failure Audit",
        b"Success Audit",
        b"Error",
        b"Information",
        b"Warning",
    ];
    let mut columns = Columns::new(&body[..body.len().min(MAX_BYTES)], b',');
    columns.nth(1).filter(|record| record.starts_with(b"rn="))?;
    let when = columns.next().and_then(stamp)?;
    columns.next().filter(|event| is_number(event))?;
    columns.nth(2).filter(|kind| TYPES.contains(kind))?;
    Some(Found { host: columns.next(), when: Some(when) })
}

/// Hitachi's audit log: `CELFSS,1.1,number,time,program,host,…`.
pub(super) fn hitachi_audit(body: &[u8]) -> Option<Found<'_>> {
    let mut columns = Columns::new(searched(body), b',');
    columns.next().filter(|name| *name == b"CELFSS")?;
    let when = columns.nth(2).and_then(stamp)?;
    Some(Found { host: columns.nth(1), when: Some(when) })
}

/// A module in capitals and a number: `SEC-3020`.
fn is_message(text: &[u8]) -> bool {
    let (module, number) = text.split_at(memchr::memchr(b'-', text).unwrap_or(text.len()));
    let is_module = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
    !module.is_empty() && module.iter().all(is_module) && number.len() > 1 && is_number(&number[1..])
}

/// Network and Security Manager of Juniper: a day and a number, two times, the domain and its version, the device's name
/// and address, each behind a comma and a space.
pub(super) fn security_manager(body: &[u8]) -> Option<Found<'_>> {
    /// Until the device's address.
    const MAX_BYTES: usize = 320;
    const MAX_COLUMNS: usize = 4;
    let mut columns = Columns::new(&body[..body.len().min(MAX_BYTES)], b',').map(<[u8]>::trim_ascii_start);
    columns.next().filter(|day| day.len() == 8 && is_number(day))?;
    columns.next().filter(|number| is_number(number))?;
    columns.next().and_then(stamp)?;
    let when = columns.next().and_then(stamp)?;
    // The domain and its version stand there once or twice.
    let mut before = columns.nth(1).filter(|version| is_number(version))?;
    for column in columns.take(MAX_COLUMNS) {
        if host::is_address(column) {
            // A device without a name has its address twice.
            let name = if is_number(before) { column } else { before };
            return Some(Found { host: Some(name), when: Some(when) });
        }
        before = column;
    }
    None
}

/// Fabric OS' audit: `AUDIT`, time, message in brackets, severity, class, the user's name, role and address, the
/// domain, the switch's name and its fabric between slashes, text, each behind a comma and a space.
pub(super) fn audit(body: &[u8]) -> Option<Found<'_>> {
    /// Until the switch's name.
    const MAX_BYTES: usize = 512;
    let columns = body[..body.len().min(MAX_BYTES)].strip_prefix(b"AUDIT, ")?;
    let mut columns = Columns::new(columns, b',').map(<[u8]>::trim_ascii_start);
    let when = columns.next().and_then(stamp)?;
    columns.next().and_then(enclosed)?;
    let mut switch = columns.nth(3)?.splitn(3, |&byte| byte == b'/');
    let domain = switch.next().filter(|domain| domain.starts_with(b"ad_") || *domain == b"None")?;
    let name = switch.next();
    if domain == b"None" && !switch.next().is_some_and(is_fabric) {
        return None;
    }
    Some(Found { host: name, when: Some(when) })
}

/// `FID 128`, or `CHASSIS` for all of them.
fn is_fabric(text: &[u8]) -> bool {
    text == b"CHASSIS" || text.strip_prefix(b"FID ").is_some_and(is_number)
}

/// `TippingPoint`'s sensors: what was done, the format's version, the time, the device's name and address with a slash
/// between.
pub(super) fn alert(body: &[u8]) -> Option<Found<'_>> {
    /// Until the device's address.
    const MAX_BYTES: usize = 256;
    let mut columns = Columns::new(&body[..body.len().min(MAX_BYTES)], b',');
    let kind = columns.next()?;
    let is_event = matches!(kind, b"ALT" | b"BLK" | b"P2P") && columns.next()?.starts_with(b"v");
    let when = columns.next().and_then(stamp).filter(|_| is_event)?;
    let device = columns.next()?;
    let (name, address) = device.split_at(memchr::memchr(b'/', device)?);
    let name = name.strip_prefix(b"\"").and_then(|name| name.strip_suffix(b"\"")).unwrap_or(name);
    host::is_address(&address[1..]).then_some(Found { host: Some(name), when: Some(when) })
}

/// Dragon: time, sensor, event, both addresses, both ports, between bars.
pub(super) fn dragon(body: &[u8]) -> Option<Found<'_>> {
    /// Until the ports.
    const MAX_BYTES: usize = 256;
    let mut columns = Columns::new(&body[..body.len().min(MAX_BYTES)], b'|');
    let first = columns.next()?;
    let found = scan::scan(first).filter(|found| found.len == first.len())?;
    let sensor = columns.next()?;
    columns.next().filter(|event| event.contains(&b':'))?;
    let is_event = columns.by_ref().take(2).all(host::is_address) && columns.take(2).all(is_number);
    is_event.then_some(Found { host: Some(sensor), when: Some(found.when) })
}

fn is_number(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(u8::is_ascii_digit)
}

/// `00000000-0000-0000-0000-000000000000`.
fn is_uuid(text: &[u8]) -> bool {
    text.len() == 36
        && text.iter().enumerate().all(|(at, byte)| {
            if matches!(at, 8 | 13 | 18 | 23) { *byte == b'-' } else { byte.is_ascii_hexdigit() }
        })
}

/// Fields between signs; a quoted one may hold them.
pub(super) struct Columns<'a> {
    rest: Option<&'a [u8]>,
    separator: u8,
}

impl<'a> Columns<'a> {
    pub(super) fn new(text: &'a [u8], separator: u8) -> Self {
        Self { rest: Some(text), separator }
    }
}

impl<'a> Iterator for Columns<'a> {
    type Item = &'a [u8];

    /// The next field, without the quotes that hold all of it.
    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.rest?;
        let mut quoted = false;
        let end = rest.iter().position(|&byte| {
            quoted ^= byte == b'"';
            byte == self.separator && !quoted
        });
        let (field, rest) = match end {
            Some(end) => (&rest[..end], Some(&rest[end + 1..])),
            None => (rest, None),
        };
        self.rest = rest;
        let inner = field.strip_prefix(b"\"").and_then(|inner| inner.strip_suffix(b"\""));
        Some(inner.unwrap_or(field))
    }
}
