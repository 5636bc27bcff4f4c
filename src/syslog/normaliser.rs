//! The event of one message: the contract's JSON object.
//!
//! Keys come in the order of the manual's section 1.7.2, then `connector`. A message whose bytes are not UTF-8 is
//! decoded by the charset that the settings give to its sender; without one it has U+FFFD in their place. It is given
//! whole in `raw_base64` either way. What is UTF-8 is never decoded, whatever the settings say: text in another charset
//! that happens to be UTF-8 as well is rare, and most devices that send such a charset send ASCII most of the time.

use super::json::{self, Escapes};
use super::parse::{self, Parsed, tag};
use super::time::{Resolver, resolve};
use crate::batch::{Origin, Transport};
use crate::clock::UnixMicros;
use crate::settings;
use crate::settings::Charset;
use chrono_tz::Tz;
use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

/// Writes events. Each thread has its own: it keeps what it knows about the last sender and the last reception.
#[derive(Debug)]
pub struct Normaliser {
    sources: Sources,
    resolver: Resolver,
    escapes: Escapes,
    /// `"connector":{"id":"…","seq":`, the same in every event.
    connector_start: Vec<u8>,
    sender: Option<Sender>,
    reception: Option<Reception>,
    clock_far_off: bool,
}

/// What the events of one reception have in common: those of a batch from one sender, as a rule.
#[derive(Debug)]
struct Reception {
    received: UnixMicros,
    source: SocketAddr,
    transport: Transport,
    /// `,"received":"…","source":"…","transport":"…","parse":"`
    written: Vec<u8>,
}

/// What depends on the sender alone.
#[derive(Debug)]
struct Sender {
    source: SocketAddr,
    /// Its address, where a message names no host.
    host: Vec<u8>,
    /// Its address and port.
    address: Vec<u8>,
    zone: Tz,
    charset: Charset,
}

impl Normaliser {
    /// A normaliser for events of the installation `connector_id`.
    pub fn new(settings: &settings::Normaliser, connector_id: &str) -> Self {
        let mut connector_start = b"\"connector\":{\"id\":".to_vec();
        connector_start.push(b'"');
        json::escape_utf8(&mut connector_start, connector_id.as_bytes());
        connector_start.extend_from_slice(b"\",\"seq\":");
        Self {
            sources: Sources::new(settings),
            resolver: Resolver::default(),
            escapes: Escapes::default(),
            connector_start,
            sender: None,
            reception: None,
            clock_far_off: false,
        }
    }

