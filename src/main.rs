//! The binary: everything it does is in the library, so that tests reach it.

use std::process::ExitCode;

fn main() -> ExitCode {
    soc_connector::cli::main()
}
