//! Events that receivers refuse.

use super::disk::{Disk, Fault};
use super::{batch, message, options, origin, read_all};
use crate::error::Code;
use crate::spool::refused::{self, MAX_BYTES, NAME, Refused, SetAside};
use crate::spool::tool::Inspector;
use crate::spool::{Append, Queue, Spool};
use std::path::Path;
use std::sync::Arc;

const DIR: &str = "/spool";

fn open(disk: &Disk) -> Spool {
    Spool::open_on(Arc::new(disk.clone()), Path::new(DIR), options()).unwrap().0
}

fn set_aside(disk: &Disk) -> Vec<u64> {
    let mut seqs = Vec::new();
    let inspector = Inspector::open_on(Arc::new(disk.clone()), Path::new(DIR)).unwrap();
    let count = inspector
        .export_refused(|seq, from, text| {
            assert_eq!((from, text), (origin(seq), &*message(seq)));
            seqs.push(seq);
            Ok(())
        })
        .unwrap();
    assert_eq!(count, seqs.len() as u64);
    assert_eq!(inspector.overview().unwrap().refused.events, count);
    seqs
}

#[test]
fn a_refused_event_is_on_the_disk_before_it_leaves_the_queue() {
    let disk = Disk::new(1);
    let spool = open(&disk);
    spool.append(batch(1, 20)).unwrap();
    spool.sync().unwrap();
    spool.acknowledge(4).unwrap();
    spool.set_aside(5).unwrap();
    assert_eq!((spool.acknowledged(), spool.status().refused.events), (5, 1));
    assert_eq!(read_all(&spool, 0), (6..=20).collect::<Vec<_>>());
    disk.power_cut();
    drop(spool);
    // Whatever the power cut undid of the acknowledgement, the event is in its place, and is not put there twice.
    let spool = open(&disk);
    assert_eq!(spool.status().refused.events, 1);
    spool.set_aside(5).unwrap();
    spool.set_aside(6).unwrap();
    assert_eq!(set_aside(&disk), [5, 6]);
    assert_eq!(read_all(&spool, 0), (7..=20).collect::<Vec<_>>());
}

#[test]
fn what_the_disk_did_not_take_is_not_set_aside_and_is_written_once_when_it_does() {
    let disk = Disk::new(1);
    let spool = open(&disk);
    spool.append(batch(1, 20)).unwrap();
    spool.sync().unwrap();
    spool.acknowledge(4).unwrap();
    for fault in [Fault::Data, Fault::Sync] {
        let seq = spool.acknowledged() + 1;
        disk.fail(0, u64::MAX / 2, fault);
        for _ in 0..2 {
            spool.set_aside(seq).unwrap_err();
            assert_eq!(spool.acknowledged(), seq - 1);
        }
        disk.heal();
        spool.set_aside(seq).unwrap();
    }
    assert_eq!(set_aside(&disk), [5, 6]);
}

/// Numbers are given again, and one of them was set aside before.
#[test]
fn an_event_of_a_number_that_was_set_aside_before_is_set_aside_too() {
    let disk = Disk::new(1);
    let spool = open(&disk);
    spool.append(batch(1, 9)).unwrap();
    spool.sync().unwrap();
    spool.set_aside(1).unwrap();
    spool.acknowledge(9).unwrap();
    drop(spool);
    for name in disk.names().into_iter().filter(|name| name != NAME) {
        disk.lose(&name);
    }
    let spool = open(&disk);
    let mut other = crate::batch::Batch::default();
    other.push(origin(1), b"another event");
    spool.append(Arc::new(other)).unwrap();
    spool.sync().unwrap();
    // What the cache shows of a try that failed is not believed.
    disk.fail(0, u64::MAX / 2, Fault::Data);
    spool.set_aside(1).unwrap_err();
    spool.set_aside(1).unwrap_err();
    disk.heal();
    spool.set_aside(1).unwrap();
    let mut found = Vec::new();
    let inspector = Inspector::open_on(Arc::new(disk.clone()), Path::new(DIR)).unwrap();
    inspector
        .export_refused(|seq, _, text| {
            found.push((seq, text.to_vec()));
            Ok(())
        })
        .unwrap();
    assert_eq!(found, [(1, message(1)), (1, b"another event".to_vec())]);
}

#[test]
fn an_event_that_is_not_there_any_more_blocks_nobody() {
    let spool = open(&Disk::new(1));
    assert!(matches!(spool.append(batch(1, 1)).unwrap(), Append::Stored { .. }));
    spool.sync().unwrap();
    spool.acknowledge(1).unwrap();
    spool.set_aside(1).unwrap();
    assert_eq!(spool.status().refused, Refused::default());
}

#[test]
fn damage_in_the_file_costs_what_is_damaged() {
    let disk = Disk::new(1);
    let spool = open(&disk);
    spool.append(batch(1, 9)).unwrap();
    spool.sync().unwrap();
    for seq in 1..=3 {
        spool.set_aside(seq).unwrap();
    }
    drop(spool);
    disk.damage(NAME, |bytes| {
        let second = memchr::memmem::find(bytes, &message(2)).unwrap();
        bytes[second] ^= 1;
        // And an end that a crash tore.
        bytes.truncate(bytes.len() - 3);
    });
    assert_eq!(set_aside(&disk), [1]);
    let spool = open(&disk);
    spool.set_aside(4).unwrap();
    assert_eq!(set_aside(&disk), [1, 4]);
}

#[test]
fn a_full_file_takes_no_event_and_the_queue_keeps_it() {
    let disk = Disk::new(1);
    let spool = open(&disk);
    spool.append(batch(1, 2)).unwrap();
    spool.sync().unwrap();
    spool.set_aside(1).unwrap();
    drop(spool);
    disk.damage(NAME, |bytes| bytes.resize(MAX_BYTES as usize - 10, 0));
    let spool = open(&disk);
    assert_eq!(spool.set_aside(2).unwrap_err().code(), Code::SpoolRefusedFull);
    assert_eq!(read_all(&spool, 0), [2]);
    let mut refused = refused::load(&disk, Path::new(DIR)).unwrap();
    let event = (2, &origin(2), &*message(2));
    assert_eq!(refused.set_aside(&disk, Path::new(DIR), 0, event).unwrap(), SetAside::Full);
}
