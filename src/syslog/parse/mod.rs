//! Finds the fields of one message.
//!
//! # The order of the rules
//!
//! PRI comes first and is never lost again ([`pri`]); then the address that Kiwi's relay forwards for. What follows is read
//! by the first of these that accepts it; each asks for a shape which those behind it do not have, so none can take a
//! message away from another
//! (`tests::no_rule_swallows_the_messages_of_another` holds all of them against the whole corpus):
//!
//! 1. [`rfc5424`]: a VERSION before a timestamp or NILVALUE, and five more fields. No RFC 3164 message begins with a
//!    one- to three-digit number and a space. Without VERSION it needs a PROCID that is a number or NILVALUE, and
//!    STRUCTURED-DATA in the sixth place.
//! 2. [`rfc3164`]: a timestamp first, of whatever form ([`super::time::scan`]); then host and TAG. Within it, what
//!    stands behind timestamp and host tells the dialects apart: a mnemonic (Cisco), a second header (relays), a
//!    descriptor (`UniFi`), an event in brackets (ONTAP), an event type behind a time in seconds (Meraki). `content`
//!    reads what stands behind HOSTNAME, and says which words are none. The plain shape is read by a short cut
//!    (`straight`) that says what these rules would.
//! 3. [`cisco`]: a sequence number, a name, a node or a clock's mark, each with a colon or sign of its own, in *front* of
//!    a timestamp, an uptime or a mnemonic. Without one of these three at its end it is not taken.
//! 4. [`payload`]: `CEF:`, `LEEF:`, a JSON object, `key=value` pairs, Palo Alto's CSV, an event of Windows as XML,
//!    `ScreenOS`' device or Snare's event from the first byte on; each begins with a sign (`|`, `{`, `=`, a date
//!    between commas, `<Event`) that ends what may be a TAG; `CEF:`, `LEEF:` and `ScreenOS`' name would be TAGs, but
//!    for the version and the bar, or the name once more, behind them.
//! 5. `UniFi`'s descriptor with a MAC address behind a bare name, or in front of a whole header, or a name before VRP's
//!    mnemonic or a serial number and a timestamp, or a telephone's MAC address ([`devices::undated`]); no TAG is
//!    followed by one. AIX's `Message forwarded from` ([`relay::forwarded`]). A name in front of the timestamp
//!    ([`relay::preceded`]), which has no colon; in front of brackets or behind a VERSION ([`relay::behind_address`]); a
//!    receiver's note in front of PRI ([`relay::noted`]).
//! 6. `tag`: a TAG without any header ([`tag`]), or with an address before it, or a name between PRI and a TAG with a
//!    process, a marked severity or a payload, or a microcontroller's TAG ([`untimed::addressed`]), or with a host and
//!    NILVALUE for the time ([`untimed::without_time`]). A second PRI ([`relay::wrapped`]), or one behind an address
//!    ([`relay::passed_on`]).
//! 7. [`RAW`]: everything else; the body is all that follows PRI.
//!
//! At last the text of what has been read may be another whole message, PRI and all, that a relay took for text
//! ([`relay::carried`]).
//!
//! Rules look at shapes; a product's name decides only where two products send the same shape with different meanings.
//! All slices are cut at ASCII bytes, so that a message of valid UTF-8 has fields of valid UTF-8. Every rule reads its
//! input a bounded number of times: reading a message takes time linear in its length and no allocation.

pub mod cisco;
mod content;
pub mod devices;
pub mod host;
mod level;
pub mod payload;
pub mod pri;
pub mod relay;
pub mod rfc3164;
pub mod rfc5424;
mod straight;
pub mod tag;
pub mod untimed;
mod vendors;
mod words;

use super::time::When;
pub use tag::Tag;
use untimed::Untimed;

