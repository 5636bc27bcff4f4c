//! `key=value` in its many forms: CEF and LEEF behind their bars, and pairs with or without quotes.

use super::json::Member;
use super::names::{Names, name_of};
use super::times::{is_label, is_time};
use super::{Found, stamp};
use crate::syslog::parse::level::is_level_in_capitals;
use crate::syslog::parse::{host, leading_digits, skip_spaces, word};
use crate::syslog::time::scan::{self, Form};
use crate::syslog::time::{Stamp, When, Zone};

/// CEF: `dvchost` or `dvc`, and `rt`, else `start`, else `end`, else `timeStamp` or `deviceTime`, which its dictionary does not
/// have, or a date of the product's own that it calls that of detection; some write the full names of the dictionary.
pub(super) fn cef(body: &[u8]) -> Found<'_> {
    let mut found = Found::default();
    let [mut begin, mut end, mut written, mut said, mut custom] = [None; 5];
    let is_broker = body.splitn(3, |&byte| byte == b'|').nth(1) == Some(b"MCAS");
    let mut detected = false;
    let mut address = None;
    let extension = body.splitn(8, |&byte| byte == b'|').nth(7).unwrap_or_default();
    for (key, rest) in KeyStarts::new(extension, b' ') {
        let is_quoted = rest.starts_with(b"\"");
        let rest = unquoted(rest);
        // In quotes a name of several words is none, and neither is its first word.
        let value = if is_quoted { rest } else { word(rest).0 };
        match key {
            b"dvchost" | b"deviceHostName" | b"UNIFIhost" => found.host = name_of(value),
            // In Defender for Cloud Apps it is who was seen.
            b"dvc" if is_broker => {}
            b"dvc" | b"deviceAddress" => address = name_of(value),
            b"ApexCentralHost" => {
                let (name, behind) = word(rest);
                let is_one_word = is_key_value(skip_spaces(behind)) || behind.is_empty();
                address = address.or_else(|| name_of(name).filter(|_| is_one_word));
            }
            // Check Point's gateway, where `dvc` is not mapped.
            b"origin" => address = address.or(Some(value).filter(|value| host::is_address(value))),
            b"rt" | b"deviceReceiptTime" => {
                found.when = stamp(rest.strip_prefix(b"#arcsightDate(").unwrap_or(rest));
            }
            b"start" => begin = stamp(rest),
            b"end" => end = stamp(rest),
            b"timeStamp" => written = stamp(rest),
            b"deviceTime" => written = written.or_else(|| stamp(rest)),
            b"timestamp" => said = stamp(rest),
            b"deviceCustomDate1" => custom = stamp(rest),
            b"deviceCustomDate1Label" => detected = word(rest).0 == b"detectionDate",
            _ => {}
        }
    }
    found.host = found.host.or(address);
    found.when = found.when.or(begin).or(end).or(written).or(said).or(custom.filter(|_| detected));
    found
}

/// What stands between quotes, which CEF does not ask for, or behind one where the message is cut; all of it where there
/// are none.
fn unquoted(rest: &[u8]) -> &[u8] {
    let Some(inner) = rest.strip_prefix(b"\"") else { return rest };
    &inner[..memchr::memchr(b'"', inner).unwrap_or(inner.len())]
}