    /// Appends the event of one message without framing as one JSON object, without a newline, to `out`; returns the
    /// name of the rule that read it. Every input gives an event.
    pub fn write_event(&mut self, out: &mut Vec<u8>, seq: u64, origin: &Origin, raw: &[u8]) -> &'static str {
        let Self { sources, resolver, escapes, connector_start, sender, reception, clock_far_off } = self;
        let sender = match sender {
            Some(sender) if sender.source == origin.source => sender,
            _ => sender.insert(Sender::new(origin.source, sources)),
        };
        let reception = match reception {
            Some(reception) if reception.is_of(origin) => reception,
            _ => reception.insert(Reception::new(origin, sender, resolver)),
        };
        escapes.find(raw);
        let is_utf8 = escapes.is_ascii() || std::str::from_utf8(raw).is_ok();
        let bytes = (!is_utf8).then_some(raw);
        // Before the message is parsed: the second byte of a character may be a sign of ASCII (Shift_JIS, GBK).
        let decoded = (!is_utf8 && sender.charset != encoding_rs::UTF_8)
            .then(|| sender.charset.decode_without_bom_handling(raw).0);
        let raw = match &decoded {
            Some(decoded) => {
                escapes.find(decoded.as_bytes());
                decoded.as_bytes()
            }
            None => raw,
        };
        let parsed = parse::parse(raw);
        // The text stands in the event twice, the header's parts once or twice more.
        out.reserve(raw.len() * 2 + 768);
        let text = Text::new(raw, (is_utf8 || decoded.is_some()).then_some(escapes));
        let app = parsed.app.unwrap_or(b"-");
        out.extend_from_slice(b"{\"appInst\":\"");
        text.write(out, app);
        out.extend_from_slice(b"\",\"appName\":\"");
        text.write(out, tag::static_part(app));
        out.extend_from_slice(b"\",\"body\":\"");
        let body = text.write(out, parsed.body);
        out.extend_from_slice(b"\",\"event_raw\":\"");
        let structured_data = text.write_whole(out, &parsed, body);
        out.extend_from_slice(b"\",\"facility\":\"");
        write_octet(out, parsed.priority / 8);
        out.extend_from_slice(b"\",\"hostName\":\"");
        text.write(out, parsed.host.unwrap_or(&sender.host));
        out.extend_from_slice(b"\",\"priority\":\"");
        write_octet(out, parsed.priority);
        out.extend_from_slice(b"\",\"procId\":\"");
        text.write_or_nil(out, parsed.proc_id);
        out.extend_from_slice(b"\",\"severity\":\"");
        write_octet(out, parsed.priority % 8);
        out.extend_from_slice(b"\",\"structuredData\":\"");
        if let Some(written) = structured_data {
            out.extend_from_within(written);
        } else {
            text.write_or_nil(out, parsed.structured_data);
        }
        out.extend_from_slice(b"\",\"syslogTag\":\"");
        write_tag(out, &parsed, &text);
        out.extend_from_slice(b"\",\"timestamp\":\"");
        let moment = resolver.write(out, &parsed.when, origin.received, sender.zone);
        *clock_far_off = resolve::is_far_off(moment, origin.received);
        out.extend_from_slice(b"\",");
        out.extend_from_slice(connector_start);
        json::write_number(out, seq);
        out.extend_from_slice(&reception.written);
        out.extend_from_slice(parsed.rule.as_bytes());
        if let Some(bytes) = bytes {
            out.extend_from_slice(b"\",\"raw_base64\":\"");
            json::write_base64(out, bytes);
        }
        out.push(b'"');
        if origin.cut {
            out.extend_from_slice(b",\"cut\":true");
        }
        out.extend_from_slice(b"}}");
        parsed.rule
    }

    /// Whether the timestamp of the event written last is far from its reception
    /// ([`CLOCK_FAR_OFF_SECONDS`](resolve::CLOCK_FAR_OFF_SECONDS)).
    pub fn clock_was_far_off(&self) -> bool {
        self.clock_far_off
    }
}

impl Reception {
    fn new(origin: &Origin, sender: &Sender, resolver: &mut Resolver) -> Self {
        let Origin { received, source, transport, .. } = *origin;
        let mut written = b",\"received\":\"".to_vec();
        resolver.write_micros(&mut written, received);
        written.extend_from_slice(b"\",\"source\":\"");
        written.extend_from_slice(&sender.address);
        written.extend_from_slice(b"\",\"transport\":\"");
        written.extend_from_slice(transport.name().as_bytes());
        written.extend_from_slice(b"\",\"parse\":\"");
        Self { received, source, transport, written }
    }

    fn is_of(&self, origin: &Origin) -> bool {
        self.received == origin.received && self.source == origin.source && self.transport == origin.transport
    }
}

/// The text of one message and what is known about all of it, so that its parts need not be searched for escapes again:
/// nearly every byte stands in the event twice or more.
struct Text<'a> {
    raw: &'a [u8],
    /// Nothing where the text is not UTF-8.
    escapes: Option<&'a Escapes>,
    /// So many bytes at the start stand in JSON as they are.
    plain: usize,
}

impl<'a> Text<'a> {
    fn new(raw: &'a [u8], escapes: Option<&'a Escapes>) -> Self {
        Self { raw, escapes, plain: escapes.map_or(0, |escapes| escapes.plain_bytes(raw)) }
    }

    /// Where a part stands in the text; nothing for what comes from elsewhere.
    fn position(&self, part: &[u8]) -> Option<usize> {
        let at = part.as_ptr().addr().checked_sub(self.raw.as_ptr().addr())?;
        (at + part.len() <= self.raw.len()).then_some(at)
    }

    /// Appends a part of the text, or another one, for the inside of a JSON string; returns where it stands.
    #[inline]
    fn write(&self, out: &mut Vec<u8>, part: &[u8]) -> Range<usize> {
        let start = out.len();
        match self.position(part) {
            Some(at) if at + part.len() <= self.plain => json::copy(out, self.raw, at..at + part.len()),
            position => self.escape(out, part, position),
        }
        start..out.len()
    }

