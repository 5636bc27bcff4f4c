//! Every input has fields; they are slices of the input, text stays text, and the time is RFC 3339.
#![no_main]

use libfuzzer_sys::fuzz_target;
use soc_connector_fuzz::assert_slice_of;
use soc_connector_fuzz::clock::UnixMicros;
use soc_connector_fuzz::syslog::parse::{self, RAW, RULES};
use soc_connector_fuzz::syslog::time::{Resolver, When, scan};

/// 2026-11-22T03:00:00.000001Z.
const RECEIVED: UnixMicros = UnixMicros(1_795_316_400_000_001);

fn assert_rfc3339(when: &When<'_>) {
    for zone in [chrono_tz::UTC, chrono_tz::Europe::Berlin, chrono_tz::Australia::Lord_Howe] {
        let mut out = Vec::new();
        Resolver::default().write(&mut out, when, RECEIVED, zone);
        let written = std::str::from_utf8(&out).expect("a timestamp is ASCII");
        assert!(chrono::DateTime::parse_from_rfc3339(written).is_ok(), "{written}");
    }
}

fuzz_target!(|input: &[u8]| {
    let parsed = parse::parse(input);
    assert!(parsed.priority <= 191);
    assert!(parsed.rule == RAW || RULES.iter().any(|(name, _)| *name == parsed.rule));
    let fields = [parsed.host, parsed.app, parsed.proc_id, parsed.tag, parsed.structured_data];
    let is_text = std::str::from_utf8(input).is_ok();
    for field in fields.into_iter().flatten().chain([parsed.body]) {
        assert_slice_of(field, input);
        assert!(!is_text || std::str::from_utf8(field).is_ok(), "cut inside a character");
    }
    assert!(input.ends_with(parsed.body), "nothing behind the body is lost");
    assert_rfc3339(&parsed.when);
    if let Some(scanned) = scan::scan(input) {
        assert!((1..=input.len()).contains(&scanned.len));
        assert_rfc3339(&scanned.when);
    }
    let _ = scan::zone(input);
});
