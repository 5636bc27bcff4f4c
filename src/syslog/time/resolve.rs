//! Supplies what a sender left out of a timestamp, and writes RFC 3339.
//!
//! A missing year is the one that brings the timestamp nearest to its reception; 29 February is looked for in leap years
//! alone. A missing zone is the one that the settings give to the sender. An hour that a change of clocks repeats is the
//! one nearer to reception; one that it skips is read with the offset before the change.

use super::civil::{self, Civil};
use super::{Stamp, When, Zone};
use crate::clock::UnixMicros;
use chrono::{MappedLocalTime, Offset, TimeZone};
use chrono_tz::{OffsetName, Tz};

/// Writes timestamps; remembers the last look-up in the tz database, for messages come in order of time.
#[derive(Debug, Default)]
pub struct Resolver {
    last: Option<LookUp>,
}

#[derive(Debug, Clone, Copy)]
struct LookUp {
    zone: Tz,
    quarter: i64,
    offset_seconds: i32,
}

/// Clocks change on whole quarters of an hour since 1972; before, a look-up is not remembered.
const QUARTER_SECONDS: i64 = 900;
const FIRST_REMEMBERED: i64 = 2 * 365 * civil::DAY_SECONDS;

impl Resolver {
    /// Appends `when` as RFC 3339; `zone` is that of timestamps which name none.
    pub fn write(&mut self, out: &mut Vec<u8>, when: &When<'_>, received: UnixMicros, zone: Tz) {
        match when {
            When::Rfc3339(text) => out.extend_from_slice(text),
            When::Epoch { seconds, fraction } => {
                write_civil(out, Civil::from_seconds(*seconds), fraction, 0);
            }
            When::Nanos { seconds, nanos } => {
                write_date_and_clock(out, Civil::from_seconds(*seconds));
                write_fraction(out, *nanos, 100_000_000);
                out.push(b'Z');
            }
            When::Civil(stamp) => self.write_stamp(out, stamp, received, zone),
            When::Missing => write_micros(out, received),
        }
    }

    fn write_stamp(&mut self, out: &mut Vec<u8>, stamp: &Stamp<'_>, received: UnixMicros, zone: Tz) {
        let Some(civil) = stamp.is_valid().then(|| with_year(stamp, received.seconds())).flatten() else {
            return write_micros(out, received);
        };
        let offset_seconds = match stamp.zone {
            Zone::Offset(minutes) => minutes * 60,
            Zone::Unnamed => self.offset_seconds(zone, civil.seconds(), received.seconds()),
            Zone::Name(name) => named_offset_seconds(name, zone, civil.seconds())
                .unwrap_or_else(|| self.offset_seconds(zone, civil.seconds(), received.seconds())),
        };
        write_civil(out, civil, stamp.fraction, offset_seconds / 60);
    }

    fn offset_seconds(&mut self, zone: Tz, local: i64, received: i64) -> i32 {
        if zone == Tz::UTC {
            return 0;
        }
        let quarter = local.div_euclid(QUARTER_SECONDS);
        if let Some(last) = self.last
            && last.zone == zone
            && last.quarter == quarter
        {
            return last.offset_seconds;
        }
        let (offset_seconds, single) = look_up(zone, local, received);
        if single && local >= FIRST_REMEMBERED {
            self.last = Some(LookUp { zone, quarter, offset_seconds });
        }
        offset_seconds
    }
}

/// How far a timestamp is from its reception before the sender's clock counts as wrong. A day, so that a message which
/// waited overnight at a relay that was down does not.
pub const CLOCK_FAR_OFF_SECONDS: i64 = civil::DAY_SECONDS;

/// Whether `written`, a timestamp of RFC 3339, is further than [`CLOCK_FAR_OFF_SECONDS`] from its reception. It is kept as it
/// is: which of the two clocks is wrong, and since when, is for people to find out.
pub fn is_far_off(written: &[u8], received: UnixMicros) -> bool {
    let number = |from: usize, to: usize| {
        let digits = written.get(from..to).unwrap_or_default();
        digits.iter().fold(0_u16, |sum, byte| sum * 10 + u16::from(byte.wrapping_sub(b'0') & 15))
    };
    let date = civil::days_from_civil(i32::from(number(0, 4)), number(5, 7) as u8, number(8, 10) as u8);
    let local = date * civil::DAY_SECONDS
        + i64::from(number(11, 13)) * 3600
        + i64::from(number(14, 16)) * 60
        + i64::from(number(17, 19));
    let end = written.len();
    let offset = match written.get(end.saturating_sub(6)) {
        Some(sign @ (b'+' | b'-')) if written[end - 1].is_ascii_digit() => {
            let seconds = i64::from(number(end - 5, end - 3)) * 3600 + i64::from(number(end - 2, end)) * 60;
            if *sign == b'-' { -seconds } else { seconds }
        }
        _ => 0,
    };
    (local - offset - received.seconds()).abs() > CLOCK_FAR_OFF_SECONDS
}

