//! Formats that a message's text can have, where they document a device and a time of their own.
//!
//! They are asked only for what the header does not say: the host and the timestamp.

mod json;
mod times;
mod windows;

use super::{Parsed, host, tag};
use crate::syslog::time::scan;
use crate::syslog::time::{Stamp, When, Zone};
use times::{digits_without_year, first_time, in_column, is_date, is_label};

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

/// Adds host and timestamp from the payload where the header has none.
pub fn supplement(parsed: &mut Parsed<'_>) {
    let body = searched(parsed.body.trim_ascii_start());
    let mut found = match body.first() {
        Some(b'C') if tag::is_payload(body) => cef(body),
        Some(b'L') if tag::is_payload(body) => leef(body),
        Some(b'{') => json(body),
        Some(b'0'..=b'9') => palo_alto(body).unwrap_or_else(|| first_field(body)),
        Some(b'<') if windows::is_event(body) => windows::event(body),
        Some(b'<') => access_point(body),
        Some(b'[') => device(body),
        Some(b'"') if is_timed_pairs(body) => Found { host: None, when: first_time(body) },
        Some(_) if is_key_value(body) => key_value(body),
        Some(_) => snare(body).or_else(|| netscreen(body)).unwrap_or_default(),
        None => return,
    };
    if parsed.rule == super::RAW {
        found.host = found.host.or_else(|| securid(body));
        if let Some(at) = memchr::memmem::find(&body[..body.len().min(64)], b":node=") {
            found = key_value(&body[at + 1..]);
        }
    }
    if parsed.host.is_none() {
        found.host = found.host.or_else(|| ive(body)).or_else(|| appliance(parsed.app, body));
    }
    if parsed.host.is_none()
        && found.host.is_none()
        && let Some(payload) = behind_words(body).filter(|_| parsed.rule == super::RAW)
    {
        let inner = cef(payload);
        found = Found { host: inner.host, when: found.when.or(inner.when) };
    }
    if parsed.host.is_none() {
        parsed.host = found.host.filter(|name| host::is_host(name));
    }
    if parsed.when == When::Missing
        && let Some(when) = found
            .when
            .or_else(|| first_time(body).or_else(|| in_column(body)).filter(|_| is_text(parsed.rule)))
    {
        parsed.when = when;
    }
}

/// Pulse Secure: a time, the node between dashes, the user's address in brackets.
fn ive(body: &[u8]) -> Option<&[u8]> {
    let end = body.first().filter(|byte| byte.is_ascii_digit()).and_then(|_| scan::scan(body))?.len;
    let (node, rest) = super::word(body[end..].strip_prefix(b" - ")?);
    rest.starts_with(b" - [").then_some(node)
}

/// Versa's logs, whose second column is `applianceName=`, and Aviatrix' statistics, whose gateway is `name=`.
fn appliance<'a>(app: Option<&[u8]>, body: &'a [u8]) -> Option<&'a [u8]> {
    /// The name of a log stands in front.
    const MAX_BYTES: usize = 64;
    let versa = || {
        let at = memchr::memmem::find(&body[..body.len().min(MAX_BYTES)], b"Log, applianceName=")?;
        Some(&body[at + b"Log, ".len()..])
    };
    let key =
        if app.is_some_and(|app| app.starts_with(b"AviatrixGw")) { &b"name"[..] } else { b"applianceName" };
    let pairs = if key == b"name" { body } else { versa()? };
    Pairs { rest: pairs, value: pairs }.find(|(found, _)| *found == key).map(|(_, value)| value)
}

/// RSA Authentication Manager: a time, the host and a logger of its own between commas.
fn securid(body: &[u8]) -> Option<&[u8]> {
    let end = scan::scan(body)?.len;
    let rest = body[end..].strip_prefix(b", ")?;
    let (name, rest) = rest.split_at(memchr::memchr(b',', rest)?);
    let logger = super::word(rest.strip_prefix(b", ")?).0;
    memchr::memmem::find(logger, b"com.rsa.").map(|_| name)
}

