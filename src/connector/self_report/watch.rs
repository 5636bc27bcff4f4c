//! What is worth a report: pure, from one look at the connector to the next.
//!
//! What was told last is kept, and each look is compared with it. So a report that must wait for its name's interval is
//! not lost: as long as the state differs from what was told, or something is not yet told of a count, it is due.

use super::{Name, SelfReport};
use crate::connector::report::{self, Report};
use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// One name is reported once within this time at most.
pub const INTERVAL: Duration = Duration::from_secs(60);
/// A trouble has ended when it was not seen for so long: disks and full spools come and go from second to second.
pub const SETTLED: Duration = Duration::from_secs(30);
/// How full the spool is, in percent, at which it is told, with what is told above and back below.
const FILLS: [(u64, Name, Name); 3] = [
    (50, Name::SpoolOver50, Name::SpoolBelow50),
    (80, Name::SpoolOver80, Name::SpoolBelow80),
    (95, Name::SpoolOver95, Name::SpoolBelow95),
];
/// So many percent below the bound the spool counts as below it again.
const FILL_MARGIN: u64 = 5;
/// Days before the certificate's end at which it is told.
const ENDS: [(i64, Name); 4] = [
    (30, Name::CertificateEnds30),
    (14, Name::CertificateEnds14),
    (7, Name::CertificateEnds7),
    (1, Name::CertificateEnds1),
];
const DAY_S: i64 = 86_400;

/// What was told and must be known after a restart, so that it is told once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// Events dropped because the spool was full, over its life.
    pub dropped_full: u64,
    /// Events lost to damage, over the spool's life.
    pub damaged: u64,
    /// Events lost with segments, over the spool's life.
    pub missing: u64,
    /// Events that receivers refuse and that are set aside.
    #[serde(default)]
    pub refused: u64,
    /// The receiver that events went to.
    pub endpoint: Option<String>,
}

impl Told {
    /// Everything that the spool lost so far counts as told: for a spool of which nothing is known.
    pub fn everything(spool: &report::Spool) -> Self {
        Self {
            dropped_full: spool.dropped_full,
            damaged: spool.lost_corrupt,
            missing: spool.lost_missing,
            refused: spool.refused,
            endpoint: None,
        }
    }
}

/// Compares each look with what was told.
#[derive(Debug)]
pub struct Watcher {
    told: Told,
    udp_dropped: u64,
    connections_refused: u64,
    /// How many of [`FILLS`] are passed.
    fill: usize,
    /// How many of [`ENDS`] are passed.
    end: usize,
    not_after_s: Option<i64>,
    full: Trouble,
    disk: Trouble,
    certificate: Trouble,
    reported: BTreeMap<Name, Duration>,
}

/// Something that begins and ends.
#[derive(Debug, Default)]
struct Trouble {
    told: bool,
    /// Since when it is not seen, where it was told.
    absent_since: Option<Duration>,
}

impl Trouble {
    /// Whether its begin (true) or its end (false) is due.
    fn due(&mut self, at: Duration, seen: bool) -> Option<bool> {
        if seen {
            self.absent_since = None;
            return (!self.told).then_some(true);
        }
        if !self.told {
            return None;
        }
        let since = *self.absent_since.get_or_insert(at);
        (at.saturating_sub(since) >= SETTLED).then_some(false)
    }
}

impl Watcher {
    /// Begins with what was told by earlier runs.
    pub fn new(told: Told) -> Self {
        Self {
            told,
            udp_dropped: 0,
            connections_refused: 0,
            fill: 0,
            end: 0,
            not_after_s: None,
            full: Trouble::default(),
            disk: Trouble::default(),
            certificate: Trouble::default(),
            reported: BTreeMap::new(),
        }
    }

    /// What a next run must know.
    pub fn told(&self) -> &Told {
        &self.told
    }

    /// What is to be told now. `at` is a clock that never goes back, `now_s` the time of day in Unix seconds.
    pub fn look(&mut self, at: Duration, now_s: i64, report: &Report) -> Vec<SelfReport> {
        let mut reports = Vec::new();
        self.counts(at, report, &mut reports);
        self.fill(at, report, &mut reports);
        self.troubles(at, report, &mut reports);
        self.endpoint(at, report, &mut reports);
        self.certificate(at, now_s, report, &mut reports);
        reports
    }

    /// The same at the end of a run: what is due is told whatever was told a moment ago.
    pub fn last_look(&mut self, at: Duration, now_s: i64, report: &Report) -> Vec<SelfReport> {
        self.reported.clear();
        self.look(at, now_s, report)
    }

