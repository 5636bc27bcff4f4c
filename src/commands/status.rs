//! `status`: the manual's line first (1.5), then what an operator wants to know next.

use super::{Session, block_on};
use crate::checks::certificate;
use crate::clock::{Clock, SystemClock};
use crate::connector::control::Client;
use crate::connector::exporter::{self, Exporter};
use crate::connector::report::{Listener, Report};
use crate::console::Console;
use crate::engine::{ContainerState, Engine, Info};
use crate::error::{Code, Error, Result};
use crate::install::Install;
use crate::state::{Mode, State, store};
use crate::tls::Identity;
use crate::uplink::choice::Breaker;
use crate::uplink::status::{EndpointState, SLOW_AFTER};
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};
use std::path::Path;

/// Days before the end of the certificate from which on every status says so.
const CERTIFICATE_WARNING_DAYS: i64 = 30;

/// Shows the state.
pub fn exec(dir: &Path, console: Console) -> Result<()> {
    block_on(async {
        let session = match Session::shared(dir, console).await {
            Ok(session) => session,
            Err(error) => return before_setup(dir, console, error),
        };
        let engine = session.engine.info().await?;
        let report = if session.running() {
            Some(Client::new(session.install.run_dir()).status().await)
        } else {
            None
        };
        if console.is_json() {
            console.value(&session.as_json(&engine, report.as_ref()));
            return Ok(());
        }
        console.info(session.state());
        session.tell_installation(&engine);
        match &report {
            Some(Ok(report)) => tell_running(console, report),
            Some(Err(error)) => console.warn_error(error),
            None => session.tell_backlog(),
        }
        Ok(())
    })?
}

/// Before setup there may be no engine yet, and the state is known without one; after it what is known is said.
fn before_setup(dir: &Path, console: Console, error: Error) -> Result<()> {
    let engine_missing =
        !matches!(error.code(), Code::SettingsInvalid | Code::SettingsUnreadable | Code::DirExposed);
    let record = store::load(&Install::open(dir)?)?;
    if let Some(record) = &record
        && !console.is_json()
    {
        let due = if record.setup_due { ", but due again since `update` brought a newer image" } else { "" };
        console.info(format_args!(
            "setup is complete{due}, mode {}; whether the connector runs is not known:",
            record.mode.name()
        ));
    }
    if record.is_some() {
        return Err(error);
    }
    if !engine_missing {
        if !console.is_json() {
            console.info(State::Incomplete);
        }
        return Err(error);
    }
    if console.is_json() {
        console.value(&json!({
            "setup": "incomplete", "mode": Value::Null, "connector": Value::Null, "engine": problem(&error),
        }));
    } else {
        console.info(State::Incomplete);
        console.warn_error(&error);
    }
    Ok(())
}

impl<E: Engine> Session<E> {
    fn tell_installation(&self, engine: &Info) {
        let console = self.console;
        let rootless = if engine.rootless { ", rootless" } else { "" };
        let sudo = if self.settings.engine.sudo { ", through sudo" } else { "" };
        let network =
            self.record.as_ref().map_or(String::new(), |record| format!(", network {}", record.network));
        console.info(format_args!(
            "Engine: {} {}{rootless}{sudo}{network}",
            engine.kind.name(),
            engine.version
        ));
        match &self.container {
            Some(container) if !self.running() => console.warn(format_args!(
                "there is a leftover container {} ({}); `start` replaces it, `delete` removes it",
                self.container_name(),
                state_word(&container.state)
            )),
            Some(container) if container.restarts > 0 => console.warn(format_args!(
                "the engine restarted the connector {} times since `start`; logs/connector.log says why",
                container.restarts
            )),
            _ => {}
        }
        if self.record.as_ref().is_some_and(|record| record.setup_due) {
            console.warn("`update` brought a newer image; run `setup` and the tests");
        }
        if self.record.is_some() && self.settings_edited() {
            console
                .warn("conf/soc-connector.toml was edited since setup; `setup` makes the change effective");
        }
        match self.certificate() {
            Ok((name, days, end)) if days < 0 => {
                console.warn(format_args!("Certificate: {name}, ended at {end}; no receiver takes it"));
            }
            Ok((name, days, end)) if days < CERTIFICATE_WARNING_DAYS => {
                console.warn(format_args!("Certificate: {name}, ends in {days} days ({end})"));
            }
            Ok((name, days, end)) => {
                console.info(format_args!("Certificate: {name}, ends in {days} days ({end})"));
            }
            // Before setup there need not be one.
            Err(error) if self.state() != State::Incomplete => console.warn_error(&error),
            Err(_) => {}
        }
    }

