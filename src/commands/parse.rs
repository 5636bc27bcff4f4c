//! `parse [FILE]`: shows for each line what event it becomes and which rule reads it, before a device is connected.

use super::sample::pretty;
use crate::batch::{Origin, Transport};
use crate::clock::{Clock, SystemClock};
use crate::console::Console;
use crate::error::{Code, Error, Result};
use crate::install::Install;
use crate::settings;
use crate::syslog::framing::{Frame, Framer};
use crate::syslog::normaliser::Normaliser;
use serde_json::Value;
use std::fs::File;
use std::io::{self, Read};
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
    // The zones of an installation, where there is one here; else the defaults.
    let settings =
        Install::open(dir).and_then(|install| settings::load_in_force(&install)).unwrap_or_default();
    let unreadable = |error: io::Error| {
        let name =
            options.file.as_ref().map_or("standard input".to_owned(), |file| file.display().to_string());
        Error::new(Code::InputUnreadable, format!("{name} cannot be read")).caused_by(error)
    };
    let mut input: Box<dyn Read> = match &options.file {
        Some(file) => Box::new(File::open(file).map_err(unreadable)?),
        None => Box::new(io::stdin().lock()),
    };
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
