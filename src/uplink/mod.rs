//! uplink.
