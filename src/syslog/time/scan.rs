//! Recognises a timestamp at the start of a text.
//!
//! A form is recognised by its shape alone; whether its numbers name a possible moment is judged later, so that an hour
//! 24 costs a message its timestamp but not its host. Recognised are
//!
//! - RFC 3339 and what is sent for it: a space, a comma or another sign for `T`, no zone, a zone behind a space, in
//!   parentheses or as a name right behind the time, slashes, one digit for month, day or hour;
//! - the BSD form of RFC 3164, `Mmm dd hh:mm:ss`, with fractions, with a year before or behind the time, with a zone or
//!   an offset, with AM or PM, with a weekday before it, without seconds, with the abbreviated months of neighbouring
//!   languages;
//! - `Mmm-dd-YYYY` and `Mmm/dd/YYYY` (`RouterOS`), `dd Mmm` (Redis), whole weekdays (RFC 850), `yymmdd` (`MySQL` before
//!   5.7);
//! - `YYYY Mmm dd` (NX-OS), `YYYY-Mmm-dd`, `dd Mmm YYYY`, `ddMmmYYYY` (Check Point), `dd/Mmm/YYYY:hh:mm:ss` (web
//!   servers), `mm/dd/YYYY:hh:mm:ss` and `YYYY/mm/dd:hh:mm:ss` (`NetScaler`), `dd.mm.YYYY` (German), `dd-mm-YYYY`
//!   (Radware), `mm dd YYYY` (`LogRhythm`), `mm/dd/yy` (VOSS, Snort) and `dd.mm.yy`, `YYYY:mm:dd-hh:mm:ss` (Sophos
//!   UTM), `YYYYmmddThhmmss` and the same digits without `T` or with a space for it;
//! - a time of day and then its date (`reversed`);
//! - without a year `mm-dd hh:mm:ss.fff` (Android), `mm/dd-hh:mm:ss.ffffff` (Snort) and `Lmmdd hh:mm:ss.ffffff`, a
//!   letter for the severity before it (glog);
//! - seconds, milli-, micro- and nanoseconds since 1970, and TAI64N.
//!
//! Numbers between slashes or dashes are an order of month and day that senders do not agree on: between slashes the month
//! comes first, between dashes the day, unless the first or the second cannot be a month. A first number of two digits that
//! can be no month is the year (Spark) where the last is too small for the year of a log.

mod clock;
mod common;
mod reversed;
mod zones;

use super::{Stamp, When, Zone};
use clock::Clock;
pub use zones::zone;
use zones::{glued, in_parentheses, offset, spaced};

/// The shape of a timestamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Exactly RFC 3339.
    Rfc3339,
    /// `YYYY-MM-DD` first, but not RFC 3339.
    IsoLike,
    /// Exactly RFC 3164.
    Bsd,
    /// A month's name in any other arrangement.
    BsdLike,
    /// Time since 1970.
    Epoch,
}

/// A recognised timestamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scanned<'a> {
    /// What it says.
    pub when: When<'a>,
    /// Its shape.
    pub form: Form,
    /// How many bytes it takes.
    pub len: usize,
}

/// Seconds since 1970 that are a time: since 2001 and until 2100. Other numbers of that length are serial numbers.
const EPOCH_SECONDS: std::ops::Range<i64> = 978_307_200..4_102_444_800;

/// A year of two digits below this one is a day's number where the first number can be no month.
const OLDEST_SHORT_YEAR: u8 = 13;

/// The longest name of a zone: `Central European Standard Time` and the like.
const MAX_ZONE_BYTES: usize = 48;

/// Minutes of an offset that no zone has.
const NO_OFFSET: i32 = 24 * 60;

/// Recognises a timestamp at the start of `text`.
pub fn scan(text: &[u8]) -> Option<Scanned<'_>> {
    common::scan(text).or_else(|| any_form(text))
}

fn any_form(text: &[u8]) -> Option<Scanned<'_>> {
    match text.first()? {
        b'0'..=b'9' => numeric(text),
        b'I' | b'W' | b'E' | b'F' if text.get(1).is_some_and(u8::is_ascii_digit) => glog(text),
        b'A'..=b'Z' | b'a'..=b'z' | 0x80.. => named(text),
        b'@' => tai64n(text),
        _ => None,
    }
}

