//! One test for each kind of failure, on the simulated disk.

use super::disk::{Disk, Fault};
use super::{batch, message, options, read_all};
use crate::clock::UnixMicros;
use crate::error::{Code, Error};
use crate::settings::WhenFull;
use crate::spool::segment::{HEADER_BYTES, Name};
use crate::spool::{Append, DiskState, Dropped, Findings, Options, Queue, Spool, StateFound, record};
use std::path::Path;
use std::sync::Arc;

fn open(disk: &Disk, options: Options) -> (Spool, Findings) {
    Spool::open_on(Arc::new(disk.clone()), Path::new("/spool"), options).unwrap()
}

/// A spool with the events 1 to `last` on the disk, closed as a process that was killed closes it.
fn filled(disk: &Disk, options: &Options, last: u64) {
    let (spool, _) = open(disk, options.clone());
    for first in (1..=last).step_by(5) {
        spool.append(batch(first, 5.min(last + 1 - first))).unwrap();
    }
    spool.sync().unwrap();
}

fn segments(disk: &Disk) -> Vec<String> {
    disk.names().into_iter().filter(|name| Name::parse(name).is_some()).collect()
}

/// Where the record of an event begins in a file.
fn find(disk: &Disk, name: &str, number: u64) -> usize {
    memchr::memmem::find(&disk.content(name), &message(number)).unwrap() - record::HEAD_BYTES
}

/// The segment that holds an event.
fn segment_of(disk: &Disk, number: u64) -> String {
    segments(disk)
        .into_iter()
        .find(|name| memchr::memmem::find(&disk.content(name), &message(number)).is_some())
        .unwrap()
}

fn one_segment() -> Options {
    Options { segment_bytes: 1 << 20, ..options() }
}

#[test]
fn a_torn_write_is_cut_off_and_everything_before_it_stays() {
    // At every byte of the last record.
    let record_bytes = record::HEAD_BYTES + message(12).len();
    for cut in 1..=record_bytes {
        let disk = Disk::new(1);
        let (spool, _) = open(&disk, one_segment());
        spool.append(batch(1, 10)).unwrap();
        spool.sync().unwrap();
        spool.append(batch(11, 2)).unwrap();
        drop(spool);
        let name = &segments(&disk)[0];
        disk.damage(name, |content| content.truncate(content.len() - cut));

        let (spool, findings) = open(&disk, one_segment());
        assert_eq!(findings.torn_bytes, (record_bytes - cut) as u64);
        assert_eq!((findings.rewritten_events, findings.missing_events()), (1, 0));
        assert_eq!(read_all(&spool, 0), (1..=11).collect::<Vec<_>>());
        assert_eq!(spool.append(batch(12, 1)).unwrap(), Append::Stored { first_seq: 12, last_seq: 12 });
        spool.sync().unwrap();
        assert_eq!(read_all(&spool, 11), [12]);
    }
}

#[test]
fn a_damaged_record_is_skipped_counted_once_and_set_aside() {
    let disk = Disk::new(1);
    filled(&disk, &options(), 60);
    let name = segment_of(&disk, 7);
    let at = find(&disk, &name, 7);
    disk.damage(&name, |content| content[at + record::HEAD_BYTES + 2] ^= 4);
    let expected: Vec<u64> = (1..=60).filter(|seq| *seq != 7).collect();

    let (spool, _) = open(&disk, options());
    assert_eq!(read_all(&spool, 0), expected);
    let aside = disk.content("quarantine");
    assert_eq!(read_all(&spool, 0), expected);
    assert_eq!(spool.status().dropped.corrupt, 1);
    assert_eq!(disk.content("quarantine"), aside, "reading again sets nothing aside again");
    assert!(memchr::memmem::find(&aside, &message(7)[4..]).is_some(), "what is left of it can be looked at");
    spool.sync().unwrap();
    drop(spool);

    let (spool, _) = open(&disk, options());
    assert_eq!(read_all(&spool, 0), expected);
    assert_eq!(spool.status().dropped.corrupt, 1, "a restart does not count it again");
    spool.acknowledge(6).unwrap();
    spool.acknowledge(60).unwrap();
    assert_eq!(spool.status().events, 0);
}

