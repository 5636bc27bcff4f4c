//! What the incubator keeps: each client's events for a while, in memory, for that client alone. Pure.
//!
//! A client is its certificate. Events are kept under it, counted under it and handed out under it; there is no way to
//! ask across clients. They leave after a time, or earlier, the oldest first, where a client's bound or the bound for
//! all is reached. A duplicate (the same `connector.id` and `connector.seq`, while the first is still kept) is taken
//! and not kept again: after a lost connection senders repeat what was not acknowledged.
//!
//! A cursor is `EPOCH-NUMBER`: the store's own random name and the number of the last event that the client has seen
//! in it. A cursor of another epoch, from before a restart, means the beginning.

use crate::tls::Fingerprint;
use serde::Deserialize;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// How long events are kept; part of the contract.
pub const KEEP: Duration = Duration::from_secs(600);

/// Longest `connector.id` by which duplicates are found; a longer one is not a connector's.
const MAX_ID_BYTES: usize = 256;

/// What an event costs beside its bytes, roughly.
const EVENT_OVERHEAD_BYTES: usize = 160;

/// What is kept at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// How long.
    pub keep: Duration,
    /// Bytes of one client's events.
    pub client_bytes: usize,
    /// Bytes of all clients' events.
    pub total_bytes: usize,
    /// Bytes of one answer; at least one event is in it where there is one.
    pub answer_bytes: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { keep: KEEP, client_bytes: 32 << 20, total_bytes: 256 << 20, answer_bytes: 1 << 20 }
    }
}

/// An event that was found to be a JSON object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    json: String,
    key: Option<Key>,
}

/// `connector.id` and `connector.seq`.
type Key = (Arc<str>, u64);

/// The payload is no JSON object in UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoObject;

impl Event {
    /// Checks a payload.
    pub fn parse(payload: &[u8]) -> Result<Self, NoObject> {
        /// Of an event, only who sent it is looked at.
        #[derive(Deserialize)]
        struct Outline {
            #[serde(default)]
            connector: Option<serde_json::Value>,
        }
        let json = std::str::from_utf8(payload).map_err(|_| NoObject)?.trim_ascii();
        // A sequence would be taken for a struct too.
        if !json.starts_with('{') {
            return Err(NoObject);
        }
        let outline: Outline = serde_json::from_str(json).map_err(|_| NoObject)?;
        let key = outline.connector.as_ref().and_then(|connector| {
            let id = connector.get("id")?.as_str().filter(|id| id.len() <= MAX_ID_BYTES)?;
            Some((Arc::from(id), connector.get("seq")?.as_u64()?))
        });
        Ok(Self { json: json.to_owned(), key })
    }

    fn cost_bytes(&self) -> usize {
        self.json.len() + self.key.as_ref().map_or(0, |(id, _)| id.len()) + EVENT_OVERHEAD_BYTES
    }
}

#[derive(Debug)]
struct Kept {
    number: u64,
    /// Since the store's beginning.
    at: Duration,
    event: Event,
}

/// One client's events. The record stays when they are gone: its numbers must go on. There are as many records as
/// certificates that the CA has issued and that were used since the start.
#[derive(Debug, Default)]
struct Client {
    /// Number of the last event taken.
    last: u64,
    events: VecDeque<Kept>,
    bytes: usize,
    keys: HashSet<Key>,
}

impl Client {
    fn drop_oldest(&mut self) -> usize {
        let Some(kept) = self.events.pop_front() else { return 0 };
        if let Some(key) = &kept.event.key {
            self.keys.remove(key);
        }
        let cost = kept.event.cost_bytes();
        self.bytes -= cost;
        cost
    }
}

/// The events of all clients.
#[derive(Debug)]
pub struct Store {
    epoch: String,
    bounds: Bounds,
    clients: HashMap<Fingerprint, Client>,
    /// Every kept event in order of arrival, over all clients; some may have left already.
    arrivals: VecDeque<(Fingerprint, u64)>,
    kept: usize,
    bytes: usize,
}

/// What a client is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Where to go on.
    pub cursor: String,
    /// The events, as they came in.
    pub events: Vec<String>,
}

/// A cursor that no incubator has given out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoCursor;

/// Where a client wants to go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum After {
    /// With the oldest event that is kept.
    Beginning,
    /// With what comes in from now on.
    Now,
    /// Behind a cursor.
    Cursor(String),
}

impl Store {
    /// An empty store; `epoch` is drawn at random by the caller and has only letters and digits.
    pub fn new(epoch: String, bounds: Bounds) -> Self {
        debug_assert!(epoch.bytes().all(|b| b.is_ascii_alphanumeric()));
        let (clients, arrivals) = (HashMap::new(), VecDeque::new());
        Self { epoch, bounds, clients, arrivals, kept: 0, bytes: 0 }
    }

