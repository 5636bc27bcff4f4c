//! What the uplink shows of itself: cheap to update, read as a [`Snapshot`] by `status`, the health check and metrics.

use super::choice::Breaker;
use crate::clock::{Clock, SystemClock};
use crate::settings::Receiver;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// Without a connection for so long, although it tries, the uplink counts as unhealthy, and so it does where events were
/// sent and nothing was acknowledged for so long. Shorter outages are a restart of the receiver, which the spool is
/// there for.
pub const UNHEALTHY_AFTER: Duration = Duration::from_secs(300);

/// A receiver that lets events wait for so long is slow.
pub const SLOW_AFTER: Duration = Duration::from_secs(10);

/// What is known of one endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum EndpointState {
    /// Not tried since the start.
    NeverTried,
    /// In use.
    Connected {
        /// The address behind the name.
        address: String,
        /// Unix time.
        since_s: i64,
    },
    /// Was in use or tried last without a failure; another one is in use now, or the uplink has stopped.
    Idle,
    /// The last try failed, or the connection was lost.
    Failing {
        /// Why.
        error: String,
        /// Unix time of the last failure.
        at_s: i64,
    },
    /// Does not accept our certificate.
    Refused {
        /// Why.
        error: String,
        /// Unix time of the last refusal.
        at_s: i64,
    },
}

/// One endpoint's state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointStatus {
    /// `host:port`.
    pub endpoint: String,
    /// Its site, where it has one.
    pub site: Option<String>,
    /// Its circuit breaker.
    pub breaker: Breaker,
    /// Its state.
    #[serde(flatten)]
    pub state: EndpointState,
}

/// The last thing that went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastError {
    /// `Ennn` and what happened.
    pub error: String,
    /// Unix time.
    pub at_s: i64,
}

/// The uplink at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// All endpoints in order of preference.
    pub endpoints: Vec<EndpointStatus>,
    /// The one in use.
    pub in_use: Option<String>,
    /// Unix time since when it is in use.
    pub connected_since_s: Option<i64>,
    /// The receiver in use is alive, but what was sent waits for an acknowledgement for longer than [`SLOW_AFTER`].
    pub slow: bool,
    /// Our certificate is missing, unusable or refused: events are held until that is mended.
    pub held_by_certificate: bool,
    /// Windows sent and not wholly acknowledged.
    pub windows_in_flight: usize,
    /// Events acknowledged since the start.
    pub events_acknowledged: u64,
    /// Events sent since the start, again or for the first time.
    pub events_sent: u64,
    /// Of these, those sent again after a lost connection.
    pub events_retransmitted: u64,
    /// Bytes written to receivers, before TLS.
    pub bytes_sent: u64,
    /// Events by the rule of the normaliser that read them.
    pub events_by_rule: BTreeMap<String, u64>,
    /// Events whose timestamp is more than a day from their reception: a sender's clock is wrong.
    #[serde(default)]
    pub events_clock_far_off: u64,
    /// The last sequence number that was acknowledged since the start.
    pub last_acknowledged_seq: Option<u64>,
    /// Unix time of the last acknowledgement.
    pub last_acknowledged_s: Option<i64>,
    /// The last thing that went wrong, kept after it was mended.
    pub last_error: Option<LastError>,
    /// Whether the health check passes.
    pub healthy: bool,
}

#[derive(Debug, Default)]
struct Inner {
    snapshot: Snapshot,
    /// Since when there is no connection although one is wanted.
    without_since: Option<Instant>,
    /// Since when events that were sent wait for a first or next acknowledgement, over all connections.
    waiting_since: Option<Instant>,
}

/// The uplink's state, shared with whoever shows it.
#[derive(Debug, Default)]
pub struct Status(watch::Sender<Inner>);

impl Status {
    /// The state at this moment.
    pub fn snapshot(&self) -> Snapshot {
        self.0.borrow().snapshot()
    }

    /// Whether the uplink is well, see [`UNHEALTHY_AFTER`].
    pub fn healthy(&self) -> bool {
        self.0.borrow().healthy()
    }

