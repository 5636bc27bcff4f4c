//! Looking at a spool from outside, for `spool status`, `verify`, `export` and `repair`.
//!
//! All but `repair` only read, take no lock, and work while a connector has the spool open. Such a connector renames
//! and removes segments meanwhile; what vanished between looking and reading was delivered or has another name, so
//! looking is tried again. What is behind the writer's mark at that moment is not safe yet, and is counted apart.

use super::fs::{FileSystem, RealFileSystem};
use super::recovery::{self, Fresh, Recovered};
use super::segment::{FOOTER_BYTES, Footer, HEADER_BYTES, Header, Name, Scanner, Step};
use super::{Dropped, Findings, Options, Refused, Spool, refused};
use crate::batch::Origin;
use crate::clock::UnixMicros;
use crate::error::{Code, Error, Result};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How often a look is taken again when a live connector changed something meanwhile.
const LOOKS: usize = 10;

/// A spool's directory, looked at from outside.
pub struct Inspector {
    fs: Arc<dyn FileSystem>,
    dir: PathBuf,
}

/// What `spool status` shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overview {
    /// The spool's id.
    pub id: String,
    /// All events up to this one are acknowledged.
    pub acknowledged_seq: u64,
    /// The last sequence number given.
    pub last_seq: u64,
    /// How many of the last events are perhaps not on the disk yet.
    pub unsynced_events: u64,
    /// Bytes of all segments.
    pub size_bytes: u64,
    /// When the oldest unacknowledged event was received, where that is known.
    pub oldest_received: Option<UnixMicros>,
    /// Events that never reach the receiver.
    pub dropped: Dropped,
    /// Events that receivers refuse, set aside.
    pub refused: Refused,
    /// What opening would find now.
    pub findings: Findings,
}

impl Overview {
    /// Numbers behind the acknowledged one.
    pub fn events(&self) -> u64 {
        self.last_seq - self.acknowledged_seq
    }
}

/// What `spool verify` says of one segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// File name.
    pub name: String,
    /// Records whose checksum is right.
    pub records: u64,
    /// Places, position and length, that are no record.
    pub damaged: Vec<(u64, u64)>,
    /// Numbers, first and last, that should be in it and are not.
    pub lost: Vec<(u64, u64)>,
    /// The header can be read.
    pub header: bool,
    /// The footer can be read and says what the name says; nothing in a segment that is being written.
    pub footer: Option<bool>,
}

impl Verified {
    /// Whether everything is as it should be. The end of a segment that is being written does not count as damage.
    pub fn is_whole(&self) -> bool {
        let torn_end = usize::from(self.footer.is_none());
        self.damaged.len() <= torn_end && self.lost.is_empty() && self.header && self.footer != Some(false)
    }
}

impl Inspector {
    /// A spool's directory. E602 where there is none.
    pub fn open(dir: &Path) -> Result<Self> {
        Self::open_on(Arc::new(RealFileSystem), dir)
    }

    /// The same on a given file system.
    pub fn open_on(fs: Arc<dyn FileSystem>, dir: &Path) -> Result<Self> {
        let inspector = Self { fs, dir: dir.to_owned() };
        inspector.fs.list(dir).map_err(|error| inspector.unreadable(error))?;
        Ok(inspector)
    }

    /// The figures.
    pub fn overview(&self) -> Result<Overview> {
        let recovered = self.look()?;
        let open: u64 = recovered.rewrite.iter().map(|chunk| chunk.range.len() as u64).sum();
        let size_bytes =
            self.segments().map_err(|error| self.unreadable(error))?.iter().map(|(_, len)| len).sum();
        let state = recovered.state;
        Ok(Overview {
            id: String::from_utf8_lossy(&state.id).into_owned(),
            acknowledged_seq: state.acknowledged,
            last_seq: recovered.next_seq - 1,
            unsynced_events: open,
            size_bytes,
            oldest_received: state.oldest_received,
            dropped: Dropped { full: state.dropped_full, corrupt: state.corrupt, missing: state.missing },
            refused: refused::load(&*self.fs, &self.dir).map_err(|error| self.unreadable(error))?,
            findings: recovered.findings,
        })
    }

