//! Events that receivers do not take, and receivers that take no events.

use super::scripted::{Answer, Scripted};
use super::*;
use crate::uplink::choice::Breaker;
use crate::uplink::suspicion::STRIKES;
use std::collections::BTreeSet;

/// Closes on each window with one of these.
fn refuses(bad: &'static [u64]) -> impl FnMut(usize, &[u64]) -> Answer + Send + 'static {
    move |_, window| {
        if window.iter().any(|seq| bad.contains(seq)) { Answer::Close } else { Answer::Acknowledge }
    }
}

fn windows(window_events: usize) -> settings::Uplink {
    settings::Uplink { window_events, ..settings::Uplink::default() }
}

/// Each event once, whether it was acknowledged or set aside, and the former in order.
fn assert_delivered(network: &Scripted, queue: &MemoryQueue, all: u64, set_aside: &[u64]) {
    assert_eq!(*queue.set_aside.lock().unwrap(), set_aside);
    let taken = network.events();
    let distinct: BTreeSet<u64> = taken.iter().copied().collect();
    let expected: BTreeSet<u64> = (1..=all).filter(|seq| !set_aside.contains(seq)).collect();
    assert_eq!(distinct, expected);
    let mut first = Vec::new();
    for seq in taken {
        if !first.contains(&seq) {
            first.push(seq);
        }
    }
    assert!(first.is_sorted(), "out of order: {first:?}");
}

#[tokio::test(start_paused = true)]
async fn an_event_that_receivers_refuse_is_set_aside_and_those_behind_it_go_on() {
    for (receivers, bad) in [(1, &[1][..]), (1, &[57]), (3, &[1, 2, 3]), (3, &[99, 100, 150])] {
        let network = Scripted::new(receivers, refuses(bad));
        let queue = MemoryQueue::new(200);
        let names: Vec<String> = (0..receivers).map(|n| format!("r{n}:1")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let (status, _stop) = network.start(&queue, &names, windows(64));
        queue.until_acknowledged(200).await;
        assert_delivered(&network, &queue, 200, bad);
        assert!(status.snapshot().last_error.unwrap().error.starts_with("E705"));
        let tries = network.dialled.lock().unwrap().len();
        assert!(tries >= STRIKES as usize * bad.len(), "{tries} tries are too few to judge");
        assert!(tries < 60 * bad.len(), "{tries} tries are no bound");
    }
}

#[tokio::test(start_paused = true)]
async fn where_nothing_can_be_set_aside_the_receivers_are_not_pressed() {
    let network = Scripted::new(2, refuses(&[5]));
    let queue = MemoryQueue::new(20);
    *queue.is_full.lock().unwrap() = true;
    let (_status, _stop) = network.start(&queue, &["r0:1", "r1:1"], windows(8));
    queue.until_acknowledged(4).await;
    sleep(Duration::from_secs(3600)).await;
    network.dialled.lock().unwrap().clear();
    sleep(Duration::from_secs(3600)).await;
    let tries = network.dialled.lock().unwrap().len();
    assert!((10..2000).contains(&tries), "{tries} tries in an hour");
    *queue.is_full.lock().unwrap() = false;
    queue.until_acknowledged(20).await;
    assert_delivered(&network, &queue, 20, &[5]);
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_at_its_deadline_however_long_the_receivers_are_left_alone() {
    let network = Scripted::new(1, refuses(&[]));
    network.up.lock().unwrap()[0] = false;
    let queue = MemoryQueue::new(1);
    let settings = settings::Uplink { max_backoff: Duration::from_secs(3600), ..windows(8) };
    let (_status, stop) = network.start(&queue, &["r0:1"], settings);
    sleep(Duration::from_secs(24 * 3600)).await;
    let begun = Instant::now();
    stop.send_replace(Stop::Drain { deadline: begun + Duration::from_secs(20) });
    // The uplink's end.
    stop.closed().await;
    assert_eq!(begun.elapsed().as_secs(), 20);
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_acknowledges_again_has_a_closed_breaker() {
    let network = Scripted::new(1, refuses(&[]));
    network.up.lock().unwrap()[0] = false;
    let queue = MemoryQueue::new(20);
    let (status, _stop) = network.start(&queue, &["r0:1"], windows(8));
    status.wait_for(|seen| seen.endpoints.first().is_some_and(|known| known.breaker == Breaker::Open)).await;
    network.up.lock().unwrap()[0] = true;
    queue.until_acknowledged(20).await;
    let seen = status.wait_for(|seen| seen.events_acknowledged == 20).await;
    assert_eq!(seen.endpoints[0].breaker, Breaker::Closed);
}

#[tokio::test(start_paused = true)]
async fn the_last_event_is_tried_on_until_another_one_comes() {
    let network = Scripted::new(1, refuses(&[10]));
    let queue = MemoryQueue::new(10);
    let (_status, _stop) = network.start(&queue, &["r0:1"], windows(64));
    queue.until_acknowledged(9).await;
    sleep(Duration::from_secs(3600)).await;
    assert!(queue.set_aside.lock().unwrap().is_empty(), "it blocks nobody");
    queue.push(1);
    queue.until_acknowledged(11).await;
    assert_delivered(&network, &queue, 11, &[10]);
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_takes_nothing_for_a_day_costs_no_event() {
    let begun = Instant::now();
    let day = Duration::from_secs(24 * 3600);
    let network =
        Scripted::new(2, move |_, _| if begun.elapsed() < day { Answer::Close } else { Answer::Acknowledge });
    let queue = MemoryQueue::new(300);
    let (status, _stop) = network.start(&queue, &["r0:1", "r1:1"], windows(64));
    let complaint = status.wait_for(|s| s.events_sent > 300).await;
    assert_eq!(complaint.events_acknowledged, 0);
    queue.until_acknowledged(300).await;
    assert!(queue.set_aside.lock().unwrap().is_empty());
    let distinct: BTreeSet<u64> = network.events().into_iter().collect();
    assert_eq!(distinct, (1..=300).collect());
}

/// The trap: the receiver is back just when the witness is sent.
#[tokio::test(start_paused = true)]
async fn a_receiver_that_recovers_for_the_witness_costs_no_event() {
    let mut recovered = false;
    let network = Scripted::new(1, move |_, window| {
        recovered |= window[0] > 1;
        if recovered { Answer::Acknowledge } else { Answer::Close }
    });
    let queue = MemoryQueue::new(20);
    let (_status, _stop) = network.start(&queue, &["r0:1"], windows(8));
    queue.until_acknowledged(20).await;
    assert!(queue.set_aside.lock().unwrap().is_empty());
    let taken = network.events();
    assert_eq!(taken[..3], [2, 1, 2], "the witness, the accused, and the witness again in its place");
    assert_eq!(taken[3..], (3..=20).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_lost_connection_alone_costs_no_speed_for_long() {
    let mut lost = false;
    let mut sizes = Vec::new();
    let (report, mut reported) = tokio::sync::mpsc::unbounded_channel();
    let network = Scripted::new(1, move |_, window| {
        sizes.push(window.len());
        report.send(window.len()).unwrap();
        if std::mem::replace(&mut lost, true) { Answer::Acknowledge } else { Answer::Close }
    });
    let queue = MemoryQueue::new(2000);
    let (_status, _stop) = network.start(&queue, &["r0:1"], windows(64));
    queue.until_acknowledged(2000).await;
    let mut sizes = Vec::new();
    while let Ok(size) = reported.try_recv() {
        sizes.push(size);
    }
    assert_eq!(sizes[..2], [64, 8], "smaller at first");
    assert!(sizes.iter().filter(|&&size| size < 64).count() <= 8, "{sizes:?}");
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_is_slow_is_kept_and_shown_and_one_that_is_stuck_is_left() {
    let network =
        Scripted::new(2, |receiver, _| if receiver == 0 { Answer::KeepAlive } else { Answer::Acknowledge });
    let queue = MemoryQueue::new(5);
    let settings = settings::Uplink { ack_timeout: Duration::from_secs(30), ..windows(8) };
    let (status, _stop) = network.start(&queue, &["r0:1", "r1:1"], settings);
    status.wait_for(|snapshot| snapshot.windows_in_flight > 0).await;
    assert!(!status.snapshot().slow);
    sleep(Duration::from_secs(120)).await;
    let snapshot = status.snapshot();
    assert!(snapshot.slow && snapshot.in_use.as_deref() == Some("r0:1"), "{snapshot:?}");
    queue.until_acknowledged(5).await;
    assert_eq!(status.snapshot().in_use.as_deref(), Some("r1:1"));
    assert!(!status.snapshot().slow);
}