/// `Lmmdd hh:mm:ss.ffffff`, as glog and klog write it behind the first letter of a severity.
fn glog(text: &[u8]) -> Option<Scanned<'_>> {
    if leading_digits(&text[1..]) != 4 || text.get(5) != Some(&b' ') {
        return None;
    }
    let clock = Clock::scan(text, 6).filter(|clock| clock.fraction.len() == 6)?;
    let (month, day) = (number(&text[1..3])? as u8, number(&text[3..5])? as u8);
    let when = When::Civil(clock.stamp(None, month, day, Zone::Unnamed));
    Some(Scanned { when, form: Form::BsdLike, len: clock.end })
}

/// `@`, sixteen hexadecimal digits for seconds of TAI and eight for nanoseconds, as multilog writes them
/// (<https://cr.yp.to/libtai/tai64.html>). Its clock was ten seconds ahead of UTC in 1970 and knows no leap seconds.
fn tai64n(text: &[u8]) -> Option<Scanned<'_>> {
    /// The label of the beginning of 1970, and the ten seconds.
    const EPOCH: u64 = (1 << 62) + 10;
    const LEN: usize = 25;
    let digits = std::str::from_utf8(text.get(1..LEN)?).ok()?;
    if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) || !ends_word(text.get(LEN)) {
        return None;
    }
    let seconds = u64::from_str_radix(&digits[..16], 16).ok()?.checked_sub(EPOCH)?.cast_signed();
    let nanos = u32::from_str_radix(&digits[16..], 16).ok()?;
    (EPOCH_SECONDS.contains(&seconds) && nanos < 1_000_000_000).then_some(Scanned {
        when: When::Nanos { seconds, nanos },
        form: Form::Epoch,
        len: LEN,
    })
}

fn numeric(text: &[u8]) -> Option<Scanned<'_>> {
    let digits = leading_digits(text);
    match digits {
        2 if text.get(2) == Some(&b':') => reversed::scan(text),
        1 | 2 => day_first(text, digits),
        4 => match text.get(4)? {
            b'-' | b'/' | b':' | b'.' => iso(text),
            b' ' if text.get(5).is_some_and(u8::is_ascii_digit) => iso(text),
            b' ' => year_then_month_name(text, b' '),
            _ => None,
        },
        6 => short(text),
        8 | 14 => compact(text, digits),
        10 | 13 | 16 | 19 => epoch(text, digits),
        _ => None,
    }
}

/// `YYYY-MM-DD` and then a time of day.
fn iso(text: &[u8]) -> Option<Scanned<'_>> {
    let separator = text[4];
    let year = number(text.get(..4)?)?;
    if text.get(5)?.is_ascii_alphabetic() {
        return year_then_month_name(text, separator);
    }
    // Between colons a single digit would be a group of an IPv6 address, between spaces a number of a text.
    let digits = |at: usize| {
        text.get(at..)
            .map(leading_digits)
            .filter(|&len| len == 2 || len == 1 && !matches!(separator, b':' | b' '))
    };
    // A space for a zero, as C writes it with `%2d`.
    let padded = |at: usize| {
        at + usize::from(matches!(separator, b'-' | b'/') && matches!(text[at..], [b' ', b'1'..=b'9', ..]))
    };
    let month_start = padded(5);
    let month_end = month_start + digits(month_start)?;
    let month = number(&text[month_start..month_end])?;
    if *text.get(month_end)? != separator {
        return None;
    }
    let day_start = padded(month_end + 1);
    let day_end = day_start + digits(day_start)?;
    let day = number(&text[day_start..day_end])?;
    let between = *text.get(day_end)?;
    let at = clock_start(text, day_end)?;
    // Db2 puts points into the time of day behind a dash, others points or dashes behind a space.
    let clock = match (between, text.get(at + 2)) {
        (b'-', Some(b'.')) => Clock::scan_with(text, at, b'.')?,
        (b' ', Some(b'-')) => Clock::scan_with(text, at, b'-')?,
        // Some pad no number of the time of day.
        (b' ' | b'T', _) if is_unpadded(&text[at..]) => Clock::scan_unpadded(text, at)?,
        // Four numbers between points are an address.
        (b' ', Some(b'.')) => Clock::scan_with(text, at, b'.').filter(|clock| clock.fraction.is_empty())?,
        _ => Clock::scan(text, at)?,
    };
    let glued = glued(&text[clock.end..]);
    let (zone, end, as_rfc) = match glued {
        Some((zone, len, as_rfc)) => (zone, clock.end + len, as_rfc),
        None => match spaced(&text[clock.end..]) {
            Some((zone, len)) => (zone, clock.end + len, false),
            None => (Zone::Unnamed, clock.end, false),
        },
    };
    let stamp = clock.stamp(Some(year.cast_signed()), month as u8, day as u8, zone);
    let exact = as_rfc
        && separator == b'-'
        && between == b'T'
        && (month_start, day_start) == (5, month_end + 1)
        && clock.plain
        && clock.fraction.len() + 19 + usize::from(!clock.fraction.is_empty()) == clock.end
        && stamp.is_valid();
    Some(if exact {
        Scanned { when: When::Rfc3339(&text[..end]), form: Form::Rfc3339, len: end }
    } else {
        Scanned { when: When::Civil(stamp), form: Form::IsoLike, len: end }
    })
}

