//! The file system that there is, and nothing goes wrong.

use super::{batch, options, read_all};
use crate::error::Code;
use crate::spool::{Append, Dropped, Options, Queue, Spool};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

#[test]
fn events_are_read_in_order_once_they_are_synced_and_leave_when_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let (spool, findings) = Spool::open(dir.path(), options()).unwrap();
    assert_eq!(findings.lines(), Vec::<String>::new());
    for first in (1..=200).step_by(5) {
        assert_eq!(
            spool.append(batch(first, 5)).unwrap(),
            Append::Stored { first_seq: first, last_seq: first + 4 }
        );
    }
    assert_eq!(spool.sync().unwrap(), 200);
    assert_eq!(read_all(&spool, 0), (1..=200).collect::<Vec<_>>());
    spool.acknowledge(150).unwrap();
    assert_eq!(read_all(&spool, 0), (151..=200).collect::<Vec<_>>());
    let id = spool.id().to_owned();
    drop(spool);

    let (spool, findings) = Spool::open(dir.path(), options()).unwrap();
    assert_eq!(findings.missing_events(), 0, "{findings:?}");
    assert_eq!(spool.id(), id);
    assert_eq!(spool.acknowledged(), 150);
    assert_eq!(read_all(&spool, 0), (151..=200).collect::<Vec<_>>());
    spool.acknowledge(200).unwrap();
    assert_eq!(spool.append(batch(201, 1)).unwrap(), Append::Stored { first_seq: 201, last_seq: 201 });
    spool.close().unwrap();
    assert_eq!(read_all(&spool, 200), [201]);
}

#[test]
fn each_sync_of_a_segment_is_counted_with_its_time() {
    let dir = tempfile::tempdir().unwrap();
    let (spool, _) = Spool::open(dir.path(), options()).unwrap();
    spool.append(batch(1, 1)).unwrap();
    spool.sync().unwrap();
    spool.sync().unwrap();
    let first = spool.status().syncs;
    assert_eq!(first.count, 1, "nothing was there for the second");
    assert!(first.longest == first.total && !first.total.is_zero(), "{first:?}");
    spool.append(batch(2, 1)).unwrap();
    spool.sync().unwrap();
    let both = spool.status().syncs;
    assert!(both.count == 2 && both.longest >= first.longest && both.total > both.longest, "{both:?}");
}

#[test]
fn batches_that_wait_are_taken_together_as_far_as_the_segment_goes() {
    let dir = tempfile::tempdir().unwrap();
    let (spool, _) = Spool::open(dir.path(), options()).unwrap();
    let offered: Vec<_> = (1..=40).step_by(2).map(|first| batch(first, 2)).collect();
    let mut rest = &offered[..];
    let mut steps = 0;
    while let Append::Stored { first_seq, last_seq } = spool.append_some(rest).unwrap()
        && first_seq <= last_seq
    {
        rest = &rest[(last_seq + 1 - first_seq) as usize / 2..];
        steps += 1;
        let segments = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap()).filter(|entry| {
            entry.path().extension().is_some_and(|extension| extension == "seg" || extension == "open")
        });
        for segment in segments {
            assert!(segment.metadata().unwrap().len() <= options().segment_bytes + 64, "{segment:?}");
        }
    }
    assert!(rest.is_empty());
    assert_eq!(steps, spool.status().segments, "one write for each segment");
    assert_eq!(spool.sync().unwrap(), 40);
    assert_eq!(read_all(&spool, 0), (1..=40).collect::<Vec<_>>());
}

#[test]
fn a_second_opener_is_refused_while_the_first_lives() {
    let dir = tempfile::tempdir().unwrap();
    let first = Spool::open(dir.path(), options()).unwrap();
    let refused = Spool::open(dir.path(), options()).err().unwrap();
    assert_eq!(refused.code(), Code::SpoolBusy);
    drop(first);
    Spool::open(dir.path(), options()).unwrap();
}

#[test]
fn one_thread_writes_while_another_reads_and_acknowledges() {
    const EVENTS: u64 = 2000;
    for tail_bytes in [0, 5000] {
        let dir = tempfile::tempdir().unwrap();
        let (spool, _) = Spool::open(dir.path(), Options { tail_bytes, ..options() }).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for first in (1..=EVENTS).step_by(8) {
                    while spool.append(batch(first, 8)).unwrap() == Append::Full {
                        std::thread::yield_now();
                    }
                    if first % 5 == 0 {
                        spool.sync().unwrap();
                    }
                }
                spool.sync().unwrap();
            });
            let mut after = 0;
            while after < EVENTS {
                for seq in read_all(&spool, after) {
                    assert_eq!(seq, after + 1);
                    after = seq;
                }
                spool.acknowledge(after).unwrap();
            }
        });
        assert_eq!(spool.status().events, 0);
        assert_eq!(spool.status().dropped, Dropped::default());
        spool.close().unwrap();
        let segments = std::fs::read_dir(dir.path()).unwrap().count() - 2;
        assert_eq!(segments, 0, "only the lock and the state are left");
    }
}

#[test]
fn the_files_are_this_users_alone() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("spool/stage");
    let (spool, _) = Spool::open(&dir, options()).unwrap();
    spool.append(batch(1, 100)).unwrap();
    spool.sync().unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&dir), 0o700);
    for entry in std::fs::read_dir(&dir).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}

/// Set for the process that is to be killed: its spool's directory.
const VICTIM: &str = "SPOOL_TEST_VICTIM";

/// The process that the next test kills; without its variable there is nothing to do.
#[test]
fn victim() {
    let Some(dir) = std::env::var_os(VICTIM) else { return };
    let (spool, _) = Spool::open(Path::new(&dir), options()).unwrap();
    let mut next = spool.status().last_seq + 1;
    // More than the test ever waits for.
    for round in 0..20_000 {
        while spool.append(batch(next, 6)).unwrap() == Append::Full {
            spool.sync().unwrap();
            spool.acknowledge(spool.acknowledged() + 50).unwrap();
        }
        next += 6;
        if round % 3 == 0 {
            println!("safe {}", spool.sync().unwrap());
        }
    }
}

#[test]
fn what_was_said_to_be_safe_is_there_after_the_process_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let mut through = 0;
    for round in 1..=6 {
        let mut victim = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "spool::tests::plain::victim", "--nocapture"])
            .env(VICTIM, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(victim.stdout.take().unwrap()).lines();
        let said = lines.filter_map(|line| line.unwrap().strip_prefix("safe ")?.parse::<u64>().ok());
        let safe = said.take(20 + round * 7).last().unwrap();
        victim.kill().unwrap();
        victim.wait().unwrap();
        assert!(safe > through);

        let (spool, findings) = Spool::open(dir.path(), options()).unwrap();
        assert!(!findings.is_worrying(), "{:?}", findings.lines());
        let seqs = read_all(&spool, 0);
        assert_eq!(seqs, (spool.acknowledged() + 1..=spool.status().last_seq).collect::<Vec<_>>());
        through = spool.status().last_seq;
        assert!(through >= safe, "{safe} was safe, {through} is there");
    }
}