/// CEF behind a few words that no rule reads.
fn behind_words(body: &[u8]) -> Option<&[u8]> {
    /// A timestamp and two addresses.
    const MAX_BYTES: usize = 128;
    let at = memchr::memmem::find(&body[..body.len().min(MAX_BYTES)], b" CEF:")? + 1;
    Some(&body[at..]).filter(|payload| tag::is_payload(payload))
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

/// CEF: `dvchost` or `dvc`, and `rt`, else `start`, else `end`; some write the full names of its dictionary.
fn cef(body: &[u8]) -> Found<'_> {
    let mut found = Found::default();
    let (mut address, mut begin, mut end) = (None, None, None);
    let extension = body.splitn(8, |&byte| byte == b'|').nth(7).unwrap_or_default();
    for (key, rest) in KeyStarts::new(extension, b' ') {
        match key {
            b"dvchost" | b"deviceHostName" => found.host = Some(super::word(rest).0),
            b"dvc" | b"deviceAddress" => address = Some(super::word(rest).0),
            b"rt" | b"deviceReceiptTime" => found.when = stamp(rest),
            b"start" => begin = stamp(rest),
            b"end" => end = stamp(rest),
            _ => {}
        }
    }
    found.host = found.host.or(address);
    found.when = found.when.or(begin).or(end);
    found
}

/// LEEF: `devTime`; the format itself documents no field for the device, the products that send it use CEF's.
fn leef<'a>(body: &'a [u8]) -> Found<'a> {
    let mut found = Found::default();
    let mut address = None;
    let attributes = body.splitn(6, |&byte| byte == b'|').nth(5).unwrap_or_default();
    // Some separate attributes by spaces.
    let separator = if attributes.contains(&b'\t') { b'\t' } else { b' ' };
    let value = |rest: &'a [u8]| {
        let end = rest.iter().position(|byte| matches!(byte, b' ' | b'\t' | b'|' | b'^'));
        &rest[..end.unwrap_or(rest.len())]
    };
    for (key, rest) in KeyStarts::new(attributes, separator) {
        match key {
            b"devTime" => found.when = stamp(rest),
            b"dvchost" | b"devname" => found.host = Some(value(rest)),
            b"dvc" => address = Some(value(rest)),
            _ => {}
        }
    }
    found.host = found.host.or(address);
    found
}

/// The keys of `key=value` where a value may hold spaces: each key with what follows its sign.
struct KeyStarts<'a> {
    rest: &'a [u8],
    separator: u8,
}

impl<'a> KeyStarts<'a> {
    fn new(rest: &'a [u8], separator: u8) -> Self {
        Self { rest, separator }
    }
}

impl<'a> Iterator for KeyStarts<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let sign = memchr::memchr(b'=', self.rest)?;
        let before = &self.rest[..sign];
        let start = before
            .iter()
            .rposition(|&byte| byte == self.separator || byte == b'|' || byte == b'^')
            .map_or(0, |at| at + 1);
        self.rest = &self.rest[sign + 1..];
        Some((&before[start..], self.rest))
    }
}

/// A text that begins with `key=`.
pub fn is_key_value(text: &[u8]) -> bool {
    let key = text
        .iter()
        .take(64)
        .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
        .count();
    key > 0 && text[0].is_ascii_alphabetic() && text.get(key) == Some(&b'=')
}

