//! What was sent and is not yet acknowledged: turns a receiver's acknowledgements, which count within windows, into
//! sequence numbers of the queue. Pure.
//!
//! Receivers answer windows in the order they got them. An acknowledgement therefore always speaks of the oldest
//! window that is not wholly acknowledged; the number of its last event completes it.

use std::collections::VecDeque;
use std::fmt;

/// The sequence numbers of a window's events: usually one run, more where the queue handed out several chunks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Window {
    runs: Vec<Run>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    first_seq: u64,
    count: u32,
}

impl Window {
    /// Appends so many consecutive events.
    pub fn push(&mut self, first_seq: u64, count: u32) {
        debug_assert!(self.last_seq().is_none_or(|last| last < first_seq), "sequence numbers only rise");
        match self.runs.last_mut() {
            Some(run) if run.first_seq + u64::from(run.count) == first_seq => run.count += count,
            _ if count > 0 => self.runs.push(Run { first_seq, count }),
            _ => {}
        }
    }

    /// How many events.
    pub fn len(&self) -> u32 {
        self.runs.iter().map(|run| run.count).sum()
    }

    /// Whether there is no event.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// The last event's sequence number.
    pub fn last_seq(&self) -> Option<u64> {
        self.seq_of(self.len())
    }

    /// How many events have a number up to `seq`.
    pub fn count_up_to(&self, seq: u64) -> u64 {
        self.runs.iter().map(|run| (seq + 1).saturating_sub(run.first_seq).min(u64::from(run.count))).sum()
    }

    /// The sequence number of the window's n-th event, counted from 1.
    fn seq_of(&self, n: u32) -> Option<u64> {
        let mut before = n.checked_sub(1)?;
        for run in &self.runs {
            if before < run.count {
                return Some(run.first_seq + u64::from(before));
            }
            before -= run.count;
        }
        None
    }
}

/// An acknowledgement of more events than its window has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AckBeyondWindow {
    /// What was acknowledged.
    pub sequence: u32,
    /// What the oldest window in flight has; 0 where none is in flight.
    pub window: u32,
}

impl fmt::Display for AckBeyondWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sequence, window } = self;
        write!(f, "event {sequence} of a window of {window} was acknowledged")
    }
}

impl std::error::Error for AckBeyondWindow {}

/// The events of the oldest window in flight that are not acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unacknowledged {
    /// The first one's sequence number.
    pub first_seq: u64,
    /// The last one's.
    pub last_seq: u64,
    /// How many.
    pub count: u32,
}

/// All windows in flight, oldest first.
#[derive(Debug, Default)]
pub struct Flight {
    windows: VecDeque<Window>,
    /// Events of the oldest window that are acknowledged already.
    partial: u32,
}

impl Flight {
    /// A window is on its way.
    pub fn push(&mut self, window: Window) {
        self.windows.push_back(window);
    }

    /// Windows in flight.
    pub fn len(&self) -> usize {
        self.windows.len()
    }

    /// Whether nothing is in flight.
    pub fn is_empty(&self) -> bool {
        self.windows.is_empty()
    }

    /// What is not acknowledged of the oldest window, if anything is in flight.
    pub fn oldest(&self) -> Option<Unacknowledged> {
        let window = self.windows.front()?;
        Some(Unacknowledged {
            first_seq: window
                .seq_of(self.partial + 1)
                .expect("a window in flight is not wholly acknowledged"),
            last_seq: window.last_seq().expect("a window has events"),
            count: window.len() - self.partial,
        })
    }

    /// Takes the whole oldest window as acknowledged: for a stream without acknowledgements.
    pub fn acknowledge_oldest(&mut self) -> Option<(u64, u64)> {
        let all = self.windows.front()?.len();
        self.acknowledge(all).expect("a window's length lies within it")
    }

