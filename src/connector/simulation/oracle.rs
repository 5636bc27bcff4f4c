//! Knows everything, and says what must not be.
//!
//! - **At least once.** What was announced as durable, and what was sent, arrives at a receiver that answers for it.
//! - **Order.** No event arrives for the first time before all those with lower numbers have arrived.
//! - **Nothing invented.** What arrives under a number is what was taken in under it; no number ever names two events,
//!   and no event ever has two numbers.
//! - **Nothing leaves early.** The spool is told of an acknowledgement only when a receiver stored everything up to it.
//! - **A bounded loss.** A kill costs only what was not yet appended: the end of what the process was given. A power cut
//!   costs only what was not yet durable; of what was written and not synced the disk may keep a part in the middle, which
//!   is delivered, and the spool counts the numbers around it as missing.

use crate::spool::Status;
use std::collections::{BTreeMap, BTreeSet};

/// What happened, for the reader of a failure, and to compare two runs of a seed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happened {
    Opened { acknowledged: u64, last_seq: u64 },
    Taken { events: u64 },
    Acknowledged(u64),
    Ended(&'static str),
    Disk(String),
    Connected { receiver: usize, manner: String },
    Refused { receiver: usize },
    Arrived { receiver: usize, seq: u64 },
    Stored { receiver: usize, through: u64 },
    Crashed { receiver: usize },
    Reset { receiver: usize },
}

#[derive(Debug, Default)]
pub struct Oracle {
    /// The event of each number that there is or may be: given out in this life, or found at its beginning.
    given: BTreeMap<u64, u64>,
    /// Numbers that were found missing, under this id.
    missing: BTreeSet<u64>,
    /// Every number up to this one is promised: it was announced as durable, or seen by a receiver.
    promised: u64,
    /// The last number at the beginning of this life.
    base: u64,
    /// Offered to the intake in this life, in order.
    offered: u64,
    /// Answered for by a receiver.
    stored: BTreeMap<u64, u64>,
    /// The highest number that arrived.
    arrived: u64,
    acknowledged: u64,
    id: Option<String>,
    pub trace: Vec<(u128, Happened)>,
    /// The first thing that must not be.
    pub failure: Option<String>,
    /// Events that were offered and never got a number that stayed.
    pub lost: u64,
    /// Events that arrived more than once.
    pub again: u64,
}

impl Oracle {
    pub fn check(&mut self, is_so: bool, what: impl FnOnce() -> String) {
        if !is_so && self.failure.is_none() {
            self.failure = Some(what());
        }
    }

    /// A process offers these events to the intake, one after the other.
    pub fn offered(&mut self, event: u64) {
        self.offered += 1;
        self.given.insert(self.base + self.offered, event);
    }

    /// A process says that everything up to this number is on the disk.
    pub fn durable(&mut self, seq: u64) {
        let most = self.base + self.offered;
        self.check(seq <= most, || format!("{seq} is durable, {most} was offered"));
        self.promised = self.promised.max(seq);
    }

    /// A new life begins with what the spool found. `everything`: the last one's appended events up to this number
    /// must be there.
    pub fn opened(&mut self, id: &str, status: &Status, missing: &[(u64, u64)], everything: u64) {
        let (acknowledged, last_seq) = (status.acknowledged_seq, status.last_seq);
        let promised = self.promised.max(everything);
        self.check(last_seq >= promised, || format!("{promised} was safe, {last_seq} is there"));
        let most = self.base + self.offered;
        self.check(last_seq <= most, || format!("{last_seq} is there, {most} was offered"));
        if promised > 0 {
            let known = self.id.clone();
            self.check(known.as_deref() == Some(id), || format!("the spool was {known:?} and is {id}"));
        }
        if self.id.as_deref() != Some(id) {
            self.missing.clear();
        }
        self.id = Some(id.to_owned());
        let before = self.given.len();
        self.given.split_off(&(last_seq + 1));
        for &(first, last) in missing {
            for seq in first..=last {
                // It stays missing until all before it are acknowledged, however far others are safe by then.
                let is_known = !self.missing.insert(seq);
                self.check(is_known || seq > promised, || format!("{seq} is missing, {promised} was safe"));
                self.given.remove(&seq);
            }
        }
        let (known, counted) = (self.missing.len() as u64, status.dropped.missing);
        self.check(known == counted, || format!("{known} are missing, {counted} are counted"));
        self.lost += (before - self.given.len()) as u64;
        let known = self.acknowledged;
        let skipped = self.given.range(known + 1..(acknowledged + 1).max(known + 1)).next();
        let skipped = skipped.map(|(seq, _)| *seq);
        self.check(skipped.is_none(), || format!("{acknowledged} counts as acknowledged, {known} was"));
        (self.base, self.offered) = (last_seq, 0);
    }

    /// A receiver read an event.
    pub fn arrived(&mut self, id: &str, seq: u64, event: u64) {
        let own = format!("sim-{}", self.id.as_deref().unwrap_or_default());
        self.check(own == id, || format!("{id} in place of {own}"));
        let given = self.given.get(&seq).copied();
        self.check(given == Some(event), || format!("event {event} arrived as {seq}, which is {given:?}"));
        let promised = self.promised;
        self.check(seq <= promised, || format!("{seq} was sent, {promised} is durable"));
        let arrived = self.arrived;
        let skipped = self.given.range(arrived + 1..seq.max(arrived + 1)).next().map(|(seq, _)| *seq);
        self.check(skipped.is_none(), || format!("{seq} arrived behind {arrived}, before {skipped:?}"));
        self.again += u64::from(seq <= arrived);
        self.arrived = arrived.max(seq);
    }

    /// A receiver answers for an event.
    pub fn stored(&mut self, seq: u64, event: u64) {
        self.stored.insert(seq, event);
    }

    /// The uplink tells the spool that everything up to this number was acknowledged.
    pub fn acknowledged(&mut self, seq: u64) {
        let range = self.acknowledged + 1..(seq + 1).max(self.acknowledged + 1);
        let missing = self.given.range(range).map(|(seq, _)| *seq).find(|seq| !self.stored.contains_key(seq));
        self.check(missing.is_none(), || format!("{seq} was acknowledged, {missing:?} was never stored"));
        self.acknowledged = self.acknowledged.max(seq);
    }

    /// Everything was delivered: what receivers have, without what came twice, is what there is.
    pub fn finished(&mut self, last_seq: u64) {
        let last = self.given.keys().next_back().copied().unwrap_or(0);
        self.check(last <= last_seq, || format!("{last} was given, {last_seq} is there"));
        let (given, stored) = (self.given.len(), self.stored.len());
        self.check(self.given == self.stored, || {
            format!("{given} events were taken in, {stored} were delivered")
        });
        let mut events: Vec<u64> = self.stored.values().copied().collect();
        events.sort_unstable();
        self.check(events.windows(2).all(|pair| pair[0] < pair[1]), || "an event has two numbers".to_owned());
    }
}
