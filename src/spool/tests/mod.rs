//! Tests of the spool, by kind of failure.

mod damage;
pub(crate) mod disk;
mod failures;
mod model;
mod plain;
mod refused;
mod tool;

use super::{Options, Spool};
use crate::batch::{Batch, Origin, Transport};
use crate::clock::UnixMicros;
use crate::settings::WhenFull;
use proptest::test_runner::Config as ProptestConfig;
use std::sync::Arc;
use std::time::Duration;

/// How many cases a property is tried with: so many, or what `SPOOL_SCHEDULES` says.
pub fn schedules(cases: u32) -> ProptestConfig {
    let cases = std::env::var("SPOOL_SCHEDULES").ok().and_then(|text| text.parse().ok()).unwrap_or(cases);
    // Schedules that failed once are kept in `proptest-regressions`, and are tried first.
    ProptestConfig { cases, max_shrink_iters: 20_000, ..ProptestConfig::default() }
}

/// Small enough that a test sees every kind of rotation.
pub fn options() -> Options {
    Options {
        max_bytes: 1 << 20,
        reserve_bytes: 0,
        when_full: WhenFull::Block,
        segment_bytes: 1000,
        tail_bytes: 0,
        state_sync_interval: Duration::ZERO,
    }
}

/// The event that the test's source would send as its `number`th.
pub fn origin(number: u64) -> Origin {
    let source = if number.is_multiple_of(2) { "192.0.2.7:514" } else { "[2001:db8::7]:40000" };
    Origin {
        received: UnixMicros(1_800_000_000_000_000 + number.cast_signed()),
        source: source.parse().unwrap(),
        transport: if number.is_multiple_of(3) { Transport::Tcp } else { Transport::Udp },
        cut: number.is_multiple_of(5),
    }
}

/// A message that names its number, of varying length, now and then with a record's first bytes in it.
pub fn message(number: u64) -> Vec<u8> {
    let mut message = format!("<13>message {number} ").into_bytes();
    message.resize(message.len() + (number * 37 % 90) as usize, b'x');
    if number.is_multiple_of(7) {
        message.extend_from_slice(&super::record::MAGIC);
    }
    message
}

/// A batch of the events `first..first + count`.
pub fn batch(first: u64, count: u64) -> Arc<Batch> {
    let mut batch = Batch::default();
    for number in first..first + count {
        batch.push(origin(number), &message(number));
    }
    Arc::new(batch)
}

/// Reads everything that there is behind `seq`, checks that each event is what its number says, and returns the
/// numbers.
pub fn read_all(spool: &Spool, seq: u64) -> Vec<u64> {
    use super::Queue;
    let mut after = seq;
    let mut seqs = Vec::new();
    while let Some(chunk) = spool.read_after(after, 7, 300).unwrap() {
        for (seq, origin_read, message_read) in chunk.iter() {
            assert!(seq > after, "{seq} after {after}");
            assert_eq!((origin_read, message_read), (&origin(seq), &*message(seq)));
            seqs.push(seq);
            after = seq;
        }
    }
    seqs
}
