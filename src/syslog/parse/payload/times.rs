//! The time of a text that has no header: at its beginning, in brackets, in a column of its own, or under a name that
//! says so.
//!
//! A time between the words of a text may be anybody's: a certificate's, a user's last login.

use super::key::Key;
use crate::syslog::parse::level::is_level_in_capitals;
use crate::syslog::parse::{devices, host, leading_digits, skip_spaces, without_space, word};
use crate::syslog::time::scan::{self, Form, Scanned};
use crate::syslog::time::{Stamp, When, Zone};

/// The time at the beginning of a text without a header, or in the first brackets near its beginning, or the second
/// behind a process and a client: Radware, access logs (Common Log Format), `HAProxy`, VOSS.
pub(super) fn first_time(text: &[u8]) -> Option<When<'_>> {
    /// The client's address and two words stand before the brackets of the Common Log Format.
    const MAX_BYTES: usize = 128;
    if let Some(quoted) = text.strip_prefix(b"\"") {
        let inner = &quoted[..memchr::memchr(b'"', &quoted[..quoted.len().min(MAX_BYTES)])?];
        return scan::scan(inner).filter(|found| found.len == inner.len()).map(|found| found.when);
    }
    // A level may stand before it.
    let (first, behind) = word(text);
    let dated = if is_level_in_capitals(first) { skip_spaces(behind) } else { text };
    if let Some(found) = scan::scan(dated).filter(|found| match dated.get(found.len) {
        None | Some(b' ' | b':' | b',' | b'\r' | b'\n') => true,
        Some(b'|') => found.form != Form::Epoch,
        // Access Manager's severity, a letter and a line.
        Some(b'A'..=b'Z') => dated[found.len + 1..].starts_with(b"---"),
        _ => false,
    }) {
        return Some(found.when);
    }
    if let Some(found) = behind_program(first, skip_spaces(behind)) {
        return Some(found.when);
    }
    // IronPort's proxies: a level, and the seconds of their access log.
    if let Some(rest) = text.strip_prefix(b"Info: ")
        && let Some(found) = scan::scan(rest).filter(|found| found.form == Form::Epoch)
        && rest.get(10) == Some(&b'.')
        && matches!(rest[found.len..], [b' ', b' ' | b'0'..=b'9', ..])
    {
        return Some(found.when);
    }
    // Identity Services Engine: the log's name and three numbers before it. Lights-Out: its own name and version.
    if let Some(found) = numbered_record(text).or_else(|| lights_out(text)).or_else(|| of_swift(text)) {
        return Some(found.when);
    }
    if let Some(when) = behind_process(text).or_else(|| behind_id(text)) {
        return Some(when);
    }
    let start = &text[..text.len().min(MAX_BYTES)];
    // A name between bars.
    if let Some(bar) = memchr::memchr(b'|', start)
        && let Some(found) = scan::scan(&text[bar + 1..])
        && text.get(bar + 1 + found.len) == Some(&b'|')
        && found.form != Form::Epoch
    {
        return Some(found.when);
    }
    // Other signs may enclose it at the beginning.
    if let [open @ (b'(' | b'<'), inner @ ..] = text
        && let Some(found) = scan::scan(inner)
        && inner.get(found.len) == Some(if *open == b'(' { &b')' } else { &b'>' })
    {
        return Some(found.when);
    }
    // vCenter's events have two numbers in brackets before the time.
    let open = if text.starts_with(b"Event [") {
        memchr::memmem::find_iter(start, b"[").nth(2)?
    } else {
        memchr::memchr(b'[', start)?
    };
    // Cisco's access points mark a clock that is not set.
    let inner = text[open + 1..].strip_prefix(b"*").unwrap_or(&text[open + 1..]);
    let within =
        scan::scan(inner).filter(|found| matches!(inner.get(found.len), Some(b']' | b' ' | b':' | b',')));
    // Gin writes its name in brackets before the time, phones of Snom a level.
    let behind = || {
        let close = memchr::memchr(b']', &inner[..inner.len().min(MAX_BYTES)]).filter(|_| open == 0)?;
        let behind = &inner[close + 1..];
        let is_level = close == 1 && inner[0].is_ascii_digit();
        // Fibre Channel switches of QLogic count their messages in brackets and have more of them.
        let numbered = behind.strip_prefix(b"[").filter(|_| leading_digits(inner) == close);
        let behind = match numbered {
            Some(time) => time,
            None if is_level => without_space(behind),
            None => behind.strip_prefix(b" ")?,
        };
        let is_end = |found: &Scanned<'_>| match behind.get(found.len) {
            Some(b':') => is_level,
            Some(b']') => numbered.is_some(),
            end => end == Some(&b' '),
        };
        scan::scan(behind).filter(|found| found.form != Form::Epoch && is_end(found))
    };
    // Gunicorn's has its process in brackets before the request's time.
    let second = || {
        let rest = text.strip_prefix(b"[")?;
        let (client, _) = word(rest[leading_digits(rest)..].strip_prefix(b"] ")?);
        if !host::is_address(client) {
            return None;
        }
        let at = memchr::memmem::find_iter(start, b"[").nth(1)?;
        scan::scan(&text[at + 1..]).filter(|found| text.get(at + 1 + found.len) == Some(&b']'))
    };
    within.or_else(behind).or_else(second).or_else(|| among_brackets(text)).map(|found| found.when)
}