#[test]
fn a_damaged_length_costs_no_more_than_its_record() {
    let disk = Disk::new(1);
    filled(&disk, &options(), 60);
    let name = segment_of(&disk, 20);
    let at = find(&disk, &name, 20);
    for length in [0_u32, 1, 100_000, u32::MAX] {
        disk.damage(&name, |content| content[at + 8..at + 12].copy_from_slice(&length.to_le_bytes()));
        let (spool, _) = open(&disk, options());
        assert_eq!(read_all(&spool, 0), (1..=60).filter(|seq| *seq != 20).collect::<Vec<_>>());
    }
}

#[test]
fn damage_at_the_end_of_what_there_is_does_not_hold_up_what_is_delivered() {
    let disk = Disk::new(1);
    filled(&disk, &one_segment(), 10);
    let name = segments(&disk)[0].clone();
    let at = find(&disk, &name, 9);
    disk.damage(&name, |content| content.truncate(at + 3));
    let (spool, _) = open(&disk, one_segment());
    assert_eq!(read_all(&spool, 0), (1..=8).collect::<Vec<_>>());
    spool.acknowledge(8).unwrap();
    assert_eq!((spool.acknowledged(), spool.status().events), (10, 0));
    assert_eq!(spool.status().dropped.corrupt + spool.status().dropped.missing, 2);
    assert_eq!(spool.append(batch(11, 1)).unwrap(), Append::Stored { first_seq: 11, last_seq: 11 });
    spool.sync().unwrap();
    assert_eq!(read_all(&spool, 10), [11]);
}

#[test]
fn a_message_cannot_pass_itself_off_as_a_record() {
    let disk = Disk::new(1);
    let (spool, _) = open(&disk, one_segment());
    let mut forged = b"<13>".to_vec();
    record::encode(&mut forged, 0, 2, &super::origin(2), b"never sent by 192.0.2.7");
    let mut events = crate::batch::Batch::default();
    events.push(super::origin(1), &forged);
    spool.append(Arc::new(events)).unwrap();
    spool.append(batch(2, 3)).unwrap();
    spool.sync().unwrap();
    drop(spool);
    let name = segments(&disk)[0].clone();
    disk.damage(&name, |content| content[HEADER_BYTES as usize + 4] ^= 1);
    let (spool, _) = open(&disk, one_segment());
    assert_eq!(read_all(&spool, 0), [2, 3, 4]);
}

#[test]
fn with_one_damaged_slot_the_other_is_used_and_events_are_at_most_sent_again() {
    for slot in [0, 4096] {
        let disk = Disk::new(1);
        filled(&disk, &options(), 60);
        let (spool, _) = open(&disk, options());
        let id = spool.id().to_owned();
        read_all(&spool, 0);
        spool.acknowledge(30).unwrap();
        spool.acknowledge(40).unwrap();
        drop(spool);
        disk.damage("state", |content| content[slot + 33] ^= 0xFF);
        let (spool, findings) = open(&disk, options());
        assert_eq!(findings.state, StateFound::OneSlotDamaged);
        assert_eq!(spool.id(), id);
        assert!((30..=40).contains(&spool.acknowledged()), "{}", spool.acknowledged());
        let acknowledged = spool.acknowledged();
        assert_eq!(read_all(&spool, 0), (acknowledged + 1..=60).collect::<Vec<_>>());
    }
}

#[test]
fn with_both_slots_damaged_the_segments_say_who_the_spool_is_and_all_is_sent_again() {
    let disk = Disk::new(1);
    filled(&disk, &options(), 60);
    let (spool, _) = open(&disk, options());
    let id = spool.id().to_owned();
    spool.acknowledge(30).unwrap();
    drop(spool);
    disk.damage("state", |content| content.fill(0xAA));
    // The youngest segment's header is of no use either.
    let name = segments(&disk).pop().unwrap();
    disk.damage(&name, |content| content[0..64].fill(0));

    let (spool, findings) = open(&disk, options());
    assert_eq!(findings.state, StateFound::Rebuilt);
    assert!(findings.is_worrying());
    assert_eq!(spool.id(), id);
    let seqs = read_all(&spool, 0);
    assert!(seqs[0] <= 31, "nothing that was not delivered is skipped");
    assert_eq!(seqs, (seqs[0]..=60).collect::<Vec<_>>());
    drop(spool);
    assert_eq!(open(&disk, options()).1.state, StateFound::Intact);
}

