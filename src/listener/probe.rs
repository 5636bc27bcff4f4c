//! Probes: how `start` knows that a message sent to the published port really came out at the other end.
//!
//! A probe is an ordinary syslog message that carries a random token. Only a token that was announced over the
//! connector's own socket beforehand is looked for; that message is then reported to who announced it and goes no
//! further, so that no SOC ever sees one. While nothing is announced, the cost is one atomic load a batch.

use crate::batch::{Batch, Transport};
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use tokio::sync::mpsc;

/// Tokens announced at the same time; each is one running `start`.
const MAX_TOKENS: usize = 16;

/// A probe came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sighting {
    /// The input it came through.
    pub transport: Transport,
    /// The sender's address as the listener saw it.
    pub source: SocketAddr,
}

/// The announced tokens.
#[derive(Debug, Default)]
pub struct Probes {
    armed: AtomicBool,
    waiting: Mutex<Vec<(String, mpsc::UnboundedSender<Sighting>)>>,
}

impl Probes {
    /// Announces a token; what is seen of it arrives on the returned channel until that is dropped. Nothing where too
    /// many are announced already, or the token is too short to be told from a message's own words.
    pub fn announce(&self, token: &str) -> Option<mpsc::UnboundedReceiver<Sighting>> {
        if token.len() < 16 {
            return None;
        }
        let mut waiting = self.lock();
        waiting.retain(|(_, who)| !who.is_closed());
        if waiting.len() >= MAX_TOKENS {
            return None;
        }
        // Unbounded in type only: at most one sighting a received probe, of which a caller sends a handful.
        let (seen, sightings) = mpsc::unbounded_channel();
        waiting.push((token.to_owned(), seen));
        self.armed.store(true, Relaxed);
        Some(sightings)
    }

    /// Whether any token is announced.
    pub(super) fn armed(&self) -> bool {
        self.armed.load(Relaxed)
    }

    /// Reports the probes in a batch and returns it without them.
    pub(super) fn pick_out(&self, batch: Batch) -> Batch {
        let mut waiting = self.lock();
        waiting.retain(|(_, who)| !who.is_closed());
        if waiting.is_empty() {
            self.armed.store(false, Relaxed);
            return batch;
        }
        let mut rest = Batch::with_capacity(batch.len(), batch.size_bytes());
        for (origin, message) in batch.iter() {
            let probe =
                waiting.iter().find(|(token, _)| memchr::memmem::find(message, token.as_bytes()).is_some());
            match probe {
                // Who announced it may have gone meanwhile; the probe is no event all the same.
                Some((_, who)) => {
                    let _ = who.send(Sighting { transport: origin.transport, source: origin.source });
                }
                None => rest.push(*origin, message),
            }
        }
        rest
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(String, mpsc::UnboundedSender<Sighting>)>> {
        self.waiting.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// The message that carries a token (RFC 5424, facility syslog, severity debug).
pub fn probe_message(token: &str) -> String {
    format!("<47>1 - - soc-connector - probe - {token}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::Origin;
    use crate::clock::UnixMicros;

    fn batch(messages: &[&str]) -> Batch {
        let mut batch = Batch::default();
        let origin = Origin {
            received: UnixMicros(1),
            source: "192.0.2.7:4000".parse().unwrap(),
            transport: Transport::Udp,
            cut: false,
        };
        for message in messages {
            batch.push(origin, message.as_bytes());
        }
        batch
    }

    #[test]
    fn only_an_announced_probe_is_taken_out_of_the_stream() {
        let probes = Probes::default();
        let probe = probe_message("0123456789abcdef0123");
        let stream = ["<13>before", probe.as_str(), "<13>behind"];
        assert!(!probes.armed());
        let mut seen = probes.announce("0123456789abcdef0123").unwrap();
        assert_eq!(probes.pick_out(batch(&stream)), batch(&["<13>before", "<13>behind"]));
        assert_eq!(seen.try_recv().unwrap().source, "192.0.2.7:4000".parse().unwrap());
        drop(seen);
        assert_eq!(probes.pick_out(batch(&stream)), batch(&stream));
        assert!(!probes.armed());
    }

    #[test]
    fn announcements_are_bounded_and_end_with_who_made_them() {
        let probes = Probes::default();
        assert!(probes.announce("short").is_none());
        let held: Vec<_> =
            (0..MAX_TOKENS).map(|n| probes.announce(&format!("token-number-{n:04}")).unwrap()).collect();
        assert!(probes.announce("one-token-too-many").is_none());
        drop(held);
        assert!(probes.announce("one-token-too-many").is_some());
    }
}