/// Oracle's service processors: `ID = 4dc : Tue Nov 24 09:31:07 2026 : Audit : text`.
fn behind_id(text: &[u8]) -> Option<When<'_>> {
    let (id, rest) = word(text.strip_prefix(b"ID = ")?);
    let time =
        rest.strip_prefix(b" : ").filter(|_| !id.is_empty() && id.iter().all(u8::is_ascii_hexdigit))?;
    let found = scan::scan(time)?;
    time[found.len..].starts_with(b" : ").then_some(found.when)
}

/// Zabbix: a process, and a time of digits, `  4211:20261124:093107.110 text`. Phones of Cisco: a number, a level of three
/// letters and a time, `4211 NOT Nov 24 09:31:07.110871 (521:640) text`.
fn behind_process(text: &[u8]) -> Option<When<'_>> {
    let text = skip_spaces(text);
    let digits = leading_digits(text);
    if !(1..=7).contains(&digits) {
        return None;
    }
    if let Some(date) = text[digits..].strip_prefix(b":") {
        let is_one =
            leading_digits(date) == 8 && date.get(8) == Some(&b':') && leading_digits(&date[9..]) == 6;
        let fraction = date.get(15..).and_then(|rest| rest.strip_prefix(b"."))?;
        let fraction = &fraction[..leading_digits(fraction)];
        let is_one = is_one && (1..=9).contains(&fraction.len());
        let year = |at: usize| two_digits(date, at).map(i32::from);
        let stamp = without_year(date, [4, 6, 9, 11, 13], fraction).filter(|_| is_one)?;
        let year = Some(year(0)? * 100 + year(2)?).filter(|year| (1970..=2199).contains(year))?;
        let stamp = Stamp { year: Some(year), ..stamp };
        return stamp.is_valid().then_some(When::Civil(stamp));
    }
    let [level @ .., b' '] = text[digits..].strip_prefix(b" ")?.get(..4)? else { return None };
    let time = &text[digits + 5..];
    let found = scan::scan(time)
        .filter(|found| found.form != Form::Epoch && level.iter().all(u8::is_ascii_uppercase))?;
    time[found.len..].starts_with(b" (").then_some(found.when)
}

