//! The TAG of RFC 3164 (section 4.1.3) and what senders make of it.
//!
//! A TAG is a program's name, often with a process in brackets, and a colon. It may be a path, hold parentheses or more
//! than one bracket, have a space before its colon. A colon makes it a TAG; without one only these are:
//! `name[123]`, a Cisco mnemonic, `MikroTik`'s topics, and ISE's category. So the first word of a text is never taken.

use super::{leading_digits, without_space, word};
use crate::syslog::time;

/// The longest TAG; RFC 3164 allows 32, container runtimes put 64 hexadecimal digits and a path into it.
const MAX_TAG_BYTES: usize = 256;

/// The longest TAG of several words.
const MAX_WORDS_BYTES: usize = 64;

/// A TAG and the text behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tag<'a> {
    /// As sent, without the colon.
    pub text: &'a [u8],
    /// The program.
    pub app: &'a [u8],
    /// What stands in the brackets.
    pub proc_id: Option<&'a [u8]>,
    /// What follows, without the colon and one space.
    pub body: &'a [u8],
    /// It ends with a colon, and so can be nothing else.
    pub colon: bool,
}

impl<'a> Tag<'a> {
    fn new(text: &'a [u8], app: &'a [u8], proc_id: Option<&'a [u8]>, rest: &'a [u8], colon: bool) -> Self {
        let proc_id = proc_id.filter(|proc_id| !proc_id.is_empty());
        Self { text, app, proc_id, body: without_space(rest), colon }
    }

    /// Whether it is a list of topics, as `MikroTik` sends it.
    pub fn is_topics(&self) -> bool {
        !self.colon && self.text.contains(&b',')
    }
}

/// A TAG at the start of `text`.
pub fn scan(text: &[u8]) -> Option<Tag<'_>> {
    match text.first()? {
        b'%' => mnemonic(text).or_else(|| name(text)).or_else(|| comware(text)),
        b'C' | b'L' if is_payload(text) => None,
        // Hitachi's audit log, with its time among its columns.
        b'C' if text.starts_with(b"CELFSS,") => None,
        b'0'..=b'9' if time::scan::scan(text).is_some() => None,
        _ => name(text).or_else(|| words(text)).or_else(|| topics(text)).or_else(|| category(text)),
    }
}

/// `CEF:0|` or `LEEF:2.0|`, with or without a space behind the colon, or Dragon's `LEEF:Version=1.0|`: a payload, not a
/// TAG.
pub fn is_payload(text: &[u8]) -> bool {
    let Some(rest) = text.strip_prefix(b"CEF:").or_else(|| text.strip_prefix(b"LEEF:")) else { return false };
    let rest = without_space(rest);
    let rest = rest.strip_prefix(b"Version=").unwrap_or(rest);
    let version = rest.iter().take(4).take_while(|byte| byte.is_ascii_digit() || **byte == b'.').count();
    version > 0 && rest.get(version) == Some(&b'|')
}

/// The part of a program's name that stays the same: without a path, and without what an instance adds behind a slash,
/// a parenthesis or a comma; a mnemonic's facility.
pub fn static_part(app: &[u8]) -> &[u8] {
    let stem = match app {
        [b'/', ..] => app.rsplit(|&byte| byte == b'/').find(|part| !part.is_empty()).unwrap_or(app),
        [b'%', b'%', a, b, rest @ ..] if a.is_ascii_digit() && b.is_ascii_digit() => rest,
        [b'%', rest @ ..] => {
            let signs = rest.iter().take_while(|byte| matches!(byte, b'%' | b'-')).count();
            let rest = &rest[signs..];
            let end = rest.iter().position(|byte| *byte == b'-').unwrap_or(rest.len());
            &rest[..end]
        }
        _ => app,
    };
    let end = stem
        .iter()
        .skip(1)
        .position(|byte| matches!(byte, b'/' | b'(' | b','))
        .map_or(stem.len(), |at| at + 1);
    let stem = &stem[..end];
    if stem.is_empty() { app } else { stem }
}

fn is_tag_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'_' | b'-'
                | b'.'
                | b'/'
                | b'('
                | b')'
                | b'#'
                | b'@'
                | b'+'
                | b'%'
                | b'$'
                | b'*'
                | b'~'
                | b','
                | b'!'
                | b'&'
                | b'\\'
                | 0x80..
        )
}

