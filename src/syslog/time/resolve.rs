//! Supplies what a sender left out of a timestamp, and writes RFC 3339.
//!
//! A missing year is the one that brings the timestamp nearest to its reception; 29 February is looked for in leap years
//! alone. A day and a month in numbers between slashes or dashes, which countries write in either order, are read as the
//! form has them most often, unless the other order alone is of the day of reception. A missing zone is the one that the
//! settings give to the sender. An hour that a change of clocks repeats is the one nearer to reception; one that it skips
//! is read with the offset before the change.

use super::civil::{self, Civil};
use super::{Stamp, When, Zone};
use crate::clock::UnixMicros;
use crate::syslog::json::two_digits;
use chrono::{MappedLocalTime, Offset, TimeZone};
use chrono_tz::{OffsetName, Tz};

/// Writes timestamps; remembers the last look-up in the tz database and the last dates, for messages come in order of time.
#[derive(Debug, Default)]
pub struct Resolver {
    last: Option<LookUp>,
    date: Option<Date>,
    /// The day of a reception since 1970-01-01, and its year.
    reception: Option<(i64, i32)>,
}

#[derive(Debug, Clone, Copy)]
struct LookUp {
    zone: Tz,
    quarter: i64,
    offset_seconds: i32,
}

/// A date and how it is written.
#[derive(Debug, Clone, Copy)]
struct Date {
    year: i32,
    month: u8,
    day: u8,
    /// Since 1970-01-01.
    days: i64,
    /// `YYYY-MM-DDT`
    written: [u8; DATE_BYTES],
}

const DATE_BYTES: usize = 11;

/// Clocks change on whole quarters of an hour since 1972; before, a look-up is not remembered.
const QUARTER_SECONDS: i64 = 900;
const FIRST_REMEMBERED: i64 = 2 * 365 * civil::DAY_SECONDS;

/// A year in which a timestamp is that near to its reception is the nearest one: the next has 365 days between.
const NEAR_SECONDS: i64 = 180 * civil::DAY_SECONDS;

/// A timestamp that is that near to its reception is of the same day, whatever its zone: 36 hours.
const SAME_DAY_SECONDS: i64 = civil::DAY_SECONDS * 3 / 2;

impl Resolver {
    /// Appends `when` as RFC 3339; `zone` is that of timestamps which name none. Returns the moment that was written, in
    /// seconds since 1970-01-01T00:00:00Z.
    pub fn write(&mut self, out: &mut Vec<u8>, when: &When<'_>, received: UnixMicros, zone: Tz) -> i64 {
        match when {
            When::Rfc3339(text) => {
                out.extend_from_slice(text);
                self.moment(text)
            }
            When::Epoch { seconds, fraction } => {
                self.write_civil(out, Civil::from_seconds(*seconds), fraction, 0);
                *seconds
            }
            When::Nanos { seconds, nanos } => {
                self.write_date_and_clock(out, Civil::from_seconds(*seconds));
                let pair = |unit: u32| (nanos / unit % 100) as u8;
                let first = b'0' + (nanos / 100_000_000 % 10) as u8;
                let pairs = [(2, pair(1_000_000)), (4, pair(10_000)), (6, pair(100)), (8, pair(1))];
                out.extend_from_slice(&filled(&[b'.', first, 0, 0, 0, 0, 0, 0, 0, 0, b'Z'], pairs));
                *seconds
            }
            When::Civil(stamp) => self.write_stamp(out, stamp, received, zone),
            When::Missing => {
                self.write_micros(out, received);
                received.seconds()
            }
        }
    }

    /// Appends a moment in UTC with microseconds and `Z`.
    pub fn write_micros(&mut self, out: &mut Vec<u8>, moment: UnixMicros) {
        self.write_date_and_clock(out, Civil::from_seconds(moment.seconds()));
        let micros = moment.0.rem_euclid(1_000_000) as u32;
        let pair = |unit: u32| (micros / unit % 100) as u8;
        out.extend_from_slice(&filled(b".000000Z", [(1, pair(10_000)), (3, pair(100)), (5, pair(1))]));
    }

    fn write_stamp(&mut self, out: &mut Vec<u8>, stamp: &Stamp<'_>, received: UnixMicros, zone: Tz) -> i64 {
        let Some((civil, local)) =
            stamp.is_valid().then(|| self.with_year(stamp, received.seconds())).flatten()
        else {
            self.write_micros(out, received);
            return received.seconds();
        };
        let offset_seconds = match stamp.zone {
            Zone::Offset(minutes) => minutes * 60,
            Zone::Unnamed => self.offset_seconds(zone, local, received.seconds()),
            Zone::Name(name) => named_offset_seconds(name, zone, local)
                .unwrap_or_else(|| self.offset_seconds(zone, local, received.seconds())),
        };
        let offset_minutes = offset_seconds / 60;
        self.write_civil(out, civil, stamp.fraction, offset_minutes);
        local - i64::from(offset_minutes) * 60
    }

