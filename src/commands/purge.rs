//! `purge`: removes the image (manual 3.4). Setup, which got it, is due again then.

use super::{Session, block_on};
use crate::console::Console;
use crate::engine::Engine;
use crate::engine::image::Image;
use crate::error::Result;
use crate::state::machine::Guarded;
use crate::state::store;
use std::path::Path;

/// Removes the image, if there is one.
pub fn exec(dir: &Path, console: Console) -> Result<()> {
    block_on(async {
        let session = Session::exclusive(dir, console, "purge").await?;
        session.allow(Guarded::Purge)?;
        // A leftover container would keep the engine from removing its image.
        session.engine.remove(&session.container_name(), true).await?;
        let image = match &session.record {
            Some(record) => record.image.clone(),
            None => Image::of_this_program()?.id,
        };
        store::clear(&session.install)?;
        if session.engine.remove_image(&image).await? {
            console.ok("container image deleted");
        } else {
            console.ok("there is no container image");
        }
        console.info("before the next start run `setup`");
        Ok(())
    })?
}