/// One word with a colon, or with a number in brackets.
fn name(text: &[u8]) -> Option<Tag<'_>> {
    let mut depth = 0_usize;
    for (at, &byte) in text.iter().enumerate().take(MAX_TAG_BYTES) {
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            b'[' if at > 0 => return bracketed(text, at),
            b':' | b'=' if depth > 0 => {}
            // GDM loses the opening bracket.
            b']' if at > 0 && matches!(text.get(at + 1..), Some([b':', b' ', ..])) => {
                return is_program(&text[..at])
                    .then(|| Tag::new(&text[..=at], &text[..at], None, &text[at + 2..], true));
            }
            b':' => return ends_with_colon(text, at),
            b' ' if depth == 0 && matches!(text.get(at + 1..), Some([b':'] | [b':', b' ', ..])) => {
                return is_program(&text[..at])
                    .then(|| Tag::new(&text[..at], &text[..at], None, &text[at + 2..], true));
            }
            _ if is_tag_byte(byte) => {}
            _ => return None,
        }
    }
    None
}

fn is_program(name: &[u8]) -> bool {
    name.iter().any(|&byte| byte.is_ascii_alphabetic() || byte >= 0x80)
}

fn ends_with_colon(text: &[u8], at: usize) -> Option<Tag<'_>> {
    let program = &text[..at];
    if !is_program(program) {
        return None;
    }
    let rest = &text[at + 1..];
    // Behind the colon of a TAG comes a space as a rule. Without one it must not be a URL, a path of Windows, a name
    // with a namespace, an address, or a key before a quoted value.
    let accepted = match rest.first() {
        None | Some(b' ' | b'\t') => true,
        Some(b':' | b'/' | b'\\' | b'"') => false,
        Some(_) => {
            program[0] != b'('
                // A unit of a stack (`%STKUNIT0-M:CP`), while Comware's two signs begin a TAG.
                && !matches!(program, [b'%', next, ..] if *next != b'%')
                && !(at <= 4 && program.iter().all(u8::is_ascii_hexdigit) && has_colon_in_word(rest))
        }
    };
    accepted.then(|| Tag::new(program, program, None, rest, true))
}

fn has_colon_in_word(text: &[u8]) -> bool {
    memchr::memchr(b':', word(&text[..text.len().min(MAX_TAG_BYTES)]).0).is_some()
}

/// `name[process]` and what follows it up to a colon.
fn bracketed(text: &[u8], open: usize) -> Option<Tag<'_>> {
    let program = &text[..open];
    let limit = text.len().min(MAX_TAG_BYTES);
    let close = open + memchr::memchr(b']', &text[open..limit])?;
    let process = &text[open + 1..close];
    if !is_program(program) || process.contains(&b'[') {
        return None;
    }
    let numeric = !process.is_empty() && process.iter().all(u8::is_ascii_digit);
    let tag = |end: usize, rest: usize, colon: bool| {
        Some(Tag::new(&text[..end], program, Some(process), text.get(rest..).unwrap_or_default(), colon))
    };
    match &text[close + 1..] {
        [b':', ..] => tag(close + 1, close + 2, true),
        [b' ', b':'] | [b' ', b':', b' ', ..] => tag(close + 1, close + 3, true),
        [] | [b' ', ..] if numeric => tag(close + 1, close + 1, false),
        // A second bracket or a suffix, up to the colon of the same word.
        rest => {
            let suffix = rest
                .iter()
                .take(limit)
                .take_while(|&&byte| is_tag_byte(byte) || matches!(byte, b'[' | b']' | b'<' | b'>'));
            let end = close + 1 + suffix.count();
            let behind = text.get(end..)?;
            (end > close + 1 && matches!(behind, [b':'] | [b':', b' ', ..]))
                .then(|| tag(end, end + 1, true))
                .flatten()
        }
    }
}

/// Capitalised words with a number in brackets and a colon: `Windows Defender[4]:`.
fn words(text: &[u8]) -> Option<Tag<'_>> {
    let limit = &text[..text.len().min(MAX_WORDS_BYTES)];
    let open = memchr::memchr(b'[', limit)?;
    let program = &text[..open];
    let capitalised = program
        .split(|&byte| byte == b' ')
        .all(|word| word.first().is_some_and(|first| first.is_ascii_uppercase() || *first == b'('));
    if !capitalised || !program.iter().all(|&byte| byte == b' ' || is_tag_byte(byte)) {
        return None;
    }
    let digits = leading_digits(&text[open + 1..]);
    let end = open + 1 + digits;
    (digits > 0 && text.get(end..end + 2)? == b"]:")
        .then(|| Tag::new(&text[..=end], program, Some(&text[open + 1..end]), &text[end + 2..], true))
}

/// Oracle's audit trail, whose documented TAG has several words and no host in front of it where the database's own
/// host takes it: `Oracle Audit[123]:`, `Oracle Unified Audit[123]:`.
pub fn is_oracle_audit(text: &[u8]) -> bool {
    text.strip_prefix(b"Oracle ")
        .map(|rest| rest.strip_prefix(b"Unified ").unwrap_or(rest))
        .is_some_and(|rest| rest.starts_with(b"Audit["))
}