/// A time with brackets of its own among the first eight that begin a text: behind an empty pair, where nothing stands
/// between them, `[Auth][AuthReject][][][24/Nov/2026:09:31:07 -0500]`; or behind a number, with spaces and empty pairs,
/// `[-1234] [] [2026-11-24 09:31:07,110] text`. Others are those of what the text is about.
fn among_brackets(text: &[u8]) -> Option<Scanned<'_>> {
    const MAX_BRACKETS: usize = 8;
    let number = text.strip_prefix(b"[")?;
    let number = number.strip_prefix(b"-").unwrap_or(number);
    let is_numbered = number.get(leading_digits(number)) == Some(&b']');
    let (mut rest, mut has_empty) = (text, false);
    for at in 0..MAX_BRACKETS {
        let inner = rest.strip_prefix(b"[")?;
        let close = memchr::memchr(b']', &inner[..inner.len().min(64)])?;
        let found =
            scan::scan(&inner[..close]).filter(|found| found.len == close && found.form != Form::Epoch);
        if found.is_some() {
            return found.filter(|_| is_numbered || has_empty);
        }
        has_empty |= close == 0;
        let may_be_spaced = is_numbered && (at == 0 || close == 0);
        rest = &inner[close + 1..];
        rest = if may_be_spaced { without_space(rest) } else { rest };
    }
    None
}

/// Swift's proxies: the client, the peer, and `dd/Mmm/YYYY/hh/mm/ss`.
fn of_swift(text: &[u8]) -> Option<Scanned<'_>> {
    let is_client = |word: &[u8]| word == b"-" || host::is_address(word);
    let (client, rest) = word(text);
    let (peer, rest) = word(without_space(rest));
    let rest = without_space(rest);
    let is_date = rest.get(2) == Some(&b'/') && rest.get(11) == Some(&b'/');
    (is_date && is_client(client) && is_client(peer))
        .then(|| scan::scan(rest))?
        .filter(|found| rest.get(found.len) == Some(&b' '))
}

/// The time of a log line behind its program's name, where a process and a level in capitals follow it,
/// `nova-compute 2026-11-24 09:31:07.110 2733 INFO nova.compute text`.
fn behind_program<'a>(name: &[u8], text: &'a [u8]) -> Option<Scanned<'a>> {
    if !text.first().is_some_and(u8::is_ascii_digit) {
        return None;
    }
    let found = scan::scan(text).filter(|_| host::is_host(name))?;
    let behind = text[found.len..].strip_prefix(b" ")?;
    let process = leading_digits(behind);
    let (level, _) = word(behind[process..].strip_prefix(b" ").filter(|_| process > 0)?);
    (found.form != Form::Epoch && level.iter().all(u8::is_ascii_uppercase) && is_level_in_capitals(level))
        .then_some(found)
}

/// A time behind a number of ten digits and two others, which the name of a log may precede:
/// `CISE_Passed_Authentications 0000031420 2 0 2026-11-24 10:00:07.511 +01:00`.
fn numbered_record(text: &[u8]) -> Option<Scanned<'_>> {
    let (name, behind) = word(text);
    let is_log = name.starts_with(b"CISE_") || name.starts_with(b"CSCOacs_");
    let mut rest = if is_log { without_space(behind) } else { text };
    if leading_digits(rest) != 10 {
        return None;
    }
    for _ in 0..3 {
        let digits = leading_digits(rest);
        rest = rest[digits..].strip_prefix(b" ").filter(|_| digits > 0)?;
    }
    scan::scan(rest).filter(|found| found.form != Form::Epoch)
}

/// iLO's time behind `#ILO 5: `.
fn lights_out(text: &[u8]) -> Option<Scanned<'_>> {
    let [b'0'..=b'9', rest @ ..] = text.strip_prefix(b"#ILO ")? else { return None };
    scan::scan(rest.strip_prefix(b": ")?)
}

