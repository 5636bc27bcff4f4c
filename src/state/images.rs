//! The images that this installation brought to its engine: `setup/images`, an id a line, the newest last.
//!
//! `purge` removes them all: those that `update` replaced, and those that a record no longer names since `reset`. Only a
//! list of what was brought tells them from other people's. Written before the image is used, so that none is forgotten.

use crate::error::{Code, Error, Result};
use crate::install::{self, Install};
use std::io::ErrorKind;

/// How many images are remembered, so that the file has a bound: one a week for a year. The oldest is forgotten.
const MAX_IMAGES: usize = 52;

/// The ids, the newest last; none where no image was brought. E103 where the file cannot be read.
pub fn all(install: &Install) -> Result<Vec<String>> {
    let path = install.images_file();
    match std::fs::read(&path) {
        // Whatever else a line may be, no engine is asked for it.
        Ok(text) => {
            Ok(String::from_utf8_lossy(&text).lines().filter(|line| is_id(line)).map(str::to_owned).collect())
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => {
            let what = format!("{}: cannot be read", path.display());
            Err(Error::new(Code::StateBroken, what).caused_by(error))
        }
    }
}

/// Remembers an image as the newest.
pub fn remember(install: &Install, id: &str) -> Result<()> {
    let mut ids = all(install)?;
    ids.retain(|known| known != id);
    ids.push(id.to_owned());
    let first = ids.len().saturating_sub(MAX_IMAGES);
    save(install, &ids[first..])
}

/// Forgets an image that the engine no longer has.
pub fn forget(install: &Install, id: &str) -> Result<()> {
    let mut ids = all(install)?;
    let known = ids.len();
    ids.retain(|known| known != id);
    if ids.len() == known { Ok(()) } else { save(install, &ids) }
}

fn is_id(line: &str) -> bool {
    line.strip_prefix("sha256:").is_some_and(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn save(install: &Install, ids: &[String]) -> Result<()> {
    let mut text = ids.join("\n");
    text.push('\n');
    install::write_atomically(&install.images_file(), text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_images_are_remembered_once_each() {
        let dir = tempfile::tempdir().expect("a directory");
        let install = Install::open(dir.path()).expect("an installation");
        install.create_layout().expect("its directories");
        assert_eq!(all(&install).expect("no file"), Vec::<String>::new());
        for number in (0..=MAX_IMAGES).chain([7]) {
            remember(&install, &format!("sha256:{number}")).expect("written");
        }
        let ids = all(&install).expect("read");
        assert_eq!(ids.len(), MAX_IMAGES);
        assert_eq!((ids[0].as_str(), ids[MAX_IMAGES - 1].as_str()), ("sha256:1", "sha256:7"));
        assert_eq!(ids.iter().filter(|id| *id == "sha256:7").count(), 1);
        std::fs::write(install.images_file(), b"\xff\nother/image\n\nsha256:52\nsha256:7\n")
            .expect("written");
        forget(&install, "sha256:7").expect("written");
        forget(&install, "sha256:7").expect("nothing to do");
        assert_eq!(all(&install).expect("read"), ["sha256:52"]);
    }
}
