//! The report as metrics, in Prometheus' text format 0.0.4
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/>).
//!
//! [`METRICS`] is the whole of it, in order; `docs/metrics.md` is made from the same table. Units are base units, seconds
//! and bytes. Counters begin with 0 at each start of the process, as counters may; those of what the spool lost go on over
//! restarts. A value that is not known gives no sample, never a zero that could be taken for one.

use super::report::Report;
use super::self_report::Name;
use crate::uplink::choice::Breaker;
use crate::uplink::status::EndpointState;
use chrono::DateTime;
use std::fmt::Write;

/// What a metric can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It only grows, until the process starts anew.
    Counter,
    /// It goes up and down.
    Gauge,
}

impl Kind {
    /// The word of the `TYPE` line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
        }
    }
}

/// One metric.
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// Counter or gauge.
    pub kind: Kind,
    /// What it says, one sentence.
    pub help: &'static str,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// Reads the samples out of a report.
    read: fn(&Report) -> Vec<Sample>,
}

/// The labels' values in the order of [`Metric::labels`], and the value.
type Sample = (Vec<String>, f64);

fn one(value: impl Into<Number>) -> Vec<Sample> {
    vec![(Vec::new(), value.into().0)]
}

fn maybe(value: Option<impl Into<Number>>) -> Vec<Sample> {
    value.map_or_else(Vec::new, one)
}

fn by<N: Into<Number>>(values: impl IntoIterator<Item = (&'static str, N)>) -> Vec<Sample> {
    values.into_iter().map(|(label, value)| (vec![label.to_owned()], value.into().0)).collect()
}

/// A value; the format knows floating-point numbers only, which are exact up to 2^53.
struct Number(f64);

impl From<u64> for Number {
    fn from(value: u64) -> Self {
        Self(value as f64)
    }
}

impl From<usize> for Number {
    fn from(value: usize) -> Self {
        Self(value as f64)
    }
}

impl From<i64> for Number {
    fn from(value: i64) -> Self {
        Self(value as f64)
    }
}

impl From<bool> for Number {
    fn from(value: bool) -> Self {
        Self(f64::from(u8::from(value)))
    }
}

impl From<f64> for Number {
    fn from(value: f64) -> Self {
        Self(value)
    }
}

fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}

macro_rules! metrics {
    ($($name:literal $kind:ident [$($label:literal),*] $help:literal, $read:expr;)*) => {
        /// Every metric.
        pub const METRICS: &[Metric] = &[$(Metric {
            name: concat!("soc_connector_", $name),
            kind: Kind::$kind,
            help: $help,
            labels: &[$($label),*],
            read: $read,
        }),*];
    };
}