/// Every rule with what it reads: the values of the event's `connector.parse`.
pub const RULES: [(&str, &str); 21] = [
    ("rfc5424", "RFC 5424"),
    ("rfc5424-lenient", "RFC 5424 with a header or STRUCTURED-DATA that its grammar does not allow"),
    ("rfc3164", "RFC 3164 with a host"),
    ("rfc3164-iso", "RFC 3164 with a host and an ISO 8601 timestamp"),
    ("rfc3164-lenient", "RFC 3164 with a host and any other timestamp"),
    ("rfc3164-no-host", "RFC 3164 without a host"),
    ("relayed", "a complete header, or a payload with PRI, behind the header of a relay"),
    ("aix", "AIX, forwarded from another host"),
    ("cisco", "Cisco's headers and mnemonics"),
    ("meraki", "Meraki, with a time in seconds and an event type"),
    ("netapp", "ONTAP's events"),
    ("unifi", "UniFi, with a descriptor of the device"),
    ("cef", "CEF without a header"),
    ("leef", "LEEF without a header"),
    ("palo-alto", "PAN-OS CSV without a header"),
    ("windows-xml", "a Windows event as XML without a header"),
    ("netscreen", "ScreenOS without a timestamp"),
    ("snare", "Snare's tab-separated event without a header"),
    ("key-value", "key=value pairs without a header"),
    ("json", "a JSON object without a header"),
    ("tag", "a TAG without a header, or with an address or a name alone before it"),
];

/// The rule of what fits no other: the body is everything behind PRI.
pub const RAW: &str = "raw";

/// The fields of one message, as slices of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parsed<'a> {
    /// Which rule read it: the event's `connector.parse`.
    pub rule: &'static str,
    /// PRI, 0 to 191; [`pri::DEFAULT`] where there is none.
    pub priority: u8,
    /// The timestamp.
    pub when: When<'a>,
    /// HOSTNAME, or the device field of a payload that documents one.
    pub host: Option<&'a [u8]>,
    /// APP-NAME, or the TAG's program, as sent.
    pub app: Option<&'a [u8]>,
    /// PROCID, or what stands in the TAG's brackets.
    pub proc_id: Option<&'a [u8]>,
    /// The TAG as sent, without its colon; where it is missing, the event's `syslogTag` is made of `app` and `proc_id`.
    pub tag: Option<&'a [u8]>,
    /// The SD-ELEMENTs, as sent.
    pub structured_data: Option<&'a [u8]>,
    /// MSG.
    pub body: &'a [u8],
}

impl<'a> Parsed<'a> {
    fn new(rule: &'static str, body: &'a [u8]) -> Self {
        Self {
            rule,
            priority: pri::DEFAULT,
            when: When::Missing,
            host: None,
            app: None,
            proc_id: None,
            tag: None,
            structured_data: None,
            body,
        }
    }

    /// Takes over a TAG and the body behind it.
    fn set_tag(&mut self, tag: Tag<'a>) {
        self.app = Some(tag.app);
        self.proc_id = tag.proc_id;
        self.tag = Some(tag.text);
        self.body = tag.body;
    }
}

/// Finds the fields of a message without framing. Every input has a result.
pub fn parse(raw: &[u8]) -> Parsed<'_> {
    let pri = pri::take(raw);
    let mut parsed = header(pri.text, pri.sent).unwrap_or_else(|| Parsed::new(RAW, pri.remainder));
    if relay::may_carry(&parsed)
        && let Some(inner) = relay::carried(&parsed)
    {
        parsed = inner;
    }
    if pri.sent {
        parsed.priority = pri.priority;
    }
    match parsed.body.first() {
        Some(b'+' | b'-') => parsed.when = devices::with_zone_behind(parsed.when, parsed.body),
        Some(b'C') if parsed.body.starts_with(b"CELFSS,") => {
            parsed.when = devices::by_own_clock(parsed.when, parsed.body);
        }
        Some(b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') if parsed.body.get(8) == Some(&b'.') => {
            parsed.when = devices::by_own_clock(parsed.when, parsed.body);
        }
        // Where the event is from that the header's host has collected.
        Some(b'R') => parsed.host = payload::real_source(parsed.body).or(parsed.host),
        _ => {}
    }
    if parsed.host.is_none() || parsed.when == When::Missing {
        payload::supplement(&mut parsed);
    }
    parsed
}

