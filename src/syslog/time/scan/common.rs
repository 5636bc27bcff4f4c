//! The two forms that most messages have, read eight bytes at a time.
//!
//! Each says nothing where the general rules could see more or something else, which then have their turn; what it does
//! say is what they would (`tests::the_common_forms_are_read_like_all_others`).

use super::{Form, Scanned, leading_digits, offset, spaced};
use crate::syslog::time::{Stamp, When, Zone};

/// Either of the two.
pub fn scan(text: &[u8]) -> Option<Scanned<'_>> {
    match text.first()? {
        b'0'..=b'9' => rfc3339(text),
        b'A'..=b'Z' => bsd(text),
        _ => None,
    }
}

/// Exactly RFC 3339.
fn rfc3339(text: &[u8]) -> Option<Scanned<'_>> {
    /// Digits of a nanosecond; finer ones are left to the general rules.
    const MAX_FRACTION: usize = 9;
    let head: &[u8; 19] = text.first_chunk()?;
    let date = numbers::<{ pattern(*b"0000-00-") }>(head[..8].try_into().ok()?)?;
    let clock = numbers::<{ pattern(*b"00T00:00") }>(head[8..16].try_into().ok()?)?;
    let seconds = numbers::<{ pattern(*b"00:00:00") }>(head[11..].try_into().ok()?)?;
    let mut end = head.len();
    if text.get(end) == Some(&b'.') {
        let digits = &text[end + 1..];
        let len = digits.iter().take(MAX_FRACTION + 1).take_while(|byte| byte.is_ascii_digit()).count();
        if !(1..=MAX_FRACTION).contains(&len) {
            return None;
        }
        end += 1 + len;
    }
    let zone = match text.get(end..)? {
        [b'Z', rest @ ..] if !rest.first().is_some_and(u8::is_ascii_alphanumeric) => {
            end += 1;
            Zone::Offset(0)
        }
        rest @ [b'+' | b'-', ..] => {
            let (zone, len, as_rfc) = offset(rest)?;
            end += len;
            as_rfc.then_some(zone)?
        }
        _ => return None,
    };
    let stamp = Stamp {
        year: Some(i32::from(date[0]) * 100 + i32::from(date[2])),
        month: date[5],
        day: clock[0],
        hour: clock[3],
        minute: clock[6],
        second: seconds[6],
        fraction: &[],
        zone,
        either_order: false,
    };
    stamp.is_valid().then(|| Scanned { when: When::Rfc3339(&text[..end]), form: Form::Rfc3339, len: end })
}

/// Exactly RFC 3164, `Mmm dd hh:mm:ss`, with a space behind it and nothing that could belong to it.
fn bsd(text: &[u8]) -> Option<Scanned<'_>> {
    const LEN: usize = 15;
    let head: &[u8; LEN] = text.first_chunk()?;
    let month = match &head[..4] {
        b"Jan " => 1,
        b"Feb " => 2,
        b"Mar " => 3,
        b"Apr " => 4,
        b"May " => 5,
        b"Jun " => 6,
        b"Jul " => 7,
        b"Aug " => 8,
        b"Sep " => 9,
        b"Oct " => 10,
        b"Nov " => 11,
        b"Dec " => 12,
        _ => return None,
    };
    let day = match head[4..7] {
        [b' ', units @ b'0'..=b'9', b' '] => units - b'0',
        [tens @ b'0'..=b'9', units @ b'0'..=b'9', b' '] => (tens - b'0') * 10 + (units - b'0'),
        _ => return None,
    };
    let clock = numbers::<{ pattern(*b"00:00:00") }>(head[7..].try_into().ok()?)?;
    let behind = &text[LEN..];
    match behind {
        [b' ', b'A' | b'P' | b'a' | b'p', b'M' | b'm', rest @ ..]
            if !rest.first().is_some_and(u8::is_ascii_alphanumeric) =>
        {
            return None;
        }
        // A year, perhaps.
        [b' ', b'0'..=b'9', ..] if leading_digits(&behind[1..]) >= 4 => return None,
        [b' ', ..] if spaced(behind).is_none() => {}
        _ => return None,
    }
    let stamp = Stamp {
        year: None,
        month,
        day,
        hour: clock[0],
        minute: clock[3],
        second: clock[6],
        fraction: &[],
        zone: Zone::Unnamed,
        either_order: false,
    };
    Some(Scanned { when: When::Civil(stamp), form: Form::Bsd, len: LEN })
}

