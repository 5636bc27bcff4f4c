//! `image save FILE`: the container image as an archive, for a host that has no image yet.

use crate::console::Console;
use crate::engine::image::Image;
use crate::error::Result;
use std::path::PathBuf;

/// What to do with the image.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Write the image that setup would make to FILE, for `setup --image-file` on another host
    Save {
        /// The archive to write
        file: PathBuf,
    },
}

/// Writes the archive.
pub fn exec(console: Console, command: &Command) -> Result<()> {
    let Command::Save { file } = command;
    let image = Image::of_this_program()?;
    image.save(file)?;
    console.ok(format_args!("image {} written to {}", image.id, file.display()));
    Ok(())
}