    /// Takes note of a report, unless its name was reported too lately.
    fn tell(
        &mut self,
        at: Duration,
        reports: &mut Vec<SelfReport>,
        name: Name,
        facts: impl FnOnce() -> Vec<String>,
    ) -> bool {
        if self.reported.get(&name).is_some_and(|&last| at.saturating_sub(last) < INTERVAL) {
            return false;
        }
        self.reported.insert(name, at);
        reports.push(SelfReport { name, facts: facts() });
        true
    }

    fn counts(&mut self, at: Duration, report: &Report, reports: &mut Vec<SelfReport>) {
        let (spool, listener) = (&report.spool, &report.listener);
        self.count(at, reports, |w| &mut w.told.dropped_full, Name::EventsDropped, spool.dropped_full);
        self.count(at, reports, |w| &mut w.told.damaged, Name::EventsDamaged, spool.lost_corrupt);
        self.count(at, reports, |w| &mut w.told.missing, Name::EventsMissing, spool.lost_missing);
        self.count(at, reports, |w| &mut w.told.refused, Name::EventsRefused, spool.refused);
        if let Some(kernel) = listener.udp_kernel {
            self.count(at, reports, |w| &mut w.udp_dropped, Name::UdpDropped, kernel.dropped);
        }
        let refused = listener.counters.connections_refused;
        self.count(at, reports, |w| &mut w.connections_refused, Name::ConnectionsRefused, refused);
    }

    /// Tells what was added to a total since it was told last.
    fn count(
        &mut self,
        at: Duration,
        reports: &mut Vec<SelfReport>,
        place: fn(&mut Self) -> &mut u64,
        name: Name,
        total: u64,
    ) {
        let told = *place(self);
        let more = total.saturating_sub(told);
        let facts = || vec![more.to_string(), total.to_string()];
        // A total below what was told is another spool's: it begins anew.
        if total < told || (more > 0 && self.tell(at, reports, name, facts)) {
            *place(self) = total;
        }
    }

    fn fill(&mut self, at: Duration, report: &Report, reports: &mut Vec<SelfReport>) {
        let spool = &report.spool;
        let percent = spool.filled_percent();
        let mut fill = self.fill;
        while FILLS.get(fill).is_some_and(|(bound, ..)| percent >= *bound) {
            fill += 1;
        }
        while fill > 0 && percent < FILLS[fill - 1].0 - FILL_MARGIN {
            fill -= 1;
        }
        let name = match fill.cmp(&self.fill) {
            std::cmp::Ordering::Equal => return,
            // Of several bounds passed at once the last one says it all.
            std::cmp::Ordering::Greater => FILLS[fill - 1].1,
            std::cmp::Ordering::Less => FILLS[fill].2,
        };
        let facts = || {
            let age = spool.oldest_age_s.unwrap_or(0);
            vec![percent.to_string(), spool.events.to_string(), age.to_string()]
        };
        if self.tell(at, reports, name, facts) {
            self.fill = fill;
        }
    }

    fn troubles(&mut self, at: Duration, report: &Report, reports: &mut Vec<SelfReport>) {
        let (spool, uplink) = (&report.spool, &report.uplink);
        self.trouble(
            at,
            reports,
            |w| &mut w.full,
            spool.full,
            (Name::SpoolFull, Name::SpoolHasRoom),
            |_| vec![spool.events.to_string()],
        );
        let names = (Name::DiskTroubleBegins, Name::DiskTroubleEnds);
        self.trouble(
            at,
            reports,
            |w| &mut w.disk,
            spool.failing.is_some(),
            names,
            |begins| {
                if begins { vec![spool.failing.clone().unwrap_or_default()] } else { Vec::new() }
            },
        );
        let names = (Name::CertificateRefused, Name::CertificateAccepted);
        self.trouble(
            at,
            reports,
            |w| &mut w.certificate,
            uplink.held_by_certificate,
            names,
            |begins| {
                let error = || uplink.last_error.as_ref().map_or(String::new(), |last| last.error.clone());
                if begins { vec![error()] } else { Vec::new() }
            },
        );
    }

    /// Tells the begin or the end of a trouble, whichever is due; `facts` are asked for the one or the other.
    fn trouble(
        &mut self,
        at: Duration,
        reports: &mut Vec<SelfReport>,
        place: fn(&mut Self) -> &mut Trouble,
        seen: bool,
        (begins, ends): (Name, Name),
        facts: impl FnOnce(bool) -> Vec<String>,
    ) {
        let Some(begin) = place(self).due(at, seen) else { return };
        if self.tell(at, reports, if begin { begins } else { ends }, || facts(begin)) {
            *place(self) = Trouble { told: begin, absent_since: None };
        }
    }