/// Pairs with quoted values: loggers in general (`time`, `timestamp`, `ts`, `t`), Fortinet (`devname`, else the serial number in
/// `devid` or `device_id`; `date`, `time`, `tz`), Forcepoint's engines (`NodeId`, `Timestamp`),
/// Sophos (`device_name`, `date`, `time`, `timezone`, or `timestamp`), `SonicWall` and Stormshield (`id=firewall`, a serial
/// number or `startime`, `fw`, `time`), Linux audit (`node`, `msg=audit(time:serial)`), Check Point (`time=…|hostname=…|`; elsewhere
/// `hostname` is that of a request).
fn key_value(body: &[u8]) -> Found<'_> {
    let mut found = Found::default();
    let [mut date, mut time, mut zone] = [None; 3];
    let [mut whole, mut later] = [None; 2];
    let [mut firewall, mut rated] = [false; 2];
    let [mut node, mut device, mut wall] = [None; 3];
    let bars = body[..body.len().min(64)].contains(&b'|');
    let mut pairs = Pairs { rest: body, value: body };
    while let Some((key, value)) = pairs.next() {
        match key {
            b"device_id" | b"devid" | b"NodeId" => device = device.or(Some(value)),
            b"devname" | b"device_name" | b"dname" => found.host = found.host.or(Some(value)),
            b"id" => firewall |= value == b"firewall",
            b"pri" => rated = true,
            b"sn" | b"startime" => firewall = true,
            b"hostname" if bars => found.host = found.host.or(Some(value)),
            b"node" => node = node.or(Some(value)),
            b"msg" if found.when.is_none() && value.starts_with(b"audit(") => {
                found.when = stamp(&value[6..]);
                found.host = found.host.or(node);
            }
            b"fw" => wall = wall.or(Some(value)),
            b"date" => date = date.or(Some(value)),
            // Without quotes its own spaces end it too early for a timestamp, not for a time of day.
            b"time" if time.is_none() => {
                time = Some(value);
                whole = stamp(pairs.value);
            }
            b"datetime" | b"eventtime" | b"event_time" => later = later.or_else(|| stamp(pairs.value)),
            b"tz" | b"timezone" => zone = zone.or(Some(value)),
            b"timestamp" | b"Timestamp" | b"ts" | b"t" => found.when = found.when.or_else(|| stamp(value)),
            _ => {}
        }
    }
    // WebTrends' format, which gateways of all kinds speak, begins with `id=` and has a time and `pri=`.
    if firewall || body.starts_with(b"id=") && rated && time.is_some() {
        found.host = found.host.or(wall);
    }
    // Fortinet's serial number, Forcepoint's address, where nothing names the device.
    let begins_with_time = body.get(..10).is_some_and(|start| start.eq_ignore_ascii_case(b"timestamp="));
    if date.is_some() && time.is_some() || begins_with_time {
        found.host = found.host.or(device);
    }
    found.when = found.when.or_else(|| match (date, time) {
        (Some(date), Some(time)) => date_and_time(date, time, zone),
        (None, Some(_)) => whole.map(|when| in_zone(when, zone)),
        // LeadSec's date has the time in it.
        (Some(date), None) => stamp(date),
        _ => None,
    });
    found.when = found.when.or(later);
    found
}

/// Two values that make one timestamp.
fn date_and_time<'a>(date: &'a [u8], time: &'a [u8], zone: Option<&'a [u8]>) -> Option<When<'a>> {
    let number = |text: &[u8]| std::str::from_utf8(text).ok()?.parse::<u16>().ok();
    let mut date = date.splitn(3, |&byte| matches!(byte, b'-' | b'/'));
    let mut time = time.splitn(3, |&byte| byte == b':');
    let small = |text: Option<&[u8]>| number(text?).and_then(|value| u8::try_from(value).ok());
    let year = i32::from(number(date.next()?)?);
    let (month, day) = (small(date.next())?, small(date.next())?);
    let (hour, minute) = (small(time.next())?, small(time.next())?);
    let mut second = time.next()?.splitn(2, |&byte| byte == b'.');
    let stamp = Stamp {
        year: Some(year),
        month,
        day,
        hour,
        minute,
        second: small(second.next())?,
        fraction: second.next().filter(|digits| digits.iter().all(u8::is_ascii_digit)).unwrap_or_default(),
        zone: Zone::Unnamed,
    };
    Some(in_zone(When::Civil(stamp), zone))
}

/// A timestamp that names no zone, in the one that another pair names.
fn in_zone<'a>(when: When<'a>, zone: Option<&'a [u8]>) -> When<'a> {
    match (when, zone) {
        (When::Civil(stamp @ Stamp { zone: Zone::Unnamed, .. }), Some(zone)) => {
            When::Civil(Stamp { zone: scan::zone(zone), ..stamp })
        }
        (when, _) => when,
    }
}

