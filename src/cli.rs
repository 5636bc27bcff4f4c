//! The command line as typed, and its way to a command.
//!
//! Parsing touches no file: what was typed becomes an [`Arguments`], and each command works out what it means. Exit
//! status: 0 done, 1 failed (an `Ennn` was printed), 2 wrong usage (clap's own).

use crate::commands;
use crate::console::Console;
use crate::error::Result;
use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{ArgAction, Parser, Subcommand};
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

/// Takes syslog in, normalises it to JSON and streams it over mutual TLS to a SOC.
#[derive(Debug, Parser)]
#[command(name = "soc-connector", version, max_term_width = 110)]
#[command(
    after_help = "Exit status: 0 done, 1 failed (an error code was printed; `explain` says more), 2 wrong usage."
)]
pub struct Arguments {
    /// Installation directory
    #[arg(long, global = true, env = "SOC_DIR", default_value = ".", value_name = "DIR", value_parser = directory())]
    pub dir: PathBuf,

    /// One JSON object per line instead of text
    #[arg(long, global = true)]
    pub json: bool,

    /// More of what happens inside, on standard error; twice for everything
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub verbose: u8,

    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// The commands. Those of an operator first, in the order in which they are used.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check every prerequisite, get the image, write conf/ and setup/; ends in stage mode, stopped
    Setup(commands::setup::Options),
    /// Show the state: setup, mode, connector, and how it is doing
    Status,
    /// Create and start the container; returns when it really receives
    Start,
    /// Drain, stop and remove the container
    Stop,
    /// Send three messages and wait until the incubator confirms each (stage, running)
    Test(commands::test::Options),
    /// Print every event that the incubator confirms, until Ctrl-C (stage, running)
    Sample,
    /// Switch to production mode (stage, stopped, tested since setup)
    Deploy,
    /// Get a newer image; after one, setup is due again
    Update(commands::update::Options),
    /// Forget the configuration; undelivered production events are kept
    Reset(commands::reset::Options),
    /// Remove a leftover container
    Delete,
    /// Remove the image
    Purge,
    /// Say cause and remedy of an error code
    Explain {
        /// The code as printed, for example E104; all codes where none is given
        code: Option<String>,
    },
    /// Show what events the lines of a file or of standard input become, and by which rule, with the time zones and
    /// charsets of the settings file as it is now
    Parse(commands::parse::Options),
    /// Print the running connector's metrics, in Prometheus' text format
    Metrics,
    /// Look into the queues on disk, also while the connector runs
    Spool(commands::spool::Options),
    /// Try it out: incubator and connector in this process, no engine, no root, no files to prepare
    Demo(commands::demo::Options),
    /// Run listener, spool and uplink in the foreground (in the container, or under systemd)
    Run(commands::run::Options),
    /// Run the stage receiver: stream and confirmations (for a SOC, for CI)
    Incubator(commands::incubator::Options),
    /// Make a throw-away CA with certificates for both sides (for tests and trials)
    Pki(commands::pki::Options),
    /// The container image
    #[command(subcommand)]
    Image(commands::image::Command),
    /// Ask the running connector how it is; the container's health check
    #[command(hide = true)]
    Health,
    /// The privileged helper of `--sudo`
    #[command(hide = true)]
    EngineRelay(commands::engine_relay::Options),
}

/// A directory; an empty text, as a variable without a value has it, is the working directory.
fn directory() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new()
        .map(|text| PathBuf::from(if text.is_empty() { OsString::from(".") } else { text }))
}

/// Runs the program.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let console = Console::new(arguments.json);
    // The command that started it shows what it said.
    let is_helper = matches!(arguments.command, Command::EngineRelay(_));
    match dispatch(arguments, console) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if !is_helper {
                console.error(&error);
            }
            ExitCode::FAILURE
        }
    }
}

fn dispatch(arguments: Arguments, console: Console) -> Result<()> {
    let Arguments { dir, command, verbose, .. } = arguments;
    // `run` sets up its own log, in its own directory.
    if !matches!(command, Command::Run(_)) {
        crate::logs::to_stderr(verbose);
    }
    match command {
        Command::Setup(options) => commands::setup::exec(&dir, console, &options),
        Command::Status => commands::status::exec(&dir, console),
        Command::Start => commands::start::exec(&dir, console),
        Command::Stop => commands::stop::exec(&dir, console),
        Command::Test(options) => commands::test::exec(&dir, console, &options),
        Command::Sample => commands::sample::exec(&dir, console),
        Command::Deploy => commands::deploy::exec(&dir, console),
        Command::Update(options) => commands::update::exec(&dir, console, &options),
        Command::Reset(options) => commands::reset::exec(&dir, console, &options),
        Command::Delete => commands::delete::exec(&dir, console),
        Command::Purge => commands::purge::exec(&dir, console),
        Command::Explain { code } => commands::explain::exec(console, code.as_deref()),
        Command::Parse(options) => commands::parse::exec(&dir, console, &options),
        Command::Metrics => commands::metrics::exec(&dir),
        Command::Spool(options) => commands::spool::exec(&dir, console, &options),
        Command::Demo(options) => commands::demo::exec(console, &options),
        Command::Run(options) => commands::run::exec(&dir, &options, verbose),
        Command::Incubator(options) => commands::incubator::exec(console, &options),
        Command::Pki(options) => commands::pki::exec(console, &options),
        Command::Image(command) => commands::image::exec(console, &command),
        Command::Health => commands::health::exec(&dir),
        Command::EngineRelay(options) => commands::engine_relay::exec(options),
    }
}