/// Whether a minute or a second of one digit follows an hour and a colon: `9:5:07`, `10:05:7`.
fn is_unpadded(clock: &[u8]) -> bool {
    let mut rest = clock;
    let mut is_short = false;
    for at in 0..3 {
        let digits = leading_digits(rest);
        if !(1..=2).contains(&digits) {
            return false;
        }
        is_short |= digits == 1 && at > 0;
        rest = &rest[digits..];
        if at < 2 {
            let Some(next) = rest.strip_prefix(b":") else { return false };
            rest = next;
        }
    }
    // A text that ends there may be cut.
    is_short && matches!(rest.first(), Some(b' ' | b'.' | b','))
}

/// `yymmdd hh:mm:ss`, as `MySQL` wrote it before its version 5.7: the hour may be padded with a space.
fn short(text: &[u8]) -> Option<Scanned<'_>> {
    let part = |at: usize| number(&text[at..at + 2]);
    let at = 7 + usize::from(text.get(7) == Some(&b' '));
    let clock = Clock::scan(text, at).filter(|clock| text[6] == b' ' && clock.end - at >= 7)?;
    let stamp =
        clock.stamp(Some(2000 + part(0)?.cast_signed()), part(2)? as u8, part(4)? as u8, Zone::Unnamed);
    // Six digits are a serial number where they name no day.
    (stamp.is_valid() && ends_word(text.get(clock.end))).then_some(Scanned {
        when: When::Civil(stamp),
        form: Form::IsoLike,
        len: clock.end,
    })
}

