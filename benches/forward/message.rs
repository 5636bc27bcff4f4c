//! The messages that are sent: the same for every forwarder, of an exact length, each with room for the time of sending.

use std::time::{SystemTime, UNIX_EPOCH};

/// How many different messages there are; then they begin again.
pub const VARIETY: usize = 512;

/// What stands before the time of sending in each message. The sink looks for it.
pub const MARK: &[u8] = b"ns=";

/// Digits of the time of sending: nanoseconds since 1970 until the year 2286.
pub const NANOS_DIGITS: usize = 19;

/// The form of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    /// RFC 5424.
    Rfc5424,
    /// RFC 3164.
    Rfc3164,
}

impl Form {
    /// Its name in the tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rfc5424 => "RFC 5424",
            Self::Rfc3164 => "RFC 3164",
        }
    }
}

/// [`VARIETY`] messages of one length, one after the other, each with a newline.
pub struct Messages {
    bytes: Vec<u8>,
    /// Bytes of a message with its newline.
    stride: usize,
    /// Where in each message the digits of the time of sending begin.
    time_at: Vec<usize>,
}

impl Messages {
    /// Messages of `length` bytes each, without the newline; 100 at least.
    pub fn new(form: Form, length: usize) -> Self {
        const APPS: [&str; 8] = ["sshd", "nginx", "cron", "dovecot", "named", "sudo", "kernel", "dhcpd"];
        const TEXT: &str = "Accepted connection from 198.51.100.23 port 52144, user \"m.muster\" via proxy \
                            cache-2, 4711 bytes in 0.012 s, policy default/allow, session closed cleanly; ";
        assert!(length >= 100, "the header, the time of sending and some text take 100 bytes");
        let mut bytes = Vec::with_capacity(VARIETY * (length + 1));
        let mut time_at = Vec::with_capacity(VARIETY);
        for number in 0..VARIETY {
            let start = bytes.len();
            let app = APPS[number % APPS.len()];
            let (host, process, priority) = (number % 97, 1000 + number * 7, 8 * (number % 24) + number % 8);
            let header = match form {
                Form::Rfc5424 => {
                    let data = if length < 200 { "-" } else { "[origin ip=\"192.0.2.17\" software=\"app\"]" };
                    format!(
                        "<{priority}>1 2026-11-25T06:30:00.{number:06}Z web-{host:02} {app} {process} - {data} "
                    )
                }
                Form::Rfc3164 => {
                    format!("<{priority}>Nov 25 06:30:{:02} web-{host:02} {app}[{process}]: ", number % 60)
                }
            };
            bytes.extend_from_slice(header.as_bytes());
            bytes.extend_from_slice(MARK);
            time_at.push(bytes.len());
            bytes.resize(bytes.len() + NANOS_DIGITS, b'0');
            bytes.push(b' ');
            let text = TEXT.bytes().cycle().skip(number % TEXT.len());
            let missing = (start + length).checked_sub(bytes.len()).expect("headers are short");
            bytes.extend(text.take(missing));
            bytes.push(b'\n');
        }
        Self { bytes, stride: length + 1, time_at }
    }

    /// Bytes of a message on a TCP connection: with its newline.
    pub fn wire_bytes(&self) -> usize {
        self.stride
    }

    /// The message with this number without its newline.
    pub fn get(&self, number: usize) -> &[u8] {
        let start = number % VARIETY * self.stride;
        &self.bytes[start..start + self.stride - 1]
    }

    /// `count` messages with their newlines, of those of one turn: as many as there are before the turn ends.
    pub fn lines(&self, number: usize, count: usize) -> (&[u8], usize) {
        let first = number % VARIETY;
        let count = count.min(VARIETY - first);
        (&self.bytes[first * self.stride..(first + count) * self.stride], count)
    }

    /// Writes the present time into the message with this number.
    pub fn stamp(&mut self, number: usize) {
        let at = self.time_at[number % VARIETY];
        let mut nanos = now_nanos();
        for digit in self.bytes[at..at + NANOS_DIGITS].iter_mut().rev() {
            *digit = b'0' + (nanos % 10) as u8;
            nanos /= 10;
        }
    }
}

/// Nanoseconds since 1970.
pub fn now_nanos() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is set");
    u64::try_from(since.as_nanos()).expect("before the year 2554")
}
