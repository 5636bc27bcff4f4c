//! The receiver that every forwarder sends to: mutual TLS, counts events and keeps nothing.
//!
//! It shares the processors with what is measured, so it does as little as can be done: a Lumberjack event is passed
//! over by its length, a line by its newline.

use crate::message::{MARK, NANOS_DIGITS, now_nanos};
use flate2::read::ZlibDecoder;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What is read at once.
const READ_BYTES: usize = 256 * 1024;

/// What a forwarder sends inside TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Lumberjack v2; every window is acknowledged.
    Lumberjack,
    /// One JSON object a line.
    Lines,
    /// Any bytes; so many are counted as an event.
    Bytes(u64),
}

/// What came in, as seen while it comes.
#[derive(Debug, Default)]
pub struct Counts {
    events: AtomicU64,
    /// Plain bytes inside TLS.
    bytes: AtomicU64,
    /// Nanoseconds since 1970 of the last read that ended an event.
    last_nanos: AtomicU64,
    /// The same of the first.
    first_nanos: AtomicU64,
    /// Whether the times of sending are read.
    timed: AtomicBool,
    /// Pause after each read, in microseconds: a receiver that is slow.
    pause_micros: AtomicU64,
    /// From the sender's write to the sink's read, in microseconds.
    latencies: Mutex<Vec<u32>>,
}

impl Counts {
    /// Events so far.
    pub fn events(&self) -> u64 {
        self.events.load(Relaxed)
    }

    /// Plain bytes so far.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }

    /// When the first event came, in nanoseconds since 1970.
    pub fn first_nanos(&self) -> u64 {
        self.first_nanos.load(Relaxed)
    }

    /// When the last event came, in nanoseconds since 1970.
    pub fn last_nanos(&self) -> u64 {
        self.last_nanos.load(Relaxed)
    }

    /// Starts to note latencies.
    pub fn time(&self) {
        self.timed.store(true, Relaxed);
    }

    /// From now on so long a pause after each read.
    pub fn slow_down(&self, pause: Duration) {
        self.pause_micros.store(pause.as_micros() as u64, Relaxed);
    }

