//! The time of day: hours, minutes, seconds, a fraction behind several signs, AM and PM.

use super::{ends_word, leading_digits, number};
use crate::syslog::time::{Stamp, Zone};

/// `hh:mm:ss`, also with spaces for zeros, with an optional fraction and AM or PM; `hh:mm` where a word ends behind it.
pub struct Clock<'a> {
    pub hour: u8,
    pub minute: u8,
    pub second: u8,
    pub fraction: &'a [u8],
    /// Where the text goes on.
    pub end: usize,
    /// As RFC 3164 and RFC 3339 write it: two digits each, a point before the fraction.
    pub plain: bool,
}

impl<'a> Clock<'a> {
    /// Reads the one that begins at `at`.
    pub fn scan(text: &'a [u8], at: usize) -> Option<Self> {
        Self::scan_with(text, at, b':')
    }

    /// The same with another sign for the colon.
    pub fn scan_with(text: &'a [u8], at: usize, colon: u8) -> Option<Self> {
        let hour_digits = leading_digits(text.get(at..)?);
        if !(1..=2).contains(&hour_digits) {
            return None;
        }
        let hour = number(&text[at..at + hour_digits])? as u8;
        let at = at + hour_digits;
        let rest = text.get(at..at + 3)?;
        if rest[0] != colon {
            return None;
        }
        // What C writes with `%2d` has a space for a zero, and goes on with the seconds. Behind a minute in full a space and a
        // digit begin a text.
        let padded = |pair: &[u8]| match pair {
            [b' ', digit @ b'0'..=b'9'] if colon == b':' => Some(u32::from(digit - b'0')),
            _ => number(pair),
        };
        let is_padded = |pair: &[u8]| pair[0] == b' ';
        let pair = &rest[1..3];
        let minute = padded(pair)? as u8;
        let (second, end, plain) = match text.get(at + 3) {
            Some(&sign) if sign == colon => {
                let seconds =
                    text.get(at + 4..at + 6).filter(|seconds| is_padded(pair) || !is_padded(seconds))?;
                let is_plain = hour_digits == 2 && colon == b':' && !is_padded(pair) && !is_padded(seconds);
                (padded(seconds)? as u8, at + 6, is_plain)
            }
            _ if is_padded(pair) => return None,
            None | Some(b' ' | b']' | b'Z' | b'+' | b'-') if hour_digits == 2 && colon == b':' => {
                (0, at + 3, false)
            }
            _ => return None,
        };
        let mut clock = Self { hour, minute, second, fraction: &[], end, plain };
        if text.get(clock.end).is_some_and(u8::is_ascii_digit) {
            return None;
        }
        clock.scan_fraction(text);
        clock.scan_half_of_day(text);
        Some(clock)
    }

    /// `h:m:s`, each of one or two digits, as some write them behind a whole date.
    pub fn scan_unpadded(text: &'a [u8], at: usize) -> Option<Self> {
        let mut numbers = [0; 3];
        let mut end = at;
        for (index, value) in numbers.iter_mut().enumerate() {
            let digits = leading_digits(text.get(end..)?);
            *value =
                number(text.get(end..end + digits).filter(|digits| matches!(digits.len(), 1 | 2))?)? as u8;
            end += digits;
            if index < 2 {
                end += usize::from(*text.get(end)? == b':');
            }
        }
        let [hour, minute, second] = numbers;
        let mut clock = Self { hour, minute, second, fraction: &[], end, plain: false };
        clock.scan_fraction(text);
        clock.scan_half_of_day(text);
        Some(clock)
    }

    /// Takes a fraction at the end.
    pub fn scan_fraction(&mut self, text: &'a [u8]) {
        let Some(&point @ (b'.' | b',' | b':')) = text.get(self.end) else { return };
        let digits = leading_digits(&text[self.end + 1..]);
        let behind = text.get(self.end + 1 + digits);
        let accepted = match point {
            // A lone point behind the seconds belongs to nothing else.
            b'.' => digits > 0 || ends_word(behind),
            b',' => {
                let is_zone = || matches!(behind, Some(b'Z' | b'+' | b'-')) && !self.is_before_date(text);
                digits > 0 && (ends_word(behind) || is_zone())
            }
            // Comware separates milliseconds so, and programs hundredths in front of their zone.
            _ => digits == 3 && ends_word(behind) || (1..=3).contains(&digits) && behind == Some(&b'Z'),
        };
        if accepted {
            self.plain &= point == b'.' && digits > 0;
            self.fraction = &text[self.end + 1..self.end + 1 + digits];
            self.end += 1 + digits;
            // VRP counts the messages of one moment behind another point.
            if point == b'.' && digits > 0 && text.get(self.end) == Some(&b'.') {
                let count = leading_digits(&text[self.end + 1..]);
                let ends = matches!(text.get(self.end + 1 + count), Some(b' ' | b'+' | b'-'));
                if count > 0 && ends {
                    self.end += 1 + count;
                    self.plain = false;
                }
            }
        }
    }

    /// Whether a comma and another date, `YYYY-mm-dd`, follow.
    fn is_before_date(&self, text: &[u8]) -> bool {
        let shape = text.get(self.end + 1..self.end + 9);
        shape.is_some_and(|date| leading_digits(date) == 4 && date[4] == b'-' && date[7] == b'-')
    }

    fn scan_half_of_day(&mut self, text: &'a [u8]) {
        let start = self.end + usize::from(text.get(self.end) == Some(&b' '));
        let Some([half @ (b'A' | b'P' | b'a' | b'p'), b'M' | b'm']) = text.get(start..start + 2) else {
            return;
        };
        let mut behind = start + 2;
        let mut fraction = self.fraction;
        // Unified CM puts the fraction behind it.
        if text.get(behind) == Some(&b'.') {
            let digits = leading_digits(&text[behind + 1..]);
            fraction = &text[behind + 1..behind + 1 + digits];
            behind += 1 + digits;
        }
        let ends = ends_word(text.get(behind)) || matches!(text.get(behind), Some(b'\r' | b'\n'));
        if !ends || !(1..=12).contains(&self.hour) {
            return;
        }
        self.hour = self.hour % 12 + if half.eq_ignore_ascii_case(&b'p') { 12 } else { 0 };
        self.fraction = fraction;
        self.end = behind;
        self.plain = false;
    }

    /// The moment of that time of day.
    pub fn stamp(&self, year: Option<i32>, month: u8, day: u8, zone: Zone<'a>) -> Stamp<'a> {
        Stamp {
            year,
            month,
            day,
            hour: self.hour,
            minute: self.minute,
            second: self.second,
            fraction: self.fraction,
            zone,
            either_order: false,
        }
    }
}
