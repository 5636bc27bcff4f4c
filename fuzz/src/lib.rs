//! The syslog modules of the connector, compiled from its own sources for the fuzz targets.
//!
//! They are taken by path, not as a dependency: they are pure, and the rest of the connector (TLS, the container
//! engines) would make an instrumented build minutes long. [`settings`] stands for the types that they need.

#[path = "../../src/batch.rs"]
pub mod batch;
#[path = "../../src/clock.rs"]
pub mod clock;
#[path = "../../src/syslog/mod.rs"]
pub mod syslog;

/// The settings of the normaliser, as in `src/settings/mod.rs`.
pub mod settings {
    use std::net::IpAddr;

    /// How messages are read.
    pub struct Normaliser {
        /// Zone of timestamps that name none.
        pub time_zone: chrono_tz::Tz,
        /// Charset of messages that are not UTF-8.
        pub charset: Charset,
        /// Both for ranges of senders.
        pub sources: Vec<Source>,
    }

    /// A charset in which ASCII is ASCII.
    pub type Charset = &'static encoding_rs::Encoding;

    /// One row of the table of sources.
    #[derive(Debug, Clone, Copy)]
    pub struct Source {
        /// First address of the range.
        pub network: IpAddr,
        /// How many leading bits are fixed.
        pub prefix_bits: u8,
        /// The zone of its timestamps.
        pub time_zone: Option<chrono_tz::Tz>,
        /// The charset of its messages.
        pub charset: Option<Charset>,
    }

    impl Source {
        /// The targets have no rows.
        pub fn contains(&self, _address: IpAddr) -> bool {
            unreachable!("the table of sources is empty here")
        }
    }
}

/// Asserts that `inner` is a slice of `outer`, not a copy and nothing else.
pub fn assert_slice_of(inner: &[u8], outer: &[u8]) {
    let (inner, outer) = (inner.as_ptr_range(), outer.as_ptr_range());
    assert!(inner.is_empty() || (outer.start <= inner.start && inner.end <= outer.end));
}
