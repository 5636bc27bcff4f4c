//! The physical limit: reads the bytes and writes as many encrypted bytes as soc-connector does, and nothing else.
//! It parses nothing, keeps nothing on disk and awaits no acknowledgement.

use rustls::{ClientConfig, ClientConnection, StreamOwned};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What is read at once.
const READ_BYTES: usize = 256 * 1024;

/// What is written at once: four whole TLS records.
const WRITE_BYTES: u64 = 64 * 1024;

/// After so long without a datagram what is owed is written.
const PAUSE: Duration = Duration::from_millis(20);

/// How many bytes to write for the bytes that were read.
#[derive(Debug, Clone, Copy)]
pub struct Exchange {
    /// Bytes of a message as it comes over TCP; over UDP each datagram is one.
    pub message_bytes: u64,
    /// Bytes of an event inside TLS.
    pub event_bytes: u64,
}

type Tls = StreamOwned<ClientConnection, TcpStream>;

/// Runs until it is killed.
pub fn run(port: u16, sink: SocketAddr, tls: Arc<ClientConfig>, exchange: Exchange) -> io::Result<()> {
    let name = sink.ip().into();
    let connection = ClientConnection::new(tls, name).map_err(io::Error::other)?;
    let stream = TcpStream::connect(sink)?;
    stream.set_nodelay(true)?;
    let out = Arc::new(Mutex::new(StreamOwned::new(connection, stream)));
    let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, port))?;
    socket2::SockRef::from(&udp).set_recv_buffer_size(16 << 20)?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    {
        let out = Arc::clone(&out);
        std::thread::spawn(move || datagrams(&udp, &out, exchange.event_bytes));
    }
    for stream in listener.incoming() {
        let (stream, out) = (stream?, Arc::clone(&out));
        std::thread::spawn(move || connection_of(stream, &out, exchange));
    }
    Ok(())
}

fn connection_of(mut stream: TcpStream, out: &Mutex<Tls>, exchange: Exchange) -> io::Result<()> {
    let mut buffer = vec![0; READ_BYTES];
    let (mut input, mut written) = (0, 0);
    loop {
        let read = stream.read(&mut buffer)? as u64;
        input += read;
        let owed = input / exchange.message_bytes * exchange.event_bytes - written;
        if owed >= WRITE_BYTES || read == 0 {
            write(out, owed)?;
            written += owed;
        }
        if read == 0 {
            return Ok(());
        }
    }
}

fn datagrams(socket: &UdpSocket, out: &Mutex<Tls>, event_bytes: u64) -> io::Result<()> {
    let mut buffer = vec![0; 65_536];
    let mut owed = 0;
    socket.set_read_timeout(Some(PAUSE))?;
    loop {
        let came = socket.recv(&mut buffer);
        if came.is_ok() {
            owed += event_bytes;
        }
        if owed >= WRITE_BYTES || (came.is_err() && owed > 0) {
            write(out, owed)?;
            owed = 0;
        }
    }
}

fn write(out: &Mutex<Tls>, mut bytes: u64) -> io::Result<()> {
    static PLAIN: [u8; WRITE_BYTES as usize] = [b'x'; WRITE_BYTES as usize];
    let mut out = out.lock().expect("no holder panics");
    while bytes > 0 {
        let now = bytes.min(WRITE_BYTES);
        out.write_all(&PLAIN[..now as usize])?;
        bytes -= now;
    }
    out.flush()
}
