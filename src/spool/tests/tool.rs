//! Looking from outside, at a spool that is at rest, in use, or damaged.

use super::disk::{Counters, Disk, Fault};
use super::{batch, message, options, origin};
use crate::error::Code;
use crate::spool::tool::{Inspector, Verified};
use crate::spool::{Queue, Spool};
use std::path::Path;
use std::sync::Arc;

fn open(disk: &Disk) -> Spool {
    Spool::open_on(Arc::new(disk.clone()), Path::new("/spool"), options()).unwrap().0
}

fn inspector(disk: &Disk) -> Inspector {
    Inspector::open_on(Arc::new(disk.clone()), Path::new("/spool")).unwrap()
}

fn exported(inspector: &Inspector, all: bool) -> Vec<u64> {
    let mut seqs = Vec::new();
    let count = inspector
        .export(all, |seq, from, bytes| {
            assert_eq!((from, bytes), (origin(seq), &*message(seq)));
            seqs.push(seq);
            Ok(())
        })
        .unwrap();
    assert_eq!(count, seqs.len() as u64);
    seqs
}

fn verified(inspector: &Inspector) -> Vec<Verified> {
    let mut all = Vec::new();
    inspector.verify(|verified| all.push(verified)).unwrap();
    all
}

#[test]
fn a_spool_in_use_is_shown_checked_and_exported_without_a_trace() {
    let disk = Disk::new(1);
    let spool = open(&disk);
    for first in (1..=100).step_by(5) {
        spool.append(batch(first, 5)).unwrap();
    }
    spool.sync().unwrap();
    spool.acknowledge(37).unwrap();
    spool.append(batch(101, 2)).unwrap();
    let before = disk.counters();
    // Nothing that would change something is even tried.
    disk.fail(0, u64::MAX / 2, Fault::ReadOnly);

    let inspector = inspector(&disk);
    let overview = inspector.overview().unwrap();
    assert_eq!(overview.id, spool.id());
    assert_eq!((overview.acknowledged_seq, overview.last_seq, overview.unsynced_events), (37, 102, 2));
    assert_eq!(overview.events(), 65);
    assert_eq!(overview.size_bytes, spool.status().size_bytes);
    assert_eq!(overview.oldest_received, spool.status().oldest_received);
    assert!(!overview.findings.is_worrying());
    let segments = verified(&inspector);
    assert!(segments.iter().all(Verified::is_whole), "{segments:?}");
    assert_eq!(exported(&inspector, false), (38..=102).collect::<Vec<_>>());
    assert!(exported(&inspector, true).len() > 65);
    let Counters { writes, syncs, .. } = disk.counters();
    assert_eq!((writes, syncs), (before.writes, before.syncs));
    assert_eq!(inspector.repair(options()).unwrap_err().code(), Code::SpoolBusy);
}

#[test]
fn damage_is_named_and_repair_does_what_it_planned() {
    let disk = Disk::new(1);
    let spool = open(&disk);
    for first in (1..=60).step_by(5) {
        spool.append(batch(first, 5)).unwrap();
    }
    spool.sync().unwrap();
    spool.append(batch(61, 2)).unwrap();
    drop(spool);
    let holds = |number: u64| {
        let names = disk.names();
        let found = names
            .into_iter()
            .find_map(|name| Some((memchr::memmem::find(&disk.content(&name), &message(number))?, name)));
        found.unwrap()
    };
    let (at, name) = holds(12);
    disk.damage(&name, |content| content[at] ^= 1);
    let (at, last) = holds(62);
    disk.damage(&last, |content| content.truncate(at + 3));

    let inspector = inspector(&disk);
    let segments = verified(&inspector);
    let bad: Vec<&Verified> = segments.iter().filter(|verified| !verified.is_whole()).collect();
    assert_eq!(bad.len(), 1, "a torn end is no damage: {bad:?}");
    assert_eq!((&bad[0].name, &bad[0].lost), (&name, &vec![(12, 12)]));
    let expected: Vec<u64> = (1..=61).filter(|seq| *seq != 12).collect();
    assert_eq!(exported(&inspector, false), expected);

    let plan = inspector.plan().unwrap();
    assert!(plan.iter().any(|line| line.contains("unfinished write")), "{plan:?}");
    assert_eq!(disk.content(&last).len(), at + 3, "a plan changes nothing");
    inspector.repair(options()).unwrap();
    assert_eq!(inspector.plan().unwrap(), Vec::<String>::new());
    assert_eq!(exported(&inspector, false), expected);
}