#[test]
fn a_missing_segment_is_a_counted_gap() {
    let disk = Disk::new(1);
    filled(&disk, &options(), 60);
    let name = segment_of(&disk, 20);
    let lost: Vec<u64> = (1..=60)
        .filter(|number| memchr::memmem::find(&disk.content(&name), &message(*number)).is_some())
        .collect();
    disk.lose(&name);
    for _ in 0..2 {
        let (spool, findings) = open(&disk, options());
        assert_eq!(findings.missing_events(), lost.len() as u64);
        assert_eq!(read_all(&spool, 0), (1..=60).filter(|seq| !lost.contains(seq)).collect::<Vec<_>>());
        assert_eq!(spool.status().dropped.missing, lost.len() as u64, "a restart does not count them again");
    }
    let (spool, _) = open(&disk, options());
    spool.acknowledge(lost[0] - 1).unwrap();
    assert_eq!(spool.acknowledged(), *lost.last().unwrap(), "nobody can acknowledge what is gone");
    drop(spool);
    assert_eq!(open(&disk, options()).1.missing_events(), 0);
}

#[test]
fn a_segment_that_vanishes_while_it_is_needed_is_counted_after_some_tries() {
    let disk = Disk::new(1);
    filled(&disk, &options(), 60);
    let (spool, _) = open(&disk, options());
    let name = segment_of(&disk, 1);
    disk.lose(&name);
    let failures = std::iter::from_fn(|| spool.read_after(0, 9, 999).err()).take(100).count();
    assert!((1..10).contains(&failures), "{failures}");
    let seqs = read_all(&spool, 0);
    assert_eq!(spool.status().dropped.missing, seqs[0] - 1);
    assert_eq!(seqs, (seqs[0]..=60).collect::<Vec<_>>());
}

#[test]
fn a_sector_that_cannot_be_read_is_passed_by_after_some_tries() {
    let disk = Disk::new(1);
    // Large enough that the bad page is a small part of it.
    filled(&disk, &one_segment(), 400);
    let name = segments(&disk)[0].clone();
    disk.make_unreadable(&name, 20_000..20_100);
    let (spool, _) = open(&disk, one_segment());
    let failures: Vec<Error> = std::iter::from_fn(|| spool.read_after(0, 9, 999).err()).take(100).collect();
    assert!((1..10).contains(&failures.len()));
    assert!(failures.iter().all(|error| error.code() == Code::SpoolReadFailed));
    let seqs = read_all(&spool, 0);
    assert_eq!(spool.status().dropped.corrupt, 400 - seqs.len() as u64);
    assert!(seqs.len() > 300, "one page of many: {}", seqs.len());
}

#[test]
fn after_a_failed_sync_everything_is_written_anew_and_only_then_safe() {
    for seed in 1..40 {
        let disk = Disk::new(seed);
        let (spool, _) = open(&disk, one_segment());
        spool.append(batch(1, 5)).unwrap();
        spool.sync().unwrap();
        spool.append(batch(6, 5)).unwrap();
        disk.fail(0, 1, Fault::Sync);
        let error = spool.sync().unwrap_err();
        assert_eq!(error.code(), Code::SpoolWriteFailed);
        assert!(matches!(spool.status().disk, DiskState::Failing(_)));
        assert_eq!(read_all(&spool, 0), [1, 2, 3, 4, 5], "what is not safe is not sent");
        // The kernel has forgotten the failure: a sync of the same file would answer that all is well.
        assert_eq!(spool.sync().unwrap(), 10);
        assert_eq!(spool.status().disk, DiskState::Ok);
        drop(spool);
        disk.power_cut();
        let (spool, _) = open(&disk, one_segment());
        assert_eq!(read_all(&spool, 0), (1..=10).collect::<Vec<_>>());
    }
}

#[test]
fn a_process_killed_after_a_failed_sync_does_not_believe_the_cache() {
    for seed in 1..40 {
        let disk = Disk::new(seed);
        let (spool, _) = open(&disk, one_segment());
        spool.append(batch(1, 5)).unwrap();
        disk.fail(0, 1, Fault::Sync);
        spool.sync().unwrap_err();
        drop(spool);
        let (spool, _) = open(&disk, one_segment());
        let sent = read_all(&spool, 0);
        drop(spool);
        disk.power_cut();
        let (spool, _) = open(&disk, one_segment());
        assert_eq!(read_all(&spool, 0), sent, "what could be sent was safe");
    }
}