/// A day of the week, a date and a time of day at the end of a text, as home gateways of Netgear have it:
/// `[event] text, Tuesday, November 24, 2026 09:31:07`. Other texts end with other things' times; the one in parentheses of
/// Yamaha's routers is that of a session's beginning.
fn at_the_end(text: &[u8]) -> Option<When<'_>> {
    /// The longest of them.
    const MAX_BYTES: usize = 48;
    const DAY: &[u8] = b"day, ";
    const DAYS: [&[u8]; 7] = [b", Mon", b", Tues", b", Wednes", b", Thurs", b", Fri", b", Satur", b", Sun"];
    let text = text.trim_ascii_end();
    let end = &text[text.len().saturating_sub(MAX_BYTES)..];
    if !text.starts_with(b"[") {
        return None;
    }
    let at = memchr::memmem::rfind(end, DAY)?;
    let date = &end[at + DAY.len()..];
    if !DAYS.iter().any(|day| end[..at].ends_with(day)) {
        return None;
    }
    let found = scan::scan(date).filter(|found| found.len == date.len() && found.form != Form::Epoch)?;
    Some(found.when)
}

/// A time with a column of its own near the beginning of a text without a header: between two signs of one kind, in
/// quotes, or behind a name that says so (`[Time=…]`). A time between the words of a text may be anybody's.
pub(super) fn in_column(text: &[u8]) -> Option<When<'_>> {
    /// Some numbers and names stand before it; before a name that says so also pairs.
    const MAX_BYTES: usize = 160;
    const MAX_PAIRS_BYTES: usize = 320;
    /// The longest time, with the name of its zone.
    const MAX_TIME_BYTES: usize = 48;
    const AUDIT: &[u8] = b" audit(";
    // Access gateways of ZTE and session border controllers of AudioCodes say it at the end.
    if let Some(at) = memchr::memmem::find(&text[..text.len().min(MAX_BYTES)], b" occurred at ") {
        return scan::scan(&text[at + b" occurred at ".len()..]).map(|found| found.when);
    }
    // The kernel's own records of its audit.
    if let Some(at) = memchr::memmem::find(&text[..text.len().min(MAX_BYTES)], AUDIT)
        && let Some(found) = scan::scan(&text[at + AUDIT.len()..]).filter(|found| found.form == Form::Epoch)
    {
        return Some(found.when);
    }
    if let Some(when) = day_and_month_behind(text).or_else(|| at_the_end(text)) {
        return Some(when);
    }
    let when = |at: usize, end: u8| {
        let column = &text[at..text.len().min(at + MAX_TIME_BYTES)];
        let column = &column[..memchr::memchr(end, column)?];
        let found = |column| {
            scan::scan(column)
                .filter(|found| {
                    let behind = &text[at + found.len..];
                    found.form != Form::Epoch && without_space(behind).first() == Some(&end)
                })
                .map(|found| found.when)
        };
        // The colons of a time end no column, and a comma may separate the date from the time of day.
        found(column).or_else(|| matches!(end, b':' | b',').then(|| found(&text[at..])).flatten())
    };
    let in_columns = text.iter().take(MAX_PAIRS_BYTES).enumerate().find_map(|(at, &sign)| {
        if let Some(when) = labelled(text, at) {
            return Some(when);
        }
        let begins =
            at < MAX_BYTES && matches!(sign, b'|' | b',' | b';' | b'"' | b'\t' | b':' | b'~' | b'^' | b'#');
        let at = at + 1;
        let is_second = match sign {
            b',' | b';' => text.get(at) == Some(&b' '),
            b'|' => matches!(text.get(at), Some(b' ' | b'!')),
            _ => false,
        };
        let at = at + usize::from(is_second);
        let next = text.get(at).filter(|next| begins && next.is_ascii_alphanumeric())?;
        // Behind a colon without a space only a time that begins with digits.
        (sign != b':' || next.is_ascii_digit()).then(|| when(at, sign)).flatten()
    });
    in_columns.or_else(|| named_in_chinese(text))
}