/// Reads what follows PRI, or a message that has none.
fn header(text: &[u8], has_pri: bool) -> Option<Parsed<'_>> {
    let is_blank = has_pri && text.starts_with(b" ");
    let text = text.trim_ascii_start();
    // Some put the byte order mark of MSG in front of a header of RFC 3164.
    let text = text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text);
    // Kiwi Syslog Server puts the address that it forwards for in front of the message.
    if let Some(rest) = text.strip_prefix(b"Original Address=")
        && let (address, rest) = word(rest)
        && host::is_address(address)
    {
        let rest = skip_spaces(rest);
        let mut inner = known(rest, has_pri).unwrap_or_else(|| Parsed::new("relayed", rest));
        if inner.host.is_none() {
            payload::supplement(&mut inner);
        }
        return Some(Parsed { host: inner.host.or(Some(address)), ..inner });
    }
    let read = known(text, has_pri);
    if read.is_none() && is_blank { untimed::without_time(text, Untimed::Blank) } else { read }
}

/// The rules in their order. What the first two have read is not handed through the questions for the others: most messages
/// are theirs.
fn known(text: &[u8], has_pri: bool) -> Option<Parsed<'_>> {
    if let Some(parsed) = rfc5424::parse(text) {
        // A relay that took the message for text, and had nothing else to say of it. What names a program says what is
        // its text.
        let is_bare = parsed.app.is_none() && parsed.structured_data.is_none();
        let inner = match parsed.body.first() {
            Some(b'A'..=b'Z') if is_bare => relay::unread(parsed.body),
            _ => None,
        };
        return inner.or(Some(parsed));
    }
    let read = rfc3164::parse(text, has_pri);
    if read.is_some() { read } else { headless(text, has_pri) }
}

/// The rules for messages that do not begin with a timestamp.
#[cold]
fn headless(text: &[u8], has_pri: bool) -> Option<Parsed<'_>> {
    cisco::prefixed(text)
        .or_else(|| payload::bare(text))
        .or_else(|| devices::undated(text))
        .or_else(|| relay::forwarded(text))
        .or_else(|| relay::preceded(text))
        .or_else(|| relay::behind_address(text))
        .or_else(|| relay::noted(text))
        .or_else(|| relay::counted(text, has_pri))
        .or_else(|| without_time(text, has_pri))
        .or_else(|| untimed::addressed(text, has_pri))
        .or_else(|| tag_only(text))
        .or_else(|| relay::wrapped(text))
        .or_else(|| relay::passed_on(text))
}

/// NILVALUE between PRI and a host.
fn without_time(text: &[u8], has_pri: bool) -> Option<Parsed<'_>> {
    untimed::without_time(text.strip_prefix(b"- ").filter(|_| has_pri)?, Untimed::Nil)
}

fn tag_only(text: &[u8]) -> Option<Parsed<'_>> {
    let mut parsed = Parsed::new("tag", text);
    parsed.set_tag(tag::scan(text)?);
    Some(parsed)
}

/// The first word and what stands behind the space that ends it, the space included.
fn word(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at(memchr::memchr(b' ', text).unwrap_or(text.len()))
}

/// Without one leading space: what separates a field from the text behind it, while more of them belong to the text.
fn without_space(text: &[u8]) -> &[u8] {
    text.strip_prefix(b" ").unwrap_or(text)
}

/// Without any leading spaces.
fn skip_spaces(text: &[u8]) -> &[u8] {
    let spaces = text.iter().take_while(|&&byte| byte == b' ').count();
    &text[spaces..]
}

fn leading_digits(text: &[u8]) -> usize {
    text.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

#[cfg(test)]
mod tests;
