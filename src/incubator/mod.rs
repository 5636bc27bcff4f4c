//! incubator.
