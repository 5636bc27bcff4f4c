//! Random damage to any file: the spool opens, tells no lies, and counts what is gone.

use super::disk::Disk;
use super::{batch, message, options, origin, read_all, schedules};
use crate::spool::{Append, Options, Queue, Spool, StateFound};
use proptest::prelude::*;
use std::path::Path;
use std::sync::Arc;

const EVENTS: u64 = 80;

#[derive(Debug, Clone)]
enum Damage {
    Flip {
        at: prop::sample::Index,
        bits: u8,
    },
    Zero {
        at: prop::sample::Index,
        len: usize,
    },
    Noise {
        at: prop::sample::Index,
        bytes: Vec<u8>,
    },
    Insert {
        at: prop::sample::Index,
        bytes: Vec<u8>,
    },
    /// Another part of the same file, as a misdirected write puts it.
    Copy {
        from: prop::sample::Index,
        to: prop::sample::Index,
        len: usize,
    },
    Truncate {
        at: prop::sample::Index,
    },
    Lose,
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = any::<prop::sample::Index>;
    prop_oneof![
        4 => (at(), 1..=255u8).prop_map(|(at, bits)| Damage::Flip { at, bits }),
        2 => (at(), 1..300usize).prop_map(|(at, len)| Damage::Zero { at, len }),
        2 => (at(), prop::collection::vec(any::<u8>(), 1..80)).prop_map(|(at, bytes)| Damage::Noise { at, bytes }),
        1 => (at(), prop::collection::vec(any::<u8>(), 1..80)).prop_map(|(at, bytes)| Damage::Insert { at, bytes }),
        2 => (at(), at(), 1..400usize).prop_map(|(from, to, len)| Damage::Copy { from, to, len }),
        1 => at().prop_map(|at| Damage::Truncate { at }),
        1 => Just(Damage::Lose),
    ]
}

impl Damage {
    fn apply(&self, disk: &Disk, name: &str) {
        if matches!(self, Self::Lose) {
            return disk.lose(name);
        }
        disk.damage(name, |content| {
            if content.is_empty() {
                return;
            }
            let size = content.len();
            match self {
                Self::Flip { at, bits } => content[at.index(size)] ^= bits,
                Self::Zero { at, len } => {
                    let at = at.index(size);
                    content[at..size.min(at + len)].fill(0);
                }
                Self::Noise { at, bytes } => {
                    let at = at.index(size);
                    let len = bytes.len().min(size - at);
                    content[at..at + len].copy_from_slice(&bytes[..len]);
                }
                Self::Insert { at, bytes } => {
                    let at = at.index(size);
                    content.splice(at..at, bytes.iter().copied());
                }
                Self::Copy { from, to, len } => {
                    let (from, to) = (from.index(size), to.index(size));
                    let len = (*len).min(size - from).min(size - to);
                    content.copy_within(from..from + len, to);
                }
                Self::Truncate { at } => content.truncate(at.index(size)),
                Self::Lose => unreachable!(),
            }
        });
    }
}

fn open(disk: &Disk, options: &Options) -> (Spool, crate::spool::Findings) {
    Spool::open_on(Arc::new(disk.clone()), Path::new("/spool"), options.clone()).unwrap()
}

proptest! {
    #![proptest_config(schedules(1000))]

    #[test]
    fn whatever_is_damaged_the_spool_opens_and_what_it_reads_is_right(
        segment_bytes in 500..20_000u64,
        acknowledged in 0..EVENTS,
        close in any::<bool>(),
        damages in prop::collection::vec((any::<prop::sample::Index>(), damage()), 1..6),
    ) {
        let disk = Disk::new(1);
        let options = Options { segment_bytes, ..options() };
        let (spool, _) = open(&disk, &options);
        for first in (1..=EVENTS).step_by(4) {
            spool.append(batch(first, 4)).unwrap();
            spool.sync().unwrap();
        }
        spool.acknowledge(acknowledged).unwrap();
        if close {
            spool.close().unwrap();
        }
        drop(spool);
        for (which, damage) in &damages {
            let names = disk.names();
            damage.apply(&disk, &names[which.index(names.len())]);
            if disk.names().is_empty() {
                break;
            }
        }

        let (spool, findings) = open(&disk, &options);
        // Every event that is read is checked against its number.
        let seqs = read_all(&spool, 0);
        // Where the state was damaged as well, nothing knows how many events there were.
        let intact = findings.state == StateFound::Intact;
        let (last, first) = (spool.status().last_seq, spool.status().first_seq);
        if intact {
            prop_assert_eq!(last, EVENTS);
            let dropped = spool.status().dropped;
            let gone = EVENTS + 1 - first - seqs.iter().filter(|seq| **seq >= first).count() as u64;
            prop_assert!(dropped.corrupt + dropped.missing >= gone, "{gone} are gone: {dropped:?}");
        }
        // And it goes on.
        let mut next = crate::batch::Batch::default();
        next.push(origin(last + 1), &message(last + 1));
        let expected = Append::Stored { first_seq: last + 1, last_seq: last + 1 };
        prop_assert_eq!(spool.append(Arc::new(next)).unwrap(), expected);
        spool.sync().unwrap();
        prop_assert_eq!(read_all(&spool, last), vec![last + 1]);
        // What was found once is found no second time.
        let dropped = spool.status().dropped;
        drop(spool);
        let (spool, findings) = open(&disk, &options);
        prop_assert!(findings.state == StateFound::Intact, "{findings:?}");
        prop_assert_eq!(read_all(&spool, 0).last().copied(), Some(last + 1));
        prop_assert_eq!(spool.status().dropped, dropped);
    }
}
