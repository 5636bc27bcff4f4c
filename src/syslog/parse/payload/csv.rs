//! Fields between commas, whose places a manual documents.

use super::{Found, searched, stamp};
use crate::syslog::time::scan;

/// Palo Alto's CSV: a field for future use, time of reception, serial number, type; then, by type, the device's name.
pub(super) fn palo_alto(body: &[u8]) -> Option<Found<'_>> {
    let mut fields = Csv { rest: Some(searched(body)) };
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

/// Fields between commas; a quoted one may hold commas.
struct Csv<'a> {
    rest: Option<&'a [u8]>,
}

impl<'a> Iterator for Csv<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.rest?;
        let mut quoted = false;
        let end = rest.iter().position(|&byte| {
            quoted ^= byte == b'"';
            byte == b',' && !quoted
        });
        let (field, rest) = match end {
            Some(end) => (&rest[..end], Some(&rest[end + 1..])),
            None => (rest, None),
        };
        self.rest = rest;
        Some(field)
    }
}