#[test]
fn a_disk_that_fails_to_sync_is_not_filled_with_copies() {
    for durable in [0, 5] {
        let disk = Disk::new(1);
        let (spool, _) = open(&disk, one_segment());
        if durable > 0 {
            spool.append(batch(1, durable)).unwrap();
            spool.sync().unwrap();
        }
        spool.append(batch(durable + 1, 5)).unwrap();
        disk.fail(0, u64::MAX / 2, Fault::Data);
        for _ in 0..50 {
            spool.sync().unwrap_err();
            // The durable part, the best copy, and the one that is being written.
            assert!(segments(&disk).len() <= 3, "{:?}", segments(&disk));
            let copied = segments(&disk)
                .iter()
                .any(|name| memchr::memmem::find(&disk.content(name), &message(durable + 5)).is_some());
            assert!(copied, "a process that is killed now loses nothing");
        }
        disk.heal();
        spool.sync().unwrap();
        assert_eq!(segments(&disk).len(), if durable > 0 { 2 } else { 1 });
        assert_eq!(read_all(&spool, 0), (1..=durable + 5).collect::<Vec<_>>());
    }
}

/// The copy is in the way of what would be written in its place.
#[test]
fn a_disk_that_was_full_when_it_failed_to_sync_is_written_to_again() {
    for is_quota in [false, true] {
        let disk = Disk::new(1);
        if is_quota {
            disk.set_quota();
        }
        let (spool, _) = open(&disk, one_segment());
        spool.append(batch(1, 50)).unwrap();
        disk.fail(0, 1, Fault::Sync);
        spool.sync().unwrap_err();
        let used: usize = disk.names().iter().map(|name| disk.content(name).len()).sum();
        disk.set_free(Some(used as u64 + 600));
        assert_eq!(spool.sync().unwrap_err().code(), Code::SpoolDiskFull);
        // What the copy had is free again.
        spool.sync().unwrap();
        assert_eq!(segments(&disk).len(), 1);
        assert_eq!(read_all(&spool, 0), (1..=50).collect::<Vec<_>>());
    }
}

#[test]
fn a_full_file_system_refuses_the_batch_whole_and_takes_it_when_there_is_space() {
    let disk = Disk::new(1);
    let (spool, _) = open(&disk, options());
    spool.append(batch(1, 5)).unwrap();
    spool.sync().unwrap();
    disk.fail(0, 3, Fault::Space);
    let error = spool.append(batch(6, 5)).unwrap_err();
    assert_eq!(error.code(), Code::SpoolDiskFull);
    assert_eq!(spool.status().last_seq, 5);
    disk.heal();
    assert_eq!(spool.append(batch(6, 5)).unwrap(), Append::Stored { first_seq: 6, last_seq: 10 });
    spool.sync().unwrap();
    assert_eq!(spool.status().disk, DiskState::Ok);
    assert_eq!(read_all(&spool, 0), (1..=10).collect::<Vec<_>>());
}

#[test]
fn what_a_failed_append_left_on_the_disk_is_nobodys_event() {
    for seed in 1..100 {
        let disk = Disk::new(seed);
        let (spool, _) = open(&disk, one_segment());
        spool.append(batch(1, 1)).unwrap();
        spool.sync().unwrap();
        disk.fail(0, 1, Fault::Space);
        spool.append(batch(2, 20)).unwrap_err();
        spool.append(batch(2, 1)).unwrap();
        spool.sync().unwrap();
        drop(spool);
        let (spool, findings) = open(&disk, one_segment());
        assert_eq!((spool.status().last_seq, findings.missing_events()), (2, 0));
        assert_eq!(read_all(&spool, 0), [1, 2]);
    }
}

#[test]
fn a_read_only_file_system_still_delivers_the_backlog() {
    let disk = Disk::new(1);
    filled(&disk, &options(), 60);
    open(&disk, options()).0.close().unwrap();
    disk.fail(0, u64::MAX / 2, Fault::ReadOnly);
    let (spool, findings) = open(&disk, options());
    assert!(!findings.problems.is_empty());
    assert_eq!(read_all(&spool, 0), (1..=60).collect::<Vec<_>>());
    spool.acknowledge(60).unwrap();
    assert_eq!(spool.acknowledged(), 60);
    assert_eq!(spool.append(batch(61, 1)).unwrap_err().code(), Code::SpoolWriteFailed);
}

