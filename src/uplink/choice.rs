//! Which receiver is used next. Pure: time is given, connections are made elsewhere.
//!
//! Receivers stand in sites, the sites in order of preference. Within a site each connector draws an order of its own
//! when it starts, and keeps it: a thousand connectors spread over a site's receivers, and one connector does not wander.
//!
//! Each receiver has a circuit breaker:
//!
//! ```text
//!            failed                      wait over, and nothing better
//!   closed ─────────► open (for a wait) ─────────────────────────────► half-open
//!     ▲                 ▲                                                │    │
//!     │                 └──────────── failed (a longer wait) ────────────┘    │
//!     └───────────────── acknowledged events, or lasted ──────────────────────┘
//! ```
//!
//! A closed breaker goes before an open one whose wait is over, whatever their sites: who left a site for good reason does
//! not go back on the first chance, but after the site was healthy for a while. That is found out by probes
//! ([`Choice::to_probe`]), while another site is in use.

use super::backoff::{Backoff, REFUSED_WAIT};
use crate::random;
use crate::settings::Receiver;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tokio::time::Instant;

/// A better site's receiver is probed about so often: a handshake now and again, which a receiver does not feel.
pub const PROBE_EVERY: Duration = Duration::from_secs(30);

/// A receiver's breaker, for people and programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Breaker {
    /// Used when its turn comes.
    Closed,
    /// Failed, and is left alone for a while.
    Open,
    /// On trial.
    HalfOpen,
}

impl Breaker {
    /// The word for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half-open",
        }
    }
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Connect to this receiver.
    Try(usize),
    /// All breakers are open until this moment.
    Wait(Instant),
}

#[derive(Debug)]
struct Known {
    /// Place of its site in the order of preference.
    site: usize,
    /// Place within its site, drawn at random.
    rank: u32,
    state: State,
    backoff: Backoff,
    /// The last failure was that it refuses our certificate.
    refused: bool,
    /// Probed since then without a failure.
    healthy_since: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Closed,
    Open { until: Instant },
    HalfOpen,
}

/// All receivers of a mode.
#[derive(Debug)]
pub struct Choice {
    receivers: Vec<Known>,
    return_after: Duration,
    /// Which of the candidates is probed next.
    probing: usize,
}

impl Choice {
    /// Receivers in the settings' order. The longest wait of a breaker is `max_backoff`; a better site's receiver has to
    /// be healthy for `return_after` before it is gone back to.
    pub fn new(receivers: &[Receiver], max_backoff: Duration, return_after: Duration) -> Self {
        let mut sites: Vec<String> = Vec::new();
        let receivers = receivers
            .iter()
            .map(|receiver| {
                let name = receiver.site();
                let site = sites.iter().position(|known| *known == name).unwrap_or_else(|| {
                    sites.push(name);
                    sites.len() - 1
                });
                Known {
                    site,
                    rank: draw(),
                    state: State::Closed,
                    backoff: Backoff::new(max_backoff),
                    refused: false,
                    healthy_since: None,
                }
            })
            .collect();
        Self { receivers, return_after, probing: 0 }
    }

    /// The receiver to connect to; it is on trial from now on where its breaker was open.
    pub fn next(&mut self, now: Instant) -> Next {
        let best = (0..self.receivers.len()).min_by_key(|&index| {
            let Known { site, rank, state, .. } = self.receivers[index];
            match state {
                State::Closed | State::HalfOpen => (0, None, site, rank),
                State::Open { until } if until <= now => (1, None, site, rank),
                State::Open { until } => (2, Some(until), site, rank),
            }
        });
        let index = best.expect("settings name at least one receiver");
        match self.receivers[index].state {
            State::Open { until } if until > now => return Next::Wait(until),
            State::Open { .. } => self.receivers[index].state = State::HalfOpen,
            State::Closed | State::HalfOpen => {}
        }
        Next::Try(index)
    }

    /// It acknowledged events, or held a connection for long enough.
    pub fn succeeded(&mut self, index: usize) {
        let known = &mut self.receivers[index];
        known.state = State::Closed;
        known.refused = false;
    }

    /// It held a connection for so long that the next failure is a new one, with short waits again.
    pub fn lasted(&mut self, index: usize) {
        self.receivers[index].backoff.reset();
    }

    /// It failed: its breaker opens, for longer each time.
    pub fn failed(&mut self, index: usize, now: Instant) {
        let known = &mut self.receivers[index];
        known.state = State::Open { until: now + known.backoff.wait() };
        known.refused = false;
    }

    /// It refuses our certificate: it is asked again after [`REFUSED_WAIT`], or once the certificate was replaced.
    pub fn refused(&mut self, index: usize, now: Instant) {
        let known = &mut self.receivers[index];
        known.state = State::Open { until: now + REFUSED_WAIT };
        known.refused = true;
    }

