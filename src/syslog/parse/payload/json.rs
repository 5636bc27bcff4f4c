//! JSON objects: who sent one and when, by the keys that schemas and products document.
//!
//! A key's case and its separators do not count, and a member of an object inside is read like one whose key has both
//! names: `device_name`, `deviceName` and `{"device":{"name":…}}` are one.

mod members;

use super::key::Key;
use super::names::{Names, name_of};
use super::pairs::date_and_time;
use super::times::{is_label, is_time};
use super::{Found, stamp};
use crate::syslog::parse::level::is_level_in_capitals;
use crate::syslog::parse::word;
use crate::syslog::time::When;
use crate::syslog::time::scan;
pub(super) use members::Member;
use members::Members;

/// The host and the time of an object.
pub(super) fn object(body: &[u8]) -> Found<'_> {
    let mut names = Names::default();
    let mut times = Times::default();
    for member in Members::new(body) {
        names.take(&member);
        times.take(&member);
    }
    Found { host: names.host(), when: times.when() }
}

/// Whether a program's colon and a level stand here in front of XDAS version 2: ` : INFO {"Source" : … "Observer"`.
pub fn is_xdas(text: &[u8]) -> bool {
    /// The source stands in front of the observer.
    const MAX_BYTES: usize = 256;
    let has_observer = || memchr::memmem::find(&text[..text.len().min(MAX_BYTES)], b"\"Observer\"").is_some();
    let (level, rest) = text.strip_prefix(b" : ").map_or((text, &b""[..]), word);
    is_level_in_capitals(level) && rest.starts_with(b" {\"Source\" : ") && has_observer()
}

/// XDAS version 2, as eDirectory and others of its family write it behind their name and a level: the machine that
/// observed, by its name or address, and the seconds of what it did.
pub(super) fn xdas(body: &[u8]) -> Option<Found<'_>> {
    /// The program's name, the level and the source.
    const MAX_BYTES: usize = 256;
    let start = &body[..body.len().min(MAX_BYTES)];
    let at = memchr::memmem::find(start, b"\"Observer\"").filter(|&at| start[..at].contains(&b'{'))?;
    // Who acted has a machine of the same form.
    let observer = &body[at..memchr::memmem::find(body, b"\"Initiator\"")?.max(at)];
    let of_machine = |name: &[u8]| {
        members(observer)?.find(|member| (member.depth, member.parent, member.key) == (2, b"Entity", name))
    };
    let host =
        of_machine(b"SysName").or_else(|| of_machine(b"SysAddr")).and_then(|member| name_of(member.value));
    let action = memchr::memmem::find(body, b"\"Action\"").map(|at| &body[at..]);
    let time = action.and_then(|action| Some(&action[memchr::memmem::find(action, b"\"Time\"")?..]));
    let seconds = time
        .and_then(members)
        .and_then(|mut members| members.find(|member| (member.depth, member.key) == (1, b"Offset")));
    Some(Found { host, when: seconds.and_then(|seconds| stamp(seconds.value)) })
}

/// The members of the object that is the value of the key in quotes at the start of `text`.
fn members(text: &[u8]) -> Option<Members<'_>> {
    let key = text.strip_prefix(b"\"")?;
    let value =
        key[memchr::memchr(b'"', key)? + 1..].trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
    value.starts_with(b"{").then(|| Members::new(value))
}

/// Times, the nearest to the record first: those of Elastic's and Logstash's events (`@timestamp`) and rsyslog's
/// `StdJSONFmt` (`timereported`); `timestamp`; what loggers write: `time` (Go, Pino, Docker), `ts` (Zap, Zeek), `@t`
/// (Serilog), `asctime` (Python), `t.$date` (`MongoDB`), `instant.epochSecond` (Log4j), journald's
/// `__REALTIME_TIMESTAMP`, osquery's `unixTime`, `NXLog`'s `EventTime`, syslog-ng's `DATE` and `ISODATE`; any other
/// name for the time itself; a date and a time of day; a name for the time one object further in, unless that object is
/// what the record is about.
#[derive(Default)]
struct Times<'a> {
    event: Option<When<'a>>,
    timestamp: Option<When<'a>>,
    logged: Option<When<'a>>,
    other: Option<When<'a>>,
    inner: Option<When<'a>>,
    date: Option<&'a [u8]>,
    clock: Option<&'a [u8]>,
}

impl<'a> Times<'a> {
    fn take(&mut self, member: &Member<'a>) {
        let &Member { depth, parent, key, value } = member;
        let (place, may_go_on) = match (depth, key) {
            (1, b"@timestamp" | b"timereported") => (&mut self.event, true),
            (1, b"timestamp") => (&mut self.timestamp, true),
            (
                1,
                b"time"
                | b"ts"
                | b"@t"
                | b"asctime"
                | b"__REALTIME_TIMESTAMP"
                | b"unixTime"
                | b"EventTime"
                | b"DATE"
                | b"ISODATE",
            ) => (&mut self.logged, false),
            (2, b"$date") if parent == b"t" => (&mut self.logged, false),
            (2, b"epochSecond") if parent == b"instant" => (&mut self.logged, false),
            (2, b"created") if parent == b"event" => (&mut self.other, false),
            // FireEye's alerts, Avi's logs of clients.
            (2, b"occurred") if parent == b"alert" => (&mut self.inner, false),
            (1, b"report_timestamp") => (&mut self.other, false),
            (1, key) if is_of_subject(key) => (&mut self.inner, false),
            (1, key) if is_time(key) => (&mut self.other, false),
            (2, key) if is_label(key) && !is_subject(parent) => (&mut self.inner, false),
            _ => return,
        };
        let value = value.trim_ascii();
        let read = || scan::scan(value).filter(|found| may_go_on || is_of_zone(&value[found.len..]));
        *place = place.or_else(|| read().map(|found| found.when));
        match (depth, key) {
            (1, b"date") => self.date = Some(value),
            (1, b"time") => self.clock = Some(value),
            _ => {}
        }
    }

    fn when(&self) -> Option<When<'a>> {
        let both = || date_and_time(self.date?, self.clock?, None);
        self.event.or(self.timestamp).or(self.logged).or(self.other).or_else(both).or(self.inner)
    }
}

/// Whether nothing stands behind a time but its zone's name once more: `[Europe/Prague]`, ` (Central European Time)`, `
/// CET`.
fn is_of_zone(text: &[u8]) -> bool {
    let is_name = |byte: &u8| byte.is_ascii_alphabetic() || matches!(byte, b' ' | b'/' | b'_');
    match text {
        [] => true,
        [b'[', name @ .., b']'] | [b' ', b'(', name @ .., b')'] => name.iter().all(is_name),
        [b' ', name @ ..] => name.len() <= 5 && name.iter().all(u8::is_ascii_uppercase),
        _ => false,
    }
}

/// Whether a time may be that of what the record is about: when it was made or used last.
fn is_of_subject(key: &[u8]) -> bool {
    let key = Key::new(&[key]);
    [&b"access"[..], b"creat"].iter().any(|start| key.folded().starts_with(start))
}

/// Whether an object of this name has a time of its own, which is not the record's.
fn is_subject(key: &[u8]) -> bool {
    const STARTS: [&[u8]; 11] = [
        b"cert",
        b"commit",
        b"file",
        b"last",
        b"parent",
        b"previous",
        b"process",
        b"session",
        b"user",
        b"valid",
        b"version",
    ];
    let key = Key::new(&[key]);
    STARTS.iter().any(|start| key.folded().starts_with(start))
}