    /// Latencies so far, in microseconds; they are taken out.
    pub fn take_latencies(&self) -> Vec<u32> {
        std::mem::take(&mut self.latencies.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn add(&self, events: u64, bytes: u64) {
        self.bytes.fetch_add(bytes, Relaxed);
        if events > 0 {
            let now = now_nanos();
            self.last_nanos.store(now, Relaxed);
            let _ = self.first_nanos.compare_exchange(0, now, Relaxed, Relaxed);
            self.events.fetch_add(events, Relaxed);
        }
    }

    /// Notes the latency of each event in these bytes. Each message carries its time twice, in the whole text and in
    /// the body; the first is taken.
    fn note(&self, event: &[u8]) {
        let Some(at) = memchr::memmem::find(event, MARK) else { return };
        let Some(digits) = event.get(at + MARK.len()..at + MARK.len() + NANOS_DIGITS) else { return };
        let sent = digits.iter().fold(0u64, |sum, digit| sum * 10 + u64::from(digit.wrapping_sub(b'0')));
        let micros = now_nanos().saturating_sub(sent) / 1000;
        let mut latencies = self.latencies.lock().unwrap_or_else(PoisonError::into_inner);
        latencies.push(u32::try_from(micros).unwrap_or(u32::MAX));
    }
}

/// A sink that listens; dropped, it refuses and ends every connection.
pub struct Sink {
    /// What it counts.
    pub counts: Arc<Counts>,
    address: SocketAddr,
    stopping: Arc<AtomicBool>,
    connections: Arc<Mutex<Vec<TcpStream>>>,
    acceptor: Option<std::thread::JoinHandle<()>>,
}

impl Sink {
    /// Listens on a port of loopback; 0 lets the kernel choose.
    pub fn start(port: u16, format: Format, tls: &Arc<ServerConfig>) -> io::Result<Self> {
        Self::listen(port, format, tls, Arc::default())
    }

    /// Refuses and ends every connection.
    pub fn close(&mut self) {
        let Some(acceptor) = self.acceptor.take() else { return };
        self.stopping.store(true, Relaxed);
        // Wakes the acceptor, which then sees that it is to end.
        let _ = TcpStream::connect_timeout(&self.address, Duration::from_secs(1));
        let _ = acceptor.join();
        for stream in self.connections.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Listens again on the same port after it was closed, and counts on.
    pub fn open(&mut self, format: Format, tls: &Arc<ServerConfig>) -> io::Result<()> {
        *self = Self::listen(self.port(), format, tls, Arc::clone(&self.counts))?;
        Ok(())
    }

    fn listen(port: u16, format: Format, tls: &Arc<ServerConfig>, counts: Arc<Counts>) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        let address = listener.local_addr()?;
        let stopping = Arc::new(AtomicBool::new(false));
        let connections = Arc::new(Mutex::new(Vec::new()));
        let acceptor = {
            let (counts, stopping, connections) =
                (Arc::clone(&counts), Arc::clone(&stopping), Arc::clone(&connections));
            let tls = Arc::clone(tls);
            std::thread::spawn(move || {
                for stream in listener.incoming().map_while(Result::ok) {
                    if stopping.load(Relaxed) {
                        break;
                    }
                    if let Ok(second) = stream.try_clone() {
                        connections.lock().unwrap_or_else(PoisonError::into_inner).push(second);
                    }
                    let (counts, tls) = (Arc::clone(&counts), Arc::clone(&tls));
                    std::thread::spawn(move || {
                        // The end of a connection is no event here: what is missing is seen in the counts.
                        let _ = serve(stream, format, &tls, &counts);
                    });
                }
            })
        };
        Ok(Self { counts, address, stopping, connections, acceptor: Some(acceptor) })
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.address.port()
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.close();
    }
}

fn serve(stream: TcpStream, format: Format, tls: &Arc<ServerConfig>, counts: &Counts) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let connection = ServerConnection::new(Arc::clone(tls)).map_err(io::Error::other)?;
    let mut stream = StreamOwned::new(connection, stream);
    let mut buffer = vec![0; READ_BYTES];
    // How much of the buffer's beginning is an event, or its header, that is not whole yet.
    let mut kept = 0;
    let mut windows = Windows::default();
    let mut rest = 0;
    loop {
        if kept == buffer.len() {
            buffer.resize(buffer.len() * 2, 0);
        }
        let read = stream.read(&mut buffer[kept..])?;
        if read == 0 {
            return Ok(());
        }
        let pause = counts.pause_micros.load(Relaxed);
        if pause > 0 {
            std::thread::sleep(Duration::from_micros(pause));
        }
        let timed = counts.timed.load(Relaxed);
        let filled = &buffer[..kept + read];
        let (events, used) = match format {
            Format::Lumberjack => windows.take(filled, |event| {
                if timed {
                    counts.note(event);
                }
            })?,
            Format::Lines if timed => {
                let used = memchr::memrchr(b'\n', filled).map_or(0, |at| at + 1);
                let lines = filled[..used].split_inclusive(|&byte| byte == b'\n');
                (lines.inspect(|line| counts.note(line)).count() as u64, used)
            }
            Format::Lines => (memchr::memchr_iter(b'\n', &filled[kept..]).count() as u64, filled.len()),
            Format::Bytes(each) => {
                rest += read as u64;
                let events = rest / each;
                rest %= each;
                (events, filled.len())
            }
        };
        let length = filled.len();
        buffer.copy_within(used..length, 0);
        kept = length - used;
        counts.add(events, read as u64);
        for sequence in windows.acknowledge.drain(..) {
            let mut ack = *b"2A\0\0\0\0";
            ack[2..].copy_from_slice(&sequence.to_be_bytes());
            stream.write_all(&ack)?;
        }
        stream.flush()?;
    }
}

/// The state of a Lumberjack stream: `2 W count`, `2 J sequence length payload`, `2 C length zlib`, numbers in 32 bits,
/// big-endian (`PROTOCOL.md` in logstash-plugins/logstash-input-beats).
#[derive(Debug, Default)]
struct Windows {
    /// Events of the window that are still to come.
    missing: u32,
    /// Windows that came whole, by their last sequence number.
    acknowledge: Vec<u32>,
}

impl Windows {
    /// Takes every whole frame; returns the events and the bytes of them.
    fn take(&mut self, bytes: &[u8], mut event: impl FnMut(&[u8])) -> io::Result<(u64, usize)> {
        self.take_frames(bytes, &mut event)
    }

    fn take_frames(&mut self, bytes: &[u8], event: &mut dyn FnMut(&[u8])) -> io::Result<(u64, usize)> {
        let number = |at: usize| {
            bytes.get(at..at + 4).map(|four| u32::from_be_bytes(four.try_into().expect("four bytes")))
        };
        let (mut events, mut at) = (0, 0);
        while let (Some(&[b'2', kind]), Some(first)) = (bytes.get(at..at + 2), number(at + 2)) {
            match kind {
                b'W' => {
                    self.missing = first;
                    at += 6;
                }
                b'J' => {
                    let Some(length) = number(at + 6) else { break };
                    let Some(payload) = bytes.get(at + 10..at + 10 + length as usize) else { break };
                    event(payload);
                    at += 10 + payload.len();
                    events += 1;
                    self.missing = self.missing.saturating_sub(1);
                    if self.missing == 0 {
                        self.acknowledge.push(first);
                    }
                }
                b'C' => {
                    let Some(payload) = bytes.get(at + 6..at + 6 + first as usize) else { break };
                    let mut plain = Vec::new();
                    ZlibDecoder::new(payload).read_to_end(&mut plain)?;
                    events += self.take_frames(&plain, event)?.0;
                    at += 6 + payload.len();
                }
                other => return Err(io::Error::other(format!("frame of type {other:#04x}"))),
            }
        }
        if bytes.get(at).is_some_and(|&version| version != b'2') {
            return Err(io::Error::other("no Lumberjack v2"));
        }
        Ok((events, at))
    }
}

/// Waits until the sink has `events`, or until none came for `silence`; returns how many it has.
pub fn wait_for(counts: &Counts, events: u64, silence: Duration) -> u64 {
    let (mut seen, mut since) = (counts.events(), Instant::now());
    while seen < events && since.elapsed() < silence {
        std::thread::sleep(Duration::from_millis(2));
        let now = counts.events();
        if now != seen {
            (seen, since) = (now, Instant::now());
        }
    }
    counts.events()
}