    /// Takes a client's event at a time since the store's beginning; whether it was new.
    pub fn add(&mut self, client: Fingerprint, event: Event, now: Duration) -> bool {
        self.expire(now);
        let record = self.clients.entry(client).or_default();
        if let Some(key) = &event.key
            && !record.keys.insert(key.clone())
        {
            return false;
        }
        let cost = event.cost_bytes();
        record.last += 1;
        record.bytes += cost;
        record.events.push_back(Kept { number: record.last, at: now, event });
        self.arrivals.push_back((client, record.last));
        self.kept += 1;
        self.bytes += cost;
        // The event just taken may itself be beyond the bound; then it leaves at once.
        while record.bytes > self.bounds.client_bytes {
            self.bytes -= record.drop_oldest();
            self.kept -= 1;
        }
        while self.bytes > self.bounds.total_bytes && self.drop_oldest() {}
        self.tidy();
        true
    }

    /// A client's own events.
    pub fn after(&mut self, client: &Fingerprint, after: &After, now: Duration) -> Result<Answer, NoCursor> {
        self.expire(now);
        let empty = Client::default();
        let record = self.clients.get(client).unwrap_or(&empty);
        let seen = match after {
            After::Beginning => 0,
            After::Now => record.last,
            After::Cursor(cursor) => self.number(cursor)?,
        };
        let skip = record.events.partition_point(|kept| kept.number <= seen);
        let mut cursor = record.last.max(seen);
        let mut bytes = 0;
        let mut events = Vec::new();
        for kept in record.events.range(skip..) {
            bytes += kept.event.json.len();
            if !events.is_empty() && bytes > self.bounds.answer_bytes {
                break;
            }
            events.push(kept.event.json.clone());
            cursor = kept.number;
        }
        Ok(Answer { cursor: format!("{}-{cursor}", self.epoch), events })
    }

    /// Events kept, of all clients.
    pub fn len(&self) -> usize {
        self.kept
    }

