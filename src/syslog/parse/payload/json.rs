//! JSON objects.

mod members;

use super::times::{is_date, is_label};
use super::{Found, stamp};
use crate::syslog::time::scan;
use members::Members;

/// JSON whose keys a schema documents: Elastic Common Schema and Logstash (`@timestamp`, `host.name`), GELF (`version` or
/// `short_message`, `host`, `timestamp`), Suricata's EVE (`event_type`, `host`, `timestamp`), rsyslog's `StdJSONFmt`
/// (`fromhost`, `timereported`), syslog-ng's `format-json` (`HOST` with `DATE` or `ISODATE`), journald's export (`_HOSTNAME`,
/// `__REALTIME_TIMESTAMP`), `NXLog` (`Hostname`, `EventTime`) and Windows' own names (`Computer` with `EventID`), osquery
/// (`hostIdentifier`, `unixTime`), Bunyan and Pino (`hostname` with `pid` and `level`), Beats before version 7
/// (`beat.hostname`). Of other objects only the time is taken, as loggers name it: `time` (Go, Pino, Docker),
/// `timestamp`, `ts` (Zap, Zeek), `@t` (Serilog), `asctime` (Python), `t.$date` (`MongoDB`), or by any other name for the time itself; a `host` may be the one that
/// a request was for.
pub(super) fn object(body: &[u8]) -> Found<'_> {
    let mut found = Found::default();
    let [mut when, mut logged, mut other] = [None; 3];
    let mut host = None;
    let mut documented = false;
    let [mut own, mut windows, mut logger, mut capital] = [None; 4];
    let [mut is_windows, mut has_pid, mut has_level, mut has_date] = [false; 4];
    let whole = |value| scan::scan(value).filter(|found| found.len == value.len()).map(|found| found.when);
    for (depth, parent, key, value) in Members::new(body) {
        match (depth, key) {
            (1, b"@timestamp" | b"timereported") => found.when = stamp(value),
            (1, b"host.name" | b"fromhost") => found.host = Some(value),
            (2, b"name") if parent == b"host" => found.host = Some(value),
            (2, b"hostname") if parent == b"beat" => own = Some(value),
            (1, b"_HOSTNAME" | b"hostIdentifier") => own = Some(value),
            (1, b"Hostname" | b"Computer") => windows = Some(value),
            (1, b"hostname") => logger = Some(value),
            (1, b"HOST") => capital = Some(value),
            (1, b"pid") => has_pid = true,
            (1, b"level") => has_level = true,
            (1, b"EventID") => is_windows = true,
            (1, b"EventTime") => {
                is_windows = true;
                logged = logged.or_else(|| whole(value));
            }
            (1, b"DATE" | b"ISODATE") => {
                has_date = true;
                logged = logged.or_else(|| whole(value));
            }
            (1, b"__REALTIME_TIMESTAMP" | b"unixTime") => logged = logged.or_else(|| whole(value)),
            (1, b"short_message" | b"event_type") => documented = true,
            (1, b"host") => host = Some(value),
            (1, b"timestamp") => when = stamp(value),
            (1, b"time" | b"ts" | b"@t" | b"asctime") => logged = logged.or_else(|| whole(value)),
            (2, b"$date") if parent == b"t" => logged = logged.or_else(|| whole(value)),
            (2, b"created") if parent == b"event" => other = other.or_else(|| whole(value)),
            (1, key) if is_label(key) || is_date(key) => other = other.or_else(|| whole(value)),
            _ => {}
        }
    }
    // Logstash's own event has the host as a text.
    if found.when.is_some() {
        found.host = found.host.or(host);
    } else if documented {
        found = Found { host, when };
    }
    let named = own
        .or(windows.filter(|_| is_windows))
        .or(logger.filter(|_| has_pid && has_level))
        .or(capital.filter(|_| has_date));
    Found { host: found.host.or(named), when: found.when.or(when).or(logged).or(other) }
}