    fn endpoint(&mut self, at: Duration, report: &Report, reports: &mut Vec<SelfReport>) {
        let Some(endpoint) = report.uplink.in_use.clone() else { return };
        let told = match self.told.endpoint.clone() {
            Some(previous) if previous == endpoint => return,
            Some(previous) => {
                self.tell(at, reports, Name::EndpointChanged, || vec![endpoint.clone(), previous])
            }
            // The first one ever is no change.
            None => true,
        };
        if told {
            self.told.endpoint = Some(endpoint);
        }
    }

    fn certificate(&mut self, at: Duration, now_s: i64, report: &Report, reports: &mut Vec<SelfReport>) {
        let Some(certificate) = &report.certificate else { return };
        let not_after_s = certificate.not_after_s;
        let facts = || {
            let end = DateTime::<Utc>::from_timestamp(not_after_s, 0).map_or_else(
                || not_after_s.to_string(),
                |end| end.to_rfc3339_opts(SecondsFormat::Secs, true),
            );
            vec![certificate.subject.clone(), end]
        };
        if self.not_after_s != Some(not_after_s) {
            if self.not_after_s.is_some() && !self.tell(at, reports, Name::CertificateReplaced, facts) {
                return;
            }
            (self.not_after_s, self.end) = (Some(not_after_s), 0);
        }
        let left_s = not_after_s - now_s;
        let end = ENDS.iter().take_while(|(days, _)| left_s <= days * DAY_S).count();
        // A clock that was set back is no news.
        if end > self.end && self.tell(at, reports, ENDS[end - 1].1, facts) {
            self.end = end;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connector::certificate::Certificate;
    use crate::listener::KernelSnapshot;
    use crate::uplink::status::LastError;
    use proptest::prelude::*;

    const NOW_S: i64 = 1_800_000_000;

    fn seconds(at: u64) -> Duration {
        Duration::from_secs(at)
    }

    fn filled(percent: u64) -> Report {
        let mut report = Report::quiet();
        report.spool.size_bytes = report.spool.max_bytes / 100 * percent + report.spool.max_bytes % 100;
        report
    }

    fn told(reports: &[SelfReport]) -> Vec<&'static str> {
        reports.iter().map(|report| report.name.as_str()).collect()
    }

    /// What is told of looks at these moments (seconds).
    #[track_caller]
    fn assert_told(looks: impl IntoIterator<Item = (u64, Report, &'static [&'static str])>) {
        let mut watcher = Watcher::new(Told::default());
        for (at, report, expected) in looks {
            let reports = watcher.look(seconds(at), NOW_S + at.cast_signed(), &report);
            assert_eq!(told(&reports), expected, "after {at} s");
            for SelfReport { name, facts } in reports {
                assert_eq!(facts.len(), name.facts().len(), "{name:?}");
            }
        }
    }

    #[test]
    fn nothing_is_told_of_a_quiet_connector() {
        assert_told((0..100).map(|at| (at, Report::quiet(), &[] as &[_])));
    }

    #[test]
    fn the_spools_bounds_are_told_on_the_way_up_and_with_a_margin_on_the_way_down() {
        assert_told([
            (0, filled(49), &[] as &[_]),
            (1, filled(50), &["spool-over-50"]),
            (2, filled(46), &[]),
            (3, filled(79), &[]),
            (4, filled(80), &["spool-over-80"]),
            (5, filled(96), &["spool-over-95"]),
            (6, filled(90), &[]),
            (7, filled(89), &["spool-below-95"]),
            (8, filled(10), &["spool-below-50"]),
            // Once a minute, and what holds by then.
            (9, filled(60), &[]),
            (10, filled(20), &[]),
            (60, filled(60), &[]),
            (61, filled(60), &["spool-over-50"]),
            // At once through all bounds.
            (200, filled(0), &["spool-below-50"]),
            (201, filled(100), &["spool-over-95"]),
            (202, filled(76), &["spool-below-95"]),
            (203, filled(74), &["spool-below-80"]),
        ]);
    }