    /// Whether one of them refuses our certificate.
    pub fn any_refused(&self) -> bool {
        self.receivers.iter().any(|known| known.refused)
    }

    /// The certificate was replaced: those that refused it are worth a try.
    pub fn certificate_replaced(&mut self, now: Instant) {
        for known in self.receivers.iter_mut().filter(|known| known.refused) {
            known.refused = false;
            known.state = State::Open { until: now };
        }
    }

    /// Every receiver that failed is worth a try now; those that refuse our certificate are not.
    pub fn hurry(&mut self, now: Instant) {
        for known in self.receivers.iter_mut().filter(|known| !known.refused) {
            if let State::Open { until } = &mut known.state {
                *until = now;
            }
        }
    }

    /// The receiver of a better site than that of `index` that is to be probed now, if there is a better one.
    pub fn to_probe(&self, index: usize) -> Option<usize> {
        let mut better = self.better(index);
        better.sort_by_key(|&index| (self.receivers[index].site, self.receivers[index].rank));
        (!better.is_empty()).then(|| better[self.probing % better.len()])
    }

    /// A probe's outcome. True where the receiver was healthy for long enough: it is to be gone back to, and will be
    /// the next one that is tried.
    pub fn probed(&mut self, index: usize, healthy: bool, now: Instant) -> bool {
        let known = &mut self.receivers[index];
        if !healthy {
            known.healthy_since = None;
            // Another one of the better sites may be healthy.
            self.probing = self.probing.wrapping_add(1);
            return false;
        }
        let since = *known.healthy_since.get_or_insert(now);
        if now.duration_since(since) < self.return_after {
            return false;
        }
        known.state = State::Closed;
        known.backoff.reset();
        known.healthy_since = None;
        true
    }

    /// A connection to `index` begins: what was seen of others by probes is of another time.
    pub fn begin(&mut self, index: usize) {
        for other in self.better(index) {
            self.receivers[other].healthy_since = None;
        }
        self.probing = 0;
    }

    /// Every breaker, in the settings' order.
    pub fn breakers(&self) -> Vec<Breaker> {
        self.receivers
            .iter()
            .map(|known| match known.state {
                State::Closed => Breaker::Closed,
                State::Open { .. } => Breaker::Open,
                State::HalfOpen => Breaker::HalfOpen,
            })
            .collect()
    }

    fn better(&self, index: usize) -> Vec<usize> {
        let site = self.receivers[index].site;
        (0..self.receivers.len()).filter(|&other| self.receivers[other].site < site).collect()
    }
}