/// `YYYYmmddThhmmss` with an optional fraction and zone; a space or nothing for `T`, colons in the time of day.
fn compact(text: &[u8], digits: usize) -> Option<Scanned<'_>> {
    let year = plausible_year(&text[..4])?;
    let (month, day) = (number(&text[4..6])? as u8, number(&text[6..8])? as u8);
    // Communication Manager: nine digits with the thousandths, and the next column.
    if digits == 8
        && let [b':', clock @ ..] = &text[8..]
        && leading_digits(clock) == 9
        && clock.get(9) == Some(&b':')
    {
        let part = |at: usize| number(&clock[at..at + 2]).map(|value| value as u8);
        let [hour, minute, second] = [part(0)?, part(2)?, part(4)?];
        let clock = Clock { hour, minute, second, fraction: &clock[6..9], end: 18, plain: false };
        let stamp = clock.stamp(Some(year), month, day, Zone::Unnamed);
        let when = When::Civil(stamp);
        return stamp.is_valid().then_some(Scanned { when, form: Form::IsoLike, len: 18 });
    }
    let time = if digits == 14 { 8 } else { 9 };
    if digits == 8 && !matches!(text.get(8)?, b'T' | b' ' | b'-') {
        return None;
    }
    // Eight digits and a space or a dash begin other texts as well: there the time of day has its colons.
    let clock = if digits == 8 && leading_digits(&text[9..]) == 2 {
        Clock::scan(text, time)?
    } else {
        if leading_digits(&text[time..]) != 6 || matches!(text[8], b' ' | b'-') {
            return None;
        }
        let part = |at: usize| number(&text[time + at..time + at + 2]).map(|value| value as u8);
        let mut clock = Clock {
            hour: part(0)?,
            minute: part(2)?,
            second: part(4)?,
            fraction: &[],
            end: time + 6,
            plain: false,
        };
        clock.scan_fraction(text);
        clock
    };
    let (zone, len) = offset(&text[clock.end..])
        .map_or((Zone::Unnamed, clock.end), |(zone, len, _)| (zone, clock.end + len));
    let stamp = clock.stamp(Some(year), month, day, zone);
    // A number of fourteen digits is a serial number where it names no moment.
    (digits == 8 && text[8] == b'T' || stamp.is_valid() && ends_word(text.get(len))).then_some(Scanned {
        when: When::Civil(stamp),
        form: Form::IsoLike,
        len,
    })
}

/// Seconds (10 digits, with or without a fraction), or thousandths, millionths, thousand-millionths.
fn epoch(text: &[u8], digits: usize) -> Option<Scanned<'_>> {
    let seconds = text[..10].iter().fold(0, |sum, byte| sum * 10 + i64::from(byte - b'0'));
    let (fraction, len) = if digits > 10 {
        (&text[10..digits], digits)
    } else if text.get(10) == Some(&b'.') {
        let digits = leading_digits(&text[11..]);
        (&text[11..11 + digits], 11 + digits)
    } else {
        (&text[..0], 10)
    };
    if !EPOCH_SECONDS.contains(&seconds) || !ends_word(text.get(len)) {
        return None;
    }
    Some(Scanned { when: When::Epoch { seconds, fraction }, form: Form::Epoch, len })
}

/// `YYYY Mmm dd hh:mm:ss`, `YYYY-Mmm-dd hh:mm:ss`.
fn year_then_month_name(text: &[u8], separator: u8) -> Option<Scanned<'_>> {
    let year = plausible_year(&text[..4])?;
    let (month, month_len) = month_name(text.get(5..)?)?;
    let at = 5 + month_len;
    let at = if separator == b' ' {
        spaces(text, at)?
    } else {
        (*text.get(at)? == separator).then_some(at + 1)?
    };
    let (day, at) = day_of_month(text, at)?;
    // StarOS has a plus sign there.
    let at = if text.get(at) == Some(&b'+') { at + 1 } else { spaces(text, at)? };
    finish(text, at, Some(year), month, day)
}

