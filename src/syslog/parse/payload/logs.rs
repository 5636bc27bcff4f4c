//! Lines of programs' own logs, which forwarders send as they stand behind a PRI: each names its machine in a place that
//! its manual documents.

use super::csv::Columns;
use super::times::two_digits;
use super::{Found, stamp};
use crate::syslog::parse::{host, leading_digits, skip_spaces, word};
use crate::syslog::time::scan;
use crate::syslog::time::{Stamp, When, Zone};

/// What is searched: machine and time stand at the beginning.
const MAX_BYTES: usize = 1024;

/// `WebLogic`: `####<time> <severity> <subsystem> <machine> <server> …`.
pub(super) fn web_logic(body: &[u8]) -> Option<Found<'_>> {
    let mut fields = body[..body.len().min(MAX_BYTES)].strip_prefix(b"####<")?.split(|&byte| byte == b'>');
    let when = fields.next().and_then(stamp)?;
    let machine = fields.nth(2)?.strip_prefix(b" <")?;
    Some(Found { host: Some(machine), when: Some(when) })
}

/// Db2's diagnostic log: a time with points whose offset is in minutes, `2026-11-24-09.31.07.123456-300`, and a line
/// `HOSTNAME: name`.
pub(super) fn db2(body: &[u8]) -> Option<Found<'_>> {
    /// The farthest zone's.
    const MAX_OFFSET_MINUTES: i32 = 14 * 60;
    const NAME: &[u8] = b"\nHOSTNAME: ";
    let (time, _) = word(body);
    let at = time.len().checked_sub(4).filter(|&at| at > 19 && matches!(time[at], b'+' | b'-'))?;
    if time[10] != b'-' || time[13] != b'.' {
        return None;
    }
    let (date, offset) = time.split_at(at);
    let minutes = offset[1..]
        .iter()
        .try_fold(0, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + i32::from(digit - b'0')))?;
    let found = scan::scan(date).filter(|found| found.len == date.len() && minutes <= MAX_OFFSET_MINUTES)?;
    let When::Civil(stamp @ Stamp { zone: Zone::Unnamed, .. }) = found.when else { return None };
    let zone = Zone::Offset(if offset[0] == b'-' { -minutes } else { minutes });
    let text = &body[..body.len().min(MAX_BYTES)];
    let host = memchr::memmem::find(text, NAME)
        .map(|at| text[at + NAME.len()..].split(u8::is_ascii_whitespace).next().unwrap_or_default());
    Some(Found { host, when: Some(When::Civil(Stamp { zone, ..stamp })) })
}

/// Oracle's alert log in XML: `<msg time='…' … host_id='name'`. The Network Policy Server's log in XML:
/// `<Event><Timestamp data_type="4">…</Timestamp><Computer-Name data_type="1">name</Computer-Name>`.
pub(super) fn element(body: &[u8]) -> Option<Found<'_>> {
    const HOST: &[u8] = b" host_id='";
    const COMPUTER: &[u8] = b"<Computer-Name data_type=\"1\">";
    let text = &body[..body.len().min(MAX_BYTES)];
    let until = |mark: &[u8], end: u8| {
        text[memchr::memmem::find(text, mark)? + mark.len()..].split(|&byte| byte == end).next()
    };
    if text.starts_with(b"<msg time='") {
        return Some(Found { host: until(HOST, b'\''), when: until(b"<msg time='", b'\'').and_then(stamp) });
    }
    let time = text.strip_prefix(b"<Event><Timestamp data_type=\"4\">")?;
    Some(Found { host: until(COMPUTER, b'<'), when: stamp(time) })
}

/// The Network Policy Server's log in columns: `"name","IAS",11/24/2026,09:31:07,…`.
pub(super) fn policy_server(body: &[u8]) -> Option<Found<'_>> {
    let (name, rest) = body.strip_prefix(b"\"")?.split_at(memchr::memchr(b'"', &body[1..])?);
    let date = rest.strip_prefix(b"\",\"IAS\",")?;
    // Date and time of day have a column each.
    let stamp = |date: &[u8]| {
        let part = |at: usize| two_digits(date, at);
        let year = i32::from(part(6)?) * 100 + i32::from(part(8)?);
        let is_one =
            [2, 5, 10, 13, 16, 19].iter().zip(b"//,::,").all(|(&at, sign)| date.get(at) == Some(sign));
        if !is_one || !(1970..=2199).contains(&year) {
            return None;
        }
        let stamp = Stamp {
            year: Some(year),
            month: part(0)?,
            day: part(3)?,
            hour: part(11)?,
            minute: part(14)?,
            second: part(17)?,
            fraction: &[],
            zone: Zone::Unnamed,
            either_order: false,
        };
        stamp.is_valid().then_some(When::Civil(stamp))
    };
    Some(Found { host: Some(name), when: Some(stamp(date)?) })
}

