//! How long to wait before the next try, and how often to complain about the last one.

use crate::random;
use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::Instant;

/// The first wait at most; each next one is at most twice the last.
pub const FIRST_WAIT: Duration = Duration::from_millis(250);

/// Wait after every receiver refused our certificate. Only people can help then, and the log of a receiver that is
/// asked more often shows nothing else. It covers that the receivers let the certificate in meanwhile.
pub const REFUSED_WAIT: Duration = Duration::from_secs(120);

/// A refused certificate is looked at so often, whether it was replaced: who replaces it waits for the effect.
pub const REPLACED_LOOK: Duration = Duration::from_secs(2);

/// The same complaint is logged again after this time, with the number of times that it was left out.
pub const COMPLAIN_EVERY: Duration = Duration::from_secs(300);

/// Capped exponential backoff with full jitter: a random part of a bound that doubles, so that the connectors that lost
/// a receiver at the same moment do not come back at the same moment.
#[derive(Debug)]
pub struct Backoff {
    bound: Duration,
    longest: Duration,
}

impl Backoff {
    /// Starts at [`FIRST_WAIT`], ends at `longest`.
    pub fn new(longest: Duration) -> Self {
        Self { bound: FIRST_WAIT.min(longest), longest }
    }

    /// The next wait.
    pub fn wait(&mut self) -> Duration {
        let wait = jittered(self.bound);
        self.bound = (self.bound * 2).min(self.longest);
        wait
    }

    /// All is well again.
    pub fn reset(&mut self) {
        *self = Self::new(self.longest);
    }
}

/// A random part of `bound`.
fn jittered(bound: Duration) -> Duration {
    let mut random = [0; 4];
    // Without random numbers every connector waits the whole bound, which is safe too.
    let part = match random::fill(&mut random) {
        Ok(()) => f64::from(u32::from_be_bytes(random)) / f64::from(u32::MAX),
        Err(_) => 1.0,
    };
    bound.mul_f64(part)
}

/// Different complaints that are remembered; with more at a time, the log is not what needs protection.
const MAX_COMPLAINTS: usize = 64;

/// Says what goes wrong without filling the log: a new complaint at once, the same one every [`COMPLAIN_EVERY`].
#[derive(Debug, Default)]
pub struct Complaints {
    said: VecDeque<Said>,
}

#[derive(Debug)]
struct Said {
    what: String,
    at: Instant,
    left_out: u64,
}

impl Complaints {
    /// Whether to log this one; then the number of times that it was left out since it was logged last.
    pub fn is_due(&mut self, what: &str) -> Option<u64> {
        let now = Instant::now();
        let Some(said) = self.said.iter_mut().find(|said| said.what == what) else {
            if self.said.len() == MAX_COMPLAINTS {
                self.said.pop_front();
            }
            self.said.push_back(Said { what: what.to_owned(), at: now, left_out: 0 });
            return Some(0);
        };
        if now.duration_since(said.at) < COMPLAIN_EVERY {
            said.left_out += 1;
            return None;
        }
        said.at = now;
        Some(std::mem::take(&mut said.left_out))
    }

    /// All is well again: whatever comes next is new.
    pub fn reset(&mut self) {
        self.said.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_start_over() {
        let mut backoff = Backoff::new(Duration::from_secs(1));
        let bounds: Vec<_> = (0..5)
            .map(|_| {
                let bound = backoff.bound;
                assert!(backoff.wait() <= bound);
                bound.as_millis()
            })
            .collect();
        assert_eq!(bounds, [250, 500, 1000, 1000, 1000]);
        backoff.reset();
        assert_eq!(backoff.bound, FIRST_WAIT);
    }

    #[test]
    fn jitter_is_full() {
        let waits: Vec<_> = (0..200).map(|_| jittered(Duration::from_secs(1))).collect();
        assert!(waits.iter().any(|w| w.as_millis() < 200) && waits.iter().any(|w| w.as_millis() > 800));
    }

    #[tokio::test(start_paused = true)]
    async fn each_complaint_is_logged_rarely_and_counted() {
        let mut complaints = Complaints::default();
        assert_eq!(complaints.is_due("a"), Some(0));
        assert_eq!(complaints.is_due("b"), Some(0), "another one is logged at once");
        // Several endpoints that fail in turn are several complaints, not a new one each time.
        for _ in 0..3 {
            assert_eq!((complaints.is_due("a"), complaints.is_due("b")), (None, None));
        }
        tokio::time::advance(COMPLAIN_EVERY).await;
        assert_eq!(complaints.is_due("b"), Some(3));
        assert_eq!(complaints.is_due("b"), None);
        complaints.reset();
        assert_eq!(complaints.is_due("b"), Some(0));
        for n in 0..2 * MAX_COMPLAINTS {
            complaints.is_due(&n.to_string());
        }
        assert_eq!(complaints.said.len(), MAX_COMPLAINTS);
    }
}