    /// Subject, whole days left, and end of the client certificate.
    fn certificate(&self) -> Result<(String, i64, String)> {
        let ca = self.settings.tls.ca_file(self.install.dir());
        let pair = certificate::find(self.install.dir(), ca.as_deref())?;
        let facts = Identity::load(&pair.certificate, &pair.key)?.facts()?;
        let left_s = facts.not_after.seconds() - SystemClock.now().seconds();
        let name = facts.subject_cn.unwrap_or_else(|| "(no common name)".to_owned());
        Ok((name, left_s.div_euclid(24 * 3600), rfc3339(facts.not_after.seconds())))
    }

    /// Whether the file that people edit differs from what setup accepted.
    pub(super) fn settings_edited(&self) -> bool {
        let read = |path| std::fs::read(path).unwrap_or_default();
        read(self.install.settings_file()) != read(self.install.accepted_settings_file())
    }

    fn as_json(&self, engine: &Info, report: Option<&Result<Report>>) -> Value {
        let (setup, mode, connector) = match self.state() {
            State::Incomplete => ("incomplete", Value::Null, Value::Null),
            State::Complete(mode, _) => {
                ("complete", mode.name().into(), if self.running() { "running" } else { "stopped" }.into())
            }
        };
        let certificate = match self.certificate() {
            Ok((subject, days_left, not_after)) => {
                json!({ "subject": subject, "days_left": days_left, "not_after": not_after })
            }
            Err(error) => problem(&error),
        };
        let spools = [Mode::Stage, Mode::Production].map(|mode| {
            let events = if self.running() { Value::Null } else { self.backlog(mode).into() };
            json!({ "mode": mode.name(), "events": events })
        });
        json!({
            "setup": setup, "mode": mode, "connector": connector,
            "tested": self.record.as_ref().map(|record| record.tested),
            "setup_due": self.record.as_ref().map(|record| record.setup_due),
            "settings_edited": self.record.is_some() && self.settings_edited(),
            "engine": {
                "kind": engine.kind.name(), "version": engine.version, "rootless": engine.rootless,
                "sudo": self.settings.engine.sudo,
            },
            "network": self.record.as_ref().map(|record| record.network.as_str()),
            "syslog_port": self.settings.listener.syslog_port,
            "container": self.container.as_ref().map(|container| json!({
                "name": self.container_name(), "state": state_word(&container.state), "image": container.image_id,
                "started": container.started_at, "restarts": container.restarts, "health": container.health,
            })),
            "certificate": certificate,
            "running": match report {
                Some(Ok(report)) => json!(report),
                Some(Err(error)) => problem(error),
                None => Value::Null,
            },
            "spool": spools,
        })
    }
}

fn problem(error: &Error) -> Value {
    json!({ "code": error.code().to_string(), "message": error.what() })
}

fn state_word(state: &ContainerState) -> String {
    match state {
        ContainerState::Created => "created".to_owned(),
        ContainerState::Running => "running".to_owned(),
        ContainerState::Exited(code) => format!("exited with {code}"),
        ContainerState::Other(word) => word.clone(),
    }
}