/// Eight bytes as [`numbers`] takes them: a digit wherever there is a `0`, elsewhere the byte itself.
const fn pattern(pattern: [u8; 8]) -> u64 {
    u64::from_le_bytes(pattern)
}

/// Reads text of a pattern: at each place the number that the digit there makes with the one behind it.
fn numbers<const PATTERN: u64>(text: [u8; 8]) -> Option<[u8; 8]> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = ONES * 0x80;
    let separators = const {
        let (mut mask, mut at) = (0, 0);
        while at < 8 {
            if PATTERN.to_le_bytes()[at] != b'0' {
                mask |= 0xff << (8 * at);
            }
            at += 1;
        }
        mask
    };
    // Digits become their values, and what is not one something above 9; separators become zero.
    let values = u64::from_le_bytes(text) ^ PATTERN;
    let above_nine = (values.wrapping_add(ONES * (0x80 - 10)) | values) & HIGHS;
    (above_nine == 0 && values & separators == 0)
        .then(|| (values.wrapping_mul(10).wrapping_add(values >> 8)).to_le_bytes())
}

#[cfg(test)]
mod tests {
    use super::super::any_form;
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        #[test]
        fn the_common_forms_are_read_like_all_others(
            text in r"(20[0-9]{2}|0000)-[0-2][0-9]-[0-3][0-9][Tt ][0-2][0-9]:[0-6][0-9]:[0-6][0-9]([.,][0-9]{0,11})?(Z|z|[+-][0-2][0-9]:?[0-6][0-9])?[ :a0(\[]?.{0,6}",
            named in r"(Jan|Feb|Mar|May|Nov|Dec|Okt|mar|Sept) [ 0-3]?[0-9],? [0-2]?[0-9]:[0-6][0-9]:[0-6][0-9][ .:]( ?(AM|pm|pmx|UTC|CEST|EST1|TZ-6|GMT\+2|UT|2026|20266|1999|Z|est:|utcx:|\+0100|-|-01) ?)?.{0,6}",
            (at, byte) in (0..30_usize, any::<u8>()),
        ) {
            for text in [text, named] {
                if let Some(common) = scan(text.as_bytes()) {
                    prop_assert_eq!(Some(common), any_form(text.as_bytes()), "{}", text);
                }
                let mut bytes = text.into_bytes();
                if let Some(place) = bytes.get_mut(at) {
                    *place = byte;
                }
                if let Some(common) = scan(&bytes) {
                    prop_assert_eq!(Some(common), any_form(&bytes), "{}", String::from_utf8_lossy(&bytes));
                }
            }
        }
    }

    #[test]
    fn the_common_forms_are_taken() {
        for text in [
            "2026-11-25T06:30:00Z",
            "2026-11-25T06:30:00.123456Z host",
            "2026-02-28T23:59:60.1-05:30 host",
            "Nov 25 06:30:00 host",
            "Nov  5 06:30:00 192.0.2.1 app:",
            "Nov 05 24:61:99 Amsterdam",
            "Nov 25 06:30:00 EST1 app:",
        ] {
            assert!(scan(text.as_bytes()).is_some(), "{text}");
        }
    }

    #[test]
    fn a_number_stands_where_its_first_digit_does() {
        assert_eq!(
            numbers::<{ pattern(*b"00:00-00") }>(*b"12:34-56").map(|found| [found[0], found[3], found[6]]),
            Some([12, 34, 56])
        );
        for at in 0..8 {
            for byte in 0..=255 {
                let mut text = *b"12:34-56";
                let same = text[at] == byte || (text[at].is_ascii_digit() && byte.is_ascii_digit());
                text[at] = byte;
                assert_eq!(numbers::<{ pattern(*b"00:00-00") }>(text).is_some(), same, "{byte} at {at}");
            }
        }
    }
}
