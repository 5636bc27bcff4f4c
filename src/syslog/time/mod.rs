//! Timestamps: recognised as sent, written as RFC 3339.
//!
//! [`scan`] recognises a timestamp at the start of a text and keeps its digits; [`resolve`] supplies what the sender left
//! out, a year and a zone, from the time of reception and the settings. Precision and offset stay as sent.

pub mod civil;
pub mod resolve;
pub mod scan;

pub use civil::Civil;
pub use resolve::Resolver;

/// A timestamp as a message carries it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When<'a> {
    /// RFC 3339 already, to be kept byte for byte.
    Rfc3339(&'a [u8]),
    /// A date and time in another form.
    Civil(Stamp<'a>),
    /// Time since 1970-01-01T00:00:00Z.
    Epoch {
        /// Whole seconds.
        seconds: i64,
        /// Digits behind the point, as sent.
        fraction: &'a [u8],
    },
    /// Time since 1970-01-01T00:00:00Z that was not sent in decimal digits.
    Nanos {
        /// Whole seconds.
        seconds: i64,
        /// Below 1,000,000,000.
        nanos: u32,
    },
    /// There is none, or one that names no possible moment: the time of reception stands in for it.
    Missing,
}

/// The parts of a timestamp that is not RFC 3339.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp<'a> {
    /// The year, where the sender named one.
    pub year: Option<i32>,
    /// 1 to 12.
    pub month: u8,
    /// Day of the month.
    pub day: u8,
    /// Hour, 0 to 23 where it is valid.
    pub hour: u8,
    /// Minute, 0 to 59 where it is valid.
    pub minute: u8,
    /// Second, 0 to 60 where it is valid.
    pub second: u8,
    /// Digits behind the point, as sent.
    pub fraction: &'a [u8],
    /// The zone as sent.
    pub zone: Zone<'a>,
    /// Whether other countries write these numbers of a day and a month the other way round, so that either can be meant.
    pub either_order: bool,
}

/// A zone as sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Zone<'a> {
    /// None was sent.
    Unnamed,
    /// An offset from UTC in minutes, positive east.
    Offset(i32),
    /// An abbreviation such as `CEST`.
    Name(&'a [u8]),
}