    /// Takes an acknowledgement. Returns how many events it newly covers and the last one's sequence number; nothing
    /// for a keep-alive (`A 0`) and for what was acknowledged before.
    pub fn acknowledge(&mut self, sequence: u32) -> Result<Option<(u64, u64)>, AckBeyondWindow> {
        if sequence == 0 {
            return Ok(None);
        }
        let oldest = self.windows.front().ok_or(AckBeyondWindow { sequence, window: 0 })?;
        let window = oldest.len();
        if sequence > window {
            return Err(AckBeyondWindow { sequence, window });
        }
        if sequence <= self.partial {
            return Ok(None);
        }
        let seq = oldest.seq_of(sequence).expect("the number lies within the window");
        let newly = u64::from(sequence - self.partial);
        if sequence == window {
            self.windows.pop_front();
            self.partial = 0;
        } else {
            self.partial = sequence;
        }
        Ok(Some((newly, seq)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn window(runs: &[(u64, u32)]) -> Window {
        let mut window = Window::default();
        for &(first_seq, count) in runs {
            window.push(first_seq, count);
        }
        window
    }

    #[test]
    fn acknowledgements_are_read_in_the_oldest_window() {
        let mut flight = Flight::default();
        flight.push(window(&[(1, 3)]));
        flight.push(window(&[(4, 2), (10, 2)]));
        assert_eq!(flight.acknowledge(0), Ok(None), "a keep-alive");
        assert_eq!(flight.oldest(), Some(Unacknowledged { first_seq: 1, last_seq: 3, count: 3 }));
        assert_eq!(flight.acknowledge(2), Ok(Some((2, 2))));
        assert_eq!(flight.oldest(), Some(Unacknowledged { first_seq: 3, last_seq: 3, count: 1 }));
        assert_eq!(flight.acknowledge(1), Ok(None), "told before");
        assert_eq!(flight.acknowledge(3), Ok(Some((1, 3))));
        assert_eq!(flight.len(), 1);
        assert_eq!(flight.acknowledge(3), Ok(Some((3, 10))), "over the gap");
        assert_eq!(flight.acknowledge(5), Err(AckBeyondWindow { sequence: 5, window: 4 }));
        assert_eq!(flight.acknowledge(4), Ok(Some((1, 11))));
        assert!(flight.is_empty());
        assert_eq!(flight.acknowledge(1), Err(AckBeyondWindow { sequence: 1, window: 0 }));
    }

    #[test]
    fn a_window_knows_which_of_its_events_were_sent_before() {
        let window = window(&[(5, 3), (10, 2)]);
        let counts: Vec<_> = [0, 4, 5, 7, 9, 10, 99].map(|seq| window.count_up_to(seq)).into();
        assert_eq!(counts, [0, 0, 1, 3, 3, 4, 5]);
    }

    proptest! {
        #[test]
        fn every_event_is_acknowledged_once_and_in_order(
            windows in prop::collection::vec(prop::collection::vec((1u64..5, 1u32..5), 1..4), 1..6),
            partials in prop::collection::vec(0u32..12, 0..20),
        ) {
            let mut flight = Flight::default();
            let mut all = Vec::new();
            let mut next = 1;
            for runs in &windows {
                let mut window = Window::default();
                for &(gap, count) in runs {
                    next += gap;
                    window.push(next, count);
                    all.extend(next..next + u64::from(count));
                    next += u64::from(count);
                }
                flight.push(window);
            }
            let mut done = 0;
            for partial in partials {
                if let Ok(Some((newly, seq))) = flight.acknowledge(partial) {
                    done += usize::try_from(newly).unwrap();
                    prop_assert_eq!(all[done - 1], seq);
                }
            }
            while let Some(oldest) = flight.windows.front().map(Window::len) {
                let (newly, seq) = flight.acknowledge(oldest).unwrap().unwrap();
                done += usize::try_from(newly).unwrap();
                prop_assert_eq!(all[done - 1], seq);
            }
            prop_assert_eq!(done, all.len());
        }
    }
}