/// Without the unit of a stack or chassis (`%STKUNIT0-M:CP`, `%SYSTEM-P:CP`) that Force10 and Dell put in front of a
/// mnemonic.
pub fn without_unit(text: &[u8]) -> &[u8] {
    let Some(rest) = text.strip_prefix(b"%") else { return text };
    let (unit, behind) = word(&rest[..rest.len().min(24)]);
    let is_unit = unit
        .iter()
        .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b':'));
    let behind = &rest[unit.len()..][usize::from(!behind.is_empty())..];
    if is_unit && unit.contains(&b':') && mnemonic(behind).is_some() { behind } else { text }
}

/// A mnemonic that lacks the sign (Raisecom): `SSH-SERVER-5-PASSWORD_OK:`, in capitals and before a colon.
pub fn is_bare_mnemonic(text: &[u8]) -> bool {
    let is_one =
        |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-');
    let len = text.iter().take(MAX_TAG_BYTES).take_while(|byte| is_one(byte)).count();
    let mut parts = text[..len].split(|&byte| byte == b'-');
    text.get(len) == Some(&b':')
        && parts.next().is_some_and(|first| first.first().is_some_and(u8::is_ascii_uppercase))
        && parts.any(|part| matches!(part, [b'0'..=b'7']))
        && parts.next().is_some_and(|last| !last.is_empty())
}

/// `%FACILITY-SEVERITY-MNEMONIC`, with subfacilities or a message class between, before a colon or a space. Switches
/// for small businesses write the severity's first letter, debugging to emergency.
pub fn mnemonic(text: &[u8]) -> Option<Tag<'_>> {
    let rest = text.strip_prefix(b"%")?;
    let len = rest
        .iter()
        .take(MAX_TAG_BYTES)
        .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'/' | b'.'))
        .count();
    let name = &rest[..len];
    let mut parts = name.split(|&byte| byte == b'-');
    let facility = parts.next()?;
    if facility.is_empty() || !facility[0].is_ascii_uppercase() {
        return None;
    }
    // The severity is one digit or letter, with something before and behind it.
    let is_severity =
        |part: &&[u8]| matches!(part, [b'0'..=b'7' | b'D' | b'I' | b'N' | b'W' | b'E' | b'C' | b'A' | b'F']);
    parts.find(is_severity)?;
    parts.next()?;
    let text_end = 1 + len;
    let (rest, colon) = match &rest[len..] {
        [b':', rest @ ..] | [b' ', b':', rest @ ..] => (rest, true),
        rest @ ([] | [b' ', ..]) => (rest, false),
        _ => return None,
    };
    Some(Tag::new(&text[..text_end], &text[..text_end], None, rest, colon))
}

/// Comware's mnemonic of several words: `%%10L2INF/5/PORT LINK STATUS CHANGE(l):`.
fn comware(text: &[u8]) -> Option<Tag<'_>> {
    let start = text.starts_with(b"%%10").then(|| &text[..text.len().min(MAX_WORDS_BYTES)])?;
    let open = memchr::memchr(b'(', start)?;
    let is_one = |byte: &u8| {
        byte.is_ascii_uppercase() || byte.is_ascii_digit() || matches!(byte, b'%' | b'/' | b'_' | b' ')
    };
    let [b'(', b'a'..=b'z', b')', b':', ..] = text[open..] else { return None };
    let end = open + 3;
    let is_mnemonic = start[4..].first().is_some_and(u8::is_ascii_uppercase)
        && memchr::memchr_iter(b'/', &start[..open]).count() == 2;
    (is_mnemonic && start[..open].iter().all(is_one))
        .then(|| Tag::new(&text[..end], &text[..end], None, &text[end + 1..], true))
}

/// `MikroTik`: comma-separated topics, a level among them, and no colon.
fn topics(text: &[u8]) -> Option<Tag<'_>> {
    const LEVELS: [&[u8]; 7] = [b"info", b"warning", b"error", b"critical", b"debug", b"account", b"raw"];
    let (topics, rest) = word(&text[..text.len().min(MAX_TAG_BYTES)]);
    if rest.is_empty() || !topics.contains(&b',') {
        return None;
    }
    let mut parts = topics.split(|&byte| byte == b',');
    let is_list = parts.clone().all(|part| {
        !part.is_empty() && part.iter().all(|byte| byte.is_ascii_lowercase() || matches!(byte, b'-' | b'!'))
    });
    (is_list && parts.any(|part| LEVELS.contains(&part)))
        .then(|| Tag::new(topics, topics, None, &text[topics.len()..], false))
}

/// ISE: `CISE_` and a category without a colon; behind it stand a message number or an alarm.
fn category(text: &[u8]) -> Option<Tag<'_>> {
    if !text.starts_with(b"CISE_") {
        return None;
    }
    let (category, rest) = word(&text[..text.len().min(MAX_TAG_BYTES)]);
    (!category.contains(&b':') && !rest.is_empty())
        .then(|| Tag::new(category, category, None, &text[category.len()..], false))
}
