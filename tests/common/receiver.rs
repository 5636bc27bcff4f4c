//! A receiver of the stream that does what a test wants: acknowledges, falls silent, speaks garbage, hangs up. Real TLS on
//! a real socket, the project's own decoder of Lumberjack.

use super::PATIENCE;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde::Deserialize;
use soc_connector::uplink::lumberjack::{Decoder, Frame, Limits, ack};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// What is kept of an event's text; the tests send ASCII.
pub const BODY_BYTES: usize = 80;

/// What a receiver does with the connections that it accepts from now on.
#[derive(Debug, Clone, Copy)]
pub enum Manner {
    /// Stores, then acknowledges each window.
    Good,
    /// Waits so long before each acknowledgement, with a keep-alive and half of the window acknowledged in between.
    Slow(Duration),
    /// Takes everything and never answers.
    Silent,
    /// Accepts the connection and says nothing at all, not even TLS.
    HalfOpen,
    /// Answers the first window with this.
    Garbage(&'static [u8]),
    /// Acknowledges half of the first window and hangs up.
    HalfAndGone,
    /// Reads so many events and hangs up.
    GoneAfter(usize),
    /// Takes all but the event with this body, on which it hangs up.
    Refuses(&'static str),
}

/// An event that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Got {
    /// `connector.id`.
    pub id: String,
    /// `connector.seq`.
    pub seq: u64,
    /// The beginning of `body`, at most [`BODY_BYTES`]: all of it would fill the memory.
    pub body: String,
    /// On which connection, counted from 0.
    pub connection: usize,
}

#[derive(Deserialize)]
struct Event {
    connector: Connector,
    body: String,
}

#[derive(Deserialize)]
struct Connector {
    id: String,
    seq: u64,
}

struct State {
    manner: Manner,
    /// Every event that was taken by a receiver who answered for it.
    stored: Vec<Got>,
    /// Events that came, stored or not.
    came: usize,
    connections: Vec<TcpStream>,
}

/// The receiver; its threads end with the process.
pub struct Receiver {
    pub address: SocketAddr,
    state: Arc<(Mutex<State>, Condvar)>,
}

impl Receiver {
    /// Begins to listen on loopback.
    pub fn start(config: Arc<ServerConfig>, manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = State { manner, stored: Vec::new(), came: 0, connections: Vec::new() };
        let state = Arc::new((Mutex::new(state), Condvar::new()));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for tcp in listener.incoming() {
                let tcp = tcp.unwrap();
                let (state, config) = (Arc::clone(&shared), Arc::clone(&config));
                let (manner, connection) = {
                    let mut state = state.0.lock().unwrap();
                    state.connections.push(tcp.try_clone().unwrap());
                    (state.manner, state.connections.len() - 1)
                };
                state.1.notify_all();
                // A connection that breaks is what the tests are about.
                std::thread::spawn(move || {
                    let end = tcp.try_clone().unwrap();
                    drop(serve(tcp, config, manner, connection, &state));
                    // The list of connections holds a copy, which alone would keep it open.
                    let _ = end.shutdown(Shutdown::Both);
                });
            }
        });
        Self { address, state }
    }

    /// What it does with the next connections.
    pub fn set(&self, manner: Manner) {
        self.state.0.lock().unwrap().manner = manner;
    }

    /// Ends all connections.
    pub fn hang_up(&self) {
        for connection in &self.state.0.lock().unwrap().connections {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }

    /// How many connections were made.
    pub fn connections(&self) -> usize {
        self.state.0.lock().unwrap().connections.len()
    }

    /// Waits until so many connections were made.
    #[track_caller]
    pub fn wait_connections(&self, count: usize) {
        self.wait_for("connections", |state| state.connections.len() >= count);
    }

    /// Waits until so many events came, whatever became of them.
    #[track_caller]
    pub fn wait_came(&self, count: usize) {
        self.wait_for("events that came", |state| state.came >= count);
    }

    /// Waits until so many different events are stored, and returns them as [`Self::distinct`] does.
    #[track_caller]
    pub fn wait_distinct(&self, count: usize) -> BTreeMap<(String, u64), String> {
        self.wait_for("distinct events", |state| distinct(&state.stored).len() >= count);
        self.distinct()
    }

    /// Waits until an event is stored whose text begins so.
    #[track_caller]
    pub fn wait_body(&self, beginning: &str) {
        self.wait_for(beginning, |state| state.stored.iter().any(|got| got.body.starts_with(beginning)));
    }

    /// All stored events without those that came again, which must be the same.
    pub fn distinct(&self) -> BTreeMap<(String, u64), String> {
        distinct(&self.state.0.lock().unwrap().stored)
    }

    /// All stored events as they came.
    pub fn stored(&self) -> Vec<Got> {
        self.state.0.lock().unwrap().stored.clone()
    }

    #[track_caller]
    fn wait_for(&self, what: &str, condition: impl Fn(&State) -> bool) {
        let until = Instant::now() + PATIENCE;
        let mut state = self.state.0.lock().unwrap();
        while !condition(&state) {
            let left = until.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "never enough {what}: {} came", state.came);
            state = self.state.1.wait_timeout(state, left).unwrap().0;
        }
    }
}