/// LEEF: `devTime`; the format itself documents no field for the device, the products that send it use CEF's or their own.
pub(super) fn leef<'a>(body: &'a [u8]) -> Found<'a> {
    /// The longest name, and the longest time with its zone's name.
    const MAX_VALUE_BYTES: usize = 256;
    const MAX_TIME_BYTES: usize = 64;
    let mut found = Found::default();
    let mut names = Names::default();
    let (mut other, mut receipt, mut sensor) = (None, None, None);
    let mut fields = body.splitn(6, |&byte| byte == b'|');
    let is_second = fields.next().is_some_and(|version| version.trim_ascii_end().ends_with(b"2.0"));
    let (vendor, product) = (fields.next().unwrap_or_default(), fields.next().unwrap_or_default());
    let attributes = fields.nth(2).unwrap_or_default();
    let stated = stated_separator(attributes).filter(|_| is_second);
    // Some separate attributes by spaces, some by tabs whatever they state.
    let is_tabbed = attributes.contains(&b'\t');
    let separator = if is_tabbed { b'\t' } else { stated.unwrap_or(b' ') };
    let ends_value = |byte: &u8| matches!(byte, b'\t' | b'|' | b'^') || *byte == separator;
    let cut = |rest: &'a [u8], max_bytes: usize| {
        let rest = &rest[..rest.len().min(max_bytes)];
        &rest[..rest.iter().position(ends_value).unwrap_or(rest.len())]
    };
    let value = |rest| word(cut(rest, MAX_VALUE_BYTES)).0;
    // A separator may stand inside a time, too.
    let stamp = |rest: &'a [u8]| {
        let whole = || stamp(&rest[..rest.len().min(MAX_TIME_BYTES)]);
        let cut = cut(rest, MAX_TIME_BYTES);
        (separator != b' ').then(|| stamp(cut)).flatten().or_else(whole)
    };
    for (key, rest) in KeyStarts::new(attributes, separator) {
        match key {
            b"devTime" => found.when = stamp(rest),
            // CEF's, which some put in where LEEF's own is missing.
            b"rt" => receipt = stamp(rest),
            b"origin" if vendor == b"Check Point" => {
                sensor = sensor.or(Some(value(rest)).filter(|value| host::is_address(value)));
            }
            // Forcepoint's engine, which has a name of several words or an address.
            b"sender" if vendor == b"FORCEPOINT" && !product.starts_with(b"Email") => {
                sensor = sensor.or(Some(value(rest)).filter(|value| host::is_address(value)));
            }
            b"sensor" if product == b"Dragon" => sensor = sensor.or_else(|| name_of(value(rest))),
            _ if is_label(key) => other = other.or_else(|| stamp(rest)),
            _ => names.take(&Member::at_top(key, value(rest))),
        }
    }
    // The computers that its events name are those that they are about.
    Found { host: names.device().or(sensor), when: found.when.or(other).or(receipt) }
}