/// `key=value` and `key="value"` one after another.
struct Pairs<'a> {
    rest: &'a [u8],
    /// What follows the last key's sign and opening quote, for values that have spaces without quotes.
    value: &'a [u8],
}

impl<'a> Iterator for Pairs<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let sign = memchr::memchr(b'=', self.rest)?;
        let before = &self.rest[..sign];
        let key = before.iter().rposition(|&byte| is_between_pairs(byte)).map_or(0, |at| at + 1);
        let rest = &self.rest[sign + 1..];
        let (value, rest) = if let Some(quoted) = rest.strip_prefix(b"\"") {
            let end = memchr::memchr(b'"', quoted).unwrap_or(quoted.len());
            self.value = &quoted[..end];
            (&quoted[..end], quoted.get(end + 1..).unwrap_or_default())
        } else {
            let end = rest.iter().position(|&byte| is_between_pairs(byte)).unwrap_or(rest.len());
            self.value = rest;
            rest.split_at(end)
        };
        self.rest = rest;
        Some((&before[key..], value))
    }
}

fn is_between_pairs(byte: u8) -> bool {
    matches!(byte, b' ' | b',' | b'\t' | b';' | b'|')
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

/// Whether pairs are a device's, which programs do not log: `SonicWall`'s and Stormshield's `id=firewall`, Fortinet's `date=` and
/// `devname=`, Sophos' `device=` and `device_name=`.
pub fn is_device_pairs(text: &[u8]) -> bool {
    const FIRST: [&[u8]; 6] =
        [b"id=firewall ", b"id=\"firewall\"", b"date=", b"devname=", b"device=", b"device_name="];
    FIRST.iter().any(|start| text.starts_with(start))
}

/// `ScreenOS` without a timestamp: `name: NetScreen device_id=name [Root]system-…`, at whose end the time may stand in
/// parentheses.
fn netscreen(body: &[u8]) -> Option<Found<'_>> {
    let (name, behind) = super::word(&body[..body.len().min(300)]);
    let name = name.strip_suffix(b":")?;
    let said = super::word(behind.strip_prefix(b" NetScreen device_id=")?).0;
    let when = body
        .strip_suffix(b")")
        .and_then(|text| text.rsplitn(2, |&byte| byte == b'(').next())
        .and_then(|inner| scan::scan(inner).filter(|found| found.len == inner.len()))
        .map(|found| found.when);
    (said == name).then_some(Found { host: Some(name), when })
}

/// Snare: host, `MSWinEventLog`, criticality, source, counter, time and more, between tabs.
fn snare(body: &[u8]) -> Option<Found<'_>> {
    // Only the first two columns decide; a name of Windows has less than 64 bytes.
    let start = &body[..body.len().min(300)];
    let end = memchr::memchr(b'\t', start)?;
    let mut columns = body[end + 1..].splitn(6, |&byte| byte == b'\t');
    (columns.next()? == b"MSWinEventLog" && host::is_host(&body[..end]))
        .then(|| Found { host: Some(&body[..end]), when: columns.nth(3).and_then(stamp) })
}

/// Radware: `[Device: name address]` before the text.
fn device(body: &[u8]) -> Found<'_> {
    let name = body.strip_prefix(b"[Device: ").and_then(|inner| {
        let (name, behind) = super::word(inner);
        let address = super::without_space(behind).split(|&byte| byte == b']').next()?;
        host::is_address(address).then_some(name)
    });
    Found { host: name, when: None }
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

/// A table's row or a list whose first field is a timestamp. Meru's controllers write the letter behind their seconds by which C
/// knows a long number.
fn first_field(body: &[u8]) -> Found<'_> {
    if let [seconds @ .., b'l', b' ', b'|'] = &body[..body.len().min(13)] {
        return Found { host: None, when: stamp(seconds) };
    }
    if let Some(when) = digits_without_year(body) {
        return Found { host: None, when: Some(when) };
    }
    let when = scan::scan(body)
        .filter(|found| matches!(body.get(found.len), Some(b'|' | b',' | b';' | b'\t')))
        .map(|found| found.when);
    Found { host: None, when }
}

