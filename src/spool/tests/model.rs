//! Random schedules of appends, syncs, reads, acknowledgements, faults, kills and power cuts, against a model that is
//! nothing but maps.
//!
//! `SPOOL_SCHEDULES` sets how many schedules are run; proptest prints the one that fails, made as short as it can. What
//! chance decides on the simulated disk comes from the schedule's `seed`.

use super::disk::{Disk, Fault};
use super::{options, schedules};
use crate::batch::{Batch, Origin, Transport};
use crate::clock::UnixMicros;
use crate::spool::segment::{FOOTER_BYTES, Footer, Name};
use crate::spool::{Append, Findings, Options, Queue, Spool};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Schedules in a normal run.
const SCHEDULES: u32 = 3000;

#[derive(Debug, Clone)]
enum Action {
    Append {
        events: u8,
        size: u8,
    },
    Sync,
    Read {
        events: u8,
    },
    Acknowledge {
        share: u8,
    },
    Fail {
        after: u8,
        count: u8,
        fault: Fault,
    },
    /// The file system has so much room.
    Room {
        bytes: u64,
    },
    Heal,
    Close,
    Kill,
    PowerCut,
}

fn action() -> impl Strategy<Value = Action> {
    let fault = prop_oneof![
        Just(Fault::Io),
        Just(Fault::Sync),
        Just(Fault::Data),
        Just(Fault::Space),
        Just(Fault::ReadOnly)
    ];
    prop_oneof![
        12 => (1..12u8, 0..120u8).prop_map(|(events, size)| Action::Append { events, size }),
        8 => Just(Action::Sync),
        4 => (1..20u8).prop_map(|events| Action::Read { events }),
        4 => any::<u8>().prop_map(|share| Action::Acknowledge { share }),
        3 => (0..6u8, 1..5u8, fault).prop_map(|(after, count, fault)| Action::Fail { after, count, fault }),
        1 => (0..20_000u64).prop_map(|bytes| Action::Room { bytes }),
        1 => Just(Action::Heal),
        1 => Just(Action::Close),
        1 => Just(Action::Kill),
        3 => Just(Action::PowerCut),
    ]
}

struct Run {
    disk: Disk,
    options: Options,
    spool: Option<Spool>,
    /// The event of each number that was ever said to be on the disk; for ever.
    durable: BTreeMap<u64, u64>,
    /// Accepted, not known to be on the disk.
    pending: BTreeMap<u64, u64>,
    /// Refused, or accepted and perhaps lost: may turn up under the number that they would have had.
    offered: Vec<(u64, u64)>,
    /// The last number that was there when the spool was opened: up to it, events that were not known to be on the
    /// disk may turn out to be.
    found_through: u64,
    /// The disk was told to fail since the last sync.
    failed: bool,
    acknowledged: u64,
    most_acknowledged: u64,
    next_event: u64,
    id: String,
}

fn event(number: u64, size: u8) -> Vec<u8> {
    let mut message = number.to_le_bytes().to_vec();
    message.resize(8 + size as usize, number as u8);
    message
}

impl Run {
    fn new(seed: u64, options: Options) -> Self {
        let mut run = Self {
            disk: Disk::new(seed),
            options,
            spool: None,
            durable: BTreeMap::new(),
            pending: BTreeMap::new(),
            offered: Vec::new(),
            found_through: 0,
            failed: false,
            acknowledged: 0,
            most_acknowledged: 0,
            next_event: 1,
            id: String::new(),
        };
        run.open();
        run.id = run.spool().id().to_owned();
        run
    }

    fn spool(&self) -> &Spool {
        self.spool.as_ref().unwrap()
    }

    fn open(&mut self) -> Findings {
        let disk = Arc::new(self.disk.clone());
        let (spool, findings) = Spool::open_on(disk, Path::new("/spool"), self.options.clone()).unwrap();
        self.spool = Some(spool);
        findings
    }

