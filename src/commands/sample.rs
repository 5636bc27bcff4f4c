//! `sample`: prints every event that the incubator confirms (manual 1.7.2), until Ctrl-C.

use super::{Session, block_on, confirmations};
use crate::console::{Console, printable};
use crate::error::Result;
use crate::state::machine::Guarded;
use serde_json::{Map, Value};
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// One more dot each time; manual 1.7.2 says about ten seconds.
const DOT: Duration = Duration::from_secs(10);
/// After a failed question; the incubator may be restarting.
const RETRY: Duration = Duration::from_secs(5);

/// The event's own fields in the manual's order; `connector` comes after them.
const FIELDS: [&str; 12] = [
    "appInst",
    "appName",
    "body",
    "event_raw",
    "facility",
    "hostName",
    "priority",
    "procId",
    "severity",
    "structuredData",
    "syslogTag",
    "timestamp",
];

/// Prints until Ctrl-C.
pub fn exec(dir: &Path, console: Console) -> Result<()> {
    block_on(async {
        let session = Session::shared(dir, console).await?;
        session.allow(Guarded::Sample)?;
        let mut client = confirmations(&session.install, &session.settings)?;
        // From now on: what came before the command is not shown.
        let mut cursor = client.cursor_now().await?;
        let mut interrupt = signal(SignalKind::interrupt()).expect("signals can be received in a runtime");
        let mut terminate = signal(SignalKind::terminate()).expect("signals can be received in a runtime");
        let mut line = Waiting::begin(console);
        loop {
            let answer = tokio::select! {
                answer = client.next(&cursor, DOT) => answer,
                _ = interrupt.recv() => break,
                _ = terminate.recv() => break,
            };
            match answer {
                Ok((next, events)) if events.is_empty() => {
                    cursor = next;
                    line.dot();
                }
                Ok((next, events)) => {
                    cursor = next;
                    line.end();
                    for event in &events {
                        print_event(console, event);
                    }
                    line = Waiting::begin(console);
                }
                Err(error) => {
                    line.end();
                    console.warn_error(&error);
                    tokio::select! {
                        () = tokio::time::sleep(RETRY) => {}
                        _ = interrupt.recv() => break,
                        _ = terminate.recv() => break,
                    }
                    line = Waiting::begin(console);
                }
            }
        }
        line.end();
        Ok(())
    })?
}

/// The line `waiting for confirmation ...` that grows by a dot.
pub(super) struct Waiting {
    shown: bool,
}

impl Waiting {
    pub(super) fn begin(console: Console) -> Self {
        let waiting = Self { shown: !console.is_json() };
        waiting.write("waiting for confirmation ...");
        waiting
    }

    pub(super) fn dot(&self) {
        self.write(".");
    }

    pub(super) fn end(&self) {
        self.write("\n");
    }

    fn write(&self, text: &str) {
        if self.shown {
            let mut stdout = io::stdout().lock();
            // A reader that went away is not an error of ours.
            let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
        }
    }
}

/// Prints one confirmed event as in the manual's 1.7.2, or as one JSON line.
pub(super) fn print_event(console: Console, event: &Value) {
    if console.is_json() {
        console.value(event);
    } else {
        console.info(format_args!("SOC System confirmed log message : {}", pretty(event)));
    }
}

/// The event in the manual's order and indentation, harmless for a terminal.
pub(super) fn pretty(event: &Value) -> String {
    let Value::Object(fields) = event else { return event.to_string() };
    let mut rows = Vec::with_capacity(fields.len());
    let known = FIELDS.iter().filter_map(|&name| fields.get_key_value(name));
    let others = fields.iter().filter(|(name, _)| !FIELDS.contains(&name.as_str()));
    for (name, value) in known.chain(others) {
        let value = match value {
            Value::Object(inner) => inner_object(inner),
            other => other.to_string(),
        };
        rows.push(format!("  {}: {value}", Value::from(name.as_str())));
    }
    // JSON leaves DEL and the C1 controls as they are.
    printable(&format!("{{\n{}\n}}", rows.join(",\n"))).into_owned()
}

fn inner_object(fields: &Map<String, Value>) -> String {
    let rows: Vec<String> =
        fields.iter().map(|(name, value)| format!("    {}: {value}", Value::from(name.as_str()))).collect();
    format!("{{\n{}\n  }}", rows.join(",\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_event_is_printed_as_the_manual_shows_it() {
        let event = json!({
            "connector": {"id": "a-b", "seq": 7}, "timestamp": "2023-01-23T16:34:27.097246+01:00",
            "syslogTag": "myapp", "structuredData": "[timeQuality tzKnown=\"1\" isSynced=\"0\"]", "severity": "5",
            "procId": "-", "priority": "13", "hostName": "myhostname", "facility": "1",
            "event_raw": "<13>1 2023 \u{9b}", "body": "This is my very important log message!",
            "appName": "myapp", "appInst": "myapp",
        });
        let expected = r#"{
  "appInst": "myapp",
  "appName": "myapp",
  "body": "This is my very important log message!",
  "event_raw": "<13>1 2023 \u{9b}",
  "facility": "1",
  "hostName": "myhostname",
  "priority": "13",
  "procId": "-",
  "severity": "5",
  "structuredData": "[timeQuality tzKnown=\"1\" isSynced=\"0\"]",
  "syslogTag": "myapp",
  "timestamp": "2023-01-23T16:34:27.097246+01:00",
  "connector": {
    "id": "a-b",
    "seq": 7
  }
}"#;
        assert_eq!(pretty(&event), expected);
    }
}