/// The offset of `zone` at a local time, and whether there was no choice.
fn look_up(zone: Tz, local: i64, received: i64) -> (i32, bool) {
    let Some(local_time) = chrono::DateTime::from_timestamp(local, 0) else { return (0, false) };
    let seconds = |offset: chrono_tz::TzOffset| offset.fix().local_minus_utc();
    match zone.offset_from_local_datetime(&local_time.naive_utc()) {
        MappedLocalTime::Single(offset) => (seconds(offset), true),
        MappedLocalTime::Ambiguous(one, other) => {
            let (one, other) = (seconds(one), seconds(other));
            let distance = |offset: i32| (local - i64::from(offset) - received).abs();
            (if distance(other) < distance(one) { other } else { one }, false)
        }
        MappedLocalTime::None => {
            // No change of clocks skips more than a day.
            let before = chrono::DateTime::from_timestamp(local - civil::DAY_SECONDS, 0);
            let offset = before.map(|time| zone.offset_from_local_datetime(&time.naive_utc()));
            (offset.and_then(MappedLocalTime::earliest).map_or(0, seconds), false)
        }
    }
}

fn with_year(stamp: &Stamp<'_>, received: i64) -> Option<Civil> {
    let civil = |year: i32| Civil {
        year,
        month: stamp.month,
        day: stamp.day,
        hour: stamp.hour,
        minute: stamp.minute,
        second: stamp.second,
    };
    if let Some(year) = stamp.year {
        return Some(civil(year)).filter(Civil::is_valid);
    }
    let year = Civil::from_seconds(received).year;
    // Between two leap years lie eight years at most (1896 to 1904, 2096 to 2104).
    let reach = if stamp.month == 2 && stamp.day == 29 { 8 } else { 1 };
    (year - reach..=year + reach)
        .map(civil)
        .filter(Civil::is_valid)
        .min_by_key(|civil| (civil.seconds() - received).abs())
}

/// An abbreviation means what it means in the sender's zone, where it means something there at that time or half a year
/// from it; else what it means to most.
fn named_offset_seconds(name: &[u8], zone: Tz, local: i64) -> Option<i32> {
    if zone != Tz::UTC {
        for shift in [0, 182 * civil::DAY_SECONDS] {
            let time = chrono::DateTime::from_timestamp(local - shift, 0)?;
            let offset = zone.offset_from_utc_datetime(&time.naive_utc());
            if offset.abbreviation().is_some_and(|own| own.as_bytes().eq_ignore_ascii_case(name)) {
                return Some(offset.fix().local_minus_utc());
            }
        }
    }
    abbreviation_minutes(name).map(|minutes| minutes * 60)
}

/// Minutes east of UTC of an abbreviation that senders use. Where several zones share one, the meaning of RFC 2822
/// section 4.3 or else the most common one is taken; a zone in the settings overrides it. Either case is read.
pub fn abbreviation_minutes(name: &[u8]) -> Option<i32> {
    let mut capitals = [0; 4];
    let capitals = capitals.get_mut(..name.len())?;
    capitals.copy_from_slice(name);
    capitals.make_ascii_uppercase();
    Some(match &*capitals {
        b"UTC" | b"GMT" | b"WET" | b"UCT" => 0,
        b"CET" | b"MET" | b"MEZ" | b"WEST" | b"BST" => 60,
        b"CEST" | b"MEST" | b"MESZ" | b"EET" | b"SAST" => 120,
        b"EEST" | b"MSK" | b"TRT" => 180,
        b"PKT" => 300,
        b"IST" => 330,
        b"HKT" | b"SGT" | b"AWST" => 480,
        b"JST" | b"KST" => 540,
        b"AEST" => 600,
        b"AEDT" => 660,
        b"NZST" => 720,
        b"NZDT" => 780,
        b"ADT" | b"BRT" => -180,
        b"AST" | b"EDT" => -240,
        b"EST" | b"CDT" => -300,
        b"CST" | b"MDT" => -360,
        b"MST" | b"PDT" => -420,
        b"PST" | b"AKDT" => -480,
        b"AKST" => -540,
        b"HST" => -600,
        _ => return None,
    })
}

/// Appends a moment in UTC with microseconds and `Z`.
pub fn write_micros(out: &mut Vec<u8>, moment: UnixMicros) {
    write_date_and_clock(out, Civil::from_seconds(moment.seconds()));
    write_fraction(out, moment.0.rem_euclid(1_000_000) as u32, 100_000);
    out.push(b'Z');
}

/// Appends a point and the digits of `value`, the first of which counts `unit`.
fn write_fraction(out: &mut Vec<u8>, value: u32, mut unit: u32) {
    out.push(b'.');
    while unit > 0 {
        out.push(b'0' + (value / unit % 10) as u8);
        unit /= 10;
    }
}

fn write_civil(out: &mut Vec<u8>, civil: Civil, fraction: &[u8], offset_minutes: i32) {
    write_date_and_clock(out, civil);
    if !fraction.is_empty() {
        out.push(b'.');
        out.extend_from_slice(fraction);
    }
    if offset_minutes == 0 {
        out.push(b'Z');
        return;
    }
    out.push(if offset_minutes < 0 { b'-' } else { b'+' });
    let minutes = offset_minutes.unsigned_abs();
    write_two(out, (minutes / 60) as u8);
    out.push(b':');
    write_two(out, (minutes % 60) as u8);
}