    #[inline(never)]
    fn escape(&self, out: &mut Vec<u8>, part: &[u8], position: Option<usize>) {
        match (position, self.escapes) {
            (Some(at), Some(escapes)) => escapes.write(out, self.raw, at..at + part.len()),
            (None, Some(_)) => json::escape_utf8(out, part),
            (_, None) => json::escape_lossy(out, part),
        }
    }

    /// Appends a field, NILVALUE where there is none.
    #[inline]
    fn write_or_nil(&self, out: &mut Vec<u8>, part: Option<&[u8]>) {
        match part {
            Some(part) => drop(self.write(out, part)),
            None => out.push(b'-'),
        }
    }

    /// Appends the whole text, of which the body stands in `out` already, and is copied where the text ends with it;
    /// returns where the SD-ELEMENTs stand, where they are in front of the body.
    ///
    /// Nothing is copied of a text that is not UTF-8: how many U+FFFD stand for some bytes depends on their neighbours.
    fn write_whole(
        &self,
        out: &mut Vec<u8>,
        parsed: &Parsed<'_>,
        body: Range<usize>,
    ) -> Option<Range<usize>> {
        let body_at = self.position(parsed.body).filter(|at| at + parsed.body.len() == self.raw.len());
        let Some(body_at) = body_at.filter(|_| self.escapes.is_some()) else {
            self.write(out, self.raw);
            return None;
        };
        let mut head = &self.raw[..body_at];
        let mut structured_data = None;
        if let Some(elements) = parsed.structured_data
            && let Some(at) = self.position(elements).filter(|at| at + elements.len() <= body_at)
        {
            self.write(out, &head[..at]);
            structured_data = Some(self.write(out, elements));
            head = &head[at + elements.len()..];
        }
        self.write(out, head);
        out.extend_from_within(body);
        structured_data
    }
}

/// Appends a number in decimal.
fn write_octet(out: &mut Vec<u8>, number: u8) {
    if number >= 100 {
        out.push(b'0' + number / 100);
    }
    if number >= 10 {
        out.push(b'0' + number / 10 % 10);
    }
    out.push(b'0' + number % 10);
}

/// `syslogTag`: the TAG as sent, or made of program and process.
fn write_tag(out: &mut Vec<u8>, parsed: &Parsed<'_>, text: &Text<'_>) {
    let Some(proc_id) = parsed.proc_id.filter(|_| parsed.tag.is_none()) else {
        text.write_or_nil(out, parsed.tag.or(parsed.app));
        return;
    };
    text.write_or_nil(out, parsed.app);
    out.push(b'[');
    text.write(out, proc_id);
    out.push(b']');
}

impl Sender {
    fn new(source: SocketAddr, sources: &Sources) -> Self {
        let source_as_shown = SocketAddr::new(source.ip().to_canonical(), source.port());
        let mut host = Vec::new();
        let mut address = Vec::new();
        write!(host, "{}", source_as_shown.ip()).expect("writing to memory cannot fail");
        write!(address, "{source_as_shown}").expect("writing to memory cannot fail");
        let (zone, charset) = sources.of(source_as_shown.ip());
        Self { source, host, address, zone, charset }
    }
}

/// What the settings say of senders.
#[derive(Debug)]
struct Sources {
    default: (Tz, Charset),
    /// Longest prefix first.
    rows: Vec<settings::Source>,
}

impl Sources {
    fn new(settings: &settings::Normaliser) -> Self {
        let mut rows = settings.sources.clone();
        rows.sort_by_key(|row| std::cmp::Reverse(row.prefix_bits));
        Self { default: (settings.time_zone, settings.charset), rows }
    }