fn endpoint_words(state: &EndpointState) -> String {
    match state {
        EndpointState::NeverTried => "not tried".to_owned(),
        EndpointState::Connected { address, since_s } => {
            format!("connected at {address} since {}", rfc3339(*since_s))
        }
        EndpointState::Idle => "not in use".to_owned(),
        EndpointState::Failing { error, at_s } => format!("failing, last at {}: {error}", rfc3339(*at_s)),
        EndpointState::Refused { error, at_s } => format!("refuses us, last at {}: {error}", rfc3339(*at_s)),
    }
}

fn tell_running(console: Console, report: &Report) {
    let listener = &report.listener;
    let port = listener.addresses.first().map_or(0, std::net::SocketAddr::port);
    let counters = &listener.counters;
    console.info(format_args!(
        "Listener: UDP and TCP port {port}, {} connections; received {} messages over UDP and {} over TCP since {}",
        counters.connections, counters.udp_messages, counters.tcp_messages, report.started
    ));
    if let Some(words) = udp_words(listener) {
        if listener.udp_kernel.is_some_and(|kernel| kernel.dropped > 0) {
            console.warn(format_args!("Listener: {words}"));
        } else {
            console.info(format_args!("Listener: {words}"));
        }
    }
    if counters.connections_refused > 0 {
        console.warn(format_args!(
            "Listener: {} TCP connections were refused, `listener.max_connections` was reached",
            counters.connections_refused
        ));
    }
    if counters.connections_unfinished_closed > 0 {
        console.warn(format_args!(
            "Listener: {} TCP connections were closed, unfinished messages took too much memory",
            counters.connections_unfinished_closed
        ));
    }
    if counters.cut > 0 {
        console.warn(format_args!(
            "Listener: {} messages were longer than `listener.max_message_bytes` and were cut",
            counters.cut
        ));
    }
    let uplink = &report.uplink;
    if let (Some(endpoint), Some(since)) = (&uplink.in_use, uplink.connected_since_s) {
        console.info(format_args!(
            "Uplink: connected to {endpoint} since {}; {} events acknowledged, {} sent again",
            rfc3339(since),
            uplink.events_acknowledged,
            uplink.events_retransmitted
        ));
    } else {
        let why = uplink.last_error.as_ref().map_or("not yet connected", |last| last.error.as_str());
        console.warn(format_args!("Uplink: no receiver; events are kept in the spool: {why}"));
    }
    if uplink.slow {
        console.warn(format_args!(
            "Uplink: the receiver is slow; nothing was acknowledged for {} s or more",
            SLOW_AFTER.as_secs()
        ));
    }
    if uplink.events_clock_far_off > 0 {
        console.warn(format_args!(
            "Events: {} since the start had a timestamp more than a day from their reception; a sender's clock is wrong",
            uplink.events_clock_far_off
        ));
    }
    if uplink.endpoints.len() > 1 {
        for endpoint in &uplink.endpoints {
            let site = endpoint.site.as_ref().map_or(String::new(), |site| format!("{site}/"));
            let breaker = match endpoint.breaker {
                Breaker::Closed => String::new(),
                open => format!("; breaker {}", open.name()),
            };
            let words = endpoint_words(&endpoint.state);
            console.info(format_args!("Uplink: {site}{} {words}{breaker}", endpoint.endpoint));
        }
    }
    let spool = &report.spool;
    let oldest = spool.oldest_received_s.map_or(String::new(), |s| {
        let age = spool.oldest_age_s.map_or(String::new(), |age| format!(", {}", ago(age)));
        format!(", the oldest of {}{age}", rfc3339(s))
    });
    console.info(format_args!(
        "Spool: {} {} events wait for acknowledgement{oldest}; {} KiB on disk, {} % of {} MiB",
        spool.events,
        report.mode.name(),
        spool.size_bytes / 1024,
        spool.filled_percent(),
        spool.max_bytes >> 20
    ));
    let lost = spool.dropped_full + spool.lost_corrupt + spool.lost_missing;
    if lost > 0 {
        console.warn(format_args!(
            "Spool: {lost} events lost: {} dropped when full, {} to damaged records, {} with missing segments",
            spool.dropped_full, spool.lost_corrupt, spool.lost_missing
        ));
    }
    if spool.refused > 0 {
        console.warn(format_args!(
            "Spool: {} events were set aside because receivers refuse them; `spool export --refused` shows them",
            spool.refused
        ));
    }
    if spool.full {
        console.warn("Spool: full; TCP senders have to wait, UDP is dropped by the kernel");
    }
    match &report.metrics {
        Exporter { address: Some(address), .. } => {
            console.info(format_args!("Metrics: http://{address}{}", exporter::PATH));
        }
        Exporter { error: Some(error), .. } => console.warn(format_args!("Metrics: {error}")),
        _ => {}
    }
    if let Some(why) = &report.unhealthy {
        console.warn(format_args!("Connector: {why}"));
    }
}