metrics! {
    "build_info" Gauge ["version", "mode", "connector_id"] "Always 1; the labels say what runs.",
        |r| vec![(vec![r.version.clone(), r.mode.name().to_owned(), r.connector_id.clone()], 1.0)];
    "start_time_seconds" Gauge [] "Start of the process, Unix time.",
        |r| maybe(DateTime::parse_from_rfc3339(&r.started).ok().map(|time| time.timestamp()));
    "healthy" Gauge [] "1 where the health check passes, else 0.",
        |r| one(r.unhealthy.is_none());
    // --- listener ---
    "received_messages_total" Counter ["transport"] "Messages received.",
        |r| by([("udp", r.listener.counters.udp_messages), ("tcp", r.listener.counters.tcp_messages)]);
    "received_bytes_total" Counter ["transport"] "Bytes of the messages received, without framing.",
        |r| by([("udp", r.listener.counters.udp_bytes), ("tcp", r.listener.counters.tcp_bytes)]);
    "messages_cut_total" Counter [] "Messages that were longer than listener.max_message_bytes and were cut there.",
        |r| one(r.listener.counters.cut);
    "udp_kernel_drops_total" Counter [] "Datagrams that the kernel dropped at the syslog sockets, their receive buffer being full or a checksum wrong. Lost; net.core.rmem_max bounds the buffer.",
        |r| maybe(r.listener.udp_kernel.map(|kernel| kernel.dropped));
    "udp_kernel_waiting_bytes" Gauge [] "What datagrams that wait to be read take of the kernel's receive buffers, its overhead included.",
        |r| maybe(r.listener.udp_kernel.map(|kernel| kernel.waiting_bytes));
    "udp_buffer_granted_bytes" Gauge [] "Receive buffer that the kernel granted each UDP socket; it counts its overhead in and grants twice what was asked for.",
        |r| one(r.listener.udp_buffer_bytes);
    "udp_buffer_asked_bytes" Gauge [] "Receive buffer that listener.udp_buffer_kib asks for.",
        |r| one(r.listener.udp_buffer_asked_bytes);
    "tcp_connections" Gauge [] "TCP connections of senders at this moment.",
        |r| one(r.listener.counters.connections);
    "tcp_connections_accepted_total" Counter [] "TCP connections accepted.",
        |r| one(r.listener.counters.connections_total);
    "tcp_connections_refused_total" Counter [] "TCP connections refused because listener.max_connections was reached.",
        |r| one(r.listener.counters.connections_refused);
    "tcp_connections_closed_total" Counter ["reason"] "TCP connections that the connector closed: idle for too long, or unfinished messages that took too much memory.",
        |r| by([
            ("idle", r.listener.counters.connections_idle_closed),
            ("unfinished", r.listener.counters.connections_unfinished_closed),
        ]);
    // --- spool ---
    "spool_events" Gauge [] "Events in the spool, which no receiver has acknowledged yet.",
        |r| one(r.spool.events);
    "spool_oldest_event_age_seconds" Gauge [] "Time since the oldest unacknowledged event was received; 0 where there is none.",
        |r| one(r.spool.oldest_age_s.unwrap_or(0));
    "spool_size_bytes" Gauge [] "Size of the spool on disk; space is given back in steps of a segment.",
        |r| one(r.spool.size_bytes);
    "spool_max_bytes" Gauge [] "The bound of the spool on disk; each stop while it is full may add 64 MiB.",
        |r| one(r.spool.max_bytes);
    "spool_full" Gauge [] "1 while the spool, or its file system, has no room: TCP senders wait, UDP is lost in the kernel.",
        |r| one(r.spool.full);
    "spool_failing" Gauge [] "1 while the disk refuses writes.",
        |r| one(r.spool.failing.is_some());
    "spool_syncs_total" Counter [] "Syncs of the spool to the disk.",
        |r| one(r.spool.syncs);
    "spool_sync_seconds_total" Counter [] "Time that these syncs took. An event waits for one before it is sent: where the disk is kept busy by others, this is the delay.",
        |r| one(seconds(r.spool.sync_us));
    "spool_sync_longest_seconds" Gauge [] "Time that the longest of them took since the start.",
        |r| one(seconds(r.spool.longest_sync_us));
    "spool_sequence_number" Gauge ["position"] "Sequence number of the last event that was given one, is on the disk, is acknowledged.",
        |r| by([
            ("last", r.spool.last_seq),
            ("durable", r.spool.durable_seq),
            ("acknowledged", r.spool.acknowledged_seq),
        ]);
    "spool_lost_events_total" Counter ["cause"] "Events that left the spool undelivered: dropped when it was full, damaged on the disk, gone with a missing segment. Over the spool's whole life.",
        |r| by([
            ("full", r.spool.dropped_full),
            ("damaged", r.spool.lost_corrupt),
            ("missing", r.spool.lost_missing),
        ]);
    "spool_refused_events" Gauge [] "Events that were set aside because receivers refuse them.",
        |r| one(r.spool.refused);
    // --- uplink ---
    "uplink_connected" Gauge [] "1 while a receiver is connected.",
        |r| one(r.uplink.in_use.is_some());
    "uplink_endpoint_state" Gauge ["endpoint", "state"] "1 for the state that the receiver is in, 0 for the others.",
        |r| r.uplink.endpoints.iter().flat_map(|endpoint| {
            let now = state_name(&endpoint.state);
            STATES.map(|state| (vec![endpoint.endpoint.clone(), state.to_owned()], f64::from(u8::from(state == now))))
        }).collect();
    "uplink_breaker" Gauge ["endpoint", "site", "state"] "1 for the state that the endpoint's circuit breaker is in, else 0.",
        |r| r.uplink.endpoints.iter().flat_map(|endpoint| {
            BREAKERS.map(|state| {
                let site = endpoint.site.clone().unwrap_or_default();
                let labels = vec![endpoint.endpoint.clone(), site, state.name().to_owned()];
                (labels, f64::from(u8::from(state == endpoint.breaker)))
            })
        }).collect();
    "uplink_slow" Gauge [] "1 while the receiver in use is alive and lets events wait for an acknowledgement.",
        |r| one(r.uplink.slow);
    "uplink_certificate_held" Gauge [] "1 while events are held because the client certificate is missing, unusable or refused.",
        |r| one(r.uplink.held_by_certificate);
    "uplink_windows_in_flight" Gauge [] "Windows of events sent and not wholly acknowledged.",
        |r| one(r.uplink.windows_in_flight);
    "uplink_sent_events_total" Counter [] "Events sent, for the first time or again.",
        |r| one(r.uplink.events_sent);
    "uplink_retransmitted_events_total" Counter [] "Events sent again after a connection was lost.",
        |r| one(r.uplink.events_retransmitted);
    "uplink_acknowledged_events_total" Counter [] "Events that a receiver acknowledged.",
        |r| one(r.uplink.events_acknowledged);
    "uplink_sent_bytes_total" Counter [] "Bytes written to receivers, before TLS.",
        |r| one(r.uplink.bytes_sent);
    "uplink_last_acknowledgement_time_seconds" Gauge [] "The last acknowledgement, Unix time.",
        |r| maybe(r.uplink.last_acknowledged_s);
    "events_by_rule_total" Counter ["rule"] "Events sent, by the rule of the normaliser that read them.",
        |r| r.uplink.events_by_rule.iter().map(|(rule, &count)| (vec![rule.clone()], Number::from(count).0)).collect();
    "events_clock_far_off_total" Counter [] "Events whose timestamp is more than a day from their reception.",
        |r| one(r.uplink.events_clock_far_off);
    // --- self-reports ---
    "self_reports_total" Counter ["name"] "Reports that the connector made on itself.",
        |r| by(Name::ALL.iter().map(|name| {
            (name.as_str(), r.self_reports.by_name.get(name.as_str()).copied().unwrap_or(0))
        }));
    "self_reports_dropped_total" Counter [] "Of these, those dropped because the spool took nothing for too long.",
        |r| one(r.self_reports.dropped);
    // --- certificate ---
    "certificate_not_after_seconds" Gauge ["subject"] "End of the client certificate in use, Unix time.",
        |r| r.certificate.iter().map(|c| (vec![c.subject.clone()], Number::from(c.not_after_s).0)).collect();
}