    /// Reads every record of every segment; `report` gets each segment's result.
    pub fn verify(&self, mut report: impl FnMut(Verified)) -> Result<()> {
        let seed = self.look()?.state.seed;
        for (name, _) in self.segments().map_err(|error| self.unreadable(error))? {
            match self.walk(name, seed, |_, _, _| Ok(())) {
                Ok(verified) => report(verified),
                // Delivered or renamed meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(self.unreadable(error)),
            }
        }
        Ok(())
    }

    /// Hands every event that is not acknowledged, and whose record is right, to `sink`, in order; with `all`, the
    /// acknowledged ones that are still there as well. How many there were.
    pub fn export(
        &self,
        all: bool,
        mut sink: impl FnMut(u64, Origin, &[u8]) -> io::Result<()>,
    ) -> Result<u64> {
        let mut after = None;
        let mut count = 0;
        // A segment that is gone was delivered or has its final name now: look again, and go on behind what was seen.
        for _ in 0..LOOKS {
            let mut recovered = self.look()?;
            let mut through = after.unwrap_or(if all { 0 } else { recovered.state.acknowledged });
            let mut failed = false;
            let mut each = |seq: u64, origin: Origin, message: &[u8]| {
                if seq > through {
                    sink(seq, origin, message).inspect_err(|_| failed = true)?;
                    (through, count) = (seq, count + 1);
                }
                Ok(())
            };
            let walked = self.export_once(&mut recovered, &mut each);
            after = Some(through);
            match walked {
                Ok(()) => break,
                Err(error) if failed => return Err(unwritten(error)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(self.unreadable(error)),
            }
        }
        Ok(count)
    }

    /// Hands every event that receivers refuse to `sink`; how many there were.
    pub fn export_refused(&self, mut sink: impl FnMut(u64, Origin, &[u8]) -> io::Result<()>) -> Result<u64> {
        let mut failed = false;
        let exported = refused::export(&*self.fs, &self.dir, |seq, origin, message| {
            sink(seq, origin, message).inspect_err(|_| failed = true)
        });
        exported.map_err(|error| if failed { unwritten(error) } else { self.unreadable(error) })
    }

    fn export_once(
        &self,
        recovered: &mut Recovered,
        each: &mut impl FnMut(u64, Origin, &[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut behind = recovered.rewrite.drain(..).peekable();
        for segment in &recovered.segments {
            while let Some(chunk) = behind.next_if(|chunk| chunk.first_seq < segment.first_seq) {
                chunk.iter().try_for_each(|(seq, origin, message)| each(seq, *origin, message))?;
            }
            let seqs = segment.first_seq..=segment.last_seq;
            self.walk(segment.name, recovered.state.seed, |seq, origin, message| {
                if seqs.contains(&seq) { each(seq, origin, message) } else { Ok(()) }
            })?;
        }
        behind.try_for_each(|chunk| {
            chunk.iter().try_for_each(|(seq, origin, message)| each(seq, *origin, message))
        })
    }

    /// What `repair` would do, one sentence each; nothing where there is nothing to do.
    pub fn plan(&self) -> Result<Vec<String>> {
        let recovered = self.look()?;
        let mut plan = recovered.findings.lines();
        for unfinished in &recovered.unfinished {
            plan.push(if unfinished.durable_seq < unfinished.name.first_seq {
                format!("what can be read of {} is written to a new segment", unfinished.name)
            } else {
                format!("{} is completed after event {}", unfinished.name, unfinished.durable_seq)
            });
        }
        let delivered = |name: &Name| name.last_seq.is_some_and(|last| last <= recovered.state.acknowledged);
        for segment in recovered.segments.iter().filter(|segment| delivered(&segment.name)) {
            plan.push(format!("{} is removed: all in it is delivered", segment.name));
        }
        Ok(plan)
    }

    /// Does what [`Inspector::plan`] says: opens the spool, which repairs everything that can be, and closes it. E601
    /// where a connector has it open.
    pub fn repair(&self, options: Options) -> Result<Findings> {
        let (spool, findings) = Spool::open_on(Arc::clone(&self.fs), &self.dir, options)?;
        spool.close()?;
        Ok(findings)
    }

    fn look(&self) -> Result<Recovered> {
        // Only shown, and only where there is no spool yet.
        let fresh = Fresh { seed: 0, id: *b"--------" };
        let mut looks = 0;
        loop {
            looks += 1;
            match recovery::recover(&*self.fs, &self.dir, &fresh) {
                Err(error) if error.kind() == io::ErrorKind::NotFound && looks < LOOKS => {}
                // A slot that is just being written looks damaged.
                Ok(recovered) if recovered.findings.is_worrying() && looks < 2 => {}
                looked => return looked.map_err(|error| self.unreadable(error)),
            }
        }
    }

    fn segments(&self) -> io::Result<Vec<(Name, u64)>> {
        let entries = self.fs.list(&self.dir)?;
        let mut segments: Vec<(Name, u64)> =
            entries.iter().filter_map(|entry| Some((Name::parse(&entry.name)?, entry.len))).collect();
        segments.sort_by_key(|(name, _)| name.number);
        Ok(segments)
    }

    fn walk(
        &self,
        name: Name,
        seed: u32,
        mut each: impl FnMut(u64, Origin, &[u8]) -> io::Result<()>,
    ) -> io::Result<Verified> {
        let file = self.fs.open(&self.dir.join(name.to_string()), false)?;
        let size = file.size()?;
        let header = Header::read(&*file).unwrap_or(None);
        let footer = Footer::read(&*file, size).unwrap_or(None);
        let end = if footer.is_some() { size - FOOTER_BYTES } else { size };
        let says = |footer: Footer, last| (footer.first_seq, footer.last_seq) == (name.first_seq, last);
        let mut verified = Verified {
            name: name.to_string(),
            records: 0,
            damaged: Vec::new(),
            lost: Vec::new(),
            header: header.is_some(),
            footer: name.last_seq.map(|last_seq| footer.is_some_and(|footer| says(footer, last_seq))),
        };
        let seed = header.map(|header| header.seed).or(footer.map(|footer| footer.seed)).unwrap_or(seed);
        let mut scanner = Scanner::new(file, seed, HEADER_BYTES);
        scanner.set_salvage();
        let mut next = name.first_seq;
        let last = name.last_seq.unwrap_or(u64::MAX - 1);
        loop {
            match scanner.step(end, &(next..last + 1))? {
                Step::Record(record) => {
                    if record.seq > next {
                        verified.lost.push((next, record.seq - 1));
                    }
                    next = record.seq + 1;
                    verified.records += 1;
                    each(record.seq, record.origin, scanner.message(&record))?;
                }
                Step::Corrupt(range) => verified.damaged.push((range.start, range.end - range.start)),
                Step::End(rest) => {
                    if rest > 0 {
                        verified.damaged.push((end - rest, rest));
                    }
                    if name.last_seq.is_some_and(|last_seq| next <= last_seq) {
                        verified.lost.push((next, last));
                    }
                    return Ok(verified);
                }
            }
        }
    }

    fn unreadable(&self, error: io::Error) -> Error {
        Error::new(Code::SpoolUnusable, format!("the spool {} cannot be read", self.dir.display()))
            .caused_by(error)
    }
}

fn unwritten(error: io::Error) -> Error {
    Error::new(Code::WriteFailed, "the exported events cannot be written").caused_by(error)
}
