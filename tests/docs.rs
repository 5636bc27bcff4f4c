//! Documents that are made from the program. `UPDATE_FILES=1 cargo test --test docs` writes them anew.

#![allow(clippy::unwrap_used, reason = "a test that panics has said enough")]

use soc_connector::Code;
use soc_connector::connector::metrics::METRICS;
use soc_connector::connector::self_report::Name;
use std::fmt::Write;
use std::fs;
use std::path::Path;

#[test]
fn the_page_of_error_codes_is_the_catalogue() {
    let mut page = String::from(
        "# Error codes\n\nMade from `src/error/catalogue.rs`; `soc-connector explain E123` says the same on the console.\n\
         A code, once released, keeps its meaning.\n\n| code | cause | remedy |\n|---|---|---|\n",
    );
    for code in Code::ALL {
        let cell = |text: &str| text.replace('|', "\\|");
        writeln!(page, "| {code} | {} | {} |", cell(code.cause()), cell(code.remedy())).unwrap();
    }
    compare("docs/errors.md", &page);
}

const SELF_REPORTS_PAGE: &str = "\
# Self-reports

Made from `src/connector/self_report/mod.rs`.

What a SOC must know of the way its events take comes on that same way: the connector reports changes of its own state as
events. They are ordinary syslog messages, numbered and kept in the spool like every other. `connector.self_reports =
false` in the settings switches them off.

    <45>1 2026-11-25T06:15:00.000000Z log-1 soc-connector 1 started [origin software=\"soc-connector\" swVersion=\"0.1.0\"] started: The connector takes messages in. version=\"0.1.0\" mode=\"stage\" waiting=\"0\"

| in the event | value |
|---|---|
| `connector.transport` | `own`; nothing that comes in from outside has it |
| `facility`, `severity` | 5 (syslog), and the one of the table |
| `appName`, `procId` | `soc-connector`, the process |
| MSGID (in `event_raw`), and the beginning of `body` | the name of the table |
| `structuredData` | the registered element `origin` (RFC 5424 section 7.2) with program and version |
| the end of `body` | the facts of the table, each `name=\"value\"`; `\"` and `\\` have a `\\` before them |

The facts are not in an element of their own, because its name would need a private enterprise number (RFC 5424 section
7.2.2), and the project has none.

Each name is reported once a minute at most in a run, and once more at its end; what happens more often is added up. A state is
reported when it is entered, and when it is left by a margin or for half a minute. Reports wait behind the messages that
came before them, 64 of them at most; where the spool takes nothing for longer, the oldest are dropped and counted
(`soc_connector_self_reports_dropped_total`). `count` is what came since the last report of that name; `total`, `waiting`
and `events` are numbers of events or messages, `oldestAgeSeconds` is the age of the oldest unacknowledged event. Losses
in the spool are told once, also over restarts.

";

#[test]
fn the_page_of_self_reports_is_what_is_sent() {
    let mut page = String::from(SELF_REPORTS_PAGE);
    page.push_str("| name | severity | facts | meaning |\n|---|---|---|---|\n");
    for name in Name::ALL {
        let facts: Vec<String> = name.facts().iter().map(|fact| format!("`{fact}`")).collect();
        let severity = format!("{} ({})", name.severity() as u8, name.severity().name());
        writeln!(page, "| `{}` | {severity} | {} | {} |", name.as_str(), facts.join(", "), name.meaning())
            .unwrap();
    }
    compare("docs/self-reports.md", &page);
}

#[test]
fn every_test_that_the_page_on_reliability_names_exists_under_its_command() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/reliability.md")).unwrap();
    let mut named = 0;
    for line in page.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, _, test, command, _] = cells[..] else { continue };
        let Some((file, name)) = test.trim_matches('`').split_once("::") else { continue };
        let source = fs::read_to_string(root.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        let is_test =
            source.split(&format!("fn {name}(")).next().filter(|before| before.len() < source.len());
        let attributes =
            is_test.unwrap_or_else(|| panic!("there is no {test}")).rsplit("\n\n").next().unwrap();
        assert!(attributes.contains("#[test]") || attributes.contains("#[tokio::test"), "{test} is no test");
        let suite = match file.strip_prefix("tests/") {
            Some(suite) => format!("--test {}", suite.trim_end_matches(".rs")),
            None => "--lib".to_owned(),
        };
        assert_eq!(command, format!("`cargo test {suite} {name}`"));
        named += 1;
    }
    assert!(named > 20, "the page names {named} tests");
}