/// The separator that LEEF 2.0 states in front of the attributes, before a bar: itself, or its number in hexadecimal
/// digits behind `x` or `0x`.
fn stated_separator(attributes: &[u8]) -> Option<u8> {
    /// `0x0009`.
    const MAX_BYTES: usize = 6;
    let field = &attributes[..memchr::memchr(b'|', &attributes[..attributes.len().min(MAX_BYTES + 1)])?];
    if let [byte] = field {
        return (!byte.is_ascii_alphanumeric()).then_some(*byte);
    }
    let digits = field.strip_prefix(b"0").unwrap_or(field);
    let digits = digits.strip_prefix(b"x").or_else(|| digits.strip_prefix(b"X"))?;
    u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
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

/// A text that begins with two pairs of a capital and quotes, `Action="drop" Service="https"`, as gateways write their
/// records and programs seldom do.
pub fn is_quoted_pairs(text: &[u8]) -> bool {
    let pair = |text: &[u8]| {
        let sign = memchr::memchr(b'=', &text[..text.len().min(64)])?;
        let is_pair = text.first().is_some_and(u8::is_ascii_uppercase) && is_key_value(text);
        let value = text[sign + 1..].strip_prefix(b"\"").filter(|_| is_pair)?;
        Some(text.len() - value.len() + quote(value)? + 1)
    };
    pair(text)
        .map(|end| text[end..].trim_ascii_start())
        .map(|next| next.strip_prefix(b",").unwrap_or(next).trim_ascii_start())
        .is_some_and(is_key_value)
}

/// Pairs with quoted values: loggers in general (`time`, `timestamp`, `ts`, `t`), Fortinet (`devname`, `date`, `time`,
/// `tz`; the serial number in `devid` or `device_id` names no host), Forcepoint's engines (an address in `NodeId`,
/// `Timestamp`), Sophos (`device_name`, but for a model, `date`, `time`, `timezone`, or `timestamp`), `SonicWall` and
/// Stormshield (`id=firewall`, a serial number or `startime`, `fw`, `time`), Linux audit (`node`,
/// `msg=audit(time:serial)`), Check Point (`time=…|hostname=…|`, LEA's `orig`), `AirDefense` (`ManagerName` between bars);
/// else the names and times that others document, however they are written.
pub(super) fn key_value(body: &[u8]) -> Found<'_> {
    let mut found = Found::default();
    let [mut date, mut time, mut zone] = [None; 3];
    let [mut whole, mut later] = [None; 2];
    let [mut firewall, mut rated, mut numbered] = [false; 3];
    let [mut node, mut engine, mut wall, mut sandbox, mut series, mut model] = [None; 6];
    let mut names = Names::default();
    let bars = body[..body.len().min(64)].contains(&b'|');
    let mut pairs = Pairs { rest: body, value: body };
    while let Some((key, value)) = pairs.next() {
        numbered |= matches!(key, b"log_id" | b"device_id" | b"device_serial_id")
            || key == b"device" && value == b"SFW";
        match key {
            b"NodeId" => engine = engine.or(Some(value).filter(|id| host::is_address(id))),
            b"device_name" if is_of_series(value) => series = series.or(Some(value)),
            b"device_model" => model = model.or(Some(value)),
            b"devname" | b"device_name" | b"dname" => found.host = found.host.or_else(|| name_of(value)),
            // FortiSandbox has its serial number behind its name; FortiClient's name is a client's.
            b"devhost" => sandbox = name_of(value),
            b"devid" if value.starts_with(b"FSA") => found.host = found.host.or(sandbox),
            // Arkoon puts its log's name in front, with spaces or without.
            b"id" | b"AKLOG-id" => firewall |= value == b"firewall",
            b"pri" | b"PRI" => rated = true,
            b"sn" | b"startime" => firewall = true,
            b"hostname" | b"orig" | b"ManagerName" if bars => {
                found.host = found.host.or_else(|| name_of(value));
            }
            b"node" => node = node.or(Some(value)),
            b"msg" if found.when.is_none() && value.starts_with(b"audit(") => {
                found.when = stamp(&value[6..]);
                found.host = found.host.or(node);
            }
            b"fw" => wall = wall.or(Some(value)),
            // In capitals it is the version of somebody's firmware as well.
            b"FW" if host::is_address(value) || !value.contains(&b'.') => wall = wall.or(Some(value)),
            b"date" | b"Date" => date = date.or(Some(value)),
            // Without quotes its own spaces end it too early for a timestamp, not for a time of day.
            b"time" | b"Time" | b"TIME" if time.is_none() => {
                time = Some(value);
                whole = stamp(pairs.value);
            }
            // Arkoon's firewalls say both.
            b"gmtime" => {
                let epoch = scan::scan(value).filter(|time| time.form == Form::Epoch);
                found.when = found.when.or(epoch.map(|time| time.when));
            }
            b"tz" | b"timezone" => zone = zone.or(Some(value)),
            b"timestamp" | b"Timestamp" | b"ts" | b"t" => found.when = found.when.or_else(|| stamp(value)),
            _ if found.when.is_none() && time.is_none() && later.is_none() && is_time(key) => {
                later = stamp(pairs.value).or_else(|| stamp(value));
            }
            // What begins with a gateway's name has no other.
            _ if found.host.is_none() && wall.is_none() => names.take(&Member::at_top(key, value)),
            _ => {}
        }
    }
    // WebTrends' format, which gateways of all kinds speak, begins with `id=` and has a time and `pri=`.
    if firewall || (body.starts_with(b"id=") || body.starts_with(b"ID=\"")) && rated && time.is_some() {
        found.host = found.host.or(wall);
    }
    if body.starts_with(b"Timestamp=") {
        found.host = found.host.or(engine);
    }
    // Sophos' gateways and Cyberoam's, whose records have a number, say their model there, unless another one stands
    // beside it. Other names in such a record are not their own.
    let is_other = |model: &[u8], name: &[u8]| {
        let same = model.get(..name.len()).is_some_and(|model| model.eq_ignore_ascii_case(name))
            && !model.get(name.len()).is_some_and(u8::is_ascii_alphanumeric)
            || is_virtual_series(model) && is_virtual_series(name);
        !model.is_empty() && !same && name != b"SFW"
    };
    let is_name =
        |name: &&[u8]| !numbered && *name != b"SFW" || model.is_some_and(|model| is_other(model, name));
    found.host = found.host.or(series.filter(is_name));
    found.host = found.host.or_else(|| names.host().filter(|_| series.is_none()));
    // FortiAnalyzer's `timestamp` is the device's time of day taken for UTC; date and time have their zone beside them.
    if let (Some(date), Some(time), Some(_)) = (date, time, zone) {
        found.when = date_and_time(date, time, zone).or(found.when);
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

/// Whether this is a model of Sophos' or Cyberoam's, or what all of one kind are delivered as: `SFW`, `XG135w`, `CR50iNG`,
/// `CR25iNG-6P`, `SFVUNL`.
fn is_of_series(name: &[u8]) -> bool {
    const SERIES: [&[u8]; 4] = [b"XGS", b"XG", b"SG", b"CR"];
    const VARIANTS: [&[u8]; 7] = [b"", b"w", b"i", b"ia", b"wi", b"ing", b"wing"];
    let is_ports = |text: &[u8]| {
        matches!(text, b"XP" | b"RP")
            || matches!(&text[leading_digits(text)..], [b'P' | b'F'] if text.len() > 1)
    };
    let is_model = |rest: &[u8]| {
        let digits = leading_digits(rest);
        let variant = &rest[digits..];
        let (variant, ports) = variant.split_at(memchr::memchr(b'-', variant).unwrap_or(variant.len()));
        digits >= 2
            && VARIANTS.iter().any(|known| known.eq_ignore_ascii_case(variant))
            && ports.strip_prefix(b"-").is_none_or(|ports| !variant.is_empty() && is_ports(ports))
    };
    name == b"SFW"
        || is_virtual_series(name)
        || SERIES.iter().any(|series| name.strip_prefix(*series).is_some_and(is_model))
}

/// Sophos' virtual machines, which may be called by another of these than their `device_model`: `SFVUNL`, `SFV4C6`, `SF01V`.
fn is_virtual_series(name: &[u8]) -> bool {
    match name.strip_prefix(b"SF") {
        Some(b"VH" | b"VUNL" | b"VAWS") => true,
        Some([b'V', kind @ ..]) => matches!(kind, [b'0'..=b'9', b'C', b'0'..=b'9', ..] if kind.len() <= 4),
        kind => matches!(kind, Some([b'0'..=b'9', b'0'..=b'9', b'V'])),
    }
}

/// Whether pairs begin with the date and the time of day that a device puts in front of its own.
pub(super) fn begins_with_date(body: &[u8]) -> bool {
    let mut pairs = Pairs { rest: body, value: body };
    let mut is_next = |key: &[u8]| pairs.next().is_some_and(|(found, _)| found == key);
    body.starts_with(b"date=") && is_next(b"date") && is_next(b"time")
}

/// Two values that make one timestamp.
pub(super) fn date_and_time<'a>(date: &'a [u8], time: &'a [u8], zone: Option<&'a [u8]>) -> Option<When<'a>> {
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
        either_order: false,
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
            let end = quote(quoted).unwrap_or(quoted.len());
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

/// The quote that ends a value. One behind a backslash does where a pair's end follows: Windows' folders end with that
/// sign.
fn quote(value: &[u8]) -> Option<usize> {
    memchr::memchr_iter(b'"', value).find(|&at| {
        let is_escaped = value[..at].ends_with(b"\\");
        !is_escaped || value.get(at + 1).is_none_or(|&next| is_between_pairs(next))
    })
}

fn is_between_pairs(byte: u8) -> bool {
    matches!(byte, b' ' | b',' | b'\t' | b';' | b'|')
}

/// Whether pairs are a device's, which programs do not log: `SonicWall`'s and Stormshield's `id=firewall`, Fortinet's
/// `date=` and `devname=`, Sophos' `device=` and `device_name=`.
pub fn is_device_pairs(text: &[u8]) -> bool {
    const FIRST: [&[u8]; 6] =
        [b"id=firewall ", b"id=\"firewall\"", b"date=", b"devname=", b"device=", b"device_name="];
    FIRST.iter().any(|start| text.starts_with(start))
}

/// `CloudGen` Firewall of Barracuda: a level, its name and what it did with a colon behind it, where the TAG is the
/// log's name.
fn box_log<'a>(app: &[u8], body: &'a [u8]) -> Option<&'a [u8]> {
    if app != b"box_Firewall_Activity" {
        return None;
    }
    let (level, rest) = word(body);
    let (name, rest) = word(skip_spaces(rest));
    let (action, _) = word(skip_spaces(rest));
    let is_log = is_level_in_capitals(level) && action.ends_with(b":");
    Some(name).filter(|_| is_log)
}

