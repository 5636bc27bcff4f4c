//! What a reader finds in a message, in a form in which readers can be compared, and how two findings differ.

use crate::examples::Example;
use chrono::{DateTime, Duration, SecondsFormat, Utc};
use std::fmt;

/// The clock of a reader has gone on by less than this since the time of reception that it was started at.
const RUN_MINUTES: i64 = 10;

/// What a reader finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The host, or nothing where the sender's address stands for it.
    pub host: Option<String>,
    pub when: When,
    /// The program, empty where there is none.
    pub app: String,
    /// The process, empty where there is none.
    pub process: String,
    pub priority: String,
    pub text: String,
}

/// A time as a moment: how it is written is not what is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum When {
    /// That of reception.
    Reception,
    /// In UTC, to the microsecond, as none of the others keeps more.
    Moment(DateTime<Utc>),
}

impl When {
    /// From RFC 3339; what is no time stands for none, as the time of reception and a little later does.
    pub fn new(text: &str, received: DateTime<Utc>) -> Self {
        let Ok(moment) = DateTime::parse_from_rfc3339(text) else { return Self::Reception };
        let moment = DateTime::from_timestamp_micros(moment.timestamp_micros()).unwrap();
        if (received - Duration::seconds(1)..received + Duration::minutes(RUN_MINUTES)).contains(&moment) {
            Self::Reception
        } else {
            Self::Moment(moment)
        }
    }
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reception => f.write_str("reception"),
            Self::Moment(moment) => f.write_str(&moment.to_rfc3339_opts(SecondsFormat::AutoSi, true)),
        }
    }
}

impl Answer {
    /// What the corpus says.
    pub fn expected(example: &Example) -> Self {
        let received = DateTime::parse_from_rfc3339(example.received()).unwrap().to_utc();
        Self {
            host: example.host.clone(),
            when: example.timestamp.as_deref().map_or(When::Reception, |text| When::new(text, received)),
            app: example.app.clone().unwrap_or_default(),
            // A dash in brackets is what others say for none.
            process: example.proc.clone().filter(|process| process != "-").unwrap_or_default(),
            priority: example.priority.to_string(),
            text: example.body.clone(),
        }
    }
}

/// One field of one message that a reader reads otherwise than the corpus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    pub field: &'static str,
    /// How it differs.
    pub kind: &'static str,
    /// What the reader says, as it is listed.
    pub theirs: String,
}

/// Every difference between what the corpus says and what a reader found.
pub fn differences(ours: &Answer, theirs: &[Answer]) -> Vec<Difference> {
    let of_event = |kind, theirs: &str| vec![Difference { field: "event", kind, theirs: theirs.to_owned() }];
    let theirs = match theirs {
        [] => return of_event("none", ""),
        [one] if one.text.starts_with("Error processing log message: ") => {
            return of_event("an error in its place", "");
        }
        [one] => one,
        _ => return of_event("several", &theirs.len().to_string()),
    };
    let found = [
        ("host", host(ours.host.as_deref(), theirs.host.as_deref()), theirs.host.clone()),
        ("time", time(&ours.when, &theirs.when), Some(theirs.when.to_string())),
        ("program", word(&ours.app, &theirs.app), Some(theirs.app.clone())),
        ("process", word(&ours.process, &theirs.process), Some(theirs.process.clone())),
        ("priority", (ours.priority != theirs.priority).then_some("another"), Some(theirs.priority.clone())),
        ("text", text(&ours.text, &theirs.text), Some(theirs.text.clone())),
    ];
    // What stands behind a header can be read only where the header is.
    let header_read = found[..2].iter().all(|(_, kind, _)| kind.is_none());
    found
        .into_iter()
        .filter_map(|(field, kind, theirs)| {
            let behind = matches!(field, "program" | "process" | "text");
            let kind = if behind && !header_read { kind.and(Some("behind a header misread")) } else { kind };
            Some(Difference { field, kind: kind?, theirs: theirs.unwrap_or_else(|| "sender".to_owned()) })
        })
        .collect()
}

fn host(ours: Option<&str>, theirs: Option<&str>) -> Option<&'static str> {
    match (ours, theirs.filter(|host| !host.is_empty())) {
        (ours, theirs) if ours == theirs => None,
        (Some(_), None) => Some("not found"),
        (None, Some("-")) => Some("NILVALUE"),
        (None, _) => Some("a word for the sender"),
        (Some(ours), Some(theirs)) if theirs.contains(ours) => Some("with more around it"),
        (Some(ours), Some(theirs)) if ours.contains(theirs) => Some("a part"),
        _ => Some("another"),
    }
}

fn time(ours: &When, theirs: &When) -> Option<&'static str> {
    const QUARTER_MICROS: i64 = 900_000_000;
    match (ours, theirs) {
        _ if ours == theirs => None,
        (_, When::Reception) => Some("not found"),
        (When::Reception, _) => Some("for that of reception"),
        (When::Moment(ours), When::Moment(theirs)) => {
            let apart = (*theirs - *ours).num_microseconds().unwrap_or(i64::MAX).abs();
            Some(match apart {
                ..1_000_000 => "another fraction",
                _ if apart % QUARTER_MICROS == 0 && apart <= 96 * QUARTER_MICROS => "another zone",
                _ if ours.format("%m%d%T%f").to_string() == theirs.format("%m%d%T%f").to_string() => {
                    "another year"
                }
                _ => "another",
            })
        }
    }
}

fn word(ours: &str, theirs: &str) -> Option<&'static str> {
    match (ours, theirs) {
        _ if ours == theirs => None,
        (_, "") => Some("not found"),
        ("", _) => Some("a word for none"),
        _ if theirs.contains(ours) => Some("with more around it"),
        _ if ours.contains(theirs) => Some("a part"),
        _ => Some("another"),
    }
}

/// White space at either end is a matter of convention: rsyslog keeps the space behind a TAG, and others trim.
fn text(ours: &str, theirs: &str) -> Option<&'static str> {
    // Neither writes what is not UTF-8 in the same way.
    let plain = |text: &str| text.trim().to_owned();
    let (ours, theirs) = (plain(ours), plain(theirs));
    if ours == theirs {
        None
    } else if theirs.is_empty() {
        Some("lost")
    } else if theirs.ends_with(&ours) {
        Some("with the header before it")
    } else if ours.ends_with(&theirs) {
        Some("without its beginning")
    } else if ours.starts_with(&theirs) {
        Some("without its end")
    } else {
        Some("another")
    }
}
