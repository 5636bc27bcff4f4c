//! `pki DIR`: a throw-away CA with the manual's name and certificates for both sides.

use crate::clock::{Clock, SystemClock};
use crate::console::Console;
use crate::error::Result;
use crate::pki::{Pki, Validity, default_server_names};
use std::path::PathBuf;

/// What is to be made.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Where the files are written, made where it is missing; an existing CA there is used again
    pub dir: PathBuf,
    /// Name of the client certificate, for NAME-cert.pem and NAME-key.pem; may be given several times
    #[arg(long, value_name = "NAME", default_value = "client")]
    pub client: Vec<String>,
    /// Name or address of the server beside localhost and the default endpoints; may be given several times
    #[arg(long, value_name = "NAME")]
    pub server_name: Vec<String>,
    /// How long the certificates are valid
    #[arg(long, value_name = "DAYS", default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=3650))]
    pub days: u32,
}

/// Makes what is missing.
pub fn exec(console: Console, options: &Options) -> Result<()> {
    let now = SystemClock.now();
    let pki = Pki::open_or_create(&options.dir, now)?;
    console.info(format_args!("CA: {}", pki.ca().display()));
    let validity = Validity::days(now, options.days);
    let mut names = default_server_names();
    names.extend(options.server_name.iter().cloned());
    let server = pki.server("server", &names, validity)?;
    console.info(format_args!("server: {} {}", server.certificate.display(), server.key.display()));
    for name in &options.client {
        let client = pki.client(name, validity)?;
        console.info(format_args!("client: {} {}", client.certificate.display(), client.key.display()));
    }
    console.ok("these certificates are for tests and trials only");
    Ok(())
}
