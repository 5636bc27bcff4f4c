//! soc-connector takes syslog in, normalises it to JSON and streams it over mutual TLS to a SOC.
//!
//! The top level reads like the operator's word list. An event's way is [`listener`] → [`spool`] → [`syslog`]
//! (framing and normalising) → [`uplink`]; [`connector`] joins them in one process. A command's way is [`cli`] →
//! [`commands`] → [`state`], [`settings`], [`checks`], [`engine`]. [`incubator`] is the other end of the stage stream.
//! `docs/architecture.md` says for each module what it owns and what it must not know.

pub mod batch;
pub mod blocking;
pub mod checks;
pub mod cli;
pub mod clock;
pub mod commands;
pub mod connector;
pub mod console;
pub mod engine;
pub mod error;
pub mod fault_point;
pub mod incubator;
pub mod install;
pub mod listener;
pub mod logs;
pub mod memory;
pub mod pki;
pub mod random;
pub mod settings;
pub mod spool;
pub mod state;
pub mod syslog;
pub mod tls;
pub mod uplink;

pub use error::{Code, Error, Result};