    /// Waits until the state is as wanted; asked again after each change, so not for what only time changes.
    pub async fn wait_for(&self, mut wanted: impl FnMut(&Snapshot) -> bool) -> Snapshot {
        let mut changes = self.0.subscribe();
        let inner = changes.wait_for(|inner| wanted(&inner.snapshot)).await;
        inner.expect("the sender is this status itself").snapshot()
    }

    pub(super) fn begin(&self, receivers: &[Receiver]) {
        let never = |receiver: &Receiver| EndpointStatus {
            endpoint: receiver.endpoint.to_string(),
            site: receiver.site.clone(),
            breaker: Breaker::Closed,
            state: EndpointState::NeverTried,
        };
        self.0.send_modify(|inner| {
            inner.snapshot.endpoints = receivers.iter().map(never).collect();
            inner.without_since = Some(Instant::now());
        });
    }

    /// All breakers, in the order of the receivers.
    pub(super) fn breakers(&self, breakers: &[Breaker]) {
        self.change(|snapshot| {
            for (endpoint, &breaker) in snapshot.endpoints.iter_mut().zip(breakers) {
                endpoint.breaker = breaker;
            }
        });
    }

    pub(super) fn connected(&self, index: usize, address: String) {
        let since_s = now_s();
        self.0.send_modify(|Inner { snapshot, without_since, .. }| {
            *without_since = None;
            snapshot.in_use = Some(snapshot.endpoints[index].endpoint.clone());
            snapshot.connected_since_s = Some(since_s);
            snapshot.held_by_certificate = false;
            snapshot.endpoints[index].state = EndpointState::Connected { address, since_s };
        });
    }

    /// The connection has ended, by a failure (told separately) or on purpose.
    pub(super) fn disconnected(&self, index: usize) {
        self.0.send_modify(|Inner { snapshot, without_since, .. }| {
            without_since.get_or_insert_with(Instant::now);
            snapshot.in_use = None;
            snapshot.connected_since_s = None;
            snapshot.windows_in_flight = 0;
            snapshot.endpoints[index].state = EndpointState::Idle;
        });
    }

    pub(super) fn failed(&self, index: usize, error: &crate::Error, refused: bool) {
        let (error, at_s) = (error.to_string(), now_s());
        self.change(|snapshot| {
            snapshot.last_error = Some(LastError { error: error.clone(), at_s });
            snapshot.endpoints[index].state = if refused {
                EndpointState::Refused { error, at_s }
            } else {
                EndpointState::Failing { error, at_s }
            };
        });
    }

    pub(super) fn held_by_certificate(&self, held: bool) {
        self.change(|snapshot| snapshot.held_by_certificate = held);
    }

    pub(super) fn error(&self, error: &crate::Error) {
        self.change(|snapshot| {
            snapshot.last_error = Some(LastError { error: error.to_string(), at_s: now_s() });
        });
    }

