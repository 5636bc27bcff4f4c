//! `parse [FILE]`: shows for each line what event it becomes and which rule reads it, before a device is connected, by
//! the settings file as it is now.
//!
//! On a terminal the names of fields and the rule are in colour, unless `NO_COLOR` is set (<https://no-color.org>).

use super::sample::pretty;
use crate::batch::{Origin, Transport};
use crate::clock::{Clock, SystemClock};
use crate::console::Console;
use crate::error::{Code, Error, Result};
use crate::install::Install;
use crate::settings;
use crate::syslog::framing::{Frame, Framer};
use crate::syslog::normaliser::Normaliser;
use crate::syslog::parse::RAW;
use serde_json::Value;
use std::fs::File;
use std::io::{self, IsTerminal as _, Read};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

/// What is read.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// A file of messages, one a line or with octet counts; standard input where none is given
    pub file: Option<PathBuf>,
    /// Address that the messages are taken to come from
    #[arg(long, value_name = "ADDRESS", default_value = "192.0.2.1")]
    pub source: IpAddr,
}

/// What is read at a time, in bytes.
const READ_BYTES: usize = 64 * 1024;

/// Shows every message's event. With `--json` one object a line.
pub fn exec(dir: &Path, console: Console, options: &Options) -> Result<()> {
    // As edited: a zone or a charset is tried out here before setup accepts it.
    let settings = settings::load_edited(&Install::open(dir)?)?;
    let unreadable = |error: io::Error| {
        let name =
            options.file.as_ref().map_or("standard input".to_owned(), |file| file.display().to_string());
        Error::new(Code::InputUnreadable, format!("{name} cannot be read")).caused_by(error)
    };
    let mut input: Box<dyn Read> = match &options.file {
        Some(file) => Box::new(File::open(file).map_err(unreadable)?),
        None => Box::new(io::stdin().lock()),
    };
    let colours = wants_colours();
    let mut normaliser = Normaliser::new(&settings.normaliser, "parse");
    let mut framer = Framer::new(settings.listener.max_message_bytes);
    let mut seq = 0;
    let mut line = Vec::new();
    let mut show = |Frame { message, cut }: Frame<'_>| {
        seq += 1;
        let origin = Origin {
            received: SystemClock.now(),
            source: SocketAddr::new(options.source, 514),
            transport: Transport::Tcp,
            cut,
        };
        line.clear();
        let rule = normaliser.write_event(&mut line, seq, &origin, message);
        let event: Value = serde_json::from_slice(&line).expect("an event is JSON");
        if console.is_json() {
            console.value(&event);
        } else if colours {
            console.painted(&painted(seq, rule, &pretty(&event)));
        } else {
            console.info(format_args!("message {seq}, rule {rule}: {}", pretty(&event)));
        }
    };
    let mut buffer = vec![0; READ_BYTES];
    loop {
        match input.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => framer.push(&buffer[..length], &mut show),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(unreadable(error)),
        }
    }
    framer.finish(&mut show);
    Ok(())
}

/// Whether standard output shows colours and nobody wants it without.
fn wants_colours() -> bool {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    io::stdout().is_terminal() && set("NO_COLOR").is_none() && set("TERM").is_none_or(|term| term != "dumb")
}

/// The line of a message: the rule green, or yellow where none read it, and the names of the event's fields cyan.
fn painted(seq: u64, rule: &str, event: &str) -> String {
    let paint = |colour: u8, text: &str| format!("\x1b[{colour}m{text}\x1b[0m");
    let rule = paint(if rule == RAW { 33 } else { 32 }, rule);
    let rows: Vec<String> = event
        .lines()
        .map(|row| {
            let start = row.len() - row.trim_start().len();
            match row.find("\": ") {
                Some(end) => format!("{}{}{}", &row[..start], paint(36, &row[start..=end]), &row[end + 1..]),
                None => row.to_owned(),
            }
        })
        .collect();
    format!("INFO - message {seq}, rule {rule}: {}", rows.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_change_nothing_but_the_colour() {
        let event = "{\n  \"body\": \"a \\\"x\\\": b\",\n  \"connector\": {\n    \"seq\": 7\n  }\n}";
        let text = painted(7, "rfc3164", event);
        assert!(
            text.starts_with("INFO - message 7, rule \x1b[32mrfc3164\x1b[0m: {\n  \x1b[36m\"body\"\x1b[0m: ")
        );
        let mut plain = text.clone();
        for code in ["\x1b[32m", "\x1b[36m", "\x1b[0m"] {
            plain = plain.replace(code, "");
        }
        assert_eq!(plain, format!("INFO - message 7, rule rfc3164: {event}"));
        assert!(painted(1, RAW, event).contains("\x1b[33mraw"));
    }
}