/// JSON whose keys a schema documents: Elastic Common Schema and Logstash (`@timestamp`, `host.name`), GELF (`version` or
/// `short_message`, `host`, `timestamp`), Suricata's EVE (`event_type`, `host`, `timestamp`), rsyslog's `StdJSONFmt`
/// (`fromhost`, `timereported`), syslog-ng's `format-json` (`HOST` with `DATE` or `ISODATE`), journald's export (`_HOSTNAME`,
/// `__REALTIME_TIMESTAMP`), `NXLog` (`Hostname`, `EventTime`) and Windows' own names (`Computer` with `EventID`), osquery
/// (`hostIdentifier`, `unixTime`), Bunyan and Pino (`hostname` with `pid` and `level`), Beats before version 7
/// (`beat.hostname`). Of other objects only the time is taken, as loggers name it: `time` (Go, Pino, Docker),
/// `timestamp`, `ts` (Zap, Zeek), `@t` (Serilog), `asctime` (Python), `t.$date` (`MongoDB`), or by any other name for the time itself; a `host` may be the one that
/// a request was for.
fn json(body: &[u8]) -> Found<'_> {
    let mut found = Found::default();
    let [mut when, mut logged, mut other] = [None; 3];
    let mut host = None;
    let mut documented = false;
    let [mut own, mut windows, mut logger, mut capital] = [None; 4];
    let [mut is_windows, mut has_pid, mut has_level, mut has_date] = [false; 4];
    let whole = |value| scan::scan(value).filter(|found| found.len == value.len()).map(|found| found.when);
    for (depth, parent, key, value) in json::Members::new(body) {
        match (depth, key) {
            (1, b"@timestamp" | b"timereported") => found.when = stamp(value),
            (1, b"host.name" | b"fromhost") => found.host = Some(value),
            (2, b"name") if parent == b"host" => found.host = Some(value),
            (2, b"hostname") if parent == b"beat" => own = Some(value),
            (1, b"_HOSTNAME" | b"hostIdentifier") => own = Some(value),
            (1, b"Hostname" | b"Computer") => windows = Some(value),
            (1, b"hostname") => logger = Some(value),
            (1, b"HOST") => capital = Some(value),
            (1, b"pid") => has_pid = true,
            (1, b"level") => has_level = true,
            (1, b"EventID") => is_windows = true,
            (1, b"EventTime") => {
                is_windows = true;
                logged = logged.or_else(|| whole(value));
            }
            (1, b"DATE" | b"ISODATE") => {
                has_date = true;
                logged = logged.or_else(|| whole(value));
            }
            (1, b"__REALTIME_TIMESTAMP" | b"unixTime") => logged = logged.or_else(|| whole(value)),
            (1, b"short_message" | b"event_type") => documented = true,
            (1, b"host") => host = Some(value),
            (1, b"timestamp") => when = stamp(value),
            (1, b"time" | b"ts" | b"@t" | b"asctime") => logged = logged.or_else(|| whole(value)),
            (2, b"$date") if parent == b"t" => logged = logged.or_else(|| whole(value)),
            (2, b"created") if parent == b"event" => other = other.or_else(|| whole(value)),
            (1, key) if is_label(key) || is_date(key) => other = other.or_else(|| whole(value)),
            _ => {}
        }
    }
    // Logstash's own event has the host as a text.
    if found.when.is_some() {
        found.host = found.host.or(host);
    } else if documented {
        found = Found { host, when };
    }
    let named = own
        .or(windows.filter(|_| is_windows))
        .or(logger.filter(|_| has_pid && has_level))
        .or(capital.filter(|_| has_date));
    Found { host: found.host.or(named), when: found.when.or(when).or(logged).or(other) }
}

/// Palo Alto's CSV: a field for future use, time of reception, serial number, type; then, by type, the device's name.
fn palo_alto(body: &[u8]) -> Option<Found<'_>> {
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