/// A time behind its name and the sign at this place. Behind a colon the name begins the text or a column, or it is one
/// of pairs that blanks separate and none follows the colon: words of a sentence have one.
fn labelled(text: &[u8], at: usize) -> Option<When<'_>> {
    let sign = *text.get(at).filter(|sign| matches!(sign, b'=' | b':'))?;
    let before = before_label(&text[..at])?;
    let is_pair = || {
        let last = before.rsplit(|&byte| byte == b' ').next().unwrap_or_default();
        text.get(at + 1).is_some_and(u8::is_ascii_digit)
            && last.iter().any(|byte| matches!(byte, b':' | b'='))
    };
    let begins = sign == b'='
        || before.is_empty()
        || matches!(before, [.., b',' | b';' | b'|' | b'[' | b'('] | [.., b'E', b'v', b'e', b'n', b't'])
        || is_pair()
        // WAPPLES' heading.
        || text[before.len()..at].trim_ascii() == b"DETECTION TIME";
    let value = skip_spaces(&text[at + 1..]);
    let value = value.strip_prefix(b"'").unwrap_or(value);
    // Behind a sentence the seconds that end the text: CounterACT.
    let ends = |found: &Scanned<'_>| {
        before.ends_with(b".") && found.form == Form::Epoch && found.len == value.trim_ascii_end().len()
    };
    scan::scan(value).filter(|found| begins || ends(found)).map(|found| found.when)
}

/// A time behind its name in Chinese, `时间`, alone or with what happened then (`发生时间:…`, `日志时间：…`): not when something
/// began, ended or was there last.
fn named_in_chinese(text: &[u8]) -> Option<When<'_>> {
    /// Some pairs stand before it.
    const MAX_BYTES: usize = 512;
    const NAME: &str = "时间";
    const OTHERS: [&str; 13] = [
        "开始", "起始", "结束", "截止", "最后", "最近", "首次", "更新", "过期", "到期", "失效", "有效",
        "创建",
    ];
    const SIGNS: [&str; 4] = [":", "：", "=", "/"];
    memchr::memmem::find_iter(&text[..text.len().min(MAX_BYTES)], NAME).find_map(|at| {
        let is_other = OTHERS.iter().any(|other| text[..at].ends_with(other.as_bytes()));
        let rest = &text[at + NAME.len()..];
        let value = SIGNS.iter().find_map(|sign| rest.strip_prefix(sign.as_bytes()))?;
        let found = scan::scan(skip_spaces(value)).filter(|_| !is_other)?;
        Some(found.when)
    })
}

/// Whether a key is the name of the time of a record.
pub(super) fn is_label(key: &[u8]) -> bool {
    matches!(
        Key::new(&[key]).folded(),
        b"accesstime"
            | b"alarmtime"
            | b"alerttime"
            | b"attacktime"
            | b"audittime"
            | b"createdtime"
            | b"createtime"
            | b"creationtime"
            | b"datetime"
            | b"detectiontime"
            | b"detecttime"
            | b"timedetected"
            | b"dtime"
            | b"epoch"
            | b"eventdatetime"
            | b"eventtime"
            | b"eventtimestamp"
            | b"eventts"
            | b"generatedtime"
            | b"generationtime"
            | b"gentime"
            | b"happentime"
            | b"logdatetime"
            | b"logtime"
            | b"logtimestamp"
            | b"messagetime"
            | b"msgtime"
            | b"occurredtime"
            | b"occurrencetime"
            | b"occurtime"
            | b"operatetime"
            | b"operationtime"
            | b"opertime"
            | b"optime"
            | b"recordtime"
            | b"reporttime"
            | b"sendtime"
            | b"stagetimestamp"
            | b"stattime"
            | b"time"
            | b"timecreated"
            | b"timegen"
            | b"timegenerated"
            | b"timeiso8601"
            | b"timelocal"
            | b"timemillis"
            | b"timestamp"
            | b"timestamputc"
            | b"timeutc"
            | b"unixtime"
            | b"utctime"
            | b"warningtime"
            | b"warntime"
    )
}