/// `dd Mmm YYYY hh:mm:ss`, `dd-Mmm-YYYY hh:mm:ss`, `dd/Mmm/YYYY:hh:mm:ss`, `ddMmmYYYY hh:mm:ss`, `mm/dd/YYYY:hh:mm:ss`,
/// `dd.mm.YYYY hh:mm:ss`, `dd-mm-YYYY hh:mm:ss`, with two digits of a year between slashes and points, without one in
/// `mm-dd`.
fn day_first(text: &[u8], digits: usize) -> Option<Scanned<'_>> {
    let first = number(&text[..digits])? as u8;
    let separator = *text.get(digits)?;
    if separator.is_ascii_uppercase() {
        let (month, len) = month_name(&text[digits..])?;
        return year_and_clock(text, digits + len, month, first).filter(|_| len == 3);
    }
    if !matches!(separator, b' ' | b'-' | b'/' | b'.') {
        return None;
    }
    let at = digits + 1;
    if let Some((month, len)) = month_name(text.get(at..)?) {
        if *text.get(at + len)? != separator {
            return None;
        }
        let at = at + len + 1;
        return match leading_digits(text.get(at..)?) {
            // Swift has the same sign everywhere.
            4 if separator == b'/' && text.get(at + 4) == Some(&b'/') => {
                let year = plausible_year(&text[at..at + 4])?;
                let clock = Clock::scan_with(text, at + 5, b'/')?;
                let when = When::Civil(clock.stamp(Some(year), month, first, Zone::Unnamed));
                Some(Scanned { when, form: Form::BsdLike, len: clock.end })
            }
            4 => year_and_clock(text, at, month, first),
            // Two digits and another separator are a year's, two and a colon an hour's.
            2 if separator != b' ' && text.get(at + 2) != Some(&b':') => {
                let year = 2000 + number(&text[at..at + 2])?.cast_signed();
                finish(text, clock_start(text, at + 2)?, Some(year), month, first)
            }
            2 if separator == b' ' => finish(text, at, None, month, first),
            _ => None,
        };
    }
    let len = leading_digits(&text[at..]);
    // Numbers between spaces are LogRhythm's where a year and a time of day follow.
    if separator == b' ' && digits == 2 && len == 2 && text.get(at + 2) == Some(&b' ') {
        return year_and_clock(text, at + 3, first, number(&text[at..at + 2])? as u8);
    }
    if separator == b' ' || !(1..=2).contains(&len) {
        return None;
    }
    let second = number(&text[at..at + len])? as u8;
    let at = at + len;
    let month_first = match separator {
        b'/' => first <= 12,
        b'-' => second > 12,
        _ => false,
    };
    let (month, day) = if month_first { (first, second) } else { (second, first) };
    match (separator, *text.get(at)?) {
        // Snort's alerts.
        (b'/', b'-') if digits == 2 && len == 2 => {
            let clock = Clock::scan(text, at + 1).filter(|clock| clock.fraction.len() >= 3)?;
            let when = When::Civil(clock.stamp(None, month, day, Zone::Unnamed));
            Some(Scanned { when, form: Form::BsdLike, len: clock.end })
        }
        (b'-', b' ') if digits == 2 && len == 2 => {
            let clock = Clock::scan(text, at + 1).filter(|clock| clock.fraction.len() >= 3)?;
            let when = When::Civil(clock.stamp(None, first, second, Zone::Unnamed));
            Some(Scanned { when, form: Form::BsdLike, len: clock.end })
        }
        (b'/' | b'.', next) if next == separator && leading_digits(&text[at + 1..]) == 2 => {
            let third = number(&text[at + 1..at + 3])? as u8;
            // Hadoop and Spark begin with the year.
            let begins_with_year =
                separator == b'/' && first >= OLDEST_SHORT_YEAR && third < OLDEST_SHORT_YEAR;
            let (year, day) = if begins_with_year { (first, third) } else { (third, day) };
            let scanned = finish(text, clock_start(text, at + 3)?, Some(2000 + i32::from(year)), month, day)?;
            Some(if begins_with_year { scanned } else { in_either_order(text, separator, scanned) })
        }
        (_, next) if next == separator => {
            let scanned = year_and_clock(text, at + 1, month, day)?;
            Some(in_either_order(text, separator, scanned))
        }
        _ => None,
    }
}

/// A date of numbers between slashes or dashes, of which the first may be the day or the month. Nobody writes a month first
/// between points. A semicolon behind AM or PM is a table's.
fn in_either_order<'a>(text: &[u8], separator: u8, scanned: Scanned<'a>) -> Scanned<'a> {
    let When::Civil(mut stamp) = scanned.when else { return scanned };
    let mut len = scanned.len;
    if let [b' ', half @ (b'A' | b'P'), b'M', b';', ..] = text[len..]
        && (1..=12).contains(&stamp.hour)
    {
        stamp.hour = stamp.hour % 12 + if half == b'P' { 12 } else { 0 };
        len += " AM".len();
    }
    stamp.either_order = separator != b'.' && stamp.day <= 12 && stamp.day != stamp.month;
    Scanned { when: When::Civil(stamp), len, ..scanned }
}