    fn of(&self, address: IpAddr) -> (Tz, Charset) {
        let (zone, charset) = self.default;
        let mut rows = self.rows.iter().filter(|row| row.contains(address));
        (
            rows.clone().find_map(|row| row.time_zone).unwrap_or(zone),
            rows.find_map(|row| row.charset).unwrap_or(charset),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn origin(source: &str) -> Origin {
        Origin {
            // 2026-11-22T03:00:00.000001Z
            received: UnixMicros(1_795_316_400_000_001),
            source: source.parse().unwrap(),
            transport: Transport::Tcp,
            cut: false,
        }
    }

    fn event(origin: &Origin, raw: &[u8]) -> String {
        let mut out = Vec::new();
        Normaliser::new(&settings::Normaliser::default(), "id-1").write_event(&mut out, 7, origin, raw);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_manuals_example_comes_out_as_printed() {
        let raw = "<13>1 2023-01-23T16:34:27.097246+01:00 myhostname myapp - - \
                   [timeQuality tzKnown=\"1\" isSynced=\"0\"] This is my very important log message!";
        let expected = r#"{"appInst":"myapp","appName":"myapp","body":"This is my very important log message!","event_raw":"<13>1 2023-01-23T16:34:27.097246+01:00 myhostname myapp - - [timeQuality tzKnown=\"1\" isSynced=\"0\"] This is my very important log message!","facility":"1","hostName":"myhostname","priority":"13","procId":"-","severity":"5","structuredData":"[timeQuality tzKnown=\"1\" isSynced=\"0\"]","syslogTag":"myapp","timestamp":"2023-01-23T16:34:27.097246+01:00","connector":{"id":"id-1","seq":7,"received":"2026-11-22T03:00:00.000001Z","source":"192.0.2.1:5140","transport":"tcp","parse":"rfc5424"}}"#;
        assert_eq!(event(&origin("192.0.2.1:5140"), raw.as_bytes()), expected);
    }

    #[test]
    fn bytes_that_are_not_utf8_are_kept_in_base64() {
        let mut cut = origin("[::ffff:192.0.2.1]:1");
        cut.cut = true;
        let event: serde_json::Value = serde_json::from_str(&event(&cut, b"<13>gr\xFCn")).unwrap();
        assert_eq!(event["event_raw"], "<13>gr\u{fffd}n");
        assert_eq!(event["body"], "gr\u{fffd}n");
        assert_eq!(event["connector"]["raw_base64"], "PDEzPmdy/G4=");
        assert_eq!(event["connector"]["source"], "192.0.2.1:1");
        assert_eq!(event["connector"]["cut"], true);
        assert_eq!(event["hostName"], "192.0.2.1");
        assert_eq!(event["timestamp"], "2026-11-22T03:00:00.000001Z");
    }

    proptest! {
        #[test]
        fn every_message_becomes_an_event(raw in prop::collection::vec(any::<u8>(), 0..300), seq: u64) {
            let mut out = b"before".to_vec();
            let mut normaliser = Normaliser::new(&settings::Normaliser::default(), "id \"1\"");
            let rule = normaliser.write_event(&mut out, seq, &origin("[2001:db8::1]:9"), &raw);
            let event: serde_json::Value = serde_json::from_slice(&out[6..]).unwrap();
            prop_assert_eq!(event["event_raw"].as_str(), Some(&*String::from_utf8_lossy(&raw)));
            prop_assert_eq!(event["connector"]["raw_base64"].is_string(), std::str::from_utf8(&raw).is_err());
            prop_assert_eq!(&event["connector"]["parse"], rule);
            prop_assert_eq!(&event["connector"]["id"], "id \"1\"");
            prop_assert_eq!(&event["connector"]["seq"], seq);
            prop_assert_eq!(&event["connector"]["source"], "[2001:db8::1]:9");
        }

        #[test]
        fn text_comes_out_as_it_went_in(head in "(<[0-9]{1,3}>)?(1 )?(Oct 11 22:14:15 )?", text in "(?s).{0,120}") {
            let raw = head + &text;
            let event: serde_json::Value =
                serde_json::from_str(&event(&origin("192.0.2.1:1"), raw.as_bytes())).unwrap();
            prop_assert_eq!(event["event_raw"].as_str(), Some(raw.as_str()));
            prop_assert!(raw.ends_with(event["body"].as_str().unwrap()));
        }
    }

    #[test]
    fn the_sender_is_told_apart_from_message_to_message() {
        let mut normaliser = Normaliser::new(&settings::Normaliser::default(), "id-1");
        for source in ["192.0.2.1:1", "192.0.2.2:1", "192.0.2.2:2", "[::ffff:192.0.2.3]:1", "192.0.2.1:1"] {
            let mut out = Vec::new();
            normaliser.write_event(&mut out, 1, &origin(source), b"<13>x");
            let event: serde_json::Value = serde_json::from_slice(&out).unwrap();
            let shown = source.replace("[::ffff:", "").replace(']', "");
            assert_eq!(event["connector"]["source"], shown);
            assert_eq!(event["hostName"], shown.split(':').next().unwrap());
        }
    }

    #[test]
    fn the_longest_prefix_that_says_it_decides_zone_and_charset() {
        let row = |network: &str, prefix_bits, time_zone, charset| settings::Source {
            network: network.parse().unwrap(),
            prefix_bits,
            time_zone,
            charset,
        };
        let (latin, japanese) = (encoding_rs::WINDOWS_1252, encoding_rs::SHIFT_JIS);
        let sources = Sources::new(&settings::Normaliser {
            time_zone: Tz::Asia__Tokyo,
            charset: encoding_rs::UTF_8,
            sources: vec![
                row("10.0.0.0", 8, Some(Tz::Europe__Berlin), None),
                row("10.1.0.0", 16, Some(Tz::America__New_York), Some(latin)),
                row("10.1.2.3", 32, Some(Tz::UTC), None),
                row("10.1.2.5", 32, None, Some(japanese)),
                row("2001:db8::", 32, Some(Tz::Europe__Paris), None),
                row("::", 0, Some(Tz::Europe__Rome), Some(latin)),
            ],
        });
        for (address, zone, charset) in [
            ("10.9.9.9", Tz::Europe__Berlin, encoding_rs::UTF_8),
            ("10.1.9.9", Tz::America__New_York, latin),
            ("10.1.2.3", Tz::UTC, latin),
            ("10.1.2.5", Tz::America__New_York, japanese),
            ("192.0.2.1", Tz::Asia__Tokyo, encoding_rs::UTF_8),
            ("2001:db8::1", Tz::Europe__Paris, latin),
            ("2001:db9::1", Tz::Europe__Rome, latin),
        ] {
            assert_eq!(sources.of(address.parse().unwrap()), (zone, charset), "{address}");
        }
    }

    #[test]
    fn a_clock_that_is_far_off_is_kept_as_sent_and_told() {
        let mut normaliser = Normaliser::new(&settings::Normaliser::default(), "id");
        for (sent, far_off) in [
            ("<13>1 2026-11-22T02:00:00Z h a - - - x", false),
            ("<13>1 2016-11-22T02:00:00Z h a - - - x", true),
            ("<13>Nov 21 02:00:00 h a: x", true),
            ("<13>no time at all", false),
        ] {
            let mut out = Vec::new();
            normaliser.write_event(&mut out, 1, &origin("192.0.2.1:1"), sent.as_bytes());
            assert_eq!(normaliser.clock_was_far_off(), far_off, "{sent}");
            let event: serde_json::Value = serde_json::from_slice(&out).unwrap();
            assert!(!far_off || event["timestamp"].as_str().unwrap().contains("T02:00:00"), "{event}");
        }
    }

    #[test]
    fn a_charset_decodes_what_is_not_utf_8_and_the_bytes_are_kept() {
        let settings = |charset| settings::Normaliser { charset, ..settings::Normaliser::default() };
        for (charset, raw, text) in [
            (encoding_rs::WINDOWS_1252, &b"gr\xFCn \x80 5"[..], "gr\u{fc}n \u{20ac} 5"),
            // The second byte of the second character is a backslash.
            (encoding_rs::SHIFT_JIS, b"\x93\xFA\x95\x5C: x", "\u{65e5}\u{8868}: x"),
            (encoding_rs::GBK, b"\xC8\xD5", "\u{65e5}"),
            // UTF-8 stays what it is.
            (encoding_rs::WINDOWS_1252, "grün".as_bytes(), "grün"),
        ] {
            let raw = [b"<13>Oct 11 22:14:15 host app: ", raw].concat();
            let mut out = Vec::new();
            Normaliser::new(&settings(charset), "id").write_event(&mut out, 1, &origin("192.0.2.1:1"), &raw);
            let event: serde_json::Value = serde_json::from_slice(&out).unwrap();
            assert_eq!(event["body"], text);
            assert_eq!(event["hostName"], "host");
            assert_eq!(event["event_raw"], format!("<13>Oct 11 22:14:15 host app: {text}"));
            let mut base64 = Vec::new();
            json::write_base64(&mut base64, &raw);
            let kept = std::str::from_utf8(&raw).is_err();
            assert_eq!(
                event["connector"]["raw_base64"].as_str(),
                kept.then_some(std::str::from_utf8(&base64).unwrap())
            );
        }
    }
}
