//! Which segments there are and which events each holds, in memory.

use super::recovery::Segment;
use super::segment::Name;
use std::collections::VecDeque;

/// Segments in order of their sequence numbers.
#[derive(Debug, Default)]
pub struct Index {
    segments: VecDeque<Segment>,
    size_bytes: u64,
}

impl Index {
    /// An index of these segments.
    pub fn new(segments: Vec<Segment>) -> Self {
        let size_bytes = segments.iter().map(|segment| segment.size_bytes).sum();
        Self { segments: segments.into(), size_bytes }
    }

    /// Bytes on disk of all segments.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// How many segments.
    pub fn len(&self) -> usize {
        self.segments.len()
    }

    /// The segment with the oldest events.
    pub fn first(&self) -> Option<&Segment> {
        self.segments.front()
    }

    /// The first segment that holds `seq` or something behind it.
    pub fn find(&self, seq: u64) -> Option<&Segment> {
        let at = self.segments.partition_point(|segment| segment.last_seq < seq);
        // One that is empty still has its last number below its first.
        self.segments.range(at..).find(|segment| segment.last_seq >= segment.first_seq)
    }

    /// Adds a segment.
    pub fn insert(&mut self, segment: Segment) {
        self.size_bytes += segment.size_bytes;
        let at = self.segments.partition_point(|other| other.first_seq <= segment.first_seq);
        self.segments.insert(at, segment);
    }

    /// Changes the segment with this number, where there is one.
    pub fn update(&mut self, number: u64, change: impl FnOnce(&mut Segment)) {
        if let Some(segment) = self.segments.iter_mut().rev().find(|segment| segment.name.number == number) {
            self.size_bytes -= segment.size_bytes;
            change(segment);
            self.size_bytes += segment.size_bytes;
        }
    }

    /// Removes the segment with this number, where there is one.
    pub fn remove(&mut self, number: u64) {
        if let Some(at) = self.segments.iter().position(|segment| segment.name.number == number) {
            let segment = self.segments.remove(at).expect("the position was just found");
            self.size_bytes -= segment.size_bytes;
        }
    }

    /// Complete segments with nothing behind `seq`.
    pub fn consumed(&self, seq: u64) -> Vec<Name> {
        let through = self.segments.iter().take_while(|segment| segment.first_seq <= seq.saturating_add(1));
        through
            .filter(|segment| segment.last_seq <= seq && segment.name.last_seq.is_some())
            .map(|segment| segment.name)
            .collect()
    }
}
