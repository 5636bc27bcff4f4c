//! `test`: three messages, each confirmed by the incubator (manual 1.6.2).

use super::{Session, block_on, confirmations, submit};
use crate::connector::control::Client;
use crate::connector::report::Report;
use crate::console::Console;
use crate::engine::Engine;
use crate::error::{Code, Error, Result};
use crate::incubator::client::Confirmations;
use crate::state::machine::Guarded;
use crate::state::store;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use tokio::time::Instant;

/// Messages in one test.
const MESSAGES: u32 = 3;

/// What can be asked for.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// How long each confirmation is waited for
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub timeout: u64,
}

/// Runs the test, and remembers that it passed: `deploy` needs that.
pub fn exec(dir: &Path, console: Console, options: &Options) -> Result<()> {
    block_on(async {
        let session = Session::exclusive(dir, console, "test").await?;
        let record = session.allow(Guarded::Test)?.expect("test is allowed only after setup");
        let mut record = record.clone();
        let mut client = confirmations(&session.install, &session.settings)?;
        let mut cursor = client.cursor_now().await?;
        let target = submit::local_target(&session.settings.listener);
        let bound = Duration::from_secs(options.timeout);
        let mut last_second = 0;
        for number in 1..=MESSAGES {
            // The number at the end is the Unix time in seconds; it must tell the three messages apart.
            let second = next_second(last_second).await;
            last_second = second;
            let text = format!("SOC-Connector/Incubator test message {second}");
            console.info(format_args!("submitting log message #{number}/{MESSAGES} : {text}"));
            let received = session.received_over_tcp().await;
            submit_message(target, &text).await?;
            if let Err(error) = confirmed(&mut client, &mut cursor, &text, bound).await {
                return Err(session.explain_silence(error, received).await);
            }
            console.info(format_args!("SOC System confirmed log message : {text}"));
        }
        record.tested = true;
        store::save(&session.install, &record)
    })?
}

/// The present Unix time in seconds, as soon as it is later than `last`.
async fn next_second(last: i64) -> i64 {
    loop {
        let now = chrono::Utc::now();
        if now.timestamp() > last {
            return now.timestamp();
        }
        tokio::time::sleep(Duration::from_millis(1000 - u64::from(now.timestamp_subsec_millis().min(999))))
            .await;
    }
}

async fn submit_message(target: SocketAddr, text: &str) -> Result<()> {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let now = chrono::Local::now().to_rfc3339_opts(chrono::SecondsFormat::Micros, false);
    let message = format!("<13>1 {now} {host} soc-connector {} - - {text}", std::process::id());
    submit::tcp(target, &message).await.map_err(|error| {
        Error::new(Code::TestNotSubmitted, format!("no message can be sent to {target}")).caused_by(error)
    })
}

/// Waits until the incubator gives back the event with this body.
async fn confirmed(
    client: &mut Confirmations,
    cursor: &mut String,
    text: &str,
    bound: Duration,
) -> Result<()> {
    let until = Instant::now() + bound;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            let what = format!("no confirmation of \"{text}\" within {} s", bound.as_secs());
            return Err(Error::new(Code::TestNotConfirmed, what));
        }
        // At least a second, so that the last question is not asked in a rush.
        let wait = left.clamp(Duration::from_secs(1), Duration::from_secs(10));
        let (next, events) = client.next(cursor, wait).await?;
        *cursor = next;
        if events.iter().any(|event| event["body"] == text) {
            return Ok(());
        }
    }
}

impl<E: Engine> Session<E> {
    /// How many messages the connector has received the way that the test goes; 0 where it does not say.
    async fn received_over_tcp(&self) -> u64 {
        let report = Client::new(self.install.run_dir()).status().await;
        report.map_or(0, |report| report.listener.counters.tcp_messages)
    }

    /// Finds out how far the message came, so that the error says where to look. `received_before` is
    /// [`Self::received_over_tcp`] before it was sent.
    async fn explain_silence(&self, error: Error, received_before: u64) -> Error {
        if error.code() != Code::TestNotConfirmed {
            return error;
        }
        match Client::new(self.install.run_dir()).status().await {
            Ok(report) => verdict(error, &report, received_before),
            Err(silent) => {
                Error::new(Code::TestNotRunning, "the connector no longer answers").caused_by(silent)
            }
        }
    }
}

/// Where a message that was not confirmed got stuck, by what the connector says of itself.
fn verdict(error: Error, report: &Report, received_before: u64) -> Error {
    let what = error.what();
    if let Some(why) = &report.unhealthy {
        return Error::new(Code::TestNoRoute, format!("{what}; {why}"));
    }
    if report.listener.counters.tcp_messages <= received_before {
        return Error::new(Code::TestNotArrived, format!("{what}; nothing arrived at the listener"));
    }
    if report.spool.events > 0 {
        let waiting = report.spool.events;
        let last = report.uplink.last_error.as_ref().filter(|_| report.uplink.in_use.is_none());
        let why = last.map_or(String::new(), |last| format!(": {}", last.error));
        return Error::new(Code::TestNoRoute, format!("{what}; {waiting} events wait in the spool{why}"));
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn silence_is_explained_by_how_far_the_message_came() {
        // What a connector reports in which the message arrived and was acknowledged.
        let report = |change: &dyn Fn(&mut serde_json::Value)| -> Report {
            let mut report = json!({
                "version": "0", "mode": "stage", "connector_id": "a-b", "started": "", "unhealthy": null,
                "listener": {
                    "alive": true, "addresses": [], "udp_buffer_bytes": 0, "udp_messages": 0, "udp_bytes": 0,
                    "tcp_messages": 5, "tcp_bytes": 0, "cut": 0, "connections": 0, "connections_total": 0,
                    "connections_refused": 0, "connections_idle_closed": 0, "connections_unfinished_closed": 0,
                },
                "spool": {
                    "events": 0, "size_bytes": 0, "last_seq": 5, "durable_seq": 5, "acknowledged_seq": 5,
                    "oldest_received_s": null, "dropped_full": 0, "lost_corrupt": 0, "lost_missing": 0,
                    "full": false, "failing": null,
                },
                "uplink": serde_json::to_value(crate::uplink::Snapshot::default()).unwrap(),
            });
            change(&mut report);
            serde_json::from_value(report).unwrap()
        };
        let refused = json!({ "error": "E701 no route to host", "at_s": 0 });
        for (change, code, words) in [
            (&(|_: &mut serde_json::Value| {}) as &dyn Fn(&mut _), Code::TestNotConfirmed, "no confirmation"),
            (
                &|r: &mut serde_json::Value| r["listener"]["tcp_messages"] = json!(4),
                Code::TestNotArrived,
                "nothing arrived",
            ),
            (
                &|r: &mut serde_json::Value| r["spool"]["events"] = json!(1),
                Code::TestNoRoute,
                "1 events wait",
            ),
            (
                &|r: &mut serde_json::Value| {
                    r["spool"]["events"] = json!(1);
                    r["uplink"]["last_error"] = refused.clone();
                },
                Code::TestNoRoute,
                "no route to host",
            ),
            (&|r: &mut serde_json::Value| r["unhealthy"] = json!("refused"), Code::TestNoRoute, "refused"),
        ] {
            let error = Error::new(Code::TestNotConfirmed, "no confirmation of \"text\" within 60 s");
            let told = verdict(error, &report(change), 4);
            assert_eq!(told.code(), code, "{told}");
            assert!(told.what().contains(words), "{told}");
        }
    }
}
