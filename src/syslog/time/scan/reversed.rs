//! A time of day in front of its date: `08:00:01 05.11.2026`, `08:00:01.123 UTC Thu Nov 5 2026` (IOS' `show clock`),
//! `08:00:01 Nov 5`, `08:00:01 2026-11-05`, `08:00:01 11/05/2026 UTC` (ZXR10), `08:00:01, 05 Nov 2026`.

use super::zones::spaced;
use super::{
    Clock, Form, Scanned, day_of_month, ends_word, ends_year, leading_digits, month_name, number,
    plausible_year, spaces, weekday,
};
use crate::syslog::time::{Stamp, When, Zone};

/// A date without a time of day.
struct Date {
    year: Option<i32>,
    month: u8,
    day: u8,
    either_order: bool,
    end: usize,
}

/// Reads a time of day and then its date. A time of day alone is none of a message's.
pub(super) fn scan(text: &[u8]) -> Option<Scanned<'_>> {
    let clock = Clock::scan(text, 0).filter(|clock| clock.plain)?;
    let (zone, len) = spaced(&text[clock.end..]).unwrap_or((Zone::Unnamed, 0));
    let comma = usize::from(text.get(clock.end + len) == Some(&b','));
    let at = spaces(text, clock.end + len + comma)?;
    let at = at + weekday(&text[at..]).unwrap_or(0);
    let Date { year, month, day, either_order, end } = named(text, at).or_else(|| numeric(text, at))?;
    // Or the zone behind the date.
    let (zone, end) = match spaced(&text[end..]).filter(|_| len == 0) {
        Some((zone, len)) => (zone, end + len),
        None => (zone, end),
    };
    let stamp = Stamp { either_order, ..clock.stamp(year, month, day, zone) };
    (stamp.is_valid() && ends_word(text.get(end))).then_some(Scanned {
        when: When::Civil(stamp),
        form: Form::BsdLike,
        len: end,
    })
}

/// `Nov 5`, `Nov 5 2026`, `5 Nov 2026`.
fn named(text: &[u8], at: usize) -> Option<Date> {
    let (month, day, end, is_short) = if let Some((month, len)) = month_name(text.get(at..)?) {
        let (day, end) = day_of_month(text, spaces(text, at + len)?)?;
        (month, day, end, true)
    } else {
        let (day, end) = day_of_month(text, at)?;
        let at = spaces(text, end)?;
        let (month, len) = month_name(text.get(at..)?)?;
        (month, day, at + len, len == 3 || is_whole_name(&text[at..at + len]))
    };
    let year = text.get(end..).and_then(|rest| {
        let digits = rest.strip_prefix(b", ").or_else(|| rest.strip_prefix(b" "))?;
        let is_year =
            leading_digits(digits) == 4 && (digits.get(4) == Some(&b',') || ends_year(&digits[4..]));
        let end = end + rest.len() - digits.len() + 4;
        is_year.then(|| plausible_year(&digits[..4])).flatten().map(|year| (year, end))
    });
    // A longer word that begins so, and is no month's name, is one only in front of a year: `08 mailhub` has none.
    if year.is_none() && !is_short {
        return None;
    }
    let (year, end) = year.map_or((None, end), |(year, end)| (Some(year), end));
    Some(Date { year, month, day, either_order: false, end })
}

/// Whether a word that begins like a month's name is one: abbreviated with a point, with an accent, or whole.
fn is_whole_name(word: &[u8]) -> bool {
    const NAMES: [&str; 48] = [
        "january",
        "januar",
        "januari",
        "janvier",
        "janeiro",
        "gennaio",
        "enero",
        "february",
        "februar",
        "februari",
        "fevereiro",
        "febbraio",
        "febrero",
        "march",
        "mars",
        "marzo",
        "maart",
        "april",
        "avril",
        "abril",
        "aprile",
        "maggio",
        "mayo",
        "maio",
        "june",
        "juni",
        "juin",
        "junio",
        "giugno",
        "july",
        "juli",
        "juillet",
        "julio",
        "luglio",
        "august",
        "agosto",
        "september",
        "sept",
        "septembre",
        "septiembre",
        "october",
        "oktober",
        "octobre",
        "november",
        "novembre",
        "december",
        "dezember",
        "dicembre",
    ];
    word.ends_with(b".")
        || !word.is_ascii()
        || NAMES.iter().any(|name| name.as_bytes().eq_ignore_ascii_case(word))
}

/// `2026-11-05`, `05.11.2026`, `11/05/2026`: the order as in front of a time of day.
fn numeric(text: &[u8], at: usize) -> Option<Date> {
    // Longer numbers are none of a date's, and may be more than a number holds.
    let part = |at: usize| {
        let digits = leading_digits(text.get(at..)?);
        (digits <= 4)
            .then(|| number(&text[at..at + digits]))
            .flatten()
            .map(|value| (digits, value, at + digits))
    };
    let (first_digits, first, end) = part(at).filter(|(digits, ..)| matches!(digits, 1 | 2 | 4))?;
    let separator = *text.get(end).filter(|byte| matches!(byte, b'-' | b'/' | b'.'))?;
    let (_, second, end) = part(end + 1).filter(|(digits, ..)| matches!(digits, 1 | 2))?;
    if text.get(end) != Some(&separator) {
        return None;
    }
    let (last_digits, last, end) = part(end + 1)?;
    let (year, month, day) = match (first_digits, last_digits) {
        (4, 1 | 2) => (first, second, last),
        (1 | 2, 4) => {
            let month_first = match separator {
                b'/' => first <= 12,
                b'-' => second > 12,
                _ => false,
            };
            if month_first { (last, first, second) } else { (last, second, first) }
        }
        _ => return None,
    };
    let year = (1970..=2199).contains(&year).then_some(year.cast_signed())?;
    let either_order = first_digits <= 2 && separator != b'.' && month != day && month.max(day) <= 12;
    Some(Date { year: Some(year), month: month as u8, day: day as u8, either_order, end })
}