    /// The date and time of a stamp, and its seconds since 1970-01-01T00:00:00 of its zone.
    fn with_year(&mut self, stamp: &Stamp<'_>, received: i64) -> Option<(Civil, i64)> {
        let civil = |year: i32| Civil {
            year,
            month: stamp.month,
            day: stamp.day,
            hour: stamp.hour,
            minute: stamp.minute,
            second: stamp.second,
        };
        if let Some(year) = stamp.year {
            let civil = Some(civil(year)).filter(Civil::is_valid)?;
            let seconds = self.seconds(&civil);
            if stamp.either_order && (seconds - received).abs() > SAME_DAY_SECONDS {
                let other = Civil { month: civil.day, day: civil.month, ..civil };
                let moment = other.seconds();
                if other.is_valid() && (moment - received).abs() <= SAME_DAY_SECONDS {
                    return Some((other, moment));
                }
            }
            return Some((civil, seconds));
        }
        let year = self.year_of(received);
        let near = civil(year);
        if near.is_valid() {
            let seconds = self.seconds(&near);
            if (seconds - received).abs() <= NEAR_SECONDS {
                return Some((near, seconds));
            }
        }
        // Between two leap years lie eight years at most (1896 to 1904, 2096 to 2104).
        let reach = if stamp.month == 2 && stamp.day == 29 { 8 } else { 1 };
        (year - reach..=year + reach)
            .map(civil)
            .filter(Civil::is_valid)
            .map(|civil| (civil, civil.seconds()))
            .min_by_key(|(_, seconds)| (seconds - received).abs())
    }

    fn year_of(&mut self, received: i64) -> i32 {
        let day = received.div_euclid(civil::DAY_SECONDS);
        match self.reception {
            Some((known, year)) if known == day => year,
            _ => {
                let (year, ..) = civil::civil_from_days(day);
                self.reception = Some((day, year));
                year
            }
        }
    }

    fn date(&mut self, year: i32, month: u8, day: u8) -> &Date {
        let known = self.date.is_some_and(|date| (date.year, date.month, date.day) == (year, month, day));
        if !known {
            let shown = year.clamp(0, 9999).cast_unsigned();
            let written = filled(
                b"0000-00-00T",
                [(0, (shown / 100) as u8), (2, (shown % 100) as u8), (5, month), (8, day)],
            );
            self.date =
                Some(Date { year, month, day, days: civil::days_from_civil(year, month, day), written });
        }
        self.date.as_ref().expect("it was made where there was none")
    }

    /// [`Civil::seconds`].
    fn seconds(&mut self, civil: &Civil) -> i64 {
        let days = self.date(civil.year, civil.month, civil.day).days;
        days * civil::DAY_SECONDS + clock_seconds(civil.hour, civil.minute, civil.second)
    }

    /// The moment of a timestamp of RFC 3339, in seconds since 1970-01-01T00:00:00Z.
    fn moment(&mut self, text: &[u8]) -> i64 {
        let pair = |from: usize| {
            let digit = |at: usize| text.get(at).map_or(0, |byte| byte.wrapping_sub(b'0') & 15);
            digit(from) * 10 + digit(from + 1)
        };
        let same = self.date.as_ref().filter(|date| text.starts_with(&date.written)).map(|date| date.days);
        let days = same.unwrap_or_else(|| {
            let year = i32::from(pair(0)) * 100 + i32::from(pair(2));
            self.date(year, pair(5), pair(8)).days
        });
        let local = days * civil::DAY_SECONDS + clock_seconds(pair(11), pair(14), pair(17));
        let end = text.len();
        let offset = match text.get(end.saturating_sub(6)) {
            Some(sign @ (b'+' | b'-')) if text[end - 1].is_ascii_digit() => {
                let seconds = clock_seconds(pair(end - 5), pair(end - 2), 0);
                if *sign == b'-' { -seconds } else { seconds }
            }
            _ => 0,
        };
        local - offset
    }

    fn write_civil(&mut self, out: &mut Vec<u8>, civil: Civil, fraction: &[u8], offset_minutes: i32) {
        self.write_date_and_clock(out, civil);
        if !fraction.is_empty() {
            out.push(b'.');
            out.extend_from_slice(fraction);
        }
        if offset_minutes == 0 {
            out.push(b'Z');
            return;
        }
        let sign = if offset_minutes < 0 { b'-' } else { b'+' };
        let minutes = offset_minutes.unsigned_abs();
        let [hours, minutes] = [minutes / 60, minutes % 60].map(|part| part as u8);
        out.extend_from_slice(&filled(&[sign, b'0', b'0', b':', b'0', b'0'], [(1, hours), (4, minutes)]));
    }

