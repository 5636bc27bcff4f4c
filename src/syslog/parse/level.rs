//! Facilities and severities in words, as daemons, logging libraries and collectors write them beside PRI or in its place.

use super::{host, skip_spaces, tag, word};

/// The severities that F5 prints between host and TAG.
pub(super) const LEVELS: [&[u8]; 14] = [
    b"trace",
    b"fatal",
    b"emerg",
    b"panic",
    b"alert",
    b"crit",
    b"critical",
    b"err",
    b"error",
    b"warning",
    b"warn",
    b"notice",
    b"info",
    b"debug",
];

/// Facilities by name, as a selector of syslog.conf writes them before a severity (`local7.notice`).
const FACILITIES: [&[u8]; 21] = [
    b"kern",
    b"user",
    b"mail",
    b"daemon",
    b"auth",
    b"syslog",
    b"lpr",
    b"news",
    b"uucp",
    b"cron",
    b"authpriv",
    b"ftp",
    b"security",
    b"local0",
    b"local1",
    b"local2",
    b"local3",
    b"local4",
    b"local5",
    b"local6",
    b"local7",
];

/// A severity in small letters, or what vCenter has besides.
pub(super) fn is_level(word: &[u8]) -> bool {
    LEVELS.contains(&word) || word == b"verbose"
}

/// A severity as logging libraries write it, with capitals.
pub(super) fn is_level_in_capitals(word: &[u8]) -> bool {
    word.first().is_some_and(u8::is_ascii_uppercase)
        && LEVELS.iter().any(|level| level.eq_ignore_ascii_case(word))
}

/// A severity at the beginning of a text, with the signs that logging libraries set it off by: `[warning] `, `NOTICE: `.
pub(super) fn is_marked(text: &[u8]) -> bool {
    let (mark, _) = word(text);
    match mark {
        [b'[', level @ .., b']'] => LEVELS.iter().any(|known| known.eq_ignore_ascii_case(level)),
        [level @ .., b':'] => level.iter().all(u8::is_ascii_uppercase) && is_level_in_capitals(level),
        _ => false,
    }
}

/// `user.notice`: facility and severity as `BusyBox` and `AlliedWare` write them.
pub(super) fn is_selector(word: &[u8]) -> bool {
    let Some(point) = memchr::memchr(b'.', word) else { return false };
    FACILITIES.contains(&&word[..point]) && LEVELS.contains(&&word[point + 1..])
}

/// The same as Kiwi writes it, `Local7.Debug`.
pub(super) fn is_selector_of_any_case(word: &[u8]) -> bool {
    let mut parts = word.splitn(2, |&byte| byte == b'.');
    let is_one = |part: Option<&[u8]>, names: &[&[u8]]| {
        part.is_some_and(|part| names.iter().any(|name| name.eq_ignore_ascii_case(part)))
    };
    is_one(parts.next(), &FACILITIES) && is_one(parts.next(), &LEVELS)
}

/// AIX: `auth|security:info` before the TAG.
pub(super) fn is_facility_and_level(word: &[u8]) -> bool {
    let Some(colon) = memchr::memchr(b':', word) else { return false };
    LEVELS.contains(&&word[colon + 1..])
        && word[..colon]
            .iter()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'|')
}

/// Without the facility and level that stand behind the timestamp: `<4.6>` or `<auth.info>` of BSD's syslogd -v, PRI
/// itself, `local7.notice` of `AlliedWare`, `Local7.Notice` of Kiwi's files.
pub(super) fn without_level(text: &[u8]) -> &[u8] {
    // The longest is `<security.emergency>`.
    const MAX_BYTES: usize = 24;
    let Some(inner) = text.strip_prefix(b"<") else {
        let (first, behind) = word(&text[..text.len().min(MAX_BYTES)]);
        if is_selector_of_any_case(first) && !behind.is_empty() {
            return skip_spaces(&text[first.len()..]);
        }
        return text;
    };
    let Some(end) = memchr::memchr(b'>', &inner[..inner.len().min(MAX_BYTES)]) else { return text };
    let level = &inner[..end];
    // PRI itself behind the timestamp, before a host.
    let is_pri = (1..=3).contains(&level.len()) && level.iter().all(u8::is_ascii_digit);
    let is_one = is_pri
        || level.contains(&b'.')
            && !host::is_ipv4(level)
            && level.iter().all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase() || *byte == b'.');
    if is_one && inner[end + 1..].starts_with(b" ") { skip_spaces(&inner[end + 1..]) } else { text }
}

/// What stands behind `daemon crit `, as gateways with Broadcom's software write PRI once more, before a TAG without a
/// process. Facilities that hosts are named by (`mail`, `syslog`, `auth`) are none here.
pub(super) fn behind_two_words(text: &[u8]) -> Option<&[u8]> {
    let (facility, rest) = word(text);
    let (level, rest) = word(rest.strip_prefix(b" ")?);
    let is_facility =
        matches!(facility, b"daemon" | b"kern" | b"user" | b"authpriv") || facility.starts_with(b"local");
    let rest = rest.strip_prefix(b" ")?;
    let is_one = is_facility && FACILITIES.contains(&facility) && LEVELS.contains(&level);
    (is_one && tag::scan(rest).is_some_and(|tag| tag.colon && tag.proc_id.is_none())).then_some(rest)
}

/// Without `<LOC0:INFO>`, `LogRhythm`'s facility and level in front of what it forwards.
pub(super) fn without_names(text: &[u8]) -> &[u8] {
    /// Four letters, and the longest level's.
    const MAX_BYTES: usize = 16;
    let Some(inner) = text.strip_prefix(b"<") else { return text };
    let Some(end) = memchr::memchr(b'>', &inner[..inner.len().min(MAX_BYTES)]) else { return text };
    let is_one = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
    let is_pair =
        inner[..end].split(|&byte| byte == b':').all(|part| !part.is_empty() && part.iter().all(is_one));
    if is_pair && inner[..end].contains(&b':') { skip_spaces(&inner[end + 1..]) } else { text }
}
