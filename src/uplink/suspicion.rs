//! Finds the one event that receivers refuse for what it is, so that it does not block those behind it. Pure.
//!
//! Lumberjack v2 has no word for "not this event". A receiver that cannot take one closes the connection, answers with
//! something else, or falls silent; so does one that takes nothing at all, and a network that breaks. An innocent event
//! must not be set aside for them. Therefore:
//!
//! 1. **Narrowing.** A connection that ends while events are on their way makes the next windows smaller (an eighth each
//!    time, one in flight) until an event is alone in its window. Acknowledgements let them grow again.
//! 2. **Accused.** The event that fails alone is tried again, on whichever receivers take connections, [`STRIKES`] times
//!    at least and for `refuse_after` at least.
//! 3. **Witness.** Then one connection sends another event, one of the next [`WITNESSES`], instead. Where that fails as
//!    well, the receiver is broken and not the event: back to 2 from the start, with an alarm and nothing set aside.
//! 4. **Retrial.** Where the witness was acknowledged, the accused event is sent alone once more, to the same receiver. If
//!    that fails again, this receiver takes other events and not this one: it is set aside. If it is acknowledged, all
//!    is well. Only then has a later event arrived before an earlier one; this is the one exception to the order, and
//!    the price of never taking a receiver's recovery for an event's fault.
//!
//! So each event that is set aside was refused [`STRIKES`] times alone, and once more right after its receiver had taken
//! another one.

use super::flight::Unacknowledged;
use std::time::Duration;
use tokio::time::Instant;

/// An event is refused so often alone, before another one is asked about.
pub const STRIKES: u32 = 5;

/// Events behind the accused one that can be its witness, in turn: of several bad events in a row, each is judged by
/// a good one behind them all.
pub const WITNESSES: u64 = 16;

/// A window that failed is followed by one with this part of its events.
const NARROWING: u32 = 8;

/// How the next connection sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plan {
    /// As the settings say.
    Plain,
    /// One window at a time, of at most so many events.
    Narrow(u32),
    /// Only the event behind this number, and nothing else; the accused ones stay unacknowledged.
    Witness {
        /// The number in front of the witness.
        after: u64,
    },
    /// The accused event alone, on the receiver of this index.
    Retrial {
        /// Where its witness was acknowledged.
        receiver: usize,
    },
}

/// What a failed connection means for its oldest event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing yet.
    Open,
    /// The receivers take neither this event nor others.
    ReceiverBroken,
    /// It is to be set aside.
    Guilty(u64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Strikes { count: u32, since: Instant },
    Witness,
    Retrial { receiver: usize },
}

#[derive(Debug)]
struct Accused {
    seq: u64,
    phase: Phase,
    /// Which event behind it is the next witness.
    witness: u64,
}

/// What is known of the events in front of the queue.
#[derive(Debug)]
pub struct Suspicion {
    refuse_after: Duration,
    /// Events of one window, while there is trouble.
    limit: Option<u32>,
    /// The trouble is over when this one is acknowledged.
    until: u64,
    accused: Option<Accused>,
}

impl Suspicion {
    /// No event is suspected. An event is tried alone for `refuse_after` at least.
    pub fn new(refuse_after: Duration) -> Self {
        Self { refuse_after, limit: None, until: 0, accused: None }
    }

    /// How the next connection sends.
    pub fn plan(&self) -> Plan {
        match (&self.accused, self.limit) {
            (Some(Accused { seq, phase: Phase::Witness, witness }), _) => {
                Plan::Witness { after: seq - 1 + witness }
            }
            (Some(Accused { phase: Phase::Retrial { receiver }, .. }), _) => {
                Plan::Retrial { receiver: *receiver }
            }
            (_, Some(limit)) => Plan::Narrow(limit),
            (_, None) => Plan::Plain,
        }
    }

    /// The most events of one window, while there is trouble.
    pub fn limit(&self) -> Option<u32> {
        if self.accused.is_some() { Some(1) } else { self.limit }
    }

    /// The receiver ended the connection, or fell silent, while these events were on their way. `durable` is the last
    /// event that could be sent.
    pub fn failed(&mut self, oldest: Unacknowledged, durable: u64, now: Instant) -> Verdict {
        let Unacknowledged { first_seq, last_seq, count } = oldest;
        if let Some(accused) = &mut self.accused {
            match accused.phase {
                Phase::Witness => {
                    accused.witness = accused.witness % WITNESSES + 1;
                    accused.phase = Phase::Strikes { count: 0, since: now };
                    return Verdict::ReceiverBroken;
                }
                Phase::Retrial { .. } if first_seq == accused.seq && count == 1 => {
                    return Verdict::Guilty(accused.seq);
                }
                _ => {}
            }
        }
        self.until = self.until.max(last_seq);
        if count > 1 {
            self.limit = Some((count / NARROWING).max(1));
            self.accused = None;
            return Verdict::Open;
        }
        self.limit = Some(1);
        let (strikes, since, witness) = match &self.accused {
            Some(Accused { seq, phase: Phase::Strikes { count, since }, witness }) if *seq == first_seq => {
                (count + 1, *since, *witness)
            }
            _ => (1, now, 1),
        };
        let enough = strikes >= STRIKES && now.duration_since(since) >= self.refuse_after;
        // Without an event behind it nothing is blocked, and the accused one is tried on.
        let witness = if first_seq + witness > durable { 1 } else { witness };
        let phase = if enough && first_seq + witness <= durable {
            Phase::Witness
        } else {
            Phase::Strikes { count: strikes, since }
        };
        self.accused = Some(Accused { seq: first_seq, phase, witness });
        Verdict::Open
    }

    /// A connection for a witness or a retrial came to nothing, for reasons of its own.
    pub fn inconclusive(&mut self) {
        if let Some(Accused { phase: phase @ Phase::Retrial { .. }, .. }) = &mut self.accused {
            *phase = Phase::Witness;
        }
    }

    /// The witness was acknowledged by this receiver.
    pub fn witnessed(&mut self, receiver: usize) {
        if let Some(accused) = &mut self.accused {
            accused.phase = Phase::Retrial { receiver };
        }
    }

    /// Everything up to `seq` is acknowledged, or set aside.
    pub fn passed(&mut self, seq: u64) {
        if self.accused.as_ref().is_some_and(|accused| accused.seq <= seq) {
            self.accused = None;
        }
        if seq >= self.until {
            self.limit = None;
        } else if let Some(limit) = &mut self.limit {
            *limit = limit.saturating_mul(2);
        }
    }
}