    #[test]
    fn a_trouble_ends_when_it_has_stayed_away() {
        let with = |full: bool, failing: bool, held: bool| {
            let mut report = Report::quiet();
            report.spool.full = full;
            report.spool.failing = failing.then(|| "no".to_owned());
            report.uplink.held_by_certificate = held;
            report.uplink.last_error = Some(LastError { error: "E225 refused".to_owned(), at_s: 1 });
            report
        };
        assert_told([
            (0, with(true, false, false), &["spool-full"] as &[_]),
            (1, with(false, false, false), &[]),
            (20, with(true, false, false), &[]),
            (21, with(false, false, false), &[]),
            (50, with(false, false, false), &[]),
            (51, with(false, true, false), &["spool-has-room", "disk-trouble-begins"]),
            (52, with(false, false, false), &[]),
            (82, with(false, false, true), &["disk-trouble-ends", "certificate-refused"]),
            (83, with(false, false, false), &[]),
            (113, with(false, false, false), &["certificate-accepted"]),
        ]);
    }

    #[test]
    fn losses_are_told_with_their_number_and_none_twice() {
        let lost = |full, udp| {
            let mut report = Report::quiet();
            report.spool.dropped_full = full;
            report.listener.udp_kernel = Some(KernelSnapshot { dropped: udp, waiting_bytes: 0 });
            report
        };
        let mut watcher = Watcher::new(Told { dropped_full: 10, ..Told::default() });
        let mut look = |at, report: &Report| watcher.look(seconds(at), NOW_S, report);
        assert_eq!(look(0, &lost(10, 0)), [], "told by the run before");
        let expected = |name, count: &str, total: &str| SelfReport {
            name,
            facts: vec![count.to_owned(), total.to_owned()],
        };
        assert_eq!(look(1, &lost(15, 0)), [expected(Name::EventsDropped, "5", "15")]);
        assert_eq!(look(2, &lost(20, 3)), [expected(Name::UdpDropped, "3", "3")]);
        assert_eq!(look(60, &lost(30, 3)), []);
        assert_eq!(look(61, &lost(30, 3)), [expected(Name::EventsDropped, "15", "30")]);
        assert_eq!(look(62, &lost(31, 5)), [expected(Name::UdpDropped, "2", "5")]);
        let told = watcher.last_look(seconds(63), NOW_S, &lost(31, 9));
        assert_eq!(told, [expected(Name::EventsDropped, "1", "31"), expected(Name::UdpDropped, "4", "9")]);
        assert_eq!(watcher.told().dropped_full, 31);
        // Another spool.
        assert_eq!(watcher.look(seconds(64), NOW_S, &lost(2, 9)), []);
        assert_eq!(watcher.look(seconds(200), NOW_S, &lost(3, 9)), [expected(Name::EventsDropped, "1", "3")]);
    }

    #[test]
    fn another_receiver_is_told_also_where_the_connector_was_restarted_in_between() {
        let to = |endpoint: Option<&str>| {
            let mut report = Report::quiet();
            report.uplink.in_use = endpoint.map(str::to_owned);
            report
        };
        assert_told([
            (0, to(None), &[] as &[_]),
            (1, to(Some("a:443")), &[]),
            (2, to(None), &[]),
            (3, to(Some("a:443")), &[]),
            (4, to(Some("b:443")), &["endpoint-changed"]),
        ]);
        let before = Told { endpoint: Some("a:443".to_owned()), ..Told::default() };
        let told = Watcher::new(before).look(seconds(0), NOW_S, &to(Some("b:443")));
        let facts = vec!["b:443".to_owned(), "a:443".to_owned()];
        assert_eq!(told, [SelfReport { name: Name::EndpointChanged, facts }]);
    }

    #[test]
    fn the_certificates_end_is_told_at_each_bound_and_a_new_one_begins_anew() {
        let mut watcher = Watcher::new(Told::default());
        let mut look = |day: i64, certificate: Option<i64>| {
            let mut report = Report::quiet();
            let not_after_s = |day: i64| NOW_S + day * DAY_S;
            report.certificate = certificate
                .map(|end| Certificate { subject: "uni".to_owned(), not_after_s: not_after_s(end) });
            let at = Duration::from_secs((day * DAY_S).unsigned_abs());
            told(&watcher.look(at, NOW_S + day * DAY_S, &report)).join(" ")
        };
        for (day, expected) in [
            (0, ""),
            (69, ""),
            (70, "certificate-ends-in-30-days"),
            (71, ""),
            (87, "certificate-ends-in-14-days"),
            (93, "certificate-ends-in-7-days"),
            // For an unreadable file there is nothing to say of its end.
            (99, "certificate-ends-in-1-day"),
            (101, ""),
        ] {
            assert_eq!(look(day, Some(100)), expected, "day {day}");
            assert_eq!(look(day, None), "", "day {day}");
        }
        assert_eq!(look(102, Some(500)), "certificate-replaced");
        assert_eq!(look(103, Some(110)), "certificate-replaced certificate-ends-in-7-days");
    }