/// What the kernel dropped, and the buffer that decides about it; nothing where all is as it should be.
fn udp_words(listener: &Listener) -> Option<String> {
    let (granted, asked) = (listener.udp_buffer_bytes / 2, listener.udp_buffer_asked_bytes);
    let short = listener.udp_buffer_is_short();
    let buffer = if short {
        format!(
            "the kernel grants {} KiB of the {} KiB of receive buffer that `listener.udp_buffer_kib` asks for; \
             `sysctl -w net.core.rmem_max={asked}` on the host and a new start let it grant all",
            granted / 1024,
            asked / 1024
        )
    } else {
        format!("the receive buffer has the {} KiB that `listener.udp_buffer_kib` asks for", asked / 1024)
    };
    match listener.udp_kernel {
        Some(kernel) if kernel.dropped > 0 => {
            Some(format!("{} UDP messages were dropped by the kernel; {buffer}", kernel.dropped))
        }
        _ => short.then_some(buffer),
    }
}

/// An age for people, in its two largest units.
fn ago(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s ago"),
        (0, 0, _) => format!("{minutes} min {} s ago", seconds % 60),
        (0, ..) => format!("{hours} h {} min ago", minutes % 60),
        _ => format!("{days} d {} h ago", hours % 24),
    }
}

pub(super) fn rfc3339(seconds: i64) -> String {
    DateTime::<Utc>::from_timestamp(seconds, 0)
        .map_or_else(|| seconds.to_string(), |time| time.to_rfc3339_opts(SecondsFormat::Secs, true))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listener::KernelSnapshot;

    #[test]
    fn drops_and_a_short_buffer_are_said_with_what_helps() {
        let words = |granted: usize, dropped| {
            let mut listener = Report::quiet().listener;
            // The kernel grants twice what it takes.
            (listener.udp_buffer_bytes, listener.udp_buffer_asked_bytes) = (2 * granted, 16 << 20);
            listener.udp_kernel = Some(KernelSnapshot { dropped, waiting_bytes: 0 });
            udp_words(&listener).unwrap_or_default()
        };
        assert_eq!(words(16 << 20, 0), "");
        let enough = words(16 << 20, 7);
        assert!(enough.starts_with("7 UDP messages were dropped by the kernel;"), "{enough}");
        assert!(enough.contains("has the 16384 KiB") && !enough.contains("sysctl"), "{enough}");
        for (dropped, beginning) in [(0, "the kernel grants 208 KiB of the 16384 KiB"), (3, "3 UDP messages")]
        {
            let short = words(212_992, dropped);
            assert!(short.starts_with(beginning), "{short}");
            assert!(short.contains("`sysctl -w net.core.rmem_max=16777216` on the host"), "{short}");
        }
    }

    #[test]
    fn an_age_is_said_in_its_two_largest_units() {
        for (seconds, said) in [
            (0, "0 s ago"),
            (59, "59 s ago"),
            (61, "1 min 1 s ago"),
            (3600, "1 h 0 min ago"),
            (86_399, "23 h 59 min ago"),
            (90_000, "1 d 1 h ago"),
        ] {
            assert_eq!(ago(seconds), said);
        }
    }
}