    fn act(&mut self, action: &Action) {
        match *action {
            Action::Append { events, size } => self.append(events, size),
            Action::Sync => {
                if let Ok(durable) = self.spool().sync() {
                    self.failed &= self.disk.is_sick();
                    assert_eq!(durable, self.spool().status().last_seq, "a sync leaves nothing behind");
                }
            }
            Action::Read { events } => self.read(usize::from(events)),
            Action::Acknowledge { share } => {
                let durable = self.spool().status().durable_seq;
                let behind = durable.saturating_sub(self.acknowledged);
                let seq = self.acknowledged + behind * u64::from(share) / 255;
                self.spool().acknowledge(seq).unwrap();
                self.acknowledged = self.acknowledged.max(seq);
                self.most_acknowledged = self.most_acknowledged.max(seq);
            }
            Action::Fail { after, count, fault } => {
                self.failed = true;
                self.disk.fail(after.into(), count.into(), fault);
            }
            Action::Room { bytes } => {
                self.failed = true;
                self.disk.set_free(Some(bytes));
            }
            Action::Heal => self.heal(),
            Action::Close => {
                let closed = self.spool().close();
                self.promote();
                let all = closed.is_ok();
                self.spool = None;
                self.reopen(all, false);
            }
            Action::Kill => {
                self.promote();
                self.spool = None;
                let healthy = !self.failed;
                self.reopen(healthy, false);
            }
            Action::PowerCut => {
                self.promote();
                self.spool = None;
                self.disk.power_cut();
                self.reopen(false, true);
            }
        }
        self.promote();
    }

    fn heal(&self) {
        self.disk.heal();
        self.disk.set_free(None);
    }

    /// Offers so many events in batches of up to three, until all are stored or the rest is refused.
    fn append(&mut self, events: u8, size: u8) {
        let mut batches: Vec<Arc<Batch>> = Vec::new();
        let mut left = u64::from(events);
        while left > 0 {
            let count = left.min(1 + self.next_event % 3);
            let mut batch = Batch::default();
            for _ in 0..count {
                let origin = Origin {
                    received: UnixMicros(self.next_event.cast_signed()),
                    source: "192.0.2.1:514".parse().unwrap(),
                    transport: Transport::Udp,
                    cut: false,
                };
                batch.push(origin, &event(self.next_event, size));
                self.next_event += 1;
            }
            batches.push(Arc::new(batch));
            left -= count;
        }
        while !batches.is_empty() {
            let next_seq = self.spool().status().last_seq + 1;
            let first_event = self.next_event - batches.iter().map(|batch| batch.len() as u64).sum::<u64>();
            match self.spool().append_some(&batches) {
                Ok(Append::Stored { first_seq, last_seq }) => {
                    assert_eq!(first_seq, next_seq);
                    self.pending.extend((first_seq..=last_seq).zip(first_event..));
                    let mut through = first_seq - 1;
                    batches.retain(|batch| {
                        through += batch.len() as u64;
                        through > last_seq
                    });
                    assert_eq!(
                        last_seq + 1 + batches.iter().map(|batch| batch.len() as u64).sum::<u64>(),
                        through + 1,
                        "whole batches are stored, and one at least"
                    );
                }
                Ok(Append::Full) | Err(_) => {
                    assert_eq!(
                        self.spool().status().last_seq + 1,
                        next_seq,
                        "a refused batch takes no numbers"
                    );
                    self.offered.extend((next_seq..).zip(first_event..self.next_event));
                    return;
                }
            }
        }
    }

    /// Takes note of what the spool says is on the disk.
    fn promote(&mut self) {
        let durable = self.spool().status().durable_seq;
        let rest = self.pending.split_off(&(durable + 1));
        for (seq, event) in std::mem::replace(&mut self.pending, rest) {
            assert_eq!(*self.durable.entry(seq).or_insert(event), event, "number {seq} was given twice");
        }
    }