/// A random place. Without random numbers all are the same, and the settings' order decides.
fn draw() -> u32 {
    let mut bytes = [0; 4];
    random::fill(&mut bytes).map_or(0, |()| u32::from_le_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    const RETURN_AFTER: Duration = Duration::from_secs(300);
    const LONGEST: Duration = Duration::from_secs(60);

    /// `site/host`, or `host` alone.
    fn choice(names: &[&str]) -> Choice {
        let receivers: Vec<Receiver> =
            names.iter().map(|name| format!("{name}:1").parse().unwrap()).collect();
        Choice::new(&receivers, LONGEST, RETURN_AFTER)
    }

    fn six() -> Choice {
        choice(&["ber/a", "ber/b", "ber/c", "erl/d", "erl/e", "erl/f"])
    }

    /// Fails whatever is tried, until it says wait; what was tried.
    fn fail_all(choice: &mut Choice, now: Instant) -> Vec<usize> {
        let mut tried = Vec::new();
        while let Next::Try(index) = choice.next(now) {
            choice.failed(index, now);
            tried.push(index);
            assert!(
                tried.len() <= choice.receivers.len(),
                "a breaker that opened is not tried again at once"
            );
        }
        tried
    }

    #[tokio::test(start_paused = true)]
    async fn a_thousand_connectors_spread_over_the_preferred_site() {
        random::seed(1);
        let now = Instant::now();
        let mut counts = [0; 6];
        for _ in 0..1000 {
            let Next::Try(index) = six().next(now) else { panic!("all breakers are closed") };
            counts[index] += 1;
        }
        assert_eq!(counts[3..], [0, 0, 0]);
        assert!(counts[..3].iter().all(|&count| count > 250), "{counts:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_preferred_site_is_tried_wholly_before_the_other_and_one_connector_does_not_wander() {
        let now = Instant::now();
        let mut choice = six();
        let first = choice.next(now);
        assert_eq!(choice.next(now), first);
        let tried = fail_all(&mut choice, now);
        assert_eq!(tried[..3].iter().collect::<BTreeSet<_>>(), BTreeSet::from([&0, &1, &2]));
        assert_eq!(tried[3..].iter().collect::<BTreeSet<_>>(), BTreeSet::from([&3, &4, &5]));
    }

    #[tokio::test(start_paused = true)]
    async fn without_sites_the_order_is_that_of_the_settings() {
        assert_eq!(fail_all(&mut choice(&["a", "b", "c"]), Instant::now()), [0, 1, 2]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_breaker_opens_half_opens_and_closes() {
        let mut choice = choice(&["a"]);
        let mut now = Instant::now();
        assert_eq!(choice.next(now), Next::Try(0));
        assert_eq!(choice.breakers(), [Breaker::Closed]);
        choice.failed(0, now);
        assert_eq!(choice.breakers(), [Breaker::Open]);
        for _ in 0..20 {
            let Next::Wait(until) = choice.next(now) else { panic!("open") };
            assert!(until - now <= LONGEST);
            now = until;
            assert_eq!(choice.next(now), Next::Try(0));
            assert_eq!(choice.breakers(), [Breaker::HalfOpen]);
            choice.failed(0, now);
        }
        let Next::Wait(until) = choice.next(now) else { panic!("open") };
        choice.next(until);
        choice.succeeded(0);
        assert_eq!(choice.breakers(), [Breaker::Closed]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_left_a_site_stays_away_until_it_was_healthy_for_a_while() {
        let mut now = Instant::now();
        let mut choice = choice(&["ber/a", "ber/b", "erl/c", "erl/d"]);
        for index in [0, 1] {
            choice.failed(index, now);
        }
        let Next::Try(used) = choice.next(now) else { panic!("the other site is closed") };
        choice.begin(used);
        // Their waits are over; still the other site goes first, also when the one in use fails.
        now += LONGEST * 2;
        let other = 5 - used;
        choice.failed(used, now);
        assert_eq!(choice.next(now), Next::Try(other));
        choice.begin(other);
        // One of the better ones is down, which turns the probes to the other.
        let down = choice.to_probe(other).unwrap();
        assert!(!choice.probed(down, false, now));
        let up = choice.to_probe(other).unwrap();
        assert_eq!(up, 1 - down);
        assert!(!choice.probed(up, true, now));
        now += RETURN_AFTER / 2;
        assert_eq!(choice.to_probe(other), Some(up));
        assert!(!choice.probed(up, false, now), "a relapse begins the time anew");
        for _ in 0..2 {
            let probed = choice.to_probe(other).unwrap();
            assert!(!choice.probed(probed, probed == up, now));
        }
        now += RETURN_AFTER * 3 / 4;
        assert!(!choice.probed(up, true, now));
        now += RETURN_AFTER / 4;
        assert!(choice.probed(up, true, now));
        assert_eq!(choice.next(now), Next::Try(up));
        assert_eq!(choice.to_probe(up), None, "there is no better site");
    }

    #[tokio::test(start_paused = true)]
    async fn refusals_wait_for_people_and_for_nobody_once_the_certificate_was_replaced() {
        let now = Instant::now();
        let mut choice = choice(&["a", "b"]);
        for index in [0, 1] {
            choice.refused(index, now);
        }
        assert!(choice.any_refused());
        assert_eq!(choice.next(now), Next::Wait(now + REFUSED_WAIT));
        choice.certificate_replaced(now);
        assert!(!choice.any_refused());
        assert_eq!(choice.next(now), Next::Try(0));
    }

    proptest! {
        /// Whatever happens, some receiver is tried within the longest wait, and never one that is to be left alone.
        #[test]
        fn no_history_ends_in_waiting_for_ever(steps in prop::collection::vec((0u8..5, 0u64..90), 0..60)) {
            let runtime = tokio::runtime::Builder::new_current_thread().start_paused(true).enable_time().build().unwrap();
            runtime.block_on(async {
                let mut choice = six();
                let mut now = Instant::now();
                for (outcome, seconds) in steps {
                    now += Duration::from_secs(seconds);
                    match choice.next(now) {
                        Next::Wait(until) => {
                            prop_assert!(until > now && until - now <= REFUSED_WAIT);
                            now = until;
                            prop_assert!(matches!(choice.next(now), Next::Try(_)));
                        }
                        Next::Try(index) => {
                            prop_assert!(choice.breakers()[index] != Breaker::Open);
                            match outcome {
                                0 => choice.succeeded(index),
                                1 => choice.refused(index, now),
                                2 => choice.certificate_replaced(now),
                                _ => choice.failed(index, now),
                            }
                        }
                    }
                }
                Ok(())
            })?;
        }
    }
}