#[test]
fn trouble_with_the_disk_is_an_alarm_and_ends_without_a_restart() {
    for fault in [Fault::Io, Fault::Sync, Fault::Data, Fault::Space, Fault::ReadOnly] {
        let disk = Disk::new(1);
        let (spool, _) = open(&disk, options());
        let mut taken = 0;
        for round in 1..=20 {
            spool.append(batch(taken + 1, 5)).unwrap();
            spool.sync().unwrap();
            disk.fail(0, u64::MAX / 2, fault);
            taken += 5;
            let refused = match spool.append(batch(taken + 1, 5)) {
                Ok(_) => {
                    taken += 5;
                    spool.sync().unwrap_err()
                }
                Err(error) => error,
            };
            let alarm = spool.status().disk;
            if fault == Fault::Space {
                assert_eq!((refused.code(), alarm), (Code::SpoolDiskFull, DiskState::Full));
            } else {
                assert_eq!(refused.code(), Code::SpoolWriteFailed, "{fault:?}");
                assert!(matches!(alarm, DiskState::Failing(_)), "{fault:?}: {alarm:?}");
            }
            // What was safe is still delivered.
            let safe = spool.status().durable_seq;
            assert_eq!(read_all(&spool, spool.acknowledged()).last(), Some(&safe));
            spool.acknowledge(safe).unwrap();
            disk.heal();
            assert_eq!(spool.sync().unwrap(), taken, "{fault:?} in round {round}");
            spool.append(batch(taken + 1, 1)).unwrap();
            taken += 1;
            assert_eq!(spool.sync().unwrap(), taken);
            assert_eq!(spool.status().disk, DiskState::Ok, "{fault:?}");
            assert_eq!(read_all(&spool, safe), (safe + 1..=taken).collect::<Vec<_>>());
        }
        assert_eq!(spool.status().dropped, Dropped::default());
    }
}

#[test]
fn block_refuses_until_something_is_acknowledged() {
    let disk = Disk::new(1);
    let (spool, _) = open(&disk, Options { max_bytes: 8000, ..options() });
    let mut last = 0;
    while let Append::Stored { last_seq, .. } = spool.append(batch(last + 1, 5)).unwrap() {
        last = last_seq;
    }
    assert_eq!(spool.status().disk, DiskState::Full);
    assert!(spool.status().size_bytes <= 8000 && spool.status().size_bytes > 6000);
    spool.sync().unwrap();
    assert_eq!(spool.append(batch(last + 1, 5)).unwrap(), Append::Full);
    spool.acknowledge(last / 2).unwrap();
    assert!(matches!(spool.append(batch(last + 1, 5)).unwrap(), Append::Stored { .. }));
    // All delivered, and only the segment that is written to is left: that must not block either.
    spool.sync().unwrap();
    spool.acknowledge(last + 5).unwrap();
    assert!(matches!(spool.append(batch(last + 6, 60)).unwrap(), Append::Stored { .. }));
    assert_eq!(spool.status().dropped.full, 0);
}

#[test]
fn a_process_that_ends_takes_in_beyond_the_bound_at_each_stop_and_no_more_than_it_says() {
    const BEYOND: u64 = 20_000;
    let disk = Disk::new(1);
    let bound = Options { max_bytes: 8000, ..options() };
    let mut last = 0;
    let mut fill = |spool: &Spool| {
        while let Append::Stored { last_seq, .. } = spool.append(batch(last + 1, 5)).unwrap() {
            last = last_seq;
        }
        (last, spool.status().size_bytes)
    };
    for stop in 1..=3 {
        let (spool, _) = open(&disk, bound.clone());
        let before = fill(&spool);
        assert!(spool.overdraw(BEYOND));
        let after = fill(&spool);
        assert!(!spool.overdraw(BEYOND), "once is enough");
        assert_eq!(fill(&spool), after);
        let grown = after.1 - before.1.max(8000);
        assert!((BEYOND / 2..=BEYOND).contains(&grown), "stop {stop}: {before:?} {after:?}");
        spool.close().unwrap();
    }
    // The bound counts again, and nothing is lost.
    let (spool, _) = open(&disk, bound);
    let (last, _) = fill(&spool);
    assert_eq!(read_all(&spool, 0), (1..=last).collect::<Vec<_>>());
    spool.acknowledge(last).unwrap();
    assert!(matches!(spool.append(batch(last + 1, 5)).unwrap(), Append::Stored { .. }));
}

