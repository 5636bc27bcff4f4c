//! Zones: an offset or a name, glued to the time or behind a space.

use super::{NO_OFFSET, ends_word, leading_digits, number};
use crate::syslog::time::Zone;
use crate::syslog::time::resolve::{abbreviation_minutes, is_rare_abbreviation};

/// `Z`, `+hh:mm`, `+hhmm`, `+hh` at the start of `text`: the zone, its length, and whether RFC 3339 writes it so.
pub(super) fn offset(text: &[u8]) -> Option<(Zone<'_>, usize, bool)> {
    match text.first()? {
        b'Z' if !text.get(1).is_some_and(u8::is_ascii_alphanumeric) => Some((Zone::Offset(0), 1, true)),
        b'z' if !text.get(1).is_some_and(u8::is_ascii_alphanumeric) => Some((Zone::Offset(0), 1, false)),
        // Check Point's export puts a dash in front of a negative offset.
        b'-' if matches!(
            text,
            [b'-', b'-', b'0'..=b'9', b':', ..] | [b'-', b'-', b'0'..=b'9', b'0'..=b'9', b':', ..]
        ) =>
        {
            offset(&text[1..]).map(|(zone, len, _)| (zone, len + 1, false))
        }
        sign @ (b'+' | b'-') => {
            let digits = leading_digits(&text[1..]);
            let (hours, minutes, len, exact) = match digits {
                4 => (&text[1..3], &text[3..5], 5, false),
                2 if text.get(3) == Some(&b':') && leading_digits(&text[4..]) == 2 => {
                    (&text[1..3], &text[4..6], 6, true)
                }
                1 if text.get(2) == Some(&b':') && leading_digits(&text[3..]) == 2 => {
                    (&text[1..2], &text[3..5], 5, false)
                }
                1 | 2 => (&text[1..=digits], &text[..0], 1 + digits, false),
                _ => return None,
            };
            // ProxySG puts the zone's name right behind it.
            let letters = text[len..].iter().take(6).take_while(|byte| byte.is_ascii_uppercase()).count();
            let is_named = letters > 0 && abbreviation_minutes(&text[len..len + letters]).is_some();
            let end = len + if is_named { letters } else { 0 };
            // Access Manager puts a letter for the severity and a line behind it.
            let is_rated = matches!(text[end..], [b'A'..=b'Z', b'-', b'-', b'-', ..]);
            if !ends_word(text.get(end)) && !matches!(text.get(end), Some(b'(' | b'[' | b'"')) && !is_rated {
                return None;
            }
            let hours = number(hours)?.cast_signed();
            let minutes = if minutes.is_empty() { 0 } else { number(minutes)?.cast_signed() };
            // An offset that cannot be makes the whole timestamp unreadable, like any other number in it.
            let total = if hours > 23 || minutes > 59 { NO_OFFSET } else { hours * 60 + minutes };
            Some((Zone::Offset(if *sign == b'-' { -total } else { total }), end, exact && !is_named))
        }
        _ => None,
    }
}

/// A space and then a zone's abbreviation, `UTC+2`, `GMT-05:00`, `TZ-6` or an offset.
pub(super) fn spaced(text: &[u8]) -> Option<(Zone<'_>, usize)> {
    let word = text.strip_prefix(b" ")?;
    match word.first()? {
        b'Z' if matches!(word.get(1), Some(b' ' | b':')) => Some((Zone::Offset(0), 2)),
        b'A'..=b'Z' => {
            let (zone, len) = named(word)?;
            // What may as well be a host or a word is a zone only before a colon.
            let is_certain = match zone {
                Zone::Name(name) => word.get(len) == Some(&b':') || !is_rare_abbreviation(name),
                _ => true,
            };
            is_certain.then_some((zone, 1 + len))
        }
        b'a'..=b'z' => {
            // Some devices write it small; only the colon behind it tells it from a host.
            let small = word.iter().take(5).take_while(|byte| byte.is_ascii_lowercase()).count();
            let is_one = word.get(small) == Some(&b':') && abbreviation_minutes(&word[..small]).is_some();
            is_one.then_some((Zone::Name(&word[..small]), 1 + small))
        }
        b'+' | b'-' => {
            // A lone dash or a negative number is no zone.
            let digits = leading_digits(&word[1..]);
            (digits == 4 || (digits == 2 && word.get(3) == Some(&b':')))
                .then(|| offset(word))
                .flatten()
                .map(|(zone, len, _)| (zone, 1 + len))
        }
        open @ (b'(' | b'[') => {
            let (zone, len) = named(&word[1..])?;
            let close = if *open == b'(' { b')' } else { b']' };
            (word.get(1 + len) == Some(&close) && ends_word(word.get(2 + len))).then_some((zone, len + 3))
        }
        _ => None,
    }
}

