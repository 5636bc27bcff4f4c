//! The file system that there is, and nothing goes wrong.

use super::{batch, options, read_all};
use crate::error::Code;
use crate::spool::{Append, Queue, Spool};

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
fn a_second_opener_is_refused_while_the_first_lives() {
    let dir = tempfile::tempdir().unwrap();
    let first = Spool::open(dir.path(), options()).unwrap();
    let refused = Spool::open(dir.path(), options()).err().unwrap();
    assert_eq!(refused.code(), Code::SpoolBusy);
    drop(first);
    Spool::open(dir.path(), options()).unwrap();
}