/// The four digits of a year, and the time of day behind them.
fn year_and_clock(text: &[u8], at: usize, month: u8, day: u8) -> Option<Scanned<'_>> {
    if leading_digits(text.get(at..)?) != 4 {
        return None;
    }
    let year = plausible_year(&text[at..at + 4])?;
    finish(text, clock_start(text, at + 4)?, Some(year), month, day)
}

/// A month's or a weekday's name first.
fn named(text: &[u8]) -> Option<Scanned<'_>> {
    let Some((month, len)) = month_name(text) else {
        let skip = weekday(text)?;
        let scanned = scan_after_weekday(&text[skip..])?;
        return Some(Scanned { form: Form::BsdLike, len: skip + scanned.len, ..scanned });
    };
    // RouterOS and others put a sign between month, day and year.
    if let Some(&separator @ (b'-' | b'/')) = text.get(len) {
        let (day, at) = day_of_month(text, len + 1)?;
        return if text.get(at) == Some(&separator) {
            year_and_clock(text, at + 1, month, day)
        } else {
            finish(text, spaces(text, at)?, None, month, day)
        };
    }
    let at = spaces(text, len)?;
    let (day, at) = day_of_month(text, at)?;
    // A comma is sent behind the day where a year follows.
    let at = at + usize::from(text.get(at) == Some(&b','));
    let at = spaces(text, at)?;
    if leading_digits(&text[at..]) == 4
        && let Some(year) = plausible_year(&text[at..at + 4])
    {
        return finish(text, clock_start(text, at + 4)?, Some(year), month, day);
    }
    finish(text, at, None, month, day)
}

fn scan_after_weekday(text: &[u8]) -> Option<Scanned<'_>> {
    match leading_digits(text) {
        0 => month_name(text).and_then(|_| named(text)),
        4 if text.get(4) == Some(&b'-') => iso(text),
        digits @ (1 | 2) => day_first(text, digits),
        _ => None,
    }
}

/// The time of day and what may stand behind it: a zone, a year, in either order.
fn finish(text: &[u8], at: usize, year: Option<i32>, month: u8, day: u8) -> Option<Scanned<'_>> {
    let clock = Clock::scan(text, at)?;
    let mut end = clock.end;
    let mut zone = Zone::Unnamed;
    let mut year = year;
    let mut form = if clock.plain && clock.fraction.is_empty() && year.is_none() && text[at - 1] == b' ' {
        Form::Bsd
    } else {
        Form::BsdLike
    };
    if let Some((sent, len, _)) = glued(&text[end..]) {
        zone = sent;
        end += len;
        form = Form::BsdLike;
    }
    for _ in 0..2 {
        if zone == Zone::Unnamed
            && let Some((named, len)) = spaced(&text[end..])
        {
            zone = named;
            end += len;
            form = Form::BsdLike;
        }
        // CatOS sends the zone's name and its offset.
        if matches!(zone, Zone::Name(_))
            && let Some((offset @ Zone::Offset(_), len)) = spaced(&text[end..])
        {
            zone = offset;
            end += len;
        }
        if year.is_none()
            && text.get(end) == Some(&b' ')
            && leading_digits(&text[end + 1..]) == 4
            && ends_year(&text[end + 5..])
            && let Some(behind) = plausible_year(&text[end + 1..end + 5])
        {
            year = Some(behind);
            end += 5;
            form = Form::BsdLike;
            let space = usize::from(text.get(end) == Some(&b' '));
            if zone == Zone::Unnamed
                && let Some((sent, len)) = in_parentheses(&text[end + space..])
            {
                zone = sent;
                end += space + len;
            }
        }
    }
    // Cisco's clocks take any letters for a zone's name; a host's own name stands in front of such a time.
    if zone == Zone::Unnamed
        && !clock.fraction.is_empty()
        && let Some(word) = text[end..].strip_prefix(b" ")
        && let letters @ 2..=4 = word.iter().take(5).take_while(|byte| byte.is_ascii_uppercase()).count()
        && matches!(word[letters..], [b':', b' ', b'%', ..] | [b':', b' ', b'*', b'%', ..])
    {
        end += 1 + letters;
    }
    // JavaScript's dates have the zone's name in parentheses behind its offset.
    if matches!(zone, Zone::Offset(_))
        && let Some(inner) = text[end..].strip_prefix(b" (")
        && let Some(close) = memchr::memchr(b')', &inner[..inner.len().min(MAX_ZONE_BYTES)])
        && inner[..close].iter().all(|byte| byte.is_ascii_alphabetic() || *byte == b' ')
        && inner[0].is_ascii_uppercase()
    {
        end += close + 3;
    }
    // ZoneMinder puts the fraction behind the zone.
    let fraction = match text[end..].strip_prefix(b".") {
        Some(rest) if zone != Zone::Unnamed && clock.fraction.is_empty() => {
            let digits = leading_digits(rest);
            end += 1 + digits;
            &rest[..digits]
        }
        _ => clock.fraction,
    };
    // VOSS puts a colon before the zone.
    if zone == Zone::Unnamed
        && text.get(end) == Some(&b':')
        && let letters = text[end + 1..].iter().take_while(|byte| byte.is_ascii_uppercase()).count()
        && text.get(end + 1 + letters) == Some(&b']')
        && super::resolve::abbreviation_minutes(&text[end + 1..=end + letters]).is_some()
    {
        zone = Zone::Name(&text[end + 1..=end + letters]);
        end += 1 + letters;
    }
    // InterScan has a comma before it, and a bar behind, or its log's name in brackets.
    if zone == Zone::Unnamed
        && text.get(end) == Some(&b',')
        && let letters @ 2..=4 =
            text[end + 1..].iter().take(5).take_while(|byte| byte.is_ascii_uppercase()).count()
        && matches!(text[end + 1 + letters..], [b'|', ..] | [b' ', b'[', ..])
        && super::resolve::abbreviation_minutes(&text[end + 1..=end + letters]).is_some()
    {
        zone = Zone::Name(&text[end + 1..=end + letters]);
        end += 1 + letters;
    }
    // VRP marks daylight saving time, which is in the offset already.
    if zone != Zone::Unnamed && text[end..].starts_with(b" DST ") {
        end += 4;
    }
    let stamp = Stamp { fraction, ..clock.stamp(year, month, day, zone) };
    Some(Scanned { when: When::Civil(stamp), form, len: end })
}