/// Oracle's diagnostic logs: brackets with the time, the component, the severity …, among them `[host: name]` in front of
/// an address, a thread or a context. Others' brackets may hold a peer's name.
pub(super) fn diagnostic(body: &[u8]) -> Option<Found<'_>> {
    /// There are some ten.
    const MAX_BRACKETS: usize = 16;
    const BEHIND: [&[u8]; 4] = [b"[nwaddr: ", b"[pid: ", b"[tid: ", b"[ecid: "];
    let mut rest = &body[..body.len().min(MAX_BYTES)];
    let mut when = None;
    for at in 0..MAX_BRACKETS {
        let inner = rest.strip_prefix(b"[")?;
        let (group, behind) = inner.split_at(memchr::memchr(b']', inner)?);
        rest = behind.strip_prefix(b"] ")?;
        if at == 0 {
            when = scan::scan(group).filter(|found| found.len == group.len()).map(|found| found.when);
        }
        if let Some(name) = group.strip_prefix(b"host: ") {
            return BEHIND
                .iter()
                .any(|next| rest.starts_with(next))
                .then_some(Found { host: Some(name), when });
        }
    }
    None
}

/// The audit trail of SAP HANA, behind its TAG: the time, the service, the machine, the system's id, its number, the
/// port, between semicolons.
pub(super) fn hana_audit(body: &[u8]) -> Option<Found<'_>> {
    const SERVICES: [&[u8]; 11] = [
        b"diserver",
        b"statisticsserver",
        b"esserver",
        b"indexserver",
        b"nameserver",
        b"scriptserver",
        b"compileserver",
        b"dpserver",
        b"xsengine",
        b"preprocessor",
        b"webdispatcher",
    ];
    let text = &body[..body.len().min(MAX_BYTES)];
    let mut columns = Columns::new(text, b';');
    let when = columns.next().and_then(stamp)?;
    columns.next().filter(|service| SERVICES.contains(service))?;
    let name = columns.next().filter(|name| host::is_host(name))?;
    let is_system = columns.next()?.len() == 3;
    let is_number =
        |digits: &[u8], least: usize| digits.len() >= least && leading_digits(digits) == digits.len();
    (is_system && columns.next()?.len() == 2 && is_number(columns.next()?, 5))
        .then_some(Found { host: Some(name), when: Some(when) })
}

/// The hardcopy log of z/OS: the kind of record, the routing codes, the system, the day of the year and the time,
/// `N 4000000 SYSA     26328 09:31:07.51 STC01234 …`.
pub(super) fn hardcopy(body: &[u8]) -> Option<Found<'_>> {
    let [b'A'..=b'Z', b' ' | b'A'..=b'Z', rest @ ..] = body else { return None };
    let (codes, rest) = word(rest.strip_prefix(b" ").unwrap_or(rest));
    let (name, rest) = word(rest.strip_prefix(b" ")?);
    let (date, time) = skip_spaces(rest).split_at_checked(5)?;
    let is_one = codes.len() == 7
        && codes.iter().all(u8::is_ascii_hexdigit)
        && host::is_host(name)
        && date.iter().all(u8::is_ascii_digit);
    let time = time.strip_prefix(b" ").filter(|time| is_one && time.len() > 11 && time[11] == b' ')?;
    let part = |at: usize| two_digits(time, at);
    let digits = |range: &[u8]| range.iter().fold(0, |sum, digit| sum * 10 + i32::from(digit - b'0'));
    let year = 2000 + digits(&date[..2]);
    let (month, day) = day_of_year(year, digits(&date[2..]))?;
    let stamp = Stamp {
        year: Some(year),
        month,
        day,
        hour: part(0)?,
        minute: part(3)?,
        second: part(6)?,
        fraction: &time[9..11],
        zone: Zone::Unnamed,
        either_order: false,
    };
    let is_clock =
        time[2] == b':' && time[5] == b':' && time[8] == b'.' && time[9..11].iter().all(u8::is_ascii_digit);
    (is_clock && stamp.is_valid()).then_some(Found { host: Some(name), when: Some(When::Civil(stamp)) })
}

/// Month and day of a day of the year, counted from 1.
fn day_of_year(year: i32, mut day: i32) -> Option<(u8, u8)> {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = [31, 28 + i32::from(is_leap), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    for (month, length) in (1..).zip(days) {
        if day <= length {
            return Some((month, u8::try_from(day).ok().filter(|&day| day > 0)?));
        }
        day -= length;
    }
    None
}

/// The operator's messages of `OpenVMS`: `%%%%%%%%%%%  OPCOM  24-NOV-2026 09:31:07.12  %%%%%%%%%%%`, and in the next line
/// `Message from user name on node`.
pub(super) fn operator(body: &[u8]) -> Option<Found<'_>> {
    const START: &[u8] = b"%%%%%%%%%%%  OPCOM ";
    const USER: &[u8] = b"Message from user ";
    const NODE: &[u8] = b" on ";
    let text = &body[..body.len().min(MAX_BYTES)];
    let time = skip_spaces(text.strip_prefix(START)?);
    let when = stamp(time);
    let node = || {
        let user = &time[memchr::memmem::find(time, USER)? + USER.len()..];
        let line = user.split(|byte| matches!(byte, b'\r' | b'\n')).next()?;
        Some(word(&line[memchr::memmem::find(line, NODE)? + NODE.len()..]).0)
    };
    Some(Found { host: node(), when })
}