    fn read(&mut self, events: usize) {
        self.promote();
        let from = self.spool().acknowledged();
        let mut after = from;
        while let Some(chunk) = self.spool().read_after(after, events, 400).unwrap() {
            for (seq, origin, message) in chunk.iter() {
                let number = u64::from_le_bytes(message[..8].try_into().unwrap());
                assert_eq!(origin.received.0, number.cast_signed());
                assert!(after < seq);
                for skipped in after + 1..seq {
                    assert!(!self.durable.contains_key(&skipped), "durable event {skipped} is not read");
                }
                if seq <= self.found_through && self.offered.contains(&(seq, number)) {
                    self.durable.entry(seq).or_insert(number);
                }
                assert_eq!(self.durable.get(&seq), Some(&number), "event {seq} is read and was not durable");
                after = seq;
            }
        }
        // What a sick disk did not take after opening is in memory, and not readable until it does.
        let durable_seq = self.spool().status().durable_seq;
        let lost = self.durable.range(after + 1..(durable_seq + 1).max(after + 1)).next();
        assert_eq!(lost, None, "durable, not read behind {after}");
    }

    fn reopen(&mut self, everything_is_there: bool, power_cut: bool) {
        self.offered.extend(self.pending.iter().map(|(seq, event)| (*seq, *event)));
        if power_cut {
            // A disk that comes back works; what it does while it is sick the other actions show.
            self.heal();
        }
        let pending = std::mem::take(&mut self.pending);
        self.open();
        if self.durable.is_empty() {
            // A disk that refused everything since the beginning does not know the id either.
            self.id = self.spool().id().to_owned();
        }
        assert_eq!(self.spool().id(), self.id);
        let acknowledged = self.spool().acknowledged();
        let last_durable = self.durable.keys().next_back().copied().unwrap_or(0);
        assert!(self.spool().status().last_seq >= last_durable, "durable numbers could be given again");
        // It may be an older position that is found, never one that was not reached.
        for seq in self.most_acknowledged + 1..=acknowledged {
            assert!(!self.durable.contains_key(&seq), "event {seq} counts as acknowledged and was not");
        }
        self.acknowledged = acknowledged;
        self.found_through = self.spool().status().last_seq;
        self.read(usize::MAX);
        if everything_is_there {
            for seq in pending.keys() {
                assert!(self.durable.contains_key(seq) || *seq <= acknowledged, "event {seq} is gone");
            }
        }
    }
}

proptest! {
    #![proptest_config(schedules(SCHEDULES))]

    #[test]
    fn no_schedule_loses_a_durable_event_or_gives_its_number_again(
        seed in any::<u64>(),
        segment_bytes in 300..3000u64,
        tail_bytes in prop_oneof![Just(0usize), Just(1000), Just(1 << 20)],
        max_bytes in prop_oneof![3000..30_000u64, Just(1 << 20)],
        state_sync_interval in prop_oneof![Just(Duration::ZERO), Just(Duration::from_secs(3600))],
        actions in prop::collection::vec(action(), 1..60),
    ) {
        let mut run = Run::new(seed, Options { max_bytes, segment_bytes, tail_bytes, state_sync_interval, ..options() });
        for action in &actions {
            run.act(action);
        }
        // In the end the disk is well, and everything goes on.
        run.heal();
        run.act(&Action::Sync);
        run.act(&Action::Append { events: 3, size: 9 });
        run.spool().sync().unwrap();
        run.promote();
        prop_assert!(run.pending.is_empty());
        run.read(5);
        run.spool().close().unwrap();
        for name in run.disk.names() {
            let Some(Name { first_seq, last_seq, .. }) = Name::parse(&name) else { continue };
            prop_assert!(last_seq.is_some(), "{name} was left incomplete");
            let content = run.disk.content(&name);
            let footer = Footer::decode(&content[content.len() - FOOTER_BYTES as usize..]);
            prop_assert_eq!(footer.map(|footer| (footer.first_seq, footer.last_seq)), last_seq.map(|last_seq| (first_seq, last_seq)));
        }
    }
}