/// What stands in front of the name of a time that ends a text as one or two words of its own, without the spaces
/// between them.
fn before_label(text: &[u8]) -> Option<&[u8]> {
    let is_letter = |byte: &u8| byte.is_ascii_alphabetic() || *byte == b'_';
    let start = |text: &[u8]| text.iter().rposition(|byte| !is_letter(byte)).map_or(0, |at| at + 1);
    let text = text.strip_suffix(b" ").unwrap_or(text);
    let last = start(text);
    let two_words = text[..last].strip_suffix(b" ").map(start).filter(|&first| is_label(&text[first..]));
    let first = two_words.or_else(|| is_label(&text[last..]).then_some(last))?;
    Some(text[..first].trim_ascii_end())
}

/// `[Time:dd-mm@hh:mm:ss.fff]` at the end of a text.
fn day_and_month_behind(text: &[u8]) -> Option<When<'_>> {
    let inner = text.trim_ascii_end().strip_suffix(b"]")?;
    let start = inner.len().saturating_sub(32);
    let at = start + memchr::memmem::find(&inner[start..], b"[Time:")? + b"[Time:".len();
    let (digits, rest) = without_space(&inner[at..]).split_at_checked(b"dd-mm@hh:mm:ss".len())?;
    let fraction = rest.strip_prefix(b".").filter(|digits| digits.iter().all(u8::is_ascii_digit));
    let stamp = without_year(digits, [3, 0, 6, 9, 12], fraction.unwrap_or_default())?;
    stamp.is_valid().then_some(When::Civil(stamp))
}

/// `mmddhhmmss|`, as phones of Polycom write it. As seconds such a number would be of a year before 2010.
pub(super) fn digits_without_year(body: &[u8]) -> Option<When<'_>> {
    // They may put their hardware address before it.
    let body = match body.split_at_checked(13) {
        Some((mac, rest)) if mac[12] == b'|' && devices::is_mac(&mac[..12]) => rest,
        _ => body,
    };
    let (digits, rest) = body.split_at_checked(10)?;
    let stamp = without_year(digits, [0, 2, 4, 6, 8], &[])?;
    (rest.starts_with(b"|") && stamp.is_valid()).then_some(When::Civil(stamp))
}

/// A moment whose month, day, hour, minute and second stand in two digits at these places.
fn without_year<'a>(text: &[u8], places: [usize; 5], fraction: &'a [u8]) -> Option<Stamp<'a>> {
    let [month, day, hour, minute, second] = places.map(|at| two_digits(text, at));
    Some(Stamp {
        year: None,
        month: month?,
        day: day?,
        hour: hour?,
        minute: minute?,
        second: second?,
        fraction,
        zone: Zone::Unnamed,
        either_order: false,
    })
}

/// The parts of a time of RFC 3339.
pub fn of_rfc3339(text: &[u8]) -> Option<Stamp<'_>> {
    let century = i32::from(two_digits(text, 0)?);
    let year = Some(century * 100 + i32::from(two_digits(text, 2)?));
    let behind = text.get(19..)?;
    let digits = behind.strip_prefix(b".").map_or(0, |fraction| leading_digits(fraction) + 1);
    let zone = scan::zone(&behind[digits..]);
    let fraction = behind.get(1..digits).unwrap_or_default();
    Some(Stamp { year, zone, ..without_year(text, [5, 8, 11, 14, 17], fraction)? })
}

/// The number in two digits at `at`.
pub(super) fn two_digits(text: &[u8], at: usize) -> Option<u8> {
    text.get(at..at + 2)?
        .iter()
        .try_fold(0, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + (byte - b'0')))
}

/// Whether a key is the name of the time of a record, or of the date of what happened, which may have its time of day
/// with it.
pub(super) fn is_time(key: &[u8]) -> bool {
    is_label(key)
        || matches!(
            Key::new(&[key]).folded(),
            b"activitydatetime"
                | b"created"
                | b"createdat"
                | b"createddatetime"
                | b"date"
                | b"generatedat"
                | b"happenedat"
                | b"localtime"
                | b"loggedat"
                | b"occured"
                | b"occurred"
                | b"occurredat"
                | b"published"
                | b"writedate"
        )
}