fn write_date_and_clock(out: &mut Vec<u8>, civil: Civil) {
    let year = civil.year.clamp(0, 9999).cast_unsigned();
    write_two(out, (year / 100) as u8);
    write_two(out, (year % 100) as u8);
    for (separator, value) in [
        (b'-', civil.month),
        (b'-', civil.day),
        (b'T', civil.hour),
        (b':', civil.minute),
        (b':', civil.second),
    ] {
        out.push(separator);
        write_two(out, value);
    }
}

fn write_two(out: &mut Vec<u8>, value: u8) {
    out.extend_from_slice(&[b'0' + value / 10, b'0' + value % 10]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ZONES: [Tz; 5] = [
        Tz::Europe__Berlin,
        Tz::America__New_York,
        Tz::Australia__Lord_Howe,
        Tz::Asia__Kathmandu,
        Tz::America__Sao_Paulo,
    ];

    fn stamp(seconds: i64, year: bool) -> When<'static> {
        let civil = Civil::from_seconds(seconds);
        When::Civil(Stamp {
            year: year.then_some(civil.year),
            month: civil.month,
            day: civil.day,
            hour: civil.hour,
            minute: civil.minute,
            second: civil.second,
            fraction: b"25",
            zone: Zone::Unnamed,
        })
    }

    fn written(resolver: &mut Resolver, when: &When<'_>, received: i64, zone: Tz) -> String {
        let mut out = Vec::new();
        resolver.write(&mut out, when, UnixMicros(received * 1_000_000), zone);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_clock_is_far_off_by_more_than_a_day_either_way() {
        // 2026-11-22T03:00:00Z
        let received = UnixMicros(1_795_316_400_000_000);
        for (written, far) in [
            ("2026-11-22T03:00:00Z", false),
            ("2026-11-21T03:00:00Z", false),
            ("2026-11-21T02:59:59Z", true),
            ("2026-11-23T03:00:00.999Z", false),
            ("2026-11-23T03:00:01Z", true),
            ("2026-11-23T08:59:59.123456+06:00", false),
            ("2026-11-20T22:00:00-05:00", false),
            ("2026-11-20T21:59:59-05:00", true),
            ("1970-01-01T00:00:07Z", true),
        ] {
            assert_eq!(is_far_off(written.as_bytes(), received), far, "{written}");
        }
    }

    proptest! {
        /// 2000 to 2060, in steps around which clocks change as well.
        #[test]
        fn a_local_time_is_written_with_the_offset_of_that_time(
            start in 946_684_800_i64..2_840_140_800,
            steps in prop::collection::vec(-5000_i64..5000, 1..20),
            zone in prop::sample::select(&ZONES[..]),
        ) {
            let mut resolver = Resolver::default();
            let mut local = start;
            for step in steps {
                local += step;
                let text = written(&mut resolver, &stamp(local, true), local, zone);
                prop_assert_eq!(&text, &written(&mut Resolver::default(), &stamp(local, true), local, zone));
                let moment = chrono::DateTime::parse_from_rfc3339(&text).unwrap();
                let there = moment.with_timezone(&zone).naive_local().and_utc().timestamp();
                // Within an hour that a change of clocks skips, the time that stands there is the one after it.
                let skipped = matches!(
                    zone.from_local_datetime(&chrono::DateTime::from_timestamp(local, 0).unwrap().naive_utc()),
                    MappedLocalTime::None
                );
                prop_assert!(there == local || skipped, "{} in {}", text, zone);
                prop_assert_eq!(moment.naive_local().and_utc().timestamp(), local);
            }
        }

        #[test]
        fn a_year_left_out_is_found_again(
            received in 946_684_800_i64..4_102_444_800,
            distance in -180 * civil::DAY_SECONDS..180 * civil::DAY_SECONDS,
        ) {
            let moment = received + distance;
            let mut resolver = Resolver::default();
            prop_assert_eq!(
                written(&mut resolver, &stamp(moment, false), received, Tz::UTC),
                written(&mut resolver, &stamp(moment, true), received, Tz::UTC)
            );
        }
    }

    #[test]
    fn an_hour_that_comes_twice_is_the_one_nearer_to_reception() {
        // 2026-10-25 02:30 in Berlin, received at 00:31 and at 01:31 UTC, by one resolver.
        let local = Civil { year: 2026, month: 10, day: 25, hour: 2, minute: 30, second: 0 }.seconds();
        let mut resolver = Resolver::default();
        for (received, expected) in
            [(local - 7140, "+02:00"), (local - 3540, "+01:00"), (local - 7140, "+02:00")]
        {
            let text = written(&mut resolver, &stamp(local, false), received, Tz::Europe__Berlin);
            assert!(text.ends_with(expected), "{text}");
        }
    }
}
