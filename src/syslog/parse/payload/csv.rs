//! Fields between commas, whose places a manual documents.

use super::{Found, searched, stamp};
use crate::syslog::time::scan;

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
        _ => None,
    };
    let generated = fields.nth(2).and_then(stamp);
    let host = device_name.and_then(|position| fields.nth(position - 3));
    Some(Found { host, when: generated.or(Some(received.when)) })
}

/// `TippingPoint`'s security management system: action, severity, the policy's and the signature's UUID, name and number of
/// the signature, protocol, addresses and ports, hits, what it came through, the device's name, the taxonomy's number and the
/// time in milliseconds, between commas or tabs. Between the hits and the device's name columns differ by version.
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
    let is_number = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
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

/// `00000000-0000-0000-0000-000000000000`.
fn is_uuid(text: &[u8]) -> bool {
    text.len() == 36
        && text.iter().enumerate().all(|(at, byte)| {
            if matches!(at, 8 | 13 | 18 | 23) { *byte == b'-' } else { byte.is_ascii_hexdigit() }
        })
}

/// Fields between signs; a quoted one may hold them.
struct Columns<'a> {
    rest: Option<&'a [u8]>,
    separator: u8,
}

impl<'a> Columns<'a> {
    fn new(text: &'a [u8], separator: u8) -> Self {
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
