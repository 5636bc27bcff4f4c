//! The crate `syslog_loose`, asked as its documentation says.

use crate::examples::Example;
use crate::reading::{Answer, When};
use chrono::{DateTime, Datelike as _, Offset as _};
use syslog_loose::{ProcId, Variant, parse_message_with_year_tz};

/// What it makes of one message: the caller says which year it is and which offset is meant.
pub fn read(example: &Example) -> Answer {
    let received = DateTime::parse_from_rfc3339(example.received()).unwrap().to_utc();
    let zone = example.zone();
    let local = received.with_timezone(&zone);
    // It takes one offset where a zone has two.
    let (year, zone) = (local.year(), local.offset().fix());
    let message = parse_message_with_year_tz(&example.raw, |_| year, Some(zone), Variant::Either);
    let priority = message.facility.zip(message.severity);
    Answer {
        host: message.hostname.map(str::to_owned),
        when: message.timestamp.map_or(When::Reception, |time| When::new(&time.to_rfc3339(), received)),
        app: message.appname.unwrap_or_default().to_owned(),
        process: match message.procid {
            Some(ProcId::PID(number)) => number.to_string(),
            Some(ProcId::Name(name)) => name.to_owned(),
            None => String::new(),
        },
        // It says that there is none, as the RFC does before it names the one to assume.
        priority: priority.map_or_else(
            || "13".to_owned(),
            |(facility, severity)| (facility as i32 * 8 + severity as i32).to_string(),
        ),
        text: message.msg.to_owned(),
    }
}
