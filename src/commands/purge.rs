//! `purge`: removes the image (manual 3.4), and those before it that this installation got. Setup, which got it, is due
//! again then.

use super::{Session, block_on};
use crate::console::Console;
use crate::engine::Engine;
use crate::engine::image::Image;
use crate::error::{Code, Result};
use crate::state::machine::Guarded;
use crate::state::{images, store};
use std::path::Path;

/// Removes the images, if there are any.
pub fn exec(dir: &Path, console: Console) -> Result<()> {
    block_on(async {
        let session = Session::exclusive(dir, console, "purge").await?;
        session.allow(Guarded::Purge)?;
        // A leftover container would keep the engine from removing its image.
        session.engine.remove(&session.container_name(), true).await?;
        // Without a record there may still be the image of the settings, or this program's own.
        let named = match &session.record {
            Some(record) => [Some(record.image.clone()), record.loaded.clone()],
            None => [session.settings.engine.image.clone(), Some(Image::of_this_program()?.id)],
        };
        let named: Vec<String> = named.into_iter().flatten().collect();
        let mut deleted = false;
        for image in images::all(&session.install)?.into_iter().filter(|image| !named.contains(image)) {
            match session.engine.remove_image(&image).await {
                Ok(was_there) => {
                    deleted |= was_there;
                    images::forget(&session.install, &image)?;
                }
                // Another installation still runs what this one has replaced.
                Err(error) if error.code() == Code::ImageInUse => console.warn_error(&error),
                Err(error) => return Err(error),
            }
        }
        for image in &named {
            deleted |= session.engine.remove_image(image).await?;
            images::forget(&session.install, image)?;
        }
        // Last, so that what an image's other user refuses can be asked again.
        store::clear(&session.install)?;
        console.ok(if deleted { "container image deleted" } else { "there is no container image" });
        console.info("before the next start run `setup`");
        Ok(())
    })?
}