#[test]
fn a_process_that_ends_takes_of_the_reserve_what_its_last_notes_do_not_need() {
    const MIB: u64 = 1 << 20;
    for (free, is_taken) in [(17 * MIB, true), (15 * MIB, false)] {
        let disk = Disk::new(1);
        disk.set_free(Some(free));
        let (spool, _) = open(&disk, Options { reserve_bytes: 512 * MIB, ..options() });
        assert_eq!(spool.append(batch(1, 5)).unwrap(), Append::Full);
        spool.overdraw(64 * MIB);
        assert_eq!(matches!(spool.append(batch(1, 5)).unwrap(), Append::Stored { .. }), is_taken);
    }
}

#[test]
fn a_batch_larger_than_the_spool_does_not_wait_for_ever() {
    let disk = Disk::new(1);
    let (spool, _) = open(&disk, Options { max_bytes: 2000, ..options() });
    spool.append(batch(1, 1)).unwrap();
    assert_eq!(spool.append(batch(2, 100)).unwrap(), Append::Full);
    spool.sync().unwrap();
    spool.acknowledge(1).unwrap();
    assert!(matches!(spool.append(batch(2, 100)).unwrap(), Append::Stored { .. }));
}

#[test]
fn drop_oldest_drops_whole_segments_and_counts_the_events() {
    let disk = Disk::new(1);
    let full = Options { max_bytes: 8000, when_full: WhenFull::DropOldest, ..options() };
    let (spool, _) = open(&disk, full.clone());
    for first in (1..=500).step_by(5) {
        assert!(matches!(spool.append(batch(first, 5)).unwrap(), Append::Stored { .. }));
        assert!(spool.status().size_bytes <= 8000);
    }
    spool.sync().unwrap();
    let kept = read_all(&spool, 0);
    assert_eq!(kept, (kept[0]..=500).collect::<Vec<_>>());
    let dropped = spool.status().dropped;
    assert_eq!((dropped.full, dropped.corrupt, dropped.missing), (kept[0] - 1, 0, 0));
    drop(spool);
    let (spool, findings) = open(&disk, full);
    assert_eq!(spool.status().dropped, dropped);
    assert_eq!(findings.missing_events(), 0, "dropped is not missing");
}

#[test]
fn the_reserve_on_the_file_system_is_left_alone() {
    for when_full in [WhenFull::Block, WhenFull::DropOldest] {
        let disk = Disk::new(1);
        disk.set_free(Some(30_000));
        let (spool, _) = open(&disk, Options { reserve_bytes: 20_000, when_full, ..options() });
        let mut last = 0;
        for _ in 0..200 {
            if let Append::Stored { last_seq, .. } = spool.append(batch(last + 1, 5)).unwrap() {
                last = last_seq;
            }
            assert!(spool.status().size_bytes <= 10_000);
        }
        spool.sync().unwrap();
        assert_eq!(last == 1000, when_full == WhenFull::DropOldest);
        assert_eq!(spool.status().dropped.full > 0, when_full == WhenFull::DropOldest);
    }
}

#[test]
fn opening_reads_as_much_for_a_long_backlog_as_for_a_short_one() {
    let cost = |events: u64| {
        let disk = Disk::new(1);
        filled(&disk, &options(), events);
        assert!(segments(&disk).len() as u64 > events / 20);
        let before = disk.counters();
        let (spool, findings) = open(&disk, options());
        let after = disk.counters();
        assert_eq!(spool.status().events, events);
        assert_eq!(findings.bytes_scanned, 0, "everything was synced: the state says so");
        (after.opens - before.opens, after.reads - before.reads, after.bytes_read - before.bytes_read)
    };
    assert_eq!(cost(40), cost(4000));
}