/// Steps over what stands between a date and a time of day.
fn clock_start(text: &[u8], at: usize) -> Option<usize> {
    match *text.get(at)? {
        b'T' | b't' | b'_' | b'-' | b':' | b'|' => Some(at + 1),
        b',' => Some(at + 1 + usize::from(text.get(at + 1) == Some(&b' '))),
        _ => {
            // MariaDB fills the hour with a space, Gin puts a dash between spaces, Kibana another sign.
            let at = spaces(text, at)?;
            Some(if matches!(text.get(at..at + 2), Some(b"- " | b"@ " | b": ")) { at + 2 } else { at })
        }
    }
}

impl Stamp<'_> {
    /// Whether it names a possible moment; without a year any leap day does.
    pub fn is_valid(&self) -> bool {
        super::Civil {
            year: self.year.unwrap_or(2000),
            month: self.month,
            day: self.day,
            hour: self.hour,
            minute: self.minute,
            second: self.second,
        }
        .is_valid()
            // What is written out has no other bytes.
            && self.fraction.iter().all(u8::is_ascii_digit)
            && match self.zone {
                Zone::Offset(minutes) => minutes.abs() < NO_OFFSET,
                _ => true,
            }
    }
}

fn ends_word(byte: Option<&u8>) -> bool {
    matches!(byte, None | Some(b' ' | b':' | b'\t' | b'\r' | b'\n' | b'|' | b']' | b',' | b')'))
}

/// A year is not the first group of an IPv6 address.
fn ends_year(rest: &[u8]) -> bool {
    matches!(rest, [] | [b' ' | b']' | b')', ..] | [b':'] | [b':', b' ', ..])
        || in_parentheses(rest).is_some()
}

fn leading_digits(text: &[u8]) -> usize {
    // Nothing that is looked for has more digits than a nanosecond count.
    text.iter().take(20).position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len().min(20))
}

