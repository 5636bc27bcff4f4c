//! The straight way through the shape that most messages of RFC 3164 have: timestamp, HOSTNAME, and a TAG with a colon,
//! each behind one space.
//!
//! ```text
//! Mmm dd hh:mm:ss host program[process]: text
//! Mmm dd hh:mm:ss host program: text
//! 2026-11-25T06:30:00.123456+01:00 host program[process]: text
//! ```
//!
//! The rules of `rfc3164` ask of every word whether it could be something else, and there are dozens of such questions.
//! A word that is made of few signs answers nearly all of them at one look. Where it does not, nothing is said here and
//! the rules have their turn; what is said here is what they would say (`tests` holds both against each other):
//!
//! | what the rules ask | what answers it |
//! |---|---|
//! | is there a facility and level, a colon, a tab or a second space behind the timestamp | the first is asked; the others are no signs of a host |
//! | is the host a TAG, a mnemonic, an address with a port, a node, a descriptor, an event of ONTAP, NILVALUE | each has a sign that a host here has not: `:`, `%`, `[`, `(`, `,`, a dash in front |
//! | is it a level, Endpoint Protection, or the first word of Oracle's or a home gateway's TAG | asked |
//! | does it begin a sentence, of which the TAG is the second word | asked where it has a capital |
//! | is it a number, or a client in front of a request | not with a TAG with a colon behind it |
//! | does a daemon speak of itself, or a relay name the origin | words with a space behind them, where a TAG has a colon or a bracket; but for `syslogd`, which is asked |
//! | does a relayed header begin behind the host | a month's name or a weekday has a space behind it, a PRI or VERSION another first sign |
//! | does one of Cisco's headers | a node (`/CPU0:`) is asked; behind a name with a colon the text is looked at |
//! | does the host stand there once more, a level, a selector, a serial number | the first is asked; the others have no colon |
//! | is the TAG a payload (`CEF: 0\|`) | a text that begins with a digit is left to the rules |

use super::Parsed;
use super::level::{is_level, is_level_in_capitals, is_selector};
use super::rfc3164::rule_of;
use super::words;
use crate::syslog::block;
use crate::syslog::time::scan::{self, Form, Scanned};

/// Longer words are left to the rules; their own bounds are wider.
const MAX_WORD_BYTES: usize = 64;

/// Reads a message of this shape from its timestamp on.
pub fn parse<'a>(text: &'a [u8], scanned: &Scanned<'a>) -> Option<Parsed<'a>> {
    if !matches!(scanned.form, Form::Bsd | Form::Rfc3339) {
        return None;
    }
    let behind = text.get(scanned.len..)?.strip_prefix(b" ")?;
    let (host, behind) = host(behind)?;
    let behind = behind.strip_prefix(b" ")?;
    let len = word(behind, TAG)?;
    let (program, rest) = behind.split_at(len);
    let begins_as_program = matches!(program, [first, ..] if first.is_ascii_alphabetic())
        || matches!(program, [b'/', first, ..] if first.is_ascii_alphabetic());
    if !begins_as_program || program.starts_with(host) || program.windows(4).any(|part| part == b"/CPU") {
        return None;
    }
    let (tag, proc_id, body) = match rest {
        [b'[', inner @ ..] => {
            let process = word(inner, PROCESS).filter(|&process| process > 0)?;
            let body = inner[process..].strip_prefix(b"]: ")?;
            (&behind[..len + process + 2], Some(&inner[..process]), body)
        }
        [b':', b' ', body @ ..] => {
            if may_be_header(body) || words::is_before_colon(host, program) {
                return None;
            }
            (program, None, body)
        }
        _ => return None,
    };
    Some(Parsed {
        when: scanned.when,
        host: Some(super::host::without_unit(host)),
        app: Some(program),
        proc_id,
        tag: Some(tag),
        ..Parsed::new(rule_of(scanned.form), body)
    })
}