#[test]
fn an_uplink_that_keeps_up_reads_nothing_from_the_disk() {
    let disk = Disk::new(1);
    let (spool, _) = open(&disk, Options { tail_bytes: 10_000, ..options() });
    let before = disk.counters().reads;
    for first in (1..=500).step_by(5) {
        spool.append(batch(first, 5)).unwrap();
        spool.sync().unwrap();
        assert_eq!(read_all(&spool, first - 1).len(), 5);
        spool.acknowledge(first + 4).unwrap();
    }
    assert_eq!(disk.counters().reads, before);
    assert!(segments(&disk).len() <= 2, "what is delivered leaves the disk");
}

#[test]
fn a_clean_stop_leaves_nothing_to_read_and_an_empty_spool_no_segment() {
    let disk = Disk::new(1);
    let (spool, _) = open(&disk, one_segment());
    spool.append(batch(1, 10)).unwrap();
    spool.close().unwrap();
    assert!(segments(&disk).iter().all(|name| Name::parse(name).unwrap().last_seq.is_some()));
    spool.acknowledge(10).unwrap();
    spool.close().unwrap();
    assert_eq!(segments(&disk), Vec::<String>::new());
    drop(spool);
    disk.power_cut();
    let (spool, findings) = open(&disk, one_segment());
    assert_eq!(findings.lines(), Vec::<String>::new());
    assert_eq!((spool.acknowledged(), spool.status().last_seq), (10, 10));
}

#[test]
fn the_age_of_the_backlog_is_that_of_its_oldest_event() {
    let received = |number: u64| Some(super::origin(number).received);
    for tail_bytes in [0, 1 << 20] {
        let disk = Disk::new(1);
        let options = Options { tail_bytes, ..options() };
        let (spool, _) = open(&disk, options.clone());
        assert_eq!(spool.status().oldest_received, None);
        spool.append(batch(1, 50)).unwrap();
        spool.sync().unwrap();
        let chunk = spool.read_after(0, 20, usize::MAX).unwrap().unwrap();
        let next = spool.read_after(chunk.last_seq(), 20, usize::MAX).unwrap().unwrap();
        spool.acknowledge(chunk.last_seq()).unwrap();
        assert_eq!(spool.status().oldest_received, received(next.first_seq));
        drop(spool);
        let (spool, _) = open(&disk, options);
        assert_eq!(spool.status().oldest_received, received(next.first_seq), "also after a restart");
        spool.acknowledge(50).unwrap();
        assert_eq!(spool.status().oldest_received, None::<UnixMicros>);
    }
}

#[test]
fn what_was_not_found_does_not_come_back_with_the_power() {
    // A write that fails can leave whole records of events that were never taken; each seed leaves another part.
    let mut left = 0;
    for seed in 1..=200 {
        let disk = Disk::new(seed);
        let (spool, _) = open(&disk, one_segment());
        disk.fail(3, 1, Fault::Space);
        assert!(spool.append(batch(1, 20)).is_err());
        left += u64::from(memchr::memmem::find(&disk.content(&segments(&disk)[0]), &message(1)).is_some());
        // The sync clears away what was left, and the process dies before the events are offered again.
        spool.sync().unwrap();
        drop(spool);
        let (spool, _) = open(&disk, one_segment());
        assert_eq!(spool.status().last_seq, 0);
        drop(spool);
        disk.power_cut();
        let (spool, findings) = open(&disk, one_segment());
        assert_eq!((spool.status().last_seq, findings.rewritten_events), (0, 0), "seed {seed}");
    }
    assert!(left > 20, "nothing was tried");
}

#[test]
fn the_last_acknowledgement_on_a_quiet_spool_is_brought_to_the_disk_however_long_that_refuses() {
    let disk = Disk::new(3);
    filled(&disk, &one_segment(), 10);
    let (spool, _) = open(&disk, one_segment());
    disk.fail(0, u64::MAX / 2, Fault::ReadOnly);
    spool.acknowledge(7).unwrap();
    assert!(matches!(spool.status().disk, DiskState::Failing(_)));
    spool.settle();
    assert!(matches!(spool.status().disk, DiskState::Failing(_)));
    disk.heal();
    spool.settle();
    assert_eq!(spool.status().disk, DiskState::Ok);
    let writes = disk.counters().writes;
    spool.settle();
    assert_eq!(disk.counters().writes, writes, "once is enough");
    drop(spool);
    disk.power_cut();
    assert_eq!(open(&disk, one_segment()).0.acknowledged(), 7);
}
