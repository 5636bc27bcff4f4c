//! Syslog itself: from a sender's bytes to the event of the contract.
//!
//! Pure code without sockets and without clocks: [`framing`] cuts a TCP stream or a datagram into messages,
//! [`parse`] finds the fields of one message as borrowed slices, [`time`] turns a timestamp as sent into RFC 3339,
//! [`json`] writes text fast, and [`normaliser`] puts the event together. Every input gives an event: what fits no
//! known form is delivered whole under the rule `raw`.

mod block;
pub mod framing;
pub mod json;
pub mod normaliser;
pub mod parse;
pub mod time;

#[cfg(test)]
mod tests;
