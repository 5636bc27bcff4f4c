//! `update`: a newer image; after one, setup is due again (manual 3.1).

use super::{Session, block_on};
use crate::console::Console;
use crate::error::{Code, Error, Result};
use crate::state::machine::Guarded;
use crate::state::store;
use std::path::{Path, PathBuf};

/// Where the image comes from.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Load this archive instead of pulling or making an image
    #[arg(long, value_name = "FILE")]
    pub image_file: Option<PathBuf>,
}

/// Gets the image that setup would get now, and compares.
pub fn exec(dir: &Path, console: Console, options: &Options) -> Result<()> {
    block_on(async {
        let session = Session::exclusive(dir, console, "update").await?;
        let record = session.allow(Guarded::Update)?.expect("update is allowed only after setup");
        let mut record = record.clone();
        if let Some(reference) = &session.settings.engine.image
            && options.image_file.is_some()
        {
            let what = format!(
                "the settings name the image {reference}; `setup --image-file FILE` takes an archive instead"
            );
            return Err(Error::new(Code::NotAllowed, what));
        }
        if record.loaded.is_some() && options.image_file.is_none() {
            console.ok("the image came from an archive, which is looked for nowhere");
            console.info(
                "`update --image-file FILE` brings a newer one, `setup --own-image` makes one from this program",
            );
            return Ok(());
        }
        let image = session.get_image(options.image_file.as_deref()).await?;
        if options.image_file.is_some() {
            record.loaded = Some(image.clone());
        }
        if image == record.image {
            if options.image_file.is_some() {
                // Another archive may have been given since setup.
                record.setup_due = false;
                store::save(&session.install, &record)?;
            }
            console.ok("the image is up to date");
            return Ok(());
        }
        record.setup_due = true;
        store::save(&session.install, &record)?;
        console.ok(format_args!("a newer image is there: {image}"));
        console.info(
            "run `setup` now, and the tests; a running connector goes on with the old image until then",
        );
        Ok(())
    })?
}
