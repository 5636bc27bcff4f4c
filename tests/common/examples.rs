//! The examples of `tests/corpus/*.toml`, and the event that has to come of each.
//!
//! What an example leaves out has the value that the contract gives to a field without a source in the message: priority
//! 13, the time of reception, the sender's address, `-`. `app_name` and `tag` are derived from `app` and `proc` where they
//! are left out. Each family names the document that describes its format.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "a test that panics has said enough")]

use serde::Deserialize;
use serde_json::Value;
use soc_connector::batch::{Origin, Transport};
use soc_connector::clock::UnixMicros;
use soc_connector::settings;
use soc_connector::syslog::normaliser::Normaliser;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

/// When an example is received, unless it says otherwise.
pub const RECEIVED: &str = "2026-11-22T03:00:00.000001Z";

/// Who sends an example, unless it says otherwise.
pub const SENDER: &str = "192.0.2.10";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    family: Vec<Family>,
}

/// Senders of one kind.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Family {
    pub name: String,
    /// The document that describes the format.
    pub source: String,
    pub example: Vec<Example>,
}

/// A message and its fields.
#[derive(Deserialize, Clone)]
#[serde(deny_unknown_fields)]
pub struct Example {
    pub raw: String,
    pub rule: String,
    #[serde(default = "default_priority")]
    pub priority: u8,
    pub timestamp: Option<String>,
    pub host: Option<String>,
    pub app: Option<String>,
    pub app_name: Option<String>,
    pub proc: Option<String>,
    pub tag: Option<String>,
    pub sd: Option<String>,
    pub body: String,
    pub received: Option<String>,
    pub zone: Option<String>,
    pub sender: Option<String>,
    /// Why the example is there, where that is not plain.
    #[serde(default)]
    pub note: String,
}

fn default_priority() -> u8 {
    13
}

impl Example {
    /// The time of reception as RFC 3339.
    pub fn received(&self) -> &str {
        self.received.as_deref().unwrap_or(RECEIVED)
    }

    /// The zone of senders that name none.
    pub fn zone(&self) -> chrono_tz::Tz {
        self.zone.as_deref().unwrap_or("UTC").parse().unwrap()
    }

    /// The twelve strings of the event.
    pub fn expected(&self) -> Value {
        let or_dash = |field: &Option<String>| field.clone().unwrap_or_else(|| "-".to_owned());
        let app = or_dash(&self.app);
        let tag = self.tag.clone().unwrap_or_else(|| match &self.proc {
            Some(proc) => format!("{app}[{proc}]"),
            None => app.clone(),
        });
        let sender = self.sender.as_deref().unwrap_or(SENDER);
        serde_json::json!({
            "appInst": app,
            "appName": self.app_name.as_ref().unwrap_or(&app),
            "body": self.body,
            "event_raw": self.raw,
            "facility": (self.priority / 8).to_string(),
            "hostName": self.host.as_deref().unwrap_or(sender),
            "priority": self.priority.to_string(),
            "procId": or_dash(&self.proc),
            "severity": (self.priority % 8).to_string(),
            "structuredData": or_dash(&self.sd),
            "syslogTag": tag,
            "timestamp": self.timestamp.as_deref().unwrap_or(self.received()),
        })
    }

    /// What the connector makes of the message.
    pub fn event(&self) -> Value {
        self.event_of(self.raw.as_bytes())
    }

    /// What the connector makes of another message that comes in the same way.
    pub fn event_of(&self, raw: &[u8]) -> Value {
        let settings = settings::Normaliser { time_zone: self.zone(), ..settings::Normaliser::default() };
        let received = chrono::DateTime::parse_from_rfc3339(self.received()).unwrap();
        let sender: IpAddr = self.sender.as_deref().unwrap_or(SENDER).parse().unwrap();
        let origin = Origin {
            received: UnixMicros(received.timestamp_micros()),
            source: SocketAddr::new(sender, 51400),
            transport: Transport::Udp,
            cut: false,
        };
        let mut out = Vec::new();
        Normaliser::new(&settings, "corpus").write_event(&mut out, 1, &origin, raw);
        serde_json::from_slice(&out).expect("an event is JSON")
    }
}

/// Every family, in the order of files and of places in them.
pub fn families() -> Vec<Family> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut paths: Vec<_> = folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
        .iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .flat_map(|path| {
            let text = std::fs::read_to_string(path).unwrap();
            toml::from_str::<File>(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display())).family
        })
        .collect()
}
