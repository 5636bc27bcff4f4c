//! Which receiver is used when some are away.

use super::scripted::{Answer, Scripted};
use super::*;
use crate::uplink::choice::Breaker;

const SIX: [&str; 6] = ["ber/r0:1", "ber/r1:1", "ber/r2:1", "erl/r3:1", "erl/r4:1", "erl/r5:1"];

async fn until_in_use(status: &Status, wanted: impl Fn(usize) -> bool) -> usize {
    let number = |snapshot: &Snapshot| {
        let name = snapshot.in_use.as_ref()?;
        name.trim_start_matches('r').trim_end_matches(":1").parse::<usize>().ok()
    };
    let snapshot = status.wait_for(|snapshot| number(snapshot).is_some_and(&wanted)).await;
    number(&snapshot).unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_preferred_site_is_returned_to_after_it_was_healthy_for_a_while_and_nothing_is_lost() {
    let network = Scripted::new(6, |_, _| Answer::Acknowledge);
    let queue = MemoryQueue::new(100);
    network.up.lock().unwrap()[..3].fill(false);
    let (status, _stop) = network.start(&queue, &SIX, settings());
    let used = until_in_use(&status, |n| n >= 3).await;
    queue.until_acknowledged(100).await;
    assert_eq!(status.snapshot().endpoints[0].breaker, Breaker::Open);
    assert_eq!(status.snapshot().endpoints[0].site.as_deref(), Some("ber"));

    // Back for less than the time, away, and back again.
    network.up.lock().unwrap()[1] = true;
    sleep(Duration::from_secs(200)).await;
    network.up.lock().unwrap()[1] = false;
    sleep(Duration::from_secs(90)).await;
    let back = Instant::now();
    network.up.lock().unwrap()[1] = true;
    let traffic = tokio::spawn({
        let queue = Arc::clone(&queue);
        async move {
            loop {
                queue.push(1);
                sleep(Duration::from_millis(500)).await;
            }
        }
    });
    assert_eq!(until_in_use(&status, |n| n < 3).await, 1);
    let after = back.elapsed();
    assert!(after >= Duration::from_secs(300) && after < Duration::from_secs(500), "{after:?}");
    let again = status.snapshot().events_retransmitted;
    assert_eq!(again, 0, "left between two windows");
    traffic.abort();
    let all = *queue.durable().borrow();
    queue.until_acknowledged(all).await;
    assert_eq!(network.events(), (1..=all).collect::<Vec<_>>(), "each once, in order");
    assert!(network.taken.lock().unwrap().iter().any(|&(receiver, _)| receiver == used));
}

#[tokio::test(start_paused = true)]
async fn within_a_site_the_next_one_takes_over_at_once() {
    let network = Scripted::new(6, |_, _| Answer::Acknowledge);
    let queue = MemoryQueue::new(1);
    let (status, _stop) = network.start(&queue, &SIX, settings());
    let first = until_in_use(&status, |_| true).await;
    queue.until_acknowledged(1).await;
    network.up.lock().unwrap()[first] = false;
    queue.push(1);
    let second = until_in_use(&status, |n| n != first).await;
    assert!(first < 3 && second < 3);
    queue.until_acknowledged(2).await;
    let gap = network.dialled.lock().unwrap().windows(2).map(|two| two[1].1 - two[0].1).max().unwrap();
    assert_eq!(gap, Duration::ZERO, "no wait: its breaker is closed");
}