    pub(super) fn sent(&self, events: u64, again: u64, rules: &[(&'static str, u64)]) {
        self.0.send_modify(|Inner { snapshot, waiting_since, .. }| {
            waiting_since.get_or_insert_with(Instant::now);
            snapshot.events_sent += events;
            snapshot.events_retransmitted += again;
            for &(rule, count) in rules {
                match snapshot.events_by_rule.get_mut(rule) {
                    Some(total) => *total += count,
                    None => {
                        snapshot.events_by_rule.insert(rule.to_owned(), count);
                    }
                }
            }
        });
    }

    pub(super) fn clocks_far_off(&self, events: u64) {
        self.change(|snapshot| snapshot.events_clock_far_off += events);
    }

    pub(super) fn written(&self, bytes: usize) {
        self.change(|snapshot| snapshot.bytes_sent += bytes as u64);
    }

    pub(super) fn acknowledged(&self, events: u64, last_seq: u64) {
        self.0.send_modify(|Inner { snapshot, waiting_since, .. }| {
            *waiting_since = Some(Instant::now());
            snapshot.events_acknowledged += events;
            snapshot.last_acknowledged_seq = Some(last_seq);
            snapshot.last_acknowledged_s = Some(now_s());
            // Who acknowledges is well; the breaker itself hears of it when the connection ends.
            let in_use = snapshot.in_use.as_ref();
            if let Some(known) = snapshot.endpoints.iter_mut().find(|known| Some(&known.endpoint) == in_use) {
                known.breaker = Breaker::Closed;
            }
        });
    }

    /// So many windows are on their way; with none, nothing is waited for.
    pub(super) fn in_flight(&self, windows: usize) {
        self.0.send_modify(|Inner { snapshot, waiting_since, .. }| {
            snapshot.windows_in_flight = windows;
            if windows == 0 {
                *waiting_since = None;
            }
        });
    }

    fn change(&self, change: impl FnOnce(&mut Snapshot)) {
        self.0.send_modify(|inner| change(&mut inner.snapshot));
    }
}

impl Inner {
    fn snapshot(&self) -> Snapshot {
        let waits = self.waiting_since.is_some_and(|since| since.elapsed() >= SLOW_AFTER);
        let slow = waits && self.snapshot.in_use.is_some();
        Snapshot { healthy: self.healthy(), slow, ..self.snapshot.clone() }
    }

    fn healthy(&self) -> bool {
        let brief = |since: Option<Instant>| since.is_none_or(|since| since.elapsed() < UNHEALTHY_AFTER);
        brief(self.without_since) && brief(self.waiting_since)
    }
}

fn now_s() -> i64 {
    SystemClock.now().seconds()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Code, Error};

    #[tokio::test(start_paused = true)]
    async fn health_ends_when_no_connection_comes_about_and_returns_with_one() {
        let status = Status::default();
        assert!(status.healthy(), "not begun");
        status.begin(&["a:1".parse().unwrap()]);
        assert!(status.healthy());
        status.failed(0, &Error::new(Code::ClientRefused, "no"), true);
        tokio::time::advance(UNHEALTHY_AFTER).await;
        assert!(!status.healthy() && !status.snapshot().healthy);
        status.connected(0, "127.0.0.1:1".to_owned());
        tokio::time::advance(UNHEALTHY_AFTER * 2).await;
        assert!(status.healthy());
        status.disconnected(0);
        assert!(status.healthy(), "for a while");
    }

    #[tokio::test(start_paused = true)]
    async fn health_ends_where_receivers_take_connections_but_no_events() {
        let status = Status::default();
        status.begin(&["a:1".parse().unwrap()]);
        for _ in 0..6 {
            assert!(status.healthy());
            status.connected(0, "127.0.0.1:1".to_owned());
            status.sent(1, 0, &[]);
            status.in_flight(1);
            tokio::time::advance(UNHEALTHY_AFTER / 6).await;
            status.disconnected(0);
        }
        assert!(!status.healthy());
        status.connected(0, "127.0.0.1:1".to_owned());
        assert!(!status.healthy(), "a connection alone is no delivery");
        status.acknowledged(1, 1);
        assert!(status.healthy());
        status.in_flight(0);
        tokio::time::advance(UNHEALTHY_AFTER * 2).await;
        assert!(status.healthy(), "nothing is waited for");
    }

    #[test]
    fn a_snapshot_survives_the_way_through_a_file() {
        let status = Status::default();
        status.begin(&["a:1".parse().unwrap(), "ber/[::1]:2".parse().unwrap()]);
        status.connected(1, "[::1]:2".to_owned());
        status.failed(0, &Error::new(Code::ClientRefused, "no"), true);
        status.sent(3, 1, &[("rfc5424", 2)]);
        let snapshot = status.snapshot();
        let text = serde_json::to_string(&snapshot).unwrap();
        assert!(
            text.contains(r#""endpoint":"a:1","site":null,"breaker":"closed","state":"refused""#),
            "{text}"
        );
        assert_eq!(serde_json::from_str::<Snapshot>(&text).unwrap(), snapshot);
    }
}