/// HOSTNAME, where it can be nothing else, and what follows it.
fn host(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let (host, behind) = text.split_at(word(text, HOST)?);
    let first = *host.first()?;
    let is_other = !first.is_ascii_alphanumeric()
        || matches!(host, b"syslogd" | b"dhcp")
        || is_level(host)
        || (first.is_ascii_uppercase()
            && (matches!(host, b"SymantecServer" | b"Oracle" | b"WAN" | b"UNKNOWN_LOCALHOST")
                || is_level_in_capitals(host)))
        || is_selector(host);
    (!is_other).then_some((host, behind))
}

/// Whether the text behind `name: ` could go on with a header of Cisco's (a timestamp, a number, a sign of theirs, a node,
/// or a mnemonic behind a name and a colon) or be a payload's version.
fn may_be_header(text: &[u8]) -> bool {
    let Some(first) = text.first() else { return false };
    let is_sign =
        matches!(first, b'0'..=b'9' | b' ' | b'*' | b'.' | b'%' | b':') || text.starts_with(b"[syslog@");
    if is_sign || scan::scan(text).is_some() {
        return true;
    }
    let end = block::find([b' ', b'/'], text);
    text[end..].starts_with(b"/") || text[end..].starts_with(b" : %")
}

/// The length of the word at the start of `text` that is made of the bytes of one kind; nothing where it is too long.
fn word(text: &[u8], kind: u8) -> Option<usize> {
    text.iter().take(MAX_WORD_BYTES + 1).position(|&byte| KINDS[usize::from(byte)] & kind == 0)
}

const HOST: u8 = 1;
const TAG: u8 = 2;
const PROCESS: u8 = 4;

