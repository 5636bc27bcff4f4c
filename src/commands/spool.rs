//! `spool status | verify | export | repair`: looks into the queues on disk, also while a connector uses them.

use super::status::rfc3339;
use crate::batch::Origin;
use crate::console::Console;
use crate::error::{Code, Error, Result};
use crate::install::Install;
use crate::settings::{self, Settings};
use crate::spool::tool::{Inspector, Verified};
use crate::state::Mode;
use crate::syslog::normaliser::Normaliser;
use serde_json::json;
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// Which queue.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Only this mode's queue; both where none is given
    #[arg(long, value_enum, global = true)]
    pub mode: Option<Mode>,
    /// What to do
    #[command(subcommand)]
    pub action: Action,
}

/// What can be done.
#[derive(Debug, clap::Subcommand)]
pub enum Action {
    /// Show what waits
    Status,
    /// Read every record and compare its checksum
    Verify,
    /// Write waiting events to standard output, one JSON object a line, as a receiver would get them
    Export {
        /// Acknowledged events that are still on the disk as well
        #[arg(long)]
        all: bool,
        /// Instead of them, the events that receivers refuse and that were set aside
        #[arg(long, conflicts_with = "all")]
        refused: bool,
    },
    /// Show what a repair would do; the next start of the connector would do the same
    Repair {
        /// Do it (the connector must be stopped)
        #[arg(long)]
        apply: bool,
    },
}

/// Events that were set aside and are shown one by one; `--json` has all of them.
const REFUSED_SHOWN: usize = 20;

struct RefusedEvent {
    seq: u64,
    origin: Origin,
    bytes: usize,
}

/// Does it, for each queue that was ever used.
pub fn exec(dir: &Path, console: Console, options: &Options) -> Result<()> {
    let install = Install::open(dir)?;
    let settings = settings::load_in_force(&install).unwrap_or_default();
    let mut damaged = 0;
    for mode in [Mode::Stage, Mode::Production] {
        if options.mode.is_some_and(|wanted| wanted != mode) {
            continue;
        }
        let Some(inspector) = inspector(&install, mode)? else {
            // Exported lines are for programs.
            if !matches!(options.action, Action::Export { .. }) {
                console.info(format_args!("spool/{} was never used", mode.name()));
            }
            continue;
        };
        match &options.action {
            Action::Status => status(console, mode, &inspector)?,
            Action::Verify => damaged += verify(console, mode, &inspector)?,
            Action::Export { all, refused } => export(&settings, &inspector, *all, *refused)?,
            Action::Repair { apply } => repair(console, mode, &inspector, &settings, *apply)?,
        }
    }
    if damaged > 0 {
        return Err(Error::new(Code::SpoolDamaged, format!("{damaged} segments are damaged")));
    }
    Ok(())
}

/// A mode's queue seen from outside; none where it was never used.
pub(super) fn inspector(install: &Install, mode: Mode) -> Result<Option<Inspector>> {
    let dir = install.spool_dir(mode);
    let used = std::fs::read_dir(&dir).is_ok_and(|mut entries| entries.next().is_some());
    if used { Inspector::open(&dir).map(Some) } else { Ok(None) }
}

fn status(console: Console, mode: Mode, inspector: &Inspector) -> Result<()> {
    let overview = inspector.overview()?;
    let mut refused = Vec::new();
    inspector.export_refused(|seq, origin, raw| {
        refused.push(RefusedEvent { seq, origin, bytes: raw.len() });
        Ok(())
    })?;
    if console.is_json() {
        console.value(&json!({
            "mode": mode.name(), "id": overview.id, "events": overview.events(), "last_seq": overview.last_seq,
            "acknowledged_seq": overview.acknowledged_seq, "size_bytes": overview.size_bytes,
            "refused": refused.iter().map(|event| json!({
                "seq": event.seq, "received": rfc3339(event.origin.received.seconds()),
                "source": event.origin.source.to_string(), "bytes": event.bytes,
            })).collect::<Vec<_>>(),
        }));
    } else {
        console.info(format_args!(
            "spool/{}: {} events wait, acknowledged up to number {} of {}; {} KiB on disk; id {}",
            mode.name(),
            overview.events(),
            overview.acknowledged_seq,
            overview.last_seq,
            overview.size_bytes / 1024,
            overview.id
        ));
        for event in refused.iter().take(REFUSED_SHOWN) {
            console.warn(format_args!(
                "spool/{}: event {} was set aside, receivers refuse it: from {}, received {}, {} bytes",
                mode.name(),
                event.seq,
                event.origin.source,
                rfc3339(event.origin.received.seconds()),
                event.bytes
            ));
        }
        if overview.refused.events > 0 {
            console.info(format_args!(
                "spool/{}: {} events were set aside; `spool export --refused --mode {0}` writes them",
                mode.name(),
                overview.refused.events
            ));
        }
    }
    Ok(())
}

/// Returns how many segments are damaged.
fn verify(console: Console, mode: Mode, inspector: &Inspector) -> Result<u32> {
    let mut damaged = 0;
    inspector.verify(|segment: Verified| {
        let name = format!("spool/{}/{}", mode.name(), segment.name);
        if segment.is_whole() {
            console.ok(format_args!("{name}: {} records", segment.records));
            return;
        }
        damaged += 1;
        console.warn(format_args!(
            "{name}: {} records, {} damaged places, lost numbers {:?}",
            segment.records,
            segment.damaged.len(),
            segment.lost
        ));
    })?;
    Ok(damaged)
}

fn export(settings: &Settings, inspector: &Inspector, all: bool, refused: bool) -> Result<()> {
    let id = format!("{}-{}", settings.connector.id, inspector.overview()?.id);
    let mut normaliser = Normaliser::new(&settings.normaliser, &id);
    let mut out = BufWriter::new(io::stdout().lock());
    let mut line = Vec::new();
    let mut each = |seq, origin: Origin, raw: &[u8]| {
        line.clear();
        normaliser.write_event(&mut line, seq, &origin, raw);
        line.push(b'\n');
        out.write_all(&line)
    };
    if refused {
        inspector.export_refused(&mut each)?;
    } else {
        inspector.export(all, &mut each)?;
    }
    out.flush()
        .map_err(|error| Error::new(Code::WriteFailed, "the events cannot be written").caused_by(error))
}

fn repair(
    console: Console,
    mode: Mode,
    inspector: &Inspector,
    settings: &Settings,
    apply: bool,
) -> Result<()> {
    let mode = mode.name();
    let plan = inspector.plan()?;
    if plan.is_empty() {
        console.ok(format_args!("spool/{mode}: there is nothing to repair"));
        return Ok(());
    }
    for step in &plan {
        console.info(format_args!("spool/{mode}: {step}"));
    }
    if apply {
        inspector.repair((&settings.spool).into())?;
        console.ok(format_args!("spool/{mode}: repaired"));
    } else {
        console.info("nothing was changed; `spool repair --apply` does it");
    }
    Ok(())
}