    #[test]
    fn a_certificate_that_ends_soon_is_told_at_the_first_look() {
        let mut report = Report::quiet();
        report.certificate = Some(Certificate { subject: "uni".to_owned(), not_after_s: NOW_S + 5 * DAY_S });
        assert_told([(0, report.clone(), &["certificate-ends-in-7-days"] as &[_]), (1, report, &[])]);
    }

    /// A look: seconds since the last one, and the state.
    fn looks() -> impl Strategy<Value = Vec<(u64, Report)>> {
        let look = (0..40_u64, 0..=100_u64, 0..3_u64, any::<[bool; 3]>(), 0..3_usize);
        let looks = prop::collection::vec(look, 1..60);
        looks.prop_map(|looks| {
            let mut lost = 0;
            let report =
                |(pause, percent, more, [full, failing, held], endpoint): (_, _, u64, [bool; 3], usize)| {
                    lost += more;
                    let mut report = filled(percent);
                    report.spool.full = full;
                    report.spool.failing = failing.then(|| "no".to_owned());
                    report.spool.lost_corrupt = lost;
                    report.uplink.held_by_certificate = held;
                    report.uplink.in_use = ["a:1", "b:1"].get(endpoint).map(|&endpoint| endpoint.to_owned());
                    (pause, report)
                };
            looks.into_iter().map(report).collect()
        })
    }

    proptest! {
        #[test]
        fn each_name_keeps_its_interval_and_counts_add_up(looks in looks()) {
            let mut watcher = Watcher::new(Told::default());
            let (mut at, mut last, mut counted) = (0, BTreeMap::<Name, u64>::new(), 0);
            let mut count = |reports: &[SelfReport]| {
                for report in reports.iter().filter(|report| report.name == Name::EventsDamaged) {
                    counted += report.facts[0].parse::<u64>().unwrap();
                }
                counted
            };
            for (pause, report) in &looks {
                at += pause;
                let reports = watcher.look(seconds(at), NOW_S, report);
                for SelfReport { name, .. } in &reports {
                    if let Some(before) = last.insert(*name, at) {
                        prop_assert!(at - before >= INTERVAL.as_secs(), "{name:?} after {} s", at - before);
                    }
                }
                count(&reports);
            }
            let (_, end) = looks.last().unwrap();
            let counted = count(&watcher.last_look(seconds(at), NOW_S, end));
            prop_assert_eq!(counted, end.spool.lost_corrupt);
        }

        #[test]
        fn what_was_told_last_holds_once_it_is_quiet(looks in looks()) {
            let mut watcher = Watcher::new(Told::default());
            let mut at = 0;
            // By the prefix of their names: which was told last.
            let mut last = BTreeMap::new();
            let end = looks.last().unwrap().1.clone();
            let quiet = std::iter::repeat_n((31, end.clone()), 6);
            for (pause, report) in looks.into_iter().chain(quiet) {
                at += pause;
                for SelfReport { name, .. } in watcher.look(seconds(at), NOW_S, &report) {
                    let trouble = match name {
                        Name::SpoolFull | Name::SpoolHasRoom => "full",
                        Name::DiskTroubleBegins | Name::DiskTroubleEnds => "disk",
                        Name::CertificateRefused | Name::CertificateAccepted => "certificate",
                        Name::EndpointChanged | Name::EventsDamaged => continue,
                        _ => "fill",
                    };
                    last.insert(trouble, name);
                }
            }
            let is = |trouble, name| last.get(trouble) == Some(&name);
            prop_assert_eq!(is("full", Name::SpoolFull), end.spool.full);
            prop_assert_eq!(is("disk", Name::DiskTroubleBegins), end.spool.failing.is_some());
            prop_assert_eq!(is("certificate", Name::CertificateRefused), end.uplink.held_by_certificate);
            let percent = end.spool.filled_percent();
            match last.get("fill") {
                None | Some(Name::SpoolBelow50) => prop_assert!(percent < 50),
                Some(Name::SpoolOver50 | Name::SpoolBelow80) => prop_assert!((45..80).contains(&percent)),
                Some(Name::SpoolOver80 | Name::SpoolBelow95) => prop_assert!((75..95).contains(&percent)),
                Some(Name::SpoolOver95) => prop_assert!(percent >= 90),
                other => prop_assert!(false, "{other:?}"),
            }
        }
    }
}