fn number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + u32::from(byte - b'0')))
}

fn plausible_year(digits: &[u8]) -> Option<i32> {
    let year = number(digits)?.cast_signed();
    (1970..=2199).contains(&year).then_some(year)
}

/// Steps over one or more spaces, or tabs.
fn spaces(text: &[u8], at: usize) -> Option<usize> {
    let len = text.get(at..)?.iter().take_while(|&&byte| matches!(byte, b' ' | b'\t')).count();
    (len > 0 && len <= 8).then_some(at + len)
}

fn day_of_month(text: &[u8], at: usize) -> Option<(u8, usize)> {
    let digits = leading_digits(text.get(at..)?);
    (1..=2)
        .contains(&digits)
        .then(|| number(&text[at..at + digits]))
        .flatten()
        .map(|day| (day as u8, at + digits))
}

/// The names of months, abbreviated or whole: English, and those of other languages that begin otherwise. An optional
/// point behind a name belongs to it.
fn month_name(text: &[u8]) -> Option<(u8, usize)> {
    let three = text.get(..3)?;
    let lower = [three[0] | 0x20, three[1] | 0x20, three[2] | 0x20];
    let month = match &lower {
        b"jan" | b"ene" | b"gen" => 1,
        b"feb" | b"fev" => 2,
        b"mar" | b"mrz" | b"mrt" => 3,
        b"apr" | b"abr" | b"avr" => 4,
        b"may" | b"mai" | b"mei" | b"mag" | b"maj" => 5,
        b"jun" | b"giu" => 6,
        // French: juin, and juillet.
        b"jui" if text.get(3)? | 0x20 == b'n' => 6,
        b"jul" | b"lug" | b"jui" => 7,
        b"aug" | b"ago" => 8,
        b"sep" | b"set" => 9,
        b"oct" | b"okt" | b"ott" | b"out" => 10,
        b"nov" => 11,
        b"dec" | b"dez" | b"dic" => 12,
        _ if three.is_ascii() => return None,
        _ => return accented_month_name(text),
    };
    Some((month, end_of_name(text, 3)))
}

fn accented_month_name(text: &[u8]) -> Option<(u8, usize)> {
    // In UTF-8 and in ISO 8859-1.
    const NAMES: [(&[u8], u8); 8] = [
        ("Mär".as_bytes(), 3),
        (b"M\xE4r", 3),
        ("fév".as_bytes(), 2),
        (b"f\xE9v", 2),
        ("aoû".as_bytes(), 8),
        (b"ao\xFB", 8),
        ("déc".as_bytes(), 12),
        (b"d\xE9c", 12),
    ];
    let (name, month) = NAMES.iter().find(|(name, _)| {
        text.len() > name.len() && text[0] | 0x20 == name[0] | 0x20 && text[1..name.len()] == name[1..]
    })?;
    Some((*month, end_of_name(text, name.len())))
}

/// Steps over the letters that follow an abbreviation in a longer name (`Sept`, `Oktober`), and a point.
fn end_of_name(text: &[u8], at: usize) -> usize {
    /// `septembre` has six letters more than its abbreviation.
    const MAX_LETTERS: usize = 6;
    let letters = text[at..].iter().take(MAX_LETTERS).take_while(|byte| byte.is_ascii_lowercase()).count();
    at + letters + usize::from(text.get(at + letters) == Some(&b'.'))
}

/// `Mon ` or `Mon, ` at the start, or the whole name: its length.
fn weekday(text: &[u8]) -> Option<usize> {
    let three = text.first_chunk::<3>()?.map(|byte| byte.to_ascii_lowercase());
    if !matches!(&three, b"mon" | b"tue" | b"wed" | b"thu" | b"fri" | b"sat" | b"sun") {
        return None;
    }
    // `Wednesday` has six letters more.
    let letters = text[3..].iter().take(6).take_while(|byte| byte.is_ascii_lowercase()).count();
    if letters > 0 && !text[3..3 + letters].ends_with(b"day") {
        return None;
    }
    let at = 3 + letters;
    spaces(text, at + usize::from(text.get(at) == Some(&b',')))
}
