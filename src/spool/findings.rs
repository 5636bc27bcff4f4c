//! What opening a spool found, for the log and for the operator.

/// What became of the state file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StateFound {
    /// There was no spool: a new one was begun.
    #[default]
    Created,
    /// As it should be.
    Intact,
    /// One of its two slots was damaged; the other one was used. A power cut while it was written does this.
    OneSlotDamaged,
    /// Nothing of it could be used, and what the segments say took its place: all events in them are sent again.
    Rebuilt,
}

/// What opening a spool found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Findings {
    /// The state file.
    pub state: StateFound,
    /// The spool goes on under a new id, because nothing vouches for the last number given under the old one.
    pub id_changed: bool,
    /// Segments with events that were known to be on the disk.
    pub segments: usize,
    /// Events found that were perhaps not synced when the process ended; they were written anew.
    pub rewritten_events: u64,
    /// Bytes of a write that a crash cut short; no event that was durable was in them.
    pub torn_bytes: u64,
    /// Places that held neither a record nor a torn write, set aside in `quarantine`.
    pub damaged_places: usize,
    /// Sequence numbers, first and last, that should be there and are not: a segment is missing or damaged.
    pub missing: Vec<(u64, u64)>,
    /// All events up to this one are acknowledged.
    pub acknowledged: u64,
    /// The last sequence number given.
    pub last_seq: u64,
    /// Bytes of records that were read to find all this.
    pub bytes_scanned: u64,
    /// What could not be written while opening, and will be tried again.
    pub problems: Vec<String>,
}

impl Findings {
    /// How many events are missing.
    pub fn missing_events(&self) -> u64 {
        self.missing.iter().map(|(first, last)| last - first + 1).sum()
    }

    /// Whether an operator should look: something was lost or could not be written.
    pub fn is_worrying(&self) -> bool {
        self.state == StateFound::Rebuilt
            || self.damaged_places > 0
            || !self.missing.is_empty()
            || !self.problems.is_empty()
    }

    /// One sentence for each thing worth saying; none after a clean stop.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        match self.state {
            StateFound::Created | StateFound::Intact => {}
            StateFound::OneSlotDamaged => {
                lines.push("one of the two slots of the state file was damaged; the other one was used".into());
            }
            StateFound::Rebuilt => lines.push(format!(
                "the state file was lost; it was rebuilt from the segments, and all events from {} on are sent again",
                self.acknowledged + 1
            )),
        }
        if self.id_changed {
            lines
                .push("the spool has a new id, because the last sequence numbers may be lost as well".into());
        }
        if self.rewritten_events > 0 {
            lines.push(format!("{} events of an unfinished segment were kept", self.rewritten_events));
        }
        if self.torn_bytes > 0 {
            lines.push(format!("{} bytes of an unfinished write were cut off", self.torn_bytes));
        }
        if self.damaged_places > 0 {
            lines.push(format!(
                "{} damaged places were set aside in the file quarantine",
                self.damaged_places
            ));
        }
        for (first, last) in &self.missing {
            lines.push(format!("the events {first} to {last} are missing"));
        }
        lines.extend(self.problems.iter().cloned());
        lines
    }
}