/// A zone right behind the time: an offset, or a name.
pub(super) fn glued(text: &[u8]) -> Option<(Zone<'_>, usize, bool)> {
    offset(text).or_else(|| named(text).map(|(zone, len)| (zone, len, false)))
}

/// `(GMT +0100)` or `(GMT+0100)`, as gateways of Netgear have it behind the year.
pub(super) fn in_parentheses(text: &[u8]) -> Option<(Zone<'_>, usize)> {
    const START: &[u8] = b"(GMT";
    let start = START.len() + usize::from(text.get(START.len()) == Some(&b' '));
    let (zone, len, _) =
        offset(text.strip_prefix(START)?[start - START.len()..].split(|&byte| byte == b')').next()?)?;
    let end = start + len;
    let is_one = zone != Zone::Offset(NO_OFFSET) && zone != Zone::Offset(-NO_OFFSET);
    let ends = matches!(text.get(end + 1), None | Some(b' ' | b':'));
    (is_one && ends && text.get(end) == Some(&b')')).then_some((zone, end + 1))
}

/// An abbreviation in capitals, `UTC+2`, `GMT-05:00`, `TZ-6`.
fn named(word: &[u8]) -> Option<(Zone<'_>, usize)> {
    let letters = word.iter().take(6).take_while(|byte| byte.is_ascii_uppercase()).count();
    let name = &word[..letters];
    if matches!(name, b"UTC" | b"GMT" | b"TZ")
        && let Some((zone, len, _)) = offset(&word[letters..])
        && len > 1
    {
        // 3Com's offsets have seconds.
        let seconds =
            matches!(word[letters + len..], [b':', b'0', b'0', ..]) && ends_word(word.get(letters + len + 3));
        return Some((zone, letters + len + if seconds { 3 } else { 0 }));
    }
    let ends = ends_word(word.get(letters)) || matches!(word[letters..], [b'.', b'0'..=b'9', ..]);
    (letters > 0 && ends && abbreviation_minutes(name).is_some()).then_some((Zone::Name(name), letters))
}

/// A zone that stands alone: an offset, an abbreviation, `UTC+2:00`, the same in parentheses before a city (`FortiWeb`)
/// or behind a name, or nothing that is known.
pub fn zone(text: &[u8]) -> Zone<'_> {
    let text = match text.strip_prefix(b"(") {
        Some(inner) => inner.split(|&byte| byte == b')').next().unwrap_or_default(),
        None => text,
    };
    if let Some(hours) = text.strip_prefix(b"GMT").or_else(|| text.strip_prefix(b"UTC"))
        && let [sign @ (b'+' | b'-'), digits @ ..] = hours
        && let Some(minutes) = hours_and_minutes(digits)
    {
        return Zone::Offset(if *sign == b'-' { -minutes } else { minutes });
    }
    if let Some((zone, len, _)) = offset(text)
        && len == text.len()
    {
        return zone;
    }
    // A name whose offset stands in parentheses behind it: `EST(-0500)`, `EST(GMT-5)`.
    if let Some((_, inner)) = text
        .strip_suffix(b")")
        .and_then(|text| memchr::memchr(b'(', text).filter(|&at| at > 0).map(|at| text.split_at(at)))
        && let inner = inner[1..].strip_prefix(b"GMT").unwrap_or(&inner[1..])
        && let Some((zone, len, _)) = offset(inner)
        && len == inner.len()
    {
        return zone;
    }
    if abbreviation_minutes(text).is_some() { Zone::Name(text) } else { Zone::Unnamed }
}

/// `h:mm`, `hh:mm` or `hh` in minutes, below a day.
fn hours_and_minutes(text: &[u8]) -> Option<i32> {
    let mut parts = text.splitn(2, |&byte| byte == b':');
    let hours = parts.next().filter(|digits| matches!(digits.len(), 1 | 2)).and_then(number)?;
    let minutes = match parts.next() {
        Some(digits) if digits.len() == 2 => number(digits)?,
        Some(_) => return None,
        None => 0,
    };
    (hours < 24 && minutes < 60).then_some((hours * 60 + minutes).cast_signed())
}
