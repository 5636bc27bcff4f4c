//! PRI, the only part that RFC 3164 and RFC 5424 share.
//!
//! `<0>` to `<191>`; leading zeros are read, for senders print them. Where there is none, or one that names no priority,
//! 13 (user.notice) is assumed, as RFC 3164 section 4.3.3 asks of a relay. A header behind an impossible PRI is read all
//! the same; where there is none the text keeps what was sent.

/// user.notice, where a message has no PRI.
pub const DEFAULT: u8 = 13;

/// local7.debug, the largest.
const MAX: u32 = 191;

/// Digits between the brackets of what is taken for an attempt at PRI.
const MAX_DIGITS: usize = 10;

/// A message divided at its PRI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pri<'a> {
    /// 0 to 191.
    pub priority: u8,
    /// There is one, possible or not.
    pub sent: bool,
    /// Where a header would begin.
    pub text: &'a [u8],
    /// What is the body when there is no header.
    pub remainder: &'a [u8],
}

/// Divides a message at its PRI. In front of one, a byte order mark, white space, and an octet count that a relay left
/// in a datagram are stepped over.
pub fn take(raw: &[u8]) -> Pri<'_> {
    if let Some((priority, rest)) = exact(raw) {
        return Pri { priority, sent: true, text: rest, remainder: rest };
    }
    let text = raw.strip_prefix("\u{feff}".as_bytes()).unwrap_or(raw);
    let candidate = without_octet_count(text.trim_ascii_start());
    let Some((value, rest)) = bracketed(candidate) else {
        return Pri { priority: DEFAULT, sent: false, text, remainder: text };
    };
    match value {
        Some(priority) => Pri { priority, sent: true, text: rest, remainder: rest },
        None => Pri { priority: DEFAULT, sent: true, text: rest, remainder: text },
    }
}

/// PRI at the very start, as nearly every message has it.
fn exact(raw: &[u8]) -> Option<(u8, &[u8])> {
    let digit = |byte: u8| byte.is_ascii_digit().then(|| u32::from(byte - b'0'));
    let (value, rest) = match raw {
        [b'<', a, b, c, b'>', rest @ ..] => (digit(*a)? * 100 + digit(*b)? * 10 + digit(*c)?, rest),
        [b'<', a, b, b'>', rest @ ..] => (digit(*a)? * 10 + digit(*b)?, rest),
        [b'<', a, b'>', rest @ ..] => (digit(*a)?, rest),
        _ => return None,
    };
    (value <= MAX).then_some((value as u8, rest))
}

fn without_octet_count(text: &[u8]) -> &[u8] {
    let digits = super::leading_digits(text);
    match &text[digits..] {
        [b' ', rest @ ..] if digits > 0 && rest.first() == Some(&b'<') => rest,
        _ => text,
    }
}

/// `<digits>` at the start: the priority where the number is one, and the rest.
fn bracketed(text: &[u8]) -> Option<(Option<u8>, &[u8])> {
    let inner = text.strip_prefix(b"<")?;
    let digits = inner.iter().take(MAX_DIGITS).take_while(|byte| byte.is_ascii_digit()).count();
    let rest = inner[digits..].strip_prefix(b">")?;
    // Ten digits can be more than the type holds.
    let value = inner[..digits]
        .iter()
        .fold(0_u32, |sum, byte| sum.saturating_mul(10).saturating_add(u32::from(byte - b'0')));
    let priority = (1..=3).contains(&digits) && value <= MAX;
    Some((priority.then_some(value as u8), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pri_is_taken_where_it_is_one() {
        let table: &[(&str, u8, &str, &str)] = &[
            ("<0>x", 0, "x", "x"),
            ("<191>x", 191, "x", "x"),
            ("<192>x", 13, "x", "<192>x"),
            ("<999>x", 13, "x", "<999>x"),
            ("<034>x", 34, "x", "x"),
            ("<0034>x", 13, "x", "<0034>x"),
            ("<4294967295>x", 13, "x", "<4294967295>x"),
            ("<39426042134>x", 13, "<39426042134>x", "<39426042134>x"),
            ("<>x", 13, "x", "<>x"),
            ("<13", 13, "<13", "<13"),
            ("<b>x", 13, "<b>x", "<b>x"),
            ("<-1>x", 13, "<-1>x", "<-1>x"),
            ("\u{feff}<34>x", 34, "x", "x"),
            ("  <34>x", 34, "x", "x"),
            ("104 <34>x", 34, "x", "x"),
            ("104 <b>x", 13, "104 <b>x", "104 <b>x"),
            ("", 13, "", ""),
        ];
        for (raw, priority, text, remainder) in table {
            let expected = Pri {
                priority: *priority,
                sent: raw != text,
                text: text.as_bytes(),
                remainder: remainder.as_bytes(),
            };
            assert_eq!(take(raw.as_bytes()), expected, "{raw}");
        }
    }
}
