//! Events of Windows as XML, the way its event log renders them, and as text.
//!
//! The schema (`http://schemas.microsoft.com/win/2004/08/events/event`) has the time in the attribute `SystemTime` of
//! `TimeCreated` and the name in the element `Computer`, both inside `System`, the first child of `Event`. Neither is
//! looked for behind it: what the event was about may have elements of the same names.

use super::{Found, stamp};

/// `System` has some fifteen short elements.
const MAX_SYSTEM_BYTES: usize = 4096;

/// Whether an event begins here.
pub fn is_event(text: &[u8]) -> bool {
    text.strip_prefix(b"<Event").is_some_and(|rest| matches!(rest, [b' ' | b'>', ..]))
        && system(text).is_some()
}

/// The name and the time of an event.
pub fn event(text: &[u8]) -> Found<'_> {
    let Some(system) = system(text) else { return Found::default() };
    let find = |mark: &[u8]| memchr::memmem::find(system, mark).map(|at| &system[at + mark.len()..]);
    let host = find(b"<Computer>").and_then(|rest| rest.split(|&byte| byte == b'<').next());
    let when = find(b"<TimeCreated ")
        .map(|rest| rest.split(|&byte| byte == b'>').next().unwrap_or_default())
        .and_then(|inner| {
            let at = memchr::memmem::find(inner, b"SystemTime=")? + b"SystemTime=".len();
            let quote = *inner.get(at)?;
            let value = inner[at + 1..].split(|&byte| byte == quote).next()?;
            stamp(value)
        });
    Found { host, when }
}

/// Whether an event as text begins here, a pair in each line.
pub fn is_text(text: &[u8]) -> bool {
    /// The name of the log and the next pair's.
    const MAX_BYTES: usize = 160;
    let mut lines = text[..text.len().min(MAX_BYTES)].splitn(3, |&byte| byte == b'\n');
    let log = lines.next().and_then(|line| line.strip_prefix(b"LogName="));
    let next = lines.next().and_then(|line| line.split(|&byte| byte == b'=').next());
    let is_key = |key: &[u8]| !key.is_empty() && key.iter().all(u8::is_ascii_alphabetic);
    log.is_some_and(|name| !name.contains(&b'=')) && next.is_some_and(is_key)
}

/// The name in an event as text, a pair in each line, before the message.
pub fn text(text: &[u8]) -> Found<'_> {
    const NAME: &[u8] = b"ComputerName=";
    let lines = text[..text.len().min(MAX_SYSTEM_BYTES)].split(|&byte| byte == b'\n');
    let mut pairs = lines.take_while(|line| !line.starts_with(b"Message="));
    Found { host: pairs.find_map(|line| line.strip_prefix(NAME)).map(<[u8]>::trim_ascii_end), when: None }
}

/// What stands inside `System`.
fn system(text: &[u8]) -> Option<&[u8]> {
    let text = &text[..text.len().min(MAX_SYSTEM_BYTES)];
    let start = memchr::memmem::find(text, b"<System>")? + b"<System>".len();
    let end = memchr::memmem::find(&text[start..], b"</System>").map_or(text.len(), |at| start + at);
    Some(&text[start..end])
}