    /// Whether nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.kept == 0
    }

    /// The number behind a cursor; 0 for one of another epoch.
    fn number(&self, cursor: &str) -> Result<u64, NoCursor> {
        let (epoch, number) = cursor.split_once('-').ok_or(NoCursor)?;
        let number: u64 = number.parse().map_err(|_| NoCursor)?;
        Ok(if epoch == self.epoch { number } else { 0 })
    }

    fn expire(&mut self, now: Duration) {
        while let Some((client, number)) = self.arrivals.front() {
            let oldest = self.clients.get(client).and_then(|record| record.events.front());
            match oldest.filter(|kept| kept.number == *number) {
                Some(kept) if kept.at + self.bounds.keep > now => return,
                Some(_) => {
                    self.drop_oldest();
                }
                None => {
                    self.arrivals.pop_front();
                }
            }
        }
    }

    /// Drops the oldest event of all; whether there was one.
    fn drop_oldest(&mut self) -> bool {
        while let Some((client, number)) = self.arrivals.pop_front() {
            let record = self.clients.get_mut(&client).expect("a client's record stays");
            if record.events.front().is_some_and(|kept| kept.number == number) {
                self.bytes -= record.drop_oldest();
                self.kept -= 1;
                return true;
            }
        }
        false
    }

    /// Forgets arrivals that have left by their client's bound, before they outnumber the others.
    fn tidy(&mut self) {
        if self.arrivals.len() > 2 * self.kept + 1024 {
            let clients = &self.clients;
            self.arrivals.retain(|(client, number)| {
                clients[client].events.front().is_some_and(|oldest| *number >= oldest.number)
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rustls_pki_types::CertificateDer;

    fn client(n: u8) -> Fingerprint {
        Fingerprint::of(&CertificateDer::from(vec![n]))
    }

    fn event(id: &str, seq: u64) -> Event {
        Event::parse(format!(r#"{{"body":"x","connector":{{"id":"{id}","seq":{seq}}}}}"#).as_bytes()).unwrap()
    }

    fn store(bounds: Bounds) -> Store {
        Store::new("e".to_owned(), bounds)
    }

    const START: Duration = Duration::ZERO;

    #[test]
    fn two_clients_never_see_each_others_events() {
        let mut store = store(Bounds::default());
        // The same installation name and numbers: only the certificate tells them apart.
        assert!(store.add(client(1), event("same", 1), START));
        assert!(store.add(client(2), event("same", 1), START));
        assert!(store.add(client(2), event("same", 2), START));
        let all = |store: &mut Store, n| store.after(&client(n), &After::Beginning, START).unwrap();
        let (one, two, three) = (all(&mut store, 1), all(&mut store, 2), all(&mut store, 3));
        assert_eq!((one.events.len(), two.events.len(), three.events.len()), (1, 2, 0));
        // A cursor of one, used by the other, shows the other's own events or none.
        let stolen = store.after(&client(1), &After::Cursor(two.cursor), START).unwrap();
        assert_eq!(stolen.events, Vec::<String>::new());
    }

    #[test]
    fn a_cursor_goes_on_where_it_stopped() {
        let mut store = store(Bounds::default());
        assert_eq!(store.after(&client(1), &After::Now, START).unwrap().cursor, "e-0");
        store.add(client(1), event("a", 1), START);
        let now = store.after(&client(1), &After::Now, START).unwrap();
        assert!(now.events.is_empty());
        store.add(client(1), event("a", 2), START);
        let next = store.after(&client(1), &After::Cursor(now.cursor), START).unwrap();
        assert_eq!(next.events.len(), 1);
        assert!(next.events[0].contains(r#""seq":2"#));
        let then = store.after(&client(1), &After::Cursor(next.cursor.clone()), START).unwrap();
        assert_eq!(then, Answer { cursor: next.cursor, events: Vec::new() });
        assert_eq!(store.after(&client(1), &After::Cursor("f-7".to_owned()), START).unwrap().events.len(), 2);
        for cursor in ["", "e", "e-", "e-x", "now"] {
            assert_eq!(store.after(&client(1), &After::Cursor(cursor.to_owned()), START), Err(NoCursor));
        }
    }

    #[test]
    fn a_duplicate_is_taken_once_while_the_first_is_kept() {
        let mut store = store(Bounds::default());
        assert!(store.add(client(1), event("a", 1), START));
        assert!(!store.add(client(1), event("a", 1), START));
        assert!(store.add(client(1), event("b", 1), START));
        assert_eq!(store.len(), 2);
        assert!(store.add(client(1), event("a", 1), KEEP), "the first has left");
    }

    #[test]
    fn events_leave_after_their_time_and_their_cursors_stay_good() {
        let mut store = store(Bounds::default());
        store.add(client(1), event("a", 1), START);
        let cursor = store.after(&client(1), &After::Now, START).unwrap().cursor;
        assert!(store.after(&client(1), &After::Beginning, KEEP).unwrap().events.is_empty());
        assert!(store.is_empty());
        store.add(client(1), event("a", 2), KEEP);
        assert_eq!(store.after(&client(1), &After::Cursor(cursor), KEEP).unwrap().events.len(), 1);
    }

    #[test]
    fn the_oldest_leave_first_where_a_bound_is_reached() {
        let cost = event("a", 1).cost_bytes();
        let mut store = store(Bounds { client_bytes: 2 * cost, total_bytes: 3 * cost, ..Bounds::default() });
        let seqs = |store: &mut Store, n| -> Vec<u64> {
            let events = store.after(&client(n), &After::Beginning, START).unwrap().events;
            events.iter().map(|e| Event::parse(e.as_bytes()).unwrap().key.unwrap().1).collect()
        };
        for seq in 1..=3 {
            store.add(client(1), event("a", seq), START);
        }
        assert_eq!(seqs(&mut store, 1), [2, 3], "the client's bound");
        store.add(client(2), event("a", 1), START);
        store.add(client(2), event("a", 2), START);
        assert_eq!((seqs(&mut store, 1), seqs(&mut store, 2)), (vec![3], vec![1, 2]), "the bound for all");
    }

    #[test]
    fn an_answer_is_bounded_and_never_empty_where_there_are_events() {
        let mut store = store(Bounds { answer_bytes: 1, ..Bounds::default() });
        store.add(client(1), event("a", 1), START);
        store.add(client(1), event("a", 2), START);
        let first = store.after(&client(1), &After::Beginning, START).unwrap();
        let second = store.after(&client(1), &After::Cursor(first.cursor), START).unwrap();
        assert_eq!((first.events.len(), second.events.len()), (1, 1));
        assert_ne!(first.events, second.events);
    }

    #[test]
    fn only_json_objects_are_events() {
        for payload in [&b"{}"[..], b" {\"a\":[1,{\"b\":null}]} ", br#"{"connector":7}"#] {
            assert!(Event::parse(payload).is_ok(), "{}", payload.escape_ascii());
        }
        for payload in [&b""[..], b"[]", b"[null]", b"{", b"{}{}", b"\"x\"", b"{\"a\":\"\xff\"}"] {
            assert_eq!(Event::parse(payload), Err(NoObject), "{}", payload.escape_ascii());
        }
    }

    proptest! {
        /// Whatever comes in, the figures agree with what is kept, and the bounds hold.
        #[test]
        fn the_books_balance(steps in prop::collection::vec((0u8..4, 0u64..30, 0u64..200), 1..300)) {
            let bounds = Bounds { client_bytes: 2000, total_bytes: 5000, ..Bounds::default() };
            let mut store = store(bounds);
            let mut now = START;
            for (who, seq, wait_s) in steps {
                now += Duration::from_secs(wait_s);
                store.add(client(who), event("a", seq), now);
                let kept: usize = store.clients.values().map(|record| record.events.len()).sum();
                let bytes: usize = store.clients.values().map(|record| record.bytes).sum();
                prop_assert_eq!((kept, bytes), (store.kept, store.bytes));
                prop_assert!(bytes <= bounds.total_bytes);
                prop_assert!(store.arrivals.len() <= 2 * kept + 1024);
                for record in store.clients.values() {
                    prop_assert!(record.bytes <= bounds.client_bytes);
                    prop_assert_eq!(record.keys.len(), record.events.len());
                    prop_assert!(record.events.iter().all(|kept| kept.at + KEEP > now));
                }
            }
        }
    }
}