const BREAKERS: [Breaker; 3] = [Breaker::Closed, Breaker::Open, Breaker::HalfOpen];

/// The states of an endpoint, as the reports name them.
const STATES: [&str; 5] = ["never_tried", "connected", "idle", "failing", "refused"];

fn state_name(state: &EndpointState) -> &'static str {
    match state {
        EndpointState::NeverTried => STATES[0],
        EndpointState::Connected { .. } => STATES[1],
        EndpointState::Idle => STATES[2],
        EndpointState::Failing { .. } => STATES[3],
        EndpointState::Refused { .. } => STATES[4],
    }
}

/// The text.
pub fn render(report: &Report) -> String {
    let mut text = String::with_capacity(16 * 1024);
    for metric in METRICS {
        let samples = (metric.read)(report);
        if samples.is_empty() {
            continue;
        }
        let Metric { name, kind, help, labels, .. } = metric;
        let kind = kind.name();
        write!(
            text,
            "# HELP {name} {}\n# TYPE {name} {kind}\n",
            help.replace('\\', "\\\\").replace('\n', "\\n")
        )
        .expect("a String takes everything");
        for (values, value) in samples {
            text.push_str(name);
            debug_assert_eq!(labels.len(), values.len(), "{name}");
            for (index, (label, value)) in labels.iter().zip(&values).enumerate() {
                text.push(if index == 0 { '{' } else { ',' });
                write!(text, "{label}=\"").expect("a String takes everything");
                escape(&mut text, value);
                text.push('"');
            }
            text.push_str(if labels.is_empty() { "" } else { "}" });
            writeln!(text, " {value}").expect("a String takes everything");
        }
    }
    text
}

