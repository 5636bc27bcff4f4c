//! Random receivers: whatever they acknowledge and wherever they die, every event arrives, in order, and none leaves
//! the queue before a receiver has answered for it.

use super::session::{Got, Receiver};
use super::*;
use proptest::prelude::*;

/// What a receiver does next.
#[derive(Debug, Clone)]
enum Step {
    /// Reads so many frames.
    Read(usize),
    /// Acknowledges so many more events of the oldest open window, as far as it has read them.
    Acknowledge(u32),
    KeepAlive,
    /// More events become durable.
    Push(usize),
    /// Dies; another one takes its place.
    Die,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (1usize..30).prop_map(Step::Read),
        5 => (1u32..15).prop_map(Step::Acknowledge),
        1 => Just(Step::KeepAlive),
        2 => (1usize..25).prop_map(Step::Push),
        1 => Just(Step::Die),
    ]
}

/// What a receiver has read and not acknowledged: for each open window its length and the events that are here.
#[derive(Default)]
struct Open {
    windows: std::collections::VecDeque<(u32, Vec<u64>)>,
    /// Events of the oldest window that are acknowledged.
    partial: u32,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn every_event_arrives_and_none_leaves_the_queue_before(
        steps in prop::collection::vec(step(), 1..80),
        windows_in_flight in 1usize..4,
        window_events in 1usize..12,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(run(steps, settings::Uplink { window_events, windows_in_flight, ..settings() }));
    }
}

async fn run(steps: Vec<Step>, settings: settings::Uplink) {
    let queue = MemoryQueue::new(30);
    let mut receiver = Receiver::new(&queue, settings.clone());
    let mut open = Open::default();
    // The next event on this connection, and the last that any receiver has acknowledged.
    let (mut next, mut answered) = (1, 0);
    let end = [Step::Push(1), Step::Die];
    for step in steps.into_iter().chain(end) {
        match step {
            Step::Read(frames) => {
                for _ in 0..frames {
                    if !read(&mut receiver, &mut open, &mut next).await {
                        break;
                    }
                }
            }
            Step::Acknowledge(more) => {
                if let Some(seq) = acknowledge(&mut receiver, &mut open, more).await {
                    answered = seq;
                }
            }
            Step::KeepAlive => receiver.ack(0).await,
            Step::Push(count) => queue.push(count),
            Step::Die => {
                // Let it see the acknowledgements that were sent before.
                queue.until_acknowledged(answered).await;
                let (_, mut link) = receiver.die().await;
                assert_eq!(queue.acknowledged(), answered);
                assert_eq!(link.acknowledged, answered);
                link.cautious = false;
                receiver = Receiver::with(link);
                (open, next) = (Open::default(), answered + 1);
            }
        }
        assert!(queue.acknowledged() <= answered, "an event left before a receiver answered for it");
    }
    // One that takes everything.
    let last = *queue.durable().borrow();
    while answered < last {
        while open.windows.front().is_none_or(|(length, events)| events.len() < *length as usize) {
            assert!(read(&mut receiver, &mut open, &mut next).await, "{answered} of {last} came");
        }
        answered = acknowledge(&mut receiver, &mut open, u32::MAX).await.unwrap();
    }
    queue.until_acknowledged(last).await;
}

/// Reads one frame, which must be the one that is due; false where none comes.
async fn read(receiver: &mut Receiver, open: &mut Open, next: &mut u64) -> bool {
    // A long time, and yet shorter than what the uplink waits for an acknowledgement.
    let Ok(frame) = tokio::time::timeout(Duration::from_millis(1), receiver.frame()).await else {
        return false;
    };
    match frame {
        Got::Window(length) => open.windows.push_back((length, Vec::new())),
        Got::Event(number, seq) => {
            let (_, events) = open.windows.back_mut().expect("an event comes in a window");
            events.push(seq);
            assert_eq!((number as usize, seq), (events.len(), *next));
            *next += 1;
        }
    }
    true
}

/// Acknowledges some of the oldest window's events that are here; the last one's sequence number.
async fn acknowledge(receiver: &mut Receiver, open: &mut Open, more: u32) -> Option<u64> {
    let (length, events) = open.windows.front()?;
    let here = u32::try_from(events.len()).unwrap();
    let number = here.min(open.partial.saturating_add(more));
    if number == open.partial {
        return None;
    }
    let seq = events[number as usize - 1];
    receiver.ack(number).await;
    if number == *length {
        open.windows.pop_front();
        open.partial = 0;
    } else {
        open.partial = number;
    }
    Some(seq)
}