/// Which words a byte can be in.
const KINDS: [u8; 256] = {
    let mut kinds = [0; 256];
    let mut byte = 0;
    while byte < kinds.len() {
        kinds[byte] = match byte as u8 {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'_' | b'.' => HOST | TAG | PROCESS,
            b'/' => TAG,
            _ => 0,
        };
        byte += 1;
    }
    kinds
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syslog::parse::{content, rfc3164};
    use proptest::prelude::*;

    /// What is read straight, and whether the rules read the same.
    fn compare(text: &[u8]) -> Option<(Option<Parsed<'_>>, Option<Parsed<'_>>)> {
        let scanned = scan::scan(text)?;
        let straight = parse(text, &scanned)?;
        Some((Some(straight), rfc3164::header(text, &scanned, rfc3164::Place::First)))
    }

    fn times() -> impl Strategy<Value = &'static str> {
        prop::sample::select(vec![
            "Nov 25 06:30:00",
            "Nov  5 06:30:00",
            "Feb 30 25:61:61",
            "2026-11-25T06:30:00Z",
            "2026-11-25T06:30:00.123456+01:00",
        ])
    }

    /// Words that mean something to one rule or another, in whatever place.
    fn words() -> impl Strategy<Value = String> {
        let known = prop::sample::select(vec![
            "host",
            "gw-1.example.net",
            "10.1.2.3",
            "2026",
            "12345",
            "fe80::1",
            "h:514",
            "-",
            "(none)",
            "node(id1)",
            "SymantecServer",
            "Invalid",
            "Unknown",
            "INFO",
            "Error",
            "info",
            "error",
            "user.notice",
            "local7.info",
            "kern",
            "syslogd",
            "started",
            "exiting",
            "last",
            "message",
            "repeated",
            "from",
            "Message",
            "forwarded",
            "Mon",
            "Oct",
            "october",
            "May",
            "EST",
            "UNKNOWN_LOCALHOST",
            "UTC",
            "AM",
            "pm",
            "TZ-6",
            "sshd",
            "postfix/smtpd",
            "/usr/sbin/cron",
            "CEF",
            "LEEF",
            "CISE_Alarm",
            "RP/0/RSP0/CPU0",
            "0/CPU0",
            "%ASA-6-302013",
            "%%10SHELL",
            "*",
            "1w2d",
            "29",
            "80BE012345678",
            "auth|security",
            "U7PG2,788a20aabbcc,v4",
            "788a20aabbcc,U6-6.0",
            "host.example.net",
            "1",
            "0|a|b",
            "-PPE-0",
            "x-PPE-1",
            "[x]",
            "[syslog@9",
            "<13>",
            "1633990455",
            "a=b",
            "žluť",
            "",
        ]);
        prop_oneof![8 => known.prop_map(str::to_owned), 1 => "[a-zA-Z0-9_./-]{1,12}", 1 => "\\PC{0,4}"]
    }

    fn ends() -> impl Strategy<Value = &'static str> {
        prop::sample::select(vec![
            " ",
            " ",
            " ",
            ": ",
            ": ",
            ": ",
            ":",
            "[7]: ",
            "[7]: ",
            "[]: ",
            "[a.b]: ",
            "[7] ",
            " : ",
            "  ",
            "\t",
            ": %ASA-6-302013: ",
            "",
        ])
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn what_is_read_straight_is_what_the_rules_read(
            time in times(),
            parts in prop::collection::vec((words(), ends()), 1..7),
            (at, byte) in (0..60_usize, prop::sample::select(&b" :[]%/.0aZ*\t(,\xff"[..])),
        ) {
            let parts: String = parts.iter().map(|(word, end)| format!("{word}{end}")).collect();
            let mut text = format!("{time} {parts}").into_bytes();
            if let Some((straight, rules)) = compare(&text) {
                prop_assert_eq!(straight, rules, "{}", String::from_utf8_lossy(&text));
            }
            if let Some(place) = text.get_mut(at) {
                *place = byte;
            }
            if let Some((straight, rules)) = compare(&text) {
                prop_assert_eq!(straight, rules, "{}", String::from_utf8_lossy(&text));
            }
        }
    }

    #[test]
    fn daemons_words_are_theirs_wherever_they_stand() {
        for words in content::OWN_WORDS {
            for before in ["", "host ", "host app: "] {
                for behind in ["", ": ", "[7]: ", " v1.36.1: "] {
                    let words = std::str::from_utf8(words).unwrap();
                    let text = format!("Nov 25 06:30:00 {before}{words}{behind}text");
                    if let Some((straight, rules)) = compare(text.as_bytes()) {
                        assert_eq!(straight, rules, "{text}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_word_that_is_more_than_it_seems_is_left_to_the_rules() {
        for behind in [
            "host host.example.net: app: text",
            "host RP/0/RSP0/CPU0: Nov 25 06:30:01.123: %PLATFORM-3-X: text",
            "host RP/0/RSP0/CPU0: other: %PLATFORM-3-X: text",
            "host CEF: 0|a|b|c|1|text|5|dvchost=other",
            "host LEEF: 1.0|a|b|c|1|dvchost=other",
            "user.notice app[7]: text",
            "ERROR app[7]: text",
            "SymantecServer app: text",
            "syslogd exiting[7]: text",
            "host app: 29: Nov 25 06:30:01: %SYS-5-X: text",
            "host app: Nov 25 06:30:01: %SYS-5-X: text",
            "host app: other : %SYS-5-X: text",
        ] {
            let text = format!("Nov 25 06:30:00 {behind}");
            assert_eq!(compare(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn usual_messages_are_read_straight() {
        for text in [
            "Nov 25 06:30:00 web-01 sshd[1234]: Accepted password for root",
            "Nov  5 06:30:00 192.0.2.1 kernel: [123.4] eth0: link up",
            "Nov 25 06:30:00 gw.example.net postfix/smtpd[7]: connect from a/b",
            "Nov 25 06:30:00 DC01 /usr/sbin/cron[1]: (root) CMD (true)",
            "Nov 25 06:30:00 h sudo: mm : TTY=pts/0 ; PWD=/ ; USER=root",
            "2026-11-25T06:30:00.123456+01:00 web-01 systemd[1]: Started a thing.",
        ] {
            let (straight, rules) = compare(text.as_bytes()).expect(text);
            assert_eq!(straight, rules, "{text}");
        }
    }
}