/// The sensor that Network Security Manager forwards alerts of: `name detected Inbound attack …`.
fn detecting(body: &[u8]) -> Option<&[u8]> {
    let (name, rest) = word(body);
    let (direction, rest) = word(rest.strip_prefix(b" detected ")?);
    let is_alert =
        matches!(direction, b"Inbound" | b"Outbound" | b"Unknown") && rest.starts_with(b" attack ");
    is_alert.then_some(name)
}

/// The machine of the product that Control Manager reports of: `Security product node="name"`.
fn security_product(body: &[u8]) -> Option<&[u8]> {
    /// The event and the product stand in front.
    const MAX_BYTES: usize = 256;
    const KEY: &[u8] = b" Security product node";
    let at = memchr::memmem::find(&body[..body.len().min(MAX_BYTES)], KEY)? + KEY.len();
    let value = body[at..].trim_ascii_start().strip_prefix(b"=\"")?;
    name_of(&value[..memchr::memchr(b'"', value)?])
}

/// Check Point's exporter: the gateway's address among its own pairs, `[action:"Drop"; …; origin:"192.0.2.7"; …]`.
fn exported(body: &[u8]) -> Option<&[u8]> {
    const KEY: &[u8] = b" origin:\"";
    let value = &body[memchr::memmem::find(body.strip_prefix(b"[")?, KEY)? + 1 + KEY.len()..];
    value.split(|&byte| byte == b'"').next().filter(|address| host::is_address(address))
}