    fn write_date_and_clock(&mut self, out: &mut Vec<u8>, civil: Civil) {
        let date = self.date(civil.year, civil.month, civil.day).written;
        out.extend_from_slice(&date);
        let Civil { hour, minute, second, .. } = civil;
        out.extend_from_slice(&filled(b"00:00:00", [(0, hour), (3, minute), (6, second)]));
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

/// A form with two digits of a number at each of some places.
fn filled<const LEN: usize, const N: usize>(form: &[u8; LEN], numbers: [(usize, u8); N]) -> [u8; LEN] {
    let mut filled = *form;
    for (at, number) in numbers {
        filled[at..at + 2].copy_from_slice(&two_digits(number));
    }
    filled
}

/// How far a timestamp is from its reception before the sender's clock counts as wrong. A day, so that a message which
/// waited overnight at a relay that was down does not.
pub const CLOCK_FAR_OFF_SECONDS: i64 = civil::DAY_SECONDS;

/// Whether a moment is further than [`CLOCK_FAR_OFF_SECONDS`] from its reception. It is kept as it is: which of the two
/// clocks is wrong, and since when, is for people to find out.
pub fn is_far_off(moment: i64, received: UnixMicros) -> bool {
    (moment - received.seconds()).abs() > CLOCK_FAR_OFF_SECONDS
}

fn clock_seconds(hour: u8, minute: u8, second: u8) -> i64 {
    i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second)
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
        b"CET" | b"MET" | b"MEZ" | b"WEST" | b"WEDT" | b"BST" => 60,
        b"CEST" | b"CEDT" | b"MEST" | b"MESZ" | b"EET" | b"SAST" => 120,
        b"EEST" | b"EEDT" | b"MSK" | b"TRT" => 180,
        b"PKT" => 300,
        b"IST" => 330,
        b"BJT" | b"HKT" | b"SGT" | b"AWST" | b"PHT" => 480,
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
        _ => return rare_abbreviation_minutes(capitals),
    })
}

/// Whether an abbreviation is rare enough to be more often a name or a word: a zone only where its place proves it.
pub fn is_rare_abbreviation(name: &[u8]) -> bool {
    let mut capitals = [0; 4];
    let Some(capitals) = capitals.get_mut(..name.len()) else { return false };
    capitals.copy_from_slice(name);
    capitals.make_ascii_uppercase();
    rare_abbreviation_minutes(capitals).is_some()
}

/// Minutes east of UTC, as the tz database gives or gave the abbreviation to one zone.
fn rare_abbreviation_minutes(capitals: &[u8]) -> Option<i32> {
    Some(match capitals {
        b"WAT" => 60,
        b"CAT" => 120,
        b"EAT" | b"IDT" => 180,
        b"IRST" => 210,
        b"GST" | b"AZT" | b"SAMT" => 240,
        b"UZT" | b"YEKT" => 300,
        b"NPT" => 345,
        b"BDT" | b"OMST" => 360,
        b"MMT" => 390,
        b"ICT" | b"WIB" | b"NOVT" | b"KRAT" => 420,
        b"MYT" | b"WITA" | b"IRKT" | b"ULAT" => 480,
        b"WIT" | b"YAKT" => 540,
        b"ACST" => 570,
        b"VLAT" | b"CHST" => 600,
        b"ACDT" => 630,
        b"MAGT" => 660,
        b"ART" | b"UYT" | b"CLST" => -180,
        b"NDT" => -150,
        b"NST" => -210,
        b"CLT" | b"BOT" | b"VET" => -240,
        b"COT" | b"PET" | b"ECT" => -300,
        b"HDT" => -540,
        b"SST" => -660,
        _ => return None,
    })
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
            either_order: false,
        })
    }

    fn written(resolver: &mut Resolver, when: &When<'_>, received: i64, zone: Tz) -> String {
        let mut out = Vec::new();
        let moment = resolver.write(&mut out, when, UnixMicros(received * 1_000_000), zone);
        let text = String::from_utf8(out).unwrap();
        assert_eq!(moment, chrono::DateTime::parse_from_rfc3339(&text).unwrap().timestamp(), "{text}");
        let again = When::Rfc3339(text.as_bytes());
        assert_eq!(moment, Resolver::default().write(&mut Vec::new(), &again, UnixMicros(0), zone), "{text}");
        text
    }

    #[test]
    fn a_clock_is_far_off_by_more_than_a_day_either_way() {
        // 2026-11-22T03:00:00Z
        let received = UnixMicros(1_795_316_400_000_000);
        let mut resolver = Resolver::default();
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
            let when = When::Rfc3339(written.as_bytes());
            let moment = resolver.write(&mut Vec::new(), &when, received, Tz::UTC);
            assert_eq!(is_far_off(moment, received), far, "{written}");
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