/// Compares a document with what it should be, or writes it.
#[track_caller]
fn compare(document: &str, page: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(document);
    if std::env::var_os("UPDATE_FILES").is_some() {
        fs::write(&path, page).unwrap();
    }
    assert!(
        fs::read_to_string(&path).unwrap_or_default() == page,
        "UPDATE_FILES=1 writes {} anew",
        path.display()
    );
}

const METRICS_PAGE: &str = "\
# Metrics

Made from `src/connector/metrics.rs`.

The connector serves them in Prometheus' text format 0.0.4 at `http://127.0.0.1:9514/metrics`; `metrics.port` in the
settings is the port, 0 serves none. Only this host reaches the loopback address, and any of its users. Where the
container's network is not the host's (`status` names it), the address is the container's own; then, or where the port is
off, a timer can write what `soc-connector metrics` prints to a file for the node exporter's textfile collector:

    soc-connector --dir /home/soc/soc-connector metrics > soc.prom.new && mv soc.prom.new soc.prom

A port that is taken is warned of (E506) and tried again every minute; nothing else depends on it.

What to watch first: `soc_connector_healthy`; the age of the oldest event (delay); `soc_connector_udp_kernel_drops_total`
and `soc_connector_spool_lost_events_total` (loss); `soc_connector_spool_size_bytes` against `soc_connector_spool_max_bytes`;
the end of the certificate. As alerting rules:

    absent(soc_connector_healthy) or soc_connector_healthy == 0
    soc_connector_spool_full == 1
    soc_connector_spool_refused_events > 0
    soc_connector_spool_oldest_event_age_seconds > 300
    increase(soc_connector_udp_kernel_drops_total[10m]) > 0
    increase(soc_connector_spool_lost_events_total[10m]) > 0
    soc_connector_spool_size_bytes / soc_connector_spool_max_bytes > 0.5
    soc_connector_certificate_not_after_seconds - time() < 14 * 86400

An event is sent when it is on the disk, and not before. Where events come late although the receiver is quick, look at
`rate(soc_connector_spool_sync_seconds_total[5m])`, the part of the time in which the spool waits for the disk, and at the
longest sync: a disk that other programs write to, or whose host others use, can take half a second for one. A disk of its
own for the spool's directory is the remedy.

Datagrams that the kernel drops are lost: UDP has no way back to the sender. What helps, in this order: a larger receive
buffer (`listener.udp_buffer_kib` and, on the host, `sysctl -w net.core.rmem_max=BYTES`, to be kept in
`/etc/sysctl.d/`, both before the connector starts), then TCP at the senders.

";

#[test]
fn the_page_of_metrics_is_what_is_served() {
    let mut page = String::from(METRICS_PAGE);
    page.push_str("| metric | type | labels | meaning |\n|---|---|---|---|\n");
    for metric in METRICS {
        let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        let (kind, labels) = (metric.kind.name(), labels.join(", "));
        writeln!(page, "| `{}` | {kind} | {labels} | {} |", metric.name, metric.help).unwrap();
    }
    compare("docs/metrics.md", &page);
}

#[test]
fn the_table_of_dependencies_names_each_one() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest: toml::Table = fs::read_to_string(root.join("Cargo.toml")).unwrap().parse().unwrap();
    let page = fs::read_to_string(root.join("docs/dependencies.md")).unwrap();
    for section in ["dependencies", "dev-dependencies"] {
        for name in manifest[section].as_table().unwrap().keys() {
            assert!(page.contains(&format!("| `{name}` |")), "docs/dependencies.md says nothing of {name}");
        }
    }
}

/// `corpus: FAMILY` and `FILE: TEST` between backticks.
#[test]
fn what_the_page_of_conformance_names_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/conformance.md")).unwrap();
    let corpus: String = fs::read_dir(root.join("tests/corpus"))
        .unwrap()
        .map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap())
        .collect();
    let mut names = 0;
    for (place, name) in page.split('`').skip(1).step_by(2).filter_map(|quoted| quoted.split_once(": ")) {
        let found = if place == "corpus" {
            corpus.contains(&format!("\nname = \"{name}\"\n"))
        } else {
            fs::read_to_string(root.join(place)).unwrap().contains(&format!("fn {name}("))
        };
        assert!(found, "{place} has no {name}");
        names += 1;
    }
    assert!(names > 30, "{names} names");
}