/// `NetScaler` SDX' management service: its address, a time of `NetScaler`'s form and a colon between spaces.
fn service_vm(body: &[u8]) -> Option<&[u8]> {
    let (address, behind) = word(body);
    let time = behind.strip_prefix(b" ")?;
    let scanned = scan::scan(time).filter(|_| time.get(10) == Some(&b':'))?;
    time[scanned.len..].starts_with(b" : ").then_some(address)
}

/// Where Endpoint Protection's manager says a site, it says its own name behind it: `Site: …,Server Name: name,` and for
/// what administrators do `Site: …,Server: name,`.
fn protection_manager(body: &[u8]) -> Option<&[u8]> {
    /// A computer and a site's name.
    const MAX_BYTES: usize = 192;
    let start = &body[..body.len().min(MAX_BYTES)];
    let site = memchr::memmem::find(start, b"Site: ").filter(|&at| at == 0 || start[at - 1] == b',')?;
    let at = site + memchr::memmem::find(&start[site..], b",Server")? + b",Server".len();
    let value = body[at..].strip_prefix(b" Name").unwrap_or(&body[at..]).strip_prefix(b": ")?;
    name_of(&value[..memchr::memchr(b',', value)?])
}

/// Network Security Manager's alerts; Control Manager's events; Endpoint Protection's manager; Check Point; `NetScaler` SDX; Versa's
/// logs, whose second column is `applianceName=`, and
/// Aviatrix' statistics, whose gateway is `name=`.
pub(super) fn appliance<'a>(app: Option<&[u8]>, body: &'a [u8]) -> Option<&'a [u8]> {
    /// The name of a log stands in front.
    const MAX_BYTES: usize = 64;
    if let Some(name) = app.and_then(|app| box_log(app, body)) {
        return Some(name);
    }
    if app == Some(b"SyslogAlertForwarder") {
        return detecting(body);
    }
    if app == Some(b"CheckPoint") {
        return exported(body);
    }
    if app == Some(b"svm_service") {
        return service_vm(body);
    }
    if app == Some(b"SymantecServer") {
        return protection_manager(body);
    }
    if app == Some(b"TMCM") {
        return security_product(body);
    }
    let versa = || {
        let at = memchr::memmem::find(&body[..body.len().min(MAX_BYTES)], b"Log, applianceName=")?;
        Some(&body[at + b"Log, ".len()..])
    };
    let key =
        if app.is_some_and(|app| app.starts_with(b"AviatrixGw")) { &b"name"[..] } else { b"applianceName" };
    let pairs = if key == b"name" { body } else { versa()? };
    Pairs { rest: pairs, value: pairs }.find(|(found, _)| *found == key).map(|(_, value)| value)
}