fn distinct(stored: &[Got]) -> BTreeMap<(String, u64), String> {
    let mut events = BTreeMap::new();
    for got in stored {
        let body = events.entry((got.id.clone(), got.seq)).or_insert_with(|| got.body.clone());
        assert_eq!(*body, got.body, "number {} names two events", got.seq);
    }
    events
}

fn serve(
    mut tcp: TcpStream,
    config: Arc<ServerConfig>,
    manner: Manner,
    connection: usize,
    state: &(Mutex<State>, Condvar),
) -> std::io::Result<()> {
    if let Manner::HalfOpen = manner {
        while tcp.read(&mut [0; 4096])? > 0 {}
        return Ok(());
    }
    let mut stream = StreamOwned::new(ServerConnection::new(config).unwrap(), tcp);
    let mut decoder = Decoder::new(Limits::RECEIVER);
    let mut window: (u32, Vec<Got>) = (0, Vec::new());
    let mut seen = 0;
    let mut input = vec![0; 64 << 10];
    loop {
        let length = stream.read(&mut input)?;
        if length == 0 {
            return Ok(());
        }
        decoder.feed(&input[..length]);
        while let Some(frame) = decoder.next().unwrap() {
            match frame {
                Frame::Window(count) => window = (count, Vec::new()),
                Frame::Event { json, .. } => {
                    let Event { connector, mut body } = serde_json::from_slice(json).unwrap();
                    body.truncate(BODY_BYTES);
                    body.shrink_to_fit();
                    window.1.push(Got { id: connector.id, seq: connector.seq, body, connection });
                    seen += 1;
                    state.0.lock().unwrap().came += 1;
                    state.1.notify_all();
                    if matches!(manner, Manner::Refuses(body) if window.1.last().is_some_and(|got| got.body == body))
                    {
                        return Ok(());
                    }
                    if matches!(manner, Manner::GoneAfter(after) if seen >= after) {
                        return Ok(());
                    }
                }
                Frame::Ack(_) => panic!("a sender does not acknowledge"),
            }
            if window.0 == 0 || window.1.len() < window.0 as usize {
                continue;
            }
            let (count, mut events) = std::mem::take(&mut window);
            let answer = |stream: &mut StreamOwned<_, _>, events: &mut Vec<Got>, up_to: u32| {
                state.0.lock().unwrap().stored.append(events);
                state.1.notify_all();
                stream.write_all(&ack(up_to))?;
                stream.flush()
            };
            match manner {
                Manner::Good | Manner::GoneAfter(_) | Manner::Refuses(_) => {
                    answer(&mut stream, &mut events, count)?;
                }
                Manner::Slow(wait) => {
                    stream.write_all(&ack(0))?;
                    stream.flush()?;
                    std::thread::sleep(wait / 2);
                    if count > 1 {
                        let mut rest = events.split_off(count as usize / 2);
                        answer(&mut stream, &mut events, count / 2)?;
                        events = std::mem::take(&mut rest);
                    }
                    std::thread::sleep(wait / 2);
                    answer(&mut stream, &mut events, count)?;
                }
                Manner::Silent => {}
                Manner::HalfOpen => unreachable!("was served above"),
                Manner::Garbage(bytes) => {
                    stream.write_all(bytes)?;
                    stream.flush()?;
                }
                Manner::HalfAndGone => {
                    events.truncate(count.div_ceil(2) as usize);
                    answer(&mut stream, &mut events, count.div_ceil(2))?;
                    return Ok(());
                }
            }
        }
    }
}
