//! cli.

use crate::engine::RelayArgs;
use clap::{Parser, Subcommand};
use std::process::ExitCode;

#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    #[command(hide = true)]
    EngineRelay(RelayArgs),
}

/// Runs the program.
pub fn main() -> ExitCode {
    let Command::EngineRelay(args) = Cli::parse().command;
    let runtime = tokio::runtime::Runtime::new().expect("a runtime can be made");
    match runtime.block_on(crate::engine::relay::relay(args)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