/// A label's value: only these three are escaped, everything else stands as it is.
fn escape(text: &mut String, value: &str) {
    for character in value.chars() {
        match character {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            other => text.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connector::certificate::Certificate;
    use crate::uplink::choice::Breaker;
    use crate::uplink::status::EndpointStatus;

    /// A report in which nothing is unknown.
    fn full() -> Report {
        let mut report = Report::quiet();
        report.listener.counters.udp_messages = 7;
        report.spool.oldest_age_s = Some(90);
        report.spool.failing = Some("No space".to_owned());
        report.spool.longest_sync_us = 250_000;
        report.uplink.endpoints = vec![EndpointStatus {
            endpoint: "a\"b\\c\nd:443".to_owned(),
            site: Some("ber".to_owned()),
            breaker: Breaker::HalfOpen,
            state: EndpointState::Idle,
        }];
        report.uplink.events_by_rule.insert("rfc5424".to_owned(), 1 << 40);
        report.uplink.last_acknowledged_s = Some(1_800_000_000);
        report.certificate = Some(Certificate { subject: "uni".to_owned(), not_after_s: 1_900_000_000 });
        report
    }

    #[test]
    fn names_and_helps_keep_to_the_conventions() {
        for (index, Metric { name, kind, help, labels, .. }) in METRICS.iter().enumerate() {
            let fits =
                |text: &str| text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
            assert!(fits(name) && labels.iter().all(|label| fits(label)), "{name}");
            assert!(METRICS[..index].iter().all(|other| other.name != *name), "{name} is there twice");
            assert_eq!(name.ends_with("_total"), *kind == Kind::Counter, "{name}");
            assert!(help.ends_with('.'), "{name}: a sentence");
            for unit in ["_ms", "_kib", "_mib", "_minutes", "_days", "_percent"] {
                assert!(!name.contains(unit), "{name}: base units");
            }
        }
    }

    #[test]
    fn a_report_in_which_all_is_known_gives_every_metric_and_values_are_plain_numbers() {
        let text = render(&full());
        for metric in METRICS {
            let samples = text.lines().filter(|line| {
                line.strip_prefix(metric.name).is_some_and(|rest| rest.starts_with(['{', ' ']))
            });
            assert!(samples.count() > 0, "{} has no sample", metric.name);
        }
        for line in [
            "soc_connector_build_info{version=\"1.2.3\",mode=\"stage\",connector_id=\"test-0123\"} 1",
            "soc_connector_start_time_seconds 1767323045",
            "# TYPE soc_connector_received_messages_total counter",
            "soc_connector_received_messages_total{transport=\"udp\"} 7",
            "soc_connector_spool_oldest_event_age_seconds 90",
            "soc_connector_spool_failing 1",
            "soc_connector_spool_sync_longest_seconds 0.25",
            "soc_connector_uplink_endpoint_state{endpoint=\"a\\\"b\\\\c\\nd:443\",state=\"idle\"} 1",
            "soc_connector_uplink_endpoint_state{endpoint=\"a\\\"b\\\\c\\nd:443\",state=\"failing\"} 0",
            "soc_connector_events_by_rule_total{rule=\"rfc5424\"} 1099511627776",
            "soc_connector_certificate_not_after_seconds{subject=\"uni\"} 1900000000",
        ] {
            assert!(text.lines().any(|one| one == line), "{line}\n{text}");
        }
    }

    #[test]
    fn what_is_not_known_has_no_sample() {
        let mut report = full();
        report.listener.udp_kernel = None;
        report.certificate = None;
        let text = render(&report);
        for name in ["udp_kernel_drops_total", "udp_kernel_waiting_bytes", "certificate_not_after_seconds"] {
            assert!(!text.contains(name), "{name}");
        }
    }
}
